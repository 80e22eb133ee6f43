"""Differences along an axis, and what is made of them: gradients and integrals by the trapezoidal rule."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray, allocate
from cuarray._functions._operation import copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, astype
from cuarray._functions.elementwise import add, divide, multiply, not_equal, subtract
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import broadcast_to, ravel
from cuarray._functions.reductions import sum
from cuarray._layout import layout


def _along(axis: int, part: Any) -> tuple[Any, ...]:
    """The key that selects `part` of `axis`, and all of those before and after it."""
    return (slice(None),) * axis + (part,)


def diff(a: Any, n: int = 1, axis: int = -1, prepend: Any = None, append: Any = None) -> CuArray:
    """Differences `a[i + 1] - a[i]` along `axis`, taken `n` times: each time there is one element fewer.

    `prepend` and `append` are put before and after `a` first: scalars, or arrays of its shape but for `axis`. Of bool
    it is whether neighbours differ. ValueError for a negative n and for a 0-d array.

    >>> import cuarray as ca
    >>> ca.diff(ca.array([1, 2, 4, 7]), prepend=0)
    array([1, 1, 2, 3])
    """
    n = operator.index(n)
    if n == 0:
        return asarray(a)
    if n < 0:
        raise ValueError(f"diff: n must not be negative; it is {n}")
    x = asarray(a)
    if x.ndim == 0:
        raise ValueError("diff: the array must have at least one axis")
    number = normalize_axis(axis, x.ndim)
    one = tuple(1 if d == number else extent for d, extent in enumerate(x.shape))
    parts = [None if part is None else asarray(part) for part in (prepend, append)]
    before, after = (broadcast_to(part, one) if part is not None and part.ndim == 0 else part for part in parts)
    if before is not None or after is not None:
        x = concatenate([part for part in (before, x, after) if part is not None], number)
    for _ in range(n):
        later, earlier = x[_along(number, slice(1, None))], x[_along(number, slice(None, -1))]
        x = not_equal(later, earlier) if x.dtype == bool else subtract(later, earlier)
    return x


def ediff1d(ary: Any, to_end: Any = None, to_begin: Any = None) -> CuArray:
    """Differences between successive elements in C order, after those of `to_begin` and before those of `to_end`.

    TypeError if these cannot be cast to the array's dtype.

    >>> import cuarray as ca
    >>> ca.ediff1d(ca.array([1, 2, 4]), to_begin=-1)
    array([-1,  1,  2])
    """
    x = ravel(ary)
    parts = [subtract(x[1:], x[:-1])]
    for what, end in (("to_begin", to_begin), ("to_end", to_end)):
        if end is not None:
            own = ravel(end)
            if not np.can_cast(own.dtype, x.dtype, "same_kind"):
                raise TypeError(f"ediff1d: dtype of {what} must be compatible with the array's dtype {x.dtype}")
            parts.insert(0 if what == "to_begin" else len(parts), astype(own, x.dtype, copy=False))
    return parts[0] if len(parts) == 1 else concatenate(parts)


def trapezoid(y: Any, x: Any = None, dx: Any = 1.0, axis: int = -1) -> CuArray:
    """The integral of `y` along `axis` by the trapezoidal rule, at points `x` or at distances `dx`.

    `x` is 1-d with an element for each of `y` along the axis, or broadcasts to `y`.

    >>> import cuarray as ca
    >>> ca.trapezoid(ca.array([1.0, 2.0, 3.0]), dx=2)
    array(8.)
    """
    y = asarray(y)
    number = normalize_axis(axis, y.ndim)
    step = dx
    if x is not None:
        x = asarray(x)
        if x.ndim == 1:
            step = diff(x)
            step = step.reshape(tuple(step.size if d == number else 1 for d in range(y.ndim)))
        else:
            step = diff(x, axis=axis)
    pairs = add(y[_along(number, slice(1, None))], y[_along(number, slice(None, -1))])
    return sum(divide(multiply(step, pairs), 2.0), number)


def gradient(f: Any, *varargs: Any, axis: Any = None, edge_order: int = 1) -> Any:
    """Derivatives along axes by second-order central differences, one-sided of order `edge_order` (1 or 2) at the ends.

    `varargs`: nothing for a spacing of 1; one scalar for all axes; or for each axis a scalar or the 1-d coordinates of
    its elements. An array for one axis, a tuple of arrays for several (`axis` None: all). ValueError for an axis
    shorter than edge_order + 1, TypeError for a wrong number of spacings.

    >>> import cuarray as ca
    >>> ca.gradient(ca.array([1.0, 2.0, 4.0, 7.0]))
    array([1. , 1.5, 2.5, 3. ])
    """
    f = asarray(f)
    axes = tuple(range(f.ndim)) if axis is None else np.lib.array_utils.normalize_axis_tuple(axis, f.ndim)
    spacings = _spacings(varargs, f, axes)
    if edge_order not in (1, 2):
        raise ValueError("gradient: 'edge_order' greater than 2 not supported")
    if f.dtype.kind not in "fcV":
        f = astype(f, np.float64)
    results = []
    for number, spacing in zip(axes, spacings, strict=True):
        if f.shape[number] < edge_order + 1:
            raise ValueError(
                "gradient: the shape of the array is too small: an axis needs at least edge_order + 1 elements"
            )
        results.append(_gradient(f, number, spacing, edge_order))
    return results[0] if len(axes) == 1 else tuple(results)


def _spacings(given: tuple[Any, ...], f: CuArray, axes: tuple[int, ...]) -> list[Any]:
    """For each axis a scalar, or the distances between its elements as an array."""
    if not given:
        return [1.0] * len(axes)
    if len(given) == 1 and np.ndim(given[0]) == 0:
        return [given[0]] * len(axes)
    if len(given) != len(axes):
        raise TypeError(f"gradient: {len(given)} spacings were given for {len(axes)} axes")
    spacings: list[Any] = []
    for own, number in zip(given, axes, strict=True):
        if np.ndim(own) == 0:
            spacings.append(own)
            continue
        points = asarray(own)
        if points.ndim != 1:
            raise ValueError("gradient: distances must be either scalars or 1d")
        if points.size != f.shape[number]:
            raise ValueError(
                "gradient: when 1d, distances must match the length of the corresponding dimension: "
                f"{points.size} != {f.shape[number]}"
            )
        if points.dtype.kind in "biu":
            points = astype(points, np.float64)
        spacings.append(diff(points))
    return spacings


def _gradient(f: CuArray, axis: int, spacing: Any, edge_order: int) -> CuArray:
    def at(part: Any) -> CuArray:
        return f[_along(axis, part)]

    even = not isinstance(spacing, CuArray) or spacing.ndim == 0
    if even:
        middle = (at(slice(2, None)) - at(slice(None, -2))) / (2.0 * spacing)
    else:
        across = [1] * f.ndim
        across[axis] = -1
        before, after = spacing[:-1], spacing[1:]
        weights = (
            -after / (before * (before + after)),
            (after - before) / (before * after),
            before / (after * (before + after)),
        )
        left, centre, right = (weight.reshape(across) for weight in weights)
        middle = left * at(slice(None, -2)) + centre * at(slice(1, -1)) + right * at(slice(2, None))
    result = allocate(layout(f.dtype, f.shape))
    copy_into(result[_along(axis, slice(1, -1))], middle)
    for end in (0, -1):
        # The distances from the end inwards; at the far end they count backwards.
        sign = 1 if end == 0 else -1
        first = spacing if even else spacing[end]
        near, next_ = at(end), at(end + sign)
        if edge_order == 1:
            value = (next_ - near) * sign / first
        else:
            second = spacing if even else spacing[end + sign]
            a = -(2.0 * first + second) / (first * (first + second))
            b = (first + second) / (first * second)
            c = -first / (second * (first + second))
            value = (a * near + b * next_ + c * at(end + 2 * sign)) * sign
        copy_into(result[_along(axis, end)], value)
    return result
