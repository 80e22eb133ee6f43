"""Products on Hopper's tensor cores: which can be computed by kernels/matmul_hopper.cuh, how, and with which tiles."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cuarray import _matmul_tuning
from cuarray._plan import _matmul_tiles as tiles
from cuarray._plan._common import INT32_MAX, SCRATCH_COUNTERS, Instance, Plan, TensorMap
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target

HEADER = "matmul_hopper.cuh"
_ROW = 128  # bytes of a row of a box
_BOX = 256  # rows of a box at most
_MAP_WORDS = 16  # of a tensor map, which begins at a multiple of as many
_HEAD_WORDS = 7
_SHARED = 232448  # bytes of shared memory of a block
_OUT, _A, _B, _SCRATCH = 0, 1, 2, 4  # words of the head
_TF32_TILE = ((32, 128), (64, 64))  # rows and steps of k of a tile of tf32_operand; the second where it turns them
ORDERS = ("rows", "groups", "curve")  # TileOrder in tile_order.cuh


class Configuration(NamedTuple):
    """The template's arguments that can be chosen, and how many blocks there are.

    `plain_stores`: threads write out, instead of the copy engine beside the next tile; `bounded`: a block that waits
    for seconds ends in an error.
    """

    bm: int = 128
    bn: int = 256
    stages: int = 4
    cluster_m: int = 2
    cluster_n: int = 1
    consumers: int = 2
    order: str = "groups"
    group: int = 8  # rows of tiles of a cluster
    buffers: int = 2
    plain_stores: bool = False
    persistent: bool = True
    split: bool = False  # operands have two parts each, as tf32x3 wants them
    promote: int = 0  # slices of k after which tf32's sums are added up; 0: at the end
    splits: int = 1  # of k, which they divide evenly
    bounded: bool = False

    def __str__(self) -> str:
        words = [f"{self.bm}x{self.bn}", f"stages={self.stages}", f"cluster={self.cluster_m}x{self.cluster_n}"]
        words += [f"consumers={self.consumers}", f"{self.order}={self.group}", f"buffers={self.buffers}"]
        words += [f"promote={self.promote}"] if self.promote else []
        words += [f"k{self.splits}"] if self.splits > 1 else []
        words += [name for name in ("plain_stores", "bounded") if getattr(self, name)]
        return " ".join(words + ([] if self.persistent else ["not persistent"]))

    @classmethod
    def for_product(cls, of: Product, values: tuple[Any, ...], splits: int) -> Configuration:
        """A row of _matmul_tuning, with what else a product asks for."""
        plain, split = splits == 1 and not _stores_boxes(of), of.kind == "tf32x3"
        promote = next(slices for slices, k in _matmul_tuning.HOPPER_PROMOTE if of.k >= k) if split else 0
        return cls(*values)._replace(plain_stores=plain, split=split, promote=promote, splits=splits)

    @property
    def cluster(self) -> int:
        """Blocks of a cluster."""
        return self.cluster_m * self.cluster_n

    @property
    def shared(self) -> int:
        """Bytes of shared memory of a block, as HopperTile counts them."""
        pieces = self.consumers * self.buffers * 64
        slices = self.stages * (self.bm + self.bn) * (2 if self.split else 1)
        return 1024 + (slices + pieces) * _ROW + 16 * self.stages

    def fits(self, a_turned: bool, b_turned: bool) -> bool:
        """Whether the kernel has such an instance: the static_asserts of matmul_hopper.cuh."""
        rows = self.bm // max(self.consumers, 1)
        return (
            1 <= self.consumers <= 3
            and self.bm % (64 * self.consumers) == 0
            and self.bn in (64, 128, 192, 256)
            and rows // 64 * self.bn <= (256 if not self.promote else 192)
            and self.stages >= 2
            and self.buffers >= 2
            and self.bm % self.cluster_n == self.bn % self.cluster_m == 0
            and self.bm // self.cluster_n % (64 if a_turned else 8) == 0
            and self.bn // self.cluster_m % (64 if b_turned else 8) == 0
            and max(self.bm // self.cluster_n, self.bn // self.cluster_m) <= _BOX
            and (self.order != "curve" or self.group & (self.group - 1) == 0)
            and self.shared <= _SHARED
        )


class _Source(NamedTuple):
    """An operand as the kernel is to read it: `rows` by k, in C order or turned."""

    word: int  # of the head
    rows: int
    k: int
    turned: bool  # neighbours are neighbours along the rows
    pitch: int  # bytes from one row of memory to the next
    stacked: int  # bytes from one matrix to the next; 0: the same for the whole stack
    matrices: int
    element: str
    offset: int = 0

    def map(self, part: int) -> TensorMap:
        """The map from which boxes are read: `part` rows by 128 bytes of k, or turned 64 rows by as much k."""
        itemsize = 4 if self.element in ("u32", "tf32") else 2
        bk = _ROW // itemsize
        extents = (self.rows, self.k) if self.turned else (self.k, self.rows)
        strides = (self.pitch, self.stacked or self.pitch * extents[1])
        box = (bk, bk, 1) if self.turned else (bk, part, 1)
        return TensorMap(self.element, (*extents, self.matrices), strides, box, self.word, self.offset)


def _read_in_place(of: Product, second: bool, element: str) -> _Source | None:
    """Operand a, or b, if the copy engine can read it where it is."""
    itemsize = of.dtype.itemsize
    rows, (row, column) = (of.n, of.b[::-1]) if second else (of.m, of.a)
    own = of.b_batch if second else of.a_batch
    if len(own) > 1 and any(own):
        return None
    stacked = own[0] if own else 0
    # The stride of a single row or column has no meaning.
    tight = [-(-extent * itemsize // 16) * 16 for extent in (rows, of.k)]
    for turned in (False, True):
        if turned and itemsize != 2:
            continue
        inner, outer, count, other = (row, column, rows, of.k) if turned else (column, row, of.k, rows)
        pitch = outer if other > 1 else tight[not turned]
        steps_by_one = inner == itemsize or count == 1
        if steps_by_one and 0 < pitch < 1 << 40 and not pitch % 16 and 0 <= stacked < 1 << 40 and not stacked % 16:
            matrices = of.batches if stacked else 1
            return _Source(_B if second else _A, rows, of.k, turned, pitch, stacked, matrices, element)
    return None


def _stores_boxes(of: Product) -> bool:
    """Whether the copy engine can write the result."""
    return of.aligned and of.n * of.out_dtype.itemsize % 16 == 0


def _copied(of: Product, second: bool, at: int) -> _Source:
    """Operand a, or b, as tf32_operand or half_operand leaves it in scratch memory."""
    rows, own, (row, k) = (of.n, of.b_batch, of.b[::-1]) if second else (of.m, of.a_batch, of.a)
    itemsize = of.dtype.itemsize
    turned = itemsize == 2 and abs(row) < abs(k)  # as it is: both are read by wgmma
    lines, length = (of.k, rows) if turned else (rows, of.k)
    pitch = -(-length * itemsize // 16) * 16
    matrices = of.batches if any(own) else 1
    stacked = lines * pitch if any(own) else 0
    return _Source(_SCRATCH, rows, of.k, turned, pitch, stacked, matrices, "u16" if itemsize == 2 else "u32", at)


class _Operands(NamedTuple):
    """Where a and b are read, what is done before, and the bytes of scratch memory."""

    a: _Source
    b: _Source
    low: tuple[_Source, ...]  # what is missing in both
    launches: tuple[Plan, ...]
    scratch_bytes: int


def _operands(target: Target, of: Product, at: int = SCRATCH_COUNTERS) -> _Operands:
    half, split = of.dtype.itemsize == 2, of.kind == "tf32x3"
    sources: list[_Source] = []
    low: list[_Source] = []
    launches: list[Plan] = []
    for second in (False, True):
        found = _read_in_place(of, second, "u16" if half else "tf32") if of.aligned and not split else None
        if found is None:
            found = _copied(of, second, at)
            lines = found.k if found.turned else found.rows
            nbytes = -(-found.matrices * lines * found.pitch // _ROW) * _ROW
            low_at = at + nbytes if split else 0
            launches.append(_copy(target, of, second, split, found, low_at))
            if split:
                low.append(found._replace(offset=low_at))
            at += nbytes * (2 if split else 1)
        sources.append(found)
    return _Operands(sources[0], sources[1], tuple(low), tuple(launches), at if launches else 0)


def _copy(target: Target, of: Product, second: bool, split: bool, to: _Source, low: int) -> Plan:
    row, k = of.b[::-1] if second else of.a
    itemsize = of.dtype.itemsize
    if itemsize == 2:
        lines, length = (of.k, to.rows) if to.turned else (to.rows, of.k)
        tiles = to.matrices * -(-lines // 16) * -(-length // 256)
        flags, kernel = [second, to.turned], "half_operand"
    else:
        turned = abs(row) < abs(k)
        tile_rows, tile_steps = _TF32_TILE[turned]
        tiles = to.matrices * -(-to.rows // tile_rows) * -(-of.k // tile_steps)
        flags, kernel = [second, turned, split], "tf32_operand"
    blocks = max(1, min(tiles, target.processors * target.blocks_per_processor * 4))
    name = f"ca::{kernel}<{', '.join(str(flag).lower() for flag in flags)}, {of.rank}>"
    words = (*of.words(), to.offset, low, to.pitch // itemsize, to.matrices)
    return Plan(Instance("matmul_hopper_operands.cuh", name), (blocks, 1, 1), (32, 8, 1), words)


def _serves(target: Target, of: Product) -> bool:
    if target.capability[0] != 9 or of.k == 0 or max(of.m, of.n, of.k) > INT32_MAX - 1024:
        return False
    if of.dtype.kind == "f" and of.dtype.itemsize == 4:
        return of.precision in ("tf32", "tf32x3") and of.out_dtype == of.dtype
    if of.dtype.itemsize != 2 or of.dtype.kind in "iub":
        return False
    return of.out_dtype == of.dtype or of.out_dtype == np.float32


def candidates(target: Target, of: Product) -> list[Configuration]:
    """The configurations that can compute a product, the one that should be fastest first; [] if none can.

    float32 must allow tf32. Operands are read where they are if they are contiguous along an axis (float32: k), with
    other strides and addresses multiples of 16 bytes, and at most one stack axis; else they are copied first.
    """
    rows = _matmul_tuning.choices(target, of) if _serves(target, of) else []
    found = [Configuration.for_product(of, values, splits) for family, values, splits in rows if family == "hopper"]
    return [own for own in found if fits(target, of, own)]


def fits(target: Target, of: Product, by: Configuration) -> bool:
    """Whether this configuration computes the product."""
    if by.splits > 1:
        of, by = _parts(of, by.splits), by._replace(splits=1)
    operands = _operands(target, of) if _serves(target, of) else None
    return (
        operands is not None
        and by.shared <= target.shared_bytes
        and by.fits(operands.a.turned, operands.b.turned)
        and (by.plain_stores or _stores_boxes(of))
        and _tiles(of, by) <= INT32_MAX
    )


def cost(target: Target, of: Product) -> _matmul_tuning.Cost:
    """What the layouts of a product cost beyond its tiles."""
    operands = _operands(target, of) if _serves(target, of) else None
    if operands is None:
        return _matmul_tuning.Cost()
    items = sum(own.matrices * own.rows * own.k for own in (operands.a, operands.b) if own.word == _SCRATCH)
    written = 2 if operands.low else 1
    return _matmul_tuning.Cost(len(operands.launches), items * of.dtype.itemsize * (1 + written))


def _tiles(of: Product, by: Configuration) -> int:
    """Tiles of a whole cluster."""
    return of.batches * -(-of.m // (by.bm * by.cluster_m)) * -(-of.n // (by.bn * by.cluster_n))


def _parts(of: Product, splits: int) -> Product:
    """The sums of each part of k, as a stack of products."""
    if of.batches != 1 or of.k % splits:
        raise ValueError(f"{splits} splits do not compute {of}")
    k = of.k // splits
    return of._replace(
        out_dtype=np.dtype(np.float32),
        k=k,
        batch=(splits,),
        a_batch=(k * of.a[1],),
        b_batch=(k * of.b[0],),
        c=(0, 0),
        c_batch=(0,),
        epilogue=None,
    )


def _split_plan(target: Target, of: Product, by: Configuration) -> MatmulPlan:
    """The launches of a product whose parts are written to scratch memory and added up there."""
    parts, nbytes = _parts(of, by.splits), tiles.split_bytes(of, by.splits)
    made = plan(target, parts, by._replace(splits=1), SCRATCH_COUNTERS + -(-nbytes // _ROW) * _ROW)
    *copies, main = made.launches
    assert main.maps is not None
    maps = list(main.maps)
    maps[2] = _out_map(parts)._replace(word=_SCRATCH, offset=SCRATCH_COUNTERS)
    last = tiles.sum_of_splits(of, "matmul_tiles.cuh", by.splits, (*of.words(), by.splits, parts.k))
    launches = (*copies, main._replace(maps=tuple(maps)), last)
    return MatmulPlan(launches, max(made.scratch_bytes, SCRATCH_COUNTERS + nbytes))


def plan(target: Target, of: Product, by: Configuration, scratch: int = SCRATCH_COUNTERS) -> MatmulPlan:
    """The launches of a product by one of its `candidates`, or another configuration that fits; what they need of
    scratch memory begins at the byte `scratch`.
    """
    if by.splits > 1:
        return _split_plan(target, of, by)
    operands = _operands(target, of, scratch) if _serves(target, of) else None
    if operands is None or by.split != bool(operands.low) or not by.fits(operands.a.turned, operands.b.turned):
        raise ValueError(f"{by} does not compute {of}")
    if not by.plain_stores and not _stores_boxes(of):
        raise ValueError(f"{by}: a result that is not at multiples of 16 bytes, as its rows are, needs plain_stores")
    flags = [operands.a.turned, operands.b.turned, ORDERS.index(by.order), by.buffers, not by.plain_stores]
    numbers = [by.bm, by.bn, by.stages, by.cluster_m, by.cluster_n, by.consumers, *flags]
    numbers += [by.split, by.promote, by.bounded, of.rank]
    name = f"ca::matmul_hopper<{of.cpp_types}, {', '.join(str(number).lower() for number in numbers)}>"
    parts = (by.bm // by.cluster_n, by.bn // by.cluster_m)
    maps: list[TensorMap | None] = [own.map(part) for own, part in zip((operands.a, operands.b), parts, strict=True)]
    maps.append(None if by.plain_stores else _out_map(of))
    maps += [own.map(part) for own, part in zip(operands.low, parts, strict=False)]
    words = (*of.words(), by.group, int(operands.a.stacked > 0), int(operands.b.stacked > 0))
    words += (0,) * (-(_HEAD_WORDS + len(words)) % _MAP_WORDS)
    tiles = _tiles(of, by)
    clusters = min(tiles, max(1, target.processors // by.cluster)) if by.persistent else tiles
    launch = Plan(
        Instance(HEADER, name),
        (clusters * by.cluster, 1, 1),
        (128 * (1 + by.consumers), 1, 1),
        words,
        by.shared,
        by.cluster,
        tuple(maps),
    )
    return MatmulPlan((*operands.launches, launch), operands.scratch_bytes)


def _out_map(of: Product) -> TensorMap:
    itemsize = of.out_dtype.itemsize
    row = of.n * itemsize
    box = (_ROW // itemsize, 64, 1)
    return TensorMap("u16" if itemsize == 2 else "u32", (of.n, of.m, of.batches), (row, row * of.m), box, _OUT)
