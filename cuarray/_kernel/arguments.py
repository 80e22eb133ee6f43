"""Arguments of kernels: what a Python object is in C++, and how it becomes the bytes that a parameter is read from."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._dtypes import CPP_NAMES, DTYPES, as_dtype, operand_type

# The dtype of each parameter word of ca::host::describe (kernels/host/reflect.hpp), and back.
_WORDS = {f"{'b' if d.kind == 'b' else d.kind}{d.itemsize}": d for d in DTYPES}
_DTYPE_WORDS = {dtype: word for word, dtype in _WORDS.items()}

_PYTHON_TYPES: dict[type, str] = {
    bool: "bool",
    int: "long",
    float: "double",
    complex: "ca::complex<double>",
}


def word_dtype(word: str) -> np.dtype | None:
    """The dtype of a value that ca::host::describe called `word`; None if NumPy has none."""
    return _WORDS.get(word)


class Argument(NamedTuple):
    """An argument as overload resolution sees it."""

    cpp: str  # the C++ type of the expression
    weak: bool  # a Python scalar, which takes the type that the arrays give it
    pointer: bool


def template_argument(value: Any) -> str:
    """A template argument as C++: a dtype or Python type, a C++ name or expression as str, or a constant."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, type) and value in _PYTHON_TYPES:
        return _PYTHON_TYPES[value]
    try:
        return CPP_NAMES[as_dtype(value)]
    except TypeError:
        name = getattr(value, "__cpp_name__", None)  # a class or enum of cppyy
        if isinstance(name, str):
            return name
        raise TypeError(
            f"template argument {value!r}: expected a dtype, a Python type, a C++ name as str, or an int"
        ) from None


def as_argument(value: Any, kernel: str, name: str) -> tuple[Any, Any]:
    """The object that is passed for `value`, and its kind: what distinguishes it for the choice of an instance.

    Arrays of other libraries become CuArrays over the same memory.
    """
    if type(value) is CuArray:
        return value, (value._layout.dtype, value._writeable)
    kind = operand_type(value)
    if kind is not None:
        return value, kind
    if value is None:
        return 0, None
    if isinstance(value, np.ndarray):
        if not _runtime.get().host_is_device:
            raise TypeError(
                f"{kernel}: argument {name} is a NumPy array, which a kernel on the GPU cannot use; "
                "make it a CuArray with cuarray.asarray"
            )
        return value, (as_dtype(value.dtype, f"{kernel}: argument {name}"), value.flags.writeable)
    if hasattr(value, "__cuda_array_interface__") or hasattr(value, "__dlpack__"):
        from cuarray._functions.creation import asarray

        array = asarray(value)
        return array, (array._layout.dtype, array._writeable)
    raise TypeError(
        f"{kernel}: argument {name} must be an array or a scalar, not an object of type {type(value).__name__}"
    )


def describe_kind(kind: Any) -> Argument:
    """The C++ side of a kind that `as_argument` returned."""
    if kind is None:
        return Argument("std::nullptr_t", False, True)
    if isinstance(kind, tuple):
        dtype, writeable = kind
        return Argument(f"{'' if writeable else 'const '}{CPP_NAMES[dtype]}*", False, True)
    if isinstance(kind, np.dtype):
        return Argument(CPP_NAMES[kind], False, False)
    return Argument(_PYTHON_TYPES[kind], True, False)


class Parameter(NamedTuple):
    """A parameter of an instance: how its bytes are made."""

    name: str
    word: str
    size: int
    alignment: int
    pack: Callable[[Any], bytes]


def make_parameter(kernel: str, name: str, word: str) -> Parameter:
    """How to make the bytes of a parameter that ca::host::describe called `word`."""
    if word.startswith("P"):
        return Parameter(name, word, 8, 8, _pack_pointer)
    if word.startswith("S"):
        size, alignment = (int(part) for part in word[1:].split(":"))
        return Parameter(name, word, size, alignment, _pack_struct(kernel, name, size))
    dtype = _WORDS[word]
    return Parameter(name, word, dtype.itemsize, dtype.itemsize, _pack_number(kernel, name, dtype))


_pointer_bytes = struct.Struct("P").pack


def _pack_pointer(value: Any) -> bytes:
    if type(value) is CuArray:
        return _pointer_bytes(value._pointer)
    if isinstance(value, np.ndarray):
        return _pointer_bytes(value.ctypes.data)
    return _pointer_bytes(value)


def _pack_number(kernel: str, name: str, dtype: np.dtype) -> Callable[[Any], bytes]:
    make = dtype.type
    wants_integer = dtype.kind in "iu"

    def pack(value: Any) -> bytes:
        if type(value) is CuArray or isinstance(value, np.ndarray):
            raise TypeError(f"{kernel}: argument {name} must be a scalar ({dtype}), not an array")
        if wants_integer and isinstance(value, float | complex | np.inexact):
            raise TypeError(f"{kernel}: argument {name} must be an integer ({dtype}), not {type(value).__name__}")
        if dtype.kind == "f" and isinstance(value, complex | np.complexfloating):
            raise TypeError(f"{kernel}: argument {name} must be real ({dtype}), not complex")
        if wants_integer:
            value = int(value)
            limits = np.iinfo(dtype)
            if not limits.min <= value <= limits.max:
                raise OverflowError(f"{kernel}: argument {name}: {value} does not fit {dtype}")
        return make(value).tobytes()

    return pack


def _pack_struct(kernel: str, name: str, size: int) -> Callable[[Any], bytes]:
    def pack(value: Any) -> bytes:
        raise TypeError(f"{kernel}: argument {name} is a struct of {size} bytes; structs cannot be passed yet")

    return pack
