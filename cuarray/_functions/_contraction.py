"""Products of two arrays whose axes have labels, summed over the labels that are not kept."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import BFLOAT16
from cuarray._functions._multiply import multiply_matrices
from cuarray._functions._reduction import reduce
from cuarray._functions.creation import astype
from cuarray._functions.elementwise import logical_and, multiply

Label = Any  # hashable


class Term(NamedTuple):
    """An array whose axes all have different labels."""

    array: CuArray
    labels: tuple[Label, ...]

    def arranged(self, labels: Sequence[Label]) -> CuArray:
        """The array with its axes in the order of these labels."""
        order = tuple(self.labels.index(label) for label in labels)
        if order == tuple(range(self.array.ndim)):
            return self.array
        return view_of(self.array, lambda ghost: ghost.transpose(order))

    def extents(self, labels: Sequence[Label]) -> tuple[int, ...]:
        """The extents of the axes with these labels."""
        return tuple(self.array.shape[self.labels.index(label)] for label in labels)

    def as_in_memory(self, labels: Sequence[Label]) -> tuple[Label, ...]:
        """These labels in the order of their axes in memory."""
        return tuple(sorted(labels, key=lambda label: -abs(self._stride(label))))

    def are_one_axis(self, labels: Sequence[Label]) -> bool:
        """Whether the axes with these labels can be walked as one."""
        steps = [(n, self._stride(label)) for n, label in zip(self.extents(labels), labels) if n != 1]
        return all(outer == n * inner for (_, outer), (n, inner) in itertools.pairwise(steps))

    def _stride(self, label: Label) -> int:
        return self.array.strides[self.labels.index(label)]


def sum_out(term: Term, kept: set[Label], dtype: np.dtype) -> Term:
    """Summed over the labels that are not kept."""
    axes = tuple(k for k, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    labels = tuple(label for label in term.labels if label in kept)
    if dtype.kind == "b":
        return Term(reduce("any", term.array, axes), labels)
    return Term(reduce("sum", term.array, axes, dtype), labels)


def sum_of_products(x: CuArray, y: CuArray, axes: tuple[int, ...], dtype: np.dtype) -> CuArray:
    """The sums over `axes` of x * y, in `dtype`; 16-bit floats are summed in float32, as in `matmul`."""
    if dtype.kind == "b":
        return reduce("any", logical_and(x, y), axes)
    wide = np.dtype(np.float32) if dtype in (np.float16, BFLOAT16) else dtype
    result = reduce("sum", multiply(x, y, dtype=wide), axes, wide)
    return result if wide is dtype else astype(result, dtype)


def contract(a: Term, b: Term, kept: Sequence[Label], dtype: np.dtype) -> Term:
    """The product of both, of one dtype, summed over all labels but those of `kept`.

    The result's axes are in any order; that of `kept` where it costs nothing.
    """
    a = sum_out(a, {*kept, *b.labels}, dtype)
    b = sum_out(b, {*kept, *a.labels}, dtype)
    shared = [label for label in a.labels if label in b.labels]
    summed = [label for label in shared if label not in kept]
    stack = [label for label in kept if label in shared]
    rows = [label for label in kept if label in a.labels and label not in shared]
    columns = [label for label in kept if label in b.labels and label not in shared]
    if not summed:
        return _outer(a, b, stack, rows, columns, dtype)
    if not rows and not columns:
        axes = tuple(range(len(stack), len(shared)))
        left, right = (term.arranged(stack + summed) for term in (a, b))
        return Term(sum_of_products(left, right, axes, dtype), tuple(stack))
    if columns and (not rows or kept.index(columns[0]) < kept.index(rows[0])):
        a, b, rows, columns = b, a, columns, rows
    return _multiply(a, b, stack, rows, columns, summed)


def _outer(a: Term, b: Term, stack: list[Label], rows: list[Label], columns: list[Label], dtype: np.dtype) -> Term:
    left, right = a.arranged(stack + rows), b.arranged(stack + columns)
    left = left[(..., *(None,) * len(columns))]
    right = right[(*(slice(None),) * len(stack), *(None,) * len(rows), ...)]
    product = logical_and(left, right) if dtype.kind == "b" else multiply(left, right)
    return Term(product, (*stack, *rows, *columns))


def _multiply(
    a: Term, b: Term, stack: list[Label], rows: list[Label], columns: list[Label], summed: list[Label]
) -> Term:
    """As a stack of products of matrices, whose axes are the labels' in the order in which least must be copied."""

    def copied(chosen: tuple[Sequence[Label], Sequence[Label], Sequence[Label]]) -> int:
        own_rows, own_columns, own_summed = chosen
        of_a = a.are_one_axis(own_rows) and a.are_one_axis(own_summed)
        of_b = b.are_one_axis(own_summed) and b.are_one_axis(own_columns)
        return (not of_a) * a.array.size + (not of_b) * b.array.size

    best = min(
        (
            (own_rows, own_columns, own_summed)
            for own_rows in (rows, a.as_in_memory(rows))
            for own_columns in (columns, b.as_in_memory(columns))
            for own_summed in (a.as_in_memory(summed), b.as_in_memory(summed))
        ),
        key=copied,
    )
    rows, columns, summed = map(list, best)
    batch, m, n, k = a.extents(stack), a.extents(rows), b.extents(columns), a.extents(summed)
    left = a.arranged(stack + rows + summed).reshape((*batch, math.prod(m), math.prod(k)))
    right = b.arranged(stack + summed + columns).reshape((*batch, math.prod(k), math.prod(n)))
    result = multiply_matrices(left, right, shape=(*batch, *m, *n)).result
    return Term(result, (*stack, *rows, *columns))
