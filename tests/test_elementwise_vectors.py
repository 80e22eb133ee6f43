"""What vector instructions must not change: an element's bits wherever it stands, accuracy, special values."""

from __future__ import annotations

import os
import subprocess
import sys
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import values

import cuarray as ca
from cuarray import _runtime
from cuarray._dtypes import kind_of
from cuarray._table import ELEMENTWISE

MANY = ["add", "divide", "floor_divide", "less", "maximum", "power", "left_shift", "square", "invert", "logical_and"]
FLOATING = [
    name
    for name, row in ELEMENTWISE.items()
    if name != "ldexp" and any(types.startswith("d" * row.ufunc.nin + "->") for types in row.ufunc.types)
]


def bits(array: ca.CuArray) -> np.ndarray:
    """The bytes of each element, with NaN as one value: its payload is nobody's promise."""
    host = np.ascontiguousarray(np.asarray(array))
    raw = host.view(np.uint8).reshape(*host.shape, host.itemsize).copy()
    if kind_of(host.dtype) in "fc":
        raw[np.isnan(host.astype(np.complex128))] = 0xFF
    return raw


def check_positions(name: str, hosts: list[np.ndarray]) -> None:
    """Each element by itself, in other layouts and in a larger array has the bits that it has in the whole."""
    function = getattr(ca, name)
    arrays = [ca.array(host) for host in hosts]
    n = hosts[0].size

    def results(*operands: ca.CuArray) -> list[np.ndarray]:
        found = function(*operands)
        return [bits(own) for own in (found if isinstance(found, tuple) else (found,))]

    whole = results(*arrays)
    for i in {0, n // 2, n - 1}:
        for one, all_ in zip(results(*(x[i : i + 1] for x in arrays)), whole, strict=True):
            np.testing.assert_array_equal(one, all_[i : i + 1])
    spread = [ca.zeros((n, 3), x.dtype) for x in arrays]
    for wide, x in zip(spread, arrays, strict=True):
        wide[:, 1] = x
    for views in ([wide[:, 1] for wide in spread], [x[::-1] for x in arrays]):
        back = slice(None, None, -1) if views[0].strides[0] < 0 else slice(None)
        for strided, all_ in zip(results(*views), whole, strict=True):
            np.testing.assert_array_equal(strided, all_[back])
    repeated = [ca.array(np.tile(host, (5, 1))) for host in hosts]
    for turned, views in enumerate((repeated, [x.T for x in repeated])):
        for tiled, all_ in zip(results(*views), whole, strict=True):
            rows = tiled.swapaxes(0, 1) if turned else tiled
            assert all(np.array_equal(row, all_) for row in rows)
    if len(whole) == 1:  # under a mask
        mask = np.arange(n) % 3 != 1
        out = function(*(x[::-1] for x in arrays))[::-1].copy()
        masked = bits(function(*arrays, out=out, where=ca.array(mask)))
        np.testing.assert_array_equal(masked, whole[0])


@pytest.mark.parametrize("name", FLOATING)
@settings(max_examples=4)
@given(data=st.data())
def test_an_element_has_the_same_bits_wherever_it_stands(name: str, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from([np.dtype(np.float32), np.dtype(np.float64)]))
    n = data.draw(st.integers(1, 70))
    seed = data.draw(st.integers(0, 2**32 - 1))
    random = np.random.default_rng(seed)
    hosts = []
    for _ in range(ELEMENTWISE[name].ufunc.nin):
        host = (random.normal(size=n) * 10.0 ** random.integers(-3, 3, n)).astype(dtype)
        some = data.draw(st.lists(values(dtype), max_size=5))
        host[random.integers(0, n, len(some))] = some
        hosts.append(host)
    check_positions(name, hosts)


@pytest.mark.parametrize("name", MANY)
@settings(max_examples=5)
@given(data=st.data())
def test_integers_and_complex_numbers_wherever_they_stand(name: str, data: st.DataObject) -> None:
    row = ELEMENTWISE[name]
    codes = [
        types[0] for types in row.ufunc.types if len(set(types[: row.ufunc.nin])) == 1 and types[0] in "?bBhHiIlLFD"
    ]
    dtype = np.dtype(data.draw(st.sampled_from(codes)))
    n = data.draw(st.integers(1, 150))
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    numbers = random.integers(0, 12, (2, n)) if name == "power" else random.integers(-100, 100, (2, n))
    hosts = [(own + (1j * own[::-1] if dtype.kind == "c" else 0)).astype(dtype) for own in numbers]
    check_positions(name, hosts[: row.ufunc.nin])


# ---- accuracy: units in the last place, against a wider type

RANGES = {
    "exp": (-80, 80), "exp2": (-100, 100), "expm1": (-20, 80), "log": (1e-6, 1e6), "log2": (1e-6, 1e6),
    "log10": (1e-6, 1e6), "log1p": (-0.99, 1e3), "cbrt": (-1e6, 1e6), "sqrt": (0, 1e6), "sin": (-1e3, 1e3),
    "cos": (-1e3, 1e3), "tan": (-1e3, 1e3), "arcsin": (-1, 1), "arccos": (-1, 1), "arctan": (-1e3, 1e3),
    "sinh": (-80, 80), "cosh": (-80, 80), "tanh": (-10, 10), "arcsinh": (-1e3, 1e3), "arccosh": (1, 1e3),
    "arctanh": (-0.999, 0.999), "power": (1e-3, 20), "arctan2": (-1e3, 1e3), "hypot": (-1e3, 1e3),
}  # fmt: skip


def ulps(actual: np.ndarray, exact: np.ndarray) -> np.ndarray:
    nearest = exact.astype(actual.dtype)
    return np.abs(actual.astype(exact.dtype) - exact) / np.spacing(np.abs(nearest)).astype(exact.dtype)


@pytest.mark.parametrize("name", RANGES)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy(name: str, dtype: str) -> None:
    """At most 4 ulp on the CPU; what GPUs give is bound by the library of CUDA."""
    if np.dtype(np.longdouble).itemsize <= 8 and dtype == "float64":
        pytest.skip("no type here is wider than float64")
    random = np.random.default_rng(1)
    operands = [random.uniform(*RANGES[name], 20_000).astype(dtype) for _ in range(ELEMENTWISE[name].ufunc.nin)]
    wide = np.float64 if dtype == "float32" else np.longdouble
    exact = getattr(np, name)(*(x.astype(wide) for x in operands))
    actual = np.asarray(getattr(ca, name)(*(ca.array(x) for x in operands)))
    # A GPU's power may be off by more.
    limit = 4.0 if _runtime.get().host_is_device else 16.0
    assert ulps(actual, exact).max() <= limit


# Where results overflow, are subnormal or 0, and angles of many turns.
FAR = {
    "exp": [(-120, 100), (-760, 720), (-1e6, 1e6)], "log": [(0, 1e-307), (0, 1e-37), (0, 1e-44), (-1, 1)],
    "sin": [(9e3, 1.1e4), (-1e6, 1e6)], "cos": [(9e3, 1.1e4), (-1e6, 1e6)], "tanh": [(-30, 30), (-1e3, 1e3)],
}  # fmt: skip


@pytest.mark.parametrize(("name", "bounds"), [(name, own) for name, all_ in FAR.items() for own in all_])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_accuracy_of_far_arguments(name: str, bounds: tuple[float, float], dtype: str) -> None:
    if np.dtype(np.longdouble).itemsize <= 8 and dtype == "float64":
        pytest.skip("no type here is wider than float64")
    x = np.random.default_rng(7).uniform(*bounds, 20_000).astype(dtype)
    x[:6] = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0]
    actual = np.asarray(getattr(ca, name)(ca.array(x)))
    with np.errstate(all="ignore"):
        exact = getattr(np, name)(x.astype(np.float64 if dtype == "float32" else np.longdouble))
        expected = exact.astype(dtype)
    some = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~some], expected[~some])
    limit = 4.0 if _runtime.get().host_is_device else 16.0
    assert ulps(actual[some], exact[some]).max() <= limit


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact_results(dtype: str) -> None:
    """What is a whole number comes out as one."""
    whole = np.arange(-37, 38).astype(dtype)
    powers, tens = np.exp2(whole), 10.0 ** np.arange(0, 11 if dtype == "float32" else 23)
    cubes = np.arange(-200, 200).astype(dtype)
    on_cpu = _runtime.get().host_is_device
    for actual, expected in [
        (ca.exp(ca.zeros(9, dtype)), np.ones(9)),
        (ca.exp2(ca.array(whole)), powers),
        (ca.log2(ca.array(powers)), whole),
        (ca.log(ca.ones(9, dtype)), np.zeros(9)),
        (ca.hypot(ca.array(whole * 3), ca.array(whole * 4)), np.abs(whole) * 5),
        (ca.power(ca.array(whole), 2), whole * whole),
        *([(ca.log10(ca.array(tens.astype(dtype))), np.arange(tens.size))] if on_cpu else []),
        *([(ca.cbrt(ca.array(cubes**3)), cubes)] if on_cpu else []),
    ]:
        np.testing.assert_array_equal(np.asarray(actual), expected.astype(dtype))


