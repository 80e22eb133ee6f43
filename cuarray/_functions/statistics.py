"""Weighted means and covariances."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import as_dtype, result_type
from cuarray._functions._reduction import normalize_axes
from cuarray._functions.creation import asarray, astype
from cuarray._functions.elementwise import clip, conjugate, divide, equal, multiply, sqrt, subtract
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import broadcast_to, diagonal, transpose
from cuarray._functions.products import matmul
from cuarray._functions.reductions import any, mean, sum


def average(a: Any, axis: Any = None, weights: Any = None, returned: bool = False, *, keepdims: bool = False) -> Any:
    """Mean over `axis` (an int, a tuple, or None for all), weighted by `weights` if given.

    `weights` has the array's shape, or that of the axes named (TypeError without `axis`, ValueError for another
    shape). `returned`: a tuple of the mean and the sum of the weights. ZeroDivisionError where weights sum to zero:
    this waits for their sum.

    >>> import cuarray as ca
    >>> ca.average(ca.array([1.0, 2.0, 3.0]), weights=ca.array([3, 0, 1]))
    array(1.5)
    """
    x = asarray(a)
    axes = normalize_axes(axis, x.ndim) if axis is not None else None
    if weights is None:
        result = mean(x, axis, keepdims=keepdims)
        if not returned:
            return result
        count = x.size / result.size if result.size else 0.0
        return result, _copy(broadcast_to(asarray(count, result.dtype), result.shape))
    w = asarray(weights)
    dtype = result_type(x.dtype, w.dtype)
    if x.dtype.kind in "biu":
        dtype = result_type(dtype, np.dtype(np.float64))
    if w.shape != x.shape:
        w = _spread_weights(w, x, axis, axes)
    total = sum(w, axis, dtype=dtype, keepdims=keepdims)
    if bool(any(equal(total, 0))):
        raise ZeroDivisionError("average: weights sum to zero, so that they cannot be normalized")
    result = divide(sum(multiply(x, w, dtype=dtype), axis, keepdims=keepdims), total)
    if not returned:
        return result
    return result, total if total.shape == result.shape else _copy(broadcast_to(total, result.shape))


def _copy(x: CuArray) -> CuArray:
    from cuarray._functions.creation import copy

    return copy(x)


def _spread_weights(w: CuArray, x: CuArray, axis: Any, axes: tuple[int, ...] | None) -> CuArray:
    """Weights of the axes named, as a view that broadcasts to the array."""
    if axes is None:
        raise TypeError("average: axis must be specified when the shapes of a and weights differ")
    named = axis if isinstance(axis, tuple | list) else (axis,)
    order = [number % x.ndim for number in named]
    if w.shape != tuple(x.shape[number] for number in order):
        raise ValueError(f"average: weights have shape {w.shape}, inconsistent with {x.shape} along axis {axis}")
    w = transpose(w, tuple(int(k) for k in np.argsort(order)))
    return broadcast_to(w.reshape(tuple(x.shape[d] if d in axes else 1 for d in range(x.ndim))), x.shape)


def cov(
    m: Any, y: Any = None, rowvar: bool = True, bias: bool = False, ddof: int | None = None, fweights: Any = None,
    aweights: Any = None, *, dtype: Any = None,
) -> CuArray:  # fmt: skip
    """Covariance matrix of variables, each a row of `m`, a column unless `rowvar`; `y` has more of them.

    Divided by the number of observations less `ddof` (1; 0 if `bias`). `fweights` says how often each observation
    occurs, `aweights` how much it counts; both are 1-d with an element for each. Computed in float64 or complex128
    (float32 and complex64 arrays too, as NumPy), or in `dtype`. ValueError, TypeError or RuntimeError for wrong shapes
    and values; whether weights are whole and not negative is looked at, which waits for them.

    >>> import cuarray as ca
    >>> ca.cov(ca.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    if ddof is not None and ddof != int(ddof):
        raise ValueError("cov: ddof must be an integer")
    m = asarray(m)
    if m.ndim > 2:
        raise ValueError("cov: m has more than 2 dimensions")
    others = None if y is None else asarray(y)
    if others is not None and others.ndim > 2:
        raise ValueError("cov: y has more than 2 dimensions")
    if dtype is None:
        kinds = [m.dtype] if others is None else [m.dtype, others.dtype]
        dtype = result_type(*kinds, np.dtype(np.float64))
    dtype = as_dtype(dtype)
    x = astype(_at_least_2d(m), dtype, copy=False)
    if not rowvar and m.ndim != 1:
        x = x.T
    if x.shape[0] == 0:
        return asarray(np.empty((0, 0)))
    if others is not None:
        others = astype(_at_least_2d(others), dtype, copy=False)
        if not rowvar and others.shape[0] != 1:
            others = others.T
        x = concatenate([x, others])
    if ddof is None:
        ddof = 0 if bias else 1
    w = _observation_weights(x.shape[1], fweights, aweights)
    centre, total = average(x, axis=1, weights=w, returned=True)
    total = total[0]
    if w is None:
        factor: Any = x.shape[1] - ddof
    elif ddof == 0:
        factor = total
    elif aweights is None:
        factor = total - ddof
    else:
        factor = total - ddof * sum(w * asarray(aweights)) / total
    factor = clip(factor, 0, None) if isinstance(factor, CuArray) else max(factor, 0)
    x = astype(subtract(x, centre[:, None]), x.dtype, copy=False)
    product = matmul(x, conjugate(transpose(x if w is None else multiply(x, w))))
    # As NumPy: a product with the reciprocal, which is infinite where too few observations are left.
    return multiply(product, divide(1.0, asarray(factor)), out=product).squeeze()


def _at_least_2d(x: CuArray) -> CuArray:
    return x if x.ndim == 2 else x.reshape(1, x.size)


def _observation_weights(count: int, fweights: Any, aweights: Any) -> CuArray | None:
    result = None
    for name, given in (("fweights", fweights), ("aweights", aweights)):
        if given is None:
            continue
        own = asarray(given, np.float64)
        if name == "fweights" and bool(any(own != own.round())):
            raise TypeError("cov: fweights must be integer")
        if own.ndim > 1:
            raise RuntimeError(f"cov: cannot handle multidimensional {name}")
        if own.shape[0] != count:
            raise RuntimeError(f"cov: incompatible numbers of observations and {name}")
        if bool(any(own < 0)):
            raise ValueError(f"cov: {name} cannot be negative")
        result = own if result is None else result * own
    return result


def corrcoef(x: Any, y: Any = None, rowvar: bool = True, *, dtype: Any = None) -> CuArray:
    """Correlation coefficients of variables, each a row of `x`, a column unless `rowvar`; `y` has more of them.

    The covariances divided by the standard deviations, in float64 or complex128, or in `dtype`; real and imaginary
    parts are clipped to -1 .. 1.

    >>> import cuarray as ca
    >>> ca.corrcoef(ca.array([[0.0, 1.0, 2.0], [2.0, 1.0, 0.0]]))
    array([[ 1., -1.],
           [-1.,  1.]])
    """
    c = cov(x, y, rowvar, dtype=dtype)
    if c.ndim == 0:
        return c / c
    deviation = sqrt(diagonal(c).real)
    c = c / deviation[:, None] / deviation[None, :]
    if c.dtype.kind != "c":
        return clip(c, -1, 1)
    for part in (c.real, c.imag):
        clip(part, -1, 1, out=part)
    return c
