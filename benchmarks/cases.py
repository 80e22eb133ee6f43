"""What is measured: one row a case. The family before the slash says what a case is about."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import isqrt
from typing import Any

import numpy as np

Inputs = tuple[np.ndarray, ...]

FLOAT32 = np.dtype("float32")

THREADS = 256  # a block's, in kernel cases


@dataclass(frozen=True)
class Kernel:
    """A `__global__` function for the libraries that have kernels; it takes the inputs as pointers."""

    name: str
    source: str
    expected: Callable[..., np.ndarray]  # the same in NumPy, of the inputs


@dataclass(frozen=True)
class Case:
    """One computation, the same for all libraries."""

    name: str
    size: int  # elements of an input; each input of a case has as many
    cpu_size: int  # the same, where cuarray is on the CPU
    inputs: Callable[[np.random.Generator, int, np.dtype], Inputs]
    body: Callable[..., Any]  # f(xp, *arrays); in kernel cases f(launch, *arrays)
    moved: Callable[[int], int]  # elements that must be read and written, of the size
    flops: Callable[[int], int]  # floating-point operations, of the size; a function like exp counts as one
    dtype: np.dtype = FLOAT32
    tolerance: float = 1e-6  # relative to NumPy's result in float64; integers must be equal
    kernel: Kernel | None = None

    @property
    def family(self) -> str:
        return self.name.split("/")[0]

    def bytes(self, size: int) -> int:
        return self.moved(size) * self.dtype.itemsize

    def expected(self, inputs: Inputs) -> np.ndarray:
        """NumPy's result, with floating-point inputs in double precision."""
        wide = [x.astype(np.float64) if x.dtype.kind == "f" else x for x in inputs]
        if self.kernel is not None:
            return self.kernel.expected(*wide)
        return np.asarray(self.body(np, *wide))


# ---- inputs: between 0 and 1, so that sums do not cancel


def _vectors(count: int) -> Callable[[np.random.Generator, int, np.dtype], Inputs]:
    return lambda rng, size, dtype: tuple(rng.random(size).astype(dtype) for _ in range(count))


def _squares(count: int) -> Callable[[np.random.Generator, int, np.dtype], Inputs]:
    def inputs(rng: np.random.Generator, size: int, dtype: np.dtype) -> Inputs:
        rows = isqrt(size)
        assert rows * rows == size, f"{size} elements are no square"
        return tuple(rng.random((rows, rows)).astype(dtype) for _ in range(count))

    return inputs


def _one_maximum(rng: np.random.Generator, size: int, dtype: np.dtype) -> Inputs:
    """Which of several equal maxima argmax finds differs between libraries, so there is only one."""
    (x,) = _vectors(1)(rng, size, dtype)
    x[rng.integers(size)] = 2
    return (x,)


def _two_and_output(rng: np.random.Generator, size: int, dtype: np.dtype) -> Inputs:
    return *_vectors(2)(rng, size, dtype), np.zeros(size, dtype)


# ---- bodies longer than a line


def _launch(launch: Callable[..., Any], x: Any, y: Any, out: Any) -> Any:
    launch(x, y, out)
    return out


ADD = Kernel(
    "add_arrays",
    """__global__ void add_arrays(const float* x, const float* y, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = x[i] + y[i];
}
""",
    lambda x, y, _out: x + y,
)

LARGE, LARGE_CPU = 2**26, 2**20

CASES = (
    # Small arrays: what a call costs before any element is computed.
    Case("dispatch/add", 1000, 1000, _vectors(2), lambda xp, x, y: xp.add(x, y), lambda n: 3 * n, lambda n: n),
    Case("dispatch/sum", 1000, 1000, _vectors(1), lambda xp, x: xp.sum(x), lambda n: n + 1, lambda n: n - 1,
         tolerance=1e-5),
    # Large arrays: limited by memory.
    Case("elementwise/add", LARGE, LARGE_CPU, _vectors(2), lambda xp, x, y: xp.add(x, y),
         lambda n: 3 * n, lambda n: n),
    Case("elementwise/exp", LARGE, LARGE_CPU, _vectors(1), lambda xp, x: xp.exp(x), lambda n: 2 * n, lambda n: n),
    Case("elementwise/transposed_add", LARGE, LARGE_CPU, _squares(2), lambda xp, x, y: xp.add(x, y.T),
         lambda n: 3 * n, lambda n: n),
    Case("reduction/sum", LARGE, LARGE_CPU, _vectors(1), lambda xp, x: xp.sum(x),
         lambda n: n + 1, lambda n: n - 1, tolerance=1e-5),
    Case("reduction/sum_axis0", LARGE, LARGE_CPU, _squares(1), lambda xp, x: xp.sum(x, axis=0),
         lambda n: n + isqrt(n), lambda n: n - isqrt(n), tolerance=1e-4),
    Case("reduction/argmax", LARGE, LARGE_CPU, _one_maximum, lambda xp, x: xp.argmax(x),
         lambda n: n, lambda n: 0),
    # Limited by arithmetic.
    Case("matmul/square", 1024**2, 1024**2, _squares(2), lambda xp, x, y: xp.matmul(x, y),
         lambda n: 3 * n, lambda n: 2 * n * isqrt(n), tolerance=1e-5),
    # Kernels of one's own, launched from Python.
    Case("kernel/launch", 4 * THREADS, 4 * THREADS, _two_and_output, _launch, lambda n: 3 * n, lambda n: n,
         kernel=ADD),
)  # fmt: skip


def select(prefixes: list[str]) -> list[Case]:
    """The cases whose name begins with one of the prefixes; all if there are none."""
    for prefix in prefixes:
        if not any(case.name.startswith(prefix) for case in CASES):
            raise ValueError(f"no case begins with {prefix!r}; there are {', '.join(case.name for case in CASES)}")
    return [case for case in CASES if not prefixes or case.name.startswith(tuple(prefixes))]
