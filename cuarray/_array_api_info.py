"""What the array API standard's `__array_namespace_info__` tells."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import Device
from cuarray._dtypes import DTYPES

__array_api_version__ = "2025.12"
SUPPORTED_VERSIONS = ("2021.12", "2022.12", "2023.12", "2024.12", "2025.12")

# The standard's kinds of dtypes; float16 is not among its dtypes.
_KINDS = {
    "bool": "b",
    "signed integer": "i",
    "unsigned integer": "u",
    "integral": "iu",
    "real floating": "f",
    "complex floating": "c",
    "numeric": "iufc",
}


class ArrayNamespaceInfo:
    """What the namespace can do, and which dtypes and devices there are.

    >>> import cuarray as ca
    >>> ca.__array_namespace_info__().default_dtypes()["integral"]
    dtype('int64')
    """

    def capabilities(self) -> dict[str, Any]:
        """Which parts of the standard there are that a library may leave out, and the most dimensions of an array."""
        return {"boolean indexing": True, "data-dependent shapes": True, "max dimensions": 64}

    def default_device(self) -> Device:
        """Where arrays are made if no device is given: the only device."""
        return Device(_runtime.get().device_name())

    def devices(self) -> tuple[Device, ...]:
        """The devices that arrays can be on, a tuple as the standard of 2025.12 has it (NumPy has a list)."""
        return (self.default_device(),)

    def default_dtypes(self, *, device: Any = None) -> dict[str, np.dtype]:
        """The dtypes of arrays made from Python's numbers."""
        self._check(device)
        return {
            "real floating": np.dtype(np.float64),
            "complex floating": np.dtype(np.complex128),
            "integral": np.dtype(np.int64),
            "indexing": np.dtype(np.int64),
        }

    def dtypes(self, *, device: Any = None, kind: Any = None) -> dict[str, np.dtype]:
        """The standard's dtypes by name: all, or those of a kind, or of several (a tuple). ValueError for no kind."""
        self._check(device)
        kinds = (None,) if kind is None else kind if isinstance(kind, tuple) else (kind,)
        letters = ""
        for one in kinds:
            if one is not None and one not in _KINDS:
                raise ValueError(f"kind: {one!r} is none of {', '.join(_KINDS)}")
            letters += "biufc" if one is None else _KINDS[one]
        return {dtype.name: dtype for dtype in DTYPES if dtype.kind in letters and dtype != np.float16}

    def _check(self, device: Any) -> None:
        own = _runtime.get().device_name()
        if device is not None and str(device) != own:
            raise ValueError(f"device: {str(device)!r} is not available; arrays are on {own!r}")


def __array_namespace_info__() -> ArrayNamespaceInfo:
    """What the array API standard's inspection functions tell of this namespace.

    >>> import cuarray as ca
    >>> ca.__array_namespace_info__().capabilities()["max dimensions"]
    64
    """
    return ArrayNamespaceInfo()
