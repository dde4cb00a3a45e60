#include "quantized.cuh"

// Rows of the matrix in bfloat16, y[i][column]: row indices[i] where given, else first + i. A thread has 8 codes.
extern "C" __global__ void rows(
    const u32* __restrict__ low, const u32* __restrict__ high, const u32* __restrict__ scales, const int* __restrict__ indices,
    u16* __restrict__ y, int first, int n, int n_in) {
  const int columns = (n_in + TILE_COLUMNS - 1) / TILE_COLUMNS;
  const long thread = (long)blockIdx.x * blockDim.x + threadIdx.x;
  const int i = thread / (columns * 16), place = thread % (columns * 16);
  const int column = place / 16, group32 = place % 16 / 4, quarter = place % 4;
  const int at = column * TILE_COLUMNS + group32 * 32 + quarter * LANE_COLUMNS;
  if (i >= n || at >= n_in) return;
  const int row = indices ? indices[i] : first + i;
  const long tile = (long)(row / 16) * columns + column;
  const long lane = (tile * 2 + row % 16 / 8) * 32 + row % 8 * 4 + quarter;
  const u32 codes = low[lane * 4 + group32];
  const u32 above = HIGH ? high[lane * HIGH + HIGH * group32 / 4] >> (4 * HIGH * group32) % 16 : 0;
  const u32* scale = scales + (tile * 16 + row % 16) * SCALE_WORDS;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int group = GROUP_OF(group32, half);
    const float s = half_at(scale, OFFSET ? 2 * group : group), o = OFFSET ? half_at(scale, 2 * group + 1) : 0.0f;
    u16 out[4];
#pragma unroll
    for (int k = 0; k < 4; k++) {
      const int pair = half * 2 + k / 2, side = 16 * (k % 2);
#if TABLE
      out[k] = rounded(s * widened(numbers_of(codes, pair) >> side));
      continue;
#endif
      int code = codes >> (4 * pair + side) & 15;
      if (HIGH) code += (above >> (HIGH * pair + side) & ((1 << HIGH) - 1)) << 4;
      out[k] = rounded(s * (code - ZERO) + o);
    }
    *(uint2*)(y + (long)i * n_in + at + half * HALF_COLUMNS) =
        make_uint2(out[0] | (u32)out[1] << 16, out[2] | (u32)out[3] << 16);
  }
}
