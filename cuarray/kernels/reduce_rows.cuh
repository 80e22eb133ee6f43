// Reductions for targets with one thread a block, whose compiler vectorises loops over neighbours in memory.
//
// A thread keeps Width accumulators side by side, in registers, and walks over rows of so many items. In reduce_runs
// the rows are pieces of one output's items, and the columns are combined at the end. In reduce_rows each column is an
// output of its own. The accumulators of a few rows are combined with those of others as the bits of a counter, so that
// rounding errors grow with the logarithm of the count (pairwise summation).
#pragma once
#include "reductions.cuh"

namespace ca {
namespace reductions {

template <class Op> inline constexpr int width_for = sizeof(typename Op::Acc) <= 8 || Op::finds_place ? 64 : 16;
// Rows that are added up one by one. Two passes over those of a variance find them in the cache; places are exact.
template <class Op> inline constexpr int rows_for = Op::finds_place && !Op::settles ? 1024 : Op::of_moments ? 64 : 32;

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
    if constexpr (Packed) return convert<Loop>(reinterpret_cast<const In*>(at)[j]);
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
  // A row without gaps, as the compiler takes slow gathering loads where it vectorises a loop over items with gaps.
  template <int Width> CA_ALWAYS_INLINE __device__ void copy_row(Loop (&line)[Width], i64 i, int count) const {
#pragma clang loop vectorize(disable)
    for (int j = 0; j < count; ++j) line[j] = value(i, j);
  }
  CA_ALWAYS_INLINE __device__ void skip(i64 rows) {
    in += rows * row;
    mask += rows * mask_row;
    place += rows * place_row;
  }
};

// A number of columns that the compiler knows: it keeps their accumulators in registers.
template <int Width> struct AllColumns {
  __device__ constexpr operator int() const { return Width; }
};

// Combines some rows into the accumulators.
template <class Op, int Width, class R, class Count>
CA_ALWAYS_INLINE __device__ void add_rows(typename Op::Acc (&out)[Width], const R& from, int rows, Count count) {
  typename Op::Acc acc[Width];
  for (int j = 0; j < count; ++j) acc[j] = out[j];
  for (int i = 0; i < rows; ++i) {
    if constexpr (R::packed || R::masked || Op::centred) {
      for (int j = 0; j < count; ++j) acc[j] = Op::combine(acc[j], from.load(i, j));
    } else {
      typename R::Item line[Width];
      from.copy_row(line, i, count);
      for (int j = 0; j < count; ++j) acc[j] = Op::combine(acc[j], Op::load(line[j], from.place_of(i, j)));
    }
  }
  for (int j = 0; j < count; ++j) out[j] = acc[j];
}

// Means, then the squares of the distances from them: of each column, or of all columns together in out[0].
template <class Op, bool Together, int Width, int Held, class R, class Count>
CA_ALWAYS_INLINE __device__ void add_moments(typename Op::Acc (&out)[Held], const R& from, int rows, Count count) {
  using Value = typename Op::Value;
  using Real = typename Op::Real;
  constexpr bool some = R::masked || Op::skips_nan;
  auto there = [&](int i, int j) { return from.there(i, j) && !(Op::skips_nan && missing(from.value(i, j))); };
  Value mean[Width];
  Real squares[Width];
  int number[Width];
  for (int j = 0; j < count; ++j) mean[j] = Value(0);
  for (int j = 0; j < count; ++j) squares[j] = Real(0);
  for (int j = 0; j < count; ++j) number[j] = some ? 0 : rows;
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < count; ++j) {
      const Value item = convert<Value>(from.value(i, j));
      if constexpr (some) {
        mean[j] = mean[j] + (there(i, j) ? item : Value(0));
        number[j] += there(i, j);
      } else {
        mean[j] = mean[j] + item;
      }
    }
  if constexpr (Together) {
    Value sum = mean[0];
    for (int j = 1; j < count; ++j) sum = sum + mean[j], number[0] += number[j];
    sum = sum / Value(Real(number[0] ? number[0] : 1));
    for (int j = 0; j < count; ++j) mean[j] = sum;
  } else {
    for (int j = 0; j < count; ++j) mean[j] = mean[j] / Value(Real(number[j] ? number[j] : 1));
  }
  for (int i = 0; i < rows; ++i)
    for (int j = 0; j < count; ++j) {
      const Real square = square_of(convert<Value>(from.value(i, j)) - mean[j]);
      if constexpr (some) squares[j] += there(i, j) ? square : Real(0);
      else squares[j] += square;
    }
  if constexpr (Together) {
    for (int j = 1; j < count; ++j) squares[0] += squares[j];
    out[0] = Op::combine(out[0], {mean[0], squares[0], double(number[0])});
  } else {
    for (int j = 0; j < count; ++j) out[j] = Op::combine(out[j], {mean[j], squares[j], double(number[j])});
  }
}

