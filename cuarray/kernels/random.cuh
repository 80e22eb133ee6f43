// out[i] = a random number, whose distribution is a type (random_distributions.cuh): every distribution is one of these
// kernels.
#pragma once
#include "random_distributions.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::random {

struct Head {
  u64 out, parameter[3];  // the parameters' bits, or where their arrays begin
  Stream stream;
  i64 size;
};

template <class Out> __device__ inline Out* output(const Head& head) { return reinterpret_cast<Out*>(head.out); }
__device__ inline Parameters parameters(const Head& head) {
  return {{head.parameter[0], head.parameter[1], head.parameter[2]}};
}

template <class Out, int Count> struct alignas(sizeof(Out) * Count) Together { Out item[Count]; };

// The value of a lane's word, with as many further draws as it takes.
template <class Sampler>
__device__ inline typename Sampler::Value accepted(
    const Stream& stream, u64 offset, int lane, typename Sampler::Value value, const Parameters& p) {
  if constexpr (Sampler::rejects)
    for (u32 draw = 1; Sampler::is_rejected(value, p); ++draw) Sampler::make(stream.words(offset, draw), lane, &value);
  return value;
}

// Elements share counters, and the parameters are the same for all.
template <class Sampler, class Out> __global__ void fill(Head head) {
  await_previous();
  using Value = typename Sampler::Value;
  constexpr int lanes = Sampler::lanes;
  const Parameters p = parameters(head);
  const Stream stream = head.stream;
  Out* const out = output<Out>(head);
  const i64 whole = head.size / lanes;
  const auto items = work_items(whole);
  if constexpr (CA_ON_DEVICE) {
    const bool aligned = head.out % sizeof(Together<Out, lanes>) == 0;
    for (i64 i : items) {
      Value value[lanes];
      Together<Out, lanes> results;
      make_all<Sampler>(stream.words(i, 0), value);
#pragma unroll
      for (int k = 0; k < lanes; ++k) results.item[k] = Sampler::finish(accepted<Sampler>(stream, i, k, value[k], p), p);
      if (aligned) {
        reinterpret_cast<Together<Out, lanes>*>(out)[i] = results;
      } else {
#pragma unroll
        for (int k = 0; k < lanes; ++k) out[i * lanes + k] = results.item[k];
      }
    }
  } else {
    // Short runs, each in several short loops, which the compiler vectorises. Rejected values are rare, and looked for
    // afterwards.
    constexpr int run = 128;
    u32 words[4][run];
    Value values[lanes][run];
    Out results[lanes][run];
    for (i64 first = items.first; first < items.last; first += run) {
      const int length = items.last - first < run ? int(items.last - first) : run;
      words_of_run(stream, first, length, 0, words);
#pragma unroll
      for (int k = 0; k < lanes; k += Sampler::group) {
        for (int i = 0; i < length; ++i) {
          Value value[Sampler::group];
          Sampler::make({{words[0][i], words[1][i], words[2][i], words[3][i]}}, k, value);
          for (int g = 0; g < Sampler::group; ++g) values[k + g][i] = value[g];
        }
      }
      if constexpr (Sampler::rejects) {
        int any = 0;
        for (int k = 0; k < lanes; ++k)
          for (int i = 0; i < length; ++i) any |= Sampler::may_be_rejected(values[k][i], p);
        if (any)
          for (int k = 0; k < lanes; ++k)
            for (int i = 0; i < length; ++i) values[k][i] = accepted<Sampler>(stream, first + i, k, values[k][i], p);
      }
      for (int k = 0; k < lanes; ++k)
        for (int i = 0; i < length; ++i) results[k][i] = Sampler::finish(values[k][i], p);
      for (int i = 0; i < length; ++i)
        for (int k = 0; k < lanes; ++k) out[(first + i) * lanes + k] = results[k][i];
    }
  }
  if (blockIdx.x == 0 && threadIdx.x == 0) {
    Value value[lanes];
    make_all<Sampler>(stream.words(whole, 0), value);
    for (int k = 0; whole * lanes + k < head.size; ++k)
      out[whole * lanes + k] = Sampler::finish(accepted<Sampler>(stream, whole, k, value[k], p), p);
  }
}

