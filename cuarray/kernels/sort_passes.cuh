// Stable sorting of the long rows of a C-contiguous matrix by blocks of many threads: the values, the indices, or both.
//
// A radix sort from the lowest byte of the key (order.cuh) to the highest, which reads and writes each element once a
// pass. radix_histogram counts the digits of all passes at once. In radix_pass a block takes a tile of a row, sorts it
// by one digit in shared memory, and writes the runs of equal digits to where they belong: after the row's smaller
// digits, and after the equal ones of earlier tiles. How many those are it finds from what the blocks with earlier
// tiles have published (decoupled look-back): the count of their own tile, or already that of all tiles up to it.
// A digit in which no two keys of any row differ has no pass. How many passes there are decides where each one reads
// and writes, so that the last one always writes the result.
#pragma once
#include "order.cuh"

namespace ca {

struct PassSorting {
  u64 values, in, scratch, indices, unused[3];  // values, indices: 0 where they are not asked for
  i64 rows, n, descending, pass;
  i64 blocks, tiles;        // of a row: blocks that count digits, and tiles of a pass
  i64 value_buffers[2];     // as byte offsets in scratch; -1: the output `values`
  i64 index_buffer;         // likewise; the other one is the output `indices`
  i64 counts, published[2];  // likewise
  i64 zeroed;               // bytes that are 0 at the beginning
};

namespace sorting {
using namespace cuda_functions;

// What scratch memory begins with: words, of which those of the rows count the blocks that are done.
constexpr i64 mask_word = 0, tile_words = 1, row_words = 32;  // a bit a pass that moves; the next tile of each pass

__device__ inline unsigned* words_of(const PassSorting& p) { return global_pointer<unsigned>(p.scratch); }

__device__ inline unsigned add_to(unsigned* address, unsigned value) { return atomicAdd(address, value); }
__device__ inline void add_to(u64* address, u64 value) {
  atomicAdd(reinterpret_cast<unsigned long long*>(address), static_cast<unsigned long long>(value));
}

template <int Threads> __global__ void __launch_bounds__(Threads) radix_begin(PassSorting p) {
  await_previous();
  u64* const words = global_pointer<u64>(p.scratch);
  for (i64 i : work_items(p.zeroed / 8)) words[i] = 0;
}

// Counters of a digit, for neighbouring lanes: so that many equal digits in a warp do not wait for each other.
template <int Passes> constexpr int counters_a_digit = Passes < 4 ? 8 : 32 / Passes;

// counts[row][pass][digit]: elements of the row with smaller digits. Bits of passes in which digits differ are set.
template <class T, class Index, int Threads, int Items> __global__ void __launch_bounds__(Threads)
radix_histogram(PassSorting p) {
  await_previous();
  using Key = key_t<T>;
  static_assert(Threads >= radix_size, "a thread a digit");
  constexpr int passes = int(sizeof(T)), digits = passes * radix_size, each = counters_a_digit<passes>;
  __shared__ unsigned counters[digits * each];
  __shared__ bool is_last;
  const int t = threadIdx.x;
  const i64 row = blockIdx.x / p.blocks, block = blockIdx.x - row * p.blocks;
  const i64 chunk = (p.n + p.blocks - 1) / p.blocks, begin = block * chunk;
  const i64 end = begin + chunk < p.n ? begin + chunk : p.n;
  const T* const in = global_pointer<const T>(p.in) + row * p.n;
  const Key flip = all_bits<Key>(p.descending);
  for (int i = t; i < digits * each; i += Threads) counters[i] = 0;
  __syncthreads();
  unsigned* const own = counters + t % each;
  auto count = [&](T value) {
    const Key key = Key(order_key(value) ^ flip);
#pragma unroll
    for (int pass = 0; pass < passes; ++pass) atomicAdd(&own[(pass * radix_size + key_digit(key, pass)) * each], 1u);
  };
  i64 first = begin + t;
  for (; first + (Items - 1) * Threads < end; first += Items * Threads) {
    T values[Items];
#pragma unroll
    for (int k = 0; k < Items; ++k) values[k] = in[first + k * Threads];
#pragma unroll
    for (int k = 0; k < Items; ++k) count(values[k]);
  }
  for (; first < end; first += Threads) count(in[first]);
  __syncthreads();
  Index* const counts = global_pointer<Index>(p.scratch + p.counts) + row * digits;
  for (int d = t; d < digits; d += Threads) {
    unsigned sum = 0;
#pragma unroll
    for (int q = 0; q < each; ++q) sum += counters[d * each + q];
    if (sum) add_to(&counts[d], Index(sum));
  }
  // The last block of the row turns counts into places.
  __threadfence();
  __syncthreads();
  if (t == 0) is_last = atomicAdd(&words_of(p)[row_words + row], 1u) + 1 == unsigned(p.blocks);
  __syncthreads();
  if (!is_last) return;
  __threadfence();
  unsigned moves = 0;
  for (int pass = 0; pass < passes; ++pass) {
    Index* const own_counts = counts + pass * radix_size;
    const Index count = t < radix_size ? own_counts[t] : Index(0);
    Index all;
    const Index before = blocks::exclusive_sum<Threads>(count, all);
    if (t < radix_size) own_counts[t] = before;
    if (!__syncthreads_or(i64(count) == p.n)) moves |= 1u << pass;
  }
  if (t == 0 && moves) atomicOr(&words_of(p)[mask_word], moves);
}

// The lanes of the warp with the same digit.
template <bool Ballots> __device__ inline unsigned lanes_alike(unsigned digit) {
  if constexpr (!Ballots) return __match_any_sync(0xffffffffu, digit);
  unsigned alike = 0xffffffffu;
#pragma unroll
  for (int bit = 0; bit < radix_bits; ++bit) {
    unsigned votes;
#if CA_ON_DEVICE  // of __ballot_sync the compiler makes twice as many instructions
    asm volatile(
        "{ .reg .pred own; .reg .b32 word; and.b32 word, %1, %2; setp.ne.u32 own, word, 0;"
        "  vote.sync.ballot.b32 %0, own, 0xffffffff; @!own not.b32 %0, %0; }"
        : "=r"(votes) : "r"(digit), "r"(1u << bit));
#else
    const bool own = digit >> bit & 1;
    votes = __ballot_sync(0xffffffffu, own);
    if (!own) votes = ~votes;
#endif
    alike &= votes;
  }
  return alike;
}

// A tile's count of a digit, or that of all tiles of the row up to it; 0: not published yet.
template <class Index> struct Published {
  static constexpr int shift = int(sizeof(Index)) * 8 - 2;
  static constexpr Index own = Index(1) << shift, upto = Index(2) << shift, count = own - 1;
};

// The count of a digit in the tiles before `tile`, which is not the row's first: `published` are tile 0's and, so many
// words further on, the next ones'. Reads some at a time, as each takes as long as all of them.
template <class Index, int Reads> __device__ inline Index count_before(volatile const Index* published, i64 tile) {
  Index sum = 0;
  i64 at = tile - 1;
  while (true) {
    Index words[Reads];
#pragma unroll
    for (int k = 0; k < Reads; ++k) words[k] = at >= k ? published[(at - k) * radix_size] : Index(0);
    int taken = 0;
#pragma unroll
    for (int k = 0; k < Reads; ++k) {
      if (taken == k && words[k]) {
        sum += words[k] & Published<Index>::count;
        if (words[k] & Published<Index>::upto) return sum;
        ++taken;
      }
    }
    at -= taken;
    if (!taken) __nanosleep(20);
  }
}

// Of no pass: all rows consist of equal keys.
template <class T> __device__ inline void copy_rows(const PassSorting& p) {
  const T* const in = global_pointer<const T>(p.in);
  T* const values = global_pointer<T>(p.values);
  i64* const indices = global_pointer<i64>(p.indices);
  for (i64 i : work_items(p.rows * p.n)) {
    if (values) values[i] = in[i];
    if (indices) indices[i] = i % p.n;
  }
}

// Resident: blocks a processor, which bounds registers. Reads: see count_before. Ballots: see lanes_alike.
template <class T, class Index, bool Indices, int Threads, int Items, int Resident, int Reads, bool Ballots>
__global__ void __launch_bounds__(Threads, Resident) radix_pass(PassSorting p) {
  await_previous();
  using Key = key_t<T>;
  static_assert(Threads >= radix_size && Threads % 32 == 0, "a thread a digit");
  constexpr int passes = int(sizeof(T)), warps = Threads / 32, tile = Threads * Items;
  constexpr int tables_bytes = warps * radix_size * 4, index_offset = tile * int(sizeof(T));
  constexpr int items_bytes = index_offset + (Indices ? tile * int(sizeof(Index)) : 0);
  // First the warps' counts of digits, then the tile's elements.
  alignas(16) __shared__ unsigned char shared[items_bytes > tables_bytes ? items_bytes : tables_bytes];
  __shared__ Index place[radix_size];  // of a digit's first element in the row, less its place in the tile
  __shared__ unsigned taken;
  const int t = threadIdx.x, lane = t % 32, warp = t / 32, pass = int(p.pass);

  const unsigned mask = words_of(p)[mask_word];
  if (!(mask >> pass & 1)) {
    if (pass == passes - 1 && mask == 0) copy_rows<T>(p);
    return;
  }
  const int moves = __popc(mask), move = __popc(mask & ((1u << pass) - 1)), later = moves - 1 - move;
  const Key flip = all_bits<Key>(p.descending);
  auto value_buffer = [&](int passes_later) {
    const i64 offset = p.value_buffers[passes_later & 1];
    return global_pointer<T>(offset < 0 ? p.values : p.scratch + offset);
  };
  auto index_buffer = [&](int passes_later) {
    return global_pointer<Index>(passes_later & 1 ? p.scratch + p.index_buffer : p.indices);
  };

  if (t == 0) taken = atomicAdd(&words_of(p)[tile_words + pass], 1u);
  __syncthreads();
  const unsigned number = taken, tiles = unsigned(p.tiles), row = number / tiles, own_tile = number - row * tiles;
  const i64 first = i64(own_tile) * tile, offset = i64(row) * p.n;
  const int here = p.n - first < tile ? int(p.n - first) : tile;
  // A warp takes 32 neighbours at a time: item k of a thread, if that is less than `left` before the row's end, is
  // 32 * k after its first one.
  const int mine = warp * Items * 32 + lane, left = here - mine;

  T values[Items] = {};
  unsigned codes[Items];  // a digit, above it a rank
  {
    const T* const from = (move ? value_buffer(later + 1) : global_pointer<const T>(p.in)) + offset + first + mine;
#pragma unroll
    for (int k = 0; k < Items; ++k)
      if (k * 32 < left) values[k] = from[k * 32];
  }
  unsigned* const digits = reinterpret_cast<unsigned*>(shared) + warp * radix_size;
#pragma unroll
  for (int i = 0; i < radix_size; i += 32) digits[i + lane] = 0;
  __syncwarp();
  // Equal digits are numbered by item and lane. What is beyond the row comes last, and is not written.
#pragma unroll
  for (int k = 0; k < Items; ++k) {
    const unsigned found = key_digit(Key(order_key(values[k]) ^ flip), pass);
    const unsigned digit = k * 32 < left ? found : unsigned(radix_size - 1);
    const unsigned alike = lanes_alike<Ballots>(digit), lower = __popc(alike & ((1u << lane) - 1u));
    const unsigned before = digits[digit];
    __syncwarp();
    if (lower == 0) digits[digit] = before + __popc(alike);
    __syncwarp();
    codes[k] = digit | (before + lower) << radix_bits;
  }
  __syncthreads();

  unsigned* const columns = reinterpret_cast<unsigned*>(shared) + t;
  unsigned own = 0, sum;
  Index* const published =
      global_pointer<Index>(p.scratch + p.published[move & 1]) + i64(row * tiles) * radix_size + t;
  if (t < radix_size) {
#pragma unroll
    for (int w = 0; w < warps; ++w) own += columns[w * radix_size];
    *const_cast<volatile Index*>(published + i64(own_tile) * radix_size) =
        own | (own_tile ? Published<Index>::own : Published<Index>::upto);
    if (later)
      global_pointer<Index>(p.scratch + p.published[(move & 1) ^ 1])[i64(number) * radix_size + t] = 0;
  }
  const unsigned smaller = blocks::exclusive_sum<Threads>(own, sum);
  if (t < radix_size) {
    unsigned at = smaller;
#pragma unroll
    for (int w = 0; w < warps; ++w) {
      const unsigned count = columns[w * radix_size];
      columns[w * radix_size] = at;
      at += count;
    }
  }
  __syncthreads();
#pragma unroll
  for (int k = 0; k < Items; ++k) codes[k] = (codes[k] >> radix_bits) + digits[codes[k] & (radix_size - 1)];
  __syncthreads();
  T* const tile_values = reinterpret_cast<T*>(shared);
  Index* tile_indices = reinterpret_cast<Index*>(shared + index_offset);
#pragma unroll
  for (int k = 0; k < Items; ++k) tile_values[codes[k]] = values[k];
  // Asked for when the values are out of the way, and before others are waited for.
  Index payload[Indices ? Items : 1];
  if constexpr (Indices) {
    const Index* const from = index_buffer(later + 1) + offset + first + mine;
#pragma unroll
    for (int k = 0; k < Items; ++k) {
      payload[k] = Index(first) + mine + k * 32;
      if (move && k * 32 < left) payload[k] = from[k * 32];
    }
  }
  if (t < radix_size) {
    const Index* const counts = global_pointer<const Index>(p.scratch + p.counts);
    Index at = counts[(i64(row) * passes + pass) * radix_size + t];
    if (own_tile) {
      const Index before = count_before<Index, Reads>(published, own_tile);
      *const_cast<volatile Index*>(published + i64(own_tile) * radix_size) = (before + own) | Published<Index>::upto;
      at += before;
    }
    place[t] = at - smaller;
  }
  if constexpr (Indices) {
#pragma unroll
    for (int k = 0; k < Items; ++k) tile_indices[codes[k]] = payload[k];
  }
  __syncthreads();

  // From the sorted tile, neighbours go to neighbouring places.
  const int rest = here - t;
  Index at[Items];
#pragma unroll
  for (int k = 0; k < Items; ++k) {
    values[k] = tile_values[t + k * Threads];
    at[k] = place[key_digit(Key(order_key(values[k]) ^ flip), pass)] + Index(t + k * Threads);
  }
  if (later || p.values) {
    T* const out = value_buffer(later) + offset;
#pragma unroll
    for (int k = 0; k < Items; ++k)
      if (k * Threads < rest) out[at[k]] = values[k];
  }
  if constexpr (Indices) {
    __syncwarp();  // so that registers are not filled with indices before the values are out of the way
    tile_indices += t;
    if (later) {
      Index* const out = index_buffer(later) + offset;
#pragma unroll
      for (int k = 0; k < Items; ++k)
        if (k * Threads < rest) out[at[k]] = tile_indices[k * Threads];
    } else {
      i64* const out = global_pointer<i64>(p.indices) + offset;
#pragma unroll
      for (int k = 0; k < Items; ++k)
        if (k * Threads < rest) out[at[k]] = i64(tile_indices[k * Threads]);
    }
  }
}

}  // namespace sorting
}  // namespace ca
