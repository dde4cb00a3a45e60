// The likeliest allowed token of each row of logits. Blocks are (parts of the vocabulary, rows); a row's last block to finish
// says what was found.
//   masks    [rows][1 + words]: is the row masked? then a bit a token, none beyond the last word's; null where no row is
//   found    [2][rows]: the token, the first of equals; its logit, no number where any is none
//   best     [rows], zeros before and after: the upper half is the logit, in the order of unsigned numbers, with what is no
//            number above all; the lower half the token, flipped
//   arrived  [rows], zeros before and after
// Logits that are refused become -inf where `write`.

typedef unsigned int u32;
typedef unsigned long long u64;

#define THREADS 256

__device__ __forceinline__ u64 ordered(float logit, u32 token) {
  const u32 bits = isnan(logit) ? 0x7FFFFFFF : __float_as_uint(logit);
  return (u64)(bits >> 31 ? ~bits : bits | 0x80000000) << 32 | (0xFFFFFFFF - token);
}

__device__ __forceinline__ float logit_of(u64 key) {
  const u32 bits = key >> 32;
  return __uint_as_float(bits >> 31 ? bits & 0x7FFFFFFF : ~bits);
}

extern "C" __global__ void __launch_bounds__(THREADS) masked_argmax(
    float* logits, long stride, const int* masks, int words, double* found, u64* best, int* arrived, int vocab, int write) {
  const int of = blockIdx.y;
  float* row = logits + of * stride;
  const u32* mask = (const u32*)masks + (long)of * (1 + words);
  const bool masked = masks && mask[0];
  u64 own = 0;
  for (int token = blockIdx.x * THREADS + threadIdx.x; token < vocab; token += gridDim.x * THREADS) {
    float logit = row[token];
    if (masked && (token / 32 >= words || !(mask[1 + token / 32] >> token % 32 & 1))) {
      logit = __uint_as_float(0xFF800000);
      if (write) row[token] = logit;
    }
    own = max(own, ordered(logit, token));
  }
#pragma unroll
  for (int apart = 16; apart; apart /= 2) own = max(own, __shfl_xor_sync(0xFFFFFFFF, own, apart));
  __shared__ u64 of_warp[THREADS / 32];
  if (threadIdx.x % 32 == 0) of_warp[threadIdx.x / 32] = own;
  __syncthreads();
  if (threadIdx.x) return;
  for (int warp = 0; warp < THREADS / 32; warp++) own = max(own, of_warp[warp]);
  atomicMax(best + of, own);
  __threadfence();
  if (atomicAdd(arrived + of, 1) < (int)gridDim.x - 1) return;
  own = atomicExch(best + of, 0ull);
  arrived[of] = 0;
  found[of] = 0xFFFFFFFF - (u32)own;
  found[gridDim.y + of] = logit_of(own);
}
