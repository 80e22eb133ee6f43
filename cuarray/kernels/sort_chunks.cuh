// Stable sorting of the long rows of a C-contiguous matrix by blocks of one thread: the values, the indices, or both.
//
// A radix sort from the lowest byte of the key (order.cuh) to the highest. Each pass counts the digits of every block's
// chunk (radix_count), turns counts into places (radix_scan) and moves each element to its place (radix_scatter). A
// first look (radix_varying) finds the digits in which no two keys differ, whose passes do nothing; so where a pass
// reads is known while the kernels run only, and radix_finish brings the result to where it belongs.
#pragma once
#include "order.cuh"

namespace ca {

struct ChunkSorting {
  u64 values, in, scratch, indices, unused[3];  // values, indices: 0 where they are not asked for
  i64 rows, n;
  i64 blocks, chunk;                      // a row is cut into `blocks` chunks
  i64 descending, pass, passes;
  i64 value_buffers[2], index_buffers[2];  // as byte offsets in scratch; -1: the output `values`
  i64 counts, totals, partial, mask;       // likewise; mask is -1 where no digit was looked at
  i64 partials;
};

namespace sorting {
using namespace cuda_functions;

// Which passes move elements, and where from and to: the elements are in `in`, then in buffers 0, 1, 0 ...
template <class Key> struct Passes {
  Key varying;
  __device__ explicit Passes(const ChunkSorting& p) {
    varying = p.mask < 0 ? all_bits<Key>(true) : *reinterpret_cast<const Key*>(p.scratch + p.mask);
  }
  __device__ bool moves(int pass) const { return key_digit(varying, pass) != 0; }
  __device__ int before(int pass) const {
    int count = 0;
    for (int k = 0; k < pass; ++k) count += moves(k);
    return count;
  }
};
template <class T> __device__ inline T* value_buffer(const ChunkSorting& p, int moved) {
  const i64 offset = p.value_buffers[moved & 1];
  return reinterpret_cast<T*>(offset < 0 ? p.values : p.scratch + offset);
}
template <class Index> __device__ inline Index* index_buffer(const ChunkSorting& p, int moved) {
  return reinterpret_cast<Index*>(p.scratch + p.index_buffers[moved & 1]);
}
// What the elements are read from once `moved` passes have moved them.
template <class T> __device__ inline const T* source_of(const ChunkSorting& p, int moved) {
  return moved ? value_buffer<T>(p, moved - 1) : reinterpret_cast<const T*>(p.in);
}

// Stage 0: the bits in which some key of a block's chunk differs from the first key of all. 1: of all blocks.
template <class T, int Stage> __global__ void radix_varying(ChunkSorting p) {
  await_previous();
  using Key = key_t<T>;
  Key* const partial = reinterpret_cast<Key*>(p.scratch + p.partial);
  Key bits = all_bits<Key>(false);
  if constexpr (Stage == 0) {
    const T* const in = reinterpret_cast<const T*>(p.in);
    const Key first = order_key(in[0]);
    const i64 size = p.rows * p.n, chunk = (size + gridDim.x - 1) / gridDim.x, begin = blockIdx.x * chunk;
    const i64 end = begin + chunk < size ? begin + chunk : size;
    for (i64 i = begin; i < end; ++i) bits = Key(bits | (order_key(in[i]) ^ first));
    partial[blockIdx.x] = bits;
  } else {
    for (i64 i = 0; i < p.partials; ++i) bits = Key(bits | partial[i]);
    *reinterpret_cast<Key*>(p.scratch + p.mask) = bits;
  }
}

// counts[row][digit][block]: elements of the block's chunk with this digit.
template <class T, class Index> __global__ void radix_count(ChunkSorting p) {
  await_previous();
  using Key = key_t<T>;
  const Passes<Key> passes(p);
  const int pass = int(p.pass);
  if (!passes.moves(pass)) return;
  const T* const in = source_of<T>(p, passes.before(pass));
  Index* const counts = reinterpret_cast<Index*>(p.scratch + p.counts);
  const Key flip = all_bits<Key>(p.descending);
  const i64 row = blockIdx.x / p.blocks, block = blockIdx.x - row * p.blocks;
  const i64 begin = row * p.n + block * p.chunk;
  const i64 end = begin + p.chunk < (row + 1) * p.n ? begin + p.chunk : (row + 1) * p.n;
  auto key_at = [&](i64 i) { return Key(order_key(in[i]) ^ flip); };
  unsigned int digits[2][radix_size] = {};  // two, or equal neighbours wait for each other's count
  for_each_digit(begin, end, pass, key_at, [&](i64 i, unsigned digit) { ++digits[i & 1][digit]; });
  for (int d = 0; d < radix_size; ++d)
    counts[(row * radix_size + d) * p.blocks + block] = Index(digits[0][d]) + digits[1][d];
}

// Over the blocks of a row and digit: counts become counts before the block, totals[row][digit] the sum.
template <class Key, class Index> __global__ void radix_scan(ChunkSorting p) {
  await_previous();
  if (!Passes<Key>(p).moves(int(p.pass))) return;
  Index* const totals = reinterpret_cast<Index*>(p.scratch + p.totals);
  for (i64 list : work_items(p.rows * radix_size)) {
    Index* const counts = reinterpret_cast<Index*>(p.scratch + p.counts) + list * p.blocks;
    Index before = 0;
    for (i64 b = 0; b < p.blocks; ++b) {
      const Index own = counts[b];
      counts[b] = before;
      before += own;
    }
    totals[list] = before;
  }
}

// Each element to its place: after those of smaller digits, of earlier blocks, and of earlier places in the block.
template <class T, class Index, bool Indices> __global__ void radix_scatter(ChunkSorting p) {
  await_previous();
  using Key = key_t<T>;
  const Passes<Key> passes(p);
  const int pass = int(p.pass);
  if (!passes.moves(pass)) return;
  const int moved = passes.before(pass);
  const Key flip = all_bits<Key>(p.descending);
  const i64 row = blockIdx.x / p.blocks, block = blockIdx.x - row * p.blocks;
  const i64 begin = block * p.chunk, end = begin + p.chunk < p.n ? begin + p.chunk : p.n;  // within the row
  const T* const in = source_of<T>(p, moved) + row * p.n;
  T* const out = value_buffer<T>(p, moved) + row * p.n;
  const Index* from = nullptr;
  Index* to = nullptr;
  if constexpr (Indices) {
    if (moved) from = index_buffer<Index>(p, moved - 1) + row * p.n;
    to = index_buffer<Index>(p, moved) + row * p.n;
  }
  const Index* const counts =
      reinterpret_cast<const Index*>(p.scratch + p.counts) + row * radix_size * p.blocks + block;
  const Index* const totals = reinterpret_cast<const Index*>(p.scratch + p.totals) + row * radix_size;
  Index place[radix_size], smaller = 0;
  for (int d = 0; d < radix_size; ++d) {
    place[d] = smaller + counts[d * p.blocks];
    smaller += totals[d];
  }
  auto key_at = [&](i64 i) { return Key(order_key(in[i]) ^ flip); };
  for_each_digit(begin, end, pass, key_at, [&](i64 i, unsigned digit) {
    const Index at = place[digit]++;
    out[at] = in[i];
    if constexpr (Indices) to[at] = from ? from[i] : Index(i);
  });
}

// The result to where it is wanted, if it is not there; indices as int64.
template <class T, class Index, bool Indices> __global__ void radix_finish(ChunkSorting p) {
  await_previous();
  const int moved = Passes<key_t<T>>(p).before(int(p.passes));
  const i64 size = p.rows * p.n;
  T* const values = reinterpret_cast<T*>(p.values);
  const T* const source = source_of<T>(p, moved);
  if (values && values != source)
    for (i64 i : work_items(size)) values[i] = source[i];
  if constexpr (Indices) {
    i64* const indices = reinterpret_cast<i64*>(p.indices);
    const Index* const from = moved ? index_buffer<Index>(p, moved - 1) : nullptr;
    for (i64 i : work_items(size)) indices[i] = from ? i64(from[i]) : i % p.n;
  }
}

}  // namespace sorting
}  // namespace ca
