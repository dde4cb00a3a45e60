// y[token][row] of `n` tokens x[token][column] and `n_out` rows, for few tokens. Blocks are (rows, tokens).

#include "few_tokens.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) few_tokens(
    const u16* __restrict__ x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_in, int n_out, int y_stride EXPERT_ARGUMENTS) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, tiles = (n_out + 15) / 16;  // of the matrix, in tiles
  const int first_tile = blockIdx.x * ROWS;
#if EXPERTS
  const int4 group = groups[blockIdx.y];
  if (group.z == 0) return;
  n = group.z;
  const int first_token = 0;
  const long skipped = (long)group.x * tiles;  // rows of tiles, of experts before this one
  if (bias) bias += (long)group.x * n_out;
  const auto input_row = [&](int token) { return pairs[group.y + token] / used; };
  const auto output_row = [&](int token) { return pairs[group.y + token]; };
#else
  const int first_token = blockIdx.y * TOKENS * 8;
  const long skipped = 0;
  const auto input_row = [](int token) { return token; };
  const auto output_row = [](int token) { return token; };
#endif

  const u16* inputs_at[TOKENS];  // those past the last token or row read the last one's; their results are dropped
#pragma unroll
  for (int m = 0; m < TOKENS; m++)
    inputs_at[m] = x + (long)input_row(min(first_token + m * 8 + lane / 4, n - 1)) * n_in + lane % 4 * LANE_COLUMNS;
  Cursor cursors[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; r++)
    cursors[r].start(low, high, scales, (skipped + min(first_tile + r, tiles - 1)) * columns + warp, lane);
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
    TileInputs inputs;
    inputs.read(inputs_at, column * TILE_COLUMNS, n_in);
    accumulate(total, now, inputs);
  }
  add_up(total, n - first_token, warp, lane, [&](int token, int row_of_tile, const float (&sums)[ROWS]) {
#pragma unroll
    for (int r = 0; r < ROWS; r++) {
      const int row = (first_tile + r) * 16 + row_of_tile;
      if (row < n_out) put(y[(long)output_row(first_token + token) * y_stride + row], sums[r] + bias_of(bias, row));
    }
  });
}
