"""Arrays from values, from nothing, and from each other."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
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
    # NumPy knows bfloat16 by its name and its type only.
    names = [dtype, dtype.name, dtype.type, *([dtype.char, dtype.str] if dtype.isbuiltin == 1 else [])]
    for name in names:
        assert ca.zeros(1, name).dtype == dtype


# ---- orders, devices, and what else NumPy's functions take


@given(data=st.data())
def test_orders(data: st.DataObject) -> None:
    """array, asarray and the _like functions lay elements out as NumPy does."""
    x = data.draw(pairs(dtypes("if"), shapes(min_side=2), layouts=("contiguous", "transposed", "sliced")))
    order = data.draw(st.sampled_from([None, "C", "F", "A", "K"]))
    for source in (x.numpy, x.cuarray):
        result, expected = ca.array(source, order=order), np.array(x.numpy, order=order)
        assert_same(result, expected, exact=True)
        assert result.strides == expected.strides
        with quiet():
            result, expected = ca.array(source, "complex64", order=order), np.array(x.numpy, "complex64", order=order)
        assert_same(result, expected, exact=True)
        assert result.strides == expected.strides
    result, expected = ca.asarray(x.cuarray, order=order), np.asarray(x.numpy, order=order)
    assert_same(result, expected, exact=True)
    assert (result is x.cuarray) == (expected is x.numpy)
    if order is not None:
        for name in ("empty_like", "zeros_like", "ones_like"):
            assert getattr(ca, name)(x.cuarray, order=order).strides == getattr(np, name)(x.numpy, order=order).strides
        shape = data.draw(st.sampled_from([(2, 3), (4,), (2, 3, 4)]))
        result = ca.full_like(x.cuarray, 3, order=order, shape=shape)
        assert result.strides == np.full_like(x.numpy, 3, order=order, shape=shape).strides


def test_order_of_new_arrays() -> None:
    for name in ("empty", "zeros", "ones"):
        assert getattr(ca, name)((2, 3), "f4", "F").strides == (4, 8)
        assert getattr(ca, name)((2, 3), None, "C").strides == (24, 8)
    assert ca.full((2, 3), 1.0, order="F").flags.f_contiguous
    assert ca.eye(2, 3, order="F").flags.f_contiguous
    for bad, error in (("K", ValueError), ("no", ValueError), (3, TypeError)):
        with pytest.raises(error, match="order"):
            ca.zeros(3, order=bad)  # type: ignore[arg-type]
    x = ca.zeros((2, 3))
    with pytest.raises(ValueError, match="copy=False"):
        ca.array(x, order="F", copy=False)


def test_devices() -> None:
    own = ca.zeros(1).device
    x = ca.zeros(3, device=own)
    for name in ("empty", "zeros", "ones"):
        assert getattr(ca, name)(2, device=str(own)).device == own
        with pytest.raises(ValueError, match="device"):
            getattr(ca, name)(2, device="elsewhere")
    for make in (
        lambda device: ca.full(2, 1, device=device),
        lambda device: ca.eye(2, device=device),
        lambda device: ca.arange(2, device=device),
        lambda device: ca.linspace(0, 1, 2, device=device),
        lambda device: ca.zeros_like(x, device=device),
        lambda device: ca.full_like(x, 1, device=device),
        lambda device: ca.asarray(x, device=device),
        lambda device: ca.astype(x, "f4", device=device),
        lambda device: ca.from_dlpack(np.zeros(2), device=device),
        lambda device: x.to_device(device),
    ):
        assert make(own).device == own
        with pytest.raises(ValueError, match="device"):
            make("elsewhere")
    assert x.to_device(own) is x


def test_require() -> None:
    x = ca.zeros((2, 3))
    assert ca.require(x) is x
    assert ca.require(x, requirements=["C", "A", "W", "E", "OWNDATA"]) is x
    assert ca.require(x, requirements="F").flags.f_contiguous
    assert ca.require(x.T, requirements=["O"]).flags.owndata
    assert ca.require(ca.broadcast_to(x, (2, 2, 3)), requirements="W").flags.writeable
    assert ca.require([1], "f4").dtype == np.float32
    with pytest.raises(ValueError, match="requirements"):
        ca.require(x, requirements=["C", "F"])
    with pytest.raises(ValueError, match="requirements"):
        ca.require(x, requirements="X")
    assert ca.asfortranarray(x).flags.f_contiguous
    assert ca.asfortranarray(3).shape == (1,)
    assert ca.asanyarray(x) is x


@given(data=st.data())
def test_copyto_where(data: st.DataObject) -> None:
    host = data.draw(numpy_arrays(np.dtype("float32"), (2, 3)))
    mask = data.draw(numpy_arrays(np.dtype(bool), data.draw(st.sampled_from([(), (3,), (2, 1), (2, 3)]))))
    source = data.draw(st.sampled_from([np.arange(3, dtype="int16"), np.float32(7), 2, np.ones(2), 1j]))

    def by_numpy() -> np.ndarray:
        target = host.copy()
        np.copyto(target, source, where=mask)
        return target

    def by_cuarray() -> ca.CuArray:
        target = ca.array(host)
        ca.copyto(target, source, where=ca.array(mask))
        return target

    check(by_cuarray, by_numpy, exact=True)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float32", "complex64"])
def test_copies_keep_every_bit(dtype: str) -> None:
    """Those of NaN, too, quiet ones and others."""
    wanted = getattr(ca, dtype)
    word = np.dtype(f"u{np.dtype(wanted).itemsize}")
    bits = np.array([0x7C01, 0x7E55, 0xFF81, 0xFFFF, 0x7F81, 0x8000, 1, 0], np.uint16).astype(word)
    bits |= bits << (8 * word.itemsize - 16)
    x = ca.array(bits).view(wanted)
    mask = ca.array([True, False] * 4)
    some = x.copy()
    ca.copyto(some, x[::-1], where=mask)
    results = (x.copy(), x[::-1].copy()[::-1], ca.concatenate([x[:3], x[3:]]), ca.where(mask, x, x), x[np.arange(8)])
    for result in results:
        np.testing.assert_array_equal(np.asarray(result.view(word)), bits)
    np.testing.assert_array_equal(np.asarray(some.view(word)), np.where(np.asarray(mask), bits[::-1], bits))


def test_copyto_arguments() -> None:
    with pytest.raises(TypeError, match="dst"):
        ca.copyto(np.zeros(2), 1)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="read-only"):
        ca.copyto(ca.broadcast_to(1, (2,)), 1)
    with pytest.raises(TypeError, match="where"):
        ca.copyto(ca.zeros(2), 1, where=ca.ones(2))


@given(data=st.data())
def test_linspace_of_arrays(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(name) for name in ("int16", "float32", "float64", "complex128")]))
    low = data.draw(numpy_arrays(dtype, data.draw(st.sampled_from([(), (2,), (3, 1)])), st.integers(-9, 9)))
    high = data.draw(numpy_arrays(dtype, data.draw(st.sampled_from([(), (2,)])), st.integers(-9, 9)))
    num, endpoint, axis = data.draw(st.integers(0, 5)), data.draw(st.booleans()), data.draw(st.integers(-4, 3))
    check(
        lambda: ca.linspace(ca.array(low), high, num, endpoint, axis=axis),
        lambda: np.linspace(low, high, num, endpoint, axis=axis),
        exact=dtype.kind != "c",
    )
    values, step = ca.linspace(ca.array(low), ca.array(high), num, endpoint, retstep=True)
    expected, expected_step = np.linspace(low, high, num, endpoint, retstep=True)
    assert_same(values, expected)
    np.testing.assert_allclose(np.asarray(step), expected_step, rtol=1e-6)


@given(low=st.integers(-9, 9), high=st.integers(-9, 9), num=st.integers(0, 9), endpoint=st.booleans())
def test_linspace_is_exact(low: int, high: int, num: int, endpoint: bool) -> None:
    for kind in (float, np.float32, np.float16):
        ends = (kind(low) / kind(3), kind(high) / kind(7))
        check(lambda e=ends: ca.linspace(*e, num, endpoint), lambda e=ends: np.linspace(*e, num, endpoint), exact=True)
    assert ca.linspace(low, high, num, retstep=True)[1] == pytest.approx(
        np.linspace(low, high, num, retstep=True)[1], nan_ok=True
    )
    tiny = 5e-324
    assert_same(ca.linspace(0, 3 * tiny, 7), np.linspace(0, 3 * tiny, 7), exact=True)


@given(data=st.data())
def test_logspace_and_geomspace(data: st.DataObject) -> None:
    numbers = st.integers(-4, 4)
    low, high, num, endpoint = (data.draw(s) for s in (numbers, numbers, st.integers(0, 6), st.booleans()))
    check(lambda: ca.logspace(low, high, num, endpoint), lambda: np.logspace(low, high, num, endpoint))
    check(lambda: ca.logspace(low, high, num, base=2.0), lambda: np.logspace(low, high, num, base=2.0))
    check(lambda: ca.geomspace(low, high, num, endpoint), lambda: np.geomspace(low, high, num, endpoint), rtol=1e-12)
    ends = np.array([[1.0, 10.0], [2.0, 200.0]])
    axis = data.draw(st.integers(-2, 1))
    check(
        lambda: ca.geomspace(ca.array(ends[0]), ca.array(ends[1]), num, endpoint, axis=axis),
        lambda: np.geomspace(ends[0], ends[1], num, endpoint, axis=axis),
        rtol=1e-12,
    )
    check(
        lambda: ca.logspace(ca.array([1.0, 2.0]), 3, num, base=ca.array([2.0, 3.0]), axis=axis),
        lambda: np.logspace(np.array([1.0, 2.0]), 3, num, base=np.array([2.0, 3.0]), axis=axis),
    )


def test_logspace_and_geomspace_dtypes() -> None:
    check(lambda: ca.logspace(0, 3, 4, dtype=int), lambda: np.logspace(0, 3, 4, dtype=int))
    check(lambda: ca.geomspace(1, 1000, 4, dtype="f4"), lambda: np.geomspace(1, 1000, 4, dtype="f4"))
    check(lambda: ca.geomspace(-1, -1000, 4), lambda: np.geomspace(-1, -1000, 4))
    check(lambda: ca.geomspace(1j, 1000j, 4), lambda: np.geomspace(1j, 1000j, 4), rtol=1e-12)
    check(lambda: ca.geomspace(0, 1, 4), lambda: np.geomspace(0, 1, 4))
    check(lambda: ca.geomspace(ca.array([0.0, 1.0]), 1, 4), lambda: np.geomspace([0.0, 1.0], 1, 4))


def test_from_iterators_and_bytes() -> None:
    check(lambda: ca.fromiter(range(5), "f4"), lambda: np.fromiter(range(5), "f4"))
    check(lambda: ca.fromiter(range(5), int, 3), lambda: np.fromiter(range(5), int, 3))
    check(lambda: ca.fromiter(range(5), int, 7), lambda: np.fromiter(range(5), int, 7))
    pair = np.dtype((np.int16, 2))
    check(lambda: ca.fromiter([(1, 2), (3, 4)], pair), lambda: np.fromiter([(1, 2), (3, 4)], pair))
    with pytest.raises(TypeError, match="object"):
        ca.fromiter([(1, 2)], np.dtype((object, 2)))
    raw = np.arange(6, dtype=">i4").tobytes()
    for options in ({"dtype": ">i4"}, {"dtype": "u1", "offset": 3}, {"dtype": "i2", "count": 4}, {"dtype": "f8"}):
        check(
            lambda o=options: ca.frombuffer(raw, **o),
            lambda o=options: np.frombuffer(raw, **o).astype(np.dtype(o["dtype"]).newbyteorder("=")),
        )
    check(lambda: ca.frombuffer(raw[:-1], "i4"), lambda: np.frombuffer(raw[:-1], "i4"))
