"""Reductions planned for a GPU, wherever they run: the CPU has CUDA's block model, too."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given, settings
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _runtime, _tuning
from cuarray._functions import _reduction
from cuarray._table import REDUCTIONS
from cuarray._tuning import Target

WIDE = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)


def reduce_wide(
    name: str, x: np.ndarray, axis: Any, mask: np.ndarray | None = None, turned: bool = False, offset: int = 0
) -> tuple[ca.CuArray, str]:
    """What the GPU's launches compute, and the kernel's name. `turned`: the axes stand in memory in opposite order;
    `offset`: the first item is so many items behind the beginning of its memory."""
    room = ca.empty(x.size + offset, x.dtype)
    source = room[offset:].reshape(x.shape[::-1]).T if turned else room[offset:].reshape(x.shape)
    source[...] = ca.array(x)
    where = None if mask is None else ca.array(mask)
    row = REDUCTIONS[name]
    axes = _reduction.normalize_axes(axis, x.ndim)
    loop, result = _reduction._loop_dtypes(name, x.dtype, None)
    layout = None if where is None else where._layout
    plan = _reduction._Wanted(row, source._layout, axes, loop, result, layout).plan(WIDE)
    out = ca.empty(tuple(extent for number, extent in enumerate(x.shape) if number not in axes), result)
    scratch = _runtime.get().allocate_scratch(plan.scratch_bytes)
    for launch in plan.launches:
        words = (out._pointer, source._pointer, scratch.pointer, 0 if where is None else where._pointer, 0, 0, 0)
        _reduction.Prepared(launch).launch(*words)
    return out, plan.launches[0].instance.name.split("<")[0].removeprefix("ca::")


NAMES = ("sum", "max", "argmax", "argmin", "mean", "var", "nanstd", "nanmean", "any", "all", "min")
DTYPES = ("float32", "int8", "float64", "complex64", "float16", "int16")


def expected(name: str, x: np.ndarray, axis: Any, **options: Any) -> np.ndarray:
    wide = x.astype(np.complex128 if x.dtype.kind == "c" else np.float64) if x.dtype.kind in "fc" else x
    return np.asarray(getattr(np, name)(wide, axis, **options))


def check(name: str, x: np.ndarray, axis: Any, **how: Any) -> str:
    mask = how.get("mask")
    result, kernel = reduce_wide(name, x, axis, **how)
    options = {} if mask is None else {"where": mask}
    eps = {2: 1e-3, 4: 1e-6}.get(x.dtype.itemsize if x.dtype.kind == "f" else x.dtype.itemsize // 2, 1e-12)
    assert_same(result, expected(name, x, axis, **options).astype(result.dtype), rtol=8 * eps)
    return kernel


def draw_items(rng: np.random.Generator, dtype: str, shape: tuple[int, ...], name: str) -> np.ndarray:
    x = rng.integers(-9, 9, shape).astype(dtype)
    if x.dtype.kind == "c":
        x = x + (1j * rng.integers(-9, 9, shape)).astype(dtype)
    if name.startswith("nan") and x.dtype.kind in "fc":
        x[rng.random(shape) < 0.3] = np.nan
        x[..., -1:] = 1
        x[-1:] = 1
    if name in ("any", "all"):
        x = np.where(rng.random(shape) < 0.02, x, 0 if name == "any" else 1).astype(dtype)
    return x


@settings(max_examples=60)
@given(data=st.data())
def test_axes_and_dtypes(data: st.DataObject) -> None:
    """Columns, flat rows, short rows, lanes, whole blocks: as the shape, the layout and the dtype have it."""
    name, dtype = data.draw(st.sampled_from(NAMES)), data.draw(st.sampled_from(DTYPES))
    extents = st.integers(1, 9) | st.sampled_from([10, 31, 64, 100, 255, 300, 1030])
    shape = tuple(data.draw(st.lists(extents, min_size=1, max_size=3)))
    while np.prod(shape) > 60000:
        shape = shape[:-1]
    axis: Any = data.draw(st.integers(0, len(shape) - 1))
    if name not in ("argmax", "argmin") and data.draw(st.booleans()):
        axis = tuple(sorted(data.draw(st.sets(st.integers(0, len(shape) - 1), min_size=1))))
    if name.startswith("arg") and dtype == "complex64":
        dtype = "float32"
    if name.startswith("nan") and np.dtype(dtype).kind not in "fc":
        dtype = "float64"
    if name in ("var",) and np.dtype(dtype).kind == "i":
        dtype = "float32"  # about given centres: another row of the table
    x = draw_items(np.random.default_rng(data.draw(st.integers(0, 99))), dtype, shape, name)
    check(name, x, axis, turned=data.draw(st.booleans()), offset=data.draw(st.integers(0, 3)))


@pytest.mark.parametrize("name", ["sum", "argmax", "var", "mean"])
@pytest.mark.parametrize(
    ("kernel", "shape", "axis"),
    [
        ("reduce_columns", (10, 3000), 0),
        ("reduce_columns", (700, 70), 0),
        ("reduce_columns", (5, 300, 40), 1),
        ("reduce_flat", (5000, 10), 0),
        ("reduce_short", (5000, 10), 1),
        ("reduce_short", (700, 31), 1),
        ("reduce", (900, 16), 1),
        ("reduce", (3, 9001), 1),
    ],
)
def test_kernels(name: str, kernel: str, shape: tuple[int, ...], axis: int) -> None:
    x = np.random.default_rng(1).normal(1000, 1, shape).astype(np.float32)
    for offset in (0, 1):
        assert check(name, x, axis, offset=offset) == kernel


@pytest.mark.parametrize("rows", [4, 8])
@pytest.mark.parametrize("shape", [(1, 7), (9, 200), (33, 129), (600, 33)])
def test_rows_at_once(rows: int, shape: tuple[int, ...], monkeypatch: pytest.MonkeyPatch) -> None:
    """The rows that do not fill a round, with a mask and without."""
    monkeypatch.setattr(
        _tuning, "REDUCE", dataclasses.replace(_tuning.REDUCE, column_rows=rows, few_rows=rows, flat_most=0)
    )
    rng = np.random.default_rng(2)
    x = rng.normal(0, 1, shape).astype(np.float32)
    mask = rng.random(shape) < 0.7
    mask[0] = True
    for name in ("sum", "var", "mean"):
        check(name, x, 0)
        if name == "sum":
            check(name, x, 0, mask=mask)


@pytest.mark.parametrize("dtype", ["float32", "float16", "int8", "float64"])
@pytest.mark.parametrize("name", ["sum", "max", "argmax", "var", "nanstd", "any"])
def test_threads_that_have_all_rows(name: str, dtype: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Strips as wide as a block, of which the last is short: no thread combines what it has with another one's."""
    monkeypatch.setattr(_tuning, "REDUCE", dataclasses.replace(_tuning.REDUCE, few_resident=1))
    rng = np.random.default_rng(4)
    if dtype == "int8" and name in ("var", "nanstd"):
        dtype = "int16"
    for shape in ((33, 5001), (100, 4096), (5, 17, 1100)):
        axis = len(shape) - 2
        check(name, draw_items(rng, dtype, shape, name), axis)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64"])
