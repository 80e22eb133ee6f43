"""CuArrays as a numba type: what ``@numba.njit`` functions can do with arrays.

A CuArray in njit is its address, shape and strides, and a reference count of numba's that keeps the memory: for an
array that was passed in, it holds the Python object; for one that was made in njit, a block of the pool. A function
that only reads attributes or calls `host` holds no address of this process, so numba can cache it on disk: what it
calls, it calls by a symbol's name.
"""

from __future__ import annotations

import functools
import operator
from typing import Any

import llvmlite.binding as llvm
import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.imputils import impl_ret_borrowed
from numba.core.typeconv import Conversion
from numba.core.typing.templates import AttributeTemplate, signature
from numba.core.typing.typeof import Purpose
from numba.extending import (
    NativeValue,
    box,
    infer_getattr,
    lower_cast,
    lower_getattr,
    make_attribute_wrapper,
    models,
    overload,
    overload_attribute,
    overload_method,
    register_model,
    typeof_impl,
    unbox,
)
from numba.np.arrayobj import populate_array
from numba.np.numpy_support import from_dtype

from cuarray._array import CuArray, new
from cuarray._dtypes import is_struct, struct_name
from cuarray._kernel.numba_calls import intrinsic
from cuarray._layout import Layout, layout
from cuarray._runtime import ForeignMemory, driver_functions
from cuarray._runtime.driver_functions import FailedCall

_WAIT = "cuarray_wait_for_host"
_MODEL = 2  # changes with CuArrayModel, so that no code of another version is taken from numba's cache


class CuArrayType(types.Type):
    """A CuArray of a dtype, number of dimensions and, as of numba's arrays, layout: C, F or A for any."""

    def __init__(self, dtype: np.dtype, ndim: int, layout: str = "C", writeable: bool = True) -> None:
        _add_symbols()
        self.dtype = dtype
        self.ndim = ndim
        self.layout = layout
        self.writeable = writeable
        # NumPy's equality of dtypes does not look at the class that a struct came from, and their `str` not at fields.
        self.struct = f"{struct_name(dtype)} {dtype!r}" if is_struct(dtype) else ""
        # Each call from Python hashes it.
        self._key = self.struct or self.dtype.str, ndim, layout, writeable, _MODEL
        super().__init__(f"CuArray({dtype}, {ndim}d, {layout}{'' if writeable else ', read-only'})")

    @property
    def key(self) -> Any:
        return self._key

    def can_convert_to(self, typingctx: Any, other: Any) -> Any:
        if (
            isinstance(other, CuArrayType)
            and (other.dtype, other.ndim, other.struct) == (self.dtype, self.ndim, self.struct)
            and other.layout in (self.layout, "A")
            and (self.writeable or not other.writeable)
        ):
            return Conversion.safe
        return None

    def unify(self, typingctx: Any, other: Any) -> Any:
        if isinstance(other, CuArrayType) and (other.dtype, other.ndim, other.struct) == (
            self.dtype,
            self.ndim,
            self.struct,
        ):
            same = self.layout if self.layout == other.layout else "A"
            return CuArrayType(self.dtype, self.ndim, same, self.writeable and other.writeable)
        return None


@functools.cache
def _add_symbols() -> None:
    # Before code is compiled or loaded that knows this name, as all that does has CuArrays among its arguments' types.
    llvm.add_symbol(_WAIT, driver_functions.native("wait_for_host"))


@functools.cache
def _array_type(dtype: np.dtype, ndim: int, order: str, writeable: bool) -> CuArrayType:
    return CuArrayType(dtype, ndim, order, writeable)


@typeof_impl.register(CuArray)
def _typeof_array(value: CuArray, context: Any) -> CuArrayType:
    if context.purpose is Purpose.constant:
        raise TypingError(
            "a CuArray cannot be a global or closure variable of an njit function: pass it as an argument"
        )
    own: Layout = value._layout
    order = "C" if own.c_contiguous else "F" if own.f_contiguous else "A"
    return _array_type(own.dtype, own.ndim, order, value._writeable)


