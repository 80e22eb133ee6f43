"""CuArrays as arguments of C++ functions that are called through cppyy, and the buffer protocol.

A pointer parameter gets the array's address, checked and without a copy; `std::span` is made of an array like a
container. The C++ side is kernels/host/python_arguments.hpp: it replaces cppyy's converters for pointers to the types
in `POINTEES`, which still convert everything else, and fills the slot for the buffer protocol, which Python 3.11
offers to no class written in Python. Functions whose converters cppyy made before that use the buffer.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray, host_view
from cuarray._errors import CompileError

# C++ types as cppyy spells them -> the dtypes whose arrays may be passed as pointers to them.
# float16 is passed as its bits, too. Any array may be passed as void*.
POINTEES: dict[str, tuple[str, ...]] = {
    "bool": ("bool",),
    "signed char": ("int8",),
    "int8_t": ("int8",),
    "short": ("int16", "float16"),
    "int": ("int32",),
    "long": ("int64",),
    "long long": ("int64",),
    "unsigned char": ("uint8",),
    "uint8_t": ("uint8",),
    "unsigned short": ("uint16", "float16"),
    "unsigned int": ("uint32",),
    "unsigned long": ("uint64",),
    "unsigned long long": ("uint64",),
    "float": ("float32",),
    "double": ("float64",),
    "std::complex<float>": ("complex64",),
    "std::complex<double>": ("complex128",),
    "ca::float16": ("float16",),
    "ca::complex<float>": ("complex64",),
    "ca::complex<double>": ("complex128",),
}

_FORMAT_ONLY = 4  # PyBUF_FORMAT: what cppyy asks of a buffer
_DYNAMIC = 2**64 - 1  # std::dynamic_extent


class View(NamedTuple):
    """A C++ class template that is made of a CuArray where a parameter has its type."""

    scope: str  # its namespace
    prefix: str  # how its instances' names begin, without the namespace
    make: Callable[[Any, CuArray], Any]  # (the class, the array) -> an object of the class


def make_span(cls: Any, array: CuArray) -> Any:
    """A span of class `cls` over all elements of a C-contiguous array."""
    import cppyy

    element = str(cls.__cpp_name__).partition("<")[2].rpartition(">")[0].partition(",")[0].strip()
    pointee = element.removeprefix("const ")
    address = pointer(array, pointee, pointee != element)
    extent = getattr(cls, "extent", _DYNAMIC)
    if extent not in (_DYNAMIC, array.size):
        raise TypeError(f"an array of {array.size} elements is not a {cls.__cpp_name__}")
    return cppyy.gbl.ca.host.make_span[cls](address, array.size)


def make_view(cls: Any, array: CuArray) -> Any:
    """A `ca::view` or `ca::span` of class `cls` over an array, by its words: pointer, extents, a view's strides."""
    import cppyy

    name = str(cls.__cpp_name__)
    element, _, ndim = name.partition("<")[2].rpartition(">")[0].rpartition(",")
    if "span<" in name:
        element, ndim = ndim, "1"
    pointee = element.strip().removeprefix("const ")
    if int(ndim) != array.ndim:
        raise TypeError(f"an array of {array.ndim} dimensions is not a {name}")
    strided = "view<" in name
    address = pointer(array, pointee, pointee != element.strip(), strided)
    words = np.array([address, *array.shape, *(array.strides if strided else ())], np.int64)
    return cppyy.gbl.ca.host.from_words[cls](words.ctypes.data)


# Class templates that are made of arrays.
VIEWS = [View("std", "span<", make_span), View("ca", "span<", make_view), View("ca", "view<", make_view)]


