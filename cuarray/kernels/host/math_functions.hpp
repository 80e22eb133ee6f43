// CUDA's mathematical functions for the host: float and double overloads, integers, bits, conversions. Those that CUDA
// computes faster and less exactly are as exact here as the rest.
#pragma once
#include <cfenv>
#include <climits>
#include <cmath>
#include <cstdlib>
#include <cstring>
#include <type_traits>

#include "vector_types.hpp"

namespace ca::cuda_functions {

// ---- what C++ has as well, with its overloads for float -----------------------------------------------------------
using std::sqrt, std::cbrt, std::exp, std::exp2, std::expm1, std::log, std::log2, std::log10, std::log1p, std::pow;
using std::sin, std::cos, std::tan, std::asin, std::acos, std::atan, std::atan2, std::sinh, std::cosh, std::tanh;
using std::asinh, std::acosh, std::atanh, std::erf, std::erfc, std::tgamma, std::lgamma;
using std::floor, std::ceil, std::trunc, std::rint, std::round, std::nearbyint, std::lrint, std::llrint, std::lround;
using std::llround, std::fabs, std::abs, std::fmod, std::remainder, std::remquo, std::fma, std::hypot, std::fmin;
using std::fmax, std::fdim, std::copysign, std::nextafter, std::frexp, std::ldexp, std::scalbn, std::scalbln;
using std::logb, std::ilogb, std::modf, std::nan, std::nanf, std::isnan, std::isinf, std::isfinite, std::signbit;
using ::sincos, ::sincosf, ::exp10, ::exp10f, ::j0, ::j1, ::jn, ::y0, ::y1, ::yn;
using ::j0f, ::j1f, ::jnf, ::y0f, ::y1f, ::ynf;

template <class A, class B> constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return __builtin_fmin(T(a), T(b));
  else return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B> constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  if constexpr (std::is_floating_point_v<T>) return __builtin_fmax(T(a), T(b));
  else return T(a) < T(b) ? T(b) : T(a);
}
#define CA_MIN_MAX(prefix, type)                                           \
  constexpr type prefix##min(type a, type b) { return b < a ? b : a; }     \
  constexpr type prefix##max(type a, type b) { return a < b ? b : a; }
CA_MIN_MAX(u, unsigned) CA_MIN_MAX(ll, long long) CA_MIN_MAX(ull, unsigned long long)
#undef CA_MIN_MAX
inline long long llabs(long long x) { return x < 0 ? -x : x; }

