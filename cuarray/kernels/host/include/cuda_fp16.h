// CUDA's float16 for the host: __half, __half2 and their functions.
#pragma once
#include "host/small_floats.hpp"

#define CA_T __half
#define CA_T2 __half2
#define CA_RAW __half_raw
#define CA_RAW2 __half2_raw
#define CA_FORMAT ::ca::host::Binary16
#define CA_NAME half
#define CA_NAME2 half2
#include "host/small_float_functions.inc"

using half = __half;
using half2 = __half2;
using nv_half = __half;
using nv_half2 = __half2;

#define CUDART_INF_FP16 __ushort_as_half(0x7c00)
#define CUDART_NAN_FP16 __ushort_as_half(0x7fff)
#define CUDART_MIN_DENORM_FP16 __ushort_as_half(0x0001)
#define CUDART_MAX_NORMAL_FP16 __ushort_as_half(0x7bff)
#define CUDART_NEG_ZERO_FP16 __ushort_as_half(0x8000)
#define CUDART_ZERO_FP16 __ushort_as_half(0x0000)
#define CUDART_ONE_FP16 __ushort_as_half(0x3c00)
