// out = epilogue(a @ b) on the CPU where BLAS has nothing: integers, bool, and 16-bit floats, which are summed in float.
//
// A work item is a tile of one product. Panels of a and b are copied, converted, into buffers in the order in which they
// are read, which takes any strides; a product of two panels is kept in registers (`multiply_panels`). Sums of a tile are
// kept aside, as K is done in parts whose panels fit into the caches, and written once, through the epilogue.
#pragma once
#include "../matmul.cuh"
#include "simd.hpp"

namespace ca {

namespace blocked {

// What is multiplied and added in vectors in place of T: bytes in 16 bits, as CPUs multiply none; what is beyond T's bits
// wraps away. Bools by their bits.
template <class T> struct lane { using type = accumulator_t<T>; };
template <> struct lane<bool> { using type = unsigned char; };
template <> struct lane<signed char> { using type = unsigned short; };
template <> struct lane<unsigned char> { using type = unsigned short; };
template <> struct lane<short> { using type = unsigned short; };
template <> struct lane<int> { using type = unsigned int; };
template <> struct lane<long> { using type = unsigned long; };
template <class T> using lane_t = typename lane<T>::type;

template <class T> CA_ALWAYS_INLINE lane_t<T> as_lane(T x) {
  if constexpr (is_bool<T>) return bit_cast<unsigned char>(x) ? 0xff : 0;
  else if constexpr (is_integer<T>) return lane_t<T>(x);
  else return convert<lane_t<T>>(x);
}
template <class T> CA_ALWAYS_INLINE accumulator_t<T> from_lane(lane_t<T> x) {
  if constexpr (is_bool<T>) return x != 0;
  else return accumulator_t<T>(x);
}

#if CA_VECTOR_BYTES == 64
constexpr int panel_rows = 12;  // with 2 vectors a row, 24 of 32 registers
#else
constexpr int panel_rows = 6;  // 12 of 16
#endif
constexpr int vectors = 2;

// Of the sizes of a tile: panels of b in the L1 cache, those of a tile of either operand in the L2 cache.
template <class T> struct Tile {
  using Lane = lane_t<T>;
  static constexpr int lanes = vector_bytes / sizeof(Lane);
  static constexpr int panel_cols = lanes * vectors;
  static constexpr int rows = 192, cols = panel_cols * 8, depth = 256;
  typedef Lane Vector __attribute__((ext_vector_type(lanes)));
  Lane a[rows * depth], b[cols * depth], sums[rows * cols];
  static_assert(rows % panel_rows == 0);
};

// sums of panel_rows by panel_cols: (+)= a[k][row] * b[k][col]
template <class T, bool First>
inline void multiply_panels(const lane_t<T>* a, const lane_t<T>* b, lane_t<T>* sums, i64 depth) {
  using Of = Tile<T>;
  using Vector = typename Of::Vector;
  Vector acc[panel_rows][vectors];
#pragma unroll
  for (int i = 0; i < panel_rows; ++i)
#pragma unroll
    for (int v = 0; v < vectors; ++v)
      if constexpr (First) acc[i][v] = Vector(lane_t<T>(0));
      else memcpy(&acc[i][v], sums + i * Of::cols + v * Of::lanes, sizeof(Vector));
  for (i64 k = 0; k < depth; ++k) {
    Vector right[vectors];
    memcpy(right, b + k * Of::panel_cols, sizeof right);
#pragma unroll
    for (int i = 0; i < panel_rows; ++i) {
      const Vector left = Vector(a[k * panel_rows + i]);
#pragma unroll
      for (int v = 0; v < vectors; ++v)
        if constexpr (is_bool<T>) acc[i][v] |= left & right[v];
        else acc[i][v] += left * right[v];
    }
  }
#pragma unroll
  for (int i = 0; i < panel_rows; ++i)
#pragma unroll
    for (int v = 0; v < vectors; ++v) memcpy(sums + i * Of::cols + v * Of::lanes, &acc[i][v], sizeof(Vector));
}

// Lines of Width items, one for each k, panel after panel; what is missing of the last panel is 0. Items are `step` bytes
// apart in a line, and lines `k_step`.
template <class T, int Width>
inline void pack(lane_t<T>* to, const char* from, i64 step, i64 k_step, i64 count, i64 depth) {
  for (i64 begin = 0; begin < count; begin += Width, to += Width * depth, from += Width * step) {
    const int width = count - begin < Width ? int(count - begin) : Width;
    if (width < Width) memset(to, 0, Width * depth * sizeof(*to));
    if (step == i64(sizeof(T)) && width == Width) {
      for (i64 k = 0; k < depth; ++k) {
        const T* line = reinterpret_cast<const T*>(from + k * k_step);
        for (int j = 0; j < Width; ++j) to[k * Width + j] = as_lane(line[j]);
      }
    } else if (k_step == i64(sizeof(T))) {
      constexpr int deep = 16;  // so many lines are written at a time, and stay in the L1 cache
      for (i64 k0 = 0; k0 < depth; k0 += deep)
        for (int j = 0; j < width; ++j) {
          const T* line = reinterpret_cast<const T*>(from + j * step);
          for (i64 k = k0; k < depth && k < k0 + deep; ++k) to[k * Width + j] = as_lane(line[k]);
        }
    } else {
      for (i64 k = 0; k < depth; ++k)
        for (int j = 0; j < width; ++j) to[k * Width + j] = as_lane(*reinterpret_cast<const T*>(from + j * step + k * k_step));
    }
  }
}

}  // namespace blocked

template <class T, class Out, class Epilogue, int NBatch> __global__ void matmul_blocked(Matmul<NBatch> p) {
  static_assert(!is_complex<T>, "numbers of one part");
  using Of = blocked::Tile<T>;
  static_assert(sizeof(Of) <= 1 << 20, "what the plan asks for");
  constexpr int panel_rows = blocked::panel_rows, panel_cols = Of::panel_cols;
  Of& tile = *static_cast<Of*>(host::dynamic_shared());
  // So few rows a tile that there is one for each block.
  i64 rows = Of::rows;
  const i64 col_tiles = (p.n + Of::cols - 1) / Of::cols;
  while (rows > 2 * panel_rows && p.batches * ((p.m + rows - 1) / rows) * col_tiles < i64(gridDim.x))
    rows = (rows / 2 + panel_rows - 1) / panel_rows * panel_rows;
  const i64 row_tiles = (p.m + rows - 1) / rows;
  for (i64 item : work_items(p.batches * row_tiles * col_tiles)) {
    const i64 batch = item / (row_tiles * col_tiles), within = item - batch * row_tiles * col_tiles;
    const i64 row = within / col_tiles * rows, col = within % col_tiles * Of::cols;
    const i64 height = p.m - row < rows ? p.m - row : rows, width = p.n - col < Of::cols ? p.n - col : Of::cols;
    const BatchOffsets at = batch_offsets(p, batch);
    const char* a = reinterpret_cast<const char*>(p.a) + at.a + row * p.a_row;
    const char* b = reinterpret_cast<const char*>(p.b) + at.b + col * p.b_col;
    for (i64 k = 0; k < p.k || k == 0; k += Of::depth) {
      const i64 depth = p.k - k < Of::depth ? p.k - k : Of::depth;
      blocked::pack<T, panel_rows>(tile.a, a + k * p.a_col, p.a_row, p.a_col, height, depth);
      blocked::pack<T, panel_cols>(tile.b, b + k * p.b_row, p.b_col, p.b_row, width, depth);
      for (i64 j = 0; j < width; j += panel_cols)
        for (i64 i = 0; i < height; i += panel_rows) {
          auto* sums = tile.sums + i * Of::cols + j;
          if (k == 0) blocked::multiply_panels<T, true>(tile.a + i * depth, tile.b + j * depth, sums, depth);
          else blocked::multiply_panels<T, false>(tile.a + i * depth, tile.b + j * depth, sums, depth);
        }
    }
    for (i64 i = 0; i < height; ++i) {
      Out* const out = reinterpret_cast<Out*>(p.out) + (batch * p.m + row + i) * p.n + col;
      for (i64 j = 0; j < width; ++j)
        out[j] = convert<Out>(Epilogue::template apply<Out>(p, blocked::from_lane<T>(tile.sums[i * Of::cols + j]), at, row + i, col + j));
    }
  }
}

}  // namespace ca
