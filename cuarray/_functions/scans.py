"""Scans along an axis: cumulative sums and products, and those of any binary function; reductions of runs."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from cuarray import _fast_calls, _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import as_dtype, is_same, resolve_reduction
from cuarray._fast_calls import OUTPUT, SCRATCH, Remembered, Word
from cuarray._functions._operation import check_out, copy_into, new_like, partly_overlap
from cuarray._functions._reduction import fold, normalize_axis, reorderable
from cuarray._functions.creation import asarray, ascontiguousarray, astype
from cuarray._functions.elementwise import add, multiply
from cuarray._functions.manipulation import ravel
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout
from cuarray._table import Reduction


@functools.lru_cache(maxsize=4096)
def _prepare_scan(
    row: Reduction, arguments: tuple[str, ...], in_order: bool, source: Layout, out: Layout, axis: int, loop: np.dtype
) -> tuple[tuple[Prepared, ...], int]:
    plan = _plan.scan(
        _runtime.get().target,
        row.functor,
        row.accumulator_bytes,
        source,
        out,
        axis,
        loop,
        arguments=arguments,
        in_order=in_order,
    )
    return tuple(Prepared(stage) for stage in plan.stages), plan.scratch_bytes


def _scan(
    name: str, row: Reduction, arguments: tuple[str, ...], in_order: bool, source: CuArray, axis: int, loop: np.dtype,
    out: CuArray | None,
) -> CuArray:  # fmt: skip
    """Scan along `axis` into `out`, or a new array whose axes stand in memory as the source's do."""
    wanted = None
    if out is not None:
        check_out(name, out)
        if out.shape != source.shape:
            raise ValueError(f"{name}: out has shape {out.shape}; the result has {source.shape}")
        if not is_same(out.dtype, loop) or partly_overlap(out, source):
            wanted, out = out, None
    if out is None:
        out = new_like(source, loop)
    if out.size:
        prepared, scratch_bytes = _prepare_scan(row, arguments, in_order, source._layout, out._layout, axis, loop)
        scratch = _runtime.get().allocate_scratch(scratch_bytes)
        for stage in prepared:
            stage.launch(out._pointer, source._pointer, scratch.pointer)
    if wanted is not None:
        copy_into(wanted, out)
        return wanted
    return out


def _one_axis(name: str, axis: Any, ndim: int) -> int:
    if axis is None:
        axis = tuple(range(ndim))
    if isinstance(axis, tuple):
        if len(axis) != 1:
            raise ValueError(f"{name} does not allow multiple axes")
        (axis,) = axis
    return normalize_axis(axis, ndim)


def ufunc_accumulate(function: Any, x: Any, axis: Any = 0, dtype: Any = None, out: CuArray | None = None) -> CuArray:
    """The results of `function` over the items up to each one along `axis`: `numpy.ufunc.accumulate`.

    `function` is as in `ufunc_reduce`. A function that is not associative is computed in order, by one thread a row.
    """
    name = f"{function.__name__}.accumulate"
    source = asarray(x)
    loop = resolve_reduction(function.numpy_ufunc, source.dtype, None if dtype is None else as_dtype(dtype))
    if source.ndim == 0:
        raise TypeError(f"{name}: cannot accumulate on a scalar")
    number = _one_axis(name, axis, source.ndim)
    in_order = not reorderable(function.numpy_ufunc, loop)
    row, arguments = fold(function.__name__, function.functor, in_order)
    return _scan(name, row, arguments, in_order, source, number, loop, _single(out))


def _single(out: Any) -> Any:
    return out[0] if isinstance(out, tuple) else out


@functools.lru_cache(maxsize=4096)
def _prepare_reduce_at(
    row: Reduction, arguments: tuple[str, ...], in_order: bool, source: Layout, out: Layout, axis: int, loop: np.dtype
) -> Prepared:
    target = _runtime.get().target
    return Prepared(
        _plan.reduce_at(target, row.functor, source, out, axis, loop, arguments=arguments, in_order=in_order)
    )


def ufunc_reduceat(
    function: Any, x: Any, indices: Any, axis: Any = 0, dtype: Any = None, out: CuArray | None = None
) -> CuArray:
    """Reductions of the runs `x[indices[k]:indices[k + 1]]` along `axis`: `numpy.ufunc.reduceat`.

    The last run goes to the end; one that would be empty is the item at its index. `function` is as in `ufunc_reduce`.
    IndexError for an index outside of the axis; the bounds of an array of indices on the device are looked at, which
    waits for them.
    """
    name = f"{function.__name__}.reduceat"
    source = asarray(x)
    loop = resolve_reduction(function.numpy_ufunc, source.dtype, None if dtype is None else as_dtype(dtype))
    if source.ndim == 0:
        raise TypeError(f"{name}: cannot reduceat on a scalar")
    number = _one_axis(name, axis, source.ndim)
    where = indices if isinstance(indices, CuArray) else np.asarray(indices, np.intp)
    if where.ndim != 1:
        raise ValueError(f"{name}: indices must have one axis, they have {where.ndim}")
    length = source.shape[number]
    if where.size:
        low, high = int(where.min()), int(where.max())
        if low < 0 or high >= length:
            bad = low if low < 0 else high
            raise IndexError(f"index {bad} out-of-bounds in {name} [0, {length})")
    starts = ascontiguousarray(astype(asarray(where), np.int64, copy=False))
    shape = (*source.shape[:number], where.size, *source.shape[number + 1 :])
    result = allocate(layout(loop, shape))
    if result.size:
        in_order = not reorderable(function.numpy_ufunc, loop)
        row, arguments = fold(function.__name__, function.functor, in_order)
        prepared = _prepare_reduce_at(row, arguments, in_order, source._layout, result._layout, number, loop)
        prepared.launch(result._pointer, source._pointer, starts._pointer)
    out = _single(out)
    if out is None:
        return result
    check_out(name, out)
    if out.shape != shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {shape}")
    copy_into(out, result)
    return out