@register_model(CuArrayType)
class CuArrayModel(models.StructModel):
    """Where the elements are, what keeps them there, and the Python object if there is one, borrowed from `meminfo`."""

    def __init__(self, manager: Any, array_type: CuArrayType) -> None:
        members = [
            ("meminfo", types.MemInfoPointer(types.voidptr)),
            ("parent", types.pyobject),
            ("pointer", types.int64),
            ("host_accessible", types.int64),  # no boolean: numba's parallel loops pass structs as they are in memory
            ("shape", types.UniTuple(types.intp, array_type.ndim)),
            ("strides", types.UniTuple(types.intp, array_type.ndim)),
        ]
        super().__init__(manager, array_type, members)


@lower_cast(CuArrayType, CuArrayType)
def _cast_array(context: Any, builder: Any, source: Any, target: Any, value: ir.Value) -> ir.Value:
    return value  # a type that promises less of the same members


# ---- between Python and njit


@unbox(CuArrayType)
def _unbox_array(typ: CuArrayType, obj: ir.Value, context: Any) -> NativeValue:
    builder, pyapi = context.builder, context.pyapi
    struct = cgutils.create_struct_proxy(typ)(context.context, builder)
    struct.parent = obj
    own_layout = pyapi.object_getattr_string(obj, "_layout")
    memory = pyapi.object_getattr_string(obj, "_memory")
    extents = types.UniTuple(types.intp, typ.ndim)
    failed: ir.Value = cgutils.false_bit
    for owner, attribute, member, member_type in (
        (obj, "_pointer", "pointer", types.int64),
        (own_layout, "shape", "shape", extents),
        (own_layout, "strides", "strides", extents),
        (memory, "host_accessible", "host_accessible", types.int64),
    ):
        value = pyapi.object_getattr_string(owner, attribute)
        native = context.unbox(member_type, value)
        setattr(struct, member, native.value)
        if native.cleanup is not None:
            native.cleanup()
        pyapi.decref(value)
        failed = builder.or_(failed, native.is_error)
    pyapi.decref(own_layout)
    pyapi.decref(memory)
    struct.meminfo = pyapi.nrt_meminfo_new_from_pyobject(builder.inttoptr(struct.pointer, cgutils.voidptr_t), obj)
    return NativeValue(struct._getvalue(), is_error=failed)


@box(CuArrayType)
def _box_array(typ: CuArrayType, value: ir.Value, context: Any) -> ir.Value:
    builder, pyapi = context.builder, context.pyapi
    struct = cgutils.create_struct_proxy(typ)(context.context, builder, value=value)
    parent = struct.parent
    with builder.if_else(cgutils.is_not_null(builder, parent)) as (was_passed_in, was_made):
        with was_passed_in:
            pyapi.incref(parent)
            context.context.nrt.decref(builder, typ, value)
            passed_in_block = builder.block
        with was_made:
            extents = types.UniTuple(types.intp, typ.ndim)
            arguments = [
                pyapi.nrt_meminfo_as_pyobject(struct.meminfo),  # which takes over our reference
                context.box(types.int64, struct.pointer),
                context.box(extents, struct.shape),
                context.box(extents, struct.strides),
            ]
            adopt = context.env_manager.read_const(context.env_manager.add_const(_adopt))
            dtype = context.env_manager.read_const(context.env_manager.add_const(typ.dtype))
            made = pyapi.call_function_objargs(adopt, (dtype, *arguments))
            for argument in arguments:
                pyapi.decref(argument)
            made_block = builder.block
    result = builder.phi(parent.type)
    result.add_incoming(parent, passed_in_block)
    result.add_incoming(made, made_block)
    return result


def _adopt(dtype: np.dtype, owner: Any, pointer: int, shape: tuple[int, ...], strides: tuple[int, ...]) -> CuArray:
    """The CuArray over memory that was allocated in njit; `owner` holds numba's reference to it."""
    own = layout(dtype, shape, strides)
    return new(ForeignMemory(pointer, own.nbytes, owner, True), pointer, own)


# ---- attributes

