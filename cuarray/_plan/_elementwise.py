"""Plans of elementwise operations (kernels/elementwise.cuh)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import item_name, storage_name
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


def _order_axes(shape: tuple[int, ...], strides: list[tuple[int, ...]]) -> tuple[tuple[int, ...], list]:
    """Axes sorted so that the output is walked through memory in order: a transposed pair becomes contiguous."""
    order = sorted(range(len(shape)), key=lambda d: -abs(strides[0][d]))
    if order == list(range(len(shape))):
        return shape, strides
    return tuple(shape[d] for d in order), [tuple(own[d] for d in order) for own in strides]


# Functors that pass on elements as they are, and the first of the operands that these come from.
_MOVING = {"ca::ops::Identity": 0, "ca::ops::OnlyWhere<ca::ops::Identity>": 1, "ca::ops::Where": 1}


class Operand(NamedTuple):
    """One of the arrays of an elementwise operation: its layout, or None for a scalar; and the loop's dtype for it."""

    layout: Layout | None
    loop: np.dtype


def elementwise(
    target: Target,
    functor: str,
    out: Layout,
    loop_out: np.dtype,
    operands: Sequence[Operand],
    position: bool = False,
    second: Operand | None = None,
) -> Plan:
    """The launch of `functor` over `operands` broadcast to `out`, and to `second`, where it has two results.

    `position` passes the item's number first.
    """
    arrays = [Operand(out, loop_out), *([second] if second else []), *operands]
    moved: set[int] = set()
    if functor in _MOVING:
        moved = {0, *range(len(arrays) - len(operands) + _MOVING[functor], len(arrays))}
        if any(loop != out.dtype or (own and own.dtype != loop) for own, loop in (arrays[k] for k in moved)):
            moved = set()
    strides, types = [], []
    for place, (layout, loop) in enumerate(arrays):
        # As numbers float16 and bfloat16 would go through float, which changes the bits of NaN.
        type_of = item_name if place in moved else storage_name
        if layout is None:
            types.append(f"ca::Scalar<{type_of(loop)}>")
            strides.append((0,) * out.ndim)
        else:
            types.append(f"ca::Array<{type_of(layout.dtype)}, {type_of(loop)}>")
            strides.append(broadcast_strides(layout, out.shape))
    if second:
        types[:2] = [f"ca::Both<{types[0]}, {types[1]}>"]
    if position:
        assert out.c_contiguous, "the item's number is its place in C order"
        types.insert(1, "ca::Position")
    blocks = _tuning.elementwise_blocks(target, out.size)
    block = (target.block_threads, 1, 1)
    ordered_shape, ordered = _order_axes(out.shape, strides)
    shape, ordered = collapse(ordered_shape, ordered)  # type: ignore[assignment]
    threads = blocks * block[0]
    contiguous = len(shape) <= 1 and all(
        own in ((), (layout.dtype.itemsize,)) for own, (layout, _) in zip(ordered, arrays, strict=True) if layout
    )
    if contiguous:
        index = "int" if out.size + threads <= INT32_MAX else "long"
        name = f"ca::elementwise_contiguous<{functor}, {index}, {', '.join(types)}>"
        return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), block, (out.size,))
    if position:
        raise AssertionError("a C-contiguous output collapses to one axis")
    rank = rank_for(max(len(shape), 1))
    reach = max(sum((e - 1) * abs(s) for e, s in zip(shape, own, strict=True)) for own in ordered)
    index = "int" if max(out.size + threads, reach) <= INT32_MAX else "long"
    name = f"ca::elementwise_strided<{functor}, {index}, {rank}, {', '.join(types)}>"
    words = (out.size, *pad(shape, rank, 1), *(w for own in ordered for w in pad(own, rank, 0)))
    return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), block, words)
