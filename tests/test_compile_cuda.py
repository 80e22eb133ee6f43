"""Every built-in kernel compiles for the GPU: NVRTC alone, no GPU needed."""

from __future__ import annotations

import dataclasses
import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")

from cuarray import _matmul_tuning, _plan, _tuning
from cuarray._dtypes import BFLOAT16, DTYPES, Loop, kind_of, resolve, resolve_reduction
from cuarray._functions._reduction import _loop_dtypes, fold, reorderable
from cuarray._functions.elementwise import FUNCTIONS as FUNCTIONS_BY_NAME
from cuarray._functions.gemm import FUNCTIONS as EPILOGUE_FUNCTIONS
from cuarray._layout import layout
from cuarray._plan import Operand
from cuarray._plan._matmul_choice import FAMILIES as MATMUL_FAMILIES
from cuarray._runtime import builtin_source, nvrtc, target_of
from cuarray._table import ELEMENTWISE, REDUCTIONS
from cuarray._tuning import Target
from cuarray.random._draw import SAMPLERS, integers_sampler

H100 = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
ARCHITECTURES = ["sm_75", "sm_80", "sm_90a", "sm_120"]
TWO = [np.dtype(np.int64), np.dtype(np.float32)]


def dtypes_for(architecture: str) -> Sequence[np.dtype]:
    """All of them for one architecture; for the others two, as no source asks which architecture it is compiled for."""
    return DTYPES if architecture == "sm_90a" else TWO


@pytest.fixture(autouse=True)
def _empty_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))


def compile_all(header: str, names: Sequence[str], architecture: str) -> None:
    names = [f"&{name}" for name in names]  # as _launch asks for them
    binary = nvrtc.compile(builtin_source(header), names, architecture)
    assert set(binary.symbols) == set(names)
    assert len(set(binary.symbols.values())) == len(names)
    assert binary.code[:4] == b"\x7fELF"


@pytest.fixture
def short_code(monkeypatch: pytest.MonkeyPatch) -> None:
    """One pack a thread and each functor's code once: that it compiles does not depend on how often it is there."""
    functors = frozenset(row.functor.rpartition(":")[2] for row in ELEMENTWISE.values()) | {"Identity"}
    short = dataclasses.replace(_tuning.ELEMENTWISE, bytes_in_flight=1, single_items=0, rolled=functors)
    monkeypatch.setattr(_tuning, "ELEMENTWISE", short)


@pytest.fixture
def large_arrays(monkeypatch: pytest.MonkeyPatch) -> None:
    """No array is so small that a thread does one item."""
    monkeypatch.setattr(_tuning, "ELEMENTWISE", dataclasses.replace(_tuning.ELEMENTWISE, single_items=0))


def compile_plans(plans: Iterable[_plan.Plan], architecture: str) -> None:
    by_header: dict[str, set[str]] = {}
    for plan in plans:
        by_header.setdefault(plan.instance.header, set()).add(plan.instance.name)
    for header, names in by_header.items():
        compile_all(header, sorted(names), architecture)


def elementwise_plans(names: Sequence[str], dtypes: Sequence[np.dtype]) -> Iterator[_plan.Plan]:
    for name, dtype in itertools.product(names, dtypes):
        row = ELEMENTWISE[name]
        operands = (dtype, np.dtype(np.int32)) if name == "ldexp" else (dtype,) * row.ufunc.nin
        try:
            loop = resolve(row.ufunc, operands)
        except TypeError:
            continue  # NumPy has no such loop
        if loop.inputs[0] != dtype:
            continue  # this loop is that of another dtype
        yield from plans_of(row.functor, loop)


def plans_of(functor: str, loop: Loop) -> Iterator[_plan.Plan]:
    """For operands that are contiguous, and for some dtypes, operands that are not."""
    out, second = layout(loop.output, (8, 8)), None
    if loop.second is not None:
        second = Operand(layout(loop.second, (8, 8)), loop.second)
    for turned in (False, True) if loop.inputs[-1] in TWO else (False,):
        operands = [
            Operand(layout(own, (8, 8), (own.itemsize, 8 * own.itemsize) if turned else None), own)
            for own in loop.inputs
        ]
        yield _plan.elementwise(H100, functor, out, loop.output, operands, second=second)


