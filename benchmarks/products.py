"""The family `matmul/`: products of matrices, which arithmetic limits, of many shapes and dtypes."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import numpy as np

from benchmarks.case import BFLOAT16, FLOAT32, Arrays, Call, Case, Shape, is_inexact, widen
from benchmarks.libraries import Library

FLOAT16, FLOAT64 = np.dtype("float16"), np.dtype("float64")
WHOLE = tuple(map(np.dtype, ("int8", "int16", "int32", "int64")))
COMPLEX = tuple(map(np.dtype, ("complex64", "complex128")))
HALVES, FLOATS = (BFLOAT16, FLOAT16), (BFLOAT16, FLOAT16, FLOAT32, FLOAT64)
SQUARES = (256, 512, 1024, 2048, 4096, 8192, 16384)

# ||result - exact|| / ||exact||; of float32, also where a library computes in TF32 as it is asked to
ERRORS = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-5, "float64": 1e-13, "complex64": 1e-5, "complex128": 1e-13}
TF32_ERROR = 2e-3

# Batch, m, n, k, and how the operands lie: "t" is transposed, "n" is not.
Extents = tuple[int, int, int, int, str]
SHAPES: tuple[Extents, ...] = (
    # of odd and prime extents
    (1, 1000, 1000, 1000, "nn"), (1, 1023, 1023, 1023, "nn"), (1, 1025, 1025, 1025, "nn"), (1, 2047, 2049, 2048, "nn"),
    (1, 4095, 4095, 4095, "nn"), (1, 4097, 4097, 4097, "nn"), (1, 1999, 1999, 1999, "nn"), (1, 3001, 3001, 3001, "nn"),
    (1, 4099, 4099, 4099, "nn"), (1, 127, 8191, 509, "nn"), (1, 5003, 257, 3001, "nn"), (1, 3000, 3000, 3000, "nn"),
    (1, 5120, 1280, 2560, "nn"), (1, 1536, 6144, 1536, "nn"), (1, 6144, 1536, 6144, "nn"), (1, 2880, 2880, 2880, "nn"),
    # skinny
    (1, 1, 8192, 8192, "nn"), (1, 8192, 1, 8192, "nn"), (1, 2, 8192, 8192, "nn"), (1, 4, 8192, 8192, "nn"),
    (1, 8, 8192, 8192, "nn"), (1, 16, 8192, 8192, "nn"), (1, 32, 8192, 8192, "nn"), (1, 64, 8192, 8192, "nn"),
    (1, 8192, 4, 8192, "nn"), (1, 8192, 16, 8192, "nn"), (1, 8192, 64, 8192, "nn"), (1, 8192, 128, 4096, "nn"),
    (1, 100000, 16, 16, "nn"), (1, 100000, 64, 64, "nn"), (1, 65536, 128, 128, "nn"), (1, 8192, 8192, 16, "nn"),
    (1, 8192, 8192, 64, "nn"), (1, 8192, 8192, 128, "nn"),
    # with a long sum
    (1, 16, 16, 1000000, "nn"), (1, 64, 64, 262144, "nn"), (1, 128, 128, 131072, "nn"), (1, 256, 256, 65536, "nn"),
    (1, 512, 512, 32768, "nn"), (1, 1000, 100, 50000, "nn"), (1, 64, 64, 262144, "tn"), (1, 33, 65, 100003, "nt"),
    # stacks
    (8, 1024, 1024, 1024, "nn"), (8, 2048, 2048, 512, "nn"), (16, 512, 512, 512, "nn"), (32, 256, 256, 1024, "nn"),
    (64, 256, 256, 256, "nn"), (128, 128, 128, 128, "nt"), (256, 64, 64, 512, "nn"), (512, 128, 64, 128, "nt"),
    (1024, 64, 64, 64, "nn"), (2048, 32, 32, 32, "nn"), (4096, 16, 16, 16, "nn"), (4096, 8, 8, 8, "nn"),
    (96, 197, 64, 197, "nn"), (96, 197, 197, 64, "nt"),
    # transposed
    (1, 4096, 4096, 4096, "tn"), (1, 4096, 4096, 4096, "nt"), (1, 4096, 4096, 4096, "tt"), (1, 3001, 1999, 4099, "nt"),
)  # fmt: skip


def products(*shapes: Shape) -> int:
    """Operations of a product of matrices: a multiplication and an addition each."""
    batch, rows, inner = math.prod(shapes[0][:-2]), *shapes[0][-2:]
    return 2 * batch * rows * inner * shapes[1][-1]


def is_right(
    turned: str = "nn", error: float | None = None, relu: bool = False
) -> Callable[[Arrays, np.ndarray], None]:
    """A check of some rows of each product, and (by the sums of the columns) of all of them."""
    last: list[Any] = []  # the inputs that the last reference is of, and it: libraries have the same

    def reference(arrays: Arrays) -> np.ndarray:
        if not last or last[0] is not arrays:
            a, b = (np.swapaxes(x, -1, -2) if turn == "t" else x for x, turn in zip(arrays, turned))
            left = widen(a[..., _rows(a), :])
            if not relu:
                left = np.concatenate([left, column_sums(a)], -2)
            exact = _product(left, b)
            if len(arrays) > 2:
                exact = exact + widen(arrays[2])
            last[:] = arrays, np.maximum(exact, 0) if relu else exact
        found: np.ndarray = last[1]
        return found

    def verify(arrays: Arrays, result: np.ndarray) -> None:
        exact, rows = reference(arrays), _rows(result)
        shape = (*exact.shape[:-2], *result.shape[-2:])
        assert result.shape == shape, f"the result has shape {result.shape}, not {shape}"
        limit = error or ERRORS.get(str(arrays[0].dtype), 0)
        _near(result[..., rows, :], exact[..., : len(rows), :], limit)
        if not relu:
            _near_each(column_sums(result), exact[..., len(rows) :, :], limit)

    return verify


def _rows(x: np.ndarray) -> list[int]:
    """The first row, one in the middle, the last."""
    return sorted({0, x.shape[-2] // 2, x.shape[-2] - 1})


def column_sums(x: np.ndarray) -> np.ndarray:
    """Of integers as these wrap, of others in double precision."""
    if not is_inexact(x.dtype):
        return x.sum(-2, keepdims=True, dtype=x.dtype)
    x = x.astype(np.float32) if x.dtype.itemsize == 2 else x
    return x.sum(-2, keepdims=True, dtype=np.complex128 if x.dtype.kind == "c" else np.float64)


def _product(left: np.ndarray, b: np.ndarray) -> np.ndarray:
    """left @ b, some steps of the sum at a time: all of b in double precision would take longer than the product."""
    step = max(1, 2**22 * b.shape[-2] // b.size)
    parts = (left[..., k : k + step] @ widen(b[..., k : k + step, :]) for k in range(0, b.shape[-2], step))
    return functools.reduce(np.add, parts)


def _near(found: np.ndarray, exact: np.ndarray, limit: float) -> None:
    assert found.shape == exact.shape, f"the result has shape {found.shape}, not {exact.shape}"
    if not limit:
        np.testing.assert_array_equal(found, exact)
        return
    error = np.linalg.norm((widen(found) - exact).ravel()) / np.linalg.norm(exact.ravel())
    assert error <= limit, f"the relative error is {error:.2g}, more than {limit:.2g}"


def _near_each(found: np.ndarray, exact: np.ndarray, limit: float) -> None:
    """As `_near`, of each sum by itself: none of them cancels, and a tile that is missing shows in its columns."""
    if limit:
        error = float(np.max(np.abs(found - exact) / np.abs(exact)))
        assert error <= limit, f"the relative error of a column's sum is {error:.2g}, more than {limit:.2g}"
    else:
        np.testing.assert_array_equal(found, exact)


def _square(n: int) -> tuple[Shape, ...]:
    return ((math.isqrt(n),) * 2,) * 2


def _square_and_row(n: int) -> tuple[Shape, ...]:
    return (*_square(n), (math.isqrt(n),))


def _shapes(extents: Extents) -> Callable[[int], tuple[Shape, ...]]:
    """The shapes by the number of elements in the left operand: smaller ones keep the proportions where they can."""
    batch, m, n, k, turned = extents

    def shapes(size: int) -> tuple[Shape, ...]:
        scale = min(1.0, size / (batch * m * k)) ** (1 / (2 + (batch > 1)))
        b, rows, columns, inner = (max(1, round(extent * scale)) for extent in (batch, m, n, k))
        left = (inner, rows) if turned[0] == "t" else (rows, inner)
        right = (columns, inner) if turned[1] == "t" else (inner, columns)
        return ((b, *left), (b, *right)) if batch > 1 else (left, right)

    return shapes


def _multiply(turned: str) -> Callable[..., Any]:
    bodies: dict[str, Callable[..., Any]] = {
        "nn": lambda xp, a, b: a @ b,
        "tn": lambda xp, a, b: a.swapaxes(-1, -2) @ b,
        "nt": lambda xp, a, b: a @ b.swapaxes(-1, -2),
        "tt": lambda xp, a, b: a.swapaxes(-1, -2) @ b.swapaxes(-1, -2),
    }
    return bodies[turned]


def _operations(turned: str) -> Callable[..., int]:
    def count(a: Shape, b: Shape) -> int:
        a, b = ((*x[:-2], x[-1], x[-2]) if turn == "t" else x for x, turn in zip((a, b), turned))
        return products(a, b)

    return count


def _in_precision(precision: str) -> Callable[..., Call]:
    def make(library: Library, *_arrays: Any) -> Call:
        return Call(library.with_precision(precision, lambda a, b: a @ b))

    return make


def _relu(library: Library, *_arrays: Any) -> Call:
    return Call(library.dense_relu())


def cases() -> Iterable[Case]:
    """All of them: first those that say most, so that a budget of time is spent on them."""
    for rows in (4096, 8192, 16384):
        yield from squares(rows, HALVES)
    for rows in (4096, 8192):
        yield from squares(rows, (FLOAT32, FLOAT64))
    yield dense(8192, BFLOAT16)
    for rows in (1024, 4096):
        yield from squares(rows, (*WHOLE, *COMPLEX))
    for extents in SHAPES:
        for dtype in FLOATS:
            if dtype != FLOAT16 or extents[3] <= 2**17:  # else sums are beyond the largest float16
                yield shaped(extents, dtype)
    for rows in (256, 512, 2048):
        yield from squares(rows, (*WHOLE, *COMPLEX))
    for rows in SQUARES[:4]:
        yield from squares(rows, FLOATS)
    for rows in SQUARES:
        for dtype in (*HALVES, FLOAT32):
            if (rows, dtype) != (8192, BFLOAT16):
                yield dense(rows, dtype)
    yield from squares(8192, COMPLEX)
    yield from squares(16384, (FLOAT32, FLOAT64))


def squares(rows: int, dtypes: Iterable[np.dtype]) -> Iterator[Case]:
    """Products of square matrices; of float32 in all precisions."""
    square: dict[str, Any] = {"body": _multiply("nn"), "shapes": _square, "flops": products, "cycles": True}
    for dtype in dtypes:
        most = 256 if dtype in (*HALVES, *WHOLE) else 1024  # on a CPU
        cpu_size = rows**2 if rows <= most else None
        yield Case("matmul/square", size=rows**2, cpu_size=cpu_size, dtype=dtype, **square, verify=is_right())
        for precision in ("tf32", "tf32x3") if dtype == FLOAT32 else ():
            verify = is_right(error=TF32_ERROR if precision == "tf32" else None)
            yield Case(
                f"matmul/square_{precision}", size=rows**2, cpu_size=rows**2 if rows == 256 else None, **square,
                verify=verify, make=_in_precision(precision),
            )  # fmt: skip


def dense(rows: int, dtype: np.dtype) -> Case:
    """relu(a @ b + c)"""
    return Case(
        "matmul/relu_of_sum", lambda xp, a, b, c: xp.maximum(a @ b + c, 0), _square_and_row, rows**2,
        rows**2 if rows == 256 else None, dtype, values="wide", cycles=True, flops=lambda a, b, _c: products(a, b),
        verify=is_right(relu=True), make=_relu,
    )  # fmt: skip


def shaped(extents: Extents, dtype: np.dtype) -> Case:
    """One of `SHAPES`."""
    batch, m, n, k, turned = extents
    name = f"matmul/{f'{batch}x' if batch > 1 else ''}{m}x{n}x{k}_{turned}"
    size = batch * m * k
    return Case(
        name, _multiply(turned), _shapes(extents), size, min(size, 2**16) if dtype == FLOAT32 else None, dtype,
        cycles=True, flops=_operations(turned), verify=is_right(turned),
    )  # fmt: skip