// Accumulators side by side, and those of what came before.
template <class Op, int Width, bool Together> struct Columns {
  using Acc = typename Op::Acc;
  static constexpr int held = Together && Op::of_moments ? 1 : Width, levels = 24;
  Acc acc[held], level[levels][held];
  int width, filled = 0, pending = 0;
  i64 runs = 0;

  __device__ explicit Columns(int width) : width(held < width ? held : width) { clear(Op::identity()); }
  __device__ void clear(Acc value) {
    for (int j = 0; j < held; ++j) acc[j] = value;
  }
  template <class R, class Count> CA_ALWAYS_INLINE __device__ void add(const R& from, int rows, Count count) {
    if constexpr (Op::of_moments) add_moments<Op, Together, Width>(acc, from, rows, count);
    else add_rows<Op>(acc, from, rows, count);
    pending += rows;
  }
  __device__ void push() {
    i64 carry = ++runs;
    for (; filled > 0 && (!(carry & 1) || filled == levels); carry >>= 1) {
      --filled;
      for (int j = 0; j < held; ++j) acc[j] = Op::combine(level[filled][j], acc[j]);
    }
    for (int j = 0; j < held; ++j) level[filled][j] = acc[j];
    ++filled;
    pending = 0;
    clear(Op::identity());
  }
  __device__ bool settled() const {
    bool one = false, all = true;
    for (int j = 0; j < width; ++j) {
      one |= Op::settled(acc[j]);
      all &= Op::settled(acc[j]);
    }
    return Together ? one : all;
  }
  // Leaves the whole columns in `acc`.
  __device__ void collect() {
    if (!pending && filled) {
      --filled;
      for (int j = 0; j < held; ++j) acc[j] = level[filled][j];
    }
    while (filled) {
      --filled;
      for (int j = 0; j < held; ++j) acc[j] = Op::combine(level[filled][j], acc[j]);
    }
  }
  __device__ Acc total() {
    collect();
    for (int half = held / 2; half > 0; half /= 2) {
      if (half >= width) continue;
      for (int j = 0; j < half; ++j) acc[j] = Op::combine(acc[j], acc[j + half]);
    }
    return acc[0];
  }
};

// The same of the best values, in arrays of their own, with the rows that they stand in, which are narrower than places.
template <class Op, int Width, bool Together> struct PlaceColumns {
  using Value = typename Op::Value;
  using Acc = typename Op::Acc;
  using Place = decltype(Acc::place);
  static constexpr int held = Together ? 1 : Width;
  Acc acc[held];
  Value value[held];
  Place place[held];
  int width, pending = 0;

  __device__ explicit PlaceColumns(int width) : width(held < width ? held : width) {
    for (int j = 0; j < held; ++j) value[j] = Op::worst();
    for (int j = 0; j < held; ++j) place[j] = -1;
  }
  template <class R, class Count> CA_ALWAYS_INLINE __device__ void add(const R& from, int rows, Count count) {
    Value best[Width];
    int row[Width];  // where nothing is better than the worst value, the first row has that
    for (int j = 0; j < Width; ++j) best[j] = Op::worst();
    for (int j = 0; j < Width; ++j) row[j] = 0;
    for (int i = 0; i < rows; ++i) {
      typename R::Item line[Width];
      if constexpr (!R::packed) from.copy_row(line, i, count);
      for (int j = 0; j < count; ++j) {
        const Value item = convert<Value>(R::packed ? from.value(i, j) : line[j]);
        const bool better = Op::better(item, best[j]);
        best[j] = better ? item : best[j];
        row[j] = better ? i : row[j];
      }
    }
    if constexpr (Together) {
      for (int j = 0; j < Width; ++j) row[j] = j < count ? row[j] * Width + j : limits<int>::highest();
      for (int half = Width / 2; half > 0; half /= 2)
        for (int j = 0; j < half; ++j) {
          const Value a = best[j], b = best[j + half];
          const bool first = row[j + half] < row[j];
          const bool takes = Op::better(b, a) | (!Op::better(a, b) & first);
          best[j] = takes ? b : a;
          row[j] = takes ? row[j + half] : row[j];
        }
    }
    // Later rows: strictly better ones only, but for the first.
    const bool begins = place[0] < 0;
    for (int j = 0; j < (Together ? 1 : int(count)); ++j) {
      const bool takes = begins | Op::better(best[j], value[j]);
      value[j] = takes ? best[j] : value[j];
      place[j] = takes ? Place(from.place + row[j] * (Together ? 1 : from.place_row)) : place[j];
    }
    pending = 0;
  }
  __device__ void push() {}
  __device__ bool settled() const {
    bool all = true;
    for (int j = 0; j < width; ++j) all &= value[j] != Op::worst();  // of bool
    return all;
  }
  __device__ void clear(Acc) {}
  __device__ void collect() {
    for (int j = 0; j < held; ++j) acc[j] = {value[j], place[j]};
  }
  __device__ Acc total() {
    collect();
    return acc[0];
  }
};
template <class Op, int Width, bool Together>
using columns_t = typename choose<Op::finds_place, PlaceColumns<Op, Width, Together>, Columns<Op, Width, Together>>::type;

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

