// Scans along an axis for targets with many threads a block: out[i] = finish(combine over j <= i of load(in[j])).
//
// A team of threads takes a tile of a row in packs of 16 bytes, which it keeps in registers: lane after lane, so that
// what a warp reads or writes at once stands side by side. Three kernels:
//   scan_rows     a team a row, tile after tile: a few lanes of a warp, a warp, or a block
//   scan_chained  a block a tile, for rows that are too few to keep all blocks busy: in one pass over the memory
//   scan_totals   the totals of the runs that `scan` (scan.cuh) cuts rows into
// Which items are combined first depends on the plan alone, not on addresses or on who comes when, so a result has the
// same bits on every run.
#pragma once
#include "packs.cuh"
#include "scan.cuh"
#include "warps.cuh"

namespace ca {
namespace reductions {

inline constexpr int scan_threads = 256;  // of a block of teams that are smaller
// Items of a pack: of the wider type 16 bytes.
template <class In, class Out> __device__ constexpr int items_of_pack() {
  if (!in_one_access<In> || !in_one_access<Out>) return 1;
  return 16 / int(sizeof(In) > sizeof(Out) ? sizeof(In) : sizeof(Out));
}
template <class In, class Out> inline constexpr int scan_items = items_of_pack<In, Out>();
template <int Lanes> inline constexpr int threads_of_scan = Lanes > 32 ? Lanes : scan_threads;
// Blocks that are to be resident on a processor, which bounds the registers of a thread: fewer of accumulators that are
// large or have a flag, and of warps, each of which finds its own row.
template <class Op, int Lanes, int Blocks> __device__ constexpr int resident_scans_of() {
  using Acc = typename Op::Acc;
  if (sizeof(Acc) > 8) return (Blocks + 1) / 2;
  return Lanes > 32 && (is_floating<Acc> || is_integer<Acc>) ? Blocks : Blocks - Blocks / 4;
}
template <class Op, int Lanes, int Blocks> inline constexpr int resident_scans = resident_scans_of<Op, Lanes, Blocks>();

// A tile of a team of Lanes threads. Its items stand in memory as [warp][pack][lane][item].
template <class Op, class In, int N, int Lanes, int Packs> struct RowTile {
  using Acc = typename Op::Acc;
  static constexpr int each = Lanes < 32 ? Lanes : 32, size = Lanes * Packs * N;
  ca::Pack<In, N> pack[Packs];
  Acc before[Packs];  // what the warp has before each pack of this lane

  static __device__ int first_of(int u) {
    const int place = int(threadIdx.x) % Lanes;
    return ((place / each * Packs + u) * each + place % each) * N;
  }
  template <class Item> static __device__ bool in_packs(u64 at, i64 step) {
    return step == i64(sizeof(Item)) && at % (sizeof(Item) * N) == 0;
  }
  // `count` items, `step` bytes apart from `at` on.
  __device__ void load(u64 at, i64 step, int count) {
    const bool packed = in_packs<In>(at, step);
    if (packed && count == size) {
#pragma unroll
      for (int u = 0; u < Packs; ++u) pack[u].template load<0>(at + first_of(u) * sizeof(In));
      return;
    }
#pragma unroll
    for (int u = 0; u < Packs; ++u) {
      const int first = first_of(u);
      if (packed && first + N <= count) {
        pack[u].template load<0>(at + first * sizeof(In));
      } else {
        In item[N];
#pragma unroll
        for (int j = 0; j < N; ++j)
          item[j] = first + j < count ? *reinterpret_cast<const In*>(at + (first + j) * step) : In();
#pragma unroll
        for (int j = 0; j < N; ++j) pack[u].put(j, item[j]);
      }
    }
  }
  // Scans the lane's packs among those of its warp, or of its team if that is smaller; returns what all of them have.
  template <class Load> __device__ Acc scan(int count, Load load) {
    if (count == size) {
#pragma unroll
      for (int u = 0; u < Packs; ++u) {
        before[u] = load(pack[u].item(0));
#pragma unroll
        for (int j = 1; j < N; ++j) before[u] = Op::combine(before[u], load(pack[u].item(j)));
      }
    } else {
#pragma unroll
      for (int u = 0; u < Packs; ++u) {
        before[u] = Op::identity();
#pragma unroll
        for (int j = 0; j < N; ++j)
          if (first_of(u) + j < count) before[u] = Op::combine(before[u], load(pack[u].item(j)));
      }
    }
    up_to_lane<Op, each>(before);
    const bool leads = int(threadIdx.x) % each == 0;
    Acc running = Op::identity();
#pragma unroll
    for (int u = 0; u < Packs; ++u) {
      const Acc together = of_lane<each>(before[u], each - 1), others = from_lane<true>(before[u], 1);
      before[u] = leads ? running : Op::combine(running, others);
      running = Op::combine(running, together);
    }
    return running;
  }
  // Stores finish(what is combined up to an item), `carry` before the warp's items.
  template <class Out, class Load, class Finish>
  __device__ void store(u64 at, i64 step, int count, Acc carry, Load load, Finish finish) const {
    const bool packed = in_packs<Out>(at, step);
#pragma unroll
    for (int u = 0; u < Packs; ++u) {
      const int first = first_of(u);
      Acc acc = Op::combine(carry, before[u]);
      ca::Pack<Out, N> result;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        acc = Op::combine(acc, load(pack[u].item(j)));
        result.put(j, finish(acc));
      }
      if (packed && first + N <= count) {
        result.template store<0>(at + first * sizeof(Out));
      } else {
        u64 to = at + first * step;
#pragma unroll 1
        for (int j = first; j < first + N && j < count; ++j, to += step) {
          *reinterpret_cast<Out*>(to) = result.item(0);
          result.drop();
        }
      }
    }
  }
};

template <class Op, class Loop> struct LoadItem {
  template <class In> __device__ typename Op::Acc operator()(In item) const { return Op::load(convert<Loop>(item), 0); }
};
template <class Op, class Out> struct FinishItem {
  __device__ Out operator()(typename Op::Acc acc) const { return Op::template finish<Out>(acc, 0); }
};
struct AsItIs {
  template <class T> __device__ T operator()(T item) const { return item; }
};

// Scans a row of `length` items by a team of Lanes threads, all of which come here; as must all teams of a warp.
template <class Op, int N, int Lanes, int Packs, class In, class Out, class Load, class Finish>
__device__ inline void scan_row(
    u64 in, i64 in_step, u64 out, i64 out_step, i64 length, bool there, Load load, Finish finish) {
  using Acc = typename Op::Acc;
  using Tile = RowTile<Op, In, N, Lanes, Packs>;
  constexpr int warps = Lanes > 32 ? Lanes / 32 : 1;
  const int warp = int(threadIdx.x) / 32;
  Acc carry = Op::identity();
  int turn = 0;
  for (i64 first = 0; first < length; first += Tile::size, turn ^= 1) {
    const int count = !there ? 0 : length - first < Tile::size ? int(length - first) : Tile::size;
    Tile tile;
    tile.load(in + first * in_step, in_step, count);
    const Acc own = tile.scan(count, load);
    Acc before = carry;
    if constexpr (warps > 1) {
      __shared__ Acc totals[2][warps];  // in turn, so that a barrier a tile is enough
      if (threadIdx.x % 32 == 0) totals[turn][warp] = own;
      __syncthreads();
#pragma unroll
      for (int other = 0; other < warps; ++other) {
        if (other == warp) before = carry;
        carry = Op::combine(carry, totals[turn][other]);
      }
    } else {
      carry = Op::combine(carry, own);
    }
    tile.template store<Out>(out + first * out_step, out_step, count, before, load, finish);
  }
  if (warps > 1) __syncthreads();  // before the next row
}

}  // namespace reductions

