"""Elementwise operations planned for a GPU, wherever they run: the CPU has CUDA's block model, too."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _plan, _runtime, _tuning
from cuarray._dtypes import BFLOAT16, DTYPES
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray._plan import Operand, _elementwise
from cuarray._plan._common import divisors, pad
from cuarray._runtime import glue
from cuarray._runtime.base import Source
from cuarray._tuning import Target

WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)


class Case(NamedTuple):
    """An operation: its functor, the same in NumPy, and the dtypes of its outputs' and inputs' elements."""

    functor: str
    function: Callable[..., Any]
    outputs: tuple[str, ...]
    inputs: tuple[str, ...]


def launch(
    case: Case, outs: Sequence[ca.CuArray], operands: Sequence[ca.CuArray], position: bool = False
) -> _plan.Plan:
    """Compute as a GPU would; the loop's dtypes are those of the outputs, and for the inputs of a cast its own."""
    first, *rest = outs
    loops = [np.dtype(name) for name in case.inputs]
    plan = _plan.elementwise(
        WIDE,
        f"ca::ops::{case.functor}",
        first._layout,
        loops[0] if case.functor == "Identity" else first.dtype,
        [Operand(x._layout, loop) for x, loop in zip(operands, loops)],
        position,
        Operand(rest[0]._layout, rest[0].dtype) if rest else None,
    )
    assert plan.block[0] > 1
    Prepared(plan).launch(*(x._pointer for x in (*outs, *operands)))
    return plan


SENTINEL = 77


