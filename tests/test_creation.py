"""Arrays from values, from nothing, and from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given
from hypothesis import strategies as st
from strategies import dtypes, numpy_arrays, pairs, shapes, values

import cuarray as ca
from cuarray._dtypes import DTYPES


@given(data=st.data())
def test_array_of_a_numpy_array(data: st.DataObject) -> None:
    """Whatever its layout; the copy shares no memory with it."""
    x = data.draw(pairs())
    result = ca.array(x.numpy)
    assert_same(result, x.numpy, exact=True)
    wanted = data.draw(dtypes("fc" if x.numpy.dtype.kind in "fc" else "biufc"))
    check(lambda: ca.array(x.numpy, dtype=wanted), lambda: np.array(x.numpy, dtype=wanted), exact=True)
    check(lambda: ca.asarray(x.cuarray), lambda: np.asarray(x.numpy), exact=True)


NESTED = st.recursive(
    st.booleans() | st.integers(-5, 2**40) | st.floats(allow_nan=False) | st.complex_numbers(max_magnitude=9),
    lambda inner: st.lists(inner, max_size=3) | st.tuples(inner, inner),
    max_leaves=6,
)


@given(value=NESTED)
def test_array_of_nested_sequences(value: Any) -> None:
    """And ragged ones raise what NumPy raises."""
    check(lambda: ca.array(value), lambda: np.array(value), exact=True)


def test_array_of_arrays() -> None:
    rows = [ca.arange(3), ca.ones(3, "int64")]
    assert_same(ca.array(rows), np.array([np.arange(3), np.ones(3, "int64")]))


def test_array_arguments() -> None:
    host = np.arange(6).reshape(2, 3)
    x = ca.array(host)
    copy = ca.array(x)
    copy[0, 0] = 9
    assert x[0, 0].item() == 0
    assert ca.asarray(x) is x
    assert ca.array(x, copy=None)._pointer == x._pointer
    with pytest.raises(ValueError, match="copy"):
        ca.array(host, copy=False)
    with pytest.raises(ValueError, match="copy"):
        ca.asarray(x, "float32", copy=False)
    assert_same(ca.array(x, ndmin=4), np.array(host, ndmin=4))
    assert_same(ca.array(3, ndmin=1), np.array(3, ndmin=1))
    assert ca.array(1, device=x.device).device == x.device
    with pytest.raises(ValueError, match="device"):
        ca.array(1, device="nowhere")


@pytest.mark.parametrize("value", ["text", object(), {1: 2}, [None], np.array(["a"]), np.datetime64("2020"), 2**70])
def test_what_is_no_array(value: Any) -> None:
    with pytest.raises((TypeError, OverflowError)):
        ca.array(value)


def test_byte_order_and_long_names() -> None:
    """Other byte orders and NumPy's platform names come to the native dtypes."""
    host = np.arange(3, dtype=">i4")
    assert_same(ca.array(host), host.astype(np.int32))
    assert ca.zeros(1, np.longlong).dtype == np.int64
    assert ca.zeros(1, "l").dtype == np.int64


@given(shape=shapes(), dtype=dtypes())
def test_zeros_ones_empty(shape: tuple, dtype: np.dtype) -> None:
    assert_same(ca.zeros(shape, dtype), np.zeros(shape, dtype), exact=True)
    assert_same(ca.ones(shape, dtype), np.ones(shape, dtype), exact=True)
    result = ca.empty(shape, dtype)
    assert (result.shape, result.dtype) == (shape, dtype)


@given(data=st.data())
def test_full(data: st.DataObject) -> None:
    shape = data.draw(shapes())
    dtype = data.draw(dtypes())
    value = data.draw(values(dtype))
    assert_same(ca.full(shape, value, dtype), np.full(shape, value, dtype), exact=True)
    value = data.draw(st.booleans() | st.integers(-5, 5) | st.floats() | st.just(2j) | st.just(np.float32(1.5)))
    check(lambda: ca.full(shape, value), lambda: np.full(shape, value), exact=True)


def test_full_of_an_array_and_of_what_does_not_fit() -> None:
    assert_same(ca.full((2, 3), [1, 2, 3]), np.full((2, 3), [1, 2, 3]))
    assert_same(ca.full((2, 3), ca.arange(3.0)), np.full((2, 3), np.arange(3.0)))
    check(lambda: ca.full(2, 300, "uint8"), lambda: np.full(2, 300, "uint8"))
    with pytest.raises(TypeError):  # where NumPy only warns that it drops the imaginary part
        ca.full(2, 1j, "float32")


@given(data=st.data())
def test_like(data: st.DataObject) -> None:
    """Of the same shape, dtype and order of axes."""
    x = data.draw(pairs(dtypes("if"), layouts=("contiguous", "transposed", "sliced")))
    for name in ("zeros_like", "ones_like"):
        assert_same(getattr(ca, name)(x.cuarray), getattr(np, name)(x.numpy), exact=True)
    result, reference = ca.empty_like(x.cuarray), np.empty_like(x.numpy)
    assert result.shape == reference.shape
    if x.numpy.size and 1 not in x.numpy.shape:  # where strides have a meaning
        assert result.strides == reference.strides
    assert_same(ca.full_like(x.cuarray, 3, "int8"), np.full_like(x.numpy, 3, "int8"))
    assert_same(ca.zeros_like(x.cuarray, shape=(2, 2)), np.zeros_like(x.numpy, shape=(2, 2)))


NUMBERS = st.integers(-20, 20) | st.floats(-20, 20).map(lambda value: round(value * 4) / 4)


