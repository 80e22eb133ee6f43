"""Arrays written as indices: `r_`, `c_`, `s_` and `index_exp`."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import operand_type, result_type
from cuarray._functions.creation import array, asarray
from cuarray._functions.joining import concatenate
from cuarray._functions.manipulation import moveaxis
from cuarray._functions.ranges import arange, linspace


class Concatenator:
    """What `r_` and `c_` are instances of: what stands between the brackets, joined along an axis.

    A slice is `arange`, or with an imaginary step `linspace`; scalars are arrays of one element, whose dtypes count as
    in NumPy: those of Python only where there is nothing else. A string comes first: the axis to join along, then the
    number of axes that everything is to have, then where the first axis of what has fewer is to be.
    """

    def __init__(self, name: str, axis: int = 0, ndmin: int = 1, trans1d: int = -1) -> None:
        self._name = name
        self._defaults = axis, ndmin, trans1d

    def __repr__(self) -> str:
        return f"<cuarray.{self._name}>"

    def __len__(self) -> int:
        return 0

    def __getitem__(self, key: Any) -> CuArray:
        parts = key if isinstance(key, tuple) else (key,)
        axis, ndmin, trans1d = self._defaults
        if parts and isinstance(parts[0], str):
            axis, ndmin, trans1d = self._directive(parts[0])
            parts = parts[1:]
        arrays: list[CuArray] = []
        kinds: list[Any] = []
        for part in parts:
            if isinstance(part, str):
                raise ValueError("special directives must be the first entry.")
            if isinstance(part, slice):
                own = _range(part)
                before = 1
            elif operand_type(part) is not None and not isinstance(part, CuArray):
                own, before = array(part, ndmin=1), 1
                kinds.append(type(part) if type(part) in (int, float, complex) else own.dtype)
                arrays.append(_raised(own, before, ndmin, trans1d))
                continue
            else:
                own = asarray(part)
                before = own.ndim
            kinds.append(own.dtype)
            arrays.append(_raised(own, before, ndmin, trans1d))
        if not arrays:
            raise ValueError("need at least one array to concatenate")
        if not any(isinstance(kind, np.dtype) for kind in kinds):
            return concatenate(arrays, axis)
        dtype = np.dtype(result_type(*kinds))
        for number, (part, kind) in enumerate(zip(parts, kinds, strict=True)):
            if not isinstance(kind, np.dtype):  # a number of Python, which must fit
                arrays[number] = array(part, dtype).reshape(arrays[number].shape)
        return concatenate(arrays, axis, dtype=dtype)

    def _directive(self, text: str) -> tuple[int, int, int]:
        numbers = list(self._defaults)
        try:
            for place, word in enumerate(text.split(",")):
                numbers[place] = int(word)
        except (ValueError, IndexError):
            raise ValueError(f"unknown special directive {text!r}") from None
        return numbers[0], numbers[1], numbers[2]


def _range(part: slice) -> CuArray:
    start = 0 if part.start is None else part.start
    step = 1 if part.step is None else part.step
    if isinstance(step, complex):
        return linspace(start, part.stop, int(abs(step)))
    return arange(start, part.stop, step)


def _raised(own: CuArray, before: int, ndmin: int, trans1d: int) -> CuArray:
    """With leading axes up to `ndmin`, its own first axis then at `trans1d`."""
    if own.ndim >= ndmin or not ndmin:
        return own
    own = array(own, copy=None, ndmin=ndmin)
    added = ndmin - before
    first = trans1d if trans1d >= 0 else trans1d + added + 1
    return moveaxis(own, tuple(range(added, ndmin)), tuple(range(first, first + before))) if before else own


class IndexExpression:
    """What `s_` and `index_exp` are instances of: the index between the brackets, as itself or (`tupled`) a tuple."""

    def __init__(self, tupled: bool) -> None:
        self.tupled = tupled

    def __getitem__(self, key: Any) -> Any:
        return (key,) if self.tupled and not isinstance(key, tuple) else key


r_ = Concatenator("r_")
c_ = Concatenator("c_", axis=-1, ndmin=2, trans1d=0)
s_ = IndexExpression(tupled=False)
index_exp = IndexExpression(tupled=True)
