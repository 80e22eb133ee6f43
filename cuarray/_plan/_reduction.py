"""Plans of reductions (kernels/reduce.cuh)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


class ReducePlan(NamedTuple):
    """One launch, or two with accumulators in scratch memory between them."""

    first: Plan
    second: Plan | None
    scratch_bytes: int


def reduction(
    target: Target,
    functor: str,
    accumulator_bytes: int,
    source: Layout,
    axes: tuple[int, ...],
    loop: np.dtype,
    result: np.dtype,
) -> ReducePlan:
    """The launches that reduce `axes` of `source` into a C-contiguous result of the other axes."""
    keep = [axis for axis in range(source.ndim) if axis not in axes]
    kept_shape = tuple(source.shape[axis] for axis in keep)
    reduced_shape = tuple(source.shape[axis] for axis in axes)
    kept, reduced = math.prod(kept_shape), math.prod(reduced_shape)
    keep_shape, (keep_strides,) = collapse(kept_shape, [tuple(source.strides[axis] for axis in keep)])
    red_shape, (red_strides,) = collapse(reduced_shape, [tuple(source.strides[axis] for axis in axes)])
    inner = not keep_strides or bool(red_strides and abs(red_strides[-1]) <= abs(keep_strides[-1]))
    policy = _tuning.reduce_policy(target, kept, reduced, inner)
    run = -(-reduced // policy.splits)
    keep_rank, red_rank = rank_for(max(len(keep_shape), 1)), rank_for(max(len(red_shape), 1))
    words = (
        kept,
        reduced,
        policy.splits,
        run,
        reduced,
        *pad(keep_shape, keep_rank, 1),
        *pad(keep_strides, keep_rank, 0),
        *pad(red_shape, red_rank, 1),
        *pad(red_strides, red_rank, 0),
    )
    index = "int" if max(kept * policy.splits, reduced) < INT32_MAX else "long"

    def stage(number: int, lanes: int, blocks: int) -> Plan:
        names = ", ".join(CPP_NAMES[d] for d in (source.dtype, loop, result))
        operation = f"ca::reductions::{functor}<{CPP_NAMES[loop]}>"
        name = f"ca::reduce<{operation}, {names}, {index}, {keep_rank}, {red_rank}, {lanes}, {number}>"
        threads = lanes if lanes > 1 else target.block_threads
        return Plan(Instance("reduce.cuh", name), (blocks, 1, 1), (threads, 1, 1), words)

    if policy.splits == 1:
        return ReducePlan(stage(0, policy.lanes, policy.blocks), None, 0)
    return ReducePlan(
        stage(1, policy.lanes, policy.blocks),
        stage(2, policy.final_lanes, policy.final_blocks),
        kept * policy.splits * accumulator_bytes,
    )
