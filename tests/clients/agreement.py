"""The same call with CuArrays and with NumPy's arrays: results of the same structure and values, on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np

import cuarray as ca


def to_device(value: Any) -> Any:
    """`value` with NumPy's arrays in it made CuArrays."""
    if isinstance(value, np.ndarray):
        return ca.asarray(value)
    if isinstance(value, list | tuple):
        return type(value)(to_device(part) for part in value)
    return value


def agree(
    function: Callable[..., Any], *arguments: Any, rtol: float = 1e-8, atol: float = 1e-10, on_cpu: bool = False
) -> None:
    """function(*arguments) gives CuArrays for CuArrays, with the values that it gives for NumPy's arrays.

    `on_cpu`: the library makes a NumPy array of whatever it is given, and returns one.
    """
    expected = function(*arguments)
    actual = function(*(to_device(argument) for argument in arguments))
    assert_agree(to_device(actual) if on_cpu else actual, expected, rtol=rtol, atol=atol)


def assert_agree(actual: Any, expected: Any, *, rtol: float = 1e-8, atol: float = 1e-10, what: str = "result") -> None:
    """Where `expected` has an array, `actual` has a CuArray of the same shape and values; scalars may be 0-d arrays."""
    if isinstance(expected, np.ndarray):
        assert type(actual) is ca.CuArray, f"{what} is a {type(actual).__name__}, not a CuArray"
        assert actual.shape == expected.shape, f"{what}: shape {actual.shape}, with NumPy {expected.shape}"
        values = np.asarray(actual)
        assert values.dtype.kind == expected.dtype.kind, f"{what}: {actual.dtype}, with NumPy {expected.dtype}"
        np.testing.assert_allclose(values, expected, rtol=rtol, atol=atol, err_msg=what)
    elif isinstance(expected, Mapping):
        assert set(actual) == set(expected), what
        for key in expected:
            assert_agree(actual[key], expected[key], rtol=rtol, atol=atol, what=f"{what}[{key!r}]")
    elif isinstance(expected, list | tuple):
        assert len(actual) == len(expected), what
        for place, (one, other) in enumerate(zip(actual, expected)):
            assert_agree(one, other, rtol=rtol, atol=atol, what=f"{what}[{place}]")
    elif isinstance(expected, int | float | complex | np.generic):
        np.testing.assert_allclose(np.asarray(actual), expected, rtol=rtol, atol=atol, err_msg=what)
    else:
        assert actual == expected, what


def attributes(value: Any, names: Iterable[str]) -> dict[str, Any]:
    """Attributes by their names."""
    return {name: getattr(value, name) for name in names}
