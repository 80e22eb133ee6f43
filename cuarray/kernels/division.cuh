// Division by numbers that are known before the launch: a multiplication and a shift. And with it, where the items of a
// strided array are.
#pragma once
#include "portable.cuh"

namespace ca {

__device__ inline unsigned int high_product(unsigned int a, unsigned int b) {
  return static_cast<unsigned int>((static_cast<u64>(a) * b) >> 32);
}
__device__ inline u64 high_product(u64 a, u64 b) {
#if CA_ON_DEVICE
  return __umul64hi(a, b);
#else
  return static_cast<u64>((static_cast<unsigned __int128>(a) * b) >> 64);
#endif
}

// Divides any number below half of what Index holds by `extent`, 1 or more. With l such that 2^(l-1) < extent <= 2^l and b
// the bits of an Index: factor is 2^b * (2^l - extent) / extent + 1, rounded down, and shift is l. A factor of 0 and the
// largest shift say that the quotient is 0. See divisor() in _plan/_common.py.
template <class Index> struct Divisor {
  Index extent, factor, shift, unused;

  __device__ Index quotient(Index n) const { return (high_product(n, factor) + n) >> shift; }
};

// The byte offsets of item n in each operand; the last axis varies fastest, and is never divided by in the first one that there is.
// An Index of 32 bits says that the strides have no more, either: a multiplication is then one instruction.
template <class Index, int NDim, int Operands>
__device__ CA_ALWAYS_INLINE void offsets_of(Index n, const Divisor<Index> (&axis)[NDim],
                                            const i64 (&strides)[Operands][NDim], i64 (&offset)[Operands]) {
  using Factor = typename choose<sizeof(Index) == 4, int, i64>::type;
#pragma unroll
  for (int k = 0; k < Operands; ++k) offset[k] = 0;
#pragma unroll
  for (int d = NDim - 1; d >= 0; --d) {
    const Index quotient = d ? axis[d].quotient(n) : 0, at = n - quotient * axis[d].extent;
#pragma unroll
    for (int k = 0; k < Operands; ++k) offset[k] += i64(Factor(at)) * Factor(strides[k][d]);
    n = quotient;
  }
}

}  // namespace ca
