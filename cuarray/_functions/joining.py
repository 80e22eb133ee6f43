"""Arrays from several arrays, and several from one.

What joins arrays comes down to `_concatenate`: each input is copied once, into its place in the result, by as few
launches as can be.
"""

from __future__ import annotations

import functools
import itertools
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _fast_calls, _plan, _runtime
from cuarray._array import CuArray, allocate, view_of
from cuarray._dtypes import as_storage_dtype, check_castable, is_same, operand_type, result_type
from cuarray._fast_calls import HEAD_WORDS, NOTHING, Remembered, Word
from cuarray._functions._operation import check_out, copy_into, may_share
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import asarray, copy
from cuarray._functions.manipulation import atleast_1d, atleast_2d, atleast_3d, expand_dims, ravel, reshape
from cuarray._launch import Prepared
from cuarray._layout import Layout, contiguous_strides, layout

_SEQUENCES = (list, tuple, CuArray, np.ndarray)


def _as_sequence(name: str, arrays: Any) -> Sequence[Any]:
    if not isinstance(arrays, _SEQUENCES):
        raise TypeError(f"{name}: arrays must be a sequence of arrays, not {type(arrays).__name__}")
    found: Sequence[Any] = arrays if isinstance(arrays, (list, tuple)) else list(arrays)
    if not found:
        raise ValueError(f"{name}: need at least one array")
    return found


def _common_dtype(values: Sequence[Any]) -> np.dtype:
    """What arrays, and Python numbers, which are weak, promote to."""
    kinds = [value.dtype if type(value) is CuArray else value for value in values]
    first = kinds[0]
    if isinstance(first, np.dtype) and all(isinstance(kind, np.dtype) and is_same(first, kind) for kind in kinds):
        return first
    return result_type(*kinds)


def _joined_layout(dtype: np.dtype, shape: tuple[int, ...], sources: list[Layout]) -> Layout:
    """A new array whose axes are ordered in memory as the sources agree to have them; where not, in C order.

    An axis is put before those to its left where a source has the larger steps along it, and none has smaller ones.
    """
    if all(source.c_contiguous for source in sources):
        return layout(dtype, shape)
    order: list[int] = []
    for axis in range(len(shape)):
        place = len(order)
        for before in range(len(order) - 1, -1, -1):
            signs = [
                abs(source.strides[axis]) > abs(source.strides[order[before]])
                for source in sources
                if source.shape[axis] != 1 and source.shape[order[before]] != 1
            ]
            if signs:
                if not all(signs):
                    break
                place = before
        order.insert(place, axis)
    packed = contiguous_strides(tuple(shape[axis] for axis in order), dtype.itemsize)
    return layout(dtype, shape, tuple(packed[order.index(axis)] for axis in range(len(shape))))


def _concatenate(
    sources: list[CuArray], axis: int, out: CuArray | None, dtype: Any, casting: str
) -> tuple[CuArray, tuple[_Copy, ...]]:
    """The sources along an axis, and the launches that did it: none if they were not all."""
    ndim = sources[0].ndim
    if not ndim:
        raise ValueError("concatenate: zero-dimensional arrays cannot be concatenated")
    axis = normalize_axis(axis, ndim)
    shape = list(sources[0].shape)
    for position, source in enumerate(sources[1:], 1):
        if source.ndim != ndim:
            raise ValueError(
                f"concatenate: all arrays must have the same number of dimensions; array 0 has {ndim}, "
                f"array {position} has {source.ndim}"
            )
        for other in range(ndim):
            if other != axis and source.shape[other] != shape[other]:
                raise ValueError(
                    f"concatenate: all extents but those along axis {axis} must agree; along axis {other} array 0 has "
                    f"{shape[other]}, array {position} has {source.shape[other]}"
                )
        shape[axis] += source.shape[axis]
    if out is not None:
        check_out("concatenate", out)
        if out.shape != tuple(shape):
            raise ValueError(f"concatenate: out has shape {out.shape}; the result has {tuple(shape)}")
        wanted = out.dtype
    else:
        wanted = as_storage_dtype(dtype) if dtype is not None else _common_dtype(sources)
    for source in sources:
        check_castable(source.dtype, wanted, casting, "concatenate")
    if out is not None and any(may_share(out, source) for source in sources):
        # What a launch still has to read must not be written meanwhile.
        copy_into(out, _concatenate(sources, axis, None, wanted, casting)[0])
        return out, ()
    layouts = tuple(source._layout for source in sources)
    result = allocate(_joined_layout(wanted, tuple(shape), list(layouts))) if out is None else out
    launches = _prepare(result._layout, axis, layouts)
    for launch in launches:
        launch.run(result, sources)
    return result, launches


