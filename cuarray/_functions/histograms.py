"""Counting: bincount, digitize and histograms. Counts and sums of weights have the same bits on every run."""

from __future__ import annotations

import builtins
import functools
import math
import operator
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import as_dtype, result_type
from cuarray._functions import _sorted
from cuarray._functions._compaction import compress_flat, target
from cuarray._functions._known import take_known
from cuarray._functions.creation import asarray, zeros
from cuarray._functions.elementwise import where
from cuarray._functions.order_statistics import percentile
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import any as any_of
from cuarray._functions.reductions import max as max_of
from cuarray._functions.reductions import mean
from cuarray._functions.reductions import min as min_of
from cuarray._functions.reductions import sum as sum_of
from cuarray._functions.sorting import searchsorted
from cuarray._launch import Prepared
from cuarray._layout import layout


@functools.lru_cache(maxsize=1024)
def _prepare_count(n: int, bins: int) -> tuple[Prepared, int, bool]:
    plan = _plan.count(_runtime.get().target, n, bins)
    return Prepared(plan.plan), plan.tables, plan.zeroed


@functools.lru_cache(maxsize=1024)
def _prepare_segments(n: int, bins: int) -> Prepared:
    return Prepared(_plan.segment_sums(target(), n, bins))


@functools.lru_cache(maxsize=1024)
def _prepare_sums_in_order(n: int, bins: int) -> Prepared:
    return Prepared(_plan.sums_in_order(n, bins))


def _count(numbers: CuArray, bins: int) -> CuArray:
    """How often each of 0 .. bins-1 is among `numbers`, int64 on one axis; others are not counted."""
    if not numbers.size or not bins:
        return zeros(bins, np.int64)
    launch, tables, zeroed = _prepare_count(numbers.size, bins)
    counts = zeros((tables, bins), np.int64) if zeroed else allocate(layout(_sorted.INT64, (tables, bins)))
    launch.launch(counts._pointer, numbers._pointer)
    return sum_of(counts, axis=0) if tables > 1 else _sorted.own(counts[0])


def _sum_weights(numbers: CuArray, weights: CuArray, bins: int) -> CuArray:
    """The sums of float64 weights by number, in the order in which they stand."""
    if not numbers.size or not bins:
        return zeros(bins, np.float64)
    result = allocate(layout(np.dtype(np.float64), (bins,)))
    if target().one_thread_blocks:
        weights = _sorted.flat(weights)
        _prepare_sums_in_order(numbers.size, bins).launch(result._pointer, numbers._pointer, weights._pointer)
        return result
    ordered, order = _sorted.sort_rows_with_indices(numbers)
    bounds = _sorted.search_rows(ordered, arange(bins + 1), "left")
    parts = take_known(_sorted.flat(weights), order)
    _prepare_segments(numbers.size, bins).launch(result._pointer, bounds._pointer, parts._pointer)
    return result


def bincount(x: Any, /, weights: Any = None, minlength: int = 0) -> CuArray:
    """How often each number occurs in `x`, one-dimensional and not negative; with `weights` their sums, as float64.

    The result has max(x) + 1 elements, at least `minlength`; this waits for the device.

    >>> import cuarray as ca
    >>> ca.bincount(ca.array([1, 3, 1]), minlength=5)
    array([0, 2, 0, 1, 0])
    """
    x = zeros(0, np.int64) if isinstance(x, list | tuple) and not x else asarray(x)
    minlength = operator.index(minlength)
    if minlength < 0:
        raise ValueError(f"bincount: minlength must not be negative, it is {minlength}")
    if x.ndim != 1:
        raise ValueError(f"bincount: x must have one dimension, it has {x.ndim}")
    if x.dtype.kind not in "biu":
        raise TypeError(f"bincount: x must be integers, not {x.dtype}")
    numbers = _sorted.packed(_sorted.cast(x, np.int64))
    if weights is not None:
        weights = asarray(weights)
        if weights.dtype.kind == "c":
            raise TypeError(f"bincount: weights must be real numbers, not {weights.dtype}")
        if weights.shape != x.shape:
            raise ValueError(f"bincount: weights have shape {weights.shape}, x has {x.shape}")
    bins = minlength
    if numbers.size:
        # Seen as unsigned, negative numbers are the largest.
        largest = max_of(numbers.view(np.uint64)).item()
        if largest >= 2**63:
            raise ValueError("bincount: x must have no negative elements")
        bins = builtins.max(bins, largest + 1)
    if weights is None or not numbers.size:  # of nothing NumPy gives counts in any case
        return _count(numbers, bins)
    return _sum_weights(numbers, _sorted.cast(weights, np.float64), bins)


