"""Making arrays: from values, from other libraries' arrays, and from nothing."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from cuarray import _fast_calls, _runtime
from cuarray._array import CuArray, allocate, new, view_of
from cuarray._dtypes import as_storage_dtype, check_castable, is_same, operand_type
from cuarray._fast_calls import Remembered
from cuarray._functions._operation import copy_into, copy_operation, new_like
from cuarray._interop import dlpack
from cuarray._layout import contiguous_strides, layout, ordered_layout


def as_shape(shape: Any) -> tuple[int, ...]:
    """A shape as a tuple of non-negative ints; TypeError or ValueError naming `shape`."""
    if isinstance(shape, CuArray):
        shape = shape.tolist()
    try:
        extents: tuple[int, ...] = (operator.index(shape),)
    except TypeError:
        try:
            extents = tuple(operator.index(extent) for extent in shape)
        except TypeError:
            raise TypeError(f"shape must be an integer or a sequence of integers, not {shape!r}") from None
    if any(extent < 0 for extent in extents):
        raise ValueError(f"shape: negative dimensions are not allowed: {extents}")
    if len(extents) > 64:
        raise ValueError(f"shape: at most 64 dimensions are supported, not {len(extents)}")
    if math.prod(extent or 1 for extent in extents) * 16 >= 2**63:  # strides must fit where there is nothing, too
        raise ValueError(f"shape: array is too big: {extents}")
    return extents


def check_device(device: Any) -> None:
    """ValueError unless `device` is None or names the device that arrays are on."""
    if device is not None:
        own = _runtime.get().device_name()
        if str(device) != own:
            raise ValueError(f"device: {str(device)!r} is not available; arrays are on {own!r}")


def check_copy(copy: Any) -> None:
    """ValueError for the text that NumPy has in other places to say when to copy."""
    if isinstance(copy, str):
        raise ValueError(f"copy must be True, False or None, not {copy!r}")


def check_order(order: Any, allowed: str = "CFAK") -> str:
    """An order of elements in memory by its capital letter; None is "K"."""
    if order is None:
        return "K"
    if not isinstance(order, str):
        raise TypeError(f"order must be a string, not {type(order).__name__}")
    if len(order) != 1 or order.upper() not in allowed:
        names = ", ".join(map(repr, allowed))
        raise ValueError(f"order must be one of {names}, not {order!r}")
    return order.upper()


def _has_order(x: CuArray, order: str) -> bool:
    own = x._layout
    return order in "KA" or (own.c_contiguous and order == "C") or (own.f_contiguous and order == "F")


# ---- from values


def array(
    object: Any,
    dtype: Any = None,
    *,
    copy: bool | None = True,
    order: str | None = "K",
    subok: bool = False,
    ndmin: int = 0,
    device: Any = None,
) -> CuArray:
    """A new array with the values of `object`: nested sequences, a scalar, or any library's array.

    `copy`: True always copies, None only where it must, False never (ValueError where it would have to). `order`: "C"
    or "F"; "A" is "F" for what is in that order already, "K" keeps the order of the axes. `ndmin`: leading axes of
    extent 1 are added up to so many. `subok` has no meaning: there are no subclasses.

    >>> import cuarray as ca
    >>> ca.array([[1, 2], [3, 4]], dtype="float32")
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    check_device(device)
    check_copy(copy)
    order = check_order(order)
    wanted = None if dtype is None else as_storage_dtype(dtype)
    result = _without_copy(object)
    if result is None:
        if copy is False:
            raise ValueError("copy=False: the values must be copied to the device to make an array of them")
        result = _from_host(object, wanted, order)
    elif wanted is not None and not is_same(result.dtype, wanted):
        if copy is False:
            raise ValueError(f"copy=False: {result.dtype} cannot be made {wanted} without a copy")
        result = astype(result, wanted, order=order)
    elif copy:
        result = _copied(result, order)
    elif not _has_order(result, order):
        if copy is False:
            raise ValueError(f"copy=False: the elements cannot be put in order {order!r} without a copy")
        result = _copied(result, order)
    if ndmin > result.ndim:
        result = view_of(result, lambda ghost: ghost.reshape((1,) * (ndmin - ghost.ndim) + ghost.shape))
        result._base = None
    return result


def asarray(
    a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None, copy: bool | None = None
) -> CuArray:
    """`a` as an array: itself if it is one, without a copy where its memory is the device's.

    >>> import cuarray as ca
    >>> x = ca.arange(3)
    >>> ca.asarray(x) is x
    True
    """
    if type(a) is CuArray and dtype is None and not copy and order is None and device is None:
        return a
    return array(a, dtype, copy=copy, order=order, device=device)


