"""Every function of the table against NumPy's ufunc: all its dtypes, all layouts, mixed dtypes, scalars, out=."""

from __future__ import annotations

import inspect
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import broadcastable, dtypes, pair, pairs, shapes, values

import cuarray as ca
from cuarray._dtypes import BFLOAT16, DTYPES
from cuarray._table import ELEMENTWISE

UNARY = [name for name, row in ELEMENTWISE.items() if row.ufunc.nin == 1]
BINARY = [name for name, row in ELEMENTWISE.items() if row.ufunc.nin == 2]

# IEEE 754 leaves no room for a second answer.
ARITHMETIC = {"add", "subtract", "multiply", "divide", "fmod", "reciprocal", "square", "sqrt", "heaviside"}
ROUNDING = {"floor", "ceil", "trunc", "rint", "sign", "copysign", "negative", "positive", "absolute", "fabs"}
EXACT = (
    ARITHMETIC | ROUNDING | {"maximum", "minimum", "fmax", "fmin"} | {"ldexp", "frexp", "modf", "nextafter", "spacing"}
)
# Which of two zeros is the larger one is left open, and NumPy's vector and scalar code differ.
ZERO_SIGN_OPEN = {"maximum", "minimum", "fmax", "fmin"}
# Results that are close to zero although the operands are not: the error is relative to the operands.
CANCELLING = {"logaddexp", "logaddexp2", "remainder", "floor_divide", "divmod"}


def loops(name: str) -> list[np.dtype]:
    """The dtypes that this function computes in, of those that cuarray has."""
    ufunc = ELEMENTWISE[name].ufunc
    found = []
    for dtype in DTYPES:
        if name == "ldexp" and dtype.kind in "biu":
            continue
        operands = (dtype, np.dtype(np.int32)) if name == "ldexp" else (dtype,) * ufunc.nin
        try:
            resolved = ufunc.resolve_dtypes(operands + (None,) * ufunc.nout)
        except TypeError:
            continue
        if resolved[0] == dtype:
            found.append(dtype)
    return found


def elements(name: str, dtype: np.dtype, operand: int = 0) -> st.SearchStrategy[Any]:
    """Values for which NumPy's result is defined and the same on every platform."""
    if dtype.kind == "c" and name not in ("add", "subtract", "negative", "positive", "conjugate", "equal", "not_equal"):
        # What the C library makes of NaN, infinities and overflow in a complex number differs between platforms.
        return values(dtype, limit=30, special=False)
    drawn = values(dtype)
    if dtype.kind in "iu":
        if name == "reciprocal":
            return drawn.filter(lambda value: value != 0)  # undefined in NumPy
        if name == "power" and operand == 1:
            return st.integers(0, 20)
    if name == "float_power":
        return values(dtype, limit=50)
    if name == "hypot":  # a GPU's may be off in the last place, and then of the largest numbers give infinity
        largest = float(ml_dtypes.finfo(dtype).max)
        return drawn.filter(lambda value: not largest / 4 < abs(value) <= largest)
    return drawn


def tolerance(name: str, dtype: np.dtype, references: list[Any]) -> dict[str, Any]:
    if dtype.kind == "c" and name in ("log1p", "expm1"):
        return {"atol": 4 * float(ml_dtypes.finfo(dtype).eps)}  # NumPy's own lose what is small against 1
    if dtype.kind == "f" and name in EXACT and not any(np.iscomplexobj(x) for x in references):
        return {"exact": name not in ZERO_SIGN_OPEN, "rtol": 0.0}
    return {}


def check_function(name: str, operands: list[Any], references: list[Any], **options: Any) -> None:
    row = ELEMENTWISE[name]
    function = getattr(ca, name)
    with quiet():
        try:
            results = row.ufunc(*references)
            dtype = (results[0] if row.ufunc.nout > 1 else np.asarray(results)).dtype
        except Exception:
            dtype = np.dtype(bool)
    allowed = tolerance(name, dtype, references)
    if name in CANCELLING and dtype.kind == "f":
        with quiet():
            wide = [np.asarray(x).astype(np.float64) for x in references]
            size = sum(np.where(np.isfinite(x), np.abs(x), 0) for x in wide)
            allowed["atol"] = 4 * float(ml_dtypes.finfo(dtype).eps) * size
    if row.ufunc.nout == 1:
        check(lambda: function(*operands, **options), lambda: row.ufunc(*references, **options), **allowed)
    for k in range(row.ufunc.nout) if row.ufunc.nout > 1 else ():
        check(lambda: function(*operands, **options)[k], lambda: row.ufunc(*references, **options)[k], **allowed)  # noqa: B023


