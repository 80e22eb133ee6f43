"""What a backend offers: the seam that the rest of cuarray is written against."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import operator
import re
import threading
import weakref
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._errors import CudaError
from cuarray._plan import TensorMap
from cuarray._runtime import cache, glue, native
from cuarray._runtime.link import LinkedCode
from cuarray._runtime.math_libraries import Fourier, LinearAlgebra
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
    link: tuple[LinkedCode, ...] = ()  # what its kernels call and other compilers make; the text declares it
    awaits: bool = False  # whether its kernels wait for those before them themselves: see _runtime/overlap.py

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


def extended_function(
    function: Function,
    launch: int,
    replace: int,
    cluster: tuple[int, int, int] | None,
    cooperative: bool,
    maps: tuple[tuple[int, int, int], ...] = (),
    parameter_words: int = 0,
) -> int:
    """What launch_extended (kernels/launch_extended.hpp) is given in place of a function; it is never freed.

    launch and replace: the addresses of cuLaunchKernelEx and cuTensorMapReplaceAddress.
    """
    numbers = np.array(maps, np.int64)
    made: int = native.function("make_extended_function")(
        function.cell.ctypes.data,
        launch,
        *(cluster or (0, 0, 0)),
        cooperative,
        replace,
        numbers.ctypes.data,
        len(maps),
        parameter_words,
    )
    if not made:
        raise ValueError(f"a kernel's parameter has {len(maps)} tensor maps and {parameter_words} words: too many")
    return made


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


# Options of NVRTC for the library's own headers. For products by tensor cores the last level of ptxas takes as long
# again as all before it, for as many instructions and more registers; but float64 is 7 % faster by it.
BUILTIN_OPTIONS: dict[str, tuple[str, ...]] = {"matmul_mma.cuh": ("--ptxas-options=-O2",)}


@functools.cache
def builtin_source(header: str, contract: bool = False) -> Source:
    """One of the library's own headers under kernels/."""
    # Its name is not the header's: NVRTC would take the #include for a file that includes itself.
    return Source(
        f"cuarray's {header}",
        f'#include "{header}"\n',
        contract=contract,
        options=BUILTIN_OPTIONS.get(header, ()),
        awaits=not header.startswith("matmul"),  # those are long, and some begin with work that needs no operands
    )


def short_name(instance: str) -> str:
    """A kernel's name without its template arguments, for messages: ca::reduce<...> -> reduce."""
    return re.sub(r"<.*", "", instance.split(">(&")[-1]).rsplit("::", 1)[-1].lstrip("&")


LEGACY_STREAM, PER_THREAD_STREAM = 1, 2  # CUDA's handles of the default streams; 0 is the legacy one, too


class _CurrentStream(threading.local):
    """This thread's variable in kernels/current_stream.hpp."""

    def __init__(self) -> None:
        self.cell = ctypes.c_uint64.from_address(native.function("current_stream_cell")())


class Capture:
    """A graph while it is captured."""

    def __init__(self, memory: int, native: Any) -> None:
        self.memory = memory  # the pool's handle of what the graph keeps
        self.native = native
        self.streams: list[int] = []
        self.keep: list[Any] = []  # what must live as long as the graph
        self.joined: list[Any] = []  # what must live until the capture ends
        self.active = True


class _StreamInUse:
    """A stream that work may be queued on."""

    def __init__(self, native: Any, blocking: bool) -> None:
        self.native = native  # while this is held the stream is not destroyed
        self.blocking = blocking
        self.users = 0


