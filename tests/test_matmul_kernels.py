"""The kernels of matrix products for GPUs, which the host runs too, one thread after another, against NumPy."""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _matmul_tuning, _plan, _runtime
from cuarray._dtypes import BFLOAT16, DTYPES
from cuarray._launch import Prepared
from cuarray._layout import layout
from cuarray._plan._common import SCRATCH_COUNTERS
from cuarray._plan._matmul import Epilogue, MatmulPlan, Product
from cuarray._plan._matmul_choice import FAMILIES
from cuarray._plan._matmul_mma import Configuration as Mma
from cuarray._plan._matmul_simt import Configuration as Simt
from cuarray._tuning import Target


def target(major: int, minor: int = 0, processors: int = 4, kib: int = 99) -> Target:
    return Target(processors, 256, 1024, 8, (major, minor), kib << 10)


HOPPER, AMPERE, TURING = target(9), target(8), target(7, 5, kib=64)


# ---- operands

LAYOUTS = ("C", "F", "rows", "columns", "steps", "reversed", "upside down", "offset", "one row", "one column")


def placed(values: np.ndarray, how: str) -> tuple[Any, np.ndarray]:
    """A CuArray that lies in memory in this way, and what it holds; two of them repeat a row or a column."""
    m, n = values.shape[-2:]
    if how == "F":
        return ca.array(values.swapaxes(-1, -2).copy()).swapaxes(-1, -2), values
    if how in ("one row", "one column") and m and n:
        part = values[..., :1, :] if how == "one row" else values[..., :1]
        return ca.broadcast_to(ca.array(part.copy()), values.shape), np.broadcast_to(part, values.shape)
    grown = {
        "rows": (..., slice(3, m + 3), slice(None)),
        "columns": (..., slice(2, n + 2)),
        "offset": (..., slice(1, None)),
    }
    if how in grown:
        shape = (
            (*values.shape[:-2], m + 5, n) if how == "rows" else (*values.shape[:-1], n + (1 if how == "offset" else 4))
        )
        whole = np.zeros(shape, values.dtype)
        whole[grown[how]] = values
        return ca.array(whole)[grown[how]], values
    if how == "steps":
        whole = np.zeros((*values.shape[:-2], 2 * m, 3 * n), values.dtype)
        whole[..., ::2, ::3] = values
        return ca.array(whole)[..., ::2, ::3], values
    turns = {"reversed": (..., slice(None, None, -1)), "upside down": (..., slice(None, None, -1), slice(None))}
    if how in turns:
        return ca.array(values[turns[how]].copy())[turns[how]], values
    return ca.array(values), values


def drawn(rng: np.random.Generator, dtype: np.dtype, shape: tuple[int, ...]) -> np.ndarray:
    if dtype.kind == "b":
        return rng.random(shape) < 1 / (2 + math.isqrt(shape[-1]))
    if dtype.kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    real = rng.standard_normal(shape)
    return (real + 1j * rng.standard_normal(shape) if dtype.kind == "c" else real).astype(dtype)


