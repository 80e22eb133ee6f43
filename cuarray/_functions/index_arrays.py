"""Index arrays: those of diagonals, triangles and grids, and positions as coordinates and back."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._dtypes import as_dtype
from cuarray._functions._advanced import flag, flag_pointer, unravel_into
from cuarray._functions.creation import _arrays_to_numpy, as_shape, asarray, ascontiguousarray, empty, ones, zeros
from cuarray._functions.elementwise import clip, greater_equal, less, logical_or, remainder
from cuarray._functions.indexing import nonzero
from cuarray._functions.manipulation import ravel
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import any as any_true
from cuarray._layout import broadcast_shapes


def ix_(*args: Any) -> tuple[CuArray, ...]:
    """Index arrays that name all combinations of the given 1-d ones: ``x[ca.ix_(rows, columns)]``.

    Of bool arrays the positions that are true are meant, which waits for the device. ValueError if one is not 1-d.

    >>> import cuarray as ca
    >>> ca.arange(9).reshape(3, 3)[ca.ix_([0, 2], [True, False, True])]
    array([[0, 2],
           [6, 8]])
    """
    result = []
    for axis, given in enumerate(args):
        own = asarray(given)
        if own.ndim != 1:
            raise ValueError("Cross index must be 1 dimensional")
        if not own.size:
            own = own.astype(np.int64)
        if own.dtype.kind == "b":
            (own,) = nonzero(own)
        result.append(own.reshape((1,) * axis + (own.size,) + (1,) * (len(args) - axis - 1)))
    return tuple(result)


def indices(dimensions: Sequence[int], dtype: Any = int, sparse: bool = False) -> Any:
    """The indices of a grid of this shape: an array of shape (ndim, *dimensions), or with `sparse` a tuple of arrays
    that broadcast to `dimensions`.

    >>> import cuarray as ca
    >>> ca.indices((2, 2))
    array([[[0, 0],
            [1, 1]],
    <BLANKLINE>
           [[0, 1],
            [0, 1]]])
    """
    extents = as_shape(tuple(dimensions))
    own = as_dtype(dtype)
    ndim = len(extents)
    rows = [
        arange(extent, dtype=own).reshape(tuple(extent if k == d else 1 for k in range(ndim)))
        for d, extent in enumerate(extents)
    ]
    if sparse:
        return tuple(rows)
    result = empty((ndim, *extents), own)
    for d, row in enumerate(rows):
        result[d] = row
    return result


def diag_indices(n: int, ndim: int = 2) -> tuple[CuArray, ...]:
    """The indices of the diagonal of an array with `ndim` axes of extent `n`.

    >>> import cuarray as ca
    >>> ca.diag_indices(3)
    (array([0, 1, 2]), array([0, 1, 2]))
    """
    return (arange(n),) * ndim


def diag_indices_from(arr: Any) -> tuple[CuArray, ...]:
    """The indices of the diagonal of `arr`; ValueError if it is not at least 2-d with all extents equal.

    >>> import cuarray as ca
    >>> ca.diag_indices_from(ca.zeros((2, 2)))
    (array([0, 1]), array([0, 1]))
    """
    x = asarray(arr)
    if x.ndim < 2:
        raise ValueError("input array must be at least 2-d")
    if len(set(x.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    return diag_indices(x.shape[0], x.ndim)


def _lower(n: int, k: int, m: int | None) -> CuArray:
    rows, columns = arange(n), arange(-k, (n if m is None else m) - k)
    return greater_equal(rows.reshape(-1, 1), columns)


def tril_indices(n: int, k: int = 0, m: int | None = None) -> tuple[CuArray, CuArray]:
    """The indices of the elements of an n by m matrix on and below its k-th diagonal, in C order; waits for the device.

    >>> import cuarray as ca
    >>> ca.tril_indices(2)
    (array([0, 1, 1]), array([0, 0, 1]))
    """
    return nonzero(_lower(n, k, m))  # type: ignore[return-value]


def triu_indices(n: int, k: int = 0, m: int | None = None) -> tuple[CuArray, CuArray]:
    """The indices of the elements of an n by m matrix on and above its k-th diagonal, in C order; waits for the device.

    >>> import cuarray as ca
    >>> ca.triu_indices(2)
    (array([0, 0, 1]), array([0, 1, 1]))
    """
    return nonzero(~_lower(n, k - 1, m))  # type: ignore[return-value]


def _matrix(arr: Any) -> CuArray:
    x = asarray(arr)
    if x.ndim != 2:
        raise ValueError("input array must be 2-d")
    return x


def tril_indices_from(arr: Any, k: int = 0) -> tuple[CuArray, CuArray]:
    """`tril_indices` for the matrix `arr`; ValueError if it is none.

    >>> import cuarray as ca
    >>> ca.tril_indices_from(ca.zeros((2, 2)), -1)
    (array([1]), array([0]))
    """
    x = _matrix(arr)
    return tril_indices(x.shape[0], k, x.shape[1])


def triu_indices_from(arr: Any, k: int = 0) -> tuple[CuArray, CuArray]:
    """`triu_indices` for the matrix `arr`; ValueError if it is none.

    >>> import cuarray as ca
    >>> ca.triu_indices_from(ca.zeros((2, 2)), 1)
    (array([0]), array([1]))
    """
    x = _matrix(arr)
    return triu_indices(x.shape[0], k, x.shape[1])


def mask_indices(n: int, mask_func: Callable[..., Any], k: Any = 0) -> tuple[CuArray, ...]:
    """The indices where ``mask_func(ones((n, n)), k)`` is not zero; waits for the device.

    >>> import cuarray as ca
    >>> ca.mask_indices(2, lambda x, k: x * ca.eye(2, k=k), 1)
    (array([0]), array([1]))
    """
    return nonzero(mask_func(ones((n, n), np.int64), k))


def _check_order(order: str) -> None:
    if order not in ("C", "F"):
        raise ValueError("only 'C' or 'F' order is permitted")


def unravel_index(indices: Any, shape: Any, order: str = "C") -> tuple[CuArray, ...]:
    """The coordinates of positions in an array of this shape: an int64 array for each axis.

    order: "C" or "F", how the positions are counted. ValueError for positions out of range; waits for the device if
    they are in a CuArray. TypeError if they are no integers.

    >>> import cuarray as ca
    >>> ca.unravel_index([5, 2], (2, 3))
    (array([1, 0]), array([2, 2]))
    """
    _check_order(order)
    extents = as_shape(shape)
    total = math.prod(extents)
    on_device = type(indices) is CuArray
    given = indices if on_device else np.asarray(_arrays_to_numpy(indices))
    if given.dtype.kind not in "iu":
        raise TypeError("only int indices permitted")
    if not on_device:
        given = given.astype(np.int64)
        bad = (given < 0) | (given >= total)
        if bad.any():
            raise ValueError(f"index {given[bad].flat[0]} is out of bounds for array with size {total}")
    own = asarray(given)
    if not extents:
        if own.ndim:
            raise ValueError("multiple indices are not supported for 0d array")
        return ()
    flat = ravel(ascontiguousarray(own))
    if on_device and flat.size and not total:
        raise ValueError(f"index {flat[0].item()} is out of bounds for array with size 0")
    word = flag_pointer() if on_device and flat.size else 0
    rows = unravel_into(flat, extents if order == "C" else extents[::-1], word)
    if word and (place := flag.take()) is not None:
        raise ValueError(f"index {flat[place].item()} is out of bounds for array with size {total}")
    parts = tuple(rows[d].reshape(own.shape) for d in range(len(extents)))
    return parts if order == "C" else parts[::-1]


def ravel_multi_index(multi_index: Any, dims: Any, mode: Any = "raise", order: str = "C") -> CuArray:
    """The positions, in an array of shape `dims`, of elements with these coordinates: an int64 array.

    multi_index: an array of integers for each axis; they broadcast. mode: "raise" (ValueError if one is out of range;
    waits for the device), "wrap" or "clip", or one of these for each axis. order: how positions are counted, "C" or
    "F".

    >>> import cuarray as ca
    >>> ca.ravel_multi_index(([1, 0], [2, 2]), (2, 3))
    array([5, 2])
    """
    _check_order(order)
    extents = as_shape(dims)
    coordinates = [asarray(row) for row in multi_index]
    if len(coordinates) != len(extents):
        raise ValueError(f"parameter multi_index must be a sequence of length {len(extents)}")
    modes = [mode] * len(extents) if isinstance(mode, str) else list(mode)
    if len(modes) != len(extents) or any(own not in ("raise", "wrap", "clip") for own in modes):
        raise ValueError("mode must be 'raise', 'wrap' or 'clip', or one of these for each axis")
    if 0 in extents and any(own.size for own in coordinates):
        raise ValueError(f"dims: an array of shape {extents} has no elements")
    runtime = _runtime.get()
    capturing = runtime.stream in runtime.captures
    bad: Any = None
    result: Any = None
    step = 1
    for axis in range(len(extents)) if order == "F" else reversed(range(len(extents))):
        own, extent = coordinates[axis], operator.index(extents[axis])
        if own.dtype.kind not in "iu":
            raise TypeError("only int indices permitted")
        own = own.astype(np.int64, copy=False)
        if modes[axis] == "wrap":
            own = remainder(own, extent)
        elif modes[axis] == "clip" or capturing:
            own = clip(own, 0, extent - 1)
        else:
            outside = logical_or(less(own, 0), greater_equal(own, extent))
            bad = outside if bad is None else logical_or(bad, outside)
        part = own * step
        result = part if result is None else result + part
        step *= extent
    if result is None:
        return zeros((), np.int64)
    broadcast_shapes(*(own.shape for own in coordinates))
    if bad is not None and any_true(bad).item():
        raise ValueError("invalid entry in coordinates array")
    return result