// Every element draws on its own, and the parameters are the same for all.
template <class Sampler, class Out> __global__ void draw(Head head) {
  await_previous();
  const Parameters p = parameters(head);
  const auto items = work_items(head.size);
  if constexpr (CA_ON_DEVICE) {
    for (i64 i : items) {
      Draws draws(head.stream, i);
      output<Out>(head)[i] = Sampler::draw(draws, p);
    }
  } else {
    for (i64 first = items.first; first < items.last; first += FirstDraws::run) {
      const int length = int(items.last - first < FirstDraws::run ? items.last - first : FirstDraws::run);
      const FirstDraws ready(head.stream, first, length);
      for (int i = 0; i < length; ++i) {
        Draws draws(head.stream, first + i, &ready, i);
        output<Out>(head)[first + i] = Sampler::draw(draws, p);
      }
    }
  }
}

// Parameters in arrays, of any strides in bytes; bit k of `immediate`: parameter k is a value and not an address.
template <int NDim> struct Varying {
  Head head;
  i64 immediate;
  i64 shape[NDim], strides[3][NDim];
};

template <class Index, class Offset, int NDim> __device__ inline Parameters load(
    const Varying<NDim>& p, const Offset (&offset)[3]) {
  Parameters result;
#pragma unroll
  for (int k = 0; k < 3; ++k) {
    const u64 word = p.head.parameter[k];
    result.word[k] = p.immediate >> k & 1 ? word : *reinterpret_cast<const u64*>(word + offset[k]);
  }
  return result;
}

template <class Sampler, class Out, class Index, int NDim> __global__ void fill_varying(Varying<NDim> p) {
  await_previous();
  using Offset = typename choose<CA_ON_DEVICE, Index, i64>::type;
  constexpr int lanes = Sampler::lanes;
  for_each_offset<3>(Index(p.head.size), p.shape, p.strides, [&](Offset i, const Offset(&offset)[3]) {
    const Parameters own = load<Index>(p, offset);
    const i64 at = i / lanes;
    const int lane = int(i % lanes);
    typename Sampler::Value value[lanes];
    make_all<Sampler>(p.head.stream.words(at, 0), value);
    output<Out>(p.head)[i] = Sampler::finish(accepted<Sampler>(p.head.stream, at, lane, value[lane], own), own);
  });
}

template <class Sampler, class Out, class Index, int NDim> __global__ void draw_varying(Varying<NDim> p) {
  await_previous();
  using Offset = typename choose<CA_ON_DEVICE, Index, i64>::type;
  for_each_offset<3>(Index(p.head.size), p.shape, p.strides, [&](Offset i, const Offset(&offset)[3]) {
    Draws draws(p.head.stream, i);
    output<Out>(p.head)[i] = Sampler::draw(draws, load<Index>(p, offset));
  });
}

// The words themselves; the first parameter is the number of the draw.
template <class Out> __global__ void raw(Head head) {
  await_previous();
  for (i64 i : work_items(head.size))
    output<Out>(head)[i] = head.stream.words(i / 4, u32(head.parameter[0])).word[i % 4];
}

// ---- vectors: a row of `width` values is drawn by one thread
struct Rows {
  Head head;  // the size counts rows
  i64 width, stride;
};

// out[row, :]: how many of `count` fell into each category. Parameters: the counts' and the probabilities' addresses;
// the third is what a row's probabilities are from the last one's, in items, and `stride` the same for the counts.
template <int> __global__ void multinomial(Rows p) {
  await_previous();
  const i64* counts = reinterpret_cast<const i64*>(p.head.parameter[0]);
  const double* chances = reinterpret_cast<const double*>(p.head.parameter[1]);
  for (i64 row : work_items(p.head.size)) {
    Draws draws(p.head.stream, row);
    const double* chance = chances + row * i64(p.head.parameter[2]);
    i64* out = output<i64>(p.head) + row * p.width;
    i64 left = counts[row * p.stride];
    double rest = 1.0;
    for (i64 k = 0; k < p.width; ++k) {
      if (k == p.width - 1) {
        out[k] = left;
        break;
      }
      const double share = chance[k] / rest;
      out[k] = left > 0 ? binomial(draws, left, share < 1.0 ? share : 1.0) : 0;
      left -= out[k];
      rest -= chance[k];
    }
  }
}

