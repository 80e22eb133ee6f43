"""How every elementwise operation is called: operands in, one dictionary look-up, one launch, the result out."""

from __future__ import annotations

import contextlib
import functools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _families, _fast_calls, _plan, _runtime
from cuarray._array import CuArray, allocate
from cuarray._dtypes import Loop, OperandType, Signature, check_castable, is_struct, operand_type, pack_scalar
from cuarray._fast_calls import NOTHING, OUTPUT, Remembered, Word
from cuarray._launch import Prepared
from cuarray._layout import Layout, broadcast_shapes, ordered_layout
from cuarray._tuning import Target

# What an operand is, as far as the choice of kernel goes: an array's layout, or a scalar's type.
Kind = Layout | OperandType
Resolver = Callable[[tuple[OperandType, ...], np.dtype | None], Loop]
Packer = Callable[[Any], tuple[int, int]]

_CACHE_LIMIT = 4096


class Call:
    """An operation made ready for operands of certain kinds."""

    __slots__ = ("first_slot", "loop", "out_layout", "packers", "prepared", "second_layout")

    def __init__(
        self,
        out_layout: Layout,
        packers: tuple[Packer | None, ...],
        first_slot: int,
        prepared: Prepared | None,
        loop: Loop,
        second_layout: Layout | None = None,
    ) -> None:
        self.loop = loop
        self.out_layout = out_layout
        self.second_layout = second_layout
        self.packers = packers  # None where the operand is an array
        self.first_slot = first_slot  # 1 where the second output, or the item's number, comes first
        self.prepared = prepared  # None where there is nothing to compute

    def head(self, places: Iterable[int]) -> list[Word]:
        """The words of a launch with one output, whose operands are the arguments at these places."""
        head = [OUTPUT, *[NOTHING] * 6]
        operands = zip(places, self.packers, self.loop.inputs, strict=True)
        for slot, (place, packer, dtype) in enumerate(operands, 1 + self.first_slot):
            if packer is None:
                head[slot] = Word("address", place)
            else:
                head[slot], head[slot + 3] = Word("low", place, dtype), Word("high", place)
        return head

    def run(self, out: CuArray, operands: list[Any], second: CuArray | None = None) -> None:
        """Launch, writing into `out` (and `second`)."""
        if self.prepared is None:
            for packer, operand in zip(self.packers, operands, strict=True):
                if packer is not None:
                    packer(operand)  # a scalar that does not fit is an error for empty arrays, too
            return
        words = [0, 0, 0, 0, 0, 0]
        if second is not None:
            words[0] = second._pointer
        for slot, (packer, operand) in enumerate(zip(self.packers, operands, strict=True), self.first_slot):
            if packer is None:
                words[slot] = operand._pointer
            else:
                words[slot], words[slot + 3] = packer(operand)
        self.prepared.launch(out._pointer, *words)


class Planned(NamedTuple):
    """An operation planned for operands of certain kinds."""

    first: Layout
    second: Layout | None
    packers: tuple[Packer | None, ...]
    loop: Loop
    plan: _plan.Plan | None  # None where there is nothing to compute


# The words that a launch has for outputs and inputs together (Head in kernels/elementwise.cuh).
WORDS = 4


