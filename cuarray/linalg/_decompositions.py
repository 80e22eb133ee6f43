"""Matrices as products of simpler ones: Cholesky, QR, eigenvalues, singular values."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._functions.creation import ascontiguousarray, astype, empty
from cuarray._functions.elementwise import (
    add,
    isfinite,
    where,
)
from cuarray._functions.matrices import tril, triu
from cuarray._functions.reductions import all as all_of
from cuarray._functions.reductions import any as any_of
from cuarray.linalg._operands import (
    adjoint,
    backend_library,
    empty_case,
    given,
    matrices,
    packed,
    real_dtype,
    taken,
    viewed,
)


class EigResult(NamedTuple):
    """Eigenvalues, and eigenvectors as columns."""

    eigenvalues: CuArray
    eigenvectors: CuArray


class EighResult(NamedTuple):
    """Eigenvalues, ascending, and eigenvectors as columns."""

    eigenvalues: CuArray
    eigenvectors: CuArray


class QRResult(NamedTuple):
    """A matrix with orthonormal columns, and an upper triangular one."""

    Q: CuArray
    R: CuArray


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values, descending, and the conjugate right ones as rows."""

    U: CuArray
    S: CuArray
    Vh: CuArray


def cholesky(a: Any, /, *, upper: bool = False) -> CuArray:
    """The lower triangular L with L L^H = a, or with `upper` U with U^H U = a, of Hermitian positive definite matrices.

    The other triangle of `a` is not looked at. LinAlgError if a matrix is not positive definite.

    >>> import cuarray as ca
    >>> ca.linalg.cholesky(ca.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    x, dtype = matrices("cholesky", a, square=True)
    if not x.size:
        return empty(x.shape, dtype)
    library = backend_library()
    if not library.column_major:
        return taken(library.cholesky(given(x, dtype), not upper))
    # Rows of a matrix are columns of its transpose, whose factor is the transpose of the other one.
    factor = viewed(library.cholesky(given(x.mT, dtype), upper)).mT
    return packed(triu(factor) if upper else tril(factor))


def qr(a: Any, mode: str = "reduced") -> Any:
    """Q with orthonormal columns and upper triangular R with Q R = a, as a QRResult.

    mode: "reduced" (Q is m by k and R k by n, k = min(m, n)), "complete" (m by m and m by n), "r" (R alone), "raw" (the
    transposed matrix of LAPACK's geqrf, and tau, as a tuple).

    >>> import cuarray as ca
    >>> a = ca.array([[3.0, 1.0], [4.0, 2.0]])
    >>> q, r = ca.linalg.qr(a)
    >>> ca.round(q @ r, 12)
    array([[3., 1.],
           [4., 2.]])
    """
    if mode not in ("reduced", "complete", "r", "raw"):
        raise ValueError(f"qr: mode must be 'reduced', 'complete', 'r' or 'raw', not {mode!r}")
    x, dtype = matrices("qr", a)
    if not x.size:
        found = empty_case(np.linalg.qr, np.empty(x.shape, dtype), mode)
        return QRResult(*found) if mode in ("reduced", "complete") else found
    library = backend_library()
    if isinstance(library, _runtime.Results):
        parts = tuple(taken(part) for part in library.qr_of(given(x, dtype), mode))
        return parts[0] if mode == "r" else parts if mode == "raw" else QRResult(*parts)
    factors, tau = library.qr(given(x, dtype))
    both = viewed(factors)
    if mode == "raw":
        return packed(both.mT), viewed(tau)
    rows, columns = x.shape[-2:]
    width = rows if mode == "complete" else min(rows, columns)
    r = packed(triu(both[..., :width, :]))
    return r if mode == "r" else QRResult(taken(library.q(factors, tau, width)), r)


def _eigh(a: Any, UPLO: str, vectors: bool, name: str) -> tuple[CuArray, CuArray | None]:
    triangle = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if triangle not in ("L", "U"):
        raise ValueError(f"{name}: UPLO argument must be 'L' or 'U', not {UPLO!r}")
    x, dtype = matrices(name, a, square=True)
    if not x.size:
        return empty(x.shape[:-1], real_dtype(dtype)), empty(x.shape, dtype)
    w, v = backend_library().eigh(given(x, dtype), triangle == "L", vectors)
    return taken(w), None if v is None else taken(v)


def eigh(a: Any, UPLO: str = "L") -> EighResult:
    """Eigenvalues, real and ascending, and orthonormal eigenvectors (columns) of Hermitian matrices.

    Only the lower triangle is looked at, or with UPLO="U" the upper one. LinAlgError if it does not converge.

    >>> import cuarray as ca
    >>> ca.linalg.eigh(ca.array([[2.0, 0.0], [0.0, 1.0]])).eigenvalues
    array([1., 2.])
    """
    w, v = _eigh(a, UPLO, True, "eigh")
    assert v is not None
    return EighResult(w, v)


def eigvalsh(a: Any, UPLO: str = "L") -> CuArray:
    """The eigenvalues, real and ascending, of Hermitian matrices; see `eigh`.

    >>> import cuarray as ca
    >>> ca.round(ca.linalg.eigvalsh(ca.array([[0.0, 2.0], [2.0, 0.0]])), 12)
    array([-2.,  2.])
    """
    return _eigh(a, UPLO, False, "eigvalsh")[0]


def _eig(a: Any, vectors: bool, name: str) -> tuple[CuArray, CuArray | None]:
    x, dtype = matrices(name, a, square=True)
    if not all_of(isfinite(x)):
        raise LinAlgError(f"{name}: Array must not contain infs or NaNs")
    if not x.size:
        return empty(x.shape[:-1], dtype), empty(x.shape, dtype)
    values, columns = backend_library().eig(given(x, dtype), vectors)
    w, v = taken(values), None if columns is None else viewed(columns)
    if dtype.kind != "c" and w.dtype.kind == "c" and (v is None or v.dtype.kind != "c"):
        if not any_of(w.imag):
            w = ascontiguousarray(w.real)
        elif v is not None:
            v = _unpack(w, v)
    return w, None if v is None else packed(v)


def _unpack(w: CuArray, packed: CuArray) -> CuArray:
    """The eigenvectors of a real matrix: those of a conjugate pair of values share two real columns."""
    first = (w.imag > 0)[..., None, :]
    second = (w.imag < 0)[..., None, :]
    v = empty(packed.shape, w.dtype)
    # A vector's neighbour, of which the first and last have one less; there is no pair across the ends.
    v.real[...] = packed
    v.real[..., 1:] = where(second[..., 1:], packed[..., :-1], packed[..., 1:])
    v.imag[...] = where(second, -packed, 0)
    v.imag[..., :-1] = where(first[..., :-1], packed[..., 1:], v.imag[..., :-1])
    return v


def eig(a: Any) -> EigResult:
    """Eigenvalues, in no order, and eigenvectors (columns of length 1) of square matrices.

    Both are real if the matrices are and all eigenvalues are, else complex. LinAlgError if there are infinities or NaNs
    or it does not converge. On GPUs with a cuSOLVER older than CUDA 12.6 it is done by the CPU.

    >>> import cuarray as ca
    >>> ca.linalg.eig(ca.array([[2.0, 0.0], [0.0, 3.0]])).eigenvalues
    array([2., 3.])
    """
    w, v = _eig(a, True, "eig")
    assert v is not None
    return EigResult(w, v)


def eigvals(a: Any) -> CuArray:
    """The eigenvalues, in no order, of square matrices; see `eig`.

    >>> import cuarray as ca
    >>> ca.linalg.eigvals(ca.array([[0.0, -1.0], [1.0, 0.0]]))
    array([0.+1.j, 0.-1.j])
    """
    return _eig(a, False, "eigvals")[0]


def _svd(x: CuArray, dtype: np.dtype, full: bool, vectors: bool) -> tuple[CuArray | None, CuArray, CuArray | None]:
    if not x.size:
        if vectors:
            return empty_case(np.linalg.svd, np.empty(x.shape, dtype), full)
        return None, empty_case(np.linalg.svd, np.empty(x.shape, dtype), full, False), None
    library = backend_library()
    # a^T = v^* s u^T: the transpose of a wide matrix is tall, and no number need be conjugated.
    turned = library.column_major and x.shape[-2] < x.shape[-1]
    left, s, right, adjoint = library.svd(given(x.mT if turned else x, dtype), full, vectors)
    if not vectors:
        return None, taken(s), None
    u, vh = viewed(left), viewed(right)
    if not adjoint:
        vh = adjoint(vh)
    if turned:
        u, vh = vh.mT, u.mT
    return packed(u), taken(s), packed(vh)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular value decomposition: U S Vh = a with orthonormal U and Vh, as an SVDResult.

    For m by n matrices and k = min(m, n), U is m by m and Vh n by n, or without `full_matrices` m by k and k by n.
    Without `compute_uv` S alone. hermitian: only the lower triangle is looked at. LinAlgError if it does not converge.

    >>> import cuarray as ca
    >>> ca.linalg.svd(ca.array([[3.0, 0.0], [0.0, 4.0]])).S
    array([4., 3.])
    """
    x, dtype = matrices("svd", a, square=hermitian)
    if hermitian and x.size:
        below = tril(astype(x, dtype, copy=False), -1)
        x = add(tril(x), adjoint(below))
    u, s, vh = _svd(x, dtype, bool(full_matrices), bool(compute_uv))
    return s if u is None or vh is None else SVDResult(u, s, vh)


def svdvals(x: Any, /) -> CuArray:
    """The singular values, descending; see `svd`.

    >>> import cuarray as ca
    >>> ca.linalg.svdvals(ca.array([[0.0, 2.0], [1.0, 0.0]]))
    array([2., 1.])
    """
    return svd(x, compute_uv=False)
