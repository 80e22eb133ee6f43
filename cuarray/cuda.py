"""The device: its memory pool, and waiting for it. On the host backend everything here is there and acts at once."""

from __future__ import annotations

from typing import NamedTuple

from cuarray import _runtime
from cuarray._errors import CudaError, IllegalAddressError, LaunchError, NoDeviceError, OutOfMemoryError

__all__ = [
    "CudaError",
    "IllegalAddressError",
    "LaunchError",
    "MemoryInfo",
    "NoDeviceError",
    "OutOfMemoryError",
    "is_available",
    "memory_info",
    "set_memory_limit",
    "synchronize",
    "trim",
]


class MemoryInfo(NamedTuple):
    """The memory pool, in bytes."""

    used: int  # in arrays
    reserved: int  # taken from the driver: in arrays, or kept for new ones
    peak: int  # the most that was ever in arrays
    limit: int  # the most that may be taken from the driver


def is_available() -> bool:
    """Whether arrays are on a GPU.

    >>> import cuarray as ca
    >>> ca.cuda.is_available() in (True, False)
    True
    """
    return not _runtime.get().host_is_device


def synchronize() -> None:
    """Wait until all kernels launched so far are done; raises what went wrong in one of them, as a CudaError."""
    _runtime.get().synchronize()


def memory_info() -> MemoryInfo:
    """How much memory arrays take, and how much more they may.

    >>> import cuarray as ca
    >>> x = ca.zeros(1000)
    >>> ca.cuda.memory_info().used >= x.nbytes
    True
    """
    used, reserved, peak, limit, _count = _runtime.get().pool.statistics()
    return MemoryInfo(used, reserved, peak, limit)


def set_memory_limit(limit: int) -> None:
    """Set the most bytes that the pool may take from the driver; by default 90% of what was free at the start."""
    if limit <= 0:
        raise ValueError(f"limit must be a positive number of bytes, not {limit}")
    _runtime.get().pool.set_limit(int(limit))


def trim() -> int:
    """Give the memory that the pool keeps for new arrays back to the driver; returns the bytes."""
    synchronize()
    return _runtime.get().pool.trim()