class Operation(Remembered):
    """An elementwise operation: a functor, and the rule that gives the dtypes of its loop.

    Callable with arrays, scalars and what `asarray` takes, broadcast against each other.
    """

    scalars = 0b1111
    refuses_negative: int | None = None  # the operand that must not be negative where the loop has integers for it
    _keeps = False  # whether it may leave elements of the output as they are

    def __init__(self, name: str, functor: str, nin: int, resolve: Resolver, position: bool = False) -> None:
        self.__name__ = name
        self.functor = functor
        self.nin = nin
        self._resolve = resolve
        self._position = position
        self._calls: dict[Any, Call] = {}

    def __repr__(self) -> str:
        return f"<cuarray operation {self.__name__!r}>"

    def _call(self, *operands: Any, **options: Any) -> CuArray:
        """The result as a new array, or in `out`; options: out, dtype and casting."""
        if len(operands) != self.nin:
            raise TypeError(f"{self.__name__}() takes {self.nin} operands, {len(operands)} were given")
        out, dtype, casting = options.get("out"), options.get("dtype"), options.get("casting", "same_kind")
        values, kinds = classify(self.__name__, operands)
        call = self.find(kinds, (None if out is None else check_out(self.__name__, out),), dtype, casting)
        if out is None:
            result = allocate(call.out_layout)
        else:
            for value in values:
                if type(value) is CuArray and partly_overlap(out, value):
                    return self.apply(tuple(values), (out,), dtype, casting)[0]
            result = out
        call.run(result, values)
        self.remember((*operands, *options.values()), tuple(options), call)
        return result

    def remember(self, arguments: tuple[Any, ...], names: tuple[str, ...], call: Call) -> None:
        """Have calls like this one, the last arguments by these names, done without Python from now on."""
        if call.prepared is None or call.second_layout is not None or not self.is_decided_by_kinds(call.loop):
            return
        if any(packer is None and type(given) is not CuArray for packer, given in zip(call.packers, arguments)):
            return  # a list, or another library's array, which was made an array for this call only
        out = len(arguments) - len(names) + names.index("out") if "out" in names else -1
        if out >= 0 and arguments[out] is None:
            out = -1
        head = call.head(range(self.nin))
        _fast_calls.remember(self, arguments, names, call.out_layout, [(call.prepared, head)], out=out)

    def is_decided_by_kinds(self, loop: Loop) -> bool:
        """Whether a call is right for all values of the operands, if it was for some."""
        return self.refuses_negative is None or loop.inputs[self.refuses_negative].kind != "i"

    def apply(
        self,
        operands: tuple[Any, ...],
        outs: Sequence[CuArray | None],
        signature: np.dtype | Signature | None = None,
        casting: str = "same_kind",
        order: str = "K",
    ) -> tuple[CuArray, ...]:
        """The results, each as a new array or in what `outs` has for it.

        `signature`: the dtype of the outputs, or of all inputs and outputs; `order`: of the new arrays' axes.
        """
        values, kinds = classify(self.__name__, operands)
        out_layouts = [None if out is None else check_out(self.__name__, out) for out in outs]
        call = self.find(kinds, out_layouts, signature, casting, order)
        if any(
            out is not None and any(type(value) is CuArray and partly_overlap(out, value) for value in values)
            for out in outs
        ):
            # Written in place, an element could be overwritten before it was read.
            aside = [out if out is None else new_like(out) for out in outs]
            if self._keeps:
                for result, out in zip(aside, outs, strict=True):
                    if result is not None:
                        copy_into(result, out)
            results = self.apply(tuple(values), aside, signature, casting, order)
            for result, out in zip(results, outs, strict=True):
                if out is not None:
                    copy_into(out, result)
            return tuple(result if out is None else out for result, out in zip(results, outs, strict=True))
        first = allocate(call.out_layout) if outs[0] is None else outs[0]
        if call.second_layout is None:
            call.run(first, values)
            return (first,)
        second = allocate(call.second_layout) if outs[1] is None else outs[1]
        call.run(first, values, second)
        return first, second

    def loop(self, kinds: list[Kind], signature: np.dtype | Signature | None, casting: str = "same_kind") -> Loop:
        """The dtypes that the operation computes in for operands of these kinds."""
        return self._resolve(_operand_types(kinds), signature)  # type: ignore[arg-type]

    @functools.cached_property
    def only_where(self) -> Operation:
        """This operation where a mask, its first operand, is true; elsewhere the output keeps what it has."""
        return _OnlyWhere(self)

    def find(
        self,
        kinds: list[Kind],
        outs: Sequence[Layout | None],
        signature: np.dtype | Signature | None = None,
        casting: str = "same_kind",
        order: str = "K",
    ) -> Call:
        """The call for operands and outputs of these kinds; made ready, and remembered, if it was not yet."""
        key = (*kinds, *outs, signature, casting, order)
        call = self._calls.get(key)
        if call is None:
            call = self._prepare(kinds, outs, signature, casting, order)
            if len(self._calls) >= _CACHE_LIMIT:
                self._calls.clear()
            self._calls[key] = call
        return call

    def _prepare(
        self,
        kinds: list[Kind],
        outs: Sequence[Layout | None],
        signature: np.dtype | Signature | None,
        casting: str,
        order: str,
    ) -> Call:
        planned = self.plan(_runtime.get().target, kinds, outs, signature, casting, order)
        prepared = None
        if planned.plan is not None:
            plain = signature is None and not any(outs)
            prepared = Prepared(planned.plan, (lambda: self.siblings(kinds, order)) if plain else None)
        slot = 1 if self._position or planned.second else 0
        return Call(planned.first, planned.packers, slot, prepared, planned.loop, planned.second)

    def siblings(self, kinds: list[Kind], order: str) -> Iterator[_plan.Plan]:
        """The plans of this operation for operands that differ from these in their dtype alone."""
        target = _runtime.get().target
        for kinds_there in _families.other_dtypes(kinds):
            with contextlib.suppress(TypeError, ValueError):  # no loop for this dtype
                planned = self.plan(target, kinds_there, order=order)
                if planned.plan is not None:
                    yield planned.plan

    def plan(
        self,
        target: Target,
        kinds: list[Kind],
        outs: Sequence[Layout | None] = (),
        signature: np.dtype | Signature | None = None,
        casting: str = "same_kind",
        order: str = "K",
    ) -> Planned:
        """What `prepare` loads, for any target: no device is needed. outs: none are new arrays."""
        loop = self.loop(kinds, signature, casting)
        layouts = [kind for kind in kinds if type(kind) is Layout]
        outs = outs or (None,) * (2 if loop.second is not None else 1)
        given = [out for out in outs if out is not None]
        shape = broadcast_shapes(*(source.shape for source in layouts)) if layouts else ()
        for out in given:
            if not _broadcastable(shape, out.shape):
                raise ValueError(f"{self.__name__}: out has shape {out.shape}; operands broadcast to {shape}")
            shape = out.shape
        results: list[tuple[Layout, np.dtype]] = []
        for wanted, dtype in zip(outs, (loop.output, loop.second), strict=False):
            assert dtype is not None
            if wanted is None:
                wanted = ordered_layout(dtype, shape, order, layouts)
            else:
                check_castable(dtype, wanted.dtype, casting, f"{self.__name__}: out")
                if wanted.shape != shape:
                    raise ValueError(f"{self.__name__}: out has shape {wanted.shape}; another output has {shape}")
            results.append((wanted, dtype))
        packers: list[Packer | None] = []
        for kind, dtype in zip(kinds, loop.inputs, strict=True):
            packers.append(None if type(kind) is Layout else pack_scalar(dtype))
        first, second = results[0][0], _plan.Operand(*results[1]) if len(results) > 1 else None
        plan = None
        if first.size:
            operands = [
                _plan.Operand(kind if type(kind) is Layout else None, dtype)
                for kind, dtype in zip(kinds, loop.inputs, strict=True)
            ]
            plan = _plan.elementwise(target, self.functor, first, loop.output, operands, self._position, second)
        return Planned(first, second.layout if second else None, tuple(packers), loop, plan)