template <class Op, class In, class Loop, class Out, int NOuter, int Lanes, int Packs, int Blocks>
__global__ void __launch_bounds__(reductions::threads_of_scan<Lanes>, reductions::resident_scans<Op, Lanes, Blocks>)
    scan_rows(Scan<NOuter> p) {
  await_previous();
  using namespace reductions;
  static_assert(!Op::in_order, "one thread goes through the items in order");
  constexpr int teams = Lanes > 32 ? 1 : scan_threads / Lanes;  // of a block; those of a warp go round as often
  const int own = Lanes > 32 ? 0 : int(threadIdx.x) % 32 / Lanes, warp_first = int(threadIdx.x) / Lanes - own;
  const i64 rows = p.outer * p.inner;
  const i64 first = i64(blockIdx.x) * teams + (Lanes > 32 ? 0 : warp_first);
  for (i64 base = first; base < rows; base += i64(gridDim.x) * teams) {
    const bool there = base + own < rows;
    const i64 row = there ? base + own : base, at = p.inner == 1 ? row : row / p.inner, side = row - at * p.inner;
    scan_row<Op, scan_items<In, Out>, Lanes, Packs, In, Out>(
        p.in + offset_of(at, p.shape, p.strides[0]) + side * p.in_inner, p.in_step,
        p.out + offset_of(at, p.shape, p.strides[1]) + side * p.out_inner, p.out_step, p.length, there,
        LoadItem<Op, Loop>{}, FinishItem<Op, Out>{});
  }
}

