"""Operations on arrays in numba.njit functions, on whichever backend runs, beside NumPy's."""

from __future__ import annotations

import functools
import gc
import operator
import re
import sys
import threading
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from njit_kernels import SOURCE
from strategies import broadcastable, pairs

import cuarray as ca
from cuarray._array import OPERATORS
from cuarray._dtypes import DTYPES
from cuarray._functions._ufunc import Ufunc
from cuarray._functions.elementwise import FUNCTIONS
from cuarray._kernel import native_operations

# Every combination of dtypes, numbers of dimensions and layouts is compiled anew.
FEW = st.sampled_from(["float32", "int16"])


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="test_njit")


def used() -> int:
    gc.collect()
    return ca.cuda.memory_info().used


def same(got: ca.CuArray, expected: Any, exact: bool = True) -> None:
    """Equal values, and the layout that the operation has outside of njit."""
    expected = np.asarray(expected)
    assert (type(got), got.dtype, got.shape) == (ca.CuArray, expected.dtype, expected.shape)
    if exact:
        np.testing.assert_array_equal(ca.asnumpy(got), expected)
    else:
        np.testing.assert_allclose(ca.asnumpy(got), expected, rtol=1e-5, atol=1e-6)


# ---- elementwise


@numba.njit
def arithmetic(x, y):
    return x + y, ca.subtract(x, y), x * 2.5, 3 - x, -x


@given(data=st.data(), shapes=broadcastable(2, max_dims=2))
def test_shapes_and_layouts(data: st.DataObject, shapes: tuple[tuple[int, ...], ...]) -> None:
    elements = st.integers(-100, 100)
    x = data.draw(pairs("float32", shapes[0], elements))
    y = data.draw(pairs("float32", shapes[1], elements))
    results = arithmetic(x.cuarray, y.cuarray)
    expected = arithmetic.py_func(x.cuarray, y.cuarray)
    for got, outside, wanted in zip(results, expected, arithmetic_of(x.numpy, y.numpy), strict=True):
        same(got, wanted)
        assert got._layout is outside._layout
        assert got.flags.writeable


def arithmetic_of(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, ...]:
    two, three = np.float32(2.5), np.float32(3)
    return x + y, np.subtract(x, y), x * two, three - x, -x


@functools.cache
def compiled(operation: Callable[..., Any], operands: int) -> Any:
    if operands == 1:
        return numba.njit(lambda x: operation(x))
    return numba.njit(lambda x, y: operation(x, y))


def operands_of(name: str, dtype: str) -> list[np.ndarray]:
    x, y = np.array([1, 2, 3], dtype), np.array([[3], [1]], dtype)
    return [x, y][: FUNCTIONS[name].nin]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function(name: str) -> None:
    function = FUNCTIONS[name]
    for dtype in ("float64", "int64"):
        given = operands_of(name, dtype)
        arrays = [ca.array(x) for x in given]
        try:
            expected = function(*arrays)
        except TypeError as error:
            with pytest.raises(numba.TypingError, match=re.escape(str(error).split(" for ")[0])):
                compiled(function, function.nin)(*arrays)
            continue
        if function.nout > 1:
            with pytest.raises(numba.TypingError, match=f"{name} has 2 results.*call it outside"):
                compiled(function, function.nin)(*arrays)
            continue
        with np.errstate(all="ignore"):
            authority = function.numpy_ufunc(*given)
        for _ in range(2):  # asked of Python, and found
            got = compiled(function, function.nin)(*arrays)
            same(got, ca.asnumpy(expected))
            same(got, authority, exact=False)


def test_no_products() -> None:
    x = ca.ones((2, 2))
    with pytest.raises(numba.TypingError, match="matmul"):
        compiled(operator.matmul, 2)(x, x)


@pytest.mark.parametrize("method", [own for own, (function, _) in OPERATORS.items() if isinstance(function, Ufunc)])
def test_every_operator(method: str) -> None:
    function, form = OPERATORS[method]
    if form == "reflected":
        method = f"__{method[3:]}"  # numba has one function for both
    operation = getattr(operator, method)
    name = function.__name__
    x, *other = operands_of(name, "float64" if name in ("divide", "power") else "int64")
    scalar = x[0].item()
    if form == "unary":
        same(compiled(operation, 1)(ca.array(x)), operation(x))
    elif form == "in_place":
        x = np.broadcast_to(x, (2, 3)).copy()
        array = ca.array(x)
        assert compiled(operation, 2)(array, ca.array(other[0])) is array
        same(array, operation(x, other[0]))
        assert compiled(operation, 2)(array, scalar) is array
        same(array, operation(x, scalar))
    else:
        same(compiled(operation, 2)(ca.array(x), ca.array(other[0])), operation(x, other[0]))
        same(compiled(operation, 2)(ca.array(x), scalar), operation(x, scalar))
        same(compiled(operation, 2)(scalar, ca.array(x)), operation(scalar, x))