class _OnlyWhere(Operation):
    """An operation of one result with a mask before its operands."""

    _keeps = True

    def __init__(self, operation: Operation) -> None:
        functor = f"ca::ops::OnlyWhere<{operation.functor}>"
        super().__init__(operation.__name__, functor, operation.nin + 1, operation._resolve)
        self._operation = operation

    def loop(self, kinds: list[Kind], signature: np.dtype | Signature | None, casting: str = "same_kind") -> Loop:
        loop = self._operation.loop(kinds[1:], signature, casting)
        return Loop((np.dtype(bool), *loop.inputs), loop.output)


def _operand_types(kinds: list[Kind]) -> tuple[OperandType, ...]:
    return tuple(kind.dtype if type(kind) is Layout else kind for kind in kinds)  # type: ignore[misc]


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


def may_share(a: CuArray, b: CuArray) -> bool:
    """Whether two arrays may have elements in common; conservative."""
    first, second = a._layout, b._layout
    return (
        first.size > 0
        and second.size > 0
        and a._pointer + first.low < b._pointer + second.high
        and b._pointer + second.low < a._pointer + first.high
    )


def partly_overlap(a: CuArray, b: CuArray) -> bool:
    """Whether two arrays may share some elements in different places; conservative."""
    return not (a._pointer == b._pointer and a._layout is b._layout) and may_share(a, b)


