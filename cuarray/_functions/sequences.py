"""Functions of sequences of samples: interpolation, convolution, phases, and bits packed into bytes."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import as_dtype, check_castable, result_type
from cuarray._functions._namespace import namespace
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import array, asarray, ascontiguousarray, astype, copy, copyto, empty, zeros
from cuarray._functions.elementwise import (
    absolute,
    bitwise_and,
    conjugate,
    greater,
    less,
    logical_and,
    not_equal,
    remainder,
    subtract,
    where,
)
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import expand_dims, flip, ravel, reshape
from cuarray._functions.padding import pad
from cuarray._functions.reductions import sum
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout

# ---- interpolation


@functools.lru_cache(maxsize=1024)
def _prepare_interpolation(
    out: Layout, fp: Layout, left: float | None, right: float | None, imaginary: bool
) -> Prepared:
    return Prepared(_plan.interpolation(_runtime.get().target, out, fp, left, right, imaginary))


def _interpolate(
    x: CuArray, xp: CuArray, fp: CuArray, left: Any, right: Any, out: CuArray, imaginary: bool = False
) -> None:
    if out.size:
        limits = (None if limit is None else float(limit) for limit in (left, right))
        low, high = limits
        prepared = _prepare_interpolation(out._layout, fp._layout, low, high, imaginary)
        prepared.launch(out._pointer, x._pointer, xp._pointer, fp._pointer)


def _real_samples(name: str, values: Any) -> CuArray:
    x = asarray(values)
    check_castable(x.dtype, np.dtype(float), "safe", f"interp: {name}")
    return astype(x, float, order="C", copy=False)


def interp(x: Any, xp: Any, fp: Any, left: Any = None, right: Any = None, period: Any = None) -> CuArray:
    """The values at `x` of the lines through the points (xp, fp), of which `xp` must increase; float64 or complex128.

    Before the first and after the last point the values are `left` and `right`, or those of these points. With a
    `period`, x and xp are taken modulo it, the points need no order, and left and right do not count. ValueError where
    there are no points, or xp and fp are not 1-d or differ in length.

    >>> import cuarray as ca
    >>> ca.interp([0.5, 1.5, 5.0], [0, 1, 2], [0, 10, 0])
    array([5., 5., 0.])
    """
    points = asarray(fp)
    is_complex = points.dtype.kind == "c"
    points = astype(points, complex, copy=False) if is_complex else _real_samples("fp", points)
    at, places = _real_samples("x", x), _real_samples("xp", xp)
    if places.ndim != 1 or points.ndim != 1:
        raise ValueError(f"interp: xp and fp must be 1-d, they have {places.ndim} and {points.ndim} dimensions")
    if places.size != points.size:
        raise ValueError(f"interp: xp and fp must be of one length, they have {places.size} and {points.size} elements")
    if not places.size:
        raise ValueError("interp: there are no points")
    if period is not None:
        if period == 0:
            raise ValueError("interp: period must not be 0")
        period, left, right = abs(period), None, None
        at, places = remainder(at, period), remainder(places, period)
        order = namespace().argsort(places)
        places, points = places[order], points[order]
        places = concatenate((places[-1:] - period, places, places[:1] + period))
        points = concatenate((points[-1:], points, points[:1]))
    places = ascontiguousarray(places)
    result = empty(at.shape, complex if is_complex else float)
    flat = ravel(result)
    if not is_complex:
        _interpolate(at, places, points, left, right, flat)
        return result
    for part in ("real", "imag"):
        low, high = (None if limit is None else getattr(complex(limit), part) for limit in (left, right))
        _interpolate(at, places, getattr(points, part), low, high, getattr(flat, part), part == "imag")
    return result


# ---- sums of products


@functools.lru_cache(maxsize=1024)
def _prepare_convolution(a: Layout, v: Layout, first: int, count: int) -> Prepared:
    return Prepared(_plan.convolution(_runtime.get().target, a, v, first, count))


def _sums(a: CuArray, v: CuArray, mode: Any) -> CuArray:
    """out[i] = sum of a[i + first + j] * v[j], where v is not longer than a; `mode` gives the first and how many."""
    taps = v.size
    if mode == "valid":
        first, count = 0, a.size - taps + 1
    elif mode == "same":
        first, count = -(taps // 2), a.size
    elif mode == "full":
        first, count = 1 - taps, a.size + taps - 1
    else:
        raise ValueError(f"mode must be 'valid', 'same' or 'full', not {mode!r}")
    result = allocate(layout(a.dtype, (count,)))
    _prepare_convolution(a._layout, v._layout, first, count).launch(result._pointer, a._pointer, v._pointer)
    return result


def _sequences(name: str, a: Any, v: Any) -> tuple[CuArray, CuArray]:
    first, second = (array(x, copy=None, ndmin=1) for x in (a, v))
    for argument, x in (("a", first), ("v", second)):
        if x.ndim > 1:
            raise ValueError(f"{name}: {argument} must be 1-d, it has {x.ndim} dimensions")
        if not x.size:
            raise ValueError(f"{name}: {argument} cannot be empty")
    dtype = as_dtype(result_type(first.dtype, second.dtype))
    return astype(first, dtype, copy=False), astype(second, dtype, copy=False)


def convolve(a: Any, v: Any, mode: str = "full") -> CuArray:
    """The convolution of two sequences: out[k] is the sum of a[m] v[k - m].

    `mode`: "full" for every k where they overlap, "same" for the middle part, as long as the longer one, "valid" where
    they overlap completely. Sums of products, one by one: the time is that of the product of the lengths.

    >>> import cuarray as ca
    >>> ca.convolve([1, 2, 3], [0, 1, 0.5])
    array([0. , 1. , 2.5, 4. , 1.5])
    """
    first, second = _sequences("convolve", a, v)
    if second.size > first.size:
        first, second = second, first
    return _sums(ascontiguousarray(first), flip(second), mode)


def correlate(a: Any, v: Any, mode: str = "valid") -> CuArray:
    """The cross-correlation of two sequences: out[k] is the sum of a[n + k] conj(v[n]); for `mode` see `convolve`.

    >>> import cuarray as ca
    >>> ca.correlate([1, 2, 3], [0, 1, 0.5], "full")
    array([0.5, 2. , 3.5, 3. , 0. ])
    """
    for argument, x in (("a", a), ("v", v)):
        if not np.ndim(x):
            raise ValueError(f"correlate: {argument} must be 1-d, it has no dimensions")
    first, second = _sequences("correlate", a, v)
    second = conjugate(second) if second.dtype.kind == "c" else second
    if second.size <= first.size:
        return _sums(ascontiguousarray(first), second, mode)
    return ascontiguousarray(flip(_sums(ascontiguousarray(second), first, mode)))


# ---- phases


def unwrap(p: Any, discont: Any = None, axis: int = -1, *, period: Any = 2 * np.pi) -> CuArray:
    """Values that are known up to multiples of `period`, made to go on without jumps along an axis.

    Only differences of at least `discont` (and of half the period) are changed.

    >>> import cuarray as ca
    >>> ca.unwrap([0, 1, 2, -1, 0], period=4)
    array([0, 1, 2, 3, 4])
    """
    x = asarray(p)
    axis = normalize_axis(axis, x.ndim)
    later = (slice(None),) * axis + (slice(1, None),)
    steps = subtract(x[later], x[(slice(None),) * axis + (slice(None, -1),)])
    discont = period / 2 if discont is None else discont
    dtype = as_dtype(np.result_type(steps.dtype, period))
    if dtype.kind in "iu":
        high, rest = divmod(period, 2)
        ambiguous = rest == 0
    else:
        high, ambiguous = period / 2, True
    wrapped = remainder(steps + high, period) - high
    if ambiguous:  # half a period up is as near as half a period down: it keeps its sign
        copyto(wrapped, high, where=logical_and(wrapped == -high, greater(steps, 0)))
    correction = wrapped - steps
    copyto(correction, 0, where=less(absolute(steps), discont))
    result = array(x, dtype)
    result[later] = x[later] + namespace().cumsum(correction, axis)
    return result


# ---- bits


_MASKS = {"big": [128, 64, 32, 16, 8, 4, 2, 1], "little": [1, 2, 4, 8, 16, 32, 64, 128]}


def _masks(bitorder: Any, ndim: int, axis: int) -> CuArray:
    """The value of each of the 8 bits of a byte, along `axis`."""
    return reshape(array(_MASKS[bitorder], np.uint8), (8, *(1,) * (ndim - axis - 1)))


def _bit_axis(name: str, x: CuArray, kinds: str, axis: Any, bitorder: Any) -> tuple[CuArray, int]:
    """The array and the axis of its bits, or of its bytes."""
    if not isinstance(bitorder, str) or bitorder not in _MASKS:
        raise ValueError(f"{name}: bitorder must be 'big' or 'little', not {bitorder!r}")
    if x.dtype.char not in kinds:
        what = "uint8" if kinds == "B" else "integers or booleans"
        raise TypeError(f"{name}: a must be of {what}, not {x.dtype}")
    if axis is None or (not x.ndim and axis in (0, -1)):  # NumPy lets a 0-d array have one axis here
        return ravel(x), 0
    return x, normalize_axis(axis, x.ndim)


def packbits(a: Any, /, axis: int | None = None, bitorder: str = "big") -> CuArray:
    """Each 8 elements of an integer or boolean array as the bits of a byte, set where they are not 0.

    Along an axis, or of the elements in C order; zeros fill up the last byte. `bitorder`: "big" has the first element
    in the highest bit, "little" in the lowest.

    >>> import cuarray as ca
    >>> ca.packbits([1, 0, 0, 0, 0, 0, 1, 1])
    array([131], dtype=uint8)
    """
    x, axis = _bit_axis("packbits", asarray(a), "?bhilBHIL", axis, bitorder)
    masks = _masks(bitorder, x.ndim + 1, axis + 1)
    missing = -x.shape[axis] % 8
    if missing:
        x = pad(x, [(0, missing if own == axis else 0) for own in range(x.ndim)])
    bits = reshape(x, (*x.shape[:axis], x.shape[axis] // 8, 8, *x.shape[axis + 1 :]))
    return sum(where(bits, masks, np.uint8(0)), axis + 1, dtype=np.uint8)


def unpackbits(a: Any, /, axis: int | None = None, count: int | None = None, bitorder: str = "big") -> CuArray:
    """The bits of the bytes of a uint8 array, each as 0 or 1 of uint8; see `packbits`.

    `count`: how many bits there are along the axis; zeros are added, or, if it is negative, so many left out at the
    end.

    >>> import cuarray as ca
    >>> ca.unpackbits(ca.array([131], "uint8"))
    array([1, 0, 0, 0, 0, 0, 1, 1], dtype=uint8)
    """
    x, axis = _bit_axis("unpackbits", asarray(a), "B", axis, bitorder)
    masks = _masks(bitorder, x.ndim + 1, axis + 1)
    bits = not_equal(bitwise_and(expand_dims(x, axis + 1), masks), 0)
    result = reshape(bits, (*x.shape[:axis], 8 * x.shape[axis], *x.shape[axis + 1 :])).view(np.uint8)
    result._base = None
    if count is None:
        return result
    count = operator.index(count)
    have = result.shape[axis]
    if count < 0:
        if count < -have:
            raise ValueError(f"unpackbits: count={count} leaves out more than the {have} bits")
        count += have
    part = result[(slice(None),) * axis + (slice(0, min(count, have)),)]
    if count <= have:
        return copy(part, "C")
    shape = (*x.shape[:axis], count, *x.shape[axis + 1 :])
    longer = zeros(shape, np.uint8)
    longer[(slice(None),) * axis + (slice(0, have),)] = part
    return longer
