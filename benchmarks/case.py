"""What a case is: its inputs, its body, the reference and the comparison with it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

from benchmarks.libraries import BFLOAT16, Library

Shape = tuple[int, ...]
Arrays = tuple[np.ndarray, ...]

FLOAT32 = np.dtype("float32")
EPS = 32  # the accuracy that is asked for, in units of the result's last place
EPS_HALF = 4  # the same of 16-bit floats, which are computed in float32 and rounded once

PERIOD, PERIOD_2D = 2**20, 1024
CYCLE = 999_983  # a prime


class Call(NamedTuple):
    """What is timed, called with the arrays, and what comes before each call and is not."""

    call: Callable[..., Any]
    prepare: Callable[[], object] | None = None


class Draw(NamedTuple):
    """What the inputs of a case are. Cases in a row with the same draw are given the same arrays.

    values: "unit" (between 0.1 and 1, so that sums do not cancel), "wide" (-8 to 8), "few" (integers of which each
    comes up about four times). periodic: whether large arrays repeat their beginning, so that a reference for that
    beginning is one for all. cycles: whether the elements of large arrays repeat, one after the other, a number of them
    that divides no row: so much less has to be drawn, and no two rows are the same.
    """

    shapes: tuple[Shape, ...]
    dtypes: tuple[np.dtype, ...]
    values: str = "unit"
    periodic: bool = False
    cycles: bool = False

    @property
    def nbytes(self) -> int:
        """Of one set of the inputs."""
        return sum(math.prod(shape) * dtype.itemsize for shape, dtype in zip(self.shapes, self.dtypes))

    @property
    def times(self) -> int:
        """How often each axis of a result repeats that of the reference."""
        found = {-(-n // m) for shape in self.shapes for n, m in zip(shape, self.beginning(shape))} - {1}
        return max(found, default=1)

    def beginning(self, shape: Shape) -> Shape:
        """The part of an input that the reference is computed of."""
        if not self.periodic:
            return shape
        period = PERIOD if max(map(len, self.shapes)) == 1 else PERIOD_2D  # the same for a matrix and its rows
        return tuple(min(extent, period) for extent in shape)

    def beginnings(self, rng: np.random.Generator) -> Arrays:
        """New random arrays: all of each, or what it repeats, of which the reference is computed."""
        return tuple(self._beginning(rng, shape, dtype) for shape, dtype in zip(self.shapes, self.dtypes))

    def _beginning(self, rng: np.random.Generator, shape: Shape, dtype: np.dtype) -> np.ndarray:
        if self.cycles and math.prod(shape) > CYCLE:
            return np.resize(draw(rng, (CYCLE,), dtype, self.values), shape)
        return draw(rng, self.beginning(shape), dtype, self.values)

    def repeated(self, beginnings: Sequence[Any], tile: Callable[[Any, Shape], Any]) -> tuple[Any, ...]:
        """The arrays, by a library's `tile`."""
        made = []
        for x, shape in zip(beginnings, self.shapes):
            times = tuple(extent // period for extent, period in zip(shape, x.shape))
            assert all(n == m * each for n, m, each in zip(shape, x.shape, times)), f"{shape} does not repeat {x.shape}"
            made.append(tile(x, times) if math.prod(times) != 1 else x)
        return tuple(made)

    def arrays(self, rng: np.random.Generator) -> Arrays:
        """New random arrays."""
        return self.repeated(self.beginnings(rng), np.tile)


def draw(rng: np.random.Generator, shape: Shape, dtype: np.dtype, values: str) -> np.ndarray:
    """A random array (see `Draw`)."""
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(dtype)
    if dtype.kind in "iu":
        high = min(max(math.prod(shape) // 4, 2), np.iinfo(dtype).max) if values == "few" else 60  # no sum of two wraps
        return rng.integers(1, high, shape, dtype)
    if dtype.kind == "c":
        real = np.dtype(f"f{dtype.itemsize // 2}")
        return draw(rng, shape, real, values) + dtype.type(1j) * draw(rng, shape, real, values)
    x = rng.random(shape, np.float64 if dtype.itemsize == 8 else np.float32)
    x *= 16 if values == "wide" else 0.9
    x += -8 if values == "wide" else 0.1
    return x.astype(dtype, copy=False)


def is_float(dtype: np.dtype) -> bool:
    """Also bfloat16, whose kind is "V"."""
    return dtype.kind == "f" or dtype == BFLOAT16


def widen(x: np.ndarray) -> np.ndarray:
    """In double precision, if it is floating-point."""
    return x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) if is_inexact(x.dtype) else x


def is_inexact(dtype: np.dtype) -> bool:
    return is_float(dtype) or dtype.kind == "c"


def last_place(dtype: np.dtype) -> float:
    """Of 1 in a floating-point dtype; 0 of others."""
    return float(ml_dtypes.finfo(np.empty(0, dtype).real.dtype).eps) if is_inexact(dtype) else 0


def compare(result: np.ndarray, expected: np.ndarray, dtype: np.dtype, accuracy: float = EPS, times: int = 1) -> None:
    """Raise an AssertionError unless a result is the reference, repeated so often along each axis.

    dtype: what is computed in; the result may have a wider one. accuracy: in units of its last place, relative to each
    element, and an eighth of it to the largest one; integers must be equal.
    """
    shape = tuple(extent * times for extent in expected.shape)
    if result.shape != shape:
        raise AssertionError(f"the result has shape {result.shape}, not {shape}")
    beginning = result[tuple(map(slice, expected.shape))]
    if not is_inexact(result.dtype) or not is_inexact(expected.dtype):
        np.testing.assert_array_equal(beginning, expected)
    else:
        eps = max(last_place(dtype), last_place(result.dtype))
        tolerance = eps * (min(accuracy, EPS_HALF) if eps > 1e-4 else accuracy)
        largest = float(np.abs(expected).max(initial=0))
        np.testing.assert_allclose(widen(beginning), expected, rtol=tolerance, atol=tolerance / 8 * largest)
    if times > 1:
        for axis, period in enumerate(expected.shape):
            rows = np.moveaxis(result, axis, 0)
            _compare_long(rows[period:], rows[:-period], dtype, accuracy)


def _compare_long(result: np.ndarray, expected: np.ndarray, dtype: np.dtype, accuracy: float) -> None:
    """Large arrays that should be the same: their bits, and where these differ their values."""
    # Complex numbers are two words each, which only contiguous ones can be viewed as.
    words = result.dtype.itemsize // (2 if result.dtype.kind == "c" else 1)
    contiguous = result.flags.c_contiguous and expected.flags.c_contiguous
    if result.dtype.kind != "c" or contiguous:
        bits = f"u{words}"
        if np.array_equal(result.view(bits), expected.view(bits)):
            return
    step = max(1, 2**22 * len(result) // result.size)  # rows whose doubles do not take much memory
    for start in range(0, len(result), step):
        compare(result[start : start + step], widen(expected[start : start + step]), dtype, accuracy)


@dataclass(frozen=True)
class Case:
    """One computation, the same for all libraries."""

    name: str  # begins with its family; cases of the same name differ in size or dtype
    body: Callable[..., Any]  # f(xp, *arrays)
    shapes: Callable[[int], tuple[Shape, ...]]  # of the inputs, by the size
    size: int | None  # on a GPU; None: not measured there
    cpu_size: int | None  # where cuarray is on the CPU
    dtype: np.dtype = FLOAT32
    dtypes: tuple[np.dtype, ...] = ()  # of the inputs, where not all have `dtype`
    values: str = "unit"
    periodic: bool = False
    cycles: bool = False
    result: np.dtype | None = None  # of the result, where it is neither `dtype` nor what NumPy gives for integers
    read: float = 1  # the part of the inputs that must be read
    flops: Callable[..., int] = lambda *shapes: 0  # of the shapes; a function like exp counts as one
    accuracy: float = EPS
    verify: Callable[[Arrays, np.ndarray], None] | None = None  # where more than one result is right
    expected: Callable[..., np.ndarray] | None = None  # the reference; by default the body's result in NumPy
    make: Callable[..., Call] | None = None  # of a library and its arrays, where the body alone is not what is timed
    operations: int = 1  # in a call: times are those of one
    wall: bool = False  # by the wall clock on a GPU, too: what counts is how long the CPU is kept
    rotate: bool = True  # go through copies of the inputs that do not fit in the L2 cache
    mutates: bool = False  # the inputs
    bare: Callable[..., Call] | None = None  # as `make`, by nothing but the driver

    @property
    def family(self) -> str:
        return self.name.split("/")[0]

    def draw(self, size: int) -> Draw:
        """The inputs at a size."""
        shapes = self.shapes(size)
        return Draw(shapes, self.dtypes or (self.dtype,) * len(shapes), self.values, self.periodic, self.cycles)

    def reference(self, wide: Arrays) -> np.ndarray:
        """NumPy's result of (the beginnings of) the inputs in double precision."""
        if self.mutates:
            wide = tuple(x.copy() for x in wide)
        if self.expected is not None:
            return np.asarray(self.expected(*wide))
        return np.asarray(self.body(_numpy().namespace, *wide))

    def check(self, arrays: Arrays, expected: np.ndarray | None, result: np.ndarray, times: int) -> None:
        """Raise an AssertionError if a library's result is not right; `expected` is None where `verify` is not."""
        if self.verify is not None:
            self.verify(arrays, result)
        else:
            assert expected is not None
            compare(result, expected, self.result or self.dtype, self.accuracy, times)

    def bytes(self, draw: Draw, size: int, dtype: np.dtype) -> int:
        """What must be read and written at least; the result has so many elements of a dtype."""
        itemsize = (self.result or (self.dtype if is_inexact(dtype) else dtype)).itemsize
        return int(self.read * draw.nbytes) + size * itemsize

    def prepare(self, library: Library, inputs: int, arrays: Callable[[], tuple[Any, ...]]) -> Call:
        """What is timed with a library, of so many inputs; NotImplementedError if it cannot do it, where possible
        before `arrays` is asked for the inputs on its device."""
        if library.name == "bare":
            assert self.bare is not None
            return self.bare(library, *arrays())
        if self.make is not None:
            return self.make(library, *arrays())
        return Call(library.compile(self.body, inputs))


@functools.cache
def _numpy() -> Library:
    return Library(False)
