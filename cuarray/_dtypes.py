"""The dtypes of cuarray, their C++ spellings, and NumPy's promotion rules (asked of NumPy itself).

This is the only module that raises dtype errors.
"""

from __future__ import annotations

import functools
import struct
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import ml_dtypes
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
    np.dtype(ml_dtypes.bfloat16): "ca::bfloat16",
    np.dtype("float32"): "float",
    np.dtype("float64"): "double",
    np.dtype("complex64"): "ca::complex<float>",
    np.dtype("complex128"): "ca::complex<double>",
}

DTYPES: tuple[np.dtype, ...] = tuple(CPP_NAMES)

_CANONICAL = {dtype: dtype for dtype in DTYPES}

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_FLOAT16, _FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)

# Where a structured dtype that came from C++ keeps the name of its class: in the dtype's metadata, under this key.
STRUCT_NAME_KEY = "cuarray_cpp_name"

# Python's scalars are weak (NEP 50): they take the dtype of the arrays that they meet.
Weak = type[int] | type[float] | type[complex]
OperandType = np.dtype | Weak


class Loop(NamedTuple):
    """The dtypes in which an operation computes."""

    inputs: tuple[np.dtype, ...]
    output: np.dtype
    second: np.dtype | None = None  # the second output of those that have two


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
        if is_struct(result):
            raise TypeError(
                f"{argument}: arrays of dtype {result} can be stored, copied, viewed and given to kernels, "
                "but cuarray does not compute with them"
            ) from None
        supported = ", ".join(str(d) for d in DTYPES)
        raise TypeError(f"{argument}: cuarray has no dtype {result}; it has {supported}") from None


def kind_of(dtype: np.dtype) -> str:
    """NumPy's ``kind`` of a dtype, where bfloat16 is a floating type ("f") like any other and not "V"."""
    return "f" if dtype == BFLOAT16 else dtype.kind


# ---- structs are stored, copied, viewed and given to kernels, but not computed with


def is_struct(dtype: np.dtype) -> bool:
    """Whether it is a structured dtype."""
    return dtype.names is not None


def struct_name(dtype: np.dtype) -> str:
    """The C++ class that a structured dtype came from, or ""."""
    return dtype.metadata.get(STRUCT_NAME_KEY, "") if dtype.metadata else ""


def is_same(first: np.dtype, second: np.dtype) -> bool:
    """Whether two dtypes of arrays are equal and came from one C++ class, if they came from any."""
    return first is second or (first == second and not is_struct(first))


def as_storage_dtype(dtype: Any, argument: str = "dtype") -> np.dtype:
    """The dtype that `dtype` names, of those that an array can have; TypeError naming `argument` for any other.

    Equal dtypes give the same object, but structured ones that came from different C++ classes stay apart: NumPy's
    equality does not look at the name of the class.
    """
    try:
        result = np.dtype(dtype)
    except TypeError:
        return as_dtype(dtype, argument)  # raises
    if is_struct(result):
        return _canonical_struct(result, argument)
    return as_dtype(result, argument)


_structs: dict[Any, np.dtype] = {}


def _canonical_struct(dtype: np.dtype, argument: str) -> np.dtype:
    key = (dtype, dtype.type, _names(dtype))
    found = _structs.get(key)
    if found is None:
        native = dtype.newbyteorder("=")
        if native != dtype:
            found = _canonical_struct(native, argument)
        else:
            _check_fields(dtype, argument, "")
            if not dtype.itemsize:
                raise TypeError(f"{argument}: a structured dtype needs a field; {dtype} has none")
            found = dtype
        _structs[key] = found
    return found


def _names(dtype: np.dtype) -> Any:
    # The classes that a dtype and its fields came from.
    if dtype.subdtype is not None:
        return _names(dtype.subdtype[0])
    if dtype.names is None:
        return ""
    assert dtype.fields is not None
    return struct_name(dtype), tuple(_names(dtype.fields[name][0]) for name in dtype.names)


