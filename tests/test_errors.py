"""Bad input ends in an exception that says what was wrong; the process, and the other arrays, go on."""

from __future__ import annotations

import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same

import cuarray as ca
from cuarray import _runtime
from cuarray._errors import CudaError, OutOfMemoryError

X = np.ones((2, 3))
BAD_CALLS: list[tuple[Callable[[], Any], type[Exception], str]] = [
    # the argument's name or the function's stands in the message
    (lambda: ca.add(ca.ones(3)), TypeError, "add"),
    (lambda: ca.add(ca.ones(3), None), TypeError, "add: operand 2"),
    (lambda: ca.add(ca.ones(3), "text"), TypeError, "add: operand 2"),
    (lambda: ca.sin(object()), TypeError, "sin: operand 1"),
    (lambda: ca.add(ca.ones(3), ca.ones(4)), ValueError, "broadcast"),
    (lambda: ca.bitwise_and(ca.ones(3), 1), TypeError, "bitwise_and"),
    (lambda: ca.floor(ca.ones(3, "complex64")), TypeError, "floor"),
    (lambda: ca.subtract(ca.array([True]), True), TypeError, "subtract"),
    (lambda: ca.add(1, 2, out=np.zeros(1)), TypeError, "add: out"),
    (lambda: ca.add(1, 2, dtype="U3"), TypeError, "dtype"),
    (lambda: ca.add(ca.ones(2, "int8"), 1000), OverflowError, "1000"),
    (lambda: ca.zeros("shape"), TypeError, "shape"),
    (lambda: ca.zeros(-1), ValueError, "shape"),
    (lambda: ca.zeros(3, "float128"), TypeError, "dtype"),
    (lambda: ca.zeros(3, device="tpu"), ValueError, "device"),
    (lambda: ca.array("text"), TypeError, "str"),
    (lambda: ca.array([[1], [2, 3]]), ValueError, "list"),
    (lambda: ca.ones(3).astype("S"), TypeError, "dtype"),
    (lambda: ca.ones(3).astype("int8", casting="safe"), TypeError, "astype"),
    (lambda: ca.linspace(0, 1, 2.5), TypeError, "num"),
    (lambda: ca.linspace("text", 1), TypeError, "start"),
    (lambda: ca.concatenate([ca.ones(3), ca.ones((1, 3))]), ValueError, "array 1 has 2"),
    (lambda: ca.concatenate([]), ValueError, "concatenate"),
    (lambda: ca.stack([ca.ones(3), ca.ones(2)]), ValueError, "stack"),
    (lambda: ca.split(ca.ones(3), 2), ValueError, "split"),
    (lambda: ca.repeat(ca.ones(3), [1, 2]), ValueError, "repeat"),
    (lambda: ca.insert(ca.ones(3), [9], 1), IndexError, "insert: index 9"),
    (lambda: ca.pad(ca.ones(3), -1), ValueError, "pad_width"),
    (lambda: ca.pad(ca.ones(3), 1, "none"), ValueError, "mode"),
    (lambda: ca.interp([1], [1, 2], [1]), ValueError, "xp and fp"),
    (lambda: ca.convolve([], [1]), ValueError, "convolve: a"),
    (lambda: ca.save("never_written", ca.ones(3), allow_pickle=True), ValueError, "save: allow_pickle"),
    (lambda: ca.copyto(np.ones(3), 1), TypeError, "copyto: dst"),
    (lambda: ca.arange(0, 1, 0), ZeroDivisionError, "step"),
    (lambda: ca.sum(ca.array(X), axis=2), np.exceptions.AxisError, "axis 2"),
    (lambda: ca.sum(ca.array(X), axis=(0, 0)), ValueError, "axis"),
    (lambda: ca.sum(ca.array(X), out=ca.zeros(3)), ValueError, "sum: out"),
    (lambda: ca.sum(ca.array(X), dtype="S3"), TypeError, "dtype"),
    (lambda: ca.max(ca.zeros(0)), ValueError, "max"),
    (lambda: ca.argmin(ca.zeros((0, 3))), ValueError, "argmin"),
    (lambda: ca.matmul(ca.ones((2, 3)), ca.ones((2, 3))), ValueError, "matmul"),
    (lambda: ca.matmul(ca.ones(3), 2), ValueError, "matmul: operand 2"),
    (lambda: ca.matmul(ca.ones((2, 3)), ca.ones(3), out=ca.ones(3)), ValueError, "matmul: out"),
    (lambda: ca.matmul_precision("half"), ValueError, "matmul_precision: precision"),
    (lambda: ca.set_matmul_precision("half"), ValueError, "set_matmul_precision: precision"),
    (lambda: ca.ones(6).reshape(4), ValueError, "reshape"),
    (lambda: ca.ones((2, 3)).transpose(0, 0), ValueError, "axis"),
    (lambda: ca.broadcast_to(ca.ones(3), (2, 2)), ValueError, "broadcast"),
    (lambda: ca.ones((2, 3)).squeeze(0), ValueError, "squeeze"),
    (lambda: ca.ones(3)[3], IndexError, "out of bounds"),
    (lambda: ca.ones(3)["a"], IndexError, "str"),
    (lambda: ca.ones(3)[[0, 3]], IndexError, "index 3 is out of bounds for axis 0"),
    (lambda: ca.ones(3).item(), ValueError, "size 1"),
    (lambda: ca.ones(3).item(5), IndexError, "5"),
    (lambda: bool(ca.ones(3)), ValueError, "ambiguous"),
    (lambda: float(ca.ones(3)), TypeError, "0-dimensional"),
    (lambda: ca.from_dlpack(3), TypeError, "__dlpack__"),
    (lambda: ca.broadcast_to(ca.ones(1), (3,)).fill(2), ValueError, "read-only"),
    (lambda: ca.copyto(ca.zeros(3, "int8"), 1.5), TypeError, "copyto"),
]


