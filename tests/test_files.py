"""Files in NumPy's format, raw bytes and text; pickles and copies."""

from __future__ import annotations

import copy
import io
import pickle
import warnings
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given
from hypothesis import strategies as st
from strategies import Pair, dtypes, pairs

import cuarray as ca


def saved(save: Any, *args: Any, **kwargs: Any) -> io.BytesIO:
    file = io.BytesIO()
    save(file, *args, **kwargs)
    file.seek(0)
    return file


@given(x=pairs())
def test_npy_goes_both_ways(x: Pair) -> None:
    """The same bytes as NumPy's; the order of Fortran is kept."""
    ours, theirs = saved(ca.save, x.cuarray), saved(np.save, x.numpy)
    assert ours.getvalue() == theirs.getvalue()
    result, expected = ca.load(theirs), np.load(ours)
    assert_same(result, expected, exact=True)
    assert result.flags.f_contiguous == expected.flags.f_contiguous
    assert result.flags.writeable and result.flags.owndata


@given(first=pairs(dtypes("if")), second=pairs(dtypes("bc")))
def test_npz_goes_both_ways(first: Pair, second: Pair) -> None:
    for save in ("savez", "savez_compressed"):
        with ca.load(saved(getattr(np, save), first.numpy, named=second.numpy)) as arrays:
            assert set(arrays.files) == {"arr_0", "named"} == set(arrays) and len(arrays) == 2
            assert_same(arrays["arr_0"], first.numpy, exact=True)
            assert_same(arrays["named"], second.numpy, exact=True)
            assert "other" not in arrays
        theirs = np.load(saved(getattr(ca, save), first.cuarray, named=second.cuarray))
        np.testing.assert_array_equal(theirs["arr_0"], first.numpy)
        np.testing.assert_array_equal(theirs["named"], second.numpy)


def test_files_by_name(tmp_path: Path) -> None:
    x = ca.arange(100_000)
    ca.save(tmp_path / "one", x)
    assert_same(ca.load(tmp_path / "one.npy"), np.arange(100_000))
    assert_same(ca.load(str(tmp_path / "one.npy")), np.arange(100_000))
    ca.savez(tmp_path / "two", x, y=2 * x)
    arrays = ca.load(tmp_path / "two.npz")
    assert_same(arrays["y"], 2 * np.arange(100_000))
    assert "arr_0" in repr(arrays)
    with pytest.raises(KeyError, match="nothing"):
        arrays["nothing"]
    arrays.close()
    with open(tmp_path / "several", "wb") as file:
        ca.save(file, x[:3])
        ca.save(file, x[:2])
    with open(tmp_path / "several", "rb") as file:
        assert_same(ca.load(file), np.arange(3))
        assert_same(ca.load(file), np.arange(2))
        with pytest.raises(EOFError):
            ca.load(file)


def test_versions_and_byte_orders() -> None:
    host = np.arange(6, dtype=">i4").reshape(2, 3).T
    assert_same(ca.load(saved(np.save, host)), host.astype("i4"))
    for version in ((1, 0), (2, 0), (3, 0)):
        file = io.BytesIO()
        np.lib.format.write_array(file, host.astype("f4"), version)
        assert_same(ca.load(io.BytesIO(file.getvalue())), host.astype("f4"))
    names = np.zeros(2, [("größe", "f4"), ("b", ">i2")])
    names["größe"], names["b"] = [1, 2], [3, 4]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that version 3 is needed for such names
        file = saved(np.save, names)
    assert ca.load(file).tolist() == names.tolist()


def test_structs_and_bfloat16() -> None:
    types = ca.cudadef("struct Saved { float2 at; double mass; };")
    x = ca.zeros(3, types.Saved)
    x["mass"][...] = ca.arange(3)
    result = ca.load(saved(ca.save, x))
    assert result.dtype.names == ("at", "mass")
    assert_same(result["mass"], np.arange(3.0))
    half = ca.zeros(3, ml_dtypes.bfloat16)
    with pytest.raises(TypeError, match="bfloat16"):
        ca.save(io.BytesIO(), half)
    assert ca.load(saved(ca.save, half.view("uint16"))).view(ml_dtypes.bfloat16).dtype == half.dtype


