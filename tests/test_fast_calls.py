"""Calls that take the fast way give what the slow way gives, and take it when they can."""

from __future__ import annotations

import contextlib
import gc
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, outcome
from hypothesis import given
from hypothesis import strategies as st
from process import in_threads, resident
from strategies import Pair, basic_slices, pairs, shapes
from test_fast_launch import EDGES, FLOATS, scalars_of

import cuarray as ca
from cuarray import _fast_calls
from cuarray._array import CuArray
from cuarray._dtypes import DTYPES
from cuarray._fast_calls import Remembered
from cuarray._runtime import background


@pytest.fixture(autouse=True, scope="module")
def available() -> None:
    if not _fast_calls.is_available():
        pytest.skip("there is only the slow way in this Python")


def kinds_of_functions(base: type = Remembered) -> Iterator[type]:
    for kind in base.__subclasses__():
        if "_call" in vars(kind):
            yield kind
        yield from kinds_of_functions(kind)


class SlowError(Exception):
    """Python was asked."""


@contextlib.contextmanager
def only_fast() -> Iterator[None]:
    """No call of a function gets to Python."""

    def refuse(self: Any, *arguments: Any, **options: Any) -> None:
        raise SlowError(self)

    with pytest.MonkeyPatch.context() as patch:
        for kind in kinds_of_functions():
            patch.setattr(kind, "_call", refuse)
        yield


def fast(call: Callable[[], Any]) -> Any:
    """The result of the fast way, after it was shown once how the call goes; None if it is left to Python."""
    call()
    with only_fast():
        try:
            return call()
        except SlowError:
            return None


X = np.arange(12.0, dtype=np.float32).reshape(3, 4)
Y = X[::-1] + 1

CALLS: dict[str, Callable[[Any, Any], Any]] = {
    "add": lambda x, y: x + y,
    "function": lambda x, y: np.add(x, y) if isinstance(x, np.ndarray) else ca.add(x, y),
    "scalar": lambda x, y: x * 2,
    "reflected": lambda x, y: 1 - x,
    "float": lambda x, y: x / 2.5,
    "negative": lambda x, y: -x,
    "compare": lambda x, y: x < y,
    "row": lambda x, y: x + y[0],
    "column": lambda x, y: x * y[:, :1],
    "transposed": lambda x, y: x.T + y.T,
    "strided": lambda x, y: x[:, ::2] + y[:, 1::2],
    "sum": lambda x, y: x.sum(),
    "sum of an axis": lambda x, y: x.sum(axis=0),
    "sum of the last axis": lambda x, y: x.sum(-1, keepdims=True),
    "sum of axes": lambda x, y: x.sum(axis=(0, 1)),
    "max": lambda x, y: x.max(1),
    "any": lambda x, y: (x > 3).any(axis=1),
    "argmax": lambda x, y: x.argmax(0),
    "astype": lambda x, y: x.astype("float64"),
    "copy": lambda x, y: x.copy(),
    "matmul": lambda x, y: x @ y.T,
    "view": lambda x, y: x[1:, ::-1],
    "element": lambda x, y: x[-1, 2],
    "new axis": lambda x, y: x[:, None, ..., 2],
    "reshape": lambda x, y: x.reshape(2, -1),
    "swapaxes": lambda x, y: x.swapaxes(0, 1),
    "squeeze": lambda x, y: x[:1].squeeze(),
}


@pytest.mark.parametrize("name", CALLS)
def test_calls(name: str) -> None:
    x, y = ca.array(X), ca.array(Y)
    result = fast(lambda: CALLS[name](x, y))
    assert result is not None, "it was left to Python"
    assert_same(result, CALLS[name](X, Y))


