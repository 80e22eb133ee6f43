"""Shapes and axes: the same views as NumPy's, over the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, outcome
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Pair, broadcastable, dtypes, pairs, shapes

import cuarray as ca

FEW = dtypes("f") | st.just(np.dtype(np.int16))


def check_view(x: Pair, by_cuarray: Callable[[ca.CuArray], Any], by_numpy: Callable[[np.ndarray], Any]) -> None:
    """The same result, with the same strides; and a view where NumPy's is one."""
    check(lambda: by_cuarray(x.cuarray), lambda: by_numpy(x.numpy), exact=True)
    try:
        expected = by_numpy(x.numpy)
    except Exception:
        return
    result = by_cuarray(x.cuarray)
    if x.numpy.size and isinstance(expected, np.ndarray):  # a NumPy scalar is a copy; cuarray has 0-d views instead
        shared = np.shares_memory(expected, x.numpy)
        assert np.shares_memory(np.asarray(result), np.asarray(x.cuarray)) == shared
        if shared:
            assert result.strides == expected.strides
            assert result.flags.c_contiguous == expected.flags.c_contiguous
            assert result.flags.f_contiguous == expected.flags.f_contiguous


@settings(max_examples=100)
@given(data=st.data())
def test_reshape(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    size = x.numpy.size
    candidates = [(size,), (-1,), (1, size), (size, 1), (-1, 2), (2, -1), (2, 2, -1), (3, -1), (), (0, -1), (size + 1,)]
    candidates += [(-1, -1), x.numpy.shape[::-1], (-2,)]
    shape = data.draw(st.sampled_from(candidates))
    check_view(x, lambda a: a.reshape(shape), lambda a: a.reshape(shape))
    check_view(x, lambda a: ca.reshape(a, shape), lambda a: np.reshape(a, shape))
    check(lambda: ca.reshape(x.cuarray, shape, copy=False), lambda: np.reshape(x.numpy, shape, copy=False), exact=True)


def test_reshape_copy() -> None:
    x = ca.arange(6)
    assert x.reshape(2, 3, copy=True)._pointer != x._pointer
    assert x.reshape(3, 2)._pointer == x._pointer
    assert x.reshape(-1)._pointer == x._pointer
    with pytest.raises(ValueError):
        ca.arange(6).reshape(2, 3).T.reshape(-1, copy=False)


@given(x=pairs(FEW))
def test_ravel_and_flatten(x: Pair) -> None:
    check_view(x, lambda a: a.ravel(), lambda a: a.ravel())
    check(lambda: x.cuarray.flatten(), lambda: x.numpy.flatten(), exact=True)
    if x.numpy.size:
        assert x.cuarray.flatten()._pointer != x.cuarray._pointer


@given(data=st.data())
def test_transposes(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    ndim = x.numpy.ndim
    check_view(x, lambda a: a.T, lambda a: a.T)
    axes = tuple(data.draw(st.permutations(range(ndim))))
    check_view(x, lambda a: a.transpose(axes), lambda a: a.transpose(axes))
    check_view(x, lambda a: ca.permute_dims(a, axes), lambda a: np.permute_dims(a, axes))
    if ndim:
        check_view(x, lambda a: a.transpose(*axes), lambda a: a.transpose(*axes))
    check_view(x, lambda a: a.mT, lambda a: a.mT)
    check_view(x, lambda a: ca.matrix_transpose(a), lambda a: np.matrix_transpose(a))
    one, other = (data.draw(st.integers(-ndim - 1, ndim)) for _ in range(2))
    check_view(x, lambda a: ca.swapaxes(a, one, other), lambda a: np.swapaxes(a, one, other))
    check_view(x, lambda a: ca.moveaxis(a, one, other), lambda a: np.moveaxis(a, one, other))


@given(data=st.data())
def test_squeeze_and_expand_dims(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_side=2)))
    axis = data.draw(st.none() | st.integers(-4, 3) | st.tuples(st.integers(-3, 2), st.integers(-3, 2)))
    check_view(x, lambda a: ca.squeeze(a, axis), lambda a: np.squeeze(a, axis))
    check_view(x, lambda a: a.squeeze(), lambda a: a.squeeze())
    if axis is not None:
        check_view(x, lambda a: ca.expand_dims(a, axis), lambda a: np.expand_dims(a, axis))