def test_what_is_refused() -> None:
    for call in (
        lambda: ca.save(io.BytesIO(), ca.zeros(1), allow_pickle=True),
        lambda: ca.savez(io.BytesIO(), ca.zeros(1), allow_pickle=True),
        lambda: ca.load(io.BytesIO(), allow_pickle=True),
        lambda: ca.load(saved(lambda f: np.save(f, np.array([None, 1]), allow_pickle=True))),
    ):
        with pytest.raises(ValueError, match="allow_pickle"):
            call()
    with pytest.raises(ValueError, match="mmap_mode"):
        ca.load(io.BytesIO(), "r")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="format"):
        ca.load(io.BytesIO(pickle.dumps([1, 2])))
    with pytest.raises(ValueError, match="ends after"):
        ca.load(io.BytesIO(saved(np.save, np.arange(9)).getvalue()[:-5]))
    with pytest.raises(TypeError, match="dtype"):
        ca.load(saved(np.save, np.array(["text"])))


@given(x=pairs(dtypes("if")), order=st.sampled_from(["C", "F", "A", None]))
def test_bytes(x: Pair, order: str | None) -> None:
    assert x.cuarray.tobytes(order) == x.numpy.tobytes(order)
    assert_same(
        ca.frombuffer(x.cuarray.tobytes(), x.numpy.dtype) if x.numpy.size else ca.ravel(x.cuarray), x.numpy.ravel()
    )


def test_raw_files(tmp_path: Path) -> None:
    host = np.arange(12.0).reshape(3, 4)
    x = ca.array(host)
    name = tmp_path / "raw"
    x.T.tofile(name)
    assert_same(ca.fromfile(name), host.T.ravel())
    assert_same(ca.fromfile(name, "f8", 3, offset=16), np.fromfile(name, "f8", 3, offset=16))
    x.tofile(name, sep=",", format="%.2f")
    assert_same(ca.fromfile(name, sep=","), host.ravel())


def test_text() -> None:
    host = np.arange(6.0).reshape(2, 3) / 4
    file = io.StringIO()
    ca.savetxt(file, ca.array(host), fmt="%.3f", header="x y z")
    assert_same(ca.loadtxt(io.StringIO(file.getvalue())), host)
    columns = ca.loadtxt(io.StringIO("1,2.5\n3,4.5"), dtype="i4,f8", delimiter=",", unpack=True)
    assert [column.tolist() for column in columns] == [[1, 3], [2.5, 4.5]]
    assert_same(ca.genfromtxt(io.StringIO("1,,3"), delimiter=",", filling_values=9), np.array([1.0, 9.0, 3.0]))


@given(x=pairs())
def test_pickles_and_copies(x: Pair) -> None:
    """By value; in Fortran order what was; writeable and without a base."""
    for protocol in (2, pickle.HIGHEST_PROTOCOL):
        result = pickle.loads(pickle.dumps(x.cuarray, protocol))
        expected = pickle.loads(pickle.dumps(x.numpy, protocol))
        assert_same(result, expected, exact=True)
        assert result.flags.f_contiguous == expected.flags.f_contiguous
        assert result.flags.writeable and result.flags.owndata
    for function in (copy.copy, copy.deepcopy):
        result, expected = function(x.cuarray), function(x.numpy)
        assert_same(result, expected, exact=True)
        assert result.flags.writeable and result.flags.owndata
        if x.numpy.size:
            assert result._pointer != x.cuarray._pointer
            assert result.flags.f_contiguous == expected.flags.f_contiguous


def test_pickles_of_what_is_only_stored() -> None:
    pairs = ca.array(np.array([(1, 2.5)], np.dtype([("a", "i4"), ("b", "f8")], align=True)))
    result = pickle.loads(pickle.dumps(pairs))
    assert result.dtype == pairs.dtype and result.tolist() == [(1, 2.5)]
    half = ca.array(np.array([1, 2], ml_dtypes.bfloat16))
    result = pickle.loads(pickle.dumps({"x": half}))["x"]
    assert result.dtype == half.dtype and np.asarray(result).tolist() == [1, 2]


@given(x=pairs())
def test_byteswap(x: Pair) -> None:
    assert x.cuarray.byteswap().tobytes() == x.numpy.byteswap().tobytes()
    if x.cuarray.flags.writeable and x.numpy.size:
        expected = x.numpy.copy()
        expected.byteswap(inplace=True)
        y = x.cuarray.copy()
        assert y.byteswap(inplace=True) is y
        assert y.tobytes() == expected.tobytes()
