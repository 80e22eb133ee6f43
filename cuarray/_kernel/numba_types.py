"""CuArrays, modules and kernels as numba types: `kernel[grid, block](array, ...)` inside ``@numba.njit``.

A launch inside njit is the same launch as from Python: the arguments' types are resolved to an instance while numba
compiles, the grid and block are run-time values, and the call goes to the launcher's address with a void** of the
arguments (see _runtime/glue.py).
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.templates import AbstractTemplate, AttributeTemplate, infer_global, signature
from numba.extending import (
    NativeValue,
    box,
    infer_getattr,
    lower_builtin,
    lower_getattr_generic,
    make_attribute_wrapper,
    models,
    overload_attribute,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.numpy_support import as_dtype as numpy_dtype
from numba.np.numpy_support import from_dtype

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._errors import CompileError, LaunchError
from cuarray._kernel.arguments import Parameter
from cuarray._kernel.device_functions import DeviceFunction
from cuarray._kernel.instance import Instance
from cuarray._kernel.kernel import Kernel
from cuarray._kernel.module import Module
from cuarray._layout import Layout
from cuarray._runtime import glue

# ---- arrays


class CuArrayType(types.Type):
    """A CuArray of a dtype and number of dimensions."""

    def __init__(self, dtype: np.dtype, ndim: int, writeable: bool) -> None:
        self.dtype = dtype
        self.ndim = ndim
        self.writeable = writeable
        super().__init__(f"CuArray({dtype}, {ndim}d{'' if writeable else ', read-only'})")


@functools.cache
def _array_type(dtype: np.dtype, ndim: int, writeable: bool) -> CuArrayType:
    return CuArrayType(dtype, ndim, writeable)


@typeof_impl.register(CuArray)
def _typeof_array(value: CuArray, context: Any) -> CuArrayType:
    layout: Layout = value._layout
    return _array_type(layout.dtype, layout.ndim, value._writeable)


@register_model(CuArrayType)
class CuArrayModel(models.StructModel):
    """The address of the first element, shape and strides, and the Python object, borrowed from the caller."""

    def __init__(self, manager: Any, array_type: CuArrayType) -> None:
        members = [
            ("pointer", types.intp),
            ("shape", types.UniTuple(types.intp, array_type.ndim)),
            ("strides", types.UniTuple(types.intp, array_type.ndim)),
            ("parent", types.pyobject),
        ]
        super().__init__(manager, array_type, members)


make_attribute_wrapper(CuArrayType, "shape", "shape")
make_attribute_wrapper(CuArrayType, "strides", "strides")


@overload_attribute(CuArrayType, "ndim")
def _array_ndim(array):
    ndim = array.ndim
    return lambda array: ndim


@overload_attribute(CuArrayType, "size")
def _array_size(array):
    def size(array):
        result = 1
        for extent in array.shape:
            result *= extent
        return result

    return size


@unbox(CuArrayType)
def _unbox_array(typ: CuArrayType, obj: ir.Value, context: Any) -> NativeValue:
    struct = cgutils.create_struct_proxy(typ)(context.context, context.builder)
    struct.parent = obj
    failed = cgutils.alloca_once_value(context.builder, cgutils.false_bit)
    for attribute, member in (("_pointer", "pointer"), ("shape", "shape"), ("strides", "strides")):
        member_type = types.intp if member == "pointer" else types.UniTuple(types.intp, typ.ndim)
        value = context.pyapi.object_getattr_string(obj, attribute)
        native = context.unbox(member_type, value)
        setattr(struct, member, native.value)
        if native.cleanup is not None:
            native.cleanup()
        context.pyapi.decref(value)
        with context.builder.if_then(native.is_error, likely=False):
            context.builder.store(cgutils.true_bit, failed)
    return NativeValue(struct._getvalue(), is_error=context.builder.load(failed))


@box(CuArrayType)
def _box_array(typ: CuArrayType, value: ir.Value, context: Any) -> ir.Value:
    struct = cgutils.create_struct_proxy(typ)(context.context, context.builder, value=value)
    context.pyapi.incref(struct.parent)
    return struct.parent


# ---- modules and kernels: known when numba compiles, nothing at run time


class ModuleType(types.Opaque):
    """One particular module."""

    def __init__(self, module: Module) -> None:
        self.module = module
        super().__init__(f"cuarray.Module({module.name}, {id(module)})")


class KernelType(types.Opaque):
    """One particular kernel."""

    def __init__(self, kernel: Kernel) -> None:
        self.kernel = kernel
        super().__init__(f"cuarray.Kernel({kernel!r}, {id(kernel)})")


register_model(ModuleType)(models.OpaqueModel)
register_model(KernelType)(models.OpaqueModel)


@typeof_impl.register(Module)
def _typeof_module(value: Module, context: Any) -> ModuleType:
    return ModuleType(value)


@typeof_impl.register(Kernel)
def _typeof_kernel(value: Kernel, context: Any) -> KernelType:
    return KernelType(value)


@infer_getattr
class _ModuleAttributes(AttributeTemplate):
    key = ModuleType

    def generic_resolve(self, typ: Any, attribute: str) -> Any:  # type: ignore[override]
        found = getattr(typ.module, attribute, None)
        if isinstance(found, DeviceFunction):
            return found._numba_type_
        return KernelType(found) if isinstance(found, Kernel) else None


@lower_getattr_generic(ModuleType)
def _lower_module_attribute(context: Any, builder: Any, typ: Any, value: Any, attribute: str) -> ir.Value:
    return context.get_dummy_value()


def _unbox_nothing(typ: Any, obj: Any, context: Any) -> NativeValue:
    return NativeValue(context.context.get_dummy_value())


unbox(ModuleType)(_unbox_nothing)
unbox(KernelType)(_unbox_nothing)


# ---- kernel[grid, block]

_TUPLES: Any = types.BaseTuple


class LauncherType(types.BoundFunction):
    """A kernel with its launch configuration; at run time, the configuration's values."""

    def __init__(self, kernel: Kernel, parts: types.BaseTuple) -> None:
        self.kernel = kernel
        self.parts = parts
        this = LaunchConfiguration(kernel, parts)
        super().__init__(_launch_template(kernel), this)


