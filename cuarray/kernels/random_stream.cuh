// Philox4x32-10, a counter-based generator (Salmon, Moraes, Dror, Shaw: Parallel random numbers: as easy as 1, 2, 3,
// SC 2011), and uniform numbers made of its words.
//
// The counter of 128 bits is the number of a draw (32 bits) and a position (96 bits). A call takes positions
// `position`, `position` + 1, ... of its generator, and leaves it behind them. So element i of a call depends on the
// key, the position and i, and on nothing else: not on blocks, threads or chunks.
#pragma once
#include "exact_math.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::random {

using u32 = unsigned int;

struct Words { u32 word[4]; };

struct Stream {
  u64 key, position, upper;  // the position's lower 64 bits and upper 32

  // The words at `offset` positions from here, draw number `draw`.
  __device__ CA_ALWAYS_INLINE Words words(u64 offset, u32 draw) const {
    const u64 at = position + offset;
    return philox(draw, u32(at), u32(at >> 32), u32(upper) + u32(at < position));
  }

  // The words of a counter: the draw, and the position from its lowest word on.
  __device__ CA_ALWAYS_INLINE Words philox(u32 a, u32 b, u32 c, u32 d) const {
    u32 first = u32(key), second = u32(key >> 32);
#pragma unroll
    for (int round = 0; round < 10; ++round) {
      const u64 x = u64(0xd2511f53u) * a, y = u64(0xcd9e8d57u) * c;
      a = u32(y >> 32) ^ b ^ first;
      c = u32(x >> 32) ^ d ^ second;
      b = u32(y);
      d = u32(x);
      first += 0x9e3779b9u;
      second += 0xbb67ae85u;
    }
    return {{a, b, c, d}};
  }
};

// The words at the positions `first`, `first` + 1, ... , a column each: a loop that the host's compiler vectorises.
template <int Run>
__device__ inline void words_of_run(
    const Stream& stream, u64 first, int length, u32 draw, u32 (&words)[4][Run]) {
  const u64 at = stream.position + first;
  const u32 low = u32(at), high = u32(at >> 32), upper = u32(stream.upper) + u32(at < stream.position);
  if (u32(low + u32(length)) < low) {  // a carry, which is rare
    for (int i = 0; i < length; ++i) {
      const Words own = stream.words(first + i, draw);
      for (int w = 0; w < 4; ++w) words[w][i] = own.word[w];
    }
  } else {
    for (int i = 0; i < length; ++i) {
      const Words own = stream.philox(draw, low + u32(i), high, upper);
      for (int w = 0; w < 4; ++w) words[w][i] = own.word[w];
    }
  }
}

// The first draws of a run of elements. The host makes them together, which is faster than one by one.
struct FirstDraws {
  static constexpr int run = 64, draws = 2;
  u32 words[draws][4][run];
  __device__ FirstDraws(const Stream& stream, u64 first, int length) {
    for (int draw = 0; draw < draws; ++draw) words_of_run(stream, first, length, draw, words[draw]);
  }
};

// What a single element draws: all the words at one position, draw after draw.
class Draws {
  Stream stream;
  u64 offset;
  const FirstDraws* ready;  // which holds the first draws in a column, or null
  int column;
  u32 draw = 0;
  bool half = false;
  Words words;

  __device__ Words next_words() {
    const u32 number = draw++;
    if constexpr (!CA_ON_DEVICE) {
      if (ready && number < FirstDraws::draws) {
        const auto& own = ready->words[number];
        return {{own[0][column], own[1][column], own[2][column], own[3][column]}};
      }
    }
    return stream.words(offset, number);
  }

