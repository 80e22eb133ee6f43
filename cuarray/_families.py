"""Which kernels are likely to be wanted with one: those of the same operation for the other common dtypes.

NVRTC compiles five dtypes as one program in little more than twice the time of one, so the first dtype brings them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from cuarray._layout import Layout, layout

COMMON = tuple(np.dtype(name) for name in ("float32", "float64", "int32", "int64", "uint8"))


def other_dtypes(kinds: Sequence[Any]) -> Iterator[list[Any]]:
    """Operands' kinds (layouts, dtypes and types of scalars) with each other common dtype in place of theirs.

    Nothing if their dtypes differ, or the common one is not among them.
    """
    dtypes = {kind.dtype if isinstance(kind, Layout) else kind for kind in kinds if not isinstance(kind, type)}
    if len(dtypes) != 1 or not dtypes <= set(COMMON):
        return
    (own,) = dtypes
    for dtype in COMMON:
        if dtype != own:
            there = [_with_dtype(kind, dtype) for kind in kinds]
            if None not in there:
                yield there


def _with_dtype(kind: Any, dtype: np.dtype) -> Any:
    """None for a layout whose strides are no multiples of its items."""
    if not isinstance(kind, Layout):
        return kind if isinstance(kind, type) else dtype
    if any(stride % kind.dtype.itemsize for stride in kind.strides):
        return None
    return layout(dtype, kind.shape, tuple(s // kind.dtype.itemsize * dtype.itemsize for s in kind.strides))
