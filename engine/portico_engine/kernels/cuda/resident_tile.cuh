// A tile that a warp reads ahead into registers, WORDS words of scales a row of it: the loads stay where they are written, as
// the compiler would put them late to save registers.

template <int N>
__device__ __forceinline__ void read_now(u32 (&to)[N], const u32* from) {
  if constexpr (N % 4 == 0)
#pragma unroll
    for (int i = 0; i < N; i += 4)
      asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(to[i]), "=r"(to[i + 1]), "=r"(to[i + 2]), "=r"(to[i + 3])
                   : "l"(from + i));
  else if constexpr (N == 2)
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.v2.u32 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "l"(from));
  else
    asm volatile("ld.global.nc.L1::no_allocate.L2::256B.u32 %0, [%1];" : "=r"(to[0]) : "l"(from));
}

template <int WORDS>
struct ResidentTile {
  u32 low[2][4], high[2][HIGH_WORDS], scales[2][WORDS];

  __device__ __forceinline__ void read(const Matrix& matrix, long tile, int lane, int first_word = 0) {
#pragma unroll
    for (int side = 0; side < 2; side++) {
      read_now(low[side], matrix.low + ((tile * 2 + side) * 32 + lane) * 4);
      if (HIGH) read_now(high[side], matrix.high + ((tile * 2 + side) * 32 + lane) * HIGH);
      read_now(scales[side], matrix.scales + (tile * 16 + side * 8 + lane / 4) * SCALE_WORDS + first_word);
    }
  }
};
