"""Plans of products whose time is memory's: few rows or columns, or stacks of small matrices (matmul_skinny.cuh)."""

from __future__ import annotations

from typing import NamedTuple

from cuarray import _matmul_tuning
from cuarray._plan import _matmul_tiles as tiles
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target

_THREADS, _WARPS = 256, 8  # of the first two kernels
_FEW = (1, 2, 4, 8, 16)
_SMALL_THREADS = 128
_SIDES = {4: 2, 8: 2, 16: 4, 32: 4}  # of what a thread computes, by the largest extent
_COLUMN_TILE, _COLUMN_STEPS = 128, 4  # steps of k of matmul_skinny_columns, and those that a thread reads at once


class Configuration(NamedTuple):
    """The template's arguments, but for what follows from the operands' layouts."""

    kernel: str  # rows or columns, as the long operand lies in memory; small
    extent: int  # rows of the short operand, of which there may be fewer; of small matrices the largest extent
    lines: int = 1  # of the long operand that a warp does, of `rows`
    splits: int = 1  # of k

    def __str__(self) -> str:
        return f"{self.kernel} {self.extent} l{self.lines} k{self.splits}"


def _swapped(of: Product) -> bool:
    """Whether b is the long operand."""
    return of.m < of.n


def _long(of: Product) -> tuple[tiles.Side, int]:
    """The long operand and its lines."""
    return (tiles.side_b(of), of.n) if _swapped(of) else (tiles.side_a(of), of.m)


def _items(of: Product) -> tuple[bool, int]:
    side, _ = _long(of)
    return side.vector(of, min(8, 16 // of.dtype.itemsize))  # 16 bytes to be converted are much code


def _small_shared(of: Product, own: Configuration) -> int:
    matrices = _SMALL_THREADS // (own.extent // _SIDES[own.extent]) ** 2
    return 2 * matrices * own.extent * (own.extent + 1) * tiles.sum_dtype(of).itemsize


def fits(target: Target, of: Product, own: Configuration) -> bool:
    """Whether this configuration computes the product."""
    if own.kernel == "small":
        return (
            own.extent in _SIDES
            and max(of.m, of.n, of.k) <= own.extent
            and of.batches <= 2**31 - 1
            and _small_shared(of, own) <= target.shared_bytes
        )
    along_k, _ = _items(of)
    return (
        own.extent in _FEW
        and min(of.m, of.n) <= own.extent
        and own.lines * own.extent <= 32
        and along_k == (own.kernel == "rows")
        and tiles.splits_fit(of, own.splits, 1, 1)
    )


def _row_steps(of: Product, few: int, lines: int, items: int) -> int:
    """skinny::row_steps of the kernels' header."""
    steps = max(1, (8 if few <= 2 else 4) // lines)
    while steps > 1 and steps * 32 * items * few * tiles.sum_dtype(of).itemsize > 32768:
        steps //= 2
    return steps


def _resident(of: Product, own: Configuration, items: int) -> int:
    """Blocks of `rows` or `columns` that a processor has room for: skinny::resident of the kernels' header."""
    few = own.extent * tiles.sum_dtype(of).itemsize
    if own.kernel == "rows":
        held = own.lines * (few + _row_steps(of, own.extent, own.lines, items) * items * of.dtype.itemsize)
    else:
        held = items * (few + _COLUMN_STEPS * of.dtype.itemsize)
    return 4 if held <= 128 else 3 if held <= 192 else 2 if held <= 384 else 1


def _split(target: Target, of: Product, own: Configuration, lines: int, tile: int) -> Configuration:
    """With so many parts of k as run at the same time, each with enough work to be worth its sums' way to memory."""
    _, items = _items(of)
    blocks = of.batches * -(-_long(of)[1] // lines)
    room = _resident(of, own, items) * target.processors
    return own._replace(splits=max(1, min(room // blocks, of.k // (_matmul_tuning.SKINNY_TILES * tile))))


def candidates(target: Target, of: Product) -> list[Configuration]:
    """Those that compute the product and are worth a measurement."""
    if target.one_thread_blocks or target.capability < (7, 0) or of.k == 0:
        return []
    found = []
    if of.batches > 1:
        found += [Configuration("small", extent) for extent in _SIDES]
        found = [own for own in found if own.extent < 2 * max(of.m, of.n, of.k) or own.extent == min(_SIDES)]
    few = next((extent for extent in _FEW if extent >= min(of.m, of.n)), 0)
    if 0 < few <= _matmul_tuning.SKINNY_MOST[of.dtype.itemsize]:
        along_k, items = _items(of)
        if along_k:
            for lines in (4, 2, 1):
                found.append(_split(target, of, Configuration("rows", few, lines), lines * _WARPS, 32 * items))
        else:
            found.append(_split(target, of, Configuration("columns", few), 32 * items, _COLUMN_TILE))
    return [own for own in found if fits(target, of, own)]


def best(target: Target, of: Product, tensor_cores: bool = False) -> Configuration | None:
    """The configuration for a product that this family is for; None: it is for others, of which one may have
    tensor cores for it.
    """
    found = {own.kernel: own for own in reversed(candidates(target, of))}  # of rows, the most lines a warp
    small = found.get("small")
    if small and small.extent <= _matmul_tuning.SMALL_MOST and of.batches >= _matmul_tuning.SMALL_BATCHES:
        return small
    own = found.get("columns") or found.get("rows")
    if own is None:
        return None
    if tensor_cores and own.extent > _matmul_tuning.SKINNY_BESIDE_TENSOR_CORES[own.kernel][of.dtype.itemsize]:
        return None
    if own.kernel == "columns":
        return own
    if own.extent > 4 and of.k < _matmul_tuning.SKINNY_LEAST * own.extent:
        return None
    lines = own.lines
    while lines > 1 and own.splits == 1 and of.batches * _long(of)[1] < lines * _WARPS * 2 * target.processors:
        lines //= 2  # rather than that processors have nothing to do
    return own._replace(lines=lines)


def plan(target: Target, of: Product, own: Configuration) -> MatmulPlan:
    """The launches of a product that `fits`."""
    header = "matmul_skinny.cuh"
    if own.kernel == "small":
        side = _SIDES[own.extent]
        matrices = _SMALL_THREADS // (own.extent // side) ** 2
        return tiles.of_tiles(
            of,
            header,
            "matmul_small",
            f"{own.extent}, {side}",
            (1, 1, max(of.k, 1)),
            1,
            _SMALL_THREADS,
            _small_shared(of, own),
            -(-of.batches // matrices),
        )
    _, items = _items(of)
    _, lines = _long(of)
    swapped = "true" if _swapped(of) else "false"
    if own.kernel == "rows":
        arguments, tile, kernel = f"{swapped}, {own.extent}, {own.lines}, {items}", 32 * items, "matmul_skinny_rows"
        blocks = -(-lines // (own.lines * _WARPS))
    else:
        arguments, tile, kernel = f"{swapped}, {own.extent}, {items}", _COLUMN_TILE, "matmul_skinny_columns"
        blocks = -(-lines // (32 * items))
    return tiles.of_tiles(of, header, kernel, arguments, (1, 1, tile), own.splits, _THREADS, 0, of.batches * blocks)
