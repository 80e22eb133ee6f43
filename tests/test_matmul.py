"""Products of matrices of any extents, layouts and dtypes against float64; matmul as a ufunc; precisions; tuning."""

from __future__ import annotations

import asyncio
import dataclasses
import operator
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import example, given, settings
from hypothesis import strategies as st
from process import in_threads
from test_fast_calls import SlowError, fast, only_fast

import cuarray as ca
from cuarray import _autotune, _fast_calls, _plan, _precision, _runtime
from cuarray._dtypes import BFLOAT16, DTYPES, kind_of
from cuarray._functions import _multiply
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray._runtime import blas
from cuarray._tuning import Target

# ||out - exact|| / ||exact|| of sums of a few hundred products, each of them rounded; of 16-bit floats, the result.
ERRORS = {"float16": 1e-3, "bfloat16": 8e-3, "float32": 1e-6, "float64": 1e-14, "complex64": 1e-6, "complex128": 1e-14}

# How a matrix lies: what is made, and the view of it.
VIEWS: dict[str, Callable[[int, int], tuple[tuple[int, ...], Callable[[Any], Any]]]] = {
    "contiguous": lambda m, n: ((m, n), lambda x: x),
    "transposed": lambda m, n: ((n, m), lambda x: x.T),
    "wider": lambda m, n: ((m, n + 3), lambda x: x[:, 3:]),
    "wider, transposed": lambda m, n: ((n, m + 5), lambda x: x[:, :m].T),
    "every second row": lambda m, n: ((2 * m, n), lambda x: x[::2]),
    "every third column": lambda m, n: ((m, 3 * n), lambda x: x[:, ::3]),
    "steps both ways": lambda m, n: ((2 * m, 2 * n), lambda x: x[1::2, ::2]),
    "upside down": lambda m, n: ((m, n), lambda x: x[::-1]),
    "mirrored": lambda m, n: ((m, n), lambda x: x[:, ::-1]),
    "turned": lambda m, n: ((n, m), lambda x: x[::-1, ::-1].T),
    "one row": lambda m, n: ((1, n), lambda x: (np if isinstance(x, np.ndarray) else ca).broadcast_to(x, (m, n))),
    "one column": lambda m, n: ((m, 1), lambda x: (np if isinstance(x, np.ndarray) else ca).broadcast_to(x, (m, n))),
}
extents = st.integers(0, 300) | st.sampled_from([1, 2, 8, 16, 17, 64, 255, 256, 257])


def numbers(rng: np.random.Generator, shape: tuple[int, ...], dtype: np.dtype) -> np.ndarray:
    """Integers of their whole range; other numbers between -1 and 1."""
    if dtype.kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    x = rng.uniform(-1, 1, shape)
    return (x + 1j * rng.uniform(-1, 1, shape) if dtype.kind == "c" else x).astype(dtype)


def wide(x: np.ndarray) -> np.ndarray:
    """Of a dtype in which NumPy's product is exact, or nearly so."""
    kind = kind_of(x.dtype)
    return x if kind in "biu" else x.astype(np.complex128 if kind == "c" else np.float64)


def assert_near(
    actual: Any, exact: np.ndarray, dtype: np.dtype, factor: float = 1, terms: np.ndarray | None = None
) -> None:
    """terms: the sums of the absolute values, of which rounding errors are a part, where much of them may cancel."""
    assert type(actual) is ca.CuArray and actual.dtype == dtype and actual.shape == exact.shape
    found = np.asarray(actual)
    if kind_of(dtype) in "biu":
        np.testing.assert_array_equal(found, exact)
        return
    error = np.linalg.norm((wide(found) - exact).ravel())
    scale = np.linalg.norm(exact.ravel())
    if terms is not None:
        scale = max(scale, 0.1 * np.linalg.norm(terms.ravel()))
    assert error <= factor * ERRORS[str(dtype)] * scale


