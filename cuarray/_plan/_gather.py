"""Plans of reading and writing by index arrays, and of compaction (kernels/gather, scatter and compact.cuh)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES, item_name, storage_name
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target

MODES = {"raise": "ca::indexing::Raise", "wrap": "ca::indexing::Wrap", "clip": "ca::indexing::Clip"}
POINTERS = 4  # index arrays that have a pointer each in the head of a kernel's parameter


class Indexed(NamedTuple):
    """Which elements of an array index arrays name: all that a plan needs to know."""

    rest_shape: tuple[int, ...]  # the axes that are not indexed ...
    rest_strides: tuple[int, ...]
    insert: int  # ... and how many of them come before those of the index arrays
    shape: tuple[int, ...]  # that the index arrays broadcast to
    indices: tuple[Layout, ...]
    extents: tuple[int, ...]  # of what each index array indexes
    strides: tuple[int, ...]
    walked: tuple[int, ...] = ()  # for `gather`: the array's own strides along the index arrays' axes, if it has any

    @property
    def result(self) -> tuple[int, ...]:
        """The shape of what is read or written."""
        return (*self.rest_shape[: self.insert], *self.shape, *self.rest_shape[self.insert :])

    def spread(self, rest: Sequence[int], own: Sequence[int]) -> tuple[int, ...]:
        """A value for each axis of the result, of those for the axes not indexed and those of the index arrays."""
        return (*rest[: self.insert], *own, *rest[self.insert :])

    @property
    def pointers(self) -> int:
        """How many of the index arrays have a pointer: the rest stands behind the first one."""
        return len(self.indices) if len(self.indices) <= POINTERS else 1

    @property
    def step(self) -> int:
        """From an index array to the next, where they stand one after another."""
        return math.prod(self.shape) * 8 if len(self.indices) > POINTERS else 0


def gather(target: Target, dtype: np.dtype, where: Indexed, mode: str) -> Plan:
    """The launch that reads into a C-contiguous result."""
    zeros = (0,) * len(where.rest_shape)
    operands = [where.spread(where.rest_strides, where.walked or (0,) * len(where.shape))]
    operands += [
        where.spread(zeros, broadcast_strides(index, where.shape)) for index in where.indices[: where.pointers]
    ]
    shape, strides = collapse(where.result, operands)
    size, inner = math.prod(shape), 1
    if target.one_thread_blocks and shape and strides[0][-1] == dtype.itemsize and not any(s[-1] for s in strides[1:]):
        inner = shape[-1]
        shape, strides = shape[:-1], tuple(own[:-1] for own in strides)
    rows = size // inner
    blocks = min(_tuning.elementwise_blocks(target, size), rows)
    rank = rank_for(max(len(shape), 1))
    reach = max(sum((e - 1) * abs(s) for e, s in zip(shape, own, strict=True)) for own in strides)
    index = "int" if max(size + blocks * target.block_threads, reach) <= INT32_MAX else "long"
    count = len(where.indices)
    types = f"{item_name(dtype)}, {CPP_NAMES[where.indices[0].dtype]}, {index}"
    name = f"ca::indexing::gather<{types}, {count}, {rank}, {MODES[mode]}, {str(inner > 1).lower()}>"
    words = (
        rows,
        inner,
        where.step,
        *where.extents,
        *where.strides,
        *pad(shape, rank, 1),
        *(word for own in strides for word in pad(own, rank, 0)),
    )
    return Plan(Instance("gather.cuh", name), (blocks, 1, 1), (target.block_threads, 1, 1), words)


def unravel(target: Target, index: np.dtype, size: int, shape: tuple[int, ...]) -> Plan:
    """The launch that turns `size` positions in an array of this shape into coordinates."""
    blocks = _tuning.elementwise_blocks(target, size)
    name = f"ca::indexing::unravel<{CPP_NAMES[index]}, {len(shape)}>"
    words = (size, math.prod(shape), *shape)
    return Plan(Instance("gather.cuh", name), (blocks, 1, 1), (target.block_threads, 1, 1), words)


# ---- writing


def _pair(out: np.dtype, source: np.dtype) -> str:
    if out == source:
        return f"{item_name(out)}, {item_name(out)}"
    return f"{storage_name(out)}, {storage_name(source)}"


def assign_update(out: np.dtype, value: np.dtype) -> str:
    """The Update that stores a value."""
    return f"ca::indexing::Assign<{_pair(out, value)}>"


def unary_update(functor: str, out: np.dtype, loop: Sequence[np.dtype]) -> str:
    """The Update that applies a functor of one operand; loop: its dtypes, the result's last."""
    return f"ca::indexing::Unary<{', '.join((functor, *(storage_name(d) for d in (out, *loop))))}>"


def binary_update(functor: str, out: np.dtype, value: np.dtype, loop: Sequence[np.dtype]) -> str:
    """The Update that applies a functor of two operands; loop: its dtypes, the result's last."""
    return f"ca::indexing::Binary<{', '.join((functor, *(storage_name(d) for d in (out, value, *loop))))}>"


