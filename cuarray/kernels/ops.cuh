// One functor for each elementwise operation, with NumPy's results: integers wrap around, NaN goes where NumPy lets it.
//
// A functor is stateless and takes compute types: float16 arrives as float. Both arguments have the same type unless
// said otherwise; which types an operation has a loop for is NumPy's (and the caller's) decision, not made here.
// Names such as sin(x) mean the compiler's function for float and double, and complex.cuh's for complex.
#pragma once
#include "complex.cuh"

namespace ca {
namespace ops {

// Integers are computed in an unsigned type no narrower than int: signed overflow is undefined, also after promotion.
template <bool Wide> struct wrapping { using type = unsigned int; };
template <> struct wrapping<true> { using type = unsigned long; };
template <class T> using wrapping_t = typename wrapping<(sizeof(T) > 4)>::type;

template <class T> __device__ inline bool is_nan(T x) { return x != x; }
template <class T> __device__ inline bool is_true(T x) { return x != T(0); }
template <class T> __device__ inline T negated(T x) {
  if constexpr (is_integer<T>) return T(-wrapping_t<T>(x));
  else return -x;
}
template <class T> __device__ inline make_unsigned_t<T> magnitude(T x) {  // of an integer, the lowest one too
  return make_unsigned_t<T>(x < T(0) ? negated(x) : x);
}

// ---- arithmetic -------------------------------------------------------------------------------------------------
struct Add {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_bool<T>) return a || b;
    else if constexpr (is_integer<T>) return T(wrapping_t<T>(a) + wrapping_t<T>(b));
    else return a + b;
  }
};
struct Subtract {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_integer<T>) return T(wrapping_t<T>(a) - wrapping_t<T>(b));
    else return a - b;
  }
};
struct Multiply {
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_bool<T>) return a && b;
    else if constexpr (is_integer<T>) return T(wrapping_t<T>(a) * wrapping_t<T>(b));
    else return a * b;
  }
};
struct Divide {  // true division: floating and complex
  template <class T> __device__ T operator()(T a, T b) const { return a / b; }
};

template <class T> struct QuotientRemainder { T quotient, remainder; };

// Rounds towards minus infinity; the remainder has the divisor's sign. For floating numbers as NumPy's npy_divmod: the
// quotient comes from the exact remainder, and the two agree.
template <class T> __device__ inline QuotientRemainder<T> divmod(T a, T b) {
  if constexpr (is_unsigned_integer<T>) {
    if (b == T(0)) return {T(0), T(0)};
    return {T(a / b), T(a % b)};
  } else if constexpr (is_integer<T>) {
    if (b == T(0)) return {T(0), T(0)};
    if (b == T(-1)) return {negated(a), T(0)};  // lowest / -1 traps
    const T quotient = T(a / b), remainder = T(a % b);
    if (remainder != T(0) && (remainder < T(0)) != (b < T(0))) return {T(quotient - 1), T(remainder + b)};
    return {quotient, remainder};
  } else {
    T remainder = fmod(a, b);
    if (b == T(0)) return {a / b, remainder};
    T quotient = (a - remainder) / b;
    if (remainder != T(0)) {
      if ((b < T(0)) != (remainder < T(0))) {
        remainder += b;
        quotient -= T(1);
      }
    } else {
      remainder = copysign(T(0), b);
    }
    if (quotient == T(0)) return {copysign(T(0), a / b), remainder};
    const T whole = floor(quotient);
    return {quotient - whole > T(0.5) ? whole + T(1) : whole, remainder};
  }
}
struct FloorDivide {
  template <class T> __device__ T operator()(T a, T b) const { return divmod(a, b).quotient; }
};
struct Remainder {
  template <class T> __device__ T operator()(T a, T b) const { return divmod(a, b).remainder; }
};
struct Fmod {  // the remainder has the dividend's sign
  template <class T> __device__ T operator()(T a, T b) const {
    if constexpr (is_integer<T>) return b == T(0) || (b == T(-1) && is_signed_integer<T>) ? T(0) : T(a % b);
    else return fmod(a, b);
  }
};

struct Power {
  template <class T> __device__ T operator()(T base, T exponent) const {
    if constexpr (is_integer<T>) {
      if (exponent < T(0)) {  // 1 / base^|exponent|, towards zero
        if (base == T(1)) return T(1);
        return base == T(-1) ? T(exponent & 1 ? -1 : 1) : T(0);
      }
      wrapping_t<T> result = 1, factor = wrapping_t<T>(base);
      for (auto n = make_unsigned_t<T>(exponent); n != 0; n >>= 1) {
        if (n & 1) result *= factor;
        factor *= factor;
      }
      return T(result);
    } else {
      return pow(base, exponent);
    }
  }
};
struct FloatPower {
  template <class T> __device__ T operator()(T base, T exponent) const { return pow(base, exponent); }
};