@settings(max_examples=150, deadline=None)
@given(
    m=extents,
    n=extents,
    k=extents,
    views=st.tuples(*[st.sampled_from(sorted(VIEWS))] * 2),
    dtype=st.sampled_from(DTYPES),
    seed=st.integers(0, 99),
)
@example(m=300, n=300, k=300, views=("contiguous", "transposed"), dtype=np.dtype("int8"), seed=0)
@example(m=193, n=1025, k=513, views=("upside down", "steps both ways"), dtype=np.dtype("bool"), seed=0)
@example(m=400, n=300, k=700, views=("contiguous", "mirrored"), dtype=np.dtype("int64"), seed=0)
@example(m=1, n=1, k=100_000, views=("contiguous", "every third column"), dtype=np.dtype("float32"), seed=0)
@example(m=197, n=1, k=257, views=("one column", "turned"), dtype=np.dtype("float32"), seed=61)
def test_any_product(m: int, n: int, k: int, views: tuple[str, str], dtype: np.dtype, seed: int) -> None:
    rng = np.random.default_rng(seed)
    (a_shape, a_view), (b_shape, b_view) = VIEWS[views[0]](m, k), VIEWS[views[1]](k, n)
    a, b = numbers(rng, a_shape, dtype), numbers(rng, b_shape, dtype)
    exact = wide(a_view(a)) @ wide(b_view(b))
    factor = max(1.0, k / 300) if dtype.kind in "fc" else 1
    terms = np.abs(wide(a_view(a))) @ np.abs(wide(b_view(b))) if kind_of(dtype) in "fc" else None
    for _ in range(2):  # in Python, and as it was remembered
        assert_near(a_view(ca.array(a)) @ b_view(ca.array(b)), exact, dtype, factor, terms)


@settings(max_examples=60, deadline=None)
@given(
    stacks=st.sampled_from(
        [((5,), (5,)), ((), (4,)), ((3, 1), (1, 4)), ((2, 3), ()), ((1,), (6,)), ((2, 1, 3), (5, 1))]
    ),
    size=st.tuples(*[st.integers(1, 40)] * 3),
    dtype=st.sampled_from(DTYPES),
    order=st.permutations(range(3)),
    seed=st.integers(0, 99),
)
def test_stacks(stacks: Any, size: tuple[int, int, int], dtype: np.dtype, order: list[int], seed: int) -> None:
    """Broadcast against each other, with the axes of stacks and matrices in memory in any order."""
    m, n, k = size
    rng = np.random.default_rng(seed)
    pairs = []
    for stack, matrix in zip(stacks, ((m, k), (k, n)), strict=True):
        x = numbers(rng, (*stack, *matrix), dtype)
        axes = [axis for axis in (*order, *range(3, x.ndim)) if axis < x.ndim]
        inverse = np.argsort(axes)
        pairs.append((x, ca.array(x.transpose(axes).copy()).transpose(*inverse)))
    (a, x), (b, y) = pairs
    assert_near(x @ y, wide(a) @ wide(b), dtype)


def test_many_small_matrices() -> None:
    rng = np.random.default_rng(0)
    for dtype in map(np.dtype, ("float32", "complex128", "int32", "float16")):
        for side in (2, 8, 16):
            a, b = (numbers(rng, (4096, side, side), dtype) for _ in range(2))
            assert_near(ca.array(a) @ ca.array(b), wide(a) @ wide(b), dtype)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_the_same_bits_every_time(dtype: np.dtype) -> None:
    rng = np.random.default_rng(1)
    a, b = (ca.array(numbers(rng, (200, 200), dtype)) for _ in range(2))
    first = (a @ b).tobytes()
    assert all((a @ b).tobytes() == first for _ in range(5))


def test_what_is_not_a_number() -> None:
    """NaN and infinities go where they go in NumPy; 0 times infinity, too."""
    a = np.ones((20, 20), np.float32)
    a[3, 4], a[5, 6], a[7, 8] = np.nan, np.inf, 0
    b = a.T.copy()
    with np.errstate(invalid="ignore"):
        assert_same(ca.array(a) @ ca.array(b), a @ b)


