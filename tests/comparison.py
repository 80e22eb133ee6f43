"""Is it what NumPy gives? Value, dtype, shape; or the class of the exception."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Callable
from typing import Any

import ml_dtypes
import numpy as np

import cuarray as ca
from cuarray._dtypes import kind_of

# Relative to the magnitude of the result. float16 and bfloat16 ("E") are rounded from float32, by NumPy too: at most
# 2 ulp apart.
TOLERANCE = {"e": 2 * 2.0**-10, "E": 2 * 2.0**-7, "f": 4e-6, "d": 1e-13, "F": 2e-5, "D": 1e-12}


def assert_same(actual: Any, expected: Any, *, rtol: float | None = None, atol: Any = 0.0, exact: bool = False) -> None:
    """`actual`, a CuArray, is `expected`: dtype and shape always, values within the tolerance of their dtype."""
    assert type(actual) is ca.CuArray, type(actual)
    expected = np.asarray(expected)
    assert actual.dtype == expected.dtype, f"dtype {actual.dtype}, NumPy has {expected.dtype}"
    assert actual.shape == expected.shape, f"shape {actual.shape}, NumPy has {expected.shape}"
    assert_close(np.asarray(actual), expected, rtol=rtol, atol=atol, exact=exact)


def assert_close(
    actual: np.ndarray, expected: np.ndarray, *, rtol: float | None = None, atol: Any = 0.0, exact: bool = False
) -> None:
    """The values of two NumPy arrays: integers must be equal, NaN is equal to NaN; `exact`: the signs of zeros too."""
    kind = kind_of(expected.dtype)
    if exact and expected.dtype == ca.bfloat16:  # which NumPy's comparisons do not know to be floating
        actual, expected = actual.astype(np.float32), expected.astype(np.float32)
    if exact or kind not in "fc":
        np.testing.assert_array_equal(actual, expected)
        if kind == "f":
            zeros = expected == 0
            np.testing.assert_array_equal(np.signbit(actual[zeros]), np.signbit(expected[zeros]), "signs of zeros")
        return
    if rtol is None:
        rtol = TOLERANCE[expected.dtype.char]
    wide = np.complex128 if expected.dtype.kind == "c" else np.float64
    with np.errstate(all="ignore"):
        got, want = actual.astype(wide), expected.astype(wide)
        finite = np.isfinite(want)
        if expected.dtype.kind == "c":  # one part may be finite, and is rounded
            for part in (np.real, np.imag):
                assert_close(part(actual[~finite]), part(expected[~finite]), rtol=rtol)
        else:
            np.testing.assert_array_equal(got[~finite], want[~finite])
        # Below the smallest normal number there is less precision to compare.
        info = ml_dtypes.finfo(expected.dtype) if expected.dtype == ca.bfloat16 else np.finfo(expected.dtype)
        subnormal = 4 * float(info.smallest_subnormal)
        # Equal values are the same even where the magnitude of a complex number overflows.
        bad = ~((got == want) | (np.abs(got - want) <= rtol * np.abs(want) + atol + subnormal)) & finite
    if bad.any():
        place = tuple(int(i) for i in np.argwhere(bad)[0])
        raise AssertionError(f"at {place}: {actual[place]!r}, NumPy has {expected[place]!r} (rtol {rtol})")


def outcome(function: Callable[[], Any]) -> tuple[Any, Exception | None]:
    """What a call gives or raises; what NumPy warns of is not compared."""
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return function(), None
        except Exception as error:
            return None, error


def check(by_cuarray: Callable[[], Any], by_numpy: Callable[[], Any], **tolerance: Any) -> None:
    """Both calls give the same, or raise the same class of exception."""
    expected, expected_error = outcome(by_numpy)
    actual, error = outcome(by_cuarray)
    if expected_error is not None:
        base = _public_class(expected_error)
        assert isinstance(error, base), f"NumPy raises {expected_error!r}, cuarray {error!r} (gives {actual!r})"
        return
    if error is not None:
        raise error
    assert_same(actual, expected, **tolerance)


def _public_class(error: Exception) -> type[Exception]:
    # NumPy's private subclasses (UFuncTypeError, ...) are told apart by nobody.
    names = ((kind, kind.__name__) for kind in type(error).__mro__)
    return next(kind for kind, name in names if not name.startswith("_") and "UFunc" not in name)


@contextlib.contextmanager
def quiet() -> Any:
    """Without NumPy's warnings about overflow, division by zero and invalid values."""
    with np.errstate(all="ignore"):
        yield
