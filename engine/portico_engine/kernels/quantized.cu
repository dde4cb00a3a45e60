// Products with a matrix in its file's own quantization, on tensor cores; quantized.py says how codes and scales lie in memory.
//
// A warp takes tiles of 16 rows x 128 columns. It makes bfloat16 numbers of the codes, which is exact, multiplies them with 8
// tokens at a time (m16n8k16, sums in float32), and applies a group's scale to its sum. Compiled for each format with
//   HIGH         bits of a code above its lower 4: 0, 1, 2 or 4
//   ZERO         what is subtracted from a code
//   OFFSET       1 where each group has an offset beside its scale
//   GROUP        columns with one scale, 16 or 32
//   TOKENS       tokens of a block, in eights
//   ROWS         tiles of 16 rows that a warp has at once
//   WARPS        of a block, which share the columns between them
//   SCALE_FIRST  1 to scale the codes and round them to bfloat16 instead of scaling sums: less work for many tokens
//   RAGGED       1 where the columns are no multiple of 128
//   WIDE         1 for a result in float32, else bfloat16

typedef unsigned int u32;
typedef unsigned short u16;

#define TILE_COLUMNS 128
#define ONE 0x3F803F80  // in bfloat16, twice
// A lane's 8 columns of a group of 32 are neighbours where they share a scale, else 4 and 4: how far lanes and halves are apart.
#define LANE_COLUMNS (GROUP == 32 ? 8 : 4)
#define HALF_COLUMNS (GROUP == 32 ? 4 : 16)
#define GROUPS (TILE_COLUMNS / GROUP)
#define SCALE_WORDS (GROUPS * (1 + OFFSET) / 2)
#define HIGH_WORDS (HIGH ? HIGH : 1)
// Codes of 4 bits become 128 + code by their bits alone; what is too much is taken from the offset.
#define BIASED (HIGH == 0)
#define NEEDS_SUMS (!SCALE_FIRST && (OFFSET || BIASED))

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
  if constexpr (N == 4)
    asm("ld.global.nc.L1::no_allocate.v4.u32 {%0, %1, %2, %3}, [%4];"
        : "=r"(to[0]), "=r"(to[1]), "=r"(to[2]), "=r"(to[3]) : "l"(from));
  else if constexpr (N == 2)
    asm("ld.global.nc.L1::no_allocate.v2.u32 {%0, %1}, [%2];" : "=r"(to[0]), "=r"(to[1]) : "l"(from));
  else
    asm("ld.global.nc.L1::no_allocate.u32 %0, [%1];" : "=r"(to[0]) : "l"(from));
}

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

__device__ __forceinline__ float half_at(const u32* words, int i) {
  float out;
  asm("cvt.f32.f16 %0, %1;" : "=f"(out) : "h"((u16)(words[i / 2] >> (16 * (i % 2)))));
  return out;
}

// Two neighbouring codes of a lane's 8 in a group of 32 columns, as bfloat16, less ZERO unless BIASED: the pair is 0 to 3.
__device__ __forceinline__ u32 codes_of(const u32 (&low)[4], const u32 (&high)[HIGH_WORDS], int group32, int pair) {
  u32 code = ((low[group32] >> (4 * pair)) & 0x000F000F) | 0x43004300;  // 128 + the lower 4 bits
#if HIGH
  const u32 mask = ((1 << HIGH) - 1) * 0x00010001;
  const int shift = (4 * HIGH * group32) % 16 + HIGH * pair;
  const u32 above = ((high[HIGH * group32 / 4] >> shift) & mask) | 0x45004500;  // 2048 + 16 times the upper bits
  return multiply_add(code, ONE, multiply_add(above, ONE, twice(-(2048.0f + 128.0f + ZERO))));
#else
  return code;
#endif
}

struct Scale {
  float scale, offset;
};

__device__ __forceinline__ Scale scale_of(const u32 (&words)[SCALE_WORDS], int group) {
  Scale out = {half_at(words, OFFSET ? 2 * group : group), OFFSET ? half_at(words, 2 * group + 1) : 0.0f};
  if (BIASED) out.offset -= (128.0f + ZERO) * out.scale;
  return out;
}

