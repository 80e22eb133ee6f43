// The k smallest keys (order.cuh) of each row of a C-contiguous matrix, not in order: values and indices. By blocks of
// many threads, for rows much longer than k; select_chunks.cuh is for blocks of one.
//
// A radix select: select_digit finds the k-th key digit by digit, from the highest on, by counting among the keys that
// have the digits found before. select_count counts what each block's part of a row has below that key, and of the key
// itself; select_write writes both: first the smaller ones, then as many equal ones as are missing, each in order.
#pragma once
#include "order.cuh"

namespace ca {

struct Selecting {
  u64 values, in, scratch, indices, unused[3];
  i64 rows, n, k, descending;
  i64 level;                 // which digit, from the highest on
  i64 blocks, chunk;         // parts of a row, and their elements
  i64 found, counts, parts;  // as byte offsets in scratch: what is known of rows; by rows and levels; by rows and parts
  i64 zeroed;                // bytes of scratch that are 0 at the beginning
};

namespace sorting {
using namespace cuda_functions;

constexpr int select_words = radix_size + 32;  // of a level: counts, and how many blocks are done

// What is known of the k-th key: its highest digits, and how many keys with them belong to the k smallest.
struct Found {
  u64 key;
  i64 wanted;
};

template <int Threads> __global__ void __launch_bounds__(Threads) select_begin(Selecting p) {
  await_previous();
  u64* const words = reinterpret_cast<u64*>(p.scratch);
  for (i64 i : work_items(p.zeroed / 8)) words[i] = 0;
}

// The part of a row that a block looks at.
struct Part {
  i64 row, block, begin, end;
  __device__ explicit Part(const Selecting& p) {
    row = blockIdx.x / p.blocks;
    block = blockIdx.x - row * p.blocks;
    begin = block * p.chunk;
    end = begin + p.chunk < p.n ? begin + p.chunk : p.n;
  }
};

template <class T, int Threads, int Items> __global__ void __launch_bounds__(Threads) select_digit(Selecting p) {
  await_previous();
  using Key = key_t<T>;
  static_assert(Threads >= radix_size, "a thread a digit");
  constexpr int levels = int(sizeof(T)), each = 8;  // counters of a digit, for neighbouring lanes
  __shared__ unsigned counters[radix_size * each];
  __shared__ bool is_last;
  const int t = threadIdx.x, level = int(p.level), digit = levels - 1 - level;
  const Part part(p);
  const T* const in = reinterpret_cast<const T*>(p.in) + part.row * p.n;
  Found* const found = reinterpret_cast<Found*>(p.scratch + p.found) + part.row;
  unsigned* const counts =
      reinterpret_cast<unsigned*>(p.scratch + p.counts) + (part.row * levels + level) * select_words;
  const Key flip = all_bits<Key>(p.descending), known = level ? Key(found->key) : Key(0);
  for (int i = t; i < radix_size * each; i += Threads) counters[i] = 0;
  __syncthreads();
  auto count = [&](T value) {
    const u64 differs = u64(Key(order_key(value) ^ flip) ^ known) >> (radix_bits * digit);
    if (!level || differs < radix_size) {
      const unsigned own = key_digit(Key(order_key(value) ^ flip), digit);
      atomicAdd(&counters[own * each + t % each], 1u);
    }
  };
  i64 first = part.begin + t;
  for (; first + (Items - 1) * Threads < part.end; first += Items * Threads) {
    T values[Items];
#pragma unroll
    for (int i = 0; i < Items; ++i) values[i] = in[first + i * Threads];
#pragma unroll
    for (int i = 0; i < Items; ++i) count(values[i]);
  }
  for (; first < part.end; first += Threads) count(in[first]);
  __syncthreads();
  if (t < radix_size) {
    unsigned sum = 0;
#pragma unroll
    for (int q = 0; q < each; ++q) sum += counters[t * each + q];
    if (sum) atomicAdd(&counts[t], sum);
  }
  // The last block of the row finds the digit.
  __threadfence();
  __syncthreads();
  if (t == 0) is_last = atomicAdd(&counts[radix_size], 1u) + 1 == unsigned(p.blocks);
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  const i64 own = t < radix_size ? i64(counts[t]) : 0, wanted = level ? found->wanted : p.k;
  i64 all;
  const i64 before = blocks::exclusive_sum<Threads>(own, all);
  if (before < wanted && wanted <= before + own) {  // one thread's digit
    found->key = u64(known) | u64(t) << (radix_bits * digit);
    found->wanted = wanted - before;
  }
}

// parts[row][block]: keys below the k-th one, and keys equal to it.
template <class T, int Threads, int Items> __global__ void __launch_bounds__(Threads) select_count(Selecting p) {
  await_previous();
  using Key = key_t<T>;
  const Part part(p);
  const T* const in = reinterpret_cast<const T*>(p.in) + part.row * p.n;
  const Key flip = all_bits<Key>(p.descending);
  const Key bound = Key(reinterpret_cast<const Found*>(p.scratch + p.found)[part.row].key);
  u64 counts = 0;  // of either kind in 32 bits
#pragma unroll Items
  for (i64 i = part.begin + threadIdx.x; i < part.end; i += Threads) {
    const Key key = Key(order_key(in[i]) ^ flip);
    counts += u64(key < bound) | u64(key == bound) << 32;
  }
  u64 all;
  blocks::exclusive_sum<Threads>(counts, all);
  if (threadIdx.x == 0) reinterpret_cast<u64*>(p.scratch + p.parts)[blockIdx.x] = all;
}

template <class T, int Threads, int Items> __global__ void __launch_bounds__(Threads) select_write(Selecting p) {
  await_previous();
  using Key = key_t<T>;
  const Part part(p);
  const u64* const parts = reinterpret_cast<const u64*>(p.scratch + p.parts) + part.row * p.blocks;
  const u64 here = parts[part.block];
  if (!here) return;
  // Of both kinds, those in earlier blocks: counts of 32 bits would not hold all equal keys of a long row.
  i64 lower = 0, equal = 0, at, equal_at;
  for (i64 b = threadIdx.x; b < part.block; b += Threads) {
    lower += i64(parts[b] & 0xffffffffu);
    equal += i64(parts[b] >> 32);
  }
  blocks::exclusive_sum<Threads>(lower, at);
  blocks::exclusive_sum<Threads>(equal, equal_at);
  const Found found = reinterpret_cast<const Found*>(p.scratch + p.found)[part.row];
  if (!(here & 0xffffffffu) && equal_at >= found.wanted) return;
  equal_at += p.k - found.wanted;
  const T* const in = reinterpret_cast<const T*>(p.in) + part.row * p.n;
  T* const values = reinterpret_cast<T*>(p.values) + part.row * p.k;
  i64* const indices = reinterpret_cast<i64*>(p.indices) + part.row * p.k;
  const Key flip = all_bits<Key>(p.descending), bound = Key(found.key);
  for (i64 start = part.begin + threadIdx.x; start - threadIdx.x < part.end; start += Threads * Items) {
    T given[Items];
    unsigned below = 0, same = 0;  // a bit an item
#pragma unroll
    for (int j = 0; j < Items; ++j) given[j] = in[start + j * Threads < part.end ? start + j * Threads : part.begin];
#pragma unroll
    for (int j = 0; j < Items; ++j) {
      const Key key = Key(order_key(given[j]) ^ flip);
      if (start + j * Threads < part.end) {
        below |= unsigned(key < bound) << j;
        same |= unsigned(key == bound) << j;
      }
    }
    if (!__syncthreads_or(int(below | same))) continue;
#pragma unroll
    for (int j = 0; j < Items; ++j) {
      unsigned all;
      const unsigned own = below >> j & 1, other = same >> j & 1;
      const unsigned before = blocks::exclusive_sum<Threads>(own | other << 16, all);
      const i64 to = own ? at + (before & 0xffffu) : equal_at + (before >> 16);
      if ((own | other) && to < p.k) {
        values[to] = given[j];
        indices[to] = start + j * Threads;
      }
      at += all & 0xffffu;
      equal_at += all >> 16;
    }
  }
}

}  // namespace sorting
}  // namespace ca
