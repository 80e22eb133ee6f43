"""Stream compaction: what stands where a mask is true, in order."""

from __future__ import annotations

import functools

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import is_struct
from cuarray._functions.creation import ascontiguousarray
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray._tuning import Target

_INT64 = np.dtype(np.int64)


def target() -> Target:
    """The machine that plans are made for."""
    return _runtime.get().target


@functools.lru_cache(maxsize=1024)
def _prepare(
    machine: Target, mask: np.dtype, size: int, item: np.dtype | None, one_nan: bool | None
) -> tuple[int, tuple[Prepared, Prepared, Prepared]]:
    plan = _plan.compact(machine, mask, size, item, one_nan)
    return plan.counts, (Prepared(plan.tally), Prepared(plan.scan), Prepared(plan.write))


def _compact(mask: CuArray, source: CuArray | None, one_nan: bool | None = None) -> CuArray:
    if is_struct(mask.dtype):
        raise TypeError(f"elements of {mask.dtype} are neither true nor false")
    if not mask._layout.c_contiguous:
        mask = ascontiguousarray(mask)
    dtype = _INT64 if source is None else source.dtype
    if not mask.size:
        return allocate(layout(dtype, (0,)))
    runtime = _runtime.get()
    runtime.check_may_wait(runtime.stream)
    blocks, (count, scan, write) = _prepare(target(), mask.dtype, mask.size, None if source is None else dtype, one_nan)
    counts = runtime.allocate(8 * (blocks + 1))
    count.launch(0, mask._pointer, counts.pointer)
    scan.launch(counts.pointer)
    total = int.from_bytes(runtime.read(counts.pointer + 8 * blocks, 8), "little")
    out = allocate(layout(dtype, (total,)))
    if total:
        write.launch(out._pointer, mask._pointer, counts.pointer, 0 if source is None else source._pointer)
    return out


def true_positions(mask: CuArray) -> CuArray:
    """The positions, in C order, of the elements of `mask` (of any dtype) that are not zero, as int64.

    Waits for the device: their number must be known.
    """
    return _compact(mask, None)


def compress_flat(x: CuArray, mask: CuArray) -> CuArray:
    """The elements of `x`, in C order, where `mask`, of the same shape, is not zero: a 1-d array.

    Waits for the device: their number must be known.
    """
    assert x.shape == mask.shape
    return _compact(mask, x if x._layout.c_contiguous or not x.ndim else ascontiguousarray(x))


def first_positions(ordered: CuArray, equal_nan: bool) -> CuArray:
    """The position of the first of equal elements in a sorted array of one dimension, as int64. Waits for the device.

    equal_nan: all NaNs are equal, instead of none to any other.
    """
    return _compact(ordered, None, equal_nan)


def distinct(ordered: CuArray, equal_nan: bool) -> CuArray:
    """The elements that `first_positions` finds."""
    return _compact(ordered, ordered, equal_nan)
