// RMS norm of tokens of the float32 stream by a whole block: bfloat16 of x * scale * weight, as add_norm's.
//   HIDDEN  columns, a multiple of 4
//   WARPS   of a block
// Sums of squares are added up in one order whatever the number of tokens.

#define NORM_CHUNKS ((HIDDEN + 32 * WARPS * 4 - 1) / (32 * WARPS * 4))  // of 4 columns, a thread's

template <class Do>
__device__ __forceinline__ void for_own_chunks(const Do& run) {  // run(chunk, column)
#pragma unroll
  for (int chunk = 0; chunk < NORM_CHUNKS; chunk++) {
    const int column = (chunk * 32 * WARPS + threadIdx.x) * 4;
    if (column < HIDDEN) run(chunk, column);
  }
}

struct NormWeight {  // a thread's; depends on no other kernel
  float4 at[NORM_CHUNKS];
  float eps;

  __device__ __forceinline__ NormWeight(const float* weight, const float* eps_) : eps(*eps_) {
    for_own_chunks([&](int chunk, int column) { at[chunk] = *(const float4*)(weight + column); });
  }
};

// to[token][column] of `n` tokens, at most MOST: the stream's, those that `rows` names or else the first.
template <int MOST>
__device__ __forceinline__ void norm_tokens(
    const float* x, const int* rows, const NormWeight& weight, u16* to, int to_stride, int n) {
  __shared__ float squares[WARPS][MOST];
  const auto of = [&](int token) { return x + (long)(rows ? rows[token] : token) * HIDDEN; };
  float sums[MOST] = {};
#pragma unroll
  for (int token = 0; token < MOST; token++)
    if (token < n)
      for_own_chunks([&](int, int column) {
        const float4 at = *(const float4*)(of(token) + column);
        sums[token] += at.x * at.x + at.y * at.y + at.z * at.z + at.w * at.w;
      });
#pragma unroll
  for (int token = 0; token < MOST; token++)
    if (token < n) {
#pragma unroll
      for (int apart = 16; apart; apart /= 2) sums[token] += __shfl_xor_sync(0xFFFFFFFF, sums[token], apart);
      if (threadIdx.x % 32 == 0) squares[threadIdx.x / 32][token] = sums[token];
    }
  __syncthreads();
#pragma unroll 1
  for (int token = 0; token < n; token++) {
    float sum = 0;
#pragma unroll
    for (int w = 0; w < WARPS; w++) sum += squares[w][token];
    const float scale = rsqrtf(sum / HIDDEN + weight.eps);
    for_own_chunks([&](int chunk, int column) {
      const float4 at = *(const float4*)(of(token) + column), by = weight.at[chunk];
      *(uint2*)(to + (long)token * to_stride + column) = make_uint2(
          both_rounded(at.x * scale * by.x, at.y * scale * by.y), both_rounded(at.z * scale * by.z, at.w * scale * by.w));
    });
  }
}
