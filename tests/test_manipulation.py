"""Shapes and axes: the same views as NumPy's, over the same memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from comparison import assert_same, check
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import Pair, broadcastable, dtypes, pairs, shapes

import cuarray as ca

FEW = dtypes("f") | st.just(np.dtype(np.int16))


def check_view(x: Pair, by_cuarray: Callable[[ca.CuArray], Any], by_numpy: Callable[[np.ndarray], Any]) -> None:
    """The same result, with the same strides; and a view where NumPy's is one."""
    check(lambda: by_cuarray(x.cuarray), lambda: by_numpy(x.numpy), exact=True)
    try:
        expected = by_numpy(x.numpy)
    except Exception:
        return
    result = by_cuarray(x.cuarray)
    if x.numpy.size and isinstance(expected, np.ndarray):  # a NumPy scalar is a copy; cuarray has 0-d views instead
        shared = np.shares_memory(expected, x.numpy)
        assert np.shares_memory(np.asarray(result), np.asarray(x.cuarray)) == shared
        if shared:
            assert result.strides == expected.strides
            assert result.flags.c_contiguous == expected.flags.c_contiguous
            assert result.flags.f_contiguous == expected.flags.f_contiguous


@settings(max_examples=100)
@given(data=st.data())
def test_reshape(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    size = x.numpy.size
    candidates = [(size,), (-1,), (1, size), (size, 1), (-1, 2), (2, -1), (2, 2, -1), (3, -1), (), (0, -1), (size + 1,)]
    candidates += [(-1, -1), x.numpy.shape[::-1], (-2,)]
    shape = data.draw(st.sampled_from(candidates))
    check_view(x, lambda a: a.reshape(shape), lambda a: a.reshape(shape))
    check_view(x, lambda a: ca.reshape(a, shape), lambda a: np.reshape(a, shape))
    check(lambda: ca.reshape(x.cuarray, shape, copy=False), lambda: np.reshape(x.numpy, shape, copy=False), exact=True)


def test_reshape_copy() -> None:
    x = ca.arange(6)
    assert x.reshape(2, 3, copy=True)._pointer != x._pointer
    assert x.reshape(3, 2)._pointer == x._pointer
    assert x.reshape(-1)._pointer == x._pointer
    with pytest.raises(ValueError):
        ca.arange(6).reshape(2, 3).T.reshape(-1, copy=False)


@given(x=pairs(FEW))
def test_ravel_and_flatten(x: Pair) -> None:
    check_view(x, lambda a: a.ravel(), lambda a: a.ravel())
    check(lambda: x.cuarray.flatten(), lambda: x.numpy.flatten(), exact=True)
    if x.numpy.size:
        assert x.cuarray.flatten()._pointer != x.cuarray._pointer


@given(data=st.data())
def test_transposes(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    ndim = x.numpy.ndim
    check_view(x, lambda a: a.T, lambda a: a.T)
    axes = tuple(data.draw(st.permutations(range(ndim))))
    check_view(x, lambda a: a.transpose(axes), lambda a: a.transpose(axes))
    check_view(x, lambda a: ca.permute_dims(a, axes), lambda a: np.permute_dims(a, axes))
    if ndim:
        check_view(x, lambda a: a.transpose(*axes), lambda a: a.transpose(*axes))
    check_view(x, lambda a: a.mT, lambda a: a.mT)
    check_view(x, lambda a: ca.matrix_transpose(a), lambda a: np.matrix_transpose(a))
    one, other = (data.draw(st.integers(-ndim - 1, ndim)) for _ in range(2))
    check_view(x, lambda a: ca.swapaxes(a, one, other), lambda a: np.swapaxes(a, one, other))
    check_view(x, lambda a: ca.moveaxis(a, one, other), lambda a: np.moveaxis(a, one, other))


@given(data=st.data())
def test_squeeze_and_expand_dims(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW, shapes(max_side=2)))
    axis = data.draw(st.none() | st.integers(-4, 3) | st.tuples(st.integers(-3, 2), st.integers(-3, 2)))
    check_view(x, lambda a: ca.squeeze(a, axis), lambda a: np.squeeze(a, axis))
    check_view(x, lambda a: a.squeeze(), lambda a: a.squeeze())
    if axis is not None:
        check_view(x, lambda a: ca.expand_dims(a, axis), lambda a: np.expand_dims(a, axis))


@given(data=st.data())
def test_flip_and_diagonal(data: st.DataObject) -> None:
    x = data.draw(pairs(FEW))
    axis = data.draw(st.none() | st.integers(-4, 3))
    check_view(x, lambda a: ca.flip(a, axis), lambda a: np.flip(a, axis))
    offset, one, other = data.draw(st.tuples(*(st.integers(-3, 3) for _ in range(3))))
    check_view(x, lambda a: ca.diagonal(a, offset, one, other), lambda a: np.diagonal(a, offset, one, other))


@given(data=st.data())
def test_broadcasting(data: st.DataObject) -> None:
    drawn = data.draw(broadcastable(2))
    x, y = (data.draw(pairs(FEW, shape)) for shape in drawn)
    target = data.draw(st.sampled_from([np.broadcast_shapes(*drawn), (2, 2), (5,), ()]))
    check_view(x, lambda a: ca.broadcast_to(a, target), lambda a: np.broadcast_to(a, target))
    for result, expected in zip(
        ca.broadcast_arrays(x.cuarray, y.cuarray), np.broadcast_arrays(x.numpy, y.numpy), strict=True
    ):
        assert_same(result, expected, exact=True)


def test_broadcast_is_read_only() -> None:
    x = ca.broadcast_to(ca.arange(3), (2, 3))
    assert not x.flags.writeable
    with pytest.raises(ValueError, match="read-only"):
        x[0, 0] = 1
    with pytest.raises(ValueError, match="read-only"):
        x += 1
    with pytest.raises(ValueError, match="read-only"):
        np.asarray(x)[0, 0] = 1


def test_views_of_views() -> None:
    """base is the array that owns the memory, however many views lie between."""
    x = ca.arange(24)
    view = x.reshape(2, 3, 4).transpose(2, 0, 1)[1:, ::-1]
    assert view.base is x
    assert x.base is None
    view[...] = -1
    assert (x == -1).sum().item() == 18