@pytest.mark.parametrize("name", UNARY)
@given(data=st.data())
def test_unary(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(loops(name)))
    x = data.draw(pairs(dtype, elements=elements(name, dtype)))
    check_function(name, [x.cuarray], [x.numpy])


@pytest.mark.parametrize("name", BINARY)
@given(data=st.data())
def test_binary(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(loops(name)))
    first, second = data.draw(broadcastable(2))
    x = data.draw(pairs(dtype, first, elements(name, dtype, 0)))
    own = data.draw(dtypes("i")) if name == "ldexp" else dtype
    if name == "ldexp" and dtype == BFLOAT16:
        own = np.dtype(np.int32)  # the only loop of ml_dtypes, which takes float32 for the others
    y = data.draw(pairs(own, second, elements(name, own, 1)))
    check_function(name, [x.cuarray, y.cuarray], [x.numpy, y.numpy])


# One function of each family; what happens to the dtypes before the functor is the same for all.
MIXED = ["add", "divide", "floor_divide", "less", "maximum", "bitwise_and", "left_shift", "logical_and", "arctan2"]


@pytest.mark.parametrize("name", MIXED)
@given(data=st.data())
def test_mixed_dtypes(name: str, data: st.DataObject) -> None:
    """Promotion is NumPy's, for any two dtypes; a TypeError where NumPy raises one."""
    operands = [data.draw(pairs(dtypes(), (3,), layouts=("contiguous", "reversed"))) for _ in range(2)]
    assume(not any(x.numpy.dtype.kind == "c" for x in operands) or name in ("add", "less", "bitwise_and"))
    check_function(name, [x.cuarray for x in operands], [x.numpy for x in operands])


SCALARS = (
    st.booleans()
    | st.integers(-200, 300)
    | st.sampled_from([2**31, 2**40, -(2**63), 2**63, 2**64, -(2**70)])
    | st.floats(width=32)
    | st.complex_numbers(max_magnitude=100)
    | st.sampled_from([np.float32(1.5), np.int8(-3), np.uint64(7), np.float64(np.inf), np.bool_(True), np.float16(2.5)])
)


@pytest.mark.parametrize("name", ["add", "multiply", "divide", "remainder", "less", "equal", "maximum", "bitwise_or"])
@given(data=st.data())
def test_scalars(name: str, data: st.DataObject) -> None:
    """Python's scalars are weak, NumPy's are not; an int that the dtype does not hold is an OverflowError."""
    x = data.draw(pairs(dtypes(), shapes(max_dims=2), layouts=("contiguous",)))
    scalar = data.draw(SCALARS)
    # NumPy's == refuses ints beyond int64 for bool arrays alone, where it compares them for all others.
    beyond = type(scalar) is int and not -(2**63) <= scalar < 2**63
    assume(not (beyond and x.numpy.dtype.kind == "b" and name in ("less", "equal")))
    complex_result = x.numpy.dtype.kind == "c" or isinstance(scalar, complex)
    assume(not complex_result or name in ("add", "equal", "bitwise_or"))
    if data.draw(st.booleans()):
        check_function(name, [x.cuarray, scalar], [x.numpy, scalar])
    else:
        check_function(name, [scalar, x.cuarray], [scalar, x.numpy])


@pytest.mark.parametrize("name", ["add", "less", "power"])
def test_only_scalars(name: str) -> None:
    for operands in ((2, 3), (2.5, 3), (np.float32(2), 3), (True, True), (2, 1j)):
        if name == "less" and 1j in operands:
            continue
        check_function(name, list(operands), list(operands))


