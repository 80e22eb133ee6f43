// matmul_mma.cuh for float64 and complex128, to be compiled with other options: see BUILTIN_OPTIONS in _runtime/base.py.
#pragma once
#include "matmul_mma.cuh"
