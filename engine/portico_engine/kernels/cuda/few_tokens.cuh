// A product's work for few tokens, without its beginning and its end: the warps of a block share the columns of ROWS tiles of
// 16 rows, and their sums are added up. Also with
//   TOKENS       tokens of a block, in eights
//   ROWS         tiles of 16 rows that a warp has at once
//   WARPS        of a block, which share the columns between them
//   SCALE_FIRST  1 to scale the codes and round them to bfloat16 instead of scaling sums: less work for more tokens

#pragma once

#include "quantized.cuh"

#define NEEDS_SUMS (!SCALE_FIRST && (OFFSET || BIASED))
#define HEIGHT (ROWS * 16 + 4)  // of a token's sums of one warp: a stride that spreads the lanes over the banks

// This lane's columns of its tokens in one tile: four in each half of a group of 32.
struct TileInputs {
  uint2 at[TOKENS][4][2];

  // from[eight] is its token's first column; columns from n_in on are zeros
  __device__ __forceinline__ void read(const u16* const (&from)[TOKENS], int first_column, int n_in) {
#pragma unroll
    for (int m = 0; m < TOKENS; m++)
#pragma unroll
      for (int group32 = 0; group32 < 4; group32++) {
        const int column = first_column + group32 * 32;
        const bool inside = !RAGGED || column < n_in;
        if (GROUP != 16) {
          const uint4 both = inside ? *(const uint4*)(from[m] + column) : make_uint4(0, 0, 0, 0);
          at[m][group32][0] = make_uint2(both.x, both.y);
          at[m][group32][1] = make_uint2(both.z, both.w);
        } else {
#pragma unroll
          for (int half = 0; half < 2; half++)
            at[m][group32][half] = inside ? *(const uint2*)(from[m] + column + half * HALF_COLUMNS) : make_uint2(0, 0);
        }
      }
  }
};

__device__ __forceinline__ constexpr bool starts_group(int group32, int half) {
  return GROUP == 16 || (half == 0 && group32 * 32 % GROUP == 0);
}

__device__ __forceinline__ constexpr bool ends_group(int group32, int half) {
  return GROUP == 16 || (half == 1 && (group32 + 1) * 32 % GROUP == 0);
}

// total += a tile of each of ROWS rows of tiles times the inputs.
__device__ __forceinline__ void accumulate(Sums (&total)[ROWS][TOKENS], const Tile (&tiles)[ROWS], const TileInputs& inputs) {
  Sums sums[TOKENS][2];  // of the tokens' inputs in a group: in each half of 32 columns where those are groups, else in the first
  Sums group_sums[ROWS][TOKENS];
#pragma unroll
  for (int group32 = 0; group32 < 4; group32++) {
#pragma unroll
    for (int m = 0; m < TOKENS; m++) {
      const u32 ones[4] = {ONE, ONE, ONE, ONE};
#pragma unroll
      for (int half = 0; half < 2; half++)
        if (NEEDS_SUMS) {
          Sums& sum = sums[m][GROUP == 16 ? half : 0];
          sum = multiply(ones, inputs.at[m][group32][half], starts_group(group32, half) ? Sums() : sum);
        }
    }
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const Tile& tile = tiles[r];
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const int group = GROUP_OF(group32, half);
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
            total[r][m] = multiply(a, inputs.at[m][group32][half], total[r][m]);
            continue;
          }
          Sums& sum = group_sums[r][m];
          sum = multiply(a, inputs.at[m][group32][half], starts_group(group32, half) ? Sums() : sum);
          if (!ends_group(group32, half)) continue;
#pragma unroll
          for (int i = 0; i < 4; i++) {
            total[r][m].at[i] += scale[i / 2].scale * sum.at[i];
            if (NEEDS_SUMS) total[r][m].at[i] += scale[i / 2].offset * sums[m][GROUP == 16 ? half : 0].at[i % 2];
          }
        }
      }
    }
  }
}

// The warps' sums are added up, for 8 tokens at a time: finish(token, row of 16, its sum in each tile) for `n` tokens.
template <class Finish>
__device__ __forceinline__ void add_up(const Sums (&total)[ROWS][TOKENS], int n, int warp, int lane, const Finish& finish) {
  __shared__ float parts[WARPS][8 * HEIGHT];
#pragma unroll
  for (int m = 0; m < TOKENS; m++) {
    if (m * 8 >= n) break;
    if (m) __syncthreads();
#pragma unroll
    for (int r = 0; r < ROWS; r++)
#pragma unroll
      for (int i = 0; i < 4; i++)
        parts[warp][(lane % 4 * 2 + i % 2) * HEIGHT + r * 16 + lane / 4 + (i / 2) * 8] = total[r][m].at[i];
    __syncthreads();
    for (int i = threadIdx.x; i < 16 * 8; i += 32 * WARPS) {
      const int token = m * 8 + i / 16, row = i % 16;
      if (token >= n) continue;
      float sums[ROWS] = {};
#pragma unroll
      for (int w = 0; w < WARPS; w++)
#pragma unroll
        for (int r = 0; r < ROWS; r++) sums[r] += parts[w][i / 16 * HEIGHT + r * 16 + row];
      finish(token, row, sums);
    }
  }
}