@given(data=st.data())
def test_flip_and_diagonal(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    axis = data.draw(st.none() | st.integers(-4, 3))
    check_view(x, lambda a: ca.flip(a, axis), lambda a: np.flip(a, axis))
    offset, one, other = data.draw(st.tuples(*(st.integers(-3, 3) for _ in range(3))))
    check_view(x, lambda a: ca.diagonal(a, offset, one, other), lambda a: np.diagonal(a, offset, one, other))


@given(data=st.data())
def test_broadcasting(data: st.DataObject) -> None:
    drawn = data.draw(broadcastable(2))
    x, y = (data.draw(pairs(FEW, shape)) for shape in drawn)
    target = data.draw(st.sampled_from([np.broadcast_shapes(*drawn), (2, 2), (5,), ()]))
    check_view(x, lambda a: ca.broadcast_to(a, target), lambda a: np.broadcast_to(a, target))
    for result, expected in zip(
        ca.broadcast_arrays(x.cuarray, y.cuarray), np.broadcast_arrays(x.numpy, y.numpy), strict=True
    ):
        assert_same(result, expected, exact=True)


def test_broadcast_is_read_only() -> None:
    x = ca.broadcast_to(ca.arange(3), (2, 3))
    assert not x.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        x += 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0, 0] = 1


def test_views_of_views() -> None:
    """base is the array that owns the memory, however many views lie between."""
    x = ca.arange(24)
    view = x.reshape(2, 3, 4).transpose(2, 0, 1)[1:, ::-1]
    assert view.base is x
    assert x.base is None
    view[...] = -1
    assert (x == -1).sum().item() == 18


def check_all(by_cuarray: Callable[[], Any], by_numpy: Callable[[], Any]) -> None:
    """The same sequence of arrays, or the same exception."""
    expected, expected_error = outcome(by_numpy)
    actual, error = outcome(by_cuarray)
    if expected_error is not None:
        check(by_cuarray, by_numpy)
        return
    if error is not None:
        raise error
    assert type(actual) is type(expected) and len(actual) == len(expected)
    for one, other in zip(actual, expected):
        assert_same(one, other, exact=True)


def same_order(actual: ca.CuArray, expected: np.ndarray) -> None:
    """New arrays lie in memory as NumPy's do, where extents of 1 leave no choice."""
    if expected.size and 1 not in expected.shape:
        assert actual.strides == expected.strides


ORDERS = st.sampled_from(["C", "F", "A", "c"])


@given(data=st.data())
def test_orders(data: st.DataObject) -> None:
    """reshape, ravel, flatten and copies in every order."""
    x = data.draw(pairs(FEW))
    order = data.draw(ORDERS)
    size = x.numpy.size
    shape = data.draw(st.sampled_from([(-1,), (1, size), (2, -1), (-1, 3), x.numpy.shape[::-1], (size + 1,)]))
    check_view(x, lambda a: a.reshape(shape, order=order), lambda a: a.reshape(shape, order=order))
    check_view(x, lambda a: ca.reshape(a, shape, order), lambda a: np.reshape(a, shape, order))
    check_view(x, lambda a: a.ravel(order), lambda a: a.ravel(order))
    check(lambda: x.cuarray.flatten(order), lambda: x.numpy.flatten(order), exact=True)
    for any_order in (order, "K"):
        check(lambda o=any_order: x.cuarray.flatten(o), lambda o=any_order: x.numpy.flatten(o), exact=True)
        copy, expected = x.cuarray.copy(any_order), x.numpy.copy(any_order)
        assert_same(copy, expected, exact=True)
        same_order(copy, expected)
        copy, expected = x.cuarray.astype("float64", any_order), x.numpy.astype("float64", any_order)
        assert_same(copy, expected, exact=True)
        same_order(copy, expected)


