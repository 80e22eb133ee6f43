"""Powers of matrices and chains of products; and the products that the array API has in linalg, too."""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from cuarray._array import CuArray, view_of
from cuarray._functions import linear_algebra as _linear_algebra
from cuarray._functions import products as _products
from cuarray._functions._operation import as_operand
from cuarray._functions.creation import empty
from cuarray._functions.matrices import eye
from cuarray._functions.products import dot, matmul
from cuarray.linalg._solutions import inv


def matrix_power(a: Any, n: int) -> CuArray:
    """Square matrices to an integer power; for a negative one their inverses'.

    >>> import cuarray as ca
    >>> ca.linalg.matrix_power(ca.array([[1, 1], [1, 0]]), 10)
    array([[89, 55],
           [55, 34]])
    """
    x = as_operand(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise LinAlgError(f"matrix_power: Last 2 dimensions of the array must be square; its shape is {x.shape}")
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError("matrix_power: exponent must be an integer") from None
    if n == 0:
        unit = empty(x.shape, x.dtype)
        unit[...] = eye(x.shape[-1], dtype=x.dtype)
        return unit
    if n < 0:
        x, n = inv(x), -n
    # The bits of n, the highest first: a square for each, and a factor where it is set.
    result = x
    for bit in f"{n:b}"[1:]:
        result = matmul(result, result)
        if bit == "1":
            result = matmul(result, x)
    return result


def multi_dot(arrays: Sequence[Any], *, out: CuArray | None = None) -> CuArray:
    """The product of two or more matrices in the order that takes fewest multiplications.

    The first may be a vector (a row), the last, too (a column).

    >>> import cuarray as ca
    >>> ca.linalg.multi_dot([ca.ones((2, 50)), ca.ones((50, 3)), ca.ones(3)])
    array([150., 150.])
    """
    operands = [as_operand(array) for array in arrays]
    if len(operands) < 2:
        raise ValueError("multi_dot: Expecting at least two arrays.")
    if len(operands) == 2:
        return dot(operands[0], operands[1], out)
    row, column = operands[0].ndim == 1, operands[-1].ndim == 1
    if row:
        operands[0] = operands[0][None, :]
    if column:
        operands[-1] = operands[-1][:, None]
    for k, operand in enumerate(operands):
        if operand.ndim != 2:
            raise LinAlgError(f"multi_dot: array {k + 1} has {operand.ndim} dimensions; it must be two-dimensional")
    for left, right in itertools.pairwise(operands):
        if left.shape[1] != right.shape[0]:
            raise ValueError(f"multi_dot: shapes {left.shape} and {right.shape} do not match")
    extents = (*(operand.shape[0] for operand in operands), operands[-1].shape[1])
    result = _chain(operands, extents)
    missing = (0,) * row + (1,) * column
    if missing:
        result = view_of(result, lambda ghost: np.squeeze(ghost, missing))
        result._base = None
    return result if out is None else _products._into("multi_dot", result, out)


def _chain(operands: list[CuArray], extents: tuple[int, ...]) -> CuArray:
    @functools.cache
    def best(first: int, last: int) -> tuple[int, int]:
        """The multiplications for the operands from first to last, and after which one to split them."""
        if first == last:
            return 0, first
        ends = extents[first] * extents[last + 1]
        return min(
            (best(first, middle)[0] + best(middle + 1, last)[0] + ends * extents[middle + 1], middle)
            for middle in range(first, last)
        )

    def product(first: int, last: int) -> CuArray:
        if first == last:
            return operands[first]
        middle = best(first, last)[1]
        return matmul(product(first, middle), product(middle + 1, last))

    return product(0, len(operands) - 1)


# ---- the array API's names for products, which take matrices in the last two axes and vectors in the last


def outer(x1: Any, x2: Any, /) -> CuArray:
    """The product of each element of the vector `x1` with each of `x2`; ValueError unless both are 1-d.

    >>> import cuarray as ca
    >>> ca.linalg.outer(ca.array([1, 2]), ca.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    a, b = as_operand(x1), as_operand(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: input arrays must be one-dimensional, but they are {a.ndim} and {b.ndim} dimensional")
    return _products.outer(a, b)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> CuArray:
    """Cross products of vectors of 3 elements in `axis`; the other axes broadcast. ValueError for other extents.

    >>> import cuarray as ca
    >>> ca.linalg.cross(ca.array([1, 0, 0]), ca.array([0, 1, 0]))
    array([0, 0, 1])
    """
    a, b = as_operand(x1), as_operand(x2)
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise ValueError(f"cross: both vectors must have 3 elements; they have {a.shape[axis]} and {b.shape[axis]}")
    return _linear_algebra.cross(a, b, axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> CuArray:
    """The diagonals of the matrices in the last two axes, `offset` columns to the right, as a read-only view.

    >>> import cuarray as ca
    >>> ca.linalg.diagonal(ca.array([[1, 2], [3, 4]]))
    array([1, 4])
    """
    result = view_of(as_operand(x), lambda ghost: np.diagonal(ghost, offset, -2, -1))
    result._writeable = False
    return result


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> CuArray:
    """The sums of the diagonals of the matrices in the last two axes; see `cuarray.trace`.

    >>> import cuarray as ca
    >>> ca.linalg.trace(ca.array([[1, 2], [3, 4]]))
    array(5)
    """
    return _linear_algebra.trace(x, offset, -2, -1, dtype)
