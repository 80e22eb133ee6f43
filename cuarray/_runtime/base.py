"""What a backend offers: the seam that the rest of cuarray is written against."""

from __future__ import annotations

import functools
import hashlib
import re
import weakref
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
    options: tuple[str, ...] = ()  # the GPU compiler's, as NVRTC spells them
    std: str = "c++17"
    variables: tuple[str, ...] = ()  # C++ expressions for the addresses of its variables

    @property
    def digest(self) -> str:
        """A short name for exactly this text."""
        parts = (self.text, self.include_dirs, self.options, self.std)
        return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


class Function:
    """A kernel instance that was loaded: what a launcher is given.

    The handle can change (see `DeviceCode`), so whoever keeps it takes it from `cell`, or has `records` kept right.
    """

    def __init__(self, handle: int, kernel: Any = None) -> None:
        self.cell = np.array([handle], np.int64)
        self.kernel = kernel  # cuda.core's Kernel; None on the host
        self.extended: dict[Any, int] = {}  # its handles for launches with options
        self.records: weakref.WeakValueDictionary[int, np.ndarray] = weakref.WeakValueDictionary()

    @property
    def handle(self) -> int:
        """What a launcher is given at this moment."""
        return int(self.cell[0])

    def keep_right(self, record: np.ndarray) -> None:
        """Change the handle in a launch record whenever it changes here."""
        self.records[id(record)] = record
        record[glue.FUNCTION] = self.cell[0]

    def move(self, handle: int, kernel: Any) -> None:
        """The instance is now at another handle."""
        self.kernel = kernel
        self.cell[0] = handle
        for record in self.records.values():
            record[glue.FUNCTION] = handle


class KernelAttributes(NamedTuple):
    """What the compiler gave a kernel instance. None: a CPU has no such thing."""

    registers: int | None  # a thread
    shared_bytes: int | None  # a block, static
    local_bytes: int | None  # a thread: what did not fit in registers
    constant_bytes: int | None
    max_threads: int  # a block
    max_dynamic_shared_bytes: int  # a block


class Occupancy(NamedTuple):
    """How full a kernel's blocks can keep a multiprocessor."""

    blocks: int  # at once on a multiprocessor
    warps: int  # in these blocks
    max_warps: int  # that a multiprocessor has place for

    @property
    def fraction(self) -> float:
        """The part of a multiprocessor's warps that are in use."""
        return self.warps / self.max_warps


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
    def load(self, source: Source, name: str, text: str = "") -> Function:
        """An instance of `source`, compiled if it was not yet; `name` is a C++ expression: &ns::f<T>.

        text: C++ that the GPU's compiler needs for this instance after the source's.
        """

    @abstractmethod
    def variable(self, source: Source, name: str) -> tuple[int, ...]:
        """The addresses of a variable of `source`: several, if several programs have a copy; `name` is like &ns::v."""

    @abstractmethod
    def attributes(self, function: Function) -> KernelAttributes:
        """What the compiler gave a kernel instance."""

    @abstractmethod
    def occupancy(self, function: Function, threads: int, shared: int) -> Occupancy:
        """How many blocks of so many threads and bytes of dynamic shared memory run at once."""

    def launcher_for(
        self, function: Function, cluster: tuple[int, int, int] | None, cooperative: bool
    ) -> tuple[int, int]:
        """The launcher's address and the handle that it is given for a launch with these options."""
        return self.launcher, function.handle

    def device_code(self, source: Source, name: str, text: str, kind: str, arch: str | None) -> bytes:
        """What the GPU's compiler makes of an instance: kind is "ptx" or "cubin"; needs no GPU."""
        from cuarray._runtime import nvrtc

        return nvrtc.compile(source, (name,), arch or self.architecture, text, kind).code

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

    architecture: str = "sm_90"  # what device code is shown for where there is no device
    max_block: tuple[int, int, int] = (1024, 1024, 64)
    max_grid: tuple[int, int, int] = (2**31 - 1, 65535, 65535)
    max_shared_bytes: int = 48 * 1024