__device__ __forceinline__ u32 scaled(u32 codes, const Scale& by) {
  return both_rounded(by.scale * __uint_as_float(codes << 16) + by.offset, by.scale * __uint_as_float(codes & 0xFFFF0000) + by.offset);
}

// y[token][row] of `n` tokens x[token][column] and `n_out` rows; blocks are (rows, tokens).
extern "C" __global__ void __launch_bounds__(32 * WARPS) product(
    const u16* __restrict__ x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_in, int n_out, int y_stride) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, quarter = lane % 4;
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, tiles = (n_out + 15) / 16;  // of the matrix, in tiles
  const int first_token = blockIdx.y * TOKENS * 8, first_tile = blockIdx.x * ROWS;

  const u16* inputs_at[TOKENS];  // those past the last token or row read the last one's; their results are dropped
#pragma unroll
  for (int m = 0; m < TOKENS; m++) inputs_at[m] = x + (long)min(first_token + m * 8 + lane / 4, n - 1) * n_in + quarter * LANE_COLUMNS;
  const u32 *low_at[ROWS], *high_at[ROWS], *scales_at[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; r++) {
    const long tile = (long)min(first_tile + r, tiles - 1) * columns + warp;
    low_at[r] = low + (tile * 64 + lane) * 4;
    high_at[r] = high + (tile * 64 + lane) * HIGH;
    scales_at[r] = scales + (tile * 16 + lane / 4) * SCALE_WORDS;
  }
  Tile next[ROWS];
  const auto fetch = [&]() {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
#pragma unroll
      for (int side = 0; side < 2; side++) {
        stream(next[r].low[side], low_at[r] + side * 32 * 4);
        if (HIGH) stream(next[r].high[side], high_at[r] + side * 32 * HIGH);
        stream(next[r].scales[side], scales_at[r] + side * 8 * SCALE_WORDS);
      }
      low_at[r] += WARPS * 64 * 4;
      high_at[r] += WARPS * 64 * HIGH;
      scales_at[r] += WARPS * 16 * SCALE_WORDS;
    }
  };

  Sums total[ROWS][TOKENS] = {};
  if (warp < columns) fetch();
#pragma unroll 1
  for (int column = warp; column < columns; column += WARPS) {
    Tile now[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) now[r] = next[r];
    if (column + WARPS < columns) fetch();
    const int first_column = column * TILE_COLUMNS;
#pragma unroll
    for (int group32 = 0; group32 < 4; group32++) {
      if (RAGGED && first_column + group32 * 32 >= n_in) break;
      uint2 inputs[TOKENS][2];  // this lane's columns of a token, four in each half of the group
      Sums sums[TOKENS][2];     // of the tokens' inputs
#pragma unroll
      for (int m = 0; m < TOKENS; m++) {
        const u16* from = inputs_at[m] + first_column + group32 * 32;
        if (GROUP == 32) {
          const uint4 both = *(const uint4*)from;
          inputs[m][0] = make_uint2(both.x, both.y);
          inputs[m][1] = make_uint2(both.z, both.w);
        } else {
          inputs[m][0] = *(const uint2*)from;
          inputs[m][1] = *(const uint2*)(from + HALF_COLUMNS);
        }
        const u32 ones[4] = {ONE, ONE, ONE, ONE};
#pragma unroll
        for (int half = 0; half < 2; half++)
          if (NEEDS_SUMS) sums[m][half] = multiply(ones, inputs[m][half], half && GROUP == 32 ? sums[m][0] : Sums());
      }
#pragma unroll
      for (int r = 0; r < ROWS; r++) {
        const Tile& tile = now[r];
        Sums group_sums[TOKENS];
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int group = GROUP == 16 ? group32 * 2 + half : group32;
          const Scale scale[2] = {scale_of(tile.scales[0], group), scale_of(tile.scales[1], group)};
          u32 a[4];
#pragma unroll
          for (int i = 0; i < 4; i++) {
            const int side = i % 2, pair = half * 2 + i / 2;
            a[i] = codes_of(tile.low[side], tile.high[side], group32, pair);
            if (SCALE_FIRST) a[i] = scaled(a[i], scale[side]);
          }
#pragma unroll
          for (int m = 0; m < TOKENS; m++) {
            if (SCALE_FIRST) {
              total[r][m] = multiply(a, inputs[m][half], total[r][m]);
              continue;
            }
            group_sums[m] = multiply(a, inputs[m][half], half && GROUP == 32 ? group_sums[m] : Sums());
            if (half == 0 && GROUP == 32) continue;
#pragma unroll
            for (int i = 0; i < 4; i++) {
              total[r][m].at[i] += scale[i / 2].scale * group_sums[m].at[i];
              if (NEEDS_SUMS) total[r][m].at[i] += scale[i / 2].offset * sums[m][half].at[i % 2];
            }
          }
        }
      }
    }
  }

  // The warps' sums are added up, for 8 tokens at a time.
  const int height = ROWS * 16, stride = height + 4;  // a stride that spreads the lanes over the banks
  __shared__ float parts[WARPS][8 * (ROWS * 16 + 4)];
