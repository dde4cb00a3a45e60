// The head's product in a decode step: norm of those rows of the stream that logits are wanted of, product. A unit is a tile.

#include "decode_product.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_logits(
    const void* x, const int* rows, const float* __restrict__ norm, const float* __restrict__ eps,
    const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, int n, int n_in, int n_out, float* y, int y_stride) {
  decode_product(
      {low, high, scales, n_in, (n_out + 15) / 16, 1}, {x, norm, eps, rows, n},
      [&](int token, int unit, int row_of_tile, const float (&sums)[1]) {
        const int row = unit * 16 + row_of_tile;
        if (row < n_out) y[(long)token * y_stride + row] = sums[0] + bias_of(bias, row);
      });
}
