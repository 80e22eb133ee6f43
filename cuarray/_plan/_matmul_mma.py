"""Plans of products by tensor cores, a warp at a time (mma.sync): kernels/matmul_mma.cuh. From capability 8.0 on."""

from __future__ import annotations

from typing import Any, NamedTuple

from cuarray._dtypes import BFLOAT16
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
    warp_m: int  # rows and columns of a warp
    warp_n: int
    stages: int
    k: int = 0  # steps of one instruction, where there is a choice (float64); 0: the only one
    splits: int = 1  # of k

    def __str__(self) -> str:
        instruction = f" i{self.k}" if self.k else ""
        return f"{self.bm}x{self.bn}x{self.bk} w{self.warp_m}x{self.warp_n} s{self.stages}{instruction} k{self.splits}"

    @classmethod
    def for_product(cls, of: Product, values: tuple[Any, ...], splits: int) -> Configuration:
        """A row of _matmul_tuning, and in how many parts k is."""
        return cls(*values)._replace(splits=splits)

    @property
    def threads(self) -> int:
        return self.bm // self.warp_m * (self.bn // self.warp_n) * 32


def _instruction(target: Target, of: Product, own: Configuration) -> tuple[str, int]:
    """Its functor in ca::mma, and its steps of k."""
    if of.dtype == BFLOAT16:
        return "ca::mma::BFloat16", 16
    if of.dtype.itemsize == 2:
        return "ca::mma::Float16", 16
    if of.dtype.itemsize == 4:
        return f"ca::mma::TF32<{3 if of.precision == 'tf32x3' else 1}>", 8
    whole = "true" if target.capability >= (9, 0) else "false"
    if of.dtype.kind == "c":
        return f"ca::mma::Complex128<{whole}>", 4
    return f"ca::mma::Float64<{own.k}, {whole}>", own.k


