"""Plans of scans along an axis, and of reductions of runs (kernels/scan.cuh)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import SCRATCH_COUNTERS, Instance, Plan, collapse, pad, rank_for
from cuarray._plan._reduction import operation_name
from cuarray._tuning import Target


class ScanPlan(NamedTuple):
    """One launch, or two or three that share scratch memory."""

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
    policy = _tuning.scan_policy(target, outer, inner, length, in_order)
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

    def stage(number: int, lanes: int, blocks: int, strip: int) -> Plan:
        name = f"ca::scan<{operation}, {types}, {rank}, {lanes}, {strip}, {number}>"
        threads = lanes if lanes > 1 else target.block_threads
        return Plan(Instance("scan.cuh", name), (blocks, 1, 1), (threads, 1, 1), words)

    lanes, strip = policy.lanes, policy.strip
    if policy.chained:
        rows, tiles = outer * inner, -(-length // _tuning.SCAN_TILE)
        published = tiles + tiles // 32 + tiles // 1024 + 3  # a row: tiles, groups, sections
        name = f"<{operation}, {types}, {rank}, {lanes}>"
        begin_blocks = max(1, min(-(-rows * published // lanes), policy.blocks))
        launches = [("ca::scan_begin", begin_blocks), ("ca::scan_chained", policy.blocks)]
        return ScanPlan(
            tuple(
                Plan(Instance("scan.cuh", kernel + name), (blocks, 1, 1), (lanes, 1, 1), words)
                for kernel, blocks in launches
            ),
            SCRATCH_COUNTERS + rows * published * (4 + accumulator_bytes) + 32,
        )
    if splits == 1:
        return ScanPlan((stage(0, lanes, policy.blocks, strip),), 0)
    stages = (
        stage(1, lanes, policy.blocks, strip),
        stage(2, lanes, policy.middle_blocks, 1),
        stage(3, lanes, policy.blocks, strip),
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
