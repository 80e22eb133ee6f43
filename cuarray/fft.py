"""Discrete Fourier transforms, as numpy.fft has them.

float32 and complex64 are transformed to complex64 (float16 by way of float32), all others to complex128. On the GPU it
is cuFFT (RuntimeError if it is not installed), on the CPU NumPy's pocketfft.

`n` and `s` are extents to which axes are cropped, or filled up with zeros, first. `norm` says which direction is
scaled: "backward" the inverse one, by 1/n; "forward" the other, by 1/n; "ortho" both, by 1/sqrt(n).
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray, allocate, new, view_of
from cuarray._dtypes import as_dtype
from cuarray._functions._operation import as_operand, check_out, copy_into
from cuarray._functions.creation import asarray, astype, empty, zeros
from cuarray._functions.elementwise import conjugate, multiply
from cuarray._functions.ranges import arange
from cuarray._functions.rearranging import roll
from cuarray._layout import layout

__all__ = [
    "fft",
    "fft2",
    "fftfreq",
    "fftn",
    "fftshift",
    "hfft",
    "ifft",
    "ifft2",
    "ifftn",
    "ifftshift",
    "ihfft",
    "irfft",
    "irfft2",
    "irfftn",
    "rfft",
    "rfft2",
    "rfftfreq",
    "rfftn",
]

_OPPOSITE = {"backward": "forward", "ortho": "ortho", "forward": "backward"}
_LIBRARY_AXES = 3  # that one call transforms
_LIBRARY_ALIGNMENT = 16  # bytes: a complex128


# ---- what all transforms have in common


def _norm(norm: str | None) -> str:
    if norm is None:
        return "backward"
    if norm not in _OPPOSITE:
        raise ValueError(f"norm must be None, 'backward', 'ortho' or 'forward', not {norm!r}")
    return norm


def _precision(x: CuArray) -> int:
    """The bytes of a real number that the transform computes with."""
    if x.dtype.kind not in "biufc":
        raise TypeError(f"a: arrays of dtype {x.dtype} cannot be transformed")
    return 4 if x.dtype in (np.float16, np.float32, np.complex64) else 8


def _sized(x: CuArray, axis: int, extent: int) -> CuArray:
    """Cropped, or filled up with zeros, to `extent`."""
    own = x.shape[axis]
    if extent < 1:
        raise ValueError(f"Invalid number of FFT data points ({extent}) specified.")
    if own == extent:
        return x
    part = (slice(None),) * axis + (slice(min(own, extent)),)
    if own > extent:
        return x[part]
    filled = zeros((*x.shape[:axis], extent, *x.shape[axis + 1 :]), x.dtype)
    filled[part] = x
    return filled


def _scale(kind: str, norm: str, count: int) -> float:
    forward = kind in ("forward", "r2c")
    if norm == "ortho":
        return 1 / math.sqrt(count)
    return 1 / count if forward == (norm == "forward") else 1.0


def _transform(x: CuArray, axes: tuple[int, ...], kind: str, norm: str, last: int = 0) -> CuArray:
    """The library's transform of an array of the right dtype and extents, none of them 0."""
    library = _runtime.get().fft
    if library.any_axes:
        return _view(library.transform(_runtime.Block(x._memory, x._pointer, x._layout), axes, kind, norm, last))
    # The axes become the last ones, in turns of what the library takes.
    count = math.prod(x.shape[axis] for axis in axes[:-1]) * (last or x.shape[axes[-1]])
    rest = list(axes)
    while rest:
        now, rest = tuple(rest[-_LIBRARY_AXES:]), rest[:-_LIBRARY_AXES]
        target = tuple(range(-len(now), 0))
        moved = view_of(x, lambda ghost, now=now, target=target: np.moveaxis(ghost, now, target))  # type: ignore[misc]
        packed = _packed(moved, always=kind == "c2r" or moved._pointer % _LIBRARY_ALIGNMENT != 0)
        if kind == "c2r":
            _drop_imaginary(packed, last)
        block = _runtime.Block(packed._memory, packed._pointer, packed._layout)
        done = _view(library.transform(block, target, kind, norm, last))
        x = view_of(done, lambda ghost, now=now, target=target: np.moveaxis(ghost, target, now))  # type: ignore[misc]
        kind = "forward" if kind == "r2c" else kind
    scale = _scale(kind, norm, count)
    if scale == 1.0 and x._layout.c_contiguous:
        x._base = None
        return x
    result = allocate(layout(x.dtype, x.shape))
    multiply(x, scale, out=result)
    return result


