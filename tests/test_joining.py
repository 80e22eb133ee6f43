"""Arrays joined as on a GPU, wherever the tests run: several inputs a launch, whatever their layouts are."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_elementwise_blocks import VIEWS, WIDE, values
from test_fast_calls import only_fast

import cuarray as ca
from cuarray import _fast_calls, _plan, _runtime, _tuning
from cuarray._dtypes import BFLOAT16
from cuarray._fast_calls import Remembered
from cuarray._functions import joining
from cuarray._layout import layout
from cuarray._plan import _elementwise
from cuarray._tuning import Target

JOINED = [own for own in vars(joining).values() if isinstance(own, Remembered)]
KEPT: list[Any] = []
PROTOTYPE = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *[ctypes.c_uint] * 7, *[ctypes.c_void_p] * 3)


def forget() -> None:
    joining._prepare.cache_clear()
    for own in JOINED:
        _fast_calls.forget(own)


@pytest.fixture(autouse=True, scope="module")
def wide() -> Iterator[None]:
    """Joins are planned for a GPU: for this one, or for one of few processors where there is none."""
    own = _runtime.get().target
    target, join = WIDE if own.one_thread_blocks else own, _plan.join
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_plan, "join", lambda _, parts: join(target, parts))
        forget()
        yield
        forget()


@pytest.fixture
def launches(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """How many launches there were since the last question, of joins that were not made ready before."""
    runtime, seen = _runtime.get(), []
    launch = PROTOTYPE(runtime.launcher)
    counting = PROTOTYPE(lambda *arguments: seen.append(arguments[1]) or launch(*arguments))

    def count() -> int:
        found = len(seen)
        seen.clear()
        return found

    KEPT.append(counting)  # whatever is made ready meanwhile may be launched later
    monkeypatch.setattr(runtime, "launcher", ctypes.cast(counting, ctypes.c_void_p).value)
    forget()
    yield count
    forget()


# ---- launches

FORMS: list[tuple[Callable[[Any, list[Any]], Any], tuple[int, ...], int]] = [
    (lambda xp, a: xp.concatenate(a[:1]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a[:2]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a[:8]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a[:9]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a), (1000,), 1),
    (lambda xp, a: xp.concatenate([*a, *a, a[0]]), (1000,), 3),
    (lambda xp, a: xp.concatenate(a[:2]), (100_000,), 1),
    (lambda xp, a: xp.concatenate([a[0], a[1][:0], a[2][:7]]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a[:2], axis=1), (40, 50), 1),
    (lambda xp, a: xp.concatenate(a[:8], axis=1), (400, 400), 1),
    (lambda xp, a: xp.concatenate([a[0], a[1][:, :3]], axis=1), (40, 50), 1),
    (lambda xp, a: xp.concatenate([a[0], a[1].T, a[2][::-1], a[3][:, ::2]], axis=1), (16, 16), 1),
    (lambda xp, a: xp.concatenate(a[:2], axis=None), (40, 50), 1),
    (lambda xp, a: xp.concatenate(a[:2], out=xp.empty(2000, "float32")), (1000,), 1),
    (lambda xp, a: xp.stack(a[:2]), (1000,), 1),
    (lambda xp, a: xp.stack(a[:2], axis=-1), (1000,), 1),
    (lambda xp, a: xp.hstack(a[:3]), (1000,), 1),
    (lambda xp, a: xp.vstack(a[:3]), (1000,), 1),
    (lambda xp, a: xp.dstack(a[:3]), (40, 50), 1),
    (lambda xp, a: xp.column_stack(a[:3]), (1000,), 1),
    (lambda xp, a: xp.append(a[0], a[1]), (1000,), 1),
    (lambda xp, a: xp.block([a[0], a[1]]), (1000,), 1),
    (lambda xp, a: xp.concatenate(a[:4], dtype="float64"), (1000,), 1),
]


@pytest.mark.parametrize(("call", "shape", "expected"), FORMS)
def test_launches(
    call: Callable[[Any, list[Any]], Any], shape: tuple[int, ...], expected: int, launches: Callable[[], int]
) -> None:
    """One for inputs of one dtype, as long as their number is not large; when the call is remembered, too."""
    hosts = [np.arange(math.prod(shape), dtype="float32").reshape(shape) + number for number in range(64)]
    arrays = [ca.array(host) for host in hosts]
    for remembered in (False, False, expected < 3 and _fast_calls.is_available()):
        with only_fast() if remembered else contextlib.nullcontext():
            result = call(ca, arrays)
        assert launches() == expected
        assert np.array_equal(np.asarray(result), call(np, hosts))


def test_launches_by_dtype(launches: Callable[[], int]) -> None:
    """Inputs of two dtypes have two."""
    hosts = [np.arange(1000, dtype=name) for name in ("float32", "float64", "float32", "float64")]
    arrays = [ca.array(host) for host in hosts]
    for _ in range(3):
        result = ca.concatenate(arrays)
        assert launches() == 2
        assert same_elements(result, np.concatenate(hosts))


def test_as_many_as_a_parameter_has_room_for() -> None:
    """4 KiB, whatever the inputs are; every input in one launch, with a slot; blocks for all of it, in order."""
    strange = np.dtype([("x", "f4"), ("n", "i8")], align=True)
    for dtype, ndim, count, extent in itertools.product(
        (np.dtype("int8"), strange), (1, 2, 3, 4, 6, 8, 9, 17), (1, 2, 9, 64, 65), (2, 3, 2**31)
    ):
        rest = (2,) * (ndim - 1)
        own = layout(dtype, (extent, *rest), tuple(dtype.itemsize << 34 + 2 * axis for axis in range(ndim)))
        result = layout(dtype, (count * extent, *rest))
        place = layout(dtype, own.shape, result.strides)
        parts = [_plan.Part(own, place, number * extent * result.strides[0]) for number in range(count)]
        found: list[int] = []
        for plan, offset, numbers, slots in _plan.join(WIDE, parts):
            found += numbers
            if "ca::join<" not in plan.instance.name:
                assert slots == len(numbers) == 1
                continue
            assert offset == 0 and len(numbers) <= slots
            assert 8 * (1 + slots + len(plan.words)) <= 4096
            firsts = plan.words[2 :: len(plan.words) // slots]
            assert firsts[0] == 0
            assert list(firsts) == sorted(firsts) and firsts[len(numbers) - 1] < plan.grid[0] < 2**31
            assert plan.grid[0] * 2**14 > len(numbers) * own.size
            assert all(first > plan.grid[0] for first in firsts[len(numbers) :])
        assert sorted(found) == list(range(count))


def test_large_inputs_that_are_read_along_another_axis() -> None:
    """They go through shared memory, as their copies would."""
    single = np.dtype(np.float32)
    result = layout(single, (600, 300))
    turned = layout(single, (300, 300), (4, 1200))
    straight = layout(single, (300, 300))
    parts = [_plan.Part(own, straight, k * 360_000) for k, own in enumerate((turned, straight))]
    names = [join.plan.instance.name for join in _plan.join(WIDE, parts)]
    assert [name.partition("<")[0] for name in names] == ["ca::elementwise_turned", "ca::elementwise_packs"]
    assert result.nbytes == 2 * 360_000


# ---- results

ITEMS = [
    *map(np.dtype, ("bool", "uint8", "int16", "float16", "float32", "int64", "complex64", "complex128")),
    BFLOAT16,
    np.dtype([("r", "u1"), ("g", "u1"), ("b", "u1")]),
    np.dtype([("x", "f4"), ("n", "i8")], align=True),
]
MIXED = [np.dtype(name) for name in ("bool", "int8", "float16", "float32", "int32", "complex64")]


def some_values(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.names is None:
        return values(rng, dtype, shape)
    result = np.zeros(shape, dtype)
    for name in dtype.names:
        result[name] = rng.integers(0, 99, shape)
    return result


@st.composite
def joinable(draw: st.DrawFn, choice: list[np.dtype], same: bool) -> tuple[list[ca.CuArray], list[np.ndarray], int]:
    """Arrays of any layouts that agree but along one axis, for both, and that axis."""
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    sides = draw(st.sampled_from([(1,), (4,), (40,), (3, 5), (8, 60), (64, 4), (2, 3, 4), (5, 16, 8)]))
    axis = draw(st.integers(0, len(sides) - 1))
    count = draw(st.integers(1, 5) | st.sampled_from([8, 9, 20, 70]))
    extents = [1, 2, 4, 7, 16] if count > 5 else [0, 1, 2, 4, 7, 16, 33, 500]
    dtype = draw(st.sampled_from(choice))
    ours, theirs = [], []
    for _ in range(count):
        shape = (*sides[:axis], draw(st.sampled_from(extents)), *sides[axis + 1 :])
        own = dtype if same else draw(st.sampled_from(choice))
        broadcast = shape[0] if draw(st.integers(0, 5)) == 0 else None
        if broadcast is not None:
            shape = (1, *shape[1:])
        base, view = VIEWS[draw(st.sampled_from(list(VIEWS)))](shape, draw(st.integers(1, 5)))
        host = some_values(rng, own, base)
        x, y = view(ca.array(host)), view(host)
        if broadcast is not None:
            x, y = ca.broadcast_to(x, (broadcast, *shape[1:])), np.broadcast_to(y, (broadcast, *shape[1:]))
        ours.append(x)
        theirs.append(y)
    return ours, theirs, axis


def same_elements(actual: ca.CuArray, expected: np.ndarray) -> bool:
    return actual.dtype == expected.dtype and actual.shape == expected.shape and actual.tolist() == expected.tolist()


@settings(max_examples=150)
@given(data=st.data())
def test_one_dtype(data: st.DataObject) -> None:
    ours, theirs, axis = data.draw(joinable(ITEMS, True))
    expected = np.concatenate(theirs, axis)
    for _ in range(2):
        assert same_elements(ca.concatenate(ours, axis), expected)
    assert same_elements(ca.concatenate(ours, axis=None), np.concatenate(theirs, axis=None))


@settings(max_examples=100)
@given(data=st.data())
def test_mixed_dtypes(data: st.DataObject) -> None:
    ours, theirs, axis = data.draw(joinable(MIXED, False))
    for _ in range(2):
        assert same_elements(ca.concatenate(ours, axis), np.concatenate(theirs, axis))
    with np.errstate(all="ignore"):
        for dtype in ("complex128", "float32"):
            options = {"dtype": dtype, "casting": "unsafe"}
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", np.exceptions.ComplexWarning)
                expected = np.concatenate(theirs, axis, **options)
            for _ in range(2):
                assert same_elements(ca.concatenate(ours, axis, **options), expected)


@settings(max_examples=100)
@given(data=st.data())
def test_outputs(data: st.DataObject) -> None:
    """Into an array of any layout, around which nothing is written."""
    ours, theirs, axis = data.draw(joinable(ITEMS[1:-2], True))
    expected = np.concatenate(theirs, axis)
    base, view = VIEWS[data.draw(st.sampled_from(list(VIEWS)))](expected.shape, data.draw(st.integers(1, 5)))
    host = np.full(base, 77, data.draw(st.sampled_from([expected.dtype, np.dtype("complex128")])))
    written = host.copy()
    view(written)[...] = expected
    for _ in range(2):
        whole = ca.array(host)
        out = view(whole)
        assert ca.concatenate(ours, axis, out=out) is out
        assert same_elements(whole, written)


@given(first=st.integers(0, 8), second=st.integers(0, 8), axis=st.integers(0, 1))
def test_outputs_that_are_inputs(first: int, second: int, axis: int) -> None:
    """What is still to be read is not overwritten."""
    host = np.arange(64.0 * 64).reshape(64, 64)
    x, y = ca.array(host), host.copy()
    ours, theirs = ([a[first : first + 20, :40], a[second : second + 20, 10:50]] for a in (x, y))
    shape = (40, 40) if axis == 0 else (20, 80)
    out = x.ravel()[17 : 17 + math.prod(shape)].reshape(shape)
    expected = np.concatenate(theirs, axis)
    apart = ca.concatenate(ours, axis, out=ca.empty(shape))
    assert same_elements(apart, expected)
    ca.concatenate(ours, axis, out=out)
    y.ravel()[17 : 17 + math.prod(shape)] = expected.ravel()
    np.testing.assert_array_equal(np.asarray(x), y)


@pytest.mark.parametrize("dtype", [own for own in ITEMS if own.names is None], ids=str)
@pytest.mark.parametrize("size", [3, 500, 5000, 40_001])
def test_any_alignment(dtype: np.dtype, size: int) -> None:
    """Inputs that begin anywhere, and parts of the result that do."""
    rng = np.random.default_rng(0)
    hosts = [values(rng, dtype, (size + 20,)) for _ in range(3)]
    arrays = [ca.array(host) for host in hosts]
    for firsts in ((0, 0, 0), (0, 1, 2), (4, 8, 0), (1, 3, 16)):
        ours, theirs = (
            [x[first : first + size - 3 * k] for k, (x, first) in enumerate(zip(own, firsts, strict=True))]
            for own in (arrays, hosts)
        )
        assert same_elements(ca.concatenate(ours), np.concatenate(theirs))


POLICIES: dict[str, dict[str, Any]] = {
    "most slots at once": {"JOIN_SLOTS": (64, 32, 16)},
    "few slots": {"JOIN_SLOTS": (8,)},
    "one after another": {"JOIN_TURNS": False},
    "128 threads": {"ELEMENTWISE": {"threads": 128}},
    "one pack": {"ELEMENTWISE": {"bytes_in_flight": 1}},
    "no small arrays": {"ELEMENTWISE": {"single_items": 0}},
    "only small arrays": {"ELEMENTWISE": {"single_items": 1 << 30}},
    "rolled": {"ELEMENTWISE": {"rolled": frozenset(["Identity"])}},
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of the policy may be another one."""
    for parameter, value in POLICIES[name].items():
        if isinstance(value, dict):
            value = dataclasses.replace(_tuning.ELEMENTWISE, **value)
        monkeypatch.setattr(_tuning, parameter, value)
    forget()
    rng = np.random.default_rng(0)
    hosts = [rng.normal(size=(130, 132)).astype("float32") for _ in range(20)]
    arrays = [ca.array(host) for host in hosts]
    for call in (
        lambda xp, a: xp.concatenate([x.ravel() for x in a]),
        lambda xp, a: xp.concatenate([x.ravel()[k:] for k, x in enumerate(a)]),
        lambda xp, a: xp.concatenate(a[:3], axis=1),
        lambda xp, a: xp.concatenate([x[:, k:] for k, x in enumerate(a)], axis=1),
        lambda xp, a: xp.concatenate([x[: 20 + k, ::-1] for k, x in enumerate(a)]),
        lambda xp, a: xp.concatenate([a[0].T[:130, :9], a[1], a[2][:, ::2]], axis=1),
        lambda xp, a: xp.stack(a[:2], axis=-1),
        lambda xp, a: xp.stack(a, axis=1),
        lambda xp, a: xp.stack([x[1] for x in a], axis=-1),
    ):
        assert same_elements(call(ca, arrays), call(np, hosts))
    forget()


