"""Times reductions under other values of their policy's parameters: `python -m benchmarks.tune_reductions out.json`.

Twelve shapes and axes by six operations with the parameters as they are, in turn with CuPy and PyTorch where these can
be imported; then the parameters one by one, each value for the cases that it concerns. On a GPU times are those between
two events around several calls, whose inputs take turns so that none of them is in the L2 cache; on the host backend
wall-clock times. `--small` takes sizes that the host's tests can bear. The JSON has every time in microseconds.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import statistics
import time
from collections.abc import Callable
from typing import Any

import numpy as np

import cuarray as ca
from cuarray import _fast_calls, _runtime, _tuning
from cuarray._functions import _reduction

OPERATIONS = ("sum", "max", "argmax", "mean", "var", "any")
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
)
# Values to try, and a case that each parameter decides about: a shape of SHAPES by its number.
TRIALS: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "blocks": ((2, 4, 8, 16), (1, 2, 3, 7, 8, 11)),
    "items": ((8, 16, 32), (1, 7, 11)),
    "lanes_most": ((64, 1024, 4096), (9,)),
    "loads": ((1, 2, 4), (9,)),
    "flat_most": ((8, 64), (8,)),
    "rows": ((4, 8, 16, 32), (3, 6, 10)),
}
L2_BYTES = 256 << 20  # more than any L2 cache has: inputs take turns until they are so many bytes


def smaller(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of as many axes with some 2**16 elements."""
    return tuple(max(3, round(extent ** (16 / max(16, np.log2(np.prod(shape)))))) for extent in shape)


class Clock:
    """Microseconds a call, the least of some rounds."""

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
        return min(times)

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


def forget() -> None:
    """Have the policy asked again: of a call, C++ remembers the launch."""
    _reduction._prepare.cache_clear()
    _fast_calls.forget(_reduction.reduce)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_reductions", description=__doc__.split("\n")[0])
    parser.add_argument("json")
    parser.add_argument("--small", action="store_true")
    parser.add_argument("--seconds", type=float, default=0.06, help="for one case and library (default: %(default)s)")
    parser.add_argument("--dtypes", default="float32", help="of all shapes, separated by commas (default: %(default)s)")
    options = parser.parse_args()
    clock = Clock(options.seconds)
    libraries: dict[str, tuple[Any, Callable[[], None]]] = {"cuarray": (ca, ca.cuda.synchronize)}
    if clock.on_gpu:
        libraries |= others()
    rows: list[dict[str, Any]] = []
    base = _tuning.REDUCE
    for dtype in map(np.dtype, options.dtypes.split(",")):
        print(f"{dtype}, GB/s: {', '.join(libraries)}")
        for number, (full, axis) in enumerate(SHAPES):
            shape = smaller(full) if options.small else full
            for kind in ((name for name in OPERATIONS if name != "any"), ("any",)):
                names = [name for name in kind if not (name == "argmax" and isinstance(axis, tuple))]
                nbytes = int(np.prod(shape)) * dtype.itemsize
                found: dict[str, list[str]] = {name: [] for name in names}
                for library, (module, wait) in libraries.items():
                    arrays = inputs(library, module, shape, dtype, names == ["any"], clock)  # of zeros all is read
                    for name in names:
                        call = caller(library, module, name, axis)
                        microseconds = clock(lambda i, call=call, arrays=arrays: call(arrays[i % len(arrays)]), wait)
                        found[name].append(f"{nbytes / microseconds / 1e3:.0f}")
                        rows.append(row(library, name, shape, axis, dtype, nbytes, microseconds, {}))
                        if library == "cuarray":
                            rows += trials(clock, number, name, shape, axis, dtype, nbytes, call, arrays, base)
                    del arrays
                    ca.cuda.trim()
                line = [f"{name} {'/'.join(numbers)}" for name, numbers in found.items()]
                print(f"  {shape} {axis}: {'  '.join(line)}", flush=True)
    report(rows)
    with open(options.json, "w") as file:
        json.dump(
            {"parameters": dataclasses.asdict(base), "device": _runtime.get().device_name(), "rows": rows},
            file,
            indent=1,
        )


def trials(
    clock: Clock,
    number: int,
    name: str,
    shape: tuple[int, ...],
    axis: Any,
    dtype: np.dtype,
    nbytes: int,
    call: Callable[[Any], Any],
    arrays: list[Any],
    base: _tuning.ReduceParameters,
) -> list[dict[str, Any]]:
    """The same case under other parameters."""
    rows: list[dict[str, Any]] = []
    if name not in ("sum", "argmax", "var"):
        return rows
    for parameter, (values, numbers) in TRIALS.items():
        for value in values if number in numbers else ():
            if value == getattr(base, parameter):
                continue
            _tuning.REDUCE = dataclasses.replace(base, **{parameter: value})
            forget()
            try:
                microseconds = clock(lambda i: call(arrays[i % len(arrays)]), ca.cuda.synchronize)
            finally:
                _tuning.REDUCE = base
                forget()
            rows.append(row("cuarray", name, shape, axis, dtype, nbytes, microseconds, {parameter: value}))
    return rows


def row(
    library: str, name: str, shape: tuple[int, ...], axis: Any, dtype: np.dtype, nbytes: int, microseconds: float,
    parameters: dict[str, int],
) -> dict[str, Any]:  # fmt: skip
    """One line of the JSON."""
    return {
        "library": library,
        "operation": name,
        "shape": shape,
        "axis": axis,
        "dtype": str(dtype),
        "bytes": nbytes,
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
    """What another value of a parameter does: the time divided by that with the values as they are."""
    base = {
        (r["operation"], r["shape"], str(r["axis"]), r["dtype"]): r["us"]
        for r in rows
        if r["library"] == "cuarray" and not r["parameters"]
    }
    ratios: dict[str, list[float]] = {}
    for own in rows:
        for parameter, value in own["parameters"].items():
            key = own["operation"], own["shape"], str(own["axis"]), own["dtype"]
            ratios.setdefault(f"{parameter}={value}", []).append(own["us"] / base[key])
    for name, found in ratios.items():
        print(f"  {name}: {statistics.geometric_mean(found):.3f} ({min(found):.3f} to {max(found):.3f})")


if __name__ == "__main__":
    main()
