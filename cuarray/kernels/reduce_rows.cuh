// Reductions for targets with one thread a block, whose compiler vectorises loops over neighbours in memory.
//
// A thread keeps accumulators side by side, in registers or in the L1 cache, and walks over rows of so many items. In
// reduce_runs the rows are pieces of one output's items, and the columns are combined at the end; what does not depend on
// the order of items has a way of its own there (host/reduce_vectors.hpp). In reduce_rows each column is an output. The accumulators of a few rows are combined with those of others as the bits of a counter, so that
// rounding errors grow with the logarithm of the count (pairwise summation).
#pragma once
#include "reductions.cuh"

#include "host/reduce_vectors.hpp"

namespace ca {
namespace reductions {

// Operations that look for places, of numbers other than NaN alone.
template <class Op> inline constexpr bool seeks_place = false;
template <class Op> inline constexpr bool skips_missing = false;
template <class Loop, class P> inline constexpr bool seeks_place<ArgMin<Loop, P>> = true;
template <class Loop, class P> inline constexpr bool seeks_place<ArgMax<Loop, P>> = true;
template <class Loop, class P> inline constexpr bool seeks_place<NanArgMin<Loop, P>> = true;
template <class Loop, class P> inline constexpr bool seeks_place<NanArgMax<Loop, P>> = true;
template <class Loop, class P> inline constexpr bool skips_missing<NanArgMin<Loop, P>> = true;
template <class Loop, class P> inline constexpr bool skips_missing<NanArgMax<Loop, P>> = true;

// Accumulators of one output side by side: as many as registers hold.
template <class Op> inline constexpr int width_for = sizeof(typename Op::Acc) > 8 && !Op::of_moments ? 16 : 64;
// Outputs side by side, at most (REDUCE_STRIP in _tuning.py): their accumulators stay in the L1 cache.
inline constexpr int strip_most = 512;
// Rows that are added up one by one: of what is exact, until it is time to ask whether more matter. Two passes over those
// of a variance find them in the cache.
template <class Op> inline constexpr int rows_for =
    Op::of_moments ? 32 : Op::settles ? 128 : Block<Op>::exists || is_integer<typename Op::Acc> ? 1024 : 32;

// So many values side by side, structs by their members: the compiler makes no vectors of structs.
template <class T, int N> struct Line {
  T item[N];
  CA_ALWAYS_INLINE T operator[](int j) const { return item[j]; }
  CA_ALWAYS_INLINE void set(int j, T x) { item[j] = x; }
};
template <class T, int N> struct Line<complex<T>, N> {
  T re[N], im[N];
  CA_ALWAYS_INLINE complex<T> operator[](int j) const { return {re[j], im[j]}; }
  CA_ALWAYS_INLINE void set(int j, complex<T> x) { re[j] = x.re, im[j] = x.im; }
};
template <class Sum, int N> struct Line<Counted<Sum>, N> {
  Line<Sum, N> sum;
  Line<i64, N> count;
  CA_ALWAYS_INLINE Counted<Sum> operator[](int j) const { return {sum[j], count[j]}; }
  CA_ALWAYS_INLINE void set(int j, Counted<Sum> x) { sum.set(j, x.sum), count.set(j, x.count); }
};
template <class Value, class Real, int N> struct Line<Moment<Value, Real>, N> {
  Line<Value, N> mean;
  Line<Real, N> squares;
  Line<double, N> count;
  CA_ALWAYS_INLINE Moment<Value, Real> operator[](int j) const { return {mean[j], squares[j], count[j]}; }
  CA_ALWAYS_INLINE void set(int j, Moment<Value, Real> x) {
    mean.set(j, x.mean), squares.set(j, x.squares), count.set(j, x.count);
  }
};
template <class Value, int N> struct Line<Maybe<Value>, N> {
  Line<Value, N> value;
  Line<bool, N> some;
  CA_ALWAYS_INLINE Maybe<Value> operator[](int j) const { return {value[j], some[j]}; }
  CA_ALWAYS_INLINE void set(int j, Maybe<Value> x) { value.set(j, x.value), some.set(j, x.some); }
};

// Rows of items at equal distances. Packed: a row's items follow each other in memory.
template <class Op, class In, class Loop, bool Packed, bool Masked> struct Rows {
  using Item = Loop;
  static constexpr bool masked = Masked, packed = Packed;
  u64 in, mask;
  i64 row, step, mask_row, mask_step;  // in bytes, from row to row and from item to item
  i64 place, place_row, place_step;    // the first item's number among those of its output, and how it grows
  u64 centres;                         // of the first column, if the operation is centred
  i64 centre_step;                     // in columns; 0: all have the same

  CA_ALWAYS_INLINE __device__ Loop value(i64 i, i64 j) const {
    const u64 at = in + i * row;
    if constexpr (Packed && is_complex<In>) {  // complex<...> by its parts, as Line
      const auto* parts = reinterpret_cast<const real_t<In>*>(at);
      return convert<Loop>(In{parts[2 * j], parts[2 * j + 1]});
    } else if constexpr (Packed) return convert<Loop>(reinterpret_cast<const In*>(at)[j]);
    else return convert<Loop>(*reinterpret_cast<const In*>(at + j * step));
  }
  CA_ALWAYS_INLINE __device__ bool there(i64 i, i64 j) const {
    if constexpr (Masked) return *reinterpret_cast<const bool*>(mask + i * mask_row + j * mask_step);
    else return true;
  }
  CA_ALWAYS_INLINE __device__ i64 place_of(i64 i, i64 j) const { return place + i * place_row + j * place_step; }
  CA_ALWAYS_INLINE __device__ typename Op::Acc load(i64 i, i64 j) const {
    if (!there(i, j)) return Op::identity();
    if constexpr (Op::centred) {
      return Op::load(value(i, j), 0, reinterpret_cast<const typename Op::Centre*>(centres)[j * centre_step]);
    } else {
      return Op::load(value(i, j), place_of(i, j));
    }
  }
  // Without vector instructions, as gathering loads are slow, but for steps that vectors can be picked from.
  template <class To> __attribute__((noinline)) void copy_row(To* to, i64 i, i64 count) const {
    const u64 at = in + i * row;
    if constexpr (!is_complex<In>)
      if (step == 2 * i64(sizeof(In))) {
        const In* items = reinterpret_cast<const In*>(at);
        for (i64 j = 0; j < count; ++j) to[j] = convert<To>(convert<Loop>(items[2 * j]));
        return;
      }
#pragma clang loop vectorize(disable) unroll_count(4)
    for (i64 j = 0; j < count; ++j) to[j] = convert<To>(convert<Loop>(*reinterpret_cast<const In*>(at + j * step)));
  }
  CA_ALWAYS_INLINE __device__ void skip(i64 rows) {
    in += rows * row;
    mask += rows * mask_row;
    place += rows * place_row;
  }
};

__device__ inline i64 least_of(i64 a, i64 b) { return a < b ? a : b; }
__device__ inline i64 least_of(i64 a, i64 b, i64 c) { return least_of(least_of(a, b), c); }

// A number of columns that the compiler knows: it keeps their accumulators in registers.
template <int Width> struct AllColumns {
  __device__ constexpr operator int() const { return Width; }
};

// Combines some rows into the accumulators: in registers where the compiler knows how many they are, else four rows at a
// time.
template <class Op, int Width, class R, int Count>
CA_ALWAYS_INLINE __device__ void add_rows(Line<typename Op::Acc, Width>& out, const R& from, int rows,
                                          AllColumns<Count> count) {
  Line<typename Op::Acc, Count> acc;
  for (int j = 0; j < count; ++j) acc.set(j, out[j]);
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < count; ++j) acc.set(j, Op::combine(acc[j], from.load(i, j)));
  for (int j = 0; j < count; ++j) out.set(j, acc[j]);
}
template <class Op, int Width, class R>
__attribute__((noinline)) void add_rows(Line<typename Op::Acc, Width>& __restrict out, const R& __restrict rows_of,
                                        int rows, int count) {
  const R from = rows_of;
  int i = 0;
  for (; i + 4 <= rows; i += 4)
    for (int j = 0; j < count; ++j) {
      typename Op::Acc acc = Op::combine(out[j], from.load(i, j));
      acc = Op::combine(acc, from.load(i + 1, j));
      acc = Op::combine(acc, from.load(i + 2, j));
      out.set(j, Op::combine(acc, from.load(i + 3, j)));
    }
  for (; i < rows; ++i)
    for (int j = 0; j < count; ++j) out.set(j, Op::combine(out[j], from.load(i, j)));
}

// Means, then the squares of the distances from them: of each column, or of all columns together in out[0].
template <class Op, bool Together, int Width, int Held, class R, class Count>
CA_ALWAYS_INLINE __device__ void add_moments(Line<typename Op::Acc, Held>& out, const R& from, int rows, Count count) {
  using Value = typename Op::Value;
  using Real = typename Op::Real;
  constexpr bool some = R::masked || Op::skips_nan;
  auto there = [&](int i, int j) { return from.there(i, j) && !(Op::skips_nan && missing(from.value(i, j))); };
  constexpr int most = is_same_v<Count, int> ? Width : int(Count{});
  Line<Value, most> mean;
  Real squares[most];
  int number[most];
  for (int j = 0; j < count; ++j) mean.set(j, Value(0));
  for (int j = 0; j < count; ++j) squares[j] = Real(0);
  for (int j = 0; j < count; ++j) number[j] = some ? 0 : rows;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < count; ++j) {
      const Value item = convert<Value>(from.value(i, j));
      if constexpr (some) {
        mean.set(j, mean[j] + (there(i, j) ? item : Value(0)));
        number[j] += there(i, j);
      } else {
        mean.set(j, mean[j] + item);
      }
    }
  if constexpr (Together) {
    Value sum = mean[0];
    for (int j = 1; j < count; ++j) sum = sum + mean[j], number[0] += number[j];
    sum = sum / Value(Real(number[0] ? number[0] : 1));
    for (int j = 0; j < count; ++j) mean.set(j, sum);
  } else {
    for (int j = 0; j < count; ++j) mean.set(j, mean[j] / Value(Real(number[j] ? number[j] : 1)));
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < count; ++j) {
      const Real square = square_of(convert<Value>(from.value(i, j)) - mean[j]);
      if constexpr (some) squares[j] += there(i, j) ? square : Real(0);
      else squares[j] += square;
    }
  if constexpr (Together) {
    for (int j = 1; j < count; ++j) squares[0] += squares[j];
    out.set(0, Op::combine(out[0], {mean[0], squares[0], double(number[0])}));
  } else {
    for (int j = 0; j < count; ++j) out.set(j, Op::combine(out[j], {mean[j], squares[j], double(number[j])}));
  }
}

