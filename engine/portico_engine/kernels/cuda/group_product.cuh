// A product for more tokens, by warpgroups (compute capability 9.0 alone): weights become bfloat16 in registers, tokens lie in
// shared memory. The blocks of a cluster have the same rows and share the columns; their sums are added up from each other's
// memory.
//   TOKENS      tokens, in eights: 1, 2, 4 or 8
//   WARPGROUPS  of a block
//   STAGES      tiles of columns, of which all but two are on their way

#include "staged_tile.cuh"
#include "warpgroup.cuh"

#define THREADS (128 * WARPGROUPS)
#define MOST_TOKENS (8 * TOKENS)
#define TOKENS_BYTES (MOST_TOKENS * TILE_COLUMNS * 2)  // of a stage
#define BLOCK_TILES (4 * WARPGROUPS)  // of rows, one for each warp
#define SUM_STRIDE (BLOCK_TILES * 16 + 4)

// Tokens' columns on their way to shared memory, a tile at a time. The tensor cores take columns in the order in which lanes have
// the codes: two columns that are neighbours stay so, and go together. What lies where there is no token is not read.
struct StagedTokens {
  const char* from;  // of this thread's first token
  long apart;        // bytes to its next one
  u32 to, count;
  int pair, swizzled;

  __device__ __forceinline__ StagedTokens(u32 stages, const u16* x, int n, int n_in) : pair(threadIdx.x % 64) {
    const int in32 = pair % 16;
    const int half = GROUP == 16 ? in32 / 8 : in32 / 2 % 2, quarter = GROUP == 16 ? in32 / 2 % 4 : in32 / 4;
    const int place = pair / 16 * 16 + half * 8 + in32 % 2 * 4 + quarter, first = threadIdx.x / 64;
    count = max(0, (n - first + STEP - 1) / STEP);
    apart = (long)STEP * n_in * 2;
    from = (const char*)(x + (long)min(first, n - 1) * n_in + pair * 2);
    to = stages + place / 32 * (MOST_TOKENS * 128) + place % 4 * 4 + first * 128;
    swizzled = (place % 32 / 4 ^ first) * 16;
  }

  __device__ __forceinline__ void ask(int column, int n_in) const {
    const int bytes = !RAGGED || column * TILE_COLUMNS + pair * 2 < n_in ? 4 : 0;  // else zeros
    const char* source = from + (bytes ? column * TILE_COLUMNS * 2 : 0);
    const u32 stage = to + column % STAGES * TOKENS_BYTES;
#pragma unroll
    for (int i = 0; i < MOST_TOKENS / STEP; i++) {
      if (i < count)
        asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(stage + i * STEP * 128 + (swizzled ^ i * STEP % 8 * 16)),
                     "l"(source), "r"(bytes) : "memory");
      source += apart;
    }
  }

 private:
  static const int STEP = THREADS / 64;  // tokens between a thread's
};

__device__ __forceinline__ void wait_for_cluster() {
  asm volatile("barrier.cluster.arrive.aligned;\nbarrier.cluster.wait.aligned;" ::: "memory");
}

__device__ __forceinline__ float of_cluster(const float* own, int block) {  // what that block has where this one has `own`
  u32 there;
  float value;
  asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"((u32)__cvta_generic_to_shared(own)), "r"(block));
  asm volatile("ld.shared::cluster.f32 %0, [%1];" : "=f"(value) : "r"(there));
  return value;
}

template <class Finish>
__device__ __forceinline__ void product(const Matrix& matrix, const u16* x, int n, const Finish& finish) {
  extern __shared__ char memory[];
  char* tokens_at = memory + (-(u32)__cvta_generic_to_shared(memory) & 1023);  // stages of tokens, then of tiles; at last sums
  const u32 tokens_from = (u32)__cvta_generic_to_shared(tokens_at);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const int columns = (matrix.n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, blocks = gridDim.z, span = (columns + blocks - 1) / blocks;
  const int begin = min((int)blockIdx.z * span, columns), end = min(begin + span, columns);
  const int tile = min((int)blockIdx.x * BLOCK_TILES + warp, matrix.tiles - 1) * columns;
  const auto tile_stage = [&](int column) {
    return TileStage{tokens_from + STAGES * TOKENS_BYTES + (column % STAGES * BLOCK_TILES + warp) * TILE_BYTES};
  };
  for (int i = 0; i < STAGES - 2; i++)
    if (begin + i < end) tile_stage(begin + i).ask(matrix, tile + begin + i, lane);
  let_next_start();
  wait_for_previous();
  const StagedTokens tokens(tokens_from, made_before(x), n, matrix.n_in);
  for (int i = 0; i < STAGES - 2; i++) {
    if (begin + i < end) tokens.ask(begin + i, matrix.n_in);
    copies_end();  // the tiles, too, with the first of them
  }

  Sums total[TOKENS] = {};
  u32 a[2][4][4];  // of half a tile, while the other half is being multiplied
  group_fence();
#pragma unroll 1
  for (int column = begin; column < end; column++) {
    copies_wait<STAGES - 3>();
    asm volatile("fence.proxy.async.shared::cta;" ::: "memory");
    __syncthreads();  // all have waited for the products with the stage that is filled next: those two tiles ago
    const int next = column + STAGES - 2;
    if (next < end) {
      tile_stage(next).ask(matrix, tile + next, lane);
      tokens.ask(next, matrix.n_in);
    }
    copies_end();
    HeldTile<SCALE_WORDS> now;
    tile_stage(column).read(now, lane);
    const unsigned long long from = group_inputs(tokens_from + column % STAGES * TOKENS_BYTES);
#pragma unroll
    for (int h = 0; h < 2; h++) {
      group_wait<1>();  // for those that read these registers
#pragma unroll
      for (int k = 0; k < 4; k++) {
        const int group32 = h * 2 + k / 2, half = k % 2, group = GROUP_OF(group32, half);
        const Scale scale[2] = {scale_of(now.scales[0], group), scale_of(now.scales[1], group)};
#pragma unroll
        for (int i = 0; i < 4; i++)
          a[h][k][i] = scaled(codes_of(now.low[i % 2], now.high[i % 2], group32, half * 2 + i / 2), scale[i % 2]);
      }
      group_fence();
#pragma unroll
      for (int k = 0; k < 4; k++) group_multiply(total, a[h][k], from + ((h * MOST_TOKENS * 128 + k * 32) >> 4));
      group_commit();
    }
  }
  group_wait<0>();
  asm volatile("cp.async.wait_all;");
  __syncthreads();
  float* sums = (float*)tokens_at;  // [token][row]
#pragma unroll
  for (int m = 0; m < TOKENS; m++)
#pragma unroll
    for (int i = 0; i < 4; i++)
      sums[(m * 8 + lane % 4 * 2 + i % 2) * SUM_STRIDE + warp * 16 + lane / 4 + i / 2 * 8] = total[m].at[i];
  wait_for_cluster();
  const int row = threadIdx.x % (BLOCK_TILES * 16), apart = blocks * (THREADS / (BLOCK_TILES * 16));
  for (int token = blockIdx.z + blocks * (threadIdx.x / (BLOCK_TILES * 16)); token < n; token += apart) {
    float sum = 0;
#pragma unroll 4
    for (int block = 0; block < blocks; block++) sum += of_cluster(&sums[token * SUM_STRIDE + row], block);
    finish(token, blockIdx.x * BLOCK_TILES * 16 + row, sum);
  }
  wait_for_cluster();  // until the others have read
}
