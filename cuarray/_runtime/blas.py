"""The BLAS that NumPy multiplies with, for kernels on the CPU: where its functions are."""

from __future__ import annotations

import ctypes
import importlib
from typing import NamedTuple

import numpy as np


class Functions(NamedTuple):
    """The addresses of a kind's functions."""

    gemm: int
    gemv: int


# The spellings of NumPy's wheels, of OpenBLAS with 64-bit integers, and of every other BLAS.
_SPELLINGS = ("scipy_cblas_{}64_", "cblas_{}64_", "scipy_cblas_{}", "cblas_{}")
_KINDS = {"s": np.float32, "d": np.float64, "c": np.complex64, "z": np.complex128}
_ROW_MAJOR, _AS_IS = 101, 111


def find() -> list[Functions] | None:
    """The functions for float32, float64, complex64 and complex128; None if any is missing or computes nonsense."""
    try:
        # Whatever NumPy's own products call is found by name from there, in the order of the loader.
        library = ctypes.CDLL(importlib.import_module("numpy._core._multiarray_umath").__file__)
    except (ImportError, OSError):
        return None
    for spelling in _SPELLINGS:
        try:
            found = [
                Functions(*(_address(library, spelling.format(kind + name)) for name in ("gemm", "gemv")))
                for kind in _KINDS
            ]
        except AttributeError:
            continue
        if all(_works(functions, np.dtype(kind)) for functions, kind in zip(found, _KINDS.values())):
            return found
    return None


def _address(library: ctypes.CDLL, name: str) -> int:
    value = ctypes.cast(getattr(library, name), ctypes.c_void_p).value
    assert value is not None
    return value


def _works(functions: Functions, dtype: np.dtype) -> bool:
    """Whether small products are right, called as kernels/host/matmul_blas.hpp calls."""
    a = np.arange(6).reshape(2, 3).astype(dtype)
    b = np.arange(12).reshape(3, 4).astype(dtype) - 5
    out, vector = np.full((2, 4), 77, dtype), np.full(2, 77, dtype)
    whole, pointer = ctypes.c_int64, ctypes.c_void_p
    one, zero = np.ones(1, dtype), np.zeros(1, dtype)
    if dtype.kind == "c":
        factor: type = pointer
        factors = one.ctypes.data, zero.ctypes.data
    else:
        factor = ctypes.c_float if dtype.itemsize == 4 else ctypes.c_double
        factors = 1.0, 0.0  # type: ignore[assignment]
    orders = (ctypes.c_int,) * 2
    gemm = ctypes.CFUNCTYPE(
        None, ctypes.c_int, *orders, whole, whole, whole, factor, pointer, whole, pointer, whole, factor, pointer, whole
    )(functions.gemm)
    gemm(
        *(_ROW_MAJOR, _AS_IS, _AS_IS, 2, 4, 3, factors[0], a.ctypes.data, 3, b.ctypes.data, 4, factors[1]),
        *(out.ctypes.data, 4),
    )
    gemv = ctypes.CFUNCTYPE(
        None, *orders, whole, whole, factor, pointer, whole, pointer, whole, factor, pointer, whole
    )(functions.gemv)
    gemv(_ROW_MAJOR, _AS_IS, 2, 3, factors[0], a.ctypes.data, 3, b.ctypes.data, 4, factors[1], vector.ctypes.data, 1)
    expected = [[sum(a[i, k] * b[k, j] for k in range(3)) for j in range(4)] for i in range(2)]
    return bool((out == expected).all() and (vector == np.array(expected)[:, 0]).all())
