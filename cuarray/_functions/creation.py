"""Making arrays: from values, from other libraries' arrays, and from nothing."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray, allocate, new, view_of
from cuarray._dtypes import Loop, OperandType, as_dtype, as_storage_dtype, check_castable, is_same, operand_type
from cuarray._functions._operation import Operation, copy_into, copy_operation, partly_overlap
from cuarray._interop import dlpack
from cuarray._layout import layout, like_layout


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
    if math.prod(extents) * 16 >= 2**63:
        raise ValueError(f"shape: array is too big: {extents}")
    return extents


def _check_device(device: Any) -> None:
    if device is not None:
        own = _runtime.get().device_name()
        if str(device) != own:
            raise ValueError(f"device: {str(device)!r} is not available; arrays are on {own!r}")


# ---- from values


def array(obj: Any, dtype: Any = None, *, copy: bool | None = True, ndmin: int = 0, device: Any = None) -> CuArray:
    """A new array with the values of `obj`: nested sequences, a scalar, or any library's array.

    `copy`: True always copies, None only where it must, False never (ValueError where it would have to).

    >>> import cuarray as ca
    >>> ca.array([[1, 2], [3, 4]], dtype="float32")
    array([[1., 2.],
           [3., 4.]], dtype=float32)
    """
    _check_device(device)
    wanted = None if dtype is None else as_storage_dtype(dtype)
    result = _without_copy(obj)
    if result is None:
        if copy is False:
            raise ValueError("copy=False: the values must be copied to the device to make an array of them")
        result = _from_host(obj, wanted)
    elif wanted is not None and not is_same(result.dtype, wanted):
        if copy is False:
            raise ValueError(f"copy=False: {result.dtype} cannot be made {wanted} without a copy")
        result = astype(result, wanted)
    elif copy:
        result = _copied(result)
    if ndmin > result.ndim:
        result = view_of(result, lambda ghost: ghost.reshape((1,) * (ndmin - ghost.ndim) + ghost.shape))
    return result


def asarray(obj: Any, dtype: Any = None, *, copy: bool | None = None, device: Any = None) -> CuArray:
    """`obj` as an array: itself if it is one, without a copy where its memory is the device's.

    >>> import cuarray as ca
    >>> x = ca.arange(3)
    >>> ca.asarray(x) is x
    True
    """
    if type(obj) is CuArray and dtype is None and not copy and device is None:
        return obj
    return array(obj, dtype, copy=copy, device=device)


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


def _from_host(obj: Any, dtype: np.dtype | None) -> CuArray:
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
    source = np.asarray(source, dtype=native, order="C")
    result = allocate(layout(native, source.shape))
    if source.size:
        _runtime.get().write(result._pointer, source)
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
    _check_device(device)
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


def copy(x: Any, order: str = "K") -> CuArray:
    """A new array with the elements of `x`, its axes in memory as they are in `x` ("K") or in C order ("C")."""
    if order not in ("C", "K"):
        raise ValueError(f"order must be 'C' or 'K', not {order!r}")
    return _copied(asarray(x), order)


def _copied(x: CuArray, order: str = "K") -> CuArray:
    result = allocate(like_layout(x.dtype, x.shape, [x._layout] if order == "K" else []))
    copy_operation(x, out=result)
    return result


def astype(x: Any, dtype: Any, /, *, casting: str = "unsafe", copy: bool = True, device: Any = None) -> CuArray:
    """The elements of `x` as `dtype`; `x` itself if it has that dtype and `copy` is False.

    TypeError where `casting` ("no", "equiv", "safe", "same_kind", "unsafe") does not allow it. Complex to real drops
    the imaginary part.

    >>> import cuarray as ca
    >>> ca.astype(ca.array([1.7, -1.7]), "int32")
    array([ 1, -1], dtype=int32)
    """
    _check_device(device)
    x = asarray(x)
    wanted = as_storage_dtype(dtype)
    check_castable(x.dtype, wanted, casting, "astype")
    if is_same(x.dtype, wanted) and not copy:
        return x
    result = allocate(like_layout(wanted, x.shape, [x._layout]))
    copy_operation(x, out=result, casting="unsafe")
    return result


def ascontiguousarray(x: Any, dtype: Any = None) -> CuArray:
    """`x` as a C-contiguous array of at least one axis, copied only if it is none yet."""
    x = array(x, dtype, copy=None, ndmin=1)
    if x._layout.c_contiguous:
        return x
    result = allocate(layout(x.dtype, x.shape))
    copy_operation(x, out=result)
    return result


def asnumpy(x: Any) -> np.ndarray:
    """`x` as a NumPy array: over the same memory where the CPU can reach it, after waiting for the work before it."""
    return np.asarray(asarray(x))


def copyto(dst: CuArray, src: Any, casting: str = "same_kind", where: Any = True) -> None:
    """Copy values into `dst`, broadcasting and casting them, only where the mask `where` is true.

    >>> import cuarray as ca
    >>> x = ca.arange(4)
    >>> ca.copyto(x, -1, where=x > 1)
    >>> x
    array([ 0,  1, -1, -1])
    """
    if where is not True:
        from cuarray._functions.indexing import copy_into_where

        copy_into_where(dst, src, casting, where)
        return
    src = asarray(src)
    check_castable(src.dtype, dst.dtype, casting, "copyto: src")
    if partly_overlap(dst, src):
        src = copy(src)
    copy_into(dst, src, "copyto")


# ---- from nothing


def empty(shape: Any, dtype: Any = np.float64, *, device: Any = None) -> CuArray:
    """A new array whose elements are not set.

    >>> import cuarray as ca
    >>> ca.empty((2, 3), "int8").shape
    (2, 3)
    """
    _check_device(device)
    return allocate(layout(as_storage_dtype(dtype), as_shape(shape)))


def full(shape: Any, fill_value: Any, dtype: Any = None, *, device: Any = None) -> CuArray:
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
    result = empty(shape, dtype, device=device)
    result[...] = fill_value
    return result


def zeros(shape: Any, dtype: Any = np.float64, *, device: Any = None) -> CuArray:
    """A new array of zeros.

    >>> import cuarray as ca
    >>> ca.zeros(3)
    array([0., 0., 0.])
    """
    return full(shape, False, dtype, device=device)


def ones(shape: Any, dtype: Any = np.float64, *, device: Any = None) -> CuArray:
    """A new array of ones.

    >>> import cuarray as ca
    >>> ca.ones((1, 2), "int16")
    array([[1, 1]], dtype=int16)
    """
    return full(shape, True, dtype, device=device)


def _like(x: Any, dtype: Any, shape: Any, device: Any) -> CuArray:
    _check_device(device)
    x = asarray(x)
    own = x.dtype if dtype is None else as_storage_dtype(dtype)
    if shape is not None:
        return allocate(layout(own, as_shape(shape)))
    return allocate(like_layout(own, x.shape, [x._layout]))


def empty_like(x: Any, dtype: Any = None, *, shape: Any = None, device: Any = None) -> CuArray:
    """A new array of the shape and dtype of `x`, unless others are given, whose elements are not set."""
    return _like(x, dtype, shape, device)


def zeros_like(x: Any, dtype: Any = None, *, shape: Any = None, device: Any = None) -> CuArray:
    """A new array of zeros of the shape and dtype of `x`, unless others are given."""
    return full_like(x, False, dtype, shape=shape, device=device)


def ones_like(x: Any, dtype: Any = None, *, shape: Any = None, device: Any = None) -> CuArray:
    """A new array of ones of the shape and dtype of `x`, unless others are given."""
    return full_like(x, True, dtype, shape=shape, device=device)


def full_like(x: Any, fill_value: Any, dtype: Any = None, *, shape: Any = None, device: Any = None) -> CuArray:
    """A new array of the shape and dtype of `x`, unless others are given, filled with a value."""
    result = _like(x, dtype, shape, device)
    result[...] = fill_value
    return result


def _resolve_affine(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    own, _ = kinds
    assert isinstance(own, np.dtype)
    return Loop((own, own), own)


# out[i] = start + i * step
_affine = Operation("arange", "ca::ops::Affine", 2, _resolve_affine, position=True)


def arange(start: Any, /, stop: Any = None, step: Any = 1, *, dtype: Any = None, device: Any = None) -> CuArray:
    """Evenly spaced values from `start` (0 if only one is given) up to, not including, `stop`.

    >>> import cuarray as ca
    >>> ca.arange(3), ca.arange(1, 2, 0.25)
    (array([0, 1, 2]), array([1.  , 1.25, 1.5 , 1.75]))
    """
    _check_device(device)
    if stop is None:
        start, stop = 0, start
    start, stop, step = (value.item() if type(value) is CuArray else value for value in (start, stop, step))
    wanted = np.result_type(start, stop, step) if dtype is None else dtype
    if all(type(value) is int for value in (start, stop, step)) and dtype is None:
        wanted = np.int64
    own = as_dtype(wanted)
    if own.kind == "b":
        return array(np.arange(start, stop, step, dtype=bool))
    if step == 0:
        raise ZeroDivisionError("arange: step must not be 0")
    distance = (stop - start) / step
    if isinstance(distance, complex | np.complexfloating):
        distance = min(distance.real, distance.imag)
    if math.isnan(distance) or math.isinf(distance):
        raise ValueError("arange: cannot compute length")
    size = max(0, math.ceil(distance))
    result = empty(size, own)
    if size:
        # NumPy computes the first two elements and goes on by their difference.
        first = own.type(start)
        second = own.type(start + step)
        with np.errstate(over="ignore"):
            _affine(first, second - first, out=result)
    return result


def linspace(
    start: Any, stop: Any, /, num: int = 50, *, dtype: Any = None, endpoint: bool = True, device: Any = None
) -> CuArray:
    """`num` evenly spaced values from `start` to `stop`, which is left out if `endpoint` is False.

    >>> import cuarray as ca
    >>> ca.linspace(0, 1, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    """
    _check_device(device)
    try:
        num = operator.index(num)
    except TypeError:
        raise TypeError(f"num must be an integer, not {type(num).__name__}") from None
    if num < 0:
        raise ValueError(f"num must be non-negative, not {num}")
    start, stop = (value.item() if type(value) is CuArray else value for value in (start, stop))
    if operand_type(start) is None or operand_type(stop) is None:
        raise TypeError("start and stop must be scalars")
    computed = as_dtype(np.result_type(start, stop, float(num)))
    wanted = computed if dtype is None else as_dtype(dtype)
    result = empty(num, wanted)
    if num == 0:
        return result
    gaps = num - 1 if endpoint else num
    step = (stop - start) / gaps if gaps else 0.0
    work = result if wanted == computed else empty(num, computed)
    _affine(computed.type(start), computed.type(step), out=work)
    if endpoint and num > 1:
        work[-1] = computed.type(stop)
    if work is not result:
        if wanted.kind in "iu":
            from cuarray._functions.elementwise import floor

            work = floor(work)
        copy_into(result, work)
    return result


def eye(N: int, M: int | None = None, k: int = 0, dtype: Any = np.float64, *, device: Any = None) -> CuArray:
    """An N by M array with ones on the k-th diagonal and zeros elsewhere.

    >>> import cuarray as ca
    >>> ca.eye(2, 3, 1)
    array([[0., 1., 0.],
           [0., 0., 1.]])
    """
    rows, cols = as_shape((N, N if M is None else M))
    result = zeros((rows, cols), dtype, device=device)
    if -rows < k < cols:
        view_of(result, lambda ghost: ghost.diagonal(k))[...] = True
    return result


def identity(n: int, dtype: Any = np.float64) -> CuArray:
    """The n by n identity matrix."""
    return eye(n, dtype=dtype)