// So many are computed with at least, as the compiler knows this number; what is in those beside a width has no meaning.
__device__ inline int extent_of(int width) { return width < 64 ? 64 : width; }

// Accumulators side by side, and those of what came before. Together: of one output.
template <class Op, int Width, bool Together> struct Columns {
  using Acc = typename Op::Acc;
  static constexpr int held = Together && Op::of_moments ? 1 : Width, levels = 24;
  Line<Acc, held> acc, level[levels];
  int width, extent, filled = 0, pending = 0;
  i64 runs = 0;

  __device__ explicit Columns(int width) : width(held < width ? held : width), extent(Together ? held : extent_of(width)) {
    clear(Op::identity());
  }
  __device__ void clear(Acc value) {
    for (int j = 0, n = extent; j < n; ++j) acc.set(j, value);
  }
  template <class R, class Count> CA_ALWAYS_INLINE __device__ void add(const R& from, int rows, Count count) {
    if constexpr (Op::of_moments) add_moments<Op, Together, Width>(acc, from, rows, count);
    else add_rows<Op>(acc, from, rows, count);
    pending += rows;
  }
  __device__ void push() {
    i64 carry = ++runs;
    for (; filled > 0 && (!(carry & 1) || filled == levels); carry >>= 1) add_level();
    for (int j = 0, n = extent; j < n; ++j) level[filled].set(j, acc[j]);
    ++filled;
    pending = 0;
    clear(Op::identity());
  }
  __device__ bool settled() const {
    bool all = true;
    for (int j = 0, n = width; j < n; ++j) all &= Op::settled(acc[j]);
    return all;
  }
  // Leaves the whole columns in `acc`.
  __device__ void collect() {
    if (!pending && filled) {
      --filled;
      for (int j = 0, n = extent; j < n; ++j) acc.set(j, level[filled][j]);
    }
    while (filled) add_level();
  }
  __device__ Acc total() {
    collect();
    for (int half = held / 2; half > 0; half /= 2) {
      if (half >= width) continue;
      for (int j = 0; j < half; ++j) acc.set(j, Op::combine(acc[j], acc[j + half]));
    }
    return acc[0];
  }

 private:
  __device__ void add_level() {
    --filled;
    for (int j = 0, n = extent; j < n; ++j) acc.set(j, Op::combine(level[filled][j], acc[j]));
  }
};

