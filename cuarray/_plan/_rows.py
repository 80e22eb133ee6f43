"""Plans of the choice of rows (kernels/rows.cuh)."""

from __future__ import annotations

import math

from cuarray import _tuning
from cuarray._dtypes import storage_name
from cuarray._layout import Layout
from cuarray._plan._common import INT32_MAX, Instance, Plan
from cuarray._tuning import Target


def rows(target: Target, source: Layout, axis: int, chosen: int) -> Plan:
    """The launch that writes `chosen` rows of the C-contiguous `source`, which are counted along `axis`."""
    outer, width = math.prod(source.shape[:axis]), math.prod(source.shape[axis + 1 :])
    size = outer * chosen * width
    name = storage_name(source.dtype)
    blocks = _tuning.elementwise_blocks(target, size)
    block = (target.block_threads, 1, 1)
    if target.one_thread_blocks:
        words = (outer * chosen, chosen, source.shape[axis], width)
        return Plan(Instance("rows.cuh", f"ca::take_rows<{name}>"), (blocks, 1, 1), block, words)
    index = "int" if max(size + blocks * block[0], source.size) <= INT32_MAX else "long"
    words = (size, chosen, source.shape[axis], width)
    return Plan(Instance("rows.cuh", f"ca::take_elements<{name}, {index}>"), (blocks, 1, 1), block, words)
