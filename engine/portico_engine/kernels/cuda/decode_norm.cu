// The RMS norm of tokens of the float32 stream, in bfloat16, where there are too many for each product to make it for itself.
// A block has a token.

#include "tensor_cores.cuh"
#include "launch_overlap.cuh"
#include "decode_norm.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_norm(
    const float* x, const float* __restrict__ weight, const float* __restrict__ eps, u16* y) {
  const NormWeight own(weight, eps);
  let_next_start();
  wait_for_previous();
  const long at = (long)blockIdx.x * HIDDEN;
  norm_tokens<1>(made_before(x) + at, own, y + at, HIDDEN, 1);
}
