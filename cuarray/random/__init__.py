"""Random numbers, by the names of `numpy.random`.

`default_rng` makes a `Generator`. The functions beside it are the methods of one generator that all share, which `seed`
seeds anew.
"""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.random import SeedSequence

from cuarray._array import CuArray
from cuarray.random._generator import Generator
from cuarray.random._philox import Philox4x32

_shared = Generator(Philox4x32())


def default_rng(seed: Any = None) -> Generator:
    """A new generator; `seed`: None (from the system), an int, ints, a SeedSequence, a bit generator or a generator.

    A `Generator` is returned as it is; a `Philox4x32` becomes the generator's.

    >>> import cuarray as ca
    >>> ca.random.default_rng(7).integers(10, size=5)
    array([8, 1, 2, 1, 7])
    """
    if isinstance(seed, Generator):
        return seed
    return Generator(seed if isinstance(seed, Philox4x32) else Philox4x32(seed))


def seed(seed: Any = None) -> None:
    """Seed the generator that the functions of this module share, anew.

    >>> import cuarray as ca
    >>> ca.random.seed(7)
    >>> ca.random.randint(10, size=5)
    array([8, 1, 2, 1, 7])
    """
    _shared.bit_generator.state = Philox4x32(seed).state


def rand(*shape: int) -> CuArray:
    """Uniform numbers in [0, 1), the extents given one by one; see `Generator.random`.

    >>> import cuarray as ca
    >>> ca.random.rand(2, 3).shape
    (2, 3)
    """
    return _shared.random(tuple(operator.index(extent) for extent in shape))


def randn(*shape: int) -> CuArray:
    """Normal numbers of mean 0 and deviation 1, the extents given one by one; see `Generator.standard_normal`.

    >>> import cuarray as ca
    >>> ca.random.randn(2, 3).shape
    (2, 3)
    """
    return _shared.standard_normal(tuple(operator.index(extent) for extent in shape))


def randint(low: Any, high: Any = None, size: Any = None, dtype: Any = np.int64) -> CuArray:
    """Integers from `low` up to, without it, `high`; see `Generator.integers`.

    >>> import cuarray as ca
    >>> ca.random.randint(10, 20, 4).shape
    (4,)
    """
    return _shared.integers(low, high, size, dtype)


def random(size: Any = None) -> CuArray:
    """Uniform numbers in [0, 1); see `Generator.random`.

    >>> import cuarray as ca
    >>> ca.random.random(3).shape
    (3,)
    """
    return _shared.random(size)


random_sample = random

# The methods that have the same arguments in both of NumPy's interfaces.
beta = _shared.beta
binomial = _shared.binomial
bytes = _shared.bytes
chisquare = _shared.chisquare
choice = _shared.choice
dirichlet = _shared.dirichlet
exponential = _shared.exponential
f = _shared.f
gamma = _shared.gamma
geometric = _shared.geometric
gumbel = _shared.gumbel
hypergeometric = _shared.hypergeometric
laplace = _shared.laplace
logistic = _shared.logistic
lognormal = _shared.lognormal
logseries = _shared.logseries
multinomial = _shared.multinomial
multivariate_normal = _shared.multivariate_normal
negative_binomial = _shared.negative_binomial
noncentral_chisquare = _shared.noncentral_chisquare
noncentral_f = _shared.noncentral_f
normal = _shared.normal
pareto = _shared.pareto
permutation = _shared.permutation
poisson = _shared.poisson
power = _shared.power
rayleigh = _shared.rayleigh
shuffle = _shared.shuffle
standard_cauchy = _shared.standard_cauchy
standard_exponential = _shared.standard_exponential
standard_gamma = _shared.standard_gamma
standard_normal = _shared.standard_normal
standard_t = _shared.standard_t
triangular = _shared.triangular
uniform = _shared.uniform
vonmises = _shared.vonmises
wald = _shared.wald
weibull = _shared.weibull
zipf = _shared.zipf

__all__ = [
    "Generator",
    "Philox4x32",
    "SeedSequence",
    "default_rng",
    "seed",
    "rand",
    "randn",
    "randint",
    "random",
    "random_sample",
    "beta",
    "binomial",
    "bytes",
    "chisquare",
    "choice",
    "dirichlet",
    "exponential",
    "f",
    "gamma",
    "geometric",
    "gumbel",
    "hypergeometric",
    "laplace",
    "logistic",
    "lognormal",
    "logseries",
    "multinomial",
    "multivariate_normal",
    "negative_binomial",
    "noncentral_chisquare",
    "noncentral_f",
    "normal",
    "pareto",
    "permutation",
    "poisson",
    "power",
    "rayleigh",
    "shuffle",
    "standard_cauchy",
    "standard_exponential",
    "standard_gamma",
    "standard_normal",
    "standard_t",
    "triangular",
    "uniform",
    "vonmises",
    "wald",
    "weibull",
    "zipf",
]
