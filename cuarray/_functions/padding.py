"""Arrays with more elements around them: the middle is copied, then the borders, axis after axis."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import as_dtype
from cuarray._functions._namespace import namespace
from cuarray._functions._operation import copy_into
from cuarray._functions.creation import asarray, empty
from cuarray._functions.elementwise import rint
from cuarray._functions.manipulation import moveaxis, squeeze
from cuarray._functions.ranges import linspace
from cuarray._functions.reductions import max, mean, min

_STATISTICS: dict[str, Callable[..., CuArray]] = {
    "maximum": max,
    "mean": mean,
    "median": lambda *args, **kwargs: namespace().median(*args, **kwargs),
    "minimum": min,
}
# What each mode takes besides.
_OPTIONS = {
    "constant": {"constant_values"},
    "edge": set(),
    "empty": set(),
    "linear_ramp": {"end_values"},
    "reflect": {"reflect_type"},
    "symmetric": {"reflect_type"},
    "wrap": set(),
    **{name: {"stat_length"} for name in _STATISTICS},
}


def _pairs(name: str, value: Any, ndim: int, widths: bool) -> list[list[Any]]:
    """`value` as a pair for each axis: a number for all, a pair for all axes, or one each."""
    if value is None:
        return [[None, None]] * ndim
    given = np.asarray(value)
    if widths and given.size and given.min() < 0:
        raise ValueError(f"pad: {name} cannot be negative")
    try:
        return np.broadcast_to(given, (ndim, 2)).tolist()
    except ValueError:
        raise ValueError(f"pad: {name} of shape {given.shape} gives no pair for each of {ndim} axes") from None


class _Border:
    """The part of a padded array that is known: all of the axes that are done, the middle of those to come."""

    def __init__(self, padded: CuArray, axis: int, key: tuple[slice, ...], left: int, right: int) -> None:
        self.array = padded[(slice(None),) * axis + (slice(None),) + key[axis + 1 :]]
        self.axis = axis
        self.first, self.last = left, self.array.shape[axis] - right  # the known part along the axis
        self.extent = self.last - self.first

    def part(self, first: int, last: int) -> CuArray:
        return self.array[(slice(None),) * self.axis + (slice(first, last),)]

    def backwards(self, first: int, last: int) -> CuArray:
        return self.part(first, last)[(slice(None),) * self.axis + (slice(None, None, -1),)]

    @property
    def left(self) -> CuArray:
        return self.part(0, self.first)

    @property
    def right(self) -> CuArray:
        return self.part(self.last, self.array.shape[self.axis])

    def fill(self, left: Any, right: Any) -> None:
        self.left[...] = left
        self.right[...] = right


def pad(array: Any, pad_width: Any, mode: Any = "constant", **kwargs: Any) -> CuArray:
    """The array with elements put around it; `pad_width`: how many, before and after, along each axis.

    One pair, or one number, holds for all axes; a dictionary from axes to pairs or numbers leaves the others alone.
    Modes: "constant" (with `constant_values`), "edge", "linear_ramp" (`end_values`), "maximum", "mean", "median" and
    "minimum" (`stat_length`), "reflect", "symmetric" (`reflect_type`: "even" or "odd"), "wrap", "empty", which
    sets nothing; or a function that is called with each vector along each axis as a view, the pair, the axis and
    `kwargs`, and changes the vector. ValueError for other modes or keywords.

    >>> import cuarray as ca
    >>> ca.pad([1, 2, 3], (1, 2), mode="reflect")
    array([2, 1, 2, 3, 2, 1])
    >>> ca.pad([[1]], 1)
    array([[0, 0, 0],
           [0, 1, 0],
           [0, 0, 0]])
    """
    x = asarray(array)
    if isinstance(pad_width, dict):
        chosen: list[Any] = [(0, 0)] * x.ndim
        for axis, width in pad_width.items():
            chosen[axis] = tuple(width) if isinstance(width, tuple | list) else (width, width)
        pad_width = chosen
    if np.asarray(pad_width).dtype.kind != "i":
        raise TypeError("pad: pad_width must be integers")
    widths = _pairs("pad_width", pad_width, x.ndim, True)
    if not callable(mode):
        if not isinstance(mode, str) or mode not in _OPTIONS:
            raise ValueError(f"pad: mode {mode!r} is not supported; there are {', '.join(_OPTIONS)}")
        unknown = set(kwargs) - _OPTIONS[mode]
        if unknown:
            raise ValueError(f"pad: mode {mode!r} takes no {', '.join(sorted(unknown))}")
    shape = tuple(before + extent + after for extent, (before, after) in zip(x.shape, widths))
    result = empty(shape, x.dtype, "F" if x._layout.f_contiguous and not x._layout.c_contiguous else "C")
    middle = tuple(slice(before, before + extent) for extent, (before, _) in zip(x.shape, widths))
    if callable(mode):
        result[...] = 0
        copy_into(result[middle], x)
        for axis, pair in enumerate(widths):
            vectors = moveaxis(result, axis, -1)
            for index in np.ndindex(vectors.shape[:-1]):
                mode(vectors[index], tuple(pair), axis, kwargs)
        return result
    copy_into(result[middle], x)
    if mode == "empty":
        return result
    if not x.size and mode != "constant":
        for axis, (extent, pair) in enumerate(zip(x.shape, widths)):
            if not extent and (pair[0] or pair[1]):
                raise ValueError(f"pad: mode {mode!r} cannot extend the empty axis {axis}")
        return result
    borders = (_Border(result, axis, middle, *pair) for axis, pair in enumerate(widths))
    _FILLERS.get(mode, _fill_statistic)(mode, borders, x, kwargs)
    return result


Borders = Iterator[_Border]


def _fill_constant(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    values = _pairs("constant_values", options.get("constant_values", 0), x.ndim, False)
    for border, pair in zip(borders, values):
        border.fill(*pair)


def _fill_edge(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    for border in borders:
        border.fill(border.part(border.first, border.first + 1), border.part(border.last - 1, border.last))


def _fill_ramp(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    ends = _pairs("end_values", options.get("end_values", 0), x.ndim, False)
    for border, (left_end, right_end) in zip(borders, ends):
        axis = border.axis

        def ramp(end: Any, first: int, count: int, border: _Border = border, axis: int = axis) -> CuArray:
            edge = squeeze(border.part(first, first + 1), axis)
            return linspace(end, edge, count, endpoint=False, dtype=border.array.dtype, axis=axis)

        left = ramp(left_end, border.first, border.first)
        right = ramp(right_end, border.last - 1, border.array.shape[axis] - border.last)
        border.fill(left, right[(slice(None),) * axis + (slice(None, None, -1),)])


def _fill_statistic(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    statistic = _STATISTICS[mode]
    as_dtype(x.dtype, "pad")
    lengths = _pairs("stat_length", options.get("stat_length"), x.ndim, True)
    for border, pair in zip(borders, lengths):
        left, right = (border.extent if own is None or own > border.extent else int(own) for own in pair)
        if mode in ("maximum", "minimum") and not (left and right):
            raise ValueError("pad: stat_length of 0 has no value to pad with")

        def value(first: int, last: int, border: _Border = border) -> CuArray:
            found = statistic(border.part(first, last), axis=border.axis, keepdims=True)
            whole = border.array.dtype.kind in "iu" and found.dtype.kind not in "iu"
            return rint(found) if whole else found

        before = value(border.first, border.first + left)
        same = left == right == border.extent
        border.fill(before, before if same else value(border.last - right, border.last))


def _fill_reflected(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    kind = options.get("reflect_type", "even")
    edge = mode == "symmetric"  # whether the edge itself is repeated

    for border in borders:
        axis, period = border.axis, x.shape[border.axis]
        if period == 1:
            border.fill(border.part(border.first, border.first + 1), border.part(border.last - 1, border.last))
            continue
        end = border.array.shape[axis]
        skip = 0 if edge else 1
        while border.first > 0 or border.last < end:
            # What is known can be mirrored only whole periods at a time, but for the last piece.
            length = (border.last - border.first - skip) // (period - skip) * (period - skip)
            first, last = border.first, border.last
            if first > 0:
                count = builtins.min(length, first)
                piece: Any = border.backwards(first + skip, first + skip + count)
                if kind == "odd":
                    piece = 2 * border.part(first, first + 1) - piece
                border.part(first - count, first)[...] = piece
                border.first -= count
            if last < end:
                count = builtins.min(length, end - last)
                piece = border.backwards(last - skip - count, last - skip)
                if kind == "odd":
                    piece = 2 * border.part(last - 1, last) - piece
                border.part(last, last + count)[...] = piece
                border.last += count


def _fill_wrapped(mode: str, borders: Borders, x: CuArray, options: dict[str, Any]) -> None:
    for border in borders:
        period, end = x.shape[border.axis], border.array.shape[border.axis]
        while border.first > 0 or border.last < end:
            length = (border.last - border.first) // period * period
            first, last = border.first, border.last
            if first > 0:
                count = builtins.min(length, first)
                border.part(first - count, first)[...] = border.part(first + length - count, first + length)
                border.first -= count
            if last < end:
                count = builtins.min(length, end - last)
                border.part(last, last + count)[...] = border.part(last - length, last - length + count)
                border.last += count


_FILLERS: dict[str, Callable[[str, Borders, CuArray, dict[str, Any]], None]] = {
    "constant": _fill_constant,
    "edge": _fill_edge,
    "linear_ramp": _fill_ramp,
    "reflect": _fill_reflected,
    "symmetric": _fill_reflected,
    "wrap": _fill_wrapped,
}
