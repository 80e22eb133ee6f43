"""Products whose kernels are chosen by measurement, and what was chosen, on disk beside the compiled kernels."""

from __future__ import annotations

import contextlib
import functools
import hashlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar
from pathlib import Path

from cuarray import _plan, _runtime
from cuarray._launch import Prepared
from cuarray._plan import Choice, Product
from cuarray._tuning import Target

_FORMAT = "tuned products 1"
_SECONDS = 0.02  # for each candidate, after it has run once

_active: ContextVar[bool] = ContextVar("cuarray's autotune", default=False)
when_entered: list[Callable[[], None]] = []
_known: dict[bytes, Choice | None] = {}  # by the key on disk; None: nothing is stored there


def autotune() -> AbstractContextManager[None]:
    """Have the kernels of products chosen by measurement in a ``with`` statement.

    A product of matrices that is met there for the first time (by dtypes, layouts and rounded extents) is computed by
    every kernel that can, some times each, and the fastest one computes products like it from then on, in later
    processes, too: choices are kept in cuarray's cache (`CUARRAY_CACHE_DIR`). Results may differ in the last digits
    from those of the kernels that were used before. It counts in this thread, or asynchronous task, only. On the CPU
    there is nothing to choose from.

    >>> import cuarray as ca
    >>> x = ca.ones((64, 64), "float32")
    >>> with ca.autotune():
    ...     y = x @ x
    """
    return _within()


@contextlib.contextmanager
def _within() -> Iterator[None]:
    for callback in when_entered:
        callback()  # calls that C++ repeats would not come by here
    token = _active.set(True)
    try:
        yield
    finally:
        _active.reset(token)


def is_active() -> bool:
    """Whether products are to be tuned here and now."""
    return _active.get()


def find(target: Target, of: Product) -> Choice | None:
    """What was found to be the fastest for products like this one, in this process or an earlier one."""
    if not _plan.has_choice(target):
        return None
    key = _key(target, of)
    if key not in _known:
        stored = _runtime.get().stored(key)
        _known[key] = None if stored is None else Choice(stored["family"], stored["configuration"])
    return _known[key]


def tune(of: Product, pointers: tuple[int, int, int, int]) -> bool:
    """Time the candidates for a product of arrays at these addresses (out, a, b, c), whose values are ready; whether
    there is now a choice that was not there before."""
    runtime = _runtime.get()
    target = runtime.target
    if find(target, of) is not None or runtime.stream in runtime.captures or not _plan.has_choice(target):
        return False
    key = _key(target, of)
    times = {choice: _time(_plan.matmul(target, of, choice), pointers) for choice in _plan.choices(target, of)}
    if not times:
        return False
    best = min(times, key=times.__getitem__)
    _known[key] = best
    runtime.store(key, best._asdict())
    return True


def _time(plan: _plan.MatmulPlan, pointers: tuple[int, int, int, int]) -> float:
    """Seconds that the launches of a plan take."""
    from cuarray._timing import Sampler, measure

    runtime = _runtime.get()
    launches = [Prepared(launch) for launch in plan.launches]
    scratch = runtime.allocate_scratch(plan.scratch_bytes)

    def run(count: int) -> None:
        for _ in range(count):
            for prepared in launches:
                prepared.launch(*pointers, scratch.pointer)

    (timing,) = measure([Sampler(run, runtime.synchronize, not runtime.host_is_device)], _SECONDS)
    return timing.minimum if timing.device is None else timing.device


def _key(target: Target, of: Product) -> bytes:
    """What a choice is stored under: the class of the product, the machine, and the kernels that there are."""
    parts = (_FORMAT, _runtime.get().tuned_for, target, _kernels(), product_class(of))
    return hashlib.sha256(repr(parts).encode()).digest()


@functools.cache
def _kernels() -> str:
    digest = hashlib.sha256()
    folder = Path(__file__).parent
    for path in sorted([*(folder / "kernels").glob("matmul*.cuh"), *(folder / "_plan").glob("_matmul*.py")]):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def product_class(of: Product) -> tuple[object, ...]:
    """What products have in common that one kernel is chosen for."""
    return (
        str(of.dtype),
        str(of.out_dtype),
        *map(_rounded, (of.batches, of.m, of.n, of.k)),
        *(_walk(strides, of.dtype.itemsize) for strides in (of.a, of.b, of.c)),
        all(of.a_batch),
        all(of.b_batch),
        of.aligned,
        of.precision,
        of.epilogue and (of.epilogue.function, of.epilogue.added),
    )


def _rounded(extent: int) -> int:
    """Up to four significant bits."""
    shift = max(extent.bit_length() - 4, 0)
    return -(-extent >> shift) << shift


def _walk(strides: tuple[int, int], itemsize: int) -> str:
    """How a matrix lies: which of its axes is contiguous, and whether the lines begin at multiples of 16 bytes."""
    row, column = strides
    if column == itemsize:
        return "rows of 16 bytes" if row % 16 == 0 else "rows"
    if row == itemsize:
        return "columns of 16 bytes" if column % 16 == 0 else "columns"
    return f"{'repeated' if 0 in strides else 'steps'}"
