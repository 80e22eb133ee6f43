"""Fourier transforms against NumPy's."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pairs

import cuarray as ca

DTYPES = ("float32", "float64", "complex64", "complex128")
NORMS = (None, "backward", "ortho", "forward")
ONE_AXIS = ("fft", "ifft", "rfft", "irfft", "hfft", "ihfft")
MANY_AXES = ("fftn", "ifftn", "rfftn", "irfftn")
TWO_AXES = ("fft2", "ifft2", "rfft2", "irfft2")
LAYOUTS = ("contiguous", "transposed", "sliced", "reversed", "broadcast")


def tolerance(dtype: Any, size: int) -> dict[str, float]:
    """Elements are at most 5, so that sums are of the order of the number of elements."""
    single = np.dtype(dtype).itemsize // (2 if np.dtype(dtype).kind == "c" else 1) <= 4
    return {"rtol": 0.0, "atol": (2e-6 if single and np.dtype(dtype).kind != "i" else 4e-15) * 5 * max(size, 4)}


def elements(dtype: str) -> st.SearchStrategy[Any]:
    parts = st.integers(-5, 5)
    return st.builds(complex, parts, parts) if dtype.startswith("c") else parts


@st.composite
def arrays(draw: st.DrawFn, max_dims: int = 3, max_side: int = 7, dtypes: tuple = DTYPES) -> Any:
    dtype = draw(st.sampled_from(dtypes))
    shape = draw(st.lists(st.integers(1, max_side), min_size=1, max_size=max_dims).map(tuple))
    return draw(pairs(np.dtype(dtype), shape, elements(dtype), LAYOUTS))


@settings(max_examples=150)
@given(data=st.data())
def test_one_axis(data: st.DataObject) -> None:
    pair = data.draw(arrays())
    name = data.draw(st.sampled_from(ONE_AXIS))
    axis = data.draw(st.integers(-pair.numpy.ndim, pair.numpy.ndim - 1))
    n = data.draw(st.none() | st.integers(1, 10))
    norm = data.draw(st.sampled_from(NORMS))
    check(
        lambda: getattr(ca.fft, name)(pair.cuarray, n, axis, norm),
        lambda: getattr(np.fft, name)(pair.numpy, n, axis, norm),
        **tolerance(pair.numpy.dtype, 20),
    )


@settings(max_examples=150)
@given(data=st.data())
def test_many_axes(data: st.DataObject) -> None:
    pair = data.draw(arrays(4, 4))
    ndim = pair.numpy.ndim
    name = data.draw(st.sampled_from(MANY_AXES))
    axes = data.draw(st.none() | st.lists(st.integers(-ndim, ndim - 1), min_size=1, max_size=ndim))
    count = ndim if axes is None else len(axes)
    s = data.draw(st.none() | st.lists(st.integers(1, 5), min_size=count, max_size=count))
    if s is not None and axes is None:
        axes = list(range(ndim))
    norm = data.draw(st.sampled_from(NORMS))
    check(
        lambda: getattr(ca.fft, name)(pair.cuarray, s, axes, norm),
        lambda: getattr(np.fft, name)(pair.numpy, s, axes, norm),
        **tolerance(pair.numpy.dtype, 5**4),
    )


@pytest.mark.parametrize("name", TWO_AXES)
@pytest.mark.parametrize("dtype", DTYPES)
def test_two_axes(name: str, dtype: str) -> None:
    a = (np.arange(60) % 7).reshape(3, 4, 5).astype(dtype)
    for options in ({}, {"axes": (0, 2)}, {"s": (6, 3)}, {"norm": "ortho"}, {"axes": (1, 0), "s": (-1, 4)}):
        check(
            lambda o=options: getattr(ca.fft, name)(ca.array(a), **o),
            lambda o=options: getattr(np.fft, name)(a, **o),
            **tolerance(dtype, 60),
        )


@pytest.mark.parametrize("size", [1, 2, 3, 17, 64, 97, 1000, 1021, 4096])
@pytest.mark.parametrize("dtype", DTYPES)
def test_sizes(size: int, dtype: str) -> None:
    """Powers of two, prime numbers, and what lies between; there and back."""
    generator = np.random.default_rng(size)
    a = generator.uniform(-1, 1, (3, size)).astype(dtype)
    limit = tolerance(dtype, 4 * math.isqrt(size))
    x = ca.array(a)
    check(lambda: ca.fft.fft(x), lambda: np.fft.fft(a), **limit)
    assert_same(ca.fft.ifft(ca.fft.fft(x)), a.astype(f"c{a.real.itemsize * 2}"), **limit)
    if not dtype.startswith("c"):
        assert_same(ca.fft.irfft(ca.fft.rfft(x), size), a, **limit)
        np.testing.assert_array_equal(np.asarray(x), a)


def test_irfft_takes_any_imaginary_parts() -> None:
    """Those that a real signal would not have are not looked at; and the operand is not overwritten."""
    generator = np.random.default_rng(3)
    for m in (4, 5, 9):
        a = generator.standard_normal((2, m)) + 1j * generator.standard_normal((2, m))
        x = ca.array(a)
        for n in (None, 2 * m - 1, m, 2):
            check(lambda n=n, x=x: ca.fft.irfft(x, n), lambda n=n, a=a: np.fft.irfft(a, n), rtol=0.0, atol=1e-13)
        check(lambda x=x: ca.fft.irfft2(x), lambda a=a: np.fft.irfft2(a), rtol=0.0, atol=1e-13)
        np.testing.assert_array_equal(np.asarray(x), a)


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float16"])
@pytest.mark.parametrize("name", [*ONE_AXIS, "fftn", "rfftn", "irfftn"])
def test_other_dtypes(name: str, dtype: str) -> None:
    a = (np.arange(12).reshape(3, 4) % 5).astype(dtype)
    limit = {"rtol": 2e-3, "atol": 2e-3} if dtype == "float16" else {"rtol": 1e-13, "atol": 1e-12}
    check(lambda: getattr(ca.fft, name)(ca.array(a)), lambda: getattr(np.fft, name)(a), **limit)


@pytest.mark.parametrize("name", [*ONE_AXIS, *MANY_AXES])
def test_layout_and_out(name: str) -> None:
    a = np.arange(12.0).reshape(3, 4)
    if name.startswith("i"):
        a = a.astype("complex128") if name != "ihfft" else a
    ours, theirs = getattr(ca.fft, name), getattr(np.fft, name)
    expected = theirs(a)
    result = ours(ca.array(a))
    assert result.flags.c_contiguous and result.flags.owndata and result.flags.writeable
    out = ca.zeros(expected.shape[::-1], expected.dtype).T
    assert ours(ca.array(a), out=out) is out
    assert_same(out, expected, atol=1e-13)
    with pytest.raises(ValueError, match="out"):
        ours(ca.array(a), out=ca.zeros((1, 1), expected.dtype))
    with pytest.raises(TypeError):
        ours(ca.array(a), out=ca.zeros(expected.shape, "int32"))
    if name in ONE_AXIS:
        along = ours(ca.array(a), axis=0)
        assert along.flags.c_contiguous


def test_lists_and_numpy_arrays() -> None:
    assert_same(ca.fft.fft([1, 2, 3, 4]), np.fft.fft([1, 2, 3, 4]), atol=1e-13)
    assert_same(ca.fft.rfft(np.ones(4, "f4")), np.fft.rfft(np.ones(4, "f4")), atol=1e-6)


def test_bad_arguments() -> None:
    a = np.ones((2, 3))
    for call in (
        lambda m, x: m.fft.fft(x, 0),
        lambda m, x: m.fft.irfft(x, 0),
        lambda m, x: m.fft.rfft(x, -1),
        lambda m, x: m.fft.fft(x, axis=2),
        lambda m, x: m.fft.fft(x, norm="both"),
        lambda m, x: m.fft.fft(x[0, 0]),
        lambda m, x: m.fft.fftn(x, (2,), (0, 1)),
        lambda m, x: m.fft.fftn(x, axes=(0, 5)),
        lambda m, x: m.fft.rfft(x * 1j),
        lambda m, x: m.fft.rfftn(x * 1j),
        lambda m, x: m.fft.ihfft(x * 1j),
        lambda m, x: m.fft.irfft(x[:, :1]),
        lambda m, x: m.fft.fft(x[:0]),
        lambda m, x: m.fft.rfft(x[:0]),
        lambda m, x: m.fft.irfft(x[:0]),
        lambda m, x: m.fft.fft(x[:, :0]),
        lambda m, x: m.fft.fftn(x[:, :0]),
    ):
        check(lambda call=call: call(ca, ca.array(a)), lambda call=call: call(np, a))


@pytest.mark.parametrize("n", [1, 2, 3, 8, 9])
def test_frequencies(n: int) -> None:
    for name in ("fftfreq", "rfftfreq"):
        ours, theirs = getattr(ca.fft, name), getattr(np.fft, name)
        assert_same(ours(n), theirs(n))
        assert_same(ours(n, 0.1), theirs(n, 0.1))
        assert_same(ours(n, d=0.5, dtype="float32"), theirs(n, d=0.5).astype("f4"))
        with pytest.raises(ValueError):
            ours(1.5)


@given(data=st.data())
def test_shifts(data: st.DataObject) -> None:
    shape = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=3).map(tuple))
    pair = data.draw(pairs(np.dtype("int32"), shape))
    axes = data.draw(st.none() | st.sampled_from([*range(len(shape))] or [None]) | st.just(tuple(range(len(shape)))))
    for name in ("fftshift", "ifftshift"):
        check(
            lambda name=name: getattr(ca.fft, name)(pair.cuarray, axes),
            lambda name=name: getattr(np.fft, name)(pair.numpy, axes),
        )


def test_on_another_stream_and_in_threads() -> None:
    from concurrent.futures import ThreadPoolExecutor

    a = np.random.default_rng(0).standard_normal((8, 256))
    expected = np.fft.fft(a)

    def work(row: int) -> np.ndarray:
        with ca.cuda.Stream(non_blocking=True):
            return np.array(ca.fft.fft(ca.array(a[row]) * 1.0))

    with ThreadPoolExecutor(4) as pool:
        for row, found in enumerate(pool.map(work, range(8))):
            np.testing.assert_allclose(found, expected[row], atol=1e-12)


def test_many_plans() -> None:
    """More shapes than plans are kept, twice over."""
    for _ in range(2):
        for n in range(1, 100):
            total = ca.fft.fft(ca.ones(n, "float32"))[0]
            assert complex(total) == pytest.approx(n)


@pytest.mark.gpu
def test_a_graph_can_hold_it() -> None:
    """Also when more plans than are kept were made since."""
    a = np.arange(24.0, dtype="float32").reshape(2, 12)
    x = ca.array(a)
    ca.fft.fft(x)  # a plan cannot be made while capturing
    with ca.cuda.graph() as graph:
        y = ca.fft.fft(x)
    test_many_plans()
    x *= 2
    graph.launch()
    assert_same(y, np.fft.fft(a * 2), atol=1e-3)
