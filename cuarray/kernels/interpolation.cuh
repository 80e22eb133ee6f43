// Piecewise linear interpolation: out[i] is the value at x[i] of the line through the points (xp[k], fp[k]).
//
// The search is a bisection for the last k with xp[k] <= x; all threads of a warp take as many steps.
#pragma once
#include "portable.cuh"

namespace ca {

struct Interpolation {
  u64 out, x, xp, fp, unused[3];  // word 0 is the output, as in every built-in kernel
  i64 items;                      // elements of x and out
  i64 points;                     // at least 1
  i64 out_stride, fp_stride;      // in bytes; x and xp are contiguous
  i64 flags;                      // bit 0: there is a `left`, bit 1: a `right`, bit 2: at NaN the value is 0, not NaN
  u64 left, right;                // doubles' bits
};

__device__ inline double interpolate(double at, const double* xp, const Interpolation& p) {
  const auto f = [&](i64 k) { return *reinterpret_cast<const double*>(p.fp + k * p.fp_stride); };
  const i64 last = p.points - 1;
  if (at != at) return last == 0 ? f(0) : (p.flags & 4) ? 0.0 : at;
  if (at > xp[last]) return (p.flags & 2) ? bit_cast<double>(p.right) : f(last);
  if (at < xp[0]) return (p.flags & 1) ? bit_cast<double>(p.left) : f(0);
  i64 low = 0, high = p.points;  // xp[low] <= at < xp[high], had xp an infinity after its end
  while (high - low > 1) {
    const i64 middle = low + (high - low) / 2;
    if (at >= xp[middle]) low = middle;
    else high = middle;
  }
  const double value = f(low);
  if (low == last || xp[low] == at) return value;  // also where a neighbour is not finite
  const double next = f(low + 1), slope = (next - value) / (xp[low + 1] - xp[low]);
  double result = rounded_product(slope, at - xp[low]) + value;
  if (result != result) {  // from the other end, where this one gave a difference of infinities
    result = rounded_product(slope, at - xp[low + 1]) + next;
    if (result != result && value == next) result = value;
  }
  return result;
}

__global__ void interpolate_all(Interpolation p) {
  await_previous();
  const double* x = reinterpret_cast<const double*>(p.x);
  const double* xp = reinterpret_cast<const double*>(p.xp);
  for (i64 i : work_items(p.items)) *reinterpret_cast<double*>(p.out + i * p.out_stride) = interpolate(x[i], xp, p);
}

}  // namespace ca