@pytest.mark.parametrize(("shape", "axis"), [((3000, 40), 0), ((40, 3000), 1), ((4000, 10), 0), ((4000, 10), 1)])
def test_variances_far_from_zero(dtype: str, shape: tuple[int, ...], axis: int) -> None:
    """Far from zero, with an item far from all others at the beginning, and growing: no digits are lost."""
    rng = np.random.default_rng(3)
    near = rng.normal(0, 1, shape)
    lone = near.copy()
    lone[0] += 1e6
    lone[:, 0] += 1e6
    for x in (near + 1e4, lone, np.sort(near, axis) * 1e3 + 1e5):
        x = x.astype(dtype)
        exact = np.var(x.astype(np.clongdouble if dtype == "complex64" else np.longdouble), axis)
        result, _ = reduce_wide("var", x, axis)
        assert_same(result, exact.astype(result.dtype), rtol=1e-11 if dtype == "float64" else 2e-7)


def test_settled_early_and_infinities() -> None:
    x = np.zeros((300, 500), np.float32)
    x[7, 3] = x[299, 499] = 1
    for axis in (0, 1, None):
        check("any", x, axis)
    x[5, 5] = np.inf
    for axis in (0, 1):
        with np.errstate(invalid="ignore"):
            check("var", x, axis)
            check("max", x, axis)
