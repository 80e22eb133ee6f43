// out = epilogue(a @ b) in its simplest forms, for any strides and dtypes. Two siblings: matmul_tiled stages tiles in
// shared memory for the GPU; matmul_rows gives whole rows to a thread and lets the host's compiler vectorise along them.
#pragma once
#include "matmul.cuh"

namespace ca {

// A block of Tile x Tile threads computes a Tile x Tile piece of out; the blocks walk over all pieces of all batches.
template <class T, class Out, class Epilogue, int Tile, int NBatch> __global__ void matmul_tiled(Matmul<NBatch> p) {
  using Acc = accumulator_t<T>;
  __shared__ Acc a_tile[Tile][Tile];
  __shared__ Acc b_tile[Tile][Tile + 1];
  const i64 rows = (p.m + Tile - 1) / Tile, cols = (p.n + Tile - 1) / Tile;
  const int x = threadIdx.x, y = threadIdx.y;
  for (i64 piece = blockIdx.x; piece < p.batches * rows * cols; piece += gridDim.x) {
    const i64 batch = piece / (rows * cols), within = piece - batch * rows * cols;
    const i64 row = within / cols * Tile + y, col = within % cols * Tile + x;
    const BatchOffsets at = batch_offsets(p, batch);
    Acc acc = Acc(0);
    for (i64 k = 0; k < p.k; k += Tile) {
      const bool a_in = row < p.m && k + x < p.k, b_in = col < p.n && k + y < p.k;
      a_tile[y][x] = a_in ? convert<Acc>(element<T>(p.a, at.a + row * p.a_row + (k + x) * p.a_col)) : Acc(0);
      b_tile[y][x] = b_in ? convert<Acc>(element<T>(p.b, at.b + (k + y) * p.b_row + col * p.b_col)) : Acc(0);
      __syncthreads();
      for (int t = 0; t < Tile; ++t) acc = ops::Add{}(acc, ops::Multiply{}(a_tile[y][t], b_tile[t][x]));
      __syncthreads();
    }
    if (row < p.m && col < p.n)
      element<Out>(p.out, ((batch * p.m + row) * p.n + col) * i64(sizeof(Out))) =
          convert<Out>(Epilogue::template apply<Out>(p, acc, at, row, col));
  }
}

// A work item is one row of one product: out[row, :] = sum over k of a[row, k] * b[k, :], Strip columns at a time.
template <class T, class Out, class Epilogue, int Strip, int NBatch> __global__ void matmul_rows(Matmul<NBatch> p) {
  using Acc = accumulator_t<T>;
  for (i64 item : work_items(p.batches * p.m)) {
    const i64 batch = item / p.m, row = item - batch * p.m;
    const BatchOffsets at = batch_offsets(p, batch);
    const i64 a_offset = at.a + row * p.a_row;
    for (i64 col = 0; col < p.n; col += Strip) {
      const int width = p.n - col < Strip ? int(p.n - col) : Strip;
      Acc acc[Strip];
      for (int j = 0; j < width; ++j) acc[j] = Acc(0);
      for (i64 k = 0; k < p.k; ++k) {
        const Acc left = convert<Acc>(element<T>(p.a, a_offset + k * p.a_col));
        const i64 from = at.b + k * p.b_row + col * p.b_col;
        if (p.b_col == i64(sizeof(T)))  // told apart so that the loop over a contiguous row vectorises
          for (int j = 0; j < width; ++j)
            acc[j] = ops::Add{}(acc[j], ops::Multiply{}(left, convert<Acc>((&element<T>(p.b, from))[j])));
        else
          for (int j = 0; j < width; ++j)
            acc[j] = ops::Add{}(acc[j], ops::Multiply{}(left, convert<Acc>(element<T>(p.b, from + j * p.b_col))));
      }
      for (int j = 0; j < width; ++j)
        element<Out>(p.out, (item * p.n + col + j) * i64(sizeof(Out))) =
            convert<Out>(Epilogue::template apply<Out>(p, acc[j], at, row, col + j));
    }
  }
}

}  // namespace ca
