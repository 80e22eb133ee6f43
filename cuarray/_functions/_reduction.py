"""How every reduction is called: what is particular to each stands in its row of the table."""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import as_dtype, check_castable
from cuarray._functions._operation import check_out, copy_into
from cuarray._functions.creation import asarray
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout
from cuarray._table import REDUCTIONS


class _Call:
    """A reduction made ready for one layout and set of axes."""

    __slots__ = ("keep_layout", "out_layout", "prepared", "scratch_bytes")

    def __init__(
        self, out_layout: Layout, keep_layout: Layout, prepared: tuple[Prepared, ...], scratch_bytes: int
    ) -> None:
        self.out_layout = out_layout
        self.keep_layout = keep_layout  # with extents of 1 where axes were reduced
        self.prepared = prepared
        self.scratch_bytes = scratch_bytes

    def run(self, source: CuArray, out: CuArray) -> None:
        """Launch, writing into the C-contiguous `out`."""
        runtime = _runtime.get()
        scratch = runtime.allocate(self.scratch_bytes)
        for prepared in self.prepared:
            prepared.launch(out._pointer, source._pointer, scratch.pointer)


def _loop_dtypes(name: str, source: np.dtype, dtype: np.dtype | None) -> tuple[np.dtype, np.dtype]:
    """The dtype a reduction computes in, and that of its result."""
    row = REDUCTIONS[name]
    if row.result == "bool":
        return source, np.dtype(bool)
    if row.result == "index":
        return source, np.dtype(np.int64)
    if dtype is not None:
        return dtype, dtype
    if row.loop == "sum" and source.kind in "biu" and source.itemsize < 8:
        wide = np.dtype(np.uint64 if source.kind == "u" else np.int64)
        return wide, wide
    if row.loop == "float" and source.kind in "biu":
        return np.dtype(np.float64), np.dtype(np.float64)
    return source, source


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` (None for all) as a sorted tuple of distinct axes; AxisError or ValueError where it is none."""
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0 and not isinstance(axis, tuple | list) and operator.index(axis) in (0, -1):
        return ()  # NumPy lets a 0-d array have one axis here
    axes = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    normal = []
    for one in axes:
        number = operator.index(one)
        if not -ndim <= number < ndim:
            raise np.exceptions.AxisError(number, ndim)
        normal.append(number % ndim)
    if len(set(normal)) < len(normal):
        raise ValueError("duplicate value in 'axis'")
    return tuple(sorted(normal))


@functools.lru_cache(maxsize=4096)
def _prepare(name: str, source: Layout, axes: tuple[int, ...], dtype: np.dtype | None) -> _Call:
    row = REDUCTIONS[name]
    loop, result = _loop_dtypes(name, as_dtype(source.dtype, name), dtype)
    shape = tuple(extent for axis, extent in enumerate(source.shape) if axis not in axes)
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(source.shape))
    out = layout(result, shape)
    prepared: tuple[Prepared, ...] = ()
    scratch = 0
    if out.size:
        target = _runtime.get().target
        plan = _plan.reduction(target, row.functor, row.accumulator_bytes, source, axes, loop, result)
        prepared = (Prepared(plan.first),) + ((Prepared(plan.second),) if plan.second else ())
        scratch = plan.scratch_bytes
    return _Call(out, layout(result, kept), prepared, scratch)


def reduce(
    name: str, x: Any, axis: Any, dtype: Any = None, out: CuArray | None = None, keepdims: bool = False
) -> CuArray:
    source = asarray(x)
    row = REDUCTIONS[name]
    if row.one_axis and axis is not None:
        axis = operator.index(axis)
    axes = normalize_axes(axis, source.ndim)
    if not row.empty and any(source.shape[a] == 0 for a in axes):
        raise ValueError(f"{name}: zero-size array to reduction operation {name} which has no identity")
    call = _prepare(name, source._layout, axes, None if dtype is None else as_dtype(dtype))
    result = allocate(call.out_layout)
    call.run(source, result)
    if keepdims:
        result = view_of(result, lambda ghost: ghost.reshape(call.keep_layout.shape))
        result._base = None
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    check_castable(result.dtype, out.dtype, "same_kind", f"{name}: out")
    copy_into(out, result)
    return out
