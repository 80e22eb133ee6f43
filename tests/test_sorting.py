"""Sorting and searching against NumPy: every dtype, layout and axis, equal elements, NaN, signed zeros, many sizes."""

from __future__ import annotations

import contextlib
import dataclasses
import math
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import dtypes, numpy_arrays, pairs, shapes, values

import cuarray as ca
from cuarray import _plan, _runtime, _tuning
from cuarray._dtypes import BFLOAT16, DTYPES
from cuarray._functions import _sorted
from cuarray._launch import Prepared
from cuarray._plan import _sorting
from cuarray._tuning import Target

LENGTHS = [1, 2, 15, 17, 100, 191, 193, 1000, 2048, 2049, 70_001]


def elements(dtype: np.dtype) -> st.SearchStrategy[Any]:
    """Values that are often equal."""
    if dtype.kind in "fc":
        few = [0.0, -0.0, 1.0, -1.0, np.nan, np.inf, -np.inf]
        if dtype.kind == "c":
            return st.builds(complex, st.sampled_from(few), st.sampled_from(few)) | values(dtype)
        return st.sampled_from(few) | values(dtype)
    return values(dtype)


def drawn(dtype: np.dtype, shape: tuple[int, ...], seed: int = 0) -> np.ndarray:
    """Random values with equal ones, NaN and signed zeros among them."""
    rng = np.random.default_rng(seed)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype=dtype, endpoint=True)
    x = np.round(rng.standard_normal(shape) * 100)
    for value in (np.nan, 0.0, -0.0, np.inf, -np.inf):
        x[rng.random(shape) < 0.03] = value
    if dtype.kind == "c":
        z = np.empty(shape, dtype)
        z.real, z.imag = x, drawn(np.dtype(float), shape, seed + 1)
        return z
    return x.astype(dtype)


def assert_stable(actual: ca.CuArray, expected: np.ndarray) -> None:
    """Equal to the last bit of zeros; which NaN it is does not matter."""
    assert_same(actual, expected, exact=True)


def some_axis(draw: Any, ndim: int) -> Any:
    return draw(st.none() | st.integers(-ndim - 1, ndim))


@settings(max_examples=150)
@given(data=st.data())
def test_sort_and_argsort(data: st.DataObject) -> None:
    dtype = data.draw(dtypes())
    x = data.draw(pairs(dtype, shapes(), elements(dtype)))
    axis = some_axis(data.draw, x.numpy.ndim)
    check(
        lambda: ca.sort(x.cuarray, axis), lambda: np.sort(x.numpy, axis, kind="stable"), exact=dtype.kind == "f", rtol=0
    )
    check(lambda: ca.argsort(x.cuarray, axis), lambda: np.argsort(x.numpy, axis, kind="stable"))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_lengths(dtype: np.dtype) -> None:
    for n in LENGTHS:
        for rows in (1, 3):
            host = drawn(dtype, (rows, n), n)
            # NumPy's sorts of bfloat16 leave NaN wherever it is.
            known = host.astype(np.float32) if dtype == BFLOAT16 else host
            order = np.argsort(known, axis=-1, kind="stable")
            x = ca.array(host)
            assert_same(ca.argsort(x), order)
            assert_stable(ca.sort(x), np.take_along_axis(host, order, -1))


@pytest.mark.parametrize("dtype", ["bool", "int8", "uint64", "float32", "complex64"])
def test_descending_is_stable(dtype: str) -> None:
    for n in (7, 150, 500, 80_000):
        host = drawn(np.dtype(dtype), (n,), n)
        # Backwards, sorted and turned around: equal elements are in their order again.
        order = (n - 1 - np.argsort(host[::-1], kind="stable"))[::-1]
        assert_same(ca.argsort(ca.array(host), descending=True), order)
        assert_stable(ca.sort(ca.array(host), descending=True), host[order])


