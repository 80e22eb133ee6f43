"""Median and quantiles, on sorted data. NumPy's warnings about empty and all-NaN slices are not given."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import as_dtype
from cuarray._functions import _sorted, elementwise
from cuarray._functions._known import take_along_known, take_known
from cuarray._functions._operation import check_out, copy_into
from cuarray._functions._reduction import normalize_axes
from cuarray._functions.creation import asarray, full
from cuarray._functions.elementwise import equal, isnan, logical_not, maximum, minimum, where
from cuarray._functions.manipulation import broadcast_to
from cuarray._functions.reductions import any as any_of
from cuarray._functions.reductions import count_nonzero, mean
from cuarray._functions.scans import cumsum


class _Slices(NamedTuple):
    """An array as rows that are each reduced to one number, or to several."""

    rows: CuArray
    axes: tuple[int, ...]
    kept: tuple[int, ...]  # the shape without the reduced axes
    ones: tuple[int, ...]  # the shape with extents of 1 for them


def _reduced_axes(name: str, x: CuArray, axis: Any) -> tuple[int, ...]:
    if x.ndim == 0 and axis is not None and not isinstance(axis, tuple | list):
        raise np.exceptions.AxisError(axis, 0)
    return normalize_axes(axis, x.ndim)


def _rows(x: CuArray, axes: tuple[int, ...]) -> CuArray:
    keep = [own for own in range(x.ndim) if own not in axes]
    turned = _sorted.packed(view_of(x, lambda ghost: ghost.transpose(*keep, *axes)))
    return turned.reshape(*(x.shape[own] for own in keep), math.prod(x.shape[own] for own in axes))


def _slices(name: str, x: Any, axis: Any) -> _Slices:
    x = asarray(x)
    as_dtype(x.dtype, name)
    axes = _reduced_axes(name, x, axis)
    kept = tuple(extent for own, extent in enumerate(x.shape) if own not in axes)
    ones = tuple(1 if own in axes else extent for own, extent in enumerate(x.shape))
    return _Slices(_rows(x, axes), axes, kept, ones)


def _finish(name: str, result: CuArray, shape: tuple[int, ...], out: CuArray | None) -> CuArray:
    if result.shape != shape:
        result = _sorted.own(result.reshape(shape))
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result)
    return out


def median(
    a: Any, axis: Any = None, out: CuArray | None = None, overwrite_input: bool = False, keepdims: bool = False
) -> CuArray:
    """The middle of the sorted elements over `axis` (an int, a tuple, or None for all), the mean of two if it is two.

    NaN where there is one, or nothing. Integers and bool give float64. `overwrite_input` changes nothing.

    >>> import cuarray as ca
    >>> ca.median(ca.array([[1, 9, 4], [2, 8, 5]]), axis=1)
    array([4., 5.])
    """
    slices = _slices("median", a, axis)
    n = slices.rows.shape[-1]
    ordered = _sorted.sort_rows(slices.rows)
    result = mean(ordered[..., max((n - 1) // 2, 0) : n // 2 + 1], axis=-1)
    if n and ordered.dtype.kind in "fc":
        result = where(isnan(ordered[..., -1]), ordered[..., -1], result)
    return _finish("median", result, slices.ones if keepdims else slices.kept, out)


def nanmedian(
    a: Any, axis: Any = None, out: CuArray | None = None, overwrite_input: bool = False, keepdims: bool = False
) -> CuArray:
    """The median of the elements that are no NaN; NaN where there are none. See `median`.

    >>> import cuarray as ca
    >>> ca.nanmedian(ca.array([1.0, ca.nan, 3.0, 2.0]))
    array(2.)
    """
    a = asarray(a)
    if a.dtype.kind not in "fc":
        return median(a, axis, out, overwrite_input, keepdims)
    slices = _slices("nanmedian", a, axis)
    if not slices.rows.shape[-1]:
        return median(a, axis, out, overwrite_input, keepdims)
    count = _valid(slices.rows)
    ordered = _sorted.sort_rows(slices.rows)
    # Where nothing is valid both are the first element, a NaN.
    middle = full((*count.shape, 2), 0, np.int64)
    middle[..., 0] = maximum((count - 1) // 2, 0)
    middle[..., 1] = maximum(minimum(count // 2, count - 1), 0)
    result = mean(take_along_known(ordered, middle), axis=-1)
    return _finish("nanmedian", result, slices.ones if keepdims else slices.kept, out)


def _valid(rows: CuArray) -> CuArray:
    return count_nonzero(logical_not(isnan(rows)), axis=-1)


# ---- quantiles
#
# A method gives each quantile q of n elements a place between 0 and n-1, as a number that need not be whole, and says
# how much of the element behind it counts (gamma). The formulas are written for numpy, where n is one number, and for
# our own functions, where every row has an n: both have floor, ceil, rint and where.


def _between(alpha: float, beta: float) -> Callable[[Any, Any, Any], Any]:
    return lambda xp, n, q: n * q + (alpha + q * (1 - alpha - beta)) - 1


def _discrete(xp: Any, place: Any, stays: Callable[[Any, Any], Any]) -> Any:
    before = xp.floor(place)
    chosen = xp.where(stays(place - before, before), before, before + 1)
    return xp.where(chosen < 0, 0.0, chosen)


# Those that choose one element, and those that interpolate between two.
_CHOOSING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "inverted_cdf": lambda xp, n, q: _discrete(xp, n * q - 1, lambda gamma, before: gamma == 0),
    "closest_observation": lambda xp, n, q: _discrete(
        xp, n * q - 1 - 0.5, lambda gamma, before: (gamma == 0) & (before % 2 == 1)
    ),
    "lower": lambda xp, n, q: xp.floor((n - 1) * q),
    "higher": lambda xp, n, q: xp.ceil((n - 1) * q),
    "nearest": lambda xp, n, q: xp.rint((n - 1) * q),
}
_INTERPOLATING: dict[str, Callable[[Any, Any, Any], Any]] = {
    "linear": lambda xp, n, q: (n - 1) * q,
    "averaged_inverted_cdf": lambda xp, n, q: n * q - 1,
    "interpolated_inverted_cdf": _between(0, 1),
    "hazen": _between(0.5, 0.5),
    "weibull": _between(0, 0),
    "median_unbiased": _between(1 / 3.0, 1 / 3.0),
    "normal_unbiased": _between(3 / 8.0, 3 / 8.0),
    "midpoint": lambda xp, n, q: 0.5 * (xp.floor((n - 1) * q) + xp.ceil((n - 1) * q)),
}


def _gamma(xp: Any, method: str, place: Any, before: Any) -> Any:
    gamma = place - before
    if method == "averaged_inverted_cdf":
        return xp.where(gamma == 0, 0.5, 1.0)
    if method == "midpoint":
        return xp.where(place % 1 == 0, 0.0, 0.5)
    return gamma


def _interpolate(before: CuArray, after: CuArray, gamma: Any) -> CuArray:
    difference = after - before
    if isinstance(gamma, float):
        return after - difference * (1 - gamma) if gamma >= 0.5 else before + difference * gamma
    return where(gamma >= 0.5, after - difference * (1 - gamma), before + difference * gamma)


def _quantiles_of_rows(ordered: CuArray, q: np.ndarray, method: str, weak: bool) -> CuArray:
    """Of each sorted row the quantiles `q`, on a last axis."""
    n = ordered.shape[-1]
    if not n:
        raise IndexError("quantile: index -1 is out of bounds for an axis of 0 elements")
    wanted = q.reshape(-1)
    if method in _CHOOSING or (method == "linear" and q.dtype.kind in "iub"):
        choose = _CHOOSING.get(method, _INTERPOLATING["linear"])
        places = np.asarray(choose(np, n, wanted)).astype(np.int64)
        result = take_known(ordered, asarray(places), -1)
    else:
        place = np.asarray(_INTERPOLATING[method](np, n, wanted))
        before = np.floor(place)
        gamma = np.asarray(_gamma(np, method, place, before), place.dtype)
        first = np.clip(before, 0, n - 1).astype(np.int64)
        # Beyond the ends both are the element there.
        second = np.where((place >= n - 1) | (place < 0), first, first + 1)
        result = _interpolate(
            take_known(ordered, asarray(first), -1),
            take_known(ordered, asarray(second), -1),
            float(gamma[0]) if weak else asarray(gamma),
        )
    if ordered.dtype.kind == "f":
        last = ordered[..., -1:]
        result = where(isnan(last), last, result)
    return result


def _quantiles_of_valid(ordered: CuArray, count: CuArray, q: np.ndarray, method: str, weak: bool) -> CuArray:
    """The same of the first `count` elements of each row; NaN where there are none."""
    wanted = asarray(q.reshape(-1))
    n = _sorted.cast(count[..., None], wanted.dtype if wanted.dtype.kind == "f" else np.int64)
    last = maximum(count - 1, 0)[..., None]

    def index(place: CuArray) -> CuArray:
        return maximum(minimum(_sorted.cast(place, np.int64), last), 0)

    if method in _CHOOSING or (method == "linear" and q.dtype.kind in "iub"):
        choose = _CHOOSING.get(method, _INTERPOLATING["linear"])
        return take_along_known(ordered, index(choose(elementwise, n, wanted)))
    place = _INTERPOLATING[method](elementwise, n, wanted)
    before = elementwise.floor(place)
    gamma = _sorted.cast(_gamma(elementwise, method, place, before), ordered.dtype if weak else place.dtype)
    first = index(before)
    second = where((place >= last) | (place < 0), first, index(before + 1))
    return _interpolate(take_along_known(ordered, first), take_along_known(ordered, second), gamma)


def _weighted_quantiles(name: str, rows: CuArray, weights: CuArray, count: CuArray | None, q: np.ndarray) -> CuArray:
    """The first element of each sorted row up to which there is a part q of the row's weights."""
    n = rows.shape[-1]
    if not n:
        raise IndexError(f"{name}: index -1 is out of bounds for an axis of 0 elements")
    ordered, order = _sorted.sort_rows_with_indices(rows)
    parts = take_along_known(_sorted.cast(weights, np.float64), order)
    if count is not None:
        parts = where(isnan(ordered), 0.0, parts)
    sums = cumsum(parts, axis=-1)
    sums = sums / sums[..., -1:]
    bad = isnan(sums[..., -1])
    if bool(any_of(bad if count is None else bad & (count > 0))):
        raise ValueError(f"{name}: weights include NaN or infinity, or are all zero")
    if q.dtype.kind == "f":
        sums = _sorted.cast(sums, q.dtype)
    # Leading weights of 0 belong to no element, not even to that of q = 0.
    sums = where(equal(sums, 0), -1.0, sums)
    wanted = asarray(np.asarray(q.reshape(-1), sums.dtype))
    places = minimum(_sorted.search_rows(_sorted.packed(sums), wanted, "left"), n - 1)
    result = take_along_known(ordered, places)
    if count is not None:
        return where((count > 0)[..., None], result, ordered[..., -1:])
    if ordered.dtype.kind == "f":
        result = where(isnan(ordered[..., -1:]), ordered[..., -1:], result)
    return result