// ---- what only CUDA has, computed in double or long double and rounded ---------------------------------------------
namespace exact {
constexpr long double pi = 3.141592653589793238462643383279502884L, half_root = 0.707106781186547524400844362104849039L;

// The angle is reduced to a quarter of a turn first, exactly.
inline void sincospi(double x, double* sine, double* cosine) {
  const double r = std::remainder(x, 2.0), quarter = std::rint(r * 2);  // x - 2k in [-1, 1]; -2 .. 2
  const long double rest = (r - quarter / 2) * pi;
  const double s = double(std::sin(rest)), c = double(std::cos(rest));
  const int q = std::isfinite(x) ? int(quarter) & 3 : 0;
  *sine = q == 0 ? s : q == 1 ? c : q == 2 ? -s : -c;
  *cosine = q == 0 ? c : q == 1 ? -s : q == 2 ? -c : s;
  if (std::rint(x) == x) *sine = std::copysign(0.0, x);  // as for the angles that are no multiples: odd
  if (*cosine == 0) *cosine = 0;
  if (!std::isfinite(x)) *sine = *cosine = __builtin_nan("");
}
inline double sinpi(double x) { double s, c; sincospi(x, &s, &c); return s; }
inline double cospi(double x) { double s, c; sincospi(x, &s, &c); return c; }
inline double rsqrt(double x) { return double(1 / std::sqrt(static_cast<long double>(x))); }
inline double rcbrt(double x) { return double(1 / std::cbrt(static_cast<long double>(x))); }
inline double normcdf(double x) { return double(std::erfc(-x * half_root) / 2); }
// exp(x * x) * erfc(x), which neither overflows nor vanishes as its factors do.
inline double erfcx(double x) {
  const long double y = x;
  if (y < 50) return double(std::exp(y * y) * std::erfc(y));
  const long double t = 1 / (2 * y * y);
  return double((1 - t * (1 - 3 * t * (1 - 5 * t * (1 - 7 * t)))) / (y * std::sqrt(pi)));
}
// By an approximation in elementary functions, then Halley's method.
inline double erfcinv(double y) {
  if (!(y >= 0 && y <= 2)) return __builtin_nan("");
  if (y == 0 || y == 2) return y == 0 ? __builtin_inf() : -__builtin_inf();
  const long double p = y < 1 ? static_cast<long double>(y) : 2 - static_cast<long double>(y);
  const long double t = std::sqrt(-2 * std::log(p / 2));
  long double x = -half_root * ((2.30753L + t * 0.27061L) / (1 + t * (0.99229L + t * 0.04481L)) - t);
  for (int i = 0; i < 4; ++i) {
    const long double e = (std::erfc(x) - p) / (2 / std::sqrt(pi) * std::exp(-x * x));
    x += e / (1 - x * e);
  }
  return double(y < 1 ? x : -x);
}
inline double erfinv(double y) {
  if (!(y >= -0.5 && y <= 0.5)) return y < 0 ? -erfcinv(1 + y) : erfcinv(1 - y);
  long double x = y * std::sqrt(pi) / 2;
  for (int i = 0; i < 5; ++i) {
    const long double e = (std::erf(x) - y) / (2 / std::sqrt(pi) * std::exp(-x * x));
    x -= e / (1 + x * e);
  }
  return double(x);
}
inline double normcdfinv(double p) { return double(-erfcinv(2 * p) / half_root); }
inline double cyl_bessel_i0(double x) { return std::cyl_bessel_i(0.0, std::fabs(x)); }
inline double cyl_bessel_i1(double x) { return std::copysign(std::cyl_bessel_i(1.0, std::fabs(x)), x); }
}  // namespace exact

// A later C library has some of these for double and with an f.
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 41)
#define CA_C23_PI 1
using ::sinpi, ::cospi, ::sinpif, ::cospif;
inline float sinpi(float x) { return float(exact::sinpi(x)); }
inline float cospi(float x) { return float(exact::cospi(x)); }
#endif
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 42)
#define CA_C23_RSQRT 1
using ::rsqrt, ::rsqrtf;
inline float rsqrt(float x) { return float(exact::rsqrt(x)); }
#endif
#define CA_OWN(name)                                                    \
  inline double name(double x) { return exact::name(x); }               \
  inline float name(float x) { return float(exact::name(x)); }          \
  inline float name##f(float x) { return float(exact::name(x)); }
#ifndef CA_C23_PI
CA_OWN(sinpi) CA_OWN(cospi)
#endif
#ifndef CA_C23_RSQRT
inline double rsqrt(double x) { return exact::rsqrt(x); }
inline float rsqrt(float x) { return float(1 / std::sqrt(double(x))); }
inline float rsqrtf(float x) { return float(1 / std::sqrt(double(x))); }
#endif
CA_OWN(rcbrt) CA_OWN(normcdf) CA_OWN(normcdfinv) CA_OWN(erfcx) CA_OWN(erfinv) CA_OWN(erfcinv)
CA_OWN(cyl_bessel_i0) CA_OWN(cyl_bessel_i1)
#undef CA_OWN
inline void sincospi(double x, double* s, double* c) { exact::sincospi(x, s, c); }
inline void sincospif(float x, float* s, float* c) {
  double sine, cosine;
  exact::sincospi(x, &sine, &cosine);
  *s = float(sine), *c = float(cosine);
}
inline void sincospi(float x, float* s, float* c) { sincospif(x, s, c); }
inline void sincos(float x, float* s, float* c) { ::sincosf(x, s, c); }
#define CA_FLOAT_OF(name) inline float name(float x) { return ::name##f(x); }
CA_FLOAT_OF(exp10) CA_FLOAT_OF(j0) CA_FLOAT_OF(j1) CA_FLOAT_OF(y0) CA_FLOAT_OF(y1)
#undef CA_FLOAT_OF
inline float jn(int n, float x) { return ::jnf(n, x); }
inline float yn(int n, float x) { return ::ynf(n, x); }

