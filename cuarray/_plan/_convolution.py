"""Plans of sums of products of two sequences at every offset (kernels/convolution.cuh)."""

from __future__ import annotations

from cuarray import _tuning
from cuarray._dtypes import CPP_NAMES
from cuarray._layout import Layout
from cuarray._plan._common import Instance, Plan
from cuarray._tuning import Target


def convolution(target: Target, a: Layout, v: Layout, first: int, count: int) -> Plan:
    """The launch that computes `count` sums; the first multiplies v[0] by a[first]. `a` is contiguous, `v` 1-d."""
    words = (count, first, a.size, v.size, v.strides[0])
    name = CPP_NAMES[a.dtype]
    if target.one_thread_blocks:
        blocks = _tuning.convolution_strip_blocks(target, count, min(a.size, v.size))
        instance = Instance("convolution.cuh", f"ca::convolve_strips<{name}, {_tuning.CONVOLUTION_STRIP}>")
        return Plan(instance, (blocks, 1, 1), (1, 1, 1), words)
    blocks = _tuning.elementwise_blocks(target, count)
    instance = Instance("convolution.cuh", f"ca::convolve_elements<{name}>")
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), words)
