// Functors of comparison, extremes, logic and bits.
#pragma once
#include "ops_arithmetic.cuh"

namespace ca {
namespace ops {

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
  template <class A, class B> __device__ bool operator()(A a, B b) const { return is_true(a) & is_true(b); }
};
struct LogicalOr {
  template <class A, class B> __device__ bool operator()(A a, B b) const { return is_true(a) | is_true(b); }
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
    using U = make_unsigned_t<T>;  // no wider: a vector has more narrow lanes
    constexpr U all = U(~U(0));
    U bits = magnitude(x);
    bits = U(bits - (U(bits >> 1) & (all / 3)));
    bits = U((bits & (all / 5)) + (U(bits >> 2) & (all / 5)));
    bits = U((bits + (bits >> 4)) & (all / 17));  // of each byte
    return static_cast<unsigned char>(U(bits * (all / 255)) >> (sizeof(U) * 8 - 8));
  }
};

}  // namespace ops
}  // namespace ca
