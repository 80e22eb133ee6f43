// Cumulative sums of integers, which are the same in whatever order they are added, by vectors.
#pragma once
#include "vector_bytes.hpp"

namespace ca::reductions {

template <class T> inline constexpr bool is_whole = is_integer<T> || is_bool<T>;
template <class Op, class In, class Out> inline constexpr bool scans_in_vectors = false;
template <class Loop, class In, class Out> inline constexpr bool scans_in_vectors<Sum<Loop>, In, Out> =
    is_integer<Loop> && sizeof(Loop) == 8 && is_whole<In> && is_integer<Out> && sizeof(Out) == 8;

template <class Loop, class In> __attribute__((noinline)) u64 total_of(const In* items, i64 n) {
  u64 sum = 0;
  for (i64 i = 0; i < n; ++i) sum += u64(convert<Loop>(items[i]));
  return sum;
}

// Each lane and those before it: neighbours are added, then pairs, then fours.
CA_ALWAYS_INLINE Lanes<u64> sums_up_to_lane(Lanes<u64> x) {
  const Lanes<u64> zero = 0;
#if CA_VECTOR_BYTES == 64
  x += __builtin_shufflevector(x, zero, 8, 0, 1, 2, 3, 4, 5, 6);
  x += __builtin_shufflevector(x, zero, 8, 8, 0, 1, 2, 3, 4, 5);
  return x + __builtin_shufflevector(x, zero, 8, 8, 8, 8, 0, 1, 2, 3);
#elif CA_VECTOR_BYTES == 32
  x += __builtin_shufflevector(x, zero, 4, 0, 1, 2);
  return x + __builtin_shufflevector(x, zero, 4, 4, 0, 1);
#else
  return x + __builtin_shufflevector(x, zero, 2, 0);
#endif
}

// out[i] = before + in[0] + ... + in[i]
template <class Loop, class In, class Out>
__attribute__((noinline)) void cumulate(const In* __restrict in, Out* __restrict out, i64 n, u64 before) {
  constexpr int width = lanes_of<u64>;
  Lanes<u64> carry = before;
  i64 i = 0;
  for (; i + width <= n; i += width) {
    Lanes<u64> x;
    for (int j = 0; j < width; ++j) x[j] = u64(convert<Loop>(in[i + j]));
    x = sums_up_to_lane(x);
    const Lanes<u64> sums = x + carry, total = x[width - 1];
    carry += total;
    memcpy(out + i, &sums, sizeof sums);
  }
  for (u64 sum = carry[0]; i < n; ++i) out[i] = Out(sum += u64(convert<Loop>(in[i])));
}

}  // namespace ca::reductions
