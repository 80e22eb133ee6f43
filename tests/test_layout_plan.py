"""Layouts and plans by themselves: no kernel is compiled or launched."""

from __future__ import annotations

import dataclasses
import math
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from strategies import Pair, dtypes, pairs, shapes

from cuarray import _plan, _tuning
from cuarray._layout import Layout, broadcast_shapes, broadcast_strides, layout, like_layout, view
from cuarray._plan import Operand, collapse
from cuarray._tuning import Target

GPU = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
CPU = Target(processors=2, block_threads=1, max_block_threads=1024, blocks_per_processor=1)
TARGETS = pytest.mark.parametrize("target", [GPU, CPU], ids=["gpu", "cpu"])

F4 = np.dtype(np.float32)
I4 = np.dtype(np.int32)


def of(array: np.ndarray) -> Layout:
    return layout(array.dtype, array.shape, array.strides)


# ---- layouts


@given(x=pairs())
def test_layout_of_any_array(x: Pair) -> None:
    own = of(x.numpy)
    assert (own.ndim, own.size, own.nbytes) == (x.numpy.ndim, x.numpy.size, x.numpy.nbytes)
    assert own.c_contiguous == x.numpy.flags.c_contiguous
    assert own.f_contiguous == x.numpy.flags.f_contiguous
    if x.numpy.size:
        low, high = np.lib.array_utils.byte_bounds(x.numpy)
        start = x.numpy.__array_interface__["data"][0]
        assert (own.low, own.high) == (low - start, high - start)


def test_equal_layouts_are_one_object() -> None:
    assert layout(F4, (2, 3)) is layout(F4, (2, 3), (12, 4))
    assert layout(F4, (2, 3)) is not layout(F4, (2, 3), (4, 8))


@given(shape=shapes(max_dims=5, max_side=6), dtype=dtypes())
def test_contiguous_strides(shape: tuple, dtype: np.dtype) -> None:
    own = layout(dtype, shape)
    assert own.c_contiguous
    if own.size:
        assert own.strides == np.empty(shape, dtype).strides


@given(data=st.data())
def test_like_layout_is_order_k(data: st.DataObject) -> None:
    """A result's axes stand in memory as its operand's do."""
    x = data.draw(pairs(F4, shapes(min_side=2), layouts=("contiguous", "transposed", "sliced"))).numpy
    dtype = data.draw(dtypes())
    assert like_layout(dtype, x.shape, [of(x)]).strides == np.empty_like(x, dtype=dtype).strides
    assert like_layout(dtype, x.shape, [of(x), of(x)]).strides == np.empty_like(x, dtype=dtype).strides


def test_like_layout_of_operands_that_disagree() -> None:
    c, f = of(np.empty((2, 3), F4)), of(np.empty((2, 3), F4, order="F"))
    assert like_layout(F4, (2, 3), [c, f]).c_contiguous
    assert like_layout(F4, (2, 3), [f, of(np.empty((1, 3), F4))]) is f
    assert like_layout(F4, (2, 3), []).c_contiguous


@given(drawn=st.lists(shapes(max_dims=4, max_side=3), min_size=0, max_size=3))
def test_broadcast_shapes(drawn: list[tuple]) -> None:
    try:
        expected = np.broadcast_shapes(*drawn)
    except ValueError:
        with pytest.raises(ValueError, match="broadcast"):
            broadcast_shapes(*drawn)
    else:
        assert broadcast_shapes(*drawn) == expected


@given(data=st.data())
def test_broadcast_strides(data: st.DataObject) -> None:
    x = data.draw(pairs(F4, shapes(min_side=1), layouts=("contiguous", "transposed", "reversed"))).numpy
    wanted = (3, *(2 if extent == 1 else extent for extent in x.shape))
    reference = np.broadcast_to(x, wanted).strides
    assert [s for s, e in zip(broadcast_strides(of(x), wanted), wanted) if e > 1] == [
        s for s, e in zip(reference, wanted) if e > 1
    ]


