"""Times concatenations, also with other parameters: `python -m benchmarks.tune_joins out.json`.

First small and large arrays, in turn with CuPy and PyTorch where these can be imported; the results are
checked. Then the same with other parameters, and with a launch for each array ("alone"), compared with the result
before. On a GPU times are those between two events around several calls, whose inputs take turns so that none of the
large ones is in the L2 cache; on the host backend wall-clock times, and the parameters are then tried on launches as
for a GPU, which the CPU emulates. `--small` takes sizes that this can bear. Stops when its time is over (`--budget`).
The JSON has every time in microseconds.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

import cuarray as ca
from benchmarks.tune_reductions import WIDE, Timed, inputs, make_parser, smaller
from cuarray import _fast_calls, _plan, _runtime, _tuning
from cuarray._functions import joining

Case = tuple[str, int, tuple[int, ...], int, str]  # function, arrays, shape of each, axis, dtype
CASES: tuple[Case, ...] = (
    ("concatenate", 2, (1000,), 0, "float32"),
    ("concatenate", 8, (1000,), 0, "float32"),
    ("concatenate", 64, (1000,), 0, "float32"),
    ("stack", 2, (1000,), -1, "float32"),
    ("concatenate", 2, (1 << 26,), 0, "float32"),
    ("concatenate", 2, ((1 << 26) + 1,), 0, "float32"),
    ("concatenate", 64, (1 << 20,), 0, "float32"),
    ("concatenate", 8, (1 << 26,), 0, "int8"),
    ("concatenate", 2, (8192, 4096), 1, "float32"),
    ("concatenate", 3, (1 << 22, 4), 1, "float32"),
    ("concatenate", 2, (1 << 20, 33), 1, "float32"),
    ("stack", 2, (1 << 26,), -1, "float32"),
    ("stack", 3, (1 << 25,), -1, "uint8"),
    ("stack", 2, (1 << 25,), -1, "float64"),
)
# Parameters to try together, and the cases that they decide about: CASES by their numbers.
TRIALS: tuple[tuple[dict[str, Any], tuple[int, ...]], ...] = (
    ({"alone": True}, tuple(range(len(CASES)))),
    ({"JOIN_TURNS": False}, (8, 9, 10, 11, 12, 13)),
    ({"JOIN_SLOTS": (8, 16)}, (2, 6)),
    ({"JOIN_SLOTS": (64, 32, 16)}, (0, 1, 4)),
)


def forget() -> None:
    """Have the policy asked again: of a call, C++ remembers the launches."""
    joining._prepare.cache_clear()
    for own in (joining._concatenated, joining._stacked):
        _fast_calls.forget(own)


@contextmanager
def changed(parameters: dict[str, Any], on_gpu: bool) -> Iterator[None]:
    """Plans with other parameters; on the host backend those for a GPU."""
    base = {name: getattr(_tuning, name) for name in parameters if name != "alone"}
    join, target = _plan.join, _runtime.get().target if on_gpu else WIDE

    def planned(_: Any, parts: Sequence[_plan.Part]) -> list[_plan.Join]:
        if "alone" not in parameters:
            return join(target, parts)
        return [join(target, [part])[0]._replace(numbers=(number,)) for number, part in enumerate(parts)]

    for name in base:
        setattr(_tuning, name, parameters[name])
    _plan.join = planned
    forget()
    try:
        yield
    finally:
        for name, value in base.items():
            setattr(_tuning, name, value)
        _plan.join = join
        forget()


def caller(library: str, module: Any, name: str, axis: int) -> Callable[[Any], Any]:
    """A library's function of a list of arrays."""
    if library == "torch":
        function = {"concatenate": module.cat, "stack": module.stack}[name]
        return lambda arrays: function(arrays, dim=axis)
    function = getattr(module, name)
    return lambda arrays: function(arrays, axis=axis)


