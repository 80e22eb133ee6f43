"""Plans of several arrays copied into parts of one (kernels/join.cuh)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cuarray import _tuning
from cuarray._layout import Layout
from cuarray._plan._common import Instance, Plan, divisor, divisors, pad, rank_for
from cuarray._plan._elementwise import (
    INDEX,
    Operand,
    Work,
    how_of,
    in_packs,
    index_bits,
    packs_a_thread,
    plan_of,
    row_pack,
    row_types,
    turned_inputs,
    widest_pack,
    work_of,
)
from cuarray._tuning import MOST_BLOCKS, ElementwisePolicy, Target


class Part(NamedTuple):
    """An array to be copied, and where to; neither is empty."""

    source: Layout
    place: Layout  # of its part of the result
    offset: int  # bytes from the result's first element to the part's


class Join(NamedTuple):
    """A launch that copies some of the arrays: its head is the result's address, then a slot for each source's."""

    plan: Plan
    offset: int  # to be added to the result's address
    numbers: tuple[int, ...]  # of the sources
    slots: int = 1


def join(target: Target, parts: Sequence[Part]) -> list[Join]:
    """The launches that copy all `parts`.

    Sources of one dtype share launches, as many as a kernel's parameter has room for: in any case where all together
    are small, else where the same kernel copies them, which contiguous ones have in common, and rows of packs of as
    many items. What is read along another axis than it is written has a launch of its own, and so has every source on
    the CPU, where a launch costs little.
    """
    works = [
        work_of("ca::ops::Identity", part.place, part.source.dtype, [Operand(part.source, part.source.dtype)])
        for part in parts
    ]
    if target.one_thread_blocks:
        return [_alone(target, works, parts, number) for number in range(len(parts))]
    policy = _tuning.ELEMENTWISE
    small = policy.is_small(target, sum(work.size for work in works))
    groups: dict[_Kind, list[int]] = {}
    for number, (work, part) in enumerate(zip(works, parts, strict=True)):
        groups.setdefault(_kind(policy, work, part.offset, small, number), []).append(number)
    return [
        launch for kind, numbers in groups.items() for launch in _launches(target, policy, works, parts, kind, numbers)
    ]


class _Kind(NamedTuple):
    """What sources that share launches have in common."""

    types: tuple[str, ...]
    width: int  # items of a pack
    how: str | int  # "contiguous", "rows", "any"; or the number of a source that shares with no others


def _kind(policy: ElementwisePolicy, work: Work, offset: int, small: bool, number: int) -> _Kind:
    if small:
        return _Kind(work.types, 1, "any")
    if work.contiguous:
        return _Kind(work.types, widest_pack(work), "contiguous")
    if turned_inputs(policy, work) is not None:
        return _Kind(work.types, 1, number)
    width = row_pack(work)
    while width > 1 and offset % (width * work.sizes[0]):
        width //= 2
    return _Kind(tuple(row_types(work, width)), width, "rows")


def _alone(target: Target, works: Sequence[Work], parts: Sequence[Part], number: int) -> Join:
    return Join(plan_of(target, works[number]), parts[number].offset, (number,))


_PARAMETER_BYTES = 4096
_NEVER = 1 << 62  # the first block of a slot that is not used


def _launches(
    target: Target,
    policy: ElementwisePolicy,
    works: Sequence[Work],
    parts: Sequence[Part],
    kind: _Kind,
    numbers: Sequence[int],
) -> Iterator[Join]:
    packs = 1 if kind.how == "any" else packs_a_thread(policy, works[numbers[0]], kind.width)
    tile = policy.threads * packs
    contiguous = all(works[number].contiguous for number in numbers)
    if contiguous:
        tile *= kind.width
        sources = _Sources("ca::JoinedPacks", [works[number].size for number in numbers], [()] * len(numbers))
    else:
        sources = _rows([in_packs(works[number], kind.width) for number in numbers], tile)
    words_each = 4 + len(sources.words[0])  # the address, the first block, the offset, the count
    fitting = [slots for slots in _tuning.JOIN_SLOTS if 8 * (3 + slots * words_each) <= _PARAMETER_BYTES]
    slots = next((slots for slots in fitting if slots >= len(numbers)), max(fitting, default=1))
    how = how_of(policy, works[numbers[0]], packs, kind.width)
    name = f"ca::join<{how}, {', '.join(kind.types)}, {sources.type_name}, {slots}>"
    blocks_of = [-(-count // tile) for count in sources.counts]
    for own in _shares(blocks_of, slots):
        if len(own) == 1:
            yield _alone(target, works, parts, numbers[own[0]])
            continue
        turns = _tuning.JOIN_TURNS and not contiguous and len({blocks_of[k] for k in own}) == 1
        words = divisor(len(own), 32) if turns else (0, 0)
        blocks = 0
        for k in own:
            words += (blocks, parts[numbers[k]].offset, sources.counts[k], *sources.words[k])
            blocks += blocks_of[k]
        words += (_NEVER, *(0,) * (words_each - 2)) * (slots - len(own))
        plan = Plan(Instance("join.cuh", name), (blocks, 1, 1), (policy.threads, 1, 1), words)
        yield Join(plan, 0, tuple(numbers[k] for k in own), slots)


def _shares(blocks: Sequence[int], slots: int) -> Iterator[range]:
    """Which sources, of so many blocks each, have a launch together."""
    first = total = 0
    for k, own in enumerate(blocks):
        if k - first == slots or (k > first and total + own > MOST_BLOCKS):
            yield range(first, k)
            first, total = k, 0
        total += own
    yield range(first, len(blocks))


class _Sources(NamedTuple):
    """How a launch sees its sources."""

    type_name: str
    counts: list[int]  # items, or packs
    words: Sequence[tuple[int, ...]]  # after the count


def _rows(packed: Sequence[tuple[tuple[int, ...], list[tuple[int, ...]]]], tile: int) -> _Sources:
    """As JoinedRows, of one type for all; packed: their shapes and strides."""
    rank = rank_for(max(max(len(shape) for shape, _ in packed), 1))
    counts = [math.prod(shape) for shape, _ in packed]
    bits = max(index_bits(count, tile, strides) for count, (_, strides) in zip(counts, packed, strict=True))
    words = [
        (*divisors(shape, rank, bits), *(word for own in strides for word in pad(own, rank, 0)))
        for shape, strides in packed
    ]
    return _Sources(f"ca::JoinedRows<{INDEX[bits]}, {rank}>", counts, words)
