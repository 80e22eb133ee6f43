// Reductions for targets with many threads a block: out[k] = finish(combine over r of load(in[k, r])), in one launch.
//
// Three kernels, by where an output's items stand:
//   reduce          side by side, or anywhere: a block an output's run of items, or a few lanes of a warp an output
//   reduce_columns  items of neighbouring outputs stand side by side: a block a strip of outputs
//   reduce_flat     the same for so few outputs that a row of them is less than what a warp reads
// All read Pack-s of 16 bytes where items stand so, several of them before the first is used. A block that finishes the
// last of an output's runs combines what all of them left in scratch memory, in the order of the runs.
#pragma once
#include "warps.cuh"

namespace ca {
namespace reductions {

inline constexpr int block_threads = 256, in_flight = 4, chain = 32;
// Packs that a thread reads before it uses the first: fewer of many items, which are much code.
template <class In> inline constexpr int packs_in_flight = sizeof(In) == 1 ? 2 : in_flight;

template <class In, int Items> struct alignas(sizeof(In) * Items) Pack { In item[Items]; };
template <class In> inline constexpr int pack_items = sizeof(In) < 16 ? 16 / int(sizeof(In)) : 1;
// Where each item of a pack has an accumulator of its own, they must fit in registers and in shared memory. What becomes
// of eight items at once takes more registers than there are where an accumulator is more than a number.
template <class Op, class In> __device__ constexpr int column_items() {
  constexpr int most = Op::finds_place || Op::of_moments ? 4 : 8;
  int items = pack_items<In> < most ? pack_items<In> : most;
  while (items * int(sizeof(typename Op::Acc)) * block_threads > 32768) items /= 2;
  return items;
}
// Rows that a thread reads at once, of at most so many.
template <class Op, class In> __device__ constexpr int column_rows(int most) {
  return Op::of_moments || sizeof(typename Op::Acc) > 16 || column_items<Op, In>() > 4 ? most / 2 : most;
}

// A quotient of two numbers that an Index holds: one of 64 bits takes a hundred instructions.
template <class Index> __device__ inline i64 divided(i64 a, i64 b) { return i64(Index(a) / Index(b)); }

// One load of all items, of global memory that nobody writes to meanwhile: as the integers that the GPU has load
// instructions for. Of an address that is a number, the compiler would have to ask each time what memory it is of.
template <class Word> __device__ inline Word load_word(u64 at) {
  Word word;
#if CA_ON_DEVICE
  if constexpr (sizeof(Word) == 16)
    asm("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];" : "=r"(word.x), "=r"(word.y), "=r"(word.z), "=r"(word.w) : "l"(at));
  else if constexpr (sizeof(Word) == 8) asm("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(word.x), "=r"(word.y) : "l"(at));
  else asm("ld.global.nc.u32 %0, [%1];" : "=r"(word) : "l"(at));
#else
  memcpy(&word, reinterpret_cast<const void*>(at), sizeof(Word));
#endif
  return word;
}
// One store of all of it, which the compiler would take apart.
template <class Word> __device__ inline void store_word(u64 at, const void* from) {
  Word word;
  memcpy(&word, from, sizeof(Word));
#if CA_ON_DEVICE
  if constexpr (sizeof(Word) == 16)
    asm volatile("st.global.v4.u32 [%0], {%1, %2, %3, %4};"
                 :: "l"(at), "r"(word.x), "r"(word.y), "r"(word.z), "r"(word.w) : "memory");
  else if constexpr (sizeof(Word) == 8)
    asm volatile("st.global.v2.u32 [%0], {%1, %2};" :: "l"(at), "r"(word.x), "r"(word.y) : "memory");
  else asm volatile("st.global.u32 [%0], %1;" :: "l"(at), "r"(word) : "memory");
#else
  memcpy(reinterpret_cast<void*>(at), &word, sizeof(Word));
#endif
}
template <class In, int Items> __device__ inline Pack<In, Items> load_pack(u64 at) {
  constexpr int bytes = sizeof(In) * Items;
  Pack<In, Items> pack;
  if constexpr (bytes == 16) {
    const uint4 words = load_word<uint4>(at);
    memcpy(&pack, &words, bytes);
  } else if constexpr (bytes == 8) {
    const uint2 words = load_word<uint2>(at);
    memcpy(&pack, &words, bytes);
  } else if constexpr (bytes == 4) {
    const unsigned word = load_word<unsigned>(at);
    memcpy(&pack, &word, bytes);
  } else {
    pack = *reinterpret_cast<const Pack<In, Items>*>(at);
  }
  return pack;
}

// Of part[First] ... part[First + Count - 1]. Indices are constants: an array with others would not be in registers.
template <class Op, int First, int Count, int N>
__device__ inline typename Op::Acc of_tree(const typename Op::Acc (&part)[N]) {
  if constexpr (Count == 1) return part[First];
  else return Op::combine(of_tree<Op, First, Count / 2>(part), of_tree<Op, First + Count / 2, Count - Count / 2>(part));
}

template <int First, int Count, class T, int N> __device__ inline T sum_of(const T (&part)[N]) {
  if constexpr (Count == 1) return part[First];
  else return sum_of<First, Count / 2>(part) + sum_of<First + Count / 2, Count - Count / 2>(part);
}
template <class Real, class Value> __device__ inline Real plus_square(Real sum, Value x) {
  if constexpr (is_complex<Value>) return fma(x.re, x.re, fma(x.im, x.im, sum));
  else return fma(x, x, sum);
}

// What a thread gathers from some hundred items, before it combines that with an accumulator: mostly one, too.
template <class Op, bool Moments> struct gathered { using type = typename Op::Acc; };
template <class Op> struct gathered<Op, true> { using type = typename Op::Part; };
template <class Op> using part_t = typename gathered<Op, Op::of_moments>::type;

template <class Op> __device__ inline part_t<Op> no_items() {
  if constexpr (Op::of_moments) return {};
  else return Op::identity();
}
template <class Op> __device__ inline typename Op::Acc combine_part(typename Op::Acc acc, part_t<Op> part) {
  if constexpr (!Op::of_moments) return Op::combine(acc, part);
  else if (part.count == 0) return acc;
  else return acc.count == 0 ? Op::whole(part) : Op::combine(acc, Op::whole(part));
}

// The same of N outputs side by side. AsMany: all have as many items, so that moments need one division for all of them.
template <class Op, bool AsMany> inline constexpr bool shares_divisions = Op::of_moments && !Op::skips_nan && AsMany;
template <class Op, bool AsMany, int N>
__device__ inline void combine_all(typename Op::Acc (&acc)[N], const typename Op::Acc (&other)[N]) {
  if constexpr (shares_divisions<Op, AsMany>) {
    const double share = Op::share_of(acc[0], other[0]);
#pragma unroll
    for (int j = 0; j < N; ++j) acc[j] = Op::combine(acc[j], other[j], share);
  } else {
#pragma unroll
    for (int j = 0; j < N; ++j) acc[j] = Op::combine(acc[j], other[j]);
  }
}
template <class Op, bool AsMany, int N>
__device__ inline void combine_parts(typename Op::Acc (&acc)[N], const part_t<Op> (&part)[N]) {
  if constexpr (shares_divisions<Op, AsMany>) {
    if (part[0].count == 0) return;
    const auto share = Op::share_of(part[0]);
    typename Op::Acc whole[N];
#pragma unroll
    for (int j = 0; j < N; ++j) whole[j] = Op::whole(part[j], share);
    if (acc[0].count == 0) {
#pragma unroll
      for (int j = 0; j < N; ++j) acc[j] = whole[j];
    } else {
      combine_all<Op, AsMany>(acc, whole);
    }
  } else {
#pragma unroll
    for (int j = 0; j < N; ++j) acc[j] = combine_part<Op>(acc[j], part[j]);
  }
}

// Blocks that are to be resident, which bounds the registers of a thread: fewer where N outputs a thread take many. Few: no
// more accumulators than these are needed, see reduce_columns.
template <class Op, class In, int Blocks, bool Few> __device__ constexpr int resident_blocks() {
  constexpr int N = column_items<Op, In>();
  if (!Few) return Blocks > 2 && N * sizeof(typename Op::Acc) >= 64 ? 2 : Blocks;
  return N > 4 && Blocks > 2 ? Blocks - 1 : Blocks;
}
template <class Op, class In, int Blocks, bool Few> inline constexpr int resident = resident_blocks<Op, In, Blocks, Few>();

// As many blocks of whole outputs as are launched for each processor (REDUCE.blocks in _tuning.py): none comes later.
template <class Op, bool Whole> inline constexpr int resident_whole = !Whole ? 1 : sizeof(part_t<Op>) <= 32 ? 4 : 2;

struct EveryItem {
  __device__ constexpr bool operator()(int) const { return true; }
};

// Adds those of N items that are there; item q has the number place(q), greater than those that came before.
template <class Op, class Loop, int N, class Place, class Centre, class There = EveryItem>
__device__ inline void add(part_t<Op>& part, const Loop (&item)[N], Place place, Centre centre, There there = {}) {
  if constexpr (Op::finds_place) {
#pragma unroll
    for (int q = 0; q < N; ++q) {
      const auto value = convert<typename Op::Value>(item[q]);
      const bool better = there(q) && Op::better(value, part.value);
      part.value = better ? value : part.value;
      part.place = better ? decltype(part.place)(place(q)) : part.place;
    }
  } else if constexpr (Op::of_moments) {
    using Value = typename Op::Value;
    Value distance[N];
    if constexpr (!Op::skips_nan && is_same_v<There, EveryItem>) {
      part.centre = part.count == 0 ? convert<Value>(item[0]) : part.centre;
      part.count += N;
#pragma unroll
      for (int q = 0; q < N; ++q) distance[q] = convert<Value>(item[q]) - part.centre;
    } else {
#pragma unroll
      for (int q = 0; q < N; ++q) {
        const Value value = convert<Value>(item[q]);
        const bool counts = there(q) && !(Op::skips_nan && missing(item[q]));
        part.centre = counts && part.count == 0 ? value : part.centre;
        part.count += counts;
        distance[q] = counts ? value - part.centre : Value(0);
      }
    }
    auto squares = square_of(distance[0]);
#pragma unroll
    for (int q = 1; q < N; ++q) squares = plus_square(squares, distance[q]);
    part.squares += squares;
    part.sum = part.sum + sum_of<0, N>(distance);
  } else {
    // In a tree: chains of additions would have to wait for each other.
    typename Op::Acc own[N];
#pragma unroll
    for (int q = 0; q < N; ++q) {
      if constexpr (Op::centred) own[q] = Op::load(item[q], 0, centre);
      else own[q] = Op::load(item[q], place(q));
      own[q] = there(q) ? own[q] : Op::identity();
    }
    part = Op::combine(part, of_tree<Op, 0, N>(own));
  }
}

// Thread 0 gets what all threads of the block have, combined.
template <class Op> __noinline__ __device__ typename Op::Acc of_block(typename Op::Acc acc) {
  using Acc = typename Op::Acc;
  constexpr int warps = block_threads / 32;
  __shared__ Acc shared[warps];
  const int thread = threadIdx.x;
  acc = of_lanes<Op>(acc, 32);
  if (thread % 32 == 0) shared[thread / 32] = acc;
  __syncthreads();
  if (thread < 32) acc = of_lanes<Op>(thread < warps ? shared[thread] : Op::identity(), warps);
  __syncthreads();
  return acc;
}

// What an output, or a strip of them, needs to be told of: the runs that are done, and in the highest bit that its
// result is settled.
__device__ inline bool was_settled(u64 scratch, i64 which) {
  return *reinterpret_cast<const volatile unsigned*>(scratch + which * sizeof(unsigned)) >> 31;
}
__device__ inline void tell_settled(u64 scratch, i64 which) {
  atomicOr(reinterpret_cast<unsigned*>(scratch) + which, 1u << 31);
}

// Whether this block was the last of `splits`; to be asked by all threads, after they have written their accumulators.
// One thread's fences hold for what all have written or will read, as it meets them at barriers before and after.
__noinline__ __device__ inline bool is_last_block(u64 scratch, i64 which, i64 splits) {
  __shared__ int last;
  __syncthreads();
  if (threadIdx.x == 0) last = is_last_run(scratch, which, splits);
  __syncthreads();
  const bool result = last;
  __syncthreads();
  return result;
}

template <class Op> __device__ inline void set_first(part_t<Op>& part, i64 r) {
  if constexpr (Op::finds_place)  // all of a thread's items are the worst value: the first has it
    if (part.place < 0) part.place = decltype(part.place)(r);
}

// The items of one output, in the order of their numbers.
template <class Op, class In, class Loop, class Index, int NReduce, int Operands> struct Items {
  const i64 (&shape)[NReduce];
  const i64 (&strides)[Operands][NReduce];
  u64 in, mask;
  typename Op::Centre centre;

  __device__ u64 address(i64 r) const { return in + offset_of(Index(r), shape, strides[0]); }
  __device__ bool there(i64 r) const {
    if constexpr (Operands == 2) return *reinterpret_cast<const bool*>(mask + offset_of(Index(r), shape, strides[1]));
    else return true;
  }
  __device__ void add_one(part_t<Op>& part, i64 r) const {
    if (!there(r)) return;
    const Loop item[1] = {convert<Loop>(*reinterpret_cast<const In*>(address(r)))};
    add<Op>(part, item, [&](int) { return r; }, centre);
  }
  // Count packs of N items, which begin at r and are `step` apart.
  template <int N, int Count> __device__ void add_packs(part_t<Op>& part, i64 r, i64 step) const {
    Pack<In, N> pack[Count];
    Loop item[Count * N];
#pragma unroll
    for (int u = 0; u < Count; ++u) pack[u] = load_pack<In, N>(address(r + u * step));
#pragma unroll
    for (int u = 0; u < Count; ++u)
#pragma unroll
      for (int j = 0; j < N; ++j) item[u * N + j] = convert<Loop>(pack[u].item[j]);
    add<Op>(part, item, [&](int q) { return r + q / N * step + q % N; }, centre);
  }
  // A block's packs of N items from `first` on, in chains that are combined: rounding errors grow with their number.
  template <int N, class P>
  __device__ void add_packs_of_block(typename Op::Acc& acc, i64 first, i64 packs, const P& p, i64 k) const {
    constexpr int rounds = Op::settles ? 4 : chain;
    constexpr int count = packs_in_flight<In>;
    constexpr i64 step = i64(block_threads) * N, most = i64(block_threads) * count * rounds;
    const i64 thread = threadIdx.x;
    for (i64 base = 0; base < packs; base += most) {
      part_t<Op> part = no_items<Op>();
      const i64 stop = base + most < packs ? base + most : packs;
      i64 at = base + thread;
      const i64 r = first + at * N;
      const bool some = at < stop;
      for (; at + block_threads * (count - 1) < stop; at += block_threads * count)
        add_packs<N, count>(part, first + at * N, step);
      for (; at < stop; at += block_threads) add_packs<N, 1>(part, first + at * N, step);
      if (some) set_first<Op>(part, r);
      acc = combine_part<Op>(acc, part);
      if constexpr (Op::settles && !Op::finds_place) {
        int settled = Op::settled(acc);
        if (p.splits > 1 && thread == 0) settled |= was_settled(p.scratch, k);
        if (__syncthreads_or(settled)) break;
      }
    }
  }
  // A block's `count` items from `first` on, with a gap after `before` of them.
  __device__ void add_singles(typename Op::Acc& acc, i64 first, i64 before, i64 gap, i64 count) const {
    for (i64 base = threadIdx.x; base < count;) {
      part_t<Op> part = no_items<Op>();
      const i64 own = base < before ? first + base : first + base + gap;
      const i64 stop = base + block_threads * in_flight * chain;
#pragma unroll 4
      for (; base < count && base < stop; base += block_threads) add_one(part, base < before ? first + base : first + base + gap);
      if (Operands == 1) set_first<Op>(part, own);
      acc = combine_part<Op>(acc, part);
      if (Op::settles && !Op::finds_place)
        if (settled_now(acc)) break;
    }
  }
  static __device__ bool settled_now(const typename Op::Acc& acc) {
    if constexpr (Op::settles) return Op::settled(acc);
    else return false;
  }
  // Whether items can be read N at a time from addresses that a multiple of 16 bytes lies between.
  template <int N> __device__ bool in_packs() const {
    if (Operands == 2 || N == 1 || strides[0][NReduce - 1] != i64(sizeof(In))) return false;
    bool result = NReduce == 1 || shape[NReduce - 1] % N == 0;
#pragma unroll
    for (int d = 0; d + 1 < NReduce; ++d) result = result && strides[0][d] % 16 == 0;
    return result;
  }
};

}  // namespace reductions

// Whole: a block goes through a run of an output's items. Otherwise `lanes` neighbouring threads go through all items
// of an output, and through those of several outputs at once.
template <class Given, class In, class Loop, class Out, class Index, int NKeep, int NReduce, int Operands, bool Whole>
__global__ void __launch_bounds__(reductions::block_threads, reductions::resident_whole<Given, Whole>)
    reduce(Reduction<NKeep, NReduce, Operands> p) {
  await_previous();
  using namespace reductions;
  using Op = typename placed<Given, Index>::type;
  using Acc = typename Op::Acc;
  constexpr int N = pack_items<In>;
  const Acc start = start_of<Op, Loop>(p);
  auto items_of = [&](i64 k) {
    Items<Op, In, Loop, Index, NReduce, Operands> items{p.reduce_shape, p.reduce_strides, 0, 0, centre_of<Op>(p, k)};
    items.in = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
    if constexpr (Operands == 2) items.mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
    return items;
  };
  auto store = [&](i64 k, Acc acc) {
    if (!Op::in_order && p.has_initial) acc = Op::combine(start, acc);
    reinterpret_cast<Out*>(p.out)[k] = finished<Op, Out>(p, acc);
  };
  if constexpr (Op::in_order) {
    static_assert(!Whole, "one thread goes through the items in order");
    for (i64 k : work_items(p.kept)) {
      const auto items = items_of(k);
      Acc acc = start;
      for (i64 r = 0; r < p.reduced; ++r) items.add_one(acc, r);
      store(k, acc);
    }
  } else if constexpr (Whole) {
    const int thread = threadIdx.x;
    for (i64 item = blockIdx.x; item < p.kept * p.splits; item += gridDim.x) {
      const i64 k = divided<Index>(item, p.splits), split = item - k * p.splits;
      i64 first = split * p.run;
      const i64 last = first + p.run < p.reduced ? first + p.run : p.reduced;
      const auto items = items_of(k);
      Acc acc = Op::identity();
      i64 before = last - first, packs = 0;  // single items, then packs; single items after those
      if (items.template in_packs<N>()) {
        const i64 past = i64(items.address(first) & 15);
        const i64 least = past ? (16 - past) / i64(sizeof(In)) : 0;
        if (past % i64(sizeof(In)) == 0 && (NReduce == 1 || !past)) {
          if (least < before) before = least;
          packs = (last - first - before) / N;
        }
      }
      items.template add_packs_of_block<N>(acc, first + before, packs, p, k);
      items.add_singles(acc, first, before, packs * N, last - first - packs * N);
      acc = of_block<Op>(acc);
      if (p.splits > 1) {
        Acc* const left = accumulators<Acc>(p) + k * p.splits;
        if constexpr (Op::settles && !Op::finds_place)
          if (thread == 0 && Op::settled(acc)) tell_settled(p.scratch, k);
        if (thread == 0) left[split] = acc;
        if (!is_last_block(p.scratch, k, p.splits)) continue;
        acc = Op::identity();
        for (i64 i = thread; i < p.splits; i += block_threads) acc = Op::combine(acc, left[i]);
        acc = of_block<Op>(acc);
      }
      if (thread == 0) store(k, acc);
    }
  } else {
    const int lanes = int(p.lanes), lane = int(threadIdx.x) % lanes;
    const int each = int(blockDim.x) / lanes;
    const i64 groups = i64(gridDim.x) * each, group = i64(blockIdx.x) * each + int(threadIdx.x) / lanes;
    // All lanes of a warp go round as often: they meet in shuffles.
    const i64 warp_first = i64(blockIdx.x) * each + int(threadIdx.x) / 32 * 32 / lanes;
    for (i64 base = 0; base + warp_first < p.kept; base += groups * in_flight) {
      part_t<Op> part[in_flight];
      i64 k[in_flight];
      bool packed = true;
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        part[u] = no_items<Op>();
        k[u] = base + u * groups + group;
        const auto items = items_of(k[u] < p.kept ? k[u] : 0);
        packed = packed && items.template in_packs<N>() && items.address(0) % 16 == 0;
      }
      const i64 in_packs = packed ? p.reduced / N * N : 0;
      for (i64 r = i64(lane) * N; r < in_packs; r += i64(lanes) * N)
#pragma unroll
        for (int u = 0; u < in_flight; ++u) {
          if (k[u] >= p.kept) continue;
          items_of(k[u]).template add_packs<N, 1>(part[u], r, 0);
          set_first<Op>(part[u], r);
        }
      for (i64 r = in_packs + lane; r < p.reduced; r += lanes)
#pragma unroll
        for (int u = 0; u < in_flight; ++u) {
          if (k[u] >= p.kept) continue;
          items_of(k[u]).add_one(part[u], r);
          if (Operands == 1) set_first<Op>(part[u], r);
        }
#pragma unroll
      for (int u = 0; u < in_flight; ++u) {
        const Acc acc = of_lanes<Op>(combine_part<Op>(Op::identity(), part[u]), lanes);
        if (lane == 0 && k[u] < p.kept) store(k[u], acc);
      }
    }
  }
}

namespace reductions {

// Threads r * across + a of a block have accumulators of row r; those of row 0 get what all rows have, combined.
template <class Op, bool AsMany, int N> __device__ inline void of_rows(typename Op::Acc (&acc)[N], int across) {
  using Acc = typename Op::Acc;
  constexpr int most = block_threads / 2;
  __shared__ Acc shared[N * most];
  const int thread = threadIdx.x;
  for (int half = most; half >= across; half /= 2) {
    if (thread >= half && thread < 2 * half)
#pragma unroll
      for (int j = 0; j < N; ++j) shared[j * most + thread - half] = acc[j];
    __syncthreads();
    if (thread < half) {
      Acc other[N];
#pragma unroll
      for (int j = 0; j < N; ++j) other[j] = shared[j * most + thread];
      combine_all<Op, AsMany>(acc, other);
    }
    __syncthreads();
  }
}

// N results side by side: as packs where they stand at a multiple of a pack's bytes, and single ones up to `count`.
template <class Out, int N> __device__ inline void store_results(u64 at, const Out (&result)[N], i64 step, int count) {
  constexpr int bytes = sizeof(Out) * N, wide = bytes < 16 ? bytes : 16;
  if constexpr (N > 1 && (bytes == 4 || bytes == 8 || bytes % 16 == 0)) {
    if (count == N && step == 1 && at % wide == 0) {
      if constexpr (bytes == 4) {
        store_word<unsigned>(at, result);
      } else if constexpr (bytes == 8) {
        store_word<uint2>(at, result);
      } else {
        constexpr int each = 16 / sizeof(Out) ? 16 / sizeof(Out) : 1;
#pragma unroll
        for (int j = 0; j < N; j += each) store_word<uint4>(at + j * sizeof(Out), &result[j]);
      }
      return;
    }
  }
#pragma unroll
  for (int j = 0; j < N; ++j)
    if (j < count) reinterpret_cast<Out*>(at)[j * step] = result[j];
}

// The items of N outputs of a thread, `apart` bytes from each other; `have` of them exist. Whole: they can be read
// together, from the first one's address.
template <class Op, class In, class Loop, class Index, int NReduce, int Operands, int N> struct Strip {
  const i64 (&shape)[NReduce];
  const i64 (&strides)[Operands][NReduce];
  u64 in, mask;
  i64 apart, mask_apart;
  int have;
  bool whole;
  int down;
  const typename Op::Centre (&centre)[N];

  // Reads those of Count rows, `down` apart from r on, that there are before row `last`.
  template <int Count> __device__ void read(Pack<In, N> (&pack)[Count], Index r, Index last) const {
    const i64 step = down * strides[0][0];
    u64 from = in + i64(r) * strides[0][0];
    if (NReduce == 1 && whole && r + (Count - 1) * down < last) {
#pragma unroll
      for (int u = 0; u < Count; ++u, from += step) pack[u] = load_pack<In, N>(from);
      return;
    }
#pragma unroll
    for (int u = 0; u < Count; ++u, from += step) {
      pack[u] = {};
      if (r + u * down >= last) continue;
      if constexpr (NReduce > 1) from = in + offset_of(Index(r + u * down), shape, strides[0]);
      if (whole) {
        pack[u] = load_pack<In, N>(from);
      } else {
#pragma unroll
        for (int j = 0; j < N; ++j)
          pack[u].item[j] = *reinterpret_cast<const In*>(from + (j < have ? j * apart : 0));
      }
    }
  }
  // Adds these rows; Tail: those of them that there are.
  template <bool Tail, int Count>
  __device__ void add_rows(part_t<Op> (&part)[N], const Pack<In, N> (&pack)[Count], Index r, Index last) const {
    bool there[Count];
#pragma unroll
    for (int u = 0; u < Count; ++u) there[u] = !Tail || r + u * down < last;
#pragma unroll
    for (int j = 0; j < N; ++j) {
      Loop item[Count];
#pragma unroll
      for (int u = 0; u < Count; ++u) item[u] = convert<Loop>(pack[u].item[j]);
      const auto place = [&](int u) { return r + u * down; };
      if constexpr (Operands == 2) {
        bool open[Count];
#pragma unroll
        for (int u = 0; u < Count; ++u)
          open[u] = there[u] && *reinterpret_cast<const bool*>(mask + (j < have ? j * mask_apart : 0) +
                                                              offset_of(Index(r + u * down), shape, strides[1]));
        add<Op>(part[j], item, place, centre[j], [&](int u) { return open[u]; });
      } else if constexpr (Tail) {
        add<Op>(part[j], item, place, centre[j], [&](int u) { return there[u]; });
      } else {
        add<Op>(part[j], item, place, centre[j]);
      }
    }
  }
};

// The same where the rows follow each other: `round` items, which are whole rows, lie between packs.
template <class Op, class In, class Loop, int N> struct Stream {
  u64 in;
  i64 round;
  bool aligned;
  const typename Op::Centre (&centre)[N];

  // `row`: of each output, the row that the first pack has an item of.
  template <int Count> __device__ void add_packs(part_t<Op> (&part)[N], i64 at, const i64 (&row)[N], i64 rows) const {
    Pack<In, N> pack[Count];
#pragma unroll
    for (int u = 0; u < Count; ++u) {
      const u64 from = in + (at + u * round) * sizeof(In);
      if (aligned) {
        pack[u] = load_pack<In, N>(from);
      } else {
#pragma unroll
        for (int j = 0; j < N; ++j) pack[u].item[j] = reinterpret_cast<const In*>(from)[j];
      }
    }
#pragma unroll
    for (int j = 0; j < N; ++j) {
      Loop items[Count];
#pragma unroll
      for (int u = 0; u < Count; ++u) items[u] = convert<Loop>(pack[u].item[j]);
      const i64 r = row[j];
      add<Op>(part[j], items, [&](int u) { return r + u * rows; }, centre[j]);
      set_first<Op>(part[j], r);
    }
  }
};

}  // namespace reductions

// A block does a strip of `lanes` times N outputs side by side: a thread N of them, and every so many-th row, Most of
// them at once while the next ones are on the way; half as many where large accumulators take the registers. Blocks: so
// many are to be resident on a processor, which bounds the registers of a thread. Few: a thread has all rows, which are no
// more than a chain; then there is nothing to combine, and more blocks have registers enough.
template <class Given, class In, class Loop, class Out, class Index, int Most, int Blocks, bool Few, int NKeep, int NReduce, int Operands>
__global__ void __launch_bounds__(reductions::block_threads, reductions::resident<Given, In, Blocks, Few>)
    reduce_columns(Reduction<NKeep, NReduce, Operands> p) {
  await_previous();
  using namespace reductions;
  using Op = typename placed<Given, Index>::type;
  using Acc = typename Op::Acc;
  static_assert(!Op::in_order, "one thread goes through the items in order");
  constexpr int N = column_items<Op, In>(), Rows = column_rows<Op, In>(Most), rounds = in_flight * chain / Rows;
  constexpr bool as_many = Operands == 1;  // all outputs have all items, or a strip's threads have as many of each
  const Acc start = start_of<Op, Loop>(p);
  const int across = Few ? block_threads : int(p.lanes), down = Few ? 1 : block_threads / across;
  const int thread = threadIdx.x, lane = thread % across, line = thread / across;
  const i64 row = p.keep_shape[NKeep - 1], wide = i64(across) * N, strips = divided<Index>(row + wide - 1, wide);
  const i64 step = p.keep_strides[0][NKeep - 1];
  u64 misaligned = p.in;
#pragma unroll
  for (int d = 0; d + 1 < NKeep; ++d) misaligned |= u64(p.keep_strides[0][d]);
#pragma unroll
  for (int d = 0; d < NReduce; ++d) misaligned |= u64(p.reduce_strides[0][d]);
  const bool packed = Operands == 1 && N > 1 && step == i64(sizeof(In)) && misaligned % (sizeof(In) * N) == 0;
  const i64 pieces = (NKeep == 1 ? 1 : divided<Index>(p.kept, row)) * strips;

  const i64 splits = Few ? 1 : p.splits;
  for (i64 item = blockIdx.x; item < pieces * splits; item += gridDim.x) {
    const i64 piece = splits == 1 ? item : divided<Index>(item, splits), split = item - piece * splits;
    const i64 stack = NKeep == 1 ? 0 : divided<Index>(piece, strips);
    const i64 base = stack * row, column = (piece - stack * strips) * wide;
    const i64 first = split * p.run;
    const Index last = Index(first + p.run < p.reduced ? first + p.run : p.reduced);
    // Packs, or else single items whose neighbours belong to neighbouring threads.
    const bool whole = packed && column + wide <= row;
    const i64 own = column + (whole ? lane * N : lane), between = whole ? 1 : across;
    int have = 0;
#pragma unroll
    for (int j = 0; j < N; ++j) have += own + j * between < row;
    const i64 k = base + (have ? own : 0);
    typename Op::Centre centre[N];
    Acc acc[N];
#pragma unroll
    for (int j = 0; j < N; ++j) {
      centre[j] = centre_of<Op>(p, j < have ? k + j * between : 0);
      acc[j] = Op::identity();
    }
    Strip<Op, In, Loop, Index, NReduce, Operands, N> items{
        p.reduce_shape, p.reduce_strides, 0, 0, between * step, 0, have, whole, down, centre};
    items.in = p.in + offset_of(Index(k), p.keep_shape, p.keep_strides[0]);
    if constexpr (Operands == 2) {
      items.mask = p.mask + offset_of(Index(k), p.keep_shape, p.keep_strides[1]);
      items.mask_apart = between * p.keep_strides[1][NKeep - 1];
    }
    Index r = Index(first) + line;
    const Index own_first = r;
    // The next rows are on the way while these are added.
    reductions::Pack<In, N> pack[Rows], next[Rows];
    items.read(pack, r, last);
    while (r < last) {
      part_t<Op> part[N];
#pragma unroll
      for (int j = 0; j < N; ++j) part[j] = no_items<Op>();
#pragma unroll 1
      for (int round = 0; (Few || round < rounds) && r < last; ++round) {
        const Index after = r + Rows * down;
        // Where there are none there is nothing to wait for; but to tell takes registers.
        const bool more = sizeof(Acc) > 16 || after < last;
        if (more) items.read(next, after, last);
        if (after - down < last) items.template add_rows<false>(part, pack, r, last);
        else items.template add_rows<true>(part, pack, r, last);
        r = after;
        if (more)
#pragma unroll
          for (int u = 0; u < Rows; ++u) pack[u] = next[u];
      }
#pragma unroll
      for (int j = 0; j < N; ++j)
        if (Operands == 1) set_first<Op>(part[j], own_first);
      combine_parts<Op, as_many>(acc, part);
      bool settled = Op::settles;
      if constexpr (Op::settles)
#pragma unroll
        for (int j = 0; j < N; ++j) settled = settled && Op::settled(acc[j]);
      if (Few || settled) break;
    }
    if constexpr (!Few) of_rows<Op, as_many>(acc, across);
    if (splits > 1) {
      Acc* const left = accumulators<Acc>(p) + k;
      if (line == 0)
#pragma unroll
        for (int j = 0; j < N; ++j)
          if (j < have) left[split * p.kept + j * between] = acc[j];
      if (!is_last_block(p.scratch, piece, splits)) continue;
#pragma unroll
      for (int j = 0; j < N; ++j) acc[j] = Op::identity();
      for (i64 i = line; i < splits; i += down) {
        Acc other[N];
#pragma unroll
        for (int j = 0; j < N; ++j) other[j] = left[i * p.kept + (j < have ? j * between : 0)];
        combine_all<Op, as_many>(acc, other);
      }
      of_rows<Op, as_many>(acc, across);
    }
    if (line == 0) {
      Out result[N];
      if constexpr (shares_divisions<Op, as_many>)
#pragma unroll
        for (int j = 1; j < N; ++j) acc[j].count = acc[0].count;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        if (!Op::of_moments && p.has_initial) acc[j] = Op::combine(start, acc[j]);
        result[j] = finished<Op, Out>(p, acc[j]);
      }
      store_results(p.out + k * sizeof(Out), result, between, have);
    }
  }
}

