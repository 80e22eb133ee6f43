"""What is asked about dtypes, arrays, their memory, and the namespace."""

from __future__ import annotations

import dataclasses
import inspect
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, outcome
from hypothesis import given
from hypothesis import strategies as st
from strategies import Pair, dtypes, pairs

import cuarray as ca
from cuarray import array_api

WEAK = st.sampled_from([1, 2.5, 1j, True])


@given(data=st.data())
def test_result_type(data: st.DataObject) -> None:
    drawn = data.draw(st.lists(dtypes().map(lambda d: (ca.zeros(1, d), np.zeros(1, d))) | dtypes() | WEAK, min_size=1))
    ours = [value[0] if isinstance(value, tuple) else value for value in drawn]
    theirs = [value[1] if isinstance(value, tuple) else value for value in drawn]
    assert ca.result_type(*ours) == np.result_type(*theirs)


@given(source=dtypes(), target=dtypes(), casting=st.sampled_from(["no", "safe", "same_kind", "unsafe"]))
def test_casts(source: np.dtype, target: np.dtype, casting: str) -> None:
    assert ca.can_cast(ca.zeros(1, source), target, casting) == np.can_cast(source, target, casting)
    assert ca.can_cast(source, target, casting) == np.can_cast(source, target, casting)
    assert ca.promote_types(source, target) == np.promote_types(source, target)
    (ours, our_error), (theirs, error) = (
        outcome(lambda m=m: m.common_type(m.zeros(1, source), m.zeros(1, target))) for m in (ca, np)
    )
    assert ours == theirs and type(our_error) is type(error)
    assert ca.isdtype(source, "integral") == np.isdtype(source, "integral")
    assert ca.issubdtype(source, ca.floating) == np.issubdtype(source, np.floating)


def test_limits() -> None:
    assert ca.finfo(ca.zeros(1, "f4")).eps == np.finfo("f4").eps
    assert ca.finfo("complex64").bits == 32
    assert ca.iinfo("int8").max == 127
    with pytest.raises(ValueError):
        ca.iinfo("f4")
    assert ca.min_scalar_type(-1) == np.int8
    assert ca.min_scalar_type(ca.zeros(3, "i8")) == np.int64
    assert ca.min_scalar_type(ca.array(300)) == np.min_scalar_type(np.array(300))


KINDS = ["bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric"]


def test_of_bfloat16() -> None:
    """What NumPy does not know: bfloat16 takes part as in arithmetic, in float16's place."""
    assert ca.finfo(ca.bfloat16).eps == ca.finfo(ca.zeros(1, "bfloat16")).eps == 2**-7
    for name in (ca.bfloat16, ca.dtype(ca.bfloat16)):
        assert [ca.isdtype(name, kind) for kind in KINDS] == [np.isdtype(np.float16, kind) for kind in KINDS]
        assert ca.isdtype(name, ("bool", ca.bfloat16)) and not ca.isdtype(name, (np.float16, "integral"))
        assert not ca.isdtype(np.float16, name) and not ca.isdtype(name, ())
        assert ca.issubdtype(name, ca.floating) and ca.issubdtype(name, name) and not ca.issubdtype(name, np.float16)
        assert not ca.issubdtype(name, ca.integer) and not ca.issubdtype(np.float16, name)
    with pytest.raises(ValueError):
        ca.isdtype(ca.bfloat16, "float")
    x = ca.ones(1, ca.bfloat16)
    for other in (1, 2.5, 1j, True, np.float32(1), "int8", "float16", "float64", ca.ones(1, "int32"), ca.bfloat16):
        operand = ca.ones(1, other) if isinstance(other, str | type) else other
        assert ca.result_type(x, other) == (x + operand).dtype
        if isinstance(other, str):
            assert ca.promote_types(ca.bfloat16, other) == ca.promote_types(other, "bfloat16") == (x + operand).dtype
            assert ca.can_cast("bfloat16", other) == (ca.promote_types("bfloat16", other) == np.dtype(other))
    assert ca.can_cast("float32", x.dtype, "same_kind") and not ca.can_cast(ca.ones(1), ca.bfloat16)
    with pytest.raises(TypeError):
        ca.can_cast(1.0, ca.bfloat16)


@given(x=pairs())
def test_shapes(x: Pair) -> None:
    assert ca.shape(x.cuarray) == x.numpy.shape
    assert ca.ndim(x.cuarray) == x.numpy.ndim
    assert ca.size(x.cuarray) == x.numpy.size
    assert ca.iscomplexobj(x.cuarray) == np.iscomplexobj(x.numpy) == (not ca.isrealobj(x.cuarray))
    for axis in (0, -1, (0, 1), 5):
        ours, theirs = outcome(lambda a=axis: ca.size(x.cuarray, a)), outcome(lambda a=axis: np.size(x.numpy, a))
        assert ours[0] == theirs[0] and isinstance(ours[1], IndexError) == isinstance(theirs[1], IndexError)


def test_of_what_is_no_array() -> None:
    assert (ca.shape([[1, 2]]), ca.ndim(3), ca.size([1, 2])) == ((1, 2), 0, 2)
    assert ca.isscalar(3) and ca.isscalar(np.float32(1)) and not ca.isscalar(ca.array(3))
    assert ca.iterable(ca.zeros(2)) and not ca.iterable(ca.array(3))