def asarray_chkfinite(a: Any, dtype: Any = None, order: str | None = None) -> CuArray:
    """`asarray`; ValueError if an element is NaN or infinite, which waits for the device.

    >>> import cuarray as ca
    >>> ca.asarray_chkfinite([1.0, 2.0])
    array([1., 2.])
    """
    from cuarray._functions.elementwise import isfinite
    from cuarray._functions.reductions import all as all_of

    result = asarray(a, dtype, order)
    if result.dtype.kind in "fc" and not bool(all_of(isfinite(result))):
        raise ValueError("a must not contain infs or NaNs")
    return result


def asanyarray(
    a: Any, dtype: Any = None, order: str | None = None, *, device: Any = None, copy: bool | None = None
) -> CuArray:
    """`asarray`: CuArray has no subclasses.

    >>> import cuarray as ca
    >>> ca.asanyarray([1, 2])
    array([1, 2])
    """
    return asarray(a, dtype, order, device=device, copy=copy)


def asfortranarray(a: Any, dtype: Any = None) -> CuArray:
    """`a` in Fortran order (the first axis varies fastest in memory), with at least one axis; copied only if it must.

    >>> import cuarray as ca
    >>> ca.asfortranarray([[1, 2], [3, 4]]).strides
    (8, 16)
    """
    return array(a, dtype, copy=None, order="F", ndmin=1)


_REQUIREMENTS = {"CONTIGUOUS": "C", "C_CONTIGUOUS": "C", "FORTRAN": "F", "F_CONTIGUOUS": "F", "ALIGNED": "A"}
_REQUIREMENTS |= {"WRITEABLE": "W", "OWNDATA": "O", "ENSUREARRAY": "E"}
_REQUIREMENTS |= {letter: letter for letter in "CFAWOE"}


def require(a: Any, dtype: Any = None, requirements: Any = None) -> CuArray:
    """`a` as an array that has the properties in `requirements`; copied only if it must be.

    They are, as in NumPy, "C", "F", "A" (aligned: all arrays are), "W" (writeable), "O" (no view), "E" (an array),
    or the long names of these. ValueError for any other, and for "C" with "F".

    >>> import cuarray as ca
    >>> ca.require(ca.zeros((2, 3)), requirements="F").flags.f_contiguous
    True
    """
    names = [requirements] if isinstance(requirements, str) else list(requirements or ())
    wanted = set()
    for name in names:
        if str(name).upper() not in _REQUIREMENTS:
            raise ValueError(f"requirements: {name!r} is none of {', '.join(_REQUIREMENTS)}")
        wanted.add(_REQUIREMENTS[str(name).upper()])
    if {"C", "F"} <= wanted:
        raise ValueError('requirements: "C" and "F" cannot both be asked for')
    order = "C" if "C" in wanted else "F" if "F" in wanted else "K"
    result = array(a, dtype, copy=None, order=order)
    if ("O" in wanted and result.base is not None) or ("W" in wanted and not result._writeable):
        result = _copied(result, order)
    return result


def _without_copy(obj: Any) -> CuArray | None:
    """`obj` over the memory that it has, if kernels can use that."""
    if type(obj) is CuArray:
        return obj
    if isinstance(obj, np.ndarray | np.generic) or operand_type(obj) is not None:
        return None
    runtime = _runtime.get()
    interface = getattr(obj, "__cuda_array_interface__", None)
    if interface is not None:
        if runtime.host_is_device:
            raise TypeError(
                f"{type(obj).__name__} is in GPU memory, which the host backend's kernels cannot use; "
                "copy it to the CPU first (or run with CUARRAY_BACKEND=cuda)"
            )
        from cuarray._interop.cuda_array_interface import import_interface

        return import_interface(obj, interface)
    if hasattr(obj, "__dlpack__") and hasattr(obj, "__dlpack_device__"):
        if obj.__dlpack_device__()[0] == dlpack.DeviceType.CPU and not runtime.host_is_device:
            return None
        return from_dlpack(obj)
    return None


