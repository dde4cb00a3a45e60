// Programmatic dependent launch: a kernel starts while the one before it is still at work, does what does not depend on it, and
// waits. What a kernel reads of another's results must not be `const __restrict__`, which the compiler may read before it waits.

__device__ __forceinline__ void wait_for_previous() {  // until its results are there; returns at once without such a launch
  asm volatile("griddepcontrol.wait;" ::: "memory");
}

__device__ __forceinline__ void let_next_start() {  // as soon as all blocks of this kernel have started
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}