WHOLE_POWERS = """
#include "whole_power.cuh"
template <class T> __global__ void powers(T* out, const T* base, const int* exponent, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = ca::whole_power(base[i], exponent[i]);
}
"""


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_whole_powers(dtype: str) -> None:
    """Those that a GPU computes by products: the nearest number, but for what is as good as half-way between two."""
    random = np.random.default_rng(5)
    few = np.array([3, 1, -2, 0.5, 10, 7, -1, 3, 0, np.inf, np.nan, 5])
    base = np.concatenate([few, random.normal(size=3000) * 2.0 ** random.integers(-4, 5, 3000)]).astype(dtype)
    exponent = np.concatenate([[1, 64, -3, 20, -5, 3, 63, 0, 2, 2, 1, -1], random.integers(-64, 65, 3000)])
    out = ca.empty(base.size, dtype)
    ca.cudadef(WHOLE_POWERS).powers[12, 256](out, ca.array(base), ca.array(exponent.astype("int32")), base.size)
    low, high = (1e-23, 1e23) if dtype == "float32" else (1e-270, 1e270)
    for x, n, actual in zip(base.tolist(), exponent.tolist(), np.asarray(out).tolist(), strict=True):
        exact = Fraction(x) ** abs(n) if np.isfinite(x) else None if n else Fraction(1)
        if exact is None or not low <= abs(exact) <= high:
            assert np.isnan(actual)
            continue
        exact = exact if n >= 0 else 1 / exact
        ulp = Fraction(float(np.spacing(np.asarray(abs(float(exact)), dtype))))
        assert abs(Fraction(actual) - exact) <= Fraction(501, 1000) * ulp, (x, n)


