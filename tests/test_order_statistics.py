"""Median, quantiles, counts and histograms against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import pairs, shapes

import cuarray as ca
from cuarray import _plan, _runtime
from cuarray._functions.histograms import _sum_weights
from cuarray._launch import Prepared
from cuarray._tuning import Target

METHODS = [
    "inverted_cdf", "averaged_inverted_cdf", "closest_observation", "interpolated_inverted_cdf", "hazen", "weibull",
    "linear", "median_unbiased", "normal_unbiased", "lower", "higher", "midpoint", "nearest",
]  # fmt: skip


def elements(dtype: np.dtype, nan: bool = True) -> st.SearchStrategy[Any]:
    if dtype.kind == "f":
        numbers = st.floats(-8, 8, width=16)
        return numbers | st.just(np.nan) if nan else numbers
    return st.integers(0, 50)


def some_axis(draw: Any, shape: tuple[int, ...]) -> Any:
    ndim = len(shape)
    count = draw(st.integers(1, ndim)) if ndim else 0
    several = st.permutations(range(ndim)).map(lambda order: tuple(order[:count]))
    axis = draw(st.none() | st.integers(-ndim, ndim - 1) | several) if ndim else None
    # NumPy cannot put several axes together where another one is empty.
    several_axes = isinstance(axis, tuple) and len(axis) > 1
    assume(not several_axes or all(extent for place, extent in enumerate(shape) if place not in axis))
    return axis


@settings(max_examples=60)
@pytest.mark.parametrize("name", ["median", "nanmedian"])
@given(data=st.data())
def test_median(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(d) for d in ("bool", "int32", "float16", "float32", "float64")]))
    values = st.booleans() if dtype.kind == "b" else elements(dtype)
    x = data.draw(pairs(dtype, shapes(), values))
    axis = some_axis(data.draw, x.numpy.shape)
    keepdims = data.draw(st.booleans())
    check(
        lambda: getattr(ca, name)(x.cuarray, axis, keepdims=keepdims),
        lambda: getattr(np, name)(x.numpy, axis, keepdims=keepdims),
    )


@pytest.mark.parametrize("method", METHODS)
@settings(max_examples=25)
@given(data=st.data())
def test_quantile(method: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["quantile", "percentile", "nanquantile", "nanpercentile"]))
    dtype = data.draw(st.sampled_from([np.dtype("int32"), np.dtype("float32"), np.dtype("float64")]))
    x = data.draw(pairs(dtype, shapes(min_side=1, max_side=6), elements(dtype)))
    axis = some_axis(data.draw, x.numpy.shape)
    # Quarters of a hundredth: (n - 1) * q has no rounding to agree upon.
    part = st.integers(0, 16).map(lambda k: k / 16 if "quantile" in name else k * 6.25) | st.sampled_from([0, 1])
    q = data.draw(part)
    if dtype != np.float32 or not name.startswith("nan"):  # where NumPy's dtype does not depend on which values are NaN
        q = data.draw(st.just(q) | st.lists(part, min_size=1, max_size=3))
    keepdims = data.draw(st.booleans())
    rtol = 1e-5 if dtype == np.float32 else 1e-12
    check(
        lambda: getattr(ca, name)(x.cuarray, q, axis, method=method, keepdims=keepdims),
        lambda: getattr(np, name)(x.numpy, q, axis, method=method, keepdims=keepdims),
        rtol=rtol,
        atol=rtol,
    )


@settings(max_examples=60)
@given(data=st.data())
def test_weighted_quantile(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["quantile", "nanquantile"]))
    x = data.draw(pairs(np.dtype("float64"), shapes(min_dims=1, max_dims=2, min_side=1), elements(np.dtype("float64"))))
    axis = data.draw(st.none() | st.integers(0, x.numpy.ndim - 1))
    shape = x.numpy.shape
    if axis is not None and name == "quantile" and data.draw(st.booleans()):  # nanquantile of NumPy fails for these
        shape = (shape[axis],)
    # Powers of 2 add without rounding, so that there is one answer.
    weights = data.draw(pairs(np.dtype("float64"), shape, st.sampled_from([0.0, 1.0, 2.0, 4.0]), ("contiguous",)))
    q = data.draw(st.sampled_from([0.0, 0.25, 0.3, 0.5, 1.0, [0.1, 0.75]]))
    check(
        lambda: getattr(ca, name)(x.cuarray, q, axis, method="inverted_cdf", weights=weights.cuarray),
        lambda: getattr(np, name)(x.numpy, q, axis, method="inverted_cdf", weights=weights.numpy),
    )


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.quantile(x, 1.5),
        lambda m, x: m.percentile(x, -1),
        lambda m, x: m.quantile(x, [0.5, np.nan]),
        lambda m, x: m.quantile(x, 0.5, method="best"),
        lambda m, x: m.quantile(x, 0.5, axis=3),
        lambda m, x: m.quantile(x, 0.5, weights=x),
        lambda m, x: m.quantile(x, 0.5, weights=-x, method="inverted_cdf"),
        lambda m, x: m.quantile(x, 0.5, weights=x * 0, method="inverted_cdf"),
        lambda m, x: m.quantile(x, 0.5, weights=x[0], method="inverted_cdf"),
        lambda m, x: m.quantile(x, 0.5, axis=0, weights=x[0], method="inverted_cdf"),
        lambda m, x: m.quantile(x * 1j, 0.5),
        lambda m, x: m.quantile(x > 1, 0.5),
        lambda m, x: m.quantile(x > 1, 1),
        lambda m, x: m.quantile(x[:0], 0.5),
        lambda m, x: m.quantile(x[:0], 0.5, axis=0),
        lambda m, x: m.nanquantile(x[:0], 0.5),
        lambda m, x: m.quantile(x, np.full((2, 2), 0.5)),
        lambda m, x: m.quantile(x, np.full((2, 2, 1), 0.5)),
        lambda m, x: m.median(x, axis=(0, 0)),
        lambda m, x: m.median(x, axis=2),
        lambda m, x: m.median(x * 1j),
        lambda m, x: m.median(x[:0], axis=0),
    ],
)
def test_arguments(call: Any) -> None:
    host = np.arange(1.0, 7.0).reshape(2, 3)
    check(lambda: call(ca, ca.array(host)), lambda: call(np, host))


def test_out() -> None:
    host = np.random.default_rng(0).random((4, 5))
    for name, arguments in (("median", ()), ("nanmedian", ()), ("quantile", (0.3,)), ("nanpercentile", (30,))):
        out = ca.empty(5)
        assert getattr(ca, name)(ca.array(host), *arguments, axis=0, out=out) is out
        assert_same(out, getattr(np, name)(host, *arguments, axis=0))
        with pytest.raises(ValueError, match="out"):
            getattr(ca, name)(ca.array(host), *arguments, axis=0, out=ca.empty(4))


def test_quantiles_of_many() -> None:
    host = np.random.default_rng(0).standard_normal((3, 100_000))
    host[0, 17] = np.nan
    for name in ("quantile", "nanquantile"):
        assert_same(getattr(ca, name)(ca.array(host), [0.1, 0.5], axis=1), getattr(np, name)(host, [0.1, 0.5], axis=1))


# ---- counting


@given(data=st.data())
def test_bincount(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int64"), np.dtype("uint8"), np.dtype("bool")]))
    top = 1 if dtype.kind == "b" else 20
    x = data.draw(pairs(dtype, shapes(min_dims=1, max_dims=1, max_side=30), st.integers(0, top)))
    minlength = data.draw(st.integers(0, 30))
    assert_same(ca.bincount(x.cuarray, minlength=minlength), np.bincount(x.numpy, minlength=minlength))
    weights = data.draw(pairs(np.dtype("float32"), x.numpy.shape, st.floats(-8, 8, width=16)))
    assert_same(ca.bincount(x.cuarray, weights.cuarray), np.bincount(x.numpy, weights.numpy), atol=1e-10)


@pytest.mark.parametrize("bins", [3, 1000, 50_000])
def test_bincount_of_many(bins: int) -> None:
    rng = np.random.default_rng(0)
    host, weights = rng.integers(0, bins, 300_000), rng.standard_normal(300_000)
    x = ca.array(host)
    assert_same(ca.bincount(x), np.bincount(host))
    sums = [ca.bincount(x, ca.array(weights)) for _ in range(2)]
    assert_same(sums[0], np.bincount(host, weights), atol=1e-9)
    assert np.asarray(sums[0]).tobytes() == np.asarray(sums[1]).tobytes()


@pytest.mark.parametrize(
    ("x", "options"),
    [
        ([-1], {}),
        ([[1]], {}),
        (3, {}),
        ([], {"minlength": 3}),
        ([1], {"minlength": -1}),
        ([1], {"minlength": 1.5}),
        ([1], {"weights": [1, 2]}),
        ([1], {"weights": [1j]}),
        ([], {"weights": []}),
        ([1j], {}),
    ],
)
def test_bincount_arguments(x: Any, options: dict[str, Any]) -> None:
    check(lambda: ca.bincount(ca.array(x), **options), lambda: np.bincount(np.array(x), **options))


@given(data=st.data())
def test_digitize(data: st.DataObject) -> None:
    x = data.draw(pairs(np.dtype("float64"), shapes(), elements(np.dtype("float64"))))
    bins = data.draw(st.lists(st.integers(-3, 3), max_size=5))
    bins = data.draw(st.sampled_from([sorted(bins), sorted(bins)[::-1], bins]))
    right = data.draw(st.booleans())
    edges = np.array(bins, np.int32)
    check(lambda: ca.digitize(x.cuarray, ca.array(edges), right), lambda: np.digitize(x.numpy, edges, right))


def assert_histogram(actual: Any, expected: Any, **tolerance: Any) -> None:
    for one, other in zip(actual, expected, strict=True):
        if isinstance(other, list | tuple):
            assert_histogram(one, other)
        else:
            assert_same(one, other, **tolerance)


@settings(max_examples=100)
@given(data=st.data())
def test_histogram(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int32"), np.dtype("uint8"), np.dtype("float32"), np.dtype("float64")]))
    x = data.draw(pairs(dtype, shapes(max_side=8, max_dims=2), elements(dtype, nan=False)))
    bins = data.draw(st.integers(1, 12) | st.lists(st.integers(-2, 30), min_size=1, max_size=6).map(sorted))
    span = data.draw(st.none() | st.tuples(st.integers(-4, 3), st.integers(3, 40)))
    density = data.draw(st.booleans())
    kind = data.draw(st.sampled_from([None, "int64", "float32", "float64", "complex128"]))
    weights = None if kind is None else data.draw(pairs(np.dtype(kind), x.numpy.shape, st.integers(1, 4)))
    with quiet():
        expected = np.histogram(x.numpy, bins, span, density, None if weights is None else weights.numpy)
    own = None if weights is None else weights.cuarray
    assert_histogram(ca.histogram(x.cuarray, bins, span, density, own), expected)
    assert_same(ca.histogram_bin_edges(x.cuarray, bins, span), expected[1])


@pytest.mark.parametrize("rule", ["auto", "fd", "doane", "scott", "stone", "rice", "sturges", "sqrt"])
@pytest.mark.parametrize("dtype", ["int16", "float64"])
def test_rules_for_bins(rule: str, dtype: str) -> None:
    host = (np.random.default_rng(0).standard_normal(700) * 50).astype(dtype)
    assert_histogram(ca.histogram(ca.array(host), rule), np.histogram(host, rule))
    assert_histogram(ca.histogram(ca.array(host), rule, (-20, 60)), np.histogram(host, rule, (-20, 60)))
    for few in (host[:0], host[:1], np.ones(5, dtype)):
        assert_histogram(ca.histogram(ca.array(few), rule), np.histogram(few, rule))


@pytest.mark.parametrize(
    "call",
    [
        lambda m, x: m.histogram(x, 0),
        lambda m, x: m.histogram(x, 2.5),
        lambda m, x: m.histogram(x, "best"),
        lambda m, x: m.histogram(x, "auto", weights=x),
        lambda m, x: m.histogram(x, [3, 1]),
        lambda m, x: m.histogram(x, [[3, 1]]),
        lambda m, x: m.histogram(x, range=(2, 1)),
        lambda m, x: m.histogram(x, range=(0, np.inf)),
        lambda m, x: m.histogram(x / 0),
        lambda m, x: m.histogram(x, weights=x[1:]),
        lambda m, x: m.histogramdd(x[:, None], [2, 2]),
        lambda m, x: m.histogramdd(x[:, None], 0),
        lambda m, x: m.histogram2d(x, x[1:]),
        lambda m, x: m.digitize(x, [1, 3, 2]),
        lambda m, x: m.digitize(x * 1j, [1, 2]),
    ],
)
def test_bad_histograms(call: Any) -> None:
    host = np.arange(4.0)
    with pytest.raises((TypeError, ValueError)) as by_numpy, quiet():
        call(np, host)
    with pytest.raises(by_numpy.type):
        call(ca, ca.array(host))


@given(data=st.data())
def test_histograms_of_points(data: st.DataObject) -> None:
    count = data.draw(st.integers(1, 3))
    x = data.draw(pairs(np.dtype("float64"), (data.draw(st.integers(0, 9)), count), st.integers(-4, 4)))
    one = st.integers(1, 4) | st.lists(st.integers(-5, 5), min_size=2, max_size=4, unique=True).map(sorted)
    bins = data.draw(st.integers(1, 4) | st.lists(one, min_size=count, max_size=count))
    weights = data.draw(st.none() | st.just(np.arange(1.0, 1.0 + x.numpy.shape[0])))
    density = data.draw(st.booleans())
    own = None if weights is None else ca.array(weights)
    with quiet():
        expected = np.histogramdd(x.numpy, bins, None, density, weights)
        assert_histogram(ca.histogramdd(x.cuarray, bins, None, density, own), expected)
        if count == 2:
            parts = (x.numpy[:, 0], x.numpy[:, 1])
            expected = np.histogram2d(*parts, bins, None, density, weights)
            by_cuarray = ca.histogram2d(x.cuarray[:, 0], x.cuarray[:, 1], bins, None, density, own)
            assert_histogram(by_cuarray, expected)


WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)


@pytest.mark.parametrize("bins", [10, 5000])
def test_counting_by_wide_blocks(bins: int) -> None:
    """As a GPU does it: in shared memory, and with atomic additions."""
    host = np.random.default_rng(0).integers(-2, bins + 2, 4000)
    plan = _plan.count(WIDE, host.size, bins)
    assert plan.zeroed == (bins == 5000)
    x, counts = ca.array(host), ca.zeros((plan.tables, bins), "int64")
    Prepared(plan.plan).launch(counts._pointer, x._pointer)
    inside = host[(host >= 0) & (host < bins)]
    assert_same(counts.sum(axis=0), np.bincount(inside, minlength=bins))


def test_sums_of_weights_are_in_order() -> None:
    """One thread adds them as NumPy does, to the bit; many get the same on every run."""
    rng = np.random.default_rng(0)
    host, weights = rng.integers(-2, 9, 5000), rng.random(5000)
    inside = host >= 0
    numbers = ca.array(host)
    sums = _sum_weights(numbers, ca.array(weights), 7)
    again = _sum_weights(numbers, ca.array(weights), 7)
    np.testing.assert_array_equal(np.asarray(sums), np.asarray(again))
    one_thread = _runtime.get().target.one_thread_blocks
    assert_same(sums, np.bincount(host[inside], weights[inside])[:7], rtol=0 if one_thread else 1e-12)


@pytest.mark.parametrize("bins", [3, 500])
def test_segments_by_wide_blocks(bins: int) -> None:
    rng = np.random.default_rng(0)
    host, weights = np.sort(rng.integers(0, bins, 4000)), rng.random(4000)
    bounds, parts, sums = ca.array(np.searchsorted(host, np.arange(bins + 1))), ca.array(weights), ca.empty(bins)
    Prepared(_plan.segment_sums(WIDE, host.size, bins)).launch(sums._pointer, bounds._pointer, parts._pointer)
    assert_same(sums, np.bincount(host, weights, bins), rtol=1e-12)
