"""Einstein summation: labels are matched to axes, and the operands are contracted two at a time by `matmul`."""

from __future__ import annotations

import itertools
import math
import operator
import string
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import as_dtype, check_castable, result_type
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions._reduction import reduce
from cuarray._functions.creation import ascontiguousarray, astype, copy
from cuarray._functions.elementwise import logical_and, multiply
from cuarray._functions.linear_algebra import matmul

_LETTERS = frozenset(string.ascii_letters)
Label = Any  # a letter, an int of the other notation, or ("...", number) for an axis of an ellipsis


class _Term(NamedTuple):
    """An operand whose axes all have different labels."""

    array: CuArray
    labels: tuple[Label, ...]


# ---- reading


def _split(text: str, what: str) -> list[Label]:
    labels: list[Label] = []
    rest = text.replace(" ", "")
    while rest:
        if rest.startswith("..."):
            if Ellipsis in labels:
                raise ValueError(f"einsum: {what} has more than one ellipsis: {text!r}")
            labels.append(Ellipsis)
            rest = rest[3:]
        elif rest[0] in _LETTERS:
            labels.append(rest[0])
            rest = rest[1:]
        else:
            raise ValueError(f"einsum: invalid subscript {rest[0]!r} in {what}; subscripts are letters and an ellipsis")
    return labels


def _read(operands: tuple[Any, ...]) -> tuple[list[Any], list[list[Label]], list[Label] | None]:
    """The arrays, the labels of each and, if they are given, of the result, of either notation."""
    if not operands:
        raise ValueError("einsum: must specify the einstein sum subscripts string and at least one operand")
    if isinstance(operands[0], str):
        inputs, arrow, output = operands[0].partition("->")
        arrays = list(operands[1:])
        texts = inputs.split(",")
        if len(texts) != len(arrays):
            raise ValueError(f"einsum: {len(texts)} operands in the subscripts {inputs!r}, but {len(arrays)} given")
        labels = [_split(text, f"operand {k + 1}") for k, text in enumerate(texts)]
        return arrays, labels, _split(output, "the result") if arrow else None
    result = None
    if len(operands) % 2:
        *rest, last = operands
        result = _sublist(last)
        operands = tuple(rest)
    return list(operands[::2]), [_sublist(labels) for labels in operands[1::2]], result


def _sublist(labels: Any) -> list[Label]:
    try:
        read = [label if label is Ellipsis else operator.index(label) for label in labels]
    except TypeError:
        raise TypeError(
            "einsum: subscripts must be a string, or lists of ints and Ellipsis after each operand"
        ) from None
    if any(label is not Ellipsis and not 0 <= label < 52 for label in read):
        raise ValueError("einsum: subscripts must be within [0, 52)")
    return read


def _parse(operands: tuple[Any, ...]) -> tuple[list[CuArray], list[tuple[Label, ...]], tuple[Label, ...]]:
    """The arrays, a label for each axis of them, and the labels of the result."""
    values, given, output = _read(operands)
    arrays = [as_operand(value) for value in values]
    inputs: list[tuple[Label, ...]] = []
    widest = 0
    for k, (array, labels) in enumerate(zip(arrays, given, strict=True)):
        hidden = array.ndim - sum(label is not Ellipsis for label in labels)
        if hidden < 0 or (hidden and Ellipsis not in labels):
            raise ValueError(f"einsum: operand {k + 1} has {array.ndim} dimensions, its subscripts say otherwise")
        widest = max(widest, hidden)
        inputs.append(_expand(labels, hidden))
    counts: dict[Label, int] = {}
    for label in itertools.chain.from_iterable(inputs):
        counts[label] = counts.get(label, 0) + 1
    if output is None:
        once = sorted(label for label, count in counts.items() if count == 1 and not isinstance(label, tuple))
        return arrays, inputs, (*_expand([Ellipsis], widest), *once)
    if widest and Ellipsis not in output:
        raise ValueError("einsum: the result's subscripts must have an ellipsis, as the operands' have")
    result = _expand(output, widest)
    if len(set(result)) < len(result):
        raise ValueError("einsum: a subscript stands twice in the result")
    for label in result:
        if label not in counts:
            raise ValueError(f"einsum: the result's subscript {label!r} is none of an operand's")
    return arrays, inputs, result


def _expand(labels: Sequence[Label], hidden: int) -> tuple[Label, ...]:
    # The axes of ellipses are aligned at their last, as in broadcasting.
    axes = tuple(("...", number - hidden) for number in range(hidden))
    found: list[Label] = []
    for label in labels:
        found.extend(axes if label is Ellipsis else (label,))
    return tuple(found)


