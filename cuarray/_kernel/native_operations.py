"""The tables of kernels/native_operations.hpp: what Python answers when code compiled by numba asks it.

A site is an operation on operands of types that numba knows. Its table is filled by calls: shapes and strides not seen
before make layouts, and what Python finds for these becomes an entry.
"""

from __future__ import annotations

import ctypes
import functools
import itertools
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray, new
from cuarray._dtypes import OperandType
from cuarray._fast_calls import HEAD_WORDS, NOTHING, OUTPUT, SCRATCH, Word
from cuarray._functions import _reduction
from cuarray._functions._operation import Kind, Operation
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout
from cuarray._runtime import ForeignMemory, cling, short_name
from cuarray._runtime.driver_functions import FailedAllocation, native

# In the order of ca::native::Value: the words of a call's values before its operands, two each.
_NOTHING, OUTPUT_WORD, _SCRATCH, OPERANDS = range(4)
# In the order of ca::native::Question.
_FIND, _DO, _NO_MEMORY, _NOT_LAUNCHED = range(4)


class ArrayKind(NamedTuple):
    """What numba knows of an array."""

    dtype: np.dtype
    ndim: int


class _Found(NamedTuple):
    """What a call comes to."""

    result: Layout
    launches: Sequence[tuple[Prepared, Sequence[Word]]]
    scratch_bytes: int = 0
    by_python: bool = False


class Site:
    """An operation on operands of certain types, and its table.

    The key of a call: shape and strides of each array, those of `out` last, then `more` words.
    """

    def __init__(self, name: str, kinds: Sequence[ArrayKind | OperandType], out: ArrayKind | None, more: int) -> None:
        self.name = name
        self.kinds = tuple(kinds)
        self.out = out
        self.more = more
        self._arrays = [kind for kind in (*kinds, out) if isinstance(kind, ArrayKind)]
        self.key_words = sum(2 * kind.ndim for kind in self._arrays) + more
        _sites.append(self)
        # The place in the list is the table's number; another thread may have added one since.
        self.table = int(_native().new_table(_sites.index(self), self.key_words, _runtime.get().pool.address))

    def _find(self, layouts: Sequence[Layout | None], out: Layout | None, more: tuple[int, ...]) -> _Found:
        raise NotImplementedError

    def _do(self, values: Sequence[Any], out: CuArray) -> None:
        raise NotImplementedError

    def _layouts(self, key: Sequence[int]) -> tuple[list[Layout | None], Layout | None]:
        """Of all operands (None for scalars), and of the given output."""
        words = iter(key)

        def take(kind: Any) -> Layout | None:
            if not isinstance(kind, ArrayKind):
                return None
            shape = tuple(itertools.islice(words, kind.ndim))
            return layout(kind.dtype, shape, tuple(itertools.islice(words, kind.ndim)))

        return [take(kind) for kind in self.kinds], take(self.out)

    def add(self, key: Sequence[int]) -> None:
        """Add the entry for a key; raises what is wrong with such a call."""
        layouts, out = self._layouts(key)
        found = self._find(layouts, out, tuple(key[self.key_words - self.more :]))
        result = found.result
        words = [*key, 2 * result.ndim, *result.shape, *result.strides]
        words += [result.nbytes, found.scratch_bytes, found.by_python, result.low, result.high]
        given = [(k, own) for k, own in enumerate(layouts) if own is not None and out is not None]
        words.append(len(given))
        for k, own in given:
            words += [OPERANDS + 2 * k, own.low, own.high, own is out]
        words.append(len(found.launches))
        for prepared, head in found.launches:
            words.append(prepared.address)
            words += [_source(word) for word in (*head, *[NOTHING] * (HEAD_WORDS - len(head)))]
        flat = np.array(words, np.int64)
        _native().add_entry(self.table, flat.ctypes.data)

    def entries(self) -> int:
        """How many calls are in the table."""
        return int(_native().count_entries(self.table))

    def do(self, key: Sequence[int], values: int) -> None:
        """Do a call, writing into its output."""
        layouts, out = self._layouts(key)
        word = ctypes.c_int64 * (OPERANDS + 4 * len(self.kinds))
        words = word.from_address(values)
        operands: list[Any] = []
        for k, (kind, own) in enumerate(zip(self.kinds, layouts, strict=True)):
            if own is not None:
                operands.append(_array_at(words[OPERANDS + 2 * k], own))
            else:  # as it was given, which the dtype of the loop may not hold
                at = values + 8 * (OPERANDS + 2 * (len(self.kinds) + k))
                dtype = np.dtype(kind)
                value = np.frombuffer(ctypes.string_at(at, dtype.itemsize), dtype)[0]
                operands.append(kind(value) if isinstance(kind, type) else value)
        if out is None:
            out = self._find(layouts, None, tuple(key[self.key_words - self.more :])).result
        self._do(operands, _array_at(words[OUTPUT_WORD], out))


