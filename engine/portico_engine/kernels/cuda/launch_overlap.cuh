// Programmatic dependent launch: a kernel starts while the one before it is still at work, does what does not depend on it, and
// waits.

#pragma once

__device__ __forceinline__ void wait_for_previous() {  // until its results are there; returns at once without such a launch
  asm volatile("griddepcontrol.wait;" ::: "memory");
}

__device__ __forceinline__ void let_next_start() {  // as soon as all blocks of this kernel have started
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
}

// What was waited for. The compiler must not take it for constant while the kernel runs, or it reads it past the caches' order.
template <class T>
__device__ __forceinline__ T* made_before(T* results) {
  asm volatile("" : "+l"(results)::"memory");
  return results;
}
