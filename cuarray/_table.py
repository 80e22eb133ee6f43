"""One row an operation. What is uniform about operations stands here and nowhere else.

A row of ELEMENTWISE: the functor in kernels/ops*.cuh, NumPy's ufunc, the authority on dtypes and on the number of
operands, and operands for an example in its docstring. A row of REDUCTIONS: the struct in kernels/reductions.cuh, and
how NumPy picks its dtypes.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf, nan
from typing import Any, Literal

import numpy as np


@dataclass(frozen=True, slots=True)
class Elementwise:
    """An elementwise operation: out = functor(operands...)."""

    functor: str
    ufunc: np.ufunc
    example: tuple[Any, ...]
    dunder: str | None = None  # the operator's method, without underscores; binary ones get r- and i-forms too


def _row(functor: str, ufunc: np.ufunc, *example: Any, dunder: str | None = None) -> Elementwise:
    return Elementwise(f"ca::ops::{functor}", ufunc, example, dunder)


ELEMENTWISE: dict[str, Elementwise] = {
    # arithmetic
    "add": _row("Add", np.add, [1, 2], 10, dunder="add"),
    "subtract": _row("Subtract", np.subtract, [1, 2], 10, dunder="sub"),
    "multiply": _row("Multiply", np.multiply, [1, 2], 10, dunder="mul"),
    "divide": _row("Divide", np.divide, [1, 2], 4, dunder="truediv"),
    "floor_divide": _row("FloorDivide", np.floor_divide, [7, -7], 2, dunder="floordiv"),
    "remainder": _row("Remainder", np.remainder, [7, -7], 3, dunder="mod"),
    "power": _row("Power", np.power, [2, 3], 2, dunder="pow"),
    "divmod": _row("Divmod", np.divmod, [7, -7], 2),
    "fmod": _row("Fmod", np.fmod, [7, -7], 3),
    "float_power": _row("FloatPower", np.float_power, [2, 3], -1),
    "negative": _row("Negative", np.negative, [1, -2], dunder="neg"),
    "positive": _row("Positive", np.positive, [1, -2], dunder="pos"),
    "absolute": _row("Absolute", np.absolute, [1, -2], dunder="abs"),
    "fabs": _row("Fabs", np.fabs, [1, -2]),
    "sign": _row("Sign", np.sign, [-3.5, 0.0, 2.0]),
    "square": _row("Square", np.square, [1, -2]),
    "reciprocal": _row("Reciprocal", np.reciprocal, [2.0, 0.5]),
    "gcd": _row("Gcd", np.gcd, [12, 18], 8),
    "lcm": _row("Lcm", np.lcm, [4, 6], 10),
    # comparison and extremes
    "equal": _row("Equal", np.equal, [1, 2, 3], 2, dunder="eq"),
    "not_equal": _row("NotEqual", np.not_equal, [1, 2, 3], 2, dunder="ne"),
    "less": _row("Less", np.less, [1, 2, 3], 2, dunder="lt"),
    "less_equal": _row("LessEqual", np.less_equal, [1, 2, 3], 2, dunder="le"),
    "greater": _row("Greater", np.greater, [1, 2, 3], 2, dunder="gt"),
    "greater_equal": _row("GreaterEqual", np.greater_equal, [1, 2, 3], 2, dunder="ge"),
    "maximum": _row("Maximum", np.maximum, [1, 5], [4, 2]),
    "minimum": _row("Minimum", np.minimum, [1, 5], [4, 2]),
    "fmax": _row("Fmax", np.fmax, [1.0, nan], 2.0),
    "fmin": _row("Fmin", np.fmin, [3.0, nan], 2.0),
    # bits and logic
    "bitwise_and": _row("BitwiseAnd", np.bitwise_and, [12, 10], 6, dunder="and"),
    "bitwise_or": _row("BitwiseOr", np.bitwise_or, [12, 10], 6, dunder="or"),
    "bitwise_xor": _row("BitwiseXor", np.bitwise_xor, [12, 10], 6, dunder="xor"),
    "invert": _row("Invert", np.invert, [0, 5], dunder="invert"),
    "left_shift": _row("LeftShift", np.left_shift, [1, 5], 2, dunder="lshift"),
    "right_shift": _row("RightShift", np.right_shift, [8, 5], 2, dunder="rshift"),
    "bitwise_count": _row("BitwiseCount", np.bitwise_count, [7, 255]),
    "logical_and": _row("LogicalAnd", np.logical_and, [0, 1, 2], [1, 0, 3]),
    "logical_or": _row("LogicalOr", np.logical_or, [0, 1, 2], [0, 0, 3]),
    "logical_xor": _row("LogicalXor", np.logical_xor, [0, 1, 2], [1, 0, 3]),
    "logical_not": _row("LogicalNot", np.logical_not, [0, 1, 2]),
    # exponentials and logarithms
    "exp": _row("Exp", np.exp, [0, 1]),
    "exp2": _row("Exp2", np.exp2, [0, 3]),
    "expm1": _row("Expm1", np.expm1, [0, 1e-10]),
    "log": _row("Log", np.log, [1.0, 10.0]),
    "log2": _row("Log2", np.log2, [1.0, 8.0]),
    "log10": _row("Log10", np.log10, [1.0, 1000.0]),
    "log1p": _row("Log1p", np.log1p, [0, 1e-10]),
    "logaddexp": _row("LogAddExp", np.logaddexp, [0.0, 1.0], 1.0),
    "logaddexp2": _row("LogAddExp2", np.logaddexp2, [0.0, 1.0], 1.0),
    "sqrt": _row("Sqrt", np.sqrt, [4, 2]),
    "cbrt": _row("Cbrt", np.cbrt, [8, 27]),
    "hypot": _row("Hypot", np.hypot, [3, 5], [4, 12]),
    # trigonometry
    "sin": _row("Sin", np.sin, [0.0, 1.0]),
    "cos": _row("Cos", np.cos, [0.0, 1.0]),
    "tan": _row("Tan", np.tan, [0.0, 1.0]),
    "arcsin": _row("ArcSin", np.arcsin, [0.0, 1.0]),
    "arccos": _row("ArcCos", np.arccos, [0.0, 1.0]),
    "arctan": _row("ArcTan", np.arctan, [0.0, 1.0]),
    "arctan2": _row("ArcTan2", np.arctan2, [1.0, -1.0], [1.0, -1.0]),
    "sinh": _row("Sinh", np.sinh, [0.0, 1.0]),
    "cosh": _row("Cosh", np.cosh, [0.0, 1.0]),
    "tanh": _row("Tanh", np.tanh, [0.0, 1.0]),
    "arcsinh": _row("ArcSinh", np.arcsinh, [0.0, 1.0]),
    "arccosh": _row("ArcCosh", np.arccosh, [1.0, 2.0]),
    "arctanh": _row("ArcTanh", np.arctanh, [0.0, 0.5]),
    "degrees": _row("Degrees", np.degrees, [0.0, 1.0]),
    "radians": _row("Radians", np.radians, [0.0, 180.0]),
    "deg2rad": _row("Radians", np.deg2rad, [0.0, 180.0]),
    "rad2deg": _row("Degrees", np.rad2deg, [0.0, 1.0]),
    # rounding and floating-point questions
    "floor": _row("Floor", np.floor, [1.7, -1.7]),
    "ceil": _row("Ceil", np.ceil, [1.7, -1.7]),
    "trunc": _row("Trunc", np.trunc, [1.7, -1.7]),
    "rint": _row("Rint", np.rint, [0.5, 1.5, -1.7]),
    "isnan": _row("IsNan", np.isnan, [1.0, nan, inf]),
    "isinf": _row("IsInf", np.isinf, [1.0, nan, inf]),
    "isfinite": _row("IsFinite", np.isfinite, [1.0, nan, inf]),
    "signbit": _row("SignBit", np.signbit, [1.5, -0.0]),
    "copysign": _row("CopySign", np.copysign, [1.5, 2.0], -0.0),
    "ldexp": _row("Ldexp", np.ldexp, [0.75, 1.5], [2, -1]),
    "frexp": _row("Frexp", np.frexp, [3.0, 0.25]),
    "modf": _row("Modf", np.modf, [2.5, -0.75]),
    "nextafter": _row("NextAfter", np.nextafter, [1.0, 0.0], 2.0),
    "spacing": _row("Spacing", np.spacing, [1.0, 1024.0]),
    "heaviside": _row("Heaviside", np.heaviside, [-1.5, 0.0, 2.0], 0.5),
    "conjugate": _row("Conjugate", np.conjugate, [1 + 2j, 3 - 1j]),
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
    centre: str | None = None  # the reduction that finds what distances are taken from, where it is one by itself
    centred: str | None = None  # the struct that takes distances from given centres

    def about_centres(self) -> Reduction:
        """The row of a reduction whose centres are given."""
        assert self.centred
        return replace(self, functor=self.centred)


REDUCTIONS: dict[str, Reduction] = {
    "sum": Reduction("Sum", "sum", "loop", 16),
    "prod": Reduction("Prod", "sum", "loop", 16),
    "mean": Reduction("Mean", "float", "loop", 32, masked="MeanWhere"),
    "var": Reduction("Var", "float", "real", 32, centre="mean", centred="VarAbout"),
    "std": Reduction("Std", "float", "real", 32, centre="mean", centred="StdAbout"),
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
    "nanvar": Reduction("NanVar", "float", "real", 32, centre="nanmean", centred="NanVarAbout"),
    "nanstd": Reduction("NanStd", "float", "real", 32, centre="nanmean", centred="NanStdAbout"),
    "nanargmin": Reduction("NanArgMin", "same", "index", 32, empty=False, one_axis=True),
    "nanargmax": Reduction("NanArgMax", "same", "index", 32, empty=False, one_axis=True),
}
