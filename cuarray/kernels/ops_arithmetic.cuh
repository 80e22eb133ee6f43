// Functors of arithmetic, number theory and complex parts; and what all functors share.
#pragma once
#include "complex.cuh"
#include "whole_power.cuh"

namespace ca {
namespace ops {

// Integers are computed in an unsigned type no narrower than int: signed overflow is undefined, also after promotion.
template <bool Wide> struct wrapping { using type = unsigned int; };
template <> struct wrapping<true> { using type = unsigned long; };
template <class T> using wrapping_t = typename wrapping<(sizeof(T) > 4)>::type;

template <class T> __device__ inline auto is_nan(T x) { return x != x; }
template <class T> __device__ inline bool is_true(T x) {
  if constexpr (is_complex<T>) return (x.re != real_t<T>(0)) | (x.im != real_t<T>(0));
  else return x != T(0);
}
template <class T> __device__ inline T negated(T x) {
  if constexpr (is_integer<T>) return T(-wrapping_t<T>(x));
  else return -x;
}
template <class T> __device__ inline make_unsigned_t<T> magnitude(T x) {  // of an integer, the lowest one too
  return make_unsigned_t<T>(x < T(0) ? negated(x) : x);
}

// What a functor with two results returns, an output for each.
template <class First, class Second> struct Two {
  First first;
  Second second;
};

// Functors that speak of neighbours, or round on the way, in the very type that an operand has: they take float16 and
// bfloat16 as they are stored and not as float.
template <class Op> inline constexpr bool takes_stored = false;

// Functors that the CPU calls with simd<T> (host/simd.hpp) for floating T: they decide by select() instead of branches.
struct InVectors {};
// Of these, the ones that it calls so for integers, too: for those of so many bytes and more.
template <class Op> inline constexpr unsigned integers_in_vectors = 16;
// Of two values that are both known: ?: would let the compiler move a value's computation into a branch, which cannot be
// vectorised.
template <class T> __device__ inline T select(bool condition, T a, T b) { return condition ? a : b; }

// ---- arithmetic -------------------------------------------------------------------------------------------------
struct Add {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_bool<T>) return a || b;
    else if constexpr (is_integer<T>) return T(wrapping_t<T>(a) + wrapping_t<T>(b));
    else return a + b;
  }
};
struct Subtract {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_integer<T>) return T(wrapping_t<T>(a) - wrapping_t<T>(b));
    else return a - b;
  }
};
struct Multiply {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_bool<T>) return a && b;
    else if constexpr (is_integer<T>) return T(wrapping_t<T>(a) * wrapping_t<T>(b));
    else return a * b;
  }
};
struct Divide {  // true division: floating and complex
  template <class T> __device__ T operator()(T a, T b) const { return a / b; }
};

template <class T> struct QuotientRemainder { T quotient, remainder; };

// Rounds towards minus infinity; the remainder has the divisor's sign. For floating numbers as NumPy's npy_divmod: the
// quotient comes from the exact remainder, and the two agree.
template <class T> __device__ CA_ALWAYS_INLINE QuotientRemainder<T> divmod(T a, T b) {
  if constexpr (is_integer<T>) {
    const bool negates = is_signed_integer<T> && b == T(-1);  // by a division, the lowest number would trap
    const T by = select(b == T(0) || negates, T(1), b), quotient = truncated_quotient(a, by);
    const T remainder = T(wrapping_t<T>(a) - wrapping_t<T>(quotient) * wrapping_t<T>(by));
    const bool above = is_signed_integer<T> && remainder != T(0) && (remainder < T(0)) != (b < T(0));
    const T floored = T(quotient - T(above));
    return {select(b == T(0), T(0), select(negates, negated(floored), floored)),
            select(above, T(remainder + b), remainder)};
  } else {
    const T zero = T(0), exact = fmod(a, b);
    const auto other_sign = (exact != zero) & ((b < zero) != (exact < zero));
    const T remainder = select(exact == zero, copysign(zero, b), select(other_sign, exact + b, exact));
    const T quotient = (a - exact) / b - select(other_sign, T(1), zero), whole = floor(quotient);
    const T rounded = select(quotient - whole > T(0.5), whole + T(1), whole);
    const T floored = select(quotient == zero, copysign(zero, a / b), rounded);
    return {select(b == zero, a / b, floored), select(b == zero, exact, remainder)};
  }
}
struct FloorDivide : InVectors {
  template <class T> __device__ T operator()(T a, T b) const { return divmod(a, b).quotient; }
};
struct Remainder : InVectors {
  template <class T> __device__ T operator()(T a, T b) const { return divmod(a, b).remainder; }
};
struct Divmod : InVectors {
  template <class T> __device__ Two<T, T> operator()(T a, T b) const {
    const QuotientRemainder<T> both = divmod(a, b);
    return {both.quotient, both.remainder};
  }
};
struct Fmod : InVectors {  // the remainder has the dividend's sign
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_integer<T>) {
      const T by = select(b == T(0) || (is_signed_integer<T> && b == T(-1)), T(1), b);
      return T(wrapping_t<T>(a) - wrapping_t<T>(truncated_quotient(a, by)) * wrapping_t<T>(by));
    } else {
      return fmod(a, b);
    }
  }
};

