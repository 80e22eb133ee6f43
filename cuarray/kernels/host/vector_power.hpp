// Powers of simd<T>: x^y = 2^(y log2 x), without tables, so that all lanes go one way.
//
// As in fdlibm's e_pow.c, log2(x) is k + (2 / ln 2) atanh(s) with x = 2^k m, sqrt(1/2) <= m < sqrt(2) and
// s = (m - 1) / (m + 1), as a sum of two numbers, since y multiplies its error. The polynomials are interpolated at
// Chebyshev's nodes. At most 2 ulp.
#pragma once

namespace ca::power {

// By Horner's scheme, the highest term first.
template <class T> CA_ALWAYS_INLINE simd<T> polynomial(simd<T>, simd<T> sum) { return sum; }
template <class T, class... More>
CA_ALWAYS_INLINE simd<T> polynomial(simd<T> x, simd<T> sum, double next, More... more) {
  return polynomial(x, fma(sum, x, simd<T>(T(next))), more...);
}

template <class T> struct Terms;
template <> struct Terms<float> {
  using Word = unsigned int;
  static constexpr int digits = 23;  // behind the point
  static constexpr Word root_half = 0x3f3504f3;
  static constexpr float bias = 127, most_exponent = 125;
  static constexpr float third = 0x1.555556p-2f, third_low = -0x1.555556p-27f;
  static constexpr float scale = 0x1.715476p+1f, scale_low = 0x1.4ae0c0p-25f;  // 2 / ln 2
  // 1/5 + z/7 + ..., the later terms of atanh(s) / s for z = s^2
  static CA_ALWAYS_INLINE simd<float> later(simd<float> z) {
    return polynomial(z, simd<float>(0x1.d80726p-4f), 0x1.247a30p-3, 0x1.9999a4p-3);
  }
  // (2^f - 1) / f
  static CA_ALWAYS_INLINE simd<float> exp_terms(simd<float> f) {
    return polynomial(f, simd<float>(0x1.4413a4p-13f), 0x1.5f08b8p-10, 0x1.3b2a52p-7, 0x1.c6af6cp-5, 0x1.ebfbe0p-3,
                      0x1.62e430p-1);
  }
};
template <> struct Terms<double> {
  using Word = unsigned long;
  static constexpr int digits = 52;
  static constexpr Word root_half = 0x3fe6a09e667f3bcd;
  static constexpr double bias = 1023, most_exponent = 1021;
  static constexpr double third = 0x1.5555555555555p-2, third_low = 0x1.5555555555555p-56;
  static constexpr double scale = 0x1.71547652b82fep+1, scale_low = 0x1.777d0ffda0d24p-55;
  // Even and odd terms by themselves wait for each other half as long.
  static CA_ALWAYS_INLINE simd<double> later(simd<double> z) {
    const simd<double> square = z * z, highest = 0x1.e02e6fff27908p-5, next = 0x1.df7cc8e5fa539p-5;
    return fma(polynomial(square, highest, 0x1.1118c7e4b0917p-4, 0x1.745d177a96056p-4, 0x1.2492492492521p-3), z,
               polynomial(square, next, 0x1.3b1395d2190c1p-4, 0x1.c71c71c6eaa10p-4, 0x1.999999999999ap-3));
  }
  static CA_ALWAYS_INLINE simd<double> exp_terms(simd<double> f) {
    const simd<double> square = f * f, highest = 0x1.e6065f532c950p-28, next = 0x1.e9d419696e0e9p-32;
    return fma(polynomial(square, highest, 0x1.62bfd46781ef6p-20, 0x1.4309130975155p-13, 0x1.3b2ab6fba1dc6p-7,
                          0x1.ebfbdff82c598p-3),
               f,
               polynomial(square, next, 0x1.b524fad88ed30p-24, 0x1.ffcbfc6712438p-17, 0x1.5d87fe78a526dp-10,
                          0x1.c6b08d704a0c2p-5, 0x1.62e42fefa39efp-1));
  }
};

template <class T> CA_ALWAYS_INLINE simd<T> nearest(simd<T> x) {
  return simd<T>(__builtin_elementwise_roundeven(x.lanes));
}

// An integer below it stands in the lower bits of their sum.
template <class T> inline constexpr T point = T(1ul << Terms<T>::digits);
template <class T> using Native = typename simd<T>::Native;
template <class T> struct words {
  typedef typename Terms<T>::Word type __attribute__((ext_vector_type(simd<T>::size)));
};
template <class T> using Words = typename words<T>::type;

template <class T> struct Sum { simd<T> high, low; };

// y log2(x), of x that is normal and positive.
template <class T> CA_ALWAYS_INLINE Sum<T> times_log2(simd<T> x, simd<T> y) {
  using Own = Terms<T>;
  using Words = power::Words<T>;
  constexpr int digits = Own::digits;
  const simd<T> one = T(1), third = Own::third, scale = Own::scale;

  const Words bits = bit_cast<Words>(x.lanes), one_bits = bit_cast<Words>(one.lanes);
  const Words moved = bits - Words(Own::root_half) + one_bits, biased = moved >> digits;
  const simd<T> exponent =
      simd<T>(bit_cast<Native<T>>(biased | bit_cast<Words>(Native<T>(point<T>)))) - simd<T>(point<T> + Own::bias);
  const simd<T> m = simd<T>(bit_cast<Native<T>>(bits - (biased << digits) + one_bits));

  // s = (m - 1) / (m + 1), with what its rounding and that of m + 1 lost.
  const simd<T> above = m - one, below = m + one, inverse = one / below, s = above * inverse;
  const simd<T> s_low = fma(-s, m - (below - one), fma(-s, below, above)) * inverse;
  // t = 1/3 + z/5 + ..., u = z t, atanh(s) = s (1 + u)
  const simd<T> z = s * s, z_low = fma(s + s, s_low, fma(s, s, -z));
  const simd<T> later = z * Own::later(z), t = third + later, t_low = ((third - t) + later) + simd<T>(Own::third_low);
  const simd<T> u = z * t, u_low = fma(z_low, t, fma(z, t_low, fma(z, t, -u)));
  const simd<T> w = one + u, w_low = ((one - w) + u) + u_low;
  const simd<T> a = s * w, a_low = fma(s_low, w, fma(s, w_low, fma(s, w, -a)));
  const simd<T> b = a * scale, b_low = fma(a_low, scale, fma(a, simd<T>(Own::scale_low), fma(a, scale, -b)));
  const simd<T> log = exponent + b, log_low = ((exponent - log) + b) + b_low;

  const simd<T> e = y * log;
  return {e, fma(y, log_low, fma(y, log, -e))};
}

template <class T> CA_ALWAYS_INLINE simd<T> power_of_two(simd<T> n) {
  const auto bits = bit_cast<Words<T>>((n + simd<T>(point<T> + point<T> / 2 + Terms<T>::bias)).lanes);
  return simd<T>(bit_cast<Native<T>>(bits << Terms<T>::digits));
}
// 2^e / 2^whole, whole the integer nearest to e.high.
template <class T> CA_ALWAYS_INLINE simd<T> exp2_fraction(Sum<T> e, simd<T> whole) {
  const simd<T> f = (e.high - whole) + e.low;
  return fma(f, Terms<T>::exp_terms(f), simd<T>(T(1)));
}

template <class T> inline constexpr T normal = T(0x1p-1022);  // the smallest such number
template <> inline constexpr float normal<float> = 0x1p-126f;
template <class T> inline constexpr T most = T(0x1p70);  // beyond, only 1 has other powers than 0 and infinity

// x^y from y log2|x|, by C's rules for other x than positive, normal ones, and for powers of any size.
template <class T> __attribute__((noinline)) simd<T> of_any(simd<T> x, simd<T> y, Sum<T> e) {
  using Mask = lane_mask<T>;
  const simd<T> zero = T(0), one = T(1), infinity = limits<T>::highest(), size = fabs(x), half = y * simd<T>(T(0.5));
  const simd<T> far = T(2 * Terms<T>::most_exponent);  // infinite, or 0
  const simd<T> within = select(fabs(e.high) > far, copysign(far, e.high), e.high);
  // In two steps: the result may be infinite or subnormal, a factor may not.
  const simd<T> exponent = nearest(within), first = nearest(exponent * simd<T>(T(0.5)));
  const Sum<T> bounded = {within, select(within == e.high, e.low, zero)};
  simd<T> result = exp2_fraction(bounded, exponent) * power_of_two(first) * power_of_two(exponent - first);
  const Mask edge = (size == zero) | (size == infinity), grows = (y > zero) != (size == zero), whole = trunc(y) == y;
  result = select(edge, select(y == zero, one, select(grows, infinity, zero)), result);
  result = select((x < zero) & (size < infinity) & !whole, simd<T>(limits<T>::nan()), result);
  result = select(whole & (trunc(half) != half), copysign(result, x), result);
  const Mask others = !((x == x) & (fabs(y) <= simd<T>(most<T>))) | ((size < simd<T>(normal<T>)) & (size > zero));
  return any(others) ? replaced(result, others, [](T a, T b) -> T { return std::pow(a, b); }, x, y) : result;
}

template <class T> CA_ALWAYS_INLINE simd<T> of(simd<T> x, simd<T> y) {
  const Sum<T> e = times_log2(fabs(x), y);
  const auto plain = (x >= simd<T>(normal<T>)) & (x < simd<T>(limits<T>::highest())) &
                     (fabs(e.high) < simd<T>(Terms<T>::most_exponent));
  if (!all(plain)) return of_any(x, y, e);
  const simd<T> whole = nearest(e.high);
  return exp2_fraction(e, whole) * power_of_two(whole);
}

}  // namespace ca::power
