"""Plans of elementwise operations: the kernels of elementwise.cuh for blocks of one thread, for others wider ones."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import is_struct, item_name, storage_name
from cuarray._layout import Layout, broadcast_strides
from cuarray._plan._common import INT32_MAX, Instance, Plan, collapse, divisor, divisors, pad, rank_for
from cuarray._tuning import ElementwisePolicy, Target


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
    return plan_of(target, work_of(functor, out, loop_out, operands, position, second))


def work_of(
    functor: str,
    out: Layout,
    loop_out: np.dtype,
    operands: Sequence[Operand],
    position: bool = False,
    second: Operand | None = None,
) -> Work:
    """What `elementwise` plans."""
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
    ordered_shape, ordered = _order_axes(out.shape, strides)
    shape, ordered = collapse(ordered_shape, ordered)  # type: ignore[assignment]
    work = Work(
        functor,
        shape,
        tuple(ordered),
        tuple(types),
        tuple(layout.dtype.itemsize if layout else 0 for layout, _ in arrays),
        2 if second else 1,
        position,
        any(layout is not None and is_struct(layout.dtype) for layout, _ in arrays),
    )
    if position:
        assert out.c_contiguous, "the item's number is its place in C order"
        assert work.contiguous, "a C-contiguous output collapses to one axis"
    return work


def plan_of(target: Target, work: Work) -> Plan:
    """The launch that does it."""
    if target.one_thread_blocks:
        return _one_thread_blocks(target, work)
    return _blocks_of_threads(target, work)


class Work(NamedTuple):
    """What is to be done, axes merged: the outputs come first."""

    functor: str
    shape: tuple[int, ...]
    strides: tuple[tuple[int, ...], ...]  # of all arrays; 0 for scalars
    types: tuple[str, ...]
    sizes: tuple[int, ...]  # bytes of an item; 0 for scalars
    outputs: int
    position: bool
    structs: bool

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def contiguous(self) -> bool:
        return len(self.shape) <= 1 and all(
            own in ((), (size,)) for own, size in zip(self.strides, self.sizes, strict=True) if size
        )

    def operands(self, types: Sequence[str] | None = None) -> str:
        """The template arguments for the operands, `types` in place of the own ones."""
        names = list(self.types if types is None else types)
        if self.outputs == 2:
            names[:2] = [f"ca::Both<{names[0]}, {names[1]}>"]
        if self.position:
            names.insert(1, "ca::Position")
        return ", ".join(names)


def _one_thread_blocks(target: Target, work: Work) -> Plan:
    """A contiguous chunk of the items for each block."""
    blocks = _tuning.elementwise_blocks(target, work.size)
    reach = max(sum((e - 1) * abs(s) for e, s in zip(work.shape, own, strict=True)) for own in work.strides)
    if work.contiguous:
        index = "int" if work.size + blocks <= INT32_MAX else "long"
        name = f"ca::elementwise_contiguous<{work.functor}, {index}, {work.operands()}>"
        return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), (1, 1, 1), (work.size,))
    rank = rank_for(max(len(work.shape), 1))
    index = "int" if max(work.size + blocks, reach) <= INT32_MAX else "long"
    name = f"ca::elementwise_strided<{work.functor}, {index}, {rank}, {work.operands()}>"
    words = (work.size, *pad(work.shape, rank, 1), *(w for own in work.strides for w in pad(own, rank, 0)))
    return Plan(Instance("elementwise.cuh", name), (blocks, 1, 1), (1, 1, 1), words)


# ---- blocks of many threads


def _blocks_of_threads(target: Target, work: Work) -> Plan:
    """Which kernel reads and writes most in whole sectors of memory:

    | arrays | kernel | a thread's accesses |
    |---|---|---|
    | all contiguous | elementwise_packs | packs of 16 bytes of the widest operand |
    | output and inputs contiguous along the last axis, or repeated along it | elementwise_rows | the same, or narrower: as pitches and extents allow |
    | an input contiguous along another axis, large enough that its sectors leave the L1 cache | elementwise_turned | packs of up to four items, through shared memory, if pitches and extents allow |
    | the same otherwise | elementwise_tiles | items, through shared memory |
    | any others | elementwise_rows | items |
    """  # noqa: E501
    policy = _tuning.ELEMENTWISE
    if work.contiguous:
        return _packs(target, policy, work)
    turned = turned_inputs(policy, work)
    if turned is not None:
        patch = _patch(policy, work, turned)
        return _patches(target, policy, work, turned, patch) if patch else _tiles(target, policy, work, turned)
    return _rows(target, policy, work)


def how_of(policy: ElementwisePolicy, work: Work, packs: int, width: int) -> str:
    functor = work.functor.removeprefix("ca::ops::OnlyWhere<").removeprefix("ca::ops::").removesuffix(">")
    rolled = "true" if functor in policy.rolled else "false"
    return f"ca::How<{policy.threads}, {packs}, {width}, {rolled}, {policy.loads}, {policy.stores}>"


def widest_pack(work: Work) -> int:
    """Items such that those of the widest operand are 16 bytes."""
    return 1 if work.structs else max(1, _PACK_BYTES // max(work.sizes))


_PACK_BYTES = 16  # of the widest load or store


def packs_a_thread(policy: ElementwisePolicy, work: Work, width: int) -> int:
    inputs = sum(work.sizes[work.outputs :])
    return policy.packs(width * (inputs or max(work.sizes)), width == 1 and max(work.sizes) < _PACK_BYTES)


def _packs(target: Target, policy: ElementwisePolicy, work: Work) -> Plan:
    width = packs = 1
    if not policy.is_small(target, work.size):
        width = widest_pack(work)
        packs = packs_a_thread(policy, work, width)
    blocks = policy.blocks(target, -(-work.size // (policy.threads * packs * width)))
    name = f"ca::elementwise_packs<{work.functor}, {how_of(policy, work, packs, width)}, {work.operands()}>"
    return Plan(Instance("elementwise_packs.cuh", name), (blocks, 1, 1), (policy.threads, 1, 1), (work.size,))


def _rows(target: Target, policy: ElementwisePolicy, work: Work) -> Plan:
    small = policy.is_small(target, work.size)
    width = 1 if small else row_pack(work)
    types = row_types(work, width)
    shape, strides = in_packs(work, width)
    size = math.prod(shape)
    packs = 1 if small else packs_a_thread(policy, work, width)
    tile = policy.threads * packs
    blocks = policy.blocks(target, -(-size // tile))
    rank = rank_for(len(shape))
    bits = index_bits(size, blocks * tile, strides)
    name = (
        f"ca::elementwise_rows<{work.functor}, {how_of(policy, work, packs, width)}, {INDEX[bits]}, {rank}, "
        f"{work.operands(types)}>"
    )
    words = (size, *divisors(shape, rank, bits), *(w for own in strides for w in pad(own, rank, 0)))
    return Plan(Instance("elementwise_packs.cuh", name), (blocks, 1, 1), (policy.threads, 1, 1), words)


def row_types(work: Work, width: int) -> list[str]:
    """The operands' types where the last axis is read in packs of `width` items."""
    types = list(work.types)
    if width > 1:
        for k, own in enumerate(work.strides):
            if work.sizes[k] and own[-1] == 0:
                types[k] = types[k].replace("ca::Array<", "ca::Repeated<", 1)
    return types


