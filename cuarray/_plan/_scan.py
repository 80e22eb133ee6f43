"""Plans of scans along an axis, and of reductions of runs (kernels/scan.cuh, kernels/scan_tiles.cuh)."""

from __future__ import annotations

import math
from functools import partial
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import SCRATCH_COUNTERS, Instance, Plan, collapse, pad, rank_for
from cuarray._plan._reduction import operation_name
from cuarray._tuning import Target


class ScanPlan(NamedTuple):
    """One launch, or three that share scratch memory."""

    stages: tuple[Plan, ...]
    scratch_bytes: int


def _rows(source: Layout, out: Layout, axis: int) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """The axes besides `axis`, ordered as they stand in memory and merged, with the strides of both arrays."""
    others = sorted((d for d in range(source.ndim) if d != axis), key=lambda d: -abs(source.strides[d]))
    shape = tuple(source.shape[d] for d in others)
    return collapse(shape, [tuple(own.strides[d] for d in others) for own in (source, out)])


def scan(
    target: Target,
    functor: str,
    accumulator_bytes: int,
    source: Layout,
    out: Layout,
    axis: int,
    loop: np.dtype,
    *,
    arguments: tuple[str, ...] = (),
    in_order: bool = False,
) -> ScanPlan:
    """The launches that scan `source`, which is not empty, along `axis` into `out`, of the same shape, any strides."""
    length = source.shape[axis]
    shape, strides = _rows(source, out, axis)
    in_step, out_step = source.strides[axis], out.strides[axis]
    side_by_side = bool(shape) and abs(strides[0][-1]) < abs(in_step)
    inner, in_inner, out_inner = 1, 0, 0
    if side_by_side:
        inner, in_inner, out_inner = shape[-1], strides[0][-1], strides[1][-1]
        shape, strides = shape[:-1], tuple(own[:-1] for own in strides)
    outer = math.prod(shape)
    pack = max(1, 16 // max(source.dtype.itemsize, out.dtype.itemsize))  # scan_items in kernels/scan_tiles.cuh
    policy = _tuning.scan_policy(target, outer, inner, length, in_order, pack)
    run = -(-length // policy.splits)
    splits = -(-length // run)
    rank = rank_for(max(len(shape), 1))
    words = (
        length,
        splits,
        run,
        in_step,
        out_step,
        inner,
        in_inner,
        out_inner,
        outer,
        *pad(shape, rank, 1),
        *(word for own in strides for word in pad(own, rank, 0)),
    )
    types = ", ".join(CPP_NAMES[d] for d in (source.dtype, loop, out.dtype))
    operation = operation_name(functor, loop, arguments)

    lanes, packs = policy.lanes, policy.packs

    def stage(kernel: str, *last: int, blocks: int = policy.blocks, threads: int = target.block_threads) -> Plan:
        parts = ", ".join(str(part) for part in (rank, *last))
        header = "scan.cuh" if kernel == "scan" else "scan_tiles.cuh"
        types_used = "" if kernel == "scan_totals" else f"{types}, "
        name = f"ca::{kernel}<{operation}, {types_used}{parts}>"
        return Plan(Instance(header, name), (blocks, 1, 1), (threads, 1, 1), words)

    if lanes > 1:
        threads = lanes if policy.chained or lanes > 32 else _tuning.SCAN_THREADS
        resident = _tuning.SCAN.shared_resident if policy.chained else _tuning.SCAN.resident
        plan = stage("scan_chained" if policy.chained else "scan_rows", lanes, packs, resident, threads=threads)
        scratch = 0
        if policy.chained:
            tiles = -(-length // (lanes * packs * pack))
            groups = tiles // 32 + 1
            words_of_a_note = -(-accumulator_bytes // 4)
            notes = tiles + groups + groups // 32 + 1  # a row: of tiles, groups and sections
            scratch = SCRATCH_COUNTERS + outer * inner * notes * 8 * words_of_a_note
        return ScanPlan((plan,), scratch)
    if splits == 1:
        return ScanPlan((stage("scan", policy.strip, 0),), 0)
    middle = partial(stage, blocks=policy.middle_blocks)
    stages = (
        stage("scan", policy.strip, 1),
        middle("scan", 1, 2) if target.one_thread_blocks else middle("scan_totals", threads=_tuning.SCAN_THREADS),
        stage("scan", policy.strip, 3),
    )
    return ScanPlan(stages, SCRATCH_COUNTERS + outer * inner * splits * accumulator_bytes)


def reduce_at(
    target: Target,
    functor: str,
    source: Layout,
    out: Layout,
    axis: int,
    loop: np.dtype,
    *,
    arguments: tuple[str, ...] = (),
    in_order: bool = False,
) -> Plan:
    """The launch that reduces runs of `source` along `axis` into `out`, whose extent there is the number of runs."""
    shape, strides = _rows(source, out, axis)
    length, count, outer = source.shape[axis], out.shape[axis], math.prod(shape)
    lanes, blocks = _tuning.reduce_at_policy(target, outer * count, length * outer, in_order)
    rank = rank_for(max(len(shape), 1))
    words = (
        length,
        count,
        source.strides[axis],
        out.strides[axis],
        outer,
        *pad(shape, rank, 1),
        *(word for own in strides for word in pad(own, rank, 0)),
    )
    types = ", ".join(CPP_NAMES[d] for d in (source.dtype, loop, out.dtype))
    name = f"ca::reduce_at<{operation_name(functor, loop, arguments)}, {types}, {rank}, {lanes}>"
    threads = lanes if lanes > 1 else target.block_threads
    return Plan(Instance("scan.cuh", name), (blocks, 1, 1), (threads, 1, 1), words)