def test_digits_that_do_not_vary() -> None:
    """Passes that move nothing are left out, whatever their number."""
    for host in (
        np.zeros(100_000, np.int64),
        np.arange(100_000)[::-1] % 200,
        (np.arange(100_000) * 7919 % 65_521) << 20,
        np.full((3, 70_000), -1.5),
    ):
        x = ca.array(host)
        assert_same(ca.sort(x), np.sort(host))
        assert_same(ca.argsort(x), np.argsort(host, kind="stable"))


def test_axes_of_larger_arrays() -> None:
    host = drawn(np.dtype("float32"), (40, 50, 60))
    x = ca.array(host)
    for axis in (0, 1, 2, None):
        assert_stable(ca.sort(x, axis), np.sort(host, axis, kind="stable"))
        assert_same(ca.argsort(x.T, axis), np.argsort(host.T, axis, kind="stable"))


def test_order_in_memory() -> None:
    host = np.asfortranarray(drawn(np.dtype("int32"), (4, 5)))
    x = ca.array(np.ascontiguousarray(host.T)).T
    for axis in (0, 1):
        assert ca.sort(x, axis).strides == np.sort(host, axis).strides
        assert ca.argsort(x, axis).strides == np.argsort(host, axis).strides


def test_bfloat16() -> None:
    host = drawn(np.dtype("float32"), (3, 300)).astype(BFLOAT16)
    order = np.argsort(host.astype(np.float32), axis=-1, kind="stable")
    assert_same(ca.argsort(ca.array(host)), order)
    np.testing.assert_array_equal(
        np.asarray(ca.sort(ca.array(host))).astype(np.float32), np.take_along_axis(host, order, -1).astype(np.float32)
    )


def test_structs_have_no_order() -> None:
    with pytest.raises(TypeError, match="order"):
        ca.sort(ca.zeros(3, np.dtype([("a", "i4"), ("b", "i4")])))


