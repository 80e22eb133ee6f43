// out[k] = finish(combine over r of load(in[k, r])): every reduction is this one kernel, launched once or twice.
//
// The plan sorts the axes of the input into kept ones (k, with NKeep extents) and reduced ones (r, with NReduce). The
// items of one output may be cut into `splits` equal runs; then a first launch leaves one accumulator a run in scratch
// memory and a second one combines them. A work item (k, split) is done by Lanes threads: one thread, or a block.
// The order of combination depends on the plan alone, so a result has the same bits on every run.
#pragma once
#include "ops.cuh"

namespace ca {
namespace reductions {

// A reduction: Acc identity(), Acc load(In value, i64 r), Acc combine(Acc a, Acc b) with a before b, and
// finish<Out>(Acc, i64 count). Sums of float32 are kept in double and those of
// float16 in float, which costs no bandwidth.
template <class T> struct wide { using type = T; };
template <> struct wide<float16> { using type = float; };
template <> struct wide<float> { using type = double; };
template <> struct wide<complex<float>> { using type = complex<double>; };

template <class Loop> struct Sum {
  using Acc = typename wide<Loop>::type;
  static __device__ Acc identity() { return Acc(0); }
  static __device__ Acc load(Loop value, i64) { return convert<Acc>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return ops::Add{}(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc); }
};

template <class Loop> struct Mean : Sum<Loop> {
  using typename Sum<Loop>::Acc;
  template <class Out> static __device__ Out finish(Acc acc, i64 count) {
    using Real = real_t<Acc>;
    return convert<Out>(acc / Acc(Real(count)));
  }
};

template <class Loop> struct Prod {
  using Acc = typename wide<Loop>::type;
  static __device__ Acc identity() { return Acc(1); }
  static __device__ Acc load(Loop value, i64) { return convert<Acc>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return ops::Multiply{}(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc); }
};

// The best value so far and where it stood; index -1 means none yet, as before the first of a run.
template <class Value> struct Best {
  Value value;
  i64 index;
};

// Compare{}(a, b): a is strictly better than b. NaN is better than every number, the first of equals wins: as NumPy.
template <class Loop, class Compare> struct Arg {
  using Value = compute_t<Loop>;
  using Acc = Best<Value>;
  static __device__ Acc identity() { return {Value(0), -1}; }
  static __device__ Acc load(Loop value, i64 r) { return {convert<Value>(value), r}; }
  static __device__ Acc combine(Acc a, Acc b) {
    if (b.index < 0) return a;
    if (a.index < 0) return b;
    const bool a_nan = ops::IsNan{}(a.value), b_nan = ops::IsNan{}(b.value);
    if (a_nan || b_nan) return a_nan && (!b_nan || a.index < b.index) ? a : b;
    if (Compare{}(a.value, b.value)) return a;
    if (Compare{}(b.value, a.value)) return b;
    return a.index < b.index ? a : b;
  }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc.index); }
};
template <class Loop> struct ArgMin : Arg<Loop, ops::Less> {};
template <class Loop> struct ArgMax : Arg<Loop, ops::Greater> {};

template <class Loop, class Compare> struct Extremum : Arg<Loop, Compare> {
  using typename Arg<Loop, Compare>::Acc;
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc.value); }
};
template <class Loop> struct Min : Extremum<Loop, ops::Less> {};
template <class Loop> struct Max : Extremum<Loop, ops::Greater> {};

template <class Loop> struct Any {
  using Acc = bool;
  static __device__ Acc identity() { return false; }
  static __device__ Acc load(Loop value, i64) { return convert<bool>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return a || b; }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return acc; }
};
template <class Loop> struct All {
  using Acc = bool;
  static __device__ Acc identity() { return true; }
  static __device__ Acc load(Loop value, i64) { return convert<bool>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return a && b; }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return acc; }
};

template <class Loop> struct CountNonzero : Sum<i64> {
  static __device__ i64 load(Loop value, i64) { return convert<bool>(value) ? 1 : 0; }
};

}  // namespace reductions

