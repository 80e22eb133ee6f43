"""Products of matrices and vectors."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import result_type
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions.creation import astype
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout


@functools.lru_cache(maxsize=4096)
def _prepare(a: Layout, b: Layout) -> tuple[Layout, Prepared | None]:
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = layout(a.dtype, (*batch, a.shape[-2], b.shape[-1]))
    if not out.size:
        return out, None
    return out, Prepared(_plan.matmul(_runtime.get().target, a, b, batch, a.dtype))


def matmul(x1: Any, x2: Any, /, *, out: CuArray | None = None) -> CuArray:
    """Matrix product of the last two axes; leading axes are stacks of matrices and broadcast.

    A 1-d `x1` is a row, a 1-d `x2` a column, and that axis is missing from the result. Both are promoted to one dtype,
    in which integers wrap around; float16 is accumulated in float32. ValueError where the inner extents differ.

    >>> import cuarray as ca
    >>> ca.matmul(ca.array([[1, 2], [3, 4]]), ca.array([5, 6]))
    array([17, 39])
    """
    operands = [as_operand(x) for x in (x1, x2)]
    for position, x in enumerate(operands):
        if x.ndim == 0:
            raise ValueError(f"matmul: operand {position + 1} must have at least 1 dimension, it has 0")
    a, b = operands
    dtype = result_type(a.dtype, b.dtype)
    a, b = astype(a, dtype, copy=False), astype(b, dtype, copy=False)
    row, column = a.ndim == 1, b.ndim == 1
    if row:
        a = a[None, :]
    if column:
        b = b[:, None]
    if a.shape[-1] != b.shape[-2]:
        raise ValueError(
            f"matmul: operands of shapes {operands[0].shape} and {operands[1].shape} do not match: "
            f"the inner extents are {a.shape[-1]} and {b.shape[-2]}"
        )
    result_layout, prepared = _prepare(a._layout, b._layout)
    result = allocate(result_layout)
    if prepared is not None:
        prepared.launch(result._pointer, a._pointer, b._pointer)
    if row or column:
        axes = tuple(axis for axis, missing in ((-2, row), (-1, column)) if missing)
        result = view_of(result, lambda ghost: np.squeeze(ghost, axes))
        result._base = None
    if out is None:
        return result
    check_out("matmul", out)
    if out.shape != result.shape:
        raise ValueError(f"matmul: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result, casting="same_kind")
    return out


def dot(x1: Any, x2: Any, /) -> CuArray:
    """Dot product as NumPy has it: of two 1-d arrays a scalar, of matrices `matmul`, of a 0-d array a product.

    >>> import cuarray as ca
    >>> ca.dot(ca.array([1.0, 2.0]), ca.array([3.0, 4.0]))
    array(11.)
    """
    a, b = as_operand(x1), as_operand(x2)
    if a.ndim == 0 or b.ndim == 0:
        return a * b
    if b.ndim <= 2 and a.ndim <= 2:
        return matmul(a, b)
    # A sum over the last axis of a and the second-to-last of b, all other axes kept apart.
    if b.ndim == 1:
        return matmul(a, b)
    inner = a.shape[-1]
    if b.shape[-2] != inner:
        raise ValueError(f"dot: operands of shapes {a.shape} and {b.shape} do not match: {inner} != {b.shape[-2]}")
    columns = view_of(b, lambda ghost: np.moveaxis(ghost, -2, 0))
    flat = matmul(a.reshape(math.prod(a.shape[:-1]), inner), columns.reshape(inner, math.prod(columns.shape[1:])))
    return flat.reshape(a.shape[:-1] + b.shape[:-2] + b.shape[-1:])
