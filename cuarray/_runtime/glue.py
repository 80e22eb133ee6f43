"""The record of a launch: what kernels/record_launch.hpp reads, called from Python.

The launch ABI is cuLaunchKernel's own signature; ca::host::launch (kernels/host/grid.hpp) has the same, so both
backends differ here by nothing but an address. A launch is described by a record of 64-bit words in memory:

    LAUNCHER FUNCTION GRID_X GRID_Y GRID_Z BLOCK_X BLOCK_Y BLOCK_Z SHARED COUNT  then COUNT words of the kernel's own

For a built-in kernel these are the words of its one by-value parameter after the head of HEAD_WORDS words, which
changes from call to call. For a user's kernel they are the byte offsets of the arguments in a buffer of slots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

LAUNCHER, FUNCTION, GRID, BLOCK, SHARED, COUNT, WORDS = 0, 1, 2, 5, 8, 9, 10
HEAD_WORDS = 7


def make_record(
    launcher: int,
    function: int,
    grid: Sequence[int],
    block: Sequence[int],
    shared: int,
    words: Sequence[int],
) -> np.ndarray:
    """A launch record; its memory must outlive every launch that is given its address."""
    return np.array([launcher, function, *grid, *block, shared, len(words), *words], dtype=np.int64)
