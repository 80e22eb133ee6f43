// The positions of the true elements, or the elements of another array there, in order: stream compaction.
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

template <class Mask> __device__ inline bool selected(u64 mask, i64 i) {
  return convert<bool>(reinterpret_cast<const Mask*>(mask)[i]);
}

template <class Mask, int Lanes> __global__ void compact_count(Compaction p) {
  const i64 first = i64(blockIdx.x) * p.run, end = first + p.run, last = end < p.size ? end : p.size;
  i64 count = 0;
  if constexpr (Lanes == 1) {
    for (i64 i = first; i < last; ++i) count += selected<Mask>(p.mask, i);
  } else {
    __shared__ i64 tree[Lanes];
    for (i64 i = first + threadIdx.x; i < last; i += Lanes) count += selected<Mask>(p.mask, i);
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
      int count = 0;
      for (i64 i = start; i < end_of_tile; ++i) {
        kept[count] = value(i);
        count += selected<Mask>(p.mask, i);
      }
      for (int k = 0; k < count; ++k) out[at + k] = kept[k];
      at += count;
    }
  } else {
    constexpr int warps = Lanes / 32;
    __shared__ int counts[warps];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    for (i64 tile = first; tile < last; tile += Lanes) {
      const i64 i = tile + threadIdx.x;
      const bool own = i < last && selected<Mask>(p.mask, i);
      const unsigned votes = __ballot_sync(0xffffffffu, own);
      if (lane == 0) counts[warp] = __popc(votes);
      __syncthreads();
      int before = 0, all = 0;
      for (int w = 0; w < warps; ++w) {
        if (w < warp) before += counts[w];
        all += counts[w];
      }
      if (own) out[at + before + __popc(votes & ((1u << lane) - 1u))] = value(i);
      at += all;
      __syncthreads();
    }
  }
}

}  // namespace indexing
}  // namespace ca
