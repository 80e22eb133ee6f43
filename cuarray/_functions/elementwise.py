"""Elementwise functions: an assignment each, so that they can be found; what they do is their row in _table.py."""

from __future__ import annotations

import builtins
import math
import operator as py_operator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import Loop, OperandType, kind_of, result_type
from cuarray._functions._operation import Operation, as_operand, assign, classify
from cuarray._functions._ufunc import Ufunc
from cuarray._table import ELEMENTWISE, Elementwise


class Comparison(Ufunc):
    """A comparison also takes Python ints that the other operand's dtype does not hold: they compare as numbers."""

    def _call(self, *operands: Any, **options: Any) -> Any:
        try:
            return super()._call(*operands, **options)
        except OverflowError:
            values, kinds = classify(self.__name__, operands[: self.nin])
            if kinds == [int, int]:
                return as_operand(getattr(py_operator, ELEMENTWISE[self.__name__].dunder)(*values))  # type: ignore[arg-type]
            # The int lies beyond every value of the dtype: infinity compares as it does.
            values = [math.copysign(math.inf, x) if kind is int else x for x, kind in zip(values, kinds, strict=True)]
            return super()._call(*values, *operands[self.nin :], **options)


class Power(Ufunc):
    """Powers; integers to negative integer powers are refused, as they are no integers."""

    refuses_negative = 1

    def __init__(self, name: str) -> None:
        super().__init__(name)
        # For integers whose exponents have been looked at: its calls are decided by kinds.
        self._of_whole = Ufunc(name)

    def _call(self, *operands: Any, **options: Any) -> Any:
        if len(operands) == 2 and not options and _is_whole(operands[0]):
            exponent = operands[1]
            if type(exponent) is CuArray:
                known = exponent.dtype.kind == "i" and exponent.size and exponent.min().item() >= 0
            else:
                known = type(exponent) is int and exponent >= 0
            if known:
                return self._of_whole(*operands)
        exponent = operands[1] if len(operands) > 1 else 0.0
        if type(exponent) is not float and not (type(exponent) is CuArray and exponent.dtype.kind != "i"):
            operands = self._without_negative(operands, options)
        return super()._call(*operands, **options)

    def _without_negative(self, operands: tuple[Any, ...], options: dict[str, Any]) -> tuple[Any, ...]:
        values, kinds = classify(self.__name__, operands[:2])
        loop = self.loop(kinds, self._checked(operands, options).signature)
        if loop.inputs[1].kind == "i":
            exponent = values[1]
            if bool((exponent < 0).any()) if type(exponent) is CuArray else exponent < 0:
                raise ValueError("Integers to negative integer powers are not allowed.")
        return (*values, *operands[2:])


def _is_whole(base: Any) -> bool:
    return type(base) is int or (type(base) is CuArray and base.dtype.kind in "iu")


elementwise = Ufunc

