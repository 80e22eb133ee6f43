"""Traces and cross products."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import result_type
from cuarray._functions._operation import as_operand
from cuarray._functions._reduction import reduce
from cuarray._functions.elementwise import multiply, negative, subtract
from cuarray._layout import broadcast_shapes, layout


def trace(
    a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: CuArray | None = None
) -> CuArray:
    """Sums of the diagonals of `a` over `axis1` and `axis2`, `offset` columns to the right; in the dtype of `sum`.

    >>> import cuarray as ca
    >>> ca.trace(ca.array([[1, 2], [3, 4]]))
    array(5)
    """
    x = as_operand(a)
    if x.ndim < 2:
        raise ValueError(f"trace: a must have at least 2 dimensions, it has {x.ndim}")
    return reduce("sum", view_of(x, lambda ghost: np.diagonal(ghost, offset, axis1, axis2)), -1, dtype, out)


def _last(x: CuArray, axis: int) -> CuArray:
    return view_of(x, lambda ghost: np.moveaxis(ghost, axis, -1))


def cross(a: Any, b: Any, axisa: int = -1, axisb: int = -1, axisc: int = -1, axis: int | None = None) -> CuArray:
    """Cross products of vectors of 3 (or, as they lie in a plane, 2) elements, in `axis` of both and of the result.

    Of two vectors of 2 elements the third element alone. `axisa`, `axisb`, `axisc`: other axes for each. The remaining
    axes broadcast. ValueError for other extents.

    >>> import cuarray as ca
    >>> ca.cross(ca.array([1.0, 0.0, 0.0]), ca.array([0.0, 1.0, 0.0]))
    array([0., 0., 1.])
    """
    if axis is not None:
        axisa = axisb = axisc = axis
    x, y = (as_operand(array) for array in (a, b))
    for position, array in enumerate((x, y)):
        if array.ndim == 0:
            raise ValueError(f"cross: operand {position + 1} must have at least 1 dimension, it has 0")
    x, y = _last(x, axisa), _last(y, axisb)
    if x.shape[-1] not in (2, 3) or y.shape[-1] not in (2, 3):
        raise ValueError(f"cross: vectors must have 2 or 3 elements, not {x.shape[-1]} and {y.shape[-1]}")
    shape = broadcast_shapes(x.shape[:-1], y.shape[:-1])
    dtype = result_type(x.dtype, y.dtype)

    def component(first: int, second: int, out: CuArray) -> None:
        # An element of the result without those that a vector in the plane does not have.
        multiply(x[..., first], y[..., second], out=out)
        subtract(out, multiply(x[..., second], y[..., first]), out=out)

    if x.shape[-1] == y.shape[-1] == 2:
        flat = allocate(layout(dtype, shape))
        component(0, 1, flat)
        return flat
    axisc = np.lib.array_utils.normalize_axis_index(axisc, len(shape) + 1, "axisc")
    result = allocate(layout(dtype, (*shape[:axisc], 3, *shape[axisc:])))
    parts = _last(result, axisc)
    component(0, 1, parts[..., 2])
    if x.shape[-1] == y.shape[-1]:
        component(1, 2, parts[..., 0])
        component(2, 0, parts[..., 1])
    elif x.shape[-1] == 3:
        multiply(x[..., 2], y[..., 1], out=parts[..., 0])
        negative(parts[..., 0], out=parts[..., 0])
        multiply(x[..., 2], y[..., 0], out=parts[..., 1])
    else:
        multiply(x[..., 1], y[..., 2], out=parts[..., 0])
        multiply(x[..., 0], y[..., 2], out=parts[..., 1])
        negative(parts[..., 1], out=parts[..., 1])
    return result
