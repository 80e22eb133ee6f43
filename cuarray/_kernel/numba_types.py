"""What ``@numba.njit`` knows of cuarray: importing this module registers it, and starts neither cppyy nor CUDA.

It is imported as soon as numba is: cuarray itself does without, and numba takes half a second.
"""

from __future__ import annotations

from cuarray._kernel import numba_arrays, numba_functions, numba_launch, numba_operations, numba_streams
from cuarray._streams import Stream

__all__ = ["numba_arrays", "numba_functions", "numba_launch", "numba_operations", "numba_streams"]

numba_streams.register_stream(Stream)