class _Copy(NamedTuple):
    """A launch that copies some of the sources."""

    prepared: Prepared
    join: _plan.Join

    def head(self, first: int) -> list[Word]:
        """Its words in a recipe; `first`: the argument that source 0 is."""
        own = [Word("address", first + number) for number in self.join.numbers]
        return [Word("output", value=self.join.offset), *own, *[NOTHING] * (self.join.slots - len(own))]

    def run(self, result: CuArray, sources: list[CuArray]) -> None:
        addresses = [sources[number]._pointer for number in self.join.numbers]
        unused = max(self.join.slots, HEAD_WORDS - 1) - len(addresses)
        self.prepared.launch_with_head([result._pointer + self.join.offset, *addresses, *[0] * unused])


@functools.lru_cache(maxsize=4096)
def _prepare(result: Layout, axis: int, sources: tuple[Layout, ...]) -> tuple[_Copy, ...]:
    """The launches that put arrays of these layouts one after the other along an axis of the result."""
    parts, numbers, first = [], [], 0
    for number, source in enumerate(sources):
        if source.size:
            place = layout(result.dtype, source.shape, result.strides)
            parts.append(_plan.Part(source, place, first * result.strides[axis]))
            numbers.append(number)
        first += source.shape[axis]
    joins = _plan.join(_runtime.get().target, parts)
    return tuple(
        _Copy(Prepared(join.plan), join._replace(numbers=tuple(numbers[own] for own in join.numbers))) for join in joins
    )


class _Joined(Remembered):
    """Concatenation of arrays that are seen in another way before: with a further axis, for example."""

    def __init__(self, see: Callable[[list[CuArray], int | None], tuple[list[CuArray], int]]) -> None:
        """see: the arrays, and the axis of the call -> what is concatenated, mostly views of them, and along which."""
        self._see = see

    def _call(self, axis: int | None, dtype: Any, casting: str, out: CuArray | None, *values: Any) -> CuArray:
        if out is not None and dtype is not None:
            raise TypeError("concatenate: out and dtype cannot both be given")
        arrays = [asarray(value) for value in values]
        seen, along = self._see(arrays, axis)
        result, launches = _concatenate(seen, along, out, dtype, casting)
        # What was no array, or begins elsewhere, is a copy that was made for this call.
        if launches and all(
            array is value and one._pointer == array._pointer
            for one, array, value in zip(seen, arrays, values, strict=True)
        ):
            arguments, place = (axis, dtype, casting, out, *values), -1 if out is None else 3
            steps = [(launch.prepared, launch.head(4)) for launch in launches]
            _fast_calls.remember(self, arguments, (), result._layout, steps, out=place)
        return result


def _as_they_are(arrays: list[CuArray], axis: int | None) -> tuple[list[CuArray], int]:
    return ([ravel(array) for array in arrays], 0) if axis is None else (arrays, axis)


def _with_new_axis(arrays: list[CuArray], axis: int | None) -> tuple[list[CuArray], int]:
    if len({array.shape for array in arrays}) != 1:
        raise ValueError(f"stack: all arrays must have the same shape, not {[array.shape for array in arrays]}")
    along = normalize_axis(axis, arrays[0].ndim + 1)
    return [expand_dims(array, along) for array in arrays], along


def _one_after_another(arrays: list[CuArray], axis: int | None) -> tuple[list[CuArray], int]:
    seen = [atleast_1d(array) for array in arrays]
    return seen, 0 if seen[0].ndim == 1 else 1


def _column(array: CuArray) -> CuArray:
    return array if array.ndim > 1 else reshape(array, (-1, 1))


_concatenated = _Joined(_as_they_are)
_stacked = _Joined(_with_new_axis)
_in_rows = _Joined(lambda arrays, axis: ([atleast_2d(array) for array in arrays], 0))
_side_by_side = _Joined(_one_after_another)
_in_depth = _Joined(lambda arrays, axis: ([atleast_3d(array) for array in arrays], 2))
_in_columns = _Joined(lambda arrays, axis: ([_column(array) for array in arrays], 1))


