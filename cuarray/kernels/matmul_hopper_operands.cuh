// Copies of operands that the copy engine cannot read where they are: rows that begin at multiples of 16 bytes. Of float32
// they are what matmul_hopper.cuh wants for tf32: contiguous along k, and rounded to tf32 (11 significant bits), or split
// into the rounded number and what is missing, rounded as well.
#pragma once
#include "matmul.cuh"

namespace ca {

// To nearest, ties away from zero. What would become infinite is cut off instead.
__device__ inline float rounded_to_tf32(float x) {
  const unsigned int bits = bit_cast<unsigned int>(x), exponent = 0x7f800000u;
  if ((bits & exponent) == exponent) return x != x ? limits<float>::nan() : x;
  const unsigned int nearest = (bits + 0x1000u) & ~0x1fffu;
  return bit_cast<float>((nearest & exponent) == exponent ? bits & ~0x1fffu : nearest);
}

// x is rounded_to_tf32(x) + missing_in_tf32(x) but for 2^-22 of it. Nothing is missing in infinities and NaNs.
__device__ inline float missing_in_tf32(float x) {
  const float missing = x - rounded_to_tf32(x);
  return missing == missing ? rounded_to_tf32(missing) : 0.0f;
}

template <int NBatch> struct CopiedOperand {
  Matmul<NBatch> product;
  i64 to, low;   // bytes from scratch memory to the result, and to what is missing in it
  i64 pitch;     // elements from row to row of the result
  i64 matrices;  // 1: the same for the whole stack
};

// The rows of a, or the columns of b (OfB), as rows. A block of 32 x 8 threads moves tiles of 32 x 32 through shared
// memory: both reading and writing, the lanes of a warp have neighbours. Turned: in memory, neighbours are neighbours
// across k.
template <bool OfB, bool Turned, bool Split, int NBatch> __global__ void tf32_operand(CopiedOperand<NBatch> p) {
  __shared__ float tile[32][33];
  const i64 rows = OfB ? p.product.n : p.product.m, row_stride = OfB ? p.product.b_col : p.product.a_row;
  const i64 k_stride = OfB ? p.product.b_row : p.product.a_col;
  const u64 base = OfB ? p.product.b : p.product.a, out = p.product.scratch + p.to;
  const i64 row_tiles = (rows + 31) / 32, k_tiles = (p.product.k + 31) / 32;
  const int x = threadIdx.x, y = threadIdx.y;
  for (i64 t = blockIdx.x; t < p.matrices * row_tiles * k_tiles; t += gridDim.x) {
    const i64 matrix = t / (row_tiles * k_tiles), within = t - matrix * row_tiles * k_tiles;
    const i64 row = within / k_tiles * 32, k = within % k_tiles * 32;
    const BatchOffsets at = batch_offsets(p.product, matrix);
    for (int i = y; i < 32; i += 8) {
      const int r = Turned ? x : i, c = Turned ? i : x;
      if (row + r < rows && k + c < p.product.k)
        tile[r][c] = element<float>(base, (OfB ? at.b : at.a) + (row + r) * row_stride + (k + c) * k_stride);
    }
    __syncthreads();
    for (int i = y; i < 32; i += 8)
      if (row + i < rows && k + x < p.product.k) {
        const i64 offset = ((matrix * rows + row + i) * p.pitch + k + x) * i64(sizeof(float));
        element<float>(out, offset) = rounded_to_tf32(tile[i][x]);
        if constexpr (Split) element<float>(out, p.low - p.to + offset) = missing_in_tf32(tile[i][x]);
      }
    __syncthreads();
  }
}

// The same matrix of 16-bit elements, in lines along k, or (Turned) across it. The threads of a warp move neighbouring
// pairs; what a thread moves of a tile of 16 lines of 256 elements is under way at once.
template <bool OfB, bool Turned, int NBatch> __global__ void half_operand(CopiedOperand<NBatch> p) {
  constexpr int down = 2, across = 4;
  const i64 rows = OfB ? p.product.n : p.product.m, row_stride = OfB ? p.product.b_col : p.product.a_row;
  const i64 k_stride = OfB ? p.product.b_row : p.product.a_col;
  const i64 lines = Turned ? p.product.k : rows, length = Turned ? rows : p.product.k;
  const i64 line_stride = Turned ? k_stride : row_stride, stride = Turned ? row_stride : k_stride;
  const u64 base = OfB ? p.product.b : p.product.a, out = p.product.scratch + p.to;
  const unsigned line_tiles = unsigned((lines + 8 * down - 1) / (8 * down)), columns = unsigned((length + 255) / 256);
  const unsigned of_matrix = line_tiles * columns;
  for (unsigned t = blockIdx.x; t < unsigned(p.matrices) * of_matrix; t += gridDim.x) {
    const unsigned matrix = t / of_matrix, within = t - matrix * of_matrix;
    const i64 line = i64(within / columns) * (8 * down) + threadIdx.y, first = within % columns * 256 + 2 * threadIdx.x;
    const BatchOffsets at = batch_offsets(p.product, matrix);
    const u64 from = base + (OfB ? at.b : at.a);
    unsigned pair[down][across];
#pragma unroll
    for (int i = 0; i < down; ++i)
#pragma unroll
      for (int j = 0; j < across; ++j) {
        const i64 own = line + 8 * i, x = first + 64 * j;
        const i64 offset = own * line_stride + x * stride;
        pair[i][j] = own < lines && x < length ? element<unsigned short>(from, offset) : 0u;
        if (own < lines && x + 1 < length) pair[i][j] |= unsigned(element<unsigned short>(from, offset + stride)) << 16;
      }
#pragma unroll
    for (int i = 0; i < down; ++i)
#pragma unroll
      for (int j = 0; j < across; ++j) {
        const i64 own = line + 8 * i, x = first + 64 * j;
        if (own < lines && x < length) element<unsigned>(out, ((matrix * lines + own) * p.pitch + x) * 2) = pair[i][j];
      }
  }
}

}  // namespace ca
