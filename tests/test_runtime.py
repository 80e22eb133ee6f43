"""The runtime as users meet it: import, configuration, choice of backend, memory pool, cache."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from process import in_threads

import cuarray as ca
from cuarray import _runtime
from cuarray._runtime import nvrtc


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env={**os.environ, **environment}
    )


def test_an_unknown_backend_is_refused() -> None:
    result = run("import cuarray as ca; ca.zeros(3)", CUARRAY_BACKEND="gpu")
    assert "CUARRAY_BACKEND is 'gpu'; it must be auto, cuda or host" in result.stderr


def test_cuda_without_a_device_is_refused() -> None:
    result = run("import cuarray as ca; ca.zeros(3)", CUARRAY_BACKEND="cuda", CUDA_VISIBLE_DEVICES="")
    assert "NoDeviceError" in result.stderr


def test_process_exits_cleanly_with_arrays_alive() -> None:
    code = """
import atexit
import cuarray as ca
kept = [ca.ones(100000) + 1 for _ in range(5)]
class Late:
    def __init__(self): self.x = ca.ones(5)
    def __del__(self): self.x = None
ca.late = Late()
mod = ca.cudadef("__global__ void f(double* x) { x[0] = 1; __syncthreads(); }")
mod.f[100, 32](kept[0])
print(float(kept[0][0]))
"""
    result = run(code)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "1.0", "")


def test_host_backend_after_fork() -> None:
    code = """
import os
import cuarray as ca
x = ca.ones(1000000) + 1
child = os.fork()
y = float((x * 2).sum())
if child == 0:
    os._exit(0 if y == 4e6 else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), y)
"""
    result = run(code, CUARRAY_BACKEND="host")
    assert result.stdout.strip() == "0 4000000.0", result.stderr


def test_show_config(capsys: pytest.CaptureFixture) -> None:
    ca.show_config()
    printed = capsys.readouterr().out
    for part in (
        f"cuarray {ca.__version__}",
        "backend: ",
        "cache: ",
        "native library: ",
        "device 0: ",
        "grid limits",
        "numpy ",
        "cppyy ",
    ):
        assert part in printed
    module = subprocess.run([sys.executable, "-m", "cuarray"], capture_output=True, text=True, timeout=200)
    assert module.stdout.splitlines()[0] == f"cuarray {ca.__version__}"


def test_pool_reuses_memory() -> None:
    x = ca.empty(1_000_000)
    pointer = x.pointer
    del x
    assert ca.empty(1_000_000).pointer == pointer
    info = ca.cuda.memory_info()
    assert 0 <= info.used <= info.reserved <= info.limit and info.used <= info.peak
    assert info.cached == info.reserved - info.used


def test_blocks_by_size() -> None:
    def of(nbytes: int) -> tuple[int, int]:
        found = [(size.used, size.free) for size in ca.cuda.memory_info().sizes if size.nbytes == nbytes]
        return found[0] if found else (0, 0)

    nbytes = 13 << 16  # a size of its own: thirteen sixteenths of a power of two
    used, free = of(nbytes)
    arrays = [ca.empty(nbytes - 100 * k, "uint8") for k in range(free + 3)]
    assert of(nbytes) == (used + free + 3, 0)
    del arrays[2:]
    assert of(nbytes) == (used + 2, free + 1)
    info = ca.cuda.memory_info()
    assert sum(size.nbytes * size.used for size in info.sizes) == info.used
    assert [size.nbytes for size in info.sizes] == sorted({size.nbytes for size in info.sizes})
    del arrays
    ca.cuda.trim()
    assert of(nbytes)[0] == used


def test_without_the_pool_every_array_has_a_block_of_its_own() -> None:
    code = """
import cuarray as ca
x, y = ca.ones(100), ca.ones(3)
assert ca.cuda.memory_info().used == ca.cuda.memory_info().reserved == 824
print(float((x + 1).sum()), ca.cuda.memory_info().reserved)
"""
    result = run(code, CUARRAY_MEMORY_POOL="0")
    assert result.stdout.strip() == "200.0 824", result.stderr


def test_memory_limit_and_trim() -> None:
    limit = ca.cuda.memory_info().limit
    ca.cuda.trim()
    try:
        ca.cuda.set_memory_limit(ca.cuda.memory_info().reserved + (8 << 20))
        kept = ca.ones(100)
        with pytest.raises(MemoryError, match="16,000,000 bytes"):
            ca.empty(2_000_000)
        assert float(kept.sum()) == 100
    finally:
        ca.cuda.set_memory_limit(limit)
    assert ca.empty(2_000_000).size == 2_000_000
    with pytest.raises(ValueError, match="limit must be"):
        ca.cuda.set_memory_limit(0)


def test_arrays_from_many_threads() -> None:
    def work(number: int) -> None:
        for size in range(1, 200):
            x = ca.full(size * 17, number, "int64")
            assert int((x + x).sum()) == 2 * number * x.size

    in_threads(8, work)


def test_large_arrays_are_spread_over_the_processors() -> None:
    x = ca.arange(3_000_000, dtype="float64")
    assert float(x.sum()) == 3_000_000 * 2_999_999 / 2
    np.testing.assert_array_equal(np.asarray(x[::-1] + 1), np.arange(3_000_000.0)[::-1] + 1)


def test_device_compile_errors_name_the_line() -> None:
    source = _runtime.Source("mine", '#line 1 "mine"\n__global__ void f(int* x) {\n  *x = missing;\n}')
    with pytest.raises(ca.CompileError, match=r"mine\(2\): error: identifier \"missing\" is undefined"):
        nvrtc.compile(source, ("f",), "sm_80")


@pytest.mark.gpu
def test_an_illegal_address_names_the_call() -> None:
    code = """
import cuarray as ca
mod = ca.cudadef("__global__ void wild(int* x) { x[1l << 45] = 1; }")
x = ca.zeros(4, "int32")
mod.wild[1, 1](x)
try:
    ca.cuda.synchronize()
except ca.IllegalAddressError as error:
    print(error.name, "|", error)
"""
    result = run(code, CUARRAY_BACKEND="cuda")
    assert "CUDA_ERROR_ILLEGAL_ADDRESS | cuCtxSynchronize failed" in result.stdout, result.stderr


@pytest.mark.gpu
def test_more_than_two_to_the_31_elements() -> None:
    if not ca.cuda.is_available():
        pytest.skip("CUARRAY_BACKEND=host; this needs the memory of a GPU")
    n = 2**31 + 100
    x = ca.zeros(n, "int8")
    x[-1] = 5
    x[2**31] = 2
    y = x[::-1] + x  # strided, with 64-bit indices
    assert int(y[0]) == int(y[-1]) == 5 and int(y[99]) == 2
    del y
    assert int(x.sum()) == 7 and int(x.argmax()) == n - 1
    ca.cuda.trim()


@pytest.mark.parametrize("extent", [2**60, 2**61 + 1, 2**62])
def test_more_memory_than_addresses_are_refused(extent: int) -> None:
    for call in (ca.empty, ca.arange, lambda n: ca.ones(2).repeat(n), ca.random.default_rng(0).permutation):
        with pytest.raises((ValueError, MemoryError), match=r"too big|out of memory"):
            call(extent)