def instances(plans: Iterator[_plan.Plan]) -> list[str]:
    return sorted({plan.instance.name for plan in plans})


FUNCTIONS = list(ELEMENTWISE)
FAMILIES = {FUNCTIONS[first]: FUNCTIONS[first : first + 10] for first in range(0, len(FUNCTIONS), 10)}


@pytest.mark.usefixtures("short_code")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("family", FAMILIES)
def test_elementwise(family: str, architecture: str) -> None:
    """Every loop of every row, contiguous and strided; a family is ten rows, named after the first."""
    plans = list(elementwise_plans(FAMILIES[family], dtypes_for(architecture)))
    assert {re.match(r"ca::(\w+)<", plan.instance.name)[1] for plan in plans} == {
        "elementwise_packs",
        "elementwise_rows",
    }
    compile_plans(plans, architecture)


@pytest.mark.usefixtures("large_arrays")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_elementwise_layouts(architecture: str) -> None:
    """Rows that are broadcast, tiles through shared memory, 32-bit and 64-bit indices."""

    def plans() -> Iterator[_plan.Plan]:
        for name in ("int8", "float16", "float32", "complex128") if architecture == "sm_90a" else ("float32",):
            dtype, shape = np.dtype(name), (64, 64)
            step = dtype.itemsize
            row, column = (0, step), (64 * step, 0)
            for rows, other in ((64, row), (64, column), (64, (step, 64 * step)), (2**31, (step, step << 31))):
                out = layout(dtype, (rows, 64))
                operands = [Operand(own, dtype) for own in (out, layout(dtype, (rows, 64), other))]
                yield _plan.elementwise(H100, "ca::ops::Add", out, dtype, operands)
                if rows == 64:
                    odd = [layout(dtype, (63, 64), own.layout.strides) for own in operands]
                    yield _plan.elementwise(H100, "ca::ops::Add", odd[0], dtype, [Operand(own, dtype) for own in odd])
                    yield _plan.elementwise(H100, "ca::ops::Greater", layout(np.dtype(bool), shape), dtype, operands)
                    second = Operand(out, dtype)
                    if dtype.kind == "f":
                        yield _plan.elementwise(H100, "ca::ops::Divmod", out, dtype, operands, second=second)

    kinds = list(plans())
    used = " ".join(plan.instance.name for plan in kinds)
    kernels = ("elementwise_rows", "elementwise_tiles", "elementwise_turned")
    assert all(word in used for word in (*kernels, "Repeated", "Turned", "unsigned long"))
    compile_plans(kinds, architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_masks_and_functions_that_are_no_ufuncs(architecture: str) -> None:
    def plans() -> Iterator[_plan.Plan]:
        boolean = np.dtype(bool)
        for dtype in dtypes_for(architecture):
            for functor, operands in (("Identity", 1), ("Add", 2), ("Spacing", 1)):
                if functor != "Spacing" or kind_of(dtype) == "f":
                    loop = Loop((boolean, *(dtype,) * operands), dtype)
                    yield from plans_of(f"ca::ops::OnlyWhere<ca::ops::{functor}>", loop)
            if kind_of(dtype) in "fc":
                yield from plans_of("ca::ops::Sinc", Loop((dtype,), dtype))
            if kind_of(dtype) == "f":
                yield from plans_of("ca::ops::BesselI0", Loop((dtype,), dtype))

    compile_plans(plans(), architecture)


@pytest.mark.usefixtures("short_code")
@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_casts(architecture: str) -> None:
    """From every dtype to every dtype, which operands of mixed dtypes need as well."""

    def plans() -> Iterator[_plan.Plan]:
        for source, target in itertools.product(dtypes_for(architecture), repeat=2):
            operand = Operand(layout(source, (8,)), source)
            yield _plan.elementwise(H100, "ca::ops::Identity", layout(target, (8,)), source, [operand])

    compile_plans(plans(), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scalars_and_selection(architecture: str) -> None:
    """Operands that travel in the launch record, three of them, and the item's own number."""

    def plans() -> Iterator[_plan.Plan]:
        boolean = np.dtype(bool)
        for dtype in dtypes_for(architecture):
            out, array, scalar = layout(dtype, (8,)), Operand(layout(dtype, (8,)), dtype), Operand(None, dtype)
            condition = Operand(layout(boolean, (8,)), boolean)
            yield _plan.elementwise(H100, "ca::ops::Identity", out, dtype, [scalar])
            yield _plan.elementwise(H100, "ca::ops::Where", out, dtype, [condition, array, scalar])
            yield _plan.elementwise(H100, "ca::ops::Clip", out, dtype, [array, scalar, scalar])
            if dtype.kind != "b":
                yield _plan.elementwise(H100, "ca::ops::Affine", out, dtype, [scalar, scalar], position=True)

    compile_plans(plans(), architecture)


# Lanes of a warp an output, a block an output, few outputs side by side, short rows; a block for outputs side by side.
REDUCED = (((10, 16), (1,)), ((1_000_000,), (0,)), ((1000, 10), (0,)), ((1000, 9), (1,)))
SIDE_BY_SIDE = ((1000, 100), (0,))
KERNELS = ("reduce", "reduce_flat", "reduce_short", "reduce_columns")
SOME = [np.dtype(name) for name in ("int64", "float16", "float32", "complex64")]


def reduction_plans(name: str, dtypes: Sequence[np.dtype]) -> Iterator[_plan.Plan]:
    """Every way for some dtypes, and one way for each of the others."""
    row = REDUCTIONS[name]
    for number, dtype in enumerate(dtypes):
        loop, result = _loop_dtypes(name, dtype, None)
        ways = (*REDUCED, SIDE_BY_SIDE)
        for shape, axes in ways if dtype == np.float32 or dtype == np.complex64 else [ways[number % len(ways)]]:
            own = layout(dtype, shape)
            plan = _plan.reduction(H100, row.functor, row.accumulator_bytes, own, axes, loop, result)
            yield from plan.launches


def masked_plans(dtypes: Sequence[np.dtype]) -> Iterator[_plan.Plan]:
    for name, dtype, (shape, axes) in itertools.product(("sum", "mean", "std"), dtypes, (*REDUCED[:2], SIDE_BY_SIDE)):
        row = REDUCTIONS[name]
        mask = layout(np.dtype(bool), shape[-1:])
        loop, result = _loop_dtypes(name, dtype, None)
        functor = row.masked or row.functor
        yield _plan.reduction(H100, functor, 32, layout(dtype, shape), axes, loop, result, mask=mask).launches[0]


def folds(dtypes: Sequence[np.dtype]) -> Iterator[tuple[np.dtype, str, tuple[str, ...], bool]]:
    """Loops of binary functions: dtype, struct, what else it takes, whether it must keep to the order."""
    for name, dtype in itertools.product(("add", "maximum", "gcd", "subtract"), dtypes):
        function = FUNCTIONS_BY_NAME[name]
        try:
            loop = resolve_reduction(function.numpy_ufunc, dtype)
        except TypeError:
            continue  # NumPy has no such loop
        in_order = not reorderable(function.numpy_ufunc, loop)
        row, arguments = fold(name, function.functor, in_order)
        yield loop, row.functor, arguments, in_order


def scan_plans(dtypes: Sequence[np.dtype]) -> Iterator[_plan.Plan]:
    for loop, functor, arguments, in_order in folds(dtypes):
        # A thread a row or a run of it; a few lanes, a warp and a block a row; blocks that share a row.
        shapes: tuple[tuple[tuple[int, ...], int], ...] = (
            ((50_000, 300_000), 0), ((100_000, 100), 0), ((1000, 20), 1), ((100_000, 300), 1), ((1000, 1000), 1),
            ((1_000_000,), 0),
        )  # fmt: skip
        for shape, axis in shapes:
            own, options = layout(loop, shape), {"arguments": arguments, "in_order": in_order}
            yield from _plan.scan(H100, functor, 32, own, own, axis, loop, **options).stages
        for count in (3, 900):
            runs = layout(loop, (count,))
            yield _plan.reduce_at(H100, functor, layout(loop, (1000,)), runs, 0, loop, **options)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("name", REDUCTIONS)
def test_reductions(name: str, architecture: str) -> None:
    plans = list(reduction_plans(name, dtypes_for(architecture)))
    names = instances(iter(plans))
    assert {name.split("<")[0] for name in names} == {f"ca::{kernel}" for kernel in KERNELS}
    assert {name[-5:] for name in names if "ca::reduce<" in name} == {"true>", "alse>"}
    compile_plans(plans, architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_sorting(architecture: str) -> None:
    """Short and long rows; values, indices and both; keys of every size."""

    def plans() -> Iterator[_plan.Plan]:
        names = ("bool", "int64", "float16", "float32", "complex128") if architecture == "sm_90a" else ("float32",)
        for dtype in map(np.dtype, names):
            for n, wanted in (
                (100, (True, True)),
                (10**6, (True, False)),
                (10**6, (False, True)),
                (2**30, (True, True)),
            ):
                yield from _plan.sort(H100, dtype, 1, n, *wanted).launches
            selected = _plan.select(H100, dtype, 1, 10**6, 100, True)
            yield from () if selected is None else selected.launches

    kinds = list(plans())
    selecting = {"select_begin", "select_digit", "select_count", "select_write"}
    names = {plan.instance.name.split("<")[0].rpartition(":")[2] for plan in kinds}
    assert names == {"sort_tiles", "radix_begin", "radix_histogram", "radix_pass", *selecting}
    compile_plans(kinds, architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_searching_and_counting(architecture: str) -> None:
    searches = (_plan.search(H100, dtype, side, 2, 8, 8, 0) for dtype in dtypes_for(architecture) for side in range(3))
    compile_all("search.cuh", instances(searches), architecture)
    counts = [_plan.count(H100, 100_000, bins).plan for bins in (10, 100_000)]
    counts += [_plan.segment_sums(H100, 100_000, bins) for bins in (10, 100_000)]
    names = instances(iter(counts))
    assert len(names) == 4
    names += instances(_plan.bin_numbers(H100, d, 9, 3, True) for d in dtypes_for(architecture) if d.kind in "iuf")
    compile_all("histogram.cuh", names, architecture)


@pytest.mark.parametrize("architecture", ["sm_75", "sm_90a"])
def test_masked_reductions_and_folds(architecture: str) -> None:
    def plans() -> Iterator[_plan.Plan]:
        yield from masked_plans(SOME)
        for loop, functor, arguments, in_order in folds(SOME):
            for shape, axes in (REDUCED[0], REDUCED[3], SIDE_BY_SIDE):
                options = {"arguments": arguments, "in_order": in_order}
                yield _plan.reduction(H100, functor, 32, layout(loop, shape), axes, loop, loop, **options).launches[0]

    compile_plans(plans(), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scans(architecture: str) -> None:
    plans = list(scan_plans(SOME if architecture == "sm_90a" else SOME[:1]))
    names = instances(iter(plans))
    scans = [name for name in names if "ca::scan<" in name]
    assert {name.rsplit(", ", 1)[1] for name in scans} == {"0>", "1>", "3>"}
    assert {"ca::scan_rows", "ca::scan_chained", "ca::scan_totals"} < {name.split("<")[0] for name in names}
    compile_plans(plans, architecture)


def matmul_products(dtypes: Iterable[np.dtype]) -> Iterator[_plan.Product]:
    """One for each kind of kernel: large, long, skinny, stacked; along k and across it, aligned and not."""
    shapes = [(4096, 4096, 4096), (64, 64, 1 << 16), (1, 4096, 4096), (4096, 5, 4096), (90, 90, 90), (8, 8, 8)]
    for dtype, (m, n, k) in itertools.product(dtypes, shapes):
        stack = (100,) if m == 8 else ()
        for turned, aligned in ((False, True), (True, False)) if m > 1000 else ((False, True),):
            a, b = (
                layout(dtype, (*stack, *shape), (dtype.itemsize, shape[0] * dtype.itemsize) if turned else None)
                for shape in ((m, k), (k, n))
            )
            for precision in ("ieee", "tf32", "tf32x3") if dtype == np.float32 else ("ieee",):
                yield _plan.product(a, b, stack, dtype, precision=precision, aligned=aligned)


MATMUL_ARCHITECTURES = ["sm_75", "sm_80", "sm_86", "sm_89", "sm_90a", "sm_100", "sm_120"]


@pytest.mark.parametrize("architecture", MATMUL_ARCHITECTURES)
def test_matmul(architecture: str) -> None:
    """What is chosen for every kind of product, and everything that the table may choose."""
    own = target_of(architecture)
    dtypes = [np.dtype(name) for name in ("float16", "float32", "float64")]
    if architecture == "sm_90a":
        dtypes += [
            np.dtype(np.int8),
            np.dtype(np.complex64),
            BFLOAT16,
            np.dtype(np.bool_),
            np.dtype(np.uint64),
            np.dtype(np.complex128),
        ]

    def plans() -> Iterator[_plan.Plan]:
        for of in matmul_products(dtypes):
            yield from _plan.matmul(own, of).launches
            if of.m == of.n == of.k == 4096 and of.aligned:
                for family, values, _ in _matmul_tuning.TILES[of.kind]:
                    configuration = MATMUL_FAMILIES[family].Configuration.for_product(of, values, 1)
                    if architecture == "sm_90a" and MATMUL_FAMILIES[family].fits(own, of, configuration):
                        yield from MATMUL_FAMILIES[family].plan(own, of, configuration).launches

    names = [plan.instance.name for plan in plans()]
    assert {"simt", "skinny_rows", "skinny_columns", "small", "sum_splits"} <= {
        name.split("<")[0].removeprefix("ca::matmul_") for name in names
    }
    assert any("matmul_mma" in name for name in names) == (own.capability >= (8, 0))
    compile_plans(plans(), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_simple_matmul(architecture: str) -> None:
    plans = (
        launch
        for dtype in dtypes_for(architecture)
        for launch in _plan.matmul(
            H100, _plan.product(layout(dtype, (2, 8, 8)), layout(dtype, (2, 8, 8)), (2,), dtype)
        ).launches
    )
    names = instances(plans)
    assert all("matmul_tiled" in name for name in names)
    compile_all("matmul_simple.cuh", names, architecture)


EPILOGUES = ["Identity", *(function.functor for function in EPILOGUE_FUNCTIONS.values())]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_epilogues(architecture: str) -> None:
    """Every function of `gemm`, with and without a c, and results of other dtypes than the operands'."""
    dtypes = [np.dtype(name) for name in ("float16", "float32", "float64")]
    plans = (
        launch
        for dtype, out in zip(dtypes, [*dtypes[1:], np.dtype("float32")])
        for functor in EPILOGUES
        for added in (False, True)
        for launch in _plan.matmul(
            H100,
            _plan.product(
                layout(dtype, (8, 8)),
                layout(dtype, (8, 8)),
                (),
                out,
                layout(out, (1, 8)) if added else None,
                _plan.Epilogue(functor, (0, 0), (0, 0), added),
            ),
        ).launches
    )
    compile_all("matmul_simple.cuh", instances(plans), architecture)


@pytest.mark.parametrize("architecture", [*ARCHITECTURES, "sm_100"])
def test_joins(architecture: str) -> None:
    """Few and many inputs, small and large, contiguous and in rows of any length; broadcast, cast, and structs."""

    def joined(source: np.dtype, result: np.dtype, shape: tuple[int, ...], axis: int, count: int, step: int) -> Any:
        own = layout(source, shape, tuple(step * stride for stride in layout(source, shape).strides))
        total = layout(result, (*shape[:axis], count * shape[axis], *shape[axis + 1 :]))
        place = layout(result, shape, total.strides)
        parts = [_plan.Part(own, place, k * shape[axis] * total.strides[axis]) for k in range(count)]
        return [join.plan for join in _plan.join(H100, parts)]

    def plans() -> Iterator[_plan.Plan]:
        struct = np.dtype([("r", "u1"), ("g", "u1"), ("b", "u1")])
        names = ("int8", "float16", "float32", "int64", "complex128") if architecture == "sm_90a" else ("float32",)
        for dtype, (count, rows) in itertools.product([struct, *map(np.dtype, names)], ((2, 8), (9, 8), (2, 80_000))):
            for shape, axis in (((rows,), 0), ((rows, 8), 1), ((rows, 3), 1)):
                yield from joined(dtype, dtype, shape, axis, count, 1)
            yield from joined(dtype, dtype, (rows, 8), 0, count, 0)
            yield from joined(dtype, dtype, (rows, 8), 0, count, 3)
        for source, result in itertools.permutations(map(np.dtype, ("float16", "float32", "complex128")), 2):
            yield from joined(source, result, (80_000,), 0, 2, 1)
        yield from joined(np.dtype("float32"), np.dtype("float32"), (2**31, 8), 1, 2, 1)

    kinds = list(plans())
    assert {plan.instance.header for plan in kinds} == {"join.cuh"}
    used = " ".join(plan.instance.name for plan in kinds)
    assert all(word in used for word in ("JoinedPacks, 8>", "JoinedPacks, 64>", "Repeated", "<unsigned long, 2>, 8>"))
    compile_plans(kinds, architecture)


# ---- index arrays


def indexed(index: np.dtype, count: int) -> _plan.Indexed:
    """1000 tuples of indices that name rows of 5 elements."""
    return _plan.Indexed((5,), (40,), 0, (1000,), (layout(index, (1000,)),) * count, (9,) * count, (8,) * count)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_gather(architecture: str) -> None:
    """Items of every size, index arrays with and without a pointer each, every mode."""

    def plans() -> Iterator[_plan.Plan]:
        opaque = (np.dtype(name) for name in ("int8", "float16", "int32", "float64", "complex128"))
        structs = (np.dtype([("r", "u1"), ("g", "u1"), ("b", "u1")]), np.dtype([("x", "f4"), ("n", "i8")], align=True))
        for dtype, count in itertools.product((*opaque, *structs), (1, 5)):
            yield _plan.gather(H100, dtype, indexed(np.dtype(np.int64), count), "raise")
        for mode, index in itertools.product(("raise", "wrap", "clip"), ("int8", "int32", "uint64")):
            yield _plan.gather(H100, np.dtype(np.float32), indexed(np.dtype(index), 2), mode)
        yield _plan.unravel(H100, np.dtype(np.int32), 10, (2, 3, 4))

    compile_all("gather.cuh", instances(plans()), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_scatter(architecture: str) -> None:
    """Assignment by votes and after a sort, accumulation by every function, atomic operations."""

    def launches(update: str, count: int = 1, **options: bool) -> Iterator[_plan.Plan]:
        plan = _plan.scatter(H100, indexed(np.dtype(np.int64), count), (40, 8), update, **options)
        yield from (own for own in (plan.write, plan.slots, plan.vote) if own is not None)

    def plans() -> Iterator[_plan.Plan]:
        single, double = np.dtype(np.float32), np.dtype(np.float64)
        for count in (1, 2, 5):
            yield from launches(_plan.assign_update(single, double), count, voting=True)
            yield from launches(_plan.assign_update(double, double), count)
            yield from launches(_plan.assign_update(double, double), count, unique=True)
        few = [ELEMENTWISE[name] for name in ("add", "power", "negative")]
        for row in ELEMENTWISE.values() if architecture == "sm_90a" else few:
            for dtype in (np.dtype(name) for name in ("uint8", "float16", "complex64")):
                try:
                    loop = row.ufunc.resolve_dtypes((*(dtype,) * row.ufunc.nin, *(None,) * row.ufunc.nout))
                except TypeError:
                    continue  # NumPy has no such loop
                if row.ufunc.nout > 1 or any(d not in DTYPES for d in loop):
                    continue
                if row.ufunc.nin == 2:
                    yield from launches(_plan.binary_update(row.functor, dtype, single, loop))
                elif row.ufunc.nin == 1:
                    yield from launches(_plan.unary_update(row.functor, dtype, loop))
        for name in ("Add", "Subtract", "BitwiseAnd", "BitwiseOr", "BitwiseXor", "Maximum", "Minimum"):
            for dtype in (np.dtype(own) for own in ("int32", "uint32", "int64", "uint64")):
                yield from launches(_plan.atomic_update(f"ca::ops::{name}", dtype, dtype), unique=True)

    compile_all("scatter.cuh", instances(plans()), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_compaction(architecture: str) -> None:
    def plans() -> Iterator[_plan.Plan]:
        for mask, item in itertools.product(dtypes_for(architecture), (None, np.dtype(np.float32))):
            for one_nan in (None, True, False) if mask in TWO else (None, True):
                plan = _plan.compact(H100, mask, 100_000, item, one_nan)
                yield from (plan.tally, plan.scan, plan.write)

    compile_all("compact.cuh", instances(plans()), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_convolution(architecture: str) -> None:
    plans = (
        _plan.convolution(H100, layout(dtype, (100,)), layout(dtype, (5,)), -2, 100)
        for dtype in dtypes_for(architecture)
    )
    compile_all("convolution.cuh", instances(plans), architecture)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_interpolation(architecture: str) -> None:
    real = layout(np.dtype(float), (100,))
    compile_all(
        "interpolation.cuh", [_plan.interpolation(H100, real, real, 0.0, None, False).instance.name], architecture
    )


SOME_SAMPLERS = ("random", "standard_normal_float32", "normal", "gamma", "poisson", "hypergeometric")


def random_plans(names: Iterable[str]) -> Iterator[_plan.Plan]:
    """These samplers with scalars, some of each kind with arrays for parameters; integers of every dtype."""
    for name in names:
        sampler = SAMPLERS[name]
        out = layout(sampler.dtype, (8, 8))
        yield _plan.random(H100, sampler.cpp, sampler.lanes, out, (None, None), sampler.nanoseconds)
        if name in ("normal", "gamma", "poisson", "hypergeometric"):
            parameters = (layout(np.dtype(np.float64), (8, 1)), None, layout(np.dtype(np.float64), (8,)))
            yield _plan.random(H100, sampler.cpp, sampler.lanes, out, parameters, sampler.nanoseconds)
    for dtype in (dtype for dtype in DTYPES if dtype.kind in "biu"):
        for count in (2, 1 << 40):
            sampler = integers_sampler(dtype, count)
            yield _plan.random(H100, sampler.cpp, sampler.lanes, layout(dtype, (8,)), (None, None), 1)
    word = np.dtype(np.int64)
    sampler = integers_sampler(word, None)
    yield _plan.random(H100, sampler.cpp, sampler.lanes, layout(word, (8,)), (layout(word, (8,)), None), 1)
    yield _plan.random_words(H100, layout(np.dtype(np.uint32), (8,)))
    for kernel in ("multinomial", "multivariate_hypergeometric", "dirichlet", "correlate"):
        yield _plan.random_rows(H100, kernel, 8, 8, 1)
    yield from _plan.cumulation(H100, 10_000)[0]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_random(architecture: str) -> None:
    names = SAMPLERS if architecture == "sm_90a" else SOME_SAMPLERS
    compile_all("random.cuh", instances(random_plans(names)), architecture)


def test_random_rounds_every_operation() -> None:
    """No fused operation and no approximation: the same bits as on the host. What says .rn is not fused later."""
    names = [f"&{name}" for name in instances(random_plans(SOME_SAMPLERS))]
    text = nvrtc.compile(builtin_source("random.cuh"), names, "sm_90a", target="ptx").code.decode()
    operations = set(re.findall(r"\b(?:add|sub|mul|div|fma|mad|sqrt|rcp|ex2|lg2|sin|cos)\.\S*f(?:32|64)\b", text))
    assert {"mul.rn.f64", "add.rn.f64", "div.rn.f64", "sqrt.rn.f64", "mul.rn.f32"} <= operations
    rounded = re.compile(r"(add|sub|mul|div|sqrt|rcp)\.rn\.f(32|64)")
    assert all(rounded.fullmatch(operation) for operation in operations), operations


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_permutations(architecture: str) -> None:
    plans = (_plan.shuffle_keys(H100, 2, 100), _plan.feistel(H100, 2, 10**6, 10))
    compile_all("permute.cuh", instances(iter(plans)), architecture)
