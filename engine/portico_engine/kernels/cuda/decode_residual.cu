// A product that is added to the float32 stream in a decode step: stream[token][row] += y. A unit is a tile.

#include "decode_product.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_residual(
    const void* x, const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales,
    const u16* __restrict__ bias, int n, int n_in, int n_out, float* stream, int stream_stride) {
  decode_product(
      {low, high, scales, n_in, (n_out + 15) / 16, 1}, {x, nullptr, nullptr, nullptr, n},
      [&](int token, int unit, int row_of_tile, const float (&sums)[1]) {
        const int row = unit * 16 + row_of_tile;
        // Nobody else adds to it: atomic because that waits for nothing.
        if (row < n_out) atomicAdd(&stream[(long)token * stream_stride + row], through_bfloat16(sums[0] + bias_of(bias, row)));
      });
}
