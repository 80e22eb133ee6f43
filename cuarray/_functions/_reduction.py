"""How every reduction is called: what is particular to each stands in its row of the table."""

from __future__ import annotations

import contextlib
import functools
import operator
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cuarray import _families, _fast_calls, _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import as_dtype, as_scalar, check_castable, pack_scalar, resolve_reduction
from cuarray._fast_calls import NOTHING, OUTPUT, SCRATCH, Remembered, Word
from cuarray._functions._operation import check_out, copy_into
from cuarray._functions.creation import asarray, ascontiguousarray, astype
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout
from cuarray._table import REDUCTIONS, Reduction
from cuarray._tuning import Target


class _Call:
    """A reduction made ready for one layout, set of axes and mask."""

    __slots__ = ("keep_layout", "out_layout", "prepared", "scratch_bytes")

    def __init__(
        self,
        out_layout: Layout,
        keep_layout: Layout,
        prepared: tuple[Prepared, ...],
        scratch_bytes: int,
    ) -> None:
        self.out_layout = out_layout
        self.keep_layout = keep_layout  # with extents of 1 where axes were reduced
        self.prepared = prepared
        self.scratch_bytes = scratch_bytes

    def run(self, source: CuArray, mask: CuArray | None, given: tuple[int, int], centre: CuArray | None) -> CuArray:
        """Launch, writing into a new C-contiguous array."""
        runtime = _runtime.get()
        out = allocate(self.out_layout)
        scratch = runtime.allocate_scratch(self.scratch_bytes)
        for prepared in self.prepared:
            prepared.launch(
                out._pointer,
                source._pointer,
                scratch.pointer,
                0 if mask is None else mask._pointer,
                *given,
                0 if centre is None else centre._pointer,
            )
        return out


def _real(dtype: np.dtype) -> np.dtype:
    return np.dtype(f"f{dtype.itemsize // 2}") if dtype.kind == "c" else dtype


def _loop_dtypes(name: str, source: np.dtype, dtype: np.dtype | None) -> tuple[np.dtype, np.dtype]:
    """The dtype a reduction computes in, and that of its result."""
    row = REDUCTIONS[name]
    if row.result == "bool":
        return source, np.dtype(bool)
    if row.result == "index":
        return source, np.dtype(np.int64)
    if dtype is not None:
        loop = dtype
    elif row.loop == "sum" and source.kind in "biu" and source.itemsize < 8:
        loop = np.dtype(np.uint64 if source.kind == "u" else np.int64)
    elif row.loop == "float" and source.kind in "biu":
        loop = np.dtype(np.float64)
    else:
        loop = source
    # A variance is real, unless `dtype` says otherwise.
    return loop, _real(loop) if row.result == "real" and dtype is None else loop


def dtype_of_result(name: str, source: np.dtype, dtype: np.dtype | None) -> np.dtype:
    """The dtype of a reduction of an array of `source`; TypeError where it cannot be computed with."""
    return _loop_dtypes(name, as_dtype(source, name), dtype)[1]


def normalize_axes(axis: Any, ndim: int) -> tuple[int, ...]:
    """`axis` (None for all) as a sorted tuple of distinct axes; AxisError or ValueError where it is none."""
    if axis is None:
        return tuple(range(ndim))
    if ndim == 0 and not isinstance(axis, tuple | list) and operator.index(axis) in (0, -1):
        return ()  # NumPy lets a 0-d array have one axis here
    axes = tuple(axis) if isinstance(axis, tuple | list) else (axis,)
    normal = []
    for one in axes:
        number = operator.index(one)
        if not -ndim <= number < ndim:
            raise np.exceptions.AxisError(number, ndim)
        normal.append(number % ndim)
    if len(set(normal)) < len(normal):
        raise ValueError("duplicate value in 'axis'")
    return tuple(sorted(normal))


def normalize_axis(axis: Any, ndim: int) -> int:
    """`axis` as a number from 0 on; TypeError if it is no integer, AxisError if there is no such axis."""
    number = operator.index(axis)
    if not -ndim <= number < ndim:
        raise np.exceptions.AxisError(number, ndim)
    return number % ndim