def _from_host(obj: Any, dtype: np.dtype | None, order: str = "K") -> CuArray:
    if hasattr(obj, "__dlpack__") and not isinstance(obj, np.ndarray) and not hasattr(obj, "__array__"):
        obj = np.from_dlpack(obj)
    if isinstance(obj, list | tuple):
        obj = _arrays_to_numpy(obj)
    try:
        source = np.asarray(obj) if dtype is None or isinstance(obj, np.ndarray) else np.asarray(obj, dtype=dtype)
    except (TypeError, ValueError, OverflowError) as error:
        raise type(error)(f"cannot make an array of this {type(obj).__name__}: {error}") from None
    if dtype is not None and source.dtype != dtype:
        source = source.astype(dtype)
    what = f"an array made of this {type(obj).__name__}"
    native = as_storage_dtype(source.dtype, what) if dtype is None else dtype
    source = np.asarray(source, dtype=native, order=None if order == "K" else order)  # type: ignore[arg-type]
    if not (source.flags.c_contiguous or source.flags.f_contiguous):
        source = source.copy(order)  # type: ignore[arg-type]  # without holes
    result = allocate(layout(native, source.shape, source.strides))
    if source.size:
        # The elements as they follow each other in memory.
        _runtime.get().write(result._pointer, source.ravel("K"))
    return result


def _arrays_to_numpy(values: Any) -> Any:
    if type(values) is CuArray:
        return np.asarray(values)
    if isinstance(values, list | tuple):
        converted = [_arrays_to_numpy(value) for value in values]
        return tuple(converted) if isinstance(values, tuple) else converted  # a tuple may stand for a struct
    return values


def from_dlpack(x: Any, /, *, device: Any = None, copy: bool | None = None) -> CuArray:
    """An array over the memory of any object with ``__dlpack__``; copied only where the device cannot use it.

    BufferError if `copy=False` and a copy would be needed.

    >>> import numpy as np, cuarray as ca
    >>> ca.from_dlpack(np.arange(3.0))
    array([0., 1., 2.])
    """
    check_device(device)
    if not hasattr(x, "__dlpack__") or not hasattr(x, "__dlpack_device__"):
        raise TypeError(f"x must have __dlpack__ and __dlpack_device__; {type(x).__name__} has not")
    runtime = _runtime.get()
    kind, number = (int(part) for part in x.__dlpack_device__())
    on_cpu = kind == dlpack.DeviceType.CPU
    # Managed and page-locked memory is within everybody's reach.
    usable = {dlpack.DeviceType.CUDA_MANAGED, dlpack.DeviceType.CUDA_HOST, runtime.dlpack_device[0]}
    if on_cpu and not runtime.host_is_device:
        if copy is False:
            raise BufferError("copy=False: x is in host memory and must be copied to the GPU")
        return _from_host(np.from_dlpack(x), None)
    if kind not in usable:
        raise BufferError(
            f"x is on DLPack device {(kind, number)}, which the {runtime.name} backend's kernels cannot use"
        )
    options: dict[str, Any] = {} if on_cpu else {"stream": runtime.stream or 1}
    try:
        capsule = x.__dlpack__(max_version=(1, 1), **options)
    except TypeError:  # an older producer, which knows no max_version
        capsule = x.__dlpack__(**options)
    imported = dlpack.import_capsule(capsule)
    array_layout = layout(as_storage_dtype(imported.dtype, "x"), imported.shape, imported.strides_bytes)
    memory = _runtime.ForeignMemory(
        imported.pointer, array_layout.nbytes, imported.owner, kind != dlpack.DeviceType.CUDA
    )
    result = new(memory, imported.pointer, array_layout, writeable=not imported.read_only)
    return _copied(result) if copy else result


# ---- copies and casts


def copy(a: Any, order: str = "K", subok: bool = False) -> CuArray:
    """A new array with the elements of `a`, its axes in memory as they are in `a` ("K"), or in order "C", "F" or "A".

    >>> import cuarray as ca
    >>> ca.copy(ca.arange(3))
    array([0, 1, 2])
    """
    return _copied(asarray(a), check_order(order))


def _copied(x: CuArray, order: str = "K") -> CuArray:
    if order == "K" or (order == "C" and x._layout.c_contiguous):
        return copy_operation(x)
    result = new_like(x, order=order)
    copy_operation(x, out=result)
    return result


class _Cast(Remembered):
    """A new array with the elements of an array as a dtype, whatever is lost."""

    def _call(self, x: CuArray, dtype: Any) -> CuArray:
        wanted = as_storage_dtype(dtype)
        check_castable(x.dtype, wanted, "unsafe", "astype")  # not from or to structs
        call = copy_operation.find([x._layout], (None,), wanted, "unsafe")
        result = allocate(call.out_layout)
        call.run(result, [x])
        if call.prepared is not None:
            _fast_calls.remember(self, (x, dtype), (), call.out_layout, [(call.prepared, call.head([0]))])
        return result


