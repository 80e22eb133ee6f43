// The distributions. There are two kinds of samplers:
//
//   Mapped<Lanes, Map>   a function of one variate of Lanes: no loop, no rejection, several elements from one counter
//   the others           draw(Draws&, parameters): rejection methods, with as many draws as an element happens to need
//
// A sampler's parameters are three words of 64 bits: doubles, or integers where it says so. Python has checked that they
// are in the distribution's domain, which may include NaN: every loop here must end for NaN and infinities, too.
#pragma once
#include "random_stream.cuh"

CA_ROUND_EACH_OPERATION_BEGIN

namespace ca::random {

struct Parameters {
  u64 word[3];
  __device__ double real(int k) const { return bit_cast<double>(word[k]); }
  __device__ i64 integer(int k) const { return i64(word[k]); }
};

// ---- functions of one variate
struct Same {
  template <class Value> static __device__ CA_ALWAYS_INLINE Value map(Value x, const Parameters&) { return x; }
};
struct Scaled {  // scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) { return x * p.real(0); }
};
struct Shifted {  // location, scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) { return p.real(0) + p.real(1) * x; }
};
struct ShiftedExp {  // mean and deviation of the logarithm
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    return exact::exp(p.real(0) + p.real(1) * x);
  }
};
struct Between {  // low, high
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    return p.real(0) + (p.real(1) - p.real(0)) * x;
  }
};
struct Laplace {  // of an open uniform number: location, scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    const bool upper = x >= 0.5;
    const double tail = exact::log_of_normal(2.0 * (upper ? 1.0 - x : x));
    return p.real(0) + p.real(1) * (upper ? -tail : tail);
  }
};
struct Gumbel {  // of an open uniform number: location, scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    return p.real(0) - p.real(1) * exact::log_of_normal(-exact::log_of_normal(x));
  }
};
struct Logistic {  // of an open uniform number: location, scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    return p.real(0) + p.real(1) * exact::log_of_normal(x / (1.0 - x));
  }
};
struct Cauchy {  // of an open uniform number
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters&) {
    const auto direction = exact::sincos_of_turn(0.5 * x);
    return -direction.cosine / direction.sine;
  }
};
struct Rayleigh {  // of an exponential number: scale
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) { return p.real(0) * root(2.0 * x); }
};
struct Pareto {  // of an exponential number: exponent
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) { return exact::expm1(x / p.real(0)); }
};
struct Weibull {  // of an exponential number: exponent
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    return p.real(0) == 0.0 ? 0.0 : exact::pow(x, 1.0 / p.real(0));
  }
};
struct Power {  // of an exponential number: exponent
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) { return exact::exp(-x / p.real(0)); }
};
struct Triangular {  // of a uniform number: left, mode, right
  static __device__ CA_ALWAYS_INLINE double map(double x, const Parameters& p) {
    const double left = p.real(0), mode = p.real(1), right = p.real(2), whole = right - left;
    if (x <= (mode - left) / whole) return left + root(x * whole * (mode - left));
    return right - root((1.0 - x) * whole * (right - mode));
  }
};
struct Geometric {  // of an exponential number: probability. By inversion.
  static __device__ CA_ALWAYS_INLINE i64 map(double x, const Parameters& p) {
    const double number = floor(-x / exact::log1p(-p.real(0))) + 1.0;
    return number < 9.2233720368547748e18 ? i64(number) : limits<i64>::highest();
  }
};
struct Weighted {  // of a uniform number: the address of an array of cumulated weights, and its size
  static __device__ CA_ALWAYS_INLINE i64 map(double x, const Parameters& p) {
    const double* cumulated = reinterpret_cast<const double*>(p.word[0]);
    const double at = x * cumulated[p.integer(1) - 1];
    i64 low = 0, high = p.integer(1) - 1;
    while (low < high) {
      const i64 middle = low + (high - low) / 2;
      if (cumulated[middle] > at) high = middle;
      else low = middle + 1;
    }
    return low;
  }
};

template <class Lanes, class Map, class Out> struct Mapped {
  using Value = typename Lanes::Value;
  static constexpr int lanes = Lanes::lanes, group = Lanes::group;
  static constexpr bool rejects = false;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    Lanes::make(words, lane, value);
  }
  static __device__ CA_ALWAYS_INLINE Out finish(Value value, const Parameters& p) { return Out(Map::map(value, p)); }
};