def _extents(arrays: list[CuArray], inputs: list[tuple[Label, ...]]) -> dict[Label, int]:
    extents: dict[Label, int] = {}
    for array, labels in zip(arrays, inputs, strict=True):
        own: dict[Label, int] = {}
        for label, extent in zip(labels, array.shape, strict=True):
            if own.setdefault(label, extent) != extent:
                raise ValueError(
                    f"einsum: the axes of the repeated subscript {label!r} have extents {own[label]}, {extent}"
                )
        for label, extent in own.items():
            known = extents.get(label, 1)
            if known != extent and 1 not in (known, extent):
                raise ValueError(f"einsum: subscript {label!r} stands for axes of {known} and of {extent} elements")
            extents[label] = extent if known == 1 else known
    return extents


# ---- one operand


def _own_axes(array: CuArray, labels: tuple[Label, ...]) -> _Term:
    """With one axis a label: the diagonal of those that have the same one."""
    while len(set(labels)) < len(labels):
        label = next(label for k, label in enumerate(labels) if label in labels[:k])
        first = labels.index(label)
        second = labels.index(label, first + 1)
        array = view_of(
            array,
            lambda ghost, i=first, j=second: np.lib.stride_tricks.as_strided(  # type: ignore[misc]
                ghost,
                (*ghost.shape[:j], *ghost.shape[j + 1 :]),
                tuple(
                    stride + ghost.strides[j] if axis == i else stride
                    for axis, stride in enumerate(ghost.strides)
                    if axis != j
                ),
                writeable=False,
            ),
        )
        labels = (*labels[:second], *labels[second + 1 :])
    return _Term(array, labels)


def _without_ones(term: _Term, extents: dict[Label, int]) -> _Term:
    """Without the axes of one element that stand for more: what is broadcast need not be there."""
    axes = tuple(k for k, label in enumerate(term.labels) if term.array.shape[k] != extents[label])
    if not axes:
        return term
    squeezed = view_of(term.array, lambda ghost: np.squeeze(ghost, axes))
    return _Term(squeezed, tuple(label for k, label in enumerate(term.labels) if k not in axes))


def _sum_out(term: _Term, kept: set[Label], dtype: np.dtype) -> _Term:
    axes = tuple(k for k, label in enumerate(term.labels) if label not in kept)
    if not axes:
        return term
    labels = tuple(label for label in term.labels if label in kept)
    if dtype.kind == "b":
        return _Term(reduce("any", term.array, axes), labels)
    return _Term(reduce("sum", term.array, axes, dtype), labels)


def _arrange(term: _Term, labels: Sequence[Label]) -> CuArray:
    """The array with its axes in the order of these labels."""
    order = tuple(term.labels.index(label) for label in labels)
    return view_of(term.array, lambda ghost: ghost.transpose(order))


# ---- two operands


def _contract(a: _Term, b: _Term, kept: set[Label], dtype: np.dtype) -> _Term:
    """The product of both, summed over all labels that are not kept."""
    a = _sum_out(a, kept | set(b.labels), dtype)
    b = _sum_out(b, kept | set(a.labels), dtype)
    shared = [label for label in a.labels if label in b.labels]
    summed = [label for label in shared if label not in kept]
    stack = [label for label in shared if label in kept]
    rows = [label for label in a.labels if label not in shared]
    columns = [label for label in b.labels if label not in shared]
    labels = (*stack, *rows, *columns)
    if not summed:
        left = _arrange(a, stack + rows)
        left = left[(..., *(None,) * len(columns))]
        right = _arrange(b, stack + columns)
        right = right[(*(slice(None),) * len(stack), *(None,) * len(rows), ...)]
        product = logical_and(left, right) if dtype.kind == "b" else multiply(left, right)
        return _Term(product, labels)

    def extents(term: _Term, of: list[Label]) -> tuple[int, ...]:
        return tuple(term.array.shape[term.labels.index(label)] for label in of)

    batch, m, n, k = extents(a, stack), extents(a, rows), extents(b, columns), extents(a, summed)
    left = _arrange(a, stack + rows + summed).reshape((*batch, math.prod(m), math.prod(k)))
    right = _arrange(b, stack + summed + columns).reshape((*batch, math.prod(k), math.prod(n)))
    return _Term(matmul(left, right).reshape((*batch, *m, *n)), labels)


def _greedy(
    terms: Sequence[tuple[Label, ...]], result: tuple[Label, ...], extents: dict[Label, int]
) -> tuple[int, int]:
    """The two operands to contract next: those whose product saves most memory, or takes fewest multiplications."""

    def size(labels: set[Label]) -> int:
        return math.prod(extents[label] for label in labels)

    def cost(pair: tuple[int, int]) -> tuple[int, int]:
        i, j = pair
        others = set(result).union(*(labels for k, labels in enumerate(terms) if k not in pair))
        both = set(terms[i]) | set(terms[j])
        return size(both & others) - size(set(terms[i])) - size(set(terms[j])), size(both)

    return min(itertools.combinations(range(len(terms)), 2), key=cost)


