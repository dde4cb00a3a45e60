// Sixteen floats as one vector, bfloat16 in memory, and exponentials of both: what all kernels compute with.
//
// GCC's vector extension, which clang has too, is compiled to whatever the machine has: AVX-512, or four registers of NEON. AVX2's
// are in pairs.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>
#include <initializer_list>
#ifdef __AVX2__
#include <immintrin.h>
#endif
#include "two_registers.h"

namespace portico {

constexpr int LANES = 16;
template <class T> static inline T load(const void* at) {
    T value;
    std::memcpy(&value, at, sizeof value);
    return value;
}
template <class T> static inline void store(void* at, T value) { std::memcpy(at, &value, sizeof value); }
template <class To, class From> static inline To bits(From value) {
    static_assert(sizeof(To) == sizeof(From));
    To out;
    std::memcpy(&out, &value, sizeof out);
    return out;
}

#if defined __AVX2__ && !defined __AVX512F__
typedef TwoRegisters<float> Floats;
typedef TwoRegisters<int32_t> Ints;
typedef TwoRegisters<uint32_t> Words;
typedef uint16_t Eight __attribute__((vector_size(16)));

template <class T> static inline TwoRegisters<T> two_at(const void* at) {
    typedef typename TwoRegisters<T>::Half Half;
    return {load<Half>(at), load<Half>(static_cast<const char*>(at) + sizeof(Half))};
}
template <> inline Floats load<Floats>(const void* at) { return two_at<float>(at); }
template <> inline Words load<Words>(const void* at) { return two_at<uint32_t>(at); }
template <class To, class T> static inline To bits(TwoRegisters<T> value) {
    return {bits<typename To::Half>(value.a), bits<typename To::Half>(value.b)};
}
template <class To, class T> static inline To convert(TwoRegisters<T> value) {
    return {__builtin_convertvector(value.a, typename To::Half), __builtin_convertvector(value.b, typename To::Half)};
}
static inline Words load_wide(const uint16_t* at) {  // one instruction each, for which GCC's conversion takes five
    return {bits<Words::Half>(_mm256_cvtepu16_epi32(load<__m128i>(at))), bits<Words::Half>(_mm256_cvtepu16_epi32(load<__m128i>(at + 8)))};
}
static inline void store_narrow(uint16_t* at, Words values) {
    store(at, __builtin_convertvector(values.a, Eight));
    store(at + 8, __builtin_convertvector(values.b, Eight));
}
#else
typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef uint16_t Halves __attribute__((vector_size(32)));

template <class To, class From> static inline To convert(From value) { return __builtin_convertvector(value, To); }
static inline Words load_wide(const uint16_t* at) { return convert<Words>(load<Halves>(at)); }
static inline void store_narrow(uint16_t* at, Words values) { store(at, convert<Halves>(values)); }
#endif

static inline Floats all(float value) { return value - Floats{}; }
static inline Floats choose(Ints where, Floats yes, Floats no) {
#if defined __AVX2__ && !defined __AVX512F__
    return {bits<Floats::Half>(_mm256_blendv_ps(bits<__m256>(no.a), bits<__m256>(yes.a), bits<__m256>(where.a))),
            bits<Floats::Half>(_mm256_blendv_ps(bits<__m256>(no.b), bits<__m256>(yes.b), bits<__m256>(where.b)))};
#else
    return bits<Floats>((where & bits<Ints>(yes)) | (~where & bits<Ints>(no)));
#endif
}
static inline Floats larger(Floats a, Floats b) { return choose(a > b, a, b); }  // b where a is no number

// a b + c. Compilers may not choose where that is rounded once (-ffp-contract=off): they would for some numbers of rows and not
// for others.
static inline Floats multiply_add(Floats a, Floats b, Floats c) {
#if defined __AVX512F__
    return bits<Floats>(_mm512_fmadd_ps(bits<__m512>(a), bits<__m512>(b), bits<__m512>(c)));
#elif defined __AVX2__ && defined __FMA__
    return {_mm256_fmadd_ps(a.a, b.a, c.a), _mm256_fmadd_ps(a.b, b.b, c.b)};
#elif defined __FP_FAST_FMAF
    for (int i = 0; i < LANES; i++) c[i] = __builtin_fmaf(a[i], b[i], c[i]);
    return c;
#else
    return a * b + c;
#endif
}
static inline Floats multiply_add(Floats a, float b, Floats c) { return multiply_add(a, all(b), c); }

// The same, in registers: GCC reads from memory again for each use, and loads take longer than products.
static inline Floats held(Floats values) {
#if defined __AVX2__ && !defined __AVX512F__
    asm("" : "+x"(values.a), "+x"(values.b));
#endif
    return values;
}

#ifdef __AVX2__
static inline __m256 halves_of(Floats values, __m256& upper) {
#ifdef __AVX512F__
    const __m512d wide = bits<__m512d>(values);
    upper = bits<__m256>(_mm512_extractf64x4_pd(wide, 1));
    return bits<__m256>(_mm512_castpd512_pd256(wide));
#else
    upper = bits<__m256>(values.b);
    return bits<__m256>(values.a);
#endif
}
#endif

// Sums in an order that never changes, so that a token's bits don't depend on who else is in a batch: the upper half is added to the
// lower one until one is left.
static inline float sum(Floats values) {
#ifdef __AVX2__
    __m256 upper;
    __m256 eight = halves_of(values, upper);
    eight = _mm256_add_ps(eight, upper);
    const __m128 four = _mm_add_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    float out[LANES];
    store(out, values);
    for (int width = LANES / 2; width; width /= 2)
        for (int i = 0; i < width; i++) out[i] += out[i + width];
    return out[0];
#endif
}
static inline float largest(Floats values) {  // of numbers
#ifdef __AVX2__
    __m256 upper;
    __m256 eight = halves_of(values, upper);
    eight = _mm256_max_ps(eight, upper);
    const __m128 four = _mm_max_ps(_mm256_castps256_ps128(eight), _mm256_extractf128_ps(eight, 1));
    const __m128 two = _mm_max_ps(four, _mm_movehl_ps(four, four));
    return _mm_cvtss_f32(_mm_max_ss(two, _mm_movehdup_ps(two)));
#else
    float out[LANES];
    store(out, values);
    for (int i = 1; i < LANES; i++) out[0] = out[i] > out[0] ? out[i] : out[0];
    return out[0];
#endif
}

static inline float from_bf16(uint16_t value) { return bits<float>(uint32_t(value) << 16); }
static inline uint16_t to_bf16(float value) {  // to the nearest, ties to even; no number stays none
    const uint32_t raw = bits<uint32_t>(value);
    return value != value ? 0x7fc0 : uint16_t((raw + 0x7fff + ((raw >> 16) & 1)) >> 16);
}
static inline Floats load_bf16(const uint16_t* at) {
    return bits<Floats>(load_wide(at) << 16);
}
static inline void store_bf16(uint16_t* at, Floats values) {
#ifdef __AVX512BF16__
    store(at, _mm512_cvtneps_pbh(bits<__m512>(values)));
#else
    const Words raw = bits<Words>(values);
    const Words rounded = (raw + 0x7fff + ((raw >> 16) & 1)) >> 16;
    const Ints none = values != values;
    store_narrow(at, (bits<Words>(~none) & rounded) | (bits<Words>(none) & 0x7fc0));
#endif
}

// 2^x, off by 2e-7 of it at most: a polynomial on [-1/2, 1/2] (Taylor's, to the sixth power) and an exponent. 0 below 2^-126 or so.
static inline Floats exp2(Floats x) {
    const auto polynomial = [](Floats rest) {
        Floats out = all(1.5403530e-4f);
        for (const float factor : {1.3333558e-3f, 9.6181291e-3f, 5.5504109e-2f, 2.4022651e-1f, 6.9314718e-1f, 1.f})
            out = multiply_add(out, rest, all(factor));
        return out;
    };
#ifdef __AVX512F__
    const __m512 in = _mm512_max_ps(_mm512_set1_ps(-200.f), bits<__m512>(x));  // x where it is no number
    const __m512 whole = _mm512_roundscale_ps(in, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    return bits<Floats>(_mm512_scalef_ps(bits<__m512>(polynomial(bits<Floats>(_mm512_sub_ps(in, whole)))), whole));
#else
    const Ints tiny = x < all(-126.f);
    Floats in = choose(tiny, all(0.f), x);
    in = choose(in > all(127.f), all(127.f), in);
    const Floats magic = all(12582912.f);  // 1.5 * 2^23: adding it rounds to a whole number
    const Floats whole = (in + magic) - magic;
    const Ints exponent = (convert<Ints>(whole) + 127) << 23;
    return choose(tiny, all(0.f), polynomial(in - whole) * bits<Floats>(exponent));
#endif
}

#ifdef _OPENMP
extern "C" int omp_get_max_threads();  // of torch's OpenMP; its header need not be here
static inline int most_threads() { return omp_get_max_threads(); }
#else
static inline int most_threads() { return 1; }
#endif

constexpr float LOG2_E = 1.44269504f;

}  // namespace portico
