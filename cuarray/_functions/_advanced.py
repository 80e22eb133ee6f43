"""``x[key]`` and ``x[key] = value`` where the key has index arrays or masks: NumPy's rules, then a gather or scatter.

Integers, slices, None and Ellipsis of the key are a view, which NumPy makes on a ghost. What is left are axes of that
view with an index array each (`Selection`).
"""

from __future__ import annotations

import functools
import math
import operator
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import check_castable, is_struct, operand_type
from cuarray._functions._compaction import compress_flat, target, true_positions
from cuarray._functions._operation import assign, copy_into, copy_where, may_share
from cuarray._functions._sorted import sort_rows_with_indices
from cuarray._functions.creation import _arrays_to_numpy, array, asarray
from cuarray._functions.creation import copy as copy_array
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, broadcast_strides, layout
from cuarray._plan import Indexed
from cuarray._tuning import Target

_INT64 = np.dtype(np.int64)
_INVALID = (
    "only integers, slices (`:`), ellipsis (`...`), numpy.newaxis (`None`) and integer or boolean arrays are valid "
    "indices"
)


# ---- indices that kernels found to be out of range


class _Flag(threading.local):
    """A word of device memory in which this thread's kernels leave the place of a bad index."""

    NONE = 2**64 - 1

    def __init__(self) -> None:
        self._memory: Any = None

    def reset(self) -> int:
        """Its address, the word saying that there was none."""
        runtime = _runtime.get()
        if self._memory is None:
            self._memory = runtime.allocate(8)
            runtime.write(self._memory.pointer, np.array(self.NONE, np.uint64))
        return self._memory.pointer

    def take(self) -> int | None:
        """The place of the first bad index since the last time, or None; waits for the device."""
        runtime = _runtime.get()
        found = int.from_bytes(runtime.read(self._memory.pointer, 8), "little")
        if found == self.NONE:
            return None
        runtime.write(self._memory.pointer, np.array(self.NONE, np.uint64))
        return found


flag = _Flag()


def flag_pointer() -> int:
    """The flag word's address for a kernel; 0 while a graph is captured, when nothing can be waited for."""
    runtime = _runtime.get()
    return 0 if runtime.stream in runtime.captures else flag.reset()


def _out_of_bounds(index: int, axis: int, extent: int) -> IndexError:
    return IndexError(f"index {index} is out of bounds for axis {axis} with size {extent}")


def check_on_cpu(indices: np.ndarray, extent: int, axis: int) -> None:
    """IndexError for the first index that is out of range."""
    if not indices.size:
        return
    if indices.min() < -extent or indices.max() >= extent:
        flat = indices.ravel()
        raise _out_of_bounds(int(flat[np.argmax((flat < -extent) | (flat >= extent))]), axis, extent)


# ---- what a key says


class _Entry(NamedTuple):
    """An index array or mask of the key."""

    array: CuArray
    axis: int  # of the view
    named: int  # of the array that is indexed, for messages
    on_device: bool  # whether its values have not been seen yet