// Totals of split s and row r stand at [s * rows + r] of scratch memory: a warp a row.
template <class Op, int NOuter>
__global__ void __launch_bounds__(reductions::scan_threads) scan_totals(Scan<NOuter> p) {
  await_previous();
  using namespace reductions;
  using Acc = typename Op::Acc;
  const i64 rows = p.outer * p.inner, step = rows * i64(sizeof(Acc)), warps = scan_threads / 32;
  for (i64 row = blockIdx.x * warps + threadIdx.x / 32; row < rows; row += gridDim.x * warps) {
    const u64 at = u64(accumulators<Acc>(p) + row);
    scan_row<Op, 1, 32, 4, Acc, Acc>(at, step, at, step, p.splits, true, AsItIs{}, AsItIs{});
  }
}

// ---- one pass over long rows -----------------------------------------------------------------------------------------
// Blocks take tiles by their numbers. Each tells its tile's total, and finds what comes before the tile from what the
// blocks before it told (decoupled look-back). So that sums have the same bits on every run, the totals are put
// together in a tree that does not depend on who came when: 32 tiles are a group, 32 groups a section. The last tile of
// a group tells the group's total; the last tile of a section, everything up to its end, the only chain there is.
struct Chain {
  unsigned tiles, groups, notes;  // of a row; notes: of tiles, groups and sections

  __device__ Chain(i64 length, int tile)
      : tiles(unsigned((length + tile - 1) / tile)), groups(tiles / 32 + 1), notes(tiles + groups + groups / 32 + 1) {}
};