@given(data=st.data())
def test_memory_in_common(data: st.DataObject) -> None:
    host = np.arange(24, dtype="i4").reshape(4, 6)
    x = ca.array(host)
    slices = st.builds(slice, st.integers(0, 5), st.integers(0, 6), st.sampled_from([1, 2, 3, -1]))
    first, second = (data.draw(st.tuples(slices, slices)) for _ in range(2))
    assert ca.shares_memory(x[first], x[second]) == np.shares_memory(host[first], host[second])
    assert ca.may_share_memory(x[first], x[second]) == np.may_share_memory(host[first], host[second])
    assert not ca.shares_memory(x, ca.array(host)) and not ca.shares_memory(x, host)


# ---- the array API standard's own


def test_namespace() -> None:
    x = ca.zeros(1)
    assert x.__array_namespace__() is array_api
    assert x.__array_namespace__(api_version="2025.12") is array_api
    with pytest.raises(ValueError, match="api_version"):
        x.__array_namespace__(api_version="1999.01")
    assert ca.__array_api_version__ == "2025.12"


def test_where_the_standard_and_numpy_exclude_each_other() -> None:
    """`ca` has NumPy's ways, the namespace of libraries the standard's, and else they are one."""
    own = {name for name in ca.__all__ if getattr(array_api, name) is not getattr(ca, name)}
    assert own == {"clip", "finfo", "linalg"}
    assert {n for n in ca.linalg.__all__ if getattr(array_api.linalg, n) is not getattr(ca.linalg, n)} == {
        "eig",
        "eigvals",
    }
    assert list(inspect.signature(array_api.clip).parameters) == ["x", "min", "max"]


@given(x=pairs(), limits=st.tuples(*[st.none() | st.integers(-3, 3)] * 2))
def test_clip_of_the_standard(x: Pair, limits: tuple[int | None, int | None]) -> None:
    low, high = limits
    (ours, our_error), (theirs, error) = (
        outcome(lambda c=c, v=v: c(v, min=low, max=high)) for c, v in ((array_api.clip, x.cuarray), (np.clip, x.numpy))
    )
    assert type(our_error) is type(error)
    if error is None:
        assert_same(ours, theirs)
        assert_same(array_api.clip(x.cuarray, low, high), theirs)


@pytest.mark.parametrize("name", ["float16", "float32", "float64", "complex64", "complex128", "bfloat16"])
def test_limits_of_the_standard(name: str) -> None:
    theirs = ca.finfo(name)
    for limits in (array_api.finfo(ca.dtype(name)), array_api.finfo(ca.zeros(1, name))):
        for field in dataclasses.fields(limits):
            own = getattr(limits, field.name)
            assert own == getattr(theirs, field.name)
            assert type(own) is {"bits": int}.get(field.name, float) or field.name == "dtype"
    with pytest.raises(ValueError):
        array_api.finfo("int32")


@pytest.mark.parametrize("name", ["int32", "float32", "float64", "complex64", "complex128"])
def test_eigenvalues_of_the_standard(name: str) -> None:
    """Complex also where NumPy's are real: in one case all are, in the other some."""
    for host in (np.diag([1, 2, 3]), np.array([[0, -1, 0], [1, 0, 0], [0, 0, 4]])):
        x = ca.array(host.astype(name))
        values, vectors = array_api.linalg.eig(x)
        wanted = "complex64" if name in ("float32", "complex64") else "complex128"
        assert values.dtype == vectors.dtype == array_api.linalg.eigvals(x).dtype == wanted
        np.testing.assert_allclose(np.asarray(x @ vectors), np.asarray(vectors * values[None]), atol=1e-5)
        found = np.asarray(array_api.linalg.eigvals(x))
        np.testing.assert_allclose(np.poly(found), np.poly(host), atol=1e-5)  # in no order


def test_namespace_info() -> None:
    info = ca.__array_namespace_info__()
    assert set(info.capabilities()) == {"boolean indexing", "data-dependent shapes", "max dimensions"}
    device = info.default_device()
    assert info.devices() == (device,) and ca.zeros(1).device == device
    defaults = info.default_dtypes(device=device)
    assert defaults["real floating"] == ca.zeros(1).dtype
    assert defaults["integral"] == ca.array([1]).dtype
    assert defaults["complex floating"] == ca.array([1j]).dtype
    assert defaults["indexing"] == ca.argmax(ca.zeros(1)).dtype
    assert set(info.dtypes()) == {dtype.name for dtype in map(np.dtype, "?bhilBHILfdFD")}
    kinds = ("bool", "signed integer", "unsigned integer", "integral", "real floating", "complex floating", "numeric")
    for kind in kinds:
        found = info.dtypes(kind=kind, device=device)
        assert found and found == np.__array_namespace_info__().dtypes(kind=kind)
    assert info.dtypes(kind=("bool", "integral")) == info.dtypes(kind="bool") | info.dtypes(kind="integral")
    for call in (
        lambda: info.dtypes(kind="other"),
        lambda: info.dtypes(device="x"),
        lambda: info.default_dtypes(device="x"),
    ):
        with pytest.raises(ValueError):
            call()


@pytest.mark.parametrize(
    "name", ["bool", "int_", "intp", "uint", "float64", "floating", "integer", "number", "generic"]
)
def test_names_of_types(name: str) -> None:
    assert getattr(ca, name) is getattr(np, name)


def test_constants() -> None:
    names: Any = ("pi", "e", "euler_gamma", "inf", "newaxis")
    assert all(getattr(ca, name) == getattr(np, name) for name in names)
    assert np.isnan(ca.nan) and ca.dtype is np.dtype