cast = _Cast()


def astype(
    x: Any,
    dtype: Any,
    /,
    *,
    order: str = "K",
    casting: str = "unsafe",
    copy: bool = True,
    device: Any = None,
) -> CuArray:
    """The elements of `x` as `dtype`; `x` itself if it has that dtype and order and `copy` is False.

    TypeError where `casting` ("no", "equiv", "safe", "same_kind", "unsafe") does not allow it. Complex to real drops
    the imaginary part.

    >>> import cuarray as ca
    >>> ca.astype(ca.array([1.7, -1.7]), "int32")
    array([ 1, -1], dtype=int32)
    """
    check_device(device)
    x = asarray(x)
    order = check_order(order)
    if order == "K" and casting == "unsafe" and copy:
        return cast(x, dtype)
    wanted = as_storage_dtype(dtype)
    check_castable(x.dtype, wanted, casting, "astype")
    if not copy and is_same(x.dtype, wanted) and _has_order(x, order):
        return x
    if order == "K":
        return cast(x, wanted)
    result = new_like(x, wanted, order)
    copy_operation(x, out=result, casting="unsafe")
    return result


def ascontiguousarray(a: Any, dtype: Any = None) -> CuArray:
    """`a` as a C-contiguous array of at least one axis, copied only if it is none yet.

    >>> import cuarray as ca
    >>> ca.ascontiguousarray(ca.ones((2, 3)).T).flags.c_contiguous
    True
    """
    if type(a) is CuArray and dtype is None and a.ndim and a._layout.c_contiguous:
        return a
    return array(a, dtype, copy=None, order="C", ndmin=1)


def asnumpy(x: Any) -> np.ndarray:
    """`x` as a NumPy array: over the same memory where the CPU can reach it, after waiting for the work before it.

    >>> import cuarray as ca
    >>> type(ca.asnumpy(ca.ones(2)))
    <class 'numpy.ndarray'>
    """
    return np.asarray(asarray(x))


