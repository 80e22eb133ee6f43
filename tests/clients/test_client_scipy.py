"""SciPy with SCIPY_ARRAY_API=1, which dispatches by the array API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from agreement import agree

pytest.importorskip("scipy")

from scipy import cluster, constants, differentiate, fft, integrate, ndimage, signal, special, stats
from scipy.spatial import distance
from scipy.spatial.transform import Rotation

RANDOM = np.random.default_rng(1)
X = RANDOM.standard_normal((3, 40))
Y = 0.5 * X + RANDOM.standard_normal((3, 40))
POSITIVE = np.abs(X) + 0.1


def test_dispatch_is_on() -> None:
    from scipy._lib._array_api import SCIPY_ARRAY_API

    assert SCIPY_ARRAY_API, "SciPy was imported before SCIPY_ARRAY_API=1 was set"


SPECIAL: list[tuple[Callable[..., Any], tuple[np.ndarray, ...]]] = [
    (special.logsumexp, (X,)),
    (special.log_softmax, (X,)),
    (special.softmax, (X,)),
    (special.expit, (X,)),
    (special.xlogy, (POSITIVE, POSITIVE)),
    (special.rel_entr, (POSITIVE, POSITIVE)),
]


@pytest.mark.parametrize(("function", "operands"), SPECIAL, ids=lambda value: getattr(value, "__name__", ""))
def test_special(function: Callable[..., Any], operands: tuple[np.ndarray, ...]) -> None:
    agree(function, *operands)


# Each as a function of two arrays, of which it may use the first only; the samples lie along the last axis.
STATS: dict[str, Callable[[Any, Any], Any]] = {
    "moment": lambda x, y: stats.moment(x, 3, axis=-1),
    "skew": lambda x, y: stats.skew(x, axis=-1),
    "kurtosis": lambda x, y: stats.kurtosis(x, axis=-1),
    "kstat": lambda x, y: stats.kstat(x, 3, axis=-1),
    "kstatvar": lambda x, y: stats.kstatvar(x, 2, axis=-1),
    "variation": lambda x, y: stats.variation(x + 5, axis=-1),
    "sem": lambda x, y: stats.sem(x, axis=-1),
    "zscore": lambda x, y: stats.zscore(x, axis=-1),
    "zmap": lambda x, y: stats.zmap(x, y, axis=-1),
    "gmean": lambda x, y: stats.gmean(abs(x) + 1, axis=-1),
    "hmean": lambda x, y: stats.hmean(abs(x) + 1, axis=-1),
    "pmean": lambda x, y: stats.pmean(abs(x) + 1, 2.5, axis=-1),
    "tmean": lambda x, y: stats.tmean(x, (-1, 1), axis=-1),
    "tvar": lambda x, y: stats.tvar(x, (-1, 1), axis=-1),
    "entropy": lambda x, y: stats.entropy(abs(x) + 1, abs(y) + 1, axis=-1),
    "circmean": lambda x, y: stats.circmean(x, axis=-1),
    "describe": lambda x, y: tuple(stats.describe(x, axis=-1))[2:],
    "pearsonr": lambda x, y: tuple(_fields(stats.pearsonr(x, y, axis=-1))),
    "chisquare": lambda x, y: tuple(_fields(stats.chisquare(abs(x) + 1, axis=-1))),
    "ttest_1samp": lambda x, y: _fields(stats.ttest_1samp(x, 0.1, axis=-1)),
    "ttest_ind": lambda x, y: _fields(stats.ttest_ind(x, y, axis=-1)),
    "ttest_rel": lambda x, y: _fields(stats.ttest_rel(x, y, axis=-1)),
    "skewtest": lambda x, y: _fields(stats.skewtest(x, axis=-1)),
    "kurtosistest": lambda x, y: _fields(stats.kurtosistest(x, axis=-1)),
    "normaltest": lambda x, y: _fields(stats.normaltest(x, axis=-1)),
    "jarque_bera": lambda x, y: _fields(stats.jarque_bera(x, axis=-1)),
    "bartlett": lambda x, y: _fields(stats.bartlett(x, y, axis=-1)),
    "directional_stats": lambda x, y: stats.directional_stats(x).mean_direction,
    "quantile": lambda x, y: stats.quantile(x, 0.3, axis=-1),
    "xp_mean": lambda x, y: stats._stats_py._xp_mean(x, axis=-1),
}


def _fields(result: Any) -> tuple[Any, Any]:
    return result.statistic, result.pvalue


@pytest.mark.parametrize("name", STATS)
def test_stats(name: str) -> None:
    agree(STATS[name], X, Y, rtol=1e-7)


SIGNAL: dict[str, Callable[[Any, Any], Any]] = {
    "detrend": lambda x, y: signal.detrend(x),
    "convolve": lambda x, y: signal.convolve(x[0, :], y[0, :10], method="direct"),
    "fftconvolve": lambda x, y: signal.fftconvolve(x, y[:, :7], axes=-1),
    "oaconvolve": lambda x, y: signal.oaconvolve(x, y[:, :7], axes=-1),
    "hilbert": lambda x, y: signal.hilbert(x),
    "resample": lambda x, y: signal.resample(x, 20, axis=-1),
    "envelope": lambda x, y: signal.envelope(x[0, :]),
}


@pytest.mark.parametrize("name", SIGNAL)
def test_signal(name: str) -> None:
    agree(SIGNAL[name], X, Y)


SPECTRA: dict[str, Callable[[Any, Any], Any]] = {
    "periodogram": lambda x, y: signal.periodogram(x),
    "welch": lambda x, y: signal.welch(x, nperseg=16),
    "coherence": lambda x, y: signal.coherence(x, y, nperseg=16),
}


@pytest.mark.parametrize("name", SPECTRA)
def test_spectra(name: str) -> None:
    agree(SPECTRA[name], X, Y, on_cpu=True)


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "fft2", "fftn", "hfft", "fftshift"])
def test_fft(name: str) -> None:
    agree(getattr(fft, name), X)


def test_windows() -> None:
    import cuarray as ca

    window = signal.windows.hann(16, xp=ca)
    assert type(window) is ca.CuArray
    np.testing.assert_allclose(np.asarray(window), signal.windows.hann(16), rtol=1e-12, atol=1e-15)


def test_cluster() -> None:
    agree(cluster.vq.whiten, X.T)
    agree(cluster.vq.vq, X.T, X.T[:4])


def test_hierarchy() -> None:
    # Computed on the CPU, by SciPy: it makes NumPy's arrays of what it is given, and gives back arrays of this kind.
    agree(lambda x: cluster.hierarchy.linkage(x, "single"), X.T[:8])


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "sqeuclidean", "cosine", "chebyshev"])
def test_distances(metric: str) -> None:
    agree(lambda a, b: distance.cdist(a, b, metric), X.T[:6], Y.T[:5], on_cpu=True)
    agree(lambda a: distance.pdist(a, metric), X.T[:6], on_cpu=True)


@pytest.mark.parametrize("method", ["trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson"])
def test_integrate(method: str) -> None:
    agree(lambda y: getattr(integrate, method)(y, dx=0.5, axis=-1), X)


def test_derivative() -> None:
    agree(lambda x: differentiate.derivative(lambda t: t**3, x).df, POSITIVE[0], rtol=1e-6)


def test_rotations() -> None:
    def work(vectors: Any) -> Any:
        rotation = Rotation.from_rotvec(vectors)
        return rotation.as_matrix(), rotation.apply(vectors + 1.0), rotation.inv().as_rotvec()

    agree(work, X[:, :5].T.copy())


def test_constants() -> None:
    agree(lambda x: constants.convert_temperature(x, "Celsius", "Kelvin"), X)


@pytest.mark.parametrize("name", ["gaussian_filter", "sobel", "laplace"])
def test_ndimage(name: str) -> None:
    # SciPy computes these on the CPU and gives the result back as an array of the kind it was given.
    arguments = (1.0,) if name == "gaussian_filter" else ()
    agree(lambda x: getattr(ndimage, name)(x, *arguments), X)
