"""Times reductions under other values of their policy's parameters: `python -m benchmarks.tune_reductions out.json`.

Shapes and axes by six operations with the parameters as they are, in turn with CuPy and PyTorch where these can be
imported, and beside what an earlier JSON has (`--before`); the parameters one by one, each value for the cases that it
concerns, those of columns first; and copies of transposed arrays. On a GPU times are those between two events around
several calls, whose inputs take turns so that none of them is in the L2 cache; on the host backend wall-clock times.
`--small` takes sizes that the host's tests can bear. Stops when its time is over (`--budget`). The JSON has every time
in microseconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import statistics
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

import cuarray as ca
from cuarray import _fast_calls, _plan, _runtime, _tuning
from cuarray._functions import _reduction
from cuarray._launch import Prepared, source_of
from cuarray._layout import layout
from cuarray._tuning import Target

OPERATIONS = ("sum", "max", "argmax", "mean", "var", "any")
TRIED = ("sum", "argmax", "var")  # with other parameters
SHAPES: tuple[tuple[tuple[int, ...], Any], ...] = (
    ((1000,), None),
    ((1_000_000,), None),
    ((1 << 28,), None),
    ((1 << 14, 1 << 14), 0),
    ((1 << 14, 1 << 14), 1),
    ((1 << 14, 1 << 14), None),
    ((10, 1 << 24), 0),
    ((10, 1 << 24), 1),
    ((1 << 24, 10), 0),
    ((1 << 24, 10), 1),
    ((256, 256, 256), 1),
    ((256, 256, 256), (0, 2)),
    ((1 << 22, 64), 1),
)
# The first ones to be timed, which are farthest from what the memory can do, and the parameters that decide about them.
FIRST = (10, 6, 3)
FIRST_TRIALS = ("few_resident", "few_rows", "column_resident", "column_rows", "column_blocks", "column_least", "down")
# Values to try, and the cases that each parameter decides about: shapes of SHAPES by their numbers.
TRIALS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "column_resident": ((1, 3, 4), FIRST),
    "column_rows": ((2, 8), FIRST),
    "few_resident": ((2, 3), (6,)),
    "few_rows": ((8,), (6,)),
    "few_most": ((1,), (6,)),
    "column_blocks": ((4, 16), (10, 3)),
    "column_least": ((16, 64), (10, 3)),
    "down": ((4, 8), (10, 3)),
    "moments_down": ((4, 16), (10, 3)),
    "rows": ((16,), (3, 10)),
    "short_most": ((0,), (9,)),
    "short_blocks": ((2, 3), (9,)),
    "flat_most": ((8,), (8,)),
    "blocks": ((2, 8, 16), (2, 7, 8)),
    "items": ((8, 32), (1, 7)),
    "lanes_most": ((32,), (12,)),
    "loads": ((1, 4), (12,)),
}
# Copies of transposed square arrays, and what to try for them: parameters of ELEMENTWISE.
COPIES = ("float32", "int8", "float16", "float64")
COPY_TRIALS: tuple[dict[str, Any], ...] = (
    {"patches": False},
    {"patches": False, "tile_items": ((16, 1024),)},
    {"patch_bytes": 32},
    {"patch_bytes": 128},
    {"threads": 128},
    {"threads": 512},
    {"stores": 1},
)
L2_BYTES = 256 << 20  # more than any L2 cache has: inputs take turns until they are so many bytes


def smaller(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of as many axes with some 2**16 elements."""
    return tuple(max(3, round(extent ** (16 / max(16, np.log2(np.prod(shape)))))) for extent in shape)


class Clock:
    """Microseconds a call, the least of some rounds."""

    chosen: Callable[[list[float]], float] = staticmethod(min)

    def __init__(self, seconds: float) -> None:
        self.on_gpu = not _runtime.get().host_is_device
        self.seconds = seconds  # for one case

    def __call__(self, call: Callable[[int], Any], synchronize: Callable[[], None]) -> float:
        call(0)  # compiles
        synchronize()
        began, times, calls = time.perf_counter(), [], 1
        while len(times) < 3 or time.perf_counter() - began < self.seconds:
            start = time.perf_counter()
            elapsed = self._batch(call, calls, synchronize)
            if time.perf_counter() - start < self.seconds / 20 and calls < 200:
                calls *= 2
            else:
                times.append(elapsed / calls)
            if len(times) >= 25:
                break
        return self.chosen(times)

    def _batch(self, call: Callable[[int], Any], calls: int, synchronize: Callable[[], None]) -> float:
        if not self.on_gpu:
            start = time.perf_counter()
            for i in range(calls):
                call(i)
            return (time.perf_counter() - start) * 1e6
        first, last = ca.cuda.Event(timing=True), ca.cuda.Event(timing=True)
        first.record()
        for i in range(calls):
            call(i)
        last.record()
        last.synchronize()
        return ca.cuda.elapsed_time(first, last) * 1e3


