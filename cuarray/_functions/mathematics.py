"""Mathematical functions of elements that are no ufuncs in NumPy."""

from __future__ import annotations

import builtins
from typing import Any

import ml_dtypes
import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import BFLOAT16, Loop, OperandType, kind_of, result_type
from cuarray._functions._operation import Operation, as_operand, copy_operation
from cuarray._functions.creation import array
from cuarray._functions.elementwise import absolute, arctan2, equal, isnan, multiply, trunc
from cuarray._functions.reductions import all


def _limits(dtype: np.dtype) -> Any:
    return ml_dtypes.finfo(dtype) if dtype == BFLOAT16 else np.finfo(dtype)


def fix(x: Any, out: CuArray | None = None) -> CuArray:
    """Elements rounded towards zero; integers stay as they are.

    >>> import cuarray as ca
    >>> ca.fix(ca.array([2.9, -2.9]))
    array([ 2., -2.])
    """
    return trunc(x, out=out)


def nan_to_num(x: Any, copy: bool = True, nan: Any = 0.0, posinf: Any = None, neginf: Any = None) -> CuArray:
    """NaN replaced by `nan`, infinities by `posinf` and `neginf`: the largest and lowest finite numbers if None.

    The replacements are scalars, or arrays that broadcast to `x`. Parts of complex numbers are replaced each by itself.
    With `copy=False` a CuArray is changed in place (ValueError if it is read-only). Integers and bool stay as they are.

    >>> import cuarray as ca
    >>> ca.nan_to_num(ca.array([ca.nan, 1.5, -ca.inf]), neginf=-9.0)
    array([ 0. ,  1.5, -9. ])
    """
    x = array(x, copy=True if copy else None)
    kind = kind_of(x.dtype)
    if kind not in "fc":
        return x
    for part in (x.real, x.imag) if kind == "c" else (x,):
        info = _limits(part.dtype)
        low, high = part.dtype.type(info.min), part.dtype.type(info.max)
        replacements = [
            (isnan(part), nan),
            (equal(part, np.inf), high if posinf is None else posinf),
            (equal(part, -np.inf), low if neginf is None else neginf),
        ]
        for mask, value in replacements:
            copy_operation.only_where(mask, value, out=part)
    return x


def angle(z: Any, deg: bool = False) -> CuArray:
    """The angles of complex numbers to the positive real axis, in radians, or in degrees if `deg` is True.

    They are in (-pi, pi]; negative real numbers have the angle pi.

    >>> import cuarray as ca
    >>> ca.angle(ca.array([1 + 0j, 1j, -1 + 0j]), deg=True)
    array([  0.,  90., 180.])
    """
    z = as_operand(z)
    result = arctan2(z.imag if z.dtype.kind == "c" else 0, z.real)
    return multiply(result, 180 / np.pi, out=result) if deg else result


def real_if_close(a: Any, tol: float = 100) -> CuArray:
    """The real parts of complex numbers whose imaginary parts are all close to 0, `a` itself otherwise.

    `tol`: the largest imaginary part, as a multiple of the dtype's machine epsilon if it is more than 1. It waits for
    the device.

    >>> import cuarray as ca
    >>> ca.real_if_close(ca.array([2.1 + 4e-14j]), tol=1000)
    array([2.1])
    """
    a = as_operand(a)
    if a.dtype.kind != "c":
        return a
    if tol > 1:
        tol = float(np.finfo(a.dtype).eps) * tol
    return a.real if builtins.bool(all(absolute(a.imag) < tol)) else a


def _resolve_sinc(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    own = result_type(*kinds, float)
    return Loop((own,), own)


_sinc = Operation("sinc", "ca::ops::Sinc", 1, _resolve_sinc)


def sinc(x: Any) -> CuArray:
    """``sin(pi * x) / (pi * x)``, and 1 at 0; float64 for integers.

    >>> import cuarray as ca
    >>> ca.sinc(ca.array([0.0, 0.5]))
    array([1.        , 0.63661977])
    """
    return _sinc(as_operand(x))


def _resolve_i0(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    (own,) = kinds
    assert isinstance(own, np.dtype)
    own = own if kind_of(own) == "f" else np.dtype(np.float64)
    return Loop((own,), own)


_i0 = Operation("i0", "ca::ops::BesselI0", 1, _resolve_i0)


def i0(x: Any) -> CuArray:
    """The modified Bessel function of the first kind and order 0; float64 for integers. TypeError for complex numbers.

    >>> import cuarray as ca
    >>> ca.i0(ca.array([0.0, 1.0]))
    array([1.        , 1.26606588])
    """
    x = as_operand(x)
    if x.dtype.kind == "c":
        raise TypeError("i0: x must be real; the function is not supported for complex numbers")
    return _i0(x)
