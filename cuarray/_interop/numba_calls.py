"""Device functions of modules in functions that numba compiles: for the GPU by numba-cuda, for the CPU by njit.

numba asks for the type of a call; C++ answers (`DeviceFunction.call`). For the GPU the function around the call is
compiled to LTO-IR and declared to numba-cuda, which links and inlines it; for the CPU it is called by its address.
"""

from __future__ import annotations

import functools
from typing import Any

from llvmlite import ir
from numba import typeof, types
from numba.core import cgutils
from numba.core.datamodel import models
from numba.core.datamodel.registry import register_default
from numba.core.errors import TypingError
from numba.core.registry import cpu_target
from numba.core.targetconfig import ConfigStack
from numba.core.typing import signature
from numba.core.typing.templates import AbstractTemplate
from numba.np.numpy_support import as_dtype as numpy_dtype
from numba.np.numpy_support import from_dtype

from cuarray._dtypes import CPP_NAMES
from cuarray._errors import CompileError
from cuarray._kernel.device_functions import Call, DeviceFunction
from cuarray._kernel.module import Module
from cuarray._kernel.numba_arrays import CuArrayType
from cuarray._kernel.numba_launch import ModuleType
from cuarray._runtime import LinkedCode

_CPU = "cpu"


class DeviceFunctionType(types.Function):
    """One particular device function."""

    def __init__(self, function: DeviceFunction) -> None:
        self.function = function
        # What numba's registries know a call by, and its signature, for a target and tuple of argument types.
        self.declared: dict[tuple[str, tuple[types.Type, ...]], tuple[Any, Any]] = {}
        # Calls are resolved here, not by the template.
        super().__init__(type("DeviceFunctionTemplate", (AbstractTemplate,), {"key": function}))

    @property
    def key(self) -> Any:
        """Equal types are of the same function."""
        return self.function

    def get_call_type(self, context: Any, args: Any, kws: Any) -> Any:
        name = self.function.__name__
        if kws:
            raise TypingError(f"{name}: a device function takes no keyword arguments")
        given = tuple(types.unliteral(arg) for arg in args)
        target = _target()
        try:
            if (target, given) not in self.declared:
                self.declared[target, given] = (
                    _declare(self.function, given) if target == _CPU else _declare_on_gpu(self.function, given, target)
                )
        except (TypeError, CompileError) as error:
            raise TypingError(str(error)) from None
        return self.declared[target, given][1]

    def get_call_signatures(self) -> Any:
        return (), True

    def get_impl_key(self, sig: Any) -> Any:
        return self.declared[_target(), tuple(sig.args)][0]


register_default(DeviceFunctionType)(models.OpaqueModel)


@functools.cache
def type_of(function: DeviceFunction) -> DeviceFunctionType:
    """The numba type of a device function."""
    return DeviceFunctionType(function)


class _Key:
    """A call of a device function, in numba's registries."""

    def __init__(self, name: str) -> None:
        self.name = self.__name__ = name


# ---- arguments and results


def _kind(function: DeviceFunction, typ: Any, position: int) -> Any:
    if isinstance(typ, types.Array):
        return numpy_dtype(typ.dtype), typ.mutable
    if isinstance(typ, types.CPointer):
        return numpy_dtype(typ.dtype), True
    if isinstance(typ, CuArrayType):
        return typ.dtype, typ.writeable
    if typ in (types.int64, types.float64, types.complex128):
        # What numba's own numbers are; see kernels' arguments.
        return {types.int64: int, types.float64: float, types.complex128: complex}[typ]
    if isinstance(typ, types.Boolean | types.Number) and numpy_dtype(typ) in CPP_NAMES and typ != types.float16:
        return numpy_dtype(typ)
    raise TypeError(f"{function.__name__}: argument {position + 1} must be an array or a number, not {typ}")


def _call(function: DeviceFunction, args: tuple[types.Type, ...]) -> tuple[Call, types.Type]:
    call = function.call(tuple(_kind(function, typ, k) for k, typ in enumerate(args)))
    if call.result is None:
        return call, types.none
    result = from_dtype(call.result)
    return call, types.CPointer(result) if call.is_pointer else result


