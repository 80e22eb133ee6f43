"""What calls of NumPy's ufuncs may be given besides the operands, checked as NumPy checks it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import Signature, as_dtype

_CASTINGS = ("no", "equiv", "safe", "same_kind", "unsafe")


class UfuncOptions(NamedTuple):
    """The keywords of a call, checked."""

    outs: tuple[CuArray | None, ...]
    where: Any
    signature: np.dtype | Signature | None
    casting: str
    order: str


class UfuncArguments:
    """A function that is called as a ufunc of so many inputs and outputs."""

    __name__: str
    nin: int
    nout: int
    nargs: int

    def _checked(self, operands: tuple[Any, ...], options: dict[str, Any]) -> UfuncOptions:
        name, given = self.__name__, len(operands)
        if not self.nin <= given <= self.nargs:
            most = f"from {self.nin} to {self.nargs}"
            raise TypeError(f"{name}() takes {most} positional arguments but {given} were given")
        options = dict(options)
        outs = self._outs(operands[self.nin :], options.pop("out", None))
        where = options.pop("where", True)
        casting = options.pop("casting", "same_kind")
        order = options.pop("order", "K")
        dtype = options.pop("dtype", None)
        subok = options.pop("subok", True)
        signature = options.pop("signature", None)
        if "sig" in options:
            if signature is not None:
                raise TypeError(f"{name}() got both 'sig' and 'signature'; they are one argument")
            signature = options.pop("sig")
        if options:
            raise TypeError(f"{name}() got an unexpected keyword argument {next(iter(options))!r}")
        if casting not in _CASTINGS:
            _refuse(f"{name}: casting", casting, _CASTINGS)
        order = "K" if order is None else order
        if not isinstance(order, str) or order.upper() not in ("K", "C", "F", "A"):
            _refuse(f"{name}: order", order, ("K", "C", "F", "A"))
        if type(subok) is not bool:
            raise TypeError(f"{name}: subok must be a bool, not {subok!r}")
        if dtype is not None and signature is not None:
            raise TypeError(f"{name}: dtype and signature cannot both be given")
        wanted = as_dtype(dtype) if dtype is not None else self._signature(signature)
        return UfuncOptions(outs, where, wanted, casting, order.upper())

    def _outs(self, positional: tuple[Any, ...], out: Any) -> tuple[CuArray | None, ...]:
        if positional:
            if out is not None:
                raise TypeError(f"{self.__name__}: out is given by position and by keyword")
            return positional + (None,) * (self.nout - len(positional))
        if out is None:
            return (None,) * self.nout
        if not isinstance(out, tuple):
            if self.nout > 1:
                raise TypeError(f"{self.__name__}: out must be a tuple of {self.nout} arrays, as there are two results")
            return (out,)
        if len(out) != self.nout:
            raise ValueError(f"{self.__name__}: the tuple out must have {self.nout} entries, not {len(out)}")
        return out

    def _signature(self, signature: Any) -> np.dtype | Signature | None:
        """`signature` as a dtype or None for each input and output, or as one dtype for the outputs."""
        if signature is None:
            return None
        if isinstance(signature, str):
            inputs, arrow, outputs = signature.partition("->")
            if len(signature) == 1:
                raise TypeError(f"{self.__name__}: signature must have dtypes for inputs and outputs; dtype is for one")
            if not arrow or len(inputs) != self.nin or len(outputs) != self.nout:
                form = f"{'d' * self.nin}->{'d' * self.nout}"
                raise ValueError(f"{self.__name__}: signature must be like {form!r}, not {signature!r}")
            signature = tuple(inputs + outputs)
        if not isinstance(signature, tuple):
            raise TypeError(f"{self.__name__}: signature must be a str or a tuple of dtypes, not {signature!r}")
        if len(signature) != self.nargs:
            raise ValueError(f"{self.__name__}: signature must have {self.nargs} dtypes, not {len(signature)}")
        return tuple(None if dtype is None else as_dtype(dtype, "signature") for dtype in signature)


def _refuse(what: str, value: Any, allowed: Sequence[str]) -> None:
    error = ValueError if isinstance(value, str) else TypeError
    raise error(f"{what} must be one of {', '.join(map(repr, allowed))}, not {value!r}")
