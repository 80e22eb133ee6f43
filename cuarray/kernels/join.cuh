// Several arrays copied by one launch, each into a part of the result: concatenation.
//
// A block does a tile of one source, as elementwise_packs or elementwise_rows would. The blocks of a source follow those
// of the source before it; or, where all have as many and the result is made of rows of each, sources take turns: what
// lies side by side in the result is then written at about the same time. What a source is, and where its part of the
// result lies, stands in the parameter, so that their number is bounded by the 4 KiB that a parameter may have.
#pragma once
#include "elementwise_packs.cuh"

namespace ca {

// A source that is contiguous, as is its part of the result.
struct JoinedPacks {
  static constexpr bool may_take_turns = false;
  i64 first_block, part, items;  // `part`: bytes from the result's first element to the part's

  template <class How, class Out, class In> __device__ CA_ALWAYS_INLINE void copy(const Head& head, i64 block) const {
    using Tile = PacksTile<ops::Identity, How, Out, In>;
    Tile::run(head, How::width == 1 || Tile::Body::aligned(head), block * Tile::items, items);
  }
};

// A source of any strides; see PackedRows.
template <class Index, int NDim> struct JoinedRows {
  static constexpr bool may_take_turns = true;
  i64 first_block, part, packs;
  Divisor<Index> axis[NDim];
  i64 strides[2][NDim];

  template <class How, class Out, class In> __device__ CA_ALWAYS_INLINE void copy(const Head& head, i64 block) const {
    using Tile = RowsTile<ops::Identity, How, Out, In>;
    const bool aligned = How::width == 1 || Tile::Body::aligned(head);
    Tile::run(head, aligned, Index(block) * Tile::size, Index(packs), axis, strides);
  }
};

template <class Source, int Slots> struct Joined {
  u64 result, address[Slots];   // the head
  Divisor<unsigned int> turns;  // by the number of sources if they take turns; or its extent is 0
  Source source[Slots];         // those that are not used begin after the last block
};

template <class How, class Out, class In, class Source, int Slots>
__global__ void __launch_bounds__(How::threads) join(const __grid_constant__ Joined<Source, Slots> p) {
  await_previous();
  static_assert((Slots & (Slots - 1)) == 0, "sources are looked for by halves");
  int k = 0;
  i64 block = blockIdx.x;
  if (Source::may_take_turns && p.turns.extent) {
    block = p.turns.quotient(blockIdx.x);
    k = int(blockIdx.x - block * p.turns.extent);
  } else {
#pragma unroll
    for (int step = Slots / 2; step > 0; step /= 2)
      if (block >= p.source[k + step].first_block) k += step;
    block -= p.source[k].first_block;
  }
  const Head head = {{p.result + p.source[k].part, p.address[k]}, {}};
  p.source[k].template copy<How, Out, In>(head, block);
}

}  // namespace ca