LENGTHS = """
#include "portable.cuh"
__global__ void lengths(double* out, const double* x, const double* y, int n) {
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)
    out[i] = ca::near_length(x[i], y[i]);
}
"""


def test_lengths() -> None:
    """Those that a GPU computes in twice the precision; NaN are those for CUDA's own function."""
    random = np.random.default_rng(6)
    few = [(63, 84), (3, -4), (0, 0), (0, 5), (np.inf, np.nan), (np.nan, 1), (1e200, 1), (1e-140, 0), (1, 1e-20)]
    drawn = random.normal(size=(3000, 2)) * 10.0 ** random.integers(-120, 120, (3000, 1))
    x, y = np.concatenate([np.array(few), drawn]).T.copy()
    out = ca.empty(x.size)
    ca.cudadef(LENGTHS).lengths[12, 256](out, ca.array(x), ca.array(y), x.size)
    for a, b, actual in zip(x.tolist(), y.tolist(), np.asarray(out).tolist(), strict=True):
        if not 1e-130 < max(abs(a), abs(b)) < 1e150 or np.isnan(b):
            assert np.isnan(actual)
            continue
        square, found = Fraction(a) ** 2 + Fraction(b) ** 2, Fraction(actual)
        half = Fraction(float(np.spacing(actual))) * Fraction(501, 1000)
        assert (found - half) ** 2 <= square <= (found + half) ** 2, (a, b)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exact_remainders(dtype: str) -> None:
    """Quotients near whole numbers, beyond 2**53, and of subnormal numbers: the remainder is exact."""
    random = np.random.default_rng(2)
    x = random.normal(size=5000) * 10.0 ** random.integers(-30, 30, 5000)
    y = random.normal(size=5000) * 10.0 ** random.integers(-30, 30, 5000)
    x[::3] = y[::3] * random.integers(-1000, 1000, y[::3].size)
    y[:20] = 5e-324 if dtype == "float64" else 1e-45
    x, y = x.astype(dtype), y.astype(dtype)
    for name in ("fmod", "remainder"):
        actual = np.asarray(getattr(ca, name)(ca.array(x), ca.array(y)))
        np.testing.assert_array_equal(actual, getattr(np, name)(x, y))


