"""Unique elements and set operations against NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pairs, shapes

import cuarray as ca
from cuarray._functions import _compaction
from cuarray._tuning import Target

KINDS = [np.dtype(name) for name in ("bool", "int32", "uint64", "float32", "float64", "complex64")]


def elements(dtype: np.dtype) -> st.SearchStrategy[Any]:
    if dtype.kind in "fc":
        return st.sampled_from([0.0, 1.0, -1.0, np.nan, np.inf])
    return st.integers(0, 3 if dtype.kind != "b" else 1)


def assert_all_same(actual: Any, expected: Any) -> None:
    if not isinstance(expected, tuple):
        actual, expected = (actual,), (expected,)
    assert len(actual) == len(expected)
    for one, other in zip(actual, expected):
        assert_same(one, other, rtol=0)


@settings(max_examples=100)
@given(data=st.data())
def test_unique(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(KINDS))
    x = data.draw(pairs(dtype, shapes(max_side=5), elements(dtype)))
    names = ("return_index", "return_inverse", "return_counts", "equal_nan")
    options = {name: data.draw(st.booleans()) for name in names}
    if dtype.kind == "c" and options["equal_nan"]:  # NumPy compares one NaN only where it hashes
        options["return_counts"] = True
    if options["return_inverse"] and not options["equal_nan"]:
        options["return_index"] = True  # only then NumPy's sort is stable, and so the numbers of NaNs known
    assert_all_same(ca.unique(x.cuarray, **options), np.unique(x.numpy, **options))


@pytest.mark.parametrize("blocks", ["own", "wide"])
@pytest.mark.parametrize("dtype", ["bool", "int16", "float16", "float64", "complex64"])
def test_unique_of_long_runs(dtype: str, blocks: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs of equal elements, also across those of the blocks; zeros of either sign and NaNs among them."""
    if blocks == "wide":
        monkeypatch.setattr(_compaction, "target", lambda: Target(2, 64, 1024, 2))
    rng = np.random.default_rng(0)
    for size, different in ((1, 1), (700, 3), (700, 1000), (20_000, 3), (20_000, 30_000)):
        host = (rng.integers(0, different, size) - different // 2).astype(dtype)
        if np.dtype(dtype).kind in "fc":
            host[rng.random(size) < 0.1] = np.nan
            host[rng.random(size) < 0.1] = -0.0
        for equal_nan in (False, True):
            # Asked for counts, NumPy sorts, else it may hash, and then compares no NaNs.
            expected = np.unique(host, return_counts=True, equal_nan=equal_nan)
            x = ca.array(host)
            assert_same(ca.unique(x, equal_nan=equal_nan), expected[0], rtol=0)
            assert_all_same(ca.unique(x, return_counts=True, equal_nan=equal_nan), expected)


@settings(max_examples=60)
@given(data=st.data())
def test_unique_slices(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int8"), np.dtype("float64")]))
    x = data.draw(pairs(dtype, shapes(min_dims=1), st.integers(0, 1)))
    axis = data.draw(st.integers(-x.numpy.ndim - 1, x.numpy.ndim))
    options = {name: data.draw(st.booleans()) for name in ("return_index", "return_inverse", "return_counts")}
    try:
        expected = np.unique(x.numpy, axis=axis, **options)
    except np.exceptions.AxisError:
        with pytest.raises(np.exceptions.AxisError):
            ca.unique(x.cuarray, axis=axis, **options)
        return
    assert_all_same(ca.unique(x.cuarray, axis=axis, **options), expected)


def test_unique_of_many() -> None:
    host = np.random.default_rng(0).integers(-500, 500, 200_000)
    options = {"return_index": True, "return_inverse": True, "return_counts": True}
    assert_all_same(ca.unique(ca.array(host), **options), np.unique(host, **options))
    rows = host.reshape(-1, 2) // 100
    assert_all_same(ca.unique(ca.array(rows), axis=0, **options), np.unique(rows, axis=0, **options))


@pytest.mark.parametrize("name", ["unique_all", "unique_counts", "unique_inverse", "unique_values"])
def test_array_api(name: str) -> None:
    host = np.array([[3.0, np.nan, 1.0], [np.nan, 3.0, 3.0]])
    actual, expected = getattr(ca, name)(ca.array(host)), getattr(np, name)(host)
    if name == "unique_values":
        expected = np.sort(expected)
    else:
        assert type(actual).__name__ == type(expected).__name__
        assert actual._fields == expected._fields
    assert_all_same(actual, expected)


@settings(max_examples=100)
@pytest.mark.parametrize("name", ["union1d", "intersect1d", "setdiff1d", "setxor1d"])
@given(data=st.data())
def test_set_operations(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int32"), np.dtype("float64")]))
    a = data.draw(pairs(dtype, shapes(max_dims=2), elements(dtype)))
    b = data.draw(pairs(data.draw(st.sampled_from([dtype, np.dtype("int8")])), shapes(max_dims=2), st.integers(0, 3)))
    assert_all_same(getattr(ca, name)(a.cuarray, b.cuarray), getattr(np, name)(a.numpy, b.numpy))
    if name == "intersect1d":
        expected = np.intersect1d(a.numpy, b.numpy, return_indices=True)
        assert_all_same(ca.intersect1d(a.cuarray, b.cuarray, return_indices=True), expected)


def test_of_unique_ones() -> None:
    a, b = np.array([5, 1, 3, 9]), np.array([9, 2, 1])
    for name in ("intersect1d", "setdiff1d", "setxor1d"):
        expected = getattr(np, name)(a, b, assume_unique=True)
        assert_all_same(getattr(ca, name)(ca.array(a), ca.array(b), assume_unique=True), expected)
    expected = np.intersect1d(a, b, assume_unique=True, return_indices=True)
    assert_all_same(ca.intersect1d(ca.array(a), ca.array(b), assume_unique=True, return_indices=True), expected)


@given(data=st.data())
def test_isin(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int32"), np.dtype("float64"), np.dtype("complex64")]))
    a = data.draw(pairs(dtype, shapes(), elements(dtype)))
    b = data.draw(pairs(dtype, shapes(max_dims=2), elements(dtype)))
    invert = data.draw(st.booleans())
    expected = np.isin(a.numpy, b.numpy, invert=invert)
    assert_same(ca.isin(a.cuarray, b.cuarray, invert=invert), expected)


@pytest.mark.parametrize("kind", [None, "sort", "table", "hash"])
def test_isin_kinds(kind: str | None) -> None:
    x = np.array([1, 5, 2])
    check(lambda: ca.isin(ca.array(x), [5, 7], kind=kind), lambda: np.isin(x, [5, 7], kind=kind))


def test_isin_arguments() -> None:
    x = np.array([1, 5, 2])
    check(lambda: ca.isin(ca.array(x), [5.0], kind="table"), lambda: np.isin(x, [5.0], kind="table"))
    assert_same(ca.isin(5, ca.array(x)), np.isin(5, x))
    many = np.arange(100_000)
    assert_same(ca.isin(ca.array(many), ca.array(many[::7])), np.isin(many, many[::7]))