// The same of outputs whose best values' places are looked for, in arrays of their own: rows are narrower than places.
template <class Op, int Width, bool = false> struct PlaceColumns {
  using Value = typename Op::Value;
  using Acc = typename Op::Acc;
  using Place = decltype(Acc::place);
  Line<Value, Width> value;
  Place place[Width];
  Line<Acc, Width> acc;
  int width, extent, pending = 0;
  bool begun = false;

  __device__ explicit PlaceColumns(int width) : width(width), extent(extent_of(width)) {}
  static CA_ALWAYS_INLINE __device__ bool takes(Value item, Value best) {
    if constexpr (!skips_missing<Op>) return Op::better(item, best);
    else return !ops::IsNan{}(item) & (ops::IsNan{}(best) | Op::precedes(item, best));
  }
  template <class R, class Count> CA_ALWAYS_INLINE __device__ void add(const R& from, int rows, Count count) {
    constexpr int held = is_same_v<Count, int> ? Width : int(Count{});
    Line<Value, held> best;
    int row[held];
    for (int j = 0; j < count; ++j) best.set(j, convert<Value>(from.value(0, j)));
    for (int j = 0; j < count; ++j) row[j] = 0;
    for (int i = 1; i < rows; ++i)
      for (int j = 0; j < count; ++j) {
        const Value item = convert<Value>(from.value(i, j));
        const bool better = takes(item, best[j]);
        best.set(j, better ? item : best[j]);
        row[j] = better ? i : row[j];
      }
    for (int j = 0; j < count; ++j) {
      const bool better = !begun || takes(best[j], value[j]);
      value.set(j, better ? best[j] : value[j]);
      place[j] = better ? Place(from.place + row[j] * from.place_row) : place[j];
    }
    begun = true;
  }
  __device__ void push() {}
  __device__ bool settled() const {
    bool all = true;
    for (int j = 0, n = width; j < n; ++j) all &= value[j] != Op::worst();  // of bool
    return all;
  }
  __device__ void clear(Acc) {}
  __device__ void collect() {
    for (int j = 0, n = width; j < n; ++j) {
      const bool none = !begun || (skips_missing<Op> && ops::IsNan{}(value[j]));
      acc.set(j, none ? Op::identity() : Acc{value[j], place[j]});
    }
  }
};
template <class Op, int Width, bool Together>
using columns_t = typename choose<seeks_place<Op>, PlaceColumns<Op, Width>, Columns<Op, Width, Together>>::type;

