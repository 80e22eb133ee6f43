"""Random numbers: the generator's words, the distributions, and that the same numbers come out everywhere.

All seeds are fixed: a test that passes once passes always. `DIGESTS` holds what both backends must give to the bit.
"""

from __future__ import annotations

import copy
import dataclasses
import hashlib
import itertools
import math
import pickle
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray import _plan, _runtime, _tuning
from cuarray._dtypes import DTYPES
from cuarray._functions import _sorted
from cuarray.random import _draw, _generator, _permute
from cuarray.random._generator import words_at
from cuarray.random._philox import Place, signed

INTEGER_DTYPES = [dtype for dtype in DTYPES if dtype.kind in "iu"]
Case = tuple[str, tuple[Any, ...], dict[str, Any]]


def rng(seed: int = 1) -> ca.random.Generator:
    return ca.random.default_rng(seed)


# ---- the words


def philox(counter: list[int], key: list[int]) -> list[int]:
    """Philox4x32-10 by its definition."""
    a, b, c, d = counter
    first, second = key
    for _ in range(10):
        x, y = 0xD2511F53 * a, 0xCD9E8D57 * c
        a, b, c, d = (y >> 32) ^ b ^ first, y & 0xFFFFFFFF, (x >> 32) ^ d ^ second, x & 0xFFFFFFFF
        first, second = (first + 0x9E3779B9) % 2**32, (second + 0xBB67AE85) % 2**32
    return [a, b, c, d]


# Random123's known answers for philox4x32 10: counter, key, words.
KNOWN = [
    ("00000000 00000000 00000000 00000000", "00000000 00000000", "6627e8d5 e169c58d bc57ac4c 9b00dbd8"),
    ("ffffffff ffffffff ffffffff ffffffff", "ffffffff ffffffff", "408f276d 41c83b0e a20bc7c6 6d5451fd"),
    ("243f6a88 85a308d3 13198a2e 03707344", "a4093822 299f31d0", "d16cfe09 94fdcceb 5001e420 24126ea1"),
]


def words(counter: list[int], key: list[int], count: int) -> list[int]:
    place = Place(signed(key[0] | key[1] << 32), signed(counter[1] | counter[2] << 32), counter[3])
    return np.asarray(words_at(place, counter[0], count)).tolist()