def values(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    """Small numbers, which every dtype holds."""
    low = -9 if dtype.kind in "ifc" or dtype == BFLOAT16 else 0
    drawn = rng.integers(low, 10, shape)
    return (drawn % 2 == 0) if dtype.kind == "b" else drawn.astype(dtype)


# How an array of a shape lies in a larger one: what is made, and the view of it.
VIEWS: dict[str, Callable[[tuple[int, ...], int], tuple[tuple[int, ...], Callable[[Any], Any]]]] = {
    "contiguous": lambda shape, k: (shape, lambda x: x),
    "offset": lambda shape, k: ((math.prod(shape) + k,), lambda x: x[k:].reshape(shape)),
    "rows": lambda shape, k: ((*shape[:-1], shape[-1] + k), lambda x: x[..., k:]),
    "wide rows": lambda shape, k: ((*shape[:-1], shape[-1] + 16 - shape[-1] % 16), lambda x: x[..., : shape[-1]]),
    "steps": lambda shape, k: ((*shape[:-1], shape[-1] * (k + 1)), lambda x: x[..., :: k + 1]),
    "outer steps": lambda shape, k: ((shape[0] * 2, *shape[1:]), lambda x: x[::2]),
    "reversed": lambda shape, k: (shape, lambda x: x[..., ::-1]),
    "upside down": lambda shape, k: (shape, lambda x: x[::-1]),
    "transposed": lambda shape, k: (shape[::-1], lambda x: x.T),
    "rolled": lambda shape, k: ((shape[-1], *shape[:-1]), lambda x: x.transpose(*range(1, len(shape)), 0)),
}
REPEATED: dict[str, Callable[[tuple[int, ...]], tuple[int, ...]]] = {
    "row": lambda shape: shape[-1:],
    "column": lambda shape: (*shape[:-1], 1),
    "item": lambda shape: (1,),
    "stack": lambda shape: (1, *shape[1:]),
}
SHAPES = [
    *((), (1,), (7,), (2047,), (2048,), (2049,), (9001,), (40000,)),
    *((1, 300), (300, 1), (17, 1001), (17, 1002), (40, 64), (100, 150), (3, 5000), (5000, 3), (64, 96), (2000, 5)),
    *((5, 40, 64), (9, 33, 31), (2, 3, 1500), (40, 30, 3), (1, 5, 700), (2, 3, 4, 50)),
]


@st.composite
def arrays(draw: st.DrawFn, shape: tuple[int, ...], dtype: np.dtype, rng: np.random.Generator, repeat: bool) -> Any:
    """A CuArray of `shape`, or one that broadcasts to it, and the same elements for NumPy."""
    if shape and repeat and draw(st.integers(0, 2)) == 0:
        own = REPEATED[draw(st.sampled_from(list(REPEATED)))](shape)
    else:
        own = shape
    kind = draw(st.sampled_from(list(VIEWS))) if own else "contiguous"
    base, view = VIEWS[kind](own, draw(st.integers(1, 5)))
    host = values(rng, dtype, base)
    return view(ca.array(host)), view(host)


def test_rows_whose_distance_is_no_multiple_of_an_item() -> None:
    """Structs in a field: packs of theirs cannot be had, and items can."""
    item = np.dtype([("a", "f8"), ("b", "i8"), ("c", "i1")], align=True)
    outer = np.dtype([("first", "f8"), ("items", item, (3,))], align=True)
    assert outer.itemsize % item.itemsize
    x = np.zeros((5, 2), outer)
    x["items"]["b"] = np.arange(30).reshape(5, 2, 3)
    source = ca.array(x)["items"]
    result = ca.empty((5, 2, 3), item)
    operand = Operand(source._layout, item)
    plan = _plan.elementwise(WIDE, "ca::ops::Identity", result._layout, item, [operand])
    Prepared(plan).launch(result._pointer, source._pointer)
    assert np.asarray(result).tolist() == x["items"].tolist()


CASES = [
    Case("Add", np.add, ("float32",), ("float32", "float32")),
    Case("Add", np.add, ("int8",), ("int8", "int8")),
    Case("Subtract", np.subtract, ("float16",), ("float16", "float16")),
    Case("Multiply", np.multiply, ("complex128",), ("complex128", "complex128")),
    Case("Less", np.less, ("bool",), ("float64", "float64")),
    Case("Where", np.where, ("int16",), ("bool", "int16", "int16")),
    Case("Identity", lambda x: x, ("float64",), ("float64",)),
    Case("Identity", lambda x: x, ("uint8",), ("uint8",)),
    Case("FloorDivide", np.floor_divide, ("int32",), ("int32", "int32")),
    Case("Remainder", np.remainder, ("float16",), ("float16", "float16")),
    Case("Modf", np.modf, ("float32", "float32"), ("float32",)),
    Case("Divmod", np.divmod, ("uint8", "uint8"), ("uint8", "uint8")),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case.functor}-{case.inputs[-1]}")
@settings(max_examples=30)
@given(data=st.data())
def test_any_layout(case: Case, data: st.DataObject) -> None:
    """Packs, rows and tiles: NumPy's results in the output's elements, and nothing written anywhere else."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = data.draw(st.sampled_from(SHAPES))
    drawn = [data.draw(arrays(shape, np.dtype(name), rng, True)) for name in case.inputs]
    with np.errstate(all="ignore"):
        expected = case.function(*(np.broadcast_to(x, shape) for _, x in drawn))
    outs, hosts = [], []
    for name in case.outputs:
        kind = data.draw(st.sampled_from(list(VIEWS))) if shape else "contiguous"
        base, view = VIEWS[kind](shape, data.draw(st.integers(1, 5)))
        host = np.full(base, 1 if name == "bool" else SENTINEL, name)
        whole = ca.array(host)
        outs.append(view(whole))
        hosts.append((whole, host, view))
    launch(case, outs, [x for x, _ in drawn])
    for (whole, host, view), result in zip(hosts, expected if len(outs) > 1 else [expected]):
        view(host)[...] = result
        np.testing.assert_array_equal(np.asarray(whole), host)


@settings(max_examples=30)
@given(data=st.data())
def test_masked(data: st.DataObject) -> None:
    """Elements whose mask is false are not written."""
    rng = np.random.default_rng(data.draw(st.integers(0, 99)))
    shape = data.draw(st.sampled_from(SHAPES))
    mask, expected_mask = data.draw(arrays(shape, np.dtype(bool), rng, True))
    x, expected_x = data.draw(arrays(shape, np.dtype(np.int16), rng, True))
    base, view = VIEWS["steps" if shape and data.draw(st.booleans()) else "contiguous"](shape, 1)
    host = np.full(base, SENTINEL, np.int16)
    whole = ca.array(host)
    launch(Case("OnlyWhere<ca::ops::Negative>", np.negative, ("int16",), ("bool", "int16")), [view(whole)], [mask, x])
    np.negative(np.broadcast_to(expected_x, shape), where=np.broadcast_to(expected_mask, shape), out=view(host))
    np.testing.assert_array_equal(np.asarray(whole), host)


@pytest.mark.parametrize("source", DTYPES, ids=str)
def test_casts_of_every_width(source: np.dtype) -> None:
    """Packs of 16 bytes of the wider dtype; the other one's are narrower."""
    rng = np.random.default_rng(0)
    for name in ("int8", "float16", "float32", "complex128"):
        case = Case("Identity", np.asarray, (name,), (source.name if source != BFLOAT16 else "bfloat16",))
        host = abs(values(rng, source, (5000,)))
        for first in (0, 1):
            x, out = ca.array(host)[first:], ca.zeros(5000 - first, name)
            launch(case, [out], [x])
            np.testing.assert_array_equal(np.asarray(out), host[first:].astype(name))


@pytest.mark.parametrize("n", [1, 3, 4, 2048, 5001])
def test_positions(n: int) -> None:
    """The item's own number, with scalars for the other operands."""
    out = ca.zeros(n, np.float32)
    dtype = np.dtype(np.float32)
    plan = _plan.elementwise(WIDE, "ca::ops::Affine", out._layout, dtype, [Operand(None, dtype)] * 2, True)
    start, step = (int(np.float32(value).view(np.uint32)) for value in (2.0, 0.5))
    Prepared(plan).launch(out._pointer, 0, start, step)
    np.testing.assert_array_equal(np.asarray(out), 2 + np.arange(n, dtype=np.float32) / 2)


def test_structs() -> None:
    """Elements of 3 and of 12 bytes are moved one by one."""
    for dtype in ([("r", "u1"), ("g", "u1"), ("b", "u1")], [("x", "f4"), ("y", "f4"), ("z", "f4")]):
        host = np.zeros((40, 90), dtype)
        for number, name in enumerate(host.dtype.names):
            host[name] = np.arange(host.size).reshape(host.shape) % 100 + number
        x = ca.array(host)
        for view in (lambda a: a, lambda a: a[:, 1:], lambda a: a.T):
            out = ca.zeros(view(host).shape, x.dtype)
            plan = _plan.elementwise(
                WIDE, "ca::ops::Identity", out._layout, x.dtype, [Operand(view(x)._layout, x.dtype)]
            )
            Prepared(plan).launch(out._pointer, view(x)._pointer)
            assert np.array_equal(np.asarray(out), view(host))


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("name", ["int8", "float16", "float32", "float64", "bool"])
def test_turned_packs(name: str, first: int) -> None:
    """Axes of whole packs, of which tiles are not whole; at addresses that are no multiples of a pack's bytes, too."""
    rng = np.random.default_rng(0)
    dtype = np.dtype(name)
    functor, function = ("LogicalOr", np.logical_or) if name == "bool" else ("Add", np.add)
    for shape in ((260, 300), (256, 136), (2, 132, 260)):
        hosts = [values(rng, dtype, (math.prod(shape) + 1,))[first:][: math.prod(shape)] for _ in range(2)]
        turned = (*shape[:-2], shape[-1], shape[-2])
        x, y = hosts[0].reshape(shape), hosts[1].reshape(turned).swapaxes(-1, -2)
        memory = [ca.zeros(math.prod(shape) + 1, dtype) for _ in range(3)]
        for own, host in zip(memory, hosts, strict=False):
            own[first:][: host.size] = ca.array(host)
        a = memory[0][first:][: x.size].reshape(shape)
        b = memory[1][first:][: x.size].reshape(turned).swapaxes(-1, -2)
        out = memory[2][first:][: x.size].reshape(shape)
        operands = [Operand(a._layout, dtype), Operand(b._layout, dtype)]
        plan = _plan.elementwise(WIDE, f"ca::ops::{functor}", out._layout, dtype, operands)
        assert "elementwise_turned" in plan.instance.name
        Prepared(plan).launch(out._pointer, a._pointer, b._pointer)
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(np.asarray(out), function(x, y))
        plan = _plan.elementwise(WIDE, "ca::ops::Identity", out._layout, dtype, operands[1:])
        Prepared(plan).launch(out._pointer, b._pointer)
        np.testing.assert_array_equal(np.asarray(out), y)
        assert not np.asarray(memory[2])[:first].any() and not np.asarray(memory[2])[first + x.size :].any()


POLICIES = {
    "128 threads": {"threads": 128},
    "one pack": {"bytes_in_flight": 1},
    "eight packs": {"bytes_in_flight": 256, "most_items": 8},
    "grid stride": {"waves": 1},
    "rolled": {"rolled": frozenset(["Add", "Identity"])},
    "no first level": {"loads": 1, "stores": 1},
    "evicted first": {"loads": 2, "stores": 1},
    "small tiles": {"tile_items": ((16, 256),)},
    "64-bit indices": {},
    "large tiles": {"tile_items": ((4, 4096), (16, 1024))},
}


@pytest.mark.parametrize("name", POLICIES)
def test_policies(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every number of _tuning.ELEMENTWISE may be another one."""
    monkeypatch.setattr(_tuning, "ELEMENTWISE", dataclasses.replace(_tuning.ELEMENTWISE, **POLICIES[name]))
    if name == "64-bit indices":
        monkeypatch.setattr(_elementwise, "INT32_MAX", 100)
    rng = np.random.default_rng(0)
    add = Case("Add", np.add, ("float32",), ("float32", "float32"))
    hosts = [values(rng, np.dtype(np.float32), (130, 132)) for _ in range(2)]
    arrays = [ca.array(host) for host in hosts]
    for views in (
        lambda x, y: (x.reshape(-1), y.reshape(-1)),
        lambda x, y: (x.reshape(-1)[1:], y.reshape(-1)[:-1]),
        lambda x, y: (x, y[0]),
        lambda x, y: (x, y[:, :1]),
        lambda x, y: (x, y[:, ::-1]),
        lambda x, y: (x.T, y.T[:, :1]),
        lambda x, y: (x[:, :130], y[:, :130].T),
    ):
        expected = np.add(*views(*hosts))
        out = ca.zeros(expected.shape, np.float32)
        launch(add, [out], views(*arrays))
        np.testing.assert_array_equal(np.asarray(out), expected)


# ---- arithmetic of places: more than 2**31 items without memory for them


PLACES = Source(
    "the test of places",
    """
    #include "elementwise.cuh"
    #include "division.cuh"
    namespace ca::tests {
    template <class Index> struct Places {
      Head head;
      i64 count;
      Divisor<Index> axis[4];
      i64 strides[1][4];
    };
    template <class Index> __global__ void places(Places<Index> p) {
      const i64* const n = reinterpret_cast<const i64*>(p.head.word[1]);
      for (int i = threadIdx.x; i < p.count; i += blockDim.x) {
        i64 offset[1];
        offsets_of(Index(n[i]), p.axis, p.strides, offset);
        reinterpret_cast<i64*>(p.head.word[0])[i] = offset[0];
      }
    }
    }
    """,
)


@pytest.mark.parametrize("bits", [32, 64])
@given(data=st.data())
def test_places(bits: int, data: st.DataObject) -> None:
    """Items of arrays as large as an index can count are where their coordinates say."""
    most = (1 << (bits - 1)) - 1
    shape: list[int] = []
    left = most
    for _ in range(data.draw(st.integers(1, 4))):
        shape.append(data.draw(st.integers(1, left) | st.sampled_from([1, 2, 3, left]).map(lambda e: min(e, left))))  # noqa: B023
        left //= shape[-1]
    size = math.prod(shape)
    reach = (1 << 31) - 1 if bits == 32 else (1 << 60) // max(shape)
    strides = [data.draw(st.integers(-reach, reach)) for _ in shape]
    numbers = [0, size - 1, size // 2, *(data.draw(st.integers(0, size - 1)) for _ in range(5))]
    offsets = ca.zeros(len(numbers), np.int64)
    words = (len(numbers), *divisors(tuple(shape), 4, bits), *pad(tuple(strides), 4, 0))
    runtime = _runtime.get()
    name = f"&ca::tests::places<unsigned {'int' if bits == 32 else 'long'}>"
    function = runtime.load(PLACES, name).handle
    record = glue.make_record(runtime.launcher, function, (1, 1, 1), (32, 1, 1), 0, words)
    given = ca.array(numbers, np.int64)
    runtime.launch(
        SimpleNamespace(address=record.ctypes.data, name=name), offsets._pointer, given._pointer, 0, 0, 0, 0, 0
    )
    expected = []
    for n in numbers:
        offset = 0
        for extent, stride in zip(shape[::-1], strides[::-1]):
            n, at = divmod(n, extent)
            offset += at * stride
        expected.append(offset)
    assert offsets.tolist() == [(value + (1 << 63)) % (1 << 64) - (1 << 63) for value in expected]


@pytest.mark.parametrize(
    ("shape", "strides", "index"),
    [
        ((2**31 - 2**20,), (2,), "unsigned int"),
        ((2**31,), (2,), "unsigned long"),
        ((2**33, 3), (8, 1), "unsigned long"),
        ((2, 2**20), (2**31, 2), "unsigned long"),
        ((2**15, 2**15), (2**17, 2), "unsigned int"),
        ((2**20, 2**14), (1, 2**20), "unsigned int"),
        ((2**22, 2**15), (1, 2**22), "unsigned int"),
        ((2**10, 2**31), (1, 2**10), "unsigned long"),
    ],
)
def test_index_width(shape: tuple[int, ...], strides: tuple[int, ...], index: str) -> None:
    """Indices of 32 bits where they can count the packs and hold the strides; every item has its thread."""
    byte = np.dtype(np.int8)
    target = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
    plan = _plan.elementwise(
        target, "ca::ops::Negative", layout(byte, shape), byte, [Operand(layout(byte, shape, strides), byte)]
    )
    assert f", {index}, " in plan.instance.name
    assert plan.grid[0] < 2**31
    packs, width = (int(word) for word in plan.instance.name.split("How<")[1].split(", ")[1:3])
    items = width**2 if "elementwise_turned" in plan.instance.name else width
    assert plan.grid[0] * 256 * packs * items >= math.prod(shape)


def test_contiguous_beyond_32_bits() -> None:
    byte = np.dtype(np.int8)
    own = layout(byte, (2**36 + 5,))
    plan = _plan.elementwise(WIDE, "ca::ops::Negative", own, byte, [Operand(own, byte)])
    packs, width = (int(word) for word in plan.instance.name.split("How<")[1].split(", ")[1:3])
    tile = 256 * packs * width
    assert (plan.grid[0] - 1) * tile < own.size <= plan.grid[0] * tile
    assert plan.words == (own.size,)
