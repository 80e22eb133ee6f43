"""Scans and reductions of runs against NumPy's: axes, layouts, dtypes, lengths that are cut up, and differences."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from strategies import dtypes, pairs, shapes

import cuarray as ca
from cuarray import _runtime, _tuning
from cuarray._functions import _reduction, scans
from cuarray._functions.scans import ufunc_accumulate, ufunc_reduceat
from cuarray._table import ELEMENTWISE
from cuarray._tuning import Target

SCANS = ("cumsum", "cumprod", "nancumsum", "nancumprod")
BINARY = [name for name, row in ELEMENTWISE.items() if row.ufunc.nin == 2 and row.ufunc.nout == 1]


def elements(dtype: np.dtype, nan: bool = False) -> st.SearchStrategy[Any]:
    if dtype.kind == "b":
        return st.booleans()
    numbers = st.sampled_from([0, 1, 2, 3] if dtype.kind == "u" else [0, 1, 2, -1])
    return numbers | st.just(np.nan) if nan and dtype.kind in "fc" else numbers


def axes(ndim: int) -> st.SearchStrategy[Any]:
    return st.none() | st.integers(-ndim, max(ndim - 1, 0)) | st.integers(-ndim - 1, ndim)


@pytest.mark.parametrize("name", SCANS)
@given(data=st.data())
def test_cumulative(name: str, data: st.DataObject) -> None:
    dtype = data.draw(dtypes())
    x = data.draw(pairs(dtype, shapes(), elements(dtype, name.startswith("nan"))))
    axis = data.draw(axes(x.numpy.ndim))
    check(
        lambda: getattr(ca, name)(x.cuarray, axis),
        lambda: getattr(np, name)(x.numpy, axis),
        rtol=2e-3 if dtype.char == "e" else None,
    )


LARGE = [
    ((300_007,), 0),
    ((3, 100_001), 1),
    ((100_001, 3), 0),
    ((400, 500), 0),
    ((400, 500), 1),
    ((3, 20_000, 50), 1),
    ((70, 60, 50), 0),
    ((70, 60, 50), 2),
]


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "complex64"])
@pytest.mark.parametrize(("shape", "axis"), LARGE, ids=lambda value: str(value).replace(" ", ""))
def test_large(dtype: str, shape: tuple, axis: int) -> None:
    """More than a block can do: runs, and what is carried from one to the next."""
    host = (np.arange(np.prod(shape)) * 7919 % 1009 - 300).astype(dtype).reshape(shape)
    allowed = {} if dtype == "int32" else {"atol": 1e-9 if dtype == "float64" else 64.0}
    exact = np.cumsum(host, axis, dtype={"int32": "int64", "complex64": "complex128"}.get(dtype, "float64"))
    expected = exact.astype(np.cumsum(host[:1]).dtype)
    x = ca.array(host)
    assert_same(ca.cumsum(x, axis), expected, rtol=1e-6 if dtype != "float64" else 1e-12, **allowed)
    turned = x.T
    assert_same(ca.cumsum(turned, host.ndim - 1 - axis), expected.T, rtol=1e-6, **allowed)
    first, second = np.asarray(ca.cumsum(x, axis)), np.asarray(ca.cumsum(x, axis))
    assert np.array_equal(first, second), "the same bits on every run"


@given(data=st.data())
def test_sums_of_integers_wrap_around(data: st.DataObject) -> None:
    """Rows of any length and steps, longer than what is added together at once."""
    code = data.draw(st.sampled_from("?bBhHiIlL"))
    shape = (data.draw(st.integers(1, 5)), data.draw(st.integers(1, 90)))
    host = np.frombuffer(np.random.default_rng(data.draw(st.integers(0, 999))).bytes(shape[0] * shape[1] * 8), np.int64)
    host = (host % 2 if code == "?" else host).astype(code).reshape(shape)
    step = data.draw(st.sampled_from([1, 2, -1]))
    for axis in (None, 0, 1):
        assert_same(ca.cumsum(ca.array(host)[:, ::step], axis), np.cumsum(host[:, ::step], axis))


@pytest.mark.parametrize("name", ["maximum", "minimum", "logical_and", "bitwise_xor", "gcd", "subtract", "hypot"])
@pytest.mark.parametrize(("shape", "axis"), LARGE[:5], ids=lambda value: str(value).replace(" ", ""))
def test_large_accumulate(name: str, shape: tuple, axis: int) -> None:
    host = (np.arange(np.prod(shape)) * 7919 % 1009 * 6).reshape(shape)
    if name == "hypot":
        host = host.astype(np.float64)
    expected = ELEMENTWISE[name].ufunc.accumulate(host, axis)
    assert_same(ufunc_accumulate(getattr(ca, name), ca.array(host), axis), expected, rtol=1e-11)


@pytest.mark.parametrize("name", BINARY)
def test_every_binary_function_accumulates(name: str) -> None:
    function, ufunc = getattr(ca, name), ELEMENTWISE[name].ufunc
    for dtype in ("bool", "int8", "float32"):
        host = np.array([[1, 3, 2], [2, 1, 0], [1, 2, 1], [3, 1, 1]]).astype(dtype)
        with quiet():
            try:
                loop = ufunc.accumulate(host).dtype
            except TypeError:
                with pytest.raises(TypeError):
                    ufunc_accumulate(function, host)
                continue
            for axis in (0, 1):
                # Step by step: NumPy's own loops differ from that in some functions that are not associative.
                steps = list(itertools.accumulate(np.moveaxis(host.astype(loop), axis, 0), ufunc))
                expected = np.moveaxis(np.stack(steps), 0, axis)
                rtol = 2e-3 if loop.char == "e" else 1e-6  # NumPy rounds after every step
                assert_same(ufunc_accumulate(function, host, axis), expected, rtol=rtol)


@given(data=st.data())
def test_accumulate(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["add", "maximum", "subtract"]))
    dtype = np.dtype(data.draw(st.sampled_from(["int8", "float64"])))
    x = data.draw(pairs(dtype, shapes(), elements(dtype)))
    axis = data.draw(axes(x.numpy.ndim) | st.just((0,) if x.numpy.ndim else None))
    ufunc = ELEMENTWISE[name].ufunc
    check(lambda: ufunc_accumulate(getattr(ca, name), x.cuarray, axis), lambda: ufunc.accumulate(x.numpy, axis))


@pytest.mark.parametrize("name", SCANS)
@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "complex64"])
def test_dtype_method_and_out(name: str, dtype: str) -> None:
    host = np.array([[1, 2, 0], [3, 1, 5]], np.int16)
    x = ca.array(host)
    expected = getattr(np, name)(host, 1, dtype=dtype)
    assert_same(getattr(ca, name)(x, 1, dtype=dtype), expected)
    if hasattr(np.ndarray, name):
        assert_same(getattr(x, name)(1, dtype), expected)
    out = ca.zeros((2, 6), dtype)[:, ::2]
    assert getattr(ca, name)(x, 1, dtype, out) is out
    assert_same(out, expected)
    with pytest.raises(ValueError, match="out"):
        getattr(ca, name)(x, 1, out=ca.zeros(3))
    narrow = ca.zeros((2, 3), "int64")  # to which results are cast, as NumPy casts them
    assert getattr(ca, name)(x.astype("float64") / 2, 1, out=narrow) is narrow
    assert_same(narrow, getattr(np, name)(host / 2, 1, out=np.zeros((2, 3), np.int64)))


def test_out_may_be_the_operand_or_overlap_it() -> None:
    x = ca.arange(1.0, 7.0)
    assert ca.cumsum(x, out=x) is x
    assert_same(x, np.cumsum(np.arange(1.0, 7.0)))
    y = ca.arange(1.0, 7.0)
    ca.cumsum(y[:-1], out=y[1:])
    assert_same(y, np.concatenate([[1.0], np.cumsum(np.arange(1.0, 6.0))]))


def test_results_stand_in_memory_as_the_operands_do() -> None:
    host = np.ones((3, 4), order="F")
    assert ca.cumsum(ca.ones((4, 3)).T, 0).strides == np.cumsum(host, 0).strides


def test_float32_sums_are_rounded_once() -> None:
    host = np.full(300_000, 0.1, np.float32)
    exact = np.cumsum(host.astype(np.float64)).astype(np.float32)
    assert_same(ca.cumsum(ca.array(host)), exact, rtol=1.2e-7)


@pytest.mark.parametrize("name", ["cumulative_sum", "cumulative_prod"])
@given(data=st.data())
def test_cumulative_sum_and_prod(name: str, data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(["int16", "float32", "bool"])))
    x = data.draw(pairs(dtype, shapes(), elements(dtype)))
    axis = data.draw(axes(x.numpy.ndim))
    options = {"axis": axis, "include_initial": data.draw(st.booleans())}
    # A dtype is one to cast to, whatever the array has.
    options["dtype"] = data.draw(st.sampled_from([None, "uint8", "bool", "float64"] if dtype != "f4" else [None, "f8"]))
    check(lambda: getattr(ca, name)(x.cuarray, **options), lambda: getattr(np, name)(x.numpy, **options))


# ---- reductions of runs


@given(data=st.data())
def test_reduceat(data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(["add", "maximum", "subtract", "logical_or"]))
    dtype = np.dtype(data.draw(st.sampled_from(["int8", "float64"])))
    x = data.draw(pairs(dtype, shapes(min_dims=1), elements(dtype)))
    axis = data.draw(st.integers(-x.numpy.ndim, x.numpy.ndim - 1))
    length = x.numpy.shape[axis]
    indices = data.draw(st.lists(st.integers(-1, length) if length < 3 else st.integers(0, length - 1), max_size=6))
    ufunc = ELEMENTWISE[name].ufunc
    expected = lambda: ufunc.reduceat(x.numpy, indices, axis)  # noqa: E731
    check(lambda: ufunc_reduceat(getattr(ca, name), x.cuarray, indices, axis), expected)
    check(lambda: ufunc_reduceat(getattr(ca, name), x.cuarray, ca.array(indices, "int32"), axis), expected)


@pytest.mark.parametrize("name", ["add", "minimum", "subtract"])
def test_reduceat_of_many(name: str) -> None:
    """Short runs and long ones, along both axes."""
    host = np.random.default_rng(1).integers(-100, 100, (500, 600))
    for axis, step in ((0, 3), (1, 3), (0, 250), (1, 300)):
        indices = np.arange(0, host.shape[axis], step)
        expected = ELEMENTWISE[name].ufunc.reduceat(host, indices, axis)
        assert_same(ufunc_reduceat(getattr(ca, name), ca.array(host), indices, axis), expected)


def test_reduceat_refuses() -> None:
    for indices in ([0, 8], [-1], [[0]]):
        check(lambda: ufunc_reduceat(ca.add, range(8), indices), lambda: np.add.reduceat(range(8), indices))  # noqa: B023
    check(lambda: ufunc_reduceat(ca.add, 3, [0]), lambda: np.add.reduceat(3, [0]))
    out = ca.zeros(2)
    assert ufunc_reduceat(ca.add, range(8), [0, 4], out=out) is out
    assert_same(out, np.array([6.0, 22.0]))
    with pytest.raises(ValueError, match="out"):
        ufunc_reduceat(ca.add, range(8), [0], out=out)


# ---- blocks of many threads

BLOCKS = [
    ((50_000,), 0),
    ((2_000_000,), 0),
    ((20_000, 3), 0),
    ((300, 200), 0),
    ((300, 200), 1),
    ((3, 9000, 20), 1),
    ((2000, 40), 0),
    ((3, 5000), 1),
]


@pytest.fixture
def many_threads(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Reductions and scans planned for a GPU, wherever they run: the CPU has CUDA's block model, too."""
    runtime = _runtime.get()
    target = Target(processors=4, block_threads=128, max_block_threads=1024, blocks_per_processor=2)
    planned_for = SimpleNamespace(
        target=target, allocate=runtime.allocate, allocate_scratch=runtime.allocate_scratch, load=runtime.load
    )
    caches = (_reduction._prepare, scans._prepare_scan, scans._prepare_reduce_at)
    for module in (_reduction, scans):
        monkeypatch.setattr(module, "_runtime", SimpleNamespace(get=lambda: planned_for))
    for cache in caches:
        cache.cache_clear()
    yield
    for cache in caches:
        cache.cache_clear()


