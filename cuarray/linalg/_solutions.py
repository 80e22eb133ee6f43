"""Determinants, and solutions of linear equations."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numpy.linalg import LinAlgError

from cuarray import _runtime
from cuarray._array import CuArray, view_of
from cuarray._functions._operation import as_operand
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import astype, empty
from cuarray._functions.elementwise import (
    absolute,
    divide,
    equal,
    exp,
    log,
    multiply,
    not_equal,
    subtract,
    where,
)
from cuarray._functions.manipulation import broadcast_to, ravel
from cuarray._functions.matrices import eye
from cuarray._functions.products import matmul
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import count_nonzero
from cuarray._functions.reductions import max as max_of
from cuarray._functions.reductions import sum as sum_of
from cuarray._layout import broadcast_shapes
from cuarray.linalg._decompositions import svd
from cuarray.linalg._operands import (
    adjoint,
    backend_library,
    diagonal_of,
    dtype_of,
    empty_case,
    given,
    matrices,
    packed,
    real_dtype,
    reshaped,
    squares,
    taken,
    viewed,
)

_NOT_GIVEN: Any = object()


class SlogdetResult(NamedTuple):
    """The sign of a determinant, and the natural logarithm of its magnitude."""

    sign: CuArray
    logabsdet: CuArray


def slogdet(a: Any) -> SlogdetResult:
    """The signs of determinants (of complex matrices a number of magnitude 1), and the logarithms of their magnitudes.

    A singular matrix has the sign 0 and the logarithm -inf.

    >>> import cuarray as ca
    >>> sign, logabsdet = ca.linalg.slogdet(ca.array([[0.0, 1.0], [1.0, 0.0]]))
    >>> sign, logabsdet
    (array(-1.), array(0.))
    """
    x, dtype = matrices("slogdet", a, square=True)
    if not x.size:
        return SlogdetResult(*empty_case(np.linalg.slogdet, np.empty(x.shape, dtype)))
    library = backend_library()
    if isinstance(library, _runtime.Results):
        return SlogdetResult(*(taken(part) for part in library.slogdet(given(x, dtype))))
    factors, pivots = (viewed(part) for part in library.lu(given(x, dtype)))
    diagonal = diagonal_of(factors)
    magnitudes = absolute(diagonal)
    # The sign of a zero is zero, where 0/0 would be NaN.
    signs = divide(diagonal, where(equal(magnitudes, 0), 1, magnitudes))
    # Each exchange of two rows changes the determinant's sign.
    exchanges = count_nonzero(not_equal(pivots, arange(1, x.shape[-1] + 1)), axis=-1)
    parity = astype(1 - 2 * (exchanges % 2), real_dtype(dtype))
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
    return viewed(backend_library().solve(given(left, dtype), given(right, dtype)))


def solve(a: Any, b: Any) -> CuArray:
    """The x with a @ x = b. `b` is a vector if it is 1-d, else matrices whose columns are the right sides.

    Stacks broadcast. LinAlgError if a matrix is singular.

    >>> import cuarray as ca
    >>> ca.linalg.solve(ca.array([[2.0, 0.0], [0.0, 4.0]]), ca.array([2.0, 2.0]))
    array([1. , 0.5])
    """
    x, _ = matrices("solve", a, square=True)
    y = as_operand(b)
    dtype = dtype_of("solve", x, y)
    if y.ndim == 0:
        raise ValueError("solve: b must have at least 1 dimension, it has 0")
    column = y.ndim == 1
    if column:
        y = y[:, None]
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(f"solve: matrices of {x.shape[-2:]} and right sides of {y.shape[-2]} elements do not match")
    result = packed(_solve("solve", x, y, dtype))
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
    x, dtype = matrices("inv", a, square=True)
    unit = eye(x.shape[-1], dtype=dtype)
    if backend_library().column_major:  # the inverse of the transpose, by columns, is the inverse by rows
        return packed(_solve("inv", x.mT, unit, dtype).mT)
    return packed(_solve("inv", x, unit, dtype))


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
    x, dtype = matrices("pinv", a)
    if not x.size:  # NumPy keeps integers if the matrices are empty, not if there are none
        own = dtype if math.prod(x.shape[-2:]) else x.dtype
        return empty((*x.shape[:-2], x.shape[-1], x.shape[-2]), own)
    cut = (1e-15 if rcond is None else rcond) if rtol is _NOT_GIVEN else rtol
    u, s, vh = svd(x, full_matrices=False, hermitian=hermitian)
    large = s > cutoff(x.shape, s, cut)
    inverses = where(large, divide(1, where(large, s, 1)), 0)
    return matmul(multiply(adjoint(vh), inverses[..., None, :]), adjoint(u))


def cutoff(shape: tuple[int, ...], s: CuArray, relative: Any) -> CuArray:
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
    dtype = dtype_of("lstsq", x, y)
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
        s = empty(0, real_dtype(dtype))
        rank = count_nonzero(s)
        solution = empty((n, y.shape[1]), dtype)
        solution[...] = 0
    else:
        u, s, vh = svd(x, full_matrices=False)
        if rcond is not None and rcond < 0:
            rcond = float(np.finfo(s.dtype).eps)
        large = s > cutoff(x.shape, s, rcond)
        rank = count_nonzero(large)
        inverses = where(large, divide(1, where(large, s, 1)), 0)
        solution = matmul(adjoint(vh), multiply(inverses[:, None], matmul(adjoint(u), y)))
    residuals = empty(0, real_dtype(dtype))
    if m > n and int(rank) == n:
        residuals = sum_of(squares(subtract(y, matmul(x, solution))), axis=0)
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
    return reshaped(solve(x.reshape(size, size), ravel(y)), shape)


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
    return reshaped(inv(x.reshape(math.prod(x.shape[:ind]), size)), x.shape[ind:] + x.shape[:ind])