def concatenate(
    arrays: Any,
    /,
    axis: int | None = 0,
    out: CuArray | None = None,
    *,
    dtype: Any = None,
    casting: str = "same_kind",
) -> CuArray:
    """The arrays one after the other along an existing axis; with axis=None all their elements in C order.

    Their other extents must agree (ValueError). The dtype is what they promote to, or `dtype`; `casting` says which
    casts into it, or into `out`, are allowed (TypeError).

    >>> import cuarray as ca
    >>> ca.concatenate([ca.arange(2), ca.ones(2)])
    array([0., 1., 1., 1.])
    """
    values = _as_sequence("concatenate", arrays)
    if axis is None and out is None and dtype is None and not all(type(value) is CuArray for value in values):
        # Here Python numbers are allowed, and are as weak as elsewhere.
        weak = [kind if isinstance(kind := operand_type(value), type) else asarray(value) for value in values]
        dtype, casting = _common_dtype(weak), "unsafe"
    return _concatenated(axis, dtype, casting, out, *values)


concat = concatenate


def stack(
    arrays: Any, axis: int = 0, out: CuArray | None = None, *, dtype: Any = None, casting: str = "same_kind"
) -> CuArray:
    """Arrays of one shape side by side along a new axis.

    >>> import cuarray as ca
    >>> ca.stack([ca.arange(2), ca.arange(2)], axis=1)
    array([[0, 0],
           [1, 1]])
    """
    return _stacked(axis, dtype, casting, out, *_as_sequence("stack", arrays))


def vstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> CuArray:
    """Arrays below each other, along the first axis; 1-d arrays are rows.

    >>> import cuarray as ca
    >>> ca.vstack([[1, 2], [3, 4]])
    array([[1, 2],
           [3, 4]])
    """
    return _in_rows(None, dtype, casting, None, *_as_sequence("vstack", tup))


def hstack(tup: Any, *, dtype: Any = None, casting: str = "same_kind") -> CuArray:
    """Arrays next to each other: along the second axis, 1-d arrays along the first.

    >>> import cuarray as ca
    >>> ca.hstack([[1, 2], [3]])
    array([1, 2, 3])
    """
    return _side_by_side(None, dtype, casting, None, *_as_sequence("hstack", tup))


def dstack(tup: Any) -> CuArray:
    """Arrays behind each other, along the third axis; (n,) and (m, n) become (1, n, 1) and (m, n, 1).

    >>> import cuarray as ca
    >>> ca.dstack([[1, 2], [3, 4]])
    array([[[1, 3],
            [2, 4]]])
    """
    return _in_depth(None, None, "same_kind", None, *_as_sequence("dstack", tup))


def column_stack(tup: Any) -> CuArray:
    """1-d arrays as the columns of a matrix; 2-d arrays are taken as they are.

    >>> import cuarray as ca
    >>> ca.column_stack([[1, 2], [3, 4]])
    array([[1, 3],
           [2, 4]])
    """
    return _in_columns(None, None, "same_kind", None, *_as_sequence("column_stack", tup))


def block(arrays: Any) -> CuArray:
    """An array put together from nested lists of blocks: the innermost lists along the last axis, and so on outwards.

    ValueError where the lists are not nested to the same depth or are empty; TypeError for tuples.

    >>> import cuarray as ca
    >>> ca.block([[ca.eye(2), ca.zeros((2, 1))], [ca.ones((1, 3))]])
    array([[1., 0., 0.],
           [0., 1., 0.],
           [1., 1., 1.]])
    """
    depth, ndim = _block_depth(arrays)
    result = _block(arrays, depth, max(depth, ndim))
    return result if depth else copy(result, "K")


def _block_depth(arrays: Any) -> tuple[int, int]:
    if isinstance(arrays, tuple):
        raise TypeError("block: blocks are nested in lists, not in tuples")
    if not isinstance(arrays, list):
        return 0, asarray(arrays).ndim
    if not arrays:
        raise ValueError("block: lists of blocks cannot be empty")
    below = [_block_depth(one) for one in arrays]
    if len({depth for depth, _ in below}) != 1:
        raise ValueError("block: lists of blocks must be nested to the same depth")
    return below[0][0] + 1, max(ndim for _, ndim in below)


def _block(arrays: Any, depth: int, ndim: int) -> CuArray:
    if not depth:
        x = asarray(arrays)
        return reshape(x, (1,) * (ndim - x.ndim) + x.shape)
    return concatenate([_block(one, depth - 1, ndim) for one in arrays], -depth)


