// The CUDA functions that kernels call most, for the host. A module's namespace uses this one, so that none of these
// names is seen by other C++ in the interpreter.
#pragma once
#include <cmath>
#include <type_traits>

namespace ca::cuda_functions {

// Blocks run on several cores at once, so these are real atomics; relaxed, as CUDA's are.
template <class T, class F> inline T atomic_update(T* address, F next) {
  T old;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  T wanted = next(old);
  while (!__atomic_compare_exchange(address, &old, &wanted, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED)) wanted = next(old);
  return old;
}
template <class T> inline T atomicAdd(T* address, std::type_identity_t<T> value) {
  if constexpr (std::is_integral_v<T>) return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
  else return atomic_update(address, [=](T old) { return T(old + value); });
}
template <class T> inline T atomicSub(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicAnd(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicOr(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicXor(T* address, std::type_identity_t<T> value) {
  return __atomic_fetch_xor(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicMin(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return value < old ? value : old; });
}
template <class T> inline T atomicMax(T* address, std::type_identity_t<T> value) {
  return atomic_update(address, [=](T old) { return old < value ? value : old; });
}
template <class T> inline T atomicExch(T* address, std::type_identity_t<T> value) {
  T old;
  __atomic_exchange(address, &value, &old, __ATOMIC_RELAXED);
  return old;
}
template <class T> inline T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
  __atomic_compare_exchange(address, &compare, &value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED);
  return compare;
}

inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
template <class T> inline T __ldg(const T* address) { return *address; }

template <class A, class B> constexpr std::common_type_t<A, B> min(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(b) < T(a) ? T(b) : T(a);
}
template <class A, class B> constexpr std::common_type_t<A, B> max(A a, B b) {
  using T = std::common_type_t<A, B>;
  return T(a) < T(b) ? T(b) : T(a);
}
inline float rsqrtf(float x) { return 1.0f / std::sqrt(x); }
inline float rsqrt(float x) { return 1.0f / std::sqrt(x); }
inline double rsqrt(double x) { return 1.0 / std::sqrt(x); }
// The overloads for float that CUDA has at global scope, where C has double alone.
using std::sqrt, std::cbrt, std::exp, std::exp2, std::expm1, std::log, std::log2, std::log10, std::log1p, std::pow;
using std::sin, std::cos, std::tan, std::asin, std::acos, std::atan, std::atan2, std::sinh, std::cosh, std::tanh;
using std::floor, std::ceil, std::trunc, std::rint, std::round, std::fabs, std::abs, std::fmod, std::fma, std::hypot;
using std::isnan, std::isinf, std::isfinite;

}  // namespace ca::cuda_functions
