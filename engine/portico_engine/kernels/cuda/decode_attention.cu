// Attention of the tokens of a decode step over paged KV. Blocks are (tokens, key/value heads, parts of a context); how many
// parts have work follows from the context, so that a captured graph serves any. The last part to finish adds up all of them
// (Flash-Decoding, Dao et al. 2023), in their order. Compiled with
//   HEAD_DIM  a multiple of 64
//   GROUP     query heads of a key/value head, at most 8
//   KV_HEADS
//   BLOCK     positions of a block of the cache: 16, what a warp takes at a time
//   PARTS     at most; SPAN blocks of the cache make it worthwhile to begin another
//   WARPS     of a block, which share the part's blocks between them
//   PREFETCH  1 to read what earlier steps have left before this one's is there
//
// A warp's mma are of 16 heads, 8 of them zeros. Lane 4 g + t has head g; of the keys positions g and 8 + g, dimensions
// 8 t to 8 t + 7 of each 32; of the values positions 2 t, 2 t + 1, 8 + 2 t and 9 + 2 t, dimensions 8 g to 8 g + 7 of each 64.

#include "tensor_cores.cuh"
#include "launch_overlap.cuh"

#define NOTHING -1e30f  // a score that weighs nothing

struct Accumulated {  // of a lane's head
  float top = NOTHING, total = 0;  // the highest score; the sum of the lane's weights
  Sums mixed[HEAD_DIM / 64][8] = {};  // values of dimensions 16 t + i and 16 t + 8 + i of each 64
};

__device__ __forceinline__ u32 paired(const uint4& first, const uint4& second, int i) {  // their i-th numbers side by side
  const u32* a = &first.x;
  const u32* b = &second.x;
  return __byte_perm(a[i / 2], b[i / 2], i % 2 ? 0x7632 : 0x5410);
}

struct CacheBlock {  // a lane's part of a block of the cache
  uint4 k[2][HEAD_DIM / 32], v[HEAD_DIM / 64][4];

  __device__ __forceinline__ void read(const u16* keys, const u16* values, int left, int g, int t) {  // `left` positions are seen
#pragma unroll
    for (int c = 0; c < HEAD_DIM / 32; c++)
#pragma unroll
      for (int j = 0; j < 2; j++) k[j][c] = *(const uint4*)(keys + (j * 8 + g) * HEAD_DIM + c * 32 + t * 8);
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int position = i / 2 * 8 + t * 2 + i % 2;
#pragma unroll
      for (int s = 0; s < HEAD_DIM / 64; s++)  // what is not seen may be no numbers: zero times that is none either
        v[s][i] = position < left ? *(const uint4*)(values + position * HEAD_DIM + s * 64 + g * 8) : make_uint4(0, 0, 0, 0);
    }
  }
};

// `left` of the block's positions are seen.
__device__ __forceinline__ void attend(
    Accumulated& to, const uint4 (&q)[HEAD_DIM / 32], const CacheBlock& block, int left, int g, int t) {
  const auto& k = block.k;
  const auto& v = block.v;
  const float scale = rsqrtf((float)HEAD_DIM) * 1.4426950408889634f;
  float scores[4];
#pragma unroll
  for (int j = 0; j < 2; j++) {
    Sums sum = {};
#pragma unroll
    for (int c = 0; c < HEAD_DIM / 32; c++) {
      const u32 first[4] = {q[c].x, 0, q[c].y, 0}, second[4] = {q[c].z, 0, q[c].w, 0};
      sum = multiply(first, make_uint2(k[j][c].x, k[j][c].y), sum);
      sum = multiply(second, make_uint2(k[j][c].z, k[j][c].w), sum);
    }
#pragma unroll
    for (int i = 0; i < 2; i++) scores[j * 2 + i] = j * 8 + t * 2 + i < left ? sum.at[i] * scale : NOTHING;
  }
  float top = fmaxf(fmaxf(scores[0], scores[1]), fmaxf(scores[2], scores[3]));
  top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, 1));
  top = fmaxf(fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, 2)), to.top);
  const float shrink = exp2f(to.top - top);
#pragma unroll
  for (int i = 0; i < 4; i++) scores[i] = exp2f(scores[i] - top);
  to.top = top;
  to.total = to.total * shrink + (scores[0] + scores[1] + scores[2] + scores[3]);
  const u32 weights[4] = {both_rounded(scores[0], scores[1]), 0, both_rounded(scores[2], scores[3]), 0};
#pragma unroll
  for (int s = 0; s < HEAD_DIM / 64; s++)
