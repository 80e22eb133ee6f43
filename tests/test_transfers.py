"""What passes between the CPU and the device besides launches: a few bytes, and large arrays that the CPU looks at."""

from __future__ import annotations

import ctypes
import functools
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from comparison import assert_same

import cuarray as ca
from cuarray import _runtime
from cuarray._runtime import native

LARGE = 1 << 20  # items: more bytes than are left to page faults

VOID, SIZE, INT = ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int


class Driver:
    """CUDA's functions as kernels/transfers.hpp calls them, over the CPU's memory: what is written arrives late."""

    def __init__(self) -> None:
        self.calls: list[tuple[Any, ...]] = []
        self.pending: list[tuple[int, int, int]] = []
        self.memory: list[Any] = []
        self.capturing = False
        self.fails_after: int | None = None
        self.lock = threading.RLock()
        signatures = (
            (self.to_host, VOID, VOID, SIZE, VOID),
            (self.to_device, VOID, VOID, SIZE, VOID),
            (self.synchronize, VOID),
            (self.allocate, ctypes.POINTER(VOID), SIZE, INT),
            (self.create_event, ctypes.POINTER(VOID), INT),
            (self.record_event, VOID, VOID),
            (self.synchronize, VOID),
            (self.is_capturing, VOID, ctypes.POINTER(INT)),
            (self.set_context, VOID),
            (self.prefetch, VOID, SIZE, INT, VOID),
        )
        self.functions = [ctypes.CFUNCTYPE(INT, *types)(function) for function, *types in signatures]
        self.addresses = (VOID * len(signatures))(*(ctypes.cast(f, VOID).value for f in self.functions))

    def to_host(self, to: int, source: int, nbytes: int, stream: int | None) -> int:
        self.synchronize(stream)
        ctypes.memmove(to, source, nbytes)
        return 0

    def to_device(self, to: int, source: int, nbytes: int, stream: int | None) -> int:
        if self.fails_after is not None:
            self.fails_after -= 1
            if self.fails_after <= 0:
                return 719
        with self.lock:
            self.pending.append((to, source, nbytes))
        return 0

    def synchronize(self, stream: int | None) -> int:
        with self.lock:
            self.calls.append(("synchronize",))
            for to, source, nbytes in self.pending:
                ctypes.memmove(to, source, nbytes)
            self.pending.clear()
        return 0

    def allocate(self, out: Any, nbytes: int, flags: int) -> int:
        self.memory.append(ctypes.create_string_buffer(nbytes))
        out[0] = ctypes.addressof(self.memory[-1])
        return 0

    def create_event(self, out: Any, flags: int) -> int:
        out[0] = 1
        return 0

    def record_event(self, event: int, stream: int | None) -> int:
        return 0

    def prefetch(self, pointer: int, nbytes: int, device: int, stream: int | None) -> int:
        self.calls.append(("prefetch", pointer, nbytes, device))
        return 0

    def is_capturing(self, stream: int | None, out: Any) -> int:
        out[0] = int(self.capturing)
        return 0

    def set_context(self, context: int) -> int:
        assert context == 7
        self.calls.append(("set_context",))
        return 0

    def prefetched(self) -> list[tuple[Any, ...]]:
        found = [call[1:] for call in self.calls if call[0] == "prefetch"]
        self.calls.clear()
        return found


@functools.cache
def _fakes() -> SimpleNamespace:
    """Once in a process, which keeps pinned memory for good."""
    return SimpleNamespace(driver=Driver(), functions=native.functions("transfer_"))


@pytest.fixture
def fakes() -> SimpleNamespace:
    return _fakes()


@pytest.fixture
def driver(fakes: SimpleNamespace) -> Iterator[Driver]:
    if not _runtime.get().host_is_device:
        pytest.skip("the driver is needed")
    fakes.functions.set(ctypes.addressof(fakes.driver.addresses), 7, 3)
    try:
        yield fakes.driver
    finally:
        nothing = (VOID * len(fakes.driver.functions))()
        fakes.functions.set(ctypes.addressof(nothing), 0, 0)


def test_what_is_written_may_change_at_once(driver: Driver, fakes: SimpleNamespace) -> None:
    """More pieces than there are places, each from the same memory, which is then written to again."""
    targets = np.zeros((50, 1000), np.int32)
    source = np.empty(1000, np.int32)
    for k, target in enumerate(targets):
        source[:] = k
        assert fakes.functions.write(target.ctypes.data, source.ctypes.data, source.nbytes, 0) == 0
    out = np.empty(1000, np.int32)
    assert fakes.functions.read(targets[49].ctypes.data, out.ctypes.data, out.nbytes, 0) == 0
    assert (out == 49).all() and (targets == np.arange(50)[:, None]).all()


