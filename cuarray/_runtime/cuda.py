"""The CUDA backend: NVRTC compiles kernels for the device at hand, cuLaunchKernel launches them."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import re
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._errors import (
    ERROR_CLASSES,
    LAUNCH_ERRORS,
    CudaError,
    IllegalAddressError,
    LaunchError,
    NoDeviceError,
)
from cuarray._plan import TensorMap
from cuarray._runtime import native, nvrtc, overlap, tensor_maps
from cuarray._runtime.base import (
    Capture,
    Function,
    KernelAttributes,
    Occupancy,
    Runtime,
    Source,
    extended_function,
    short_name,
)
from cuarray._runtime.device_code import DeviceCode
from cuarray._runtime.math_libraries import Fourier, LinearAlgebra
from cuarray._runtime.memory import MemoryPool
from cuarray._tuning import Target

_NOT_READY = 600
_INVALID_CONTEXT = 201
_EVENT_FUNCTIONS = ("cuEventCreate", "cuEventRecord", "cuEventQuery", "cuEventSynchronize", "cuEventDestroy")
_STREAM_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING
_ATTACH_GLOBAL = 1  # CU_MEM_ATTACH_GLOBAL
_STAGED_BYTES, _NO_STAGING = 1 << 16, -1  # as in kernels/transfers.hpp
_TRANSFER_FUNCTIONS = (
    "cuMemcpyDtoHAsync", "cuMemcpyHtoDAsync", "cuStreamSynchronize", "cuMemHostAlloc", "cuEventCreate", "cuEventRecord",
    "cuEventSynchronize", "cuStreamIsCapturing", "cuCtxSetCurrent",
)  # fmt: skip


def device_count() -> int:
    """How many CUDA devices answer: 0 also where there is no driver."""
    try:
        ctypes.CDLL("libcuda.so.1")  # without a driver, the import of the bindings is 120 ms for nothing
        from cuda.bindings import runtime
    except (ImportError, OSError):
        return 0
    try:
        result, count = runtime.cudaGetDeviceCount()
    except Exception:
        return 0
    return int(count) if int(result) == 0 else 0


class CudaRuntime(Runtime):
    """Kernels on the GPU, asynchronous on the thread's current stream.

    That is the legacy default stream, with which other libraries' streams order, unless another was chosen.
    """

    name = "cuda"
    host_is_device = False

    def __init__(self) -> None:
        if device_count() == 0:
            raise NoDeviceError(
                "CUARRAY_BACKEND=cuda, but no CUDA device or driver answers", 100, "CUDA_ERROR_NO_DEVICE"
            )
        from cuda.bindings import driver
        from cuda.core import Device

        super().__init__()
        self._driver = driver
        self.device = Device(0)
        self.device.set_current()
        self.dlpack_device = (2, self.device.device_id)
        properties = self.device.properties
        self.target = Target(
            processors=properties.multiprocessor_count,
            block_threads=256,
            max_block_threads=properties.max_threads_per_block,
            blocks_per_processor=properties.max_threads_per_multiprocessor // 256,
            capability=tuple(self.device.compute_capability),
            shared_bytes=properties.max_shared_memory_per_block_optin,
        )
        self.max_block = (properties.max_block_dim_x, properties.max_block_dim_y, properties.max_block_dim_z)
        self.max_grid = (properties.max_grid_dim_x, properties.max_grid_dim_y, properties.max_grid_dim_z)
        self.max_shared_bytes = properties.max_shared_memory_per_block_optin
        self.architecture = nvrtc.architecture(tuple(self.device.compute_capability))
        self.launcher = self._entry_point("cuLaunchKernel")
        self.context = (self._entry_point("cuCtxSetCurrent"), int(self._call("cuCtxGetCurrent")), _INVALID_CONTEXT)
        free, _total = self._call("cuMemGetInfo")
        self.pool = MemoryPool(
            self._entry_point("cuMemAllocManaged"),
            self._entry_point("cuMemFree"),
            _ATTACH_GLOBAL,
            int(free) * 9 // 10,
        )
        self.pool.set_events(*map(self._entry_point, _EVENT_FUNCTIONS))
        self.can_prefetch = bool(properties.concurrent_managed_access)
        prefetch = self._entry_point("cuMemPrefetchAsync") if self.can_prefetch else 0
        self.pool.set_fills(
            self._entry_point("cuMemsetD8Async"),
            self._entry_point("cuStreamSynchronize"),
            prefetch,
            self.device.device_id,
        )
        least, greatest = self._call("cuCtxGetStreamPriorityRange")
        self.stream_priorities = (int(least), int(greatest))
        self.has_clusters = self.device.compute_capability.major >= 9
        self._transfers, self._cell = native.functions("transfer_"), _Cell()
        functions = [*map(self._entry_point, _TRANSFER_FUNCTIONS), prefetch]
        addresses = (ctypes.c_uint64 * len(functions))(*functions)
        self._transfers.set(ctypes.addressof(addresses), self.context[1], self.device.device_id)
        self._code = DeviceCode(self)
        version = self._call("cuDriverGetVersion")
        self._overlaps = overlap.is_supported(tuple(self.device.compute_capability), int(version))

    # ---- the driver
    def _entry_point(self, name: str) -> int:
        flags = self._driver.CUdriverProcAddress_flags.CU_GET_PROC_ADDRESS_DEFAULT
        result, address, *_status = self._driver.cuGetProcAddress(name.encode(), 12000, int(flags))
        self.check(int(result), f"cuGetProcAddress({name})")
        return int(address)

    def driver_function(self, name: str) -> int:
        return self._entry_point(name)

    def _call(self, function: str, *arguments: Any) -> Any:
        """Call the driver; raises what it returns besides success. Several results come as a tuple."""
        result, *values = getattr(self._driver, function)(*arguments)
        if int(result) == _INVALID_CONTEXT:  # this thread has not used CUDA yet
            self.device.set_current()
            result, *values = getattr(self._driver, function)(*arguments)
        self.check(int(result), function)
        return values[0] if len(values) == 1 else tuple(values)

    def check(self, result: int, call: str, kernel: str = "") -> None:
        if not result:
            return
        code = self._driver.CUresult(result)
        _, name = self._driver.cuGetErrorName(code)
        _, text = self._driver.cuGetErrorString(code)
        name = (name or b"unknown error").decode()
        text = (text or b"").decode()
        kind = ERROR_CLASSES.get(result, CudaError)
        if kernel and result in LAUNCH_ERRORS:
            kind = LaunchError
        hint = ""
        if kind is IllegalAddressError:
            hint = "; a kernel launched before has failed, and the process must be restarted"
        raise kind(f"{call}{f' of kernel {kernel}' if kernel else ''} failed: {name} ({text}){hint}", result, name)

    # ---- kernels
    def load(
        self, source: Source, name: str, text: str = "", family: Callable[[], Sequence[str]] | None = None
    ) -> Function:
        return self._code.load(source, name, text, family)

    compile_threads = nvrtc.THREADS

    def compile_ahead(self, source: Source, names: Sequence[str]) -> None:
        nvrtc.compile_family(source, names, self.architecture)

    def launcher_for(
        self,
        function: Function,
        cluster: tuple[int, int, int] | None,
        cooperative: bool,
        maps: tuple[tuple[int, int, int], ...] = (),
        parameter_words: int = 0,
    ) -> tuple[int, int]:
        if cluster is None and not cooperative and not maps:
            return self.launcher, function.handle
        key = (cluster, cooperative, maps, parameter_words)
        made = function.extended.get(key)
        if made is None:
            replace = self._entry_point("cuTensorMapReplaceAddress") if maps else 0
            launch = self._entry_point("cuLaunchKernelEx")
            made = function.extended[key] = extended_function(function, launch, replace, *key)
        return native.address("launch_extended"), made

    def encode_tensor_map(self, tensor: TensorMap) -> tuple[int, ...]:
        result, words = tensor_maps.encode(self._entry_point("cuTensorMapEncodeTiled"), tensor)
        self.check(result, f"cuTensorMapEncodeTiled of {tensor}")
        return words

    def variable(self, source: Source, name: str) -> tuple[int, ...]:
        return self._code.variable(source, name)

    def attributes(self, function: Function) -> KernelAttributes:
        return self._code.attributes(function)

    def occupancy(self, function: Function, threads: int, shared: int) -> Occupancy:
        return self._code.occupancy(function, threads, shared)

    def launch_failed(self, result: int, kernel: str, again: Callable[[], int]) -> None:
        # A thread that has not used CUDA yet has no current context: give it the device's, and launch again.
        if result == _INVALID_CONTEXT:
            self.device.set_current()
            result = again()
        self.check(result, "cuLaunchKernel", short_name(kernel))

    # ---- memory
    def allocate(self, nbytes: int) -> Any:
        return self._with_context(self.pool.allocate, nbytes)

    def allocate_scratch(self, nbytes: int) -> Any:
        return self._with_context(self.pool.allocate_scratch, nbytes)

    def _with_context(self, allocate: Callable[[int], Any], nbytes: int) -> Any:
        try:
            return allocate(nbytes)
        except MemoryError:
            if self.pool.last_error != _INVALID_CONTEXT:  # this thread has not used CUDA yet
                raise
            self.device.set_current()
            return allocate(nbytes)

    def synchronize(self) -> None:
        stream = self.stream
        self.synchronize_stream(stream)
        if not stream and self._streams:
            # What is queued on the default stream next is in order with blocking streams: so is what the CPU does next.
            for handle, entry in list(self._streams.items()):
                if entry.blocking and handle not in self.captures:
                    self.synchronize_stream(handle)

    def read(self, pointer: int, nbytes: int) -> bytes:
        self.check_may_wait(self.stream)
        if nbytes <= _STAGED_BYTES:
            cell = self._cell
            if self._transfer(self._transfers.read, pointer, cell.address, nbytes):
                return bytes(cell.bytes[:nbytes])
        buffer = ctypes.create_string_buffer(nbytes)
        self._copy("cuMemcpyDtoH", ctypes.addressof(buffer), pointer, nbytes)
        return buffer.raw

    def write(self, pointer: int, source: np.ndarray) -> None:
        self.check_may_wait(self.stream)
        address = source.__array_interface__["data"][0]
        if source.nbytes > _STAGED_BYTES or not self._transfer(self._transfers.write, pointer, address, source.nbytes):
            self._copy("cuMemcpyHtoD", pointer, address, source.nbytes)

    def _transfer(self, function: Callable[..., int], *arguments: int) -> bool:
        """Whether there was pinned memory to copy through (kernels/transfers.hpp)."""
        stream = self.stream
        result = function(*arguments, stream)
        if result == _INVALID_CONTEXT:  # this thread has not used CUDA yet
            self.device.set_current()
            result = function(*arguments, stream)
        if result == _NO_STAGING:
            return False
        self.check(result, "cuMemcpyAsync")
        return True

    def _copy(self, function: str, *arguments: Any) -> None:
        stream = self.stream
        if stream:  # not on the default one, which would wait for all others
            self._call(f"{function}Async", *arguments, stream)
            self._call("cuStreamSynchronize", stream)
        else:
            self._call(function, *arguments)

    def lend(self, pointer: int, nbytes: int) -> None:
        self.check_may_wait(self.stream)
        self._transfers.lend(pointer, nbytes, self.stream)

    def is_host_accessible(self, pointer: int) -> bool:
        # True of managed memory, not of cudaMalloc's.
        attribute = self._driver.CUpointer_attribute.CU_POINTER_ATTRIBUTE_IS_MANAGED
        return bool(self._call("cuPointerGetAttribute", attribute, pointer))

    # ---- streams and events: cuda.core makes and destroys them
    @contextlib.contextmanager
    def _core(self, call: str) -> Iterator[None]:
        """Calls of cuda.core, in this thread's context; what it raises of CUDA's errors becomes a CudaError."""
        self.device.set_current()
        try:
            yield
        except (TypeError, ValueError):
            raise
        except Exception as error:  # RuntimeError, or cuda.core's own for what the driver returned
            found = re.search(r"CUDA_ERROR_\w+", str(error))
            code = getattr(self._driver.CUresult, found[0], None) if found else None
            if code is not None:
                self.check(int(code), call)
            raise CudaError(f"{call} failed: {error}") from error

    def create_stream(self, priority: int, non_blocking: bool) -> tuple[Any, int]:
        from cuda.core import StreamOptions

        with self._core("cuStreamCreateWithPriority"):
            stream = self.device.create_stream(options=StreamOptions(nonblocking=non_blocking, priority=priority))
            return stream, int(stream.handle)

    def leave_stream(self, handle: int) -> None:
        self.device.set_current()  # the pool records an event, in whatever thread this is
        super().leave_stream(handle)

    def is_blocking(self, stream: int) -> bool:
        return not int(self._call("cuStreamGetFlags", stream)) & _STREAM_NON_BLOCKING

    def synchronize_stream(self, stream: int) -> None:
        self.check_may_wait(stream)
        self._call("cuStreamSynchronize", stream)

    def query_stream(self, stream: int) -> bool:
        self.check_may_wait(stream)
        return self._query("cuStreamQuery", stream)

    def _query(self, function: str, handle: Any) -> bool:
        result = int(getattr(self._driver, function)(handle)[0])
        if result == _INVALID_CONTEXT:
            self.device.set_current()
            result = int(getattr(self._driver, function)(handle)[0])
        if result == _NOT_READY:
            return False
        self.check(result, function)
        return True

    def stream_wait(self, stream: int, event: Any) -> None:
        self._call("cuStreamWaitEvent", stream, event.handle, 0)

    def synchronize_all(self) -> None:
        if not self.captures:
            self._call("cuCtxSynchronize")
            return
        # A context with a stream that is captured cannot be waited for as a whole.
        blocking_capture = any(entry.blocking for handle, entry in self._streams.items() if handle in self.captures)
        if not blocking_capture:
            self._call("cuStreamSynchronize", 0)
        for handle, _entry in list(self._streams.items()):
            if handle not in self.captures:
                self._call("cuStreamSynchronize", handle)

    def create_event(self, timing: bool, blocking: bool) -> Any:
        from cuda.core import EventOptions

        with self._core("cuEventCreate"):
            return self.device.create_event(EventOptions(timing_enabled=timing, blocking_sync=blocking))

    def record_event(self, event: Any, stream: int) -> None:
        self._call("cuEventRecord", event.handle, stream)

    def synchronize_event(self, event: Any) -> None:
        self._call("cuEventSynchronize", event.handle)

    def query_event(self, event: Any) -> bool:
        return self._query("cuEventQuery", event.handle)

    def elapsed_time(self, start: Any, end: Any) -> float:
        return float(self._call("cuEventElapsedTime", start.handle, end.handle))

    # ---- graphs
    def _begin_capture(self, stream: int) -> Any:
        from cuda.core import Stream

        with self._core("cuStreamBeginCapture"):
            # Relaxed: memory may be allocated and kernels loaded meanwhile.
            return Stream.from_handle(stream).create_graph_builder().begin_building("relaxed")

    def _end_capture(self, capture: Capture, discard: bool) -> Any:
        builder = capture.native
        graph = None
        try:
            if not discard:
                with self._core("cuStreamEndCapture"):
                    builder.end_building()
                if self._overlaps:
                    definition = int(builder.graph_definition.handle)
                    overlap.overlap_kernels(self._driver, self._call, definition, self._code.awaiting)
                with self._core("cuGraphInstantiate"):
                    graph = _Graph(builder, builder.complete())
        finally:
            if graph is None:
                with contextlib.suppress(Exception):  # of a capture that is not valid any more
                    builder.close()
        return graph

    def launch_graph(self, graph: Any, stream: int) -> None:
        outer = self.captures.get(stream)
        if outer is None:
            self._call("cuGraphLaunch", graph.executable.handle, stream)
        else:  # the driver launches no graph on a stream that is captured
            with self._core("cuGraphAddChildGraphNode"):
                outer.native.embed(graph.builder)

    # ---- libraries
    @functools.cached_property
    def linalg(self) -> LinearAlgebra:
        from cuarray._runtime.cusolver import CudaLinearAlgebra

        return CudaLinearAlgebra(self)

    @functools.cached_property
    def fft(self) -> Fourier:
        from cuarray._runtime.cufft import CudaFourier

        return CudaFourier(self)

    # ---- description
    def device_name(self) -> str:
        return f"cuda:{self.device.device_id}"

    def describe(self) -> list[dict[str, object]]:
        return [_describe(device, self) for device in type(self.device).get_all_devices()]


class _Cell(threading.local):
    """Memory of a thread's own, which a few bytes are read into."""

    def __init__(self) -> None:
        self.bytes = bytearray(_STAGED_BYTES)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.bytes))


