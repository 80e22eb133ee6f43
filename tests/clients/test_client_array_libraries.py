"""Small libraries over any array: array-api-compat, array-api-extra, opt_einsum, einops, xarray, dask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree, assert_agree

import cuarray as ca
from cuarray import array_api

RANDOM = np.random.default_rng(2)
A = RANDOM.standard_normal((3, 4))
B = RANDOM.standard_normal((4, 5))
C = RANDOM.standard_normal((5, 3))


# ---- array-api-compat


def test_compat_finds_the_namespace() -> None:
    compat = pytest.importorskip("array_api_compat")
    x = ca.arange(3.0)
    assert compat.is_array_api_obj(x)
    assert compat.array_namespace(x, 2.0, x) is array_api
    assert compat.device(x) == x.device
    assert compat.size(x) == 3
    assert not compat.is_numpy_namespace(array_api)
    assert compat.is_lazy_array(x) is False
    assert compat.is_writeable_array(x)
    assert_agree(compat.to_device(x, compat.device(x)), np.arange(3.0))
    with pytest.raises(TypeError):
        compat.array_namespace(x, np.arange(3.0))


# ---- array-api-extra

EXTRA: dict[str, Callable[[Any, Any], Any]] = {
    "atleast_nd": lambda xpx, x: xpx.atleast_nd(x, ndim=3),
    "cov": lambda xpx, x: xpx.cov(x),
    "create_diagonal": lambda xpx, x: xpx.create_diagonal(x[0, :]),
    "expand_dims": lambda xpx, x: xpx.expand_dims(x, axis=(0, 3)),
    "kron": lambda xpx, x: xpx.kron(x, x[:2, :2]),
    "nunique": lambda xpx, x: xpx.nunique(x > 0),
    "pad": lambda xpx, x: xpx.pad(x, 2, constant_values=1.5),
    "setdiff1d": lambda xpx, x: xpx.setdiff1d(x[0, :], x[0, :2]),
    "sinc": lambda xpx, x: xpx.sinc(x),
    "isclose": lambda xpx, x: xpx.isclose(x, x + 1e-9),
    "one_hot": lambda xpx, x: xpx.one_hot((x > 0).sum(axis=0), 4),
    "argpartition": lambda xpx, x: xpx.argpartition(x[0, :], 0)[:1],
    "at": lambda xpx, x: xpx.at(x)[0, 1:].add(2.5, copy=True),
    "at_mask": lambda xpx, x: xpx.at(x, x > 0).set(0.0, copy=True),
    "apply_where": lambda xpx, x: xpx.apply_where(x > 0, x, abs, fill_value=-1.0),
    "nan_to_num": lambda xpx, x: xpx.nan_to_num(x / (x - x[0, 0])),
    "median": lambda xpx, x: xpx.median(x, axis=-1) if hasattr(xpx, "median") else x,
}


@pytest.mark.parametrize("name", EXTRA)
def test_extra(name: str) -> None:
    xpx = pytest.importorskip("array_api_extra")
    agree(lambda x: EXTRA[name](xpx, x), A)


# ---- opt_einsum and einops


@pytest.mark.parametrize("expression", ["ij,jk,kl->il", "ij,jk,ki->", "ij,jk,kl->lji"])
def test_opt_einsum(expression: str) -> None:
    opt_einsum = pytest.importorskip("opt_einsum")
    expected = np.einsum(expression, A, B, C)
    operands = [ca.asarray(x) for x in (A, B, C)]
    result = opt_einsum.contract(expression, *operands)
    assert_agree(result, np.asarray(expected), rtol=1e-12)


def test_einops() -> None:
    array_api = pytest.importorskip("einops.array_api")

    x = RANDOM.standard_normal((2, 6, 4))
    agree(lambda x: array_api.rearrange(x, "b (h w) c -> (b c) w h", h=2), x)
    agree(lambda x: array_api.reduce(x, "b (h w) c -> h c", "mean", h=2), x)
    agree(lambda x: array_api.reduce(x, "b h c -> b c", "max"), x)
    agree(lambda x: array_api.repeat(x, "b h c -> b (h 2) c"), x)
    agree(lambda x, y: array_api.pack([x, y], "b * c")[0], x, x[:, 0, :])


# ---- xarray

XARRAY: dict[str, Callable[[Any], Any]] = {
    "arithmetic": lambda x: 2 * x + x.mean("row") - 1.0,
    "comparison": lambda x: x > 0,
    "sum": lambda x: x.sum("column"),
    "mean": lambda x: x.mean(),
    "std": lambda x: x.std("row"),
    "max": lambda x: x.max("row"),
    "argmax": lambda x: x.argmax("row"),
    "cumsum": lambda x: x.cumsum("row"),
    "transpose": lambda x: x.transpose("column", "row"),
    "isel": lambda x: x.isel(row=slice(0, 2), column=1),
    "isel_list": lambda x: x.isel(column=[0, 2]),
    "where": lambda x: x.where(x > 0, 0.0),
    "clip": lambda x: x.clip(-1.0, 1.0),
    "stack": lambda x: x.stack(place=("row", "column")),
    "roll": lambda x: x.roll(row=1),
    "shift": lambda x: x.shift(row=1),
    "broadcast": lambda x: x.isel(row=0) * x.isel(column=0),
    "astype": lambda x: x.astype("float32"),
    "dot": lambda x: x.dot(x, dim="row"),
    "fillna": lambda x: x.where(x > 0).fillna(7.0),
    "median": lambda x: x.median("row"),
    "prod": lambda x: x.prod("row"),
    "any": lambda x: (x > 0).any("row"),
    "count": lambda x: x.where(x > 0).count("row"),
    "quantile": lambda x: x.quantile(0.3, "row"),
    "diff": lambda x: x.diff("row"),
    "mean_of_valid": lambda x: x.where(x > 0).mean("row"),
    "sum_of_enough": lambda x: x.where(x > 0).sum("row", min_count=2),
    "std_of_sample": lambda x: x.std("row", ddof=1),
    "ufunc": lambda x: np.maximum(np.sin(x), 0.0),
    "groupby": lambda x: x.assign_coords(row=[1, 1, 2]).groupby("row").mean(),
    "coarsen": lambda x: x.coarsen(column=2).mean(),
    "rolling": lambda x: x.rolling(column=2).mean(),
    "weighted": lambda x: x.weighted(x.isel(column=0) ** 2).mean("row"),
    "sel": lambda x: x.assign_coords(row=[10, 20, 30]).sel(row=slice(10, 20)),
    "reindex": lambda x: x.assign_coords(row=[10, 20, 30]).reindex(row=[20, 40]),
    "sortby": lambda x: x.sortby(x.isel(row=0)),
    "dropna": lambda x: x.where(x > -1).dropna("row"),
    "pad": lambda x: x.pad(row=1, constant_values=0.0),
    "unstack": lambda x: x.stack(place=("row", "column")).unstack("place"),
    "differentiate": lambda x: x.assign_coords(row=[0.0, 1.0, 2.0]).differentiate("row"),
    "polyfit": lambda x: x.assign_coords(row=[0.0, 1.0, 2.0]).polyfit("row", 1).polyfit_coefficients,
}


@pytest.mark.parametrize("name", XARRAY)
def test_xarray(name: str) -> None:
    xarray = pytest.importorskip("xarray")
    # Plain NumPy reductions, not those of bottleneck, which only takes NumPy's arrays.
    with xarray.set_options(use_bottleneck=False, use_numbagg=False, use_opt_einsum=False):
        agree(lambda x: XARRAY[name](xarray.DataArray(x, dims=("row", "column"))).data, A)


def test_xarray_concatenates() -> None:
    xarray = pytest.importorskip("xarray")
    agree(
        lambda x: (
            xarray.concat([xarray.DataArray(x, dims=("r", "c")), xarray.DataArray(-x, dims=("r", "c"))], "r").data
        ),
        A,
    )


def test_xarray_shows_arrays() -> None:
    xarray = pytest.importorskip("xarray")
    assert "row: 3" in repr(xarray.DataArray(ca.asarray(A), dims=("row", "column")))


# ---- dask

DASK: dict[str, Callable[[Any, Any], Any]] = {
    "elementwise": lambda da, x: da.sin(x) * 2 + x,
    "sum": lambda da, x: x.sum(axis=0),
    "mean": lambda da, x: x.mean(),
    "max": lambda da, x: x.max(axis=1),
    "transpose": lambda da, x: x.T,
    "slice": lambda da, x: x[1:, ::2],
    "concatenate": lambda da, x: da.concatenate([x, x], axis=1),
    "stack": lambda da, x: da.stack([x, x]),
    "matmul": lambda da, x: x @ x.T,
    "reshape": lambda da, x: x.reshape(-1),
    "where": lambda da, x: da.where(x > 0, x, 0.0),
    "cumsum": lambda da, x: x.cumsum(axis=0),
    "map_blocks": lambda da, x: x.map_blocks(lambda block: block * 2),
    "map_overlap": lambda da, x: x.map_overlap(lambda block: block * 2, depth=1, boundary="reflect"),
    "std": lambda da, x: x.std(axis=0),
    "argmax": lambda da, x: x.argmax(axis=0),
    "any": lambda da, x: (x > 0).any(axis=0),
    "nanmean": lambda da, x: da.nanmean(da.where(x > 0, x, np.nan), axis=0),
    "median": lambda da, x: da.median(x, axis=0),
    "tensordot": lambda da, x: da.tensordot(x, x, axes=([1], [1])),
    "einsum": lambda da, x: da.einsum("ij,kj->ik", x, x),
    "mask": lambda da, x: x[x > 0],
    "take": lambda da, x: x[:, [0, 2]],
    "diff": lambda da, x: da.diff(x, axis=0),
    "pad": lambda da, x: da.pad(x, 1),
    "roll": lambda da, x: da.roll(x, 1, axis=0),
    "block": lambda da, x: da.block([[x, x], [x, x]]),
    "rechunk": lambda da, x: x.rechunk((3, 4)),
    "topk": lambda da, x: da.topk(x, 2, axis=1),
    "svd": lambda da, x: da.linalg.svd(x.rechunk((3, 4)))[1],
    "cholesky": lambda da, x: da.linalg.cholesky((x @ x.T).rechunk((3, 3))),
    "fft": lambda da, x: da.fft.fft(x.rechunk((2, 4))),
    "cov": lambda da, x: da.cov(x),
    "histogram": lambda da, x: da.histogram(x, bins=np.array([-2.0, 0.0, 2.0]))[0],
    "ufunc": lambda da, x: np.sin(x),
    "gufunc": lambda da, x: da.apply_gufunc(lambda a: a.mean(axis=-1), "(i)->()", x.rechunk((2, 4))),
}


@pytest.mark.parametrize("name", DASK)
def test_dask(name: str) -> None:
    da = pytest.importorskip("dask.array")
    import dask

    with dask.config.set(scheduler="synchronous"):
        agree(lambda x: DASK[name](da, da.from_array(x, chunks=(2, 2), asarray=False)).compute(), A)
