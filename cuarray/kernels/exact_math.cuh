// Logarithm, exponential, sine ... that give the same bits on every device: random numbers must not depend on a libm.
//
// Only operations that IEEE 754 rounds correctly are used (+ - * / sqrt floor, conversions), each rounded on its own, in
// an order that is fixed here. Series stand where a libm has tables or minimax polynomials: the intervals are short. The
// results are within about 2 units in the last place, pow's within as many as its exponent is large.
#pragma once
#include "portable.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::exact {

// ln 2 in two parts; the first has so few bits that its product with an exponent is exact.
inline constexpr double ln2_high = 6.93147180369123816490e-01, ln2_low = 1.90821492927058770002e-10;
inline constexpr double pi = 3.14159265358979323846;

// atanh(s) - s for |s| < 0.172, and ln((1 + s) / (1 - s)) is 2 atanh(s).
__device__ CA_ALWAYS_INLINE double atanh_rest(double s) {
  const double z = s * s;
  double sum = 1.0 / 21;
  sum = sum * z + 1.0 / 19;
  sum = sum * z + 1.0 / 17;
  sum = sum * z + 1.0 / 15;
  sum = sum * z + 1.0 / 13;
  sum = sum * z + 1.0 / 11;
  sum = sum * z + 1.0 / 9;
  sum = sum * z + 1.0 / 7;
  sum = sum * z + 1.0 / 5;
  sum = sum * z + 1.0 / 3;
  return s * z * sum;
}
__device__ CA_ALWAYS_INLINE float atanh_rest(float s) {
  const float z = s * s;
  float sum = 1.0f / 9;
  sum = sum * z + 1.0f / 7;
  sum = sum * z + 1.0f / 5;
  sum = sum * z + 1.0f / 3;
  return s * z * sum;
}

// ln(x) of a positive, normal, finite x, without a branch: x = 2^k m with m near 1.
__device__ CA_ALWAYS_INLINE double log_of_normal(double x) {
  const u64 bits = bit_cast<u64>(x);
  const int k = (int(bits >> 32) - 0x3fe6a09f) >> 20;
  const double f = bit_cast<double>(bits - (u64(k) << 52)) - 1.0;
  const double s = f / (2.0 + f);
  return double(k) * ln2_high + (2.0 * s + (2.0 * atanh_rest(s) + double(k) * ln2_low));
}
__device__ CA_ALWAYS_INLINE float log_of_normal(float x) {
  const unsigned int bits = bit_cast<unsigned int>(x);
  const int k = (int(bits) - 0x3f3504f3) >> 23;
  const float f = bit_cast<float>(bits - (unsigned(k) << 23)) - 1.0f;
  const float s = f / (2.0f + f);
  return float(k) * 0.693145751953125f + (2.0f * s + (2.0f * atanh_rest(s) + float(k) * 1.42860677e-06f));
}

// The same of any x. Selections instead of branches let the host's compiler vectorise.
__device__ CA_ALWAYS_INLINE double log(double x) {
  constexpr double smallest_normal = 2.2250738585072014e-308, two54 = 18014398509481984.0;
  const bool tiny = x < smallest_normal;
  const double value = log_of_normal(tiny ? x * two54 : x) - (tiny ? 54.0 * ln2_high : 0.0);
  const double outside = x == 0.0 ? limits<double>::lowest() : (x > 0.0 ? x : limits<double>::nan());
  return x > 0.0 && x < limits<double>::highest() ? value : outside;
}

__device__ CA_ALWAYS_INLINE double log1p(double x) {
  if (x > -0.25 && x < 0.375) {
    const double s = x / (2.0 + x);
    return 2.0 * s + 2.0 * atanh_rest(s);
  }
  return log(1.0 + x);
}

// (e^r - 1 - r) / r^2 for |r| < 0.35: Taylor's series.
__device__ CA_ALWAYS_INLINE double exp_rest(double r) {
  double sum = 1.0 / 6227020800;
  sum = sum * r + 1.0 / 479001600;
  sum = sum * r + 1.0 / 39916800;
  sum = sum * r + 1.0 / 3628800;
  sum = sum * r + 1.0 / 362880;
  sum = sum * r + 1.0 / 40320;
  sum = sum * r + 1.0 / 5040;
  sum = sum * r + 1.0 / 720;
  sum = sum * r + 1.0 / 120;
  sum = sum * r + 1.0 / 24;
  sum = sum * r + 1.0 / 6;
  return sum * r + 0.5;
}

