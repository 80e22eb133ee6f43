// out = epilogue(a @ b) by the ordinary instructions of each thread, for every dtype: float32 rounded as IEEE 754 has
// it, integers, bool, complex numbers. Tiles come through shared memory to registers, where a thread computes TM x TN
// sums: per step of k it reads TM + TN numbers for TM * TN operations.
#pragma once
#include "matmul_tiles.cuh"

namespace ca {
namespace tiles {

template <class S> inline constexpr int most_items = 16 / int(sizeof(S));  // of a load

// A tile in shared memory whose columns are the steps of k: what a step needs stands side by side. The gap at the end of
// each puts the same row of neighbouring ones into other banks, for tiles that are turned on the way.
template <class S, int Extent, int BK> struct Steps {
  static constexpr bool along_k = false;
  static constexpr int pitch = Extent + most_items<S>, size = pitch * BK;
  static __device__ CA_ALWAYS_INLINE int index(int x, int k) { return k * pitch + x; }
};

// A warp is 4 x 8 threads. A thread's rows are in pieces of one 16-byte load each, 4 pieces of neighbouring threads side
// by side, and so are its columns: no two addresses of a load are in the same bank.
template <int BM, int BN, int TM, int TN> inline constexpr int simt_threads = BM / (4 * TM) * (BN / (8 * TN)) * 32;

template <class T, class S, int BM, int BN, int BK, int TM, int TN> struct SimtCompute {
  using Sum = S;
  static constexpr int steps = BK, buffers = 2, warp_rows = 4 * TM, gap = most_items<S>, most = most_items<S>;
  static constexpr int a_items = TM < most ? TM : most, b_items = TN < most ? TN : most, passes = TM / a_items;
  using PlaceA = Steps<S, BM, BK>;
  using PlaceB = Steps<S, BN, BK>;
  static constexpr int a_size = PlaceA::size, b_size = PlaceB::size;
  static constexpr bool short_code = false;  // at the end: registers are tight in the loop before
  S a[2][TM], b[2][TN], sum[TM][TN];
  int row, col;  // of its first piece in the tile

  __device__ CA_ALWAYS_INLINE SimtCompute() {
    constexpr int warps_across = BN / (8 * TN);
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    // Neighbours share a row, those after next a column: so two quarters of a warp are served at once.
    const int x = (lane & 1) | (lane >> 1 & 6), y = (lane >> 1 & 1) | (lane >> 3 & 2);
    row = warp / warps_across * (4 * TM) + y * a_items;
    col = warp % warps_across * (8 * TN) + x * b_items;
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
      for (int j = 0; j < TN; ++j) sum[i][j] = S(0);
  }
  __device__ CA_ALWAYS_INLINE void fetch(const S* a_tile, const S* b_tile, int k, int into) {
#pragma unroll
    for (int i = 0; i < TM; i += a_items) {
      const auto piece = *reinterpret_cast<const Vector<S, a_items>*>(a_tile + row + PlaceA::index(4 * i, k));
#pragma unroll
      for (int j = 0; j < a_items; ++j) a[into][i + j] = piece.item[j];
    }
#pragma unroll
    for (int i = 0; i < TN; i += b_items) {
      const auto piece = *reinterpret_cast<const Vector<S, b_items>*>(b_tile + col + PlaceB::index(8 * i, k));
#pragma unroll
      for (int j = 0; j < b_items; ++j) b[into][i + j] = piece.item[j];
    }
  }
  __device__ CA_ALWAYS_INLINE void multiply(int from) {
#pragma unroll
    for (int i = 0; i < TM; ++i)
#pragma unroll
      for (int j = 0; j < TN; ++j) sum[i][j] = multiply_add<T>(a[from][i], b[from][j], sum[i][j]);
  }
  template <int Passes> __device__ CA_ALWAYS_INLINE void put(S* buffer, int pitch, int pass) const {
    constexpr int own = TM / Passes;
    static_assert(own % a_items == 0, "a pass is of whole pieces");
#pragma unroll
    for (int i = 0; i < own; ++i)
#pragma unroll
      for (int j = 0; j < TN; j += b_items) {
        Vector<S, b_items> piece;
#pragma unroll
        for (int t = 0; t < b_items; ++t) piece.item[t] = sum[pass * own + i][j + t];
        const int line = row / warp_rows * (warp_rows / Passes) + row % warp_rows + i / a_items * (4 * a_items) + i % a_items;
        *reinterpret_cast<Vector<S, b_items>*>(buffer + line * pitch + col + 8 * j) = piece;
      }
  }
};

// Threads that a processor should hold: as many as registers suffice for.
template <class S, int TM, int TN> inline constexpr int simt_resident =
    TM * TN * int(sizeof(S)) <= 128 ? 768 : TM * TN * int(sizeof(S)) <= 256 ? 512 : 256;

}  // namespace tiles

template <class T, class Out, class Epilogue, int BM, int BN, int BK, int TM, int TN, int Stages, class ReadA, class ReadB,
          bool Partial, int NBatch>
__global__ void __launch_bounds__(tiles::simt_threads<BM, BN, TM, TN>,
                                  tiles::simt_resident<tiles::sum_t<T>, TM, TN> >= tiles::simt_threads<BM, BN, TM, TN>
                                      ? tiles::simt_resident<tiles::sum_t<T>, TM, TN> / tiles::simt_threads<BM, BN, TM, TN>
                                      : 1)
    matmul_simt(MatmulSplit<NBatch> p) {
  using S = tiles::sum_t<T>;
  using Compute = tiles::SimtCompute<T, S, BM, BN, BK, TM, TN>;
  static_assert(BM % (4 * TM) == 0 && BN % (8 * TN) == 0, "warps of 4 x 8 threads cover a tile");
  constexpr int threads = tiles::simt_threads<BM, BN, TM, TN>;
  static_assert(!(ReadA::async || ReadB::async) || (sizeof(T) == sizeof(S) && !is_bool<T>), "copies change no bits");
  using A = tiles::Reader<typename choose<ReadA::async, S, T>::type, S, BM, BK, threads, ReadA, typename Compute::PlaceA>;
  using B = tiles::Reader<typename choose<ReadB::async, S, T>::type, S, BN, BK, threads, ReadB, typename Compute::PlaceB>;

  const tiles::Position at = tiles::position<BM, BN>(p);
  const BatchOffsets batch = batch_offsets(p, at.batch);
  A a(p.a + batch.a + at.row * p.a_row + at.k_begin * p.a_col, p.a_row, p.a_col, p.m - at.row);
  B b(p.b + batch.b + at.k_begin * p.b_row + at.col * p.b_col, p.b_col, p.b_row, p.n - at.col);
  S* const a_stages = reinterpret_cast<S*>(tiles::shared_memory());
  S* const b_stages = a_stages + Stages * Compute::PlaceA::size;
  Compute compute;
  tiles::multiply_tiles<Stages, BK>(a, b, compute, a_stages, b_stages, at.k);
  constexpr int stage_bytes = Stages * (Compute::a_size + Compute::b_size) * int(sizeof(S));
  tiles::write_tile<Partial, T, Out, Epilogue, BM, BN, threads, stage_bytes>(p, batch, at, compute);
}

}  // namespace ca
