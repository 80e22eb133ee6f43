"""Reductions that leave NaN out. None of NumPy's RuntimeWarnings about slices without a number is given."""

from __future__ import annotations

from typing import Any

from cuarray._array import CuArray
from cuarray._dtypes import as_dtype
from cuarray._functions._reduction import reduce, ufunc_reduce
from cuarray._functions.creation import asarray
from cuarray._functions.elementwise import fmax, fmin
from cuarray._functions.reductions import spread


def nansum(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """`sum` of the elements that are not NaN.

    >>> import cuarray as ca
    >>> ca.nansum(ca.array([1.0, float("nan"), 2.0]))
    array(3.)
    """
    return reduce("nansum", a, axis, dtype, out, keepdims, initial, where)


def nanprod(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """`prod` of the elements that are not NaN.

    >>> import cuarray as ca
    >>> ca.nanprod(ca.array([2.0, float("nan"), 3.0]))
    array(6.)
    """
    return reduce("nanprod", a, axis, dtype, out, keepdims, initial, where)


def nanmean(
    a: Any,
    axis: Any = None,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    *,
    where: Any = True,
) -> CuArray:
    """`mean` of the elements that are not NaN; NaN, without a warning, where there are none.

    >>> import cuarray as ca
    >>> ca.nanmean(ca.array([[1.0, float("nan")], [3.0, 4.0]]), axis=0)
    array([2., 4.])
    """
    return reduce(_named("nanmean", a, dtype, out), a, axis, dtype, out, keepdims, None, where)


def nanvar(
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
    """`var` of the elements that are not NaN; NaN, without a warning, where no more than `ddof` are left.

    >>> import cuarray as ca
    >>> ca.nanvar(ca.array([1.0, float("nan"), 3.0]))
    array(1.)
    """
    return spread(_named("nanvar", a, dtype, out), a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def nanstd(
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
    """`std` of the elements that are not NaN; NaN, without a warning, where no more than `ddof` are left.

    >>> import cuarray as ca
    >>> ca.nanstd(ca.array([1.0, float("nan"), 3.0]))
    array(1.)
    """
    return spread(_named("nanstd", a, dtype, out), a, axis, dtype, out, ddof, keepdims, where, mean, correction)


def nanmin(
    a: Any,
    axis: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """`min` of the elements that are not NaN; NaN, without a warning, where there are no others.

    >>> import cuarray as ca
    >>> ca.nanmin(ca.array([3.0, float("nan"), 1.0]))
    array(1.)
    """
    return ufunc_reduce(fmin, a, axis, None, out, keepdims, initial, where)


def nanmax(
    a: Any,
    axis: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """`max` of the elements that are not NaN; NaN, without a warning, where there are no others.

    >>> import cuarray as ca
    >>> ca.nanmax(ca.array([3.0, float("nan"), 1.0]))
    array(3.)
    """
    return ufunc_reduce(fmax, a, axis, None, out, keepdims, initial, where)


def nanargmin(a: Any, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
    """Index of the first minimum that is not NaN along `axis`, or in C order of all elements.

    ValueError if there are no elements, or only NaN along the axis: this waits for the result.

    >>> import cuarray as ca
    >>> ca.nanargmin(ca.array([3.0, 1.0, float("nan")]))
    array(1)
    """
    return _some(reduce("nanargmin", a, axis, None, out, keepdims))


def nanargmax(a: Any, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
    """Index of the first maximum that is not NaN along `axis`, or in C order of all elements.

    ValueError if there are no elements, or only NaN along the axis: this waits for the result.

    >>> import cuarray as ca
    >>> ca.nanargmax(ca.array([3.0, 1.0, float("nan")]))
    array(0)
    """
    return _some(reduce("nanargmax", a, axis, None, out, keepdims))


def _named(name: str, a: Any, dtype: Any, out: CuArray | None) -> str:
    # What cannot be NaN goes the other way in NumPy, which gives infinity, not NaN, where too few elements are left.
    if asarray(a).dtype.kind in "biu":
        return name[3:]
    for what, own in (("dtype", None if dtype is None else as_dtype(dtype)), ("out", getattr(out, "dtype", None))):
        if own is not None and own.kind in "biu":
            raise TypeError(f"{name}: if a is inexact, then {what} must be inexact, not {own}")
    return name


def _some(index: CuArray) -> CuArray:
    if index.size and int(index.min()) < 0:
        raise ValueError("All-NaN slice encountered")
    return index