class _ElementwiseSite(Site):
    def __init__(self, operation: Operation, kinds: Sequence[ArrayKind | OperandType], out: ArrayKind | None) -> None:
        super().__init__(operation.__name__, kinds, out, 0)
        self.operation = operation

    def _find(self, layouts: Sequence[Layout | None], out: Layout | None, more: tuple[int, ...]) -> _Found:
        kinds: list[Kind] = [
            kind if own is None else own  # type: ignore[misc]
            for kind, own in zip(self.kinds, layouts, strict=True)
        ]
        call = self.operation.find(kinds, (out,))
        refuses = self.operation.refuses_negative
        is_array = refuses is not None and layouts[refuses] is not None  # compiled code looks at scalars by itself
        by_python = is_array and not self.operation.is_decided_by_kinds(call.loop)
        launches = [] if call.prepared is None else [(call.prepared, call.head(range(len(kinds))))]
        return _Found(call.out_layout, launches, by_python=by_python)

    def _do(self, values: Sequence[Any], out: CuArray) -> None:
        self.operation(*values, out=out)


class _ReductionSite(Site):
    def __init__(self, name: str, source: ArrayKind, axes: int | None, keepdims: bool, dtype: np.dtype | None) -> None:
        super().__init__(name, (source,), None, axes or 0)
        self.all_axes = axes is None
        self.keepdims = keepdims
        self.dtype = dtype

    def _find(self, layouts: Sequence[Layout | None], out: Layout | None, more: tuple[int, ...]) -> _Found:
        (source,) = layouts
        assert source is not None
        axis: Any = None if self.all_axes else more
        if source.ndim == 0 and len(more) == 1:
            axis = more[0]  # NumPy lets a 0-d array have one axis, but not a tuple of one
        call = _reduction.find(self.name, source, axis, self.dtype)
        head = [OUTPUT, Word("address", 0), SCRATCH]
        result = call.keep_layout if self.keepdims else call.out_layout
        return _Found(result, [(prepared, head) for prepared in call.prepared], call.scratch_bytes)


def _source(word: Word) -> int:
    if word.what in ("address", "low", "high"):
        return OPERANDS + 2 * word.argument + (word.what == "high")
    return {"constant": _NOTHING, "output": OUTPUT_WORD, "scratch": _SCRATCH}[word.what]


def _array_at(pointer: int, own: Layout) -> CuArray:
    return new(ForeignMemory(pointer, own.nbytes, None, True), pointer, own)


@functools.cache
def elementwise_site(
    operation: Operation, kinds: tuple[ArrayKind | OperandType, ...], out: ArrayKind | None
) -> _ElementwiseSite:
    """The site of an elementwise operation."""
    return _ElementwiseSite(operation, kinds, out)


@functools.cache
def reduction_site(
    name: str, source: ArrayKind, axes: int | None, keepdims: bool, dtype: np.dtype | None
) -> _ReductionSite:
    """The site of a reduction over so many axes (None: all), which are numbers in the key."""
    return _ReductionSite(name, source, axes, keepdims, dtype)


# ---- what C++ calls

_sites: list[Site] = []
_failures = threading.local()


class FailedOperation(Exception):
    """Makes the exception that Python had for this thread's last question."""

    def __new__(cls, *_given: Any) -> Any:
        # A copy that was never raised, as numba makes an exception several times: the traceback of one that is kept
        # would keep arrays.
        error = _failures.error
        made = type(error).__new__(type(error), *error.args)
        made.__dict__.update(error.__dict__)
        for slot in (slot for base in type(error).__mro__ for slot in getattr(base, "__slots__", ())):
            setattr(made, slot, getattr(error, slot))  # NumPy's AxisError has such attributes
        return made


def _answer(number: int, question: int, key: int, values: int, code: int) -> int:
    """Whether it failed: then the thread's exception is kept, for the compiled code to raise."""
    site = _sites[number]
    try:
        if question == _FIND:
            site.add((ctypes.c_int64 * site.key_words).from_address(key)[:])
        elif question == _DO:
            site.do((ctypes.c_int64 * site.key_words).from_address(key)[:], values)
        elif question == _NO_MEMORY:
            raise FailedAllocation((ctypes.c_int64 * OPERANDS).from_address(values)[OUTPUT_WORD], code)
        else:
            _runtime.get().check(code, "cuLaunchKernel", short_name(site.name))
    except BaseException as error:
        error.__cause__ = error.__context__ = None
        _failures.error = error.with_traceback(None)
        return 1
    return 0


_ANSWER = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_size_t, ctypes.c_size_t, ctypes.c_int)(
    _answer
)


@functools.cache
def _native() -> Any:
    native("note_error")  # has the functions for numba defined
    cling.define_once("native_operations", '#include "native_operations.hpp"', "operations for numba")
    functions = cling.interpreter().gbl.ca.native
    functions.set_ask_python(ctypes.cast(_ANSWER, ctypes.c_void_p).value)
    return functions


@functools.cache
def run_operation() -> int:
    """The address of the function that compiled code calls."""
    _native()
    return cling.evaluate("&::ca::native::run_operation", "operations for numba")
