"""What numba.njit functions can do with arrays, kernels and the device, on whichever backend runs."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
import weakref
from collections import namedtuple

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process import resident
from strategies import Pair as Arrays
from strategies import pairs

import cuarray as ca
from cuarray import _runtime
from cuarray._array import new
from cuarray._dtypes import DTYPES
from cuarray._kernel.numba_streams import register_stream
from cuarray._runtime import ForeignMemory

SOURCE = r"""
// y += a * x
template <class T> __global__ void axpy(T a, const T* x, T* y, long n) {
  long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}
template <int Tile, class T> __global__ void tiled_matmul(const T* a, const T* b, T* out, int n) {
  __shared__ T left[Tile][Tile], right[Tile][Tile];
  int row = blockIdx.y * Tile + threadIdx.y, col = blockIdx.x * Tile + threadIdx.x;
  T sum = 0;
  for (int k = 0; k < n; k += Tile) {
    left[threadIdx.y][threadIdx.x] = row < n && k + threadIdx.x < n ? a[row * n + k + threadIdx.x] : T(0);
    right[threadIdx.y][threadIdx.x] = k + threadIdx.y < n && col < n ? b[(k + threadIdx.y) * n + col] : T(0);
    __syncthreads();
    for (int t = 0; t < Tile; ++t) sum += left[threadIdx.y][t] * right[t][threadIdx.x];
    __syncthreads();
  }
  if (row < n && col < n) out[row * n + col] = sum;
}
template <class T> __global__ void fill(T value, void* out, int n) {
  for (int i = 0; i < n; ++i) static_cast<T*>(out)[i] = value;
}
__global__ void scalars(bool b, signed char i8, unsigned short u16, int i32, long long i64, float f32, double f64,
                        ca::complex<float> c64, ca::complex<double> c128, double* out) {
  double reals[] = {double(b), double(i8), double(u16), double(i32), double(i64), f32, f64};
  for (int k = 0; k < 7; ++k) out[k] = reals[k];
  out[7] = c64.re, out[8] = c64.im, out[9] = c128.re, out[10] = c128.im;
}
__global__ void unsigneds(unsigned int a, unsigned long b, double* out) { out[0] = a, out[1] = b; }
// The extents of the grid and the block, and how many threads there were.
__global__ void shape(unsigned* out) {
  if (threadIdx.x + threadIdx.y + threadIdx.z + blockIdx.x + blockIdx.y + blockIdx.z == 0) {
    out[0] = gridDim.x, out[1] = gridDim.y, out[2] = gridDim.z;
    out[3] = blockDim.x, out[4] = blockDim.y, out[5] = blockDim.z;
  }
  atomicAdd(&out[6], 1u);
}
__global__ void reverse(float* x) {
  extern __shared__ float buffer[];
  buffer[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
}
__global__ void defaults(double* out, double a = 2.5, int b = 7) { out[0] = a, out[1] = b; }
"""


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
    if dtype == np.float16:
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


# ---- launches


def test_launch(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def repeated(x, y, times, block):
        for _ in range(times):
            axpy[(x.size + block - 1) // block, block](0.5, x, y, x.size)
        return y

    x, y = ca.arange(1000, dtype="float32"), ca.zeros(1000, "float32")
    assert repeated(x, y, 10, 64) is y
    np.testing.assert_array_equal(np.asarray(y), np.arange(1000) * 5.0)


def test_launch_by_module_and_template_argument(mod: ca.Module) -> None:
    @numba.njit
    def run(a, b, out, n):
        mod.tiled_matmul[16,][((n + 15) // 16, (n + 15) // 16), (16, 16), None, 0](a, b, out, n)
        mod.axpy["float"][1, (32, 1, 1)](1, a, out, 1)
        mod.axpy.template("float")[1, 32](1, a, out, 1)
        mod.tiled_matmul.template(8, np.float32)[(0 + (n + 7) // 8, (n + 7) // 8), (8, 8)](a, b, b, 0)

    a, b = np.random.default_rng(1).integers(0, 9, (2, 20, 20)).astype("float32")
    out = ca.zeros((20, 20), "float32")
    run(ca.asarray(a), ca.asarray(b), out, 20)
    expected = a @ b
    expected[0, 0] += 2 * a[0, 0]
    np.testing.assert_array_equal(np.asarray(out), expected)


def test_explicit_instance(mod: ca.Module) -> None:
    matmul = mod.tiled_matmul.template(4, "float")

    @numba.njit
    def run(a, b, out, n):
        matmul[((n + 3) // 4, (n + 3) // 4), (4, 4)](a, b, out, n)

    a, b = np.random.default_rng(2).integers(0, 9, (2, 10, 10)).astype("float32")
    out = ca.zeros((10, 10), "float32")
    run(ca.asarray(a), ca.asarray(b), out, 10)
    np.testing.assert_array_equal(np.asarray(out), a @ b)


EXTENTS = st.one_of(
    st.integers(1, 5),
    st.lists(st.integers(1, 4), min_size=1, max_size=3).map(tuple),
    st.lists(st.integers(1, 4), max_size=3).map(lambda extents: ca.dim3(*extents)),
)


@given(grid=EXTENTS, block=EXTENTS)
def test_grids_and_blocks(mod: ca.Module, grid, block) -> None:
    got, expected = ca.zeros(7, "uint32"), ca.zeros(7, "uint32")
    launch_shape(mod.shape, got, grid, block)
    mod.shape[grid, block](expected)
    assert got.tolist() == expected.tolist()


@numba.njit
def launch_shape(kernel, out, grid, block):
    kernel[grid, block](out)


def test_dim3_in_njit(mod: ca.Module) -> None:
    shape = mod.shape

    @numba.njit
    def run(out, n):
        block = ca.dim3(n, 2)
        shape[ca.dim3(2, z=3), block](out)
        return block, block.x + block.y + block.z, ca.dim3()

    out = ca.zeros(7, "uint32")
    block, total, default = run(out, 4)
    assert out.tolist() == [2, 1, 3, 4, 2, 1, 48]
    assert (block, total, default) == (ca.dim3(4, 2, 1), 7, ca.dim3(1, 1, 1))
    assert type(block) is ca.dim3


@given(n=st.integers(0, 2000), block=st.sampled_from([None, 1, 32, (8, 4)]))
def test_forall(mod: ca.Module, n: int, block) -> None:
    got, expected = ca.zeros(7, "uint32"), ca.zeros(7, "uint32")
    forall(mod.shape, got, n, block)
    mod.shape.forall(n, block)(expected)
    assert got.tolist() == expected.tolist()


@numba.njit
def forall(kernel, out, n, block):
    kernel.forall(n, block)(out)


def test_forall_of_a_negative_number(mod: ca.Module) -> None:
    with pytest.raises(ValueError, match="n must not be negative"):
        forall(mod.shape, ca.zeros(7, "uint32"), -1, None)


def test_launch_defaults() -> None:
    own = ca.cudadef("__global__ void f(unsigned* out) { out[0] = gridDim.x, out[1] = blockDim.y; }", name="defaults")
    f = own.f

    def run(out):
        f(out)

    out = ca.zeros(2, "uint32")
    with pytest.raises(numba.TypingError, match="set its __cuda_grid_dim__ and __cuda_block_dim__"):
        numba.njit(run)(out)
    f.__cuda_grid_dim__, f.__cuda_block_dim__ = 3, ca.dim3(1, 5)
    numba.njit(run)(out)
    assert out.tolist() == [3, 5]


def test_default_arguments(mod: ca.Module) -> None:
    @numba.njit
    def run(out, n):
        if n == 0:
            mod.defaults[1, 1](out)
        else:
            mod.defaults[1, 1](out, n)

    out = ca.zeros(2)
    for n, expected in ((0, [2.5, 7]), (5, [5, 7]), (0, [2.5, 7])):
        run(out, n)
        assert out.tolist() == expected


def test_kernels_with_options(mod: ca.Module) -> None:
    cooperative = mod.shape.with_options(cooperative=True)

    @numba.njit
    def run(out):
        cooperative[2, 3](out)

    out = ca.zeros(7, "uint32")
    run(out)
    assert out.tolist() == [2, 1, 1, 3, 1, 1, 6]


@register_stream
class OneStream:
    def __init__(self) -> None:
        self.handle = ca.cuda.stream_create()


def test_streams_and_shared_memory(mod: ca.Module) -> None:
    reverse, in_closure = mod.reverse, OneStream()

    @numba.njit
    def run(x, stream, shared):
        reverse[1, x.size, stream, shared](x)
        ca.cuda.synchronize()
        reverse[1, x.size, in_closure, shared](x)
        ca.cuda.stream_synchronize(in_closure.handle)
        reverse[1, x.size, stream, shared](x)
        return stream

    stream = OneStream()
    references = sys.getrefcount(stream)
    for given_stream in (None, 0, stream, stream.handle):
        x = ca.arange(200, dtype="float32")
        ca.cuda.synchronize()
        returned = run(x, given_stream, 800)
        assert returned == given_stream
        del returned
        ca.cuda.synchronize()
        np.testing.assert_array_equal(np.asarray(x), np.arange(200)[::-1])
    assert sys.getrefcount(stream) == references
    for one in (stream, in_closure):
        ca.cuda.stream_destroy(one.handle)


def test_scalars(mod: ca.Module) -> None:
    @numba.njit
    def run(out):
        mod.scalars[1, 1](True, -3, 60000, -5, 2**40, 1.5, 2.25, 1 + 2j, 3 - 4j, out)

    out = ca.zeros(11)
    run(out)
    assert out.tolist() == [1, -3, 60000, -5, 2**40, 1.5, 2.25, 1, 2, 3, -4]


def test_integers_that_do_not_fit(mod: ca.Module) -> None:
    unsigneds = mod.unsigneds

    @numba.njit
    def run(a, b, out):
        unsigneds[1, 1](a, b, out)

    out = ca.zeros(2)
    for a, b in ((2**32 - 1, 2**62), (np.uint64(5), np.uint64(2**64 - 1)), (np.uint8(7), True)):
        run(a, b, out)
        assert out.tolist() == [float(a), float(b)]
    for a, b, name in ((-1, 0, "a"), (2**32, 0, "a"), (0, -1, "b"), (np.int8(-1), 0, "a"), (np.uint64(2**40), 0, "a")):
        with pytest.raises(OverflowError, match=f"unsigneds: argument {name}: the integer does not fit uint"):
            run(a, b, out)


# ---- errors


def test_types_that_do_not_fit(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit
    def launch(a, x, y, n):
        axpy[1, 1](a, x, y, n)

    @numba.njit
    def on(grid, stream, shared):
        axpy[grid, 1, stream, shared]

    @numba.njit
    def keyword(x):
        axpy[1, 1](1, x, x, n=1)

    x = ca.ones(4)
    for arguments, match in (
        ((1, x, ca.ones(4, "float32"), 1), "conflicting types for parameter 'T'"),
        ((1, x, 3.0, 1), "axpy: argument y must be an array"),
        ((1, x, x, 1.5), "axpy: argument n must be i8, not float64"),
        ((x, x, x, 1), "axpy: no instance takes arguments of types"),
        ((1, "x", x, 1), "axpy: argument x must be an array or a scalar, not unicode_type"),
    ):
        with pytest.raises(numba.TypingError, match=match) as error:
            launch(*arguments)
        assert "candidate implementations" not in str(error.value)
    record = np.zeros(1, [("when", "datetime64[s]")])[0]
    with pytest.raises(numba.TypingError, match=r"axpy: .*(no equal in C\+\+|no instance takes|dtype)"):
        launch(record, x, x, 1)
    for arguments, match in (
        ((1.5, None, None), "grid and block must be ints or tuples of up to three ints"),
        ((1, 1.5, None), "stream must be an int, None or a stream, not float64"),
        ((1, None, "many"), "shared must be an int or None, not unicode_type"),
    ):
        with pytest.raises(numba.TypingError, match=match):
            on(*arguments)
    with pytest.raises(numba.TypingError, match="axpy: a launch takes no keyword arguments"):
        keyword(x)


def test_launches_that_fail_as_from_python(mod: ca.Module) -> None:
    shape = mod.shape
    out = ca.zeros(7, "uint32")
    for grid, block in ((0, 1), (2**40, 1), ((1, 70000), 1), (1, 5000), (1, (32, 33)), (1, -1)):
        with pytest.raises(ca.LaunchError) as from_python:
            shape[grid, block](out)
        with pytest.raises(ca.LaunchError) as from_njit:
            launch_shape(shape, out, grid, block)
        assert str(from_njit.value) == str(from_python.value)
        assert ca.cuda.get_last_error() == from_njit.value.code == 1
    assert out.tolist() == [0] * 7


def test_parallel_loops(mod: ca.Module) -> None:
    axpy = mod.axpy

    @numba.njit(parallel=True)
    def run(x, many):
        for k in numba.prange(len(many)):
            axpy.forall(x.size)(1.0, x, many[k], x.size)
            many[k].host()[0] += k

    references = None
    many = tuple(ca.ones(100) for _ in range(8))
    x = ca.arange(100.0)
    for times in (1, 2):
        run(x, many)
        for k, y in enumerate(many):
            np.testing.assert_array_equal(np.asarray(y), 1 + times * (np.arange(100) + k * (np.arange(100) == 0)))
        references = references or sys.getrefcount(x)
    assert sys.getrefcount(x) == references


def test_functions_that_call_functions(mod: ca.Module) -> None:
    axpy, fill = mod.axpy, mod.fill

    @numba.njit
    def first(x, n):
        axpy[n, 1](1.0, x, x, 1)
        return ca.zeros(n)

    @numba.njit
    def second(x, n):
        fill[1, n](1.0, x, n)
        ca.cuda.free(ca.cuda.malloc(n))

    @numba.njit
    def both(x, n):
        second(x, n)
        return first(x, n)

    assert both(ca.zeros(3), 3).tolist() == [0, 0, 0]
    with pytest.raises(ca.LaunchError, match=r"fill: block\.x is 0"):
        both(ca.zeros(3), 0)


# ---- cuarray.cuda


def test_memory_functions() -> None:
    def use(n, x):
        memory = ca.cuda
        pointer = memory.malloc(n)
        memory.memset(pointer, 7, n)
        memory.prefetch(pointer, n)
        memory.memcpy(x, pointer, n // 2)
        memory.prefetch(x, n, True)
        memory.free(pointer)
        memory.free(0)
        return memory.malloc(0)

    for function in (use, numba.njit(use)):
        x = ca.zeros(8, "uint8")
        assert function(8, x) == 0
        assert x.tolist() == [7] * 4 + [0] * 4


@pytest.mark.parametrize("compiled", [False, True])
def test_errors_of_memory_functions(compiled: bool) -> None:
    wrap = numba.njit if compiled else lambda function: function

    @wrap
    def malloc(n):
        return ca.cuda.malloc(n)

    @wrap
    def memcpy(to, source, n):
        ca.cuda.memcpy(to, source, n)

    @wrap
    def memset(to, value, n):
        ca.cuda.memset(to, value, n)

    x, y = ca.zeros(4), ca.broadcast_to(ca.zeros(1), (4,))
    typing = numba.TypingError if compiled else ValueError
    for call, error, match in (
        (lambda: malloc(-1), ValueError, "nbytes must not be negative"),
        (lambda: malloc(2**60), ca.OutOfMemoryError, "cuMemAllocManaged failed: CUDA_ERROR_OUT_OF_MEMORY"),
        (lambda: memcpy(x, x, -1), ValueError, "nbytes must not be negative"),
        (lambda: memcpy(x, x, 33), ValueError, "nbytes is more than the array has"),
        (lambda: memcpy(x, ca.zeros(8)[::2], 1), typing, "the array must be contiguous"),
        (lambda: memcpy(y, x, 1), typing, "the destination is read-only"),
        (lambda: memset(x, 256, 1), ValueError, "value must be a byte"),
        (lambda: memset(x, -1, 1), ValueError, "value must be a byte"),
        (lambda: memset(2.5, 1, 1), numba.TypingError if compiled else TypeError, "expected a CuArray or an address"),
    ):
        with pytest.raises(error, match=match):
            call()


@pytest.mark.parametrize("compiled", [False, True])
def test_device_and_errors(compiled: bool) -> None:
    wrap = numba.njit if compiled else lambda function: function

    @wrap
    def device():
        ca.cuda.set_device(0)
        ca.cuda.synchronize()
        return ca.cuda.get_device(), ca.cuda.device_count()

    @wrap
    def choose(number):
        ca.cuda.set_device(number)

    @wrap
    def fail(handle):
        ca.cuda.event_synchronize(handle)

    @wrap
    def last():
        return ca.cuda.peek_at_last_error(), ca.cuda.get_last_error(), ca.cuda.get_last_error()

    @wrap
    def name(code):
        return ca.cuda.get_error_name(code)

    number, count = device()
    assert number == 0
    assert count >= 1
    with pytest.raises(ValueError, match="device must be 0: cuarray uses one device"):
        choose(1)
    last()
    with pytest.raises(ca.CudaError, match="cuEventSynchronize failed") as error:
        fail(0)
    code = error.value.code
    assert code > 0
    assert last() == (code, code, 0)
    assert name(2) == "CUDA_ERROR_OUT_OF_MEMORY"
    assert name(0) == "CUDA_SUCCESS"
    with pytest.raises(ca.CudaError, match="cuGetErrorName"):
        name(123456)


@pytest.mark.parametrize("compiled", [False, True])
def test_streams_and_events(compiled: bool, mod: ca.Module) -> None:
    shape = mod.shape
    wrap = numba.njit if compiled else lambda function: function

    @wrap
    def run(out):
        stream, first, second = ca.cuda.stream_create(), ca.cuda.event_create(), ca.cuda.event_create()
        ca.cuda.event_record(first, stream)
        shape[(100, 10), 64, stream](out)
        ca.cuda.event_record(second, stream)
        ca.cuda.event_synchronize(second)
        ca.cuda.stream_synchronize(stream)
        time = ca.cuda.event_elapsed_time(first, second)
        ca.cuda.event_record(second)
        ca.cuda.event_synchronize(second)
        longer = ca.cuda.event_elapsed_time(first, second)
        ca.cuda.event_destroy(first)
        ca.cuda.event_destroy(second)
        ca.cuda.stream_destroy(stream)
        return time, longer

    out = ca.zeros(7, "uint32")
    ca.cuda.synchronize()
    time, longer = run(out)
    assert 0 < time <= longer < 10_000
    assert out.tolist()[6] == 64_000


def test_caught_in_njit() -> None:
    @numba.njit
    def run(n):
        try:
            ca.cuda.malloc(n)
        except Exception:
            return ca.cuda.get_last_error()
        return 0

    assert run(2**60) == 2


# ---- what only a GPU's threads meet, with functions in place of the driver's

Setter = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p)
GetStream = ctypes.CFUNCTYPE(ctypes.c_void_p)
Launch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, *[ctypes.c_uint] * 7, *[ctypes.c_void_p] * 3)


def test_the_current_stream_and_a_thread_without_context(monkeypatch: pytest.MonkeyPatch) -> None:
    own = ca.cudadef("__global__ void f(int* x, int a) { x[0] = a; }", name="fakes")
    runtime, streams, contexts, f = _runtime.get(), [], [], own.f
    x = ca.zeros(1, "int32")

    def launch(function, gx, gy, gz, bx, by, bz, shared, stream, params, extra):
        streams.append(stream)
        return 0 if contexts else 201

    fake_launch, fake_stream = Launch(launch), GetStream(lambda: 77)
    fake_setter = Setter(lambda handle: contexts.append(handle) or 0)

    def address(function) -> int:
        return ctypes.cast(function, ctypes.c_void_p).value

    monkeypatch.setattr(runtime, "current_stream_address", address(fake_stream))
    monkeypatch.setattr(runtime, "context", (address(fake_setter), 1234, 201))
    monkeypatch.setattr(runtime, "launcher", address(fake_launch))

    @numba.njit
    def run(x, stream):
        f[1, 1](x, 1)
        f[1, 1, None](x, 2)
        f[1, 1, 0](x, 3)
        f[1, 1, 5](x, 4)
        f[1, 1, stream](x, 5)

    run(x, 6)
    assert streams == [77, 77, 77, 77, 5, 6]  # the first launch twice
    assert contexts == [1234]
    run(x, 0)
    assert streams[6:] == [77, 77, 77, 5, 77]
    assert contexts == [1234]


# ---- numba's cache on disk

CACHED = """
import warnings
import numba, numpy as np, cuarray as ca
mod = ca.cudadef("__global__ void f(double* x) { if (threadIdx.x == 0) x[0] += 1; }", name="cached")
f = mod.f

@numba.njit(cache=True)
def attributes(x): return x.size, x.host().sum(), x.ndim, x
@numba.njit(cache=True)
def by_global(x): f[1, 1](x)
@numba.njit(cache=True)
def by_module(x): mod.f.forall(1)(x)
@numba.njit(cache=True)
def by_caller(x): by_global(x)
@numba.njit(cache=True)
def by_argument(kernel, x): kernel[1, 1](x)
@numba.njit(cache=True)
def creates(n): return ca.zeros(n).size
@numba.njit(cache=True)
def calls(): ca.cuda.synchronize()
def closure():
    kernel = f
    @numba.njit(cache=True)
    def launch(x): kernel[1, 1](x)
    return launch

def refused(call):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            call()
        except TypeError as error:
            return "njit(cache=True): its compiled code lives in this process only" in str(error)
    return any("Cannot cache compiled function" in str(warning.message) for warning in said)

print(refused(lambda: creates(3)), refused(calls), end=" ")
x = ca.zeros(3)
print(refused(lambda: by_global(x)), refused(lambda: by_module(x)), refused(lambda: by_argument(f, x)),
      refused(lambda: by_caller(x)), refused(lambda: closure()(x)), end=" ")
size, total, _, same = attributes(x)
print(size, total, same is x, sum(attributes.stats.cache_hits.values()))
"""


def test_cache_on_disk(tmp_path) -> None:
    (tmp_path / "cached_module.py").write_text(CACHED)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for hits in (0, 1):
        result = subprocess.run(
            [sys.executable, "-c", "import cached_module"],
            capture_output=True,
            text=True,
            timeout=200,
            env=environment,
            cwd=tmp_path,
        )
        assert result.stdout.split() == ["True"] * 7 + ["3", "4.0", "True", str(hits)], result.stderr
        assert result.returncode == 0
    # What is on disk knows no address of a process that has ended.
    names = {path.name.split("-")[0] for path in (tmp_path / "cache").rglob("cached_module.*.nbc")}
    assert names == {"cached_module.attributes"}


def test_exit_with_arrays_of_njit_alive() -> None:
    code = """
import numba, cuarray as ca
@numba.njit
def make(n): return ca.zeros(n)
ca.kept = [make(1000), make(0), make(3).host()]
print(ca.kept[0].sum())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "0.0", "")


def test_njit_before_anything_else() -> None:
    code = """
import numba, cuarray as ca
@numba.njit
def make(n): return ca.zeros(n, ca.int8)
print(make(2))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (result.stdout.strip(), result.stderr) == ("[0 0]", "")
