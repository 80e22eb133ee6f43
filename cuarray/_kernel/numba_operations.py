"""Operations on CuArrays in njit: the ufuncs and operators of the table, and reductions.

Types are decided while numba compiles, by the rules that Python follows. The compiled code leaves shapes, strides and
values on its stack and calls `run_operation` of kernels/native_operations.hpp, which knows how such a call was done
before, or asks Python.
"""

from __future__ import annotations

import functools
import inspect
import operator
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import typeof, types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed, impl_ret_new_ref
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, Signature, infer_global, signature
from numba.extending import infer_getattr, lower_builtin, models, register_model, typeof_impl, unbox
from numba.np.numpy_support import as_dtype as numpy_dtype
from numba.np.numpy_support import from_dtype

from cuarray import _functions as F
from cuarray._array import OPERATORS
from cuarray._dtypes import BFLOAT16, Loop, OperandType, check_castable
from cuarray._functions._reduction import dtype_of_result
from cuarray._functions._ufunc import Ufunc
from cuarray._functions.elementwise import FUNCTIONS
from cuarray._kernel import native_operations, numba_calls
from cuarray._kernel.native_operations import OPERANDS, OUTPUT_WORD, ArrayKind, FailedOperation, Site
from cuarray._kernel.numba_arrays import CuArrayType
from cuarray._kernel.numba_calls import I32, I64, POINTER, TUPLE
from cuarray._kernel.numba_functions import given_dtype
from cuarray._kernel.numba_launch import ResolvesItself, is_changed, may_not_fit, unbox_nothing
from cuarray._runtime import driver_functions

_HALVES = (np.dtype(np.float16), BFLOAT16)

# ---- what a call is given


def _is_given(typ: Any) -> bool:
    if isinstance(typ, types.Omitted):
        return False
    return not isinstance(typ, types.NoneType)


def _bind(
    name: str, parameters: inspect.Signature, args: Sequence[Any], kws: Any
) -> tuple[dict[str, Any], tuple[Any, ...]]:
    """The types of the arguments that are given, by name; and those of all, as the lowering wants them."""
    try:
        bound = parameters.bind(*args, **dict(kws)).arguments
    except TypeError as error:
        raise TypingError(f"{name}: {error}, as far as it can be called in njit; call it outside") from None
    everything = tuple(
        bound[parameter] if parameter in bound else types.Omitted(own.default)
        for parameter, own in parameters.parameters.items()
    )
    return {parameter: typ for parameter, typ in bound.items() if _is_given(typ)}, everything


def _parameters(**defaults: Any) -> inspect.Signature:
    kind = inspect.Parameter.POSITIONAL_OR_KEYWORD
    return inspect.Signature([inspect.Parameter(name, kind, default=value) for name, value in defaults.items()])


# ---- elementwise operations


def _kind(name: str, position: int, typ: Any) -> ArrayKind | OperandType:
    """What an operand of this type is to Python; numba's own int, float and complex are weak, as Python's numbers."""
    typ = types.unliteral(typ)
    if isinstance(typ, CuArrayType):
        return ArrayKind(typ.dtype, typ.ndim)
    for own, python in ((types.int64, int), (types.float64, float), (types.complex128, complex)):
        if typ == own:
            return python
    if isinstance(typ, types.Boolean | types.Number):
        return numpy_dtype(typ)
    raise TypingError(f"{name}: operand {position + 1} must be a CuArray or a number, not {typ}")


def _resolve(ufunc: Ufunc, kinds: Sequence[ArrayKind | OperandType], out: Any) -> Loop:
    name = ufunc.__name__
    if ufunc.nout != 1:
        raise TypingError(f"{name} has {ufunc.nout} results, which njit cannot take: call it outside")
    operands: list[Any] = [kind.dtype if isinstance(kind, ArrayKind) else kind for kind in kinds]
    try:
        loop = ufunc.loop(operands, None)
        if out is not None:
            check_castable(loop.output, out.dtype, "same_kind", f"{name}: out")
    except TypeError as error:
        raise TypingError(str(error)) from None
    for position, (kind, dtype) in enumerate(zip(kinds, loop.inputs, strict=True), 1):
        if not isinstance(kind, ArrayKind) and dtype in _HALVES:
            raise TypingError(
                f"{name}: operand {position} is a scalar that becomes {dtype}, which numba cannot make: pass it in an "
                "array, or call the function outside of njit"
            )
    return loop


