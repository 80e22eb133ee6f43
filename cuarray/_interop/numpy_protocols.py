"""NumPy's functions given CuArrays: what `__array_ufunc__` and `__array_function__` do.

The rules, for ufuncs and functions alike:

- cuarray computes: `np.add(x, y)` is `ca.add(x, y)` and `np.linalg.svd(x)` is `ca.linalg.svd(x)`, looked up by name.
- The result is a CuArray, also where other operands are NumPy arrays: these are copied to the device, as `ca.asarray`
  copies them. NumPy's priority is lower, so `a + x` and `x + a` are the same.
- Nothing goes to the CPU unasked: a function that cuarray does not have is a TypeError that says what to write.
  Excepted are those whose result is a text or a file, and those that look at nothing but shape and dtype.
- A NumPy array is not written to: `np.add(x, y, out=a)` and `a += x` are TypeErrors.
- Types with rules of their own (masked arrays, dask's, xarray's, ...) are asked instead: NotImplemented.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from cuarray._array import CuArray
from cuarray._functions._operation import is_operand

# Where the functions of NumPy's modules are looked for.
_NAMESPACES = {"numpy": "", "numpy.linalg": "linalg", "numpy.fft": "fft", "numpy.lib.stride_tricks": ""}

# These look at shape and dtype only: NumPy's own work.
_ABOUT_ATTRIBUTES = frozenset({np.shape, np.ndim, np.size, np.iscomplexobj, np.isrealobj, np.common_type})
# For these an array stands for its dtype.
_ABOUT_DTYPES = frozenset({np.result_type, np.can_cast})
# The result is a text or a file, which the CPU makes.
_TEXTS_AND_FILES = frozenset(
    {np.array_repr, np.array_str, np.array2string, np.save, np.savez, np.savez_compressed, np.savetxt}
)

_TO_NUMPY = "np.asarray(x) of a CuArray x is a NumPy array over the same memory, after waiting for the device"


# ---- ufuncs


def array_ufunc(ufunc: np.ufunc, method: str, inputs: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What `ufunc` (with `method` "reduce", its reduction, and so on) gives when an operand or `out` is a CuArray."""
    out = kwargs.pop("out", None)
    if not all(is_operand(value) for value in inputs):
        return NotImplemented
    outputs = () if out is None else tuple(one for one in out if one is not None)
    if not all(is_operand(one) for one in outputs):
        return NotImplemented
    what = f"the ufunc {ufunc.__name__}" + ("" if method == "__call__" else f".{method}")
    for one in inputs[:1] if method == "at" else outputs:
        if type(one) is not CuArray:
            argument = "its first argument" if method == "at" else "out"
            raise TypeError(
                f"{what}: {argument} is of type {type(one).__name__}, but an operand is a CuArray: the result is "
                f"computed on the device and can only be written to a CuArray; {_TO_NUMPY}"
            )
    function = _ufunc_counterpart(ufunc)
    call = function if method == "__call__" else getattr(function, method, None)
    if call is None:
        raise TypeError(f"{what}: cuarray does not have it; {_TO_NUMPY}")
    kwargs.pop("subok", None)  # there are no subclasses
    if outputs:
        assert out is not None
        kwargs["out"] = out[0] if len(out) == 1 else out
    return call(*inputs, **kwargs)


@functools.cache
def _ufunc_counterpart(ufunc: np.ufunc) -> Any:
    import cuarray
    from cuarray._functions import BY_NUMPY_UFUNC

    function = BY_NUMPY_UFUNC.get(ufunc)
    if function is None and getattr(np, ufunc.__name__, None) is ufunc:  # vecdot and the like
        function = getattr(cuarray, ufunc.__name__, None)
    return function


# ---- functions


def array_function(
    function: Callable[..., Any], types: Sequence[type], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """What a function of NumPy gives when an argument is a CuArray; `types` are those that have an opinion on it."""
    if not all(_is_known(kind) for kind in types):
        return NotImplemented
    ours = counterpart(function)
    if ours is not None:
        return ours(*args, **kwargs)
    if function in _ABOUT_ATTRIBUTES:
        return function._implementation(*args, **kwargs)  # type: ignore[attr-defined]
    if function in _ABOUT_DTYPES:
        return _with(lambda x: x.dtype, function, args, kwargs)
    if function in _TEXTS_AND_FILES:
        return _with(np.asarray, function, args, kwargs)
    name = numpy_name(function)
    raise TypeError(f"numpy.{name}: cuarray has no function {name}; {_TO_NUMPY}")


@functools.cache
def counterpart(function: Callable[..., Any]) -> Callable[..., Any] | None:
    """cuarray's function of the same module and name as this one of NumPy's; None if there is none."""
    import cuarray

    module = getattr(function, "__module__", "")
    if module not in _NAMESPACES:
        return None
    namespace = getattr(cuarray, _NAMESPACES[module], None) if _NAMESPACES[module] else cuarray
    found = getattr(namespace, function.__name__, None)
    return found if callable(found) else None


def numpy_name(function: Callable[..., Any]) -> str:
    """How a function of NumPy's is called, without the leading "numpy."."""
    return f"{function.__module__}.{function.__name__}".removeprefix("numpy.")


def _is_known(kind: type) -> bool:
    return issubclass(kind, CuArray | np.generic) or kind in (np.ndarray, np.memmap)


def _with(
    replacement: Callable[[CuArray], Any], function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """The function's result with every CuArray among its arguments replaced."""

    def replaced(value: Any) -> Any:
        return replacement(value) if type(value) is CuArray else value

    return function(*map(replaced, args), **{name: replaced(value) for name, value in kwargs.items()})
