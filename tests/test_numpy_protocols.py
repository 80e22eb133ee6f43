"""NumPy's functions given CuArrays: cuarray computes, nothing goes to the CPU unasked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given
from strategies import Pair, dtypes, pairs

import cuarray as ca
from cuarray._functions import BY_NUMPY_UFUNC
from cuarray._interop.numpy_protocols import counterpart

A = np.array([[1.0, -2.0, 3.0], [4.0, 0.5, -6.0]])


def x() -> ca.CuArray:
    return ca.array(A)


# ---- ufuncs


@given(first=pairs(dtype=dtypes("if"), shape=(2, 3)), second=pairs(dtype=dtypes("if"), shape=(2, 3)))
def test_numpys_arrays_take_part(first: Pair, second: Pair) -> None:
    """Whichever operand is NumPy's, the result is a CuArray of NumPy's value and dtype."""
    expected = first.numpy + second.numpy
    assert_same(np.add(first.cuarray, second.numpy), expected)
    assert_same(np.add(first.numpy, second.cuarray), expected)
    assert_same(first.numpy + second.cuarray, expected)
    assert_same(first.cuarray + second.numpy, expected)
    assert_same(first.numpy < second.cuarray, first.numpy < second.numpy)


@pytest.mark.parametrize("scalar", [2, 2.5, np.float32(2.5), np.int64(2), True])
def test_scalars_take_part(scalar: Any) -> None:
    assert_same(np.multiply(scalar, x()), scalar * A)
    assert_same(scalar * x(), scalar * A)
    assert_same(scalar < x(), scalar < A)


def test_arguments_of_ufuncs() -> None:
    out = ca.zeros((2, 3))
    assert np.add(x(), 1, out=out) is out
    assert_same(out, A + 1)
    assert np.multiply(A, 3, out=(out,)) is out  # nothing but out is a CuArray
    assert_same(out, A * 3)
    assert_same(np.add(x(), 1, dtype="float32"), np.add(A, 1, dtype="float32"))
    assert_same(np.add(x(), 1, subok=True), A + 1)
    with pytest.raises(TypeError):
        np.add(x(), 1, out=ca.zeros((2, 3), "int8"))
    assert_same(np.add(x(), 1, out=ca.zeros((2, 3), "int8"), casting="unsafe"), (A + 1).astype("int8"))


def test_numpys_arrays_are_not_written_to() -> None:
    target = A.copy()
    for write in (
        lambda: np.add(x(), x(), out=target),
        lambda: target.__iadd__(x()),
        lambda: np.add.at(target, [0], x()),
    ):
        with pytest.raises(TypeError, match=r"CuArray.*np\.asarray"):
            write()
    np.testing.assert_array_equal(target, A)
    target += np.asarray(x())
    np.testing.assert_array_equal(target, 2 * A)


METHODS: dict[str, Callable[[np.ufunc, Any], Any]] = {
    "reduce": lambda ufunc, x: ufunc.reduce(x, axis=1),
    "reduce_keepdims": lambda ufunc, x: ufunc.reduce(x, axis=0, keepdims=True),
    "reduce_initial": lambda ufunc, x: ufunc.reduce(x, axis=0, initial=2.0),
    "accumulate": lambda ufunc, x: ufunc.accumulate(x, axis=1),
    "reduceat": lambda ufunc, x: ufunc.reduceat(x, [0, 2], axis=1),
    "outer": lambda ufunc, x: ufunc.outer(x, np.arange(3.0)),
}


@pytest.mark.parametrize("ufunc", [np.add, np.multiply, np.maximum], ids=lambda ufunc: ufunc.__name__)
@pytest.mark.parametrize("name", METHODS)
def test_methods_of_ufuncs(ufunc: np.ufunc, name: str) -> None:
    if not hasattr(BY_NUMPY_UFUNC[ufunc], name.partition("_")[0]):
        with pytest.raises(TypeError, match=f"ufunc {ufunc.__name__}.{name.partition('_')[0]}: cuarray does not have"):
            METHODS[name](ufunc, x())
        return
    assert_same(METHODS[name](ufunc, x()), METHODS[name](ufunc, A))


def test_at() -> None:
    if not hasattr(BY_NUMPY_UFUNC[np.add], "at"):
        with pytest.raises(TypeError, match=r"ufunc add.at: cuarray does not have"):
            np.add.at(x(), 0, 1.0)
        return
    ours, theirs = x(), A.copy()
    assert np.add.at(ours, [1, 1, 0], 2.0) is None
    np.add.at(theirs, [1, 1, 0], 2.0)
    assert_same(ours, theirs)


@pytest.mark.parametrize("ufunc", [np.divmod, np.modf, np.frexp], ids=lambda ufunc: ufunc.__name__)
def test_several_outputs(ufunc: np.ufunc) -> None:
    operands: list[Any] = [A, 2.0][: ufunc.nin]
    ours: list[Any] = [x(), 2.0][: ufunc.nin]
    if not hasattr(ca, ufunc.__name__):
        with pytest.raises(TypeError, match=f"ufunc {ufunc.__name__}: cuarray does not have"):
            ufunc(*ours)
        return
    expected = ufunc(*operands)
    for actual in (ufunc(*ours), ufunc(*ours, out=tuple(ca.zeros_like(ca.asarray(one)) for one in expected))):
        for one, other in zip(actual, expected, strict=True):
            assert_same(one, other)


def test_unknown_ufuncs() -> None:
    def nothing(value: float) -> float:
        return value

    with pytest.raises(TypeError, match=r"cuarray does not have it; np\.asarray"):
        np.frompyfunc(nothing, 1, 1)(x())


# ---- functions

FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "sum": lambda a: np.sum(a, axis=0),
    "mean": lambda a: np.mean(a, 1, keepdims=True),
    "argmax": lambda a: np.argmax(a),
    "clip": lambda a: np.clip(a, -1.0, 2.0),
    "round": lambda a: np.round(a, 1),
    "where": lambda a: np.where(a > 0, a, 0.0),
    "reshape": lambda a: np.reshape(a, (3, 2)),
    "transpose": lambda a: np.transpose(a),
    "moveaxis": lambda a: np.moveaxis(a, 0, 1),
    "squeeze": lambda a: np.squeeze(a[None]),
    "zeros_like": lambda a: np.zeros_like(a),
    "full_like": lambda a: np.full_like(a, 7),
    "dot": lambda a: np.dot(a, np.ones(3)),
    "like": lambda a: np.zeros(3, like=a),
    "concatenate": lambda a: np.concatenate([a, np.ones((1, 3))]),
    "stack": lambda a: np.stack([a, a], axis=1),
    "sort": lambda a: np.sort(a),
    "cumsum": lambda a: np.cumsum(a, axis=1),
    "std": lambda a: np.std(a, axis=0),
    "tensordot": lambda a: np.tensordot(a, a, axes=([1], [1])),
    "linalg.norm": lambda a: np.linalg.norm(a),
    "linalg.inv": lambda a: np.linalg.inv(a[:, :2]),
    "fft.fft": lambda a: np.fft.fft(a),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name: str) -> None:
    """NumPy's function is cuarray's; where cuarray has none, nothing is computed on the CPU instead."""
    function: Any = np.zeros if name == "like" else np
    for part in () if name == "like" else name.split("."):
        function = getattr(function, part)
    if counterpart(function) is None:
        with pytest.raises(TypeError, match=rf"cuarray has no function {name}; np\.asarray\(x\)"):
            FUNCTIONS[name](x())
        return
    expected = FUNCTIONS[name](A)
    assert_same(FUNCTIONS[name](x()), expected, rtol=1e-12, atol=1e-12)


def test_the_function_is_called() -> None:
    assert counterpart(np.sum) is ca.sum
    assert counterpart(np.expand_dims) is ca.expand_dims
    assert counterpart(np.busday_count) is None
    assert counterpart(np.lib.scimath.sqrt) is None  # not the same as numpy.sqrt


def test_out_of_functions() -> None:
    out = ca.zeros(3)
    assert np.sum(x(), axis=0, out=out) is out
    assert_same(out, A.sum(axis=0))
    with pytest.raises(TypeError, match="out must be a CuArray"):
        np.sum(x(), axis=0, out=np.zeros(3))


def test_questions_about_shape_and_dtype() -> None:
    assert np.shape(x()) == (2, 3) and np.ndim(x()) == 2
    assert int(np.size(x())) == 6
    assert not np.iscomplexobj(x()) and np.isrealobj(x())
    assert np.result_type(x(), np.float32) == np.float64
    assert np.can_cast(x().dtype, np.float32, "same_kind")


def test_texts_and_files(tmp_path: Any) -> None:
    assert np.array_str(x()) == np.array_str(A)
    assert np.array_repr(x()) == np.array_repr(A)
    assert np.array2string(x(), precision=1) == np.array2string(A, precision=1)
    np.save(tmp_path / "a.npy", x())
    np.testing.assert_array_equal(np.load(tmp_path / "a.npy"), A)
    np.savetxt(tmp_path / "a.txt", x())
    np.testing.assert_array_equal(np.loadtxt(tmp_path / "a.txt"), A)


def test_numpys_assertions_take_cuarrays() -> None:
    np.testing.assert_array_equal(x(), A)
    np.testing.assert_allclose(x(), A + 1e-12)
    with pytest.raises(AssertionError):
        np.testing.assert_array_equal(x(), A + 1)


# ---- foreign types


class Foreign:
    """An array of another library, which takes part in everything."""

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **options: Any) -> str:
        return f"{ufunc.__name__} {method}"

    def __array_function__(self, function: Any, types: Any, args: Any, options: Any) -> str:
        return function.__name__

    def __radd__(self, other: Any) -> str:
        return "radd"


class Aloof:
    """What takes no part in ufuncs."""

    __array_ufunc__ = None

    def __radd__(self, other: Any) -> str:
        return "radd"

    def __dlpack__(self, **options: Any) -> Any:
        raise AssertionError("asked, although it takes no part")


def test_foreign_types_are_asked() -> None:
    foreign: Any = Foreign()
    assert np.add(x(), foreign) == "add __call__"
    assert np.add(foreign, x()) == "add __call__"
    assert np.add(x(), x(), out=foreign) == "add __call__"
    assert np.concatenate([x(), foreign]) == "concatenate"
    assert x() + foreign == "radd"
    assert x() + Aloof() == "radd"


def test_masked_arrays_keep_their_mask() -> None:
    masked = np.ma.array(A, mask=A < 0)
    for result in (x() + masked, masked + x()):
        assert isinstance(result, np.ma.MaskedArray)
        np.testing.assert_array_equal(result.mask, A < 0)


@pytest.mark.parametrize("other", [None, "text", object(), {}], ids=lambda value: type(value).__name__)
def test_operators_with_what_is_no_operand(other: Any) -> None:
    assert (x() == other) is False
    assert (x() != other) is True
    for call in (lambda: x() + other, lambda: other - x(), lambda: x() < other):
        with pytest.raises(TypeError):
            call()


def test_round_of_results_without_dimensions() -> None:
    assert round(x()[0, 1]) == -2 and type(round(x()[0, 1])) is int
    assert_same(round(ca.array(1.256), 2), round(np.float64(1.256), 2))
    with pytest.raises(TypeError, match="dimensions"):
        round(x())
    with pytest.raises(TypeError):
        round(ca.array(1j))


# ---- flags, and the parts of complex numbers


def test_flags_can_be_set() -> None:
    array = x()
    array.flags.writeable = False
    with pytest.raises(ValueError, match="read-only"):
        array[0] = 1.0
    view = array[0]
    with pytest.raises(ValueError, match="WRITEABLE"):
        view.flags.writeable = True
    array.flags["WRITEABLE"] = True
    array[0] = 1.0
    array.setflags(write=False)
    assert not array.flags.writeable
    with pytest.raises(ValueError, match="WRITEABLE"):
        ca.broadcast_to(x(), (2, 2, 3)).flags.writeable = True


@pytest.mark.parametrize("index", [..., np.s_[:, 1:], np.s_[0], np.s_[0, 0:1]], ids=str)
@pytest.mark.parametrize("transposed", [False, True])
def test_flags_are_numpys(index: Any, transposed: bool) -> None:
    ours, theirs = ((a.T if transposed else a)[index].flags for a in (x(), A.copy()))
    assert repr(ours) == repr(theirs).rstrip("\n")
    # NumPy's farray is true of arrays that are not contiguous, and as an attribute of those that are so in both orders.
    names = [name for name in dir(theirs) if not name.startswith("_") and name not in ("num", "farray")]
    assert {name: getattr(ours, name) for name in names} == {name: getattr(theirs, name) for name in names}
    for key in (*(name.upper() for name in names), "C", "F", "O", "W", "A", "X", "B", "CA"):
        assert ours[key] == theirs[key], key
    for wrong in ("nothing", "contiguous", 3):
        with pytest.raises(KeyError, match="no flag"):
            ours[wrong]
    with pytest.raises(KeyError, match="cannot be set"):
        ours["C"] = True
    with pytest.raises(ValueError, match="uic"):
        x().setflags(uic=True)


def test_parts_can_be_set() -> None:
    ours, theirs = ca.array(A + 1j), A + 1j
    for array in (ours, theirs):
        array.real = 9
        array.imag = A
    assert_same(ours, theirs)
    real = x()
    real.real = 2
    assert_same(real, np.full((2, 3), 2.0))
    with pytest.raises(TypeError, match="imaginary"):
        real.imag = 1
