"""Functions that read and write by index arrays and masks, compaction, and accumulation at index arrays."""

from __future__ import annotations

import functools
import itertools
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import assume, given, reject, settings
from hypothesis import strategies as st
from strategies import numpy_arrays, pair, pairs, shapes

import cuarray as ca
from cuarray._functions import _advanced, _compaction, _scatter
from cuarray._functions.indexing import compress_flat, scatter_at, true_positions
from cuarray._tuning import Target


@pytest.fixture(params=["own", "blocks"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine as it is, and the plans for one whose blocks have 64 threads, which run everywhere."""
    if request.param == "blocks":
        for module in (_advanced, _compaction, _scatter):
            monkeypatch.setattr(module, "target", lambda: Target(2, 64, 1024, 2))


FEW = st.sampled_from([np.dtype(name) for name in ("float16", "int32", "complex128")])
TRUTHY = st.sampled_from([np.dtype(name) for name in ("bool", "float16", "int32", "complex128")])


def same_tuple(actual: Any, expected: Any) -> None:
    assert type(actual) is tuple
    assert len(actual) == len(expected)
    for own, wanted in zip(actual, expected, strict=True):
        assert_same(own, np.asarray(wanted))


# ---- compaction


@pytest.mark.usefixtures("machine")
@given(data=st.data())
def test_nonzero(data: st.DataObject) -> None:
    shape = shapes(max_dims=4, min_dims=1)
    x = data.draw(pairs(TRUTHY, shape, st.sampled_from([0, 0, 1])))
    same_tuple(ca.nonzero(x.cuarray), np.nonzero(x.numpy))
    same_tuple(x.cuarray.nonzero(), np.nonzero(x.numpy))
    same_tuple(ca.where(x.cuarray), np.where(x.numpy))
    assert_same(ca.flatnonzero(x.cuarray), np.flatnonzero(x.numpy))
    assert_same(ca.argwhere(x.cuarray), np.argwhere(x.numpy))
    assert ca.argwhere(x.cuarray).flags.c_contiguous == np.argwhere(x.numpy).flags.c_contiguous
    assert_same(true_positions(x.cuarray), np.flatnonzero(x.numpy))
    values = data.draw(numpy_arrays(np.dtype("int32"), x.numpy.shape))
    assert_same(compress_flat(ca.array(values), x.cuarray), values[x.numpy != 0])


@pytest.mark.parametrize("size", [1, 31, 64, 65, 4097, 200_003])
@pytest.mark.parametrize("share", [0.0, 0.5, 1.0])
@pytest.mark.usefixtures("machine")
def test_compaction_of_many(size: int, share: float) -> None:
    rng = np.random.default_rng(size)
    mask = rng.random(size) < share
    values = rng.random(size)
    assert_same(true_positions(ca.array(mask)), np.flatnonzero(mask))
    assert_same(compress_flat(ca.array(values), ca.array(mask)), values[mask])


def test_nothing_to_select() -> None:
    with pytest.raises(ValueError, match="0d"):
        ca.nonzero(ca.array(1))
    assert_same(ca.argwhere(ca.array(1)), np.argwhere(np.array(1)))
    assert_same(ca.argwhere(ca.array(0)), np.argwhere(np.array(0)))
    assert_same(ca.flatnonzero(ca.zeros((0, 3))), np.flatnonzero(np.zeros((0, 3))))
    assert_same(ca.flatnonzero(ca.array([0.0, -0.0, np.nan])), np.array([2]))


# ---- reading


@pytest.mark.usefixtures("machine")
@settings(max_examples=100)
@given(data=st.data())
def test_take(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_dims=3)))
    axis = data.draw(st.none() | st.integers(-len(x.numpy.shape) - 1, len(x.numpy.shape)))
    mode = data.draw(st.sampled_from(["raise", "wrap", "clip"]))
    if mode == "wrap" and 0 in x.numpy.shape:  # where NumPy counts down by 0 without end
        mode = "clip"
    bound = 3 if mode == "raise" else 9
    dtype = np.dtype(data.draw(st.sampled_from(["int64", "int8"])))
    index = pair(data.draw(numpy_arrays(dtype, shapes(max_dims=2), st.integers(-bound, bound))))
    assume(mode != "wrap" or x.numpy.size)  # NumPy may look for a place along an axis of extent 0 for ever
    for own in (index.cuarray, index.numpy):
        check(
            lambda own=own: ca.take(x.cuarray, own, axis, mode=mode),
            lambda: np.take(x.numpy, index.numpy, axis, mode=mode),
        )
    check(lambda: x.cuarray.take(index.cuarray, axis, mode=mode), lambda: x.numpy.take(index.numpy, axis, mode=mode))


@given(data=st.data())
def test_take_along_axis(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(min_dims=1, min_side=1)))
    axis = data.draw(st.integers(-x.numpy.ndim, x.numpy.ndim - 1))
    extent = x.numpy.shape[axis]
    shape = list(data.draw(st.sampled_from([x.numpy.shape, (1,) * x.numpy.ndim])))
    shape[axis] = data.draw(st.integers(0, 5))
    bound = extent if data.draw(st.integers(0, 9)) == 0 else extent - 1
    index = data.draw(numpy_arrays(np.dtype("int64"), tuple(shape), st.integers(-extent, bound)))
    check(
        lambda: ca.take_along_axis(x.cuarray, ca.array(index), axis), lambda: np.take_along_axis(x.numpy, index, axis)
    )

    def write(module: Any, array: Any, where: Any) -> Any:
        module.put_along_axis(array, where, 5, axis)
        return array

    copies = pair(x.numpy.copy())
    check(lambda: write(ca, copies.cuarray, ca.array(index)), lambda: write(np, copies.numpy, index))


def test_take_of_nothing() -> None:
    """Indices are out of range where the result has elements, and nowhere else."""
    # Not "wrap": there NumPy looks for a place along an axis of extent 0 for ever.
    for shape, axis in (((1, 0, 0), 1), ((0, 3), 0), ((0,), 0), ((2, 0), 1), ((2, 0), 0)):
        for index, mode in itertools.product(([1], []), ("raise", "clip")):
            host = np.zeros(shape)
            own = np.array(index, np.int64)
            check(lambda: ca.take(ca.array(host), own, axis, mode=mode), lambda: np.take(host, own, axis, mode=mode))  # noqa: B023


def test_along_no_axis() -> None:
    host = np.array([[3, 1], [2, 0]])
    assert_same(
        ca.take_along_axis(ca.array(host), ca.array([0, 3]), None), np.take_along_axis(host, np.array([0, 3]), None)
    )
    for x, expected in ((ca.array(host), host.copy()), (ca.array(host.T).T, host.copy())):
        ca.put_along_axis(x, ca.array([0, 3]), [7, 8], None)
        np.put_along_axis(expected, np.array([0, 3]), [7, 8], None)
        assert_same(x, expected)


@given(data=st.data())
def test_compress_and_extract(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_dims=3)))
    axis = data.draw(st.none() | st.integers(-x.numpy.ndim, x.numpy.ndim))
    condition = data.draw(numpy_arrays(np.dtype(bool), (data.draw(st.integers(0, 5)),)))
    check(lambda: ca.compress(condition, x.cuarray, axis), lambda: np.compress(condition, x.numpy, axis))
    check(lambda: x.cuarray.compress(condition, axis), lambda: x.numpy.compress(condition, axis))
    same = data.draw(numpy_arrays(np.dtype(bool), x.numpy.shape))
    assert_same(ca.extract(ca.array(same), x.cuarray), np.extract(same, x.numpy))
    assert_same(ca.extract(same.ravel()[:2], x.cuarray), np.extract(same.ravel()[:2], x.numpy))


def test_out() -> None:
    host = np.arange(6).reshape(2, 3)
    x, out = ca.array(host), ca.zeros((2, 2))
    assert ca.take(x, [0, 2], 1, out=out) is out
    assert_same(out, host[:, [0, 2]].astype(float))
    assert ca.compress([True, False, True], x, 1, out=out) is out
    with pytest.raises(ValueError, match="take: out"):
        ca.take(x, [0], 1, out=out)
    narrow = ca.zeros(2, "int64")
    ca.take(ca.array([1.5, 2.5]), [1, 0], out=narrow)
    assert_same(narrow, np.take(np.array([1.5, 2.5]), [1, 0], out=np.zeros(2, np.int64)))


@pytest.mark.parametrize("mode", ["raise", "wrap", "clip"])
@pytest.mark.parametrize(
    ("shape", "indices", "axis"), [((0, 1), [5], 1), ((0, 3), [[-9, 4]], 1), ((2, 0), [0], 1), ((0, 0), [0], 1)]
)
def test_nothing_is_taken_out_of_range(shape: tuple[int, int], indices: list, axis: int, mode: str) -> None:
    """Where the result has no elements, no index is out of range."""
    host = np.zeros(shape)
    for own in (list, ca.array):
        check(
            functools.partial(ca.take, ca.array(host), own(indices), axis, mode=mode),
            functools.partial(np.take, host, indices, axis, mode=mode),
        )


def test_the_position_in_an_array_without_dimensions() -> None:
    assert_same(ca.ravel_multi_index((), ()), np.ravel_multi_index((), ()))


@given(data=st.data())
def test_choose(data: st.DataObject) -> None:
    shape = data.draw(shapes(max_dims=2))
    mode = data.draw(st.sampled_from(["raise", "wrap", "clip"]))
    bound = 2 if mode == "raise" else 5
    numbers = pair(data.draw(numpy_arrays(np.dtype("int32"), shape, st.integers(-bound + 2, bound))))
    choices = [
        data.draw(numpy_arrays(np.dtype(d), s, st.integers(0, 9)))
        for d, s in (("int32", ()), ("float32", shape), ("int8", shape[1:]))
    ]
    check(
        lambda: ca.choose(numbers.cuarray, [ca.array(choice) for choice in choices], mode=mode),
        lambda: np.choose(numbers.numpy, choices, mode=mode),
    )


@given(data=st.data())
def test_select_and_piecewise(data: st.DataObject) -> None:
    x = data.draw(
        pairs(st.sampled_from([np.dtype("float32"), np.dtype("int32")]), shapes(max_dims=2), st.integers(-9, 9))
    )
    default = data.draw(st.sampled_from([0, 1.5, np.float32(2)]))

    def chosen(module: Any, y: Any) -> Any:
        return module.select([y < -3, y > 3], [y * 2, 7], default)

    check(lambda: chosen(ca, x.cuarray), lambda: chosen(np, x.numpy))

    def pieces(module: Any, y: Any) -> Any:
        functions = [lambda z, k: z * k, 5, lambda z, k: z + k]
        return module.piecewise(y, [y < -3, y > 3], functions, 2)

    check(lambda: pieces(ca, x.cuarray), lambda: pieces(np, x.numpy))
    check(
        lambda: ca.piecewise(x.cuarray, [x.cuarray > 0], [1, -1]),
        lambda: np.piecewise(x.numpy, [x.numpy > 0], [1, -1]),
    )
    flat = pair(np.arange(-2.0, 3.0))
    assert_same(
        ca.piecewise(flat.cuarray, flat.cuarray > 0, [np.exp, -1]),
        np.piecewise(flat.numpy, flat.numpy > 0, [np.exp, -1]),
    )


# ---- writing


@pytest.mark.usefixtures("machine")
@settings(max_examples=60)
@given(data=st.data())
def test_put_place_putmask_copyto(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_dims=3), layouts=("contiguous", "transposed", "sliced", "reversed")))
    mode = data.draw(st.sampled_from(["raise", "wrap", "clip"]))
    index = data.draw(numpy_arrays(np.dtype("int64"), shapes(max_dims=2, max_side=3), st.integers(-4, 4)))
    values = np.arange(1, 1 + data.draw(st.integers(1, 6))).astype(x.numpy.dtype)
    mask = data.draw(numpy_arrays(np.dtype(bool), x.numpy.shape))
    given_index = data.draw(st.sampled_from([index, ca.array(index)]))

    def call(name: str, *arguments: Any) -> Callable[[Any, Any], Any]:
        def run(module: Any, array: Any) -> Any:
            getattr(module, name)(array, *arguments)
            return array

        return run

    try:
        np.put(x.numpy.copy(), index, values, mode)
    except IndexError:
        with pytest.raises(IndexError):  # those in range may have been set
            ca.put(ca.array(x.numpy), given_index, values, mode)
    else:
        np.put(x.numpy, index, values, mode)
        ca.put(x.cuarray, given_index, values, mode)
    assert_same(x.cuarray, x.numpy)
    for name in ("place", "putmask"):
        run = call(name, mask, values)
        check(lambda run=run: run(ca, x.cuarray), lambda run=run: run(np, x.numpy))
    np.copyto(x.numpy, 3, where=mask)
    ca.copyto(x.cuarray, 3, where=ca.array(mask))
    assert_same(x.cuarray, x.numpy)
    np.copyto(x.numpy, x.numpy[..., ::-1].copy() if x.numpy.ndim else x.numpy, where=mask)
    ca.copyto(x.cuarray, x.cuarray[..., ::-1] if x.numpy.ndim else x.cuarray, where=mask)
    assert_same(x.cuarray, x.numpy)


@pytest.mark.parametrize("wrap", [False, True])
@pytest.mark.parametrize("shape", [(3, 3), (2, 5), (7, 3), (3, 3, 3), (0, 2), (4, 0)])
def test_fill_diagonal(shape: tuple[int, ...], wrap: bool) -> None:
    for values in (4, [1, 2], np.arange(30.0)):
        x = pair(np.zeros(shape))
        if x.numpy.size:
            np.fill_diagonal(x.numpy, values, wrap)
        ca.fill_diagonal(x.cuarray, values, wrap)
        assert_same(x.cuarray, x.numpy)


# ---- index arrays


def test_makers() -> None:
    host = np.zeros((4, 3))
    x = ca.array(host)
    for n, k, m in ((3, 0, None), (3, -1, 5), (4, 2, 2), (0, 0, 3)):
        same_tuple(ca.tril_indices(n, k, m), np.tril_indices(n, k, m))
        same_tuple(ca.triu_indices(n, k, m), np.triu_indices(n, k, m))
    same_tuple(ca.tril_indices_from(x, 1), np.tril_indices_from(host, 1))
    same_tuple(ca.triu_indices_from(x), np.triu_indices_from(host))
    same_tuple(ca.diag_indices(3, 3), np.diag_indices(3, 3))
    same_tuple(ca.diag_indices_from(ca.zeros((2, 2, 2))), np.diag_indices_from(np.zeros((2, 2, 2))))
    same_tuple(ca.mask_indices(3, lambda y, k: y * ca.eye(3, k=k), 1), (np.array([0, 1]), np.array([1, 2])))
    same_tuple(ca.ix_([1, 2], [True, False, True], []), np.ix_([1, 2], [True, False, True], []))
    assert_same(ca.indices((2, 3)), np.indices((2, 3)))
    assert_same(ca.indices((2, 0, 3), "float32"), np.indices((2, 0, 3), "float32"))
    same_tuple(ca.indices((2, 3), sparse=True), np.indices((2, 3), sparse=True))


@pytest.mark.parametrize("order", ["C", "F"])
@given(data=st.data())
def test_positions_and_coordinates(order: Any, data: st.DataObject) -> None:
    shape = data.draw(shapes(min_dims=1, max_dims=4, min_side=1))
    size = int(np.prod(shape))
    out = 1 if data.draw(st.integers(0, 9)) == 0 else 0
    dtype = np.dtype(data.draw(st.sampled_from(["int64", "int16"])))
    positions = data.draw(numpy_arrays(dtype, shapes(max_dims=2), st.integers(-out, size - 1 + out)))
    given_as = data.draw(st.sampled_from([positions, ca.array(positions)]))
    try:
        expected = np.unravel_index(positions, shape, order)
    except ValueError:
        with pytest.raises(ValueError, match="out of bounds"):
            ca.unravel_index(given_as, shape, order)
        return
    same_tuple(ca.unravel_index(given_as, shape, order), expected)
    back = ca.ravel_multi_index(tuple(ca.array(part) for part in expected), shape, order=order)
    assert_same(back, positions.astype(np.int64))
    modes = tuple(data.draw(st.sampled_from(["wrap", "clip", "raise"])) for _ in shape)
    coordinates = tuple(np.asarray(data.draw(st.integers(-6, 6))) for _ in shape)
    check(
        lambda: ca.ravel_multi_index(coordinates, shape, modes, order),
        lambda: np.asarray(np.ravel_multi_index(coordinates, shape, modes, order)),
    )


# ---- accumulation


FUNCTIONS = ["add", "subtract", "multiply", "maximum", "minimum", "bitwise_xor", "logical_or", "power", "divide"]


@pytest.mark.usefixtures("machine")
@settings(max_examples=100)
@given(data=st.data())
def test_scatter_at(data: st.DataObject) -> None:
    """With many equal indices, in the order of the indices: the same bits as NumPy's loop."""
    name = data.draw(st.sampled_from(FUNCTIONS))
    own, other = (data.draw(st.sampled_from(["int32", "float32", "uint8", "float64"])) for _ in range(2))
    x = data.draw(
        pairs(
            np.dtype(own),
            shapes(min_dims=1, max_dims=3, min_side=1),
            st.integers(0, 3),
            ("contiguous", "transposed", "reversed"),
        )
    )
    index = data.draw(numpy_arrays(np.dtype("int64"), shapes(max_dims=2, max_side=6), st.integers(-1, 0)))
    shape = (*index.shape, *x.numpy.shape[1:])
    values = data.draw(numpy_arrays(np.dtype(other), data.draw(st.sampled_from([shape, ()])), st.integers(1, 3)))
    function = getattr(ca, name)
    ufunc = getattr(np, name)
    try:
        with np.errstate(all="ignore", invalid="raise"):
            ufunc.at(x.numpy, index, values)
    except FloatingPointError:
        reject()  # a float that no int32 can hold: what it becomes is the processor's choice
    except TypeError:
        with pytest.raises(TypeError):
            scatter_at(function, x.cuarray, ca.array(index), ca.array(values))
        return
    scatter_at(function, x.cuarray, ca.array(index), ca.array(values))
    assert_same(x.cuarray, x.numpy)


@pytest.mark.parametrize("dtype", ["int32", "int64", "uint32", "uint64", "float32", "float64", "int8", "complex64"])
@pytest.mark.parametrize("name", ["add", "multiply", "maximum"])
@pytest.mark.usefixtures("machine")
def test_scatter_at_many(name: str, dtype: str) -> None:
    rng = np.random.default_rng(1)
    x = pair(rng.integers(1, 4, 1000).astype(dtype))
    index = rng.integers(0, 1000, 5000) ** 2 // 1000
    values = rng.integers(1, 3, 5000).astype(dtype)
    getattr(np, name).at(x.numpy, index, values)
    scatter_at(getattr(ca, name), x.cuarray, ca.array(index), ca.array(values))
    assert_same(x.cuarray, x.numpy)


@pytest.mark.usefixtures("machine")
def test_scatter_at_other_keys() -> None:
    x = pair(np.arange(12.0).reshape(3, 4))
    for key in ((slice(None), [0, 0]), x.numpy > 5, (slice(1, None), 2), ([0, 0, 1], [1, 1, 2]), 1):
        np.add.at(x.numpy, key, 1.5)
        scatter_at(ca.add, x.cuarray, key, 1.5)
        np.negative.at(x.numpy, key)
        scatter_at(ca.negative, x.cuarray, key)
        assert_same(x.cuarray, x.numpy)
    y = pair(np.arange(4))
    np.add.at(y.numpy, y.numpy, y.numpy)
    scatter_at(ca.add, y.cuarray, y.cuarray, y.cuarray)
    assert_same(y.cuarray, y.numpy)


@pytest.mark.usefixtures("machine")
@given(data=st.data())
def test_bincount(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(["int64", "uint8"])))
    x = data.draw(numpy_arrays(dtype, (data.draw(st.integers(0, 20)),), st.integers(0, 7)))
    weights = data.draw(st.none() | st.just(np.arange(x.size) / 8))
    minlength = data.draw(st.integers(0, 9))
    assert_same(ca.bincount(ca.array(x), weights, minlength), np.bincount(x, weights, minlength))


# ---- errors


BAD_CALLS: list[Callable[[Any], Any]] = [
    lambda m: m.take(m.zeros((0, 3)), [0], 0),
    lambda m: m.take(m.zeros(3), m.asarray([0.5])),
    lambda m: m.take(m.zeros(3), [0], mode="around"),
    lambda m: m.take_along_axis(m.zeros((3, 3)), m.asarray([0]), 1),
    lambda m: m.take_along_axis(m.zeros((3, 3)), m.asarray([[0.5]]), 1),
    lambda m: m.compress([[True]], m.zeros(3)),
    lambda m: m.compress([False] * 3 + [True], m.zeros(3)),
    lambda m: m.choose(m.asarray([5]), [1, 2]),
    lambda m: m.select([], []),
    lambda m: m.select([m.asarray(1)], [1]),
    lambda m: m.select([m.asarray(True)], [1, 2]),
    lambda m: m.piecewise(m.zeros(3), [m.zeros(3) > 0], [1, 2, 3]),
    lambda m: m.place(m.zeros(3), m.asarray([True, False, True]), []),
    lambda m: m.place(m.zeros(3), m.asarray([True]), [1]),
    lambda m: m.putmask(m.zeros(3), m.asarray([True]), [1]),
    lambda m: m.put(m.zeros(3), [3], 1),
    lambda m: m.put(m.zeros(0), [0], 1),
    lambda m: m.copyto(m.zeros(3), 1, where=m.asarray([True, False])),
    lambda m: m.copyto(m.zeros(3, "int8"), 1.5, where=True),
    lambda m: m.fill_diagonal(m.zeros(3), 1),
    lambda m: m.fill_diagonal(m.zeros((2, 2, 3)), 1),
    lambda m: m.diag_indices_from(m.zeros((2, 3))),
    lambda m: m.tril_indices_from(m.zeros(3)),
    lambda m: m.ix_([[1]]),
    lambda m: m.unravel_index(m.asarray([1.5]), (2, 2)),
    lambda m: m.unravel_index(4, (2, 2)),
    lambda m: m.ravel_multi_index(([2], [0]), (2, 2)),
    lambda m: m.ravel_multi_index(([1],), (2, 2)),
    lambda m: m.bincount(m.asarray([-1])),
    lambda m: m.bincount(m.asarray([[1]])),
    lambda m: m.bincount(m.asarray([1]), m.asarray([1, 2])),
    lambda m: m.bincount(m.asarray([1]), minlength=-1),
    lambda m: m.where(m.asarray([True]), 1),
    lambda m: m.nonzero(m.asarray(1)),
]


@pytest.mark.parametrize("call", BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_bad_calls(call: Callable[[Any], Any]) -> None:
    with pytest.raises(Exception) as expected:
        call(np)
    with pytest.raises(expected.type):
        call(ca)


@pytest.mark.parametrize(
    ("call", "kind", "says"),
    [
        (lambda: ca.put(np.zeros(3), [0], 1), TypeError, "put"),
        (lambda: ca.putmask(ca.broadcast_to(ca.zeros(1), (3,)), [True] * 3, 1), ValueError, "read-only"),
        (lambda: scatter_at(ca.add, ca.zeros(3), [0]), ValueError, "second operand"),
        (lambda: scatter_at(ca.negative, ca.zeros(3), [0], 1), ValueError, "unary"),
        (lambda: scatter_at(ca.add, ca.zeros(3), [0, 1], [1, 2, 3]), ValueError, "broadcast"),
        (lambda: scatter_at(ca.add, ca.zeros(3), [3], 1), IndexError, "index 3"),
    ],
)
def test_bad_targets(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        call()