class Selection:
    """The elements that a key with index arrays names: a view, and index arrays on some of its axes."""

    def __init__(
        self, base: CuArray, entries: list[_Entry], insert: int, whole: bool = False, along: bool = False
    ) -> None:
        self.base = base
        self.along = along  # whether the one index array goes along the other axes of the view, too; for reading only
        self.whole = whole  # whether the key is a mask of all axes, for which assignment has rules of its own
        self.insert = insert
        self._entries = entries
        self.only_mask = entries[0] if len(entries) == 1 and entries[0].array.dtype.kind == "b" else None
        self.on_device = any(entry.on_device for entry in entries)

    def copy_what_shares(self, x: CuArray) -> None:
        """Have copies of index arrays that share memory with `x`, which is about to be written."""
        self._entries = [
            entry._replace(array=copy_array(entry.array)) if may_share(x, entry.array) else entry
            for entry in self._entries
        ]

    def resolve(self, mode: str = "raise") -> None:
        """Turn masks into index arrays, which waits for the device, and bring all to one shape and dtype."""
        base = self.base
        arrays: list[CuArray] = []
        extents: list[int] = []
        strides: list[int] = []
        self.named: list[int] = []
        indexed: set[int] = set()
        for own, axis, named, _on_device in self._entries:
            if own.dtype.kind != "b":
                indexed.add(axis)
                parts = [(own, base.shape[axis], base.strides[axis])]
            else:
                axes = range(axis, axis + own.ndim)
                indexed.update(axes)
                parts = _mask_parts(own, [base.shape[d] for d in axes], [base.strides[d] for d in axes])
            for part, extent, stride in parts:
                arrays.append(part)
                extents.append(extent)
                strides.append(stride)
                self.named.append(named)
        given = [own.shape for own in arrays]
        if self.along:
            given.append(tuple(1 if axis in indexed else extent for axis, extent in enumerate(base.shape)))
        try:
            shape = broadcast_shapes(*given)
        except ValueError:
            shapes = " ".join(map(str, given))
            raise IndexError(
                f"shape mismatch: indexing arrays could not be broadcast together with shapes {shapes}"
            ) from None
        count = math.prod(shape)
        rest = [axis for axis in range(base.ndim) if axis not in indexed and not self.along]
        walked: tuple[int, ...] = ()
        if self.along:
            walked = tuple(0 if given[-1][axis] == 1 else base.strides[axis] for axis in range(base.ndim))
        if (
            mode == "raise"
            and self.on_device
            and count
            and (0 in extents or any(base.shape[axis] == 0 for axis in rest))
        ):
            # No kernel looks at the indices of an empty result, and none may at those of an empty axis.
            for own, extent, named in zip(arrays, extents, self.named, strict=True):
                check_on_cpu(np.asarray(own), extent, named)
        if len({own.dtype for own in arrays}) > 1 or (len(arrays) > _plan.POINTERS and arrays[0].dtype != _INT64):
            arrays = [own if own.dtype == _INT64 else array(own, _INT64) for own in arrays]
        self.arrays = arrays
        layouts = [own._layout for own in arrays]
        if len(arrays) > _plan.POINTERS:
            stack = allocate(layout(_INT64, (len(arrays), *shape)))
            for k, own in enumerate(arrays):
                copy_into(stack[k], own)
            self._stack = stack
            layouts = [layout(_INT64, shape)] * len(arrays)
            self.pointers = [stack._pointer, 0, 0, 0]
        else:
            self.pointers = [own._pointer for own in arrays] + [0] * (_plan.POINTERS - len(arrays))
        self.where = Indexed(
            tuple(base.shape[axis] for axis in rest),
            tuple(base.strides[axis] for axis in rest),
            self.insert,
            shape,
            tuple(layouts),
            tuple(extents),
            tuple(strides),
            walked,
        )

    def raise_if_bad(self, by_tuple: bool) -> None:
        """IndexError for the bad index that a kernel met first; waits for the device.

        by_tuple: whether its place is that of a tuple of indices, rather than that of an element of the result.
        """
        found = flag.take()
        if found is None:
            return
        where = self.where
        places = where.shape if by_tuple else where.result
        k, place = divmod(found, math.prod(places))
        at = [int(i) for i in np.unravel_index(place, places)] if places else []
        if not by_tuple:
            at = at[where.insert : where.insert + len(where.shape)]
        own = self.arrays[k]
        key = tuple(0 if extent == 1 else i for i, extent in zip(at[len(at) - own.ndim :], own.shape, strict=True))
        raise _out_of_bounds(own[key].item(), self.named[k], where.extents[k])


def _mask_parts(mask: CuArray, extents: list[int], strides: list[int]) -> list[tuple[CuArray, int, int]]:
    positions = true_positions(mask)
    _, (merged,) = _plan.collapse(extents, [strides])
    if len(merged) <= 1:  # the mask's axes are one
        return [(positions, math.prod(extents), merged[0] if merged else 0)]
    return list(zip(unravel(positions, mask.shape), extents, strides, strict=True))


@functools.lru_cache(maxsize=1024)
def _unravel_call(machine: Target, dtype: np.dtype, size: int, shape: tuple[int, ...]) -> Prepared:
    return Prepared(_plan.unravel(machine, dtype, size, shape))


def unravel_into(positions: CuArray, shape: tuple[int, ...], flag_word: int) -> CuArray:
    """The coordinates of contiguous positions, an axis of the result each."""
    out = allocate(layout(_INT64, (len(shape), positions.size)))
    if out.size:
        call = _unravel_call(target(), positions.dtype, positions.size, shape)
        call.launch(out._pointer, positions._pointer, flag_word)
    return out


