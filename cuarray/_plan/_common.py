"""What all plans are made of."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

from cuarray import _tuning


class Instance(NamedTuple):
    """A kernel template with its arguments: what is compiled, cached and loaded."""

    header: str  # under kernels/
    name: str  # the C++ name of the instance

    @property
    def contract(self) -> bool:
        """Whether products and sums may become one operation, which built-in kernels otherwise leave to fma()."""
        return "complex" not in self.name and _LIBRARY_LOGARITHM.search(self.name) is not None


class TensorMap(NamedTuple):
    """A tensor of which a kernel's copy engine moves boxes (CUtensorMap); the innermost dimension comes first.

    A row of a box has 128 bytes, and its 16-byte pieces are exchanged in shared memory as matmul_hopper.cuh says.
    """

    element: str  # u16 or u32; tf32: float32 that is rounded on the way
    extents: tuple[int, int, int]
    strides: tuple[int, int]  # bytes, of the dimensions after the innermost
    box: tuple[int, int, int]
    word: int  # of the parameter's head: the tensor's address,
    offset: int = 0  # plus so many bytes


class Plan(NamedTuple):
    """One launch."""

    instance: Instance
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    words: tuple[int, ...]  # the parameter after its head
    shared: int = 0  # bytes of dynamic shared memory
    cluster: int = 1  # blocks, along x, that run together
    # At the end of the parameter, 128 bytes each, from a multiple of 128; None: there is none, the kernel reads none.
    maps: tuple[TensorMap | None, ...] = ()


INT32_MAX = 2**31 - 1
SCRATCH_COUNTERS = (
    4 * _tuning.REDUCE_COUNTERS
)  # bytes that scratch memory begins with: counters, which all launches must leave at 0
# CUDA's logarithm and power of float64 are as accurate as it says only where their own products and sums are fused.
_LIBRARY_LOGARITHM = re.compile(
    r"ca::ops::(Log|Log2|Log10|Log1p|LogAddExp|LogAddExp2|ArcSinh|ArcCosh|ArcTanh|Power|FloatPower)\b"
)
# Dimensions that kernels are instantiated for; a plan with fewer is padded with leading extents of 1.
_RANKS = (1, 2, 3, 4, 6, 8, 16, 32, 64)


def rank_for(ndim: int) -> int:
    """The number of dimensions of the kernel that serves `ndim`."""
    return next(rank for rank in _RANKS if rank >= ndim)


def collapse(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[tuple[int, ...], tuple[tuple[int, ...], ...]]:
    """Drop extents of 1 and merge neighbouring axes that every operand walks as one.

    >>> collapse((2, 1, 3), [(12, 12, 4), (0, 0, 4)])
    ((2, 3), ((12, 4), (0, 4)))
    >>> collapse((2, 3), [(12, 4), (12, 4)])
    ((6,), ((4,), (4,)))
    """
    out_shape: list[int] = []
    out_strides: list[list[int]] = [[] for _ in strides]
    for axis, extent in enumerate(shape):
        if extent == 1:
            continue
        steps = [own[axis] for own in strides]
        if out_shape and all(last[-1] == step * extent for last, step in zip(out_strides, steps, strict=True)):
            out_shape[-1] *= extent
            for last, step in zip(out_strides, steps, strict=True):
                last[-1] = step
        else:
            out_shape.append(extent)
            for last, step in zip(out_strides, steps, strict=True):
                last.append(step)
    return tuple(out_shape), tuple(tuple(own) for own in out_strides)


def pad(values: tuple[int, ...], rank: int, fill: int) -> tuple[int, ...]:
    """`values` with as many `fill` before them as make them `rank`."""
    return (fill,) * (rank - len(values)) + values


def divisor(extent: int, bits: int) -> tuple[int, ...]:
    """The words of a Divisor (kernels/division.cuh) by `extent` of indices of 32 or 64 bits; 0: the quotient is 0."""
    shift = (extent - 1).bit_length() if extent else bits - 1
    factor = ((((1 << shift) - extent) << bits) // extent) + 1 if extent else 0
    if bits == 32:
        return as_word(extent | factor << 32), shift
    return extent, as_word(factor), shift, 0


def divisors(shape: tuple[int, ...], rank: int, bits: int) -> tuple[int, ...]:
    """The words of `rank` Divisors by the extents of `shape`, of which none goes beyond the first one."""
    words: tuple[int, ...] = divisor(0, bits) * (rank - max(len(shape) - 1, 0))
    for extent in shape[1:]:
        words += divisor(extent, bits)
    return words


def as_word(value: int) -> int:
    """An unsigned number of 64 bits as the signed one of the same bits."""
    return value - (1 << 64) if value >> 63 else value