template <int NKeep, int NReduce> struct Reduction {
  u64 out, in, scratch, unused[4];
  i64 kept, reduced, splits, run;  // run: items of a split, so splits * run >= reduced
  i64 count;                       // items of the whole reduction, for the mean
  i64 keep_shape[NKeep], keep_strides[NKeep];
  i64 reduce_shape[NReduce], reduce_strides[NReduce];
};

template <class Index, int N> __device__ inline i64 offset_of(Index i, const i64 (&shape)[N], const i64 (&strides)[N]) {
  i64 offset = 0;
#pragma unroll
  for (int d = N - 1; d > 0; --d) {
    const Index quotient = i / Index(shape[d]);
    offset += i64(i - quotient * Index(shape[d])) * strides[d];
    i = quotient;
  }
  return offset + i64(i) * strides[0];
}

// Combines items first, first + step, ... below last by a cascade: runs of 32 items in order, then runs of runs as the
// bits of a counter, so that rounding errors grow with the logarithm of the count (pairwise summation).
template <class Acc, class Combine, class Load>
__device__ inline Acc cascade(i64 first, i64 last, i64 step, Acc identity, Combine combine, Load load) {
  constexpr int levels = 24, run = 32;
  Acc level[levels];
  int filled = 0;
  i64 runs = 0;
  for (i64 i = first; i < last;) {
    Acc acc = load(i);
    i += step;
    for (int k = 1; k < run && i < last; ++k, i += step) acc = combine(acc, load(i));
    i64 carry = ++runs;
    for (; filled > 0 && !(carry & 1); carry >>= 1) acc = combine(level[--filled], acc);
    if (filled == levels) acc = combine(level[--filled], acc);
    level[filled++] = acc;
  }
  if (!filled) return identity;
  Acc acc = level[--filled];
  while (filled) acc = combine(level[--filled], acc);
  return acc;
}

// Stage 0: input to output. 1: input to scratch accumulators, one a split. 2: scratch to output.
template <class Op, class In, class Loop, class Out, class Index, int NKeep, int NReduce, int Lanes, int Stage>
__global__ void reduce(Reduction<NKeep, NReduce> p) {
  using Acc = typename Op::Acc;
  static_assert(Stage >= 0 && Stage <= 2, "a reduction has two stages, or one that does both");
  static_assert((Lanes & (Lanes - 1)) == 0, "the tree in shared memory halves the lanes");
  const i64 items = Stage == 2 ? p.kept : p.kept * p.splits;
  Acc* const scratch = reinterpret_cast<Acc*>(p.scratch);

  auto accumulate = [&](i64 item, i64 lane, i64 lanes) {
    if constexpr (Stage == 2) {
      auto load = [&](i64 r) { return scratch[item * p.splits + r]; };
      return cascade(lane, p.splits, lanes, Op::identity(), Op::combine, load);
    } else {
      const i64 k = item / p.splits, first = (item - k * p.splits) * p.run;
      const i64 last = first + p.run < p.reduced ? first + p.run : p.reduced;
      const u64 base = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides);
      auto load = [&](i64 r) {
        const i64 offset = offset_of(Index(r), p.reduce_shape, p.reduce_strides);
        return Op::load(convert<Loop>(*reinterpret_cast<const In*>(base + offset)), r);
      };
      return cascade(first + lane, last, lanes, Op::identity(), Op::combine, load);
    }
  };
  auto store = [&](i64 item, Acc acc) {
    if constexpr (Stage == 1) scratch[item] = acc;
    else reinterpret_cast<Out*>(p.out)[item] = Op::template finish<Out>(acc, p.count);
  };

  if constexpr (Lanes == 1) {
    for (i64 item : work_items(items)) store(item, accumulate(item, 0, 1));
  } else {
    __shared__ Acc tree[Lanes];
    for (i64 item = blockIdx.x; item < items; item += gridDim.x) {
      tree[threadIdx.x] = accumulate(item, threadIdx.x, Lanes);
      __syncthreads();
      for (int half = Lanes / 2; half > 0; half /= 2) {
        if (int(threadIdx.x) < half) tree[threadIdx.x] = Op::combine(tree[threadIdx.x], tree[threadIdx.x + half]);
        __syncthreads();
      }
      if (threadIdx.x == 0) store(item, tree[0]);
      __syncthreads();
    }
  }
}

}  // namespace ca