@pytest.mark.parametrize(
    "call",
    [
        lambda xp, x, y: xp.where(x > 3, x, y),
        lambda xp, x, y: xp.where(x > 3, 1.5, y),
        lambda xp, x, y: xp.clip(x, 2, 5),
        lambda xp, x, y: xp.exp(x),
        lambda xp, x, y: xp.empty((2, 3), "int8").shape,
        lambda xp, x, y: xp.zeros((2, 3), "int8"),
        lambda xp, x, y: xp.ones(5),
        lambda xp, x, y: xp.concatenate([x, y]),
        lambda xp, x, y: xp.concatenate([x, y, x], axis=1),
        lambda xp, x, y: xp.concatenate([x, y], axis=None),
        lambda xp, x, y: xp.concatenate([x, y], out=xp.empty((6, 4), "float32")),
        lambda xp, x, y: xp.concatenate([x, y[:0], x.T.T]),
        lambda xp, x, y: xp.concatenate([x, y] * 32),
        lambda xp, x, y: xp.stack([x, y]),
        lambda xp, x, y: xp.stack([x, y], axis=-1),
        lambda xp, x, y: xp.vstack([x[0], y[1]]),
        lambda xp, x, y: xp.hstack([x, y]),
        lambda xp, x, y: xp.dstack([x, y]),
        lambda xp, x, y: xp.column_stack([x[0], y[1]]),
        lambda xp, x, y: xp.append(x, y),
        lambda xp, x, y: xp.sum(x, axis=1),
        lambda xp, x, y: xp.mean(x),
        lambda xp, x, y: xp.var(x, axis=0),
        lambda xp, x, y: xp.std(x, ddof=1),
        lambda xp, x, y: xp.cumsum(x),
        lambda xp, x, y: xp.cumprod(x, axis=1),
        lambda xp, x, y: xp.expand_dims(x, 1),
        lambda xp, x, y: xp.moveaxis(x, 0, 1),
    ],
)
def test_functions(call: Callable[[Any, Any, Any], Any]) -> None:
    x, y = ca.array(X), ca.array(Y)
    result, expected = fast(lambda: call(ca, x, y)), call(np, X, Y)
    assert result is not None, "it was left to Python"
    if isinstance(expected, tuple):
        assert result == expected
    else:
        assert_same(result, expected, rtol=1e-6)


FUNCTIONS = ["add", "subtract", "multiply", "divide", "floor_divide", "less", "equal", "maximum", "power", "arctan2"]


@given(data=st.data())
def test_as_in_python(data: st.DataObject) -> None:
    """Any function of any operands: the same bits, or the same exception, as when Python is asked."""
    function = getattr(ca, data.draw(st.sampled_from(FUNCTIONS)))
    shape = data.draw(shapes())
    x = data.draw(pairs(st.sampled_from(DTYPES), shape)).cuarray
    scalars = st.sampled_from([1, -1, 300, 2**40, True, 0.5, 1e300, 2j, np.float32(3), np.int8(-2), np.True_])
    y = data.draw(scalars | pairs(st.sampled_from(DTYPES), shape).map(lambda both: both.cuarray))
    operands = (x, y) if data.draw(st.booleans()) else (y, x)
    expected, expected_error = outcome(lambda: function._call(*operands))
    for _ in range(2):
        actual, error = outcome(lambda: function(*operands))
        assert type(error) is type(expected_error)
        if error is None:
            assert_same(actual, np.asarray(expected), exact=True)
            assert actual.strides == expected.strides


@pytest.mark.parametrize("dtype", [dtype for dtype in DTYPES if dtype.isbuiltin == 1], ids=str)
def test_scalars(dtype: np.dtype) -> None:
    x = ca.zeros(2, dtype)
    for source in (bool, int, float, complex, np.float32, np.int16, np.uint64, np.complex64):
        for value in [value for value in scalars_of(source) if source is not int or value in EDGES]:
            for function in (ca.add, ca.less):
                if dtype.kind == "b" and function is ca.less:
                    continue
                slow, slow_error = outcome(lambda: function._call(x, value))  # noqa: B023
                result, error = outcome(lambda: function(x, value))  # noqa: B023
                assert type(error) is type(slow_error), (source, value)
                if error is None:
                    assert result.dtype == slow.dtype and result.tobytes() == slow.tobytes(), (source, value)


@given(
    own=pairs(st.sampled_from([np.dtype("float32")]), (4,), st.floats(-9, 9, width=32), ("contiguous",)),
    slices=st.tuples(*[basic_slices(4)] * 3),
)
def test_outputs_that_overlap(own: Pair, slices: tuple[slice, slice, slice]) -> None:
    x, y, out = (own.view(lambda a, part=part: a[part]) for part in slices)
    values = own.numpy.copy()
    for _ in range(3):
        check(lambda: ca.add(x.cuarray, y.cuarray, out=out.cuarray), lambda: np.add(x.numpy, y.numpy, out=out.numpy))
        np.testing.assert_array_equal(np.asarray(own.cuarray), own.numpy)
        own.numpy[...] = values
        own.cuarray[...] = values


def test_in_place() -> None:
    x, y = ca.array(X), ca.array(Y)
    for step in range(1, 4):
        before = x
        x += y
        assert x is before
        assert_same(x, X + step * Y)
    with only_fast():
        x += y
    out = ca.empty((3, 4), "float32")
    assert fast(lambda: ca.add(x, y, out=out)) is out
    assert_same(out, X + 5 * Y)


