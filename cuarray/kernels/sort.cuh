// Stable sorting of the rows of a C-contiguous matrix, by keys (order.cuh): the values, the indices, or both.
//
// Long rows: a radix sort from the lowest byte of the key to the highest. Each pass counts the digits of every block's
// chunk (radix_count), turns counts into places (radix_scan) and moves each element to its place (radix_scatter). A
// first look (radix_varying) finds the digits in which no two keys differ, whose passes do nothing; so where a pass
// reads is known on the device only, and radix_finish brings the result to where it belongs.
// Short rows: sort_rows, a thread a row after the other, for one-thread blocks; sort_tiles, a bitonic network in shared
// memory on (key, index), for others.
#pragma once
#include "order.cuh"

namespace ca {

struct Sorting {
  u64 values, in, scratch, indices, unused[3];  // values, indices: 0 where they are not asked for
  i64 rows, n;
  i64 blocks, chunk;                      // a row is cut into `blocks` chunks
  i64 descending, pass, passes;
  i64 value_buffers[2], index_buffers[2];  // as byte offsets in scratch; -1: the output `values`
  i64 counts, totals, partial, mask;       // likewise; mask is -1 where no digit was looked at
  i64 partials;
};

namespace sorting {
using namespace cuda_functions;

// Which passes move elements, and where from and to: the elements are in `in`, then in buffers 0, 1, 0 ...
template <class Key> struct Passes {
  Key varying;
  __device__ explicit Passes(const Sorting& p) {
    varying = p.mask < 0 ? all_bits<Key>(true) : *reinterpret_cast<const Key*>(p.scratch + p.mask);
  }
  __device__ bool moves(int pass) const { return key_digit(varying, pass) != 0; }
  __device__ int before(int pass) const {
    int count = 0;
    for (int k = 0; k < pass; ++k) count += moves(k);
    return count;
  }
};
template <class T> __device__ inline T* value_buffer(const Sorting& p, int moved) {
  const i64 offset = p.value_buffers[moved & 1];
  return reinterpret_cast<T*>(offset < 0 ? p.values : p.scratch + offset);
}
template <class Index> __device__ inline Index* index_buffer(const Sorting& p, int moved) {
  return reinterpret_cast<Index*>(p.scratch + p.index_buffers[moved & 1]);
}
// What the elements are read from once `moved` passes have moved them.
template <class T> __device__ inline const T* source_of(const Sorting& p, int moved) {
  return moved ? value_buffer<T>(p, moved - 1) : reinterpret_cast<const T*>(p.in);
}

// ---- long rows --------------------------------------------------------------------------------------------------
// Stage 0: the bits in which some key of a block's chunk differs from the first key of all. 1: of all blocks.
template <class T, int Threads, int Stage> __global__ void radix_varying(Sorting p) {
  using Key = key_t<T>;
  Key* const partial = reinterpret_cast<Key*>(p.scratch + p.partial);
  Key bits = all_bits<Key>(false);
  if constexpr (Stage == 0) {
    const T* const in = reinterpret_cast<const T*>(p.in);
    const Key first = order_key(in[0]);
    const i64 size = p.rows * p.n, chunk = (size + gridDim.x - 1) / gridDim.x, begin = blockIdx.x * chunk;
    const i64 end = begin + chunk < size ? begin + chunk : size;
    for (i64 i = begin + threadIdx.x; i < end; i += Threads) bits = Key(bits | (order_key(in[i]) ^ first));
  } else {
    for (i64 i = threadIdx.x; i < p.partials; i += Threads) bits = Key(bits | partial[i]);
  }
  if constexpr (Threads > 1) {
    __shared__ Key tree[Threads];
    tree[threadIdx.x] = bits;
    for (int half = Threads / 2; half > 0; half /= 2) {
      __syncthreads();
      if (int(threadIdx.x) < half) tree[threadIdx.x] = Key(tree[threadIdx.x] | tree[threadIdx.x + half]);
    }
    bits = tree[0];
  }
  if (threadIdx.x == 0) {
    if constexpr (Stage == 0) partial[blockIdx.x] = bits;
    else *reinterpret_cast<Key*>(p.scratch + p.mask) = bits;
  }
}

// counts[row][digit][block]: elements of the block's chunk with this digit.
template <class T, class Index, int Threads> __global__ void radix_count(Sorting p) {
  using Key = key_t<T>;
  const Passes<Key> passes(p);
  const int pass = int(p.pass);
  if (!passes.moves(pass)) return;
  const T* const in = source_of<T>(p, passes.before(pass));
  Index* const counts = reinterpret_cast<Index*>(p.scratch + p.counts);
  const Key flip = all_bits<Key>(p.descending);
  const i64 row = blockIdx.x / p.blocks, block = blockIdx.x - row * p.blocks;
  const i64 begin = row * p.n + block * p.chunk;
  const i64 end = begin + p.chunk < (row + 1) * p.n ? begin + p.chunk : (row + 1) * p.n;
  if constexpr (Threads == 1) {
    unsigned int digits[2][radix_size] = {};  // two, or equal neighbours wait for each other's count
    i64 i = begin;
    for (; i + 1 < end; i += 2) {
      ++digits[0][key_digit(Key(order_key(in[i]) ^ flip), pass)];
      ++digits[1][key_digit(Key(order_key(in[i + 1]) ^ flip), pass)];
    }
    if (i < end) ++digits[0][key_digit(Key(order_key(in[i]) ^ flip), pass)];
    for (int d = 0; d < radix_size; ++d)
      counts[(row * radix_size + d) * p.blocks + block] = Index(digits[0][d]) + digits[1][d];
  } else {
    __shared__ unsigned int digits[radix_size];
    for (int d = threadIdx.x; d < radix_size; d += Threads) digits[d] = 0;
    __syncthreads();
    for (i64 i = begin + threadIdx.x; i < end; i += Threads)
      atomicAdd(&digits[key_digit(Key(order_key(in[i]) ^ flip), pass)], 1u);
    __syncthreads();
    for (int d = threadIdx.x; d < radix_size; d += Threads)
      counts[(row * radix_size + d) * p.blocks + block] = digits[d];
  }
}

// Over the blocks of a row and digit: counts become counts before the block, totals[row][digit] the sum.
template <class Key, class Index, int Threads> __global__ void radix_scan(Sorting p) {
  if (!Passes<Key>(p).moves(int(p.pass))) return;
  Index* const totals = reinterpret_cast<Index*>(p.scratch + p.totals);
  const i64 lists = p.rows * radix_size;
  if constexpr (Threads == 1) {
    for (i64 list : work_items(lists)) {
      Index* const counts = reinterpret_cast<Index*>(p.scratch + p.counts) + list * p.blocks;
      Index before = 0;
      for (i64 b = 0; b < p.blocks; ++b) {
        const Index own = counts[b];
        counts[b] = before;
        before += own;
      }
      totals[list] = before;
    }
  } else {  // a warp a list
    const int lane = threadIdx.x % 32;
    for (i64 list = (i64(blockIdx.x) * Threads + threadIdx.x) / 32; list < lists; list += i64(gridDim.x) * Threads / 32) {
      Index* const counts = reinterpret_cast<Index*>(p.scratch + p.counts) + list * p.blocks;
      Index before = 0;
      for (i64 first = 0; first < p.blocks; first += 32) {
        const Index own = first + lane < p.blocks ? counts[first + lane] : Index(0);
        Index upto = own;
        for (int step = 1; step < 32; step *= 2) {
          const Index other = __shfl_up_sync(0xffffffffu, upto, step);
          if (lane >= step) upto += other;
        }
        if (first + lane < p.blocks) counts[first + lane] = before + upto - own;
        before += __shfl_sync(0xffffffffu, upto, 31);
      }
      if (lane == 0) totals[list] = before;
    }
  }
}

// Each element to its place: after those of smaller digits, of earlier blocks, and of earlier places in the block.
template <class T, class Index, bool Indices, int Threads, int Items> __global__ void radix_scatter(Sorting p) {
  using Key = key_t<T>;
  const Passes<Key> passes(p);
  const int pass = int(p.pass);
  if (!passes.moves(pass)) return;
  const int moved = passes.before(pass);
  const Key flip = all_bits<Key>(p.descending);
  const i64 row = blockIdx.x / p.blocks, block = blockIdx.x - row * p.blocks;
  const i64 begin = block * p.chunk, end = begin + p.chunk < p.n ? begin + p.chunk : p.n;  // within the row
  const T* const in = source_of<T>(p, moved) + row * p.n;
  T* const out = value_buffer<T>(p, moved) + row * p.n;
  const Index* from = nullptr;
  Index* to = nullptr;
  if constexpr (Indices) {
    if (moved) from = index_buffer<Index>(p, moved - 1) + row * p.n;
    to = index_buffer<Index>(p, moved) + row * p.n;
  }
  const Index* const counts = reinterpret_cast<const Index*>(p.scratch + p.counts) + row * radix_size * p.blocks + block;
  const Index* const totals = reinterpret_cast<const Index*>(p.scratch + p.totals) + row * radix_size;

  if constexpr (Threads == 1) {
    Index place[radix_size], smaller = 0;
    for (int d = 0; d < radix_size; ++d) {
      place[d] = smaller + counts[d * p.blocks];
      smaller += totals[d];
    }
    for (i64 i = begin; i < end; ++i) {
      const T value = in[i];
      const Index at = place[key_digit(Key(order_key(value) ^ flip), pass)]++;
      out[at] = value;
      if constexpr (Indices) to[at] = from ? from[i] : Index(i);
    }
  } else {
    static_assert(Threads == radix_size, "a thread a digit");
    constexpr int warps = Threads / 32, tile = Threads * Items;
    constexpr int item_bytes = Indices && sizeof(Index) > sizeof(T) ? int(sizeof(Index)) : int(sizeof(T));
    __shared__ unsigned int warp_digits[warps][radix_size];
    __shared__ unsigned int first_of[radix_size];  // the tile's first element with a digit, when sorted by it
    __shared__ Index place[radix_size];            // of that element in the row
    __shared__ u64 staged[(tile * item_bytes + 7) / 8];
    T* const staged_values = reinterpret_cast<T*>(staged);
    const int t = threadIdx.x, lane = t % 32, warp = t / 32;
    Index all;
    const Index smaller = blocks::exclusive_sum<Threads>(Index(totals[t]), all);
    place[t] = smaller + counts[t * p.blocks];

    for (i64 start = begin; start < end; start += tile) {
      const int here = end - start < tile ? int(end - start) : tile;
      T values[Items];
      unsigned int digits[Items], ranks[Items];
      for (int d = lane; d < radix_size; d += 32) warp_digits[warp][d] = 0;
      __syncwarp();
      // A warp takes 32 neighbours at a time; equal digits among them are numbered by lane.
#pragma unroll
      for (int k = 0; k < Items; ++k) {
        const int j = (warp * Items + k) * 32 + lane;
        digits[k] = radix_size;
        if (j < here) {
          values[k] = in[start + j];
          digits[k] = key_digit(Key(order_key(values[k]) ^ flip), pass);
        }
        const unsigned int peers = __match_any_sync(0xffffffffu, digits[k]);
        const int leader = __ffs(int(peers)) - 1;
        unsigned int before = 0;
        if (lane == leader && j < here) {
          before = warp_digits[warp][digits[k]];
          warp_digits[warp][digits[k]] = before + __popc(peers);
        }
        before = __shfl_sync(0xffffffffu, before, leader);
        ranks[k] = before + __popc(peers & ((1u << lane) - 1u));
        __syncwarp();
      }
      __syncthreads();
      unsigned int own = 0, sum;
      for (int w = 0; w < warps; ++w) {
        const unsigned int count = warp_digits[w][t];
        warp_digits[w][t] = own;
        own += count;
      }
      const unsigned int first = blocks::exclusive_sum<Threads>(own, sum);
      first_of[t] = first;
      __syncthreads();
#pragma unroll
      for (int k = 0; k < Items; ++k) {
        if (digits[k] < radix_size) {
          ranks[k] += first_of[digits[k]] + warp_digits[warp][digits[k]];
          staged_values[ranks[k]] = values[k];
        }
      }
      __syncthreads();
      // From the sorted tile, neighbours go to neighbouring places.
      Index target[Items];
#pragma unroll
      for (int k = 0; k < Items; ++k) {
        const int j = k * Threads + t;
        if (j < here) {
          const T value = staged_values[j];
          const unsigned int d = key_digit(Key(order_key(value) ^ flip), pass);
          target[k] = place[d] + Index(unsigned(j) - first_of[d]);
          out[target[k]] = value;
        }
      }
      __syncthreads();
      if constexpr (Indices) {
        Index* const staged_indices = reinterpret_cast<Index*>(staged);
#pragma unroll
        for (int k = 0; k < Items; ++k) {
          const int j = (warp * Items + k) * 32 + lane;
          if (j < here) staged_indices[ranks[k]] = from ? from[start + j] : Index(start + j);
        }
        __syncthreads();
#pragma unroll
        for (int k = 0; k < Items; ++k) {
          const int j = k * Threads + t;
          if (j < here) to[target[k]] = staged_indices[j];
        }
      }
      place[t] += own;
      __syncthreads();
    }
  }
}

// The result to where it is wanted, if it is not there; indices as int64.
template <class T, class Index, bool Indices> __global__ void radix_finish(Sorting p) {
  const int moved = Passes<key_t<T>>(p).before(int(p.passes));
  const i64 size = p.rows * p.n;
  T* const values = reinterpret_cast<T*>(p.values);
  const T* const source = source_of<T>(p, moved);
  if (values && values != source)
    for (i64 i : work_items(size)) values[i] = source[i];
  if constexpr (Indices) {
    i64* const indices = reinterpret_cast<i64*>(p.indices);
    const Index* const from = moved ? index_buffer<Index>(p, moved - 1) : nullptr;
    for (i64 i : work_items(size)) indices[i] = from ? i64(from[i]) : i % p.n;
  }
}

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
  for (i64 i = 0; i < n; ++i) {
    const Key key = item_key(items[i], flip);
    for (int pass = 0; pass < passes; ++pass) ++counts[pass][key_digit(key, pass)];
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
    for (i64 i = 0; i < n; ++i) other[place[key_digit(item_key(items[i], flip), pass)]++] = items[i];
    I* const swap = items;
    items = other;
    other = swap;
  }
  return items;
}

// Whole rows; value_buffers[0] is where each block has two buffers of n items.
template <class T, bool Indices> __global__ void sort_rows(Sorting p) {
  using Key = key_t<T>;
  using I = Item<T, Indices>;
  const Key flip = all_bits<Key>(p.descending);
  I* const buffer = reinterpret_cast<I*>(p.scratch + p.value_buffers[0]) + i64(blockIdx.x) * 2 * p.n;
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
// A tile holds as many rows, each padded to `chunk` elements, a power of two, as it has place for. The padding has
// indices beyond the row, and is last for that: equal keys are ordered by their indices.
template <class T, int Tile, int Threads> __global__ void sort_tiles(Sorting p) {
  using Key = key_t<T>;
  __shared__ Key keys[Tile];
  __shared__ unsigned short places[Tile];
  const Key flip = all_bits<Key>(p.descending);
  const int extent = int(p.chunk), n = int(p.n), rows_here = Tile / extent;
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
