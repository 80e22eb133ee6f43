// Functors of rounding and of the representation of floating numbers.
#pragma once
#include "ops_arithmetic.cuh"

namespace ca {
namespace ops {

// ---- rounding ---------------------------------------------------------------------------------------------------
struct Floor {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_floating<T>) return floor(x);
    else return x;
  }
};
struct Ceil {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_floating<T>) return ceil(x);
    else return x;
  }
};
struct Trunc {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_floating<T>) return trunc(x);
    else return x;
  }
};
struct Rint {  // half to even
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return {rint(x.re), rint(x.im)};
    else if constexpr (is_floating<T>) return rint(x);
    else return x;
  }
};

// ---- the representation of floating numbers ---------------------------------------------------------------------
struct IsNan {
  template <class T> __device__ bool operator()(T x) const { return is_nan(x); }
};
struct IsInf {
  template <class T> __device__ bool operator()(T x) const {
    if constexpr (is_floating<T> || is_complex<T>) return isinf(x);
    else return false;
  }
};
struct IsFinite {
  template <class T> __device__ bool operator()(T x) const {
    if constexpr (is_floating<T> || is_complex<T>) return isfinite(x);
    else return true;
  }
};
template <class T> struct float_bits;
template <> struct float_bits<float16> { using type = unsigned short; };
template <> struct float_bits<bfloat16> { using type = unsigned short; };
template <> struct float_bits<float> { using type = unsigned int; };
template <> struct float_bits<double> { using type = unsigned long; };

struct SignBit {
  template <class T> __device__ bool operator()(T x) const {
    return bit_cast<typename float_bits<T>::type>(x) >> (sizeof(T) * 8 - 1);
  }
};
template <> inline constexpr bool takes_stored<SignBit> = true;  // a conversion of float16 may lose a NaN's sign
struct CopySign {
  template <class T> __device__ T operator()(T a, T b) const {
    using Bits = typename float_bits<T>::type;
    const Bits sign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
    return bit_cast<T>(Bits((bit_cast<Bits>(a) & Bits(~sign)) | (bit_cast<Bits>(b) & sign)));
  }
};
template <> inline constexpr bool takes_stored<CopySign> = true;
struct Ldexp {  // x * 2^exponent, the exponent int or long
  template <class T, class N> __device__ T operator()(T x, N exponent) const {
    const int limit = 10000;  // beyond any floating type's range
    return ldexp(x, exponent > N(limit) ? limit : exponent < N(-limit) ? -limit : int(exponent));
  }
};

struct Frexp {  // a fraction in [0.5, 1) and the power of two to multiply it by
  template <class T> __device__ Two<T, int> operator()(T x) const {
    if (!isfinite(x)) return {x, 0};
    int exponent = 0;
    const T fraction = frexp(x, &exponent);
    return {fraction, exponent};
  }
};
struct Modf {  // the fraction and the whole number, both with the sign of x
  template <class T> __device__ Two<T, T> operator()(T x) const {
    const T whole = trunc(x);
    return {isinf(x) ? copysign(T(0), x) : copysign(x - whole, x), whole};
  }
};


struct NextAfter {
  template <class T> __device__ T operator()(T a, T towards) const {
    using Bits = typename float_bits<T>::type;
    using C = compute_t<T>;
    const C x = a, y = towards;
    if (is_nan(x) || is_nan(y)) return T(x + y);
    if (x == y) return is_same_v<T, float16> ? a : towards;  // as NumPy does: -0, 0 of float16 give -0
    const Bits sign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
    if (x == C(0)) return bit_cast<T>(Bits(1 | (bit_cast<Bits>(towards) & sign)));
    return bit_cast<T>(Bits(bit_cast<Bits>(a) + ((x < y) == (x > C(0)) ? 1 : -1)));
  }
};
template <> inline constexpr bool takes_stored<NextAfter> = true;
struct Spacing {  // signed like x, except that NumPy's float16 always looks upwards
  template <class T> __device__ T operator()(T x) const {
    using C = compute_t<T>;
    if (!isfinite(C(x))) return T(limits<C>::nan());
    const bool downwards = !is_same_v<T, float16> && signbit(C(x)) && C(x) != C(0);
    const T next = NextAfter()(x, T(downwards ? limits<C>::lowest() : limits<C>::highest()));
    return T(C(next) - C(x));
  }
};
template <> inline constexpr bool takes_stored<Spacing> = true;

struct Heaviside {
  template <class T> __device__ T operator()(T x, T at_zero) const {
    return is_nan(x) ? x : x == T(0) ? at_zero : T(x > T(0));
  }
};

}  // namespace ops
}  // namespace ca
