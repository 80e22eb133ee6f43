"""How products of matrices are cut up for blocks of many threads, and which kernels compute them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from cuarray._tuning import Target

if TYPE_CHECKING:
    from cuarray._plan._matmul import Product

# By kind of product: the families' configurations, and what a full H100 (132 processors) reaches with them, in TFLOP/s
# of 2 m n k: measured at extents of 4096 and 8192 (docs/matmul.md) but for those marked "?", which are predictions. A
# large tile reads less memory for an operation, a small one leaves fewer processors idle; `choices` weighs that. Rows
# that a GPU lacks the instructions or the memory for are left out.
TILES: dict[str, tuple[tuple[str, tuple[Any, ...], float], ...]] = {
    "float32": (
        ("simt", (128, 128, 16, 8, 8, 3), 47.7),
        ("simt", (128, 256, 8, 8, 16, 4), 47.1),
        ("simt", (64, 128, 16, 8, 8, 4), 45.3),
        ("simt", (128, 64, 16, 8, 8, 4), 43.0),
        ("simt", (64, 64, 16, 8, 4, 4), 39.0),
        ("simt", (32, 64, 16, 4, 4, 2), 37.0),
        ("simt", (32, 32, 16, 4, 2, 3), 26.0),
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
        ("hopper", (128, 128, 6, 2, 1, 2), 92.0),
        ("hopper", (128, 192, 4, 1, 2, 2), 84.0),
        ("hopper", (128, 128, 6, 1, 1, 2), 80.0),
        ("hopper", (64, 128, 8, 1, 1, 1), 49.0),
        ("mma", (128, 128, 16, 64, 32, 4), 48.0),
        ("mma", (64, 64, 32, 32, 32, 4), 34.0),  # ?
        ("mma", (32, 32, 32, 16, 16, 4), 14.0),  # ?
        ("simt", (128, 128, 8, 8, 8, 4), 20.0),
        ("simt", (32, 32, 16, 4, 2, 3), 8.0),
    ),
    "half": (
        ("hopper", (256, 128, 4, 1, 2, 2), 718.0),
        ("hopper", (128, 256, 4, 2, 1, 2), 684.0),
        ("hopper", (128, 256, 4, 1, 1, 2), 679.0),
        ("hopper", (128, 192, 4, 1, 2, 2), 622.0),
        ("hopper", (128, 128, 6, 2, 1, 2), 560.0),  # ?
        ("hopper", (128, 128, 6, 1, 1, 2), 530.0),  # ?
        ("hopper", (64, 256, 4, 1, 1, 1), 430.0),  # ?
        ("hopper", (64, 128, 8, 1, 1, 1), 370.0),  # ?
        ("hopper", (64, 64, 8, 1, 1, 1), 240.0),  # ?
        ("mma", (128, 256, 32, 64, 64, 3), 480.0),  # ?
        ("mma", (256, 128, 32, 64, 64, 3), 480.0),  # ?
        ("mma", (128, 128, 32, 64, 64, 4), 450.0),  # ?
        ("mma", (128, 128, 32, 64, 32, 4), 420.0),  # ?
        ("mma", (128, 64, 32, 64, 32, 4), 340.0),  # ?
        ("mma", (128, 64, 32, 32, 32, 4), 300.0),  # ?
        ("mma", (64, 64, 64, 32, 32, 4), 260.0),  # ?
        ("mma", (64, 64, 32, 32, 32, 4), 240.0),  # ?
        ("mma", (32, 64, 64, 16, 32, 4), 150.0),  # ?
        ("simt", (128, 128, 8, 8, 8, 4), 40.0),
        ("simt", (64, 64, 16, 8, 4, 4), 30.0),
        ("simt", (32, 32, 16, 4, 2, 3), 15.0),
    ),
    # Instructions of 4 steps of k beat those of 8 and 16 (46 and 45 at the same tile).
    "float64": (
        ("mma", (128, 128, 16, 64, 32, 3, 4), 55.0),
        ("mma", (64, 64, 16, 32, 32, 4, 4), 49.0),
        ("mma", (32, 32, 16, 16, 16, 4, 4), 25.0),  # ?
        ("simt", (128, 128, 8, 8, 8, 4), 18.0),
        ("simt", (64, 64, 8, 4, 4, 3), 20.0),  # ?
        ("simt", (32, 32, 8, 2, 2, 3), 9.0),  # ?
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
    "complex64": (
        ("simt", (128, 64, 8, 8, 4, 3), 12.2),
        ("simt", (64, 64, 8, 4, 4, 3), 11.3),
        ("simt", (32, 32, 8, 2, 2, 3), 5.0),  # ?
    ),
    "complex128": (
        ("mma", (128, 64, 8, 32, 32, 4), 13.2),  # ?
        ("mma", (64, 64, 8, 32, 32, 4), 12.6),  # ?
        ("mma", (32, 32, 8, 16, 16, 4), 6.5),  # ?
        ("simt", (64, 64, 8, 4, 4, 2), 5.4),
        ("simt", (32, 32, 8, 2, 2, 3), 4.0),  # ?
    ),
}  # fmt: skip
# Threads that a processor needs to work at that rate.
THREADS = {"hopper": 128, "mma": 256, "simt": 384}
START = 3.0  # microseconds until a block's first tiles are there, and until its sums are written
LAUNCH = 3.0  # microseconds of one more launch, which waits for the one before
BYTES = 2.5e6  # that are copied, or written and read as parts of sums, in a microsecond: read and written count
LOADS = 56e3  # items that lanes of a processor read or store one by one in a microsecond: 32 a cycle
SPLIT_LEAST = 256  # steps of k, at least, of a part
SPLITS_MOST = 1024
# The threads of matmul_sum_splits, across items and down their parts, by the most parts.
SUM_THREADS = ((15, (256, 1)), (127, (32, 8)), (SPLITS_MOST, (32, 32)))
# A product is skinny if it has at most so many rows or columns, by the bytes of an item: memory takes longer than that
# many operations an item by ordinary instructions, and a tile would be mostly empty.
SKINNY_MOST = {1: 16, 2: 8, 4: 16, 8: 16, 16: 8}
SKINNY_BLOCKS = 4  # blocks a processor that a skinny product is cut into: 8 of 256 threads would be resident
SKINNY_TILES = 4  # tiles of k, at least, that such a block does
SMALL_BATCHES = 32  # a stack of fewer small matrices has no more blocks than matrices in any case
_HOPPER_STEPS = 32  # of k in a slice, of float32; twice as many of 16-bit items
# Slices of 32 elements of k between promotions of tf32x3's sums. A sum in the tensor core is truncated to about 2**-24
# of itself with each of a slice's 4 steps, so 4 slices lose 6e-7: float32 loses 2e-6 by rounding at k = 8192.
HOPPER_PROMOTE = 4


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
    for family, values, tflops in TILES[of.kind]:
        bm, bn, bk = values[0], values[1], (_HOPPER_STEPS if family == "hopper" else values[2])
        cost = costs.get(family, Cost())
        tiles = of.batches * -(-of.m // bm) * -(-of.n // bn)
        # microseconds of a processor
        per_step = 2 * bm * bn / (tflops * 1e6 / 132) + (bm * cost.of_a + bn * cost.of_b) / LOADS
        before = START + cost.copies * LAUNCH + cost.copied / BYTES
        for splits in _splits(target, tiles, of.k) if family != "hopper" else (1,):
            part = -(-of.k // (splits * bk)) * bk
            blocks = -(-tiles * splits // target.processors)  # of a processor
            time = before + max(blocks, THREADS[family] / _threads(family, values)) * part * per_step
            if splits > 1:
                time += LAUNCH + 2.0 * splits * of.batches * of.m * of.n * max(of.dtype.itemsize, 4) / BYTES
            yield time, family, values, splits


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