class LaunchConfiguration(types.Type):
    """What stands between a kernel's brackets."""

    def __init__(self, kernel: Kernel, parts: types.BaseTuple) -> None:
        self.kernel = kernel
        self.parts = parts
        super().__init__(f"launch of {kernel!r} ({id(kernel)}) on {parts}")


class _OnlyParts(models.StructModel):
    def __init__(self, manager: Any, typ: Any) -> None:
        super().__init__(manager, typ, [("parts", typ.parts)])


register_model(LauncherType)(_OnlyParts)
register_model(LaunchConfiguration)(_OnlyParts)


def _is_extents(typ: Any) -> bool:
    if isinstance(typ, types.Integer):
        return True
    return isinstance(typ, _TUPLES) and 1 <= len(typ) <= 3 and all(isinstance(part, types.Integer) for part in typ)


@infer_global(operator.getitem)
class _KernelGetItem(AbstractTemplate):
    def generic(self, args: Any, kwargs: Any) -> Any:
        kernel_type, key = args
        if not isinstance(kernel_type, KernelType):
            return None
        kernel = kernel_type.kernel
        if isinstance(key, _TUPLES) and len(key) >= 2:
            parts = [types.unliteral(part) for part in key]
            if all(_is_extents(part) for part in parts[:2]):
                if len(key) > 4 or not all(isinstance(p, types.Integer | types.NoneType) for p in parts[2:]):
                    raise TypingError(f"{kernel.__name__}[grid, block, stream, shared]: stream and shared must be ints")
                return signature(LauncherType(kernel, key), kernel_type, key)
        given = list(key) if isinstance(key, _TUPLES) else [key]
        if not all(
            isinstance(part, types.Literal | types.DType | types.NumberClass | types.Function) for part in given
        ):
            raise TypingError(
                f"{kernel.__name__}[grid, block]: grid and block must be ints or tuples of up to three ints, "
                f"not ({', '.join(map(str, given))})"
            )
        values = [_template_value(part) for part in given]
        return signature(KernelType(kernel.template(*values)), kernel_type, key)


def _template_value(part: Any) -> Any:
    if isinstance(part, types.Literal):
        return part.literal_value
    if isinstance(part, types.DType | types.NumberClass):
        return numpy_dtype(part.dtype)
    return part.typing_key  # int, float: Python's types


