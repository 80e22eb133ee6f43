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
    return scaled(x, int(exponent > N(limit) ? N(limit) : exponent < N(-limit) ? N(-limit) : exponent));
  }
};

struct Frexp {  // a fraction in [0.5, 1) and the power of two to multiply it by
  template <class T> __device__ Two<T, int> operator()(T x) const {
    int power = 0;
    const bool finite = fabs(x) < limits<T>::highest();
    const T fraction = fraction_of(finite ? x : T(0), &power);
    return {finite ? fraction : x, finite ? power : 0};
  }
};
struct Modf {  // the fraction and the whole number, both with the sign of x
  template <class T> __device__ Two<T, T> operator()(T x) const {
    const T whole = trunc(x);
    return {isinf(x) ? copysign(T(0), x) : copysign(x - whole, x), whole};
  }
};


// Of a float16 or bfloat16, by its bits alone: compilers make no vectors of comparisons of converted numbers.
template <class T> __device__ inline unsigned short size_of_half(T x) {
  return static_cast<unsigned short>(x.bits & 0x7fff);
}
template <class T> inline constexpr unsigned short infinite_half = is_same_v<T, float16> ? 0x7c00 : 0x7f80;
template <class T> __device__ inline int order_of_half(T x) { return x.bits & 0x8000 ? -size_of_half(x) : size_of_half(x); }
template <class T> inline constexpr bool is_half = is_same_v<T, float16> || is_same_v<T, bfloat16>;

struct NextAfter {
  template <class T> __device__ T operator()(T a, T towards) const {
    using Bits = typename float_bits<T>::type;
    const Bits sign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
    if constexpr (is_half<T>) {
      const int x = order_of_half(a), y = order_of_half(towards);
      const bool missing = (size_of_half(a) > infinite_half<T>) | (size_of_half(towards) > infinite_half<T>);
      const Bits moved = Bits(a.bits + ((x < y) == (a.bits < sign) ? 1 : -1));
      const Bits next = x == 0 ? Bits(1 | (towards.bits & sign)) : moved;
      const Bits equal = is_same_v<T, float16> ? a.bits : towards.bits;  // of zeros, NumPy's float16 keeps the sign
      return bit_cast<T>(Bits(missing ? infinite_half<T> | 0x7f : x == y ? equal : next));
    } else {
      const T x = a, y = towards;
      if (is_nan(x) || is_nan(y)) return x + y;
      if (x == y) return towards;
      if (x == T(0)) return bit_cast<T>(Bits(1 | (bit_cast<Bits>(towards) & sign)));
      return bit_cast<T>(Bits(bit_cast<Bits>(a) + ((x < y) == (x > T(0)) ? 1 : -1)));
    }
  }
};
template <> inline constexpr bool takes_stored<NextAfter> = true;
struct Spacing {  // signed like x, except that NumPy's float16 always looks upwards
  template <class T> __device__ T operator()(T x) const {
    using C = compute_t<T>;
    const C nan = limits<C>::nan();
    if constexpr (is_half<T>) {
      const bool downwards = !is_same_v<T, float16> && order_of_half(x) < 0;
      const unsigned short beyond = static_cast<unsigned short>(infinite_half<T> | (downwards ? 0x8000 : 0));
      const T next = NextAfter()(x, bit_cast<T>(beyond)), space = T(C(next) - C(x));
      return size_of_half(x) < infinite_half<T> ? space : T(nan);
    } else {
      if (!isfinite(x)) return nan;
      const T next = NextAfter()(x, signbit(x) && x != C(0) ? limits<C>::lowest() : limits<C>::highest());
      return next - x;
    }
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
