"""The libraries that are compared, each behind the same few functions; a library that is not there is absent."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from benchmarks.cases import Kernel


class AbsentError(Exception):
    """The library is not installed, or cannot run here."""


class Library:
    """NumPy, and what the others have in common with it."""

    name = "numpy"
    device = "cpu"

    def __init__(self, on_gpu: bool) -> None:
        """`on_gpu`: whether cuarray is on a GPU; the others are put beside it where they can be."""
        self.namespace: Any = np
        self.version: str = np.__version__

    def to_device(self, x: np.ndarray) -> Any:
        return x.copy()

    def to_numpy(self, x: Any) -> np.ndarray:
        return np.asarray(x)

    def synchronize(self) -> None:
        """Wait for all work given to the library so far."""

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any] | None:
        """A function of the arrays that launches the kernel as users of the library do; None if it has no kernels."""
        return None


class CuArray(Library):
    name = "cuarray"

    def __init__(self, on_gpu: bool) -> None:
        import cuarray

        self.namespace, self.version = cuarray, cuarray.__version__
        self.device = "gpu" if on_gpu else "cpu"

    def to_device(self, x: np.ndarray) -> Any:
        return self.namespace.array(x)

    def to_numpy(self, x: Any) -> np.ndarray:
        return self.namespace.asnumpy(x)

    def synchronize(self) -> None:
        self.namespace.cuda.synchronize()

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        function = getattr(self.namespace.cudadef(kernel.source, name=kernel.name), kernel.name)
        return lambda *arrays: function[grid, block](*arrays)


class CuPy(Library):
    name = "cupy"
    device = "gpu"

    def __init__(self, on_gpu: bool) -> None:
        if not on_gpu:
            raise AbsentError("cuarray is on the CPU, and cupy is for GPUs only")
        try:
            import cupy

            cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # ImportError, or an error of CUDA of a type that only cupy knows
            raise AbsentError(str(error)) from error
        self.namespace, self.version = cupy, cupy.__version__

    def to_device(self, x: np.ndarray) -> Any:
        return self.namespace.array(x)

    def to_numpy(self, x: Any) -> np.ndarray:
        return self.namespace.asnumpy(x)

    def synchronize(self) -> None:
        self.namespace.cuda.Device().synchronize()

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        function = self.namespace.RawKernel(f'extern "C" {kernel.source}', kernel.name)
        return lambda *arrays: function((grid,), (block,), arrays)


class Torch(Library):
    name = "torch"

    def __init__(self, on_gpu: bool) -> None:
        try:
            import torch
        except ImportError as error:
            raise AbsentError(str(error)) from error
        if on_gpu and not torch.cuda.is_available():
            raise AbsentError("cuarray is on the GPU, and this torch has none")
        torch.set_float32_matmul_precision("highest")  # no TF32: the same precision for all
        self.namespace, self.version = torch, torch.__version__
        self.device = "gpu" if on_gpu else "cpu"

    def to_device(self, x: np.ndarray) -> Any:
        return self.namespace.tensor(x, device="cuda" if self.device == "gpu" else "cpu")

    def to_numpy(self, x: Any) -> np.ndarray:
        return x.cpu().numpy()

    def synchronize(self) -> None:
        if self.device == "gpu":
            self.namespace.cuda.synchronize()


LIBRARIES = {library.name: library for library in (CuArray, Library, CuPy, Torch)}
