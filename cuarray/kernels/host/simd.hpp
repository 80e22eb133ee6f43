// simd<T>: as many numbers as a vector register holds, with the arithmetic, comparisons and functions that functors use
// of one number. Functions of libm are those of libmvec, glibc's library of the same functions for vectors (at most
// 4 ulp off); where it or one of its functions is missing, they are called lane by lane.
//
// A lane's result depends on that lane alone, so that an element has the same bits wherever it stands in an array.
#pragma once
#include <dlfcn.h>

#include <cstdio>

#include "vector_bytes.hpp"

namespace ca {

// What a comparison of two simd<T> gives: all bits of a lane are set, or none.
template <class T> struct lane_mask {
  typedef typename choose<sizeof(T) == 8, long, int>::type Bits;
  typedef Bits Native __attribute__((ext_vector_type(vector_bytes / sizeof(T))));
  Native lanes;

  friend CA_ALWAYS_INLINE lane_mask operator&(lane_mask a, lane_mask b) { return {a.lanes & b.lanes}; }
  friend CA_ALWAYS_INLINE lane_mask operator|(lane_mask a, lane_mask b) { return {a.lanes | b.lanes}; }
  friend CA_ALWAYS_INLINE lane_mask operator!=(lane_mask a, lane_mask b) { return {a.lanes ^ b.lanes}; }
  friend CA_ALWAYS_INLINE lane_mask operator!(lane_mask a) { return {~a.lanes}; }
};
template <class T> CA_ALWAYS_INLINE bool any(lane_mask<T> mask) { return __builtin_reduce_or(mask.lanes) != 0; }
template <class T> CA_ALWAYS_INLINE bool all(lane_mask<T> mask) { return __builtin_reduce_and(mask.lanes) != 0; }

template <class T> struct simd {  // of float or double; of integers for powers and divisions
  static constexpr int size = vector_bytes / sizeof(T);
  typedef T Native __attribute__((ext_vector_type(size)));
  using Mask = lane_mask<T>;
  Native lanes;

  simd() = default;
  CA_ALWAYS_INLINE simd(T x) : lanes(Native(x)) {}
  CA_ALWAYS_INLINE explicit simd(Native x) : lanes(x) {}
  static CA_ALWAYS_INLINE simd load(const T* from) {
    simd x;
    memcpy(&x, from, sizeof(x));
    return x;
  }
  static simd load(const T* from, i64 n) {  // the first lanes; what the others are has no meaning
    simd x(*from);
    memcpy(&x, from, n * sizeof(T));
    return x;
  }
  CA_ALWAYS_INLINE void store(T* to) const { memcpy(to, this, sizeof(*this)); }
  void store(T* to, i64 n) const { memcpy(to, this, n * sizeof(T)); }

  friend CA_ALWAYS_INLINE simd operator+(simd a, simd b) { return simd(a.lanes + b.lanes); }
  friend CA_ALWAYS_INLINE simd operator-(simd a, simd b) { return simd(a.lanes - b.lanes); }
  friend CA_ALWAYS_INLINE simd operator*(simd a, simd b) { return simd(a.lanes * b.lanes); }
  friend CA_ALWAYS_INLINE simd operator/(simd a, simd b) { return simd(a.lanes / b.lanes); }
  friend CA_ALWAYS_INLINE simd operator-(simd a) { return simd(-a.lanes); }
  friend CA_ALWAYS_INLINE Mask operator==(simd a, simd b) { return {a.lanes == b.lanes}; }
  friend CA_ALWAYS_INLINE Mask operator!=(simd a, simd b) { return {a.lanes != b.lanes}; }
  friend CA_ALWAYS_INLINE Mask operator<(simd a, simd b) { return {a.lanes < b.lanes}; }
  friend CA_ALWAYS_INLINE Mask operator<=(simd a, simd b) { return {a.lanes <= b.lanes}; }
  friend CA_ALWAYS_INLINE Mask operator>(simd a, simd b) { return {a.lanes > b.lanes}; }
  friend CA_ALWAYS_INLINE Mask operator>=(simd a, simd b) { return {a.lanes >= b.lanes}; }
};
template <class T> inline constexpr bool is_floating<simd<T>> = is_floating<T>;

template <class T> CA_ALWAYS_INLINE simd<T> select(lane_mask<T> mask, simd<T> a, simd<T> b) {
  return simd<T>(mask.lanes ? a.lanes : b.lanes);
}
template <class T> CA_ALWAYS_INLINE simd<T> fabs(simd<T> x) { return simd<T>(__builtin_elementwise_abs(x.lanes)); }
template <class T> CA_ALWAYS_INLINE simd<T> floor(simd<T> x) { return simd<T>(__builtin_elementwise_floor(x.lanes)); }
template <class T> CA_ALWAYS_INLINE simd<T> trunc(simd<T> x) { return simd<T>(__builtin_elementwise_trunc(x.lanes)); }
template <class T> CA_ALWAYS_INLINE simd<T> copysign(simd<T> size, simd<T> sign) {
  using Bits = typename lane_mask<T>::Native;
  const Bits top = Bits(typename lane_mask<T>::Bits(1) << (sizeof(T) * 8 - 1));
  const Bits bits = (bit_cast<Bits>(size.lanes) & ~top) | (bit_cast<Bits>(sign.lanes) & top);
  return simd<T>(bit_cast<typename simd<T>::Native>(bits));
}

// a * b + c, rounded once, by the compiler's own operation.
#define CA_FMA(floats, doubles)                                                                    \
  extern "C" simd<float>::Native ca_llvm_fma(simd<float>::Native, simd<float>::Native,              \
                                             simd<float>::Native) __asm__("llvm.fma.v" floats);      \
  extern "C" simd<double>::Native ca_llvm_fma64(simd<double>::Native, simd<double>::Native,         \
                                                simd<double>::Native) __asm__("llvm.fma.v" doubles);
#if CA_VECTOR_BYTES == 64
CA_FMA("16f32", "8f64")
#elif CA_VECTOR_BYTES == 32
CA_FMA("8f32", "4f64")
#else
CA_FMA("4f32", "2f64")
#endif
#undef CA_FMA
CA_ALWAYS_INLINE simd<float> fma(simd<float> a, simd<float> b, simd<float> c) {
  return simd<float>(ca_llvm_fma(a.lanes, b.lanes, c.lanes));
}
CA_ALWAYS_INLINE simd<double> fma(simd<double> a, simd<double> b, simd<double> c) {
  return simd<double>(ca_llvm_fma64(a.lanes, b.lanes, c.lanes));
}

// ---- functions of libm ----------------------------------------------------------------------------------------------
// libmvec's form of a function of so many arguments for vectors of numbers of so many bytes; null where there is none.
__attribute__((noinline)) inline void* libmvec_function(const char* name, int arguments, int bytes) noexcept {
  if (vector_bytes == 16) return nullptr;  // there are functions for these, too, but not of one calling convention
  static void* const library = dlopen("libmvec.so.1", RTLD_LAZY | RTLD_LOCAL);
  if (!library) return nullptr;
  char symbol[32];
  std::snprintf(symbol, sizeof symbol, "_ZGV%cN%d%s_%s%s", vector_bytes == 64 ? 'e' : 'd', vector_bytes / bytes,
                arguments == 2 ? "vv" : "v", name, bytes == 4 ? "f" : "");
  return dlsym(library, symbol);
}

// f of those lanes where the mask says so.
template <class T, class F, class... V>
__attribute__((noinline)) simd<T> replaced(simd<T> result, lane_mask<T> where, F f, V... x) {
  for (int i = 0; i < simd<T>::size; ++i)
    if (where.lanes[i]) result.lanes[i] = f(T(x.lanes[i])...);
  return result;
}
template <class T, class F, class... V> __attribute__((noinline)) simd<T> lane_by_lane(F f, simd<T> x, V... more) {
  simd<T> result;
  for (int i = 0; i < simd<T>::size; ++i) result.lanes[i] = f(T(x.lanes[i]), T(more.lanes[i])...);
  return result;
}

#define CA_UNARY(vector_name, name)                                                                          \
  template <class T> CA_ALWAYS_INLINE simd<T> vector_name(simd<T> x) {                                       \
    using Native = typename simd<T>::Native;                                                                 \
    static const auto f = reinterpret_cast<Native (*)(Native)>(libmvec_function(#name, 1, sizeof(T)));       \
    return f ? simd<T>(f(x.lanes)) : lane_by_lane([](T own) -> T { return std::name(own); }, x);             \
  }
#define CA_BINARY(vector_name, name)                                                                         \
  template <class T> CA_ALWAYS_INLINE simd<T> vector_name(simd<T> x, simd<T> y) {                            \
    using Native = typename simd<T>::Native;                                                                 \
    static const auto f = reinterpret_cast<Native (*)(Native, Native)>(libmvec_function(#name, 2, sizeof(T))); \
    return f ? simd<T>(f(x.lanes, y.lanes)) : lane_by_lane([](T a, T b) -> T { return std::name(a, b); }, x, y); \
  }
CA_UNARY(near_exp, exp) CA_UNARY(exp2, exp2) CA_UNARY(expm1, expm1)
CA_UNARY(near_log, log) CA_UNARY(log2, log2) CA_UNARY(log1p, log1p)
CA_UNARY(near_sin, sin) CA_UNARY(near_cos, cos) CA_UNARY(tan, tan) CA_UNARY(asin, asin) CA_UNARY(acos, acos) CA_UNARY(atan, atan)
CA_UNARY(sinh, sinh) CA_UNARY(cosh, cosh) CA_UNARY(near_tanh, tanh)
CA_UNARY(asinh, asinh) CA_UNARY(acosh, acosh) CA_UNARY(atanh, atanh)
CA_BINARY(atan2, atan2)
CA_UNARY(close_log10, log10) CA_UNARY(close_cbrt, cbrt)
#undef CA_UNARY
#undef CA_BINARY

// ---- arguments for which libmvec calls libm, lane by lane and thirty times as slowly --------------------------------
// Where a vector has such lanes, they get other arguments: which depends on each lane alone.

// An exponential that overflows, or is subnormal or 0, is one that does not times a number.
template <class T> __attribute__((noinline)) simd<T> far_exp(simd<T> x, lane_mask<T> near) {
  const simd<T> zero = T(0), part = sizeof(T) == 4 ? T(32) : T(256), bound = sizeof(T) == 4 ? T(80) : T(700);
  const simd<T> up = sizeof(T) == 4 ? T(78962960182680.695) : T(1.5114276650041035e+111);  // e^part
  const simd<T> down = sizeof(T) == 4 ? T(1.2664165549094176e-14) : T(6.616261056709485e-112);
  const simd<T> moved = x - copysign(part, x);
  const simd<T> within = select(fabs(moved) < bound, moved, copysign(bound, moved));
  const simd<T> result = near_exp(select(near, x, select(x == x, within, zero)));
  // A product that would be 0 is one by 0: CPUs take long to find that a number is too small.
  const simd<T> lowest = sizeof(T) == 4 ? T(-104) : T(-746);
  const simd<T> factor = select(x < zero, select(x < lowest, zero, down), up);
  return select(near, result, select(x == x, result * factor, x));
}
template <class T> CA_ALWAYS_INLINE simd<T> exp(simd<T> x) {
  const auto near = fabs(x) < simd<T>(sizeof(T) == 4 ? T(80) : T(700));
  return all(near) ? near_exp(x) : far_exp(x, near);
}
template <class T> CA_ALWAYS_INLINE simd<T> log(simd<T> x) {
  constexpr int digits = sizeof(T) == 4 ? 24 : 54;  // that lift a subnormal number
  constexpr double of_lift = digits * 0.693147180559945309417232121458176568;
  const simd<T> zero = T(0), one = T(1), infinity = limits<T>::highest(), lift = T(1ul << digits);
  const simd<T> least = sizeof(T) == 4 ? T(0x1p-126f) : T(0x1p-1022);
  const auto near = (x >= least) & (x < infinity);
  if (all(near)) return near_log(x);
  const auto low = (x > zero) & (x < least);
  const simd<T> result = near_log(select(near, x, select(low, x * lift, one)));
  const simd<T> edge = select(x == zero, -infinity, select(x < zero, simd<T>(limits<T>::nan()), x));
  return select(near, result, select(low, result - simd<T>(T(of_lift)), edge));
}
template <class T> CA_ALWAYS_INLINE simd<T> tanh(simd<T> x) {
  const auto near = fabs(x) < simd<T>(limits<T>::highest());
  if (all(near)) return near_tanh(x);
  const simd<T> result = near_tanh(select(near, x, simd<T>(T(0))));
  return select(near, result, select(x == x, copysign(simd<T>(T(1)), x), x));
}
// Angles of many turns are computed in double.
template <class F> CA_ALWAYS_INLINE simd<float> in_double(F f, simd<float> x) {
  typedef simd<double>::Native Doubles;
  typedef float Half __attribute__((ext_vector_type(simd<double>::size)));
  const simd<double> low = f(simd<double>(__builtin_convertvector(x.lanes.lo, Doubles)));
  const simd<double> high = f(simd<double>(__builtin_convertvector(x.lanes.hi, Doubles)));
  simd<float> result;
  result.lanes.lo = __builtin_convertvector(low.lanes, Half);
  result.lanes.hi = __builtin_convertvector(high.lanes, Half);
  return result;
}
#define CA_OF_ANGLE(name)                                                                                              \
  CA_ALWAYS_INLINE simd<double> name(simd<double> x) { return near_##name(x); }                                        \
  __attribute__((noinline)) inline simd<float> far_##name(simd<float> x, lane_mask<float> near) {                      \
    const simd<float> zero = 0.0f, nan = limits<float>::nan();                                                         \
    const auto far = !near & (fabs(x) < simd<float>(limits<float>::highest()));                                        \
    simd<float> other = nan;                                                                                           \
    if (any(far)) other = in_double([](simd<double> own) { return near_##name(own); }, select(far, x, zero));          \
    return select(near, near_##name(select(near, x, zero)), select(far, other, nan));                                  \
  }                                                                                                                    \
  CA_ALWAYS_INLINE simd<float> name(simd<float> x) {                                                                   \
    const auto near = fabs(x) < simd<float>(10000.0f);                                                                 \
    return all(near) ? near_##name(x) : far_##name(x, near);                                                           \
  }
CA_OF_ANGLE(sin) CA_OF_ANGLE(cos)
#undef CA_OF_ANGLE

// Powers of ten have whole logarithms: what is beside a whole number is computed once more.
template <class T> CA_ALWAYS_INLINE simd<T> log10(simd<T> x) {
  const simd<T> result = close_log10(x), whole = simd<T>(__builtin_elementwise_roundeven(result.lanes));
  const simd<T> from_whole = fabs(result - whole);
  const simd<T> close = fabs(result) * simd<T>(sizeof(T) == 4 ? T(5e-7) : T(1e-15));
  const auto beside = (from_whole <= close) & (from_whole > simd<T>(T(0)));
  return any(beside) ? replaced(result, beside, [](T own) -> T { return std::log10(own); }, x) : result;
}

// A step of Newton's method with the exact remainder, so that the roots of cubes are whole.
template <class T> CA_ALWAYS_INLINE simd<T> cbrt(simd<T> x) {
  const simd<T> y = close_cbrt(x), square = y * y, lost = fma(y, y, -square);
  const simd<T> better = y - (fma(square, y, -x) + lost * y) / (square * simd<T>(T(3)));
  const simd<T> least = simd<T>(sizeof(T) == 4 ? T(1e-30) : T(1e-290)), most = simd<T>(limits<T>::highest());
  return select((fabs(x) > least) & (fabs(x) < most), better, y);
}

}  // namespace ca

#include "host/vector_power.hpp"

namespace ca {

// Squares and cubes, which powers are used for most, are products: their lanes are never computed in another way.
template <class T> CA_ALWAYS_INLINE simd<T> any_power(simd<T> base, simd<T> exponent) {
#if defined(__FMA__) || defined(__aarch64__)
  return power::of(base, exponent);
#else
  return lane_by_lane([](T x, T y) -> T { return std::pow(x, y); }, base, exponent);
#endif
}
template <class T> CA_ALWAYS_INLINE simd<T> floating_power(simd<T> base, simd<T> exponent) {
  const simd<T> two = T(2);
  const auto square = exponent == two, product = square | (exponent == simd<T>(T(3)));
  const simd<T> powers = all(product) ? base : any_power(base, exponent);
  return any(product) ? select(product, select(square, base * base, base * base * base), powers) : powers;
}
// By squaring, until no lane's exponent has a digit left. Negative exponents: 1 / base^|exponent|, towards zero.
template <class T> CA_ALWAYS_INLINE simd<T> whole_power(simd<T> base, simd<T> exponent) {
  using Native = typename simd<T>::Native;
  typedef make_unsigned_t<T> Words __attribute__((ext_vector_type(simd<T>::size)));
  Words result = 1, factor = bit_cast<Words>(base.lanes), digits = bit_cast<Words>(exponent.lanes);
  for (; __builtin_reduce_or(digits) != 0; digits >>= 1, factor *= factor)
    result = (digits & 1) != 0 ? result * factor : result;
  simd<T> power = simd<T>(bit_cast<Native>(result));
  if constexpr (is_signed_integer<T>) {
    const simd<T> zero = T(0), one = T(1), below = T(-1);
    power = select((exponent < zero) & (base != one) & (base != below), zero, power);
  }
  return power;
}
template <class T> CA_ALWAYS_INLINE simd<T> pow(simd<T> base, simd<T> exponent) {
  if constexpr (is_integer<T>) return whole_power(base, exponent);
  else return floating_power(base, exponent);
}

// Quotients and remainders of 64-bit integers by those of doubles. As numbers up to 2^53 these are exact when truncated:
// a quotient that is not whole is further from the next whole number than it is rounded. Quotients of larger numbers are
// corrected by that of what remains.
template <class T> inline constexpr bool in_doubles = is_integer<T> && sizeof(T) == 8;
template <class T> struct Division { simd<T> quotient, remainder; };

template <class T> __attribute__((noinline)) Division<T> division_one_by_one(simd<T> a, simd<T> b) {
  Division<T> result;
  for (int i = 0; i < simd<T>::size; ++i) {
    const T by = b.lanes[i], quotient = T(a.lanes[i] / by);
    result.quotient.lanes[i] = quotient;
    result.remainder.lanes[i] = T(u64(a.lanes[i]) - u64(quotient) * u64(by));
  }
  return result;
}
template <class T> __attribute__((noinline)) Division<T> division_of_large(simd<T> a, simd<T> b) {
  if constexpr (!is_signed_integer<T>) {
    return division_one_by_one(a, b);
  } else {
    using Native = typename simd<T>::Native;
    typedef typename simd<double>::Native Doubles;
    const Native most = T(1) << 61, zero = T(0);
    if (__builtin_reduce_or((b.lanes > most) | (b.lanes < -most)) != 0) return division_one_by_one(a, b);
    const Doubles by = __builtin_convertvector(b.lanes, Doubles);
    Native quotient = zero, rest = a.lanes;
    for (int i = 0; i < 2; ++i) {
      const Doubles part = __builtin_elementwise_trunc(__builtin_convertvector(rest, Doubles) / by);
      // 2^63 itself, which only a number next to it rounds to, has no integer: the step after it makes up for less.
      const Doubles held = part < Doubles(0x1p63) ? part : Doubles(0x1.fffffffffffffp62);
      const Native whole = __builtin_convertvector(held, Native);
      quotient += whole;
      rest -= whole * b.lanes;
    }
    // Off by one at most, to either side.
    const Native size = b.lanes < zero ? -b.lanes : b.lanes, sign = (a.lanes ^ b.lanes) < zero ? Native(T(-1)) : Native(T(1));
    const Native over = a.lanes < zero ? -rest : rest;  // is to be 0 or above, and less than the divisor
    const Native change = over < zero ? -sign : over >= size ? sign : zero;
    return {simd<T>(quotient + change), simd<T>(rest - change * b.lanes)};
  }
}
// By other numbers than 0 and -1.
template <class T> CA_ALWAYS_INLINE Division<T> division(simd<T> a, simd<T> b) {
  typedef typename simd<double>::Native Doubles;
  using Native = typename simd<T>::Native;
  constexpr T exact = T(1) << 53;
  typename lane_mask<T>::Native large = (a.lanes > Native(exact)) | (b.lanes > Native(exact));
  if constexpr (is_signed_integer<T>) large |= (a.lanes < Native(T(-exact))) | (b.lanes < Native(T(-exact)));
  if (any(lane_mask<T>{large})) return division_of_large(a, b);
  const Doubles ratio = __builtin_convertvector(a.lanes, Doubles) / __builtin_convertvector(b.lanes, Doubles);
  const Native quotient = __builtin_convertvector(ratio, Native);
  return {simd<T>(quotient), simd<T>(a.lanes - quotient * b.lanes)};
}
template <class T, class = std::enable_if_t<in_doubles<T>>>
CA_ALWAYS_INLINE ops::QuotientRemainder<simd<T>> divmod(simd<T> a, simd<T> b) {
  const simd<T> zero = T(0), one = T(1);
  auto negates = b == b;
  negates = negates != negates;  // nowhere
  if constexpr (is_signed_integer<T>) negates = b == simd<T>(T(-1));
  const auto by_zero = b == zero, plain = by_zero | negates;
  const Division<T> exact = division(a, select(plain, one, b));
  const auto above = (exact.remainder != zero) & ((exact.remainder < zero) != (b < zero)) & !plain;
  const simd<T> floored = select(above, exact.quotient - one, exact.quotient);
  return {select(by_zero, zero, select(negates, zero - a, floored)),
          select(above, exact.remainder + b, exact.remainder)};
}

// The remainder of the truncated quotient, exactly: from a quotient that is off by one at most, where it is below the
// largest number up to which all whole ones have their own.
template <class T> CA_ALWAYS_INLINE simd<T> floating_remainder(simd<T> a, simd<T> b) {
  const simd<T> x = fabs(a), y = fabs(b), zero = simd<T>(T(0)), quotient = trunc(x / y);
  simd<T> rest = fma(-quotient, y, x);
  rest = select(rest < zero, rest + y, rest);
  rest = select(rest >= y, rest - y, rest);
  rest = copysign(rest, a);
  // Not so: other quotients, and division by zero; infinities; NaN, which compares to be neither.
  const simd<T> most = simd<T>(sizeof(T) == 4 ? T(1 << 23) : T(1ul << 52)), infinity = simd<T>(limits<T>::highest());
  const auto others = !((quotient < most) & (x < infinity) & (y < infinity));
  return any(others) ? replaced(rest, others, [](T own, T by) -> T { return std::fmod(own, by); }, a, b) : rest;
}
template <class T> CA_ALWAYS_INLINE simd<T> fmod(simd<T> a, simd<T> b) {
  if constexpr (in_doubles<T>) {
    auto plain = b == simd<T>(T(0));
    if constexpr (is_signed_integer<T>) plain = plain | (b == simd<T>(T(-1)));
    return division(a, select(plain, simd<T>(T(1)), b)).remainder;
  } else {
    return floating_remainder(a, b);
  }
}

}  // namespace ca
