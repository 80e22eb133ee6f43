// out[i] = source[indices...]: reading by index arrays, and what reading and writing by them have in common.
//
// An index array k is read at its own strides along the axes that it was broadcast to. What it holds is multiplied by
// stride[k], the step of the indexed axis. Up to four index arrays have a pointer each; more stand one after another in
// one block of memory, `step` bytes apart.
//
// An index that is out of range is never followed. If there is a flag word, the lowest place of a bad one is left there;
// without one, the nearest index in range is taken.
#pragma once
#include "ops.cuh"

namespace ca {
namespace indexing {

using namespace cuda_functions;

// What becomes of an index that is out of range; Strict is Raise without counting from the end.
constexpr int Raise = 0, Wrap = 1, Clip = 2, Strict = 3;

template <int K> inline constexpr int pointers = K <= 4 ? K : 1;

template <int Mode> __device__ inline i64 in_range(i64 at, i64 extent, u64 flag, i64 place, bool& good) {
  if constexpr (Mode == Clip) {
    return at < 0 ? 0 : at < extent ? at : extent - 1;
  } else if constexpr (Mode == Wrap) {
    if (u64(at) < u64(extent)) return at;
    const i64 rest = at % extent;
    return rest < 0 ? rest + extent : rest;
  } else {
    const i64 own = at < 0 && Mode == Raise ? at + extent : at;
    if (u64(own) < u64(extent)) return own;
    good = false;
    if (flag) atomicMin(reinterpret_cast<unsigned long long*>(flag), static_cast<unsigned long long>(place));
    return at < 0 ? 0 : extent - 1;
  }
}

// Calls f(k, index) for each of the K index arrays, read at `offset` and brought into range.
// `place` is this read's own; those of array k + 1 all come after those of array k, `places` further.
template <class Idx, int K, int Mode, class P, class Offset, class F>
__device__ inline bool read_indices(const P& p, const Offset* offset, i64 place, i64 places, F f) {
  bool good = true;
#pragma unroll
  for (int k = 0; k < K; ++k) {
    u64 address;
    if constexpr (K <= 4) address = p.index[k] + offset[k];
    else address = p.index[0] + k * p.step + offset[0];
    const i64 at = i64(*reinterpret_cast<const Idx*>(address));
    f(k, in_range<Mode>(at, p.extent[k], p.flag, place + k * places, good));
  }
  return good;
}

template <int K, int Rank> struct Gather {
  u64 out, source, flag, index[4];
  i64 size;   // of the result, in rows
  i64 inner;  // elements of a row: they follow each other in the source, too
  i64 step;
  i64 extent[K], stride[K];
  i64 shape[Rank], strides[1 + pointers<K>][Rank];  // the source first
};

template <class Item, class Idx, class Index, int K, int Rank, int Mode, bool Rows> __global__ void gather(Gather<K, Rank> p) {
  await_previous();
  using Offset = typename choose<CA_ON_DEVICE, Index, i64>::type;
  constexpr int operands = 1 + pointers<K>;
  const i64 places = p.size * p.inner;
  for_each_offset<operands>(Index(p.size), p.shape, p.strides, [&](Offset i, const Offset(&offset)[operands]) {
    u64 from = p.source + offset[0];
    read_indices<Idx, K, Mode>(p, offset + 1, i64(i) * p.inner, places, [&](int k, i64 at) { from += at * p.stride[k]; });
    const Item* const source = reinterpret_cast<const Item*>(from);
    Item* const out = reinterpret_cast<Item*>(p.out) + i64(i) * p.inner;
    if constexpr (Rows)
      for (i64 j = 0; j < p.inner; ++j) out[j] = source[j];
    else *out = *source;
  });
}

template <int Rank> struct Unravel {
  u64 out, positions, flag, unused[4];
  i64 size, total;  // positions, and elements of the array that they are positions in
  i64 shape[Rank];
};

// out[d, i] = coordinate d of positions[i], both contiguous.
template <class Idx, int Rank> __global__ void unravel(Unravel<Rank> p) {
  await_previous();
  i64* const out = reinterpret_cast<i64*>(p.out);
  for (i64 i : work_items(p.size)) {
    bool good = true;
    i64 rest = in_range<Strict>(i64(reinterpret_cast<const Idx*>(p.positions)[i]), p.total, p.flag, i, good);
    for (int d = Rank - 1; d > 0; --d) {
      const i64 quotient = rest / p.shape[d];
      out[d * p.size + i] = rest - quotient * p.shape[d];
      rest = quotient;
    }
    out[i] = rest;
  }
}

}  // namespace indexing
}  // namespace ca
