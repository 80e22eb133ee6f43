"""Sorting, partitioning and searching. All sorting is stable and the same on every run; NaN comes last, as in NumPy."""

from __future__ import annotations

import operator
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import result_type
from cuarray._functions import _sorted
from cuarray._functions._known import take_along_known, take_known
from cuarray._functions._operation import copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, zeros
from cuarray._layout import Layout, layout, like_layout


def _check_kind(name: str, kind: Any, order: Any, stable: Any) -> None:
    if kind is not None:
        if stable is not None:
            raise ValueError(f"{name}: `kind` and `stable` cannot be given at the same time")
        if not isinstance(kind, str):
            raise TypeError(f"{name}: kind must be a string, not {type(kind).__name__}")
        if kind[:1].lower() not in ("q", "h", "m", "s"):
            raise ValueError(f"{name}: kind must be 'quicksort', 'heapsort', 'mergesort' or 'stable', not {kind!r}")
    if order is not None:
        raise ValueError(f"{name}: cannot specify order when the array has no fields")


def _put_back(rows: CuArray, axis: int, wanted: Layout) -> CuArray:
    """`rows` with its last axis moved to `axis`, in memory as `wanted`."""
    if axis == rows.ndim - 1 and rows._layout is wanted:
        return rows
    result = view_of(rows, lambda ghost: np.moveaxis(ghost, -1, axis))
    if result._layout is wanted:
        return _sorted.own(result)
    out = allocate(wanted)
    copy_into(out, result)
    return out


def _prepared(name: str, x: Any, axis: Any) -> tuple[CuArray, int]:
    x = asarray(x)
    _sorted.check_sortable(x.dtype, name)
    if axis is None:
        return _sorted.flat(x), 0
    return x, normalize_axis(axis, x.ndim)