def _check_fields(dtype: np.dtype, argument: str, path: str) -> None:
    assert dtype.fields is not None and dtype.names is not None
    for name in dtype.names:
        own = dtype.fields[name][0].base
        where = f"{path}.{name}" if path else name
        if is_struct(own):
            _check_fields(own, argument, where)
        elif own not in _CANONICAL:
            supported = ", ".join(str(d) for d in DTYPES)
            raise TypeError(
                f"{argument}: field {where!r} has dtype {own}; a field may have {supported}, or be a struct"
            )


def alignment(dtype: np.dtype) -> int:
    """What the address of an element must be a multiple of; 1 for a struct whose fields are packed."""
    if not is_struct(dtype):
        return dtype.itemsize
    largest = 1
    assert dtype.fields is not None
    for own, offset, *_ in dtype.fields.values():
        field = alignment(own.base) if is_struct(own.base) else own.base.alignment
        if offset % field:
            return 1
        largest = max(largest, field)
    return 1 if dtype.itemsize % largest else largest


@functools.cache
def storage_name(dtype: np.dtype) -> str:
    """The C++ type that stores an element in the library's own kernels: for a struct, its bytes as words."""
    if is_struct(dtype):
        word = min(alignment(dtype), 8)
        unsigned = CPP_NAMES[np.dtype(f"u{word}")]
        return f"ca::Opaque<{unsigned}, {dtype.itemsize // word}>"
    return CPP_NAMES[dtype]


def item_name(dtype: np.dtype) -> str:
    """The C++ type that moves the bytes of an element: one for all dtypes of a size, except structs."""
    if is_struct(dtype):
        return storage_name(dtype)
    if dtype.itemsize == 16:
        return CPP_NAMES[np.dtype(np.complex128)]  # 16 bytes at once
    return CPP_NAMES[np.dtype(f"u{dtype.itemsize}")]


# ---- promotion: NumPy's, which knows nothing of bfloat16
#
# bfloat16 takes part in promotion as float16 does, so NumPy is asked about float16 in its place: it stays bfloat16 with
# bool, 8-bit integers and Python's numbers, and becomes float32 or float64 with wider ones. Where both 16-bit types
# meet, neither holds the other, and bfloat16 is float32.


def _in_place_of_bfloat16(operands: Sequence[OperandType | None], *more: np.dtype | None) -> np.dtype:
    return _FLOAT32 if any(d == _FLOAT16 for d in (*operands, *more) if isinstance(d, np.dtype)) else _FLOAT16


Signature = tuple[np.dtype | None, ...]


@functools.lru_cache(maxsize=4096)
def resolve(
    ufunc: np.ufunc,
    operands: tuple[OperandType, ...],
    signature: np.dtype | Signature | None = None,
    casting: str = "same_kind",
) -> Loop:
    """NumPy's loop for `ufunc` on operands of these dtypes; TypeError, in NumPy's words, where it has none.

    `signature`: the dtype of the outputs, or a dtype (or None) for each input and output.
    """
    if not any(isinstance(operand, np.dtype) for operand in operands):
        operands = tuple(np.dtype(operand) for operand in operands)  # nothing to be weak against
    for operand in operands:
        if isinstance(operand, np.dtype):
            as_dtype(operand, ufunc.__name__)
    if signature is None or isinstance(signature, np.dtype):
        signature = (None,) * ufunc.nin + (signature,) * ufunc.nout
    if BFLOAT16 in operands or BFLOAT16 in signature:
        # An output that must be bfloat16 is one: then float16 among the operands is an input to be cast.
        stand_in = _FLOAT16 if BFLOAT16 in signature else _in_place_of_bfloat16(operands, *signature)
        operands = tuple(stand_in if operand == BFLOAT16 else operand for operand in operands)
        signature = tuple(_FLOAT16 if dtype == BFLOAT16 else dtype for dtype in signature)
        found = _resolve(ufunc, operands, signature, casting)
        return found if stand_in == _FLOAT32 else _with_bfloat16(found)
    return _resolve(ufunc, operands, signature, casting)


