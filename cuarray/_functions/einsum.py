"""Einstein summation: labels are matched to axes, and the operands are contracted two at a time, in a good order."""

from __future__ import annotations

import functools
import itertools
import operator
import string
from collections.abc import Sequence
from typing import Any

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import as_dtype, check_castable, result_type
from cuarray._functions._contraction import Label, Term, contract, sum_out
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions.creation import ascontiguousarray, astype, copy

_LETTERS = frozenset(string.ascii_letters)
_STRATEGIES = ("greedy", "optimal", "auto", "dp", "branch-2", "branch-all")  # opt_einsum's; NumPy has the first two
# A label is a letter, an int of the other notation, or ("...", number) for an axis of an ellipsis.


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


def _own_axes(array: CuArray, labels: tuple[Label, ...]) -> Term:
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
    return Term(array, labels)


def _without_ones(term: Term, extents: dict[Label, int]) -> Term:
    """Without the axes of one element that stand for more: what is broadcast need not be there."""
    axes = tuple(k for k, label in enumerate(term.labels) if term.array.shape[k] != extents[label])
    if not axes:
        return term
    squeezed = view_of(term.array, lambda ghost: np.squeeze(ghost, axes))
    return Term(squeezed, tuple(label for k, label in enumerate(term.labels) if k not in axes))


# ---- the order of contractions


@functools.lru_cache(maxsize=1024)
def _find_path(
    inputs: tuple[tuple[Label, ...], ...],
    result: tuple[Label, ...],
    extents: tuple[tuple[Label, int], ...],
    strategy: str,
    limit: int | None,
) -> tuple[tuple[int, ...], ...]:
    """The operands to contract at each step, whose result comes after the others then."""
    if len(inputs) <= 2:
        return (tuple(range(len(inputs))),)
    import opt_einsum

    sizes = dict(extents)
    symbols = {label: opt_einsum.get_symbol(number) for number, label in enumerate(sizes)}
    terms = ["".join(symbols[label] for label in labels) for labels in inputs]
    shapes = [tuple(sizes[label] for label in labels) for labels in inputs]
    subscripts = f"{','.join(terms)}->{''.join(symbols[label] for label in result)}"
    path, _ = opt_einsum.contract_path(subscripts, *shapes, shapes=True, optimize=strategy, memory_limit=limit)
    return tuple(map(tuple, path))


def _strategy(optimize: Any) -> tuple[str, int | None] | list[tuple[int, ...]]:
    """The strategy that finds the path, with its limit on the size of intermediate arrays; or the path itself."""
    if optimize is False or optimize is True or optimize is None:
        return "auto", None
    if isinstance(optimize, str):
        name, limit = optimize, None
    elif len(optimize) and optimize[0] == "einsum_path":
        return [tuple(step) for step in optimize[1:]]
    elif len(optimize) == 2 and isinstance(optimize[0], str) and isinstance(optimize[1], int | float):
        name, limit = optimize[0], int(optimize[1])
    else:
        raise TypeError(f"einsum: optimize must be a bool, a strategy or a path of einsum_path, not {optimize!r}")
    if name not in _STRATEGIES:
        raise KeyError(f"einsum: optimize: {name!r} is no strategy; there are {', '.join(_STRATEGIES)}")
    return name, limit


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

    Two operands are contracted at a time, as stacks of products of matrices where something is summed over; what
    `matmul_precision` says counts. optimize: the order of the contractions, as `einsum_path` gives it, or how it is
    found: "greedy", "optimal", or one of opt_einsum's further strategies, perhaps in a pair with the number of elements
    that intermediate arrays may have; a bool leaves the choice to opt_einsum. A result of one operand without a sum is
    a view of it. ValueError for subscripts that do not fit the operands, TypeError where `casting` forbids the cast to
    `dtype`.

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
    for chosen in _path(optimize, terms, result, extents):
        picked = [terms[k] for k in sorted(chosen)]
        terms = [term for k, term in enumerate(terms) if k not in chosen]
        # The labels that later steps need; those of the result first, in its order, as far as that costs nothing.
        kept = list(dict.fromkeys((*result, *(label for term in terms for label in term.labels))))
        term = picked[0]
        for number, other in enumerate(picked[1:], 1):
            later = [label for following in picked[number + 1 :] for label in following.labels]
            term = contract(term, other, list(dict.fromkeys((*kept, *later))), wanted)
        terms.append(sum_out(term, set(kept), wanted))
    value = _arrange_result(sum_out(terms[0], set(result), wanted), result, extents)
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


def _arrange_result(term: Term, result: tuple[Label, ...], extents: dict[Label, int]) -> CuArray:
    """The result: labels that all operands had with one element only are missing from the term."""
    present = [label for label in result if label in term.labels]
    value = term.arranged(present)
    if len(present) < len(result):
        shape = tuple(extents[label] for label in result)
        value = value[tuple(slice(None) if label in term.labels else None for label in result)]
        value = view_of(value, lambda ghost: np.broadcast_to(ghost, shape))
    return value


def _path(
    optimize: Any, terms: list[Term], result: tuple[Label, ...], extents: dict[Label, int]
) -> Sequence[tuple[int, ...]]:
    found = _strategy(optimize)
    if isinstance(found, tuple):
        inputs = tuple(term.labels for term in terms)
        # Axes of one element may be missing from all operands.
        present = tuple(label for label in result if any(label in labels for labels in inputs))
        return _find_path(inputs, present, tuple(extents.items()), *found)
    left = len(terms)
    for step in found:
        left -= len(step) - 1
    return found if left <= 1 else [*found, tuple(range(left))]


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
