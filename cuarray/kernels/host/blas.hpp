// The BLAS that NumPy multiplies with, for kernels on the CPU: its functions are found by _runtime/blas.py and called by
// their addresses.
#pragma once
#include "../process_wide.hpp"

namespace ca::host {

// cblas_sgemm, cblas_dgemm, cblas_cgemm, cblas_zgemm, and the same of gemv. Sizes are passed as 64-bit integers: a
// library of 32-bit ones reads the lower half of each, in registers and on the stack.
struct BlasFunctions {
  void *gemm[4], *gemv[4];
};
CA_PROCESS_WIDE(BlasFunctions, blas_functions, {})

// kind: 0 to 3, as above.
inline void set_blas(unsigned long kind, unsigned long gemm, unsigned long gemv) noexcept {
  blas_functions().gemm[kind] = reinterpret_cast<void*>(gemm);
  blas_functions().gemv[kind] = reinterpret_cast<void*>(gemv);
}

}  // namespace ca::host
