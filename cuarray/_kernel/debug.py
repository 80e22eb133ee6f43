"""`cuarray.debug`: kernels launched on the host with every access, barrier and result checked.

An instance is compiled a second time, from the text as instrument.py rewrites it, in namespaces of its own: the twins
of its module's namespace and of those that this uses. The arguments' bytes are the same for both.
"""

from __future__ import annotations

import ctypes
import functools
import re
import threading
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.lib.array_utils import byte_bounds

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._errors import CompileError, CudaError, DebugError
from cuarray._kernel import definitions, fast_launch
from cuarray._kernel.instrument import instrument
from cuarray._runtime import cling, glue

if TYPE_CHECKING:
    from cuarray._kernel.instance import Instance
    from cuarray._kernel.launch import Launch

_KINDS = ("", "bounds", "barriers", "races", "nan", "division")  # as ca::debug::Kind


class Checks(NamedTuple):
    """What is checked, in the order of the bits of ca::debug."""

    bounds: bool = True
    barriers: bool = True
    races: bool = True
    nan: bool = True


class debug:
    """Check what kernels do: ``with ca.debug(): ...``; or ``ca.debug(True)``, and ``ca.debug(False)`` to end it.

    In this mode, on the host backend, a launch of a kernel from Python raises `DebugError`, with the kernel, the block,
    the thread and the line, for

    - bounds: an element outside the array, `ca::view`, `ca::span` or shared array that it is looked up in, a null
      pointer, an address where no memory is;
    - barriers: a barrier that only a part of the block reaches, or that its threads reach on different lines;
    - races: shared memory that one thread writes and another one uses with no barrier between. Atomics and volatile
      accesses are left out, what lies before and after a fence, an atomicCAS or an atomicExch (locks are made of
      them), and writing the value that is already there;
    - nan: an operation that makes a NaN from other values (on x86-64), and always integer division by zero.

    Kernels are compiled once more for it, without optimisation, and run on one core: this is for small inputs. Launches
    from `njit` functions and those that are captured in a graph run as ever. The mode is the process's;
    ``CUARRAY_DEBUG=1`` in the environment begins with it. On the CUDA backend launches raise CudaError.

    >>> mod = ca.cudadef("__global__ void twice(float* x) { x[threadIdx.x] *= 2; }", name="cell")  # doctest: +SKIP
    >>> with ca.debug():  # doctest: +SKIP
    ...     mod.twice[1, 32](ca.ones(8, "float32"))
    cuarray.DebugError: twice: out of bounds: x[8] of 8 elements, in block (0, 0, 0), thread (8, 0, 0), at cell:1: ...
    """

    def __init__(
        self,
        enabled: bool | None = None,
        *,
        bounds: bool = True,
        barriers: bool = True,
        races: bool = True,
        nan: bool = True,
    ) -> None:
        if not (enabled is None or isinstance(enabled, bool)):
            raise TypeError(f"enabled must be True or False, not {enabled!r}")
        self._checks = Checks(*map(bool, (bounds, barriers, races, nan))) if enabled in (None, True) else None
        self._before: list[Checks | None] = []
        self._found = _mode.checks
        if enabled is not None:
            _mode.set(self._checks)

    def __enter__(self) -> debug:
        self._before.append(self._found)
        self._found = self._checks
        _mode.set(self._checks)
        return self

    def __exit__(self, *_: object) -> None:
        _mode.set(self._before.pop())

    def __repr__(self) -> str:
        return f"<debug: {self._checks}>"


class _Mode:
    """Whether launches are checked; those that were made before must then ask, too."""

    def __init__(self) -> None:
        self.checks: Checks | None = Checks() if _runtime.debug_requested() else None

    def set(self, checks: Checks | None) -> None:
        self.checks = checks
        fast_launch.allow(checks is None)


_mode = _Mode()


def current() -> Checks | None:
    """What launches are to check; None outside the mode."""
    return _mode.checks


class _Report(ctypes.Structure):
    """ca::debug::Report."""

    _fields_ = [
        ("kind", ctypes.c_int),
        ("line", ctypes.c_int),
        ("block", ctypes.c_uint * 3),
        ("thread", ctypes.c_uint * 3),
        ("other_thread", ctypes.c_uint * 3),
        ("other_line", ctypes.c_int),
        ("file", ctypes.c_char * 256),
        ("text", ctypes.c_char * 512),
    ]


class _Twin(NamedTuple):
    """An instrumented instance."""

    function: int  # for the launcher of debug.hpp
    variables: tuple[tuple[int, int, int], ...]  # of the module: address, the twin's address, bytes
    level: int  # how much had to be left out: an index of LEVELS


