"""Reductions against NumPy's: axes, keepdims, dtypes, NaN, nothing to reduce, and sizes that need several blocks."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check, quiet
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from strategies import dtypes, pairs, shapes, values

import cuarray as ca
from cuarray._dtypes import DTYPES
from cuarray._functions._reduction import ufunc_reduce
from cuarray._table import ELEMENTWISE, REDUCTIONS

SUMMING = ("sum", "prod", "mean", "nansum", "nanprod", "nanmean")
SPREADS = ("var", "std", "nanvar", "nanstd")
# Those that NumPy's arrays have as methods.
METHODS = ("sum", "prod", "mean", "var", "std", "min", "max", "any", "all", "argmin", "argmax")


@st.composite
def axes(draw: st.DrawFn, ndim: int, one: bool = False) -> Any:
    """An axis argument: None, an int, or a tuple of axes; sometimes negative, rarely out of range."""
    number = st.integers(-ndim, max(ndim - 1, 0)) | st.integers(-ndim - 1, ndim)
    if one or not ndim:
        return draw(st.none() | number)
    count = draw(st.integers(0, ndim))
    several = st.permutations(range(ndim)).map(lambda order: tuple(order[:count]))
    return draw(st.none() | number | several)


def elements(name: str, dtype: np.dtype) -> st.SearchStrategy[Any]:
    if name in SPREADS and dtype.kind in "fc":
        return st.integers(-8, 8)
    if name in ("sum", "mean") and dtype.kind in "fc":
        return values(dtype, limit=8)
    if name in ("nansum", "nanmean") and dtype.kind in "fc":
        return values(dtype, limit=8) | st.just(np.nan)
    if name.startswith("nanarg") and dtype.kind in "fc":
        # NumPy puts infinities in the place of NaN, and finds those.
        return values(dtype, special=False) | st.just(np.nan)
    if name == "nanprod" and dtype.kind in "fc":
        return st.sampled_from([0.5, 1.0, -1.0, 1.5, 2.0, np.nan])
    if name == "prod" and dtype.kind in "fc":
        return st.sampled_from([0.5, 1.0, -1.0, 1.5, 2.0, 0.75])
    return values(dtype)


def tolerance(name: str, x: np.ndarray, axis: Any, dtype: Any = None) -> dict[str, Any]:
    """NumPy adds in the array's own precision, cuarray in a wider one: they agree to NumPy's rounding errors."""
    if name in SPREADS:
        if x.dtype.kind in "fc":
            eps = float(np.finfo(x.dtype).eps)
            return {"rtol": 32 * eps, "atol": 64 * eps}
        largest = float(np.max(np.abs(x.astype(np.float64)), initial=0.0))
        return {"rtol": 1e-9, "atol": 1e-14 * largest ** (2 if name.endswith("var") else 1)}
    if name not in SUMMING:
        return {"exact": False, "rtol": 0.0}
    if x.dtype.kind not in "fc" and dtype is None:
        return {"rtol": 1e-12}
    eps = float(np.finfo(x.dtype if dtype is None else dtype).eps) if dtype is None or dtype.kind in "fc" else 0.0
    if x.dtype.kind in "fc":
        eps = max(eps, float(np.finfo(x.dtype).eps))
    if name in ("prod", "nanprod"):
        return {"rtol": 2 * eps * max(x.size, 1)}
    with quiet():
        terms = np.nansum(np.abs(x.astype(np.complex128)), axis=axis, keepdims=False)
    return {"rtol": 2 * eps, "atol": 2 * eps * max(float(np.max(terms, initial=0.0)), 0.0) * 4}


@pytest.mark.parametrize("name", REDUCTIONS)
@settings(max_examples=15)
@given(data=st.data())
def test_reduction(name: str, data: st.DataObject) -> None:
    row = REDUCTIONS[name]
    dtype = data.draw(dtypes())
    x = data.draw(pairs(dtype, shapes(), elements(name, dtype)))
    axis = data.draw(axes(x.numpy.ndim, row.one_axis))
    keepdims = data.draw(st.booleans())
    assume(
        not (name in ("mean", *SPREADS, "nanmean") and not x.numpy.ndim and axis in (0, -1))
    )  # NumPy takes this axis in the others
    try:
        allowed = tolerance(name, x.numpy, axis)
    except (np.exceptions.AxisError, ValueError):
        allowed = {}
    check(
        lambda: getattr(ca, name)(x.cuarray, axis, keepdims=keepdims),
        lambda: getattr(np, name)(x.numpy, axis, keepdims=keepdims),
        **allowed,
    )


@pytest.mark.parametrize("name", SUMMING)
@settings(max_examples=10)
@given(data=st.data())
def test_dtype(name: str, data: st.DataObject) -> None:
    """dtype= says in what to compute. Computing in integers less wide than the values wraps around, as in NumPy."""
    source = data.draw(dtypes("biuf"))
    wanted = data.draw(dtypes("iu") if source.kind in "biu" and "mean" not in name else dtypes("fc"))
    if source.kind == "b":
        elements = st.booleans()
    else:
        elements = st.integers(0, 3)
    x = data.draw(pairs(source, shapes(max_dims=2, max_side=3), elements, layouts=("contiguous", "transposed")))
    check(
        lambda: getattr(ca, name)(x.cuarray, 0 if x.numpy.ndim else None, dtype=wanted),
        lambda: getattr(np, name)(x.numpy, 0 if x.numpy.ndim else None, dtype=wanted),
        **tolerance(name, x.numpy, None, wanted),
    )


@pytest.mark.parametrize("name", sorted({*REDUCTIONS, "nanmin", "nanmax", "ptp"} - {"count_nonzero"}))
def test_method_and_out(name: str) -> None:
    host = np.array([[3, 1, 2], [0, 5, 4]], np.int32)
    x = ca.array(host)
    assert hasattr(ca.CuArray, name) == hasattr(np.ndarray, name) == (name in METHODS)
    if name in METHODS:
        assert_same(getattr(x, name)(axis=1), getattr(host, name)(axis=1))
    expected = getattr(np, name)(host, axis=0)
    out = ca.zeros((2, 3), expected.dtype)[1]
    assert getattr(ca, name)(x, axis=0, out=out) is out
    assert_same(out, expected)
    with pytest.raises(ValueError, match="out"):
        getattr(ca, name)(x, axis=0, out=ca.zeros(2, expected.dtype))
    with pytest.raises(TypeError, match="out"):
        getattr(ca, name)(x, axis=0, out=np.zeros(3, expected.dtype))


@pytest.mark.parametrize("name", ["sum", "prod", "max", "min", "mean", "var", "std", "argmax", "nanvar", "nanstd"])
@pytest.mark.parametrize("dtype", ["int8", "uint16", "int64", "float32", "float64", "complex128", "bool"])
def test_out_of_another_dtype(name: str, dtype: str) -> None:
    """Sums and others are cast to whatever `out` has; roots are not cast to integers, nor indices kept as floats."""
    host = np.array([[1.75, 2.5, 3.0], [4.25, 9.5, 6.0]])

    def into(xp: Any) -> Any:
        return getattr(xp, name)(xp.asarray(host), axis=0, out=xp.zeros(3, dtype))

    check(lambda: into(ca), lambda: into(np))


@pytest.mark.parametrize(("name", "other"), [("amax", "max"), ("amin", "min")])
def test_other_names(name: str, other: str) -> None:
    assert getattr(ca, name) is getattr(ca, other)


def test_a_count_that_is_no_number() -> None:
    with pytest.raises(TypeError, match="ddof"):
        ca.std(ca.ones(3), ddof="1")  # type: ignore[arg-type]


@pytest.mark.parametrize("name", ["min", "max", "argmin", "argmax"])
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "complex64"])
def test_nan_wins(name: str, dtype: str) -> None:
    for place in (0, 3, 6):
        host = np.arange(7).astype(dtype)
        host[place] = np.nan
        assert_same(getattr(ca, name)(ca.array(host)), getattr(np, name)(host))
    host = np.array([np.inf, -np.inf, np.nan, np.inf, np.nan, -np.inf]).astype(dtype)
    assert_same(getattr(ca, name)(ca.array(host)), getattr(np, name)(host))


@pytest.mark.parametrize("name", ["argmin", "argmax"])
def test_first_of_equals(name: str) -> None:
    """Whichever block finds it."""
    host = np.zeros(300_000, np.int32)
    host[[250_000, 100_000, 299_999]] = 5 if name == "argmax" else -5
    assert getattr(ca, name)(ca.array(host)).item() == 100_000
    assert getattr(ca, name)(ca.zeros(300_000, "float32")).item() == 0


LARGE = [
    ((300_007,), None),
    ((3, 100_001), 1),
    ((100_001, 3), 0),
    ((400, 500), 0),
    ((400, 500), 1),
    ((60, 50, 70), (0, 2)),
]


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("dtype", ["int32", "float32", "float64"])
@pytest.mark.parametrize(("shape", "axis"), LARGE, ids=lambda value: str(value).replace(" ", ""))
def test_large(name: str, dtype: str, shape: tuple, axis: Any) -> None:
    """More than a block can do: runs, and runs of runs."""
    if REDUCTIONS[name].one_axis and isinstance(axis, tuple):
        axis = axis[0]
    numbers = np.arange(np.prod(shape)) * 7919 % 1009
    host = (
        (np.where(numbers % 97 == 5, 1.01, 1) if name.endswith("prod") else numbers - 500).astype(dtype).reshape(shape)
    )
    allowed: dict[str, Any] = {}
    if dtype == "float32" and name in (*SUMMING, *SPREADS):
        reference = getattr(np, name)(host, axis, dtype=np.float64).astype(np.float32)
        allowed = {"rtol": 1e-5}
    else:
        reference = getattr(np, name)(host, axis)
        allowed = {"rtol": 1e-9} if name in (*SUMMING, *SPREADS) else {"rtol": 0.0}
    x = ca.array(host)
    assert_same(getattr(ca, name)(x, axis), reference, **allowed)
    if len(shape) == 2:
        assert_same(getattr(ca, name)(x.T, 1 - axis), reference, **allowed)


def test_sum_of_float32_is_rounded_once() -> None:
    host = np.full(1_000_001, 0.1, np.float32)
    exact = np.float32(float(np.float32(0.1)) * 1_000_001)
    assert ca.sum(ca.array(host)).item() == exact


def test_same_bits_on_every_run() -> None:
    host = np.sin(np.arange(500_000.0)) * 1e10
    x = ca.array(host)
    assert len({x.sum().item() for _ in range(5)}) == 1


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize(
    ("shape", "axis"), [((0,), None), ((0, 3), 0), ((0, 3), 1), ((3, 0), 0), ((2, 0, 3), 1), ((0, 0), 0)]
)
def test_nothing_to_reduce(name: str, shape: tuple, axis: Any) -> None:
    host = np.zeros(shape, np.float32)
    check(lambda: getattr(ca, name)(ca.array(host), axis), lambda: getattr(np, name)(host, axis))


@pytest.mark.parametrize("name", REDUCTIONS)
@pytest.mark.parametrize("axis", [2, -3, (0, 0), (0, 5), 1.5, "0", (0, 1)])
def test_bad_axes(name: str, axis: Any) -> None:
    if name.startswith("nanarg") and axis in ((0, 0), (0, 5)):
        pytest.skip("NumPy looks for NaN over these axes first")
    host = np.ones((2, 3))
    check(lambda: getattr(ca, name)(ca.array(host), axis), lambda: getattr(np, name)(host, axis))


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_count_of_nonzero(dtype: np.dtype) -> None:
    host = np.array([[0, 1, 2], [3, 0, 0]]).astype(dtype)
    x = ca.array(host)
    assert int(ca.count_nonzero(x)) == np.count_nonzero(host)
    assert_same(ca.count_nonzero(x, 1), np.count_nonzero(host, 1))


def test_lists_are_arrays() -> None:
    assert_same(ca.sum([[1, 2], [3, 4]], 0), np.sum([[1, 2], [3, 4]], 0))
    assert_same(ca.max(3.5), np.max(3.5))


# ---- where=, initial=


@st.composite
def masks(draw: st.DrawFn, shape: tuple) -> Any:
    """An array of bool that broadcasts to `shape`, in any layout."""
    kept = [draw(st.sampled_from([extent, extent, 1])) for extent in shape]
    return draw(pairs(np.dtype(bool), tuple(kept[draw(st.integers(0, len(kept))) :])))


@pytest.mark.parametrize("name", ["sum", "prod", "mean", "var", "std", "any", "all", "nansum", "nanmean", "nanvar"])
@given(data=st.data())
def test_where(name: str, data: st.DataObject) -> None:
    dtype = data.draw(dtypes("bifc"))
    x = data.draw(pairs(dtype, shapes(), elements(name, dtype)))
    mask = data.draw(masks(x.numpy.shape))
    axis = data.draw(axes(x.numpy.ndim))
    assume(x.numpy.ndim or axis not in (0, -1))
    try:
        allowed = tolerance(name, x.numpy, axis)
    except (np.exceptions.AxisError, ValueError):
        allowed = {}
    check(
        lambda: getattr(ca, name)(x.cuarray, axis, where=mask.cuarray),
        lambda: getattr(np, name)(x.numpy, axis, where=mask.numpy),
        **allowed,
    )


@pytest.mark.parametrize("name", ["min", "max", "sum", "prod", "nanmin", "nanmax"])
@given(data=st.data())
def test_where_and_initial(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(n) for n in ("int8", "uint32", "float32", "complex128")]))
    drawn = st.sampled_from([0, 1, 2, 3]) if name == "prod" else st.integers(0, 20)
    x = data.draw(pairs(dtype, shapes(), drawn))
    mask = data.draw(masks(x.numpy.shape) | st.just(None))
    initial = data.draw(st.none() | st.integers(0, 5) | st.just(2.5))
    axis = data.draw(st.none() | st.sampled_from([0, -1]) if x.numpy.ndim else st.none())
    ours: dict[str, Any] = {}
    numpys: dict[str, Any] = {}
    if mask is not None:
        ours["where"], numpys["where"] = mask.cuarray, mask.numpy
    if initial is not None:
        ours["initial"] = numpys["initial"] = initial
    check(lambda: getattr(ca, name)(x.cuarray, axis, **ours), lambda: getattr(np, name)(x.numpy, axis, **numpys))


def test_bad_where() -> None:
    x = np.ones((2, 3))
    for where in (np.ones((3, 2, 3), bool), np.ones((4, 3), bool), np.ones(3, int), np.ones(2, bool)):
        options = {"where": where}
        arrays = {"where": ca.array(where)}
        check(functools.partial(ca.sum, ca.array(x), **arrays), functools.partial(np.sum, x, **options))
    check(lambda: ca.sum(ca.ones((1, 3)), where=ca.ones((2, 3), bool)), lambda: np.sum(x[:1], where=x > 0))
    assert_same(ca.sum(x, 0, where=[True, False, True]), np.sum(x, 0, where=[True, False, True]))


@pytest.mark.parametrize("initial", [300, 1.5, "one", [1, 2]])
def test_initial_that_does_not_fit(initial: Any) -> None:
    x = np.arange(3, dtype=np.int8)
    check(lambda: ca.max(ca.array(x), initial=initial), lambda: np.max(x, initial=initial))


def test_initial_may_be_an_array_of_one_element() -> None:
    assert_same(ca.sum(ca.arange(4), initial=ca.array(5)), np.sum(np.arange(4), initial=5))


# ---- accuracy


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex128"])
@pytest.mark.parametrize(("shape", "axis"), [((10_000_000,), 0), ((10, 1_000_000), 1), ((1_000_000, 10), 0)])
def test_sums_are_as_accurate_as_pairwise_summation(dtype: str, shape: tuple, axis: int) -> None:
    """Over contiguous and over strided axes, where NumPy does not sum pairwise; the same bits on every run."""
    numbers = np.random.default_rng(3).random(shape) + 0.1
    host = (numbers + 1j * numbers[::-1] if dtype == "complex128" else numbers).astype(dtype)
    wide = np.longdouble if dtype != "complex128" else np.clongdouble
    x = ca.array(host)
    for array, along in ((x, axis), (x.T, axis - 1 if len(shape) > 1 else 0)):
        exact = host.sum(axis, dtype=wide)
        result = np.asarray(ca.sum(array, along))
        eps = np.finfo(dtype).eps
        # float32 is rounded once, from float64. Otherwise pairwise summation: some eps times the depth of the tree.
        assert np.all(np.abs(result - exact) <= (0.51 if dtype == "float32" else 4) * eps * np.abs(exact))
        assert np.array_equal(result, np.asarray(ca.sum(array, along)))


@pytest.mark.parametrize("axis", [0, 1, None])
def test_variance_far_from_zero(axis: Any) -> None:
    """The mean is subtracted first: the square of the values would leave nothing of the variance."""
    host = np.random.default_rng(5).random((500, 400)) + 1e7
    assert_same(ca.var(ca.array(host), axis), np.var(host, axis), rtol=1e-8)
    single = (np.random.default_rng(5).random((500, 400)) + 1000).astype(np.float32)
    expected = np.var(single.astype(np.float64), axis).astype(np.float32)
    assert_same(ca.var(ca.array(single), axis), expected, rtol=2e-7)


# ---- variances


@pytest.mark.parametrize("name", SPREADS)
@pytest.mark.parametrize("ddof", [0, 1, 2, 3, 5, 0.5])
@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64", "int8", "bool"])
def test_degrees_of_freedom(name: str, ddof: float, dtype: str) -> None:
    host = (np.array([[1, 2, 4], [0, 7, 5]]) % 5).astype(dtype)
    if host.dtype.kind in "fc":
        host[1, 2] = np.nan
    for axis in (0, 1, None):
        expected = lambda: getattr(np, name)(host, axis, ddof=ddof)  # noqa: B023, E731
        check(lambda: getattr(ca, name)(ca.array(host), axis, ddof=ddof), expected, rtol=2e-3)  # noqa: B023
        check(lambda: getattr(ca, name)(ca.array(host), axis, correction=ddof), expected, rtol=2e-3)  # noqa: B023
    check(
        lambda: getattr(ca, name)(ca.array(host), ddof=1, correction=1),
        lambda: getattr(np, name)(host, ddof=1, correction=1),
    )


@pytest.mark.parametrize("name", SPREADS)
def test_given_mean(name: str) -> None:
    host = np.array([[1.0, 2, 4], [0, 7, 5]])
    for axis in (0, 1, None, (0, 1)):
        mean = host.mean(axis, keepdims=True) + 0.25
        result = getattr(ca, name)(ca.array(host), axis, mean=ca.array(mean))
        assert_same(result, getattr(np, name)(host, axis, mean=mean))
    with pytest.raises(ValueError, match="broadcast"):
        getattr(ca, name)(ca.array(host), 1, mean=ca.ones(2))


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("source", ["bool", "int32", "float16", "float32", "complex64"])
def test_dtype_of_variances(source: str, dtype: str) -> None:
    host = np.array([[1, 0, 4], [0, 7, 5]]).astype(source)
    for name in ("var", "std"):
        if host.dtype.kind == "c" and np.dtype(dtype).kind != "c":
            continue  # imaginary parts would be dropped
        expected = getattr(np, name)(host, 0, dtype=dtype)
        assert_same(getattr(ca, name)(ca.array(host), 0, dtype=dtype), expected, rtol=1e-5)


# ---- without NaN


@pytest.mark.parametrize("source", ["int8", "uint16", "float32", "complex64", "bool"])
@pytest.mark.parametrize("dtype", ["bool", "int8", "int32", "int64"])
@pytest.mark.parametrize("name", ["mean", "nanmean", "var", "std", "nanvar", "nanstd"])
@pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::numpy.exceptions.ComplexWarning")
def test_means_and_variances_in_integers(name: str, dtype: str, source: str) -> None:
    """Every step loses its fraction; nothing divided by nothing is what NaN is cast to."""
    host = np.array([[1, 2, 4], [9, 0, 7]], source)
    gpu = ca.cuda.is_available()  # where NaN becomes another integer than on the CPU
    mask = np.array([[True, False, True], [gpu, False, False]])
    cases: list[tuple[np.ndarray, dict[str, Any]]] = [
        (host, {}),
        (host, {"axis": 0, "keepdims": True}),
        (host, {"axis": 1, "where": mask}),
    ]
    for x, options in cases if gpu else [*cases, (host[:0], {}), (host[:0], {"axis": 0})]:
        own = {key: ca.array(value) if key == "where" else value for key, value in options.items()}
        check(
            lambda x=x, own=own: getattr(ca, name)(ca.array(x), dtype=dtype, **own),
            lambda x=x, options=options: getattr(np, name)(x, dtype=dtype, **options),
        )


def test_means_of_nan_are_no_integers() -> None:
    x, out = ca.array([1.0, float("nan")]), ca.empty((), np.int64)
    for name in ("nanmean", "nanvar", "nanstd"):
        with pytest.raises(TypeError, match="out must be inexact"):
            getattr(ca, name)(x, out=out)


@pytest.mark.parametrize("name", ["nanmin", "nanmax", "nanargmin", "nanargmax", "nansum", "nanmean", "nanstd"])
@pytest.mark.parametrize("dtype", ["float16", "float64", "complex64", "int16"])
def test_nothing_but_nan(name: str, dtype: str) -> None:
    host = np.array([[1, 2, 0], [3, 1, 0]]).astype(dtype)
    if host.dtype.kind in "fc":
        host[:, 2] = np.nan
        host[0, 1] = np.nan
    for axis in (0, 1, None):
        check(
            lambda: getattr(ca, name)(ca.array(host), axis),  # noqa: B023
            lambda: getattr(np, name)(host, axis),  # noqa: B023
            rtol=2e-3,
        )


EXACT = ("min", "max", "argmin", "argmax", "nanargmin", "nanargmax", "any", "all", "count_nonzero")


@pytest.mark.parametrize("name", EXACT)
@settings(max_examples=40)
@given(data=st.data())
def test_many_items_with_few_that_count(name: str, data: st.DataObject) -> None:
    """Where extremes, their equals, NaN and zeros stand makes no difference, nor how many items are done together."""
    dtype = np.dtype(data.draw(st.sampled_from(["?", "b", "H", "i", "l", "L", "e", "f", "d", "F", "D"])))
    near = st.sampled_from([1, 15, 16, 63, 64, 255, 256, 1023, 1024, 4096, 8191, 8192, 16_384, 32_768])
    n = data.draw(st.builds(lambda size, more: max(size + more, 1), near, st.integers(-1, 3)))
    columns = data.draw(st.sampled_from([None, 1, 3, 8, 17, 63, 65, 130])) if n < 5000 else None
    shape = (n,) if columns is None else (n, columns)
    seed = data.draw(st.integers(0, 2**32 - 1))
    x = np.random.default_rng(seed).integers(0 if name == "any" else 1, 1 if name == "any" else 100, shape)
    host = (x + 1j * x[::-1] if dtype.kind == "c" else x).astype(dtype)
    special = [0, 1, 100] + ([np.nan, np.inf, -np.inf, -0.0] if dtype.kind in "fc" else [])
    if dtype.kind == "c":
        special += [complex(100, np.nan), complex(1, -5)]
    for value in data.draw(st.lists(st.sampled_from(special), max_size=4)):
        host[tuple(data.draw(st.integers(0, extent - 1)) for extent in shape)] = value
    step = data.draw(st.sampled_from([1, 1, 2, 3, -1]))
    axis = data.draw(st.sampled_from([None, *range(host.ndim)]))
    x, host = ca.array(host)[::step], host[::step]
    with quiet():
        if name.startswith("nanarg") and dtype.kind in "fc":
            missing = np.isnan(host)
            assume(not missing.all(axis).any() and not np.isinf(host).any())
        expected = getattr(np, name)(host, axis=axis)
    assert_same(getattr(ca, name)(x, axis=axis), expected, rtol=0.0)


@pytest.mark.parametrize("columns", [1, 2, 10, 16, 33, 63, 64, 100, 700])
@pytest.mark.parametrize("dtype", ["int8", "float32", "complex64"])
def test_columns_beside_others(dtype: str, columns: int) -> None:
    """Columns of a wider array: their neighbours are no part of the result, and the last row may end the memory."""
    host = (np.arange(50 * (columns + 5)) % 97 - 40).astype(dtype).reshape(50, columns + 5)
    for chosen in (np.s_[:, :columns], np.s_[:, 5:], np.s_[::-1, 5:], np.s_[:, ::2], np.s_[1::3, 2:-1]):
        x, own = ca.array(host)[chosen], host[chosen]
        for name in ("sum", "max", "argmin", "any", "var", "nanargmax", "nansum"):
            expected = getattr(np, name)(own, axis=0)
            assert_same(getattr(ca, name)(x, axis=0), expected, rtol=0.0 if expected.dtype.kind in "biu" else 1e-5)


@pytest.mark.parametrize("name", ["nanmin", "nanmax", "ptp"])
@given(data=st.data())
def test_extremes(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(n) for n in ("bool", "uint8", "int64", "float32")]))
    x = data.draw(pairs(dtype, shapes(), values(dtype, special=name != "ptp")))
    axis = data.draw(axes(x.numpy.ndim))
    keepdims = data.draw(st.booleans())
    check(
        lambda: getattr(ca, name)(x.cuarray, axis, keepdims=keepdims),
        lambda: getattr(np, name)(x.numpy, axis, keepdims=keepdims),
    )


# ---- reductions by any binary function

# Not ldexp: of a float and an int, it has nothing to reduce; NumPy lets integers pass.
BINARY = [name for name, row in ELEMENTWISE.items() if row.ufunc.nin == 2 and row.ufunc.nout == 1 and name != "ldexp"]


@pytest.mark.parametrize("name", ["add", "subtract", "maximum", "fmin", "logical_or", "bitwise_and", "hypot"])
@given(data=st.data())
def test_ufunc_reduce(name: str, data: st.DataObject) -> None:
    function, ufunc = getattr(ca, name), ELEMENTWISE[name].ufunc
    dtype = np.dtype(data.draw(st.sampled_from(["bool", "int8", "float64"])))
    numbers = st.booleans() if dtype.kind == "b" else st.sampled_from([0, 1, 2, 3])
    x = data.draw(pairs(dtype, shapes(), numbers))
    axis = data.draw(st.sampled_from([None, 0, -1, ()]) if x.numpy.ndim else st.none())
    options: dict[str, Any] = {"keepdims": data.draw(st.booleans())}
    if data.draw(st.booleans()):
        options["initial"] = 1
    mask = data.draw(st.none() | masks(x.numpy.shape))
    in_float16 = name == "hypot" and dtype != np.float64
    check(
        lambda: ufunc_reduce(function, x.cuarray, axis, **options, **({} if mask is None else {"where": mask.cuarray})),
        lambda: ufunc.reduce(x.numpy, axis, **options, **({} if mask is None else {"where": mask.numpy})),
        rtol=4e-3 if in_float16 else 1e-12,  # rounded after every step, in an order that is not NumPy's
    )


@pytest.mark.parametrize("name", BINARY)
def test_every_binary_function_reduces(name: str) -> None:
    """Those that are not associative, in order: step by step is the authority, for NumPy itself differs in some."""
    function, ufunc = getattr(ca, name), ELEMENTWISE[name].ufunc
    for dtype in ("bool", "int8", "float32"):
        host = np.array([[1, 3, 2], [2, 1, 0], [1, 2, 1], [3, 1, 1]]).astype(dtype)
        with quiet():
            try:
                loop = ufunc.reduce(host, 0).dtype
            except TypeError:
                with pytest.raises(TypeError):
                    ufunc_reduce(function, host, 0)
                continue
            for axis in (0, 1):
                items = np.moveaxis(host.astype(loop), axis, 0)
                rtol = 2e-3 if loop.char == "e" else 1e-6  # NumPy rounds after every step
                assert_same(ufunc_reduce(function, host, axis), functools.reduce(ufunc, items), rtol=rtol)
        check(lambda: ufunc_reduce(function, host, None), lambda: ufunc.reduce(host, None), rtol=2e-3)  # noqa: B023
        empty = host[:0]
        check(lambda: ufunc_reduce(function, empty, 0), lambda: ufunc.reduce(empty, 0))  # noqa: B023


@pytest.mark.parametrize("name", ["subtract", "divide", "power", "arctan2"])
def test_in_order(name: str) -> None:
    """What is not associative, over rows long enough to be cut up, along both axes."""
    host = np.linspace(0.9, 1.1, 60_000).reshape(200, 300)
    for axis in (0, 1):
        with quiet():
            expected = functools.reduce(ELEMENTWISE[name].ufunc, np.moveaxis(host, axis, 0))
        assert_same(ufunc_reduce(getattr(ca, name), ca.array(host), axis), expected, rtol=1e-10)


@pytest.mark.parametrize("name", ["add", "maximum", "logical_and", "bitwise_xor", "gcd", "hypot"])
def test_ufunc_reduce_of_many(name: str) -> None:
    dtype = np.float64 if name == "hypot" else np.int64
    host = (np.arange(400_000) * 7919 % 1009 * 12).reshape(400, 1000).astype(dtype)
    for axis in (0, 1, None):
        expected = ELEMENTWISE[name].ufunc.reduce(host, axis)
        assert_same(ufunc_reduce(getattr(ca, name), ca.array(host), axis), expected, rtol=1e-12)


def test_ufunc_reduce_of_other_functions() -> None:
    with pytest.raises(ValueError, match="binary"):
        ufunc_reduce(ca.sin, ca.ones(3))
    with pytest.raises(TypeError):
        ufunc_reduce(ca.less, ca.ones(3))


@pytest.mark.parametrize("dtype", ["int8", "float32", "float64", "complex64"])
def test_ufunc_reduce_in_a_dtype(dtype: str) -> None:
    host = np.arange(6, dtype=np.int8).reshape(2, 3)
    for name in ("add", "multiply", "subtract", "maximum"):
        expected = ELEMENTWISE[name].ufunc.reduce(host, 1, dtype=dtype)
        assert_same(ufunc_reduce(getattr(ca, name), ca.array(host), 1, dtype=dtype), expected)