// Lengths. In long double (for float in double) no square overflows or vanishes.
template <class T> using wider = std::conditional_t<std::is_same_v<T, float>, double, long double>;
template <class T> inline wider<T> length(int n, const T* x) {
  wider<T> sum = 0;
  for (int i = 0; i < n; ++i) {
    if (std::isinf(x[i])) return __builtin_inf();
    sum += wider<T>(x[i]) * x[i];
  }
  return std::sqrt(sum);
}
#define CA_LENGTHS(type, suffix)                                                                            \
  inline type norm3d##suffix(type a, type b, type c) { const type x[] = {a, b, c}; return type(length(3, x)); }      \
  inline type norm4d##suffix(type a, type b, type c, type d) {                                              \
    const type x[] = {a, b, c, d};                                                                          \
    return type(length(4, x));                                                                              \
  }                                                                                                         \
  inline type rhypot##suffix(type a, type b) { const type x[] = {a, b}; return type(1 / length(2, x)); }             \
  inline type rnorm3d##suffix(type a, type b, type c) { const type x[] = {a, b, c}; return type(1 / length(3, x)); } \
  inline type rnorm4d##suffix(type a, type b, type c, type d) {                                             \
    const type x[] = {a, b, c, d};                                                                          \
    return type(1 / length(4, x));                                                                          \
  }                                                                                                         \
  inline type norm##suffix(int n, const type* x) { return type(length(n, x)); }                             \
  inline type rnorm##suffix(int n, const type* x) { return type(1 / length(n, x)); }
CA_LENGTHS(double, ) CA_LENGTHS(float, f)
CA_LENGTHS(float, )
#undef CA_LENGTHS

// ---- fast ones. glibc declares functions with some of CUDA's names (__expf ...), so all of these are reached by
// macros: see cuda_names_begin.hpp.
inline float fast_expf(float x) { return std::exp(x); }
inline float fast_exp10f(float x) { return ::exp10f(x); }
inline float fast_logf(float x) { return std::log(x); }
inline float fast_log2f(float x) { return std::log2(x); }
inline float fast_log10f(float x) { return std::log10(x); }
inline float fast_sinf(float x) { return std::sin(x); }
inline float fast_cosf(float x) { return std::cos(x); }
inline float fast_tanf(float x) { return std::tan(x); }
inline float fast_tanhf(float x) { return std::tanh(x); }
inline float fast_powf(float x, float y) { return std::pow(x, y); }
inline void fast_sincosf(float x, float* s, float* c) { ::sincosf(x, s, c); }
inline float __fdividef(float x, float y) { return x / y; }
inline float fdividef(float x, float y) { return x / y; }
inline float __saturatef(float x) { return x < 0 ? 0 : x > 1 ? 1 : x == x ? x : 0; }

// ---- one operation with a given rounding ---------------------------------------------------------------------------
// The operands are volatile, so that the operation stays between the changes of the mode.
template <class F> inline auto rounded(int mode, F operation) {
  const int before = std::fegetround();
  std::fesetround(mode);
  volatile auto result = operation();
  std::fesetround(before);
  return +result;
}
#define CA_ROUNDED(letter, mode, type, prefix)                                                                        \
  inline type __##prefix##add_##letter(type a, type b) {                                                              \
    return rounded(mode, [=] { volatile type x = a, y = b; return x + y; });                                          \
  }                                                                                                                   \
  inline type __##prefix##sub_##letter(type a, type b) {                                                              \
    return rounded(mode, [=] { volatile type x = a, y = b; return x - y; });                                          \
  }                                                                                                                   \
  inline type __##prefix##mul_##letter(type a, type b) {                                                              \
    return rounded(mode, [=] { volatile type x = a, y = b; return x * y; });                                          \
  }                                                                                                                   \
  inline type __##prefix##div_##letter(type a, type b) {                                                              \
    return rounded(mode, [=] { volatile type x = a, y = b; return x / y; });                                          \
  }                                                                                                                   \
  inline type __##prefix##rcp_##letter(type a) {                                                                      \
    return rounded(mode, [=] { volatile type x = a; return 1 / x; });                                                 \
  }                                                                                                                   \
  inline type __##prefix##sqrt_##letter(type a) {                                                                     \
    return rounded(mode, [=] { volatile type x = a; return std::sqrt(type(x)); });                                    \
  }                                                                                                                   \
  inline type CA_FMA_##prefix(letter)(type a, type b, type c) {                                                       \
    return rounded(mode, [=] { volatile type x = a, y = b, z = c; return std::fma(type(x), type(y), type(z)); });     \
  }