def test_bools_of_other_bits() -> None:
    """Memory that others wrote: every byte but 0 is true."""
    host = (np.arange(900, dtype=np.uint8) * 7).reshape(30, 30)
    host[host % 3 == 0] = 0
    x = ca.array(host).view("bool")
    assert_same(x @ x, (host != 0) @ (host != 0))


# ---- as a ufunc

A, B, V = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4) - 5, np.arange(3.0)
STACK = np.arange(24.0).reshape(2, 3, 4)

CALLS: dict[str, Callable[[Any, Any, Any, Any, Any], Any]] = {
    "dtype": lambda xp, a, b, v, s: xp.matmul(a, b, dtype="float32"),
    "a dtype that is not allowed": lambda xp, a, b, v, s: xp.matmul(a, b, dtype="int32"),
    "a dtype by any cast": lambda xp, a, b, v, s: xp.matmul(a, b, dtype="int32", casting="unsafe"),
    "safe casts": lambda xp, a, b, v, s: xp.matmul(a, b, dtype="float32", casting="safe"),
    "no such cast": lambda xp, a, b, v, s: xp.matmul(a, b, casting="nonsense"),
    "signature": lambda xp, a, b, v, s: xp.matmul(a, b, signature="ff->f"),
    "a bad signature": lambda xp, a, b, v, s: xp.matmul(a, b, signature="qqq->q"),
    "order F": lambda xp, a, b, v, s: xp.matmul(a, b, order="F"),
    "order X": lambda xp, a, b, v, s: xp.matmul(a, b, order="X"),
    "subok": lambda xp, a, b, v, s: xp.matmul(a, b, subok=False),
    "where": lambda xp, a, b, v, s: xp.matmul(a, b, where=True),
    "what there is not": lambda xp, a, b, v, s: xp.matmul(a, b, nonsense=1),
    "one operand": lambda xp, a, b, v, s: xp.matmul(a),
    "four": lambda xp, a, b, v, s: xp.matmul(a, b, a, b),
    "out": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((2, 4))),
    "out by position": lambda xp, a, b, v, s: xp.matmul(a, b, xp.zeros((2, 4))),
    "out in a tuple": lambda xp, a, b, v, s: xp.matmul(a, b, out=(xp.zeros((2, 4)),)),
    "out of another dtype": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((2, 4), "float32")),
    "out by a safe cast": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((2, 4), "f4"), casting="safe"),
    "out of integers": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((2, 4), "int32")),
    "out for a stack": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((5, 2, 4))),
    "out of another shape": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros((2, 5))),
    "out that is too small": lambda xp, a, b, v, s: xp.matmul(s, s.mT, out=xp.zeros((3, 3))),
    "out of fewer axes": lambda xp, a, b, v, s: xp.matmul(a, b, out=xp.zeros(4)),
    "axes": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[(0, 1), (0, 1), (1, 0)]),
    "axes of a stack": lambda xp, a, b, v, s: xp.matmul(s, s, axes=[(1, 2), (2, 1), (0, 2)]),
    "axes from the end": lambda xp, a, b, v, s: xp.matmul(s, s, axes=[(-2, 0), (0, -2), (-1, -2)]),
    "axes and out": lambda xp, a, b, v, s: xp.matmul(a, b, xp.zeros((4, 2)), axes=[(0, 1), (0, 1), (1, 0)]),
    "axes of a vector": lambda xp, a, b, v, s: xp.matmul(v, b, axes=[0, (0, 1), 0]),
    "axes of two vectors": lambda xp, a, b, v, s: xp.matmul(v, v, axes=[0, (0,), ()]),
    "too few axes": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[(0, 1), (0, 1)]),
    "axes in a tuple": lambda xp, a, b, v, s: xp.matmul(a, b, axes=((0, 1), (0, 1), (1, 0))),
    "axes that there are not": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[(0, 5), (0, 1), (1, 0)]),
    "an axis twice": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[(0, 0), (0, 1), (1, 0)]),
    "an axis for two": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[0, (0, 1), (1, 0)]),
    "a fraction": lambda xp, a, b, v, s: xp.matmul(a, b, axes=[(0, 1.5), (0, 1), (1, 0)]),
    "axis": lambda xp, a, b, v, s: xp.matmul(v, v, axis=0),
    "keepdims": lambda xp, a, b, v, s: xp.matmul(v, v, keepdims=True),
    "vecdot axis": lambda xp, a, b, v, s: xp.vecdot(s, s, axis=1),
    "vecdot axis and keepdims": lambda xp, a, b, v, s: xp.vecdot(s, s, axis=0, keepdims=True),
    "vecdot keepdims": lambda xp, a, b, v, s: xp.vecdot(s, s[0], keepdims=True),
    "vecdot axes": lambda xp, a, b, v, s: xp.vecdot(a, a.T, axes=[0, 1]),
    "vecdot axes of the result": lambda xp, a, b, v, s: xp.vecdot(a, a.T, axes=[0, 1, ()]),
    "vecdot axes and keepdims": lambda xp, a, b, v, s: xp.vecdot(a, a.T, axes=[0, 1, 0], keepdims=True),
    "vecdot axis and axes": lambda xp, a, b, v, s: xp.vecdot(a, a, axis=0, axes=[0, 0]),
    "vecdot axes as tuples": lambda xp, a, b, v, s: xp.vecdot(a, a, axis=(0,)),
    "vecdot keepdims of no bool": lambda xp, a, b, v, s: xp.vecdot(a, a, keepdims="a"),
    "vecdot out": lambda xp, a, b, v, s: xp.vecdot(s, s, out=xp.zeros((2, 3))),
    "vecdot out and keepdims": lambda xp, a, b, v, s: xp.vecdot(s, s, out=xp.zeros((2, 3, 1)), keepdims=True),
    "vecdot dtype": lambda xp, a, b, v, s: xp.vecdot(s, s, dtype="complex64"),
    "vecdot mismatch": lambda xp, a, b, v, s: xp.vecdot(a, b),
}
SINCE_2_2: dict[str, Callable[[Any, Any, Any, Any, Any], Any]] = {
    "matvec axes": lambda xp, a, b, v, s: xp.matvec(s, v, axes=[(0, 1), 0, 0]),
    "matvec axes of the result": lambda xp, a, b, v, s: xp.matvec(s, xp.ones(4), axes=[(1, 2), 0, 0]),
    "matvec keepdims": lambda xp, a, b, v, s: xp.matvec(a, v, keepdims=True),
    "matvec axis": lambda xp, a, b, v, s: xp.matvec(a, v, axis=0),
    "matvec out": lambda xp, a, b, v, s: xp.matvec(a, v, out=xp.zeros(2)),
    "matvec dtype": lambda xp, a, b, v, s: xp.matvec(a, v, dtype="float32"),
    "vecmat axes": lambda xp, a, b, v, s: xp.vecmat(v, b, axes=[0, (0, 1), 0]),
    "vecmat out": lambda xp, a, b, v, s: xp.vecmat(v, b, out=xp.zeros((3, 4))),
}
if hasattr(np, "matvec"):
    CALLS |= SINCE_2_2


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    arrays = (A, B, V, STACK)
    for _ in range(2):
        check(lambda: CALLS[name](ca, *map(ca.array, arrays)), lambda: CALLS[name](np, *arrays))