// Rows without gaps: these, or copies of some. Of a copy much is written before it is read, as a CPU waits where it reads
// at once what it wrote in smaller parts.
template <class Op, class Loop, class R> struct Gapless {
  static constexpr int copied = 1024;
  Loop items[R::packed ? 1 : copied];

  static __device__ i64 most(int count) { return R::packed ? limits<int>::highest() : copied / count; }
  __device__ auto of(const R& from, int rows, int count) {
    if constexpr (R::packed) {
      return from;
    } else {
      if (from.row == count * from.step) from.copy_row(items, 0, i64(rows) * count);
      else for (int i = 0; i < rows; ++i) from.copy_row(items + i * count, i, count);
      Rows<Op, Loop, Loop, true, R::masked> own{};
      own.in = u64(items), own.row = count * sizeof(Loop);
      own.mask = from.mask, own.mask_row = from.mask_row, own.mask_step = from.mask_step;
      own.place = from.place, own.place_row = from.place_row, own.place_step = from.place_step;
      own.centres = from.centres, own.centre_step = from.centre_step;
      return own;
    }
  }
};

// Calls f(r, n, offsets) for the runs of items r ... r + n - 1 that stand at equal distances, in order, while f is true.
template <class Index, int N, int Operands, class F>
CA_ALWAYS_INLINE __device__ void for_each_run(
    i64 first, i64 last, const i64 (&shape)[N], const i64 (&strides)[Operands][N], F f) {
  for (i64 r = first, n; r < last; r += n) {
    n = last - r;
    if constexpr (N > 1) {
      const i64 left = shape[N - 1] - r % shape[N - 1];
      if (left < n) n = left;
    }
    i64 offsets[2] = {offset_of(Index(r), shape, strides[0]), 0};
    if constexpr (Operands == 2) offsets[1] = offset_of(Index(r), shape, strides[1]);
    if (!f(r, n, offsets)) return;
  }
}

