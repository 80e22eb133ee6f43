"""Products on Hopper's tensor cores, as far as they can be examined without one.

What the copy engine and wgmma are told is compared with models of both in NumPy; the order of tiles and the copies of
operands are computed on either backend; launches go to functions that stand for the driver's; all instances compile.
"""

from __future__ import annotations

import ctypes
import itertools
from collections.abc import Iterator, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _matmul_tuning, _plan, _runtime
from cuarray._dtypes import DTYPES
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout
from cuarray._plan import Product, TensorMap, _matmul_hopper
from cuarray._plan._matmul_hopper import Configuration
from cuarray._runtime import glue, native, tensor_maps
from cuarray._runtime.base import Function, extended_function
from cuarray._tuning import Target

H100 = Target(132, 256, 1024, 8, (9, 0), 227 << 10)
BFLOAT16 = next(dtype for dtype in DTYPES if dtype.name == "bfloat16")
FLOAT16, FLOAT32 = np.dtype(np.float16), np.dtype(np.float32)


def matrix(dtype: np.dtype, rows: int, cols: int, turned: bool = False, stack: tuple[int, ...] = ()) -> Layout:
    """A stack of matrices in C order, or of transposed views of such."""
    step = dtype.itemsize
    strides = (step, rows * step) if turned else (cols * step, step)
    return layout(dtype, (*stack, rows, cols), (*([rows * cols * step] * len(stack)), *strides))


def product(
    m: int, n: int, k: int, dtype: np.dtype = BFLOAT16, turned: str = "", precision: str = "ieee", **options: bool
) -> Product:
    a, b = matrix(dtype, m, k, "a" in turned), matrix(dtype, k, n, "b" in turned)
    return _plan.product(a, b, (), dtype, precision=precision, **{"aligned": True, **options})


# ---- shared memory: the copy engine's and wgmma's views of it


DESCRIBE = """
#include "hopper_tile.cuh"
namespace ca::testing {
struct Described { u64 out, head[6]; };
template <class T, bool Turned> __global__ void describe(Described p) {
  using Tile = HopperTile<T, 128, 128, 2, 1, 1, 1, 2>;
  i64* out = reinterpret_cast<i64*>(p.out);
  out[0] = operand_descriptor<Turned, Tile>();
  out[1] = operand_step<Turned, Tile>();
  out[2] = Tile::bk;
  out[3] = Tile::shared_bytes;
}
}
"""


def run(text: str, name: str, out: ca.CuArray, *words: int) -> np.ndarray:
    """What a kernel of this text, below ca::testing, leaves in `out`; one thread runs it."""
    runtime = _runtime.get()
    function = runtime.load(_runtime.Source(name.split("<")[0], text), f"&ca::testing::{name}")
    record = glue.make_record(runtime.launcher, function.handle, (1, 1, 1), (1, 1, 1), 0, words)
    assert launch(record, runtime.stream, out._pointer) == 0
    return np.asarray(out)


def copied(tensor: np.ndarray, box: tuple[int, int], x: int, y: int) -> np.ndarray:
    """The bytes of a box (elements of a row, rows) of a 2-d tensor that begins at (x, y), with 128-byte swizzle."""
    width, height = box
    found = np.zeros((height, width), tensor.dtype)
    inside = tensor[y : y + height, x : x + width]
    found[: inside.shape[0], : inside.shape[1]] = inside
    pieces = found.view(np.uint8).reshape(height, 8, 16)
    shared = np.empty_like(pieces)
    for row, piece in itertools.product(range(height), range(8)):
        shared[row, piece ^ row % 8] = pieces[row, piece]
    return shared.reshape(-1)


def read_by_wgmma(
    shared: np.ndarray, descriptor: int, start: int, extent: int, dtype: np.dtype, turned: bool
) -> np.ndarray:
    """The extent x 32-byte operand of one wgmma: the PTX ISA's canonical layouts of 128-byte swizzle.

    In units of 16 bytes they are, for neighbours along k, ((8, extent / 8), 2):((8, stride), 1), and along m or n
    ((8, extent / 64), (8, 2)):((1, leading), (8, stride)).
    """
    leading, stride = (descriptor >> 16 & 0x3FFF) * 16, (descriptor >> 32 & 0x3FFF) * 16
    assert descriptor >> 62 == 1, "128-byte swizzle"
    assert descriptor & 0x3FFF == 0 and descriptor >> 49 & 7 == 0
    size = dtype.itemsize
    steps = 32 // size
    found = np.empty((extent, steps), dtype)
    for row, k in itertools.product(range(extent), range(steps)):
        if turned:
            at = row // 64 * leading + row % 64 * size + k // 8 * stride + k % 8 * 128
        else:
            at = row // 8 * stride + row % 8 * 128 + k * size
        at += start
        at ^= (at >> 7 & 7) << 4
        found[row, k] = shared[at : at + size].view(dtype)[0]
    return found


