// Products of a few rows with a quantized matrix, straight from its codes: a decode step reads every weight once.
//
// A code is one or two planes of 4 bits, each with a table of 16 values in bfloat16: w = (low[code & 15] + high[code >> 4]) scale
// + offset. Sixteen outputs are a tile, four tiles a panel (the last may have fewer), which is read from one end to the other: of each
// group of columns the tiles' scales, their offsets where there are any (float16, in units of `unit`), and of each eight columns and
// each plane a vector a tile, of which a word holds one output's codes: columns 0, 2, 4, 6 in its lower half from the lowest bits up,
// 1, 3, 5, 7 in its upper half. A row's sums run in one order, however many rows are computed beside it.
#include <algorithm>
#include <vector>
#include "vectors.h"

using namespace portico;

namespace {

constexpr int COLUMNS = 8;     // of a vector of codes
constexpr int VECTOR = 64;     // its bytes
constexpr int PANEL = 4;       // tiles
constexpr int AT_ONCE = 6;     // rows that share a decoded weight
constexpr int AHEAD = 16384;   // bytes that are fetched before they are needed

}  // namespace

struct Matrix {  // as Python passes it
    const uint8_t* tiles;
    const uint16_t* bias;  // bfloat16 [n_out], or null
    float unit;
    int32_t n_out, n_in, group, planes, has_offsets;
    uint16_t tables[2][32];  // of the low and of the high plane, each twice
};

namespace {

int64_t code_bytes(const Matrix& m) { return int64_t(m.group) / COLUMNS * m.planes * VECTOR; }  // of a tile's group
int64_t tile_bytes(const Matrix& m) { return m.n_in / m.group * (code_bytes(m) + (1 + m.has_offsets) * LANES * 2); }

Floats load_half(const uint8_t* at) {  // float16, finite
    const Words raw = __builtin_convertvector(load<Halves>(at), Words);
    return bits<Floats>(((raw & 0x7fff) << 13) | ((raw & 0x8000) << 16)) * 0x1p112f;
}

#ifdef __AVX512BF16__
struct Rows {  // in pairs of bfloat16
    const uint16_t* x;
    int64_t stride;
    Rows(const uint16_t* x, int64_t stride, int, int) : x(x), stride(stride) {}
};

template <int J> inline __m512bh weights(__m512i codes, __m512i table) {
    const __m512i index = _mm512_and_si512(_mm512_srli_epi32(codes, 4 * J), _mm512_set1_epi32(0x000f000f));
    return bits<__m512bh>(_mm512_permutexvar_epi16(index, table));
}

template <int R, int T, int J> inline void add_pair(
    __m512 (&sums)[R][T], const __m512i (&codes)[T], __m512i table, const Rows& rows, int row, int64_t column) {
    __m512bh weight[T];
    for (int t = 0; t < T; t++) weight[t] = weights<J>(codes[t], table);
    for (int r = 0; r < R; r++) {
        const int32_t pair = load<int32_t>(rows.x + (row + r) * rows.stride + column + 2 * J);
        const __m512bh x = bits<__m512bh>(_mm512_set1_epi32(pair));
        for (int t = 0; t < T; t++) sums[r][t] = _mm512_dpbf16_ps(sums[r][t], weight[t], x);
    }
}

template <int R, int T> inline void add_columns(
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int64_t column) {
    __m512 sums[R][T];
    for (auto& own : sums)
        for (auto& one : own) one = _mm512_setzero_ps();
    const __m512i tables[2] = {_mm512_loadu_si512(m.tables[0]), _mm512_loadu_si512(m.tables[1])};
    for (int c = 0; c < m.group; c += COLUMNS)
        for (int plane = 0; plane < m.planes; plane++, at += T * VECTOR) {
            __m512i codes[T];
            for (int t = 0; t < T; t++) {
                codes[t] = _mm512_loadu_si512(at + t * VECTOR);
                __builtin_prefetch(at + t * VECTOR + AHEAD);
            }
            add_pair<R, T, 0>(sums, codes, tables[plane], rows, row, column + c);
            add_pair<R, T, 1>(sums, codes, tables[plane], rows, row, column + c);
            add_pair<R, T, 2>(sums, codes, tables[plane], rows, row, column + c);
            add_pair<R, T, 3>(sums, codes, tables[plane], rows, row, column + c);
        }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) totals[r][t] = bits<Floats>(sums[r][t]);
}
#else
struct Rows {  // in float32
    const float* x;
    int64_t stride;
    Rows(const uint16_t* from, int64_t from_stride, int rows, int n_in) : stride(n_in) {
        static thread_local std::vector<float> kept;
        kept.resize(size_t(rows) * n_in);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < n_in; i++) kept[size_t(r) * n_in + i] = from_bf16(from[r * from_stride + i]);
        x = kept.data();
    }
};

