// The operations of reductions, and what the kernels over them share: reduce.cuh for blocks of many threads,
// reduce_rows.cuh for blocks of one, scan.cuh for both.
//
// The plan sorts the axes of the input into kept ones (k, with NKeep extents) and reduced ones (r, with NReduce). The
// items of one output may be cut into `splits` equal runs, each of which leaves an accumulator in scratch memory; who
// finishes an output's last run combines them, in the order of the runs. What is combined with what depends on the plan
// alone, so a result has the same bits on every run.
// A mask (`where=`) is a second operand, with strides of its own; items where it is false are the identity.
#pragma once
#include "ops.cuh"
#include "scratch.cuh"

namespace ca {
namespace reductions {

// A reduction: Acc identity(), Acc load(Loop value, i64 r), Acc combine(Acc a, Acc b) and finish<Out>(Acc, i64 count).
// `in_order`: items are combined one after the other; otherwise in any order, so combine has to be associative and
// commutative up to rounding.
// `centred`: load has a third argument, the output's Centre, which is given. `corrected`: finish has one more, what is
// subtracted from the count.
// `settles`: bool settled(Acc) says that no further item changes a result. `finds_place`, `of_moments`, `skips_nan`: see Arg,
// Moments.
struct Basic {
  static constexpr bool in_order = false, centred = false, corrected = false, settles = false;
  static constexpr bool finds_place = false, of_moments = false, skips_nan = false;
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

// For an Out of fewer bits than a Real the product with a reciprocal is as good as the quotient, and where outputs have as
// many items each they share that.
template <class Real, bool Root, class Out>
__device__ inline Real spread_of(Real squares, double count, double less, bool skip) {
  const double freedom = count - less, positive = freedom > 0 ? freedom : 0;
  const Real result = sizeof(Out) < sizeof(Real) ? squares * (Real(1) / Real(positive)) : squares / Real(positive);
  if (skip && !(freedom > 0)) return limits<Real>::nan();
  return Root ? Real(sqrt(result)) : result;
}
template <class T> __device__ inline auto square_of(T x) {
  if constexpr (is_complex<T>) return x.re * x.re + x.im * x.im;
  else return x * x;
}

// The mean square of the distances from a given centre; Root: its square root.
template <class Loop, bool SkipNan, bool Root> struct Spread : Basic {
  static constexpr bool centred = true, corrected = true;
  using Centre = wide_t<Loop>;
  using Real = real_t<Centre>;
  using Acc = Counted<Real>;
  static __device__ Acc identity() { return {Real(0), 0}; }
  static __device__ Acc load(Loop value, i64, Centre centre) {
    if (SkipNan && missing(value)) return identity();
    return {square_of(convert<Centre>(value) - centre), 1};
  }
  static __device__ Acc combine(Acc a, Acc b) { return combine_counted(a, b); }
  template <class Out> static __device__ Out finish(Acc acc, i64, double less) {
    return convert<Out>(spread_of<Real, Root, Out>(acc.sum, double(acc.count), less, SkipNan));
  }
};
template <class Loop> struct VarAbout : Spread<Loop, false, false> {};
template <class Loop> struct StdAbout : Spread<Loop, false, true> {};
template <class Loop> struct NanVarAbout : Spread<Loop, true, false> {};
template <class Loop> struct NanStdAbout : Spread<Loop, true, true> {};

// The same about the mean, in one pass: the mean of some items, the sum of the squares of their distances from it, and
// how many they are. Those of many are combined as Chan, Golub and LeVeque do; kernels find those of a few hundred items
// in two passes, where the cache holds them, or from sums of their distances and squared distances from one of them.
template <class Value, class Real> struct Moment {
  Value mean;
  Real squares;
  double count;
};
// Such sums, without a division for each item. With n items of which the centre is one, what is subtracted of the sum of
// squares is at most n times what remains, and about as much if they are in no order: some bits of float64 are lost, none
// of a float32.
template <class Value, class Real> struct Distances {
  Value centre, sum;
  Real squares;
  int count;
};
template <class Loop, bool SkipNan, bool Root> struct Moments : Basic {
  static constexpr bool corrected = true, of_moments = true, skips_nan = SkipNan;
  using Value = wide_t<Loop>;
  using Real = real_t<Value>;
  using Acc = Moment<Value, Real>;
  using Part = Distances<Value, Real>;
  static __device__ Acc identity() { return {Value(0), Real(0), 0}; }
  // Of a part that has items, of each of which it is so large a share.
  static __device__ Real share_of(const Part& part) { return Real(1) / Real(part.count); }
  static __device__ Acc whole(const Part& part, Real share) {
    const Value distance = part.sum * share;
    const Real squares = part.squares - square_of(part.sum) * share;
    return {part.centre + distance, squares < Real(0) ? Real(0) : squares, double(part.count)};
  }
  static __device__ Acc whole(const Part& part) { return whole(part, share_of(part)); }
  static __device__ Acc load(Loop value, i64) {
    return SkipNan && missing(value) ? identity() : Acc{convert<Value>(value), Real(0), 1};
  }
  // The second one's share of the items of both.
  static __device__ double share_of(const Acc& a, const Acc& b) {
    const double count = a.count + b.count;
    return count > 0 ? b.count / count : 0;
  }
  static __device__ Acc combine(const Acc& a, const Acc& b, double share) {
    const Value distance = b.mean - a.mean;
    const Real between = square_of(distance) * Real(a.count * share);
    return {a.mean + distance * Real(share), a.squares + b.squares + between, a.count + b.count};
  }
  static __device__ Acc combine(const Acc& a, const Acc& b) { return combine(a, b, share_of(a, b)); }
  template <class Out> static __device__ Out finish(Acc acc, i64, double less) {
    // The distance of an infinity from a mean is NaN.
    if (!ops::IsFinite{}(acc.mean)) acc.squares = limits<Real>::nan();
    return convert<Out>(spread_of<Real, Root, Out>(acc.squares, acc.count, less, SkipNan));
  }
};
template <class Loop> struct Var : Moments<Loop, false, false> {};
template <class Loop> struct Std : Moments<Loop, false, true> {};
template <class Loop> struct NanVar : Moments<Loop, true, false> {};
template <class Loop> struct NanStd : Moments<Loop, true, true> {};

// The best value so far and where it stood; place -1 means nowhere yet.
template <class Value, class Place> struct Best {
  Value value;
  Place place;
};

// Compare{}(a, b): a is strictly better than b. NaN is better than every number, the first of equals wins: as NumPy.
// Real numbers begin with the worst one, which loses against an equal one that has a place.
template <class Loop, class Compare, class Place> struct Arg : Basic {
  static constexpr bool finds_place = !is_complex<compute_t<Loop>>, settles = is_bool<Loop>;
  using Value = compute_t<Loop>;
  using Acc = Best<Value, Place>;
  static __device__ bool precedes(Value a, Value b) { return Compare{}(a, b); }
  static __device__ bool better(Value a, Value b) {
    if constexpr (is_floating<Value>) return precedes(a, b) | ((a != a) & (b == b));
    else if constexpr (!is_complex<Value>) return precedes(a, b);
    else return !ops::IsNan{}(b) & (ops::IsNan{}(a) | precedes(a, b));
  }
  static __device__ Value worst() {
    if constexpr (is_complex<Value>) return Value(0);
    else return Compare{}(limits<Value>::lowest(), limits<Value>::highest()) ? limits<Value>::highest()
                                                                             : limits<Value>::lowest();
  }
  static __device__ Acc identity() { return {worst(), Place(-1)}; }
  static __device__ Acc load(Loop value, i64 r) { return {convert<Value>(value), Place(r)}; }
  static __device__ Acc combine(Acc a, Acc b) {
    using Order = make_unsigned_t<Place>;
    if constexpr (is_complex<Value>) {
      if (b.place < 0) return a;
      if (a.place < 0) return b;
    }
    return better(b.value, a.value) || (!better(a.value, b.value) && Order(b.place) < Order(a.place)) ? b : a;
  }
  static __device__ bool settled(Acc acc) { return acc.value != worst(); }  // of bool: there are no other values
  template <class Out> static __device__ Out finish(Acc acc, i64) { return convert<Out>(acc.place); }
};
template <class Loop, class Place = i64> struct ArgMin : Arg<Loop, ops::Less, Place> {};
template <class Loop, class Place = i64> struct ArgMax : Arg<Loop, ops::Greater, Place> {};

// NaN is no candidate; -1 where there is nothing else.
template <class Loop, class Compare, class Place> struct NanArg : Arg<Loop, Compare, Place> {
  static constexpr bool finds_place = false;
  using typename Arg<Loop, Compare, Place>::Acc;
  static __device__ Acc load(Loop value, i64 r) {
    return missing(value) ? Arg<Loop, Compare, Place>::identity() : Arg<Loop, Compare, Place>::load(value, r);
  }
};
template <class Loop, class Place = i64> struct NanArgMin : NanArg<Loop, ops::Less, Place> {};
template <class Loop, class Place = i64> struct NanArgMax : NanArg<Loop, ops::Greater, Place> {};

// The same operation with places as narrow as the items' numbers.
template <class Op, class Place> struct placed { using type = Op; };
template <class Loop, class Place> struct placed<ArgMin<Loop>, Place> { using type = ArgMin<Loop, Place>; };
template <class Loop, class Place> struct placed<ArgMax<Loop>, Place> { using type = ArgMax<Loop, Place>; };
template <class Loop, class Place> struct placed<NanArgMin<Loop>, Place> { using type = NanArgMin<Loop, Place>; };
template <class Loop, class Place> struct placed<NanArgMax<Loop>, Place> { using type = NanArgMax<Loop, Place>; };

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
  static constexpr bool settles = is_bool<Loop>;
  using Value = compute_t<Loop>;
  using Acc = Value;
  static __device__ bool settled(Acc acc) { return acc == Greatest; }  // of bool
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
  static constexpr bool settles = true;
  using Acc = unsigned char;  // 0 or 1
  static __device__ bool settled(Acc acc) { return acc != 0; }
  static __device__ Acc identity() { return 0; }
  static __device__ Acc load(Loop value, i64) { return convert<bool>(value) ? 1 : 0; }
  static __device__ Acc combine(Acc a, Acc b) { return a | b; }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return acc != 0; }
};
template <class Loop> struct All : Basic {
  static constexpr bool settles = true;
  using Acc = unsigned char;  // 0 or 1
  static __device__ bool settled(Acc acc) { return acc == 0; }
  static __device__ Acc identity() { return 1; }
  static __device__ Acc load(Loop value, i64) { return convert<bool>(value) ? 1 : 0; }
  static __device__ Acc combine(Acc a, Acc b) { return a & b; }
  template <class Out> static __device__ Out finish(Acc acc, i64) { return acc != 0; }
};

template <class Loop> struct CountNonzero : Sum<i64> {
  static __device__ i64 load(Loop value, i64) { return convert<bool>(value) ? 1 : 0; }
};

}  // namespace reductions

