// CUDA's bfloat16 for the host: __nv_bfloat16, __nv_bfloat162 and their functions.
#pragma once
#include "host/small_floats.hpp"

#define CA_T __nv_bfloat16
#define CA_T2 __nv_bfloat162
#define CA_RAW __nv_bfloat16_raw
#define CA_RAW2 __nv_bfloat162_raw
#define CA_FORMAT ::ca::host::Bfloat16
#define CA_NAME bfloat16
#define CA_NAME2 bfloat162
#include "host/small_float_functions.inc"

using nv_bfloat16 = __nv_bfloat16;
using nv_bfloat162 = __nv_bfloat162;

#define CUDART_INF_BF16 __ushort_as_bfloat16(0x7f80)
#define CUDART_NAN_BF16 __ushort_as_bfloat16(0x7fff)
#define CUDART_MIN_DENORM_BF16 __ushort_as_bfloat16(0x0001)
#define CUDART_MAX_NORMAL_BF16 __ushort_as_bfloat16(0x7f7f)
#define CUDART_NEG_ZERO_BF16 __ushort_as_bfloat16(0x8000)
#define CUDART_ZERO_BF16 __ushort_as_bfloat16(0x0000)
#define CUDART_ONE_BF16 __ushort_as_bfloat16(0x3f80)
