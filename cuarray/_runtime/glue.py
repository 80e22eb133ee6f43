"""The numba-jitted calls between Python and the launchers: one for built-in kernels, one for a user's.

The launch ABI is cuLaunchKernel's own signature; ca::host::launch (kernels/host/grid.hpp) has the same, so both
backends differ here by nothing but an address. A launch is described by a record of 64-bit words in memory:

    LAUNCHER FUNCTION GRID_X GRID_Y GRID_Z BLOCK_X BLOCK_Y BLOCK_Z SHARED COUNT  then COUNT words of the kernel's own

For a built-in kernel these are the words of its one by-value parameter after the head of HEAD_WORDS words, which
changes from call to call. For a user's kernel they are the byte offsets of the arguments in a buffer of slots.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

LAUNCHER, FUNCTION, GRID, BLOCK, SHARED, COUNT, WORDS = 0, 1, 2, 5, 8, 9, 10
HEAD_WORDS = 7

_i32, _i64, _ptr = ir.IntType(32), ir.IntType(64), ir.IntType(8).as_pointer()
_params = _ptr.as_pointer()
_launcher_type = ir.FunctionType(_i32, [_ptr, *[_i32] * 7, _ptr, _params, _params])


def make_record(
    launcher: int,
    function: int,
    grid: Sequence[int],
    block: Sequence[int],
    shared: int,
    words: Sequence[int],
) -> np.ndarray:
    """A launch record; its memory must outlive every launch that is given its address."""
    return np.array([launcher, function, *grid, *block, shared, len(words), *words], dtype=np.int64)


def emit_launch(
    builder: ir.IRBuilder,
    launcher: ir.Value,
    function: ir.Value,
    extents: Sequence[ir.Value],
    stream: ir.Value,
    params: ir.Value,
) -> ir.Value:
    """LLVM IR for one call of a launcher: `extents` are grid, block and shared bytes as i32, the rest i64 or i8**."""
    call = builder.inttoptr(launcher, _launcher_type.as_pointer())
    null = ir.Constant(_params, None)
    as_pointer = [builder.inttoptr(value, _ptr) for value in (function, stream)]
    return builder.call(call, [as_pointer[0], *extents, as_pointer[1], params, null])


def _load(builder: ir.IRBuilder, base: ir.Value, index: int | ir.Value) -> ir.Value:
    at = ir.Constant(_i64, index) if isinstance(index, int) else index
    return builder.load(builder.gep(base, [at]))


@intrinsic
def _launch_builtin(typingctx, record, stream, out, a, b, c, a2, b2, c2):
    signature = types.int32(*[types.int64] * (2 + HEAD_WORDS))

    def codegen(context, builder, sig, arguments):
        base = builder.inttoptr(arguments[0], _i64.as_pointer())
        count = _load(builder, base, COUNT)
        total = builder.add(count, ir.Constant(_i64, HEAD_WORDS))
        parameter = builder.alloca(_i64, size=total)
        parameter.align = 16
        for position, word in enumerate(arguments[2:]):
            builder.store(word, builder.gep(parameter, [ir.Constant(_i64, position)]))
        target = builder.gep(parameter, [ir.Constant(_i64, HEAD_WORDS)])
        source = builder.gep(base, [ir.Constant(_i64, WORDS)])
        cgutils.raw_memcpy(builder, target, source, count, 8)
        params = cgutils.alloca_once(builder, _ptr)
        builder.store(builder.bitcast(parameter, _ptr), params)
        extents = [builder.trunc(_load(builder, base, GRID + k), _i32) for k in range(7)]
        return emit_launch(
            builder, _load(builder, base, LAUNCHER), _load(builder, base, FUNCTION), extents, arguments[1], params
        )

    return signature, codegen


@intrinsic
def _launch_user(typingctx, record, stream, slots):
    signature = types.int32(types.int64, types.int64, types.int64)

    def codegen(context, builder, sig, arguments):
        base = builder.inttoptr(arguments[0], _i64.as_pointer())
        count = _load(builder, base, COUNT)
        params = builder.alloca(_ptr, size=count)
        with cgutils.for_range(builder, count) as loop:
            offset = _load(builder, base, builder.add(loop.index, ir.Constant(_i64, WORDS)))
            slot = builder.inttoptr(builder.add(arguments[2], offset), _ptr)
            builder.store(slot, builder.gep(params, [loop.index]))
        extents = [builder.trunc(_load(builder, base, GRID + k), _i32) for k in range(7)]
        return emit_launch(
            builder, _load(builder, base, LAUNCHER), _load(builder, base, FUNCTION), extents, arguments[1], params
        )

    return signature, codegen


@njit(types.int32(*[types.int64] * (2 + HEAD_WORDS)), cache=True, nogil=True)
def launch_builtin(record, stream, out, a, b, c, a2, b2, c2):
    """Launch a built-in kernel: the address of its record, the stream, and the words of its parameter's head."""
    return _launch_builtin(record, stream, out, a, b, c, a2, b2, c2)  # type: ignore[call-arg]


@njit(types.int32(types.int64, types.int64, types.int64), cache=True, nogil=True)
def launch_user(record, stream, slots):
    """Launch a user's kernel: the addresses of its record and of its arguments, and the stream."""
    return _launch_user(record, stream, slots)  # type: ignore[call-arg]