# arithmetic
add = elementwise("add")
subtract = elementwise("subtract")
multiply = elementwise("multiply")
divide = true_divide = elementwise("divide")
floor_divide = elementwise("floor_divide")
remainder = mod = elementwise("remainder")
power = Power("power")
pow = power
divmod = elementwise("divmod")
fmod = elementwise("fmod")
float_power = elementwise("float_power")
negative = elementwise("negative")
positive = elementwise("positive")
absolute = abs = elementwise("absolute")
fabs = elementwise("fabs")
sign = elementwise("sign")
square = elementwise("square")
reciprocal = elementwise("reciprocal")
gcd = elementwise("gcd")
lcm = elementwise("lcm")
# comparison and extremes
equal = Comparison("equal")
not_equal = Comparison("not_equal")
less = Comparison("less")
less_equal = Comparison("less_equal")
greater = Comparison("greater")
greater_equal = Comparison("greater_equal")
maximum = elementwise("maximum")
minimum = elementwise("minimum")
fmax = elementwise("fmax")
fmin = elementwise("fmin")
# bits and logic
bitwise_and = elementwise("bitwise_and")
bitwise_or = elementwise("bitwise_or")
bitwise_xor = elementwise("bitwise_xor")
invert = bitwise_not = bitwise_invert = elementwise("invert")
left_shift = bitwise_left_shift = elementwise("left_shift")
right_shift = bitwise_right_shift = elementwise("right_shift")
bitwise_count = elementwise("bitwise_count")
logical_and = elementwise("logical_and")
logical_or = elementwise("logical_or")
logical_xor = elementwise("logical_xor")
logical_not = elementwise("logical_not")
# exponentials and logarithms
exp = elementwise("exp")
exp2 = elementwise("exp2")
expm1 = elementwise("expm1")
log = elementwise("log")
log2 = elementwise("log2")
log10 = elementwise("log10")
log1p = elementwise("log1p")
logaddexp = elementwise("logaddexp")
logaddexp2 = elementwise("logaddexp2")
sqrt = elementwise("sqrt")
cbrt = elementwise("cbrt")
hypot = elementwise("hypot")
# trigonometry
sin = elementwise("sin")
cos = elementwise("cos")
tan = elementwise("tan")
arcsin = asin = elementwise("arcsin")
arccos = acos = elementwise("arccos")
arctan = atan = elementwise("arctan")
arctan2 = atan2 = elementwise("arctan2")
sinh = elementwise("sinh")
cosh = elementwise("cosh")
tanh = elementwise("tanh")
arcsinh = asinh = elementwise("arcsinh")
arccosh = acosh = elementwise("arccosh")
arctanh = atanh = elementwise("arctanh")
degrees = elementwise("degrees")
radians = elementwise("radians")
deg2rad = elementwise("deg2rad")
rad2deg = elementwise("rad2deg")
# rounding and floating-point questions
floor = elementwise("floor")
ceil = elementwise("ceil")
trunc = elementwise("trunc")
rint = elementwise("rint")
isnan = elementwise("isnan")
isinf = elementwise("isinf")
isfinite = elementwise("isfinite")
signbit = elementwise("signbit")
copysign = elementwise("copysign")
ldexp = elementwise("ldexp")
frexp = elementwise("frexp")
modf = elementwise("modf")
nextafter = elementwise("nextafter")
spacing = elementwise("spacing")
heaviside = elementwise("heaviside")
conjugate = conj = elementwise("conjugate")

FUNCTIONS: dict[str, Ufunc] = {name: globals()[name] for name in ELEMENTWISE}
BY_NUMPY_UFUNC: dict[np.ufunc, Ufunc] = {f.numpy_ufunc: f for f in FUNCTIONS.values()}


# ---- operations with rules of their own


