"""Launches of kernels from numba.njit functions, on whichever backend runs."""

from __future__ import annotations

import ctypes
import sys

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from njit_kernels import SOURCE

import cuarray as ca
from cuarray import _runtime
from cuarray._kernel.numba_streams import register_stream


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="test_njit")


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