def test_inputs_take_turns() -> None:
    """Where the result has rows of each, and all have as many blocks."""
    single = np.dtype(np.float32)

    def turns(rows: int, extents: Sequence[int]) -> int:
        result = layout(single, (rows, sum(extents)))
        offsets = [4 * sum(extents[:k]) for k in range(len(extents))]
        parts = [
            _plan.Part(layout(single, (rows, extent)), layout(single, (rows, extent), result.strides), offset)
            for extent, offset in zip(extents, offsets, strict=True)
        ]
        (join,) = _plan.join(WIDE, parts)
        return join.plan.words[0] & (2**32 - 1)

    assert turns(5000, [1, 1, 1]) == 3
    assert turns(300, [4, 4]) == 2
    assert turns(5000, [1, 30]) == 0
    assert turns(1, [5000, 5000]) == 0


def test_64_bit_indices(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for inputs of more elements than there is memory for here."""
    monkeypatch.setattr(_elementwise, "INT32_MAX", 100)
    forget()
    host = np.arange(3.0 * 40 * 60).reshape(3, 40, 60)
    x = ca.array(host)
    for views in (
        lambda a: [a[:, :, :30], a[:, ::2, ::-1].swapaxes(1, 2)[:, :30].swapaxes(1, 2).repeat(2, 1)],
        lambda a: [a[..., 1:4], a],
        lambda a: [a[:, ::-1, :8], a[..., ::3]],
    ):
        assert same_elements(ca.concatenate(views(x), axis=2), np.concatenate(views(host), axis=2))
    forget()


def test_index_width() -> None:
    """32 bits where they count the packs of every input and hold its strides."""
    byte = np.dtype(np.int8)
    for rows, index in ((2**10, "unsigned int"), (2**31, "unsigned long")):
        place = layout(byte, (rows, 16), (32, 1))
        parts = [_plan.Part(layout(byte, (rows, 16)), place, 16 * number) for number in range(2)]
        target = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
        (join,) = _plan.join(target, parts)
        assert f"JoinedRows<{index}, 2>" in join.plan.instance.name
