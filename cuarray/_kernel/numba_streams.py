"""Streams as a numba type: objects whose attribute `handle` is a CUDA stream as an int."""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.imputils import lower_constant
from numba.extending import (
    NativeValue,
    box,
    make_attribute_wrapper,
    models,
    register_model,
    typeof_impl,
    unbox,
)

from cuarray._kernel import numba_calls
from cuarray._kernel.numba_calls import I64


class StreamType(types.Type):
    """An object with an int as its `handle`."""

    def __init__(self) -> None:
        super().__init__("cuarray.stream")


stream_type = StreamType()


def register_stream(cls: type) -> type:
    """Let objects of this class be streams in njit functions; usable as a decorator."""
    typeof_impl.register(cls)(lambda value, context: stream_type)
    return cls


@register_model(StreamType)
class StreamModel(models.StructModel):
    """The handle, and the Python object, borrowed from the caller, who holds it while the function runs."""

    def __init__(self, manager: Any, typ: Any) -> None:
        super().__init__(manager, typ, [("handle", types.int64), ("parent", types.pyobject)])


make_attribute_wrapper(StreamType, "handle", "handle")


@unbox(StreamType)
def _unbox_stream(typ: Any, obj: ir.Value, context: Any) -> NativeValue:
    struct = cgutils.create_struct_proxy(typ)(context.context, context.builder)
    handle = context.pyapi.object_getattr_string(obj, "handle")
    native = context.unbox(types.int64, handle)
    context.pyapi.decref(handle)
    struct.handle, struct.parent = native.value, obj
    return NativeValue(struct._getvalue(), is_error=native.is_error)


@box(StreamType)
def _box_stream(typ: Any, value: ir.Value, context: Any) -> ir.Value:
    struct = cgutils.create_struct_proxy(typ)(context.context, context.builder, value=value)
    context.pyapi.incref(struct.parent)
    return struct.parent


@lower_constant(StreamType)
def _constant_stream(context: Any, builder: Any, typ: Any, stream: Any) -> ir.Value:
    # Both are of this process. Whoever compiles with a global holds it.
    struct = cgutils.create_struct_proxy(typ)(context, builder)
    handle = numba_calls.process_address(context, builder, int(stream.handle))
    struct.handle = builder.ptrtoint(handle, I64)
    struct.parent = numba_calls.process_address(context, builder, id(stream))
    return struct._getvalue()


def stream_handle(context: Any, builder: Any, typ: Any, value: ir.Value) -> ir.Value:
    """The handle of an int, None or stream, as i64; 0 for None."""
    if isinstance(typ, types.NoneType):
        return ir.Constant(I64, 0)
    if isinstance(typ, StreamType):
        return cgutils.create_struct_proxy(typ)(context, builder, value=value).handle
    return context.cast(builder, value, typ, types.int64)
