"""The benchmark measures what it says: cases give NumPy's results, wrong ones are seen, reports read what was written.

How long anything takes is not tested.
"""

from __future__ import annotations

import importlib
import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import cuarray as ca
from benchmarks import startup
from benchmarks.__main__ import main
from benchmarks.case import BFLOAT16, FLOAT32, PERIOD, PERIOD_2D, Call, Case, Draw, compare, widen
from benchmarks.cases import CASES, FAMILIES, select
from benchmarks.libraries import LIBRARIES, CuArray, Expression, Library, Namespace
from benchmarks.report import bandwidth, geometric_mean, ratios, report
from benchmarks.runner import QUICK_SIZE, Session, fetch

ROOT = Path(__file__).parent.parent
RESULTS = sorted((ROOT / "benchmarks" / "results").glob("*.json"))
SIZE = 1000
ARRAY_CASES = [case for case in CASES if isinstance(case, Case)]
DISTINCT = {f"{case.name} {case.dtype}": case for case in ARRAY_CASES}


@pytest.fixture(scope="module")
def libraries() -> list[Library]:
    return [CuArray(ca.cuda.is_available()), Library(False)]


# ---- the cases


@pytest.mark.parametrize("case", DISTINCT.values(), ids=list(DISTINCT))
def test_a_case_is_right(case: Case, libraries: list[Library]) -> None:
    draw = case.draw(SIZE)
    arrays = draw.arrays(np.random.default_rng())
    expected = None if case.verify else case.reference(tuple(widen(x) for x in arrays))
    dtypes = []
    for library in libraries:
        placed = tuple(library.to_device(x) for x in arrays)
        try:
            prepared = case.prepare(library, len(placed), lambda placed=placed: placed)
        except NotImplementedError:
            assert library.name == "numpy"
            continue
        if prepared.prepare is not None:
            prepared.prepare()
        result = fetch(library, prepared.call(*placed))
        case.check(arrays, expected, result, draw.times)
        if case.dtype != BFLOAT16:  # of which NumPy's products are float32
            dtypes.append(result.dtype)
        assert case.bytes(draw, result.size, result.dtype) >= 0 and case.flops(*draw.shapes) >= 0
    assert len(set(dtypes)) <= 1, "cuarray's dtype is not NumPy's"


@pytest.mark.parametrize("case", [case for case in ARRAY_CASES if case.bare], ids=lambda case: case.name)
def test_the_floors_run(case: Case, libraries: list[Library]) -> None:
    arrays = tuple(libraries[0].to_device(x) for x in case.draw(SIZE).arrays(np.random.default_rng()))
    assert case.bare is not None
    call = case.bare(libraries[0], *arrays).call
    if (copy := call(*arrays)) is not None:
        np.testing.assert_array_equal(np.asarray(copy), np.asarray(arrays[0]))


def test_the_table_is_well_formed() -> None:
    assert FAMILIES == (
        "dispatch", "elementwise", "reduction", "scan", "transfer", "startup", "matmul", "fusion", "kernel",
    )  # fmt: skip
    for sizes in ("size", "cpu_size"):
        there = [case for case in ARRAY_CASES if getattr(case, sizes) is not None]
        keys = [(case.name, getattr(case, sizes), case.dtype) for case in there]
        assert len(set(keys)) == len(keys), "two cases cannot be told apart"
    for case in ARRAY_CASES:
        assert case.size is not None or case.cpu_size is not None, case.name
        for size in {case.size, case.cpu_size, QUICK_SIZE} - {None}:
            draw = case.draw(size)
            assert draw.nbytes <= 8 << 30, f"{case.name} {case.dtype}"
            for shape in draw.shapes if draw.periodic else ():
                beginning = draw.beginning(shape)
                assert all(n == m or n == m * draw.times for n, m in zip(shape, beginning)), case.name


def test_forty_operations_on_the_cpu() -> None:
    for dtype in (FLOAT32, np.dtype("float64")):
        named = {case.name for case in select(["elementwise/"]) if case.cpu_size == 10**6 and case.dtype == dtype}
        assert len([name for name in named if "astype" not in name]) >= 40


