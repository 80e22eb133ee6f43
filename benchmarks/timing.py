"""Comparing a library's result with NumPy's, and measuring how long a call takes."""

from __future__ import annotations

import gc
import statistics
from collections.abc import Callable
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np

BATCH_SECONDS = 0.01  # a batch has as many calls as take this long, so that the clock and waiting do not count
TOTAL_SECONDS = 0.2
FEWEST, MOST = 5, 20  # batches: quartiles need a few, even of slow calls


class Timing(NamedTuple):
    """Seconds a call."""

    median: float
    spread: float  # between the quartiles
    repeats: int  # batches
    calls: int  # in each batch


def check(result: np.ndarray, expected: np.ndarray, dtype: np.dtype, tolerance: float) -> None:
    """Raise an AssertionError unless a result has NumPy's dtype, shape and values; `dtype` is that of the inputs."""
    if expected.dtype.kind != "f":
        dtype, tolerance = expected.dtype, 0
    if result.dtype != dtype:
        raise AssertionError(f"the result is {result.dtype}, not {dtype}")
    if result.shape != expected.shape:
        raise AssertionError(f"the result has shape {result.shape}, not {expected.shape}")
    np.testing.assert_allclose(result, expected, rtol=tolerance, atol=0)


def measure(call: Callable[[], Any], synchronize: Callable[[], None]) -> Timing:
    """Time batches of calls, by the wall clock, from an idle device until it is idle again."""

    def batch(calls: int) -> float:
        synchronize()
        start = perf_counter()
        for _ in range(calls):
            call()
        synchronize()
        return perf_counter() - start

    collecting = gc.isenabled()
    gc.disable()
    try:
        batch(2)  # warm-up: compiling, and memory for the results
        calls = 1
        while batch(calls) < BATCH_SECONDS:
            calls *= 2
        times: list[float] = []
        while len(times) < FEWEST or (len(times) < MOST and sum(times) < TOTAL_SECONDS):
            times.append(batch(calls))
    finally:
        if collecting:
            gc.enable()
    times = [time / calls for time in times]
    low, _, high = statistics.quantiles(times, n=4, method="inclusive")
    return Timing(statistics.median(times), high - low, len(times), calls)
