"""What `linalg` and `fft` ask of a backend's libraries: NumPy's LAPACK and pocketfft, or cuSOLVER and cuFFT."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, NamedTuple

import numpy as np

from cuarray._layout import Layout, layout


class Block(NamedTuple):
    """An array as the libraries see it. Leading axes make a stack of what the last one or two hold."""

    memory: Any  # keeps the memory alive
    pointer: int
    layout: Layout

    @property
    def shape(self) -> tuple[int, ...]:
        return self.layout.shape

    @property
    def dtype(self) -> np.dtype:
        return self.layout.dtype


def column_major(dtype: np.dtype, shape: tuple[int, ...]) -> Layout:
    """The layout of packed matrices, each with its columns one after the other."""
    *stack, rows, columns = shape
    turned = layout(dtype, (*stack, columns, rows)).strides
    return layout(dtype, shape, (*turned[:-2], turned[-1], turned[-2]))


class LinearAlgebra(ABC):
    """Decompositions of stacks of matrices, float32, float64, complex64 or complex128; none of the arrays is empty.

    Where `column_major` is True, matrices are given as `column_major` lays them out, and are overwritten; they come
    back so. Elsewhere they have any strides and stay as they are. A decomposition that fails raises
    `numpy.linalg.LinAlgError`; to know that, all methods wait for the device.
    """

    column_major: bool

    @abstractmethod
    def cholesky(self, a: Block, lower: bool) -> Block:
        """The lower factor L of L L^H or the upper one U of U^H U.

        `a` is read in that triangle only. With `column_major` the other triangle of the result holds anything.
        """

    @abstractmethod
    def solve(self, a: Block, b: Block) -> Block:
        """x of a x = b, for stacks of the same shape."""

    @abstractmethod
    def eigh(self, a: Block, lower: bool, vectors: bool) -> tuple[Block, Block | None]:
        """Eigenvalues, ascending, and eigenvectors of Hermitian matrices, read in one triangle."""

    @abstractmethod
    def eig(self, a: Block, vectors: bool) -> tuple[Block, Block | None]:
        """Eigenvalues and eigenvectors, both real or both complex.

        Or complex values and real vectors, as LAPACK packs them: of a conjugate pair of values, the one with the
        positive imaginary part first, the first column is the real part of the first value's vector and the second
        one its imaginary part.
        """

    @abstractmethod
    def svd(self, a: Block, full: bool, vectors: bool) -> tuple[Block | None, Block, Block | None, bool]:
        """u, s, v, and whether v's rows are the conjugate right singular vectors (v is v^H) or its columns the vectors.

        With `column_major`, matrices have at least as many rows as columns.
        """


class Factorizations(ABC):
    """What a `LinearAlgebra` with LAPACK's own factorisations has besides: the factors, packed into one matrix."""

    @abstractmethod
    def lu(self, a: Block) -> tuple[Block, Block]:
        """LU factors of square matrices, and the row, from 1, that each row was exchanged with. A zero on the diagonal
        of U is no error."""

    @abstractmethod
    def qr(self, a: Block) -> tuple[Block, Block]:
        """R in the upper triangle, with Householder's vectors below it, and their factors tau."""

    @abstractmethod
    def q(self, a: Block, tau: Block, columns: int) -> Block:
        """The first columns of Q from what `qr` gave; `a` may be overwritten."""


class Results(ABC):
    """What a `LinearAlgebra` without such factors has instead."""

    @abstractmethod
    def slogdet(self, a: Block) -> tuple[Block, Block]:
        """Signs of determinants (complex numbers of magnitude 1 for complex matrices) and logarithms of magnitudes."""

    @abstractmethod
    def qr_of(self, a: Block, mode: str) -> tuple[Block, ...]:
        """numpy.linalg.qr: Q and R for "reduced" and "complete", R for "r", the vectors as rows and tau for "raw"."""


class Fourier(ABC):
    """Discrete Fourier transforms, float32 to complex64 and float64 to complex128; none of the arrays is empty."""

    any_axes: bool  # takes any strides and axes and normalises; else C-contiguous arrays and their last 1 to 3 axes

    @abstractmethod
    def transform(self, x: Block, axes: tuple[int, ...], kind: str, norm: str, last: int) -> Block:
        """A transform over `axes`.

        kind: "forward", "inverse", "r2c" (forward, the last axis halved), "c2r" (inverse, over one axis, which gets
        `last` elements; may overwrite `x`). norm: "backward", "ortho" or
        "forward"; without `any_axes` it is not looked at: the sums come as they are.
        """
