"""Reductions over axes."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import as_dtype
from cuarray._functions._operation import check_out
from cuarray._functions._reduction import reduce
from cuarray._functions.creation import asarray, astype
from cuarray._functions.elementwise import add, divide, maximum, positive, sqrt, square, subtract
from cuarray._functions.manipulation import broadcast_to


def sum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """Sum of the elements over `axis` (an int, a tuple, or None for all).

    Integers and bool are summed in 64 bits, or in `dtype`; float32 in float64, rounded once; the same bits on every
    run. `initial` is added; elements where `where`, an array of bool that broadcasts to `a`, is false are left out.

    >>> import cuarray as ca
    >>> ca.sum(ca.ones((2, 3)), axis=1, where=ca.array([True, False, True]))
    array([2., 2.])
    """
    return reduce("sum", a, axis, dtype, out, keepdims, initial, where)


def prod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """Product of the elements over `axis` (an int, a tuple, or None for all); dtypes and arguments as those of `sum`.

    >>> import cuarray as ca
    >>> ca.prod(ca.array([2, 3, 4]), initial=10)
    array(240)
    """
    return reduce("prod", a, axis, dtype, out, keepdims, initial, where)


def mean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> CuArray:
    """Arithmetic mean over `axis` (an int, a tuple, or None for all), of the elements where `where` is true.

    Of integers and bool in float64. NaN, without a warning, where there is nothing to average.

    >>> import cuarray as ca
    >>> ca.mean(ca.array([[1, 2], [3, 6]]), axis=0)
    array([2., 4.])
    """
    return reduce("mean", a, axis, dtype, out, keepdims, None, where)


def var(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> CuArray:
    """Variance over `axis` (an int, a tuple, or None for all), of the elements where `where` is true.

    The mean square of the distances from the mean, in float64 where the elements are float32 or integers,
    which takes two passes over the array; of complex numbers the result is real. `ddof`, or `correction` with the array
    API's name, is subtracted from the number of elements that the sum of squares is divided by. `mean`, of the shape
    that keepdims=True gives, saves the first pass. NaN or infinity, without a warning, where too few elements are left.

    >>> import cuarray as ca
    >>> ca.var(ca.array([1.0, 2.0, 3.0, 6.0]))
    array(3.5)
    """
    return spread("var", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def std(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    ddof: float = 0,
    keepdims: bool = False,
    *,
    where: Any = True,
    mean: Any = None,
    correction: float | None = None,
) -> CuArray:
    """Standard deviation over `axis` (an int, a tuple, or None for all), of the elements where `where` is true.

    The root of the mean square of the distances from the mean, in float64 where the elements are float32 or integers,
    which takes two passes over the array; of complex numbers the result is real. `ddof`, or `correction` with the array
    API's name, is subtracted from the number of elements that the sum of squares is divided by. `mean`, of the shape
    that keepdims=True gives, saves the first pass. NaN or infinity, without a warning, where too few elements are left.

    >>> import cuarray as ca
    >>> ca.std(ca.array([1.0, 2.0, 3.0, 6.0]), correction=1)
    array(2.1602469)
    """
    return spread("std", a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def spread(
    name: str, a: Any, axis: Any, dtype: Any, out: CuArray | None, ddof: float, keepdims: bool, where: Any, mean: Any,
    correction: float | None,
) -> CuArray:  # fmt: skip
    """A row of the table that takes distances from a mean."""
    if correction is not None:
        if ddof != 0:
            raise ValueError("ddof and correction can't be provided simultaneously.")
        ddof = correction
    if name != "var" and out is not None:  # NumPy takes the root in the output's dtype: there is none of integers
        check_out(name, out)
        if out.dtype.kind in "biu":
            raise TypeError(f"{name}: out must be inexact, not {out.dtype}")
    centre = None if mean is None else asarray(mean)
    if dtype is not None and as_dtype(dtype).kind in "biu":
        result = _integer_variance(asarray(a), axis, as_dtype(dtype), ddof, keepdims, where, centre)
        if name == "std":
            # As NumPy: a number is converted, but an array of integers does not take a root.
            result = sqrt(result, out=result) if result.ndim else astype(sqrt(result), result.dtype)
        return result if out is None else positive(result, out=out)
    return reduce(name, a, axis, dtype, out, keepdims, None, where, less=ddof, centre=centre)


def _integer_variance(
    x: CuArray, axis: Any, dtype: np.dtype, ddof: float, keepdims: bool, where: Any, centre: CuArray | None
) -> CuArray:
    """A variance in an integer dtype: the mean, each square and the quotient lose their fractions, as NumPy's do."""
    if centre is None:
        centre = reduce("mean", x, axis, dtype, None, True, None, where)
    distance = subtract(x, centre)
    if distance.dtype.kind == "c":
        squares = add(square(distance.real), square(distance.imag))
    else:
        squares = square(distance)
    total = reduce("sum", squares, axis, dtype, None, keepdims, None, where)
    count = reduce("sum", broadcast_to(where, x.shape), axis, None, None, keepdims)
    return astype(divide(total, maximum(subtract(count, ddof), 0)), dtype)


