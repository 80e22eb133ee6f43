"""What sorting, searching, sets and order statistics are made of: sorts and searches of C-contiguous rows.

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
def _prepare_select(
    dtype: np.dtype, rows: int, n: int, k: int, descending: bool
) -> tuple[tuple[Prepared, ...], int] | None:
    plan = _plan.select(_runtime.get().target, dtype, rows, n, k, descending)
    return None if plan is None else (tuple(Prepared(launch) for launch in plan.launches), plan.scratch_bytes)


def select_rows(x: CuArray, k: int, descending: bool) -> tuple[CuArray, CuArray] | None:
    """The `k` elements that sorting would put first in each row, and their indices; of equal ones the first is first.

    None where it is less work to sort.
    """
    n = x.shape[-1]
    prepared = _prepare_select(x.dtype, x.size // n, n, k, descending) if x.size else None
    if prepared is None:
        return None
    launches, nbytes = prepared
    shape = (*x.shape[:-1], k)
    found, places = allocate(layout(x.dtype, shape)), allocate(layout(INT64, shape))
    scratch = _runtime.get().allocate(nbytes)
    for launch in launches:
        launch.launch(found._pointer, x._pointer, scratch.pointer, places._pointer)
    return found, places


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


def cast(x: CuArray, dtype: Any) -> CuArray:
    """`x` as `dtype`, itself if it has it."""
    return astype(x, dtype, copy=False)
