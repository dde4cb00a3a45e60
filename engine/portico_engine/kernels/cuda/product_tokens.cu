// y[token][row] of `n` tokens x[token][column] and `n_out` rows. Blocks are (units, tokens, parts of the columns).

#include "product.cuh"

extern "C" PRODUCT_KERNEL product_tokens(
    const u16* __restrict__ x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, Out* __restrict__ y, int n, int n_in, int n_out, int y_stride) {
  const int first = blockIdx.y * 8 * TOKENS;
  product(
      {low, high, scales, n_in, (n_out + 15) / 16, 1}, {x + (long)first * n_in, nullptr, nullptr, nullptr, min(n - first, 8 * TOKENS)},
      [&](int token, int unit, int row_of_tile, const float (&sums)[1]) {
        const int row = unit * 16 + row_of_tile;
        if (row < n_out) put(y[(long)(first + token) * y_stride + row], sums[0] + bias_of(bias, row));
      });
}