// Of the counters in scratch memory, each output or strip of outputs that is cut into runs has one; after them are the
// runs' accumulators.

// Operands: the input, and the mask if there is one.
template <int NKeep, int NReduce, int Operands> struct Reduction {
  u64 out, in, scratch, mask;
  u64 given[2];  // the bits of an initial value of the loop's type; if corrected, of what is subtracted from the count
  u64 centres;   // one an output, if centred
  i64 kept, reduced, splits, run;  // run: items of a split, so splits * run >= reduced
  i64 count;                       // items of the whole reduction, for the mean
  i64 has_initial;
  i64 lanes;                       // see the kernels of reduce.cuh
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

template <class Acc, class P> __device__ inline Acc* accumulators(const P& p) {
  return reinterpret_cast<Acc*>(p.scratch + after_counters);
}

namespace reductions {
using namespace cuda_functions;

// Called by one thread for each run whose accumulators are written, by it or by threads that it has met at a barrier
// since; true for the last one, which then sees all of them. `rest` is what a counter holds besides the count.
__device__ inline bool is_last_run(u64 scratch, i64 which, i64 splits) {
  unsigned* const counter = reinterpret_cast<unsigned*>(scratch) + which;
  __threadfence();
  if ((atomicAdd(counter, 1u) & 0xffff) + 1 != unsigned(splits)) return false;
  __threadfence();
  *counter = 0;
  return true;
}

// The next number of a launch, from 0 on; the last block to leave sets both counters back, and is told that it is.
__device__ inline unsigned take_number(unsigned* counters) { return atomicAdd(&counters[0], 1u); }
__device__ inline bool leave_numbers(unsigned* counters) {
  if (atomicAdd(&counters[1], 1u) + 1 != gridDim.x) return false;
  counters[0] = counters[1] = 0;
  return true;
}
__device__ inline void pause() { __nanosleep(20); }

}  // namespace reductions

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
  if constexpr (!Op::corrected) {
    if (p.has_initial) {
      Loop value;
      memcpy(&value, p.given, sizeof(Loop));
      return Op::load(value, 0);
    }
  }
  return Op::identity();
}

template <class Op, class Out, class P> __device__ inline Out finished(const P& p, typename Op::Acc acc) {
  if constexpr (Op::corrected) return Op::template finish<Out>(acc, p.count, bit_cast<double>(p.given[0]));
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

}  // namespace ca