namespace reductions {

// Words that other blocks write or read meanwhile: past the L1 cache, each at once, in no order with others.
template <int Count> __device__ inline void write_words(u64* at, const u64 (&word)[Count]) {
#if CA_ON_DEVICE
  if constexpr (Count % 2 == 0) {
#pragma unroll
    for (int w = 0; w < Count; w += 2)
      asm volatile("st.relaxed.gpu.global.v2.u64 [%0], {%1, %2};" ::"l"(at + w), "l"(word[w]), "l"(word[w + 1])
                   : "memory");
  } else {
#pragma unroll
    for (int w = 0; w < Count; ++w)
      asm volatile("st.relaxed.gpu.global.u64 [%0], %1;" ::"l"(at + w), "l"(word[w]) : "memory");
  }
#else
  for (int w = 0; w < Count; ++w) const_cast<volatile u64*>(at)[w] = word[w];
#endif
}
template <int Count> __device__ inline void read_words(const u64* at, u64 (&word)[Count]) {
#if CA_ON_DEVICE
  if constexpr (Count % 2 == 0) {
#pragma unroll
    for (int w = 0; w < Count; w += 2)
      asm volatile("ld.relaxed.gpu.global.v2.u64 {%0, %1}, [%2];" : "=l"(word[w]), "=l"(word[w + 1]) : "l"(at + w)
                   : "memory");
  } else {
#pragma unroll
    for (int w = 0; w < Count; ++w)
      asm volatile("ld.relaxed.gpu.global.u64 %0, [%1];" : "=l"(word[w]) : "l"(at + w) : "memory");
  }
#else
  for (int w = 0; w < Count; ++w) word[w] = const_cast<const volatile u64*>(at)[w];
#endif
}

// What blocks tell each other: words of which half is a part of the value and half says that it is there. As a word is
// written at once, nobody sees one without the other, and no fence stands between them.
template <class Acc> struct Note {
  static constexpr int words = (int(sizeof(Acc)) + 3) / 4;
  u64 word[words];

  static __device__ void tell(u64* notes, unsigned which, Acc value) {
    unsigned part[words] = {};
    memcpy(part, &value, sizeof(Acc));
    u64 word[words];
#pragma unroll
    for (int w = 0; w < words; ++w) word[w] = u64(1) << 32 | part[w];
    write_words(notes + i64(which) * words, word);
  }
  __device__ void ask(const u64* notes, unsigned which) { read_words(notes + i64(which) * words, word); }
  __device__ bool there() const {
    u64 all = word[0];
#pragma unroll
    for (int w = 1; w < words; ++w) all &= word[w];
    return all >> 32;
  }
  __device__ Acc value() const {
    unsigned part[words];
#pragma unroll
    for (int w = 0; w < words; ++w) part[w] = unsigned(word[w]);
    Acc value;
    memcpy(&value, part, sizeof(Acc));
    return value;
  }
};

// For a warp: what comes before tile `own` of a row, whose total is told; in lane 0.
template <class Op> __device__ inline typename Op::Acc look_back(
    u64* notes, const Chain& chain, unsigned own, typename Op::Acc total) {
  using Acc = typename Op::Acc;
  using Told = Note<Acc>;
  const unsigned lane = threadIdx.x % 32, group = own / 32, section = group / 32;
  const unsigned groups = chain.tiles, sections = groups + chain.groups;
  const bool ends = own % 32 == 31;
  if (lane == 0) Told::tell(notes, own, total);
  // The tiles of the group; the groups of the section, and in the last lane, what comes before the section. What is not
  // there yet is asked for again, all at once.
  const unsigned other = lane < 31 ? groups + section * 32 + lane : sections + section;
  bool tile_open = lane < own % 32, above_open = lane < 31 ? lane < group % 32 : section > 0;
  Acc before = Op::identity(), above = before;
  for (bool grouped = false;; pause()) {
    Told tile, far;
    if (tile_open) tile.ask(notes, own - own % 32 + lane);
    if (above_open) far.ask(notes, other);
    if (tile_open && tile.there()) before = tile.value(), tile_open = false;
    if (above_open && far.there()) above = far.value(), above_open = false;
    if (!grouped && !__any_sync(0xffffffffu, tile_open)) {
      before = of_lanes<Op>(before, 32);
      if (lane == 0 && ends) Told::tell(notes, groups + group, Op::combine(before, total));
      grouped = true;
    }
    if (grouped && !__any_sync(0xffffffffu, above_open)) break;
  }
  above = of_lanes<Op>(above, 32);
  if (lane == 0 && ends && group % 32 == 31)
    Told::tell(notes, sections + section + 1, Op::combine(above, Op::combine(before, total)));
  return Op::combine(above, before);
}

}  // namespace reductions