@pytest.mark.usefixtures("many_threads")
@pytest.mark.parametrize(("shape", "axis"), BLOCKS, ids=lambda value: str(value).replace(" ", ""))
def test_blocks_of_many_threads(shape: tuple, axis: int) -> None:
    """Trees and tiles in shared memory: a block an output or a row, several, and a block for outputs side by side."""
    host = np.random.default_rng(0).random(shape)
    x, mask = ca.array(host), host > 0.5
    for name in ("sum", "max", "var", "argmin"):
        assert_same(getattr(ca, name)(x, axis), getattr(np, name)(host, axis), rtol=1e-12)
    assert_same(ca.mean(x, axis, where=ca.array(mask)), np.mean(host, axis, where=mask), rtol=1e-12)
    indices = np.arange(0, shape[axis], shape[axis] // 3)
    assert_same(ufunc_reduceat(ca.add, x, indices, axis), np.add.reduceat(host, indices, axis), rtol=1e-12)
    if len(shape) > 1 and axis == 0 and shape[1] >= 32 and _runtime.get().target.one_thread_blocks:
        return  # a thread a row, which on the CPU every thread of a block would do
    assert_same(ca.cumsum(x, axis), np.cumsum(host, axis), rtol=1e-11)
    assert_same(ufunc_accumulate(ca.fmin, x, axis), np.fmin.accumulate(host, axis))


@pytest.mark.usefixtures("many_threads")
@pytest.mark.parametrize(
    "tile",
    [{}, {"threads": 64, "shared_threads": 64, "packs": 1}, {"threads": 128, "shared_threads": 256, "packs": 2}],
    ids=str,
)
@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_scans_by_teams_of_threads(tile: dict[str, int], data: st.DataObject) -> None:
    """Of drawn extents, layouts and dtypes: a few lanes, a warp and a block a row, and tiles with a look-back."""
    loop = np.dtype(data.draw(st.sampled_from(["float32", "float64", "int64", "float16", "complex64", "complex128"])))
    stored = np.dtype(data.draw(st.sampled_from(["int8", "int16", loop.char]))) if loop.kind == "i" else loop
    length = data.draw(st.sampled_from([1, 2, 5, 16, 31, 64, 100, 129, 500, 513, 2000, 4096, 5000, 40_001]))
    rows = data.draw(st.integers(1, max(1, min(300, 60_000 // length))))
    aside = data.draw(st.sampled_from([0, 0, 1, 3]))  # where rows begin
    step = data.draw(st.sampled_from([1, 1, 1, 2, -1]))
    whole = (np.arange(rows * (length * abs(step) + aside)) * 7919 % 5 - 2).astype(stored).reshape(rows, -1)
    view, own = whole[:, aside:][:, ::step], ca.array(whole)[:, aside:][:, ::step]
    axis = 1
    if rows < 32 and data.draw(st.booleans()):
        view, own, axis = view.T, own.T, 0
    saved, _tuning.SCAN = _tuning.SCAN, dataclasses.replace(_tuning.SCAN, **tile)
    scans._prepare_scan.cache_clear()
    try:
        result = ca.cumsum(own, axis, dtype=loop)
        exact = np.cumsum(view, axis, dtype={"f": np.float64, "c": np.complex128}.get(loop.kind, loop))
        assert_same(result, exact.astype(loop), rtol=1e-3 if loop.char == "e" else 1e-6)
        again = ca.ascontiguousarray(own).astype(loop)
        assert_same(ca.cumsum(again, axis, out=again), np.asarray(result), rtol=0)
        assert_same(ufunc_accumulate(ca.maximum, own.real, axis), np.maximum.accumulate(view.real, axis))
    finally:
        _tuning.SCAN = saved
        scans._prepare_scan.cache_clear()


@pytest.mark.usefixtures("many_threads")
def test_many_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """Groups of tiles and sections of groups, and notes that several blocks clear; twice, with the same bits."""
    monkeypatch.setattr(_tuning, "SCAN", dataclasses.replace(_tuning.SCAN, shared_threads=32, packs=1))
    for shape, axis in (((300_001,), 0), ((40_000, 3), 0)):
        host = np.random.default_rng(3).random(shape)
        first, second = ca.cumsum(ca.array(host), axis), ca.cumsum(ca.array(host), axis)
        assert_same(first, np.cumsum(host, axis), rtol=1e-11)
        assert np.array_equal(np.asarray(first), np.asarray(second))


DRAWN = ("sum", "max", "argmax", "var", "any")


@pytest.mark.usefixtures("many_threads")
@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_reductions_by_blocks_of_many_threads(data: st.DataObject) -> None:
    """Of drawn extents, layouts, axes and masks: packs that begin anywhere, rows of any length, all of the kernels."""
    name = data.draw(st.sampled_from(DRAWN))
    dtype = np.dtype(data.draw(st.sampled_from(["int8", "float64"])))
    extent = st.sampled_from([1, 2, 3, 4, 5, 7, 8, 10, 16, 33, 64, 65, 100, 129, 255, 256, 1000, 5000])
    shape = tuple(data.draw(st.lists(extent, min_size=1, max_size=3)))
    assume(np.prod(shape) <= 200_000)
    numbers = np.arange(np.prod(shape) + 1) * 7919 % 101 - (50 if name != "any" else 0)
    host = (numbers if name != "any" else numbers * 31 % 89 == 7)[1 - data.draw(st.integers(0, 1)) :][: np.prod(shape)]
    if dtype.kind == "f" and name in ("max", "argmax") and data.draw(st.booleans()):
        host = np.where(numbers[: host.size] % 50 == 49, np.nan, host)
    whole = host.astype(dtype).reshape(shape)
    order = data.draw(st.permutations(range(len(shape))))
    cut = tuple(data.draw(st.sampled_from([slice(None), slice(1, None), slice(None, None, -1)])) for _ in shape)
    view, own = whole.transpose(order)[cut], ca.array(whole).transpose(order)[cut]
    assume(view.size)
    if name == "argmax":
        axis = data.draw(st.none() | st.integers(0, view.ndim - 1))
    else:
        axis = tuple(data.draw(st.sets(st.integers(0, view.ndim - 1), min_size=1)))
    ours: dict[str, Any] = {}
    numpys: dict[str, Any] = {}
    if name in ("sum", "var") and data.draw(st.booleans()):
        mask = (np.arange(view.shape[-1]) % 3 != 1) & (view > -40)
        ours["where"], numpys["where"] = ca.array(mask), mask
    if name in ("sum", "max") and data.draw(st.booleans()):
        ours["initial"] = numpys["initial"] = 17
    allowed = {"rtol": 1e-12, "atol": 1e-10} if name == "var" else {}
    with quiet():
        assert_same(getattr(ca, name)(own, axis, **ours), getattr(np, name)(view, axis, **numpys), **allowed)


# ---- differences


@given(data=st.data())
def test_diff(data: st.DataObject) -> None:
    dtype = np.dtype(data.draw(st.sampled_from(["bool", "uint8", "float32", "complex128"])))
    x = data.draw(pairs(dtype, shapes(), elements(dtype)))
    axis = data.draw(st.integers(-x.numpy.ndim - 1, x.numpy.ndim))
    n = data.draw(st.integers(-1, 4))
    check(lambda: ca.diff(x.cuarray, n, axis), lambda: np.diff(x.numpy, n, axis))


@pytest.mark.parametrize("prepend", [None, 0.5, [[7], [8]], [1, 2]])
@pytest.mark.parametrize("append", [None, 3, [[7, 1], [8, 2]]])
@pytest.mark.parametrize("axis", [0, 1])
def test_diff_with_more(prepend: Any, append: Any, axis: int) -> None:
    host = np.array([[1, 3, 7], [2, 2, 3]])
    more = {key: value for key, value in (("prepend", prepend), ("append", append)) if value is not None}
    arrays = {key: ca.array(value) for key, value in more.items()}
    check(lambda: ca.diff(ca.array(host), axis=axis, **arrays), lambda: np.diff(host, axis=axis, **more))


@pytest.mark.parametrize("dtype", ["int32", "float32"])
@pytest.mark.parametrize("to_begin", [None, 0, [3, 4]])
@pytest.mark.parametrize("to_end", [None, 1.5, [[3], [4]]])
def test_ediff1d(dtype: str, to_begin: Any, to_end: Any) -> None:
    host = np.array([[1, 3, 7], [2, 2, 3]], dtype)
    for array in (host, host[:0]):
        check(
            lambda: ca.ediff1d(ca.array(array), to_end, to_begin),  # noqa: B023
            lambda: np.ediff1d(array, to_end, to_begin),  # noqa: B023
        )


@pytest.mark.parametrize("dtype", ["int32", "float32", "float64", "complex64"])
@pytest.mark.parametrize("axis", [0, 1, -1, 2])
def test_trapezoid(dtype: str, axis: int) -> None:
    host = np.array([[1, 3, 7], [2, 2, 3], [5, 5, 1]], dtype)
    points = np.array([0.0, 0.5, 2.0])
    check(lambda: ca.trapezoid(ca.array(host), axis=axis), lambda: np.trapezoid(host, axis=axis))
    check(lambda: ca.trapezoid(ca.array(host), dx=0.5, axis=axis), lambda: np.trapezoid(host, dx=0.5, axis=axis))
    for x in (points, host.real):
        check(
            lambda: ca.trapezoid(ca.array(host), ca.array(x), axis=axis),  # noqa: B023
            lambda: np.trapezoid(host, x, axis=axis),  # noqa: B023
        )


@pytest.mark.parametrize("dtype", ["int32", "float16", "float32", "float64", "complex128"])
@pytest.mark.parametrize("edge_order", [1, 2, 3])
def test_gradient(dtype: str, edge_order: int) -> None:
    """All forms of spacing: none, one for all, one an axis, coordinates."""
    host = np.array([[1, 4, 9, 16], [2, 3, 5, 9], [0, 1, 1, 2], [5, 5, 6, 8]]).astype(dtype)
    points = np.array([0.0, 1.0, 3.0, 7.0])
    forms: list[tuple[tuple, Any]] = [((), None), ((2,), None), ((2, 0.5), None), ((points, 2.0), None), ((), 1)]
    forms += [((points,), 0), ((points,), None), ((1, 2), 0), ((), (1, 0)), ((points[:3],), 0), ((host.real,), 0)]
    forms += [((), 2)]
    rtol = 5e-3 if dtype == "float16" else None
    for spacings, axis in forms:
        arrays = [ca.array(own) if isinstance(own, np.ndarray) else own for own in spacings]
        ours = functools.partial(ca.gradient, ca.array(host), *arrays, axis=axis, edge_order=edge_order)
        numpys = functools.partial(np.gradient, host, *spacings, axis=axis, edge_order=edge_order)
        try:
            expected = numpys()
        except Exception:
            check(ours, numpys)
            continue
        result = ours()
        assert isinstance(result, tuple) == isinstance(expected, tuple)
        for one, other in zip(
            result if isinstance(result, tuple) else (result,),
            expected if isinstance(expected, tuple) else (expected,),
            strict=True,
        ):
            assert_same(one, other, rtol=rtol, atol=1e-2 if dtype == "float16" else 1e-6)


def test_gradient_of_too_few() -> None:
    for host in (np.ones(1), np.ones(2), np.ones((3, 1)), np.float64(3)):
        for order in (1, 2):
            try:
                expected = np.gradient(host, edge_order=order)
            except ValueError:
                with pytest.raises(ValueError, match="too small"):
                    ca.gradient(ca.array(host), edge_order=order)
                continue
            result = ca.gradient(ca.array(host), edge_order=order)
            assert len(result) == len(expected)
