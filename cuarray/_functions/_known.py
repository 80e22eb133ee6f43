"""Reading and writing along an axis by int64 indices that are known to be in range, so that there is no wait."""

from __future__ import annotations

from cuarray._array import CuArray
from cuarray._functions._advanced import Selection, _Entry, gather, put


def take_known(x: CuArray, indices: CuArray, axis: int = 0) -> CuArray:
    """``x[..., indices, ...]``, C-contiguous: the same items of every line along `axis`."""
    axis %= x.ndim
    return gather(Selection(x, [_Entry(indices, axis, axis, False)], axis))


def take_along_known(x: CuArray, indices: CuArray, axis: int = -1) -> CuArray:
    """Of every line along `axis` the items that its own indices name, C-contiguous; both have as many axes."""
    axis %= x.ndim
    return gather(Selection(x, [_Entry(indices, axis, axis, False)], 0, along=True))


def put_known(x: CuArray, indices: CuArray, values: CuArray) -> None:
    """``x[indices] = values`` where no index stands twice, and `values` share no memory with `x`."""
    put(Selection(x, [_Entry(indices, 0, 0, False)], 0), values, unique=True)