def new_like(array: CuArray, dtype: np.dtype | None = None, order: str = "K") -> CuArray:
    """A new array of this shape, its axes in memory in this order; elements are not set."""
    own = array._layout
    return allocate(ordered_layout(own.dtype if dtype is None else dtype, own.shape, order, [own]))


# ---- copying is an operation too


def _resolve_copy(kinds: tuple[OperandType, ...], dtype: np.dtype | None) -> Loop:
    (kind,) = kinds
    own = kind if isinstance(kind, np.dtype) else np.dtype(kind)
    return Loop((own,), dtype or own)


copy_operation = Operation("copy", "ca::ops::Identity", 1, _resolve_copy)


def copy_into(out: CuArray, value: Any, what: str = "copy", casting: str = "unsafe") -> None:
    """out[...] = value, where value is an array or a NumPy scalar of any dtype that may be cast."""
    if type(value) is CuArray and not _broadcastable(value.shape, out.shape):
        value = _drop_leading_ones(value, out.ndim)
        if not _broadcastable(value.shape, out.shape):
            raise ValueError(f"{what}: could not broadcast an array of shape {value.shape} into shape {out.shape}")
    copy_operation(value, out=out, casting=casting)


def copy_where(out: CuArray, value: CuArray, mask: CuArray) -> None:
    """``out = value``, of any dtype, where a mask of bool is true; both broadcast to `out`."""
    copy_operation.only_where(mask, value, out=out, casting="unsafe")


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


class _Assign(Remembered):
    """``out[...] = value`` by NumPy's rules of assignment: any cast, and values that broadcast to out's shape."""

    scalars = 0b10

    def _call(self, out: CuArray, value: Any, what: str = "assignment") -> None:
        if not out._writeable:
            raise ValueError(f"{what}: destination is read-only")
        if type(value) is CuArray:
            copy_into(out, value, what)
            if _broadcastable(value.shape, out.shape):
                self._remember(out, value, value._layout)
        elif is_struct(out.dtype):
            # A tuple is a struct; too large to travel in the record.
            copy_into(out, as_operand(np.asarray(value, out.dtype)), what)
        elif operand_type(value) is None:
            copy_into(out, as_operand(value), what)
        else:
            # NumPy converts the scalar, with its own errors: 300 into uint8 overflows, 1j into float is refused.
            converted = np.empty((), out.dtype)
            converted[()] = value
            copy_into(out, converted[()], what)
            self._remember(out, value, out.dtype)

    def _remember(self, out: CuArray, value: Any, kind: Kind) -> None:
        call = copy_operation.find([kind], (out._layout,), None, "unsafe")
        if call.prepared is not None:
            _fast_calls.remember(self, (out, value), (), out._layout, [(call.prepared, call.head([1]))], out=0)


assign = _Assign()
