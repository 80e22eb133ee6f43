"""SciPy with SCIPY_ARRAY_API=1, which dispatches by the array API."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import pytest
from agreement import agree

pytest.importorskip("scipy")

from scipy import (
    cluster,
    constants,
    differentiate,
    fft,
    integrate,
    interpolate,
    linalg,
    ndimage,
    optimize,
    signal,
    special,
    stats,
)
from scipy.optimize import elementwise
from scipy.spatial import distance
from scipy.spatial.transform import Rotation
from scipy.version import version as scipy_version

RANDOM = np.random.default_rng(1)
X = RANDOM.standard_normal((3, 40))
Y = 0.5 * X + RANDOM.standard_normal((3, 40))
POSITIVE = np.abs(X) + 0.1


# Functions that take arrays of other kinds than NumPy's since SciPy 1.18, which needs Python 3.12.
NEW = {"cumfreq", "kendalltau", "ks_2samp", "square", "simpson"}
IS_OLD = tuple(map(int, scipy_version.split(".")[:2])) < (1, 18)


def known(names: Iterable[str]) -> list[Any]:
    """The names as parameters of a test, which is skipped for functions that this SciPy has for NumPy's arrays only."""
    reason = f"SciPy {scipy_version} takes NumPy's arrays only"
    return [pytest.param(name, marks=pytest.mark.skipif(IS_OLD and name in NEW, reason=reason)) for name in names]


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


OF_ONE = (
    "cbrt cosm1 ellipk entr erf erfc erfcx erfinv exp1 expi gamma gammaln i0 i0e i1 i1e j0 j1 k0 k1 log_ndtr loggamma "
    "ndtr psi rgamma spence zetac"
)
OF_TWO = "betaln binom boxcox chdtr chdtrc gammainc gammaincc huber kl_div poch stdtr xlog1py zeta"


@pytest.mark.parametrize("name", OF_ONE.split())
def test_special_of_one(name: str) -> None:
    agree(getattr(special, name), POSITIVE / POSITIVE.max() * 0.9)


@pytest.mark.parametrize("name", OF_TWO.split())
def test_special_of_two(name: str) -> None:
    agree(getattr(special, name), POSITIVE + 1, POSITIVE + 0.5)


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
    "alexandergovern": lambda x, y: _fields(stats.alexandergovern(x, y, axis=-1)),
    "boxcox_llf": lambda x, y: stats.boxcox_llf(0.5, abs(x) + 1, axis=-1),
    "brunnermunzel": lambda x, y: _fields(stats.brunnermunzel(x, y, axis=-1)),
    "circstd": lambda x, y: stats.circstd(x, axis=-1),
    "combine_pvalues": lambda x, y: _fields(stats.combine_pvalues(abs(x) / 10, axis=-1)),
    "cumfreq": lambda x, y: tuple(stats.cumfreq(x[0, :])),
    "differential_entropy": lambda x, y: stats.differential_entropy(x, axis=-1),
    "expectile": lambda x, y: stats.expectile(x[0, :], 0.3),
    "f_oneway": lambda x, y: _fields(stats.f_oneway(x, y, axis=-1)),
    "false_discovery_control": lambda x, y: stats.false_discovery_control(abs(x) / 10, axis=-1),
    "fligner": lambda x, y: _fields(stats.fligner(x, y, axis=-1)),
    "friedmanchisquare": lambda x, y: _fields(stats.friedmanchisquare(x, y, x + y, axis=-1)),
    "gstd": lambda x, y: stats.gstd(abs(x) + 1, axis=-1),
    "iqr": lambda x, y: stats.iqr(x, axis=-1),
    "kendalltau": lambda x, y: _fields(stats.kendalltau(x, y, axis=-1)),
    "kruskal": lambda x, y: _fields(stats.kruskal(x, y, axis=-1)),
    "ks_2samp": lambda x, y: _fields(stats.ks_2samp(x, y, axis=-1)),
    "levene": lambda x, y: _fields(stats.levene(x, y, axis=-1)),
    "linregress": lambda x, y: tuple(stats.linregress(x[0, :], y[0, :])),
    "mannwhitneyu": lambda x, y: _fields(stats.mannwhitneyu(x, y, axis=-1)),
    "median_abs_deviation": lambda x, y: stats.median_abs_deviation(x, axis=-1),
    "mode": lambda x, y: tuple(stats.mode(x.round(0), axis=-1)),
    "mood": lambda x, y: _fields(stats.mood(x, y, axis=-1)),
    "rankdata": lambda x, y: stats.rankdata(x.round(1), axis=-1),
    "shapiro": lambda x, y: _fields(stats.shapiro(x[0, :])),
    "siegelslopes": lambda x, y: tuple(stats.siegelslopes(y[0, :], x[0, :])),
    "sigmaclip": lambda x, y: tuple(stats.sigmaclip(x[0, :], 2.0, 2.0)),
    "spearmanrho": lambda x, y: _fields(stats.spearmanrho(x, y, axis=-1)),
    "theilslopes": lambda x, y: tuple(stats.theilslopes(y[0, :], x[0, :]))[:2],
    "tmax": lambda x, y: stats.tmax(x, 1.0, axis=-1),
    "trim_mean": lambda x, y: stats.trim_mean(x, 0.1, axis=-1),
    "wilcoxon": lambda x, y: _fields(stats.wilcoxon(x, y, axis=-1)),
    "xp_mean": lambda x, y: stats._stats_py._xp_mean(x, axis=-1),
}


