"""Indexing and assignment: views of basic keys, and keys with index arrays and masks; overlapping assignment."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import basic_slices, dtypes, pair, pairs, shapes

import cuarray as ca
from cuarray._functions import _advanced, _compaction, _scatter
from cuarray._tuning import Target


@st.composite
def keys(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """A basic key for an array of this shape, now and then with an index out of bounds or one too many."""
    parts: list[Any] = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        inside = st.integers(-extent, max(extent - 1, 0))
        parts.append(draw(inside | basic_slices(extent) | basic_slices(extent) | st.integers(-extent - 1, extent)))
    for _ in range(draw(st.sampled_from([0, 0, 0, 1, 2]))):
        parts.insert(draw(st.integers(0, len(parts))), None)
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), Ellipsis)
    if draw(st.integers(0, 15)) == 0:
        parts.append(0)
    return parts[0] if len(parts) == 1 and draw(st.booleans()) else tuple(parts)


FEW = dtypes("f") | st.sampled_from([np.dtype(np.int16), np.dtype(np.complex128)])


@settings(max_examples=150)
@given(data=st.data())
def test_reading(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    key = data.draw(keys(x.numpy.shape))
    check(lambda: x.cuarray[key], lambda: x.numpy[key], exact=True)
    try:
        expected = x.numpy[key]
    except IndexError:
        return
    if expected.size and isinstance(expected, np.ndarray):
        assert x.cuarray[key].strides == expected.strides


@settings(max_examples=100)
@given(data=st.data())
def test_writing(data: st.DataObject) -> None:
    """A scalar, an array that broadcasts, or one that does not; cast without asking, as NumPy does."""
    x = data.draw(pairs(FEW, layouts=("contiguous", "transposed", "sliced", "reversed")))
    key = data.draw(keys(x.numpy.shape))
    try:
        target = x.numpy[key].shape
    except IndexError:
        target = ()
    shape = data.draw(st.sampled_from([(), target, (1, *target), target[1:], (1,) * len(target), (2,)]))
    value = data.draw(pairs(st.sampled_from([np.dtype(np.int8), np.dtype(np.float32)]), shape, st.integers(-9, 9)))
    assume(target or not shape)  # NumPy converts to the one element's type, where arrays of one are deprecated
    scalar = data.draw(st.booleans())

    def write(array: Any, what: Any) -> Any:
        array[key] = what
        return array

    if scalar:
        floats = st.floats(width=16, allow_nan=x.numpy.dtype.kind != "i", allow_infinity=False)
        number = data.draw(st.integers(-9, 9) | floats)
        check(lambda: write(x.cuarray, number), lambda: write(x.numpy, number), exact=True)
    else:
        check(lambda: write(x.cuarray, value.cuarray), lambda: write(x.numpy, value.numpy), exact=True)


OVERLAPS = [
    (np.s_[1:], np.s_[:-1]),
    (np.s_[:-1], np.s_[1:]),
    (np.s_[::2], np.s_[: -(-50_001 // 2)]),
    (np.s_[:], np.s_[::-1]),
    (np.s_[5:], np.s_[:-5]),
]


@pytest.mark.parametrize("dtype", ["int8", "float64"])
@pytest.mark.parametrize(("target", "source"), OVERLAPS, ids=str)
def test_overlapping_assignment(target: slice, source: slice, dtype: str) -> None:
    """The source is read as it was before, however many threads write."""
    host = (np.arange(50_001) % 113).astype(dtype)
    x = ca.array(host)
    x[target] = x[source]
    host[target] = host[source].copy()
    assert_same(x, host)


def test_overlapping_transpose_and_broadcast() -> None:
    host = np.arange(300 * 300).reshape(300, 300)
    x = ca.array(host)
    x[...] = x.T
    assert_same(x, host.T)
    x[...] = x[7]
    assert_same(x, np.broadcast_to(host.T[7], (300, 300)))


def test_in_place_through_a_view() -> None:
    host = np.arange(20.0)
    x = ca.array(host)
    x[1:] += x[:-1]
    host[1:] += host[:-1].copy()
    assert_same(x, host)
    x[::2] *= 2
    host[::2] *= 2
    assert_same(x, host)
    x[3] -= 1
    host[3] -= 1
    assert_same(x, host)


def test_views_share_memory() -> None:
    x = ca.zeros((3, 4))
    row, column, block = x[1], x[:, 2], x[::2, ::-2]
    row[...] = 1
    column += 10
    block[0, 0] = -5
    expected = np.zeros((3, 4))
    expected[1] = 1
    expected[:, 2] += 10
    expected[0, 3] = -5
    assert_same(x, expected)
    assert_same(block, expected[::2, ::-2])
    assert row.base is x


def test_a_view_keeps_the_memory() -> None:
    view = ca.arange(100_000)[10:20]
    for _ in range(20):
        ca.zeros(100_000, "int64")
    assert_same(view, np.arange(10, 20))


def test_one_element_is_an_array() -> None:
    """Unlike NumPy's scalars it sees later writes: reading it costs no synchronisation until its value is asked for."""
    x = ca.arange(3)
    element = x[1]
    assert (type(element), element.shape) == (ca.CuArray, ())
    x[1] = 7
    assert element.item() == 7