def test_views_touch_no_memory_and_move_the_start() -> None:
    source = layout(I4, (4, 6))
    assert view(source, lambda x: x[1:, ::-2]) == (4 * (6 + 5), layout(I4, (3, 3), (24, -8)))
    assert view(source, np.transpose) == (0, layout(I4, (6, 4), (4, 24)))
    assert view(source, lambda x: x[9:])[1].size == 0
    with pytest.raises(IndexError):
        view(source, lambda x: x[4])


# ---- collapsing


@given(data=st.data())
def test_collapse_walks_the_same_elements(data: st.DataObject) -> None:
    arrays = data.draw(shapes(min_side=1).flatmap(lambda shape: st.lists(pairs(F4, shape), min_size=1, max_size=3)))
    shape = arrays[0].numpy.shape
    merged, strides = collapse(shape, [x.numpy.strides for x in arrays])
    assert math.prod(merged) == math.prod(shape)
    assert len(merged) <= len(shape)
    assert 1 not in merged
    for own, x in zip(strides, arrays):
        walked = [sum(i * s for i, s in zip(index, own)) for index in np.ndindex(*merged)]
        assert walked == [sum(i * s for i, s in zip(index, x.numpy.strides)) for index in np.ndindex(*shape)]


@pytest.mark.parametrize(
    ("shape", "strides", "expected"),
    [
        ((2, 3, 4), [(48, 16, 4)], ((24,), ((4,),))),
        ((2, 3, 4), [(48, 16, 4), (0, 0, 0)], ((24,), ((4,), (0,)))),
        ((2, 3, 4), [(48, 16, 4), (16, 0, 4)], ((2, 3, 4), ((48, 16, 4), (16, 0, 4)))),
        ((1, 1), [(4, 4)], ((), ((),))),
        ((5,), [(-4,)], ((5,), ((-4,),))),
        ((4, 5), [(-20, -4)], ((20,), ((-4,),))),
        ((), [()], ((), ((),))),
    ],
)
def test_collapse(shape: tuple, strides: list, expected: tuple) -> None:
    assert collapse(shape, strides) == expected


# ---- elementwise plans


def plan_of(target: Target, *arrays: np.ndarray | None, out: np.ndarray | None = None) -> _plan.Plan:
    layouts = [None if x is None else of(x) for x in arrays]
    shape = broadcast_shapes(*(own.shape for own in layouts if own))
    result = like_layout(F4, shape, [own for own in layouts if own]) if out is None else of(out)
    return _plan.elementwise(target, "ca::ops::Add", result, F4, [Operand(own, F4) for own in layouts])


@TARGETS
def test_contiguous_where_it_can_be(target: Target) -> None:
    for shape in ((10,), (3, 4, 5), (), (2, 1, 3)):
        x = np.empty(shape, F4).T
        kernel = "elementwise_contiguous<" if target.one_thread_blocks else "elementwise_packs<"
        assert kernel in plan_of(target, x, x).instance.name
        assert kernel in plan_of(target, x, None).instance.name


@TARGETS
def test_strided_with_the_least_rank(target: Target) -> None:
    kernel = "elementwise_strided<ca::ops::Add, "
    if not target.one_thread_blocks:
        kernel = "elementwise_rows<ca::ops::Add, ca::How<.*?>, "
    x = np.empty((6, 6, 6), F4)
    for a, b, rank in (
        (x[::2], x[::2], 2),
        (x[:, :, ::2], x[:, :, ::2], 1),
        (x, x[0], 2),
        (x, x.T, 3),
        (x[0], x[0].T, 2),
        (x.T, x.T[::-1], 2),
        (np.empty((2,) * 5, F4), np.empty((2,) * 5, F4).T, 6),
    ):
        name = plan_of(target, a, b).instance.name
        assert re.search(rf"{kernel}[\w ]+, {rank},", name), (name, rank)


ROW, COLUMN, TURNED = "ca::Array", "ca::Repeated", "ca::Turned"


