"""What sorting, searching, sets and order statistics are made of: launches over C-contiguous rows.

Rows are the last axis of a C-contiguous array. Nothing here checks its arguments: the functions above have done so.
"""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import BFLOAT16, DTYPES
from cuarray._functions._operation import copy_into
from cuarray._functions.creation import astype
from cuarray._functions.manipulation import reshape
from cuarray._launch import Prepared
from cuarray._layout import layout

INT64 = np.dtype(np.int64)


def check_sortable(dtype: np.dtype, name: str) -> None:
    """TypeError for a dtype whose elements have no order."""
    if dtype not in DTYPES and dtype != BFLOAT16:
        raise TypeError(f"{name}: elements of {dtype} have no order")


def packed(x: CuArray) -> CuArray:
    """`x`, C-contiguous; a copy if it is not."""
    if x._layout.c_contiguous:
        return x
    result = allocate(layout(x.dtype, x.shape))
    copy_into(result, x)
    return result


def flat(x: CuArray) -> CuArray:
    """The elements in C order on one axis, a copy only where it must be."""
    return reshape(packed(x), -1)


def axis_last(x: CuArray, axis: int) -> CuArray:
    """`x` with `axis` moved to the end, C-contiguous."""
    return packed(x if axis == x.ndim - 1 else view_of(x, lambda ghost: np.moveaxis(ghost, axis, -1)))


def own(x: CuArray) -> CuArray:
    """A view of a whole new array, as an array that owns its memory."""
    x._base = None
    return x


def joined(*parts: CuArray) -> CuArray:
    """One-dimensional arrays of one dtype, one after another."""
    result = allocate(layout(parts[0].dtype, (sum(part.size for part in parts),)))
    first = 0
    for part in parts:
        result[first : first + part.size] = part
        first += part.size
    return result


@functools.lru_cache(maxsize=4096)
def _prepare_sort(
    dtype: np.dtype, rows: int, n: int, values: bool, indices: bool, descending: bool
) -> tuple[tuple[Prepared, ...], int]:
    plan = _plan.sort(_runtime.get().target, dtype, rows, n, values, indices, descending)
    return tuple(Prepared(launch) for launch in plan.launches), plan.scratch_bytes


