"""Interpolation, convolution, phases, bits, polynomials: against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Pair, numpy_arrays, pairs, shapes

import cuarray as ca

SMALL = st.integers(-9, 9)


def some(*names: str) -> st.SearchStrategy[np.dtype]:
    return st.sampled_from([np.dtype(name) for name in names])


def few_values(dtype: np.dtype, shape: Any) -> st.SearchStrategy[Pair]:
    return pairs(dtype, shape, st.booleans() if dtype.kind == "b" else st.integers(0, 5))


# ---- interpolation


@settings(max_examples=100)
@given(data=st.data())
def test_interp(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 6))
    xp = np.sort(data.draw(numpy_arrays(np.dtype(float), (count,), st.integers(-20, 20).map(lambda v: v / 4))))
    dtype = data.draw(some("float32", "float64", "int16", "complex64"))
    fp = data.draw(numpy_arrays(dtype, (count,), SMALL))
    x = data.draw(pairs(some("float32", "float64"), elements=st.integers(-24, 24).map(lambda v: v / 4)))
    left, right = data.draw(st.none() | SMALL), data.draw(st.none() | SMALL)
    check(
        lambda: ca.interp(x.cuarray, ca.array(xp), ca.array(fp), left, right),
        lambda: np.interp(x.numpy, xp, fp, left, right),
        atol=1e-12,
    )


def test_interp_special_values() -> None:
    inf, nan = np.inf, np.nan
    x = np.array([nan, -inf, inf, 0, 0.5, 1, 1.5, 2, 3])
    for xp, fp in (
        ([0, 1, 2, 3], [0, inf, -inf, 1]),
        ([0, 1, 2, 3], [0, nan, 5, 1]),
        ([0, 1, 2, inf], [0, 1, 2, 3]),
        ([-inf, 1, 2, 3], [4, 1, 2, 3]),
        ([1], [7]),
        ([0, 1, 1, 3], [0, 1, 2, 3]),
        ([0, 1, 2, 3], [inf, inf, 1, 1]),
    ):
        assert_same(ca.interp(x, xp, fp), np.interp(x, xp, fp))
        assert_same(ca.interp(x, xp, fp, -1, 9), np.interp(x, xp, fp, -1, 9))
    assert_same(ca.interp(x, [0, 3], [1j, 2], 1j, 3), np.interp(x, [0, 3], [1j, 2], 1j, 3))
    many = np.linspace(-1, 8, 100_001)
    table = np.sqrt(np.arange(1000.0))
    assert_same(ca.interp(many, np.arange(1000.0), table), np.interp(many, np.arange(1000.0), table))


def test_interp_arguments() -> None:
    for args in (([1], [], []), ([1], [1, 2], [1]), ([1], [[1, 2]], [[1, 2]])):
        with pytest.raises(ValueError, match="interp"):
            ca.interp(*args)
    with pytest.raises(TypeError, match="interp"):
        ca.interp([1j], [1], [1])
    with pytest.raises(ValueError, match="period"):
        ca.interp([1], [1], [1], period=0)


@pytest.mark.skipif(not hasattr(ca, "argsort"), reason="the points are put in order by argsort")
def test_interp_with_a_period() -> None:
    x, xp, fp = [-180, -170, -185, 185, -10, -5, 0, 365], [190, -190, 350, -350], [5, 10, 3, 4]
    assert_same(ca.interp(x, xp, fp, period=360), np.interp(x, xp, fp, period=360))


# ---- convolution


@settings(max_examples=100)
@given(data=st.data())
def test_convolve_and_correlate(data: st.DataObject) -> None:
    kinds = some("bool", "uint8", "int64", "float16", "float32", "float64", "complex64")
    sizes = st.integers(0, 9).map(lambda n: (n,))
    a, v = (data.draw(few_values(data.draw(kinds), data.draw(sizes))) for _ in range(2))
    mode = data.draw(st.sampled_from(["full", "same", "valid"]))
    for name in ("convolve", "correlate"):
        ours, theirs = getattr(ca, name), getattr(np, name)
        check(lambda f=ours: f(a.cuarray, v.cuarray, mode), lambda f=theirs: f(a.numpy, v.numpy, mode))


def test_convolve_at_length() -> None:
    rng = np.random.default_rng(1)
    a, v = rng.standard_normal(5000), rng.standard_normal(700)
    for mode in ("full", "same", "valid"):
        assert_same(ca.convolve(a, v, mode), np.convolve(a, v, mode), atol=1e-11)
        assert_same(ca.correlate(v, a, mode), np.correlate(v, a, mode), atol=1e-11)
    z = a[:50] + 1j * v[:50]
    assert_same(ca.correlate(z, z[:7], "full"), np.correlate(z, z[:7], "full"), atol=1e-13)


def test_convolve_adds_nothing_from_outside() -> None:
    """An infinity in one sequence meets no zeros beyond the end of the other."""
    a, v = np.ones(4), np.array([1.0, np.inf])
    for mode in ("full", "same", "valid"):
        assert_same(ca.convolve(a, v, mode), np.convolve(a, v, mode))


def test_convolve_arguments() -> None:
    check(lambda: ca.convolve([1], 2), lambda: np.convolve([1], 2))
    check(lambda: ca.convolve([], [1]), lambda: np.convolve([], [1]))
    check(lambda: ca.convolve([[1]], [1]), lambda: np.convolve([[1]], [1]))
    check(lambda: ca.convolve([1], [1], "no"), lambda: np.convolve([1], [1], "no"))


# ---- phases


@pytest.mark.skipif(not hasattr(ca, "cumsum"), reason="corrections are added up by cumsum")
@given(data=st.data())
def test_unwrap(data: st.DataObject) -> None:
    x = data.draw(pairs(some("int16", "float64"), shapes(min_dims=1, max_side=6), st.integers(-20, 20)))
    axis = data.draw(st.integers(-3, 2))
    check(lambda: ca.unwrap(x.cuarray, axis=axis), lambda: np.unwrap(x.numpy, axis=axis), atol=1e-11)
    check(lambda: ca.unwrap(x.cuarray, period=4, axis=axis), lambda: np.unwrap(x.numpy, period=4, axis=axis))
    check(lambda: ca.unwrap(x.cuarray, 3, axis=axis), lambda: np.unwrap(x.numpy, 3, axis=axis), atol=1e-11)
    check(lambda: ca.unwrap(x.cuarray, period=5, axis=axis), lambda: np.unwrap(x.numpy, period=5, axis=axis))


# ---- bits


@given(data=st.data())
def test_bits(data: st.DataObject) -> None:
    order = data.draw(st.sampled_from(["big", "little", "middle"]))
    axis = data.draw(st.none() | st.integers(-3, 2))
    dtype = data.draw(some("bool", "uint8", "int32", "float32"))
    x = data.draw(few_values(dtype, shapes(max_side=10, max_dims=2)))
    check(lambda: ca.packbits(x.cuarray, axis, order), lambda: np.packbits(x.numpy, axis, order))
    packed = data.draw(pairs(np.dtype("uint8"), shapes(max_side=3)))
    count = data.draw(st.none() | st.integers(-30, 40)) if packed.numpy.size else None  # NumPy adds garbage to nothing
    check(
        lambda: ca.unpackbits(packed.cuarray, axis, count, order),
        lambda: np.unpackbits(packed.numpy, axis, count, order),
    )


# ---- polynomials


def coefficients(data: st.DataObject, *names: str) -> tuple[Any, Any]:
    names = names or ("int64", "float32", "float64", "complex128")
    host = data.draw(numpy_arrays(data.draw(some(*names)), (data.draw(st.integers(1, 5)),), SMALL))
    return ca.array(host), host


@given(data=st.data())
def test_polynomials(data: st.DataObject) -> None:
    (p, p_host), (q, q_host) = coefficients(data), coefficients(data)
    for name in ("polyadd", "polysub", "polymul"):
        check(lambda n=name: getattr(ca, n)(p, q), lambda n=name: getattr(np, n)(p_host, q_host))
    x = data.draw(pairs(some("int64", "float32"), shapes(max_dims=2), SMALL))
    check(lambda: ca.polyval(p, x.cuarray), lambda: np.polyval(p_host, x.numpy))
    check(lambda: ca.polyval([1, 2.5, 3], x.cuarray), lambda: np.polyval([1, 2.5, 3], x.numpy))
    m = data.draw(st.integers(-1, 3))
    check(lambda: ca.polyder(p, m), lambda: np.polyder(p_host, m))
    check(lambda: ca.polyint(p, m), lambda: np.polyint(p_host, m))
    check(lambda: ca.polyint(p, m, [3]), lambda: np.polyint(p_host, m, [3]))
    check(lambda: ca.polyint(p, m, [3, 1]), lambda: np.polyint(p_host, m, [3, 1]))


@given(data=st.data())
def test_polydiv(data: st.DataObject) -> None:
    (u, u_host), (v, v_host) = coefficients(data, "int64", "float64"), coefficients(data, "float64")
    if v_host[0] == 0:
        return
    for one, other in zip(ca.polydiv(u, v), np.polydiv(u_host, v_host), strict=True):
        assert_same(one, other, atol=1e-9)


@given(data=st.data())
def test_poly(data: st.DataObject) -> None:
    roots, host = coefficients(data)
    check(lambda: ca.poly(roots), lambda: np.poly(host))
    assert_same(ca.poly([1j, -1j, 2]), np.poly([1j, -1j, 2]))
    assert ca.poly(ca.zeros(0)).item() == np.poly(np.zeros(0))


@pytest.mark.skipif(not hasattr(ca, "linalg"), reason="roots are eigenvalues, fits least squares")
def test_roots_and_fits() -> None:
    for p in ([1, -6, 11, -6], [0, 2, 0, -8, 0, 0], [1, 0, 4], [3], [0, 0], [1, 2j, 3]):
        found, expected = np.sort(np.asarray(ca.roots(p))), np.sort(np.roots(p))
        np.testing.assert_allclose(found, expected, atol=1e-10)
    x = np.linspace(-1, 2, 20)
    y = 3 * x**2 - x + 0.5 + 0.01 * np.cos(30 * x)
    weights = 1 + np.arange(20.0) / 20
    for values in (y, np.stack([y, 2 * y], 1)):
        np.testing.assert_allclose(np.asarray(ca.polyfit(x, values, 2)), np.polyfit(x, values, 2))
        np.testing.assert_allclose(np.asarray(ca.polyfit(x, values, 2, w=weights)), np.polyfit(x, values, 2, w=weights))
        for cov in (True, "unscaled"):
            for one, other in zip(ca.polyfit(x, values, 2, cov=cov), np.polyfit(x, values, 2, cov=cov)):
                np.testing.assert_allclose(np.asarray(one), other, rtol=1e-9)
    for one, other in zip(ca.polyfit(x, y, 2, full=True), np.polyfit(x, y, 2, full=True)):
        np.testing.assert_allclose(np.asarray(one), other, rtol=1e-9)
    np.testing.assert_allclose(np.asarray(ca.poly([[1.0, 2.0], [3.0, 4.0]])), np.poly([[1.0, 2.0], [3.0, 4.0]]))
