"""Evenly spaced values: on a line, on a logarithmic scale, and as coordinates of grids."""

from __future__ import annotations

import math
import operator
from typing import Any, cast

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import Loop, OperandType, as_dtype, operand_type
from cuarray._functions._operation import Operation, copy_into
from cuarray._functions.creation import array, asarray, astype, check_device, copy, empty
from cuarray._functions.elementwise import floor, power, where
from cuarray._functions.manipulation import broadcast_to, expand_dims, moveaxis, reshape
from cuarray._functions.reductions import any as any_of
from cuarray._layout import broadcast_shapes


def _resolve_affine(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    own, _ = kinds
    assert isinstance(own, np.dtype)
    return Loop((own, own), own)


# out[i] = start + i * step
_affine = Operation("arange", "ca::ops::Affine", 2, _resolve_affine, position=True)


def arange(start: Any, stop: Any = None, step: Any = 1, dtype: Any = None, *, device: Any = None) -> CuArray:
    """Evenly spaced values from `start` (0 if only one is given) up to, not including, `stop`.

    ZeroDivisionError if `step` is 0, ValueError if the length is not finite.

    >>> import cuarray as ca
    >>> ca.arange(3), ca.arange(1, 2, 0.25)
    (array([0, 1, 2]), array([1.  , 1.25, 1.5 , 1.75]))
    """
    check_device(device)
    if stop is None:
        start, stop = 0, start
    step = 1 if step is None else step
    start, stop, step = (value.item() if type(value) is CuArray else value for value in (start, stop, step))
    wanted = np.result_type(start, stop, step) if dtype is None else dtype
    if all(type(value) is int for value in (start, stop, step)) and dtype is None:
        wanted = np.int64
    own = as_dtype(wanted)
    if own.kind == "b":
        return array(np.arange(start, stop, step, dtype=bool))
    if step == 0:
        raise ZeroDivisionError("arange: step must not be 0")
    distance = (stop - start) / step
    if isinstance(distance, complex | np.complexfloating):
        distance = min(distance.real, distance.imag)
    if math.isnan(distance) or math.isinf(distance):
        raise ValueError("arange: cannot compute length")
    size = max(0, math.ceil(distance))
    result = empty(size, own)
    if size:
        # NumPy computes the first two elements and goes on by their difference.
        first = own.type(start)
        second = own.type(start + step)
        with np.errstate(over="ignore"):
            _affine(first, second - first, out=result)
    return result


def linspace(
    start: Any,
    stop: Any,
    num: int = 50,
    endpoint: bool = True,
    retstep: bool = False,
    dtype: Any = None,
    axis: int = 0,
    *,
    device: Any = None,
) -> Any:
    """`num` evenly spaced values from `start` to `stop`, which is left out if `endpoint` is False.

    Where `start` or `stop` are arrays, they are broadcast and the values lie along a new axis, `axis`, of the result.
    With `retstep` the result is a tuple: the values, and the distance between them. Values of an integer dtype are
    rounded down.

    >>> import cuarray as ca
    >>> ca.linspace(0, 1, 5)
    array([0.  , 0.25, 0.5 , 0.75, 1.  ])
    >>> ca.linspace([0, 10], [1, 20], 3)
    array([[ 0. , 10. ],
           [ 0.5, 15. ],
           [ 1. , 20. ]])
    """
    check_device(device)
    num = _count(num)
    gaps = num - 1 if endpoint else num
    kinds = [operand_type(value) for value in (start, stop)]
    if None not in kinds:
        computed = as_dtype(np.result_type(start, stop, 0.0))
        with np.errstate(all="ignore"):
            delta = np.subtract(stop, start, dtype=computed)
            step = delta / gaps if gaps > 0 else np.array(np.nan, computed)[()]
        # In float16 each operation is rounded; where the step underflows, the order of operations is another.
        if computed.itemsize > 2 and (step != 0 or delta == 0):
            first = np.asarray(start).astype(computed)[()]
            result = empty(num, computed)
            if num:
                _affine(first, step if gaps > 0 else computed.type(0), out=result)
                if endpoint and num > 1:
                    result[-1] = np.asarray(stop).astype(computed)[()]
            result = _as_wanted(result, dtype)
            np.lib.array_utils.normalize_axis_index(operator.index(axis), 1)
            return (result, step) if retstep else result
    arrays = []
    for name, value in (("start", start), ("stop", stop)):
        try:
            arrays.append(asarray(value))
        except TypeError as error:
            raise TypeError(f"linspace: {name}: {error}") from None
    weak = [value if kind is not None else one.dtype for value, kind, one in zip((start, stop), kinds, arrays)]
    computed = as_dtype(np.result_type(*weak, 0.0))
    low, high = (astype(one, computed, copy=False) for one in arrays)
    span = high - low
    items = reshape(arange(num, dtype=computed), (-1, *(1,) * span.ndim))
    steps: Any = np.nan
    if gaps > 0:
        steps = span / computed.type(gaps)
        # One step of 0 changes the order of operations everywhere; nothing waits to learn whether there is one.
        result = where(any_of(steps == 0), items / computed.type(gaps) * span, items * steps)
    else:
        result = items * span
    result += low
    if endpoint and num > 1:
        result[-1, ...] = high
    result = _as_wanted(moveaxis(result, 0, axis) if axis != 0 else result, dtype)
    return (result, steps) if retstep else result


def _count(num: Any) -> int:
    try:
        num = operator.index(num)
    except TypeError:
        raise TypeError(f"num must be an integer, not {type(num).__name__}") from None
    if num < 0:
        raise ValueError(f"num must be non-negative, not {num}")
    return num


def _as_wanted(values: CuArray, dtype: Any) -> CuArray:
    if dtype is None:
        return values
    wanted = as_dtype(dtype)
    if wanted == values.dtype:
        return values
    return astype(floor(values) if wanted.kind in "iu" and values.dtype.kind == "f" else values, wanted)


def logspace(
    start: Any, stop: Any, num: int = 50, endpoint: bool = True, base: Any = 10.0, dtype: Any = None, axis: int = 0
) -> CuArray:
    """`num` values from ``base ** start`` to ``base ** stop`` whose exponents are evenly spaced; see `linspace`.

    >>> import cuarray as ca
    >>> ca.logspace(0, 2, 3)
    array([  1.,  10., 100.])
    """
    if operand_type(base) is None:
        arrays = [asarray(value) for value in (start, stop, base)]
        ndim = max(one.ndim for one in arrays)
        start, stop, base = (array(one, copy=None, ndmin=ndim) for one in arrays)
        if ndim:
            base = expand_dims(base, axis)
    values = power(base, linspace(start, stop, num, endpoint, axis=axis))
    return values if dtype is None else astype(values, dtype, copy=False)


def geomspace(start: Any, stop: Any, num: int = 50, endpoint: bool = True, dtype: Any = None, axis: int = 0) -> CuArray:
    """`num` values from `start` to `stop`, each a constant multiple of the one before; see `linspace`.

    ValueError if an end is 0: for arrays this waits for the device.

    >>> import cuarray as ca
    >>> ca.geomspace(1, 1000, 4)
    array([   1.,   10.,  100., 1000.])
    """
    # NumPy's functions give CuArrays of CuArrays, and numbers of numbers, which need no launch.
    ends = (np.asarray(one)[()] if operand_type(one) is not None else asarray(one) for one in (start, stop))
    first, last = cast(tuple[Any, Any], tuple(ends))
    if bool((first == 0).any()) or bool((last == 0).any()):
        raise ValueError("geomspace: start and stop must not be 0")
    computed = as_dtype(np.result_type(first.dtype, last.dtype, 0.0, np.dtype(dtype)))
    first, last = first.astype(computed), last.astype(computed)
    # The quotient of the ends is what counts: turned to the positive axis and back, negative numbers have logarithms.
    sign = np.sign(first)
    result = logspace(np.log10(first / sign), np.log10(last / sign), num, endpoint, dtype=computed)
    if result.shape[0] > 0:
        result[0] = first / sign
        if result.shape[0] > 1 and endpoint:
            result[-1] = last / sign
    result *= sign
    if axis != 0:
        result = moveaxis(result, 0, axis)
    return result if dtype is None else astype(result, dtype, copy=False)


# ---- coordinates


def meshgrid(*xi: Any, copy: bool = True, sparse: bool = False, indexing: str = "xy") -> tuple[CuArray, ...]:
    """The coordinates of a grid along its axes `xi`, 1-d arrays: one array of the grid's shape for each axis.

    `indexing`: "xy" has the second coordinate vary along the first axis, "ij" the first. `sparse`: extents of 1 along
    the other axes instead of the grid's. Without `copy` the results are read-only views.

    >>> import cuarray as ca
    >>> ca.meshgrid([1, 2, 3], [10, 20])[1]
    array([[10, 10, 10],
           [20, 20, 20]])
    """
    if indexing not in ("xy", "ij"):
        raise ValueError(f"indexing must be 'xy' or 'ij', not {indexing!r}")
    ndim = len(xi)
    swapped = indexing == "xy" and ndim > 1
    grids = []
    for position, values in enumerate(xi):
        along = 1 - position if swapped and position < 2 else position
        grids.append(reshape(asarray(values), tuple(-1 if axis == along else 1 for axis in range(ndim))))
    if not sparse:
        shape = broadcast_shapes(*(grid.shape for grid in grids))
        grids = [broadcast_to(grid, shape) for grid in grids]
    return tuple(_dense(grid) for grid in grids) if copy else tuple(grids)


def _dense(x: CuArray) -> CuArray:
    return copy(x, "C")


class _Grid:
    """What `mgrid` and `ogrid` are instances of."""

    def __init__(self, sparse: bool) -> None:
        self.sparse = sparse

    def __repr__(self) -> str:
        return f"<cuarray.{'ogrid' if self.sparse else 'mgrid'}>"

    def __getitem__(self, key: Any) -> Any:
        single = not isinstance(key, tuple)
        slices = (key,) if single else key
        bounds = [(0 if own.start is None else own.start, own.stop, own.step) for own in slices]
        if single and not isinstance(bounds[0][2], complex):
            return arange(*bounds[0])
        sizes, written = [], [] if single else [0]
        for start, stop, step in bounds:
            step = 1 if step is None else step
            if isinstance(step, complex):
                step = abs(step)
                sizes.append(int(step))  # a number of points
            else:
                sizes.append(math.ceil((stop - start) / step))
            written += [start, stop, step]
        # One dtype for all axes: that of everything that was written.
        dtype = np.dtype(np.result_type(*written))
        axes = []
        for size, (start, stop, step) in zip(sizes, bounds):
            step = 1 if step is None else step
            if isinstance(step, complex):
                points = int(abs(step))
                step = (stop - start) / float(points - 1) if points != 1 else 1
            axes.append(arange(size, dtype=dtype) * step + start)
        if single:
            return axes[0]
        grids = meshgrid(*axes, sparse=True, indexing="ij")
        if self.sparse:
            return grids
        result = empty((len(grids), *sizes), grids[0].dtype if grids else dtype)
        for position, grid in enumerate(grids):
            copy_into(result[position], grid)
        return result


mgrid = _Grid(sparse=False)
ogrid = _Grid(sparse=True)


def fromfunction(function: Any, shape: Any, *, dtype: Any = float, **kwargs: Any) -> Any:
    """What `function` makes of the coordinates of an array of this shape: it is called once, with an array an axis.

    >>> import cuarray as ca
    >>> ca.fromfunction(lambda i, j: 10 * i + j, (2, 3), dtype=int)
    array([[ 0,  1,  2],
           [10, 11, 12]])
    """
    from cuarray._functions.index_arrays import indices

    return function(*indices(shape, dtype=dtype), **kwargs)
