"""Products called as NumPy's generalized ufuncs are: with out, dtype, casting, order and axes."""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray._array import CuArray, view_of
from cuarray._dtypes import check_castable, resolve
from cuarray._functions._multiply import Computed, RememberedProduct
from cuarray._functions._operation import as_operand, check_out, copy_into, may_share
from cuarray._functions._ufunc_arguments import UfuncArguments
from cuarray._functions.creation import astype, copy
from cuarray._layout import broadcast_shapes

_NOT_GIVEN: Any = object()
# Computes from operands of one dtype, whose core axes are the last ones, and an array to write into, if there is one.
Compute = Callable[[CuArray, CuArray, CuArray | None], Computed]


class _Axes(NamedTuple):
    """Where core axes are: of both operands and of the result, and whether an axis of one element stays there."""

    operands: tuple[tuple[int, ...], tuple[int, ...]]
    result: tuple[int, ...]
    keepdims: bool


class ProductFunction(UfuncArguments, RememberedProduct):
    """A product of two operands, called as NumPy's ufunc of this name."""

    nin, nout, nargs = 2, 1, 3

    def __init__(self, compute: Compute, signature: str) -> None:
        super().__init__()
        functools.update_wrapper(self, compute)
        self._compute = compute
        self.signature = signature
        inputs, _, output = signature.partition("->")
        # The names of the core dimensions; one with a question mark is missing where the operand has too few axes.
        self._core = [part.strip("()").split(",") for part in inputs.split("),(")]
        self._out_core = [name for name in output.strip("()").split(",") if name]
        self._axis_allowed = len({name for names in self._core for name in names}) == 1
        self.__signature__ = _signature(self._axis_allowed)

    def __repr__(self) -> str:
        return f"<cuarray function {self.__name__!r}>"

    def __reduce__(self) -> str:
        return self.__name__

    def _call(self, *operands: Any, **options: Any) -> CuArray:
        given = dict(options)
        axes, axis = given.pop("axes", _NOT_GIVEN), given.pop("axis", _NOT_GIVEN)
        keepdims = given.pop("keepdims", _NOT_GIVEN)
        if "where" in given:
            raise TypeError(f"{self.__name__}() got an unexpected keyword argument 'where'")
        (out,), _, wanted, casting, order = self._checked(operands, given)
        arrays = [as_operand(x) for x in operands[:2]]
        cores = self._cores(arrays)
        chosen = self._axes(arrays, cores, axes, axis, keepdims)
        if out is not None:
            check_out(self.__name__, out)
        loop = resolve(np.matmul, (arrays[0].dtype, arrays[1].dtype), wanted, casting)
        cast = [astype(x, loop.output, copy=False) for x in arrays]
        a, b = cast if chosen is None else map(_moved, cast, chosen.operands)
        shape = self._shape(arrays, a, b, cores)
        if out is None:
            computed = self._compute(a, b, None)
            result = _ordered(computed.result, order, arrays)
        else:
            check_castable(loop.output, out.dtype, casting, f"{self.__name__}: out")
            target = out if chosen is None else _moved_result(out, chosen, len(self._result_core(cores)))
            self._check_shape(target.shape, shape, len(self._result_core(cores)))
            direct = target.dtype == loop.output and target.shape == shape and target._layout.c_contiguous
            if direct and not may_share(target, a) and not may_share(target, b):
                computed = self._compute(a, b, target)
            else:
                computed = self._compute(a, b, None)
                copy_into(target, computed.result, casting=casting)
                computed = Computed(out, None)
            result = out
        plain = len(operands) == 2 and options.keys() <= {"out"} and options.get("out") is out
        if plain and all(x is y for x, y in zip(operands, cast)):
            place = -1 if out is None else 2
            self.remember((*operands, *options.values()), tuple(options), place, computed, (0, 1))
        if out is None and chosen is not None:
            result = _placed(result, chosen, len(self._result_core(cores)))
        return result

    # ---- shapes
    def _cores(self, arrays: Sequence[CuArray]) -> list[list[str]]:
        """The core dimensions that the operands have."""
        missing: set[str] = set()
        for position, (x, names) in enumerate(zip(arrays, self._core)):
            optional = [name for name in names if name.endswith("?")]
            least = len(names) - len(optional)
            if x.ndim < least:
                dimensions = "dimension" if least == 1 else "dimensions"
                raise ValueError(
                    f"{self.__name__}: operand {position + 1} must have at least {least} {dimensions}, it has {x.ndim}"
                )
            if x.ndim < len(names):
                missing.update(optional)
        return [[name for name in names if name not in missing] for names in (*self._core, self._out_core)]

    @staticmethod
    def _result_core(cores: list[list[str]]) -> list[str]:
        return cores[2]

    def _shape(self, given: Sequence[CuArray], a: CuArray, b: CuArray, cores: list[list[str]]) -> tuple[int, ...]:
        """The result's shape, its core axes last; ValueError where the operands do not fit."""
        extents: dict[str, int] = {}
        stacks = []
        for x, names in zip((a, b), cores):
            split = x.ndim - len(names)
            stacks.append(x.shape[:split])
            for name, extent in zip(names, x.shape[split:]):
                if extents.setdefault(name, extent) != extent:
                    shapes = " and ".join(str(operand.shape) for operand in given)
                    raise ValueError(
                        f"{self.__name__}: operands of shapes {shapes} do not match: "
                        f"the inner extents are {extents[name]} and {extent}"
                    )
        return (*broadcast_shapes(*stacks), *(extents[name] for name in cores[2]))

    def _check_shape(self, given: tuple[int, ...], shape: tuple[int, ...], core: int) -> None:
        split, own = len(given) - core, len(shape) - core
        if split < 0 or given[split:] != shape[own:] or broadcast_shapes(given[:split], shape[:own]) != given[:split]:
            raise ValueError(f"{self.__name__}: out has shape {given}; the result has {shape}")

    # ---- axes
    def _axes(
        self, arrays: Sequence[CuArray], cores: list[list[str]], axes: Any, axis: Any, keepdims: Any
    ) -> _Axes | None:
        """Where the core axes are; None: they are the last ones, as ever."""
        if keepdims is not _NOT_GIVEN:
            if not self._axis_allowed:
                raise TypeError(
                    f"{self.__name__} does not support keepdims: its signature {self.signature} has several core "
                    "dimensions"
                )
            if not isinstance(keepdims, bool | np.bool_):
                raise TypeError(f"{self.__name__}: keepdims must be a bool, not {keepdims!r}")
        keeps = keepdims is not _NOT_GIVEN and bool(keepdims)
        counts = [len(names) for names in cores]
        if keeps:
            counts[2] = 1
        if axis is not _NOT_GIVEN:
            if axes is not _NOT_GIVEN:
                raise TypeError(f"{self.__name__}: cannot specify both 'axis' and 'axes'")
            if not self._axis_allowed:
                raise TypeError(
                    f"{self.__name__}: axis can only be used with a single shared core dimension, not with those of "
                    f"{self.signature}"
                )
            number = operator.index(axis)
            axes = [(number,), (number,), (number,) * counts[2]]
        elif axes is _NOT_GIVEN:
            if not keeps:
                return None
            axes = [(-1,), (-1,), (-1,)]
        return self._read_axes(arrays, cores, counts, axes, keeps)

    def _read_axes(
        self, arrays: Sequence[CuArray], cores: list[list[str]], counts: list[int], axes: Any, keepdims: bool
    ) -> _Axes:
        if not isinstance(axes, list):
            raise TypeError(f"{self.__name__}: axes should be a list")
        items = list(axes)
        if len(items) == 2 and not self._out_core:
            items.append((-1,) * counts[2])
        if len(items) != 3:
            raise ValueError(
                f"{self.__name__}: axes should be a list with an entry for all 3 inputs and outputs; entries for "
                "outputs can only be omitted if none of them has core axes"
            )
        stack = max(x.ndim - len(names) for x, names in zip(arrays, cores))
        found = []
        for number, (item, ndim) in enumerate(zip(items, (arrays[0].ndim, arrays[1].ndim, stack + counts[2]))):
            one = not isinstance(item, tuple)
            own = (operator.index(item),) if one else tuple(map(operator.index, item))
            if len(own) != counts[number]:
                said = "the axes item is a single integer" if one else f"{len(own)} are in its item of axes"
                raise np.exceptions.AxisError(
                    f"{self.__name__}: operand {number} has {counts[number]} core dimensions, but {said}"
                )
            places = tuple(np.lib.array_utils.normalize_axis_index(place, ndim, f"axes item {number}") for place in own)
            if len(set(places)) < len(places):
                raise ValueError(f"{self.__name__}: axes item {number} has an axis twice: {item}")
            found.append(places)
        return _Axes((found[0], found[1]), found[2], keepdims)


