"""Plans of searching, selecting and counting (kernels/search.cuh, select.cuh, histogram.cuh)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import storage_name
from cuarray._plan._common import Instance, Plan
from cuarray._plan._sorting import KEYS
from cuarray._tuning import Target


def search(target: Target, dtype: np.dtype, side: int, rows: int, n: int, count: int, wanted_step: int) -> Plan:
    """`count` values a row looked up in `rows` sorted rows of n: side 0 left, 1 right, 2 whether they are there."""
    blocks = _tuning.elementwise_blocks(target, rows * count)
    name = f"ca::search_sorted<{storage_name(dtype)}, {side}>"
    return Plan(
        Instance("search.cuh", name), (blocks, 1, 1), (target.block_threads, 1, 1), (rows, n, count, wanted_step)
    )


class SelectPlan(NamedTuple):
    """Two launches that count flags, one that says where they are, and `blocks` + 1 counts of int64 between them."""

    counting: tuple[Plan, Plan]
    place: Plan
    blocks: int


def select(target: Target, n: int, ranks: bool) -> SelectPlan:
    """Where `n` flags are set, or (`ranks`) how many are set up to each."""
    blocks, chunk = _tuning.chunks(target, n)
    threads = target.block_threads

    def plan(name: str, count: int) -> Plan:
        instance = Instance("select.cuh", f"ca::selecting::{name}")
        return Plan(instance, (count, 1, 1), (threads, 1, 1), (n, blocks, chunk))

    place = f"place_flags<{'true' if ranks else 'false'}, {threads}>"
    counting = (plan(f"count_flags<{threads}>", blocks), plan(f"scan_counts<{threads}>", 1))
    return SelectPlan(counting, plan(place, blocks), blocks)


def gather_rows(target: Target, itemsize: int, rows: int, n: int, inner: int, count: int, index_step: int) -> Plan:
    """out[row, j, k] = in[row, indices[row, j], k]."""
    blocks = _tuning.elementwise_blocks(target, rows * count * inner)
    instance = Instance("select.cuh", f"ca::selecting::gather_rows<{KEYS[itemsize]}>")
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), (rows, n, inner, count, index_step))


def scatter_rows(target: Target, itemsize: int, count: int) -> Plan:
    """out[indices[j]] = in[j]."""
    blocks = _tuning.elementwise_blocks(target, count)
    instance = Instance("select.cuh", f"ca::selecting::scatter_items<{KEYS[itemsize]}>")
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), (1, count, 1, count, 0))


def running_sums(target: Target, rows: int, n: int) -> Plan:
    """Running sums of float64 along rows."""
    instance = Instance("select.cuh", f"ca::selecting::sum_along_rows<double, {target.block_threads}>")
    blocks = _tuning.row_blocks(target, rows, n)
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), (rows, n, 1, n, 0))


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


def segment_sums(target: Target, n: int, bins: int) -> Plan:
    """Sums of float64 between the bounds of `bins` segments, n elements in all."""
    lanes, blocks = _tuning.segment_policy(target, n, bins)
    threads = lanes if lanes > 1 else target.block_threads
    instance = Instance("histogram.cuh", f"ca::histograms::sum_segments<{lanes}>")
    return Plan(instance, (blocks, 1, 1), (threads, 1, 1), (n, bins, 0))