def digitize(x: Any, bins: Any, right: bool = False) -> CuArray:
    """The number of the bin that each element belongs to: 0 before the first edge, len(bins) from the last one on.

    `bins`: one-dimensional, increasing or decreasing, which is checked and waits for the device. Of its two edges a bin
    has the lower one, or with `right` the upper one.

    >>> import cuarray as ca
    >>> ca.digitize(ca.array([0.2, 6.4, 3.0]), ca.array([0.0, 1.0, 2.5, 4.0]))
    array([1, 4, 3])
    """
    x, bins = asarray(x), asarray(bins)
    if x.dtype.kind == "c":
        raise TypeError("digitize: x must not be complex")
    if bins.dtype.kind == "c":
        raise TypeError("digitize: bins must not be complex")
    if bins.ndim != 1:
        raise ValueError(f"digitize: bins must have one dimension, they have {bins.ndim}")
    side = "left" if right else "right"
    if not bool(any_of(bins[1:] < bins[:-1])):
        return searchsorted(bins, x, side)
    if bool(any_of(bins[1:] > bins[:-1])):
        raise ValueError("digitize: bins must increase or decrease monotonically")
    return bins.size - searchsorted(bins[::-1], x, side)


# ---- edges


def _outer_edges(name: str, x: CuArray, range: Any) -> tuple[Any, Any]:
    """The first and the last edge, NumPy scalars or what the caller gave."""
    if range is not None:
        first, last = (edge.item() if type(edge) is CuArray else edge for edge in range)
        if first > last:
            raise ValueError(f"{name}: range must be (lower, upper), not {(first, last)}")
        if not (np.isfinite(first) and np.isfinite(last)):
            raise ValueError(f"{name}: range {(first, last)} is not finite")
    elif x.size == 0:
        first, last = 0, 1
    else:
        first, last = (x.dtype.type(edge.item()) for edge in (min_of(x), max_of(x)))
        if not (np.isfinite(first) and np.isfinite(last)):
            raise ValueError(f"{name}: the range of the elements, {(first, last)}, is not finite")
    if first == last:
        first, last = first - 0.5, last + 0.5
    return first, last


def _extent(first: Any, last: Any) -> Any:
    """last - first, which a signed integer of their own size might not hold."""
    dtype = np.result_type(first, last)
    if dtype.kind in "iu":
        return int(last) - int(first)
    return np.subtract(last, first, dtype=dtype)


def _spread(x: CuArray) -> float:
    return float(_extent(*(x.dtype.type(edge.item()) for edge in (min_of(x), max_of(x)))))


def _deviation(x: CuArray) -> float:
    centred = _sorted.cast(x, np.float64)
    centred = centred - mean(centred)
    return math.sqrt(mean(centred * centred).item())


def _width_fd(x: CuArray, name: str, range: Any) -> float:
    upper, lower = (percentile(x, 75).item(), percentile(x, 25).item())
    return 2.0 * (upper - lower) * x.size ** (-1.0 / 3.0)


def _width_doane(x: CuArray, name: str, range: Any) -> float:
    n = x.size
    deviation = _deviation(x) if n > 2 else 0.0
    if deviation <= 0.0:
        return 0.0
    skew = math.sqrt(6.0 * (n - 2) / ((n + 1.0) * (n + 3)))
    scaled = (_sorted.cast(x, np.float64) - mean(_sorted.cast(x, np.float64))) / deviation
    third = mean(scaled * scaled * scaled).item()
    return _spread(x) / (1.0 + np.log2(n) + np.log2(1.0 + builtins.abs(third) / skew))


