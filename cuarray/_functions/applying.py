"""Python functions applied along axes, and indices to walk over arrays with."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions._operation import copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, empty
from cuarray._functions.manipulation import expand_dims, moveaxis

ndindex = np.ndindex


def apply_along_axis(func1d: Callable[..., Any], axis: int, arr: Any, *args: Any, **kwargs: Any) -> CuArray:
    """What `func1d` makes of each vector of `arr` along an axis: its results lie along that axis of the new array.

    `func1d` is called with a 1-d view and the further arguments; all its results must have the shape of the first,
    whose dtype the new array gets. It is a loop in Python: functions with an `axis` are much faster.

    >>> import cuarray as ca
    >>> ca.apply_along_axis(lambda v: v[::-1], 1, [[1, 2], [3, 4]])
    array([[2, 1],
           [4, 3]])
    """
    x = asarray(arr)
    axis = normalize_axis(axis, x.ndim)
    vectors = moveaxis(x, axis, -1)
    result: CuArray | None = None
    for index in np.ndindex(vectors.shape[:-1]):
        found = asarray(func1d(vectors[index], *args, **kwargs))
        if result is None:
            result = empty((*vectors.shape[:-1], *found.shape), found.dtype)
            inner = found.ndim
        copy_into(result[index], found, "apply_along_axis")
    if result is None:
        raise ValueError("apply_along_axis: there is no vector to apply the function to")
    # The function's axes come to stand where the vectors were.
    last = range(result.ndim - inner, result.ndim)
    return moveaxis(result, tuple(last), tuple(range(axis, axis + inner)))


def apply_over_axes(func: Callable[[CuArray, int], Any], a: Any, axes: Any) -> CuArray:
    """`func(x, axis)` applied with one of `axes` after the other; its results keep their dimensions, or lose the axis.

    >>> import cuarray as ca
    >>> ca.apply_over_axes(ca.sum, ca.ones((2, 3, 4)), (0, 2))
    array([[[8.],
            [8.],
            [8.]]])
    """
    x = asarray(a)
    ndim = x.ndim
    for axis in (axes,) if np.ndim(axes) == 0 else axes:
        axis = operator.index(axis)
        axis = ndim + axis if axis < 0 else axis
        found = asarray(func(x, axis))
        if found.ndim != ndim:
            found = expand_dims(found, axis)
            if found.ndim != ndim:
                raise ValueError("apply_over_axes: func gives an array of another number of dimensions")
        x = found
    return x


class ndenumerate:
    """The pairs of index and element of an array, in C order; elements are 0-d arrays, which are views.

    >>> import cuarray as ca
    >>> [(index, int(value)) for index, value in ca.ndenumerate([[1, 2]])]
    [((0, 0), 1), ((0, 1), 2)]
    """

    def __init__(self, arr: Any) -> None:
        self._array = asarray(arr)
        self._indices = iter(np.ndindex(self._array.shape))

    def __iter__(self) -> Iterator[tuple[tuple[int, ...], CuArray]]:
        return self

    def __next__(self) -> tuple[tuple[int, ...], CuArray]:
        index = next(self._indices)
        return index, self._array[index]
