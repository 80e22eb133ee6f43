"""Other views of the same elements: shapes, axes and orders, performed by NumPy on a ghost (see _layout.view)."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._functions.creation import as_shape, asarray, ascontiguousarray
from cuarray._functions.creation import copy as copy_array
from cuarray._layout import broadcast_shapes


def reshape(x: Any, /, shape: Any, *, copy: bool | None = None) -> CuArray:
    """The elements of `x` in C order at another shape; one extent may be -1. A view where strides allow it.

    `copy`: True always copies, False never (ValueError where it would have to).

    >>> import cuarray as ca
    >>> ca.reshape(ca.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    """
    x = asarray(x)
    if copy:
        x = _packed(copy_array(x))
    wanted = tuple(shape) if not isinstance(shape, int | np.integer) else (shape,)
    if not x._layout.c_contiguous and copy is not False:
        try:
            return view_of(x, lambda ghost: np.reshape(ghost, wanted, copy=False))
        except ValueError:
            x = _packed(x)  # the shape may be wrong, too: the next line says so
    return view_of(x, lambda ghost: np.reshape(ghost, wanted, copy=False))


def _packed(x: CuArray) -> CuArray:
    return ascontiguousarray(x) if x.ndim else x


def ravel(x: Any, /) -> CuArray:
    """The elements in C order on one axis: a view of a contiguous array, a copy of any other."""
    x = asarray(x)
    return reshape(x if x._layout.c_contiguous else ascontiguousarray(x), -1)


def transpose(x: Any, /, axes: Any = None) -> CuArray:
    """The array with its axes permuted (reversed if none are given), as a view.

    >>> import cuarray as ca
    >>> ca.transpose(ca.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return view_of(asarray(x), lambda ghost: np.transpose(ghost, axes))


def permute_dims(x: Any, /, axes: Any) -> CuArray:
    """The array with its axes in the order `axes`, as a view."""
    return transpose(x, axes)


def matrix_transpose(x: Any, /) -> CuArray:
    """The array with its last two axes swapped, as a view."""
    return asarray(x).mT


def swapaxes(x: Any, axis1: int, axis2: int) -> CuArray:
    """The array with two axes swapped, as a view."""
    return view_of(asarray(x), lambda ghost: np.swapaxes(ghost, axis1, axis2))


def moveaxis(x: Any, source: Any, destination: Any, /) -> CuArray:
    """The array with axes moved to other places, the rest in order, as a view."""
    return view_of(asarray(x), lambda ghost: np.moveaxis(ghost, source, destination))


def squeeze(x: Any, /, axis: Any = None) -> CuArray:
    """The array without its axes of extent 1, or without those in `axis`, as a view."""
    return view_of(asarray(x), lambda ghost: np.squeeze(ghost, axis))


def expand_dims(x: Any, /, axis: Any = 0) -> CuArray:
    """The array with axes of extent 1 put in at `axis`, as a view."""
    return view_of(asarray(x), lambda ghost: np.expand_dims(ghost, axis))


def broadcast_to(x: Any, /, shape: Any) -> CuArray:
    """The array repeated along new axes and axes of extent 1, as a read-only view.

    >>> import cuarray as ca
    >>> ca.broadcast_to(ca.arange(2), (2, 2))
    array([[0, 1],
           [0, 1]])
    """
    extents = as_shape(shape)
    result = view_of(asarray(x), lambda ghost: np.broadcast_to(ghost, extents))
    result._writeable = False
    return result


def broadcast_arrays(*arrays: Any) -> tuple[CuArray, ...]:
    """The arrays broadcast against each other, as read-only views."""
    sources = [asarray(x) for x in arrays]
    shape = broadcast_shapes(*(x.shape for x in sources))
    return tuple(broadcast_to(x, shape) for x in sources)


def flip(x: Any, /, axis: Any = None) -> CuArray:
    """The array with the order of elements reversed along `axis`, or along all axes, as a view."""
    x = asarray(x)
    # Not numpy.flip: it reads the element of a 0-d array.
    axes = range(x.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, x.ndim)
    return x[tuple(slice(None, None, -1 if own in axes else 1) for own in range(x.ndim))]


def diagonal(x: Any, /, offset: int = 0, axis1: int = 0, axis2: int = 1) -> CuArray:
    """The elements on a diagonal, as a read-only view."""
    result = view_of(asarray(x), lambda ghost: np.diagonal(ghost, offset, axis1, axis2))
    result._writeable = False
    return result
