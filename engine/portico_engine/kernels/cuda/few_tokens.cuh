// A product's work for few tokens, without its beginning and its end: the warps of a block share the columns of ROWS tiles of
// 16 rows, and their sums are added up. Also with
//   TOKENS       tokens of a block, in eights
//   ROWS         tiles of 16 rows that a warp has at once
//   WARPS        of a block, which share the columns between them
//   SCALE_FIRST  1 to scale the codes and round them to bfloat16 instead of scaling sums: less work for more tokens

#include "quantized.cuh"

#define NEEDS_SUMS (!SCALE_FIRST && (OFFSET || BIASED))
#define HEIGHT (ROWS * 16 + 4)  // of a token's sums of one warp: a stride that spreads the lanes over the banks

struct Reader {  // a warp's way through the columns of ROWS tiles, one step ahead
  Cursor cursors[ROWS];
  Tile next[ROWS];

  __device__ __forceinline__ void fetch() {
#pragma unroll
    for (int r = 0; r < ROWS; r++) cursors[r].read(next[r], WARPS);
  }
};

// total += the warp's columns of the tiles times inputs_at[eight][column], which are this lane's token and columns of a group.
// The reader has fetched the first.
__device__ __forceinline__ void accumulate(
    Sums (&total)[ROWS][TOKENS], Reader& reader, const u16* const (&inputs_at)[TOKENS], int warp, int columns, int n_in) {
#pragma unroll 1
  for (int column = warp; column < columns; column += WARPS) {
    Tile now[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) now[r] = reader.next[r];
    if (column + WARPS < columns) reader.fetch();
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
