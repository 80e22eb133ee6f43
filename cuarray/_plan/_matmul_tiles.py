"""What plans of products share whose threads read tiles from global memory (kernels/matmul_tiles.cuh)."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _matmul_tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._plan._common import INT32_MAX, SCRATCH_COUNTERS, Instance, Plan
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target


class Read(NamedTuple):
    """How tiles of an operand are read: `items` side by side along k, or along the other axis, at once."""

    along_k: bool
    items: int
    asynchronous: bool

    def cpp_name(self) -> str:
        return f"ca::tiles::Read<{_cpp(self.along_k)}, {self.items}, {_cpp(self.asynchronous)}>"


def _cpp(value: bool) -> str:
    return "true" if value else "false"


class Side(NamedTuple):
    """An operand as tiles see it: strides in bytes along k, along the other axis, and of the stack."""

    k: int
    x: int
    batch: tuple[int, ...]

    def vector(self, of: Product, most: int) -> tuple[bool, int]:
        """Whether lines along k are read, and how many items at once, at most so many."""
        itemsize = of.dtype.itemsize
        along_k = self.k == itemsize or (self.x != itemsize and abs(self.k) <= abs(self.x))
        along, line = (self.k, self.x) if along_k else (self.x, self.k)
        if along != itemsize or not of.aligned:
            return along_k, 1
        step = math.gcd(16, line, *self.batch)  # all lines begin at multiples of it
        return along_k, max(1, min(step // itemsize, most))


def side_a(of: Product) -> Side:
    return Side(of.a[1], of.a[0], of.a_batch)


def side_b(of: Product) -> Side:
    return Side(of.b[0], of.b[1], of.b_batch)


def has_async_copies(target: Target) -> bool:
    return target.capability >= (8, 0)


def sum_dtype(of: Product) -> np.dtype:
    """What products are added up in: ca::tiles::sum_t."""
    dtype = of.dtype
    if dtype.kind in "biu":
        return np.dtype(np.uint64 if dtype.itemsize == 8 else np.uint32)
    return np.dtype(np.float32) if dtype.itemsize == 2 else dtype


def cost(of: Product, a: Read, b: Read) -> _matmul_tuning.Cost:
    """What reading operands in this way costs: what is not copied asynchronously is stored by an instruction more."""
    whole = of.dtype.itemsize / 16  # instructions an item, of vectors

    def more(read: Read) -> float:
        return max(0.0, (1 if read.asynchronous else 2) / read.items - whole)

    return _matmul_tuning.Cost(of_a=more(a), of_b=more(b))


def pieces(of: Product, bm: int, bn: int) -> int:
    """Tiles of the result, of all of the stack."""
    return of.batches * -(-of.m // bm) * -(-of.n // bn)


def splits_fit(of: Product, splits: int, bm: int, bn: int) -> bool:
    """Whether blocks and steps of k can be counted in 32 bits."""
    return pieces(of, bm, bn) * splits <= INT32_MAX and of.k <= INT32_MAX - 4096


def of_tiles(
    of: Product,
    header: str,
    kernel: str,
    arguments: str,
    tile: tuple[int, int, int],
    splits: int,
    threads: int,
    shared: int,
    blocks: int | None = None,
) -> MatmulPlan:
    """The launches of kernel<T, Out, Epilogue, arguments, Partial, NBatch>, whose sums are cut into so many parts.

    `blocks`: of one part; otherwise a block a tile.
    """
    bm, bn, bk = tile
    chunk = -(-of.k // (splits * bk)) * bk
    splits = max(1, -(-of.k // chunk)) if chunk else 1
    partial = splits > 1
    words = (*of.words(), splits, chunk if partial else max(of.k, 1))
    grid = (splits * (pieces(of, bm, bn) if blocks is None else blocks), 1, 1)
    types = of.cpp_types
    if partial:  # the same code whatever becomes of the sums
        types = f"{CPP_NAMES[of.dtype]}, {CPP_NAMES[of.dtype]}, ca::epilogues::None"
    name = f"ca::{kernel}<{types}, {arguments}, {_cpp(partial)}, {of.rank}>"
    main = Plan(Instance(header, name), grid, (threads, 1, 1), words, shared)
    if not partial:
        return MatmulPlan((main,), 0)
    return MatmulPlan((main, sum_of_splits(of, header, splits, words)), SCRATCH_COUNTERS + split_bytes(of, splits))


def split_bytes(of: Product, splits: int) -> int:
    """Bytes of the sums of all parts of k, which stand in scratch memory after the counters."""
    return splits * of.batches * of.m * of.n * sum_dtype(of).itemsize


def sum_of_splits(of: Product, header: str, splits: int, words: tuple[int, ...]) -> Plan:
    """The launch that adds these up."""
    items = of.batches * of.m * of.n
    across, down = next(threads for most, threads in _matmul_tuning.SUM_THREADS if splits <= most)
    name = f"ca::matmul_sum_splits<{of.cpp_types}, {across}, {down}, {of.rank}>"
    return Plan(Instance(header, name), (-(-items // across), 1, 1), (across, down, 1), words)