#define CA_FMA_f(letter) __fmaf_##letter
#define CA_FMA_d(letter) __fma_##letter
CA_ROUNDED(rz, FE_TOWARDZERO, float, f) CA_ROUNDED(rz, FE_TOWARDZERO, double, d)
CA_ROUNDED(ru, FE_UPWARD, float, f) CA_ROUNDED(ru, FE_UPWARD, double, d)
CA_ROUNDED(rd, FE_DOWNWARD, float, f) CA_ROUNDED(rd, FE_DOWNWARD, double, d)
#undef CA_ROUNDED
#undef CA_FMA_f
#undef CA_FMA_d
#define CA_NEAREST(type, prefix, fma_name)                                 \
  inline type __##prefix##add_rn(type a, type b) { return a + b; }         \
  inline type __##prefix##sub_rn(type a, type b) { return a - b; }         \
  inline type __##prefix##mul_rn(type a, type b) { return a * b; }         \
  inline type __##prefix##div_rn(type a, type b) { return a / b; }         \
  inline type __##prefix##rcp_rn(type a) { return 1 / a; }                 \
  inline type __##prefix##sqrt_rn(type a) { return std::sqrt(a); }         \
  inline type fma_name(type a, type b, type c) { return std::fma(a, b, c); }
CA_NEAREST(float, f, __fmaf_rn) CA_NEAREST(double, d, __fma_rn)
#undef CA_NEAREST
inline float __frsqrt_rn(float x) { return float(exact::rsqrt(x)); }

// ---- conversions ----------------------------------------------------------------------------------------------------
// To integers: what is out of range becomes the nearest integer that is in it, NaN 0.
template <class To, class From> inline To saturated(From whole) {
  constexpr From limit = From(1ull << (sizeof(To) * 8 - 1)) * (std::is_signed_v<To> ? 1 : 2);
  if (whole != whole) return 0;
  if (whole >= limit) return To(~To(0)) < 0 ? To(~(1ull << (sizeof(To) * 8 - 1))) : To(~To(0));
  if (whole <= (std::is_signed_v<To> ? -limit : From(0)))
    return std::is_signed_v<To> ? To(1ull << (sizeof(To) * 8 - 1)) : To(0);
  return To(whole);
}
#define CA_TO_INTEGER(from, from_name, to, to_name)                                                          \
  inline to __##from_name##2##to_name##_rn(from x) { return saturated<to>(std::nearbyint(x)); }              \
  inline to __##from_name##2##to_name##_rz(from x) { return saturated<to>(std::trunc(x)); }                  \
  inline to __##from_name##2##to_name##_ru(from x) { return saturated<to>(std::ceil(x)); }                   \
  inline to __##from_name##2##to_name##_rd(from x) { return saturated<to>(std::floor(x)); }
#define CA_FROM_INTEGER(from, from_name, to, to_name)                                                         \
  inline to __##from_name##2##to_name##_rn(from x) { return to(x); }                                          \
  inline to __##from_name##2##to_name##_rz(from x) {                                                          \
    return rounded(FE_TOWARDZERO, [=] { volatile from y = x; return to(y); });                                \
  }                                                                                                           \
  inline to __##from_name##2##to_name##_ru(from x) {                                                          \
    return rounded(FE_UPWARD, [=] { volatile from y = x; return to(y); });                                    \
  }                                                                                                           \
  inline to __##from_name##2##to_name##_rd(from x) {                                                          \
    return rounded(FE_DOWNWARD, [=] { volatile from y = x; return to(y); });                                  \
  }
