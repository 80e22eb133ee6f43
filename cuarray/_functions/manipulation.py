"""Other views of the same elements: shapes, axes and orders, performed by NumPy on a ghost (see _layout.view)."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray, View, reshaped, transposed, view_of
from cuarray._functions.creation import as_shape, asarray, ascontiguousarray, check_copy, check_order
from cuarray._functions.creation import copy as copy_array
from cuarray._layout import broadcast_shapes as _broadcast_shapes

_swapaxes, _moveaxis = View(np.swapaxes), View(np.moveaxis)
_squeeze, _expand_dims = View(np.squeeze), View(np.expand_dims)


def reshape(a: Any, /, shape: Any, order: str = "C", *, copy: bool | None = None) -> CuArray:
    """The elements of `a` at another shape; one extent may be -1. A view where strides allow it.

    `order`: the elements are taken and put in C order (the last axis varies fastest) or in "F" order (the first axis
    does); "A" is "F" for an array that lies so in memory. `copy`: True always copies, False never (ValueError where it
    would have to).

    >>> import cuarray as ca
    >>> ca.reshape(ca.arange(6), (2, -1))
    array([[0, 1, 2],
           [3, 4, 5]])
    >>> ca.reshape(ca.arange(6), (2, -1), order="F")
    array([[0, 2, 4],
           [1, 3, 5]])
    """
    if type(a) is CuArray and order == "C" and copy is None and a._layout.c_contiguous:
        return reshaped(a, shape)  # what is nearly always asked for, and what C++ remembers
    x = asarray(a)
    check_copy(copy)
    letter = check_order(order, "CFA")
    wanted = tuple(shape) if not isinstance(shape, int | np.integer) else (shape,)
    own = x._layout
    if letter == "F" or (letter == "A" and own.f_contiguous and not own.c_contiguous):
        # What is C order for the axes the other way round.
        return reshape(transpose(x), wanted[::-1], copy=copy).T if x.ndim else reshape(x, wanted, copy=copy)
    if copy:
        x = _packed(copy_array(x))
    if not x._layout.c_contiguous and copy is not False:
        try:
            return reshaped(x, wanted)
        except ValueError:
            x = _packed(x)  # the shape may be wrong, too: the next line says so
    return reshaped(x, wanted)


def _packed(x: CuArray) -> CuArray:
    return ascontiguousarray(x) if x.ndim else x


def ravel(a: Any, order: str = "C") -> CuArray:
    """The elements on one axis: a view of an array that is contiguous in that order, a copy of any other.

    `order`: "C"; "F"; "A", which is "F" for an array that lies so in memory; or "K", as they follow in memory.

    >>> import cuarray as ca
    >>> ca.ravel(ca.array([[1, 2], [3, 4]]), order="F")
    array([1, 3, 2, 4])
    """
    x = asarray(a)
    letter = check_order(order)
    own = x._layout
    if letter == "K":
        x = transpose(x, _memory_order(x))
    elif letter == "F" or (letter == "A" and own.f_contiguous and not own.c_contiguous):
        x = transpose(x)
    return reshape(x if x._layout.c_contiguous else ascontiguousarray(x), -1)


def _memory_order(x: CuArray) -> list[int]:
    """The axes from the slowest to the fastest in memory; as in NumPy's iterators, an axis without a stride of its own
    (broadcast, or of extent 1) stays where it stands in C order."""
    strides = [0 if extent == 1 else abs(stride) for extent, stride in zip(x.shape, x.strides, strict=True)]
    fastest_first: list[int] = []
    for axis in reversed(range(x.ndim)):
        place = len(fastest_first)
        for position in reversed(range(len(fastest_first))):
            other = strides[fastest_first[position]]
            if not strides[axis] or not other:
                continue
            if other <= strides[axis]:
                break
            place = position
        fastest_first.insert(place, axis)
    return fastest_first[::-1]


def transpose(a: Any, axes: Any = None) -> CuArray:
    """The array with its axes permuted (reversed if none are given), as a view.

    >>> import cuarray as ca
    >>> ca.transpose(ca.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    x = asarray(a)
    return transposed(x) if axes is None else transposed(x, axes)


def permute_dims(a: Any, axes: Any = None) -> CuArray:
    """The array with its axes in the order `axes`, as a view.

    >>> import cuarray as ca
    >>> ca.permute_dims(ca.zeros((2, 3, 4)), (2, 0, 1)).shape
    (4, 2, 3)
    """
    return transpose(a, axes)


def matrix_transpose(x: Any, /) -> CuArray:
    """The array with its last two axes swapped, as a view.

    >>> import cuarray as ca
    >>> ca.matrix_transpose(ca.zeros((2, 3, 4))).shape
    (2, 4, 3)
    """
    return asarray(x).mT


def swapaxes(a: Any, axis1: int, axis2: int) -> CuArray:
    """The array with two axes swapped, as a view.

    >>> import cuarray as ca
    >>> ca.swapaxes(ca.zeros((2, 3, 4)), 0, 2).shape
    (4, 3, 2)
    """
    return _swapaxes(asarray(a), axis1, axis2)


def moveaxis(a: Any, source: Any, destination: Any) -> CuArray:
    """The array with axes moved to other places, the rest in order, as a view.

    >>> import cuarray as ca
    >>> ca.moveaxis(ca.zeros((2, 3, 4)), 0, -1).shape
    (3, 4, 2)
    """
    return _moveaxis(asarray(a), source, destination)


def rollaxis(a: Any, axis: int, start: int = 0) -> CuArray:
    """The array with `axis` moved to stand before the axis that is now `start`, as a view; `moveaxis` says it better.

    >>> import cuarray as ca
    >>> ca.rollaxis(ca.zeros((2, 3, 4)), 2).shape
    (4, 2, 3)
    """
    return view_of(asarray(a), lambda ghost: np.rollaxis(ghost, axis, start))


def squeeze(a: Any, axis: Any = None) -> CuArray:
    """The array without its axes of extent 1, or without those in `axis`, as a view.

    >>> import cuarray as ca
    >>> ca.squeeze(ca.zeros((1, 3, 1))).shape
    (3,)
    """
    return _squeeze(asarray(a), axis)


def expand_dims(a: Any, axis: Any = 0) -> CuArray:
    """The array with axes of extent 1 put in at `axis`, as a view.

    >>> import cuarray as ca
    >>> ca.expand_dims(ca.zeros(3), (0, 2)).shape
    (1, 3, 1)
    """
    return _expand_dims(asarray(a), axis)


def _at_least(arrays: tuple[Any, ...], expand: Any) -> Any:
    results = tuple(expand(asarray(x)) for x in arrays)
    return results[0] if len(results) == 1 else results


def atleast_1d(*arys: Any) -> Any:
    """The arrays with at least one axis, as views; one array, or a tuple of as many as were given.

    >>> import cuarray as ca
    >>> ca.atleast_1d(3)
    array([3])
    """
    return _at_least(arys, lambda x: x if x.ndim else reshape(x, 1))


def atleast_2d(*arys: Any) -> Any:
    """The arrays with at least two axes, new ones first, as views; one array, or a tuple of them.

    >>> import cuarray as ca
    >>> ca.atleast_2d([1, 2])
    array([[1, 2]])
    """
    return _at_least(arys, lambda x: x if x.ndim > 1 else view_of(x, np.atleast_2d))


def atleast_3d(*arys: Any) -> Any:
    """The arrays with at least three axes, as views: (n,) becomes (1, n, 1), and (m, n) becomes (m, n, 1).

    >>> import cuarray as ca
    >>> ca.atleast_3d([1, 2]).shape
    (1, 2, 1)
    """
    return _at_least(arys, lambda x: x if x.ndim > 2 else view_of(x, np.atleast_3d))


def broadcast_to(array: Any, shape: Any, subok: bool = False) -> CuArray:
    """The array repeated along new axes and axes of extent 1, as a read-only view.

    >>> import cuarray as ca
    >>> ca.broadcast_to(ca.arange(2), (2, 2))
    array([[0, 1],
           [0, 1]])
    """
    extents = as_shape(shape)
    result = view_of(asarray(array), lambda ghost: np.broadcast_to(ghost, extents))
    result._writeable = False
    return result


def broadcast_arrays(*args: Any, subok: bool = False) -> tuple[CuArray, ...]:
    """The arrays broadcast against each other, as read-only views.

    >>> import cuarray as ca
    >>> ca.broadcast_arrays([1, 2], [[3], [4]])[1]
    array([[3, 3],
           [4, 4]])
    """
    sources = [asarray(x) for x in args]
    shape = _broadcast_shapes(*(x.shape for x in sources))
    return tuple(broadcast_to(x, shape) for x in sources)


def broadcast_shapes(*args: Any) -> tuple[int, ...]:
    """The shape that these shapes (tuples or ints) broadcast to; ValueError where they do not.

    >>> import cuarray as ca
    >>> ca.broadcast_shapes((3, 1), 4)
    (3, 4)
    """
    return _broadcast_shapes(*(as_shape(shape) for shape in args))


def flip(m: Any, axis: Any = None) -> CuArray:
    """The array with the order of elements reversed along `axis`, or along all axes, as a view.

    >>> import cuarray as ca
    >>> ca.flip(ca.arange(3))
    array([2, 1, 0])
    """
    x = asarray(m)
    # Not numpy.flip: it reads the element of a 0-d array.
    axes = range(x.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, x.ndim)
    key: tuple[Any, ...] = tuple(slice(None, None, -1 if own in axes else 1) for own in range(x.ndim))
    return view_of(x, lambda ghost: ghost[(*key, ...)])


def fliplr(m: Any) -> CuArray:
    """The array reversed along its second axis, as a view; ValueError if there is none.

    >>> import cuarray as ca
    >>> ca.fliplr([[1, 2], [3, 4]])
    array([[2, 1],
           [4, 3]])
    """
    x = asarray(m)
    if x.ndim < 2:
        raise ValueError(f"fliplr: m must have at least 2 dimensions, not {x.ndim}")
    return flip(x, 1)


def flipud(m: Any) -> CuArray:
    """The array reversed along its first axis, as a view; ValueError if there is none.

    >>> import cuarray as ca
    >>> ca.flipud([[1, 2], [3, 4]])
    array([[3, 4],
           [1, 2]])
    """
    x = asarray(m)
    if x.ndim < 1:
        raise ValueError("flipud: m must have at least 1 dimension")
    return flip(x, 0)


def rot90(m: Any, k: int = 1, axes: Any = (0, 1)) -> CuArray:
    """The array turned `k` times by 90 degrees in the plane of two axes, from the first towards the second; a view.

    >>> import cuarray as ca
    >>> ca.rot90([[1, 2], [3, 4]])
    array([[2, 4],
           [1, 3]])
    """
    x = asarray(m)
    if len(axes) != 2:
        raise ValueError(f"rot90: axes must be two, not {len(axes)}")
    first, second = (operator.index(axis) for axis in axes)
    if not all(-x.ndim <= axis < x.ndim for axis in (first, second)):
        raise ValueError(f"rot90: axes={tuple(axes)} are out of range for an array of {x.ndim} dimensions")
    if first % x.ndim == second % x.ndim:
        raise ValueError("rot90: axes must be different")
    turns = operator.index(k) % 4
    if turns == 0:
        return view_of(x, lambda ghost: ghost[...])
    if turns == 2:
        return flip(x, (first, second))
    return swapaxes(flip(x, second), first, second) if turns == 1 else flip(swapaxes(x, first, second), second)


def diagonal(a: Any, offset: int = 0, axis1: int = 0, axis2: int = 1) -> CuArray:
    """The elements on a diagonal, as a read-only view.

    >>> import cuarray as ca
    >>> ca.diagonal([[1, 2], [3, 4]])
    array([1, 4])
    """
    result = view_of(asarray(a), lambda ghost: np.diagonal(ghost, offset, axis1, axis2))
    result._writeable = False
    return result