def _checked_weights(name: str, weights: Any, x: CuArray, axis: Any, method: str) -> CuArray:
    if method != "inverted_cdf":
        raise ValueError(f"{name}: only method 'inverted_cdf' takes weights, not {method!r}")
    weights = asarray(weights)
    if weights.dtype.kind == "c":
        raise TypeError(f"{name}: weights must be real numbers, not {weights.dtype}")
    if weights.shape != x.shape:
        if axis is None:
            raise TypeError(f"{name}: axis must be given where weights and x differ in shape")
        axes = axis if isinstance(axis, tuple | list) else (axis,)
        axes = tuple(normalize_axes(own, x.ndim)[0] for own in axes)
        if weights.shape != tuple(x.shape[own] for own in axes):
            raise ValueError(
                f"{name}: weights have shape {weights.shape}; along axis {axis} x has "
                f"{tuple(x.shape[own] for own in axes)}"
            )
        turned = view_of(weights, lambda ghost: ghost.transpose(np.argsort(axes)))
        weights = turned.reshape(tuple(extent if own in axes else 1 for own, extent in enumerate(x.shape)))
        weights = broadcast_to(weights, x.shape)
    if bool(any_of(weights < 0)):
        raise ValueError(f"{name}: weights must not be negative")
    return weights


def _quantile(
    name: str,
    x: Any,
    q: np.ndarray,
    weak: bool,
    axis: Any,
    out: CuArray | None,
    method: str,
    keepdims: bool,
    weights: Any,
    skip_nan: bool,
) -> CuArray:
    x = asarray(x)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: x must be an array of real numbers, not {x.dtype}")
    if q.ndim > 2:
        raise ValueError(f"{name}: q must be a scalar or have one or two dimensions, not {q.ndim}")
    if method not in _CHOOSING and method not in _INTERPOLATING:
        raise ValueError(f"{name}: {method!r} is no method; there are {', '.join((*_CHOOSING, *_INTERPOLATING))}")
    slices = _slices(name, x, axis)
    count = _valid(slices.rows) if skip_nan and x.dtype.kind == "f" and slices.rows.shape[-1] else None
    if weights is not None:
        own = _rows(_checked_weights(name, weights, x, axis, method), slices.axes)
        result = _weighted_quantiles(name, slices.rows, own, count, q)
    elif skip_nan and not slices.rows.shape[-1]:
        result = full((*slices.kept, q.size), np.nan, x.dtype if x.dtype.kind == "f" else np.float64)
    elif count is not None:
        result = _quantiles_of_valid(_sorted.sort_rows(slices.rows), count, q, method, weak)
    else:
        result = _quantiles_of_rows(_sorted.sort_rows(slices.rows), q, method, weak)
    turned = _sorted.packed(view_of(result, lambda ghost: np.moveaxis(ghost, -1, 0)))
    shape = slices.ones if keepdims else slices.kept
    return _finish(name, turned, (*q.shape, *shape), out)