#pragma unroll
    for (int i = 0; i < 8; i++) {
      Sums& mixed = to.mixed[s][i];
      mixed.at[0] *= shrink;
      mixed.at[1] *= shrink;
      mixed = multiply(weights, make_uint2(paired(v[s][0], v[s][1], i), paired(v[s][2], v[s][3], i)), mixed);
    }
}

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_attention(
    const u16* queries,  // [tokens][KV_HEADS * GROUP][HEAD_DIM]
    const u16* kv, long head_stride, const int* positions, const int* slots, const int* tables, int table_stride,
    u16* out,                    // like queries
    float* parts, float* tops,   // [tokens][KV_HEADS][PARTS][GROUP][HEAD_DIM or 1], of those who are not alone
    int* finished) {             // [tokens][KV_HEADS], zeros before and after
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32, g = lane / 4, t = lane % 4;
  const int token = blockIdx.x, head = blockIdx.y, part = blockIdx.z;
  const int seen = max(positions[token] + 1, 0);
  const int* table = tables + (long)slots[token] * table_stride;
  const int blocks = (seen + BLOCK - 1) / BLOCK;
  const int span = max((blocks + PARTS - 1) / PARTS, SPAN), n_parts = max((blocks + span - 1) / span, 1);
  const int end = min((part + 1) * span, blocks);
  // Blocks whose positions all were before this step, of which at most all tokens are this context's, are there already.
  const auto is_old = [&](int block) { return PREFETCH && (block + 1) * BLOCK <= seen - (int)gridDim.x; };
  const auto read = [&](CacheBlock& to, const u16* from, int block) {
    const u16* keys = from + head * head_stride + (long)table[block] * BLOCK * HEAD_DIM;
    to.read(keys, keys + KV_HEADS * head_stride, seen - block * BLOCK, g, t);
  };
  int i = part * span + warp;
  CacheBlock block;
  if (i < end && is_old(i)) read(block, kv, i);
  let_next_start();
  wait_for_previous();
  if (part >= n_parts) return;

  const u16* queried = made_before(queries) + (long)(token * KV_HEADS + head) * GROUP * HEAD_DIM;
  uint4 q[HEAD_DIM / 32];
#pragma unroll
  for (int c = 0; c < HEAD_DIM / 32; c++)
    q[c] = g < GROUP ? *(const uint4*)(queried + g * HEAD_DIM + c * 32 + t * 8) : make_uint4(0, 0, 0, 0);
  Accumulated own;
  const u16* written = made_before(kv);
  if (i < end && !is_old(i)) read(block, written, i);
  for (; i < end; i += WARPS) {
    const CacheBlock now = block;
    if (i + WARPS < end) read(block, written, i + WARPS);
    attend(own, q, now, seen - i * BLOCK, g, t);
  }
  own.total += __shfl_xor_sync(0xFFFFFFFF, own.total, 1);
  own.total += __shfl_xor_sync(0xFFFFFFFF, own.total, 2);

  // The warps' parts, then those of all blocks.
  __shared__ float mixed_of[WARPS][GROUP][HEAD_DIM], top_of[WARPS][GROUP], total_of[WARPS][GROUP];
  if (g < GROUP) {
#pragma unroll
    for (int s = 0; s < HEAD_DIM / 64; s++)
#pragma unroll
      for (int i = 0; i < 8; i++)
#pragma unroll
        for (int k = 0; k < 2; k++) mixed_of[warp][g][s * 64 + t * 16 + k * 8 + i] = own.mixed[s][i].at[k];
    if (t == 0) {
      top_of[warp][g] = own.top;
      total_of[warp][g] = own.total;
    }
  }
  __syncthreads();
  const long group = (long)token * KV_HEADS + head;
  for (int i = threadIdx.x; i < GROUP * HEAD_DIM; i += 32 * WARPS) {
    const int of = i / HEAD_DIM;
    float top = NOTHING, total = 0, mixed = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) top = fmaxf(top, top_of[w][of]);
#pragma unroll
    for (int w = 0; w < WARPS; w++) {
      const float weight = exp2f(top_of[w][of] - top);
      total += weight * total_of[w][of];
      mixed += weight * mixed_of[w][of][i % HEAD_DIM];
    }
    mixed = total > 0 ? mixed / total : 0;
    if (n_parts == 1) {
      out[group * GROUP * HEAD_DIM + i] = rounded(mixed);
      continue;
    }
    parts[(group * PARTS + part) * GROUP * HEAD_DIM + i] = mixed;
    if (i % HEAD_DIM == 0) tops[(group * PARTS + part) * GROUP + of] = total > 0 ? top + log2f(total) : NOTHING;
  }
  if (n_parts == 1) return;

  __shared__ int is_last;
  __threadfence();
  __syncthreads();
  if (threadIdx.x == 0) is_last = atomicAdd(&finished[group], 1) == n_parts - 1;
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  if (threadIdx.x == 0) finished[group] = 0;
  for (int i = threadIdx.x; i < GROUP * HEAD_DIM; i += 32 * WARPS) {
    const float* part_tops = tops + group * PARTS * GROUP + i / HEAD_DIM;
    float top = NOTHING, total = 0, mixed = 0;
    for (int p = 0; p < n_parts; p++) top = fmaxf(top, __ldcg(part_tops + p * GROUP));
    for (int p = 0; p < n_parts; p++) {
      const float weight = exp2f(__ldcg(part_tops + p * GROUP) - top);
      total += weight;
      mixed += weight * __ldcg(parts + (group * PARTS + p) * GROUP * HEAD_DIM + i);
    }
    out[group * GROUP * HEAD_DIM + i] = rounded(mixed / total);
  }
}
