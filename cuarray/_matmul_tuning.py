"""How products of matrices are cut up for blocks of many threads, and which kernels compute them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cuarray._tuning import Target

if TYPE_CHECKING:
    from cuarray._plan._matmul import Product

# By kind of product: the families' configurations, and the rate at which a full H100 (132 processors) multiplies
# with them, in TFLOP/s of 2 m n k, besides what the constants below stand for. Those of float32, halves and float64 are
# fitted to 2,400 measurements of 162 products (docs/matmul.md); others are what was reached at extents of 4096 and
# 8192, but for those marked "?", which are predictions. A large tile reads less memory for an operation, a small one
# leaves fewer processors idle; `choices` weighs that. Rows that a GPU lacks the instructions or the memory for are left
# out.
TILES: dict[str, tuple[tuple[str, tuple[Any, ...], float], ...]] = {
    "float32": (
        ("simt", (128, 128, 16, 8, 8, 3), 56.0),
        ("simt", (128, 256, 8, 8, 16, 4), 48.5),
        ("simt", (64, 128, 16, 8, 8, 4), 45.5),
        ("simt", (128, 64, 16, 8, 8, 4), 43.5),
        ("simt", (64, 64, 16, 8, 4, 4), 37.0),
        ("simt", (32, 64, 16, 4, 4, 2), 37.0),
        ("simt", (32, 32, 16, 4, 2, 3), 26.5),
        ("simt", (128, 16, 32, 8, 2, 3), 20.0),
        ("simt", (16, 128, 32, 4, 4, 3), 20.0),
    ),
    # mma.sync reaches some 60 % of what wgmma does on Hopper. On the way to registers operands are rounded (three
    # instructions an item), which larger warps' tiles do less often.
    "tf32": (
        ("hopper", (128, 256, 4, 1, 1, 2), 335.0),
        ("hopper", (256, 128, 4, 1, 2, 2), 330.0),
        ("hopper", (128, 256, 4, 2, 1, 2), 322.0),
        ("hopper", (128, 192, 4, 1, 2, 2), 273.0),
        ("hopper", (128, 128, 6, 1, 1, 2), 255.0),  # ?
        ("hopper", (64, 128, 8, 1, 1, 1), 180.0),  # ?
        ("hopper", (64, 64, 8, 1, 1, 1), 120.0),  # ?
        ("mma", (128, 128, 16, 64, 64, 4), 230.0),
        ("mma", (128, 128, 32, 64, 32, 4), 200.0),
        ("mma", (64, 64, 32, 32, 32, 4), 120.0),
        ("mma", (32, 32, 32, 16, 16, 4), 50.0),
        ("simt", (128, 128, 8, 8, 8, 4), 40.0),
        ("simt", (32, 32, 16, 4, 2, 3), 15.0),
    ),
    "tf32x3": (
        ("hopper", (128, 128, 3, 2, 1, 2), 136.0),
        ("hopper", (128, 128, 3, 1, 2, 2), 135.0),
        ("hopper", (128, 128, 3, 1, 1, 2), 132.0),
        ("hopper", (64, 128, 4, 1, 1, 1), 60.0),  # ?
        ("hopper", (64, 64, 6, 1, 1, 1), 35.0),  # ?
        ("mma", (128, 128, 16, 64, 32, 4), 48.0),
        ("mma", (64, 64, 32, 32, 32, 4), 34.0),  # ?
        ("mma", (32, 32, 32, 16, 16, 4), 14.0),  # ?
        ("simt", (128, 128, 8, 8, 8, 4), 20.0),
        ("simt", (32, 32, 16, 4, 2, 3), 8.0),
    ),
    "half": (
        ("hopper", (256, 128, 4, 1, 2, 2), 870.0),
        ("hopper", (128, 256, 4, 1, 1, 2), 865.0),
        ("hopper", (128, 256, 4, 2, 1, 2), 840.0),
        ("hopper", (128, 192, 4, 1, 2, 2), 695.0),
        ("hopper", (128, 128, 6, 1, 1, 2), 664.0),
        ("hopper", (128, 128, 6, 2, 1, 2), 650.0),
        ("hopper", (64, 128, 8, 1, 1, 1), 580.0),
        ("hopper", (64, 256, 4, 1, 1, 1), 540.0),
        ("hopper", (64, 64, 8, 1, 1, 1), 384.0),
        ("mma", (128, 128, 32, 64, 64, 4), 340.0),
        ("mma", (256, 128, 32, 64, 64, 3), 319.0),
        ("mma", (128, 256, 32, 64, 64, 3), 303.0),
        ("mma", (64, 64, 32, 32, 32, 4), 296.0),
        ("mma", (128, 128, 32, 64, 32, 4), 293.0),
        ("mma", (128, 64, 32, 64, 32, 4), 283.0),
        ("mma", (64, 64, 64, 32, 32, 4), 265.0),
        ("mma", (128, 64, 32, 32, 32, 4), 256.0),
        ("mma", (32, 64, 64, 16, 32, 4), 207.0),
        ("simt", (128, 128, 8, 8, 8, 4), 43.0),
        ("simt", (64, 64, 16, 8, 4, 4), 35.0),
        ("simt", (32, 32, 16, 4, 2, 3), 36.0),
    ),
    # Instructions of 4 steps of k beat those of 8 and 16 (46 and 45 at the same tile).
    "float64": (
        ("mma", (128, 128, 16, 64, 32, 3, 4), 62.5),
        ("mma", (64, 64, 16, 32, 32, 4, 4), 56.5),
        ("mma", (32, 32, 16, 16, 16, 4, 4), 38.5),
        ("simt", (128, 128, 8, 8, 8, 4), 21.0),
        ("simt", (64, 64, 8, 4, 4, 3), 18.0),
        ("simt", (32, 32, 8, 2, 2, 3), 9.0),
    ),
    # An IMAD has half of an FFMA's rate.
    "int32": (
        ("simt", (128, 128, 8, 8, 8, 4), 30.6),
        ("simt", (64, 64, 16, 8, 4, 4), 25.0),
        ("simt", (32, 32, 16, 4, 2, 3), 10.0),  # ?
    ),
    # Four instructions for a product of 64 bits.
    "int64": (
        ("simt", (64, 64, 8, 4, 4, 3), 6.0),
        ("simt", (32, 32, 8, 2, 2, 3), 4.0),
    ),
    # Item by item copied asynchronously (False), a large tile leaves registers to more sums.
    "complex64": (
        ("simt", (128, 128, 16, 8, 8, 3, False), 13.2),
        ("simt", (128, 64, 8, 8, 4, 3), 12.2),
        ("simt", (64, 64, 16, 8, 4, 2, False), 12.1),
        ("simt", (32, 32, 16, 4, 2, 2), 11.8),
    ),
    "complex128": (
        ("mma", (128, 64, 8, 32, 32, 4), 14.0),
        ("mma", (64, 64, 8, 32, 32, 4), 13.3),
        ("mma", (32, 32, 8, 16, 16, 4), 11.0),
        ("simt", (64, 64, 8, 4, 4, 2), 5.4),
        ("simt", (32, 32, 8, 2, 2, 3), 4.0),  # ?
    ),
}  # fmt: skip
# Threads that a processor needs to work at that rate.
THREADS = {"hopper": 128, "mma": 268, "simt": 320}
START = 6.0  # microseconds of a launch
LAUNCH = 1.6  # of one more, which waits for the one before
READS = 3.6e6  # bytes that are read and written in a microsecond, each once
HIDDEN = 0.55  # of that time or the multiplications', whichever is shorter
COPIES = 2.4e6  # bytes that are copied, or written and read as parts of sums, in a microsecond
LOADS = 37e3  # items that lanes of a processor read or store one by one in a microsecond
BLOCK = {"hopper": 0.09, "mma": 0.22, "simt": 0.13}  # microseconds of a tile, besides its steps and
WRITES = 65e3  # bytes of its sums that a processor writes in a microsecond
SPLIT_LEAST = 256  # steps of k, at least, of a part
SPLITS_MOST = 1024
# The threads of matmul_sum_splits, across items and down their parts, by the most parts.
SUM_THREADS = ((15, (256, 1)), (127, (32, 8)), (SPLITS_MOST, (32, 32)))
# A product is skinny if it has at most so many rows or columns, by the bytes of an item: memory takes longer than that
# many operations an item by ordinary instructions, and a tile would be mostly empty.
SKINNY_MOST = {1: 16, 2: 8, 4: 8, 8: 16, 16: 8}
# The same where tensor cores could do it, which wait for memory at 16, too: as the longer operand lies, by rows or by
# columns.
SKINNY_BESIDE_TENSOR_CORES = {
    "rows": {2: 0, 4: 2, 8: 2, 16: 2},
    "columns": {2: 1, 4: 2, 8: 4, 16: 2},
}
SKINNY_LEAST = 8  # steps of k, at least, for each of more than 4 sums that a warp's lanes add up in the end
SKINNY_TILES = 4  # tiles of k, at least, that such a block does
SMALL_MOST = 16  # extent of the matrices of a stack that are too small for a tile
SMALL_BATCHES = 32  # a stack of fewer small matrices has no more blocks than matrices in any case
_HOPPER_BYTES = 128  # of k in a slice
# Slices of 32 elements of k between promotions of tf32x3's sums, and the k from which on. A sum in the tensor core is
# truncated to about 2**-24 of itself with each of a slice's 12 steps: 4 slices lose 8e-7, 8 slices 1.7e-6. Float32
# loses 1.8e-8 sqrt(k) by rounding, and this is to be less than twice as much.
HOPPER_PROMOTE = ((8, 2304), (4, 576), (2, 0))


class Cost(NamedTuple):
    """What a product's layouts cost a family, besides the work of tiles of vectors of 16 bytes."""

    copies: int = 0  # launches that copy operands
    copied: int = 0  # bytes that these read and write
    of_a: float = 0.0  # instructions of a lane, beyond those of vectors, for each item of a tile of a
    of_b: float = 0.0