#pragma unroll
  for (int m = 0; m < TOKENS; m++) {
    if (first_token + m * 8 >= n) break;
    if (m) __syncthreads();
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
      for (int i = 0; i < 4; i++)
        parts[warp][(quarter * 2 + i % 2) * stride + r * 16 + lane / 4 + (i / 2) * 8] = total[r][m].at[i];
    __syncthreads();
    for (int i = threadIdx.x; i < height * 8; i += 32 * WARPS) {
      const int token = first_token + m * 8 + i / height, row = first_tile * 16 + i % height;
      if (token >= n || row >= n_out) continue;
      float sum = bias ? __uint_as_float((u32)bias[row] << 16) : 0.0f;
#pragma unroll
      for (int w = 0; w < WARPS; w++) sum += parts[w][i / height * stride + i % height];
      Out& to = y[(long)token * y_stride + row];
#if WIDE
      to = sum;
#else
      to = rounded(sum);
#endif
    }
  }
}

// Rows of the matrix in bfloat16, y[i][column]: row indices[i] where given, else first + i. A thread has 8 codes.
extern "C" __global__ void rows(
    const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales, const int* __restrict__ indices,
    u16* __restrict__ y, int first, int n, int n_in) {
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const long thread = (long)blockIdx.x * blockDim.x + threadIdx.x;
  const int i = thread / (columns * 16), place = thread % (columns * 16);
  const int column = place / 16, group32 = place % 16 / 4, quarter = place % 4;
  const int at = column * TILE_COLUMNS + group32 * 32 + quarter * LANE_COLUMNS;
  if (i >= n || at >= n_in) return;
  const int row = indices ? indices[i] : first + i;
  const long tile = (long)(row / 16) * columns + column;
  const long lane = (tile * 2 + row % 16 / 8) * 32 + row % 8 * 4 + quarter;
  const u32 codes = low[lane * 4 + group32];
  const u32 above = HIGH ? high[lane * HIGH + HIGH * group32 / 4] >> (4 * HIGH * group32) % 16 : 0;
  const u32* scale = scales + (tile * 16 + row % 16) * SCALE_WORDS;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int group = GROUP == 16 ? group32 * 2 + half : group32;
    const float s = half_at(scale, OFFSET ? 2 * group : group), o = OFFSET ? half_at(scale, 2 * group + 1) : 0.0f;
    u16 out[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int pair = half * 2 + k / 2, side = 16 * (k % 2);
      int code = codes >> (4 * pair + side) & 15;
      if (HIGH) code += (above >> (HIGH * pair + side) & ((1 << HIGH) - 1)) << 4;
      out[k] = rounded(s * (code - ZERO) + o);
    }
    *(uint2*)(y + (long)i * n_in + at + half * HALF_COLUMNS) =
        make_uint2(out[0] | (u32)out[1] << 16, out[2] | (u32)out[3] << 16);
  }
}
