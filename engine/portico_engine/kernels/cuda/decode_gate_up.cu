// The gated feed-forward's first half in a decode step: norm, product, SwiGLU. A unit is a tile of the gate and one of `up`.

#include "decode_product.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_gate_up(
    const void* x, const float* __restrict__ norm, const float* __restrict__ eps, const u32* __restrict__ low,
    const u32* __restrict__ high, const u32* __restrict__ scales, const u16* __restrict__ bias, int n, int n_in, int n_out,
    u16* y) {
  const int width = n_out / 2;
  decode_product(
      {low, high, scales, n_in, width / 16, width / 16}, {x, norm, eps, nullptr, n},
      [&](int token, int unit, int row_of_tile, const float (&sums)[2]) {
        const int row = unit * 16 + row_of_tile;
        const float gate = through_bfloat16(sums[0] + bias_of(bias, row));
        const float up = through_bfloat16(sums[1] + bias_of(bias, row + width));
        y[(long)token * width + row] = rounded(__fdividef(gate, 1.0f + __expf(-gate)) * up);
      });
}
