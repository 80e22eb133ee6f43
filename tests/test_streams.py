"""Streams, events and graphs: order, waiting, what a graph keeps, and when memory may be used again."""

from __future__ import annotations

import ctypes
import gc
import os
import subprocess
import sys
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from comparison import assert_same
from hypothesis import given
from hypothesis import strategies as st
from numba import njit

import cuarray as ca
from cuarray import _runtime
from cuarray._runtime import cling, native

SLOW = r"""
__global__ void slow_fill(double* x, int n, double value, int rounds) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  double y = value;
  for (int k = 0; k < rounds; ++k) y = y * 0.5 + value * 0.5;
  x[i] = y;
}
template <class T> __global__ void add(const T* x, T* y, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) y[i] += x[i];
}
"""
mod = ca.cudadef(SLOW, name="streams")
N = 1 << 14
# Long enough on a GPU that what does not wait comes too early.
ROUNDS = 200_000 if ca.cuda.is_available() else 20


def slow_full(value: float) -> ca.CuArray:
    x = ca.empty(N)
    mod.slow_fill[N // 128, 128](x, N, value, ROUNDS)
    return x


# ---- the current stream


def test_with_makes_a_stream_current() -> None:
    first, second = ca.cuda.Stream(), ca.cuda.Stream(non_blocking=True, priority=-1)
    assert ca.cuda.current_stream() is not first and ca.cuda.current_stream() == ca.cuda.default_stream
    with first:
        assert ca.cuda.current_stream() is first
        with second, first:
            assert ca.cuda.current_stream() is first
        with pytest.raises(KeyError), second:
            raise KeyError
        with ca.cuda.default_stream:
            assert ca.cuda.current_stream() == ca.cuda.default_stream
            assert _runtime.get().stream == 0
        assert ca.cuda.current_stream() is first
    assert ca.cuda.current_stream() == ca.cuda.default_stream


def test_native_code_sees_the_current_stream() -> None:
    cling.define('#include "current_stream.hpp"', "a test")
    runtime = _runtime.get()
    stream = ca.cuda.Stream()
    with stream:
        assert runtime.stream == stream.handle
        assert int(cling.evaluate("ca::get_current_stream()", "a test")) == stream.handle
    assert int(cling.evaluate("ca::get_current_stream()", "a test")) == 0
    # One variable, whichever compiler made the code that asks.
    assert native.function("current_stream_cell")() == cling.evaluate("ca::current_stream_place()", "a test")


def test_every_thread_has_its_own() -> None:
    seen: list[Any] = []
    barrier = threading.Barrier(4)

    def work() -> None:
        stream = ca.cuda.Stream()
        before = ca.cuda.current_stream()
        with stream:
            barrier.wait()
            x = slow_full(1.5)
            for _ in range(20):
                x = x + 1
            seen.append((before == ca.cuda.default_stream, ca.cuda.current_stream() is stream, x.tolist()))

    threads = [threading.Thread(target=work) for _ in range(4)]
    with ca.cuda.Stream():
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert seen == [(True, True, [21.5] * N)] * 4


def test_streams_are_values() -> None:
    stream = ca.cuda.Stream()
    other = ca.cuda.Stream()
    assert stream != other and stream == ca.cuda.Stream.from_handle(stream.handle, stream) and stream != 5
    assert len({stream, other, ca.cuda.as_stream(stream.handle)}) == 2
    assert stream.__cuda_stream__() == (0, stream.handle)
    assert ca.cuda.default_stream.handle == 1 and "default" in repr(ca.cuda.default_stream)
    with pytest.raises(TypeError, match="pickle"):
        import pickle

        pickle.dumps(stream)


@pytest.mark.parametrize(
    "wrap",
    [
        lambda h: h,
        lambda h: np.int64(h),
        lambda h: SimpleNamespace(__cuda_stream__=lambda: (0, h)),
        lambda h: SimpleNamespace(__cuda_stream__=(0, h)),
        lambda h: SimpleNamespace(cuda_stream=h),
        lambda h: SimpleNamespace(ptr=h),
        lambda h: SimpleNamespace(handle=h),
    ],
)
def test_streams_of_other_libraries(wrap: Any) -> None:
    stream = ca.cuda.Stream()
    theirs = wrap(stream.handle)
    ours = ca.cuda.as_stream(theirs)
    assert ours == stream
    with ours:
        x = slow_full(3.0)
    ca.cuda.default_stream.wait(theirs)
    assert_same(x + 1, np.full(N, 4.0))
    assert ca.cuda.as_stream(wrap(0)) == ca.cuda.as_stream(wrap(1)) == ca.cuda.default_stream


def test_what_is_no_stream() -> None:
    for nothing in ("1", None, object(), 1.5j):
        with pytest.raises(TypeError, match="stream must be"):
            ca.cuda.as_stream(nothing)
    with pytest.raises(ValueError, match="per-thread"):
        ca.cuda.as_stream(2)
    with pytest.raises(ValueError, match="negative"):
        ca.cuda.as_stream(-1)
    least, greatest = ca.cuda.default_stream.priority_range
    assert ca.cuda.Stream(priority=greatest).handle
    for priority in (least + 1, greatest - 1):
        with pytest.raises(ValueError, match="priority must be"):
            ca.cuda.Stream(priority=priority)


# ---- order


@pytest.mark.parametrize("non_blocking", [False, True])
def test_wait_orders_streams(non_blocking: bool) -> None:
    first, second = (ca.cuda.Stream(non_blocking=non_blocking) for _ in range(2))
    with first:
        x = slow_full(2.0)
        event = first.record()
        later = x + 1
    with second:
        second.wait(event)
        y = x * 3
    second.synchronize()
    assert event.is_done and second.is_done
    with second:
        assert_same(y, np.full(N, 6.0))
    with first:
        assert_same(later, np.full(N, 3.0))


def test_blocking_streams_are_in_order_with_the_default_one() -> None:
    stream = ca.cuda.Stream()
    with stream:
        x = slow_full(2.0)
    y = x + 1
    with stream:
        z = y + 1
    assert_same(z, np.full(N, 4.0))
    with stream:
        x = slow_full(5.0)
    assert x[-1].item() == 5  # a value that is read on the default stream is in order, too
    assert np.asarray(x)[0] == 5


def test_a_kernel_on_a_stream_of_its_own() -> None:
    stream = ca.cuda.Stream(non_blocking=True)
    x = ca.zeros(N)
    stream.wait(ca.cuda.default_stream)
    mod.slow_fill[N // 128, 128, stream](x, N, 7.0, ROUNDS)
    mod.add[N // 128, 128, stream](x, x, N)
    stream.synchronize()
    assert_same(x, np.full(N, 14.0))


def test_synchronize_waits_for_all_streams() -> None:
    streams = [ca.cuda.Stream(non_blocking=bool(i % 2)) for i in range(4)]
    arrays = []
    for i, stream in enumerate(streams):
        with stream:
            arrays.append(slow_full(float(i)))
    ca.cuda.synchronize()
    assert all(stream.is_done for stream in streams)
    for i, x in enumerate(arrays):
        assert_same(x, np.full(N, float(i)))


STEP = st.tuples(
    st.sampled_from(["add", "scale", "in place", "kernel", "sum", "drop"]),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
    st.integers(0, 3),
)


@given(steps=st.lists(STEP, max_size=40))
def test_programs_on_several_streams(steps: list[tuple]) -> None:
    """Random work with the waits that the rules ask for gives what NumPy gives, whenever arrays are freed."""
    streams = [ca.cuda.default_stream, ca.cuda.Stream(), ca.cuda.Stream(), ca.cuda.Stream(non_blocking=True)]
    expected = [np.full(N, float(i)) for i in range(4)]
    arrays = [slow_full(float(i)) for i in range(4)]
    writer = [0] * 4  # the stream that wrote each array
    users: list[set[int]] = [set() for _ in range(4)]
    for stream in streams[1:]:
        stream.wait(streams[0])
    for what, s, i, j, k in steps:
        stream = streams[s]

        def use(array: int, s: int = s, stream: Any = stream) -> None:
            if writer[array] != s:
                stream.wait(streams[writer[array]])
            users[array].add(s)

        with stream:
            use(i)
            use(j)
            if what in ("in place", "kernel"):
                use(k)
                for user in users[k] - {s}:
                    stream.wait(streams[user])
                if what == "kernel" and k != i:
                    mod.add[N // 128, 128](arrays[i], arrays[k], N)
                    expected[k] = expected[k] + expected[i]
                else:
                    arrays[k] *= 0.5
                    expected[k] = expected[k] * 0.5
            elif what == "add":
                arrays[k] = arrays[i] + arrays[j]
                expected[k] = expected[i] + expected[j]
            elif what == "scale":
                arrays[k] = arrays[i] * 0.25 + 1
                expected[k] = expected[i] * 0.25 + 1
            elif what == "sum":
                arrays[k] = ca.full(N, 1.0) * (arrays[j].sum() / N)
                expected[k] = np.full(N, expected[j].sum() / N)
            else:
                arrays[k] = slow_full(float(j))
                expected[k] = np.full(N, float(j))
            if what not in ("in place", "kernel"):
                users[k] = set()
            users[k].add(s)
            writer[k] = s
    ca.cuda.synchronize()
    for array, want in zip(arrays, expected, strict=True):
        assert_same(array, want)


@pytest.mark.gpu
def test_streams_run_beside_each_other() -> None:
    if not ca.cuda.is_available():
        pytest.skip("CUARRAY_BACKEND=host runs one launch after another")
    x = [ca.zeros(N) for _ in range(4)]
    streams = [ca.cuda.Stream(non_blocking=True) for _ in x]

    def milliseconds(spread: bool) -> float:
        ca.cuda.synchronize()
        start = streams[0].record()
        for i, array in enumerate(x):
            stream = streams[i if spread else 0]
            stream.wait(start)
            mod.slow_fill[1, 128, stream](array, 128, 1.0, 10 * ROUNDS)
        for stream in streams[1:]:
            streams[0].wait(stream)
        return streams[0].record() - start

    milliseconds(True)
    assert milliseconds(True) < 0.6 * milliseconds(False)


@pytest.mark.gpu
@pytest.mark.parametrize("library", ["cupy", "torch"])
def test_work_on_another_librarys_stream(library: str) -> None:
    if not ca.cuda.is_available():
        pytest.skip("CUARRAY_BACKEND=host keeps arrays off the GPU")
    module = pytest.importorskip(library)
    theirs = module.cuda.Stream(non_blocking=True) if library == "cupy" else module.cuda.Stream()
    with ca.cuda.as_stream(theirs):
        x = slow_full(2.0)
    context = theirs if library == "cupy" else module.cuda.stream(theirs)
    with context:
        view = module.from_dlpack(x)
        view += 1
    theirs.synchronize()
    ca.cuda.current_stream().wait(theirs)
    assert_same(x, np.full(N, 3.0))
    ours = ca.cuda.Stream(non_blocking=True)
    with ours:
        y = slow_full(5.0)
        other = module.from_dlpack(y) + 1  # on their default stream, which has to wait for ours
    assert float(other.sum()) == 6.0 * N


# ---- events


def test_events_measure_time() -> None:
    start, middle, end = (ca.cuda.Event() for _ in range(3))
    start.record()
    x = ca.ones(N)
    middle.record()
    for _ in range(20):
        slow_full(1.0)
    end.record()
    assert end - start > middle - start >= 0 and end - middle > 0
    assert ca.cuda.elapsed_time(start, end) == end - start
    assert end.is_done and "recorded" in repr(end)
    assert x[0].item() == 1


def test_events_that_cannot_be_subtracted() -> None:
    recorded = ca.cuda.Event().record()
    with pytest.raises(ca.cuda.CudaError) as error:
        recorded - ca.cuda.Event()
    assert error.value.name == "CUDA_ERROR_INVALID_HANDLE"
    with pytest.raises(ca.cuda.CudaError):
        recorded - ca.cuda.Event(timing=False).record()
    with pytest.raises(TypeError):
        recorded - 1


def test_unrecorded_events_hold_nobody_up() -> None:
    event = ca.cuda.Event(blocking=True)
    event.synchronize()
    ca.cuda.Stream().wait(event)
    assert event.is_done and "not recorded" in repr(event)


def test_events_in_other_threads() -> None:
    event, stream = ca.cuda.Event(), ca.cuda.Stream()
    result: list[Any] = []
    with stream:
        x = slow_full(4.0)
        event.record()

    def work() -> None:
        mine = ca.cuda.Stream(non_blocking=True)
        mine.wait(event)
        with mine:
            result.append((x + 1).tolist())
        event.synchronize()
        result.append(event.is_done)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert result == [[5.0] * N, True]


# ---- graphs


def test_a_graph_replays_its_work() -> None:
    x, total = ca.arange(float(N)), ca.zeros(N)
    expected_x, expected_total = np.arange(float(N)), np.zeros(N)
    with ca.cuda.graph() as graph:
        y = ca.sqrt(x) * 2 + 1
        mod.add[N // 128, 128](y, total, N)
        mean = total.mean()
    assert "ready" in repr(graph)
    assert_same(total, expected_total)  # nothing was run yet
    for step in range(3):
        graph.launch()
        expected_total += np.sqrt(expected_x) * 2 + 1
        assert_same(total, expected_total)
        assert_same(mean, expected_total.mean())
        x += step
        expected_x += step


@given(program=st.lists(st.tuples(st.sampled_from(["+", "*", "matmul", "sum", "view"]), st.integers(1, 3)), max_size=8))
def test_graphs_are_what_direct_calls_are(program: list[tuple[str, int]]) -> None:
    def run(x: Any, np_like: Any) -> Any:
        y = x
        for name, k in program:
            if name == "+":
                y = y + k
            elif name == "*":
                y = y * (1 / k)
            elif name == "matmul":
                y = np_like.matmul(y, y) * 1e-2
            elif name == "sum":
                y = y - y.sum(axis=0) * 0.1
            else:
                y = y.T[::-1]
        return y

    host = np.linspace(0, 1, 64).reshape(8, 8)
    x = ca.array(host)
    with ca.cuda.graph() as graph:
        y = run(x, ca) + 0
    for scale in (1.0, 0.5):
        graph.launch()
        assert_same(y, run(host * scale, np) + 0, rtol=1e-9, atol=1e-12)
        x *= 0.5


def test_arrays_freed_in_a_capture_stay_the_graphs() -> None:
    """x = f(x) drops the array that the captured kernels read."""
    x = ca.full(N, 3.0)
    alive_before = ca.cuda.memory_info().used
    with ca.cuda.graph() as graph:
        for _ in range(4):
            x = x * 2
    pointers = {ca.full(N, -1.0).pointer for _ in range(8)}
    others = [ca.full(N, -1.0) for _ in range(8)]
    graph.launch()
    assert_same(x, np.full(N, 48.0))
    for other in others:
        assert_same(other, np.full(N, -1.0))
    assert x.pointer not in pointers
    assert ca.cuda.memory_info().used >= alive_before + (4 + 8) * 8 * N
    del graph, others, other
    gc.collect()
    ca.cuda.synchronize()
    assert_same(x, np.full(N, 48.0))  # live arrays outlive the graph
    assert ca.cuda.memory_info().used <= alive_before


def test_a_result_dropped_after_the_capture_stays_the_graphs() -> None:
    x = ca.ones(N)
    with ca.cuda.graph() as graph:
        y = x + 1
        z = y * 2
    pointer = y.pointer
    del y
    kept = [ca.zeros(N) for _ in range(20)]
    assert pointer not in [array.pointer for array in kept]
    graph.launch()
    assert_same(z, np.full(N, 4.0))
    for array in kept:
        assert_same(array, np.zeros(N))


def test_a_capture_takes_memory_whose_work_is_done() -> None:
    """What a graph was given when it was captured may still be written by work that was queued before."""
    for _ in range(4):
        slow_full(9.0)
    with ca.cuda.graph() as graph:
        x = ca.zeros(N)
    with ca.cuda.Stream(non_blocking=True):
        graph.launch()
        assert_same(x, np.zeros(N))


@pytest.mark.parametrize(
    "read",
    [
        lambda x: x[0].item(),
        lambda x: float(x.sum()),
        np.asarray,
        str,
        lambda x: x.tolist(),
        lambda x: ca.array([1.0, 2.0]),
        lambda x: ca.cuda.synchronize(),
        lambda x: ca.cuda.current_stream().synchronize(),
        lambda x: ca.cuda.current_stream().is_done,
        lambda x: x.__dlpack__(),
        lambda x: ca.cuda.trim(),
    ],
)
def test_nothing_waits_in_a_capture(read: Any) -> None:
    x = ca.ones(4)
    with ca.cuda.graph() as graph:
        with pytest.raises(ca.cuda.CudaError, match="while a graph is captured") as error:
            read(x)
        y = x + 1
    assert error.value.name == "CUDA_ERROR_STREAM_CAPTURE_UNSUPPORTED"
    graph.launch()  # the capture goes on
    assert_same(y, np.full(4, 2.0))
    read(x)


def test_a_failed_capture_leaves_nothing_behind() -> None:
    gc.collect()  # or what earlier tests left is counted, and gone later
    used = ca.cuda.memory_info().used
    with pytest.raises(KeyError), ca.cuda.graph() as graph:
        x = ca.ones(N)
        del x
        raise KeyError
    assert ca.cuda.current_stream() == ca.cuda.default_stream
    assert ca.cuda.memory_info().used == used
    with pytest.raises(RuntimeError, match="not captured"):
        graph.launch()
    with pytest.raises(RuntimeError, match="once"):
        graph.__enter__()
    assert_same(ca.ones(3) + 1, np.full(3, 2.0))


def test_other_threads_work_during_a_capture() -> None:
    result: list[Any] = []
    x = ca.ones(N)
    with ca.cuda.graph() as graph:
        thread = threading.Thread(target=lambda: result.append((ca.full(N, 2.0) + 1).tolist()))
        thread.start()
        thread.join()
        x += 1
    assert result == [[3.0] * N]
    assert_same(x, np.ones(N))
    graph.launch()
    assert_same(x, np.full(N, 2.0))


def test_streams_join_a_capture() -> None:
    x = ca.ones(N)
    first, second = ca.cuda.Stream(non_blocking=True), ca.cuda.Stream(non_blocking=True)
    with first.capture() as graph:
        a = x + 1
        second.wait(first)
        with second:
            b = a * 2
        c = a * 3
        done = second.record()
        first.wait(done)
        d = b + c
    assert_same(x, np.ones(N))
    graph.launch()
    assert_same(d, np.full(N, 10.0))
    with second:
        assert_same(ca.ones(3) + 1, np.full(3, 2.0))  # not captured any more
    for use in (done.synchronize, lambda: done.is_done, lambda: first.wait(done)):
        with pytest.raises(ca.cuda.CudaError) as error:
            use()
        assert error.value.name == "CUDA_ERROR_CAPTURED_EVENT"


def test_waits_that_a_graph_cannot_hold() -> None:
    outside = ca.cuda.default_stream.record()
    with ca.cuda.graph():
        with pytest.raises(ca.cuda.CudaError, match="outside of the graph"):
            ca.cuda.current_stream().wait(outside)
        with pytest.raises(ca.cuda.CudaError, match="default stream"):
            ca.cuda.default_stream.wait(ca.cuda.current_stream())
    with pytest.raises(ValueError, match="default stream"):
        ca.cuda.graph(ca.cuda.default_stream)
    stream = ca.cuda.Stream(non_blocking=True)
    with ca.cuda.graph(stream), pytest.raises(RuntimeError, match="already"):
        stream.capture().__enter__()


def test_graphs_in_graphs() -> None:
    x = ca.zeros(N)
    with ca.cuda.graph() as inner:
        temporary = x + 1
        x += temporary
    with ca.cuda.graph() as outer:
        for _ in range(3):
            inner.launch()
        x *= 10
    del inner, temporary
    gc.collect()
    others = [ca.full(N, -1.0) for _ in range(4)]
    outer.launch()
    assert_same(x, np.full(N, 70.0))
    outer.launch()
    assert_same(x, np.full(N, 5670.0))
    for other in others:
        assert_same(other, np.full(N, -1.0))


def test_launches_from_njit_are_captured() -> None:
    @njit
    def twice(x, y, stream):
        mod.add[x.size // 128, 128, stream](x, y, x.size)
        mod.add[x.size // 128, 128, stream](x, y, x.size)

    x, y = ca.ones(N), ca.zeros(N)
    stream = ca.cuda.Stream(non_blocking=True)
    twice(x, y, 0)
    with stream.capture() as graph:
        twice(x, y, stream.handle)
    assert_same(y, np.full(N, 2.0))
    graph.launch()
    assert_same(y, np.full(N, 4.0))


def test_graphs_are_launched_on_any_stream() -> None:
    x = ca.zeros(N)
    with ca.cuda.graph() as graph:
        x += 1
    stream = ca.cuda.Stream(non_blocking=True)
    stream.wait(ca.cuda.default_stream)
    graph.launch(stream)
    with stream:
        graph.launch()
        assert_same(x, np.full(N, 2.0))


# ---- memory


FAKE_DRIVER = r"""
#include "memory_pool.hpp"
namespace fake {
// Streams whose work is done at once, or only when they are said to be idle.
inline std::map<unsigned long, bool>& busy() { static auto* all = new std::map<unsigned long, bool>; return *all; }
inline std::map<unsigned long, unsigned long>& events() {
  static auto* all = new std::map<unsigned long, unsigned long>;
  return *all;
}
inline int create(void** event, unsigned) {
  static unsigned long next = 0;
  *event = reinterpret_cast<void*>(++next);
  return 0;
}
inline int record(void* event, void* stream) {
  events()[(unsigned long)event] = (unsigned long)stream;
  return 0;
}
inline int query(void* event) { return busy()[events()[(unsigned long)event]] ? 600 : 0; }
inline int synchronize(void* event) { busy()[events()[(unsigned long)event]] = false; return 0; }
inline int destroy(void* event) { events().erase((unsigned long)event); return 0; }
inline void set_busy(unsigned long stream, bool value) { busy()[stream] = value; }
inline unsigned long event_count() { return events().size(); }
inline unsigned long& stream_of(int which) { static unsigned long streams[2] = {}; return streams[which]; }
inline unsigned long filled_on() { return stream_of(0); }
inline unsigned long waited_for() { return stream_of(1); }
inline int fill(unsigned long pointer, unsigned char value, unsigned long bytes, void* stream) {
  __builtin_memset((void*)pointer, value, bytes);
  stream_of(0) = (unsigned long)stream;
  return 0;
}
inline int wait(void* stream) {
  stream_of(1) = (unsigned long)stream;
  return 0;
}
}
"""


class FakePool:
    """The pool over a driver whose streams are as slow as the test wants."""

    def __init__(self) -> None:
        _runtime.get()
        cling.define_once("fake driver", FAKE_DRIVER, "the fake driver")
        self.ca, self.fake = cling.interpreter().gbl.ca, cling.interpreter().gbl.fake
        host = [cling.evaluate(f"&::ca::{name}", "the pool") for name in ("host_allocate", "host_release")]
        self.pool = int(self.ca.pool_create(*host, 0, 1 << 28, True))
        names = ("create", "record", "query", "synchronize", "destroy")
        self.ca.pool_set_events(self.pool, *(cling.evaluate(f"&::fake::{name}", "the fake driver") for name in names))
        self.fake.busy().clear()
        self.fake.events().clear()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self.ca, f"pool_{name}")
        return lambda *arguments: function(self.pool, *arguments)

    def on(self, stream: int, function: Any, *arguments: int) -> Any:
        """Call with a stream current."""
        runtime = _runtime.get()
        before, runtime.stream = runtime.stream, stream
        try:
            return function(*arguments)
        finally:
            runtime.stream = before

    def take(self, stream: int, count: int = 1) -> list[int]:
        return [int(self.on(stream, self.allocate, 1000)) for _ in range(count)]


A, B = 0x1000, 0x2000  # streams


def test_blocks_go_back_to_their_stream() -> None:
    pool = FakePool()
    pool.add_stream(A, True)
    (mine,) = pool.take(A)
    (default,) = pool.take(0)
    pool.on(0, pool.free, mine, 1000)  # freed with another stream current
    pool.free(default, 1000)
    assert pool.take(0) == [default] and pool.take(A) == [mine]
    assert pool.fake.event_count() == 0  # a blocking stream and the default one need no events


ZEROED = 4096


def scratch_bytes(pointer: int) -> np.ndarray:
    return np.ctypeslib.as_array((ctypes.c_ubyte * ZEROED).from_address(pointer))


def test_scratch_blocks_begin_with_zeros() -> None:
    """Whatever memory they come from; they are no ordinary blocks again, nor those scratch blocks."""
    pool = FakePool()
    used = int(pool.allocate(9000))
    scratch_bytes(used)[:] = 7
    pool.free(used, 9000)
    first, second = int(pool.allocate_scratch(9000)), int(pool.allocate_scratch(100))
    assert used not in (first, second)
    for block in (first, second):
        assert not scratch_bytes(block).any()
    pool.free_scratch(first, 9000)
    pool.free_scratch(second, 100)
    assert int(pool.allocate(9000)) == used
    assert int(pool.allocate(9000)) != first
    assert int(pool.allocate_scratch(9000)) == first and int(pool.allocate_scratch(ZEROED)) == second


def test_scratch_blocks_go_back_to_their_stream_and_wait_for_others() -> None:
    pool = FakePool()
    pool.add_stream(A, True)
    block = int(pool.on(A, pool.allocate_scratch, 5000))
    pool.free_scratch(block, 5000)
    assert int(pool.on(A, pool.allocate_scratch, 5000)) == block
    pool.add_stream(B, False)
    pool.fake.set_busy(B, True)
    pool.free_scratch(block, 5000)
    assert int(pool.on(A, pool.allocate_scratch, 5000)) != block
    pool.fake.set_busy(B, False)
    assert block in [int(pool.on(A, pool.allocate_scratch, 5000)) for _ in range(2)]


def test_scratch_blocks_are_filled_in_order_with_their_use() -> None:
    """On the stream that uses them; while it is captured, on another one and at once, for the graph must not do it."""
    pool = FakePool()
    fills = [cling.evaluate(f"&::fake::{name}", "the fake driver") for name in ("fill", "wait")]
    pool.set_fills(*fills, 0, 0)
    pool.add_stream(A, True)
    pool.on(A, pool.allocate_scratch, 5000)
    assert (pool.fake.filled_on(), pool.fake.waited_for()) == (A, 0)
    capture = int(pool.begin_capture())
    pool.join_capture(capture, A)
    block = int(pool.on(A, pool.allocate_scratch, 5000))
    assert pool.fake.filled_on() == pool.fake.waited_for() == 2
    pool.on(A, pool.free_scratch, block, 5000)
    pool.leave_capture(A)
    assert int(pool.allocate_scratch(5000)) != block  # the graph's
    pool.release_capture(capture)
    assert int(pool.allocate_scratch(5000)) == block


def test_new_memory_is_brought_to_the_device() -> None:
    """Once, in order with the stream it is first used on; but not while a graph is captured."""
    calls = []
    prefetch = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_void_p)(
        lambda *call: calls.append(call) or 0
    )
    pool = FakePool()
    pool.set_fills(0, 0, ctypes.cast(prefetch, ctypes.c_void_p).value, 5)
    pool.add_stream(A, True)
    block = int(pool.on(A, pool.allocate, 4 << 20))
    assert calls == [(block, 4 << 20, 5, A)]
    pool.free(block, 4 << 20)
    assert int(pool.on(A, pool.allocate, 4 << 20)) == block and len(calls) == 1
    small = int(pool.allocate(100))
    slab, nbytes, device, stream = calls[1]
    assert slab <= small < slab + nbytes and (device, stream) == (5, None)
    pool.allocate(100)
    capture = int(pool.begin_capture())
    pool.join_capture(capture, A)
    pool.on(A, pool.allocate, 8 << 20)
    assert len(calls) == 2
    pool.leave_capture(A)
    pool.release_capture(capture)


def test_large_and_trimmed_scratch_blocks() -> None:
    pool = FakePool()
    blocks = [(int(pool.allocate_scratch(size)), size) for size in (5000, 3 << 20, 40 << 20)]
    out = np.zeros(5, np.uint64)
    for block, size in blocks:
        assert not scratch_bytes(block).any()
        pool.free_scratch(block, size)
    assert int(pool.allocate_scratch(3 << 20)) == blocks[1][0]
    pool.free_scratch(blocks[1][0], 3 << 20)
    pool.trim()
    pool.statistics(out)
    assert out[0] == out[1] == 0  # nothing in use, and everything given back


@pytest.mark.parametrize("owner, other, other_blocking", [(A, B, True), (0, B, False), (A, B, False)])
def test_a_block_waits_for_the_other_streams(owner: int, other: int, other_blocking: bool) -> None:
    pool = FakePool()
    if owner:
        pool.add_stream(owner, True)
    pool.add_stream(other, other_blocking)
    pool.fake.set_busy(other, True)
    (block,) = pool.take(owner)
    pool.free(block, 1000)
    assert block not in pool.take(owner, 5) + pool.take(other, 5)
    pool.fake.set_busy(other, False)
    assert block in pool.take(owner, 2)
    pool.remove_stream(other)


def test_a_non_blocking_streams_blocks_wait_for_the_default_stream() -> None:
    pool = FakePool()
    pool.add_stream(A, False)
    pool.fake.set_busy(0, True)
    (block,) = pool.take(A)
    pool.free(block, 1000)
    assert block not in pool.take(A, 5)
    pool.fake.set_busy(0, False)
    assert block in pool.take(A, 2)


def test_a_stream_that_is_gone_still_has_work() -> None:
    pool = FakePool()
    pool.add_stream(A, True)
    pool.add_stream(A, True)
    pool.fake.set_busy(A, True)
    blocks = pool.take(A, 3)
    default = pool.take(0, 1)
    pool.free(blocks[0], 1000)
    pool.remove_stream(A)
    assert pool.take(A) == [blocks[0]]  # in use by another
    pool.free(blocks[0], 1000)
    pool.remove_stream(A)
    pool.free(blocks[1], 1000)
    pool.free(default[0], 1000)
    assert not {*blocks, *default} & {*pool.take(0, 6)}
    pool.fake.set_busy(A, False)
    assert {*pool.take(0, 4)} >= {blocks[0], blocks[1], default[0]}
    assert pool.fake.event_count() == 0


def test_the_limit_makes_the_pool_wait() -> None:
    pool = FakePool()
    pool.add_stream(A, False)
    pool.set_limit(64 << 20)
    big = 40 << 20
    block = int(pool.allocate(big))
    pool.fake.set_busy(A, True)
    pool.free(block, big)
    assert pool.allocate(big)  # after an event of A, which this waited for
    assert not pool.allocate(big)
    assert pool.last_error() == 2


def test_no_events_while_a_stream_is_captured() -> None:
    pool = FakePool()
    pool.add_stream(A, False)
    capture = pool.begin_capture()
    pool.join_capture(capture, A)
    (block,) = pool.take(0)
    pool.free(block, 1000)
    inside = pool.take(A, 3)
    pool.on(A, pool.free, inside[0], 1000)
    pool.free(inside[1], 1000)
    assert block not in pool.take(0, 3) and pool.fake.event_count() == 0
    pool.leave_capture(A)
    assert not {*inside} & {*pool.take(0, 6)} and block not in inside
    pool.release_capture(capture)
    pool.free(inside[2], 1000)
    assert {*inside} <= {*pool.take(0, 6)}


@given(steps=st.lists(st.tuples(st.sampled_from("aafbi"), st.integers(0, 3), st.integers(0, 9)), max_size=60))
def test_no_block_is_used_twice(steps: list[tuple[str, int, int]]) -> None:
    """A block is handed out only when it is not live and no stream is behind that had work when it was freed."""
    pool = FakePool()
    streams, blocking = [0, A, B, 0x3000], [True, True, True, False]
    for stream, blocks in zip(streams[1:], blocking[1:], strict=True):
        pool.add_stream(stream, blocks)
    live: list[tuple[int, int]] = []
    barred: dict[int, set[int]] = {}  # freed block -> streams that were busy then, and are not in order with its owner
    busy: set[int] = set()

    def unordered(owner: int) -> set[int]:
        return {
            s for s in range(4) if s != owner and not ((s == 0 and blocking[owner]) or (owner == 0 and blocking[s]))
        }

    for what, s, n in steps:
        if what == "a":
            (block,) = pool.take(streams[s])
            assert block not in [pointer for pointer, _ in live]
            assert not barred.pop(block, set()) & busy
            live.append((block, s))
        elif what == "f" and live:
            block, owner = live.pop(n % len(live))
            pool.on(streams[s], pool.free, block, 1000)
            barred[block] = unordered(owner) & busy
        elif what in "bi":
            (busy.add if what == "b" else busy.discard)(s)
            pool.fake.set_busy(streams[s], what == "b")
            if what == "i":
                for pending in barred.values():
                    pending.discard(s)
    used = np.zeros(5, np.uint64)
    pool.statistics(used)
    assert used[4] == len(live)


# ---- exchange, lifetimes


def test_consumers_streams_are_made_to_wait() -> None:
    stream, theirs = ca.cuda.Stream(), ca.cuda.Stream(non_blocking=True)
    with stream:
        x = slow_full(6.0)
        if ca.cuda.is_available():
            assert x.__cuda_array_interface__["stream"] == stream.handle
            capsule_for: Any = theirs.handle
        else:
            capsule_for = None

        class Wrapped:
            def __dlpack_device__(self) -> Any:
                return x.__dlpack_device__()

            def __dlpack__(self, **options: Any) -> Any:
                if capsule_for is not None:
                    assert options["stream"] == theirs.handle
                    options["stream"] = capsule_for
                with stream:
                    return x.__dlpack__(**options)

        with theirs:
            y = ca.from_dlpack(Wrapped())
            z = y + 1
    with theirs:
        assert_same(z, np.full(N, 7.0))


def test_streams_events_and_graphs_go_with_the_process() -> None:
    code = """
import cuarray as ca
stream, event = ca.cuda.Stream(), ca.cuda.Event().record()
x = ca.ones(1000)
with stream.capture() as graph:
    y = x + 1
graph.launch(stream)
stream.__enter__()
class Late:
    def __init__(self): self.kept = (ca.cuda.Stream(), ca.cuda.Event().record(), graph, ca.ones(3))
    def __del__(self): self.kept = None
ca.late = Late()
print(float(y.sum()))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env=os.environ)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "2000.0", "")


def test_streams_and_events_are_destroyed() -> None:
    runtime = _runtime.get()
    gc.collect()
    before = len(runtime._streams)
    for _ in range(50):
        with ca.cuda.Stream() as stream:
            x = ca.ones(100)
            ca.cuda.Event().record()
        with stream.capture() as graph:
            x += 1
        graph.launch(stream)
    del stream, graph
    gc.collect()
    assert len(runtime._streams) == before and not runtime.captures
    assert_same(x, np.full(100, 2.0))
