// Elementwise kernels for blocks of many threads, which read and write several items at once.
//
//   elementwise_packs   all arrays are contiguous and of one shape
//   elementwise_rows    any strides; where the last axis is contiguous in the output, and in each input contiguous or
//                       repeated, it is cut into packs; otherwise a pack is one item
//
// A thread reads How::packs packs of each input, a block's width apart, before it writes the first result: bytes in flight
// are what device memory wants. Addresses that are no multiples of a pack's bytes (views) are known at the launch only:
// then, and at the end of an array, items are read one by one.
#pragma once
#include "division.cuh"
#include "packs.cuh"

namespace ca {

template <class Op, class How, class Out, class... In> struct Elementwise {
  static constexpr int width = How::width, packs = How::packs, outputs = Out::outputs;
  static constexpr int operands = outputs + sizeof...(In);
  using Own = Inputs<Op, outputs, width, typename make_indices<sizeof...(In)>::type, In...>;
  using Result = Results<Out, width, is_masked<Op>>;

  static __device__ bool aligned(const Head& head) {
    bool all = Own::aligned(head);
#pragma unroll
    for (int k = 0; k < outputs; ++k) all = all && head.word[k] % Result::pack_bytes == 0;
    return all;
  }

  // By one copy of the functor's code; drops the items of `in`.
  static __device__ CA_ALWAYS_INLINE Result rolled(Own& in, int count) {
    Result result;
#pragma unroll 1
    for (int j = 0; j < width; ++j) {
      if (j < count) result.append(in.result(0));
      else result.append_nothing();
      in.drop();
    }
    return result;
  }

  static __device__ CA_ALWAYS_INLINE Result all_of(Own& in) {
    if constexpr (How::rolled && width > 1) {
      return rolled(in, width);
    } else {
      Result result;
#pragma unroll
      for (int j = 0; j < width; ++j) result.put(j, in.result(j));
      return result;
    }
  }

  // Reads all packs, then computes and writes those for which valid(u): their first items are at offset[u].
  template <class Valid>
  static __device__ CA_ALWAYS_INLINE void packs_at(const Head& head, i64 (&offset)[packs][operands], Valid valid) {
    Own in[packs];
#pragma unroll
    for (int u = 0; u < packs; ++u) in[u].template load<How::loads>(head, offset[u]);
    if constexpr (How::rolled && width * packs > 1) {
#pragma unroll 1
      for (int u = 0; u < packs; ++u) {
        const Result result = rolled(in[0], width);
        if (valid(u)) result.template store<How::stores>(head, offset[0]);
#pragma unroll
        for (int next = 1; next < packs; ++next) {
          in[next - 1] = in[next];
#pragma unroll
          for (int k = 0; k < outputs; ++k) offset[next - 1][k] = offset[next][k];
        }
      }
    } else {
#pragma unroll
      for (int u = 0; u < packs; ++u) {
        const Result result = all_of(in[u]);
        if (valid(u)) result.template store<How::stores>(head, offset[u]);
      }
    }
  }
};

// The bytes from an item of a contiguous operand to the next.
template <class Out> struct OutputBytes {
  static __device__ void offsets(i64 item, i64* offset) { offset[0] = item * Out::item_bytes; }
};
template <class First, class Second> struct OutputBytes<Both<First, Second>> {
  static __device__ void offsets(i64 item, i64* offset) {
    offset[0] = item * First::item_bytes;
    offset[1] = item * Second::item_bytes;
  }
};
template <class Out, class... In> __device__ CA_ALWAYS_INLINE void contiguous_offsets(i64 item, i64* offset) {
  OutputBytes<Out>::offsets(item, offset);
  int k = Out::outputs;
  ((offset[k++] = item * In::item_bytes), ...);
}

// Of contiguous arrays: what a block does at once.
template <class Op, class How, class Out, class... In> struct PacksTile {
  using Body = Elementwise<Op, How, Out, In...>;
  static constexpr int items = How::threads * How::width * How::packs;

  // From item `first` on, of `size`.
  static __device__ CA_ALWAYS_INLINE void run(const Head& head, bool aligned, i64 first, i64 size) {
    const int here = size - first < items ? int(size - first) : items;
    if (How::width * How::packs > 1 && aligned && here == items) {
      i64 offset[How::packs][Body::operands];
#pragma unroll
      for (int u = 0; u < How::packs; ++u)
        contiguous_offsets<Out, In...>(first + (u * How::threads + int(threadIdx.x)) * How::width, offset[u]);
      Body::packs_at(head, offset, [](int) { return true; });
    } else {
      // Neighbouring threads have neighbouring items.
      constexpr int each = How::width * How::packs < 8 ? How::width * How::packs : 8;
      using Items = Elementwise<Op, typename How::template of_items<each>, Out, In...>;
#pragma unroll 1
      for (int begin = int(threadIdx.x); begin < here; begin += How::threads * each) {
        i64 offset[each][Body::operands];
#pragma unroll
        for (int u = 0; u < each; ++u) {
          const int at = begin + u * How::threads;
          contiguous_offsets<Out, In...>(first + (at < here ? at : here - 1), offset[u]);  // the last one, not written
        }
        Items::packs_at(head, offset, [=](int u) { return begin + u * How::threads < here; });
      }
    }
  }
};

template <class Op, class How, class Out, class... In>
__global__ void __launch_bounds__(How::threads) elementwise_packs(Contiguous p) {
  await_previous();
  using Tile = PacksTile<Op, How, Out, In...>;
  const bool aligned = How::width == 1 || Tile::Body::aligned(p.head);
  for (i64 first = i64(blockIdx.x) * Tile::items; first < p.size; first += i64(gridDim.x) * Tile::items)
    Tile::run(p.head, aligned, first, p.size);
}

template <class Index, int NDim, int Operands> struct PackedRows {
  Head head;
  i64 packs;
  Divisor<Index> axis[NDim];    // the last one in packs
  i64 strides[Operands][NDim];  // in bytes, of the last axis from pack to pack; the outputs first
};

// Of arrays in rows.
template <class Op, class How, class Out, class... In> struct RowsTile {
  using Body = Elementwise<Op, How, Out, In...>;
  static constexpr int size = How::threads * How::packs;  // in packs

  // From pack `first` on, of `packs`.
  template <class Index, int NDim>
  static __device__ CA_ALWAYS_INLINE void run(const Head& head, bool aligned, Index first, Index packs,
                                              const Divisor<Index> (&axis)[NDim],
                                              const i64 (&strides)[Body::operands][NDim]) {
    const Index own = first + threadIdx.x;
    if (How::width == 1 || aligned) {
      i64 offset[How::packs][Body::operands];
#pragma unroll
      for (int u = 0; u < How::packs; ++u) {
        const Index n = own + u * How::threads;
        offsets_of(n < packs ? n : packs - 1, axis, strides, offset[u]);  // beyond the end the last one, not written
      }
      Body::packs_at(head, offset, [=](int u) { return own + u * How::threads < packs; });
    } else if constexpr (How::width > 1) {
#pragma unroll 1
      for (Index n = own; n < packs && n < first + size; n += How::threads) {
        i64 offset[Body::operands];
        offsets_of(n, axis, strides, offset);
        typename Body::Own in;
        in.load_items(head, offset, How::width);
        Body::rolled(in, How::width).store_items(head, offset, How::width);
      }
    }
  }
};

template <class Op, class How, class Index, int NDim, class Out, class... In>
__global__ void __launch_bounds__(How::threads) elementwise_rows(PackedRows<Index, NDim, Out::outputs + sizeof...(In)> p) {
  await_previous();
  using Tile = RowsTile<Op, How, Out, In...>;
  const Index packs = Index(p.packs);
  const bool aligned = How::width == 1 || Tile::Body::aligned(p.head);
  for (Index first = Index(blockIdx.x) * Tile::size; first < packs; first += Index(gridDim.x) * Tile::size)
    Tile::run(p.head, aligned, first, packs, p.axis, p.strides);
}

}  // namespace ca
