"""Every function of NumPy's that cuarray has, called as NumPy's with CuArrays: cuarray's result, NumPy's values."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from comparison import assert_same

import cuarray as ca

A = np.array([[1.0, -2.0, 3.0], [4.0, 0.5, -6.0]])
V = np.array([3.0, 1.0, 2.0])
T = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 10.0]])
POSITIVE_DEFINITE = T @ T.T
NAN = np.array([1.0, np.nan, 3.0])
I = np.array([2, 0, 1, 1])  # noqa: E741
MASK = np.array([True, False, True])
BYTES = I.astype(np.uint8)
ONE_A_ROW = np.array([[0], [1]])

# Arguments of functions; V, and T of those of linalg, for all others.
ARGUMENTS: dict[str, tuple[Any, ...]] = {
    **dict.fromkeys(("arccosh", "acosh"), (V + 1,)),
    **dict.fromkeys(("arcsin", "asin", "arccos", "acos", "arctanh", "atanh"), (V / 4,)),
    **dict.fromkeys(("invert", "bitwise_invert", "bitwise_not", "bitwise_count", "bincount"), (I,)),
    **dict.fromkeys(("nanmax", "nanmin", "nansum", "nanmean", "nanstd", "nanvar", "nanargmax", "isnan"), (NAN,)),
    **dict.fromkeys(("matmul", "dot", "inner", "tensordot", "kron", "outer", "vecdot"), (T, T)),
    **dict.fromkeys(("concatenate", "concat", "hstack", "vstack", "dstack", "stack"), ((A, A),)),
    **dict.fromkeys(("array_split", "split", "hsplit"), (V, [1])),
    **dict.fromkeys(("tril", "triu", "diagonal", "trace", "tril_indices_from", "triu_indices_from"), (T,)),
    **dict.fromkeys(("diag_indices_from", "fliplr", "rot90", "matrix_transpose", "unstack"), (T,)),
    **dict.fromkeys(("linalg.eigh", "linalg.eigvalsh", "linalg.cholesky"), (POSITIVE_DEFINITE,)),
    **dict.fromkeys(("linalg.cross", "cross", "linalg.vecdot", "linalg.outer", "vdot"), (V, V + 1)),
    **dict.fromkeys(("linalg.solve", "linalg.lstsq", "matvec"), (T, V)),
    **dict.fromkeys(("linalg.tensorsolve",), (np.eye(6).reshape(2, 3, 2, 3), A)),
    "append": (A, A),
    "apply_along_axis": (lambda x: x.sum(), 1, A),
    "apply_over_axes": (np.sum, A, [0]),
    "argpartition": (V[:2], 0),
    "astype": (A, "float32"),
    "block": ([[A, A]],),
    "broadcast_arrays": (V, A),
    "broadcast_to": (V, (2, 3)),
    "can_cast": (V, np.float32),
    "choose": (I[:3], [V, V + 1, V + 2]),
    "clip": (A, -1, 1),
    "column_stack": ((V, V),),
    "compress": (MASK, V),
    "copyto": (A, 3.0),
    "corrcoef": (A,),
    "cov": (A,),
    "delete": (V, 1),
    "digitize": (V, np.array([0.0, 1.0, 2.0])),
    "dsplit": (A[None], 3),
    "einsum": ("ij,jk", T, T),
    "einsum_path": ("ij,jk", T, T),
    "expand_dims": (A, 0),
    "extract": (MASK, V),
    "fill_diagonal": (T, 0.0),
    "flipud": (A,),
    "full_like": (A, 2.0),
    "histogramdd": (A.T,),
    "insert": (V, 1, 5.0),
    "interp": (V, np.array([0.0, 1.0, 2.0]), np.array([0.0, 2.0, 4.0])),
    "ix_": (I, I),
    "ldexp": (V, np.array([1, 2, 3])),
    "lexsort": ((V, V),),
    "linalg.matmul": (T, T),
    "linalg.matrix_power": (T, 3),
    "linalg.multi_dot": ([T, T, T],),
    "linalg.tensordot": (T, T),
    "linalg.tensorinv": (np.eye(6).reshape(2, 3, 2, 3),),
    "moveaxis": (A, 0, 1),
    "nanpercentile": (NAN, 50),
    "nanquantile": (NAN, 0.5),
    "packbits": (BYTES,),
    "pad": (V, 1),
    "partition": (V[:2], 0),
    "percentile": (V, 50),
    "piecewise": (V, [V > 1], [0.0, 1.0]),
    "place": (V, MASK, [1.0]),
    "polyder": (V,),
    "polydiv": (V, V[1:]),
    "polyfit": (V, V**2, 1),
    "put": (V, [0], [1.0]),
    "put_along_axis": (A, ONE_A_ROW, 9.0, 1),
    "putmask": (V, MASK, [9.0]),
    "quantile": (V, 0.5),
    "ravel_multi_index": ((I[:2] * 0, I[1:3]), (3, 3)),
    "repeat": (V, 2),
    "reshape": (A, (3, 2)),
    "resize": (V, (5,)),
    "result_type": (A, np.float32),
    "roll": (V, 1),
    "rollaxis": (A, 1),
    "searchsorted": (np.sort(V), V),
    "select": ([V > 1, V > 2], [V, V * 2]),
    "squeeze": (A[None],),
    "swapaxes": (A, 0, 1),
    "take": (V, I),
    "take_along_axis": (A, ONE_A_ROW, 1),
    "tile": (V, 2),
    "trim_zeros": (np.array([0.0, 1.0, 0.0]),),
    "unpackbits": (BYTES,),
    "unravel_index": (I, (2, 3)),
    "vecmat": (V, T),
    "vsplit": (A, 2),
    "where": (A > 0, A, 0.0),
    "fft.fft2": (A,),
    "fft.ifft2": (A,),
    "fft.rfft2": (A,),
    "fft.irfft2": (A,),
}
OF_INTEGERS = frozenset({"gcd", "lcm", "bitwise_and", "bitwise_or", "bitwise_xor"}) | {
    f"{prefix}{side}_shift" for prefix in ("", "bitwise_") for side in ("left", "right")
}
# They make arrays of what is none, tell of dtypes, or read and write files: no array says that it is cuarray's turn.
WITHOUT_ARRAYS = """
asarray_chkfinite base_repr binary_repr format_float_positional format_float_scientific get_printoptions printoptions
set_printoptions arange array asanyarray asarray ascontiguousarray asfortranarray bartlett blackman broadcast_shapes
diag_indices empty eye fft.fftfreq fft.rfftfreq from_dlpack frombuffer fromfile fromfunction fromiter full genfromtxt
geomspace hamming hanning identity indices isdtype issubdtype kaiser linspace load loadtxt logspace mask_indices
meshgrid ones promote_types require save savetxt savez savez_compressed show_config tri tril_indices triu_indices
zeros
"""
# These tell whether the very arrays that they are given share memory, or show what nobody set.
NOT_COMPARED = frozenset({"may_share_memory", "shares_memory", "empty_like"})


def _functions() -> Iterator[str]:
    modules: tuple[tuple[str, ModuleType, Any], ...] = (
        ("", np, ca),
        ("linalg.", np.linalg, ca.linalg),
        ("fft.", np.fft, ca.fft),
    )
    for prefix, theirs, ours in modules:
        for name in dir(theirs):
            value = getattr(theirs, name)
            if callable(value) and not name.startswith("_") and not isinstance(value, type) and hasattr(ours, name):
                yield prefix + name


NAMES = sorted(set(_functions()) - set(WITHOUT_ARRAYS.split()) - NOT_COMPARED)


def _arguments(name: str, function: Callable[..., Any]) -> tuple[Any, ...]:
    if name in ARGUMENTS:
        return copy.deepcopy(ARGUMENTS[name])
    if name in OF_INTEGERS:
        return I.copy(), np.array([1, 2, 3, 1])
    one = T if name.startswith("linalg.") else V
    if isinstance(function, np.ufunc):
        return (one.copy(), np.array([2.0, 5.0, 0.5]))[: function.nin]
    # As many as it must be given.
    parameters = inspect.signature(function).parameters.values()
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    return tuple(one.copy() for _ in range(max(len(needed), 1)))


def _on_device(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return ca.array(value)
    return type(value)(map(_on_device, value)) if isinstance(value, list | tuple) else value


def _assert_agree(actual: Any, expected: Any) -> None:
    if isinstance(expected, list | tuple):
        assert isinstance(actual, list | tuple) and len(actual) == len(expected)
        for one, other in zip(actual, expected, strict=True):
            _assert_agree(one, other)
    elif isinstance(expected, np.ndarray | np.generic):
        assert type(actual) is ca.CuArray
        assert_same(actual, expected, rtol=1e-9, atol=1e-12)
    else:
        assert type(actual) is type(expected) and actual == expected


# Vectors whose signs are left open, and which cuSOLVER chooses in other ways than LAPACK.
SIGNS_ARE_OPEN = {"linalg.eigh", "linalg.eig", "linalg.qr", "linalg.svd"}


@pytest.mark.parametrize("name", NAMES)
def test_call(name: str) -> None:
    """CuArrays for CuArrays, at every place of the result; what is written to an argument is the same, too."""
    function: Any = np
    for part in name.split("."):
        function = getattr(function, part)
    theirs = _arguments(name, function)
    ours = _on_device(theirs)
    results = function(*ours), function(*theirs)
    if name in SIGNS_ARE_OPEN:
        results = tuple(tuple(map(abs, result)) for result in results)
    _assert_agree(*results)
    for one, other in zip(ours, theirs, strict=True):
        if isinstance(other, np.ndarray):
            assert_same(one, other)


# ---- methods

METHODS: dict[str, tuple[Any, ...]] = {
    "argpartition": (1,),
    "astype": ("float32",),
    "choose": ([np.array([5, 6, 7, 8]), np.array([1, 2, 3, 4]), np.array([9, 9, 9, 9])],),
    "clip": (1, 2),
    "compress": (np.array([True, False, True, True]),),
    "dot": (np.array([1, 2, 3, 4]),),
    "fill": (7,),
    "item": (0,),
    "partition": (1,),
    "put": ([1], [9]),
    "repeat": (2,),
    "reshape": (2, 2),
    "searchsorted": (1,),
    "swapaxes": (0, 0),
    "take": ([1, 0],),
    "view": ("uint8",),
}
# Files, flags and other libraries: what they do is tested by itself. Two need two axes.
METHODS_ELSEWHERE = frozenset({"setflags", "tofile", "to_device", "host", "diagonal", "trace", "resize"})


@pytest.mark.parametrize(
    "name",
    sorted(
        name
        for name in dir(np.ndarray)
        if not name.startswith("_")
        and callable(getattr(np.ndarray, name))
        and hasattr(ca.CuArray, name)
        and name not in METHODS_ELSEWHERE
    ),
)
def test_method(name: str) -> None:
    theirs = np.array([2, 0, 1, 1])
    ours, arguments = ca.array(theirs), METHODS.get(name, ())
    actual = getattr(ours, name)(*_on_device(arguments))
    expected = getattr(theirs, name)(*copy.deepcopy(arguments))
    if name == "argpartition":  # the order among equals is not defined
        actual, expected = actual[1], expected[1]
    _assert_agree(actual, expected)
    if name == "partition":
        ours, theirs = ours[1], theirs[1]
    assert_same(ours, theirs)
