// Functors of exponentials, logarithms, trigonometry and special functions.
#pragma once
#include "ops_arithmetic.cuh"

namespace ca {
namespace ops {

// ---- exponentials, logarithms, roots ----------------------------------------------------------------------------
struct Sqrt {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return sqrt(x);
    else return root(x);
  }
};
struct Cbrt : InVectors { template <class T> __device__ T operator()(T x) const { return cbrt(x); } };
struct Exp : InVectors { template <class T> __device__ T operator()(T x) const { return exp(x); } };
struct Exp2 : InVectors { template <class T> __device__ T operator()(T x) const { return exp2(x); } };
struct Expm1 : InVectors { template <class T> __device__ T operator()(T x) const { return expm1(x); } };
struct Log : InVectors { template <class T> __device__ T operator()(T x) const { return log(x); } };
struct Log2 : InVectors {
  template <class T> __device__ T operator()(T x) const {
#if CA_ON_DEVICE
    if constexpr (is_same_v<T, double>) {  // CUDA's is off by a unit in the last place for some powers of two
      const unsigned long bits = bit_cast<unsigned long>(x);
      const int exponent = int(bits >> 52);
      if (!(bits << 12) && exponent > 0 && exponent < 0x7ff) return exponent - 1023;
    }
#endif
    return log2(x);
  }
};
struct Log10 : InVectors { template <class T> __device__ T operator()(T x) const { return log10(x); } };
struct Log1p : InVectors { template <class T> __device__ T operator()(T x) const { return log1p(x); } };
struct Hypot { template <class T> __device__ T operator()(T a, T b) const { return hypot(a, b); } };

struct LogAddExp : InVectors {
  template <class T> __device__ T operator()(T a, T b) const {
    const T difference = a - b, sum = select(difference > T(0), a, b) + log1p(exp(-fabs(difference)));
    // Equal: two infinities of one sign, too.
    return select(a == b, a + T(detail::ln2), select(is_nan(difference), difference, sum));
  }
};
struct LogAddExp2 : InVectors {
  template <class T> __device__ T operator()(T a, T b) const {
    const T difference = a - b;
    const T sum = select(difference > T(0), a, b) + T(detail::log2_e) * log1p(exp2(-fabs(difference)));
    return select(a == b, a + T(1), select(is_nan(difference), difference, sum));
  }
};

// ---- trigonometry -----------------------------------------------------------------------------------------------
struct Sin : InVectors { template <class T> __device__ T operator()(T x) const { return sin(x); } };
struct Cos : InVectors { template <class T> __device__ T operator()(T x) const { return cos(x); } };
struct Tan : InVectors { template <class T> __device__ T operator()(T x) const { return tan(x); } };
struct ArcSin : InVectors { template <class T> __device__ T operator()(T x) const { return asin(x); } };
struct ArcCos : InVectors { template <class T> __device__ T operator()(T x) const { return acos(x); } };
struct ArcTan : InVectors { template <class T> __device__ T operator()(T x) const { return atan(x); } };
struct ArcTan2 : InVectors { template <class T> __device__ T operator()(T y, T x) const { return atan2(y, x); } };
struct Sinh : InVectors { template <class T> __device__ T operator()(T x) const { return sinh(x); } };
struct Cosh : InVectors { template <class T> __device__ T operator()(T x) const { return cosh(x); } };
struct Tanh : InVectors { template <class T> __device__ T operator()(T x) const { return tanh(x); } };
struct ArcSinh : InVectors { template <class T> __device__ T operator()(T x) const { return asinh(x); } };
struct ArcCosh : InVectors { template <class T> __device__ T operator()(T x) const { return acosh(x); } };
struct ArcTanh : InVectors { template <class T> __device__ T operator()(T x) const { return atanh(x); } };
struct Degrees { template <class T> __device__ T operator()(T x) const { return x * T(90 / detail::half_pi); } };
struct Radians { template <class T> __device__ T operator()(T x) const { return x * T(detail::half_pi / 90); } };

// ---- special functions ------------------------------------------------------------------------------------------
struct Sinc {  // sin(pi x) / (pi x), every step rounded to the type of x
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) {
      const real_t<T> pi = real_t<T>(2 * detail::half_pi);
      const T y = {x.re * pi, x.im * pi};
      return is_true(y) ? sin(y) / y : T(1);
    } else {
      using C = compute_t<T>;
      const C y = T(C(T(C(2 * detail::half_pi))) * C(x));
      return is_true(y) ? T(C(T(sin(y))) / y) : T(C(1));
    }
  }
};
template <> inline constexpr bool takes_stored<Sinc> = true;

struct BesselI0 {  // modified, of the first kind and order 0; computed in double
  template <class T> __device__ T operator()(T value) const {
    const double x = fabs(double(value)), smallest = 1e-17;
    double term = 1, sum = 1;
    if (x > 20) {  // asymptotic: the terms fall until the (2x)th
      for (int k = 1; k < 40 && term > smallest; ++k) sum += term *= (2 * k - 1.0) * (2 * k - 1.0) / (8 * k * x);
      return T(exp(x) / sqrt(4 * detail::half_pi * x) * sum);
    }
    for (int k = 1; term > smallest * sum; ++k) sum += term *= (x / (2 * k)) * (x / (2 * k));
    return T(x == x ? sum : x);
  }
};

}  // namespace ops
}  // namespace ca
