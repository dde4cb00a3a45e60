// What Python calls: `_SIGNATURES` in library.py. Each function's contract is beside it.
#pragma once
#include <cstdint>

struct Matrix;  // product_kernels.h

namespace portico {

struct Row {  // of the batch, as Python passes it
    int32_t first, tokens, start, table;  // its first token in the batch, how many, the first's position, where its table begins
};

enum class OutForm : int32_t { BFLOAT16, FLOAT32, ADDED };  // of a product

}  // namespace portico

extern "C" {
void portico_add_norm(
    float* x, const uint16_t* delta, const float* weight, const float* eps, uint16_t* out, int64_t n, int64_t hidden);
void portico_rotate(uint16_t* qk, const float* cos, const float* sin, int64_t n, int64_t heads, int64_t head_dim, int64_t stride);
void portico_swiglu(const uint16_t* gate_up, uint16_t* out, int64_t n, int64_t size);
void portico_attention(
    const uint16_t* queries, int64_t query_stride, const uint16_t* keys_values, int64_t keys_values_stride, uint16_t* kv, int64_t slots,
    const float* sinks, uint16_t* out, const portico::Row* rows, int32_t n_rows, const int32_t* tables, int32_t heads, int32_t kv_heads,
    int32_t dim, int32_t window);
void portico_product(
    const Matrix* matrix, const uint16_t* x, int64_t stride, int32_t n, void* out, int64_t out_stride, portico::OutForm form,
    const int32_t* panels, int32_t n_panels);
}
