"""One compiled instance of a kernel."""

from __future__ import annotations

import ctypes
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._kernel.arguments import Parameter
from cuarray._kernel.launch import Launch, as_extents
from cuarray._runtime import Function, KernelAttributes, Occupancy, glue


class Instance:
    """One instance of a kernel, compiled for the device: `kernel.instances` lists them."""

    def __init__(
        self,
        name: str,
        function: Function,
        parameters: tuple[Parameter, ...],
        defaults: tuple[bytes, ...] = (),
        code: Callable[[str, str | None], bytes] | None = None,
        cluster: tuple[int, int, int] | None = None,
        cooperative: bool = False,
        expression: str = "",
    ) -> None:
        self.name = name
        self.expression = expression  # C++ for its address
        self.function = function
        self.parameters = parameters
        self.defaults = defaults  # the bytes of the last parameters, which the call left out
        self._code = code
        offset = 0
        offsets = []
        for parameter in parameters:
            step = max(parameter.alignment, 8)
            offset = -(-offset // step) * step
            offsets.append(offset)
            offset += parameter.size
        self.offsets = tuple(offsets)
        self._options = cluster, cooperative
        launcher, handle = _runtime.get().launcher_for(function, *self._options)
        # LAUNCHER and FUNCTION of glue's records, read at each launch: the function may be changed in place.
        self.record = np.array([launcher, handle], np.int64)
        if handle == function.handle:
            function.keep_right(self.record)
        self.slot_words = -(-offset // 16) * 2 or 2
        self.slot_bytes = 8 * self.slot_words

    def __repr__(self) -> str:
        return f"<instance {self.name}>"

    # ---- launch
    def pack(self, values: Sequence[Any]) -> bytearray:
        """The bytes of these arguments, known to fit the parameters in number and kind, each at its offset."""
        slots = bytearray(self.slot_bytes)
        packed = [parameter.pack(value) for parameter, value in zip(self.parameters, values, strict=False)]
        for offset, data in zip(self.offsets, (*packed, *self.defaults), strict=True):
            slots[offset : offset + len(data)] = data
        return slots

    def launch(self, launch: Launch, values: Sequence[Any]) -> None:
        """Launch with these arguments, already known to fit the parameters in number and kind."""
        runtime = _runtime.get()
        slots = self.pack(values)
        # The launch copies the arguments, so their buffer need only live until it returns.
        buffer = (ctypes.c_char * self.slot_bytes).from_buffer(slots)
        arguments_address = ctypes.addressof(buffer)
        launcher, handle = runtime.launcher_for(self.function, *self._options)
        record = glue.make_record(launcher, handle, launch.grid, launch.block, launch.shared, self.offsets)
        record_address, stream = record.ctypes.data, launch.stream or runtime.stream
        result = runtime.launch_user(record_address, stream, arguments_address)
        if result:
            runtime.launch_failed(
                result, self.name, lambda: runtime.launch_user(record_address, stream, arguments_address)
            )

    # ---- what the compiler made of it
    @property
    def attributes(self) -> KernelAttributes:
        """Registers, shared, local and constant memory, and the most threads a block can have."""
        return _runtime.get().attributes(self.function)

    def occupancy(self, block: Any, shared: int = 0) -> Occupancy:
        """How many blocks of this shape run at once on a multiprocessor, and how full that makes it.

        shared: dynamic shared memory in bytes. NoDeviceError on the host.
        """
        x, y, z = as_extents(block, "block")
        return _runtime.get().occupancy(self.function, x * y * z, shared)

    def ptx(self, arch: str | None = None) -> str:
        """The PTX that the GPU's compiler makes of it; arch like "sm_90", by default the device's.

        Needs no GPU; CompileError where NVRTC is not installed.
        """
        assert self._code is not None
        return self._code("ptx", arch).decode().rstrip("\0")

    def sass(self, arch: str | None = None) -> str:
        """The machine code, as NVIDIA's nvdisasm prints it; arch like "sm_90", by default the device's.

        FileNotFoundError where neither nvdisasm nor cuobjdump of the CUDA toolkit is on the PATH.
        """
        assert self._code is not None
        tool = shutil.which("nvdisasm") or shutil.which("cuobjdump")
        if tool is None:
            raise FileNotFoundError("sass: nvdisasm, of the CUDA toolkit, is not on the PATH")
        arguments = ["-sass"] if tool.endswith("cuobjdump") else []
        with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
            file.write(self._code("cubin", arch))
            file.flush()
            printed = subprocess.run([tool, *arguments, file.name], capture_output=True, text=True, check=True).stdout
        return re.sub(r"\n{3,}", "\n\n", printed)