// ---- integers: the lowest and the highest. Lemire's method (2019): the upper half of word * count, unless the lower half
// is one of those that would make some values likelier. Then the next draw's word of the same lane counts.
template <class Word> struct Product { Word upper, lower; };
__device__ inline Product<u32> multiply(u32 a, u32 b) {
  const u64 product = u64(a) * b;
  return {u32(product >> 32), u32(product)};
}
__device__ inline Product<u64> multiply(u64 a, u64 b) {
  const u64 a0 = u32(a), a1 = a >> 32, b0 = u32(b), b1 = b >> 32;
  const u64 low = a0 * b0, cross = a1 * b0 + (low >> 32), middle = a0 * b1 + u32(cross);
  return {a1 * b1 + (cross >> 32) + (middle >> 32), a * b};
}

template <class Word, class Out> struct Integers {
  using Value = Word;
  static constexpr int lanes = 16 / sizeof(Word), group = 1;
  static constexpr bool rejects = true;
  static __device__ CA_ALWAYS_INLINE void make(const Words& words, int lane, Value* value) {
    if constexpr (sizeof(Word) == 8) *value = lane_of<double>(words, lane);
    else *value = words.word[lane];
  }
  // As many as there are values; 0 for all that a Word has.
  static __device__ CA_ALWAYS_INLINE Word count(const Parameters& p) { return Word(p.word[1] - p.word[0] + 1); }
  static __device__ CA_ALWAYS_INLINE bool is_rejected(Value value, const Parameters& p) {
    const Word count = Integers::count(p);
    if (count == 0) return false;
    const Word lower = multiply(value, count).lower;
    return lower < count && lower < Word(Word(0) - count) % count;
  }
  static __device__ CA_ALWAYS_INLINE bool may_be_rejected(Value value, const Parameters& p) {
    const Word count = Integers::count(p);
    return multiply(value, count).lower < count;
  }
  static __device__ CA_ALWAYS_INLINE Out finish(Value value, const Parameters& p) {
    const Word count = Integers::count(p);
    return Out(p.word[0] + (count == 0 ? value : multiply(value, count).upper));
  }
};

// ---- rejection methods
// Gamma of scale 1 (Marsaglia and Tsang 2000; below shape 1 by that of shape + 1).
__device__ inline double gamma(Draws& draws, double shape) {
  if (!(shape > 0.0)) return shape == 0.0 ? 0.0 : limits<double>::nan();
  if (shape == limits<double>::highest()) return shape;
  if (shape == 1.0) return draws.exponential();
  double boost = 1.0;
  if (shape < 1.0) {
    boost = exact::exp(-draws.exponential() / shape);
    shape += 1.0;
  }
  const double d = shape - 1.0 / 3, c = 1.0 / (3.0 * root(d));
  while (true) {
    const double x = draws.normal(), base = 1.0 + c * x;
    if (base <= 0.0) continue;
    const double v = base * base * base, u = draws.positive(), square = x * x;
    if (u < 1.0 - 0.0331 * square * square) return boost * (d * v);
    if (exact::log(u) < 0.5 * square + d * (1.0 - v + exact::log(v))) return boost * (d * v);
  }
}
__device__ inline double chi_square(Draws& draws, double df) { return 2.0 * gamma(draws, 0.5 * df); }

template <class Out> struct StandardGamma {  // shape
  static __device__ Out draw(Draws& draws, const Parameters& p) { return Out(gamma(draws, p.real(0))); }
};
struct Gamma {  // shape, scale
  static __device__ double draw(Draws& draws, const Parameters& p) { return p.real(1) * gamma(draws, p.real(0)); }
};
struct ChiSquare {  // degrees of freedom
  static __device__ double draw(Draws& draws, const Parameters& p) { return chi_square(draws, p.real(0)); }
};

