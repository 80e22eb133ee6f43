"""Compiled programs on the GPU: kernels' handles and attributes, and the variables that programs share."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cuarray._runtime import nvrtc
from cuarray._runtime.base import Function, KernelAttributes, Occupancy, Source

if TYPE_CHECKING:
    from cuarray._runtime.cuda import CudaRuntime

_DEFAULT_SHARED = 48 * 1024  # what a kernel may ask for without saying so before


class _Program:
    """A source's kernels in one cubin."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: tuple[str, ...] = ()
        self.text = ""  # what the instances need besides the source's own text
        self.code: Any = None  # cuda.core's ObjectCode
        self.functions: dict[str, Function] = {}


class DeviceCode:
    """The programs that were loaded.

    An instance of a kernel is a program of its own, compiled when it is first wanted. Not so where the source has
    variables, as each program has its own copy of them: there all instances are one program, which is compiled again
    with each further instance, and takes the variables' values over from the one before. A `__constant__` variable
    that other sources use, too, has a copy in each of their programs, and is written to all.
    """

    def __init__(self, runtime: CudaRuntime) -> None:
        self._runtime = runtime
        self.awaiting: set[int] = set()  # handles of kernels that wait for those before them: see overlap.py
        self._functions: dict[tuple[Source, str], Function] = {}
        self._objects: dict[bytes, Any] = {}  # what several instances were compiled into is loaded once
        self._programs: dict[Source, _Program] = {}  # of sources with variables
        self._copies: dict[str, dict[_Program, tuple[int, int]]] = {}  # a variable's address and size by program
        self._lock = threading.RLock()

    def load(
        self, source: Source, name: str, text: str = "", family: Callable[[], Sequence[str]] | None = None
    ) -> Function:
        """An instance of a kernel; `text` is C++ that it needs after the source's, `family` as for `nvrtc.compile`."""
        found = self._functions.get((source, name))
        if found is None:
            with self._lock:
                found = self._functions.get((source, name))
                if found is None:
                    if source.variables:
                        self._extend(source, name, text)
                        found = self._programs[source].functions[name]
                    else:
                        binary = nvrtc.compile(source, (name,), self._runtime.architecture, text, family=family)
                        found = self._function(source, self._object(source, binary), binary.symbols[name])
                    self._functions[source, name] = found
        return found

    def variable(self, source: Source, name: str) -> tuple[int, ...]:
        """The addresses of a variable's copies."""
        with self._lock:
            if source not in self._programs:
                self._extend(source, None, "")
            return tuple(pointer for pointer, _size in self._copies[name].values())

    def _object(self, source: Source, binary: nvrtc.Binary) -> Any:
        from cuda.core import ObjectCode

        if source.variables:  # each program has its own
            return ObjectCode.from_cubin(binary.code, name=source.name)
        found = self._objects.get(binary.code)
        if found is None:
            found = self._objects[binary.code] = ObjectCode.from_cubin(binary.code, name=source.name)
        return found

    def _function(self, source: Source, code: Any, symbol: str) -> Function:
        kernel = code.get_kernel(symbol)
        function = Function(self._handle(kernel), kernel)
        if source.awaits:
            self.awaiting |= {function.handle, int(kernel.handle)}
        self._allow_shared(kernel)
        return function

    def _handle(self, kernel: Any) -> int:
        # A launch by the handle of a library's kernel looks the context's function up, which takes 0.1 us.
        return int(self._runtime._call("cuKernelGetFunction", kernel.handle))

    def _allow_shared(self, kernel: Any) -> None:
        # More than 48 KiB must be asked for; all that the device has costs nothing until a launch wants it.
        device = self._runtime.device.device_id
        static = self._attribute(kernel, "SHARED_SIZE_BYTES")
        most = self._runtime.max_shared_bytes - static
        if most > _DEFAULT_SHARED - static:
            driver = self._runtime._driver
            attribute = driver.CUfunction_attribute.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
            self._runtime._call("cuKernelSetAttribute", attribute, most, kernel.handle, device)

    def _extend(self, source: Source, name: str | None, text: str) -> None:
        """Compile the program of a source with variables once more, with a further instance if `name` is one."""
        program = self._programs.get(source) or _Program(source)
        names = (*program.names, name) if name else program.names
        whole_text = program.text + text
        binary = nvrtc.compile(source, (*names, *source.variables), self._runtime.architecture, whole_text)
        code = self._object(source, binary)
        self._runtime.synchronize()  # the old program's kernels may still write its variables
        for variable in source.variables:
            pointer, size = self._runtime._call("cuLibraryGetGlobal", code.handle, binary.symbols[variable].encode())
            copies = self._copies.setdefault(variable, {})
            for earlier, _size in copies.values():
                self._runtime._call("cuMemcpyDtoD", int(pointer), earlier, int(size))
                break
            copies[program] = (int(pointer), int(size))
        program.names, program.text, program.code = names, whole_text, code
        self._programs[source] = program
        for known, function in program.functions.items():
            kernel = code.get_kernel(binary.symbols[known])
            self._allow_shared(kernel)
            function.move(self._handle(kernel), kernel)
        if name is not None:
            program.functions[name] = self._function(source, code, binary.symbols[name])

    def attributes(self, function: Function) -> KernelAttributes:
        """What the compiler gave a kernel."""
        kernel = function.kernel
        return KernelAttributes(
            registers=self._attribute(kernel, "NUM_REGS"),
            shared_bytes=self._attribute(kernel, "SHARED_SIZE_BYTES"),
            local_bytes=self._attribute(kernel, "LOCAL_SIZE_BYTES"),
            constant_bytes=self._attribute(kernel, "CONST_SIZE_BYTES"),
            max_threads=self._attribute(kernel, "MAX_THREADS_PER_BLOCK"),
            max_dynamic_shared_bytes=self._attribute(kernel, "MAX_DYNAMIC_SHARED_SIZE_BYTES"),
        )

    def _attribute(self, kernel: Any, name: str) -> int:
        runtime = self._runtime
        attribute = getattr(runtime._driver.CUfunction_attribute, f"CU_FUNC_ATTRIBUTE_{name}")
        return int(runtime._call("cuKernelGetAttribute", attribute, kernel.handle, runtime.device.device_id))

    def occupancy(self, function: Function, threads: int, shared: int) -> Occupancy:
        """How many blocks of a kernel a multiprocessor runs at once."""
        blocks = int(function.kernel.occupancy.max_active_blocks_per_multiprocessor(threads, shared))
        properties = self._runtime.device.properties
        warps = blocks * -(-threads // properties.warp_size)
        return Occupancy(blocks, warps, properties.max_threads_per_multiprocessor // properties.warp_size)
