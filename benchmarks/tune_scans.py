"""Times cumulative sums under other values of their policy's parameters: `python -m benchmarks.tune_scans out.json`.

First sums and products along an axis with the parameters as they are, in turn with CuPy and PyTorch where these can be
imported. Then the parameters, each value for the cases that it concerns, with the result compared with the one before.
On a GPU times are those between two events around several calls, whose inputs take turns so that none of them is in
the L2 cache; on the host backend wall-clock times, and the parameters are then tried on launches as for a GPU, which
the CPU emulates. `--small` takes sizes that this can bear. Stops when its time is over (`--budget`). The JSON has every
time in microseconds.
"""

from __future__ import annotations

import dataclasses
import json
import statistics
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

import numpy as np

import cuarray as ca
from benchmarks.tune_reductions import WIDE, Timed, compile_instances, inputs, make_parser
from cuarray import _fast_calls, _plan, _runtime, _tuning
from cuarray._functions import scans
from cuarray._layout import layout

Case = tuple[str, tuple[int, ...], int, str]  # operation, shape, axis, dtype
CASES: tuple[Case, ...] = (
    ("cumsum", (1 << 24,), 0, "float32"),
    ("cumsum", (1_000_000,), 0, "float32"),
    ("cumsum", (1 << 28,), 0, "float32"),
    ("cumsum", (1 << 24,), 0, "float64"),
    ("cumsum", (1 << 24,), 0, "int64"),
    ("cumsum", (1 << 24,), 0, "int32"),
    ("cumsum", (4096, 4096), 1, "float32"),
    ("cumsum", (4096, 4096), 0, "float32"),
    ("cumsum", (100, 1_000_000), 1, "float32"),
    ("cumsum", (100_000, 300), 1, "float32"),
    ("cumsum", (1 << 20, 16), 1, "float32"),
    ("cumsum", (1 << 20, 64), 0, "float32"),
    ("cumsum", (256, 256, 256), 1, "float32"),
    ("cumprod", (1 << 24,), 0, "float32"),
    ("cumsum", (1 << 24,), 0, "float16"),
    ("cumsum", (1 << 24,), 0, "complex64"),
)
# Parameters to try together, and the cases that they decide about: CASES by their numbers.
TILES = (0, 1, 3, 6)
TRIALS: tuple[tuple[dict[str, Any], tuple[int, ...]], ...] = (
    ({"resident": 3}, TILES),
    ({"resident": 5}, TILES),
    ({"threads": 128, "shared_threads": 128, "resident": 8}, TILES),
    ({"shared_threads": 256}, TILES),
    ({"packs": 8, "resident": 2}, TILES),
    ({"packs": 8, "resident": 3}, TILES),
    ({"packs": 2, "resident": 6}, TILES),
    ({"packs": 2, "resident": 8}, TILES),
    ({"shared_threads": 1024}, TILES),
    ({"rows": 1}, (6, 8)),
    ({"rows": 16}, (6, 8)),
    ({"columns": 0.25}, (7, 11, 12)),
    ({"columns": 1.0}, (7, 11, 12)),
    ({"warp_packs": 4}, (9,)),
    ({"warp_packs": 64}, (9,)),
)