def test_ravel_k() -> None:
    host = np.arange(24).reshape(2, 3, 4)
    for axes in ((0, 1, 2), (2, 0, 1), (1, 2, 0), (2, 1, 0)):
        x = ca.array(host).transpose(axes)
        assert_same(x.ravel("K"), host.transpose(axes).ravel("K"))
        assert x.ravel("K")._pointer == x._pointer
    with pytest.raises(ValueError, match="order"):
        ca.arange(3).ravel("X")
    with pytest.raises(TypeError, match="order"):
        ca.arange(3).ravel(3)  # type: ignore[arg-type]


@given(data=st.data())
def test_more_views(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    k = data.draw(st.integers(-5, 5))
    axes = data.draw(st.tuples(st.integers(-3, 3), st.integers(-3, 3)))
    check_view(x, lambda a: ca.rot90(a, k, axes), lambda a: np.rot90(a, k, axes))
    for name in ("fliplr", "flipud", "atleast_1d", "atleast_2d", "atleast_3d"):
        check_view(x, getattr(ca, name), getattr(np, name))
    check_view(x, lambda a: ca.rollaxis(a, *axes), lambda a: np.rollaxis(a, *axes))
    check_all(lambda: ca.atleast_2d(x.cuarray, 1), lambda: np.atleast_2d(x.numpy, 1))
    check_all(lambda: ca.unstack(x.cuarray, axis=axes[0]), lambda: np.unstack(x.numpy, axis=axes[0]))


def test_broadcast_shapes() -> None:
    assert ca.broadcast_shapes((3, 1), 4, (2, 1, 1)) == np.broadcast_shapes((3, 1), 4, (2, 1, 1))
    with pytest.raises(ValueError, match="broadcast"):
        ca.broadcast_shapes((3,), (2,))


@given(data=st.data())
def test_splits(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    axis = data.draw(st.integers(-3, 2))
    where = data.draw(st.integers(-1, 4) | st.lists(st.integers(-5, 5), max_size=3))
    check_all(lambda: ca.array_split(x.cuarray, where, axis), lambda: np.array_split(x.numpy, where, axis))
    if not (where == 0 or (isinstance(where, int) and where < 0)):  # NumPy divides by these
        check_all(lambda: ca.split(x.cuarray, where, axis), lambda: np.split(x.numpy, where, axis))
        for name in ("hsplit", "vsplit", "dsplit"):
            check_all(lambda n=name: getattr(ca, n)(x.cuarray, where), lambda n=name: getattr(np, n)(x.numpy, where))


# ---- joining


@st.composite
def joinable(draw: st.DrawFn, same: bool = False) -> tuple[list[Pair], int]:
    """Arrays that agree but along one axis (or altogether), and that axis."""
    shape = draw(shapes(min_dims=1))
    axis = draw(st.integers(0, len(shape) - 1))
    found = []
    for _ in range(draw(st.integers(1, 3))):
        extent = shape[axis] if same else draw(st.integers(0, 3))
        own = (*shape[:axis], extent, *shape[axis + 1 :])
        dtype = draw(st.sampled_from([np.dtype(name) for name in ("int16", "float32", "float64")]))
        found.append(draw(pairs(dtype, own, layouts=("contiguous", "transposed", "sliced", "broadcast"))))
    return found, axis


@settings(max_examples=100)
@given(drawn=joinable(), data=st.data())
def test_concatenate(drawn: tuple[list[Pair], int], data: st.DataObject) -> None:
    """Values, dtype, and the order of the axes in memory."""
    found, axis = drawn
    ours, theirs = [x.cuarray for x in found], [x.numpy for x in found]
    result, expected = ca.concatenate(ours, axis), np.concatenate(theirs, axis)
    assert_same(result, expected, exact=True)
    same_order(result, expected)
    check(lambda: ca.concat(ours, axis=None), lambda: np.concat(theirs, axis=None), exact=True)
    other = data.draw(st.integers(-4, 3))
    check(lambda: ca.concatenate(ours, other), lambda: np.concatenate(theirs, other), exact=True)
    dtype = data.draw(st.sampled_from(["float32", "int32", "complex64"]))
    check(lambda: ca.concatenate(ours, axis, dtype=dtype), lambda: np.concatenate(theirs, axis, dtype=dtype))
    out = np.zeros(expected.shape, "float32")
    check(
        lambda: ca.concatenate(ours, axis, out=ca.array(out)), lambda: np.concatenate(theirs, axis, out=out), exact=True
    )


def test_concatenate_arguments() -> None:
    x = ca.arange(3)
    for bad in ([], [1, 2], [x, ca.zeros((1, 3))], [ca.zeros((2, 3)), ca.zeros((3, 2))], 3):
        check(lambda b=bad: ca.concatenate(b), lambda b=bad: np.concatenate(_to_numpy(b)))
    with pytest.raises(TypeError, match="out and dtype"):
        ca.concatenate([x, x], out=ca.zeros(6), dtype="f4")
    with pytest.raises(ValueError, match="out has shape"):
        ca.concatenate([x, x], out=ca.zeros(5))
    with pytest.raises(TypeError, match="cast"):
        ca.concatenate([ca.ones(2), x], dtype="int8", casting="safe")
    half = np.ones(2, "float16")
    assert_same(ca.concatenate([ca.array(half), 3, 2.5], axis=None), np.concatenate([half, 3, 2.5], axis=None))
    out = ca.arange(6)
    ca.concatenate([out[3:], out[:3]], out=ca.zeros(6, int))
    pair = ca.zeros(2, [("a", "i4"), ("b", "f4")])
    assert ca.concatenate([pair, pair]).dtype == pair.dtype


def _to_numpy(value: Any) -> Any:
    return [_to_numpy(one) for one in value] if isinstance(value, list) else np.asarray(value)


@given(drawn=joinable(same=True), data=st.data())
def test_stacks(drawn: tuple[list[Pair], int], data: st.DataObject) -> None:
    found, axis = drawn
    ours, theirs = [x.cuarray for x in found], [x.numpy for x in found]
    axis = data.draw(st.integers(-4, 4))
    check(lambda: ca.stack(ours, axis), lambda: np.stack(theirs, axis), exact=True)
    check(lambda: ca.stack(ours, axis, dtype="f4"), lambda: np.stack(theirs, axis, dtype="f4"), exact=True)
    for name in ("vstack", "hstack", "dstack", "column_stack"):
        check(lambda n=name: getattr(ca, n)(ours), lambda n=name: getattr(np, n)(theirs), exact=True)
    check(lambda: ca.append(ours[0], theirs[-1]), lambda: np.append(theirs[0], theirs[-1]), exact=True)
    check(lambda: ca.append(ours[0], ours[-1], axis), lambda: np.append(theirs[0], theirs[-1], axis), exact=True)


def test_stack_of_different_shapes() -> None:
    check(lambda: ca.stack([ca.zeros(2), ca.zeros(3)]), lambda: np.stack([np.zeros(2), np.zeros(3)]))
    check(lambda: ca.stack([]), lambda: np.stack([]))


def test_block() -> None:
    a, b, c = np.ones((2, 2)), np.zeros((2, 3)), np.full((1, 5), 7)
    for nested in (
        [[a, b], [c]],
        [a, b],
        [1, 2.5, 3],
        [[a], [a]],
        a,
        [[[1, 2]], [[3, 4]]],
        [np.ones(3), 2],
        [],
        [[a, b], []],
        [[a], b],
        (a, b),
        [[a, c]],
    ):
        check(lambda n=nested: ca.block(n), lambda n=nested: np.block(n), exact=True)
    assert_same(ca.block([ca.array(a), ca.array(b)]), np.block([a, b]))


# ---- elements in other places


@given(data=st.data())
def test_tile_and_repeat(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    reps = data.draw(st.integers(0, 3) | st.tuples(st.integers(0, 2), st.integers(0, 3)) | st.just((2, 1, 1, 2)))
    check(lambda: ca.tile(x.cuarray, reps), lambda: np.tile(x.numpy, reps), exact=True)
    axis = data.draw(st.none() | st.integers(-3, 2))
    count = data.draw(st.integers(-1, 3))
    check(lambda: ca.repeat(x.cuarray, count, axis), lambda: np.repeat(x.numpy, count, axis), exact=True)
    extent = x.numpy.size if axis is None else x.numpy.shape[axis] if -x.numpy.ndim <= axis < x.numpy.ndim else 1
    counts = data.draw(st.lists(st.integers(0, 3), min_size=extent, max_size=extent) | st.just([1, 2]))
    check(lambda: x.cuarray.repeat(counts, axis), lambda: np.repeat(x.numpy, np.array(counts, int), axis), exact=True)


def test_repeat_arguments() -> None:
    host = np.arange(6.0)
    x = ca.array(host)
    assert_same(ca.repeat(x, ca.array([2, 0, 1, 1, 0, 3])), np.repeat(host, [2, 0, 1, 1, 0, 3]))
    check(lambda: ca.repeat(x, [1.5] * 6), lambda: np.repeat(host, [1.5] * 6))
    check(lambda: ca.repeat(x, [[1] * 6]), lambda: np.repeat(host, [[1] * 6]))
    big = np.arange(30_000).reshape(300, 100)
    counts = np.arange(300) % 4
    assert_same(ca.repeat(ca.array(big), counts, 0), np.repeat(big, counts, 0))


@given(data=st.data())
def test_roll(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    numbers = st.integers(-7, 7)
    shift = data.draw(numbers | st.tuples(numbers, numbers))
    axis = data.draw(st.none() | st.integers(-3, 2) | st.tuples(st.integers(-2, 1), st.integers(-2, 1)))
    if axis is None:
        shift = shift if isinstance(shift, int) else shift[0]
    check(lambda: ca.roll(x.cuarray, shift, axis), lambda: np.roll(x.numpy, shift, axis), exact=True)


@given(data=st.data())
def test_resize(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    shape = data.draw(shapes(max_side=5) | st.integers(0, 20))
    check(lambda: ca.resize(x.cuarray, shape), lambda: np.resize(x.numpy, shape), exact=True)


@given(data=st.data())
def test_trim_zeros(data: st.DataObject) -> None:
    x = data.draw(pairs(np.dtype("int16"), elements=st.sampled_from([0, 0, 0, 1])))
    trim = data.draw(st.sampled_from(["fb", "f", "B", "bf", "x"]))
    check(lambda: ca.trim_zeros(x.cuarray, trim), lambda: np.trim_zeros(x.numpy, trim), exact=True)
    axis = data.draw(st.integers(-3, 2))
    if x.numpy.any():  # where all are zero, NumPy's result along one axis depends on the number of axes
        check(lambda: ca.trim_zeros(x.cuarray, trim, axis), lambda: np.trim_zeros(x.numpy, trim, axis), exact=True)


@settings(max_examples=100)
@given(data=st.data())
def test_insert_and_delete(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(min_dims=1), layouts=("contiguous", "transposed", "sliced")))
    axis = data.draw(st.none() | st.integers(-3, 2))
    extent = x.numpy.size if axis is None else x.numpy.shape[axis] if -x.numpy.ndim <= axis < x.numpy.ndim else 1
    places = st.integers(-extent - 1, extent + 1)
    inside = st.integers(-extent, extent - 1) if extent else st.just(0)
    obj: Any = data.draw(
        places
        | st.lists(inside, max_size=4)
        | st.builds(slice, st.none() | places, st.none() | places, st.sampled_from([None, 1, 2, -1, -3]))
        | st.just([0, 0])
        | st.lists(st.booleans(), min_size=extent, max_size=extent).map(lambda mask: np.array(mask, bool))
    )
    check(lambda: ca.delete(x.cuarray, obj, axis), lambda: np.delete(x.numpy, obj, axis), exact=True)
    if isinstance(obj, list) and len(obj) == 0:
        obj = np.array(obj, int)
    value = data.draw(st.sampled_from([7, [1], [1.5, 2.5], [[3], [4]]]))
    check(lambda: ca.insert(x.cuarray, obj, value, axis), lambda: np.insert(x.numpy, obj, value, axis), exact=True)


def test_insert_and_delete_arguments() -> None:
    host = np.arange(12).reshape(3, 4)
    x = ca.array(host)
    assert_same(ca.insert(x, 1, ca.arange(3), 1), np.insert(host, 1, np.arange(3), 1))
    assert_same(ca.insert(x, [1], [[1], [2], [3]], 1), np.insert(host, [1], [[1], [2], [3]], 1))
    assert_same(ca.insert(x, [3, 1, 1], [[1, 2, 3]], 1), np.insert(host, [3, 1, 1], [[1, 2, 3]], 1))
    assert_same(ca.delete(x, ca.array([True, False, True]), 0), np.delete(host, [True, False, True], 0))
    for obj in (5, [5], [1.5], [[True]], [True]):
        check(lambda o=obj: ca.delete(x, o, 0), lambda o=obj: np.delete(host, o, 0))


# ---- padding


MODES = ["constant", "edge", "linear_ramp", "maximum", "mean", "minimum", "reflect", "symmetric", "wrap"]
MODES += ["median"] if hasattr(ca, "median") else []


@settings(max_examples=150)
@given(data=st.data())
def test_pad(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(name) for name in ("int16", "uint8", "float64", "complex128")]))
    elements = st.integers(0, 50)
    x = data.draw(pairs(dtype, shapes(max_side=4), elements))
    mode = data.draw(st.sampled_from(MODES))
    numbers = st.integers(0, 9)
    two = st.tuples(numbers, numbers)
    width = data.draw(numbers | two | st.tuples(*[two] * x.numpy.ndim).filter(bool) | st.just({-1: (2, 1)}))
    options: dict[str, Any] = {}
    if mode == "constant":
        options = data.draw(st.sampled_from([{}, {"constant_values": 3}, {"constant_values": ((1, 2),)}]))
    elif mode == "linear_ramp":
        options = data.draw(st.sampled_from([{}, {"end_values": (4, 9)}]))
    elif mode in ("maximum", "mean", "median", "minimum"):
        options = data.draw(st.sampled_from([{}, {"stat_length": 2}, {"stat_length": ((1, 3),)}]))
    elif mode in ("reflect", "symmetric"):
        options = data.draw(st.sampled_from([{}, {"reflect_type": "odd"}]))
    if isinstance(width, dict) and not x.numpy.ndim:
        return
    check(lambda: ca.pad(x.cuarray, width, mode, **options), lambda: np.pad(x.numpy, width, mode, **options))


def test_pad_arguments() -> None:
    host = np.arange(6).reshape(2, 3)
    x = ca.array(host)
    result = ca.pad(x, 1, "empty")
    assert result.shape == (4, 5)
    assert_same(result[1:-1, 1:-1], host)

    def ends(vector: Any, width: tuple[int, int], axis: int, kwargs: dict[str, Any]) -> None:
        vector[: width[0]] = kwargs["value"] + axis
        vector[vector.shape[0] - width[1] :] = -1

    assert_same(ca.pad(x, (1, 2), ends, value=10), np.pad(host, (1, 2), ends, value=10))
    assert_same(ca.pad(x.T, 1), np.pad(host.T, 1))
    assert ca.pad(x.T, 1).strides == np.pad(host.T, 1).strides
    for width, mode, options in (
        (-1, "edge", {}),
        (1.5, "edge", {}),
        (1, "nowhere", {}),
        (1, "edge", {"constant_values": 1}),
        ((1, 2, 3), "edge", {}),
        (1, "maximum", {"stat_length": 0}),
    ):
        check(
            lambda w=width, m=mode, o=options: ca.pad(x, w, m, **o),
            lambda w=width, m=mode, o=options: np.pad(host, w, m, **o),
        )
    check(lambda: ca.pad(ca.zeros(0), 1, "edge"), lambda: np.pad(np.zeros(0), 1, "edge"))


# ---- matrices, grids, and functions along axes


@given(data=st.data())
def test_diagonals_and_triangles(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    k = data.draw(st.integers(-4, 4))
    if x.numpy.ndim != 1 or x.numpy.size:  # of nothing NumPy makes a matrix with abs(k) rows, and so do we
        check_view(x, lambda a: ca.diag(a, k), lambda a: np.diag(a, k))
    check(lambda: ca.diagflat(x.cuarray, k), lambda: np.diagflat(x.numpy, k), exact=True)
    check(lambda: ca.tril(x.cuarray, k), lambda: np.tril(x.numpy, k), exact=True)
    check(lambda: ca.triu(x.cuarray, k), lambda: np.triu(x.numpy, k), exact=True)
    n, m = data.draw(st.integers(0, 4)), data.draw(st.none() | st.integers(0, 4))
    check(lambda: ca.tri(n, m, k, np.float32), lambda: np.tri(n, m, k, np.float32), exact=True)


@given(data=st.data())
def test_vander(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(name) for name in ("int16", "float64")]))
    x = data.draw(pairs(dtype, shapes(max_dims=2), st.integers(-5, 5)))
    count, increasing = data.draw(st.none() | st.integers(0, 5)), data.draw(st.booleans())
    check(lambda: ca.vander(x.cuarray, count, increasing), lambda: np.vander(x.numpy, count, increasing))


@given(data=st.data())
def test_meshgrid(data: st.DataObject) -> None:
    found = [data.draw(pairs(FEW, shapes(max_dims=1))) for _ in range(data.draw(st.integers(1, 3)))]
    options = {
        "sparse": data.draw(st.booleans()),
        "copy": data.draw(st.booleans()),
        "indexing": data.draw(st.sampled_from(["xy", "ij", "no"])),
    }
    check_all(
        lambda: ca.meshgrid(*(x.cuarray for x in found), **options),
        lambda: tuple(np.meshgrid(*(x.numpy for x in found), **options)),  # or a list, for some options
    )


def test_grids() -> None:
    for key in (
        np.s_[0:3],
        np.s_[1:2:0.25],
        np.s_[0:1:5j],
        np.s_[0:3, 1:3],
        np.s_[0:1:3j, 0:4:2],
        np.s_[-1:1:0.5, 0:2, 1:5:3],
        np.s_[0:1:1j, :2],
    ):
        assert_same(ca.mgrid[key], np.mgrid[key])
        if isinstance(key, tuple):
            check_all(lambda k=key: ca.ogrid[k], lambda k=key: np.ogrid[k])
        else:
            assert_same(ca.ogrid[key], np.ogrid[key])
    check(lambda: ca.mgrid[3:0, 0:2], lambda: np.mgrid[3:0, 0:2])
    check_all(lambda: ca.ogrid[3:0, 0:2], lambda: np.ogrid[3:0, 0:2])
    assert_same(ca.indices((2, 3)), np.indices((2, 3)))
    check_all(lambda: ca.indices((2, 3), sparse=True), lambda: np.indices((2, 3), sparse=True))
    assert_same(ca.fromfunction(lambda i, j: i * j, (2, 3)), np.fromfunction(lambda i, j: i * j, (2, 3)))
    assert [list(map(int, own)) for own in ca.diag_indices(2, 3)] == [[0, 1]] * 3


def test_functions_along_axes() -> None:
    host = np.arange(24.0).reshape(2, 3, 4)
    x = ca.array(host)
    for axis in (0, 1, -1):
        assert_same(ca.apply_along_axis(lambda v: v[::-1], axis, x), np.apply_along_axis(lambda v: v[::-1], axis, host))
        assert_same(ca.apply_along_axis(lambda v: v.sum(), axis, x), np.apply_along_axis(lambda v: v.sum(), axis, host))
        outer = lambda v: v[:, None] * v  # noqa: E731
        assert_same(ca.apply_along_axis(outer, axis, x), np.apply_along_axis(outer, axis, host))
    with pytest.raises(ValueError):
        ca.apply_along_axis(ca.sum, 0, ca.zeros((3, 0)))
    for axes in (0, (0, 2), [1], (-1, 0)):
        assert_same(ca.apply_over_axes(ca.sum, x, axes), np.apply_over_axes(np.sum, host, axes))
    assert [(i, v.item()) for i, v in ca.ndenumerate(x[0, :2, :2])] == [
        (i, v.item()) for i, v in np.ndenumerate(host[0, :2, :2])
    ]
    assert list(ca.ndindex(2, 2)) == list(np.ndindex(2, 2))


@given(data=st.data())
def test_stride_tricks(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    window = data.draw(st.integers(-1, 4) | st.tuples(st.integers(0, 3), st.integers(1, 3)))
    axis = data.draw(st.none() | st.integers(-2, 2) | st.tuples(st.integers(-2, 1), st.integers(-2, 1)))
    ours, theirs = ca.lib.stride_tricks, np.lib.stride_tricks
    check_view(
        x, lambda a: ours.sliding_window_view(a, window, axis), lambda a: theirs.sliding_window_view(a, window, axis)
    )


def test_as_strided() -> None:
    host = np.arange(10)
    x = ca.array(host)
    tricks = ca.lib.stride_tricks
    assert_same(tricks.as_strided(x, (4, 3), (16, 8)), np.lib.stride_tricks.as_strided(host, (4, 3), (16, 8)))
    assert_same(tricks.as_strided(x[5:], (3,), (-16,)), np.lib.stride_tricks.as_strided(host[5:], (3,), (-16,)))
    assert not tricks.as_strided(x, (2,), (8,), writeable=False).flags.writeable
    with pytest.raises(ValueError, match="reaches over"):
        tricks.as_strided(x, (4, 3), (24, 8))
    with pytest.raises(ValueError, match="multiples"):
        tricks.as_strided(x, (4,), (4,))
    with pytest.raises(ValueError, match="length"):
        tricks.as_strided(x, (4,), (4, 8))


@pytest.mark.parametrize("dtype", ["bfloat16", "pair"])
def test_stored_only(dtype: Any) -> None:
    """What only moves elements also moves structs and bfloat16."""
    import ml_dtypes

    own = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.dtype([("a", "i4"), ("b", "f8")], align=True)
    host = np.zeros(4, own)
    host[:] = [1, 2, 3, 4] if dtype == "bfloat16" else [(1, 1.5), (2, 2.5), (3, 3.5), (4, 4.5)]
    x = ca.array(host)
    for function in (
        lambda m, a: m.concatenate([a, a]),
        lambda m, a: m.tile(a, 2),
        lambda m, a: m.repeat(a, [1, 0, 2, 1]),
        lambda m, a: m.roll(a, 1),
        lambda m, a: m.delete(a, [0, 2]),
        lambda m, a: m.flip(a),
        lambda m, a: m.stack([a, a], 1),
        lambda m, a: m.resize(a, (2, 3)),
        lambda m, a: m.pad(a, 1, mode="edge"),
    ):
        result, expected = function(ca, x), function(np, host)
        assert result.dtype == expected.dtype
        assert result.tolist() == expected.tolist()