class Runtime(ABC):
    """One backend on one device: memory, compiled kernels, launches."""

    name: str  # "cuda" or "host"
    target: Target
    pool: MemoryPool
    launcher: int  # the address of the function that launches: cuLaunchKernel's signature
    dlpack_device: tuple[int, int]
    host_is_device: bool  # NumPy arrays can be given to kernels as they are
    # How native code makes the context current in a thread: the setter's address, its argument, and the result of a
    # launch that says it is needed. None where there are no contexts.
    context: tuple[int, int, int] | None = None

    has_clusters: bool = False  # blocks that are scheduled together
    can_prefetch: bool = False  # memory moves between the device and the CPU

    stream_priorities: tuple[int, int] = (0, 0)  # the least and the greatest; lower numbers come first

    def __init__(self) -> None:
        self._current_stream = _CurrentStream()
        self._launch_builtin = native.function("launch_builtin")
        self._launch_with_head = native.function("launch_with_head")
        # Launch a user's kernel: the addresses of its record and of its arguments, the stream between them.
        self.launch_user: Callable[[int, int, int], int] = native.function("launch_user")
        self.current_stream_address = native.address("get_current_stream")
        self.captures: dict[int, Capture] = {}  # by the handles of the streams that are captured
        self._streams: dict[int, _StreamInUse] = {}
        self._streams_lock = threading.RLock()  # a stream may be collected while another is added

    @abstractmethod
    def driver_function(self, name: str) -> int:
        """The address of a function of the driver (see `_runtime.driver_functions`)."""

    # ---- kernels
    @abstractmethod
    def load(
        self, source: Source, name: str, text: str = "", family: Callable[[], Sequence[str]] | None = None
    ) -> Function:
        """An instance of `source`, compiled if it was not yet; `name` is a C++ expression: &ns::f<T>.

        text: C++ that the GPU's compiler needs for this instance after the source's. family: further instances that
        are likely to be wanted; a backend may ask for their names, and compile them, in the background.
        """

    compile_threads: int = 1  # that may compile ahead at the same time

    @abstractmethod
    def compile_ahead(self, source: Source, names: Sequence[str]) -> None:
        """Do all of what `load` does for these instances that takes long."""

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
        self,
        function: Function,
        cluster: tuple[int, int, int] | None,
        cooperative: bool,
        maps: tuple[tuple[int, int, int], ...] = (),
        parameter_words: int = 0,
    ) -> tuple[int, int]:
        """The launcher's address and the handle that it is given for a launch with these options.

        maps: for each tensor map in the kernel's one parameter, of so many words, the word where it begins, the word
        that has its address, and the bytes to be added to that (MapAddress in kernels/launch_extended.hpp).
        """
        return self.launcher, function.handle

    def encode_tensor_map(self, tensor: TensorMap) -> tuple[int, ...]:
        """The words of a tensor's map."""
        raise NotImplementedError(f"{self.name}: tensor maps need a GPU of compute capability 9.0 or newer")

    def device_code(self, source: Source, name: str, text: str, kind: str, arch: str | None) -> bytes:
        """What the GPU's compiler makes of an instance: kind is "ptx", "cubin" or "ltoir"; needs no GPU.

        name: "" if what is wanted has C linkage.
        """
        from cuarray._runtime import nvrtc

        return nvrtc.compile(source, (name,) if name else (), arch or self.architecture, text, kind).code

    @abstractmethod
    def check(self, result: int, call: str, kernel: str = "") -> None:
        """Raise what a launcher's or driver's result other than 0 means."""

    def launch(self, prepared: Any, *head: int) -> None:
        """Launch a built-in kernel (a `Prepared`) with the words of its parameter's head."""
        result = self._launch_builtin(prepared.address, self.stream, *head)
        if result:
            self.launch_failed(
                result, prepared.name, lambda: self._launch_builtin(prepared.address, self.stream, *head)
            )

    def launch_with_head(self, prepared: Any, head: Sequence[int]) -> None:
        """The same for a head of any number of words."""
        words = (ctypes.c_uint64 * len(head))(*head)

        def launch() -> int:
            result: int = self._launch_with_head(prepared.address, self.stream, ctypes.addressof(words), len(words))
            return result

        result = launch()
        if result:
            self.launch_failed(result, prepared.name, launch)

    def launch_failed(self, result: int, kernel: str, again: Callable[[], int]) -> None:
        """Raise what a launch returned; a backend may see a reason to try again first."""
        self.check(result, "cuLaunchKernel", short_name(kernel))

    # ---- memory
    def allocate(self, nbytes: int) -> Memory:
        """Memory that kernels and, after `synchronize`, the CPU can use."""
        return self.pool.allocate(nbytes)

    def allocate_scratch(self, nbytes: int) -> Memory:
        """Memory for one launch's kernel alone; its first 4096 bytes are 0, and must be when it is done."""
        return self.pool.allocate_scratch(nbytes)

    @abstractmethod
    def synchronize(self) -> None:
        """Wait until every kernel launched so far is done; raises what went wrong in one of them."""

    @abstractmethod
    def read(self, pointer: int, nbytes: int) -> bytes:
        """A copy of `nbytes` bytes of device memory, after the work before it."""

    @abstractmethod
    def write(self, pointer: int, source: np.ndarray) -> None:
        """Copy a C-contiguous NumPy array to device memory, in order with the work before and after."""

    def lend(self, pointer: int, nbytes: int) -> None:  # noqa: B027  (nothing to do on a CPU)
        """A hint that the CPU is about to walk over this memory, until the next launch that uses it."""

    def is_host_accessible(self, pointer: int) -> bool:
        """Whether the CPU may touch this memory of another library."""
        return True

    # ---- streams: handles are ints, as CUDA's; 0 is the legacy default stream
    def _set_stream(self, handle: int) -> None:
        self._current_stream.cell.value = 0 if handle == LEGACY_STREAM else handle

    # The stream that this thread's work is queued on. Every operation asks: half the time of a getter in Python.
    stream = property(operator.attrgetter("_current_stream.cell.value"), _set_stream)

    def use_stream(self, handle: int, native: Any) -> None:
        """Work may be queued on this stream until as many calls of `leave_stream`; `native` keeps it alive."""
        with self._streams_lock:
            entry = self._streams.get(handle) or _StreamInUse(native, self.is_blocking(handle))
            entry.users += 1
            self._streams[handle] = entry
            self.pool.add_stream(handle, entry.blocking)

    def leave_stream(self, handle: int) -> None:
        """The counterpart of `use_stream`."""
        with self._streams_lock:
            self.pool.remove_stream(handle)
            entry = self._streams[handle]
            entry.users -= 1
            if not entry.users:
                del self._streams[handle]

    def wait_for_stream(self, stream: int) -> None:
        """Order what this thread queues after the work on another library's stream."""
        self._order(stream, self.stream)

    def make_stream_wait(self, stream: int) -> None:
        """Order what another library queues on its stream after this thread's work."""
        self._order(self.stream, stream)

    def _order(self, first: int, then: int) -> None:
        defaults = (0, LEGACY_STREAM, PER_THREAD_STREAM)
        if first != then and not (first in defaults and then in defaults):
            event = self.create_event(False, False)
            self.record_event(event, first)
            self.stream_wait(then, event)

    @abstractmethod
    def create_stream(self, priority: int, non_blocking: bool) -> tuple[Any, int]:
        """A new stream: what destroys it when it is dropped, and its handle."""

    @abstractmethod
    def is_blocking(self, stream: int) -> bool:
        """Whether a stream is in order with the legacy default stream."""

    @abstractmethod
    def synchronize_stream(self, stream: int) -> None:
        """Wait until all work on a stream is done."""

    @abstractmethod
    def query_stream(self, stream: int) -> bool:
        """Whether all work on a stream is done."""

    @abstractmethod
    def stream_wait(self, stream: int, event: Any) -> None:
        """Order what is queued on a stream from now on after an event."""

    @abstractmethod
    def synchronize_all(self) -> None:
        """Wait for the work on all streams, but for what is being captured."""

    # ---- events
    @abstractmethod
    def create_event(self, timing: bool, blocking: bool) -> Any:
        """An event, destroyed when it is dropped."""

    @abstractmethod
    def record_event(self, event: Any, stream: int) -> None:
        """Let the event stand for the work on a stream so far."""

    @abstractmethod
    def synchronize_event(self, event: Any) -> None:
        """Wait until an event is reached."""

    @abstractmethod
    def query_event(self, event: Any) -> bool:
        """Whether an event is reached; true of one that was never recorded."""

    @abstractmethod
    def elapsed_time(self, start: Any, end: Any) -> float:
        """Milliseconds between two events that are reached."""

    # ---- graphs
    def begin_capture(self, stream: int) -> Capture:
        """Have launches on a stream written down from now on, instead of run."""
        capture = Capture(self.pool.begin_capture(), None)
        try:
            capture.native = self._begin_capture(stream)
        except BaseException:
            self.pool.release_capture(capture.memory)
            raise
        self.join_capture(capture, stream)
        return capture

    def join_capture(self, capture: Capture, stream: int) -> None:
        """A stream has waited for one that is captured: what is queued on it is now part of the same graph."""
        if self.captures.get(stream) is not capture:
            self._join_capture(capture, stream)
            self.pool.join_capture(capture.memory, stream)
            capture.streams.append(stream)
            self.captures[stream] = capture

    def end_capture(self, capture: Capture, discard: bool) -> Any:
        """The graph, ready to be launched; None, and nothing is kept, if it is to be discarded or it failed."""
        graph = None
        try:
            graph = self._end_capture(capture, discard)
        finally:
            for stream in capture.streams:
                del self.captures[stream]
                self.pool.leave_capture(stream)
            capture.active = False
            capture.joined.clear()
            if graph is None:
                self.pool.release_capture(capture.memory)
        if graph is not None:
            # The graph may have been given blocks that work queued before still uses.
            self.synchronize_all()
        return graph

    @abstractmethod
    def _begin_capture(self, stream: int) -> Any: ...

    def _join_capture(self, capture: Capture, stream: int) -> None:  # noqa: B027  (CUDA notices by itself)
        pass

    @abstractmethod
    def _end_capture(self, capture: Capture, discard: bool) -> Any: ...

    @abstractmethod
    def launch_graph(self, graph: Any, stream: int) -> None:
        """Queue what was captured on a stream."""

    def release_graph(self, graph: Any, memory: int) -> None:
        """A graph is gone."""
        self.pool.release_capture(memory)

    def check_may_wait(self, stream: int) -> None:
        """CudaError if a stream is being captured: nothing on it runs, so there is nothing to wait for."""
        if stream in self.captures:
            raise CudaError(
                "the values of arrays cannot be read, written from host memory or waited for while a graph is "
                "captured on this stream: do it before or after the capture (reading is what item(), float(), "
                "np.asarray, printing and synchronize() do)",
                900,
                "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED",
            )

    # ---- libraries, loaded when they are first asked for
    @functools.cached_property
    @abstractmethod
    def linalg(self) -> LinearAlgebra:
        """Decompositions of matrices; RuntimeError where their library is not installed."""

    @functools.cached_property
    @abstractmethod
    def fft(self) -> Fourier:
        """Fourier transforms; RuntimeError where their library is not installed."""

    # ---- what was measured here, for later processes
    @functools.cached_property
    def tuned_for(self) -> str:
        """The device that measurements are valid for."""
        return str(self.describe()[0]["name"])

    def stored(self, key: bytes) -> dict[str, str] | None:
        """What `store` was given, by this process or another one."""
        found = cache.get(key)
        return None if found is None else found[1]

    def store(self, key: bytes, values: dict[str, str]) -> None:
        """Keep values, under names that are not empty, beside the compiled kernels."""
        cache.put(key, b"", values)

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