// Beta: the quotient of gammas; where both parameters are small, Johnk's method (1964) in logarithms.
__device__ inline double beta(Draws& draws, double a, double b) {
  if (!(a > 0.0 && b > 0.0)) return limits<double>::nan();
  if (a > 1.0 || b > 1.0) {
    const double first = gamma(draws, a), second = gamma(draws, b);
    return first / (first + second);
  }
  while (true) {
    const double x = -draws.exponential() / a, y = -draws.exponential() / b;
    const double larger = x > y ? x : y;
    const double first = exact::exp(x - larger), second = exact::exp(y - larger);
    if (larger + exact::log(first + second) <= 0.0) return first / (first + second);
  }
}
struct Beta {  // a, b
  static __device__ double draw(Draws& draws, const Parameters& p) { return beta(draws, p.real(0), p.real(1)); }
};

// Poisson: below 10 by inversion, else by transformed rejection (PTRS, Hormann 1993).
__device__ inline i64 poisson(Draws& draws, double mean) {
  if (!(mean > 0.0)) return 0;
  if (!(mean < 9.2233720064847708e18)) return limits<i64>::highest();  // so far that no result is beyond
  if (mean < 10.0) {
    const double u = draws.uniform();
    double part = exact::exp(-mean), sum = part;
    int k = 0;
    while (u >= sum && k < 128) {
      ++k;
      part *= mean / double(k);
      sum += part;
    }
    return k;
  }
  const double deviation = root(mean), log_mean = exact::log(mean);
  const double b = 0.931 + 2.53 * deviation, a = -0.059 + 0.02483 * b;
  const double inverse_alpha = 1.1239 + 1.1328 / (b - 3.4), v_limit = 0.9277 - 3.6224 / (b - 2.0);
  while (true) {
    const double u = draws.uniform() - 0.5, v = draws.positive(), us = 0.5 - fabs(u);
    const double k = floor((2.0 * a / us + b) * u + mean + 0.43);
    if (us >= 0.07 && v <= v_limit) return i64(k);
    if (k < 0.0 || !(k < 9.2233720368547748e18) || (us < 0.013 && v > us)) continue;
    const double density = k * log_mean - mean - exact::log_factorial(k);
    if (exact::log(v) + exact::log(inverse_alpha) - exact::log(a / (us * us) + b) <= density) return i64(k);
  }
}
struct Poisson {  // mean
  static __device__ i64 draw(Draws& draws, const Parameters& p) { return poisson(draws, p.real(0)); }
};

// Binomial: by inversion where less than 10 successes are expected, else by transformed rejection (BTRS, Hormann 1993).
__device__ inline i64 binomial(Draws& draws, i64 count, double chance) {
  if (count <= 0 || !(chance > 0.0)) return 0;
  const bool failures = chance > 0.5;  // then those are counted
  const double p = failures ? 1.0 - chance : chance, n = double(count);
  i64 result = 0;
  if (n * p < 10.0) {
    const double odds = p / (1.0 - p), u = draws.uniform();
    double part = exact::exp(n * exact::log1p(-p)), sum = part;
    while (u >= sum && result < count && result < 256) {
      ++result;
      part *= (double(count - result) + 1.0) / double(result) * odds;
      sum += part;
    }
  } else {
    const double deviation = root(n * p * (1.0 - p));
    const double b = 1.15 + 2.53 * deviation, a = -0.0873 + 0.0248 * b + 0.01 * p, c = n * p + 0.5;
    const double alpha = (2.83 + 5.1 / b) * deviation, v_limit = 0.92 - 4.2 / b;
    const double log_odds = exact::log(p / (1.0 - p)), mode = floor((n + 1.0) * p);
    const double at_mode = exact::log_factorial(mode) + exact::log_factorial(n - mode);
    while (true) {
      const double u = draws.uniform() - 0.5, v = draws.positive(), us = 0.5 - fabs(u);
      const double k = floor((2.0 * a / us + b) * u + c);
      if (us >= 0.07 && v <= v_limit) {
        result = i64(k);
        break;
      }
      if (!(k >= 0.0 && k <= n)) continue;
      const double bound = at_mode - exact::log_factorial(k) - exact::log_factorial(n - k) + (k - mode) * log_odds;
      if (exact::log(v * alpha / (a / (us * us) + b)) <= bound) {
        result = i64(k);
        break;
      }
    }
    if (result > count) result = count;
  }
  return failures ? count - result : result;
}
struct Binomial {  // count (an integer), probability
  static __device__ i64 draw(Draws& draws, const Parameters& p) { return binomial(draws, p.integer(0), p.real(1)); }
};