def _fields(result: Any) -> tuple[Any, Any]:
    return result.statistic, result.pvalue


@pytest.mark.parametrize("name", known(STATS))
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
    "bilinear": lambda x, y: signal.bilinear(x[0, :3], y[0, :3]),
    "convolve2d": lambda x, y: signal.convolve2d(x, y[:2, :3]),
    "correlate": lambda x, y: signal.correlate(x[0, :], y[0, :7], method="fft"),
    "correlate2d": lambda x, y: signal.correlate2d(x, y[:2, :3]),
    "deconvolve": lambda x, y: signal.deconvolve(abs(x[0, :9]) + 1, abs(y[0, :3]) + 1),
    "filtfilt": lambda x, y: signal.filtfilt(abs(y[0, :3]), y[0, :1] * 0 + 1, x),
    "freqz": lambda x, y: signal.freqz(x[0, :4]),
    "gausspulse": lambda x, y: signal.gausspulse(x),
    "hilbert2": lambda x, y: signal.hilbert2(x),
    "lfilter": lambda x, y: signal.lfilter(y[0, :3], abs(y[0, :1]) + 1, x),
    "medfilt": lambda x, y: signal.medfilt(x, 3),
    "resample_poly": lambda x, y: signal.resample_poly(x, 3, 2, axis=-1),
    "savgol_filter": lambda x, y: signal.savgol_filter(x, 5, 2),
    "sosfilt": lambda x, y: signal.sosfilt(x[:1, :6] * 0 + 1.0, x),
    "square": lambda x, y: signal.square(x),
    "tf2zpk": lambda x, y: signal.tf2zpk(x[0, :3], y[0, :3]),
    "upfirdn": lambda x, y: signal.upfirdn(y[0, :3], x, 2),
    "vectorstrength": lambda x, y: signal.vectorstrength(x[0, :], 2.0),
    "wiener": lambda x, y: signal.wiener(x, 3),
}


@pytest.mark.parametrize("name", known(SIGNAL))
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


@pytest.mark.parametrize("name", ["fft", "ifft", "rfft", "fft2", "fftn", "hfft", "fftshift", "dct", "idstn"])
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
    agree(cluster.vq.kmeans, X.T, X.T[:4])
    agree(lambda x, start: cluster.vq.kmeans2(x, start, minit="matrix"), X.T, X.T[:4])


