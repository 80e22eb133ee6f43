"""Calls of the library's functions without interpreted code: the Python side of kernels/host/python_calls.hpp.

A function that is `Remembered` answers a call in Python, and may say by `remember` what it comes to for arguments of
these kinds: what is allocated, and what is launched on which words. The next call like it is done by C++, which leaves
everything else, and every error, to the function. Where the layout of Python's objects is not the expected one (builds
without the GIL, other implementations), there is nothing but the functions.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import platform
import sysconfig
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._layout import Layout
from cuarray._runtime import native

# In the order of ca::python::Code.
_NUMBERS = ("b1", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "f2", "f4", "f8", "c8", "c16")
CODES = {code: number for number, code in enumerate((*_NUMBERS, "pointer", "python_bool", "python_int"))}

_HEAD = 16  # bytes of an object before what its type adds: reference count and type
_SCALARS = (*(np.dtype(code).type for code in "?bhilqBHILQefdFD"), float, complex)


class Remembered:
    """A function whose calls may be remembered; subclasses define `_call`."""

    _recipes: Any  # C++'s, once there are any

    # One of a few attributes at places that C++ knows, beside the instance's dict.
    __slots__ = ("_recipes",)

    scalars = 0  # bit k is set if argument k may be a scalar whose type counts, and not its value
    variable: ContextVar[Any] | None = None  # a context variable, with a default, whose value counts, too

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._call(*args, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> Any:
        raise NotImplementedError


# ---- what C++ offers


class Launching(NamedTuple):
    """The functions of python_launch.hpp, in the order of its table."""

    start: Any
    new_calls: Any
    new_launcher: Any
    add_pattern: Any
    set_current_stream: Any
    allow: Any


class _Calling(NamedTuple):
    """The functions of python_calls.hpp, in the order of its table."""

    start: Any
    new_call: Any
    new_operator: Any
    new_subscript: Any
    new_recipes: Any
    part: Any
    has_recipe: Any
    add_recipe: Any
    add_view: Any
    count_recipes: Any
    close: Any


_object, _address, _count = ctypes.py_object, ctypes.c_void_p, ctypes.c_size_t
_LAUNCHING = Launching(
    start=(ctypes.c_bool, _address),
    new_calls=(_object, _object, _object),
    new_launcher=(_object, _object, _object, _address),
    add_pattern=(_count, _object, _object, _object, _address, _address, _count, _count),
    set_current_stream=(None, ctypes.c_int64),
    allow=(None, ctypes.c_bool),
)
_CALLING = _Calling(
    start=(ctypes.c_bool, _object, _object, _object, ctypes.c_ulong),
    new_call=(_object,),
    new_operator=(_object, _object, _object, _object, ctypes.c_uint64),
    new_subscript=(_object, _object, _object),
    new_recipes=(_object, ctypes.c_uint64, _object),
    part=(ctypes.c_uint64, _object, ctypes.c_bool),
    has_recipe=(ctypes.c_bool, _object, _object, _object),
    add_recipe=(ctypes.c_bool, _object, _object, _address),
    add_view=(ctypes.c_bool, _object, _object, _object, _object),
    count_recipes=(_count, _object),
    close=(None,),
)


@functools.cache
def launching() -> Launching | None:
    """The compiled functions of python_launch.hpp; None where Python's objects are not laid out as they expect."""
    offsets = find_offsets()
    if offsets is None:
        return None
    found = Launching(*_functions("functions", _LAUNCHING))
    if not found.start((ctypes.c_int64 * len(offsets))(*offsets)):
        return None
    found.set_current_stream(_runtime.get().current_stream_address)
    return found


@functools.cache
def _calling() -> _Calling | None:
    """The compiled functions of python_calls.hpp, which are then what functions and operators are called by."""
    from cuarray._array import OPERATORS, CuArray
    from cuarray._functions._operation import assign

    if launching() is None:
        return None
    found = _Calling(*_functions("call_functions", _CALLING))
    if not found.start(CuArray, Remembered, "_call", _runtime.get().pool.address):
        return None
    atexit.register(found.close)
    Remembered.__call__ = found.new_call()  # type: ignore[method-assign]
    forms = ("unary", "forward", "reflected", "in_place")
    for method, (function, form) in OPERATORS.items():
        setattr(CuArray, method, found.new_operator(function, getattr(CuArray, method), ("out",), forms.index(form)))
    CuArray.__getitem__ = found.new_subscript(CuArray.__getitem__, None)  # type: ignore[method-assign]
    CuArray.__setitem__ = found.new_subscript(CuArray.__setitem__, assign)  # type: ignore[method-assign]
    return found


def _functions(table: str, signatures: Sequence[tuple[Any, ...]]) -> list[Any]:
    at = native.function(f"python::{table}")()
    addresses = (ctypes.c_void_p * len(signatures)).from_address(at)
    return [ctypes.PYFUNCTYPE(*own)(address) for own, address in zip(signatures, addresses, strict=True)]


def find_offsets() -> tuple[int, ...] | None:
    """Where attributes are in their objects, in bytes, in the order of ca::python::Offsets."""
    from cuarray._array import CuArray

    if platform.python_implementation() != "CPython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return None
    if object.__basicsize__ != _HEAD or not all(map(_holds_its_value, _SCALARS)):
        return None
    array = (_find_slot(CuArray, name) for name in ("_pointer", "_layout", "_memory", "_base", "_writeable"))
    layout = (_find_slot(Layout, name) for name in ("dtype", "shape", "strides"))
    found = (*array, *layout, _find_slot(Remembered, "_recipes"))
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


