"""Permutations and choices: random indices, and arrays in their order."""

from __future__ import annotations

import functools
import math
import operator

import numpy as np

from cuarray import _plan, _runtime, _tuning
from cuarray._array import CuArray, allocate
from cuarray._functions.creation import ascontiguousarray
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray.random._draw import INT64
from cuarray.random._philox import Philox4x32

_sort_runs = functools.lru_cache(maxsize=256)(lambda *sizes: Prepared(_plan.sort_runs(_runtime.get().target, *sizes)))
_merge_runs = functools.lru_cache(maxsize=256)(lambda *sizes: Prepared(_plan.merge_runs(_runtime.get().target, *sizes)))
_feistel = functools.lru_cache(maxsize=256)(lambda *sizes: Prepared(_plan.feistel(_runtime.get().target, *sizes)))
_pick = functools.lru_cache(maxsize=256)(lambda *what: Prepared(_plan.pick(_runtime.get().target, *what)))


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
    whole = layout(INT64, (rows, length))
    numbers, keys = allocate(whole), allocate(whole)
    place = bits.take(-(-rows * length // 2))
    weight_pointer = 0 if weights is None else weights._pointer
    _sort_runs(rows, length).launch(numbers._pointer, keys._pointer, 0, weight_pointer, *place)
    width = _tuning.SHUFFLE_RUN
    if width < length:
        other_numbers, other_keys = allocate(whole), allocate(whole)
    while width < length:
        merge = _merge_runs(rows, length, width)
        merge.launch(other_numbers._pointer, numbers._pointer, keys._pointer, other_keys._pointer)
        numbers, other_numbers, keys, other_keys = other_numbers, numbers, other_keys, keys
        width *= 2
    return numbers if wanted == length else ascontiguousarray(numbers[:, :wanted])


def cumulated(weights: CuArray) -> CuArray:
    """The cumulated sums of contiguous float64 weights."""
    launches, runs = _cumulation(weights.size)
    result = allocate(weights._layout)
    sums = allocate(layout(weights.dtype, (runs,)))
    for launch in launches:
        launch.launch(result._pointer, weights._pointer, sums._pointer)
    return result


def picked(x: CuArray, index: CuArray, axis: int) -> CuArray:
    """The items of `x` along `axis` that the 1-d int64 `index` names, as a new array."""
    return _pick_along(x, index, axis, index.size, (0, 1, 0))


def picked_each(x: CuArray, index: CuArray, axis: int) -> CuArray:
    """The items of `x` in an order of its own for every line along `axis`: `index` is (lines, extent)."""
    length, inner = x.shape[axis], math.prod(x.shape[axis + 1 :])
    return _pick_along(x, index, axis, length, (inner * length, 1, length))


def _pick_along(x: CuArray, index: CuArray, axis: int, wanted: int, strides: tuple[int, int, int]) -> CuArray:
    x = ascontiguousarray(x)
    shape = (*x.shape[:axis], wanted, *x.shape[axis + 1 :])
    result = allocate(layout(x.dtype, shape))
    if result.size:
        outer, inner = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
        pick = _pick(x.dtype, outer, wanted, inner, x.shape[axis], strides)
        pick.launch(result._pointer, x._pointer, index._pointer)
    return result


def normal_axis(axis: int, ndim: int) -> int:
    """`axis` counted from the front; AxisError where the array has no such axis."""
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise np.exceptions.AxisError(number, ndim)
    return number % ndim
