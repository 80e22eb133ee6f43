"""The CUDA Array Interface, version 3: other libraries' GPU arrays seen as CuArrays without a copy."""

from __future__ import annotations

from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray, new
from cuarray._dtypes import as_dtype
from cuarray._layout import layout


def import_interface(owner: Any, interface: dict[str, Any]) -> CuArray:
    """A CuArray over the memory that `interface` describes; `owner` lives as long as it."""
    what = type(owner).__name__
    if interface.get("mask") is not None:
        raise TypeError(f"{what}: masked arrays are not supported")
    dtype = as_dtype(np.dtype(interface["typestr"]), what)
    if dtype.str != np.dtype(interface["typestr"]).str:
        raise TypeError(f"{what}: byte order {interface['typestr']} is not the machine's")
    shape = tuple(int(extent) for extent in interface["shape"])
    strides = interface.get("strides")
    array_layout = layout(dtype, shape, None if strides is None else tuple(int(stride) for stride in strides))
    pointer, read_only = interface["data"]
    runtime = _runtime.get()
    stream = interface.get("stream")
    if stream is not None:
        runtime.wait_for_stream(int(stream))
    memory = _runtime.ForeignMemory(
        int(pointer or 0), array_layout.nbytes, owner, bool(pointer) and runtime.is_host_accessible(int(pointer))
    )
    return new(memory, memory.pointer, array_layout, writeable=not read_only)
