"""cuarray's functions in njit: `empty`, `zeros`, `empty_like`, `zeros_like`, and those of `_cuda_calls`."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.errors import TypingError
from numba.core.typing.npydecl import parse_dtype
from numba.cpython.unsafe import tuple as unsafe_tuple
from numba.extending import overload, register_jitable
from numba.np.numpy_support import as_dtype as numpy_dtype

from cuarray import _cuda_calls, _runtime
from cuarray import _functions as F
from cuarray._dtypes import as_dtype
from cuarray._kernel import numba_calls
from cuarray._kernel.numba_arrays import CuArrayType
from cuarray._kernel.numba_calls import I32, I64, NUMBA_TYPES, POINTER, TUPLE, TYPES, intrinsic
from cuarray._runtime import driver_functions
from cuarray._runtime.driver_functions import FUNCTIONS, FailedAllocation, FailedCall

tuple_setitem: Any = unsafe_tuple.tuple_setitem

# ---- calls of the driver


@functools.cache
def _native(name: str) -> Any:
    """A function of a tuple of arguments, compiled, to the driver's code and result (0 if it has none)."""
    description = FUNCTIONS[name]

    @intrinsic
    def native(typingctx, arguments):
        result = NUMBA_TYPES.get(description.result, types.int64)
        returned = types.Tuple((types.int32, result))

        def codegen(context, builder, sig, values):
            letters = description.arguments
            place = cgutils.alloca_once_value(builder, context.get_constant(result, 0))
            given = cgutils.unpack_tuple(builder, values[0], len(sig.args[0]))
            passed = []
            remaining = iter(zip(sig.args[0], given, strict=True))
            for letter in letters:
                if letter == "*":
                    passed.append(builder.bitcast(place, POINTER))
                    continue
                typ, value = next(remaining)
                wide = context.cast(builder, value, typ, types.int64)
                passed.append(wide if letter == "Q" else builder.trunc(wide, TYPES[letter]))
            argument_types = [TYPES[letter] for letter in letters]

            def call() -> ir.Value:
                address = driver_functions.address(name)
                function = numba_calls.function_at(context, builder, address, I32, argument_types)
                return builder.call(function, passed)

            status = numba_calls.call_with_context(context, builder, call)
            with builder.if_then(cgutils.is_not_null(builder, status), likely=False):
                numba_calls.note_error(context, builder, status)
            return context.make_tuple(builder, returned, [status, builder.load(place)])

        return returned(arguments), codegen

    return native


@overload(driver_functions.call, prefer_literal=True)
def _call(name, *arguments):
    if not isinstance(name, types.StringLiteral):
        return None
    function = name.literal_value
    for argument in arguments:
        if not isinstance(argument, types.Integer | types.Boolean):
            raise TypingError(f"{function}: expected an int, not {argument}")
    native = _native(function)

    if FUNCTIONS[function].result:

        def call(name, *arguments):
            code, result = native(arguments)
            if code != 0:
                raise FailedCall(function, code)
            return result

        return call

    def call_without_result(name, *arguments):
        code, _result = native(arguments)
        if code != 0:
            raise FailedCall(function, code)

    return call_without_result


@intrinsic
def _current_stream(typingctx):
    def codegen(context, builder, sig, arguments):
        return numba_calls.current_stream(context, builder)

    return types.int64(), codegen


@overload(driver_functions.current_stream)
def _overload_current_stream():
    return lambda: _current_stream()


@overload(driver_functions.can_prefetch)
def _overload_can_prefetch():
    can = _runtime.get().can_prefetch
    return lambda: can


@intrinsic
def _byte_at(typingctx, pointer):
    def codegen(context, builder, sig, arguments):
        return builder.load(builder.inttoptr(arguments[0], POINTER))

    return types.uint8(types.int64), codegen


@overload(driver_functions.text_at)
def _overload_text_at(pointer):
    def text_at(pointer):
        text = ""
        at = pointer
        while _byte_at(at) != 0:
            text += chr(_byte_at(at))
            at += 1
        return text

    return text_at


# ---- cuarray.cuda