def sort(
    a: Any,
    axis: Any = -1,
    kind: str | None = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> CuArray:
    """A sorted copy, along `axis` or, if that is None, of all elements.

    Always stable, whatever `kind` and `stable` say. NaN is last, complex numbers are ordered by their real parts, then
    by their imaginary ones. `descending` turns this order around, NaN first; equal elements stay in their order.

    >>> import cuarray as ca
    >>> ca.sort(ca.array([3, 1, 2]))
    array([1, 2, 3])
    >>> ca.sort(ca.array([3, 1, 2]), descending=True)
    array([3, 2, 1])
    """
    _check_kind("sort", kind, order, stable)
    a, axis = _prepared("sort", a, axis)
    rows = _sorted.sort_rows(_sorted.axis_last(a, axis), bool(descending))
    return _put_back(rows, axis, like_layout(a.dtype, a.shape, [a._layout]))


def argsort(
    a: Any,
    axis: Any = -1,
    kind: str | None = None,
    order: Any = None,
    *,
    stable: bool | None = None,
    descending: bool = False,
) -> CuArray:
    """The indices, int64, that sort along `axis` or, if that is None, all elements; always stable, see `sort`.

    >>> import cuarray as ca
    >>> ca.argsort(ca.array([3, 1, 2]))
    array([1, 2, 0])
    """
    _check_kind("argsort", kind, order, stable)
    a = asarray(a)
    if a.ndim == 0 and axis is not None and operator.index(axis) in (0, -1):
        axis = None  # as NumPy
    a, axis = _prepared("argsort", a, axis)
    rows = _sorted.argsort_rows(_sorted.axis_last(a, axis), bool(descending))
    return _put_back(rows, axis, layout(_sorted.INT64, a.shape))


def sort_in_place(
    x: CuArray, axis: Any = -1, kind: str | None = None, order: Any = None, *, stable: bool | None = None
) -> None:
    """What CuArray.sort does."""
    _check_kind("sort", kind, order, stable)
    _sorted.check_sortable(x.dtype, "sort")
    axis = normalize_axis(axis, x.ndim)
    if not x._writeable:
        raise ValueError("sort: the array is read-only")
    rows = _sorted.sort_rows(_sorted.axis_last(x, axis))
    copy_into(x, view_of(rows, lambda ghost: np.moveaxis(ghost, -1, axis)))


def _check_kth(name: str, kth: Any, n: int) -> None:
    places = np.asarray(kth)
    if places.dtype.kind == "b":
        raise ValueError(f"{name}: kth must be integers, not bool")
    if places.dtype.kind not in "iu":
        raise TypeError(f"{name}: kth must be integers, not {places.dtype}")
    if places.ndim > 1:
        raise ValueError(f"{name}: kth must have at most one dimension, not {places.ndim}")
    for place in places.reshape(-1).tolist() if n else ():  # nothing has any place in order
        if not -n <= place < n:
            raise ValueError(f"{name}: kth {place} is out of bounds for an axis of {n} elements")


def _check_partition(name: str, kth: Any, n: int, kind: Any, order: Any) -> None:
    if kind != "introselect":
        raise ValueError(f"{name}: kind must be 'introselect', not {kind!r}")
    _check_kind(name, None, order, None)
    _check_kth(name, kth, n)


def partition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> CuArray:
    """A copy with the element of each place in `kth` where sorting puts it, smaller ones before, larger ones behind.

    The elements between are sorted, too. ValueError if `kth` is out of bounds.

    >>> import cuarray as ca
    >>> ca.partition(ca.array([4, 1, 3, 2]), 1)[1]
    array(2)
    """
    a, axis = _prepared("partition", a, axis)
    _check_partition("partition", kth, a.shape[axis], kind, order)
    return sort(a, axis)


def argpartition(a: Any, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> CuArray:
    """The indices, int64, that partition along `axis`; see `partition`.

    >>> import cuarray as ca
    >>> ca.argpartition(ca.array([4, 1, 3, 2]), 0)[0]
    array(1)
    """
    a = asarray(a)
    if a.ndim == 0 and axis is not None and operator.index(axis) in (0, -1):
        axis = None
    a, axis = _prepared("argpartition", a, axis)
    _check_partition("argpartition", kth, a.shape[axis], kind, order)
    return argsort(a, axis)


def partition_in_place(x: CuArray, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> None:
    """What CuArray.partition does."""
    _check_partition("partition", kth, x.shape[normalize_axis(axis, x.ndim)], kind, order)
    sort_in_place(x, axis)


def sort_complex(a: Any) -> CuArray:
    """A copy sorted along the last axis, as complex numbers: complex64 for 8- and 16-bit integers, else complex128.

    >>> import cuarray as ca
    >>> ca.sort_complex(ca.array([3, 1]))
    array([1.+0.j, 3.+0.j])
    """
    result = sort(a)
    if result.dtype.kind == "c":
        return result
    small = result.dtype.char in "bhBH"
    return _sorted.cast(result, np.complex64 if small else np.complex128)


class TopK(NamedTuple):
    """The result of `topk`."""

    values: CuArray
    indices: CuArray


def topk(x: Any, /, k: int, axis: Any = -1, *, largest: bool = True) -> TopK:
    """The `k` largest (or smallest) elements along `axis`, best first, and their indices (int64).

    Of equal elements the first counts as the better one. NaN is larger than every number. ValueError unless `k` is
    between 0 and the axis' extent.

    >>> import cuarray as ca
    >>> values, indices = ca.topk(ca.array([5, 1, 9, 7]), 2)
    >>> values, indices
    (array([9, 7]), array([2, 3]))
    """
    x, axis = _prepared("topk", x, axis)
    k = operator.index(k)
    if not 0 <= k <= x.shape[axis]:
        raise ValueError(f"topk: k must be between 0 and {x.shape[axis]}, the extent of axis {axis}, not {k}")
    given = _sorted.axis_last(x, axis)
    selected = _sorted.select_rows(given, k, bool(largest))
    if selected is None:
        rows, places = (own[..., :k] for own in _sorted.sort_rows_with_indices(given, bool(largest)))
    else:
        rows, order = _sorted.sort_rows_with_indices(selected[0], bool(largest))
        places = take_along_known(selected[1], order)
    shape = (*x.shape[:axis], k, *x.shape[axis + 1 :])
    return TopK(
        _put_back(rows, axis, layout(x.dtype, shape)),
        _put_back(places, axis, layout(_sorted.INT64, shape)),
    )


def lexsort(keys: Any, axis: Any = -1) -> CuArray:
    """The indices, int64, that sort by several keys of one shape: by the last, among equals by the one before, ...

    >>> import cuarray as ca
    >>> ca.lexsort((ca.array([1, 0, 1, 0]), ca.array([2, 2, 1, 1])))
    array([3, 2, 1, 0])
    """
    if type(keys) is CuArray:
        parts = [keys[i] for i in range(len(keys))]
    else:
        try:
            parts = [asarray(key) for key in keys]
        except TypeError as error:
            if hasattr(keys, "__iter__"):
                raise
            raise TypeError("lexsort: keys must be a sequence of arrays") from error
    if not parts:
        raise TypeError("lexsort: keys must be a sequence of at least one array")
    if any(part.shape != parts[0].shape for part in parts):
        raise ValueError("lexsort: all keys need to be the same shape")
    for part in parts:
        _sorted.check_sortable(part.dtype, "lexsort")
    shape = parts[0].shape
    if not shape:
        if operator.index(axis) not in (0, -1):
            raise np.exceptions.AxisError(axis, 0)
        return zeros((), np.int64)
    axis = normalize_axis(axis, len(shape))
    order: CuArray | None = None
    for part in parts:
        rows = _sorted.axis_last(part, axis)
        if order is None:
            order = _sorted.argsort_rows(rows)
        else:
            again = _sorted.argsort_rows(take_along_known(rows, order))
            order = take_along_known(order, again)
    assert order is not None
    return _put_back(order, axis, layout(_sorted.INT64, shape))


def searchsorted(a: Any, v: Any, side: str = "left", sorter: Any = None) -> CuArray:
    """Where in the sorted one-dimensional `a` the elements of `v` would be put in: int64, in the shape of `v`.

    `side`: "left" before equal elements, "right" behind them. `sorter`: indices that sort `a`; their range is checked,
    which waits for the device.

    >>> import cuarray as ca
    >>> ca.searchsorted(ca.array([1, 3, 3, 5]), ca.array([3, 6]))
    array([1, 4])
    """
    a, v = asarray(a), asarray(v)
    if side not in ("left", "right"):
        if not isinstance(side, str):
            raise TypeError(f"searchsorted: side must be a string, not {type(side).__name__}")
        raise ValueError(f"searchsorted: side must be 'left' or 'right', not {side!r}")
    if a.ndim != 1:
        raise ValueError(f"searchsorted: the sorted array must have one dimension, it has {a.ndim}")
    dtype = a.dtype if a.dtype == v.dtype else result_type(a.dtype, v.dtype)
    _sorted.check_sortable(dtype, "searchsorted")
    a = _sorted.packed(a)
    if sorter is not None:
        order = asarray(sorter)
        if order.dtype.kind not in "iu":
            raise TypeError(f"searchsorted: sorter must contain integers only, not {order.dtype}")
        if order.ndim != 1 or order.size != a.size:
            raise ValueError(f"searchsorted: sorter must have the shape of the sorted array, {a.shape}")
        order = _sorted.packed(_sorted.cast(order, np.int64))
        if order.size and bool(((order < 0) | (order >= a.size)).any()):
            raise ValueError("searchsorted: sorter has indices out of range")
        a = take_known(a, order)
    places = _sorted.search_rows(_sorted.cast(a, dtype), _sorted.flat(_sorted.cast(v, dtype)), side)
    return _sorted.own(places.reshape(v.shape))
