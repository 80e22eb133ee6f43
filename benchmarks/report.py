"""Results as Markdown: a table a family, with the ratios to cuarray; also of older files and of the other programs."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable
from typing import Any

from cuarray._timing import format_seconds as seconds

Row = dict[str, Any]
Key = tuple[str, int, str]

COPY = "elementwise/copy"  # by nothing but the driver: the bandwidth that there is


def by_case(rows: Iterable[Row]) -> dict[Key, dict[str, Row]]:
    """The rows of each case, size and dtype, by library."""
    found: dict[Key, dict[str, Row]] = {}
    for row in rows:
        found.setdefault((row["case"], row["size"], row["dtype"]), {})[row["library"]] = row
    return found


def ratios(rows: Iterable[Row]) -> dict[str, dict[Key, float]]:
    """Each library's time over cuarray's: above 1, cuarray is faster."""
    found: dict[str, dict[Key, float]] = {}
    for key, libraries in by_case(rows).items():
        own = libraries.get("cuarray")
        for name, row in libraries.items():
            if own is not None and name != "cuarray":
                found.setdefault(name, {})[key] = row["median_s"] / own["median_s"]
    return found


def geometric_mean(values: Iterable[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, values)))


def bandwidth(rows: Iterable[Row]) -> float | None:
    """Bytes a second that the device's own copy reads and writes; None if it was not measured."""
    copies = [row for row in rows if row["case"] == COPY and row["library"] == "bare"]
    return max((row["bytes"] / row["median_s"] for row in copies), default=None)


def rate(row: Row) -> float:
    """TFLOP/s of what arithmetic limits, else GB/s."""
    if row["case"].startswith("matmul/"):
        return row["flops"] / row["median_s"] / 1e12
    return row["bytes"] / row["median_s"] / 1e9


def report(results: dict[str, Any]) -> str:
    """One run, as Markdown."""
    if "kernels" in results:
        from benchmarks import host_kernels

        return host_kernels.report(results)
    if "definitions" in results:
        from benchmarks import endurance

        return endurance.report(results)
    if "results" in results:
        from benchmarks import first_call

        return first_call.report(results)
    if "ratios" in results:
        from benchmarks import launch

        return launch.report(results)
    return "\n\n".join([_heading(results), *_summary(results["rows"]), *_tables(results["rows"]), *_problems(results)])


def _heading(results: dict[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in {**results["versions"], **results["driver"]}.items())
    commit = (results["commit"] or "unknown")[:12]
    places = ", ".join(f"{name} on the {place.upper()}" for name, place in results["on"].items())
    quick = " **A quick run: its figures say nothing.**" if results.get("quick") else ""
    return (
        f"{results['device']}, backend {results['backend']}, commit {commit}; {versions}\n\n{places}.{quick} "
        "× is a library's time over cuarray's: above 1, cuarray is faster."
    )


def _summary(rows: list[Row]) -> list[str]:
    """Geometric means by family, and the worst case of each."""
    lines = ["| family | against | cases | geometric mean × | worst × | |", "|---|---|--:|--:|--:|---|"]
    found = ratios(rows)
    for family in dict.fromkeys(row["case"].split("/")[0] for row in rows):
        for library, values in found.items():
            own = {key: value for key, value in values.items() if key[0].startswith(f"{family}/")}
            if own:
                worst = min(own, key=own.__getitem__)
                name = f"`{worst[0]}`, {worst[1]}, {worst[2]}"
                mean = geometric_mean(own.values())
                lines.append(f"| {family} | {library} | {len(own)} | {mean:.2f} | {own[worst]:.2f} | {name} |")
    return ["\n".join(lines)] if len(lines) > 2 else []


def _tables(rows: list[Row]) -> list[str]:
    copy = bandwidth(rows)
    tables = []
    for family in dict.fromkeys(row["case"].split("/")[0] for row in rows):
        own = [row for row in rows if row["case"].startswith(f"{family}/")]
        others = [name for name in dict.fromkeys(row["library"] for row in own) if name != "cuarray"]
        unit = "TFLOP/s" if family == "matmul" else "GB/s"
        of_copy = copy is not None and family in ("elementwise", "reduction", "scan", "fusion")
        heads = ["case", "size", "dtype", "cuarray", "spread", unit, *(["of the copy"] if of_copy else [])]
        heads += [head for name in others for head in (name, "×")]
        lines = [f"| {' | '.join(heads)} |", f"|---|--:|---|{'--:|' * (len(heads) - 3)}"]
        for (case, size, dtype), libraries in by_case(own).items():
            ours = libraries.get("cuarray")
            cells = [case, str(size), dtype]
            if ours is None:
                cells += ["", "", ""] + [""] * of_copy
            else:
                speed = f"{rate(ours):.3g}" if rate(ours) and family not in ("dispatch", "kernel") else ""
                cells += [seconds(ours["median_s"]), f"{ours['spread'] / ours['median_s']:.1%}", speed]
                if of_copy and copy is not None:
                    cells.append(f"{ours['bytes'] / ours['median_s'] / copy:.2f}")
            for name in others:
                row = libraries.get(name)
                cells.append("" if row is None else seconds(row["median_s"]))
                cells.append("" if row is None or ours is None else f"{row['median_s'] / ours['median_s']:.2f}")
            lines.append(f"| {' | '.join(cells)} |")
        tables.append(f"### {family}\n\n" + "\n".join(lines))
    return tables


def _problems(results: dict[str, Any]) -> list[str]:
    lines = [f"- {name} is absent: {why}" for name, why in results["absent"].items()]
    for failure in results["failed"]:
        lines.append(f"- {failure['case']} failed with {failure['library']}: {failure['error'].splitlines()[0]}")
    lacking: dict[str, list[str]] = {}
    for one in results.get("lacking", []):
        lacking.setdefault(one["library"], []).append(one["case"])
    for name, cases in lacking.items():
        distinct = list(dict.fromkeys(cases))
        listed = ", ".join(distinct[:12]) + (", ..." if len(distinct) > 12 else "")
        lines.append(f"- {name} has not {len(cases)} of the cases: {listed}")
    if results.get("skipped"):
        lines.append(f"- left out, for their families had taken their time: {', '.join(results['skipped'])}")
    return ["\n".join(lines)] if lines else []