def choices(
    target: Target, of: Product, costs: Mapping[str, Cost] | None = None
) -> list[tuple[str, tuple[Any, ...], int]]:
    """Families, configurations and splits of k for a product, which is expected to be fastest with the first of them.

    A configuration begins with its tile's rows and columns.
    """
    found = estimates(target, of, costs or {})
    return [one[1:] for one in sorted(found, key=lambda one: one[0])]


def estimates(
    target: Target, of: Product, costs: Mapping[str, Cost]
) -> Iterator[tuple[float, str, tuple[Any, ...], int]]:
    """The expected microseconds of each row of `TILES` that a product's kind has, with each number of splits."""
    read = of.batches * (of.m + of.n) * of.k * of.dtype.itemsize
    items = of.batches * of.m * of.n
    for family, values, tflops in TILES[of.kind]:
        bm, bn, bk = values[0], values[1], (_HOPPER_BYTES // of.dtype.itemsize if family == "hopper" else values[2])
        cost = costs.get(family, Cost())
        tiles = of.batches * -(-of.m // bm) * -(-of.n // bn)
        # microseconds of a processor
        per_step = 2 * bm * bn / (tflops * 1e6 / 132) + (bm * cost.of_a + bn * cost.of_b) / LOADS
        before = START + cost.copies * LAUNCH + cost.copied / COPIES
        splits_of_k = _splits(target, tiles, of.k)
        if family == "hopper":
            splits_of_k = tuple({_evenly(of.k, splits): None for splits in splits_of_k}) if of.batches == 1 else (1,)
        for splits in splits_of_k:
            part = -(-of.k // (splits * bk)) * bk
            written = of.out_dtype.itemsize if splits == 1 else max(of.dtype.itemsize, 4)
            blocks = -(-tiles * splits // target.processors)  # of a processor
            steps = max(blocks, THREADS[family] / _threads(family, values)) * part * per_step
            work = steps + blocks * (BLOCK[family] + bm * bn * written / WRITES)
            memory = (read + items * written) / READS
            time = before + work + memory - HIDDEN * min(work, memory)
            if splits > 1:
                time += LAUNCH + 2.0 * splits * items * written / COPIES
            yield time, family, values, splits


def _evenly(k: int, most: int) -> int:
    """Into how many parts the copy engine can read k: each of as many vectors of 16 bytes."""
    return next((splits for splits in range(most, 1, -1) if k % (splits * 8) == 0), 1)


def _threads(family: str, values: tuple[Any, ...]) -> int:
    if family == "hopper":
        return THREADS[family]  # a warpgroup's tensor cores are a whole processor's
    bm, bn, _, rows, cols = values[:5]  # of a thread, or of a warp
    return bm * bn // (rows * cols) * (32 if family == "mma" else 1)


def _splits(target: Target, tiles: int, k: int) -> tuple[Any, ...]:
    """Numbers of parts of k that may be worth it: those that fill the machine once, twice or four times."""
    most = min(SPLITS_MOST, k // SPLIT_LEAST)
    if tiles >= target.processors or most < 2:
        return (1,)
    once = target.processors // tiles
    return tuple(sorted({1, *(max(1, min(times * once, most)) for times in (1, 2, 4))}))
