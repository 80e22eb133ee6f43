// Random permutations of 0 .. n-1, one or a stack of them (rows).
//
// Short ones are sorted: every number gets a random key, and sort.cuh sorts the keys, equal ones in the order of the
// numbers. Long ones are computed, each element on its own, by a Feistel network whose round keys are random.
#pragma once
#include "random_stream.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::random {

struct Permutation {
  u64 out, parameter[3];
  Stream stream;
  i64 rows, length;  // how many permutations, of how many numbers
  i64 wanted;        // how many of each: the first ones
  i64 bits;          // of the numbers: at least 2 and at most 62
};

__device__ inline i64 smaller(i64 a, i64 b) { return a < b ? a : b; }

// A uniform key; or, with weights (an address, or 0), the bits of an exponential number of that rate. These sort as the
// numbers do, and what comes first is drawn first.
__device__ inline u64 random_key(const Permutation& p, i64 row, i64 i) {
  const u64 number = row * p.length + i;
  const Words words = p.stream.words(number / 2, 0);
  const u64 key = number % 2 ? lane_of<double>(words, 1) : lane_of<double>(words, 0);
  if (!p.parameter[2]) return key;
  const double weight = reinterpret_cast<const double*>(p.parameter[2])[i];
  return bit_cast<u64>(weight > 0.0 ? exponential_of(to_positive(key)) / weight : limits<double>::highest());
}

// Keys (out) whose order is that of the numbers of each permutation.
template <int> __global__ void shuffle_keys(Permutation p) {
  await_previous();
  for (i64 item : work_items(p.rows * p.length)) {
    const i64 row = item / p.length;
    reinterpret_cast<u64*>(p.out)[item] = random_key(p, row, item - row * p.length);
  }
}

// A keyed bijection of the numbers below 2^bits; what is not below `length` is mapped again until it is.
struct Feistel {
  static constexpr int rounds = 24;
  u32 keys[rounds];
  int low_bits;
  u32 low_mask, high_mask;

  __device__ Feistel(const Stream& stream, i64 row, int bits) {
    for (int k = 0; k < rounds; k += 4) {
      const Words words = stream.words(row, k / 4);
      for (int w = 0; w < 4; ++w) keys[k + w] = words.word[w];
    }
    low_bits = bits / 2;
    low_mask = (1u << low_bits) - 1;
    high_mask = (1u << (bits - low_bits)) - 1;
  }
  static __device__ CA_ALWAYS_INLINE u32 mixed(u32 x, u32 key) {
    x = (x ^ key) * 0x9e3779b1u;
    x = (x ^ (x >> 15)) * 0x85ebca6bu;
    return x ^ (x >> 13);
  }
  __device__ CA_ALWAYS_INLINE u64 operator()(u64 number) const {
    u32 low = u32(number) & low_mask, high = u32(number >> low_bits);
#pragma unroll
    for (int k = 0; k < rounds; k += 2) {
      low ^= mixed(high, keys[k]) & low_mask;
      high ^= mixed(low, keys[k + 1]) & high_mask;
    }
    return u64(high) << low_bits | low;
  }
};

// out[row, i] for i < wanted.
template <int> __global__ void permute(Permutation p) {
  await_previous();
  i64* const out = reinterpret_cast<i64*>(p.out);
  const u64 length = p.length;
  const auto items = work_items(p.rows * p.wanted);
  i64 current = items.first / p.wanted;
  Feistel map(p.stream, current, int(p.bits));
  auto enter_row = [&](i64 row) {
    if (row == current) return;
    map = Feistel(p.stream, row, int(p.bits));
    current = row;
  };
  if constexpr (CA_ON_DEVICE) {
    for (i64 item : items) {
      const i64 row = item / p.wanted;
      enter_row(row);
      u64 number = item - row * p.wanted;
      do number = map(number);
      while (number >= length);
      out[item] = i64(number);
    }
  } else {
    constexpr int run = 64;  // of one row; all are mapped again, which vectorises, while any has to be
    u64 numbers[run];
    for (i64 item = items.first; item < items.last;) {
      const i64 row = item / p.wanted, at = item - row * p.wanted;
      const int count = int(smaller(smaller(items.last - item, p.wanted - at), run));
      enter_row(row);
      const Feistel own = map;
      for (int i = 0; i < count; ++i) numbers[i] = own(at + i);
      for (int beyond = 1; beyond;) {
        beyond = 0;
        for (int i = 0; i < count; ++i) {
          const u64 next = own(numbers[i]);
          numbers[i] = numbers[i] >= length ? next : numbers[i];
          beyond |= numbers[i] >= length;
        }
      }
      for (int i = 0; i < count; ++i) out[item + i] = i64(numbers[i]);
      item += count;
    }
  }
}

}  // namespace ca::random

CA_ROUND_EACH_OPERATION_END
