"""Timing for the benchmarks, by what `cuarray.testing.benchmark` is made of: calls over rotating inputs."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from cuarray._timing import Sampler, Timing
from cuarray._timing import measure as measure_in_turn

TOTAL_SECONDS = 0.2


def rotating(call: Callable[..., Any], sets: Sequence[tuple[Any, ...]], kept: int = 1) -> Callable[[int], None]:
    """A function that makes so many calls, with one set of arrays after the other.

    Of several sets so many results are kept, so that new ones do not go where one was just written.
    """
    if len(sets) == 1:
        arrays = sets[0]

        def run(count: int) -> None:
            for _ in itertools.repeat(None, count):
                call(*arrays)

        return run
    following = itertools.cycle(sets)
    results: deque[Any] = deque(maxlen=kept)

    def run_rotating(count: int) -> None:
        for arrays in itertools.islice(following, count):
            results.append(call(*arrays))

    return run_rotating


def measure(call: Callable[[], Any], synchronize: Callable[[], object]) -> Timing:
    """Time a call by the wall clock, from an idle device until it is idle again."""
    return measure_in_turn([Sampler(rotating(call, [()]), synchronize, events=False)], TOTAL_SECONDS)[0]
