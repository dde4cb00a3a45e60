// y[token][row] of `n` tokens x[token][column] and `n_out` rows, for few tokens. Also with
//   TOKENS       tokens of a block, in eights
//   ROWS         tiles of 16 rows that a warp has at once
//   WARPS        of a block, which share the columns between them
//   SCALE_FIRST  1 to scale the codes and round them to bfloat16 instead of scaling sums: less work for more tokens
// Blocks are (rows, tokens).

#include "quantized.cuh"

#define NEEDS_SUMS (!SCALE_FIRST && (OFFSET || BIASED))

extern "C" __global__ void __launch_bounds__(32 * WARPS) few_tokens(
    const u16* __restrict__ x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_in, int n_out, int y_stride) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, quarter = lane % 4;
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, tiles = (n_out + 15) / 16;  // of the matrix, in tiles
  const int first_token = blockIdx.y * TOKENS * 8, first_tile = blockIdx.x * ROWS;

  const u16* inputs_at[TOKENS];  // those past the last token or row read the last one's; their results are dropped
#pragma unroll
  for (int m = 0; m < TOKENS; m++)
    inputs_at[m] = x + (long)min(first_token + m * 8 + lane / 4, n - 1) * n_in + quarter * LANE_COLUMNS;
  Cursor cursors[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; r++)
    cursors[r].start(low, high, scales, (long)min(first_tile + r, tiles - 1) * columns + warp, lane);
  Tile next[ROWS];
  const auto fetch = [&]() {
#pragma unroll
    for (int r = 0; r < ROWS; r++) cursors[r].read(next[r], WARPS);
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
      float sum = bias_of(bias, row);
#pragma unroll
      for (int w = 0; w < WARPS; w++) sum += parts[w][i / height * stride + i % height];
      put(y[(long)token * y_stride + row], sum);
    }
  }
}
