"""What numba-cuda takes a CuArray for: its `typeof` is another than numba's, which has a type of its own for it."""

from __future__ import annotations

import functools
from typing import Any

from numba import types
from numba.cuda.typing.typeof import typeof_impl
from numba.np.numpy_support import from_dtype

from cuarray._array import CuArray
from cuarray._layout import Layout


@typeof_impl.register(CuArray)
def _typeof_array(value: CuArray, context: Any) -> types.Array:
    return _array_type(value._layout, value._writeable)


@functools.lru_cache(maxsize=4096)
def _array_type(layout: Layout, writeable: bool) -> types.Array:
    order: Any = "C" if layout.c_contiguous else "F" if layout.f_contiguous else "A"
    dtype: Any = from_dtype(layout.dtype)
    return types.Array(dtype, layout.ndim, order, readonly=not writeable)