@pytest.mark.parametrize(("call", "kind", "says"), BAD_CALLS, ids=range(len(BAD_CALLS)))
def test_bad_input(call: Callable[[], Any], kind: type[Exception], says: str) -> None:
    bystander = ca.arange(10)
    with pytest.raises(kind, match=says):
        call()
    assert_same(bystander + 1, np.arange(1, 11))


def test_a_failed_operation_changes_nothing() -> None:
    x = ca.arange(3)
    with pytest.raises(TypeError):
        x += 1.5
    assert_same(x, np.arange(3))
    with pytest.raises(ValueError):
        x += ca.ones(4, "int64")
    assert_same(x, np.arange(3))
    with pytest.raises(OverflowError):
        x[0] = 2**63
    assert_same(x, np.arange(3))


# ---- memory


@pytest.fixture
def small_pool() -> Any:
    """A pool that may hold 64 MiB more than it does."""
    gc.collect()
    pool = _runtime.get().pool
    pool.trim()
    _used, reserved, _peak, limit, _count = pool.statistics()
    pool.set_limit(reserved + (64 << 20))
    yield pool
    pool.set_limit(limit)


def test_out_of_memory(small_pool: Any) -> None:
    """A MemoryError that says how much was asked for; afterwards the pool works on."""
    bystander = ca.arange(1000)
    with pytest.raises(MemoryError, match="800,000,000 bytes") as caught:
        ca.zeros(100_000_000)
    assert isinstance(caught.value, OutOfMemoryError)
    assert isinstance(caught.value, CudaError)
    assert_same(bystander + 1, np.arange(1, 1001))
    assert_same(ca.ones(1000), np.ones(1000))


def test_out_of_memory_in_an_operation(small_pool: Any) -> None:
    x = ca.ones(5_000_000, "int8")
    with pytest.raises(MemoryError):
        ca.broadcast_to(x, (100, 5_000_000)) + 1
    assert x.sum().item() == 5_000_000


def test_memory_comes_back(small_pool: Any) -> None:
    """The same 40 MiB again and again, within 64."""
    for _ in range(20):
        x = ca.zeros(40 << 20, "int8")
        assert x[-1].item() == 0
        del x


def test_many_small_arrays_and_their_end(small_pool: Any) -> None:
    before = small_pool.statistics()
    arrays = [ca.zeros(7, "int8") for _ in range(1000)]
    assert small_pool.statistics()[4] == before[4] + 1000
    del arrays
    assert small_pool.statistics()[4] == before[4]
    assert small_pool.statistics()[0] == before[0]


def test_a_size_that_no_machine_has() -> None:
    with pytest.raises((MemoryError, ValueError)):
        ca.empty(2**58, "int8")
    assert ca.ones(3).sum().item() == 3
