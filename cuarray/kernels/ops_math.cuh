// Functors of exponentials, logarithms, trigonometry and special functions.
#pragma once
#include "ops_arithmetic.cuh"

namespace ca {
namespace ops {

// ---- exponentials, logarithms, roots ----------------------------------------------------------------------------
struct Sqrt { template <class T> __device__ T operator()(T x) const { return sqrt(x); } };
struct Cbrt { template <class T> __device__ T operator()(T x) const { return cbrt(x); } };
struct Exp { template <class T> __device__ T operator()(T x) const { return exp(x); } };
struct Exp2 { template <class T> __device__ T operator()(T x) const { return exp2(x); } };
struct Expm1 { template <class T> __device__ T operator()(T x) const { return expm1(x); } };
struct Log { template <class T> __device__ T operator()(T x) const { return log(x); } };
struct Log2 { template <class T> __device__ T operator()(T x) const { return log2(x); } };
struct Log10 { template <class T> __device__ T operator()(T x) const { return log10(x); } };
struct Log1p { template <class T> __device__ T operator()(T x) const { return log1p(x); } };
struct Hypot { template <class T> __device__ T operator()(T a, T b) const { return hypot(a, b); } };

struct LogAddExp {
  template <class T> __device__ T operator()(T a, T b) const {
    if (a == b) return a + T(detail::ln2);  // two infinities of one sign too
    const T difference = a - b;
    if (is_nan(difference)) return difference;
    return (difference > T(0) ? a : b) + log1p(exp(-fabs(difference)));
  }
};
struct LogAddExp2 {
  template <class T> __device__ T operator()(T a, T b) const {
    if (a == b) return a + T(1);
    const T difference = a - b;
    if (is_nan(difference)) return difference;
    return (difference > T(0) ? a : b) + T(detail::log2_e) * log1p(exp2(-fabs(difference)));
  }
};

// ---- trigonometry -----------------------------------------------------------------------------------------------
struct Sin { template <class T> __device__ T operator()(T x) const { return sin(x); } };
struct Cos { template <class T> __device__ T operator()(T x) const { return cos(x); } };
struct Tan { template <class T> __device__ T operator()(T x) const { return tan(x); } };
struct ArcSin { template <class T> __device__ T operator()(T x) const { return asin(x); } };
struct ArcCos { template <class T> __device__ T operator()(T x) const { return acos(x); } };
struct ArcTan { template <class T> __device__ T operator()(T x) const { return atan(x); } };
struct ArcTan2 { template <class T> __device__ T operator()(T y, T x) const { return atan2(y, x); } };
struct Sinh { template <class T> __device__ T operator()(T x) const { return sinh(x); } };
struct Cosh { template <class T> __device__ T operator()(T x) const { return cosh(x); } };
struct Tanh { template <class T> __device__ T operator()(T x) const { return tanh(x); } };
struct ArcSinh { template <class T> __device__ T operator()(T x) const { return asinh(x); } };
struct ArcCosh { template <class T> __device__ T operator()(T x) const { return acosh(x); } };
struct ArcTanh { template <class T> __device__ T operator()(T x) const { return atanh(x); } };
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
