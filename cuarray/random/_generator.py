"""Generator: numpy.random.Generator's methods, whose arrays are made by one launch each."""

from __future__ import annotations

import functools
import math
import operator
import warnings
from collections.abc import MutableSequence
from typing import Any

import numpy as np

from cuarray import _functions, _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import as_dtype
from cuarray._functions._known import take_known
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions._reduction import normalize_axis
from cuarray._functions.creation import array, as_shape, ascontiguousarray, astype
from cuarray._functions.manipulation import broadcast_to
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout
from cuarray.random import _permute
from cuarray.random._draw import (
    COUNT,
    FLOAT32,
    FLOAT64,
    GREATER_THAN_1,
    INT64,
    NON_NEGATIVE,
    POISSON,
    POISSON_MAX,
    POSITIVE,
    POSITIVE_NUMBER,
    POSITIVE_PROBABILITY,
    PROBABILITY,
    PROBABILITY_BELOW_1,
    SAMPLERS,
    Parameter,
    draw,
    integers_sampler,
    parameter,
)
from cuarray.random._philox import Philox4x32, Place

_RAW = np.dtype(np.uint32)
functions: Any = _functions


@functools.lru_cache(maxsize=1024)
def _rows(kernel: str, rows: int, width: int, stride: int) -> Prepared:
    return Prepared(_plan.random_rows(_runtime.get().target, kernel, rows, width, stride))


@functools.lru_cache(maxsize=256)
def _raw(out: Layout) -> Prepared:
    return Prepared(_plan.random_words(_runtime.get().target, out))


def words_at(place: Place, draw_number: int, count: int) -> CuArray:
    """The first `count` words of 32 bits from this place on, of one draw, as a uint32 array."""
    result = allocate(layout(_RAW, (count,)))
    if count:
        _raw(result._layout).launch(result._pointer, draw_number, 0, 0, *place)
    return result


