// y[token][row] of `n` tokens x[token][column] and `n_out` rows, for many tokens: each warp has rows of its own, and all read
// the tokens in shared memory, where they are staged two tiles ahead. Also with
//   TOKENS  tokens of a block, in eights
//   ROWS    tiles of 16 rows of a warp
//   WARPS   of a block
// Blocks are (rows, tokens, parts of `span` tiles of columns). Several parts leave their sums in `parts` for add_parts.

#include "quantized.cuh"

#define STAGES 3
#define CHUNKS (TILE_COLUMNS / 8)  // of 16 bytes, of a token's inputs in a tile

__device__ __forceinline__ void copy_later(void* to, const void* from, int bytes) {  // 16 bytes, zeros past so many
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"((u32)__cvta_generic_to_shared(to)), "l"(from), "r"(bytes));
}

extern "C" __global__ void __launch_bounds__(32 * WARPS) many_tokens(
    const u16* __restrict__ x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, float* __restrict__ parts, int n, int n_in, int n_out, int y_stride,
    int span EXPERT_ARGUMENTS) {
  __shared__ uint4 staged[STAGES][TOKENS * 8][CHUNKS];
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, quarter = lane % 4;
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS, tiles = (n_out + 15) / 16;
  const int first_tile = (blockIdx.x * WARPS + warp) * ROWS;
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
  const int begin = blockIdx.z * span, end = min(begin + span, columns);

  // Chunks are permuted so that the lanes of a warp find theirs in different banks.
  const auto permuted = [](int token, int chunk) { return chunk ^ ((token & 1) << 2 | (token & 2)); };
  const int copies = TOKENS * 8 * CHUNKS / (32 * WARPS), apart = 32 * WARPS / CHUNKS;  // a thread's, and tokens between them
  const int chunk = threadIdx.x % CHUNKS, token = threadIdx.x / CHUNKS;
  const u16* copied_from[copies];
#pragma unroll
  for (int i = 0; i < copies; i++)
    copied_from[i] = x + (long)input_row(min(first_token + token + i * apart, n - 1)) * n_in + begin * TILE_COLUMNS + chunk * 8;
  const auto stage = [&](int column) {
    if (column < end) {
      const int bytes = !RAGGED || column * TILE_COLUMNS + chunk * 8 < n_in ? 16 : 0;
#pragma unroll
      for (int i = 0; i < copies; i++) {
        copy_later(&staged[column % STAGES][token + i * apart][permuted(token + i * apart, chunk)], copied_from[i], bytes);
        copied_from[i] += TILE_COLUMNS;
      }
    }
    asm volatile("cp.async.commit_group;");
  };

  Cursor cursors[ROWS];
#pragma unroll
  for (int r = 0; r < ROWS; r++)
    cursors[r].start(low, high, scales, (skipped + min(first_tile + r, tiles - 1)) * columns + begin, lane);
  Tile next[ROWS];
  const auto fetch = [&]() {
#pragma unroll
    for (int r = 0; r < ROWS; r++) cursors[r].read(next[r], 1);
  };

  Sums total[ROWS][TOKENS] = {};
#pragma unroll
  for (int i = 0; i < STAGES - 1; i++) stage(begin + i);
  fetch();
#pragma unroll 1
  for (int column = begin; column < end; column++) {
    asm volatile("cp.async.wait_group %0;" ::"n"(STAGES - 2));
    __syncthreads();
    stage(column + STAGES - 1);
    Tile now[ROWS];
#pragma unroll
    for (int r = 0; r < ROWS; r++) now[r] = next[r];
    if (column + 1 < end) fetch();
    const uint4* inputs = &staged[column % STAGES][lane / 4][0];
#pragma unroll
    for (int group32 = 0; group32 < 4; group32++) {
      u32 a[ROWS][2][4];
#pragma unroll
      for (int r = 0; r < ROWS; r++)
#pragma unroll
        for (int half = 0; half < 2; half++) {
          const int group = GROUP_OF(group32, half);
          const Scale scale[2] = {scale_of(now[r].scales[0], group), scale_of(now[r].scales[1], group)};
#pragma unroll
          for (int i = 0; i < 4; i++)
            a[r][half][i] = scaled(codes_of(now[r].low[i % 2], now[r].high[i % 2], group32, half * 2 + i / 2), scale[i % 2]);
        }
#pragma unroll
      for (int m = 0; m < TOKENS; m++) {
        const uint4* of = inputs + m * 8 * CHUNKS;
        uint2 b[2];
        if (GROUP != 16) {
          const uint4 both = of[permuted(lane / 4, group32 * 4 + quarter)];
          b[0] = make_uint2(both.x, both.y);
          b[1] = make_uint2(both.z, both.w);
        } else {
#pragma unroll
          for (int half = 0; half < 2; half++)
            b[half] = ((const uint2*)&of[permuted(lane / 4, group32 * 4 + half * 2 + quarter / 2)])[quarter % 2];
        }
#pragma unroll
        for (int r = 0; r < ROWS; r++)
#pragma unroll
          for (int half = 0; half < 2; half++) total[r][m] = multiply(a[r][half], b[half], total[r][m]);
      }
    }
  }

#pragma unroll
  for (int r = 0; r < ROWS; r++)
#pragma unroll
    for (int m = 0; m < TOKENS; m++)
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const int token = first_token + m * 8 + quarter * 2 + i % 2, row = (first_tile + r) * 16 + lane / 4 + i / 2 * 8;
        if (token >= n || row >= n_out) continue;
        const float sum = total[r][m].at[i];
        if (parts)
          parts[((long)blockIdx.z * n + token) * n_out + row] = sum;
        else
          put(y[(long)output_row(token) * y_stride + row], sum + bias_of(bias, row));
      }
}

// y[token][row] from the sums of the parts; blocks are (rows, tokens).
extern "C" __global__ void add_parts(
    const float* __restrict__ parts, const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_out, int y_stride,
    int n_parts) {
  const int row = blockIdx.x * blockDim.x + threadIdx.x, token = blockIdx.y;
  if (row >= n_out) return;
  float sum = bias_of(bias, row);
  for (int part = 0; part < n_parts; part++) sum += parts[((long)part * n + token) * n_out + row];
  put(y[(long)token * y_stride + row], sum);
}
