"""From parameters to one launch: what a sampler is, which parameters it takes, and who checks them."""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cuarray import _functions, _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import CPP_NAMES, as_dtype, operand_type
from cuarray._functions._operation import as_operand, check_out
from cuarray._functions.creation import as_shape
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout
from cuarray.random._philox import Philox4x32, signed

FLOAT64, FLOAT32, INT64 = np.dtype(np.float64), np.dtype(np.float32), np.dtype(np.int64)
functions: Any = _functions
POISSON_MAX = 9.2233720064847708e18  # ten deviations below the largest int64


class Sampler(NamedTuple):
    """A sampler of kernels/random_distributions.cuh."""

    cpp: str
    lanes: int  # elements that one counter makes; 0: an element draws as often as it needs
    dtype: np.dtype
    nanoseconds: float  # that an element takes on a CPU, roughly: a core is woken where there is enough to do


def _mapped(source: str, function: str, dtype: np.dtype = FLOAT64, nanoseconds: float = 4) -> Sampler:
    out = {FLOAT64: "double", FLOAT32: "float", INT64: "long"}[dtype]
    cpp = f"ca::random::Mapped<ca::random::{source}, ca::random::{function}, {out}>"
    return Sampler(cpp, 4 if dtype == FLOAT32 else 2, dtype, nanoseconds)


def _drawn(name: str, dtype: np.dtype = FLOAT64, nanoseconds: float = 60) -> Sampler:
    return Sampler(f"ca::random::{name}", 0, dtype, nanoseconds)


UNIFORM, OPEN, NORMAL, EXPONENTIAL = "HalfOpen<double>", "Open", "Normal<double>", "Exponential<double>"

SAMPLERS = {
    "random": _mapped(UNIFORM, "Same", nanoseconds=1.5),
    "random_float32": _mapped("HalfOpen<float>", "Same", FLOAT32, 1),
    "standard_normal": _mapped(NORMAL, "Same"),
    "standard_normal_float32": _mapped("Normal<float>", "Same", FLOAT32, 2),
    "standard_exponential": _mapped(EXPONENTIAL, "Same"),
    "standard_exponential_float32": _mapped("Exponential<float>", "Same", FLOAT32, 2),
    "standard_cauchy": _mapped(OPEN, "Cauchy"),
    "uniform": _mapped(UNIFORM, "Between", nanoseconds=2),
    "normal": _mapped(NORMAL, "Shifted"),
    "lognormal": _mapped(NORMAL, "ShiftedExp", nanoseconds=6),
    "exponential": _mapped(EXPONENTIAL, "Scaled"),
    "rayleigh": _mapped(EXPONENTIAL, "Rayleigh"),
    "pareto": _mapped(EXPONENTIAL, "Pareto", nanoseconds=10),
    "weibull": _mapped(EXPONENTIAL, "Weibull", nanoseconds=10),
    "power": _mapped(EXPONENTIAL, "Power", nanoseconds=6),
    "laplace": _mapped(OPEN, "Laplace"),
    "gumbel": _mapped(OPEN, "Gumbel", nanoseconds=6),
    "logistic": _mapped(OPEN, "Logistic"),
    "triangular": _mapped(UNIFORM, "Triangular"),
    "geometric": _mapped(EXPONENTIAL, "Geometric", INT64, 6),
    "weighted": _mapped(UNIFORM, "Weighted", INT64, 20),
    "standard_gamma": _drawn("StandardGamma<double>"),
    "standard_gamma_float32": _drawn("StandardGamma<float>", FLOAT32),
    "gamma": _drawn("Gamma"),
    "beta": _drawn("Beta", nanoseconds=120),
    "chisquare": _drawn("ChiSquare"),
    "noncentral_chisquare": _drawn("NoncentralChiSquare", nanoseconds=100),
    "f": _drawn("F", nanoseconds=120),
    "noncentral_f": _drawn("NoncentralF", nanoseconds=150),
    "standard_t": _drawn("StudentT", nanoseconds=100),
    "wald": _drawn("Wald"),
    "vonmises": _drawn("VonMises", nanoseconds=100),
    "poisson": _drawn("Poisson", INT64),
    "binomial": _drawn("Binomial", INT64),
    "negative_binomial": _drawn("NegativeBinomial", INT64, 120),
    "hypergeometric": _drawn("Hypergeometric", INT64, 100),
    "logseries": _drawn("LogSeries", INT64),
    "zipf": _drawn("Zipf", INT64, 100),
}


def integers_sampler(dtype: np.dtype, count: int | None) -> Sampler:
    """The sampler of integers of which there are `count`; None where that differs from element to element."""
    wide = count > 1 << 32 if count is not None else dtype.itemsize == 8
    word = "unsigned long" if wide else "unsigned int"
    return Sampler(f"ca::random::Integers<{word}, {CPP_NAMES[dtype]}>", 2 if wide else 4, dtype, 4 if wide else 2)


# ---- parameters: what is outside a distribution's domain, and how NumPy says so. `xp` is numpy or cuarray's functions.


class Constraint(NamedTuple):
    """A condition on a parameter."""

    message: str
    violated: Callable[[Any, Any], Any]