def source_code(value: Any) -> str | None:
    """What C++ reads from a scalar of this very type; None if it cannot read it."""
    kind = type(value)
    if kind is bool or kind is int:
        return f"python_{kind.__name__}"
    if kind in _SCALARS:
        dtype = np.dtype(kind)
        return f"{dtype.kind}{dtype.itemsize}"
    return None


# ---- recipes


class Word(NamedTuple):
    """A word of a launch's head: an argument's address or bits (`argument` is its place), or what is allocated."""

    what: str  # one of _WHAT
    argument: int = 0
    target: np.dtype | None = None  # of a scalar: what the kernel reads
    value: int = 0  # a constant's; of an output: bytes after its beginning


_WHAT = ("constant", "output", "scratch", "address", "low", "high")  # in the order of ca::python::What
OUTPUT, SCRATCH, NOTHING = Word("output"), Word("scratch"), Word("constant")
HEAD_WORDS = 7  # that a head has at least
_MOST_PARTS = 72  # of a key; as are the numbers of launches and words, this is bounded in C++, too


def remember(
    function: Remembered,
    arguments: tuple[Any, ...],
    names: tuple[str, ...],
    layout: Layout,
    launches: Sequence[tuple[Any, Sequence[Word]]],
    *,
    out: int = -1,
    scratch_bytes: int = 0,
    view_at: int | None = None,
    alignment: int = 1,
    apart: bool = False,
) -> None:
    """Remember what a call comes to, for all calls with arguments of these kinds; or do not, if that cannot be.

    arguments: as the function was called with, the last of them by `names`. Arrays count by their layouts, scalars at
    the places in `function.scalars` by their types, and all else by its value.
    layout: of the new array that is the result; or `out` is the argument that the result is written to.
    launches: pairs of a `Prepared` and the words of its head (zeros follow, up to HEAD_WORDS).
    scratch_bytes: of the memory that the launches share.
    view_at: the result is a view of the first argument, this many bytes after its beginning.
    alignment: the addresses of arrays must be multiples of it; else Python is asked.
    apart: `out` must not be one of the inputs, which it otherwise may if it is exactly that.
    """
    found = _calling()
    if found is None or len(arguments) + len(names) >= _MOST_PARTS:
        return
    recipes = getattr(function, "_recipes", None)
    if recipes is None:
        recipes = function._recipes = found.new_recipes(function.scalars, function.variable)
    elif found.has_recipe(recipes, arguments, names):
        return  # these arguments are among those that the recipe is not for
    from cuarray._array import CuArray

    key: list[int] = []
    keep: list[Any] = [layout, names, [prepared.record for prepared, _ in launches]]
    spans: list[int] = []
    for place, argument in enumerate(arguments):
        is_scalar = place < len(arguments) - len(names) and bool(function.scalars >> place & 1)
        if type(argument) is CuArray:
            keep.append(argument._layout)
            spans += [place, argument._layout.low, argument._layout.high]
        elif is_scalar or _never_changes(argument):
            keep.append(type(argument) if is_scalar else argument)
        else:
            return
        key.append(found.part(argument, is_scalar))
    key += map(id, names)
    if function.variable is not None:
        keep.append(function.variable.get())
        key.append(id(keep[-1]))
    steps: list[int] = []
    words: list[int] = []
    for prepared, head in launches:
        steps += [prepared.address, max(len(head), HEAD_WORDS)]
        for word in (*head, *[NOTHING] * (HEAD_WORDS - len(head))):
            code = _WHAT.index(word.what) | word.argument << 16
            if word.what == "low":
                assert word.target is not None
                source, target = source_code(arguments[word.argument]), f"{word.target.kind}{word.target.itemsize}"
                if source is None or target not in CODES:
                    return
                code |= CODES[source] << 32 | CODES[target] << 48
            words += [word.value, code]
    if out < 0:
        spans = []
    viewed, nbytes = (-1, layout.nbytes) if view_at is None else (0, view_at)
    head_of_all = [len(key), out, viewed, id(layout), nbytes, scratch_bytes, len(spans) // 3, len(launches)]
    head_of_all += [len(words) // 2, alignment - 1, apart]
    flat = [number & (2**64 - 1) for number in (*head_of_all, *key, *spans, *steps, *words)]
    found.add_recipe(recipes, tuple(keep), (ctypes.c_uint64 * len(flat))(*flat))


def _never_changes(value: Any) -> bool:
    """Whether an argument can be told by its identity, or by what C++ sees of it."""
    if type(value) is tuple:
        return all(type(part) is int for part in value)
    return value is None or type(value) in (bool, int, str, type) or isinstance(value, np.dtype)


def forget(function: Remembered) -> None:
    """Have Python asked again for all calls of a function."""
    if getattr(function, "_recipes", None) is not None:
        del function._recipes


def remember_subscript(array: Any, subscript: Any, view: Any) -> None:
    """Remember the layout of array[subscript], for arrays of its layout and slices of the same lengths."""
    found = _calling()
    if found is not None and view.size:
        found.add_view(array, subscript, view._layout, (array._layout, view._layout))


def count(function: Remembered) -> int:
    """How many calls of a function are remembered."""
    found, recipes = _calling(), getattr(function, "_recipes", None)
    return found.count_recipes(recipes) if found and recipes is not None else 0


def is_available() -> bool:
    """Whether calls are repeated by C++."""
    return _calling() is not None
