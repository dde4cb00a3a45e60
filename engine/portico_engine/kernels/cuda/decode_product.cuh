// The products of a decode step for at most 8 TOKENS tokens: what few_tokens.cuh does, with what stands before and after it in
// a decoder's layer, and started while the kernel before it is still at work: weights depend on nothing.
//   NORM      1: inputs are the float32 stream, whose RMS norm a block makes for itself; 0: bfloat16
//   HIDDEN    columns, where NORM
//   PREFETCH  1 to read the first weights before the inputs are there
// A block has unit blockIdx.x and every so many more. A unit is ROWS tiles of 16 rows, `apart` from each other: where there
// are two, all units' first ones lie in runs of `apart`, followed by the run of their second ones.

#include "few_tokens.cuh"
#include "launch_overlap.cuh"
#if NORM
#include "decode_norm.cuh"
#endif

struct Matrix {
  const u32 *low, *high, *scales;
  int n_in, units, apart;

  __device__ __forceinline__ int tile(int unit, int r) const {
    return ROWS == 1 ? unit : unit / apart * 2 * apart + unit % apart + r * apart;
  }
};

struct Inputs {
  const void* x;  // float32 or bfloat16 [n][n_in]
  const float *weight, *eps;  // the norm's
  const int* rows;            // of the stream, where not all
  int n;
};

// finish(token, unit, row of 16, its sum in each tile)
template <class Finish>
__device__ __forceinline__ void decode_product(const Matrix& matrix, const Inputs& inputs, const Finish& finish) {
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int columns = (matrix.n_in + TILE_COLUMNS - 1) / TILE_COLUMNS;
  Cursor cursors[ROWS];
  Tile next[ROWS];
  const auto fetch = [&]() {
#pragma unroll
    for (int r = 0; r < ROWS; r++) cursors[r].read(next[r], WARPS);
  };
  const auto start = [&](int unit) {
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      cursors[r].start(matrix.low, matrix.high, matrix.scales, (long)matrix.tile(unit, r) * columns + warp, lane);
    if (warp < columns) fetch();
  };
  int unit = blockIdx.x;
  if (PREFETCH) start(unit);
#if NORM
  const NormWeight weight(inputs.weight, inputs.eps);
#endif
  let_next_start();
  wait_for_previous();
  if (!PREFETCH) start(unit);

  const u16* inputs_at[TOKENS];  // those past the last token read the last one's; their results are dropped
#if NORM
  extern __shared__ uint4 normed[];
  const int stride = (HIDDEN + 63) / 64 * 64 + 32;  // tokens that are read together lie in different banks
  const u16* from = (const u16*)normed;
  norm_tokens<8 * TOKENS>((const float*)made_before(inputs.x), inputs.rows, weight, (u16*)normed, stride, inputs.n);
  __syncthreads();
#else
  const int stride = matrix.n_in;
  const u16* from = (const u16*)made_before(inputs.x);
#endif
#pragma unroll
  for (int m = 0; m < TOKENS; m++)
    inputs_at[m] = from + (long)min(m * 8 + lane / 4, inputs.n - 1) * stride + lane % 4 * LANE_COLUMNS;

  while (true) {
    Sums total[ROWS][TOKENS] = {};
#pragma unroll 1
    for (int column = warp; column < columns; column += WARPS) {
      TileInputs now;
      now.read(inputs_at, column * TILE_COLUMNS, matrix.n_in);
      Tile tiles[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++) tiles[r] = next[r];
      if (column + WARPS < columns) fetch();
      accumulate(total, tiles, now);
    }
    const int after = unit + gridDim.x;
    if (after < matrix.units) start(after);
    add_up(total, inputs.n, warp, lane,
           [&](int token, int row, const float (&sums)[ROWS]) { finish(token, unit, row, sums); });
    if (after >= matrix.units) break;
    unit = after;
    __syncthreads();
  }
}

__device__ __forceinline__ float through_bfloat16(float value) { return widened(rounded(value)); }