@given(start=NUMBERS, stop=NUMBERS, step=NUMBERS.filter(bool))
def test_arange(start: Any, stop: Any, step: Any) -> None:
    check(lambda: ca.arange(start), lambda: np.arange(start))
    check(lambda: ca.arange(start, stop), lambda: np.arange(start, stop))
    check(lambda: ca.arange(start, stop, step), lambda: np.arange(start, stop, step))


@given(start=st.integers(0, 20), stop=st.integers(0, 100), step=st.integers(1, 5), dtype=dtypes("iuf"))
def test_arange_with_a_dtype(start: int, stop: int, step: int, dtype: np.dtype) -> None:
    check(lambda: ca.arange(start, stop, step, dtype=dtype), lambda: np.arange(start, stop, step, dtype=dtype))


def test_arange_of_many_and_of_nothing() -> None:
    assert_same(ca.arange(300_001), np.arange(300_001))
    assert_same(ca.arange(0.0, 1.0, 1e-5), np.arange(0.0, 1.0, 1e-5), rtol=1e-15)
    assert_same(ca.arange(5, 0), np.arange(5, 0))
    check(lambda: ca.arange(1, 2, 0), lambda: np.arange(1, 2, 0))
    check(lambda: ca.arange(float("nan")), lambda: np.arange(float("nan")))
    check(lambda: ca.arange(float("inf")), lambda: np.arange(float("inf")))
    assert_same(ca.arange(ca.array(3)), np.arange(3))
    assert_same(ca.arange(2, dtype=bool), np.arange(2, dtype=bool))


@given(start=NUMBERS, stop=NUMBERS, num=st.integers(0, 12), endpoint=st.booleans(), dtype=st.none() | dtypes("if"))
def test_linspace(start: Any, stop: Any, num: int, endpoint: bool, dtype: Any) -> None:
    if dtype is not None and dtype.kind == "i":
        # Where a value is a whole number but for rounding errors, floor() of either is right.
        reference = np.linspace(start, stop, num, endpoint)
        if np.any(np.abs(reference - np.round(reference)) < 1e-9):
            return
    check(
        lambda: ca.linspace(start, stop, num, endpoint=endpoint, dtype=dtype),
        lambda: np.linspace(start, stop, num, endpoint, dtype=dtype),
        atol=1e-13 if dtype is None or dtype.itemsize == 8 else 1e-6 if dtype.itemsize == 4 else 2e-2,
    )


def test_linspace_arguments() -> None:
    check(lambda: ca.linspace(0, 1, -1), lambda: np.linspace(0, 1, -1))
    check(lambda: ca.linspace(0, 1, 2.5), lambda: np.linspace(0, 1, 2.5))
    check(lambda: ca.linspace(0, 1j, 3), lambda: np.linspace(0, 1j, 3))


@given(n=st.integers(0, 5), m=st.none() | st.integers(0, 5), k=st.integers(-6, 6), dtype=dtypes())
def test_eye(n: int, m: int | None, k: int, dtype: np.dtype) -> None:
    assert_same(ca.eye(n, m, k, dtype), np.eye(n, m, k, dtype))
    assert_same(ca.identity(n), np.identity(n))


@given(data=st.data())
def test_copies(data: st.DataObject) -> None:
    x = data.draw(pairs())
    copy = ca.copy(x.cuarray)
    assert_same(copy, x.numpy, exact=True)
    assert not x.numpy.size or copy._pointer != x.cuarray._pointer
    dense = ca.ascontiguousarray(x.cuarray)
    assert_same(dense, np.ascontiguousarray(x.numpy), exact=True)
    assert dense.flags.c_contiguous
    np.testing.assert_array_equal(ca.asnumpy(x.cuarray), x.numpy)


@given(data=st.data())
def test_copyto(data: st.DataObject) -> None:
    target = data.draw(pairs(dtypes("if"), (2, 3), layouts=("contiguous", "transposed", "reversed", "sliced")))
    source = data.draw(numpy_arrays(data.draw(dtypes("i")), (3,), st.integers(0, 9)))

    def by_numpy() -> np.ndarray:
        np.copyto(target.numpy, source)
        return target.numpy

    def by_cuarray() -> ca.CuArray:
        ca.copyto(target.cuarray, ca.array(source))
        return target.cuarray

    check(by_cuarray, by_numpy, exact=True)


@given(dtype=dtypes(), casting=st.sampled_from(["no", "equiv", "safe", "same_kind", "unsafe"]), target=dtypes())
def test_casting(dtype: np.dtype, casting: str, target: np.dtype) -> None:
    host = np.zeros(2, dtype)
    x = ca.array(host)
    check(lambda: x.astype(target, casting=casting), lambda: host.astype(target, casting=casting))
    assert (x.astype(target, copy=False) is x) == (dtype == target)


@pytest.mark.parametrize("shape", [-1, (2, -3), 1.5, "ab", (2, None), (1,) * 65, 2**62, (2**32, 2**32)])
def test_bad_shapes(shape: Any) -> None:
    with pytest.raises((TypeError, ValueError), match="shape"):
        ca.zeros(shape)


@pytest.mark.parametrize("dtype", ["float128", "U3", "O", "datetime64[s]", "nonsense", [("a", "U3")], 3.5])
def test_bad_dtypes(dtype: Any) -> None:
    with pytest.raises(TypeError, match="dtype"):
        ca.zeros(3, dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype_by_every_name(dtype: np.dtype) -> None:
    for name in (dtype, dtype.name, dtype.char, dtype.type, dtype.str):
        assert ca.zeros(1, name).dtype == dtype
