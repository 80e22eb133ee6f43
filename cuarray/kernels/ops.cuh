// One functor for each elementwise operation, with NumPy's results: integers wrap around, NaN goes where NumPy lets it.
//
// A functor is stateless and takes compute types: float16 arrives as float. Both arguments have the same type unless
// said otherwise; which types an operation has a loop for is NumPy's (and the caller's) decision, not made here.
// Names such as sin(x) mean the compiler's function for float and double, and complex.cuh's for complex.
#pragma once
#include "ops_arithmetic.cuh"
#include "ops_floating.cuh"
#include "ops_logic.cuh"
#include "ops_math.cuh"

namespace ca {
namespace ops {

// ---- results where a mask is true only ---------------------------------------------------------------------------
template <class T> struct Maybe {
  bool there;
  T value;
};
template <class Op> struct OnlyWhere {  // the mask comes first
  template <class... T> __device__ auto operator()(bool there, T... x) const -> Maybe<decltype(Op{}(x...))> {
    return {there, Op{}(x...)};
  }
};
template <class Op> inline constexpr bool takes_stored<OnlyWhere<Op>> = takes_stored<Op>;

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
