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

struct alignas(16) FourFloats {
  float item[4];
};

// Those of four that are there; all at once where they lie side by side.
__device__ inline FourFloats load_four(u64 from, i64 stride, i64 left) {
  if (left >= 4 && stride == i64(sizeof(float)) && from % 16 == 0) return element<const FourFloats>(from, 0);
  FourFloats four = {};
  for (int j = 0; j < 4; ++j)
    if (j < left) four.item[j] = element<float>(from, j * stride);
  return four;
}

// Both parts of four numbers, or what they are rounded to. Rows of the result are whole vectors.
template <bool Split> __device__ inline void store_four(u64 to, i64 low, const FourFloats& four) {
  FourFloats high, missing;
  for (int j = 0; j < 4; ++j) {
    high.item[j] = rounded_to_tf32(four.item[j]);
    if constexpr (Split) missing.item[j] = missing_in_tf32(four.item[j]);
  }
  element<FourFloats>(to, 0) = high;
  if constexpr (Split) element<FourFloats>(to, low) = missing;
}

// The rows of a, or the columns of b (OfB), as rows; blocks are of 256 threads, each of which has four vectors on the
// way. Turned: in memory, neighbours are neighbours across k, and tiles of 64 x 64 go through shared memory: both reading
// and writing, the lanes of a warp have neighbours.
inline constexpr int tf32_rows[2] = {32, 64}, tf32_steps[2] = {128, 64};  // of a tile; Turned second
template <bool OfB, bool Turned, bool Split, int NBatch> __global__ void tf32_operand(CopiedOperand<NBatch> p) {
  constexpr int tile_rows = tf32_rows[Turned], tile_steps = tf32_steps[Turned], passes = 4;
  __shared__ float tile[Turned ? 64 : 1][65];
  const i64 rows = OfB ? p.product.n : p.product.m, row_stride = OfB ? p.product.b_col : p.product.a_row;
  const i64 k_stride = OfB ? p.product.b_row : p.product.a_col, steps = p.product.k;
  const i64 row_tiles = (rows + tile_rows - 1) / tile_rows, k_tiles = (steps + tile_steps - 1) / tile_steps;
  const int thread = threadIdx.y * 32 + threadIdx.x;
  for (i64 t = blockIdx.x; t < p.matrices * row_tiles * k_tiles; t += gridDim.x) {
    const i64 matrix = t / (row_tiles * k_tiles), within = t - matrix * row_tiles * k_tiles;
    const i64 row = within / k_tiles * tile_rows, k = within % k_tiles * tile_steps;
    const BatchOffsets at = batch_offsets(p.product, matrix);
    const u64 from = (OfB ? p.product.b : p.product.a) + (OfB ? at.b : at.a);
    const auto place = [&](i64 own_row, i64 own_k) {
      return p.product.scratch + p.to + ((matrix * rows + own_row) * p.pitch + own_k) * i64(sizeof(float));
    };
    if constexpr (Turned) {
      FourFloats four[passes];
#pragma unroll
      for (int i = 0; i < passes; ++i) {
        const i64 first = row + thread % 16 * 4, own = k + thread / 16 + 16 * i;
        four[i] = load_four(from + first * row_stride + own * k_stride, row_stride, own < steps ? rows - first : 0);
      }
#pragma unroll
      for (int i = 0; i < passes; ++i)
#pragma unroll
        for (int j = 0; j < 4; ++j) tile[thread % 16 * 4 + j][thread / 16 + 16 * i] = four[i].item[j];
      __syncthreads();
#pragma unroll
      for (int i = 0; i < passes; ++i) {
        const int local = thread / 16 + 16 * i, step = thread % 16 * 4;
        const float* const line = tile[local] + step;
        if (row + local < rows && k + step < steps)
          store_four<Split>(place(row + local, k + step), p.low - p.to, {{line[0], line[1], line[2], line[3]}});
      }
      __syncthreads();
    } else {
      FourFloats four[passes];
      const i64 step = k + threadIdx.x * 4;
#pragma unroll
      for (int i = 0; i < passes; ++i) {
        const i64 own = row + threadIdx.y + 8 * i;
        four[i] = load_four(from + own * row_stride + step * k_stride, k_stride, own < rows ? steps - step : 0);
      }
#pragma unroll
      for (int i = 0; i < passes; ++i) {
        const i64 own = row + threadIdx.y + 8 * i;
        if (own < rows && step < steps) store_four<Split>(place(own, step), p.low - p.to, four[i]);
      }
    }
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