def _width_stone(x: CuArray, name: str, range: Any) -> float:
    n, spread = x.size, _spread(x)
    if n <= 1 or spread == 0:
        return 0.0

    def loss(bins: int) -> float:
        parts = np.asarray(histogram(x, bins, range)[0]) / n
        return (2 - (n + 1) * parts.dot(parts)) / (spread / bins)

    most = builtins.max(100, int(math.sqrt(n)))
    return spread / builtins.min(builtins.range(1, most + 1), key=loss)


def _width_auto(x: CuArray, name: str, range: Any) -> float:
    spread = _spread(x)
    wide = builtins.max(_width_fd(x, name, range), spread / math.sqrt(x.size) / 2)
    return builtins.min(wide, spread / (np.log2(x.size) + 1.0))


# The rules that a string for `bins` names: from the elements to the width of a bin.
_WIDTHS = {
    "auto": _width_auto,
    "fd": _width_fd,
    "doane": _width_doane,
    "scott": lambda x, name, range: (24.0 * np.pi**0.5 / x.size) ** (1.0 / 3.0) * _deviation(x),
    "stone": _width_stone,
    "rice": lambda x, name, range: _spread(x) / (2.0 * x.size ** (1.0 / 3)),
    "sturges": lambda x, name, range: _spread(x) / (np.log2(x.size) + 1.0),
    "sqrt": lambda x, name, range: _spread(x) / np.sqrt(x.size),
}


def _number_of_bins(name: str, x: CuArray, rule: str, range: Any, weights: Any) -> tuple[int, Any, Any]:
    if rule not in _WIDTHS:
        raise ValueError(f"{name}: {rule!r} is no rule for bins; there are {', '.join(_WIDTHS)}")
    if weights is not None:
        raise TypeError(f"{name}: with weights the number of bins must be given")
    first, last = _outer_edges(name, x, range)
    if range is not None:
        x = compress_flat(x, (x >= first) & (x <= last))
    if not x.size:
        return 1, first, last
    width = _WIDTHS[rule](x, name, (first, last))
    if width and x.dtype.kind in "iu":
        width = builtins.max(width, 1)
    return (int(np.ceil(_extent(first, last) / width)) if width else 1), first, last


def _edges(name: str, x: CuArray, bins: Any, range: Any, weights: Any) -> CuArray:
    if isinstance(bins, str):
        count, first, last = _number_of_bins(name, x, bins, range, weights)
    elif np.ndim(bins) == 0:
        try:
            count = operator.index(bins)
        except TypeError:
            raise TypeError(f"{name}: bins must be an int, a string or an array, not {bins!r}") from None
        if count < 1:
            raise ValueError(f"{name}: bins must be positive, not {count}")
        first, last = _outer_edges(name, x, range)
    elif np.ndim(bins) == 1:
        edges = asarray(bins)
        if bool(any_of(edges[:-1] > edges[1:])):
            raise ValueError(f"{name}: bins must increase monotonically")
        return edges
    else:
        raise ValueError(f"{name}: bins must have one dimension, they have {np.ndim(bins)}")
    dtype = np.result_type(first, last, np.empty(0, x.dtype))
    if dtype.kind in "biu":
        dtype = np.result_type(dtype, float)
    # As many numbers as the call asks for, whatever the size of x.
    places = np.linspace(first, last, count + 1, endpoint=True, dtype=dtype)
    if np.any(places[:-1] >= places[1:]):
        raise ValueError(f"{name}: too many bins for the range: cannot make {count} bins of finite size")
    return asarray(places)


def _data(name: str, x: Any) -> CuArray:
    x = asarray(x)
    as_dtype(x.dtype, name)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: elements must be real numbers, not {x.dtype}")
    flat = _sorted.flat(x)
    return flat.astype(np.uint8) if flat.dtype.kind == "b" else flat


def _weights(name: str, weights: Any, shape: tuple[int, ...]) -> CuArray | None:
    if weights is None:
        return None
    weights = asarray(weights)
    if weights.shape != shape:
        raise ValueError(f"{name}: weights should have the shape of the elements, {shape}, not {weights.shape}")
    return _sorted.flat(weights)


