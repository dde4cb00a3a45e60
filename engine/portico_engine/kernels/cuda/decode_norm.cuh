// RMS norm of tokens of the float32 stream by a whole block: to[token][i] = bfloat16 of x * scale * weight, as add_norm's.
//   HIDDEN  columns, a multiple of 4
//   WARPS   of a block
// Sums of squares are added up in one order whatever `n` is.

template <int MOST>
__device__ __forceinline__ void norm_tokens(
    const float* x, const float* __restrict__ weight, float eps, u16* to, int to_stride, int n) {
  __shared__ float squares[WARPS][MOST];
  float sums[MOST] = {};
#pragma unroll
  for (int token = 0; token < MOST; token++)
    if (token < n)
      for (int i = threadIdx.x * 4; i < HIDDEN; i += 32 * WARPS * 4) {
        const float4 at = *(const float4*)(x + (long)token * HIDDEN + i);
        sums[token] += at.x * at.x + at.y * at.y + at.z * at.z + at.w * at.w;
      }
#pragma unroll
  for (int token = 0; token < MOST; token++)
    if (token < n) {
#pragma unroll
      for (int apart = 16; apart; apart /= 2) sums[token] += __shfl_xor_sync(0xFFFFFFFF, sums[token], apart);
      if (threadIdx.x % 32 == 0) squares[threadIdx.x / 32][token] = sums[token];
    }
  __syncthreads();
  for (int token = 0; token < n; token++) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) sum += squares[w][token];
    const float scale = rsqrtf(sum / HIDDEN + eps);
    for (int i = threadIdx.x * 4; i < HIDDEN; i += 32 * WARPS * 4) {
      const float4 at = *(const float4*)(x + (long)token * HIDDEN + i), by = *(const float4*)(weight + i);
      *(uint2*)(to + (long)token * to_stride + i) = make_uint2(
          both_rounded(at.x * scale * by.x, at.y * scale * by.y), both_rounded(at.z * scale * by.z, at.w * scale * by.w));
    }
  }
}
