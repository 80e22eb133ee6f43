// Stable sorting of the short rows of a C-contiguous matrix, by keys (order.cuh): the values, the indices, or both.
//
// sort_rows: a thread a row after the other, for one-thread blocks. sort_tiles: a bitonic network in shared memory on
// (key, index), for others. Long rows: sort_chunks.cuh for one-thread blocks, sort_passes.cuh for others.
#pragma once
#include "order.cuh"

namespace ca {

struct RowSorting {
  u64 values, in, scratch, indices, unused[3];  // values, indices: 0 where they are not asked for
  i64 rows, n, descending;
  i64 extent;  // of a row in a tile: a power of two
};

namespace sorting {
using namespace cuda_functions;

// ---- short rows, one thread a block -----------------------------------------------------------------------------
template <class T, bool Indices> struct Item { T value; };
template <class T> struct Item<T, true> {
  T value;
  unsigned int index;
};

template <class Key, class I> __device__ inline Key item_key(const I& item, Key flip) {
  return Key(order_key(item.value) ^ flip);
}

constexpr i64 insertion_length = 8;   // runs this short are sorted by insertion
constexpr i64 radix_length = 192;     // below this a merge sort is faster than counting digits

template <class Key, class I> __device__ inline void sort_by_insertion(I* items, i64 n, Key flip) {
  for (i64 i = 1; i < n; ++i) {
    const I item = items[i];
    const Key key = item_key(item, flip);
    i64 j = i;
    for (; j > 0 && key < item_key(items[j - 1], flip); --j) items[j] = items[j - 1];
    items[j] = item;
  }
}

// Sorts `items`, with `other` for scratch; returns which of them holds the result.
template <class Key, class I> __device__ inline I* sort_by_merging(I* items, I* other, i64 n, Key flip) {
  for (i64 i = 0; i < n; i += insertion_length)
    sort_by_insertion(items + i, i + insertion_length < n ? insertion_length : n - i, flip);
  for (i64 run = insertion_length; run < n; run *= 2) {
    for (i64 first = 0; first < n; first += 2 * run) {
      const i64 middle = first + run < n ? first + run : n, last = middle + run < n ? middle + run : n;
      i64 a = first, b = middle;
      i64 out = first;
      while (a < middle && b < last) {
        const bool right = item_key(items[b], flip) < item_key(items[a], flip);
        other[out++] = items[right ? b : a];
        a += !right;
        b += right;
      }
      while (a < middle) other[out++] = items[a++];
      while (b < last) other[out++] = items[b++];
    }
    I* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

template <class Key, class I> __device__ inline I* sort_by_digits(I* items, I* other, i64 n, Key flip) {
  constexpr int passes = int(sizeof(Key));
  unsigned int counts[passes][radix_size] = {};
  constexpr int group = 64;  // the compiler finds so many keys at once
  Key keys[group];
  for (i64 start = 0; start < n; start += group) {
    const int here = n - start < group ? int(n - start) : group;
    if (here == group)
      for (int j = 0; j < group; ++j) keys[j] = item_key(items[start + j], flip);
    else
      for (int j = 0; j < here; ++j) keys[j] = item_key(items[start + j], flip);
    for (int j = 0; j < here; ++j)
      for (int pass = 0; pass < passes; ++pass) ++counts[pass][key_digit(keys[j], pass)];
  }
  const Key first = item_key(items[0], flip);
  for (int pass = 0; pass < passes; ++pass) {
    unsigned int* const place = counts[pass];
    if (place[key_digit(first, pass)] == n) continue;
    unsigned int smaller = 0;
    for (int d = 0; d < radix_size; ++d) {
      const unsigned int own = place[d];
      place[d] = smaller;
      smaller += own;
    }
    auto key_at = [&](i64 i) { return item_key(items[i], flip); };
    for_each_digit(0, n, pass, key_at, [&](i64 i, unsigned digit) { other[place[digit]++] = items[i]; });
    I* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

// Whole rows; in scratch memory each block has two buffers of n items.
template <class T, bool Indices> __global__ void sort_rows(RowSorting p) {
  await_previous();
  using Key = key_t<T>;
  using I = Item<T, Indices>;
  const Key flip = all_bits<Key>(p.descending);
  I* const buffer = reinterpret_cast<I*>(p.scratch) + i64(blockIdx.x) * 2 * p.n;
  for (i64 row : work_items(p.rows)) {
    const T* const in = reinterpret_cast<const T*>(p.in) + row * p.n;
    I* items = buffer;
    for (i64 i = 0; i < p.n; ++i) {
      items[i].value = in[i];
      if constexpr (Indices) items[i].index = unsigned(i);
    }
    if (p.n <= insertion_length) sort_by_insertion(items, p.n, flip);
    else if (p.n < radix_length) items = sort_by_merging(items, items + p.n, p.n, flip);
    else items = sort_by_digits(items, items + p.n, p.n, flip);
    if (p.values) {
      T* const out = reinterpret_cast<T*>(p.values) + row * p.n;
      for (i64 i = 0; i < p.n; ++i) out[i] = items[i].value;
    }
    if constexpr (Indices) {
      i64* const out = reinterpret_cast<i64*>(p.indices) + row * p.n;
      for (i64 i = 0; i < p.n; ++i) out[i] = items[i].index;
    }
  }
}

// ---- short rows, many threads a block ---------------------------------------------------------------------------
// A tile holds as many rows, each padded to `extent` elements, a power of two, as it has place for. The padding has
// indices beyond the row, and is last for that: equal keys are ordered by their indices.
template <class T, int Tile, int Threads> __global__ void sort_tiles(RowSorting p) {
  await_previous();
  using Key = key_t<T>;
  __shared__ Key keys[Tile];
  __shared__ unsigned short places[Tile];
  const Key flip = all_bits<Key>(p.descending);
  const int extent = int(p.extent), n = int(p.n), rows_here = Tile / extent;
  const i64 tiles = (p.rows + rows_here - 1) / rows_here;
  const T* const in = reinterpret_cast<const T*>(p.in);
  for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    for (int j = threadIdx.x; j < Tile; j += Threads) {
      const int at = j & (extent - 1);
      const i64 row = tile * rows_here + j / extent;
      keys[j] = at < n && row < p.rows ? Key(order_key(in[row * n + at]) ^ flip) : all_bits<Key>(true);
      places[j] = static_cast<unsigned short>(at);
    }
    __syncthreads();
    for (int size = 2; size <= extent; size *= 2) {
      for (int step = size / 2; step > 0; step /= 2) {
        for (int k = threadIdx.x; k < Tile / 2; k += Threads) {
          const int i = 2 * k - (k & (step - 1)), j = i + step;
          const bool up = (i & size & (extent - 1)) == 0;  // the last round sorts every row upwards
          const Key a = keys[i], b = keys[j];
          const bool swapped = b < a || (!(a < b) && places[j] < places[i]);
          if (swapped == up) {
            keys[i] = b;
            keys[j] = a;
            const unsigned short place = places[i];
            places[i] = places[j];
            places[j] = place;
          }
        }
        __syncthreads();
      }
    }
    for (int j = threadIdx.x; j < Tile; j += Threads) {
      const int at = j & (extent - 1);
      const i64 row = tile * rows_here + j / extent;
      if (at < n && row < p.rows) {
        if (p.values) reinterpret_cast<T*>(p.values)[row * n + at] = in[row * n + places[j]];
        if (p.indices) reinterpret_cast<i64*>(p.indices)[row * n + at] = places[j];
      }
    }
    __syncthreads();
  }
}

}  // namespace sorting
}  // namespace ca