class Run(Timed):
    """The concatenations."""

    def time(self, library: str, case: Case, parameters: dict[str, Any]) -> tuple[float, Any, Any]:
        """Microseconds of a case, its first result, and the arrays that this is of; the case has a row then."""
        name, count, full, axis, dtype = case
        module, wait = self.libraries[library]
        shape = smaller(full) if self.small else full
        wholes = inputs(library, module, (count, *shape), np.dtype(dtype), False, self.clock)
        lists = [[whole[number] for number in range(count)] for whole in wholes]
        call = caller(library, module, name, axis)
        us = self.clock(lambda i: call(lists[i % len(lists)]), wait)
        nbytes = 2 * count * int(np.prod(shape)) * np.dtype(dtype).itemsize
        self.rows.append({
            "library": library, "operation": name, "arrays": count, "shape": shape, "axis": axis, "dtype": dtype,
            "bytes": nbytes, "us": round(us, 2), "parameters": parameters,
        })  # fmt: skip
        return us, call(lists[0]), lists[0]

    def case(self, case: Case) -> None:
        """In all libraries; cuarray's result is checked."""
        found = []
        for library in self.libraries:
            us, result, arrays = self.time(library, case, {})
            found.append(f"{us:.2f}" if us < 100 else f"{us:.0f}")
            if library == "cuarray":
                rate = self.rows[-1]["bytes"] / us / 1e3
                check(case, result, arrays)
            del result, arrays
            ca.cuda.trim()
        print(f"  {shown(case)}: {'  '.join(found)}  ({rate:.0f} GB/s)", flush=True)

    def trial(self, parameters: dict[str, Any], number: int) -> float | None:
        """The time with other parameters by that with those that are there, which is taken before and after it."""
        taken, expected = [], None
        for own in ({}, parameters, {}):
            if self.is_over:
                return None
            with changed(own, self.clock.on_gpu):
                us, result, _ = self.time("cuarray", CASES[number], own or {"as": "it is"})
            taken.append(us)
            expected = result if expected is None else expected
            if not bool((result == expected).all()):
                raise AssertionError(f"{CASES[number]} with {parameters}: another result")
        return taken[1] / statistics.mean((taken[0], taken[2]))


def check(case: Case, result: Any, arrays: list[Any]) -> None:
    """Compare with NumPy's result where that takes no long time, else each array with its part."""
    name, count, _, axis, _ = case
    if result.size <= 1 << 20:
        own = [np.asarray(array) for array in arrays]
        right = np.array_equal(np.asarray(result), getattr(np, name)(own, axis=axis))
    else:
        pieces = ca.unstack(result, axis=axis) if name == "stack" else ca.split(result, count, axis)
        right = all(bool((piece == array).all()) for piece, array in zip(pieces, arrays, strict=True))
    if not right:
        raise AssertionError(f"{case}: another result than NumPy's")


def shown(case: Case) -> str:
    """In a few words."""
    name, count, shape, axis, dtype = case
    return f"{name} {count} of {'x'.join(map(str, shape))} {axis} {dtype}"


def main() -> None:
    """The command."""
    options = make_parser("tune_joins", __doc__, seconds=0.03, budget=60).parse_args()
    run = Run(options)
    print(f"microseconds: {', '.join(run.libraries)}")
    for case in CASES:
        if not run.is_over:
            run.case(case)
    print("time by that with the parameters as they are")
    for parameters, numbers in TRIALS:
        print(f"  {', '.join(f'{name}={value}' for name, value in parameters.items())}:")
        line = []
        for number in numbers:
            ratio = run.trial(parameters, number)
            if ratio is not None:
                line.append(f"[{number}] {ratio:.2f}")
        print(f"    {'  '.join(line)}", flush=True)
    if run.is_over:
        print("  the time was over before all was timed")
    with open(options.json, "w") as file:
        found = {name: getattr(_tuning, name) for name in ("JOIN_SLOTS", "JOIN_TURNS")}
        json.dump({"parameters": found, "device": _runtime.get().device_name(), "rows": run.rows}, file, indent=1)


if __name__ == "__main__":
    main()
