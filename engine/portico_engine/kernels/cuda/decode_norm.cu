// The RMS norm of tokens of the float32 stream, in bfloat16, where there are too many for each product to make it for itself.
// A block has a token: of all, or of those that `rows` names.

#include "tensor_cores.cuh"
#include "launch_overlap.cuh"
#include "decode_norm.cuh"

extern "C" __global__ void __launch_bounds__(32 * WARPS) decode_norm(
    const float* x, const int* rows, const float* __restrict__ weight, const float* __restrict__ eps, u16* y) {
  const NormWeight own(weight, eps);
  let_next_start();
  wait_for_previous();
  const int row = rows ? rows[blockIdx.x] : blockIdx.x;
  norm_tokens<1>(made_before(x) + (long)row * HIDDEN, nullptr, own, y + (long)blockIdx.x * HIDDEN, HIDDEN, 1);
}
