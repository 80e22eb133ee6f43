// out[i] = finish(combine over j <= i of load(in[j])) along one axis: cumulative sums, and any other functor's.
//
// The operations are those of reductions.cuh. A row is what is scanned: `inner` of them stand side by side, `outer` axes
// go over the rest. In `scan` a block of Lanes threads does a row in tiles of shared memory; where Lanes is 1, a thread
// does Strip rows side by side: 1 on the GPU, where neighbouring threads take neighbouring rows, more where the compiler
// is to vectorise. For threads, few long rows are cut into `splits` runs: a first launch leaves each run's total in
// scratch memory, a second one scans the totals, and a third one scans the runs, each from what comes before it.
// In `scan_chained` the tiles of a row are done by different blocks in one pass over the memory: see there.
// In which order items are combined depends on the plan alone, so a result has the same bits on every run.
#pragma once
#include "warps.cuh"
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

// Items that a thread keeps of a tile. Odd, so that threads' first items lie in different banks of shared memory.
template <class Acc> inline constexpr int scan_items = sizeof(Acc) <= 8 ? 15 : 7;
template <class Acc, int Lanes> inline constexpr i64 scan_tile = Lanes * scan_items<Acc>;

// A tile of a block of Lanes threads, in shared memory.
template <class Op, int Lanes> struct Tile {
  using Acc = typename Op::Acc;
  static constexpr int each = scan_items<Acc>, size = Lanes * each;
  Acc (&items)[size];
  Acc (&totals)[Lanes / 32];
  i64 first, count;

  // Loads the items and scans each thread's; returns what its thread's items and those before it are together.
  template <class Load> __device__ Acc load(Load load) const {
    const int thread = threadIdx.x;
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const int at = thread + k * Lanes;
      items[at] = at < count ? load(first + at) : Op::identity();
    }
    __syncthreads();
    Acc* const own = items + thread * each;
    Acc acc = own[0];
#pragma unroll
    for (int k = 1; k < each; ++k) own[k] = acc = Op::combine(acc, own[k]);
    acc = reductions::up_to_lane<Op>(acc);
    if (thread % 32 == 31) totals[thread / 32] = acc;
    __syncthreads();
    Acc before = totals[0];
    for (int warp = 1; warp < thread / 32; ++warp) before = Op::combine(before, totals[warp]);
    return thread < 32 ? acc : Op::combine(before, acc);
  }
  __device__ Acc total() const {
    Acc acc = totals[0];
#pragma unroll
    for (int warp = 1; warp < Lanes / 32; ++warp) acc = Op::combine(acc, totals[warp]);
    return acc;
  }
  // Stores the items after `carry`, with `upto` as load() returned it.
  template <class Store> __device__ void store(Acc carry, Acc upto, Store store) const {
    const int thread = threadIdx.x;
    Acc before = reductions::from_lane<true>(upto, 1);
    if (thread % 32 == 0 && thread) {
      before = totals[0];
      for (int warp = 1; warp < thread / 32; ++warp) before = Op::combine(before, totals[warp]);
    }
    before = thread ? Op::combine(carry, before) : carry;
    Acc* const own = items + thread * each;
#pragma unroll
    for (int k = 0; k < each; ++k) own[k] = Op::combine(before, own[k]);
    __syncthreads();
#pragma unroll
    for (int k = 0; k < each; ++k) {
      const int at = thread + k * Lanes;
      if (at < count) store(first + at, items[at]);
    }
    __syncthreads();
  }
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
template <class Op, class In, class Loop, class Out, int NOuter, int Lanes, int Strip, int Stage>
__global__ void scan(Scan<NOuter> p) {
  using Acc = typename Op::Acc;
  static_assert(Stage >= 0 && Stage <= 3, "a scan has one stage, or three");
  static_assert(!Op::in_order || (Lanes == 1 && Stage == 0), "one thread goes through the items in order");
  static_assert(Lanes == 1 || (Strip == 1 && Stage == 0), "a block does one row at a time, and all of it");
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
      if constexpr (Lanes > 1) {
        __shared__ Acc shared[scan_tile<Acc, Lanes>];
        __shared__ Acc totals[Lanes / 32];
        Acc carry = Op::identity();
        for (i64 at = first; at < last; at += scan_tile<Acc, Lanes>) {
          const Tile<Op, Lanes> tile{shared, totals, at, last - at};
          const Acc upto = tile.load(load), total = tile.total();
          tile.store(carry, upto, store);
          carry = Op::combine(carry, total);
        }
      } else if constexpr (Strip == 1) {
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

// ---- one pass over long rows ------------------------------------------------------------------------------------------
// Blocks take tiles in order. Each publishes its tile's total, and finds what comes before the tile from what the blocks
// before it published (decoupled look-back). So that sums have the same bits on every run, the totals are put together
// in a tree that does not depend on who came when: 32 tiles are a group, 32 groups a section. The last tile of a group
// publishes the group's total; the last tile of a section, everything up to its end, the only chain there is.
struct Chain {
  i64 tiles, groups, sections, words;  // of a row; words: of what is published

  __device__ Chain(i64 length, i64 tile)
      : tiles((length + tile - 1) / tile), groups(tiles / 32 + 1), sections(groups / 32 + 1), words(tiles + groups + sections) {}
};

// Nothing is published.
template <class Op, class In, class Loop, class Out, int NOuter, int Lanes> __global__ void scan_begin(Scan<NOuter> p) {
  const Chain chain(p.length, scan_tile<typename Op::Acc, Lanes>);
  unsigned* const flags = accumulators<unsigned>(p);
  for (i64 i : work_items(p.outer * p.inner * chain.words)) flags[i] = 0;
}

namespace reductions {

template <class Acc> struct Published {
  unsigned* flags;
  Acc* values;

  __device__ void publish(i64 i, Acc value) const {
    values[i] = value;
    __threadfence();
    *const_cast<volatile unsigned*>(flags + i) = 1;
  }
  __device__ Acc wait(i64 i) const {
    while (!*const_cast<volatile unsigned*>(flags + i)) pause();
    __threadfence();
    return values[i];
  }
};

}  // namespace reductions

template <class Op, class In, class Loop, class Out, int NOuter, int Lanes> __global__ void scan_chained(Scan<NOuter> p) {
  using Acc = typename Op::Acc;
  static_assert(!Op::in_order, "one thread goes through the items in order");
  __shared__ Acc shared[scan_tile<Acc, Lanes>];
  __shared__ Acc totals[Lanes / 32], carried;
  __shared__ i64 taken;
  const int thread = threadIdx.x;
  const Chain chain(p.length, scan_tile<Acc, Lanes>);
  const i64 rows = p.outer * p.inner, flags = (rows * chain.words + 7) / 8 * 8;
  unsigned* const counters = reinterpret_cast<unsigned*>(p.scratch);
  unsigned* const first_flag = accumulators<unsigned>(p);
  const reductions::Published<Acc> all{first_flag, reinterpret_cast<Acc*>(first_flag + flags)};
  while (true) {
    if (thread == 0) taken = reductions::take_number(counters);
    __syncthreads();
    const i64 number = taken;
    if (number >= rows * chain.tiles) break;
    const i64 row = number / chain.tiles, own = number - row * chain.tiles;
    const i64 at = row / p.inner, side = row - at * p.inner;
    const u64 in = p.in + offset_of(at, p.shape, p.strides[0]) + side * p.in_inner;
    const u64 out = p.out + offset_of(at, p.shape, p.strides[1]) + side * p.out_inner;
    const i64 first = own * scan_tile<Acc, Lanes>;
    const Tile<Op, Lanes> tile{shared, totals, first, p.length - first};
    const Acc upto = tile.load([&](i64 i) {
      return Op::load(convert<Loop>(*reinterpret_cast<const In*>(in + i * p.in_step)), i);
    });
    if (thread < 32) {
      const i64 tiles = row * chain.words, groups = tiles + chain.tiles, sections = groups + chain.groups;
      const i64 group = own / 32, section = group / 32;
      const int in_group = int(own % 32), in_section = int(group % 32);
      const Acc total = tile.total();
      if (thread == 0) all.publish(tiles + own, total);
      Acc before = thread < in_group ? all.wait(tiles + group * 32 + thread) : Op::identity();
      before = reductions::of_lanes<Op>(before, 32);
      const Acc whole = Op::combine(before, total);
      if (thread == 0 && in_group == 31) all.publish(groups + group, whole);
      Acc above = thread < in_section ? all.wait(groups + section * 32 + thread) : Op::identity();
      above = reductions::of_lanes<Op>(above, 32);
      if (thread == 0) {
        if (section) above = Op::combine(all.wait(sections + section), above);
        if (in_group == 31 && in_section == 31) all.publish(sections + section + 1, Op::combine(above, whole));
        carried = Op::combine(above, before);
      }
    }
    __syncthreads();
    tile.store(carried, upto, [&](i64 i, Acc acc) {
      *reinterpret_cast<Out*>(out + i * p.out_step) = Op::template finish<Out>(acc, i + 1);
    });
  }
  if (thread == 0) reductions::leave_numbers(counters);
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