__device__ CA_ALWAYS_INLINE double exp(double x) {
  // Limits beyond which the result is infinite or 0 anyway; NaN goes its own way, as no int could stand for it.
  const double y = x > 710.0 ? 710.0 : (x < -750.0 ? -750.0 : (x == x ? x : 0.0));
  const double k = floor(y * 1.44269504088896338700 + 0.5);
  const double r = (y - k * ln2_high) - k * ln2_low;
  const double value = 1.0 + (r + r * r * exp_rest(r));
  const int whole = int(k), half = whole >> 1;  // 2^k in two factors, as k may be beyond the exponents of doubles
  const double result =
      value * bit_cast<double>(u64(1023 + half) << 52) * bit_cast<double>(u64(1023 + whole - half) << 52);
  return x == x ? result : x;
}

__device__ CA_ALWAYS_INLINE double expm1(double x) {
  if (x > -0.34 && x < 0.34) return x + x * x * exp_rest(x);
  return exp(x) - 1.0;
}

// x^y of x >= 0.
__device__ CA_ALWAYS_INLINE double pow(double x, double y) {
  if (y == 0.0) return 1.0;
  return exp(y * log(x));
}

template <class Real> struct SineCosine { Real sine, cosine; };

__device__ CA_ALWAYS_INLINE SineCosine<double> sincos_eighth(double x) {  // |x| <= pi / 4
  const double z = x * x;
  double sine = -1.0 / 1307674368000, cosine = 1.0 / 20922789888000;
  sine = sine * z + 1.0 / 6227020800;
  sine = sine * z - 1.0 / 39916800;
  sine = sine * z + 1.0 / 362880;
  sine = sine * z - 1.0 / 5040;
  sine = sine * z + 1.0 / 120;
  sine = sine * z - 1.0 / 6;
  cosine = cosine * z - 1.0 / 87178291200;
  cosine = cosine * z + 1.0 / 479001600;
  cosine = cosine * z - 1.0 / 3628800;
  cosine = cosine * z + 1.0 / 40320;
  cosine = cosine * z - 1.0 / 720;
  cosine = cosine * z + 1.0 / 24;
  return {x + x * z * sine, 1.0 - (0.5 * z - z * z * cosine)};
}
__device__ CA_ALWAYS_INLINE SineCosine<float> sincos_eighth(float x) {
  const float z = x * x;
  float sine = 1.0f / 362880, cosine = -1.0f / 3628800;
  sine = sine * z - 1.0f / 5040;
  sine = sine * z + 1.0f / 120;
  sine = sine * z - 1.0f / 6;
  cosine = cosine * z + 1.0f / 40320;
  cosine = cosine * z - 1.0f / 720;
  cosine = cosine * z + 1.0f / 24;
  return {x + x * z * sine, 1.0f - (0.5f * z - z * z * cosine)};
}

// Sine and cosine of 2 pi t for t in [0, 1]. The reduction to the nearest quarter of a turn is exact.
template <class Real> __device__ CA_ALWAYS_INLINE SineCosine<Real> sincos_of_turn(Real t) {
  const Real quarter = floor(Real(4) * t + Real(0.5));
  const auto part = sincos_eighth((t - quarter * Real(0.25)) * Real(2 * pi));
  const int q = int(quarter);
  const Real sine = q & 1 ? part.cosine : part.sine, cosine = q & 1 ? part.sine : part.cosine;
  return {q & 2 ? -sine : sine, (q + 1) & 2 ? -cosine : cosine};
}

// atan(x) of x >= 0, by the differences to atan(1/2), atan(1) and, for x > 1, pi / 2.
__device__ inline double atan(double x) {
  constexpr double atan_half = 0.46364760900080611621;
  const bool inverse = x > 1.0;
  const double y = inverse ? 1.0 / x : x;
  const double t = y > 0.75 ? (y - 1.0) / (1.0 + y) : (y > 0.25 ? (y - 0.5) / (1.0 + 0.5 * y) : y);
  const double z = t * t;
  double sum = 1.0 / 25;
#pragma unroll
  for (int n = 23; n >= 3; n -= 2) sum = 1.0 / n - z * sum;
  const double part = (y > 0.75 ? 0.25 * pi : (y > 0.25 ? atan_half : 0.0)) + (t - t * z * sum);
  return inverse ? 0.5 * pi - part : part;
}

// ln(n!) of a whole number n >= 0: Stirling's series beyond 12, reached by the product of the next factors.
__device__ inline double log_factorial(double n) {
  double product = 1.0;
  while (n < 12.0) product *= (n += 1.0);
  const double inverse = 1.0 / n, z = inverse * inverse;
  double series = 1.0 / 1188;
  series = series * z - 1.0 / 1680;
  series = series * z + 1.0 / 1260;
  series = series * z - 1.0 / 360;
  series = series * z + 1.0 / 12;
  constexpr double half_log_two_pi = 0.91893853320467274178;
  const double result = (n + 0.5) * log(n) - n + half_log_two_pi + inverse * series;
  return product == 1.0 ? result : result - log(product);
}

}  // namespace ca::exact

CA_ROUND_EACH_OPERATION_END