def unravel(positions: CuArray, shape: tuple[int, ...]) -> tuple[CuArray, ...]:
    """The coordinates of positions that are known to be in range: an array for each axis."""
    out = unravel_into(positions, shape, 0)
    return tuple(out[d] for d in range(len(shape)))


def as_index(part: Any) -> CuArray | np.ndarray:
    """An index array of bool or an integer dtype; IndexError for anything else."""
    if type(part) is CuArray:
        own: Any = part
    elif isinstance(part, np.ndarray):
        own = part
    elif hasattr(part, "__dlpack__") or hasattr(part, "__cuda_array_interface__"):
        own = asarray(part)
    else:
        own = np.asarray(_arrays_to_numpy(part))
        if not own.size and own.ndim and own.dtype.kind == "f":
            own = own.astype(np.int64)  # an empty list
        if own.dtype.kind not in "biu":
            raise IndexError(_INVALID + f", not an object of type {type(part).__name__}")
    if own.dtype.kind not in "biu":
        raise IndexError("arrays used as indices must be of integer (or boolean) type")
    return own


def select(x: CuArray, key: Any) -> Selection:
    """What a key with index arrays means for `x`; IndexError, in NumPy's words, if nothing."""
    parts: list[Any] = []
    used = 0
    for part in key if isinstance(key, tuple) else (key,):
        if part is None or part is Ellipsis:
            parts.append(part)
            continue
        if isinstance(part, slice):
            parts.append(part)
            used += 1
            continue
        if not isinstance(part, bool | np.bool_ | np.ndarray | list):
            try:
                part = operator.index(part)
            except TypeError:
                part = as_index(part)
        elif not isinstance(part, bool):
            part = as_index(part)
        if isinstance(part, CuArray | np.ndarray) and not part.ndim:
            part = part.item()  # an int or a bool
        parts.append(part)
        used += 0 if isinstance(part, bool) else 1 if isinstance(part, int) or part.dtype.kind != "b" else part.ndim
    first = parts[0] if len(parts) == 1 else None
    whole = used == x.ndim and (isinstance(first, bool) or getattr(first, "dtype", None) == np.dtype(bool))
    dots = sum(part is Ellipsis for part in parts)
    if dots > 1:
        raise IndexError("an index can only have a single ellipsis ('...')")
    if not dots:
        parts.append(Ellipsis)
    if used > x.ndim:
        raise IndexError(f"too many indices for array: array is {x.ndim}-dimensional, but {used} were indexed")
    basic: list[Any] = []
    arrays: list[tuple[CuArray | np.ndarray, int, int]] = []
    axis = view_axis = rest = insert = runs = 0
    inside = False  # whether the part before belongs to the index arrays, as integers do
    for part in parts:
        if part is None or part is Ellipsis or isinstance(part, slice):
            inside = False
            basic.append(part)
            axes = x.ndim - used if part is Ellipsis else 1
            view_axis += axes
            rest += axes
            axis += 0 if part is None else axes
            continue
        if not inside:
            runs += 1
            inside = True
            insert = rest if runs == 1 else 0
        if isinstance(part, bool):  # an index of an axis of its own
            basic.append(None)
            arrays.append((np.zeros(int(part), np.int64), view_axis, 0))
            view_axis += 1
        elif isinstance(part, int):
            basic.append(part)
            axis += 1
        else:
            axes = part.ndim if part.dtype.kind == "b" else 1
            basic += [slice(None)] * axes
            if part.dtype.kind == "b" and part.shape != x.shape[axis : axis + axes]:
                _check_mask(part.shape, x.shape, axis)
                whole = False
                arrays += [(np.empty(0, np.int64), view_axis + d, axis + d) for d in range(axes)]
            else:
                arrays.append((part, view_axis, axis))
            axis += axes
            view_axis += axes
    base = view_of(x, lambda ghost: ghost[tuple(basic)])
    return Selection(base, _entries(base, arrays), insert, whole)


def _check_mask(mask: tuple[int, ...], shape: tuple[int, ...], axis: int) -> None:
    for d, extent in enumerate(mask, axis):
        if extent not in (shape[d], 0):  # an extent of 0, which selects nothing, is right for every axis
            raise IndexError(
                f"boolean index did not match indexed array along axis {d}; size of axis is {shape[d]} but size of "
                f"corresponding boolean axis is {extent}"
            )


