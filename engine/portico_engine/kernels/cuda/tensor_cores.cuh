// bfloat16 numbers, and the tensor cores' product of 16 x 16 with 16 x 8 of them (m16n8k16).

#pragma once

typedef unsigned int u32;
typedef unsigned short u16;

struct Sums {  // rows lane / 4 and 8 more of tokens 2 (lane % 4) and 1 more
  float at[4];
};

__device__ __forceinline__ Sums multiply(const u32 (&a)[4], const uint2 b, const Sums& added = {}) {
  Sums out;
  asm("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%10, %11, %12, %13};"
      : "=f"(out.at[0]), "=f"(out.at[1]), "=f"(out.at[2]), "=f"(out.at[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b.x), "r"(b.y),
        "f"(added.at[0]), "f"(added.at[1]), "f"(added.at[2]), "f"(added.at[3]));
  return out;
}

__device__ __forceinline__ u32 multiply_add(u32 a, u32 b, u32 c) {  // two bfloat16
  u32 out;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(out) : "r"(a), "r"(b), "r"(c));
  return out;
}

__device__ __forceinline__ u32 twice(float value) {  // in bfloat16
  u32 out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %1;" : "=r"(out) : "f"(value));
  return out;
}

__device__ __forceinline__ u32 both_rounded(float low, float high) {
  u32 out;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(out) : "f"(high), "f"(low));
  return out;
}

__device__ __forceinline__ u16 rounded(float value) {
  u16 out;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(out) : "f"(value));
  return out;
}

__device__ __forceinline__ float widened(u16 value) { return __uint_as_float((u32)value << 16); }