def _checked_q(name: str, q: Any, whole: float) -> tuple[np.ndarray, bool]:
    """`q` as parts of 1, and whether it is a Python number."""
    weak = type(q) in (int, float)
    parts = np.asarray(q)
    if parts.dtype.kind not in "biuf":
        raise TypeError(f"{name}: q must be real numbers, not {parts.dtype}")
    if whole != 1:
        parts = np.asarray(np.true_divide(parts, whole))
    if not np.all((parts >= 0) & (parts <= 1)):
        raise ValueError(f"{name}: q must be in the range [0, {whole}]")
    return parts, weak


def quantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: CuArray | None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> CuArray:
    """The quantiles `q`, between 0 and 1, over `axis` (an int, a tuple, or None for all); their axes come first.

    `method`: NumPy's thirteen. `weights`, with method="inverted_cdf" only, has the shape of `a` or that of the reduced
    axes; it is checked, which waits for the device. NaN where there is one. `overwrite_input` changes nothing.

    >>> import cuarray as ca
    >>> ca.quantile(ca.array([[10, 7, 4], [3, 2, 1]]), 0.5, axis=0)
    array([6.5, 4.5, 2.5])
    """
    parts, weak = _checked_q("quantile", q, 1)
    return _quantile("quantile", a, parts, weak, axis, out, method, keepdims, weights, False)


def percentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: CuArray | None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> CuArray:
    """The percentiles `q`, between 0 and 100; see `quantile`.

    >>> import cuarray as ca
    >>> ca.percentile(ca.arange(11), [10, 50])
    array([1., 5.])
    """
    parts, weak = _checked_q("percentile", q, 100)
    return _quantile("percentile", a, parts, weak, axis, out, method, keepdims, weights, False)


def nanquantile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: CuArray | None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> CuArray:
    """The quantiles of the elements that are no NaN; NaN where there are none. See `quantile`.

    >>> import cuarray as ca
    >>> ca.nanquantile(ca.array([1.0, ca.nan, 3.0]), 0.5)
    array(2.)
    """
    parts, weak = _checked_q("nanquantile", q, 1)
    return _quantile("nanquantile", a, parts, weak, axis, out, method, keepdims, weights, True)


def nanpercentile(
    a: Any,
    q: Any,
    axis: Any = None,
    out: CuArray | None = None,
    overwrite_input: bool = False,
    method: str = "linear",
    keepdims: bool = False,
    *,
    weights: Any = None,
) -> CuArray:
    """The percentiles of the elements that are no NaN; NaN where there are none. See `quantile`.

    >>> import cuarray as ca
    >>> ca.nanpercentile(ca.array([1.0, ca.nan, 3.0]), 50)
    array(2.)
    """
    parts, weak = _checked_q("nanpercentile", q, 100)
    return _quantile("nanpercentile", a, parts, weak, axis, out, method, keepdims, weights, True)
