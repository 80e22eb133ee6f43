"""Functions that read and write by index arrays and masks: each is a gather, a scatter or a compaction, or a few."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._dtypes import OperandType, check_castable, operand_type, result_type
from cuarray._functions._advanced import (
    Selection,
    _Entry,
    as_values,
    check_on_cpu,
    gather,
    unravel,
    unravel_into,
)
from cuarray._functions._advanced import put as store
from cuarray._functions._compaction import compress_flat, true_positions
from cuarray._functions._operation import check_out, copy_into, copy_where, may_share
from cuarray._functions._reduction import normalize_axis
from cuarray._functions._scatter import scatter_at
from cuarray._functions.creation import _arrays_to_numpy, asarray, empty, full, zeros_like
from cuarray._functions.creation import copy as copy_array
from cuarray._functions.elementwise import clip, equal, greater_equal, less, logical_not, logical_or, remainder
from cuarray._functions.manipulation import broadcast_to, ravel
from cuarray._functions.ranges import arange
from cuarray._functions.reductions import any as any_true
from cuarray._layout import broadcast_shapes

__all__ = ["compress_flat", "scatter_at", "true_positions"]

_INT64 = np.dtype(np.int64)


def _own(x: Any, name: str) -> CuArray:
    if type(x) is not CuArray:
        raise TypeError(f"{name}: the array to change must be a CuArray, not {type(x).__name__}")
    if not x._writeable:
        raise ValueError(f"{name}: the array to change is read-only")
    return x


def _check_mode(mode: str) -> str:
    if mode not in ("raise", "wrap", "clip"):
        raise ValueError(f"clipmode must be one of 'clip', 'raise', or 'wrap' (got {mode!r})")
    return mode


def _deliver(name: str, result: CuArray, out: CuArray | None) -> CuArray:
    """The result, or `out` with it in."""
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result)
    return out


def _integers(indices: Any) -> CuArray | np.ndarray:
    """Indices as they were given to a function: integers, bool among them; TypeError for others."""
    own = indices if type(indices) is CuArray or isinstance(indices, np.ndarray) else None
    if own is None:
        if hasattr(indices, "__dlpack__") or hasattr(indices, "__cuda_array_interface__"):
            own = asarray(indices)
        else:
            own = np.asarray(_arrays_to_numpy(indices))
            if not own.size:
                own = own.astype(np.int64)
    if own.dtype.kind not in "biu":
        raise TypeError(f"Cannot cast array data from {own.dtype!r} to {_INT64!r} according to the rule 'safe'")
    return own.astype(np.int64) if own.dtype.kind == "b" or isinstance(own, np.ndarray) else own


def _along(x: CuArray, axis: int, indices: CuArray | np.ndarray, mode: str) -> Selection:
    """The elements with these indices on one axis."""
    on_device = isinstance(indices, CuArray)
    if isinstance(indices, np.ndarray) and mode == "raise":
        check_on_cpu(indices, x.shape[axis], axis)
    return Selection(x, [_Entry(asarray(indices), axis, axis, on_device)], axis)


# ---- positions of what is true


def nonzero(a: Any) -> tuple[CuArray, ...]:
    """The indices of the elements that are not zero, in C order: an int64 array for each axis.

    ValueError for 0-d arrays. Waits for the device, as the arrays' size depends on values.

    >>> import cuarray as ca
    >>> ca.nonzero(ca.array([[0, 1], [2, 0]]))
    (array([0, 1]), array([1, 0]))
    """
    x = asarray(a)
    if not x.ndim:
        raise ValueError("Calling nonzero on 0d arrays is not allowed. Use np.atleast_1d(scalar).nonzero() instead.")
    positions = true_positions(x)
    return (positions,) if x.ndim == 1 else unravel(positions, x.shape)


def flatnonzero(a: Any) -> CuArray:
    """The positions in C order of the elements that are not zero, as int64; waits for the device.

    >>> import cuarray as ca
    >>> ca.flatnonzero(ca.array([[0, 1], [2, 0]]))
    array([1, 2])
    """
    return true_positions(asarray(a))


def argwhere(a: Any) -> CuArray:
    """The indices of the elements that are not zero, a row each: int64 of shape (their number, ndim).

    Waits for the device.

    >>> import cuarray as ca
    >>> ca.argwhere(ca.array([[0, 1], [2, 0]]))
    array([[0, 1],
           [1, 0]])
    """
    x = asarray(a)
    positions = true_positions(x)
    if not x.ndim:
        return empty((positions.size, 0), np.int64)
    return unravel_into(positions, x.shape, 0).T


# ---- reading


def take(a: Any, indices: Any, axis: int | None = None, out: CuArray | None = None, mode: str = "raise") -> CuArray:
    """The elements of `a` with these indices on `axis` (None: in C order), in place of which the indices' axes stand.

    mode: what becomes of indices out of range. "raise": IndexError; waits for the device if they are in a CuArray.
    "wrap": modulo the extent. "clip": the nearest one, and there are no negative ones. TypeError if indices are no
    integers.

    >>> import cuarray as ca
    >>> ca.take(ca.array([[1, 2, 3], [4, 5, 6]]), [2, 0], axis=1)
    array([[3, 1],
           [6, 4]])
    """
    x = asarray(a)
    _check_mode(mode)
    if axis is None:
        x, axis = ravel(x), 0
    elif x.ndim == 0 and operator.index(axis) in (0, -1):
        x, axis = x.reshape(1), 0
    else:
        axis = normalize_axis(axis, x.ndim)
    own = _integers(indices)
    shape = (*x.shape[:axis], *own.shape, *x.shape[axis + 1 :])
    if 0 in (*x.shape[:axis], own.size) or (0 in shape and mode != "raise"):  # nothing is read, no index looked at
        return _deliver("take", empty(shape, x.dtype), out)
    if not x.shape[axis]:
        raise IndexError("cannot do a non-empty take from an empty axes.")
    return _deliver("take", gather(_along(x, axis, own, mode), mode), out)


def _along_all(x: CuArray, indices: Any, axis: int | None, reading: bool) -> Selection:
    own = indices if isinstance(indices, CuArray | np.ndarray) else asarray(indices)
    if own.dtype.kind not in "iu":
        raise IndexError("`indices` must be an integer array")
    if axis is None:
        if own.ndim != 1:
            raise ValueError("when axis=None, `indices` must have a single dimension.")
        x, axis = x.reshape(-1), 0
    axis = normalize_axis(axis, x.ndim)
    if own.ndim != x.ndim:
        raise ValueError("`indices` and `arr` must have the same number of dimensions")
    on_device = isinstance(own, CuArray)
    if isinstance(own, np.ndarray):
        own = own.astype(np.int64)
        check_on_cpu(own, x.shape[axis], axis)
    entries = [_Entry(asarray(own), axis, axis, on_device)]
    if reading:
        return Selection(x, entries, 0, along=True)
    for d, extent in enumerate(x.shape):
        if d != axis:
            places = arange(extent).reshape(tuple(extent if k == d else 1 for k in range(x.ndim)))
            entries.insert(d, _Entry(places, d, d, False))
    return Selection(x, entries, 0)


def take_along_axis(arr: Any, indices: Any, axis: int | None = -1) -> CuArray:
    """For each place of the other axes, the elements with their own indices on `axis`, as `argsort` gives them.

    indices: integers (IndexError), as many axes as `arr` (ValueError), the other axes as in `arr` or of extent 1.
    axis: None for `arr` in C order. IndexError if one is out of range; waits for the device if they are in a CuArray.

    >>> import cuarray as ca
    >>> ca.take_along_axis(ca.array([[10, 30, 20], [60, 40, 50]]), ca.array([[0, 2], [1, 0]]), axis=1)
    array([[10, 20],
           [40, 60]])
    """
    x = asarray(arr)
    return gather(_along_all(ravel(x) if axis is None else x, indices, axis, reading=True))


def compress(condition: Any, a: Any, axis: int | None = None, out: CuArray | None = None) -> CuArray:
    """The slices of `a` along `axis` (None: the elements in C order) where a 1-d condition is true.

    The condition may be shorter. ValueError if it is not 1-d, IndexError if it is true beyond the axis. Waits for the
    device.

    >>> import cuarray as ca
    >>> ca.compress([False, True], ca.array([[1, 2], [3, 4], [5, 6]]), axis=0)
    array([[3, 4]])
    """
    mask = asarray(condition)
    if mask.ndim != 1:
        raise ValueError("condition must be a 1-d array")
    return take(a, true_positions(mask), axis, out)


def extract(condition: Any, arr: Any) -> CuArray:
    """The elements of `arr` where `condition` is true, both in C order; waits for the device.

    >>> import cuarray as ca
    >>> x = ca.arange(6)
    >>> ca.extract(x % 2 == 0, x)
    array([0, 2, 4])
    """
    mask, x = asarray(condition), asarray(arr)
    return compress_flat(x, mask) if x.shape == mask.shape else take(ravel(x), true_positions(mask))


def choose(a: Any, choices: Any, out: CuArray | None = None, mode: str = "raise") -> CuArray:
    """At each place the element of that of the choices whose number stands in `a`; all broadcast.

    choices: a sequence of arrays, or an array whose first axis they are on. mode: as `take`, but ValueError for numbers
    out of range, which waits for the device.

    >>> import cuarray as ca
    >>> ca.choose(ca.array([0, 1, 0]), [ca.array([1, 2, 3]), -1])
    array([ 1, -1,  3])
    """
    _check_mode(mode)
    rows = [asarray(row) for row in choices]
    if not rows:
        raise ValueError("choose: there are no choices")
    numbers = asarray(a)
    if numbers.dtype.kind not in "biu":
        raise TypeError(f"Cannot cast array data from {numbers.dtype!r} to {_INT64!r} according to the rule 'safe'")
    if numbers.dtype != _INT64:
        numbers = numbers.astype(np.int64)
    count = len(rows)
    if mode == "wrap":
        numbers = remainder(numbers, count)
    elif mode == "clip":
        numbers = clip(numbers, 0, count - 1)
    else:
        runtime = _runtime.get()
        if runtime.stream in runtime.captures:
            numbers = clip(numbers, 0, count - 1)
        elif any_true(logical_or(less(numbers, 0), greater_equal(numbers, count))).item():
            raise ValueError("invalid entry in choice array")
    dtype = result_type(*(row.dtype for row in rows))
    result = empty(broadcast_shapes(numbers.shape, *(row.shape for row in rows)), dtype)
    for number, row in enumerate(rows):
        copy_where(result, row, equal(numbers, number))
    return _deliver("choose", result, out)


def select(condlist: Sequence[Any], choicelist: Sequence[Any], default: Any = 0) -> CuArray:
    """At each place the element of the choice that belongs to the first true condition, or `default`; all broadcast.

    ValueError if there are none, or not as many choices as conditions; TypeError if a condition is not bool.

    >>> import cuarray as ca
    >>> x = ca.arange(5)
    >>> ca.select([x < 2, x > 3], [-x, x * 10], 7)
    array([ 0, -1,  7,  7, 40])
    """
    if len(condlist) != len(choicelist):
        raise ValueError("list of cases must be same length as list of conditions")
    if not len(condlist):
        raise ValueError("select with an empty condition list is not possible")
    conditions = [asarray(condition) for condition in condlist]
    for number, condition in enumerate(conditions):
        if condition.dtype.kind != "b":
            raise TypeError(f"invalid entry {number} in condlist: should be boolean ndarray")
    kinds: list[OperandType] = []
    choices = []
    for choice in (*choicelist, default):
        kind = operand_type(choice) if type(choice) in (int, float, complex) else None
        choice = choice if kind is not None else asarray(choice)
        choices.append(choice)
        kinds.append(choice.dtype if kind is None else kind)
    dtype = result_type(*kinds)
    if any(kind in (int, float, complex) for kind in kinds) and all(not isinstance(kind, np.dtype) for kind in kinds):
        dtype = np.result_type(*(np.dtype(kind) for kind in kinds))
    shape = broadcast_shapes(
        *(condition.shape for condition in conditions),
        *(choice.shape for choice in choices if type(choice) is CuArray),
    )
    result = full(shape, choices[-1], dtype)
    for condition, choice in zip(reversed(conditions), reversed(choices[:-1]), strict=True):
        copy_where(result, as_values(choice, dtype, "select"), condition)
    return result


def piecewise(x: Any, condlist: Any, funclist: Sequence[Any], *args: Any, **kw: Any) -> CuArray:
    """At each place the value of the function of the last true condition, in the dtype of `x`; 0 where there is none.

    funclist: functions of an array, called with the elements where the condition is true, `args` and `kw`; or values.
    One more than conditions: the last is for where none is true. Waits for the device.

    >>> import cuarray as ca
    >>> x = ca.array([-2.0, 0.0, 3.0])
    >>> ca.piecewise(x, [x < 0, x > 0], [lambda x: -x, 10, 1])
    array([ 2.,  1., 10.])
    """
    x = asarray(x)
    arrays = (list, tuple, np.ndarray, CuArray)
    if isinstance(condlist, np.ndarray | CuArray):
        single = not condlist.ndim or (condlist.ndim == 1 and x.ndim > 0)
    else:
        single = not isinstance(condlist, arrays) or bool(condlist and not isinstance(condlist[0], arrays) and x.ndim)
    if single:
        condlist = [condlist]
    conditions = [asarray(condition, np.bool_) for condition in condlist]
    count = len(funclist)
    if len(conditions) == count - 1:
        found = conditions[0]
        for condition in conditions[1:]:
            found = logical_or(found, condition)
        conditions.append(logical_not(found))
    elif len(conditions) != count:
        raise ValueError(
            f"with {len(conditions)} condition(s), either {len(conditions)} or {len(conditions) + 1} functions are "
            "expected"
        )
    result = zeros_like(x)
    for condition, function in zip(conditions, funclist, strict=True):
        if not callable(function):
            result[condition] = function
        else:
            values = x[condition]
            if values.size:
                result[condition] = function(values, *args, **kw)
    return result


# ---- writing


def _repeated(values: CuArray, count: int) -> CuArray:
    """The first `count` of the values in C order, which begin again where they end."""
    flat = ravel(values)
    if flat.size == 1:
        return broadcast_to(flat, (count,))
    if flat.size >= count:
        return flat[:count]
    return gather(_along(flat, 0, arange(count), "wrap"), "wrap")


def put(a: CuArray, ind: Any, v: Any, mode: str = "raise") -> None:
    """Set the elements at positions in C order; values are repeated as needed, the last of equal positions counts.

    mode: as `take`. IndexError for positions out of range: those in range may have been set. Waits for the device if
    they are in a CuArray.

    >>> import cuarray as ca
    >>> x = ca.zeros((2, 2))
    >>> ca.put(x, [0, -1], [1, 2])
    >>> x
    array([[1., 0.],
           [0., 2.]])
    """
    x = _own(a, "put")
    _check_mode(mode)
    positions = _integers(ind).reshape(-1)
    values = as_values(v, x.dtype, "put")
    if not positions.size or not values.size:
        return
    if not x.size:
        raise IndexError("cannot replace elements of an empty array")
    flat = ravel(x)
    values = _repeated(values, positions.size)
    store(_along(flat, 0, positions, mode), copy_array(values) if may_share(flat, values) else values, mode=mode)
    if not x._layout.c_contiguous:
        copy_into(x, flat.reshape(x.shape))


def put_along_axis(arr: CuArray, indices: Any, values: Any, axis: int | None) -> None:
    """For each place of the other axes, set the elements with their own indices on `axis`; see `take_along_axis`.

    values: broadcast to the indices. IndexError if one is out of range: those in range may have been set.

    >>> import cuarray as ca
    >>> x = ca.zeros((2, 3))
    >>> ca.put_along_axis(x, ca.array([[2], [0]]), 7, axis=1)
    >>> x
    array([[0., 0., 7.],
           [7., 0., 0.]])
    """
    x = _own(arr, "put_along_axis")
    own = as_values(values, x.dtype, "put_along_axis")
    flat = ravel(x) if axis is None else x
    store(_along_all(flat, indices, axis, reading=False), copy_array(own) if may_share(x, own) else own)
    if axis is None and not x._layout.c_contiguous:
        copy_into(x, flat.reshape(x.shape))


def place(arr: CuArray, mask: Any, vals: Any) -> None:
    """Set the elements where a mask of the same size is true to `vals` in order, which are repeated as needed.

    ValueError if there are no values, or the sizes differ. Waits for the device.

    >>> import cuarray as ca
    >>> x = ca.arange(5)
    >>> ca.place(x, x > 1, [7, 8])
    >>> x
    array([0, 1, 7, 8, 7])
    """
    x = _own(arr, "place")
    chosen, values = asarray(mask), as_values(vals, x.dtype, "place")
    if chosen.size != x.size:
        raise ValueError("place: mask and data must be the same size")
    positions = true_positions(chosen)
    if not positions.size:
        return
    if not values.size:
        raise ValueError("Cannot insert from an empty array!")
    values = _repeated(values, positions.size)
    flat = ravel(x)
    selection = Selection(flat, [_Entry(positions, 0, 0, False)], 0)
    store(selection, copy_array(values) if may_share(flat, values) else values, unique=True)
    if not x._layout.c_contiguous:
        copy_into(x, flat.reshape(x.shape))


def putmask(a: CuArray, mask: Any, values: Any) -> None:
    """Set the elements where a mask of the same shape is true to those in their places of `values`.

    Values that are fewer are repeated, in C order, before those are chosen. ValueError if the mask has another size.

    >>> import cuarray as ca
    >>> x = ca.arange(5)
    >>> ca.putmask(x, x > 1, [-1, -2])
    >>> x
    array([ 0,  1, -1, -2, -1])
    """
    x = _own(a, "putmask")
    chosen, own = asarray(mask), as_values(values, x.dtype, "putmask")
    if chosen.size != x.size:
        raise ValueError("putmask: mask and data must be the same size")
    if not own.size or not x.size:
        return
    own = own.reshape(()) if own.size == 1 else _repeated(own, x.size).reshape(x.shape)
    _write_where(x, own, chosen.reshape(x.shape))


def copy_into_where(dst: CuArray, src: Any, casting: str, where: Any) -> None:
    """What `copyto` does where it has a mask."""
    x = _own(dst, "copyto")
    own = as_values(src, x.dtype, "copyto") if operand_type(src) is not None else asarray(src)
    check_castable(own.dtype, x.dtype, casting, "copyto: src")
    chosen = asarray(where)
    check_castable(chosen.dtype, np.dtype(bool), "safe", "copyto: where")
    for name, part in (("src", own), ("where", chosen)):
        try:
            fits = broadcast_shapes(part.shape, x.shape) == x.shape
        except ValueError:
            fits = False
        if not fits:
            raise ValueError(f"copyto: could not broadcast {name} of shape {part.shape} into shape {x.shape}")
    _write_where(x, own, chosen)


def _write_where(x: CuArray, values: CuArray, mask: CuArray) -> None:
    copy_where(x, values, mask if mask.dtype.kind == "b" else mask.astype(np.bool_))


def fill_diagonal(a: CuArray, val: Any, wrap: bool = False) -> None:
    """Set the elements whose indices are all equal to a scalar, or to values in order, repeated as needed.

    a: at least 2-d, and with more axes all extents equal (ValueError). wrap: whether the diagonal of a tall matrix
    begins again, a row below, where it ends.

    >>> import cuarray as ca
    >>> x = ca.zeros((2, 3), "int64")
    >>> ca.fill_diagonal(x, [1, 2])
    >>> x
    array([[1, 0, 0],
           [0, 2, 0]])
    """
    x = _own(a, "fill_diagonal")
    if x.ndim < 2:
        raise ValueError("array must be at least 2-d")
    if x.ndim > 2 and len(set(x.shape)) > 1:
        raise ValueError("All dimensions of input must be of equal length")
    values = as_values(val, x.dtype, "fill_diagonal")
    if not values.size:
        raise ValueError("fill_diagonal: there are no values")
    if wrap and x.ndim == 2 and x.shape[0] > x.shape[1]:
        columns = x.shape[1]
        places = arange(0, x.size, columns + 1)
        parts = [places // columns, places % columns] if x.size else [places, places]
    else:
        parts = [arange(min(x.shape))] * x.ndim
    count = parts[0].size
    values = _repeated(values, count)
    selection = Selection(x, [_Entry(part, axis, axis, False) for axis, part in enumerate(parts)], 0)
    store(selection, copy_array(values) if may_share(x, values) else values, unique=True)
