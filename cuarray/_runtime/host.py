"""The host backend: Cling compiles kernels for the CPU, and blocks are spread over its cores."""

from __future__ import annotations

import ctypes
import functools
import itertools
import os
import platform
import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cuarray._errors import ERROR_CLASSES, LAUNCH_ERRORS, CompileError, CudaError, LaunchError, NoDeviceError
from cuarray._runtime import blas, cling, native, notice
from cuarray._runtime.base import Capture, Function, KernelAttributes, Occupancy, Runtime, Source, short_name
from cuarray._runtime.math_libraries import Fourier, LinearAlgebra
from cuarray._runtime.memory import MemoryPool
from cuarray._tuning import Target

_RESULT_NAMES = {
    1: "CUDA_ERROR_INVALID_VALUE",
    2: "CUDA_ERROR_OUT_OF_MEMORY",
    400: "CUDA_ERROR_INVALID_HANDLE",
    710: "CUDA_ERROR_ASSERT",
    719: "CUDA_ERROR_LAUNCH_FAILED",
    720: "CUDA_ERROR_COOPERATIVE_LAUNCH_TOO_LARGE",
}


class _Event:
    """When it was recorded: all work before that was done by then."""

    def __init__(self, timing: bool) -> None:
        self.timing = timing
        self.time: int | None = None


class _Recording:
    """C++ that holds the launches of a graph."""

    def __init__(self, functions: Any) -> None:
        self._destroy = functions.recording_destroy
        self.address = functions.recording_create()

    def __del__(self) -> None:
        self._destroy(self.address)