def _spell(args: tuple[types.Type, ...], whole_arrays: bool) -> tuple[list[str], list[str]]:
    """The parameters of the function around a call, and the call's arguments made of them.

    whole_arrays: whether an array comes as all that numba knows of it, rather than as a pointer.
    """
    parameters: list[str] = []
    values: list[str] = []
    for k, typ in enumerate(args):
        name = f"a{k}"
        value = name
        if isinstance(typ, types.Complex):
            real = CPP_NAMES[numpy_dtype(typ.underlying_float)]
            parameters += [f"{real} {name}_re", f"{real} {name}_im"]
            value = f"{CPP_NAMES[numpy_dtype(typ)]}({name}_re, {name}_im)"
        elif isinstance(typ, types.Array) and whole_arrays:
            # numba's array: memory's owner, parent, items, item's size, data, shape, strides
            parameters += [f"void* {name}_0", f"void* {name}_1", f"long {name}_2", f"long {name}_3", f"void* {name}"]
            parameters += [f"long {name}_{4 + d}" for d in range(2 * typ.ndim)]
        elif isinstance(typ, types.Array | types.CPointer | CuArrayType):
            parameters.append(f"void* {name}")
        else:
            parameters.append(f"{CPP_NAMES[numpy_dtype(typ)]} {name}")
        values.append(value)
    return parameters, values


# ---- the CPU


def _declare(function: DeviceFunction, args: tuple[types.Type, ...]) -> tuple[Any, Any]:
    call, result = _call(function, args)
    address = function.host_address(call, *_spell(args, whole_arrays=False))
    key = _Key(function.__name__)

    def implementation(context: Any, builder: Any, sig: Any, values: Any) -> ir.Value:
        return _emit_call(context, builder, sig, values, address)

    cpu_target.target_context.insert_func_defn([(implementation, key, args)])
    return key, signature(result, *args)


def _emit_call(context: Any, builder: Any, sig: Any, values: Any, address: int) -> ir.Value:
    given: list[ir.Value] = []
    for typ, value in zip(sig.args, values):
        if isinstance(typ, types.Complex):
            number = context.make_complex(builder, typ, value=value)
            given += [number.real, number.imag]
        elif isinstance(typ, types.Array):
            given.append(context.make_array(typ)(context, builder, value=value).data)
        elif isinstance(typ, CuArrayType):
            given.append(cgutils.create_struct_proxy(typ)(context, builder, value=value).pointer)
        else:
            given.append(context.get_value_as_data(builder, typ, value))
    out_type = context.get_data_type(sig.return_type)
    out = cgutils.alloca_once(builder, out_type)
    function_type = ir.FunctionType(ir.IntType(32), [out.type, *(value.type for value in given)])
    called = builder.inttoptr(ir.Constant(ir.IntType(64), address), function_type.as_pointer())
    builder.call(called, [out, *given])
    if isinstance(sig.return_type, types.NoneType):
        return context.get_dummy_value()
    return context.data_model_manager[sig.return_type].from_data(builder, builder.load(out))


# ---- the GPU


def _declare_on_gpu(function: DeviceFunction, args: tuple[types.Type, ...], arch: str) -> tuple[Any, Any]:
    from numba import cuda
    from numba.cuda.cudadrv.linkable_code import LTOIR
    from numba.cuda.typing import signature as cuda_signature

    call, result = _call(function, args)
    symbol, code, linked = function.device_code(call, *_spell(args, whole_arrays=True), arch)
    link = [LTOIR(code, name=symbol), *(_linkable(other, arch) for other in linked)]
    return cuda.declare_device(symbol, result(*args), link=link), cuda_signature(result, *args)


@functools.cache
def _linkable(code: LinkedCode, arch: str) -> Any:
    # The same object each time: a kernel that needs it several times links it once.
    from numba.cuda.cudadrv.linkable_code import LTOIR

    return LTOIR(code.ltoir(arch), name=code.symbol)


def _target() -> str:
    """What numba compiles for at this moment: the CPU, or a GPU's architecture."""
    given = getattr(ConfigStack.top_or_none(), "compute_capability", None)  # numba-cuda's flags
    return _CPU if given is None else f"sm_{given[0]}{given[1]}"


# ---- what numba-cuda sees of modules


def module_type(module: Module) -> types.Type:
    """The numba type of a module, for numba-cuda, which then knows its device functions."""
    _register_modules()
    return typeof(module)


@functools.cache
def _register_modules() -> None:
    from numba.cuda.cudadecl import registry as declarations
    from numba.cuda.cudaimpl import registry as implementations
    from numba.cuda.datamodel.models import OpaqueModel
    from numba.cuda.models import register_model as register_cuda_model
    from numba.cuda.typing.templates import AttributeTemplate

    register_cuda_model(ModuleType)(OpaqueModel)

    @declarations.register_attr
    class ModuleAttributes(AttributeTemplate):
        key = ModuleType

        def generic_resolve(self, typ: Any, attribute: str) -> Any:
            found = getattr(typ.module, attribute, None)
            return type_of(found) if isinstance(found, DeviceFunction) else None

    @implementations.lower_getattr_generic(ModuleType)
    def lower_attribute(context: Any, builder: Any, typ: Any, value: Any, attribute: str) -> ir.Value:
        return context.get_dummy_value()