def pointer(array: CuArray, pointee: str, is_const: bool, strided: bool = False) -> int:
    """The address for a parameter `pointee*`, after the work before it; 0 for an array without elements.

    strided: C++ is told the strides. TypeError where it would read or write something other than the array's elements.
    """
    qualified = f"{'const ' if is_const else ''}{pointee}*"
    accepted = POINTEES.get(pointee)
    if accepted is not None and array.dtype.name not in accepted:
        raise TypeError(f"an array of dtype {array.dtype} is not a {qualified}, which takes {' or '.join(accepted)}")
    if accepted is None and pointee != "void":
        raise TypeError(f"an array of dtype {array.dtype} is not a {qualified}")
    if not is_const and not array._writeable:
        raise TypeError(f"a read-only array cannot be passed as {qualified}, through which C++ may write")
    if not strided and not array._layout.c_contiguous:
        raise TypeError(
            f"an array that is not C-contiguous (shape {array.shape}, strides {array.strides}) cannot be passed as "
            f"{qualified}, which knows no strides; make a copy with cuarray.ascontiguousarray"
        )
    if not array.size:
        return 0
    _check_accessible(array, TypeError)
    runtime = _runtime.get()
    runtime.lend(array._pointer + array._layout.low, array._layout.high - array._layout.low)
    runtime.synchronize()
    return array._pointer


def _check_accessible(array: CuArray, kind: type[Exception]) -> None:
    if not array._memory.host_accessible:
        raise kind(
            "this array is in GPU memory that the CPU cannot reach (another library allocated it); "
            "make a copy with cuarray.copy"
        )


def buffer(array: CuArray, flags: int) -> np.ndarray:
    """A NumPy array over `array`'s memory, of which the buffer is taken."""
    if array.size:
        _check_accessible(array, BufferError)
    if array.dtype.kind == "V":
        # Formats have no names of classes and no bfloat16: NumPy takes these by its own interface.
        raise BufferError(f"an array of dtype {array.dtype} has no buffer; make a NumPy array of it first")
    if flags != _FORMAT_ONLY:
        return host_view(array)
    # cppyy asks for no writable buffer, but passes it as one; and it takes dimensions for levels of pointers.
    if not array._writeable:
        raise BufferError("a read-only array cannot be passed as a pointer through which C++ may write")
    if not array._layout.c_contiguous:
        raise BufferError("an array that is not C-contiguous cannot be passed as a pointer, which knows no strides")
    return host_view(array).reshape(-1)


def _pythonize(view: View) -> Callable[[Any, str], None]:
    def pythonize(cls: Any, name: str) -> None:
        if not name.startswith(view.prefix) or "__cuarray_init__" in vars(cls):
            return
        construct = cls.__init__

        def __init__(self: Any, *args: Any) -> Any:
            if len(args) == 1 and type(args[0]) is CuArray:
                return construct(self, view.make(type(self), args[0]))
            return construct(self, *args)

        cls.__cuarray_init__ = construct
        cls.__init__ = __init__

    return pythonize


_registered = False


def register(cppyy: Any, define: Callable[[str, str], None], define_headers: Callable[[], None]) -> None:
    """Teach cppyy to pass CuArrays; done once, by the runtime, before there is an array."""
    global _registered
    if _registered:
        return
    _registered = True
    try:
        define('#include "host/python_arguments.hpp"', "the conversion of arguments")
        define_headers()
    except CompileError as error:  # Python's C headers are missing: all else works without them
        warnings.warn(f"C++ functions cannot take CuArrays through cppyy: {error}", RuntimeWarning, stacklevel=2)
        return
    host = cppyy.gbl.ca.host
    for pointee in (*POINTEES, "void"):
        # What converts other objects where cppyy has no converter of exactly this type. It finds the one for a pointer
        # to a class by other rules; those classes are cuarray's own.
        generic = "void*" if pointee == "void" or pointee.startswith("ca::") else f"{pointee} ptr"
        for const in ("", "const "):
            for suffix in ("*", "[]"):
                if not host.register_pointer(pointee, bool(const), f"{const}{pointee}{suffix}", generic):
                    raise RuntimeError(f"{const}{pointee}{suffix}: raise max_registrations in python_arguments.hpp")
    host.install_arguments(CuArray, pointer, buffer)
    for view in VIEWS:
        pythonize = _pythonize(view)
        cppyy.py.add_pythonization(pythonize, view.scope)
        # Classes that were used before.
        template = getattr(getattr(cppyy.gbl, view.scope), view.prefix.rstrip("<"), None)
        for cls in getattr(template, "_instantiations", {}).values():
            pythonize(cls, cls.__name__)