// `kept` outputs side by side and no gaps between their rows: the input is read as it stands, by so many threads that
// each of them meets the same outputs in every round.
template <class Given, class In, class Loop, class Out, class Index, int NKeep, int NReduce, int Operands>
__global__ void reduce_flat(Reduction<NKeep, NReduce, Operands> p) {
  await_previous();
  using namespace reductions;
  using Op = typename placed<Given, Index>::type;
  using Acc = typename Op::Acc;
  static_assert(!Op::in_order && Operands == 1, "neither in order nor with a mask");
  constexpr int N = column_items<Op, In>();
  __shared__ Acc shared[N * block_threads];
  const Acc start = start_of<Op, Loop>(p);
  const int thread = threadIdx.x, columns = int(p.kept);
  int period = columns;  // packs after which the outputs come again
  for (int n = N; n > 1 && period % 2 == 0; n /= 2) period /= 2;
  const int threads = block_threads / period * period;
  const bool aligned = p.in % (sizeof(In) * N) == 0;  // the runs begin at multiples of N items
  typename Op::Centre centre[N];
#pragma unroll
  for (int j = 0; j < N; ++j) centre[j] = centre_of<Op>(p, (thread * N + j) % columns);

  for (i64 split = blockIdx.x; split < p.splits; split += gridDim.x) {
    const i64 first = split * p.run * columns;
    const i64 most = (p.reduced - split * p.run < p.run ? p.reduced - split * p.run : p.run) * columns;
    Acc acc[N];
#pragma unroll
    for (int j = 0; j < N; ++j) acc[j] = Op::identity();
    const i64 round = i64(threads) * N;  // items; whole rows
    i64 at = i64(thread) * N;
    if (thread >= threads) at = most;
    const Stream<Op, In, Loop, N> items{p.in + first * sizeof(In), round, aligned, centre};
    const i64 rows = threads * N / columns;  // of a round
    i64 row[N];
#pragma unroll
    for (int j = 0; j < N; ++j) row[j] = split * p.run + (thread * N + j) / columns;
    auto proceed = [&](int packs) {
      at += packs * round;
#pragma unroll
      for (int j = 0; j < N; ++j) row[j] += packs * rows;
    };
    while (at + N <= most) {
      part_t<Op> part[N];
#pragma unroll
      for (int j = 0; j < N; ++j) part[j] = no_items<Op>();
      int done = 0;
      for (; done < chain && at + round * (in_flight - 1) + N <= most; ++done, proceed(in_flight))
        items.template add_packs<in_flight>(part, at, row, rows);
      for (; done < chain && at + N <= most; ++done, proceed(1)) items.template add_packs<1>(part, at, row, rows);
      bool settled = Op::settles;
#pragma unroll
      for (int j = 0; j < N; ++j) {
        acc[j] = combine_part<Op>(acc[j], part[j]);
        if constexpr (Op::settles) settled = settled && Op::settled(acc[j]);
      }
      if (settled) at = most;
    }
#pragma unroll
    for (int j = 0; j < N; ++j)  // of a last pack that is not whole
      if (at + j < most) {
        const Loop item[1] = {convert<Loop>(reinterpret_cast<const In*>(p.in)[first + at + j])};
        part_t<Op> one = no_items<Op>();
        add<Op>(one, item, [&](int) { return row[j]; }, centre[j]);
        set_first<Op>(one, row[j]);
        acc[j] = combine_part<Op>(acc[j], one);
      }
#pragma unroll
    for (int j = 0; j < N; ++j) shared[thread * N + j] = acc[j];
    __syncthreads();
    // As many threads an output as there are, then one.
    const int teams = block_threads / columns, team = thread / columns, own = thread % columns;
    Acc total = Op::identity();
    if (team < teams)
      for (int i = team * columns + own; i < threads * N; i += teams * columns) total = Op::combine(total, shared[i]);
    __syncthreads();
    auto of_teams = [&] {
      shared[thread] = total;
      __syncthreads();
      if (team == 0)
        for (int i = 1; i < teams; ++i) total = Op::combine(total, shared[i * columns + own]);
      __syncthreads();
    };
    of_teams();
    if (p.splits > 1) {
      Acc* const left = accumulators<Acc>(p);
      if (team == 0) left[split * columns + own] = total;
      if (!is_last_block(p.scratch, 0, p.splits)) continue;
      total = Op::identity();
      if (team < teams)
        for (i64 i = team; i < p.splits; i += teams) total = Op::combine(total, left[i * columns + own]);
      of_teams();
    }
    if (team == 0) {
      if (p.has_initial) total = Op::combine(start, total);
      reinterpret_cast<Out*>(p.out)[own] = finished<Op, Out>(p, total);
    }
  }
}

}  // namespace ca
