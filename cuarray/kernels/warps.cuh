// What the lanes of a warp do together with accumulators of any size.
#pragma once
#include "reductions.cuh"

namespace ca {
namespace reductions {

// An accumulator of the lane that is so many further on, or back; in words as wide as registers.
template <bool Back, class Acc> __device__ inline Acc from_lane(Acc acc, int distance) {
  constexpr int words = (sizeof(Acc) + 3) / 4;
  unsigned word[words] = {};
  memcpy(word, &acc, sizeof(Acc));
#pragma unroll
  for (int i = 0; i < words; ++i)
    word[i] = Back ? __shfl_up_sync(0xffffffffu, word[i], unsigned(distance))
                   : __shfl_down_sync(0xffffffffu, word[i], unsigned(distance));
  memcpy(&acc, word, sizeof(Acc));
  return acc;
}

// The first of `lanes` neighbouring lanes gets what all of them have, combined. For all lanes of a warp.
template <class Op> __device__ inline typename Op::Acc of_lanes(typename Op::Acc acc, int lanes) {
  for (int distance = lanes / 2; distance > 0; distance /= 2)
    acc = Op::combine(acc, from_lane<false>(acc, distance));
  return acc;
}

// Each lane gets what it and the lanes before it have, combined. For all lanes of a warp.
template <class Op> __device__ inline typename Op::Acc up_to_lane(typename Op::Acc acc) {
  const int lane = threadIdx.x % 32;
#pragma unroll
  for (int distance = 1; distance < 32; distance *= 2) {
    const typename Op::Acc before = from_lane<true>(acc, distance);
    if (lane >= distance) acc = Op::combine(before, acc);
  }
  return acc;
}

}  // namespace reductions
}  // namespace ca
