"""Times every way to compute a product beside what the library chooses: `python -m benchmarks.tune_choice out.json`.

The products are those of `benchmarks/products.py`, but for the largest squares; the ways are the rows of
`_matmul_tuning.TILES` with the splits that `estimates` considers, and skinny kernels. All of them are compiled first,
on all cores; then each is timed by events around several launches, beside torch.matmul. The model in `estimates` is
fitted to such a file. `--report out.json` says what the rules as they are now would choose, and what that costs: the
time of the chosen way over that of the fastest one.
"""

from __future__ import annotations

import argparse
import json
import time
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cuarray as ca
from benchmarks.products import SHAPES, Extents
from benchmarks.report import geometric_mean
from benchmarks.tune_matmul import Case, compile_all, describe, find_dtype
from cuarray import _matmul_tuning, _runtime
from cuarray._launch import Prepared
from cuarray._plan import MatmulPlan, Product, _matmul_choice
from cuarray._plan._matmul_choice import FAMILIES
from cuarray._tuning import Target

H100 = Target(132, 256, 1024, 8, (9, 0), 232448)  # which the report is for
MOST = 22  # ways of a product that are timed: those that are expected to be the fastest, and the skinny ones
SECONDS = 0.008  # of timing one of them


class Way(NamedTuple):
    """A family's configuration for a product."""

    family: str
    configuration: Any
    expected: float  # microseconds; 0 where the model says nothing

    def __str__(self) -> str:
        return f"{self.family} {self.configuration}"


def ways(target: Target, of: Product) -> list[Way]:
    """The rows that compute a product, with their splits, and the skinny kernels that do."""
    of = of.folded()
    costs = {name: FAMILIES[name].cost(target, of) for name in ("hopper", "mma", "simt")}
    found: dict[str, Way] = {}
    for expected, name, values, splits in sorted(_matmul_tuning.estimates(target, of, costs), key=lambda row: row[0]):
        own = FAMILIES[name].Configuration.for_product(of, values, splits)
        if FAMILIES[name].fits(target, of, own):
            way = Way(name, own, expected)
            found.setdefault(str(way), way)
    skinny = [Way("skinny", own, 0.0) for own in FAMILIES["skinny"].candidates(target, of)]
    return [*skinny, *found.values()][:MOST]


def plan(target: Target, of: Product, way: Way) -> MatmulPlan:
    made: MatmulPlan = FAMILIES[way.family].plan(target, of.folded(), way.configuration)
    return made


def case(extents: Extents) -> Case:
    """The same product for those that describe and compile it."""
    batch, m, n, k, turned = extents
    sides = "".join(name for name, turn in zip("ab", turned, strict=True) if turn == "t")
    return Case(m, n, k, sides, batch if batch > 1 else 0)


def products(names: list[str]) -> list[tuple[str, Extents]]:
    shapes = [own for own in SHAPES if own[0] > 1 or min(own[1:4]) < 4000]
    return [(name, own) for name in names for own in shapes]


def microseconds(run: Callable[[], Any]) -> float:
    """Of a launch, or of all launches of a product, by the device's clock."""
    device = ca.testing.benchmark(run, seconds=SECONDS).device
    assert device is not None, "there is a GPU"
    return device * 1e6


def measure(names: list[str], seconds: float) -> list[dict[str, Any]]:
    """A row for each way of each product, until the time is over."""
    import torch

    target, end = _runtime.get().target, time.time() + seconds
    planned = []
    for name, own in products(names):
        of = describe(case(own), name)
        planned.append((name, own, [(way, plan(target, of, way)) for way in ways(target, of)]))
    for _ in compile_all([launch for _, _, made in planned for _, one in made for launch in one.launches]):
        pass
    rows: list[dict[str, Any]] = []
    for name, own, made in planned:
        if time.time() > end:
            print(f"no time is left for {name} {own} and what follows")
            break
        batch, m, n, k, turned = own
        kind = getattr(torch, find_dtype(name)[0].name)

        def operand(rows: int, cols: int, turn: str, batch: int = batch, kind: Any = kind) -> Any:
            shape = (batch, cols, rows) if turn == "t" else (batch, rows, cols)
            drawn = torch.randn(shape, device="cuda", dtype=kind)
            return drawn.transpose(-1, -2) if turn == "t" else drawn

        a, b = operand(m, k, turned[0]), operand(k, n, turned[1])
        out = torch.empty((batch, m, n), device="cuda", dtype=kind)
        other = microseconds(lambda: torch.matmul(a, b, out=out))  # noqa: B023
        for way, one in made:
            prepared = [Prepared(launch) for launch in one.launches]
            scratch = _runtime.get().allocate_scratch(one.scratch_bytes)

            def run() -> None:
                for launch in prepared:  # noqa: B023
                    launch.launch(out.data_ptr(), a.data_ptr(), b.data_ptr(), 0, scratch.pointer)  # noqa: B023

            row = {"dtype": name, "shape": own, "way": str(way), "expected": way.expected, "torch": other}
            rows.append(row | {"us": microseconds(run)})
    return rows


class Choice(NamedTuple):
    """What the rules choose for a product that was measured."""

    dtype: str
    extents: Extents
    way: str
    us: float
    fastest: str
    least: float
    torch: float


def choices(rows: list[dict[str, Any]], target: Target = H100) -> list[Choice]:
    """One for each product whose chosen way was timed."""
    timed: dict[tuple[str, Extents], dict[str, float]] = defaultdict(dict)
    torch: dict[tuple[str, Extents], float] = {}
    for row in rows:
        key = row["dtype"], tuple(row["shape"])
        timed[key][row["way"]] = row["us"]
        torch[key] = row["torch"]
    found = []
    for (name, own), times in timed.items():
        of = describe(case(own), name)
        chosen = _matmul_choice.matmul(target, of)
        way = next((str(one) for one in ways(target, of) if plan(target, of, one) == chosen), None)
        if way in times:
            fastest = min(times, key=times.__getitem__)
            found.append(Choice(name, own, way, times[way], fastest, times[fastest], torch[name, own]))
    return found


def report(found: list[Choice]) -> None:
    """A line for each product whose choice is not the fastest, the worst first, and one for each dtype."""
    for own in sorted(found, key=lambda own: own.least / own.us):
        if own.us > 1.02 * own.least:
            print(f"{own.us / own.least:.2f} {own.dtype} {own.extents}: {own.way} {own.us}, {own.fastest} {own.least}")
    for name in dict.fromkeys(own.dtype for own in found):
        mine = [own for own in found if own.dtype == name]
        lost = geometric_mean([own.us / own.least for own in mine])
        rates = [own.torch / own.us for own in mine]
        print(f"{name}: {lost:.3f} of the least time; {geometric_mean(rates):.3f} of torch, at least {min(rates):.2f}")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_choice", description=__doc__.split("\n")[0])
    parser.add_argument("json", type=Path)
    parser.add_argument("--report", action="store_true", help="of this file; measure nothing")
    parser.add_argument("--seconds", type=float, default=120, help="of timing (default: %(default)s)")
    parser.add_argument("--dtypes", default="float32,float64,bfloat16", help="(default: %(default)s)")
    options = parser.parse_args()
    if not options.report:
        if _runtime.get().host_is_device:
            parser.error("there is no GPU to measure")
        options.json.write_text(json.dumps(measure(options.dtypes.split(","), options.seconds)) + "\n")
    report(choices(json.loads(options.json.read_text())))


if __name__ == "__main__":
    main()
