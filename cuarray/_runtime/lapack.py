"""The host backend's linear algebra and Fourier transforms: NumPy's, over the same memory."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._layout import layout
from cuarray._runtime.base import Runtime
from cuarray._runtime.math_libraries import Block, Fourier, LinearAlgebra, Results
from cuarray._runtime.memory import ForeignMemory


class _Interface:
    """What NumPy asks for an array over a block's memory; NumPy's array keeps this alive."""

    def __init__(self, block: Block) -> None:
        self.memory = block.memory
        self.__array_interface__ = {
            "version": 3,
            "data": (block.pointer, True),
            "typestr": block.dtype.str,
            "shape": block.shape,
            "strides": block.layout.strides,
        }


def _numpy(block: Block) -> np.ndarray:
    return np.asarray(_Interface(block))


def _block(array: Any) -> Block:
    array = np.asarray(array)
    memory = ForeignMemory(array.ctypes.data, array.nbytes, array, True)
    return Block(memory, memory.pointer, layout(array.dtype, array.shape, array.strides))


class HostLinearAlgebra(LinearAlgebra, Results):
    """numpy.linalg."""

    column_major = False

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def _read(self, block: Block) -> np.ndarray:
        self._runtime.synchronize()  # a graph that is being captured cannot hold this
        return _numpy(block)

    def cholesky(self, a: Block, lower: bool) -> Block:
        return _block(np.linalg.cholesky(self._read(a), upper=not lower))

    def solve(self, a: Block, b: Block) -> Block:
        return _block(np.linalg.solve(self._read(a), _numpy(b)))

    def slogdet(self, a: Block) -> tuple[Block, Block]:
        sign, logarithm = np.linalg.slogdet(self._read(a))
        return _block(sign), _block(logarithm)

    def qr_of(self, a: Block, mode: str) -> tuple[Block, ...]:
        result = np.linalg.qr(self._read(a), mode)  # type: ignore[call-overload]
        return (_block(result),) if mode == "r" else (_block(result[0]), _block(result[1]))

    def eigh(self, a: Block, lower: bool, vectors: bool) -> tuple[Block, Block | None]:
        triangle: Any = "L" if lower else "U"
        if not vectors:
            return _block(np.linalg.eigvalsh(self._read(a), triangle)), None
        w, v = np.linalg.eigh(self._read(a), triangle)
        return _block(w), _block(v)

    def eig(self, a: Block, vectors: bool) -> tuple[Block, Block | None]:
        if not vectors:
            return _block(np.linalg.eigvals(self._read(a))), None
        w, v = np.linalg.eig(self._read(a))
        return _block(w), _block(v)

    def svd(self, a: Block, full: bool, vectors: bool) -> tuple[Block | None, Block, Block | None, bool]:
        if not vectors:
            return None, _block(np.linalg.svd(self._read(a), compute_uv=False)), None, True
        u, s, vh = np.linalg.svd(self._read(a), full)
        return _block(u), _block(s), _block(vh), True


class HostFourier(Fourier):
    """numpy.fft."""

    any_axes = True

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime

    def transform(self, x: Block, axes: tuple[int, ...], kind: str, norm: str, last: int) -> Block:
        self._runtime.synchronize()  # a graph that is being captured cannot hold this
        source, way = _numpy(x), norm
        if kind == "c2r":
            return _block(np.fft.irfft(source, last, axes[0], way))  # type: ignore[arg-type]
        function: Any = {"forward": np.fft.fftn, "inverse": np.fft.ifftn, "r2c": np.fft.rfftn}[kind]
        return _block(function(source, axes=axes, norm=way))
