// Float32 operands as matmul_hopper.cuh wants them for tf32: contiguous along k, and rounded to tf32 (11 significant
// bits), or split into the rounded number and what is missing, rounded as well.
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

template <int NBatch> struct Tf32Operand {
  Matmul<NBatch> product;
  i64 to, low;   // bytes from scratch memory to the result, and to what is missing in it
  i64 pitch;     // floats from row to row of the result
  i64 matrices;  // 1: the same for the whole stack
};

// The rows of a, or the columns of b (OfB), as rows. A block of 32 x 8 threads moves tiles of 32 x 32 through shared
// memory: both reading and writing, the lanes of a warp have neighbours. Turned: in memory, neighbours are neighbours
// across k.
template <bool OfB, bool Turned, bool Split, int NBatch> __global__ void tf32_operand(Tf32Operand<NBatch> p) {
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

}  // namespace ca