_OF = {"Sum": add, "NanSum": add, "Prod": multiply, "NanProd": multiply}  # functors, and what they accumulate by


def _cumulative(functor: str, x: Any, axis: Any, dtype: Any, out: CuArray | None) -> CuArray:
    if out is None:
        return _cumulated(functor, x, axis, dtype)
    source, number, loop, row = _cumulation(functor, x, axis, dtype)
    return _scan(functor, row, (), False, source, number, loop, out)


def _cumulation(functor: str, x: Any, axis: Any, dtype: Any) -> tuple[CuArray, int, np.dtype, Reduction]:
    source = asarray(x)
    if axis is None:
        source, axis = ravel(source), 0
    elif source.ndim == 0:
        normalize_axis(axis, 1)
        source = source.reshape(1)
    loop = resolve_reduction(_OF[functor].numpy_ufunc, source.dtype, None if dtype is None else as_dtype(dtype))
    return source, normalize_axis(axis, source.ndim), loop, Reduction(functor, "same", "loop", 32)


class _Cumulated(Remembered):
    """A cumulation as a new array."""

    def _call(self, functor: str, x: Any, axis: Any, dtype: Any) -> CuArray:
        source, number, loop, row = _cumulation(functor, x, axis, dtype)
        result = _scan(functor, row, (), False, source, number, loop, None)
        if type(x) is CuArray and source._pointer == x._pointer and result.size:  # not a copy, which ravel may make
            prepared, scratch = _prepare_scan(row, (), False, source._layout, result._layout, number, loop)
            head = [OUTPUT, Word("address", 1), SCRATCH]
            _fast_calls.remember(
                self,
                (functor, x, axis, dtype),
                (),
                result._layout,
                [(stage, head) for stage in prepared],
                scratch_bytes=scratch,
            )
        return result


_cumulated = _Cumulated()


def cumsum(a: Any, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
    """Sums of the elements up to each one along `axis`; of all elements in C order if it is None.

    Integers and bool are summed in 64 bits, or in `dtype`; float32 in float64, each sum rounded once. The same bits on
    every run.

    >>> import cuarray as ca
    >>> ca.cumsum(ca.array([[1, 2], [3, 4]]), axis=0)
    array([[1, 2],
           [4, 6]])
    """
    return _cumulative("Sum", a, axis, dtype, out)


def cumprod(a: Any, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
    """Products of the elements up to each one along `axis`; of all elements in C order if it is None.

    >>> import cuarray as ca
    >>> ca.cumprod(ca.array([1, 2, 3, 4]))
    array([ 1,  2,  6, 24])
    """
    return _cumulative("Prod", a, axis, dtype, out)


def nancumsum(a: Any, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
    """`cumsum` with NaN taken as 0.

    >>> import cuarray as ca
    >>> ca.nancumsum(ca.array([1.0, float("nan"), 2.0]))
    array([1., 1., 3.])
    """
    return _cumulative("NanSum", a, axis, dtype, out)


def nancumprod(a: Any, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
    """`cumprod` with NaN taken as 1.

    >>> import cuarray as ca
    >>> ca.nancumprod(ca.array([2.0, float("nan"), 3.0]))
    array([2., 2., 6.])
    """
    return _cumulative("NanProd", a, axis, dtype, out)


def _cumulative_with_initial(
    name: str, functor: str, x: Any, axis: Any, dtype: Any, out: Any, include_initial: bool
) -> CuArray:
    source = asarray(x)
    if source.ndim == 0:
        source = source.reshape(1)
    if axis is None:
        if source.ndim != 1:
            raise ValueError(f"{name}: axis is required for an array of more than one dimension")
        axis = 0
    number = normalize_axis(axis, source.ndim)
    if not include_initial:
        return _cumulative(functor, source, number, dtype, out)
    function = _OF[functor]
    shape = tuple(extent + (d == number) for d, extent in enumerate(source.shape))
    if out is None:
        loop = resolve_reduction(function.numpy_ufunc, source.dtype, None if dtype is None else as_dtype(dtype))
        out = allocate(layout(loop, shape))
    elif check_out(name, out).shape != shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {shape}")
    before = (slice(None),) * number
    _cumulative(functor, source, number, dtype, out[(*before, slice(1, None))])
    out[(*before, slice(0, 1))] = function.numpy_ufunc.identity
    return out


def cumulative_sum(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: CuArray | None = None, include_initial: bool = False
) -> CuArray:
    """Sums of the elements up to each one along `axis`, which only a 1-d array need not name (the array API's cumsum).

    `include_initial`: 0 comes first, so that the result has one element more along `axis`.

    >>> import cuarray as ca
    >>> ca.cumulative_sum(ca.array([1, 2, 3]), include_initial=True)
    array([0, 1, 3, 6])
    """
    return _cumulative_with_initial("cumulative_sum", "Sum", x, axis, dtype, out, include_initial)


def cumulative_prod(
    x: Any, /, *, axis: int | None = None, dtype: Any = None, out: CuArray | None = None, include_initial: bool = False
) -> CuArray:
    """Products of the elements up to each one along `axis`, which only a 1-d array need not name.

    `include_initial`: 1 comes first, so that the result has one element more along `axis`.

    >>> import cuarray as ca
    >>> ca.cumulative_prod(ca.array([2, 3, 4]), include_initial=True)
    array([ 1,  2,  6, 24])
    """
    return _cumulative_with_initial("cumulative_prod", "Prod", x, axis, dtype, out, include_initial)
