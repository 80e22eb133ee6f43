"""Modules and kernels as numba types: `kernel[grid, block](array, ...)` inside ``@numba.njit``.

A launch inside njit is the same launch as from Python: the arguments' types are resolved to an instance while numba
compiles, the grid and block are run-time values, and the call goes to the launcher's address with a void** of the
arguments (see _runtime/glue.py).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    infer_getattr,
    lower_builtin,
    lower_cast,
    lower_getattr_generic,
    models,
    overload,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.numpy_support import as_dtype as numpy_dtype
from numba.np.numpy_support import from_dtype

from cuarray import _runtime
from cuarray._dtypes import is_struct, struct_name
from cuarray._errors import CompileError
from cuarray._kernel import numba_calls
from cuarray._kernel.arguments import ArrayKind, Parameter, StructKind
from cuarray._kernel.device_functions import DeviceFunction
from cuarray._kernel.instance import Instance
from cuarray._kernel.kernel import Kernel, forall_block
from cuarray._kernel.launch import Dim3Class, Launch, dim3
from cuarray._kernel.module import Module
from cuarray._kernel.numba_arrays import CuArrayType
from cuarray._kernel.numba_calls import I32, I64, TUPLE, intrinsic
from cuarray._kernel.numba_streams import StreamType, stream_handle
from cuarray._runtime.driver_functions import FailedLaunch

# ---- modules and kernels: known when numba compiles, nothing at run time


class ModuleType(types.Opaque):
    """One particular module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        super().__init__(f"cuarray.Module({module.name}, {id(module)})")


class ResolvesItself(types.Callable):
    """A type whose calls numba resolves by asking the type itself: its errors then reach the user as they are."""

    implementation: str

    def get_call_signatures(self) -> Any:
        return (), True

    def get_impl_key(self, sig: Any) -> Any:
        return self.implementation


class KernelType(ResolvesItself, types.Opaque):
    """One particular kernel."""

    implementation = "cuarray.launch by default"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        super().__init__(f"cuarray.Kernel({kernel!r}, {id(kernel)})")

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        try:
            self.kernel.default_launcher()
        except TypeError as error:
            raise TypingError(str(error)) from None
        return _launch_signature(self, self.kernel, args, kws)


class TemplateType(ResolvesItself, types.Opaque):
    """The method `template` of a kernel."""

    implementation = "cuarray.template"

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        super().__init__(f"cuarray.Kernel.template({kernel!r}, {id(kernel)})")

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        if kws:
            raise TypingError(f"{self.kernel.__name__}.template takes no keyword arguments")
        return signature(KernelType(_instantiated(self.kernel, args)), *args, recvr=self)


class MethodsType(types.Opaque):
    """A kernel as the owner of the methods that numba compiles; numba takes none for a type that can be called."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        super().__init__(f"cuarray.Kernel methods({kernel!r}, {id(kernel)})")


class LauncherType(ResolvesItself):
    """A kernel with its launch configuration; at run time, the configuration's values."""

    implementation = "cuarray.launch"

    def __init__(self, kernel: Kernel, parts: types.BaseTuple) -> None:
        self.kernel = kernel
        self.parts = parts
        super().__init__(f"launch of {kernel!r} ({id(kernel)}) on {parts}")

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        return _launch_signature(self, self.kernel, args, kws)


for _opaque in (ModuleType, KernelType, TemplateType, MethodsType):
    register_model(_opaque)(models.OpaqueModel)


@register_model(LauncherType)
class _LauncherModel(models.StructModel):
    def __init__(self, manager: Any, typ: Any) -> None:
        super().__init__(manager, typ, [("parts", typ.parts)])


@typeof_impl.register(Module)
def _typeof_module(value: Module, context: Any) -> ModuleType:
    return ModuleType(value)


@typeof_impl.register(Kernel)
def _typeof_kernel(value: Kernel, context: Any) -> KernelType:
    return KernelType(value)


def unbox_nothing(typ: Any, obj: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())


unbox(ModuleType)(unbox_nothing)
unbox(KernelType)(unbox_nothing)


@infer_getattr
class _ModuleAttributes(AttributeTemplate):
    key = ModuleType

    def generic_resolve(self, typ: Any, attribute: str) -> Any:  # type: ignore[override]
        found = getattr(typ.module, attribute, None)
        if isinstance(found, DeviceFunction):
            return found._numba_type_
        return KernelType(found) if isinstance(found, Kernel) else None


