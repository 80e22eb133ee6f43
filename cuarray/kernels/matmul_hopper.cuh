// out = epilogue(a @ b) for Hopper (sm_90a): float16, bfloat16, and float32 rounded to tf32, accumulated in float32.
//
// A block is one warpgroup that copies and `Consumers` warpgroups that multiply. A thread of the first has the copy
// engine bring slices of BM x BK of a and BK x BN of b to a ring of `Stages` in shared memory; the consumers multiply
// them as they arrive. Two barriers a stage keep both apart: "full" counts the bytes that have come, "empty" the
// warps that have finished reading. Blocks stay and compute tile after tile, so that the slices of the next tile come
// while this one is written. `ClusterM` x `ClusterN` blocks compute neighbouring tiles; what they share is read once
// and sent to all of them.
#pragma once
#include "hopper_ptx.cuh"
#include "hopper_tile.cuh"
#include "matmul.cuh"
#include "tile_order.cuh"

namespace ca {

// The maps are those of a, b, out, and of what is missing in a and b where they are split in two.
template <int NBatch, int Maps> struct MatmulHopper {
  Matmul<NBatch> product;
  i64 group;                 // of the order of tiles
  i64 a_stacked, b_stacked;  // 0: the same matrix for the whole stack
  TensorMap maps[Maps];
};
enum HopperMap { map_a, map_b, map_out, map_a_low, map_b_low };

// One part of a slice: rows first .. first + Part - 1 along m or n, at k.
template <bool Turned, int Part, class Tile>
__device__ inline void load_part(u32 to, const TensorMap& map, u32 full, int first, int k, int batch, u32 ranks) {
  static_assert(Part % (Turned ? 64 : 8) == 0, "parts are whole boxes, and whole atoms");
  constexpr int boxes = Turned ? Part / 64 : 1;
#pragma unroll
  for (int i = 0; i < boxes; ++i) {
    const u32 at = to + i * Tile::bk * Tile::row_bytes;
    const int x = Turned ? first + 64 * i : k, y = Turned ? k : first;
    if (ranks) ptx::load_box(at, map, full, x, y, batch, (unsigned short)(ranks));
    else ptx::load_box(at, map, full, x, y, batch);
  }
}

template <class Epilogue> inline constexpr bool reads_c = false;
template <class Op> inline constexpr bool reads_c<epilogues::Affine<Op, true>> = true;

// A piece of out is 64 rows of 128 bytes in shared memory, whose 16-byte pieces are exchanged as in every box.
template <class Out> __device__ inline int place_in_piece(int row, int col) {
  constexpr int in_16 = 16 / int(sizeof(Out));
  return row * 128 + (col / in_16 ^ row % 8) * 16 + col % in_16 * int(sizeof(Out));
}

// Calls f(place, row, col) for the elements of a piece that are within out, spread over the 128 threads of a consumer.
template <class Out, int NBatch, class F>
__device__ inline void for_piece(const Matmul<NBatch>& p, int first_row, int first_col, F f) {
  constexpr int cols = 128 / int(sizeof(Out));
#pragma unroll 1
  for (int i = threadIdx.x % 128; i < 64 * cols; i += 128) {
    const int row = first_row + i / cols, col = first_col + i % cols;
    if (row < p.m && col < p.n) f(place_in_piece<Out>(i / cols, i % cols), i64(row), i64(col));
  }
}

// The elements of c at a piece of out: 16 bytes at once, four of which a thread has on the way, if c lies so.
template <class Out, int NBatch>
__device__ inline void fetch_c(const Matmul<NBatch>& p, char* to, i64 offset, int first_row, int first_col) {
  constexpr int in_16 = 16 / int(sizeof(Out));
  const u64 base = p.c + offset;
  const bool inside = first_col + 8 * in_16 <= p.n;
  if (inside && p.c_col == i64(sizeof(Out)) && (base | u64(p.c_row)) % 16 == 0) {
    uint4 loaded[4];
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int local = threadIdx.x % 128 / 8 + 16 * i, row = first_row + local, last = int(p.m) - 1;
      const int col = first_col + int(threadIdx.x) % 8 * in_16;
      loaded[i] = element<uint4>(base, (row < last ? row : last) * p.c_row + col * i64(sizeof(Out)));
    }
#pragma unroll
    for (int i = 0; i < 4; ++i) {
      const int place = place_in_piece<Out>(threadIdx.x % 128 / 8 + 16 * i, threadIdx.x % 8 * in_16);
      *reinterpret_cast<uint4*>(to + place) = loaded[i];
    }
  } else {
    for_piece<Out>(p, first_row, first_col, [&](int place, i64 row, i64 col) {
      *reinterpret_cast<Out*>(to + place) = element<Out>(base, row * p.c_row + col * p.c_col);
    });
  }
}

