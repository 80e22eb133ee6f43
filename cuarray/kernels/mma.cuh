// Tensor cores by warps (mma.sync, from compute capability 8.0 on): the instructions as functions of a lane's registers,
// with the fragments that the PTX ISA gives them. On the host, lanes do the same together.
//
// All of them compute c += a * b for 16 x k by k x 8. With g = lane / 4 and t = lane % 4, and `across` numbers in a
// register: a[r] has row g + 8 * (r % 2), columns across * (t + 4 * (r / 2)) on; b[r] has column g, rows
// across * (t + 4 * r) on; c[i] is row g + 8 * (i / 2), column 2 * t + i % 2.
#pragma once
#include "complex.cuh"
#if !CA_ON_DEVICE
#include "host/mma.hpp"
#endif

namespace ca {
namespace mma {

#if CA_ON_DEVICE
#define CA_MMA_32(name, instruction)\
  __device__ __forceinline__ void name(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {              \
    asm(instruction " {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"                               \
        : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])                                                             \
        : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));                                         \
  }
CA_MMA_32(multiply_float16, "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32")
CA_MMA_32(multiply_bfloat16, "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32")
CA_MMA_32(multiply_tf32, "mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32")
#undef CA_MMA_32
// Capability 8.0 has half of the smallest one.
__device__ __forceinline__ void multiply_half_4(double& c0, double& c1, double a, double b) {
  asm("mma.sync.aligned.m8n8k4.row.col.f64.f64.f64.f64 {%0, %1}, {%2}, {%3}, {%0, %1};"
      : "+d"(c0), "+d"(c1) : "d"(a), "d"(b));
}
__device__ __forceinline__ void multiply_halves(double (&c)[4], const double (&a)[2], const double (&b)[1]) {
  multiply_half_4(c[0], c[1], a[0], b[0]);
  multiply_half_4(c[2], c[3], a[1], b[0]);
}
__device__ __forceinline__ void multiply_float64(double (&c)[4], const double (&a)[2], const double (&b)[1]) {
  asm("mma.sync.aligned.m16n8k4.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5}, {%6}, {%0, %1, %2, %3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3]) : "d"(a[0]), "d"(a[1]), "d"(b[0]));
}
__device__ __forceinline__ void multiply_float64(double (&c)[4], const double (&a)[4], const double (&b)[2]) {
  asm("mma.sync.aligned.m16n8k8.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, {%0, %1, %2, %3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(b[0]), "d"(b[1]));
}
__device__ __forceinline__ void multiply_float64(double (&c)[4], const double (&a)[8], const double (&b)[4]) {
  asm("mma.sync.aligned.m16n8k16.row.col.f64.f64.f64.f64 {%0, %1, %2, %3}, {%4, %5, %6, %7, %8, %9, %10, %11}, "
      "{%12, %13, %14, %15}, {%0, %1, %2, %3};"
      : "+d"(c[0]), "+d"(c[1]), "+d"(c[2]), "+d"(c[3])
      : "d"(a[0]), "d"(a[1]), "d"(a[2]), "d"(a[3]), "d"(a[4]), "d"(a[5]), "d"(a[6]), "d"(a[7]), "d"(b[0]), "d"(b[1]),
        "d"(b[2]), "d"(b[3]));
}

// The nearest number that tf32 has (11 bits); halves go away from 0.
__device__ __forceinline__ unsigned to_tf32(unsigned x) {
  unsigned rounded;
  asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(rounded) : "f"(__uint_as_float(x)));
  return rounded;
}

// Four matrices of 8 rows of 16 bytes in shared memory: lane i brings the address of row i % 8 of matrix i / 8, and gets
// of each the word i % 4 of row i / 4. Turned: numbers of two bytes, of which it gets (row 2 * (i % 4), column i / 4) and
// the one below.
template <bool Turned> __device__ __forceinline__ void load_matrices(unsigned (&word)[4], const void* row) {
  const unsigned at = unsigned(__cvta_generic_to_shared(row));
  if constexpr (Turned)
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "r"(at) : "memory");
  else
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
                 : "=r"(word[0]), "=r"(word[1]), "=r"(word[2]), "=r"(word[3]) : "r"(at) : "memory");
}
#else
inline void multiply_float16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  ::ca::host::multiply<float16>(c, a, b);
}
inline void multiply_bfloat16(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  ::ca::host::multiply<bfloat16>(c, a, b);
}
inline void multiply_tf32(float (&c)[4], const unsigned (&a)[4], const unsigned (&b)[2]) {
  ::ca::host::multiply<::ca::host::Tf32>(c, a, b);
}
template <int Words> inline void multiply_float64(double (&c)[4], const double (&a)[2 * Words], const double (&b)[Words]) {
  ::ca::host::multiply<double>(c, a, b);
}
inline void multiply_halves(double (&c)[4], const double (&a)[2], const double (&b)[1]) { multiply_float64(c, a, b); }
inline unsigned to_tf32(unsigned x) { return (x & 0x7f800000u) == 0x7f800000u ? x : (x + 0x1000u) & 0xffffe000u; }
template <bool Turned> inline void load_matrices(unsigned (&word)[4], const void* row) {
  ::ca::host::load_matrices<Turned>(word, row);
}
#endif

