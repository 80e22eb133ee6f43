// out[i] = sum over j of a[i + first + j] * v[j], over those j for which a has such an element.
//
// Two siblings: convolve_elements gives an output to a thread, whose neighbours then read neighbouring elements of a;
// convolve_strips gives a strip of outputs to an item and lets the host's compiler vectorise along it.
#pragma once
#include "ops.cuh"

namespace ca {

struct Convolution {
  u64 out, a, v, unused[4];  // word 0 is the output, as in every built-in kernel
  i64 items;                 // outputs
  i64 first;                 // the place in a of the first factor of out[0]; may be negative
  i64 length, taps;          // elements of a and of v
  i64 v_stride;              // in bytes; a and out are contiguous
};

template <class T> __device__ inline compute_t<T> tap(const Convolution& p, i64 j) {
  return convert<compute_t<T>>(*reinterpret_cast<const T*>(p.v + j * p.v_stride));
}

template <class T> __global__ void convolve_elements(Convolution p) {
  await_previous();
  using Acc = compute_t<T>;
  const T* a = reinterpret_cast<const T*>(p.a);
  for (i64 i : work_items(p.items)) {
    const i64 at = i + p.first;
    const i64 from = at < 0 ? -at : 0, to = p.length - at < p.taps ? p.length - at : p.taps;
    Acc acc = Acc(0);
    for (i64 j = from; j < to; ++j) acc = ops::Add{}(acc, ops::Multiply{}(convert<Acc>(a[at + j]), tap<T>(p, j)));
    reinterpret_cast<T*>(p.out)[i] = convert<T>(acc);
  }
}

template <class T, int Strip> __global__ void convolve_strips(Convolution p) {
  await_previous();
  using Acc = compute_t<T>;
  const T* a = reinterpret_cast<const T*>(p.a);
  for (i64 strip : work_items((p.items + Strip - 1) / Strip)) {
    const i64 i = strip * Strip, at = i + p.first;
    const i64 width = p.items - i < Strip ? p.items - i : Strip;
    Acc acc[Strip];
    for (i64 k = 0; k < width; ++k) acc[k] = Acc(0);
    for (i64 j = 0; j < p.taps; ++j) {
      const Acc factor = tap<T>(p, j);
      const i64 from = at + j < 0 ? -(at + j) : 0, left = p.length - (at + j), to = left < width ? left : width;
      for (i64 k = from; k < to; ++k)
        acc[k] = ops::Add{}(acc[k], ops::Multiply{}(convert<Acc>(a[at + j + k]), factor));
    }
    for (i64 k = 0; k < width; ++k) reinterpret_cast<T*>(p.out)[i + k] = convert<T>(acc[k]);
  }
}

}  // namespace ca
