"""Permutations and choices: random indices, and arrays in their order."""

from __future__ import annotations

import functools

import numpy as np

from cuarray import _plan, _runtime, _tuning
from cuarray._array import CuArray, allocate, view_of
from cuarray._functions._known import take_along_known
from cuarray._functions._sorted import argsort_rows
from cuarray._functions.creation import ascontiguousarray
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray.random._draw import INT64
from cuarray.random._philox import Philox4x32

_keys = functools.lru_cache(maxsize=256)(lambda *sizes: Prepared(_plan.shuffle_keys(_runtime.get().target, *sizes)))
_feistel = functools.lru_cache(maxsize=256)(lambda *sizes: Prepared(_plan.feistel(_runtime.get().target, *sizes)))


@functools.lru_cache(maxsize=256)
def _cumulation(size: int) -> tuple[list[Prepared], int]:
    plans, runs = _plan.cumulation(_runtime.get().target, size)
    return [Prepared(plan) for plan in plans], runs


def permutations(
    bits: Philox4x32, rows: int, length: int, wanted: int | None = None, weights: CuArray | None = None
) -> CuArray:
    """The first `wanted` numbers of `rows` permutations of 0 .. length - 1, as an int64 array (rows, wanted).

    With weights (contiguous float64) numbers are drawn in turn, each with a chance in proportion to its weight among
    those that are left.
    """
    wanted = length if wanted is None else wanted
    if not rows * wanted:
        return allocate(layout(INT64, (rows, wanted)))
    if weights is None and length > _tuning.SHUFFLE_SORTED:
        result = allocate(layout(INT64, (rows, wanted)))
        _feistel(rows, length, wanted).launch(result._pointer, 0, 0, 0, *bits.take(rows))
        return result
    keys = allocate(layout(np.dtype(np.uint64), (rows, length)))
    place = bits.take(-(-rows * length // 2))
    _keys(rows, length).launch(keys._pointer, 0, 0, 0 if weights is None else weights._pointer, *place)
    numbers = argsort_rows(keys)
    return numbers if wanted == length else ascontiguousarray(numbers[:, :wanted])


def cumulated(weights: CuArray) -> CuArray:
    """The cumulated sums of contiguous float64 weights."""
    launches, runs = _cumulation(weights.size)
    result = allocate(weights._layout)
    sums = allocate(layout(weights.dtype, (runs,)))
    for launch in launches:
        launch.launch(result._pointer, weights._pointer, sums._pointer)
    return result


def picked_each(x: CuArray, index: CuArray, axis: int) -> CuArray:
    """The items of `x` in an order of its own for every line along `axis`: `index` is (lines, extent)."""
    lines = view_of(x, lambda ghost: np.moveaxis(ghost, axis, -1))
    own = index.reshape(lines.shape)
    return take_along_known(x, view_of(own, lambda ghost: np.moveaxis(ghost, -1, axis)), axis)
