"""Products of matrices and vectors."""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import numpy as np

from cuarray import _fast_calls, _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import result_type
from cuarray._fast_calls import NOTHING, OUTPUT, SCRATCH, Remembered, Word
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions._reduction import reduce
from cuarray._functions.creation import ascontiguousarray, astype
from cuarray._functions.elementwise import conjugate, logical_and, multiply, negative, subtract
from cuarray._functions.manipulation import ravel
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout


@functools.lru_cache(maxsize=4096)
def _prepare(a: Layout, b: Layout, aligned: bool) -> tuple[Layout, tuple[Prepared, ...], int]:
    """The result's layout, the launches, and the bytes of scratch memory that they need."""
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    out = layout(a.dtype, (*batch, a.shape[-2], b.shape[-1]))
    if not out.size:
        return out, (), 0
    product = _plan.product(a, b, batch, a.dtype, aligned=aligned)
    plan = _plan.matmul(_runtime.get().target, product)
    return out, tuple(Prepared(launch) for launch in plan.launches), plan.scratch_bytes


def matmul(x1: Any, x2: Any, /, out: CuArray | None = None) -> CuArray:
    """Matrix product of the last two axes; leading axes are stacks of matrices and broadcast.

    A 1-d `x1` is a row, a 1-d `x2` a column, and that axis is missing from the result. Both are promoted to one dtype,
    in which integers wrap around; float16 is accumulated in float32. ValueError where the inner extents differ.

    >>> import cuarray as ca
    >>> ca.matmul(ca.array([[1, 2], [3, 4]]), ca.array([5, 6]))
    array([17, 39])
    """
    return _result(_matmul(x1, x2), out, "matmul")


class _Matmul(Remembered):
    """The product as a new array."""

    def _call(self, x1: Any, x2: Any) -> CuArray:
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
        aligned = (a._pointer | b._pointer) % 16 == 0
        result_layout, launches, scratch_bytes = _prepare(a._layout, b._layout, aligned)
        result = allocate(result_layout)
        scratch = _runtime.get().allocate_scratch(scratch_bytes)
        for prepared in launches:
            prepared.launch(result._pointer, a._pointer, b._pointer, 0, scratch.pointer)
        if row or column:
            axes = tuple(axis for axis, missing in ((-2, row), (-1, column)) if missing)
            result = view_of(result, lambda ghost: np.squeeze(ghost, axes))
            result._base = None
        elif x1 is a and x2 is b and launches:
            head = [OUTPUT, Word("address", 0), Word("address", 1), NOTHING, SCRATCH]
            calls = [(prepared, head) for prepared in launches]
            _fast_calls.remember(self, (x1, x2), (), result_layout, calls, scratch_bytes=scratch_bytes)
        return result


_matmul = _Matmul()


def dot(a: Any, b: Any, out: CuArray | None = None) -> CuArray:
    """Dot product as NumPy has it: of two 1-d arrays a scalar, of matrices `matmul`, of a 0-d array a product.

    Otherwise a sum over the last axis of `a` and the last but one of `b`, with all other axes kept apart. `out` must
    have the result's shape and dtype. ValueError where the extents that are summed over differ.

    >>> import cuarray as ca
    >>> ca.dot(ca.array([1.0, 2.0]), ca.array([3.0, 4.0]))
    array(11.)
    """
    x, y = as_operand(a), as_operand(b)
    if x.ndim == 0 or y.ndim == 0:
        return _into("dot", multiply(x, y), out)
    axis = max(y.ndim - 2, 0)
    if x.shape[-1] != y.shape[axis]:
        raise ValueError(
            f"dot: operands of shapes {x.shape} and {y.shape} do not match: {x.shape[-1]} != {y.shape[axis]}"
        )
    if y.ndim == 1:
        return _into("dot", _sum_of_products(x, y) if x.ndim == 1 else matmul(x, y), out)
    if x.ndim <= 2 and y.ndim == 2:
        return _into("dot", matmul(x, y), out)
    return _into("dot", tensordot(x, y, (-1, -2)), out)


def _into(name: str, result: CuArray, out: CuArray | None) -> CuArray:
    """`result`, in `out` where there is one of exactly its shape and dtype."""
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape or out.dtype != result.dtype:
        raise ValueError(
            f"{name}: out has shape {out.shape} and dtype {out.dtype}; the result has {result.shape}, {result.dtype}"
        )
    copy_into(out, result)
    return out


