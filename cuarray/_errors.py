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
