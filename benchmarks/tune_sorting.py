"""Times sorting under other values of its parameters: `python -m benchmarks.tune_sorting out.json`.

First functions that sort, in turn with CuPy and PyTorch where these can be imported, each result compared with NumPy's.
Then what each launch of a sort takes, and sorts by the kernels for blocks of many threads with other parameters
(SortParameters in cuarray/_tuning.py), compared with the first ones. On a GPU times are medians of those between two
events around several calls, whose inputs take turns so that none of them is in the L2 cache; on the host backend
wall-clock times. `--small` takes sizes that the host's tests can bear. Stops when its time is over (`--budget`). The
JSON has every time in microseconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import statistics
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

import cuarray as ca
from benchmarks.tune_reductions import L2_BYTES, WIDE, Clock, make_parser, others
from cuarray import _plan, _runtime, _tuning
from cuarray._launch import Prepared

SIZES = (1_000_000, 1 << 24)
SMALL_SIZES = (5_000, 20_000)
# Functions, and dtypes of their arrays: random floats of a normal distribution, integers of which all bits vary.
CASES = (
    ("sort", "float32"),
    ("sort", "int32"),
    ("argsort", "float32"),
    ("unique", "int32"),
    ("topk", "float32"),
    ("median", "float32"),
    ("sort", "float64"),
    ("sort", "int16"),
)
TOP = 100
# What to try: registers decide how many items a thread can hold, so that some values go together.
TRIALS: tuple[dict[str, Any], ...] = (
    {},
    {"resident": 4, "spare": 30},
    {"resident": 4},
    {"items": 8, "resident": 4},
    {"items": 20, "spare": 36},
    {"resident": 2, "items": 22},
    {"threads": 384, "resident": 2},
    {"threads": 512, "resident": 1},
    {"threads": 512, "resident": 2, "spare": 30},
    {"reads": 2},
    {"reads": 4},
    {"reads": 16},
    {"ballots": False},
    {"count_threads": 256},
    {"count_blocks": 2},
    {"count_loads": 4},
    {"count_loads": 16},
)


class MedianClock(Clock):
    """Microseconds a call, the median of some rounds."""

    chosen = staticmethod(statistics.median)


@contextmanager
def parameters(changed: dict[str, Any]) -> Iterator[None]:
    """Plans are made with these parameters of sorting."""
    base = _tuning.SORT
    _tuning.SORT = dataclasses.replace(base, **changed)
    try:
        yield
    finally:
        _tuning.SORT = base


@functools.cache
def drawn(dtype: np.dtype, n: int, seed: int) -> np.ndarray:
    """What is sorted."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "f":
        return rng.standard_normal(n, np.float32).astype(dtype)
    info = np.iinfo(dtype)
    return rng.integers(info.min, info.max, n, dtype, endpoint=True)


class Library(NamedTuple):
    """How a library is called."""

    array: Callable[[np.ndarray], Any]
    functions: dict[str, Callable[[Any], Any]]
    wait: Callable[[], None]


def libraries(on_gpu: bool) -> dict[str, Library]:
    """Those that are there, cuarray first."""
    found = {"cuarray": Library(ca.array, {
        "sort": ca.sort, "argsort": ca.argsort, "unique": ca.unique, "median": ca.median,
        "topk": lambda x: ca.topk(x, TOP).values,
    }, ca.cuda.synchronize)}  # fmt: skip
    for name, (module, wait) in (others() if on_gpu else {}).items():
        if name == "cupy":
            functions = {
                "sort": module.sort, "argsort": module.argsort, "unique": module.unique, "median": module.median,
                "topk": lambda x, own=module: own.sort(own.partition(x, -TOP)[-TOP:])[::-1],
            }  # fmt: skip
            found[name] = Library(module.asarray, functions, wait)
        else:
            functions = {
                "sort": lambda x, own=module: own.sort(x).values, "argsort": module.argsort, "unique": module.unique,
                "median": module.median, "topk": lambda x, own=module: own.topk(x, TOP).values,
            }  # fmt: skip
            found[name] = Library(lambda x, own=module: own.from_numpy(x).cuda(), functions, wait)
    return found


EXPECTED: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "sort": np.sort,
    "argsort": lambda x: np.argsort(x, kind="stable"),
    "unique": np.unique,
    "topk": lambda x: np.sort(np.partition(x, -TOP)[-TOP:])[::-1],
    "median": np.median,
}


@functools.cache
def expected(function: str, dtype: np.dtype, n: int) -> np.ndarray:
    """NumPy's result for the first of the arrays."""
    return np.asarray(EXPECTED[function](drawn(dtype, n, 0)))


class Planned(NamedTuple):
    """A sort by the kernels for blocks of many threads, ready to be launched."""

    launches: tuple[Prepared, ...]
    scratch: ca.CuArray

    def run(self, x: ca.CuArray, out: ca.CuArray, indices: bool, first: int | None = None) -> None:
        """All launches, or the first ones."""
        pointers = (0, x._pointer, self.scratch._pointer, out._pointer)
        for launch in self.launches[:first]:
            launch.launch(*(pointers if indices else (out._pointer, *pointers[1:3], 0)))


