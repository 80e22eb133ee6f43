// Complex numbers with the layout and the arithmetic of NumPy's complex64 and complex128, and conversion between all
// stored types. Special values follow C99's Annex G where that is cheap.
#pragma once
#include "portable.cuh"

namespace ca {

template <class T> struct alignas(2 * sizeof(T)) complex {
  T re, im;

  complex() = default;
  __device__ constexpr complex(T re, T im = T(0)) : re(re), im(im) {}
  template <class U> __device__ explicit constexpr complex(complex<U> z) : re(T(z.re)), im(T(z.im)) {}

  // Friends inside the class, so that a real operand converts.
  friend __device__ complex operator+(complex a, complex b) { return {a.re + b.re, a.im + b.im}; }
  friend __device__ complex operator-(complex a, complex b) { return {a.re - b.re, a.im - b.im}; }
  friend __device__ complex operator-(complex a) { return {-a.re, -a.im}; }
  friend __device__ complex operator*(complex a, complex b) {
    return {a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
  }
  friend __device__ complex operator*(complex a, T b) { return {a.re * b, a.im * b}; }
  friend __device__ complex operator*(T a, complex b) { return {a * b.re, a * b.im}; }
  // Smith's algorithm: |b|^2 would overflow. Products are rounded by themselves so that z / z is exactly 1.
  friend __device__ complex operator/(complex a, complex b) {
    const T abs_re = fabs(b.re), abs_im = fabs(b.im);
    const bool upright = !(abs_re >= abs_im);
    const T large = upright ? b.im : b.re, small = upright ? b.re : b.im, ratio = small / large;
    const T scale = T(1) / (large + rounded_product(small, ratio));
    const T first = rounded_product(upright ? a.re : a.im, ratio);
    const T second = rounded_product(upright ? a.im : a.re, ratio);
    const T re = (upright ? a.im : a.re) + first, im = upright ? second - a.re : a.im - second;
    const bool by_zero = abs_re == T(0) && abs_im == T(0);
    return {by_zero ? a.re / abs_re : re * scale, by_zero ? a.im / abs_re : im * scale};
  }

  friend __device__ bool operator==(complex a, complex b) { return a.re == b.re && a.im == b.im; }
  friend __device__ bool operator!=(complex a, complex b) { return a.re != b.re || a.im != b.im; }
  // Lexicographic. A NaN in an imaginary part hides the order of the real parts, as in NumPy.
  friend __device__ bool operator<(complex a, complex b) {
    return (a.re < b.re && a.im == a.im && b.im == b.im) || (a.re == b.re && a.im < b.im);
  }
  friend __device__ bool operator<=(complex a, complex b) {
    return (a.re < b.re && a.im == a.im && b.im == b.im) || (a.re == b.re && a.im <= b.im);
  }
  friend __device__ bool operator>(complex a, complex b) { return b < a; }
  friend __device__ bool operator>=(complex a, complex b) { return b <= a; }
};

template <class T> inline constexpr bool is_complex = false;
template <class T> inline constexpr bool is_complex<complex<T>> = true;

template <class T> struct real_part { using type = T; };
template <class T> struct real_part<complex<T>> { using type = T; };
template <class T> using real_t = typename real_part<T>::type;

// ---- conversion between stored types --------------------------------------------------------------------------
template <class To, class From> __device__ inline To convert(From x) {
  if constexpr (is_same_v<To, From>) {
    return x;
  } else if constexpr (is_same_v<From, float16> || is_same_v<From, bfloat16>) {
    return convert<To>(float(x));
  } else if constexpr (is_bool<To>) {
    return x != From(0);
  } else if constexpr (is_complex<To>) {
    if constexpr (is_complex<From>) return To(x);
    else return To(real_t<To>(x));
  } else if constexpr (is_complex<From>) {
    return convert<To>(x.re);
  } else if constexpr (is_same_v<To, float16>) {
    if constexpr (is_same_v<From, double>) return float16(x);
    else return float16(float(x));
  } else if constexpr (is_same_v<To, bfloat16>) {
    return bfloat16(float(x));
  } else if constexpr (is_floating<From> && is_integer<To>) {
    // Negative to unsigned, and what only a wider integer holds, wraps around: what x86 does for NumPy's C casts.
    if constexpr (sizeof(To) < 4) return To(int(x));
    else if constexpr (is_same_v<To, unsigned int>) return To(i64(x));
    else if constexpr (is_same_v<To, unsigned long>) return x < From(0) ? To(i64(x)) : To(x);
    else return To(x);
  } else {
    return To(x);
  }
}

// ---- parts ------------------------------------------------------------------------------------------------------
template <class T> __device__ inline T real(complex<T> z) { return z.re; }
template <class T> __device__ inline T imag(complex<T> z) { return z.im; }
template <class T> __device__ inline complex<T> conj(complex<T> z) { return {z.re, -z.im}; }
template <class T> __device__ inline T abs(complex<T> z) { return hypot(z.re, z.im); }
template <class T> __device__ inline T arg(complex<T> z) { return atan2(z.im, z.re); }
template <class T> __device__ inline bool isnan(complex<T> z) { return z != z; }
template <class T> __device__ inline bool isinf(complex<T> z) { return isinf(z.re) || isinf(z.im); }
template <class T> __device__ inline bool isfinite(complex<T> z) { return isfinite(z.re) && isfinite(z.im); }

template <class T> __device__ inline complex<T> sign(complex<T> z) {
  const T magnitude = abs(z), nan = limits<T>::nan();
  if (isnan(z) || (isinf(z.re) && isinf(z.im))) return {nan, nan};
  if (isinf(z.re)) return {copysign(T(1), z.re), T(0)};
  if (isinf(z.im)) return {T(0), copysign(T(1), z.im)};
  if (magnitude == T(0)) return {T(0), T(0)};
  if (isinf(magnitude)) return sign(z * T(0.5));
  return {z.re / magnitude, z.im / magnitude};
}

template <class T> __device__ inline complex<T> square(complex<T> z) {
  return {z.re * z.re - z.im * z.im, z.re * z.im + z.im * z.re};
}

template <class T> __device__ inline complex<T> reciprocal(complex<T> z) {
  if (fabs(z.im) <= fabs(z.re)) {
    const T ratio = z.im / z.re, scale = z.re + z.im * ratio;
    return {T(1) / scale, -ratio / scale};
  }
  const T ratio = z.re / z.im, scale = z.re * ratio + z.im;
  return {ratio / scale, T(-1) / scale};
}

// ---- square root, exponential, logarithm ------------------------------------------------------------------------
namespace detail {

inline constexpr double ln2 = 0.693147180559945309417232121458176568;
inline constexpr double log2_e = 1.442695040888963407359924681001892137;
inline constexpr double log10_e = 0.434294481903251827651128918916605082;
inline constexpr double half_pi = 1.570796326794896619231321691639751442;

template <class T> inline constexpr T big = T(4e307);               // about a quarter of the largest number
template <> inline constexpr float big<float> = 8e37f;
template <class T> inline constexpr T smallest = T(2.3e-308);       // about the smallest normal number
template <> inline constexpr float smallest<float> = 1.2e-38f;
template <class T> inline constexpr T scale_up = T(1ul << 54);      // lifts a subnormal number; an even power of two
template <> inline constexpr float scale_up<float> = float(1 << 24);
template <class T> inline constexpr T scale_up_root = T(1ul << 27);
template <> inline constexpr float scale_up_root<float> = float(1 << 12);
template <class T> inline constexpr T scale_up_log2 = T(54);
template <> inline constexpr float scale_up_log2<float> = 24.0f;
template <class T> inline constexpr T big_exponent = T(708);        // exp() of more may overflow
template <> inline constexpr float big_exponent<float> = 87.0f;
template <class T> inline constexpr T flat_tanh = T(22);            // tanh() of more rounds to 1
template <> inline constexpr float flat_tanh<float> = 11.0f;

// |1 + x + iy|^2 - 1 = 2x + x^2 + y^2, right also where the terms cancel: squares and sums keep their rounding errors.
template <class T> __device__ inline T norm_minus_one(T x, T y) {
  const T xx = rounded_product(x, x), yy = rounded_product(y, y);
  T error = fma(x, x, -xx) + fma(y, y, -yy);
  const auto add = [&error](T a, T b) {
    const T sum = a + b, b_part = sum - a;
    error += (a - (sum - b_part)) + (b - b_part);
    return sum;
  };
  const T sum = add(add(T(2) * x, xx), yy);
  return sum + error;
}

template <class T> __device__ inline T log_abs(complex<T> z) {
  T x = fabs(z.re), y = fabs(z.im);
  if (x < y) {
    const T t = x;
    x = y;
    y = t;
  }
  if (x >= T(0.5) && x < T(2)) return T(0.5) * log1p(norm_minus_one(x - T(1), y));
  if (x > big<T> && x < limits<T>::highest()) return log(hypot(x * T(0.25), y * T(0.25))) + T(2 * ln2);
  if (x < smallest<T> && x > T(0)) {
    return log(hypot(x * scale_up<T>, y * scale_up<T>)) - scale_up_log2<T> * T(ln2);
  }
  return log(hypot(x, y));
}

// power(x) * (cos(angle) + i sin(angle)), where power is exp or exp2: it may overflow where the result does not.
template <class T, class Power> __device__ inline complex<T> turn(T x, T angle, Power power) {
  if (angle == T(0)) return {power(x), angle};
  if (!isfinite(angle) && isinf(x)) {
    if (x > T(0)) return {x, limits<T>::nan()};
    return {T(0), isinf(angle) ? copysign(T(0), angle) : T(0)};
  }
  const T c = cos(angle), s = sin(angle);
  if (x > big_exponent<T>) {
    const T root = power(x * T(0.5));
    return {root * c * root, root * s * root};
  }
  const T length = power(x);
  return {length * c, length * s};
}

}  // namespace detail

template <class T> __device__ inline complex<T> sqrt(complex<T> z) {
  const T x = z.re, y = z.im, nan = limits<T>::nan();
  if (x == T(0) && y == T(0)) return {T(0), y};
  if (isinf(y)) return {fabs(y), y};
  if (isinf(x)) {
    const T other = y - y;  // 0 or NaN
    return x > T(0) ? complex<T>{x, copysign(other, y)} : complex<T>{fabs(other), copysign(x, y)};
  }
  if (z != z) return {nan, nan};
  const T larger = fabs(x) > fabs(y) ? fabs(x) : fabs(y);
  T in = T(1), out = T(1);
  if (larger > detail::big<T>) {
    in = T(0.0625);
    out = T(4);
  } else if (larger < detail::smallest<T> * detail::scale_up<T>) {
    in = detail::scale_up<T>;
    out = T(1) / detail::scale_up_root<T>;
  }
  const T sx = x * in, sy = y * in;
  const T root = sqrt((fabs(sx) + hypot(sx, sy)) * T(0.5)), other = fabs(sy) / (T(2) * root);
  if (x >= T(0)) return {root * out, copysign(other * out, y)};
  return {other * out, copysign(root * out, y)};
}

template <class T> __device__ inline complex<T> exp(complex<T> z) {
  return detail::turn(z.re, z.im, [](T x) { return exp(x); });
}
template <class T> __device__ inline complex<T> exp2(complex<T> z) {
  return detail::turn(z.re, z.im * T(detail::ln2), [](T x) { return exp2(x); });
}
template <class T> __device__ inline complex<T> expm1(complex<T> z) {
  if (!isfinite(z) || z.re > T(1)) {
    const complex<T> e = exp(z);
    return {e.re - T(1), e.im};
  }
  const T half_sine = sin(z.im * T(0.5));  // e^x cos y - 1 = (e^x - 1) cos y - 2 sin(y/2)^2
  return {expm1(z.re) * cos(z.im) - T(2) * half_sine * half_sine, exp(z.re) * sin(z.im)};
}

template <class T> __device__ inline complex<T> log(complex<T> z) { return {detail::log_abs(z), arg(z)}; }
template <class T> __device__ inline complex<T> log2(complex<T> z) { return log(z) * T(detail::log2_e); }
template <class T> __device__ inline complex<T> log10(complex<T> z) { return log(z) * T(detail::log10_e); }
template <class T> __device__ inline complex<T> log1p(complex<T> z) {
  const complex<T> w = {z.re + T(1), z.im};
  if (fabs(z.re) < T(0.5) && fabs(z.im) < T(1)) {
    return {T(0.5) * log1p(detail::norm_minus_one(z.re, z.im)), arg(w)};
  }
  return log(w);
}

// ---- hyperbolic and trigonometric functions -----------------------------------------------------------------------
template <class T> __device__ inline complex<T> cosh(complex<T> z) {
  const T x = z.re, y = z.im;
  if (y == T(0)) return {cosh(x), x == x ? copysign(T(1), x) * y : y};
  if (x == T(0)) return {cos(y), isfinite(y) ? x * sin(y) : fabs(x)};
  if (!isfinite(y) && isinf(x)) return {fabs(x), limits<T>::nan()};
  const T c = cos(y), s = sin(y);
  if (fabs(x) > detail::big_exponent<T>) {
    const T root = exp(fabs(x) * T(0.5)), half = T(0.5) * root;
    return {half * c * root, copysign(half, x) * s * root};
  }
  return {cosh(x) * c, sinh(x) * s};
}

template <class T> __device__ inline complex<T> sinh(complex<T> z) {
  const T x = z.re, y = z.im;
  if (y == T(0)) return {sinh(x), y};
  if (x == T(0)) return {isfinite(y) ? x * cos(y) : x, sin(y)};
  if (!isfinite(y) && isinf(x)) return {fabs(x), limits<T>::nan()};
  const T c = cos(y), s = sin(y);
  if (fabs(x) > detail::big_exponent<T>) {
    const T root = exp(fabs(x) * T(0.5)), half = T(0.5) * root;
    return {copysign(half, x) * c * root, half * s * root};
  }
  return {sinh(x) * c, cosh(x) * s};
}

template <class T> __device__ inline complex<T> tanh(complex<T> z) {  // Kahan, "Branch cuts", 1987
  const T x = z.re, y = z.im;
  if (y == T(0)) return {tanh(x), y};
  if (!isfinite(y) && !isinf(x)) return {x == T(0) ? x : limits<T>::nan(), limits<T>::nan()};
  if (fabs(x) > detail::flat_tanh<T>) {
    const T decay = exp(-fabs(x));
    if (!isfinite(y)) return {copysign(T(1), x), isinf(y) ? copysign(T(0), y) : T(0)};
    return {copysign(T(1), x), T(4) * sin(y) * cos(y) * decay * decay};
  }
  const T t = tan(y), beta = T(1) + t * t, s = sinh(x), rho = sqrt(T(1) + s * s), scale = T(1) + beta * s * s;
  return {beta * rho * s / scale, t / scale};
}

// With iz = -y + ix: sin z = -i sinh iz, cos z = cosh iz, tan z = -i tanh iz.
template <class T> __device__ inline complex<T> sin(complex<T> z) {
  const complex<T> w = sinh(complex<T>(-z.im, z.re));
  return {w.im, isinf(w.re) && w.im != w.im ? fabs(w.re) : -w.re};  // beside NaN the sign of infinity is left open
}
template <class T> __device__ inline complex<T> cos(complex<T> z) { return cosh(complex<T>(-z.im, z.re)); }
template <class T> __device__ inline complex<T> tan(complex<T> z) {
  const complex<T> w = tanh(complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}

// ---- their inverses: Kahan's formulas, in which no terms cancel ---------------------------------------------------
namespace detail {
template <class T> __device__ inline bool is_large(complex<T> z) {  // infinity too
  return fabs(z.re) > big<T> || fabs(z.im) > big<T>;
}
template <class T> __device__ inline T log_twice_abs(complex<T> z) {
  return log(hypot(z.re * T(0.25), z.im * T(0.25))) + T(3 * ln2);
}
}  // namespace detail

template <class T> __device__ inline complex<T> asinh(complex<T> z) {
  if (detail::is_large(z)) {
    return {copysign(detail::log_twice_abs(z), z.re), copysign(atan2(fabs(z.im), fabs(z.re)), z.im)};
  }
  if (z.im == T(0) && z.re != z.re) return z;
  const complex<T> a = sqrt(complex<T>(T(1) + z.im, -z.re)), b = sqrt(complex<T>(T(1) - z.im, z.re));
  return {asinh(a.re * b.im - b.re * a.im), atan2(z.im, a.re * b.re - a.im * b.im)};
}

template <class T> __device__ inline complex<T> acos(complex<T> z) {
  if (detail::is_large(z)) return {atan2(fabs(z.im), z.re), -copysign(detail::log_twice_abs(z), z.im)};
  if (z.re == T(0) && z.im != z.im) return {T(detail::half_pi), z.im};
  const complex<T> a = sqrt(complex<T>(T(1) - z.re, -z.im)), b = sqrt(complex<T>(T(1) + z.re, z.im));
  return {T(2) * atan2(a.re, b.re), asinh(b.re * a.im - b.im * a.re)};
}

template <class T> __device__ inline complex<T> acosh(complex<T> z) {
  if (detail::is_large(z)) return {detail::log_twice_abs(z), arg(z)};
  if (z.re == T(0) && z.im != z.im) return {z.im, T(detail::half_pi)};
  const complex<T> a = sqrt(complex<T>(z.re - T(1), z.im)), b = sqrt(complex<T>(z.re + T(1), z.im));
  return {asinh(a.re * b.re + a.im * b.im), T(2) * atan2(a.im, b.re)};
}

template <class T> __device__ inline complex<T> atanh(complex<T> z) {
  const T x = fabs(z.re), y = z.im, large = sqrt(detail::big<T>), tiny = sqrt(detail::smallest<T>);
  if (z != z && !isinf(z) && x != T(0)) return {limits<T>::nan(), limits<T>::nan()};
  T re, im;
  if (x > large || fabs(y) > large) {
    const T h = hypot(x * T(0.5), y * T(0.5));
    re = isinf(h) ? T(0) : x / T(4) / h / h;
    im = y != y ? y : copysign(T(detail::half_pi), y);
  } else if (x == T(1) && fabs(y) < tiny) {  // beside the pole
    re = y == T(0) ? limits<T>::highest() : -log(sqrt(fabs(y)) / sqrt(hypot(y, T(2))));
    im = y == T(0) ? y : copysign(atan2(T(2), -fabs(y)) * T(0.5), y);
  } else {
    const T rest = T(1) - x, yy = fabs(y) < tiny ? T(0) : y * y;
    re = x == T(0) ? T(0) : log1p(T(4) * x / (rest * rest + yy)) * T(0.25);
    im = atan2(T(2) * y, rest * (T(1) + x) - yy) * T(0.5);
  }
  return {copysign(re, z.re), im};
}

template <class T> __device__ inline complex<T> asin(complex<T> z) {
  const complex<T> w = asinh(complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}
template <class T> __device__ inline complex<T> atan(complex<T> z) {
  const complex<T> w = atanh(complex<T>(-z.im, z.re));
  return {w.im, -w.re};
}

// ---- power --------------------------------------------------------------------------------------------------------
template <class T> __device__ inline complex<T> pow(complex<T> base, complex<T> exponent) {
  if (exponent == complex<T>(0)) return {T(1), T(0)};
  if (base == complex<T>(0)) {
    const T nan = limits<T>::nan();
    return exponent.re > T(0) ? complex<T>{T(0), T(0)} : complex<T>{nan, nan};
  }
  if (exponent.im == T(0) && fabs(exponent.re) < T(100) && exponent.re == trunc(exponent.re)) {
    int n = int(fabs(exponent.re));
    complex<T> factor = base;
    for (; n % 2 == 0; n /= 2) factor = square(factor);
    complex<T> result = factor;  // and not 1 * factor, which would be NaN for an infinity
    while (n /= 2) {
      factor = square(factor);
      if (n % 2) result = result * factor;
    }
    return exponent.re < T(0) ? complex<T>(1) / result : result;
  }
  // In double, because the exponential multiplies the relative error of what it is given by its size.
  return complex<T>(exp(complex<double>(exponent) * log(complex<double>(base))));
}

}  // namespace ca
