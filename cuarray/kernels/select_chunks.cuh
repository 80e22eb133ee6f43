// The k smallest keys (order.cuh) of each row of a C-contiguous matrix, by blocks of one thread: values and indices, in
// the order of the indices. For rows much longer than k.
//
// A block goes through its chunk of a row and keeps as candidates the elements whose keys are within a limit. Whenever
// there is no more room, only the k best of them stay, and what follows has to be better than the last of these: of
// equal elements the first is the better one. So most elements cost a comparison, and the compiler makes many of these
// at once. A look at elements from all over the chunk gives a limit to begin with, without which a chunk in which each
// element is better than all before it would make all of them candidates. Where a row has several chunks, select_join
// selects among their candidates.
#pragma once
#include "order.cuh"

namespace ca {

struct ChunkSelecting {
  u64 values, in, scratch, indices, unused[3];
  i64 rows, n, k, descending;
  i64 blocks, chunk;  // a row is cut into `blocks` chunks
  i64 room;           // of a block, for candidates
  i64 looks;          // elements of a chunk that are looked at first; 0: none
  i64 keys, others, places, counts, joined_keys, joined_others, joined_places;  // as byte offsets in scratch
};

namespace sorting {
using namespace cuda_functions;

constexpr int select_group = 64;  // elements that are compared together

__device__ inline bool is_least(WideKey key) { return !(key.high | key.low); }
template <class Key> __device__ inline bool is_least(Key key) { return !key; }
__device__ inline WideKey one_less(WideKey key) { return {key.high - !key.low, key.low - 1}; }
template <class Key> __device__ inline Key one_less(Key key) { return Key(key - 1); }

// The key that is `wanted`-th of `count`, which is made how many of the keys equal to it are among the first so many.
template <class Key> __device__ inline Key find_key(const Key* keys, Key* others, i64 count, i64& wanted) {
  for (int digit = int(sizeof(Key)) - 1; digit >= 0 && count > 1; --digit) {
    unsigned counts[2][radix_size] = {};  // two, or equal neighbours wait for each other's count
    auto key_at = [&](i64 i) { return keys[i]; };
    for_each_digit(0, count, digit, key_at, [&](i64 i, unsigned own) { ++counts[i & 1][own]; });
    unsigned own = 0;
    while (counts[0][own] + i64(counts[1][own]) < wanted) {
      wanted -= counts[0][own] + i64(counts[1][own]);
      ++own;
    }
    if (counts[0][own] + i64(counts[1][own]) == count) continue;
    i64 same = 0;
    for (i64 j = 0; j < count; ++j) {
      const Key key = keys[j];
      others[same] = key;
      same += key_digit(key, digit) == own;
    }
    keys = others;
    count = same;
  }
  return keys[0];
}

template <class Key> struct Candidates {
  Key *keys, *others;  // others: as much memory, for a moment's use
  i64* places;
  i64 count;

  // The k best stay, in their order. Returns the key of the last of them.
  __device__ Key keep(i64 k) {
    i64 equal = k;
    const Key bound = find_key(keys, others, count, equal);
    i64 kept = 0;
    for (i64 i = 0; i < count; ++i) {
      const Key key = keys[i];
      const i64 place = places[i];
      const bool better = key < bound, same = !(bound < key) && !better;
      keys[kept] = key;
      places[kept] = place;
      kept += better || (same && equal > 0);
      equal -= same;
    }
    count = kept;
    return bound;
  }
};

// Keeps the k best of in[begin] to in[end].
template <class T, class Key>
__device__ inline void select_among(Candidates<Key>& best, const T* in, i64 begin, i64 end, const ChunkSelecting& p) {
  const Key flip = all_bits<Key>(p.descending);
  Key limit = all_bits<Key>(true);
  best.count = 0;
  if (p.looks) {
    // The k-th best of some elements: at least k of all are as good.
    const i64 step = (end - begin) / p.looks;
    if (step > 1) {
      for (i64 i = 0; i < p.looks; ++i) best.keys[i] = Key(order_key(in[begin + i * step]) ^ flip);
      i64 wanted = p.k;
      limit = find_key(best.keys, best.others, p.looks, wanted);
    }
  }
  for (i64 first = begin; first < end; first += select_group) {
    const int here = end - first < select_group ? int(end - first) : select_group;
    Key keys[select_group];
    bool any = false;
    if (here == select_group) {
      for (int j = 0; j < select_group; ++j) {
        keys[j] = Key(order_key(in[first + j]) ^ flip);
        any |= !(limit < keys[j]);
      }
    } else {
      for (int j = 0; j < here; ++j) keys[j] = Key(order_key(in[first + j]) ^ flip);
      any = true;
    }
    if (!any) continue;
    if (best.count + select_group > p.room) {
      limit = best.keep(p.k);
      if (is_least(limit)) return;
      limit = one_less(limit);
    }
    i64 count = best.count;
    for (int j = 0; j < here; ++j) {
      best.keys[count] = keys[j];
      best.places[count] = first + j;
      count += !(limit < keys[j]);
    }
    best.count = count;
  }
  if (best.count > p.k) best.keep(p.k);
}

template <class T, class Key>
__device__ inline void write_selected(const Candidates<Key>& best, i64 row, const ChunkSelecting& p) {
  const T* const in = reinterpret_cast<const T*>(p.in) + row * p.n;
  T* const values = reinterpret_cast<T*>(p.values) + row * p.k;
  i64* const indices = reinterpret_cast<i64*>(p.indices) + row * p.k;
  for (i64 i = 0; i < p.k; ++i) {
    values[i] = in[best.places[i]];
    indices[i] = best.places[i];
  }
}

// The memory for the candidates of a block, or of one of select_join.
template <class Key> __device__ inline Candidates<Key> candidates_of(const ChunkSelecting& p, i64 block) {
  const i64 start = block * p.room;
  return {reinterpret_cast<Key*>(p.scratch + p.keys) + start, reinterpret_cast<Key*>(p.scratch + p.others) + start,
          reinterpret_cast<i64*>(p.scratch + p.places) + start, 0};
}

// As many blocks as chunks of all rows if rows have several chunks, else any number.
template <class T> __global__ void select_chunks(ChunkSelecting p) {
  await_previous();
  using Key = key_t<T>;
  Candidates<Key> best = candidates_of<Key>(p, blockIdx.x);
  for (i64 item : work_items(p.rows * p.blocks)) {
    const i64 row = item / p.blocks, begin = (item - row * p.blocks) * p.chunk;
    select_among(best, reinterpret_cast<const T*>(p.in) + row * p.n, begin,
                 begin + p.chunk < p.n ? begin + p.chunk : p.n, p);
    if (p.blocks == 1) write_selected<T>(best, row, p);
    else reinterpret_cast<i64*>(p.scratch + p.counts)[item] = best.count;
  }
}

// A block a row.
template <class T> __global__ void select_join(ChunkSelecting p) {
  await_previous();
  using Key = key_t<T>;
  const i64 row = blockIdx.x, start = row * p.blocks * p.k;
  Candidates<Key> best = {reinterpret_cast<Key*>(p.scratch + p.joined_keys) + start,
                          reinterpret_cast<Key*>(p.scratch + p.joined_others) + start,
                          reinterpret_cast<i64*>(p.scratch + p.joined_places) + start, 0};
  for (i64 b = row * p.blocks; b < (row + 1) * p.blocks; ++b) {
    const Candidates<Key> part = candidates_of<Key>(p, b);
    const i64 count = reinterpret_cast<const i64*>(p.scratch + p.counts)[b];
    for (i64 i = 0; i < count; ++i) {
      best.keys[best.count] = part.keys[i];
      best.places[best.count++] = part.places[i];
    }
  }
  best.keep(p.k);
  write_selected<T>(best, row, p);
}

}  // namespace sorting
}  // namespace ca
