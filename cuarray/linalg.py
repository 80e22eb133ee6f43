"""Linear algebra, as numpy.linalg has it: decompositions, solutions, norms and products of matrices and their stacks.

Matrices are the last two axes of arrays; axes before them make stacks. Integers and bool are computed in float64;
float16 is a TypeError. On the GPU cuSOLVER and cuBLAS decompose (RuntimeError if they are not installed), and the
functions that need them wait for the device, to see whether it worked; on the CPU it is NumPy's LAPACK.
"""

from __future__ import annotations

import functools
import itertools
import math
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from cuarray import _runtime
from cuarray._array import CuArray, allocate, new, view_of
from cuarray._dtypes import as_dtype
from cuarray._functions import linear_algebra as _linear_algebra
from cuarray._functions import products as _products
from cuarray._functions._operation import as_operand, copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, ascontiguousarray, astype, empty
from cuarray._functions.elementwise import (
    absolute,
    add,
    conjugate,
    divide,
    equal,
    exp,
    isfinite,
    isnan,
    log,
    logical_and,
    logical_not,
    multiply,
    not_equal,
    power,
    sqrt,
    square,
    subtract,
    where,
)
from cuarray._functions.gemm import gemm
from cuarray._functions.manipulation import broadcast_to, matrix_transpose, ravel
from cuarray._functions.matrices import eye, tril, triu
from cuarray._functions.products import dot, matmul, tensordot, vecdot
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import all as all_of
from cuarray._functions.reductions import any as any_of
from cuarray._functions.reductions import count_nonzero
from cuarray._functions.reductions import max as max_of
from cuarray._functions.reductions import min as min_of
from cuarray._functions.reductions import sum as sum_of
from cuarray._layout import broadcast_shapes

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "gemm",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]