class _Wanted(NamedTuple):
    """What a reduction's launches depend on."""

    row: Reduction
    source: Layout
    axes: tuple[int, ...]
    loop: np.dtype
    result: np.dtype
    mask: Layout | None = None
    initial: bool = False
    arguments: tuple[str, ...] = ()
    in_order: bool = False

    def plan(self, target: Target) -> _plan.ReducePlan:
        row, axes = self.row, self.axes
        if row.result != "index":  # a place is counted in C order; all else may go through memory as it stands
            axes = tuple(sorted(axes, key=lambda axis: -abs(self.source.strides[axis])))
        return _plan.reduction(
            target,
            row.masked if self.mask and row.masked else row.functor,
            row.accumulator_bytes,
            self.source,
            axes,
            self.loop,
            self.result,
            arguments=self.arguments,
            mask=self.mask,
            initial=self.initial,
            in_order=self.in_order,
        )


@functools.lru_cache(maxsize=4096)
def _prepare(wanted: _Wanted, family: str = "") -> _Call:
    """`family`: the name of the row, where only the dtype of what is reduced decides on its `loop` and `result`."""
    source, axes = wanted.source, wanted.axes
    shape = tuple(extent for axis, extent in enumerate(source.shape) if axis not in axes)
    kept = tuple(1 if axis in axes else extent for axis, extent in enumerate(source.shape))
    out = layout(wanted.result, shape)
    prepared: tuple[Prepared, ...] = ()
    scratch = 0
    if out.size:
        target = _runtime.get().target
        plan = wanted.plan(target)

        def siblings() -> Iterator[_plan.Plan]:
            for there in _families.other_dtypes([source]):
                assert isinstance(there[0], Layout)
                with contextlib.suppress(TypeError, ValueError):
                    yield from plans(target, family, there[0], axes, wanted.initial)

        likely = siblings if family and not wanted.mask else None
        prepared = tuple(Prepared(launch, likely) for launch in plan.launches)
        scratch = plan.scratch_bytes
    return _Call(out, layout(wanted.result, kept), prepared, scratch)


def plans(
    target: Target, name: str, source: Layout, axes: tuple[int, ...], initial: bool = False
) -> Iterator[_plan.Plan]:
    """The launches of a row of the table, without a mask, for any target: no device is needed."""
    loop, result = _loop_dtypes(name, source.dtype, None)
    row = REDUCTIONS[name]
    wanted = [(row, result)]
    if row.centre is not None and loop.kind in "biu":
        wanted = [(row.about_centres(), result), (REDUCTIONS[row.centre], _centre_dtype(loop))]
    for own, dtype in wanted:
        yield from _Wanted(own, source, axes, loop, dtype, initial=initial).plan(target).launches


def _as_mask(name: str, where: Any, source: CuArray) -> CuArray | None:
    """`where` as an array of bool that broadcasts to `source`; None where it is True."""
    if where is True:
        return None
    mask = asarray(where) if isinstance(where, CuArray | np.ndarray) else asarray(where, bool)
    if mask.dtype != bool:
        raise TypeError(f"{name}: where must have dtype bool, not {mask.dtype}")
    if mask.ndim > source.ndim or broadcast_shapes(mask.shape, source.shape) != source.shape:
        raise ValueError(f"{name}: where has shape {mask.shape}, which does not broadcast to {source.shape}")
    return mask


def _bits(value: Any, dtype: np.dtype) -> tuple[int, int]:
    if isinstance(value, CuArray):
        value = value.item() if not value.ndim else np.asarray(value)
    return pack_scalar(dtype)(as_scalar(value, dtype))


def _deliver(name: str, result: CuArray, kept: tuple[int, ...], out: Any, keepdims: bool) -> CuArray:
    """The result, with extents of 1 for the reduced axes if asked for, in `out` if that is given."""
    if isinstance(out, tuple):
        (out,) = out
    if keepdims and result.shape != kept:
        result = view_of(result, lambda ghost: ghost.reshape(kept))
        result._base = None
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result)  # whatever its dtype, as NumPy
    return out