// ---- instructions as template arguments ---------------------------------------------------------------------------
// k: steps of k that one does; passes: how often each product is made.
struct Float16 {
  using Word = unsigned;
  using Sum = float;
  static constexpr int k = 16, across = 2, passes = 1;
  static __device__ CA_ALWAYS_INLINE void multiply(Sum (&c)[4], const Word (&a)[4], const Word (&b)[2]) {
    multiply_float16(c, a, b);
  }
};
struct BFloat16 {
  using Word = unsigned;
  using Sum = float;
  static constexpr int k = 16, across = 2, passes = 1;
  static __device__ CA_ALWAYS_INLINE void multiply(Sum (&c)[4], const Word (&a)[4], const Word (&b)[2]) {
    multiply_bfloat16(c, a, b);
  }
};
// float32 rounded to tf32; with three passes also what the rounding takes away, but for its own rounding.
template <int Passes> struct TF32 {
  using Word = unsigned;
  using Sum = float;
  static constexpr int k = 8, across = 1, passes = Passes;
  static __device__ CA_ALWAYS_INLINE void multiply(Sum (&c)[4], const Word (&a)[4], const Word (&b)[2]) {
    multiply_tf32(c, a, b);
  }
};
// Whole instructions are there from capability 9.0 on.
template <int K, bool Whole> struct Float64 {
  static_assert(K == 4 || (Whole && (K == 8 || K == 16)), "of float64 there are 4, 8 and 16 steps");
  using Word = double;
  using Sum = double;
  static constexpr int k = K, across = 1, passes = 1;
  static __device__ CA_ALWAYS_INLINE void multiply(Sum (&c)[4], const Word (&a)[K / 2], const Word (&b)[K / 4]) {
    if constexpr (Whole) multiply_float64(c, a, b);
    else multiply_halves(c, a, b);
  }
};
// Complex numbers by four products of real ones, in two rounds, each with two sums that do not wait for one another.
template <bool Whole> struct Complex128 {
  using Word = complex<double>;
  using Sum = complex<double>;
  static constexpr int k = 4, across = 1, passes = 1;
  template <int Round>
  static __device__ CA_ALWAYS_INLINE void multiply(Sum (&c)[4], const Word (&a)[2], const Word (&b)[1]) {
    const double factor[2] = {Round ? -a[0].im : a[0].re, Round ? -a[1].im : a[1].re};
    const double plain[2] = {Round ? a[0].im : a[0].re, Round ? a[1].im : a[1].re};
    const double for_re[1] = {Round ? b[0].im : b[0].re}, for_im[1] = {Round ? b[0].re : b[0].im};
    double re[4] = {c[0].re, c[1].re, c[2].re, c[3].re}, im[4] = {c[0].im, c[1].im, c[2].im, c[3].im};
    Float64<4, Whole>::multiply(re, factor, for_re);
    Float64<4, Whole>::multiply(im, plain, for_im);
#pragma unroll
    for (int i = 0; i < 4; ++i) c[i] = {re[i], im[i]};
  }
};

}  // namespace mma
}  // namespace ca
