// A product for at most 2 tokens of a large matrix: blocks stay, each for tile of rows blockIdx.x and every so many more; their
// warps share the columns, and each has its next tiles on their way to shared memory across rows, so that memory never waits for
// the end of a row of tiles. The 8 columns of the tensor cores' product are 2 tokens x 4 groups of 32 columns, each with zeros beside
// its own group: so a tile's scales are applied once, not once for each of 8 tokens.
//   WARPS    of a block, at most the matrix's columns in tiles
//   STAGES   tiles of a warp, of which all but one are on their way
//   SLOTS    tiles of rows whose sums wait to be added up together

#include "staged_tile.cuh"

#define THREADS (32 * WARPS)
#define HALVES (GROUP == 16 ? 2 : 1)  // of 32 columns, with a scale each
#define NEEDS_SUMS (OFFSET || BIASED)
// A lane's sums are of two groups of 32: it reads their scales only, where groups are no wider.
#define LANE_WORDS (GROUP <= 32 ? SCALE_WORDS / 2 : SCALE_WORDS)
#define PART 32  // sums of a warp in a slot: [token][row]

typedef HeldTile<LANE_WORDS> Held;

// Inputs of one tile, and what is added up of them.
struct StreamInputs {
  const u16* from;  // a token's first column of this lane
  int n_in, group;  // the group of 32 that this lane has inputs of
  u32 at[4][4];     // zeros but in that group

  __device__ __forceinline__ StreamInputs(const u16* x, int n, int n_in_, int lane) : n_in(n_in_), group(lane / 4 % 4), at{} {
    from = x + (long)min(lane / 16, n - 1) * n_in + lane % 4 * LANE_COLUMNS;
  }

  __device__ __forceinline__ void read(int column) {
#pragma unroll
    for (int g = 0; g < 4; g++) {
      const u16* of = from + column * TILE_COLUMNS + g * 32;
      const int here = group == g && (!RAGGED || column * TILE_COLUMNS + g * 32 < n_in);
      if (RAGGED && !here) at[g][0] = at[g][1] = at[g][2] = at[g][3] = 0;
      if (GROUP != 16)
        asm("{.reg .pred p; setp.ne.s32 p, %5, 0; @p ld.global.v4.u32 {%0, %1, %2, %3}, [%4];}"
            : "+r"(at[g][0]), "+r"(at[g][1]), "+r"(at[g][2]), "+r"(at[g][3])
            : "l"(of), "r"(here));
      else
#pragma unroll
        for (int half = 0; half < 2; half++)
          asm("{.reg .pred p; setp.ne.s32 p, %3, 0; @p ld.global.v2.u32 {%0, %1}, [%2];}"
              : "+r"(at[g][2 * half]), "+r"(at[g][2 * half + 1])
              : "l"(of + half * HALF_COLUMNS), "r"(here));
    }
  }

  __device__ __forceinline__ uint2 half_of(int g, int half) const { return make_uint2(at[g][2 * half], at[g][2 * half + 1]); }
};

#define SUMS_OF_TILE (HALVES * 8)  // floats: [half][token and group]

__device__ __forceinline__ void sum_inputs(const StreamInputs& inputs, float* to, int lane) {
  const u32 ones[4] = {ONE, ONE, ONE, ONE};
  Sums sums[HALVES] = {};
#pragma unroll
  for (int g = 0; g < 4; g++)
#pragma unroll
    for (int half = 0; half < 2; half++)
      sums[half % HALVES] = multiply(ones, inputs.half_of(g, half), sums[half % HALVES]);
  if (lane < 4)
#pragma unroll
    for (int half = 0; half < HALVES; half++)
      *(float2*)&to[half * 8 + lane * 2] = make_float2(sums[half].at[0], sums[half].at[1]);
}

struct Total {  // a lane's, of rows lane / 4 and 8 more, of its two groups of one token
  float at[2];
};