class Run:
    """What is timed: how long, and what was found."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.clock = MedianClock(options.seconds)
        self.end = time.perf_counter() + options.budget
        self.sizes = SMALL_SIZES if options.small else SIZES
        self.target = _runtime.get().target if self.clock.on_gpu else WIDE
        self.rows: list[dict[str, Any]] = []

    @property
    def is_over(self) -> bool:
        return time.perf_counter() > self.end

    def count(self, n: int, dtype: np.dtype) -> int:
        """Arrays that take turns."""
        return max(1, min(8, L2_BYTES // (n * dtype.itemsize))) if self.clock.on_gpu else 1

    def cases(self) -> None:
        """All functions, in all libraries."""
        known = libraries(self.clock.on_gpu)
        print(f"us at n={', '.join(map(str, self.sizes))}: {', '.join(known)}")
        for function, kind in CASES:
            dtype, line = np.dtype(kind), []
            for n in self.sizes:
                hosts = [drawn(dtype, n, seed) for seed in range(self.count(n, dtype))]
                for name, library in known.items():
                    if self.is_over:
                        return
                    arrays, call = [library.array(host) for host in hosts], library.functions[function]
                    if name == "cuarray":
                        np.testing.assert_array_equal(np.asarray(call(arrays[0])), expected(function, dtype, n))
                    us = self.clock(lambda i, f=call, own=arrays: f(own[i % len(own)]), library.wait)
                    self.note(name, function, dtype, n, us, {})
                    line.append(f"{us:.0f}")
                line.append("|")
            print(f"  {function} {kind}: {' / '.join(line[:-1]).replace(' / | / ', '  |  ')}", flush=True)

    def trials(self, dtype: np.dtype, indices: bool) -> None:
        """Sorts of one dtype with other parameters, beside the times with those that are there."""
        function = "argsort" if indices else "sort"
        print(f"  {function} {dtype} by launches, then with other parameters:")
        plans: list[list[_plan.SortPlan]] = []
        for changed in TRIALS:
            with parameters(changed):
                plans.append([_plan.sort(self.target, dtype, 1, n, not indices, indices) for n in self.sizes])
        wanted = {plan.instance: plan for own in plans for one in own for plan in one.launches}
        with ThreadPoolExecutor() as pool:
            list(pool.map(Prepared, wanted.values()))  # compiled side by side
        for number, n in enumerate(self.sizes):
            arrays = [ca.array(drawn(dtype, n, seed)) for seed in range(self.count(n, dtype))]
            out = ca.empty(n, np.int64 if indices else dtype)
            found: list[str] = []
            base = 0.0
            for changed, own in zip(TRIALS, plans, strict=True):
                if self.is_over:
                    return
                plan = own[number]
                ready = Planned(tuple(map(Prepared, plan.launches)), ca.empty(plan.scratch_bytes, np.uint8))
                out[...] = 0
                ready.run(arrays[0], out, indices)
                if not np.array_equal(np.asarray(out), expected(function, dtype, n)):
                    raise AssertionError(f"{function} of {n} {dtype} with {changed}: the result is another one")
                us = self.timed(ready, arrays, out, indices)
                self.note("cuarray", f"{function} (launches)", dtype, n, us, changed)
                if not changed:
                    base = us
                    firsts = range(1, len(ready.launches))
                    parts = [self.timed(ready, arrays, out, indices, first) for first in firsts] + [us]
                    parts = [after - before for before, after in zip([0.0, *parts], parts)]
                    print(f"    n={n}: {us:.0f} us: {', '.join(f'{part:.1f}' for part in parts)}")
                else:
                    shown = ", ".join(f"{key}={value}" for key, value in changed.items())
                    found.append(f"{us / base:.3f} {shown}")
            found.sort()
            for first in range(0, len(found), 4):
                print(f"      {'; '.join(found[first : first + 4])}", flush=True)

    def timed(
        self, ready: Planned, arrays: list[ca.CuArray], out: ca.CuArray, indices: bool, first: int | None = None
    ) -> float:
        return self.clock(lambda i: ready.run(arrays[i % len(arrays)], out, indices, first), ca.cuda.synchronize)

    def note(self, library: str, function: str, dtype: np.dtype, n: int, us: float, changed: dict[str, Any]) -> None:
        """Keep a time."""
        self.rows.append({
            "library": library, "function": function, "dtype": str(dtype), "n": n, "us": round(us, 2),
            "parameters": changed,
        })  # fmt: skip


def main() -> None:
    """The command."""
    options = make_parser("tune_sorting", __doc__, seconds=0.04, budget=60).parse_args()
    run = Run(options)
    run.cases()
    for kind, indices in (("float32", False), ("float32", True)):
        run.trials(np.dtype(kind), indices)
    if run.is_over:
        print("  the time was over before all was timed")
    with open(options.json, "w") as file:
        found = {"parameters": dataclasses.asdict(_tuning.SORT), "device": _runtime.get().device_name()}
        json.dump(found | {"rows": run.rows}, file, indent=1)


if __name__ == "__main__":
    main()