def _check_not_empty(name: str, shape: tuple[int, ...], axes: tuple[int, ...]) -> None:
    if not REDUCTIONS[name].empty and any(shape[axis] == 0 for axis in axes):
        raise ValueError(f"{name}: zero-size array to reduction operation {name} which has no identity")


def find(name: str, source: Layout, axis: Any, dtype: np.dtype | None) -> _Call:
    """What a row of the table comes to, without a mask, an initial value or a centre."""
    axes = normalize_axes(axis, source.ndim)
    _check_not_empty(name, source.shape, axes)
    return _prepare(_Wanted(REDUCTIONS[name], source, axes, *_loop_dtypes(name, source.dtype, dtype)))


def _reduce(
    name: str,
    x: Any,
    axis: Any,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
    less: float = 0,
    centre: CuArray | None = None,
) -> tuple[CuArray, _Call, tuple[int, int] | None]:
    """A row of the table, called: the result, what was called for it, and the words that it was given.

    There are none if it was given other arrays or values besides.

    `less` is subtracted from the count of a variance. `centre`, of the shape that keepdims gives, is what its
    distances are taken from; by default the mean, which is found in the same pass but where integers round it.
    """
    source = asarray(x)
    row = REDUCTIONS[name]
    if row.one_axis and axis is not None:
        axis = operator.index(axis)
    axes = normalize_axes(axis, source.ndim)
    mask = _as_mask(name, where, source)
    if not row.empty and initial is None:
        if mask is not None:
            raise ValueError(
                f"{name}: reduction operation {name} does not have an identity, "
                "so to use a where mask one has to specify 'initial'"
            )
        _check_not_empty(name, source.shape, axes)
    if row.result == "index" and out is not None:
        check_out(name, out)
        check_castable(out.dtype, np.dtype(np.int64), "safe", f"{name}: out")
    loop, result_dtype = _loop_dtypes(name, as_dtype(source.dtype, name), None if dtype is None else as_dtype(dtype))
    given = (0, 0)
    centred = row.centre is not None and (centre is not None or loop.kind in "biu")
    if row.centre is not None and centred:
        centre = _centres(row.centre, source, axes, loop, mask, centre)
    if row.centre is not None:
        if isinstance(less, str | bytes):
            raise TypeError(f"{name}: ddof must be a number, not {less!r}")
        given = struct.unpack("q", struct.pack("d", float(less)))[0], 0
    elif initial is not None:
        given = _bits(initial, loop)
    wanted = _Wanted(
        row.about_centres() if centred else row,
        source._layout,
        axes,
        loop,
        result_dtype,
        None if mask is None else mask._layout,
        initial is not None,
    )
    call = _prepare(wanted, name if dtype is None else "")
    result = call.run(source, mask, given, centre)
    plain = out is None and mask is None and initial is None and not centred
    return _deliver(name, result, call.keep_layout.shape, out, keepdims), call, given if plain else None


class _Reduce(Remembered):
    """A row of the table, called."""

    def _call(self, name: str, x: Any, *arguments: Any, **options: Any) -> CuArray:
        result, call, given = _reduce(name, x, *arguments, **options)
        if given is not None and type(x) is CuArray and call.prepared:
            first, second = (Word("constant", value=value) for value in given)
            head = [OUTPUT, Word("address", 1), SCRATCH, NOTHING, first, second]
            _fast_calls.remember(
                self,
                (name, x, *arguments, *options.values()),
                tuple(options),
                result._layout,
                [(prepared, head) for prepared in call.prepared],
                scratch_bytes=call.scratch_bytes,
            )
        return result


reduce = _Reduce()


def _centre_dtype(loop: np.dtype) -> np.dtype:
    if loop.kind == "c":
        return np.dtype(np.complex128)
    if loop.kind in "biu":
        return loop
    return np.dtype(np.float32 if loop.itemsize == 2 else np.float64)