// A function of its own, as those of many rows above: only parameters can be `restrict`.
template <class Op, class Out, class L, class P>
__attribute__((noinline)) void store_row(Out* __restrict to, const L& __restrict acc, int width, const P& __restrict p) {
  if constexpr (is_complex<Out>) {
    auto* parts = reinterpret_cast<real_t<Out>*>(to);
    for (int j = 0, n = width; j < n; ++j) {
      const Out x = finished<Op, Out>(p, acc[j]);
      parts[2 * j] = x.re, parts[2 * j + 1] = x.im;
    }
  } else {
    for (int j = 0, n = width; j < n; ++j) to[j] = finished<Op, Out>(p, acc[j]);
  }
}

// What a run of a cut output leaves, in scratch memory; true where all of them are there now.
template <class Acc, class P, class Items>
__device__ inline bool leave_run(const P& p, i64 which, i64 k, i64 split, const Items& acc, int width) {
  Acc* const left = accumulators<Acc>(p);
  for (int j = 0, n = width; j < n; ++j) left[(k + j) * p.splits + split] = acc[j];
  return is_last_run(p.scratch, which, p.splits);
}
template <class Op, class P> __device__ inline typename Op::Acc collect_runs(const P& p, i64 k) {
  const typename Op::Acc* const left = accumulators<typename Op::Acc>(p);
  typename Op::Acc acc = left[k * p.splits];
  for (i64 split = 1; split < p.splits; ++split) acc = Op::combine(acc, left[k * p.splits + split]);
  return acc;
}

}  // namespace reductions

// A run of an output's items is walked by one thread. Packed: the last reduced axis has no gaps.
template <class Op, class In, class Loop, class Out, class Index, bool Packed, int NKeep, int NReduce, int Operands>
__global__ void reduce_runs(Reduction<NKeep, NReduce, Operands> p) {
  using namespace reductions;
  using Acc = typename Op::Acc;
  constexpr int width = width_for<Op>, most = rows_for<Op>, inner = NReduce - 1;
  const Acc start = start_of<Op, Loop>(p);
  const i64 step = p.reduce_strides[0][inner];
  for (i64 item : work_items(p.kept * p.splits)) {
    const i64 k = p.splits == 1 ? item : item / p.splits, split = item - k * p.splits;
    const i64 first = split * p.run, last = least_of(first + p.run, p.reduced);
    Rows<Op, In, Loop, Packed, Operands == 2> rows{};
    const u64 in = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
    u64 mask = 0;
    rows.step = step;
    rows.row = width * step;
    rows.place_row = width;
    rows.place_step = 1;
    rows.centres = p.centres + (Op::centred ? k * sizeof(typename Op::Centre) : 0);
    if constexpr (Operands == 2) {
      mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
      rows.mask_step = p.reduce_strides[1][inner];
      rows.mask_row = width * rows.mask_step;
    }
    auto begin = [&](i64 r, const i64 (&offsets)[2]) {
      rows.in = in + offsets[0];
      rows.mask = mask + offsets[1];
      rows.place = r;
    };
    Acc acc = start;
    if constexpr (Op::in_order) {
      for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
        begin(r, offsets);
        for (i64 j = 0; j < n; ++j) acc = Op::combine(acc, rows.load(0, j));
        return true;
      });
    } else if constexpr (Block<Op>::exists) {
      Block<Op> block;
      for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
        begin(r, offsets);
        add_run<In, Loop>(block, rows, n);
        return !block.settled();
      });
      acc = block.total();
    } else {
      columns_t<Op, width, true> columns(last - first < width ? int(last - first) : width);
      Gapless<Op, Loop, decltype(rows)> gapless;
      for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
        begin(r, offsets);
        while (n > 0) {
          const i64 least = least_of(n / width, most, gapless.most(width));
          const int some = int(least), rest = int(n);
          if (some) columns.add(gapless.of(rows, some, width), some, AllColumns<width>());
          else columns.add(gapless.of(rows, 1, rest), 1, rest);
          rows.skip(some);
          n -= some ? some * width : rest;
          if (columns.pending >= most) columns.push();
        }
        return true;
      });
      acc = columns.total();
    }
    if (p.splits > 1) {
      if (!leave_run<Acc>(p, k, k, split, &acc, 1)) continue;
      acc = collect_runs<Op>(p, k);
    }
    if (!Op::in_order && p.has_initial) acc = Op::combine(start, acc);
    reinterpret_cast<Out*>(p.out)[k] = finished<Op, Out>(p, acc);
  }
}

