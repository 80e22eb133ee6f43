"""DLPack without arrays: build a capsule from plain values, read one back, settle what a consumer asks for.

Deleters and capsule destructors run wherever a consumer lets go: while an exception is pending, on a thread without
the GIL, after the interpreter has ended. A Python callback survives none but the second (ctypes replaces a pending
exception by SystemError), so `export` lets NumPy make the capsule, with NumPy's compiled deleters, and then corrects
what NumPy cannot know: the device, bfloat16, NULL for empty data.
"""

from __future__ import annotations

import ctypes
import enum
import itertools
import operator
from collections.abc import Callable, Sequence
from ctypes import c_char_p, c_int, c_int32, c_int64, c_uint8, c_uint16, c_uint32, c_uint64, c_void_p, py_object
from typing import TYPE_CHECKING, Any, NamedTuple

import ml_dtypes
import numpy as np

if TYPE_CHECKING:
    from typing_extensions import CapsuleType

__all__ = ["DeviceType", "Imported", "Request", "export", "import_capsule", "negotiate"]


class DeviceType(enum.IntEnum):
    """DLDeviceType: where memory lives. Managed memory may truthfully be called any of the first, second and last."""

    CPU = 1
    CUDA = 2
    CUDA_HOST = 3
    CUDA_MANAGED = 13


class _Code(enum.IntEnum):
    """DLDataTypeCode: the kind of an element."""

    INT = 0
    UINT = 1
    FLOAT = 2
    BFLOAT = 4
    COMPLEX = 5
    BOOL = 6


_BFLOAT16 = np.dtype(ml_dtypes.bfloat16)
_DTYPES: dict[tuple[int, int], np.dtype[Any]] = {
    **{(_Code.INT, bits): np.dtype(f"int{bits}") for bits in (8, 16, 32, 64)},
    **{(_Code.UINT, bits): np.dtype(f"uint{bits}") for bits in (8, 16, 32, 64)},
    **{(_Code.FLOAT, bits): np.dtype(f"float{bits}") for bits in (16, 32, 64)},
    **{(_Code.COMPLEX, bits): np.dtype(f"complex{bits}") for bits in (64, 128)},
    (_Code.BFLOAT, 16): _BFLOAT16,
    (_Code.BOOL, 8): np.dtype(np.bool_),
}


# The C structures of dlpack.h. The annotations are for type checkers: what reading the field gives.


class _Device(ctypes.Structure):
    type: int
    id: int
    _fields_ = [("type", c_int32), ("id", c_int32)]


class _DataType(ctypes.Structure):
    code: int
    bits: int
    lanes: int
    _fields_ = [("code", c_uint8), ("bits", c_uint8), ("lanes", c_uint16)]


class _Tensor(ctypes.Structure):
    data: int | None
    device: _Device
    ndim: int
    dtype: _DataType
    shape: Any
    strides: Any
    byte_offset: int
    _fields_ = [
        ("data", c_void_p),
        ("device", _Device),
        ("ndim", c_int32),
        ("dtype", _DataType),
        ("shape", ctypes.POINTER(c_int64)),
        ("strides", ctypes.POINTER(c_int64)),  # in elements; NULL: C-contiguous
        ("byte_offset", c_uint64),
    ]


class _Managed(ctypes.Structure):
    tensor: _Tensor
    context: int | None
    deleter: int | None
    _fields_ = [("tensor", _Tensor), ("context", c_void_p), ("deleter", c_void_p)]


class _ManagedVersioned(ctypes.Structure):
    major: int
    minor: int
    context: int | None
    deleter: int | None
    flags: int
    tensor: _Tensor
    _fields_ = [
        ("major", c_uint32),
        ("minor", c_uint32),
        ("context", c_void_p),
        ("deleter", c_void_p),
        ("flags", c_uint64),
        ("tensor", _Tensor),
    ]


_READ_ONLY = 1 << 0
_IS_COPIED = 1 << 1

_NAME, _USED_NAME = b"dltensor", b"used_dltensor"
_NAME_VERSIONED, _USED_NAME_VERSIONED = b"dltensor_versioned", b"used_dltensor_versioned"

# Prototypes of our own: argtypes set on `ctypes.pythonapi`'s functions would reach everyone who uses them.
_api = ctypes.pythonapi
_is_valid = ctypes.PYFUNCTYPE(c_int, py_object, c_char_p)(("PyCapsule_IsValid", _api))
_get_pointer = ctypes.PYFUNCTYPE(c_void_p, py_object, c_char_p)(("PyCapsule_GetPointer", _api))
_set_name = ctypes.PYFUNCTYPE(c_int, py_object, c_char_p)(("PyCapsule_SetName", _api))
_incref = ctypes.PYFUNCTYPE(None, py_object)(("Py_IncRef", _api))
# Called with the GIL held (PYFUNCTYPE, not CFUNCTYPE), as C consumers do: a deleter may or may not take it itself.
_DELETER = ctypes.PYFUNCTYPE(None, c_void_p)

# A capsule keeps a bare pointer to its name and its destructor reads it, perhaps after this module is gone.
_incref(_USED_NAME)
_incref(_USED_NAME_VERSIONED)


class Request(NamedTuple):
    """What a consumer's `__dlpack__` arguments come to."""

    versioned: bool
    device: tuple[int, int]
    copy: bool


