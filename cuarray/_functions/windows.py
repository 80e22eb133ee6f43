"""Windows: what the ends of a series of samples are faded with before its spectrum is taken."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions.creation import ones, zeros
from cuarray._functions.elementwise import absolute, cos, divide, sqrt
from cuarray._functions.mathematics import i0
from cuarray._functions.ranges import arange


def _count(M: Any) -> float:
    if isinstance(M, str | bytes):
        raise TypeError(f"M must be a number, not {M!r}")
    return float(M)


def _places(M: Any) -> CuArray | None:
    """M places from -1 to 1, evenly spaced; None where there are fewer than two."""
    count = _count(M)
    return arange(1.0 - count, count, 2.0) / (count - 1.0) if count >= 1 and count != 1 else None


def _few(M: Any) -> CuArray:
    return ones(1) if float(M) == 1 else zeros(0)


def _cosines(M: Any, *factors: float) -> CuArray:
    places = _places(M)
    if places is None:
        return _few(M)
    result = factors[0] + factors[1] * cos(np.pi * places)
    for number, factor in enumerate(factors[2:], 2):
        result += factor * cos(number * np.pi * places)
    return result


def bartlett(M: int) -> CuArray:
    """The triangular window of `M` points, 0 at both ends: float64.

    >>> import cuarray as ca
    >>> ca.bartlett(5)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    places = _places(M)
    return _few(M) if places is None else 1.0 - absolute(places)


def blackman(M: int) -> CuArray:
    """The Blackman window of `M` points, of three cosine terms: float64.

    >>> import cuarray as ca
    >>> ca.blackman(5).round(3)
    array([-0.  ,  0.34,  1.  ,  0.34, -0.  ])
    """
    return _cosines(M, 0.42, 0.5, 0.08)


def hamming(M: int) -> CuArray:
    """The Hamming window of `M` points, a cosine on a pedestal: float64.

    >>> import cuarray as ca
    >>> ca.hamming(5)
    array([0.08, 0.54, 1.  , 0.54, 0.08])
    """
    return _cosines(M, 0.54, 0.46)


def hanning(M: int) -> CuArray:
    """The Hann window of `M` points, a cosine that is 0 at both ends: float64.

    >>> import cuarray as ca
    >>> ca.hanning(5)
    array([0. , 0.5, 1. , 0.5, 0. ])
    """
    return _cosines(M, 0.5, 0.5)


def kaiser(M: int, beta: float) -> CuArray:
    """The Kaiser window of `M` points: the larger `beta`, the wider its middle and the lower its side lobes; float64.

    >>> import cuarray as ca
    >>> ca.kaiser(3, 2.0).round(4)
    array([0.4387, 1.    , 0.4387])
    """
    count = _count(M)
    if count == 1:
        return ones(1)
    middle = (count - 1.0) / 2.0
    places = (arange(0.0, count) - middle) / middle
    return divide(i0(beta * sqrt(1.0 - places * places)), i0(float(beta)))