def copyto(dst: CuArray, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Copy values into `dst`, broadcasting and casting them; where `where` (bool, broadcast) is given, only there.

    >>> import cuarray as ca
    >>> x = ca.arange(4)
    >>> ca.copyto(x, -1, where=x > 1)
    >>> x
    array([ 0,  1, -1, -1])
    """
    if type(dst) is not CuArray:
        raise TypeError(f"copyto: dst must be a CuArray, not {type(dst).__name__}")
    if not dst._writeable:
        raise ValueError("copyto: dst is read-only")
    kind = operand_type(src)
    if kind is not None and not isinstance(kind, np.dtype):
        # Weak: the cast is that of a Python number, whatever dtype an array of it would have.
        source = np.empty((), np.result_type(dst.dtype, src))
        source[()] = src
        src = source
    if where is not True:
        from cuarray._functions.indexing import copy_into_where

        copy_into_where(dst, src, casting, where)
        return
    src = asarray(src)
    check_castable(src.dtype, dst.dtype, casting, "copyto: src")
    copy_into(dst, src, "copyto")


# ---- from nothing


def empty(shape: Any, dtype: Any = np.float64, order: str = "C", *, device: Any = None) -> CuArray:
    """A new array whose elements are not set; `order` is "C" or "F".

    >>> import cuarray as ca
    >>> ca.empty((2, 3), "int8").shape
    (2, 3)
    """
    check_device(device)
    return _empty(shape, dtype, order)


class _Empty(Remembered):
    """A new array of this shape, dtype and order."""

    def _call(self, shape: Any, dtype: Any, order: Any) -> CuArray:
        result = allocate(ordered_layout(as_storage_dtype(dtype), as_shape(shape), check_order(order, "CF"), ()))
        if result.size:
            _fast_calls.remember(self, (shape, dtype, order), (), result._layout, [])
        return result


_empty = _Empty()


def full(shape: Any, fill_value: Any, dtype: Any = None, order: str = "C", *, device: Any = None) -> CuArray:
    """A new array filled with a scalar, or with an array broadcast to `shape`.

    >>> import cuarray as ca
    >>> ca.full((2, 2), 7)
    array([[7, 7],
           [7, 7]])
    """
    if dtype is None:
        kind = operand_type(fill_value)
        if kind is None:
            fill_value = asarray(fill_value)
            dtype = fill_value.dtype
        else:
            dtype = kind if isinstance(kind, np.dtype) else np.dtype(kind)
    result = empty(shape, dtype, order, device=device)
    result[...] = fill_value
    return result


def zeros(shape: Any, dtype: Any = np.float64, order: str = "C", *, device: Any = None) -> CuArray:
    """A new array of zeros.

    >>> import cuarray as ca
    >>> ca.zeros(3)
    array([0., 0., 0.])
    """
    return full(shape, False, np.dtype(dtype) if dtype is None else dtype, order, device=device)


def ones(shape: Any, dtype: Any = np.float64, order: str = "C", *, device: Any = None) -> CuArray:
    """A new array of ones.

    >>> import cuarray as ca
    >>> ca.ones((1, 2), "int16")
    array([[1, 1]], dtype=int16)
    """
    return full(shape, True, np.dtype(dtype) if dtype is None else dtype, order, device=device)


def _like(x: Any, dtype: Any, order: str, shape: Any, device: Any) -> CuArray:
    check_device(device)
    order = check_order(order)
    x = asarray(x)
    own = x.dtype if dtype is None else as_storage_dtype(dtype)
    if shape is None:
        return new_like(x, own, order)
    extents = as_shape(shape)
    if order == "K" and len(extents) == x.ndim:  # the order of the axes, at other extents
        strides = x.strides
        axes = sorted(range(x.ndim), key=lambda axis: (-abs(strides[axis]), axis))
        packed = contiguous_strides(tuple(extents[axis] for axis in axes), own.itemsize)
        return allocate(layout(own, extents, tuple(packed[axes.index(axis)] for axis in range(x.ndim))))
    return allocate(ordered_layout(own, extents, "C" if order == "K" else order, [x._layout]))


def empty_like(
    prototype: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> CuArray:
    """A new array of the shape, dtype and order of `prototype`, unless others are given; its elements are not set.

    >>> import cuarray as ca
    >>> ca.empty_like(ca.zeros((2, 3)), "int8").shape
    (2, 3)
    """
    return _like(prototype, dtype, order, shape, device)


def zeros_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> CuArray:
    """A new array of zeros of the shape, dtype and order of `a`, unless others are given.

    >>> import cuarray as ca
    >>> ca.zeros_like(ca.arange(3))
    array([0, 0, 0])
    """
    return full_like(a, False, dtype, order, subok, shape, device=device)


def ones_like(
    a: Any, dtype: Any = None, order: str = "K", subok: bool = True, shape: Any = None, *, device: Any = None
) -> CuArray:
    """A new array of ones of the shape, dtype and order of `a`, unless others are given.

    >>> import cuarray as ca
    >>> ca.ones_like(ca.arange(3))
    array([1, 1, 1])
    """
    return full_like(a, True, dtype, order, subok, shape, device=device)


def full_like(
    a: Any,
    fill_value: Any,
    dtype: Any = None,
    order: str = "K",
    subok: bool = True,
    shape: Any = None,
    *,
    device: Any = None,
) -> CuArray:
    """A new array of the shape, dtype and order of `a`, unless others are given, filled with a value.

    >>> import cuarray as ca
    >>> ca.full_like(ca.arange(3), 7)
    array([7, 7, 7])
    """
    result = _like(a, dtype, order, shape, device)
    result[...] = fill_value
    return result


# ---- from functions, iterators and bytes


def fromiter(iter: Any, dtype: Any, count: int = -1) -> CuArray:
    """An array of the values of an iterable; `count` of them, or all (-1).

    It has one axis; with a dtype of subarrays, ``np.dtype((int, 2))``, the values are sequences, whose axes follow.

    >>> import cuarray as ca
    >>> ca.fromiter((i * i for i in range(4)), int)
    array([0, 1, 4, 9])
    """
    subarray = dtype.subdtype if isinstance(dtype, np.dtype) else None
    wanted = as_storage_dtype(dtype) if subarray is None else np.dtype((as_storage_dtype(subarray[0]), subarray[1]))
    return array(np.fromiter(iter, wanted, count))


def frombuffer(buffer: Any, dtype: Any = float, count: int = -1, offset: int = 0) -> CuArray:
    """A 1-d array of a copy of the bytes in an object with the buffer protocol.

    `offset` is in bytes, `count` in elements (-1 for all).

    >>> import cuarray as ca
    >>> ca.frombuffer(bytes([1, 2, 3]), "uint8", offset=1)
    array([2, 3], dtype=uint8)
    """
    try:
        wanted = np.dtype(dtype)
    except TypeError:
        wanted = as_storage_dtype(dtype)  # raises
    return array(np.frombuffer(buffer, wanted, count, offset))
