// The two small products of attention, over blocks of keys and values: in bfloat16 pairs where the CPU has them, in float32 else.
//
// Scores want positions side by side and a block has each position's dimensions side by side: keys are therefore transposed into
// scratch, once for all query rows of a tile. A row's sums run in one order, whatever rows are computed beside it.
#pragma once
#include <algorithm>
#include "vectors.h"

namespace portico {

constexpr int BLOCK = 16;              // positions of a block of KV; portico_engine.plan.BLOCK_TOKENS
constexpr int CHUNK_BLOCKS = 8;        // a chunk's partial result is computed by itself; chunks are merged in order
constexpr int CHUNK = BLOCK * CHUNK_BLOCKS;
constexpr int AT_ONCE = 6;             // query rows that share a load

// kernel.template operator()<R>(first row) over rows [0, n), AT_ONCE of them at a time.
template <class Kernel> static inline void by_rows(int n, Kernel kernel) {
    int row = 0;
    for (; row + AT_ONCE <= n; row += AT_ONCE) kernel.template operator()<AT_ONCE>(row);
    switch (n - row) {
        case 1: return kernel.template operator()<1>(row);
        case 2: return kernel.template operator()<2>(row);
        case 3: return kernel.template operator()<3>(row);
        case 4: return kernel.template operator()<4>(row);
        case 5: return kernel.template operator()<5>(row);
        default: return;
    }
}

// Head sizes of 16 dimensions a piece, in float32.
struct Plain {
    typedef float Query;
    typedef float Key;    // transposed keys [head_dim][BLOCK]
    typedef float Share;  // softmax' numerators
    static bool takes(int dim) { return dim % LANES == 0; }
    static int64_t block_keys(int dim) { return int64_t(dim) * BLOCK; }

    // A query row as `Scores` reads it; `room` is for dim of them.
    static const Query* query(const uint16_t* row, int dim, Query* room) {
        for (int d = 0; d < dim; d += LANES) store(room + d, load_bf16(row + d));
        return room;
    }

    static void transpose(const uint16_t* block, int dim, Key* out) {
#ifdef __AVX2__
        for (int p = 0; p < BLOCK; p += 8)
            for (int d = 0; d < dim; d += 16) transpose_eight(block + p * dim + d, dim, out + d * BLOCK + p);
#else
        for (int p = 0; p < BLOCK; p++)
            for (int d = 0; d < dim; d++) out[d * BLOCK + p] = from_bf16(block[p * dim + d]);
#endif
    }

#ifdef __AVX2__
    // Sixteen dimensions of eight positions, as pairs of them and then one by one.
    static void transpose_eight(const uint16_t* from, int dim, Key* out) {
        __m256i a[8], b[8];
        for (int p = 0; p < 8; p++) a[p] = load<__m256i>(from + p * dim);
        for (int p = 0; p < 8; p += 2) {
            b[p] = _mm256_unpacklo_epi32(a[p], a[p + 1]);
            b[p + 1] = _mm256_unpackhi_epi32(a[p], a[p + 1]);
        }
        for (int p = 0; p < 8; p += 4) {
            a[p] = _mm256_unpacklo_epi64(b[p], b[p + 2]);
            a[p + 1] = _mm256_unpackhi_epi64(b[p], b[p + 2]);
            a[p + 2] = _mm256_unpacklo_epi64(b[p + 1], b[p + 3]);
            a[p + 3] = _mm256_unpackhi_epi64(b[p + 1], b[p + 3]);
        }
        for (int pair = 0; pair < 8; pair++) {  // a[4 k + j] holds, in its lane l, pair 4 l + j of positions 4 k to 4 k + 3
            const __m256i first = a[pair % 4], second = a[4 + pair % 4];
            const __m256i both = pair < 4 ? _mm256_permute2x128_si256(first, second, 0x20) : _mm256_permute2x128_si256(first, second, 0x31);
            store(out + 2 * pair * BLOCK, _mm256_slli_epi32(both, 16));
            store(out + (2 * pair + 1) * BLOCK, _mm256_and_si256(both, _mm256_set1_epi32(int32_t(0xffff0000))));
        }
    }
#endif

