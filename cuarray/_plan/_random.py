"""Plans of random numbers and permutations (kernels/random.cuh, kernels/permute.cuh)."""

from __future__ import annotations

from collections.abc import Sequence

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


def _plan(target: Target, header: str, name: str, items: int, nanoseconds: float, words: Sequence[int]) -> Plan:
    blocks = _tuning.random_blocks(target, items, nanoseconds)
    return Plan(Instance(header, f"ca::random::{name}"), (blocks, 1, 1), (target.block_threads, 1, 1), tuple(words))


def random(
    target: Target, sampler: str, lanes: int, out: Layout, parameters: Sequence[Layout | None], nanoseconds: float
) -> Plan:
    """The launch of a sampler into the C-contiguous `out`.

    `lanes`: how many elements share a counter; 0 where an element draws as often as it needs. `parameters`: an array's
    layout, or None for a scalar.
    """
    own = CPP_NAMES[out.dtype]
    kernel = "fill" if lanes else "draw"
    if all(layout is None for layout in parameters):
        items = -(-out.size // max(lanes, 1))
        return _plan(
            target, "random.cuh", f"{kernel}<{sampler}, {own}>", items, nanoseconds * max(lanes, 1), (out.size,)
        )
    immediate = 0b111
    strides = [(0,) * out.ndim] * 3
    for k, layout in enumerate(parameters):
        if layout is not None:
            immediate &= ~(1 << k)
            strides[k] = broadcast_strides(layout, out.shape)
    # The output is C-contiguous, so item i is in position i: its strides keep axes apart from being merged wrongly.
    shape, (_, *merged) = collapse(out.shape, [out.strides, *strides])
    rank = rank_for(max(len(shape), 1))
    plan_items = out.size + 4 * _tuning.random_blocks(target, out.size, nanoseconds) * target.block_threads
    reach = max(sum((e - 1) * abs(s) for e, s in zip(shape, one, strict=True)) for one in merged)
    index = "int" if max(plan_items, reach) <= INT32_MAX else "long"
    words = (out.size, immediate, *pad(shape, rank, 1), *(w for one in merged for w in pad(one, rank, 0)))
    name = f"{kernel}_varying<{sampler}, {own}, {index}, {rank}>"
    return _plan(target, "random.cuh", name, out.size, 2 * nanoseconds, words)


def random_words(target: Target, out: Layout) -> Plan:
    """The launch that writes the generator's words into the contiguous uint32 array `out`."""
    return _plan(target, "random.cuh", f"raw<{CPP_NAMES[out.dtype]}>", out.size, 10, (out.size,))


def random_rows(target: Target, kernel: str, rows: int, width: int, stride: int) -> Plan:
    """The launch of a kernel that draws `rows` vectors of `width` numbers."""
    items = rows * width if kernel == "correlate" else rows
    nanoseconds = width if kernel == "correlate" else 50 * width
    return _plan(target, "random.cuh", f"{kernel}<0>", items, nanoseconds, (rows, width, stride))


def cumulation(target: Target, size: int) -> tuple[list[Plan], int]:
    """The launches that cumulate `size` weights, and how many sums they keep meanwhile."""
    run = _tuning.CUMULATE_RUN
    runs = -(-size // run)
    plans = [
        _plan(target, "random.cuh", f"cumulate<{stage}>", 1 if stage == 1 else runs, run, (size, run, 0))
        for stage in range(3)
    ]
    return plans, runs


# ---- permutations: the words after the head are rows, length, wanted, bits


def shuffle_keys(target: Target, rows: int, length: int) -> Plan:
    """The launch that makes keys which sort the numbers of `rows` permutations."""
    return _plan(target, "permute.cuh", "shuffle_keys<0>", rows * length, 10, (rows, length, length, 0))


def feistel(target: Target, rows: int, length: int, wanted: int) -> Plan:
    """The launch that computes the first `wanted` numbers of `rows` permutations."""
    bits = max(2, length.bit_length())
    return _plan(target, "permute.cuh", "permute<0>", rows * wanted, 50, (rows, length, wanted, bits))
