// out[indices...] = values, and out[indices...] = Op(out[indices...], values) with each of several equal indices counted.
//
// The work is index tuples b (count) times the elements r that each names (inner). The plan has the strides of the
// values and of the index arrays along the axes of b, and of the output and the values along those of r. A tuple's slot
// is its place among all tuples that there can be, so that equal tuples have equal slots.
//
// An Update says what is stored: next(old, address of the value). Where tuples may be equal, the result is that of doing
// them in order. A CPU's block has a range of the slots and does those in order (scatter_ordered). On the GPU an
// assignment lets the tuples of a slot vote for the last (index_slots, vote, scatter_slots), and anything else is done
// slot by slot after a stable sort by slots (index_slots, sort.cuh, scatter_sorted), or with atomic operations of
// integers, whose order does not matter.
#pragma once
#include "gather.cuh"

namespace ca {
namespace indexing {

template <class Out, class Value> struct Assign {
  using Stored = Out;
  static __device__ Out next(Out, u64 value) { return convert<Out>(*reinterpret_cast<const Value*>(value)); }
};

// LoopOut Op(Loop1, Loop2), each the loop's dtype as NumPy has it.
template <class Op, class Out, class Value, class Loop1, class Loop2, class LoopOut> struct Binary {
  using Stored = Out;
  static __device__ Out next(Out old, u64 value) {
    const auto a = convert<compute_t<Loop1>>(convert<Loop1>(old));
    const auto b = convert<compute_t<Loop2>>(convert<Loop2>(*reinterpret_cast<const Value*>(value)));
    return convert<Out>(convert<LoopOut>(Op{}(a, b)));
  }
};
template <class Op, class Out, class Loop, class LoopOut> struct Unary {
  using Stored = Out;
  static __device__ Out next(Out old, u64) {
    return convert<Out>(convert<LoopOut>(Op{}(convert<compute_t<Loop>>(convert<Loop>(old)))));
  }
};

// CUDA's atomic functions know 64-bit integers as long long only.
template <class T> struct atomic_type { using type = T; };
template <> struct atomic_type<long> { using type = long long; };
template <> struct atomic_type<unsigned long> { using type = unsigned long long; };

// For integers of 4 and 8 bytes, where the loop is in the output's own dtype.
template <class Op, class Out, class Value> struct Atomic {
  using Stored = Out;
  static __device__ void update(Out* out, u64 value) {
    const Out own = convert<Out>(*reinterpret_cast<const Value*>(value));
    using Bits = typename atomic_type<make_unsigned_t<Out>>::type;
    using Ordered = typename atomic_type<Out>::type;
    if constexpr (is_same_v<Op, ops::Add>) atomicAdd(reinterpret_cast<Bits*>(out), Bits(own));
    else if constexpr (is_same_v<Op, ops::Subtract>) atomicAdd(reinterpret_cast<Bits*>(out), Bits(Bits(0) - Bits(own)));
    else if constexpr (is_same_v<Op, ops::BitwiseAnd>) atomicAnd(reinterpret_cast<Bits*>(out), Bits(own));
    else if constexpr (is_same_v<Op, ops::BitwiseOr>) atomicOr(reinterpret_cast<Bits*>(out), Bits(own));
    else if constexpr (is_same_v<Op, ops::BitwiseXor>) atomicXor(reinterpret_cast<Bits*>(out), Bits(own));
    else if constexpr (is_same_v<Op, ops::Maximum>) atomicMax(reinterpret_cast<Ordered*>(out), Ordered(own));
    else atomicMin(reinterpret_cast<Ordered*>(out), Ordered(own));
  }
};
template <class U> inline constexpr bool is_atomic = false;
template <class Op, class Out, class Value> inline constexpr bool is_atomic<Atomic<Op, Out, Value>> = true;

template <class U> __device__ inline void update(u64 out, u64 value) {
  auto* const place = reinterpret_cast<typename U::Stored*>(out);
  if constexpr (is_atomic<U>) U::update(place, value);
  else *place = U::next(*place, value);
}

template <int K, int NB, int NR> struct Scatter {
  u64 out, values, flag, index[4];
  i64 count, inner, step, slots;  // slots: how many there can be
  i64 extent[K], stride[K];
  i64 b_shape[NB], b_values[NB], b_index[pointers<K>][NB];
  i64 r_shape[NR], r_out[NR], r_values[NR];
};

// The offset of item i of this shape.
template <int N> __device__ inline i64 offset_in(i64 i, const i64 (&shape)[N], const i64 (&strides)[N]) {
  if constexpr (N == 1) {
    return i * strides[0];
  } else {
    i64 offset = 0;
#pragma unroll
    for (int d = N - 1; d > 0; --d) {
      const i64 quotient = i / shape[d];
      offset += (i - quotient * shape[d]) * strides[d];
      i = quotient;
    }
    return offset + i * strides[0];
  }
}

struct Tuple {
  i64 offset, slot;
  bool write;
};

template <class Idx, int Mode, int K, int NB, int NR>
__device__ inline Tuple read_tuple(const Scatter<K, NB, NR>& p, i64 b) {
  constexpr int count = pointers<K>;
  i64 offsets[count];
#pragma unroll
  for (int k = 0; k < count; ++k) offsets[k] = offset_in(b, p.b_shape, p.b_index[k]);
  Tuple tuple = {0, 0, true};
  const bool good = read_indices<Idx, K, Mode>(p, offsets, b, p.count, [&](int k, i64 at) {
    tuple.offset += at * p.stride[k];
    tuple.slot = tuple.slot * p.extent[k] + at;
  });
  tuple.write = good || !p.flag;
  return tuple;
}

template <int K, int NB, int NR> __device__ inline i64 value_offset(const Scatter<K, NB, NR>& p, i64 b) {
  return offset_in(b, p.b_shape, p.b_values);
}

// The offset of a slot's first element in the output.
template <int K, int NB, int NR> __device__ inline i64 slot_offset(const Scatter<K, NB, NR>& p, i64 slot) {
  i64 offset = 0;
#pragma unroll
  for (int k = K - 1; k >= 0; --k) {
    const i64 quotient = k ? slot / p.extent[k] : 0;
    offset += (slot - quotient * p.extent[k]) * p.stride[k];
    slot = quotient;
  }
  return offset;
}

// Calls f(output offset, value offset) for the element r of a tuple.
template <int K, int NB, int NR, class F> __device__ inline void element(const Scatter<K, NB, NR>& p, i64 r, F f) {
  f(offset_in(r, p.r_shape, p.r_out), offset_in(r, p.r_shape, p.r_values));
}

template <class U, int K, int NB, int NR>
__device__ inline void update_row(const Scatter<K, NB, NR>& p, i64 offset, i64 b) {
  const i64 value = value_offset(p, b);
  if (p.inner == 1) return update<U>(p.out + offset, p.values + value);
  for (i64 r = 0; r < p.inner; ++r)
    element(p, r, [&](i64 to, i64 from) { update<U>(p.out + offset + to, p.values + value + from); });
}

// This thread's part of 0 .. n-1: a contiguous chunk where a block is one thread, else a grid-stride loop.
template <int Lanes> __device__ inline WorkItems<i64> items_of_thread(i64 n) {
  if constexpr (Lanes == 1) return work_items(n);
  else return {i64(blockIdx.x) * Lanes + i64(threadIdx.x), n, i64(gridDim.x) * Lanes};
}

template <int Lanes, class F> __device__ inline void for_each_item(i64 n, F f) {
  const auto items = items_of_thread<Lanes>(n);
  for (i64 i = items.first; i < items.last; i += items.step) f(i);
}

// No two tuples are equal, or which of them is last does not matter.
template <class U, class Idx, int K, int NB, int NR, int Mode, int Lanes> __global__ void scatter(Scatter<K, NB, NR> p) {
  await_previous();
  if constexpr (Lanes == 1) {
    for_each_item<1>(p.count, [&](i64 b) {
      const Tuple tuple = read_tuple<Idx, Mode>(p, b);
      if (tuple.write) update_row<U>(p, tuple.offset, b);
    });
  } else {
    for_each_item<Lanes>(p.count * p.inner, [&](i64 item) {
      const i64 b = item / p.inner, r = item - b * p.inner;
      const Tuple tuple = read_tuple<Idx, Mode>(p, b);
      if (!tuple.write) return;
      const u64 out = p.out + tuple.offset, values = p.values + value_offset(p, b);
      element(p, r, [&](i64 to, i64 from) { update<U>(out + to, values + from); });
    });
  }
}

// One thread a block: each looks at all tuples and does those of its own range of slots.
template <class U, class Idx, int K, int NB, int NR, int Mode> __global__ void scatter_ordered(Scatter<K, NB, NR> p) {
  await_previous();
  const i64 run = (p.slots + gridDim.x - 1) / gridDim.x, first = blockIdx.x * run;
  for (i64 b = 0; b < p.count; ++b) {
    const Tuple tuple = read_tuple<Idx, Mode>(p, b);
    if (tuple.write && tuple.slot - first >= 0 && tuple.slot - first < run) update_row<U>(p, tuple.offset, b);
  }
}

// out[b] = the slot of tuple b, or -1 of one that is not to be written; `values`, if given, has an int for each slot,
// and gets a 0 for those that are met.
template <class Idx, int K, int NB, int NR, int Mode, int Lanes> __global__ void index_slots(Scatter<K, NB, NR> p) {
  await_previous();
  for_each_item<Lanes>(p.count, [&](i64 b) {
    const Tuple tuple = read_tuple<Idx, Mode>(p, b);
    reinterpret_cast<i64*>(p.out)[b] = tuple.write ? tuple.slot : -1;
    if (p.values && tuple.write) reinterpret_cast<int*>(p.values)[tuple.slot] = 0;
  });
}

struct Vote {
  u64 last, slots, unused[5];
  i64 count;
};

template <int Lanes> __global__ void vote(Vote p) {
  await_previous();
  for_each_item<Lanes>(p.count, [&](i64 b) {
    const i64 slot = reinterpret_cast<const i64*>(p.slots)[b];
    if (slot >= 0) atomicMax(reinterpret_cast<int*>(p.last) + slot, int(b));
  });
}

// index[0]: slots; index[1]: the last tuple of each slot.
template <class U, int K, int NB, int NR, int Lanes> __global__ void scatter_slots(Scatter<K, NB, NR> p) {
  await_previous();
  for_each_item<Lanes>(p.count * p.inner, [&](i64 item) {
    const i64 b = item / p.inner, r = item - b * p.inner;
    const i64 slot = reinterpret_cast<const i64*>(p.index[0])[b];
    if (slot < 0 || reinterpret_cast<const int*>(p.index[1])[slot] != int(b)) return;
    const u64 out = p.out + slot_offset(p, slot), values = p.values + value_offset(p, b);
    element(p, r, [&](i64 to, i64 from) { update<U>(out + to, values + from); });
  });
}

// index[0]: slots in order; index[1]: their tuples. A thread does the whole of a slot's element, in order.
template <class U, int K, int NB, int NR, int Lanes> __global__ void scatter_sorted(Scatter<K, NB, NR> p) {
  await_previous();
  const i64* const slots = reinterpret_cast<const i64*>(p.index[0]);
  const i64* const tuples = reinterpret_cast<const i64*>(p.index[1]);
  for_each_item<Lanes>(p.count * p.inner, [&](i64 item) {
    const i64 first = item / p.inner, r = item - first * p.inner, slot = slots[first];
    if (slot < 0 || (first > 0 && slots[first - 1] == slot)) return;
    element(p, r, [&](i64 to, i64 from) {
      auto* const place = reinterpret_cast<typename U::Stored*>(p.out + slot_offset(p, slot) + to);
      auto value = *place;
      for (i64 i = first; i < p.count && slots[i] == slot; ++i)
        value = U::next(value, p.values + value_offset(p, tuples[i]) + from);
      *place = value;
    });
  });
}

}  // namespace indexing
}  // namespace ca
