"""The way of products of matrices to their kernels: two arrays of one dtype, and what is done with the sums."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _autotune, _fast_calls, _plan, _precision, _runtime
from cuarray._array import CuArray, allocate
from cuarray._fast_calls import NOTHING, OUTPUT, SCRATCH, Remembered, Word
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, layout
from cuarray._plan import Epilogue

_FLOAT32 = np.dtype(np.float32)
_ALIGNMENT = 16


class Planned(NamedTuple):
    """A product whose kernels are loaded."""

    shape: tuple[int, ...]
    dtype: np.dtype
    launches: tuple[Prepared, ...]  # none where there is nothing to compute
    scratch_bytes: int
    alignment: int  # of all addresses, that the launches rely on
    product: _plan.Product | None


class Computed(NamedTuple):
    """A result, and how it came about if that can be repeated: launches on the operands' own addresses."""

    result: CuArray
    planned: Planned | None


@functools.lru_cache(maxsize=4096)
def _prepare(
    a: Layout,
    b: Layout,
    c: Layout | None,
    dtype: np.dtype,
    epilogue: Epilogue | None,
    precision: str,
    aligned: bool,
) -> Planned:
    batch = broadcast_shapes(a.shape[:-2], b.shape[:-2])
    shape = (*batch, a.shape[-2], b.shape[-1])
    if 0 in shape:
        return Planned(shape, dtype, (), 0, 1, None)
    target = _runtime.get().target

    def plan(aligned: bool) -> tuple[_plan.Product, _plan.MatmulPlan]:
        of = _plan.product(a, b, batch, dtype, c, epilogue, precision, aligned)
        return of, _plan.matmul(target, of, _autotune.find(target, of))

    of, chosen = plan(aligned)
    # Where addresses of any kind lead to the same launches, these need not be looked at again.
    alignment = 1 if chosen == plan(not aligned)[1] else _ALIGNMENT if aligned else 0
    launches = tuple(Prepared(launch) for launch in chosen.launches)
    return Planned(shape, dtype, launches, chosen.scratch_bytes, alignment, of)


def multiply_matrices(
    a: CuArray,
    b: CuArray,
    *,
    c: CuArray | None = None,
    dtype: np.dtype | None = None,
    epilogue: Epilogue | None = None,
    shape: tuple[int, ...] | None = None,
    out: CuArray | None = None,
) -> Computed:
    """epilogue(a @ b, c) for arrays of one dtype and at least two axes, whose inner extents are equal.

    c: of `dtype`, the result's, with at least two axes; it broadcasts to the result. shape: what a new array is to have
    instead of the product's: the same elements. out: C-contiguous, of the result's dtype and size, and apart from the
    operands.
    """
    dtype = a.dtype if dtype is None else dtype
    addresses = a._pointer | b._pointer | (0 if c is None else c._pointer) | (0 if out is None else out._pointer)
    precision = _precision.current() if a.dtype is _FLOAT32 else "ieee"
    key = (a._layout, b._layout, None if c is None else c._layout, dtype, epilogue, precision)
    planned = _prepare(*key, addresses % _ALIGNMENT == 0)
    result = allocate(layout(dtype, planned.shape if shape is None else shape)) if out is None else out
    pointers = (result._pointer, a._pointer, b._pointer, 0 if c is None else c._pointer)
    if planned.product is not None and _autotune.is_active() and _autotune.tune(planned.product, pointers):
        forget_plans()
        planned = _prepare(*key, addresses % _ALIGNMENT == 0)
    scratch = _runtime.get().allocate_scratch(planned.scratch_bytes)
    for prepared in planned.launches:
        prepared.launch(*pointers, scratch.pointer)
    return Computed(result, planned)


class RememberedProduct(Remembered):
    """A function that multiplies matrices; its calls count by the precision, too."""

    variable = _precision.chosen

    def __init__(self) -> None:
        _all.append(self)

    def remember(
        self, arguments: tuple[Any, ...], names: tuple[str, ...], out: int, computed: Computed, places: Sequence[int]
    ) -> None:
        """Repeat a product without Python; `places`: which of the arguments are a, b and, if there is one, c."""
        planned = computed.planned
        if planned is None or not planned.launches or not planned.alignment:
            return
        head = [OUTPUT, *(Word("address", place) for place in places), *[NOTHING] * (3 - len(places)), SCRATCH]
        _fast_calls.remember(
            self,
            arguments,
            names,
            computed.result._layout,
            [(prepared, head) for prepared in planned.launches],
            out=out,
            scratch_bytes=planned.scratch_bytes,
            alignment=planned.alignment,
            apart=True,
        )


_all: list[RememberedProduct] = []


def forget_calls() -> None:
    """Have Python asked again for all products: what they depend on has changed."""
    for function in _all:
        _fast_calls.forget(function)


def forget_plans() -> None:
    """Choose kernels anew for all products."""
    _prepare.cache_clear()
    forget_calls()


_precision.when_default_changes.append(forget_calls)
_autotune.when_entered.append(forget_calls)