def _resolve_where(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    common = result_type(*kinds[1:])
    return Loop((np.dtype(bool), common, common), common)


_where = Operation("where", "ca::ops::Where", 3, _resolve_where)
_UNSET: Any = np._NoValue  # an argument that was not given, where None is one


def where(condition: Any, x1: Any = _UNSET, x2: Any = _UNSET, /) -> Any:
    """``where(condition, x1, x2)``: elements of `x1` where `condition` is true, of `x2` elsewhere; all three broadcast.

    ``where(condition)`` alone is `cuarray.nonzero`.

    >>> import cuarray as ca
    >>> ca.where(ca.arange(4) > 1, 10, 0)
    array([ 0,  0, 10, 10])
    """
    if x1 is _UNSET:
        from cuarray._functions.indexing import nonzero

        return nonzero(condition)
    if x2 is _UNSET:
        raise ValueError("either both or neither of x1 and x2 should be given")
    return _where(condition, x1, x2)


# NumPy's clip is a ufunc, too, which only its function of the same name calls.
_clip = Ufunc("clip", Elementwise("ca::ops::Clip", np._core.umath.clip, ([1, 5, 9], 2, 6)))  # type: ignore[attr-defined]


def clip(
    a: Any,
    a_min: Any = _UNSET,
    a_max: Any = _UNSET,
    out: CuArray | None = None,
    *,
    min: Any = _UNSET,
    max: Any = _UNSET,
    **options: Any,
) -> CuArray:
    """Elements of `a` limited to a range: from `a_min` (or `min`) to `a_max` (or `max`), any of which may be None.

    The limits broadcast with `a`. A Python int beyond the values of an integer dtype is no limit. Of two limits that
    exclude each other, the upper one counts; NaN in any operand gives NaN. `options`: where, dtype, casting, order ...
    as for all elementwise functions.

    >>> import cuarray as ca
    >>> ca.clip(ca.arange(5), 1, 3)
    array([1, 1, 2, 3, 3])
    >>> ca.clip(ca.arange(5), max=3)
    array([0, 1, 2, 3, 3])
    """
    if a_min is _UNSET and a_max is _UNSET:
        low, high = (None if limit is _UNSET else limit for limit in (min, max))
    elif min is not _UNSET or max is not _UNSET:
        raise ValueError("clip: min and max cannot be given together with a_min and a_max")
    elif a_min is _UNSET or a_max is _UNSET:
        # The array API's functions have one limit by position.
        low, high = (None if limit is _UNSET else limit for limit in (a_min, a_max))
    else:
        low, high = a_min, a_max
    a = as_operand(a)
    if (type(low) is int or type(high) is int) and a.dtype.kind in "iu":
        info = np.iinfo(a.dtype)
        low = None if type(low) is int and low <= info.min else low
        high = None if type(high) is int and high >= info.max else high
    if low is None and high is None:
        return positive(a, out=out, **options)
    if low is None:
        return minimum(a, high, out=out, **options)
    if high is None:
        return maximum(a, low, out=out, **options)
    return _clip(a, low, high, out=out, **options)


def round(a: Any, decimals: int = 0, out: CuArray | None = None) -> CuArray:
    """Elements rounded half to even, to `decimals` decimal places, or to tens, hundreds ... where it is negative.

    Integers of any dtype stay integers; bool becomes float16. The real and the imaginary part of a complex number are
    rounded by themselves. As in NumPy, elements are scaled by a power of ten, rounded, and scaled back.

    >>> import cuarray as ca
    >>> ca.round(ca.array([0.5, 1.5, 2.25]), 1)
    array([0.5, 1.5, 2.2])
    >>> ca.round(ca.array([15, 25, 149]), -1)
    array([ 20,  20, 150])
    """
    a, decimals = as_operand(a), py_operator.index(decimals)
    kind = kind_of(a.dtype)
    if kind in "iu" and decimals >= 0:
        if out is None:
            return positive(a)
        assign(out, a, "round: out")
        return out
    if kind == "c" and decimals:
        result = positive(a) if out is None else out
        if result.dtype.kind != "c":
            raise TypeError(f"round: out must be complex, not {result.dtype}, as it has no imaginary part")
        assign(result.real, round(a.real, decimals), "round: out")
        assign(result.imag, round(a.imag, decimals), "round: out")
        return result
    if decimals == 0:
        return rint(a, out=out)
    scale = float(np.power(10.0, builtins.abs(decimals)))
    first, last = (multiply, divide) if decimals > 0 else (divide, multiply)
    if out is None:
        from cuarray._functions.creation import empty_like

        out = empty_like(a, np.float64 if kind in "iu" else None)
        result = last(rint(first(a, scale, out=out), out=out), scale, out=out)
        return result.astype(a.dtype) if kind in "iu" else result
    return last(rint(first(a, scale, out=out), out=out), scale, out=out)


around = round


def real(val: Any) -> CuArray:
    """The real parts, as a view.

    >>> import cuarray as ca
    >>> ca.real(ca.array([1 + 2j, 3 - 1j]))
    array([1., 3.])
    """
    return as_operand(val).real


def imag(val: Any) -> CuArray:
    """The imaginary parts: of a complex array a view, of a real one zeros.

    >>> import cuarray as ca
    >>> ca.imag(ca.array([1 + 2j, 3 - 1j]))
    array([ 2., -1.])
    """
    return as_operand(val).imag


__all__ = sorted(
    name
    for name, value in globals().items()
    if (isinstance(value, Ufunc) and not name.startswith("_"))
    or name in ("where", "clip", "round", "around", "real", "imag")
)
