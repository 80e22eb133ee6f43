// What the kernels of matrix products are made of whose threads read global memory themselves: sums of every type, copies
// of tiles into shared memory with several tiles under way, the order in which blocks walk over the result, and how sums
// are written. matmul_simt.cuh multiplies such tiles by ordinary instructions, matmul_mma.cuh by tensor cores.
#pragma once
#include "matmul.cuh"
#if !CA_ON_DEVICE
#include "host/async_copies.hpp"
#endif

namespace ca {

// A product whose inner extent is cut: block `split` of `splits` sums k's from split * chunk on. The sums of a cut
// product go to scratch memory, as [split][batch][row][column], and matmul_sum_splits adds them.
template <int NBatch> struct MatmulSplit : Matmul<NBatch> {
  i64 splits, chunk;
};

namespace tiles {

// ---- sums ---------------------------------------------------------------------------------------------------------
// Integers wrap around in 32 bits as in 8, once they are cut to these; unsigned, as signed ones must not overflow. A
// bool is a bit of them.
template <class T> struct sum { using type = accumulator_t<T>; };
template <> struct sum<bool> { using type = unsigned; };
template <> struct sum<signed char> { using type = unsigned; };
template <> struct sum<unsigned char> { using type = unsigned; };
template <> struct sum<short> { using type = unsigned; };
template <> struct sum<unsigned short> { using type = unsigned; };
template <> struct sum<int> { using type = unsigned; };
template <> struct sum<long> { using type = u64; };
template <class T> using sum_t = typename sum<T>::type;

// sum + a * b for operands of type T
template <class T, class S> __device__ CA_ALWAYS_INLINE S multiply_add(S a, S b, S sum) {
  if constexpr (is_bool<T>) return sum | (a & b);
  else if constexpr (is_floating<S>) return fma(a, b, sum);
  else if constexpr (is_complex<S>)
    return {fma(a.re, b.re, fma(-a.im, b.im, sum.re)), fma(a.re, b.im, fma(a.im, b.re, sum.im))};
  else return S(a * b + sum);
}
template <class T, class S> __device__ CA_ALWAYS_INLINE S add(S a, S b) {
  if constexpr (is_bool<T>) return a | b;
  else return a + b;
}

template <class T, int Count> struct alignas(sizeof(T) * Count) Vector {
  T item[Count];
};

// ---- memory ---------------------------------------------------------------------------------------------------------
#if CA_ON_DEVICE
extern __shared__ __align__(128) char dynamic_shared[];
__device__ inline char* shared_memory() { return dynamic_shared; }

// Copies of 4, 8 or 16 bytes from global to shared memory that go on while the thread does. Of the last bytes of one only
// `there` are read, the others become 0. Those before a commit() are done after wait<N>() if it was not one of the last N.
struct AsyncCopies {
  template <int Bytes> __device__ CA_ALWAYS_INLINE void start(void* to, const void* from, int there) {
    const unsigned at = unsigned(__cvta_generic_to_shared(to));
    if constexpr (Bytes == 16)
      asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16, %2;" ::"r"(at), "l"(from), "r"(there) : "memory");
    else asm volatile("cp.async.ca.shared.global [%0], [%1], %2, %3;" ::"r"(at), "l"(from), "n"(Bytes), "r"(there) : "memory");
  }
  template <int Bytes> __device__ CA_ALWAYS_INLINE void start(void* to, const void* from) {
    const unsigned at = unsigned(__cvta_generic_to_shared(to));
    if constexpr (Bytes == 16)
      asm volatile("cp.async.cg.shared.global.L2::128B [%0], [%1], 16;" ::"r"(at), "l"(from) : "memory");
    else asm volatile("cp.async.ca.shared.global [%0], [%1], %2;" ::"r"(at), "l"(from), "n"(Bytes) : "memory");
  }
  __device__ CA_ALWAYS_INLINE void commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
  template <int N> __device__ CA_ALWAYS_INLINE void wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory"); }
};
#else
inline char* shared_memory() { return static_cast<char*>(::ca::host::dynamic_shared()); }
using AsyncCopies = ::ca::host::AsyncCopies;
#endif

// One load, which stays where it is: before what happens until its value is needed.
template <class Value> __device__ CA_ALWAYS_INLINE Value load_now(u64 address) {
#if CA_ON_DEVICE
  if constexpr (sizeof(Value) >= 4) {
    unsigned word[sizeof(Value) / 4];
    if constexpr (sizeof(Value) == 16)
      asm volatile("ld.global.nc.v4.u32 {%0, %1, %2, %3}, [%4];"
                   : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "l"(address));
    else if constexpr (sizeof(Value) == 8)
      asm volatile("ld.global.nc.v2.u32 {%0, %1}, [%2];" : "=r"(word[0]), "=r"(word[1]) : "l"(address));
    else asm volatile("ld.global.nc.u32 %0, [%1];" : "=r"(word[0]) : "l"(address));
    Value value;
    memcpy(&value, word, sizeof(Value));
    return value;
  } else {
    return *global_pointer<const Value>(address);
  }
#else
  return *global_pointer<const Value>(address);
#endif
}

// The first `count` items of a vector, and then zeros. As integers: of classes NVVM makes a tree of cases that it does
// not come to the end of.
template <int Bytes> struct Bits { using type = u64; };
template <> struct Bits<1> { using type = unsigned char; };
template <> struct Bits<2> { using type = unsigned short; };
template <> struct Bits<4> { using type = unsigned; };
template <class T, int Items> __device__ CA_ALWAYS_INLINE Vector<T, Items> load_part(u64 address, i64 count) {
  if constexpr (sizeof(T) == 16) {
    return {{count > 0 ? *global_pointer<const T>(address) : convert<T>(0)}};
  } else {
    using Word = typename Bits<int(sizeof(T))>::type;
    Vector<Word, Items> word;
#pragma unroll
    for (int j = 0; j < Items; ++j) word.item[j] = j < count ? global_pointer<const Word>(address)[j] : Word(0);
    return bit_cast<Vector<T, Items>>(word);
  }
}

// How a block reads its tiles of an operand: vectors of so many items that lie side by side along k, or along the other
// axis (rows of a, columns of b). A vector of one needs no items side by side: it takes any strides.
template <bool AlongK, int Items, bool Async> struct Read {
  static constexpr bool along_k = AlongK, async = Async;
  static constexpr int items = Items;
};

// Reads the tiles of one operand, one after another along k: Extent rows (columns) by BK. Place says where an item
// (x, k) of a tile lies in shared memory (Place::index), and which axis is contiguous there (Place::along_k).
template <class T, class Stored, int Extent, int BK, int Threads, class How, class Place> class Reader {
  static constexpr int items = How::items, length = How::along_k ? BK : Extent, lines = How::along_k ? Extent : BK;
  static constexpr int line_vectors = length / items;
  static constexpr int across = line_vectors < Threads ? line_vectors : Threads;  // threads side by side on a line
  static constexpr int down = Threads / across;                                  // lines at once
  static constexpr int line_rounds = line_vectors / across, rounds = (lines + down - 1) / down;
  static constexpr int held = How::async ? 1 : rounds * line_rounds;
  static constexpr bool idle = lines % down != 0;     // some threads have nothing to do in the last round
  static constexpr bool turns = How::along_k != Place::along_k;
  static_assert(length % items == 0 && line_vectors % across == 0 && Threads % across == 0, "threads share a tile evenly");
  static_assert(items * sizeof(T) <= 16, "a vector is read by one instruction");
  static_assert(!How::async || (is_same_v<T, Stored> && items * sizeof(T) >= 4 && (items == 1 || !turns)),
                "asynchronous copies are of whole vectors, unchanged");

 public:
  static constexpr bool async = How::async;

  // Of the tile that begins at `base`; `extent` of its rows (columns) are there.
  __device__ CA_ALWAYS_INLINE Reader(u64 base, i64 x_stride, i64 k_stride, i64 extent) {
    const int thread = threadIdx.x;
    if constexpr (turns && spread) {
      // A warp takes a few vectors of many lines, so that its items are stored in different banks.
      const int lane = thread % 32, warp = thread / 32;
      line_ = warp / warps_across * (32 / lanes_across) + lane / lanes_across;
      begin_ = (warp % warps_across * lanes_across + lane % lanes_across) * items;
    } else {
      line_ = thread / across;
      begin_ = thread % across * items;
    }
    const i64 line_stride = How::along_k ? x_stride : k_stride;
    along_ = items > 1 ? i64(sizeof(T)) : How::along_k ? k_stride : x_stride;
    from_ = base + line_ * line_stride + begin_ * along_;
    line_step_ = down * line_stride;
    tile_step_ = BK * k_stride;
    extent_ = extent < Extent ? int(extent) : Extent;
    whole_ = extent >= Extent;
  }

  // Begins to read the next tile, of which k_left inner items are there, into `stage` or into registers.
  __device__ CA_ALWAYS_INLINE void fetch(Stored* stage, AsyncCopies& copies, int k_left) {
    if (whole_ && k_left >= BK) fetch<true>(stage, copies, BK);
    else fetch<false>(stage, copies, k_left < BK ? k_left : BK);
    from_ += tile_step_;
  }

  // Puts what is in registers into `stage`.
  __device__ CA_ALWAYS_INLINE void store(Stored* stage) const {
    if constexpr (!How::async) {
      each([&](int round, int line, int begin) {
        const Vector<T, items>& value = held_[round];
        const int x = How::along_k ? line : begin, k = How::along_k ? begin : line;
        if constexpr (turns) {
#pragma unroll
          for (int j = 0; j < items; ++j)
            stage[How::along_k ? Place::index(x, k + j) : Place::index(x + j, k)] = convert<Stored>(value.item[j]);
        } else {
          constexpr int most = 16 / int(sizeof(Stored)), together = items < most ? items : most;
#pragma unroll
          for (int j = 0; j < items; j += together) {
            Vector<Stored, together> converted;
#pragma unroll
            for (int i = 0; i < together; ++i) converted.item[i] = convert<Stored>(value.item[j + i]);
            *reinterpret_cast<Vector<Stored, together>*>(
                stage + (How::along_k ? Place::index(x, k + j) : Place::index(x + j, k))) = converted;
          }
        }
      });
    }
  }

 private:
  static constexpr int wanted_across = items >= 8 ? 1 : 8 / items;
  static constexpr int lanes_across = wanted_across < line_vectors ? wanted_across : line_vectors;
  static constexpr int warps_across = line_vectors / lanes_across;
  static constexpr bool spread = line_vectors <= Threads && line_vectors % lanes_across == 0 && Threads / 32 % warps_across == 0;

  template <class F> __device__ CA_ALWAYS_INLINE void each(F f) const {
#pragma unroll
    for (int i = 0; i < rounds; ++i)
#pragma unroll
      for (int j = 0; j < line_rounds; ++j) {
        const int line = line_ + i * down;
        if (!idle || line < lines) f(i * line_rounds + j, line, begin_ + j * across * items);
      }
  }
  // What belongs to one vector only: code for a tile's edges, which should not be long.
  template <class F> __device__ CA_ALWAYS_INLINE void each_in_turn(F f) const {
#pragma unroll 1
    for (int i = 0; i < rounds * line_rounds; ++i) {
      const int line = line_ + i / line_rounds * down;
      if (!idle || line < lines) f(i, line, begin_ + i % line_rounds * across * items);
    }
  }
  __device__ CA_ALWAYS_INLINE u64 address(int round) const {
    return from_ + round / line_rounds * line_step_ + round % line_rounds * (across * items) * along_;
  }
  __device__ CA_ALWAYS_INLINE int there(int line, int begin, int k_left) const {
    const int left = (How::along_k ? k_left : extent_) - begin;
    return line >= (How::along_k ? extent_ : k_left) || left <= 0 ? 0 : left < items ? left : items;
  }

  template <bool Whole> __device__ CA_ALWAYS_INLINE void fetch(Stored* stage, AsyncCopies& copies, int k_left) {
    constexpr int bytes = items * int(sizeof(T));
    const auto place = [&](int line, int begin) {
      return stage + Place::index(How::along_k ? line : begin, How::along_k ? begin : line);
    };
    if constexpr (How::async && Whole) {
      each([&](int round, int line, int begin) {
        copies.template start<bytes>(place(line, begin), global_pointer<const char>(address(round)));
      });
    } else if constexpr (How::async) {
      each_in_turn([&](int round, int line, int begin) {
        const int count = there(line, begin, k_left);
        if (items == 1 || count == 0 || count == items)
          copies.template start<bytes>(place(line, begin), global_pointer<const char>(address(round)), count * int(sizeof(T)));
        else  // a copy may read all of what it is asked for a part of
          *reinterpret_cast<Vector<T, items>*>(place(line, begin)) = load_part<T, items>(address(round), count);
      });
    } else {
      each([&](int round, int line, int begin) {
        if (Whole || there(line, begin, k_left) == items) held_[round] = load_now<Vector<T, items>>(address(round));
        else if (items == 1) held_[round] = {};
      });
      if constexpr (!Whole && items > 1)
        each([&](int round, int line, int begin) {
          const int count = there(line, begin, k_left);
          if (count < items) held_[round] = load_part<T, items>(address(round), count);
        });
    }
  }

  u64 from_;                        // of this thread's first vector
  i64 along_, line_step_, tile_step_;  // bytes
  int line_, begin_, extent_;
  bool whole_;
  Vector<T, items> held_[held];
};

// ---- the main loop --------------------------------------------------------------------------------------------------
// Multiplies so many tiles of both operands. While one is multiplied, Stages - 1 further ones are read, and with two
// buffers the fragments of the next step are on their way from shared memory to registers.
template <int Stages, int BK, class A, class B, class Compute, class Stored>
__device__ CA_ALWAYS_INLINE void multiply_tiles(A& a, B& b, Compute& compute, Stored* a_stages, Stored* b_stages, int k) {
  constexpr int steps = Compute::steps, a_size = Compute::a_size, b_size = Compute::b_size;
  constexpr bool ahead = Compute::buffers == 2, async = A::async || B::async;  // which capability 7.5 has not
  static_assert(Stages >= 2 && (!ahead || steps % 2 == 0), "two stages, and fragments that take turns evenly");
  AsyncCopies copies;
  int left = k;  // that is not under way
#pragma unroll 1
  for (int s = 0; s < Stages - 1; ++s, left -= BK) {
    if (left > 0) {
      a.fetch(a_stages + s * a_size, copies, left);
      b.fetch(b_stages + s * b_size, copies, left);
      a.store(a_stages + s * a_size);
      b.store(b_stages + s * b_size);
    }
    if constexpr (async) copies.commit();
  }
  if constexpr (async) copies.template wait<Stages - 2>();
  __syncthreads();
  if (k <= 0) return;
  if constexpr (ahead) compute.fetch(a_stages, b_stages, 0, 0);
  int read = 0, write = Stages - 1;
#pragma unroll 1
  for (int rest = k; rest > 0; rest -= BK, left -= BK) {
    const int next = read + 1 == Stages ? 0 : read + 1;
    if (left > 0) {
      a.fetch(a_stages + write * a_size, copies, left);
      b.fetch(b_stages + write * b_size, copies, left);
    }
    if constexpr (async) copies.commit();
    const Stored *const a_tile = a_stages + read * a_size, *const b_tile = b_stages + read * b_size;
#pragma unroll
    for (int step = 0; step < steps; ++step) {
      if constexpr (!ahead) compute.fetch(a_tile, b_tile, step, 0);
      else if (step + 1 < steps) compute.fetch(a_tile, b_tile, step + 1, (step + 1) % 2);
      if (step + 1 == steps) {
        if (left > 0) {
          a.store(a_stages + write * a_size);
          b.store(b_stages + write * b_size);
        }
        if constexpr (async) copies.template wait<Stages - 2>();
        __syncthreads();
        // After the last tile this reads what nobody needs.
        if constexpr (ahead) compute.fetch(a_stages + next * a_size, b_stages + next * b_size, 0, 0);
      }
      compute.multiply(ahead ? step % 2 : 0);
    }
    write = read;
    read = next;
  }
}

// ---- the result -----------------------------------------------------------------------------------------------------
// Which tile of the result a block computes, and from which part of k.
struct Position {
  i64 batch, split, row, col, k_begin;
  int k;
};

// Blocks that run at the same time should share rows and columns in the L2 cache: so they go down Group tiles, then on to
// the next column.
template <int BM, int BN, int NBatch> __device__ inline Position position(const MatmulSplit<NBatch>& p) {
  constexpr unsigned group = 8;
  const unsigned rows = unsigned((p.m + BM - 1) / BM), cols = unsigned((p.n + BN - 1) / BN), tiles = rows * cols;
  const unsigned stack = blockIdx.x / tiles, tile = blockIdx.x - stack * tiles;
  const unsigned first = tile / (group * cols) * group, within = tile - first * cols;
  const unsigned high = rows - first < group ? rows - first : group;
  const unsigned split = stack % unsigned(p.splits);
  const i64 begin = split * p.chunk, rest = p.k - begin;
  return {i64(stack / unsigned(p.splits)), i64(split), i64(first + within % high) * BM, i64(within / high) * BN, begin,
          int(rest < p.chunk ? rest : p.chunk)};
}

// Writes `Count` sums that stand side by side from (row, col) on, as far as they are there: to the result, or those of a
// part of k (Partial) to scratch memory.
template <bool Partial, class T, class Out, class Epilogue, int Count, class S, int NBatch>
__device__ CA_ALWAYS_INLINE void write(const MatmulSplit<NBatch>& p, const BatchOffsets& at, i64 batch, i64 split, i64 row,
                                       i64 col, const Vector<S, Count>& sum) {
  if (row >= p.m || col >= p.n) return;
  using Item = typename choose<Partial, S, Out>::type;
  const i64 before = Partial ? split * p.batches + batch : batch;
  const u64 to = (Partial ? p.scratch + after_counters : p.out) + ((before * p.m + row) * p.n + col) * i64(sizeof(Item));
  const auto item = [&](int j) {
    if constexpr (Partial) return sum.item[j];
    else
      return convert<Out>(Epilogue::template apply<Out>(p, convert<accumulator_t<T>>(sum.item[j]), at, row, col + j));
  };
  if constexpr (Count > 1 && sizeof(Item) * Count <= 16) {
    using Items = Vector<Item, Count>;
    if (col + Count <= p.n && to % sizeof(Items) == 0) {
      Items value;
#pragma unroll
      for (int j = 0; j < Count; ++j) value.item[j] = item(j);
      *global_pointer<Items>(to) = value;
      return;
    }
  }
#pragma unroll
  for (int j = 0; j < Count; ++j)
    if (col + j < p.n) global_pointer<Item>(to)[j] = item(j);
}

// Writes a tile by way of shared memory, where the stages were: rows are then written whole, and the code that makes an
// item of the result of a sum is there once, in a loop. Compute::put leaves a part
// of each warp's rows there: all of them, or if they do not fit as few as can be (Compute::passes).
template <bool Partial, class T, class Out, class Epilogue, int BM, int BN, int Threads, int StageBytes, class Compute,
          int NBatch>
__device__ CA_ALWAYS_INLINE void write_tile(const MatmulSplit<NBatch>& p, const BatchOffsets& batch, const Position& at,
                                            const Compute& compute) {
  using S = typename Compute::Sum;
  constexpr int pitch = BN + Compute::gap, bytes = BM * pitch * int(sizeof(S));
  constexpr int passes = bytes <= StageBytes ? 1 : Compute::passes;
  constexpr int warp_rows = Compute::warp_rows / passes, rows = BM / passes;
  constexpr int count = 16 / int(sizeof(S)), vectors = BN / count;
  S* const buffer = reinterpret_cast<S*>(shared_memory());
  constexpr int at_once = Compute::short_code ? 1 : passes;
#pragma unroll at_once
  for (int pass = 0; pass < passes; ++pass) {
    __syncthreads();
#pragma unroll
    for (int own = 0; own < passes; ++own)  // registers have no index
      if (own == pass) compute.template put<passes>(buffer, pitch, own);
    __syncthreads();
#pragma unroll 1
    for (int i = threadIdx.x; i < rows * vectors; i += Threads) {
      const int line = i / vectors, col = i % vectors * count;
      const int row = line / warp_rows * Compute::warp_rows + pass * warp_rows + line % warp_rows;
      write<Partial, T, Out, Epilogue>(p, batch, at.batch, at.split, at.row + row, at.col + col,
                                       *reinterpret_cast<const Vector<S, count>*>(buffer + line * pitch + col));
    }
  }
}

}  // namespace tiles

// The sums of a product whose inner extent was cut, always in the same order: a block of Across x Down threads adds up
// those of Across items, each thread every Down-th part, and one thread of each item what these have.
template <class T, class Out, class Epilogue, int Across, int Down, int NBatch>
__global__ void __launch_bounds__(Across* Down) matmul_sum_splits(MatmulSplit<NBatch> p) {
  using S = tiles::sum_t<T>;
  __shared__ S of_threads[Down > 1 ? Across * Down : 1];
  const i64 items = p.batches * p.m * p.n, item = i64(blockIdx.x) * Across + threadIdx.x;
  const u64 sums = p.scratch + after_counters + item * i64(sizeof(S));
  const int first = threadIdx.y, splits = int(p.splits);
  tiles::Vector<S, 1> sum = {{S(0)}};
  if (item < items) {
    if (first < splits) sum.item[0] = element<S>(sums, first * items * i64(sizeof(S)));
#pragma unroll 4
    for (int split = first + Down; split < splits; split += Down)
      sum.item[0] = tiles::add<T>(sum.item[0], element<S>(sums, split * items * i64(sizeof(S))));
  }
  if constexpr (Down > 1) {
    of_threads[first * Across + threadIdx.x] = sum.item[0];
    __syncthreads();
    if (first > 0) return;
#pragma unroll 4
    for (int i = 1; i < Down; ++i) sum.item[0] = tiles::add<T>(sum.item[0], of_threads[i * Across + threadIdx.x]);
  }
  if (item >= items) return;
  const i64 line = item / p.n, batch = line / p.m;
  tiles::write<false, T, Out, Epilogue>(p, batch_offsets(p, batch), batch, 0, line - batch * p.m, item - line * p.n, sum);
}

}  // namespace ca
