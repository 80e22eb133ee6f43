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

// The accumulator of lane `which` of each Lanes neighbouring ones.
template <int Lanes, class Acc> __device__ inline Acc of_lane(Acc acc, int which) {
  constexpr int words = (sizeof(Acc) + 3) / 4;
  unsigned word[words] = {};
  memcpy(word, &acc, sizeof(Acc));
#pragma unroll
  for (int i = 0; i < words; ++i) word[i] = __shfl_sync(0xffffffffu, word[i], which, Lanes);
  memcpy(&acc, word, sizeof(Acc));
  return acc;
}

// Each lane gets what it and those of the Lanes neighbouring ones that come before it have, combined; of N accumulators,
// which do not wait for each other. For all lanes of a warp.
template <class Op, int Lanes, int N> __device__ inline void up_to_lane(typename Op::Acc (&acc)[N]) {
  const int lane = threadIdx.x % Lanes;
#pragma unroll
  for (int distance = 1; distance < Lanes; distance *= 2) {
    typename Op::Acc before[N];
#pragma unroll
    for (int n = 0; n < N; ++n) before[n] = from_lane<true>(acc[n], distance);
#pragma unroll
    for (int n = 0; n < N; ++n) acc[n] = lane >= distance ? Op::combine(before[n], acc[n]) : acc[n];
  }
}

}  // namespace reductions
}  // namespace ca
