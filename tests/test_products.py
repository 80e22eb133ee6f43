"""einsum, tensordot and the other products against NumPy's, with numbers small enough to be exact."""

from __future__ import annotations

import itertools
import operator
import warnings
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import pairs

import cuarray as ca
from cuarray._functions import _contraction
from cuarray.linalg import _powers

DTYPES = ("bool", "int8", "int64", "float16", "float32", "complex64")
EXTENTS = {"a": 2, "b": 3, "c": 1, "d": 4, "e": 2}


def elements(dtype: str) -> st.SearchStrategy[Any]:
    if dtype == "bool":
        return st.booleans()
    parts = st.integers(-2, 2)
    return st.builds(complex, parts, parts) if dtype.startswith("c") else parts


def draw_array(data: st.DataObject, shape: tuple[int, ...], dtype: str | None = None) -> Any:
    chosen = dtype or data.draw(st.sampled_from(DTYPES))
    return data.draw(pairs(np.dtype(chosen), shape, elements(chosen)))


# ---- einsum


@settings(max_examples=200)
@given(data=st.data())
def test_einsum(data: st.DataObject) -> None:
    """Any labels, repeated or not, ellipses, one element for many, explicit and implicit results."""
    count = data.draw(st.integers(1, 4))
    dtype = data.draw(st.sampled_from(DTYPES[1:]))
    terms, operands = [], []
    for _ in range(count):
        labels = data.draw(st.lists(st.sampled_from("abcde"), max_size=4))
        shape = [EXTENTS[label] for label in labels]
        one = data.draw(st.integers(0, 5))
        if one < len(labels) and labels.count(labels[one]) == 1:
            shape[one] = 1
        hidden = data.draw(st.sampled_from([None, None, 0, 1, 2]))
        text = "".join(labels)
        if hidden is not None:
            place = data.draw(st.integers(0, len(labels)))
            text = f"{text[:place]}...{text[place:]}"
            shape[place:place] = [3, 2][2 - hidden :] if hidden else []
        terms.append(text)
        operands.append(draw_array(data, tuple(shape), dtype))
    subscripts = ",".join(terms)
    if data.draw(st.booleans()):
        used = sorted(set(subscripts) & set("abcde"))
        kept = data.draw(st.lists(st.sampled_from(used), unique=True)) if used else []
        subscripts += "->" + ("..." if "..." in subscripts else "") + "".join(kept)
    optimize = data.draw(st.sampled_from([False, True, "greedy", "optimal"]))
    check(
        lambda: ca.einsum(subscripts, *(pair.cuarray for pair in operands), optimize=optimize),
        lambda: np.einsum(subscripts, *(pair.numpy for pair in operands)),
        rtol=2e-2 if dtype == "float16" else 1e-5,
        atol=1.0 if dtype == "float16" else 0.0,
    )


@pytest.mark.parametrize(
    "subscripts", ["ij,jk->ik", "ii", "ii->i", "ij->j", "ij,ij->", "i,j", "ij,kj->ik", "bij,bjk->bik", "ij->ji"]
)
@pytest.mark.parametrize("dtype", DTYPES)
def test_einsum_of_every_dtype(subscripts: str, dtype: str) -> None:
    shape = (3, 3, 3) if "b" in subscripts else (3, 3) if "ij" in subscripts or "ii" in subscripts else (3,)
    arrays = [
        (np.arange(np.prod(shape)).reshape(shape) % 3).astype(dtype) for _ in subscripts.split("->")[0].split(",")
    ]
    check(lambda: ca.einsum(subscripts, *map(ca.array, arrays)), lambda: np.einsum(subscripts, *arrays))


