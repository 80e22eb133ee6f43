// What functions of sorted data need besides sorting: where flags are set, moving elements by indices, running sums.
#pragma once
#include "order.cuh"

namespace ca {
namespace selecting {

struct Selection {
  u64 out, flags, counts, unused[4];
  i64 n, blocks, chunk;
};

// counts[block]: flags that are set in its chunk.
template <int Threads> __global__ void count_flags(Selection p) {
  const bool* const flags = reinterpret_cast<const bool*>(p.flags);
  const i64 begin = blockIdx.x * p.chunk, end = begin + p.chunk < p.n ? begin + p.chunk : p.n;
  i64 own = 0, all;
  for (i64 i = begin + threadIdx.x; i < end; i += Threads) own += flags[i];
  blocks::exclusive_sum<Threads>(own, all);
  if (threadIdx.x == 0) reinterpret_cast<i64*>(p.counts)[blockIdx.x] = all;
}

// counts[block]: flags that are set before its chunk; counts[blocks]: all. One block.
template <int Threads> __global__ void scan_counts(Selection p) {
  i64* const counts = reinterpret_cast<i64*>(p.counts);
  i64 before = 0, all;
  for (i64 first = 0; first < p.blocks; first += Threads) {
    const i64 b = first + threadIdx.x, own = b < p.blocks ? counts[b] : 0;
    const i64 place = before + blocks::exclusive_sum<Threads>(own, all);
    if (b < p.blocks) counts[b] = place;
    before += all;
  }
  if (threadIdx.x == 0) counts[p.blocks] = before;
}

// Ranks: out[i] = how many flags are set up to i, less 1. Else out[k] = where the k-th is.
template <bool Ranks, int Threads> __global__ void place_flags(Selection p) {
  const bool* const flags = reinterpret_cast<const bool*>(p.flags);
  i64* const out = reinterpret_cast<i64*>(p.out);
  const i64 begin = blockIdx.x * p.chunk, end = begin + p.chunk < p.n ? begin + p.chunk : p.n;
  i64 before = reinterpret_cast<const i64*>(p.counts)[blockIdx.x];
  for (i64 first = begin; first < end; first += Threads) {
    const i64 i = first + threadIdx.x;
    const i64 own = i < end ? flags[i] : 0;
    i64 all;
    const i64 place = before + blocks::exclusive_sum<Threads>(own, all);
    if constexpr (Ranks) {
      if (i < end) out[i] = place + own - 1;
    } else {
      if (own) out[place] = i;
    }
    before += all;
  }
}

struct Moving {
  u64 out, in, indices, unused[4];
  i64 rows, n, inner;              // of `in`
  i64 count, index_step;           // indices a row, and from one row's to the next's: 0 where all rows share them
};

// out[row, j, k] = in[row, indices[row, j], k]. Word has the size of an element and no other meaning.
template <class Word> __global__ void gather_rows(Moving p) {
  const Word* const in = reinterpret_cast<const Word*>(p.in);
  Word* const out = reinterpret_cast<Word*>(p.out);
  const i64* const indices = reinterpret_cast<const i64*>(p.indices);
  for (i64 i : work_items(p.rows * p.count * p.inner)) {
    const i64 item = p.inner == 1 ? i : i / p.inner, k = i - item * p.inner;
    const i64 row = p.rows == 1 ? 0 : item / p.count, j = item - row * p.count;
    out[i] = in[(row * p.n + indices[row * p.index_step + j]) * p.inner + k];
  }
}

// out[indices[j]] = in[j]; no index stands twice.
template <class Word> __global__ void scatter_items(Moving p) {
  const Word* const in = reinterpret_cast<const Word*>(p.in);
  const i64* const indices = reinterpret_cast<const i64*>(p.indices);
  for (i64 j : work_items(p.count)) reinterpret_cast<Word*>(p.out)[indices[j]] = in[j];
}

// Running sums along the rows of a C-contiguous matrix, a block a row after the other.
template <class T, int Threads> __global__ void sum_along_rows(Moving p) {
  for (i64 row = blockIdx.x; row < p.rows; row += gridDim.x) {
    const T* const in = reinterpret_cast<const T*>(p.in) + row * p.n;
    T* const out = reinterpret_cast<T*>(p.out) + row * p.n;
    T before = T(0), all;
    for (i64 first = 0; first < p.n; first += Threads) {
      const i64 i = first + threadIdx.x;
      const T own = i < p.n ? in[i] : T(0);
      const T place = before + blocks::exclusive_sum<Threads>(own, all);
      if (i < p.n) out[i] = place + own;
      before += all;
    }
  }
}

}  // namespace selecting
}  // namespace ca