def _result_type(ufunc: Ufunc, operands: Sequence[Any], out: Any) -> Any:
    kinds = [_kind(ufunc.__name__, position, typ) for position, typ in enumerate(operands)]
    loop = _resolve(ufunc, kinds, out)
    if out is not None:
        return out
    arrays = [typ for typ in operands if isinstance(typ, CuArrayType)]
    ndim = max((typ.ndim for typ in arrays), default=0)
    # NumPy's order "K" looks at the arrays that have the whole shape, which must have this many dimensions.
    packed = ndim < 2 or all(typ.layout == "C" for typ in arrays if typ.ndim == ndim)
    return CuArrayType(loop.output, ndim, "C" if packed else "A")


def _check_out(name: str, typ: Any) -> None:
    if not isinstance(typ, CuArrayType):
        raise TypingError(f"{name}: out must be a CuArray, not {typ}")
    if not typ.writeable:
        raise TypingError(f"{name}: out is read-only: {typ}")


class UfuncType(ResolvesItself, types.Opaque):
    """One particular function."""

    implementation = "cuarray.ufunc"

    def __init__(self, ufunc: Ufunc) -> None:
        self.ufunc = ufunc
        operands = {f"x{k}": inspect.Parameter.empty for k in range(1, ufunc.nin + 1)}
        self.parameters = _parameters(**operands, out=None)
        super().__init__(f"cuarray.{ufunc.__name__}")

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        ufunc = self.ufunc
        given, everything = _bind(ufunc.__name__, self.parameters, args, kws)
        out = given.get("out")
        if out is not None:
            _check_out(ufunc.__name__, out)
        everything = (*map(types.unliteral, everything[: ufunc.nin]), everything[-1])
        result = _result_type(ufunc, everything[: ufunc.nin], out)
        return signature(result, *everything, recvr=self).replace(pysig=self.parameters)


register_model(UfuncType)(models.OpaqueModel)
typeof_impl.register(Ufunc)(lambda value, context: UfuncType(value))
unbox(UfuncType)(unbox_nothing)