# ---- taking apart


def array_split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[CuArray]:
    """Parts of an array along an axis, as views: a number of parts, as equal as can be, or the indices of the cuts.

    >>> import cuarray as ca
    >>> ca.array_split(ca.arange(5), 2)
    [array([0, 1, 2]), array([3, 4])]
    """
    x = asarray(ary)
    if not x.ndim:
        raise IndexError("array_split: ary has no axis to split")
    axis = normalize_axis(axis, x.ndim)
    extent = x.shape[axis]
    cuts: list[Any]
    if isinstance(indices_or_sections, list | tuple | np.ndarray | CuArray) and np.ndim(indices_or_sections):
        cuts = [None, *(operator.index(cut) for cut in indices_or_sections), None]
    else:
        sections = int(indices_or_sections)
        if sections <= 0:
            raise ValueError("array_split: the number of sections must be larger than 0")
        size, longer = divmod(extent, sections)
        cuts = [number * size + min(number, longer) for number in range(sections + 1)]
    head = (slice(None),) * axis
    return [x[(*head, slice(first, last))] for first, last in itertools.pairwise(cuts)]


def split(ary: Any, indices_or_sections: Any, axis: int = 0) -> list[CuArray]:
    """Parts of an array along an axis, as views: a number of equal parts (ValueError if there are none), or the cuts.

    >>> import cuarray as ca
    >>> ca.split(ca.arange(5), [1, 3])
    [array([0]), array([1, 2]), array([3, 4])]
    """
    x = asarray(ary)
    try:
        len(indices_or_sections)
    except TypeError:
        extent = x.shape[axis]
        if extent % indices_or_sections:
            raise ValueError(
                f"split: {extent} elements along axis {axis} cannot be divided into {indices_or_sections} equal parts"
            ) from None
    return array_split(x, indices_or_sections, axis)


def _split_along(name: str, ary: Any, indices_or_sections: Any, ndim: int, axis: int) -> list[CuArray]:
    x = asarray(ary)
    if x.ndim < ndim:
        raise ValueError(f"{name}: ary must have at least {ndim} dimension(s), it has {x.ndim}")
    return split(x, indices_or_sections, axis if x.ndim > 1 else 0)


def hsplit(ary: Any, indices_or_sections: Any) -> list[CuArray]:
    """`split` along the second axis; of a 1-d array along its only one.

    >>> import cuarray as ca
    >>> ca.hsplit(ca.arange(4), 2)
    [array([0, 1]), array([2, 3])]
    """
    return _split_along("hsplit", ary, indices_or_sections, 1, 1)


def vsplit(ary: Any, indices_or_sections: Any) -> list[CuArray]:
    """`split` along the first axis of an array of at least two dimensions.

    >>> import cuarray as ca
    >>> ca.vsplit(ca.eye(2), 2)
    [array([[1., 0.]]), array([[0., 1.]])]
    """
    return _split_along("vsplit", ary, indices_or_sections, 2, 0)


def dsplit(ary: Any, indices_or_sections: Any) -> list[CuArray]:
    """`split` along the third axis of an array of at least three dimensions.

    >>> import cuarray as ca
    >>> [part.shape for part in ca.dsplit(ca.zeros((2, 2, 4)), 2)]
    [(2, 2, 2), (2, 2, 2)]
    """
    return _split_along("dsplit", ary, indices_or_sections, 3, 2)


def unstack(x: Any, /, *, axis: int = 0) -> tuple[CuArray, ...]:
    """The slices of an array along an axis, which they lack, as views.

    >>> import cuarray as ca
    >>> ca.unstack(ca.array([[1, 2], [3, 4]]))
    (array([1, 2]), array([3, 4]))
    """
    source = asarray(x)
    if not source.ndim:
        raise ValueError("unstack: x must have at least 1 dimension")
    along = view_of(source, lambda ghost: np.moveaxis(ghost, axis, 0))
    return tuple(along[number] for number in range(along.shape[0]))


def append(arr: Any, values: Any, axis: int | None = None) -> CuArray:
    """`values` after `arr` along an axis; with axis=None the elements of both on one axis.

    >>> import cuarray as ca
    >>> ca.append([1, 2], [[3], [4]])
    array([1, 2, 3, 4])
    """
    return _concatenated(axis, None, "same_kind", None, arr, values)