def test_the_order_of_results() -> None:
    a, b = np.ones((5, 2, 3)), np.ones((3, 4))
    for order in "KCFA":
        assert ca.matmul(ca.array(a), ca.array(b), order=order).strides == np.matmul(a, b, order=order).strides
    turned = ca.matmul(ca.array(A.T.copy()).T, ca.array(B.T.copy()).T, order="A")
    assert turned.flags.f_contiguous and not turned.flags.c_contiguous


OUTS: dict[str, Callable[[Any, Any], tuple[Any, Any, Any]]] = {
    "apart": lambda x, y: (x[:3, :3], y[:3, :3], y[4:7, :3]),
    "the left operand": lambda x, y: (x, y, x),
    "the right operand": lambda x, y: (x, y, y),
    "both operands": lambda x, y: (x, x, x),
    "turned": lambda x, y: (x, y, x.T),
    "a part": lambda x, y: (x[:4], y, x[3:7]),
    "contiguous, beside an operand": lambda x, y: (x[:3], y, x[5:]),
    "contiguous, over an operand": lambda x, y: (x[:3], y, x[2:5]),
    "reversed": lambda x, y: (x, y, x[::-1]),
}


@pytest.mark.parametrize("name", OUTS)
@pytest.mark.parametrize("dtype", ["float32", "int32", "complex128"])
def test_outputs_that_overlap(name: str, dtype: str) -> None:
    for _ in range(3):
        a, b = (np.arange(64).reshape(8, 8) % 7).astype(dtype), (np.arange(64).reshape(8, 8) % 5).astype(dtype)
        x, y = ca.array(a), ca.array(b)
        left, right, out = OUTS[name](a, b)
        own_left, own_right, own_out = OUTS[name](x, y)
        expected = left @ right
        assert ca.matmul(own_left, own_right, out=own_out) is own_out
        assert_same(own_out, expected)
        out[...] = expected
        assert_same(x, a)
        assert_same(y, b)