make_attribute_wrapper(CuArrayType, "shape", "shape")
make_attribute_wrapper(CuArrayType, "strides", "strides")
make_attribute_wrapper(CuArrayType, "pointer", "_pointer")
make_attribute_wrapper(CuArrayType, "host_accessible", "_host_accessible")


def _element_type(typ: CuArrayType) -> Any:
    if typ.dtype == np.float16:
        raise TypingError(f"numba has no float16 on the CPU: a {typ} can only be passed on in njit")
    return from_dtype(typ.dtype)


@infer_getattr
class _ArrayAttributes(AttributeTemplate):
    key = CuArrayType

    def resolve_dtype(self, typ: Any) -> Any:
        return types.DType(_element_type(typ))


@lower_getattr(CuArrayType, "dtype")
def _lower_dtype(context: Any, builder: Any, typ: Any, value: Any) -> ir.Value:
    return context.get_dummy_value()


@overload_attribute(CuArrayType, "ndim")
def _array_ndim(array):
    ndim = array.ndim
    return lambda array: ndim


@overload_attribute(CuArrayType, "itemsize")
def _array_itemsize(array):
    itemsize = array.dtype.itemsize
    return lambda array: itemsize


@overload_attribute(CuArrayType, "size")
def _array_size(array):
    def size(array):
        result = 1
        for extent in array.shape:
            result *= extent
        return result

    return size


@overload_attribute(CuArrayType, "nbytes")
def _array_nbytes(array):
    return lambda array: array.size * array.itemsize


@overload(len)
def _array_len(array):
    if not isinstance(array, CuArrayType):
        return None
    if array.ndim == 0:
        raise TypingError("len() of a CuArray without dimensions")
    return lambda array: array.shape[0]


@overload(operator.getitem)
def _array_getitem(array, key):
    if isinstance(array, CuArrayType):
        raise TypingError(f"elements of a {array} cannot be read in njit; x.host() is a NumPy array over its memory")


@overload(operator.setitem)
def _array_setitem(array, key, value):
    if isinstance(array, CuArrayType):
        raise TypingError(f"elements of a {array} cannot be set in njit; x.host() is a NumPy array over its memory")


# ---- the CPU's view


@intrinsic
def _wait_for_host(typingctx, array):
    def codegen(context, builder, sig, arguments):
        struct = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=arguments[0])
        i64 = ir.IntType(64)
        nbytes = ir.Constant(i64, sig.args[0].dtype.itemsize)
        for extent in cgutils.unpack_tuple(builder, struct.shape):
            nbytes = builder.mul(nbytes, extent)
        if sig.args[0].layout == "A":  # the bytes between the first element and the last are not known here
            nbytes = ir.Constant(i64, 0)
        function_type = ir.FunctionType(ir.IntType(32), [i64, i64])
        function = cgutils.get_or_insert_function(builder.module, function_type, _WAIT)
        return builder.call(function, [struct.pointer, nbytes])

    return types.int32(array), codegen


@intrinsic
def _as_host_array(typingctx, array):
    result = types.Array(_element_type(array), array.ndim, array.layout, readonly=not array.writeable)

    def codegen(context, builder, sig, arguments):
        struct = cgutils.create_struct_proxy(sig.args[0])(context, builder, value=arguments[0])
        view = context.make_array(result)(context, builder)
        data = context.get_data_type(result.dtype)
        populate_array(
            view,
            data=builder.inttoptr(struct.pointer, data.as_pointer()),
            shape=struct.shape,
            strides=struct.strides,
            itemsize=context.get_constant(types.intp, sig.args[0].dtype.itemsize),
            meminfo=struct.meminfo,
        )
        return impl_ret_borrowed(context, builder, result, view._getvalue())

    return signature(result, array), codegen


@overload_method(CuArrayType, "host")
def _array_host(array):
    _element_type(array)

    def host(array):
        if array._host_accessible == 0:
            raise BufferError("x.host(): the array is in GPU memory that the CPU cannot reach; copy it first")
        code = _wait_for_host(array)
        if code != 0:
            raise FailedCall("cuStreamSynchronize", code)
        return _as_host_array(array)

    return host
