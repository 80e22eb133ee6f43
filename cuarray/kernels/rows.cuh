// out[o, j, :] = source[o, index[j], :]: whole rows of a C-contiguous array, chosen by a list of numbers.
//
// Elements are only moved, so T may be any type of storage. Two ways to divide the work: an element an item for the GPU,
// whose neighbouring threads then read neighbouring memory, and a row an item for the host, which copies it as a run.
#pragma once
#include "complex.cuh"

namespace ca {

struct Rows {
  u64 out, source, index, unused[4];  // word 0 is the output, as in every built-in kernel
  i64 items;   // elements, or rows, of out
  i64 chosen;  // how many numbers index has
  i64 rows;    // how many rows source has along the axis
  i64 width;   // elements in a row
};

template <class T, class Index> __global__ void take_elements(Rows p) {
  const T* source = reinterpret_cast<const T*>(p.source);
  const i64* index = reinterpret_cast<const i64*>(p.index);
  T* out = reinterpret_cast<T*>(p.out);
  const Index chosen = Index(p.chosen), rows = Index(p.rows), width = Index(p.width);
  for (Index item : work_items(Index(p.items))) {
    const Index row = item / width, outer = row / chosen;
    out[item] = source[(outer * rows + Index(index[row - outer * chosen])) * width + (item - row * width)];
  }
}

template <class T> __global__ void take_rows(Rows p) {
  const i64* index = reinterpret_cast<const i64*>(p.index);
  for (i64 row : work_items(p.items)) {
    const i64 outer = row / p.chosen;
    const T* from = reinterpret_cast<const T*>(p.source) + (outer * p.rows + index[row - outer * p.chosen]) * p.width;
    T* to = reinterpret_cast<T*>(p.out) + row * p.width;
    for (i64 k = 0; k < p.width; ++k) to[k] = from[k];
  }
}

}  // namespace ca