@pytest.mark.parametrize(
    ("views", "kernel", "width", "operands"),
    [
        # All contiguous: packs of 16 bytes.
        (lambda x, y: (x, y), "packs", 4, (ROW, ROW)),
        (lambda x, y: (x.T, y.T), "packs", 4, (ROW, ROW)),
        # Rows: as wide as the extents and the pitches of all arrays allow.
        (lambda x, y: (x, y[0]), "rows", 4, (ROW, ROW)),
        (lambda x, y: (x, y[:, :1]), "rows", 4, (ROW, COLUMN)),
        (lambda x, y: (x[:, :62], y[:, :62]), "rows", 2, (ROW, ROW)),
        (lambda x, y: (x[:, :63], y[:, :63]), "rows", 1, (ROW, ROW)),
        (lambda x, y: (x[::2], y[::2]), "rows", 4, (ROW, ROW)),
        (lambda x, y: (x.reshape(-1)[:2079].reshape(33, 63), y[:33, :63]), "rows", 1, (ROW, ROW)),
        # Items.
        (lambda x, y: (x[:, ::2], y[:, ::2]), "rows", 1, (ROW, ROW)),
        (lambda x, y: (x, y[:, ::-1]), "rows", 1, (ROW, ROW)),
        (lambda x, y: (x, y.T[:, :1]), "rows", 4, (ROW, COLUMN)),
        # Tiles, where both axes together are more than a block does: of packs, where these fit.
        (lambda x, y: (x, y.T), "turned", 4, (ROW, TURNED)),
        (lambda x, y: (x[:, 1:], y.T[:, 1:]), "tiles", 1, (ROW, TURNED)),
        (lambda x, y: (x[:63, :60], y.T[:63, :60]), "tiles", 1, (ROW, TURNED)),
        (lambda x, y: (x[:16, :16], y.T[:16, :16]), "rows", 1, (ROW, ROW)),
    ],
)
def test_kernels_for_blocks_of_threads(
    views: Callable, kernel: str, width: int, operands: tuple, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_tuning, "ELEMENTWISE", dataclasses.replace(_tuning.ELEMENTWISE, single_items=0))
    x, y = np.empty((64, 64), F4), np.empty((64, 64), F4)
    a, b = views(x, y)
    plan = plan_of(GPU, a, b, out=np.empty(a.shape, F4) if kernel in ("tiles", "turned") else None)
    match = re.search(r"ca::elementwise_(\w+)<ca::ops::Add, ca::How<\d+, \d+, (\d+), ", plan.instance.name)
    assert (match[1], int(match[2])) == (kernel, width), plan.instance.name
    assert tuple(re.findall(r", (ca::(?!How|ops)\w+)<(?:ca|float)", plan.instance.name)[1:]) == operands