@pytest.mark.parametrize(("dtype", "turned"), [(FLOAT16, False), (FLOAT16, True), (FLOAT32, False)])
def test_wgmma_reads_what_was_copied(dtype: np.dtype, turned: bool) -> None:
    """Boxes of 128 rows by 128 bytes of k, as load_part places them; then each step along k."""
    name = f"describe<{ {2: 'ca::float16', 4: 'float'}[dtype.itemsize] }, {str(turned).lower()}>"
    descriptor, step, bk, shared_bytes = (int(x) for x in run(DESCRIBE, name, ca.zeros(4, np.int64)))
    assert bk == 128 // dtype.itemsize
    assert shared_bytes == Configuration(128, 128, 2, 1, 1, 1, buffers=2).shared
    rows, k = 128, bk
    operand = np.arange(rows * k).reshape(rows, k).astype(np.uint16 if dtype.itemsize == 2 else np.uint32).view(dtype)
    if turned:
        memory = np.ascontiguousarray(operand.T)
        shared = np.concatenate([copied(memory, (64, bk), 64 * i, 0) for i in range(rows // 64)])
    else:
        shared = copied(operand, (bk, rows), 0, 0)
    for i in range(4):
        found = read_by_wgmma(shared, descriptor, i * step, rows, dtype, turned)
        wide = 32 // dtype.itemsize
        np.testing.assert_array_equal(found.view(operand.dtype), operand[:, i * wide : (i + 1) * wide])
    # A consumer's next block of 64 rows begins 64 * 128 bytes further.
    found = read_by_wgmma(shared, descriptor, 64 * 128, 64, dtype, turned)
    np.testing.assert_array_equal(found, operand[64:, : 32 // dtype.itemsize])


def test_sums_are_stored_as_the_copy_engine_reads_them() -> None:
    """stmatrix and pairs of float32: the places that matmul_hopper computes are those of a box of out."""
    for size, columns in ((2, 64), (4, 32)):
        expected = copied(np.arange(64 * columns).reshape(64, columns).astype(f"u{size}"), (columns, 64), 0, 0)
        shared = np.zeros(64 * 128, np.uint8)
        for thread in range(128):
            warp, lane = thread // 32, thread % 32
            for i in range(columns // 2):  # the sums of a thread: element i, see multiply() in hopper_ptx.cuh
                row, col = warp * 16 + lane // 4 + i // 2 % 2 * 8, i // 4 * 8 + lane % 4 * 2 + i % 2
                value = np.array([row * columns + col], f"u{size}").view(np.uint8)
                if size == 2:
                    # The lane that gives the address of this row of this matrix, and where in the row this pair is.
                    g, matrix_number = i // 4 // 2 * 2, i // 2 % 2 + i // 4 % 2 * 2
                    giver = matrix_number * 8 + lane // 4
                    local = warp * 16 + giver % 16
                    at = local * 128 + ((g + giver // 16) ^ local % 8) * 16 + lane % 4 * 4 + i % 2 * 2
                else:
                    local = warp * 16 + lane // 4
                    at = local * 128 + ((2 * (i // 4) + lane % 4 // 2) ^ local % 8) * 16 + lane % 2 * 8
                    at += i // 2 % 2 * 8 * 128 + i % 2 * 4
                shared[at : at + size] = value
        np.testing.assert_array_equal(shared, expected)


# ---- the order of tiles


ORDER = """
#include "tile_order.cuh"
namespace ca::testing {
struct Places { u64 out, head[6]; i64 rows, cols, group; };
template <int Order> __global__ void places(Places p) {
  unsigned int* out = reinterpret_cast<unsigned int*>(p.out);
  for (unsigned int i = 0; i < p.rows * p.cols; ++i) {
    const TilePlace place = tile_place<Order>(i, p.rows, p.cols, p.group);
    out[2 * i] = place.row, out[2 * i + 1] = place.col;
  }
}
}
"""


@given(st.integers(1, 40), st.integers(1, 40), st.integers(0, 4), st.integers(0, 2))
def test_every_tile_has_its_turn(rows: int, cols: int, group: int, order: int) -> None:
    found = run(ORDER, f"places<{order}>", ca.zeros((rows * cols, 2), np.uint32), rows, cols, 1 << group)
    places = [tuple(place) for place in found.tolist()]
    assert sorted(places) == list(itertools.product(range(rows), range(cols)))
    if order == 0:
        assert places == sorted(places)
    if order == 2 and rows == cols == 1 << group:
        steps = np.abs(np.diff(np.array(places), axis=0)).sum(axis=1)
        assert (steps == 1).all()


# ---- operands that are copied: float32 as tf32, and what the copy engine cannot read


def rounded(x: np.ndarray) -> np.ndarray:
    """To 11 significant bits, ties away from zero."""
    bits = x.astype(np.float64)
    mantissa, exponent = np.frexp(bits)
    return np.ldexp(np.sign(mantissa) * np.floor(np.abs(mantissa) * 2048 + 0.5), exponent - 11)


@pytest.mark.parametrize("precision", ["tf32", "tf32x3"])
@given(st.data())
def test_copied_operands(precision: str, data: st.DataObject) -> None:
    """What the products read from scratch memory: through their tensor maps, rounded or split."""
    m, n, k = (data.draw(st.integers(1, 70), label) for label in "mnk")
    stack = data.draw(st.sampled_from([(), (3,)]), "stack")
    shared_b = data.draw(st.booleans(), "one b")
    turned = data.draw(st.sampled_from(["", "a", "b", "ab"]), "turned")
    random = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    shapes = {"a": (*stack, m, k), "b": (*(() if shared_b else stack), k, n)}
    arrays = {}
    for name, shape in shapes.items():
        host = random.standard_normal(shape).astype(np.float32)
        own = ca.array(np.ascontiguousarray(np.swapaxes(host, -1, -2)) if name in turned else host)
        arrays[name] = (host, np.swapaxes(own, -1, -2) if name in turned else own)
    of = _plan.product(arrays["a"][1]._layout, arrays["b"][1]._layout, stack, FLOAT32, precision=precision)
    by = _matmul_hopper.candidates(H100, of)[0]
    made = _matmul_hopper.plan(H100, of, by)
    *copies, main = made.launches
    assert len(copies) == 2, "nothing is known to be aligned"
    runtime = _runtime.get()
    scratch = runtime.allocate_scratch(made.scratch_bytes)
    for launch in copies:
        Prepared(launch).launch(0, arrays["a"][1]._pointer, arrays["b"][1]._pointer, 0, scratch.pointer)
    memory = np.frombuffer(runtime.read(scratch.pointer, made.scratch_bytes), np.uint8)
    assert not memory[:4096].any(), "the pool's counters"
    parts = [np.zeros_like(arrays[name][0], np.float64) for name in "ab"]
    for number, own in enumerate(main.maps):
        if own is None or own.word == 0:
            continue
        found = through(own, memory)
        host = arrays["ab"[number % 3]][0]
        seen = found.reshape(-1, *found.shape[-2:])
        own_values = np.swapaxes(host, -1, -2) if number % 3 else host
        exact = own_values.reshape(-1, *own_values.shape[-2:]).astype(np.float64)
        if number < 2:
            np.testing.assert_array_equal(seen, rounded(exact))
        else:
            np.testing.assert_array_equal(seen, rounded(exact - rounded(exact)))
        parts[number % 3] = parts[number % 3] + np.resize(
            np.swapaxes(seen, -1, -2) if number % 3 else seen, parts[number % 3].shape
        )
    if precision == "tf32x3":
        for part, name in zip(parts, "ab", strict=True):
            np.testing.assert_allclose(part, arrays[name][0], rtol=2.0**-21)


@given(st.data())
def test_copied_halves(data: st.DataObject) -> None:
    """Products of 16-bit operands that are not read where they are: those that are are the same, at places for them."""
    m, n, k = (data.draw(st.one_of(st.integers(1, 40), st.integers(250, 600)), label) for label in "mnk")
    stack = data.draw(st.sampled_from([(), (3,), (2, 2)]), "stack")
    random = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))

    def operand(rows: int, cols: int, name: str) -> tuple[np.ndarray, ca.CuArray]:
        how = data.draw(st.sampled_from(["C", "turned", "steps", "upside down"]), name)
        own = data.draw(st.sampled_from([stack, ()]), name)
        host = random.integers(0, 1 << 15, (*own, *((cols, rows) if how == "turned" else (rows, 2 * cols))))
        host = host.astype(np.uint16).view(np.float16)
        array = ca.array(host)
        if how == "turned":
            return np.swapaxes(host, -1, -2), np.swapaxes(array, -1, -2)
        part = (..., slice(None, None, -1 if how == "upside down" else 1), slice(cols, None))
        part = (..., slice(None, None, 2)) if how == "steps" else part
        return host[part], array[part]

    (a_host, a), (b_host, b) = operand(m, k, "a"), operand(k, n, "b")
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    of = _plan.product(a._layout, b._layout, batch, FLOAT16)
    made = _matmul_hopper.plan(H100, of, _matmul_hopper.candidates(H100, of)[0])
    *copies, main = made.launches
    assert len(copies) == 2, "nothing is known to be aligned"
    runtime = _runtime.get()
    scratch = runtime.allocate_scratch(made.scratch_bytes)
    for launch in copies:
        Prepared(launch).launch(0, a._pointer, b._pointer, 0, scratch.pointer)
    memory = np.frombuffer(runtime.read(scratch.pointer, made.scratch_bytes), np.uint8)
    assert not memory[:4096].any(), "the pool's counters"
    for own, host, turned in zip(main.maps, (a_host, np.swapaxes(b_host, -1, -2)), instance_flags(main), strict=False):
        assert own is not None and own.word == 4 and not own.offset % 16
        assert all(not stride % 16 for stride in own.strides)
        found = through(own, memory)
        expected = host.view(np.uint16) if host.ndim == 2 else np.broadcast_to(host, (*batch, *host.shape[-2:]))
        expected = expected.view(np.uint16).reshape(-1, *host.shape[-2:])
        np.testing.assert_array_equal(np.swapaxes(found, -1, -2) if turned else found, expected)


def instance_flags(plan: _plan.Plan) -> list[bool]:
    """ATurned and BTurned of a matmul_hopper, the seventh and eighth of its numbers."""
    return [word == "true" for word in plan.instance.name.split(", ")[9:11]]


def through(own: TensorMap, memory: np.ndarray) -> np.ndarray:
    """The tensor of a map, whose address is the beginning of `memory`."""
    size = {"u16": 2, "u32": 4, "tf32": 4}[own.element]
    shape, strides = own.extents[::-1], (*own.strides[::-1], size)
    return np.ndarray(shape, {2: np.uint16, 4: np.float32}[size], memory.data, own.offset, strides)


def test_rounding_of_special_numbers() -> None:
    special = [np.inf, -np.inf, np.nan, 0.0, -0.0, np.finfo(np.float32).max, 1e-45, 1 + 2.0**-11, 1 + 2.0**-12]
    a = ca.array(np.array([special], np.float32))
    of = _plan.product(a._layout, a.T._layout, (), FLOAT32, precision="tf32x3")
    made = _matmul_hopper.plan(H100, of, _matmul_hopper.candidates(H100, of)[0])
    runtime = _runtime.get()
    scratch = runtime.allocate_scratch(made.scratch_bytes)
    Prepared(made.launches[0]).launch(0, a._pointer, a._pointer, 0, scratch.pointer)
    memory = np.frombuffer(runtime.read(scratch.pointer, made.scratch_bytes), np.uint8)
    high, low = (through(made.launches[-1].maps[i], memory)[0, 0] for i in (0, 3))
    np.testing.assert_array_equal(high[:5], special[:5])
    np.testing.assert_array_equal(low[:5], 0)
    assert np.signbit(high[4]) and np.isfinite(high).sum() == len(special) - 3
    np.testing.assert_allclose(float(high[5]) + float(low[5]), special[5], rtol=2.0**-21)
    np.testing.assert_array_equal(high[7:] + low[7:], special[7:])


# ---- plans


@given(st.data())
def test_operands_that_are_read_in_place(data: st.DataObject) -> None:
    """The tensor map of an operand has each of its elements where the operand has it."""
    m, n, k = (data.draw(st.integers(1, 40), label) for label in "mnk")
    stack = data.draw(st.integers(0, 3), "stack")

    def operand(rows: int, cols: int, name: str) -> Layout:
        shape = (*((stack,) if stack else ()), rows, cols)
        steps = st.sampled_from([0, 2, 4, 16, 30, 80, 96, 1600, -80])
        strides = data.draw(st.tuples(*[steps] * len(shape)), name)
        return layout(BFLOAT16, shape, strides)

    of = _plan.product(
        operand(m, k, "a"), operand(k, n, "b"), (stack,) if stack else (), BFLOAT16, aligned=data.draw(st.booleans())
    )
    found = _matmul_hopper.candidates(H100, of)
    main = _matmul_hopper.plan(H100, of, found[0]).launches[-1]
    for own, rows, (row, column), batch in (
        (main.maps[0], of.m, of.a, of.a_batch),
        (main.maps[1], of.n, of.b[::-1], of.b_batch),
    ):
        assert own is not None
        assert all(not stride % 16 and 0 < stride < 1 << 40 for stride in own.strides)
        if own.word == 4:
            continue  # a copy in scratch memory
        assert of.aligned
        assert own.box[0] * 2 == 128 and own.box[1] <= 256
        turned = own.extents[0] != of.k or (rows == of.k and own.box[1] == 64 and own.strides[0] != row)
        along_rows, along_k = (2, own.strides[0]) if turned else (own.strides[0], 2)
        if sorted(own.extents[:2]) == sorted((rows, of.k)) and rows != of.k:
            assert rows == 1 or row == along_rows
            assert of.k == 1 or column == along_k
        assert own.extents[2] == (of.batches if batch and any(batch) else 1)
        if own.extents[2] > 1:
            assert own.strides[1] == batch[0]


def test_what_is_refused() -> None:
    """Products that the copy engine cannot read, or that this family does not compute."""
    assert _matmul_hopper.candidates(H100, product(64, 64, 64))
    assert not _matmul_hopper.candidates(H100, product(64, 64, 0))
    for of in (product(64, 63, 64), product(64, 64, 63), product(64, 64, 64, aligned=False)):
        found = _matmul_hopper.candidates(H100, of)
        assert found and len(_matmul_hopper.plan(H100, of, found[0]).launches) > 1
    (plain,) = {own.plain_stores for own in _matmul_hopper.candidates(H100, product(64, 64, 64, aligned=False))}
    assert plain, "out may begin anywhere"
    assert not _matmul_hopper.candidates(H100, product(64, 64, 64, FLOAT32))
    assert not _matmul_hopper.candidates(H100, product(64, 64, 64, np.dtype(np.int16)))
    for capability in ((0, 0), (8, 0), (10, 0)):
        other = Target(132, 256, 1024, 8, capability)
        assert not _matmul_hopper.candidates(other, product(64, 64, 64))
    assert _matmul_hopper.candidates(H100, product(64, 63, 63, FLOAT32, precision="tf32", aligned=False))
    with pytest.raises(ValueError, match="does not compute"):
        _matmul_hopper.plan(H100, product(64, 64, 64), Configuration(bm=96))
    with pytest.raises(ValueError, match="plain_stores"):
        _matmul_hopper.plan(H100, product(64, 60, 64, turned="b"), Configuration())


@given(st.data())
def test_plans_hold_together(data: st.DataObject) -> None:
    m, n, k = (data.draw(st.integers(1, 3000), label) * 8 for label in "mnk")
    of = product(m, n, k, data.draw(st.sampled_from([BFLOAT16, FLOAT16])), data.draw(st.sampled_from(["", "a", "b"])))
    for by in _matmul_hopper.candidates(H100, of):
        main, *last = _matmul_hopper.plan(H100, of, by).launches
        assert len(last) == (by.splits > 1)
        assert main.grid[0] % main.cluster == 0 and 0 < main.grid[0] <= H100.processors
        assert main.block == (128 * (1 + by.consumers), 1, 1)
        assert main.shared == by.shared <= 232448
        assert (glue.HEAD_WORDS + len(main.words)) % 16 == 0, "tensor maps begin at multiples of 128 bytes"
        assert len(main.words) + 16 * len(main.maps) <= 512, "the words of a record that are launched from C++"
    small = _matmul_hopper.candidates(H100, product(64, 64, 4096))[0]
    large = _matmul_hopper.candidates(H100, product(8192, 8192, 8192))[0]
    assert small.bm * small.bn < large.bm * large.bn


@given(st.data())
def test_splits(data: st.DataObject) -> None:
    """The parts of k are where the maps have them; what they leave in scratch memory adds up to the product."""
    m, n, k = (data.draw(st.integers(1, 12), label) * 8 for label in "mnk")
    parts = data.draw(st.sampled_from([2, 3, 5]), "parts")
    k, turned = k * parts, data.draw(st.sampled_from(["", "a", "b", "ab"]), "turned")
    odd = data.draw(st.booleans(), "copied first")
    random = np.random.default_rng(data.draw(st.integers(0, 9), "seed"))
    a_host, b_host = random.standard_normal((m, k)), random.standard_normal((k, n))
    a, b, c = (
        ca.array(np.ascontiguousarray(host.T if turn in turned else host).astype(np.float16))
        for host, turn in ((a_host, "a"), (b_host, "b"), (random.standard_normal((1, n)), "c"))
    )
    a_host, b_host = (np.asarray(own).T if turn in turned else np.asarray(own) for own, turn in ((a, "a"), (b, "b")))
    one = int(np.float32(1).view(np.uint32))
    of = _plan.product(
        (a.T if "a" in turned else a)._layout, (b.T if "b" in turned else b)._layout, (), FLOAT16, c=c._layout,
        epilogue=_plan.Epilogue("Relu", (one, 0), (one, 0), True), aligned=not odd,
    )  # fmt: skip
    by = Configuration(128, 128, 4, 1, 1, splits=parts)
    if odd:
        assert not _matmul_hopper.fits(H100, of, by), "the parts' rows are written by the copy engine"
        of = of._replace(aligned=True)
    made = _matmul_hopper.plan(H100, of, by)
    main, last = made.launches
    runtime = _runtime.get()
    scratch = runtime.allocate_scratch(made.scratch_bytes)
    a_seen, b_seen = (
        through(own, np.frombuffer(runtime.read(array._pointer, array.nbytes), np.uint8)).view(np.float16)
        for own, array in zip(main.maps, (a, b), strict=False)
    )
    flags = instance_flags(main)
    a_seen = np.swapaxes(a_seen, -1, -2) if flags[0] else a_seen
    b_seen = b_seen if flags[1] else np.swapaxes(b_seen, -1, -2)
    sums = a_seen.astype(np.float32) @ b_seen.astype(np.float32)
    out_map = main.maps[2]
    assert out_map is not None and out_map.word == 4 and out_map.extents == (n, m, parts)
    assert out_map.strides == (n * 4, m * n * 4)
    runtime.write(scratch.pointer + out_map.offset, sums)
    out = ca.zeros((m, n), np.float16)
    Prepared(last).launch(out._pointer, a._pointer, b._pointer, c._pointer, scratch.pointer)
    exact = np.maximum(a_host.astype(np.float64) @ b_host.astype(np.float64) + np.asarray(c), 0)
    assert np.linalg.norm(np.asarray(out) - exact) <= 1e-3 * np.linalg.norm(exact)


def test_long_sums_are_split() -> None:
    """Where tiles are fewer than processors; into equal parts that begin at multiples of 16 bytes."""
    for m, n, k in ((512, 512, 32768), (128, 128, 131072), (1000, 104, 50000)):
        plan = _plan.matmul(H100, product(m, n, k))
        assert "matmul_hopper" in plan.launches[0].instance.name and "sum_splits" in plan.launches[-1].instance.name
    assert not any(by.splits > 1 for by in _matmul_hopper.candidates(H100, product(8192, 8192, 8192)))
    with pytest.raises(ValueError, match="3 splits"):
        _matmul_hopper.plan(H100, product(64, 64, 1024), Configuration(splits=3))


def test_configurations_have_different_names() -> None:
    for of in (product(8192, 8192, 8192), product(1000, 1000, 999, FLOAT32, precision="tf32x3")):
        found = _matmul_hopper.candidates(H100, of)
        assert len({str(own) for own in found}) == len(found) > 3


# ---- launches


class _Attribute(ctypes.Structure):
    _fields_ = [("id", ctypes.c_int), ("padding", ctypes.c_int), ("value", ctypes.c_uint * 16)]


class _Config(ctypes.Structure):
    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("count", ctypes.c_uint),
    ]


class Driver:
    """Stands for the driver: encodes, replaces and launches, and says what it was given."""

    def __init__(self, replace_result: int = 0) -> None:
        self.launched: list[tuple[tuple[int, ...], int, tuple[int, ...], list[int]]] = []
        self.encoded: list[tuple[object, ...]] = []
        self.words = 0
        launch = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.POINTER(_Config), ctypes.c_void_p, ctypes.POINTER(ctypes.c_void_p), ctypes.c_void_p
        )
        replace = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64)
        pointers = (ctypes.c_void_p,) * 5
        encode = ctypes.CFUNCTYPE(
            ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_uint32, *pointers, *(ctypes.c_int,) * 4
        )

        def do_launch(config: object, function: int, parameters: object, _extra: int) -> int:
            own = config.contents
            words = list((ctypes.c_int64 * self.words).from_address(parameters[0]))
            cluster = tuple(own.attributes[0].value[:3]) if own.count else ()
            self.launched.append(((*own.grid, *own.block, own.shared, own.stream or 0), function, cluster, words))
            return 0

        def do_replace(where: int, address: int) -> int:
            assert where % 128 == 0
            ctypes.c_uint64.from_address(where).value = address
            return replace_result

        def do_encode(where: int, *arguments: object) -> int:
            assert where % 64 == 0
            rank = arguments[1]
            sizes = (8 * rank, 8 * (rank - 1), 4 * rank, 4 * rank)
            arrays = [ctypes.string_at(own, size) for own, size in zip(arguments[3:7], sizes, strict=True)]
            self.encoded.append((*arguments[:3], *arrays, *arguments[7:]))
            ctypes.memset(where, 0x11, 128)
            return 0

        self.callbacks = [launch(do_launch), replace(do_replace), encode(do_encode)]
        self.launch, self.replace, self.encode = (ctypes.cast(f, ctypes.c_void_p).value for f in self.callbacks)


def launch(record: np.ndarray, stream: int, *head: int) -> int:
    result: int = native.function("launch_builtin")(record.ctypes.data, stream, *head, *(0,) * (7 - len(head)))
    return result


def test_launches_put_addresses_into_tensor_maps() -> None:
    driver, function = Driver(), Function(0x1234)
    words = tuple(range(100, 125)) + (7,) * 48
    driver.words = glue.HEAD_WORDS + len(words)
    maps = ((32, 1, 0), (48, 4, 4096), (64, 0, 0))
    handle = extended_function(function, driver.launch, driver.replace, (2, 1, 1), False, maps, driver.words)
    record = glue.make_record(native.address("launch_extended"), handle, (132, 1, 1), (384, 1, 1), 230464, words)
    before = record.copy()
    for out, a in ((0x7000, 0x8000), (0x9000, 0xA000)):
        assert launch(record, 0x55, out, a, 3, 0, 1 << 40) == 0
        extents, called, cluster, given = driver.launched[-1]
        assert extents == (132, 1, 1, 384, 1, 1, 230464, 0x55)
        assert called == 0x1234 and cluster == (2, 1, 1)
        expected = [out, a, 3, 0, 1 << 40, 0, 0, *words]
        expected[32], expected[48], expected[64] = a, (1 << 40) + 4096, out
        assert given == expected
    np.testing.assert_array_equal(record, before)
    function.move(0x4321, None)
    launch(record, 0, 1)
    assert driver.launched[-1][1] == 0x4321


def test_failures_of_launches_with_tensor_maps() -> None:
    driver = Driver(replace_result=1)
    handle = extended_function(Function(1), driver.launch, driver.replace, None, False, ((16, 0, 0),), 32)
    record = glue.make_record(native.address("launch_extended"), handle, (1, 1, 1), (1, 1, 1), 0, (0,) * 25)
    assert launch(record, 0) == 1
    assert not driver.launched
    with pytest.raises(ValueError, match="too many"):
        extended_function(Function(1), driver.launch, driver.replace, None, False, ((16, 0, 0),) * 9, 32)


def test_tensor_maps_are_encoded() -> None:
    driver = Driver()
    own = TensorMap("tf32", (300, 200, 3), (1200, 240000), (32, 128, 1), 1)
    result, words = tensor_maps.encode(driver.encode, own)
    assert result == 0 and words == (0x1111111111111111,) * 16
    kind, rank, address, extents, strides, box, steps, interleave, swizzle, _promotion, fill = driver.encoded[0]
    assert (kind, rank, interleave, swizzle, fill) == (11, 3, 0, 3, 0)
    assert address % 16 == 0
    assert np.frombuffer(extents, np.uint64).tolist() == [300, 200, 3]
    assert np.frombuffer(strides, np.uint64).tolist() == [1200, 240000]
    assert np.frombuffer(box, np.uint32).tolist() == [32, 128, 1]
    assert np.frombuffer(steps, np.uint32).tolist() == [1, 1, 1]


def test_a_plan_becomes_such_a_launch(monkeypatch: pytest.MonkeyPatch) -> None:
    """From a product to what the driver is given, with a runtime whose driver and compiler are stood for."""
    driver, function = Driver(), Function(0x77)
    runtime = _runtime.get()
    monkeypatch.setattr(type(runtime), "load", lambda *_args, **_options: function)
    monkeypatch.setattr(type(runtime), "encode_tensor_map", lambda self, own: tensor_maps.encode(driver.encode, own)[1])
    monkeypatch.setattr(
        type(runtime),
        "launcher_for",
        lambda self, function, *options: (
            native.address("launch_extended"),
            extended_function(function, driver.launch, driver.replace, *options),
        ),
    )
    of = product(8192, 8192, 8192)
    (main,) = _matmul_hopper.plan(H100, of, _matmul_hopper.candidates(H100, of)[0]).launches
    driver.words = glue.HEAD_WORDS + len(main.words) + 48
    Prepared(main).launch(0x1000, 0x2000, 0x3000)
    _extents, called, cluster, given = driver.launched[0]
    assert called == 0x77 and cluster == (2, 1, 1)
    at = glue.HEAD_WORDS + len(main.words)
    assert [given[at + 16 * i] for i in range(3)] == [0x2000, 0x3000, 0x1000]
    assert given[at + 1 : at + 16] == [0x1111111111111111] * 15


# ---- compiling


def instances() -> Iterator[_plan.Plan]:
    """Every tile, each way that operands can lie, and the options one by one."""
    for family, values, _ in _matmul_tuning.TILES["half"]:
        for turned in ("", "a", "b") if values[:2] == (128, 256) else ("",):
            of = product(4096, 4096, 4096, FLOAT16, turned)
            if family == "hopper":
                yield from _matmul_hopper.plan(H100, of, Configuration(*values)).launches
    of = product(4096, 4096, 4096)
    small = Configuration(64, 64, 2, 1, 1, 1)
    for by in (
        small._replace(order="rows", bounded=True),
        small._replace(order="curve", plain_stores=True),
        small._replace(bm=128, bn=128, cluster_m=2, cluster_n=2, consumers=2),
        small._replace(bm=192, consumers=3),
    ):
        yield from _matmul_hopper.plan(H100, of, by).launches
    one = int(np.float32(1).view(np.uint32))
    epilogue = _plan.Epilogue("Relu", (one, 0), (one, 0), True)
    yield from _matmul_hopper.plan(H100, of._replace(epilogue=epilogue), small).launches
    yield from _matmul_hopper.plan(H100, of._replace(out_dtype=FLOAT32), small).launches
    for precision in ("tf32", "tf32x3"):
        for turned in ("", "ab"):
            of = product(4096, 4096, 4096, FLOAT32, turned, precision)
            yield from _matmul_hopper.plan(H100, of, _matmul_hopper.candidates(H100, of)[0]).launches


def test_instances_compile(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")
    from cuarray._runtime import builtin_source, nvrtc

    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    by_header: dict[str, set[str]] = {}
    for own in instances():
        by_header.setdefault(own.instance.header, set()).add(f"&{own.instance.name}")
    assert set(by_header) == {"matmul_hopper.cuh", "matmul_hopper_operands.cuh"}
    for header, names in by_header.items():
        wanted: Sequence[str] = sorted(names)
        assert set(nvrtc.compile(builtin_source(header), wanted, "sm_90a").symbols) == names
