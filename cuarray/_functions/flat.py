"""`x.flat`: the elements in C order, whatever the strides, to be read and written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions.creation import asarray, copy
from cuarray._functions.indexing import put
from cuarray._functions.manipulation import ravel
from cuarray._functions.ranges import arange


class FlatIterator:
    """The elements of `base` on one axis, in C order: what is read is a copy, what is assigned is written to `base`.

    Values are repeated as needed. IndexError for indices out of range. Going through it takes a step an element.

    >>> import cuarray as ca
    >>> x = ca.zeros((2, 3), int).T
    >>> x.flat[1:4] = [7, 8]
    >>> x
    array([[0, 7],
           [8, 7],
           [0, 0]])
    """

    __hash__ = None  # type: ignore[assignment]

    def __init__(self, base: CuArray) -> None:
        self.base = base

    def __len__(self) -> int:
        return self.base.size

    def __iter__(self) -> Iterator[CuArray]:
        return iter(self.copy())

    def __getitem__(self, key: Any) -> CuArray:
        return copy(ravel(self.base)[_checked(key)])

    def __setitem__(self, key: Any, value: Any) -> None:
        places = arange(self.base.size)[_checked(key)]
        if places.size:
            put(self.base, places, value)

    def copy(self) -> CuArray:
        """The elements in a new array."""
        return copy(ravel(self.base))

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        return np.array(np.asarray(self.copy()), dtype)

    def __eq__(self, other: Any) -> Any:
        return self.copy() == (other.copy() if isinstance(other, FlatIterator) else asarray(other))

    def __ne__(self, other: Any) -> Any:
        return self.copy() != (other.copy() if isinstance(other, FlatIterator) else asarray(other))


def _checked(key: Any) -> Any:
    if isinstance(key, tuple):
        if len(key) != 1:
            raise IndexError("flat: one index is expected")
        (key,) = key
    if key is None:
        raise IndexError("flat: an integer, a slice, or an array of integers or bool is expected")
    return key