def _entries(base: CuArray, arrays: Sequence[tuple[CuArray | np.ndarray, int, int]]) -> list[_Entry]:
    entries = []
    # Where the index arrays broadcast to nothing, NumPy does not look at them.
    nothing = any(0 in own.shape for own, _, _ in arrays if own.dtype.kind != "b")
    for own, axis, named in arrays:
        if isinstance(own, CuArray):
            entries.append(_Entry(own, axis, named, own.dtype.kind != "b"))
            continue
        if own.dtype.kind != "b":
            own = own.astype(np.int64)
            if not nothing:
                check_on_cpu(own, base.shape[axis], named)
        entries.append(_Entry(asarray(own), axis, named, False))
    return entries


# ---- reading


@functools.lru_cache(maxsize=4096)
def _gather_call(machine: Target, source: np.dtype, where: Indexed, mode: str) -> tuple[Layout, Prepared | None]:
    out = layout(source, where.result)
    return out, Prepared(_plan.gather(machine, source, where, mode)) if out.size else None


def gather(selection: Selection, mode: str = "raise") -> CuArray:
    """The selected elements, in C order; `mode` says what becomes of indices out of range."""
    selection.resolve(mode)
    where = selection.where
    out_layout, call = _gather_call(target(), selection.base.dtype, where, mode)
    out = allocate(out_layout)
    if call is not None:
        word = flag_pointer() if selection.on_device and mode == "raise" else 0
        call.launch(out._pointer, selection.base._pointer, word, *selection.pointers)
        if word:
            selection.raise_if_bad(by_tuple=False)
    return out


@functools.lru_cache(maxsize=4096)
def _gather_rows_call(machine: Target, source: Layout, index: Layout) -> tuple[Layout, Prepared] | None:
    """What `gather` launches for one array of integers on the first axis; None for what needs a closer look."""
    if not source.ndim or not index.ndim or not index.size or not source.size:
        return None
    where = Indexed(
        source.shape[1:], source.strides[1:], 0, index.shape, (index,), source.shape[:1], source.strides[:1], ()
    )
    out, call = _gather_call(machine, source.dtype, where, "raise")
    assert call is not None
    return out, call


def _gather_rows(x: CuArray, index: CuArray) -> CuArray | None:
    """``x[index]``, the key that there is most often, at little more than the launch; None if it is not that simple."""
    found = _gather_rows_call(target(), x._layout, index._layout)
    if found is None:
        return None
    out_layout, call = found
    out = allocate(out_layout)
    word = flag_pointer()
    call.launch(out._pointer, x._pointer, word, index._pointer)
    return out if not word or flag.take() is None else None


def get_item(x: CuArray, key: Any) -> CuArray:
    """``x[key]`` where the key has index arrays."""
    if isinstance(key, CuArray):
        if key.dtype.kind in "iu":
            result = _gather_rows(x, key)
            if result is not None:
                return result
        elif key.dtype == bool and key.shape == x.shape and x.ndim and x._layout.c_contiguous:
            return compress_flat(x, key)
    if isinstance(key, list) and key and x._layout.struct is not None and all(isinstance(name, str) for name in key):
        return view_of(x, lambda ghost: ghost[key])
    selection = select(x, key)
    mask = selection.only_mask
    base = selection.base
    if mask is not None and mask.array.ndim == base.ndim and base._layout.c_contiguous:
        return compress_flat(base, mask.array)
    return gather(selection)


# ---- writing


@functools.lru_cache(maxsize=4096)
def _scatter_call(
    machine: Target, where: Indexed, values: tuple[int, ...], update: str, mode: str, unique: bool, voting: bool
) -> tuple[_plan.ScatterPlan, dict[str, Prepared]]:
    plan = _plan.scatter(machine, where, values, update, mode=mode, unique=unique, voting=voting)
    launches = {"write": plan.write, "slots": plan.slots, "vote": plan.vote}
    return plan, {name: Prepared(own) for name, own in launches.items() if own is not None}