def negotiate(
    *,
    stream: int | None = None,
    max_version: tuple[int, int] | None = None,
    dl_device: tuple[int, int] | None = None,
    copy: bool | None = None,
    devices: Sequence[tuple[int, int]],
) -> Request:
    """Check the arguments of `__dlpack__` for memory that can be handed out, uncopied, as any of `devices`.

    The first of `devices` is the memory's own. BufferError for another device, ValueError for a stream that
    the device does not know. A `stream` of None asks the exporter to synchronise; that is left to the caller.
    """
    wanted = devices[0] if dl_device is None else (operator.index(dl_device[0]), operator.index(dl_device[1]))
    if wanted not in devices:
        available = ", ".join(f"({int(kind)}, {int(number)})" for kind, number in devices)
        raise BufferError(f"cannot export to DLPack device {wanted}; available: {available}")
    if stream is not None:
        if wanted[0] in (DeviceType.CPU, DeviceType.CUDA_HOST):
            raise ValueError(f"stream must be None for host memory, not {stream!r}")
        if stream == 0 or stream < -1:  # 0 could mean either default stream: the standard asks for 1 or 2
            raise ValueError(f"stream must be None, -1 or positive, not {stream!r}")
    versioned = max_version is not None and max_version[0] >= 1
    return Request(versioned, wanted, copy=bool(copy))


class _Lent:
    """Memory shown to NumPy; the NumPy array made of it holds this object and so its owner."""

    __slots__ = ("__array_interface__", "owner")

    def __init__(self, interface: dict[str, Any], owner: object) -> None:
        self.__array_interface__ = interface
        self.owner = owner


def export(
    pointer: int,
    shape: tuple[int, ...],
    strides_bytes: tuple[int, ...],
    dtype: np.dtype[Any],
    device: tuple[int, int],
    owner: object,
    *,
    read_only: bool,
    versioned: bool,
    copied: bool = False,
) -> CapsuleType:
    """Make the capsule that `__dlpack__` returns; `owner` lives until the consumer is done or the capsule dies unused.

    BufferError for what DLPack cannot say: other dtypes or byte orders, strides that are no multiple of the item size,
    and read-only memory in an unversioned capsule.
    """
    # NumPy never touches the memory here. It does not know bfloat16: it is shown 16-bit integers instead.
    typestr = "=u2" if dtype == _BFLOAT16 else dtype.str
    interface = {
        "version": 3,
        "typestr": typestr,
        "shape": shape,
        "strides": strides_bytes,
        "data": (pointer, read_only),
    }
    view = np.asarray(_Lent(interface, owner))
    capsule: CapsuleType
    managed: _Managed | _ManagedVersioned
    if versioned:
        capsule = view.__dlpack__(max_version=(1, 0))
        managed = _ManagedVersioned.from_address(_get_pointer(capsule, _NAME_VERSIONED))
        if copied:
            managed.flags |= _IS_COPIED
    else:
        capsule = view.__dlpack__()
        managed = _Managed.from_address(_get_pointer(capsule, _NAME))
    tensor = managed.tensor
    tensor.device.type, tensor.device.id = device
    if dtype == _BFLOAT16:
        tensor.dtype.code = _Code.BFLOAT
    if 0 in shape:
        tensor.data = None
    return capsule


class _Consumed:
    """A tensor taken out of its capsule: calls the producer's deleter, once, when collected.

    It holds all that `__del__` needs, for it may run when this module's names are gone.
    """

    __slots__ = ("_delete", "_managed")

    def __init__(self, delete: Callable[[int], None], managed: int) -> None:
        self._delete = delete
        self._managed = managed

    def __del__(self) -> None:
        self._delete(self._managed)


class Imported(NamedTuple):
    """Another library's memory; valid as long as `owner` lives."""

    pointer: int
    shape: tuple[int, ...]
    strides_bytes: tuple[int, ...]
    dtype: np.dtype[Any]
    device: tuple[int, int]
    read_only: bool
    owner: object


def import_capsule(capsule: CapsuleType) -> Imported:
    """Take the tensor out of a capsule of either kind, which cannot be used again.

    BufferError for a tensor that cannot be an array here; its capsule is left as it was, and frees it.
    An unversioned capsule cannot say read-only: its memory is taken as writable.
    """
    managed: _Managed | _ManagedVersioned
    if _is_valid(capsule, _NAME_VERSIONED):
        address, used_name = _get_pointer(capsule, _NAME_VERSIONED), _USED_NAME_VERSIONED
        managed = _ManagedVersioned.from_address(address)
        if managed.major != 1:  # another major version may have another layout
            raise BufferError(f"DLPack version {managed.major}.{managed.minor} is not supported")
        read_only = bool(managed.flags & _READ_ONLY)
    elif _is_valid(capsule, _NAME):
        address, used_name = _get_pointer(capsule, _NAME), _USED_NAME
        managed = _Managed.from_address(address)
        read_only = False
    else:
        raise ValueError(f"not a DLPack capsule, or one that was already used: {capsule!r}")

    tensor = managed.tensor
    code, bits, lanes = tensor.dtype.code, tensor.dtype.bits, tensor.dtype.lanes
    dtype = _DTYPES.get((code, bits))
    if dtype is None or lanes != 1:
        raise BufferError(f"DLPack dtype (code {code}, bits {bits}, lanes {lanes}) is not supported")
    shape = tuple(tensor.shape[: tensor.ndim])
    if tensor.strides:
        strides = [stride * dtype.itemsize for stride in tensor.strides[: tensor.ndim]]
    else:
        strides = [*itertools.accumulate(shape[:0:-1], operator.mul, initial=dtype.itemsize)][::-1][: len(shape)]
    pointer = (tensor.data or 0) + tensor.byte_offset
    device = (tensor.device.type, tensor.device.id)
    deleter = managed.deleter

    _set_name(capsule, used_name)
    owner = _Consumed(_DELETER(deleter), address) if deleter else None  # no deleter: memory that is never freed
    return Imported(pointer, shape, tuple(strides), dtype, device, read_only, owner)