@infer_getattr
class _KernelAttributes(AttributeTemplate):
    key = KernelType

    def resolve_template(self, typ: Any) -> Any:
        return TemplateType(typ.kernel)

    def resolve_forall(self, typ: Any) -> Any:
        return self.context.resolve_getattr(MethodsType(typ.kernel), "forall")


@lower_cast(KernelType, MethodsType)
def _cast_kernel(context: Any, builder: Any, source: Any, target: Any, value: ir.Value) -> ir.Value:
    return value


@lower_getattr_generic(ModuleType)
@lower_getattr_generic(KernelType)
def _lower_attribute(context: Any, builder: Any, typ: Any, value: Any, attribute: str) -> ir.Value:
    return context.get_dummy_value()


@lower_builtin(TemplateType.implementation, TemplateType, types.VarArg(types.Any))
def _lower_template(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    return context.get_dummy_value()


# ---- kernel[grid, block], kernel[template arguments]


def _is_extents(typ: Any) -> bool:
    if isinstance(typ, types.Integer):
        return True
    return isinstance(typ, TUPLE) and 1 <= len(typ) <= 3 and all(isinstance(part, types.Integer) for part in typ)


@infer_global(operator.getitem)
class _KernelGetItem(AbstractTemplate):
    def generic(self, args: Any, kwargs: Any) -> Any:
        kernel_type, key = args
        if not isinstance(kernel_type, KernelType | MethodsType):
            return None
        kernel = kernel_type.kernel
        given = list(key) if isinstance(key, TUPLE) else [key]
        parts = [types.unliteral(part) for part in given]
        if len(parts) >= 2 and all(_is_extents(part) for part in parts[:2]):
            _check_stream_and_shared(kernel, parts)
            return signature(LauncherType(kernel, key), kernel_type, key)
        return signature(KernelType(_instantiated(kernel, given)), kernel_type, key)


def _check_stream_and_shared(kernel: Kernel, parts: Sequence[Any]) -> None:
    name = kernel.__name__
    if len(parts) > 4:
        raise TypingError(f"{name}[grid, block, stream, shared] takes at most four values, {len(parts)} were given")
    if len(parts) > 2 and not isinstance(parts[2], types.Integer | types.NoneType | StreamType):
        raise TypingError(f"{name}[grid, block, stream]: stream must be an int, None or a stream, not {parts[2]}")
    if len(parts) > 3 and not isinstance(parts[3], types.Integer | types.NoneType):
        raise TypingError(f"{name}[grid, block, stream, shared]: shared must be an int or None, not {parts[3]}")


def _instantiated(kernel: Kernel, given: Sequence[Any]) -> Kernel:
    constants = types.Literal | types.DType | types.NumberClass | types.Function
    if not all(isinstance(part, constants) for part in given):
        raise TypingError(
            f"{kernel.__name__}[grid, block]: grid and block must be ints or tuples of up to three ints, "
            f"not ({', '.join(map(str, given))}); template arguments must be constants"
        )
    try:
        return kernel.template(*(_template_value(part) for part in given))
    except TypeError as error:
        raise TypingError(str(error)) from None


def _template_value(part: Any) -> Any:
    if isinstance(part, types.Literal):
        return part.literal_value
    if isinstance(part, types.DType | types.NumberClass):
        return numpy_dtype(part.dtype)
    return part.typing_key  # int, float: Python's types


@lower_builtin(operator.getitem, KernelType, types.Any)
@lower_builtin(operator.getitem, MethodsType, types.Any)
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    if isinstance(sig.return_type, KernelType):
        return context.get_dummy_value()
    struct = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    struct.parts = args[1]
    return struct._getvalue()


@overload_method(MethodsType, "forall")
def _forall(kernel, n, block=None, stream=None, shared=0):
    own = kernel.kernel
    if not isinstance(n, types.Integer):
        raise TypingError(f"{own.__name__}.forall: n must be an int, not {n}")
    default = isinstance(block, types.NoneType) or block is None or getattr(block, "value", 0) is None
    if not default and not _is_extents(block):
        raise TypingError(f"{own.__name__}.forall: block must be an int or a tuple of up to three ints, not {block}")
    default_block = forall_block(own)

    def forall(kernel, n, block=None, stream=None, shared=0):
        if n < 0:
            raise ValueError("n must not be negative")
        extents = default_block if default else _as_block(block)
        threads = extents[0] * extents[1] * extents[2]
        return kernel[max((n + threads - 1) // max(threads, 1), 1), extents, stream, shared]

    return forall


@intrinsic
def _as_block(typingctx, block):
    """An int or tuple as three int64."""
    result = types.UniTuple(types.int64, 3)

    def codegen(context, builder, sig, args):
        return context.make_tuple(builder, result, _extents(context, builder, sig.args[0], args[0]))

    return result(block), codegen


# ---- dim3


@typeof_impl.register(Dim3Class)
def _typeof_dim3_class(value: Any, context: Any) -> None:
    return None  # not as numba's own named tuples, which know no defaults, but as the function below


@overload(dim3)
def _dim3(x=1, y=1, z=1):
    return lambda x=1, y=1, z=1: _make_dim3(x, y, z)


@intrinsic
def _make_dim3(typingctx, x, y, z):
    result = types.NamedUniTuple(types.int64, 3, dim3)
    for extent in (x, y, z):
        if not isinstance(extent, types.Integer):
            raise TypingError(f"dim3: the extents must be ints, not {extent}")

    def codegen(context, builder, sig, args):
        wide = [context.cast(builder, arg, typ, types.int64) for arg, typ in zip(args, sig.args, strict=True)]
        return context.make_tuple(builder, result, wide)

    return result(x, y, z), codegen


# ---- (arguments...)


def _kind(typ: Any, kernel: Kernel, position: int) -> Any:
    """What `arguments.as_argument` would call a value of this numba type."""
    typ = types.unliteral(typ)
    ranked = kernel.is_ranked(position)
    if isinstance(typ, CuArrayType):
        if ranked or is_struct(typ.dtype):
            return ArrayKind(typ.dtype, typ.writeable, typ.ndim if ranked else -1, struct_name(typ.dtype))
        return typ.dtype, typ.writeable
    name = f"{kernel.__name__}: argument {kernel.parameter_name(position)}"
    if isinstance(typ, types.Array):
        if not _runtime.get().host_is_device:
            raise TypingError(
                f"{name} is a NumPy array, which a kernel on the GPU cannot use; pass a CuArray in its place"
            )
        dtype = numpy_dtype(typ.dtype)
        return ArrayKind(dtype, typ.mutable, typ.ndim if ranked else -1, struct_name(dtype))
    # numba's own int, float and complex are what Python's scalars become in njit: weak, as these are.
    if typ == types.int64:
        return int
    if typ == types.float64:
        return float
    if typ == types.complex128:
        return complex
    if isinstance(typ, types.Record):
        dtype = numpy_dtype(typ)
        return StructKind(dtype, struct_name(dtype))
    if isinstance(typ, types.Boolean | types.Number):
        return numpy_dtype(typ)
    if isinstance(typ, types.NoneType):
        return None
    raise TypingError(f"{name} must be an array or a scalar, not {typ}")


def _check_number(kernel: Kernel, typ: Any, parameter: Parameter) -> None:
    typ = types.unliteral(typ)
    kind = parameter.word[0]
    if kind == "P" or (kind == "S" and isinstance(typ, types.Record)):
        return
    name = f"{kernel.__name__}: argument {parameter.name}"
    if kind in "VR":
        if kind == "R" and typ.layout != "C":
            raise TypingError(f"{name} is a span, for which the array must be known to be contiguous, not {typ}")
        return
    if isinstance(typ, CuArrayType | types.Array):
        raise TypingError(f"{name} must be a scalar, not {typ}")
    if kind == "S":
        raise TypingError(f"{name} must be a record of {parameter.size} bytes, not {typ}")
    if (kind in "iu" and not isinstance(typ, types.Integer | types.Boolean)) or (
        kind == "f" and isinstance(typ, types.Complex)
    ):
        raise TypingError(f"{name} must be {parameter.word}, not {typ}")
    if parameter.word == "f2":
        raise TypingError(f"{name} is a float16, which numba cannot make; pass it in an array")


def _instance(kernel: Kernel, args: Any) -> Instance:
    kinds = tuple(_kind(arg, kernel, k) for k, arg in enumerate(args))
    try:
        instance = kernel.instance(kinds)
    except (TypeError, CompileError) as error:
        raise TypingError(str(error)) from None
    except KeyError:  # a record without a C++ type
        given = ", ".join(map(str, args))
        raise TypingError(f"{kernel.__name__}: an argument's type has no equal in C++: ({given})") from None
    for arg, parameter in zip(args, instance.parameters, strict=False):
        _check_number(kernel, arg, parameter)
    return instance


def _launch_signature(own: Any, kernel: Kernel, args: Any, kws: Any) -> Any:
    if kws:
        raise TypingError(f"{kernel.__name__}: a launch takes no keyword arguments")
    _instance(kernel, args)
    return signature(types.none, *args, recvr=own)


@lower_builtin(LauncherType.implementation, LauncherType, types.VarArg(types.Any))
def _lower_launch(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    launcher = sig.args[0]
    struct = cgutils.create_struct_proxy(launcher)(context, builder, value=args[0])
    part_types = [types.unliteral(part) for part in launcher.parts]
    parts = cgutils.unpack_tuple(builder, struct.parts, len(part_types))
    extents = _extents(context, builder, part_types[0], parts[0]) + _extents(context, builder, part_types[1], parts[1])
    stream = shared = ir.Constant(I64, 0)
    if len(parts) > 2:
        stream = stream_handle(context, builder, part_types[2], parts[2])
    if len(parts) > 3 and not isinstance(part_types[3], types.NoneType):
        shared = context.cast(builder, parts[3], part_types[3], types.int64)
    _emit_launch(context, builder, launcher.kernel, sig.args[1:], args[1:], [*extents, shared], stream)
    return context.get_dummy_value()


@lower_builtin(KernelType.implementation, KernelType, types.VarArg(types.Any))
def _lower_default_launch(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    kernel: Kernel = sig.args[0].kernel
    launch: Launch = kernel.default_launcher().launch
    extents = [ir.Constant(I64, extent) for extent in (*launch.grid, *launch.block, launch.shared)]
    _emit_launch(context, builder, kernel, sig.args[1:], args[1:], extents, ir.Constant(I64, launch.stream))
    return context.get_dummy_value()


def _extents(context: Any, builder: Any, typ: Any, value: ir.Value) -> list[ir.Value]:
    """Three i64 extents of an int or tuple."""
    if isinstance(typ, types.Integer):
        given = [(typ, value)]
    else:
        given = list(zip(typ, cgutils.unpack_tuple(builder, value, len(typ)), strict=True))
    wide = [context.cast(builder, part, part_type, types.int64) for part_type, part in given]
    return wide + [ir.Constant(I64, 1)] * (3 - len(wide))


def _narrow(builder: Any, extent: ir.Value) -> ir.Value:
    """An extent as i32; what does not fit becomes the largest unsigned value, which no launch accepts."""
    fits = builder.icmp_unsigned("<=", extent, ir.Constant(I64, 2**31 - 1))
    return builder.trunc(builder.select(fits, extent, ir.Constant(I64, 2**32 - 1)), I32)


def _emit_launch(
    context: Any,
    builder: Any,
    kernel: Kernel,
    argument_types: Sequence[Any],
    arguments: Sequence[ir.Value],
    extents: Sequence[ir.Value],
    stream: ir.Value,
) -> None:
    """A launch of `kernel`; `extents` are grid, block and shared bytes as i64."""
    instance = _instance(kernel, argument_types)
    runtime = _runtime.get()
    address, handle = runtime.launcher_for(instance.function, kernel.cluster, kernel.cooperative)

    slots = cgutils.alloca_once(builder, I64, size=ir.Constant(I64, instance.slot_words))
    slots.align = 16
    params = cgutils.alloca_once(builder, cgutils.voidptr_t, size=max(len(instance.parameters), 1))
    # Once a call of the function: where the arguments stand, the defaults, and the addresses of this process.
    with builder.goto_entry_block():
        base = builder.bitcast(slots, cgutils.voidptr_t)
        places = [builder.gep(base, [ir.Constant(I64, offset)], inbounds=True) for offset in instance.offsets]
        for k, place in enumerate(places):
            builder.store(place, cgutils.gep_inbounds(builder, params, k))
        for data, place in zip(instance.defaults, places[len(argument_types) :], strict=True):
            constant = ir.Constant(ir.ArrayType(ir.IntType(8), len(data)), bytearray(data))
            builder.store(constant, builder.bitcast(place, constant.type.as_pointer()))
        launcher = builder.ptrtoint(numba_calls.process_address(context, builder, address), I64)
        if handle == instance.function.handle:
            cell = instance.function.cell.ctypes.data
            handle_at = builder.bitcast(numba_calls.process_address(context, builder, cell), I64.as_pointer())
        else:
            handle_at = None
            function = builder.ptrtoint(numba_calls.process_address(context, builder, handle), I64)

    for typ, value, parameter, place in zip(argument_types, arguments, instance.parameters, places, strict=False):
        _store_argument(context, builder, types.unliteral(typ), value, parameter, place, kernel.__name__)
    if handle_at is not None:  # the handle changes when a module with variables is compiled again
        function = builder.load(handle_at)
    on_stream = _or_current(context, builder, stream)
    narrow = [_narrow(builder, extent) for extent in extents]

    def call() -> ir.Value:
        return numba_calls.emit_launch(builder, launcher, function, narrow, on_stream, params)

    status = numba_calls.call_with_context(context, builder, call)
    with builder.if_then(cgutils.is_not_null(builder, status), likely=False):
        numba_calls.note_error(context, builder, status)
        context.call_conv.return_dynamic_user_exc(
            builder,
            FailedLaunch,
            (kernel.__name__, status, *extents),
            (None, types.int32, *[types.int64] * len(extents)),
        )


def _or_current(context: Any, builder: Any, stream: ir.Value) -> ir.Value:
    """`stream`, or the thread's current one if it is 0."""
    if not _runtime.get().current_stream_address:
        return stream
    if isinstance(stream, ir.Constant):
        return numba_calls.current_stream(context, builder) if stream.constant == 0 else stream
    before = builder.block
    with builder.if_then(cgutils.is_null(builder, stream)):
        current = numba_calls.current_stream(context, builder)
        last = builder.block
    result = builder.phi(I64)
    result.add_incoming(stream, before)
    result.add_incoming(current, last)
    return result


def _store_argument(
    context: Any, builder: Any, typ: Any, value: ir.Value, parameter: Parameter, place: ir.Value, kernel: str
) -> None:
    if isinstance(typ, CuArrayType | types.Array):
        if isinstance(typ, CuArrayType):
            array = cgutils.create_struct_proxy(typ)(context, builder, value=value)
            native = array.pointer
        else:
            array = context.make_array(typ)(context, builder, value=value)
            native = array.data
        if parameter.word[0] in "VR":
            words = cgutils.unpack_tuple(builder, array.shape, typ.ndim)
            if parameter.word[0] == "V":
                words += cgutils.unpack_tuple(builder, array.strides, typ.ndim)
            following = builder.bitcast(place, I64.as_pointer())
            for k, word in enumerate(words, 1):
                builder.store(word, builder.gep(following, [ir.Constant(I64, k)]))
    elif isinstance(typ, types.Record):
        cgutils.raw_memcpy(builder, place, builder.bitcast(value, place.type), ir.Constant(I64, parameter.size), 1)
        return
    elif isinstance(typ, types.NoneType):
        native = ir.Constant(I64, 0)
    else:
        number = np.dtype(parameter.word[0] + parameter.word[1:]) if parameter.word != "b1" else np.dtype(bool)
        wanted = from_dtype(number)
        native = context.cast(builder, value, typ, wanted)
        if may_not_fit(typ, number):
            with builder.if_then(is_changed(context, builder, typ, value, native, number), likely=False):
                message = f"{kernel}: argument {parameter.name}: the integer does not fit {number}"
                context.call_conv.return_user_exc(builder, OverflowError, (message,))
        native = context.get_value_as_data(builder, wanted, native)
    builder.store(native, builder.bitcast(place, native.type.as_pointer()))


def may_not_fit(typ: Any, number: np.dtype) -> bool:
    """Whether there are integers (or bools) of this type that are none of `number`, a dtype of integers."""
    return number.kind in "iu" and not np.can_cast(numpy_dtype(typ), number)


def is_changed(context: Any, builder: Any, typ: Any, value: ir.Value, native: ir.Value, number: np.dtype) -> ir.Value:
    """Whether an integer was changed by its cast to `native`: other bits, or another sign."""
    wanted = from_dtype(number)
    changed = builder.icmp_unsigned("!=", context.cast(builder, native, wanted, typ), value)
    if typ.signed != wanted.signed:
        signed, bits = (value, typ.bitwidth) if typ.signed else (native, wanted.bitwidth)
        changed = builder.or_(changed, builder.icmp_signed("<", signed, ir.Constant(ir.IntType(bits), 0)))
    return changed