@functools.lru_cache(maxsize=1024)
def _prepare_bins(dtype: np.dtype, n: int, bins: int, uniform: bool) -> Prepared:
    return Prepared(_plan.bin_numbers(_runtime.get().target, dtype, n, bins, uniform))


def _bin_numbers(x: CuArray, edges: CuArray, uniform: bool) -> CuArray:
    """The bin of each element, -1 where it is in none; the last bin has both its edges."""
    dtype = result_type(x.dtype, edges.dtype)
    x, edges = _sorted.packed(_sorted.cast(x, dtype)), _sorted.packed(_sorted.cast(edges, dtype))
    numbers = allocate(layout(_sorted.INT64, x.shape))
    if x.size:
        launch = _prepare_bins(dtype, x.size, edges.size - 1, uniform)
        launch.launch(numbers._pointer, x._pointer, edges._pointer)
    return numbers


def _tally(numbers: CuArray, weights: CuArray | None, bins: int) -> CuArray:
    if weights is None:
        return _count(numbers, bins)
    if weights.dtype.kind == "c":
        result = zeros(bins, weights.dtype)
        result.real[...] = _sum_weights(numbers, weights.real.astype(np.float64), bins)
        result.imag[...] = _sum_weights(numbers, weights.imag.astype(np.float64), bins)
        return result
    return _sorted.cast(_sum_weights(numbers, _sorted.cast(weights, np.float64), bins), weights.dtype)


def histogram_bin_edges(a: Any, bins: Any = 10, range: Any = None, weights: Any = None) -> CuArray:
    """The edges that `histogram` uses: `bins` + 1 of them. Waits for the device.

    >>> import cuarray as ca
    >>> ca.histogram_bin_edges(ca.array([0, 1, 4]), bins=2)
    array([0., 2., 4.])
    """
    source = asarray(a)
    _weights("histogram_bin_edges", weights, source.shape)
    return _edges("histogram_bin_edges", _data("histogram_bin_edges", source), bins, range, weights)


