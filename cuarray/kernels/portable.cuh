// The one header that knows which compiler reads it. Everything else under kernels/ is the same text for both.
//
//   NVRTC    defines __CUDACC_RTC__, has no standard headers, and knows __global__, threadIdx, sin(float) ...
//   Cling    is a host compiler; host/cuda_names_begin.hpp has spelled __global__, __device__, threadIdx ...
//            as macros before this file is read, and host/cuda_names_end.hpp takes them back afterwards.
//
// Built-in kernels walk their work with `for (auto i : work_items(n))`: a grid-stride loop on the GPU; on the host,
// where a block is one thread, a contiguous chunk that the compiler can vectorise.
#pragma once

#if defined(__CUDACC_RTC__)
#define CA_STD
#define CA_ON_DEVICE 1
#else
#include <cmath>
#include <cstdint>
#include <cstring>
#include <type_traits>
#define CA_STD std
#define CA_ON_DEVICE 0
#include "host/intrinsics.hpp"
#endif

// What CUDA has built in; users' modules use this namespace. Filled for the host only.
namespace ca::cuda_functions {}

namespace ca {

using i64 = long;
using u64 = unsigned long;
static_assert(sizeof(i64) == 8, "cuarray's kernels take long as their 64-bit integer");

// ---- the few type traits that the kernels need (NVRTC has no <type_traits>) -----------------------------------
template <class A, class B> struct is_same { static constexpr bool value = false; };
template <class A> struct is_same<A, A> { static constexpr bool value = true; };
template <class A, class B> inline constexpr bool is_same_v = is_same<A, B>::value;

template <bool First, class A, class B> struct choose { using type = A; };
template <class A, class B> struct choose<false, A, B> { using type = B; };

template <class T> inline constexpr bool is_floating = is_same_v<T, float> || is_same_v<T, double>;
template <class T> inline constexpr bool is_signed_integer =
    is_same_v<T, signed char> || is_same_v<T, short> || is_same_v<T, int> || is_same_v<T, long>;
template <class T> inline constexpr bool is_unsigned_integer =
    is_same_v<T, unsigned char> || is_same_v<T, unsigned short> || is_same_v<T, unsigned int> || is_same_v<T, unsigned long>;
template <class T> inline constexpr bool is_bool = is_same_v<T, bool>;
template <class T> inline constexpr bool is_integer = is_signed_integer<T> || is_unsigned_integer<T>;

template <class T> struct make_unsigned { using type = T; };
template <> struct make_unsigned<signed char> { using type = unsigned char; };
template <> struct make_unsigned<short> { using type = unsigned short; };
template <> struct make_unsigned<int> { using type = unsigned int; };
template <> struct make_unsigned<long> { using type = unsigned long; };
template <class T> using make_unsigned_t = typename make_unsigned<T>::type;

template <class To, class From> __device__ inline To bit_cast(From from) {
  static_assert(sizeof(To) == sizeof(From), "bit_cast keeps the size");
  To to;
  memcpy(&to, &from, sizeof(To));
  return to;
}

// ---- limits ---------------------------------------------------------------------------------------------------
template <class T> struct limits {  // integers: two's complement
  static constexpr bool is_signed = is_signed_integer<T>;
  static __device__ constexpr T lowest() { return is_signed ? T(T(1) << (sizeof(T) * 8 - 1)) : T(0); }
  static __device__ constexpr T highest() { return T(~make_unsigned_t<T>(lowest())); }
};
template <> struct limits<long> {
  static __device__ constexpr long lowest() { return -0x7fffffffffffffffL - 1; }
  static __device__ constexpr long highest() { return 0x7fffffffffffffffL; }
};
template <> struct limits<bool> {
  static __device__ constexpr bool lowest() { return false; }
  static __device__ constexpr bool highest() { return true; }
};
template <> struct limits<float> {
  static __device__ float highest() { return bit_cast<float>(0x7f800000u); }
  static __device__ float lowest() { return bit_cast<float>(0xff800000u); }
  static __device__ float nan() { return bit_cast<float>(0x7fc00000u); }
};
template <> struct limits<double> {
  static __device__ double highest() { return bit_cast<double>(0x7ff0000000000000ul); }
  static __device__ double lowest() { return bit_cast<double>(0xfff0000000000000ul); }
  static __device__ double nan() { return bit_cast<double>(0x7ff8000000000000ul); }
};

// ---- math: unqualified sin(x), floor(x) ... in namespace ca means the compiler's own overload for float and double
#define CA_USE(name) using CA_STD::name;
CA_USE(sin) CA_USE(cos) CA_USE(tan) CA_USE(asin) CA_USE(acos) CA_USE(atan) CA_USE(atan2)
CA_USE(sinh) CA_USE(cosh) CA_USE(tanh) CA_USE(asinh) CA_USE(acosh) CA_USE(atanh)
CA_USE(exp) CA_USE(exp2) CA_USE(expm1) CA_USE(log) CA_USE(log2) CA_USE(log10) CA_USE(log1p)
CA_USE(erfc)
CA_USE(sqrt) CA_USE(cbrt) CA_USE(pow) CA_USE(fmod) CA_USE(fma) CA_USE(ldexp) CA_USE(frexp)
CA_USE(floor) CA_USE(ceil) CA_USE(trunc) CA_USE(rint) CA_USE(fabs) CA_USE(copysign)
CA_USE(isnan) CA_USE(isinf) CA_USE(isfinite) CA_USE(signbit)
#undef CA_USE

// ---- what loops call that must be vectorised, or code in which every register counts
#if CA_ON_DEVICE
#define CA_ALWAYS_INLINE __forceinline__
#else
#define CA_ALWAYS_INLINE inline __attribute__((always_inline))
#endif

// ---- square roots that the host's compiler can vectorise: by its own operation instead of libm's function, which may
// set errno
#if CA_ON_DEVICE
__device__ inline float root(float x) { return sqrt(x); }
__device__ inline double root(double x) { return sqrt(x); }
#else
extern "C" float ca_llvm_sqrt(float) __asm__("llvm.sqrt.f32");
extern "C" double ca_llvm_sqrt64(double) __asm__("llvm.sqrt.f64");
inline float root(float x) { return ca_llvm_sqrt(x); }
inline double root(double x) { return ca_llvm_sqrt64(x); }
#endif

// a * b rounded on its own: GPU compilers otherwise fuse it with a following addition, across statements.
__device__ inline float rounded_product(float a, float b) {
#if CA_ON_DEVICE
  return __fmul_rn(a, b);
#else
  return a * b;
#endif
}
__device__ inline double rounded_product(double a, double b) {
#if CA_ON_DEVICE
  return __dmul_rn(a, b);
#else
  return a * b;
#endif
}

// The length of (x, y) from its square in twice the precision; NaN where that over- or underflows.
__device__ inline double near_length(double x, double y) {
  const double own = fabs(x), other = fabs(y), greater = own > other ? own : other, less = own > other ? other : own;
  if (!(greater < 1e150 && greater > 1e-130)) return limits<double>::nan();
  const double a = rounded_product(greater, greater), b = rounded_product(less, less), square = a + b;
  const double rest = fma(greater, greater, -a) + fma(less, less, -b) + (b - (square - a));
  const double length = root(square);
  return length + (fma(-length, length, square) + rest) / (length + length);
}

// ---- by operations that CPUs have vector instructions for, what is else a function of libm or an integer division
#if CA_ON_DEVICE
__device__ inline float hypot(float x, float y) { return ::hypot(x, y); }
__device__ inline double hypot(double x, double y) {
  const double length = near_length(x, y);  // CUDA's is off by a unit in the last place for 63 and 84
  return length == length ? length : ::hypot(x, y);
}

template <class T> __device__ inline T truncated_quotient(T a, T b) { return T(a / b); }

template <class T> __device__ inline T scaled(T x, int exponent) { return ldexp(x, exponent); }
template <class T> __device__ inline T fraction_of(T x, int* exponent) { return frexp(x, exponent); }
#else
inline float hypot(float x, float y) {
  const float length = float(root(double(x) * double(x) + double(y) * double(y)));  // exact but for the root
  return fabs(x) == limits<float>::highest() || fabs(y) == limits<float>::highest() ? limits<float>::highest() : length;
}
inline double hypot(double x, double y) {
  const double a = fabs(x), b = fabs(y), larger = a < b ? b : a;
  const double in = larger > 1e150 ? 0x1p-600 : larger < 1e-150 ? 0x1p600 : 1.0;
  const double out = larger > 1e150 ? 0x1p600 : larger < 1e-150 ? 0x1p-600 : 1.0;
  const double length = root((a * in) * (a * in) + (b * in) * (b * in)) * out;
  return a == limits<double>::highest() || b == limits<double>::highest() ? limits<double>::highest() : length;
}

// Of b other than 0, and of a quotient that T holds. By the divisor's reciprocal, which may be computed once for many,
// and a little more: a quotient below a whole number lacks a part of 1 / a at least, and both are rounded by much less.
template <class T> inline T truncated_quotient(T a, T b) {
  if constexpr (sizeof(T) == 8) return a / b;
  else if constexpr (sizeof(T) == 4) return T(double(a) * (1.0 / double(b) * (1 + 0x1p-40)));
  else return T(float(a) * (1.0f / float(b) * (1 + 0x1p-20f)));
}

template <class T> struct float_format;  // how a floating number is stored
template <> struct float_format<float> {
  using Word = unsigned int;
  using Whole = int;
  static constexpr int digits = 23, bias = 127;
};
template <> struct float_format<double> {
  using Word = unsigned long;
  using Whole = long;
  static constexpr int digits = 52, bias = 1023;
};
template <class T> inline T power_of_two(typename float_format<T>::Whole exponent) {  // of one that is a normal number
  return bit_cast<T>(typename float_format<T>::Word(exponent + float_format<T>::bias) << float_format<T>::digits);
}
// x * 2^exponent, of exponents within 10000: in three steps, as a factor has to be normal. A result that is subnormal is
// rounded in the last one alone.
template <class T> inline T scaled(T x, int exponent) {
  using Own = float_format<T>;
  constexpr int up = Own::bias, down = Own::digits + 2 - Own::bias, least = 1 - Own::bias;
  typename Own::Whole rest = exponent;
  for (int i = 0; i < 2; ++i) {
    const int part = rest > up ? up : rest < least ? down : 0;
    x *= power_of_two<T>(part);
    rest -= part;
  }
  return x * power_of_two<T>(rest > up ? up : rest < least ? least : rest);
}
// Of x that is finite: a number of [0.5, 1) and the power of two to multiply it by.
template <class T> inline T fraction_of(T x, int* exponent) {
  using Own = float_format<T>;
  using Word = typename Own::Word;
  constexpr Word exponents = Word(2 * Own::bias + 1) << Own::digits;
  const bool low = (bit_cast<Word>(x) & exponents) == 0;  // subnormal, or 0
  const T lifted = x * power_of_two<T>(Own::digits + 2), normal = low ? lifted : x;
  const Word bits = bit_cast<Word>(normal);
  const int power = int((bits & exponents) >> Own::digits) - (low ? Own::digits + 2 : 0) - (Own::bias - 1);
  const T fraction = bit_cast<T>((bits & ~exponents) | Word(Own::bias - 1) << Own::digits);
  *exponent = x == T(0) ? 0 : power;
  return x == T(0) ? x : fraction;
}
#endif

// ---- arithmetic that is rounded after every operation, whatever the compiler's default: between these two, at namespace
// scope. NVRTC is told so for all built-in kernels (--fmad=false).
#if CA_ON_DEVICE
#define CA_ROUND_EACH_OPERATION_BEGIN
#define CA_ROUND_EACH_OPERATION_END
#else
#define CA_ROUND_EACH_OPERATION_BEGIN _Pragma("float_control(push)") _Pragma("clang fp contract(off)")
#define CA_ROUND_EACH_OPERATION_END _Pragma("float_control(pop)")
#endif

// ---- float16: two bytes of storage; arithmetic is done in float, as NumPy does -----------------------------------
struct float16 {
  unsigned short bits;
  float16() = default;
  __device__ float16(float x) {
#if CA_ON_DEVICE
    asm("cvt.rn.f16.f32 %0, %1;" : "=h"(bits) : "f"(x));
#else
    bits = bit_cast<unsigned short>(static_cast<_Float16>(x));
#endif
  }
  // From double in one rounding: through float it would be rounded twice.
  __device__ float16(double x) {
#if CA_ON_DEVICE
    asm("cvt.rn.f16.f64 %0, %1;" : "=h"(bits) : "d"(x));
#else
    // The digits that a float does not hold become one, the last that it does hold ("round to odd").
    constexpr u64 beyond = (1ul << 29) - 1;
    const u64 word = bit_cast<u64>(x), last = ((word & beyond) + beyond) & (beyond + 1);
    bits = float16(float(bit_cast<double>((word & ~beyond) | last))).bits;
#endif
  }
  __device__ operator float() const {
#if CA_ON_DEVICE
    float x;
    asm("cvt.f32.f16 %0, %1;" : "=f"(x) : "h"(bits));
    return x;
#else
    return static_cast<float>(bit_cast<_Float16>(bits));
#endif
  }
};

// ---- bfloat16: the upper half of a float -------------------------------------------------------------------------
struct bfloat16 {
  unsigned short bits;
  bfloat16() = default;
  __device__ bfloat16(float x) {  // to nearest, ties to even
    unsigned int word = bit_cast<unsigned int>(x);
    if (x != x) word = (word & 0x80000000u) | 0x7fc00000u;
    else word += 0x7fffu + ((word >> 16) & 1u);
    bits = static_cast<unsigned short>(word >> 16);
  }
  __device__ operator float() const { return bit_cast<float>(static_cast<unsigned int>(bits) << 16); }
};

// The bytes of a struct, which are only ever copied.
template <class Word, int Count> struct Opaque { Word word[Count]; };

// The type in which a functor sees a value of type T.
template <class T> struct compute { using type = T; };
template <> struct compute<float16> { using type = float; };
template <> struct compute<bfloat16> { using type = float; };
template <class T> using compute_t = typename compute<T>::type;

// ---- dividing work ----------------------------------------------------------------------------------------------
template <class Index> struct WorkItems {
  Index first, last, step;
  struct iterator {
    Index i, step;
    __device__ Index operator*() const { return i; }
#if CA_ON_DEVICE
    __device__ iterator& operator++() { i += step; return *this; }
    __device__ bool operator!=(const iterator& end) const { return i < end.i; }
#else
    iterator& operator++() { ++i; return *this; }
    bool operator!=(const iterator& end) const { return i != end.i; }
#endif
  };
  __device__ iterator begin() const { return {first, step}; }
  __device__ iterator end() const { return {last, step}; }
};

// An address of global memory as a pointer that the compiler knows to be one: of others it would expect that what is
// written there changes shared memory.
template <class T> __device__ CA_ALWAYS_INLINE T* global_pointer(u64 address) {
#if CA_ON_DEVICE
  return static_cast<T*>(__cvta_global_to_generic(address));
#else
  return reinterpret_cast<T*>(address);
#endif
}

// Waits until the kernels before this one are done and what they wrote can be seen. That is so at once but in a graph,
// where kernels that begin with this are begun while the last blocks of those before them run (_runtime/overlap.py).
__device__ inline void await_previous() {
#if CA_ON_DEVICE && __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
#endif
}

// The items of 0 .. n-1 that this thread is to do. Index must hold n plus the number of threads in the grid.
template <class Index> __device__ inline WorkItems<Index> work_items(Index n) {
#if CA_ON_DEVICE
  return {Index(blockIdx.x) * Index(blockDim.x) + Index(threadIdx.x), n, Index(gridDim.x) * Index(blockDim.x)};
#else
  const i64 block = blockIdx.x, blocks = gridDim.x, items = i64(n);
  const i64 chunk = items / blocks, rest = items % blocks;
  const i64 first = block * chunk + (block < rest ? block : rest);
  return {Index(first), Index(first + chunk + (block < rest ? 1 : 0)), Index(1)};
#endif
}

// Calls f(i, offsets) for each item i of this thread, where offsets[k] is the byte offset of item i in operand k.
// The last dimension varies fastest. The GPU divides for each item, in Index; the host divides once and then counts on,
// in 64 bits, which cost it nothing. Hence its f takes i64 for both: see Offset where this is called.
template <int Operands, class Index, int NDim, class F>
__device__ inline void for_each_offset(Index size, const i64 (&shape)[NDim], const i64 (&strides)[Operands][NDim], F f) {
#if CA_ON_DEVICE
  for (Index i : work_items(size)) {
    Index rest = i, offsets[Operands];
#pragma unroll
    for (int k = 0; k < Operands; ++k) offsets[k] = 0;
#pragma unroll
    for (int d = NDim - 1; d > 0; --d) {
      const Index extent = Index(shape[d]), quotient = rest / extent, at = rest - quotient * extent;
#pragma unroll
      for (int k = 0; k < Operands; ++k) offsets[k] += at * Index(strides[k][d]);
      rest = quotient;
    }
#pragma unroll
    for (int k = 0; k < Operands; ++k) offsets[k] += rest * Index(strides[k][0]);
    f(i, offsets);
  }
#else
  const auto items = work_items(size);
  i64 i = items.first, at[NDim], row[Operands] = {};
  const i64 last = items.last;
  if (i >= last) return;
  for (i64 d = NDim - 1, rest = i; d >= 0; --d) {
    at[d] = d ? rest % shape[d] : rest;
    rest /= shape[d];
    for (int k = 0; k < Operands; ++k) row[k] += at[d] * strides[k][d];
  }
  constexpr int inner = NDim - 1;
  while (true) {
    const i64 left = shape[inner] - at[inner], length = left < last - i ? left : last - i;
    for (i64 j = 0; j < length; ++j) {
      i64 offsets[Operands];
      for (int k = 0; k < Operands; ++k) offsets[k] = row[k] + j * strides[k][inner];
      f(i + j, offsets);
    }
    if ((i += length) >= last) return;
    for (int k = 0; k < Operands; ++k) row[k] -= at[inner] * strides[k][inner];
    at[inner] = 0;
    for (int d = inner - 1; d >= 0; --d) {
      for (int k = 0; k < Operands; ++k) row[k] += strides[k][d];
      if (++at[d] < shape[d] || d == 0) break;
      for (int k = 0; k < Operands; ++k) row[k] -= at[d] * strides[k][d];
      at[d] = 0;
    }
  }
#endif
}

}  // namespace ca