class _Graph(NamedTuple):
    """A captured graph: its description, which another graph can take in, and what can be launched."""

    builder: Any
    executable: Any


def _describe(device: Any, runtime: CudaRuntime) -> dict[str, object]:
    from cuda.bindings import nvrtc as nvrtc_bindings

    properties = device.properties
    memory = runtime._call("cuDeviceTotalMem", device.device_id)
    version = runtime._call("cuDriverGetVersion")
    _, nvrtc_major, nvrtc_minor = nvrtc_bindings.nvrtcVersion()
    return {
        "name": device.name,
        "compute capability": ".".join(map(str, device.compute_capability)),
        "driver": f"CUDA {version // 1000}.{version % 1000 // 10}",
        "runtime compiler": f"NVRTC {nvrtc_major}.{nvrtc_minor}",
        "memory": int(memory),
        "clock": f"{properties.clock_rate / 1e6:.2f} GHz",
        "memory clock": f"{properties.memory_clock_rate / 1e6:.2f} GHz",
        "memory bus width": f"{properties.global_memory_bus_width} bit",
        "L2 cache": properties.l2_cache_size,
        "multiprocessors": properties.multiprocessor_count,
        "max threads a block": properties.max_threads_per_block,
        "max threads a multiprocessor": properties.max_threads_per_multiprocessor,
        "warp size": properties.warp_size,
        "shared memory a block": properties.max_shared_memory_per_block,
        "shared memory a block (opt-in)": properties.max_shared_memory_per_block_optin,
        "shared memory a multiprocessor": properties.max_shared_memory_per_multiprocessor,
        "registers a block": properties.max_registers_per_block,
        "block limits": (properties.max_block_dim_x, properties.max_block_dim_y, properties.max_block_dim_z),
        "grid limits": (properties.max_grid_dim_x, properties.max_grid_dim_y, properties.max_grid_dim_z),
        "concurrent managed access": bool(properties.concurrent_managed_access),
    }
