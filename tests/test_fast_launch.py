"""Launches from Python that take the fast way give what the slow way gives, and take it when they can."""

from __future__ import annotations

import contextlib
import ctypes
import enum
import gc
import itertools
import json
import subprocess
import sys
import sysconfig
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process import in_threads, resident

import cuarray as ca
from cuarray import _fast_calls, _runtime
from cuarray._dtypes import DTYPES as ALL_DTYPES
from cuarray._kernel import fast_launch
from cuarray._kernel.kernel import Launcher, as_launch

ROOT = Path(__file__).parent.parent

SOURCE = r"""
template <class T> struct Same { using type = T; };
template <class T> __global__ void store(T* out, typename Same<T>::type value) { out[0] = value; }

__global__ void add(const float* x, const float* y, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = x[i] + y[i];
}
template <class T> __global__ void twice(T* x) { x[threadIdx.x] = T(x[threadIdx.x] + x[threadIdx.x]); }
__global__ void is_null(const float* x, int* out) { out[0] = x == nullptr; }
__global__ void kind(bool, int* out) { out[0] = 1; }
__global__ void kind(long, int* out) { out[0] = 2; }
__global__ void kind(double, int* out) { out[0] = 3; }
__global__ void count(int* total, int step) { atomicAdd(total, step); }
__global__ void extents(int* out) {
  out[0] = gridDim.x, out[1] = gridDim.y, out[2] = gridDim.z, out[3] = blockDim.x;
  out[4] = blockDim.y, out[5] = blockDim.z;
}
template <class... T> __global__ void ones(int* n, T*... arrays) { ((arrays[0] = T(1)), ...); }
__global__ void total(double* out, double a, double b) { out[0] = a + b; }
__global__ void nothing() {}
"""

EDGES = [0, 1, 2, -1, 77, 127, 128, 255, 256, 2**15, 2**16 - 1, 2**24 + 1, 2**31 - 1, 2**31, 2**32 - 1, -(2**31)]
EDGES += [2**53 + 1, 2**54 + 2**30 + 1, 2**63 - 1, 2**63, 2**64 - 1, 2**64, -(2**63), -(2**63) - 1, 10**400]
FLOATS = [0.0, -0.0, 0.1, -2.5, 65504.0, 65519.9, 65520.0, 3.4e38, 3.5e38, 1e-8, 1e-45, 1e308, 5e-324, np.inf, -np.inf]
FLOATS += [1.00048828125, 1.0004882812500002, np.nan]  # halfway between two float16, and just above
COMPLEX = [0j, 1 + 2j, -0.1 + 3.5e38j, complex(np.inf, np.nan), 1e308 - 1e-300j]


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    if fast_launch.functions() is None:
        pytest.skip("there is only the slow way in this Python")
    return ca.cudadef(SOURCE, name="test_fast_launch")