def atomic_update(functor: str, out: np.dtype, value: np.dtype) -> str:
    """The Update that does it by an atomic operation, for integers."""
    return f"ca::indexing::Atomic<{functor}, {storage_name(out)}, {storage_name(value)}>"


class ScatterPlan(NamedTuple):
    """The launches that write, and what they work with; between `slots` and `write` of "sort" the slots are sorted."""

    kind: str  # "direct", "vote" or "sort"
    write: Plan
    slots: Plan | None = None
    vote: Plan | None = None


def scatter(
    target: Target,
    where: Indexed,
    values: tuple[int, ...],
    update: str,
    *,
    mode: str = "raise",
    unique: bool = False,
    voting: bool = False,
) -> ScatterPlan:
    """The launches that write at the elements that index arrays name.

    values: the values' strides along the result's axes. unique: whether the order of equal tuples does not matter.
    voting: whether only the last of equal tuples counts.
    """
    ndim = len(where.shape)
    b_values = values[where.insert : where.insert + ndim]
    r_values = (*values[: where.insert], *values[where.insert + ndim :])
    indices = [broadcast_strides(index, where.shape) for index in where.indices[: where.pointers]]
    b_shape, (b_values, *indices) = collapse(where.shape, [b_values, *indices])
    r_shape, (r_out, r_values) = collapse(where.rest_shape, [where.rest_strides, r_values])
    nb, nr = rank_for(max(len(b_shape), 1)), rank_for(max(len(r_shape), 1))
    count, inner, slots = math.prod(b_shape), math.prod(r_shape), math.prod(where.extents)
    words = (
        count,
        inner,
        where.step,
        slots,
        *where.extents,
        *where.strides,
        *pad(b_shape, nb, 1),
        *pad(b_values, nb, 0),
        *(word for own in indices for word in pad(own, nb, 0)),
        *pad(r_shape, nr, 1),
        *pad(r_out, nr, 0),
        *pad(r_values, nr, 0),
    )
    lanes = target.block_threads
    ranks = f"{len(where.indices)}, {nb}, {nr}"
    index = CPP_NAMES[where.indices[0].dtype]

    def launch(name: str, items: int, own: tuple[int, ...] = words) -> Plan:
        blocks = _tuning.elementwise_blocks(target, items)
        return Plan(Instance("scatter.cuh", f"ca::indexing::{name}"), (blocks, 1, 1), (lanes, 1, 1), own)

    if unique:
        plan = launch(f"scatter<{update}, {index}, {ranks}, {MODES[mode]}, {lanes}>", count * inner)
        if target.one_thread_blocks:
            plan = plan._replace(grid=(min(plan.grid[0], count), 1, 1))
        return ScatterPlan("direct", plan)
    if target.one_thread_blocks:
        plan = launch(f"scatter_ordered<{update}, {index}, {ranks}, {MODES[mode]}>", count * inner)
        return ScatterPlan("direct", plan._replace(grid=(_tuning.ordered_blocks(target, count, inner, slots), 1, 1)))
    tuples = launch(f"index_slots<{index}, {ranks}, {MODES[mode]}, {lanes}>", count)
    if voting and count <= INT32_MAX and slots <= _tuning.SLOTS_LEAST + _tuning.SLOTS_A_TUPLE * count:
        write = launch(f"scatter_slots<{update}, {ranks}, {lanes}>", count * inner)
        return ScatterPlan("vote", write, tuples, launch(f"vote<{lanes}>", count, (count,)))
    write = launch(f"scatter_sorted<{update}, {ranks}, {lanes}>", count * inner)
    return ScatterPlan("sort", write, tuples)


# ---- compaction


class CompactPlan(NamedTuple):
    """Three launches; the total is known after the second, and stands behind the counts."""

    tally: Plan
    scan: Plan
    write: Plan
    counts: int


def compact(
    target: Target, mask: np.dtype, size: int, item: np.dtype | None, one_nan: bool | None = None
) -> CompactPlan:
    """The launches that write the positions of true elements (item None), or elements of another array there.

    With `one_nan` the mask has sorted elements, of which the first of equal ones counts as true; it says whether all
    NaNs are equal.
    """
    lanes = target.block_threads
    blocks = _tuning.compact_blocks(target, size)
    run = -(-size // blocks)
    own = "void" if item is None else item_name(item)
    mask_name = storage_name(mask)
    if one_nan is not None:
        nan = "true" if one_nan and mask.kind not in "biu" else "false"
        mask_name = f"ca::indexing::FirstOfEquals<{mask_name}, {nan}>"

    def launch(name: str) -> Plan:
        return Plan(
            Instance("compact.cuh", f"ca::indexing::{name}, {lanes}>"), (blocks, 1, 1), (lanes, 1, 1), (size, run)
        )

    scan = Instance("compact.cuh", f"ca::indexing::exclusive_scan<{lanes}>")
    return CompactPlan(
        launch(f"compact_count<{mask_name}"),
        Plan(scan, (1, 1, 1), (lanes, 1, 1), (blocks,)),
        launch(f"compact_write<{mask_name}, {own}"),
        blocks,
    )