    struct Scores {
        const Query* const* queries;
        const Key* keys;
        int dim, blocks;
        float* out;
        template <int R> void operator()(int row) const {
            for (int block = 0; block < blocks; block++) {
                Floats sums[R] = {};
                for (int d = 0; d < dim; d++) {
                    const Floats key = load<Floats>(keys + (block * dim + d) * BLOCK);
                    for (int r = 0; r < R; r++) sums[r] = multiply_add(key, queries[row + r][d], sums[r]);
                }
                for (int r = 0; r < R; r++) store(out + (row + r) * CHUNK + block * BLOCK, sums[r]);
            }
        }
    };

    static void write_shares(Share* at, Floats shares) { store(at, shares); }

    struct Values {
        const uint16_t* const* blocks;
        int n_blocks, dim;
        const Share* shares;
        float* out;
        template <int R> void operator()(int row) const {
            for (int d = 0; d < dim; d += LANES) {
                Floats sums[R] = {};
                for (int p = 0; p < n_blocks * BLOCK; p++) {
                    const Floats value = load_bf16(blocks[p / BLOCK] + p % BLOCK * dim + d);
                    for (int r = 0; r < R; r++) sums[r] = multiply_add(value, shares[(row + r) * CHUNK + p], sums[r]);
                }
                for (int r = 0; r < R; r++) store(out + (row + r) * dim + d, sums[r]);
            }
        }
    };

    static void write(const float* sums, int dim, float scale, uint16_t* out) {
        for (int d = 0; d < dim; d += LANES) store_bf16(out + d, load<Floats>(sums + d) * scale);
    }
};

#ifdef __AVX512BF16__
// Head sizes of 32 dimensions a piece, two numbers of bfloat16 multiplied and added in one instruction.
struct Pairs {
    typedef uint16_t Query;   // bfloat16
    typedef int32_t Key;      // transposed pairs of dimensions [head_dim / 2][BLOCK]
    typedef uint16_t Share;   // bfloat16
    static constexpr int PIECE = 2 * LANES;
    static bool takes(int dim) { return dim % PIECE == 0; }
    static int64_t block_keys(int dim) { return int64_t(dim) / 2 * BLOCK; }

    static const Query* query(const uint16_t* row, int, Query*) { return row; }

    static __m512bh pair(const void* at) { return bits<__m512bh>(_mm512_set1_epi32(load<int32_t>(at))); }