@lower_builtin(operator.getitem, KernelType, types.Any)
def _lower_getitem(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    if isinstance(sig.return_type, KernelType):
        return context.get_dummy_value()
    struct = cgutils.create_struct_proxy(sig.return_type)(context, builder)
    struct.parts = args[1]
    return struct._getvalue()


# ---- (arguments...)


def _kind(typ: Any, kernel: Kernel, position: int) -> Any:
    """What `arguments.as_argument` would call a value of this numba type."""
    typ = types.unliteral(typ)
    if isinstance(typ, CuArrayType):
        return typ.dtype, typ.writeable
    if isinstance(typ, types.Array) and _runtime.get().host_is_device:
        return numpy_dtype(typ.dtype), typ.mutable
    # numba's own int, float and complex are what Python's scalars become in njit: weak, as these are.
    if typ == types.int64:
        return int
    if typ == types.float64:
        return float
    if typ == types.complex128:
        return complex
    if isinstance(typ, types.Boolean | types.Number):
        return numpy_dtype(typ)
    if isinstance(typ, types.NoneType):
        return None
    raise TypingError(
        f"{kernel.__name__}: argument {kernel.parameter_name(position)} must be an array or a scalar, not {typ}"
    )


def _check_number(kernel: Kernel, typ: Any, parameter: Parameter) -> None:
    typ = types.unliteral(typ)
    kind = parameter.word[0]
    if kind == "P":
        return
    if kind in "SVR" or parameter.word in ("f2", "bfloat16"):
        raise TypingError(
            f"{kernel.__name__}: argument {parameter.name} cannot be passed from njit yet "
            "(a struct, view, span or 16-bit float)"
        )
    if isinstance(typ, CuArrayType | types.Array):
        raise TypingError(f"{kernel.__name__}: argument {parameter.name} must be a scalar, not {typ}")
    if (kind in "iu" and not isinstance(typ, types.Integer | types.Boolean)) or (
        kind == "f" and isinstance(typ, types.Complex)
    ):
        raise TypingError(f"{kernel.__name__}: argument {parameter.name} must be {parameter.word}, not {typ}")


def _instance(kernel: Kernel, args: Any) -> Instance:
    try:
        instance = kernel.instance(tuple(_kind(arg, kernel, k) for k, arg in enumerate(args)))
    except (TypeError, CompileError) as error:
        raise TypingError(str(error)) from None
    for arg, parameter in zip(args, instance.parameters, strict=False):
        _check_number(kernel, arg, parameter)
    return instance


def _launch_template(kernel: Kernel) -> type:
    class LaunchTemplate(AbstractTemplate):
        key = "cuarray.launch"

        def generic(self, args: Any, kwargs: Any) -> Any:
            if kwargs:
                raise TypingError(f"{kernel.__name__}: a launch takes no keyword arguments")
            _instance(kernel, args)
            return signature(types.none, *args, recvr=self.this)  # type: ignore[attr-defined]

    return LaunchTemplate


@lower_builtin("cuarray.launch", LaunchConfiguration, types.VarArg(types.Any))
def _lower_launch(context: Any, builder: Any, sig: Any, args: Any) -> ir.Value:
    configuration, argument_types = sig.args[0], sig.args[1:]
    kernel: Kernel = configuration.kernel
    instance = _instance(kernel, argument_types)
    runtime = _runtime.get()
    i64 = ir.IntType(64)

    slots = cgutils.alloca_once(builder, i64, size=ir.Constant(i64, instance.slot_words))
    slots.align = 16
    base = builder.bitcast(slots, cgutils.voidptr_t)
    params = cgutils.alloca_once(builder, cgutils.voidptr_t, size=max(len(instance.parameters), 1))
    for k, (typ, value, parameter, offset) in enumerate(
        zip(argument_types, args[1:], instance.parameters, instance.offsets, strict=False)
    ):
        slot = builder.gep(base, [ir.Constant(i64, offset)])
        _store_argument(context, builder, typ, value, parameter, slot, kernel.__name__)
        builder.store(slot, cgutils.gep_inbounds(builder, params, k))
    for k, data in enumerate(instance.defaults, len(argument_types)):
        slot = builder.gep(base, [ir.Constant(i64, instance.offsets[k])])
        constant = ir.Constant(ir.ArrayType(ir.IntType(8), len(data)), bytearray(data))
        builder.store(constant, builder.bitcast(slot, constant.type.as_pointer()))
        builder.store(slot, cgutils.gep_inbounds(builder, params, k))

    launcher = cgutils.create_struct_proxy(configuration)(context, builder, value=args[0])
    parts = cgutils.unpack_tuple(builder, launcher.parts, len(configuration.parts))
    part_types = list(configuration.parts)
    extents = _extents(context, builder, part_types[0], parts[0])
    extents += _extents(context, builder, part_types[1], parts[1])
    zero = ir.Constant(i64, 0)
    optional = [
        zero if isinstance(typ, types.NoneType) else context.cast(builder, value, typ, types.int64)
        for typ, value in zip(part_types[2:], parts[2:], strict=True)
    ]
    stream, shared = (*optional, *[zero] * (2 - len(optional)))
    extents.append(builder.trunc(shared, ir.IntType(32)))
    launch_address = ir.Constant(i64, runtime.launcher)
    # From memory: the handle changes when a module with variables is compiled again.
    cell = ir.Constant(i64, instance.function.cell.ctypes.data)
    function = builder.load(builder.inttoptr(cell, i64.as_pointer()))
    status = cgutils.alloca_once(builder, ir.IntType(32))
    builder.store(glue.emit_launch(builder, launch_address, function, extents, stream, params), status)
    if runtime.context is not None:
        # As in CudaRuntime.launch_failed: a thread's first use of CUDA finds no current context.
        set_current, context_handle, no_context = (ir.Constant(i64, value) for value in runtime.context)
        missing = builder.icmp_unsigned("==", builder.load(status), builder.trunc(no_context, ir.IntType(32)))
        with builder.if_then(missing, likely=False):
            setter = builder.inttoptr(set_current, ir.FunctionType(ir.IntType(32), [i64]).as_pointer())
            builder.call(setter, [context_handle])
            builder.store(glue.emit_launch(builder, launch_address, function, extents, stream, params), status)
    result = builder.load(status)
    with builder.if_then(cgutils.is_not_null(builder, result), likely=False):
        context.call_conv.return_user_exc(
            builder,
            LaunchError,
            (
                f"the launch of kernel {kernel.__name__} failed: grid, block or shared memory do not fit the device "
                f"(block: at most {runtime.target.max_block_threads} threads)",
            ),
        )
    return context.get_dummy_value()


def _extents(context: Any, builder: Any, typ: Any, value: ir.Value) -> list[ir.Value]:
    """Three i32 extents of an int or tuple; what does not fit in 32 bits becomes 0, which no launch accepts."""
    if isinstance(typ, types.Integer):
        given = [(typ, value)]
    else:
        given = list(zip(typ, cgutils.unpack_tuple(builder, value, len(typ)), strict=True))
    i32, i64 = ir.IntType(32), ir.IntType(64)
    extents = []
    for part_type, part in given:
        wide = context.cast(builder, part, part_type, types.int64)
        fits = builder.icmp_unsigned("<=", wide, ir.Constant(i64, 2**31 - 1))
        extents.append(builder.trunc(builder.select(fits, wide, ir.Constant(i64, 0)), i32))
    return extents + [ir.Constant(i32, 1)] * (3 - len(extents))


def _store_argument(
    context: Any, builder: Any, typ: Any, value: ir.Value, parameter: Parameter, slot: ir.Value, kernel: str
) -> None:
    if isinstance(typ, CuArrayType):
        native = cgutils.create_struct_proxy(typ)(context, builder, value=value).pointer
    elif isinstance(typ, types.Array):
        native = context.make_array(typ)(context, builder, value=value).data
    elif isinstance(typ, types.NoneType):
        native = ir.Constant(ir.IntType(64), 0)
    else:
        number = np.dtype(parameter.word[0] + parameter.word[1:]) if parameter.word != "b1" else np.dtype(bool)
        wanted = from_dtype(number)
        native = context.cast(builder, value, typ, wanted)
        if number.kind in "iu" and numpy_dtype(typ).itemsize > number.itemsize:
            back = context.cast(builder, native, wanted, typ)
            with builder.if_then(builder.icmp_unsigned("!=", back, value), likely=False):
                message = f"{kernel}: argument {parameter.name}: the integer does not fit {number}"
                context.call_conv.return_user_exc(builder, OverflowError, (message,))
        native = context.get_value_as_data(builder, wanted, native)
    builder.store(native, builder.bitcast(slot, native.type.as_pointer()))


def register() -> None:
    """Make the types known: importing this module did."""