def _centres(
    name: str, source: CuArray, axes: tuple[int, ...], loop: np.dtype, mask: CuArray | None, given: CuArray | None
) -> CuArray:
    """What the distances of a variance are taken from: one an output, in the dtype that the kernel accumulates in."""
    wide = _centre_dtype(loop)
    shape = tuple(1 if axis in axes else extent for axis, extent in enumerate(source.shape))
    if given is not None:
        from cuarray._functions.manipulation import broadcast_to

        return ascontiguousarray(broadcast_to(astype(given, wide, copy=False), shape))
    masked = None if mask is None else mask._layout
    call = _prepare(_Wanted(REDUCTIONS[name], source._layout, axes, loop, wide, masked))
    return call.run(source, mask, (0, 0), None)


# ---- any binary function

# Those with a struct of their own, whose accumulators are wider or smaller.
_OWN_FOLDS = {"add": "Sum", "multiply": "Prod", "maximum": "Max", "minimum": "Min"}


@functools.cache
def fold(name: str, functor: str, in_order: bool) -> tuple[Reduction, tuple[str, ...]]:
    """How a binary function's reduction is spelled: a row like the table's, and its template arguments."""
    own = _OWN_FOLDS.get(name)
    if own:
        return Reduction(own, "same", "loop", 32), ()
    return Reduction("Fold", "same", "loop", 32), (functor, "true" if in_order else "false")


@functools.lru_cache(maxsize=4096)
def reorderable(ufunc: np.ufunc, dtype: np.dtype) -> bool:
    """Whether NumPy lets the items of a reduction be combined in any order: it then takes several axes."""
    try:
        ufunc.reduce(np.ones((1, 1), dtype), axis=(0, 1))
    except ValueError:
        return False
    return True


def identity_of(ufunc: np.ufunc, dtype: np.dtype) -> Any:
    """What reducing nothing gives; None if NumPy's ufunc has no such value."""
    try:
        return ufunc.reduce(np.empty(0, dtype))
    except ValueError:
        return None


def ufunc_reduce(
    function: Any,
    x: Any,
    axis: Any = 0,
    dtype: Any = None,
    out: CuArray | None = None,
    keepdims: bool = False,
    initial: Any = None,
    where: Any = True,
) -> CuArray:
    """`function(... function(function(x[0], x[1]), x[2]) ..., x[n - 1])` along `axis`: `numpy.ufunc.reduce`.

    `function` has the functor's C++ name as `functor`, NumPy's ufunc as `numpy_ufunc`, and `__name__`. `initial` comes
    before the first item; items where `where` is false are left out. Several axes (None: all) need a function that
    NumPy regards as reorderable; any other one is computed in order. ValueError for nothing without an identity.
    """
    ufunc = function.numpy_ufunc
    name = f"{function.__name__}.reduce"
    source = asarray(x)
    axes = normalize_axes(axis, source.ndim)
    loop = resolve_reduction(ufunc, source.dtype, None if dtype is None else as_dtype(dtype))
    in_order = not reorderable(ufunc, loop)
    if in_order and len(axes) > 1:
        raise ValueError(
            f"{name}: reduction operation {function.__name__!r} is not reorderable, "
            "so at most one axis may be specified"
        )
    mask = _as_mask(name, where, source)
    if initial is None:
        empty = any(source.shape[a] == 0 for a in axes)
        if empty or mask is not None:
            initial = identity_of(ufunc, loop)
            if initial is None and mask is not None:
                raise ValueError(
                    f"{name}: reduction operation {function.__name__!r} does not have an identity, "
                    "so to use a where mask one has to specify 'initial'"
                )
            if initial is None:
                raise ValueError(
                    f"{name}: zero-size array to reduction operation {function.__name__} which has no identity"
                )
    row, arguments = fold(function.__name__, function.functor, in_order)
    given = (0, 0) if initial is None else _bits(initial, loop)
    masked = None if mask is None else mask._layout
    wanted = _Wanted(row, source._layout, axes, loop, loop, masked, initial is not None, arguments, in_order)
    call = _prepare(wanted)
    return _deliver(name, call.run(source, mask, given, None), call.keep_layout.shape, out, keepdims)