def test_builtins_and_constants() -> None:
    @numba.njit
    def use(x):
        return abs(x), pow(x, 2), x**2, x**0.5, 2**x, x + True, x * 1j

    x = np.array([1.0, 4.0])
    for got, expected in zip(use(ca.array(x)), use.py_func(x), strict=True):
        same(got, expected)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtypes(dtype: np.dtype) -> None:
    x = np.array([0, 1, 2, 1], dtype)
    for other in (x, x.real.astype("float32"), x.real.astype("int8")):
        a, b = ca.array(x), ca.array(other)
        same(compiled(operator.add, 2)(a, b), ca.asnumpy(a + b))
        same(compiled(operator.lt, 2)(a, b), ca.asnumpy(a < b))


SCALARS = (2, -3, 2.5, 1 - 2j, True, np.int8(5), np.uint64(7), np.float32(0.5), np.complex64(1j))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint8", "int64", "uint64", "float32", "float64", "complex64"])
def test_scalars(dtype: str) -> None:
    x = np.array([0, 1, 3], dtype)
    for scalar in SCALARS:
        try:
            expected = x + scalar
        except OverflowError as error:
            with pytest.raises(OverflowError, match=str(error)):
                compiled(operator.add, 2)(ca.array(x), scalar)
        else:
            same(compiled(operator.add, 2)(ca.array(x), scalar), expected)


@given(value=st.integers(-(2**63), 2**63 - 1), dtype=st.sampled_from(["int8", "uint64", "float32"]))
def test_integers_that_may_not_fit(value: int, dtype: str) -> None:
    x = ca.array([0, 1, 100], dtype)
    for operation in (operator.add, operator.lt, operator.eq):
        try:
            expected = operation(ca.asnumpy(x), value)
        except OverflowError:
            before = used()
            with pytest.raises(OverflowError, match=f"Python integer {value} out of bounds for {dtype}"):
                compiled(operation, 2)(x, value)
            assert used() == before
        else:
            same(compiled(operation, 2)(x, value), expected)


def test_only_scalars() -> None:
    same(compiled(ca.add, 2)(2, 0.5), np.asarray(2.5))
    same(compiled(ca.exp, 1)(0), np.asarray(1.0))


def test_integer_powers() -> None:
    x, y = np.array([2, 3]), np.array([3, 2])
    power = compiled(operator.pow, 2)
    for _ in range(2):
        same(power(ca.array(x), ca.array(y)), x**y)
        same(power(ca.array(x), 3), x**3)
        for negative in (-2, ca.array([1, -1])):
            with pytest.raises(ValueError, match="Integers to negative integer powers"):
                power(ca.array(x), negative)


# ---- outputs


@numba.njit
def into(x, y, out):
    return ca.add(x, y, out=out)


@given(data=st.data(), shapes=broadcastable(2, max_dims=2))
def test_out(data: st.DataObject, shapes: tuple[tuple[int, ...], ...]) -> None:
    x, y = (data.draw(pairs("int16", shape)) for shape in shapes)
    expected = x.numpy + y.numpy
    out = ca.zeros((2, *expected.shape), "float64")[1].T if data.draw(st.booleans()) else ca.zeros(expected.shape)
    if out.shape == expected.shape:
        assert into(x.cuarray, y.cuarray, out) is out
        np.testing.assert_array_equal(ca.asnumpy(out), expected)
    else:
        with pytest.raises(ValueError, match="add: out has shape"):
            into(x.cuarray, y.cuarray, out)


def test_out_that_overlaps_an_operand() -> None:
    for first, second in (
        (slice(0, 8), slice(0, 8)),
        (slice(1, 9), slice(0, 8)),
        (slice(0, 8), slice(2, 10)),
        (slice(7, None, -1), slice(0, 8)),
    ):
        for _ in range(2):
            x = np.arange(10.0)
            y = ca.array(x)
            into(y[first], 1.0, y[second])
            x[second] = x[first] + 1.0
            np.testing.assert_array_equal(ca.asnumpy(y), x)


