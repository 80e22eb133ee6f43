"""Running cases: every library's result is compared with NumPy's, then all are timed in turn."""

from __future__ import annotations

import functools
import gc
import math
import platform
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

from benchmarks import timing
from benchmarks.case import Arrays, Call, Case, Draw, widen
from benchmarks.libraries import LIBRARIES, AbsentError, Bare, Library
from benchmarks.startup import PROGRAMS, REPEATS, Processes, Startup
from cuarray._timing import Sampler, Timing, format_seconds
from cuarray._timing import measure as measure_in_turn

FORMAT = 2  # of the JSON files; those without a number are older
MEMORY = 8 << 30  # bytes that arrays take at most
SETS = 64  # copies of the inputs at most
SECONDS = 0.2  # of timing a row
QUICK_SIZE, QUICK_SECONDS = 2**14, 0.01
PARTS = 4  # of a large result that are compared besides its ends


@functools.cache
def find_commit() -> str | None:
    """Of the checkout that the benchmarks are in."""
    command = ["git", "rev-parse", "HEAD"]
    try:
        done = subprocess.run(command, cwd=Path(__file__).parent, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.strip()


def find_libraries(names: Iterable[str], on_gpu: bool) -> tuple[list[Library], dict[str, str]]:
    """Those that are there, and why the others are not."""
    found, absent = [], {}
    for name in names:
        try:
            found.append(LIBRARIES[name](on_gpu))
        except AbsentError as error:
            absent[name] = str(error)
            print(f"{name} is absent: {error}", file=sys.stderr)
    return found, absent


def cache_bytes(on_gpu: bool) -> int:
    """The L2 cache's size."""
    if on_gpu:
        from cuda.core import Device

        return int(Device(0).properties.l2_cache_size)
    try:
        text = Path("/sys/devices/system/cpu/cpu0/cache/index2/size").read_text()
        return int(text.strip().removesuffix("K")) << 10
    except (OSError, ValueError):
        return 1 << 20


class Loaded:
    """The inputs of the cases at hand: drawn once, and on each library's device once."""

    def __init__(self, draw: Draw, sets: int) -> None:
        self.draw, self.sets = draw, sets
        self.beginnings = draw.beginnings(np.random.default_rng())
        self.wide: Arrays = tuple(map(widen, self.beginnings))
        self._on_device: dict[str, list[tuple[Any, ...]]] = {}

    @functools.cached_property
    def arrays(self) -> Arrays:
        """All of the arrays, on the CPU."""
        return self.draw.repeated(self.beginnings, np.tile)

    def on_device(self, library: Library) -> list[tuple[Any, ...]]:
        """The sets of a library: copies of the same arrays, repeated where they are to be."""
        if library.name not in self._on_device:
            first = self._placed(library)
            more = [tuple(map(library.another, first)) for _ in range(self.sets - 1)]
            self._on_device[library.name] = [first, *more]
        return self._on_device[library.name]

    def _placed(self, library: Library) -> tuple[Any, ...]:
        try:
            tile = library.namespace.tile
        except NotImplementedError:
            return tuple(map(library.to_device, self.arrays))
        return self.draw.repeated([library.to_device(x) for x in self.beginnings], tile)

    def first(self, library: Library) -> tuple[Any, ...]:
        """The first of these sets."""
        return self.on_device(library)[0]

    def drop(self) -> None:
        """Take the arrays off the devices."""
        self._on_device.clear()


class Session:
    """One run: the libraries, what is loaded, and what was found so far."""

    def __init__(
        self, against: Iterable[str], *, seconds: float = SECONDS, quick: bool = False, budget: float = math.inf
    ) -> None:
        from cuarray import _runtime

        self.runtime = _runtime.get()
        self.on_gpu = not self.runtime.host_is_device
        self.libraries, self.absent = find_libraries(["cuarray", *against], self.on_gpu)
        self.bare = Bare(self.on_gpu)
        self.seconds, self.quick, self.budget = (QUICK_SECONDS if quick else seconds), quick, budget
        self.cache = cache_bytes(self.on_gpu)
        self.processes = Processes(self.on_gpu, 1 if quick else REPEATS)
        self.loaded: Loaded | None = None
        self.rng = np.random.default_rng()
        self.spent: dict[str, float] = {}  # seconds, by family
        self.rows: list[dict[str, Any]] = []
        self.failed: list[dict[str, str]] = []
        self.lacking: list[dict[str, str]] = []
        self.skipped: list[str] = []

    # ---- cases
    def size(self, case: Case) -> int | None:
        """The size that a case has here; None if it is not measured here."""
        size = case.size if self.on_gpu else case.cpu_size
        return min(size, QUICK_SIZE) if size is not None and self.quick else size

    def label(self, case: Case | Startup) -> str:
        """What tells a case from the others."""
        return case.name if isinstance(case, Startup) else f"{case.name} {self.size(case)} {case.dtype}"

    def run(self, cases: Iterable[Case | Startup], after_each: Callable[[], object] = lambda: None) -> None:
        """Measure the cases, with a line of progress for each; `after_each` is called when a case is done."""
        here = {self.label(case): case for case in cases if isinstance(case, Startup) or self.size(case) is not None}
        gc.collect()
        gc.freeze()  # what the libraries brought: `free` looks for garbage after each case
        for number, (label, case) in enumerate(here.items(), 1):
            print(f"[{number}/{len(here)}] {label}: ", end="", file=sys.stderr, flush=True)
            if self.spent.get(case.family, 0) >= self.budget:
                self.skipped.append(label)
                print("skipped, its family has taken its time", file=sys.stderr)
                continue
            start, before = perf_counter(), len(self.rows)
            if isinstance(case, Startup):
                self.run_startup(case)
            else:
                self.run_case(case)
            self.spent[case.family] = self.spent.get(case.family, 0) + perf_counter() - start
            done = self.rows[before:]
            print(", ".join(f"{row['library']} {format_seconds(row['median_s'])}" for row in done), file=sys.stderr)
            after_each()
        self.unload()

    def run_startup(self, case: Startup) -> None:
        libraries = [library for library in self.libraries if library.name in PROGRAMS]
        self.processes.measure([library.name for library in libraries], case.cold)
        for library in libraries:
            try:
                self.rows.append(self.processes.row(case, library.name))
            except Exception as error:  # whatever it is, the other libraries go on
                self.note(case, library, error)

    def run_case(self, case: Case) -> None:
        size = self.size(case)
        assert size is not None
        draw = case.draw(size)
        libraries = [*self.libraries, *([self.bare] if case.bare else [])]
        sets = self.sets(case, draw)
        # The inputs, the result and one more that is being made, or as many results as sets.
        each = draw.nbytes * sets + 2 * max(draw.nbytes // max(len(draw.shapes), 1), 1) * sets
        together = each * len(libraries) <= MEMORY
        if self.loaded is None or (self.loaded.draw, self.loaded.sets) != (draw, sets):
            self.unload()
            self.loaded = Loaded(draw, sets)
        try:
            expected = None if case.verify else case.reference(self.loaded.wide)
        except Exception as error:  # the other cases go on
            self.note(case, None, error)
            return
        begin = len(self.rows)
        for group in [libraries] if together else [[library] for library in libraries]:
            if not together:
                self.free()
            self.run_together(case, size, expected, group)
            if not together or case.mutates:
                self.free()
        moved = max((row["bytes"] for row in self.rows[begin:]), default=0)  # the floor's result is not looked at
        for row in self.rows[begin:]:
            row["bytes"] = moved

    def run_together(self, case: Case, size: int, expected: np.ndarray | None, libraries: list[Library]) -> None:
        """Check the libraries' results, then time those that are right."""
        loaded = self.loaded
        assert loaded is not None
        draw = loaded.draw
        ready: list[tuple[Library, Sampler]] = []
        moved, kept = 0, loaded.sets
        for library in libraries:
            try:
                prepared = case.prepare(library, len(draw.shapes), functools.partial(loaded.first, library))
                sets = loaded.on_device(library)
                if library is not self.bare:
                    size_and_dtype = self.check(case, expected, library, prepared, sets[0])
                    moved = moved or case.bytes(draw, *size_and_dtype)
                    # Small operands may make a large result: then a few of it are more than the cache, and enough.
                    result = size_and_dtype[0] * size_and_dtype[1].itemsize
                    kept = min(loaded.sets, 1 + 4 * self.cache // max(result, 1))
                events = self.on_gpu and library.in_order and not case.wall
                run = timing.rotating(prepared.call, sets, kept)
                warm = kept + 1 if len(sets) > 1 else 0
                ready.append((library, Sampler(run, library.synchronize, events, prepared.prepare, warm)))
            except Exception as error:  # whatever it is, the other libraries and cases go on
                self.note(case, library, error)
        try:
            timings = measure_in_turn([sampler for _library, sampler in ready], self.seconds)
        except Exception as error:
            self.note(case, None, error)
            return
        for (library, _sampler), timed in zip(ready, timings):
            self.rows.append(self.row(case, size, library, timed) | {"bytes": moved})

    def check(
        self, case: Case, expected: np.ndarray | None, library: Library, prepared: Call, arrays: tuple[Any, ...]
    ) -> tuple[int, np.dtype]:
        """Compare what a library computes with the reference; returns the result's size and dtype.

        Large results repeat the reference. The first, the last and some other of its repetitions are compared: to bring
        gigabytes to the CPU takes longer than all that is timed.
        """
        assert self.loaded is not None
        times = self.loaded.draw.times
        if prepared.prepare is not None:
            prepared.prepare()
        result = prepared.call(*arrays)
        if times == 1 or expected is None or isinstance(result, np.ndarray):
            found = fetch(library, result)
            case.check(self.loaded.beginnings, expected, found, times)
            return found.size, found.dtype
        shape = tuple(extent * times for extent in expected.shape)
        if tuple(result.shape) != shape:
            raise AssertionError(f"the result has shape {tuple(result.shape)}, not {shape}")
        some = self.rng.integers(0, times, (PARTS, expected.ndim))
        for place in [(0,) * expected.ndim, (times - 1,) * expected.ndim, *some.tolist()]:
            part = tuple(slice(k * period, (k + 1) * period) for k, period in zip(place, expected.shape))
            found = fetch(library, result[part])
            case.check(self.loaded.beginnings, expected, found, 1)
        return math.prod(shape), found.dtype

    def row(self, case: Case, size: int, library: Library, timed: Timing) -> dict[str, Any]:
        """What the results say of a case and library."""
        assert self.loaded is not None
        by_events = timed.device is not None
        median, spread = (timed.device, timed.device_spread) if by_events else (timed.median, timed.spread)
        assert median is not None and spread is not None
        return {
            "case": case.name,
            "size": size,
            "dtype": case.dtype.name,
            "library": library.name,
            "median_s": median / case.operations,
            "spread": spread / case.operations,
            "wall_s": timed.median / case.operations,
            "clock": "events" if by_events else "wall",
            "repeats": timed.repeats,
            "calls": timed.calls * case.operations,
            "sets": self.loaded.sets,
            "shapes": self.loaded.draw.shapes,
            "flops": case.flops(*self.loaded.draw.shapes),
        }

    def sets(self, case: Case, draw: Draw) -> int:
        """How many copies of the inputs it takes to be four times the L2 cache."""
        if not case.rotate or not draw.nbytes or case.make is not None:
            return 1
        return max(1, min(SETS, -(-4 * self.cache // draw.nbytes)))

    # ---- memory, and what went wrong
    def unload(self) -> None:
        self.free()
        self.loaded = None

    def free(self) -> None:
        """Give all memory of arrays back, also what the libraries' pools keep."""
        if self.loaded is not None:
            self.loaded.drop()
        gc.collect()
        for library in self.libraries:
            library.synchronize()
            library.free()

    def note(self, case: Case | Startup, library: Library | None, error: Exception) -> None:
        """A case failed with a library, or the library cannot do it."""
        lines = str(error).strip().splitlines() or [""]
        name = "all" if library is None else library.name
        if isinstance(error, NotImplementedError) or (
            isinstance(error, RuntimeError) and "not implemented" in lines[0]
        ):
            self.lacking.append({"case": case.name, "library": name, "why": lines[0]})
            return
        dtype = "" if isinstance(case, Startup) else case.dtype.name
        message = f"{type(error).__name__}: {' '.join(lines)}"
        self.failed.append({"case": case.name, "dtype": dtype, "library": name, "error": message})
        print(f"{name} FAILED: {message}", file=sys.stderr)

    def results(self) -> dict[str, Any]:
        """Everything that `--json` writes."""
        device = self.runtime.describe()[0]
        versions = {"python": platform.python_version(), "numpy": np.__version__}
        return {
            "format": FORMAT,
            "commit": find_commit(),
            "device": device["name"],
            "backend": self.runtime.name,
            "driver": {key: str(value) for key, value in device.items() if key in ("driver", "runtime compiler")},
            "versions": versions | {library.name: library.version for library in self.libraries},
            "on": {library.name: library.device for library in self.libraries},
            "seconds": {family: round(seconds, 1) for family, seconds in self.spent.items()},
            "quick": self.quick,
            "cache_bytes": self.cache,
            "absent": self.absent,
            "lacking": self.lacking,
            "failed": self.failed,
            "skipped": self.skipped,
            "rows": self.rows,
        }


def fetch(library: Library, result: Any) -> np.ndarray:
    """A library's result as a NumPy array."""
    return np.asarray(result) if isinstance(result, (np.ndarray, float, int)) else library.to_numpy(result)