@pytest.mark.parametrize("nbytes", [1, 1 << 16, (1 << 16) + 1, 1 << 21, (1 << 21) + 1, 100_000_001])
def test_large_pieces_by_several_threads(driver: Driver, fakes: SimpleNamespace, nbytes: int) -> None:
    for seed in range(2):
        source = np.random.default_rng(seed).integers(0, 256, nbytes, np.uint8)
        target, expected = np.zeros(nbytes + 2, np.uint8), np.pad(source, 1)
        assert fakes.functions.write(target.ctypes.data + 1, source.ctypes.data, nbytes, 0) == 0
        source[:] = 0
        driver.synchronize(0)
        assert (target == expected).all()


def test_a_failing_driver(driver: Driver, fakes: SimpleNamespace) -> None:
    """What went wrong is returned, and the next piece goes well."""
    source, target = np.ones(10_000_000, np.uint8), np.zeros(10_000_000, np.uint8)
    for failing in (1, 2, 3):
        driver.fails_after = failing
        assert fakes.functions.write(target.ctypes.data, source.ctypes.data, source.nbytes, 0) == 719
        driver.fails_after = None
        assert fakes.functions.write(target.ctypes.data, source.ctypes.data, source.nbytes, 0) == 0
        driver.synchronize(0)
        assert target.all()
        target[:] = 0


def test_lent_arrays_are_taken_back_by_the_first_launch(driver: Driver, fakes: SimpleNamespace) -> None:
    x, y = ca.ones(LARGE, "float32"), ca.ones(100, "float32")
    x[5:] + 1, y + 1  # from here on C++ launches
    driver.calls.clear()
    fakes.functions.lend(x._pointer, x.nbytes, 0)
    assert driver.prefetched() == [(x._pointer, x.nbytes, -1)]
    y + 1
    assert driver.prefetched() == []
    x[5:] + 1
    assert driver.prefetched() == [(x._pointer, x.nbytes, 3)]
    x[5:] + 1
    assert driver.prefetched() == []


def test_lent_arrays_of_users_kernels(driver: Driver, fakes: SimpleNamespace) -> None:
    fill = ca.cudadef("__global__ void fill(float* x, long n) { x[0] = n; }", name="lent").fill
    x, y = ca.zeros(LARGE, "float32"), ca.zeros(1, "float32")
    fill[1, 1](x, 3)
    fakes.functions.lend(x._pointer, x.nbytes, 0)
    driver.calls.clear()
    fill[1, 1](y, x._pointer)  # a number is no address
    assert driver.prefetched() == []
    fill[1, 1](x, 3)
    assert driver.prefetched() == [(x._pointer, x.nbytes, 3)]


def test_graphs_take_nothing_back(driver: Driver, fakes: SimpleNamespace) -> None:
    x = ca.ones(LARGE, "float32")
    x + 1
    fakes.functions.lend(x._pointer, x.nbytes, 0)
    driver.calls.clear()
    driver.capturing = True
    x + 1
    assert driver.prefetched() == []
    driver.capturing = False
    x + 1
    assert driver.prefetched() == [(x._pointer, x.nbytes, 3)]


def test_small_and_many_arrays(driver: Driver, fakes: SimpleNamespace) -> None:
    fakes.functions.lend(1 << 30, 100, 0)
    assert driver.prefetched() == []  # page faults do as well
    for k in range(100):
        fakes.functions.lend((k + 1) << 32, 1 << 20, 0)
    driver.calls.clear()
    x = ca.ones(LARGE, "float32")
    fakes.functions.lend(x._pointer, x.nbytes, 0)
    fakes.functions.lend(x._pointer, x.nbytes, 0)
    driver.calls.clear()
    x + 1
    assert driver.prefetched() == [(x._pointer, x.nbytes, 3)]


# ---- on any backend
def test_values_are_right_whoever_wrote_last() -> None:
    x = ca.zeros(LARGE, "int64")
    expected = np.zeros(LARGE, np.int64)
    for k in range(5):
        host = np.asarray(x)
        host[k::1000] += 1
        expected[k::1000] += 1
        x += 1
        expected += 1
        assert_same(x[::997] * 2, expected[::997] * 2)
        assert int(x[k]) == expected[k]
    assert_same(x, expected)


@pytest.mark.parametrize("n", [1, 100, 1 << 14, (1 << 14) + 1, 1 << 20])
def test_arrays_from_numpy_of_any_size(n: int) -> None:
    source = np.arange(n, dtype=np.float32)
    made = []
    for k in range(20):
        source += k
        made.append((ca.array(source), source.copy()))
    for found, expected in made:
        assert_same(found, expected)
        assert found[-1].item() == expected[-1]


def test_threads_read_their_own() -> None:
    def work(seed: int) -> bool:
        x = ca.array(np.arange(seed, seed + 64))
        return all((x + k)[k].item() == seed + 2 * k for k in range(64))

    with ThreadPoolExecutor(24) as pool:
        assert all(pool.map(work, range(48)))
