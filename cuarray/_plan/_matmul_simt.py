"""Plans of products by the ordinary instructions of threads: kernels/matmul_simt.cuh. For every dtype and layout."""

from __future__ import annotations

from typing import Any, NamedTuple

from cuarray._matmul_tuning import Cost
from cuarray._plan import _matmul_tiles as tiles
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._plan._matmul_tiles import Read, Side
from cuarray._tuning import Target


class Configuration(NamedTuple):
    """The template's arguments, but for what follows from the operands' layouts."""

    bm: int  # rows, columns and steps of k of a block's tile
    bn: int
    bk: int
    tm: int  # rows and columns of a thread
    tn: int
    stages: int
    turn: bool = True  # read vectors along k into registers and turn them there; otherwise copy item by item
    splits: int = 1  # of k

    def __str__(self) -> str:
        how = "turn" if self.turn else "copy"
        return f"{self.bm}x{self.bn}x{self.bk} {self.tm}x{self.tn} s{self.stages} {how} k{self.splits}"

    @classmethod
    def for_product(cls, of: Product, values: tuple[Any, ...], splits: int) -> Configuration:
        """A row of _matmul_tuning, and in how many parts k is."""
        return cls(*values)._replace(splits=splits)

    @property
    def threads(self) -> int:
        return self.bm // (4 * self.tm) * (self.bn // (8 * self.tn)) * 32


def _read(target: Target, of: Product, side: Side, turn: bool, extent: int, bk: int) -> Read:
    itemsize = of.dtype.itemsize
    along_k, items = side.vector(of, min(8, 16 // itemsize))  # 16 bytes to be converted take too many registers
    items = min(items, bk if along_k else extent)
    # Copies change no bits: small integers and halves become sums' types on the way.
    copies = tiles.has_async_copies(target) and itemsize == tiles.sum_dtype(of).itemsize
    if not copies:
        return Read(along_k, items, False)
    if not along_k:
        return Read(False, items, True)
    if turn and items > 1:
        return Read(True, items, False)
    return Read(True, 1, True)


def _shared(of: Product, own: Configuration) -> int:
    itemsize = tiles.sum_dtype(of).itemsize
    gap = 16 // itemsize
    stages = own.stages * own.bk * (own.bm + own.bn + 2 * gap) * itemsize
    passes = max(1, own.tm // gap)  # in which sums go through the same memory
    return max(stages, own.bm // passes * (own.bn + gap) * itemsize)


def fits(target: Target, of: Product, own: Configuration) -> bool:
    """Whether this configuration computes the product."""
    itemsize = tiles.sum_dtype(of).itemsize
    return (
        _shared(of, own) <= target.shared_bytes
        and 32 <= own.threads <= target.max_block_threads
        and own.tm * own.tn * itemsize <= 512  # registers
        and tiles.splits_fit(of, own.splits, own.bm, own.bn)
    )


def cost(target: Target, of: Product) -> Cost:
    """What the layouts of a product cost beyond its tiles."""
    reads = (_read(target, of, side, True, 16, 16) for side in (tiles.side_a(of), tiles.side_b(of)))
    return tiles.cost(of, *reads)


_SHAPES = [
    (128, 128, 16, 8, 8, 3),
    (128, 128, 8, 8, 8, 4),
    (128, 256, 8, 8, 16, 4),
    (128, 256, 16, 8, 16, 3),
    (256, 128, 8, 16, 8, 4),
    (256, 128, 16, 16, 8, 3),
    (128, 64, 16, 8, 8, 4),
    (64, 128, 16, 8, 8, 4),
    (64, 64, 16, 8, 4, 4),
    (64, 64, 16, 4, 4, 3),
    (32, 64, 16, 4, 4, 4),
    (32, 32, 16, 4, 2, 3),
    (32, 32, 16, 2, 2, 3),
    (128, 16, 32, 8, 2, 3),
    (16, 128, 32, 4, 4, 3),
]


def candidates(target: Target, of: Product) -> list[Configuration]:
    """Those that compute the product and are worth a measurement."""
    if target.one_thread_blocks or target.capability < (7, 0) or of.precision != "ieee":
        return []
    found = []
    for shape in _SHAPES:
        for stages in sorted({2, shape[-1]}):
            for turn in (True, False) if tiles.has_async_copies(target) else (True,):
                own = Configuration(*shape[:-1], stages, turn)
                if fits(target, of, own):
                    found.append(own)
    return found


def plan(target: Target, of: Product, own: Configuration) -> MatmulPlan:
    """The launches of a product that `fits`."""
    reads = (
        _read(target, of, side, own.turn, extent, own.bk)
        for side, extent in ((tiles.side_a(of), own.bm), (tiles.side_b(of), own.bn))
    )
    arguments = f"{own.bm}, {own.bn}, {own.bk}, {own.tm}, {own.tn}, {own.stages}, "
    arguments += ", ".join(read.cpp_name() for read in reads)
    tile = (own.bm, own.bn, own.bk)
    return tiles.of_tiles(
        of, "matmul_simt.cuh", "matmul_simt", arguments, tile, own.splits, own.threads, _shared(of, own)
    )