@given(data=st.data())
def test_power_of_integers(data: st.DataObject) -> None:
    """Negative exponents of integers are refused, as arrays and as scalars."""
    x = data.draw(pairs(dtypes("iu"), (2,), layouts=("contiguous",)))
    exponent = data.draw(st.integers(-3, 5))
    check_function("power", [x.cuarray, exponent], [x.numpy, exponent])
    exponents = pair(np.array([exponent, 2], x.numpy.dtype if exponent >= 0 else np.int8))
    check_function("power", [x.cuarray, exponents.cuarray], [x.numpy, exponents.numpy])


@given(data=st.data())
def test_out(data: st.DataObject) -> None:
    """out= of any layout and of any dtype of the same kind or a higher one; others are refused."""
    x = data.draw(pairs(dtypes("biuf"), shapes(), elements=None, layouts=("contiguous", "transposed")))
    limited = np.nan_to_num(x.numpy.astype(np.float64), posinf=3, neginf=-3).clip(0, 100).astype(x.numpy.dtype)
    x = pair(limited)
    out = data.draw(pairs(dtypes("iufc"), x.numpy.shape, layouts=("contiguous", "transposed", "sliced", "reversed")))

    def by_cuarray() -> ca.CuArray:
        result = ca.add(x.cuarray, x.cuarray, out=out.cuarray)
        assert result is out.cuarray
        return result

    check(by_cuarray, lambda: np.add(x.numpy, x.numpy, out=out.numpy))


@given(data=st.data())
def test_dtype_and_casting(data: st.DataObject) -> None:
    x = data.draw(pairs(dtypes("iuf"), (2,), st.integers(0, 100), layouts=("contiguous",)))
    dtype = data.draw(dtypes())
    check(lambda: ca.add(x.cuarray, 1, dtype=dtype), lambda: np.add(x.numpy, 1, dtype=dtype))


def test_out_that_overlaps() -> None:
    """An operand that out overlaps is read before it is written, wherever it lies."""
    for shift in (1, 7):
        for n in (10, 100_000):
            host = np.arange(n, dtype=np.int64)
            x = ca.array(host)
            ca.add(x[:-shift], 1, out=x[shift:])
            np.add(host[:-shift], 1, out=host[shift:])
            assert_same(x, host)
    x, host = ca.arange(16).reshape(4, 4), np.arange(16).reshape(4, 4)
    ca.multiply(x, x.T, out=x)
    assert_same(x, host * host.T)


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "complex128"])
def test_large(dtype: str) -> None:
    """Many blocks, and an odd rest."""
    host = (np.arange(300_007) % 97).astype(dtype)
    x = ca.array(host)
    assert_same(x + x, host + host)
    assert_same(x[::3] * 2, host[::3] * 2)
    square = host[:250_000].reshape(500, 500)
    y = ca.array(square)
    assert_same(y + y.T, square + square.T)


@settings(max_examples=15)
@given(data=st.data())
def test_many_dimensions(data: st.DataObject) -> None:
    """Ranks above those that kernels are instantiated for one by one."""
    ndim = data.draw(st.sampled_from([5, 7, 9]))
    shape = data.draw(st.tuples(*(st.integers(1, 2) for _ in range(ndim))))
    x = data.draw(pairs(np.dtype(np.int32), shape, layouts=("transposed", "sliced")))
    check_function("add", [x.cuarray, x.cuarray], [x.numpy, x.numpy])


def test_sixty_four_dimensions() -> None:
    host = np.arange(8, dtype=np.float32).reshape((2, 1) * 3 + (1,) * 58)
    x = ca.array(host)
    assert_same(x + x, host + host)
    assert_same(x.T + 1, host.T + np.float32(1))


def test_order_of_the_result() -> None:
    """A result has its operands' order of axes in memory, as NumPy's has."""
    for host in (np.zeros((2, 3, 4)), np.zeros((2, 3, 4)).transpose(2, 0, 1), np.zeros((4, 3), order="F")):
        x = ca.array(np.zeros(1)) + ca.array(host) if host.flags.c_contiguous else ca.array(host.T.copy()).T
        if host.ndim == 3 and not host.flags.c_contiguous:
            x = ca.array(np.zeros((2, 3, 4))).transpose(2, 0, 1)
        assert (x + x).strides == (host + host).strides
        assert (x + 1).strides == (host + 1).strides
        assert ca.sin(x).strides == np.sin(host).strides


