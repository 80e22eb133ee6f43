"""The dtypes of cuarray, their C++ spellings, and NumPy's promotion rules (asked of NumPy itself).

This is the only module that raises dtype errors.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

# dtype -> the C++ type that stores it, spelled the same for NVRTC and Cling (LP64: long has 64 bits).
CPP_NAMES: dict[np.dtype, str] = {
    np.dtype("bool"): "bool",
    np.dtype("int8"): "signed char",
    np.dtype("int16"): "short",
    np.dtype("int32"): "int",
    np.dtype("int64"): "long",
    np.dtype("uint8"): "unsigned char",
    np.dtype("uint16"): "unsigned short",
    np.dtype("uint32"): "unsigned int",
    np.dtype("uint64"): "unsigned long",
    np.dtype("float16"): "ca::float16",
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("complex64"): "ca::complex<float>",
    np.dtype("complex128"): "ca::complex<double>",
}

DTYPES: tuple[np.dtype, ...] = tuple(CPP_NAMES)

_CANONICAL = {dtype: dtype for dtype in DTYPES}

# Python's scalars are weak (NEP 50): they take the dtype of the arrays that they meet.
Weak = type[int] | type[float] | type[complex]
OperandType = np.dtype | Weak


class Loop(NamedTuple):
    """The dtypes in which an operation computes."""

    inputs: tuple[np.dtype, ...]
    output: np.dtype


def as_dtype(dtype: Any, argument: str = "dtype") -> np.dtype:
    """The supported dtype that `dtype` names; TypeError naming `argument` for any other."""
    try:
        result = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(f"{argument}: {dtype!r} is not a dtype") from error
    try:
        return _CANONICAL[result]
    except KeyError:
        native = result.newbyteorder("=")
        if native in _CANONICAL:
            return _CANONICAL[native]
        supported = ", ".join(str(d) for d in DTYPES)
        raise TypeError(f"{argument}: cuarray has no dtype {result}; it has {supported}") from None


@functools.lru_cache(maxsize=4096)
def resolve(ufunc: np.ufunc, operands: tuple[OperandType, ...], dtype: np.dtype | None = None) -> Loop:
    """NumPy's loop for `ufunc` on operands of these dtypes; TypeError, in NumPy's words, where it has none."""
    if not any(isinstance(operand, np.dtype) for operand in operands):
        operands = tuple(np.dtype(operand) for operand in operands)  # nothing to be weak against
    wanted = {} if dtype is None else {"signature": (None,) * ufunc.nin + (dtype,) * ufunc.nout}
    resolved = ufunc.resolve_dtypes((*operands, *(None,) * ufunc.nout), **wanted)  # type: ignore[arg-type]
    return Loop(
        tuple(as_dtype(d, ufunc.__name__) for d in resolved[: ufunc.nin]),
        as_dtype(resolved[ufunc.nin], ufunc.__name__),
    )


def result_type(*operands: OperandType) -> np.dtype:
    """The dtype that operands of these dtypes promote to, Python scalar types being weak."""
    values = [operand if isinstance(operand, np.dtype) else operand() for operand in operands]
    return as_dtype(np.result_type(*values))


def check_castable(source: np.dtype, target: np.dtype, casting: str, what: str) -> None:
    """TypeError unless NumPy allows the cast."""
    if not np.can_cast(source, target, casting):  # type: ignore[arg-type]
        raise TypeError(f"{what}: cannot cast from {source} to {target} with casting={casting!r}")


def operand_type(scalar: Any) -> OperandType | None:
    """How a Python or NumPy scalar takes part in promotion; None for what is no supported scalar."""
    kind = type(scalar)
    if kind is bool:
        return _CANONICAL[np.dtype(bool)]
    if kind is int or kind is float or kind is complex:
        return kind
    if isinstance(scalar, np.generic):
        return as_dtype(scalar.dtype, "operand")
    for base in (bool, int, float, complex):  # subclasses: IntEnum, ...
        if isinstance(scalar, base):
            return operand_type(base(scalar))  # type: ignore[arg-type]
    return None


def pack_scalar(dtype: np.dtype) -> Callable[[Any], tuple[int, int]]:
    """A function from a scalar to the two 64-bit words (as signed ints) that a kernel reads it from.

    The function raises OverflowError for a Python int that `dtype` does not hold, as NumPy does.
    """
    make = dtype.type
    if dtype.itemsize == 16:
        unpack16 = struct.Struct("qq").unpack

        def pack16(value: Any) -> tuple[int, int]:
            return unpack16(make(value).tobytes())

        return pack16
    padding = bytes(8 - dtype.itemsize)
    unpack8 = struct.Struct("q").unpack

    def pack8(value: Any) -> tuple[int, int]:
        return unpack8(make(value).tobytes() + padding)[0], 0

    return pack8
