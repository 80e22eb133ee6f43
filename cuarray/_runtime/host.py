"""The host backend: Cling compiles kernels for the CPU, and blocks are spread over its cores."""

from __future__ import annotations

import ctypes
import os
import platform

import numpy as np

from cuarray._errors import ERROR_CLASSES, LAUNCH_ERRORS, CudaError, LaunchError, NoDeviceError
from cuarray._runtime import cling
from cuarray._runtime.base import Function, KernelAttributes, Occupancy, Runtime, Source, short_name
from cuarray._runtime.memory import MemoryPool
from cuarray._tuning import Target

_RESULT_NAMES = {1: "CUDA_ERROR_INVALID_VALUE", 2: "CUDA_ERROR_OUT_OF_MEMORY"}


class HostRuntime(Runtime):
    """Kernels on the CPU, done when the launch returns."""

    name = "host"
    dlpack_device = (1, 0)
    host_is_device = True

    def __init__(self) -> None:
        cling.define('#include "host/grid.hpp"', "the host runtime")
        self.launcher = cling.evaluate("&::ca::host::launch", "the host runtime")
        cling.define('#include "memory_pool.hpp"', "the memory pool")
        self.cores = len(os.sched_getaffinity(0))
        self.target = Target(processors=self.cores, block_threads=1, max_block_threads=1024, blocks_per_processor=1)
        self.total_memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        self.pool = MemoryPool(
            cling.evaluate("&::ca::host_allocate", "the memory pool"),
            cling.evaluate("&::ca::host_release", "the memory pool"),
            0,
            self.total_memory * 9 // 10,
        )
        self._functions: dict[tuple[Source, str], Function] = {}
        os.register_at_fork(after_in_child=cling.interpreter().gbl.ca.host.reset_after_fork)

    def load(self, source: Source, name: str, text: str = "") -> Function:
        function = self._functions.get((source, name))
        if function is None:
            with cling.lock:
                cling.define_once(source.key or source.digest, cling.as_kernel_source(source.text), source.name)
                thunk = cling.evaluate(f"&::ca::host::thunk<{name}>::run_threads", f"kernel {short_name(name)}")
                function = self._functions[source, name] = Function(thunk)
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
        """A launch returns when its kernel is done: there is nothing to wait for."""

    def read(self, pointer: int, nbytes: int) -> bytes:
        return ctypes.string_at(pointer, nbytes)

    def write(self, pointer: int, source: np.ndarray) -> None:
        ctypes.memmove(pointer, source.ctypes.data, source.nbytes)

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
