"""Arrays in numba.njit functions, on whichever backend runs."""

from __future__ import annotations

import gc
import sys
import threading
import weakref
from collections import namedtuple

import cppyy
import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from njit_kernels import SOURCE
from process import resident
from strategies import Pair as Arrays
from strategies import pairs

import cuarray as ca
from cuarray import _runtime
from cuarray._array import new
from cuarray._dtypes import DTYPES
from cuarray._runtime import ForeignMemory


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="test_njit")


def used() -> int:
    gc.collect()
    return ca.cuda.memory_info().used


# ---- arrays


@numba.njit
def attributes(x):
    return x.shape, x.size, x.ndim, x.strides, x.itemsize, x.nbytes


@numba.njit
def length(x):
    return len(x)


def test_functions_of_arrays_of_both_kinds() -> None:
    @numba.njit
    def first(x):
        return x.shape[0]

    for kinds in ((ca, np), (np, ca)):
        dtype = "float32" if kinds[0] is ca else "float64"
        for _ in range(3):
            assert [first(kind.ones(n, dtype)) for n, kind in enumerate(kinds, 3)] == [3, 4]


def test_calls_wait_for_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    x = ca.ones(3)
    cppyy.cppdef("long cuarray_first(double* x) { return x[0]; }")
    assert cppyy.gbl.cuarray_first(x) == 1  # from here on cppyy may ask arrays for buffers
    length(x)
    waited = []
    monkeypatch.setattr(_runtime.get(), "synchronize", lambda: waited.append(1))
    assert length(x) == 3 and not waited


# Every dtype, number of dimensions and layout is compiled anew.
FEW = st.sampled_from(["float64", "int8", "complex64"])


@given(arrays=pairs(FEW))
def test_attributes(arrays: Arrays) -> None:
    x = arrays.cuarray
    assert attributes(x) == (x.shape, x.size, x.ndim, x.strides, x.itemsize, x.nbytes)
    if x.ndim:
        assert length(x) == len(x)
    else:
        with pytest.raises(numba.TypingError, match="CuArray without dimensions"):
            length(x)


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_dtype(dtype: np.dtype) -> None:
    @numba.njit
    def like(x):
        return np.empty(3, dtype=x.dtype)

    x = ca.zeros(1, dtype)
    if dtype == ca.bfloat16:
        with pytest.raises(numba.TypingError, match="bfloat16"):
            like(x)
    elif dtype == np.float16:
        for function in (like, host):
            with pytest.raises(numba.TypingError, match="numba has no float16 on the CPU"):
                function(x)
        assert attributes(x)[-1] == 2
    else:
        assert like(x).dtype == host(x).dtype == dtype


@numba.njit
def host(x):
    return x.host()


@given(arrays=pairs(FEW))
def test_host(arrays: Arrays) -> None:
    x = arrays.cuarray
    got = host(x)
    assert (got.dtype, got.shape, got.flags.writeable) == (x.dtype, x.shape, x.flags.writeable)
    np.testing.assert_array_equal(got, arrays.numpy)
    np.testing.assert_array_equal(got, x.host())
    if x.size:
        assert got.__array_interface__["data"][0] == x._pointer
        assert got.strides == x.strides


def test_host_is_of_the_layout_of_the_array() -> None:
    @numba.njit
    def total(x):
        return x.host().sum()

    for x, order in ((ca.ones((3, 4)), "C"), (ca.ones((3, 4)).T, "F"), (ca.ones((3, 4))[:, ::2], "A")):
        assert total(x) == x.size
        fresh = numba.njit(host.py_func)
        fresh(x)
        (overload,) = fresh.overloads.values()
        assert overload.signature.return_type.layout == order