def _sort(x: CuArray, values: bool, indices: bool, descending: bool) -> tuple[CuArray | None, CuArray | None]:
    result = allocate(x._layout) if values else None
    places = allocate(layout(INT64, x.shape)) if indices else None
    if x.size:
        n = x.shape[-1]
        launches, nbytes = _prepare_sort(x.dtype, x.size // n, n, values, indices, descending)
        runtime = _runtime.get()
        scratch = runtime.allocate(nbytes)
        for launch in launches:
            launch.launch(
                0 if result is None else result._pointer,
                x._pointer,
                scratch.pointer,
                0 if places is None else places._pointer,
            )
    return result, places


def sort_rows(x: CuArray, descending: bool = False) -> CuArray:
    """The rows, each sorted."""
    return _sort(x, True, False, descending)[0]  # type: ignore[return-value]


def argsort_rows(x: CuArray, descending: bool = False) -> CuArray:
    """The indices that sort each row."""
    return _sort(x, False, True, descending)[1]  # type: ignore[return-value]


def sort_rows_with_indices(x: CuArray, descending: bool = False) -> tuple[CuArray, CuArray]:
    """Both."""
    return _sort(x, True, True, descending)  # type: ignore[return-value]


@functools.lru_cache(maxsize=4096)
def _prepare_gather(itemsize: int, rows: int, n: int, inner: int, count: int, step: int) -> Prepared:
    return Prepared(_plan.gather_rows(_runtime.get().target, itemsize, rows, n, inner, count, step))


def gather_rows(x: CuArray, indices: CuArray) -> CuArray:
    """Of each row the elements at `indices`: those of its own row, or the same for all if these have one axis."""
    count, n = indices.shape[-1], x.shape[-1]
    shared = indices.ndim == 1
    result = allocate(layout(x.dtype, (*x.shape[:-1], count)))
    if result.size:
        rows = result.size // count
        step = 0 if shared else count
        launch = _prepare_gather(x.itemsize, rows, n, 1, count, step)
        launch.launch(result._pointer, x._pointer, indices._pointer)
    return result


def take_first_axis(x: CuArray, indices: CuArray) -> CuArray:
    """x[indices] of a C-contiguous array, `indices` with one axis."""
    result = allocate(layout(x.dtype, (indices.size, *x.shape[1:])))
    if result.size:
        inner = result.size // indices.size
        launch = _prepare_gather(x.itemsize, 1, x.shape[0], inner, indices.size, 0)
        launch.launch(result._pointer, x._pointer, indices._pointer)
    return result


@functools.lru_cache(maxsize=1024)
def _prepare_scatter(itemsize: int, count: int) -> Prepared:
    return Prepared(_plan.scatter_rows(_runtime.get().target, itemsize, count))


def scattered(x: CuArray, indices: CuArray) -> CuArray:
    """An array with x[j] at indices[j], a permutation."""
    result = allocate(x._layout)
    if x.size:
        _prepare_scatter(x.itemsize, x.size).launch(result._pointer, x._pointer, indices._pointer)
    return result


@functools.lru_cache(maxsize=1024)
def _prepare_select(n: int, ranks: bool) -> tuple[tuple[Prepared, Prepared], Prepared, int]:
    plan = _plan.select(_runtime.get().target, n, ranks)
    return (Prepared(plan.counting[0]), Prepared(plan.counting[1])), Prepared(plan.place), plan.blocks


def _count_flags(flags: CuArray, counts: CuArray, launches: tuple[Prepared, Prepared]) -> None:
    for launch in launches:
        launch.launch(0, flags._pointer, counts._pointer)


def positions(flags: CuArray) -> CuArray:
    """Where the flags, a one-dimensional array of bool, are set. Waits for the device."""
    if not flags.size:
        return allocate(layout(INT64, (0,)))
    launches, place, blocks = _prepare_select(flags.size, False)
    counts = allocate(layout(INT64, (blocks + 1,)))
    _count_flags(flags, counts, launches)
    result = allocate(layout(INT64, (counts[blocks].item(),)))
    place.launch(result._pointer, flags._pointer, counts._pointer)
    return result


def ranks(flags: CuArray) -> CuArray:
    """How many flags are set up to each, less 1."""
    result = allocate(layout(INT64, flags.shape))
    if flags.size:
        launches, place, blocks = _prepare_select(flags.size, True)
        counts = allocate(layout(INT64, (blocks + 1,)))
        _count_flags(flags, counts, launches)
        place.launch(result._pointer, flags._pointer, counts._pointer)
    return result


SIDES = {"left": 0, "right": 1, "contains": 2}


@functools.lru_cache(maxsize=4096)
def _prepare_search(dtype: np.dtype, side: int, rows: int, n: int, count: int, step: int) -> Prepared:
    return Prepared(_plan.search(_runtime.get().target, dtype, side, rows, n, count, step))


def search_rows(rows: CuArray, wanted: CuArray, side: str) -> CuArray:
    """Where the elements of `wanted`, one-dimensional, would be put into each sorted row, or whether they are there."""
    result = allocate(layout(np.dtype(bool) if side == "contains" else INT64, (*rows.shape[:-1], wanted.size)))
    if result.size:
        n, count = rows.shape[-1], wanted.size
        launch = _prepare_search(rows.dtype, SIDES[side], result.size // count, n, count, 0)
        launch.launch(result._pointer, rows._pointer, wanted._pointer)
    return result


@functools.lru_cache(maxsize=1024)
def _prepare_running_sums(rows: int, n: int) -> Prepared:
    return Prepared(_plan.running_sums(_runtime.get().target, rows, n))


def running_sums(x: CuArray) -> CuArray:
    """Running sums of float64 along the rows."""
    result = allocate(x._layout)
    if x.size:
        n = x.shape[-1]
        _prepare_running_sums(x.size // n, n).launch(result._pointer, x._pointer)
    return result


def cast(x: CuArray, dtype: Any) -> CuArray:
    """`x` as `dtype`, itself if it has it."""
    return astype(x, dtype, copy=False)
