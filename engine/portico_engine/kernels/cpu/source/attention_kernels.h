// The two small products of attention, over blocks of keys and values: in bfloat16 pairs where the CPU has them, in float32 else.
//
// Scores want positions side by side: a block's keys are pairs of dimensions [head_dim / 2][BLOCK][2]. Its values are [BLOCK][head_dim].
// A row's sums run in one order, whatever rows are computed beside it.
#pragma once
#include <algorithm>
#include <vector>
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
    typedef float Share;  // softmax' numerators
    static bool takes(int dim) { return dim % LANES == 0; }

    // A query row as `Scores` reads it; `room` is for dim of them.
    static const Query* query(const uint16_t* row, int dim, Query* room) {
        for (int d = 0; d < dim; d += LANES) store(room + d, load_bf16(row + d));
        return room;
    }

    struct Scores {
        const Query* const* queries;
        const uint16_t* const *keys, *const *ahead;  // of each block, and of one that is fetched
        int dim, blocks;
        float* out;

        void of_rows(int n) const {
            static thread_local std::vector<float> kept;
            kept.resize(std::max(kept.size(), size_t(dim) * BLOCK));
            for (int block = 0; block < blocks; block++) {
                if (n > AT_ONCE) {  // what all rows read is widened once
                    for (int d = 0; d < dim; d += 2) {
                        __builtin_prefetch(ahead[block] + d * BLOCK);
                        for (int odd = 0; odd < 2; odd++) store(kept.data() + (d + odd) * BLOCK, half_of(keys[block] + d * BLOCK, odd));
                    }
                    by_rows(n, Block<true>{*this, kept.data(), block});
                } else {
                    by_rows(n, Block<false>{*this, keys[block], block});
                }
            }
        }

        static Floats half_of(const uint16_t* pairs, int odd) {
            const Words words = load<Words>(pairs);
            return bits<Floats>(odd ? words & 0xffff0000u : words << 16);
        }

        template <bool WIDE> struct Block {
            const Scores& scores;
            const void* keys;
            int block;
            template <int R> void operator()(int row) const {
                Floats sums[R] = {};
                for (int d = 0; d < scores.dim; d += 2) {
                    if (!WIDE) __builtin_prefetch(scores.ahead[block] + d * BLOCK);
                    for (int odd = 0; odd < 2; odd++) {
                        const Floats key = held(
                            WIDE ? load<Floats>(static_cast<const float*>(keys) + (d + odd) * BLOCK)
                                 : half_of(static_cast<const uint16_t*>(keys) + d * BLOCK, odd));
                        for (int r = 0; r < R; r++) sums[r] = multiply_add(key, scores.queries[row + r][d + odd], sums[r]);
                    }
                }
                for (int r = 0; r < R; r++) store(scores.out + (row + r) * CHUNK + block * BLOCK, sums[r]);
            }
        };
    };

    static void write_shares(Share* at, Floats shares) { store(at, shares); }

    struct Values {
        const uint16_t* const *blocks, *const *ahead;
        int n_blocks, dim;
        const Share* shares;
        float* out;

        void of_rows(int n) const {
            static thread_local std::vector<float> kept(CHUNK * LANES);
            for (int d = 0; d < dim; d += LANES) {
                if (n > AT_ONCE) {
                    for (int p = 0; p < n_blocks * BLOCK; p++) store(kept.data() + p * LANES, at(p, d));  // the same
                    by_rows(n, Piece<true>{*this, kept.data(), d});
                } else {
                    by_rows(n, Piece<false>{*this, nullptr, d});
                }
            }
        }

        Floats at(int p, int d) const {
            const int offset = p % BLOCK * dim + d;
            if (d % (2 * LANES) == 0) __builtin_prefetch(ahead[p / BLOCK] + offset);
            return load_bf16(blocks[p / BLOCK] + offset);
        }

        template <bool WIDE> struct Piece {
            const Values& values;
            const float* wide;
            int d;
            template <int R> void operator()(int row) const {
                const Share* shares = values.shares + int64_t(row) * CHUNK;
                Floats sums[R] = {};
                for (int p = 0; p < values.n_blocks * BLOCK; p++) {
                    const Floats value = held(WIDE ? load<Floats>(wide + p * LANES) : values.at(p, d));
                    for (int r = 0; r < R; r++) sums[r] = multiply_add(value, shares[r * CHUNK + p], sums[r]);
                }
                for (int r = 0; r < R; r++) store(values.out + (row + r) * values.dim + d, sums[r]);
            }
        };
    };

    static void write(const float* sums, int dim, float scale, uint16_t* out) {
        for (int d = 0; d < dim; d += LANES) store_bf16(out + d, load<Floats>(sums + d) * scale);
    }
};

