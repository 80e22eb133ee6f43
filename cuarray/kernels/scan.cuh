// out[i] = finish(combine over j <= i of load(in[j])) along one axis: cumulative sums, and any other functor's.
//
// The operations are those of reductions.cuh. A row is what is scanned: `inner` of them stand side by side, `outer`
// axes go over the rest. In `scan` a thread does Strip rows side by side: 1 on the GPU, where neighbouring threads take
// neighbouring rows, more where the compiler is to vectorise. Few long rows are cut into `splits` runs: a first launch
// leaves each run's total in scratch memory, a second one scans the totals, and a third one scans the runs, each from what
// comes before it. Teams of threads scan rows in scan_tiles.cuh.
// In which order items are combined depends on the plan alone, so a result has the same bits on every run.
#pragma once
#include "reductions.cuh"
#if !CA_ON_DEVICE
#include "host/scan_vectors.hpp"
#endif

namespace ca {

template <int NOuter> struct Scan {
  u64 out, in, scratch, unused[4];
  i64 length, splits, run;  // splits * run >= length
  i64 in_step, out_step;    // in bytes, along the scanned axis
  i64 inner, in_inner, out_inner, outer;
  i64 shape[NOuter], strides[2][NOuter];  // of the outer axes: the input's strides, then the output's
};

// Whether the CPU has a way of its own for a run of items, and then does it: leaves their total, or scans them.
template <class Op, class In, class Loop, class Out, bool Total, class P, class Acc>
__device__ inline bool add_in_vectors(const P& p, u64 in, u64 out, i64 n, const Acc* before, Acc* total) {
#if !CA_ON_DEVICE
  if constexpr (reductions::scans_in_vectors<Op, In, Out>) {
    if (p.in_step != i64(sizeof(In)) || p.out_step != i64(sizeof(Out))) return false;
    const In* const items = reinterpret_cast<const In*>(in);
    if (Total) *total = Acc(reductions::total_of<Loop>(items, n));
    else reductions::cumulate<Loop>(items, reinterpret_cast<Out*>(out), n, before ? u64(*before) : 0);
    return true;
  }
#endif
  return false;
}

// Stage 0: whole rows. 1: the runs' totals. 2: the totals, scanned. 3: the runs.
template <class Op, class In, class Loop, class Out, int NOuter, int Strip, int Stage>
__global__ void scan(Scan<NOuter> p) {
  await_previous();
  using Acc = typename Op::Acc;
  static_assert(Stage >= 0 && Stage <= 3, "a scan has one stage, or three");
  static_assert(!Op::in_order || Stage == 0, "one thread goes through the items in order");
  // Items that are read before the results of the first of them are written; CPUs look ahead by themselves.
  constexpr int ahead = CA_ON_DEVICE ? 8 : 1;
  const i64 strips = (p.inner + Strip - 1) / Strip, rows = p.outer * p.inner;
  Acc* const scratch = accumulators<Acc>(p);  // totals of split s and row r: [s * rows + r]

  if constexpr (Stage == 2) {
    for (i64 row : work_items(rows)) {
      Acc acc = scratch[row];
      for (i64 split = 1; split < p.splits; ++split)
        scratch[split * rows + row] = acc = Op::combine(acc, scratch[split * rows + row]);
    }
  } else {
    auto item_done = [&](i64 item) {
      const i64 strip = item % strips, split = item / strips % p.splits, at = item / strips / p.splits;
      const i64 first = split * p.run, last = first + p.run < p.length ? first + p.run : p.length;
      const u64 in = p.in + offset_of(at, p.shape, p.strides[0]) + strip * Strip * p.in_inner;
      const u64 out = p.out + offset_of(at, p.shape, p.strides[1]) + strip * Strip * p.out_inner;
      const i64 row = at * p.inner + strip * Strip;
      const bool carried = Stage == 3 && split > 0;
      auto load = [&](i64 i) {
        return Op::load(convert<Loop>(*reinterpret_cast<const In*>(in + i * p.in_step)), i);
      };
      auto store = [&](i64 i, Acc acc) {
        *reinterpret_cast<Out*>(out + i * p.out_step) = Op::template finish<Out>(acc, i + 1);
      };
      auto before = [&](i64 j) { return scratch[(split - 1) * rows + row + j]; };
      if constexpr (Strip == 1) {
        if (add_in_vectors<Op, In, Loop, Out, Stage == 1>(p, in + first * p.in_step, out + first * p.out_step,
                                                          last - first, carried ? &scratch[(split - 1) * rows + row] : 0,
                                                          &scratch[split * rows + row]))
          return;
        if constexpr (Stage == 1) {
          scratch[split * rows + row] = cascade(first, last, 1, Op::identity(), Op::combine, load);
        } else {
          Acc acc = load(first);
          if (carried) acc = Op::combine(before(0), acc);
          store(first, acc);
          i64 i = first + 1;
          for (; ahead > 1 && i + ahead <= last; i += ahead) {
            In item[ahead];
#pragma unroll
            for (int j = 0; j < ahead; ++j) item[j] = *reinterpret_cast<const In*>(in + (i + j) * p.in_step);
#pragma unroll
            for (int j = 0; j < ahead; ++j)
              store(i + j, acc = Op::combine(acc, Op::load(convert<Loop>(item[j]), i + j)));
          }
          for (; i < last; ++i) store(i, acc = Op::combine(acc, load(i)));
        }
      } else {
        const i64 left = p.inner - strip * Strip, width = left < Strip ? left : Strip;
        Acc acc[Strip];
        for (i64 j = 0; j < width; ++j) {
          acc[j] = Op::load(convert<Loop>(*reinterpret_cast<const In*>(in + first * p.in_step + j * p.in_inner)), first);
          if (carried) acc[j] = Op::combine(before(j), acc[j]);
        }
        // Told apart so that rows that stand side by side are vectorised.
        const bool packed = p.in_inner == i64(sizeof(In)) && p.out_inner == i64(sizeof(Out));
        for (i64 i = first;;) {
          if constexpr (Stage != 1) {
            const u64 to = out + i * p.out_step;
            if (packed)
              for (i64 j = 0; j < width; ++j) reinterpret_cast<Out*>(to)[j] = Op::template finish<Out>(acc[j], i + 1);
            else
              for (i64 j = 0; j < width; ++j)
                *reinterpret_cast<Out*>(to + j * p.out_inner) = Op::template finish<Out>(acc[j], i + 1);
          }
          if (++i >= last) break;
          const u64 from = in + i * p.in_step;
          if (packed)
            for (i64 j = 0; j < width; ++j)
              acc[j] = Op::combine(acc[j], Op::load(convert<Loop>(reinterpret_cast<const In*>(from)[j]), i));
          else
            for (i64 j = 0; j < width; ++j)
              acc[j] = Op::combine(
                  acc[j], Op::load(convert<Loop>(*reinterpret_cast<const In*>(from + j * p.in_inner)), i));
        }
        if constexpr (Stage == 1)
          for (i64 j = 0; j < width; ++j) scratch[split * rows + row + j] = acc[j];
      }
    };
    const i64 items = p.outer * strips * p.splits;
    for (i64 item : work_items(items)) item_done(item);
  }
}

// out[k] = combine over in[indices[k]] .. in[indices[k + 1] - 1] along one axis; the last run goes to the end, and one
// whose end is not after its beginning is in[indices[k]] alone: numpy.ufunc.reduceat.
template <int NOuter> struct ReduceAt {
  u64 out, in, indices, unused[4];
  i64 length, count, in_step, out_step, outer;
  i64 shape[NOuter], strides[2][NOuter];
};

template <class Op, class In, class Loop, class Out, int NOuter, int Lanes>
__global__ void reduce_at(ReduceAt<NOuter> p) {
  await_previous();
  using Acc = typename Op::Acc;
  static_assert(!Op::in_order || Lanes == 1, "one thread goes through the items in order");
  const i64* const indices = reinterpret_cast<const i64*>(p.indices);
  auto total = [&](i64 item, i64 lane) {
    const i64 at = item / p.count, k = item - at * p.count;
    const u64 in = p.in + offset_of(at, p.shape, p.strides[0]);
    auto load = [&](i64 i) { return Op::load(convert<Loop>(*reinterpret_cast<const In*>(in + i * p.in_step)), i); };
    const i64 first = indices[k], next = k + 1 < p.count ? indices[k + 1] : p.length;
    const i64 last = next > first ? next : first + 1;
    if constexpr (Op::in_order) return fold(first + 1, last, load(first), Op::combine, load);
    else return cascade(first + lane, last, i64(Lanes), Op::identity(), Op::combine, load);
  };
  auto store = [&](i64 item, Acc acc) {
    const i64 at = item / p.count, k = item - at * p.count;
    const u64 out = p.out + offset_of(at, p.shape, p.strides[1]) + k * p.out_step;
    *reinterpret_cast<Out*>(out) = Op::template finish<Out>(acc, 0);
  };
  const i64 items = p.outer * p.count;
  if constexpr (Lanes == 1) {
    for (i64 item : work_items(items)) store(item, total(item, 0));
  } else {
    __shared__ Acc tree[Lanes];
    const int thread = threadIdx.x;
    for (i64 item = blockIdx.x; item < items; item += gridDim.x) {
      tree[thread] = total(item, thread);
      __syncthreads();
      for (int half = Lanes / 2; half > 0; half /= 2) {
        if (thread < half) tree[thread] = Op::combine(tree[thread], tree[thread + half]);
        __syncthreads();
      }
      if (thread == 0) store(item, tree[0]);
      __syncthreads();
    }
  }
}

}  // namespace ca
