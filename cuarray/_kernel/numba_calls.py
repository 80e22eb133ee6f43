"""LLVM IR for launches and for calls of the driver: their addresses of this process keep numba from caching code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from llvmlite import ir
from numba import extending, types

from cuarray import _runtime
from cuarray._runtime import driver_functions

# What is called with one argument less than it is written with, and tuples' types, which can be iterated over: both are
# more than mypy sees.
intrinsic: Any = extending.intrinsic
TUPLE: Any = types.BaseTuple

I8, I32, I64 = ir.IntType(8), ir.IntType(32), ir.IntType(64)
POINTER = I8.as_pointer()
TYPES = {"i": I32, "I": I32, "B": I8, "Q": I64, "f": ir.FloatType(), "*": POINTER}
NUMBA_TYPES = {"i": types.int32, "Q": types.int64, "f": types.float32}
_PARAMETERS = POINTER.as_pointer()
_LAUNCHER = ir.FunctionType(I32, [POINTER, *[I32] * 7, POINTER, _PARAMETERS, _PARAMETERS])


def emit_launch(
    builder: ir.IRBuilder,
    launcher: ir.Value,
    function: ir.Value,
    extents: Sequence[ir.Value],
    stream: ir.Value,
    params: ir.Value,
) -> ir.Value:
    """LLVM IR for one call of a launcher: `extents` are grid, block and shared bytes as i32, the rest i64 or i8**."""
    call = builder.inttoptr(launcher, _LAUNCHER.as_pointer())
    null = ir.Constant(_PARAMETERS, None)
    as_pointer = [builder.inttoptr(value, POINTER) for value in (function, stream)]
    return builder.call(call, [as_pointer[0], *extents, as_pointer[1], params, null])


def process_address(context: Any, builder: Any, address: int) -> ir.Value:
    """An address of this process as i8*. Code that has one is not cached: numba asks whether there are any."""
    return context.add_dynamic_addr(builder, address, "cuarray")


def function_at(context: Any, builder: Any, address: int, result: Any, arguments: Sequence[Any]) -> ir.Value:
    """The function of this type at an address of this process."""
    return builder.bitcast(process_address(context, builder, address), ir.FunctionType(result, arguments).as_pointer())


def call_with_context(context: Any, builder: Any, call: Callable[[], ir.Value]) -> ir.Value:
    """The result of `call`, made again if the thread's first use of CUDA found no current context."""
    status = call()
    runtime_context = _runtime.get().context
    if runtime_context is None:
        return status
    set_current, handle, no_context = runtime_context
    before = builder.block
    missing = builder.icmp_unsigned("==", status, ir.Constant(I32, no_context))
    with builder.if_then(missing, likely=False):
        setter = function_at(context, builder, set_current, I32, [POINTER])
        builder.call(setter, [process_address(context, builder, handle)])
        again = call()
        last = builder.block
    result = builder.phi(I32)
    result.add_incoming(status, before)
    result.add_incoming(again, last)
    return result


def note_error(context: Any, builder: Any, status: ir.Value) -> None:
    """Make `status` the thread's last error."""
    note = function_at(context, builder, driver_functions.native("note_error"), ir.VoidType(), [I32])
    builder.call(note, [status])


def current_stream(context: Any, builder: Any) -> ir.Value:
    """The calling thread's stream as i64."""
    address = _runtime.get().current_stream_address
    if not address:
        return ir.Constant(I64, 0)
    return builder.ptrtoint(builder.call(function_at(context, builder, address, POINTER, []), []), I64)