// out[row, :]: how many of the items drawn have each color, of which there are so many: parameter 0 is their address.
// Parameters 1 and 2: how many are drawn, and how many there are.
template <int> __global__ void multivariate_hypergeometric(Rows p) {
  await_previous();
  const i64* colors = reinterpret_cast<const i64*>(p.head.parameter[0]);
  for (i64 row : work_items(p.head.size)) {
    Draws draws(p.head.stream, row);
    i64 left = p.head.parameter[1], rest = p.head.parameter[2];
    for (i64 k = 0; k < p.width; ++k) {
      rest -= colors[k];
      const i64 own = hypergeometric(draws, colors[k], rest, left);
      output<i64>(p.head)[row * p.width + k] = own;
      left -= own;
    }
  }
}

// out[row, :]: parts of 1. The parameter is the address of the `width` alphas; `stride` is 1 where all are small: gammas
// would be 0 then, and the parts are broken off one by one.
template <int> __global__ void dirichlet(Rows p) {
  await_previous();
  const double* alpha = reinterpret_cast<const double*>(p.head.parameter[0]);
  for (i64 row : work_items(p.head.size)) {
    Draws draws(p.head.stream, row);
    double* out = output<double>(p.head) + row * p.width;
    if (p.stride) {
      double after = 0.0, left = 1.0;
      for (i64 k = p.width - 1; k >= 0; --k) {  // the sum of the alphas after k, kept where the result will be
        out[k] = after;
        after += alpha[k];
      }
      for (i64 k = 0; k < p.width; ++k) {
        const double rest = out[k];
        const double part = alpha[k] == 0.0 ? 0.0 : (rest > 0.0 ? beta(draws, alpha[k], rest) : 1.0);
        out[k] = left * part;
        left *= 1.0 - part;
      }
    } else {
      double sum = 0.0;
      for (i64 k = 0; k < p.width; ++k) sum += out[k] = gamma(draws, alpha[k]);
      for (i64 k = 0; k < p.width; ++k) out[k] /= sum;
    }
  }
}

// out[row, j] = mean[j] + sum over k of z[row, k] factor[k, j], in this order. Parameters: addresses of z, factor, mean.
template <int> __global__ void correlate(Rows p) {
  await_previous();
  const double* z = reinterpret_cast<const double*>(p.head.parameter[0]);
  const double* factor = reinterpret_cast<const double*>(p.head.parameter[1]);
  const double* mean = reinterpret_cast<const double*>(p.head.parameter[2]);
  for (i64 item : work_items(p.head.size * p.width)) {
    const i64 row = item / p.width, j = item - row * p.width;
    double sum = 0.0;
    for (i64 k = 0; k < p.width; ++k) sum += z[row * p.width + k] * factor[k * p.width + j];
    output<double>(p.head)[item] = mean[j] + sum;
  }
}

// ---- weights, cumulated: out[i] = the sum of weight[0 .. i], by sums of runs of `width`, always in the same order.
// Parameters: addresses of the weights, and of the sums of the runs.
template <int Stage> __global__ void cumulate(Rows p) {
  await_previous();
  static_assert(Stage >= 0 && Stage <= 2, "sum the runs, cumulate the sums, cumulate the runs");
  const double* weight = reinterpret_cast<const double*>(p.head.parameter[0]);
  double* sums = reinterpret_cast<double*>(p.head.parameter[1]);
  const i64 runs = (p.head.size + p.width - 1) / p.width;
  for (i64 run : work_items(Stage == 1 ? 1 : runs)) {
    if constexpr (Stage == 1) {
      double sum = 0.0;
      for (i64 k = 0; k < runs; ++k) {
        const double own = sums[k];
        sums[k] = sum;
        sum += own;
      }
    } else {
      const i64 first = run * p.width, last = first + p.width < p.head.size ? first + p.width : p.head.size;
      double sum = Stage == 0 ? 0.0 : sums[run];
      for (i64 i = first; i < last; ++i) {
        sum += weight[i];
        if constexpr (Stage == 2) output<double>(p.head)[i] = sum;
      }
      if constexpr (Stage == 0) sums[run] = sum;
    }
  }
}

}  // namespace ca::random

CA_ROUND_EACH_OPERATION_END