@pytest.mark.parametrize("code", "bBhHiIlL")
def test_division_of_integers_at_their_limits(code: str) -> None:
    dtype = np.dtype(code)
    info = np.iinfo(dtype)
    limits = {info.min, info.min + 1, info.min // 2, 0, 1, 2, 3, 7, info.max // 3 * 2, info.max - 1, info.max}
    numbers = np.array(sorted(limits | ({-1, -2, -7} if info.min else set())), dtype)
    random = np.frombuffer(np.random.default_rng(3).bytes(4000 * dtype.itemsize), dtype)
    x = np.concatenate([np.repeat(numbers, numbers.size), random])
    y = np.concatenate(
        [np.tile(numbers, numbers.size), random[::-1] >> (np.arange(4000) % (info.bits - 1)).astype(dtype)]
    )
    with np.errstate(all="ignore"):
        for name in ("floor_divide", "remainder", "fmod"):
            actual = np.asarray(getattr(ca, name)(ca.array(x), ca.array(y)))
            np.testing.assert_array_equal(actual, getattr(np, name)(x, y))


@pytest.mark.parametrize("code", "bBhHiIlL")
@settings(max_examples=30)
@given(data=st.data())
def test_quotients_beside_whole_numbers(code: str, data: st.DataObject) -> None:
    """Of numbers of any size, also by one that is the same for all: a number is off a multiple by one at most."""
    info = np.iinfo(code)
    number = st.integers(info.min, info.max) | st.integers(0, info.bits - 1).map(lambda shift: info.max >> shift)
    divisors = np.array(data.draw(st.lists(number.filter(bool), min_size=1, max_size=20)), code)
    factors = np.array(data.draw(st.lists(number, min_size=divisors.size, max_size=divisors.size)), code)
    with np.errstate(all="ignore"):
        x = np.concatenate([factors * divisors + np.array(by).astype(code) for by in (-1, 0, 1)])
        y = np.tile(divisors, 3)
        for name in ("floor_divide", "remainder", "fmod"):
            expected, function = getattr(np, name)(x, y), getattr(ca, name)
            np.testing.assert_array_equal(np.asarray(function(ca.array(x), ca.array(y))), expected)
            by = int(y[0])
            np.testing.assert_array_equal(np.asarray(function(ca.array(x), by)), getattr(np, name)(x, y[0]))
        both = ca.divmod(ca.array(x), ca.array(y))
        for actual, expected in zip(both, np.divmod(x, y), strict=True):
            np.testing.assert_array_equal(np.asarray(actual), expected)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@settings(max_examples=30)
@given(data=st.data())
def test_numbers_are_taken_apart_and_scaled(dtype: str, data: st.DataObject) -> None:
    """frexp and ldexp: subnormal numbers and results, exponents beyond all numbers."""
    some = data.draw(st.lists(values(np.dtype(dtype)), min_size=1, max_size=40))
    x = np.array(some, dtype)
    exponents = st.integers(-80, 80) | st.integers(-2300, 2300) | st.integers(-(2**31), 2**31 - 1)
    n = np.array(data.draw(st.lists(exponents, min_size=x.size, max_size=x.size)), np.int32)
    fractions, powers = (np.asarray(own) for own in ca.frexp(ca.array(x)))
    expected = np.frexp(x)
    np.testing.assert_array_equal(fractions, expected[0])
    finite = np.isfinite(x)
    np.testing.assert_array_equal(powers[finite], expected[1][finite])
    with np.errstate(all="ignore"):
        for own in (n, n.astype(np.int64)):
            np.testing.assert_array_equal(np.asarray(ca.ldexp(ca.array(x), ca.array(own))), np.ldexp(x, own))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    ("bases", "exponents"),
    [
        ((0.5, 3), (-1074, 1000)),
        ((0.99, 1.01), (-1e5, 1e5)),
        ((-4, 4), (-3, 3)),
        ((0, 1e-37), (-1, 1.1)),
        ((0, 1e30), (-2, 2)),
    ],
)
def test_powers_of_any_size(dtype: str, bases: tuple[float, float], exponents: tuple[float, float]) -> None:
    """Results that overflow or are subnormal, bases near 1, negative and subnormal ones."""
    if np.dtype(np.longdouble).itemsize <= 8 and dtype == "float64":
        pytest.skip("no type here is wider than float64")
    random = np.random.default_rng(4)
    x, y = (random.uniform(*limits, 20_000).astype(dtype) for limits in (bases, exponents))
    y[::3] = np.rint(y[::3])
    actual = np.asarray(ca.power(ca.array(x), ca.array(y)))
    with np.errstate(all="ignore"):
        exact = x.astype(np.float64 if dtype == "float32" else np.longdouble) ** y
        expected = exact.astype(dtype)
    some = np.isfinite(expected)
    np.testing.assert_array_equal(actual[~some], expected[~some])
    limit = 4.0 if _runtime.get().host_is_device else 16.0
    assert ulps(actual[some], exact[some]).max() <= limit