ANY = None
NON_NEGATIVE = Constraint("{0} < 0", lambda xp, x: xp.logical_and(xp.signbit(x), xp.logical_not(xp.isnan(x))))
POSITIVE = Constraint("{0} <= 0", lambda xp, x: xp.less_equal(x, 0))
POSITIVE_NUMBER = Constraint("{0} <= 0 or {0} contains NaNs", lambda xp, x: xp.logical_not(xp.greater(x, 0)))
GREATER_THAN_1 = Constraint("{0} <= 1 or {0} contains NaNs", lambda xp, x: xp.logical_not(xp.greater(x, 1)))
COUNT = Constraint("{0} < 0", lambda xp, x: xp.less(x, 0))
PROBABILITY = Constraint(
    "{0} < 0, {0} > 1 or {0} contains NaNs",
    lambda xp, x: xp.logical_not(xp.logical_and(xp.greater_equal(x, 0), xp.less_equal(x, 1))),
)
POSITIVE_PROBABILITY = Constraint(
    "{0} <= 0, {0} > 1 or {0} contains NaNs",
    lambda xp, x: xp.logical_not(xp.logical_and(xp.greater(x, 0), xp.less_equal(x, 1))),
)
PROBABILITY_BELOW_1 = Constraint(
    "{0} < 0, {0} >= 1 or {0} contains NaNs",
    lambda xp, x: xp.logical_not(xp.logical_and(xp.greater_equal(x, 0), xp.less(x, 1))),
)
POISSON = Constraint(
    "{0} < 0, {0} is too large or {0} contains NaNs",
    lambda xp, x: xp.logical_not(xp.logical_and(xp.greater_equal(x, 0), xp.less_equal(x, POISSON_MAX))),
)


class Parameter(NamedTuple):
    """A parameter of a call: a number, or an array of them."""

    name: str
    value: Any  # a Python float or int, or a CuArray of the parameter's dtype
    dtype: np.dtype

    @property
    def is_array(self) -> bool:
        return type(self.value) is CuArray

    @property
    def shape(self) -> tuple[int, ...]:
        return self.value.shape if self.is_array else ()

    def word(self) -> int:
        """What the kernel is given: the value's bits, or where the array begins."""
        if self.is_array:
            return self.value._pointer
        return (
            struct.unpack("q", struct.pack("d", self.value))[0]
            if self.dtype == FLOAT64
            else signed_word(int(self.value))
        )


def signed_word(value: int) -> int:
    """An int of at most 64 bits, signed or not, as a signed word."""
    return signed(value % (1 << 64))


def parameter(name: str, value: Any, constraint: Constraint | None = ANY, dtype: np.dtype = FLOAT64) -> Parameter:
    """`value` as a parameter, checked: a scalar at once, an array on the device, which is waited for.

    Fractions are cut off where `dtype` is int64. TypeError for complex numbers; ValueError where it violates the
    constraint.
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value[()]
    if type(value) is not CuArray and operand_type(value) is not None:
        _check_scalar(name, value, dtype)
        converted: Any = float(value) if dtype == FLOAT64 else int(value)
        if dtype == INT64 and not -(1 << 63) <= converted < 1 << 63:
            raise ValueError(f"{name}: {value} does not fit int64")
        if constraint is not None and constraint.violated(np, converted):
            raise ValueError(constraint.message.format(name))
        return Parameter(name, converted, dtype)
    array = as_operand(value)
    if as_dtype(array.dtype, name).kind == "c":
        raise TypeError(f"{name}: cannot cast from {array.dtype} to {dtype}")
    array = functions.astype(array, dtype, copy=False)
    if constraint is not None and array.size and bool(functions.any(constraint.violated(functions, array))):
        raise ValueError(constraint.message.format(name))
    return Parameter(name, array, dtype)


def _check_scalar(name: str, value: Any, dtype: np.dtype) -> None:
    """TypeError for a complex number."""
    if isinstance(value, complex | np.complexfloating):
        raise TypeError(f"{name}: cannot cast {value!r} to {dtype}")


@functools.lru_cache(maxsize=4096)
def _prepare(sampler: Sampler, out: Layout, parameters: tuple[Layout | None, ...]) -> Prepared:
    plan = _plan.random(_runtime.get().target, sampler.cpp, sampler.lanes, out, parameters, sampler.nanoseconds)
    return Prepared(plan)


def output(sampler: Sampler, size: Any, parameters: tuple[Parameter, ...], out: CuArray | None) -> CuArray:
    """The array that a call fills: of shape `size`, or of that which the parameters broadcast to; or `out`."""
    shapes = [one.shape for one in parameters]
    if out is not None:
        out_layout = check_out("random", out)
        if out.dtype != sampler.dtype:
            raise TypeError(f"out has the wrong dtype: {out.dtype}, expected {sampler.dtype}")
        if not out_layout.c_contiguous:
            raise ValueError("out must be C-contiguous")
        if size is not None and as_shape(size) != out.shape:
            raise ValueError(f"size must match out.shape when used together: {size} and {out.shape}")
        size = out.shape
    if size is None:
        shape = broadcast_shapes(*shapes) if shapes else ()
    else:
        shape = as_shape(size)
        if any(shapes) and broadcast_shapes(shape, *shapes) != shape:
            together = broadcast_shapes(*shapes)
            raise ValueError(f"Output size {shape} is not compatible with broadcast dimensions of inputs {together}.")
    return allocate(layout(sampler.dtype, shape)) if out is None else out


def draw(
    bits: Philox4x32, sampler: Sampler, size: Any, parameters: tuple[Parameter, ...] = (), out: CuArray | None = None
) -> CuArray:
    """One call: an array of numbers of `sampler`."""
    result = output(sampler, size, parameters, out)
    if result.size:
        kinds = tuple(one.value._layout if one.is_array else None for one in parameters)
        prepared = _prepare(sampler, result._layout, kinds)
        first, second, third = (*(one.word() for one in parameters), 0, 0, 0)[:3]
        place = bits.take(-(-result.size // max(sampler.lanes, 1)))
        prepared.launch(result._pointer, first, second, third, *place)
    return result
