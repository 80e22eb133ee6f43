"""The CUDA backend's linear algebra: cuSOLVER and cuBLAS, by nvmath's bindings."""

from __future__ import annotations

import contextlib
import math
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from cuarray._errors import CudaError
from cuarray._layout import layout
from cuarray._runtime.math_libraries import Block, Factorizations, LinearAlgebra, column_major
from cuarray._tuning import BATCHED_LU_ROWS, BATCHED_SVD_ROWS

# By dtype: cudaDataType, and the letter in functions' names.
_TYPES = {
    np.dtype("float32"): (0, "s"),
    np.dtype("float64"): (1, "d"),
    np.dtype("complex64"): (4, "c"),
    np.dtype("complex128"): (5, "z"),
}
_NO_TRANSPOSE = 0  # CUBLAS_OP_N
_LOWER, _UPPER = 0, 1  # CUBLAS_FILL_MODE_...
_NO_VECTORS, _VECTORS = 0, 1  # CUSOLVER_EIG_MODE_...
_VERSION_WITH_GEEV = 11701


def load(*names: str) -> list[Any]:
    """Modules of nvmath.bindings; RuntimeError that says what to install where they are not there."""
    try:
        import importlib

        return [importlib.import_module(f"nvmath.bindings.{name}") for name in names]
    except ImportError as error:
        raise RuntimeError(_missing("nvmath-python", error)) from error


def _missing(what: str, error: Exception) -> str:
    return (
        f"{what}, which linalg and fft need on the GPU, cannot be used: "
        f"pip install 'cuarray[cuda13]' (or cuda12, to match the driver). {error}"
    )


@contextlib.contextmanager
def loading(what: str) -> Iterator[None]:
    """The first call of a library: RuntimeError that says what to install where the library is not there."""
    try:
        yield
    except (RuntimeError, ImportError, OSError) as error:
        raise RuntimeError(_missing(what, error)) from error


@contextlib.contextmanager
def calls(*kinds: type[Exception]) -> Iterator[None]:
    """What a library returns besides success as a CudaError."""
    try:
        yield
    except kinds as error:
        raise CudaError(f"a library for the GPU failed: {error}") from error


