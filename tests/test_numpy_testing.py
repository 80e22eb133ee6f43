"""ca.testing: NumPy's assertions, of CuArrays."""

from __future__ import annotations

import numpy as np
import pytest

import cuarray as ca

HOST = np.array([[1.0, 2.0], [3.0, np.nan]])
PASSES = {
    "assert_array_equal": (HOST, HOST),
    "assert_allclose": (HOST, HOST + 1e-9),
    "assert_array_almost_equal": (HOST, HOST + 1e-9),
    "assert_almost_equal": (HOST, HOST + 1e-9),
    "assert_equal": (HOST, HOST),
    "assert_array_less": (HOST[0], HOST[0] + 1),
    "assert_array_max_ulp": (HOST[0], np.nextafter(HOST[0], 9)),
    "assert_array_almost_equal_nulp": (HOST[0], HOST[0]),
    "assert_approx_equal": (HOST[0, 0], HOST[0, 0] + 1e-9),
}


@pytest.mark.parametrize("name", PASSES)
def test_assertions(name: str) -> None:
    """They pass and fail as NumPy's do, with NumPy's messages, for CuArrays, NumPy arrays and mixed."""
    ours, theirs = getattr(ca.testing, name), getattr(np.testing, name)
    first, second = PASSES[name]
    forms = [(ca.array(first), ca.array(second)), (first, ca.array(second)), (ca.array(first), second), (first, second)]
    for one, other in forms:
        ours(one, other)
        with pytest.raises(AssertionError) as expected:
            theirs(second + 1, first)
        with pytest.raises(AssertionError) as found:
            ours(other + 1, one)
        assert str(found.value) == str(expected.value)
    assert ours.__name__ == name


def test_nested() -> None:
    ca.testing.assert_equal({"x": [ca.arange(2), 3]}, {"x": [np.arange(2), 3]})
    with pytest.raises(AssertionError):
        ca.testing.assert_equal({"x": [ca.arange(2), 3]}, {"x": [np.arange(2) + 1, 3]})
    with pytest.raises(AssertionError, match="shapes"):
        ca.testing.assert_array_equal(ca.zeros(2), ca.zeros(3), strict=True)


def test_the_rest_is_numpys() -> None:
    for name in set(ca.testing.__all__) - {"Timing", "benchmark"}:  # our own: tests/test_benchmarks.py
        assert hasattr(np.testing, name)
    ca.testing.assert_raises(ValueError, ca.zeros, -1)
    with ca.testing.assert_raises(ValueError):
        ca.zeros(-1)
