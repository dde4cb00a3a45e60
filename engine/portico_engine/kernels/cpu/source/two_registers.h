// A vector of sixteen numbers as two of AVX2's registers, with the operators that the compiler's own vectors have.
//
// GCC keeps vectors that are wider than a register in memory: each operation on one would be loads and stores.
#pragma once
#include <cstdint>
#include <type_traits>

namespace portico {

template <class T> struct TwoRegisters {
    typedef T Half __attribute__((vector_size(32)));
    Half a, b;
    TwoRegisters& operator+=(TwoRegisters other) { return *this = *this + other; }
};

template <class S> using IfNumber = typename std::enable_if<std::is_arithmetic<S>::value, int>::type;
// With another pair, or with one number on either side; comparisons give all bits or none.
#define PORTICO_OPERATOR(op, Out) \
    template <class T> static inline TwoRegisters<Out> operator op(TwoRegisters<T> x, TwoRegisters<T> y) { return {x.a op y.a, x.b op y.b}; } \
    template <class T, class S, IfNumber<S> = 0> static inline TwoRegisters<Out> operator op(TwoRegisters<T> x, S y) { return {x.a op T(y), x.b op T(y)}; } \
    template <class T, class S, IfNumber<S> = 0> static inline TwoRegisters<Out> operator op(S x, TwoRegisters<T> y) { return {T(x) op y.a, T(x) op y.b}; }
PORTICO_OPERATOR(+, T)
PORTICO_OPERATOR(-, T)
PORTICO_OPERATOR(*, T)
PORTICO_OPERATOR(/, T)
PORTICO_OPERATOR(&, T)
PORTICO_OPERATOR(|, T)
PORTICO_OPERATOR(<<, T)
PORTICO_OPERATOR(>>, T)
PORTICO_OPERATOR(>, int32_t)
PORTICO_OPERATOR(<, int32_t)
PORTICO_OPERATOR(!=, int32_t)
#undef PORTICO_OPERATOR
template <class T> static inline TwoRegisters<T> operator~(TwoRegisters<T> x) { return {~x.a, ~x.b}; }

}  // namespace portico