#ifdef __AVX512BF16__
// Head sizes of 32 dimensions a piece, two numbers of bfloat16 multiplied and added in one instruction.
struct Pairs {
    typedef uint16_t Query;   // bfloat16
    typedef uint16_t Share;   // bfloat16
    static constexpr int PIECE = 2 * LANES;
    static constexpr int FEW = 4;  // of fewer rows the sums of two blocks would wait for each other: four are computed at once
    static bool takes(int dim) { return dim % PIECE == 0; }

    static const Query* query(const uint16_t* row, int, Query*) { return row; }

    static __m512bh pair(const void* at) { return bits<__m512bh>(_mm512_set1_epi32(load<int32_t>(at))); }

    struct Scores {
        const Query* const* queries;
        const uint16_t* const *keys, *const *ahead;  // of each block, and of one that is fetched
        int dim, blocks;
        float* out;

        void of_rows(int n) const { by_rows(n, *this); }

        template <int R> void operator()(int row) const { row ? all<R, false>(row) : all<R, true>(row); }
        template <int R, bool FETCHES> void all(int row) const {
            constexpr int B = R < FEW ? 4 : 2;
            int block = 0;
            for (; block + B <= blocks; block += B) some<R, B, FETCHES>(row, block);
            for (; block < blocks; block++) some<R, 1, FETCHES>(row, block);
        }
        template <int R, int B, bool FETCHES> void some(int row, int block) const {
            __m512 sums[R][B];
            for (int r = 0; r < R; r++)
                for (int b = 0; b < B; b++) sums[r][b] = _mm512_setzero_ps();
            const int half = dim / 2;
            for (int d = 0; d < half; d++) {
                for (int b = 0; b < B && FETCHES; b++) __builtin_prefetch(ahead[block + b] + 2 * d * BLOCK);
                __m512bh key[B];
                for (int b = 0; b < B; b++) key[b] = load<__m512bh>(keys[block + b] + 2 * d * BLOCK);
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
        const uint16_t* const *blocks, *const *ahead;
        int n_blocks, dim;
        const Share* shares;
        float* out;

        void of_rows(int n) const { by_rows(n, *this); }

        template <int R> void operator()(int row) const { row ? all<R, false>(row) : all<R, true>(row); }
        template <int R, bool FETCHES> void all(int row) const {
            int d = 0;
            for (; d + 2 * PIECE <= dim; d += 2 * PIECE) some<R, 2, FETCHES>(row, d);
            if (d < dim) some<R, 1, FETCHES>(row, d);
        }
        template <int R, int P, bool FETCHES> void some(int row, int d) const {
            __m512 sums[R][2 * P];
            for (int r = 0; r < R; r++)
                for (int v = 0; v < 2 * P; v++) sums[r][v] = _mm512_setzero_ps();
            for (int p = 0; p < n_blocks * BLOCK; p += 2) {
                const int offset = p % BLOCK * dim + d;
                const uint16_t *at = blocks[p / BLOCK] + offset, *fetched = ahead[p / BLOCK] + offset;
                __m512bh value[2 * P];
                for (int v = 0; v < P; v++) {
                    if (FETCHES) __builtin_prefetch(fetched + v * PIECE), __builtin_prefetch(fetched + dim + v * PIECE);
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