def test_in_place() -> None:
    a = np.arange(9.0).reshape(3, 3)
    x, y = ca.array(a), ca.array(a + 1)
    for _ in range(3):
        x @= y
        a = a @ np.asarray(y)
        assert_same(x, a)
    check(lambda: operator.imatmul(ca.ones((2, 3)), ca.ones((3, 4))), lambda: operator.imatmul(A, np.ones((3, 4))))
    assert x.__matmul__("text") is NotImplemented and x.__rmatmul__("text") is NotImplemented


# ---- remembered calls


def needs_fast_calls() -> None:
    if not _fast_calls.is_available():
        pytest.skip("there is only the slow way in this Python")


def test_calls_without_python() -> None:
    needs_fast_calls()
    x, y, v = ca.array(A), ca.array(B), ca.array(V)
    out, short = ca.empty((2, 4)), ca.empty(2)
    for call, expected in (
        (lambda: x @ y, A @ B),
        (lambda: ca.matmul(x, y), A @ B),
        (lambda: x @ v, A @ V),
        (lambda: v @ y, V @ B),
        (lambda: v @ v, V @ V),
        (lambda: ca.matvec(x, v), A @ V),
        (lambda: ca.vecmat(v, y), V @ B),
        (lambda: ca.matmul(x, y, out=out), A @ B),
        (lambda: ca.matvec(x, v, out=short), A @ V),
        (lambda: ca.linalg.gemm(x, y), A @ B),
        (lambda: ca.linalg.gemm(x, y, y[0], epilogue="relu"), np.maximum(A @ B + B[0], 0)),
        (lambda: ca.linalg.gemm(x, y, out=out), A @ B),
    ):
        result = fast(call)
        assert result is not None, "it was left to Python"
        assert_same(result, expected)
    square = ca.ones((3, 3))
    for _ in range(2):
        ca.matmul(square, square, out=ca.empty((3, 3)))
    with only_fast(), pytest.raises(SlowError):
        ca.matmul(square, square, out=square)


