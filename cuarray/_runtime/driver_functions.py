"""The driver's functions by address, for code compiled by numba, and called from Python.

Both backends have the functions of `FUNCTIONS`, with the driver's C signatures: on the GPU they are the driver's, on
the host those of kernels/host/driver_functions.hpp.
"""

from __future__ import annotations

import ctypes
import functools
import operator
from typing import Any, NamedTuple

from cuarray._errors import CudaError, OutOfMemoryError
from cuarray._runtime import cling
from cuarray._runtime.base import Runtime


class DriverFunction(NamedTuple):
    """The C signature of a function that returns an error code.

    A letter an argument: i int, I unsigned, B unsigned char, Q 64 bits (sizes, addresses, handles); * is the address
    where a result of the type `result` is written.
    """

    arguments: str
    result: str = ""


FUNCTIONS: dict[str, DriverFunction] = {
    "cuMemAllocManaged": DriverFunction("*QI", "Q"),
    "cuMemFree": DriverFunction("Q"),
    "cuMemcpyAsync": DriverFunction("QQQQ"),
    "cuMemsetD8Async": DriverFunction("QBQQ"),
    "cuMemPrefetchAsync": DriverFunction("QQiQ"),
    "cuDeviceGetCount": DriverFunction("*", "i"),
    "cuCtxSynchronize": DriverFunction(""),
    "cuStreamCreate": DriverFunction("*I", "Q"),
    "cuStreamDestroy": DriverFunction("Q"),
    "cuStreamSynchronize": DriverFunction("Q"),
    "cuEventCreate": DriverFunction("*I", "Q"),
    "cuEventDestroy": DriverFunction("Q"),
    "cuEventRecord": DriverFunction("QQ"),
    "cuEventSynchronize": DriverFunction("Q"),
    "cuEventElapsedTime": DriverFunction("*QQ", "f"),
    "cuGetErrorName": DriverFunction("i*", "Q"),
    "read_last_error": DriverFunction("*i", "i"),  # ours: the driver keeps none
}

_C_TYPES: dict[str, Any] = {
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "B": ctypes.c_ubyte,
    "Q": ctypes.c_int64,
    "f": ctypes.c_float,
    "*": ctypes.c_void_p,
}


def _runtime() -> Runtime:
    from cuarray import _runtime

    return _runtime.get()


# ---- addresses


@functools.cache
def address(name: str) -> int:
    """Where a function of `FUNCTIONS` is."""
    if name == "read_last_error":
        return native(name)
    return _runtime().driver_function(name)


@functools.cache
def native(name: str) -> int:
    """Where a function of kernels/native_calls.hpp is."""
    _define()
    return cling.evaluate(f"&::ca::native::{name}", "the functions for numba")


@functools.cache
def _define() -> None:
    runtime = _runtime()
    cling.define_once("native_calls", '#include "native_calls.hpp"', "the functions for numba")
    set_context, context, no_context = runtime.context or (0, 0, 0)
    cling.interpreter().gbl.ca.native.set_driver(
        set_context,
        context,
        no_context,
        runtime.driver_function("cuStreamSynchronize"),
        runtime.current_stream_address,
    )


# ---- calls from Python; njit code makes them by itself (see _kernel/numba_functions.py)


@functools.cache
def _callable(name: str) -> Any:
    return ctypes.CFUNCTYPE(ctypes.c_int, *(_C_TYPES[letter] for letter in FUNCTIONS[name].arguments))(address(name))


def call(name: str, *arguments: Any) -> Any:
    """Call a function of `FUNCTIONS`, without the place of its result, which is returned; raises what went wrong."""
    signature = FUNCTIONS[name]
    given = [operator.index(argument) for argument in arguments]
    result = None
    if signature.result:
        result = _C_TYPES[signature.result]()
        given.insert(signature.arguments.index("*"), ctypes.addressof(result))
    code = _callable(name)(*given)
    context = _runtime().context
    if context is not None and code == context[2]:
        set_context, handle, _no_context = context
        ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)(set_context)(handle)
        code = _callable(name)(*given)
    if code:
        note_error(code)
        raise FailedCall(name, code)
    return None if result is None else result.value


def note_error(code: int) -> None:
    """Make this the thread's last error."""
    ctypes.CFUNCTYPE(None, ctypes.c_int)(native("note_error"))(code)


def current_stream() -> int:
    """The stream that work of this thread is ordered on."""
    return _runtime().stream


def can_prefetch() -> bool:
    """Whether memory moves between the GPU and the CPU."""
    return _runtime().can_prefetch


def text_at(pointer: int) -> str:
    """The C string at an address."""
    return ctypes.string_at(pointer).decode()


# ---- exceptions: classes that njit code can raise, which make the exceptions that Python code would see


class FailedCall(CudaError):
    """Makes the exception of a driver call that returned `code`."""

    def __new__(cls, call: str, code: int) -> Any:
        return _what_check_raises(call, code, "")


class FailedAllocation(OutOfMemoryError):
    """Makes the exception of an array that found no memory."""

    def __new__(cls, nbytes: int, code: int) -> Any:
        if code != 2:
            return _what_check_raises("the allocation of an array", code, "")
        used, _reserved, _peak, limit, _count = _runtime().pool.statistics()
        message = (
            f"out of memory: an array needs {nbytes:,} bytes; {used:,} of the pool's limit of {limit:,} are in use "
            "(cuarray.cuda.set_memory_limit changes the limit)"
        )
        return OutOfMemoryError(message, code, "CUDA_ERROR_OUT_OF_MEMORY")


class FailedLaunch(CudaError):
    """Makes the exception of a launch that returned `code`."""

    def __new__(cls, kernel: str, code: int, *extents: int) -> Any:
        from cuarray._kernel.launch import Launch, check_launch

        x, y, z, block_x, block_y, block_z, shared = extents
        try:
            check_launch(kernel, Launch((x, y, z), (block_x, block_y, block_z), 0, shared))
        except CudaError as error:
            return error
        return _what_check_raises("cuLaunchKernel", code, kernel)


def _what_check_raises(call: str, code: int, kernel: str) -> Exception:
    try:
        _runtime().check(code, call, kernel)
    except CudaError as error:
        return error
    return CudaError(f"{call} failed: error {code}", code)
