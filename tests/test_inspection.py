"""What is asked about dtypes, arrays, their memory, and the namespace."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from comparison import outcome
from hypothesis import given
from hypothesis import strategies as st
from strategies import Pair, dtypes, pairs

import cuarray as ca

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
    assert x.__array_namespace__() is ca
    assert x.__array_namespace__(api_version="2025.12") is ca
    with pytest.raises(ValueError, match="api_version"):
        x.__array_namespace__(api_version="1999.01")
    assert ca.__array_api_version__ == "2025.12"


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