def test_small_arrays_are_done_item_by_item() -> None:
    most = 132 * _tuning.ELEMENTWISE.single_items
    for size, how in ((1000, "ca::How<256, 1, 1, "), (most, "ca::How<256, 1, 1, "), (most + 1, "ca::How<256, 2, 4, ")):
        plan = plan_of(GPU, np.empty(size, F4), np.empty(size, F4))
        assert how in plan.instance.name
        if size <= most:
            assert plan.grid[0] == -(-size // 256)
    x = np.empty((100, 64), F4)
    assert "elementwise_rows<ca::ops::Add, ca::How<256, 1, 1, " in plan_of(GPU, x, x[0]).instance.name


@pytest.mark.parametrize(
    ("out", "source", "tile"),
    [
        ((1001, 1001), (4, 4004), (64, 32)),
        ((3, 1000), (4, 12), (682, 3)),
        ((1000, 3), (4, 4000), (3, 682)),
        ((5, 300, 70), (84000, 4, 1200), (64, 32)),
    ],
)
def test_tiles_fit_the_axes(out: tuple, source: tuple, tile: tuple) -> None:
    """A tile is square, or long where an axis is short."""
    plan = _plan.elementwise(GPU, "ca::ops::Negative", layout(F4, out), F4, [Operand(layout(F4, out, source), F4)])
    assert "elementwise_tiles" in plan.instance.name
    assert (plan.words[3] & 0xFFFFFFFF, plan.words[5] & 0xFFFFFFFF) == tile
    assert plan.words[0] == math.prod(out[:-2]) * math.prod(-(-e // t) for e, t in zip(out[-2:], tile[::-1]))


@TARGETS
@given(data=st.data())
def test_no_shape_in_a_name(target: Target, data: st.DataObject) -> None:
    """Instances are compiled: arrays of other sizes, but of the same layout class, share one."""
    extents = data.draw(st.lists(st.integers(6, 60), min_size=2, max_size=2, unique=True))
    names = set()
    for extent in extents:
        x = np.empty((extent, extent + 1, 3), F4)
        names.add(
            (
                plan_of(target, x, x).instance,
                plan_of(target, x[:, :-1], x[:, :-1]).instance,
                _plan.matmul(target, _plan.product(of(x), of(x.swapaxes(1, 2)), (extent,), F4)).launches[0].instance,
                _plan.scan(target, "Sum", 8, of(x), of(x), 2, F4).stages[0].instance,
            )
        )
    assert len(names) == 1


def test_index_width() -> None:
    """32-bit offsets and item numbers where they suffice, with room for the last grid-stride step."""

    def index(shape: tuple, strides: tuple | None = None) -> str:
        own = layout(np.dtype(np.int8), shape, strides)
        plan = _plan.elementwise(CPU, "ca::ops::Identity", own, own.dtype, [Operand(own, own.dtype)])
        return plan.instance.name.split(", ")[1]

    assert index((1000,)) == "int"
    assert index((2**31 - 2**25,)) == "int"
    assert index((2**31,)) == "long"
    assert index((2**31 - 1,)) == "long"
    assert index((2**20,), (2,)) == "int"
    assert index((2**20,), (2**12,)) == "long"
    assert index((2, 3), (2**31, 1)) == "long"
    assert index((2, 3), (-(2**31), 1)) == "long"


@TARGETS
@given(data=st.data())
def test_words_fit_the_kernel_parameter(target: Target, data: st.DataObject) -> None:
    x = data.draw(
        pairs(F4, shapes(max_dims=5, min_side=1), layouts=("contiguous", "sliced", "transposed", "reversed"))
    ).numpy
    plan = plan_of(target, x, x[..., :1] if x.ndim else x, None)
    if target.one_thread_blocks:
        assert plan.words[0] == x.size
    match = re.search(r"elementwise_(strided|rows|tiles|turned)<.*?(?:int|long), (\d+),", plan.instance.name)
    if match is None:
        count = 1
    else:
        rank, divisor = int(match[2]), 2  # words of a divisor of 32 bits
        count = {
            "strided": 1 + rank * (1 + 4),
            "rows": 1 + rank * (divisor + 4),
            "tiles": 3 + 4 * divisor + rank * (divisor + 4) + 2 * 4,
            "turned": 3 + 4 * divisor + rank * (divisor + 4) + 2 * 4,
        }[match[1]]
    assert len(plan.words) == count
    assert all(extent >= 1 for extent in (*plan.grid, *plan.block))
    assert plan.block[0] == target.block_threads


@TARGETS
def test_two_results(target: Target) -> None:
    """An output for each comes before the inputs, in the types as in the strides."""
    own, turned = layout(F4, (4, 6)), layout(F4, (4, 6), (4, 16))
    second = Operand(layout(I4, (4, 6)), I4)
    plan = _plan.elementwise(target, "ca::ops::Frexp", own, F4, [Operand(own, F4)], second=second)
    outputs = "ca::Both<ca::Array<float, float>, ca::Array<int, int>>"
    assert plan.instance.name.endswith(f", {outputs}, ca::Array<float, float>>")
    assert plan.words == (24,)
    plan = _plan.elementwise(target, "ca::ops::Frexp", own, F4, [Operand(turned, F4)], second=second)
    assert outputs in plan.instance.name
    assert plan.words[-6:] == (24, 4, 24, 4, 4, 16)


@TARGETS
def test_what_is_only_moved_is_no_number(target: Target) -> None:
    """Elements that keep their dtype are copied as bytes; a cast and an operation see numbers."""
    half, word = layout(np.dtype(np.float16), (4,)), layout(np.dtype(np.uint16), (4,))
    mask = Operand(layout(np.dtype(bool), (4,)), np.dtype(bool))

    def name(functor: str, *operands: Operand, out: Layout = half) -> str:
        return _plan.elementwise(target, functor, out, half.dtype, operands).instance.name

    own, scalar = Operand(half, half.dtype), Operand(None, half.dtype)
    item = "ca::Array<unsigned short, unsigned short>"
    assert name("ca::ops::Identity", own).endswith(f", {item}, {item}>")
    assert (
        name("ca::ops::Identity", own)
        == _plan.elementwise(target, "ca::ops::Identity", word, word.dtype, [Operand(word, word.dtype)]).instance.name
    )
    assert name("ca::ops::Where", mask, own, scalar).endswith(
        f", {item}, ca::Array<bool, bool>, {item}, ca::Scalar<unsigned short>>"
    )
    assert "float16" not in name("ca::ops::OnlyWhere<ca::ops::Identity>", mask, own)
    assert "unsigned short" not in name("ca::ops::Negative", own)
    assert "ca::float16" in name("ca::ops::Identity", own, out=layout(np.dtype(np.float32), (4,)))
    assert "ca::float16" in name("ca::ops::Identity", Operand(word, half.dtype))


# ---- reductions


@TARGETS
@given(data=st.data())
def test_reduction_covers_everything(target: Target, data: st.DataObject) -> None:
    x = data.draw(pairs(F4, shapes(min_dims=1, min_side=1))).numpy
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, x.ndim - 1)))))
    plan = _plan.reduction(target, "Sum", 16, of(x), axes, F4, F4)
    kept, reduced, splits, run, count = plan.launches[0].words[:5]
    assert kept * reduced == x.size
    assert count == reduced == math.prod(x.shape[axis] for axis in axes)
    assert splits * run >= reduced
    assert (plan.scratch_bytes == 0) == (splits == 1)


