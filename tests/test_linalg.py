"""Decompositions, solutions and norms: by what they must satisfy, and against NumPy's where there is one answer."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, outcome
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca

FLOATS = ("float32", "float64", "complex64", "complex128")
STACKS = ((3, 3), (1, 1), (2, 5, 5), (3, 1, 4, 4), (40, 40), (2, 40, 40))
SHAPES = ((3, 3), (5, 2), (2, 5), (2, 4, 3), (2, 1, 3, 4), (1, 1), (60, 35), (35, 60), (2, 40, 33), (3, 33, 40))
LAYOUTS = ("contiguous", "transposed", "sliced")


def eps(dtype: Any) -> float:
    return float(np.finfo(dtype).eps)


def random(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng((seed, *shape))
    values = generator.standard_normal(shape)
    if np.dtype(dtype).kind == "c":
        values = values + 1j * generator.standard_normal(shape)
    return values.astype(dtype)


def regular(shape: tuple[int, ...], dtype: str, seed: int = 0) -> np.ndarray:
    """Matrices of small condition."""
    n = shape[-1]
    return (random(shape, dtype, seed) + 3 * math.sqrt(n) * np.eye(n)).astype(dtype)


def hermitian(shape: tuple[int, ...], dtype: str, positive: bool = False) -> np.ndarray:
    a = random(shape, dtype)
    n = shape[-1]
    a = (a + a.conj().mT) / 2
    return (a + 3 * math.sqrt(n) * np.eye(n)).astype(dtype) if positive else a.astype(dtype)


def on_device(a: np.ndarray, how: str) -> ca.CuArray:
    """The array with other strides."""
    if how == "transposed":
        return ca.array(np.ascontiguousarray(a.mT)).mT
    if how == "sliced":
        wide = np.zeros((*a.shape[:-1], 2 * a.shape[-1]), a.dtype)
        wide[..., ::2] = a
        return ca.array(wide)[..., ::2]
    return ca.array(a)


def near(actual: ca.CuArray, expected: Any, dtype: Any, factor: float = 100) -> None:
    """Values, shape and dtype, within the rounding of sums as long as the matrices are wide."""
    expected = np.asarray(expected)
    scale = max(1.0, float(np.abs(expected).max(initial=0)))
    length = max(expected.shape, default=1)
    assert_same(actual, expected, atol=factor * eps(dtype) * scale * max(length, 4))


def orthonormal(q: np.ndarray, dtype: Any) -> None:
    wide = q.astype(np.complex128)
    unit = np.eye(q.shape[-1])
    assert np.abs(wide.conj().mT @ wide - unit).max(initial=0) < 100 * eps(dtype) * max(q.shape[-2], 4)


def rebuilt(parts: np.ndarray, a: np.ndarray, dtype: Any) -> None:
    assert parts.shape == a.shape
    assert np.abs(parts - a).max(initial=0) < 100 * eps(dtype) * max(*a.shape[-2:], 4) * max(
        1, np.abs(a).max(initial=0)
    )


# ---- decompositions


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("how", LAYOUTS)
@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_cholesky(dtype: str, how: str, shape: tuple) -> None:
    a = hermitian(shape, dtype, positive=True)
    x = on_device(a, how)
    lower, upper = ca.linalg.cholesky(x), ca.linalg.cholesky(x, upper=True)
    near(lower, np.linalg.cholesky(a), dtype)
    near(upper, np.linalg.cholesky(a, upper=True), dtype)
    assert lower.flags.c_contiguous and upper.flags.c_contiguous
    np.testing.assert_array_equal(np.asarray(x), a)  # not overwritten


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_cholesky_looks_at_one_triangle(dtype: str) -> None:
    a = hermitian((2, 4, 4), dtype, positive=True)
    other = a + 7 * np.triu(np.ones((4, 4)), 1).astype(dtype)
    near(ca.linalg.cholesky(ca.array(other)), np.linalg.cholesky(a), dtype)
    near(ca.linalg.cholesky(ca.array(other.mT.copy()), upper=True), np.linalg.cholesky(a.mT, upper=True), dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_qr(dtype: str, shape: tuple) -> None:
    a = random(shape, dtype)
    for how in LAYOUTS:
        x = on_device(a, how)
        for mode in ("reduced", "complete"):
            q, r = ca.linalg.qr(x, mode)
            expected = np.linalg.qr(a, mode)
            assert (q.shape, r.shape) == (expected.Q.shape, expected.R.shape)
            assert q.dtype == r.dtype == a.dtype
            assert q.flags.c_contiguous and r.flags.c_contiguous
            orthonormal(np.asarray(q), dtype)
            rebuilt(np.asarray(q) @ np.asarray(r), a, dtype)
            np.testing.assert_array_equal(np.asarray(r), np.triu(np.asarray(r)))
        near(abs(ca.linalg.qr(x, "r")), abs(np.linalg.qr(a, "r")), dtype, 1000)
        np.testing.assert_array_equal(np.asarray(x), a)
    h, tau = ca.linalg.qr(ca.array(a), "raw")
    expected = np.linalg.qr(a, "raw")
    near(h, expected[0], dtype, 1000)
    near(tau, expected[1], dtype, 1000)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", STACKS, ids=str)
@pytest.mark.parametrize("triangle", ["L", "U"])
def test_eigh(dtype: str, shape: tuple, triangle: str) -> None:
    a = hermitian(shape, dtype)
    x = on_device(a, "sliced")
    w, v = ca.linalg.eigh(x, triangle)
    near(w, np.linalg.eigvalsh(a), w.dtype)
    near(ca.linalg.eigvalsh(x, UPLO=triangle), np.linalg.eigvalsh(a), w.dtype)
    assert v.dtype == a.dtype and v.flags.c_contiguous
    vectors = np.asarray(v)
    orthonormal(vectors, dtype)
    rebuilt((vectors * np.asarray(w)[..., None, :]) @ vectors.conj().mT, a, dtype)
    garbage = a + 5 * (np.triu if triangle == "L" else np.tril)(np.ones(shape[-2:]), 1 if triangle == "L" else -1)
    near(ca.linalg.eigvalsh(ca.array(garbage.astype(dtype)), triangle), np.linalg.eigvalsh(a), w.dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_eig(dtype: str, shape: tuple) -> None:
    a = random(shape, dtype)
    w, v = ca.linalg.eig(on_device(a, "transposed"))
    expected = np.linalg.eig(a)
    assert (w.dtype, v.dtype, w.shape, v.shape) == (
        expected.eigenvalues.dtype,
        expected.eigenvectors.dtype,
        expected.eigenvalues.shape,
        expected.eigenvectors.shape,
    )
    values, vectors = np.asarray(w), np.asarray(v)
    size = np.abs(a).max() * shape[-1]
    limit = 300 * eps(dtype) * size
    assert np.abs(a @ vectors - vectors * values[..., None, :]).max() < limit
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=-2), 1, rtol=100 * eps(dtype))
    # The same set: in each stack every value has its partner.
    alone = np.asarray(ca.linalg.eigvals(ca.array(a)))
    for found, wanted in ((values, expected.eigenvalues), (alone, expected.eigenvalues)):
        gaps = np.abs(found[..., :, None] - wanted[..., None, :])
        assert max(gaps.min(-1).max(), gaps.min(-2).max()) < 100 * limit


def test_eigenvalues_that_are_all_real_make_real_arrays() -> None:
    a = np.array([[2.0, 1.0], [0.0, 3.0]], "float32")
    w, v = ca.linalg.eig(ca.array(a))
    assert w.dtype == v.dtype == np.float32
    assert ca.linalg.eigvals(ca.array(a)).dtype == np.float32
    w, v = ca.linalg.eig(ca.array([[0, -1], [1, 0]]))
    assert w.dtype == v.dtype == np.complex128
    for bad in (np.nan, np.inf):
        with pytest.raises(ca.linalg.LinAlgError, match="infs or NaNs"):
            ca.linalg.eig(ca.array([[bad, 0.0], [0.0, 1.0]]))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
def test_svd(dtype: str, shape: tuple) -> None:
    a = random(shape, dtype)
    for how in LAYOUTS:
        x = on_device(a, how)
        for full in (True, False):
            u, s, vh = ca.linalg.svd(x, full_matrices=full)
            expected = np.linalg.svd(a, full_matrices=full)
            assert (u.shape, s.shape, vh.shape) == tuple(part.shape for part in expected)
            assert u.dtype == vh.dtype == a.dtype
            assert u.flags.c_contiguous and s.flags.c_contiguous and vh.flags.c_contiguous
            near(s, expected.S, s.dtype)
            left, right, k = np.asarray(u), np.asarray(vh), s.shape[-1]
            orthonormal(left, dtype)
            orthonormal(right.conj().mT, dtype)
            rebuilt((left[..., :k] * np.asarray(s)[..., None, :]) @ right[..., :k, :], a, dtype)
        np.testing.assert_array_equal(np.asarray(x), a)
    near(ca.linalg.svdvals(ca.array(a)), np.linalg.svdvals(a), s.dtype)
    near(ca.linalg.svd(ca.array(a), compute_uv=False), np.linalg.svdvals(a), s.dtype)


@pytest.mark.parametrize("dtype", ["float64", "complex64"])
def test_svd_of_hermitian_matrices(dtype: str) -> None:
    a = hermitian((2, 4, 4), dtype)
    garbage = a + 9 * np.triu(np.ones((4, 4)), 1).astype(dtype)
    u, s, vh = ca.linalg.svd(ca.array(garbage), hermitian=True)
    near(s, np.linalg.svdvals(a), s.dtype)
    rebuilt((np.asarray(u) * np.asarray(s)[..., None, :]) @ np.asarray(vh), a, dtype)


# ---- determinants and solutions


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_determinants(dtype: str, shape: tuple) -> None:
    a = random(shape, dtype)
    x = on_device(a, "transposed")
    sign, logarithm = ca.linalg.slogdet(x)
    expected = np.linalg.slogdet(a)
    near(sign, expected.sign, dtype, 1000)
    near(logarithm, expected.logabsdet, dtype, 1000)
    if shape[-1] < 10:
        near(ca.linalg.det(x), np.linalg.det(a), dtype, 1000)
    np.testing.assert_array_equal(np.asarray(x), a)


def test_determinants_of_singular_matrices() -> None:
    a = np.array([[[1.0, 2.0], [2.0, 4.0]], [[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]])
    with np.errstate(divide="ignore"):
        for values in (a, a[0], a[2], a.astype("complex64")):
            x = ca.array(values)
            for actual, expected in zip(ca.linalg.slogdet(x), np.linalg.slogdet(values)):
                assert_same(actual, expected)
            assert_same(ca.linalg.det(x), np.linalg.det(values))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", STACKS, ids=str)
def test_solve_and_inv(dtype: str, shape: tuple) -> None:
    a = regular(shape, dtype)
    for how in LAYOUTS:
        x = on_device(a, how)
        near(ca.linalg.inv(x), np.linalg.inv(a), dtype)
        assert ca.linalg.inv(x).flags.c_contiguous
        for b in (random(shape[-1:], dtype), random((*shape[:-1], 3), dtype), random((shape[-1], 1), dtype)):
            y = ca.array(b)
            result = ca.linalg.solve(x, y)
            near(result, np.linalg.solve(a, b), dtype)
            assert result.flags.c_contiguous and result.base is None
            np.testing.assert_array_equal(np.asarray(y), b)
        np.testing.assert_array_equal(np.asarray(x), a)


@pytest.mark.parametrize("dtype", ["float32", "complex128"])
def test_stacks_of_large_matrices(dtype: str) -> None:
    """Larger than what is done for a whole stack at once."""
    a, b = regular((2, 260, 260), dtype), random((2, 260, 3), dtype)
    x = ca.array(a)
    near(ca.linalg.solve(x, ca.array(b)), np.linalg.solve(a, b), dtype)
    near(ca.linalg.slogdet(x).logabsdet, np.linalg.slogdet(a).logabsdet, dtype)
    near(ca.linalg.cholesky(x @ _adjoint(x)), np.linalg.cholesky(a @ a.conj().mT), dtype, 1000)


def _adjoint(x: ca.CuArray) -> ca.CuArray:
    return ca.conj(x).mT


def test_solve_broadcasts_stacks_and_promotes() -> None:
    a, b = regular((3, 1, 4, 4), "float32"), random((2, 4, 2), "float64")
    near(ca.linalg.solve(ca.array(a), ca.array(b)), np.linalg.solve(a, b), "float32")
    c = random((4, 2), "complex64")
    near(ca.linalg.solve(ca.array(a), c), np.linalg.solve(a, c), "float32")
    integers = np.array([[2, 1], [1, 1]])
    near(ca.linalg.solve(integers.tolist(), [1, 2]), np.linalg.solve(integers, [1, 2]), "float64")
    near(ca.linalg.inv(ca.array(integers, "int8")), np.linalg.inv(integers.astype("int8")), "float64")


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (3, 5, 2)], ids=str)
def test_pinv(dtype: str, shape: tuple) -> None:
    a = random(shape, dtype)
    near(ca.linalg.pinv(ca.array(a)), np.linalg.pinv(a), dtype)
    low = (a[..., :1] * a[..., :1, :]).astype(dtype)
    limit = 100 * eps(dtype)
    near(ca.linalg.pinv(ca.array(low), rtol=limit), np.linalg.pinv(low, rtol=limit), dtype, 1000)
    near(ca.linalg.pinv(ca.array(low), limit), np.linalg.pinv(low, limit), dtype, 1000)
    near(ca.linalg.pinv(ca.array(a), rtol=None), np.linalg.pinv(a, rtol=None), dtype)


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("shape", [(6, 3), (3, 6), (4, 4), (0, 3), (3, 0)], ids=str)
@pytest.mark.parametrize("right", [(), (2,), (0,)], ids=str)
def test_lstsq(dtype: str, shape: tuple, right: tuple) -> None:
    for a in (random(shape, dtype), np.ones(shape, dtype)):
        b = random((shape[0], *right), dtype, 1)
        x, residuals, rank, s = ca.linalg.lstsq(ca.array(a), ca.array(b))
        expected = np.linalg.lstsq(a, b)
        near(x, expected[0], dtype, 1000)
        near(residuals, expected[1], dtype, 1000)
        assert_same(rank, expected[2])
        near(s, expected[3], dtype)


@pytest.mark.parametrize("dtype", ["int64", "float32", "complex128"])
@pytest.mark.parametrize("n", [0, 1, 2, 3, 5, 10, -1, -3])
def test_matrix_power(dtype: str, n: int) -> None:
    a = np.array([[[1, 1], [1, 2]], [[2, 1], [1, 1]]], dtype)
    near(ca.linalg.matrix_power(ca.array(a), n), np.linalg.matrix_power(a, n), "float32")


def test_tensorsolve_and_tensorinv() -> None:
    a = regular((24, 24), "float64").reshape(6, 4, 2, 3, 4)
    b = random((6, 4), "float64")
    near(ca.linalg.tensorsolve(ca.array(a), ca.array(b)), np.linalg.tensorsolve(a, b), "float64")
    moved = np.moveaxis(a, 2, 0)
    near(
        ca.linalg.tensorsolve(ca.array(moved), ca.array(b), axes=(0, 3, 4)),
        np.linalg.tensorsolve(moved, b, axes=(0, 3, 4)),
        "float64",
    )
    near(ca.linalg.tensorinv(ca.array(a)), np.linalg.tensorinv(a), "float64")
    check(lambda: ca.linalg.tensorinv(ca.array(a), 0), lambda: np.linalg.tensorinv(a, 0))
    check(lambda: ca.linalg.tensorsolve(ca.array(a), ca.ones(3)), lambda: np.linalg.tensorsolve(a, np.ones(3)))


@given(
    extents=st.lists(st.integers(1, 6), min_size=3, max_size=6),
    row=st.booleans(),
    column=st.booleans(),
)
def test_multi_dot(extents: list[int], row: bool, column: bool) -> None:
    matrices = [np.ones((m, n)) + np.arange(n) for m, n in itertools.pairwise(extents)]
    if row:
        matrices[0] = matrices[0][0]
    if column:
        matrices[-1] = matrices[-1][..., 0] if len(matrices) > 1 else matrices[-1]
    if any(matrix.ndim == 0 for matrix in matrices):
        return
    check(
        lambda: ca.linalg.multi_dot([ca.array(m) for m in matrices]), lambda: np.linalg.multi_dot(matrices), rtol=1e-12
    )


def test_multi_dot_out_and_errors() -> None:
    matrices = [np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4), np.arange(4.0).reshape(4, 1)]
    arrays = [ca.array(m) for m in matrices]
    out = ca.zeros((2, 1))
    assert ca.linalg.multi_dot(arrays, out=out) is out
    assert_same(out, np.linalg.multi_dot(matrices))
    for bad in (matrices[:1], [matrices[1], *matrices], [np.ones((2, 2, 2)), *matrices]):
        check(lambda bad=bad: ca.linalg.multi_dot([ca.array(m) for m in bad]), lambda bad=bad: np.linalg.multi_dot(bad))


# ---- norms


@pytest.mark.parametrize("dtype", ["float16", "int32", *FLOATS])
def test_norms_of_vectors(dtype: str) -> None:
    a = (random((3, 4), "complex64" if dtype.startswith("c") else "float64") * 3).astype(dtype)
    x = ca.array(a)
    tolerance = {"rtol": 4e-3 if dtype == "float16" else 1e-5 if dtype in ("float32", "complex64") else 1e-13}
    for order in (None, 2, 1, 0, 3, -1, 0.5, np.inf, -np.inf):
        for axis in (0, 1, -1):
            for keep in (False, True):
                check(
                    lambda o=order, i=axis, k=keep: ca.linalg.norm(x, o, i, k),
                    lambda o=order, i=axis, k=keep: np.linalg.norm(a, o, i, k),
                    **tolerance,
                )
        if order is not None:
            for axis in (None, 0, (0, 1), (1, 0), ()):
                check(
                    lambda o=order, i=axis: ca.linalg.vector_norm(x, axis=i, ord=o, keepdims=True),
                    lambda o=order, i=axis: np.linalg.vector_norm(a, axis=i, ord=o, keepdims=True),
                    **tolerance,
                )
    for order in (None, "fro"):
        check(lambda o=order: ca.linalg.norm(x, o), lambda o=order: np.linalg.norm(a, o), **tolerance)
    check(lambda: ca.linalg.norm(x, keepdims=True), lambda: np.linalg.norm(a, keepdims=True), **tolerance)
    check(lambda: ca.linalg.norm(x[0]), lambda: np.linalg.norm(a[0]), **tolerance)


@pytest.mark.parametrize("dtype", ["int32", *FLOATS])
def test_norms_of_matrices(dtype: str) -> None:
    a = (random((2, 3, 4), "complex64" if dtype.startswith("c") else "float64") * 3).astype(dtype)
    x = ca.array(a)
    rtol = 1e-5 if dtype in ("float32", "complex64") else 1e-12
    for order in (None, "fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
        for axis in ((0, 1), (2, 0), (-1, -2)):
            for keep in (False, True):
                check(
                    lambda o=order, i=axis, k=keep: ca.linalg.norm(x, o, i, k),
                    lambda o=order, i=axis, k=keep: np.linalg.norm(a, o, i, k),
                    rtol=rtol,
                )
        if order is not None:
            check(
                lambda o=order: ca.linalg.matrix_norm(x, ord=o),
                lambda o=order: np.linalg.matrix_norm(a, ord=o),
                rtol=rtol,
            )


def test_bad_norms() -> None:
    a = np.ones((2, 2, 2))
    x = ca.array(a)
    for order, axis in (
        (3, (0, 1)),
        ("fro", 0),
        (2, None),
        ("x", (0, 1)),
        (2, (0, 0)),
        (2, (0, 1, 2)),
        (None, "a"),
        (1, 5),
    ):
        check(lambda o=order, i=axis: ca.linalg.norm(x, o, i), lambda o=order, i=axis: np.linalg.norm(a, o, i))
    for order in (None, 1, 2, np.inf, -np.inf):
        check(lambda o=order: ca.linalg.norm(ca.zeros(0), o), lambda o=order: np.linalg.norm(np.zeros(0), o))


@pytest.mark.parametrize("dtype", FLOATS)
@pytest.mark.parametrize("p", [None, 2, -2, 1, -1, np.inf, -np.inf, "fro"], ids=str)
def test_cond(dtype: str, p: Any) -> None:
    a = regular((2, 4, 4), dtype)
    rtol = 1e-4 if dtype in ("float32", "complex64") else 1e-11
    check(lambda: ca.linalg.cond(ca.array(a), p), lambda: np.linalg.cond(a, p), rtol=rtol)
    a[1] = 0
    check(lambda: ca.linalg.cond(ca.array(a), p), lambda: np.linalg.cond(a, p), rtol=rtol)
    check(lambda: ca.linalg.cond(ca.zeros((0, 0)), p), lambda: np.linalg.cond(np.zeros((0, 0)), p))


@pytest.mark.parametrize("dtype", FLOATS)
def test_matrix_rank(dtype: str) -> None:
    a = np.stack([np.eye(4), np.ones((4, 4)), np.zeros((4, 4)), np.diag([1, 1e-3, 1, 0])]).astype(dtype)
    x = ca.array(a)

    def ranks(**options: Any) -> None:
        assert_same(ca.linalg.matrix_rank(x, **options), np.linalg.matrix_rank(a, **options))

    ranks()
    ranks(tol=0.01)
    ranks(rtol=0.01)
    ranks(rtol=np.array([0.1, 0.1, 0.1, 1e-5]))
    ranks(hermitian=True)
    for value in (ca.zeros(3), ca.ones(3), ca.array(2.0)):
        assert int(ca.linalg.matrix_rank(value)) == np.linalg.matrix_rank(np.asarray(value))


# ---- what is refused, and what is empty

SQUARE = ("cholesky", "det", "slogdet", "inv", "eig", "eigvals", "eigh", "eigvalsh")
ANY_SHAPE = ("qr", "svd", "svdvals", "pinv")


@pytest.mark.parametrize("name", [*SQUARE, *ANY_SHAPE, "cond"])
def test_bad_arguments(name: str) -> None:
    ours, theirs = getattr(ca.linalg, name), getattr(np.linalg, name)
    for shape in ((), (3,), (2, 3)) if name in SQUARE else ((), (3,)):
        with pytest.raises(np.linalg.LinAlgError):
            theirs(np.ones(shape))
        with pytest.raises(ca.linalg.LinAlgError):
            ours(ca.ones(shape))
    if name != "cond":
        with pytest.raises(TypeError, match="float16"):
            ours(ca.ones((2, 2), "float16"))


def test_errors() -> None:
    assert ca.linalg.LinAlgError is np.linalg.LinAlgError
    singular = np.ones((3, 3))
    stack = np.stack([np.eye(3), singular])
    for a in (singular, stack):
        x = ca.array(a)
        with pytest.raises(ca.linalg.LinAlgError, match="Singular"):
            ca.linalg.inv(x)
        with pytest.raises(ca.linalg.LinAlgError, match="Singular"):
            ca.linalg.solve(x, ca.ones(3))
        with pytest.raises(ca.linalg.LinAlgError, match="positive definite"):
            ca.linalg.cholesky(-x)
    pairs = (((3, 3), (2,)), ((2, 3, 3), (3, 3, 1)), ((2, 3), (2,)), ((3, 3), ()), ((3, 3), (4, 3)))
    for first, second in pairs:
        a, b = np.ones(first), np.ones(second)
        check(lambda a=a, b=b: ca.linalg.solve(ca.array(a), ca.array(b)), lambda a=a, b=b: np.linalg.solve(a, b))
    for call in (
        lambda m: m.linalg.qr(m.ones((2, 2)), "other"),
        lambda m: m.linalg.eigh(m.ones((2, 2)), "X"),
        lambda m: m.linalg.matrix_power(m.ones((2, 3)), 2),
        lambda m: m.linalg.matrix_power(m.ones((2, 2)), 1.5),
        lambda m: m.linalg.lstsq(m.ones((2, 2)), m.ones(3)),
        lambda m: m.linalg.lstsq(m.ones((1, 2, 2)), m.ones(2)),
        lambda m: m.linalg.pinv(m.ones((2, 2)), 0.1, rtol=0.1),
        lambda m: m.linalg.matrix_rank(m.ones((2, 2)), 0.1, rtol=0.1),
        lambda m: m.linalg.cross(m.ones(2), m.ones(2)),
        lambda m: m.linalg.outer(m.ones((2, 2)), m.ones(2)),
    ):
        check(lambda call=call: call(ca), lambda call=call: call(np))


@pytest.mark.parametrize("shape", [(0, 0), (0, 3), (3, 0), (2, 0, 0), (0, 3, 3), (0, 2, 3), (2, 0, 3)], ids=str)
@pytest.mark.parametrize("dtype", ["float32", "complex128", "int32"])
def test_empty(shape: tuple, dtype: str) -> None:
    a, x = np.empty(shape, dtype), ca.empty(shape, dtype)
    for name in (*SQUARE, *ANY_SHAPE, "matrix_rank"):
        ours, theirs = getattr(ca.linalg, name), getattr(np.linalg, name)
        expected, error = outcome(lambda theirs=theirs: theirs(a))
        if error is not None:
            with pytest.raises(type(error)):
                ours(x)
            continue
        actual = ours(x)
        if isinstance(expected, tuple):
            assert type(expected)._fields == type(actual)._fields and type(expected).__name__ == type(actual).__name__
            for one, other in zip(actual, expected, strict=True):
                assert_same(one, other)
        else:
            assert_same(actual, expected)
    for mode in ("complete", "r"):
        parts, wanted = ca.linalg.qr(x, mode), np.linalg.qr(a, mode)
        for one, other in zip(parts if mode == "complete" else (parts,), wanted if mode == "complete" else (wanted,)):
            assert_same(one, other)
    for one, other in zip(ca.linalg.svd(x, full_matrices=False), np.linalg.svd(a, full_matrices=False)):
        assert_same(one, other)
    if shape[-1] == shape[-2]:
        for right in ((*shape[:-1], 2), (*shape[:-1], 0)):
            b = np.empty(right, dtype)
            check(lambda b=b: ca.linalg.solve(x, ca.array(b)), lambda b=b: np.linalg.solve(a, b))


def test_the_names_are_numpys() -> None:
    for name in np.linalg.__all__:
        assert hasattr(ca.linalg, name), name
        assert name in ca.linalg.__all__


def test_products_of_stacks() -> None:
    a, b = random((2, 3, 4), "float64"), random((2, 3, 4), "float64", 1)
    x, y = ca.array(a), ca.array(b)
    for name, options in (("diagonal", {"offset": 1}), ("trace", {}), ("trace", {"offset": -1, "dtype": "float32"})):
        assert_same(getattr(ca.linalg, name)(x, **options), getattr(np.linalg, name)(a, **options))
    assert_same(ca.linalg.matrix_transpose(x), np.linalg.matrix_transpose(a))
    assert_same(ca.linalg.vecdot(x, y), np.linalg.vecdot(a, b), atol=1e-13)
    assert_same(ca.linalg.tensordot(x, y, axes=((1,), (1,))), np.linalg.tensordot(a, b, axes=((1,), (1,))), atol=1e-13)
    assert_same(ca.linalg.cross(x, y, axis=1), np.linalg.cross(a, b, axis=1), atol=1e-13)
    assert_same(ca.linalg.outer(x[0, 0], y[0, 1]), np.linalg.outer(a[0, 0], b[0, 1]))


def test_a_missing_library_says_what_to_install() -> None:
    from cuarray._runtime.cusolver import load

    with pytest.raises(RuntimeError, match=r"pip install 'cuarray\[cuda13\]'"):
        load("no_such_library")


def test_a_graph_cannot_hold_it() -> None:
    x = ca.eye(3)
    with pytest.raises(ca.CudaError), ca.cuda.graph():
        ca.linalg.inv(x)


@pytest.mark.parametrize("name", ["cholesky", "inv", "eigh", "svd", "qr", "eig", "det"])
def test_on_another_stream(name: str) -> None:
    """On the current stream: after what was queued there before, and before what is queued next."""
    a = hermitian((20, 20), "float64", positive=True)
    x = ca.array(a)
    ca.cuda.synchronize()
    with ca.cuda.Stream(non_blocking=True):
        y = x * 2 / 2
        result = getattr(ca.linalg, name)(y)
        first = result[0] if isinstance(result, tuple) else result
        total = float(abs(first + 0).sum())
    expected = getattr(np.linalg, name)(a)
    reference = float(np.abs(expected[0] if isinstance(expected, tuple) else expected).sum())
    assert total == pytest.approx(reference, rel=1e-9)
