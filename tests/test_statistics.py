"""Weighted means, covariances and correlations against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given
from hypothesis import strategies as st
from strategies import pairs, shapes

import cuarray as ca

HOST = np.array([[1.0, 2, 4, 3], [3, 5, 2, 8], [0, 1, 7, 7]])


@given(data=st.data())
def test_average(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(["bool", "int8", "float32", "complex128"])))
    numbers = st.booleans() if dtype.kind == "b" else st.integers(0, 9)
    x = data.draw(pairs(dtype, shapes(min_side=1), numbers))
    axis = data.draw(st.sampled_from([None, 0, -1]) if x.numpy.ndim else st.none())
    keepdims = data.draw(st.booleans())
    options: dict[str, Any] = {"keepdims": keepdims}
    check(lambda: ca.average(x.cuarray, axis, **options), lambda: np.average(x.numpy, axis, **options), rtol=1e-6)
    weights = data.draw(
        pairs(np.dtype(data.draw(st.sampled_from(["int16", "float64"]))), x.numpy.shape, st.integers(0, 3))
    )
    check(
        lambda: ca.average(x.cuarray, axis, weights.cuarray, **options),
        lambda: np.average(x.numpy, axis, weights.numpy, **options),
        rtol=1e-6,
    )


@pytest.mark.parametrize(
    ("axis", "weights"),
    [
        (1, [1, 2, 3, 4]),
        (0, [1.5, 2, 0]),
        ((1, 0), [[1, 2, 3], [4, 5, 6], [7, 8, 9], [1, 1, 1]]),
        (None, [1, 2, 3]),
        (0, [1, 2]),
        (1, [1, -1, 1, -1]),
        (0, None),
        (None, None),
        ((0, 1), None),
        (2, None),
    ],
)
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
def test_weights_of_axes(axis: Any, weights: Any, dtype: str) -> None:
    host = HOST.astype(dtype)
    given = None if weights is None else ca.array(weights)
    check(lambda: ca.average(ca.array(host), axis, given), lambda: np.average(host, axis, weights), rtol=1e-6)
    try:
        expected = np.average(host, axis, weights, returned=True)
    except Exception:
        return
    result = ca.average(ca.array(host), axis, given, returned=True)
    assert isinstance(result, tuple)
    for one, other in zip(result, expected, strict=True):
        assert_same(one, other, rtol=1e-6)


COV = [
    {},
    {"bias": True},
    {"ddof": 0},
    {"ddof": 4},
    {"ddof": 1.5},
    {"fweights": [1, 2, 0, 3]},
    {"aweights": [1, 2, 0.5, 3]},
    {"fweights": [1, 2, 0, 3], "aweights": [1, 2, 0.5, 3]},
    {"fweights": [1, 2, 0, 3], "aweights": [1, 2, 0.5, 3], "ddof": 0},
    {"fweights": [1.5, 2, 0, 3]},
    {"fweights": [1, -2, 0, 3]},
    {"aweights": [1, -2, 0, 3]},
    {"fweights": [1, 2]},
    {"aweights": [1, 2]},
    {"fweights": [[1, 2, 0, 3]]},
    {"aweights": [[1, 2, 0, 3]]},
]


@pytest.mark.parametrize("options", COV, ids=str)
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "complex128"])
def test_cov(options: dict[str, Any], dtype: str) -> None:
    host = (HOST * (1 + 0.5j) if dtype == "complex128" else HOST).astype(dtype)
    arrays = {key: ca.array(value) if isinstance(value, list) else value for key, value in options.items()}
    check(lambda: ca.cov(ca.array(host), **arrays), lambda: np.cov(host, **options), rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ["cov", "corrcoef"])
@pytest.mark.parametrize("rowvar", [True, False])
@pytest.mark.parametrize("dtype", [None, "float32", "complex64", "float64"])
def test_variables(name: str, rowvar: bool, dtype: Any) -> None:
    ours, numpys = getattr(ca, name), getattr(np, name)
    for x, y in ((HOST, None), (HOST, HOST[::-1] ** 2), (HOST[0], HOST[1]), (HOST[0], None), (HOST.T, None)):
        other = None if y is None else ca.array(y)
        check(
            lambda: ours(ca.array(x), other, rowvar, dtype=dtype),  # noqa: B023
            lambda: numpys(x, y, rowvar, dtype=dtype),  # noqa: B023
            rtol=1e-5 if dtype in ("float32", "complex64") else 1e-10,
            atol=1e-5 if dtype in ("float32", "complex64") else 1e-12,
        )


def test_cov_of_other_shapes() -> None:
    for x in (np.ones((2, 2, 2)), np.empty((0, 3)), np.empty((2, 0)), np.ones((2, 1))):
        check(lambda: ca.cov(ca.array(x)), lambda: np.cov(x))  # noqa: B023
    check(lambda: ca.cov(ca.ones(3), ca.ones((2, 2, 2))), lambda: np.cov(np.ones(3), np.ones((2, 2, 2))))
    check(lambda: ca.cov(ca.ones((2, 3)), ca.ones((2, 4))), lambda: np.cov(np.ones((2, 3)), np.ones((2, 4))))


def test_coefficients_are_at_most_one() -> None:
    host = np.random.default_rng(2).random((5, 3)) * 1e-8 + 1
    assert_same(ca.corrcoef(ca.array(host)), np.corrcoef(host), rtol=1e-5, atol=1e-5)
    assert float(abs(ca.corrcoef(ca.array(host))).max()) <= 1
