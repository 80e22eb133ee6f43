"""Arrays exchanged without a copy with the GPU libraries that are installed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import cuarray as ca

pytestmark = pytest.mark.gpu

DTYPES = ["bool", "int8", "int64", "uint8", "float16", "float32", "float64", "complex64"]


@pytest.fixture(autouse=True)
def _on_the_gpu() -> None:
    if not ca.cuda.is_available():
        pytest.skip("CUARRAY_BACKEND=host keeps arrays off the GPU")


def values(dtype: str) -> np.ndarray:
    return np.arange(24).reshape(4, 6).astype(dtype)


@pytest.mark.parametrize("dtype", DTYPES)
def test_cupy(dtype: str) -> None:
    cupy = pytest.importorskip("cupy")
    x = ca.asarray(values(dtype))[::2, 1:]
    for theirs in (cupy.asarray(x), cupy.from_dlpack(x)):
        assert theirs.data.ptr == x.pointer and theirs.strides == x.strides
        np.testing.assert_array_equal(cupy.asnumpy(theirs), values(dtype)[::2, 1:])
    source = cupy.asarray(values(dtype)).T
    for ours in (ca.asarray(source), ca.from_dlpack(source)):
        assert ours.pointer == source.data.ptr and ours.strides == source.strides
        np.testing.assert_array_equal(np.asarray(ours), values(dtype).T)


def test_cupy_work_is_in_order() -> None:
    cupy = pytest.importorskip("cupy")
    x = ca.zeros(1 << 22, "float32")
    theirs = cupy.asarray(x)
    for _ in range(20):
        theirs += 1
        x += 1
    assert float(x.min()) == float(x.max()) == 40
    stream = cupy.cuda.Stream(non_blocking=True)
    with stream:
        y = cupy.zeros(1 << 22, "float32")
        for _ in range(50):
            y += 1
        ours = ca.asarray(y)
    assert float(ours.sum()) == 50 * (1 << 22)


def test_operands_of_other_libraries() -> None:
    cupy = pytest.importorskip("cupy")
    theirs = cupy.arange(5.0)
    result = ca.arange(5) + theirs
    assert type(result) is ca.CuArray and result.tolist() == [0, 2, 4, 6, 8]
    mod = ca.cudadef("template <class T> __global__ void twice(T* x) { x[threadIdx.x] *= 2; }")
    mod.twice[1, 5](theirs)
    assert cupy.asnumpy(theirs).tolist() == [0, 2, 4, 6, 8]


def test_host_reads_copy_memory_that_the_cpu_cannot_reach() -> None:
    cupy = pytest.importorskip("cupy")
    ours = ca.asarray(cupy.arange(6.0).reshape(2, 3))
    assert str(ours) == "[[0. 1. 2.]\n [3. 4. 5.]]" and ours[1, 2].item() == 5


@pytest.mark.parametrize("dtype", DTYPES)
def test_torch(dtype: str) -> None:
    torch = pytest.importorskip("torch")
    x = ca.asarray(values(dtype))[:, 1:]
    theirs = torch.from_dlpack(x)
    assert theirs.is_cuda and theirs.data_ptr() == x.pointer
    np.testing.assert_array_equal(theirs.cpu().numpy(), values(dtype)[:, 1:])
    source = torch.from_numpy(values(dtype)).cuda().T
    for ours in (ca.from_dlpack(source), ca.asarray(source)):
        assert ours.pointer == source.data_ptr()
        np.testing.assert_array_equal(np.asarray(ours), values(dtype).T)


def test_torch_writes_through() -> None:
    torch = pytest.importorskip("torch")
    x = ca.ones(1000, "float32")
    theirs: Any = torch.as_tensor(x, device="cuda")
    theirs.mul_(3)
    assert float(x.sum()) == 3000


@pytest.mark.parametrize("dtype", ["int32", "float32", "bool"])
def test_jax(dtype: str) -> None:
    jnp = pytest.importorskip("jax.numpy")
    x = ca.asarray(values(dtype))
    np.testing.assert_array_equal(np.asarray(jnp.from_dlpack(x)), values(dtype))
    source = jnp.asarray(values(dtype)) * jnp.asarray(1, dtype)
    np.testing.assert_array_equal(np.asarray(ca.from_dlpack(source)), values(dtype))


def test_numba_cuda() -> None:
    cuda = pytest.importorskip("numba.cuda")

    @cuda.jit
    def add_one(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += 1

    x = ca.zeros(100, "float32")
    add_one[4, 32](x)
    cuda.synchronize()
    assert float(x.sum()) == 100


def test_numpy_sees_managed_memory() -> None:
    x = ca.arange(1000, dtype="float64")
    view = np.asarray(x)
    assert view.ctypes.data == x.pointer
    view[0] = 7
    x += 1
    ca.cuda.synchronize()
    assert view[0] == 8 and np.from_dlpack(x, device="cpu").ctypes.data == x.pointer


def test_kernels_from_a_thread_of_their_own() -> None:
    import threading

    mod = ca.cudadef("__global__ void one(int* x) { x[threadIdx.x] = 1; }")
    results: list[Any] = []

    def work() -> None:
        x = ca.zeros(8, "int32")
        mod.one[1, 8](x)
        results.append(x.tolist())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [[1] * 8]
