// x to a small whole power by products in twice the precision. CUDA's pow() is off by a unit in the last place where the
// power is a number: pow(3, 1) is 2.9999999999999996.
#pragma once
#include "portable.cuh"

namespace ca {

template <class T> struct TwicePrecise {
  T high, low;  // the value is their sum
};

template <class T> __device__ inline TwicePrecise<T> product(TwicePrecise<T> a, TwicePrecise<T> b) {
  const T rounded = rounded_product(a.high, b.high);
  const T rest = fma(a.high, b.high, -rounded) + fma(a.high, b.low, a.low * b.high);
  const T high = rounded + rest;
  return {high, rest - (high - rounded)};
}

// Powers between this bound and its reciprocal, and what they are made of, have no rest that underflows, nor a reciprocal that overflows.
template <class T> inline constexpr T greatest_power = T(1e270);
template <> inline constexpr float greatest_power<float> = 1e23f;

// base^exponent, the exponent a whole number of at most 64 in magnitude: within 0.501 units in the last place; NaN where
// the power without its sign is out of bounds.
template <class T> __device__ inline T whole_power(T base, int exponent) {
  TwicePrecise<T> power = {T(1), T(0)}, factor = {base, T(0)};
  for (unsigned left = exponent < 0 ? -exponent : exponent; left;) {
    if (left & 1) power = product(power, factor);
    if (left >>= 1) factor = product(factor, factor);
  }
  const T size = fabs(power.high);
  if (!(size >= T(1) / greatest_power<T> && size <= greatest_power<T>)) return limits<T>::nan();
  if (exponent >= 0) return power.high;
  const T reciprocal = T(1) / power.high;
  return fma(fma(-power.high, reciprocal, T(1)) - power.low * reciprocal, reciprocal, reciprocal);
}

// base^exponent as CUDA's pow() has it, whole powers better.
template <class T> __device__ inline T power(T base, T exponent) {
  if (fabs(exponent) <= T(64) && exponent == trunc(exponent)) {
    const T found = whole_power(base, int(exponent));
    if (found == found) return found;
  }
  return pow(base, exponent);
}

}  // namespace ca
