"""Plans of products of matrices: what a product is, and which of the kernels computes it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


class Epilogue(NamedTuple):
    """What is done with each sum: function(alpha * sum + beta * c), in the accumulator's type."""

    function: str  # the functor's name in ca::epilogues
    alpha: tuple[int, int]  # the bits of the factors, as accumulators
    beta: tuple[int, int]
    added: bool  # there is a c

    def cpp_name(self) -> str:
        return f"ca::epilogues::Affine<ca::epilogues::{self.function}, {str(self.added).lower()}>"


class Product(NamedTuple):
    """out = epilogue(a @ b) for a stack of matrices; strides are in bytes and out is C-contiguous."""

    dtype: np.dtype  # of a and b
    out_dtype: np.dtype  # of out and c
    m: int
    n: int
    k: int
    a: tuple[int, int]  # strides of a row and of a column
    b: tuple[int, int]
    c: tuple[int, int]
    batch: tuple[int, ...]  # extents of the stack, as few as there can be
    a_batch: tuple[int, ...]
    b_batch: tuple[int, ...]
    c_batch: tuple[int, ...]
    aligned: bool  # a, b and c start at multiples of 16 bytes
    precision: str  # of float32: ieee, tf32 or tf32x3
    epilogue: Epilogue | None

    @property
    def batches(self) -> int:
        return math.prod(self.batch)

    @property
    def cpp_types(self) -> str:
        """The template arguments that every kernel begins with: the types of the operands, of out, and the epilogue."""
        epilogue = self.epilogue.cpp_name() if self.epilogue else "ca::epilogues::None"
        return f"{CPP_NAMES[self.dtype]}, {CPP_NAMES[self.out_dtype]}, {epilogue}"

    @property
    def rank(self) -> int:
        """NBatch of the kernel's parameter."""
        return rank_for(max(len(self.batch), 1))

    def words(self) -> tuple[int, ...]:
        """The words of a Matmul<rank> (kernels/matmul.cuh) after its head."""
        alpha, beta = (self.epilogue.alpha, self.epilogue.beta) if self.epilogue else ((0, 0), (0, 0))
        extents = (self.batches, self.m, self.n, self.k)
        strides = (pad(own, self.rank, 0) for own in (self.a_batch, self.b_batch, self.c_batch))
        stack = pad(self.batch, self.rank, 1)
        return (*extents, *self.a, *self.b, *self.c, *alpha, *beta, *stack, *(s for own in strides for s in own))


class MatmulPlan(NamedTuple):
    """The launches, one after the other, and the scratch memory that they share, word 4 of each; 0: they need none."""

    launches: tuple[Plan, ...]
    scratch_bytes: int


def product(
    a: Layout,
    b: Layout,
    batch: tuple[int, ...],
    out_dtype: np.dtype,
    c: Layout | None = None,
    epilogue: Epilogue | None = None,
    precision: str = "ieee",
    aligned: bool = False,
) -> Product:
    """The product of two arrays of one dtype that are at least 2-d, whose stacks broadcast to `batch`."""
    m, k = a.shape[-2:]
    n = b.shape[-1]

    def batch_strides(source: Layout) -> tuple[int, ...]:
        padded = pad(source.shape[:-2], len(batch), 1)
        own = pad(source.strides[:-2], len(batch), 0)
        return tuple(0 if extent == 1 else stride for extent, stride in zip(padded, own, strict=True))

    none = (0,) * len(batch)
    stack, strides = collapse(batch, [batch_strides(a), batch_strides(b), none if c is None else batch_strides(c)])
    c_row, c_column = (0, 0) if c is None else c.strides[-2:]
    return Product(
        dtype=a.dtype,
        out_dtype=out_dtype,
        m=m,
        n=n,
        k=k,
        a=(a.strides[-2], a.strides[-1]),
        b=(b.strides[-2], b.strides[-1]),
        # c broadcasts to the result
        c=(0 if c is None or c.shape[-2] == 1 else c_row, 0 if c is None or c.shape[-1] == 1 else c_column),
        batch=stack,
        a_batch=strides[0],
        b_batch=strides[1],
        c_batch=strides[2],
        aligned=aligned,
        precision=precision,
        epilogue=epilogue,
    )


def matmul(target: Target, of: Product) -> MatmulPlan:
    """The launches of a product with at least one element."""
    return MatmulPlan((_simple(target, of),), 0)


def _simple(target: Target, of: Product) -> Plan:
    if target.one_thread_blocks:
        rows = of.batches * of.m
        name = f"ca::matmul_rows<{of.cpp_types}, {_tuning.MATMUL_STRIP}, {of.rank}>"
        blocks = _tuning.matmul_rows_blocks(target, rows, 2 * rows * of.n * of.k)
        return Plan(Instance("matmul_simple.cuh", name), (blocks, 1, 1), (1, 1, 1), of.words())
    tile = _tuning.MATMUL_TILE
    pieces = of.batches * -(-of.m // tile) * -(-of.n // tile)
    name = f"ca::matmul_tiled<{of.cpp_types}, {tile}, {of.rank}>"
    grid = (max(1, min(pieces, 2**31 - 1)), 1, 1)
    return Plan(Instance("matmul_simple.cuh", name), grid, (tile, tile, 1), of.words())