@lower_builtin(UfuncType.implementation, UfuncType, types.VarArg(types.Any))
def _lower_ufunc(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    ufunc, (out_type, out) = sig.args[0].ufunc, (sig.args[-1], args[-1])
    if not _is_given(out_type):
        out_type = out = None
    return _emit_ufunc(context, builder, ufunc, sig.args[1:-1], args[1:-1], out_type, out, sig.return_type)


def _emit_ufunc(
    context: Any,
    builder: Any,
    ufunc: Ufunc,
    operand_types: Sequence[Any],
    operands: Sequence[Any],
    out_type: Any,
    out: Any,
    result: Any,
) -> ir.Value:
    given = [_as_value(context, builder, typ, value) for typ, value in zip(operand_types, operands, strict=True)]
    kinds = tuple(_kind(ufunc.__name__, position, typ) for position, (typ, _) in enumerate(given))
    loop = _resolve(ufunc, kinds, out_type)
    site = native_operations.elementwise_site(ufunc, kinds, out_type and ArrayKind(out_type.dtype, out_type.ndim))
    call = _Call(context, builder, site)
    for position, ((typ, value), dtype) in enumerate(zip(given, loop.inputs, strict=True)):
        if isinstance(typ, CuArrayType):
            call.add_array(typ, value)
        else:
            call.add_scalar(typ, value, dtype, position == ufunc.refuses_negative)
    if out_type is not None:
        call.run_into(out_type, out)
        return impl_ret_borrowed(context, builder, out_type, out)
    return impl_ret_new_ref(context, builder, result, call.run(result))


def _as_value(context: Any, builder: Any, typ: Any, value: Any) -> tuple[Any, Any]:
    if isinstance(value, ir.Value):
        return types.unliteral(typ), value
    own = typeof(value)  # an operand that numba knew as a constant, as in x ** 2
    return own, context.get_constant_generic(builder, own, value)


# ---- the call


class _Call:
    """Code that calls `run_operation`."""

    def __init__(self, context: Any, builder: Any, site: Site) -> None:
        self._context, self._builder, self._site = context, builder, site
        self._key = self._words(site.key_words)
        self._values = self._words(OPERANDS + 4 * len(site.kinds))
        self._keyed = self._valued = 0
        self._by_python: ir.Value = cgutils.false_bit

    def _words(self, count: int) -> ir.Value:
        return cgutils.alloca_once(self._builder, I64, size=max(count, 1))

    def _place(self, word: int) -> ir.Value:
        return cgutils.gep_inbounds(self._builder, self._values, word)

    def add_word(self, word: ir.Value) -> None:
        """A word of the key."""
        self._builder.store(word, cgutils.gep_inbounds(self._builder, self._key, self._keyed))
        self._keyed += 1

    def _add_layout(self, typ: CuArrayType, value: Any) -> Any:
        struct = cgutils.create_struct_proxy(typ)(self._context, self._builder, value=value)
        for extents in (struct.shape, struct.strides):
            for word in cgutils.unpack_tuple(self._builder, extents, typ.ndim):
                self.add_word(word)
        return struct

    def add_array(self, typ: CuArrayType, value: Any) -> None:
        """An operand."""
        struct = self._add_layout(typ, value)
        self._builder.store(struct.pointer, self._place(OPERANDS + 2 * self._valued))
        self._valued += 1

    def add_scalar(self, typ: Any, value: Any, dtype: np.dtype, refuses_negative: bool) -> None:
        """An operand: as the kernel reads it, and as it is, for Python, where the kernel's dtype does not hold it."""
        context, builder, wanted = self._context, self._builder, from_dtype(dtype)
        start: tuple[Any, Any] = typ, value
        if isinstance(typ, types.Integer) and dtype.kind in "fc":
            # As Python's int becomes a float: by way of float64, rounded twice.
            start = types.float64, context.cast(builder, value, typ, types.float64)
        native = context.cast(builder, start[1], start[0], wanted)
        if may_not_fit(typ, dtype):
            changed = is_changed(context, builder, typ, value, native, dtype)
            self._by_python = builder.or_(self._by_python, changed)
        if refuses_negative and dtype.kind == "i":
            is_negative = builder.icmp_signed("<", native, ir.Constant(native.type, 0))
            self._by_python = builder.or_(self._by_python, is_negative)
        for k, own, scalar in ((self._valued, wanted, native), (self._valued + len(self._site.kinds), typ, value)):
            data = context.get_value_as_data(builder, own, scalar)
            builder.store(data, builder.bitcast(self._place(OPERANDS + 2 * k), data.type.as_pointer()))
        self._valued += 1

    def run_into(self, typ: CuArrayType, value: Any) -> None:
        """Write the result into an array."""
        struct = self._add_layout(typ, value)
        self._builder.store(struct.pointer, self._place(OUTPUT_WORD))
        self._raise_if(self._run(ir.Constant(POINTER, None), ir.Constant(I64.as_pointer(), None)))

    def run(self, result: CuArrayType) -> Any:
        """The result as a new array."""
        context, builder = self._context, self._builder
        release = numba_calls.process_address(context, builder, driver_functions.native("release_block"))
        meminfo = context.nrt.meminfo_alloc_dtor_unchecked(builder, ir.Constant(I64, 24), release)
        with builder.if_then(cgutils.is_null(builder, meminfo), likely=False):
            context.call_conv.return_user_exc(builder, MemoryError, ("out of memory",))
        block = context.nrt.meminfo_data(builder, meminfo)
        extents = self._words(2 * result.ndim)
        failed = self._run(block, extents)
        with builder.if_then(failed, likely=False):
            release_meminfo = cgutils.get_or_insert_function(
                builder.module, ir.FunctionType(ir.VoidType(), [POINTER]), "NRT_decref"
            )
            builder.call(release_meminfo, [meminfo])
        self._raise_if(failed)
        struct = cgutils.create_struct_proxy(result)(context, builder)
        struct.meminfo = meminfo
        struct.parent = ir.Constant(struct.parent.type, None)
        struct.pointer = builder.load(self._place(OUTPUT_WORD))
        struct.host_accessible = ir.Constant(struct.host_accessible.type, 1)
        words = [builder.load(cgutils.gep_inbounds(builder, extents, k)) for k in range(2 * result.ndim)]
        struct.shape = cgutils.pack_array(builder, words[: result.ndim], ty=I64)
        struct.strides = cgutils.pack_array(builder, words[result.ndim :], ty=I64)
        return struct._getvalue()

    def _run(self, block: Any, extents: Any) -> Any:
        context, builder = self._context, self._builder
        assert self._keyed == self._site.key_words
        words = I64.as_pointer()
        run = numba_calls.function_at(
            context,
            builder,
            native_operations.run_operation(),
            I32,
            [POINTER, words, words, POINTER, words, I32],
        )
        table = numba_calls.process_address(context, builder, self._site.table)
        by_python = builder.zext(self._by_python, I32)
        return cgutils.is_not_null(
            builder, builder.call(run, [table, self._key, self._values, block, extents, by_python])
        )

    def _raise_if(self, failed: Any) -> None:
        with self._builder.if_then(failed, likely=False):
            self._context.call_conv.return_user_exc(self._builder, FailedOperation, ())


# ---- operators


def _register_operator(function: Any, ufunc: Ufunc, in_place: bool) -> None:
    class Template(AbstractTemplate):
        key = function

        def generic(self, args: Any, kws: Any) -> Any:
            if kws or len(args) != ufunc.nin or not any(isinstance(arg, CuArrayType) for arg in args):
                return None
            args = tuple(map(types.unliteral, args))
            # A number in place: `number += array` makes an array, as in Python.
            out = args[0] if in_place and isinstance(args[0], CuArrayType) else None
            if out is not None:
                _check_out(ufunc.__name__, out)
            return signature(_result_type(ufunc, args, out), *args)

    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        out_type = out = None
        if in_place and isinstance(sig.args[0], CuArrayType):
            out_type, out = sig.args[0], args[0]
        return _emit_ufunc(context, builder, ufunc, sig.args, args, out_type, out, sig.return_type)

    infer_global(function)(Template)
    if ufunc.nin == 1:
        lower_builtin(function, CuArrayType)(lower)
    else:
        for given in ((CuArrayType, CuArrayType), (CuArrayType, types.Any), (types.Any, CuArrayType)):
            lower_builtin(function, *given)(lower)


for _method, (_ufunc, _form) in OPERATORS.items():
    if _form != "reflected" and isinstance(_ufunc, Ufunc):  # not the products
        _register_operator(getattr(operator, _method), _ufunc, _form == "in_place")
_register_operator(abs, FUNCTIONS["absolute"], False)
_register_operator(pow, FUNCTIONS["power"], False)


# ---- reductions

_REDUCTIONS: dict[str, Callable[..., Any]] = {
    name: getattr(F, name)
    for name in ("sum", "prod", "mean", "min", "max", "any", "all", "argmin", "argmax", "count_nonzero")
}


@functools.cache
def _reduction_parameters(name: str) -> inspect.Signature:
    takes_dtype = "dtype" in inspect.signature(_REDUCTIONS[name]).parameters
    return _parameters(a=inspect.Parameter.empty, axis=None, **({"dtype": None} if takes_dtype else {}), keepdims=False)


class _Reduction:
    """What numba's types say of a call."""

    def __init__(self, name: str, given: dict[str, Any]) -> None:
        self.name = name
        source, axis = given["a"], given.get("axis")
        if not isinstance(source, CuArrayType):
            raise TypingError(f"{name}: a must be a CuArray, not {source}")
        axes = list(axis) if isinstance(axis, TUPLE) else [] if axis is None else [axis]
        if not all(isinstance(part, types.Integer) for part in axes):
            raise TypingError(f"{name}: axis must be an int, a tuple of ints, or None, not {axis}")
        keepdims = getattr(given.get("keepdims"), "literal_value", None if "keepdims" in given else False)
        if type(keepdims) is not bool:
            raise TypingError(f"{name}: keepdims must be True or False, as a constant")
        dtype = given_dtype(given["dtype"], name) if "dtype" in given else None
        self.source = ArrayKind(source.dtype, source.ndim)
        self.axes = None if axis is None else len(axes)
        self.keepdims = keepdims
        self.dtype = dtype
        try:
            result = dtype_of_result(name, source.dtype, dtype)
        except TypeError as error:
            raise TypingError(str(error)) from None
        ndim = source.ndim if keepdims else 0 if axis is None else max(source.ndim - len(axes), 0)
        self.result = CuArrayType(result, ndim)

    def site(self) -> Site:
        return native_operations.reduction_site(self.name, self.source, self.axes, self.keepdims, self.dtype)


def _reduction_signature(name: str, args: Any, kws: Any) -> Signature:
    parameters = _reduction_parameters(name)
    given, everything = _bind(name, parameters, args, kws)
    return signature(_Reduction(name, given).result, *everything).replace(pysig=parameters)


def _lower_reduction(name: str) -> Any:
    def lower(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
        named = zip(_reduction_parameters(name).parameters, sig.args, strict=True)
        own = _Reduction(name, {parameter: typ for parameter, typ in named if _is_given(typ)})
        call = _Call(context, builder, own.site())
        call.add_array(sig.args[0], args[0])
        if own.axes is not None:
            axis = sig.args[1]
            axes = [(axis, args[1])]
            if isinstance(axis, TUPLE):
                axes = list(zip(axis, cgutils.unpack_tuple(builder, args[1], len(axis)), strict=True))
            for typ, value in axes:
                call.add_word(context.cast(builder, value, typ, types.int64))
        return impl_ret_new_ref(context, builder, sig.return_type, call.run(sig.return_type))

    return lower


def _register_reduction(name: str, function: Any) -> None:
    class Template(AbstractTemplate):
        key = function

        def generic(self, args: Any, kws: Any) -> Any:
            return _reduction_signature(name, args, kws)

    infer_global(function)(Template)
    lower_builtin(function, CuArrayType, types.VarArg(types.Any))(_lower_reduction(name))


def _bound_method(name: str, typ: CuArrayType) -> types.BoundFunction:
    class Template(AbstractTemplate):
        key = f"cuarray.CuArray.{name}"
        this: CuArrayType  # set by numba: whose method it is

        def generic(self, args: Any, kws: Any) -> Any:
            found = _reduction_signature(name, (self.this, *args), kws)
            parameters = list(found.pysig.parameters.values())[1:]
            return signature(found.return_type, *found.args[1:], recvr=self.this).replace(
                pysig=inspect.Signature(parameters)
            )

    return types.BoundFunction(Template, typ)


@infer_getattr
class _Methods(AttributeTemplate):
    key = CuArrayType

    def generic_resolve(self, typ: Any, attribute: str) -> Any:  # type: ignore[override]
        return _bound_method(attribute, typ) if attribute in _METHODS else None


_METHODS = frozenset(_REDUCTIONS) - {"count_nonzero"}  # as in NumPy, it is a function only

for _name, _function in _REDUCTIONS.items():
    _register_reduction(_name, _function)
for _name in _METHODS:
    lower_builtin(f"cuarray.CuArray.{_name}", CuArrayType, types.VarArg(types.Any))(_lower_reduction(_name))
