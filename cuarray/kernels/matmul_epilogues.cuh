// The functions that products of matrices may end with (Affine in matmul.cuh): of a value in the accumulator's type.
#pragma once
#include "ops.cuh"

namespace ca {
namespace epilogues {

struct Identity {
  template <class T> __device__ T operator()(T x) const { return x; }
};

struct Relu {
  template <class T> __device__ T operator()(T x) const { return x > T(0) || x != x ? x : T(0); }
};

struct LeakyRelu {
  template <class T> __device__ T operator()(T x) const { return x > T(0) ? x : T(0.01) * x; }
};

struct Sigmoid {
  template <class T> __device__ T operator()(T x) const { return T(1) / (T(1) + exp(-x)); }
};

struct Silu {
  template <class T> __device__ T operator()(T x) const { return x / (T(1) + exp(-x)); }
};

struct Tanh {
  template <class T> __device__ T operator()(T x) const { return tanh(x); }
};

struct Gelu {  // by the complement, so that nothing cancels where x is far below 0
  template <class T> __device__ T operator()(T x) const { return T(0.5) * x * erfc(T(-0.70710678118654752440) * x); }
};

struct GeluTanh {  // 1 + tanh(y) is 2 / (1 + exp(-2 y)), in which nothing cancels
  template <class T> __device__ T operator()(T x) const {
    const T y = T(0.79788456080286535588) * (x + T(0.044715) * x * x * x);
    return x / (T(1) + exp(T(-2) * y));
  }
};

}  // namespace epilogues
}  // namespace ca
