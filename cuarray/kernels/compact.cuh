// The positions of the true elements, or the elements of another array there, in order: stream compaction. Instead of
// a mask there may be sorted elements, of which the first of each run of equal ones is selected.
//
// A block has a contiguous run of the items. compact_count counts the true ones of each run, exclusive_scan turns the
// counts into the place of each run's first one (and the total), compact_write writes. The result depends on nothing
// but the input.
#pragma once
#include "ops.cuh"

namespace ca {
namespace indexing {

using namespace cuda_functions;

struct Compaction {
  u64 out, mask, counts, source, unused[3];
  i64 size, run;  // items, and items of a block
};

// In place of a mask's type: the mask has sorted elements. OneNan: all NaNs are equal, else none to any other.
template <class T, bool OneNan> struct FirstOfEquals;

// What is selected: any item, and more simply one that is not the first.
template <class Mask> struct Selection {
  static __device__ bool later(u64 mask, i64 i) { return convert<bool>(reinterpret_cast<const Mask*>(mask)[i]); }
  static __device__ bool any(u64 mask, i64 i) { return later(mask, i); }
};
template <class T, bool OneNan> struct Selection<FirstOfEquals<T, OneNan>> {
  static __device__ bool differ(T own, T before) {
    if constexpr (is_same_v<T, float16> || is_same_v<T, bfloat16>) {
      constexpr int infinity = is_same_v<T, float16> ? 0x7c00 : 0x7f80;
      const int a = own.bits & 0x7fff, b = before.bits & 0x7fff;
      const bool nan = a > infinity, both = nan & (b > infinity);
      return !(((own.bits == before.bits) & !nan) | ((a | b) == 0) | (OneNan & both));
    } else {
      return !((own == before) | (OneNan & (own != own) & (before != before)));
    }
  }
  static __device__ bool later(u64 mask, i64 i) {
    const T* const items = reinterpret_cast<const T*>(mask);
    return differ(items[i], items[i - 1]);
  }
  static __device__ bool any(u64 mask, i64 i) { return i == 0 || later(mask, i); }
};

template <class Mask, int Lanes> __global__ void compact_count(Compaction p) {
  await_previous();
  const i64 first = i64(blockIdx.x) * p.run, end = first + p.run, last = end < p.size ? end : p.size;
  i64 count = 0;
  if constexpr (Lanes == 1) {
    if (first < last) count += Selection<Mask>::any(p.mask, first);
    for (i64 i = first + 1; i < last; ++i) count += Selection<Mask>::later(p.mask, i);
  } else {
    __shared__ i64 tree[Lanes];
#pragma unroll 8
    for (i64 i = first + threadIdx.x; i < last; i += Lanes) count += Selection<Mask>::any(p.mask, i);
    tree[threadIdx.x] = count;
    __syncthreads();
    for (int half = Lanes / 2; half > 0; half /= 2) {
      if (int(threadIdx.x) < half) tree[threadIdx.x] += tree[threadIdx.x + half];
      __syncthreads();
    }
    count = tree[0];
  }
  if (threadIdx.x == 0) reinterpret_cast<i64*>(p.counts)[blockIdx.x] = count;
}

struct Scan {
  u64 counts, unused[6];
  i64 size;
};

// counts[i] = sum of counts[0 .. i-1], for i up to and including `size`; one block.
template <int Lanes> __global__ void exclusive_scan(Scan p) {
  await_previous();
  i64* const counts = reinterpret_cast<i64*>(p.counts);
  if constexpr (Lanes == 1) {
    i64 sum = 0;
    for (i64 i = 0; i < p.size; ++i) {
      const i64 own = counts[i];
      counts[i] = sum;
      sum += own;
    }
    counts[p.size] = sum;
  } else {
    __shared__ i64 sums[2][Lanes];
    const i64 run = (p.size + Lanes - 1) / Lanes, start = threadIdx.x * run;
    const i64 first = start < p.size ? start : p.size, last = first + run < p.size ? first + run : p.size;
    i64 own = 0;
    for (i64 i = first; i < last; ++i) own += counts[i];
    int from = 0;
    sums[0][threadIdx.x] = own;
    __syncthreads();
    for (int distance = 1; distance < Lanes; distance *= 2, from ^= 1) {
      const bool has = int(threadIdx.x) >= distance;
      sums[from ^ 1][threadIdx.x] = sums[from][threadIdx.x] + (has ? sums[from][threadIdx.x - distance] : 0);
      __syncthreads();
    }
    i64 sum = sums[from][threadIdx.x] - own;
    for (i64 i = first; i < last; ++i) {
      const i64 here = counts[i];
      counts[i] = sum;
      sum += here;
    }
    if (threadIdx.x == Lanes - 1) counts[p.size] = sum;
  }
}

// Item: that of `source`, or void for the positions themselves.
template <class Mask, class Item, int Lanes> __global__ void compact_write(Compaction p) {
  await_previous();
  const i64 first = i64(blockIdx.x) * p.run, end = first + p.run, last = end < p.size ? end : p.size;
  i64 at = reinterpret_cast<const i64*>(p.counts)[blockIdx.x];
  constexpr bool positions = is_same_v<Item, void>;
  using Value = typename choose<positions, i64, Item>::type;
  Value* const out = reinterpret_cast<Value*>(p.out);
  auto value = [&](i64 i) {
    if constexpr (positions) return i;
    else return reinterpret_cast<const Item*>(p.source)[i];
  };
  if constexpr (Lanes == 1) {
    // Without a branch, which would be mispredicted: every item of a tile is written, and the next one over those that
    // are not selected.
    constexpr int tile = sizeof(Value) < 8192 ? 8192 / sizeof(Value) : 1;  // of large structs a few
    Value kept[tile];
    for (i64 start = first; start < last; start += tile) {
      const i64 end_of_tile = start + tile < last ? start + tile : last;
      kept[0] = value(start);
      int count = Selection<Mask>::any(p.mask, start);
      for (i64 i = start + 1; i < end_of_tile; ++i) {
        kept[count] = value(i);
        count += Selection<Mask>::later(p.mask, i);
      }
      for (int k = 0; k < count; ++k) out[at + k] = kept[k];
      at += count;
    }
  } else {
    constexpr int warps = Lanes / 32, each = 8;  // items that a thread looks at at once
    __shared__ int counts[warps];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (i64 tile = first; tile < last; tile += Lanes * each) {
      const i64 start = tile + warp * 32 * each + lane;
      unsigned votes[each];
      int count = 0;
#pragma unroll
      for (int k = 0; k < each; ++k) {
        const i64 i = start + k * 32;
        votes[k] = Selection<Mask>::any(p.mask, i < last ? i : last - 1) & (i < last);
      }
#pragma unroll
      for (int k = 0; k < each; ++k) {
        votes[k] = __ballot_sync(0xffffffffu, int(votes[k]));
        count += __popc(votes[k]);
      }
      if (lane == 0) counts[warp] = count;
      __syncthreads();
      i64 to = at;
      for (int w = 0; w < warps; ++w) {
        if (w < warp) to += counts[w];
        at += counts[w];
      }
#pragma unroll
      for (int k = 0; k < each; ++k) {
        if (votes[k] >> lane & 1) out[to + __popc(votes[k] & ((1u << lane) - 1u))] = value(start + k * 32);
        to += __popc(votes[k]);
      }
      __syncthreads();
    }
  }
}

}  // namespace indexing
}  // namespace ca
