// Keys: unsigned numbers whose order is NumPy's order of the elements. -0.0 and 0.0 have one key, and so have all NaNs,
// the largest. Complex numbers are ordered by their real parts, then by their imaginary ones; those with a NaN come
// last: R + NaN i, NaN + R i, NaN + NaN i. And what blocks that order, count and select have in common.
#pragma once
#include "ops.cuh"

namespace ca {

struct WideKey {  // of complex128
  u64 high, low;
};
__device__ inline bool operator<(WideKey a, WideKey b) { return a.high != b.high ? a.high < b.high : a.low < b.low; }
__device__ inline bool operator!=(WideKey a, WideKey b) { return a.high != b.high || a.low != b.low; }
__device__ inline WideKey operator^(WideKey a, WideKey b) { return {a.high ^ b.high, a.low ^ b.low}; }
__device__ inline WideKey operator|(WideKey a, WideKey b) { return {a.high | b.high, a.low | b.low}; }

template <int Bytes> struct word_of_size;
template <> struct word_of_size<1> { using type = unsigned char; };
template <> struct word_of_size<2> { using type = unsigned short; };
template <> struct word_of_size<4> { using type = unsigned int; };
template <> struct word_of_size<8> { using type = u64; };
template <> struct word_of_size<16> { using type = WideKey; };
template <class T> using key_t = typename word_of_size<int(sizeof(T))>::type;

template <class Word> __device__ inline Word top_bit() { return Word(Word(1) << (sizeof(Word) * 8 - 1)); }

// From the bits of a floating number; `infinity` is the bits of the positive one. Without branches: for GPUs, where
// neighbours differ, and for what compilers should do for many numbers at once.
template <class Word> __device__ inline Word chosen_float_key(Word bits, Word infinity) {
  const Word top = top_bit<Word>(), size = Word(bits & Word(~top));
  const Word sign = Word(Word(0) - Word(bits >> (sizeof(Word) * 8 - 1)));
  const Word number = Word(bits ^ Word(sign | top)), finite = size == 0 ? top : number;
  return size > infinity ? Word(~Word(0)) : finite;
}
template <class Word> __device__ inline Word float_key(Word bits, Word infinity) {
#if CA_ON_DEVICE
  return chosen_float_key(bits, infinity);
#else  // a CPU goes on before it knows the key: searches take two thirds of the time
  const Word top = top_bit<Word>(), size = Word(bits & Word(~top));
  if (size > infinity) return Word(~Word(0));
  if (size == 0) return top;
  return bits & top ? Word(~bits) : Word(bits | top);
#endif
}
__device__ inline unsigned int order_key(float x) { return float_key(bit_cast<unsigned int>(x), 0x7f800000u); }
__device__ inline u64 order_key(double x) { return float_key(bit_cast<u64>(x), 0x7ff0000000000000ul); }
__device__ inline unsigned short order_key(float16 x) {
  return float_key(x.bits, static_cast<unsigned short>(0x7c00));
}
__device__ inline unsigned short order_key(bfloat16 x) {
  return float_key(x.bits, static_cast<unsigned short>(0x7f80));
}
template <class T> __device__ inline key_t<T> order_key(T x) {
  if constexpr (is_signed_integer<T>) return key_t<T>(key_t<T>(x) ^ top_bit<key_t<T>>());
  else return key_t<T>(x);
}

// A part's key is at most that of infinity, which leaves room above for three kinds of numbers with a NaN.
template <class Real> struct ComplexKey {
  key_t<Real> high, low;
};
template <class Real> __device__ inline ComplexKey<Real> complex_key(complex<Real> z) {
  using Word = key_t<Real>;
  const Word infinity = bit_cast<Word>(limits<Real>::highest());
  const Word re = chosen_float_key(bit_cast<Word>(z.re), infinity);
  const Word im = chosen_float_key(bit_cast<Word>(z.im), infinity);
  const bool re_nan = re == Word(-1), im_nan = im == Word(-1);
  const Word unordered = re_nan ? (im_nan ? Word(-1) : Word(-2)) : Word(-3);
  const Word other = re_nan ? (im_nan ? Word(0) : im) : re;
  return {re_nan || im_nan ? unordered : re, im_nan ? other : im};
}
__device__ inline u64 order_key(complex<float> z) {
  const auto key = complex_key(z);
  return u64(key.high) << 32 | key.low;
}
__device__ inline WideKey order_key(complex<double> z) {
  const auto key = complex_key(z);
  return {key.high, key.low};
}

// All bits, or none: key ^ all_bits turns the order around.
template <class Key> __device__ inline Key all_bits(bool set) {
  if constexpr (is_same_v<Key, WideKey>) return set ? WideKey{~0ul, ~0ul} : WideKey{0, 0};
  else return set ? Key(~Key(0)) : Key(0);
}

constexpr int radix_bits = 8, radix_size = 256;
__device__ inline unsigned int key_digit(WideKey key, int pass) {
  return unsigned(((pass < 8 ? key.low >> (8 * pass) : key.high >> (8 * (pass - 8)))) & 255u);
}
template <class Key> __device__ inline unsigned int key_digit(Key key, int pass) {
  return unsigned(key >> (radix_bits * pass)) & 255u;
}

// Calls f(i, digit) for each i from `begin` to `end`, in order; key_at(i) is its key. The digits of a group are found
// before f is called for any of them: so the host's compiler finds many at once.
template <class KeyAt, class F>
__device__ CA_ALWAYS_INLINE void for_each_digit(i64 begin, i64 end, int pass, KeyAt key_at, F f) {
  constexpr int group = 64;
  unsigned char digits[group];
  for (; begin + group <= end; begin += group) {
    for (int j = 0; j < group; ++j) digits[j] = static_cast<unsigned char>(key_digit(key_at(begin + j), pass));
    for (int j = 0; j < group; ++j) f(begin + j, unsigned(digits[j]));
  }
  for (; begin < end; ++begin) f(begin, key_digit(key_at(begin), pass));
}

namespace blocks {  // what the threads of a block do together; with one thread, nothing
using namespace cuda_functions;

// The sum of `value` over the threads before this one, and over all of them. All threads take part; the barriers make
// it safe to call it again.
template <int Threads, class T> __device__ inline T exclusive_sum(T value, T& total) {
  if constexpr (Threads == 1) {
    total = value;
    return T(0);
  } else {
    constexpr int warps = Threads / 32;
    static_assert(Threads % 32 == 0 && warps <= 32, "whole warps");
    __shared__ T sums[warps];
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
    T upto = value;
    for (int step = 1; step < 32; step *= 2) {
      const T other = __shfl_up_sync(0xffffffffu, upto, step);
      if (lane >= step) upto += other;
    }
    if (lane == 31) sums[warp] = upto;
    __syncthreads();
    T before = T(0), all = T(0);
    for (int w = 0; w < warps; ++w) {
      if (w == warp) before = all;
      all += sums[w];
    }
    __syncthreads();
    total = all;
    return before + (upto - value);
  }
}

}  // namespace blocks
}  // namespace ca
