// CUDA's words as macros, for host C++ between this file and cuda_names_end.hpp, so that none of them leaks into other
// code that the interpreter reads. Included many times on purpose: no #pragma once.
#include "grid.hpp"
#include "intrinsics.hpp"  // and with it <cmath> and <cassert>, before the macros below
#pragma push_macro("NDEBUG")  // the interpreter's, which a kernel's assert() does not follow
#undef NDEBUG
// Not by <cassert> once more. A file without `#pragma once` is read again each time, after a refused definition into other
// memory; the preprocessor remembers by the memory's address how long what it skipped was, and may skip something else.
#pragma push_macro("assert")
#undef assert
#define assert(condition)                \
  (static_cast<bool>(condition) ? void() \
                                : ::ca::host::assertion_failed(#condition, __FILE__, __LINE__, __PRETTY_FUNCTION__))
#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wduplicate-decl-specifier"  // __device__ inline
#define __global__ inline  // so that a thunk made in a later definition can inline the kernel
#define __device__ inline  // not emitted before it is used
#define __host__
#define __constant__
#define __managed__
#define __grid_constant__
#define __device_builtin__
#define __maxnreg__(...)
#define __cluster_dims__(...)
#define __forceinline__ inline __attribute__((always_inline))
#define __noinline__  // empty: the standard library writes __attribute__((__noinline__))
#define __launch_bounds__(...)
#define __align__(n) __attribute__((aligned(n)))  // which may stand where alignas may not: after __shared__
#define __shared__ static thread_local
#define threadIdx (ca_here().threadIdx)
#define blockIdx (ca_here().blockIdx)
#define blockDim (ca_here().blockDim)
#define gridDim (ca_here().gridDim)
#define warpSize 32
#define __syncthreads ::ca::host::barrier
#define __assert_fail ::ca::host::assertion_failed  // which assert() calls if a kernel includes <cassert>
#define __expf ::ca::cuda_functions::fast_expf
#define __exp10f ::ca::cuda_functions::fast_exp10f
#define __logf ::ca::cuda_functions::fast_logf
#define __log2f ::ca::cuda_functions::fast_log2f
#define __log10f ::ca::cuda_functions::fast_log10f
#define __sinf ::ca::cuda_functions::fast_sinf
#define __cosf ::ca::cuda_functions::fast_cosf
#define __tanf ::ca::cuda_functions::fast_tanf
#define __tanhf ::ca::cuda_functions::fast_tanhf
#define __powf ::ca::cuda_functions::fast_powf
#define __sincosf ::ca::cuda_functions::fast_sincosf
#define CA_INLINE_PTX(...) ::ca::host::inline_ptx_cannot_run_on_a_cpu()  // see as_kernel_source in cling.py
