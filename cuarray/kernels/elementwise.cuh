// out[i] = Op(in0[i], in1[i], ...): every elementwise operation, cast, copy and fill is one of these two kernels.
//
// An operand is a type that knows how to load itself from the launch record's word and an offset:
//   Array<Stored, Loop>   an array of Stored, read as Loop (NumPy's casting of an operand to the loop's dtype)
//   Scalar<Loop>          a value that travels in the record itself
//   Position              the item's own number (arange, linspace)
// A functor sees compute_t<Loop> (float for float16); its result is stored through Array<Stored, Loop>::store.
#pragma once
#include "ops.cuh"

namespace ca {

// The head of every built-in kernel's parameter: word[0] is the output, then the inputs, each a pointer or the bits
// of a scalar. A complex128 scalar needs 16 bytes: the second half of input k is high[k - 1].
struct Head {
  u64 word[4];
  u64 high[3];
};

template <class Stored, class Loop> struct Array {
  static __device__ compute_t<Loop> load(const Head& head, int k, i64 offset) {
    const Stored value = *reinterpret_cast<const Stored*>(head.word[k] + offset);
    return convert<compute_t<Loop>>(convert<Loop>(value));
  }
  template <class Value> static __device__ void store(const Head& head, i64 offset, Value value) {
    *reinterpret_cast<Stored*>(head.word[0] + offset) = convert<Stored>(convert<Loop>(value));
  }
  static constexpr i64 item_bytes = sizeof(Stored);
};

template <class Loop> struct Scalar {
  static __device__ compute_t<Loop> load(const Head& head, int k, i64) {
    Loop value;
    if constexpr (sizeof(Loop) == 16) {
      const u64 words[2] = {head.word[k], head.high[k - 1]};
      memcpy(&value, words, 16);
    } else {
      memcpy(&value, &head.word[k], sizeof(Loop));
    }
    return convert<compute_t<Loop>>(value);
  }
  static constexpr i64 item_bytes = 0;
};

struct Position {
  static __device__ i64 load(const Head&, int, i64 offset) { return offset; }
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
  i64 strides[Operands][NDim];  // in bytes; the output first
};

// 0, 1, ... N-1 as a parameter pack (std::index_sequence without the standard library).
template <int... K> struct indices {};
template <int N, int... K> struct make_indices : make_indices<N - 1, N - 1, K...> {};
template <int... K> struct make_indices<0, K...> { using type = indices<K...>; };

template <class Op, class Index, class Out, class... In, int... K>
__device__ inline void contiguous_body(const Contiguous& p, indices<K...>) {
  for (Index i : work_items(Index(p.size)))
    Out::store(p.head, i64(i) * Out::item_bytes, Op{}(In::load(p.head, K + 1, i64(i) * In::item_bytes)...));
}

// All arrays are C-contiguous and of one shape.
template <class Op, class Index, class Out, class... In> __global__ void elementwise_contiguous(Contiguous p) {
  contiguous_body<Op, Index, Out, In...>(p, typename make_indices<sizeof...(In)>::type{});
}

template <class Op, class Index, int NDim, class Out, class... In, int... K>
__device__ inline void strided_body(const Strided<NDim, 1 + sizeof...(In)>& p, indices<K...>) {
  constexpr int operands = 1 + sizeof...(In);
  using Offset = typename choose<CA_ON_DEVICE, Index, i64>::type;
  for_each_offset<operands>(Index(p.size), p.shape, p.strides, [&](Offset, const Offset(&offset)[operands]) {
    Out::store(p.head, offset[0], Op{}(In::load(p.head, K + 1, offset[K + 1])...));
  });
}

// Any strides, in bytes, 0 where an operand is broadcast.
template <class Op, class Index, int NDim, class Out, class... In>
__global__ void elementwise_strided(Strided<NDim, 1 + sizeof...(In)> p) {
  strided_body<Op, Index, NDim, Out, In...>(p, typename make_indices<sizeof...(In)>::type{});
}

}  // namespace ca
