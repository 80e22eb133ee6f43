"""The assertions of `numpy.testing`, which take CuArrays, NumPy arrays and both: values are compared on the CPU.

The messages are NumPy's. Every assertion waits for the device. `benchmark` measures how long a call takes.

>>> import cuarray as ca
>>> ca.testing.assert_array_equal(ca.arange(3), [0, 1, 2])
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import (
    assert_no_warnings,
    assert_raises,
    assert_raises_regex,
    assert_string_equal,
    assert_warns,
    suppress_warnings,
)

from cuarray._array import CuArray
from cuarray._timing import Timing, benchmark


def _to_numpy(value: Any) -> Any:
    """`value` with its CuArrays, also those in lists, tuples and dictionaries, as NumPy arrays."""
    if type(value) is CuArray:
        return np.asarray(value)
    if type(value) in (list, tuple):
        return type(value)(_to_numpy(one) for one in value)
    if type(value) is dict:
        return {key: _to_numpy(one) for key, one in value.items()}
    return value


def _converting(assertion: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(assertion)
    def converted(*args: Any, **kwargs: Any) -> Any:
        __tracebackhide__ = True  # pytest shows the line of the test
        return assertion(*map(_to_numpy, args), **{name: _to_numpy(value) for name, value in kwargs.items()})

    converted.__module__ = __name__
    converted.__doc__ = f"`numpy.testing.{assertion.__name__}`, also of CuArrays."
    return converted


assert_ = np.testing.assert_
assert_allclose = _converting(np.testing.assert_allclose)
assert_almost_equal = _converting(np.testing.assert_almost_equal)
assert_approx_equal = _converting(np.testing.assert_approx_equal)
assert_array_almost_equal = _converting(np.testing.assert_array_almost_equal)
assert_array_almost_equal_nulp = _converting(np.testing.assert_array_almost_equal_nulp)
assert_array_compare = _converting(np.testing.assert_array_compare)
assert_array_equal = _converting(np.testing.assert_array_equal)
assert_array_less = _converting(np.testing.assert_array_less)
assert_array_max_ulp = _converting(np.testing.assert_array_max_ulp)
assert_equal = _converting(np.testing.assert_equal)

__all__ = [
    "Timing",
    "assert_",
    "assert_allclose",
    "assert_almost_equal",
    "assert_approx_equal",
    "assert_array_almost_equal",
    "assert_array_almost_equal_nulp",
    "assert_array_compare",
    "assert_array_equal",
    "assert_array_less",
    "assert_array_max_ulp",
    "assert_equal",
    "assert_no_warnings",
    "assert_raises",
    "assert_raises_regex",
    "assert_string_equal",
    "assert_warns",
    "benchmark",
    "suppress_warnings",
]