def _with_bfloat16(loop: Loop) -> Loop:
    def own(dtype: np.dtype) -> np.dtype:
        return BFLOAT16 if dtype == _FLOAT16 else dtype

    return Loop(tuple(map(own, loop.inputs)), own(loop.output), None if loop.second is None else own(loop.second))


def _resolve(ufunc: np.ufunc, operands: tuple[OperandType, ...], signature: Signature, casting: str) -> Loop:
    wanted: dict[str, Any] = {"signature": signature} if any(d is not None for d in signature) else {}
    resolved = ufunc.resolve_dtypes((*operands, *(None,) * ufunc.nout), casting=casting, **wanted)  # type: ignore[arg-type]
    own = tuple(as_dtype(d, ufunc.__name__) for d in resolved)
    return Loop(own[: ufunc.nin], *own[ufunc.nin :])


@functools.lru_cache(maxsize=4096)
def resolve_reduction(ufunc: np.ufunc, source: np.dtype, dtype: np.dtype | None = None) -> np.dtype:
    """The dtype in which `ufunc` reduces or accumulates an array of `source`; an error, in NumPy's words, if it cannot.

    NumPy computes in one dtype, and returns it: `dtype`, to which it casts whatever the array has, or its own choice.
    """
    as_dtype(source, ufunc.__name__)
    if ufunc.nin != 2:
        raise ValueError("reduce only supported for binary functions")
    if ufunc.nout != 1:
        raise ValueError("reduce only supported for functions returning a single value")
    wanted = {} if dtype is None else {"signature": (dtype, None, None)}
    operands = (None, source, None)
    resolved = ufunc.resolve_dtypes(operands, reduction=True, casting="unsafe", **wanted)
    return as_dtype(resolved[0], ufunc.__name__)


def as_scalar(value: Any, dtype: np.dtype) -> Any:
    """`value`, a scalar, as one of `dtype`, converted as NumPy assigns it: an int that does not fit is an error."""
    holder = np.empty((), dtype)
    holder[()] = value
    return holder[()]


def result_type(*operands: OperandType) -> np.dtype:
    """The dtype that operands of these dtypes promote to, Python scalar types being weak."""
    stand_in = _in_place_of_bfloat16(operands) if BFLOAT16 in operands else None
    values: list[Any] = []
    for operand in operands:
        if isinstance(operand, np.dtype):
            values.append(stand_in if operand == BFLOAT16 else as_dtype(operand, "operand"))
        else:
            values.append(operand())
    found = as_dtype(np.result_type(*values))
    return BFLOAT16 if stand_in == found == _FLOAT16 else found


def check_castable(source: np.dtype, target: np.dtype, casting: str, what: str) -> None:
    """TypeError unless NumPy allows the cast; structs are not cast at all."""
    if (is_struct(source) or is_struct(target)) and source != target:
        raise TypeError(f"{what}: cannot cast from {source} to {target}: structs are copied as they are")
    if not can_cast(source, target, casting):
        raise TypeError(f"{what}: cannot cast from {source} to {target} with casting={casting!r}")


def can_cast(source: np.dtype, target: np.dtype, casting: str) -> bool:
    """Whether the rule `casting` allows a cast; ValueError for a rule that NumPy has not."""
    if (source == BFLOAT16) != (target == BFLOAT16) and _FLOAT16 not in (source, target):
        source, target = (_FLOAT16 if dtype == BFLOAT16 else dtype for dtype in (source, target))
    return np.can_cast(source, target, casting)  # type: ignore[arg-type]


def operand_type(scalar: Any) -> OperandType | None:
    """How a Python or NumPy scalar takes part in promotion; None for what is no supported scalar."""
    kind = type(scalar)
    if kind is bool:
        return _CANONICAL[np.dtype(bool)]
    if kind is int or kind is float or kind is complex:
        return kind
    if isinstance(scalar, np.generic):
        return as_storage_dtype(scalar.dtype, "operand")
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
