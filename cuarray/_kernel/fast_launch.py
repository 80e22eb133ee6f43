"""Launches from Python without interpreted code: the Python side of kernels/host/python_launch.hpp.

A kernel has a `Calls` object. Called with what stands between the kernel's brackets, it returns a launcher; both know
how arguments of the kinds that were passed before are packed. What neither has seen before, and every error,
goes to the functions of Python that stand behind them; these stay the only place that knows the rules. Where the layout
of Python's objects is not the expected one (builds without the GIL, other implementations), there is nothing but them.
"""

from __future__ import annotations

import ctypes
import functools
import platform
import sysconfig
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._layout import Layout
from cuarray._runtime import Runtime, cling

if TYPE_CHECKING:
    from cuarray._kernel.instance import Instance

# In the order of ca::python::Code.
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
_CODES = {code: number for number, code in enumerate((*_NUMBERS, "pointer", "python_bool", "python_int"))}

_HEAD = 16  # bytes of an object before what its type adds: reference count and type
_SCALARS = (*(np.dtype(code).type for code in "?bhilqBHILQefdFD"), float, complex)


class _Functions(NamedTuple):
    """The functions of python_launch.hpp, in the order of its table."""

    start: Any
    new_calls: Any
    new_launcher: Any
    add_pattern: Any
    set_current_stream: Any
    allow: Any


_object, _address, _count = ctypes.py_object, ctypes.c_void_p, ctypes.c_size_t
_SIGNATURES = _Functions(
    start=(ctypes.c_bool, _address),
    new_calls=(_object, _object, _object),
    new_launcher=(_object, _object, _object, _address),
    add_pattern=(_count, _object, _object, _object, _address, _address, _count, _count),
    set_current_stream=(None, ctypes.c_int64),
    allow=(None, ctypes.c_bool),
)


@functools.cache
def functions() -> _Functions | None:
    """The compiled functions; None where Python's objects are not laid out as they expect."""
    offsets = find_offsets()
    if offsets is None:
        return None
    cling.define_once("python_launch", '#include "host/python_launch.hpp"', "launching from Python")
    table = cling.evaluate("::ca::python::functions()", "launching from Python")
    addresses = (ctypes.c_void_p * len(_SIGNATURES)).from_address(table)
    found = _Functions(*(ctypes.PYFUNCTYPE(*s)(a) for s, a in zip(_SIGNATURES, addresses, strict=True)))
    if not found.start((ctypes.c_int64 * len(offsets))(*offsets)):
        return None
    found.set_current_stream(_runtime.get().current_stream_address)
    found.allow(_allowed)
    return found


def find_offsets() -> tuple[int, int, int, int] | None:
    """Where `_pointer`, `_layout`, `_writeable` of a CuArray and `dtype` of a Layout are in the objects, in bytes."""
    if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    if object.__basicsize__ != _HEAD or not all(map(_holds_its_value, _SCALARS)):
        return None
    array = (_find_slot(CuArray, name) for name in ("_pointer", "_layout", "_writeable"))
    found = (*array, _find_slot(Layout, "dtype"))
    return None if None in found else found  # type: ignore[return-value]


def _find_slot(cls: type, name: str) -> int | None:
    """The only place in an instance of `cls` that changes as this attribute does."""
    probe: Any = object.__new__(cls)
    places = set(range(_HEAD, cls.__basicsize__, 8))
    for sentinel in (object(), object()):
        setattr(probe, name, sentinel)
        words = (ctypes.c_size_t * (cls.__basicsize__ // 8)).from_address(id(probe))
        places &= {place for place in places if words[place // 8] == id(sentinel)}
    return places.pop() if len(places) == 1 else None


def _holds_its_value(scalar: type) -> bool:
    """Whether objects of this type have their value, as C++ has it, right after the head."""
    return all(
        ctypes.string_at(id(value) + _HEAD, len(data)) == data
        for value in map(scalar, (0, 1, 77))
        for data in [np.asarray(value).tobytes()]
    )


# ---- what kernels use

_allowed = True


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
        if source is None or target not in _CODES or (source == "pointer") != (target == "pointer"):
            return
        dtype = writeable = None
        if type(value) is CuArray:
            dtype, writeable = value._layout.dtype, value._writeable
        keep += [type(value), dtype]
        words += [id(type(value)), id(dtype) if dtype else 0, id(writeable), _CODES[source], _CODES[target], offset]
    guards = (ctypes.c_uint64 * len(words))(*words)
    native.add_pattern(
        calls, tuple(keep), instance.name, instance.record.ctypes.data, guards, len(values), instance.slot_bytes
    )


def _source(value: Any) -> str | None:
    """What C++ reads from an argument of this very type; None if it cannot read it."""
    kind = type(value)
    if kind is CuArray or value is None:
        return "pointer"
    if kind is bool or kind is int:
        return f"python_{kind.__name__}"
    if kind in _SCALARS:
        dtype = np.dtype(kind)
        return f"{dtype.kind}{dtype.itemsize}"
    return None


def launch_failed(runtime: Runtime, slow: Callable[..., None], name: str, result: int, *values: Any) -> None:
    """Raise what the launcher returned, or launch again if the runtime sees a reason to."""

    def again() -> int:
        slow(*values)  # raises what it meets
        return 0

    runtime.launch_failed(result, name, again)
