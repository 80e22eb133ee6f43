"""Questions about dtypes and arrays. NumPy answers those about dtypes; nothing here waits for the device."""

from __future__ import annotations

import operator
from typing import Any

import ml_dtypes
import numpy as np

from cuarray import _dtypes
from cuarray._array import CuArray
from cuarray._dtypes import BFLOAT16, OperandType, operand_type
from cuarray._functions.creation import asarray

# NumPy's own, which takes dtypes, and which a CuArray's dtype is as good for as any.
iinfo = np.iinfo

# What NumPy knows is asked of NumPy, and so its errors are NumPy's. It does not know bfloat16.
_KNOWN = (np.float16, np.float32)


def _is_bfloat16(value: Any) -> bool:
    """Of a dtype by any of its names, and of what has one."""
    if isinstance(value, str | type):
        return value in (BFLOAT16.name, BFLOAT16.type)
    return (value if isinstance(value, np.dtype) else getattr(value, "dtype", None)) == BFLOAT16


def _dtype_of(value: Any) -> OperandType:
    """The dtype of an array, or of a dtype by any of its names; of a Python number, which is weak, its type."""
    if isinstance(value, np.dtype | type | str):
        return np.dtype(value)
    return operand_type(value) or np.asarray(value).dtype


def _kind(value: Any) -> Any:
    """What stands for `value` in promotion: an array's dtype, a Python number itself, which is weak."""
    if type(value) is CuArray:
        return value.dtype
    if isinstance(value, bool | int | float | complex | np.generic | np.ndarray | np.dtype | type | str):
        return value
    return np.asarray(value)


def finfo(dtype: Any) -> np.finfo:
    """The limits of a floating-point dtype, or of an array's: NumPy's `finfo`, also of bfloat16.

    >>> import cuarray as ca
    >>> ca.finfo(ca.float32).bits, ca.finfo(ca.bfloat16).bits
    (32, 16)
    """
    dtype = _kind(dtype) if type(dtype) is CuArray else dtype
    return ml_dtypes.finfo(BFLOAT16) if _is_bfloat16(dtype) else np.finfo(dtype)


def isdtype(dtype: Any, kind: Any) -> bool:
    """Whether a dtype is of a kind: one of the standard's words, another dtype, or any of a tuple of these.

    The words: "bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric".
    bfloat16 is real floating. TypeError for what is no dtype, ValueError for no kind.

    >>> import cuarray as ca
    >>> ca.isdtype(ca.bfloat16, ("integral", "real floating"))
    True
    """
    kinds = kind if isinstance(kind, tuple) else (kind,)
    known = tuple(one for one in kinds if not _is_bfloat16(one))
    if not _is_bfloat16(dtype):
        return np.isdtype(dtype, known)
    # Only a word, no dtype, is true of both.
    return len(known) < len(kinds) or any([all(np.isdtype(own, one) for own in _KNOWN) for one in known])


def issubdtype(arg1: Any, arg2: Any) -> bool:
    """Whether a dtype is another, or of a kind: one of NumPy's abstract classes. bfloat16 is a kind of `floating`.

    >>> import cuarray as ca
    >>> ca.issubdtype(ca.bfloat16, ca.floating), ca.issubdtype(ca.float32, ca.integer)
    (True, False)
    """
    if _is_bfloat16(arg2):
        return _is_bfloat16(arg1)
    if _is_bfloat16(arg1):
        return all(np.issubdtype(own, arg2) for own in _KNOWN)
    return np.issubdtype(arg1, arg2)


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype that arrays, dtypes and Python numbers (which are weak) promote to, as in arithmetic.

    >>> import cuarray as ca
    >>> ca.result_type(ca.ones(1, "float32"), 2, "int8")
    dtype('float32')
    """
    operands = [_kind(value) for value in arrays_and_dtypes]
    if any(map(_is_bfloat16, operands)):
        return _dtypes.result_type(*map(_dtype_of, operands))
    return np.result_type(*operands)


def promote_types(type1: Any, type2: Any) -> np.dtype:
    """The smallest dtype that two dtypes can be cast to safely; TypeError if there is none.

    >>> import cuarray as ca
    >>> ca.promote_types("int16", "float32"), ca.promote_types(ca.bfloat16, "float16")
    (dtype('float32'), dtype('float32'))
    """
    if _is_bfloat16(type1) or _is_bfloat16(type2):
        return _dtypes.result_type(np.dtype(type1), np.dtype(type2))
    return np.promote_types(type1, type2)


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether an array or a dtype can be cast to a dtype under the rule `casting`.

    >>> import cuarray as ca
    >>> ca.can_cast("int32", "float32"), ca.can_cast("int32", "float32", "same_kind")
    (False, True)
    """
    source = _kind(from_)
    if _is_bfloat16(source) or _is_bfloat16(to):
        dtype = _dtype_of(source)
        if isinstance(dtype, np.dtype):  # NumPy refuses Python's numbers
            return _dtypes.can_cast(dtype, np.dtype(to), casting)
    return np.can_cast(source, to, casting)  # type: ignore[arg-type]