@TARGETS
@pytest.mark.parametrize("shape", [(10**8,), (10**4, 10**4), (3, 10**7), (10**7, 3), (2, 50), (1, 1), (0, 5)])
@pytest.mark.parametrize("axes", [(0,), (-1,), None])
def test_reduction_policy(target: Target, shape: tuple, axes: tuple | None) -> None:
    """Enough blocks for the machine, no run without items, counters and accumulators for all runs."""
    own = layout(F4, shape)
    chosen = tuple(range(own.ndim)) if axes is None else tuple(axis % own.ndim for axis in axes)
    plan = _plan.reduction(target, "Sum", 8, own, chosen, F4, F4)
    (launch,) = plan.launches
    kept, reduced, splits, run, _ = launch.words[:5]
    if splits > 1:
        assert (splits - 1) * run < reduced
        assert plan.scratch_bytes == 4 * _tuning.REDUCE_COUNTERS + kept * splits * 8
    if own.size >= 10**7:
        assert launch.grid[0] >= target.processors
    assert max(*launch.grid, *launch.block) < 2**31


@TARGETS
@given(
    rows=st.integers(0, 2**20),
    across=st.integers(1, 2**20),
    reduced=st.integers(0, 2**40),
    inner=st.booleans(),
    flat=st.booleans(),
    pack=st.sampled_from([1, 2, 4, 8]),
)
@example(rows=0, across=102145, reduced=92, inner=False, flat=False, pack=8)
def test_policies_stay_within_bounds(
    target: Target, rows: int, across: int, reduced: int, inner: bool, flat: bool, pack: int
) -> None:
    kept = rows * across
    policy = _tuning.reduce_policy(target, kept, reduced, inner, False, across, pack, flat)
    assert 1 <= policy.splits <= 1024
    assert 1 <= policy.blocks < 2**31
    if policy.kernel == "reduce_rows":  # outputs side by side
        assert 64 <= policy.lanes <= _tuning.REDUCE_STRIP
    else:
        assert policy.lanes & (policy.lanes - 1) == 0
        assert policy.lanes <= (_tuning.REDUCE_THREADS if policy.kernel == "reduce_columns" else 32)
    if policy.splits > 1:  # a counter for each output, or strip of them, that is cut
        strip = {"reduce": 1, "reduce_runs": 1, "reduce_rows": policy.lanes, "reduce_flat": kept}
        each = strip.get(policy.kernel, policy.lanes * max(1, pack // 2))
        assert -(-kept // across) * -(-across // each) <= _tuning.REDUCE_COUNTERS or kept <= _tuning.REDUCE_COUNTERS
    assert 1 <= _tuning.elementwise_blocks(target, kept) < 2**31


@TARGETS
@given(data=st.data())
def test_runs_of_reductions_have_items(target: Target, data: st.DataObject) -> None:
    """Whatever is reduced, with a mask too: the runs cover all items, none is empty, the words fill the parameter."""
    extents = tuple(data.draw(st.lists(st.integers(1, 3000), min_size=1, max_size=4)))
    own = layout(F4, extents)
    axes = tuple(sorted(data.draw(st.sets(st.integers(0, own.ndim - 1), min_size=1))))
    mask = data.draw(st.none() | st.just(layout(np.dtype(bool), extents[-1:])))
    in_order = data.draw(st.booleans()) and len(axes) == 1
    plan = _plan.reduction(target, "Sum", 8, own, axes, F4, F4, mask=mask, in_order=in_order)
    (launch,) = plan.launches
    kept, reduced, splits, run = launch.words[:4]
    assert kept * reduced == own.size
    assert (splits - 1) * run < reduced <= splits * run
    assert splits == 1 or not in_order
    match = re.search(r", (\d+), (\d+), (\d+)(?:, (?:true|false))?>$", launch.instance.name)
    keep, red, operands = int(match[1]), int(match[2]), int(match[3])
    assert operands == (2 if mask else 1)
    assert len(launch.words) == 7 + (keep + red) * (1 + operands)


@TARGETS
def test_neighbours_of_different_outputs_are_read_together(target: Target) -> None:
    """Over an axis that is not the last one: several outputs a block, or strips of them a thread."""

    def kernel(shape: tuple[int, ...], axis: int) -> str:
        plan = _plan.reduction(target, "Sum", 8, layout(F4, shape), (axis,), F4, F4)
        return plan.launches[0].instance.name.split("<")[0].removeprefix("ca::")

    host = target.one_thread_blocks
    assert kernel((5000, 5000), 0) == kernel((50, 500, 500), 1) == ("reduce_rows" if host else "reduce_columns")
    assert kernel((500_000, 10), 0) == ("reduce_rows" if host else "reduce_flat")
    assert kernel((5000, 5000), 1) == ("reduce_runs" if host else "reduce")
    assert kernel((500_000, 10), 1) == ("reduce_rows" if host else "reduce_short")
    assert kernel((500_000, 16), 1) == ("reduce_rows" if host else "reduce")


# ---- scans


@TARGETS
@given(data=st.data())
def test_scan_covers_everything(target: Target, data: st.DataObject) -> None:
    extents = data.draw(st.lists(st.integers(1, 3000), min_size=1, max_size=4))
    order = data.draw(st.permutations(range(len(extents))))
    own = of(np.broadcast_to(np.empty((), F4), extents)) if data.draw(st.booleans()) else layout(F4, tuple(extents))
    own = view(own, lambda x: x.transpose(order))[1]
    axis = data.draw(st.integers(0, own.ndim - 1))
    in_order = data.draw(st.booleans())
    out = like_layout(F4, own.shape, [own])
    plan = _plan.scan(target, "Sum", 8, own, out, axis, F4, in_order=in_order)
    length, splits, run, in_step, out_step, inner, _, _, outer = plan.stages[0].words[:9]
    assert (length, in_step, out_step) == (own.shape[axis], own.strides[axis], out.strides[axis])
    assert length * inner * outer == own.size
    assert (splits - 1) * run < length <= splits * run
    assert not (in_order and (splits > 1 or len(plan.stages) > 1))
    counters = 4 * _tuning.REDUCE_COUNTERS
    kernels = [stage.instance.name.partition("<")[0] for stage in plan.stages]
    assert all(1 <= stage.grid[0] < 2**31 for stage in plan.stages)
    if kernels[0] in ("ca::scan_rows", "ca::scan_chained"):  # teams of threads, in one pass
        assert len(plan.stages) == 1
        rank, lanes, packs, _ = (int(part) for part in plan.stages[0].instance.name.rstrip(">").split(", ")[-4:])
        assert len(plan.stages[0].words) == 9 + 3 * rank
        assert plan.stages[0].block[0] == (lanes if lanes > 32 else 256)
        tiles = -(
            -length // (lanes * packs * 4)
        )  # and groups of 32, and sections of 32 groups: two words for a float64
        groups = tiles // 32 + 1
        notes = inner * outer * (tiles + groups + groups // 32 + 1) * 16
        assert plan.scratch_bytes == (counters + notes if "chained" in kernels[0] else 0)
        return
    assert len(plan.stages) == (1 if splits == 1 else 3)
    assert plan.scratch_bytes == (counters + inner * outer * splits * 8 if splits > 1 else 0)
    for number, stage in enumerate(plan.stages, int(splits > 1)):
        if stage.instance.name.startswith("ca::scan_totals<"):
            assert number == 2 and not target.one_thread_blocks
            continue
        rank, strip, last = (int(part) for part in stage.instance.name.rstrip(">").split(", ")[-3:])
        assert last == number
        assert len(stage.words) == 9 + 3 * rank
        assert strip == 1 or target.one_thread_blocks


@TARGETS
def test_long_rows_are_cut_where_there_are_few(target: Target) -> None:
    def splits(shape: tuple[int, ...], axis: int) -> int:
        own = layout(F4, shape)
        stages = _plan.scan(target, "Sum", 8, own, own, axis, F4).stages
        return stages[0].grid[0] if "scan_chained" in stages[0].instance.name else stages[0].words[1]

    assert splits((10**7,), 0) >= min(target.processors, 64)
    assert splits((10**6, 3), 0) > 1 or target.processors <= 3
    assert splits((10**6, 10), 1) == 1
    assert splits((10,), 0) == 1


@TARGETS
def test_reduce_at_plan(target: Target) -> None:
    own, out = layout(F4, (6, 1000, 4)), layout(F4, (6, 7, 4))
    plan = _plan.reduce_at(target, "Sum", own, out, 1, F4)
    assert plan.words[:5] == (1000, 7, 16, 16, 24)
    in_order = _plan.reduce_at(target, "Fold", own, out, 1, F4, arguments=("ca::ops::Subtract", "true"), in_order=True)
    assert in_order.instance.name.endswith(", 1>")


# ---- matrix products


@TARGETS
def test_matmul_plan(target: Target) -> None:
    a, b = layout(F4, (5, 1, 100, 30)), layout(F4, (4, 30, 70))
    (plan,) = _plan.matmul(target, _plan.product(a, b, (5, 4), F4)).launches
    assert plan.words[:4] == (20, 100, 70, 30)
    assert plan.words[4:8] == (120, 4, 280, 4)
    assert ("matmul_tiled" in plan.instance.name) != target.one_thread_blocks


def test_matmul_plans_on_the_cpu() -> None:
    """BLAS where there is one for the dtype, our own kernels for the rest; what BLAS cannot read is copied."""
    blas = dataclasses.replace(CPU, blas=True)

    def plan(a: np.ndarray, b: np.ndarray, target: Target = blas, out: str | None = None) -> _plan.MatmulPlan:
        return _plan.matmul(target, _plan.product(of(a), of(b), (), np.dtype(out or a.dtype)))

    def kernel(*arguments: Any, **options: Any) -> str:
        return plan(*arguments, **options).launches[0].instance.name.removeprefix("ca::matmul_").replace("<", ", ")

    x, integers, tiny = np.zeros((40, 40), "f4"), np.zeros((40, 40), "i2"), np.zeros((3, 3), "f4")
    assert kernel(x, x) == kernel(x.T, x[:, :40]) == "blas, float, float, ca::epilogues::None, 0, 1>"
    assert kernel(x[::-1], x) == kernel(x[:, ::2], x[::2]) == "blas, float, float, ca::epilogues::None, 1, 1>"
    assert kernel(x, x[:, ::-2]) == "blas, float, float, ca::epilogues::None, 2, 1>"
    assert kernel(x, x, out="f2").startswith("blas, float, ca::float16, ca::epilogues::None, 4")
    assert kernel(x, x[:, :1]) == kernel(x, x[::-1, :1]) == kernel(x[:1, ::-1], x) == kernel(x, x)
    assert kernel(x, x, CPU).startswith("blocked, float") and kernel(integers, integers).startswith("blocked, short")
    assert kernel(tiny, tiny).startswith("rows, float")
    assert plan(x, x).scratch_bytes == 0
    assert plan(x[::-1], x[:, ::-1]).scratch_bytes == 4096 + 2 * x.nbytes
