"""Basic indexing and assignment: integers, slices, None and Ellipsis; views share memory; overlapping assignment."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import basic_slices, dtypes, pair, pairs, shapes

import cuarray as ca


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


BAD_KEYS = [1.0, "a", (0, 1.5), 1j, (Ellipsis, Ellipsis), 3, -4, (0, 0, 0), slice(0, 1.5)]


@pytest.mark.parametrize("key", BAD_KEYS, ids=str)
def test_bad_keys(key: Any) -> None:
    host = np.zeros((3, 2))
    check(lambda: ca.array(host)[key], lambda: host[key])


@pytest.mark.parametrize("key", [[0, 1], np.array([0, 1]), np.array([True, False, True]), True])
def test_index_arrays_are_not_there_yet(key: Any) -> None:
    with pytest.raises(NotImplementedError, match="index 0"):
        ca.zeros((3, 2))[key]


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
