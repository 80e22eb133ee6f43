"""What a backend offers: the seam that the rest of cuarray is written against."""

from __future__ import annotations

import functools
import hashlib
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cuarray._runtime import glue
from cuarray._runtime.memory import Memory, MemoryPool
from cuarray._tuning import Target


class Source(NamedTuple):
    """A C++ translation unit that holds kernels, the same text for every compiler."""

    name: str  # for messages
    text: str
    include_dirs: tuple[str, ...] = ()
    key: str = ""  # sources of one key are defined once, whatever else differs
    contract: bool = False  # whether a product and a sum may become one fused operation, rounded once

    @property
    def digest(self) -> str:
        """A short name for exactly this text."""
        return hashlib.sha256(repr((self.text, self.include_dirs)).encode()).hexdigest()[:16]


@functools.cache
def builtin_source(header: str) -> Source:
    """One of the library's own headers under kernels/."""
    # Its name is not the header's: NVRTC would take the #include for a file that includes itself.
    return Source(f"cuarray's {header}", f'#include "{header}"\n')


def short_name(instance: str) -> str:
    """A kernel's name without its template arguments, for messages: ca::reduce<...> -> reduce."""
    return re.sub(r"<.*", "", instance.split(">(&")[-1]).rsplit("::", 1)[-1].lstrip("&")


class Runtime(ABC):
    """One backend on one device: memory, compiled kernels, launches."""

    name: str  # "cuda" or "host"
    target: Target
    pool: MemoryPool
    launcher: int  # the address of the function that launches: cuLaunchKernel's signature
    dlpack_device: tuple[int, int]
    host_is_device: bool  # NumPy arrays can be given to kernels as they are
    stream: int = 0  # the stream that work is ordered on
    # How native code makes the context current in a thread: the setter's address, its argument, and the result of a
    # launch that says it is needed. None where there are no contexts.
    context: tuple[int, int, int] | None = None

    # ---- kernels
    @abstractmethod
    def load(self, source: Source, name: str) -> int:
        """The handle of an instance of `source`, compiled if it was not yet; `name` is a C++ expression: &ns::f<T>."""

    @abstractmethod
    def check(self, result: int, call: str, kernel: str = "") -> None:
        """Raise what a launcher's or driver's result other than 0 means."""

    def launch(self, prepared: Any, *head: int) -> None:
        """Launch a built-in kernel (a `Prepared`) with the words of its parameter's head."""
        result = glue.launch_builtin(prepared.address, self.stream, *head)
        if result:
            self.launch_failed(result, prepared.name, lambda: glue.launch_builtin(prepared.address, self.stream, *head))

    def launch_failed(self, result: int, kernel: str, again: Callable[[], int]) -> None:
        """Raise what a launch returned; a backend may see a reason to try again first."""
        self.check(result, "cuLaunchKernel", short_name(kernel))

    # ---- memory
    def allocate(self, nbytes: int) -> Memory:
        """Memory that kernels and, after `synchronize`, the CPU can use."""
        return self.pool.allocate(nbytes)

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until every kernel launched so far is done; raises what went wrong in one of them."""

    @abstractmethod
    def read(self, pointer: int, nbytes: int) -> bytes:
        """A copy of `nbytes` bytes of device memory, after the work before it."""

    @abstractmethod
    def write(self, pointer: int, source: np.ndarray) -> None:
        """Copy a C-contiguous NumPy array to device memory, in order with the work before and after."""

    def prefetch(self, pointer: int, nbytes: int, to_host: bool) -> None:  # noqa: B027  (nothing to do on a CPU)
        """A hint that the CPU (or the device) is about to walk over this memory."""

    def is_host_accessible(self, pointer: int) -> bool:
        """Whether the CPU may touch this memory of another library."""
        return True

    def wait_for_stream(self, stream: int) -> None:  # noqa: B027  (nothing to do on a CPU)
        """Order what comes after the work on another library's stream."""

    # ---- description
    @abstractmethod
    def device_name(self) -> str:
        """How the device is called: "cuda:0" or "cpu"."""

    @abstractmethod
    def describe(self) -> list[dict[str, object]]:
        """The properties of every device, for bug reports."""

    max_block: tuple[int, int, int] = (1024, 1024, 64)
    max_grid: tuple[int, int, int] = (2**31 - 1, 65535, 65535)
    max_shared_bytes: int = 48 * 1024
