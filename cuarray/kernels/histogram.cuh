// How often each number occurs, and sums of weights by number. What is outside 0 .. bins-1 is not counted.
#pragma once
#include "order.cuh"
#include "reductions.cuh"

namespace ca {
namespace histograms {
using namespace cuda_functions;

struct Counting {
  u64 out, in, weights, unused[4];
  i64 n, bins, chunk;
};

struct Binning {
  u64 out, in, edges, unused[4];
  i64 n, bins;
  i64 uniform;  // whether the edges are evenly spaced, but for rounding
};

// out[i] = the bin of in[i] between bins + 1 increasing edges, -1 where it is in none. The last bin has both its edges.
template <class T> __global__ void bin_numbers(Binning p) {
  await_previous();
  const T* const in = reinterpret_cast<const T*>(p.in);
  const T* const edges = reinterpret_cast<const T*>(p.edges);
  i64* const out = reinterpret_cast<i64*>(p.out);
  auto number = [](T x) { return convert<compute_t<T>>(x); };
  const auto first = number(edges[0]), last = number(edges[p.bins]);
  const double start = double(first), scale = double(p.bins) / (double(last) - start);
  for (i64 i : work_items(p.n)) {
    const auto x = number(in[i]);
    i64 bin = -1;
    if (x >= first && x <= last) {
      bin = 0;
      if (x == last) {
        bin = p.bins - 1;
      } else if (p.uniform) {  // at most a bin or two off, by rounding
        const double place = (double(x) - start) * scale;
        bin = place < double(p.bins - 1) ? i64(place) : p.bins - 1;
        while (x < number(edges[bin])) --bin;
        while (!(x < number(edges[bin + 1]))) ++bin;
      } else {
        for (i64 length = p.bins; length > 1;) {
          const i64 half = length / 2;
          bin += x < number(edges[bin + half]) ? 0 : half;
          length -= half;
        }
      }
    }
    out[i] = bin;
  }
}

// Every block counts its chunk into a row of its own of out[block][bins]. Held > 0: in shared memory, for that many bins
// at most. Held == 0, for one-thread blocks: in place.
template <int Held, int Threads> __global__ void count_in_blocks(Counting p) {
  await_previous();
  const i64* const in = reinterpret_cast<const i64*>(p.in);
  i64* const out = reinterpret_cast<i64*>(p.out) + blockIdx.x * p.bins;
  const i64 begin = blockIdx.x * p.chunk, end = begin + p.chunk < p.n ? begin + p.chunk : p.n;
  if constexpr (Held == 0) {
    static_assert(Threads == 1, "several threads count in shared memory");
    for (i64 b = 0; b < p.bins; ++b) out[b] = 0;
    for (i64 i = begin; i < end; ++i)
      if (u64(in[i]) < u64(p.bins)) ++out[in[i]];
  } else {
    __shared__ unsigned int counts[Held];
    for (int b = threadIdx.x; b < p.bins; b += Threads) counts[b] = 0;
    __syncthreads();
    for (i64 i = begin + threadIdx.x; i < end; i += Threads)
      if (u64(in[i]) < u64(p.bins)) atomicAdd(&counts[in[i]], 1u);
    __syncthreads();
    for (int b = threadIdx.x; b < p.bins; b += Threads) out[b] = counts[b];
  }
}

// All into one out[bins], which is 0 before.
__global__ void count_together(Counting p) {
  await_previous();
  const i64* const in = reinterpret_cast<const i64*>(p.in);
  unsigned long long* const out = reinterpret_cast<unsigned long long*>(p.out);
  const i64 step = i64(gridDim.x) * blockDim.x;
  for (i64 i = i64(blockIdx.x) * blockDim.x + threadIdx.x; i < p.n; i += step)
    if (u64(in[i]) < u64(p.bins)) atomicAdd(&out[in[i]], 1ull);
}

// out[b] = the sum of the weights of number b, in their order: one thread.
__global__ void sum_in_order(Counting p) {
  await_previous();
  const i64* const in = reinterpret_cast<const i64*>(p.in);
  const double* const weights = reinterpret_cast<const double*>(p.weights);
  double* const out = reinterpret_cast<double*>(p.out);
  for (i64 b = 0; b < p.bins; ++b) out[b] = 0;
  for (i64 i = 0; i < p.n; ++i)
    if (u64(in[i]) < u64(p.bins)) out[in[i]] += weights[i];
}

// The same of weights that are sorted by number: out[b] = the sum of weights[in[b]] ... weights[in[b + 1] - 1], in an
// order that depends on the bounds alone.
template <int Lanes> __global__ void sum_segments(Counting p) {
  await_previous();
  const i64* const bounds = reinterpret_cast<const i64*>(p.in);
  const double* const weights = reinterpret_cast<const double*>(p.weights);
  double* const out = reinterpret_cast<double*>(p.out);
  auto add = [](double a, double b) { return a + b; };
  auto load = [&](i64 i) { return weights[i]; };
  if constexpr (Lanes == 1) {
    for (i64 b : work_items(p.bins)) {
      double sum = 0;
      for (i64 i = bounds[b]; i < bounds[b + 1]; ++i) sum += weights[i];
      out[b] = sum;
    }
  } else {
    __shared__ double tree[Lanes];
    for (i64 b = blockIdx.x; b < p.bins; b += gridDim.x) {
      tree[threadIdx.x] = cascade(bounds[b] + threadIdx.x, bounds[b + 1], Lanes, 0.0, add, load);
      for (int half = Lanes / 2; half > 0; half /= 2) {
        __syncthreads();
        if (int(threadIdx.x) < half) tree[threadIdx.x] += tree[threadIdx.x + half];
      }
      if (threadIdx.x == 0) out[b] = tree[0];
      __syncthreads();
    }
  }
}

}  // namespace histograms
}  // namespace ca