def inputs(library: str, module: Any, shape: tuple[int, ...], dtype: np.dtype, zeros: bool, clock: Clock) -> list[Any]:
    """Arrays on the device that take turns."""
    nbytes = int(np.prod(shape)) * dtype.itemsize
    count = max(1, min(64, L2_BYTES // nbytes)) if clock.on_gpu else 1
    if library == "torch":
        kind = getattr(module, str(dtype))
        if zeros:
            return [module.zeros(shape, dtype=kind, device="cuda") for _ in range(count)]
        return [(module.rand(shape, device="cuda") * 100).to(kind) for _ in range(count)]
    if zeros:
        return [module.zeros(shape, dtype) for _ in range(count)]
    generator = module.random.default_rng(0)
    return [(generator.random(shape, np.float32) * 100).astype(dtype) for _ in range(count)]


class Timed:
    """What is timed: with which libraries, and how long."""

    def __init__(self, options: argparse.Namespace) -> None:
        self.clock = Clock(options.seconds)
        self.small = options.small
        self.end = time.perf_counter() + options.budget
        self.libraries: dict[str, tuple[Any, Callable[[], None]]] = {"cuarray": (ca, ca.cuda.synchronize)}
        if self.clock.on_gpu:
            self.libraries |= others()
        self.rows: list[dict[str, Any]] = []

    @property
    def is_over(self) -> bool:
        return time.perf_counter() > self.end


class Run(Timed):
    """The reductions, and what an earlier run found."""

    def __init__(self, options: argparse.Namespace) -> None:
        super().__init__(options)
        self.before: dict[Any, float] = {}
        if options.before:
            with open(options.before) as file:
                for own in json.load(file)["rows"]:
                    if not own["parameters"]:
                        self.before[key_of(own)] = own["bytes"] / own["us"] / 1e3

    def case(self, number: int, dtype: np.dtype) -> None:
        """All operations over one shape, in all libraries."""
        full, axis = SHAPES[number]
        shape = smaller(full) if self.small else full
        found: dict[str, list[str]] = {}
        for kind in ([name for name in OPERATIONS if name != "any"], ["any"]):
            names = [name for name in kind if not (name == "argmax" and isinstance(axis, tuple))]
            for library, (module, wait) in self.libraries.items():
                arrays = inputs(library, module, shape, dtype, names == ["any"], self.clock)  # of zeros all is read
                for name in names:
                    if self.is_over:
                        return
                    call = caller(library, module, name, axis)
                    us = self.clock(lambda i, call=call, arrays=arrays: call(arrays[i % len(arrays)]), wait)
                    self.note(found, row(library, name, shape, axis, dtype, us, {}))
                del arrays
                ca.cuda.trim()
        self.show(f"{shape} {axis}", found)

    def copies(self, dtype: np.dtype) -> None:
        """A copy of a transposed array, in all libraries, then under other parameters."""
        shape = (256, 256) if self.small else (1 << 14, 1 << 14)
        found: dict[str, list[str]] = {}
        for library, (module, wait) in self.libraries.items():
            arrays = inputs(library, module, shape, dtype, False, self.clock)
            if library == "torch":
                copy = lambda x: x.T.contiguous()  # noqa: E731
            else:
                copy = lambda x, module=module: module.ascontiguousarray(x.T)  # noqa: E731
            us = self.clock(lambda i, copy=copy, arrays=arrays: copy(arrays[i % len(arrays)]), wait)
            self.note(found, row(library, "copy x.T", shape, None, dtype, us, {}, 2))
        self.show(f"{shape} {dtype}", found)
        base = _tuning.ELEMENTWISE
        target = _runtime.get().target if self.clock.on_gpu else WIDE
        source, out = ca.random.default_rng(0).integers(0, 100, shape).astype(dtype), ca.empty(shape, dtype)
        for changed in COPY_TRIALS:
            if self.is_over:
                return
            _tuning.ELEMENTWISE = dataclasses.replace(base, **changed)
            try:
                operand = _plan.Operand(source.T._layout, dtype)
                prepared = Prepared(_plan.elementwise(target, "ca::ops::Identity", out._layout, dtype, [operand]))
            finally:
                _tuning.ELEMENTWISE = base
            us = self.clock(lambda _, own=prepared: own.launch(out._pointer, source._pointer), ca.cuda.synchronize)
            if not bool((out == source.T).all()):
                raise AssertionError(f"copy of a transposed array of {dtype} with {changed}: the result is another one")
            out[...] = 0
            self.rows.append(row("cuarray", "copy x.T", shape, None, dtype, us, changed, 2))

    def trials(self, parameter: str, dtype: np.dtype) -> None:
        """The cases that a parameter concerns, with other values of it, each checked against what is there."""
        base = _tuning.REDUCE
        values, numbers = TRIALS[parameter]
        for number in numbers:
            full, axis = SHAPES[number]
            shape = smaller(full) if self.small else full
            arrays = inputs("cuarray", ca, shape, dtype, False, self.clock)
            for name in TRIED:
                call = caller("cuarray", ca, name, axis)
                # Around the trials, as clocks and temperatures change; `None` is the value that is there.
                expected = None
                for value in (None, *values, None):
                    if self.is_over:
                        return
                    if value is not None:
                        _tuning.REDUCE = dataclasses.replace(base, **{parameter: value})
                    forget()
                    try:
                        us = self.clock(
                            lambda i, call=call, arrays=arrays: call(arrays[i % len(arrays)]), ca.cuda.synchronize
                        )
                        result = call(arrays[0])
                    finally:
                        _tuning.REDUCE = base
                        forget()
                    expected = result if expected is None else expected
                    if not ca.allclose(result, expected, rtol=1e-5, atol=0):
                        raise AssertionError(f"{name} over axis {axis} of {shape}, {parameter}={value}: another result")
                    self.rows.append(row("cuarray", name, shape, axis, dtype, us, {parameter: value}))
            arrays = []
            ca.cuda.trim()

    def note(self, found: dict[str, list[str]], own: dict[str, Any]) -> None:
        """Keep a row, and its rate for the line to be shown: after that of the earlier run."""
        self.rows.append(own)
        rates = found.setdefault(own["operation"], [])
        if own["library"] == "cuarray":
            before = self.before.get(key_of(own))
            rates.append(f"{before:.0f}" if before else "-")
        rates.append(f"{own['bytes'] / own['us'] / 1e3:.0f}")

    def show(self, what: str, found: dict[str, list[str]]) -> None:
        print(f"  {what}: {'  '.join(f'{name} {chr(47).join(rates)}' for name, rates in found.items())}", flush=True)


WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)


def forget() -> None:
    """Have the policy asked again: of a call, C++ remembers the launch."""
    _reduction._prepare.cache_clear()
    _fast_calls.forget(_reduction.reduce)


def compile_instances(wanted: Iterable[tuple[Any, str]]) -> None:
    """Sources' instances, on all cores: one after the other they would take most of the time."""
    runtime = _runtime.get()
    with ThreadPoolExecutor(runtime.compile_threads) as pool:
        for future in [pool.submit(runtime.compile_ahead, source, [f"&{name}"]) for source, name in wanted]:
            future.result()


def compile_all(dtypes: list[np.dtype]) -> None:
    """All kernels of reductions to be timed, on all cores: one after the other they would take most of the time."""
    runtime, base = _runtime.get(), _tuning.REDUCE
    wanted: dict[Any, None] = {}

    def want(names: tuple[str, ...], number: int) -> None:
        shape, axis = SHAPES[number]
        axes = tuple(range(len(shape))) if axis is None else axis if isinstance(axis, tuple) else (axis,)
        for name, dtype in itertools.product(names, dtypes):
            if name == "argmax" and isinstance(axis, tuple):
                continue
            for plan in _reduction.plans(runtime.target, name, layout(dtype, shape), axes):
                wanted[source_of(plan), plan.instance.name] = None

    for number in range(len(SHAPES)):
        want(OPERATIONS, number)
    for parameter, (values, numbers) in TRIALS.items():
        for value, number in itertools.product(values, numbers):
            _tuning.REDUCE = dataclasses.replace(base, **{parameter: value})
            want(TRIED, number)
    _tuning.REDUCE = base
    compile_instances(wanted)


def make_parser(script: str, description: str | None, *, seconds: float, budget: float) -> argparse.ArgumentParser:
    """What the scripts that time under other parameters have in common."""
    about = (description or "").split("\n")[0]
    parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{script}", description=about)
    parser.add_argument("json")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=seconds, help="for one case, library (default: %(default)s)")
    parser.add_argument("--budget", type=float, default=budget, help="seconds in all (default: %(default)s)")
    return parser


