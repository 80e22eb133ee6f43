"""Arrays as text, as NumPy writes them and with NumPy's options; waits for the device."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._functions.creation import asarray


def array2string(a: Any, *args: Any, **options: Any) -> str:
    """The elements as text; the options are those of `numpy.array2string`.

    >>> import cuarray as ca
    >>> ca.array2string(ca.array([1.0, 2.5]), separator=", ")
    '[1. , 2.5]'
    """
    return np.array2string(np.asarray(asarray(a)), *args, **options)


def array_repr(
    arr: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: bool | None = None
) -> str:
    """What `repr` gives of an array.

    >>> import cuarray as ca
    >>> ca.array_repr(ca.array([1, 2]))
    'array([1, 2])'
    """
    return np.array_repr(np.asarray(asarray(arr)), max_line_width, precision, suppress_small)


def array_str(
    a: Any, max_line_width: int | None = None, precision: int | None = None, suppress_small: bool | None = None
) -> str:
    """What `str` gives of an array.

    >>> import cuarray as ca
    >>> ca.array_str(ca.array([1, 2]))
    '[1 2]'
    """
    return np.array_str(np.asarray(asarray(a)), max_line_width, precision, suppress_small)