def min(
    a: Any,
    axis: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """Minimum over `axis` (an int, a tuple, or None for all); NaN if there is one.

    `initial` is one more candidate. Without it nothing at all, and `where` (an array of bool: elements where it is
    false are left out), are a ValueError.

    >>> import cuarray as ca
    >>> ca.min(ca.array([[3, 1], [2, 5]]), axis=1)
    array([1, 2])
    """
    return reduce("min", a, axis, None, out, keepdims, initial, where)


def max(
    a: Any,
    axis: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """Maximum over `axis` (an int, a tuple, or None for all); NaN if there is one.

    `initial` is one more candidate. Without it nothing at all, and `where` (an array of bool: elements where it is
    false are left out), are a ValueError.

    >>> import cuarray as ca
    >>> ca.max(ca.array([3, 7, 5]), initial=9)
    array(9)
    """
    return reduce("max", a, axis, None, out, keepdims, initial, where)


amin, amax = min, max


def any(a: Any, axis: Any = None, out: CuArray | None = None, keepdims: bool = False, *, where: Any = True) -> CuArray:
    """Whether any element over `axis` (an int, a tuple, or None for all) is true, of those where `where` is true.

    >>> import cuarray as ca
    >>> ca.any(ca.array([[0, 1], [0, 0]]), axis=1)
    array([ True, False])
    """
    return reduce("any", a, axis, None, out, keepdims, None, where)


def all(a: Any, axis: Any = None, out: CuArray | None = None, keepdims: bool = False, *, where: Any = True) -> CuArray:
    """Whether all elements over `axis` (an int, a tuple, or None for all) are true, of those where `where` is true.

    >>> import cuarray as ca
    >>> ca.all(ca.array([1, 2]))
    array(True)
    """
    return reduce("all", a, axis, None, out, keepdims, None, where)


def argmin(a: Any, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
    """Index of the first minimum along `axis`, or in C order of all elements. ValueError if there are none.

    >>> import cuarray as ca
    >>> ca.argmin(ca.array([3, 1, 1]))
    array(1)
    """
    return reduce("argmin", a, axis, None, out, keepdims)


def argmax(a: Any, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
    """Index of the first maximum along `axis`, or in C order of all elements. ValueError if there are none.

    >>> import cuarray as ca
    >>> ca.argmax(ca.array([[3, 9], [8, 1]]), axis=0)
    array([1, 0])
    """
    return reduce("argmax", a, axis, None, out, keepdims)


def count_nonzero(a: Any, axis: Any = None, *, keepdims: bool = False) -> CuArray:
    """How many elements over `axis` (an int, a tuple, or None for all) are not zero.

    >>> import cuarray as ca
    >>> ca.count_nonzero(ca.array([0, 3, 0, 4]))
    array(2)
    """
    return reduce("count_nonzero", a, axis, None, None, keepdims)


def ptp(a: Any, axis: Any = None, out: CuArray | None = None, keepdims: bool = False) -> CuArray:
    """The range of the elements, maximum - minimum, over `axis` (an int, a tuple, or None for all).

    Integers wrap around, as NumPy's do; bool has no difference, a TypeError. ValueError if there are no elements.

    >>> import cuarray as ca
    >>> ca.ptp(ca.array([[4, 9], [2, 3]]), axis=1)
    array([5, 1])
    """
    a = asarray(a)
    return subtract(max(a, axis, keepdims=keepdims), min(a, axis, keepdims=keepdims), out=out)