@pytest.mark.parametrize("case", KNOWN)
def test_known_answers(case: tuple[str, str, str]) -> None:
    counter, key, expected = ([int(word, 16) for word in part.split()] for part in case)
    assert philox(counter, key) == expected
    assert words(counter, key, 4) == expected


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**96 - 1) | st.integers(2**64 - 3, 2**64), st.integers(1, 20))
def test_words_follow_the_position(key: int, position: int, count: int) -> None:
    """Words come from successive positions of 96 bits, whatever carries there are."""
    expected = []
    for block in range(-(-count // 4)):
        at = (position + block) % 2**96
        counter = [0, *(at >> shift & 0xFFFFFFFF for shift in (0, 32, 64))]
        expected += philox(counter, [key & 0xFFFFFFFF, key >> 32])
    start = [0, *(position >> shift & 0xFFFFFFFF for shift in (0, 32, 64))]
    assert words(start, [key & 0xFFFFFFFF, key >> 32], count) == expected[:count]


@pytest.mark.parametrize("near", [2**32, 2**64, 2**96])
def test_carries_within_a_call(near: int) -> None:
    """A long array is what its parts are, over every carry of the counter."""
    for method in ("random", "standard_gamma"):
        arguments = () if method == "random" else (2.0,)
        start = near - 300
        whole = ca.random.Generator(ca.random.Philox4x32(key=5, counter=start))
        together = np.asarray(getattr(whole, method)(*arguments, size=1000))
        step = 2 if method == "random" else 1
        parts = []
        for first in range(0, 1000, 20):
            bits = ca.random.Philox4x32(key=5, counter=(start + first // step) % 2**96)
            parts.append(np.asarray(getattr(ca.random.Generator(bits), method)(*arguments, size=20)))
        np.testing.assert_array_equal(together, np.concatenate(parts))


def raw(seed: int, count: int) -> np.ndarray:
    """The first 64-bit words of a generator."""
    bits = ca.random.Philox4x32(seed)
    return np.asarray(words_at(bits.take(count), 0, 2 * count)).view(np.uint64)


def test_variates_are_functions_of_the_words() -> None:
    """What one variate is made of can be computed by NumPy: the library's own logarithm, sine ... are as exact."""
    n = 20_000
    word = raw(3, n)
    uniform = (word >> np.uint64(11)) * 2.0**-53
    opened = ((word >> np.uint64(12)) + 0.5) * 2.0**-52
    positive = (word.astype(np.float64) + 0.5) * 2.0**-64
    exponential = -np.log(positive)
    radius, turn = np.sqrt(-2 * np.log(positive[::2])), 2 * np.pi * uniform[1::2]
    normal = np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).ravel()
    expected: dict[tuple[str, tuple[float, ...]], Any] = {
        ("random", ()): uniform,
        ("uniform", (-3.0, 5.0)): -3.0 + 8.0 * uniform,
        ("standard_exponential", ()): exponential,
        ("exponential", (2.5,)): 2.5 * exponential,
        ("standard_normal", ()): normal,
        ("normal", (1.0, 3.0)): 1.0 + 3.0 * normal,
        ("lognormal", (1.0, 3.0)): np.exp(1.0 + 3.0 * normal),
        ("rayleigh", (2.0,)): 2.0 * np.sqrt(2 * exponential),
        ("pareto", (3.0,)): np.expm1(exponential / 3.0),
        ("weibull", (1.5,)): exponential ** (1 / 1.5),
        ("power", (1.5,)): np.exp(-exponential / 1.5),
        ("laplace", (1.0, 2.0)): 1.0 + 2.0 * np.where(opened < 0.5, np.log(2 * opened), -np.log(2 - 2 * opened)),
        ("gumbel", (1.0, 2.0)): 1.0 - 2.0 * np.log(-np.log(opened)),
        ("logistic", (1.0, 2.0)): 1.0 + 2.0 * (np.log(opened) - np.log1p(-opened)),
        ("standard_cauchy", ()): np.where(opened < 0.5, -1.0, 1.0) / np.tan(np.pi * np.minimum(opened, 1 - opened)),
    }
    for (method, parameters), values in expected.items():
        actual = np.asarray(getattr(rng(3), method)(*parameters, size=n))
        np.testing.assert_allclose(actual, values, rtol=2e-14, atol=2e-14, err_msg=method)
    np.testing.assert_array_equal(np.asarray(rng(3).random(n)), uniform)
    p = 0.3
    np.testing.assert_array_equal(np.asarray(rng(3).geometric(p, n)), 1 + np.floor(-exponential / np.log1p(-p)))


def test_float32_variates_are_functions_of_the_words() -> None:
    word = raw(3, 10_000).view(np.uint32)
    uniform = (word >> np.uint32(8)) * 2.0**-24
    positive = ((word.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)).astype(float)
    radius, turn = np.sqrt(-2 * np.log(positive[::2])), 2 * np.pi * uniform[1::2]
    normal = np.stack([radius * np.cos(turn), radius * np.sin(turn)], 1).ravel()
    np.testing.assert_array_equal(np.asarray(rng(3).random(20_000, "float32")), uniform.astype(np.float32))
    actual = np.asarray(rng(3).standard_exponential(20_000, "float32"))
    np.testing.assert_allclose(actual, -np.log(positive), rtol=1e-6, atol=1e-7)
    np.testing.assert_allclose(np.asarray(rng(3).standard_normal(20_000, "float32")), normal, rtol=2e-6, atol=1e-6)


# ---- the distributions, against NumPy's own samples

CASES: list[Case] = [
    (name, parameters, {})
    for name, *sets in [
        ("random", ()),
        ("uniform", (-1.0, 3.0)),
        ("standard_normal", ()),
        ("normal", (3.0, 2.0)),
        ("lognormal", (0.5, 0.75)),
        ("standard_exponential", ()),
        ("exponential", (3.0,)),
        ("rayleigh", (2.0,)),
        ("pareto", (3.0,), (0.4,)),
        ("weibull", (0.5,), (3.0,)),
        ("power", (0.3,), (4.0,)),
        ("laplace", (1.0, 2.0)),
        ("gumbel", (1.0, 2.0)),
        ("logistic", (1.0, 2.0)),
        ("standard_cauchy", ()),
        ("triangular", (-1.0, 0.0, 3.0), (0.0, 0.0, 1.0), (0.0, 1.0, 1.0)),
        ("standard_gamma", (0.05,), (0.5,), (1.0,), (1.5,), (50.0,)),
        ("gamma", (2.0, 3.0)),
        ("beta", (0.2, 0.3), (1.0, 1.0), (0.5, 3.0), (5.0, 2.0)),
        ("chisquare", (0.5,), (7.0,)),
        ("noncentral_chisquare", (0.5, 2.0), (3.0, 4.0), (2.0, 0.0)),
        ("f", (3.0, 7.0)),
        ("noncentral_f", (3.0, 7.0, 2.0)),
        ("standard_t", (1.5,), (10.0,)),
        ("wald", (1.0, 3.0), (5.0, 0.1)),
        ("vonmises", (1.0, 2.0), (-2.0, 1e-6), (3.0, 0.3), (0.0, 500.0), (0.0, 1e-9), (0.0, 1e7)),
        ("poisson", (0.01,), (3.0,), (9.9,), (10.0,), (40.0,), (1e6,)),
        ("binomial", (10, 0.3), (40, 0.9), (100, 0.5), (1000, 0.01), (1000, 0.02), (10**6, 0.7), (5, 0.0), (5, 1.0)),
        ("negative_binomial", (3, 0.4), (0.5, 0.1), (100.0, 0.9)),
        ("geometric", (0.02,), (0.5,), (1.0,)),
        (
            "hypergeometric",
            (10, 5, 6),
            (5, 10, 12),
            (200, 100, 80),
            (100, 200, 250),
            (50, 60, 20),
            (0, 5, 3),
            (5, 0, 3),
        ),
        ("logseries", (0.1,), (0.9,), (0.999,)),
        ("zipf", (1.3,), (2.0,), (6.0,)),
    ]
    for parameters in sets
] + [
    ("random", (), {"dtype": np.float32}),
    ("standard_normal", (), {"dtype": np.float32}),
    ("standard_exponential", (), {"dtype": np.float32}),
    ("standard_gamma", (2.5,), {"dtype": np.float32}),
]


def case_id(case: Case) -> str:
    name, parameters, keywords = case
    return f"{name}{parameters}{'f' if keywords else ''}".replace(" ", "")


def kolmogorov_smirnov(a: np.ndarray, b: np.ndarray) -> float:
    """The largest distance of two samples' distribution functions, in the units in which 1.95 has probability 0.001."""
    both = np.concatenate([a, b])
    first, second = (np.searchsorted(np.sort(sample), both, "right") / sample.size for sample in (a, b))
    return float(np.abs(first - second).max() * math.sqrt(a.size * b.size / (a.size + b.size)))


@pytest.mark.parametrize("case", CASES, ids=case_id)
def test_distribution(case: Case) -> None:
    """The same distribution as NumPy's, by Kolmogorov's and Smirnov's test; the same dtype, mean and deviation."""
    name, parameters, keywords = case
    n = 30_000
    theirs = getattr(np.random.default_rng(11), name)(*parameters, size=3 * n, **keywords)
    drawn = getattr(rng(12), name)(*parameters, size=n, **keywords)
    assert drawn.dtype == theirs.dtype
    ours = np.asarray(drawn)
    assert kolmogorov_smirnov(ours.astype(float), theirs.astype(float)) < 1.95
    # Where moments exist: extremes are cut off, of both, at the same quantiles.
    low, high = np.quantile(theirs.astype(float), [0.002, 0.998])
    first, second = (np.clip(sample.astype(float), low, high) for sample in (ours, theirs))
    error = math.sqrt(first.var() / n + second.var() / (3 * n))
    assert abs(first.mean() - second.mean()) <= 4 * error + 1e-12 * abs(low)
    squares = (first - second.mean()) ** 2, (second - second.mean()) ** 2
    error = math.sqrt(squares[0].var() / n + squares[1].var() / (3 * n))
    assert abs(squares[0].mean() - squares[1].mean()) <= 4 * error + 1e-12 * abs(low)


def test_moments() -> None:
    """Means and variances by their formulas, and that elements are not correlated with their neighbours."""
    n = 200_000
    expected = {
        ("random", ()): (0.5, 1 / 12),
        ("standard_normal", ()): (0, 1),
        ("standard_exponential", ()): (1, 1),
        ("laplace", (1.0, 2.0)): (1, 8),
        ("gamma", (2.5, 2.0)): (5, 10),
        ("beta", (2.0, 3.0)): (0.4, 0.04),
        ("wald", (2.0, 4.0)): (2, 2),
        ("poisson", (20.0,)): (20, 20),
        ("binomial", (100, 0.3)): (30, 21),
        ("negative_binomial", (4, 0.25)): (12, 48),
        ("geometric", (0.25,)): (4, 12),
        ("hypergeometric", (30, 20, 25)): (15, 25 * 0.6 * 0.4 * 25 / 49),
    }
    for (name, parameters), (mean, variance) in expected.items():
        x = np.asarray(getattr(rng(4), name)(*parameters, size=n)).astype(float)
        assert abs(x.mean() - mean) < 4.5 * math.sqrt(variance / n), name
        fourth = ((x - mean) ** 4).mean()
        assert abs(((x - mean) ** 2).mean() - variance) < 4.5 * math.sqrt((fourth - variance**2) / n), name
        for lag in (1, 2, 3, 4):
            together = ((x[lag:] - mean) * (x[:-lag] - mean)).mean() / variance
            assert abs(together) < 4.5 / math.sqrt(n), (name, lag)


def test_tails_of_the_normal_distribution() -> None:
    n = 2_000_000
    for dtype in ("float64", "float32"):
        x = np.abs(np.asarray(rng(5).standard_normal(n, dtype)))
        for limit in (3.0, 4.0, 4.5):
            chance = math.erfc(limit / math.sqrt(2))
            assert abs((x > limit).sum() - n * chance) < 4 * math.sqrt(n * chance) + 1


@pytest.mark.parametrize("name", ["normal", "gamma", "vonmises", "standard_t", "beta", "f", "noncentral_chisquare"])
def test_nan_and_infinity_end(name: str) -> None:
    """Parameters that NumPy takes, too, although nothing sensible comes out; no sampler loops for ever."""
    count = 1 if name == "standard_t" else 2
    for parameters in itertools.product([math.nan, math.inf, 1e-300, 1e300, 2.0], repeat=count):
        result = getattr(rng(), name)(*parameters, size=3)
        assert result.shape == (3,)
        if any(math.isnan(value) for value in parameters) and name != "noncentral_chisquare":
            assert np.isnan(np.asarray(result)).all(), parameters


def test_extreme_counts() -> None:
    assert np.asarray(rng().poisson(9.2e18, 100)).min() > 9.1e18
    assert np.asarray(rng().binomial(2**62, 0.5, 100)).max() < 2**62
    assert np.asarray(rng().zipf(1.0000001, 1000)).min() >= 1
    assert np.asarray(rng().zipf(2000.0, 10)).max() == 1
    assert np.asarray(rng().geometric(1e-300, 10)).min() == 2**63 - 1
    assert np.asarray(rng().logseries(1 - 2.0**-53, 1000)).min() >= 1


# ---- integers


@given(st.data())
def test_integers_stay_in_their_range(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(bool), *INTEGER_DTYPES]))
    lowest, highest = (0, 1) if dtype.kind == "b" else (int(np.iinfo(dtype).min), int(np.iinfo(dtype).max))
    low = data.draw(st.integers(lowest, highest))
    high = data.draw(st.integers(low, highest) | st.integers(low, min(low + 9, highest)))
    size = data.draw(st.integers(1, 40))
    drawn = rng(size).integers(low, high, size, dtype, endpoint=True)
    assert drawn.dtype == dtype and drawn.shape == (size,)
    values = [int(value) for value in np.asarray(drawn)]
    assert low <= min(values) and max(values) <= high
    again = rng(size).integers(low, high + 1, size, dtype)
    np.testing.assert_array_equal(np.asarray(again), np.asarray(drawn))


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int32", "uint32", "int64", "uint64"])
def test_integers_are_uniform(dtype: str) -> None:
    """Every value as often as any other, by chi-square; whole ranges of a dtype by their leading bits."""
    n = 60_000
    count = 2 if dtype == "bool" else 6
    drawn = np.asarray(rng(6).integers(0, count, n, dtype))
    assert chi_square(np.bincount(drawn.astype(int), minlength=count)) < 4
    if dtype != "bool":
        info = np.iinfo(dtype)
        whole = np.asarray(rng(7).integers(info.min, info.max, n, dtype, endpoint=True))
        unsigned = whole.view(f"u{info.bits // 8}")
        assert chi_square(np.bincount((unsigned >> (info.bits - 4)).astype(int), minlength=16)) < 4


def chi_square(counts: np.ndarray, expected: np.ndarray | None = None) -> float:
    """Pearson's statistic of counts that should be `expected`, by default equal, as a normal deviation.

    By Wilson's and Hilferty's transformation: 4 has probability 3e-5.
    """
    wanted = np.full(counts.shape, counts.sum() / counts.size) if expected is None else expected
    freedom = counts.size - 1
    statistic = ((counts - wanted) ** 2 / wanted).sum()
    return float(((statistic / freedom) ** (1 / 3) - (1 - 2 / (9 * freedom))) / math.sqrt(2 / (9 * freedom)))


def test_no_value_of_a_wide_range_is_likelier() -> None:
    """Of 3 * 2**30 and of 3 * 2**62 values, a quarter of all words has to be rejected: thirds stay equal."""
    for dtype, count in (("uint32", 3 << 30), ("uint64", 3 << 62)):
        drawn = np.asarray(rng(8).integers(0, count, 90_000, dtype))
        thirds = (drawn // np.array(count // 3, drawn.dtype)).astype(int)
        assert chi_square(np.bincount(thirds, minlength=3)) < 4
        low = np.asarray(drawn % np.array(1024, drawn.dtype)).astype(int)
        assert chi_square(np.bincount(low, minlength=1024)) < 4


def test_integers_of_arrays() -> None:
    low, high = np.array([0, 10, -5]), np.array([[1], [2], [100]]) + 10
    drawn = rng().integers(low, high, size=(50, 3, 3))
    values = np.asarray(drawn)
    assert ((low <= values) & (values < high)).all()
    same = rng().integers(ca.array(low), ca.array(high), size=(50, 3, 3))
    np.testing.assert_array_equal(np.asarray(same), values)
    assert rng().integers([5, 6], [5, 6], endpoint=True).tolist() == [5, 6]
    assert rng().integers(1, [2, 2, 2], dtype="uint8").tolist() == [1, 1, 1]
    assert rng().integers(ca.array([0, 0]), 2**63, dtype="int64").dtype == np.int64
    assert rng().integers([2**64 - 1], 2**64, dtype="uint64").tolist() == [2**64 - 1]


@pytest.mark.parametrize(
    "arguments",
    [
        (5, 5),
        (6, 5),
        (0,),
        (-1, 300, None, "uint8"),
        (0, 2**63 + 1, None, "int64"),
        (-1, 5, None, "uint64"),
        (0, 2, None, "float32"),
        (0, 3, None, "bool"),
        (0, 5, 3, "complex64"),
        ([0, 5], [5, 5]),
        ([0, -1], 5, None, "uint8"),
        (0, [5, 257], None, "uint8"),
        (0, [1, 2, 3], 2),
        (0, 5, -1),
        ("a",),
    ],
)
def test_integers_refuse(arguments: tuple[Any, ...]) -> None:
    with pytest.raises(Exception) as theirs:
        np.random.default_rng().integers(*arguments)
    with pytest.raises(theirs.type):
        rng().integers(*arguments)


def test_integers_on_the_device_are_checked() -> None:
    for low, high, dtype in (([0, 5], [5, 5], "int64"), ([0, -1], [5, 5], "uint8"), ([0, 0], [5, 257], "uint8")):
        with pytest.raises(ValueError):
            rng().integers(ca.array(low), ca.array(high), dtype=dtype)
    with pytest.raises(TypeError, match="integers"):
        rng().integers(ca.array([1.5]))


# ---- parameters, sizes, outputs

BAD = [
    ("normal", (0, -1)),
    ("normal", (0, -0.0)),
    ("normal", (1j,)),
    ("lognormal", (0, -1)),
    ("exponential", (-1,)),
    ("rayleigh", (-1,)),
    ("pareto", (0,)),
    ("weibull", (-1,)),
    ("power", (0,)),
    ("laplace", (0, -1)),
    ("gumbel", (0, -1)),
    ("logistic", (0, -1)),
    ("standard_gamma", (-1,)),
    ("gamma", (1, -1)),
    ("beta", (0, 1)),
    ("beta", (1, 0)),
    ("chisquare", (0,)),
    ("noncentral_chisquare", (0, 1)),
    ("noncentral_chisquare", (1, -1)),
    ("f", (0, 1)),
    ("f", (1, 0)),
    ("noncentral_f", (0, 1, 1)),
    ("noncentral_f", (1, 1, -1)),
    ("standard_t", (0,)),
    ("wald", (0, 1)),
    ("wald", (1, 0)),
    ("vonmises", (0, -1)),
    ("uniform", (2, 1)),
    ("uniform", (-math.inf, 0)),
    ("uniform", (math.nan, 0)),
    ("uniform", (-1e308, 1e308)),
    ("triangular", (2, 1, 3)),
    ("triangular", (1, 3, 2)),
    ("triangular", (1, 1, 1)),
    ("poisson", (-1,)),
    ("poisson", (1e19,)),
    ("poisson", (math.nan,)),
    ("binomial", (-1, 0.5)),
    ("binomial", (1, 1.5)),
    ("binomial", (1, math.nan)),
    ("negative_binomial", (0, 0.5)),
    ("negative_binomial", (math.nan, 0.5)),
    ("negative_binomial", (1, 0)),
    ("negative_binomial", (1e10, 1e-10)),
    ("geometric", (0,)),
    ("geometric", (1.5,)),
    ("hypergeometric", (-1, 5, 1)),
    ("hypergeometric", (5, -1, 1)),
    ("hypergeometric", (5, 5, 11)),
    ("hypergeometric", (10**9, 5, 11)),
    ("logseries", (1,)),
    ("logseries", (-0.1,)),
    ("zipf", (1,)),
    ("zipf", (math.nan,)),
]


@pytest.mark.parametrize("case", BAD, ids=lambda case: f"{case[0]}{case[1]}".replace(" ", ""))
def test_bad_parameters(case: tuple[str, tuple[Any, ...]]) -> None:
    """NumPy's exceptions: for scalars, for arrays of the host, and for arrays on the device."""
    name, parameters = case
    with pytest.raises(Exception) as theirs:
        getattr(np.random.default_rng(), name)(*parameters)
    with pytest.raises(theirs.type):
        getattr(rng(), name)(*parameters)
    if isinstance(parameters[0], str | complex):
        return
    with pytest.raises(theirs.type):
        getattr(rng(), name)(*([value, value] for value in parameters))
    with pytest.raises(theirs.type):
        getattr(rng(), name)(*(ca.array([value, value]) for value in parameters))


def test_messages_name_the_parameter() -> None:
    with pytest.raises(ValueError, match="scale < 0"):
        rng().normal(0, -1)
    with pytest.raises(ValueError, match="p < 0, p > 1 or p contains NaNs"):
        rng().binomial(3, ca.array([0.5, 2.0]))


@pytest.mark.parametrize("case", [c for c in CASES if c[1] and not c[2]], ids=case_id)
def test_parameters_in_arrays(case: Case) -> None:
    """An element of an array of parameters draws what it draws where all have its parameters."""
    name, parameters, _ = case
    shape = (2, 3, 5)
    expected = np.asarray(getattr(rng(9), name)(*parameters, size=shape))
    arrays: list[Any] = [np.full((3, 1), value) for value in parameters]
    np.testing.assert_array_equal(np.asarray(getattr(rng(9), name)(*arrays, size=shape)), expected)
    mixed = [np.full((2, 1, 5), parameters[0]), *parameters[1:]]
    np.testing.assert_array_equal(np.asarray(getattr(rng(9), name)(*mixed, size=shape)), expected)


@given(st.data())
def test_shapes_of_parameters(data: st.DataObject) -> None:
    """Shapes are NumPy's, as its errors are; views with any strides are read where they are."""
    first = data.draw(st.sampled_from([(), (3,), (1,), (2, 1), (2, 3), (4,), (0,)]))
    second = data.draw(st.sampled_from([(), (3,), (2, 3), (1, 3)]))
    size = data.draw(st.sampled_from([None, 3, (2, 3), (2, 2, 3), (), (3, 1), (0, 3)]))
    location = np.arange(math.prod(first), dtype=float).reshape(first) * 100
    scale = np.zeros(second) + 1e-3
    try:
        shape = np.shape(np.random.default_rng().normal(location, scale, size))
    except ValueError:
        with pytest.raises(ValueError):
            rng().normal(ca.array(location), ca.array(scale), size)
        return
    drawn = rng().normal(ca.array(location), ca.array(scale), size)
    assert drawn.shape == shape
    assert np.allclose(np.asarray(drawn), np.broadcast_to(location, shape), atol=0.1)
    turned = ca.array(np.repeat(location[..., None], 2, -1))[..., 0]
    np.testing.assert_array_equal(np.asarray(rng().normal(turned, ca.array(scale), size)), np.asarray(drawn))


@pytest.mark.parametrize("name", ["random", "standard_normal", "standard_exponential", "standard_gamma"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_out(name: str, dtype: str) -> None:
    arguments = (2.0,) if name == "standard_gamma" else ()
    method: Callable[..., ca.CuArray] = getattr(rng(3), name)
    expected = np.asarray(getattr(rng(3), name)(*arguments, size=(3, 5), dtype=dtype))
    memory = ca.zeros(17, dtype)
    out = memory[1:16].reshape(3, 5)  # not at a multiple of 16 bytes
    assert method(*arguments, size=(3, 5), dtype=dtype, out=out) is out
    np.testing.assert_array_equal(np.asarray(out), expected)
    assert float(memory[0]) == float(memory[16]) == 0
    for bad, error in (
        (ca.zeros(15, "int32"), TypeError),
        (ca.zeros(15, "float32" if dtype == "float64" else "float64"), TypeError),
        (ca.zeros((5, 3), dtype).T, ValueError),
        (ca.zeros((3, 4), dtype), ValueError),
        (np.zeros((3, 5), dtype), TypeError),
    ):
        with pytest.raises(error):
            method(*arguments, size=(3, 5), dtype=dtype, out=bad)
    with pytest.raises(TypeError):
        method(*arguments, dtype="int32")


def test_sizes() -> None:
    assert rng().random().shape == () and rng().random(()).shape == ()
    assert rng().random(0).shape == (0,) and rng().gamma(2.0, size=(2, 0)).shape == (2, 0)
    for n in range(1, 12):  # elements share counters: also those that are left over
        np.testing.assert_array_equal(np.asarray(rng().random(n)), np.asarray(rng().random(11))[:n])
        np.testing.assert_array_equal(np.asarray(rng().random(n, "f4")), np.asarray(rng().random(11, "f4"))[:n])
    with pytest.raises(ValueError):
        rng().random(-1)
    with pytest.raises(TypeError):
        rng().random(2.5)


def test_bytes() -> None:
    assert rng().bytes(0) == b"" and len(rng().bytes(7)) == 7
    assert rng().bytes(9)[:5] == rng().bytes(5)
    assert chi_square(np.bincount(np.frombuffer(rng().bytes(100_000), np.uint8), minlength=256)) < 4
    with pytest.raises(ValueError):
        rng().bytes(-1)


# ---- vectors


def test_multivariate_normal() -> None:
    mean, cov = np.array([1.0, -2.0, 0.5]), np.array([[2.0, 0.6, 0.1], [0.6, 1.0, -0.3], [0.1, -0.3, 0.5]])
    for method in ("svd", "eigh", "cholesky"):
        x = np.asarray(rng(2).multivariate_normal(mean, cov, 50_000, method=method))
        assert x.shape == (50_000, 3)
        np.testing.assert_allclose(x.mean(0), mean, atol=0.03)
        np.testing.assert_allclose(np.cov(x.T), cov, atol=0.05)
    assert rng().multivariate_normal(ca.array(mean), ca.array(cov)).shape == (3,)
    assert rng().multivariate_normal(mean, cov, (2, 4)).shape == (2, 4, 3)
    bad = [[1.0, 2.0], [2.0, 1.0]]
    with pytest.warns(RuntimeWarning):
        rng().multivariate_normal([0, 0], bad)
    with pytest.raises(ValueError):
        rng().multivariate_normal([0, 0], bad, check_valid="raise")
    rng().multivariate_normal([0, 0], bad, check_valid="ignore")
    wrong: list[dict[str, Any]] = [
        {"method": "qr"},
        {"check_valid": "no"},
        {"mean": [[0, 0]]},
        {"mean": [0]},
        {"cov": [1]},
    ]
    for arguments in wrong:
        with pytest.raises(ValueError):
            rng().multivariate_normal(**{"mean": [0, 0], "cov": np.eye(2), **arguments})


def test_multinomial() -> None:
    chances = np.array([0.1, 0.2, 0.3, 0.4])
    x = np.asarray(rng(2).multinomial(50, chances, 20_000))
    assert x.shape == (20_000, 4) and x.dtype == np.int64
    assert (x.sum(1) == 50).all() and x.min() >= 0
    np.testing.assert_allclose(x.mean(0), 50 * chances, atol=0.1)
    np.testing.assert_allclose(np.cov(x.T), 50 * (np.diag(chances) - np.outer(chances, chances)), atol=0.4)
    theirs = np.random.default_rng(1)
    for n, p, size in ((5, [[0.5, 0.5], [0.1, 0.9]], None), ([1, 2, 3], [1.0], None), ([[1], [2]], chances, (3, 2, 1))):
        drawn = rng().multinomial(n, p, size)
        assert drawn.shape == theirs.multinomial(n, p, size).shape
        assert (np.asarray(drawn).sum(-1) == np.broadcast_to(n, drawn.shape[:-1])).all()
    for n, p in ((-1, chances), (5, [0.9, 0.2, 0.1]), (5, [-0.1, 1.1]), (5, []), (5, 0.5)):
        with pytest.raises(ValueError):
            rng().multinomial(n, p)


def test_multivariate_hypergeometric() -> None:
    colors = np.array([30, 0, 20, 50])
    x = np.asarray(rng(2).multivariate_hypergeometric(colors, 40, 20_000))
    assert x.shape == (20_000, 4) and x.dtype == np.int64
    assert (x.sum(1) == 40).all() and x.min() >= 0 and (x <= colors).all()
    share = colors / 100
    np.testing.assert_allclose(x.mean(0), 40 * share, atol=0.1)
    covariance = 40 * (np.diag(share) - np.outer(share, share)) * 60 / 99
    np.testing.assert_allclose(np.cov(x.T), covariance, atol=0.2)
    assert rng().multivariate_hypergeometric([3, 2], 5).tolist() == [3, 2]
    cases: list[tuple[Any, ...]] = [
        ([3, 2], 6),
        ([3, -1], 1),
        ([3, 2], -1),
        ([10**9, 1], 3),
        ([1.5], 1),
        ([1], 1, 1, "no"),
    ]
    for arguments in cases:
        with pytest.raises(ValueError):
            rng().multivariate_hypergeometric(*arguments)


def test_dirichlet() -> None:
    for alpha in ([1.0, 2.0, 5.0], [0.01, 0.05, 0.02], [0.5, 0.0, 2.0]):
        weights = np.array(alpha)
        x = np.asarray(rng(2).dirichlet(alpha, 50_000))
        assert x.shape == (50_000, 3) and np.isfinite(x).all()
        np.testing.assert_allclose(x.sum(1), 1)
        share = weights / weights.sum()
        np.testing.assert_allclose(x.mean(0), share, atol=0.01)
        np.testing.assert_allclose(x.var(0), share * (1 - share) / (weights.sum() + 1), atol=0.01)
    assert rng().dirichlet([1.0, 1.0]).shape == (2,)
    for alpha in ([-1.0, 2.0], 1.0, [[1.0, 2.0]], [math.nan, 1.0]):
        with pytest.raises(ValueError):
            rng().dirichlet(alpha)


# ---- permutations


@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_all_permutations_are_equally_likely(n: int) -> None:
    count = 60_000
    lines = np.asarray(rng(3).permuted(np.tile(np.arange(n), (count, 1)), axis=1))
    code = (lines * n ** np.arange(n)).sum(1)
    _, counts = np.unique(code, return_counts=True)
    assert counts.size == math.factorial(n)
    assert chi_square(counts) < 4


@pytest.mark.parametrize("n", [0, 1, 2, 31, 32, 33, 64, 65, 100, 1000, 16384, 16385, 2**16, 100_003])
def test_permutations_have_every_number_once(n: int) -> None:
    order = rng(4).permutation(n)
    assert order.dtype == np.int64 and order.shape == (n,)
    np.testing.assert_array_equal(np.sort(np.asarray(order)), np.arange(n))


def test_long_permutations_are_random() -> None:
    """What a place gets, and where neighbours go, by chi-square; also fixed points and successions."""
    n, cells = 20_000, 20
    together = np.zeros((cells, cells), int)
    distances = np.zeros(cells, int)
    fixed = successions = 0
    for seed in range(20):
        order = np.asarray(rng(seed).permutation(n))
        np.add.at(together, (np.arange(n) * cells // n, order * cells // n), 1)
        distances += np.bincount(np.diff(order) % n * cells // n, minlength=cells)
        fixed += int((order == np.arange(n)).sum())
        successions += int((np.diff(order) == 1).sum())
    freedom, expected = (cells - 1) ** 2, together.sum() / cells**2  # rows and columns have fixed sums
    statistic = ((together - expected) ** 2 / expected).sum()
    assert abs(statistic - freedom) < 4 * math.sqrt(2 * freedom)
    assert chi_square(distances) < 4
    assert abs(fixed - 20) < 4 * math.sqrt(20) and abs(successions - 20) < 4 * math.sqrt(20)


def test_permutations_of_arrays() -> None:
    x = np.arange(2 * 5 * 3).reshape(2, 5, 3)
    for axis in (0, 1, 2, -1):
        shuffled = np.asarray(rng(2).permutation(ca.array(x), axis))
        order = np.asarray(rng(2).permutation(x.shape[axis]))
        np.testing.assert_array_equal(shuffled, np.take(x, order, axis))
        in_place = ca.array(x)
        rng(2).shuffle(in_place, axis)
        np.testing.assert_array_equal(np.asarray(in_place), shuffled)
        lines = np.asarray(rng(2).permuted(ca.array(x), axis=axis))
        np.testing.assert_array_equal(np.sort(lines, axis), x)
        turned = np.asarray(rng(2).permutation(ca.array(x.T.copy()).T, axis))
        np.testing.assert_array_equal(turned, shuffled)
    every = np.asarray(rng(2).permuted(ca.array(x)))
    assert every.shape == x.shape and sorted(every.ravel().tolist()) == list(range(30))
    out = ca.zeros((2, 5, 3), "int64")
    assert rng(2).permuted(ca.array(x), out=out) is out
    np.testing.assert_array_equal(np.asarray(out), every)
    for dtype in ("bool", "int16", "float32", "complex64", "complex128"):
        y = np.arange(70).astype(dtype)
        np.testing.assert_array_equal(
            np.asarray(rng(2).permutation(ca.array(y))), y[np.asarray(rng(2).permutation(70))]
        )
    pairs = np.array([(1, 2.0), (3, 4.0), (5, 6.0)], [("a", "i8"), ("b", "f8")])
    assert sorted(np.asarray(rng(2).permutation(ca.array(pairs)))["a"].tolist()) == [1, 3, 5]


def test_shuffle_of_other_things() -> None:
    values = list("abcdef")
    rng(2).shuffle(values)
    assert sorted(values) == list("abcdef") and values != list("abcdef")
    array = np.arange(12).reshape(3, 4)
    rng(2).shuffle(array, axis=1)
    np.testing.assert_array_equal(np.sort(array, 1), np.arange(12).reshape(3, 4))
    with pytest.raises(TypeError):
        rng().shuffle("abc")
    with pytest.raises(TypeError):
        rng().shuffle(ca.array(1))
    with pytest.raises(np.exceptions.AxisError):
        rng().shuffle(ca.arange(3), 1)
    with pytest.raises(ValueError):
        rng().permuted(ca.arange(3), out=ca.arange(4))


# ---- choices


@pytest.mark.parametrize("replace", [True, False])
@pytest.mark.parametrize("size", [None, (), 3, (2, 2), 0])
def test_choice(size: Any, replace: bool) -> None:
    """Shapes and dtypes are NumPy's; items come from the axis, once each without replacement."""
    x = np.arange(20).reshape(5, 4) * 10
    for population in (5, x, ca.array(x)):
        for axis in (0, 1, -1):
            plain = population if isinstance(population, int) else x
            theirs = np.random.default_rng(1).choice(plain, size, replace, axis=axis)
            ours = rng(1).choice(population, size, replace, axis=axis)
            assert ours.shape == np.shape(theirs) and ours.dtype == np.asarray(theirs).dtype
            order = np.asarray(rng(1).choice(x.shape[axis], size, replace))
            if not isinstance(population, int):
                np.testing.assert_array_equal(np.asarray(ours), np.take(x, order, axis))
            if not replace:
                assert len(set(order.ravel().tolist())) == order.size


def test_choice_is_uniform() -> None:
    assert chi_square(np.bincount(np.asarray(rng(1).choice(7, 70_000)), minlength=7)) < 4
    assert len(set(rng(1).choice(100, 100, replace=False).tolist())) == 100
    assert len(set(rng(1).choice(10**9, 1000, replace=False).tolist())) == 1000
    last = [rng(seed).choice(50_000, 20, replace=False).tolist() for seed in range(200)]
    assert chi_square(np.bincount(np.ravel(last) * 10 // 50_000, minlength=10)) < 4


@pytest.mark.parametrize("n", [4, 1000, 3000])
def test_choice_with_probabilities(n: int) -> None:
    weights = np.random.default_rng(2).random(n)
    weights[1] = 0
    weights /= weights.sum()
    count = 400 * n if n < 100 else 100_000
    drawn = np.asarray(rng(1).choice(n, count, p=weights))
    assert drawn.min() >= 0 and drawn.max() < n and not (drawn == 1).any()
    groups = np.arange(n) * 4 // n
    seen = np.bincount(groups, weights) > 0
    expected = np.bincount(groups, weights)[seen] * count
    assert chi_square(np.bincount(groups[drawn], minlength=4)[seen], expected) < 4
    np.testing.assert_array_equal(np.asarray(rng(1).choice(n, 50, p=ca.array(weights))), drawn[:50])


def test_choice_with_probabilities_without_replacement() -> None:
    """Items are drawn in turn: the chances of ordered pairs are p[i] p[j] / (1 - p[i])."""
    p = np.array([0.5, 0.3, 0.2, 0.0])
    counts = np.zeros((4, 4))
    generator, repeats = rng(1), 3000
    for _ in range(repeats):
        first, second = generator.choice(4, 2, replace=False, p=p).tolist()
        counts[first, second] += 1
    expected = repeats * p[:, None] * p[None, :] / (1 - p[:, None])
    np.fill_diagonal(expected, 0)
    seen = expected > 0
    assert (counts[~seen] == 0).all()
    assert chi_square(counts[seen], expected[seen]) < 4
    n = 5000
    weights = np.arange(1.0, n + 1)
    drawn = rng(1).choice(n, 500, replace=False, p=weights / weights.sum()).tolist()
    assert len(set(drawn)) == 500 and np.mean(drawn) > 0.6 * n


def test_choice_refuses() -> None:
    x = np.arange(5)
    cases: list[tuple[tuple[Any, ...], dict[str, Any]]] = [
        ((0,), {}),
        ((-1,), {}),
        ((1.5,), {}),
        (([],), {}),
        ((5, 6), {"replace": False}),
        ((x, 2), {"p": [1.0]}),
        ((2, 2), {"p": [[0.5, 0.5]]}),
        ((2, 2), {"p": [0.5, 0.6]}),
        ((2, 2), {"p": [1.5, -0.5]}),
        ((2, 2), {"p": [np.nan, 0.5]}),
        ((3, 2), {"p": [1.0, 0.0, 0.0], "replace": False}),
        ((x, 2), {"axis": 1}),
    ]
    for arguments, keywords in cases:
        with pytest.raises(Exception) as theirs:
            np.random.default_rng().choice(*arguments, **keywords)
        with pytest.raises(theirs.type):
            rng().choice(*arguments, **keywords)


# ---- the same numbers everywhere


def streams() -> Iterator[tuple[str, Callable[[ca.random.Generator], Any]]]:
    """Every method, by what is asked of it."""
    for case in CASES:
        name, parameters, keywords = case
        yield case_id(case), lambda g, n=name, p=parameters, k=keywords: getattr(g, n)(*p, size=1001, **k)
    for dtype in ("bool", "int8", "uint16", "int32", "uint64"):
        yield f"integers-{dtype}", lambda g, d=dtype: g.integers(0, 2 if d == "bool" else 100, 1001, d)
    yield "integers-wide", lambda g: g.integers(-(2**62), 2**62, 1001)
    yield "integers-arrays", lambda g: g.integers(np.arange(7), np.arange(7) + 10**10, (99, 7))
    yield "integers-rejected", lambda g: g.integers(0, 3 << 30, 1001, "uint32")
    yield "normal-arrays", lambda g: g.normal(np.arange(7), 1 + np.arange(7), (99, 7))
    yield "gamma-arrays", lambda g: g.gamma(1 + np.arange(7), 2.0, (99, 7))
    for n in (5, 1000, 20_000):
        yield f"permutation-{n}", lambda g, n=n: g.permutation(n)
    yield "permuted", lambda g: g.permuted(np.tile(np.arange(40), (30, 1)), axis=1)
    yield "choice", lambda g: g.choice(50, 1001)
    weights = np.arange(1.0, 2001.0) / (1000 * 2001)
    yield "choice-p", lambda g: g.choice(2000, 1001, p=weights)
    yield "choice-p-once", lambda g: g.choice(2000, 1001, replace=False, p=weights)
    yield "multinomial", lambda g: g.multinomial(1000, [0.1, 0.2, 0.3, 0.4], 500)
    yield "multivariate_hypergeometric", lambda g: g.multivariate_hypergeometric([100, 50, 70], 90, 500)
    yield "dirichlet", lambda g: g.dirichlet([0.5, 1.0, 20.0], 500)
    yield "dirichlet-small", lambda g: g.dirichlet([0.01, 0.02, 0.03], 500)
    yield "multivariate_normal", lambda g: g.multivariate_normal([1.0, 2.0], [[4.0, 0.0], [0.0, 1.0]], 500)


STREAMS = dict(streams())


def digest(result: Any) -> str:
    return hashlib.sha256(np.ascontiguousarray(np.asarray(result)).tobytes()).hexdigest()[:16]


@pytest.mark.parametrize("name", STREAMS)
def test_digest(name: str) -> None:
    """The bits of each stream: on every backend, and in every version, these."""
    generator = ca.random.Generator(ca.random.Philox4x32(key=0x0123456789ABCDEF, counter=2**32 - 100))
    assert digest(STREAMS[name](generator)) == DIGESTS[name]


@pytest.mark.parametrize("processors", [1, 3, 16])
def test_independent_of_the_launch(processors: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """More or fewer blocks and threads make the same numbers."""
    caches = [_draw._prepare, _generator._rows, _generator._raw, _permute._cumulation]
    caches += [_permute._keys, _permute._feistel, _sorted._prepare_sort]
    runtime = _runtime.get()
    threads = runtime.target.block_threads
    target = dataclasses.replace(
        runtime.target, processors=processors, block_threads=1 if threads == 1 else 32 * processors
    )
    monkeypatch.setattr(runtime, "target", target)
    monkeypatch.setattr(_tuning, "_RANDOM_CHUNK_NS", 500)
    names = ["random()", "standard_normal()f", "integers-rejected", "standard_gamma(1.5,)", "normal-arrays"]
    names += ["permutation-1000", "permutation-20000", "permuted", "choice-p", "multinomial", "gamma-arrays"]
    try:
        for name in names:
            for cache in caches:
                cache.cache_clear()
            test_digest(name)
    finally:
        for cache in caches:
            cache.cache_clear()


def test_plans_depend_on_the_target_only_in_extents() -> None:
    small = _tuning.Target(processors=1, block_threads=1, max_block_threads=1024, blocks_per_processor=1)
    large = _tuning.Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
    for length in (10, 100_000):
        plans = (
            [_plan.shuffle_keys(t, 2, length) for t in (small, large)],
            [_plan.feistel(t, 2, length, 7) for t in (small, large)],
        )
        for one, other in plans:
            assert one.instance == other.instance and one.words == other.words and one.block != other.block


# ---- state


def test_seeds() -> None:
    def first(generator: ca.random.Generator) -> list[float]:
        return generator.random(4).tolist()

    assert first(rng(5)) == first(rng(5)) != first(rng(6))
    assert first(rng([1, 2])) == first(ca.random.default_rng(np.random.SeedSequence([1, 2])))
    assert first(ca.random.default_rng()) != first(ca.random.default_rng())
    generator = rng(5)
    assert ca.random.default_rng(generator) is generator
    bits = ca.random.Philox4x32(5)
    assert ca.random.default_rng(bits).bit_generator is bits
    assert first(ca.random.Generator(bits)) == first(rng(5))
    for bad, error in ((-1, ValueError), (1.5, TypeError), ("a", (TypeError, ValueError))):
        with pytest.raises(error):
            ca.random.default_rng(bad)
    with pytest.raises(TypeError):
        ca.random.Generator(np.random.PCG64())
    with pytest.raises(TypeError):
        ca.random.Philox4x32(1, key=2)
    for keywords in ({"key": 2**64}, {"key": -1}, {"counter": 2**96}):
        with pytest.raises(ValueError):
            ca.random.Philox4x32(**keywords)


def test_state() -> None:
    generator = rng(5)
    generator.normal(size=7)
    state = pickle.loads(pickle.dumps(generator.bit_generator.state))
    expected = generator.random(5).tolist()
    other = rng(99)
    other.bit_generator.state = state
    assert other.random(5).tolist() == expected
    with pytest.raises(ValueError):
        other.bit_generator.state = {**state, "bit_generator": "PCG64"}
    with pytest.raises(TypeError):
        other.bit_generator.state = 3
    with pytest.raises(ValueError):
        other.bit_generator.state = {**state, "state": {"counter": [1, 0, 0, 0], "key": [0, 0]}}


def test_copies() -> None:
    generator = rng(5)
    generator.random(3)
    for twin in (pickle.loads(pickle.dumps(generator)), copy.copy(generator), copy.deepcopy(generator)):
        assert (
            twin.bit_generator.state["state"]["key"].tolist() == generator.bit_generator.state["state"]["key"].tolist()
        )
        assert twin.bit_generator.seed_seq.entropy == 5
        assert twin.random(4).tolist() == copy.copy(generator).random(4).tolist()
        twin.random(100)
    assert repr(generator) == "Generator(Philox4x32)"


def test_calls_do_not_overlap() -> None:
    """A call takes as many positions as it needs: numbers of successive calls are all different."""
    generator = rng(5)
    calls = [generator.random(n).tolist() for n in (1, 2, 3, 1, 4)] + [
        generator.standard_gamma(2.0, n).tolist() for n in (1, 5)
    ]
    values = list(itertools.chain.from_iterable(calls))
    assert len(set(values)) == len(values)
    before = generator.bit_generator.state["state"]["counter"]
    generator.random(0)
    assert (generator.bit_generator.state["state"]["counter"] == before).all()


def test_jumps_and_children() -> None:
    generator = rng(5)
    jumped = ca.random.Generator(generator.bit_generator.jumped(3))
    assert jumped.bit_generator.state["state"]["counter"].tolist() == [0, 0, 0, 3]
    assert jumped.random(3).tolist() != generator.random(3).tolist()
    bits = ca.random.Philox4x32(5)
    assert ca.random.Generator(bits.advance(2)).random(2).tolist() == rng(5).random(6).tolist()[4:]
    assert bits.advance(-3).state["state"]["counter"].tolist() == [0, 0, 0, 0]
    children = rng(5).spawn(3)
    keys = [tuple(child.bit_generator.state["state"]["key"]) for child in children]
    assert len(set(keys)) == 3
    expected = [np.random.SeedSequence(5).spawn(3)[k].generate_state(2, np.uint32) for k in range(3)]
    assert keys == [tuple(words) for words in expected]
    with pytest.raises(TypeError):
        ca.random.Philox4x32(key=1).spawn(2)


def test_threads_share_a_generator() -> None:
    """Every call has numbers of its own, whichever thread makes it."""
    generator = rng(5)
    generator.random(20)
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda _: generator.random(20).tolist(), range(40)))
    assert sorted(itertools.chain.from_iterable(parts)) == sorted(rng(5).random(820).tolist()[20:])


# ---- the module's functions


def test_shared_generator() -> None:
    ca.random.seed(5)
    assert ca.random.random(3).tolist() == rng(5).random(3).tolist()
    ca.random.seed(5)
    assert ca.random.rand(2, 3).shape == (2, 3) and ca.random.randn(4).shape == (4,)
    assert ca.random.rand().shape == () and ca.random.random_sample().shape == ()
    drawn = ca.random.randint(3, 6, (2, 50), "int32")
    assert drawn.dtype == np.int32 and set(np.asarray(drawn).ravel().tolist()) == {3, 4, 5}
    x = ca.arange(30)
    ca.random.shuffle(x)
    assert sorted(x.tolist()) == list(range(30))
    ca.random.seed(5)
    first = ca.random.normal(1, 2, 3).tolist()
    ca.random.seed(5)
    assert ca.random.normal(1, 2, 3).tolist() == first
    for name in ca.random.__all__:
        assert hasattr(ca.random, name)


@pytest.mark.parametrize("name", [name for name in dir(np.random.Generator) if not name.startswith("_")])
def test_methods_are_numpys(name: str) -> None:
    """Every method of NumPy's is there, with its parameters."""
    import inspect

    method = getattr(ca.random.Generator, name, None)
    assert method is not None
    assert (method.__doc__ or "").strip()
    if not callable(method):
        return
    try:
        theirs = inspect.signature(getattr(np.random.Generator, name))
    except ValueError:
        return  # compiled without one
    assert list(inspect.signature(method).parameters) == list(theirs.parameters)


DIGESTS: dict[str, str] = {
    "random()": "8a7c447f5c705060",
    "uniform(-1.0,3.0)": "c60bca89b1be25a6",
    "standard_normal()": "6b043735dcdd1cbd",
    "normal(3.0,2.0)": "de779a020a2b6a0f",
    "lognormal(0.5,0.75)": "e751ba34a518fb50",
    "standard_exponential()": "4162391324d61f7d",
    "exponential(3.0,)": "a2cb3f9c4607795c",
    "rayleigh(2.0,)": "09f68f79d5af633a",
    "pareto(3.0,)": "3e7522c15b1b172f",
    "pareto(0.4,)": "96e1213d9477f764",
    "weibull(0.5,)": "3741ea617e06af32",
    "weibull(3.0,)": "d5312376653dba22",
    "power(0.3,)": "0e57401f51e20e47",
    "power(4.0,)": "ec4cafef60027dd1",
    "laplace(1.0,2.0)": "31c01cee555555c1",
    "gumbel(1.0,2.0)": "faaaca8e75315e01",
    "logistic(1.0,2.0)": "e685225dda710320",
    "standard_cauchy()": "56bba41793aeb15b",
    "triangular(-1.0,0.0,3.0)": "cc71a0322ecf9efb",
    "triangular(0.0,0.0,1.0)": "e2612345596b7141",
    "triangular(0.0,1.0,1.0)": "2d99e757cdaa6688",
    "standard_gamma(0.05,)": "6ad56ac7ef104d5c",
    "standard_gamma(0.5,)": "d9f5a81b966b59fa",
    "standard_gamma(1.0,)": "1faf36bff95ee605",
    "standard_gamma(1.5,)": "8d9f28b0dd0e39c9",
    "standard_gamma(50.0,)": "938b781d9ce207ba",
    "gamma(2.0,3.0)": "55494e94aae34384",
    "beta(0.2,0.3)": "23308e9a1c9d0a92",
    "beta(1.0,1.0)": "aa8dec018173dd5b",
    "beta(0.5,3.0)": "e13c9269f96aca26",
    "beta(5.0,2.0)": "5828cdc453e30a4d",
    "chisquare(0.5,)": "5343c790fe99d164",
    "chisquare(7.0,)": "ad8365aaf1810b40",
    "noncentral_chisquare(0.5,2.0)": "070b37c19dc53dfe",
    "noncentral_chisquare(3.0,4.0)": "4bdaba306d63148e",
    "noncentral_chisquare(2.0,0.0)": "01f34e28e20c3ea9",
    "f(3.0,7.0)": "8d7798173cea4a2f",
    "noncentral_f(3.0,7.0,2.0)": "308841124d0b22a0",
    "standard_t(1.5,)": "99fdb7f38bb54f63",
    "standard_t(10.0,)": "ca07c0bb42e4c4fe",
    "wald(1.0,3.0)": "74c1e1fdd5469596",
    "wald(5.0,0.1)": "b9b018081dae67e6",
    "vonmises(1.0,2.0)": "90050c3e68cece60",
    "vonmises(-2.0,1e-06)": "8d3aa1a8c31c7444",
    "vonmises(3.0,0.3)": "bf40e34c5698139c",
    "vonmises(0.0,500.0)": "2662d94ba0330850",
    "vonmises(0.0,1e-09)": "e80d56ebbf191c85",
    "vonmises(0.0,10000000.0)": "7b8a848709573f24",
    "poisson(0.01,)": "a6a9a282dbb2fd99",
    "poisson(3.0,)": "be4f4a81052a977d",
    "poisson(9.9,)": "961fda4d40f1f7e0",
    "poisson(10.0,)": "595422309750ffb0",
    "poisson(40.0,)": "37513d40bb084265",
    "poisson(1000000.0,)": "c2708631be44c814",
    "binomial(10,0.3)": "1ad77c9401b80943",
    "binomial(40,0.9)": "da106de4514d582a",
    "binomial(100,0.5)": "cad74e4716b2ffb9",
    "binomial(1000,0.01)": "3648e87232880de9",
    "binomial(1000,0.02)": "4f4151dff55180c7",
    "binomial(1000000,0.7)": "fb3967fa31b9ab40",
    "binomial(5,0.0)": "6ef7cad281b0f497",
    "binomial(5,1.0)": "1a6f8bca6115187b",
    "negative_binomial(3,0.4)": "94cee26004b2e123",
    "negative_binomial(0.5,0.1)": "3c5920d6aff38103",
    "negative_binomial(100.0,0.9)": "7edd96478e536905",
    "geometric(0.02,)": "3aac4a4ea93a79d5",
    "geometric(0.5,)": "e95e253a429ed1c8",
    "geometric(1.0,)": "1e8f2ee3a9886fd0",
    "hypergeometric(10,5,6)": "af5a4b87c60b98be",
    "hypergeometric(5,10,12)": "91396c1fc3b821b7",
    "hypergeometric(200,100,80)": "0033f700e260ac2e",
    "hypergeometric(100,200,250)": "5a5d85ae1b79469c",
    "hypergeometric(50,60,20)": "e085e5a17a848b06",
    "hypergeometric(0,5,3)": "6ef7cad281b0f497",
    "hypergeometric(5,0,3)": "91411e6fb60f23b1",
    "logseries(0.1,)": "e92e9cf9c6716250",
    "logseries(0.9,)": "1a76261ca29f1ec5",
    "logseries(0.999,)": "419de5d0d172c7ff",
    "zipf(1.3,)": "bb3cdfc095b4a146",
    "zipf(2.0,)": "41f9123df901d36b",
    "zipf(6.0,)": "5dbaa57a15dd57e3",
    "random()f": "9d9e10425d5f8233",
    "standard_normal()f": "9294cd1db256c6cc",
    "standard_exponential()f": "f6a5fad8aac1e5d0",
    "standard_gamma(2.5,)f": "6675bd7b4e5b265a",
    "integers-bool": "19dd51e1ed1c4210",
    "integers-int8": "01579b497971b94e",
    "integers-uint16": "bf258187cc72a89e",
    "integers-int32": "8a113a74f4f70d4e",
    "integers-uint64": "cfb4acc9cc1016e6",
    "integers-wide": "a51e53f01dbd4aec",
    "integers-arrays": "65f756756fc592d7",
    "integers-rejected": "f72ca5f96a2afaa2",
    "normal-arrays": "744525dda740f4ae",
    "gamma-arrays": "a6a6b91e0e07f099",
    "permutation-5": "841f0f5eb4f4cf22",
    "permutation-1000": "c181c2c54afc2357",
    "permutation-20000": "3725e9bf80684586",
    "permuted": "37aefa414847bc14",
    "choice": "74f4fd9d0d0f52c8",
    "choice-p": "f74fe1b2d1d29e80",
    "choice-p-once": "f41abafc5a46e754",
    "multinomial": "f418a39e6be18c0b",
    "multivariate_hypergeometric": "a84388b8dd1e4e01",
    "dirichlet": "afd7c9b18cc22d7b",
    "dirichlet-small": "da4dc6abe8ef4957",
    "multivariate_normal": "74e59bc1714112d2",
}
