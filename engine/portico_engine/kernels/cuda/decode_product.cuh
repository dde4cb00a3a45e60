// The products of a decode step for at most 8 TOKENS tokens: what few_tokens.cuh does, with what stands before and after it in
// a decoder's layer, and started while the kernel before it is still at work: weights depend on nothing, and come into shared
// memory meanwhile.
//   NORM      1: inputs are the float32 stream, whose RMS norm a block makes for itself; 0: bfloat16
//   HIDDEN    columns, where NORM
//   PREFETCH  1 to ask for the first weights before the inputs are there
//   CHUNK     tiles of columns of a row of tiles that are asked for at once, a multiple of WARPS
//   STAGES    chunks that are on their way at a time
// A block has unit blockIdx.x and every so many more. A unit is ROWS tiles of 16 rows, `apart` from each other: where there
// are two, all units' first ones lie in runs of `apart`, followed by the run of their second ones.

#include "few_tokens.cuh"
#include "launch_overlap.cuh"
#include "bulk_copy.cuh"
#if NORM
#include "decode_norm.cuh"
#endif

#define LOW_BYTES 1024  // of a tile
#define HIGH_BYTES (256 * HIGH)
#define SCALES_BYTES (64 * SCALE_WORDS)
#define TILE_BYTES (LOW_BYTES + HIGH_BYTES + SCALES_BYTES)
#define STAGE_BYTES (ROWS * CHUNK * TILE_BYTES)

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

// A row of tiles' part of a stage: its codes' lower bits, then those above, then scales.
struct StagedTiles {
  char* at;

  __device__ __forceinline__ void ask(const Matrix& matrix, long tile, int count, u64* barrier) const {
    copy_bulk(at, (const char*)matrix.low + tile * LOW_BYTES, count * LOW_BYTES, barrier);
    if (HIGH) copy_bulk(at + CHUNK * LOW_BYTES, (const char*)matrix.high + tile * HIGH_BYTES, count * HIGH_BYTES, barrier);
    copy_bulk(at + CHUNK * (LOW_BYTES + HIGH_BYTES), (const char*)matrix.scales + tile * SCALES_BYTES, count * SCALES_BYTES,
              barrier);  }

  __device__ __forceinline__ void read(Tile& to, int i, int lane) const {
    const u32* low = (const u32*)(at + i * LOW_BYTES);
    const u32* high = (const u32*)(at + CHUNK * LOW_BYTES + i * HIGH_BYTES);
    const u32* scales = (const u32*)(at + CHUNK * (LOW_BYTES + HIGH_BYTES) + i * SCALES_BYTES);
#pragma unroll
    for (int side = 0; side < 2; side++) {
      load(to.low[side], low + (side * 32 + lane) * 4);
      if (HIGH) load(to.high[side], high + (side * 32 + lane) * HIGH);
      load(to.scales[side], scales + (side * 8 + lane / 4) * SCALE_WORDS);
    }
  }

  template <int N>
  static __device__ __forceinline__ void load(u32 (&to)[N], const u32* from) {
    if constexpr (N % 4 == 0)
#pragma unroll
      for (int i = 0; i < N / 4; i++) ((uint4*)to)[i] = ((const uint4*)from)[i];
    else if constexpr (N == 2)
      *(uint2*)to = *(const uint2*)from;
    else
      to[0] = from[0];
  }
};

// finish(token, unit, row of 16, its sum in each tile)
template <class Finish>
__device__ __forceinline__ void decode_product(const Matrix& matrix, const Inputs& inputs, const Finish& finish) {
  extern __shared__ uint4 dynamic_memory[];  // stages, then normed inputs
  __shared__ u64 barriers[STAGES];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int columns = (matrix.n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, chunks = (columns + CHUNK - 1) / CHUNK;
  const int n_units = (matrix.units - blockIdx.x + gridDim.x - 1) / gridDim.x, n_items = n_units * chunks;
  const auto unit_of = [&](int item) { return blockIdx.x + item / chunks * gridDim.x; };
  const auto staged = [&](int item, int r) {
    return StagedTiles{(char*)dynamic_memory + item % STAGES * STAGE_BYTES + r * (STAGE_BYTES / ROWS)};
  };
  const auto ask = [&](int item) {  // one thread
    const int first = item % chunks * CHUNK, count = min(CHUNK, columns - first);
    u64* barrier = &barriers[item % STAGES];
    barrier_expect(barrier, count * ROWS * TILE_BYTES);
#pragma unroll
    for (int r = 0; r < ROWS; r++)
      staged(item, r).ask(matrix, (long)matrix.tile(unit_of(item), r) * columns + first, count, barrier);
  };
  const auto ask_first = [&]() {
    if (threadIdx.x == 0)
      for (int item = 0; item < min(STAGES, n_items); item++) ask(item);
  };
  if (threadIdx.x == 0)
    for (int i = 0; i < STAGES; i++) barrier_init(&barriers[i]);
  if (PREFETCH) ask_first();
#if NORM
  const NormWeight weight(inputs.weight, inputs.eps);
#endif
  let_next_start();
  wait_for_previous();
  if (!PREFETCH) ask_first();

  const u16* inputs_at[TOKENS];  // those past the last token read the last one's; their results are dropped
#if NORM
  u16* normed = (u16*)((char*)dynamic_memory + STAGES * STAGE_BYTES);
  const int stride = (HIDDEN + 63) / 64 * 64 + 32;  // tokens that are read together lie in different banks
  norm_tokens<8 * TOKENS>((const float*)made_before(inputs.x), inputs.rows, weight, normed, stride, inputs.n);
  const u16* from = normed;
#else
  const int stride = matrix.n_in;
  const u16* from = (const u16*)made_before(inputs.x);
#endif
#pragma unroll
  for (int m = 0; m < TOKENS; m++)
    inputs_at[m] = from + (long)min(m * 8 + lane / 4, inputs.n - 1) * stride + lane % 4 * LANE_COLUMNS;
  __syncthreads();

  Sums total[ROWS][TOKENS] = {};
#if NORM
#define AHEAD 0
#else
#define AHEAD 1  // inputs are read a tile ahead
#endif
  TileInputs ahead;
  if (AHEAD && warp < columns) ahead.read(inputs_at, warp * TILE_COLUMNS, matrix.n_in);
#pragma unroll 1
  for (int item = 0; item < n_items; item++) {
    const int first = item % chunks * CHUNK, end = min(first + CHUNK, columns);
    barrier_wait(&barriers[item % STAGES], item / STAGES);
#pragma unroll 1
    for (int column = first + warp; column < end; column += WARPS) {
      TileInputs now = ahead;
      if (AHEAD)
        ahead.read(inputs_at, (column + WARPS < columns ? column + WARPS : warp) * TILE_COLUMNS, matrix.n_in);
      else
        now.read(inputs_at, column * TILE_COLUMNS, matrix.n_in);
      Tile tiles[ROWS];
#pragma unroll
      for (int r = 0; r < ROWS; r++) staged(item, r).read(tiles[r], column - first, lane);
      accumulate(total, tiles, now);
    }
    if (end == columns) {
      add_up(total, inputs.n, warp, lane,
             [&](int token, int row, const float (&sums)[ROWS]) { finish(token, unit_of(item), row, sums); });
#pragma unroll
      for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int m = 0; m < TOKENS; m++) total[r][m] = Sums();
    }
    if (item + 1 == n_items) break;
    __syncthreads();  // all have read the stage
    if (threadIdx.x == 0 && item + STAGES < n_items) ask(item + STAGES);
  }
}

__device__ __forceinline__ float through_bfloat16(float value) { return widened(rounded(value)); }
