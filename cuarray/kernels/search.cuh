// Binary search in sorted rows, by keys (order.cuh): where values would be put in, or whether they are there.
#pragma once
#include "order.cuh"

namespace ca {

struct Searching {
  u64 out, sorted, wanted, unused[4];
  i64 rows, n;             // of `sorted`, C-contiguous
  i64 count, wanted_step;  // wanted values a row, and from one row's to the next's: 0 where all rows share them
};

// Side 0: how many elements are less than the value. 1: less or equal. 2: whether one is equal; NaN is equal to none.
template <class T, int Side> __global__ void search_sorted(Searching p) {
  await_previous();
  const T* const sorted = reinterpret_cast<const T*>(p.sorted);
  const T* const wanted = reinterpret_cast<const T*>(p.wanted);
  for (i64 i : work_items(p.rows * p.count)) {
    const i64 row = p.rows == 1 ? 0 : i / p.count;
    const T* const own = sorted + row * p.n;
    const T value = wanted[row * p.wanted_step + (i - row * p.count)];
    const auto key = order_key(value);
    i64 low = 0, length = p.n;
    auto is_before = [&](i64 at) {
      const auto seen = order_key(own[at]);
      return Side == 1 ? !(key < seen) : seen < key;
    };
    while (length > 1) {  // the same steps whatever is found: nothing for the CPU to predict wrongly
      const i64 half = length / 2;
      low += is_before(low + half - 1) ? half : 0;
      length -= half;
    }
    low += length && is_before(low);
    if constexpr (Side == 2) {
      const auto seen = convert<compute_t<T>>(value);
      reinterpret_cast<bool*>(p.out)[i] =
          !ops::IsNan{}(seen) && low < p.n && !(order_key(own[low]) != key);
    } else {
      reinterpret_cast<i64*>(p.out)[i] = low;
    }
  }
}

}  // namespace ca
