"""The main namespace, for functions that use those of modules which are imported after theirs."""

from __future__ import annotations

from typing import Any


def namespace() -> Any:
    """The module `cuarray`; to be called when a function runs, not when its module is imported."""
    import cuarray

    return cuarray