@pytest.fixture
def slow_calls(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The arguments of each launch that takes the slow way."""
    calls: list[tuple[Any, ...]] = []
    slow = Launcher.__call__

    def recorded(self: Launcher, *values: Any, **names: Any) -> None:
        calls.append(values)
        slow(self, *values, **names)

    monkeypatch.setattr(Launcher, "__call__", recorded)
    return calls


def instances(kernel: ca.Kernel) -> list[Any]:
    return list(kernel._by_kinds.values())


@pytest.fixture
def replace_launcher() -> Iterator[Callable[[ca.Kernel, Callable[..., int]], None]]:
    """Replaces the launcher of a kernel's instances by a function of Python, which gets cuLaunchKernel's arguments."""
    prototype = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *[ctypes.c_uint] * 7, *[ctypes.c_void_p] * 3)
    replaced: list[tuple[Any, int, Any]] = []

    def replace(kernel: ca.Kernel, function: Callable[..., int]) -> None:
        compiled = prototype(function)
        for instance in instances(kernel):
            replaced.append((instance.record, int(instance.record[0]), compiled))
            instance.record[0] = ctypes.cast(compiled, ctypes.c_void_p).value

    yield replace
    for record, launcher, _ in reversed(replaced):
        record[0] = launcher


_NUMPY_WARNINGS = (RuntimeWarning, np.exceptions.ComplexWarning)


def outcome(call: Callable[[], Any], out: ca.CuArray) -> Any:
    """The bytes that a launch leaves in `out`, and NumPy's warnings; or its exception, in words."""
    out[...] = 5
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            call()
        except Exception as error:
            return type(error), str(error)
    # NumPy's only: what the garbage collector has to say of earlier tests can come at any moment.
    warned = [str(warning.message) for warning in said if issubclass(warning.category, _NUMPY_WARNINGS)]
    return np.asarray(out).tobytes(), warned


# ---- every kind of argument


def scalars_of(source: type) -> list[Any]:
    if source is bool or source is np.bool_:
        return [source(True), source(False)]
    if source is int:
        return EDGES
    if source is float:
        return FLOATS
    if source is complex:
        return [*COMPLEX, 0.5 + 0j]
    dtype = np.dtype(source)
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return [source(value) for value in EDGES if limits.min <= value <= limits.max]
    with np.errstate(all="ignore"):
        return [source(value) for value in (FLOATS if dtype.kind == "f" else COMPLEX)]


DTYPES = [dtype for dtype in ALL_DTYPES if dtype.isbuiltin == 1]  # a bfloat16 is packed by the slow way
SOURCES = [bool, int, float, complex, *(dtype.type for dtype in DTYPES), np.longlong, np.ulonglong]


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_scalars_are_converted_as_the_slow_way_does(mod: ca.Module, slow_calls: list[Any], dtype: np.dtype) -> None:
    kernel = mod.store[dtype]
    fast, slow = kernel[1, 1], Launcher(kernel, as_launch("store", (1, 1)))
    out = ca.zeros(1, dtype)
    for source in SOURCES:
        values = scalars_of(source)
        expected = [outcome(lambda value=value: slow(out, value), out) for value in values]
        slow_calls.clear()
        results = [outcome(lambda value=value: fast(out, value), out) for value in values]
        for value, result, wanted in zip(values, results, expected, strict=True):
            assert result == wanted, (source, value)
        # Slow are those alone that raise or warn, and integers of more than 64 bits.
        unusual = [v for v, e in zip(values, expected, strict=True) if isinstance(e[0], type) or e[1]]
        if source is int and dtype != "uint64":
            unusual += [value for value in values if not -(2**63) <= value < 2**63]
        passed_on = [call[1] for call in slow_calls]
        assert [v for v in passed_on if not any(v is other for other in unusual)] == [], (source, unusual)


@given(value=st.one_of(st.integers(-(2**70), 2**70), st.integers(-300, 300), st.floats(), st.floats(width=16)))
@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int16", "uint64", "complex64", "bool"])
def test_numbers_of_python(mod: ca.Module, dtype: str, value: int | float) -> None:
    out = ca.zeros(1, dtype)
    slow = Launcher(mod.store, as_launch("store", (1, 1)))
    expected = outcome(lambda: slow(out, value), out)
    assert outcome(lambda: mod.store[1, 1](out, value), out) == expected


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_arrays_of_every_dtype(mod: ca.Module, slow_calls: list[Any], dtype: np.dtype) -> None:
    for _ in range(3):
        x = ca.ones(4, dtype)
        mod.twice[1, 4](x)
        np.testing.assert_array_equal(np.asarray(x), np.full(4, 2, dtype))
    assert len(slow_calls) <= 1


def test_views_and_other_shapes_are_of_the_same_kind(mod: ca.Module, slow_calls: list[Any]) -> None:
    mod.twice[1, 2](ca.ones(2))
    slow_calls.clear()
    x = ca.ones((3, 4))
    mod.twice[1, 2](x[1:])
    mod.twice[1, 3](x[2, 1:])
    mod.twice[1, 3](x.T)
    expected = np.ones((3, 4))
    expected[1, :2] *= 2
    expected[2, 1:4] *= 2
    expected[0, :3] *= 2
    np.testing.assert_array_equal(np.asarray(x), expected)
    assert not slow_calls


def test_none_is_a_null_pointer(mod: ca.Module, slow_calls: list[Any]) -> None:
    x, out = ca.ones(1, "float32"), ca.zeros(1, "int32")
    for array, expected in [(None, 1), (x, 0)] * 3:
        mod.is_null[1, 1](array, out)
        assert out.tolist() == [expected]
    assert len(slow_calls) == 2


def test_bool_int_and_float_stay_apart(mod: ca.Module, slow_calls: list[Any]) -> None:
    class Number(enum.IntEnum):
        two = 2

    class Real(float):
        pass

    out = ca.zeros(1, "int32")
    for _ in range(3):
        for value, expected in [(True, 1), (1, 2), (1.0, 3), (np.True_, 1), (np.int64(1), 2), (np.float64(1), 3)]:
            mod.kind[1, 1](value, out)
            assert out.tolist() == [expected], value
    assert len(slow_calls) == 6
    for value, expected in [(Number.two, 2), (Real(1), 3), (Number.two, 2), (Real(1), 3)]:
        mod.kind[1, 1](value, out)
        assert out.tolist() == [expected], value
    assert len(slow_calls) == 10  # of a subclass nothing is known


def test_read_only_arrays(mod: ca.Module, slow_calls: list[Any]) -> None:
    x, out = ca.ones(4, "float32"), ca.zeros(4, "float32")
    constant = ca.broadcast_to(x, (1, 4))
    for _ in range(3):
        mod.add[1, 4](x, x, out)
        mod.add[1, 4](constant, constant, out)
        with pytest.raises(TypeError, match="const"):
            mod.add[1, 4](x, x, constant)
    assert out.tolist() == [2] * 4
    assert x.tolist() == [1] * 4
    assert len(slow_calls) == 5


@pytest.mark.parametrize(
    ("values", "error", "match"),
    [
        (lambda x: (x, x), TypeError, "takes 3 arguments, 2 were given"),
        (lambda x: (x, x, x, x), TypeError, "takes 3 arguments, 4 were given"),
        (lambda x: (), TypeError, "takes 3 arguments, 0 were given"),
        (lambda x: (x, x, 3.0), TypeError, "argument out must be an array"),
        (lambda x: (x, x, ca.ones(4)), TypeError, "no instance takes"),
        (lambda x: (x, x, "out"), TypeError, "not an object of type str"),
    ],
)
def test_wrong_arguments_after_right_ones(mod: ca.Module, values, error: type[Exception], match: str) -> None:
    x, out = ca.ones(4, "float32"), ca.zeros(4, "float32")
    launcher = mod.add[1, 4]
    for _ in range(3):
        launcher(x, x, out)
        with pytest.raises(error, match=match):
            launcher(*values(x))
    with pytest.raises(TypeError, match="keyword"):
        launcher(x, x, out=out)
    assert out.tolist() == [2] * 4


def test_arrays_of_other_libraries_take_the_slow_way(mod: ca.Module, slow_calls: list[Any]) -> None:
    class Foreign:
        """An array that is launched on while it is looked at."""

        def __init__(self) -> None:
            self.array = ca.ones(4, "float32")

        def __dlpack_device__(self) -> Any:
            return self.array.__dlpack_device__()

        def __dlpack__(self, **request: Any) -> Any:
            mod.twice[1, 4](self.array)
            return self.array.__dlpack__(**request)

    foreign, out = Foreign(), ca.zeros(4, "float32")
    for expected in (4, 8, 16):
        mod.add[1, 4](foreign, ca.zeros(4, "float32"), out)
        assert out.tolist() == [expected // 2] * 4
    assert sum(any(argument is foreign for argument in call) for call in slow_calls) == 3


def test_kernels_with_no_and_with_many_arguments(mod: ca.Module, slow_calls: list[Any]) -> None:
    for _ in range(3):
        mod.nothing[1, 1]()
    assert len(slow_calls) == 1
    for count, expected in [(40, 1), (70, 3)]:  # more than a pattern holds is slow
        slow_calls.clear()
        for _ in range(3):
            arrays = [ca.zeros(1, "float32") for _ in range(count)]
            mod.ones[1, 1](ca.zeros(1, "int32"), *arrays)
            assert sum(float(x[0]) for x in arrays) == count
        assert len(slow_calls) == expected


def test_more_patterns_than_are_kept(mod: ca.Module, slow_calls: list[Any]) -> None:
    kinds = [int, float, bool, *(dtype.type for dtype in DTYPES if dtype.kind != "c")]
    pairs = list(itertools.product(kinds, kinds))[:80]
    out = ca.zeros(1)
    for _ in range(2):
        slow_calls.clear()
        for one, other in pairs:
            mod.total[1, 1](out, one(1), other(1))
            assert out.item() == 2
    assert len(slow_calls) == 80 - 64


# ---- launchers


def test_launchers_are_remembered_by_what_they_mean(mod: ca.Module) -> None:
    kernel = mod.extents
    assert kernel[2, 3] is kernel[2, 3] is mod.extents[2, 3]
    assert kernel[(2, 1), (3,)] is kernel[(2, 1), (3,)]
    out = ca.zeros(6, "int32")
    for key, expected in [
        ((2, 3), [2, 1, 1, 3, 1, 1]),
        (((2, 3), (4, 5)), [2, 3, 1, 4, 5, 1]),
        (((2, 3, 4), 5, None, 16), [2, 3, 4, 5, 1, 1]),
        (([2, 3], [4]), [2, 3, 1, 4, 1, 1]),
        ((np.int64(2), np.int32(3)), [2, 1, 1, 3, 1, 1]),
        ((True, 3), [1, 1, 1, 3, 1, 1]),
    ]:
        for _ in range(2):
            out[...] = 0
            kernel[key](out)
            assert out.tolist() == expected
    for _ in range(2):
        for key in ["double", float, np.float64, ("double",), np.dtype("float64")]:
            assert mod.twice[key][1, 2] is mod.twice.template("double")[1, 2]
        assert mod.twice["long"] is not mod.twice["double"]
    with pytest.raises(TypeError):
        kernel[2.0, 3]  # equal to what is remembered, but no launch
    with pytest.raises(ca.LaunchError, match=r"grid\.x is 0"):
        kernel[0, 3]


def test_launchers_are_not_remembered_without_end(mod: ca.Module) -> None:
    for grid in range(1, 3000):
        launcher = mod.nothing[grid, 1]
    assert launcher is mod.nothing[2999, 1]
    (launchers,) = (held for held in gc.get_referents(mod.nothing._calls) if isinstance(held, dict))
    assert 0 < len(launchers) <= 1024


def test_a_pattern_serves_every_launcher(mod: ca.Module, slow_calls: list[Any]) -> None:
    total = ca.zeros(1, "int32")
    for grid in range(1, 20):
        mod.count[grid, 2](total, 1)
    assert total.tolist() == [19 * 20]
    assert len(slow_calls) <= 1


def test_launchers_look_like_pythons(mod: ca.Module) -> None:
    launcher = mod.add[(2, 3), 4]
    assert repr(launcher) == f"<launch of {mod.add!r} on grid (2, 3, 1), block (4, 1, 1)>"
    assert launcher.kernel is mod.add
    assert launcher.launch[:4] == ((2, 3, 1), (4, 1, 1), 0, 0)
    assert isinstance(launcher, Launcher)
    assert callable(launcher)
    with pytest.raises(AttributeError, match="nothing"):
        _ = launcher.nothing
    assert type(launcher) is not Launcher
    with pytest.raises(TypeError, match="cannot create"):
        type(launcher)()


def test_kernels_are_attributes_that_hide_none(mod: ca.Module) -> None:
    assert vars(mod)["add"] is mod.add
    other = ca.cudadef("__global__ void source() {} __global__ void load() {} __global__ void mine() {}")
    assert isinstance(other.source, str)
    assert not isinstance(other.load, ca.Kernel)
    assert dir(other).count("mine") == 1
    assert [kernel.__name__ for kernel in other] == ["source", "load", "mine"]


# ---- what the launcher is given, and what it returns


def test_what_the_launcher_gets(mod: ca.Module, replace_launcher: Any) -> None:
    seen: list[tuple[Any, ...]] = []

    def launch(function: int, *rest: Any) -> int:
        *extents, stream, params, extra = rest
        slots = (ctypes.c_void_p * 2).from_address(params)
        pointer = ctypes.c_void_p.from_address(slots[0]).value
        seen.append((function, extents, stream, pointer, ctypes.c_int.from_address(slots[1]).value, extra))
        return 0

    total = ca.zeros(1, "int32")
    mod.count[1, 1](total, 1)
    (instance,) = instances(mod.count)
    replace_launcher(mod.count, launch)
    runtime = _runtime.get()
    try:
        mod.count[(2, 3, 4), (5, 6, 7), None, 100](total, -8)
        runtime.stream = 0x1234
        mod.count[2, 3](total, 9)
        mod.count[2, 3, 0x77](total, 9)
    finally:
        runtime.stream = 0
    pointer = total.pointer
    assert seen == [
        (instance.function.handle, [2, 3, 4, 5, 6, 7, 100], None, pointer, -8, None),
        (instance.function.handle, [2, 1, 1, 3, 1, 1, 0], 0x1234, pointer, 9, None),
        (instance.function.handle, [2, 1, 1, 3, 1, 1, 0], 0x77, pointer, 9, None),
    ]


def test_the_function_may_change(mod: ca.Module, replace_launcher: Any) -> None:
    functions: list[int] = []
    x = ca.ones(1, "float32")
    mod.twice[1, 1](x)
    replace_launcher(mod.twice, lambda function, *rest: functions.append(function) or 0)
    found = [instance for instance in instances(mod.twice) if instance.name == "twice<float>"]
    before = int(found[0].record[1])
    mod.twice[1, 1](x)
    found[0].record[1] = 4711
    mod.twice[1, 1](x)
    found[0].record[1] = before
    mod.twice[1, 1](x)
    assert functions == [before, 4711, before]


def test_failed_launches(mod: ca.Module, replace_launcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y, out = (ca.ones(4, "float32") for _ in range(3))
    mod.add[1, 4](x, y, out)
    replace_launcher(mod.add, lambda *arguments: 1)
    counts = [sys.getrefcount(value) for value in (x, y, out)]
    for _ in range(10):
        with pytest.raises(ca.LaunchError, match="cuLaunchKernel of kernel add failed: CUDA_ERROR_INVALID_VALUE"):
            mod.add[1, 4](x, y, out)
    assert [sys.getrefcount(value) for value in (x, y, out)] == counts
    # A runtime may see a reason to try again, and then nothing has happened.
    given: list[int] = []
    monkeypatch.setattr(
        _runtime.get(), "launch_failed", lambda result, kernel, again: given.extend((result, again())), raising=True
    )
    out[...] = 0
    mod.add[1, 4](x, y, out)
    assert given == [1, 0]
    assert out.tolist() == [2] * 4


# ---- memory and threads


def test_a_million_launches_leak_nothing(mod: ca.Module) -> None:
    total, x, out = ca.zeros(1, "int32"), ca.ones(4, "float32"), ca.zeros(4, "float32")
    step, large = 3, 2**40
    values = (total, x, out, step, large, mod.count, mod.count[1, 1], 2.5, np.float32, x._layout)
    kept = mod.store[1, 1]

    def launch(times: int) -> None:
        wide = ca.zeros(1, "int64")
        for _ in range(times):
            mod.count[1, 1](total, step)
            kept(wide, large)
            mod.add[1, 4](x, x, out)
            kept(out, 2.5)
            with contextlib.suppress(OverflowError):
                mod.count[1, 1](total, large)

    launch(1000)
    gc.collect()
    ca.cuda.synchronize()
    counts, memory = [sys.getrefcount(value) for value in values], resident()
    for _ in range(1_000_000):
        mod.count[1, 1](total, step)
    launch(5000)
    ca.cuda.synchronize()
    assert [sys.getrefcount(value) for value in values] == counts
    assert resident() - memory < 2**22  # 4 bytes a launch
    assert total.tolist() == [3 * 1_006_000]


def test_launchers_die_with_their_kernel() -> None:
    mod = ca.cudadef("template <class T> __global__ void dying(T* x) { x[0] = 1; }")
    x = ca.zeros(1)
    kernel = mod.dying
    kernel[1, 1](x)
    template = kernel["double"]
    template[1, 1](x)
    alive = [weakref.ref(held) for held in (mod, kernel, template)]
    launcher = kernel[1, 1]
    del mod, kernel, template
    gc.collect()
    x[...] = 0
    launcher(x)  # it keeps what it needs
    assert x.tolist() == [1]
    assert [ref() is None for ref in alive] == [False, False, False]
    del launcher
    gc.collect()
    assert [ref() is None for ref in alive] == [True, True, True]


def test_threads(mod: ca.Module) -> None:
    """Threads meet in new patterns, new launchers and launches."""
    module = ca.cudadef("template <class T> __global__ void tally(T* total, T step) { atomicAdd(total, step); }")
    kinds = ["int32", "uint32", "float32", "float64"]
    totals = [ca.zeros(1, kind) for kind in kinds]

    def work(number: int) -> None:
        for k in range(400):
            module.tally[1 + (k + number) % 7, 1](totals[(number + k) % 4], 1)

    in_threads(8, work)
    expected = [0.0] * 4
    for number, k in itertools.product(range(8), range(400)):
        expected[(number + k) % 4] += 1 + (k + number) % 7
    assert [total.item() for total in totals] == expected


def test_other_threads_run_during_a_launch(mod: ca.Module, replace_launcher: Any) -> None:
    x, out = ca.ones(4, "float32"), ca.zeros(4, "float32")
    mod.add[1, 4](x, x, out)
    inside, answered = threading.Event(), threading.Event()

    def launch(*arguments: Any) -> int:
        inside.set()
        return 0 if answered.wait(60) else 1

    replace_launcher(mod.add, launch)
    results: list[bool] = []
    thread = threading.Thread(target=lambda: results.append(mod.add[1, 4](x, x, out) is None))
    thread.start()
    assert inside.wait(60)
    answered.set()
    thread.join()
    assert results == [True]


# ---- where it runs


def test_without_the_fast_way(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fast_launch, "functions", lambda: None)
    mod = ca.cudadef("__global__ void plain(int* x, int step) { x[0] += step; }")
    x = ca.zeros(1, "int32")
    for _ in range(3):
        mod.plain[1, 1](x, 2)
    assert x.tolist() == [6]
    assert type(mod.plain[1, 1]) is Launcher


def test_offsets_are_looked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    array = ca.ones(3)
    found = _fast_calls.find_offsets()
    assert found is not None
    names = ("_pointer", "_layout", "_memory", "_base", "_writeable")
    for owner, name, offset in zip((*[array] * len(names), array._layout), (*names, "dtype"), found, strict=False):
        assert ctypes.c_void_p.from_address(id(owner) + offset).value == id(getattr(owner, name))

    class InDictionary:
        pass

    monkeypatch.setattr(_fast_calls, "Layout", InDictionary)
    assert _fast_calls.find_offsets() is None


def test_no_fast_way_without_the_gil(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_fast_calls.sysconfig, "get_config_var", lambda name: name == "Py_GIL_DISABLED")
    assert _fast_calls.find_offsets() is None


PYTHON_H = """
import sysconfig
import cppyy
cppyy.add_include_path(sysconfig.get_paths()["include"])
include = lambda: cppyy.cppdef("#include <Python.h>\\nlong size_of(PyObject* x) {{ return PyObject_Size(x); }}")
if {first}:
    include()
import cuarray as ca
mod = ca.cudadef("__global__ void f(int* x, float y) {{ x[0] += y; }}")
x = ca.zeros(1, "int32")
for _ in range(3):
    mod.f[1, 1](x, 2)
if not {first}:
    include()
mod.f[1, 1](x, 2.0)
mod.f[1, 1](x, 2.0)
assert x.tolist() == [10] and cppyy.gbl.size_of([1, 2, 3]) == 3
assert type(mod.f[1, 1]) is not mod.f[1, 1].__class__, "the fast way was not taken"
"""


def run_python(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=250, cwd=ROOT)


@pytest.mark.parametrize("first", [True, False])
def test_beside_pythons_own_header(first: bool) -> None:
    if not (Path(sysconfig.get_paths()["include"]) / "Python.h").exists():
        pytest.skip("Python.h is not installed")
    result = run_python("-c", PYTHON_H.format(first=first))
    assert result.returncode == 0, result.stderr


EXIT = """
import threading, time
import cuarray as ca
mod = ca.cudadef("__global__ void f(float* x) { for (int i = 0; i < 2000; ++i) x[threadIdx.x] += 1; }")
x = ca.zeros(32, "float32")
def work():
    while True:
        mod.f[1, 32](x)
        started.set()
for _ in range(3):
    started = threading.Event()
    threading.Thread(target=work, daemon=True).start()
    started.wait()
"""


def test_python_ends_while_daemon_threads_launch() -> None:
    result = run_python("-c", EXIT)
    assert result.returncode == 0, result.stderr


def test_the_benchmark(tmp_path: Path) -> None:
    file = tmp_path / "launch.json"
    result = run_python("-m", "benchmarks.launch", "--rounds", "2", "--json", str(file))
    assert result.returncode == 0, result.stderr
    results = json.loads(file.read_text())
    rows = {row["way"]: row["median_s"] for row in results["rows"]}
    assert all(time > 0 for time in rows.values())
    ratio = results["ratios"]["cuarray in njit / entry point in njit"]
    assert ratio == rows["cuarray in njit"] / rows["entry point in njit"]
    assert "| cuarray |" in result.stdout
