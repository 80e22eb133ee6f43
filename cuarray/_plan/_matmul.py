"""Plans of products of matrices (kernels/matmul.cuh)."""

from __future__ import annotations

import math

import numpy as np

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import Instance, Plan, collapse, pad, rank_for
from cuarray._tuning import Target


def matmul(target: Target, a: Layout, b: Layout, batch: tuple[int, ...], dtype: np.dtype) -> Plan:
    """The launch of a @ b, both of `dtype` and at least 2-d, into a C-contiguous stack of `batch` products."""
    m, k = a.shape[-2:]
    n = b.shape[-1]
    batches = math.prod(batch)

    def batch_strides(source: Layout) -> tuple[int, ...]:
        padded = pad(source.shape[:-2], len(batch), 1)
        own = pad(source.strides[:-2], len(batch), 0)
        return tuple(0 if extent == 1 else stride for extent, stride in zip(padded, own, strict=True))

    shape, (a_batch, b_batch) = collapse(batch, [batch_strides(a), batch_strides(b)])
    rank = rank_for(max(len(shape), 1))
    words = (
        batches,
        m,
        n,
        k,
        *a.strides[-2:],
        *b.strides[-2:],
        *pad(shape, rank, 1),
        *pad(a_batch, rank, 0),
        *pad(b_batch, rank, 0),
    )
    cpp = CPP_NAMES[dtype]
    if target.one_thread_blocks:
        name = f"ca::matmul_rows<{cpp}, {_tuning.MATMUL_STRIP}, {rank}>"
        blocks = _tuning.matmul_rows_blocks(target, batches * m, 2 * batches * m * n * k)
        return Plan(Instance("matmul.cuh", name), (blocks, 1, 1), (1, 1, 1), words)
    tile = _tuning.MATMUL_TILE
    pieces = batches * -(-m // tile) * -(-n // tile)
    blocks = max(1, min(pieces, 2**31 - 1))
    return Plan(
        Instance("matmul.cuh", f"ca::matmul_tiled<{cpp}, {tile}, {rank}>"), (blocks, 1, 1), (tile, tile, 1), words
    )
