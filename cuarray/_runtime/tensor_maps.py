"""Tensor maps (CUtensorMap): what the copy engine of a GPU must know of a tensor to move boxes of it."""

from __future__ import annotations

import ctypes

from cuarray._plan import TensorMap

TENSOR_MAP_WORDS = 16
_ALIGNMENT = 128
_ANY_ADDRESS = 1 << 20  # each launch puts in the tensor's own (kernels/launch_extended.hpp)

# The driver's enumerations: CUtensorMapDataType, and what cuarray's kernels stand on.
_DATA_TYPES = {"u16": 1, "u32": 2, "tf32": 11}
_INTERLEAVE_NONE, _SWIZZLE_128_BYTES, _PROMOTE_256_BYTES, _OUTSIDE_ZEROS = 0, 3, 3, 0


def encode(encode_tiled: int, tensor: TensorMap) -> tuple[int, tuple[int, ...]]:
    """The driver's result and the words of a tensor's map; `encode_tiled` is the address of cuTensorMapEncodeTiled."""
    buffer = (ctypes.c_int64 * (2 * TENSOR_MAP_WORDS))()
    first = -ctypes.addressof(buffer) % _ALIGNMENT // 8
    rank = len(tensor.extents)
    call = ctypes.CFUNCTYPE(
        ctypes.c_int,
        ctypes.c_void_p,
        ctypes.c_int,
        ctypes.c_uint32,
        *(ctypes.c_void_p,) * 5,
        *(ctypes.c_int,) * 4,
    )(encode_tiled)
    result = call(
        ctypes.addressof(buffer) + 8 * first,
        _DATA_TYPES[tensor.element],
        rank,
        _ANY_ADDRESS,
        (ctypes.c_uint64 * rank)(*tensor.extents),
        (ctypes.c_uint64 * (rank - 1))(*tensor.strides),
        (ctypes.c_uint32 * rank)(*tensor.box),
        (ctypes.c_uint32 * rank)(*(1,) * rank),
        _INTERLEAVE_NONE,
        _SWIZZLE_128_BYTES,
        _PROMOTE_256_BYTES,
        _OUTSIDE_ZEROS,
    )
    return result, tuple(buffer[first : first + TENSOR_MAP_WORDS])
