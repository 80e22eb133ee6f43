// out = epilogue(a @ b) by the tensor cores of capability 8.0 and later, a warp at a time: float16 and bfloat16 with sums
// in float32, float32 as tf32, float64, complex128. Tiles lie in shared memory as they do in global memory, along k or along the
// other axis, and are turned on the way to registers where the instruction wants that.
#pragma once
#include "matmul_tiles.cuh"
#include "mma.cuh"

namespace ca {
namespace tiles {

// A tile in shared memory in lines along k, or along the other axis. The 16-byte chunks of a line change places in a way
// that differs from line to line, so that a warp finds what it reads at once in different banks: the same chunk of eight
// lines (InRows), or of four lines two chunks each; of items that are a chunk, four of two lines.
template <class T, int Extent, int BK, bool AlongK, bool InRows> struct Swizzled {
  static constexpr bool along_k = AlongK;
  static constexpr int pitch = AlongK ? BK : Extent, size = Extent * BK, items = 16 / int(sizeof(T));
  static constexpr int chunks = pitch / items, together = chunks >= 8 ? 1 : 8 / chunks;  // lines in all 32 banks
  static_assert(chunks >= 4 && (chunks & (chunks - 1)) == 0, "a line has 64 bytes or more, and a power of two");
  static __device__ CA_ALWAYS_INLINE int index(int x, int k) {
    const int line = AlongK ? x : k, at = AlongK ? k : x, rank = line / together;
    const int turn = InRows                                        ? rank & (chunks < 8 ? chunks - 1 : 7)
                     : AlongK && items == 1 && chunks >= 8 ? 4 * (rank & 1)
                                                           : 2 * (rank & (chunks < 8 ? chunks / 2 - 1 : 3));
    return line * pitch + ((at / items) ^ turn) * items + at % items;
  }
};

// Where a warp's fragments of one operand are in a tile: WarpExtent rows (columns) from `first` on. Words are read for 8
// rows (columns) and the steps of k that four lanes hold of a register.
template <class T, class Mma, int Extent, int BK, int WarpExtent, bool AlongK, bool Left> struct Fragments {
  static constexpr int k = Mma::k, k_word = 4 * Mma::across, words = k / k_word;  // of a register; registers along k
  static constexpr int items = 16 / int(sizeof(T)), groups = WarpExtent / 8;
  // Four matrices at once: they need numbers of two bytes, or a word of one for each k in a line along k.
  static constexpr bool matrices = sizeof(T) == 2 || (sizeof(T) == 4 && AlongK);
  using Place = Swizzled<T, Extent, BK, AlongK, matrices>;
  static constexpr int places = AlongK ? BK / (matrices ? k : k_word) : matrices ? groups / 2 : groups;
  static_assert(WarpExtent % 16 == 0 && BK % k == 0, "a warp has whole fragments");
  int place[places];

  __device__ CA_ALWAYS_INLINE explicit Fragments(int first) {
    const int lane = threadIdx.x % 32;
    // The order of the four matrices is that of a fragment's registers: of a rows first, of b steps of k first.
    const int high = lane / 16, middle = lane / 8 % 2;
    const int x = matrices ? lane_x(lane, high, middle) : lane / 4;
    const int step = matrices ? lane_k(lane, high, middle) : lane % 4;
#pragma unroll
    for (int i = 0; i < places; ++i)
      place[i] = AlongK ? Place::index(first + x, i * (matrices ? k : k_word) + step)
                        : Place::index(first + i * (matrices ? 16 : 8) + x, step);
  }

  // The words of 8 * group rows (columns) on, for step `step` of the tile: word[group][r] for register r along k.
  __device__ CA_ALWAYS_INLINE void fetch(typename Mma::Word (&word)[groups][words], const T* tile, int step) const {
    if constexpr (matrices) {
#pragma unroll
      for (int i = 0; i < groups / 2; ++i) {
        unsigned four[4];
        mma::load_matrices<!AlongK>(four, tile + place[AlongK ? step : i] + (AlongK ? 16 * i : step * k) * Place::pitch);
#pragma unroll
        for (int j = 0; j < 4; ++j) word[2 * i + (Left ? j % 2 : j / 2)][Left ? j / 2 : j % 2] = four[j];
      }
    } else {
#pragma unroll
      for (int i = 0; i < groups; ++i)
#pragma unroll
        for (int r = 0; r < words; ++r) {
          const T* const from = tile + place[AlongK ? step * words + r : i];
          word[i][r] = bit_cast<typename Mma::Word>(from[(AlongK ? 8 * i : step * k + r * k_word) * Place::pitch]);
        }
    }
  }

 private:
  static __device__ CA_ALWAYS_INLINE int lane_x(int lane, int high, int middle) {
    return (AlongK ? lane % 8 : 0) + 8 * (Left ? middle : high);
  }
  static __device__ CA_ALWAYS_INLINE int lane_k(int lane, int high, int middle) {
    return (AlongK ? 0 : lane % 8) + k_word * (Left ? high : middle);
  }
};

template <class T, class Mma, int BM, int BN, int BK, int WarpM, int WarpN, bool AlongA, bool AlongB> struct MmaCompute {
  using Word = typename Mma::Word;
  using Sum = typename Mma::Sum;
  using FragmentsA = Fragments<T, Mma, BM, BK, WarpM, AlongA, true>;
  using FragmentsB = Fragments<T, Mma, BN, BK, WarpN, AlongB, false>;
  static constexpr int a_size = FragmentsA::Place::size, b_size = FragmentsB::Place::size;
  // Of float64, fragments of two steps are too many registers, and one takes so long that the next need not be there.
  static constexpr int buffers = sizeof(T) == 8 && Mma::k > 4 ? 1 : 2, warp_rows = WarpM, gap = 8;
  static constexpr int steps = BK / Mma::k, words = FragmentsA::words, down = WarpM / 16, across = WarpN / 8, passes = down;
  static constexpr bool short_code = true;  // at the end
  Word a[buffers][2 * down][words], b[buffers][across][words];
  Sum sum[down][across][4];
  int row, col;  // of the warp in the tile
  FragmentsA from_a;
  FragmentsB from_b;

  __device__ CA_ALWAYS_INLINE MmaCompute()
      : row(int(threadIdx.x / 32) / (BN / WarpN) * WarpM), col(int(threadIdx.x / 32) % (BN / WarpN) * WarpN),
        from_a(row), from_b(col) {
#pragma unroll
    for (int i = 0; i < down; ++i)
#pragma unroll
      for (int j = 0; j < across; ++j)
#pragma unroll
        for (int r = 0; r < 4; ++r) sum[i][j][r] = Sum(0);
  }
  __device__ CA_ALWAYS_INLINE void fetch(const T* a_tile, const T* b_tile, int step, int into) {
    from_a.fetch(a[into], a_tile, step);
    from_b.fetch(b[into], b_tile, step);
  }
  __device__ CA_ALWAYS_INLINE void multiply(int from) {
    if constexpr (sizeof(T) == 4) {
      Word b_high[across][words], b_low[across][words];
#pragma unroll
      for (int j = 0; j < across; ++j) split(b_high[j], b_low[j], b[from][j]);
#pragma unroll
      for (int i = 0; i < down; ++i) {
        Word word[2 * words], high[2 * words], low[2 * words];
        gather(word, a[from], i);
        split(high, low, word);
#pragma unroll
        for (int j = 0; j < across; ++j) {
          if constexpr (Mma::passes == 3) {
            // The small ones first; added up here, as the tensor core does not round its sums but cuts them off.
            Sum own[4] = {};
            Mma::multiply(own, low, b_high[j]);
            Mma::multiply(own, high, b_low[j]);
            Mma::multiply(own, high, b_high[j]);
#pragma unroll
            for (int r = 0; r < 4; ++r) sum[i][j][r] += own[r];
          } else {
            Mma::multiply(sum[i][j], high, b_high[j]);
          }
        }
      }
    } else if constexpr (is_complex<T>) {
      round<0>(from);
      round<1>(from);
    } else {
#pragma unroll
      for (int i = 0; i < down; ++i) {
        Word word[2 * words];
        gather(word, a[from], i);
#pragma unroll
        for (int j = 0; j < across; ++j) Mma::multiply(sum[i][j], word, b[from][j]);
      }
    }
  }

  template <int Passes> __device__ CA_ALWAYS_INLINE void put(Sum* buffer, int pitch, int pass) const {
    constexpr int own = down / Passes;
    static_assert(own * Passes == down, "a pass is of whole fragments");
    const int lane = threadIdx.x % 32, line = row / Passes + lane / 4, at = col + lane % 4 * 2;
#pragma unroll
    for (int i = 0; i < own; ++i)
#pragma unroll
      for (int j = 0; j < across; ++j)
#pragma unroll
        for (int half = 0; half < 2; ++half) {
          const Sum(&own_sum)[4] = sum[pass * own + i][j];
          *reinterpret_cast<Vector<Sum, 2>*>(buffer + (line + 16 * i + 8 * half) * pitch + at + 8 * j) = {
              {own_sum[2 * half], own_sum[2 * half + 1]}};
        }
  }

 private:
  template <int Round> __device__ CA_ALWAYS_INLINE void round(int from) {
#pragma unroll
    for (int i = 0; i < down; ++i) {
      Word word[2 * words];
      gather(word, a[from], i);
#pragma unroll
      for (int j = 0; j < across; ++j) Mma::template multiply<Round>(sum[i][j], word, b[from][j]);
    }
  }
  static __device__ CA_ALWAYS_INLINE void gather(Word (&word)[2 * words], const Word (&a)[2 * down][words], int i) {
#pragma unroll
    for (int r = 0; r < 2 * words; ++r) word[r] = a[2 * i + r % 2][r / 2];
  }
  template <int Count>
  static __device__ CA_ALWAYS_INLINE void split(Word (&high)[Count], Word (&low)[Count], const Word (&word)[Count]) {
#pragma unroll
    for (int r = 0; r < Count; ++r) {
      high[r] = mma::to_tf32(word[r]);
      if constexpr (Mma::passes == 3)
        low[r] = mma::to_tf32(bit_cast<unsigned>(bit_cast<float>(word[r]) - bit_cast<float>(high[r])));
    }
  }
};

}  // namespace tiles

template <class T, class Out, class Epilogue, class Mma, int BM, int BN, int BK, int WarpM, int WarpN, int Stages,
          class ReadA, class ReadB, bool Partial, int NBatch>
__global__ void __launch_bounds__(BM / WarpM * (BN / WarpN) * 32) matmul_mma(MatmulSplit<NBatch> p) {
  static_assert(BM % WarpM == 0 && BN % WarpN == 0, "warps cover a tile");
  using Compute = tiles::MmaCompute<T, Mma, BM, BN, BK, WarpM, WarpN, ReadA::along_k, ReadB::along_k>;
  using PlaceA = typename Compute::FragmentsA::Place;
  using PlaceB = typename Compute::FragmentsB::Place;
  constexpr int threads = BM / WarpM * (BN / WarpN) * 32;

  const tiles::Position at = tiles::position<BM, BN>(p);
  const BatchOffsets batch = batch_offsets(p, at.batch);
  tiles::Reader<T, T, BM, BK, threads, ReadA, PlaceA> a(p.a + batch.a + at.row * p.a_row + at.k_begin * p.a_col, p.a_row,
                                                        p.a_col, p.m - at.row);
  tiles::Reader<T, T, BN, BK, threads, ReadB, PlaceB> b(p.b + batch.b + at.k_begin * p.b_row + at.col * p.b_col, p.b_col,
                                                        p.b_row, p.n - at.col);
  T* const a_stages = reinterpret_cast<T*>(tiles::shared_memory());
  T* const b_stages = a_stages + Stages * PlaceA::size;
  Compute compute;
  tiles::multiply_tiles<Stages, BK>(a, b, compute, a_stages, b_stages, at.k);
  constexpr int stage_bytes = Stages * (PlaceA::size + PlaceB::size) * int(sizeof(T));
  tiles::write_tile<Partial, T, Out, Epilogue, BM, BN, threads, stage_bytes>(p, batch, at, compute);
}

}  // namespace ca
