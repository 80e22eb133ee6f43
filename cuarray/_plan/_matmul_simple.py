"""Plans of matmul_tiled, the simplest kernel for blocks of many threads: it takes every product."""

from __future__ import annotations

from typing import NamedTuple

from cuarray import _tuning
from cuarray._plan._common import Instance, Plan
from cuarray._plan._matmul import MatmulPlan, Product
from cuarray._tuning import Target


class Configuration(NamedTuple):
    """The template's own arguments."""

    tile: int  # threads a side of a block

    def __str__(self) -> str:
        return str(self.tile)


DEFAULT = Configuration(_tuning.MATMUL_TILE)


def candidates(target: Target, of: Product) -> list[Configuration]:
    """The configurations that can compute a product."""
    return [Configuration(tile) for tile in (8, 16, 32) if tile**2 <= target.max_block_threads]


def fits(target: Target, of: Product, configuration: Configuration) -> bool:
    """Whether this configuration computes the product."""
    return configuration.tile**2 <= target.max_block_threads


def plan(target: Target, of: Product, configuration: Configuration) -> MatmulPlan:
    """The launches for one of the candidates."""
    tile = configuration.tile
    pieces = of.batches * -(-of.m // tile) * -(-of.n // tile)
    name = f"ca::matmul_tiled<{of.cpp_types}, {tile}, {of.rank}>"
    grid = (max(1, min(pieces, 2**31 - 1)), 1, 1)
    return MatmulPlan((Plan(Instance("matmul_simple.cuh", name), grid, (tile, tile, 1), of.words()),), 0)