def test_an_output_in_a_loop() -> None:
    @numba.njit
    def run(x, n):
        total = ca.zeros_like(x)
        for k in range(n):
            total += x * k
            x = x + 1
        return total

    x = np.arange(5.0)
    same(run(ca.array(x), 10), sum((x + k) * k for k in range(10)))


def test_errors_of_shapes() -> None:
    add = compiled(operator.add, 2)
    x, y = ca.zeros((2, 3)), ca.zeros((2, 4))
    before = used()
    for _ in range(2):
        with pytest.raises(ValueError, match=r"operands could not be broadcast together with shapes \(2, 3\) \(2, 4\)"):
            add(x, y)
    with pytest.raises(ValueError, match="add: out has shape"):
        into(x, x, y)
    assert used() == before

    @numba.njit
    def caught(x, y):
        try:
            x += y
        except Exception:
            return x.sum()
        return x.sum() + 1

    same(caught(ca.ones(3), ca.ones(4)), np.asarray(3.0))
    same(caught(ca.ones(3), ca.ones(3)), np.asarray(7.0))


def test_typing_errors() -> None:
    def refused(function: Any, match: str, *arguments: Any) -> None:
        with pytest.raises(numba.TypingError, match=match):
            numba.njit(function)(*arguments)

    x, half, host = ca.zeros(3), ca.zeros(3, "float16"), np.zeros(3)
    read_only = ca.broadcast_to(ca.zeros(1), (3,))
    refused(lambda x: x + 2.5, "add: operand 2 is a scalar that becomes float16", half)
    refused(lambda x: ca.add(2.5, x), "operand 1 is a scalar that becomes bfloat16", ca.zeros(3, ca.bfloat16))
    refused(lambda x, y: x + y, "operand 2 must be a CuArray or a number, not array", x, host)
    refused(lambda x: ca.add(x, "1"), "operand 2 must be a CuArray or a number, not unicode_type", x)
    refused(lambda x: ca.add(x, x, where=True), "add: got an unexpected keyword argument 'where'.*outside", x)
    refused(lambda x: ca.add(x), "add: missing a required argument: 'x2'", x)
    refused(lambda x, y: ca.add(x, x, out=y), "add: out must be a CuArray, not array", x, host)
    refused(lambda x, y: ca.add(x, x, y), "add: out is read-only", x, read_only)
    refused(lambda x, y: ca.add(x, x, y), "add: out: cannot cast from float64 to int8", x, ca.zeros(3, "int8"))
    refused(lambda x, y: operator.iadd(x, y), "add: out is read-only", read_only, 1)
    refused(lambda x, y: operator.iadd(x, y), "add: out: cannot cast from float64 to int64", ca.zeros(3, "int64"), 2.5)
    refused(lambda x: x & x, "ufunc 'bitwise_and' not supported for the input types", x)
    refused(lambda x: ca.sum(3), "sum: a must be a CuArray, not", x)
    refused(lambda x: x.sum(axis=1.5), "sum: axis must be an int, a tuple of ints, or None", x)
    refused(lambda x, keep: x.sum(0, keepdims=keep), "sum: keepdims must be True or False, as a constant", x, True)
    refused(lambda x: x.sum(where=x), "sum: got an unexpected keyword argument 'where'.*outside", x)
    refused(lambda x: x.max(initial=0), "max: got an unexpected keyword argument 'initial'", x)
    refused(lambda x: x.var(), "Unknown attribute 'var'", x)


# ---- reductions

REDUCTIONS = ("sum", "prod", "mean", "min", "max", "any", "all", "argmin", "argmax", "count_nonzero")


@functools.cache
def reducer(name: str, keepdims: bool) -> Any:
    function = getattr(ca, name)
    if name == "count_nonzero":
        return numba.njit(lambda x, axis: function(x, axis, keepdims=keepdims))
    namespace: dict[str, Any] = {}
    exec(f"def reduce(x, axis): return x.{name}(axis, keepdims={keepdims})", namespace)
    return numba.njit(namespace["reduce"])


