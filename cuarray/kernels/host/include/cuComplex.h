// CUDA's complex numbers for the host, as functions on float2 and double2.
#pragma once
#include "host/vector_types.hpp"

using cuFloatComplex = float2;
using cuDoubleComplex = double2;
using cuComplex = cuFloatComplex;

// Division and absolute value scale their operands, so that squares neither overflow nor vanish.
#define CA_COMPLEX(T, R, f, maker, fabs_, sqrt_)                                                                   \
  inline R cuCreal##f(T z) { return z.x; }                                                                         \
  inline R cuCimag##f(T z) { return z.y; }                                                                         \
  inline T maker(R re, R im) { return {re, im}; }                                                                  \
  inline T cuConj##f(T z) { return {z.x, -z.y}; }                                                                  \
  inline T cuCadd##f(T a, T b) { return {a.x + b.x, a.y + b.y}; }                                                  \
  inline T cuCsub##f(T a, T b) { return {a.x - b.x, a.y - b.y}; }                                                  \
  inline T cuCmul##f(T a, T b) { return {a.x * b.x - a.y * b.y, a.x * b.y + a.y * b.x}; }                          \
  inline T cuCfma##f(T a, T b, T c) { return cuCadd##f(cuCmul##f(a, b), c); }                                      \
  inline T cuCdiv##f(T a, T b) {                                                                                   \
    const R scale = 1 / (fabs_(b.x) + fabs_(b.y)), x = b.x * scale, y = b.y * scale, u = a.x * scale,              \
            v = a.y * scale, inverse = 1 / (x * x + y * y);                                                        \
    return {(u * x + v * y) * inverse, (v * x - u * y) * inverse};                                                 \
  }                                                                                                                \
  inline R cuCabs##f(T z) {                                                                                        \
    const R a = fabs_(z.x), b = fabs_(z.y), high = a > b ? a : b, low = a > b ? b : a;                             \
    if (__builtin_isinf(high) || __builtin_isinf(low)) return R(__builtin_inf());                                  \
    if (high == 0) return high;                                                                                    \
    return high * sqrt_(1 + low / high * (low / high));                                                            \
  }
CA_COMPLEX(cuFloatComplex, float, f, make_cuFloatComplex, __builtin_fabsf, __builtin_sqrtf)
CA_COMPLEX(cuDoubleComplex, double, , make_cuDoubleComplex, __builtin_fabs, __builtin_sqrt)
#undef CA_COMPLEX
inline cuComplex make_cuComplex(float re, float im) { return {re, im}; }
inline cuDoubleComplex cuComplexFloatToDouble(cuFloatComplex z) { return {z.x, z.y}; }
inline cuFloatComplex cuComplexDoubleToFloat(cuDoubleComplex z) { return {float(z.x), float(z.y)}; }
