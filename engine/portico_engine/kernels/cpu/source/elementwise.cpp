// What a decoder does between its products, row by row; kernels/reference.py has the same in plain torch.
#include "functions.h"
#include "vectors.h"

using namespace portico;

namespace {

constexpr int64_t WORTH_SHARING = 1 << 15;  // elements: below, waking the other threads takes longer than the work

Floats silu(Floats x) { return x / (1.f + exp2(x * -LOG2_E)); }

void norm_row(float* x, const uint16_t* delta, const float* weight, float eps, uint16_t* out, int64_t hidden) {
    const int64_t whole = hidden / LANES * LANES;
    Floats squares[4] = {};
    float rest = 0;
    for (int64_t i = 0; i < whole; i += LANES) {
        Floats value = load<Floats>(x + i);
        if (delta) store(x + i, value += load_bf16(delta + i));
        squares[i / LANES % 4] = multiply_add(value, value, squares[i / LANES % 4]);
    }
    for (int64_t i = whole; i < hidden; i++) {
        if (delta) x[i] += from_bf16(delta[i]);
        rest += x[i] * x[i];
    }
    const float mean = (sum((squares[0] + squares[1]) + (squares[2] + squares[3])) + rest) / float(hidden);
    const float scale = 1 / std::sqrt(mean + eps);
    for (int64_t i = 0; i < whole; i += LANES) store_bf16(out + i, load<Floats>(x + i) * scale * load<Floats>(weight + i));
    for (int64_t i = whole; i < hidden; i++) out[i] = to_bf16(x[i] * scale * weight[i]);
}

void rotate_head(uint16_t* head, const float* cos, const float* sin, int64_t half) {
    int64_t i = 0;
    for (; i + LANES <= half; i += LANES) {
        const Floats a = load_bf16(head + i), b = load_bf16(head + half + i);
        store_bf16(head + i, multiply_add(b, load<Floats>(sin + i), a * load<Floats>(cos + i)));
        store_bf16(head + half + i, multiply_add(a, load<Floats>(sin + half + i), b * load<Floats>(cos + half + i)));
    }
    for (; i < half; i++) {
        const float a = from_bf16(head[i]), b = from_bf16(head[half + i]);
        head[i] = to_bf16(a * cos[i] + b * sin[i]);
        head[half + i] = to_bf16(b * cos[half + i] + a * sin[half + i]);
    }
}

}  // namespace

// x float32 [n, hidden] += delta bf16, where there is one; out bf16 [n, hidden] is its RMS norm times weight.
extern "C" void portico_add_norm(
    float* x, const uint16_t* delta, const float* weight, const float* eps, uint16_t* out, int64_t n, int64_t hidden) {
#pragma omp parallel for if (n * hidden > WORTH_SHARING)
    for (int64_t i = 0; i < n; i++)
        norm_row(x + i * hidden, delta ? delta + i * hidden : nullptr, weight, *eps, out + i * hidden, hidden);
}

// heads bf16 [n, heads, head_dim], `stride` elements between tokens; cos, sin float32 [n, head_dim].
extern "C" void portico_rotate(
    uint16_t* qk, const float* cos, const float* sin, int64_t n, int64_t heads, int64_t head_dim, int64_t stride) {
#pragma omp parallel for if (n * heads * head_dim > WORTH_SHARING)
    for (int64_t i = 0; i < n; i++)
        for (int64_t head = 0; head < heads; head++)
            rotate_head(qk + i * stride + head * head_dim, cos + i * head_dim, sin + i * head_dim, head_dim / 2);
}

// gate_up bf16 [n, 2 size] -> out bf16 [n, size].
extern "C" void portico_swiglu(const uint16_t* gate_up, uint16_t* out, int64_t n, int64_t size) {
#pragma omp parallel for if (n * size > WORTH_SHARING)
    for (int64_t i = 0; i < n; i++) {
        const uint16_t *gate = gate_up + 2 * i * size, *up = gate + size;
        int64_t at = 0;
        for (; at + LANES <= size; at += LANES) store_bf16(out + i * size + at, silu(load_bf16(gate + at)) * load_bf16(up + at));
        for (; at < size; at++) {
            const float x = from_bf16(gate[at]);
            out[i * size + at] = to_bf16(x / (1 + std::exp(-x)) * from_bf16(up[at]));
        }
    }
}