// What a run of a cut output leaves, in scratch memory; true where all of them are there now.
template <class Acc, class P>
__device__ inline bool leave_run(const P& p, i64 which, i64 k, i64 split, const Acc* acc, int width) {
  Acc* const left = accumulators<Acc>(p);
  for (int j = 0; j < width; ++j) left[(k + j) * p.splits + split] = acc[j];
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
    const i64 k = item / p.splits, split = item - k * p.splits;
    const i64 first = split * p.run, last = first + p.run < p.reduced ? first + p.run : p.reduced;
    reductions::Rows<Op, In, Loop, Packed, Operands == 2> rows{};
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
    } else {
      columns_t<Op, width, true> columns(last - first < width ? int(last - first) : width);
      for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
        begin(r, offsets);
        while (n > 0) {
          const i64 left = n / width;
          const int some = int(left < most ? left : most);
          if (some) {
            columns.add(rows, some, AllColumns<width>());
            rows.skip(some);
            n -= some * width;
          } else {
            columns.add(rows, 1, int(n));
            n = 0;
          }
          if constexpr (Op::settles)
            if (columns.settled()) return false;
          if (columns.pending >= most) columns.push();
        }
        return true;
      });
      acc = columns.total();
    }
    if (p.splits > 1) {
      if (!leave_run(p, k, k, split, &acc, 1)) continue;
      acc = collect_runs<Op>(p, k);
    }
    if (!Op::in_order && p.has_initial) acc = Op::combine(start, acc);
    reinterpret_cast<Out*>(p.out)[k] = finished<Op, Out>(p, acc);
  }
}

// A thread walks through the rows of outputs side by side. Packed: the last kept axis has no gaps.
template <class Op, class In, class Loop, class Out, class Index, bool Packed, int NKeep, int NReduce, int Operands>
__global__ void reduce_rows(Reduction<NKeep, NReduce, Operands> p) {
  using namespace reductions;
  using Acc = typename Op::Acc;
  constexpr int strip = width_for<Op>, most = rows_for<Op>, inner = NReduce - 1;
  const i64 across = p.keep_shape[NKeep - 1], strips = (across + strip - 1) / strip;
  const Acc start = start_of<Op, Loop>(p);
  for (i64 item : work_items(p.kept / across * strips * p.splits)) {
    const i64 split = item % p.splits, piece = item / p.splits;
    const i64 column = piece % strips * strip, k = piece / strips * across + column;
    const int width = int(across - column < strip ? across - column : strip);
    const i64 first = split * p.run, last = first + p.run < p.reduced ? first + p.run : p.reduced;
    reductions::Rows<Op, In, Loop, Packed, Operands == 2> rows{};
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
    columns_t<Op, strip, false> columns(width);
    if constexpr (Op::in_order) columns.clear(start);
    for_each_run<Index>(first, last, p.reduce_shape, p.reduce_strides, [&](i64 r, i64 n, const i64 (&offsets)[2]) {
      rows.in = in + offsets[0];
      rows.mask = mask + offsets[1];
      rows.place = r;
      while (n > 0) {
        const int some = int(n < most ? n : most);
        if (width == strip) columns.add(rows, some, AllColumns<strip>());
        else columns.add(rows, some, width);
        rows.skip(some);
        n -= some;
        if constexpr (Op::settles)
          if (columns.settled()) return false;
        if (!Op::in_order && columns.pending >= most) columns.push();
      }
      return true;
    });
    columns.collect();
    Acc* const acc = columns.acc;
    if (p.splits > 1) {
      if (!leave_run(p, piece, k, split, acc, width)) continue;
      for (int j = 0; j < width; ++j) acc[j] = collect_runs<Op>(p, k + j);
    }
    Out* const out = reinterpret_cast<Out*>(p.out) + k;
    if (!Op::in_order && p.has_initial)
      for (int j = 0; j < width; ++j) acc[j] = Op::combine(start, acc[j]);
    for (int j = 0; j < width; ++j) out[j] = finished<Op, Out>(p, acc[j]);
  }
}

}  // namespace ca