#define CA_BOTH_WAYS(real, real_name)                                                                         \
  CA_TO_INTEGER(real, real_name, int, int) CA_TO_INTEGER(real, real_name, unsigned, uint)                     \
  CA_TO_INTEGER(real, real_name, long long, ll) CA_TO_INTEGER(real, real_name, unsigned long long, ull)       \
  CA_FROM_INTEGER(int, int, real, real_name) CA_FROM_INTEGER(unsigned, uint, real, real_name)                 \
  CA_FROM_INTEGER(long long, ll, real, real_name) CA_FROM_INTEGER(unsigned long long, ull, real, real_name)
CA_BOTH_WAYS(float, float) CA_BOTH_WAYS(double, double)
CA_FROM_INTEGER(double, double, float, float)
#undef CA_BOTH_WAYS
#undef CA_FROM_INTEGER
#undef CA_TO_INTEGER

template <class To, class From> inline To same_bits(From from) {
  static_assert(sizeof(To) == sizeof(From));
  To to;
  std::memcpy(&to, &from, sizeof to);
  return to;
}
inline int __float_as_int(float x) { return same_bits<int>(x); }
inline unsigned __float_as_uint(float x) { return same_bits<unsigned>(x); }
inline float __int_as_float(int x) { return same_bits<float>(x); }
inline float __uint_as_float(unsigned x) { return same_bits<float>(x); }
inline long long __double_as_longlong(double x) { return same_bits<long long>(x); }
inline double __longlong_as_double(long long x) { return same_bits<double>(x); }
inline int __double2hiint(double x) { return int(__double_as_longlong(x) >> 32); }
inline int __double2loint(double x) { return int(__double_as_longlong(x)); }
inline double __hiloint2double(int high, int low) {
  return __longlong_as_double((long long)((unsigned long long)unsigned(high) << 32 | unsigned(low)));
}

