"""Elementwise functions as NumPy's ufuncs are: what a call may be given besides the operands, and the methods."""

from __future__ import annotations

import inspect
import re
from typing import Any

import numpy as np

from cuarray._array import CuArray, allocate
from cuarray._dtypes import DTYPES, Loop, Signature, as_dtype, resolve
from cuarray._functions._operation import (
    WORDS,
    Kind,
    Operation,
    _operand_types,
    as_operand,
    classify,
    copy_operation,
)
from cuarray._functions._ufunc_arguments import UfuncArguments
from cuarray._table import ELEMENTWISE, Elementwise

_CHARACTERS = frozenset("".join(dtype.char for dtype in DTYPES if dtype.isbuiltin == 1) + "qQ->")


class Ufunc(UfuncArguments, Operation):
    """A function of the table, called as NumPy's ufunc of the same name, which says what its dtypes are.

    ``ufunc(*operands, out=None, where=True, casting="same_kind", order="K", dtype=None, subok=True, signature=None)``:

    - operands: arrays, scalars and what `asarray` takes; they broadcast against each other. Python's numbers take the
      dtype of the arrays that they meet; OverflowError for an int that it does not hold.
    - out: an array for the result, of the shape that operands broadcast to, or a tuple with an array or None for each
      result; also by position. ValueError for another shape or a read-only array, TypeError for a dtype that the result
      may not be cast to. It may be one of the operands, or overlap them.
    - where: a bool array, which broadcasts with the operands: where it is False, out keeps its elements, and without
      out they are not set.
    - casting: which casts of operands and results are allowed: "no", "equiv", "safe", "same_kind" or "unsafe".
    - order: how a new array lies in memory: as the operands do ("K"), "C", "F", or "F" if all operands do ("A").
    - dtype: of the result, computed in a loop that gives it; signature: the dtypes of the loop ("dd->d", or a tuple
      with None for those that are free). TypeError if there is no such loop.
    - subok: accepted, and without effect: there are no subclasses of CuArray.
    """

    def __init__(self, name: str, row: Elementwise | None = None) -> None:
        row = ELEMENTWISE[name] if row is None else row
        super().__init__(
            name, row.functor, row.ufunc.nin, lambda kinds, signature: resolve(row.ufunc, kinds, signature)
        )
        self.numpy_ufunc = row.ufunc
        self.nout: int = row.ufunc.nout
        self.nargs: int = row.ufunc.nargs
        self.identity: Any = row.ufunc.identity
        self.signature: None = None  # no core dimensions: the function takes and gives single elements
        self.types = [types for types in row.ufunc.types if _CHARACTERS.issuperset(types)]
        self.ntypes = len(self.types)
        self.__doc__ = _docstring(name, row)
        # What a call with nothing but its operands has of them; of functions with two results none is that simple.
        self._simple = self.nin if self.nout == 1 else -1

    def __repr__(self) -> str:
        return f"<cuarray function {self.__name__!r}>"

    def __reduce__(self) -> str:
        return self.__name__

    @property
    def __signature__(self) -> inspect.Signature:
        names = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in _operand_names(self.nin)]
        out = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
        defaults = {"where": True, "casting": "same_kind", "order": "K", "dtype": None, "subok": True}
        keywords = [
            inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value)
            for name, value in {**defaults, "signature": None}.items()
        ]
        return inspect.Signature([*names, out, *keywords])

    def _call(self, *operands: Any, **options: Any) -> Any:
        if options or len(operands) != self._simple:
            if self.nout > 1 and not options and len(operands) == self.nin:
                return self.apply(operands, (None,) * self.nout)
            if len(options) == 1 and "out" in options and len(operands) == self._simple:
                (out,) = self._outs((), options["out"])
                return super()._call(*operands, out=out)
            return self._call_with(operands, options)
        values, kinds = classify(self.__name__, operands)
        call = self.find(kinds, (None,))
        result = allocate(call.out_layout)
        call.run(result, values)
        self.remember(operands, (), call)
        return result

    def loop(self, kinds: list[Kind], signature: np.dtype | Signature | None, casting: str = "same_kind") -> Loop:
        return resolve(self.numpy_ufunc, _operand_types(kinds), signature, casting)

    def _call_with(self, operands: tuple[Any, ...], options: dict[str, Any]) -> Any:
        outs, where, signature, casting, order = self._checked(operands, options)
        operands = operands[: self.nin]
        if where is True:
            results = self.apply(operands, outs, signature, casting, order)
        else:
            results = self._apply_where(_as_mask(self.__name__, where), operands, outs, signature, casting, order)
        return results if self.nout > 1 else results[0]

    def _apply_where(
        self,
        mask: CuArray,
        operands: tuple[Any, ...],
        outs: tuple[CuArray | None, ...],
        signature: np.dtype | Signature | None,
        casting: str,
        order: str,
    ) -> tuple[CuArray, ...]:
        if self.nout == 1 and self.nargs < WORDS:
            return self.only_where.apply((mask, *operands), outs, signature, casting, order)
        results = self.apply(operands, (None,) * self.nout, signature, casting, order)
        return tuple(
            copy_operation.only_where.apply((mask, result), (out,), None, casting, order)[0]
            for result, out in zip(results, outs, strict=True)
        )

    # ---- methods
    def outer(self, A: Any, B: Any, /, **options: Any) -> Any:
        """The function of each element of `A` with each of `B`: an array of shape ``A.shape + B.shape``.

        ValueError if the function does not take two operands. Keywords are those of a call.

        >>> import cuarray as ca
        >>> ca.multiply.outer([1, 2, 3], [10, 20])
        array([[10, 20],
               [20, 40],
               [30, 60]])
        """
        self._check_binary("outer")
        a, b = as_operand(A), as_operand(B)
        return self(a[(..., *(None,) * b.ndim)], b, **options)

    def reduce(
        self,
        array: Any,
        axis: Any = 0,
        dtype: Any = None,
        out: Any = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> CuArray:
        """The elements along `axis` (an int, a tuple, or None for all) combined by the function, into one.

        `initial` is what to begin with, for None the function's identity, if it has one; `where`: a bool array of the
        elements that count. ValueError if the function does not take two operands and give one result, or if there is
        nothing to begin with and nothing to combine.
        """
        dtype, out = self._checked_for("reduce", dtype, out)
        from cuarray._functions._reduction import ufunc_reduce

        return ufunc_reduce(self, array, axis, dtype, out, keepdims, initial, where)

    def accumulate(self, array: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> CuArray:
        """The results of combining the elements up to each one along `axis`: of the shape of `array`.

        ValueError if the function does not take two operands and give one result.
        """
        dtype, out = self._checked_for("accumulate", dtype, out)
        from cuarray._functions.scans import ufunc_accumulate

        return ufunc_accumulate(self, array, axis, dtype, out)

    def reduceat(self, array: Any, indices: Any, axis: int = 0, dtype: Any = None, out: Any = None) -> CuArray:
        """Reductions of slices along `axis`: from each of `indices` up to the next one.

        ValueError if the function does not take two operands and give one result.
        """
        dtype, out = self._checked_for("reduceat", dtype, out)
        from cuarray._functions.scans import ufunc_reduceat

        return ufunc_reduceat(self, array, indices, axis, dtype, out)

    def at(self, a: CuArray, indices: Any, b: Any = None, /) -> None:
        """Apply the function to ``a[indices]`` (and `b`) in place, as often as an index occurs.

        TypeError if `a` is no CuArray, ValueError if the function takes more than two operands or gives two results,
        or if `b` is missing or too many.
        """
        if self.nout != 1 or self.nin > 2:
            raise ValueError(f"{self.__name__}.at: only functions of one or two operands and one result have it")
        if (b is None) != (self.nin == 1):
            raise ValueError(f"{self.__name__}.at: the function takes {self.nin} operands; b is for the second one")
        if type(a) is not CuArray:
            raise TypeError(f"{self.__name__}.at: a must be a CuArray, not {type(a).__name__}")
        from cuarray._functions.indexing import scatter_at

        scatter_at(self, a, indices, b)

    def _check_binary(self, method: str) -> None:
        if self.nin != 2:
            raise ValueError(f"{self.__name__}.{method}: only functions of two operands have it")

    def _checked_for(self, method: str, dtype: Any, out: Any) -> tuple[np.dtype | None, CuArray | None]:
        """`dtype` and `out` of a method that combines elements of one array."""
        self._check_binary(method)
        what = f"{self.__name__}.{method}"
        if self.nout != 1:
            raise ValueError(f"{what}: only functions with one result have it")
        if isinstance(out, tuple):
            if len(out) != 1:
                raise ValueError(f"{what}: the tuple out must have 1 entry, not {len(out)}")
            (out,) = out
        if out is not None and type(out) is not CuArray:
            raise TypeError(f"{what}: out must be a CuArray, not {type(out).__name__}")
        return None if dtype is None else as_dtype(dtype), out


def _as_mask(name: str, where: Any) -> CuArray:
    if not isinstance(where, CuArray | np.ndarray):
        where = np.asarray(where, np.bool_)  # any value is true or false
    mask = as_operand(where)
    if mask.dtype != np.bool_:
        raise TypeError(f"{name}: where must be an array of bool, not of {mask.dtype}")
    return mask


def _operand_names(nin: int) -> list[str]:
    return [f"x{k + 1}" for k in range(nin)] if nin > 1 else ["x"]


def _docstring(name: str, row: Elementwise) -> str:
    """What it does, in NumPy's words; how it is called; and an example, whose results NumPy computes."""
    lines = [line.strip() for line in (row.ufunc.__doc__ or "").splitlines() if line.strip()]
    summary = next((line for line in lines if "(" not in line.split(" ")[0]), name)
    operands = ", ".join(_operand_names(row.ufunc.nin))
    results = "a new array, or `out`" if row.ufunc.nout == 1 else "two new arrays, or those in the tuple `out`"
    call = re.sub(r"\b(nan|inf)\b", r"ca.\1", ", ".join(map(repr, row.example)))
    with np.errstate(all="ignore"):
        expected = row.ufunc(*map(np.asarray, row.example))
    return f"""{summary}

{name}({operands}, /, out=None, *, where=True, casting="same_kind", order="K", dtype=None, subok=True, signature=None)

Element by element, over operands that broadcast against each other, into {results}; dtypes and
values are those of ``numpy.{name}``. What the keywords mean stands at the class of this function.

>>> import cuarray as ca
>>> ca.{name}({call})
{expected!r}
"""