def test_einsum_mixed_dtypes_and_options() -> None:
    a, b = np.arange(6, dtype="int32").reshape(2, 3), np.arange(6.0).reshape(3, 2)
    x, y = ca.array(a), ca.array(b)
    assert_same(ca.einsum("ij,jk", x, y), np.einsum("ij,jk", a, b))
    for options in ({"dtype": "float64"}, {"dtype": "int8"}, {"dtype": "int8", "casting": "unsafe"}, {"order": "X"}):
        check(lambda o=options: ca.einsum("ij->j", x, **o), lambda o=options: np.einsum("ij->j", a, **o))
    out = ca.zeros((2, 2)).T
    assert ca.einsum("ij,jk", x, y, out=out) is out
    assert_same(out, np.einsum("ij,jk", a, b))
    with pytest.raises(ValueError, match="out"):
        ca.einsum("ij,jk", x, y, out=ca.zeros((2, 3)))
    with pytest.raises(TypeError):
        ca.einsum("ij,jk", x, y, out=ca.zeros((2, 2), "int32"))
    assert ca.einsum("ij,jk", x, y, order="F").flags.f_contiguous
    assert ca.einsum("ij,jk->ki", x, y).flags.c_contiguous


def test_einsum_gives_views() -> None:
    a = np.arange(9.0).reshape(3, 3)
    x = ca.array(a)
    ca.einsum("ii->i", x)[...] = 0
    np.einsum("ii->i", a)[...] = 0
    assert_same(x, a)
    ca.einsum("ij->ji", x)[0] = 5
    np.einsum("ij->ji", a)[0] = 5
    assert_same(x, a)
    result = ca.einsum("ij->ij", x, order="C")
    result[...] = 1
    assert_same(x, a)


def test_einsum_with_lists_of_labels() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    x, y = ca.array(a), ca.array(b)
    assert_same(ca.einsum(x, [0, 1], y, [1, 2], [2, 0]), np.einsum(a, [0, 1], b, [1, 2], [2, 0]))
    assert_same(ca.einsum(x, [1, 0]), np.einsum(a, [1, 0]))
    assert_same(ca.einsum(x, [..., 1], y, [1, 2]), np.einsum(a, [..., 1], b, [1, 2]))
    assert_same(ca.einsum(x, [..., 1], [..., 1]), np.einsum(a, [..., 1], [..., 1]))


@pytest.mark.parametrize(
    ("subscripts", "shapes"),
    [
        ("ij,jk", [(2, 3), (4, 2)]),
        ("ij", [(2,)]),
        ("i", [(2, 2)]),
        ("ij->k", [(2, 2)]),
        ("ij->ii", [(2, 2)]),
        ("i,j", [(2,)]),
        ("i1", [(2, 2)]),
        ("......", [(2, 2)]),
        ("i...->i", [(2, 2)]),
        ("ii", [(2, 3)]),
        ("ii", [(1, 3)]),
        ("i->->i", [(2,)]),
    ],
)
def test_bad_subscripts(subscripts: str, shapes: list) -> None:
    arrays = [np.ones(shape) for shape in shapes]
    check(lambda: ca.einsum(subscripts, *map(ca.array, arrays)), lambda: np.einsum(subscripts, *arrays))


def test_einsum_path() -> None:
    shapes = [(8, 2), (2, 30), (30, 3), (3, 8)]
    arrays = [np.ones(shape) for shape in shapes]
    operands = [ca.array(a) for a in arrays]
    subscripts = "ij,jk,kl,li->il"
    path, text = ca.einsum_path(subscripts, *operands, optimize="optimal")
    expected, expected_text = np.einsum_path(subscripts, *arrays, optimize="optimal")
    assert (path, text) == (expected, expected_text)
    wanted = np.einsum(subscripts, *arrays)
    assert_same(ca.einsum(subscripts, *operands, optimize=path), wanted)
    assert_same(ca.einsum(subscripts, *operands, optimize=["einsum_path", (0, 1, 2, 3)]), wanted)
    assert_same(ca.einsum(subscripts, *operands, optimize=("greedy", 1000)), wanted)


def test_einsum_of_many_operands_needs_little_memory() -> None:
    """An order is found that never makes the product of all axes."""
    matrices = [ca.ones((40, 40), "float32") for _ in range(8)]
    subscripts = ",".join(a + b for a, b in zip("abcdefgh", "bcdefghi")) + "->ai"
    result = ca.einsum(subscripts, *matrices)
    assert_same(result, np.full((40, 40), 40.0**7, "float32"))


# ---- two operands