    static void transpose(const uint16_t* block, int dim, Key* out) {
        for (int d = 0; d < dim; d += PIECE, out += BLOCK * LANES) {
            __m512i a[16], b[16];
            for (int p = 0; p < 16; p++) a[p] = _mm512_loadu_si512(block + p * dim + d);
            for (int p = 0; p < 16; p += 2) {
                b[p] = _mm512_unpacklo_epi32(a[p], a[p + 1]);
                b[p + 1] = _mm512_unpackhi_epi32(a[p], a[p + 1]);
            }
            for (int p = 0; p < 16; p += 4) {
                a[p] = _mm512_unpacklo_epi64(b[p], b[p + 2]);
                a[p + 1] = _mm512_unpackhi_epi64(b[p], b[p + 2]);
                a[p + 2] = _mm512_unpacklo_epi64(b[p + 1], b[p + 3]);
                a[p + 3] = _mm512_unpackhi_epi64(b[p + 1], b[p + 3]);
            }
            // Now a[4 k + j] holds, in its lane of 128 bits l, pair 4 l + j of positions 4 k to 4 k + 3.
            for (int j = 0; j < 4; j++) {
                const __m512i lo01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0x88), lo23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0x88);
                const __m512i hi01 = _mm512_shuffle_i32x4(a[j], a[4 + j], 0xdd), hi23 = _mm512_shuffle_i32x4(a[8 + j], a[12 + j], 0xdd);
                _mm512_storeu_si512(out + j * LANES, _mm512_shuffle_i32x4(lo01, lo23, 0x88));
                _mm512_storeu_si512(out + (8 + j) * LANES, _mm512_shuffle_i32x4(lo01, lo23, 0xdd));
                _mm512_storeu_si512(out + (4 + j) * LANES, _mm512_shuffle_i32x4(hi01, hi23, 0x88));
                _mm512_storeu_si512(out + (12 + j) * LANES, _mm512_shuffle_i32x4(hi01, hi23, 0xdd));
            }
        }
    }

    struct Scores {
        const Query* const* queries;
        const Key* keys;
        int dim, blocks;
        float* out;
        template <int R> void operator()(int row) const {
            int block = 0;
            for (; block + 2 <= blocks; block += 2) some<R, 2>(row, block);
            if (block < blocks) some<R, 1>(row, block);
        }
        template <int R, int B> void some(int row, int block) const {
            __m512 sums[R][B];
            for (int r = 0; r < R; r++)
                for (int b = 0; b < B; b++) sums[r][b] = _mm512_setzero_ps();
            const int half = dim / 2;
            for (int d = 0; d < half; d++) {
                __m512bh key[B];
                for (int b = 0; b < B; b++) key[b] = load<__m512bh>(keys + ((block + b) * half + d) * BLOCK);
                for (int r = 0; r < R; r++) {
                    const __m512bh query = pair(queries[row + r] + 2 * d);
                    for (int b = 0; b < B; b++) sums[r][b] = _mm512_dpbf16_ps(sums[r][b], key[b], query);
                }
            }
            for (int r = 0; r < R; r++)
                for (int b = 0; b < B; b++) _mm512_storeu_ps(out + (row + r) * CHUNK + (block + b) * BLOCK, sums[r][b]);
        }
    };

    static void write_shares(Share* at, Floats shares) { store_bf16(at, shares); }

    // Of each piece of 32 dimensions the sums lie as two positions interleaved: `write` puts them in order.
    struct Values {
        const uint16_t* const* blocks;
        int n_blocks, dim;
        const Share* shares;
        float* out;
        template <int R> void operator()(int row) const {
            int d = 0;
            for (; d + 2 * PIECE <= dim; d += 2 * PIECE) some<R, 2>(row, d);
            if (d < dim) some<R, 1>(row, d);
        }
        template <int R, int P> void some(int row, int d) const {
            __m512 sums[R][2 * P];
            for (int r = 0; r < R; r++)
                for (int v = 0; v < 2 * P; v++) sums[r][v] = _mm512_setzero_ps();
            for (int p = 0; p < n_blocks * BLOCK; p += 2) {
                const uint16_t* at = blocks[p / BLOCK] + p % BLOCK * dim + d;
                __m512bh value[2 * P];
                for (int v = 0; v < P; v++) {
                    const __m512i even = _mm512_loadu_si512(at + v * PIECE), odd = _mm512_loadu_si512(at + dim + v * PIECE);
                    value[2 * v] = bits<__m512bh>(_mm512_unpacklo_epi16(even, odd));
                    value[2 * v + 1] = bits<__m512bh>(_mm512_unpackhi_epi16(even, odd));
                }
                for (int r = 0; r < R; r++) {
                    const __m512bh share = pair(shares + (row + r) * CHUNK + p);
                    for (int v = 0; v < 2 * P; v++) sums[r][v] = _mm512_dpbf16_ps(sums[r][v], value[v], share);
                }
            }
            for (int r = 0; r < R; r++)
                for (int v = 0; v < 2 * P; v++) _mm512_storeu_ps(out + (row + r) * dim + d + v * LANES, sums[r][v]);
        }
    };

    static void write(const float* sums, int dim, float scale, uint16_t* out) {
        const __m512i first = _mm512_setr_epi32(0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const __m512i second = _mm512_setr_epi32(8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        const __m512 factor = _mm512_set1_ps(scale);
        for (int d = 0; d < dim; d += PIECE) {
            const __m512 lo = _mm512_mul_ps(_mm512_loadu_ps(sums + d), factor);
            const __m512 hi = _mm512_mul_ps(_mm512_loadu_ps(sums + d + LANES), factor);
            store_bf16(out + d, bits<Floats>(_mm512_permutex2var_ps(lo, first, hi)));
            store_bf16(out + d + LANES, bits<Floats>(_mm512_permutex2var_ps(lo, second, hi)));
        }
    }
};
#else
typedef Plain Pairs;
#endif

}  // namespace portico
