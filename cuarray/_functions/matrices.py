"""Matrices of certain forms: identities, diagonals, triangles, powers of a vector."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._functions._operation import copy_into
from cuarray._functions.creation import as_shape, asarray, astype, empty, zeros
from cuarray._functions.elementwise import greater_equal, multiply, where
from cuarray._functions.manipulation import diagonal, ravel, reshape
from cuarray._functions.ranges import arange


def eye(
    N: int, M: int | None = None, k: int = 0, dtype: Any = np.float64, order: str = "C", *, device: Any = None
) -> CuArray:
    """An N by M array with ones on the k-th diagonal and zeros elsewhere.

    >>> import cuarray as ca
    >>> ca.eye(2, 3, 1)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    rows, cols = as_shape((N, N if M is None else M))
    k = operator.index(k)
    result = zeros((rows, cols), dtype, order, device=device)
    if -rows < k < cols:
        view_of(result, lambda ghost: ghost.diagonal(k))[...] = True
    return result


def identity(n: int, dtype: Any = np.float64) -> CuArray:
    """The n by n identity matrix.

    >>> import cuarray as ca
    >>> ca.identity(2)
    array([[1., 0.],
           [0., 1.]])
    """
    return eye(n, dtype=dtype)


def diag(v: Any, k: int = 0) -> CuArray:
    """The k-th diagonal of a matrix, as a read-only view; or the matrix that has the 1-d array `v` there.

    >>> import cuarray as ca
    >>> ca.diag([1, 2])
    array([[1, 0],
           [0, 2]])
    >>> ca.diag([[1, 2], [3, 4]])
    array([1, 4])
    """
    x = asarray(v)
    if x.ndim == 2:
        return diagonal(x, k)
    if x.ndim != 1:
        raise ValueError(f"diag: v must be 1-d or 2-d, it has {x.ndim} dimensions")
    extent = x.size + abs(k)
    result = zeros((extent, extent), x.dtype)
    if x.size:
        copy_into(view_of(result, lambda ghost: ghost.diagonal(k)), x)
    return result


def diagflat(v: Any, k: int = 0) -> CuArray:
    """The matrix that has the elements of `v`, in C order, on its k-th diagonal.

    >>> import cuarray as ca
    >>> ca.diagflat([[1, 2]], 1)
    array([[0, 1, 0],
           [0, 0, 2],
           [0, 0, 0]])
    """
    return diag(ravel(v), k)


def tri(N: int, M: int | None = None, k: int = 0, dtype: Any = float) -> CuArray:
    """An N by M array with ones on and below the k-th diagonal and zeros above it.

    >>> import cuarray as ca
    >>> ca.tri(2, 3, dtype=int)
    array([[1, 0, 0],
           [1, 1, 0]])
    """
    rows, cols = (max(0, operator.index(extent)) for extent in (N, N if M is None else M))
    k = operator.index(k)
    return astype(greater_equal(reshape(arange(rows), (rows, 1)), arange(-k, cols - k)), dtype, copy=False)


def _triangle(name: str, m: Any, k: int, lower: bool) -> CuArray:
    x = asarray(m)
    if not x.ndim:
        raise TypeError(f"{name}: m must have at least 1 dimension")
    rows, cols = x.shape[-2:] if x.ndim > 1 else (x.size, x.size)
    below = tri(rows, cols, k if lower else k - 1, dtype=bool)
    nothing = zeros((), x.dtype)
    return where(below, x, nothing) if lower else where(below, nothing, x)


def tril(m: Any, k: int = 0) -> CuArray:
    """The matrices in the last two axes with zeros above the k-th diagonal.

    >>> import cuarray as ca
    >>> ca.tril([[1, 2], [3, 4]])
    array([[1, 0],
           [3, 4]])
    """
    return _triangle("tril", m, k, True)


def triu(m: Any, k: int = 0) -> CuArray:
    """The matrices in the last two axes with zeros below the k-th diagonal.

    >>> import cuarray as ca
    >>> ca.triu([[1, 2], [3, 4]])
    array([[1, 2],
           [0, 4]])
    """
    return _triangle("triu", m, k, False)


def vander(x: Any, N: int | None = None, increasing: bool = False) -> CuArray:
    """The powers of a vector as columns: the highest of `N` first, or, if `increasing`, last.

    >>> import cuarray as ca
    >>> ca.vander([1, 2, 3], 3)
    array([[1, 1, 1],
           [4, 2, 1],
           [9, 3, 1]])
    """
    values = asarray(x)
    if values.ndim != 1:
        raise ValueError(f"vander: x must be 1-d, it has {values.ndim} dimensions")
    count = values.size if N is None else operator.index(N)
    result = empty((values.size, count), np.result_type(values.dtype, int))
    powers = result if increasing else result[:, ::-1]
    for power in range(count):
        if power == 0:
            powers[:, 0] = 1
        else:
            multiply(powers[:, power - 1], values, out=powers[:, power])
    return result
