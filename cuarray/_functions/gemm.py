"""Products of matrices with what is done to their sums, in one kernel."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import BFLOAT16, as_dtype, can_cast, kind_of, pack_scalar, result_type
from cuarray._functions._multiply import RememberedProduct, multiply_matrices
from cuarray._functions._operation import _broadcastable as broadcasts
from cuarray._functions._operation import as_operand, check_out, copy_into, may_share
from cuarray._functions.creation import astype
from cuarray._layout import broadcast_shapes
from cuarray._plan import Epilogue


class _Function(NamedTuple):
    functor: str  # in ca::epilogues
    kinds: str  # of dtypes that it takes


FUNCTIONS = {
    "relu": _Function("Relu", "biuf"),
    "leaky_relu": _Function("LeakyRelu", "f"),
    "gelu": _Function("Gelu", "f"),
    "gelu_tanh": _Function("GeluTanh", "f"),
    "silu": _Function("Silu", "f"),
    "sigmoid": _Function("Sigmoid", "f"),
    "tanh": _Function("Tanh", "f"),
}
_SUMMED_IN_FLOAT32 = (np.dtype(np.float16), BFLOAT16, np.dtype(np.float32))


def gemm(
    a: Any,
    b: Any,
    c: Any = None,
    alpha: Any = 1,
    beta: Any = None,
    epilogue: str | None = None,
    dtype: Any = None,
    out: CuArray | None = None,
) -> CuArray:
    """epilogue(alpha * (a @ b) + beta * c), computed by one kernel where there is one.

    a, b: matrices in the last two axes, of one or different dtypes; axes before them are stacks, which broadcast.
    c: an array that broadcasts to the result: a row (of shape (n,)), a column (m, 1), a matrix, a stack.
    alpha, beta: numbers. beta is 1 if there is a c; where it is 0, c is not read.
    dtype: of the result, by default what a, b and c promote to. out: an array of the result's shape and dtype.

    epilogue, of each element x, for floating dtypes ("relu" for integers, too):

    - "relu": max(x, 0)
    - "leaky_relu": x if x > 0, else x / 100
    - "gelu": x * Phi(x), where Phi is the normal distribution's cumulative function, (1 + erf(x / sqrt(2))) / 2
    - "gelu_tanh": x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2, which is near to it (both by Hendrycks and
      Gimpel, "Gaussian Error Linear Units", arXiv:1606.08415)
    - "silu": x * sigmoid(x)
    - "sigmoid": 1 / (1 + exp(-x))
    - "tanh"

    All of it is computed in the type that products are summed in: float32 for float16 and bfloat16, else the wider one
    of the operands' and the result's dtype; and then rounded once. Integers wrap around. What `matmul_precision` says
    counts here, too.

    ValueError for shapes that do not fit, fewer than two axes, an unknown epilogue, or a beta without a c. TypeError
    where the operands' dtype cannot be cast to `dtype` by the rule "same_kind", or for an epilogue that its dtype does
    not have. OverflowError for an alpha or beta that an integer dtype does not hold.

    >>> import cuarray as ca
    >>> a, b = ca.array([[1.0, 2.0], [3.0, 4.0]]), ca.array([[1.0, 0.0], [0.0, -1.0]])
    >>> ca.linalg.gemm(a, b, ca.array([0.0, 3.0]), epilogue="relu")
    array([[1., 1.],
           [3., 0.]])
    """
    return _gemm(a, b, c, alpha, beta, epilogue, dtype, out)


class _Gemm(RememberedProduct):
    """`gemm`, its arguments by position."""

    def _call(self, *arguments: Any) -> CuArray:
        a, b, c, alpha, beta, epilogue, dtype, out = arguments
        x, y = as_operand(a), as_operand(b)
        z = None if c is None else as_operand(c)
        shape = _shape(x, y)
        if z is not None and not broadcasts(z.shape, shape):
            raise ValueError(f"gemm: c has shape {z.shape}, which does not broadcast to the result's, {shape}")
        if z is None and beta is not None:
            raise ValueError("gemm: beta is given, but no c that it is a factor of")
        beta = (1 if z is not None else 0) if beta is None else beta
        operands = result_type(x.dtype, y.dtype)
        wanted = _result_dtype(operands, z, dtype)
        function = _functor(epilogue, wanted)
        computed_in = _operand_dtype(operands, wanted)
        accumulator = np.dtype(np.float32) if computed_in in _SUMMED_IN_FLOAT32 else computed_in
        factors = _factor("alpha", alpha, accumulator), _factor("beta", beta, accumulator)
        x, y = astype(x, computed_in, copy=False), astype(y, computed_in, copy=False)
        if z is not None and beta == 0:
            z = None
        if z is not None:
            z = astype(z, wanted, copy=False)
            if z.ndim < 2:
                z = z.reshape((1,) * (2 - z.ndim) + z.shape) if z.ndim == 0 else z[None, :]
        plain = z is None and epilogue is None and alpha == 1
        done = None if plain else Epilogue(function, *factors, z is not None)
        into = None
        if out is not None:
            check_out("gemm", out)
            if out.shape != shape or out.dtype != wanted:
                raise ValueError(
                    f"gemm: out has shape {out.shape} and dtype {out.dtype}; the result has {shape}, {wanted}"
                )
            apart = not any(part is not None and may_share(out, part) for part in (x, y, z))
            into = out if apart and out._layout.c_contiguous else None
        computed = multiply_matrices(x, y, c=z, dtype=wanted, epilogue=done, out=into)
        if out is not None and into is None:
            copy_into(out, computed.result)
            return out
        if x is a and y is b and (z is None or (type(c) is CuArray and z._pointer == c._pointer)):
            places = (0, 1) if z is None else (0, 1, 2)
            self.remember(arguments, (), 7 if out is not None else -1, computed, places)
        return computed.result


_gemm = _Gemm()


def _shape(x: CuArray, y: CuArray) -> tuple[int, ...]:
    for name, operand in (("a", x), ("b", y)):
        if operand.ndim < 2:
            raise ValueError(f"gemm: {name} must have at least 2 dimensions, it has {operand.ndim}")
    if x.shape[-1] != y.shape[-2]:
        raise ValueError(
            f"gemm: a and b of shapes {x.shape} and {y.shape} do not match: "
            f"the inner extents are {x.shape[-1]} and {y.shape[-2]}"
        )
    return (*broadcast_shapes(x.shape[:-2], y.shape[:-2]), x.shape[-2], y.shape[-1])


def _result_dtype(operands: np.dtype, c: CuArray | None, dtype: Any) -> np.dtype:
    promoted = operands if c is None else result_type(operands, c.dtype)
    if dtype is None:
        return promoted
    wanted = as_dtype(dtype)
    if not can_cast(promoted, wanted, "same_kind"):
        raise TypeError(f"gemm: dtype: cannot cast from {promoted} to {wanted} with casting='same_kind'")
    return wanted


def _operand_dtype(operands: np.dtype, result: np.dtype) -> np.dtype:
    """What the operands are brought to: what they are, where a kernel sums them in a type that holds the result's."""
    if operands in _SUMMED_IN_FLOAT32 and result in _SUMMED_IN_FLOAT32:
        return operands
    same_kind = kind_of(operands) == kind_of(result) and kind_of(result) in "fc"
    return operands if same_kind and operands.itemsize > result.itemsize else result


def _functor(epilogue: Any, dtype: np.dtype) -> str:
    if epilogue is None:
        return "Identity"
    if not isinstance(epilogue, str) or epilogue not in FUNCTIONS:
        known = ", ".join(map(repr, FUNCTIONS))
        raise ValueError(f"gemm: epilogue must be None or one of {known}, not {epilogue!r}")
    function = FUNCTIONS[epilogue]
    if kind_of(dtype) not in function.kinds:
        raise TypeError(f"gemm: epilogue: {epilogue!r} is not for results of {dtype}")
    return function.functor


def _factor(name: str, value: Any, dtype: np.dtype) -> tuple[int, int]:
    """The bits of a factor."""
    if isinstance(value, CuArray) or not np.isscalar(value) or isinstance(value, str | bytes):
        raise TypeError(f"gemm: {name} must be a number, not {type(value).__name__}")
    allowed = {"b": "bi", "i": "bi", "u": "biu", "f": "biuf", "c": "biufc"}[dtype.kind]
    if np.asarray(value).dtype.kind not in allowed or (dtype.kind == "b" and value not in (0, 1)):
        raise TypeError(f"gemm: {name}: matrices of {dtype} cannot be multiplied by {value!r}")
    return pack_scalar(dtype)(value)