def test_a_read_only_output_is_refused() -> None:
    x, out = ca.ones(3), ca.ones(3)
    for _ in range(3):
        ca.add(x, x, out=out)
    out.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        ca.add(x, x, out=out)
    with pytest.raises(ValueError, match="read-only"):
        out += 1
    with pytest.raises(ValueError, match="read-only"):
        out[:2] = 1
    assert out.tolist() == [2, 2, 2]


# ---- subscripts


@st.composite
def subscripts(draw: st.DrawFn, shape: tuple[int, ...]) -> Any:
    """Integers (some out of range), slices, None and Ellipsis."""
    items: list[Any] = []
    for extent in shape[: draw(st.integers(0, len(shape)))]:
        items.append(draw(st.integers(-extent - 1, extent) | basic_slices(extent)))
        if draw(st.integers(0, 4)) == 0:
            items.append(None)
    if draw(st.booleans()):
        items.insert(draw(st.integers(0, len(items))), ...)
    return items[0] if len(items) == 1 and draw(st.booleans()) else tuple(items)


@given(x=pairs(st.sampled_from([np.dtype("int32")]), shapes(min_dims=1, max_side=5)), data=st.data())
def test_subscripts(x: Pair, data: st.DataObject) -> None:
    key = data.draw(subscripts(x.numpy.shape))
    for _ in range(3):
        check(lambda: x.cuarray[key], lambda: x.numpy[key])
    part, error = outcome(lambda: x.cuarray[key])
    if error is None:
        assert part.base is (x.cuarray if x.cuarray.base is None else x.cuarray.base)
        assert part.flags.writeable == x.cuarray.flags.writeable
        equal = x.numpy[key]
        if part.size and isinstance(equal, np.ndarray):
            assert part.pointer - x.cuarray.pointer == _offset(x.numpy, equal)


def _offset(array: np.ndarray, part: np.ndarray) -> int:
    return part.__array_interface__["data"][0] - array.__array_interface__["data"][0]


@given(
    x=pairs(
        st.sampled_from([np.dtype("float32"), np.dtype("uint8")]),
        shapes(min_dims=1, max_side=5),
        layouts=("contiguous", "sliced", "reversed"),
    ),
    data=st.data(),
)
def test_assignments(x: Pair, data: st.DataObject) -> None:
    key = data.draw(subscripts(x.numpy.shape))
    value = data.draw(st.sampled_from([0, 7, 2.5, True, 300, -1, 1j, np.float64(3), [1], "part"]))
    values = [value, value] if value != "part" else [outcome(lambda a=a: a[key])[0] for a in x]
    for _ in range(3):
        _, expected = outcome(lambda: x.numpy.__setitem__(key, values[0]))
        _, error = outcome(lambda: x.cuarray.__setitem__(key, values[1]))
        if expected is None or isinstance(expected, IndexError):
            assert type(error) is type(expected), (key, value)
        np.testing.assert_array_equal(np.asarray(x.cuarray), x.numpy)


def test_subscripts_that_are_no_views() -> None:
    x = ca.array(X)
    for _ in range(2):
        assert_same(x[[0, 2]], X[[0, 2]])
        assert_same(x[x > 3], X[X > 3])
        assert_same(x[np.int64(1)], X[1])
        assert_same(x[True], X[True])
        assert x[1].tolist() == X[1].tolist()
        for key in (5, (0, 0, 0), slice(None, None, 0), (..., ...), "f", 1.0, 2**70):
            for array in (x, X):
                with pytest.raises((IndexError, ValueError)):
                    array[key]


def test_a_loop_over_windows_needs_one_layout() -> None:
    x = ca.arange(100)
    x[:5], x[5]
    with only_fast():
        for start in range(90):
            assert x[start : start + 5].pointer == x.pointer + 8 * start
            assert x[start].pointer == x.pointer + 8 * start


# ---- what is kept, and for how long


def test_results_own_their_memory() -> None:
    x = ca.ones(1000)
    result = fast(lambda: x + x)
    used = ca.cuda.memory_info().used
    memory = weakref.ref(result._memory)
    assert result._memory.nbytes == 8000 and result._memory.pointer == result.pointer
    assert result._memory.host_accessible is True
    view = result[3:]
    del result
    assert memory() is not None and ca.cuda.memory_info().used == used
    assert view.sum() == 2 * 997
    del view
    assert memory() is None and ca.cuda.memory_info().used < used