def main() -> None:
    """The command."""
    parser = make_parser("tune_reductions", __doc__, seconds=0.04, budget=85)
    parser.add_argument("--before", metavar="F", help="an earlier JSON, whose rates are shown beside the new ones")
    parser.add_argument("--dtypes", default="float32", help="of all shapes, separated by commas (default: %(default)s)")
    options = parser.parse_args()
    run = Run(options)
    dtypes = [np.dtype(name) for name in options.dtypes.split(",")]
    if run.clock.on_gpu:
        compile_all(dtypes)
    for dtype in dtypes:
        print(f"{dtype}, GB/s: cuarray before and now, {', '.join(list(run.libraries)[1:]) or 'no other library'}")
        for number in FIRST:
            run.case(number, dtype)
        for parameter in FIRST_TRIALS:
            run.trials(parameter, dtype)
    for dtype in dtypes:
        for number in range(len(SHAPES)):
            if number not in FIRST and not run.is_over:
                run.case(number, dtype)
        for parameter in TRIALS:
            if parameter not in FIRST_TRIALS:
                run.trials(parameter, dtype)
    for name in COPIES:
        if not run.is_over:
            run.copies(np.dtype(name))
    if run.is_over:
        print("  the time was over before all was timed")
    report(run.rows)
    with open(options.json, "w") as file:
        found = {"parameters": dataclasses.asdict(_tuning.REDUCE), "device": _runtime.get().device_name()}
        json.dump(found | {"rows": run.rows}, file, indent=1)


