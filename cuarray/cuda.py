"""The device: its memory pool, streams, events and graphs, and waiting for it.

On the host backend everything here is there and acts at once.
"""

from __future__ import annotations

from typing import NamedTuple

from cuarray import _runtime
from cuarray._cuda_calls import (
    device_count,
    event_create,
    event_destroy,
    event_elapsed_time,
    event_record,
    event_synchronize,
    free,
    get_device,
    get_error_name,
    get_last_error,
    malloc,
    memcpy,
    memset,
    peek_at_last_error,
    prefetch,
    set_device,
    stream_create,
    stream_destroy,
    stream_synchronize,
    synchronize,
)
from cuarray._errors import CudaError, IllegalAddressError, LaunchError, NoDeviceError, OutOfMemoryError
from cuarray._streams import (
    Event,
    Graph,
    Stream,
    as_stream,
    current_stream,
    default_stream,
    elapsed_time,
    graph,
)

__all__ = [
    "CudaError",
    "Event",
    "Graph",
    "IllegalAddressError",
    "LaunchError",
    "BlockSize",
    "MemoryInfo",
    "NoDeviceError",
    "OutOfMemoryError",
    "Stream",
    "as_stream",
    "current_stream",
    "default_stream",
    "elapsed_time",
    "graph",
    "device_count",
    "event_create",
    "event_destroy",
    "event_elapsed_time",
    "event_record",
    "event_synchronize",
    "free",
    "get_device",
    "get_error_name",
    "get_last_error",
    "is_available",
    "malloc",
    "memcpy",
    "memory_info",
    "memset",
    "peek_at_last_error",
    "prefetch",
    "set_device",
    "set_memory_limit",
    "stream_create",
    "stream_destroy",
    "stream_synchronize",
    "synchronize",
    "trim",
]


class BlockSize(NamedTuple):
    """The pool's blocks of one size; an array has the smallest block that holds it."""

    nbytes: int
    used: int  # how many arrays, and scratch memory of launches, have
    free: int  # how many are kept; parts of slabs that were never used are not among them


class MemoryInfo(NamedTuple):
    """The memory pool, in bytes."""

    used: int  # in arrays
    reserved: int  # taken from the driver: in arrays, or kept for new ones
    peak: int  # the most that was ever in arrays
    limit: int  # the most that may be taken from the driver
    sizes: tuple[BlockSize, ...]  # of the blocks that there are, from the smallest on

    @property
    def cached(self) -> int:
        """What is kept for new arrays: reserved and not used."""
        return self.reserved - self.used


def is_available() -> bool:
    """Whether arrays are on a GPU.

    >>> import cuarray as ca
    >>> ca.cuda.is_available() in (True, False)
    True
    """
    return not _runtime.get().host_is_device


def memory_info() -> MemoryInfo:
    """How much memory arrays take, and how much more they may.

    >>> import cuarray as ca
    >>> x = ca.zeros(1000)
    >>> info = ca.cuda.memory_info()
    >>> info.used >= x.nbytes and any(size.nbytes == 8192 and size.used for size in info.sizes)
    True
    """
    pool = _runtime.get().pool
    used, reserved, peak, limit, _count = pool.statistics()
    return MemoryInfo(used, reserved, peak, limit, tuple(BlockSize(*size) for size in pool.sizes()))


def set_memory_limit(limit: int) -> None:
    """Set the most bytes that the pool may take from the driver; by default 90% of what was free at the start."""
    if limit <= 0:
        raise ValueError(f"limit must be a positive number of bytes, not {limit}")
    _runtime.get().pool.set_limit(int(limit))


def trim() -> int:
    """Give the memory that the pool keeps for new arrays back to the driver; returns the bytes."""
    synchronize()
    return _runtime.get().pool.trim()
