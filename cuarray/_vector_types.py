"""CUDA's vector types as dtypes and constructors: `ca.zeros(10, ca.float4)`, `ca.float4(1, 2, 3, 4)`.

Their alignments are CUDA's, which are not always NumPy's: those of the C++ types hold wherever one is part of another
struct or pointed to.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray._kernel.structs import StructType

VECTOR_TYPES: dict[str, StructType] = {}


def _vector(name: str, element: Any, count: int) -> StructType:
    own = np.dtype(element)
    names = list("xyzw"[:count])
    fields = {"names": names, "formats": [own] * count, "offsets": [k * own.itemsize for k in range(count)]}
    dtype = np.dtype({**fields, "itemsize": count * own.itemsize}, align=True)  # type: ignore[call-overload]
    VECTOR_TYPES[name] = StructType(name, dtype)
    return VECTOR_TYPES[name]


def _family(name: str, element: Any) -> tuple[StructType, StructType, StructType, StructType]:
    return tuple(_vector(f"{name}{count}", element, count) for count in (1, 2, 3, 4))  # type: ignore[return-value]


char1, char2, char3, char4 = _family("char", np.int8)
uchar1, uchar2, uchar3, uchar4 = _family("uchar", np.uint8)
short1, short2, short3, short4 = _family("short", np.int16)
ushort1, ushort2, ushort3, ushort4 = _family("ushort", np.uint16)
int1, int2, int3, int4 = _family("int", np.int32)
uint1, uint2, uint3, uint4 = _family("uint", np.uint32)
long1, long2, long3, long4 = _family("long", np.int64)
ulong1, ulong2, ulong3, ulong4 = _family("ulong", np.uint64)
longlong1, longlong2, longlong3, longlong4 = _family("longlong", np.int64)
ulonglong1, ulonglong2, ulonglong3, ulonglong4 = _family("ulonglong", np.uint64)
float1, float2, float3, float4 = _family("float", np.float32)
double1, double2, double3, double4 = _family("double", np.float64)