def key_of(own: dict[str, Any]) -> Any:
    """Which case a row of the JSON is of."""
    return (
        own["library"],
        own["operation"],
        tuple(own["shape"]),
        str(own["axis"]).replace("[", "(").replace("]", ")"),
        own["dtype"],
    )


def row(
    library: str, name: str, shape: tuple[int, ...], axis: Any, dtype: np.dtype, microseconds: float,
    parameters: dict[str, Any], times: int = 1,
) -> dict[str, Any]:  # fmt: skip
    """One line of the JSON; `times` the array's bytes are read or written."""
    return {
        "library": library,
        "operation": name,
        "shape": shape,
        "axis": axis,
        "dtype": str(dtype),
        "bytes": int(np.prod(shape)) * dtype.itemsize * times,
        "us": round(microseconds, 2),
        "parameters": parameters,
    }


def others() -> dict[str, tuple[Any, Callable[[], None]]]:
    """CuPy and PyTorch, as far as they are there."""
    found: dict[str, tuple[Any, Callable[[], None]]] = {}
    try:
        import cupy

        found["cupy"] = cupy, cupy.cuda.get_current_stream().synchronize
    except ImportError:
        pass
    try:
        import torch

        if torch.cuda.is_available():
            found["torch"] = torch, torch.cuda.synchronize
    except ImportError:
        pass
    return found


def caller(library: str, module: Any, name: str, axis: Any) -> Callable[[Any], Any]:
    """A library's function of one array."""
    if library != "torch":
        return lambda x: getattr(module, name)(x, axis)
    function = getattr(module, {"max": "amax"}.get(name, name))
    if name == "var":
        return lambda x: function(x, dim=axis, correction=0)
    if axis is None and name == "max":
        return lambda x: module.max(x)
    return (lambda x: function(x)) if axis is None else (lambda x: function(x, dim=axis))


def report(rows: list[dict[str, Any]]) -> None:
    """What other values do: the time divided by that with the values as they are, timed before and after them."""
    base: dict[Any, list[float]] = {}
    ratios: dict[str, list[tuple[float, str]]] = {}
    for own in rows:
        if own["library"] == "cuarray" and all(value is None for value in own["parameters"].values()):
            base.setdefault((key_of(own), *own["parameters"]), []).append(own["us"])
    for own in rows:
        if any(value is not None for value in own["parameters"].values()):
            there = base.get((key_of(own), *own["parameters"])) or base.get((key_of(own),))
            if there:
                name = ", ".join(f"{parameter}={value}" for parameter, value in own["parameters"].items())
                case = f"{own['operation']} {own['shape']} {own['axis']} {own['dtype']}"
                ratios.setdefault(name, []).append((own["us"] / statistics.mean(there), case))
    for name, found in ratios.items():
        print(f"  {name}: {statistics.geometric_mean(ratio for ratio, _ in found):.3f}")
        for ratio, case in sorted(found):
            if abs(ratio - 1) > 0.01:
                print(f"    {ratio:.3f} {case}")


if __name__ == "__main__":
    main()
