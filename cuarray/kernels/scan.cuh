// out[i] = finish(combine over j <= i of load(in[j])) along one axis: cumulative sums, and any other functor's.
//
// The operations are those of reduce.cuh. A row is what is scanned: `inner` of them stand side by side, `outer` axes
// go over the rest. Few long rows are cut into `splits` runs: a first launch leaves each run's total in scratch memory,
// a second one scans the totals, and a third one scans the runs, each from what comes before it. So the order in which
// items are combined depends on the plan alone, and a result has the same bits on every run.
// A block of Lanes threads does a run in tiles of shared memory; where Lanes is 1, a thread does Strip rows side by
// side: 1 on the GPU, where neighbouring threads take neighbouring rows, more where the compiler is to vectorise.
#pragma once
#include "reduce.cuh"

namespace ca {

template <int NOuter> struct Scan {
  u64 out, in, scratch, unused[4];
  i64 length, splits, run;  // splits * run >= length
  i64 in_step, out_step;    // in bytes, along the scanned axis
  i64 inner, in_inner, out_inner, outer;
  i64 shape[NOuter], strides[2][NOuter];  // of the outer axes: the input's strides, then the output's
};

// Items that a thread keeps of a tile. Odd, so that threads' first items lie in different banks of shared memory.
inline constexpr int scan_items = 7;

// Scans the items first .. last - 1 from `carry`, by all threads of a block.
template <class Op, int Lanes, class Load, class Store>
__device__ inline void scan_tiles(i64 first, i64 last, typename Op::Acc carry, Load load, Store store) {
  using Acc = typename Op::Acc;
  __shared__ Acc tile[Lanes * scan_items];
  __shared__ Acc totals[Lanes];
  const int thread = threadIdx.x;
  for (; first < last; first += Lanes * scan_items) {
    const i64 count = last - first;
    for (int at = thread; at < Lanes * scan_items; at += Lanes) tile[at] = at < count ? load(first + at) : Op::identity();
    __syncthreads();
    Acc* const own = tile + thread * scan_items;
    Acc acc = own[0];
#pragma unroll
    for (int k = 1; k < scan_items; ++k) own[k] = acc = Op::combine(acc, own[k]);
    totals[thread] = acc;
    __syncthreads();
    for (int distance = 1; distance < Lanes; distance *= 2) {
      if (thread >= distance) acc = Op::combine(totals[thread - distance], acc);
      __syncthreads();
      totals[thread] = acc;
      __syncthreads();
    }
    const Acc before = thread ? Op::combine(carry, totals[thread - 1]) : carry;
#pragma unroll
    for (int k = 0; k < scan_items; ++k) own[k] = Op::combine(before, own[k]);
    carry = Op::combine(carry, totals[Lanes - 1]);
    __syncthreads();
    for (int at = thread; at < Lanes * scan_items && at < count; at += Lanes) store(first + at, tile[at]);
    __syncthreads();
  }
}

// Stage 0: whole rows. 1: the runs' totals. 2: the totals, scanned. 3: the runs.
template <class Op, class In, class Loop, class Out, int NOuter, int Lanes, int Strip, int Stage>
__global__ void scan(Scan<NOuter> p) {
  using Acc = typename Op::Acc;
  static_assert(Stage >= 0 && Stage <= 3, "a scan has one stage, or three");
  static_assert(!Op::in_order || (Lanes == 1 && Stage == 0), "one thread goes through the items in order");
  static_assert(Lanes == 1 || Strip == 1, "a block does one row at a time");
  const i64 strips = (p.inner + Strip - 1) / Strip, rows = p.outer * p.inner;
  Acc* const scratch = reinterpret_cast<Acc*>(p.scratch);  // totals of split s and row r: [s * rows + r]

  if constexpr (Stage == 2) {
    if constexpr (Lanes == 1) {
      for (i64 row : work_items(rows)) {
        Acc acc = scratch[row];
        for (i64 split = 1; split < p.splits; ++split)
          scratch[split * rows + row] = acc = Op::combine(acc, scratch[split * rows + row]);
      }
    } else {
      for (i64 row = blockIdx.x; row < rows; row += gridDim.x) {
        auto load = [&](i64 split) { return scratch[split * rows + row]; };
        auto store = [&](i64 split, Acc acc) { scratch[split * rows + row] = acc; };
        scan_tiles<Op, Lanes>(0, p.splits, Op::identity(), load, store);
      }
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
      if constexpr (Lanes > 1) {
        if constexpr (Stage == 1) {
          __shared__ Acc tree[Lanes];
          const int thread = threadIdx.x;
          tree[thread] = cascade(first + thread, last, i64(Lanes), Op::identity(), Op::combine, load);
          __syncthreads();
          for (int half = Lanes / 2; half > 0; half /= 2) {
            if (thread < half) tree[thread] = Op::combine(tree[thread], tree[thread + half]);
            __syncthreads();
          }
          if (thread == 0) scratch[split * rows + row] = tree[0];
          __syncthreads();
        } else {
          scan_tiles<Op, Lanes>(first, last, carried ? before(0) : Op::identity(), load, store);
        }
      } else if constexpr (Strip == 1) {
        if constexpr (Stage == 1) {
          scratch[split * rows + row] = cascade(first, last, 1, Op::identity(), Op::combine, load);
        } else {
          Acc acc = load(first);
          if (carried) acc = Op::combine(before(0), acc);
          store(first, acc);
          for (i64 i = first + 1; i < last; ++i) store(i, acc = Op::combine(acc, load(i)));
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
    if constexpr (Lanes == 1) {
      for (i64 item : work_items(items)) item_done(item);
    } else {
      for (i64 item = blockIdx.x; item < items; item += gridDim.x) item_done(item);
    }
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
