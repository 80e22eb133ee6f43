"""Questions about elements and arrays: which are infinite, real, close to each other; what is an array of what."""

from __future__ import annotations

import builtins
import math
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import kind_of, result_type
from cuarray._functions._operation import as_operand
from cuarray._functions.creation import astype, full
from cuarray._functions.elementwise import absolute, equal, isfinite, isnan, less_equal, not_equal
from cuarray._functions.reductions import all
from cuarray._layout import broadcast_shapes


def _is_infinity(name: str, x: Any, infinity: float, out: CuArray | None) -> CuArray:
    x = as_operand(x)
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: x must be real; complex numbers have no sign of infinity")
    return equal(x, infinity, out=out)


def isposinf(x: Any, out: CuArray | None = None) -> CuArray:
    """Whether each element is positive infinity. TypeError for complex numbers.

    >>> import cuarray as ca
    >>> ca.isposinf(ca.array([-ca.inf, 0.0, ca.inf]))
    array([False, False,  True])
    """
    return _is_infinity("isposinf", x, math.inf, out)


def isneginf(x: Any, out: CuArray | None = None) -> CuArray:
    """Whether each element is negative infinity. TypeError for complex numbers.

    >>> import cuarray as ca
    >>> ca.isneginf(ca.array([-ca.inf, 0.0, ca.inf]))
    array([ True, False, False])
    """
    return _is_infinity("isneginf", x, -math.inf, out)


def iscomplex(x: Any) -> CuArray:
    """Whether each element has an imaginary part other than 0.

    >>> import cuarray as ca
    >>> ca.iscomplex(ca.array([1 + 1j, 1 + 0j]))
    array([ True, False])
    """
    x = as_operand(x)
    return not_equal(x.imag, 0) if x.dtype.kind == "c" else full(x.shape, False)


def isreal(x: Any) -> CuArray:
    """Whether the imaginary part of each element is 0.

    >>> import cuarray as ca
    >>> ca.isreal(ca.array([1 + 1j, 1 + 0j]))
    array([False,  True])
    """
    x = as_operand(x)
    return equal(x.imag, 0) if x.dtype.kind == "c" else full(x.shape, True)


def iscomplexobj(x: Any) -> bool:
    """Whether `x` is an array, or a scalar, of a complex dtype, whatever its values; a Python bool.

    >>> import cuarray as ca
    >>> ca.iscomplexobj(ca.array([1 + 0j])), ca.iscomplexobj(3.0)
    (True, False)
    """
    return builtins.bool(np.iscomplexobj(np.empty(0, x.dtype) if type(x) is CuArray else x))


def isrealobj(x: Any) -> bool:
    """Whether `x` is no array, and no scalar, of a complex dtype; a Python bool.

    >>> import cuarray as ca
    >>> ca.isrealobj(ca.array([1 + 0j])), ca.isrealobj(3.0)
    (False, True)
    """
    return not iscomplexobj(x)


def isscalar(element: Any) -> bool:
    """Whether `element` is a Python or NumPy scalar; arrays are none, 0-d ones neither. A Python bool.

    >>> import cuarray as ca
    >>> ca.isscalar(3.1), ca.isscalar(ca.array(3.1))
    (True, False)
    """
    return builtins.bool(np.isscalar(element))


def isclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> CuArray:
    """Whether ``abs(a - b) <= atol + rtol * abs(b)``, element by element; equal infinities are close.

    `a`, `b` and the tolerances broadcast. NaN is close to nothing, or to NaN if `equal_nan` is True.

    >>> import cuarray as ca
    >>> ca.isclose(ca.array([1.0, 1.0, ca.nan]), ca.array([1.0 + 1e-9, 1.1, ca.nan]))
    array([ True, False, False])
    """
    x, y, absolute_tolerance, relative = (
        value if isinstance(value, int | float | complex) else as_operand(value) for value in (a, b, atol, rtol)
    )
    # Of a floating dtype, so that the magnitude of the lowest integer is one.
    if type(y) is CuArray:
        y = astype(y, result_type(y.dtype, float), copy=False)
    elif isinstance(y, int):
        y = float(y)
    difference = absolute(as_operand(x) - y if type(x) is not CuArray and type(y) is not CuArray else x - y)
    result = less_equal(difference, absolute_tolerance + relative * absolute(y)) & isfinite(y)
    result = result | equal(x, y)
    if equal_nan:
        result = result | (isnan(x) & isnan(y))
    return result


def allclose(a: Any, b: Any, rtol: Any = 1e-5, atol: Any = 1e-8, equal_nan: bool = False) -> bool:
    """Whether all elements are close, as `isclose` has it: a Python bool, for which it waits for the device.

    >>> import cuarray as ca
    >>> ca.allclose(ca.array([1e10, 1e-7]), ca.array([1.00001e10, 1e-8]))
    False
    """
    return builtins.bool(all(isclose(a, b, rtol, atol, equal_nan)))


def array_equal(a1: Any, a2: Any, equal_nan: bool = False) -> bool:
    """Whether two arrays have one shape and the same elements: a Python bool, for which it waits for the device.

    NaN is equal to nothing, or to NaN if `equal_nan` is True. What cannot be an array is equal to none.

    >>> import cuarray as ca
    >>> ca.array_equal(ca.arange(3), [0, 1, 2]), ca.array_equal(ca.arange(3), [0])
    (True, False)
    """
    try:
        first, second = as_operand(a1), as_operand(a2)
    except (TypeError, ValueError, OverflowError):
        return False
    if first.shape != second.shape:
        return False
    same = equal(first, second)
    if equal_nan:
        if first is second:
            return True
        if _may_hold_nan(first, second):
            same = same | (isnan(first) & isnan(second))
    return builtins.bool(all(same))


def _may_hold_nan(*arrays: CuArray) -> bool:
    """Whether all of these arrays can hold NaN."""
    return builtins.all(kind_of(array.dtype) in "fc" for array in arrays)


def array_equiv(a1: Any, a2: Any) -> bool:
    """Whether two arrays broadcast, and then have the same elements: a Python bool; it waits for the device.

    >>> import cuarray as ca
    >>> ca.array_equiv(ca.array([1, 2]), ca.array([[1, 2], [1, 2]]))
    True
    """
    try:
        first, second = as_operand(a1), as_operand(a2)
    except (TypeError, ValueError, OverflowError):
        return False
    try:
        broadcast_shapes(first.shape, second.shape)
    except ValueError:
        return False
    return builtins.bool(all(equal(first, second)))
