"""One row an operation. What is uniform about operations stands here and nowhere else.

A row of ELEMENTWISE: the functor in kernels/ops.cuh, and NumPy's ufunc, the authority on dtypes and on the number of
operands. A row of REDUCTIONS: the struct in kernels/reduce.cuh, and how NumPy picks its dtypes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An elementwise operation: out = functor(operands...)."""

    functor: str
    ufunc: np.ufunc
    dunder: str | None = None  # the operator's method, without underscores; binary ones get r- and i-forms too


def _row(functor: str, ufunc: np.ufunc, dunder: str | None = None) -> Elementwise:
    return Elementwise(f"ca::ops::{functor}", ufunc, dunder)


ELEMENTWISE: dict[str, Elementwise] = {
    # arithmetic
    "add": _row("Add", np.add, "add"),
    "subtract": _row("Subtract", np.subtract, "sub"),
    "multiply": _row("Multiply", np.multiply, "mul"),
    "divide": _row("Divide", np.divide, "truediv"),
    "floor_divide": _row("FloorDivide", np.floor_divide, "floordiv"),
    "remainder": _row("Remainder", np.remainder, "mod"),
    "power": _row("Power", np.power, "pow"),
    "fmod": _row("Fmod", np.fmod),
    "float_power": _row("FloatPower", np.float_power),
    "negative": _row("Negative", np.negative, "neg"),
    "positive": _row("Positive", np.positive, "pos"),
    "absolute": _row("Absolute", np.absolute, "abs"),
    "fabs": _row("Fabs", np.fabs),
    "sign": _row("Sign", np.sign),
    "square": _row("Square", np.square),
    "reciprocal": _row("Reciprocal", np.reciprocal),
    "gcd": _row("Gcd", np.gcd),
    "lcm": _row("Lcm", np.lcm),
    # comparison and extremes
    "equal": _row("Equal", np.equal, "eq"),
    "not_equal": _row("NotEqual", np.not_equal, "ne"),
    "less": _row("Less", np.less, "lt"),
    "less_equal": _row("LessEqual", np.less_equal, "le"),
    "greater": _row("Greater", np.greater, "gt"),
    "greater_equal": _row("GreaterEqual", np.greater_equal, "ge"),
    "maximum": _row("Maximum", np.maximum),
    "minimum": _row("Minimum", np.minimum),
    "fmax": _row("Fmax", np.fmax),
    "fmin": _row("Fmin", np.fmin),
    # bits and logic
    "bitwise_and": _row("BitwiseAnd", np.bitwise_and, "and"),
    "bitwise_or": _row("BitwiseOr", np.bitwise_or, "or"),
    "bitwise_xor": _row("BitwiseXor", np.bitwise_xor, "xor"),
    "invert": _row("Invert", np.invert, "invert"),
    "left_shift": _row("LeftShift", np.left_shift, "lshift"),
    "right_shift": _row("RightShift", np.right_shift, "rshift"),
    "bitwise_count": _row("BitwiseCount", np.bitwise_count),
    "logical_and": _row("LogicalAnd", np.logical_and),
    "logical_or": _row("LogicalOr", np.logical_or),
    "logical_xor": _row("LogicalXor", np.logical_xor),
    "logical_not": _row("LogicalNot", np.logical_not),
    # exponentials and logarithms
    "exp": _row("Exp", np.exp),
    "exp2": _row("Exp2", np.exp2),
    "expm1": _row("Expm1", np.expm1),
    "log": _row("Log", np.log),
    "log2": _row("Log2", np.log2),
    "log10": _row("Log10", np.log10),
    "log1p": _row("Log1p", np.log1p),
    "logaddexp": _row("LogAddExp", np.logaddexp),
    "logaddexp2": _row("LogAddExp2", np.logaddexp2),
    "sqrt": _row("Sqrt", np.sqrt),
    "cbrt": _row("Cbrt", np.cbrt),
    "hypot": _row("Hypot", np.hypot),
    # trigonometry
    "sin": _row("Sin", np.sin),
    "cos": _row("Cos", np.cos),
    "tan": _row("Tan", np.tan),
    "arcsin": _row("ArcSin", np.arcsin),
    "arccos": _row("ArcCos", np.arccos),
    "arctan": _row("ArcTan", np.arctan),
    "arctan2": _row("ArcTan2", np.arctan2),
    "sinh": _row("Sinh", np.sinh),
    "cosh": _row("Cosh", np.cosh),
    "tanh": _row("Tanh", np.tanh),
    "arcsinh": _row("ArcSinh", np.arcsinh),
    "arccosh": _row("ArcCosh", np.arccosh),
    "arctanh": _row("ArcTanh", np.arctanh),
    "degrees": _row("Degrees", np.degrees),
    "radians": _row("Radians", np.radians),
    "deg2rad": _row("Radians", np.deg2rad),
    "rad2deg": _row("Degrees", np.rad2deg),
    # rounding and floating-point questions
    "floor": _row("Floor", np.floor),
    "ceil": _row("Ceil", np.ceil),
    "trunc": _row("Trunc", np.trunc),
    "rint": _row("Rint", np.rint),
    "isnan": _row("IsNan", np.isnan),
    "isinf": _row("IsInf", np.isinf),
    "isfinite": _row("IsFinite", np.isfinite),
    "signbit": _row("SignBit", np.signbit),
    "copysign": _row("CopySign", np.copysign),
    "heaviside": _row("Heaviside", np.heaviside),
    "conjugate": _row("Conjugate", np.conjugate),
}


