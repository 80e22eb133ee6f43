"""What a product of matrices is, for those that plan it."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from cuarray._dtypes import CPP_NAMES, kind_of
from cuarray._layout import Layout
from cuarray._plan._common import Plan, collapse, pad, rank_for


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
    aligned: bool  # out, a, b and c start at multiples of 16 bytes
    precision: str  # of float32: ieee, tf32 or tf32x3
    epilogue: Epilogue | None

    @property
    def batches(self) -> int:
        return math.prod(self.batch)

    @property
    def kind(self) -> str:
        """What its dtype and precision ask of the machine: a key of _matmul_tuning.TILES."""
        kind, itemsize = kind_of(self.dtype), self.dtype.itemsize
        if kind == "b":
            return "int32"
        if kind in "iu":
            return "int64" if itemsize == 8 else "int32"
        if kind == "c":
            return "complex64" if itemsize == 8 else "complex128"
        if itemsize == 4:
            return {"ieee": "float32"}.get(self.precision, self.precision)
        return "half" if itemsize == 2 else "float64"

    @property
    def cpp_types(self) -> str:
        """The template arguments that every kernel begins with: the types of the operands, of out, and the epilogue."""
        epilogue = self.epilogue.cpp_name() if self.epilogue else "ca::epilogues::None"
        return f"{CPP_NAMES[self.dtype]}, {CPP_NAMES[self.out_dtype]}, {epilogue}"

    def folded(self) -> Product:
        """The same product with those of its stack that follow each other in a, and share b, as rows of one matrix."""
        of = self
        while of.batch and of.b_batch[-1] == 0:
            a_row = of.a_batch[-1] if of.m == 1 else of.a[0]
            c_row = of.c_batch[-1] if of.m == 1 else of.c[0]
            if of.a_batch[-1] != of.m * a_row or of.c_batch[-1] != of.m * c_row:
                break
            of = of._replace(
                m=of.m * of.batch[-1],
                a=(a_row, of.a[1]),
                c=(c_row, of.c[1]),
                batch=of.batch[:-1],
                a_batch=of.a_batch[:-1],
                b_batch=of.b_batch[:-1],
                c_batch=of.c_batch[:-1],
            )
        return of

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
