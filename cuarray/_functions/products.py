"""Products of matrices, vectors and arrays, as NumPy has them."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, view_of
from cuarray._dtypes import result_type
from cuarray._functions._contraction import Term, contract, sum_of_products
from cuarray._functions._generalized import generalized
from cuarray._functions._multiply import Computed, multiply_matrices
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions.creation import ascontiguousarray, astype
from cuarray._functions.elementwise import conjugate, multiply
from cuarray._functions.manipulation import ravel


@generalized("(n?,k),(k,m?)->(n?,m?)")
def matmul(a: CuArray, b: CuArray, out: CuArray | None) -> Computed:
    """Matrix product of the last two axes; leading axes are stacks of matrices and broadcast.

    A 1-d `x1` is a row, a 1-d `x2` a column, and that axis is missing from the result. Both are promoted to one dtype,
    in which integers wrap around; float16 and bfloat16 are summed in float32, float32 as `matmul_precision` says.
    Strided and transposed views are read where they are. ValueError where the inner extents differ.

    out: an array for the result; where it is C-contiguous, of the result's dtype and apart from the operands it is
    written to directly. dtype: what is computed in; casting: which casts are allowed; order: of a new array's axes.
    axes: a list of tuples, where the matrices' axes are in `x1`, in `x2` and in the result.

    >>> import cuarray as ca
    >>> ca.matmul(ca.array([[1, 2], [3, 4]]), ca.array([5, 6]))
    array([17, 39])
    >>> ca.matmul(ca.ones((3, 2, 5)), ca.ones((3, 5, 4)), axes=[(1, 2), (1, 2), (0, 1)]).shape
    (2, 4, 3)
    """
    rows, columns = a.shape[-2:-1] if a.ndim > 1 else (), b.shape[-1:] if b.ndim > 1 else ()
    stack = None
    if a.ndim == 1 or b.ndim == 1:
        stack = (*a.shape[:-2], *b.shape[:-2], *rows, *columns)  # one of them has no stack
    left = a if a.ndim > 1 else a[None, :]
    right = b if b.ndim > 1 else b[:, None]
    return multiply_matrices(left, right, shape=stack, out=out)


@generalized("(m,n),(n)->(m)")
def matvec(a: CuArray, b: CuArray, out: CuArray | None) -> Computed:
    """Products of matrices, in the last two axes of `x1`, and vectors, in the last axis of `x2`; stacks broadcast.

    Keywords are those of `matmul`.

    >>> import cuarray as ca
    >>> ca.matvec(ca.array([[1, 2], [3, 4]]), ca.array([[1, 0], [0, 1]]))
    array([[1, 3],
           [2, 4]])
    """
    return _without(multiply_matrices(a, b[..., None], out=None if out is None else out[..., None]), -1, out)


@generalized("(n),(n,m)->(m)")
def vecmat(a: CuArray, b: CuArray, out: CuArray | None) -> Computed:
    """Products of conjugated vectors, in the last axis of `x1`, and matrices, in the last two of `x2`.

    Stacks broadcast. Keywords are those of `matmul`.

    >>> import cuarray as ca
    >>> ca.vecmat(ca.array([1, 10]), ca.array([[1, 2], [3, 4]]))
    array([31, 42])
    """
    conjugated = conjugate(a) if a.dtype.kind == "c" else a
    computed = multiply_matrices(conjugated[..., None, :], b, out=None if out is None else out[..., None, :])
    computed = _without(computed, -2, out)
    return computed if conjugated is a else Computed(computed.result, None)


def _without(computed: Computed, axis: int, out: CuArray | None) -> Computed:
    """Without an axis of one element."""
    return computed._replace(
        result=_own(view_of(computed.result, lambda ghost: np.squeeze(ghost, axis))) if out is None else out
    )


@generalized("(n),(n)->()")
def vecdot(a: CuArray, b: CuArray, out: CuArray | None) -> Computed:
    """Sums of conj(x1) * x2 over the last axis, or `axis`, of both; the other axes broadcast.

    keepdims: whether the result keeps an axis of one element there. Other keywords are those of `matmul`.

    >>> import cuarray as ca
    >>> ca.vecdot(ca.array([[1.0, 2.0], [3.0, 4.0]]), ca.array([1.0, 10.0]))
    array([21., 43.])
    """
    result = _inner(conjugate(a) if a.dtype.kind == "c" else a, b)
    if out is not None:
        copy_into(out, result)
    return Computed(result if out is None else out, None)


def _inner(x: CuArray, y: CuArray) -> CuArray:
    """The sums over the last axis of x * y."""
    dtype = result_type(x.dtype, y.dtype)
    if x.ndim == y.ndim == 1 and x.size and _plan.has_dot(_runtime.get().target, dtype):
        x, y = astype(x, dtype, copy=False), astype(y, dtype, copy=False)
        return multiply_matrices(x[None, :], y[:, None], shape=()).result
    return sum_of_products(x, y, (-1,), dtype)


def _own(result: CuArray) -> CuArray:
    """A view of a new array, that nobody else has, as an array of its own."""
    result._base = None
    return result


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
        return _into("dot", _inner(x, y) if x.ndim == 1 else matmul(x, y), out)
    if x.ndim <= 2 and y.ndim == 2:
        return _into("dot", matmul(x, y), out)
    return _into("dot", tensordot(x, y, (-1, -2)), out)


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
    return _inner(x, y) if x.ndim == y.ndim == 1 else tensordot(x, y, (-1, -1))


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
    x_labels = tuple(("a", i) for i in range(x.ndim))
    y_labels = [("b", j) for j in range(y.ndim)]
    for i, j in zip(x_axes, y_axes):
        y_labels[j] = ("a", i)
    kept = [label for k, label in enumerate(x_labels) if k not in x_axes]
    kept += [label for j, label in enumerate(y_labels) if j not in y_axes]
    dtype = result_type(x.dtype, y.dtype)
    left, right = (astype(z, dtype, copy=False) for z in (x, y))
    term = contract(Term(left, x_labels), Term(right, tuple(y_labels)), kept, dtype)
    result = term.arranged(kept)
    return _own(result if result._layout.c_contiguous else ascontiguousarray(result))


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