@pytest.mark.parametrize("key", [np.int8(1), np.uint64(1), np.array(1), True + 0])
def test_integers_of_any_type(key: Any) -> None:
    host = np.arange(6).reshape(3, 2)
    assert_same(ca.array(host)[key], host[key])
    assert_same(ca.array(host)[ca.array(1)], host[1])
    assert_same(ca.array(host)[key:], host[key:])


BAD_KEYS = [
    *(1.0, "a", (0, 1.5), 1j, (Ellipsis, Ellipsis), 3, -4, (0, 0, 0), slice(0, 1.5)),
    *([1.0], ["a"], {}, object(), np.zeros(2), np.array(1.0), ([0], 1.5), [[0, 1], [2]]),
    *([3], [-4], ([0], [2]), (3, [0]), ([0], [0], [0]), (0, 0, [0]), ([0, 1], [0, 1, 2]), (Ellipsis, [0], Ellipsis)),
    *([True], [True] * 4, np.ones((2, 2), bool), np.ones((3, 2, 1), bool), (np.ones((3, 2), bool), 0), (0, [True] * 3)),
    *(np.array([2**63], np.uint64), np.array([], float), ([True, False, True], [0, 1, 0])),
]


@pytest.mark.parametrize("key", BAD_KEYS, ids=lambda key: str(key).split(" at ")[0])
def test_bad_keys(key: Any) -> None:
    host = np.zeros((3, 2))
    check(lambda: ca.array(host)[key], lambda: host[key])


def test_a_zero_step() -> None:
    with pytest.raises(ValueError, match="step"):
        ca.arange(3)[::0]


@pytest.mark.parametrize(("dtype", "value"), [("uint8", 300), ("uint8", -1), ("float32", 1j), ("int64", 2**63)])
def test_values_that_do_not_fit(dtype: str, value: Any) -> None:
    """What is refused leaves the array as it was."""
    x = pair(np.ones(3, dtype))

    def write(array: Any) -> Any:
        array[1] = value
        return array

    check(lambda: write(x.cuarray), lambda: write(x.numpy))
    assert_same(x.cuarray, np.ones(3, dtype))


@pytest.mark.parametrize("value", [[1, 2], np.ones((2, 3)), [[1], [2]]])
def test_shapes_that_do_not_fit(value: Any) -> None:
    x = ca.zeros(3)
    with pytest.raises(ValueError, match="shape"):
        x[...] = value
    assert_same(x, np.zeros(3))


@given(data=st.data())
def test_iteration(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(min_dims=1)))
    rows = list(x.cuarray)
    assert len(rows) == len(x.numpy) == len(x.cuarray)
    for row, expected in zip(rows, x.numpy, strict=True):
        assert_same(row, expected, exact=True)


# ---- index arrays and masks