def _read(of: Product, side: Side) -> Read:
    along_k, items = side.vector(of, 16 // of.dtype.itemsize)
    return Read(along_k, items, items * of.dtype.itemsize >= 4)


def _held(of: Product, own: Configuration) -> int:
    """Registers of a thread for the next tiles, where these are not copied asynchronously."""
    sides = ((tiles.side_a(of), own.bm), (tiles.side_b(of), own.bn))
    reads = [(_read(of, side), extent) for side, extent in sides]
    return sum(extent * own.bk // (own.threads * read.items) for read, extent in reads if not read.asynchronous)


def _shared(of: Product, own: Configuration) -> int:
    itemsize = of.dtype.itemsize
    rows = own.bm // (own.warp_m // 16)  # of sums, which go through the same memory
    return max(own.stages * own.bk * (own.bm + own.bn) * itemsize, rows * (own.bn + 8) * max(itemsize, 4))


def multiplies(target: Target, of: Product) -> bool:
    """Whether the GPU has tensor cores for these numbers."""
    if target.one_thread_blocks or target.capability < (8, 0) or of.kind not in _KINDS:
        return False
    if of.kind in ("float64", "complex128"):  # others have few units for it, behind the same instructions
        return target.capability[1] == 0 and target.capability[0] in (8, 9, 10)
    return True


def fits(target: Target, of: Product, own: Configuration) -> bool:
    """Whether this configuration computes the product."""
    if not multiplies(target, of):
        return False
    _, k = _instruction(target, of, own)
    return (
        (k in (4, 8, 16) and (k == 4 or of.dtype.itemsize < 8 or target.capability >= (9, 0)))
        and own.k in (0, k)
        and (_held(of, own) + own.warp_m * own.warp_n // 32 <= _MOST_HELD or not _held(of, own))
        and own.bk % (2 * k if k < 8 or of.dtype.itemsize < 8 else k) == 0
        and own.bk * of.dtype.itemsize >= 64
        and _shared(of, own) <= target.shared_bytes
        and own.threads <= target.max_block_threads
        and tiles.splits_fit(of, own.splits, own.bm, own.bn)
    )


def cost(target: Target, of: Product) -> Cost:
    """What the layouts of a product cost beyond its tiles."""
    return tiles.cost(of, _read(of, tiles.side_a(of)), _read(of, tiles.side_b(of)))


_MOST_HELD = 95  # registers of a thread beside sums, before some are spilled (ptxas -v)
_KINDS = ("half", "tf32", "tf32x3", "float64", "complex128")
# By bytes of an item.
_SHAPES = {
    2: [
        (256, 128, 32, 64, 64, 3),
        (128, 256, 32, 64, 64, 3),
        (256, 128, 64, 64, 64, 3),
        (128, 256, 64, 64, 64, 3),
        (128, 128, 32, 64, 64, 4),
        (128, 128, 64, 64, 64, 3),
        (128, 128, 32, 64, 32, 4),
        (128, 128, 64, 64, 32, 3),
        (128, 64, 32, 64, 32, 4),
        (64, 128, 32, 32, 64, 4),
        (128, 64, 32, 32, 32, 4),
        (64, 64, 64, 32, 32, 4),
        (64, 64, 32, 32, 32, 4),
        (32, 64, 64, 16, 32, 4),
        (64, 32, 64, 32, 16, 4),
    ],
    4: [
        (256, 128, 16, 64, 64, 4),
        (128, 256, 16, 64, 64, 4),
        (128, 128, 16, 64, 32, 4),
        (128, 128, 32, 64, 32, 4),
        (128, 128, 16, 64, 64, 4),
        (128, 64, 32, 32, 32, 4),
        (64, 128, 32, 32, 32, 4),
        (64, 64, 32, 32, 32, 4),
        (32, 32, 32, 16, 16, 4),
    ],
    8: [
        (128, 128, 16, 64, 32, 3),
        (128, 128, 16, 32, 64, 3),
        (128, 128, 16, 64, 32, 4),
        (128, 128, 32, 64, 32, 3),
        (128, 64, 16, 32, 32, 4),
        (64, 128, 16, 32, 32, 4),
        (64, 64, 16, 32, 32, 4),
        (64, 64, 16, 32, 16, 4),
        (32, 32, 16, 16, 16, 4),
    ],
    16: [
        (128, 64, 8, 32, 32, 4),
        (64, 128, 8, 32, 32, 4),
        (128, 64, 8, 32, 32, 3),
        (128, 64, 8, 64, 16, 4),
        (64, 64, 8, 32, 32, 4),
        (64, 64, 8, 32, 32, 3),
        (64, 64, 16, 32, 32, 3),
        (64, 64, 8, 32, 16, 4),
        (32, 32, 8, 16, 16, 4),
    ],
}


def candidates(target: Target, of: Product) -> list[Configuration]:
    """Those that compute the product and are worth a measurement."""
    if not multiplies(target, of):
        return []
    instructions = (4, 8, 16) if of.dtype.itemsize == 8 else (0,)
    all_of_them = (Configuration(*shape, k) for shape in _SHAPES[of.dtype.itemsize] for k in instructions)
    return [own for own in all_of_them if fits(target, of, own)]


def plan(target: Target, of: Product, own: Configuration) -> MatmulPlan:
    """The launches of a product that `fits`."""
    instruction, _ = _instruction(target, of, own)
    reads = (_read(of, side) for side in (tiles.side_a(of), tiles.side_b(of)))
    arguments = f"{instruction}, {own.bm}, {own.bn}, {own.bk}, {own.warp_m}, {own.warp_n}, {own.stages}, "
    arguments += ", ".join(read.cpp_name() for read in reads)
    tile = (own.bm, own.bn, own.bk)
    header = "matmul_mma_double.cuh" if of.kind in ("float64", "complex128") else "matmul_mma.cuh"
    return tiles.of_tiles(of, header, "matmul_mma", arguments, tile, own.splits, own.threads, _shared(of, own))
