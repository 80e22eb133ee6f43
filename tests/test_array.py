"""CuArray itself: attributes, printing, Python's protocols, NumPy's view of its memory, operators."""

from __future__ import annotations

import copy
import gc
import math
import operator
import pickle
import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import given
from hypothesis import strategies as st
from strategies import Pair, dtypes, pair, pairs, shapes

import cuarray as ca
from cuarray._dtypes import DTYPES
from cuarray._table import ELEMENTWISE


@given(x=pairs())
def test_attributes(x: Pair) -> None:
    for name in ("shape", "dtype", "ndim", "size", "nbytes", "itemsize"):
        assert getattr(x.cuarray, name) == getattr(x.numpy, name), name
    for name in ("C_CONTIGUOUS", "F_CONTIGUOUS"):
        assert x.cuarray.flags[name] == x.numpy.flags[name], name
    if x.numpy.size:
        assert x.cuarray.strides == x.numpy.strides


def test_flags_and_base() -> None:
    x = ca.zeros((2, 3))
    assert x.flags.owndata and x.flags.writeable and x.flags.c_contiguous and x.flags.contiguous
    assert not x[1:].flags.owndata
    assert x[1:].base is x
    assert x.base is None
    assert x.pointer == np.asarray(x).__array_interface__["data"][0]
    assert x.device == x[0].device
    assert str(x.device) == x.device
    assert x.device in {x.device}


def test_class_is_not_called() -> None:
    with pytest.raises(TypeError, match=r"cuarray\.array"):
        ca.CuArray((2, 3))


@given(x=pairs())
def test_printing(x: Pair) -> None:
    assert repr(x.cuarray) == repr(x.numpy)
    assert str(x.cuarray) == str(x.numpy)


@pytest.mark.parametrize("shape", [(2000,), (50, 50), (1, 1, 1)])
def test_printing_of_many(shape: tuple) -> None:
    host = np.arange(math.prod(shape)).reshape(shape) / 7
    assert repr(ca.array(host)) == repr(host)
    with np.printoptions(precision=2):
        assert str(ca.array(host)) == str(host)


def test_format() -> None:
    assert f"{ca.array(2.5):.2f}" == "2.50"
    assert f"{ca.arange(3)}" == f"{np.arange(3)}"


@given(x=pairs())
def test_tolist_and_item(x: Pair) -> None:
    # repr: NaN is equal to itself there, and 1 is not 1.0.
    assert repr(x.cuarray.tolist()) == repr(x.numpy.tolist())
    if x.numpy.size == 1:
        assert repr(x.cuarray.item()) == repr(x.numpy.item())
        assert type(x.cuarray.item()) is type(x.numpy.item())


@pytest.mark.parametrize("index", [(), (3,), (-1,), (1, 2), ((1, 2),), (6,), (-7,), (0, 3), (0,) * 3])
def test_item_at(index: tuple) -> None:
    host = np.arange(6).reshape(2, 3)
    x = ca.array(host)
    try:
        expected = host.item(*index)
    except Exception as error:
        with pytest.raises(type(error)):
            x.item(*index)
    else:
        assert x.item(*index) == expected


CONVERSIONS: list[Callable[[Any], Any]] = [bool, int, float, complex, operator.index, len, iter, range, math.sqrt]


