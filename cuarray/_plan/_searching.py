"""Plans of searching and counting (kernels/search.cuh, histogram.cuh)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import storage_name
from cuarray._plan._common import Instance, Plan
from cuarray._tuning import Target


def search(target: Target, dtype: np.dtype, side: int, rows: int, n: int, count: int, wanted_step: int) -> Plan:
    """`count` values a row looked up in `rows` sorted rows of n: side 0 left, 1 right, 2 whether they are there."""
    blocks = _tuning.elementwise_blocks(target, rows * count)
    name = f"ca::search_sorted<{storage_name(dtype)}, {side}>"
    return Plan(
        Instance("search.cuh", name), (blocks, 1, 1), (target.block_threads, 1, 1), (rows, n, count, wanted_step)
    )


class CountPlan(NamedTuple):
    """One launch, into `tables` rows of counts that are then added; `zeroed`: it adds to zeros."""

    plan: Plan
    tables: int
    zeroed: bool


def count(target: Target, n: int, bins: int) -> CountPlan:
    """How often each of 0 .. bins-1 is among n int64."""
    policy = _tuning.count_policy(target, n, bins)
    words = (n, bins, policy.chunk)
    if policy.together:
        name = "ca::histograms::count_together"
    else:
        name = f"ca::histograms::count_in_blocks<{policy.held}, {target.block_threads}>"
    plan = Plan(Instance("histogram.cuh", name), (policy.blocks, 1, 1), (target.block_threads, 1, 1), words)
    return CountPlan(plan, 1 if policy.together else policy.blocks, policy.together)


def bin_numbers(target: Target, dtype: np.dtype, n: int, bins: int, uniform: bool) -> Plan:
    """The bin of each of n elements, the edges being of their dtype."""
    blocks = _tuning.elementwise_blocks(target, n)
    instance = Instance("histogram.cuh", f"ca::histograms::bin_numbers<{storage_name(dtype)}>")
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), (n, bins, int(uniform)))


def sums_in_order(n: int, bins: int) -> Plan:
    """Sums of n weights of float64 by their numbers, below `bins`, by one thread: for one-thread blocks."""
    return Plan(Instance("histogram.cuh", "ca::histograms::sum_in_order"), (1, 1, 1), (1, 1, 1), (n, bins, 0))


def segment_sums(target: Target, n: int, bins: int) -> Plan:
    """Sums of float64 between the bounds of `bins` segments, n elements in all."""
    lanes, blocks = _tuning.segment_policy(target, n, bins)
    threads = lanes if lanes > 1 else target.block_threads
    instance = Instance("histogram.cuh", f"ca::histograms::sum_segments<{lanes}>")
    return Plan(instance, (blocks, 1, 1), (threads, 1, 1), (n, bins, 0))
