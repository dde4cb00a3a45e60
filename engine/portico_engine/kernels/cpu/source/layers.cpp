// All layers of a decoder for a step of few tokens, in one call: between nine calls a layer a step spends as long as in some of them.
// They are the functions that Python calls one by one, except that what attention and feed-forward say is added to the residual
// stream as it is, and not rounded to bfloat16 before.
#include <vector>
#include "product_kernels.h"
#include "functions.h"

using namespace portico;

namespace {

struct Linear {  // matrices stacked by their rows
    const Matrix* parts;
    int64_t n_parts;
};

struct DecoderLayer {
    const float *attention_norm, *ffn_norm, *sinks;  // sinks may be null
    Linear qkv, out, gate_up, down;
    uint16_t* kv;
    int32_t window, rotates;
};

struct DecoderShape {
    const DecoderLayer* layers;
    const float* eps;
    int64_t slots;
    int32_t n_layers, hidden, feed_forward, heads, kv_heads, head_dim;
};

// What lies between products, bfloat16, for the widest step so far.
struct Scratch {
    std::vector<uint16_t> kept;
    uint16_t *normed, *qkv, *said, *gate_up, *inner;

    void reserve(const DecoderShape& shape, int64_t n) {
        const int64_t qkv_size = int64_t(shape.heads + 2 * shape.kv_heads) * shape.head_dim, said_size = int64_t(shape.heads) * shape.head_dim;
        const int64_t sizes[] = {shape.hidden, qkv_size, said_size, 2 * int64_t(shape.feed_forward), shape.feed_forward};
        uint16_t** const places[] = {&normed, &qkv, &said, &gate_up, &inner};
        int64_t total = 0;
        for (int64_t size : sizes) total += size * n;
        if (int64_t(kept.size()) < total) kept.resize(total);
        uint16_t* at = kept.data();
        for (int i = 0; i < 5; i++, at += sizes[i - 1] * n) *places[i] = at;
    }
};

template <class T> void multiply(const Linear& linear, const uint16_t* x, int64_t n, T* out, OutForm form) {
    int64_t width = 0;
    for (int64_t i = 0; i < linear.n_parts; i++) width += linear.parts[i].n_out;
    for (int64_t i = 0; i < linear.n_parts; out += linear.parts[i++].n_out)
        portico_product(linear.parts + i, x, linear.parts[i].n_in, int32_t(n), out, width, form, nullptr, 0);
}

}  // namespace

// x float32 [n, hidden], embedded tokens, becomes the residual stream after the last layer; cos, sin float32 [n, head_dim], those of
// layers without a window and of the others; rows and tables as `portico_attention` takes them.
extern "C" void portico_layers(
    const DecoderShape* decoder, float* x, int64_t n, const float* const* rotary, const Row* rows, int32_t n_rows, const int32_t* tables) {
    const DecoderShape& shape = *decoder;
    static thread_local Scratch at;
    at.reserve(shape, n);
    const int64_t dim = shape.head_dim, width = (shape.heads + 2 * shape.kv_heads) * dim;
    for (int i = 0; i < shape.n_layers; i++) {
        const DecoderLayer& layer = shape.layers[i];
        portico_add_norm(x, nullptr, layer.attention_norm, shape.eps, at.normed, n, shape.hidden);
        multiply(layer.qkv, at.normed, n, at.qkv, OutForm::BFLOAT16);
        const float* const* angles = rotary + (layer.window ? 2 : 0);
        if (layer.rotates) portico_rotate(at.qkv, angles[0], angles[1], n, shape.heads + shape.kv_heads, dim, width);
        portico_attention(
            at.qkv, width, at.qkv + shape.heads * dim, width, layer.kv, shape.slots, layer.sinks, at.said, rows, n_rows, tables, shape.heads,
            shape.kv_heads, int32_t(dim), layer.window);
        multiply(layer.out, at.said, n, x, OutForm::ADDED);
        portico_add_norm(x, nullptr, layer.ffn_norm, shape.eps, at.normed, n, shape.hidden);
        multiply(layer.gate_up, at.normed, n, at.gate_up, OutForm::BFLOAT16);
        portico_swiglu(at.gate_up, at.inner, n, shape.feed_forward);
        multiply(layer.down, at.inner, n, x, OutForm::ADDED);
    }
}