@given(data=st.data())
def test_sort_in_place(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int16"), np.dtype("float64")]))
    layouts = ("contiguous", "transposed", "sliced", "reversed", "field")
    x = data.draw(pairs(dtype, shapes(), elements(dtype), layouts))
    axis = data.draw(st.integers(-x.numpy.ndim - 1, x.numpy.ndim))
    host = x.numpy.copy()
    try:
        host.sort(axis, kind="stable")
    except np.exceptions.AxisError:
        with pytest.raises(np.exceptions.AxisError):
            x.cuarray.sort(axis)
        return
    assert x.cuarray.sort(axis) is None
    assert_stable(x.cuarray, host)


def test_read_only_is_not_sorted() -> None:
    with pytest.raises(ValueError, match="read-only"):
        ca.broadcast_to(ca.array([2, 1]), (2, 2)).sort()


@pytest.mark.parametrize("arguments", [{"kind": "x"}, {"kind": "stable", "stable": True}, {"order": "f"}, {"kind": 3}])
@pytest.mark.parametrize("name", ["sort", "argsort"])
def test_bad_options(name: str, arguments: dict[str, Any]) -> None:
    check(lambda: getattr(ca, name)(ca.zeros(2), **arguments), lambda: getattr(np, name)(np.zeros(2), **arguments))


def test_all_kinds_are_taken() -> None:
    for kind in (None, "quicksort", "heapsort", "mergesort", "stable"):
        assert_same(ca.sort(ca.array([2, 1]), kind=kind), [1, 2])
    assert_same(ca.array([2, 1]).argsort(stable=True), [1, 0])


@given(data=st.data())
def test_partition(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int32"), np.dtype("float32")]))
    x = data.draw(pairs(dtype, shapes(min_dims=1), elements(dtype)))
    axis = data.draw(st.none() | st.integers(-x.numpy.ndim, x.numpy.ndim - 1))
    n = x.numpy.size if axis is None else x.numpy.shape[axis]
    kth = data.draw(st.integers(-n - 1, n) | st.lists(st.integers(-n, n), max_size=3).map(lambda k: np.array(k, int)))
    if n and np.all((np.asarray(kth) >= -n) & (np.asarray(kth) < n)):
        expected = np.sort(x.numpy, axis)
        assert_same(ca.partition(x.cuarray, kth, axis), expected, rtol=0)
        order = np.asarray(ca.argpartition(x.cuarray, kth, axis))
        flat = x.numpy.reshape(-1) if axis is None else x.numpy
        assert_same(ca.array(np.take_along_axis(flat, order, 0 if axis is None else axis)), expected, rtol=0)
    elif n:
        for name in ("partition", "argpartition"):
            with pytest.raises(ValueError, match="kth"):
                getattr(ca, name)(x.cuarray, kth, axis)


@pytest.mark.parametrize("kth", [1.0, True, [[0]], 5, -4, [0, 3]])
def test_bad_kth(kth: Any) -> None:
    check(lambda: ca.partition(ca.arange(3), kth), lambda: np.partition(np.arange(3), kth))
    x = ca.arange(3)
    with pytest.raises((TypeError, ValueError)):
        x.partition(kth)


def test_partition_methods() -> None:
    x = ca.array([3, 1, 2])
    assert_same(x.argpartition(0), [1, 2, 0])
    assert x.partition(1) is None
    assert_same(x, [1, 2, 3])


@given(data=st.data())
def test_topk(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype("int8"), np.dtype("float32")]))
    x = data.draw(pairs(dtype, shapes(min_dims=1), elements(dtype)))
    axis = data.draw(st.integers(-x.numpy.ndim, x.numpy.ndim - 1))
    largest = data.draw(st.booleans())
    n = x.numpy.shape[axis]
    k = data.draw(st.integers(0, n))
    order = np.argsort(x.numpy, axis, kind="stable")
    if largest:
        order = np.flip(n - 1 - np.argsort(np.flip(x.numpy, axis), axis, kind="stable"), axis)
    order = np.take(order, range(k), axis)
    found = ca.topk(x.cuarray, k, axis, largest=largest)
    assert_same(found.indices, order)
    assert_stable(found.values, np.take_along_axis(x.numpy, order, axis))


def test_bad_topk() -> None:
    for k in (-1, 4):
        with pytest.raises(ValueError, match="k must be between"):
            ca.topk(ca.arange(3), k)


@given(data=st.data())
def test_lexsort(data: st.DataObject) -> None:
    shape = data.draw(shapes(max_side=6))
    count = data.draw(st.integers(1, 3))
    kinds = [np.dtype("int8"), np.dtype("float32")]
    keys = [data.draw(pairs(data.draw(st.sampled_from(kinds)), shape, st.integers(-1, 1))) for _ in range(count)]
    axis = data.draw(st.integers(-len(shape) - 1, len(shape)))
    check(lambda: ca.lexsort([k.cuarray for k in keys], axis), lambda: np.lexsort([k.numpy for k in keys], axis))


def test_lexsort_arguments() -> None:
    rows = np.array([[3, 1, 2, 1], [0, 1, 0, 1]])
    assert_same(ca.lexsort(ca.array(rows)), np.lexsort(rows))
    check(lambda: ca.lexsort(()), lambda: np.lexsort(()))
    check(lambda: ca.lexsort((ca.zeros(2), ca.zeros(3))), lambda: np.lexsort((np.zeros(2), np.zeros(3))))
    check(lambda: ca.lexsort(3), lambda: np.lexsort(3))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_sort_complex(dtype: np.dtype) -> None:
    host = drawn(dtype, (3, 7))
    check(lambda: ca.sort_complex(ca.array(host)), lambda: np.sort_complex(host), exact=True)