def min_scalar_type(a: Any, /) -> np.dtype:
    """The smallest dtype that holds a number; of an array its dtype. Of a 0-d array the number: this waits for it.

    >>> import cuarray as ca
    >>> ca.min_scalar_type(300)
    dtype('uint16')
    """
    if type(a) is CuArray:
        return np.min_scalar_type(np.asarray(a)) if not a.ndim else a.dtype
    return np.min_scalar_type(a)


def common_type(*arrays: Any) -> type:
    """The floating-point type that arrays have in common: float64 if there are integers; TypeError for bool.

    >>> import cuarray as ca
    >>> ca.common_type(ca.ones(1, "float32"), ca.ones(1, "complex64"))
    <class 'numpy.complex64'>
    """
    return np.common_type(*(np.empty(0, asarray(x).dtype) for x in arrays))


def ndim(a: Any) -> int:
    """How many dimensions an array has.

    >>> import cuarray as ca
    >>> ca.ndim([[1, 2]])
    2
    """
    return a.ndim if hasattr(a, "ndim") else asarray(a).ndim


def shape(a: Any) -> tuple[int, ...]:
    """The extents of an array.

    >>> import cuarray as ca
    >>> ca.shape([[1, 2]])
    (1, 2)
    """
    return a.shape if hasattr(a, "shape") else asarray(a).shape


def size(a: Any, axis: Any = None) -> int:
    """How many elements an array has, or how many along an axis (or several).

    >>> import cuarray as ca
    >>> ca.size([[1, 2, 3]]), ca.size([[1, 2, 3]], 0)
    (3, 1)
    """
    extents = shape(a)
    axes: Any = range(len(extents)) if axis is None else axis if isinstance(axis, tuple) else (axis,)
    found = 1
    for own in axes:
        if not -len(extents) <= operator.index(own) < len(extents):
            raise np.exceptions.AxisError(operator.index(own), len(extents))
        found *= extents[own]
    return found


def iterable(y: Any) -> bool:
    """Whether `iter` takes it.

    >>> import cuarray as ca
    >>> ca.iterable([1]), ca.iterable(1)
    (True, False)
    """
    try:
        iter(y)
    except TypeError:
        return False
    return True


def _as_places(x: Any) -> Any:
    """An array as NumPy's functions of memory see it; its elements are not read."""
    if type(x) is not CuArray:
        return np.asarray(x)
    own = x._layout
    if not own.size:
        return np.empty(0)
    return np.asarray(_Places(x))


class _Places:
    # Bytes in the places of the elements, whatever their dtype.
    def __init__(self, x: CuArray) -> None:
        self.__array_interface__ = {
            "version": 3,
            "data": (x._pointer, True),
            "typestr": f"|V{x.dtype.itemsize}",
            "shape": x.shape,
            "strides": x.strides,
        }


def isfortran(a: Any) -> bool:
    """Whether the first axis varies fastest in memory, and not also the last one.

    >>> import cuarray as ca
    >>> ca.isfortran(ca.ones((2, 3)).T), ca.isfortran(ca.ones(3))
    (True, False)
    """
    flags = a.flags
    return bool(flags.f_contiguous and not flags.c_contiguous)


def shares_memory(a: Any, b: Any, /, max_work: int = -1) -> bool:
    """Whether two arrays have a byte in common; exact, which can take long: see `numpy.shares_memory`.

    >>> import cuarray as ca
    >>> x = ca.arange(4)
    >>> ca.shares_memory(x[::2], x[1::2]), ca.shares_memory(x[:2], x[1:])
    (False, True)
    """
    return np.shares_memory(_as_places(a), _as_places(b), max_work)  # type: ignore[arg-type]


def may_share_memory(a: Any, b: Any, /, max_work: int = 0) -> bool:
    """Whether two arrays may have a byte in common: whether their bounds overlap.

    >>> import cuarray as ca
    >>> x = ca.arange(4)
    >>> ca.may_share_memory(x[::2], x[1::2]), ca.may_share_memory(x[:2], x[2:])
    (True, False)
    """
    return np.may_share_memory(_as_places(a), _as_places(b), max_work)  # type: ignore[arg-type]