@pytest.mark.parametrize("code", "bBhHiIlL")
@settings(max_examples=10)
@given(data=st.data())
def test_powers_of_integers_wrap_around(code: str, data: st.DataObject) -> None:
    dtype = np.dtype(code)
    random = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    n = data.draw(st.integers(1, 70))
    base = np.frombuffer(random.bytes(n * dtype.itemsize), dtype)
    exponent = random.integers(0, data.draw(st.sampled_from([2, 13, 127])), n).astype(dtype)
    scalar = int(exponent[0])
    for _ in range(2):
        np.testing.assert_array_equal(np.asarray(ca.power(ca.array(base), ca.array(exponent))), base**exponent)
        np.testing.assert_array_equal(np.asarray(ca.array(base) ** scalar), base**scalar)


def test_float64_becomes_float16_in_one_rounding() -> None:
    """Numbers beside the middle of two neighbours by less than a float32 tells, and all else that float16 has."""
    halves = np.arange(2**16, dtype=np.uint16).view(np.float16)
    halves = np.sort(halves[np.isfinite(halves)]).astype(np.float64)
    middles = (halves[1:] + halves[:-1]) / 2
    numbers = np.concatenate([middles, np.nextafter(middles, -np.inf), np.nextafter(middles, np.inf), halves])
    numbers = np.concatenate(
        [numbers, [65519.99999999999, 65520, 1e300, -1e300, 1e-300, 5e-324, np.inf, -np.inf, np.nan]]
    )
    with np.errstate(all="ignore"):
        expected = numbers.astype(np.float16)
    np.testing.assert_array_equal(bits(ca.array(numbers).astype(np.float16)), bits(ca.array(expected)))