def exact(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Integers as NumPy multiplies them; of floating numbers the product in at least float64."""
    if a.dtype.kind in "biu":
        return a @ b
    wide = np.complex128 if a.dtype.kind == "c" else np.float64
    return a.astype(wide) @ b.astype(wide)


def assert_product(out: np.ndarray, a: np.ndarray, b: np.ndarray, precision: str = "ieee") -> None:
    expected = exact(a, b)
    if a.dtype.kind in "biu":
        np.testing.assert_array_equal(out, expected)
        return
    # Relative to what the sums are made of: some of them cancel.
    magnitude = np.linalg.norm(np.abs(a).astype(np.float64)) * np.linalg.norm(np.abs(b).astype(np.float64))
    out = out.astype(expected.dtype)
    assert np.isfinite(out).all() or not np.isfinite(expected).all()
    unit = {"tf32": 2.0**-11, "tf32x3": 2.0**-21}.get(precision, 0)
    eps = {2: 2.0**-8 if a.dtype == BFLOAT16 else 2.0**-11, 4: 2.0**-23, 8: 2.0**-52}
    width = a.dtype.itemsize // (2 if a.dtype.kind == "c" else 1)
    sums = a.shape[-1] * eps[max(width, 4)] / 2  # if every addition rounds to the same side
    assert np.linalg.norm(out - expected) <= (2 * unit + 2 * eps[width] + sums) * magnitude


# ---- launches


def product_of(a: Any, b: Any, **options: Any) -> Product:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    aligned = (a._pointer | b._pointer) % 16 == 0
    options.setdefault("out_dtype", a.dtype)
    return _plan.product(a._layout, b._layout, batch, aligned=aligned, **options)


def launch(plan: MatmulPlan, of: Product, a: Any, b: Any, c: int = 0) -> np.ndarray:
    batch = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    out = ca.full(shape, 77, dtype=of.out_dtype)  # which nothing may be left of
    scratch = _runtime.get().allocate_scratch(plan.scratch_bytes)
    for own in plan.launches:
        Prepared(own).launch(out._pointer, a._pointer, b._pointer, c, scratch.pointer)
    if plan.scratch_bytes:  # reductions count on it
        assert not any(_runtime.get().read(scratch.pointer, SCRATCH_COUNTERS))
    return np.asarray(out)


# ---- every kernel in every layout

SIMT = [Simt(32, 32, 8, 2, 2, 2, False), Simt(32, 64, 8, 4, 4, 3, True, 3), Simt(64, 64, 8, 8, 4, 2, True, 2)]
MMA: dict[int, list[tuple[Target, Mma]]] = {
    2: [(AMPERE, Mma(64, 64, 32, 32, 32, 3)), (AMPERE, Mma(32, 64, 64, 16, 32, 4, 0, 2))],
    4: [(AMPERE, Mma(64, 32, 16, 32, 16, 4)), (AMPERE, Mma(32, 32, 32, 16, 16, 2, 0, 3))],
    8: [
        (AMPERE, Mma(32, 32, 16, 16, 16, 3, 4)),
        (HOPPER, Mma(32, 64, 16, 16, 32, 3, 8)),
        (HOPPER, Mma(32, 32, 16, 16, 16, 2, 16, 2)),
        (HOPPER, Mma(32, 32, 8, 16, 16, 4, 4)),
    ],
    16: [
        (AMPERE, Mma(32, 32, 8, 16, 16, 3)),
        (HOPPER, Mma(32, 64, 8, 32, 16, 3, 4, 2)),
        (HOPPER, Mma(64, 32, 16, 16, 32, 2)),
        (AMPERE, Mma(32, 32, 16, 32, 32, 2)),
    ],
}
SHAPES = st.tuples(*(st.one_of(st.integers(1, 40), st.integers(1, 120)) for _ in range(3)))


def check(
    dtype: np.dtype, shape: tuple[int, int, int], how: tuple[str, str], plan_of: Any, precision: str = "ieee"
) -> None:
    m, n, k = shape
    rng = np.random.default_rng(m * 7 + n * 3 + k)
    a, a_host = placed(drawn(rng, dtype, (m, k)), how[0])
    b, b_host = placed(drawn(rng, dtype, (k, n)), how[1])
    of = product_of(a, b, precision=precision)
    plan = plan_of(of)
    first = launch(plan, of, a, b)
    assert_product(first, a_host, b_host, precision)
    np.testing.assert_array_equal(launch(plan, of, a, b), first)  # the same bits again


def by(family: str, where: Target, own: Any) -> Any:
    def plan_of(of: Product) -> MatmulPlan:
        assert FAMILIES[family].fits(where, of, own)
        return FAMILIES[family].plan(where, of, own)

    return plan_of


TWO_LAYOUTS = st.tuples(st.sampled_from(LAYOUTS), st.sampled_from(LAYOUTS))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@settings(max_examples=6, deadline=None)
@given(shape=SHAPES, how=TWO_LAYOUTS, own=st.sampled_from(SIMT), where=st.sampled_from([HOPPER, TURING]))
def test_simt(dtype: np.dtype, shape: tuple, how: tuple, own: Simt, where: Target) -> None:
    check(dtype, shape, how, by("simt", where, own))


@pytest.mark.parametrize(
    ("name", "precision"),
    [
        ("float16", "ieee"),
        ("bfloat16", "ieee"),
        ("float32", "tf32"),
        ("float32", "tf32x3"),
        ("float64", "ieee"),
        ("complex128", "ieee"),
    ],
)
@settings(max_examples=8, deadline=None)
@given(data=st.data(), shape=SHAPES, how=TWO_LAYOUTS)
def test_tensor_cores(name: str, precision: str, data: st.DataObject, shape: tuple, how: tuple) -> None:
    dtype = BFLOAT16 if name == "bfloat16" else np.dtype(name)
    where, own = data.draw(st.sampled_from(MMA[dtype.itemsize]))
    check(dtype, shape, how, by("mma", where, own), precision)


@pytest.mark.parametrize("how", [(a, b) for a in ("C", "F") for b in ("C", "F")], ids="".join)
@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex128"])
def test_tensor_cores_by_whole_vectors(name: str, how: tuple[str, str]) -> None:
    """Every arrangement of fragments, where copies are of 16 bytes."""
    dtype = np.dtype(name)
    precision = "tf32" if name == "float32" else "ieee"
    for where, own in MMA[dtype.itemsize]:
        check(dtype, (96, 80, 64), how, by("mma", where, own), precision)


def test_tf32_in_three_passes_is_nearly_float32() -> None:
    rng = np.random.default_rng(5)
    a, b = (ca.array(rng.standard_normal((64, 64)).astype(np.float32)) for _ in range(2))
    reference = exact(np.asarray(a), np.asarray(b))

    def error(precision: str) -> float:
        of = product_of(a, b, precision=precision)
        out = launch(FAMILIES["mma"].plan(AMPERE, of, Mma(64, 32, 16, 32, 16, 4)), of, a, b)
        return float(np.linalg.norm(out - reference) / np.linalg.norm(reference))

    ieee = product_of(a, b)
    own = launch(FAMILIES["simt"].plan(AMPERE, ieee, SIMT[0]), ieee, a, b)
    plain = float(np.linalg.norm(own - reference) / np.linalg.norm(reference))
    assert error("tf32x3") < 2 * plain + 1e-7
    assert 1e-5 < error("tf32") < 1e-3


def test_tensor_cores_keep_what_is_not_finite() -> None:
    for bits in (0x7FFFFFFF, 0x7FC00000, 0xFFFFFFFF, 0x7F800000):
        a = np.ones((16, 16), np.float32)
        a.view(np.uint32)[3, 5] = bits
        x, y = ca.array(a), ca.array(np.ones((16, 16), np.float32))
        of = product_of(x, y, precision="tf32")
        out = launch(FAMILIES["mma"].plan(AMPERE, of, MMA[4][0][1]), of, x, y)
        np.testing.assert_array_equal(out, a @ np.ones((16, 16), np.float32))


SKINNY_SHAPES = [(1, 300, 70), (200, 1, 130), (1, 1, 3000), (5, 270, 99), (150, 11, 64), (16, 16, 700), (3, 2, 1)]


@pytest.mark.parametrize("shape", SKINNY_SHAPES, ids=str)
@pytest.mark.parametrize("name", ["float32", "int8", "float16", "complex128", "bool"])
@settings(max_examples=4, deadline=None)
@given(how=TWO_LAYOUTS)
def test_skinny(name: str, shape: tuple, how: tuple) -> None:
    def plans(of: Product) -> MatmulPlan:
        own = FAMILIES["skinny"].best(HOPPER, of)
        if own is None:  # more rows than pay for this dtype
            assert min(shape[:2]) > 8
            return _plan.matmul(HOPPER, of)
        return FAMILIES["skinny"].plan(HOPPER, of, own)

    check(np.dtype(name), shape, how, plans)


@pytest.mark.parametrize("name", ["float32", "uint8", "float16", "complex128"])
@pytest.mark.parametrize("shape", [(3, 4, 2), (8, 7, 5), (13, 16, 9), (32, 20, 31)], ids=str)
def test_stacks_of_small_matrices(name: str, shape: tuple[int, int, int]) -> None:
    m, n, k = shape
    dtype, rng = np.dtype(name), np.random.default_rng(3)
    for batch in ((70,), (9, 8)):
        a = drawn(rng, dtype, (*batch, m, k))
        for b in (drawn(rng, dtype, (*batch, k, n)), drawn(rng, dtype, (batch[-1], k, n))):
            for how in ("C", "F", "reversed"):
                x, _ = placed(a, how)
                y = ca.array(b)
                of = product_of(x, y)
                own = next(own for own in FAMILIES["skinny"].candidates(HOPPER, of) if own.kernel == "small")
                assert (FAMILIES["skinny"].best(HOPPER, of) == own) == (max(shape) <= _matmul_tuning.SMALL_MOST)
                assert_product(launch(FAMILIES["skinny"].plan(HOPPER, of, own), of, x, y), a, b)


# ---- the chooser


@settings(max_examples=40, deadline=None)
@given(data=st.data())
def test_whatever_is_chosen(data: st.DataObject) -> None:
    """All dtypes, shapes and layouts, stacked and broadcast, on GPUs of every kind."""
    where = data.draw(st.sampled_from([TURING, AMPERE, target(8, 6), HOPPER, target(12), target(0)]))
    dtype = data.draw(st.sampled_from(DTYPES))
    extent = st.one_of(st.integers(1, 20), st.integers(1, 60), st.integers(1, 300))
    m, n, k = data.draw(st.tuples(extent, extent, st.one_of(st.just(0), extent)))
    a_batch, b_batch = data.draw(
        st.sampled_from([((), ()), ((), ()), ((3,), (3,)), ((2, 1), (3,)), ((3,), ()), ((40,), ())])
    )
    if m * n * k * math.prod(np.broadcast_shapes(a_batch, b_batch)) > 1_000_000:
        m = min(m, 30)
        n = min(n, 30)
    precision = data.draw(st.sampled_from(["ieee", "tf32", "tf32x3"])) if dtype == np.float32 else "ieee"
    rng = np.random.default_rng(data.draw(st.integers(0, 100)))
    a, a_host = placed(drawn(rng, dtype, (*a_batch, m, k)), data.draw(st.sampled_from(LAYOUTS)))
    b, b_host = placed(drawn(rng, dtype, (*b_batch, k, n)), data.draw(st.sampled_from(LAYOUTS)))
    of = product_of(a, b, precision=precision)
    plan = _plan.matmul(where, of)
    assert_product(launch(plan, of, a, b), a_host, b_host, precision)


def names_of(plan: MatmulPlan) -> list[str]:
    names = (own.instance.name.split("<")[0] for own in plan.launches)
    return [name.removeprefix("ca::").removeprefix("matmul_") for name in names]


H100 = Target(132, 256, 1024, 8, (9, 0), 227 << 10)


@pytest.mark.parametrize(
    ("dtype", "shape", "batch", "kernels"),
    [
        ("float32", (4096, 4096, 4096), (), ["simt"]),
        ("float16", (4096, 4096, 4096), (), ["hopper"]),
        ("float16", (4097, 4097, 4097), (), ["half_operand", "half_operand", "hopper"]),
        ("float16", (4096, 4097, 4096), (), ["half_operand", "hopper"]),
        ("float16", (65, 65, 65), (), ["mma"]),
        ("float64", (4096, 4096, 4096), (), ["mma"]),
        ("complex128", (4096, 4096, 4096), (), ["mma"]),
        ("complex64", (4096, 4096, 4096), (), ["simt"]),
        ("float16", (16, 16, 1000000), (), ["mma", "sum_splits"]),
        ("int8", (4096, 4096, 4096), (), ["simt"]),
        ("float32", (64, 64, 1 << 18), (), ["simt", "sum_splits"]),
        ("float32", (4096, 1, 4096), (), ["skinny_rows"]),
        ("float32", (1, 4096, 4096), (), ["skinny_columns", "sum_splits"]),
        ("float32", (16, 16, 16), (4096,), ["small"]),
    ],
)
def test_choice(dtype: str, shape: tuple[int, int, int], batch: tuple[int, ...], kernels: list[str]) -> None:
    m, n, k = shape
    own = np.dtype(dtype)
    of = _plan.product(layout(own, (*batch, m, k)), layout(own, (*batch, k, n)), batch, own, aligned=True)
    found = names_of(_plan.matmul(H100, of))
    assert [name for name in found if name != "sum_splits"] == [name for name in kernels if name != "sum_splits"]
    assert "sum_splits" in found or "sum_splits" not in kernels


@pytest.mark.parametrize("dtype", ["float32", "uint8", "bool", "complex128"])
@pytest.mark.parametrize("splits", [2, 16, 130, 200])
def test_sums_of_many_parts(dtype: str, splits: int) -> None:
    """However many threads share an item's parts; some may have none."""

    def plans(of: Product) -> MatmulPlan:
        plan = FAMILIES["simt"].plan(HOPPER, of, Simt(32, 32, 8, 2, 2, 2, False, splits))
        assert plan.launches[-1].words[-2] == splits
        return plan

    check(np.dtype(dtype), (37, 3, 8 * splits - 3), ("C", "C"), plans)


def test_a_stack_that_shares_b_is_one_matrix() -> None:
    f4 = np.dtype(np.float32)
    of = _plan.product(layout(f4, (8, 16, 512, 64)), layout(f4, (64, 256)), (8, 16), f4, aligned=True)
    (plan,) = _plan.matmul(H100, of).launches
    assert plan.words[:4] == (1, 8 * 16 * 512, 256, 64)


def test_every_candidate_has_a_name_and_fits() -> None:
    for where in (TURING, AMPERE, HOPPER, H100):
        for dtype in DTYPES:
            of = _plan.product(layout(dtype, (512, 512)), layout(dtype, (512, 512)), (), dtype, aligned=True)
            for family in FAMILIES.values():
                found = family.candidates(where, of)
                assert len({str(own) for own in found}) == len(found)
                assert all(family.fits(where, of, own) for own in found)


# ---- epilogues


def epilogue_products() -> Iterator[tuple[str, Any]]:
    yield "simt", lambda of: FAMILIES["simt"].plan(HOPPER, of, SIMT[0])
    yield "split", lambda of: FAMILIES["simt"].plan(HOPPER, of, SIMT[1])
    yield "mma", lambda of: FAMILIES["mma"].plan(AMPERE, of, Mma(32, 32, 32, 16, 16, 2))
    yield "chosen", lambda of: _plan.matmul(HOPPER, of)


@pytest.mark.parametrize(("name", "plan_of"), [*epilogue_products()], ids=lambda value: str(value)[:6])
@pytest.mark.parametrize("shape", [(40, 50, 70), (3, 100, 200)], ids=str)
@pytest.mark.parametrize("bias", ["matrix", "row", "column"])
def test_epilogue(name: str, plan_of: Any, shape: tuple[int, int, int], bias: str) -> None:
    m, n, k = shape
    rng = np.random.default_rng(1)
    f4 = np.dtype(np.float32)
    precision = "tf32" if name == "mma" else "ieee"
    a, b = drawn(rng, f4, (m, k)), drawn(rng, f4, (k, n))
    c = drawn(rng, f4, {"matrix": (m, n), "row": (1, n), "column": (m, 1)}[bias])
    x, y, z = ca.array(a), ca.array(b), ca.array(c)

    def bits(value: float) -> tuple[int, int]:
        return (int(np.float32(value).view(np.uint32)), 0)

    affine = Epilogue("Relu", bits(0.5), bits(-2.0), True)
    of = product_of(x, y, c=z._layout, epilogue=affine, precision=precision)
    out = launch(plan_of(of), of, x, y, z._pointer)
    expected = np.maximum(0.5 * (a.astype(float) @ b.astype(float)) - 2.0 * c, 0)
    np.testing.assert_allclose(out, expected, rtol=1e-2 if name == "mma" else 1e-4, atol=0.1 if name == "mma" else 1e-4)


def test_results_of_another_dtype() -> None:
    rng = np.random.default_rng(2)
    a, b = (drawn(rng, np.dtype(np.float16), (50, 50)) for _ in range(2))
    x, y = ca.array(a), ca.array(b)
    for plan_of in (by("mma", AMPERE, MMA[2][0][1]), by("mma", AMPERE, MMA[2][1][1]), by("simt", TURING, SIMT[0])):
        of = product_of(x, y, out_dtype=np.dtype(np.float32))
        np.testing.assert_allclose(launch(plan_of(of), of, x, y), exact(a, b), rtol=1e-4, atol=1e-4)