# ---- functions with rules of their own


@given(data=st.data())
def test_where(data: st.DataObject) -> None:
    shapes_drawn = data.draw(broadcastable(3))
    condition = data.draw(pairs(dtypes("bi"), shapes_drawn[0], layouts=("contiguous", "transposed")))
    x = data.draw(pairs(dtypes(), shapes_drawn[1], layouts=("contiguous", "sliced")))
    y = data.draw(pairs(dtypes(), shapes_drawn[2], layouts=("contiguous",)))
    check(
        lambda: ca.where(condition.cuarray, x.cuarray, y.cuarray),
        lambda: np.where(condition.numpy, x.numpy, y.numpy),
        exact=True,
    )
    check(lambda: ca.where(condition.cuarray, x.cuarray, 1), lambda: np.where(condition.numpy, x.numpy, 1), exact=True)


def test_where_takes_its_operands_by_position() -> None:
    parameters = list(inspect.signature(ca.where).parameters.values())
    assert len(parameters) == 3 and {parameter.kind for parameter in parameters} == {inspect.Parameter.POSITIONAL_ONLY}
    condition = ca.array([True, False])
    assert [found.tolist() for found in ca.where(condition)] == [[0]]
    with pytest.raises(ValueError, match="both or neither"):
        ca.where(condition, 1)


@given(data=st.data())
def test_clip(data: st.DataObject) -> None:
    dtype = data.draw(dtypes("iufc"))
    x = data.draw(pairs(dtype, layouts=("contiguous", "reversed")))
    if dtype.kind == "c":
        limit = values(dtype, special=False)
    elif dtype.kind == "f":
        limit = values(dtype, limit=100)
    else:
        limit = st.integers(0, 100)
    low, high = data.draw(st.none() | limit), data.draw(st.none() | limit)
    check(lambda: ca.clip(x.cuarray, low, high), lambda: np.clip(x.numpy, low, high))


@given(data=st.data())
def test_round(data: st.DataObject) -> None:
    dtype = data.draw(dtypes("iufc"))
    decimals = data.draw(st.integers(0, 2) if dtype.kind in "iu" else st.integers(-2, 2))
    x = data.draw(pairs(dtype, shapes(), values(dtype, limit=1000, special=False), layouts=("contiguous",)))
    check(lambda: ca.round(x.cuarray, decimals), lambda: np.round(x.numpy, decimals))


@given(data=st.data())
def test_real_and_imag(data: st.DataObject) -> None:
    x = data.draw(pairs())
    check(lambda: ca.real(x.cuarray), lambda: np.real(x.numpy), exact=True)
    check(lambda: ca.imag(x.cuarray), lambda: np.imag(x.numpy), exact=True)
    check(lambda: x.cuarray.conj(), lambda: x.numpy.conj())


@pytest.mark.parametrize(
    ("alias", "name"),
    [("true_divide", "divide"), ("mod", "remainder"), ("pow", "power"), ("abs", "absolute"), ("conj", "conjugate")]
    + [("asin", "arcsin"), ("acosh", "arccosh"), ("atan2", "arctan2")]
    + [("bitwise_not", "invert"), ("bitwise_invert", "invert"), ("bitwise_left_shift", "left_shift")],
)
def test_aliases(alias: str, name: str) -> None:
    assert getattr(ca, alias) is getattr(ca, name)


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d.kind in "biufc"], ids=str)
@settings(max_examples=20)
@given(data=st.data())
def test_astype(dtype: np.dtype, data: st.DataObject) -> None:
    """Casts to every dtype; of floats to integers only where they fit, the rest is the platform's."""
    source = data.draw(dtypes())
    if source.kind in "fc" and dtype.kind in "iu":
        high = 2.0 ** min(np.iinfo(dtype).bits - 2, 15)
        drawn = st.floats(0, high, width=16).map(complex if source.kind == "c" else float)
    else:
        drawn = values(source)
    x = data.draw(pairs(source, shapes(max_dims=2), drawn, layouts=("contiguous", "transposed")))
    check(lambda: x.cuarray.astype(dtype), lambda: x.numpy.astype(dtype), exact=True)