// The parity of a stage's phases changes with every round of the ring.
template <int Stages> struct RingPlace {
  int stage = 0;
  u32 parity = 0;
  __device__ void advance() {
    if (++stage == Stages) stage = 0, parity ^= 1;
  }
};

// ATurned: neighbours in a are neighbours along m; BTurned: in b, along n. Order: see tile_order.cuh. Buffers: pieces
// of 64 rows of 128 bytes through which a consumer writes its sums. StoreBoxes: the copy engine writes them to out,
// while the consumer goes on; else its threads do, which rows of out that are no multiple of 16 bytes need. Split:
// a_low b + a b_low + a b, slice by slice, so that each part of a slice is read once. Promote: after so many slices sums
// are added up in registers, with correct rounding, as wgmma's own sums are truncated; 0: never. Bounded: waits end in an error.
template <class T, class Out, class Epilogue, int BM, int BN, int Stages, int ClusterM, int ClusterN, int Consumers,
          bool ATurned, bool BTurned, int Order, int Buffers, bool StoreBoxes, bool Split, int Promote, bool Bounded,
          int NBatch>
__global__ void __launch_bounds__(128 * (1 + Consumers), 1)
    matmul_hopper(const __grid_constant__ MatmulHopper<NBatch, Split ? 5 : 3> p) {
  using Tile = HopperTile<T, BM, BN, Stages, ClusterM, ClusterN, Consumers, Buffers, Split>;
  static_assert(sizeof(Out) == 2 || sizeof(Out) == 4);
  extern __shared__ char dynamic_shared[];
  const u32 begin = ptx::shared_address(dynamic_shared), shared = (begin + 1023) & ~1023u;
  const u32 full = shared + Tile::barriers_at, empty = full + 8 * Stages;
  const u32 warpgroup = __shfl_sync(~0u, threadIdx.x / 128, 0);
  const u32 rank = Tile::cluster > 1 ? ptx::cluster_rank() : 0;
  const u32 rank_m = rank % ClusterM, rank_n = rank / ClusterM;

  if (threadIdx.x == 0) {
    for (int s = 0; s < Stages; ++s) {
      ptx::barrier_init(full + 8 * s, 1);
      ptx::barrier_init(empty + 8 * s, 4 * Consumers * (ClusterM + ClusterN - 1));  // warps of all that share a part
    }
    ptx::fence_barrier_init();
  }
  if constexpr (Tile::cluster > 1) ptx::cluster_meet();
  else __syncthreads();

  const u32 rows = u32((p.product.m + BM * ClusterM - 1) / (BM * ClusterM));  // of tiles of a cluster
  const u32 cols = u32((p.product.n + BN * ClusterN - 1) / (BN * ClusterN));
  const u32 tiles = rows * cols * u32(p.product.batches), clusters = gridDim.x / Tile::cluster;
  const int slices = int((p.product.k + Tile::bk - 1) / Tile::bk);
  RingPlace<Stages> place;

  if (warpgroup == 0) {
    if constexpr (Consumers == 2) ptx::fewer_registers<40>();
    if constexpr (Consumers == 3) ptx::fewer_registers<32>();
    if (threadIdx.x == 0) {
#pragma unroll
      for (int i = 0; i < (Split ? 5 : 3); ++i)
        if (i != map_out || StoreBoxes) ptx::prefetch(p.maps[i]);
      // The blocks that get a part: of a those of this row, of b those of this column of the cluster.
      u32 a_ranks = 0, b_ranks = 0;
      for (int i = 0; i < ClusterN && ClusterN > 1; ++i) a_ranks |= 1u << (rank_m + i * ClusterM);
      for (int i = 0; i < ClusterM && ClusterM > 1; ++i) b_ranks |= 1u << (i + rank_n * ClusterM);
      for (u32 t = blockIdx.x / Tile::cluster; t < tiles; t += clusters) {
        const u32 matrix = t / (rows * cols);
        const TilePlace at = tile_place<Order>(t - matrix * rows * cols, rows, cols, u32(p.group));
        const int m = int(at.row * ClusterM + rank_m) * BM + int(rank_n) * Tile::a_part;
        const int n = int(at.col * ClusterN + rank_n) * BN + int(rank_m) * Tile::b_part;
        const int a_batch = p.a_stacked ? int(matrix) : 0, b_batch = p.b_stacked ? int(matrix) : 0;
#pragma unroll 1
        for (int slice = 0; slice < slices; ++slice, place.advance()) {
          const u32 stage = shared + place.stage * Tile::stage_bytes, ready = full + 8 * place.stage;
          const auto load = [&](u32 to, const TensorMap& a, const TensorMap& b) {
            load_part<ATurned, Tile::a_part, Tile>(to + rank_n * Tile::a_part * Tile::row_bytes, a, ready, m,
                                                   slice * Tile::bk, a_batch, a_ranks);
            load_part<BTurned, Tile::b_part, Tile>(to + Tile::a_bytes + rank_m * Tile::b_part * Tile::row_bytes, b, ready,
                                                   n, slice * Tile::bk, b_batch, b_ranks);
          };
          ptx::wait<Bounded>(empty + 8 * place.stage, place.parity ^ 1);
          ptx::arrive_expecting(ready, Tile::stage_bytes);
          load(stage, p.maps[map_a], p.maps[map_b]);
          if constexpr (Split) load(stage + Tile::low_at, p.maps[map_a_low], p.maps[map_b_low]);
        }
      }
    }
    __syncwarp();  // whole warps meet below
  } else {
    if constexpr (Consumers == 2) ptx::more_registers<232>();
    if constexpr (Consumers == 3) ptx::more_registers<160>();
    const u32 consumer = warpgroup - 1, warp = threadIdx.x / 32 % 4, lane = threadIdx.x % 32;
    const u32 a_at = shared + consumer * Tile::rows * Tile::row_bytes, b_at = shared + Tile::a_bytes;
    const u64 a_descriptor = operand_descriptor<ATurned, Tile>() + ptx::descriptor_address(a_at);
    const u64 b_descriptor = operand_descriptor<BTurned, Tile>() + ptx::descriptor_address(b_at);
    // Lane i of each warp tells block i of the cluster, if that one sends to this one, that a stage has been read.
    const bool tells = lane < Tile::cluster && (lane % ClusterM == rank_m || lane / ClusterM == rank_n);
    const auto release = [&](int stage) {
      if constexpr (Tile::cluster > 1) {
        if (tells) ptx::arrive_at(empty + 8 * stage, lane);
      } else {
        if (lane == 0) ptx::arrive(empty + 8 * stage);
      }
    };
    u32 buffer = 0;  // that is written next
    float sums[Tile::blocks][BN / 2], total[Promote ? Tile::blocks : 1][Promote ? BN / 2 : 1];
    for (u32 t = blockIdx.x / Tile::cluster; t < tiles; t += clusters) {
      if constexpr (Promote != 0) {
#pragma unroll
        for (int i = 0; i < Tile::blocks; ++i)
#pragma unroll
          for (int j = 0; j < BN / 2; ++j) total[i][j] = 0.0f;
      }
      int before = -1, since = 0;  // the stage that is still read; slices since the last promotion
#pragma unroll 1
      for (int slice = 0; slice < slices; ++slice, place.advance()) {
        ptx::wait<Bounded>(full + 8 * place.stage, place.parity);
        const u64 offset = u64(place.stage * (Tile::stage_bytes / 16));
#pragma unroll
        for (int i = 0; i < Tile::blocks; ++i) ptx::keep_in_place(sums[i]);
        const auto multiply = [&](int a_from, int b_from, bool first) {
#pragma unroll
          for (int step = 0; step < Tile::steps; ++step)
#pragma unroll
            for (int i = 0; i < Tile::blocks; ++i)
              ptx::multiply<ATurned, BTurned>(T{}, sums[i],
                  a_descriptor + offset + (a_from + i * 64 * Tile::row_bytes + step * operand_step<ATurned, Tile>()) / 16,
                  b_descriptor + offset + (b_from + step * operand_step<BTurned, Tile>()) / 16, step || !first ? 1u : 0u);
        };
        ptx::products_begin();
        if constexpr (Split) {
          multiply(Tile::low_at, 0, since == 0);
          multiply(0, Tile::low_at, false);
        }
        multiply(0, 0, !Split && since == 0);
        ptx::products_commit();
        ++since;
        if constexpr (Promote != 0) {
          if (since == Promote || slice + 1 == slices) {
            ptx::products_wait<0>();
#pragma unroll
            for (int i = 0; i < Tile::blocks; ++i) ptx::keep_in_place(sums[i]);
            if (before >= 0) release(before);
            release(place.stage);
            before = -1, since = 0;
#pragma unroll
            for (int i = 0; i < Tile::blocks; ++i)
#pragma unroll
              for (int j = 0; j < BN / 2; ++j) total[i][j] += sums[i][j];
            continue;
          }
        }
        ptx::products_wait<1>();  // this slice's may still run, those before are done
        if (before >= 0) release(before);
        before = place.stage;
      }
      const u32 matrix = t / (rows * cols);
      const TilePlace at = tile_place<Order>(t - matrix * rows * cols, rows, cols, u32(p.group));
      const int m = int(at.row * ClusterM + rank_m) * BM + int(consumer) * Tile::rows;
      const int n = int(at.col * ClusterN + rank_n) * BN;
      BatchOffsets offsets = {0, 0, 0};
      if constexpr (reads_c<Epilogue>) offsets = batch_offsets(p.product, i64(matrix));
      ptx::products_wait<0>();
#pragma unroll
      for (int i = 0; i < Tile::blocks; ++i) ptx::keep_in_place(sums[i]);
      if (before >= 0) release(before);
      // Piece after piece of 64 rows by 128 bytes. What does not name registers stands in the code once.
      constexpr int columns = Tile::row_bytes / int(sizeof(Out)), across = BN / columns;
#pragma unroll 1
      for (int piece = 0; piece < Tile::blocks * across; ++piece) {
        const int row = m + piece / across * 64, col = n + piece % across * columns;
        const u32 to = shared + Tile::buffers_at + (consumer * Buffers + buffer) * Tile::buffer_bytes;
        char* const local_piece = dynamic_shared + (to - begin);
        if constexpr (reads_c<Epilogue>) {
          // By way of shared memory: neighbouring threads read neighbours, and the code for each sum is short.
          fetch_c<Out>(p.product, local_piece, offsets.c, row, col);
          ptx::named_barrier(1 + consumer, 128);
        }
#pragma unroll
        for (int own = 0; own < Tile::blocks * across; ++own) {
          if (own != piece) continue;
          constexpr int count = columns / 2;
          float (&all)[BN / 2] = *[&] {
            if constexpr (Promote != 0) return &total[own / across];
            else return &sums[own / across];
          }();
          float sum[count];
          Matmul<NBatch> here = p.product;  // with c where it was fetched to
          here.c = reinterpret_cast<u64>(local_piece), here.c_row = here.c_col = 0;
#pragma unroll
          for (int j = 0; j < count; ++j) {
            const int r = warp * 16 + lane / 4 + j / 2 % 2 * 8, c = j / 4 * 8 + lane % 4 * 2 + j % 2;
            const BatchOffsets place = {0, 0, reads_c<Epilogue> ? place_in_piece<Out>(r, c) : 0};
            sum[j] = Epilogue::template apply<Out>(here, all[own % across * count + j], place, 0, 0);
          }
          if constexpr (reads_c<Epilogue>) ptx::named_barrier(1 + consumer, 128);
          if constexpr (sizeof(Out) == 2) {
            // Matrices 0 and 1 of a store are rows 0-7 and 8-15 of eight columns, 2 and 3 of the next eight.
            const u32 local = warp * 16 + lane % 16;
#pragma unroll
            for (int g = 0; g < columns / 8; g += 2) {
              const float* d = sum + 4 * g;
              ptx::store_matrices(to + local * Tile::row_bytes + ((g + lane / 16) ^ (local % 8)) * 16,
                                  ptx::pack(Out{}, d[0], d[1]), ptx::pack(Out{}, d[2], d[3]),
                                  ptx::pack(Out{}, d[4], d[5]), ptx::pack(Out{}, d[6], d[7]));
            }
          } else {
            const u32 local = warp * 16 + lane / 4;  // and local + 8, whose pieces are exchanged likewise
#pragma unroll
            for (int g = 0; g < columns / 8; ++g) {
              const float* d = sum + 4 * g;
              const u32 at = to + local * Tile::row_bytes + ((2 * g + lane % 4 / 2) ^ (local % 8)) * 16 + lane % 2 * 8;
              ptx::store_pair(at, d[0], d[1]);
              ptx::store_pair(at + 8 * Tile::row_bytes, d[2], d[3]);
            }
          }
        }
        ptx::fence_for_copies();
        // When this barrier is passed the piece is there, and the store that last read the next buffer has read it.
        if (StoreBoxes && threadIdx.x % 128 == 0) ptx::wait_for_reads<Buffers - 2>();
        ptx::named_barrier(1 + consumer, 128);
        if constexpr (!StoreBoxes)
          for_piece<Out>(p.product, row, col, [&](int place, i64 r, i64 c) {
            element<Out>(p.product.out, ((i64(matrix) * p.product.m + r) * p.product.n + c) * i64(sizeof(Out))) =
                *reinterpret_cast<const Out*>(local_piece + place);
          });
        else if (threadIdx.x % 128 == 0)
          ptx::store_box(p.maps[map_out], to, col, row, int(matrix));
        buffer = buffer + 1 == Buffers ? 0 : buffer + 1;
      }
    }
    if (StoreBoxes && threadIdx.x % 128 == 0) ptx::wait_for_stores();
    __syncwarp();
  }
  // Others may still tell this block that they have read a stage.
  if constexpr (Tile::cluster > 1) ptx::cluster_meet();
}

}  // namespace ca
