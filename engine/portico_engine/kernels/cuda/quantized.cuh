// A matrix in its file's own quantization on tensor cores; quantized_layout.py says how codes and scales lie in memory.
//
// A warp takes tiles of 16 rows x 128 columns. It makes bfloat16 numbers of the codes, and multiplies them with 8 tokens at a
// time (m16n8k16, sums in float32). Compiled for each format with
//   HIGH     bits of a code above its lower 4: 0, 1, 2 or 4
//   ZERO     what is subtracted from a code
//   OFFSET   1 where each group has an offset beside its scale
//   GROUP    columns with one scale, 16, 32, 64 or 128
//   TABLE    1 where codes of 4 bits stand for the numbers of a table, in bfloat16: bytes 4 i to 4 i + 3 of their lower halves are
//            TABLE_LOW<i>, of their upper halves TABLE_HIGH<i>; ZERO, OFFSET and HIGH are 0 then
//   RAGGED   1 where the columns are no multiple of 128
//   WIDE     1 for a result in float32, else bfloat16
//   EXPERTS  1 where the rows are those of several experts, one after the other, each multiplied with its own tokens only

#pragma once

#include "tensor_cores.cuh"

#define TILE_COLUMNS 128
#define ONE 0x3F803F80  // in bfloat16, twice
// A lane's 8 columns of a group of 32 are neighbours where they share a scale, else 4 and 4: the distances of lanes and halves.
#define LANE_COLUMNS (GROUP == 16 ? 4 : 8)
#define HALF_COLUMNS (GROUP == 16 ? 16 : 4)
#define GROUPS (TILE_COLUMNS / GROUP)
#define SCALE_WORDS (GROUPS * (1 + OFFSET) / 2)
#define HIGH_WORDS (HIGH ? HIGH : 1)
// Codes of up to 6 bits become 128 + code by their bits alone; what is too much is taken from the offset.
#define BIASED (HIGH <= 2 && !TABLE)
#define TOO_MUCH (128.0f + ZERO)
// The group of half a 32 of columns.
#define GROUP_OF(group32, half) (GROUP == 16 ? (group32) * 2 + (half) : (group32) * 32 / GROUP)

#if WIDE
typedef float Out;
#else
typedef u16 Out;
#endif

struct Tile {  // what one lane has of 16 rows x 128 columns: rows lane / 4 and 8 more
  u32 low[2][4], high[2][HIGH_WORDS], scales[2][SCALE_WORDS];
};

template <int N>
__device__ __forceinline__ void stream(u32 (&to)[N], const u32* from) {  // each weight is read once: not into the L1 cache
  if constexpr (N == 8) {
    stream((u32(&)[4])to[0], from);
    stream((u32(&)[4])to[4], from + 4);
  } else if constexpr (N == 4)
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "l"(from));
  else if constexpr (N == 2)
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "l"(from));
  else
    asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(to[0]) : "l"(from));
}

struct Cursor {  // a lane's way through the tiles of a row of tiles
  const u32 *low, *high, *scales;

  __device__ __forceinline__ void start(const u32* low_, const u32* high_, const u32* scales_, long tile, int lane) {
    low = low_ + (tile * 64 + lane) * 4;
    high = high_ + (tile * 64 + lane) * HIGH;
    scales = scales_ + (tile * 16 + lane / 4) * SCALE_WORDS;
  }

  __device__ __forceinline__ void read(Tile& to, int step) {  // and go so many tiles on
#pragma unroll
    for (int side = 0; side < 2; side++) {
      stream(to.low[side], low + side * 32 * 4);
      if (HIGH) stream(to.high[side], high + side * 32 * HIGH);
      stream(to.scales[side], scales + side * 8 * SCALE_WORDS);
    }
    low += step * 64 * 4;
    high += step * 64 * HIGH;
    scales += step * 16 * SCALE_WORDS;
  }
};

__device__ __forceinline__ float half_at(const u32* words, int i) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"((u16)(words[i / 2] >> (16 * (i % 2)))));
  return out;
}

