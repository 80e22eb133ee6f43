"""Shapes and strides -> what to launch. No CUDA, no compiler: every plan can be computed and tested anywhere.

A plan names a kernel instance (a template and its arguments; never a shape) and gives the launch extents and the
64-bit words of the kernel's parameter that follow its head (see Head in kernels/elementwise.cuh).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES, storage_name
from cuarray._layout import Layout, broadcast_strides
from cuarray._tuning import Target


class Instance(NamedTuple):
    """A kernel template with its arguments: what is compiled, cached and loaded."""

    header: str  # under kernels/
    name: str  # the C++ name of the instance


class Plan(NamedTuple):
    """One launch."""

    instance: Instance
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    words: tuple[int, ...]  # the parameter after its head


_INT32_MAX = 2**31 - 1
# Dimensions that kernels are instantiated for; a plan with fewer is padded with leading extents of 1.
_RANKS = (1, 2, 3, 4, 6, 8, 16, 32, 64)


def _rank(ndim: int) -> int:
    return next(rank for rank in _RANKS if rank >= ndim)


def collapse(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Drop extents of 1 and merge neighbouring axes that every operand walks as one.

    >>> collapse((2, 1, 3), [(12, 12, 4), (0, 0, 4)])
    ((2, 3), ((12, 4), (0, 4)))
    >>> collapse((2, 3), [(12, 4), (12, 4)])
    ((6,), ((4,), (4,)))
    """
    out_shape: list[int] = []
    out_strides: list[list[int]] = [[] for _ in strides]
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        steps = [own[axis] for own in strides]
        if out_shape and all(last[-1] == step * extent for last, step in zip(out_strides, steps, strict=True)):
            out_shape[-1] *= extent
            for last, step in zip(out_strides, steps, strict=True):
                last[-1] = step
        else:
            out_shape.append(extent)
            for last, step in zip(out_strides, steps, strict=True):
                last.append(step)
    return tuple(out_shape), tuple(tuple(own) for own in out_strides)


def _pad(values: tuple[int, ...], rank: int, fill: int) -> tuple[int, ...]:
    return (fill,) * (rank - len(values)) + values


def _order_axes(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> tuple[tuple[int, ...], list]:
    """Axes sorted so that the output is walked through memory in order: a transposed pair becomes contiguous."""
    order = sorted(range(len(shape)), key=lambda d: -abs(strides[0][d]))
    if order == list(range(len(shape))):
        return shape, strides
    return tuple(shape[d] for d in order), [tuple(own[d] for d in order) for own in strides]


class Operand(NamedTuple):
    """An input of an elementwise operation: an array's layout, or None for a scalar; and the loop's dtype for it."""

    layout: Layout | None
    loop: np.dtype


def elementwise(
    target: Target, functor: str, out: Layout, loop_out: np.dtype, operands: Sequence[Operand], position: bool = False
) -> Plan:
    """The launch of `functor` over `operands` broadcast to `out`; `position` passes the item's number first."""
    strides = [out.strides]
    types = []
    for layout, loop in operands:
        if layout is None:
            types.append(f"ca::Scalar<{storage_name(loop)}>")
            strides.append((0,) * out.ndim)
        else:
            types.append(f"ca::Array<{storage_name(layout.dtype)}, {storage_name(loop)}>")
            strides.append(broadcast_strides(layout, out.shape))
    types.insert(0, f"ca::Array<{storage_name(out.dtype)}, {storage_name(loop_out)}>")
    if position:
        assert out.c_contiguous, "the item's number is its place in C order"
        types.insert(1, "ca::Position")
    blocks = _tuning.elementwise_blocks(target, out.size)
    block = (target.block_threads, 1, 1)
    ordered_shape, ordered = _order_axes(out.shape, strides)
    shape, ordered = collapse(ordered_shape, ordered)  # type: ignore[assignment]
    arrays = [own for own, layout in zip(ordered, [out, *(o.layout for o in operands)], strict=True) if layout]
    itemsizes = [layout.dtype.itemsize for layout in [out, *(o.layout for o in operands)] if layout]
    threads = blocks * block[0]
    if len(shape) <= 1 and all(own in ((), (size,)) for own, size in zip(arrays, itemsizes, strict=True)):
        index = "int" if out.size + threads <= _INT32_MAX else "long"
        name = f"ca::elementwise_contiguous<{functor}, {index}, {', '.join(types)}>"
        return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), block, (out.size,))
    if position:
        raise AssertionError("a C-contiguous output collapses to one axis")
    rank = _rank(max(len(shape), 1))
    reach = max(sum((e - 1) * abs(s) for e, s in zip(shape, own, strict=True)) for own in ordered)
    index = "int" if max(out.size + threads, reach) <= _INT32_MAX else "long"
    name = f"ca::elementwise_strided<{functor}, {index}, {rank}, {', '.join(types)}>"
    words = (out.size, *_pad(shape, rank, 1), *(w for own in ordered for w in _pad(own, rank, 0)))
    return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), block, words)


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
    keep_rank, red_rank = _rank(max(len(keep_shape), 1)), _rank(max(len(red_shape), 1))
    words = (
        kept,
        reduced,
        policy.splits,
        run,
        reduced,
        *_pad(keep_shape, keep_rank, 1),
        *_pad(keep_strides, keep_rank, 0),
        *_pad(red_shape, red_rank, 1),
        *_pad(red_strides, red_rank, 0),
    )
    index = "int" if max(kept * policy.splits, reduced) < _INT32_MAX else "long"

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


def matmul(target: Target, a: Layout, b: Layout, batch: tuple[int, ...], dtype: np.dtype) -> Plan:
    """The launch of a @ b, both of `dtype` and at least 2-d, into a C-contiguous stack of `batch` products."""
    m, k = a.shape[-2:]
    n = b.shape[-1]
    batches = math.prod(batch)

    def batch_strides(source: Layout) -> tuple[int, ...]:
        padded = _pad(source.shape[:-2], len(batch), 1)
        own = _pad(source.strides[:-2], len(batch), 0)
        return tuple(0 if extent == 1 else stride for extent, stride in zip(padded, own, strict=True))

    shape, (a_batch, b_batch) = collapse(batch, [batch_strides(a), batch_strides(b)])
    rank = _rank(max(len(shape), 1))
    words = (
        batches,
        m,
        n,
        k,
        *a.strides[-2:],
        *b.strides[-2:],
        *_pad(shape, rank, 1),
        *_pad(a_batch, rank, 0),
        *_pad(b_batch, rank, 0),
    )
    cpp = CPP_NAMES[dtype]
    if target.one_thread_blocks:
        name = f"ca::matmul_rows<{cpp}, {_tuning.MATMUL_STRIP}, {rank}>"
        blocks = _tuning.matmul_rows_blocks(target, batches * m, 2 * batches * m * n * k)
        return Plan(Instance("matmul.cuh", name), (blocks, 1, 1), (1, 1, 1), words)
    tile = _tuning.MATMUL_TILE
    pieces = batches * -(-m // tile) * -(-n // tile)
    blocks = max(1, min(pieces, 2**31 - 1))
    return Plan(
        Instance("matmul.cuh", f"ca::matmul_tiled<{cpp}, {tile}, {rank}>"), (blocks, 1, 1), (tile, tile, 1), words
    )