@settings(max_examples=100)
@given(data=st.data())
def test_searchsorted(data: st.DataObject) -> None:
    kinds = dtypes("biufc") if data.draw(st.booleans()) else st.sampled_from([np.dtype("int64"), np.dtype("float64")])
    dtype = data.draw(kinds)
    a = data.draw(pairs(dtype, shapes(min_dims=1, max_dims=1, max_side=9), elements(dtype), ("contiguous", "reversed")))
    v = data.draw(pairs(dtype, shapes(), elements(dtype)))
    side = data.draw(st.sampled_from(["left", "right"]))
    order = np.argsort(a.numpy, kind="stable")
    expected = np.searchsorted(a.numpy, v.numpy, side, sorter=order)
    assert_same(ca.searchsorted(a.cuarray, v.cuarray, side, sorter=ca.array(order)), expected)
    assert_same(ca.sort(a.cuarray).searchsorted(v.cuarray, side), expected)


def test_searchsorted_of_mixed_dtypes() -> None:
    a = np.array([1, 2, 3], np.int8)
    for v in (300, -300, 2.5, np.array([2.5, 1]), np.float32(2), [1, 2], True):
        assert_same(ca.searchsorted(ca.array(a), v), np.searchsorted(a, v))


@pytest.mark.parametrize(
    ("a", "v", "options"),
    [
        ([[1]], 2, {}),
        (3, 2, {}),
        ([1, 2], [1], {"side": "x"}),
        ([1, 2], [1], {"side": 1}),
        ([1, 2], [1], {"sorter": [0.0, 1]}),
        ([1, 2], [1], {"sorter": [0]}),
        ([1, 2], [5], {"sorter": [0, 7]}),
    ],
)
def test_bad_searches(a: Any, v: Any, options: dict[str, Any]) -> None:
    check(lambda: ca.searchsorted(ca.array(a), v, **options), lambda: np.searchsorted(np.array(a), v, **options))


def test_search_in_a_large_array() -> None:
    host = np.sort(drawn(np.dtype("float64"), (100_000,)))
    wanted = drawn(np.dtype("float64"), (90_000,), 5)
    for side in ("left", "right"):
        assert_same(ca.searchsorted(ca.array(host), ca.array(wanted), side), np.searchsorted(host, wanted, side))


# A machine with blocks of many threads: the host's kernels run them, too, one thread after another.
WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)


def best_first(host: np.ndarray, largest: bool) -> np.ndarray:
    """The indices that put the best in each row first, and of equal ones the first."""
    if not largest:
        return np.argsort(host, axis=-1, kind="stable")
    return np.flip(host.shape[-1] - 1 - np.argsort(np.flip(host, -1), axis=-1, kind="stable"), -1)


def assert_sorts_wide(host: np.ndarray, values: bool = True, indices: bool = True, descending: bool = False) -> None:
    """Sorted by the launches for blocks of many threads, whatever the scratch memory held."""
    order = best_first(host, descending)
    x = ca.array(host)
    out, places = ca.empty(host.shape, host.dtype), ca.empty(host.shape, "int64")
    plan = _plan.sort(WIDE, x.dtype, *host.shape, values, indices, descending)
    scratch = ca.full(plan.scratch_bytes + 1, 0xA5, np.uint8)
    for launch in plan.launches:
        Prepared(launch).launch(
            out._pointer if values else 0, x._pointer, scratch._pointer, places._pointer if indices else 0
        )
    assert int(scratch[-1]) == 0xA5
    if indices:
        assert_same(places, order)
    if values:
        assert_stable(out, np.take_along_axis(host, order, -1))
    assert_stable(x, host)


@pytest.mark.parametrize("dtype", ["uint8", "float16", "int32", "float64", "complex128"])
@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (3, 100), (2, 1025), (2, 9000), (1, 20_001)], ids=str)
def test_kernels_of_wide_blocks(dtype: str, shape: tuple[int, int]) -> None:
    host = drawn(np.dtype(dtype), shape)
    for descending in (False, True):
        assert_sorts_wide(host, descending=descending)