// ---- integers and bits ----------------------------------------------------------------------------------------------
inline int __popc(unsigned x) { return __builtin_popcount(x); }
inline int __popcll(unsigned long long x) { return __builtin_popcountll(x); }
inline int __clz(int x) { return x ? __builtin_clz(static_cast<unsigned>(x)) : 32; }
inline int __clzll(long long x) { return x ? __builtin_clzll(static_cast<unsigned long long>(x)) : 64; }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(long long x) { return __builtin_ffsll(x); }
inline unsigned __brev(unsigned x) { return __builtin_bitreverse32(x); }
inline unsigned long long __brevll(unsigned long long x) { return __builtin_bitreverse64(x); }
// Position of the n-th set bit from `base` on (n > 0), or downwards (n < 0); all ones if there is none.
inline unsigned __fns(unsigned mask, unsigned base, int n) {
  if (n == 0) return mask >> base & 1 ? base : 0xffffffff;
  const int step = n > 0 ? 1 : -1;
  for (int i = int(base), left = std::abs(n); i >= 0 && i < 32; i += step)
    if (mask >> i & 1 && --left == 0) return unsigned(i);
  return 0xffffffff;
}
// Four bytes out of the eight of high and low; bit 3 of a selector asks for its sign instead.
inline unsigned __byte_perm(unsigned low, unsigned high, unsigned selectors) {
  const unsigned long long bytes = (unsigned long long)high << 32 | low;
  unsigned result = 0;
  for (int i = 0; i < 4; ++i) {
    const unsigned selector = selectors >> (4 * i) & 7;  // a nibble's highest bit has no meaning, unlike PTX's prmt
    result |= (unsigned(bytes >> (8 * selector)) & 0xff) << (8 * i);
  }
  return result;
}
inline unsigned __funnelshift_l(unsigned low, unsigned high, unsigned shift) {
  return unsigned(((unsigned long long)high << 32 | low) << (shift & 31) >> 32);
}
inline unsigned __funnelshift_r(unsigned low, unsigned high, unsigned shift) {
  return unsigned(((unsigned long long)high << 32 | low) >> (shift & 31));
}
inline unsigned __funnelshift_lc(unsigned low, unsigned high, unsigned shift) {
  return shift >= 32 ? low : __funnelshift_l(low, high, shift);
}
inline unsigned __funnelshift_rc(unsigned low, unsigned high, unsigned shift) {
  return shift >= 32 ? high : __funnelshift_r(low, high, shift);
}
inline int __mulhi(int a, int b) { return int((long long)a * b >> 32); }
inline unsigned __umulhi(unsigned a, unsigned b) { return unsigned((unsigned long long)a * b >> 32); }
inline long long __mul64hi(long long a, long long b) { return (long long)((__int128)a * b >> 64); }
inline unsigned long long __umul64hi(unsigned long long a, unsigned long long b) {
  return (unsigned long long)((unsigned __int128)a * b >> 64);
}
inline int __mul24(int a, int b) {
  return int(unsigned(int(unsigned(a) << 8) >> 8) * unsigned(int(unsigned(b) << 8) >> 8));
}
inline unsigned __umul24(unsigned a, unsigned b) { return (a & 0xffffff) * (b & 0xffffff); }
inline unsigned __sad(int a, int b, unsigned c) {
  return (a < b ? unsigned(b) - unsigned(a) : unsigned(a) - unsigned(b)) + c;
}
inline unsigned __usad(unsigned a, unsigned b, unsigned c) { return (a < b ? b - a : a - b) + c; }
inline int __hadd(int a, int b) { return int(((long long)a + b) >> 1); }
inline int __rhadd(int a, int b) { return int(((long long)a + b + 1) >> 1); }
inline unsigned __uhadd(unsigned a, unsigned b) { return unsigned(((unsigned long long)a + b) >> 1); }
inline unsigned __urhadd(unsigned a, unsigned b) { return unsigned(((unsigned long long)a + b + 1) >> 1); }

template <class Part, class Word> inline Word dot(Word a, Word b, Word c, int parts) {
  unsigned sum = unsigned(c);
  for (int i = 0; i < parts; ++i) {
    const auto x = static_cast<Word>(Part(unsigned(a) >> (32 / parts * i)));
    sum += unsigned(x) * unsigned(Word(Part(unsigned(b) >> (32 / parts * i))));
  }
  return Word(sum);
}
inline int __dp4a(int a, int b, int c) { return dot<signed char>(a, b, c, 4); }
inline unsigned __dp4a(unsigned a, unsigned b, unsigned c) { return dot<unsigned char>(a, b, c, 4); }
inline int __dp4a(char4 a, char4 b, int c) { return __dp4a(same_bits<int>(a), same_bits<int>(b), c); }
inline unsigned __dp4a(uchar4 a, uchar4 b, unsigned c) {
  return __dp4a(same_bits<unsigned>(a), same_bits<unsigned>(b), c);
}
// Two halves of a times the two low (or high) bytes of b.
template <class Half, class Byte, class Word> inline Word dot_halves(Word a, Word b, Word c, int first) {
  unsigned sum = unsigned(c);
  for (int i = 0; i < 2; ++i)
    sum += unsigned(Word(Half(unsigned(a) >> (16 * i)))) * unsigned(Word(Byte(unsigned(b) >> (8 * (first + i)))));
  return Word(sum);
}
inline int __dp2a_lo(int a, int b, int c) { return dot_halves<short, signed char>(a, b, c, 0); }
inline int __dp2a_hi(int a, int b, int c) { return dot_halves<short, signed char>(a, b, c, 2); }
inline unsigned __dp2a_lo(unsigned a, unsigned b, unsigned c) {
  return dot_halves<unsigned short, unsigned char>(a, b, c, 0);
}
inline unsigned __dp2a_hi(unsigned a, unsigned b, unsigned c) {
  return dot_halves<unsigned short, unsigned char>(a, b, c, 2);
}

}  // namespace ca::cuda_functions
