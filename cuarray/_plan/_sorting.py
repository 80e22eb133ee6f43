"""Plans of sorting (kernels/sort.cuh)."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import storage_name
from cuarray._plan._common import Instance, Plan
from cuarray._tuning import Target


class SortPlan(NamedTuple):
    """Launches one after another, with scratch memory that they share."""

    launches: tuple[Plan, ...]
    scratch_bytes: int


_DIGITS = 256  # as radix_size in order.cuh
# key_t in order.cuh, by the bytes of an element
KEYS = {1: "unsigned char", 2: "unsigned short", 4: "unsigned int", 8: "unsigned long", 16: "ca::WideKey"}


class _Scratch:
    """Places in scratch memory, given out one after another."""

    def __init__(self) -> None:
        self.bytes = 0

    def take(self, nbytes: int) -> int:
        offset = self.bytes
        self.bytes += -(-nbytes // 256) * 256
        return offset


def _words(
    rows: int,
    n: int,
    blocks: int = 1,
    chunk: int = 0,
    descending: bool = False,
    pass_: int = 0,
    passes: int = 0,
    values: tuple[int, int] = (0, 0),
    indices: tuple[int, int] = (0, 0),
    tables: tuple[int, int, int, int] = (0, 0, 0, -1),  # counts, totals, partial, mask
    partials: int = 0,
) -> tuple[int, ...]:
    return (rows, n, blocks, chunk, int(descending), pass_, passes, *values, *indices, *tables, partials)


def sort(
    target: Target, dtype: np.dtype, rows: int, n: int, values: bool, indices: bool, descending: bool = False
) -> SortPlan:
    """The launches that sort the `rows` rows, `n` long, of a C-contiguous matrix: its values, the indices, or both.

    The words before a plan's own: where the values go, the matrix, the scratch memory, where the indices go.
    """
    cpp = storage_name(dtype)
    policy = _tuning.sort_policy(target, rows, n, dtype.itemsize)
    flag = "true" if indices else "false"
    if policy.tile:
        extent = 1 << max(1, (n - 1).bit_length())
        name = f"ca::sorting::sort_tiles<{cpp}, {policy.tile}, {policy.threads}>"
        words = _words(rows, n, chunk=extent, descending=descending)
        return SortPlan((_plan(name, policy.blocks, policy.threads, words),), 0)
    scratch = _Scratch()
    if policy.whole_rows:
        item = dtype.itemsize if not indices else 2 * max(dtype.itemsize, 4)
        buffers = scratch.take(policy.blocks * 2 * n * item)
        name = f"ca::sorting::sort_rows<{cpp}, {flag}>"
        words = _words(rows, n, descending=descending, values=(buffers, 0))
        return SortPlan((_plan(name, policy.blocks, 1, words),), scratch.bytes)
    wide = n >= 2**32
    index, index_bytes = ("unsigned long", 8) if wide else ("unsigned int", 4)
    passes = dtype.itemsize
    value_buffers = tuple(scratch.take(rows * n * dtype.itemsize) if k or not values else -1 for k in range(2))
    index_buffers = tuple(scratch.take(rows * n * index_bytes) if indices else 0 for _ in range(2))
    counts = scratch.take(rows * _DIGITS * policy.blocks * index_bytes)
    totals = scratch.take(rows * _DIGITS * index_bytes)
    # A look for digits that are all the same costs about what a third of a pass does.
    partials = policy.partials if passes > 2 else 0
    tables = (counts, totals, 0, -1)
    if partials:
        tables = (counts, totals, scratch.take(partials * dtype.itemsize), scratch.take(dtype.itemsize))
    threads = policy.threads

    def launch(name: str, blocks: int, pass_: int = 0, own: int = threads) -> Plan:
        words = _words(
            rows,
            n,
            policy.blocks,
            policy.chunk,
            descending,
            pass_,
            passes,
            value_buffers,  # type: ignore[arg-type]
            index_buffers,  # type: ignore[arg-type]
            tables,
            partials,
        )
        return _plan(f"ca::sorting::{name}", blocks, own, words)

    launches = []
    if partials:
        launches.append(launch(f"radix_varying<{cpp}, {threads}, 0>", partials))
        launches.append(launch(f"radix_varying<{cpp}, {threads}, 1>", 1))
    for number in range(passes):
        launches.append(launch(f"radix_count<{cpp}, {index}, {threads}>", rows * policy.blocks, number))
        scan = f"radix_scan<{KEYS[dtype.itemsize]}, {index}, {threads}>"
        launches.append(launch(scan, _tuning.sort_scan_blocks(target, rows * _DIGITS), number))
        scatter = f"radix_scatter<{cpp}, {index}, {flag}, {threads}, {policy.items}>"
        launches.append(launch(scatter, rows * policy.blocks, number))
    finish = f"radix_finish<{cpp}, {index}, {flag}>"
    launches.append(launch(finish, _tuning.elementwise_blocks(target, rows * n), own=target.block_threads))
    return SortPlan(tuple(launches), scratch.bytes)


def _plan(name: str, blocks: int, threads: int, words: tuple[int, ...]) -> Plan:
    return Plan(Instance("sort.cuh", name), (blocks, 1, 1), (threads, 1, 1), words)
