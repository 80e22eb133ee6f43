"""How every elementwise operation is called: operands in, one dictionary look-up, one launch, the result out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from cuarray import _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import Loop, OperandType, check_castable, is_struct, operand_type, pack_scalar
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, like_layout

# What an operand is, as far as the choice of kernel goes: an array's layout, or a scalar's type.
Kind = Layout | OperandType
Resolver = Callable[[tuple[OperandType, ...], np.dtype | None], Loop]
Packer = Callable[[Any], tuple[int, int]]

_CACHE_LIMIT = 4096


class Call:
    """An operation made ready for operands of certain kinds."""

    __slots__ = ("first_slot", "out_layout", "packers", "prepared")

    def __init__(
        self, out_layout: Layout, packers: tuple[Packer | None, ...], first_slot: int, prepared: Prepared | None
    ) -> None:
        self.out_layout = out_layout
        self.packers = packers  # None where the operand is an array
        self.first_slot = first_slot  # 1 where the item's number comes first
        self.prepared = prepared  # None where there is nothing to compute

    def run(self, out: CuArray, operands: list[Any]) -> None:
        """Launch, writing into `out`."""
        if self.prepared is None:
            for packer, operand in zip(self.packers, operands, strict=True):
                if packer is not None:
                    packer(operand)  # a scalar that does not fit is an error for empty arrays, too
            return
        words = [0, 0, 0, 0, 0, 0]
        for slot, (packer, operand) in enumerate(zip(self.packers, operands, strict=True), self.first_slot):
            if packer is None:
                words[slot] = operand._pointer
            else:
                words[slot], words[slot + 3] = packer(operand)
        self.prepared.launch(out._pointer, *words)


class Operation:
    """An elementwise operation: a functor, and the rule that gives the dtypes of its loop.

    Callable with arrays, scalars and what `asarray` takes, broadcast against each other.
    """

    def __init__(self, name: str, functor: str, nin: int, resolve: Resolver, position: bool = False) -> None:
        self.__name__ = name
        self.functor = functor
        self.nin = nin
        self._resolve = resolve
        self._position = position
        self._calls: dict[Any, Call] = {}

    def __repr__(self) -> str:
        return f"<cuarray operation {self.__name__!r}>"

    def __call__(
        self, *operands: Any, out: CuArray | None = None, dtype: np.dtype | None = None, casting: str = "same_kind"
    ) -> CuArray:
        """The result as a new array, or in `out`."""
        if len(operands) != self.nin:
            raise TypeError(f"{self.__name__}() takes {self.nin} operands, {len(operands)} were given")
        values, kinds = classify(self.__name__, operands)
        key = (*kinds, None if out is None else check_out(self.__name__, out), dtype, casting)
        call = self._calls.get(key)
        if call is None:
            call = self._prepare(kinds, values, None if out is None else out._layout, dtype, casting)
            if len(self._calls) >= _CACHE_LIMIT:
                self._calls.clear()
            self._calls[key] = call
        if out is None:
            result = allocate(call.out_layout)
            call.run(result, values)
            return result
        if any(type(value) is CuArray and partly_overlap(out, value) for value in values):
            # Written in place, an element could be overwritten before it was read.
            result = allocate(out._layout) if out._layout.c_contiguous else _packed_like(out)
            self(*values, out=result, dtype=dtype, casting=casting)
            copy_into(out, result)
        else:
            call.run(out, values)
        return out

    def loop(self, kinds: list[Kind], dtype: np.dtype | None) -> Loop:
        """The dtypes that the operation computes in for operands of these kinds."""
        return self._resolve(tuple(kind.dtype if type(kind) is Layout else kind for kind in kinds), dtype)  # type: ignore[misc]

    def _prepare(
        self, kinds: list[Kind], values: list[Any], out: Layout | None, dtype: np.dtype | None, casting: str
    ) -> Call:
        loop = self.loop(kinds, dtype)
        layouts = [kind for kind in kinds if type(kind) is Layout]
        shape = broadcast_shapes(*(source.shape for source in layouts)) if layouts else ()
        if out is None:
            out = like_layout(loop.output, shape, layouts)
        else:
            check_castable(loop.output, out.dtype, casting, f"{self.__name__}: out")
            if not _broadcastable(shape, out.shape):
                raise ValueError(f"{self.__name__}: out has shape {out.shape}; operands broadcast to {shape}")
        packers: list[Packer | None] = []
        for kind, wanted in zip(kinds, loop.inputs, strict=True):
            packers.append(None if type(kind) is Layout else pack_scalar(wanted))
        prepared = None
        if out.size:
            operands = [
                _plan.Operand(kind if type(kind) is Layout else None, wanted)
                for kind, wanted in zip(kinds, loop.inputs, strict=True)
            ]
            plan = _plan.elementwise(
                _runtime.get().target, self.functor, out, loop.output, operands, position=self._position
            )
            prepared = Prepared(plan)
        return Call(out, tuple(packers), int(self._position), prepared)


def classify(name: str, operands: tuple[Any, ...]) -> tuple[list[Any], list[Kind]]:
    """The operands, each an array or a scalar, and their kinds."""
    values: list[Any] = []
    kinds: list[Kind] = []
    for position, operand in enumerate(operands):
        if type(operand) is CuArray:
            values.append(operand)
            kinds.append(operand._layout)
            continue
        kind = operand_type(operand)
        if kind is None:
            try:
                operand = as_operand(operand)
            except TypeError as error:
                raise TypeError(f"{name}: operand {position + 1}: {error}") from None
            values.append(operand)
            kinds.append(operand._layout)
        else:
            values.append(operand)
            kinds.append(kind)
    return values, kinds


def as_operand(value: Any) -> CuArray:
    """Whatever `asarray` takes, as an array."""
    from cuarray._functions.creation import asarray

    return asarray(value)


def is_operand(value: Any) -> bool:
    """Whether an operator takes `value` as its other operand; for anything else it returns NotImplemented."""
    kind = type(value)
    if kind is CuArray or kind is float or kind is int:
        return True
    if issubclass(kind, np.ndarray):
        # What has a higher priority than NumPy's arrays means something else by the operators: masked arrays.
        return kind is np.ndarray or value.__array_priority__ <= 0
    if getattr(kind, "__array_ufunc__", True) is None:  # the protocol's way to say that it takes no part in this
        return False
    return (
        issubclass(kind, bool | int | float | complex | np.generic | list | tuple)
        or hasattr(kind, "__cuda_array_interface__")
        or hasattr(kind, "__dlpack__")
    )


def check_out(name: str, out: Any) -> Layout:
    """The layout of an output argument; TypeError or ValueError if it cannot be one."""
    if type(out) is not CuArray:
        raise TypeError(f"{name}: out must be a CuArray, not {type(out).__name__}")
    if not out._writeable:
        raise ValueError(f"{name}: out is read-only")
    return out._layout


def partly_overlap(a: CuArray, b: CuArray) -> bool:
    """Whether two arrays may share some elements in different places; conservative."""
    if a._pointer == b._pointer and a._layout is b._layout:
        return False
    first, second = a._layout, b._layout
    return (
        first.size > 0
        and second.size > 0
        and a._pointer + first.low < b._pointer + second.high
        and b._pointer + second.low < a._pointer + first.high
    )


def _packed_like(array: CuArray) -> CuArray:
    return allocate(like_layout(array.dtype, array.shape, [array._layout]))


# ---- copying is an operation too


def _resolve_copy(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    (kind,) = kinds
    own = kind if isinstance(kind, np.dtype) else np.dtype(kind)
    return Loop((own,), dtype or own)


copy_operation = Operation("copy", "ca::ops::Identity", 1, _resolve_copy)


def copy_into(out: CuArray, value: Any, what: str = "copy", casting: str = "unsafe") -> None:
    """out[...] = value, where value is an array or a NumPy scalar of any dtype that may be cast."""
    if type(value) is CuArray:
        shape = broadcast_shapes(value.shape, out.shape) if _broadcastable(value.shape, out.shape) else None
        if shape != out.shape:
            value = _drop_leading_ones(value, out.ndim)
            if not _broadcastable(value.shape, out.shape) or broadcast_shapes(value.shape, out.shape) != out.shape:
                raise ValueError(f"{what}: could not broadcast an array of shape {value.shape} into shape {out.shape}")
    copy_operation(value, out=out, casting=casting)


def _drop_leading_ones(value: CuArray, ndim: int) -> CuArray:
    # x[0] = [[1, 2, 3]] is allowed: leading extents of 1 that the target lacks do not matter.
    extra = max(0, value.ndim - ndim)
    while extra and value.shape[0] == 1:
        value = value[0]
        extra -= 1
    return value


def _broadcastable(source: tuple[int, ...], target: tuple[int, ...]) -> bool:
    return len(source) <= len(target) and all(
        extent in (1, wanted) for extent, wanted in zip(source[::-1], target[::-1], strict=False)
    )


def assign(out: CuArray, value: Any, what: str) -> None:
    """out[...] = value by NumPy's rules of assignment: any cast, and values that broadcast to out's shape."""
    if not out._writeable:
        raise ValueError(f"{what}: destination is read-only")
    if type(value) is not CuArray:
        if is_struct(out.dtype):
            value = as_operand(np.asarray(value, out.dtype))  # a tuple is a struct; too large to travel in the record
        elif operand_type(value) is None:
            value = as_operand(value)
        else:
            # NumPy converts the scalar, with its own errors: 300 into uint8 overflows, 1j into float is refused.
            converted = np.empty((), out.dtype)
            converted[()] = value
            value = converted[()]
    copy_into(out, value, what)
