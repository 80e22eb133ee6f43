"""Products of matrices and vectors against NumPy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import dtypes, pairs

import cuarray as ca
from cuarray._dtypes import DTYPES


def elements(dtype: np.dtype) -> st.SearchStrategy[Any]:
    if dtype.kind == "b":
        return st.booleans()
    if dtype.kind == "u":
        return st.integers(0, 5)
    return st.integers(-5, 5)  # exact in every dtype, whatever the order of the additions


@settings(max_examples=100)
@given(data=st.data())
def test_matmul(data: st.DataObject) -> None:
    """Stacks, rows, columns, empty inner extents, any strides, mixed dtypes; mismatches are ValueErrors."""
    m, k, n = data.draw(st.tuples(*(st.integers(0, 5) for _ in range(3))))
    batch = data.draw(st.sampled_from([((), ()), ((2,), ()), ((2,), (2,)), ((1,), (3,)), ((2, 1), (3,)), ((2,), (3,))]))
    inner = k if data.draw(st.integers(0, 9)) else k + 1
    first = (k,) if data.draw(st.integers(0, 4)) == 0 else (*batch[0], m, k)
    second = (inner,) if data.draw(st.integers(0, 4)) == 0 else (*batch[1], inner, n)
    a_type = data.draw(dtypes())
    b_type = data.draw(st.just(a_type) | dtypes())
    a = data.draw(pairs(a_type, first, elements(a_type)))
    b = data.draw(pairs(b_type, second, elements(b_type)))
    check(lambda: ca.matmul(a.cuarray, b.cuarray), lambda: np.matmul(a.numpy, b.numpy))
    check(lambda: a.cuarray @ b.cuarray, lambda: a.numpy @ b.numpy)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("size", [(17, 33, 65), (130, 70, 300)], ids=str)
def test_sizes_that_do_not_divide(dtype: np.dtype, size: tuple[int, int, int]) -> None:
    m, k, n = size
    generator = np.random.default_rng(m)
    a, b = (generator.integers(0, 3, shape).astype(dtype) for shape in ((m, k), (k, n)))
    expected = (a @ b).astype(dtype)  # of bfloat16 NumPy makes float32
    x, y = ca.array(a), ca.array(b)
    assert_same(x @ y, expected)
    assert_same(ca.array(a.T.copy()).T @ ca.array(b.T.copy()).T, expected)
    assert_same(x[::-1] @ y[:, ::-1], expected[::-1, ::-1])


@pytest.mark.parametrize(
    ("dtype", "rtol"), [("float32", 1e-5), ("float64", 1e-13), ("complex128", 1e-13), ("float16", 2e-3)]
)
def test_rounding(dtype: str, rtol: float) -> None:
    """Relative to the products' magnitude."""
    generator = np.random.default_rng(7)
    a, b = (generator.standard_normal((90, 90)).astype(dtype) for _ in range(2))
    wide = np.complex128 if dtype.startswith("c") else np.float64
    expected = (a.astype(wide) @ b.astype(wide)).astype(dtype)
    magnitude = np.abs(a.astype(wide)) @ np.abs(b.astype(wide))
    assert_same(ca.array(a) @ ca.array(b), expected, atol=rtol * magnitude)


@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64"])
def test_integers_wrap_around(dtype: str) -> None:
    info = np.iinfo(dtype)
    host = np.array([[info.max, info.min], [info.max - 1, 3]], dtype)
    assert_same(ca.array(host) @ ca.array(host), host @ host)


def test_nan_and_infinity() -> None:
    host = np.array([[np.inf, 1], [np.nan, 0]])
    with np.errstate(invalid="ignore"):
        assert_same(ca.array(host) @ ca.array(host), host @ host)
        zeros = np.zeros((2, 2))
        assert_same(ca.array(host) @ ca.array(zeros), host @ zeros)


def test_out() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    x, y = ca.array(a), ca.array(b)
    out = ca.zeros((4, 2)).T
    assert ca.matmul(x, y, out=out) is out
    assert_same(out, a @ b)
    square = np.arange(9.0).reshape(3, 3)
    z = ca.array(square)
    ca.matmul(z, z.T, out=z)
    assert_same(z, square @ square.T)
    with pytest.raises(ValueError, match="out"):
        ca.matmul(x, y, out=ca.zeros((4, 2)))
    with pytest.raises(TypeError):
        ca.matmul(x, y, out=ca.zeros((2, 4), "int32"))


def test_operators() -> None:
    host = np.arange(9.0).reshape(3, 3)
    x = ca.array(host)
    assert_same(x @ host, host @ host)
    assert_same(host @ x, host @ host)
    assert_same([1.0, 2.0, 3.0] @ x, np.array([1.0, 2, 3]) @ host)
    assert_same(x @ [1, 2, 3], host @ np.array([1, 2, 3]))
    x @= x
    assert_same(x, host @ host)


@pytest.mark.parametrize(
    "shapes", [((), ()), ((3,), ()), ((), (2, 3)), ((2, 3), (2, 3)), ((3,), (4,)), ((2, 3, 4), (2, 3, 4))]
)
def test_bad_shapes(shapes: tuple) -> None:
    a, b = (np.ones(shape) for shape in shapes)
    check(lambda: ca.matmul(ca.array(a), ca.array(b)), lambda: np.matmul(a, b))


@given(data=st.data())
def test_dot(data: st.DataObject) -> None:
    shapes = [(), (3,), (2, 3), (3, 3), (3, 2), (2, 3, 2), (2, 2, 3), (0, 3), (4,), (2, 0), (3, 0, 2)]
    dtype = data.draw(dtypes("if"))
    a, b = (data.draw(pairs(dtype, data.draw(st.sampled_from(shapes)), elements(dtype))) for _ in range(2))
    check(lambda: ca.dot(a.cuarray, b.cuarray), lambda: np.dot(a.numpy, b.numpy))
    check(lambda: a.cuarray.dot(b.cuarray), lambda: a.numpy.dot(b.numpy))