@pytest.mark.parametrize("name", REDUCTIONS)
@given(data=st.data())
def test_reductions(name: str, data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, st.sampled_from([(), (3,), (2, 3), (3, 1), (0, 2), (40, 50)]), st.integers(-3, 3)))
    axes = [None, -1] + [0] * (x.numpy.ndim > 0) + [(0,), (-1, 0)] * (x.numpy.ndim > 1)
    axis = data.draw(st.sampled_from([a for a in axes if not (name.startswith("arg") and type(a) is tuple)]))
    keepdims = data.draw(st.booleans())
    try:
        expected = getattr(ca, name)(x.cuarray, axis, keepdims=keepdims)
    except ValueError as error:
        assert "empty" in str(error) or "zero-size" in str(error)
        with pytest.raises(ValueError, match=f"{name}: zero-size array to reduction operation"):
            reducer(name, keepdims)(x.cuarray, axis)
        return
    got = reducer(name, keepdims)(x.cuarray, axis)
    same(got, ca.asnumpy(expected))
    assert got._layout is expected._layout
    if x.numpy.ndim and x.numpy.size:  # of which NumPy warns, or has no axis
        same(got, getattr(np, name)(x.numpy, axis, keepdims=keepdims), exact=False)


def test_ways_to_reduce() -> None:
    @numba.njit
    def use(x):
        return (
            x.sum(), ca.sum(x), x.sum(1), ca.sum(x, axis=0), ca.max(x, axis=(0, 1)), x.mean(axis=-1, keepdims=True),
            x.sum(dtype=np.float32), ca.prod(a=x, dtype="float64"), ca.amax(x, None),
        )  # fmt: skip

    x = np.arange(6).reshape(2, 3)
    expected = (
        x.sum(), x.sum(), x.sum(1), x.sum(0), x.max(), x.mean(axis=-1, keepdims=True),
        x.sum(dtype=np.float32), x.prod(dtype="float64"), x.max(),
    )  # fmt: skip
    for got, wanted in zip(use(ca.array(x)), expected, strict=True):
        same(got, wanted)


def test_axes_that_there_are_not() -> None:
    reduce = reducer("sum", False)
    for _ in range(2):
        with pytest.raises(np.exceptions.AxisError, match="axis 2 is out of bounds for array of dimension 2"):
            reduce(ca.zeros((2, 3)), 2)
        with pytest.raises(ValueError, match="duplicate value in 'axis'"):
            reduce(ca.zeros((2, 3)), (0, 0))


def test_large_reductions_use_scratch_memory() -> None:
    x = np.random.default_rng(1).integers(-9, 9, 1_000_003)
    y, before = ca.array(x), used()
    for _ in range(3):
        same(reducer("sum", False)(y, None), x.sum())
    assert used() == before


# ---- what becomes of the results


