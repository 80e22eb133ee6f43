"""ca.linalg.gemm against the expressions that it stands for, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st
from test_matmul import ERRORS, VIEWS, WIDE, numbers, wide

import cuarray as ca
from cuarray import _plan, _runtime
from cuarray._dtypes import BFLOAT16, DTYPES, kind_of
from cuarray._functions import _multiply

erf = np.vectorize(math.erf, otypes=[np.float64])
EPILOGUES: dict[str | None, Callable[[np.ndarray], np.ndarray]] = {
    None: lambda x: x,
    "relu": lambda x: np.maximum(x, 0),
    "leaky_relu": lambda x: np.where(x > 0, x, x / 100),
    "gelu": lambda x: x * (1 + erf(x / math.sqrt(2))) / 2,
    "gelu_tanh": lambda x: x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2,
    "silu": lambda x: x / (1 + np.exp(-x)),
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "tanh": np.tanh,
}
FLOATS = [np.dtype(name) for name in ("float16", "float32", "float64")] + [BFLOAT16]
ADDED: dict[str, Callable[[int, int], tuple[int, ...]]] = {
    "a number": lambda m, n: (),
    "a row": lambda m, n: (n,),
    "a column": lambda m, n: (m, 1),
    "a matrix": lambda m, n: (m, n),
    "one element": lambda m, n: (1, 1),
}


def compare(found: Any, exact: np.ndarray, dtype: np.dtype, scale: float = 0) -> None:
    """Relative to the result, or to what cancelled in it."""
    assert type(found) is ca.CuArray and found.dtype == dtype and found.shape == exact.shape
    if kind_of(dtype) in "biu":
        np.testing.assert_array_equal(np.asarray(found), exact)
        return
    size = max(float(np.linalg.norm(exact.ravel())), scale * math.sqrt(exact.size))
    assert np.linalg.norm((wide(np.asarray(found)) - exact).ravel()) <= ERRORS[str(dtype)] * size


@settings(max_examples=120, deadline=None)
@given(
    size=st.tuples(*[st.integers(0, 60)] * 3),
    views=st.tuples(*[st.sampled_from(sorted(VIEWS))] * 2),
    dtype=st.sampled_from(FLOATS),
    result=st.none() | st.sampled_from(FLOATS),
    added=st.none() | st.sampled_from(sorted(ADDED)),
    epilogue=st.sampled_from(sorted(EPILOGUES, key=str)),
    factors=st.sampled_from([(1, None), (2.5, None), (-1, 0.5), (1, 0), (0, 2)]),
    seed=st.integers(0, 99),
)
def test_gemm(
    size: tuple[int, int, int],
    views: tuple[str, str],
    dtype: np.dtype,
    result: np.dtype | None,
    added: str | None,
    epilogue: str | None,
    factors: tuple[float, float | None],
    seed: int,
) -> None:
    m, n, k = size
    rng = np.random.default_rng(seed)
    (a_shape, a_view), (b_shape, b_view) = VIEWS[views[0]](m, k), VIEWS[views[1]](k, n)
    a, b = numbers(rng, a_shape, dtype), numbers(rng, b_shape, dtype)
    alpha, beta = factors
    out_dtype = dtype if result is None else result
    options: dict[str, Any] = {"alpha": alpha, "epilogue": epilogue, "dtype": result}
    exact = alpha * (wide(a_view(a)) @ wide(b_view(b)))
    if added is not None:
        c = numbers(rng, ADDED[added](m, n), out_dtype)
        options |= {"c": ca.array(c), "beta": beta}
        exact = exact + (1 if beta is None else beta) * wide(c)
    if {dtype, out_dtype} == {BFLOAT16, np.dtype("float16")}:
        return  # neither is cast to the other as a matter of course
    for _ in range(2):
        found = ca.linalg.gemm(a_view(ca.array(a)), b_view(ca.array(b)), **options)
        narrow = max(ERRORS[str(dtype)] if dtype.itemsize > 2 else 0, ERRORS[str(out_dtype)])
        assert found.dtype == out_dtype and found.shape == (m, n)
        wanted = EPILOGUES[epilogue](exact)
        scale = math.sqrt(max(m * n, 1)) * (1 + abs(alpha) * math.sqrt(k))
        assert np.linalg.norm((wide(np.asarray(found)) - wanted).ravel()) <= narrow * scale


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_every_dtype(dtype: np.dtype) -> None:
    rng = np.random.default_rng(3)
    a, b, c = (numbers(rng, shape, dtype) for shape in ((2, 30, 20), (20, 40), (2, 1, 40)))
    if dtype.kind == "b":
        exact = (a @ b) | c
    else:
        exact = (wide(a) @ wide(b) + wide(c)).astype(dtype if kind_of(dtype) in "iu" else wide(a).dtype)
    compare(ca.linalg.gemm(ca.array(a), ca.array(b), ca.array(c)), exact, dtype, 1)
    with np.errstate(over="ignore"):
        if dtype.kind in "iu":
            exact = (np.array(3, dtype) * (a @ b) + np.array(2, dtype) * c).astype(dtype)
            compare(ca.linalg.gemm(ca.array(a), ca.array(b), ca.array(c), 3, 2), exact, dtype)
            relu = ca.linalg.gemm(ca.array(a), ca.array(b), epilogue="relu")
            compare(relu, np.maximum(a @ b, 0), dtype)
    if dtype.kind == "c":
        compare(ca.linalg.gemm(ca.array(a), ca.array(b), alpha=1j), 1j * (wide(a) @ wide(b)), dtype)


@pytest.mark.parametrize("epilogue", [name for name in EPILOGUES if name])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_epilogues_far_from_zero(epilogue: str, dtype: str) -> None:
    """Each element to a few units of its last place, also where a formula that is written down as it stands cancels."""
    x = np.concatenate([np.linspace(-30, 30, 601), [0.0, 1e-30, -1e-30, 100.0, -100.0]]).astype(dtype)[:, None]
    found = np.asarray(ca.linalg.gemm(ca.array(x), ca.ones((1, 1), dtype), epilogue=epilogue)).astype("f8")
    wide_x = x.astype("f8")
    with np.errstate(over="ignore"):
        exact = EPILOGUES[epilogue](wide_x)
        if epilogue == "gelu":
            exact = wide_x * np.vectorize(math.erfc)(-wide_x / math.sqrt(2)) / 2
        elif epilogue == "gelu_tanh":
            exact = wide_x / (1 + np.exp(-2 * math.sqrt(2 / math.pi) * (wide_x + 0.044715 * wide_x**3)))
    # The exponent of an exponential has an error of its own, relative to its size.
    np.testing.assert_allclose(found, exact, rtol=1e-4 if dtype == "float32" else 1e-12, atol=1e-37)


def test_dtypes() -> None:
    half, single, double = (ca.ones((3, 3), f"float{bits}") for bits in (16, 32, 64))
    integers, small = ca.full((3, 3), 100, "int32"), ca.full((3, 3), 100, "int8")
    gemm = ca.linalg.gemm
    assert gemm(half, single).dtype == "float32" and gemm(half, half, single).dtype == "float32"
    assert gemm(half, half, dtype="float32").dtype == "float32" and gemm(double, double, dtype="f4").dtype == "float32"
    assert_same(gemm(small, small, dtype="int32"), np.full((3, 3), 30_000, "int32"))  # computed in int32
    assert_same(gemm(small, small, integers), np.full((3, 3), 30_100, "int32"))
    assert_same(gemm(integers, integers, dtype="float64"), np.full((3, 3), 30_000.0))
    big = ca.full((1, 1), 1 + 2**-30)
    assert float(gemm(big, big, dtype="float32", alpha=2.0**30, c=ca.full((1, 1), -(2.0**30)))[0, 0]) == 2.0
    assert_same(gemm(ca.full((1, 1), 300, "float16"), ca.full((1, 1), 300, "float16"), alpha=0.5, dtype="float32"),
                np.full((1, 1), 45_000, "float32"))  # fmt: skip
    for bad in ("int32", "bool"):
        with pytest.raises(TypeError, match="gemm: dtype"):
            gemm(single, single, dtype=bad)


def test_out() -> None:
    a = np.arange(16, dtype="float32").reshape(4, 4) % 5
    x, c = ca.array(a), ca.array(a + 1)
    out = ca.empty((4, 4), "float32")
    for _ in range(3):
        assert ca.linalg.gemm(x, x, c, out=out) is out
        assert_same(out, a @ a + a + 1)
    places: list[Callable[[Any, Any], Any]] = [lambda x, c: x, lambda x, c: c, lambda x, c: x.T, lambda x, c: c[::-1]]
    for place in places:
        x, c = ca.array(a), ca.array(a + 1)
        target = place(x, c)
        assert ca.linalg.gemm(x, x, c, out=target) is target
        assert_same(target, a @ a + a + 1)
    wrong = (ca.empty((4, 3), "float32"), ca.empty((4, 4)))
    for bad in wrong:
        with pytest.raises(ValueError, match="gemm: out"):
            ca.linalg.gemm(x, x, out=bad)
    with pytest.raises(TypeError, match="gemm: out"):
        ca.linalg.gemm(x, x, out=a)


def test_c_that_is_not_read() -> None:
    x, nan = ca.ones((3, 3)), ca.full((3, 3), np.nan)
    assert_same(ca.linalg.gemm(x, x, nan, beta=0), np.full((3, 3), 3.0))
    assert np.isnan(np.asarray(ca.linalg.gemm(x, x, nan))).all()


X = np.ones((2, 2), "float32")
WRONG: list[tuple[Callable[[Any, Any], Any], type[Exception], str]] = [
    (lambda gemm, x: gemm(x[0], x), ValueError, "gemm: a must have at least 2"),
    (lambda gemm, x: gemm(x, 3), ValueError, "gemm: b must have at least 2"),
    (lambda gemm, x: gemm(x, x[:1]), ValueError, "inner extents are 2 and 1"),
    (lambda gemm, x: gemm(x, x, ca.ones(3)), ValueError, "gemm: c"),
    (lambda gemm, x: gemm(x, x, ca.ones((2, 2, 2))), ValueError, "gemm: c"),
    (lambda gemm, x: gemm(x, x, beta=1), ValueError, "gemm: beta"),
    (lambda gemm, x: gemm(x, x, x, beta="a"), TypeError, "gemm: beta"),
    (lambda gemm, x: gemm(x, x, alpha="a"), TypeError, "gemm: alpha"),
    (lambda gemm, x: gemm(x, x, alpha=1j), TypeError, "gemm: alpha"),
    (lambda gemm, x: gemm(x, x, alpha=x), TypeError, "gemm: alpha"),
    (lambda gemm, x: gemm(x.astype("int8"), x.astype("int8"), alpha=0.5), TypeError, "gemm: alpha"),
    (lambda gemm, x: gemm(x.astype("int8"), x.astype("int8"), alpha=300), OverflowError, "300"),
    (lambda gemm, x: gemm(x.astype("bool"), x.astype("bool"), alpha=2), TypeError, "gemm: alpha"),
    (lambda gemm, x: gemm(x, x, epilogue="softmax"), ValueError, "gemm: epilogue"),
    (lambda gemm, x: gemm(x, x, epilogue=3), ValueError, "gemm: epilogue"),
    (lambda gemm, x: gemm(x.astype("int32"), x.astype("int32"), epilogue="gelu"), TypeError, "gemm: epilogue"),
    (lambda gemm, x: gemm(x.astype("complex64"), x.astype("complex64"), epilogue="relu"), TypeError, "gemm: epilogue"),
    (lambda gemm, x: gemm(x, x, dtype="S3"), TypeError, "dtype"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_calls(number: int) -> None:
    call, kind, says = WRONG[number]
    with pytest.raises(kind, match=says):
        call(ca.linalg.gemm, ca.array(X))


@pytest.mark.parametrize("epilogue", EPILOGUES)
def test_kernels_of_many_threads(epilogue: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a GPU computes it, in one launch."""
    monkeypatch.setattr(_runtime.get(), "target", WIDE)
    _multiply.forget_plans()
    try:
        rng = np.random.default_rng(4)
        for dtype, result in (("float16", "float32"), ("float32", None), ("float64", "float32")):
            a, b, c = (numbers(rng, shape, np.dtype(dtype)) for shape in ((3, 20, 30), (30, 25), (25,)))
            found = ca.linalg.gemm(ca.array(a), ca.array(b), ca.array(c), 2, 0.5, epilogue, result)
            exact = EPILOGUES[epilogue](2 * (wide(a) @ wide(b)) + 0.5 * wide(c))
            compare(found, exact, np.dtype(result or dtype), 1)
        x = ca.array(numbers(rng, (4, 4), np.dtype("float32")))
        assert len(_plan.matmul(WIDE, _plan.product(x._layout, x._layout, (), x.dtype)).launches) == 1
    finally:
        monkeypatch.undo()
        _multiply.forget_plans()
