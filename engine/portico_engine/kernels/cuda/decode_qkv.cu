// Queries, keys and values of a decode step: norm, product, rotary embedding; keys and values go to their blocks.
// A unit is two tiles of a head that are rotated together. Also with
//   HEAD_DIM, HEADS, KV_HEADS, BLOCK (positions of a block)

#include "decode_product.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_qkv(
    const void* x, const float* __restrict__ norm, const float* __restrict__ eps, const u32* __restrict__ low,
    const u32* __restrict__ high, const u32* __restrict__ scales, const u16* __restrict__ bias, int n, int n_in, int n_out,
    int first_row,  // of these rows among all queries, keys and values
    const float* __restrict__ cos, const float* __restrict__ sin,  // [position][HEAD_DIM], or null for no rotation
    const int* positions, const int* slots, const int* tables, int table_stride,
    u16* queries,  // [n][HEADS][HEAD_DIM]
    u16* kv, long head_stride) {
  const int half = HEAD_DIM / 2;
  __shared__ int position_of[8 * TOKENS], slot_of[8 * TOKENS];  // of the cache; they are there before the step begins
  if (threadIdx.x < n) {
    const int position = positions[threadIdx.x], block = max(position, 0) / BLOCK;
    position_of[threadIdx.x] = position;
    slot_of[threadIdx.x] = tables[(long)slots[threadIdx.x] * table_stride + block] * BLOCK + position % BLOCK;
  }
  decode_product(
      {low, high, scales, n_in, n_out / 32, half / 16}, {x, norm, eps, nullptr, n},
      [&](int token, int unit, int row, const float (&sums)[2]) {
        const int in_part = unit / (half / 16) * HEAD_DIM + unit % (half / 16) * 16 + row;
        const int head = (first_row + in_part) / HEAD_DIM, at = in_part % HEAD_DIM, position = position_of[token];
        float first = through_bfloat16(sums[0] + bias_of(bias, in_part));
        float second = through_bfloat16(sums[1] + bias_of(bias, in_part + half));
        if (cos && head < HEADS + KV_HEADS) {
          const long angle = (long)max(position, 0) * HEAD_DIM + at;
          const float c = cos[angle], s = sin[angle + half], low = first;
          first = low * c - second * s;
          second = second * c + low * s;
        }
        u16* to = queries + ((long)token * HEADS + head) * HEAD_DIM;
        if (head >= HEADS) {
          if (position < 0) return;  // padding
          to = kv + (head - HEADS) * head_stride + (long)slot_of[token] * HEAD_DIM;
        }
        to[at] = rounded(first);
        to[at + half] = rounded(second);
      });
}