struct NegativeBinomial {  // successes (a double), probability
  static __device__ i64 draw(Draws& draws, const Parameters& p) {
    const double mean = gamma(draws, p.real(0)) * ((1.0 - p.real(1)) / p.real(1));
    return poisson(draws, mean);
  }
};

__device__ inline double noncentral_chi_square(Draws& draws, double df, double nonc) {
  if (!(nonc >= 0.0)) return limits<double>::nan();
  if (nonc == 0.0) return chi_square(draws, df);
  if (df > 1.0) {
    const double rest = chi_square(draws, df - 1.0), shifted = draws.normal() + root(nonc);
    return rest + shifted * shifted;
  }
  const double more = 2.0 * double(poisson(draws, 0.5 * nonc));
  return chi_square(draws, df + more);
}
struct NoncentralChiSquare {  // degrees of freedom, noncentrality
  static __device__ double draw(Draws& draws, const Parameters& p) {
    return noncentral_chi_square(draws, p.real(0), p.real(1));
  }
};
struct F {  // degrees of freedom of numerator and denominator
  static __device__ double draw(Draws& draws, const Parameters& p) {
    const double above = chi_square(draws, p.real(0)) * p.real(1), below = chi_square(draws, p.real(1)) * p.real(0);
    return above / below;
  }
};
struct NoncentralF {  // degrees of freedom of numerator and denominator, noncentrality
  static __device__ double draw(Draws& draws, const Parameters& p) {
    const double above = noncentral_chi_square(draws, p.real(0), p.real(2)) * p.real(1);
    return above / (chi_square(draws, p.real(1)) * p.real(0));
  }
};
struct StudentT {  // degrees of freedom
  static __device__ double draw(Draws& draws, const Parameters& p) {
    const double normal = draws.normal(), half = 0.5 * p.real(0);
    if (half == limits<double>::highest()) return normal;
    return normal / root(gamma(draws, half) / half);
  }
};

// Inverse Gaussian (Michael, Schucany, Haas 1976); the smaller root is taken as mean / (the larger root / mean).
struct Wald {  // mean, scale
  static __device__ double draw(Draws& draws, const Parameters& p) {
    const double mean = p.real(0), normal = draws.normal(), u = draws.uniform();
    const double half = 0.5 * mean * (normal * normal) / p.real(1);
    const double ratio = 1.0 + half + root(half * (2.0 + half));  // of the larger root to the mean
    return u <= ratio / (1.0 + ratio) ? mean / ratio : mean * ratio;
  }
};

// Von Mises (Best and Fisher 1979). The angle's half has a tangent that is a multiple of the proposal's.
struct VonMises {  // mean angle, concentration
  static __device__ double draw(Draws& draws, const Parameters& p) {
    const double mu = p.real(0), kappa = p.real(1);
    if (!(kappa >= 0.0) || !(fabs(mu) < limits<double>::highest())) return limits<double>::nan();
    double angle;
    if (kappa < 1e-8) {
      angle = exact::pi * (2.0 * draws.uniform() - 1.0);
    } else if (kappa > 1e6) {  // as good as normal
      angle = draws.normal() / root(kappa);
    } else {
      double s = 1.0 / kappa + kappa;  // its series, where the next lines would cancel
      if (kappa >= 1e-5) {
        const double r = 1.0 + root(1.0 + 4.0 * kappa * kappa), rho = (r - root(2.0 * r)) / (2.0 * kappa);
        s = (1.0 + rho * rho) / (2.0 * rho);
      }
      const double stretch = root((s - 1.0) / (s + 1.0));
      double turn;
      while (true) {
        turn = 0.5 * draws.uniform();
        const double z = exact::sincos_of_turn(turn).cosine, y = kappa * (s - (1.0 + s * z) / (s + z));
        const double v = draws.positive();
        if (y * (2.0 - y) - v >= 0.0 || exact::log(y / v) + 1.0 - y >= 0.0) break;
      }
      const auto half = exact::sincos_of_turn(0.5 * turn);
      angle = 2.0 * exact::atan(stretch * (half.sine / half.cosine));
      if (draws.next() >> 63) angle = -angle;
    }
    angle += mu;
    const double wrapped = angle - 2.0 * exact::pi * floor((angle + exact::pi) / (2.0 * exact::pi));
    return wrapped < -exact::pi ? -exact::pi : (wrapped > exact::pi ? exact::pi : wrapped);
  }
};

