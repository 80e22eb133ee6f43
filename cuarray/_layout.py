"""Shape, strides and dtype of an array as one interned, immutable value.

Equal layouts are the same object, so a dictionary keyed by layouts looks up by identity: the hot path's only look-up.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np

from cuarray._dtypes import as_storage_dtype, struct_name


class Layout:
    """Where the elements of an array stand, relative to its first: made by `layout` only."""

    __slots__ = (
        "c_contiguous",
        "dtype",
        "f_contiguous",
        "ghost",
        "high",
        "low",
        "nbytes",
        "ndim",
        "shape",
        "size",
        "strides",
        "struct",
    )

    def __init__(self, dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...]) -> None:
        self.dtype = dtype
        self.shape = shape
        self.strides = strides
        self.struct = None if dtype.names is None else struct_name(dtype)  # the C++ class of the elements, or ""
        self.ndim = len(shape)
        self.size = math.prod(shape)
        self.nbytes = self.size * dtype.itemsize
        self.c_contiguous = is_contiguous(shape, strides, dtype.itemsize)
        self.f_contiguous = is_contiguous(shape[::-1], strides[::-1], dtype.itemsize)
        # The bytes that the elements cover, relative to the first one: [low, high).
        self.low = self.high = 0
        if self.size:
            spans = [(extent - 1) * stride for extent, stride in zip(shape, strides, strict=True)]
            self.low = sum(span for span in spans if span < 0)
            self.high = sum(span for span in spans if span > 0) + dtype.itemsize
        self.ghost: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Layout({self.dtype}, shape={self.shape}, strides={self.strides})"


# Where ghosts pretend to be. No memory is there, and none is touched.
_GHOST_ADDRESS = 1 << 44


class _Ghost:
    def __init__(self, source: Layout) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (_GHOST_ADDRESS, True),
            "typestr": typestr(source.dtype),
            "shape": source.shape,
            "strides": source.strides,
        }


def typestr(dtype: np.dtype) -> str:
    """How an array interface spells a dtype; as bytes without meaning where it has no spelling for it."""
    return f"|V{dtype.itemsize}" if dtype.kind == "V" else dtype.str


def view(source: Layout, operation: Callable[[np.ndarray], np.ndarray]) -> tuple[int, Layout]:
    """What `operation`, a NumPy function that returns a view, makes of an array: its offset in bytes and its layout.

    NumPy performs it on a ghost, an array of this layout that has no memory: views have NumPy's semantics, and bad
    arguments its exceptions. `operation` must not read elements.
    """
    if source.ghost is None:
        source.ghost = np.asarray(_Ghost(source)).view(source.dtype)
    result = operation(source.ghost)
    offset = _address(result) - _GHOST_ADDRESS if result.size else 0
    dtype = result.dtype
    if dtype.kind != "V" and dtype == source.dtype:
        dtype = source.dtype
    return offset, layout(dtype, result.shape, result.strides)


def _address(array: np.ndarray) -> int:
    # The interface is faster to ask for, but describes the fields of structs, which takes long and can fail.
    return array.ctypes.data if array.dtype.kind == "V" else array.__array_interface__["data"][0]


_interned: dict[tuple[np.dtype | int, tuple[int, ...], tuple[int, ...] | None], Layout] = {}
_INTERNED_LIMIT = 1 << 16  # programs that never repeat a shape must not grow without end


def layout(dtype: np.dtype, shape: tuple[int, ...], strides: tuple[int, ...] | None = None) -> Layout:
    """The layout of this dtype and shape; C-contiguous where no strides (in bytes) are given."""
    key: tuple[np.dtype | int, tuple[int, ...], tuple[int, ...] | None] = (dtype, shape, strides)
    if dtype.names is not None:
        # Structured dtypes of different C++ classes may be equal: they are told apart by identity.
        dtype = as_storage_dtype(dtype)
        key = (id(dtype), shape, strides)
    found = _interned.get(key)
    if found is None:
        if len(_interned) >= _INTERNED_LIMIT:
            _interned.clear()
        if strides is None:
            found = layout(dtype, shape, contiguous_strides(shape, dtype.itemsize))
        else:
            found = Layout(dtype, shape, strides)
        found = _interned.setdefault(key, found)
    return found


def contiguous_strides(shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """The strides in bytes of a C-contiguous array."""
    strides = []
    step = itemsize
    for extent in reversed(shape):
        strides.append(step)
        step *= max(extent, 1)
    return tuple(reversed(strides))


def is_contiguous(shape: tuple[int, ...], strides: tuple[int, ...], itemsize: int) -> bool:
    """True if the elements follow each other in C order; extents of 1 and empty arrays do not matter, as in NumPy."""
    if 0 in shape:
        return True
    expected = itemsize
    for extent, stride in zip(reversed(shape), reversed(strides), strict=True):
        if extent != 1:
            if stride != expected:
                return False
            expected *= extent
    return True


def broadcast_shapes(*shapes: tuple[int, ...]) -> tuple[int, ...]:
    """The shape that these broadcast to; ValueError, in NumPy's words, where they do not."""
    # numpy.broadcast_shapes stops at 32 dimensions; arrays have up to 64.
    ndim = max(map(len, shapes), default=0)
    result = [1] * ndim
    for shape in shapes:
        for axis, extent in enumerate(shape, ndim - len(shape)):
            if extent != 1 and result[axis] not in (1, extent):
                raise ValueError(f"operands could not be broadcast together with shapes {' '.join(map(str, shapes))}")
            if extent != 1:
                result[axis] = extent
    return tuple(result)


def broadcast_strides(source: Layout, shape: tuple[int, ...]) -> tuple[int, ...]:
    """The strides that let `source` be read at `shape`: 0 along what is broadcast."""
    missing = len(shape) - source.ndim
    own = (0 if extent == 1 else stride for extent, stride in zip(source.shape, source.strides, strict=True))
    return (0,) * missing + tuple(own)


def like_layout(dtype: np.dtype, shape: tuple[int, ...], sources: Sequence[Layout]) -> Layout:
    """The layout of a new array computed from `sources`: NumPy's order="K".

    Axes are ordered as in the sources that have the whole shape, if these agree; C-contiguous otherwise.
    """
    whole = [source for source in sources if source.shape == shape and source.ndim > 1]
    if not whole or all(source.c_contiguous for source in whole):
        return layout(dtype, shape)
    orders = {tuple(sorted(range(len(shape)), key=lambda d: (-abs(s.strides[d]), d))) for s in whole}
    if len(orders) > 1:
        return layout(dtype, shape)
    (order,) = orders
    packed = contiguous_strides(tuple(shape[d] for d in order), dtype.itemsize)
    strides = [0] * len(shape)
    for position, axis in enumerate(order):
        strides[axis] = packed[position]
    return layout(dtype, shape, tuple(strides))


def ordered_layout(dtype: np.dtype, shape: tuple[int, ...], order: str, sources: Sequence[Layout]) -> Layout:
    """The layout of a new array whose axes are in order "C", "F", "A" or "K", the last two as `sources` have them."""
    if order == "K":
        return like_layout(dtype, shape, sources)
    if order == "A" and sources and all(source.f_contiguous for source in sources):
        order = "C" if all(source.c_contiguous for source in sources) else "F"
    if order == "F":
        return layout(dtype, shape, contiguous_strides(shape[::-1], dtype.itemsize)[::-1])
    return layout(dtype, shape)
