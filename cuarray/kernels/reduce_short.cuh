// Reductions over short rows that follow each other without gaps, for targets with many threads a block.
//
// Such rows begin anywhere, so a thread that reads its own row reads item by item, and neighbouring threads read far
// apart. Here a block reads a tile of whole rows as it stands, in packs of 16 bytes, puts it into shared memory, and reads
// the next tile while its threads go through the rows of this one, one or a few lanes a row. Every 128 bytes in shared
// memory are followed by a gap of a word, so that threads at equal places of their rows use different banks.
#pragma once
#include "reduce.cuh"

namespace ca {
namespace reductions {

inline constexpr int short_tile = 24576;  // bytes, at most: see reduce_policy() in _tuning.py
template <int Bytes> struct words_of;
template <> struct words_of<4> { using type = unsigned; };
template <> struct words_of<8> { using type = uint2; };
template <> struct words_of<16> { using type = uint4; };

template <class In> struct ShortTile {
  static constexpr int word = sizeof(In) < 4 ? 4 : int(sizeof(In)), N = pack_items<In>, packs = short_tile / 16 / block_threads;
  static constexpr int bytes = short_tile / 128 * (128 + word);
  using Word = typename words_of<word>::type;
  Pack<In, N> pack[packs];

  static __device__ int place(int byte) { return byte + byte / 128 * word; }
  // This thread's part of `count` items.
  __device__ void read(u64 at, int count, bool aligned) {
    const int own = int(threadIdx.x) * N;
    if (aligned && count % N == 0) {
      at += own * sizeof(In);
#pragma unroll
      for (int u = 0; u < packs; ++u)
        if (own + u * block_threads * N < count) pack[u] = load_pack<In, N>(at + u * 16 * block_threads);
      return;
    }
#pragma unroll
    for (int u = 0; u < packs; ++u)
#pragma unroll 4
      for (int j = 0; j < N; ++j) {
        const int i = own + u * block_threads * N + j;
        Pack<In, N> rest = pack[u];
#pragma unroll
        for (int n = 0; n + 1 < N; ++n) pack[u].item[n] = rest.item[n + 1];
        if (i < count) pack[u].item[N - 1] = reinterpret_cast<const In*>(at)[i];
      }
  }
  __device__ void write(char* shared, int count) const {
#pragma unroll
    for (int u = 0; u < packs; ++u) {
      if ((int(threadIdx.x) + u * block_threads) * N >= count) continue;
      Word words[16 / word];
      memcpy(words, &pack[u], 16);
      Word* const to = reinterpret_cast<Word*>(shared + place((int(threadIdx.x) + u * block_threads) * 16));
#pragma unroll
      for (int w = 0; w < 16 / word; ++w) to[w] = words[w];
    }
  }
  static __device__ In item(const char* shared, int i) {
    return *reinterpret_cast<const In*>(shared + place(i * int(sizeof(In))));
  }
};

}  // namespace reductions

template <class Given, class In, class Loop, class Out, class Index, int Blocks, int NKeep, int NReduce, int Operands>
__global__ void __launch_bounds__(reductions::block_threads, Blocks) reduce_short(Reduction<NKeep, NReduce, Operands> p) {
  await_previous();
  using namespace reductions;
  using Op = typename placed<Given, Index>::type;
  using Acc = typename Op::Acc;
  using Tile = ShortTile<In>;
  static_assert(!Op::in_order && Operands == 1, "neither in order nor with a mask");
  constexpr int together = 4;
  alignas(16) __shared__ char shared[Tile::bytes];
  const Acc start = start_of<Op, Loop>(p);
  const int lanes = int(p.lanes), lane = int(threadIdx.x) % lanes, line = int(threadIdx.x) / lanes;
  const int length = int(p.reduced), each = block_threads / lanes;
  const int rounds = short_tile / (each * length * int(sizeof(In))), rows = each * rounds;  // a multiple of 16 rows
  const i64 tiles = (p.kept + rows - 1) / rows;
  const bool aligned = p.in % 16 == 0;
  auto count_of = [&](i64 tile) { return int(p.kept - tile * rows < rows ? p.kept - tile * rows : rows) * length; };
  auto read = [&](Tile& held, i64 tile) {
    held.read(p.in + tile * rows * length * i64(sizeof(In)), count_of(tile), aligned);
  };

  Tile held;
  if (blockIdx.x < tiles) read(held, blockIdx.x);
  for (i64 tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
    held.write(shared, count_of(tile));
    __syncthreads();
    if (tile + gridDim.x < tiles) read(held, tile + gridDim.x);
    for (int round = 0; round < rounds; ++round) {
      const int row = round * each + line;
      const i64 k = tile * rows + row;
      part_t<Op> part = no_items<Op>();
      const typename Op::Centre centre = centre_of<Op>(p, k < p.kept ? k : 0);
      const int first = row * length, last = k < p.kept ? length : 0;
      int r = lane;
      for (; r + (together - 1) * lanes < last; r += together * lanes) {
        Loop item[together];
#pragma unroll
        for (int q = 0; q < together; ++q) item[q] = convert<Loop>(Tile::item(shared, first + r + q * lanes));
        add<Op>(part, item, [&](int q) { return i64(r + q * lanes); }, centre);
      }
#pragma unroll 1
      for (; r < last; r += lanes) {
        const Loop item[1] = {convert<Loop>(Tile::item(shared, first + r))};
        add<Op>(part, item, [&](int) { return i64(r); }, centre);
      }
      if (lane < last) set_first<Op>(part, lane);
      Acc acc = combine_part<Op>(Op::identity(), part);
      if (lanes > 1) acc = of_lanes<Op>(acc, lanes);
      if (lane == 0 && k < p.kept) {
        if (p.has_initial) acc = Op::combine(start, acc);
        reinterpret_cast<Out*>(p.out)[k] = finished<Op, Out>(p, acc);
      }
    }
    __syncthreads();  // before the next tile
  }
}

}  // namespace ca