@dataclass(frozen=True, slots=True)
class Reduction:
    """A reduction over axes.

    ``loop`` and ``result`` say which dtypes it computes and returns: ``same`` as the input; ``sum``: small integers
    and bool widen to 64 bits, as NumPy's sum; ``float``: integers become float64; ``bool``; ``index``: int64;
    ``real``: of a complex loop its parts' dtype.
    """

    functor: str
    loop: Literal["same", "sum", "float"]
    result: Literal["loop", "bool", "index", "real"]
    accumulator_bytes: int  # at most, for one partial result
    empty: bool = True  # whether nothing has a value: a sum is 0, a minimum is an error
    one_axis: bool = False  # argmin and argmax take one axis or all
    masked: str | None = None  # the struct that serves `where=`, if it is another one
    centre: str | None = None  # the reduction that finds what distances are taken from


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction("Sum", "sum", "loop", 16),
    "prod": Reduction("Prod", "sum", "loop", 16),
    "mean": Reduction("Mean", "float", "loop", 32, masked="MeanWhere"),
    "var": Reduction("Var", "float", "real", 16, centre="mean"),
    "std": Reduction("Std", "float", "real", 16, centre="mean"),
    "min": Reduction("Min", "same", "loop", 32, empty=False),
    "max": Reduction("Max", "same", "loop", 32, empty=False),
    "argmin": Reduction("ArgMin", "same", "index", 32, empty=False, one_axis=True),
    "argmax": Reduction("ArgMax", "same", "index", 32, empty=False, one_axis=True),
    "any": Reduction("Any", "same", "bool", 1),
    "all": Reduction("All", "same", "bool", 1),
    "count_nonzero": Reduction("CountNonzero", "same", "index", 8),
    "nansum": Reduction("NanSum", "sum", "loop", 16),
    "nanprod": Reduction("NanProd", "sum", "loop", 16),
    "nanmean": Reduction("NanMean", "float", "loop", 32),
    "nanvar": Reduction("NanVar", "float", "real", 16, centre="nanmean"),
    "nanstd": Reduction("NanStd", "float", "real", 16, centre="nanmean"),
    "nanargmin": Reduction("NanArgMin", "same", "index", 32, empty=False, one_axis=True),
    "nanargmax": Reduction("NanArgMax", "same", "index", 32, empty=False, one_axis=True),
}
