"""The exceptions that cuarray raises besides Python's own."""

from __future__ import annotations


class CompileError(Exception):
    """C++ source that a compiler refused; the message holds the compiler's own, with the user's lines."""


class CudaError(RuntimeError):
    """A CUDA call failed; the message names the call, the kernel if there was one, and CUDA's reason.

    ``code`` is the CUresult as an int, ``name`` its name in CUDA (``"CUDA_ERROR_INVALID_VALUE"``).
    """

    def __init__(self, message: str, code: int = 0, name: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.name = name


class LaunchError(CudaError):
    """A kernel could not be launched: its grid, block, shared memory or arguments do not fit the device."""


class IllegalAddressError(CudaError):
    """A kernel read or wrote memory that is not its own. The device's context is lost; restart the process."""


class DebugError(CudaError):
    """A kernel that was launched under `cuarray.debug` did something wrong; the launch ended there.

    ``kind`` is "bounds", "barriers", "races", "nan" or "division"; ``kernel`` its name; ``block`` and ``thread`` are
    indices in three dimensions; ``file`` and ``line`` say where in the source. ``other_thread`` and ``other_line`` are
    those of the other thread of a race, or of one that did not reach a barrier; else None.
    """

    def __init__(
        self,
        message: str,
        kind: str,
        kernel: str,
        block: tuple[int, int, int],
        thread: tuple[int, int, int],
        file: str,
        line: int,
        other_thread: tuple[int, int, int] | None = None,
        other_line: int | None = None,
    ) -> None:
        super().__init__(message, 719, "CUDA_ERROR_LAUNCH_FAILED")
        self.kind = kind
        self.kernel = kernel
        self.block = block
        self.thread = thread
        self.file = file
        self.line = line
        self.other_thread = other_thread
        self.other_line = other_line

    def __reduce__(self) -> tuple[object, ...]:
        place = self.kernel, self.block, self.thread, self.file, self.line, self.other_thread, self.other_line
        return DebugError, (str(self), self.kind, *place)


class NoDeviceError(CudaError):
    """No CUDA device or driver answers."""


class OutOfMemoryError(CudaError, MemoryError):
    """The memory pool's limit is reached, or the device has no more."""


# CUresult values that get a class of their own; every other is a CudaError.
ERROR_CLASSES: dict[int, type[CudaError]] = {
    2: OutOfMemoryError,  # CUDA_ERROR_OUT_OF_MEMORY
    100: NoDeviceError,  # CUDA_ERROR_NO_DEVICE
    700: IllegalAddressError,  # CUDA_ERROR_ILLEGAL_ADDRESS
    716: IllegalAddressError,  # CUDA_ERROR_MISALIGNED_ADDRESS
    719: IllegalAddressError,  # CUDA_ERROR_LAUNCH_FAILED
}
# What a launch returns when its configuration does not fit: CUDA_ERROR_INVALID_VALUE, _LAUNCH_OUT_OF_RESOURCES.
LAUNCH_ERRORS = (1, 701)
