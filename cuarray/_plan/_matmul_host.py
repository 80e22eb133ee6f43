"""Plans of products on the CPU: NumPy's BLAS for floating and complex numbers, kernels of our own for the rest."""

from __future__ import annotations

import numpy as np

from cuarray import _tuning
from cuarray._plan._common import INT32_MAX, SCRATCH_COUNTERS, Instance, Plan
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target

_BLAS = tuple(np.dtype(name) for name in ("float32", "float64", "complex64", "complex128"))


def plan(target: Target, of: Product) -> MatmulPlan:
    """The launches of a product with at least one element."""
    work = of.batches * of.m * of.n * of.k
    if work > of.batches * _tuning.MATMUL_ROWS_MOST:
        if target.blas and of.dtype in _BLAS and max(of.m, of.n, of.k, *_leading(of)) <= INT32_MAX:
            return _blas(target, of, work)
        if of.dtype.kind != "c":
            return MatmulPlan((_blocked(target, of, work),), 0)
    rows = of.batches * of.m
    name = f"ca::matmul_rows<{of.cpp_types}, {_tuning.MATMUL_STRIP}, {of.rank}>"
    blocks = _tuning.matmul_rows_blocks(target, rows, 2 * work)
    return MatmulPlan((Plan(Instance("matmul_simple.cuh", name), (blocks, 1, 1), (1, 1, 1), of.words()),), 0)


def _leading(of: Product) -> tuple[int, ...]:
    """The distances between rows or columns, in elements."""
    return tuple(abs(stride) // of.dtype.itemsize for stride in (*of.a, *of.b))


def _blas(target: Target, of: Product, work: int) -> MatmulPlan:
    size = of.dtype.itemsize
    a_aside = not _readable(of.a, of.m, of.k, size)
    b_aside = not _readable(of.b, of.k, of.n, size)
    # A vector may have any steps.
    if of.n == 1 and of.b[0] and of.b[0] % size == 0:
        b_aside = False
    if of.m == 1 and of.n > 1 and of.a[1] and of.a[1] % size == 0:
        a_aside = False
    sums_aside = of.out_dtype != of.dtype
    blocks = _tuning.matmul_blas_blocks(target, of.batches, work)
    items = a_aside * of.m * of.k + b_aside * of.k * of.n + sums_aside * of.m * of.n
    scratch = SCRATCH_COUNTERS + blocks * items * size if items else 0
    aside = a_aside | b_aside << 1 | sums_aside << 2
    name = f"ca::matmul_blas<{of.cpp_types}, {aside}, {of.rank}>"
    return MatmulPlan((Plan(Instance("host/matmul_blas.hpp", name), (blocks, 1, 1), (1, 1, 1), of.words()),), scratch)


def _readable(strides: tuple[int, int], rows: int, columns: int, size: int) -> bool:
    """Whether BLAS can read a matrix: its rows or columns are contiguous and do not overlap (host/matmul_blas.hpp)."""

    def lines(step: int, count: int, length: int) -> bool:
        return count == 1 or (step >= length * size and step % size == 0)

    row, column = strides
    return ((columns == 1 or column == size) and lines(row, rows, columns)) or (
        (rows == 1 or row == size) and lines(column, columns, rows)
    )


def _blocked(target: Target, of: Product, work: int) -> Plan:
    blocks = _tuning.matmul_blocked_blocks(target, of.batches * of.m * of.n, work)
    name = f"ca::matmul_blocked<{of.cpp_types}, {of.rank}>"
    return Plan(
        Instance("host/matmul_blocked.hpp", name), (blocks, 1, 1), (1, 1, 1), of.words(), _tuning.MATMUL_BLOCKED_BYTES
    )