#if TABLE
// The table's bytes, four of them, for the codes in the lower four nibbles.
__device__ __forceinline__ u32 bytes_of(u32 codes, u32 t0, u32 t1, u32 t2, u32 t3) {
  const u32 at = codes & 0x7777;
  return __byte_perm(__byte_perm(t0, t1, at), __byte_perm(t2, t3, at), 0x3210 | (codes & 0x8888) >> 1);
}

// The table's numbers for a word of codes: those at places `pair` and `pair + 4`.
__device__ __forceinline__ u32 numbers_of(u32 codes, int pair) {
  u32 both[2];
#pragma unroll
  for (int second = 0; second < 2; second++) {
    const u32 four = codes >> (16 * second);
    const u32 low = bytes_of(four, TABLE_LOW0, TABLE_LOW1, TABLE_LOW2, TABLE_LOW3);
    const u32 high = bytes_of(four, TABLE_HIGH0, TABLE_HIGH1, TABLE_HIGH2, TABLE_HIGH3);
    both[second] = __byte_perm(low, high, pair < 2 ? 0x5140 : 0x7362);  // of two pairs
  }
  return __byte_perm(both[0], both[1], pair % 2 ? 0x7632 : 0x5410);
}
#endif

// (bits & mask) | set in one instruction: with two constants the compiler makes two of it.
__device__ __forceinline__ u32 masked(u32 bits, u32 mask, u32 set) {
  u32 out;
  asm("lop3.b32 %0, %1, %2, %3, 0xEA;" : "=r"(out) : "r"(bits), "r"(mask), "r"(set));
  return out;
}

// Two neighbouring codes of a lane's 8 in a group of 32 columns, as bfloat16, less ZERO unless BIASED: the pair is 0 to 3.
__device__ __forceinline__ u32 codes_of(const u32 (&low)[4], const u32 (&high)[HIGH_WORDS], int group32, int pair) {
#if TABLE
  return numbers_of(low[group32], pair);
#endif
  const u32 code = masked(low[group32] >> (4 * pair), 0x000F000F, 0x43004300);  // 128 + the lower 4 bits
#if HIGH
  const int shift = (4 * HIGH * group32) % 16 + HIGH * pair;
  const u32 mask = ((1 << HIGH) - 1) * 0x00010001, word = high[HIGH * group32 / 4];
#endif
#if HIGH && BIASED
  return masked(shift < 4 ? word << (4 - shift) : word >> (shift - 4), mask << 4, code);
#elif HIGH
  const u32 above = masked(word >> shift, mask, 0x45004500);  // 2048 + 16 times the upper bits
  return multiply_add(code, ONE, multiply_add(above, ONE, twice(-(2048.0f + 128.0f + ZERO))));
#else
  return code;
#endif
}

__device__ __forceinline__ void put(Out& to, float value) {
#if WIDE
  to = value;
#else
  to = rounded(value);
#endif
}

__device__ __forceinline__ float bias_of(const u16* bias, int row) {
  return bias ? widened(bias[row]) : 0.0f;
}

#if EXPERTS
// Pairs of a token and an expert that a block computes: expert_groups.cu makes them. `used` pairs have one row of inputs.
#define EXPERT_ARGUMENTS , const int* __restrict__ pairs, const int4* __restrict__ groups, int used
#else
#define EXPERT_ARGUMENTS
#endif

struct Scale {
  float scale, offset;
  float upper_offset;  // of the upper of two codes where that is read with the lower one's bits behind it: see `scaled`
};

__device__ __forceinline__ Scale scale_of(const u32 (&words)[SCALE_WORDS], int group) {
  Scale out = {half_at(words, OFFSET ? 2 * group : group), OFFSET ? half_at(words, 2 * group + 1) : 0.0f};
  out.upper_offset = out.offset;
  if (BIASED) {
    out.upper_offset -= (TOO_MUCH + 0x4300 / 65536.0f) * out.scale;
    out.offset -= TOO_MUCH * out.scale;
  }
  return out;
}

__device__ __forceinline__ u32 scaled(u32 codes, const Scale& by) {
  // 128 + code with the lower code's bits behind it is 128 + code + 0x4300 / 65536, and a thousandth of a code at most.
  const float low = __uint_as_float(codes << 16), high = __uint_as_float(BIASED ? codes : codes & 0xFFFF0000);
  return both_rounded(by.scale * low + by.offset, by.scale * high + by.upper_offset);
}