// Hypergeometric: urns for few draws, else the ratio of uniforms (HRUA, Stadlober 1990).
__device__ inline i64 hypergeometric(Draws& draws, i64 good, i64 bad, i64 drawn) {
  const i64 all = good + bad;
  if (good <= 0 || bad <= 0 || drawn <= 0) return good <= 0 ? 0 : (drawn < good ? drawn : good);
  const i64 few = drawn < all - drawn ? drawn : all - drawn;  // draw these, or leave them
  const i64 lesser = good < bad ? good : bad;
  i64 found = 0;  // of the lesser kind, among the few
  if (few < 10) {
    i64 left = lesser;
    for (i64 n = 0; n < few; ++n) left -= draws.uniform() * double(all - n) < double(left);
    found = lesser - left;
  } else {
    const double n = double(few), total = double(all), kind = double(lesser), share = kind / total;
    const double mean = n * share, variance = (total - n) * n * share * (1.0 - share) / (total - 1.0);
    const double deviation = root(variance + 0.5);
    const double width = 1.7155277699214135 * deviation + 0.8989161620588988;
    const double mode = floor((n + 1.0) * (kind + 1.0) / (total + 2.0)), others = total - kind;
    auto log_ways = [&](double k) {
      return exact::log_factorial(k) + exact::log_factorial(kind - k) + exact::log_factorial(n - k) +
             exact::log_factorial(others - n + k);
    };
    const double at_mode = log_ways(mode), beyond = floor(mean + 0.5 + 16.0 * deviation);
    double limit = (n < kind ? n : kind) + 1.0;
    if (beyond < limit) limit = beyond;
    while (true) {
      const double u = draws.positive(), v = draws.uniform(), x = mean + 0.5 + width * (v - 0.5) / u;
      if (!(x >= 0.0 && x < limit)) continue;
      const double k = floor(x), t = at_mode - log_ways(k);
      if (u * (4.0 - u) - 3.0 <= t || (u * (u - t) < 1.0 && 2.0 * exact::log(u) <= t)) {
        found = i64(k);
        break;
      }
    }
  }
  if (good > bad) found = few - found;
  return few == drawn ? found : good - found;
}
struct Hypergeometric {  // good, bad, drawn (integers)
  static __device__ i64 draw(Draws& draws, const Parameters& p) {
    return hypergeometric(draws, p.integer(0), p.integer(1), p.integer(2));
  }
};

struct LogSeries {  // probability. Kemp's second method (1981).
  static __device__ i64 draw(Draws& draws, const Parameters& p) {
    const double chance = p.real(0), r = exact::log1p(-chance);
    const double v = draws.positive();
    if (v >= chance) return 1;
    const double q = -exact::expm1(r * draws.open());
    if (v <= q * q) {
      const double number = floor(1.0 + exact::log(v) / exact::log(q));
      if (!(number >= 1.0)) return 1;
      return number < 9.2233720368547748e18 ? i64(number) : limits<i64>::highest();
    }
    return v >= q ? 1 : 2;
  }
};

struct Zipf {  // exponent. Devroye 1986, X.6.1, from a part of the uniform numbers only: no result is too large.
  static __device__ i64 draw(Draws& draws, const Parameters& p) {
    const double less = p.real(0) - 1.0;
    if (!(less < 1024.0)) return 1;
    constexpr double largest = 9.2233720368547748e18, log2 = 0.69314718055994530942;
    const double b_less = exact::expm1(less * log2), smallest = exact::pow(largest, -less);  // b - 1, b = 2^less
    while (true) {
      const double part = draws.uniform(), u = part * smallest + (1.0 - part), v = draws.uniform();
      const double x = floor(exact::pow(u, -1.0 / less));
      if (!(x >= 1.0 && x <= largest)) continue;
      // t - 1, where t = (1 + 1/x)^less
      const double excess = exact::expm1(less * exact::log1p(1.0 / x));
      if (v * x * excess / b_less <= (1.0 + excess) / (1.0 + b_less)) return i64(x);
    }
  }
};

}  // namespace ca::random

CA_ROUND_EACH_OPERATION_END