@settings(max_examples=80)
@given(data=st.data())
def test_tensordot(data: st.DataObject) -> None:
    shared = data.draw(st.lists(st.integers(0, 3), max_size=2))
    first, second = (data.draw(st.lists(st.integers(0, 3), max_size=2)) for _ in range(2))
    a, b = draw_array(data, (*first, *shared)), draw_array(data, (*shared, *second))
    count = len(shared)
    pair = (list(range(-count, 0)), list(range(count)))
    for axes in (count, pair, tuple(map(tuple, pair)), count + 1, -1):
        check(
            lambda axes=axes: ca.tensordot(a.cuarray, b.cuarray, axes),
            lambda axes=axes: np.tensordot(a.numpy, b.numpy, axes),
        )


def test_tensordot_axes() -> None:
    a, b = np.arange(24.0).reshape(2, 3, 4), np.arange(24.0).reshape(4, 3, 2)
    for axes in (([1, 2], [1, 0]), ([2, 1], [0, 1]), (0, 2), ([0], [2]), ([0], [0, 1]), ([0], [0]), ([5], [0]), 0, 3):
        check(
            lambda axes=axes: ca.tensordot(ca.array(a), ca.array(b), axes), lambda axes=axes: np.tensordot(a, b, axes)
        )


SHAPES = ((), (3,), (2, 3), (3, 3), (4, 2, 3), (0,), (2, 0), (1,))


@settings(max_examples=100)
@given(data=st.data())
@pytest.mark.parametrize("name", ["kron", "outer", "inner", "vdot", "dot"])
def test_pairs_of_arrays(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    a, b = (draw_array(data, data.draw(st.sampled_from(SHAPES)), dtype) for _ in range(2))
    check(lambda: getattr(ca, name)(a.cuarray, b.cuarray), lambda: getattr(np, name)(a.numpy, b.numpy))


@settings(max_examples=100)
@given(data=st.data())
def test_stacks_of_vectors(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DTYPES))
    m, n = data.draw(st.integers(0, 4)), data.draw(st.integers(0, 4))
    stacks = st.sampled_from([(), (2,), (1,), (3, 1)])
    one, other = data.draw(stacks), data.draw(stacks)
    x, y, z, matrix = (draw_array(data, s, dtype) for s in ((*one, n), (*other, n), (*one, m), (*other, m, n)))
    check(lambda: ca.vecdot(x.cuarray, y.cuarray), lambda: np.vecdot(x.numpy, y.numpy))
    check(lambda: ca.vecdot(x.cuarray, z.cuarray), lambda: np.vecdot(x.numpy, z.numpy))
    if hasattr(np, "matvec"):
        check(lambda: ca.matvec(matrix.cuarray, x.cuarray), lambda: np.matvec(matrix.numpy, x.numpy))
        check(lambda: ca.vecmat(z.cuarray, matrix.cuarray), lambda: np.vecmat(z.numpy, matrix.numpy))
        check(lambda: np.matvec(matrix.cuarray, x.cuarray), lambda: np.matvec(matrix.numpy, x.numpy))


def test_vecdot_axis_and_out() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(6.0).reshape(2, 3) + 1j
    x, y = ca.array(a), ca.array(b)
    assert_same(ca.vecdot(y, x, axis=0), np.vecdot(b, a, axis=0))
    out = ca.zeros(2, "complex128")
    assert ca.vecdot(x, y, out=out) is out
    assert_same(out, np.vecdot(a, b))
    check(lambda: ca.vecdot(x, y, out=ca.zeros(2)), lambda: np.vecdot(a, b, out=np.zeros(2)))
    check(lambda: ca.vecdot(x, 1.0), lambda: np.vecdot(a, 1.0))
    assert_same(np.vecdot(x, y), np.vecdot(a, b))


