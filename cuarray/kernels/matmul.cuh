// out = a @ b for a stack of matrices, any strides. Two siblings: matmul_tiled stages tiles in shared memory for the
// GPU; matmul_rows gives whole rows to a thread and lets the host's compiler vectorise along them.
#pragma once
#include "ops.cuh"

namespace ca {

// Products and sums of T: integers wrap, bool is or-of-ands, float16 is accumulated in float.
template <class T> struct accumulator { using type = compute_t<T>; };

template <int NBatch> struct Matmul {
  u64 out, a, b, unused[4];  // word 0 is the output, as in every built-in kernel
  i64 batches, m, n, k;
  i64 a_row, a_col, b_row, b_col;  // strides in bytes; out is C-contiguous
  i64 batch_shape[NBatch], a_batch[NBatch], b_batch[NBatch];
};

template <int NBatch>
__device__ inline void batch_offsets(const Matmul<NBatch>& p, i64 batch, i64& a, i64& b) {
  a = b = 0;
  for (int d = NBatch - 1; d >= 0; --d) {
    const i64 at = d ? batch % p.batch_shape[d] : batch;
    batch /= p.batch_shape[d];
    a += at * p.a_batch[d];
    b += at * p.b_batch[d];
  }
}

template <class T> __device__ inline T& element(u64 base, i64 offset) { return *reinterpret_cast<T*>(base + offset); }

// A block of Tile x Tile threads computes a Tile x Tile piece of out; the blocks walk over all pieces of all batches.
template <class T, int Tile, int NBatch> __global__ void matmul_tiled(Matmul<NBatch> p) {
  using Acc = typename accumulator<T>::type;
  __shared__ Acc a_tile[Tile][Tile];
  __shared__ Acc b_tile[Tile][Tile + 1];
  const i64 rows = (p.m + Tile - 1) / Tile, cols = (p.n + Tile - 1) / Tile;
  const int x = threadIdx.x, y = threadIdx.y;
  for (i64 piece = blockIdx.x; piece < p.batches * rows * cols; piece += gridDim.x) {
    const i64 batch = piece / (rows * cols), within = piece - batch * rows * cols;
    const i64 row = within / cols * Tile + y, col = within % cols * Tile + x;
    i64 a_offset, b_offset;
    batch_offsets(p, batch, a_offset, b_offset);
    Acc acc = Acc(0);
    for (i64 k = 0; k < p.k; k += Tile) {
      const bool a_in = row < p.m && k + x < p.k, b_in = col < p.n && k + y < p.k;
      a_tile[y][x] = a_in ? convert<Acc>(element<T>(p.a, a_offset + row * p.a_row + (k + x) * p.a_col)) : Acc(0);
      b_tile[y][x] = b_in ? convert<Acc>(element<T>(p.b, b_offset + (k + y) * p.b_row + col * p.b_col)) : Acc(0);
      __syncthreads();
      for (int t = 0; t < Tile; ++t) acc = ops::Add{}(acc, ops::Multiply{}(a_tile[y][t], b_tile[t][x]));
      __syncthreads();
    }
    if (row < p.m && col < p.n) element<T>(p.out, ((batch * p.m + row) * p.n + col) * i64(sizeof(T))) = convert<T>(acc);
  }
}

// A work item is one row of one product: out[row, :] = sum over k of a[row, k] * b[k, :], Strip columns at a time.
template <class T, int Strip, int NBatch> __global__ void matmul_rows(Matmul<NBatch> p) {
  using Acc = typename accumulator<T>::type;
  for (i64 item : work_items(p.batches * p.m)) {
    const i64 batch = item / p.m, row = item - batch * p.m;
    i64 a_offset, b_offset;
    batch_offsets(p, batch, a_offset, b_offset);
    a_offset += row * p.a_row;
    for (i64 col = 0; col < p.n; col += Strip) {
      const int width = p.n - col < Strip ? int(p.n - col) : Strip;
      Acc acc[Strip];
      for (int j = 0; j < width; ++j) acc[j] = Acc(0);
      for (i64 k = 0; k < p.k; ++k) {
        const Acc left = convert<Acc>(element<T>(p.a, a_offset + k * p.a_col));
        const i64 from = b_offset + k * p.b_row + col * p.b_col;
        if (p.b_col == i64(sizeof(T)))  // told apart so that the loop over a contiguous row vectorises
          for (int j = 0; j < width; ++j)
            acc[j] = ops::Add{}(acc[j], ops::Multiply{}(left, convert<Acc>((&element<T>(p.b, from))[j])));
        else
          for (int j = 0; j < width; ++j)
            acc[j] = ops::Add{}(acc[j], ops::Multiply{}(left, convert<Acc>(element<T>(p.b, from + j * p.b_col))));
      }
      for (int j = 0; j < width; ++j) element<T>(p.out, (item * p.n + col + j) * i64(sizeof(T))) = convert<T>(acc[j]);
    }
  }
}

}  // namespace ca