def in_packs(work: Work, width: int) -> tuple[tuple[int, ...], list[tuple[int, ...]]]:
    """Shape and strides, counted in packs along the last axis."""
    shape = (*work.shape[:-1], *(extent // width for extent in work.shape[-1:]))
    return shape, [(*own[:-1], *(step * width for step in own[-1:])) for own in work.strides]


INDEX = {32: "unsigned int", 64: "unsigned long"}


def index_bits(count: int, step: int, strides: Sequence[tuple[int, ...]]) -> int:
    """Bits of numbers below `count`, of what a loop by `step` ends with, and of strides.

    A Divisor takes numbers below half of what an index holds.
    """
    most = max(count, (count + step) >> 1, *(abs(s) for own in strides for s in own))
    return 32 if most <= INT32_MAX else 64


def row_pack(work: Work) -> int:
    """The items of a pack such that rows are whole packs, which begin at multiples of their bytes if arrays do."""
    width = widest_pack(work)
    for k, (own, size) in enumerate(zip(work.strides, work.sizes, strict=True)):
        if not size:
            continue
        if own[-1] != size and (own[-1] != 0 or k < work.outputs):
            return 1
        while width > 1 and own[-1] and any(stride % (width * size) for stride in own[:-1]):
            width //= 2
    return math.gcd(width, work.shape[-1])


class _Turned(NamedTuple):
    """Inputs that are contiguous along another axis than the output."""

    axis: int
    inputs: tuple[int, ...]


def turned_inputs(policy: ElementwisePolicy, work: Work) -> _Turned | None:
    if len(work.shape) < 2 or max(work.sizes) > _PACK_BYTES or work.structs:
        return None
    last = len(work.shape) - 1
    found: dict[int, list[int]] = {}
    for k in range(work.outputs, len(work.strides)):
        own = work.strides[k]
        if own[last]:
            nearest = min((axis for axis in range(last + 1) if own[axis]), key=lambda axis: (abs(own[axis]), -axis))
            if nearest != last:
                found.setdefault(nearest, []).append(k)
    if not found:
        return None
    axis, inputs = max(found.items(), key=lambda item: len(item[1]))
    # Where both axes fit into what a block does, it uses up the sectors that it reads anyway.
    if work.shape[axis] * work.shape[last] < policy.items_of_tile(max(work.sizes[k] for k in inputs)):
        return None
    return _Turned(axis, tuple(inputs))


def tile_pitch(extent: int, itemsize: int) -> int:
    """The bytes from a row of a tile in shared memory to the next: see kernels/elementwise_tiles.cuh."""
    return (extent | 1) * itemsize if itemsize >= 4 else (-(-extent * itemsize // 4) | 1) * 4


def _shared_bytes(items: int, itemsize: int) -> int:
    return items * itemsize // 16 * 17 + 128  # as Staged in kernels/elementwise_tiles.cuh has it


_SHARED_BYTES = 48 << 10  # what a block has without asking for more


def _tile_extents(items: int, a: int, b: int, sizes: Sequence[int]) -> tuple[int, int]:
    """A tile of at most so many items, square if the axes are long, that fits into shared memory."""
    tile_a = 1 << (items.bit_length() // 2)
    tile_b = items // tile_a
    if b < tile_b:
        tile_b = b
        tile_a = min(a, items // tile_b)
    elif a < tile_a:
        tile_a = a
        tile_b = min(b, items // tile_a)
    while any(tile_a * tile_pitch(tile_b, size) > _shared_bytes(items, size) for size in sizes):
        if tile_a >= tile_b:
            tile_a -= 1
        else:
            tile_b -= 1
    return tile_a, tile_b


def _tiles(target: Target, policy: ElementwisePolicy, work: Work, turned: _Turned) -> Plan:
    sizes = [work.sizes[k] for k in turned.inputs]
    items = policy.items_of_tile(max(sizes))
    while sum(_shared_bytes(items, size) for size in sizes) > _SHARED_BYTES:
        items //= 2
    packs = max(1, items // policy.threads)
    items = packs * policy.threads
    last, axis = len(work.shape) - 1, turned.axis
    a, b = work.shape[last], work.shape[axis]
    tile_a, tile_b = _tile_extents(items, a, b, sizes)
    tiles_a, tiles_b = -(-a // tile_a), -(-b // tile_b)
    others = [d for d in range(last) if d != axis]
    types = [f"ca::Turned<{own}>" if k in turned.inputs else own for k, own in enumerate(work.types)]
    return _tile_plan(target, policy, work, others, (last, axis), (a, b), (tile_a, tile_b), (tiles_a, tiles_b),
                      f"elementwise_tiles<{work.functor}, {how_of(policy, work, packs, 1)}", types)  # fmt: skip


def _tile_plan(
    target: Target,
    policy: ElementwisePolicy,
    work: Work,
    others: Sequence[int],
    axes: tuple[int, int],
    extents: tuple[int, int],
    tile: tuple[int, int],
    counts: tuple[int, int],
    kernel: str,
    types: Sequence[str],
) -> Plan:
    """`kernel`: its name and first template arguments. Extents and tiles are along `axes`: a, b. `others`: the rest."""
    shape = tuple(work.shape[d] for d in others)
    strides = [tuple(own[d] for d in others) for own in work.strides]
    tiles = math.prod(counts) * math.prod(shape)
    blocks = policy.blocks(target, tiles)
    rank = rank_for(max(len(shape), 1))
    bits = index_bits(tiles, blocks, work.strides)
    words = (
        *(tiles, *extents),
        *(word for extent in tile for word in divisor(extent, 32)),
        *(word for count in counts for word in divisor(count, bits)),
        *divisors(shape, rank, bits),
        *(w for own in strides for w in pad(own, rank, 0)),
        *(own[axis] for axis in axes for own in work.strides),
    )
    name = f"ca::{kernel}, {INDEX[bits]}, {rank}, {work.operands(types)}>"
    header = "elementwise_turned.cuh" if kernel.startswith("elementwise_turned") else "elementwise_tiles.cuh"
    return Plan(Instance(header, name), (blocks, 1, 1), (policy.threads, 1, 1), words)


def _patch(policy: ElementwisePolicy, work: Work, turned: _Turned) -> int:
    """The items of a patch's side such that elementwise_turned can do the work; 0 if it cannot."""
    width = min(4, _PACK_BYTES // max(work.sizes))
    last, axis = len(work.shape) - 1, turned.axis
    if not policy.patches or width == 1 or work.shape[last] % width or work.shape[axis] % width:
        return 0
    across, down = _patches_of_tile(policy, work, turned, width)
    if work.shape[last] < across * width or work.shape[axis] < down * width:
        return 0
    shared = 0
    for k, (own, size) in enumerate(zip(work.strides, work.sizes, strict=True)):
        is_turned = k in turned.inputs
        along = axis if is_turned else last
        if not size or (own[along] == 0 and not is_turned and k >= work.outputs):
            continue  # one item for a whole pack
        if own[along] != size or any(stride % (width * size) for d, stride in enumerate(own) if d != along):
            return 0
        if is_turned and width * size < 4:
            return 0  # less than a word of shared memory
        shared += across * down * width**2 * size if is_turned else 0
    return width if shared <= _SHARED_BYTES else 0


def _patches_of_tile(policy: ElementwisePolicy, work: Work, turned: _Turned, width: int) -> tuple[int, int]:
    """Along the last axis, of which a row is 128 bytes or more of the widest input, and along the other one."""
    across = 32 if width * max(work.sizes[k] for k in turned.inputs) <= 4 else 16
    return across, policy.threads * policy.patches_a_thread(max(work.sizes)) // across


def _patches(target: Target, policy: ElementwisePolicy, work: Work, turned: _Turned, width: int) -> Plan:
    last, axis = len(work.shape) - 1, turned.axis
    patches = policy.patches_a_thread(max(work.sizes))
    across, down = _patches_of_tile(policy, work, turned, width)
    a, b = work.shape[last] // width, work.shape[axis] // width
    tiles_a, tiles_b = -(-a // across), -(-b // down)
    types = list(work.types)
    for k, own in enumerate(work.strides):
        if k in turned.inputs:
            types[k] = f"ca::Turned<{types[k]}>"
        elif work.sizes[k] and own[last] == 0:
            types[k] = types[k].replace("ca::Array<", "ca::Repeated<", 1)
    others = [d for d in range(last) if d != axis]
    how = how_of(policy, work, patches, width)
    return _tile_plan(target, policy, work, others, (last, axis), (a, b), (across, down), (tiles_a, tiles_b),
                      f"elementwise_turned<{work.functor}, {how}, {across}", types)  # fmt: skip