def test_dot_out() -> None:
    a, b = np.arange(6.0).reshape(2, 3), np.arange(12.0).reshape(3, 4)
    x, y = ca.array(a), ca.array(b)
    out = ca.zeros((2, 4))
    assert ca.dot(x, y, out=out) is out
    assert x.dot(y, out=out) is out
    assert_same(out, a @ b)
    for bad in ((2, 3), "float64"), ((2, 4), "float32"):
        check(lambda bad=bad: ca.dot(x, y, ca.zeros(*bad)), lambda bad=bad: np.dot(a, b, np.zeros(*bad)))
    check(lambda: ca.outer(x, y, ca.zeros((6, 12))), lambda: np.outer(a, b, np.zeros((6, 12))))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_long_sums(dtype: str) -> None:
    """A dot product of many elements is done by many threads, and not rounded after each."""
    a = np.full(100_000, 0.5, dtype)
    expected = np.dot(a.astype("f8"), a.astype("f8")).astype(dtype)
    for product in (ca.dot, ca.vdot, ca.inner, ca.vecdot):
        assert_same(product(ca.array(a), ca.array(a)), expected)


@pytest.mark.parametrize("dtype", DTYPES)
def test_trace(dtype: str) -> None:
    a = (np.arange(60).reshape(3, 4, 5) % 5).astype(dtype)
    x = ca.array(a)
    for arguments in ((), (1,), (-2,), (7,), (0, 1, 2), (1, -1, 0), (0, 1, 1), (0, 0, 5)):
        check(lambda args=arguments: ca.trace(x, *args), lambda args=arguments: np.trace(a, *args))
        check(lambda args=arguments: x.trace(*args), lambda args=arguments: a.trace(*args))
    assert_same(ca.trace(x, dtype="complex128"), np.trace(a, dtype="complex128"))
    out = ca.zeros(5, "complex128")
    assert ca.trace(x, out=out) is out
    check(lambda: ca.trace(x[0, 0]), lambda: np.trace(a[0, 0]))


@pytest.mark.parametrize("dtype", ["int8", "float32", "complex64"])
@pytest.mark.parametrize("extents", [(3, 3), (2, 2), (2, 3), (3, 2), (4, 3), (1, 3)], ids=str)
def test_cross(dtype: str, extents: tuple[int, int]) -> None:
    first, second = extents
    a = (np.arange(4 * first).reshape(2, 2, first) % 4).astype(dtype)
    b = (np.arange(2 * second).reshape(2, second) % 3).astype(dtype)
    x, y = ca.array(a), ca.array(b)

    def same(ours: Any, theirs: Any) -> None:
        def quiet() -> Any:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", DeprecationWarning)
                return theirs()

        check(ours, quiet)

    same(lambda: ca.cross(x, y), lambda: np.cross(a, b))
    same(lambda: ca.cross(y[0], x), lambda: np.cross(b[0], a))
    same(lambda: ca.cross(x, y, axisc=0), lambda: np.cross(a, b, axisc=0))
    moved, turned = np.moveaxis(a, -1, 0), b.T
    same(
        lambda: ca.cross(ca.array(moved), ca.array(turned), axisa=0, axisb=0),
        lambda: np.cross(moved, turned, axisa=0, axisb=0),
    )
    same(lambda: ca.cross(ca.array(turned), ca.array(turned), axis=0), lambda: np.cross(turned, turned, axis=0))
    check(lambda: ca.cross(x, 1.0), lambda: np.cross(a, 1.0))


def test_the_operator_in_place() -> None:
    a = np.arange(9.0).reshape(3, 3)
    x = ca.array(a)
    same = x
    same @= np.eye(3) * 2
    assert same is x
    assert_same(x, a * 2)
    x @= x
    assert_same(x, (a * 2) @ (a * 2))
    check(
        lambda: operator.imatmul(ca.ones((2, 3)), ca.ones((3, 4))),
        lambda: operator.imatmul(np.ones((2, 3)), np.ones((3, 4))),
    )
    integers = ca.ones((2, 2), "int32")
    check(
        lambda: operator.imatmul(integers, ca.ones((2, 2))),
        lambda: operator.imatmul(np.ones((2, 2), "int32"), np.ones((2, 2))),
    )


# ---- what is read where it is