struct Positive {
  template <class T> __device__ T operator()(T x) const { return x; }
};
struct Negative {
  template <class T> __device__ T operator()(T x) const { return negated(x); }
};
struct Absolute {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return abs(x);
    else if constexpr (is_floating<T>) return fabs(x);
    else if constexpr (is_signed_integer<T>) return x < T(0) ? negated(x) : x;
    else return x;
  }
};
struct Fabs {
  template <class T> __device__ T operator()(T x) const { return fabs(x); }
};
struct Sign {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return sign(x);
    else if constexpr (is_floating<T>) return x > T(0) ? T(1) : x < T(0) ? T(-1) : is_nan(x) ? x : T(0);
    else return T((x > T(0)) - (x < T(0)));
  }
};
struct Square {
  template <class T> __device__ T operator()(T x) const { return Multiply()(x, x); }
};
struct Reciprocal {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return reciprocal(x);
    else if constexpr (is_integer<T>) return x == T(1) || (negated(x) == T(1) && is_signed_integer<T>) ? x : T(0);
    else return T(1) / x;
  }
};

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
struct SignBit {
  template <class T> __device__ bool operator()(T x) const { return signbit(x); }
};
struct CopySign {
  template <class T> __device__ T operator()(T a, T b) const { return copysign(a, b); }
};
struct Ldexp {  // x * 2^exponent, the exponent int or long
  template <class T, class N> __device__ T operator()(T x, N exponent) const {
    const int limit = 10000;  // beyond any floating type's range
    return ldexp(x, exponent > N(limit) ? limit : exponent < N(-limit) ? -limit : int(exponent));
  }
};

// These two speak of neighbours in x's own type: unlike the other functors they also take a float16 as it is stored.
template <class T> struct float_bits;
template <> struct float_bits<float16> { using type = unsigned short; };
template <> struct float_bits<float> { using type = unsigned int; };
template <> struct float_bits<double> { using type = unsigned long; };

struct NextAfter {
  template <class T> __device__ T operator()(T a, T towards) const {
    using Bits = typename float_bits<T>::type;
    using C = compute_t<T>;
    const C x = a, y = towards;
    if (is_nan(x) || is_nan(y)) return T(x + y);
    if (x == y) return towards;
    const Bits sign = Bits(Bits(1) << (sizeof(T) * 8 - 1));
    if (x == C(0)) return bit_cast<T>(Bits(1 | (bit_cast<Bits>(towards) & sign)));
    return bit_cast<T>(Bits(bit_cast<Bits>(a) + ((x < y) == (x > C(0)) ? 1 : -1)));
  }
};
struct Spacing {  // signed like x, except that NumPy's float16 always looks upwards
  template <class T> __device__ T operator()(T x) const {
    using C = compute_t<T>;
    if (!isfinite(C(x))) return T(limits<C>::nan());
    const bool downwards = !is_same_v<T, float16> && signbit(C(x)) && C(x) != C(0);
    const T next = NextAfter()(x, T(downwards ? limits<C>::lowest() : limits<C>::highest()));
    return T(C(next) - C(x));
  }
};

struct Heaviside {
  template <class T> __device__ T operator()(T x, T at_zero) const {
    return is_nan(x) ? x : x == T(0) ? at_zero : T(x > T(0));
  }
};

// ---- complex parts: a real number is its own real part ------------------------------------------------------------
struct Conjugate {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_complex<T>) return conj(x);
    else return x;
  }
};
struct Real {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return x.re;
    else return x;
  }
};
struct Imag {
  template <class T> __device__ real_t<T> operator()(T x) const {
    if constexpr (is_complex<T>) return x.im;
    else return T(0);
  }
};

// ---- comparison: same types, or long with unsigned long, compared as the numbers they are ---------------------------
template <class A, class B> inline constexpr bool differ_in_sign =
    (is_signed_integer<A> && is_unsigned_integer<B>) || (is_unsigned_integer<A> && is_signed_integer<B>);

template <class A, class B> __device__ inline bool equal(A a, B b) {
  if constexpr (differ_in_sign<A, B>) return !(a < A(0)) && !(b < B(0)) && u64(a) == u64(b);
  else return a == b;
}
template <class A, class B> __device__ inline bool less(A a, B b) {
  if constexpr (differ_in_sign<A, B>) return a < A(0) || (!(b < B(0)) && u64(a) < u64(b));
  else return a < b;
}
template <class A, class B> __device__ inline bool less_equal(A a, B b) {
  if constexpr (differ_in_sign<A, B>) return !less(b, a);
  else return a <= b;  // with NaN this is not the opposite of b < a
}
struct Equal { template <class A, class B> __device__ bool operator()(A a, B b) const { return equal(a, b); } };
struct NotEqual { template <class A, class B> __device__ bool operator()(A a, B b) const { return !equal(a, b); } };
struct Less { template <class A, class B> __device__ bool operator()(A a, B b) const { return less(a, b); } };
struct LessEqual {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return less_equal(a, b); }
};
struct Greater { template <class A, class B> __device__ bool operator()(A a, B b) const { return less(b, a); } };
struct GreaterEqual {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return less_equal(b, a); }
};