struct FloatPower : InVectors {
  template <class T> __device__ T operator()(T base, T exponent) const {
#if CA_ON_DEVICE
    if constexpr (is_floating<T>) return power(base, exponent);
#endif
    return pow(base, exponent);
  }
};
template <> inline constexpr unsigned integers_in_vectors<FloorDivide> = 8;
template <> inline constexpr unsigned integers_in_vectors<Remainder> = 8;
template <> inline constexpr unsigned integers_in_vectors<Divmod> = 8;
template <> inline constexpr unsigned integers_in_vectors<Fmod> = 8;

struct Power : InVectors {
  template <class T> __device__ T operator()(T base, T exponent) const {
    if constexpr (is_integer<T>) {
      if (exponent < T(0)) {  // 1 / base^|exponent|, towards zero
        if (base == T(1)) return T(1);
        return base == T(-1) ? T(exponent & 1 ? -1 : 1) : T(0);
      }
      wrapping_t<T> result = 1, factor = wrapping_t<T>(base);
      for (auto n = make_unsigned_t<T>(exponent); n != 0; n >>= 1) {
        if (n & 1) result *= factor;
        factor *= factor;
      }
      return T(result);
    } else {
      return FloatPower{}(base, exponent);
    }
  }
};
template <> inline constexpr unsigned integers_in_vectors<Power> = 4;
struct Positive {
  template <class T> __device__ T operator()(T x) const { return x; }
};
struct Negative {
  template <class T> __device__ T operator()(T x) const { return negated(x); }
};
struct Absolute {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return abs(x);
    else if constexpr (is_floating<T>) return fabs(x);
    else if constexpr (is_signed_integer<T>) return x < T(0) ? negated(x) : x;
    else return x;
  }
};
struct Fabs {
  template <class T> __device__ T operator()(T x) const { return fabs(x); }
};
struct Sign {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return sign(x);
    else if constexpr (is_floating<T>) return x > T(0) ? T(1) : x < T(0) ? T(-1) : is_nan(x) ? x : T(0);
    else return T((x > T(0)) - (x < T(0)));
  }
};
struct Square {
  template <class T> __device__ T operator()(T x) const { return Multiply()(x, x); }
};
struct Reciprocal {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return reciprocal(x);
    else if constexpr (is_integer<T>) return x == T(1) || (negated(x) == T(1) && is_signed_integer<T>) ? x : T(0);
    else return T(1) / x;
  }
};

// ---- number theory ------------------------------------------------------------------------------------------------
template <class U> __device__ inline U greatest_common_divisor(U a, U b) {
  while (a != 0) {
    const U rest = U(b % a);
    b = a;
    a = rest;
  }
  return b;
}
struct Gcd {
  template <class T> __device__ T operator()(T a, T b) const {
    return T(greatest_common_divisor(magnitude(a), magnitude(b)));
  }
};
struct Lcm {
  template <class T> __device__ T operator()(T a, T b) const {
    using U = wrapping_t<T>;
    const U x = magnitude(a), y = magnitude(b), divisor = greatest_common_divisor(x, y);
    return divisor == 0 ? T(0) : T(x / divisor * y);
  }
};

// ---- complex parts: a real number is its own real part ------------------------------------------------------------
struct Conjugate {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return conj(x);
    else return x;
  }
};
struct Real {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return x.re;
    else return x;
  }
};
struct Imag {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return x.im;
    else return T(0);
  }
};

}  // namespace ops
}  // namespace ca
