// out[k] = finish(combine over r of load(in[k, r])): every reduction is one of these kernels, launched once or twice.
//
// The plan sorts the axes of the input into kept ones (k, with NKeep extents) and reduced ones (r, with NReduce). The
// items of one output may be cut into `splits` equal runs; then a first launch leaves one accumulator a run in scratch
// memory and a second one combines them. A work item (k, split) is done by Lanes threads: one thread, or a block.
// The order of combination depends on the plan alone, so a result has the same bits on every run.
// A mask (`where=`) is a second operand, with strides of its own; items where it is false are the identity.
#pragma once
#include "ops.cuh"

namespace ca {
namespace reductions {

// A reduction: Acc identity(), Acc load(Loop value, i64 r), Acc combine(Acc a, Acc b) and finish<Out>(Acc, i64 count).
// `in_order`: items are combined one after the other; otherwise in any order, so combine has to be associative and
// commutative up to rounding.
// `centred`: load has a third argument, a Centre that an earlier reduction found for the output, and finish one that is
// subtracted from the count.
struct Basic {
  static constexpr bool in_order = false, centred = false;
  struct Centre {};
};

// Sums of float32 are kept in double and those of float16 in float, which costs no bandwidth.
template <class T> struct wide { using type = T; };
template <> struct wide<float16> { using type = float; };
template <> struct wide<bfloat16> { using type = float; };
template <> struct wide<float> { using type = double; };
template <> struct wide<complex<float>> { using type = complex<double>; };
template <class T> using wide_t = typename wide<T>::type;

template <class Loop> __device__ inline bool missing(Loop value) { return ops::IsNan{}(convert<compute_t<Loop>>(value)); }

template <class Loop> struct Sum : Basic {
  using Acc = wide_t<Loop>;
  static __device__ Acc identity() { return Acc(0); }
  static __device__ Acc load(Loop value, i64) { return convert<Acc>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return ops::Add{}(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc); }
};
template <class Loop> struct NanSum : Sum<Loop> {
  using typename Sum<Loop>::Acc;
  static __device__ Acc load(Loop value, i64) { return missing(value) ? Acc(0) : convert<Acc>(value); }
};

template <class Loop> struct Prod : Basic {
  using Acc = wide_t<Loop>;
  static __device__ Acc identity() { return Acc(1); }
  static __device__ Acc load(Loop value, i64) { return convert<Acc>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return ops::Multiply{}(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc); }
};
template <class Loop> struct NanProd : Prod<Loop> {
  using typename Prod<Loop>::Acc;
  static __device__ Acc load(Loop value, i64) { return missing(value) ? Acc(1) : convert<Acc>(value); }
};

// A sum divided by a number of items. Integers (`dtype` may ask for them) divide in float64, as NumPy's do: nothing by
// nothing is NaN then, where an integer division by zero would end the process.
template <class Out, class Sum, class Count> __device__ inline Out quotient(Sum sum, Count count) {
  if constexpr (is_integer<Sum> || is_bool<Sum>) return convert<Out>(double(sum) / double(count));
  else return convert<Out>(sum / Sum(real_t<Sum>(count)));
}

template <class Loop> struct Mean : Sum<Loop> {
  using typename Sum<Loop>::Acc;
  template <class Out> static __device__ Out finish(Acc acc, i64 count) { return quotient<Out>(acc, count); }
};

// A sum, and of how many: where a mask or a NaN leaves items out.
template <class Sum> struct Counted {
  Sum sum;
  i64 count;
};
template <class Sum> __device__ inline Counted<Sum> combine_counted(Counted<Sum> a, Counted<Sum> b) {
  return {ops::Add{}(a.sum, b.sum), a.count + b.count};
}

template <class Loop, bool SkipNan> struct CountedMean : Basic {
  using Value = wide_t<Loop>;
  using Acc = Counted<Value>;
  static __device__ Acc identity() { return {Value(0), 0}; }
  static __device__ Acc load(Loop value, i64) {
    return SkipNan && missing(value) ? identity() : Acc{convert<Value>(value), 1};
  }
  static __device__ Acc combine(Acc a, Acc b) { return combine_counted(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return quotient<Out>(acc.sum, acc.count); }
};
template <class Loop> struct MeanWhere : CountedMean<Loop, false> {};
template <class Loop> struct NanMean : CountedMean<Loop, true> {};

// The mean square of the distances from a centre, the mean as a rule; Root: its square root.
template <class Loop, bool SkipNan, bool Root> struct Spread : Basic {
  static constexpr bool centred = true;
  using Centre = wide_t<Loop>;
  using Real = real_t<Centre>;
  using Acc = Counted<Real>;
  static __device__ Acc identity() { return {Real(0), 0}; }
  static __device__ Acc load(Loop value, i64, Centre centre) {
    if (SkipNan && missing(value)) return identity();
    const Centre distance = convert<Centre>(value) - centre;
    if constexpr (is_complex<Centre>) return {distance.re * distance.re + distance.im * distance.im, 1};
    else return {distance * distance, 1};
  }
  static __device__ Acc combine(Acc a, Acc b) { return combine_counted(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64, double less) {
    const double freedom = double(acc.count) - less;
    Real result = acc.sum / Real(freedom > 0 ? freedom : 0);
    if (SkipNan && !(freedom > 0)) result = limits<Real>::nan();
    return convert<Out>(Root ? Real(sqrt(result)) : result);
  }
};
template <class Loop> struct Var : Spread<Loop, false, false> {};
template <class Loop> struct Std : Spread<Loop, false, true> {};
template <class Loop> struct NanVar : Spread<Loop, true, false> {};
template <class Loop> struct NanStd : Spread<Loop, true, true> {};

// The best value so far and where it stood; index -1 means none yet, as before the first of a run.
template <class Value> struct Best {
  Value value;
  i64 index;
};

// Compare{}(a, b): a is strictly better than b. NaN is better than every number, the first of equals wins: as NumPy.
template <class Loop, class Compare> struct Arg : Basic {
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

// NaN is no candidate; -1 where there is nothing else.
template <class Loop, class Compare> struct NanArg : Arg<Loop, Compare> {
  using typename Arg<Loop, Compare>::Acc;
  static __device__ Acc load(Loop value, i64 r) {
    return missing(value) ? Arg<Loop, Compare>::identity() : Arg<Loop, Compare>::load(value, r);
  }
};
template <class Loop> struct NanArgMin : NanArg<Loop, ops::Less> {};
template <class Loop> struct NanArgMax : NanArg<Loop, ops::Greater> {};

// Any elementwise functor of two operands, which need not have an identity: there may be no value yet.
template <class Value> struct Maybe {
  Value value;
  bool some;
};
template <class Loop, class Functor, bool InOrder> struct Fold : Basic {
  static constexpr bool in_order = InOrder;
  using Value = compute_t<Loop>;
  using Acc = Maybe<Value>;
  static __device__ Acc identity() { return {Value(0), false}; }
  static __device__ Acc load(Loop value, i64) { return {convert<Value>(value), true}; }
  static __device__ Acc combine(Acc a, Acc b) {
    if (!a.some) return b;
    if (!b.some) return a;
    return {convert<Value>(Functor{}(a.value, b.value)), true};
  }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc.value); }
};

// Minimum and maximum: of real numbers with the worst one as identity, which needs no flag.
template <class Loop, class Functor, bool Greatest> struct RealExtremum : Basic {
  using Value = compute_t<Loop>;
  using Acc = Value;
  static __device__ Acc identity() { return Greatest ? limits<Value>::lowest() : limits<Value>::highest(); }
  static __device__ Acc load(Loop value, i64) { return convert<Value>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return Functor{}(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc); }
};
template <class Loop, class Functor, bool Greatest> struct extremum {
  using type = RealExtremum<Loop, Functor, Greatest>;
};
template <class T, class Functor, bool Greatest> struct extremum<complex<T>, Functor, Greatest> {
  using type = Fold<complex<T>, Functor, false>;
};
template <class Loop> struct Min : extremum<Loop, ops::Minimum, false>::type {};
template <class Loop> struct Max : extremum<Loop, ops::Maximum, true>::type {};

template <class Loop> struct Any : Basic {
  using Acc = bool;
  static __device__ Acc identity() { return false; }
  static __device__ Acc load(Loop value, i64) { return convert<bool>(value); }
  static __device__ Acc combine(Acc a, Acc b) { return a || b; }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return acc; }
};
template <class Loop> struct All : Basic {
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

// Operands: the input, and the mask if there is one.
template <int NKeep, int NReduce, int Operands> struct Reduction {
  u64 out, in, scratch, mask;
  u64 given[2];  // the bits of an initial value of the loop's type; if centred, of what is subtracted from the count
  u64 centres;   // one an output, if centred
  i64 kept, reduced, splits, run;  // run: items of a split, so splits * run >= reduced
  i64 count;                       // items of the whole reduction, for the mean
  i64 has_initial;
  i64 keep_shape[NKeep], keep_strides[Operands][NKeep];
  i64 reduce_shape[NReduce], reduce_strides[Operands][NReduce];
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

// Combines items first, first + step, ... below last: runs of 128 items in 8 accumulators, which do not wait for each
// other, then runs of runs as the bits of a counter, so that rounding errors grow with the logarithm of the count
// (pairwise summation).
template <class Acc, class Combine, class Load>
__device__ inline Acc cascade(i64 first, i64 last, i64 step, Acc identity, Combine combine, Load load) {
  constexpr int levels = 24, ways = 8, rounds = 16;
  Acc level[levels];
  int filled = 0;
  i64 runs = 0;
  for (i64 i = first; i < last;) {
    const i64 left = (last - i + step - 1) / step;
    Acc acc = identity;
    if (left >= ways) {
      Acc way[ways];
#pragma unroll
      for (int j = 0; j < ways; ++j) way[j] = identity;
      for (int k = int(left / ways < rounds ? left / ways : rounds); k > 0; --k, i += ways * step) {
#pragma unroll
        for (int j = 0; j < ways; ++j) way[j] = combine(way[j], load(i + j * step));
      }
#pragma unroll
      for (int half = ways / 2; half > 0; half /= 2) {
#pragma unroll
        for (int j = 0; j < half; ++j) way[j] = combine(way[j], way[j + half]);
      }
      acc = way[0];
    } else {
      for (; i < last; i += step) acc = combine(acc, load(i));
    }
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

// In order, from `acc` on: what a functor that is not associative needs.
template <class Acc, class Combine, class Load>
__device__ inline Acc fold(i64 first, i64 last, Acc acc, Combine combine, Load load) {
  for (i64 i = first; i < last; ++i) acc = combine(acc, load(i));
  return acc;
}

template <class Op, class Loop, class P> __device__ inline typename Op::Acc start_of(const P& p) {
  if constexpr (!Op::centred) {
    if (p.has_initial) {
      Loop value;
      memcpy(&value, p.given, sizeof(Loop));
      return Op::load(value, 0);
    }
  }
  return Op::identity();
}

template <class Op, class Out, class P> __device__ inline Out finished(const P& p, typename Op::Acc acc) {
  if constexpr (Op::centred) return Op::template finish<Out>(acc, p.count, bit_cast<double>(p.given[0]));
  else return Op::template finish<Out>(acc, p.count);
}

template <class Op, class P> __device__ inline typename Op::Centre centre_of(const P& p, i64 k) {
  if constexpr (Op::centred) return reinterpret_cast<const typename Op::Centre*>(p.centres)[k];
  else return {};
}

template <class Op, class In, class Loop>
__device__ inline typename Op::Acc loaded(const In* at, i64 r, typename Op::Centre centre) {
  const Loop value = convert<Loop>(*at);
  if constexpr (Op::centred) return Op::load(value, r, centre);
  else return Op::load(value, r);
}

// Output k's items first, first + step, ... below last, combined. Packed: they follow each other in memory, which is
// told apart so that the host's compiler vectorises.
template <class Op, class In, class Loop, class Index, bool Packed, int NKeep, int NReduce, int Operands>
__device__ inline typename Op::Acc total_of(
    const Reduction<NKeep, NReduce, Operands>& p, i64 k, i64 first, i64 last, i64 step, typename Op::Acc start) {
  const u64 base = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
  const auto centre = centre_of<Op>(p, k);
  u64 mask = 0;
  if constexpr (Operands == 2) mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
  auto load = [&](i64 r) {
    if constexpr (Operands == 2) {
      const i64 offset = offset_of(Index(r), p.reduce_shape, p.reduce_strides[1]);
      if (!*reinterpret_cast<const bool*>(mask + offset)) return Op::identity();
    }
    if constexpr (Packed) {
      return loaded<Op, In, Loop>(reinterpret_cast<const In*>(base) + r, r, centre);
    } else {
      const i64 offset = offset_of(Index(r), p.reduce_shape, p.reduce_strides[0]);
      return loaded<Op, In, Loop>(reinterpret_cast<const In*>(base + offset), r, centre);
    }
  };
  if constexpr (Op::in_order) {
    return fold(first, last, start, Op::combine, load);
  } else {
    return cascade(first, last, step, Op::identity(), Op::combine, load);
  }
}

// Stage 0: input to output. 1: input to scratch accumulators, one a split. 2: scratch to output.
// A block works on Across outputs whose items stand side by side in memory, so that neighbouring threads read
// neighbours; 1 where an output's own items do.
template <class Op, class In, class Loop, class Out, class Index, bool Packed, int NKeep, int NReduce, int Operands,
          int Lanes, int Across, int Stage>
__global__ void reduce(Reduction<NKeep, NReduce, Operands> p) {
  using Acc = typename Op::Acc;
  static_assert(Stage >= 0 && Stage <= 2, "a reduction has two stages, or one that does both");
  static_assert((Lanes & (Lanes - 1)) == 0, "the tree in shared memory halves the lanes");
  static_assert(!Op::in_order || (Lanes == 1 && Stage == 0), "one thread goes through the items in order");
  static_assert(Across == 1 || (Across < Lanes && Stage < 2), "accumulators in scratch memory are by output");
  Acc* const scratch = reinterpret_cast<Acc*>(p.scratch);
  const Acc start = start_of<Op, Loop>(p);

  auto total = [&](i64 k, i64 split, i64 lane, i64 lanes) {
    if constexpr (Stage == 2) {
      auto load = [&](i64 r) { return scratch[k * p.splits + r]; };
      return cascade(lane, p.splits, lanes, Op::identity(), Op::combine, load);
    } else {
      const i64 first = split * p.run, last = first + p.run < p.reduced ? first + p.run : p.reduced;
      return total_of<Op, In, Loop, Index, Packed>(p, k, first + lane, last, lanes, start);
    }
  };
  auto store = [&](i64 k, i64 split, Acc acc) {
    if constexpr (Stage == 1) {
      scratch[k * p.splits + split] = acc;
    } else {
      if (!Op::in_order && p.has_initial) acc = Op::combine(start, acc);
      reinterpret_cast<Out*>(p.out)[k] = finished<Op, Out>(p, acc);
    }
  };

  const i64 splits = Stage == 2 ? 1 : p.splits;
  if constexpr (Lanes == 1) {
    for (i64 item : work_items(p.kept * splits)) {
      const i64 k = item / splits, split = item - k * splits;
      store(k, split, total(k, split, 0, 1));
    }
  } else {
    __shared__ Acc tree[Lanes];
    constexpr int down = Lanes / Across;
    const int thread = threadIdx.x;
    const i64 row = Across > 1 ? p.keep_shape[NKeep - 1] : 1, strips = (row + Across - 1) / Across;
    for (i64 item = blockIdx.x; item < p.kept / row * strips * splits; item += gridDim.x) {
      const i64 strip = item / splits, split = item - strip * splits;
      const i64 column = strip % strips * Across + thread % Across, k = strip / strips * row + column;
      const bool inside = column < row;
      tree[thread] = inside ? total(k, split, thread / Across, down) : Op::identity();
      __syncthreads();
      for (int half = Lanes / 2; half >= Across; half /= 2) {
        if (thread < half) tree[thread] = Op::combine(tree[thread], tree[thread + half]);
        __syncthreads();
      }
      if (thread < Across && inside) store(k, split, tree[thread]);
      __syncthreads();
    }
  }
}

// The same for targets with one thread a block, where the neighbours in memory belong to different outputs: a thread
// walks through the rows with Strip accumulators, and its compiler vectorises along them where the outputs' items are
// Packed: side by side without gaps. Stages 0 and 1 only.
template <class Op, class In, class Loop, class Out, class Index, bool Packed, int NKeep, int NReduce, int Operands,
          int Strip, int Stage>
__global__ void reduce_rows(Reduction<NKeep, NReduce, Operands> p) {
  using Acc = typename Op::Acc;
  static_assert(Stage == 0 || Stage == 1, "the last stage combines scratch accumulators, as that of reduce");
  constexpr int levels = 24, rows = 32;
  const i64 across = p.keep_shape[NKeep - 1], strips = (across + Strip - 1) / Strip;
  const i64 step = p.keep_strides[0][NKeep - 1];
  Acc* const scratch = reinterpret_cast<Acc*>(p.scratch);
  const Acc start = start_of<Op, Loop>(p);

  for (i64 item : work_items(p.kept / across * strips * p.splits)) {
    const i64 split = item % p.splits, strip = item / p.splits;
    const i64 k = strip / strips * across + strip % strips * Strip;
    const i64 left = across - strip % strips * Strip, width = left < Strip ? left : Strip;
    const i64 first = split * p.run, last = first + p.run < p.reduced ? first + p.run : p.reduced;
    const u64 base = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
    u64 mask = 0;
    i64 mask_step = 0;
    if constexpr (Operands == 2) {
      mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
      mask_step = p.keep_strides[1][NKeep - 1];
    }
    typename Op::Centre centre[Strip];
    for (i64 j = 0; j < width; ++j) centre[j] = centre_of<Op>(p, k + j);

    auto add_row = [&](Acc (&acc)[Strip], i64 r) {
      const u64 row = base + offset_of(Index(r), p.reduce_shape, p.reduce_strides[0]);
      if constexpr (Operands == 2) {
        const u64 mask_row = mask + offset_of(Index(r), p.reduce_shape, p.reduce_strides[1]);
        for (i64 j = 0; j < width; ++j) {
          if (!*reinterpret_cast<const bool*>(mask_row + j * mask_step)) continue;
          acc[j] = Op::combine(acc[j], loaded<Op, In, Loop>(reinterpret_cast<const In*>(row + j * step), r, centre[j]));
        }
      } else {
        const In* const packed = reinterpret_cast<const In*>(row);
        for (i64 j = 0; j < width; ++j) {
          const In* const item = Packed ? packed + j : reinterpret_cast<const In*>(row + j * step);
          acc[j] = Op::combine(acc[j], loaded<Op, In, Loop>(item, r, centre[j]));
        }
      }
    };

    Acc acc[Strip];
    if constexpr (Op::in_order) {
      for (i64 j = 0; j < width; ++j) acc[j] = start;
      for (i64 r = first; r < last; ++r) add_row(acc, r);
    } else {
      Acc level[levels][Strip];  // runs of rows, and runs of runs: see cascade
      int filled = 0;
      i64 runs = 0;
      for (i64 r = first; r < last;) {
        for (i64 j = 0; j < width; ++j) acc[j] = Op::identity();
        for (const i64 end = r + rows < last ? r + rows : last; r < end; ++r) add_row(acc, r);
        i64 carry = ++runs;
        for (; filled > 0 && (!(carry & 1) || filled == levels); carry >>= 1) {
          --filled;
          for (i64 j = 0; j < width; ++j) acc[j] = Op::combine(level[filled][j], acc[j]);
        }
        for (i64 j = 0; j < width; ++j) level[filled][j] = acc[j];
        ++filled;
      }
      for (i64 j = 0; j < width; ++j) acc[j] = filled ? level[filled - 1][j] : Op::identity();
      for (int below = filled - 2; below >= 0; --below)
        for (i64 j = 0; j < width; ++j) acc[j] = Op::combine(level[below][j], acc[j]);
    }
    for (i64 j = 0; j < width; ++j) {
      if constexpr (Stage == 1) {
        scratch[(k + j) * p.splits + split] = acc[j];
      } else {
        if (!Op::in_order && p.has_initial) acc[j] = Op::combine(start, acc[j]);
        reinterpret_cast<Out*>(p.out)[k + j] = finished<Op, Out>(p, acc[j]);
      }
    }
  }
}

}  // namespace ca
