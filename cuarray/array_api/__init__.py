"""The namespace that libraries get: `x.__array_namespace__()`, by the array API standard, 2025.12.

It is cuarray's own, function for function, except where NumPy's ways and the standard's exclude each other: `ca` keeps
to NumPy, this to the standard. Here `clip` has the standard's parameters, `finfo` has Python floats, and `linalg.eig`
and `linalg.eigvals` are always complex.

>>> import cuarray as ca
>>> xp = ca.arange(3).__array_namespace__()
>>> xp.__name__, xp.add is ca.add
('cuarray.array_api', True)

The standard: https://data-apis.org/array-api/2025.12/
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

import numpy as np

import cuarray
from cuarray import *  # noqa: F403
from cuarray import CuArray

__all__ = cuarray.__all__

# Not by `from cuarray.array_api import linalg`: that would find the name, which is cuarray.linalg so far.
linalg = import_module("cuarray.array_api.linalg")


def clip(x: Any, /, min: Any = None, max: Any = None) -> CuArray:  # type: ignore[no-redef]
    """Elements of `x` limited to the range from `min` to `max`, either of which may be None; see `cuarray.clip`.

    The limits are numbers or arrays that broadcast with `x`, and have its dtype or one that is promoted to it.

    >>> import cuarray.array_api as xp
    >>> xp.clip(xp.arange(5), max=3)
    array([0, 1, 2, 3, 3])
    """
    return cuarray.clip(x, min, max)


@dataclass(frozen=True)
class FloatLimits:
    """The limits of a floating-point dtype, as Python numbers; of a complex dtype those of its parts."""

    bits: int
    eps: float
    max: float
    min: float
    smallest_normal: float
    dtype: np.dtype


def finfo(type: Any, /) -> FloatLimits:  # type: ignore[no-redef]
    """The limits of a floating-point dtype, or of an array's, as Python floats; those of a complex dtype's parts.

    ValueError for other dtypes.

    >>> import cuarray.array_api as xp
    >>> xp.finfo(xp.float32).eps
    1.1920928955078125e-07
    """
    info = cuarray.finfo(type)
    eps, largest, least, normal = map(float, (info.eps, info.max, info.min, info.smallest_normal))
    return FloatLimits(info.bits, eps, largest, least, normal, np.dtype(info.dtype))
