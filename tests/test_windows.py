"""Windows, arrays written as indices, `flat` and text: compared with NumPy."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import given
from hypothesis import strategies as st
from strategies import pairs, shapes

import cuarray as ca


@pytest.mark.parametrize("name", ["bartlett", "blackman", "hamming", "hanning"])
@given(points=st.integers(-2, 40) | st.sampled_from([2.5, 100, None, "a"]))
def test_windows(name: str, points: Any) -> None:
    check(lambda: getattr(ca, name)(points), lambda: getattr(np, name)(points), atol=1e-15)


@given(points=st.integers(-2, 40), beta=st.floats(0, 20))
def test_kaiser(points: int, beta: float) -> None:
    with quiet():
        check(lambda: ca.kaiser(points, beta), lambda: np.kaiser(points, beta), atol=1e-15)


EXPRESSIONS = [
    "r_[1:4, 0, 4]", "r_[-1:1:6j, [0] * 3, 5, 6]", "r_[v, 1.5, 2]", "r_[v, True]", "r_[small, 300]", "r_[small, small]",
    "r_['-1', m, m]", "r_['0,2', [1, 2, 3], [4, 5, 6]]", "r_['0,2,0', [1, 2, 3], [4, 5, 6]]", "r_['0,3,1', v, v]",
    "r_['1,2,0', [1, 2, 3], [4, 5, 6]]", "c_[v, v]", "c_[m, v[:2]]", "c_[1:4, 5:8]", "c_[[[1, 2, 3]], 0, 0]",
    "r_[1, 2]",
    "r_['nonsense', v]", "r_[v, 'a']", "r_[m, v]", "r_['0,2', m, v]", "c_[m, v]", "r_[()]", "r_['7', v]", "r_[v, c]",
]  # fmt: skip


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_concatenators(expression: str) -> None:
    def value(xp: Any) -> Any:
        names = {"v": xp.arange(3.0), "m": xp.arange(6).reshape(2, 3), "small": xp.arange(3, dtype="int8")}
        return eval(f"xp.{expression}", {"xp": xp, **names, "c": xp.ones(2, "complex64")})

    check(lambda: value(ca), lambda: value(np))


def test_index_expressions() -> None:
    assert ca.s_[1:2, ..., None] == np.s_[1:2, ..., None]
    assert ca.s_[3] == 3
    assert ca.index_exp[3] == np.index_exp[3] == (3,)


KEYS = [0, -1, slice(1, 4), slice(None, None, -2), [0, 1], [1, 1, 0], 99, "a", None, (0, 0), ..., [99]]


def test_flat_refuses_a_fraction() -> None:  # as NumPy will: it is deprecated there
    with pytest.raises(IndexError, match="integers"):
        ca.ones((2, 3)).flat[1.5]


@given(own=pairs(shape=shapes(max_side=3)), key=st.sampled_from(KEYS))
def test_flat_is_read(own: Any, key: Any) -> None:
    assert len(own.cuarray.flat) == own.numpy.size
    if key is None and not own.numpy.size:
        return
    try:
        expected = own.numpy.flat[key]
    except (IndexError, TypeError) as error:
        with pytest.raises((IndexError, type(error))):
            own.cuarray.flat[key]
        return
    assert_same(own.cuarray.flat[key], expected)
    assert_same(own.cuarray.flat.copy(), own.numpy.flat.copy())
    assert [
        value.item() for value in own.cuarray.view().flat
    ] == own.numpy.ravel().tolist() or own.numpy.dtype.kind in "fc"


@given(
    own=pairs(dtype="int32", shape=shapes(max_side=3), layouts=("contiguous", "transposed", "reversed", "field")),
    key=st.sampled_from(KEYS[:6]),
    value=st.sampled_from([7, [1, 2], [[3], [4]]]),
)
def test_flat_is_written(own: Any, key: Any, value: Any) -> None:
    host = own.numpy.copy()
    if isinstance(key, int):  # to which NumPy assigns one number
        value = 7
    try:
        host.flat[key] = value
    except (IndexError, ValueError) as error:
        with pytest.raises((IndexError, type(error))):
            own.cuarray.flat[key] = value
        return
    own.cuarray.flat[key] = value
    assert_same(own.cuarray, host)
    own.cuarray.flat = 5
    assert_same(own.cuarray, np.full_like(host, 5))


def test_text_is_numpys() -> None:
    host = np.array([[1.5, 1e-7], [np.nan, 3.0]])
    x = ca.array(host)
    assert ca.array2string(x, precision=2) == np.array2string(host, precision=2)
    assert ca.array_repr(x, precision=2, suppress_small=True) == np.array_repr(host, precision=2, suppress_small=True)
    assert ca.array_str(x, 20) == np.array_str(host, 20)
    with ca.printoptions(precision=1):
        assert repr(x) == repr(host)


def test_checks_of_what_is_given() -> None:
    for value in ([1.0, 2.0], [1, 2], [1.0, np.inf], [np.nan], [complex(0, np.nan)], []):
        check(lambda value=value: ca.asarray_chkfinite(value), lambda value=value: np.asarray_chkfinite(value))
    for host in (np.ones((2, 3)), np.ones((2, 3)).T, np.ones(3), np.ones((1, 1)), np.ones((2, 3, 4))[:, ::2]):
        assert ca.isfortran(ca.array(host)) == np.isfortran(np.array(host, order="K"))
    assert ca.ndarray is ca.CuArray
    names = "byte short intc long ubyte ushort uintc ulong half single double csingle cdouble"
    for name in names.split():
        assert_same(ca.ones(2, getattr(ca, name)), np.ones(2, getattr(np, name)))
