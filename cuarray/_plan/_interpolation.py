"""Plans of linear interpolation (kernels/interpolation.cuh)."""

from __future__ import annotations

import struct

from cuarray import _tuning
from cuarray._layout import Layout
from cuarray._plan._common import Instance, Plan
from cuarray._tuning import Target


def interpolation(
    target: Target, out: Layout, fp: Layout, left: float | None, right: float | None, imaginary: bool
) -> Plan:
    """The launch that fills the 1-d `out`; `fp` is 1-d, too. Both are float64, of any stride.

    `imaginary`: they are imaginary parts, of which NaN as a place has none.
    """

    def bits(value: float | None) -> int:
        return 0 if value is None else struct.unpack("q", struct.pack("d", value))[0]

    flags = (left is not None) + 2 * (right is not None) + 4 * imaginary
    words = (out.size, fp.size, out.strides[0], fp.strides[0], flags, bits(left), bits(right))
    blocks = _tuning.elementwise_blocks(target, out.size)
    instance = Instance("interpolation.cuh", "ca::interpolate_all")
    return Plan(instance, (blocks, 1, 1), (target.block_threads, 1, 1), words)