@pytest.fixture(params=["own", "blocks"])
def machine(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """The machine as it is, and the plans for one whose blocks have 64 threads, which run everywhere."""
    if request.param == "blocks":
        for module in (_advanced, _compaction, _scatter):
            monkeypatch.setattr(module, "target", lambda: Target(2, 64, 1024, 2))


INDEX_DTYPES = ["int64", "int8", "uint16", "int32"]


class Key(NamedTuple):
    """As NumPy takes it, and as cuarray does."""

    numpy: Any
    cuarray: Any


def as_given(draw: st.DrawFn, array: np.ndarray) -> Key:
    """An index array as users have them: a list, a NumPy array or a CuArray."""
    kind = draw(st.sampled_from(["cuarray", "cuarray", "numpy", "list"]))
    if kind == "list" and array.ndim:
        return Key(array.tolist() or array, array.tolist() or array)
    return Key(array, ca.array(array)) if kind == "cuarray" else Key(array, array)


@st.composite
def mixed_keys(draw: st.DrawFn, shape: tuple[int, ...], bad: bool = True) -> Key:
    """A key with index arrays, masks and whatever else; as NumPy takes it, and as cuarray does."""
    common = draw(st.sampled_from([(), (1,), (2,), (3,), (0,), (2, 2), (2, 1), (1, 3)]))
    parts: list[Key] = []
    axis, used = 0, draw(st.integers(0, len(shape)))
    while axis < used:
        extent = shape[axis]
        kind = draw(st.sampled_from(["array", "array", "mask", "slice", "int"]))
        if kind == "slice" or not extent:
            part: Any = draw(basic_slices(extent))
            parts.append(Key(part, part))
        elif kind == "int":
            part = draw(st.integers(-extent, extent - 1))
            parts.append(Key(part, part))
        elif kind == "mask":
            ndim = draw(st.integers(1, used - axis))
            axis += ndim - 1
            drawn = draw(st.integers(0, 2**32 - 1))
            # An empty mask fits axes of any extent.
            extents = [draw(st.sampled_from([n] * 9 + [0])) for n in shape[axis - ndim + 1 : axis + 1]]
            mask = np.random.default_rng(drawn).random(extents) < 0.6
            parts.append(as_given(draw, mask))
        else:
            out = 1 if bad and draw(st.integers(0, 19)) == 0 else 0
            own = tuple(draw(st.sampled_from([length, 1])) for length in common)[draw(st.integers(0, len(common))) :]
            count = int(np.prod(own))
            dtype = draw(st.sampled_from(INDEX_DTYPES))
            low = 0 if dtype[0] == "u" else -extent
            values = draw(st.lists(st.integers(low, extent - 1 + out), min_size=count, max_size=count))
            parts.append(as_given(draw, np.array(values, dtype).reshape(own)))
        axis += 1
    for _ in range(draw(st.sampled_from([0, 0, 1, 2]))):
        part = draw(st.sampled_from([None, None, True, False]))
        parts.insert(draw(st.integers(0, len(parts))), Key(part, part))
    if draw(st.booleans()):
        parts.insert(draw(st.integers(0, len(parts))), Key(Ellipsis, Ellipsis))
    if len(parts) == 1 and draw(st.booleans()):
        return parts[0]
    return Key(tuple(part.numpy for part in parts), tuple(part.cuarray for part in parts))


@pytest.mark.usefixtures("machine")
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_reading_by_arrays(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_dims=4, min_side=0)))
    key = data.draw(mixed_keys(x.numpy.shape))
    check(lambda: x.cuarray[key.cuarray], lambda: x.numpy[key.numpy], exact=True)


