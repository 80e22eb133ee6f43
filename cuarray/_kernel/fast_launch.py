"""Launches from Python without interpreted code: the Python side of kernels/host/python_launch.hpp.

A kernel has a `Calls` object. Called with what stands between the kernel's brackets, it returns a launcher; both know
how arguments of the kinds that were passed before are packed. What neither has seen before, and every error,
goes to the functions of Python that stand behind them; these stay the only place that knows the rules. Where the layout
of Python's objects is not the expected one (builds without the GIL, other implementations), there is nothing but them.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from cuarray import _fast_calls
from cuarray._array import CuArray
from cuarray._fast_calls import CODES, Launching, source_code
from cuarray._runtime import Runtime

if TYPE_CHECKING:
    from cuarray._kernel.instance import Instance

_allowed = True


@functools.cache
def functions() -> Launching | None:
    """The compiled functions; None where Python's objects are not laid out as they expect."""
    found = _fast_calls.launching()
    if found is not None:
        found.allow(_allowed)
    return found


# ---- what kernels use


def allow(allowed: bool) -> None:
    """Whether calls that were made before may be launched without Python; if not, `slow` is called for all."""
    global _allowed
    _allowed = allowed
    native = functions() if functions.cache_info().currsize else None
    if native:
        native.allow(allowed)


def make_calls(subscript: Callable[[Any], Any], failed: Callable[..., None]) -> Callable[[Any], Any]:
    """What a kernel calls with a key between its brackets: `subscript`, but it remembers what that returned.

    Up to 1024 keys of ints, strs, types and None are remembered, then all are forgotten; `subscript` must return the
    same for the same key.

    failed: called with (launcher, name of the instance, result, *arguments) when a launch returned an error; raises it,
    or launches again. `subscript` makes its launchers by `make_launcher`.
    """
    native = functions()
    return native.new_calls(subscript, failed) if native else subscript


def make_launcher(
    calls: Callable[[Any], Any],
    slow: Callable[..., None],
    grid: Sequence[int],
    block: Sequence[int],
    shared: int,
    stream: int,
) -> Callable[..., None]:
    """A callable that launches as `slow` does, and calls it for arguments of kinds that are not `register`ed."""
    native = functions()
    if native is None:
        return slow
    # As a signed word: what a handle's highest bit means is the driver's business.
    words = (ctypes.c_int64 * 8)(*grid, *block, shared, ctypes.c_int64(stream).value)
    return native.new_launcher(calls, slow, words)


def register(
    calls: Callable[[Any], Any], values: Sequence[Any], instance: Instance, ranked: Sequence[bool] = ()
) -> None:
    """Remember that arguments like `values`, which were just launched with, mean this instance.

    Arguments like them: arrays of the same dtypes, as writeable; Python and NumPy scalars of the same types; None.
    ranked: where the number of dimensions of an array matters; nothing is remembered then, nor if there is another kind
    of argument. A kernel remembers up to 64 patterns.
    """
    native = functions()
    if native is None:
        return
    if instance.defaults or any(r and type(value) is CuArray for r, value in zip(ranked, values, strict=False)):
        return
    words: list[int] = []
    keep: list[Any] = [instance.record, instance.name]
    for value, parameter, offset in zip(values, instance.parameters, instance.offsets, strict=True):
        source = _source(value)
        target = "pointer" if parameter.word.startswith("P") else parameter.word
        if source is None or target not in CODES or (source == "pointer") != (target == "pointer"):
            return
        dtype = writeable = None
        if type(value) is CuArray:
            dtype, writeable = value._layout.dtype, value._writeable
        keep += [type(value), dtype]
        words += [id(type(value)), id(dtype) if dtype else 0, id(writeable), CODES[source], CODES[target], offset]
    guards = (ctypes.c_uint64 * len(words))(*words)
    native.add_pattern(
        calls, tuple(keep), instance.name, instance.record.ctypes.data, guards, len(values), instance.slot_bytes
    )


def _source(value: Any) -> str | None:
    """What C++ reads from an argument of this very type; None if it cannot read it."""
    return "pointer" if type(value) is CuArray or value is None else source_code(value)


def launch_failed(runtime: Runtime, slow: Callable[..., None], name: str, result: int, *values: Any) -> None:
    """Raise what the launcher returned, or launch again if the runtime sees a reason to."""

    def again() -> int:
        slow(*values)  # raises what it meets
        return 0

    runtime.launch_failed(result, name, again)