def einsum(
    *operands: Any,
    out: CuArray | None = None,
    optimize: Any = False,
    dtype: Any = None,
    order: str = "K",
    casting: str = "safe",
) -> CuArray:
    """Sums of products by Einstein's convention: ``einsum("ij,jk->ik", a, b)`` is a matrix product.

    Each axis has a letter; axes of one letter go together, and those whose letter is not in the result are summed over.
    Without ``->`` the result has the letters that stand once, sorted. ``...`` stands for further axes, which broadcast.
    Instead of a string, lists of ints may follow each operand, and one for the result the last.

    Two operands are contracted at a time: in the order that `einsum_path` gives if `optimize` is one of its paths, else
    in one that is found greedily, whatever `optimize` says. A result of one operand without a sum is a view of it.
    ValueError for subscripts that do not fit the operands, TypeError where `casting` forbids the cast to `dtype`.

    >>> import cuarray as ca
    >>> ca.einsum("ij,j->i", ca.array([[1, 2], [3, 4]]), ca.array([10, 1]))
    array([12, 34])
    >>> ca.einsum("ii->i", ca.array([[1, 2], [3, 4]]))
    array([1, 4])
    """
    if order not in ("K", "C", "A", "F"):
        raise ValueError(f"einsum: order must be 'C', 'F', 'A' or 'K', not {order!r}")
    arrays, inputs, result = _parse(operands)
    extents = _extents(arrays, inputs)
    wanted = result_type(*(array.dtype for array in arrays)) if dtype is None else as_dtype(dtype)
    for array in arrays:
        check_castable(array.dtype, wanted, casting, "einsum")
    terms = [
        _without_ones(_own_axes(astype(array, wanted, copy=False), labels), extents)
        for array, labels in zip(arrays, inputs, strict=True)
    ]
    is_view = len(terms) == 1 and set(terms[0].labels) <= set(result) and terms[0].array._memory is arrays[0]._memory
    path = _given_path(optimize)
    while len(terms) > 1:
        chosen = path.pop(0) if path else _greedy([term.labels for term in terms], result, extents)
        picked = [terms[k] for k in sorted(chosen, reverse=True)]
        terms = [term for k, term in enumerate(terms) if k not in chosen]
        kept = set(result).union(*(term.labels for term in terms))
        term = picked.pop()
        while picked:
            following = kept.union(*(other.labels for other in picked[:-1]))
            term = _contract(term, picked.pop(), following, wanted)
        terms.append(_sum_out(term, kept, wanted))
    value = _arrange_result(_sum_out(terms[0], set(result), wanted), result, extents)
    if out is not None:
        check_out("einsum", out)
        if out.shape != value.shape:
            raise ValueError(f"einsum: out has shape {out.shape}; the result has {value.shape}")
        check_castable(value.dtype, out.dtype, casting, "einsum: out")
        copy_into(out, value)
        return out
    if is_view and order in ("K", "A"):
        return value
    if is_view:
        value = copy(value)
    if order == "F" and value.ndim > 1:
        value = view_of(ascontiguousarray(value.T), np.transpose)
    elif not value._layout.c_contiguous:
        value = ascontiguousarray(value)
    value._base = None
    return value


def _arrange_result(term: _Term, result: tuple[Label, ...], extents: dict[Label, int]) -> CuArray:
    """The result: labels that all operands had with one element only are missing from the term."""
    present = [label for label in result if label in term.labels]
    value = _arrange(term, present)
    if len(present) < len(result):
        shape = tuple(extents[label] for label in result)
        value = value[tuple(slice(None) if label in term.labels else None for label in result)]
        value = view_of(value, lambda ghost: np.broadcast_to(ghost, shape))
    return value


def _given_path(optimize: Any) -> list[tuple[int, ...]]:
    """The contractions of a path as `einsum_path` gives it; none for the name of a strategy."""
    if isinstance(optimize, bool | str) or optimize is None or not optimize:
        return []
    if optimize[0] == "einsum_path":
        return [tuple(step) for step in optimize[1:]]
    if isinstance(optimize[0], str):  # a strategy and a limit on memory
        return []
    raise TypeError(f"einsum: optimize must be a bool, a strategy or a path of einsum_path, not {optimize!r}")


def einsum_path(*operands: Any, optimize: Any = "greedy") -> tuple[list[Any], str]:
    """An order of contractions for `einsum`, and a text that describes its cost, as NumPy finds them; computes nothing.

    >>> import cuarray as ca
    >>> path, _text = ca.einsum_path("ij,jk,kl->il", ca.ones((2, 9)), ca.ones((9, 9)), ca.ones((9, 2)))
    >>> path
    ['einsum_path', (0, 1), (0, 1)]
    """
    return np.einsum_path(*(_shape_of(value) for value in operands), optimize=optimize)


def _shape_of(value: Any) -> Any:
    # NumPy looks at shapes only: an array of one element, seen at that shape, has it.
    if isinstance(value, CuArray):
        return np.broadcast_to(np.zeros((), value.dtype), value.shape)
    return value
