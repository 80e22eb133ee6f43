"""The runtime: the only place that asks whether there is a GPU."""

from __future__ import annotations

import os
import threading

from cuarray._runtime.base import (
    Function,
    KernelAttributes,
    Occupancy,
    Runtime,
    Source,
    builtin_source,
    short_name,
)
from cuarray._runtime.cling import define, define_headers, interpreter
from cuarray._runtime.link import LinkedCode
from cuarray._runtime.math_libraries import Block, Factorizations, Results, column_major
from cuarray._runtime.memory import ForeignMemory, Memory

__all__ = [
    "Block",
    "Factorizations",
    "ForeignMemory",
    "Function",
    "KernelAttributes",
    "LinkedCode",
    "Memory",
    "Occupancy",
    "Results",
    "Runtime",
    "Source",
    "builtin_source",
    "column_major",
    "debug_requested",
    "define",
    "get",
    "interpreter",
    "requested_backend",
    "short_name",
]

_current: Runtime | None = None
_lock = threading.Lock()


def get() -> Runtime:
    """The backend that CUARRAY_BACKEND asks for (auto, cuda or host), started on the first call."""
    return _current or _start()


def requested_backend() -> str:
    """What CUARRAY_BACKEND says."""
    return os.environ.get("CUARRAY_BACKEND", "auto")


def debug_requested() -> bool:
    """Whether CUARRAY_DEBUG asks for the debugging mode from the start."""
    return os.environ.get("CUARRAY_DEBUG", "0") not in ("", "0")


def _start() -> Runtime:
    global _current
    with _lock:
        if _current is None:
            choice = requested_backend()
            if choice not in ("auto", "cuda", "host"):
                raise ValueError(f"CUARRAY_BACKEND is {choice!r}; it must be auto, cuda or host")
            from cuarray._runtime import cuda

            use_cuda = choice == "cuda" or (choice == "auto" and cuda.device_count() > 0)
            if use_cuda:
                _current = cuda.CudaRuntime()
            else:
                from cuarray._runtime.host import HostRuntime

                _current = HostRuntime()
            from cuarray._kernel import numba_types

            numba_types.register()
            from cuarray._interop import cppyy_arguments

            cppyy_arguments.register(interpreter(), define, define_headers)
        return _current
