"""``python -m benchmarks run`` measures, ``python -m benchmarks report`` makes a table of what was measured."""

from __future__ import annotations

import argparse
import json
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.cases import THREADS, Case, select
from benchmarks.libraries import LIBRARIES, AbsentError, Library


def find_commit() -> str | None:
    """Of the checkout that the benchmarks are in."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def find_libraries(names: list[str], on_gpu: bool) -> tuple[list[Library], dict[str, str]]:
    """Those that are there, and why the others are not."""
    found, absent = [], {}
    for name in names:
        try:
            found.append(LIBRARIES[name](on_gpu))
        except AbsentError as error:
            absent[name] = str(error)
            print(f"{name} is absent: {error}", file=sys.stderr)
    return found, absent


def run_case(case: Case, size: int, libraries: list[Library], failed: list[dict[str, str]]) -> list[dict[str, Any]]:
    """The rows of a case. Every library's result is compared before any of them is timed."""
    inputs = case.inputs(np.random.default_rng(), size, case.dtype)
    expected = case.expected(inputs)

    def fail(library: Library, error: Exception) -> None:
        message = f"{type(error).__name__}: {str(error).strip()}"
        failed.append({"case": case.name, "library": library.name, "error": message})
        print(f"{case.name} {library.name} FAILED: {message}", file=sys.stderr)

    ready = []
    for library in libraries:
        try:
            if case.kernel is None:
                first = library.namespace
            elif (first := library.launcher(case.kernel, size // THREADS, THREADS)) is None:
                continue
            arrays = [library.to_device(x) for x in inputs]
            result = library.to_numpy(case.body(first, *arrays))
            timing.check(result, expected, case.dtype, case.tolerance)
            ready.append((library, first, arrays))
        except Exception as error:  # whatever it is, the other libraries and cases go on
            fail(library, error)

    rows = []
    for library, first, arrays in ready:
        try:
            timed = timing.measure(lambda first=first, arrays=arrays: case.body(first, *arrays), library.synchronize)
        except Exception as error:
            fail(library, error)
            continue
        rows.append(
            {
                "case": case.name,
                "size": size,
                "dtype": case.dtype.name,
                "library": library.name,
                "median_s": timed.median,
                "spread": timed.spread,
                "repeats": timed.repeats,
                "calls": timed.calls,
                "bytes": case.bytes(size),
                "flops": case.flops(size),
            }
        )
        print(f"{case.name} {library.name}: {seconds(timed.median)}", file=sys.stderr)
    return rows


def run(cases: list[Case], against: list[str]) -> dict[str, Any]:
    """Everything that `--json` writes."""
    from cuarray import _runtime

    runtime = _runtime.get()
    device = runtime.describe()[0]
    on_gpu = not runtime.host_is_device
    libraries, absent = find_libraries(["cuarray", *against], on_gpu)
    failed: list[dict[str, str]] = []
    rows: list[dict[str, Any]] = []
    for case in cases:
        rows += run_case(case, case.size if on_gpu else case.cpu_size, libraries, failed)
    return {
        "commit": find_commit(),
        "device": device["name"],
        "backend": runtime.name,
        "driver": {key: str(value) for key, value in device.items() if key in ("driver", "runtime compiler")},
        "versions": {"python": platform.python_version()} | {library.name: library.version for library in libraries},
        "on": {library.name: library.device for library in libraries},
        "absent": absent,
        "failed": failed,
        "rows": rows,
    }


# ---- the report


def seconds(value: float) -> str:
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}" if value * factor < 1000 else f"{value * factor:.0f} {unit}"
    return f"{value * 1e9:.3g} ns"


def report(results: dict[str, Any]) -> str:
    """One run, as Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in {**results["versions"], **results["driver"]}.items())
    commit = (results["commit"] or "unknown")[:12]
    places = ", ".join(f"{name} on the {place.upper()}" for name, place in results["on"].items())
    lines = [
        f"{results['device']}, backend {results['backend']}, commit {commit}; {versions}",
        "",
        f"{places}. The last column is the time over cuarray's: above 1, cuarray is faster.",
        "",
        "| case | size | dtype | library | median | spread | GB/s | GFLOP/s | × cuarray |",
        "|---|--:|---|---|--:|--:|--:|--:|--:|",
    ]
    own = {row["case"]: row["median_s"] for row in results["rows"] if row["library"] == "cuarray"}
    for row in results["rows"]:
        median = row["median_s"]
        ratio = f"{median / own[row['case']]:.2f}" if row["case"] in own else ""
        cells = [row["case"], row["size"], row["dtype"], row["library"], seconds(median)]
        cells += [f"{row['spread'] / median:.1%}", f"{row['bytes'] / median / 1e9:.3g}"]
        cells += [f"{row['flops'] / median / 1e9:.3g}" if row["flops"] else "", ratio]
        lines.append(f"| {' | '.join(str(cell) for cell in cells)} |")
    problems = [f"- {name} is absent: {why}" for name, why in results["absent"].items()]
    for failure in results["failed"]:
        problems.append(f"- {failure['case']} failed with {failure['library']}: {failure['error'].splitlines()[0]}")
    return "\n".join(lines + ([""] if problems else []) + problems)


def names(text: str) -> list[str]:
    found = [name for name in text.split(",") if name]
    others = [name for name in LIBRARIES if name != "cuarray"]
    for name in found:
        if name not in others:
            raise argparse.ArgumentTypeError(f"{name!r} is not one of {', '.join(others)}")
    return list(dict.fromkeys(found))


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    runner = commands.add_parser("run", help="measure cuarray and other libraries")
    runner.add_argument("prefixes", nargs="*", metavar="PREFIX", help="beginnings of cases' names; all by default")
    runner.add_argument("--against", type=names, default=["numpy"], help="libraries, separated by commas; numpy")
    runner.add_argument("--json", type=Path, metavar="FILE", help="where the results go; else the report is printed")
    reporter = commands.add_parser("report", help="print results as a Markdown table")
    reporter.add_argument("files", nargs="+", type=Path, metavar="FILE")
    arguments = parser.parse_args()

    if arguments.command == "report":
        print("\n\n".join(report(json.loads(file.read_text())) for file in arguments.files))
        return 0
    try:
        cases = select(arguments.prefixes)
    except ValueError as error:
        parser.error(str(error))
    results = run(cases, arguments.against)
    if arguments.json is None:
        print(report(results))
    else:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if results["failed"] else 0


if __name__ == "__main__":
    sys.exit(main())