# What of the instrumentation there is, best first. A source that does not compile with one is tried with the next.
LEVELS = ("full", "statements", "nothing")


# ---- the twins


def _text(definition: definitions.Definition, level: int) -> str:
    """A definition as the twin has it."""
    text = definition.device_text
    if not definition.namespace:
        return ""
    if LEVELS[level] != "nothing":
        text = instrument(text, statements_only=LEVELS[level] == "statements")
    return _twin_names(text, level)


def _twin_names(text: str, level: int) -> str:
    return re.sub(r"\bcuarray_module_(?=[0-9a-f]{16}\b)", f"cuarray_debug{level}_", text)


@functools.cache
def _view_twins() -> str:
    """`ca::view` and `ca::span` that always check: the header itself, in another namespace."""
    text = (cling.KERNELS / "view.cuh").read_text()
    text = re.sub(r"^#pragma once\n|^#include.*\n", "", text, flags=re.MULTILINE)
    text = re.sub(r"^#if defined\(CA_DEBUG_BOUNDS\)\n#if CA_ON_DEVICE.*?^#endif\n#endif\n", "", text, flags=re.M | re.S)
    text = text.replace("namespace ca {", "namespace ca::debug {", 1)
    return f"#define CA_DEBUG_BOUNDS\n{text}#undef CA_DEBUG_BOUNDS\n"


_PRELUDE = """
#undef __syncthreads
#define __syncthreads ::ca::debug::barrier
#define CA_AT ::ca::debug::at();
#define __threadfence() (::ca::debug::fence(), __threadfence())
#define __threadfence_block() (::ca::debug::fence(), __threadfence_block())
#define atomicCAS(...) (::ca::debug::fence(), atomicCAS(__VA_ARGS__))
#define atomicExch(...) (::ca::debug::fence(), atomicExch(__VA_ARGS__))
#pragma clang optimize off
"""
_EPILOGUE = """
#pragma clang optimize on
#undef CA_AT
#undef __threadfence
#undef __threadfence_block
#undef atomicCAS
#undef atomicExch
"""


def _define_twin(definition: definitions.Definition, level: int) -> None:
    needed = (*definition.needs, definition)
    cling.define_once("debug", '#include "host/debug.hpp"', "the debugging mode")
    cling.define_once("debug views", cling.as_kernel_source(_view_twins()), "the debugging mode")
    for each in needed:
        if not each.namespace:
            continue
        namespace = _twin_names(each.namespace, level)
        # Found before ::ca, as the namespace is within this one.
        views = (
            f"namespace {namespace} {{ namespace ca {{ using namespace ::ca; "
            "using ::ca::debug::view; using ::ca::debug::span; } }\n"
        )
        if each.link:  # a Python function: as it is
            text = f"namespace {namespace} {{ using namespace ::{each.namespace}; }}\n"
        else:
            text = f"{_PRELUDE}{views}{_text(each, level)}{_EPILOGUE}"
        cling.define_once(namespace, cling.as_kernel_source(text), each.name)


_twins: dict[tuple[str, str], _Twin] = {}
_refused: set[tuple[str, int]] = set()


def twin(definition: definitions.Definition, expression: str) -> _Twin:
    """The instrumented twin of an instance; compiled if it was not yet."""
    key = definition.namespace, expression
    with cling.lock:
        found = _twins.get(key)
        if found is None:
            found = _twins[key] = _make_twin(definition, expression)
    return found


def _make_twin(definition: definitions.Definition, expression: str) -> _Twin:
    error: CompileError | None = None
    for level in range(len(LEVELS)):
        if (definition.namespace, level) in _refused:
            continue
        namespace = _twin_names(definition.namespace, level)
        try:
            _define_twin(definition, level)
        except CompileError as refused:
            _refused.add((definition.namespace, level))
            error = refused
            continue
        name = _twin_names(expression, level)
        aliases = "".join(
            f"namespace {namespace} {{ using {alias} = ::{definition.namespace}::{alias}; }}\n"
            for alias in dict.fromkeys(re.findall(r"\bca_type_\d+\b", name))
        )
        try:
            function = cling.evaluate(
                f"&::ca::debug::thunk<{name}>::run_threads", f"kernel {expression}", aliases, namespace
            )
        except CompileError as refused:
            error = refused
            continue
        if error is not None:
            left_out = (
                "races, bounds of pointers and arrays" if LEVELS[level] == "statements" else "races, bounds, lines"
            )
            warnings.warn(
                f"cuarray.debug does not check all of {expression.rpartition('::')[2]} ({left_out} are left out): "
                f"what it makes of the source is refused by the compiler: {error}",
                RuntimeWarning,
                stacklevel=2,
            )
        return _Twin(function, _variables(definition, level), level)
    assert error is not None
    raise error