// A thread walks through the rows of outputs side by side, `lanes` of them. Packed: the last kept axis has no gaps.
template <class Op, class In, class Loop, class Out, class Index, bool Packed, int NKeep, int NReduce, int Operands>
__global__ void reduce_rows(Reduction<NKeep, NReduce, Operands> p) {
  using namespace reductions;
  using Acc = typename Op::Acc;
  constexpr int most = rows_for<Op>, inner = NReduce - 1;
  const i64 across = p.keep_shape[NKeep - 1], strip = p.lanes, strips = (across + strip - 1) / strip;
  const Acc start = start_of<Op, Loop>(p);
  for (i64 item : work_items(p.kept / across * strips * p.splits)) {
    const i64 split = item % p.splits, piece = item / p.splits;
    const i64 column = piece % strips * strip, k = piece / strips * across + column;
    const int width = int(least_of(across - column, strip));
    const i64 first = split * p.run, last = least_of(first + p.run, p.reduced);
    Rows<Op, In, Loop, Packed, Operands == 2> rows{};
    const u64 in = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
    u64 mask = 0;
    rows.step = p.keep_strides[0][NKeep - 1];
    rows.row = p.reduce_strides[0][inner];
    rows.place_row = 1;
    rows.centres = p.centres + (Op::centred ? k * sizeof(typename Op::Centre) : 0);
    rows.centre_step = 1;
    if constexpr (Operands == 2) {
      mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
      rows.mask_step = p.keep_strides[1][NKeep - 1];
      rows.mask_row = p.reduce_strides[1][inner];
    }
    columns_t<Op, strip_most, false> columns(width);
    Gapless<Op, Loop, decltype(rows)> gapless;
    if constexpr (Op::in_order) columns.clear(start);
    // Columns of a number that the compiler knows: those beside the own ones are never looked at. Not where each costs
    // much, as they become no vectors.
    constexpr bool vectors = !is_same_v<In, float16> && !is_same_v<In, bfloat16> && !is_complex<In>;
    constexpr bool padded = Packed && Operands == 1 && !Op::centred && vectors;
    const int beside = columns.extent - width;
    i64 without = beside ? limits<int>::highest() : 0;  // as many last rows as would have them behind the array's end
    if (padded && beside && rows.row > 0) without = (beside * i64(sizeof(In)) + rows.row - 1) / rows.row;
    for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
      rows.in = in + offsets[0];
      rows.mask = mask + offsets[1];
      rows.place = r;
      while (n > 0) {
        int some = int(least_of(n - without, most));
        if (some > 0 && columns.extent == 64) {
          columns.add(rows, some, AllColumns<64>());
        } else {
          some = int(least_of(n, most, gapless.most(width)));
          columns.add(gapless.of(rows, some, width), some, width);
        }
        rows.skip(some);
        n -= some;
        if constexpr (Op::settles)
          if (columns.settled()) return false;
        if (!Op::in_order && columns.pending >= most) columns.push();
      }
      return true;
    });
    columns.collect();
    auto& acc = columns.acc;
    if (p.splits > 1) {
      if (!leave_run<Acc>(p, piece, k, split, acc, width)) continue;
      for (int j = 0, n = width; j < n; ++j) acc.set(j, collect_runs<Op>(p, k + j));
    }
    if (!Op::in_order && p.has_initial)
      for (int j = 0, n = width; j < n; ++j) acc.set(j, Op::combine(start, acc[j]));
    store_row<Op>(reinterpret_cast<Out*>(p.out) + k, acc, width, p);
  }
}

}  // namespace ca