class HostRuntime(Runtime):
    """Kernels on the CPU, done when the launch returns."""

    name = "host"
    dlpack_device = (1, 0)
    host_is_device = True
    stream_priorities = (0, -5)  # as on GPUs; they have no effect

    def __init__(self) -> None:
        super().__init__()
        self.launcher = native.address("host::launch_on_stream")
        self.cores = len(os.sched_getaffinity(0))
        self._native = native.functions("host::")
        self.target = Target(
            processors=self.cores,
            block_threads=1,
            max_block_threads=1024,
            blocks_per_processor=1,
            blas=self._find_blas(),
        )
        self.total_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.pool = MemoryPool(
            native.address("host_allocate"),
            native.address("host_release"),
            0,
            self.total_memory * 9 // 10,
        )
        self._functions: dict[tuple[Source, str], Function] = {}
        self._stream_handles = itertools.count(16, 16)  # not 1 and 2, CUDA's default streams
        os.register_at_fork(after_in_child=self._native.reset_after_fork)
        os.register_at_fork(after_in_child=self._native.unlock_recordings_after_fork)

    def _find_blas(self) -> bool:
        """Give kernels the BLAS that NumPy has, if there is one that can be called."""
        found = blas.find()
        for kind, functions in enumerate(found or ()):
            self._native.set_blas(kind, *functions)
        return found is not None

    def driver_function(self, name: str) -> int:
        cling.define_once(
            "driver_functions", '#include "host/driver_functions.hpp"', "the driver's functions for the CPU"
        )
        return cling.evaluate(f"&::ca::host::driver::{name}", name)

    def compile_ahead(self, source: Source, names: Sequence[str]) -> None:
        for name in names:
            self.load(source, name)

    def load(
        self, source: Source, name: str, text: str = "", family: Callable[[], Sequence[str]] | None = None
    ) -> Function:
        function = self._functions.get((source, name))
        if function is None:
            cling.interpreter()  # what its start takes is no compilation
            with cling.lock, notice.long_compile(f"kernel {short_name(name)}", "this process needs it only once"):
                cling.define_once("kernels on the CPU", '#include "host/recording.hpp"', "kernels on the CPU")
                code, read = cling.as_kernel_source(source.text), cling.headers_read()
                is_new = cling.define_once(source.key or source.digest, code, source.name)
                expression, what = f"&::ca::host::kernel_description<{name}>", f"kernel {short_name(name)}"
                try:
                    description = cling.evaluate(expression, what)
                except CompileError:
                    # A header of ours that a refused definition included counts as read, and nothing of it is there.
                    if not is_new or cling.headers_read() == read:
                        raise
                    cling.define_text(code, source.name, read)
                    description = cling.evaluate(expression, what)
                handle = self._native.register_kernel(description)
                function = self._functions[source, name] = Function(handle)
        return function

    def variable(self, source: Source, name: str) -> tuple[int, ...]:
        return (cling.evaluate(name, f"variable {name}"),)

    def attributes(self, function: Function) -> KernelAttributes:
        return KernelAttributes(None, None, None, None, self.target.max_block_threads, self.max_shared_bytes)

    def occupancy(self, function: Function, threads: int, shared: int) -> Occupancy:
        raise NoDeviceError("occupancy is a GPU's: the host runs one block a core", 100, "CUDA_ERROR_NO_DEVICE")

    def check(self, result: int, call: str, kernel: str = "") -> None:
        if result:
            kind = LaunchError if kernel and result in LAUNCH_ERRORS else ERROR_CLASSES.get(result, CudaError)
            name = _RESULT_NAMES.get(result, f"error {result}")
            raise kind(f"{call}{f' of kernel {kernel}' if kernel else ''} failed: {name}", result, name)

    def synchronize(self) -> None:
        # A launch returns when its kernel is done: there is nothing to wait for.
        self.check_may_wait(self.stream)

    def read(self, pointer: int, nbytes: int) -> bytes:
        self.check_may_wait(self.stream)
        return ctypes.string_at(pointer, nbytes)

    def write(self, pointer: int, source: np.ndarray) -> None:
        self.check_may_wait(self.stream)
        ctypes.memmove(pointer, source.ctypes.data, source.nbytes)

    # ---- streams and events: work is done when its launch returns, on whatever stream
    def create_stream(self, priority: int, non_blocking: bool) -> tuple[Any, int]:
        return None, next(self._stream_handles)

    def is_blocking(self, stream: int) -> bool:
        return True

    def synchronize_stream(self, stream: int) -> None:
        self.check_may_wait(stream)

    def query_stream(self, stream: int) -> bool:
        self.check_may_wait(stream)
        return True

    def stream_wait(self, stream: int, event: Any) -> None:
        pass

    def synchronize_all(self) -> None:
        pass

    def create_event(self, timing: bool, blocking: bool) -> Any:
        return _Event(timing)

    def record_event(self, event: Any, stream: int) -> None:
        event.time = time.perf_counter_ns()

    def synchronize_event(self, event: Any) -> None:
        pass

    def query_event(self, event: Any) -> bool:
        return True

    def elapsed_time(self, start: Any, end: Any) -> float:
        if not (start.timing and end.timing) or start.time is None or end.time is None:
            self.check(400, "cuEventElapsedTime")
        return (end.time - start.time) / 1e6

    # ---- graphs
    def _begin_capture(self, stream: int) -> Any:
        return _Recording(self._native)

    def _join_capture(self, capture: Capture, stream: int) -> None:
        self._native.recording_add_stream(capture.native.address, stream)

    def _end_capture(self, capture: Capture, discard: bool) -> Any:
        for stream in capture.streams:
            self._native.recording_remove_stream(stream)
        return None if discard else capture.native

    def launch_graph(self, graph: Any, stream: int) -> None:
        self.check(self._native.recording_replay(graph.address, stream), "cuGraphLaunch")

    # ---- libraries
    @functools.cached_property
    def linalg(self) -> LinearAlgebra:
        from cuarray._runtime.lapack import HostLinearAlgebra

        return HostLinearAlgebra(self)

    @functools.cached_property
    def fft(self) -> Fourier:
        from cuarray._runtime.lapack import HostFourier

        return HostFourier(self)

    def device_name(self) -> str:
        return "cpu"

    def describe(self) -> list[dict[str, object]]:
        return [
            {
                "name": _processor_name(),
                "cores": self.cores,
                "memory": self.total_memory,
                "max threads a block": self.max_block[0],
                "grid limits": self.max_grid,
            }
        ]


def _processor_name() -> str:
    try:
        with open("/proc/cpuinfo") as lines:
            return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()