def _variables(definition: definitions.Definition, level: int) -> tuple[tuple[int, int, int], ...]:
    assert definition.source is not None
    found = []
    for path in definition.source.variables:
        name = path.removeprefix("&")
        if not name.startswith("cuarray_module_"):
            continue
        theirs = _twin_names(name, level)
        what = f"variable {name}"
        address, other, size = (cling.evaluate(e, what) for e in (f"&{name}", f"&{theirs}", f"sizeof({name})"))
        found.append((address, other, size))
    return tuple(found)


# ---- launches


class _Native(NamedTuple):
    launcher: int
    prepare: Any


@functools.cache
def _native() -> _Native:
    what = "the debugging mode"
    signature = ctypes.CFUNCTYPE(ctypes.c_ulong, ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)
    return _Native(
        cling.evaluate("&::ca::debug::launch", what), signature(cling.evaluate("&::ca::debug::prepare", what))
    )


def _range(value: Any) -> tuple[int, int, int]:
    """Whether an argument is an array, and the addresses of its first byte and past its last."""
    if isinstance(value, CuArray):
        low, high = value._layout.low, value._layout.high
        return 1, value._pointer + low, value._pointer + high
    if isinstance(value, np.ndarray):
        low, high = byte_bounds(value) if value.size else (value.ctypes.data,) * 2
        return 1, low, high
    return 0, 0, 0


def is_captured(launch: Launch) -> bool:
    """Whether a launch only becomes a part of a graph."""
    runtime = _runtime.get()
    return (launch.stream or runtime.stream) in runtime.captures


def launch(
    checks: Checks,
    definition: definitions.Definition,
    kernel: str,
    instance: Instance,
    launch: Launch,
    values: Sequence[Any],
) -> None:
    """Launch the instrumented twin of an instance; DebugError for what it does wrong."""
    runtime = _runtime.get()
    if not runtime.host_is_device:
        raise CudaError(
            "cuarray.debug checks kernels on the CPU: start the process with CUARRAY_BACKEND=host, or leave the mode"
        )
    found = twin(definition, instance.expression)
    native = _native()
    slots = instance.pack(values)
    ranges = [_range(value) for value in values]
    words = (ctypes.c_uint64 * (3 * len(ranges) + 1))(*(word for words in ranges for word in words))
    bits = sum(1 << k for k, check in enumerate(checks) if check)
    buffer = (ctypes.c_char * instance.slot_bytes).from_buffer(slots)
    record = glue.make_record(
        native.launcher, found.function, launch.grid, launch.block, launch.shared, instance.offsets
    )
    with _variables_lock:
        for address, theirs, size in found.variables:
            ctypes.memmove(theirs, address, size)
        report_address = native.prepare(bits, len(ranges), words)
        result = runtime.launch_user(record.ctypes.data, 0, ctypes.addressof(buffer))
        report = _Report.from_buffer_copy(_Report.from_address(report_address))
        for address, theirs, size in found.variables:
            ctypes.memmove(address, theirs, size)
    if report.kind:
        raise _error(definition, kernel, report)
    if result:
        runtime.check(result, "cuLaunchKernel", kernel)


_variables_lock = threading.Lock()


def _error(definition: definitions.Definition, kernel: str, report: _Report) -> DebugError:
    file, line = report.file.decode(errors="replace"), report.line
    block, thread, other = (tuple(index) for index in (report.block, report.thread, report.other_thread))
    source = _source_line(definition, file, line)
    return DebugError(
        f"{kernel}: {report.text.decode(errors='replace')}, in block {block}, thread {thread}, at {file}:{line}"
        f"{': ' + source if source else ''}",
        _KINDS[report.kind],
        kernel,
        block,
        thread,
        file,
        line,
        other if report.other_line else None,
        report.other_line or None,
    )


def _source_line(definition: definitions.Definition, file: str, line: int) -> str:
    found = ""
    for each in (*definition.needs, definition):
        for name, number, text in _numbered(each.device_text):
            if number == line and name == file:
                found = text.strip()  # what was put before it has a #line after it
    return found


def _numbered(text: str) -> Iterator[tuple[str, int, str]]:
    """The lines of a text with the file and line that its #line directives give them."""
    name, number = "", 0
    for line in text.split("\n"):
        marker = re.match(r'#line (\d+) "(.*)"', line)
        if marker:
            name, number = marker[2], int(marker[1])
        else:
            yield name, number, line
            number += 1
