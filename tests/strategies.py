"""What hypothesis draws: dtypes, shapes, values, and arrays of every layout, as a NumPy array and a CuArray alike."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

import cuarray as ca
from cuarray._dtypes import BFLOAT16, DTYPES

BY_KIND = {kind: [dtype for dtype in DTYPES if dtype.kind == kind] for kind in "biufc"}


def dtypes(kinds: str = "biufc") -> st.SearchStrategy[np.dtype]:
    """A supported dtype of these kinds, bfloat16 excepted, which NumPy does not promote with others."""
    return st.sampled_from([dtype for kind in kinds for dtype in BY_KIND[kind]])


def shapes(max_dims: int = 3, max_side: int = 4, min_dims: int = 0, min_side: int = 0) -> st.SearchStrategy[tuple]:
    """A shape: 0-d, empty and extents of 1 included."""
    drawn = hnp.array_shapes(min_dims=min_dims, max_dims=max_dims, min_side=min_side, max_side=max_side)
    special = [
        shape
        for shape in ((), (0,), (1,), (2, 0), (1, 3))
        if min_dims <= len(shape) <= max_dims and min_side <= min(shape, default=min_side)
    ]
    return drawn | st.sampled_from(special) if special else drawn


def _real_values(dtype: np.dtype, limit: float | None, special: bool) -> st.SearchStrategy[Any]:
    info = np.finfo(dtype)
    if limit is not None:
        bound = float(np.dtype(dtype).type(min(limit, float(info.max))))
        return st.floats(-bound, bound, width=info.bits, allow_subnormal=False)
    numbers = st.floats(width=info.bits, allow_nan=special, allow_infinity=special)
    moderate = st.floats(-8, 8, width=info.bits)
    if not special:
        return numbers | moderate
    interesting = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, 1.5, 2.5, -2.5, 3.0, -7.0]
    interesting += [float(info.max), float(info.min), float(info.tiny), float(info.eps)]
    return st.sampled_from(interesting) | moderate | numbers


def values(dtype: np.dtype, *, limit: float | None = None, special: bool = True) -> st.SearchStrategy[Any]:
    """An element of `dtype`, of magnitude at most `limit`; `special`: NaN and infinities too."""
    dtype = np.dtype(dtype)
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        low, high = int(info.min), int(info.max)
        if limit is not None:
            low, high = max(low, -int(limit)), min(high, int(limit))
        near = st.integers(max(low, -8), min(high, 8))
        return near | st.sampled_from(sorted({low, low + 1, high - 1, high})) | st.integers(low, high)
    if dtype == BFLOAT16:
        return _real_values(np.dtype(np.float32), limit, special).map(lambda value: float(dtype.type(value)))
    if dtype.kind == "f":
        return _real_values(dtype, limit, special)
    part = _real_values(np.dtype(f"f{dtype.itemsize // 2}"), limit, special)
    return st.builds(complex, part, part)


def numpy_arrays(
    dtype: np.dtype, shape: st.SearchStrategy[tuple] | tuple, elements: st.SearchStrategy[Any] | None = None
) -> st.SearchStrategy[np.ndarray]:
    """A C-contiguous NumPy array."""
    # A fill value makes large arrays cheap to draw, but hides mistakes: elements are drawn one by one.
    chosen = values(dtype) if elements is None else elements
    if dtype == BFLOAT16:  # of which hypothesis knows nothing
        return hnp.arrays(np.float32, shape, elements=chosen, fill=st.nothing()).map(lambda x: x.astype(BFLOAT16))
    return hnp.arrays(dtype, shape, elements=chosen, fill=st.nothing())


class Pair(NamedTuple):
    """The same array twice."""

    numpy: np.ndarray
    cuarray: ca.CuArray

    def __repr__(self) -> str:
        flags = self.cuarray.flags
        return f"Pair({self.numpy!r}, strides={self.numpy.strides}, c_contiguous={flags.c_contiguous})"

    def view(self, operation: Callable[[Any], Any], equivalent: Callable[[Any], Any] | None = None) -> Pair:
        """Both, seen through the same view."""
        return Pair(operation(self.numpy), (equivalent or operation)(self.cuarray))


def pair(array: np.ndarray) -> Pair:
    """`array` and a CuArray with its values."""
    return Pair(array, ca.array(array))


def basic_slices(extent: int) -> st.SearchStrategy[slice]:
    """A slice of an axis, often with a step other than 1."""
    bound = st.none() | st.integers(-extent - 1, extent + 1)
    return st.builds(slice, bound, bound, st.sampled_from([None, 1, 2, 3, -1, -2]))


LAYOUTS = ("contiguous", "transposed", "sliced", "reversed", "broadcast", "field")


@st.composite
def pairs(
    draw: st.DrawFn,
    dtype: Any = None,
    shape: Any = None,
    elements: st.SearchStrategy[Any] | None = None,
    layouts: Sequence[str] = LAYOUTS,
) -> Pair:
    """An array in one of `layouts`, of shape `shape` (a tuple or a strategy) where that is given."""
    if dtype is None:
        dtype = dtypes()
    if isinstance(dtype, st.SearchStrategy):
        dtype = draw(dtype)
    wanted = draw(shapes() if shape is None else shape) if not isinstance(shape, tuple) else shape
    kind = draw(st.sampled_from([name for name in layouts if wanted or name in ("contiguous", "field")]))
    if kind == "contiguous":
        return pair(draw(numpy_arrays(dtype, wanted, elements)))
    if kind == "transposed":
        axes = draw(st.permutations(range(len(wanted))))
        base = [0] * len(wanted)
        for axis, extent in zip(axes, wanted):
            base[axis] = extent
        return pair(draw(numpy_arrays(dtype, tuple(base), elements))).view(lambda x: x.transpose(axes))
    if kind == "sliced":
        steps = draw(st.tuples(*(st.integers(1, 3) for _ in wanted)))
        starts = draw(st.tuples(*(st.integers(0, 1) for _ in wanted)))
        base = tuple(start + extent * step for extent, step, start in zip(wanted, steps, starts))
        key = tuple(slice(start, None, step) for start, step in zip(starts, steps))
        result = pair(draw(numpy_arrays(dtype, base, elements))).view(lambda x: x[key])
        return result
    if kind == "reversed":
        key = tuple(slice(None, None, draw(st.sampled_from([1, -1]))) for _ in wanted)
        return pair(draw(numpy_arrays(dtype, wanted, elements))).view(lambda x: x[key])
    if kind == "broadcast":
        base = tuple(draw(st.sampled_from([extent, 1])) if extent else 0 for extent in wanted)
        source = pair(draw(numpy_arrays(dtype, base, elements)))
        return source.view(lambda x: np.broadcast_to(x, wanted), lambda x: ca.broadcast_to(x, wanted))
    # "field": elements that do not follow each other even on the last axis, as a column of a table.
    source = pair(draw(numpy_arrays(dtype, (*wanted, 3), elements)))
    return source.view(lambda x: x[..., 1])


@st.composite
def broadcastable(draw: st.DrawFn, count: int, max_dims: int = 3, max_side: int = 4) -> tuple[tuple[int, ...], ...]:
    """Shapes that broadcast against each other."""
    drawn = draw(hnp.mutually_broadcastable_shapes(num_shapes=count, max_dims=max_dims, min_side=0, max_side=max_side))
    return drawn.input_shapes
