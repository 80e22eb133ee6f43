// Random permutations of 0 .. n-1, one or a stack of them (rows), and arrays in their order.
//
// Short ones are sorted: every number gets a random key, and the keys are sorted by merging runs. Long ones are computed,
// each element on its own, by a Feistel network whose round keys are random.
#pragma once
#include "random_stream.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::random {

struct Permutation {
  u64 out, parameter[3];
  Stream stream;
  i64 rows, length;  // how many permutations, of how many numbers
  i64 wanted;        // how many of each: the first ones
  i64 width;         // of the runs that are sorted already
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

// Makes the keys (parameter 0) and sorts them, with the numbers (out), in runs of Run.
template <int Run> __global__ void sort_runs(Permutation p) {
  u64* const keys = reinterpret_cast<u64*>(p.parameter[0]);
  i64* const numbers = reinterpret_cast<i64*>(p.out);
  const i64 runs = (p.length + Run - 1) / Run;
  for (i64 item : work_items(p.rows * runs)) {
    const i64 row = item / runs, first = (item - row * runs) * Run, count = smaller(p.length - first, Run);
    u64 key[Run];
    int place[Run];
    for (int i = 0; i < int(count); ++i) {
      const u64 own = random_key(p, row, first + i);
      int at = i;
      for (; at > 0 && key[at - 1] > own; --at) {
        key[at] = key[at - 1];
        place[at] = place[at - 1];
      }
      key[at] = own;
      place[at] = i;
    }
    for (int i = 0; i < int(count); ++i) {
      keys[row * p.length + first + i] = key[i];
      numbers[row * p.length + first + i] = first + place[i];
    }
  }
}

struct Merge {
  u64 numbers_out, numbers, keys, keys_out;
  Stream unused;
  i64 rows, length, wanted, width;
};

// Merges pairs of runs of `width`. A thread finds where in both runs its Chunk of the output begins, and goes on there.
template <int Chunk> __global__ void merge_runs(Merge p) {
  const u64* const keys = reinterpret_cast<const u64*>(p.keys);
  const i64* const numbers = reinterpret_cast<const i64*>(p.numbers);
  u64* const keys_out = reinterpret_cast<u64*>(p.keys_out);
  i64* const numbers_out = reinterpret_cast<i64*>(p.numbers_out);
  const i64 chunks = (p.length + Chunk - 1) / Chunk;
  for (i64 item : work_items(p.rows * chunks)) {
    const i64 row = item / chunks, start = row * p.length, end = start + p.length;
    const i64 out = start + (item - row * chunks) * Chunk, last = smaller(out + Chunk, end);
    const i64 a = start + (out - start) / (2 * p.width) * (2 * p.width);
    const i64 b = smaller(a + p.width, end), b_end = smaller(b + p.width, end);
    const i64 before = out - a;  // so many come before, some from a and the others from b
    i64 low = before > b_end - b ? before - (b_end - b) : 0, high = smaller(before, b - a);
    while (low < high) {
      const i64 middle = low + (high - low) / 2;
      if (keys[a + middle] <= keys[b + before - middle - 1]) low = middle + 1;
      else high = middle;
    }
    i64 i = a + low, j = b + (before - low);
    for (i64 k = out; k < last; ++k) {
      const i64 from = i < b && (j >= b_end || keys[i] <= keys[j]) ? i++ : j++;
      keys_out[k] = keys[from];
      numbers_out[k] = numbers[from];
    }
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

// out[row, i] for i < wanted; `width` is the number of bits, at least 2 and at most 62.
template <int> __global__ void permute(Permutation p) {
  i64* const out = reinterpret_cast<i64*>(p.out);
  const u64 length = p.length;
  const auto items = work_items(p.rows * p.wanted);
  i64 current = items.first / p.wanted;
  Feistel map(p.stream, current, int(p.width));
  auto enter_row = [&](i64 row) {
    if (row == current) return;
    map = Feistel(p.stream, row, int(p.width));
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

// out[o, j, i] = in[o, index[...], i]: out and in are C-contiguous; the index's strides, in items, say which entry
// counts.
struct Pick {
  u64 out, in, index, unused[4];
  i64 outer, wanted, inner;  // the extents of out
  i64 length;                // of in's middle axis
  i64 strides[3];
};

template <class Item> __global__ void pick(Pick p) {
  const Item* const in = reinterpret_cast<const Item*>(p.in);
  const i64* const index = reinterpret_cast<const i64*>(p.index);
  for (i64 item : work_items(p.outer * p.wanted * p.inner)) {
    const i64 rows = item / p.inner, i = item - rows * p.inner, o = rows / p.wanted, j = rows - o * p.wanted;
    const i64 from = index[o * p.strides[0] + j * p.strides[1] + i * p.strides[2]];
    reinterpret_cast<Item*>(p.out)[item] = in[(o * p.length + from) * p.inner + i];
  }
}

}  // namespace ca::random

CA_ROUND_EACH_OPERATION_END
