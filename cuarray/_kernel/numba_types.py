"""What ``@numba.njit`` knows of cuarray: importing this module registers it, and starts neither cppyy nor CUDA."""

from __future__ import annotations

from cuarray._kernel import numba_arrays, numba_functions, numba_launch, numba_streams
from cuarray._streams import Stream

__all__ = ["numba_arrays", "numba_functions", "numba_launch", "numba_streams", "register"]


numba_streams.register_stream(Stream)


def register() -> None:
    """Make all of it known: importing this module did."""
