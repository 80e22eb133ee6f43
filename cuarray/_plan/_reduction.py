"""Plans of reductions (kernels/reduce.cuh)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, SCRATCH_COUNTERS, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


class ReducePlan(NamedTuple):
    """The launches, one after the other, and the scratch memory that they share; 0: they need none."""

    launches: tuple[Plan, ...]
    scratch_bytes: int


# Items of an output that a block reads at once, at most: numbers may exceed the last one by these.
_ROUND_MOST = 1 << 14
MOMENTS = frozenset(("Var", "Std", "NanVar", "NanStd"))  # functors whose accumulators are Moment<...>
PLACES = frozenset(("ArgMax", "ArgMin", "NanArgMax", "NanArgMin"))  # functors whose accumulators are Best<...>
RUN_MULTIPLE = 16  # items of a run: the next one is aligned as the first one is, whatever a pack has


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
    itemsize = source.dtype.itemsize
    flat = (
        mask is None
        and len(keep_shape) == len(red_shape) == 1
        and (keep_strides[0], red_strides[0]) == ((itemsize,), (kept * itemsize,))
    )
    rows = (
        mask is None
        and len(red_shape) == 1
        and len(keep_shape) == 1
        and (red_strides[0], keep_strides[0]) == ((itemsize,), (reduced * itemsize,))
    )
    policy = _tuning.reduce_policy(
        target,
        kept,
        reduced,
        inner,
        in_order,
        keep_shape[-1] if keep_shape else 1,
        min(8, max(1, 16 // itemsize)),
        flat,
        reduced * itemsize if rows else 0,
        functor in MOMENTS,
        functor in PLACES,
    )
    run = -(-reduced // policy.splits)
    if policy.splits > 1:
        run = -(-run // RUN_MULTIPLE) * RUN_MULTIPLE
    splits = max(1, -(-reduced // max(run, 1)))  # no run without items
    keep_rank, red_rank = rank_for(max(len(keep_shape), 1)), rank_for(max(len(red_shape), 1))
    words = (
        kept,
        reduced,
        splits,
        run,
        reduced,
        int(initial),
        policy.lanes,
        *pad(keep_shape, keep_rank, 1),
        *(word for own in keep_strides for word in pad(own, keep_rank, 0)),
        *pad(red_shape, red_rank, 1),
        *(word for own in red_strides for word in pad(own, red_rank, 0)),
    )
    parts = [operation_name(functor, loop, arguments)]
    parts += [CPP_NAMES[dtype] for dtype in (source.dtype, loop, result)]
    parts.append("int" if max(kept * splits, reduced + _ROUND_MOST) < INT32_MAX else "long")
    if target.one_thread_blocks:
        # The compiler has a use for knowing that items follow each other.
        along = (red_strides if policy.kernel == "reduce_runs" else keep_strides)[0]
        parts.append("true" if along[-1:] == (itemsize,) else "false")
    if policy.kernel == "reduce_columns":
        parts += [str(policy.rows), str(policy.resident), "true" if policy.few else "false"]
    if policy.kernel == "reduce_short":
        parts.append(str(_tuning.REDUCE.short_blocks))
    parts += [str(keep_rank), str(red_rank), str(len(strides))]
    if policy.kernel == "reduce":
        parts.append("true" if policy.whole else "false")
    instance = Instance(policy.header, f"ca::{policy.kernel}<{', '.join(parts)}>")
    threads = 1 if target.one_thread_blocks else _tuning.REDUCE_THREADS
    plan = Plan(instance, (policy.blocks, 1, 1), (threads, 1, 1), words)
    scratch = 0
    if splits > 1:
        scratch = SCRATCH_COUNTERS + kept * splits * accumulator_bytes
    return ReducePlan((plan,), scratch)
