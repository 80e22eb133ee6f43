// out[i] = Op(in0[i], in1[i], ...): every elementwise operation, cast, copy and fill. The two kernels here are for blocks of
// one thread; elementwise_packs.cuh and elementwise_tiles.cuh have those for others.
//
// An operand is a type that knows how to load itself from the launch record's word and an offset:
//   Array<Stored, Loop>   an array of Stored, read as Loop (NumPy's casting of an operand to the loop's dtype)
//   Scalar<Loop>          a value that travels in the record itself
//   Position              the item's own number (arange, linspace)
// A functor sees compute_t<Loop> (float for float16), or Loop itself if it takes_stored. The output is an Array too, or
// Both arrays of a functor with two results; store_item and store_at take what the functor returns.
#pragma once
#include "ops.cuh"

namespace ca {

// The head of every built-in kernel's parameter: first the outputs, then the inputs, each a pointer or the bits of a
// scalar. A complex128 scalar needs 16 bytes: the second half of word k is high[k - 1].
struct Head {
  u64 word[4];
  u64 high[3];
};

template <class Loop, bool AsStored> using argument_t = typename choose<AsStored, Loop, compute_t<Loop>>::type;

template <class Stored, class Loop> struct Array {
  template <bool AsStored = false>
  static __device__ argument_t<Loop, AsStored> load(const Head& head, int k, i64 offset) {
    const Stored value = *reinterpret_cast<const Stored*>(head.word[k] + offset);
    return convert<argument_t<Loop, AsStored>>(convert<Loop>(value));
  }
  template <int K = 0, class Value> static __device__ void store(const Head& head, i64 offset, Value value) {
    *reinterpret_cast<Stored*>(head.word[K] + offset) = convert<Stored>(convert<Loop>(value));
  }
  template <int K = 0, class Value>
  static __device__ void store(const Head& head, i64 offset, ops::Maybe<Value> value) {
    if (value.there) store<K>(head, offset, value.value);
  }
  static constexpr i64 item_bytes = sizeof(Stored);

  // As an output: item i of a contiguous array, or the item at the offsets of all operands, the outputs' first.
  static constexpr int outputs = 1;
  template <class Value> static __device__ void store_item(const Head& head, i64 i, Value value) {
    store(head, i * item_bytes, value);
  }
  template <class Offset, class Value>
  static __device__ void store_at(const Head& head, const Offset* offset, Value value) {
    store(head, offset[0], value);
  }
};

template <class First, class Second> struct Both {
  static constexpr int outputs = 2;
  template <class A, class B> static __device__ void store_item(const Head& head, i64 i, ops::Two<A, B> value) {
    First::template store<0>(head, i * First::item_bytes, value.first);
    Second::template store<1>(head, i * Second::item_bytes, value.second);
  }
  template <class Offset, class A, class B>
  static __device__ void store_at(const Head& head, const Offset* offset, ops::Two<A, B> value) {
    First::template store<0>(head, offset[0], value.first);
    Second::template store<1>(head, offset[1], value.second);
  }
};

template <class Loop> struct Scalar {
  template <bool AsStored = false> static __device__ argument_t<Loop, AsStored> load(const Head& head, int k, i64) {
    Loop value;
    if constexpr (sizeof(Loop) == 16) {
      const u64 words[2] = {head.word[k], head.high[k - 1]};
      memcpy(&value, words, 16);
    } else {
      memcpy(&value, &head.word[k], sizeof(Loop));
    }
    return convert<argument_t<Loop, AsStored>>(value);
  }
  static constexpr i64 item_bytes = 0;
};

struct Position {
  template <bool AsStored = false> static __device__ i64 load(const Head&, int, i64 offset) { return offset; }
  static constexpr i64 item_bytes = 1;  // so that its "offset" is the item's number
};

struct Contiguous {
  Head head;
  i64 size;
};

template <int NDim, int Operands> struct Strided {
  Head head;
  i64 size;
  i64 shape[NDim];
  i64 strides[Operands][NDim];  // in bytes; the outputs first
};

// 0, 1, ... N-1 as a parameter pack (std::index_sequence without the standard library).
template <int... K> struct indices {};
template <int N, int... K> struct make_indices : make_indices<N - 1, N - 1, K...> {};
template <int... K> struct make_indices<0, K...> { using type = indices<K...>; };

}  // namespace ca

#if !CA_ON_DEVICE
#include "host/elementwise.hpp"
#endif

namespace ca {

template <class Op, class Index, class Out, class... In, int... K>
__device__ inline void contiguous_body(const Contiguous& p, indices<K...>) {
  constexpr int outs = Out::outputs;
  constexpr bool as_stored = ops::takes_stored<Op>;
  for (Index i : work_items(Index(p.size)))
    Out::store_item(p.head, i64(i), Op{}(In::template load<as_stored>(p.head, K + outs, i64(i) * In::item_bytes)...));
}

// All arrays are C-contiguous and of one shape.
template <class Op, class Index, class Out, class... In> __global__ void elementwise_contiguous(Contiguous p) {
  await_previous();
#if CA_ON_DEVICE
  contiguous_body<Op, Index, Out, In...>(p, typename make_indices<sizeof...(In)>::type{});
#else
  runs::contiguous<Op, Out, In...>(p);
#endif
}

template <class Op, class Index, int NDim, class Out, class... In, int... K>
__device__ inline void strided_body(const Strided<NDim, Out::outputs + sizeof...(In)>& p, indices<K...>) {
  constexpr int outs = Out::outputs, operands = outs + sizeof...(In);
  constexpr bool as_stored = ops::takes_stored<Op>;
  for_each_offset<operands>(Index(p.size), p.shape, p.strides, [&](Index, const Index(&offset)[operands]) {
    Out::store_at(p.head, offset, Op{}(In::template load<as_stored>(p.head, K + outs, offset[K + outs])...));
  });
}

// Any strides, in bytes, 0 where an operand is broadcast.
template <class Op, class Index, int NDim, class Out, class... In>
__global__ void elementwise_strided(Strided<NDim, Out::outputs + sizeof...(In)> p) {
  await_previous();
#if CA_ON_DEVICE
  strided_body<Op, Index, NDim, Out, In...>(p, typename make_indices<sizeof...(In)>::type{});
#else
  runs::strided<Op, NDim, Out, In...>(p);
#endif
}

}  // namespace ca