@pytest.mark.parametrize(("values", "indices"), [(True, False), (False, True), (True, True)])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "float32", "int64", "complex64", "complex128"])
def test_results_of_any_number_of_passes(dtype: str, values: bool, indices: bool) -> None:
    """Digits that vary in no row, in one row only, in any combination: they decide where a pass reads and writes."""
    rng = np.random.default_rng(0)
    itemsize = np.dtype(dtype).itemsize
    for varying in range(min(itemsize, 5) + 1):
        digits = np.full((2, 5000, itemsize), 3, np.uint8)
        for digit in rng.permutation(itemsize)[:varying]:
            digits[: rng.integers(1, 3), :, digit] = rng.integers(0, 4 if varying < 3 else 100, 5000)
        assert_sorts_wide(digits.view(dtype)[..., 0], values, indices)


@pytest.mark.parametrize("dtype", ["int32", "complex128"])
def test_counts_of_64_bits(dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As rows of more than 2**30 elements need them."""
    monkeypatch.setattr(_sorting, "_WIDE", 1000)
    host = drawn(np.dtype(dtype), (2, 9000))
    assert any(
        "unsigned long" in launch.instance.name for launch in _plan.sort(WIDE, host.dtype, 1, 9000, True, True)[0]
    )
    assert_sorts_wide(host)
    assert_sorts_wide(host, indices=False)


@pytest.mark.parametrize(
    "changed",
    [
        {"ballots": False},
        {"reads": 1},
        {"threads": 384, "items": 12, "resident": 2},
        {"threads": 512, "items": 20, "resident": 1, "count_threads": 256, "count_loads": 4},
    ],
    ids=str,
)
def test_other_parameters(changed: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_tuning, "SORT", dataclasses.replace(_tuning.SORT, **changed))
    for dtype in ("float32", "int64"):
        assert_sorts_wide(drawn(np.dtype(dtype), (2, 10_000)), indices=dtype == "int64")


@settings(max_examples=20)
@given(data=st.data())
def test_drawn_rows_of_wide_blocks(data: st.DataObject) -> None:
    dtype = data.draw(dtypes())
    rows, n = data.draw(st.integers(1, 4)), data.draw(st.integers(2049, 12_000))
    few = np.array(data.draw(st.lists(elements(dtype), min_size=1, max_size=6)), dtype)
    seed = data.draw(st.integers(0, 100))
    some = np.random.default_rng(seed).integers(0, few.size, (rows, n))
    host = few[some] if data.draw(st.booleans()) else np.where(some == 0, few[0], drawn(dtype, (rows, n), seed))
    assert_sorts_wide(host.astype(dtype), descending=data.draw(st.booleans()))


def test_tiles_of_rows_that_are_not_long() -> None:
    """Few threads of a tile have nothing to do; every element has a place in one."""
    for itemsize in (1, 2, 4, 8, 16):
        for n in (2049, 3000, 5000, 10**6):
            policy = _tuning.sort_policy(WIDE, 3, n, itemsize, 4)
            assert isinstance(policy, _tuning.PassSortPolicy)
            tile = policy.items * _tuning.SORT.threads
            assert (policy.tiles - 1) * tile < n <= policy.tiles * tile
            assert tile < 2 * n


@contextlib.contextmanager
def planned_for(target: Target, **tuning: Any) -> Iterator[None]:
    """Sorting planned for this target, wherever it runs, with other values of constants in _tuning."""
    runtime = _runtime.get()
    planned = SimpleNamespace(target=target, allocate=runtime.allocate)
    caches = (_sorted._prepare_sort, _sorted._prepare_select)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_sorted, "_runtime", SimpleNamespace(get=lambda: planned))
        for name, value in tuning.items():
            patch.setattr(_tuning, name, value)
        for cache in caches:
            cache.cache_clear()
        try:
            yield
        finally:
            for cache in caches:
                cache.cache_clear()


@pytest.fixture
def wide() -> Iterator[None]:
    """Sorting planned for blocks of many threads."""
    with planned_for(WIDE):
        yield


def assert_topk(host: np.ndarray, k: int) -> None:
    """Also of bfloat16, which NumPy does not order."""
    known = host.astype(np.float32) if host.dtype == BFLOAT16 else host
    for largest in (False, True):
        order = best_first(known, largest)[..., :k]
        found = ca.topk(ca.array(host), k, largest=largest)
        assert_same(found.indices, order)
        assert_stable(found.values, np.take_along_axis(host, order, -1))


def rows_of(data: st.DataObject, dtype: np.dtype, rows: int, n: int) -> np.ndarray:
    """Rows of a few drawn elements, or of many; some in order, in which each is better than all before it."""
    if data.draw(st.booleans()):
        host = drawn(dtype, (rows, n), data.draw(st.integers(0, 99)))
    else:
        few = data.draw(numpy_arrays(dtype, (data.draw(st.integers(1, 6)),), elements(dtype)))
        host = few[np.random.default_rng(data.draw(st.integers(0, 99))).integers(few.size, size=(rows, n))]
    order = data.draw(st.sampled_from(["any", "ascending", "descending"]))
    if order != "any":
        known = host.astype(np.float32) if dtype == BFLOAT16 else host
        host = np.take_along_axis(host, best_first(known, order == "descending"), -1)
    return host


@pytest.mark.usefixtures("wide")
@pytest.mark.parametrize("dtype", ["bool", "int16", "bfloat16", "float32", "uint64", "complex64"])
@pytest.mark.parametrize("shape", [(100_000,), (3, 32_769), (2, 5000)], ids=str)
def test_topk_of_long_rows(dtype: str, shape: tuple[int, ...]) -> None:
    """Selected where that is less work than to sort: also among equal elements those that come first."""
    kind = BFLOAT16 if dtype == "bfloat16" else np.dtype(dtype)
    n = shape[-1]
    for host in (drawn(kind, shape), (np.arange(math.prod(shape)) % 7 < 3).astype(kind).reshape(shape)):
        for k in (1, 100, n // 16):
            assert_topk(host, k)


# As the CPU is, but with more cores and less memory for candidates: short rows have several chunks, and are compared
# with the best so far again and again.
ONE_THREAD = Target(processors=3, block_threads=1, max_block_threads=1024, blocks_per_processor=1)
LITTLE_ROOM = {"_SELECT_LEAST": 1, "_SELECT_LEAST_IN_ALL": 1, "_SELECT_PART": dict.fromkeys((1, 2, 4, 8, 16), 2)}


@settings(max_examples=150)
@given(data=st.data())
def test_topk_by_one_thread_blocks(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([*DTYPES, BFLOAT16]))
    rows, n = data.draw(st.sampled_from([1, 2, 7])), data.draw(st.integers(1, 700))
    host = rows_of(data, dtype, rows, n)
    k = data.draw(st.sampled_from(sorted({0, 1, min(2, n), n // 16, n // 3, n // 2, max(n - 1, 0), n})))
    chunk = data.draw(st.sampled_from([16, 100, 1 << 15]))
    room = data.draw(st.sampled_from([64, 200]))
    with planned_for(ONE_THREAD, _HOST_CHUNK=chunk, _SELECT_ROOM=room, **LITTLE_ROOM):
        selects = _sorted._prepare_select(dtype, rows, n, k, True) is not None
        assert selects == (0 < k <= n // 2)
        assert_topk(host, k)


@settings(max_examples=40)
@given(data=st.data())
def test_topk_of_many(data: st.DataObject) -> None:
    """As it is planned for the device: also selected after a look at some elements, and in several chunks."""
    dtype = data.draw(st.sampled_from([*DTYPES, BFLOAT16]))
    rows, n = data.draw(st.sampled_from([(1, 5000), (1, 70_001), (2, 140_000), (9, 3000)]))
    k = data.draw(st.sampled_from([0, 1, 5, n // 512, n // 16]))
    assert_topk(rows_of(data, dtype, rows, n), k)
