"""The CUDA backend's Fourier transforms: cuFFT, by nvmath's bindings."""

from __future__ import annotations

import math
import threading
from collections import OrderedDict
from typing import Any

import numpy as np

from cuarray._layout import layout
from cuarray._runtime.cusolver import calls, destroyed_with, load, loading
from cuarray._runtime.math_libraries import Block, Fourier
from cuarray._tuning import FFT_PLANS

# By what is done in which precision: cufftType and the function that runs the plan. The letters are of single and
# double precision.
_TRANSFORMS = {
    ("complex", 4): (0x29, "exec_c2c"),
    ("complex", 8): (0x69, "exec_z2z"),
    ("r2c", 4): (0x2A, "exec_r2c"),
    ("r2c", 8): (0x6A, "exec_d2z"),
    ("c2r", 4): (0x2C, "exec_c2r"),
    ("c2r", 8): (0x6C, "exec_z2d"),
}
_FORWARD, _INVERSE = -1, 1


class _Plan:
    """A plan without a workspace of its own; destroyed when it is dropped."""

    def __init__(self, cufft: Any, sizes: tuple[int, ...], kind: int, count: int) -> None:
        with loading("cuFFT"):
            self.handle = destroyed_with(self, cufft.destroy, cufft.create())
        with calls(cufft.cuFFTError):
            cufft.set_auto_allocation(self.handle, 0)
            # No embedding: arrays are packed, and then strides and distances are not looked at.
            self.workspace_bytes = int(
                cufft.make_plan_many64(self.handle, len(sizes), sizes, 0, 1, 0, 0, 1, 0, kind, count)
            )


class _Plans(threading.local):
    """A thread's plans: a plan must not be used by two threads at once."""

    def __init__(self) -> None:
        self.kept: OrderedDict[Any, _Plan] = OrderedDict()  # the least recently used first


class CudaFourier(Fourier):
    """Packed arrays, over their last axes."""

    any_axes = False

    def __init__(self, runtime: Any) -> None:
        self._runtime = runtime
        (self._cufft,) = load("cufft")
        self._plans = _Plans()

    def _plan(self, sizes: tuple[int, ...], kind: int, count: int) -> _Plan:
        kept = self._plans.kept
        key = (sizes, kind, count)
        plan = kept.get(key)
        if plan is None:
            self._runtime.device.set_current()
            plan = _Plan(self._cufft, sizes, kind, count)
            if len(kept) >= FFT_PLANS:
                kept.popitem(last=False)
            kept[key] = plan
        kept.move_to_end(key)
        return plan

    def transform(self, x: Block, axes: tuple[int, ...], kind: str, norm: str, last: int) -> Block:
        rank = len(axes)
        shape = list(x.shape)
        sizes = shape[-rank:]
        precision = x.dtype.itemsize // (2 if x.dtype.kind == "c" else 1)
        dtype = np.dtype(f"c{2 * precision}")
        if kind == "r2c":
            shape[-1] = shape[-1] // 2 + 1
        elif kind == "c2r":
            shape[-1] = sizes[-1] = last
            dtype = np.dtype(f"f{precision}")
        transform = kind if kind in ("r2c", "c2r") else "complex"
        number, name = _TRANSFORMS[transform, precision]
        plan = self._plan(tuple(sizes), number, math.prod(shape[:-rank]))
        own = layout(dtype, tuple(shape))
        memory = self._runtime.allocate(own.nbytes)
        workspace = self._runtime.allocate(plan.workspace_bytes)
        capture = self._runtime.captures.get(self._runtime.stream)
        if capture is not None:
            capture.keep.append(plan)
        direction = () if transform != "complex" else (_FORWARD if kind == "forward" else _INVERSE,)
        with calls(self._cufft.cuFFTError):
            self._cufft.set_stream(plan.handle, self._runtime.stream)
            self._cufft.set_work_area(plan.handle, workspace.pointer)
            getattr(self._cufft, name)(plan.handle, x.pointer, memory.pointer, *direction)
        return Block(memory, memory.pointer, own)