def _view(block: _runtime.Block) -> CuArray:
    return new(block.memory, block.pointer, block.layout)


def _packed(x: CuArray, always: bool) -> CuArray:
    if x._layout.c_contiguous and not always:
        return x
    result = allocate(layout(x.dtype, x.shape))
    copy_into(result, x)
    return result


def _drop_imaginary(x: CuArray, last: int) -> None:
    # Of a real signal these are 0. NumPy does not look at them; the library may.
    x.imag[..., 0] = 0
    if last % 2 == 0:
        x.imag[..., last // 2] = 0


def _finished(result: CuArray, out: CuArray | None, name: str, dtype: np.dtype | None = None) -> CuArray:
    if dtype is not None:
        result = astype(result, dtype, copy=False)
    if out is None:
        return result
    check_out(name, out)
    if out.shape != result.shape:
        raise ValueError(f"{name}: out has shape {out.shape}; the result has {result.shape}")
    copy_into(out, result, casting="same_kind")
    return out


def _axis(x: CuArray, axis: int) -> int:
    if x.ndim == 0:
        raise IndexError("a must have at least 1 dimension, it has 0")
    return np.lib.array_utils.normalize_axis_index(axis, x.ndim)


def _axes(x: CuArray, s: Any, axes: Any) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The axes to transform, and the extents to which they are brought."""
    if axes is None:
        count = x.ndim if s is None else len(s)
        axes = range(-count, 0)
    where = tuple(np.lib.array_utils.normalize_axis_index(axis, x.ndim) for axis in axes)
    if s is None:
        return where, tuple(x.shape[axis] for axis in where)
    if len(s) != len(where):
        raise ValueError("Shape and axes have different lengths.")
    extents = tuple(operator.index(extent) for extent in s)
    return where, tuple(x.shape[axis] if extent == -1 else extent for axis, extent in zip(where, extents))


def _complex(x: CuArray, axes: tuple[int, ...], extents: tuple[int, ...], kind: str, norm: str) -> CuArray:
    """A complex transform over `axes`: at once, or where one stands twice in turns, the last first."""
    if len(set(axes)) < len(axes):
        for axis, extent in zip(axes[::-1], extents[::-1]):
            x = _complex(x, (axis,), (extent,), kind, norm)
        return x
    for axis, extent in zip(axes, extents):
        x = _sized(x, axis, extent)
    x = astype(x, as_dtype(f"c{2 * _precision(x)}"), copy=False)
    return _transform(x, axes, kind, norm) if x.size else x


def _real(x: CuArray, axes: tuple[int, ...], extents: tuple[int, ...], norm: str, name: str) -> CuArray:
    if x.dtype.kind == "c":
        raise TypeError(f"{name}: a must be real, not of dtype {x.dtype}")
    if len(set(axes)) < len(axes):
        x = _real(x, axes[-1:], extents[-1:], norm, name)
        return _complex(x, axes[:-1], extents[:-1], "forward", norm)
    for axis, extent in zip(axes, extents):
        x = _sized(x, axis, extent)
    x = astype(x, as_dtype(f"f{_precision(x)}"), copy=False)
    if not x.size:
        shape = tuple(n // 2 + 1 if axis == axes[-1] else n for axis, n in enumerate(x.shape))
        return empty(shape, as_dtype(f"c{2 * _precision(x)}"))
    return _transform(x, axes, "r2c", norm)


def _inverse_real(x: CuArray, axes: tuple[int, ...], extents: tuple[int, ...], norm: str) -> CuArray:
    precision, axis, last = _precision(x), axes[-1], extents[-1]
    if last < 1:
        raise ValueError(f"Invalid number of FFT data points ({last}) specified.")
    if len(set(axes)) == len(axes):
        x = _sized(x, axis, last // 2 + 1)  # before the other axes: there may be less to transform
        x = _complex(x, axes[:-1], extents[:-1], "inverse", norm) if len(axes) > 1 else x
    else:
        for other, extent in zip(axes[:-1], extents[:-1]):
            x = _complex(x, (other,), (extent,), "inverse", norm)
        x = _sized(x, axis, last // 2 + 1)
    x = astype(x, as_dtype(f"c{2 * precision}"), copy=False)
    if not x.size:
        return empty((*x.shape[:axis], last, *x.shape[axis + 1 :]), as_dtype(f"f{precision}"))
    return _transform(x, (axis,), "c2r", norm, last)


def _half(x: CuArray, axes: int = 1) -> np.dtype | None:
    """The dtype of a real result where it is not that of the transform, as it is in NumPy for one axis only."""
    return x.dtype if x.dtype == np.float16 and axes == 1 else None


# ---- one axis


def fft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The discrete Fourier transform along `axis`.

    >>> import cuarray as ca
    >>> ca.fft.fft(ca.array([1.0, 0.0, 0.0, 0.0]))
    array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    x = as_operand(a)
    own = _axis(x, axis)
    return _finished(_complex(x, (own,), (x.shape[own] if n is None else n,), "forward", _norm(norm)), out, "fft")


def ifft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The inverse of `fft`.

    >>> import cuarray as ca
    >>> ca.fft.ifft(ca.array([4.0, 0.0, 0.0, 0.0]))
    array([1.+0.j, 1.+0.j, 1.+0.j, 1.+0.j])
    """
    x = as_operand(a)
    own = _axis(x, axis)
    return _finished(_complex(x, (own,), (x.shape[own] if n is None else n,), "inverse", _norm(norm)), out, "ifft")


def rfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The transform of a real array: the first n // 2 + 1 elements, whose conjugates the others are.

    TypeError for a complex array.

    >>> import cuarray as ca
    >>> ca.fft.rfft(ca.ones(4))
    array([4.+0.j, 0.+0.j, 0.+0.j])
    """
    x = as_operand(a)
    own = _axis(x, axis)
    return _finished(_real(x, (own,), (x.shape[own] if n is None else n,), _norm(norm), "rfft"), out, "rfft")


def irfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The inverse of `rfft`: a real array of `n` elements, by default 2 * (m - 1) for m elements.

    >>> import cuarray as ca
    >>> ca.fft.irfft(ca.array([4.0, 0.0, 0.0]))
    array([1., 1., 1., 1.])
    """
    x = as_operand(a)
    own = _axis(x, axis)
    extent = 2 * (x.shape[own] - 1) if n is None else n
    return _finished(_inverse_real(x, (own,), (extent,), _norm(norm)), out, "irfft", _half(x))


def hfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The transform, which is real, of a Hermitian array, given by its first n // 2 + 1 elements.

    >>> import cuarray as ca
    >>> ca.fft.hfft(ca.array([1.0, 0.0, 0.0]))
    array([1., 1., 1., 1.])
    """
    return irfft(conjugate(a), n, axis, _OPPOSITE[_norm(norm)], out)


def ihfft(a: Any, n: int | None = None, axis: int = -1, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The inverse of `hfft`.

    >>> import cuarray as ca
    >>> ca.fft.ihfft(ca.ones(4))
    array([1.-0.j, 0.-0.j, 0.-0.j])
    """
    result = rfft(a, n, axis, _OPPOSITE[_norm(norm)])
    return _finished(conjugate(result), out, "ihfft")


# ---- several axes


def fftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The transform over `axes`: all, or the last so many as `s` has extents (-1: the axis's own).

    >>> import cuarray as ca
    >>> ca.fft.fftn(ca.ones((2, 2)))
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    return _many(a, s, axes, norm, out, "forward", "fftn")


def ifftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The inverse of `fftn`.

    >>> import cuarray as ca
    >>> ca.fft.ifftn(ca.array([[4.0, 0.0], [0.0, 0.0]]))
    array([[1.+0.j, 1.+0.j],
           [1.+0.j, 1.+0.j]])
    """
    return _many(a, s, axes, norm, out, "inverse", "ifftn")


def _many(a: Any, s: Any, axes: Any, norm: str | None, out: CuArray | None, kind: str, name: str) -> CuArray:
    x = as_operand(a)
    where, extents = _axes(x, s, axes)
    if not where:  # nothing to do: NumPy gives the array itself
        return _finished(x, out, name)
    return _finished(_complex(x, where, extents, kind, _norm(norm)), out, name)


def rfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The transform of a real array over `axes`, of which the last is halved as by `rfft`.

    >>> import cuarray as ca
    >>> ca.fft.rfftn(ca.ones((2, 2)))
    array([[4.+0.j, 0.+0.j],
           [0.+0.j, 0.+0.j]])
    """
    x = as_operand(a)
    where, extents = _axes(x, s, axes)
    if not where:
        raise IndexError("rfftn: there must be an axis to transform")
    return _finished(_real(x, where, extents, _norm(norm), "rfftn"), out, "rfftn")


def irfftn(a: Any, s: Any = None, axes: Any = None, norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """The inverse of `rfftn`: a real array, its last transformed axis by default of 2 * (m - 1) elements.

    >>> import cuarray as ca
    >>> ca.fft.irfftn(ca.array([[4.0, 0.0], [0.0, 0.0]]))
    array([[1., 1.],
           [1., 1.]])
    """
    x = as_operand(a)
    where, extents = _axes(x, s, axes)
    if not where:
        raise IndexError("irfftn: there must be an axis to transform")
    if s is None:
        extents = (*extents[:-1], 2 * (x.shape[where[-1]] - 1))
    return _finished(_inverse_real(x, where, extents, _norm(norm)), out, "irfftn", _half(x, len(where)))


def fft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """`fftn` over two axes, by default the last.

    >>> import cuarray as ca
    >>> ca.fft.fft2(ca.ones((2, 2)))[0, 0]
    array(4.+0.j)
    """
    return fftn(a, s, axes, norm, out)


def ifft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """`ifftn` over two axes, by default the last.

    >>> import cuarray as ca
    >>> ca.fft.ifft2(ca.ones((2, 2)))[0, 0]
    array(1.+0.j)
    """
    return ifftn(a, s, axes, norm, out)


def rfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """`rfftn` over two axes, by default the last.

    >>> import cuarray as ca
    >>> ca.fft.rfft2(ca.ones((4, 4))).shape
    (4, 3)
    """
    return rfftn(a, s, axes, norm, out)


def irfft2(a: Any, s: Any = None, axes: Any = (-2, -1), norm: str | None = None, out: CuArray | None = None) -> CuArray:
    """`irfftn` over two axes, by default the last.

    >>> import cuarray as ca
    >>> ca.fft.irfft2(ca.ones((4, 3))).shape
    (4, 4)
    """
    return irfftn(a, s, axes, norm, out)


# ---- frequencies


def _check_n(n: Any) -> int:
    try:
        return operator.index(n)
    except TypeError:
        raise ValueError(f"n should be an integer, not {n!r}") from None


def fftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> CuArray:
    """The frequencies, in cycles per unit, of the elements of a transform of `n` samples `d` units apart.

    >>> import cuarray as ca
    >>> ca.fft.fftfreq(4, 0.5)
    array([ 0. ,  0.5, -1. , -0.5])
    """
    n = _check_n(n)
    wanted = np.dtype(np.float64) if dtype is None else as_dtype(dtype)
    numbers = empty(n, np.int64, device=device)
    positive = (n - 1) // 2 + 1
    numbers[:positive] = arange(positive)
    numbers[positive:] = arange(-(n // 2), 0)
    return astype(multiply(numbers, 1.0 / (n * d)), wanted, copy=False)


def rfftfreq(n: int, d: float = 1.0, device: Any = None, *, dtype: Any = None) -> CuArray:
    """The frequencies, in cycles per unit, of the elements of `rfft` of `n` samples `d` units apart.

    >>> import cuarray as ca
    >>> ca.fft.rfftfreq(4, 0.5)
    array([0. , 0.5, 1. ])
    """
    n = _check_n(n)
    wanted = np.dtype(np.float64) if dtype is None else as_dtype(dtype)
    return astype(multiply(asarray(arange(n // 2 + 1), device=device), 1.0 / (n * d)), wanted, copy=False)


def fftshift(x: Any, axes: Any = None) -> CuArray:
    """The elements moved around so that the frequency 0 is in the middle of `axes` (an int, a tuple, or None for all).

    >>> import cuarray as ca
    >>> ca.fft.fftshift(ca.fft.fftfreq(4))
    array([-0.5 , -0.25,  0.  ,  0.25])
    """
    return _shifted(x, axes, lambda extent: extent // 2)


def ifftshift(x: Any, axes: Any = None) -> CuArray:
    """The inverse of `fftshift`.

    >>> import cuarray as ca
    >>> ca.fft.ifftshift(ca.array([-0.5, -0.25, 0.0, 0.25]))
    array([ 0.  ,  0.25, -0.5 , -0.25])
    """
    return _shifted(x, axes, lambda extent: -(extent // 2))


def _shifted(x: Any, axes: Any, by: Callable[[int], int]) -> CuArray:
    source = as_operand(x)
    where = range(source.ndim) if axes is None else np.lib.array_utils.normalize_axis_tuple(axes, source.ndim)
    return roll(source, [by(source.shape[axis]) for axis in where], tuple(where))
