"""Plans of sorting (kernels/sort.cuh: short rows; sort_chunks.cuh, sort_passes.cuh: long ones) and of select*.cuh."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import storage_name
from cuarray._plan._common import Instance, Plan
from cuarray._tuning import ChunkSelectPolicy, ChunkSortPolicy, PassSortPolicy, RowSortPolicy, Target


class SortPlan(NamedTuple):
    """Launches one after another, with scratch memory that they share."""

    launches: tuple[Plan, ...]
    scratch_bytes: int


_DIGITS = 256  # as radix_size in order.cuh
# Rows of at least so many elements take counts and indices of 64 bits: two bits of a count say whether it is there.
_WIDE = 2**30
_ROW_WORDS = 32  # row_words in sort_passes.cuh
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


class _Rows(NamedTuple):
    """What is sorted, and what is wanted of it."""

    dtype: np.dtype
    rows: int
    n: int
    values: bool
    indices: bool
    descending: bool

    @property
    def cpp(self) -> str:
        return storage_name(self.dtype)

    @property
    def flag(self) -> str:
        return "true" if self.indices else "false"

    @property
    def counts(self) -> tuple[str, int]:
        """Of counts and indices in scratch memory: the type and its bytes."""
        return ("unsigned long", 8) if self.n >= _WIDE else ("unsigned int", 4)

    @property
    def nbytes(self) -> int:
        return self.rows * self.n * self.dtype.itemsize


def sort(
    target: Target, dtype: np.dtype, rows: int, n: int, values: bool, indices: bool, descending: bool = False
) -> SortPlan:
    """The launches that sort the `rows` rows, `n` long, of a C-contiguous matrix: its values, the indices, or both.

    The words before a plan's own: where the values go, the matrix, the scratch memory, where the indices go.
    """
    wanted = _Rows(dtype, rows, n, values, indices, descending)
    policy = _tuning.sort_policy(target, rows, n, dtype.itemsize, wanted.counts[1] if indices else 0)
    if isinstance(policy, RowSortPolicy):
        return _short_rows(wanted, policy)
    if isinstance(policy, ChunkSortPolicy):
        return _in_chunks(target, wanted, policy)
    return _in_passes(wanted, policy)


def _short_rows(of: _Rows, policy: RowSortPolicy) -> SortPlan:
    extent = 1 << max(1, (of.n - 1).bit_length())
    words = (of.rows, of.n, int(of.descending), extent)
    if policy.tile:
        name = f"sort_tiles<{of.cpp}, {policy.tile}, {policy.threads}>"
        return SortPlan((_plan("sort.cuh", name, policy.blocks, policy.threads, words),), 0)
    item = of.dtype.itemsize if not of.indices else 2 * max(of.dtype.itemsize, 4)
    launch = _plan("sort.cuh", f"sort_rows<{of.cpp}, {of.flag}>", policy.blocks, 1, words)
    return SortPlan((launch,), policy.blocks * 2 * of.n * item)


def _in_chunks(target: Target, of: _Rows, policy: ChunkSortPolicy) -> SortPlan:
    index, index_bytes = of.counts
    passes = of.dtype.itemsize
    scratch = _Scratch()
    value_buffers = tuple(scratch.take(of.nbytes) if k or not of.values else -1 for k in range(2))
    index_buffers = tuple(scratch.take(of.rows * of.n * index_bytes) if of.indices else 0 for _ in range(2))
    counts = scratch.take(of.rows * _DIGITS * policy.blocks * index_bytes)
    totals = scratch.take(of.rows * _DIGITS * index_bytes)
    # A look for digits that are all the same costs about what a third of a pass does.
    partials = policy.partials if passes > 2 else 0
    partial, mask = (scratch.take(partials * passes), scratch.take(passes)) if partials else (0, -1)

    def launch(name: str, blocks: int, number: int = 0) -> Plan:
        head = (of.rows, of.n, policy.blocks, policy.chunk, int(of.descending), number, passes)
        words = (*head, *value_buffers, *index_buffers, counts, totals, partial, mask, partials)
        return _plan("sort_chunks.cuh", name, blocks, 1, words)

    launches = []
    if partials:
        launches.append(launch(f"radix_varying<{of.cpp}, 0>", partials))
        launches.append(launch(f"radix_varying<{of.cpp}, 1>", 1))
    for number in range(passes):
        launches.append(launch(f"radix_count<{of.cpp}, {index}>", of.rows * policy.blocks, number))
        launches.append(launch(f"radix_scan<{KEYS[passes]}, {index}>", 1, number))
        launches.append(launch(f"radix_scatter<{of.cpp}, {index}, {of.flag}>", of.rows * policy.blocks, number))
    finish_blocks = _tuning.elementwise_blocks(target, of.rows * of.n)
    launches.append(launch(f"radix_finish<{of.cpp}, {index}, {of.flag}>", finish_blocks))
    return SortPlan(tuple(launches), scratch.bytes)


def _in_passes(of: _Rows, policy: PassSortPolicy) -> SortPlan:
    index, index_bytes = of.counts
    passes = of.dtype.itemsize
    scratch = _Scratch()
    scratch.take(4 * (_ROW_WORDS + of.rows))
    counts = scratch.take(of.rows * passes * _DIGITS * index_bytes)
    table_bytes = of.rows * policy.tiles * _DIGITS * index_bytes
    published = [scratch.take(table_bytes)]
    zeroed = scratch.bytes
    published.append(scratch.take(table_bytes) if passes > 1 else 0)
    # The last pass writes the results, the one before it what the last one reads, the second buffer.
    first = -1 if of.values else scratch.take(of.nbytes) if passes > 2 else 0
    value_buffers = (first, scratch.take(of.nbytes) if passes > 1 else 0)
    index_buffer = scratch.take(of.rows * of.n * index_bytes) if of.indices and passes > 1 else 0
    own = _tuning.SORT

    def launch(name: str, blocks: int, threads: int, number: int = 0) -> Plan:
        head = (of.rows, of.n, int(of.descending), number, policy.count_blocks, policy.tiles)
        words = (*head, *value_buffers, index_buffer, counts, *published, zeroed)
        return _plan("sort_passes.cuh", name, blocks, threads, words)

    how = f"{own.threads}, {policy.items}, {own.resident}, {own.reads}, {'true' if own.ballots else 'false'}"
    histogram = f"radix_histogram<{of.cpp}, {index}, {own.count_threads}, {own.count_loads}>"
    one_pass = f"radix_pass<{of.cpp}, {index}, {of.flag}, {how}>"
    launches = [
        launch(f"radix_begin<{own.threads}>", policy.begin_blocks, own.threads),
        launch(histogram, of.rows * policy.count_blocks, own.count_threads),
        *(launch(one_pass, of.rows * policy.tiles, own.threads, number) for number in range(passes)),
    ]
    return SortPlan(tuple(launches), scratch.bytes)


_SELECT_WORDS = 288  # select_words in select.cuh


def select(target: Target, dtype: np.dtype, rows: int, n: int, k: int, descending: bool) -> SortPlan | None:
    """The launches that find the `k` first elements of each row and their indices, in no order; None: sort instead.

    The words before a plan's own: where the values go, the matrix, the scratch memory, where the indices go.
    """
    policy = _tuning.select_chunks(target, rows, n, k, dtype.itemsize)
    if policy is not None:
        return _select_in_chunks(dtype, rows, n, k, descending, policy)
    blocks = _tuning.select_blocks(target, rows, n, k, dtype.itemsize)
    if not blocks:
        return None
    levels = dtype.itemsize
    scratch = _Scratch()
    counts = scratch.take(rows * levels * _SELECT_WORDS * 4)
    zeroed = scratch.bytes
    found, parts = scratch.take(16 * rows), scratch.take(8 * rows * blocks)
    own = _tuning.SORT
    cpp, threads, items = storage_name(dtype), own.count_threads, own.count_loads
    chunk = -(-n // blocks)

    def launch(name: str, grid: int, level: int = 0) -> Plan:
        words = (rows, n, k, int(descending), level, blocks, chunk, found, counts, parts, zeroed)
        return _plan("select.cuh", name, grid, threads, words)

    launches = [
        launch(f"select_begin<{threads}>", max(1, min(target.processors, zeroed // (8 * threads)))),
        *(launch(f"select_digit<{cpp}, {threads}, {items}>", rows * blocks, level) for level in range(levels)),
        launch(f"select_count<{cpp}, {threads}, {items}>", rows * blocks),
        launch(f"select_write<{cpp}, {threads}, {items}>", rows * blocks),
    ]
    return SortPlan(tuple(launches), scratch.bytes)


def _select_in_chunks(
    dtype: np.dtype, rows: int, n: int, k: int, descending: bool, policy: ChunkSelectPolicy
) -> SortPlan:
    cpp, item, several = storage_name(dtype), dtype.itemsize, policy.blocks > 1
    scratch = _Scratch()
    own, joined = policy.grid * policy.room, rows * policy.blocks * k if several else 0
    places = [scratch.take(item * own), scratch.take(item * own), scratch.take(8 * own)]
    places.append(scratch.take(8 * policy.grid if several else 0))
    places += [scratch.take(item * joined), scratch.take(item * joined), scratch.take(8 * joined)]
    words = (rows, n, k, int(descending), policy.blocks, policy.chunk, policy.room, policy.looks, *places)
    launches = [_plan("select_chunks.cuh", f"select_chunks<{cpp}>", policy.grid, 1, words)]
    if several:
        launches.append(_plan("select_chunks.cuh", f"select_join<{cpp}>", rows, 1, words))
    return SortPlan(tuple(launches), scratch.bytes)


def _plan(header: str, name: str, blocks: int, threads: int, words: tuple[int, ...]) -> Plan:
    return Plan(Instance(header, f"ca::sorting::{name}"), (blocks, 1, 1), (threads, 1, 1), words)
