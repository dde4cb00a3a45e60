// Products of a few rows with a quantized matrix, straight from its codes: a decode step reads every weight once.
//
// A code is one or two planes of 4 bits, each with a table of 16 values in bfloat16: w = (low[code & 15] + high[code >> 4]) scale
// + offset. Sixteen outputs are a tile, four tiles a panel (the last may have fewer), which is read from one end to the other: of each
// group of columns the tiles' scales, their offsets where there are any (float16, in units of `unit`), and of each eight columns and
// each plane a vector a tile, of which a word holds one output's codes: columns 0, 2, 4, 6 in its lower half from the lowest bits up,
// 1, 3, 5, 7 in its upper half. A row's sums run in one order, however many rows are computed beside it.
#include <algorithm>
#include <vector>
#include "functions.h"
#include "product_kernels.h"

using namespace portico;

namespace {

constexpr int PANEL = 4;    // tiles
constexpr int AT_ONCE = 6;  // rows that share a decoded weight

struct Call {
    const Matrix& m;
    const Rows& rows;
    void* out;
    int64_t out_stride;
    OutForm form;
};

// R rows from `row` on times a panel of T tiles from `tile` on.
template <int R, int T> void multiply(const Call& call, int row, int tile) {
    const Matrix& m = call.m;
    const int groups = m.n_in / m.group;
    const uint8_t* at = m.tiles + tile * tile_bytes(m);
    Floats totals[R][T] = {};
    for (int g = 0; g < groups; g++, at += T * (code_bytes(m) + (1 + m.has_offsets) * LANES * 2))
        add_group<R, T>(totals, at, m, call.rows, row, g);
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            const int64_t first = (tile + t) * LANES, place = (row + r) * call.out_stride + first;
            Floats value = totals[r][t] * m.unit;
            if (m.bias) value += load_bf16(m.bias + first);
            float* wide = static_cast<float*>(call.out) + place;
            switch (call.form) {
                case OutForm::BFLOAT16: store_bf16(static_cast<uint16_t*>(call.out) + place, value); break;
                case OutForm::FLOAT32: store(wide, value); break;
                case OutForm::ADDED: store(wide, load<Floats>(wide) + value);
            }
        }
}

template <int T> void all_rows(const Call& call, int n, int tile) {
    int row = 0;
    for (; row + AT_ONCE <= n; row += AT_ONCE) multiply<AT_ONCE, T>(call, row, tile);
    switch (n - row) {
        case 1: return multiply<1, T>(call, row, tile);
        case 2: return multiply<2, T>(call, row, tile);
        case 3: return multiply<3, T>(call, row, tile);
        case 4: return multiply<4, T>(call, row, tile);
        case 5: return multiply<5, T>(call, row, tile);
        default: return;
    }
}

}  // namespace

// x bf16 [rows, n_in], `stride` elements between rows, times the matrix -> out [rows, n_out], `out_stride` between rows. Of the outputs
// all are written, or those of some panels. `form`: bfloat16, float32, or float32 that is added to what is there.
extern "C" void portico_product(
    const Matrix* matrix, const uint16_t* x, int64_t stride, int32_t n, void* out, int64_t out_stride, OutForm form,
    const int32_t* panels, int32_t n_panels) {
    const Matrix& m = *matrix;
    const Rows rows(m, x, stride, n);
    const Call call{m, rows, out, out_stride, form};
    const int tiles = m.n_out / LANES, count = panels ? n_panels : (tiles + PANEL - 1) / PANEL;
#pragma omp parallel for schedule(static)
    for (int i = 0; i < count; i++) {
        const int tile = (panels ? panels[i] : i) * PANEL;
        switch (tiles - tile) {
            case 1: all_rows<1>(call, n, tile); break;
            case 2: all_rows<2>(call, n, tile); break;
            case 3: all_rows<3>(call, n, tile); break;
            default: all_rows<PANEL>(call, n, tile);
        }
    }
}

// What is multiplied: see `_NUMBERS` in library.py.
extern "C" int portico_numbers() { return NUMBERS; }

// codes uint8 [n_out, n_in]; scales, offsets float16 [n_out, groups], the second null where there are none -> matrix.tiles.
extern "C" void portico_pack(const Matrix* matrix, const uint8_t* codes, const uint16_t* scales, const uint16_t* offsets, uint8_t* out) {
    const Matrix& m = *matrix;
    const int groups = m.n_in / m.group;
#pragma omp parallel for schedule(static)
    for (int first = 0; first < m.n_out; first += PANEL * LANES) {
        const int64_t last = std::min(first + PANEL * LANES, m.n_out);
        uint8_t* at = out + first / LANES * tile_bytes(m);
        for (int g = 0; g < groups; g++) {
            for (const uint16_t* halves : {scales, offsets}) {
                if (!halves) continue;
                for (int64_t i = first; i < last; i++, at += 2) store(at, halves[i * groups + g]);
            }
            for (int c = 0; c < m.group; c += COLUMNS)
                for (int plane = 0; plane < m.planes; plane++)
                    for (int64_t i = first; i < last; i++, at += 4) {
                        const uint8_t* from = codes + i * m.n_in + int64_t(g) * m.group + c;
                        uint32_t word = 0;
                        for (int k = 0; k < COLUMNS; k++) word |= uint32_t((from[k] >> (4 * plane)) & 15) << (k / 2 * 4 + k % 2 * 16);
                        store(at, word);
                    }
        }
    }
}
