"""Results as PNG plots: ratios by case, rates over sizes, and what a call costs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt

from benchmarks.report import Key, bandwidth, by_case, rate, ratios

COLOURS = {
    "cuarray": "tab:green", "numpy": "tab:blue", "cupy": "tab:orange", "torch": "tab:red", "jax": "tab:purple",
    "numba": "tab:brown", "numexpr": "tab:pink", "numba-cuda": "tab:olive", "bare": "tab:gray",
}  # fmt: skip
SIZES = 4  # a line over sizes has so many points at least


def _label(key: Key, several: set[str]) -> str:
    case, size, dtype = key
    name = case.split("/", 1)[1]
    return f"{name}, {size}, {dtype}" if case in several else name


def _repeated(keys: list[Key]) -> set[str]:
    """The names that stand for more than one size or dtype."""
    names = [key[0] for key in keys]
    return {name for name in names if names.count(name) > 1}


def plot(results: dict[str, Any], folder: Path, stem: str) -> list[Path]:
    """Draw what there is in the results; returns the files, whose names begin with `stem`."""
    rows = results.get("rows", [])
    if not rows or "case" not in rows[0]:
        return []
    folder.mkdir(parents=True, exist_ok=True)
    title = f"{results['device']}, commit {(results['commit'] or 'unknown')[:8]}"
    figures = {}
    for family in dict.fromkeys(row["case"].split("/")[0] for row in rows):
        own = [row for row in rows if row["case"].startswith(f"{family}/")]
        if any(ratios(own).values()):
            figures[f"ratios-{family}"] = _ratio_bars(own, f"{family}: time over cuarray's. {title}")
    if sizes := _over_sizes([row for row in rows if not row["case"].startswith("matmul/")]):
        figures["bandwidth"] = _lines(sizes, bandwidth(rows), title)
    if squares := _over_sizes([row for row in rows if row["case"].startswith("matmul/square")]):
        figures["products"] = _product_lines(squares, title)
    if latencies := [row for row in rows if row["case"].startswith("dispatch/")]:
        figures["latency"] = _latency_bars(latencies, title)
    paths = []
    for name, figure in figures.items():
        paths.append(folder / f"{stem}-{name}.png")
        figure.savefig(paths[-1], dpi=110, bbox_inches="tight")
        plt.close(figure)
    return paths


def _bars(keys: list[Key], values: dict[str, dict[Key, float]], title: str, start: float = 0) -> Any:
    """Horizontal bars from `start`: a group a case, a bar a library."""
    height = 0.8 / max(len(values), 1)
    figure, axes = plt.subplots(figsize=(9, 1 + 0.22 * len(keys) * max(len(values), 1) ** 0.5))
    for number, (library, own) in enumerate(values.items()):
        places = [place + number * height for place, key in enumerate(keys) if key in own]
        widths = [own[key] - start for key in keys if key in own]
        axes.barh(places, widths, height, left=start, label=library, color=COLOURS.get(library))
    several = _repeated(keys)
    axes.set_yticks([place + 0.4 - height / 2 for place in range(len(keys))], [_label(key, several) for key in keys])
    axes.tick_params(axis="y", labelsize=7)
    axes.margins(y=0.01)
    axes.invert_yaxis()
    axes.set_title(title, fontsize=9)
    axes.grid(axis="x", alpha=0.3)
    axes.legend(fontsize=8)
    return figure


def _ratio_bars(rows: list[dict[str, Any]], title: str) -> Any:
    values = ratios(rows)
    keys = [key for key in by_case(rows) if any(key in own for own in values.values())]
    figure = _bars(keys, values, title, start=1)
    (axes,) = figure.axes
    axes.set_xscale("log")
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xlabel("above 1, cuarray is faster")
    return figure


def _latency_bars(rows: list[dict[str, Any]], title: str) -> Any:
    cases = by_case(rows)
    values: dict[str, dict[Key, float]] = {}
    for key, libraries in cases.items():
        for library, row in libraries.items():
            values.setdefault(library, {})[key] = row["median_s"] * 1e6
    figure = _bars(list(cases), values, f"dispatch: a call on small arrays. {title}")
    figure.axes[0].set_xlabel("µs")
    return figure


def _over_sizes(rows: list[dict[str, Any]]) -> dict[tuple[str, str], dict[str, list[tuple[int, float]]]]:
    """The rate by size, of each library, for the cases and dtypes that were measured at several sizes."""
    found: dict[tuple[str, str], dict[str, list[tuple[int, float]]]] = {}
    for row in rows:
        lines = found.setdefault((row["case"], row["dtype"]), {})
        lines.setdefault(row["library"], []).append((row["size"], rate(row)))
    return {key: lines for key, lines in found.items() if max(map(len, lines.values())) >= SIZES}


def _lines(cases: dict[tuple[str, str], dict[str, list[tuple[int, float]]]], copy: float | None, title: str) -> Any:
    figure, panels = plt.subplots(len(cases), squeeze=False, figsize=(8, 4.5 * len(cases)))
    for axes, ((case, dtype), lines) in zip(panels[:, 0], cases.items()):
        for library, points in lines.items():
            axes.plot(*zip(*sorted(points)), marker="o", label=library, color=COLOURS.get(library))
        if copy is not None:
            axes.axhline(copy / 1e9, color="black", linewidth=1, linestyle="--", label="the device's copy")
        axes.set_xscale("log", base=2)
        axes.set_xlabel("elements")
        axes.set_ylabel("GB/s")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        axes.set_title(f"{case}, {dtype}. {title}", fontsize=9)
    return figure


def _product_lines(cases: dict[tuple[str, str], dict[str, list[tuple[int, float]]]], title: str) -> Any:
    columns = min(2, len(cases))
    figure, panels = plt.subplots(
        -(-len(cases) // columns), columns, squeeze=False, figsize=(6 * columns, 3.6 * -(-len(cases) // columns))
    )
    for axes in panels.flat[len(cases) :]:
        axes.remove()
    for axes, ((case, dtype), lines) in zip(panels.flat, cases.items()):
        for library, points in lines.items():
            rows = [(size**0.5, speed) for size, speed in sorted(points)]
            axes.plot(*zip(*rows), marker="o", label=library, color=COLOURS.get(library))
        axes.set_xscale("log", base=2)
        axes.set_xlabel("rows and columns")
        axes.set_ylabel("TFLOP/s")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        axes.legend(fontsize=8)
        axes.set_title(f"{case.split('/')[1].replace('_', ', ')}, {dtype}", fontsize=9)
    figure.suptitle(title, fontsize=9)
    figure.tight_layout()
    return figure