def test_addresses_that_are_not_aligned(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the kernels depend on it, calls with other addresses are not repeated by the same recipe."""
    needs_fast_calls()
    whole = _plan.matmul
    seen = []

    def by_alignment(target: Target, of: _plan.Product, choice: Any = None) -> _plan.MatmulPlan:
        seen.append(of.aligned)
        return whole(target, of, choice)._replace(scratch_bytes=8192 if of.aligned else 0)

    monkeypatch.setattr(_plan, "matmul", by_alignment)
    _multiply.forget_plans()
    try:
        store = ca.arange(300.0, dtype="float32")
        host = np.asarray(store)
        parts = [slice(start, start + 100) for start in (0, 1, 4, 6, 100, 200)]
        for first in (1, 0):  # whichever comes first
            _multiply.forget_plans()
            for part in [parts[first], *parts]:
                x, a = store[part].reshape(10, 10), host[part].reshape(10, 10)
                expected = a.astype("f8") @ a.astype("f8")
                assert_near(x @ x, expected, np.dtype("float32"))
                if part.start % 4 == 0:
                    assert_near(fast(lambda: x @ x), expected, np.dtype("float32"))  # noqa: B023
                else:
                    assert fast(lambda: x @ x) is None  # noqa: B023
        assert {True, False} == set(seen)
    finally:
        monkeypatch.undo()
        _multiply.forget_plans()


# ---- precision


@pytest.fixture
def precisions(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The precisions of products that are planned, none of which was before."""
    seen: list[str] = []
    whole = _plan.matmul

    def listening(target: Target, of: _plan.Product, choice: Any = None) -> _plan.MatmulPlan:
        seen.append(of.precision)
        return whole(target, of, choice)

    monkeypatch.setattr(_plan, "matmul", listening)
    _multiply.forget_plans()
    yield seen
    ca.set_matmul_precision("ieee")
    _multiply.forget_plans()


def test_precision_is_part_of_a_product(precisions: list[str]) -> None:
    x = ca.ones((20, 20), "float32")
    for precision in ("ieee", "tf32", "tf32x3", "tf32", "ieee"):
        with ca.matmul_precision(precision):
            assert ca.get_matmul_precision() == precision
            (x @ x), ca.einsum("ij,jk", x, x), ca.tensordot(x, x, 1), ca.linalg.gemm(x, x), x @ x
    assert set(precisions) == set(_precision.PRECISIONS)
    precisions.clear()
    double = ca.ones((20, 20))
    with ca.matmul_precision("tf32"):
        double @ double
    assert set(precisions) == {"ieee"}


def test_recipes_of_one_precision_serve_no_other(precisions: list[str]) -> None:
    needs_fast_calls()
    x = ca.ones((20, 20), "float32")
    for call in (lambda: x @ x, lambda: ca.linalg.gemm(x, x, epilogue="relu")):
        with ca.matmul_precision("tf32"):
            assert fast(call) is not None
        with only_fast(), pytest.raises(SlowError):
            call()
        assert fast(call) is not None
        with ca.matmul_precision("tf32x3"), only_fast(), pytest.raises(SlowError):
            call()
        with only_fast(), ca.matmul_precision("tf32"):
            call()
        ca.set_matmul_precision("tf32x3")
        assert ca.get_matmul_precision() == "tf32x3"
        with only_fast(), pytest.raises(SlowError):
            call()
        ca.set_matmul_precision("ieee")


def test_threads_and_tasks_have_precisions_of_their_own(precisions: list[str]) -> None:
    barrier = threading.Barrier(3)
    x = ca.ones((8, 8), "float32")

    def work(number: int) -> None:
        with ca.matmul_precision(_precision.PRECISIONS[number]):
            for _ in range(20):
                barrier.wait()
                assert ca.get_matmul_precision() == _precision.PRECISIONS[number]
                assert float((x @ x)[0, 0]) == 8

    in_threads(3, work)
    assert ca.get_matmul_precision() == "ieee"

    async def task(precision: str) -> str:
        with ca.matmul_precision(precision):
            await asyncio.sleep(0.001)
            return ca.get_matmul_precision()

    async def tasks() -> list[str]:
        return await asyncio.gather(*map(task, _precision.PRECISIONS))

    assert asyncio.run(tasks()) == list(_precision.PRECISIONS)
    with pytest.raises(RuntimeError), ca.matmul_precision("tf32"):
        raise RuntimeError
    assert ca.get_matmul_precision() == "ieee"


def test_the_default_of_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_precision, "_is_known", False)
    monkeypatch.setenv("CUARRAY_MATMUL_PRECISION", "tf32")
    try:
        assert ca.get_matmul_precision() == "tf32"
        monkeypatch.setattr(_precision, "_is_known", False)
        monkeypatch.setenv("CUARRAY_MATMUL_PRECISION", "half")
        with pytest.raises(ValueError, match="CUARRAY_MATMUL_PRECISION"):
            ca.get_matmul_precision()
    finally:
        ca.set_matmul_precision("ieee")


