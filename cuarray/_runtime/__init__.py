"""The runtime: the only place that asks whether there is a GPU."""

from __future__ import annotations

import os
import threading
from collections.abc import Sequence

from cuarray._runtime.base import (
    Function,
    KernelAttributes,
    Occupancy,
    Runtime,
    Source,
    builtin_source,
    short_name,
)
from cuarray._runtime.cling import define, define_headers, interpreter, when_started
from cuarray._runtime.link import LinkedCode
from cuarray._runtime.math_libraries import Block, Factorizations, Results, column_major
from cuarray._runtime.memory import ForeignMemory, Memory
from cuarray._tuning import Target

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
    "compile_for",
    "debug_requested",
    "define",
    "get",
    "interpreter",
    "requested_backend",
    "requested_precision",
    "short_name",
    "target_of",
]

_current: Runtime | None = None
_lock = threading.Lock()


def get() -> Runtime:
    """The backend that CUARRAY_BACKEND asks for (auto, cuda or host), started on the first call."""
    return _current or _start()


def compile_for(arch: str, source: Source, names: Sequence[str]) -> None:
    """Compile instances for an architecture like "sm_90a" and keep them on disk; needs no GPU."""
    from cuarray._runtime import nvrtc

    nvrtc.compile_family(source, names, arch)


def target_of(arch: str) -> Target:
    """The GPU that is usual for an architecture, as far as the choice of kernels needs it."""
    from cuarray._runtime.link import compute_capability

    major, minor, _ = compute_capability(arch)
    return Target(
        _PROCESSORS.get((major, minor), 132),
        block_threads=256,
        max_block_threads=1024,
        blocks_per_processor=8,
        capability=(major, minor),
        shared_bytes=_SHARED_KIB.get((major, minor), 99) << 10,
    )


_PROCESSORS = {(7, 5): 40, (8, 0): 108, (8, 6): 84, (8, 9): 142, (9, 0): 132, (10, 0): 148, (12, 0): 170}
_SHARED_KIB = {(7, 5): 64, (8, 0): 163, (8, 7): 163, (9, 0): 227, (10, 0): 227, (10, 3): 227}


def requested_backend() -> str:
    """What CUARRAY_BACKEND says."""
    return os.environ.get("CUARRAY_BACKEND", "auto")


def requested_precision() -> str:
    """What CUARRAY_MATMUL_PRECISION says; "" if it is not set."""
    return os.environ.get("CUARRAY_MATMUL_PRECISION", "")


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
            from cuarray._interop import cppyy_arguments

            when_started(lambda cppyy: cppyy_arguments.register(cppyy, define, define_headers))
        return _current