@pytest.mark.parametrize(
    "name",
    ["less", "equal", "isnan", "signbit", "negative", "copysign", "maximum", "logical_and", "absolute", "spacing",
     "nextafter"],
)  # fmt: skip
def test_all_numbers_of_float16(name: str) -> None:
    x = np.arange(2**16, dtype=np.uint16).view(np.float16)
    y = np.random.default_rng(5).permutation(x)
    y[[0, 2**15]] = -0.0, 0.0  # where x is the other zero
    operands = (x, y)[: ELEMENTWISE[name].ufunc.nin]
    with np.errstate(all="ignore"):
        expected = getattr(np, name)(*operands)
    for chosen in (slice(None), slice(None, 1500)):
        actual = getattr(ca, name)(*(ca.array(own[chosen]) for own in operands))
        np.testing.assert_array_equal(np.asarray(actual), expected[chosen])
        if expected.dtype == np.float16:
            some = ~np.isnan(expected[chosen])
            np.testing.assert_array_equal(np.signbit(np.asarray(actual))[some], np.signbit(expected[chosen])[some])


@pytest.mark.parametrize("code", "bBhHiIlL")
def test_bits_are_counted(code: str) -> None:
    dtype = np.dtype(code)
    x = np.frombuffer(np.random.default_rng(6).bytes(999 * dtype.itemsize), dtype)
    np.testing.assert_array_equal(np.asarray(ca.bitwise_count(ca.array(x))), np.bitwise_count(x))


SPECIAL = r"""
import numpy as np, cuarray as ca
for dtype in ("float32", "float64"):
    info = np.finfo(dtype)
    one = [0.0, -0.0, np.inf, -np.inf, np.nan, 1, -1, 0.5, 2, 3, -3, 27, 1e4, info.max]
    one = np.array([*one, info.tiny, info.smallest_subnormal], dtype)
    x, y = np.repeat(one, one.size), np.tile(one, one.size)
    with np.errstate(all="ignore"):
        for name in UNARY + BINARY:
            operands = (x,) if name in UNARY else (x, y)
            expected = getattr(np, name)(*operands)
            actual = np.asarray(getattr(ca, name)(*map(ca.array, operands)))
            near = np.isclose(actual, expected, rtol=8 * info.eps, atol=0, equal_nan=True)
            same = near & ((np.signbit(actual) == np.signbit(expected)) | np.isnan(expected))
            assert same.all(), (name, dtype, [z[~same][:3] for z in (*operands, actual, expected)])
"""


# Machines with narrower vectors, and with none that libmvec has functions for.
@pytest.mark.parametrize("machine", ["native", "x86-64-v3", "x86-64"])
def test_special_values_on_older_machines(machine: str) -> None:
    if not _runtime.get().host_is_device:
        pytest.skip("the GPU's compiler has no such choice")
    if machine != "native" and os.uname().machine != "x86_64":
        pytest.skip("an option of another architecture")
    if machine == "x86-64-v3" and " avx2 " not in Path("/proc/cpuinfo").read_text():
        pytest.skip("this machine has no AVX2")
    unary = [name for name in RANGES if ELEMENTWISE[name].ufunc.nin == 1]
    binary = ["power", "arctan2", "hypot", "fmod", "remainder", "floor_divide", "logaddexp"]
    script = f"UNARY, BINARY = {unary!r}, {binary!r}\n{SPECIAL}"
    environment = {**os.environ, "CUARRAY_BACKEND": "host", "EXTRA_CLING_ARGS": f"-O2 -march={machine}"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "vectorized" not in done.stderr, "the compiler's remarks are nothing for users"
