"""Which kernels compute a product of matrices."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cuarray import _matmul_tuning
from cuarray._plan import _matmul_hopper, _matmul_host, _matmul_mma, _matmul_simple, _matmul_simt, _matmul_skinny
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target

# The modules of GPUs' kernels. Each has a Configuration, and says whether one computes a product (`fits`), which ones
# are worth a measurement (`candidates`), and what is launched (`plan`).
FAMILIES: dict[str, Any] = {
    "hopper": _matmul_hopper,
    "mma": _matmul_mma,
    "simt": _matmul_simt,
    "skinny": _matmul_skinny,
    "simple": _matmul_simple,
}


class Choice(NamedTuple):
    """One of a family's configurations, by names that last."""

    family: str
    configuration: str  # its str()


def has_choice(target: Target) -> bool:
    """Whether there are several ways to compute a product."""
    return not target.one_thread_blocks


def choices(target: Target, of: Product) -> list[Choice]:
    """All ways to compute a product."""
    of = of.folded()
    return [
        Choice(name, str(configuration))
        for name, family in FAMILIES.items()
        for configuration in family.candidates(target, of)
    ]


def has_dot(target: Target, dtype: np.dtype) -> bool:
    """Whether the product of a row and a column is as fast as an elementwise product and its sum."""
    return target.blas and dtype.kind in "fc" and dtype.itemsize > 2


def matmul(target: Target, of: Product, choice: Choice | None = None) -> MatmulPlan:
    """The launches of a product with at least one element; in this way, if it is one of `choices`."""
    if target.one_thread_blocks:
        return _matmul_host.plan(target, of)
    of = of.folded()
    if choice is not None and choice.family in FAMILIES:
        family = FAMILIES[choice.family]
        for configuration in family.candidates(target, of):
            if str(configuration) == choice.configuration:
                made: MatmulPlan = family.plan(target, of, configuration)
                return made
    if target.capability >= (7, 0) and of.k:
        skinny = _matmul_skinny.best(target, of, _matmul_mma.multiplies(target, of))
        if skinny is not None:
            return _matmul_skinny.plan(target, of, skinny)
        costs = {name: FAMILIES[name].cost(target, of) for name in ("hopper", "mma", "simt")}
        for name, values, splits in _matmul_tuning.choices(target, of, costs):
            family = FAMILIES[name]
            configuration = family.Configuration.for_product(of, values, splits)
            if family.fits(target, of, configuration):
                made = family.plan(target, of, configuration)
                return made
    return _matmul_simple.plan(target, of, _matmul_simple.DEFAULT)
