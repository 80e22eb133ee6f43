"""Plans of reductions (kernels/reduce.cuh)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


class ReducePlan(NamedTuple):
    """One launch, or two with accumulators in scratch memory between them."""

    first: Plan
    second: Plan | None
    scratch_bytes: int


def operation_name(functor: str, loop: np.dtype, arguments: tuple[str, ...] = ()) -> str:
    """The C++ type of a reduction: its template, the loop's type, and what else the template takes."""
    return f"ca::reductions::{functor}<{', '.join((CPP_NAMES[loop], *arguments))}>"


def reduction(
    target: Target,
    functor: str,
    accumulator_bytes: int,
    source: Layout,
    axes: tuple[int, ...],
    loop: np.dtype,
    result: np.dtype,
    *,
    arguments: tuple[str, ...] = (),
    mask: Layout | None = None,
    initial: bool = False,
    in_order: bool = False,
) -> ReducePlan:
    """The launches that reduce `axes` of `source` into a C-contiguous result of the other axes.

    `arguments` are template arguments of the functor besides the loop's type; `mask` broadcasts to `source`;
    `in_order`: items must be combined one after the other.
    """
    strides = [source.strides] + ([broadcast_strides(mask, source.shape)] if mask else [])
    keep = [axis for axis in range(source.ndim) if axis not in axes]
    kept_shape = tuple(source.shape[axis] for axis in keep)
    reduced_shape = tuple(source.shape[axis] for axis in axes)
    kept, reduced = math.prod(kept_shape), math.prod(reduced_shape)
    keep_shape, keep_strides = collapse(kept_shape, [tuple(own[axis] for axis in keep) for own in strides])
    red_shape, red_strides = collapse(reduced_shape, [tuple(own[axis] for axis in axes) for own in strides])
    keep_step = abs(keep_strides[0][-1]) if keep_shape else 0
    inner = not keep_shape or bool(red_shape and abs(red_strides[0][-1]) <= keep_step)
    policy = _tuning.reduce_policy(target, kept, reduced, inner, in_order, keep_shape[-1] if keep_shape else 1)
    run = -(-reduced // policy.splits)
    splits = max(1, -(-reduced // max(run, 1)))  # no run without items
    keep_rank, red_rank = rank_for(max(len(keep_shape), 1)), rank_for(max(len(red_shape), 1))
    words = (
        kept,
        reduced,
        splits,
        run,
        reduced,
        int(initial),
        *pad(keep_shape, keep_rank, 1),
        *(word for own in keep_strides for word in pad(own, keep_rank, 0)),
        *pad(red_shape, red_rank, 1),
        *(word for own in red_strides for word in pad(own, red_rank, 0)),
    )
    index = "int" if max(kept * splits, reduced) < INT32_MAX else "long"

    # Only the compiler of one-thread blocks has a use for knowing that items follow each other.
    along = red_strides[0][-1:] if policy.strip == 1 else keep_strides[0][-1:]
    packed = (
        target.one_thread_blocks and along == (source.dtype.itemsize,) and (policy.strip > 1 or len(red_shape) == 1)
    )

    def stage(number: int, lanes: int, blocks: int, strip: int = 1) -> Plan:
        names = ", ".join(CPP_NAMES[d] for d in (source.dtype, loop, result))
        operation = operation_name(functor, loop, arguments)
        kernel, width = ("reduce_rows", f"{strip}") if lanes == 1 < strip else ("reduce", f"{lanes}, {strip}")
        walk = "true" if packed and number < 2 else "false"
        ranks = f"{keep_rank}, {red_rank}, {len(strides)}"
        name = f"ca::{kernel}<{operation}, {names}, {index}, {walk}, {ranks}, {width}, {number}>"
        threads = lanes if lanes > 1 else target.block_threads
        return Plan(Instance("reduce.cuh", name), (blocks, 1, 1), (threads, 1, 1), words)

    if splits == 1:
        return ReducePlan(stage(0, policy.lanes, policy.blocks, policy.strip), None, 0)
    return ReducePlan(
        stage(1, policy.lanes, policy.blocks, policy.strip),
        stage(2, policy.final_lanes, policy.final_blocks),
        kept * splits * accumulator_bytes,
    )
