"""Reductions over axes."""

from __future__ import annotations

from typing import Any

from cuarray._array import CuArray
from cuarray._functions._reduction import reduce


def sum(
    x: Any, /, axis: Any = None, *, dtype: Any = None, out: CuArray | None = None, keepdims: bool = False
) -> CuArray:
    """Sum of the elements over `axis` (an int, a tuple, or None for all).

    Integers and bool are summed in 64 bits; float32 in float64, rounded once; the same bits on every run.

    >>> import cuarray as ca
    >>> ca.sum(ca.ones((2, 3)), axis=1)
    array([3., 3.])
    """
    return reduce("sum", x, axis, dtype, out, keepdims)


def prod(
    x: Any, /, axis: Any = None, *, dtype: Any = None, out: CuArray | None = None, keepdims: bool = False
) -> CuArray:
    """Product of the elements over `axis` (an int, a tuple, or None for all).

    >>> import cuarray as ca
    >>> ca.prod(ca.array([2, 3, 4]))
    array(24)
    """
    return reduce("prod", x, axis, dtype, out, keepdims)


def mean(
    x: Any, /, axis: Any = None, *, dtype: Any = None, out: CuArray | None = None, keepdims: bool = False
) -> CuArray:
    """Arithmetic mean over `axis` (an int, a tuple, or None for all); NaN where there is nothing to average.

    >>> import cuarray as ca
    >>> ca.mean(ca.array([[1, 2], [3, 6]]), axis=0)
    array([2., 4.])
    """
    return reduce("mean", x, axis, dtype, out, keepdims)


def min(x: Any, /, axis: Any = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Minimum over `axis` (an int, a tuple, or None for all); NaN if there is one. ValueError if it is empty.

    >>> import cuarray as ca
    >>> ca.min(ca.array([[3, 1], [2, 5]]), axis=1)
    array([1, 2])
    """
    return reduce("min", x, axis, None, out, keepdims)


def max(x: Any, /, axis: Any = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Maximum over `axis` (an int, a tuple, or None for all); NaN if there is one. ValueError if it is empty.

    >>> import cuarray as ca
    >>> ca.max(ca.array([3, 7, 5]))
    array(7)
    """
    return reduce("max", x, axis, None, out, keepdims)


amin, amax = min, max


def any(x: Any, /, axis: Any = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Whether any element over `axis` (an int, a tuple, or None for all) is true.

    >>> import cuarray as ca
    >>> ca.any(ca.array([[0, 1], [0, 0]]), axis=1)
    array([ True, False])
    """
    return reduce("any", x, axis, None, out, keepdims)


def all(x: Any, /, axis: Any = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Whether all elements over `axis` (an int, a tuple, or None for all) are true.

    >>> import cuarray as ca
    >>> ca.all(ca.array([1, 2]))
    array(True)
    """
    return reduce("all", x, axis, None, out, keepdims)


def argmin(x: Any, /, axis: int | None = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Index of the first minimum along `axis`, or in C order of all elements. ValueError if there are none.

    >>> import cuarray as ca
    >>> ca.argmin(ca.array([3, 1, 1]))
    array(1)
    """
    return reduce("argmin", x, axis, None, out, keepdims)


def argmax(x: Any, /, axis: int | None = None, *, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """Index of the first maximum along `axis`, or in C order of all elements. ValueError if there are none.

    >>> import cuarray as ca
    >>> ca.argmax(ca.array([[3, 9], [8, 1]]), axis=0)
    array([1, 0])
    """
    return reduce("argmax", x, axis, None, out, keepdims)


def count_nonzero(x: Any, /, axis: Any = None, *, keepdims: bool = False) -> CuArray:
    """How many elements over `axis` (an int, a tuple, or None for all) are not zero.

    >>> import cuarray as ca
    >>> ca.count_nonzero(ca.array([0, 3, 0, 4]))
    array(2)
    """
    return reduce("count_nonzero", x, axis, None, None, keepdims)