class Generator:
    """Random numbers by the methods of `numpy.random.Generator`, made on the device.

    Made by `cuarray.random.default_rng`, or of a bit generator. A method's array depends on the seed, the calls before
    it and its arguments: it is the same on every device, whatever its number of processors. Parameters are numbers or
    arrays, which broadcast against each other and to `size`; numbers are checked at once, arrays on the device, which
    is waited for. Results are arrays, 0-d ones too. Threads may share a generator: every call has numbers of its own.
    A call that is captured in a graph gives the same numbers at every launch of the graph.

    The numbers are not NumPy's: `numpy.random.default_rng` with the same seed gives others.

    >>> import cuarray as ca
    >>> rng = ca.random.default_rng(1)
    >>> rng.random(3)
    array([0.7299931 , 0.34757536, 0.24717269])
    """

    def __init__(self, bit_generator: Philox4x32) -> None:
        if not isinstance(bit_generator, Philox4x32):
            raise TypeError(f"bit_generator must be a Philox4x32, not {type(bit_generator).__name__}")
        self._bits = bit_generator

    @property
    def bit_generator(self) -> Philox4x32:
        """Where the random bits come from: the key and the position."""
        return self._bits

    def spawn(self, n_children: int) -> list[Generator]:
        """New generators that are independent of this one and of each other.

        >>> import cuarray as ca
        >>> [rng.random().item() for rng in ca.random.default_rng(1).spawn(2)]
        [0.07083417824274418, 0.39256999435571005]
        """
        return [Generator(bits) for bits in self._bits.spawn(n_children)]

    def __repr__(self) -> str:
        return f"Generator({type(self._bits).__name__})"

    def __reduce__(self) -> Any:
        return Generator, (self._bits,)

    def __copy__(self) -> Generator:
        return Generator(self._bits._copy())

    def _draw(self, name: str, size: Any, *parameters: Parameter) -> CuArray:
        return draw(self._bits, SAMPLERS[name], size, parameters)

    def _standard(
        self, name: str, size: Any, dtype: Any, out: CuArray | None, parameters: tuple[Parameter, ...] = ()
    ) -> CuArray:
        wanted = np.dtype(dtype)
        if wanted not in (FLOAT64, FLOAT32):
            raise TypeError(f"Unsupported dtype {wanted} for {name}: it must be float64 or float32")
        return draw(self._bits, SAMPLERS[name if wanted == FLOAT64 else f"{name}_float32"], size, parameters, out)

    # ---- uniform
    def random(self, size: Any = None, dtype: Any = np.float64, out: CuArray | None = None) -> CuArray:
        """Uniform numbers in [0, 1): multiples of 2**-53 (float64) or 2**-24 (float32).

        `size`: an int or a shape. `out`: a C-contiguous array of this dtype (TypeError) and size (ValueError).

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).random(2, dtype="float32")
        array([0.3401084 , 0.72999305], dtype=float32)
        """
        return self._standard("random", size, dtype, out)

    def integers(
        self, low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64, endpoint: bool = False
    ) -> CuArray:
        """Integers from `low` up to `high`, which is included if `endpoint`; below `low` where there is no `high`.

        `low` and `high` are integers or arrays of them; `dtype` is bool or an integer dtype (TypeError). ValueError
        where the range is empty, or not all of it fits the dtype. Every value has exactly the same probability.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).integers(1, 6, 8, endpoint=True)
        array([3, 5, 6, 3, 6, 2, 1, 5])
        """
        try:
            wanted = as_dtype(dtype)
        except TypeError:
            raise TypeError(f"Unsupported dtype {dtype!r} for integers") from None
        if wanted.kind not in "biu":
            raise TypeError(f"Unsupported dtype {wanted} for integers")
        if high is None:
            low, high = 0, low
        lowest, highest = (0, 1) if wanted.kind == "b" else (np.iinfo(wanted).min, np.iinfo(wanted).max)
        bounds = [_bound(name, value) for name, value in (("low", low), ("high", high))]
        if not any(type(bound) is CuArray for bound in bounds):
            first, last = bounds[0], bounds[1] - (not endpoint)
            if first < lowest:
                raise ValueError(f"low is out of bounds for {wanted}")
            if last > highest:
                raise ValueError(f"high is out of bounds for {wanted}")
            if first > last:
                raise ValueError("low > high" if endpoint else "low >= high")
            sampler = integers_sampler(wanted, last - first + 1)
            return draw(self._bits, sampler, size, (Parameter("low", first, INT64), Parameter("high", last, INT64)))
        word = np.dtype(np.uint64 if wanted == np.uint64 else np.int64)
        low_array = _checked_bound("low", bounds[0], lowest, highest, 0, word, wanted)
        high_array = _checked_bound("high", bounds[1], lowest, highest, not endpoint, word, wanted)
        if bool(functions.any(functions.greater(low_array, high_array))):
            raise ValueError("low > high" if endpoint else "low >= high")
        parameters = (Parameter("low", low_array, word), Parameter("high", high_array, word))
        return draw(self._bits, integers_sampler(wanted, None), size, parameters)

    def uniform(self, low: Any = 0.0, high: Any = 1.0, size: Any = None) -> CuArray:
        """Uniform numbers in [low, high), as float64. OverflowError if the range is not finite, ValueError if negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).uniform(-1, 1, 2)
        array([ 0.4599862 , -0.30484928])
        """
        first, last = parameter("low", low), parameter("high", high)
        if first.is_array or last.is_array:
            width = functions.subtract(last.value, first.value)
            if not bool(functions.all(functions.isfinite(width))):
                raise OverflowError("Range exceeds valid bounds")
            negative = bool(functions.any(functions.signbit(width)))
        else:
            width = last.value - first.value
            if not math.isfinite(width):
                raise OverflowError("high - low range exceeds valid bounds")
            negative = math.copysign(1, width) < 0
        if negative:
            raise ValueError("high - low < 0")
        return self._draw("uniform", size, first, last)

    def bytes(self, length: int) -> bytes:
        """Random bytes, as Python's `bytes`: waits for the device.

        >>> import cuarray as ca
        >>> len(ca.random.default_rng(1).bytes(10))
        10
        """
        count = operator.index(length)
        if count < 0:
            raise ValueError(f"negative dimensions are not allowed: length is {count}")
        words = -(-count // 4)
        return np.asarray(words_at(self._bits.take(-(-words // 4)), 0, words)).tobytes()[:count]

    # ---- normal family
    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: CuArray | None = None) -> CuArray:
        """Normal numbers of mean 0 and standard deviation 1, as float64 or float32.

        `out`: a C-contiguous array of this dtype (TypeError) and size (ValueError).

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).standard_normal(size=3)
        array([-0.45650082,  0.64888165,  0.61608896])
        """
        return self._standard("standard_normal", size, dtype, out)

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Normal numbers of mean `loc` and standard deviation `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).normal(size=3)
        array([-0.45650082,  0.64888165,  0.61608896])
        """
        return self._draw("normal", size, parameter("loc", loc), parameter("scale", scale, NON_NEGATIVE))

    def lognormal(self, mean: Any = 0.0, sigma: Any = 1.0, size: Any = None) -> CuArray:
        """Numbers whose logarithms are normal, of mean `mean` and standard deviation `sigma`, as float64.

        ValueError where `sigma` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).lognormal(size=3)
        array([0.63349649, 1.91339978, 1.85167189])
        """
        return self._draw("lognormal", size, parameter("mean", mean), parameter("sigma", sigma, NON_NEGATIVE))

    # ---- the exponential family and its relatives
    def standard_exponential(
        self, size: Any = None, dtype: Any = np.float64, method: str = "zig", out: CuArray | None = None
    ) -> CuArray:
        """Exponential numbers of mean 1, as float64 or float32. `method` is for NumPy's sake: both are one here.

        `out`: a C-contiguous array of this dtype (TypeError) and size (ValueError).

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).standard_exponential(size=3)
        array([0.3147202 , 1.05677378, 1.39766805])
        """
        if method not in ("zig", "inv"):
            raise ValueError(f"method must be 'zig' or 'inv', not {method!r}")
        return self._standard("standard_exponential", size, dtype, out)

    def exponential(self, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Exponential numbers of mean `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).exponential(size=3)
        array([0.3147202 , 1.05677378, 1.39766805])
        """
        return self._draw("exponential", size, parameter("scale", scale, NON_NEGATIVE))

    def rayleigh(self, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Rayleigh-distributed numbers of mode `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).rayleigh(size=3)
        array([0.7933728 , 1.45380451, 1.67192586])
        """
        return self._draw("rayleigh", size, parameter("scale", scale, NON_NEGATIVE))

    def pareto(self, a: Any, size: Any = None) -> CuArray:
        """Numbers of the Pareto II (Lomax) distribution of shape `a`, as float64.

        ValueError where `a` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).pareto(3.0, size=3)
        array([0.11060702, 0.42227532, 0.59343067])
        """
        return self._draw("pareto", size, parameter("a", a, POSITIVE))

    def weibull(self, a: Any, size: Any = None) -> CuArray:
        """Weibull-distributed numbers of shape `a` and scale 1, as float64.

        ValueError where `a` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).weibull(3.0, size=3)
        array([0.68020769, 1.01857734, 1.11806747])
        """
        return self._draw("weibull", size, parameter("a", a, NON_NEGATIVE))

    def power(self, a: Any, size: Any = None) -> CuArray:
        """Numbers in [0, 1] of density a x**(a - 1), as float64.

        ValueError where `a` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).power(3.0, size=3)
        array([0.9004085 , 0.70309875, 0.62757672])
        """
        return self._draw("power", size, parameter("a", a, POSITIVE))

    def laplace(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Numbers of the Laplace distribution of mean `loc` and decay `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).laplace(size=3)
        array([ 0.61616059, -0.3636266 , -0.70452086])
        """
        return self._draw("laplace", size, parameter("loc", loc), parameter("scale", scale, NON_NEGATIVE))

    def gumbel(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Numbers of the Gumbel distribution of mode `loc` and scale `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).gumbel(size=3)
        array([ 1.1560713 , -0.05522066, -0.33480517])
        """
        return self._draw("gumbel", size, parameter("loc", loc), parameter("scale", scale, NON_NEGATIVE))

    def logistic(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Numbers of the logistic distribution of mean `loc` and scale `scale`, as float64.

        ValueError where `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).logistic(size=3)
        array([ 0.99458757, -0.62971414, -1.11374863])
        """
        return self._draw("logistic", size, parameter("loc", loc), parameter("scale", scale, NON_NEGATIVE))

    def standard_cauchy(self, size: Any = None) -> CuArray:
        """Numbers of the Cauchy distribution of mode 0 and scale 1, as float64.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).standard_cauchy(size=3)
        array([ 0.88158007, -0.51915781, -1.0179242 ])
        """
        return self._draw("standard_cauchy", size)

    # ---- the gamma family
    def standard_gamma(
        self, shape: Any, size: Any = None, dtype: Any = np.float64, out: CuArray | None = None
    ) -> CuArray:
        """Gamma-distributed numbers of this shape and of scale 1, as float64 or float32.

        ValueError where `shape` is negative.

        `out`: a C-contiguous array of this dtype (TypeError) and size (ValueError).

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).standard_gamma(2.0, size=3)
        array([1.14406177, 2.59526471, 4.95309782])
        """
        return self._standard("standard_gamma", size, dtype, out, (parameter("shape", shape, NON_NEGATIVE),))

    def gamma(self, shape: Any, scale: Any = 1.0, size: Any = None) -> CuArray:
        """Gamma-distributed numbers of this shape and scale, as float64.

        ValueError where `shape` or `scale` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).gamma(2.0, size=3)
        array([1.14406177, 2.59526471, 4.95309782])
        """
        return self._draw(
            "gamma", size, parameter("shape", shape, NON_NEGATIVE), parameter("scale", scale, NON_NEGATIVE)
        )

    def beta(self, a: Any, b: Any, size: Any = None) -> CuArray:
        """Beta-distributed numbers in [0, 1], as float64.

        ValueError where `a` or `b` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).beta(3.0, 2.0, size=3)
        array([0.69313597, 0.62432571, 0.76203794])
        """
        return self._draw("beta", size, parameter("a", a, POSITIVE), parameter("b", b, POSITIVE))

    def chisquare(self, df: Any, size: Any = None) -> CuArray:
        """Chi-square numbers of `df` degrees of freedom, as float64.

        ValueError where `df` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).chisquare(5, size=3)
        array([ 3.12357264,  6.41186178, 11.48540913])
        """
        return self._draw("chisquare", size, parameter("df", df, POSITIVE))

    def noncentral_chisquare(self, df: Any, nonc: Any, size: Any = None) -> CuArray:
        """Noncentral chi-square numbers of noncentrality `nonc`, as float64.

        ValueError where `df` is not positive or where `nonc` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).noncentral_chisquare(5, 1.0, size=3)
        array([ 2.35456527,  7.24189682, 11.50327182])
        """
        return self._draw(
            "noncentral_chisquare", size, parameter("df", df, POSITIVE), parameter("nonc", nonc, NON_NEGATIVE)
        )

    def f(self, dfnum: Any, dfden: Any, size: Any = None) -> CuArray:
        """Numbers of the F distribution: quotients of chi-square numbers over their degrees of freedom; float64.

        ValueError where `dfnum` or `dfden` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).f(5, 8, size=3)
        array([1.03210816, 1.12532591, 2.19016749])
        """
        return self._draw("f", size, parameter("dfnum", dfnum, POSITIVE), parameter("dfden", dfden, POSITIVE))

    def noncentral_f(self, dfnum: Any, dfden: Any, nonc: Any, size: Any = None) -> CuArray:
        """Numbers of the F distribution whose numerator has noncentrality `nonc`, as float64.

        ValueError where `dfnum` or `dfden` is not positive or where `nonc` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).noncentral_f(5, 8, 1.0, size=3)
        array([0.31485003, 1.85363042, 1.87480252])
        """
        return self._draw(
            "noncentral_f",
            size,
            parameter("dfnum", dfnum, POSITIVE),
            parameter("dfden", dfden, POSITIVE),
            parameter("nonc", nonc, NON_NEGATIVE),
        )

    def standard_t(self, df: Any, size: Any = None) -> CuArray:
        """Numbers of Student's t distribution of `df` degrees of freedom, as float64.

        ValueError where `df` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).standard_t(5, size=3)
        array([-1.33812745,  0.39510295,  2.35482453])
        """
        return self._draw("standard_t", size, parameter("df", df, POSITIVE))

    def wald(self, mean: Any, scale: Any, size: Any = None) -> CuArray:
        """Numbers of the Wald (inverse Gaussian) distribution, as float64.

        ValueError where `mean` or `scale` is not positive.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).wald(1.0, 2.0, size=3)
        array([0.72512619, 0.64903584, 0.32091226])
        """
        return self._draw("wald", size, parameter("mean", mean, POSITIVE), parameter("scale", scale, POSITIVE))

    def vonmises(self, mu: Any, kappa: Any, size: Any = None) -> CuArray:
        """Angles in [-pi, pi] of the von Mises distribution about `mu`, of concentration `kappa`; float64.

        ValueError where `kappa` is negative.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).vonmises(0.0, 4.0, size=3)
        array([ 1.00967215,  0.203409  , -0.18544748])
        """
        return self._draw("vonmises", size, parameter("mu", mu), parameter("kappa", kappa, NON_NEGATIVE))

    # ---- counts: int64
    def poisson(self, lam: Any = 1.0, size: Any = None) -> CuArray:
        """Poisson-distributed counts of mean `lam`, as int64.

        ValueError where `lam` is negative, NaN or beyond 9.2e18.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).poisson(4.0, size=3)
        array([5, 3, 2])
        """
        return self._draw("poisson", size, parameter("lam", lam, POISSON))

    def binomial(self, n: Any, p: Any, size: Any = None) -> CuArray:
        """How many of `n` trials succeed, each with probability `p`; int64.

        ValueError where `n` is negative or where `p` is not in [0, 1].

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).binomial(10, 0.5, size=3)
        array([6, 4, 4])
        """
        return self._draw("binomial", size, parameter("n", n, COUNT, dtype=INT64), parameter("p", p, PROBABILITY))

    def negative_binomial(self, n: Any, p: Any, size: Any = None) -> CuArray:
        """How many trials of probability `p` fail before `n` succeed, as int64; `n` need not be whole.

        ValueError where `n` is not positive or where `p` is not in (0, 1].

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).negative_binomial(3, 0.5, size=3)
        array([2, 6, 7])
        """
        parameters = (parameter("n", n, POSITIVE_NUMBER), parameter("p", p, POSITIVE_PROBABILITY))
        _check_mean(*parameters)
        return self._draw("negative_binomial", size, *parameters)

    def geometric(self, p: Any, size: Any = None) -> CuArray:
        """Which trial of probability `p` is the first to succeed, from 1 on; int64.

        ValueError where `p` is not in (0, 1].

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).geometric(0.25, size=3)
        array([2, 4, 5])
        """
        return self._draw("geometric", size, parameter("p", p, POSITIVE_PROBABILITY))

    def hypergeometric(self, ngood: Any, nbad: Any, nsample: Any, size: Any = None) -> CuArray:
        """How many of `nsample` items drawn from `ngood` and `nbad` ones are good, as int64.

        ValueError where a count is negative or more than 10**9, or where there are not `nsample` items.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).hypergeometric(10, 5, 6, size=3)
        array([4, 4, 2])
        """
        parameters = (
            parameter("ngood", ngood, COUNT, dtype=INT64),
            parameter("nbad", nbad, COUNT, dtype=INT64),
            parameter("nsample", nsample, COUNT, dtype=INT64),
        )
        _check_urn(*parameters)
        return self._draw("hypergeometric", size, *parameters)

    def logseries(self, p: Any, size: Any = None) -> CuArray:
        """Numbers of the logarithmic series distribution, from 1 on; int64.

        ValueError where `p` is not in [0, 1).

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).logseries(0.9, size=3)
        array([1, 9, 1])
        """
        return self._draw("logseries", size, parameter("p", p, PROBABILITY_BELOW_1))

    def zipf(self, a: Any, size: Any = None) -> CuArray:
        """Numbers k of probability in proportion to k**-a, from 1 on; int64.

        ValueError where `a` is not above 1.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).zipf(2.0, size=3)
        array([3, 1, 1])
        """
        return self._draw("zipf", size, parameter("a", a, GREATER_THAN_1))

    def triangular(self, left: Any, mode: Any, right: Any, size: Any = None) -> CuArray:
        """Numbers between `left` and `right` whose density rises linearly to `mode` and falls again; float64.

        ValueError unless left <= mode <= right and left < right.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).triangular(0, 1, 4, 3)
        array([2.199977  , 1.20194787, 0.9943293 ])
        """
        first, top, last = (parameter(*one) for one in (("left", left), ("mode", mode), ("right", right)))
        _refuse("left > mode", functions.greater, first, top)
        _refuse("mode > right", functions.greater, top, last)
        _refuse("left == right", functions.equal, first, last)
        return self._draw("triangular", size, first, top, last)

    # ---- vectors
    def multivariate_normal(
        self,
        mean: Any,
        cov: Any,
        size: Any = None,
        check_valid: str = "warn",
        tol: float = 1e-8,
        *,
        method: str = "svd",
    ) -> CuArray:
        """Vectors of normal numbers of mean `mean`, a vector, and covariance `cov`, a matrix; shape size + mean.shape.

        `cov` is factored by the CPU ("svd", "eigh" or "cholesky"): it is waited for. A covariance that is not positive
        semidefinite within `tol` gets a RuntimeWarning ("warn") or a ValueError ("raise"), or passes ("ignore").

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).multivariate_normal([0, 10], [[1, 0.5], [0.5, 1]], 2)
        array([[ 0.07090048, 10.71978213],
               [ 0.24358877,  8.68931386]])
        """
        if method not in ("svd", "eigh", "cholesky"):
            raise ValueError("method must be one of {'eigh', 'svd', 'cholesky'}")
        if check_valid not in ("warn", "raise", "ignore"):
            raise ValueError("check_valid must equal 'warn', 'raise', or 'ignore'")
        center = astype(as_operand(mean), FLOAT64)
        if center.ndim != 1:
            raise ValueError("mean must be 1 dimensional")
        center = ascontiguousarray(center)
        matrix = np.asarray(cov, np.float64)
        if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
            raise ValueError("cov must be 2 dimensional and square")
        width = center.shape[0]
        if matrix.shape[0] != width:
            raise ValueError("mean and cov must have same length")
        factor = array(_factor(matrix, method, check_valid, tol))
        shape = (*(() if size is None else as_shape(size)), width)
        result = allocate(layout(FLOAT64, shape))
        if result.size:
            normals = self.standard_normal(shape)
            launch = _rows("correlate", result.size // width, width, 0)
            launch.launch(result._pointer, normals._pointer, factor._pointer, center._pointer)
        return result

    def multinomial(self, n: Any, pvals: Any, size: Any = None) -> CuArray:
        """How many of `n` trials have each of several outcomes of probabilities `pvals`, on the last axis; int64.

        `n` broadcasts against the leading axes of `pvals`. ValueError where a probability is not in [0, 1], or all
        but the last add up to more than 1. It waits for the device.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).multinomial(20, [0.5, 0.25, 0.25], 2)
        array([[12,  2,  6],
               [ 9,  4,  7]])
        """
        count = parameter("n", n, COUNT, INT64)
        chances = astype(as_operand(pvals), FLOAT64, copy=False)
        if chances.ndim < 1 or chances.shape[-1] == 0:
            raise ValueError(
                "pvals must have at least 1 dimension and the last dimension of pvals must be greater than 0."
            )
        parameter("pvals", chances, PROBABILITY)
        width = chances.shape[-1]
        if bool(functions.any(functions.sum(chances[..., :-1], axis=-1) > 1.0 + 1e-12)):
            raise ValueError("sum(pvals[:-1]) > 1.0")
        shape = broadcast_shapes(count.shape, chances.shape[:-1])
        if size is not None:
            wanted = as_shape(size)
            if broadcast_shapes(wanted, shape) != wanted:
                raise ValueError(f"Output size {wanted} is not compatible with broadcast dimensions of inputs {shape}.")
            shape = wanted
        result = allocate(layout(INT64, (*shape, width)))
        rows = math.prod(shape)
        if rows:
            shared = chances.ndim == 1
            table = ascontiguousarray(chances if shared else broadcast_to(chances, (*shape, width)))
            if count.is_array:
                counts = ascontiguousarray(broadcast_to(count.value, shape))
            else:
                counts = array(count.value, INT64)
            launch = _rows("multinomial", rows, width, int(count.is_array))
            words = (counts._pointer, table._pointer, 0 if shared else width)
            launch.launch(result._pointer, *words, *self._bits.take(rows))
        return result

    def multivariate_hypergeometric(
        self, colors: Any, nsample: Any, size: Any = None, method: str = "marginals"
    ) -> CuArray:
        """How many of `nsample` items have each color, of which there are `colors`; shape size + colors.shape, int64.

        ValueError where a number is negative, or there are not `nsample` items, or 10**9 or more; it waits for the
        device. `method` ("marginals" or "count") is for NumPy's sake: both are one here.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).multivariate_hypergeometric([8, 4, 4], 6, 2)
        array([[3, 1, 2],
               [2, 3, 1]])
        """
        if method not in ("marginals", "count"):
            raise ValueError('method must be "count" or "marginals".')
        there = as_operand(colors)
        if there.ndim != 1 or there.dtype.kind not in "iu":
            raise ValueError("colors must be a one-dimensional sequence of nonnegative integers")
        there = ascontiguousarray(astype(there, INT64, copy=False))
        wanted = operator.index(nsample)
        if wanted < 0:
            raise ValueError("nsample must not be negative.")
        if bool(functions.any(functions.less(there, 0))):
            raise ValueError("colors must not be negative")
        total = int(functions.sum(there))
        if total >= 10**9:
            raise ValueError("the sum of colors must be less than 1000000000")
        if wanted > total:
            raise ValueError("nsample > sum(colors)")
        width = there.shape[0]
        result = allocate(layout(INT64, (*(() if size is None else as_shape(size)), width)))
        if result.size:
            rows = result.size // width
            launch = _rows("multivariate_hypergeometric", rows, width, 0)
            launch.launch(result._pointer, there._pointer, wanted, total, *self._bits.take(rows))
        return result

    def dirichlet(self, alpha: Any, size: Any = None) -> CuArray:
        """Vectors of parts of 1 of the Dirichlet distribution of `alpha`, a vector; shape size + alpha.shape, float64.

        ValueError where an alpha is negative. Waits for the device.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).dirichlet([1.0, 2.0, 3.0])
        array([0.05400977, 0.6655624 , 0.28042783])
        """
        weights = astype(as_operand(alpha), FLOAT64, copy=False)
        if weights.ndim != 1:
            raise ValueError("alpha must be a one-dimensional sequence")
        weights = ascontiguousarray(weights)
        if bool(functions.any(functions.logical_not(functions.greater_equal(weights, 0)))):
            raise ValueError("alpha < 0")
        width = weights.shape[0]
        shape = (*(() if size is None else as_shape(size)), width)
        result = allocate(layout(FLOAT64, shape))
        if result.size:
            small = float(functions.max(weights)) < 0.1
            rows = result.size // width
            launch = _rows("dirichlet", rows, width, int(small))
            launch.launch(result._pointer, weights._pointer, 0, 0, *self._bits.take(rows))
        return result

    # ---- orders and choices
    def permutation(self, x: Any, axis: int = 0) -> CuArray:
        """The integers below `x` in random order, or a copy of the array `x` with its items along `axis` in one.

        Up to 16384 items every order is equally likely; longer arrays are ordered by a random bijection.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).permutation(5)
        array([4, 2, 1, 0, 3])
        """
        if type(x) is not CuArray:
            try:
                count = operator.index(x)
            except TypeError:
                pass
            else:
                if count < 0:
                    raise ValueError(f"negative dimensions are not allowed: {count}")
                return _permute.permutations(self._bits, 1, count).reshape(count)
        items = as_operand(x)
        axis = normalize_axis(axis, items.ndim)
        order = _permute.permutations(self._bits, 1, items.shape[axis])
        return take_known(items, order.reshape(-1), axis)

    def shuffle(self, x: Any, axis: int = 0) -> None:
        """Put the items of `x` along `axis` in random order, in place: an array, or a list.

        A list waits for the device. TypeError for what has no items to assign; ValueError where the array is read-only.

        >>> import cuarray as ca
        >>> x = ca.arange(5)
        >>> ca.random.default_rng(1).shuffle(x)
        >>> x
        array([4, 2, 1, 0, 3])
        """
        if type(x) is CuArray:
            check_out("shuffle", x)
            if x.ndim == 0:
                raise TypeError("x must have at least one axis to be shuffled; it is 0-dimensional")
            copy_into(x, self.permutation(x, axis))
            return
        if not isinstance(x, np.ndarray | MutableSequence):
            raise TypeError(f"x must be an array or a mutable sequence, not {type(x).__name__}")
        if isinstance(x, np.ndarray):
            axis = normalize_axis(axis, x.ndim)
            order = np.asarray(self.permutation(x.shape[axis]))
            x[...] = np.take(x, order, axis)
            return
        if axis != 0:
            raise NotImplementedError("Axis argument is only supported on array objects")
        x[:] = [x[i] for i in self.permutation(len(x)).tolist()]

    def permuted(self, x: Any, *, axis: int | None = None, out: CuArray | None = None) -> CuArray:
        """A copy of `x` with every line along `axis` in a random order of its own; all items with no axis.

        `out`: an array of the same shape (ValueError) to hold the result; it may be `x`.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).permuted([[1, 2, 3], [4, 5, 6]], axis=1)
        array([[3, 2, 1],
               [6, 5, 4]])
        """
        items = as_operand(x)
        if not items.ndim:
            raise TypeError("permuted: x must have at least one dimension")
        if out is not None:
            check_out("permuted", out)
            if out.shape != items.shape:
                raise ValueError("out must have the same shape as x")
        if axis is None:
            order = _permute.permutations(self._bits, 1, items.size)
            result = take_known(items.reshape(items.size), order.reshape(-1)).reshape(items.shape)
        else:
            axis = normalize_axis(axis, items.ndim)
            length = items.shape[axis]
            order = _permute.permutations(self._bits, items.size // length if length else 0, length)
            result = _permute.picked_each(items, order, axis)
        if out is None:
            return result
        copy_into(out, result, casting="same_kind")
        return out

    def choice(
        self, a: Any, size: Any = None, replace: bool = True, p: Any = None, axis: int = 0, shuffle: bool = True
    ) -> CuArray:
        """Items of `a` along `axis`, or of the integers below it, drawn at random; `size` replaces the axis.

        `p`: their probabilities, by default equal; they must be in [0, 1] and add up to 1 (ValueError; they are waited
        for). Without replacement an item is drawn once at most: ValueError where there are too few. `shuffle` is for
        NumPy's sake: the order is always random.

        >>> import cuarray as ca
        >>> ca.random.default_rng(1).choice(10, 4, replace=False)
        array([5, 4, 2, 1])
        """
        shape = () if size is None else as_shape(size)
        count = math.prod(shape)
        items = None
        if type(a) is not CuArray and np.ndim(a) == 0:
            try:
                population = operator.index(a)
            except TypeError:
                raise ValueError("a must be a sequence or an integer, not " + type(a).__name__) from None
            if population <= 0 and count:
                raise ValueError("a must be a positive integer unless no samples are taken")
        else:
            items = as_operand(a)
            if items.ndim == 0:
                population = int(items)
                items = None
            else:
                axis = normalize_axis(axis, items.ndim)
                population = items.shape[axis]
            if not population and count:
                raise ValueError("a cannot be empty unless no samples are taken")
        weights = None if p is None else _weights(p, population)
        if not count:
            index = allocate(layout(INT64, (0,)))
        elif replace:
            if weights is None:
                index = self.integers(population, size=count)
            else:
                sums = _permute.cumulated(weights)
                index = self._draw("weighted", count, _address(sums), Parameter("size", population, INT64))
        else:
            if count > population:
                raise ValueError("Cannot take a larger sample than population when replace is False")
            if weights is not None and int(functions.count_nonzero(weights)) < count:
                raise ValueError("Fewer non-zero entries in p than size")
            index = _permute.permutations(self._bits, 1, population, count, weights)
        if items is None:
            return index.reshape(shape)
        drawn = take_known(items, index.reshape(-1), axis)
        return drawn.reshape((*items.shape[:axis], *shape, *items.shape[axis + 1 :]))


# ---- what parameters have to do with each other


def _refuse(message: str, condition: Any, first: Parameter, second: Parameter) -> None:
    if first.is_array or second.is_array:
        bad = bool(functions.any(condition(first.value, second.value)))
    else:
        bad = bool(getattr(np, condition.__name__)(first.value, second.value))
    if bad:
        raise ValueError(message)


def _check_mean(n: Parameter, p: Parameter) -> None:
    """The Poisson distribution behind a negative binomial one has no mean beyond int64, ten deviations included."""
    if n.is_array or p.is_array:
        mean = (1.0 - p.value) * (n.value + 10.0 * functions.sqrt(n.value)) / p.value
        bad = bool(functions.any(mean > POISSON_MAX))
    else:
        bad = (1.0 - p.value) * (n.value + 10.0 * math.sqrt(n.value)) / p.value > POISSON_MAX
    if bad:
        raise ValueError("n too large or p too small, see Generator.negative_binomial Notes")


def _check_urn(good: Parameter, bad: Parameter, sample: Parameter) -> None:
    limit = 10**9
    for one in (good, bad):
        if bool(functions.any(one.value >= limit)) if one.is_array else one.value >= limit:
            raise ValueError(f"{'both ngood and nbad' if not one.is_array else one.name} must be less than {limit}")
    if good.is_array or bad.is_array or sample.is_array:
        short = bool(functions.any(functions.less(functions.add(good.value, bad.value), sample.value)))
    else:
        short = good.value + bad.value < sample.value
    if short:
        raise ValueError("ngood + nbad < nsample")


def _bound(name: str, value: Any) -> Any:
    """A bound of integers as a Python int or an integer array."""
    if type(value) is CuArray:
        if value.dtype.kind not in "biu":
            raise TypeError(f"{name} must be an array of integers, not of {value.dtype}")
        return value
    plain = np.asarray(value)
    if plain.ndim == 0:
        return int(plain[()])
    if plain.dtype.kind == "f" and plain.size:  # as the scalars are
        plain = np.trunc(plain).astype(np.int64)
    if plain.dtype.kind == "O":
        return _int_array(name, plain)
    if plain.dtype.kind not in "biuf":
        raise TypeError(f"{name} must be integers, not {plain.dtype}")
    return as_operand(plain.astype(np.int64) if plain.dtype.kind == "f" else plain)


def _int_array(name: str, values: np.ndarray) -> CuArray:
    try:
        return as_operand(values.astype(np.uint64 if min(values.flat) >= 0 else np.int64))
    except OverflowError:
        raise ValueError(f"{name} is out of bounds") from None


def _checked_bound(
    name: str, bound: Any, lowest: int, highest: int, excluded: int, word: np.dtype, wanted: np.dtype
) -> CuArray | int:
    """An inclusive bound as a scalar or an array of `word`; ValueError where `wanted` does not hold it."""
    if type(bound) is not CuArray:
        if not lowest <= bound - excluded <= highest:
            raise ValueError(f"{name} is out of bounds for {wanted}")
        return word.type(bound - excluded)
    info = np.iinfo(bound.dtype) if bound.dtype.kind != "b" else np.iinfo(np.uint8)
    low, high = lowest + excluded, highest + excluded
    if info.min < low and bool(functions.any(functions.less(bound, low))):
        raise ValueError(f"{name} is out of bounds for {wanted}")
    if info.max > high and bool(functions.any(functions.greater(bound, high))):
        raise ValueError(f"{name} is out of bounds for {wanted}")
    return astype(bound, word, copy=False) - word.type(1) if excluded else astype(bound, word, copy=False)


def _address(values: CuArray) -> Parameter:
    return Parameter("weights", values._pointer, INT64)


def _weights(p: Any, population: int) -> CuArray:
    weights = astype(as_operand(p), FLOAT64, copy=False)
    if weights.ndim != 1:
        raise ValueError("p must be 1-dimensional")
    weights = ascontiguousarray(weights)
    if weights.size != population:
        raise ValueError("a and p must have same size")
    if population:
        total = float(functions.sum(weights))
        if math.isnan(total):
            raise ValueError("Probabilities contain NaN")
        if bool(functions.any(functions.less(weights, 0))):
            raise ValueError("Probabilities are not non-negative")
        if abs(total - 1.0) > math.sqrt(np.finfo(np.float64).eps):
            raise ValueError("Probabilities do not sum to 1.")
    return weights


def _factor(cov: np.ndarray, method: str, check_valid: str, tol: float) -> np.ndarray:
    """A matrix f with f.T @ f = cov."""
    if method == "cholesky":
        return np.ascontiguousarray(np.linalg.cholesky(cov).T)
    if method == "eigh":
        values, vectors = np.linalg.eigh(cov)
        valid = not np.any(values < -tol)
        rows = vectors.T
        values = np.maximum(values, 0.0)
    else:
        _, values, rows = np.linalg.svd(cov)
        valid = np.allclose(np.dot(rows.T * values, rows), cov, rtol=tol, atol=tol)
    if not valid:
        if check_valid == "raise":
            raise ValueError("covariance is not symmetric positive-semidefinite.")
        if check_valid == "warn":
            warnings.warn("covariance is not symmetric positive-semidefinite.", RuntimeWarning, stacklevel=3)
    return np.ascontiguousarray(np.sqrt(values)[:, None] * rows)