def test_hierarchy() -> None:
    # Computed on the CPU, by SciPy: it makes NumPy's arrays of what it is given, and gives back arrays of this kind.
    agree(lambda x: cluster.hierarchy.linkage(x, "single"), X.T[:8])
    agree(lambda x: cluster.hierarchy.fcluster(cluster.hierarchy.linkage(x, "average"), 3, "maxclust"), X.T)
    agree(lambda x: cluster.hierarchy.cophenet(cluster.hierarchy.linkage(x, "ward")), X.T[:8])


@pytest.mark.parametrize("metric", ["braycurtis", "canberra", "correlation", "cosine", "euclidean", "jensenshannon"])
def test_distances_of_vectors(metric: str) -> None:
    agree(getattr(distance, metric), POSITIVE[0], POSITIVE[1])


@pytest.mark.parametrize("metric", ["euclidean", "cityblock", "sqeuclidean", "cosine", "chebyshev"])
def test_distances(metric: str) -> None:
    agree(lambda a, b: distance.cdist(a, b, metric), X.T[:6], Y.T[:5], on_cpu=True)
    agree(lambda a: distance.pdist(a, metric), X.T[:6], on_cpu=True)


@pytest.mark.parametrize("method", known(["trapezoid", "simpson", "cumulative_trapezoid", "cumulative_simpson"]))
def test_integrate(method: str) -> None:
    agree(lambda y: getattr(integrate, method)(y, dx=0.5, axis=-1), X)


def test_derivative() -> None:
    agree(lambda x: differentiate.derivative(lambda t: t**3, x).df, POSITIVE[0], rtol=1e-6)


def test_rotations() -> None:
    def work(vectors: Any) -> Any:
        rotation = Rotation.from_rotvec(vectors)
        return rotation.as_matrix(), rotation.apply(vectors + 1.0), rotation.inv().as_rotvec()

    agree(work, X[:, :5].T.copy())


def test_integrals_of_functions() -> None:
    agree(lambda a, b: integrate.tanhsinh(lambda t: t**2, a, b).integral, 0 * POSITIVE, POSITIVE)
    agree(lambda a, b: integrate.cubature(lambda t: t[:, 0] ** 2, a, b).estimate, 0 * POSITIVE[0, :1], POSITIVE[0, :1])


def test_roots_and_minima() -> None:
    ends = np.zeros(5), np.arange(2.0, 7.0)
    agree(lambda a, b: elementwise.find_root(lambda t: t**3 - 2, (a, b)).x, *ends)
    agree(lambda a, b: elementwise.find_minimum(lambda t: (t - 1) ** 2, (a - 1, a, b)).x, *ends, rtol=1e-6)
    agree(lambda x: (optimize.rosen(x), optimize.rosen_der(x), optimize.rosen_hess(x[:, 0])), X)


def test_splines() -> None:
    places, at = np.arange(40.0), 10 * POSITIVE[0]
    for spline in (interpolate.CubicSpline, interpolate.PchipInterpolator, interpolate.Akima1DInterpolator):
        agree(lambda t, x, at, spline=spline: spline(t, x, axis=1)(at), places, X, at)
    agree(lambda t, x, at: interpolate.make_interp_spline(t, x)(at), places, X[0], at)


def test_linalg() -> None:
    agree(linalg.orthogonal_procrustes, X.T, Y.T)
    agree(linalg.block_diag, X[:2, :2], Y[:, :3])


def test_constants() -> None:
    agree(lambda x: constants.convert_temperature(x, "Celsius", "Kelvin"), X)


@pytest.mark.parametrize("name", ["gaussian_filter", "sobel", "laplace", "binary_dilation", "label"])
def test_ndimage(name: str) -> None:
    # SciPy computes these on the CPU and gives the result back as an array of the kind it was given.
    arguments = (1.0,) if name == "gaussian_filter" else ()
    agree(lambda x: getattr(ndimage, name)(x, *arguments), X)