def test_host_after_a_kernel_and_written_before_the_next(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def run(x, y):
        axpy.forall(x.size)(2.0, x, y, x.size)
        view = y.host()
        total = view.sum()
        view[:] = 1
        axpy.forall(x.size)(1.0, x, y, x.size)
        return total, y.host().sum()

    n = 300_000
    assert run(ca.ones(n), ca.zeros(n)) == (2 * n, 2 * n)


def test_host_keeps_the_array_alive() -> None:
    view = host(ca.arange(1000))
    gc.collect()
    others = [ca.zeros(1000, "int64") for _ in range(10)]
    np.testing.assert_array_equal(view, np.arange(1000))
    before = used()
    del view
    assert used() < before
    assert others[0].shape == (1000,)


def test_a_read_only_array_gives_a_read_only_host_array() -> None:
    x = ca.broadcast_to(ca.arange(3), (2, 3))
    assert not x.flags.writeable
    assert not host(x).flags.writeable
    np.testing.assert_array_equal(host(x), [[0, 1, 2]] * 2)

    @numba.njit
    def write(x):
        x.host()[0, 0] = 1

    with pytest.raises(numba.TypingError, match="readonly"):
        write(x)


def test_memory_that_the_cpu_cannot_reach() -> None:
    x = ca.arange(3)
    foreign = new(ForeignMemory(x._pointer, x.nbytes, x, False), x._pointer, x._layout)
    assert attributes(foreign)[0] == (3,)
    with pytest.raises(BufferError, match=r"x.host\(\): the array is in GPU memory that the CPU cannot reach"):
        host(foreign)


def test_elements_are_reached_by_host_only() -> None:
    @numba.njit
    def read(x):
        return x[0]

    @numba.njit
    def write(x):
        x[0] = 1

    for function in (read, write):
        with pytest.raises(numba.TypingError, match=r"x.host\(\) is a NumPy array over its memory"):
            function(ca.zeros(3))


def test_an_array_is_no_global_variable() -> None:
    x = ca.zeros(3)

    @numba.njit
    def size():
        return x.size

    with pytest.raises(numba.TypingError, match="pass it as an argument"):
        size()


Pair = namedtuple("Pair", "first second")


def test_tuples_of_arrays(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def run(pair, many, mixed):
        axpy[1, 8](1.0, pair.first, pair.second, pair.first.size)
        for x in many:
            axpy[1, 8](1.0, pair.first, x, x.size)
        return Pair(many[0], pair.first), mixed[1], mixed[0] + 1

    x, y, z = ca.ones(3), ca.zeros(3), ca.zeros(3)
    other = ca.ones((2, 2), "int8")
    pair, from_mixed, number = run(Pair(x, y), (y, z), (1, other))
    assert (y.tolist(), z.tolist(), number) == ([2] * 3, [1] * 3, 2)
    assert type(pair) is Pair
    assert pair.first is y
    assert pair.second is x
    assert from_mixed is other


def test_one_of_two_layouts() -> None:
    @numba.njit
    def choose(x, y, first):
        z = x if first else y
        return z, z.host().sum()

    x, y = ca.ones((2, 3)), ca.ones((3, 2)).T
    for first, expected in ((True, x), (False, y)):
        chosen, total = choose(x, y, first)
        assert chosen is expected
        assert total == 6


# ---- references


def test_no_references_are_kept(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def run(x, pair):
        axpy[1, 1](1, x, pair[1], 1)
        return x, x.host(), pair

    x = ca.ones(4)
    run(x, (x, x))
    before = sys.getrefcount(x)
    for _ in range(100):
        run(x, (x, x))
    assert sys.getrefcount(x) == before
    alive = weakref.ref(x)
    del x
    gc.collect()
    assert alive() is None, gc.get_referrers(alive())


def test_no_memory_is_lost_over_many_calls() -> None:
    @numba.njit
    def run(x, n):
        y = ca.zeros(n)
        z = ca.empty_like(x)
        return y, x.host(), z.size

    x = ca.ones(100)

    def resident_after_a_call() -> int:
        run(x, 10)
        gc.collect()
        return resident()

    resident_after_a_call()
    before, memory = used(), resident_after_a_call()
    for _ in range(100_000):
        run(x, 10)
    assert used() == before
    assert resident_after_a_call() - memory < 4 << 20


# ---- new arrays


@given(
    shape=st.lists(st.integers(0, 4), max_size=4).map(tuple),
    dtype=st.sampled_from(["float64", "int8", "complex64", "bool", "float16"]),
)
def test_zeros(shape: tuple[int, ...], dtype: str) -> None:
    name = dtype

    @numba.njit
    def make(shape):
        return ca.zeros(shape, name)

    x = make(shape)
    expected = ca.zeros(shape, dtype)
    assert type(x) is ca.CuArray
    assert (x.dtype, x.shape, x.strides, x.flags) == (dtype, shape, expected.strides, expected.flags)
    assert x._layout is expected._layout
    np.testing.assert_array_equal(np.asarray(x), np.zeros(shape, dtype))
    np.testing.assert_array_equal(np.asarray(x + 1), np.ones(shape, dtype))


def test_ways_to_say_shape_and_dtype() -> None:
    @numba.njit
    def make(n, x, h):
        return (
            ca.empty(n),
            ca.empty((n, 2), np.float32),
            ca.zeros(shape=(n,), dtype="int8"),
            ca.empty((np.int32(n), n), dtype=int),
            ca.empty(h.shape, h.dtype),
            ca.zeros((), x.dtype),
            ca.zeros(3, bool),
            ca.empty(x.shape, dtype=ca.complex64),
        )

    made = make(3, ca.zeros(2, "uint16"), np.zeros((2, 5), "float32"))
    assert [(x.shape, str(x.dtype)) for x in made] == [
        ((3,), "float64"),
        ((3, 2), "float32"),
        ((3,), "int8"),
        ((3, 3), "int64"),
        ((2, 5), "float32"),
        ((), "uint16"),
        ((3,), "bool"),
        ((2,), "complex64"),
    ]


@given(arrays=pairs(FEW))
def test_like(arrays: Arrays) -> None:
    x = arrays.cuarray
    same, zeros = empty_like(x), zeros_like(x)
    expected = ca.empty_like(x)
    assert (same.dtype, same.shape, same.strides) == (expected.dtype, expected.shape, expected.strides)
    assert zeros.strides == ca.zeros_like(x, "float64").strides
    np.testing.assert_array_equal(np.asarray(zeros), np.zeros(x.shape))


@numba.njit
def empty_like(x):
    return ca.empty_like(x)


@numba.njit
def zeros_like(x):
    return ca.zeros_like(x, dtype=np.float64)


def test_arrays_made_in_njit_are_launched_on_returned_and_freed(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit(nogil=True)
    def run(n, times):
        result = ca.zeros(n)
        for k in range(times):
            x = ca.empty(n)
            x.host()[:] = k
            axpy.forall(n)(1.0, x, result, n)
        return result

    before = used()
    x = run(1000, 10)
    np.testing.assert_array_equal(np.asarray(x), np.full(1000, 45.0))
    assert 8000 <= used() - before <= 9000
    alive = weakref.ref(x)
    y = x[10:20]
    del x
    assert alive() is not None
    np.testing.assert_array_equal(np.asarray(y), [45] * 10)
    del y
    assert alive() is None
    assert used() == before


def test_threads_without_the_gil(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit(nogil=True)
    def run(x, n):
        total = 0.0
        for _ in range(n):
            y = ca.zeros(x.size)
            axpy.forall(x.size)(1.0, x, y, x.size)
            total += y.host().sum()
        return total

    x = ca.ones(500)
    run(x, 1)
    before, references, totals = used(), sys.getrefcount(x), []
    threads = [threading.Thread(target=lambda: totals.append(run(x, 500))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert totals == [250_000.0] * 4
    assert (used(), sys.getrefcount(x)) == (before, references)


def test_errors_of_new_arrays() -> None:
    @numba.njit
    def make(n):
        return ca.empty((n, 2), "float64")

    for n, error, match in (
        (-1, ValueError, "shape: negative dimensions"),
        (2**62, ValueError, "array is too big"),
        (2**45, ca.OutOfMemoryError, "out of memory: an array needs 562,949,953,421,312 bytes"),
        (2**45, MemoryError, "set_memory_limit"),
    ):
        with pytest.raises(error, match=match):
            make(n)

    @numba.njit
    def by_name(name):
        return ca.empty(3, name)

    @numba.njit
    def by_float(n):
        return ca.empty(n)

    @numba.njit
    def unknown():
        return ca.empty(3, "datetime64[s]")

    with pytest.raises(numba.TypingError, match="empty: dtype must be a dtype or its name as a constant"):
        by_name("float32")
    with pytest.raises(numba.TypingError, match="empty: shape must be an int or a tuple of ints, not float64"):
        by_float(2.5)
    with pytest.raises(numba.TypingError, match="cuarray has no dtype datetime64"):
        unknown()
