// The tensor cores' product of a warpgroup (wgmma, compute capability 9.0 alone): 64 rows, each warp 16 of them in registers as
// m16n8k16 takes them, times 8 to 64 tokens that lie in shared memory, in rows of 128 bytes swizzled by the hardware's pattern.

__device__ __forceinline__ void group_fence() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }
__device__ __forceinline__ void group_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }
template <int N>
__device__ __forceinline__ void group_wait() {  // until all but the last N commits are done
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(N) : "memory");
}

// Of tokens at an address in shared memory, a multiple of 1024: 64 columns of each in 128 bytes, eight tokens in 1024.
__device__ __forceinline__ unsigned long long group_inputs(u32 address) {
  return (unsigned long long)(address >> 4 & 0x3FFF) | 1ull << 16 | 64ull << 32 | 1ull << 62;
}

__device__ __forceinline__ void group_multiply(Sums (&d)[1], const u32 (&a)[4], unsigned long long b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n8k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3}, "
      "{%4, %5, %6, %7}, %8, 1, 1, 1, 0;"
      : "+f"(d[0].at[0]), "+f"(d[0].at[1]), "+f"(d[0].at[2]), "+f"(d[0].at[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void group_multiply(Sums (&d)[2], const u32 (&a)[4], unsigned long long b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n16k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7}, "
      "{%8, %9, %10, %11}, %12, 1, 1, 1, 0;"
      : "+f"(d[0].at[0]), "+f"(d[0].at[1]), "+f"(d[0].at[2]), "+f"(d[0].at[3]), "+f"(d[1].at[0]), "+f"(d[1].at[1]), "+f"(d[1].at[2]), "+f"(d[1].at[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void group_multiply(Sums (&d)[4], const u32 (&a)[4], unsigned long long b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n32k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15}, "
      "{%16, %17, %18, %19}, %20, 1, 1, 1, 0;"
      : "+f"(d[0].at[0]), "+f"(d[0].at[1]), "+f"(d[0].at[2]), "+f"(d[0].at[3]), "+f"(d[1].at[0]), "+f"(d[1].at[1]), "+f"(d[1].at[2]), "+f"(d[1].at[3]),
        "+f"(d[2].at[0]), "+f"(d[2].at[1]), "+f"(d[2].at[2]), "+f"(d[2].at[3]), "+f"(d[3].at[0]), "+f"(d[3].at[1]), "+f"(d[3].at[2]), "+f"(d[3].at[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}

__device__ __forceinline__ void group_multiply(Sums (&d)[8], const u32 (&a)[4], unsigned long long b) {
  asm volatile(
      "wgmma.mma_async.sync.aligned.m64n64k16.f32.bf16.bf16 {"
      "%0, %1, %2, %3, %4, %5, %6, %7, %8, %9, %10, %11, %12, %13, %14, %15, "
      "%16, %17, %18, %19, %20, %21, %22, %23, %24, %25, %26, %27, %28, %29, %30, %31}, "
      "{%32, %33, %34, %35}, %36, 1, 1, 1, 0;"
      : "+f"(d[0].at[0]), "+f"(d[0].at[1]), "+f"(d[0].at[2]), "+f"(d[0].at[3]), "+f"(d[1].at[0]), "+f"(d[1].at[1]), "+f"(d[1].at[2]), "+f"(d[1].at[3]),
        "+f"(d[2].at[0]), "+f"(d[2].at[1]), "+f"(d[2].at[2]), "+f"(d[2].at[3]), "+f"(d[3].at[0]), "+f"(d[3].at[1]), "+f"(d[3].at[2]), "+f"(d[3].at[3]),
        "+f"(d[4].at[0]), "+f"(d[4].at[1]), "+f"(d[4].at[2]), "+f"(d[4].at[3]), "+f"(d[5].at[0]), "+f"(d[5].at[1]), "+f"(d[5].at[2]), "+f"(d[5].at[3]),
        "+f"(d[6].at[0]), "+f"(d[6].at[1]), "+f"(d[6].at[2]), "+f"(d[6].at[3]), "+f"(d[7].at[0]), "+f"(d[7].at[1]), "+f"(d[7].at[2]), "+f"(d[7].at[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));
}