@pytest.fixture
def operands_read(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The addresses of the matrices that are multiplied."""
    seen: list[int] = []
    multiply = _contraction.multiply_matrices

    def listening(a: ca.CuArray, b: ca.CuArray, **options: Any) -> Any:
        seen.extend((a.pointer, b.pointer))
        return multiply(a, b, **options)

    monkeypatch.setattr(_contraction, "multiply_matrices", listening)
    return seen


@pytest.mark.parametrize(
    ("subscripts", "shapes", "axes"),
    [
        ("ij,jk->ik", [(4, 5), (5, 6)], [(0, 1), (0, 1)]),
        ("ij,jk->ki", [(4, 5), (5, 6)], [(0, 1), (0, 1)]),
        ("ij,kj->ik", [(4, 5), (6, 5)], [(1, 0), (1, 0)]),
        ("bij,bjk->bik", [(3, 4, 5), (3, 5, 6)], [(0, 1, 2), (2, 0, 1)]),
        ("ijk,jkl->il", [(4, 5, 6), (5, 6, 3)], [(0, 1, 2), (0, 1, 2)]),
        ("ijk,kjl->il", [(4, 5, 6), (6, 5, 3)], [(0, 1, 2), (1, 0, 2)]),
        ("bhqd,bhkd->bhqk", [(2, 3, 4, 5), (2, 3, 6, 5)], [(0, 2, 1, 3), (0, 2, 1, 3)]),
        ("ab...,bc->...ac", [(2, 3, 4), (3, 5)], [(2, 0, 1), (0, 1)]),
    ],
)
def test_views_are_not_copied(
    subscripts: str, shapes: list[tuple[int, ...]], axes: list[tuple[int, ...]], operands_read: list[int]
) -> None:
    """Where the labels' axes can be walked as those of matrices, whatever the order in memory (`axes`)."""
    pairs_ = []
    for shape, order in zip(shapes, axes, strict=True):
        x = np.arange(float(np.prod(shape))).reshape(shape)
        pairs_.append((x, ca.array(x.transpose(order).copy()).transpose(np.argsort(order))))
    expected = np.einsum(subscripts, *(x for x, _ in pairs_))
    assert_same(ca.einsum(subscripts, *(y for _, y in pairs_)), expected)
    assert sorted(operands_read) == sorted(y.pointer for _, y in pairs_)


def test_tensordot_reads_in_place(operands_read: list[int]) -> None:
    a, b = np.arange(60.0).reshape(3, 4, 5), np.arange(120.0).reshape(4, 5, 6)
    x, y = ca.array(a.transpose(1, 2, 0).copy()).transpose(2, 0, 1), ca.array(b)
    for axes in (2, ([1, 2], [0, 1]), ([2, 1], [1, 0])):
        operands_read.clear()
        assert_same(ca.tensordot(x, y, axes), np.tensordot(a, b, axes))
        assert operands_read == [x.pointer, y.pointer]


def test_the_order_of_contractions() -> None:
    """The cheap order is found, whatever the operands' places; and what it may be told."""
    shapes = [(2, 300), (300, 300), (300, 300), (300, 2)]
    arrays = [np.ones(shape) for shape in shapes]
    operands = list(map(ca.array, arrays))
    expected = np.full((2, 2), 300.0**3)
    for optimize in (
        True,
        False,
        None,
        "greedy",
        "optimal",
        "auto",
        "dp",
        ("optimal", 10_000),
        ["einsum_path", (2, 3)],
    ):
        assert_same(ca.einsum("ij,jk,kl,lm->im", *operands, optimize=optimize), expected)
    for bad, kind in (("nonsense", KeyError), (3.5, TypeError), (("greedy", 2, 3), TypeError)):
        with pytest.raises(kind):
            ca.einsum("ij,jk,kl,lm->im", *operands, optimize=bad)


def test_multi_dot_is_parenthesised_well(monkeypatch: pytest.MonkeyPatch) -> None:
    """As few multiplications as the best order needs, found by trying all."""
    extents = (30, 35, 15, 5, 10, 20, 25)
    counted: list[int] = []
    product = _powers.matmul

    def counting(a: Any, b: Any) -> Any:
        counted.append(a.shape[0] * a.shape[1] * b.shape[1])
        return product(a, b)

    monkeypatch.setattr(_powers, "matmul", counting)
    arrays = [np.ones(pair) for pair in itertools.pairwise(extents)]
    assert_same(ca.linalg.multi_dot(list(map(ca.array, arrays))), np.linalg.multi_dot(arrays))
    assert sum(counted) == 15125  # of the 42 orders, the least