def test_selecting() -> None:
    assert [case.name for case in select(["kernel/", "startup/import"])] == [
        "startup/import", "kernel/launch", "kernel/launch_in_njit",
    ]  # fmt: skip
    assert select([]) == list(CASES)
    with pytest.raises(ValueError, match="no case begins with 'nothing/'"):
        select(["nothing/"])


# ---- comparing


@pytest.mark.parametrize("dtype", ["float32", "complex64"])
@pytest.mark.parametrize("shape", [(3 * PERIOD,), (2 * PERIOD_2D, 2 * PERIOD_2D)], ids=str)
def test_every_element_of_a_repeated_result_is_looked_at(shape: tuple[int, ...], dtype: str) -> None:
    rng = np.random.default_rng()
    draw = Draw((shape,), (np.dtype(dtype),), periodic=True)
    (x,) = draw.arrays(rng)
    assert x.shape == shape and draw.times == shape[0] // draw.beginning(shape)[0]
    expected = 2.0 * widen(x[tuple(map(slice, draw.beginning(shape)))])
    result = 2 * x
    compare(result, expected, FLOAT32, times=draw.times)
    for place in (0, -1, int(rng.integers(x.size))):
        wrong = result.copy()
        wrong.reshape(-1)[place] *= 1.01
        with pytest.raises(AssertionError):
            compare(wrong, expected, FLOAT32, times=draw.times)
    # The last places may differ from one repetition to another.
    result.real[..., -1:] *= np.float32(1 + 2e-7)
    compare(result, expected, FLOAT32, times=draw.times)


@pytest.mark.parametrize(
    ("wrong", "right"),
    [
        (np.zeros(3), np.zeros(4)),
        (np.array([1.0, np.nan]), np.ones(2)),
        (np.array([1, 2]), np.array([1, 3])),
        (np.array([1.0, 2.001], FLOAT32), np.array([1.0, 2.0])),
        (np.array([True]), np.array([False])),
    ],
)
def test_wrong_results_are_seen(wrong: np.ndarray, right: np.ndarray) -> None:
    compare(right.astype(wrong.dtype), right, right.dtype)
    with pytest.raises(AssertionError):
        compare(wrong, right, FLOAT32)


class Wrong(Library):
    """NumPy, but that its sums are wrong and it knows nothing else."""

    name = "wrong"

    def __init__(self, on_gpu: bool) -> None:
        super().__init__(on_gpu)
        self.namespace = Namespace(self.name, object(), sum=lambda x, axis=None: 1 + np.sum(x, axis=axis))


def test_wrong_and_missing_functions_are_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "wrong", Wrong)
    session = Session(["wrong", "numpy"], quick=True)
    session.run(select(["reduction/sum_square_all", "elementwise/where_mask"]))
    rows = {(row["case"], row["library"]) for row in session.rows}
    assert {one["library"] for one in session.failed} == {"wrong"}, session.failed
    assert ("reduction/sum_square_all", "numpy") in rows and ("elementwise/where_mask", "cuarray") in rows
    assert not any(library == "wrong" for _case, library in rows)
    assert {(one["case"], one["library"]) for one in session.failed} == {("reduction/sum_square_all", "wrong")}
    assert "elementwise/where_mask" in {one["case"] for one in session.lacking}
    assert "wrong has not" in report(session.results())


class Late(CuArray):
    """Is wrong in the last element."""

    name = "late"

    def __init__(self, on_gpu: bool) -> None:
        super().__init__(on_gpu)
        self.namespace = Namespace(self.name, ca, add=self.add)

    def add(self, x: Any, y: Any) -> Any:
        result = x + y
        result[(-1,) * result.ndim] *= 1.01
        return result


