"""Polynomials as 1-d arrays of coefficients, that of the highest power first."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import as_dtype
from cuarray._functions._namespace import namespace
from cuarray._functions.creation import asarray, astype, copy, empty, ones, zeros, zeros_like
from cuarray._functions.elementwise import absolute, sqrt
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import atleast_1d, reshape
from cuarray._functions.matrices import diag, vander
from cuarray._functions.ranges import arange
from cuarray._functions.rearranging import trim_zeros
from cuarray._functions.reductions import sum
from cuarray._functions.sequences import convolve


def polyval(p: Any, x: Any) -> CuArray:
    """The values at `x` of the polynomial with the coefficients `p`.

    >>> import cuarray as ca
    >>> ca.polyval([3, 0, 1], [1, 2])
    array([ 4, 13])
    """
    coefficients = p if type(p) is CuArray else np.asarray(p)
    at = asarray(x)
    value = zeros_like(at)
    for position in range(len(coefficients)):
        value = value * at + coefficients[position]
    return value


def _aligned(a1: Any, a2: Any) -> tuple[CuArray, CuArray]:
    """Coefficients of two polynomials, the shorter ones after zeros."""
    first, second = atleast_1d(a1, a2)
    missing = len(second) - len(first)
    if missing > 0:
        first = concatenate((zeros(missing, first.dtype), first))
    elif missing < 0:
        second = concatenate((zeros(-missing, second.dtype), second))
    return first, second


def polyadd(a1: Any, a2: Any) -> CuArray:
    """The sum of two polynomials.

    >>> import cuarray as ca
    >>> ca.polyadd([1, 2], [9, 5, 4])
    array([9, 6, 6])
    """
    first, second = _aligned(a1, a2)
    return first + second


def polysub(a1: Any, a2: Any) -> CuArray:
    """The difference of two polynomials.

    >>> import cuarray as ca
    >>> ca.polysub([2, 10, -2], [3, 10, -4])
    array([-1,  0,  2])
    """
    first, second = _aligned(a1, a2)
    return first - second


def _without_leading_zeros(a: Any) -> CuArray:
    x = trim_zeros(atleast_1d(a), "f")
    return x if x.size else zeros(1, x.dtype)


def polymul(a1: Any, a2: Any) -> CuArray:
    """The product of two polynomials. Leading zeros are left out, hence this waits for the device.

    >>> import cuarray as ca
    >>> ca.polymul([1, 2, 3], [9, 5, 1])
    array([ 9, 23, 38, 17,  3])
    """
    return convolve(_without_leading_zeros(a1), _without_leading_zeros(a2))


def polydiv(u: Any, v: Any) -> tuple[CuArray, CuArray]:
    """Quotient and remainder of two polynomials. Leading zeros of the remainder are left out: this waits.

    >>> import cuarray as ca
    >>> ca.polydiv([3.0, 5.0, 2.0], [2.0, 1.0])
    (array([1.5 , 1.75]), array([0.25]))
    """
    dividend, divisor = atleast_1d(u) + 0.0, atleast_1d(v) + 0.0
    dtype = as_dtype(np.result_type(dividend.dtype, divisor.dtype))
    steps = len(dividend) - len(divisor) + 1
    scale = 1.0 / divisor[0]
    quotient = zeros(max(steps, 1), dtype)
    rest = astype(dividend, dtype)
    for step in range(steps):
        factor = scale * rest[step]
        quotient[step] = factor
        rest[step : step + len(divisor)] -= factor * divisor
    # What NumPy's allclose takes for 0.
    small = np.asarray(absolute(rest) <= 1e-8)
    first = int(np.argmin(small)) if not small.all() else small.size - 1
    return quotient, rest[first:]


def polyder(p: Any, m: int = 1) -> CuArray:
    """The m-th derivative of a polynomial.

    >>> import cuarray as ca
    >>> ca.polyder([1, 1, 1, 1])
    array([3, 2, 1])
    """
    m = int(m)
    if m < 0:
        raise ValueError(f"polyder: m must not be negative, it is {m}")
    value = asarray(p)
    for _ in range(m):
        value = value[:-1] * arange(len(value) - 1, 0, -1)
    return value


def polyint(p: Any, m: int = 1, k: Any = None) -> CuArray:
    """The m-th antiderivative of a polynomial; `k`: the constant of each integration, or one for all.

    >>> import cuarray as ca
    >>> ca.polyint([6, 4, 2])
    array([2., 2., 2., 0.])
    """
    m = int(m)
    if m < 0:
        raise ValueError(f"polyint: m must not be negative, it is {m}")
    constants = zeros(m) if k is None else atleast_1d(k)
    if len(constants) == 1 and m > 1:
        constants = constants[0] * ones(m)
    if len(constants) < m:
        raise ValueError(f"polyint: k must have {m} constants (or one), it has {len(constants)}")
    value = asarray(p)
    for number in range(m):
        value = concatenate((value / arange(len(value), 0, -1), constants[number : number + 1]))
    return value


def poly(seq_of_zeros: Any) -> CuArray:
    """The coefficients of the polynomial with these roots, or of the characteristic one of a square matrix.

    Of complex roots that come in conjugate pairs the coefficients are real: for complex roots this waits.

    >>> import cuarray as ca
    >>> ca.poly([1, 2])
    array([ 1., -3.,  2.])
    """
    roots = atleast_1d(seq_of_zeros)
    if roots.ndim == 2 and roots.shape[0] == roots.shape[1] and roots.size:
        roots = namespace().linalg.eigvals(roots)
    elif roots.ndim != 1:
        raise ValueError("poly: seq_of_zeros must be 1-d or a square matrix")
    elif roots.dtype.kind not in "fc":
        roots = astype(roots, float)
    if not roots.size:
        return ones(())
    result = ones(1, roots.dtype)
    for position in range(roots.size):
        factor = empty(2, roots.dtype)
        factor[0] = 1
        factor[1] = -roots[position]
        result = convolve(result, factor)
    if roots.dtype.kind == "c":
        values = np.asarray(roots)
        if np.array_equal(np.sort(values), np.sort(values.conj())):
            result = copy(result.real)
    return result


def roots(p: Any) -> CuArray:
    """The roots of a polynomial, as the eigenvalues of its companion matrix. This waits for the device.

    >>> import cuarray as ca
    >>> ca.roots([1, 0, 0])
    array([0., 0.])
    """
    coefficients = atleast_1d(p)
    if coefficients.ndim != 1:
        raise ValueError(f"roots: p must be 1-d, it has {coefficients.ndim} dimensions")
    places = np.flatnonzero(np.asarray(coefficients != 0))
    if not places.size:
        return zeros(0)
    trailing = len(coefficients) - int(places[-1]) - 1
    coefficients = coefficients[int(places[0]) : int(places[-1]) + 1]
    if coefficients.dtype.kind not in "fc":
        coefficients = astype(coefficients, float)
    if len(coefficients) < 2:
        return zeros(trailing)
    companion = diag(ones(len(coefficients) - 2, coefficients.dtype), -1)
    companion[0, :] = -coefficients[1:] / coefficients[0]
    found = namespace().linalg.eigvals(companion)
    return concatenate((found, zeros(trailing, found.dtype)))


def polyfit(
    x: Any, y: Any, deg: int, rcond: float | None = None, full: bool = False, w: Any = None, cov: Any = False
) -> Any:
    """The coefficients of the polynomial of degree `deg` that is nearest to the points, by least squares.

    `x`: (M,), `y`: (M,) or (M, K) for K fits; `w`: weights of the residuals, not of their squares. With `full` also
    residuals, rank, singular values and rcond; with `cov` also the covariances of the coefficients, not scaled by the
    residuals if it is "unscaled".

    >>> import cuarray as ca
    >>> ca.polyfit([0.0, 1.0, 2.0], [1.0, 3.0, 5.0], 1).round(6)
    array([2., 1.])
    """
    linalg = namespace().linalg
    order = operator.index(deg) + 1
    at, values = asarray(x) + 0.0, asarray(y) + 0.0
    if order < 1:
        raise ValueError(f"polyfit: deg must not be negative, it is {deg}")
    if at.ndim != 1 or not at.size:
        raise TypeError("polyfit: x must be 1-d and not empty")
    if values.ndim not in (1, 2) or len(values) != len(at):
        raise TypeError(f"polyfit: y must have shape ({len(at)},) or ({len(at)}, K), not {values.shape}")
    rcond = len(at) * np.finfo(at.dtype).eps if rcond is None else rcond
    left, right = vander(at, order), values
    if w is not None:
        weights = asarray(w) + 0.0
        if weights.shape != at.shape:
            raise TypeError(f"polyfit: w must have the shape of x, {at.shape}, not {weights.shape}")
        left = left * weights[:, None]
        right = right * (weights[:, None] if right.ndim == 2 else weights)
    scale = sqrt(sum(left * left, axis=0))
    left = left / scale
    result, residuals, rank, singular = linalg.lstsq(left, right, rcond)
    columns = scale if result.ndim == 1 else reshape(scale, (-1, 1))
    result = result / columns
    if full:
        return result, residuals, rank, singular, rcond
    if not cov:
        return result
    base = linalg.inv(left.T @ left) / (reshape(scale, (-1, 1)) * scale)
    factor: Any = 1
    if cov != "unscaled":
        if len(at) <= order:
            raise ValueError("polyfit: there must be more points than coefficients to scale the covariances")
        factor = residuals / (len(at) - order)
    return result, base * factor if values.ndim == 1 else base[:, :, None] * factor