@pytest.mark.usefixtures("machine")
@settings(max_examples=300, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_writing_by_arrays(data: st.DataObject) -> None:
    """Values that broadcast, or not; where indices are equal, the last value stays."""
    x = data.draw(pairs(FEW, shapes(max_dims=4), layouts=("contiguous", "transposed", "sliced", "reversed")))
    key = data.draw(mixed_keys(x.numpy.shape))
    try:
        target = x.numpy[key.numpy].shape
    except IndexError:
        target = ()
    shape = data.draw(st.sampled_from([(), target, target, (1, *target), target[1:], (1,) * len(target), (2,)]))
    dtype = data.draw(st.sampled_from(["int8", "float32", x.numpy.dtype.name]))
    size = int(np.prod(shape))
    value = pair((np.arange(size) % 100 + 1).astype(dtype).reshape(shape))
    given_as = data.draw(st.sampled_from(["cuarray", "numpy", "scalar"]))
    assume(target or not shape)

    def write(array: Any, what: Any, where: Any) -> Any:
        array[where] = what
        return array

    if given_as == "scalar":
        check(lambda: write(x.cuarray, 3, key.cuarray), lambda: write(x.numpy, 3, key.numpy), exact=True)
        return
    what = value.cuarray if given_as == "cuarray" else value.numpy
    try:
        write(x.numpy.copy(), value.numpy, key.numpy)
    except (IndexError, ValueError, TypeError) as error:
        with pytest.raises(type(error)):
            write(x.cuarray, what, key.cuarray)
        return
    check(lambda: write(x.cuarray, what, key.cuarray), lambda: write(x.numpy, value.numpy, key.numpy), exact=True)


@pytest.mark.parametrize("shape", [(0,), (0, 3), (2, 0), (0, 0), (0, 2), (0, 3, 0), (1, 0)])
def test_empty_masks(shape: tuple[int, ...]) -> None:
    """An extent of 0 fits an axis of any extent, and nothing is selected; the others must be right."""
    host, mask = np.arange(6.0).reshape(2, 3), np.zeros(shape, bool)
    for key in (mask, (mask, 0), (slice(None), mask), (mask, [0, 1])):
        own = tuple(ca.array(k) if k is mask else k for k in key) if isinstance(key, tuple) else ca.array(key)
        check(lambda own=own: ca.array(host)[own], lambda key=key: host[key])

    def write(x: Any, key: Any, value: Any) -> Any:
        x[key] = value
        return x

    for value in (1.0, [1.0, 2.0, 3.0], [[1.0]], [[1.0, 2.0]]):
        check(lambda v=value: write(ca.array(host), ca.array(mask), v), lambda v=value: write(host.copy(), mask, v))


@pytest.mark.parametrize("layout", ["rows", "columns", "elements", "mask", "strided"])
def test_large(layout: str) -> None:
    """As many elements as keep all of a machine busy, with many equal indices."""
    rng = np.random.default_rng(5)
    host = rng.random((3000, 70)).astype("float32")
    key: Any = {
        "rows": rng.integers(-3000, 3000, 5000),
        "columns": (slice(None), rng.integers(-70, 70, 100)),
        "elements": (rng.integers(0, 3000, 200_000), rng.integers(0, 70, 200_000)),
        "mask": rng.random((3000, 70)) < 0.3,
        "strided": (rng.integers(0, 3000, (300, 1)), rng.integers(0, 70, 500)),
    }[layout]
    own = tuple(ca.array(part) if isinstance(part, np.ndarray) else part for part in key) if type(key) is tuple else key
    for x, expected in ((ca.array(host), host), (ca.array(host.T).T, host)):
        assert_same(x[own], expected[key], exact=True)
        values = rng.random(host[key].shape).astype("float32")
        x[own] = values
        wanted = host.copy()
        wanted[key] = values
        assert_same(x, wanted, exact=True)
        x[own] = -1
        wanted[key] = -1
        assert_same(x, wanted, exact=True)


@pytest.mark.usefixtures("machine")
def test_the_last_of_equal_indices_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    """With votes and, where a table for them would be large, after a sort."""
    host = np.zeros((5, 70_000), "int32")
    index = np.random.default_rng(2).integers(0, 3, 3000)
    columns = np.random.default_rng(3).integers(0, 2, 3000) * 69_999
    for least in (1 << 22, 0):
        monkeypatch.setattr("cuarray._tuning.SLOTS_LEAST", least)
        monkeypatch.setattr("cuarray._tuning.SLOTS_A_TUPLE", 64 if least else 0)
        _advanced._scatter_call.cache_clear()
        x = ca.array(host)
        x[ca.array(index), ca.array(columns)] = np.arange(3000)
        expected = host.copy()
        expected[index, columns] = np.arange(3000)
        assert_same(x, expected)
    _advanced._scatter_call.cache_clear()


def test_more_index_arrays_than_pointers() -> None:
    host = np.arange(3**6).reshape((3,) * 6)
    key = tuple(np.random.default_rng(k).integers(-3, 3, (4, 1) if k % 2 else (5,)).astype("int16") for k in range(6))
    x = ca.array(host)
    own = tuple(ca.array(part) for part in key)
    assert_same(x[own], host[key])
    assert_same(x[own[:5]], host[key[:5]])
    x[own] = np.arange(5)
    host[key] = np.arange(5)
    assert_same(x, host)


@pytest.mark.usefixtures("machine")
def test_bad_indices_on_the_device() -> None:
    """The first of the first array that has one is named; nothing else is harmed."""
    memory = ca.zeros((4, 10))
    x = memory[1:3]
    rows, columns = ca.array([0, 1, 5, -7]), ca.array([[0, 10, 3, 1], [1, 2, 3, -11]])
    with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 2"):
        x[rows, columns]
    with pytest.raises(IndexError, match="index 10 is out of bounds for axis 1 with size 10"):
        x[:, columns]
    with pytest.raises(IndexError, match="index -7 is out of bounds for axis 0 with size 2"):
        x[rows[::-1]]
    for values in (1.0, np.ones((2, 4)), np.ones((2, 1))):
        with pytest.raises(IndexError, match="index 5 is out of bounds for axis 0 with size 2"):
            x[rows, columns] = values
    assert_same(memory[::3], np.zeros((2, 10)))
    with pytest.raises(IndexError, match="index 5 "):
        _scatter.scatter_at(ca.add, x, (rows, 0), 1.0)
    assert_same(memory[::3], np.zeros((2, 10)))
    assert_same(x[ca.array([1, 0])], np.asarray(x)[::-1])
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 0"):
        ca.zeros((0, 2))[ca.array([3])]
    with pytest.raises(IndexError, match="index 3 is out of bounds for axis 0 with size 3"):
        ca.zeros((3, 0))[ca.array([1, 3])]


def test_in_a_graph() -> None:
    """There indices out of range are the nearest in range, as nothing can be waited for."""
    x, index, out, target = ca.arange(5), ca.array([0, 9, -9]), ca.zeros(3, "int64"), ca.zeros(4, "int64")
    with ca.cuda.graph() as graph:
        out[...] = x[index]
        target[index] = ca.arange(1, 4)
    graph.launch()
    assert_same(out, np.array([0, 4, 0]))
    assert_same(target, np.array([3, 0, 0, 2]))
    index[...] = ca.array([1, 2, 3])
    graph.launch()
    assert_same(out, np.array([1, 2, 3]))
    with pytest.raises(ca.CudaError, match="captured"), ca.cuda.graph():
        x[x > 2]


def test_indices_and_values_that_share_memory() -> None:
    host = np.array([2, 0, 1, 1])
    x = ca.array(host)
    x[x] = x[::-1]
    host[host.copy()] = host[::-1].copy()
    assert_same(x, host)
    x[x > 0] = x[0]
    host[host > 0] = host[0]
    assert_same(x, host)
    flags, expected = ca.array([True, False, True]), np.array([False, False, False])
    flags[flags] = False
    assert_same(flags, expected)


def test_read_only() -> None:
    x = ca.broadcast_to(ca.zeros(1), (3,))
    for key in ([0], np.array([True, False, False])):
        with pytest.raises(ValueError, match="read-only"):
            x[key] = 1


STRUCT = np.dtype([("a", "i4"), ("b", "f8")], align=True)


@pytest.mark.parametrize("dtype", ["bfloat16", STRUCT, np.dtype([("r", "u1"), ("g", "u1"), ("b", "u1")])], ids=str)
@pytest.mark.usefixtures("machine")
def test_elements_that_are_only_stored(dtype: Any) -> None:
    import ml_dtypes

    dtype = np.dtype(ml_dtypes.bfloat16) if dtype == "bfloat16" else dtype
    host = np.arange(12).reshape(3, 4).astype(dtype)
    x = ca.array(host)
    for key in ([2, 0, 2], (slice(None), [1, 3]), np.eye(3, 4) > 0, ([0, 1], [1, 2])):
        assert (np.asarray(x[key]) == host[key]).all()
        wanted = host.copy()
        y = ca.array(host)
        values = host[key][..., ::-1].copy()
        y[key] = values
        wanted[key] = values
        assert (np.asarray(y) == wanted).all()
        y[key] = host[0, 1]
        wanted[key] = host[0, 1]
        assert (np.asarray(y) == wanted).all()
    if dtype.names:
        x[[1]] = tuple(7 for _ in dtype.names)
        assert (np.asarray(x[1]) == np.full(4, 7).astype(dtype)).all()


def test_fields_by_a_list() -> None:
    host = np.zeros(3, STRUCT)
    x = ca.array(host)
    assert x[["b"]].dtype == host[["b"]].dtype
    assert x[["b"]].base is x


def test_values_from_lists() -> None:
    x = ca.zeros(3, "uint8")
    with pytest.raises(OverflowError):
        x[[0]] = [300]
    with pytest.raises(TypeError):
        ca.zeros(3)[[0]] = [1j]
    x[[0, 2]] = [1, 2]
    assert_same(x, np.array([1, 0, 2], "uint8"))
