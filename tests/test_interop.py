"""Other libraries' arrays without a copy, and ours in theirs: DLPack, the CUDA Array Interface, torch."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given
from strategies import Pair, pairs

import cuarray as ca

CPU = (1, 0)


def on_cpu() -> bool:
    """Whether NumPy's memory is what kernels use, so that nothing needs a copy."""
    return ca.zeros(1).__dlpack_device__() == CPU


@given(x=pairs())
def test_numpy_takes_ours(x: Pair) -> None:
    """numpy.from_dlpack asks for memory that the CPU may read: the same memory, not a copy."""
    host = np.from_dlpack(x.cuarray) if on_cpu() else np.from_dlpack(x.cuarray, device="cpu")
    np.testing.assert_array_equal(host, x.numpy)
    if x.numpy.size:
        assert host.__array_interface__["data"][0] == x.cuarray.pointer
        assert host.strides == x.numpy.strides


@given(x=pairs())
def test_we_take_numpys(x: Pair) -> None:
    assert_same(ca.from_dlpack(x.numpy), x.numpy, exact=True)


def test_numpys_memory_is_shared() -> None:
    if not on_cpu():
        pytest.skip("the cuda backend copies host memory to the GPU")
    host = np.arange(5.0)
    x = ca.from_dlpack(host)
    x += 1
    host[0] = 50
    assert_same(x, [50.0, 2, 3, 4, 5])
    alive = weakref.ref(host)
    del host
    gc.collect()
    assert_same(x, [50.0, 2, 3, 4, 5])
    del x
    gc.collect()
    assert alive() is None


def test_read_only_stays_read_only() -> None:
    if not on_cpu():
        pytest.skip("the cuda backend copies host memory to the GPU")
    host = np.arange(3)
    host.flags.writeable = False
    x = ca.from_dlpack(host)
    with pytest.raises(ValueError, match="read-only"):
        x[0] = 1
    assert not np.from_dlpack(ca.broadcast_to(ca.arange(3), (2, 3))).flags.writeable


def test_round_trip_keeps_the_memory() -> None:
    x = ca.arange(1000).reshape(10, 100)[::2, ::-1]
    y = ca.from_dlpack(x)
    assert y.pointer == x.pointer
    assert_same(y, np.arange(1000).reshape(10, 100)[::2, ::-1])
    del x
    gc.collect()
    assert_same(y, np.arange(1000).reshape(10, 100)[::2, ::-1])
    assert ca.from_dlpack(y, copy=True).pointer != y.pointer


def test_capsules() -> None:
    """Versioned where the consumer knows versions; a capsule is used once."""
    x = ca.arange(3)
    assert "dltensor_versioned" in repr(x.__dlpack__(max_version=(1, 0)))
    assert "dltensor_versioned" not in repr(x.__dlpack__())
    assert "dltensor_versioned" not in repr(x.__dlpack__(max_version=(0, 8)))


def test_unused_capsules_let_go() -> None:
    x = ca.arange(3)
    alive = weakref.ref(x)
    capsules = [x.__dlpack__(), x.__dlpack__(max_version=(1, 1)), x.__dlpack__(copy=True, max_version=(1, 1))]
    del x
    gc.collect()
    assert alive() is not None
    del capsules
    gc.collect()
    assert alive() is None


def test_dlpack_arguments() -> None:
    x = ca.arange(3)
    x.__dlpack__(dl_device=x.__dlpack_device__())
    x.__dlpack__(dl_device=CPU)
    with pytest.raises(BufferError, match="device"):
        x.__dlpack__(dl_device=(7, 0))
    with pytest.raises(ValueError, match="stream"):
        x.__dlpack__(stream=0)
    with pytest.raises(ValueError, match="stream"):
        x.__dlpack__(dl_device=CPU, stream=1)


class Wrapped:
    """Somebody else's array with nothing but DLPack, of an older kind if `old`."""

    def __init__(self, array: Any, old: bool = False) -> None:
        self.array = array
        self.old = old

    def __dlpack_device__(self) -> tuple[int, int]:
        return self.array.__dlpack_device__()

    def __dlpack__(self, **options: Any) -> Any:
        if self.old and (set(options) - {"stream"}):
            raise TypeError("unexpected keyword argument")
        return self.array.__dlpack__(**options)


@pytest.mark.parametrize("old", [False, True])
def test_any_producer(old: bool) -> None:
    x = ca.arange(6.0).reshape(2, 3)
    y = ca.from_dlpack(Wrapped(x, old))
    assert y.pointer == x.pointer
    assert ca.asarray(Wrapped(x, old)).pointer == x.pointer
    assert ca.array(Wrapped(x, old)).pointer != x.pointer
    assert_same(x + Wrapped(x, old), 2 * np.arange(6.0).reshape(2, 3))
    assert_same(ca.from_dlpack(Wrapped(np.arange(3), False)), np.arange(3))


def test_producers_that_are_refused() -> None:
    class Elsewhere(Wrapped):
        def __dlpack_device__(self) -> tuple[int, int]:
            return (7, 0)  # Vulkan

    with pytest.raises(BufferError):
        ca.from_dlpack(Elsewhere(ca.arange(3)))
    with pytest.raises(TypeError, match="__dlpack__"):
        ca.from_dlpack([1, 2])
    with pytest.raises(ValueError, match="device"):
        ca.from_dlpack(np.arange(3), device="nowhere")

    class Broken(Wrapped):
        def __dlpack__(self, **options: Any) -> Any:
            raise RuntimeError("no capsule today")

    with pytest.raises(RuntimeError, match="today"):
        ca.from_dlpack(Broken(ca.arange(3)))


def test_cuda_array_interface() -> None:
    x = ca.arange(6.0).reshape(2, 3)
    if on_cpu():
        with pytest.raises(AttributeError, match="host"):
            x.__cuda_array_interface__
        assert not hasattr(x, "__cuda_array_interface__")
        return

    class Foreign:
        __cuda_array_interface__ = x.T.__cuda_array_interface__
        keep = x

    y = ca.asarray(Foreign())
    assert y.pointer == x.pointer
    assert_same(y, np.arange(6.0).reshape(2, 3).T)


def test_gpu_memory_on_the_host_backend_is_refused() -> None:
    if not on_cpu():
        pytest.skip("about the host backend")

    class Foreign:
        __cuda_array_interface__ = {"version": 3, "shape": (1,), "typestr": "<f8", "data": (4096, False)}

    with pytest.raises(TypeError, match="GPU memory"):
        ca.asarray(Foreign())


def test_numba_cuda_has_a_type_of_its_own_for_arrays() -> None:
    pytest.importorskip("numba_cuda")
    import numba
    import numba.cuda
    from numba.cuda.typing.typeof import typeof

    x = ca.ones((3, 4), "float32")
    assert typeof(x) == numba.types.Array(numba.float32, 2, "C")
    assert typeof(x.T) == numba.types.Array(numba.float32, 2, "F")
    assert typeof(ca.broadcast_to(x, (2, 3, 4))) == numba.types.Array(numba.float32, 3, "A", readonly=True)
    assert numba.typeof(x) != typeof(x)