def _own(result: CuArray) -> CuArray:
    """A view of a new array, that nobody else has, as an array of its own."""
    result._base = None
    return result


def _sum_of_products(x: CuArray, y: CuArray) -> CuArray:
    """The sum over the last axis of x * y, in the dtype that both promote to; float16 in float32 as in `matmul`."""
    dtype = result_type(x.dtype, y.dtype)
    if dtype.kind == "b":
        return reduce("any", logical_and(x, y), -1)
    wide = np.dtype(np.float32) if dtype == np.float16 else dtype
    result = reduce("sum", multiply(x, y, dtype=wide), -1, wide)
    return result if wide is dtype else astype(result, dtype)


def _last(x: CuArray, axis: int) -> CuArray:
    return view_of(x, lambda ghost: np.moveaxis(ghost, axis, -1))


def vecdot(x1: Any, x2: Any, /, out: CuArray | None = None, *, axis: int = -1) -> CuArray:
    """Sums of conj(x1) * x2 over `axis`, which both have with the same extent; the other axes broadcast.

    >>> import cuarray as ca
    >>> ca.vecdot(ca.array([[1.0, 2.0], [3.0, 4.0]]), ca.array([1.0, 10.0]))
    array([21., 43.])
    """
    a, b = (_vectors("vecdot", k + 1, x, axis) for k, x in enumerate((x1, x2)))
    if a.shape[-1] != b.shape[-1]:
        raise ValueError(f"vecdot: vectors of {a.shape[-1]} and of {b.shape[-1]} elements do not match")
    return _result(_sum_of_products(conjugate(a) if a.dtype.kind == "c" else a, b), out, "vecdot")


def _vectors(name: str, position: int, x: Any, axis: int = -1) -> CuArray:
    array = as_operand(x)
    if array.ndim == 0:
        raise ValueError(f"{name}: operand {position} must have at least 1 dimension, it has 0")
    return array if axis == -1 else _last(array, axis)


def _result(result: CuArray, out: CuArray | None, name: str) -> CuArray:
    """`result`, in `out` where there is one to which it may be cast."""
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result, casting="same_kind")
    return out


def matvec(x1: Any, x2: Any, /, out: CuArray | None = None) -> CuArray:
    """Products of matrices, in the last two axes of `x1`, and vectors, in the last axis of `x2`; stacks broadcast.

    >>> import cuarray as ca
    >>> ca.matvec(ca.array([[1, 2], [3, 4]]), ca.array([[1, 0], [0, 1]]))
    array([[1, 3],
           [2, 4]])
    """
    a, b = as_operand(x1), _vectors("matvec", 2, x2)
    if a.ndim < 2:
        raise ValueError(f"matvec: operand 1 must have at least 2 dimensions, it has {a.ndim}")
    return _result(_own(matmul(a, b[..., None])[..., 0]), out, "matvec")


def vecmat(x1: Any, x2: Any, /, out: CuArray | None = None) -> CuArray:
    """Products of conjugated vectors, in the last axis of `x1`, and matrices, in the last two of `x2`.

    Stacks broadcast.

    >>> import cuarray as ca
    >>> ca.vecmat(ca.array([1, 10]), ca.array([[1, 2], [3, 4]]))
    array([31, 42])
    """
    a, b = _vectors("vecmat", 1, x1), as_operand(x2)
    if b.ndim < 2:
        raise ValueError(f"vecmat: operand 2 must have at least 2 dimensions, it has {b.ndim}")
    if a.dtype.kind == "c":
        a = conjugate(a)
    return _result(_own(matmul(a[..., None, :], b)[..., 0, :]), out, "vecmat")


def vdot(a: Any, b: Any, /) -> CuArray:
    """The sum of conj(a) * b over all elements, in C order; ValueError where the arrays have different sizes.

    >>> import cuarray as ca
    >>> ca.vdot(ca.array([1 + 2j]), ca.array([3 + 4j]))
    array(11.-2.j)
    """
    x, y = ravel(a), ravel(b)
    if x.size != y.size:
        raise ValueError(f"vdot: arrays of {x.size} and of {y.size} elements do not match")
    return vecdot(x, y)


