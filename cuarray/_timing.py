"""How long a call takes: batches of calls between two idle moments of the device, several kinds of calls in turn."""

from __future__ import annotations

import gc
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._streams import Event

BATCH_SECONDS = 0.01  # a batch has as many calls as take this long, so that the clock and waiting do not count
FEWEST, MOST = 5, 30  # batches: quartiles need a few
FEWEST_SLOW = 3  # where one call takes longer than the time there is


def format_seconds(value: float) -> str:
    """A time with its unit: 3.21 µs."""
    for unit, factor in (("s", 1), ("ms", 1e3), ("µs", 1e6)):
        if value * factor >= 1:
            return f"{value * factor:.3g} {unit}" if value * factor < 1000 else f"{value * factor:.0f} {unit}"
    return f"{value * 1e9:.3g} ns"


class Timing(NamedTuple):
    """How long a call takes, in seconds: the median over `repeats` batches of `calls` calls each.

    median, spread (between the quartiles) and minimum are the wall clock's, from an idle device until it is idle again;
    device and device_spread are the device's own, between two events around each batch, or None on the CPU.
    """

    median: float
    spread: float
    minimum: float
    repeats: int
    calls: int
    device: float | None = None
    device_spread: float | None = None

    def __repr__(self) -> str:
        text = f"{format_seconds(self.median)} a call, spread {format_seconds(self.spread)}"
        if self.device is not None and self.device_spread is not None:
            text += f"; on the device {format_seconds(self.device)}, spread {format_seconds(self.device_spread)}"
        return f"<{text}; {self.repeats} batches of {self.calls}>"


class Sampler:
    """What is timed: `run(count)` makes so many calls, `synchronize()` waits until the device is done with them.

    events: whether the work is in order with the current stream's, so that events on it give the device's time.
    prepare: what comes before each call and is not timed; a batch is then one call.
    warm: further calls before, after which there is memory for all results that are kept.
    """

    def __init__(
        self,
        run: Callable[[int], object],
        synchronize: Callable[[], object],
        events: bool,
        prepare: Callable[[], object] | None = None,
        warm: int = 0,
    ) -> None:
        self.run = run
        self.warm = warm
        self.synchronize = synchronize
        self.prepare = prepare
        self.events = (Event(), Event()) if events else None
        self.calls = 1
        self.slow = False
        self.walls: list[float] = []
        self.devices: list[float] = []

    def calibrate(self, seconds: float) -> None:
        """Warm up, and choose how many calls a batch has: enough of them to take a fifth of the `seconds` there are, or
        `BATCH_SECONDS`."""
        self._batch()  # compiling, and memory for a result
        if self.warm and self.prepare is None:
            self.run(self.warm)
        enough = min(BATCH_SECONDS, seconds / FEWEST)
        while (taken := self._batch()[0]) < enough and self.prepare is None:
            self.calls *= 2 if taken * 8 > enough else 8
        self.slow = self.calls == 1 and taken > seconds

    def _batch(self) -> tuple[float, float]:
        if self.prepare is not None:
            self.prepare()
        self.synchronize()
        start = perf_counter()
        if self.events is None:
            self.run(self.calls)
            self.synchronize()
            return perf_counter() - start, 0.0
        first, last = self.events
        first.record()
        self.run(self.calls)
        last.record()
        self.synchronize()
        wall = perf_counter() - start
        return wall, (last - first) / 1e3

    def sample(self, seconds: float) -> None:
        """Time one more batch, unless those so far took `seconds` and are enough."""
        fewest = FEWEST_SLOW if self.slow else FEWEST
        if len(self.walls) >= fewest and sum(self.walls) * self.calls >= seconds:
            return
        if self.prepare is None and not self.slow:
            self.run(1)  # others had the caches since
        wall, device = self._batch()
        self.walls.append(wall / self.calls)
        self.devices.append(device / self.calls)

    def result(self) -> Timing:
        """The figures of all batches."""
        timing = Timing(float(np.median(self.walls)), spread(self.walls), min(self.walls), len(self.walls), self.calls)
        if self.events is None:
            return timing
        return timing._replace(device=float(np.median(self.devices)), device_spread=spread(self.devices))


def spread(times: Sequence[float]) -> float:
    """Between the quartiles; 0 of a single time."""
    low, high = np.percentile(times, (25, 75))
    return float(high - low)


def measure(samplers: Sequence[Sampler], seconds: float) -> list[Timing]:
    """Time several things in turn, so that what changes meanwhile hits all alike; each for about `seconds`."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        for sampler in samplers:
            sampler.calibrate(seconds)
        for number in range(MOST):
            first = number % max(len(samplers), 1)  # each comes after each other one
            for sampler in [*samplers[first:], *samplers[:first]]:
                sampler.sample(seconds)
    finally:
        if collecting:
            gc.enable()
    return [sampler.result() for sampler in samplers]


def benchmark(function: Callable[..., Any], /, *args: Any, seconds: float = 0.3) -> Timing:
    """How long ``function(*args)`` takes, warm: compiling and copying the arguments' memory do not count.

    seconds: about how long to measure; at least five batches of calls are made, three if a call takes longer. The
    result has `median`, `spread` and `minimum` by the wall clock, and `device` by CUDA's events where there is a GPU,
    all in seconds a call. Calls of a batch may overlap on the GPU: a time is one over the rate of calls, for small
    arrays that of Python or of launches.
    ValueError unless `seconds` is positive; what the function raises is raised.

    >>> import cuarray as ca
    >>> x = ca.ones(1000)
    >>> timing = ca.testing.benchmark(lambda: x + 1, seconds=0.01)
    >>> 0 < timing.minimum <= timing.median
    True
    >>> ca.testing.benchmark(ca.add, x, x, seconds=0.01).repeats >= 5
    True
    """
    if not seconds > 0:
        raise ValueError(f"seconds must be positive, not {seconds!r}")
    runtime = _runtime.get()

    def run(count: int) -> None:
        for _ in range(count):
            function(*args)

    return measure([Sampler(run, runtime.synchronize_all, not runtime.host_is_device)], seconds)[0]
