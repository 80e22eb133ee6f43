"""Reductions against NumPy's: axes, keepdims, dtypes, NaN, nothing to reduce, and sizes that need several blocks."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import dtypes, pairs, shapes, values

import cuarray as ca
from cuarray._dtypes import DTYPES
from cuarray._table import REDUCTIONS

SUMMING = ("sum", "prod", "mean")


@st.composite
def axes(draw: st.DrawFn, ndim: int, one: bool = False) -> Any:
    """An axis argument: None, an int, or a tuple of axes; sometimes negative, rarely out of range."""
    number = st.integers(-ndim, max(ndim - 1, 0)) | st.integers(-ndim - 1, ndim)
    if one or not ndim:
        return draw(st.none() | number)
    count = draw(st.integers(0, ndim))
    several = st.permutations(range(ndim)).map(lambda order: tuple(order[:count]))
    return draw(st.none() | number | several)


def elements(name: str, dtype: np.dtype) -> st.SearchStrategy[Any]:
    if name in ("sum", "mean") and dtype.kind in "fc":
        return values(dtype, limit=8)
    if name == "prod" and dtype.kind in "fc":
        return st.sampled_from([0.5, 1.0, -1.0, 1.5, 2.0, 0.75])
    return values(dtype)


def tolerance(name: str, x: np.ndarray, axis: Any, dtype: Any = None) -> dict[str, Any]:
    """NumPy adds in the array's own precision, cuarray in a wider one: they agree to NumPy's rounding errors."""
    if name not in SUMMING:
        return {"exact": False, "rtol": 0.0}
    if x.dtype.kind not in "fc" and dtype is None:
        return {"rtol": 1e-12}
    eps = float(np.finfo(x.dtype if dtype is None else dtype).eps) if dtype is None or dtype.kind in "fc" else 0.0
    if x.dtype.kind in "fc":
        eps = max(eps, float(np.finfo(x.dtype).eps))
    if name == "prod":
        return {"rtol": 2 * eps * max(x.size, 1)}
    with quiet():
        terms = np.sum(np.abs(x.astype(np.complex128)), axis=axis, keepdims=False)
    return {"rtol": 2 * eps, "atol": 2 * eps * max(float(np.max(terms, initial=0.0)), 0.0) * 4}


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=60)
@given(data=st.data())
def test_reduction(name: str, data: st.DataObject) -> None:
    row = REDUCTIONS[name]
    dtype = data.draw(dtypes())
    x = data.draw(pairs(dtype, shapes(), elements(name, dtype)))
    axis = data.draw(axes(x.numpy.ndim, row.one_axis))
    keepdims = data.draw(st.booleans())
    assume(not (name == "mean" and not x.numpy.ndim and axis in (0, -1)))  # NumPy takes this axis in all others
    try:
        allowed = tolerance(name, x.numpy, axis)
    except (np.exceptions.AxisError, ValueError):
        allowed = {}
    check(
        lambda: getattr(ca, name)(x.cuarray, axis, keepdims=keepdims),
        lambda: getattr(np, name)(x.numpy, axis, keepdims=keepdims),
        **allowed,
    )


@pytest.mark.parametrize("name", SUMMING)
@given(data=st.data())
def test_dtype(name: str, data: st.DataObject) -> None:
    """dtype= says in what to compute. Computing in integers less wide than the values wraps around, as in NumPy."""
    source = data.draw(dtypes("biuf"))
    wanted = data.draw(dtypes("iu") if source.kind in "biu" and name != "mean" else dtypes("fc"))
    if source.kind == "b":
        elements = st.booleans()
    else:
        elements = st.integers(0, 3)
    x = data.draw(pairs(source, shapes(max_dims=2, max_side=3), elements, layouts=("contiguous", "transposed")))
    check(
        lambda: getattr(ca, name)(x.cuarray, 0 if x.numpy.ndim else None, dtype=wanted),
        lambda: getattr(np, name)(x.numpy, 0 if x.numpy.ndim else None, dtype=wanted),
        **tolerance(name, x.numpy, None, wanted),
    )


@pytest.mark.parametrize("name", sorted(set(REDUCTIONS) - {"count_nonzero"}))
def test_method_and_out(name: str) -> None:
    host = np.array([[3, 1, 2], [0, 5, 4]], np.int32)
    x = ca.array(host)
    assert_same(getattr(x, name)(axis=1), getattr(host, name)(axis=1))
    expected = getattr(np, name)(host, axis=0)
    out = ca.zeros((2, 3), expected.dtype)[1]
    assert getattr(ca, name)(x, axis=0, out=out) is out
    assert_same(out, expected)
    with pytest.raises(ValueError, match="out"):
        getattr(ca, name)(x, axis=0, out=ca.zeros(2, expected.dtype))
    with pytest.raises(TypeError, match="out"):
        getattr(ca, name)(x, axis=0, out=np.zeros(3, expected.dtype))


def test_out_of_a_lower_kind_is_refused() -> None:
    with pytest.raises(TypeError, match="out"):
        ca.sum(ca.ones(3), out=ca.zeros((), "int64"))


@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_nan_wins(name: str, dtype: str) -> None:
    for place in (0, 3, 6):
        host = np.arange(7).astype(dtype)
        host[place] = np.nan
        assert_same(getattr(ca, name)(ca.array(host)), getattr(np, name)(host))
    host = np.array([np.inf, -np.inf, np.nan, np.inf, np.nan, -np.inf]).astype(dtype)
    assert_same(getattr(ca, name)(ca.array(host)), getattr(np, name)(host))


@pytest.mark.parametrize("name", ["argmin", "argmax"])
def test_first_of_equals(name: str) -> None:
    """Whichever block finds it."""
    host = np.zeros(300_000, np.int32)
    host[[250_000, 100_000, 299_999]] = 5 if name == "argmax" else -5
    assert getattr(ca, name)(ca.array(host)).item() == 100_000
    assert getattr(ca, name)(ca.zeros(300_000, "float32")).item() == 0


LARGE = [
    ((300_007,), None),
    ((3, 100_001), 1),
    ((100_001, 3), 0),
    ((400, 500), 0),
    ((400, 500), 1),
    ((60, 50, 70), (0, 2)),
]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), LARGE, ids=lambda value: str(value).replace(" ", ""))
def test_large(name: str, dtype: str, shape: tuple, axis: Any) -> None:
    """More than a block can do: runs, and runs of runs."""
    if REDUCTIONS[name].one_axis and isinstance(axis, tuple):
        axis = axis[0]
    numbers = np.arange(np.prod(shape)) * 7919 % 1009
    host = (np.where(numbers % 97 == 5, 1.01, 1) if name == "prod" else numbers - 500).astype(dtype).reshape(shape)
    allowed: dict[str, Any] = {}
    if dtype == "float32" and name in SUMMING:
        reference = getattr(np, name)(host, axis, dtype=np.float64).astype(np.float32)
        allowed = {"rtol": 1e-5}
    else:
        reference = getattr(np, name)(host, axis)
        allowed = {"rtol": 1e-9} if name in SUMMING else {"rtol": 0.0}
    x = ca.array(host)
    assert_same(getattr(ca, name)(x, axis), reference, **allowed)
    if len(shape) == 2:
        assert_same(getattr(ca, name)(x.T, 1 - axis), reference, **allowed)


def test_sum_of_float32_is_rounded_once() -> None:
    host = np.full(1_000_001, 0.1, np.float32)
    exact = np.float32(float(np.float32(0.1)) * 1_000_001)
    assert ca.sum(ca.array(host)).item() == exact


def test_same_bits_on_every_run() -> None:
    host = np.sin(np.arange(500_000.0)) * 1e10
    x = ca.array(host)
    assert len({x.sum().item() for _ in range(5)}) == 1


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((0,), None), ((0, 3), 0), ((0, 3), 1), ((3, 0), 0), ((2, 0, 3), 1), ((0, 0), 0)]
)
def test_nothing_to_reduce(name: str, shape: tuple, axis: Any) -> None:
    host = np.zeros(shape, np.float32)
    check(lambda: getattr(ca, name)(ca.array(host), axis), lambda: getattr(np, name)(host, axis))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, 5), 1.5, "0", (0, 1)])
def test_bad_axes(name: str, axis: Any) -> None:
    host = np.ones((2, 3))
    check(lambda: getattr(ca, name)(ca.array(host), axis), lambda: getattr(np, name)(host, axis))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_count_of_nonzero(dtype: np.dtype) -> None:
    host = np.array([[0, 1, 2], [3, 0, 0]]).astype(dtype)
    x = ca.array(host)
    assert int(ca.count_nonzero(x)) == np.count_nonzero(host)
    assert_same(ca.count_nonzero(x, 1), np.count_nonzero(host, 1))


def test_lists_are_arrays() -> None:
    assert_same(ca.sum([[1, 2], [3, 4]], 0), np.sum([[1, 2], [3, 4]], 0))
    assert_same(ca.max(3.5), np.max(3.5))