def scatter(
    selection: Selection,
    values: CuArray | None,
    update: str,
    *,
    mode: str = "raise",
    unique: bool = False,
    voting: bool = False,
) -> None:
    """Apply an Update (see kernels/scatter.cuh) at the selected elements; `values` broadcasts to them, None for none.

    The selection must be resolved, and share no memory with the values.
    """
    where = selection.where
    shape = where.result
    if not math.prod(shape):
        return
    strides = (0,) * len(shape) if values is None else broadcast_strides(values._layout, shape)
    plan, calls = _scatter_call(target(), where, strides, update, mode, unique, voting)
    out, source = selection.base._pointer, 0 if values is None else values._pointer
    word = flag_pointer() if selection.on_device and mode == "raise" else 0
    if plan.kind == "direct":
        calls["write"].launch(out, source, word, *selection.pointers)
    else:
        runtime = _runtime.get()
        count = math.prod(where.shape)
        slots = allocate(layout(_INT64, (count,)))
        if plan.kind == "vote":
            last = runtime.allocate(4 * math.prod(where.extents))
            calls["slots"].launch(slots._pointer, last.pointer, word, *selection.pointers)
            calls["vote"].launch(last.pointer, slots._pointer)
            calls["write"].launch(out, source, 0, slots._pointer, last.pointer)
        else:
            calls["slots"].launch(slots._pointer, 0, word, *selection.pointers)
            ordered, tuples = sort_rows_with_indices(slots)  # equal slots in the order of their tuples
            calls["write"].launch(out, source, 0, ordered._pointer, tuples._pointer)
    if word:
        selection.raise_if_bad(by_tuple=True)


def as_values(value: Any, dtype: np.dtype, what: str) -> CuArray:
    """What is to be written into an array of this dtype, as an array of any dtype that can be cast."""
    if type(value) is not CuArray:
        if operand_type(value) is not None and not is_struct(dtype):
            scalar = allocate(layout(dtype, ()))
            assign(scalar, value, what)
            return scalar
        if is_struct(dtype) or isinstance(value, list | tuple):
            value = np.asarray(_arrays_to_numpy(value), dtype)  # with NumPy's errors for what does not fit
        value = asarray(value)
    check_castable(value.dtype, dtype, "unsafe", what)
    return value


def set_item(x: CuArray, key: Any, value: Any) -> None:
    """``x[key] = value`` where the key has index arrays."""
    if not x._writeable:
        raise ValueError("assignment destination is read-only")
    if isinstance(key, list) and key and x._layout.struct is not None and all(isinstance(name, str) for name in key):
        assign(get_item(x, key), value, "assignment")
        return
    selection = select(x, key)
    base = selection.base
    values = as_values(value, x.dtype, "assignment")
    if may_share(base, values):
        values = copy_array(values)
    if selection.whole and values.ndim > 1:
        raise TypeError(
            f"NumPy boolean array indexing assignment requires a 0 or 1-dimensional input, input has {values.ndim} "
            "dimensions"
        )
    mask = selection.only_mask
    if mask is not None and values.size == 1 and values.ndim <= 1:
        shape = (1,) * mask.axis + mask.array.shape + (1,) * (base.ndim - mask.axis - mask.array.ndim)
        copy_where(base, values.reshape(()), mask.array.reshape(shape))
        return
    put(selection, values, unique=mask is not None)


def put(selection: Selection, values: CuArray, *, mode: str = "raise", unique: bool = False) -> None:
    """Store values, which share no memory with the array, at the selected elements; the last of equal indices counts.

    unique: whether there are no equal ones.
    """
    base = selection.base
    selection.copy_what_shares(base)
    selection.resolve(mode)
    where = selection.where
    shape = where.result
    extra = values.ndim - len(shape)
    if extra > 0 and all(extent == 1 for extent in values.shape[:extra]):
        values = values.reshape(values.shape[extra:])
    if values.ndim > len(shape) or any(
        extent not in (1, wanted) for extent, wanted in zip(values.shape[::-1], shape[::-1], strict=False)
    ):
        if selection.whole:
            raise ValueError(
                f"NumPy boolean array indexing assignment cannot assign {values.size} input values to the {shape[0]} "
                "output values where the mask is true"
            )
        raise ValueError(
            f"shape mismatch: value array of shape {values.shape} could not be broadcast to indexing result of shape "
            f"{shape}"
        )
    strides = broadcast_strides(values._layout, shape)[where.insert : where.insert + len(where.shape)]
    same = all(extent == 1 or not stride for extent, stride in zip(where.shape, strides, strict=True))
    update = _plan.assign_update(base.dtype, values.dtype)
    scatter(selection, values, update, mode=mode, unique=unique or same, voting=True)