def test_nothing_is_lost_over_many_calls() -> None:
    x, m = ca.ones(100, "float32"), ca.ones((10, 10), "float32")

    def work() -> None:
        y = x + x
        y += 1
        y[1:5] = 3
        (y[::2] * 2.5).sum(), m.T.reshape(-1)[3:4].max(), ca.concatenate([x, y]), -m

    for _ in range(300):
        work()
    background.wait()  # for the compiler, whose memory this is not about
    gc.collect()
    counts = [sys.getrefcount(held) for held in (x._layout, m._layout, None.__class__, ca.add, x._memory)]
    used, before = ca.cuda.memory_info().used, resident()
    for _ in range(5_000):
        work()
    gc.collect()
    assert [sys.getrefcount(held) for held in (x._layout, m._layout, None.__class__, ca.add, x._memory)] == counts
    assert ca.cuda.memory_info().used == used
    assert resident() - before < 4 << 20


def test_many_layouts_are_forgotten_and_found_again() -> None:
    base = ca.arange(5000)
    for size in range(1, 4500):
        part = base[:size]
        total = part + 1
        if size % 500 == 0:
            assert_same(total, np.arange(1, size + 1))
    assert 0 < _fast_calls.count(ca.add) <= 4096
    assert_same(fast(lambda: base + 1), np.arange(1, 5001))


def test_threads() -> None:
    x, y = ca.arange(2000.0), ca.ones(2000)

    def work(number: int) -> None:
        for step in range(400):
            size = 1 + (step * 7 + number) % 1900
            result = (x[:size] + y[:size]).sum()
            assert float(result) == size * (size - 1) / 2 + size

    in_threads(4, work)


def test_captured_calls_are_launched_with_the_graph() -> None:
    x, out = ca.ones(100, "float32"), ca.zeros(100, "float32")
    for _ in range(2):
        ca.add(x, out, out=out)
        (x + x).sum()
    stream = ca.cuda.Stream()
    with only_fast(), stream.capture() as graph:
        ca.add(x, out, out=out)
        total = (x + x).sum()
    assert out.tolist() == [2.0] * 100
    graph.launch(stream)
    graph.launch(stream)
    stream.synchronize()
    assert out.tolist() == [4.0] * 100
    assert float(total) == 200


def test_out_of_memory_is_pythons_to_say() -> None:
    x = ca.ones(1 << 20)
    x + x
    limit = ca.cuda.memory_info().limit
    ca.cuda.set_memory_limit(1)
    try:
        kept = []
        with pytest.raises(ca.OutOfMemoryError, match="bytes"):
            for _ in range(1000):
                kept.append(x + x)
    finally:
        ca.cuda.set_memory_limit(limit)
    del kept
    assert float((x + x)[0]) == 2


def test_methods_look_like_pythons() -> None:
    assert CuArray.__add__.__name__ == "__add__"
    assert CuArray.__getitem__.__name__ == "__getitem__"
    assert "add" in CuArray.__add__.__doc__
    x = ca.ones(2)
    assert x.__add__(x).tolist() == [2, 2]
    assert CuArray.__add__(x, 1).tolist() == [2, 2]
    assert x.__add__("text") is NotImplemented
    with pytest.raises(TypeError):
        x + "text"
    with pytest.raises(TypeError):
        CuArray.__add__(x)
    with pytest.raises((TypeError, AttributeError)):
        Remembered.__call__(3)
    with pytest.raises(TypeError):
        ca.add(x)


def test_the_process_ends_with_results_alive() -> None:
    script = (
        "import cuarray as ca; "
        "x = ca.ones(10); kept = [x + x for _ in range(5)]; view = kept[-1][2:]; print(view.sum())"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "16.0", "")


def test_floats_are_as_in_python() -> None:
    x = ca.zeros(1, "float32")
    for value in FLOATS:
        for _ in range(2):
            result, expected = outcome(lambda: x + value)[0], outcome(lambda: ca.add._call(x, value))[0]  # noqa: B023
            assert result.tobytes() == expected.tobytes(), value


def test_operands_that_are_no_arrays_are_left_to_python() -> None:
    x = np.arange(3.0)
    for other in ([1.0, 2.0, 3.0], np.array([1.0, 2.0, 3.0])):
        assert fast(lambda: ca.add(ca.array(x), other)) is None  # noqa: B023  (called at once)
        for _ in range(3):
            assert_same(ca.add(ca.array(x), other), x + other)
            assert_same(ca.add(other, ca.array(x)), x + other)
