"""The functions of cuarray.cuda in numba.njit functions, on whichever backend runs."""

from __future__ import annotations

import numba
import pytest
from njit_kernels import SOURCE

import cuarray as ca


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="test_njit")


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
