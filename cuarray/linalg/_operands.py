"""Operands of linear algebra as the library takes them, and its results as arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from cuarray import _runtime
from cuarray._array import CuArray, allocate, new, view_of
from cuarray._dtypes import as_dtype
from cuarray._functions._operation import as_operand, copy_into
from cuarray._functions.creation import asarray, ascontiguousarray, astype
from cuarray._functions.elementwise import add, conjugate, square


def dtype_of(name: str, *arrays: CuArray) -> np.dtype:
    """The dtype to compute in: what all promote to, integers as float64."""
    for array in arrays:
        if array.dtype.kind not in "biufc" or array.dtype == np.float16:
            raise TypeError(f"{name}: arrays of dtype {array.dtype} are not supported in linalg")
    floats = (np.dtype(np.float64) if array.dtype.kind in "biu" else array.dtype for array in arrays)
    return as_dtype(np.result_type(*floats), name)


def real_dtype(dtype: np.dtype) -> np.dtype:
    return as_dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def matrices(name: str, a: Any, square: bool = False) -> tuple[CuArray, np.dtype]:
    """The operand as an array of matrices, and the dtype to compute in; LinAlgError where it has no matrices."""
    array = as_operand(a)
    dtype = dtype_of(name, array)
    if array.ndim < 2:
        raise LinAlgError(f"{name}: {array.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and array.shape[-1] != array.shape[-2]:
        raise LinAlgError(f"{name}: Last 2 dimensions of the array must be square, they are {array.shape[-2:]}")
    return array, dtype


def backend_library() -> Any:
    """LAPACK by NumPy, or cuSOLVER and cuBLAS: see _runtime/math_libraries.py."""
    return _runtime.get().linalg


def given(x: CuArray, dtype: np.dtype) -> _runtime.Block:
    """An operand as the library takes it: a copy that it may overwrite, or the array as it is."""
    if backend_library().column_major:
        copy = allocate(_runtime.column_major(dtype, x.shape))
        copy_into(copy, x)
    else:
        copy = astype(x, dtype, copy=False)
    return _runtime.Block(copy._memory, copy._pointer, copy._layout)


def viewed(block: _runtime.Block) -> CuArray:
    """What the library gave as an array over the same memory, in whatever order."""
    return new(block.memory, block.pointer, block.layout)


def taken(block: _runtime.Block) -> CuArray:
    """What the library gave as a C-contiguous array."""
    return packed(viewed(block))


def packed(x: CuArray) -> CuArray:
    """A C-contiguous array that is no view."""
    if x._layout.c_contiguous:
        x._base = None
        return x
    return ascontiguousarray(x)


def empty_case(function: Callable[..., Any], *arguments: Any) -> Any:
    """What NumPy gives for empty matrices, which depends on their shapes only."""
    result = function(*arguments)
    return tuple(asarray(part) for part in result) if isinstance(result, tuple) else asarray(result)


def adjoint(x: CuArray) -> CuArray:
    return conjugate(x).mT if x.dtype.kind == "c" else x.mT


def diagonal_of(x: CuArray) -> CuArray:
    return view_of(x, lambda ghost: np.diagonal(ghost, 0, -2, -1))


def reshaped(x: CuArray, shape: tuple[int, ...]) -> CuArray:
    result = x.reshape(shape)
    result._base = None
    return result


def squares(x: CuArray) -> CuArray:
    """The squared magnitudes of the elements."""
    return add(square(x.real), square(x.imag)) if x.dtype.kind == "c" else square(x)
