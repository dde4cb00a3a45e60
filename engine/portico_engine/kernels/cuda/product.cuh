// What the kernels of products have in common: product(matrix, inputs, finish) multiplies, and calls
// finish(token, unit, row of 16, its sum in each tile) for each of the inputs' tokens and rows of the block's units.
//   PRODUCT  how: RING (decode_product.cuh), STREAM (stream_product.cuh) or WARPGROUP (group_product.cuh)
//   ROWS     tiles of 16 rows of a unit

#include "quantized.cuh"
#include "launch_overlap.cuh"

#define RING 0
#define STREAM 1
#define WARPGROUP 2

struct Matrix {
  const u32 *low, *high, *scales;
  int n_in, units, apart;  // where a unit has two tiles, all units' first ones lie in runs of `apart`, then come their second ones

  __device__ __forceinline__ int tile(int unit, int r) const {
    return ROWS == 1 ? unit : unit / apart * 2 * apart + unit % apart + r * apart;
  }
};

struct Inputs {
  const void* x;  // float32 or bfloat16 [n][n_in]
  const float *weight, *eps;  // of the norm, where the product makes it
  const int* rows;            // of the stream, where not all
  int n;
};

__device__ __forceinline__ float through_bfloat16(float value) { return widened(rounded(value)); }

#if PRODUCT == RING
#include "decode_product.cuh"
#elif PRODUCT == STREAM
#include "stream_product.cuh"
#else
#include "group_product.cuh"
#endif