for _function in _cuda_calls.COMPILED:
    register_jitable(_function)


@overload(_cuda_calls.synchronize)
def _overload_synchronize():
    return lambda: driver_functions.call("cuCtxSynchronize")


@overload(_cuda_calls.address)
def _overload_address(x, nbytes):
    if isinstance(x, CuArrayType):
        if x.layout == "A":
            raise TypingError(f"the array must be contiguous, not {x}")

        def address_of_array(x, nbytes):
            if nbytes < 0:
                raise ValueError("nbytes must not be negative")
            if nbytes > x.nbytes:
                raise ValueError("nbytes is more than the array has")
            return x._pointer

        return address_of_array
    if isinstance(x, types.Integer):

        def address(x, nbytes):
            if nbytes < 0:
                raise ValueError("nbytes must not be negative")
            return np.int64(x)

        return address
    raise TypingError(f"expected a CuArray or an address as int, not {x}")


@overload(_cuda_calls.writeable_address)
def _overload_writeable_address(x, nbytes):
    if isinstance(x, CuArrayType) and not x.writeable:
        raise TypingError(f"the destination is read-only: {x}")
    return lambda x, nbytes: _cuda_calls.address(x, nbytes)


# ---- new arrays


@functools.cache
def _new(array_type: CuArrayType) -> Any:
    """A function of shape, strides and bytes, compiled, to an array of this type and the pool's code."""

    @intrinsic
    def new(typingctx, shape, strides, nbytes):
        returned = types.Tuple((types.int32, array_type))

        def codegen(context, builder, sig, values):
            release = numba_calls.process_address(context, builder, driver_functions.native("release_block"))
            meminfo = context.nrt.meminfo_alloc_dtor_unchecked(builder, ir.Constant(I64, 24), release)
            with builder.if_then(cgutils.is_null(builder, meminfo), likely=False):
                context.call_conv.return_user_exc(builder, MemoryError, ("out of memory",))
            block = context.nrt.meminfo_data(builder, meminfo)
            pool = numba_calls.process_address(context, builder, _runtime.get().pool.address)
            allocate = numba_calls.function_at(
                context, builder, driver_functions.native("allocate_block"), I32, [POINTER, POINTER, I64]
            )
            status = builder.call(allocate, [block, pool, values[2]])
            struct = cgutils.create_struct_proxy(array_type)(context, builder)
            struct.meminfo = meminfo
            struct.parent = ir.Constant(struct.parent.type, None)
            words = builder.bitcast(block, I64.as_pointer())
            struct.pointer = builder.load(cgutils.gep_inbounds(builder, words, 1))  # ca::native::Block
            struct.host_accessible = ir.Constant(struct.host_accessible.type, 1)
            struct.shape, struct.strides = values[0], values[1]
            return context.make_tuple(builder, returned, [status, struct._getvalue()])

        return returned(shape, strides, types.int64), codegen

    return new


@intrinsic
def _extents(typingctx, shape):
    """An int or tuple of ints as a tuple of int64."""
    given = [shape] if isinstance(shape, types.Integer) else list(shape)
    result = types.UniTuple(types.int64, len(given))

    def codegen(context, builder, sig, values):
        if isinstance(sig.args[0], types.Integer):
            parts = [values[0]]
        else:
            parts = cgutils.unpack_tuple(builder, values[0], len(given))
        wide = [context.cast(builder, part, typ, types.int64) for part, typ in zip(parts, given, strict=True)]
        return context.make_tuple(builder, result, wide)

    return result(shape), codegen


@register_jitable
def _checked_bytes(extents, itemsize):
    total = 16.0
    size = itemsize
    for extent in extents:
        if extent < 0:
            raise ValueError("shape: negative dimensions are not allowed")
        total *= extent
        size *= extent
    if total >= 2.0**63:
        raise ValueError("shape: array is too big")
    return size


@register_jitable
def _packed(extents, strides, itemsize):
    """`strides` with an array's own if it has these extents and its elements are packed in C order."""
    step = itemsize
    for k in range(len(extents)):
        axis = len(extents) - 1 - k
        strides = tuple_setitem(strides, axis, step)
        step *= max(extents[axis], 1)
    return strides


