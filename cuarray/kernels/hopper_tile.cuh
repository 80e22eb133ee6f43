// Where things lie in the shared memory of a block of matmul_hopper.cuh, and how wgmma is told.
//
// How slices lie in shared memory. The copy engine writes boxes of rows of 128 bytes and exchanges the eight 16-byte
// pieces of row r among themselves: piece p stands at p ^ (r % 8) ("128-byte swizzle"). Eight rows, 1024 bytes, are
// an atom, and begin at a multiple of 1024. The descriptor of an operand of wgmma has its first address, two strides
// between atoms, and says that they are swizzled; the exchange applies to bits 4-6 of the address as computed, by
// bits 7-9, so a descriptor may begin within an atom.
// - Neighbours along k (a in C order, b transposed): a row of a box is BK elements of a row of a. The atom is 8 rows
//   of a by 128 bytes of k; the stride from 8 rows to the next 8 is 1024, and the other stride has no meaning. wgmma
//   takes 32 bytes of k: step s begins 32 s bytes further, in the same atom.
// - Neighbours along m, or n (a transposed, b in C order; 16-bit elements only): a row of a box is 64 neighbours
//   along n at one k, a box is BK such rows, and the next 64 of n are the next box. The atom is 64 n by 8 k. The
//   "leading" stride, from 64 n to the next 64, is a box, BK * 128 bytes; the other, from 8 k to the next 8, is 1024.
//   wgmma takes 16 k, two atoms: step s begins 2048 s bytes further.
#pragma once
#include "portable.cuh"

namespace ca {

// Split: what is missing in slices of a and b stands behind them.
template <class T, int BM, int BN, int Stages, int ClusterM, int ClusterN, int Consumers, int Buffers, bool Split = false>
struct HopperTile {
  static constexpr int row_bytes = 128, bk = row_bytes / int(sizeof(T)), step_bytes = 32;
  static constexpr int steps = row_bytes / step_bytes;
  static constexpr int a_bytes = BM * row_bytes, b_bytes = BN * row_bytes, low_at = a_bytes + b_bytes;
  static constexpr int stage_bytes = (Split ? 2 : 1) * low_at;
  static constexpr int rows = BM / Consumers, blocks = rows / 64;  // of a consumer: blocks of 64 rows
  static constexpr int buffer_bytes = 64 * row_bytes;
  static constexpr int buffers_at = Stages * stage_bytes;
  static constexpr int barriers_at = buffers_at + Consumers * Buffers * buffer_bytes;
  static constexpr int cluster = ClusterM * ClusterN, threads = 128 * (1 + Consumers);
  // A slice of a is loaded in ClusterN parts, each by another block, as is one of b in ClusterM parts.
  static constexpr int a_part = BM / ClusterN, b_part = BN / ClusterM;
  static constexpr int shared_bytes = 1024 + barriers_at + 16 * Stages;  // 1024: to begin at a multiple of it

  static_assert(BM % (64 * Consumers) == 0, "consumers multiply blocks of 64 rows");
  static_assert(BN == 64 || BN == 128 || BN == 192 || BN == 256, "the widths that multiply() has");
  static_assert(blocks * BN <= 256, "the sums of a consumer take blocks * BN / 2 registers");
  static_assert(Stages >= 2 && Consumers >= 1 && Consumers <= 3);
  static_assert(Buffers >= 2, "one is written while others are read");
  static_assert(shared_bytes <= 232448, "shared memory of a block");
};

// The operand's descriptor, without its address. See above.
template <bool Turned, class Tile> __device__ inline u64 operand_descriptor() {
  constexpr u64 leading = Turned ? Tile::bk * Tile::row_bytes : 16, stride = 8 * Tile::row_bytes;
  return leading / 16 << 16 | stride / 16 << 32 | u64(1) << 62;
}
// Bytes from one step of wgmma along k to the next.
template <bool Turned, class Tile> __device__ constexpr unsigned int operand_step() {
  return Turned ? Tile::step_bytes / 2 * Tile::row_bytes : Tile::step_bytes;
}

}  // namespace ca