def inner(a: Any, b: Any, /) -> CuArray:
    """Sums of products over the last axes of both, with all other axes kept apart; of a 0-d array a product.

    >>> import cuarray as ca
    >>> ca.inner(ca.array([[1, 2], [3, 4]]), ca.array([1, 1]))
    array([3, 7])
    """
    x, y = as_operand(a), as_operand(b)
    if x.ndim == 0 or y.ndim == 0:
        return multiply(x, y)
    if x.shape[-1] != y.shape[-1]:
        raise ValueError(f"inner: the last extents of shapes {x.shape} and {y.shape} differ")
    return _sum_of_products(x, y) if x.ndim == y.ndim == 1 else tensordot(x, y, (-1, -1))


def outer(a: Any, b: Any, out: CuArray | None = None) -> CuArray:
    """The product of each element of `a` with each of `b`, both flattened: of shape (a.size, b.size).

    >>> import cuarray as ca
    >>> ca.outer(ca.array([1, 2]), ca.array([3, 4, 5]))
    array([[ 3,  4,  5],
           [ 6,  8, 10]])
    """
    return multiply(ravel(a)[:, None], ravel(b)[None, :], out=out)


def tensordot(a: Any, b: Any, axes: Any = 2) -> CuArray:
    """Sums of products over `axes`: the last so many of `a` and the first of `b`, or a pair of axes or of their lists.

    The result has the other axes of `a`, then those of `b`. ValueError where the extents of a pair of axes differ.

    >>> import cuarray as ca
    >>> ca.tensordot(ca.ones((2, 3, 4)), ca.ones((4, 3, 5)), ((1, 2), (1, 0))).shape
    (2, 5)
    """
    x, y = as_operand(a), as_operand(b)
    try:
        first, second = axes
    except TypeError:
        count = max(operator.index(axes), 0)
        if count > min(x.ndim, y.ndim):
            raise np.exceptions.AxisError(
                f"tensordot: axes is {count}; the arrays have {x.ndim} and {y.ndim}"
            ) from None
        first, second = range(x.ndim - count, x.ndim), range(count)
    x_axes = np.lib.array_utils.normalize_axis_tuple(first, x.ndim, "axes")
    y_axes = np.lib.array_utils.normalize_axis_tuple(second, y.ndim, "axes")
    if len(x_axes) != len(y_axes) or any(x.shape[i] != y.shape[j] for i, j in zip(x_axes, y_axes)):
        raise ValueError(f"tensordot: shape-mismatch for sum: axes {x_axes} of {x.shape} and {y_axes} of {y.shape}")
    x_kept = tuple(i for i in range(x.ndim) if i not in x_axes)
    y_kept = tuple(j for j in range(y.ndim) if j not in y_axes)
    rows, columns = tuple(x.shape[i] for i in x_kept), tuple(y.shape[j] for j in y_kept)
    summed = math.prod(x.shape[i] for i in x_axes)
    left = view_of(x, lambda ghost: ghost.transpose(x_kept + x_axes)).reshape(math.prod(rows), summed)
    right = view_of(y, lambda ghost: ghost.transpose(y_axes + y_kept)).reshape(summed, math.prod(columns))
    return _own(matmul(left, right).reshape(rows + columns))


def kron(a: Any, b: Any) -> CuArray:
    """The Kronecker product: each element of `a` times all of `b`, as blocks.

    >>> import cuarray as ca
    >>> ca.kron(ca.array([1, 10]), ca.array([1, 2, 3]))
    array([ 1,  2,  3, 10, 20, 30])
    """
    x, y = as_operand(a), as_operand(b)
    ndim = max(x.ndim, y.ndim)
    x_shape, y_shape = ((1,) * (ndim - z.ndim) + z.shape for z in (x, y))
    blocks = x.reshape(tuple(extent for own in x_shape for extent in (own, 1)))
    elements = y.reshape(tuple(extent for own in y_shape for extent in (1, own)))
    shape = tuple(m * n for m, n in zip(x_shape, y_shape, strict=True))
    return _own(ascontiguousarray(multiply(blocks, elements)).reshape(shape))


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
    x, y = _last(_vectors("cross", 1, a), axisa), _last(_vectors("cross", 2, b), axisb)
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
