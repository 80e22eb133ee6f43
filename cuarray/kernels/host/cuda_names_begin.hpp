// CUDA's words as macros, for host C++ between this file and cuda_names_end.hpp, so that none of them leaks into other
// code that the interpreter reads. Included many times on purpose: no #pragma once.
#include "grid.hpp"
#include "intrinsics.hpp"  // and with it <cmath>, before the macros below
#define __global__ inline  // so that a thunk made in a later definition can inline the kernel
#define __device__
#define __host__
#define __constant__
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__  // empty: the standard library writes __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __align__(n) alignas(n)
#define __shared__ static thread_local
#define threadIdx (::ca::host::current()->threadIdx)
#define blockIdx (::ca::host::current()->blockIdx)
#define blockDim (::ca::host::current()->blockDim)
#define gridDim (::ca::host::current()->gridDim)
#define warpSize 32
#define __syncthreads ::ca::host::barrier
#define __expf ::ca::cuda_functions::fast_expf
#define __logf ::ca::cuda_functions::fast_logf
#define __sinf ::ca::cuda_functions::fast_sinf
#define __cosf ::ca::cuda_functions::fast_cosf
#define __powf ::ca::cuda_functions::fast_powf
