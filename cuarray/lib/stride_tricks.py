"""Views made of shapes and strides."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray, new
from cuarray._dtypes import alignment
from cuarray._functions.creation import as_shape, asarray
from cuarray._functions.manipulation import broadcast_arrays, broadcast_shapes, broadcast_to
from cuarray._layout import Layout, layout

__all__ = ["as_strided", "broadcast_arrays", "broadcast_shapes", "broadcast_to", "sliding_window_view"]


def as_strided(x: Any, shape: Any = None, strides: Any = None, subok: bool = False, writeable: bool = True) -> CuArray:
    """A view of an array's memory with this shape and these strides in bytes; by default the array's own.

    ValueError if elements would lie outside of the memory that the array covers, which NumPy does not check, or if
    they would not be aligned. Where elements share memory, what a write to them leaves is undefined.

    >>> import cuarray as ca
    >>> ca.lib.stride_tricks.as_strided(ca.arange(4), (3, 2), (8, 8))
    array([[0, 1],
           [1, 2],
           [2, 3]])
    """
    source = asarray(x)
    own = source._layout
    extents = own.shape if shape is None else as_shape(shape)
    steps = own.strides if strides is None else tuple(operator.index(step) for step in strides)
    if len(extents) != len(steps):
        raise ValueError(f"as_strided: shape {extents} and strides {steps} differ in length")
    result = layout(own.dtype, extents, steps)
    if result.size:
        low, high = _bounds(source)
        if source._pointer + result.low < low or source._pointer + result.high > high:
            raise ValueError(
                f"as_strided: shape {extents} with strides {steps} reaches over bytes {result.low} to {result.high} "
                f"from the first element; the memory is that from {low - source._pointer} to {high - source._pointer}"
            )
        unit = alignment(own.dtype)
        if any(step % unit for step in steps):
            raise ValueError(f"as_strided: strides {steps} must be multiples of {unit} bytes for {own.dtype}")
    base = source if source._base is None else source._base
    return new(source._memory, source._pointer, result, base, source._writeable and bool(writeable))


def _bounds(x: CuArray) -> tuple[int, int]:
    """The addresses of the memory that an array, or the array that it is a view of, covers."""
    whole: CuArray = x if x._base is None else x._base
    covered: Layout = whole._layout
    return whole._pointer + covered.low, whole._pointer + covered.high


def sliding_window_view(
    x: Any, window_shape: Any, axis: Any = None, *, subok: bool = False, writeable: bool = False
) -> CuArray:
    """All windows of a shape into an array, along new last axes, as a view.

    `axis`: the axes that the window moves along, one for each of its extents; by default all of the array's.

    >>> import cuarray as ca
    >>> ca.lib.stride_tricks.sliding_window_view(ca.arange(4), 3)
    array([[0, 1, 2],
           [1, 2, 3]])
    """
    source = asarray(x)
    window = tuple(window_shape) if np.iterable(window_shape) else (window_shape,)
    window = tuple(operator.index(extent) for extent in window)
    if any(extent < 0 for extent in window):
        raise ValueError(f"sliding_window_view: window_shape {window} has a negative extent")
    if axis is None:
        axes = tuple(range(source.ndim))
    else:
        axes = np.lib.array_utils.normalize_axis_tuple(axis, source.ndim, allow_duplicate=True)
    if len(window) != len(axes):
        raise ValueError(f"sliding_window_view: {len(window)} extents of window_shape for {len(axes)} axes")
    extents = list(source.shape)
    for own, extent in zip(axes, window):
        if extent > extents[own]:
            raise ValueError(f"sliding_window_view: a window of {window} does not fit into shape {source.shape}")
        extents[own] -= extent - 1
    strides = source.strides + tuple(source.strides[own] for own in axes)
    result = layout(source.dtype, (*extents, *window), strides)
    base = source if source._base is None else source._base
    return new(source._memory, source._pointer, result, base, source._writeable and bool(writeable))
