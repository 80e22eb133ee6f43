"""Rows of an array chosen by a list of numbers that the CPU has: what counts and lists of indices come to."""

from __future__ import annotations

import functools

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._functions.creation import array, ascontiguousarray
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout


@functools.lru_cache(maxsize=1024)
def _prepare(source: Layout, axis: int, chosen: int) -> tuple[Layout, Prepared | None]:
    out = layout(source.dtype, (*source.shape[:axis], chosen, *source.shape[axis + 1 :]))
    return out, Prepared(_plan.rows(_runtime.get().target, source, axis, chosen)) if out.size else None


def take_rows(x: CuArray, numbers: np.ndarray, axis: int) -> CuArray:
    """``x[..., numbers, ...]`` along `axis`, C-contiguous; the numbers must be within bounds and not negative."""
    source = ascontiguousarray(x)
    out, prepared = _prepare(source._layout, axis, numbers.size)
    result = allocate(out)
    if prepared is not None:
        index = array(np.ascontiguousarray(numbers, np.int64))
        prepared.launch(result._pointer, source._pointer, index._pointer)
    return result
