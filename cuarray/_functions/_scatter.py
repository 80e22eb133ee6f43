"""Accumulation at index arrays: each of several equal indices counts."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray import _plan
from cuarray._array import CuArray, basic_index, view_of
from cuarray._dtypes import as_dtype
from cuarray._functions._advanced import scatter, select, target
from cuarray._functions._operation import assign, may_share
from cuarray._functions.creation import asarray
from cuarray._functions.creation import copy as copy_array
from cuarray._layout import broadcast_shapes

# Functors whose result does not depend on the order, for which GPUs have atomic operations of integers; the first five
# also where the loop is wider than the array, as its lower bits are the same.
_MODULAR = ("Add", "Subtract", "BitwiseAnd", "BitwiseOr", "BitwiseXor")
_ORDERED = ("Maximum", "Minimum")


def scatter_at(function: Any, x: CuArray, indices: Any, values: Any = None) -> None:
    """``x[indices] = function(x[indices], values)``, done once for each of several equal indices, in their order.

    function: an elementwise function of one operand, without `values`, or of two. indices: any key of `x`. The result
    is cast to the dtype of `x`, whatever it is. It is the same on every run. Integers of 4 and 8 bytes are added (and
    so on) by atomic operations on the GPU; for all else there the indices are sorted, and one thread does all of the
    values for one element.

    IndexError for bad indices: those in range may have been done. Waits for the device if there are indices in a
    CuArray.

    >>> import cuarray as ca
    >>> x = ca.zeros(3)
    >>> scatter_at(ca.add, x, [0, 2, 2], 1)
    >>> x
    array([1., 0., 2.])
    """
    ufunc = function.numpy_ufunc
    if type(x) is not CuArray:
        raise TypeError(f"{ufunc.__name__}.at: the first operand must be a CuArray, not {type(x).__name__}")
    if not x._writeable:
        raise ValueError("output array is read-only")
    if (ufunc.nin == 1) is not (values is None):
        raise ValueError(
            "second operand needed for ufunc" if ufunc.nin == 2 else "second operand provided when ufunc is unary"
        )
    if ufunc.nin > 2 or ufunc.nout != 1:
        raise ValueError("Only unary and binary ufuncs with one result have 'at'")
    own = None if values is None else asarray(values)
    operands = (x.dtype,) if own is None else (x.dtype, own.dtype)
    for dtype in operands:
        as_dtype(dtype, f"{ufunc.__name__}.at")
    loop = [as_dtype(d, ufunc.__name__) for d in ufunc.resolve_dtypes((*operands, None), casting="unsafe")]
    basic = basic_index(indices)
    if basic is not None:
        part = view_of(x, basic)
        if own is not None:
            _check_shape(own, part.shape)
        result = function(part) if own is None else function(part, own)
        assign(part, result, f"{ufunc.__name__}.at")
        return
    selection = select(x, indices)
    selection.copy_what_shares(x)
    selection.resolve()
    if own is not None:
        _check_shape(own, selection.where.result)
        if may_share(x, own):
            own = copy_array(own)
    unique = selection.only_mask is not None
    if own is None:
        update = _plan.unary_update(function.functor, x.dtype, loop)
    elif not target().one_thread_blocks and _is_atomic(function.functor, x.dtype, own.dtype, loop):
        update, unique = _plan.atomic_update(function.functor, x.dtype, own.dtype), True
    else:
        update = _plan.binary_update(function.functor, x.dtype, own.dtype, loop)
    scatter(selection, own, update, unique=unique)


def _check_shape(values: CuArray, shape: tuple[int, ...]) -> None:
    try:
        fits = broadcast_shapes(values.shape, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ValueError(f"array is not broadcastable to correct shape: {values.shape} to {shape}")


def _is_atomic(functor: str, x: np.dtype, values: np.dtype, loop: list[np.dtype]) -> bool:
    name = functor.rsplit("::", 1)[1]
    if x.kind not in "iu" or x.itemsize < 4:
        return False
    if name in _MODULAR:
        return all(d.kind in "biu" for d in (values, *loop))
    return name in _ORDERED and all(d == x for d in (values, *loop))
