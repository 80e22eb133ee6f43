// The CUDA functions that kernels call, for the host. A module's namespace uses this one, so that none of these names
// is seen by other C++ in the interpreter.
#pragma once
#include <time.h>

#pragma push_macro("NDEBUG")
#undef NDEBUG
#include <cassert>  // what it declares, before __assert_fail is a macro
#pragma pop_macro("NDEBUG")
#include <cassert>  // assert() as it was
#include <cstdio>
#include <cstring>
#include <type_traits>

#include "grid.hpp"
#include "math_functions.hpp"

namespace ca::cuda_functions {

// ---- atomics ------------------------------------------------------------------------------------------------------
// Blocks run on several cores at once, so these are real atomics; relaxed, as CUDA's are.
template <class T, class F> inline T atomic_update(T* address, F next) {
  static_assert(sizeof(T) <= 8, "atomics have at most 8 bytes");
  T old, wanted;
  __atomic_load(address, &old, __ATOMIC_RELAXED);
  do wanted = next(old);
  while (!__atomic_compare_exchange(address, &old, &wanted, true, __ATOMIC_RELAXED, __ATOMIC_RELAXED));
  return old;
}
// Two halves, and float2 and float4, are added as numbers one by one.
template <class T>
struct added_in_parts : std::bool_constant<std::is_same_v<T, float2> || std::is_same_v<T, float4>> {};

template <class T> using same = std::type_identity_t<T>;
template <class T> inline T atomicAdd(T* address, same<T> value) {
  if constexpr (std::is_integral_v<T>) {
    return __atomic_fetch_add(address, value, __ATOMIC_RELAXED);
  } else if constexpr (added_in_parts<T>::value) {
    T old;
    old.x = atomicAdd(&address->x, value.x), old.y = atomicAdd(&address->y, value.y);
    if constexpr (std::is_same_v<T, float4>)
      old.z = atomicAdd(&address->z, value.z), old.w = atomicAdd(&address->w, value.w);
    return old;
  } else {
    return atomic_update(address, [=](T old) { return T(old + value); });
  }
}
template <class T> inline T atomicSub(T* address, same<T> value) {
  return __atomic_fetch_sub(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicAnd(T* address, same<T> value) {
  return __atomic_fetch_and(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicOr(T* address, same<T> value) {
  return __atomic_fetch_or(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicXor(T* address, same<T> value) {
  return __atomic_fetch_xor(address, value, __ATOMIC_RELAXED);
}
template <class T> inline T atomicMin(T* address, same<T> value) {
  return atomic_update(address, [=](T old) { return value < old ? value : old; });
}
template <class T> inline T atomicMax(T* address, same<T> value) {
  return atomic_update(address, [=](T old) { return old < value ? value : old; });
}
inline unsigned atomicInc(unsigned* address, unsigned limit) {
  return atomic_update(address, [=](unsigned old) { return old >= limit ? 0 : old + 1; });
}
inline unsigned atomicDec(unsigned* address, unsigned limit) {
  return atomic_update(address, [=](unsigned old) { return old == 0 || old > limit ? limit : old - 1; });
}
template <class T> inline T atomicExch(T* address, same<T> value) {
  T old;
  __atomic_exchange(address, &value, &old, __ATOMIC_RELAXED);
  return old;
}
// A thread that fails again and again may wait for another one of its block, which only runs if this one lets it.
template <class T> inline T atomicCAS(T* address, same<T> compare, same<T> value) {
  static thread_local unsigned failures = 0;
  if (!__atomic_compare_exchange(address, &compare, &value, false, __ATOMIC_RELAXED, __ATOMIC_RELAXED) &&
      ++failures % 1024 == 0)
    ::ca::host::yield_thread();
  return compare;
}
#define CA_SCOPES(name)                                                                                  \
  template <class T> inline T name##_block(T* address, same<T> value) { return name(address, value); }   \
  template <class T> inline T name##_system(T* address, same<T> value) { return name(address, value); }
CA_SCOPES(atomicAdd) CA_SCOPES(atomicSub) CA_SCOPES(atomicAnd) CA_SCOPES(atomicOr) CA_SCOPES(atomicXor)
CA_SCOPES(atomicMin) CA_SCOPES(atomicMax) CA_SCOPES(atomicInc) CA_SCOPES(atomicDec) CA_SCOPES(atomicExch)
#undef CA_SCOPES
template <class T> inline T atomicCAS_block(T* a, same<T> compare, same<T> value) {
  return atomicCAS(a, compare, value);
}
template <class T> inline T atomicCAS_system(T* a, same<T> compare, same<T> value) {
  return atomicCAS(a, compare, value);
}

// ---- memory, time, ends -------------------------------------------------------------------------------------------
inline void __threadfence() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_block() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
inline void __threadfence_system() { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

#define CA_LOAD(name) template <class T> inline T name(const T* address) { return *address; }
CA_LOAD(__ldg) CA_LOAD(__ldca) CA_LOAD(__ldcg) CA_LOAD(__ldcs) CA_LOAD(__ldlu) CA_LOAD(__ldcv)
#undef CA_LOAD
#define CA_STORE(name) template <class T> inline void name(T* address, same<T> value) { *address = value; }
CA_STORE(__stwb) CA_STORE(__stcg) CA_STORE(__stcs) CA_STORE(__stwt)
#undef CA_STORE

inline long long clock64() {
#if defined(__x86_64__)
  return static_cast<long long>(__builtin_ia32_rdtsc());
#else
  return ::ca::host::now_ns();
#endif
}
using ::clock;  // C's: microseconds of this process
using ::printf;
inline void __nanosleep(unsigned) { ::ca::host::yield_thread(); }
[[noreturn]] inline void __trap() { ::ca::host::fail_launch(::ca::host::launch_failed); }

// ---- barriers -----------------------------------------------------------------------------------------------------
inline int __syncthreads_count(int predicate) { return ::ca::host::barrier_vote(predicate).votes; }
inline int __syncthreads_and(int predicate) {
  const auto vote = ::ca::host::barrier_vote(predicate);
  return vote.votes == vote.voters;
}
inline int __syncthreads_or(int predicate) { return ::ca::host::barrier_vote(predicate).votes != 0; }

// ---- warps --------------------------------------------------------------------------------------------------------
inline void __syncwarp(unsigned mask = 0xffffffff) { ::ca::host::collective(mask, ::ca::host::no_result, nullptr); }
__attribute__((always_inline)) inline unsigned __activemask() { return ::ca::host::active_mask_at_caller(); }
inline unsigned __ballot_sync(unsigned mask, int predicate) { return ::ca::host::ballot(mask, predicate); }
inline int __any_sync(unsigned mask, int predicate) { return ::ca::host::ballot(mask, predicate) != 0; }
inline int __all_sync(unsigned mask, int predicate) { return ::ca::host::ballot(mask, !predicate) == 0; }

template <class T> inline constexpr bool fits_register = std::is_trivially_copyable_v<T> && sizeof(T) <= 8;

// A segment is `width` lanes, a power of two. A lane outside it gives one's own value.
template <class T> inline T __shfl_sync(unsigned mask, T value, int from, int width = 32) {
  static_assert(fits_register<T>, "shuffles exchange at most 8 bytes");
  const int lane = ::ca::host::lane_id();
  return ::ca::host::shuffle(mask, value, (lane & ~(width - 1)) | (from & (width - 1)));
}
template <class T> inline T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  static_assert(fits_register<T>, "shuffles exchange at most 8 bytes");
  const unsigned lane = ::ca::host::lane_id(), place = lane & (width - 1);
  return ::ca::host::shuffle(mask, value, int(delta <= place ? lane - delta : lane));
}
template <class T> inline T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = 32) {
  static_assert(fits_register<T>, "shuffles exchange at most 8 bytes");
  const unsigned lane = ::ca::host::lane_id(), place = lane & (width - 1);
  return ::ca::host::shuffle(mask, value, int(delta < width - place ? lane + delta : lane));
}
template <class T> inline T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = 32) {
  static_assert(fits_register<T>, "shuffles exchange at most 8 bytes");
  const int lane = ::ca::host::lane_id(), source = (lane ^ lane_mask) & 31;
  return ::ca::host::shuffle(mask, value, source <= (lane | (width - 1)) ? source : lane);
}

template <class T> inline unsigned __match_any_sync(unsigned mask, T value) { return ::ca::host::match(mask, value); }
template <class T> inline unsigned __match_all_sync(unsigned mask, T value, int* all) {
  const unsigned same = ::ca::host::match(mask, value);
  *all = ::ca::host::fold(mask, same, [](unsigned a, unsigned b) { return a & b; }) == same;
  return *all ? same : 0;
}

#define CA_REDUCE(name, type, expression)                                                        \
  inline type name(unsigned mask, type value) {                                                  \
    return ::ca::host::fold(mask, value, [](type a, type b) { return static_cast<type>(expression); }); \
  }
CA_REDUCE(__reduce_add_sync, unsigned, a + b)
CA_REDUCE(__reduce_add_sync, int, unsigned(a) + unsigned(b))
CA_REDUCE(__reduce_min_sync, unsigned, a < b ? a : b)
CA_REDUCE(__reduce_min_sync, int, a < b ? a : b)
CA_REDUCE(__reduce_max_sync, unsigned, a > b ? a : b)
CA_REDUCE(__reduce_max_sync, int, a > b ? a : b)
CA_REDUCE(__reduce_and_sync, unsigned, a & b)
CA_REDUCE(__reduce_or_sync, unsigned, a | b)
CA_REDUCE(__reduce_xor_sync, unsigned, a ^ b)
#undef CA_REDUCE

}  // namespace ca::cuda_functions