@pytest.mark.parametrize("convert", CONVERSIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("value", [3, 2.5, True, 1j, [4], [], [1, 2], [[5]]], ids=lambda v: str(v).replace(" ", ""))
def test_conversions(convert: Callable[[Any], Any], value: Any) -> None:
    """The value or the exception that NumPy's array gives."""
    host = np.array(value)
    x = ca.array(value)
    if host.shape in ((1,), (1, 1)) and convert in (int, float, complex, math.sqrt):
        with pytest.raises(TypeError):  # deprecated in NumPy
            convert(x)
        return
    if convert in (int, float, math.sqrt) and host.dtype.kind == "c":
        with pytest.raises(TypeError):  # NumPy warns and drops the imaginary part
            convert(x)
        return
    try:
        expected = convert(host)
    except Exception as error:
        with pytest.raises(type(error)):
            convert(x)
        return
    result = convert(x)
    if convert is not iter:
        assert (result, type(result)) == (expected, type(expected))


def test_contains_and_hash() -> None:
    x = ca.arange(5)
    assert 3 in x
    assert 7 not in x
    with pytest.raises(TypeError):
        hash(x)


def test_copies() -> None:
    x = ca.arange(4)
    for y in (x.copy(), copy.copy(x), copy.deepcopy(x)):
        y[0] = 9
        assert_same(x, np.arange(4))


# ---- NumPy's view of the memory


def test_numpy_sees_and_writes_the_same_memory() -> None:
    x = ca.arange(6.0).reshape(2, 3)
    host = np.asarray(x)
    x += 1
    ca.sum(x).item()  # waits for the kernels before it
    np.testing.assert_array_equal(host, np.arange(1.0, 7).reshape(2, 3))
    host[0, 0] = 100
    assert x.sum().item() == 120
    assert_same(x[0] * 2, [200.0, 4, 6])


@given(x=pairs())
def test_numpy_view_of_every_layout(x: Pair) -> None:
    host = np.asarray(x.cuarray)
    np.testing.assert_array_equal(host, x.numpy)
    assert host.dtype == x.numpy.dtype
    if x.numpy.size:
        # The stride of an axis with one element says nothing, and NumPy makes its own.
        real = [axis for axis, extent in enumerate(x.numpy.shape) if extent > 1]
        assert [host.strides[axis] for axis in real] == [x.numpy.strides[axis] for axis in real]
        assert host.__array_interface__["data"][0] == x.cuarray.pointer


def test_numpy_view_keeps_the_memory() -> None:
    x = ca.arange(1000)
    host = np.asarray(x)
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is not None
    others = [ca.zeros(1000, "int64") for _ in range(10)]
    np.testing.assert_array_equal(host, np.arange(1000))
    del host, others
    gc.collect()
    assert alive() is None


def test_array_arguments() -> None:
    x = ca.arange(3)
    assert np.asarray(x, dtype=np.float32).dtype == np.float32
    copied = np.array(x, copy=True)
    copied[0] = 5
    assert x[0].item() == 0
    assert np.shares_memory(np.array(x, copy=False), np.asarray(x))
    with pytest.raises(ValueError, match="copy"):
        np.array(x, dtype=np.float32, copy=False)


def test_pickle() -> None:
    """By value."""
    x = ca.arange(6).reshape(2, 3).T
    assert_same(pickle.loads(pickle.dumps(x)), np.arange(6).reshape(2, 3).T)


# ---- operators

BINARY = {row.dunder: row.ufunc for row in ELEMENTWISE.values() if row.dunder and row.ufunc.nin == 2}
UNARY = {row.dunder: row.ufunc for row in ELEMENTWISE.values() if row.dunder and row.ufunc.nin == 1}
COMPARISONS = ("eq", "ne", "lt", "le", "gt", "ge")


def by_name(dunder: str) -> Callable[..., Any]:
    return getattr(operator, {"and": "and_", "or": "or_"}.get(dunder, dunder))


@pytest.mark.parametrize("dunder", BINARY)
@pytest.mark.parametrize("other", [3, 2.5, True, np.float32(2), np.array([1, 2, 3]), [3, 1, 2]], ids=repr)
def test_binary_operators(dunder: str, other: Any) -> None:
    """With scalars, NumPy arrays and lists on either side; the result is always a CuArray."""
    operation = by_name(dunder)
    for dtype in ("int32", "float32"):
        host = np.array([4, 5, 6], dtype)
        x = ca.array(host)
        check(lambda x=x: operation(x, other), lambda host=host: operation(host, other))
        check(lambda x=x: operation(other, x), lambda host=host: operation(other, host))
        check(lambda x=x: operation(x, x[::-1]), lambda host=host: operation(host, host[::-1]))


@pytest.mark.parametrize("dunder", UNARY)
def test_unary_operators(dunder: str) -> None:
    for host in (np.array([-1, 2, 0]), np.array([-1.5, 2, -0.0]), np.array([True, False]), np.array([1 - 2j])):
        check(lambda host=host: by_name(dunder)(ca.array(host)), lambda host=host: by_name(dunder)(host))


@pytest.mark.parametrize("dunder", [name for name in BINARY if name not in COMPARISONS])
@given(data=st.data())
def test_in_place_operators(dunder: str, data: st.DataObject) -> None:
    """The array stays the same object of the same dtype, or the cast is refused as NumPy refuses it."""
    operation = by_name(f"i{dunder}")
    dtype = data.draw(dtypes("iuf"))
    x = data.draw(pairs(dtype, (2, 3), st.integers(1, 5), layouts=("contiguous", "transposed", "sliced")))
    arrays = pairs(dtypes("iuf"), (3,), st.integers(1, 5), layouts=("contiguous",))
    other = data.draw(st.sampled_from([2, 1.5, np.float64(2), True]) | arrays)
    with_numpy = other.numpy if isinstance(other, Pair) else other
    with_cuarray = other.cuarray if isinstance(other, Pair) else other

    def in_place() -> ca.CuArray:
        result = operation(x.cuarray, with_cuarray)
        assert result is x.cuarray
        return result

    check(in_place, lambda: operation(x.numpy, with_numpy))


def test_divmod_and_matmul_in_place() -> None:
    host = np.array([7, -7])
    x = ca.array(host)
    for result, expected in zip((*divmod(x, 3), *divmod(20, x)), (*divmod(host, 3), *divmod(20, host)), strict=True):
        assert_same(result, expected)


@pytest.mark.parametrize("other", [None, "text", object(), {1}], ids=lambda value: type(value).__name__)
def test_operators_with_strangers(other: Any) -> None:
    x = ca.arange(3)
    with pytest.raises(TypeError):
        x + other
    with pytest.raises(TypeError):
        other - x
    assert (x == other) is False
    assert (x != other) is True


def test_another_class_may_answer() -> None:
    class Stranger:
        def __radd__(self, other: Any) -> str:
            return "radd"

    assert ca.arange(3) + Stranger() == "radd"


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_numpy_functions_give_cuarrays(dtype: np.dtype) -> None:
    """NumPy's ufuncs hand over to cuarray's, with out= too."""
    host = np.array([1, 0, 1], dtype)
    x = ca.array(host)
    assert_same(np.add(x, x), np.add(host, host))
    assert_same(np.add(host, x), np.add(host, host))
    out = ca.zeros(3, np.add(host, host).dtype)
    assert np.add(x, host, out=out) is out
    assert_same(out, np.add(host, host))
    with pytest.raises(TypeError):
        np.add(x, x, out=np.zeros(3))


def test_out_and_casting_errors() -> None:
    x = ca.arange(3)
    with pytest.raises(TypeError, match="out"):
        ca.add(x, 1.5, out=x)
    with pytest.raises(TypeError, match="out"):
        ca.add(x, 1, out=np.arange(3))
    with pytest.raises(ValueError, match="out"):
        ca.add(x, 1, out=ca.zeros(4))
    assert_same(ca.add(x, 1.5, out=ca.zeros(3, "int64"), casting="unsafe"), [1, 2, 3])
    assert_same(x, np.arange(3))


# ---- methods are the functions

REDUCTIONS = ["sum", "prod", "mean", "min", "max", "any", "all", "argmin", "argmax"]
METHODS = [*REDUCTIONS, "ravel", "copy", "squeeze", "conj", "round"]


@pytest.mark.parametrize("name", METHODS)
@given(data=st.data())
def test_methods(name: str, data: st.DataObject) -> None:
    x = data.draw(pairs(dtypes("if"), shapes(max_dims=2), st.integers(1, 3), layouts=("contiguous",)))
    with quiet():
        check(lambda: getattr(x.cuarray, name)(), lambda: getattr(x.numpy, name)())


def test_other_methods() -> None:
    x = pair(np.array([[3.25, -1.5], [0.5, 2.0]]))
    assert_same(x.cuarray.clip(0, 2), x.numpy.clip(0, 2))
    assert_same(x.cuarray.astype("int8"), x.numpy.astype("int8"))
    assert_same(x.cuarray.swapaxes(0, 1), x.numpy.swapaxes(0, 1))
    assert_same(x.cuarray.real, x.numpy.real)
    assert_same(x.cuarray.imag, x.numpy.imag)
    x.cuarray.fill(7)
    assert_same(x.cuarray, np.full((2, 2), 7.0))


def test_real_and_imag_write_through() -> None:
    host = np.array([1 + 2j, 3 - 4j])
    x = ca.array(host)
    x.real[...] = 9
    x.imag[0] = -1
    assert_same(x, np.array([9 - 1j, 9 - 4j]))
