"""`cuarray.linalg` by the array API standard: eigenvalues of matrices that are not symmetric are always complex.

>>> import cuarray.array_api as xp
>>> xp.linalg.eigvals(xp.asarray([[2.0, 0.0], [0.0, 3.0]]))
array([2.+0.j, 3.+0.j])
"""

from __future__ import annotations

from typing import Any

import cuarray.linalg
from cuarray import CuArray, astype, complex64, result_type
from cuarray.linalg import *  # noqa: F403
from cuarray.linalg import EigResult

__all__ = cuarray.linalg.__all__


def eig(x: Any, /) -> EigResult:  # type: ignore[no-redef]
    """Eigenvalues, in no order, and eigenvectors (columns of length 1) of square matrices: complex, both.

    Shapes (..., n) and (..., n, n) for `x` of shape (..., n, n). complex64 for float32 and complex64, else complex128.
    LinAlgError as by `cuarray.linalg.eig`, which is real where it can be.

    >>> import cuarray.array_api as xp
    >>> xp.linalg.eig(xp.asarray([[2.0, 0.0], [0.0, 3.0]])).eigenvectors.dtype
    dtype('complex128')
    """
    return EigResult(*map(_complex, cuarray.linalg.eig(x)))


def eigvals(x: Any, /) -> CuArray:  # type: ignore[no-redef]
    """The eigenvalues, in no order, of square matrices, always complex; see `eig`.

    >>> import cuarray.array_api as xp
    >>> xp.linalg.eigvals(xp.asarray([[0.0, -1.0], [1.0, 0.0]]))
    array([0.+1.j, 0.-1.j])
    """
    return _complex(cuarray.linalg.eigvals(x))


def _complex(x: CuArray) -> CuArray:
    return astype(x, result_type(x, complex64), copy=False)