 public:
  __device__ Draws(const Stream& stream, u64 offset, const FirstDraws* ready = nullptr, int column = 0)
      : stream(stream), offset(offset), ready(ready), column(column) {}
  __device__ u64 next() {
    if (!half) words = next_words();
    const u64 value = half ? u64(words.word[3]) << 32 | words.word[2] : u64(words.word[1]) << 32 | words.word[0];
    half = !half;
    return value;
  }
  __device__ double uniform();      // in [0, 1)
  __device__ double positive();     // in (0, 1], with small values as fine as doubles are
  __device__ double open();         // in (0, 1), symmetric about a half
  __device__ double exponential();  // of mean 1
  __device__ double normal();       // of mean 0 and deviation 1
};

// ---- words to uniform numbers
__device__ CA_ALWAYS_INLINE double to_uniform(u64 word) { return double(i64(word >> 11)) * (1.0 / 9007199254740992.0); }
__device__ CA_ALWAYS_INLINE float to_uniform(u32 word) { return float(int(word >> 8)) * (1.0f / 16777216.0f); }
__device__ CA_ALWAYS_INLINE double to_open(u64 word) {
  return (double(i64(word >> 12)) + 0.5) * (1.0 / 4503599627370496.0);
}
__device__ CA_ALWAYS_INLINE double to_positive(u64 word) {
  return (double(word) + 0.5) * (1.0 / 18446744073709551616.0);
}
__device__ CA_ALWAYS_INLINE float to_positive(u32 word) { return (float(word) + 0.5f) * (1.0f / 4294967296.0f); }

template <class Real> __device__ CA_ALWAYS_INLINE Real exponential_of(Real positive) {
  return -exact::log_of_normal(positive);
}

// Two independent normal numbers of two uniform ones (Box and Muller 1958).
template <class Real> struct Two { Real first, second; };
template <class Real> __device__ CA_ALWAYS_INLINE Two<Real> normals_of(Real positive, Real turn) {
  const Real radius = root(Real(2) * exponential_of(positive));
  const auto direction = exact::sincos_of_turn(turn);
  return {radius * direction.cosine, radius * direction.sine};
}

__device__ inline double Draws::uniform() { return to_uniform(next()); }
__device__ inline double Draws::positive() { return to_positive(next()); }
__device__ inline double Draws::open() { return to_open(next()); }
__device__ inline double Draws::exponential() { return exponential_of(positive()); }
__device__ inline double Draws::normal() {
  const double radius = positive();  // named: the order in which arguments are evaluated is not fixed
  return normals_of(radius, uniform()).first;
}

// ---- Lanes: variates of which the words at one position make as many as fit, in one draw: in groups of one or two.
template <class Real> __device__ CA_ALWAYS_INLINE auto lane_of(const Words& words, int lane) {
  if constexpr (sizeof(Real) == 8) return u64(words.word[2 * lane + 1]) << 32 | words.word[2 * lane];
  else return words.word[lane];
}

template <class Real> struct HalfOpen {
  using Value = Real;
  static constexpr int lanes = 16 / sizeof(Real), group = 1;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    *value = to_uniform(lane_of<Real>(words, lane));
  }
};
struct Open {
  using Value = double;
  static constexpr int lanes = 2, group = 1;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    *value = to_open(lane_of<double>(words, lane));
  }
};
template <class Real> struct Exponential {
  using Value = Real;
  static constexpr int lanes = 16 / sizeof(Real), group = 1;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    *value = exponential_of(to_positive(lane_of<Real>(words, lane)));
  }
};
template <class Real> struct Normal {
  using Value = Real;
  static constexpr int lanes = 16 / sizeof(Real), group = 2;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    const Real turn = to_uniform(lane_of<Real>(words, lane + 1));
    const auto both = normals_of(to_positive(lane_of<Real>(words, lane)), turn);
    value[0] = both.first;
    value[1] = both.second;
  }
};

// All that the words make, of a sampler or of lanes.
template <class Sampler>
__device__ CA_ALWAYS_INLINE void make_all(const Words& words, typename Sampler::Value (&value)[Sampler::lanes]) {
#pragma unroll
  for (int k = 0; k < Sampler::lanes; k += Sampler::group) Sampler::make(words, k, value + k);
}

}  // namespace ca::random

CA_ROUND_EACH_OPERATION_END