template <int R, int T> inline void add_columns(
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int64_t column) {
    for (auto& own : totals)
        for (auto& one : own) one = Floats{};
    for (int c = 0; c < m.group; c += COLUMNS)
        for (int plane = 0; plane < m.planes; plane++, at += T * VECTOR) {
            // Tables are lines here: Python spreads others over two planes.
            const float first = from_bf16(m.tables[plane][0]), step = from_bf16(m.tables[plane][1]) - first;
            for (int t = 0; t < T; t++) {
                const Words codes = load<Words>(at + t * VECTOR);
                for (int k = 0; k < COLUMNS; k++) {
                    const Ints code = bits<Ints>((codes >> (k / 2 * 4 + k % 2 * 16)) & 15);
                    const Floats weight = __builtin_convertvector(code, Floats) * step + first;
                    for (int r = 0; r < R; r++) {
                        const float x = rows.x[(row + r) * rows.stride + column + c + k];
                        totals[r][t] = multiply_add(weight, x, totals[r][t]);
                    }
                }
            }
        }
}
#endif

struct Call {
    const Matrix& m;
    const Rows& rows;
    const float* sums;  // of each row's groups, for offsets
    void* out;
    int64_t out_stride;
    bool wide;  // float32 out, else bfloat16
};

// R rows from `row` on times a panel of T tiles from `tile` on.
template <int R, int T> void multiply(const Call& call, int row, int tile) {
    const Matrix& m = call.m;
    const int groups = m.n_in / m.group;
    const uint8_t* at = m.tiles + tile * tile_bytes(m);
    Floats totals[R][T] = {};
    for (int g = 0; g < groups; g++) {
        Floats scales[T], offsets[T], own[R][T];
        for (int t = 0; t < T; t++, at += LANES * 2) scales[t] = load_half(at);
        for (int t = 0; t < T && m.has_offsets; t++, at += LANES * 2) offsets[t] = load_half(at);
        add_columns<R, T>(own, at, m, call.rows, row, int64_t(g) * m.group);
        at += T * code_bytes(m);
        for (int r = 0; r < R; r++)
            for (int t = 0; t < T; t++) {
                totals[r][t] = multiply_add(scales[t], own[r][t], totals[r][t]);
                if (m.has_offsets) totals[r][t] = multiply_add(offsets[t], call.sums[(row + r) * groups + g], totals[r][t]);
            }
    }
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            const int64_t first = (tile + t) * LANES, place = (row + r) * call.out_stride + first;
            Floats value = totals[r][t] * m.unit;
            if (m.bias) value += load_bf16(m.bias + first);
            if (call.wide)
                store(static_cast<float*>(call.out) + place, value);
            else
                store_bf16(static_cast<uint16_t*>(call.out) + place, value);
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

// x bf16 [rows, n_in], `stride` elements between rows, times the matrix -> out [rows, n_out], `out_stride` between rows.
extern "C" void portico_product(
    const Matrix* matrix, const uint16_t* x, int64_t stride, int32_t n, void* out, int64_t out_stride, int32_t wide) {
    const Matrix& m = *matrix;
    const Rows rows(x, stride, n, m.n_in);
    static thread_local std::vector<float> sums;
    if (m.has_offsets) {
        const int groups = m.n_in / m.group;
        sums.resize(size_t(n) * groups);
        for (int r = 0; r < n; r++)
            for (int g = 0; g < groups; g++) {
                float total = 0;
                for (int i = 0; i < m.group; i++) total += from_bf16(x[r * stride + int64_t(g) * m.group + i]);
                sums[size_t(r) * groups + g] = total;
            }
    }
    const Call call{m, rows, sums.data(), out, out_stride, wide != 0};
    const int tiles = m.n_out / LANES;
#pragma omp parallel for schedule(static)
    for (int tile = 0; tile < tiles; tile += PANEL) {
        switch (tiles - tile) {
            case 1: all_rows<1>(call, n, tile); break;
            case 2: all_rows<2>(call, n, tile); break;
            case 3: all_rows<3>(call, n, tile); break;
            default: all_rows<PANEL>(call, n, tile);
        }
    }
}

// Are tables any 16 values here, or steps of one size?
extern "C" int portico_takes_tables() {
#ifdef __AVX512BF16__
    return 1;
#else
    return 0;
#endif
}

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