_NOT_GIVEN: Any = object()


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


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the natural logarithm of its magnitude."""

    sign: CuArray
    logabsdet: CuArray


class SVDResult(NamedTuple):
    """Left singular vectors as columns, singular values, descending, and the conjugate right ones as rows."""

    U: CuArray
    S: CuArray
    Vh: CuArray


# ---- operands and results


def _dtype_of(name: str, *arrays: CuArray) -> np.dtype:
    """The dtype to compute in: what all promote to, integers as float64."""
    for array in arrays:
        if array.dtype.kind not in "biufc" or array.dtype == np.float16:
            raise TypeError(f"{name}: arrays of dtype {array.dtype} are not supported in linalg")
    floats = (np.dtype(np.float64) if array.dtype.kind in "biu" else array.dtype for array in arrays)
    return as_dtype(np.result_type(*floats), name)


def _real(dtype: np.dtype) -> np.dtype:
    return as_dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _matrices(name: str, a: Any, square: bool = False) -> tuple[CuArray, np.dtype]:
    array = as_operand(a)
    dtype = _dtype_of(name, array)
    if array.ndim < 2:
        raise LinAlgError(f"{name}: {array.ndim}-dimensional array given. Array must be at least two-dimensional")
    if square and array.shape[-1] != array.shape[-2]:
        raise LinAlgError(f"{name}: Last 2 dimensions of the array must be square, they are {array.shape[-2:]}")
    return array, dtype


def _library() -> Any:
    return _runtime.get().linalg


def _given(x: CuArray, dtype: np.dtype) -> _runtime.Block:
    """An operand as the library takes it: a copy that it may overwrite, or the array as it is."""
    if _library().column_major:
        packed = allocate(_runtime.column_major(dtype, x.shape))
        copy_into(packed, x)
    else:
        packed = astype(x, dtype, copy=False)
    return _runtime.Block(packed._memory, packed._pointer, packed._layout)


def _view(block: _runtime.Block) -> CuArray:
    return new(block.memory, block.pointer, block.layout)


def _taken(block: _runtime.Block) -> CuArray:
    """What the library gave as a C-contiguous array."""
    return _packed(_view(block))


def _packed(x: CuArray) -> CuArray:
    if x._layout.c_contiguous:
        x._base = None
        return x
    return ascontiguousarray(x)


def _empty_case(function: Callable[..., Any], *arguments: Any) -> Any:
    """What NumPy gives for empty matrices, which depends on their shapes only."""
    result = function(*arguments)
    return tuple(asarray(part) for part in result) if isinstance(result, tuple) else asarray(result)


def _adjoint(x: CuArray) -> CuArray:
    return conjugate(x).mT if x.dtype.kind == "c" else x.mT


def _diagonal_of(x: CuArray) -> CuArray:
    return view_of(x, lambda ghost: np.diagonal(ghost, 0, -2, -1))


# ---- decompositions


def cholesky(a: Any, /, *, upper: bool = False) -> CuArray:
    """The lower triangular L with L L^H = a, or with `upper` U with U^H U = a, of Hermitian positive definite matrices.

    The other triangle of `a` is not looked at. LinAlgError if a matrix is not positive definite.

    >>> import cuarray as ca
    >>> ca.linalg.cholesky(ca.array([[4.0, 2.0], [2.0, 2.0]]))
    array([[2., 0.],
           [1., 1.]])
    """
    x, dtype = _matrices("cholesky", a, square=True)
    if not x.size:
        return empty(x.shape, dtype)
    library = _library()
    if not library.column_major:
        return _taken(library.cholesky(_given(x, dtype), not upper))
    # Rows of a matrix are columns of its transpose, whose factor is the transpose of the other one.
    factor = _view(library.cholesky(_given(x.mT, dtype), upper)).mT
    return _packed(triu(factor) if upper else tril(factor))


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
    x, dtype = _matrices("qr", a)
    if not x.size:
        found = _empty_case(np.linalg.qr, np.empty(x.shape, dtype), mode)
        return QRResult(*found) if mode in ("reduced", "complete") else found
    library = _library()
    if isinstance(library, _runtime.Results):
        parts = tuple(_taken(part) for part in library.qr_of(_given(x, dtype), mode))
        return parts[0] if mode == "r" else parts if mode == "raw" else QRResult(*parts)
    factors, tau = library.qr(_given(x, dtype))
    packed = _view(factors)
    if mode == "raw":
        return _packed(packed.mT), _view(tau)
    rows, columns = x.shape[-2:]
    width = rows if mode == "complete" else min(rows, columns)
    r = _packed(triu(packed[..., :width, :]))
    return r if mode == "r" else QRResult(_taken(library.q(factors, tau, width)), r)


def _eigh(a: Any, UPLO: str, vectors: bool, name: str) -> tuple[CuArray, CuArray | None]:
    triangle = UPLO.upper() if isinstance(UPLO, str) else UPLO
    if triangle not in ("L", "U"):
        raise ValueError(f"{name}: UPLO argument must be 'L' or 'U', not {UPLO!r}")
    x, dtype = _matrices(name, a, square=True)
    if not x.size:
        return empty(x.shape[:-1], _real(dtype)), empty(x.shape, dtype)
    w, v = _library().eigh(_given(x, dtype), triangle == "L", vectors)
    return _taken(w), None if v is None else _taken(v)


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
    x, dtype = _matrices(name, a, square=True)
    if not all_of(isfinite(x)):
        raise LinAlgError(f"{name}: Array must not contain infs or NaNs")
    if not x.size:
        return empty(x.shape[:-1], dtype), empty(x.shape, dtype)
    values, columns = _library().eig(_given(x, dtype), vectors)
    w, v = _taken(values), None if columns is None else _view(columns)
    if dtype.kind != "c" and w.dtype.kind == "c" and (v is None or v.dtype.kind != "c"):
        if not any_of(w.imag):
            w = ascontiguousarray(w.real)
        elif v is not None:
            v = _unpack(w, v)
    return w, None if v is None else _packed(v)


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
            return _empty_case(np.linalg.svd, np.empty(x.shape, dtype), full)
        return None, _empty_case(np.linalg.svd, np.empty(x.shape, dtype), full, False), None
    library = _library()
    # a^T = v^* s u^T: the transpose of a wide matrix is tall, and no number need be conjugated.
    turned = library.column_major and x.shape[-2] < x.shape[-1]
    left, s, right, adjoint = library.svd(_given(x.mT if turned else x, dtype), full, vectors)
    if not vectors:
        return None, _taken(s), None
    u, vh = _view(left), _view(right)
    if not adjoint:
        vh = _adjoint(vh)
    if turned:
        u, vh = vh.mT, u.mT
    return _packed(u), _taken(s), _packed(vh)


def svd(a: Any, full_matrices: bool = True, compute_uv: bool = True, hermitian: bool = False) -> Any:
    """Singular value decomposition: U S Vh = a with orthonormal U and Vh, as an SVDResult.

    For m by n matrices and k = min(m, n), U is m by m and Vh n by n, or without `full_matrices` m by k and k by n.
    Without `compute_uv` S alone. hermitian: only the lower triangle is looked at. LinAlgError if it does not converge.

    >>> import cuarray as ca
    >>> ca.linalg.svd(ca.array([[3.0, 0.0], [0.0, 4.0]])).S
    array([4., 3.])
    """
    x, dtype = _matrices("svd", a, square=hermitian)
    if hermitian and x.size:
        below = tril(astype(x, dtype, copy=False), -1)
        x = add(tril(x), _adjoint(below))
    u, s, vh = _svd(x, dtype, bool(full_matrices), bool(compute_uv))
    return s if u is None or vh is None else SVDResult(u, s, vh)


def svdvals(x: Any, /) -> CuArray:
    """The singular values, descending; see `svd`.

    >>> import cuarray as ca
    >>> ca.linalg.svdvals(ca.array([[0.0, 2.0], [1.0, 0.0]]))
    array([2., 1.])
    """
    return svd(x, compute_uv=False)


# ---- determinants and solutions


def slogdet(a: Any) -> SlogdetResult:
    """The signs of determinants (of complex matrices a number of magnitude 1), and the logarithms of their magnitudes.

    A singular matrix has the sign 0 and the logarithm -inf.

    >>> import cuarray as ca
    >>> sign, logabsdet = ca.linalg.slogdet(ca.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logabsdet
    (array(-1.), array(0.))
    """
    x, dtype = _matrices("slogdet", a, square=True)
    if not x.size:
        return SlogdetResult(*_empty_case(np.linalg.slogdet, np.empty(x.shape, dtype)))
    library = _library()
    if isinstance(library, _runtime.Results):
        return SlogdetResult(*(_taken(part) for part in library.slogdet(_given(x, dtype))))
    factors, pivots = (_view(part) for part in library.lu(_given(x, dtype)))
    diagonal = _diagonal_of(factors)
    magnitudes = absolute(diagonal)
    # The sign of a zero is zero, where 0/0 would be NaN.
    signs = divide(diagonal, where(equal(magnitudes, 0), 1, magnitudes))
    # Each exchange of two rows changes the determinant's sign.
    exchanges = count_nonzero(not_equal(pivots, arange(1, x.shape[-1] + 1)), axis=-1)
    parity = astype(1 - 2 * (exchanges % 2), _real(dtype))
    return SlogdetResult(multiply(signs.prod(-1), parity), sum_of(log(magnitudes), axis=-1))


def det(a: Any) -> CuArray:
    """The determinants of square matrices.

    >>> import cuarray as ca
    >>> ca.round(ca.linalg.det(ca.array([[1.0, 2.0], [3.0, 4.0]])), 12)
    array(-2.)
    """
    sign, logabsdet = slogdet(a)
    return multiply(sign, exp(logabsdet))


def _solve(name: str, a: CuArray, b: CuArray, dtype: np.dtype) -> CuArray:
    """x of a x = b for stacks of matrices that broadcast."""
    stack = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*stack, a.shape[-1], b.shape[-1])
    if not a.size or not b.size:
        return empty(shape, dtype)
    left, right = broadcast_to(a, (*stack, *a.shape[-2:])), broadcast_to(b, (*stack, *b.shape[-2:]))
    return _view(_library().solve(_given(left, dtype), _given(right, dtype)))


def solve(a: Any, b: Any) -> CuArray:
    """The x with a @ x = b. `b` is a vector if it is 1-d, else matrices whose columns are the right sides.

    Stacks broadcast. LinAlgError if a matrix is singular.

    >>> import cuarray as ca
    >>> ca.linalg.solve(ca.array([[2.0, 0.0], [0.0, 4.0]]), ca.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    x, _ = _matrices("solve", a, square=True)
    y = as_operand(b)
    dtype = _dtype_of("solve", x, y)
    if y.ndim == 0:
        raise ValueError("solve: b must have at least 1 dimension, it has 0")
    column = y.ndim == 1
    if column:
        y = y[:, None]
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(f"solve: matrices of {x.shape[-2:]} and right sides of {y.shape[-2]} elements do not match")
    result = _packed(_solve("solve", x, y, dtype))
    if column:
        result = result[..., 0]
        result._base = None
    return result


def inv(a: Any) -> CuArray:
    """The inverses of square matrices. LinAlgError if a matrix is singular.

    >>> import cuarray as ca
    >>> ca.linalg.inv(ca.array([[2.0, 0.0], [0.0, 4.0]]))
    array([[0.5 , 0.  ],
           [0.  , 0.25]])
    """
    x, dtype = _matrices("inv", a, square=True)
    unit = eye(x.shape[-1], dtype=dtype)
    if _library().column_major:  # the inverse of the transpose, by columns, is the inverse by rows
        return _packed(_solve("inv", x.mT, unit, dtype).mT)
    return _packed(_solve("inv", x, unit, dtype))


def pinv(a: Any, rcond: Any = None, hermitian: bool = False, *, rtol: Any = _NOT_GIVEN) -> CuArray:
    """The Moore-Penrose inverses of matrices.

    Singular values up to `rtol` (or `rcond`; a number, or one for each of the stack) times the largest are taken for
    zero: by default 1e-15, and with rtol=None max(m, n) times the dtype's epsilon.

    >>> import cuarray as ca
    >>> ca.round(ca.linalg.pinv(ca.array([[1.0], [1.0]])), 12)
    array([[0.5, 0.5]])
    """
    if rcond is not None and rtol is not _NOT_GIVEN:
        raise ValueError("pinv: `rtol` and `rcond` can't be both set.")
    x, dtype = _matrices("pinv", a)
    if not x.size:  # NumPy keeps integers if the matrices are empty, not if there are none
        own = dtype if math.prod(x.shape[-2:]) else x.dtype
        return empty((*x.shape[:-2], x.shape[-1], x.shape[-2]), own)
    cut = (1e-15 if rcond is None else rcond) if rtol is _NOT_GIVEN else rtol
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
    large = s > _cutoff(x.shape, s, cut)
    inverses = where(large, divide(1, where(large, s, 1)), 0)
    return matmul(multiply(_adjoint(vh), inverses[..., None, :]), _adjoint(u))


def _cutoff(shape: tuple[int, ...], s: CuArray, relative: Any) -> CuArray:
    """Below which singular values are taken for zero."""
    if relative is None:
        relative = max(shape[-2:]) * float(np.finfo(s.dtype).eps)
    elif not isinstance(relative, int | float):
        relative = as_operand(relative)[..., None]
    return multiply(max_of(s, axis=-1, keepdims=True), relative)


def lstsq(a: Any, b: Any, rcond: float | None = None) -> tuple[CuArray, CuArray, CuArray, CuArray]:
    """The x of smallest norm for which a @ x is nearest to b: (x, sums of squared residuals, rank, singular values).

    `a` is one matrix, `b` a vector or a matrix whose columns are right sides. Singular values up to `rcond` (by default
    max(m, n) times the dtype's epsilon) times the largest are taken for zero. The residuals are empty unless the rank
    is n and m is larger. LinAlgError if the shapes do not match.

    >>> import cuarray as ca
    >>> x, residuals, rank, s = ca.linalg.lstsq(ca.array([[1.0], [1.0]]), ca.array([1.0, 3.0]))
    >>> ca.round(x, 12), ca.round(residuals, 12), rank
    (array([2.]), array([2.]), array(1, dtype=int32))
    """
    x, y = as_operand(a), as_operand(b)
    dtype = _dtype_of("lstsq", x, y)
    column = y.ndim == 1
    if column:
        y = y[:, None]
    if x.ndim != 2 or y.ndim != 2:
        raise LinAlgError(
            f"lstsq: arrays must be two-dimensional; they have {x.ndim} and {as_operand(b).ndim} dimensions"
        )
    if x.shape[0] != y.shape[0]:
        raise LinAlgError(f"lstsq: Incompatible dimensions: a has {x.shape[0]} rows, b has {y.shape[0]}")
    m, n = x.shape
    x, y = astype(x, dtype, copy=False), astype(y, dtype, copy=False)
    if not x.size:
        s = empty(0, _real(dtype))
        rank = count_nonzero(s)
        solution = empty((n, y.shape[1]), dtype)
        solution[...] = 0
    else:
        u, s, vh = svd(x, full_matrices=False)
        if rcond is not None and rcond < 0:
            rcond = float(np.finfo(s.dtype).eps)
        large = s > _cutoff(x.shape, s, rcond)
        rank = count_nonzero(large)
        inverses = where(large, divide(1, where(large, s, 1)), 0)
        solution = matmul(_adjoint(vh), multiply(inverses[:, None], matmul(_adjoint(u), y)))
    residuals = empty(0, _real(dtype))
    if m > n and int(rank) == n:
        residuals = sum_of(_squares(subtract(y, matmul(x, solution))), axis=0)
    if column:
        solution = solution[:, 0]
        solution._base = None
    return solution, residuals, astype(rank, np.int32), s  # int32 is LAPACK's, and NumPy's


def tensorsolve(a: Any, b: Any, axes: Any = None) -> CuArray:
    """The x with tensordot(a, x, x.ndim) = b; `axes` of `a` are moved to its end first.

    LinAlgError unless the first axes of `a` have b's shape's size and the others, of x, the same; or if it is singular.

    >>> import cuarray as ca
    >>> ca.linalg.tensorsolve(2 * ca.eye(4).reshape(2, 2, 2, 2), ca.ones((2, 2)))
    array([[0.5, 0.5],
           [0.5, 0.5]])
    """
    x, y = as_operand(a), as_operand(b)
    if axes is not None:
        last = [normalize_axis(axis, x.ndim) for axis in axes]
        first = [axis for axis in range(x.ndim) if axis not in last]
        x = view_of(x, lambda ghost: ghost.transpose(first + last))
    shape = x.shape[y.ndim :]
    size = math.prod(shape)
    if x.size != size**2:
        raise LinAlgError(
            f"tensorsolve: Input arrays must satisfy prod(a.shape[b.ndim:]) == prod(a.shape[:b.ndim]); "
            f"a has shape {x.shape}, b has {y.ndim} dimensions"
        )
    return _reshaped(solve(x.reshape(size, size), ravel(y)), shape)


def _reshaped(x: CuArray, shape: tuple[int, ...]) -> CuArray:
    result = x.reshape(shape)
    result._base = None
    return result


def tensorinv(a: Any, ind: int = 2) -> CuArray:
    """The inverse of tensordot with `a`, whose first `ind` axes have as many elements as the others.

    >>> import cuarray as ca
    >>> ca.linalg.tensorinv(ca.eye(6).reshape(2, 3, 6), ind=2).shape
    (6, 2, 3)
    """
    x = as_operand(a)
    if ind <= 0:
        raise ValueError(f"tensorinv: Invalid ind argument: it must be positive, not {ind}")
    size = math.prod(x.shape[ind:])
    return _reshaped(inv(x.reshape(math.prod(x.shape[:ind]), size)), x.shape[ind:] + x.shape[:ind])


# ---- powers and chains of products


def matrix_power(a: Any, n: int) -> CuArray:
    """Square matrices to an integer power; for a negative one their inverses'.

    >>> import cuarray as ca
    >>> ca.linalg.matrix_power(ca.array([[1, 1], [1, 0]]), 10)
    array([[89, 55],
           [55, 34]])
    """
    x = as_operand(a)
    if x.ndim < 2 or x.shape[-1] != x.shape[-2]:
        raise LinAlgError(f"matrix_power: Last 2 dimensions of the array must be square; its shape is {x.shape}")
    try:
        n = operator.index(n)
    except TypeError:
        raise TypeError("matrix_power: exponent must be an integer") from None
    if n == 0:
        unit = empty(x.shape, x.dtype)
        unit[...] = eye(x.shape[-1], dtype=x.dtype)
        return unit
    if n < 0:
        x, n = inv(x), -n
    # The bits of n, the highest first: a square for each, and a factor where it is set.
    result = x
    for bit in f"{n:b}"[1:]:
        result = matmul(result, result)
        if bit == "1":
            result = matmul(result, x)
    return result


def multi_dot(arrays: Sequence[Any], *, out: CuArray | None = None) -> CuArray:
    """The product of two or more matrices in the order that takes fewest multiplications.

    The first may be a vector (a row), the last, too (a column).

    >>> import cuarray as ca
    >>> ca.linalg.multi_dot([ca.ones((2, 50)), ca.ones((50, 3)), ca.ones(3)])
    array([150., 150.])
    """
    operands = [as_operand(array) for array in arrays]
    if len(operands) < 2:
        raise ValueError("multi_dot: Expecting at least two arrays.")
    if len(operands) == 2:
        return dot(operands[0], operands[1], out)
    row, column = operands[0].ndim == 1, operands[-1].ndim == 1
    if row:
        operands[0] = operands[0][None, :]
    if column:
        operands[-1] = operands[-1][:, None]
    for k, operand in enumerate(operands):
        if operand.ndim != 2:
            raise LinAlgError(f"multi_dot: array {k + 1} has {operand.ndim} dimensions; it must be two-dimensional")
    for left, right in itertools.pairwise(operands):
        if left.shape[1] != right.shape[0]:
            raise ValueError(f"multi_dot: shapes {left.shape} and {right.shape} do not match")
    extents = (*(operand.shape[0] for operand in operands), operands[-1].shape[1])
    result = _chain(operands, extents)
    missing = (0,) * row + (1,) * column
    if missing:
        result = view_of(result, lambda ghost: np.squeeze(ghost, missing))
        result._base = None
    return result if out is None else _products._into("multi_dot", result, out)


def _chain(operands: list[CuArray], extents: tuple[int, ...]) -> CuArray:
    @functools.cache
    def best(first: int, last: int) -> tuple[int, int]:
        """The multiplications for the operands from first to last, and after which one to split them."""
        if first == last:
            return 0, first
        ends = extents[first] * extents[last + 1]
        return min(
            (best(first, middle)[0] + best(middle + 1, last)[0] + ends * extents[middle + 1], middle)
            for middle in range(first, last)
        )

    def product(first: int, last: int) -> CuArray:
        if first == last:
            return operands[first]
        middle = best(first, last)[1]
        return matmul(product(first, middle), product(middle + 1, last))

    return product(0, len(operands) - 1)


# ---- norms


def _squares(x: CuArray) -> CuArray:
    """The squared magnitudes of the elements."""
    return add(square(x.real), square(x.imag)) if x.dtype.kind == "c" else square(x)


def _floating(a: Any) -> CuArray:
    x = as_operand(a)
    return astype(x, np.float64) if x.dtype.kind in "biu" else x


def norm(x: Any, ord: Any = None, axis: Any = None, keepdims: bool = False) -> CuArray:
    """The norms of vectors along `axis`, or of matrices in the two axes of a tuple; by default of all elements.

    ord of a vector: None or 2 (the Euclidean norm), inf, -inf, 0 (how many are not zero), or any number p for
    sum(abs(x)**p)**(1/p). ord of a matrix: None or "fro" (the Euclidean norm of all elements), "nuc" (the sum of its
    singular values), 2 and -2 (the largest and the smallest), 1 and -1 (the largest and smallest sum of magnitudes in a
    column), inf and -inf (in a row). ValueError for any other.

    >>> import cuarray as ca
    >>> ca.linalg.norm(ca.array([3.0, 4.0]))
    array(5.)
    """
    array = _floating(x)
    if axis is None:
        plain = ord is None or (ord in ("f", "fro") and array.ndim == 2) or (ord == 2 and array.ndim == 1)
        if plain:
            return sqrt(sum_of(_squares(array), keepdims=keepdims))
        axes = tuple(range(array.ndim))
    else:
        try:
            axes = axis if isinstance(axis, tuple) else (operator.index(axis),)
        except TypeError:
            raise TypeError("norm: 'axis' must be None, an integer or a tuple of integers") from None
    if len(axes) == 1:
        return _vector_norm(array, ord, axes[0], keepdims)
    if len(axes) != 2:
        raise ValueError(f"norm: Improper number of dimensions to norm: axis must be one or two axes, not {axes}")
    row, column = (np.lib.array_utils.normalize_axis_index(one, array.ndim) for one in axes)
    if row == column:
        raise ValueError("norm: Duplicate axes given.")
    result = _matrix_norm(view_of(array, lambda ghost: np.moveaxis(ghost, (row, column), (-2, -1))), ord)
    if keepdims:
        result = _reshaped(result, tuple(1 if k in (row, column) else n for k, n in enumerate(array.shape)))
    return result


def _vector_norm(x: CuArray, ord: Any, axis: int, keepdims: bool) -> CuArray:
    if isinstance(ord, str):
        raise ValueError(f"norm: Invalid norm order '{ord}' for vectors")
    if ord is None or ord == 2:
        return sqrt(sum_of(_squares(x), axis=axis, keepdims=keepdims))
    if ord == 0:
        return astype(count_nonzero(x, axis=axis, keepdims=keepdims), x.real.dtype)
    magnitudes = absolute(x)
    if ord == math.inf:
        return max_of(magnitudes, axis=axis, keepdims=keepdims, initial=0)
    if ord == -math.inf:
        return min_of(magnitudes, axis=axis, keepdims=keepdims)
    if ord == 1:
        return sum_of(magnitudes, axis=axis, keepdims=keepdims)
    p = float(ord)
    return power(sum_of(power(magnitudes, p), axis=axis, keepdims=keepdims), 1 / p)


def _matrix_norm(x: CuArray, ord: Any) -> CuArray:
    if ord in (None, "fro", "f"):
        return sqrt(sum_of(_squares(x), axis=(-2, -1)))
    if ord in (2, -2, "nuc"):
        s = svdvals(x)
        if ord == "nuc":
            return sum_of(s, axis=-1)
        return min_of(s, axis=-1) if ord == -2 else max_of(s, axis=-1, initial=0)
    if ord in (1, -1, math.inf, -math.inf):
        sums = sum_of(absolute(x), axis=-2 if abs(ord) == 1 else -1)
        return max_of(sums, axis=-1, initial=0) if ord > 0 else min_of(sums, axis=-1)
    raise ValueError(f"norm: Invalid norm order {ord!r} for matrices.")


def matrix_norm(x: Any, /, *, keepdims: bool = False, ord: Any = "fro") -> CuArray:
    """The norms of the matrices in the last two axes; see `norm`.

    >>> import cuarray as ca
    >>> ca.linalg.matrix_norm(ca.array([[3.0, 0.0], [0.0, 4.0]]))
    array(5.)
    """
    return norm(x, ord, (-2, -1), keepdims)


def vector_norm(x: Any, /, *, axis: Any = None, keepdims: bool = False, ord: Any = 2) -> CuArray:
    """The norms of the elements along `axis` (an int, a tuple, or None for all) as those of vectors; see `norm`.

    >>> import cuarray as ca
    >>> ca.linalg.vector_norm(ca.array([[3.0, 4.0], [6.0, 8.0]]), axis=1)
    array([ 5., 10.])
    """
    array = _floating(x)
    axes = np.lib.array_utils.normalize_axis_tuple(range(array.ndim) if axis is None else axis, array.ndim)
    kept = tuple(k for k in range(array.ndim) if k not in axes)
    # The axes of a vector as one, the last.
    last = view_of(array, lambda ghost: ghost.transpose(kept + axes))
    size = math.prod(array.shape[k] for k in axes)
    result = _vector_norm(last.reshape((*(array.shape[k] for k in kept), size)), ord, -1, False)
    if keepdims:
        result = _reshaped(result, tuple(1 if k in axes else n for k, n in enumerate(array.shape)))
    return result


def cond(x: Any, p: Any = None) -> CuArray:
    """The condition numbers of matrices: for `p` None or 2 the largest singular value by the smallest (-2: inverted),
    else the product of the norms (`norm`'s ord) of a matrix and its inverse; inf for singular ones.

    LinAlgError for empty matrices.

    >>> import cuarray as ca
    >>> ca.linalg.cond(ca.array([[1.0, 0.0], [0.0, 4.0]]))
    array(4.)
    """
    array = as_operand(x)
    if array.ndim >= 2 and not array.size and math.prod(array.shape[-2:]) == 0:
        raise LinAlgError("cond is not defined on empty arrays")
    if p is None or p in (2, -2):
        s = svdvals(array)
        ratio = divide(s[..., -1], s[..., 0]) if p == -2 else divide(s[..., 0], s[..., -1])
    else:
        array, dtype = _matrices("cond", array, square=True)
        array = astype(array, dtype, copy=False)
        regular = not_equal(slogdet(array).sign, 0)
        inverse = inv(where(regular[..., None, None], array, eye(array.shape[-1], dtype=dtype)))
        product = multiply(_matrix_norm(array, p), _matrix_norm(inverse, p))
        ratio = where(regular, product, math.inf)
    unknown = logical_and(isnan(ratio), logical_not(any_of(isnan(array), axis=(-2, -1))))
    return where(unknown, math.inf, ratio)


def matrix_rank(A: Any, tol: Any = None, hermitian: bool = False, *, rtol: Any = None) -> CuArray:
    """The ranks of matrices: how many singular values exceed `tol`, or `rtol` times the largest.

    By default `rtol` is max(m, n) times the dtype's epsilon. Of a vector 1 unless all elements are 0.

    >>> import cuarray as ca
    >>> ca.linalg.matrix_rank(ca.array([[1.0, 2.0], [2.0, 4.0]]))
    array(1)
    """
    if rtol is not None and tol is not None:
        raise ValueError("matrix_rank: `tol` and `rtol` can't be both set.")
    array = as_operand(A)
    if array.ndim < 2:
        return astype(any_of(not_equal(array, 0)), np.int64)
    s = svd(array, compute_uv=False, hermitian=hermitian)
    if not s.size:
        return count_nonzero(s, axis=-1)
    if tol is None:
        limit: Any = _cutoff(array.shape, s, rtol)
    else:
        limit = tol if isinstance(tol, int | float) else as_operand(tol)[..., None]
    return count_nonzero(s > limit, axis=-1)


# ---- the array API's names for products, which take matrices in the last two axes and vectors in the last


def outer(x1: Any, x2: Any, /) -> CuArray:
    """The product of each element of the vector `x1` with each of `x2`; ValueError unless both are 1-d.

    >>> import cuarray as ca
    >>> ca.linalg.outer(ca.array([1, 2]), ca.array([3, 4]))
    array([[3, 4],
           [6, 8]])
    """
    a, b = as_operand(x1), as_operand(x2)
    if a.ndim != 1 or b.ndim != 1:
        raise ValueError(f"outer: input arrays must be one-dimensional, but they are {a.ndim} and {b.ndim} dimensional")
    return _products.outer(a, b)


def cross(x1: Any, x2: Any, /, *, axis: int = -1) -> CuArray:
    """Cross products of vectors of 3 elements in `axis`; the other axes broadcast. ValueError for other extents.

    >>> import cuarray as ca
    >>> ca.linalg.cross(ca.array([1, 0, 0]), ca.array([0, 1, 0]))
    array([0, 0, 1])
    """
    a, b = as_operand(x1), as_operand(x2)
    if a.shape[axis] != 3 or b.shape[axis] != 3:
        raise ValueError(f"cross: both vectors must have 3 elements; they have {a.shape[axis]} and {b.shape[axis]}")
    return _linear_algebra.cross(a, b, axis=axis)


def diagonal(x: Any, /, *, offset: int = 0) -> CuArray:
    """The diagonals of the matrices in the last two axes, `offset` columns to the right, as a read-only view.

    >>> import cuarray as ca
    >>> ca.linalg.diagonal(ca.array([[1, 2], [3, 4]]))
    array([1, 4])
    """
    result = view_of(as_operand(x), lambda ghost: np.diagonal(ghost, offset, -2, -1))
    result._writeable = False
    return result


def trace(x: Any, /, *, offset: int = 0, dtype: Any = None) -> CuArray:
    """The sums of the diagonals of the matrices in the last two axes; see `cuarray.trace`.

    >>> import cuarray as ca
    >>> ca.linalg.trace(ca.array([[1, 2], [3, 4]]))
    array(5)
    """
    return _linear_algebra.trace(x, offset, -2, -1, dtype)
