"""New arrays with the elements of one in other places, or several times, or without some of them."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions._known import take_known
from cuarray._functions._operation import copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import (
    array,
    as_shape,
    asarray,
    astype,
    copy,
    empty,
    empty_like,
    zeros,
)
from cuarray._functions.elementwise import not_equal
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import broadcast_to, flip, moveaxis, ravel, reshape
from cuarray._functions.reductions import any as any_of
from cuarray._functions.reductions import argmax


def _flat_unless(x: CuArray, axis: int | None) -> tuple[CuArray, int]:
    """The array and the axis; with axis=None its elements on one axis."""
    return (x if x.ndim == 1 else ravel(x), 0) if axis is None else (x, normalize_axis(axis, x.ndim))


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    return (slice(None),) * axis + (part,)


def tile(A: Any, reps: Any) -> CuArray:
    """The array next to itself, `reps` times along each axis; an int is the number along the last.

    >>> import cuarray as ca
    >>> ca.tile([1, 2], (2, 2))
    array([[1, 2, 1, 2],
           [1, 2, 1, 2]])
    """
    x = asarray(A)
    times = as_shape(reps)
    ndim = max(x.ndim, len(times))
    times = (1,) * (ndim - len(times)) + times
    shape = (1,) * (ndim - x.ndim) + x.shape
    # An axis of the result is two: which copy, and where in it.
    apart = tuple(extent for pair in zip(times, shape) for extent in pair)
    result = empty(apart, x.dtype)
    copy_into(result, reshape(x, tuple(part for extent in shape for part in (1, extent))))
    return _own(reshape(result, tuple(many * extent for many, extent in zip(times, shape))))


def _own(view: CuArray) -> CuArray:
    # A view of the whole of a new array, of which the caller has no other.
    view._base = None
    return view


def repeat(a: Any, repeats: Any, axis: int | None = None) -> CuArray:
    """Each element several times, along an axis; with axis=None on one axis.

    `repeats` is a number for all, or a 1-d array of numbers, one each: if it is a CuArray, this waits for the device.

    >>> import cuarray as ca
    >>> ca.repeat([7, 8], 2)
    array([7, 7, 8, 8])
    >>> ca.repeat([[1, 2], [3, 4]], [1, 2], axis=0)
    array([[1, 2],
           [3, 4],
           [3, 4]])
    """
    x = asarray(a)
    if not x.ndim and axis in (0, -1):
        axis = None  # NumPy lets a 0-d array have one axis here
    x, axis = _flat_unless(x, axis)
    counts = np.asarray(repeats)
    if counts.ndim > 1:
        raise ValueError("repeat: repeats must be a number or a 1-d array")
    if counts.dtype.kind not in "iub":
        if isinstance(repeats, np.ndarray | CuArray):
            raise TypeError(f"repeat: repeats must be integers, not {counts.dtype}")
        counts = counts.astype(np.int64)  # of lists NumPy takes the whole parts
    if x.shape[axis] and (counts < 0).any():
        raise ValueError("repeat: repeats must not be negative")
    if counts.size == 1:
        times = max(int(counts.reshape(-1)[0]), 0)
        head, extent, tail = x.shape[:axis], x.shape[axis], x.shape[axis + 1 :]
        result = empty((*head, extent, times, *tail), x.dtype)
        copy_into(result, reshape(x, (*head, extent, 1, *tail)))
        return _own(reshape(result, (*head, extent * times, *tail)))
    if counts.size != x.shape[axis]:
        raise ValueError(f"repeat: {counts.size} repeats for {x.shape[axis]} elements along axis {axis}")
    return take_known(x, asarray(np.repeat(np.arange(counts.size), counts)), axis)


def roll(a: Any, shift: Any, axis: Any = None) -> CuArray:
    """The elements moved along an axis, those that leave at one end coming in at the other.

    `shift` and `axis` may be tuples. With axis=None the elements are moved in C order.

    >>> import cuarray as ca
    >>> ca.roll(ca.arange(5), 2)
    array([3, 4, 0, 1, 2])
    """
    x = asarray(a)
    if axis is None:
        return _own(reshape(roll(ravel(x), shift, 0), x.shape))
    axes = np.lib.array_utils.normalize_axis_tuple(axis, x.ndim, allow_duplicate=True)
    pairs = np.broadcast(np.asarray(shift), axes)
    if pairs.ndim > 1:
        raise ValueError("roll: shift and axis must be numbers or 1-d sequences")
    shifts = [0] * x.ndim
    for by, along in pairs:
        shifts[along] += operator.index(by)
    result = empty_like(x)
    # Along each moved axis there are two parts, hence up to 2**n copies for n of them.
    parts: list[tuple[tuple[slice, ...], tuple[slice, ...]]] = [((), ())]
    for along, by in enumerate(shifts):
        extent = x.shape[along]
        by = by % extent if extent else 0
        moves = [(slice(None), slice(None))]
        if by:
            moves = [(slice(by, None), slice(None, -by)), (slice(None, by), slice(-by, None))]
        parts = [((*to, own_to), (*source, own)) for to, source in parts for own_to, own in moves]
    for to, source in parts:
        copy_into(result[to], x[source])
    return result


def resize(a: Any, new_shape: Any) -> CuArray:
    """A new array of another shape with the elements in C order, over and over again until it is full.

    >>> import cuarray as ca
    >>> ca.resize(ca.arange(3), (2, 4))
    array([[0, 1, 2, 0],
           [1, 2, 0, 1]])
    """
    x = ravel(a)
    shape = as_shape(new_shape)
    size = math.prod(shape)
    if not size or not x.size:
        return zeros(shape, x.dtype)
    result = empty(size, x.dtype)
    whole = size // x.size
    if whole:
        copy_into(reshape(result[: whole * x.size], (whole, x.size)), x)
    copy_into(result[whole * x.size :], x[: size - whole * x.size])
    return _own(reshape(result, shape))


def trim_zeros(filt: Any, trim: str = "fb", axis: Any = None) -> CuArray:
    """The array without the zeros at its front ("f") and back ("b"), as a view; along all axes, or those in `axis`.

    This waits for the device.

    >>> import cuarray as ca
    >>> ca.trim_zeros([0, 0, 1, 0, 2, 0])
    array([1, 0, 2])
    """
    x = asarray(filt)
    ends = trim.lower()
    if ends not in ("fb", "bf", "f", "b"):
        raise ValueError(f"trim_zeros: trim must be 'f', 'b' or 'fb', not {trim!r}")
    axes = range(x.ndim) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, x.ndim, argname="axis")
    if not len(axes):
        return x
    set_ = not_equal(x, 0)
    key: list[slice] = [slice(None)] * x.ndim
    for own in axes:
        found = any_of(set_, tuple(other for other in range(x.ndim) if other != own)) if x.size else None
        if found is None or not bool(any_of(found)):
            return x[tuple(slice(0, 0) if own in axes else slice(None) for own in range(x.ndim))]
        first = int(argmax(found)) if "f" in ends else None
        last = x.shape[own] - int(argmax(flip(found))) if "b" in ends else None
        key[own] = slice(first, last)
    return x[tuple(key)]


# ---- with more or fewer elements


def _numbers(name: str, obj: Any, extent: int) -> np.ndarray:
    """Where `obj`, integers or a mask, points to along an axis of this extent, as NumPy integers."""
    numbers = np.asarray(obj)
    if numbers.dtype.kind == "b":
        if numbers.ndim != 1:
            raise ValueError(f"{name}: a mask must be 1-d, obj has {numbers.ndim} dimensions")
        return np.flatnonzero(numbers)
    if not numbers.size and not isinstance(obj, np.ndarray | CuArray):
        return np.empty(0, np.int64)
    if numbers.dtype.kind not in "iu":
        raise IndexError(f"{name}: obj must be integers, a slice or a mask, not {numbers.dtype}")
    outside = (numbers < -extent) | (numbers > extent if name == "insert" else numbers >= extent)
    if outside.any():
        raise IndexError(f"{name}: index {numbers[outside].flat[0]} is out of bounds for an extent of {extent}")
    return np.where(numbers < 0, numbers + extent, numbers).astype(np.int64)


def _in_order_of(x: CuArray, result: CuArray) -> CuArray:
    # Fortran order is kept, as NumPy keeps it here; any other order becomes C order.
    own = x._layout
    return copy(result, "F") if own.f_contiguous and not own.c_contiguous else result


def insert(arr: Any, obj: Any, values: Any, axis: int | None = None) -> CuArray:
    """A new array with `values` put in before the places `obj` (an int, a slice, integers or a mask) along an axis.

    The places are those in `arr`. With axis=None the elements of `arr` are first put on one axis. If `obj` is a
    CuArray, this waits for the device. IndexError for places outside.

    >>> import cuarray as ca
    >>> ca.insert([1, 2, 3], 1, 9)
    array([1, 9, 2, 3])
    >>> ca.insert([1, 2, 3], [0, 3], [8, 9])
    array([8, 1, 2, 3, 9])
    """
    x, axis = _flat_unless(asarray(arr), axis)
    extent = x.shape[axis]
    one = False
    if isinstance(obj, slice):
        numbers = np.arange(*obj.indices(extent))
    else:
        if np.ndim(obj) > 1:
            raise ValueError("insert: obj must be a number, a slice or a 1-d array")
        one = np.ndim(obj) == 0
        numbers = _numbers("insert", obj, extent)
    new = astype(asarray(values), x.dtype, copy=False)
    if numbers.size == 1:
        at = int(numbers.reshape(-1)[0])
        new = array(new, copy=None, ndmin=x.ndim)
        if one:
            # A single place takes an array without the axis, as in an assignment to it.
            new = moveaxis(new, 0, axis)
        count = new.shape[axis]
        shape = (*x.shape[:axis], extent + count, *x.shape[axis + 1 :])
        result = empty(shape, x.dtype, "F" if x._layout.f_contiguous and not x._layout.c_contiguous else "C")
        copy_into(result[_along(axis, slice(None, at))], x[_along(axis, slice(None, at))])
        copy_into(result[_along(axis, slice(at, at + count))], new, "insert: values")
        copy_into(result[_along(axis, slice(at + count, None))], x[_along(axis, slice(at, None))])
        return result
    count = numbers.size
    new = broadcast_to(new, (*x.shape[:axis], count, *x.shape[axis + 1 :]))
    # Where each new element comes to stand, and from where each of the result comes.
    order = np.argsort(numbers, kind="stable")
    places = np.empty(count, np.int64)
    places[order] = numbers[order] + np.arange(count)
    sources = np.empty(extent + count, np.int64)
    old = np.ones(extent + count, bool)
    old[places] = False
    sources[old] = np.arange(extent)
    sources[places] = extent + np.arange(count)
    return _in_order_of(x, take_known(concatenate((x, new), axis), asarray(sources), axis))


def delete(arr: Any, obj: Any, axis: int | None = None) -> CuArray:
    """A new array without the elements at `obj` (an int, a slice, integers or a mask) along an axis.

    With axis=None the elements of `arr` are first put on one axis. If `obj` is a CuArray, this waits for the device.
    IndexError for places outside.

    >>> import cuarray as ca
    >>> ca.delete([1, 2, 3, 4], [0, 2])
    array([2, 4])
    """
    x, axis = _flat_unless(asarray(arr), axis)
    extent = x.shape[axis]
    if isinstance(obj, slice):
        numbers = np.arange(*obj.indices(extent))
    else:
        if not isinstance(obj, int | np.integer) or isinstance(obj, bool):
            mask = np.asarray(obj)
            if mask.dtype.kind == "b" and mask.shape != (extent,):
                raise ValueError(f"delete: a mask must be 1-d with {extent} elements, not {mask.shape}")
        numbers = _numbers("delete", obj, extent).reshape(-1)
    numbers = np.unique(numbers)
    if not numbers.size:
        return copy(x, "F" if x._layout.f_contiguous and not x._layout.c_contiguous else "C")
    first, last = int(numbers[0]), int(numbers[-1]) + 1
    if last - first > numbers.size:
        return _in_order_of(x, take_known(x, asarray(np.delete(np.arange(extent), numbers)), axis))
    shape = (*x.shape[:axis], extent - numbers.size, *x.shape[axis + 1 :])
    result = empty(shape, x.dtype, "F" if x._layout.f_contiguous and not x._layout.c_contiguous else "C")
    copy_into(result[_along(axis, slice(None, first))], x[_along(axis, slice(None, first))])
    copy_into(result[_along(axis, slice(first, None))], x[_along(axis, slice(last, None))])
    return result