struct Maximum {  // NaN if either is
  template <class T> __device__ T operator()(T a, T b) const { return a >= b || is_nan(a) ? a : b; }
};
struct Minimum {
  template <class T> __device__ T operator()(T a, T b) const { return a <= b || is_nan(a) ? a : b; }
};
struct Fmax {  // NaN if both are
  template <class T> __device__ T operator()(T a, T b) const { return a >= b || is_nan(b) ? a : b; }
};
struct Fmin {
  template <class T> __device__ T operator()(T a, T b) const { return a <= b || is_nan(b) ? a : b; }
};

// ---- logic and bits ---------------------------------------------------------------------------------------------
struct LogicalAnd {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return is_true(a) && is_true(b); }
};
struct LogicalOr {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return is_true(a) || is_true(b); }
};
struct LogicalXor {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return is_true(a) != is_true(b); }
};
struct LogicalNot {
  template <class T> __device__ bool operator()(T x) const { return !is_true(x); }
};

struct BitwiseAnd { template <class T> __device__ T operator()(T a, T b) const { return T(a & b); } };
struct BitwiseOr { template <class T> __device__ T operator()(T a, T b) const { return T(a | b); } };
struct BitwiseXor { template <class T> __device__ T operator()(T a, T b) const { return T(a ^ b); } };
struct Invert {
  template <class T> __device__ T operator()(T x) const {
    if constexpr (is_bool<T>) return !x;
    else return T(~x);
  }
};
struct LeftShift {  // a count that is negative or too large shifts every bit out
  template <class T> __device__ T operator()(T a, T count) const {
    return u64(count) < sizeof(T) * 8 ? T(wrapping_t<T>(a) << count) : T(0);
  }
};
struct RightShift {
  template <class T> __device__ T operator()(T a, T count) const {
    return u64(count) < sizeof(T) * 8 ? T(a >> count) : a < T(0) ? T(-1) : T(0);
  }
};
struct BitwiseCount {  // of the absolute value
  template <class T> __device__ unsigned char operator()(T x) const {
    u64 bits = magnitude(x);
    bits -= (bits >> 1) & 0x5555555555555555ul;
    bits = (bits & 0x3333333333333333ul) + ((bits >> 2) & 0x3333333333333333ul);
    return static_cast<unsigned char>((((bits + (bits >> 4)) & 0x0f0f0f0f0f0f0f0ful) * 0x0101010101010101ul) >> 56);
  }
};

// ---- number theory ------------------------------------------------------------------------------------------------
template <class U> __device__ inline U greatest_common_divisor(U a, U b) {
  while (a != 0) {
    const U rest = U(b % a);
    b = a;
    a = rest;
  }
  return b;
}
struct Gcd {
  template <class T> __device__ T operator()(T a, T b) const {
    return T(greatest_common_divisor(magnitude(a), magnitude(b)));
  }
};
struct Lcm {
  template <class T> __device__ T operator()(T a, T b) const {
    using U = wrapping_t<T>;
    const U x = magnitude(a), y = magnitude(b), divisor = greatest_common_divisor(x, y);
    return divisor == 0 ? T(0) : T(x / divisor * y);
  }
};

// ---- selection, copying, filling ----------------------------------------------------------------------------------
struct Where {
  template <class T> __device__ T operator()(bool condition, T a, T b) const { return condition ? a : b; }
};
struct Clip {  // NaN if any is; high wins where low exceeds it
  // Unlike a < b, NumPy's order here looks at imaginary parts, and their NaN, only where the real parts are equal.
  template <class T> static __device__ bool precedes(T a, T b) {
    if constexpr (is_complex<T>) return a.re == b.re ? a.im < b.im : a.re < b.re;
    else return a < b;
  }
  template <class T> __device__ T operator()(T x, T low, T high) const {
    const T raised = is_nan(x) || precedes(low, x) ? x : low;
    return is_nan(raised) || precedes(raised, high) ? raised : high;
  }
};
struct Identity {
  template <class T> __device__ T operator()(T x) const { return x; }
};
struct Affine {  // the product is rounded by itself, as in NumPy's arange and linspace
  template <class T> __device__ T operator()(i64 i, T start, T step) const {
    if constexpr (is_complex<T>) return {(*this)(i, start.re, step.re), (*this)(i, start.im, step.im)};
    else if constexpr (is_floating<T>) return start + rounded_product(T(i), step);
    else return T(wrapping_t<T>(start) + wrapping_t<T>(i) * wrapping_t<T>(step));
  }
};

}  // namespace ops
}  // namespace ca
