// The small products of a product from codes: rows times the codes of a group of columns, before its scale and offset.
//
// In pairs of bfloat16 where the CPU has them, in integers of 16 bits where it has AVX2, in float32 else.
#pragma once
#include <algorithm>
#include <vector>
#include "vectors.h"

struct Matrix {  // as Python passes it
    const uint8_t* tiles;
    const uint16_t* bias;  // bfloat16 [n_out], or null
    float unit;
    int32_t n_out, n_in, group, planes, has_offsets;
    uint16_t tables[2][32];  // of the low and of the high plane, each twice
};

namespace portico {

constexpr int COLUMNS = 8;     // of a vector of codes
constexpr int VECTOR = 64;     // its bytes
constexpr int AHEAD = 16384;   // bytes that are fetched before they are needed

static inline int64_t code_bytes(const Matrix& m) { return int64_t(m.group) / COLUMNS * m.planes * VECTOR; }  // of a tile's group
static inline int64_t tile_bytes(const Matrix& m) { return m.n_in / m.group * (code_bytes(m) + (1 + m.has_offsets) * LANES * 2); }

static inline Floats load_half(const uint8_t* at) {  // float16, finite
#if defined __F16C__ && !defined __AVX512F__
    return {_mm256_cvtph_ps(load<__m128i>(at)), _mm256_cvtph_ps(load<__m128i>(at + LANES))};
#else
    const Words raw = load_wide(reinterpret_cast<const uint16_t*>(at));
    return bits<Floats>(((raw & 0x7fff) << 13) | ((raw & 0x8000) << 16)) * 0x1p112f;
#endif
}

// Sums of each row's groups of columns, float32 [rows, groups].
static inline const float* group_sums(const Matrix& m, const uint16_t* x, int64_t stride, int rows) {
    static thread_local std::vector<float> sums;
    const int groups = m.n_in / m.group;
    sums.resize(size_t(rows) * groups);
    for (int r = 0; r < rows; r++)
        for (int g = 0; g < groups; g++) {
            const uint16_t* at = x + r * stride + int64_t(g) * m.group;
            Floats total = load_bf16(at);
            for (int i = LANES; i < m.group; i += LANES) total += load_bf16(at + i);
            sums[size_t(r) * groups + g] = sum(total);
        }
    return sums.data();
}

// add_columns: R rows from `row` on times the codes at `at` of T tiles' columns of group g. add_group adds to the rows' totals what
// group g of T tiles, whose scales, offsets and codes are at `at`, comes to.
#if defined __AVX512BF16__
constexpr int NUMBERS = 2;

struct Rows {  // in pairs of bfloat16
    const uint16_t* x;
    int64_t stride;
    const float* sums;
    Rows(const Matrix& m, const uint16_t* x, int64_t stride, int rows)
        : x(x), stride(stride), sums(m.has_offsets ? group_sums(m, x, stride, rows) : nullptr) {}
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
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int g) {
    const int64_t column = int64_t(g) * m.group;
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
#elif defined __AVX2__ && !defined __AVX512F__
constexpr int NUMBERS = 1;

// Integers of 16 bits: of each group of columns a row's numbers are multiples of one power of two, the largest of them 2^14 or more.
// A number of bfloat16 has 8 bits, so that all are exact that are no less than a 128th of the group's largest; the others are off
// by 2^-15 of that at most. Sums of a group are exact.
struct Rows {
    const int16_t* values;  // [rows, n_in]
    const float *units, *sums;  // [rows, groups]
    int64_t stride;
    int groups;

    Rows(const Matrix& m, const uint16_t* x, int64_t x_stride, int rows) : stride(m.n_in), groups(m.n_in / m.group) {
        static thread_local std::vector<int16_t> kept;
        static thread_local std::vector<float> kept_units, kept_sums;
        kept.resize(size_t(rows) * m.n_in);
        kept_units.resize(size_t(rows) * groups);
        kept_sums.resize(size_t(rows) * groups);
        values = kept.data(), units = kept_units.data(), sums = kept_sums.data();
        for (int r = 0; r < rows; r++)
            for (int g = 0; g < groups; g++) {
                const int64_t column = int64_t(g) * m.group, at = int64_t(r) * groups + g;
                round(x + r * x_stride + column, m.group, kept.data() + r * stride + column, kept_units[at], kept_sums[at]);
            }
    }

   private:
    // A group whose numbers are not all finite has a unit and a sum that are no numbers.
    static void round(const uint16_t* x, int n, int16_t* out, float& unit, float& sum) {
        __m256i most = _mm256_setzero_si256();
        for (int i = 0; i < n; i += LANES)
            most = _mm256_max_epu16(most, _mm256_and_si256(load<__m256i>(x + i), _mm256_set1_epi16(0x7fff)));
        alignas(32) uint16_t each[LANES];
        store(each, most);
        const uint16_t largest = *std::max_element(each, each + LANES);
        const bool finite = largest < 0x7f80;
        const int exponent = std::max(largest >> 7, 27) - 127;  // smaller ones are nothing beside any weight
        const float scale = finite ? bits<float>(uint32_t(127 + 14 - exponent) << 23) : 0;
        __m256i total = _mm256_setzero_si256();
        for (int i = 0; i < n; i += LANES) {
            const Floats scaled = load_bf16(x + i) * scale;
            const __m256i low = _mm256_cvtps_epi32(scaled.a), high = _mm256_cvtps_epi32(scaled.b);
            const __m256i whole = _mm256_permute4x64_epi64(_mm256_packs_epi32(low, high), 0xd8);
            store(out + i, whole);
            total = _mm256_add_epi32(total, _mm256_madd_epi16(whole, _mm256_set1_epi16(1)));
        }
        alignas(32) int32_t parts[LANES / 2];
        store(parts, total);
        unit = finite ? bits<float>(uint32_t(127 + exponent - 14) << 23) : NAN;
        int32_t whole = 0;
        for (int32_t part : parts) whole += part;
        sum = float(whole) * unit;
    }
};

// Codes of two columns beside each other, of eight outputs, as integers of 16 bits: pair number `pair` of a vector's half.
template <int PLANES> static inline __m256i code_pairs(const uint8_t* low, const uint8_t* high, int pair) {
    const __m256i codes = _mm256_and_si256(_mm256_srli_epi32(load<__m256i>(low), 4 * pair), _mm256_set1_epi32(0x000f000f));
    if (PLANES == 1) return codes;
    const __m256i words = load<__m256i>(high);
    const __m256i moved = pair ? _mm256_srli_epi32(words, 4 * pair - 4) : _mm256_slli_epi32(words, 4);
    return _mm256_or_si256(codes, _mm256_and_si256(moved, _mm256_set1_epi32(0x00f000f0)));
}

// One tile's share of a group: R rows times its codes, which lie `stride` bytes apart. Sums fit 32 bits: 256 columns of codes below
// 256 and numbers up to 32,640.
template <int R, int PLANES> inline void add_codes(
    __m256i (&own)[R][2], const uint8_t* codes, int stride, int n, const int16_t* x, int64_t x_stride) {
    for (int c = 0; c < n; c += COLUMNS, codes += PLANES * stride) {
        const uint8_t* high = codes + stride;
        __builtin_prefetch(codes + AHEAD);
        if (PLANES == 2) __builtin_prefetch(high + AHEAD);
#pragma GCC unroll 4
        for (int pair = 0; pair < COLUMNS / 2; pair++) {
            const __m256i a = code_pairs<PLANES>(codes, high, pair), b = code_pairs<PLANES>(codes + 32, high + 32, pair);
#pragma GCC unroll 8
            for (int r = 0; r < R; r++) {
                const __m256i two = _mm256_set1_epi32(load<int32_t>(x + r * x_stride + c + 2 * pair));
                own[r][0] = _mm256_add_epi32(own[r][0], _mm256_madd_epi16(a, two));
                own[r][1] = _mm256_add_epi32(own[r][1], _mm256_madd_epi16(b, two));
                asm("" : "+x"(own[r][0]), "+x"(own[r][1]));  // or GCC adds pairs first, and keeps all in memory
            }
        }
    }
}

template <int R, int T> inline void add_group(
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int g) {
    const int16_t* x = rows.values + row * rows.stride + int64_t(g) * m.group;
    const float *units = rows.units + row * rows.groups + g, *sums = rows.sums + row * rows.groups + g;
    // Tables are lines here, the high plane's 16 times as steep: Python spreads others over two planes.
    const float start = from_bf16(m.tables[0][0]), step = from_bf16(m.tables[0][1]) - start;
    const float first = m.planes == 1 ? start : start + from_bf16(m.tables[1][0]);
    const uint8_t* codes = at + (1 + m.has_offsets) * T * LANES * 2;
    for (int t = 0; t < T; t++) {
        __m256i own[R][2];
        for (auto& each : own) each[0] = each[1] = _mm256_setzero_si256();
        if (m.planes == 1)
            add_codes<R, 1>(own, codes + t * VECTOR, T * VECTOR, m.group, x, rows.stride);
        else
            add_codes<R, 2>(own, codes + t * VECTOR, T * VECTOR, m.group, x, rows.stride);
        const Floats scale = load_half(at + t * LANES * 2);
        Floats base = scale * first;
        if (m.has_offsets) base += load_half(at + (T + t) * LANES * 2);
        const Floats steps = scale * step;
        for (int r = 0; r < R; r++) {
            const Floats sum = {_mm256_cvtepi32_ps(own[r][0]), _mm256_cvtepi32_ps(own[r][1])};
            totals[r][t] = multiply_add(sum * units[r * rows.groups], steps, totals[r][t]);
            totals[r][t] = multiply_add(base, sums[r * rows.groups], totals[r][t]);
        }
    }
}
#else
constexpr int NUMBERS = 0;

struct Rows {  // in float32
    const float* x;
    int64_t stride;
    const float* sums;
    Rows(const Matrix& m, const uint16_t* from, int64_t from_stride, int rows)
        : stride(m.n_in), sums(m.has_offsets ? group_sums(m, from, from_stride, rows) : nullptr) {
        static thread_local std::vector<float> kept;
        const int n_in = m.n_in;
        kept.resize(size_t(rows) * n_in);
        for (int r = 0; r < rows; r++)
            for (int i = 0; i < n_in; i++) kept[size_t(r) * n_in + i] = from_bf16(from[r * from_stride + i]);
        x = kept.data();
    }
};

template <int R, int T> inline void add_columns(
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int g) {
    const int64_t column = int64_t(g) * m.group;
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
                    const Floats weight = convert<Floats>(code) * step + first;
                    for (int r = 0; r < R; r++) {
                        const float x = rows.x[(row + r) * rows.stride + column + c + k];
                        totals[r][t] = multiply_add(weight, x, totals[r][t]);
                    }
                }
            }
        }
}
#endif

#if !defined __AVX2__ || defined __AVX512F__
// The same by columns.
template <int R, int T> inline void add_group(
    Floats (&totals)[R][T], const uint8_t* at, const Matrix& m, const Rows& rows, int row, int g) {
    const int groups = m.n_in / m.group;
    Floats scales[T], offsets[T], own[R][T];
    for (int t = 0; t < T; t++, at += LANES * 2) scales[t] = load_half(at);
    for (int t = 0; t < T && m.has_offsets; t++, at += LANES * 2) offsets[t] = load_half(at);
    add_columns<R, T>(own, at, m, rows, row, g);
    for (int r = 0; r < R; r++)
        for (int t = 0; t < T; t++) {
            totals[r][t] = multiply_add(scales[t], own[r][t], totals[r][t]);
            if (m.has_offsets) totals[r][t] = multiply_add(offsets[t], rows.sums[(row + r) * groups + g], totals[r][t]);
        }
}
#endif

}  // namespace portico
