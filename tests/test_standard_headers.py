"""The standard headers that CUDA sources include: the GPU's compiler has none of its own."""

from __future__ import annotations

import numpy as np
import pytest

import cuarray as ca
from cuarray._runtime import nvrtc

HEADERS = ("cstddef", "cstdint", "cmath", "cstdio", "cassert", "cstdlib", "cstring", "climits", "cfloat")
SOURCE = (
    "".join(f"#include <{header}>\n" for header in HEADERS)
    + r"""
__global__ void f(double* out, uint8_t* bytes, std::size_t n) {
  assert(n == 4);
  out[0] = INT32_MAX + std::int64_t(1);
  out[1] = std::sqrt(2.0) + std::fabs(-1.0f) + std::pow(2.0, 3.0);
  out[2] = M_PI;
  out[3] = INFINITY;
  out[4] = std::isnan(NAN);
  out[5] = LONG_MAX == INT64_MAX && INT_MIN == INT32_MIN && UINT_MAX == UINT32_MAX && CHAR_BIT == 8;
  out[6] = FLT_EPSILON, out[7] = DBL_MAX;
  memset(bytes, 7, n);
  std::uint16_t two;
  memcpy(&two, bytes, sizeof two);
  out[8] = two + sizeof(std::uintptr_t) + sizeof(std::ptrdiff_t) + sizeof(int_fast16_t);
}
"""
)


@pytest.mark.parametrize("suffix", ["", ".h"])
def test_headers(suffix: str) -> None:
    source = SOURCE
    if suffix:
        for header in HEADERS:
            source = source.replace(f"<{header}>", f"<{header[1:]}.h>")
        source = source.replace("std::", "")
    mod = ca.cudadef(source)
    out, data = ca.zeros(9), ca.zeros(4, "uint8")
    mod.f[1, 1](out, data, 4)
    expected = [2.0**31, 2**0.5 + 9, np.pi, np.inf, 1, 1, np.finfo("f4").eps, np.finfo("f8").max, 0x0707 + 24]
    np.testing.assert_allclose(np.asarray(out), expected, rtol=1e-15)
    assert data.tolist() == [7] * 4
    assert nvrtc.compile(mod._source, (f"&{mod.namespace}::f",), "sm_90a").code
