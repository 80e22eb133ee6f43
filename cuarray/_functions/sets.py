"""Unique elements and set operations, on sorted data. All wait for the device: their shapes depend on values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import as_dtype, result_type
from cuarray._functions import _sorted
from cuarray._functions._compaction import distinct, first_positions, true_positions
from cuarray._functions._known import put_known, take_known
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, empty, ones, zeros
from cuarray._functions.elementwise import equal, isnan, logical_not, not_equal
from cuarray._functions.joining import concatenate
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import any as any_of
from cuarray._functions.scans import cumsum


class UniqueAllResult(NamedTuple):
    """The result of `unique_all`."""

    values: CuArray
    indices: CuArray
    inverse_indices: CuArray
    counts: CuArray


class UniqueCountsResult(NamedTuple):
    """The result of `unique_counts`."""

    values: CuArray
    counts: CuArray


class UniqueInverseResult(NamedTuple):
    """The result of `unique_inverse`."""

    values: CuArray
    inverse_indices: CuArray


def _first_of_equals(x: CuArray, equal_nan: bool) -> CuArray:
    """Of a sorted array, or sorted rows: whether an element differs from the one before."""
    flags = empty(x.shape[0], bool)
    flags[:1] = True
    after, before = x[1:], x[:-1]
    differ = not_equal(after, before)
    if equal_nan and x.dtype.kind in "fc" and x.ndim == 1:
        differ = differ & logical_not(isnan(after) & isnan(before))
    flags[1:] = differ if x.ndim == 1 else any_of(differ, axis=1)
    return flags


def _runs(
    values: CuArray, order: CuArray | None, equal_nan: bool, index: bool, inverse: bool, counts: bool
) -> list[CuArray]:
    """The unique ones among sorted elements or rows, and what else is asked for."""
    if values.ndim == 1 and not (index or inverse or counts):
        return [distinct(values, equal_nan)]
    flags = _first_of_equals(values, equal_nan) if inverse or values.ndim > 1 else None
    first = first_positions(values, equal_nan) if flags is None else true_positions(flags)
    result = [take_known(values, first)]
    if index:
        assert order is not None
        result.append(take_known(order, first))
    if inverse:
        assert order is not None and flags is not None
        ranks = cumsum(flags)
        ranks -= 1
        places = empty(ranks.size, np.int64)
        put_known(places, order, ranks)
        result.append(places)
    if counts:
        bounds = concatenate((first, asarray(np.array([values.shape[0]]))))
        result.append(bounds[1:] - bounds[:-1])
    return result


def _unique(
    x: Any, axis: Any, equal_nan: bool, index: bool = False, inverse: bool = False, counts: bool = False
) -> list[CuArray]:
    x = asarray(x)
    as_dtype(x.dtype, "unique")
    if axis is None or x.ndim == 1:
        if axis is not None:
            normalize_axis(axis, 1)
        elements = _sorted.flat(x)
        if index or inverse:
            ordered, order = _sorted.sort_rows_with_indices(elements)
        else:
            ordered, order = _sorted.sort_rows(elements), None
        result = _runs(ordered, order, equal_nan, index, inverse, counts)
        if inverse and axis is None:
            result[1 + index] = _sorted.own(result[1 + index].reshape(x.shape))
        return result
    number = normalize_axis(axis, x.ndim)
    front = _sorted.packed(view_of(x, lambda ghost: np.moveaxis(ghost, number, 0)))
    shape = front.shape
    rows = front.reshape(shape[0], int(np.prod(shape[1:])))
    if rows.size:
        order = _row_order(rows)
        result = _runs(take_known(rows, order), order, equal_nan, index, inverse, counts)
    else:  # rows without elements are equal; without rows there is nothing
        kept = min(shape[0], 1)
        result = [empty((kept, rows.shape[1]), x.dtype)]
        result += [zeros(kept, np.int64)] * index + [zeros(shape[0], np.int64)] * inverse
        result += [ones(kept, np.int64) * shape[0]] * counts
    values = result[0].reshape(-1, *shape[1:]) if result[0].size else empty((result[0].shape[0], *shape[1:]), x.dtype)
    result[0] = view_of(values, lambda ghost: np.moveaxis(ghost, 0, number))
    return result


def _row_order(rows: CuArray) -> CuArray:
    """The indices that sort rows by their first columns, among equals by the second ones, ..."""
    columns = _sorted.packed(rows.T)
    order = arange(rows.shape[0])
    for number in reversed(range(columns.shape[0])):
        column = take_known(columns[number], order)
        order = take_known(order, _sorted.argsort_rows(column))
    return order


def unique(
    ar: Any,
    return_index: bool = False,
    return_inverse: bool = False,
    return_counts: bool = False,
    axis: Any = None,
    *,
    equal_nan: bool = True,
    sorted: bool = True,
) -> Any:
    """The distinct elements, sorted; or with `axis` the distinct slices along it. Waits for the device.

    With `return_index` also the index of the first occurrence of each, with `return_inverse` the indices that give back
    `ar`, with `return_counts` how often each occurs: int64, in a tuple. `equal_nan`: all NaNs are one element, except
    in slices. `sorted` changes nothing.

    >>> import cuarray as ca
    >>> ca.unique(ca.array([3, 1, 3, 2]), return_counts=True)
    (array([1, 2, 3]), array([1, 1, 2]))
    """
    result = _unique(ar, axis, equal_nan, return_index, return_inverse, return_counts)
    return result[0] if len(result) == 1 else tuple(result)


def unique_all(x: Any) -> UniqueAllResult:
    """The distinct elements, their first indices, the indices that give back `x`, and counts. Waits for the device.

    >>> import cuarray as ca
    >>> ca.unique_all(ca.array([3, 1, 3])).indices
    array([1, 0])
    """
    return UniqueAllResult(*_unique(x, None, False, True, True, True))


def unique_counts(x: Any) -> UniqueCountsResult:
    """The distinct elements and how often each occurs. Waits for the device.

    >>> import cuarray as ca
    >>> ca.unique_counts(ca.array([3, 1, 3])).counts
    array([1, 2])
    """
    return UniqueCountsResult(*_unique(x, None, False, counts=True))


def unique_inverse(x: Any) -> UniqueInverseResult:
    """The distinct elements and the indices that give back `x`. Waits for the device.

    >>> import cuarray as ca
    >>> ca.unique_inverse(ca.array([3, 1, 3])).inverse_indices
    array([1, 0, 1])
    """
    return UniqueInverseResult(*_unique(x, None, False, inverse=True))


def unique_values(x: Any) -> CuArray:
    """The distinct elements, every NaN by itself. Waits for the device.

    >>> import cuarray as ca
    >>> ca.unique_values(ca.array([3, 1, 3]))
    array([1, 3])
    """
    return _unique(x, None, False)[0]


def _pair(name: str, x1: Any, x2: Any) -> tuple[CuArray, CuArray]:
    """Both on one axis and of one dtype."""
    a, b = asarray(x1), asarray(x2)
    for x in (a, b):
        as_dtype(x.dtype, name)
    dtype = result_type(a.dtype, b.dtype)
    return _sorted.flat(_sorted.cast(a, dtype)), _sorted.flat(_sorted.cast(b, dtype))


def isin(
    element: Any, test_elements: Any, assume_unique: bool = False, invert: bool = False, *, kind: str | None = None
) -> CuArray:
    """Whether each element is among `test_elements` (with `invert`: is not); NaN never is. bool, shaped as `element`.

    Both are promoted to one dtype. `assume_unique` and `kind` ("sort", "table" or None) change nothing.

    >>> import cuarray as ca
    >>> ca.isin(ca.array([[1, 2], [3, 4]]), ca.array([4, 1]))
    array([[ True, False],
           [False,  True]])
    """
    if kind not in (None, "sort", "table"):
        raise ValueError(f"isin: kind must be None, 'sort' or 'table', not {kind!r}")
    element = asarray(element)
    wanted, among = _pair("isin", element, test_elements)
    if kind == "table" and wanted.dtype.kind not in "biu":
        raise ValueError("isin: kind='table' is for booleans and integers only")
    found = _sorted.search_rows(_sorted.sort_rows(among), wanted, "contains")
    if invert:
        found = logical_not(found)
    return _sorted.own(found.reshape(element.shape))


def union1d(ar1: Any, ar2: Any) -> CuArray:
    """The distinct elements of either array, sorted. Waits for the device.

    >>> import cuarray as ca
    >>> ca.union1d(ca.array([1, 2]), ca.array([2, 0]))
    array([0, 1, 2])
    """
    return unique(concatenate(_pair("union1d", ar1, ar2)))


def intersect1d(ar1: Any, ar2: Any, assume_unique: bool = False, return_indices: bool = False) -> Any:
    """The distinct elements that both arrays have, sorted. Waits for the device.

    With `return_indices` also the indices of their first occurrences in either array. `assume_unique`: neither array
    has an element twice.

    >>> import cuarray as ca
    >>> ca.intersect1d(ca.array([1, 3, 4, 3]), ca.array([3, 1, 2]))
    array([1, 3])
    """
    a, b = _pair("intersect1d", ar1, ar2)
    if not assume_unique:
        a, first_a = unique(a, return_index=True)
        b, first_b = unique(b, return_index=True)
    values, order = _sorted.sort_rows_with_indices(concatenate((a, b)))
    found = true_positions(equal(values[1:], values[:-1]))
    common = take_known(values, found)
    if not return_indices:
        return common
    in_a = take_known(order, found)
    in_b = take_known(order, found + 1) - a.size
    if not assume_unique:
        in_a, in_b = take_known(first_a, in_a), take_known(first_b, in_b)
    return common, in_a, in_b


def setxor1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> CuArray:
    """The distinct elements that one array has and the other has not, sorted. Waits for the device.

    >>> import cuarray as ca
    >>> ca.setxor1d(ca.array([1, 2]), ca.array([2, 0]))
    array([0, 1])
    """
    a, b = _pair("setxor1d", ar1, ar2)
    if not assume_unique:
        a, b = unique(a), unique(b)
    values = _sorted.sort_rows(concatenate((a, b)))
    if not values.size:
        return values
    bounds = ones(values.size + 1, bool)
    bounds[1:-1] = not_equal(values[1:], values[:-1])
    return take_known(values, true_positions(bounds[1:] & bounds[:-1]))


def setdiff1d(ar1: Any, ar2: Any, assume_unique: bool = False) -> CuArray:
    """The distinct elements of the first array that the second has not; sorted. Waits for the device.

    With `assume_unique` all such elements, in their order.

    >>> import cuarray as ca
    >>> ca.setdiff1d(ca.array([3, 1, 2, 3]), ca.array([2, 0]))
    array([1, 3])
    """
    a = asarray(ar1)
    as_dtype(a.dtype, "setdiff1d")
    a = _sorted.flat(a) if assume_unique else unique(a)
    return take_known(a, true_positions(isin(a, ar2, invert=True)))