__device__ __forceinline__ void accumulate(Total& total, const Held& tile, const StreamInputs& inputs, const float* sums_of,
                                           int lane) {
  float2 of[HALVES] = {};
  if (NEEDS_SUMS)
#pragma unroll
    for (int half = 0; half < HALVES; half++) of[half] = *(const float2*)&sums_of[half * 8 + lane % 4 * 2];
  Sums sums[2] = {};  // of halves where they have scales of their own, else two of the same for shorter chains
  if (BIASED)
#pragma unroll
    for (int half = 0; half < HALVES; half++) {
      const float x = -TOO_MUCH * of[half].x, y = -TOO_MUCH * of[half].y;
      sums[half] = Sums{{x, y, x, y}};
    }
#pragma unroll
  for (int g = 0; g < 4; g++)
#pragma unroll
    for (int half = 0; half < 2; half++) {
      u32 a[4];
#pragma unroll
      for (int i = 0; i < 4; i++) a[i] = codes_of(tile.low[i % 2], tile.high[i % 2], g, half * 2 + i / 2);
      sums[half] = multiply(a, inputs.half_of(g, half), sums[half]);
    }
#pragma unroll
  for (int side = 0; side < 2; side++)
#pragma unroll
    for (int second = 0; second < 2; second++)
#pragma unroll
      for (int half = 0; half < HALVES; half++) {
        const int group = GROUP <= 32 ? second * HALVES + half : 0;  // of those that were read
        u32 word = tile.scales[side][(OFFSET ? 2 * group : group) / 2];
        int place = OFFSET ? 0 : group % 2;
        if (GROUP == 64) {  // of the groups of 64, this lane's is the first or the second
          if (OFFSET && lane % 2) word = tile.scales[side][SCALE_WORDS - 1];
          if (!OFFSET) word >>= lane % 2 * 16;
        }
        float sum = sums[half].at[side * 2 + second];
        if (HALVES == 1) sum += sums[1].at[side * 2 + second];
        total.at[side] += half_at(&word, place) * sum;
        if (OFFSET) total.at[side] += half_at(&word, 1) * (second ? of[half].y : of[half].x);
      }
}

__device__ __forceinline__ void leave(Total& total, float* part, int lane) {
#pragma unroll
  for (int side = 0; side < 2; side++) {
    const float sum = total.at[side] + __shfl_xor_sync(~0u, total.at[side], 1);
    if (lane % 2 == 0) part[lane % 4 / 2 * 16 + side * 8 + lane / 4] = sum;
  }
  total = Total();
}

template <class Finish>
__device__ __forceinline__ void product(const Matrix& matrix, const u16* x, int n, const Finish& finish) {
  extern __shared__ uint4 memory[];  // the warps' stages, sums of the inputs' groups by tile of columns, the warps' parts by slot
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int columns = (matrix.n_in + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const int n_rows = (matrix.tiles - (int)blockIdx.x + (int)gridDim.x - 1) / (int)gridDim.x;  // of tiles, of this block
  const u32 stages = (u32)__cvta_generic_to_shared(memory) + warp * (STAGES * TILE_BYTES);
  float* input_sums = (float*)((char*)memory + WARPS * STAGES * TILE_BYTES);
  float* parts = input_sums + columns * SUMS_OF_TILE;

  int next_row = blockIdx.x, next_column = warp, next_stage = 0;
  const auto ask = [&]() {
    if (next_row < matrix.tiles) TileStage{stages + next_stage * TILE_BYTES}.ask(matrix, next_row * columns + next_column, lane);
    copies_end();
    if (++next_stage == STAGES) next_stage = 0;
    next_column += WARPS;
    if (next_column < columns) return;
    next_column = warp;
    next_row += gridDim.x;
  };
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) ask();
  let_next_start();
  wait_for_previous();

  StreamInputs now(made_before(x), n, matrix.n_in, lane);
  if (NEEDS_SUMS) {
#pragma unroll 1
    for (int column = warp; column < columns; column += WARPS) {
      now.read(column);
      sum_inputs(now, input_sums + column * SUMS_OF_TILE, lane);
    }
    __syncwarp();
  }

  Total total = {};
  int done = 0, column = warp, stage = 0;
  const auto add_up = [&]() {
    const int slots = (done - 1) % SLOTS + 1;
    __syncthreads();
    for (int i = threadIdx.x; i < slots * n * 16; i += THREADS) {
      const int row = i % 16, token = i / 16 % n, slot = i / (16 * n);
      const float* at = parts + slot * WARPS * PART + token * 16 + row;
      float sum = 0;
#pragma unroll
      for (int w = 0; w < WARPS; w++) sum += at[w * PART];
      finish(token, ((done - slots + slot) * (int)gridDim.x + (int)blockIdx.x) * 16 + row, sum);
    }
    if (done < n_rows) __syncthreads();
  };
#pragma unroll 1
  while (done < n_rows) {
    copies_wait<STAGES - 2>();
    __syncwarp();
    Held tile;
    TileStage{stages + stage * TILE_BYTES}.read(tile, lane, GROUP <= 32 ? lane % 2 * LANE_WORDS : 0);
    if (++stage == STAGES) stage = 0;
    ask();  // into the stage that all have read before they waited
    now.read(column);
    accumulate(total, tile, now, input_sums + column * SUMS_OF_TILE, lane);
    column += WARPS;
    if (column < columns) continue;
    column = warp;
    leave(total, parts + (done % SLOTS * WARPS + warp) * PART, lane);
    done++;
    if (done % SLOTS == 0 || done == n_rows) add_up();
  }
}
