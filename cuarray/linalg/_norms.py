"""Norms of vectors and matrices, and what follows from singular values: condition and rank."""

from __future__ import annotations

import math
import operator
from typing import Any

import numpy as np
from numpy.linalg import LinAlgError

from cuarray._array import CuArray, view_of
from cuarray._functions._operation import as_operand
from cuarray._functions.creation import astype
from cuarray._functions.elementwise import (
    absolute,
    divide,
    isnan,
    logical_and,
    logical_not,
    multiply,
    not_equal,
    power,
    sqrt,
    where,
)
from cuarray._functions.matrices import eye
from cuarray._functions.reductions import any as any_of
from cuarray._functions.reductions import count_nonzero
from cuarray._functions.reductions import max as max_of
from cuarray._functions.reductions import min as min_of
from cuarray._functions.reductions import sum as sum_of
from cuarray.linalg._decompositions import svd, svdvals
from cuarray.linalg._operands import matrices, reshaped, squares
from cuarray.linalg._solutions import cutoff, inv, slogdet


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
            return sqrt(sum_of(squares(array), keepdims=keepdims))
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
        result = reshaped(result, tuple(1 if k in (row, column) else n for k, n in enumerate(array.shape)))
    return result


def _vector_norm(x: CuArray, ord: Any, axis: int, keepdims: bool) -> CuArray:
    if isinstance(ord, str):
        raise ValueError(f"norm: Invalid norm order '{ord}' for vectors")
    if ord is None or ord == 2:
        return sqrt(sum_of(squares(x), axis=axis, keepdims=keepdims))
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
        return sqrt(sum_of(squares(x), axis=(-2, -1)))
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
        result = reshaped(result, tuple(1 if k in axes else n for k, n in enumerate(array.shape)))
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
        array, dtype = matrices("cond", array, square=True)
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
        limit: Any = cutoff(array.shape, s, rtol)
    else:
        limit = tol if isinstance(tol, int | float) else as_operand(tol)[..., None]
    return count_nonzero(s > limit, axis=-1)