def histogram(
    a: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[CuArray, CuArray]:
    """How many elements lie in each bin (or the sums of their `weights`), and the edges. Waits for the device.

    `bins`: a number of bins of equal width, the edges, or the name of a rule ("auto", "fd", "doane", "scott", "stone",
    "rice", "sturges", "sqrt"). `range`: (lower, upper), else that of the elements; those outside are not counted.
    `density`: the counts divided by the bins' widths and by their sum. Counts are int64, sums have the weights' dtype.

    >>> import cuarray as ca
    >>> ca.histogram(ca.array([1, 2, 1]), bins=[0, 1, 2, 3])
    (array([0, 2, 1]), array([0, 1, 2, 3]))
    """
    source = asarray(a)
    own = _weights("histogram", weights, source.shape)
    elements = _data("histogram", source)
    edges = _edges("histogram", elements, bins, range, weights)
    count = edges.size - 1
    if count < 1:
        plain = np.int64 if own is None else own.dtype
        return zeros(0, np.result_type(plain, float) if density else plain), edges
    counts = _tally(_bin_numbers(elements, edges, isinstance(bins, str) or np.ndim(bins) == 0), own, count)
    if density:
        widths = _sorted.cast(edges[1:] - edges[:-1], np.float64)
        return counts / widths / sum_of(counts), edges
    return counts, edges


def _is_sequence(bins: Any) -> bool:
    # The edges of several dimensions need not be of one length: numpy.ndim would refuse them.
    return isinstance(bins, list | tuple) or np.ndim(bins) > 0


def histogramdd(
    sample: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[CuArray, list[CuArray]]:
    """The histogram of points: `sample` is an array (points, dimensions) or a list with an array a dimension.

    `bins`: a number of bins or the edges, for all dimensions or in a list with one for each; `range` likewise. Returns
    the counts, or sums of `weights`, as float64, and a list of edges. Waits for the device.

    >>> import cuarray as ca
    >>> counts, edges = ca.histogramdd(ca.array([[0.0, 0.0], [1.0, 1.0], [1.0, 0.9]]), bins=2)
    >>> counts
    array([[1., 0.],
           [0., 2.]])
    """
    if isinstance(sample, list | tuple):
        columns = [asarray(part) for part in sample]
        if all(part.ndim == 0 for part in columns):
            columns = [asarray(sample).reshape(1)]
        elif builtins.any(part.ndim != 1 or part.size != columns[0].size for part in columns):
            points = asarray(sample)
            if points.ndim != 2:
                raise ValueError("histogramdd: the dimensions of sample must be arrays of one length")
            columns = [points[k] for k in builtins.range(points.shape[0])]
    else:
        points = asarray(sample)
        if points.ndim == 1:
            points = points[:, None]
        if points.ndim != 2:
            raise ValueError(f"histogramdd: sample must have one or two dimensions, it has {points.ndim}")
        columns = [points[:, k] for k in builtins.range(points.shape[1])]
    columns = [_data("histogramdd", column) for column in columns]
    count = len(columns)
    if not _is_sequence(bins):
        bins = [bins] * count
    elif len(bins) != count:
        raise ValueError(f"histogramdd: bins must have an entry a dimension, {count}, not {len(bins)}")
    if range is None:
        range = [None] * count
    elif len(range) != count:
        raise ValueError(f"histogramdd: range must have an entry a dimension, {count}, not {len(range)}")
    edges, uniform = [], []
    for k, column in enumerate(columns):
        own = bins[k].item() if type(bins[k]) is CuArray and bins[k].ndim == 0 else bins[k]
        name = f"histogramdd: bins[{k}]"
        if isinstance(own, str):
            raise TypeError(f"{name} must be an int or an array, not {own!r}")
        places = _edges(name, column, own, range[k], None)
        uniform.append(np.ndim(own) == 0)
        edges.append(_sorted.cast(places, np.float64) if uniform[-1] else places)
    own_weights = _weights("histogramdd", weights, columns[0].shape) if columns else None
    shape = tuple(builtins.max(part.size - 1, 0) for part in edges)
    flat: Any = 0
    outside: Any = None
    for column, part, even, extent in zip(columns, edges, uniform, shape, strict=True):
        if not extent:
            return zeros(shape, np.float64), edges
        numbers = _bin_numbers(column, part, even)
        beyond = numbers < 0
        outside = beyond if outside is None else outside | beyond
        flat = flat * extent + numbers
    flat = where(outside, -1, flat)
    if own_weights is not None:
        if own_weights.dtype.kind == "c":
            raise TypeError(f"histogramdd: weights must be real numbers, not {own_weights.dtype}")
        own_weights = _sorted.cast(own_weights, np.float64)
    counts = _sorted.own(_sorted.cast(_tally(flat, own_weights, math.prod(shape)), np.float64).reshape(shape))
    if density:
        total = sum_of(counts)
        for k, part in enumerate(edges):
            widths = part[1:] - part[:-1]
            counts = counts / widths.reshape(*(-1 if own == k else 1 for own in builtins.range(count)))
        counts = counts / total
    return counts, edges


def histogram2d(
    x: Any, y: Any, bins: Any = 10, range: Any = None, density: bool | None = None, weights: Any = None
) -> tuple[CuArray, CuArray, CuArray]:
    """The histogram of points given by two arrays, and the edges of either; see `histogramdd`. Waits for the device.

    `bins`: a number of bins or the edges for both, or a list of two of these.

    >>> import cuarray as ca
    >>> ca.histogram2d(ca.array([0.0, 1.0, 1.0]), ca.array([0.0, 1.0, 0.9]), bins=2)[0]
    array([[1., 0.],
           [0., 2.]])
    """
    first, second = asarray(x), asarray(y)
    if first.shape != second.shape or first.ndim != 1:
        raise ValueError(f"histogram2d: x and y must be of one length, they have shapes {first.shape}, {second.shape}")
    several = len(bins) if _is_sequence(bins) else 1
    if several not in (1, 2):
        bins = [asarray(bins)] * 2
    counts, edges = histogramdd([first, second], bins, range, density, weights)
    return counts, edges[0], edges[1]
