"""Elementwise functions: an assignment each, so that they can be found; what they do is their row in _table.py."""

from __future__ import annotations

import builtins
import operator as py_operator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import Loop, OperandType, as_dtype, resolve, result_type
from cuarray._functions._operation import Operation, classify
from cuarray._layout import Layout, broadcast_shapes
from cuarray._table import ELEMENTWISE


class ElementwiseFunction(Operation):
    """A function of the table: NumPy's ufunc of the same name says what its dtypes are."""

    def __init__(self, name: str) -> None:
        row = ELEMENTWISE[name]
        self.numpy_ufunc = row.ufunc
        super().__init__(name, row.functor, row.ufunc.nin, lambda kinds, dtype: resolve(row.ufunc, kinds, dtype))
        self.nout = 1
        self.__doc__ = _docstring(name, row.ufunc)

    def __repr__(self) -> str:
        return f"<cuarray function {self.__name__!r}>"

    def __call__(
        self, *operands: Any, out: CuArray | None = None, dtype: Any = None, casting: str = "same_kind", **unknown: Any
    ) -> CuArray:
        if unknown:
            raise TypeError(f"{self.__name__}() has no argument {next(iter(unknown))!r}; it has out, dtype and casting")
        if dtype is not None:
            dtype = as_dtype(dtype)
        return super().__call__(*operands, out=out, dtype=dtype, casting=casting)


class Comparison(ElementwiseFunction):
    """A comparison also takes Python ints that the other operand's dtype does not hold: they compare as numbers."""

    def __call__(self, *operands: Any, **options: Any) -> CuArray:
        try:
            return super().__call__(*operands, **options)
        except OverflowError:
            from cuarray._functions.creation import full

            # The int lies beyond every value of the dtype, so that any value, 0 say, compares like all of them.
            values, kinds = classify(self.__name__, operands)
            shape = broadcast_shapes(*(kind.shape for kind in kinds if type(kind) is Layout))
            answer = getattr(py_operator, ELEMENTWISE[self.__name__].dunder)(  # type: ignore[arg-type]
                *(0 if type(kind) is Layout else int(value) for value, kind in zip(values, kinds, strict=True))
            )
            return full(shape, answer, np.dtype(bool))


class Power(ElementwiseFunction):
    """Powers; integers to negative integer powers are refused, as they are no integers."""

    def __call__(self, *operands: Any, **options: Any) -> CuArray:
        if len(operands) == 2:
            values, kinds = classify(self.__name__, operands)
            dtype = options.get("dtype")
            loop = self.loop(kinds, None if dtype is None else as_dtype(dtype))
            if loop.inputs[1].kind == "i":
                exponent = values[1]
                negative = bool((exponent < 0).any()) if type(exponent) is CuArray else exponent < 0
                if negative:
                    raise ValueError("Integers to negative integer powers are not allowed.")
            operands = tuple(values)
        return super().__call__(*operands, **options)


def _docstring(name: str, ufunc: np.ufunc) -> str:
    lines = [line.strip() for line in (ufunc.__doc__ or "").splitlines() if line.strip()]
    summary = next((line for line in lines if "(" not in line.split(" ")[0]), name)
    operands = ", ".join(f"x{k + 1}" for k in range(ufunc.nin)) if ufunc.nin > 1 else "x"
    return (
        f"{summary}\n\n``{name}({operands}, /, *, out=None, dtype=None)``: element by element, the operands broadcast "
        f"against each other; dtypes as ``numpy.{name}`` has them."
    )


elementwise = ElementwiseFunction

# arithmetic
add = elementwise("add")
subtract = elementwise("subtract")
multiply = elementwise("multiply")
divide = true_divide = elementwise("divide")
floor_divide = elementwise("floor_divide")
remainder = mod = elementwise("remainder")
power = Power("power")
pow = power
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
heaviside = elementwise("heaviside")
conjugate = conj = elementwise("conjugate")

FUNCTIONS: dict[str, ElementwiseFunction] = {name: globals()[name] for name in ELEMENTWISE}
BY_NUMPY_UFUNC: dict[np.ufunc, ElementwiseFunction] = {f.numpy_ufunc: f for f in FUNCTIONS.values()}


# ---- operations with rules of their own


def _resolve_where(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    common = result_type(*kinds[1:])
    return Loop((np.dtype(bool), common, common), common)


_where = Operation("where", "ca::ops::Where", 3, _resolve_where)


def where(condition: Any, /, *choices: Any) -> Any:
    """``where(condition, x1, x2)``: elements of `x1` where `condition` is true, of `x2` elsewhere; all three broadcast.

    ``where(condition)`` alone is `cuarray.nonzero`.

    >>> import cuarray as ca
    >>> ca.where(ca.arange(4) > 1, 10, 0)
    array([ 0,  0, 10, 10])
    """
    if not choices:
        from cuarray._functions.indexing import nonzero

        return nonzero(condition)
    if len(choices) != 2:
        raise ValueError("either both or neither of x1 and x2 should be given")
    return _where(condition, *choices)


def _resolve_clip(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    common = result_type(*kinds)
    return Loop((common, common, common), common)


_clip = Operation("clip", "ca::ops::Clip", 3, _resolve_clip)


def clip(x: Any, min: Any = None, max: Any = None, *, out: CuArray | None = None) -> CuArray:
    """Elements of `x` limited to `min` and `max`, either of which may be None.

    >>> import cuarray as ca
    >>> ca.clip(ca.arange(5), 1, 3)
    array([1, 1, 2, 3, 3])
    """
    if min is None and max is None:
        return positive(x, out=out) if out is not None else +_as_array(x)
    if min is None:
        return minimum(x, max, out=out)
    if max is None:
        return maximum(x, min, out=out)
    return _clip(x, min, max, out=out)


def round(x: Any, decimals: int = 0) -> CuArray:
    """Elements rounded half to even, to `decimals` decimal places; integers of any dtype stay as they are.

    >>> import cuarray as ca
    >>> ca.round(ca.array([0.5, 1.5, 2.25]), 1)
    array([0.5, 1.5, 2.2])
    """
    x = _as_array(x)
    if x.dtype.kind in "iu" and decimals >= 0:
        return +x
    if decimals == 0:
        return rint(x)
    if x.dtype.kind == "b":
        x = x.astype(np.float16)
    scale = 10.0 ** builtins.abs(py_operator.index(decimals))
    if decimals > 0:
        return rint(x * scale) / scale
    rounded = rint(x / scale) * scale
    return rounded.astype(x.dtype) if x.dtype.kind in "iu" else rounded


def real(x: Any) -> CuArray:
    """The real parts, as a view."""
    return _as_array(x).real


def imag(x: Any) -> CuArray:
    """The imaginary parts; of a complex array as a view."""
    return _as_array(x).imag


def _as_array(x: Any) -> CuArray:
    from cuarray._functions.creation import asarray

    return asarray(x)


__all__ = sorted(
    name
    for name, value in globals().items()
    if isinstance(value, ElementwiseFunction) or name in ("where", "clip", "round", "real", "imag")
)