def _signature(one_dimension: bool) -> inspect.Signature:
    positional = [inspect.Parameter(name, inspect.Parameter.POSITIONAL_ONLY) for name in ("x1", "x2")]
    out = inspect.Parameter("out", inspect.Parameter.POSITIONAL_OR_KEYWORD, default=None)
    defaults: dict[str, Any] = {"axes": None, "axis": -1, "keepdims": False}
    defaults |= {"casting": "same_kind", "order": "K", "dtype": None, "subok": True, "signature": None}
    if not one_dimension:  # they are accepted, to be refused with a reason, as NumPy does
        del defaults["axis"], defaults["keepdims"]
    keywords = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=value) for name, value in defaults.items()
    ]
    return inspect.Signature([*positional, out, *keywords])


def _moved(x: CuArray, axes: tuple[int, ...]) -> CuArray:
    """With these axes as the last ones."""
    last = tuple(range(x.ndim - len(axes), x.ndim))
    return x if axes == last else view_of(x, lambda ghost: np.moveaxis(ghost, axes, last))


def _moved_result(out: CuArray, axes: _Axes, core: int) -> CuArray:
    """An output as the product is computed: its core axes last, and without the axis that was kept."""
    if axes.keepdims:
        return view_of(out, lambda ghost: np.squeeze(ghost, axes.result))
    if any(place >= out.ndim for place in axes.result):
        return out  # too few axes: its shape is looked at next
    return _moved(out, axes.result)


def _placed(result: CuArray, axes: _Axes, core: int) -> CuArray:
    """A new array with its core axes where they were asked for."""
    if axes.keepdims:
        placed = view_of(result, lambda ghost: np.expand_dims(ghost, axes.result))
    else:
        last = tuple(range(result.ndim - core, result.ndim))
        if axes.result == last:
            return result
        placed = view_of(result, lambda ghost: np.moveaxis(ghost, last, axes.result))
    placed._base = None
    return placed


def _ordered(result: CuArray, order: str, operands: Sequence[CuArray]) -> CuArray:
    if order == "F" or (order == "A" and all(x._layout.f_contiguous for x in operands)):
        return result if result._layout.f_contiguous else copy(result, "F")
    return result


def generalized(signature: str) -> Callable[[Compute], ProductFunction]:
    """Make a function that computes a product one that is called as NumPy's ufunc of the same name."""
    return lambda compute: ProductFunction(compute, signature)
