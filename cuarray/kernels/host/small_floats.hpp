// What __half and __nv_bfloat16 have in common: numbers of two bytes whose arithmetic is done in a wider type and
// rounded once. small_float_functions.inc makes the functions of both.
#pragma once
#include "intrinsics.hpp"

namespace ca::host {

using cuda_functions::same_bits;

// `x` rounded to odd: what was lost can be told from the last bit, so that rounding again to a narrower type (by two
// bits at least) gives what one rounding would have. `lost` is the exact value minus x.
inline double to_odd(double x, double lost) {
  auto bits = same_bits<long long>(x);
  if (lost == 0 || lost != lost || (bits & 1) || !std::isfinite(x)) return x;
  return same_bits<double>(bits + ((lost > 0) == (x > 0) || x == 0 ? 1 : -1));
}
inline float to_odd(double x) {
  const float near = float(x);
  const int bits = same_bits<int>(near);
  const double lost = x - near;
  if (lost == 0 || lost != lost || (bits & 1) || std::isinf(near) || near == 0) return near;
  return same_bits<float>(bits + ((lost > 0) == (near > 0) ? 1 : -1));
}
// a * b + c, where a * b is exact in double.
inline double fused(double a, double b, double c) {
  const double product = a * b, sum = product + c, part = sum - product;
  return to_odd(sum, (product - (sum - part)) + (c - part));
}
template <class Integer> inline double whole_to_odd(Integer x) {
  const double near = double(x);
  return to_odd(near, double(__int128(x) - __int128(near)));
}

// Bits of a format, from double with one rounding. Mode: FE_TONEAREST, FE_TOWARDZERO, FE_UPWARD, FE_DOWNWARD.
struct Binary16 {
  static unsigned short nearest(double x) {
    return x == x ? same_bits<unsigned short>(static_cast<_Float16>(x)) : 0x7fff;
  }
  static unsigned short nearest(float x) {
    return x == x ? same_bits<unsigned short>(static_cast<_Float16>(x)) : 0x7fff;
  }
  static float value(unsigned short bits) { return static_cast<float>(same_bits<_Float16>(bits)); }
};
struct Bfloat16 {
  static unsigned short nearest(float x) {
    if (x != x) return 0x7fff;
    const unsigned bits = same_bits<unsigned>(x);
    return static_cast<unsigned short>((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
  }
  static unsigned short nearest(double x) { return nearest(to_odd(x)); }
  static float value(unsigned short bits) { return same_bits<float>(unsigned(bits) << 16); }
};
template <class Format> inline unsigned short round_bits(double x, int mode) {
  unsigned short bits = Format::nearest(x);
  const double value = Format::value(bits);
  if (mode == FE_TONEAREST || x != x || value == x) return bits;
  const bool up = mode == FE_UPWARD || (mode == FE_TOWARDZERO && x < 0);
  // One step towards the wanted side, if it was rounded to the other one. Magnitudes ascend with the bits.
  if (up && value < x) return value < 0 ? bits - 1 : (bits & 0x7fff) + 1;
  if (!up && value > x) return value > 0 ? bits - 1 : ((bits & 0x7fff) + 1) | 0x8000;
  return bits;
}

}  // namespace ca::host