@register_jitable
def _packed_like(extents, strides, itemsize):
    """Strides for packed elements with the axes in the order that `strides` has: NumPy's order "K"."""
    result = strides
    step = itemsize
    for k in range(len(extents)):
        # The axis with the k-th smallest stride; of equal ones, the later axis comes first.
        for axis in range(len(extents)):
            smaller = 0
            for other in range(len(extents)):
                difference = abs(strides[other]) - abs(strides[axis])
                if difference < 0 or (difference == 0 and other > axis):
                    smaller += 1
            if smaller == k:
                result = tuple_setitem(result, axis, step)
                step *= max(extents[axis], 1)
    return result


def given_dtype(dtype: Any, function: str) -> np.dtype:
    """The dtype that an argument means, which must be known when numba compiles."""
    if isinstance(dtype, types.Omitted):
        return as_dtype(dtype.value)
    if isinstance(dtype, types.NoneType):
        return as_dtype(None)
    if not isinstance(dtype, np.dtype | type):
        python = getattr(dtype, "typing_key", None)
        if python in (bool, int, float, complex):
            return as_dtype(python)
        found = parse_dtype(dtype)
        if found is None:
            raise TypingError(f"{function}: dtype must be a dtype or its name as a constant, not {dtype}")
        dtype = numpy_dtype(found)
    try:
        return as_dtype(dtype)
    except TypeError as error:
        raise TypingError(f"{function}: {error}") from None


def _check_shape(shape: Any, function: str) -> int:
    """The number of dimensions that a shape's type means."""
    if isinstance(shape, types.Integer):
        return 1
    if isinstance(shape, TUPLE) and all(isinstance(part, types.Integer) for part in shape):
        return len(shape)
    raise TypingError(f"{function}: shape must be an int or a tuple of ints, not {shape}")


def _maker(function: str, array_type: CuArrayType, like: bool, zero: bool) -> Any:
    """A jitted function (extents, strides) -> a new array; with `like`, its axes lie in the order of `strides`."""
    itemsize, ndim = array_type.dtype.itemsize, array_type.ndim
    new = _new(array_type)

    @register_jitable
    def make(extents, strides):
        nbytes = _checked_bytes(extents, itemsize)
        if ndim > 0:
            if like:
                strides = _packed_like(extents, strides, itemsize)
            else:
                strides = _packed(extents, strides, itemsize)
        code, array = new(extents, strides, nbytes)
        if code != 0:
            raise FailedAllocation(nbytes, code)
        if zero and nbytes > 0:
            driver_functions.call("cuMemsetD8Async", array._pointer, 0, nbytes, driver_functions.current_stream())
        return array

    return make


def _overload_creation(function: Any, zero: bool) -> None:
    name = function.__name__

    @overload(function, prefer_literal=True)
    def create(shape, dtype=np.float64):
        ndim = _check_shape(shape, name)
        make = _maker(name, CuArrayType(given_dtype(dtype, name), ndim), False, zero)

        def creation(shape, dtype=np.float64):
            extents = _extents(shape)
            return make(extents, extents)

        return creation


def _overload_like(function: Any, zero: bool) -> None:
    name = function.__name__

    @overload(function, prefer_literal=True)
    def create_like(x, dtype=None):
        if not isinstance(x, CuArrayType):
            raise TypingError(f"{name}: x must be a CuArray, not {x}")
        same = isinstance(dtype, types.NoneType) or dtype is None or getattr(dtype, "value", 0) is None
        wanted = x.dtype if same else given_dtype(dtype, name)
        order = x.layout if x.ndim > 1 else "C"
        make = _maker(name, CuArrayType(wanted, x.ndim, order), order != "C", zero)

        def creation(x, dtype=None):
            return make(x.shape, x.strides)

        return creation


_overload_creation(F.empty, False)
_overload_creation(F.zeros, True)
_overload_like(F.empty_like, False)
_overload_like(F.zeros_like, True)
