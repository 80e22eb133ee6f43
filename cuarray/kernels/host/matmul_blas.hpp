// out = epilogue(a @ b) on the CPU for floating and complex numbers: the sums are BLAS's, and a pass over them does the
// rest. A work item is one product of the stack. Operands that BLAS cannot read as they lie are copied to scratch memory.
#pragma once
#include "../matmul.cuh"
#include "blas.hpp"

namespace ca {

namespace blas {

constexpr int row_major = 101, as_is = 111, transposed = 112;

template <class T> inline constexpr int kind = is_complex<T> ? (sizeof(T) == 8 ? 2 : 3) : (sizeof(T) == 4 ? 0 : 1);

// Factors are passed by value, or by address if they are complex.
template <class T> struct factor { using type = T; };
template <class T> struct factor<complex<T>> { using type = const void*; };
template <class T> inline typename factor<T>::type as_factor(const T& x) {
  if constexpr (is_complex<T>) return &x;
  else return x;
}

// A matrix that BLAS can read: its rows or its columns are contiguous and do not overlap.
template <class T> struct Matrix {
  const T* items;
  i64 leading;  // items from one row, or column, to the next
  int order;    // as_is, or transposed where the columns are contiguous
};

template <class T> inline bool readable(i64 row, i64 col, i64 rows, i64 cols) {
  constexpr i64 size = sizeof(T);
  const auto lines = [](i64 step, i64 count, i64 length) { return count == 1 || (step >= length * size && step % size == 0); };
  return ((cols == 1 || col == size) && lines(row, rows, cols)) || ((rows == 1 || row == size) && lines(col, cols, rows));
}

template <class T> inline Matrix<T> as_matrix(const char* from, i64 row, i64 col, i64 rows, i64 cols) {
  constexpr i64 size = sizeof(T);
  const T* items = reinterpret_cast<const T*>(from);
  if ((cols == 1 || col == size) && (rows == 1 || row >= cols * size)) return {items, rows == 1 ? cols : row / size, as_is};
  return {items, cols == 1 ? rows : col / size, transposed};
}

template <class T> inline void copy(T* to, const char* from, i64 row, i64 col, i64 rows, i64 cols) {
  constexpr i64 tile = 32;  // lines of either that stay in the L1 cache
  for (i64 i0 = 0; i0 < rows; i0 += tile)
    for (i64 j0 = 0; j0 < cols; j0 += tile)
      for (i64 i = i0; i < rows && i < i0 + tile; ++i)
        for (i64 j = j0; j < cols && j < j0 + tile; ++j)
          to[i * cols + j] = *reinterpret_cast<const T*>(from + i * row + j * col);
}

template <class T>
inline void gemm(Matrix<T> a, Matrix<T> b, T* out, i64 m, i64 n, i64 k) {
  using F = typename factor<T>::type;
  using Function = void(int, int, int, i64, i64, i64, F, const void*, i64, const void*, i64, F, void*, i64);
  const T one = T(1), zero = T(0);
  reinterpret_cast<Function*>(host::blas_functions().gemm[kind<T>])(
      row_major, a.order, b.order, m, n, k, as_factor(one), a.items, a.leading, b.items, b.leading, as_factor(zero), out, n);
}

// out = x of `rows` by `cols`, times a vector whose elements are `step` items apart.
template <class T> inline void gemv(Matrix<T> x, i64 rows, i64 cols, const T* vector, i64 step, T* out) {
  using F = typename factor<T>::type;
  using Function = void(int, int, i64, i64, F, const void*, i64, const void*, i64, F, void*, i64);
  const T one = T(1), zero = T(0);
  if (step < 0) vector += (cols - 1) * step;  // where BLAS begins
  const bool turned = x.order == transposed;
  reinterpret_cast<Function*>(host::blas_functions().gemv[kind<T>])(
      row_major, x.order, turned ? cols : rows, turned ? rows : cols, as_factor(one), x.items, x.leading, vector, step,
      as_factor(zero), out, 1);
}

}  // namespace blas

// What is copied is a choice of the plan: one bit for a, one for b, one for sums that are not `out` itself. Each block
// has room for one of each in scratch memory, after its counters.
template <class T, class Out, class Epilogue, int Aside, int NBatch> __global__ void matmul_blas(Matmul<NBatch> p) {
  static_assert(is_same_v<accumulator_t<T>, T> && (is_floating<T> || is_complex<T>), "a type that BLAS computes in");
  constexpr bool copies_a = Aside & 1, copies_b = Aside & 2, sums_aside = Aside & 4;
  static_assert(sums_aside != is_same_v<T, Out>, "sums of the output's type are computed in place");
  constexpr i64 size = sizeof(T);
  const i64 a_room = copies_a ? p.m * p.k : 0, b_room = copies_b ? p.k * p.n : 0, sum_room = sums_aside ? p.m * p.n : 0;
  T* const a_copy = reinterpret_cast<T*>(p.scratch + after_counters) + blockIdx.x * (a_room + b_room + sum_room);
  T* const b_copy = a_copy + a_room;
  i64 a_held = -1, b_held = -1;  // what the copies are of
  for (i64 item : work_items(p.batches)) {
    const BatchOffsets at = batch_offsets(p, item);
    const char* a = reinterpret_cast<const char*>(p.a) + at.a;
    const char* b = reinterpret_cast<const char*>(p.b) + at.b;
    i64 a_row = p.a_row, a_col = p.a_col, b_row = p.b_row, b_col = p.b_col;
    if constexpr (copies_a) {
      if (a_held != at.a) blas::copy<T>(a_copy, a, a_row, a_col, p.m, p.k);
      a_held = at.a, a = reinterpret_cast<const char*>(a_copy), a_row = p.k * size, a_col = size;
    }
    if constexpr (copies_b) {
      if (b_held != at.b) blas::copy<T>(b_copy, b, b_row, b_col, p.k, p.n);
      b_held = at.b, b = reinterpret_cast<const char*>(b_copy), b_row = p.n * size, b_col = size;
    }
    Out* const out = reinterpret_cast<Out*>(p.out) + item * p.m * p.n;
    T* sums;
    if constexpr (sums_aside) sums = b_copy + b_room;
    else sums = out;
    if (p.k == 0) {
      for (i64 i = 0; i < p.m * p.n; ++i) sums[i] = T(0);
    } else {
      const blas::Matrix<T> left = blas::as_matrix<T>(a, a_row, a_col, p.m, p.k);
      const blas::Matrix<T> right = blas::as_matrix<T>(b, b_row, b_col, p.k, p.n);
      if (p.n == 1 && (p.k == 1 || (b_row && b_row % size == 0)))
        blas::gemv(left, p.m, p.k, right.items, p.k == 1 ? 1 : b_row / size, sums);
      else if (p.m == 1 && (p.k == 1 || (a_col && a_col % size == 0)))
        blas::gemv(blas::Matrix<T>{right.items, right.leading, right.order == blas::as_is ? blas::transposed : blas::as_is},
                   p.n, p.k, left.items, p.k == 1 ? 1 : a_col / size, sums);
      else
        blas::gemm(left, right, sums, p.m, p.n, p.k);
    }
    if constexpr (sums_aside || !is_same_v<Epilogue, epilogues::None>)
      for (i64 i = 0; i < p.m; ++i)
        for (i64 j = 0; j < p.n; ++j)
          out[i * p.n + j] = convert<Out>(Epilogue::template apply<Out>(p, sums[i * p.n + j], at, i, j));
  }
}

}  // namespace ca