def destroyed_with(owner: Any, destroy: Callable[[int], None], handle: int) -> int:
    """The handle, destroyed when `owner` is gone; what is left at exit goes with the process."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            destroy(handle)

    weakref.finalize(owner, quietly).atexit = False
    return handle


class _Handles:
    """A thread's handles: a library's handle must not be used by two threads at once."""

    def __init__(self, solver: Any, blas: Any) -> None:
        with loading("cuSOLVER"):
            self.solver = destroyed_with(self, solver.destroy, solver.create())
            self.parameters = destroyed_with(self, solver.destroy_params, solver.create_params())
            self.jacobi = destroyed_with(self, solver.destroy_gesvdj_info, solver.create_gesvdj_info())
        with loading("cuBLAS"):
            self.blas = destroyed_with(self, blas.destroy, blas.create())


def _real(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _stack(block: Block) -> int:
    return math.prod(block.shape[:-2])


def _matrix_bytes(block: Block) -> int:
    return math.prod(block.shape[-2:]) * block.dtype.itemsize


class CudaLinearAlgebra(LinearAlgebra, Factorizations):
    """Column-major and in place, as the libraries are. Where they take whole stacks, a stack is one call."""

    column_major = True

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        self._solver, self._blas, self._general = load("cusolverDn", "cublas", "cusolver")
        self._errors = (self._general.cuSOLVERError, self._blas.cuBLASError)
        self._threads = threading.local()

    # ---- calling
    def _handles(self) -> _Handles:
        """This thread's handles, on its current stream."""
        runtime = self._runtime
        runtime.check_may_wait(runtime.stream)
        handles = getattr(self._threads, "handles", None)
        if handles is None:
            runtime.device.set_current()
            handles = self._threads.handles = _Handles(self._solver, self._blas)
        self._solver.set_stream(handles.solver, runtime.stream)
        self._blas.set_stream(handles.blas, runtime.stream)
        return handles

    def _new(self, dtype: Any, shape: tuple[int, ...], matrices: bool = False) -> Block:
        dtype = np.dtype(dtype)
        own = column_major(dtype, shape) if matrices else layout(dtype, shape)
        memory = self._runtime.allocate(own.nbytes)
        return Block(memory, memory.pointer, own)

    def _pointers(self, block: Block) -> Block:
        """The addresses of a stack's matrices, on the device."""
        addresses = block.pointer + np.arange(_stack(block), dtype=np.int64) * _matrix_bytes(block)
        made = self._new(np.int64, addresses.shape)
        self._runtime.write(made.pointer, addresses)
        return made

    def _values(self, infos: Block) -> np.ndarray:
        return np.frombuffer(self._runtime.read(infos.pointer, infos.layout.nbytes), np.int32)

    def _generic(
        self, name: str, count: int, arguments: Callable[[int], tuple], skip: int = -1, batch: tuple[int, ...] = ()
    ) -> np.ndarray:
        """Call cuSOLVER's function of the 64-bit interface `count` times; gives what each reports.

        arguments: those of a call, between the handles and the workspaces. skip: which of them the function that tells
        the workspace's size does not have. batch: the size of the stack, for functions that take one.
        """
        handles = self._handles()
        own = (handles.solver, handles.parameters)
        first = arguments(0)
        with calls(*self._errors):
            size = getattr(self._solver, f"{name}_buffer_size")
            sizes = size(*own, *(value for k, value in enumerate(first) if k != skip), *batch)
            on_device, on_host = (int(value) for value in sizes)
            workspace = self._runtime.allocate(on_device)
            host_workspace = np.empty(max(on_host, 1), np.uint8)
            infos = self._new(np.int32, (batch[0] if batch else count,))
            room = (workspace.pointer, on_device, host_workspace.ctypes.data, on_host)
            function = getattr(self._solver, name)
            for k in range(count):
                function(*own, *arguments(k), *room, infos.pointer + 4 * k, *batch)
            return self._values(infos)  # waits, so that the workspaces are not in use any more

    def _is_recent(self) -> bool:
        """Whether there are the functions that came with CUDA 12.6: eigenvalues of stacks, and of any matrix."""
        with loading("cuSOLVER"):
            return int(self._general.get_version()) >= _VERSION_WITH_GEEV

    # ---- decompositions
    def cholesky(self, a: Block, lower: bool) -> Block:
        n, count = a.shape[-1], _stack(a)
        kind, letter = _TYPES[a.dtype]
        triangle = _LOWER if lower else _UPPER
        if count > 1:
            handles = self._handles()
            infos, pointers = self._new(np.int32, (count,)), self._pointers(a)
            with calls(*self._errors):
                function = getattr(self._solver, f"{letter}potrf_batched")
                function(handles.solver, triangle, n, pointers.pointer, n, infos.pointer, count)
            failed = self._values(infos)
        else:
            failed = self._generic("xpotrf", 1, lambda k: (triangle, n, kind, a.pointer, n, kind))
        if failed.any():
            raise np.linalg.LinAlgError("Matrix is not positive definite")
        return a

    def _factor(self, a: Block) -> tuple[Block, Block, np.ndarray]:
        n, count = a.shape[-1], _stack(a)
        kind, letter = _TYPES[a.dtype]
        step = _matrix_bytes(a)
        if count > 1 and n <= BATCHED_LU_ROWS:
            handles = self._handles()
            pivots, infos = self._new(np.int32, (*a.shape[:-2], n)), self._new(np.int32, (count,))
            pointers = self._pointers(a)
            with calls(*self._errors):
                function = getattr(self._blas, f"{letter}getrf_batched")
                function(handles.blas, n, pointers.pointer, n, pivots.pointer, infos.pointer, count)
            return a, pivots, self._values(infos)
        pivots = self._new(np.int64, (*a.shape[:-2], n))

        def arguments(k: int) -> tuple:
            return n, n, kind, a.pointer + k * step, n, pivots.pointer + 8 * n * k, kind

        return a, pivots, self._generic("xgetrf", count, arguments, skip=5)

    def lu(self, a: Block) -> tuple[Block, Block]:
        factors, pivots, _infos = self._factor(a)
        return factors, pivots

    def solve(self, a: Block, b: Block) -> Block:
        n, columns, count = a.shape[-1], b.shape[-1], _stack(a)
        kind, letter = _TYPES[a.dtype]
        factors, pivots, infos = self._factor(a)
        if infos.any():
            raise np.linalg.LinAlgError("Singular matrix")
        handles = self._handles()
        with calls(*self._errors):
            if pivots.dtype == np.int32:  # of the batched factorisation
                left, right = self._pointers(factors), self._pointers(b)
                info = np.zeros(1, np.int32)  # on the CPU: whether the arguments are right
                function = getattr(self._blas, f"{letter}getrs_batched")
                own: tuple = (handles.blas, _NO_TRANSPOSE, n, columns)
                function(*own, left.pointer, n, pivots.pointer, right.pointer, n, info.ctypes.data, count)
            else:
                done = self._new(np.int32, (1,))
                own = (handles.solver, handles.parameters, _NO_TRANSPOSE, n, columns)
                for k in range(count):
                    matrix = factors.pointer + k * _matrix_bytes(factors)
                    right_side = b.pointer + k * _matrix_bytes(b)
                    pivot = pivots.pointer + 8 * n * k
                    self._solver.xgetrs(*own, kind, matrix, n, pivot, kind, right_side, n, done.pointer)
        return b

    def qr(self, a: Block) -> tuple[Block, Block]:
        rows, columns = a.shape[-2:]
        kind, _letter = _TYPES[a.dtype]
        short = min(rows, columns)
        tau = self._new(a.dtype, (*a.shape[:-2], short))
        step, tau_step = _matrix_bytes(a), short * a.dtype.itemsize

        def arguments(k: int) -> tuple:
            return rows, columns, kind, a.pointer + k * step, rows, kind, tau.pointer + k * tau_step, kind

        self._generic("xgeqrf", _stack(a), arguments)
        return a, tau

    def q(self, a: Block, tau: Block, columns: int) -> Block:
        rows, own = a.shape[-2:]
        count, short = _stack(a), tau.shape[-1]
        _kind, letter = _TYPES[a.dtype]
        name = f"{letter}{'ung' if a.dtype.kind == 'c' else 'org'}qr"
        source, step = a, _matrix_bytes(a)
        # Columns stand one after the other: fewer of them are the beginning of each matrix, more need a larger one.
        if columns > own:
            a = self._new(a.dtype, (*a.shape[:-2], rows, columns), matrices=True)
            for k in range(count):
                target = a.pointer + k * _matrix_bytes(a)
                self._runtime._call("cuMemcpyDtoDAsync", target, source.pointer + k * step, step, self._runtime.stream)
        result = Block(a.memory, a.pointer, layout(a.dtype, (*a.shape[:-2], rows, columns), a.layout.strides))
        handles = self._handles()
        step, tau_step = _matrix_bytes(a), short * a.dtype.itemsize
        infos = self._new(np.int32, (count,))
        with calls(*self._errors):
            size = getattr(self._solver, f"{name}_buffer_size")
            sizes = (handles.solver, rows, columns, short)
            length = int(size(*sizes, a.pointer, rows, tau.pointer))
            workspace = self._runtime.allocate(length * a.dtype.itemsize)
            for k in range(count):
                matrix, factors = a.pointer + k * step, tau.pointer + k * tau_step
                room = (workspace.pointer, length, infos.pointer + 4 * k)
                getattr(self._solver, name)(*sizes, matrix, rows, factors, *room)
        return result

    def eigh(self, a: Block, lower: bool, vectors: bool) -> tuple[Block, Block | None]:
        n, count = a.shape[-1], _stack(a)
        kind, _letter = _TYPES[a.dtype]
        real = _real(a.dtype)
        w = self._new(real, (*a.shape[:-2], n))
        job, triangle = _VECTORS if vectors else _NO_VECTORS, _LOWER if lower else _UPPER
        step, w_step = _matrix_bytes(a), n * real.itemsize

        def arguments(k: int) -> tuple:
            return job, triangle, n, kind, a.pointer + k * step, n, _TYPES[real][0], w.pointer + k * w_step, kind

        if count > 1 and self._is_recent():
            failed = self._generic("xsyev_batched", 1, arguments, batch=(count,))
        else:
            failed = self._generic("xsyevd", count, arguments)
        if failed.any():
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return w, a if vectors else None

    def eig(self, a: Block, vectors: bool) -> tuple[Block, Block | None]:
        if not self._is_recent():
            return self._eig_on_cpu(a, vectors)
        n, count = a.shape[-1], _stack(a)
        kind, _letter = _TYPES[a.dtype]
        wide = np.dtype(f"c{2 * _real(a.dtype).itemsize}")
        w = self._new(wide, (*a.shape[:-2], n))
        v = self._new(a.dtype, a.shape, matrices=True)
        step, w_step = _matrix_bytes(a), n * wide.itemsize
        job = _VECTORS if vectors else _NO_VECTORS

        def arguments(k: int) -> tuple:
            values = (_TYPES[wide][0], w.pointer + k * w_step)
            left, right = (kind, 0, n), (kind, v.pointer + k * step, n)
            return _NO_VECTORS, job, n, kind, a.pointer + k * step, n, *values, *left, *right, kind

        if self._generic("xgeev", count, arguments).any():
            raise np.linalg.LinAlgError("Eigenvalues did not converge")
        return w, v if vectors else None

    def _eig_on_cpu(self, a: Block, vectors: bool) -> tuple[Block, Block | None]:
        buffer = self._runtime.read(a.pointer, a.layout.nbytes)
        matrices = np.frombuffer(buffer, a.dtype).reshape(*a.shape[:-2], a.shape[-1], a.shape[-2]).mT
        if not vectors:
            return self._on_device(np.linalg.eigvals(matrices)), None
        w, v = np.linalg.eig(matrices)
        return self._on_device(w), self._on_device(v)

    def _on_device(self, array: np.ndarray) -> Block:
        array = np.ascontiguousarray(array)
        made = self._new(array.dtype, array.shape)
        self._runtime.write(made.pointer, array)
        return made

    def svd(self, a: Block, full: bool, vectors: bool) -> tuple[Block | None, Block, Block | None, bool]:
        rows, columns = a.shape[-2:]
        stack, count = a.shape[:-2], _stack(a)
        kind, letter = _TYPES[a.dtype]
        real = _real(a.dtype)
        small = count > 1 and rows <= BATCHED_SVD_ROWS
        s = self._new(real, (*stack, columns))
        # The function for stacks of small matrices always makes all of u.
        wide = rows if full or small else columns
        u = self._new(a.dtype, (*stack, rows, wide), matrices=True) if vectors or small else None
        v = self._new(a.dtype, (*stack, columns, columns), matrices=True) if vectors or small else None
        if small:
            assert u is not None and v is not None
            failed = self._small_svd(letter, a, u, s, v, vectors)
        else:
            step, s_step = _matrix_bytes(a), columns * real.itemsize
            job = ord("N") if not vectors else ord("A") if full else ord("S")

            def arguments(k: int) -> tuple:
                at_u = 0 if u is None else u.pointer + k * _matrix_bytes(u)
                at_v = 0 if v is None else v.pointer + k * _matrix_bytes(v)
                values = (_TYPES[real][0], s.pointer + k * s_step)
                matrix = (rows, columns, kind, a.pointer + k * step, rows)
                return job, job, *matrix, *values, kind, at_u, rows, kind, at_v, columns, kind

            failed = self._generic("xgesvd", count, arguments)
        if failed.any():
            raise np.linalg.LinAlgError("SVD did not converge")
        if not vectors:
            return None, s, None, True
        assert u is not None
        if small and not full:
            u = Block(u.memory, u.pointer, layout(a.dtype, (*stack, rows, columns), u.layout.strides))
        return u, s, v, not small

    def _small_svd(self, letter: str, a: Block, u: Block, s: Block, v: Block, vectors: bool) -> np.ndarray:
        rows, columns = a.shape[-2:]
        count = _stack(a)
        handles = self._handles()
        infos = self._new(np.int32, (count,))
        job = _VECTORS if vectors else _NO_VECTORS
        own: tuple = (handles.solver, job, rows, columns, a.pointer, rows)
        own += (s.pointer, u.pointer, rows, v.pointer, columns)
        with calls(*self._errors):
            size = getattr(self._solver, f"{letter}gesvdj_batched_buffer_size")
            length = int(size(*own, handles.jacobi, count))
            workspace = self._runtime.allocate(length * a.dtype.itemsize)
            function = getattr(self._solver, f"{letter}gesvdj_batched")
            function(*own, workspace.pointer, length, infos.pointer, handles.jacobi, count)
            return self._values(infos)
