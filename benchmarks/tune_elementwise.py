"""What to put into ``_tuning.ELEMENTWISE``: ``python -m benchmarks.tune_elementwise --json F``.

Times the kernels of elementwise operations with other policies than the default one: bytes in flight, threads of a
block, a tile a block or a few waves, cache hints, tiles in shared memory, code once or for each item. A policy changes
one thing, or two that go together. The operations are limited by memory; a rate is what must be read and written over
the median time between two events around a few launches. Inputs change from launch to launch, so that none is in the L2
cache. Every result is compared with the default policy's. Stops when its time is over; on the CPU it is a smoke test of
small sizes, on which the rates mean nothing.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

import cuarray as ca
from benchmarks.runner import find_commit
from cuarray import _plan, _runtime, _tuning
from cuarray._launch import Prepared
from cuarray._plan import Operand
from cuarray._tuning import ElementwisePolicy, Target

ARRAY_BYTES = 1 << 28  # of the widest array of an operation: five times the L2 cache of an H100
CPU_ARRAY_BYTES = 1 << 16
CPU_TARGET = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)
SETS = 2  # of inputs, in turn
LAUNCHES, ROUNDS = 2, 7


class Work(NamedTuple):
    """An operation on arrays of some layout; the shape is square where it has two axes."""

    name: str
    functor: str
    out: str
    inputs: tuple[str, ...]  # dtypes; "=" before one that is a scalar
    views: tuple[Callable[[Any], Any], ...] = ()  # of the inputs; of one axis if there are none
    spread: int = 1  # elements of the input's memory that one of its elements takes


def same(x: Any) -> Any:
    return x


def turned(x: Any) -> Any:
    return x.T


def binary(dtype: str) -> Work:
    return Work(f"add {dtype}", "Add", dtype, (dtype, dtype))


WORKS = (
    *map(binary, ("float32", "int8", "float16", "float64", "complex128")),
    Work("copy float32", "Identity", "float32", ("float32",)),
    Work("copy int8", "Identity", "int8", ("int8",)),
    Work("exp float32", "Exp", "float32", ("float32",)),
    Work("exp float16", "Exp", "float16", ("float16",)),
    Work("less float32", "Less", "bool", ("float32", "float32")),
    Work("int8 to float32", "Identity", "float32", ("int8",)),
    Work("where float32", "Where", "float32", ("bool", "float32", "=float32")),
    Work("row + column", "Add", "float32", ("float32", "float32"), (lambda x: x[:1], lambda x: x[:, :1])),
    Work("x + row", "Add", "float32", ("float32", "float32"), (same, lambda x: x[0])),
    Work("odd rows", "Add", "float32", ("float32", "float32"), (lambda x: x[:, 1:], lambda x: x[:, :-1])),
    Work("every second", "Add", "float32", ("float32", "float32"), (lambda x: x[:, ::2], lambda x: x[:, ::2]), 2),
    Work("x + y.T", "Add", "float32", ("float32", "float32"), (same, turned)),
    Work("copy x.T", "Identity", "float32", ("float32",), (turned,)),
    Work("copy x.T int8", "Identity", "int8", ("int8",), (turned,)),
    Work("copy x.T complex128", "Identity", "complex128", ("complex128",), (turned,)),
)


def policies(work: Work) -> Iterator[tuple[str, dict[str, Any]]]:
    """What to try, the most promising first."""
    yield "default", {}
    tiles = turned in work.views
    for threads, flight in itertools.product((256, 128, 512), (16, 32, 64, 128)):
        if not tiles and (threads, flight) != (256, 64):
            yield f"{threads} threads, {flight} B", {"threads": threads, "bytes_in_flight": flight}
    if tiles:
        for threads, items in itertools.product((256, 128, 512), (1024, 2048, 4096)):
            yield f"{threads} threads, tiles of {items}", {"threads": threads, "tile_items": ((16, items),)}
    for loads, stores in ((1, 0), (2, 0), (0, 1), (1, 1), (2, 1)):
        yield f"loads {loads}, stores {stores}", {"loads": loads, "stores": stores}
    for waves in (1, 4):
        yield f"{waves} waves", {"waves": waves}
    if work.views and not tiles:
        for items in (1, 2, 8):
            yield f"{items} items", {"most_items": items, "bytes_in_flight": 128}
    if work.functor in _tuning.ELEMENTWISE.rolled:
        yield "unrolled", {"rolled": frozenset()}


class Launch(NamedTuple):
    """A launch with its arguments."""

    prepared: Prepared
    words: tuple[int, ...]
    what: tuple[str, tuple[int, int, int]]  # the instance and the grid

    def __call__(self) -> None:
        self.prepared.launch(*self.words)


def bits(dtype: np.dtype, size: int, rng: Any) -> ca.CuArray:
    """An array of random bits, bools excepted."""
    if dtype.kind == "b":
        return rng.random(size, np.float32) > 0.5
    words = rng.random(max(1, size * dtype.itemsize // 4), np.float32)
    return words.view(dtype)[:size]


def make_inputs(work: Work, array_bytes: int, rng: Any) -> tuple[list[list[Any]], int]:
    """Sets of inputs, None for a scalar, and the bytes that must be read of them."""
    widest = max(np.dtype(name.lstrip("=")).itemsize for name in (work.out, *work.inputs))
    size = array_bytes // widest
    side = 1 << (size.bit_length() // 2)
    sets: list[list[Any]] = []
    moved = 0
    for number in range(SETS):
        operands: list[Any] = []
        for name, view in itertools.zip_longest(work.inputs, work.views, fillvalue=same):
            if name.startswith("="):
                operands.append(None)
                continue
            whole = bits(np.dtype(name), side * side if work.views else size, rng)
            operands.append(view(whole.reshape(side, side)) if work.views else whole)
            if number == 0:
                moved += operands[-1].nbytes * (work.spread if operands[-1].size > side else 1)
        sets.append(operands)
    return sets, moved


def make_launches(target: Target, work: Work, sets: list[list[Any]], outs: list[ca.CuArray]) -> list[Launch]:
    """A launch for each set of inputs, by the policy that is set."""
    launches = []
    for operands, out in zip(sets, outs, strict=True):
        loops = [np.dtype(name.lstrip("=")) for name in work.inputs]
        plan = _plan.elementwise(
            target,
            f"ca::ops::{work.functor}",
            out._layout,
            loops[0] if work.functor == "Identity" else out.dtype,
            [Operand(None if x is None else x._layout, loop) for x, loop in zip(operands, loops, strict=True)],
        )
        words = (out._pointer, *(0 if x is None else x._pointer for x in operands))
        launches.append(Launch(Prepared(plan), words, (plan.instance.name, plan.grid)))
    return launches


def median_seconds(launches: list[Launch]) -> float:
    """Of a launch, by events around a few of them; warmed up."""
    turn = itertools.cycle(launches)
    for _ in range(len(launches)):
        next(turn)()
    times = []
    for _ in range(ROUNDS):
        start, end = ca.cuda.Event(), ca.cuda.Event()
        start.record()
        for _ in range(LAUNCHES):
            next(turn)()
        end.record()
        end.synchronize()
        times.append((end - start) / 1e3 / LAUNCHES)
    return statistics.median(times)


def run(array_bytes: int, target: Target, seconds: float) -> Iterator[dict[str, Any]]:
    """Rows of results, work by work."""
    default: ElementwisePolicy = _tuning.ELEMENTWISE
    start = perf_counter()
    for number, work in enumerate(WORKS):
        end = start + seconds * (number + 1) / len(WORKS)  # what one does not use, the next ones have
        rng = ca.random.default_rng(number)
        sets, moved = make_inputs(work, array_bytes, rng)
        shapes = [tuple(x.shape for x in operands if x is not None) for operands in sets]
        outs = [ca.zeros(np.broadcast_shapes(*own), work.out) for own in shapes]
        moved += outs[0].nbytes
        expected, seen = None, set()
        for name, changed in policies(work):
            if perf_counter() > end and expected is not None:
                print(f"{work.name}: no time for {name!r} and what follows", file=sys.stderr)
                break
            _tuning.ELEMENTWISE = dataclasses.replace(default, **changed)
            try:
                launches = make_launches(target, work, sets, outs)
                if launches[0].what in seen:
                    continue  # as another policy
                seen.add(launches[0].what)
                time = median_seconds(launches)
            finally:
                _tuning.ELEMENTWISE = default
            result = outs[0].view(np.uint8)
            if expected is None:
                expected = result.copy()
            elif not bool((result == expected).all()):
                raise AssertionError(f"{work.name}, {name}: the result is another one")
            outs[0][...] = 0  # what is not written next time is noticed
            yield {"work": work.name, "policy": name, "seconds": time, "bytes": moved, "instance": launches[0].what[0]}


def device_copy_rate(array_bytes: int) -> float | None:
    """Bytes a second that the driver's own copy on the device reads and writes; None where there is no GPU."""
    if not ca.cuda.is_available():
        return None
    from cuda.bindings import driver

    source, target = ca.ones(array_bytes, np.uint8), ca.zeros(array_bytes, np.uint8)
    times = []
    for _ in range(2 * ROUNDS):
        start, end = ca.cuda.Event(), ca.cuda.Event()
        start.record()
        for _ in range(LAUNCHES):
            (error,) = driver.cuMemcpyDtoDAsync(target._pointer, source._pointer, array_bytes, 0)
            assert int(error) == 0, error
        end.record()
        end.synchronize()
        times.append((end - start) / 1e3 / LAUNCHES)
    return 2 * array_bytes / statistics.median(times)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_elementwise", description=__doc__)
    parser.add_argument("--json", required=True, type=Path, metavar="F", help="where to write the results")
    parser.add_argument("--seconds", type=float, default=80, help="when to stop (default: 80)")
    options = parser.parse_args()
    on_gpu = ca.cuda.is_available()
    array_bytes = ARRAY_BYTES if on_gpu else CPU_ARRAY_BYTES
    target = _runtime.get().target if on_gpu else CPU_TARGET
    copy = device_copy_rate(array_bytes)
    rows = list(run(array_bytes, target, options.seconds))
    machine = {"device": _runtime.get().device_name(), "commit": find_commit(), "target": dataclasses.asdict(target)}
    options.json.write_text(json.dumps({**machine, "device_copy_rate": copy, "rows": rows}, indent=1))
    print(f"{machine['device']}: GB/s; the device's copy: {f'{copy / 1e9:.0f}' if copy else 'none'}")
    for work, group in itertools.groupby(rows, key=lambda row: row["work"]):
        rates = sorted(((row["bytes"] / row["seconds"] / 1e9, row["policy"]) for row in group), reverse=True)
        usual = next(rate for rate, policy in rates if policy == "default")
        best = "  ".join(f"{rate:.0f} ({policy})" for rate, policy in rates[:4])
        print(f"{work:20} default {usual:6.0f}  best {best}  worst {rates[-1][0]:.0f} ({rates[-1][1]})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