def smaller(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of as many axes with some 2**14 elements."""
    return tuple(max(3, round(extent ** (14 / max(14, np.log2(np.prod(shape)))))) for extent in shape)


def forget() -> None:
    """Have the policy asked again: of a call, C++ remembers the launch."""
    scans._prepare_scan.cache_clear()
    _fast_calls.forget(scans._cumulated)


@contextmanager
def changed(parameters: dict[str, Any]) -> Iterator[None]:
    """Plans with other parameters; on the host backend those for a GPU."""
    base, own = _tuning.SCAN, scans._runtime
    runtime = _runtime.get()
    _tuning.SCAN = dataclasses.replace(base, **parameters)
    if runtime.host_is_device:
        wide = SimpleNamespace(
            target=WIDE, allocate=runtime.allocate, allocate_scratch=runtime.allocate_scratch, load=runtime.load
        )
        scans._runtime = SimpleNamespace(get=lambda: wide)  # type: ignore[assignment]
    forget()
    try:
        yield
    finally:
        _tuning.SCAN, scans._runtime = base, own
        forget()


def compile_all() -> None:
    """All kernels that are going to be timed, on all cores: one after the other they would take most of the time."""
    runtime = _runtime.get()
    wanted: dict[Any, None] = {}
    for parameters, numbers in (({}, range(len(CASES))), *TRIALS):
        with changed(parameters):
            for name, shape, axis, dtype in (CASES[number] for number in numbers):
                source = layout(np.dtype(dtype), shape)
                out = layout(getattr(np, name)(np.empty(0, dtype)).dtype, shape)
                functor = {"cumsum": "Sum", "cumprod": "Prod"}[name]
                plan = _plan.scan(runtime.target, functor, 32, source, out, axis, out.dtype)
                wanted |= {
                    (_runtime.builtin_source(own.instance.header), own.instance.name): None for own in plan.stages
                }
    compile_instances(wanted)


def caller(library: str, module: Any, name: str, axis: int) -> Callable[[Any], Any]:
    """A library's function of one array."""
    function = getattr(module, name)
    return (lambda x: function(x, dim=axis)) if library == "torch" else (lambda x: function(x, axis))


class Run(Timed):
    """The scans."""

    def time(self, library: str, case: Case, parameters: dict[str, Any]) -> tuple[float, Any]:
        """Microseconds of a case, and its result; the case has a row then."""
        name, full, axis, dtype = case
        module, wait = self.libraries[library]
        shape = smaller(full) if self.small else full
        arrays = inputs(library, module, shape, np.dtype(dtype), False, self.clock)
        call = caller(library, module, name, axis)
        us = self.clock(lambda i: call(arrays[i % len(arrays)]), wait)
        result = call(arrays[0])
        nbytes = 2 * int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.rows.append({
            "library": library, "operation": name, "shape": shape, "axis": axis, "dtype": dtype, "bytes": nbytes,
            "us": round(us, 2), "parameters": parameters,
        })  # fmt: skip
        return us, result

    def case(self, case: Case) -> None:
        """In all libraries; cuarray's result is checked."""
        found = []
        for library in self.libraries:
            us, result = self.time(library, case, {})
            found.append(f"{us:.1f}")
            if library == "cuarray":
                self.check(case, result)
            del result
            ca.cuda.trim()
        print(f"  {case[0]} {case[1]} {case[2]} {case[3]}: {'  '.join(found)}", flush=True)

    def check(self, case: Case, result: Any) -> None:
        """Compare with NumPy's in float64 where that takes no long time, else the last items with sums and products."""
        name, _, axis, dtype = case
        array = inputs("cuarray", ca, result.shape, np.dtype(dtype), False, self.clock)[0]
        with np.errstate(all="ignore"):
            if result.size <= 1 << 20:
                wide = {"f": np.float64, "c": np.complex128}.get(np.dtype(dtype).kind)
                exact = getattr(np, name)(np.asarray(array), axis, dtype=wide).astype(result.dtype)
            else:
                exact = np.asarray({"cumsum": ca.sum, "cumprod": ca.prod}[name](array, axis))
                result = result[(slice(None),) * axis + (-1,)]
            if not np.allclose(np.asarray(result), exact, rtol=1e-3, equal_nan=True):
                raise AssertionError(f"{case}: another result than NumPy's")

    def trial(self, parameters: dict[str, Any], number: int) -> float | None:
        """The time with other parameters by that with those that are there, which is taken before and after it."""
        taken, expected = [], None
        for own in ({}, parameters, {}):
            if self.is_over:
                return None
            with changed(own):
                us, result = self.time("cuarray", CASES[number], own or {"as": "it is"})
            taken.append(us)
            expected = result if expected is None else expected
            if not ca.allclose(result, expected, rtol=1e-5, atol=0, equal_nan=True):
                raise AssertionError(f"{CASES[number]} with {parameters}: another result")
        return taken[1] / statistics.mean((taken[0], taken[2]))


def main() -> None:
    """The command."""
    options = make_parser("tune_scans", __doc__, seconds=0.03, budget=60).parse_args()
    run = Run(options)
    if run.clock.on_gpu:
        compile_all()
    print(f"microseconds: {', '.join(run.libraries)}")
    for case in CASES:
        if not run.is_over:
            run.case(case)
    print("time by that with the parameters as they are")
    for parameters, numbers in TRIALS:
        ratios = {number: run.trial(parameters, number) for number in numbers}
        shown = [f"{'x'.join(map(str, CASES[n][1]))} {CASES[n][3]} {ratio:.2f}" for n, ratio in ratios.items() if ratio]
        if shown:
            print(
                f"  {', '.join(f'{key}={value}' for key, value in parameters.items())}: {'  '.join(shown)}", flush=True
            )
    if run.is_over:
        print("  the time was over before all was timed")
    with open(options.json, "w") as file:
        found = {"parameters": dataclasses.asdict(_tuning.SCAN), "device": _runtime.get().device_name()}
        json.dump(found | {"rows": run.rows}, file, indent=1)


if __name__ == "__main__":
    main()
