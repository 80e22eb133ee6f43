// out = epilogue(a @ b) where memory is what takes time: one operand has at most 16 rows (columns) and the other, the
// long one, is read once, at memory's speed; or all matrices of a stack are small.
//
// A kernel is for either side: Swapped, the long operand is b, and its columns are the lines spoken of here.
#pragma once
#include "matmul_tiles.cuh"

namespace ca {
namespace skinny {

using namespace cuda_functions;

inline constexpr int threads = 256, warps = threads / 32;

// Blocks that a processor has room for, where a thread holds so many bytes of sums and of what it has read: registers
// are kept to that, as a grid that is a little more than fits at once takes twice as long.
__device__ constexpr int resident(int bytes) { return bytes <= 128 ? 4 : bytes <= 192 ? 3 : bytes <= 384 ? 2 : 1; }

// The product as both sides see it: `lines` of the long operand, `few` of the other, their strides along lines and k.
template <bool Swapped, int NBatch> struct Sides {
  u64 big, little;
  i64 lines, few, big_line, big_k, little_line, little_k;

  __device__ Sides(const Matmul<NBatch>& p, const BatchOffsets& at)
      : big(Swapped ? p.b + at.b : p.a + at.a), little(Swapped ? p.a + at.a : p.b + at.b), lines(Swapped ? p.n : p.m),
        few(Swapped ? p.m : p.n), big_line(Swapped ? p.b_col : p.a_row), big_k(Swapped ? p.b_row : p.a_col),
        little_line(Swapped ? p.a_row : p.b_col), little_k(Swapped ? p.a_col : p.b_row) {}
};

// A block's part of the stack, of k and of the lines.
struct Part {
  i64 batch, split, first, begin, end;
};
template <int Lines, int NBatch> __device__ inline Part part_of(const MatmulSplit<NBatch>& p, i64 lines) {
  const unsigned pieces = unsigned((lines + Lines - 1) / Lines), stack = blockIdx.x / pieces;
  const unsigned split = stack % unsigned(p.splits);
  const i64 begin = split * p.chunk, end = begin + p.chunk;
  return {i64(stack / unsigned(p.splits)), i64(split), i64(blockIdx.x - stack * pieces) * Lines, begin, end < p.k ? end : p.k};
}

// Brings Few x K numbers of the little operand from k on into shared memory, number (few, k) to place(few, k); what is
// beyond its edges is 0.
template <class T, class S, int Few, int K, bool Swapped, int NBatch, class Place>
__device__ inline void bring(const Sides<Swapped, NBatch>& of, i64 k, i64 end, S* to, Place place) {
  const bool along_k = of.little_k == i64(sizeof(T));
#pragma unroll 1
  for (int i = threadIdx.x; i < Few * K; i += threads) {
    const int few = along_k ? i / K : i % Few, step = along_k ? i % K : i / Few;
    const bool there = few < of.few && k + step < end;
    to[place(few, step)] =
        there ? convert<S>(*global_pointer<const T>(of.little + few * of.little_line + (k + step) * of.little_k)) : S(0);
  }
}

template <class T, int Items> __device__ CA_ALWAYS_INLINE tiles::Vector<T, Items> load(u64 from, i64 left) {
  if (left >= Items) return tiles::load_now<tiles::Vector<T, Items>>(from);
  return tiles::load_part<T, Items>(from, left);
}

template <bool Swapped, bool Partial, class T, class Out, class Epilogue, class S, int NBatch>
__device__ inline void write(const MatmulSplit<NBatch>& p, const BatchOffsets& at, const Part& part, i64 line, int few, S sum) {
  const tiles::Vector<S, 1> one = {{sum}};
  tiles::write<Partial, T, Out, Epilogue>(p, at, part.batch, part.split, Swapped ? few : line, Swapped ? line : few, one);
}

template <class T, class S> __device__ CA_ALWAYS_INLINE S of_all_lanes(S sum) {
#pragma unroll
  for (int distance = 16; distance > 0; distance /= 2) {
    constexpr int words = sizeof(S) / 4;
    unsigned word[words];
    memcpy(word, &sum, sizeof(S));
#pragma unroll
    for (int i = 0; i < words; ++i) word[i] = __shfl_xor_sync(0xffffffffu, word[i], distance);
    S other;
    memcpy(&other, word, sizeof(S));
    sum = tiles::add<T>(sum, other);
  }
  return sum;
}

// Vectors of each line that a thread reads at once: some 64 bytes and more in flight.
template <class S, int Few, int Lines, int Items> __device__ constexpr int row_steps() {
  int steps = Few <= 2 ? 8 / Lines : 4 / Lines;
  while (steps > 1 && steps * 32 * Items * Few * int(sizeof(S)) > 32768) steps /= 2;
  return steps < 1 ? 1 : steps;
}
template <class T, class S, int Few, int Lines, int Items> __device__ constexpr int row_bytes() {
  return Lines * (Few * int(sizeof(S)) + row_steps<S, Few, Lines, Items>() * Items * int(sizeof(T)));
}
inline constexpr int column_steps = 4;
template <class T, class S, int Few, int Items> __device__ constexpr int column_bytes() {
  return Items * (Few * int(sizeof(S)) + column_steps * int(sizeof(T)));
}

}  // namespace skinny

// The long operand is contiguous along k: a warp does Lines lines, its lanes go along k.
template <class T, class Out, class Epilogue, bool Swapped, int Few, int Lines, int Items, bool Partial, int NBatch>
__global__ void
    __launch_bounds__(skinny::threads, skinny::resident(skinny::row_bytes<T, tiles::sum_t<T>, Few, Lines, Items>()))
        matmul_skinny_rows(MatmulSplit<NBatch> p) {
  using S = tiles::sum_t<T>;
  static_assert(Lines * Few <= 32, "a lane writes a sum");
  constexpr int steps = skinny::row_steps<S, Few, Lines, Items>(), round = 32 * Items, tile = steps * round;
  constexpr int pitch = tile + (16 / int(sizeof(S)));  // else its columns would all lie in one bank
  __shared__ __align__(16) S little[Few * pitch];
  const auto place = [](int few, int k) { return few * pitch + k; };
  const skinny::Part part = skinny::part_of<skinny::warps * Lines>(p, Swapped ? p.n : p.m);
  const BatchOffsets at = batch_offsets(p, part.batch);
  const skinny::Sides<Swapped, NBatch> of(p, at);
  const int lane = threadIdx.x % 32;
  const i64 first = part.first + i64(threadIdx.x / 32) * Lines;
  S sum[Lines][Few];
#pragma unroll
  for (int i = 0; i < Lines; ++i)
#pragma unroll
    for (int s = 0; s < Few; ++s) sum[i][s] = S(0);

#pragma unroll 1
  for (i64 k = part.begin; k < part.end; k += tile) {
    tiles::Vector<T, Items> value[Lines][steps];
#pragma unroll
    for (int i = 0; i < Lines; ++i) {
      const i64 line = first + i < of.lines ? first + i : of.lines - 1;  // of lines that are not there nothing is written
#pragma unroll
      for (int step = 0; step < steps; ++step) {
        const i64 from = k + step * round + lane * Items;
        value[i][step] = skinny::load<T, Items>(of.big + line * of.big_line + from * of.big_k, part.end - from);
      }
    }
    __syncthreads();
    skinny::bring<T, S, Few, tile>(of, k, part.end, little, place);
    __syncthreads();
#pragma unroll
    for (int step = 0; step < steps; ++step)
#pragma unroll
      for (int s = 0; s < Few; ++s)
#pragma unroll
        for (int j = 0; j < Items; ++j) {
          const S factor = little[place(s, step * round + lane * Items + j)];
#pragma unroll
          for (int i = 0; i < Lines; ++i)
            sum[i][s] = tiles::multiply_add<T>(convert<S>(value[i][step].item[j]), factor, sum[i][s]);
        }
  }
  S own = S(0);
#pragma unroll
  for (int i = 0; i < Lines; ++i)
#pragma unroll
    for (int s = 0; s < Few; ++s) {
      const S all = skinny::of_all_lanes<T>(sum[i][s]);
      if (lane == i * Few + s) own = all;
    }
  if (lane < Lines * Few && lane % Few < of.few)
    skinny::write<Swapped, Partial, T, Out, Epilogue>(p, at, part, first + lane / Few, lane % Few, own);
}

// The long operand is contiguous along its lines: a thread does Items of them, and the warps of a block share k.
template <class T, class Out, class Epilogue, bool Swapped, int Few, int Items, bool Partial, int NBatch>
__global__ void
    __launch_bounds__(skinny::threads, skinny::resident(skinny::column_bytes<T, tiles::sum_t<T>, Few, Items>()))
        matmul_skinny_columns(MatmulSplit<NBatch> p) {
  using S = tiles::sum_t<T>;
  constexpr int steps = skinny::column_steps, tile = 4 * steps * skinny::warps, width = 32 * Items;
  constexpr int pitch = Few + (Few < 8 ? 0 : 16 / int(sizeof(S)));  // against the same bank, too
  __shared__ __align__(16) S little[pitch * tile];
  __shared__ S sums[Few * width];
  const auto place = [](int few, int k) { return k * pitch + few; };
  const skinny::Part part = skinny::part_of<width>(p, Swapped ? p.n : p.m);
  const BatchOffsets at = batch_offsets(p, part.batch);
  const skinny::Sides<Swapped, NBatch> of(p, at);
  const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
  const i64 line = part.first + lane * Items;
  S sum[Few][Items];
#pragma unroll
  for (int s = 0; s < Few; ++s)
#pragma unroll
    for (int j = 0; j < Items; ++j) sum[s][j] = S(0);

#pragma unroll 1
  for (i64 k = part.begin; k < part.end; k += tile) {
    __syncthreads();
    skinny::bring<T, S, Few, tile>(of, k, part.end, little, place);
    __syncthreads();
#pragma unroll 1
    for (int row = warp; row < tile; row += steps * skinny::warps) {
      tiles::Vector<T, Items> value[steps];
#pragma unroll
      for (int step = 0; step < steps; ++step) {
        const i64 own = k + row + step * skinny::warps;
        value[step] = skinny::load<T, Items>(of.big + line * of.big_line + own * of.big_k,
                                             own < part.end ? of.lines - line : 0);
      }
#pragma unroll
      for (int step = 0; step < steps; ++step)
#pragma unroll
        for (int s = 0; s < Few; ++s) {
          const S factor = little[place(s, row + step * skinny::warps)];
#pragma unroll
          for (int j = 0; j < Items; ++j)
            sum[s][j] = tiles::multiply_add<T>(convert<S>(value[step].item[j]), factor, sum[s][j]);
        }
    }
  }
  // Warp after warp adds its sums to those before it.
#pragma unroll 1
  for (int w = 0; w < skinny::warps; ++w) {
    if (warp == w)
#pragma unroll
      for (int s = 0; s < Few; ++s)
#pragma unroll
        for (int j = 0; j < Items; ++j) {
          S& all = sums[s * width + j * 32 + lane];
          all = w ? tiles::add<T>(all, sum[s][j]) : sum[s][j];
        }
    __syncthreads();
  }
#pragma unroll 1
  for (int i = threadIdx.x; i < Few * width; i += skinny::threads) {
    const int s = Swapped ? i / width : i % Few, own = Swapped ? i % width : i / Few;
    if (s < of.few && part.first + own < of.lines)
      skinny::write<Swapped, Partial, T, Out, Epilogue>(p, at, part, part.first + own, s,
                                                        sums[s * width + own % Items * 32 + own / Items]);
  }
}

// All extents are at most Extent: a block does several matrices of the stack, a thread Side x Side sums of one.
template <class T, class Out, class Epilogue, int Extent, int Side, bool Partial, int NBatch>
__global__ void __launch_bounds__(128) matmul_small(MatmulSplit<NBatch> p) {
  using S = tiles::sum_t<T>;
  constexpr int threads = 128, across = Extent / Side, group = across * across, count = threads / group;
  constexpr int pitch = Extent + 1, size = Extent * pitch;
  static_assert(!Partial && threads % group == 0, "threads share matrices evenly");
  S* const a_tiles = reinterpret_cast<S*>(tiles::shared_memory());
  S* const b_tiles = a_tiles + count * size;
  __shared__ BatchOffsets at[count];
  const i64 first = i64(blockIdx.x) * count;
  const int here = p.batches - first < count ? int(p.batches - first) : count;
  const int thread = threadIdx.x, m = int(p.m), n = int(p.n), k = int(p.k);
  if (thread < here) at[thread] = batch_offsets(p, first + thread);
  __syncthreads();
  // In the order in which they lie in memory.
  const auto bring = [&](S* to, u64 base, bool left, int rows, int cols, i64 row_stride, i64 col_stride) {
    const bool by_rows = (col_stride < 0 ? -col_stride : col_stride) <= (row_stride < 0 ? -row_stride : row_stride);
    const unsigned inner = by_rows ? cols : rows, all = unsigned(rows * cols);
#pragma unroll 4
    for (unsigned i = thread; i < all * here; i += threads) {
      const unsigned matrix = i / all, within = i - matrix * all, high = within / inner, low = within - high * inner;
      const int row = by_rows ? high : low, col = by_rows ? low : high;
      const u64 from = base + (left ? at[matrix].a : at[matrix].b) + row * row_stride + col * col_stride;
      to[matrix * size + row * pitch + col] = convert<S>(*global_pointer<const T>(from));
    }
  };
  bring(a_tiles, p.a, true, m, k, p.a_row, p.a_col);
  bring(b_tiles, p.b, false, k, n, p.b_row, p.b_col);
  __syncthreads();
  const int matrix = thread / group, within = thread % group;
  const int row = within / across * Side, col = within % across * Side;
  if (matrix >= here || row >= m || col >= n) return;
  tiles::Vector<S, Side> sum[Side];
#pragma unroll
  for (int i = 0; i < Side; ++i)
#pragma unroll
    for (int j = 0; j < Side; ++j) sum[i].item[j] = S(0);
  const S *const a = a_tiles + matrix * size + row * pitch, *const b = b_tiles + matrix * size + col;
#pragma unroll 4
  for (int step = 0; step < k; ++step)
#pragma unroll
    for (int i = 0; i < Side; ++i)
#pragma unroll
      for (int j = 0; j < Side; ++j)
        sum[i].item[j] = tiles::multiply_add<T>(a[i * pitch + step], b[step * pitch + j], sum[i].item[j]);
#pragma unroll
  for (int i = 0; i < Side; ++i)
    tiles::write<false, T, Out, Epilogue>(p, at[matrix], first + matrix, 0, row + i, col, sum[i]);
}

}  // namespace ca
