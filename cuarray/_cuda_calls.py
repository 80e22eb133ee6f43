"""Functions of CUDA that can be called from Python and inside ``@numba.njit`` alike.

Each has one body for both: numba compiles it as it stands (see _kernel/numba_functions.py), so it is written in the
Python that numba knows. Addresses, streams and events are ints. A failure raises what it raises from Python: a
`CudaError` whose message names the driver's call, ValueError for arguments that no device would take.
"""

from __future__ import annotations

import operator
from typing import Any

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._runtime.driver_functions import call, can_prefetch, current_stream, text_at

_ATTACH_GLOBAL = 1  # CU_MEM_ATTACH_GLOBAL
_CPU = -1  # CU_DEVICE_CPU


# ---- memory


def malloc(nbytes: int) -> int:
    """The address of `nbytes` new bytes that kernels and the CPU can use; give them back with `free`. 0 for 0 bytes.

    OutOfMemoryError if there are not so many, ValueError if `nbytes` is negative.

    >>> import cuarray as ca
    >>> pointer = ca.cuda.malloc(1024)
    >>> ca.cuda.memset(pointer, 0, 1024)
    >>> ca.cuda.free(pointer)
    """
    if nbytes < 0:
        raise ValueError("nbytes must not be negative")
    if nbytes == 0:
        return 0
    return call("cuMemAllocManaged", nbytes, _ATTACH_GLOBAL)


def free(ptr: int) -> None:
    """Give back memory of `malloc`, after the work that uses it; 0 is no memory, and nothing happens."""
    if ptr != 0:
        call("cuCtxSynchronize")
        call("cuMemFree", ptr)


def memcpy(dst: Any, src: Any, nbytes: int) -> None:
    """Copy `nbytes` bytes, in order with the work of the current stream; they are there when the call returns.

    dst, src: CuArrays or addresses of memory that the device can use. ValueError for a CuArray that is not contiguous,
    is smaller, or, as dst, is read-only.

    >>> import cuarray as ca
    >>> x, y = ca.arange(4), ca.zeros(4, "int64")
    >>> ca.cuda.memcpy(y, x, x.nbytes)
    >>> y
    array([0, 1, 2, 3])
    """
    to, source = writeable_address(dst, nbytes), address(src, nbytes)
    if nbytes > 0:
        stream = current_stream()
        call("cuMemcpyAsync", to, source, nbytes, stream)
        call("cuStreamSynchronize", stream)


def memset(dst: Any, value: int, nbytes: int) -> None:
    """Set `nbytes` bytes to `value`, an int from 0 to 255, in order with the work of the current stream.

    dst: a CuArray or an address, as for `memcpy`.
    """
    if value < 0 or value > 255:
        raise ValueError("value must be a byte: an int from 0 to 255")
    to = writeable_address(dst, nbytes)
    if nbytes > 0:
        call("cuMemsetD8Async", to, value, nbytes, current_stream())


def prefetch(x_or_ptr: Any, nbytes: int, to_host: bool = False) -> None:
    """Bring `nbytes` bytes of managed memory to the device, or to the CPU, before they are used: a hint.

    It is queued on the current stream. Nothing happens where memory does not move, as on the host backend.
    """
    pointer = address(x_or_ptr, nbytes)
    if nbytes > 0 and can_prefetch():
        call("cuMemPrefetchAsync", pointer, nbytes, _CPU if to_host else 0, current_stream())


def address(x: Any, nbytes: int) -> int:
    """The address of `nbytes` bytes to read."""
    if nbytes < 0:
        raise ValueError("nbytes must not be negative")
    if type(x) is not CuArray:
        try:
            return operator.index(x)
        except TypeError:
            raise TypeError(f"expected a CuArray or an address as int, not {type(x).__name__}") from None
    if not (x._layout.c_contiguous or x._layout.f_contiguous):
        raise ValueError("the array must be contiguous")
    if nbytes > x.nbytes:
        raise ValueError("nbytes is more than the array has")
    return x._pointer


def writeable_address(x: Any, nbytes: int) -> int:
    """The address of `nbytes` bytes to write."""
    if type(x) is CuArray and not x._writeable:
        raise ValueError("the destination is read-only")
    return address(x, nbytes)


# ---- the device


def device_count() -> int:
    """The number of GPUs that the driver sees; 1 on the host backend."""
    return call("cuDeviceGetCount")


def get_device() -> int:
    """The number of the device that arrays are on: 0."""
    return 0


def set_device(device: int) -> None:
    """Choose the device for this thread: device 0, the only one that cuarray uses; ValueError for another."""
    if device != 0:
        raise ValueError("device must be 0: cuarray uses one device (CUDA_VISIBLE_DEVICES says which GPU that is)")


def synchronize() -> None:
    """Wait until all work on all streams is done; raises what went wrong in it, as a CudaError."""
    runtime = _runtime.get()
    runtime.check_may_wait(runtime.stream)
    runtime.synchronize_all()


# ---- errors


def get_last_error() -> int:
    """The code of this thread's last call that failed, here or in njit, and forget it; 0 if none did."""
    return call("read_last_error", 1)


def peek_at_last_error() -> int:
    """The code of this thread's last call that failed, without forgetting it; 0 if none did."""
    return call("read_last_error", 0)


def get_error_name(code: int) -> str:
    """CUDA's name of an error code.

    >>> import cuarray as ca
    >>> ca.cuda.get_error_name(2)
    'CUDA_ERROR_OUT_OF_MEMORY'
    """
    return text_at(call("cuGetErrorName", code))


# ---- streams and events, by their handles


def stream_create() -> int:
    """A new stream; its work is in order with that of the default stream."""
    return call("cuStreamCreate", 0)


def stream_destroy(stream: int) -> None:
    """Destroy a stream when its work is done."""
    call("cuStreamDestroy", stream)


def stream_synchronize(stream: int) -> None:
    """Wait until the work of a stream is done."""
    call("cuStreamSynchronize", stream)


def event_create() -> int:
    """A new event, which can be recorded on a stream and measures time."""
    return call("cuEventCreate", 0)


def event_record(event: int, stream: int = 0) -> None:
    """Record an event on a stream, by default the current one: it happens when the work before it is done."""
    call("cuEventRecord", event, stream if stream != 0 else current_stream())


def event_synchronize(event: int) -> None:
    """Wait until an event happened."""
    call("cuEventSynchronize", event)


def event_elapsed_time(start: int, end: int) -> float:
    """Milliseconds between two events that happened.

    >>> import cuarray as ca
    >>> first, second = ca.cuda.event_create(), ca.cuda.event_create()
    >>> ca.cuda.event_record(first)
    >>> ca.cuda.event_record(second)
    >>> ca.cuda.event_synchronize(second)
    >>> ca.cuda.event_elapsed_time(first, second) >= 0
    True
    """
    return call("cuEventElapsedTime", start, end)


def event_destroy(event: int) -> None:
    """Destroy an event."""
    call("cuEventDestroy", event)


# Those that numba compiles as they stand; `address`, `writeable_address` and `synchronize` have other bodies in njit.
COMPILED = (
    malloc,
    free,
    memcpy,
    memset,
    prefetch,
    device_count,
    get_device,
    set_device,
    get_last_error,
    peek_at_last_error,
    get_error_name,
    stream_create,
    stream_destroy,
    stream_synchronize,
    event_create,
    event_record,
    event_synchronize,
    event_elapsed_time,
    event_destroy,
)