template <class Op, class In, class Loop, class Out, int NOuter, int Lanes, int Packs, int Blocks>
__global__ void __launch_bounds__(Lanes, reductions::resident_scans<Op, Lanes, Blocks>)
    scan_chained(Scan<NOuter> p) {
  await_previous();
  using namespace reductions;
  using Acc = typename Op::Acc;
  using Tile = RowTile<Op, In, scan_items<In, Out>, Lanes, Packs>;
  static_assert(!Op::in_order, "one thread goes through the items in order");
  constexpr int warps = Lanes / 32, cleared_at_once = 4 * Lanes;
  __shared__ Acc totals[warps], carried;
  __shared__ unsigned taken;
  const int thread = threadIdx.x, warp = thread / 32;
  const Chain chain(p.length, Tile::size);
  const unsigned rows = unsigned(p.outer * p.inner), inner = unsigned(p.inner);
  unsigned* const counters = reinterpret_cast<unsigned*>(p.scratch);
  volatile unsigned* const cleared = counters + 2;
  u64* const notes = accumulators<u64>(p);
  const i64 words = i64(rows) * chain.notes * Note<Acc>::words;
  const unsigned clearings = unsigned((words + cleared_at_once - 1) / cleared_at_once);

  // The first numbers are to clear the notes: whoever has taken one does it at once, so all may wait for that.
  while (true) {
    if (thread == 0) taken = take_number(counters);
    __syncthreads();
    if (taken >= clearings) break;
    const i64 first = i64(taken) * cleared_at_once + thread;
#pragma unroll
    for (int i = 0; i < cleared_at_once; i += Lanes)
      if (first + i < words) notes[first + i] = 0;
    __threadfence();
    __syncthreads();
    if (thread == 0) atomicAdd(counters + 2, 1u);
  }
  bool clear = false;
  unsigned number = taken - clearings;
  // Neighbouring rows in turn, which may share sectors of the memory.
  while (number < rows * chain.tiles) {
    const unsigned own = rows == 1 ? number : number / rows, row = number - own * rows;
    const unsigned at = inner == 1 ? row : row / inner, side = row - at * inner;
    const i64 first = i64(own) * Tile::size, left = p.length - first;
    const int count = left < Tile::size ? int(left) : Tile::size;
    const u64 in = p.in + offset_of(at, p.shape, p.strides[0]) + side * p.in_inner + first * p.in_step;
    Tile tile;
    tile.load(in, p.in_step, count);
    const Acc of_warp = tile.scan(count, LoadItem<Op, Loop>{});
    if (thread % 32 == 0) totals[warp] = of_warp;
    __syncthreads();
    if (thread == Lanes - 1) taken = take_number(counters);
    Acc before = Op::identity();
#pragma unroll 1  // while the first warp waits for others
    for (int other = 0; other < warp; ++other) before = Op::combine(before, totals[other]);
#pragma unroll
    for (int u = 0; u < Packs; ++u) tile.before[u] = Op::combine(before, tile.before[u]);
    if (warp == 0) {
      if (!clear) {
        if (thread == 0)
          while (*cleared < clearings) pause();
        __threadfence();
        __syncwarp();
        clear = true;
      }
      Acc total = totals[0];
#pragma unroll
      for (int other = 1; other < warps; ++other) total = Op::combine(total, totals[other]);
      const Acc carry = look_back<Op>(notes + i64(row) * chain.notes * Note<Acc>::words, chain, own, total);
      if (thread == 0) carried = carry;
    }
    __syncthreads();
    number = taken - clearings;
    const u64 out = p.out + offset_of(at, p.shape, p.strides[1]) + side * p.out_inner + first * p.out_step;
    tile.template store<Out>(out, p.out_step, count, carried, LoadItem<Op, Loop>{}, FinishItem<Op, Out>{});
  }
  if (thread == 0 && leave_numbers(counters)) *cleared = 0;
}

}  // namespace ca