@pytest.mark.parametrize("n", [4 * PERIOD, (2 * PERIOD_2D) ** 2])
def test_large_results_are_compared_at_places(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(LIBRARIES, "late", Late)
    side = round(n**0.5)
    shapes = {"line": ((n,), (n,)), "plane": ((side, side), (side, 1))}
    session = Session(["late"], seconds=0.01)
    session.run(
        Case(f"elementwise/{name}", lambda xp, a, b: xp.add(a, b), lambda n, own=own: own, n, n, periodic=True)
        for name, own in shapes.items()
    )
    assert {(row["case"], row["library"]) for row in session.rows} == {
        ("elementwise/line", "cuarray"),
        ("elementwise/plane", "cuarray"),
    }
    assert {(one["case"], one["library"]) for one in session.failed} == {
        ("elementwise/line", "late"),
        ("elementwise/plane", "late"),
    }
    read = sum(math.prod(shape) for shape in shapes["plane"])
    assert session.rows[-1]["bytes"] == 4 * (read + n)


def test_a_budget_leaves_cases_out() -> None:
    session = Session([], quick=True, budget=1e-9)
    session.run(select(["dispatch/sl", "dispatch/t"]))
    assert {row["case"] for row in session.rows} == {"dispatch/slice"}
    assert session.skipped == ["dispatch/transpose 1000 float32"]


def test_a_run_that_is_stopped_keeps_what_it_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = Session.run_case

    def stop(self: Session, case: Case) -> None:
        if case.name == "dispatch/transpose":
            raise KeyboardInterrupt
        measure(self, case)

    monkeypatch.setattr(Session, "run_case", stop)
    file = tmp_path / "results.json"
    with pytest.raises(KeyboardInterrupt):
        main(["run", "dispatch/sl", "dispatch/t", "--quick", "--against", "numpy", "--json", str(file)])
    assert {row["case"] for row in json.loads(file.read_text())["rows"]} == {"dispatch/slice"}


def test_inputs_are_rotated_and_prepared() -> None:
    """Several sets of the inputs where they are small, each of them used; what is prepared comes before each call."""
    from benchmarks.timing import rotating

    used: list[int] = []
    rotating(used.append, [(1,), (2,), (3,)])(7)
    assert used == [1, 2, 3, 1, 2, 3, 1]
    session = Session([], quick=True)
    (add,) = [case for case in select(["elementwise/add"]) if case.cpu_size == 1024 and case.dtype == FLOAT32]
    assert session.sets(add, add.draw(1024)) > 1 == session.sets(add, add.draw(2**28))
    order: list[str] = []
    case = Case(
        "transfer/x", lambda xp, a: a, lambda n: ((n,),), SIZE, SIZE,
        make=lambda library, x: Call(lambda x: order.append("call") or x, lambda: order.append("prepare")),
    )  # fmt: skip
    session.run([case])
    assert session.rows and not session.failed
    assert order == ["prepare", "call"] * (len(order) // 2)


def test_expressions_for_numexpr() -> None:
    from benchmarks.libraries import _Functions

    (case,) = [case for case in select(["fusion/gauss"]) if case.name == "fusion/gauss"]
    text = case.body(_Functions(), Expression("a"), Expression("b")).text
    rng = np.random.default_rng()
    a, b = rng.random((2, 5))
    functions = {name: getattr(np, name) for name in ("exp", "log")}
    np.testing.assert_allclose(eval(text, functions, {"a": a, "b": b}), case.body(np, a, b))


# ---- the commands


def test_running_and_reporting(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "results.json"
    prefixes = ("dispatch/add", "kernel/", "elementwise/copy")
    assert main(["run", *prefixes, "--quick", "--against", "numpy", "--json", str(file)]) == 0
    assert "[1/" in capsys.readouterr().err
    results = json.loads(file.read_text())
    assert {"commit", "device", "backend", "driver", "versions", "rows"} <= set(results)
    fields = {
        "case": str, "size": int, "dtype": str, "library": str, "median_s": float, "spread": float, "bytes": int,
        "flops": int, "clock": str, "repeats": int,
    }  # fmt: skip
    for row in results["rows"]:
        assert all(isinstance(row[field], kind) for field, kind in fields.items()), row
        assert row["median_s"] > 0 and row["clock"] in ("events", "wall")
    found = {(row["case"], row["library"]) for row in results["rows"]}
    assert found >= {
        ("dispatch/add", "cuarray"), ("dispatch/add", "numpy"), ("kernel/launch", "cuarray"),
        ("kernel/launch_in_njit", "bare"), ("elementwise/copy", "bare"),
    }  # fmt: skip
    assert main(["report", str(file)]) == 0
    text = capsys.readouterr().out
    assert "| dispatch/add | 1000 | float32 |" in text and "of the copy" in text
    assert bandwidth(results["rows"]) > 0


def test_the_command() -> None:
    command = [sys.executable, "-m", "benchmarks", "run", "--list", "matmul/", "startup/"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert done.returncode == 0 and "matmul/square" in done.stdout and "startup/import" in done.stdout


@pytest.mark.parametrize("arguments", [["nothing/"], ["--against", "nonsense"], ["--seconds", "0"]])
def test_wrong_arguments(arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as raised:
        main(["run", *arguments])
    assert raised.value.code == 2


def _row(case: str, library: str, median: float, size: int = 1000) -> dict[str, Any]:
    return {
        "case": case, "size": size, "dtype": "float32", "library": library, "median_s": median, "spread": 0.0,
        "bytes": 12 * size, "flops": size, "clock": "wall", "repeats": 5, "calls": 1,
    }  # fmt: skip


SYNTHETIC = {
    "format": 2, "commit": "0123456789abcdef", "device": "a device", "backend": "cuda", "driver": {"driver": "CUDA 0"},
    "versions": {"python": "3"}, "on": {"cuarray": "gpu", "cupy": "gpu"}, "absent": {"jax": "not there"},
    "failed": [{"case": "scan/sort", "library": "cupy", "error": "wrong"}],
    "lacking": [{"case": "scan/topk", "library": "cupy", "why": "no topk"}], "skipped": ["scan/unique 1000 int32"],
    "rows": [
        *(_row("dispatch/add", library, time) for library, time in (("cuarray", 2e-6), ("cupy", 5e-6))),
        *(_row("dispatch/sum", library, time) for library, time in (("cuarray", 4e-6), ("cupy", 2e-6))),
        *(_row("elementwise/add", "cuarray", 1e-6, 2**n) for n in range(10, 20, 2)),
        *(_row("elementwise/add", "cupy", 2e-6, 2**n) for n in range(10, 20, 2)),
        _row("elementwise/copy", "bare", 2e-6),
        *(_row("matmul/square", "cuarray", 1e-9, 4**n) for n in range(5, 9)),
    ],
}  # fmt: skip


def test_the_report() -> None:
    found = ratios(SYNTHETIC["rows"])["cupy"]
    assert found["dispatch/add", 1000, "float32"] == pytest.approx(2.5)
    assert geometric_mean([1, 4]) == pytest.approx(2)
    text = report(SYNTHETIC)
    assert "| dispatch | cupy | 2 | 1.12 | 0.50 | `dispatch/sum`, 1000, float32 |" in text
    assert "| dispatch/add | 1000 | float32 | 2 µs | 0.0% |  | 5 µs | 2.50 |" in text
    assert "| matmul/square | 1024 | float32 | 1 ns | 0.0% | 1.02 |" in text
    # 12 bytes an element in 1 µs, of a copy that takes 12 kB in 2 µs
    assert "| elementwise/add | 1024 | float32 | 1 µs | 0.0% | 12.3 | 2.05 |" in text
    for problem in ("jax is absent: not there", "scan/sort failed with cupy: wrong", "scan/topk", "scan/unique"):
        assert problem in text


def test_plots(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    file = tmp_path / "synthetic.json"
    file.write_text(json.dumps(SYNTHETIC))
    assert main(["report", str(file), "--plots", str(tmp_path / "plots")]) == 0
    written = {path.name for path in (tmp_path / "plots").iterdir()}
    names = ("ratios-dispatch", "ratios-elementwise", "bandwidth", "products", "latency")
    assert written == {f"synthetic-{name}.png" for name in names}
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in (tmp_path / "plots").iterdir())


@pytest.mark.parametrize("file", RESULTS, ids=lambda file: file.stem)
def test_all_recorded_results_are_readable(file: Path, tmp_path: Path) -> None:
    results = json.loads(file.read_text())
    assert len(report(results).splitlines()) > 5
    if "rows" in results:
        pytest.importorskip("matplotlib")
        from benchmarks.plots import plot

        assert bool(plot(results, tmp_path, file.stem)) == ("case" in results["rows"][0])


# ---- ca.testing.benchmark


def test_benchmark_calls_the_function() -> None:
    calls: list[tuple[int, str]] = []
    timing = ca.testing.benchmark(lambda x, y: calls.append((x, y)), 1, "two", seconds=0.01)
    assert set(calls) == {(1, "two")}
    assert len(calls) >= timing.repeats * timing.calls
    assert 0 < timing.minimum <= timing.median and timing.spread >= 0 and timing.repeats >= 5
    assert (timing.device is None) == (not ca.cuda.is_available())
    assert "a call" in repr(timing) and f"{timing.repeats} batches of {timing.calls}" in repr(timing)


def test_benchmark_of_a_slow_call_and_of_a_wrong_one() -> None:
    import time

    timing = ca.testing.benchmark(time.sleep, 0.02, seconds=0.01)
    assert (timing.repeats, timing.calls) == (3, 1) and timing.minimum >= 0.02
    with pytest.raises(ZeroDivisionError):
        ca.testing.benchmark(lambda: 1 / 0)
    with pytest.raises(ValueError, match="seconds must be positive"):
        ca.testing.benchmark(lambda: None, seconds=0)


def test_events_measure_what_the_clock_does() -> None:
    """On the CPU, where events take the time at once, they may be asked for, too."""
    from cuarray._timing import Sampler, measure

    x = ca.ones(10**5)
    (timing,) = measure([Sampler(lambda count: [x + 1 for _ in range(count)], ca.cuda.synchronize, True)], 0.02)
    assert timing.device is not None and timing.device_spread is not None and timing.device > 0
    assert "on the device" in repr(timing)


def test_the_page_on_performance(capsys: pytest.CaptureFixture[str]) -> None:
    """Its block of Python prints what stands below it."""
    text = (ROOT / "docs" / "performance.md").read_text()
    ((code, printed),) = re.findall(r"^```python\n(.*?)^```\n\n```text\n(.*?)^```\n", text, re.MULTILINE | re.DOTALL)
    exec(code, {})
    assert capsys.readouterr().out == printed
    for family in FAMILIES:
        assert f"### {family}\n" in text


@pytest.mark.parametrize("name", sorted(path.stem for path in Path(startup.__file__).parent.glob("[a-z]*.py")))
def test_every_program_can_be_imported(name: str) -> None:
    """Some are run on a GPU only."""
    assert importlib.import_module(f"benchmarks.{name}").__doc__


def test_startup_programs_run() -> None:
    processes = startup.Processes(ca.cuda.is_available(), 1)
    processes.measure(["numpy", "cuarray"], cold=True)
    for library in ("numpy", "cuarray"):
        row = processes.row(startup.Startup("startup/x", "first_add", True), library)
        assert row["median_s"] > 0 and row["repeats"] == 1


def test_large_inputs_repeat_what_the_reference_is_computed_of() -> None:
    """Of every case as it is on a GPU: the reference's shapes go together as those of the inputs do."""
    for case in CASES:
        if not isinstance(case, Case) or not case.periodic or case.size is None:
            continue
        drawn = case.draw(case.size)
        beginnings = [drawn.beginning(shape) for shape in drawn.shapes]
        whole = np.broadcast_shapes(*drawn.shapes)
        part = np.broadcast_shapes(*beginnings)
        assert len(part) == len(whole), case.name
        for shape, beginning in zip(drawn.shapes, beginnings):
            assert all(n % m == 0 for n, m in zip(shape, beginning)), case.name


def test_choices_of_products_cost_little() -> None:
    """By the times of all ways on an H100: the rules must not lose what they are fitted to."""
    from benchmarks.tune_choice import choices

    measured = ROOT / "benchmarks" / "results" / "tuning" / "2026-11-21-h100-matmul-choice.json"
    found = choices(json.loads(measured.read_text()))
    assert len(found) > 130
    for dtype in ("float32", "float64", "bfloat16"):
        lost = [own.us / own.least for own in found if own.dtype == dtype]
        assert geometric_mean(lost) < 1.08
        assert max(lost) < 1.6
