// y[token][row] of `n` tokens x[token][column] and `n_out` rows, on a GPU of compute capability 9.0. Blocks are (tiles of rows,
// tokens, parts of the columns). Compiled with WARPGROUP, 1 for cuda/group_product.cuh and 0 for cuda/stream_product.cuh, and what
// these say.

#include "quantized.cuh"
#include "launch_overlap.cuh"

struct Matrix {
  const u32 *low, *high, *scales;
  int n_in, tiles;  // of rows
};

#if WARPGROUP
#include "group_product.cuh"
#else
#include "stream_product.cuh"
#endif

extern "C" __global__ void __launch_bounds__(THREADS, 1) product_tokens(
    const u16* x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_in, int n_out, int y_stride) {
  const int first = blockIdx.y * 8 * TOKENS;
  product({low, high, scales, n_in, (n_out + 15) / 16}, x + (long)first * n_in, min(n - first, 8 * TOKENS),
          [&](int token, int row, float sum) {
            if (row < n_out) put(y[(long)(first + token) * y_stride + row], sum + bias_of(bias, row));
          });
}
