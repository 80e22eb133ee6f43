"""Compiling ahead: kernels of named functions, before their first call."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._dtypes import as_dtype
from cuarray._functions import _reduction
from cuarray._functions._operation import Operation, copy_operation
from cuarray._functions.elementwise import FUNCTIONS
from cuarray._launch import source_of
from cuarray._layout import Layout, layout
from cuarray._runtime.base import Source
from cuarray._table import REDUCTIONS
from cuarray._tuning import Target

OPS = (
    "copy", "add", "subtract", "multiply", "divide", "floor_divide", "remainder", "power", "negative", "absolute",
    "square", "sqrt", "exp", "log", "sin", "cos", "tanh", "maximum", "minimum", "equal", "not_equal", "less",
    "less_equal", "greater", "greater_equal", "isnan", "sum", "mean", "min", "max", "argmax", "argmin", "prod", "std",
    "all", "any",
)  # fmt: skip
DTYPES = ("float32", "float64", "int64")

_SIZES = (32, 1024)  # of squares: small arrays and large ones have kernels of their own


def warmup(ops: Any = None, dtypes: Any = None, *, progress: bool | None = None) -> None:
    """Compile kernels now, so that first calls need not wait for the compiler.

    ops: names of elementwise functions and reductions, and "copy" (copies, fills, casts); by default those that are
    used most. dtypes: of the operands; by default float32, float64 and int64. For each there are kernels for operands
    that are contiguous, scalars, strided and broadcast. progress: whether stderr shows how far it is; by default if it
    is a terminal. On the GPU the kernels are on disk afterwards, for later processes, too, and nothing is loaded; on
    the CPU they are compiled for this process.

    ValueError for a name that is none of these, TypeError for what is no dtype of arrays.

    >>> import cuarray as ca
    >>> ca.warmup(["add"], ["float32"])
    """
    runtime = _runtime.get()
    _compile(
        instances(ops, dtypes, runtime.target),
        runtime.compile_ahead,
        runtime.compile_threads,
        progress,
    )


def warmup_for(
    arch: str, ops: Any = None, dtypes: Any = None, *, progress: bool | None = None, threads: int = 2
) -> int:
    """The same for the GPUs of an architecture like "sm_90a", which need not be there; how many kernels there are."""
    groups = instances(ops, dtypes, _runtime.target_of(arch))
    _compile(
        groups,
        lambda source, names: _runtime.compile_for(arch, source, names),
        threads,
        progress,
    )
    return sum(len(names) for _, _, names in groups)


Group = tuple[str, Source, list[str]]  # the function, what its kernels are compiled from, and their names


def instances(ops: Any, dtypes: Any, target: Target) -> list[Group]:
    """What `warmup` compiles for these arguments: the kernels of each function."""
    names = OPS if ops is None else (ops,) if isinstance(ops, str) else tuple(ops)
    for name in names:
        if not isinstance(name, str) or (name not in REDUCTIONS and _operation(name) is None):
            raise ValueError(
                f"warmup: ops: {name!r} is not the name of an elementwise function or a reduction, or 'copy'"
            )
    if isinstance(dtypes, str | type | np.dtype):
        dtypes = (dtypes,)
    wanted = [as_dtype(dtype, "dtypes") for dtype in (DTYPES if dtypes is None else dtypes)]
    groups: list[Group] = []
    for name in names:
        by_source: dict[Source, dict[str, None]] = {}
        for plan in _plans(name, wanted, target):
            by_source.setdefault(source_of(plan), {})[f"&{plan.instance.name}"] = None
        groups += [(name, source, list(found)) for source, found in by_source.items()]
    return groups


def _operation(name: str) -> Operation | None:
    return copy_operation if name == "copy" else FUNCTIONS.get(name)


def _plans(name: str, dtypes: Sequence[np.dtype], target: Target) -> Iterator[_plan.Plan]:
    operation = _operation(name)
    for dtype in dtypes:
        if name in REDUCTIONS:
            for source, axes in _reduced(dtype):
                yield from _reduction.plans(target, name, source, axes)
        elif operation is not None:
            for kinds in _operands(dtype, operation.nin):
                with contextlib.suppress(TypeError):  # NumPy has no such loop
                    planned = operation.plan(target, kinds)
                    if planned.plan is not None:
                        yield planned.plan


def _reduced(dtype: np.dtype) -> Iterator[tuple[Layout, tuple[int, ...]]]:
    for side in _SIZES:
        yield layout(dtype, (side**2,)), (0,)
    plane = layout(dtype, (side, side))
    yield from ((plane, axes) for axes in ((0,), (1,), (0, 1)))


def _operands(dtype: np.dtype, nin: int) -> Iterator[list[Any]]:
    """Kinds of operands as users' arrays have them: contiguous, scalar, strided, broadcast."""
    scalar = {"b": bool, "i": int, "u": int, "c": complex}.get(dtype.kind, float)
    if nin == 1:
        yield [scalar]
    for side in _SIZES:
        line, plane, row = (layout(dtype, shape) for shape in ((side**2,), (side, side), (side,)))
        yield [line] * nin
        yield [layout(dtype, line.shape, (2 * dtype.itemsize,))] * nin
        if nin == 1:
            yield [layout(dtype, plane.shape, (plane.strides[0] * 2, dtype.itemsize))]
        if nin == 2:
            turned = layout(dtype, plane.shape, plane.strides[::-1])
            yield from ([line, scalar], [scalar, line], [plane, turned], [plane, row], [row, plane])


def _compile(
    groups: Sequence[Group], work: Callable[[Source, Sequence[str]], None], threads: int, progress: bool | None
) -> None:
    show = sys.stderr.isatty() if progress is None else progress
    if threads == 1:
        for done, (name, source, names) in enumerate(groups):
            _show(show, done, len(groups), name)
            work(source, names)
    else:
        with ThreadPoolExecutor(threads) as pool:
            futures = {pool.submit(work, source, names): name for name, source, names in groups}
            try:
                for done, future in enumerate(as_completed(futures), 1):
                    future.result()
                    _show(show, done, len(groups), futures[future])
            finally:
                pool.shutdown(cancel_futures=True)
    _show(show, len(groups), len(groups), "")
    if show:
        print(file=sys.stderr)


def _show(show: bool, done: int, count: int, name: str) -> None:
    if show:
        width = 30
        bar = "#" * (width * done // max(count, 1))
        print(f"\rcompiling [{bar:<{width}}] {done}/{count} {name:<16}", end="", file=sys.stderr, flush=True)
