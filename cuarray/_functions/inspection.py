"""Questions about dtypes and arrays. NumPy answers those about dtypes; nothing here waits for the device."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions.creation import asarray

# NumPy's own, which take dtypes, and which a CuArray's dtype is as good for as any.
iinfo = np.iinfo
isdtype = np.isdtype
issubdtype = np.issubdtype
promote_types = np.promote_types


def _kind(value: Any) -> Any:
    """What stands for `value` in promotion: an array's dtype, a Python number itself, which is weak."""
    if type(value) is CuArray:
        return value.dtype
    if isinstance(value, bool | int | float | complex | np.generic | np.ndarray | np.dtype | type | str):
        return value
    return np.asarray(value)


def finfo(dtype: Any) -> np.finfo:
    """The limits of a floating-point dtype, or of an array's: NumPy's `finfo`.

    >>> import cuarray as ca
    >>> ca.finfo(ca.float32).bits
    32
    """
    return np.finfo(dtype.dtype if type(dtype) is CuArray else dtype)


def result_type(*arrays_and_dtypes: Any) -> np.dtype:
    """The dtype that arrays, dtypes and Python numbers (which are weak) promote to.

    >>> import cuarray as ca
    >>> ca.result_type(ca.ones(1, "float32"), 2, "int8")
    dtype('float32')
    """
    return np.result_type(*(_kind(value) for value in arrays_and_dtypes))


def can_cast(from_: Any, to: Any, casting: str = "safe") -> bool:
    """Whether an array or a dtype can be cast to a dtype under the rule `casting`.

    >>> import cuarray as ca
    >>> ca.can_cast("int32", "float32"), ca.can_cast("int32", "float32", "same_kind")
    (False, True)
    """
    return np.can_cast(_kind(from_), to, casting)  # type: ignore[arg-type]


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