# ---- kernels that a GPU would use, and choosing among them

WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)
SOME = [np.dtype(name) for name in ("bool", "int8", "uint64", "float16", "float32", "complex64")]


@settings(max_examples=40, deadline=None)
@given(
    size=st.tuples(*[st.integers(1, 40)] * 3),
    views=st.tuples(*[st.sampled_from(sorted(VIEWS))] * 2),
    dtype=st.sampled_from(SOME),
    seed=st.integers(0, 99),
)
def test_kernels_of_many_threads(
    size: tuple[int, int, int], views: tuple[str, str], dtype: np.dtype, seed: int
) -> None:
    """Every way to compute a product."""
    m, n, k = size
    rng = np.random.default_rng(seed)
    (a_shape, a_view), (b_shape, b_view) = VIEWS[views[0]](m, k), VIEWS[views[1]](k, n)
    a, b = numbers(rng, a_shape, dtype), numbers(rng, b_shape, dtype)
    x, y = a_view(ca.array(a)), b_view(ca.array(b))
    of = _plan.product(x._layout, y._layout, (), dtype)
    choices = _plan.choices(WIDE, of)
    assert choices
    for choice in choices:
        plan = _plan.matmul(WIDE, of, choice)
        out = ca.full((m, n), 77, dtype)
        scratch = _runtime.get().allocate_scratch(plan.scratch_bytes)
        for launch in plan.launches:
            Prepared(launch).launch(out._pointer, x._pointer, y._pointer, 0, scratch.pointer)
        terms = np.abs(wide(a_view(a))) @ np.abs(wide(b_view(b))) if kind_of(dtype) in "fc" else None
        assert_near(out, wide(a_view(a)) @ wide(b_view(b)), dtype, terms=terms)


