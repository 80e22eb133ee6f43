// What all kernels of out = epilogue(a @ b) share: their parameter, a stack of matrices with any strides, and what is
// done with a sum before it is written. matmul_simple.cuh has the simplest kernels, which take everything.
#pragma once
#include "matmul_epilogues.cuh"
#include "scratch.cuh"

namespace ca {

// Products and sums of T: integers wrap, bool is or-of-ands, float16 is accumulated in float.
template <class T> struct accumulator { using type = compute_t<T>; };
template <class T> using accumulator_t = typename accumulator<T>::type;

template <int NBatch> struct Matmul {
  u64 out, a, b, c, scratch, unused[2];  // word 0 is the output, as in every built-in kernel
  i64 batches, m, n, k;
  i64 a_row, a_col, b_row, b_col, c_row, c_col;  // strides in bytes; out is C-contiguous
  u64 alpha[2], beta[2];  // the bits of two accumulators
  i64 batch_shape[NBatch], a_batch[NBatch], b_batch[NBatch], c_batch[NBatch];
};

struct BatchOffsets {
  i64 a, b, c;  // bytes
};

template <int NBatch> __device__ inline BatchOffsets batch_offsets(const Matmul<NBatch>& p, i64 batch) {
  BatchOffsets at = {0, 0, 0};
  for (int d = NBatch - 1; d >= 0; --d) {
    const i64 index = d ? batch % p.batch_shape[d] : batch;
    batch /= p.batch_shape[d];
    at.a += index * p.a_batch[d];
    at.b += index * p.b_batch[d];
    at.c += index * p.c_batch[d];
  }
  return at;
}

template <class T> __device__ inline T& element(u64 base, i64 offset) { return *reinterpret_cast<T*>(base + offset); }

// What becomes of the sum of element (row, col), in the accumulator's type, before it is rounded to the output's.
namespace epilogues {

struct None {
  template <class Out, class Acc, int NBatch>
  static __device__ Acc apply(const Matmul<NBatch>&, Acc sum, const BatchOffsets&, i64, i64) {
    return sum;
  }
};

// Op(alpha * sum + beta * c), with c of the output's type.
template <class Op, bool Added> struct Affine {
  template <class Out, class Acc, int NBatch>
  static __device__ Acc apply(const Matmul<NBatch>& p, Acc sum, const BatchOffsets& at, i64 row, i64 col) {
    Acc value = ops::Multiply{}(*reinterpret_cast<const Acc*>(p.alpha), sum);
    if constexpr (Added) {
      const Acc c = convert<Acc>(element<Out>(p.c, at.c + row * p.c_row + col * p.c_col));
      value = ops::Add{}(value, ops::Multiply{}(*reinterpret_cast<const Acc*>(p.beta), c));
    }
    return Op{}(value);
  }
};

}  // namespace epilogues

}  // namespace ca