def test_results_in_kernels_and_on_the_cpu(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def run(x):
        y = x * 2.0
        axpy.forall(x.size)(1.0, y, x, x.size)
        z = x - y
        return z, z.host().sum(), y.sum().host()[()]

    x = np.arange(10.0)
    z, total, twice = run(ca.array(x))
    same(z, x)
    assert (total, twice) == (45, 90)


def test_results_of_operations_on_strided_views() -> None:
    @numba.njit
    def run(x, y):
        z = x * y
        return z, z.host().sum(), (z + x).host().sum()

    x = np.arange(24.0).reshape(2, 3, 4)
    for view in (lambda x: x.T, lambda x: x[:, ::-1], lambda x: x[..., 1:3], lambda x: x[0].T):
        a, own = ca.array(x), view(x)
        z, total, more = run(view(a), view(a))
        same(z, own * own)
        assert (total, more) == ((own * own).sum(), (own * own + own).sum())


def test_either_result_of_a_branch() -> None:
    @numba.njit
    def run(x, first):
        y = x + 1 if first else x
        return y - 1

    x = ca.arange(6.0).reshape(2, 3)
    for array in (x, x.T, ca.broadcast_to(x, (2, 2, 3))):
        for first in (True, False):
            np.testing.assert_array_equal(ca.asnumpy(run(array, first)), ca.asnumpy(array) - (not first))


def test_memory_is_given_back() -> None:
    @numba.njit
    def run(x, n):
        for _ in range(n):
            y = x + x
            y += 1.0
            y = y * y.sum()
        return y

    x = ca.ones(1000)
    run(x, 1)
    before, references = used(), sys.getrefcount(x)
    y = run(x, 100)
    assert 8000 <= used() - before <= 9000
    del y
    assert (used(), sys.getrefcount(x)) == (before, references)


def test_threads_without_the_gil() -> None:
    @numba.njit(nogil=True)
    def run(x, n):
        total = 0.0
        for k in range(n):
            y = x + k
            y *= 2.0
            total += y.max().host()[()]
        return total

    arrays = [ca.zeros(size) for size in range(1, 200)]  # shapes that threads ask Python for at once
    run(arrays[0], 1)
    before, failures, stop = used(), [], threading.Event()

    def work() -> None:
        for x in arrays:
            if run(x, 20) != 380:
                failures.append(x.size)

    def count() -> None:
        while not stop.is_set():
            sum(range(1000))

    threads = [threading.Thread(target=work) for _ in range(4)]
    other = threading.Thread(target=count)
    for thread in (other, *threads):
        thread.start()
    for thread in threads:
        thread.join()
    stop.set()
    other.join()
    assert failures == []
    assert used() == before


def test_in_parallel_loops() -> None:
    @numba.njit(parallel=True)
    def run(x, totals):
        for k in numba.prange(totals.size):
            y = x * k
            y += 1.0
            totals[k] = y.sum().host()[()]

    x, totals = ca.arange(10.0), np.zeros(50)
    before = used()
    run(x, totals)
    np.testing.assert_array_equal(totals, 45.0 * np.arange(50) + 10)
    assert used() == before


def test_errors_in_threads() -> None:
    add, failures = compiled(operator.add, 2), []

    def work(size: int) -> None:
        for _ in range(20):
            with pytest.raises(ValueError, match=rf"shapes \(2,\) \({size},\)"):
                add(ca.zeros(2), ca.zeros(size))
        failures.append(size)

    threads = [threading.Thread(target=work, args=(size,)) for size in (3, 4, 5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(failures) == [3, 4, 5]


def test_captured_in_a_graph() -> None:
    @numba.njit
    def run(x, out):
        y = x + 1
        y *= x
        ca.multiply(y, y.sum(), out=out)

    x, out = ca.arange(4.0), ca.zeros(4)
    run(x, out)  # a graph cannot be captured while kernels are loaded
    with ca.cuda.graph() as graph:
        run(x, out)
    for start in (1.0, 5.0):
        x[...] = np.arange(4.0) + start
        graph.launch()
        own = np.arange(4.0) + start
        same(out, (own + 1) * own * ((own + 1) * own).sum())


def test_on_a_stream() -> None:
    x = ca.arange(5.0)
    with ca.cuda.Stream() as stream:
        y = compiled(operator.add, 2)(x, x)
        stream.synchronize()
    same(y, np.arange(5.0) * 2)


def test_no_memory() -> None:
    add = compiled(operator.add, 2)
    x = ca.broadcast_to(ca.zeros(1, "int8"), (2**45,))
    before = used()
    with pytest.raises(ca.OutOfMemoryError, match="out of memory: an array needs 35,184,372,088,832 bytes"):
        add(x, x)
    assert used() == before


# ---- the tables


def test_what_is_known_is_not_asked_of_python(monkeypatch: pytest.MonkeyPatch) -> None:
    @numba.njit
    def run(x, n):
        for _ in range(n):
            y = ca.exp(x * 0.5) + x
            y -= y.max()
            y += y.argmin() ** 2
        return y

    x = ca.arange(10.0)
    expected = run(x, 1)
    questions = []

    def ask(site: Any, *arguments: Any) -> None:
        questions.append(site.name)

    monkeypatch.setattr(native_operations.Site, "add", ask)
    monkeypatch.setattr(native_operations.Site, "do", ask)
    same(run(x, 100), ca.asnumpy(expected))
    assert questions == []


def test_more_shapes_than_a_table_holds() -> None:
    @numba.njit
    def run(x):
        return ca.negative(x)

    kind = native_operations.ArrayKind(np.dtype("uint16"), 1)
    base = ca.arange(5000, dtype="uint16")
    run(base)
    site = native_operations.elementwise_site(ca.negative, (kind,), None)
    for size in range(1, 4500):
        run(base[:size])
    assert 0 < site.entries() < 4096
    for size in (1, 77, 4499):
        same(run(base[:size]), np.negative(np.arange(size, dtype="uint16")))


def test_functions_as_arguments() -> None:
    @numba.njit
    def apply(function, x):
        return function(x)

    x = np.arange(3.0)
    for function in (ca.exp, ca.negative, ca.abs):
        same(apply(function, ca.array(x)), function.numpy_ufunc(x), exact=False)