def test_autotune(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    """Candidates are timed once; the fastest is used from then on, in other processes, too."""
    runtime = _runtime.get()
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(runtime, "target", WIDE)
    monkeypatch.setattr(_autotune, "_known", {})
    times = {"8": 3.0, "16": 2.0, "32": 1.0}
    timed = []

    def time_of(plan: _plan.MatmulPlan, pointers: Any) -> float:
        tile = plan.launches[0].block[0]
        timed.append(tile)
        return times[str(tile)]

    monkeypatch.setattr(_autotune, "_time", time_of)
    _multiply.forget_plans()
    try:
        a = np.arange(100, dtype="float32").reshape(10, 10) % 3
        x = ca.array(a)
        of = _plan.product(layout(x.dtype, (10, 10)), layout(x.dtype, (10, 10)), (), x.dtype, aligned=True)
        assert_same(x @ x, a @ a)
        assert not timed and _autotune.find(WIDE, of) is None
        with ca.autotune():
            for _ in range(3):
                assert_same(x @ x, a @ a)
        assert sorted(timed) == [8, 16, 32]
        found = _autotune.find(WIDE, of)
        assert found == _plan.Choice("simple", "32")
        assert _plan.matmul(WIDE, of, found).launches[0].block == (32, 32, 1)
        _autotune._known.clear()  # as in another process
        assert _autotune.find(WIDE, of) == found
        with ca.autotune():
            x @ x
        assert len(timed) == 3
        assert _plan.matmul(WIDE, of, _plan.Choice("simple", "gone")).launches[0].block == (16, 16, 1)
    finally:
        monkeypatch.undo()
        _multiply.forget_plans()


def test_autotune_measures(monkeypatch: pytest.MonkeyPatch, tmp_path: Any) -> None:
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    monkeypatch.setattr(_runtime.get(), "target", WIDE)
    monkeypatch.setattr(_autotune, "_known", {})
    monkeypatch.setattr(_autotune, "_SECONDS", 0.001)
    _multiply.forget_plans()
    try:
        x = ca.ones((4, 4), "float32")
        with ca.autotune():
            assert_same(x @ x, np.full((4, 4), 4, "float32"))
        of = _plan.product(x._layout, x._layout, (), x.dtype, aligned=True)
        assert _autotune.find(WIDE, of) in _plan.choices(WIDE, of)
    finally:
        monkeypatch.undo()
        _multiply.forget_plans()


def test_classes_of_products() -> None:
    def of(m: int, n: int, k: int, **more: Any) -> Any:
        a, b = layout(np.dtype("f4"), (m, k)), layout(np.dtype("f4"), (k, n))
        return _autotune.product_class(_plan.product(a, b, (), np.dtype("f4"), **more))

    assert of(1000, 1000, 1000) == of(1004, 1012, 1008) == of(1024, 1024, 1024)
    assert of(1000, 1000, 1000) != of(1000, 1000, 1001)  # rows do not begin at multiples of 16 bytes
    assert of(1024, 1024, 1024) != of(1025 + 3, 1024, 1024) != of(1024, 1024, 1024, precision="tf32")


def test_bfloat16_is_summed_in_float32() -> None:
    x = ca.full((1, 1000), 1, BFLOAT16)
    assert float((x @ x.T)[0, 0]) == 1000
    assert float(ca.vecdot(x, x)[0]) == 1000


# ---- the CPU's BLAS


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
def test_without_blas(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where NumPy's BLAS cannot be called, our own kernels multiply on the CPU."""
    runtime = _runtime.get()
    if not runtime.target.one_thread_blocks:
        pytest.skip("on the CPU only")
    monkeypatch.setattr(runtime, "target", dataclasses.replace(runtime.target, blas=False))
    _multiply.forget_plans()
    try:
        rng = np.random.default_rng(5)
        a, b = (numbers(rng, (3, 70, 70), np.dtype(dtype)) for _ in range(2))
        assert_near(ca.array(a) @ ca.array(b)[:, ::-1], wide(a) @ wide(b)[:, ::-1], np.dtype(dtype))
        x = a[0, 0]
        assert_near(ca.inner(ca.array(x), ca.array(x)), wide(x) @ wide(x), np.dtype(dtype))
    finally:
        monkeypatch.undo()
        _multiply.forget_plans()


def test_a_blas_that_is_wrong_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    found = blas.find()
    if found is None:
        pytest.skip("NumPy's BLAS cannot be called by name")
    assert all(all(functions) for functions in found) and len(found) == 4
    # float32's functions are not float64's
    assert blas._works(found[0], np.dtype("float32")) and not blas._works(found[0], np.dtype("float64"))
    monkeypatch.setattr(blas, "_works", lambda functions, dtype: False)
    assert blas.find() is None


def test_products_in_a_graph() -> None:
    """What the CPU's BLAS computes is launched with a graph, too."""
    a = np.arange(100.0).reshape(10, 10) % 7
    x, out = ca.array(a), ca.zeros((10, 10))
    ca.matmul(x, x, out=out)
    stream = ca.cuda.Stream()
    out[...] = 0
    with stream.capture() as graph:
        ca.matmul(x, x, out=out)
    assert float(out.sum()) == 0
    graph.launch(stream)
    stream.synchronize()
    assert_same(out, a @ a)
