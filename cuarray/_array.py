"""CuArray: memory, views, protocols. What arrays can do stands in _functions; here it gets its methods' names."""

from __future__ import annotations

import operator
import struct
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from cuarray import _fast_calls, _runtime
from cuarray._dtypes import alignment, as_storage_dtype
from cuarray._fast_calls import Remembered
from cuarray._interop import dlpack
from cuarray._layout import Layout, typestr, view
from cuarray._table import ELEMENTWISE

# The dtypes' characters from which cppyy deduces the right C++ type; it takes "b" for char, and knows no others.
_TYPECODES = frozenset("?hHiIlLfdB")


class Flags:
    """How an array lies in memory and whether it may be written; also by NumPy's names: ``x.flags["WRITEABLE"]``.

    `writeable` can be set, to True only where the memory is the array's, or a writeable array's that it is a view of.
    """

    __slots__ = ("_array",)

    def __init__(self, array: CuArray) -> None:
        self._array = array

    @property
    def c_contiguous(self) -> bool:
        return self._array._layout.c_contiguous

    @property
    def f_contiguous(self) -> bool:
        return self._array._layout.f_contiguous

    @property
    def contiguous(self) -> bool:
        return self._array._layout.c_contiguous

    fortran = f_contiguous

    @property
    def fnc(self) -> bool:
        return self.f_contiguous and not self.c_contiguous

    @property
    def forc(self) -> bool:
        return self.f_contiguous or self.c_contiguous

    @property
    def behaved(self) -> bool:
        return self.aligned and self.writeable

    @property
    def carray(self) -> bool:
        return self.behaved and self.c_contiguous

    @property
    def farray(self) -> bool:
        return self.behaved and self.fnc

    @property
    def owndata(self) -> bool:
        return self._array._base is None

    @property
    def writeable(self) -> bool:
        return self._array._writeable

    @writeable.setter
    def writeable(self, value: bool) -> None:
        if value and not self._array._writeable:
            base, array_layout = self._array._base, self._array._layout
            foreign = isinstance(self._array._memory, _runtime.ForeignMemory)
            repeated = any(not step and extent > 1 for step, extent in zip(array_layout.strides, array_layout.shape))
            if repeated or (foreign if base is None else not base._writeable):
                raise ValueError("flags: cannot set WRITEABLE to True: elements share memory, or it is read-only")
        self._array._writeable = bool(value)

    @property
    def aligned(self) -> bool:
        return _is_aligned(self._array)

    @property
    def writebackifcopy(self) -> bool:
        return False

    def __getitem__(self, key: str) -> bool:
        if key not in _FLAG_KEYS:
            raise KeyError(f"flags: {key!r} is no flag; there are {', '.join(_FLAG_KEYS)}")
        return getattr(self, _FLAG_KEYS[key])

    def __setitem__(self, key: str, value: bool) -> None:
        if _FLAG_KEYS.get(key) != "writeable":
            raise KeyError(f"flags: {key!r} cannot be set; 'WRITEABLE' can")
        self.writeable = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Flags) and all(getattr(self, name) == getattr(other, name) for name in _FLAGS)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        return "\n".join(f"  {name.upper()} : {getattr(self, name)}" for name in _FLAGS)


_FLAGS = ("c_contiguous", "f_contiguous", "owndata", "writeable", "aligned", "writebackifcopy")
_COMBINED_FLAGS = ("contiguous", "fortran", "fnc", "forc", "behaved", "carray", "farray")
_FLAG_KEYS = {name.upper(): name for name in _FLAGS + _COMBINED_FLAGS}
_FLAG_KEYS |= {"C": "c_contiguous", "F": "f_contiguous", "O": "owndata", "W": "writeable", "A": "aligned"}
_FLAG_KEYS |= {"X": "writebackifcopy", "B": "behaved", "CA": "carray", "FA": "farray"}


class Device:
    """Where an array's memory is: ``"cuda:0"`` or ``"cpu"``; equal to its name."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"Device({self.name!r})"

    def __str__(self) -> str:
        return self.name

    def __eq__(self, other: object) -> bool:
        return self.name == (other.name if isinstance(other, Device) else other)

    def __hash__(self) -> int:
        return hash(self.name)


class CuArray:
    """An n-dimensional array whose elements the device's kernels and, without a copy, NumPy can use.

    Made by `array`, `zeros`, `arange` ... and by operations on arrays, not by calling the class.
    """

    __slots__ = ("__weakref__", "_base", "_layout", "_memory", "_pointer", "_writeable")

    _pointer: int  # the address of the first element
    _layout: Layout
    _memory: Any  # what keeps the memory alive: Memory or ForeignMemory
    _base: CuArray | None
    _writeable: bool

    __hash__ = None  # type: ignore[assignment]
    __array_priority__ = 1000

    def __new__(cls, *args: Any, **kwargs: Any) -> CuArray:
        raise TypeError("CuArray is not made by calling it: use cuarray.array, cuarray.empty, cuarray.zeros, ...")

    if TYPE_CHECKING:  # the operators are set by _bind_operators, from the rows of the table

        def __matmul__(self, other: Any) -> CuArray: ...
        def __rmatmul__(self, other: Any) -> CuArray: ...
        def __imatmul__(self, other: Any) -> CuArray: ...

        def __add__(self, other: Any) -> CuArray: ...
        def __radd__(self, other: Any) -> CuArray: ...
        def __iadd__(self, other: Any) -> CuArray: ...
        def __sub__(self, other: Any) -> CuArray: ...
        def __rsub__(self, other: Any) -> CuArray: ...
        def __isub__(self, other: Any) -> CuArray: ...
        def __mul__(self, other: Any) -> CuArray: ...
        def __rmul__(self, other: Any) -> CuArray: ...
        def __imul__(self, other: Any) -> CuArray: ...
        def __truediv__(self, other: Any) -> CuArray: ...
        def __rtruediv__(self, other: Any) -> CuArray: ...
        def __itruediv__(self, other: Any) -> CuArray: ...
        def __floordiv__(self, other: Any) -> CuArray: ...
        def __rfloordiv__(self, other: Any) -> CuArray: ...
        def __ifloordiv__(self, other: Any) -> CuArray: ...
        def __mod__(self, other: Any) -> CuArray: ...
        def __rmod__(self, other: Any) -> CuArray: ...
        def __imod__(self, other: Any) -> CuArray: ...
        def __pow__(self, other: Any) -> CuArray: ...
        def __rpow__(self, other: Any) -> CuArray: ...
        def __ipow__(self, other: Any) -> CuArray: ...
        def __and__(self, other: Any) -> CuArray: ...
        def __rand__(self, other: Any) -> CuArray: ...
        def __iand__(self, other: Any) -> CuArray: ...
        def __or__(self, other: Any) -> CuArray: ...
        def __ror__(self, other: Any) -> CuArray: ...
        def __ior__(self, other: Any) -> CuArray: ...
        def __xor__(self, other: Any) -> CuArray: ...
        def __rxor__(self, other: Any) -> CuArray: ...
        def __ixor__(self, other: Any) -> CuArray: ...
        def __lshift__(self, other: Any) -> CuArray: ...
        def __rlshift__(self, other: Any) -> CuArray: ...
        def __ilshift__(self, other: Any) -> CuArray: ...
        def __rshift__(self, other: Any) -> CuArray: ...
        def __rrshift__(self, other: Any) -> CuArray: ...
        def __irshift__(self, other: Any) -> CuArray: ...
        def __lt__(self, other: Any) -> CuArray: ...
        def __le__(self, other: Any) -> CuArray: ...
        def __gt__(self, other: Any) -> CuArray: ...
        def __ge__(self, other: Any) -> CuArray: ...
        def __neg__(self) -> CuArray: ...
        def __pos__(self) -> CuArray: ...
        def __abs__(self) -> CuArray: ...
        def __invert__(self) -> CuArray: ...

    # ---- attributes
    @property
    def shape(self) -> tuple[int, ...]:
        return self._layout.shape

    @property
    def strides(self) -> tuple[int, ...]:
        """Bytes from one element to the next along each axis, as in NumPy."""
        return self._layout.strides

    @property
    def dtype(self) -> np.dtype:
        return self._layout.dtype

    @property
    def ndim(self) -> int:
        return self._layout.ndim

    @property
    def size(self) -> int:
        return self._layout.size

    @property
    def nbytes(self) -> int:
        return self._layout.nbytes

    @property
    def itemsize(self) -> int:
        return self._layout.dtype.itemsize

    @property
    def flags(self) -> Flags:
        return Flags(self)

    def setflags(self, write: bool | None = None, align: bool | None = None, uic: bool | None = None) -> None:
        """Make the array read-only, or writeable where its memory is; see `flags`. The other two have no effect."""
        if align and not self.flags.aligned:
            raise ValueError("setflags: align cannot be True: the elements are not at multiples of their alignment")
        if uic:
            raise ValueError("setflags: uic cannot be True")
        if write is not None:
            self.flags.writeable = write

    @property
    def base(self) -> CuArray | None:
        """The array whose memory this one is a view of, or None."""
        return self._base

    @property
    def device(self) -> Device:
        return Device(_runtime.get().device_name())

    @property
    def pointer(self) -> int:
        """The address of the first element, for C++ and other libraries."""
        return self._pointer

    @property
    def T(self) -> CuArray:
        """The array with its axes reversed, as a view."""
        return transposed(self)

    @property
    def flat(self) -> Any:
        """The elements in C order, to be read (a copy) and written (`x.flat[2:4] = 0`, `x.flat = 1`)."""
        return F.FlatIterator(self)

    @flat.setter
    def flat(self, value: Any) -> None:
        F.FlatIterator(self)[:] = value

    @property
    def mT(self) -> CuArray:
        """The array with its last two axes swapped, as a view."""
        return matrix_transposed(self)

    @property
    def real(self) -> CuArray:
        """The real parts, as a view."""
        return real_part(self)

    @real.setter
    def real(self, value: Any) -> None:
        F.assign(self.real, value, "real")

    @property
    def imag(self) -> CuArray:
        """The imaginary parts: a view of a complex array, zeros of a real one."""
        if self.dtype.kind != "c":
            return F.zeros(self.shape, self.dtype)
        return imaginary_part(self)

    @imag.setter
    def imag(self, value: Any) -> None:
        if self.dtype.kind != "c":
            raise TypeError(f"imag: an array of dtype {self.dtype} has no imaginary part to set")
        F.assign(self.imag, value, "imag")

    # ---- NumPy
    def host(self) -> np.ndarray:
        """A NumPy array over the same memory, after waiting for the work before it, as `numpy.asarray` gives it.

        In njit functions it is the way to the elements; there BufferError for GPU memory that the CPU cannot reach.

        >>> import cuarray as ca
        >>> ca.arange(3).host()
        array([0, 1, 2])
        """
        return host_view(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """A NumPy array over the same memory, after waiting for the work before it; a copy where it must be one."""
        array = host_view(self)
        if dtype is not None and np.dtype(dtype) != array.dtype:
            if copy is False:
                raise ValueError(f"dtype: {self.dtype} cannot be seen as {np.dtype(dtype)} without a copy")
            return array.astype(dtype)
        return array.copy() if copy else array

    def __array_ufunc__(self, ufunc: np.ufunc, method: str, *inputs: Any, **kwargs: Any) -> Any:
        return numpy_protocols.array_ufunc(ufunc, method, inputs, kwargs)

    def __array_function__(self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        return numpy_protocols.array_function(function, types, args, kwargs)

    # ---- other libraries
    @property
    def typecode(self) -> str:
        """The dtype's character, as `array.array` has it: cppyy deduces the template argument of `T*` from it."""
        if self.dtype.char not in _TYPECODES:
            raise AttributeError(f"an array of dtype {self.dtype} has no typecode that cppyy knows")
        return self.dtype.char

    @property
    def __cuda_array_interface__(self) -> dict[str, Any]:
        runtime = _runtime.get()
        if runtime.host_is_device:
            raise AttributeError("__cuda_array_interface__: this array is in host memory (the host backend is in use)")
        contiguous = self._layout.c_contiguous
        return {
            "version": 3,
            "shape": self.shape,
            "typestr": typestr(self.dtype),
            "data": (self._pointer if self.size else 0, not self._writeable),
            "strides": None if contiguous else self.strides,
            "stream": runtime.stream or 1,  # 1: the legacy default stream
        }

    def __dlpack_device__(self) -> tuple[int, int]:
        return _runtime.get().dlpack_device

    def __dlpack__(
        self,
        *,
        stream: int | None = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A DLPack capsule over the same memory; `dl_device=(1, 0)` asks for memory that the CPU may read now."""
        runtime = _runtime.get()
        own = runtime.dlpack_device
        only_device = runtime.host_is_device or not self._memory.host_accessible
        reachable = [own] if only_device else [own, (13, own[1]), (1, 0)]
        request = dlpack.negotiate(
            stream=stream, max_version=max_version, dl_device=dl_device, copy=copy, devices=reachable
        )
        array = F.copy(self) if request.copy else self
        # -1 asks for no order. A consumer without a stream looks at once: then the work must be done.
        if stream is None or request.device[0] == 1:
            runtime.synchronize()
        elif stream != -1:
            runtime.make_stream_wait(stream)
        return dlpack.export(
            array._pointer,
            array.shape,
            array.strides,
            array.dtype,
            request.device,
            array,
            read_only=not array._writeable,
            versioned=request.versioned,
            copied=request.copy,
        )

    # ---- one element
    def item(self, *index: Any) -> Any:
        """An element as a Python scalar: the only one, or the one at `index`."""
        if index:
            if len(index) == 1 and not isinstance(index[0], tuple):
                at = operator.index(index[0])
                if not -self.size <= at < self.size:
                    raise IndexError(f"index {at} is out of bounds for size {self.size}")
                index = (at,) if self.ndim == 1 else np.unravel_index(at % self.size, self.shape)
            elif len(index) == 1:
                index = index[0]
            if len(index) != self.ndim:
                raise ValueError(f"item: {len(index)} indices for an array of {self.ndim} dimensions")
            return self[tuple(int(i) for i in index)].item()
        layout = self._layout
        if layout.size != 1:
            raise ValueError("can only convert an array of size 1 to a Python scalar")
        data = _runtime.get().read(self._pointer, layout.dtype.itemsize)
        unpack = _UNPACK.get(layout.dtype.char)
        return unpack(data)[0] if unpack else np.frombuffer(data, layout.dtype)[0].item()

    def tolist(self) -> Any:
        """The elements as nested lists of Python scalars."""
        return np.asarray(self).tolist()

    def __bool__(self) -> bool:
        if self.size != 1:
            if not self.size:
                raise ValueError("The truth value of an empty array is ambiguous. Use `array.size > 0` to check for it")
            raise ValueError(
                "The truth value of an array with more than one element is ambiguous. Use a.any() or a.all()"
            )
        return bool(self.item())

    def _scalar(self, kind: Callable[[Any], Any]) -> Any:
        if self.ndim:
            raise TypeError("only 0-dimensional arrays can be converted to Python scalars")
        return kind(self.item())

    def __float__(self) -> float:
        return self._scalar(float)

    def __int__(self) -> int:
        return self._scalar(int)

    def __complex__(self) -> complex:
        return self._scalar(complex)

    def __index__(self) -> int:
        if self.ndim or self.dtype.kind not in "iu":
            raise TypeError("only integer scalar arrays can be converted to a scalar index")
        return self.item()

    def __round__(self, ndigits: int | None = None) -> Any:
        # NumPy's scalars can be rounded so, and here results without dimensions take their place.
        if self.ndim:
            raise TypeError("round: the array has dimensions; use cuarray.round")
        return round(self.item()) if ndigits is None else F.round(self, ndigits)

    def __len__(self) -> int:
        if not self.ndim:
            raise TypeError("len() of unsized object")
        return self.shape[0]

    def __iter__(self) -> Iterator[CuArray]:
        if not self.ndim:
            raise TypeError("iteration over a 0-d array")
        return (self[i] for i in range(self.shape[0]))

    def __contains__(self, value: Any) -> bool:
        return bool((self == value).any())

    # ---- indexing
    def __getitem__(self, key: Any) -> CuArray:
        if isinstance(key, str) and self._layout.struct is not None:
            return _aligned(view_of(self, lambda ghost: ghost[key]), f"field {key!r}")
        basic = basic_index(key)
        if basic is None:
            return F.get_item(self, key)
        result = view_of(self, basic)
        _fast_calls.remember_subscript(self, key, result)
        return result

    def __setitem__(self, key: Any, value: Any) -> None:
        basic = basic_index(key)
        if basic is not None:
            part = view_of(self, basic)
            _fast_calls.remember_subscript(self, key, part)
            F.assign(part, value, "assignment")
        elif isinstance(key, str):
            F.assign(self[key], value, "assignment")
        else:
            F.set_item(self, key, value)

    # ---- printing, as NumPy prints
    def __repr__(self) -> str:
        return np.array_repr(np.asarray(self))

    def __str__(self) -> str:
        return np.array_str(np.asarray(self))

    def __format__(self, spec: str) -> str:
        return format(self.item(), spec) if not self.ndim else format(np.asarray(self), spec)

    # ---- methods that are functions
    def astype(
        self,
        dtype: Any,
        order: str = "K",
        casting: str = "unsafe",
        subok: bool = True,
        copy: bool = True,
        *,
        device: Any = None,
    ) -> CuArray:
        """The array in another dtype; see `cuarray.astype`."""
        if order == "K" and casting == "unsafe" and copy is True and device is None:
            return F.cast(self, dtype)
        return F.astype(self, dtype, order=order, casting=casting, copy=copy, device=device)

    def view(self, dtype: Any = None) -> CuArray:
        """The same bytes as elements of another dtype, or of the same, as a view, by NumPy's rules.

        Where the sizes of the elements differ, the last axis must be contiguous and gets another extent. ValueError
        if an element would not be aligned.

        >>> import cuarray as ca
        >>> ca.array([1.0, 2.0], "float32").view("int32")
        array([1065353216, 1073741824], dtype=int32)
        """
        if dtype is None:
            return view_of(self, lambda ghost: ghost[...])
        wanted = as_storage_dtype(dtype)
        return _aligned(view_of(self, lambda ghost: ghost.view(wanted)), f"a view as {wanted}")

    def byteswap(self, inplace: bool = False) -> CuArray:
        """The elements with their bytes in the other order (of complex numbers, those of each part); a new array.

        >>> import cuarray as ca
        >>> ca.array([1, 256], "int16").byteswap()
        array([256,   1], dtype=int16)
        """
        unit = self.dtype.itemsize // (2 if self.dtype.kind == "c" else 1)
        swapped = F.copy(self, "C")
        if self.size:
            numbers = F.reshape(swapped, (-1,)).view(np.uint8).reshape(-1, unit)
            F.copyto(numbers, F.copy(numbers)[:, ::-1])
        if not inplace:
            return swapped
        F.assign(self, swapped, "byteswap")
        return self

    def copy(self, order: str = "C") -> CuArray:
        """A C-contiguous copy, or one in another order; see `cuarray.copy`."""
        return F.copy(self, order)

    def __copy__(self) -> CuArray:
        return F.copy(self)

    def __deepcopy__(self, memo: Any) -> CuArray:
        return F.copy(self)

    def __reduce__(self) -> Any:
        return F.array, (np.asarray(self),)  # pickled by value; Fortran order is kept

    def tobytes(self, order: str | None = "C") -> bytes:
        """The bytes of the elements in C order, or in order "F" or "A"; this waits for the device.

        >>> import cuarray as ca
        >>> ca.array([1, 2], "int8").tobytes()
        b'\\x01\\x02'
        """
        return np.asarray(self).tobytes(order)  # type: ignore[arg-type]

    def tofile(self, fid: Any, sep: str = "", format: str = "%s") -> None:
        """Write the elements in C order to a file (open or by name): as bytes, or, with a `sep`, as text.

        This waits for the device; `cuarray.fromfile` reads it.
        """
        np.asarray(self).tofile(fid, sep, format)

    def to_device(self, device: Any, /, *, stream: Any = None) -> CuArray:
        """The array itself: its device is the only one; ValueError for any other device, and for a stream."""
        if str(device) != self.device.name:
            raise ValueError(f"device: {str(device)!r} is not available; arrays are on {self.device.name!r}")
        if stream is not None:
            raise ValueError("stream must be None: nothing is copied")
        return self

    def __array_namespace__(self, *, api_version: str | None = None) -> Any:
        """The module `cuarray.array_api`: the array API standard's functions; ValueError for other versions."""
        from cuarray import array_api
        from cuarray._array_api_info import SUPPORTED_VERSIONS

        if api_version is not None and api_version not in SUPPORTED_VERSIONS:
            raise ValueError(f"api_version {api_version!r} is none of {', '.join(SUPPORTED_VERSIONS)}")
        return array_api

    def fill(self, value: Any) -> None:
        """Set every element to a scalar."""
        F.assign(self, value, "fill")

    def take(self, indices: Any, axis: int | None = None, out: CuArray | None = None, mode: str = "raise") -> CuArray:
        """The elements with these indices on an axis; see `cuarray.take`."""
        return F.take(self, indices, axis, out, mode)

    def put(self, indices: Any, values: Any, mode: str = "raise") -> None:
        """Set the elements at positions in C order; see `cuarray.put`."""
        F.put(self, indices, values, mode)

    def nonzero(self) -> tuple[CuArray, ...]:
        """The indices of the elements that are not zero; see `cuarray.nonzero`."""
        return F.nonzero(self)

    def compress(self, condition: Any, axis: int | None = None, out: CuArray | None = None) -> CuArray:
        """The slices along an axis where a condition is true; see `cuarray.compress`."""
        return F.compress(condition, self, axis, out)

    def choose(self, choices: Any, out: CuArray | None = None, mode: str = "raise") -> CuArray:
        """Elements of the choices whose numbers stand in the array; see `cuarray.choose`."""
        return F.choose(self, choices, out, mode)

    def diagonal(self, offset: int = 0, axis1: int = 0, axis2: int = 1) -> CuArray:
        """The elements on a diagonal, as a read-only view; see `cuarray.diagonal`."""
        return F.diagonal(self, offset, axis1, axis2)

    def reshape(self, *shape: Any, order: str = "C", copy: bool | None = None) -> CuArray:
        """The elements at another shape; see `cuarray.reshape`."""
        if not shape:
            raise TypeError("reshape: a shape must be given")
        return F.reshape(self, shape[0] if len(shape) == 1 else shape, order, copy=copy)

    def ravel(self, order: str = "C") -> CuArray:
        """The elements on one axis; see `cuarray.ravel`."""
        return F.ravel(self, order)

    def flatten(self, order: str = "C") -> CuArray:
        """A copy of the elements on one axis; for `order` see `cuarray.ravel`."""
        flat = F.ravel(self, order)
        if flat._memory is self._memory:
            return F.copy(flat)
        flat._base = None
        return flat

    def repeat(self, repeats: Any, axis: int | None = None) -> CuArray:
        """Each element several times; see `cuarray.repeat`."""
        return F.repeat(self, repeats, axis)

    def transpose(self, *axes: Any) -> CuArray:
        """The array with its axes permuted; see `cuarray.transpose`."""
        return F.transpose(self, axes[0] if len(axes) == 1 else (axes or None))

    def squeeze(self, axis: Any = None) -> CuArray:
        """The array without axes of extent 1; see `cuarray.squeeze`."""
        return F.squeeze(self, axis)

    def swapaxes(self, axis1: int, axis2: int) -> CuArray:
        """The array with two axes swapped; see `cuarray.swapaxes`."""
        return F.swapaxes(self, axis1, axis2)

    def sum(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: CuArray | None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> CuArray:
        """Sum over axes; see `cuarray.sum`."""
        return F.sum(self, axis, dtype, out, keepdims, initial, where)

    def prod(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: CuArray | None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> CuArray:
        """Product over axes; see `cuarray.prod`."""
        return F.prod(self, axis, dtype, out, keepdims, initial, where)

    def mean(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: CuArray | None = None,
        keepdims: bool = False,
        *,
        where: Any = True,
    ) -> CuArray:
        """Arithmetic mean over axes; see `cuarray.mean`."""
        return F.mean(self, axis, dtype, out, keepdims, where=where)

    def var(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: CuArray | None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        mean: Any = None,
        correction: float | None = None,
    ) -> CuArray:
        """Variance over axes; see `cuarray.var`."""
        return F.var(self, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)

    def std(
        self,
        axis: Any = None,
        dtype: Any = None,
        out: CuArray | None = None,
        ddof: float = 0,
        keepdims: bool = False,
        *,
        where: Any = True,
        mean: Any = None,
        correction: float | None = None,
    ) -> CuArray:
        """Standard deviation over axes; see `cuarray.std`."""
        return F.std(self, axis, dtype, out, ddof, keepdims, where=where, mean=mean, correction=correction)

    def min(
        self,
        axis: Any = None,
        out: CuArray | None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> CuArray:
        """Minimum over axes; see `cuarray.min`."""
        return F.min(self, axis, out, keepdims, initial, where)

    def max(
        self,
        axis: Any = None,
        out: CuArray | None = None,
        keepdims: bool = False,
        initial: Any = None,
        where: Any = True,
    ) -> CuArray:
        """Maximum over axes; see `cuarray.max`."""
        return F.max(self, axis, out, keepdims, initial, where)

    def any(
        self, axis: Any = None, out: CuArray | None = None, keepdims: bool = False, *, where: Any = True
    ) -> CuArray:
        """Whether any element is true; see `cuarray.any`."""
        return F.any(self, axis, out, keepdims, where=where)

    def all(
        self, axis: Any = None, out: CuArray | None = None, keepdims: bool = False, *, where: Any = True
    ) -> CuArray:
        """Whether all elements are true; see `cuarray.all`."""
        return F.all(self, axis, out, keepdims, where=where)

    def argmin(self, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
        """Index of the first minimum; see `cuarray.argmin`."""
        return F.argmin(self, axis, out, keepdims=keepdims)

    def argmax(self, axis: int | None = None, out: CuArray | None = None, *, keepdims: bool = False) -> CuArray:
        """Index of the first maximum; see `cuarray.argmax`."""
        return F.argmax(self, axis, out, keepdims=keepdims)

    def cumsum(self, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
        """Sums up to each element; see `cuarray.cumsum`."""
        return F.cumsum(self, axis, dtype, out)

    def cumprod(self, axis: int | None = None, dtype: Any = None, out: CuArray | None = None) -> CuArray:
        """Products up to each element; see `cuarray.cumprod`."""
        return F.cumprod(self, axis, dtype, out)

    def sort(self, axis: Any = -1, kind: str | None = None, order: Any = None, *, stable: bool | None = None) -> None:
        """Sort in place along an axis; see `cuarray.sort`."""
        F.sort_in_place(self, axis, kind, order, stable=stable)

    def argsort(
        self, axis: Any = -1, kind: str | None = None, order: Any = None, *, stable: bool | None = None
    ) -> CuArray:
        """The indices that sort along an axis; see `cuarray.argsort`."""
        return F.argsort(self, axis, kind, order, stable=stable)

    def partition(self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> None:
        """Partition in place along an axis; see `cuarray.partition`."""
        F.partition_in_place(self, kth, axis, kind, order)

    def argpartition(self, kth: Any, axis: Any = -1, kind: str = "introselect", order: Any = None) -> CuArray:
        """The indices that partition along an axis; see `cuarray.argpartition`."""
        return F.argpartition(self, kth, axis, kind, order)

    def searchsorted(self, v: Any, side: str = "left", sorter: Any = None) -> CuArray:
        """Where elements would be put into this sorted array; see `cuarray.searchsorted`."""
        return F.searchsorted(self, v, side, sorter)

    def clip(self, min: Any = None, max: Any = None, out: CuArray | None = None, **options: Any) -> CuArray:
        """The elements limited to a range; see `cuarray.clip`."""
        return F.clip(self, min, max, out, **options)

    def round(self, decimals: int = 0, out: CuArray | None = None) -> CuArray:
        """The elements rounded half to even; see `cuarray.round`."""
        return F.round(self, decimals, out)

    def conj(self) -> CuArray:
        """The complex conjugates; the array itself if it is real, as in NumPy."""
        return F.conjugate(self) if self.dtype.kind == "c" else self

    def conjugate(self) -> CuArray:
        """The complex conjugates; the array itself if it is real, as in NumPy."""
        return self.conj()

    def dot(self, other: Any, out: CuArray | None = None) -> CuArray:
        """The dot product; see `cuarray.dot`."""
        return F.dot(self, other, out)

    def trace(
        self, offset: int = 0, axis1: int = 0, axis2: int = 1, dtype: Any = None, out: CuArray | None = None
    ) -> CuArray:
        """Sums of diagonals; see `cuarray.trace`."""
        return F.trace(self, offset, axis1, axis2, dtype, out)

    def __divmod__(self, other: Any) -> Any:
        return F.divmod(self, other) if F.is_operand(other) else NotImplemented

    def __rdivmod__(self, other: Any) -> Any:
        return F.divmod(other, self) if F.is_operand(other) else NotImplemented


def new(
    memory: Any, pointer: int, array_layout: Layout, base: CuArray | None = None, writeable: bool = True
) -> CuArray:
    """A CuArray over memory that `memory` keeps alive."""
    array = object.__new__(CuArray)
    array._memory = memory
    array._pointer = pointer
    array._layout = array_layout
    array._base = base
    array._writeable = writeable
    return array


def allocate(array_layout: Layout) -> CuArray:
    """A new array of this layout, its elements not set."""
    memory = _runtime.get().allocate(array_layout.nbytes)
    return new(memory, memory.pointer, array_layout)


def view_of(array: CuArray, operation: Callable[[np.ndarray], np.ndarray]) -> CuArray:
    """The view that a NumPy view function makes of `array`; see `cuarray._layout.view`."""
    offset, result = view(array._layout, operation)
    base = array if array._base is None else array._base
    return new(array._memory, array._pointer + offset, result, base, array._writeable)


class View(Remembered):
    """A function of an array and perhaps parameters, whose result is a view: one of NumPy's, called with ghosts."""

    def __init__(self, function: Callable[..., np.ndarray]) -> None:
        self._function = function

    def _call(self, array: CuArray, *parameters: Any) -> CuArray:
        result = view_of(array, lambda ghost: self._function(ghost, *parameters))
        if result.size:
            _fast_calls.remember(
                self, (array, *parameters), (), result._layout, [], view_at=result._pointer - array._pointer
            )
        return result


transposed, matrix_transposed = View(np.transpose), View(lambda ghost: ghost.mT)
reshaped = View(lambda ghost, shape: np.reshape(ghost, shape, copy=False))
real_part, imaginary_part = View(lambda ghost: ghost.real), View(lambda ghost: ghost.imag)


def _is_aligned(array: CuArray) -> bool:
    step = alignment(array.dtype)
    return not array.size or not any(value % step for value in (array._pointer, *array.strides))


def _aligned(array: CuArray, what: str) -> CuArray:
    # Kernels read whole elements, which the GPU can do at multiples of their alignment only.
    if not _is_aligned(array):
        step = alignment(array.dtype)
        raise ValueError(
            f"{what}: elements of {array.dtype} must be at multiples of {step} bytes; the first is at {array._pointer} "
            f"(strides {array.strides}). A structured dtype with align=True has its fields where they must be"
        )
    return array


def basic_index(key: Any) -> Callable[[np.ndarray], np.ndarray] | None:
    """The view function x -> x[key] of a key made of integers, slices, None and Ellipsis; None of any other key."""
    keys = key if isinstance(key, tuple) else (key,)
    checked: list[Any] = []
    has_ellipsis = False
    for part in keys:
        if part is None or isinstance(part, slice):
            checked.append(part)
        elif part is Ellipsis:
            has_ellipsis = True
            checked.append(part)
        elif isinstance(part, bool | np.bool_ | list | np.ndarray | CuArray) and not _is_integer_scalar(part):
            return None
        else:
            try:
                checked.append(operator.index(part))
            except TypeError:
                return None
    # With an Ellipsis NumPy gives a 0-d view where it would otherwise read the element.
    full = tuple(checked) if has_ellipsis else (*checked, Ellipsis)
    return lambda ghost: ghost[full]


def _is_integer_scalar(part: Any) -> bool:
    return isinstance(part, np.ndarray | CuArray) and part.ndim == 0 and part.dtype.kind in "iu"


# What `item` makes of bytes, by dtypes' characters, which are struct's. Four times as fast as NumPy.
_UNPACK = {char: struct.Struct(char).unpack for char in "?bhilqBHILQefd"}


class _HostMemory:
    """What NumPy asks for an array over `array`'s memory; NumPy's array keeps this alive, and this the memory."""

    def __init__(self, array: CuArray) -> None:
        self.array = array
        self.__array_interface__ = {
            "version": 3,
            "data": (array._pointer, not array._writeable),
            "typestr": typestr(array.dtype),
            "shape": array.shape,
            "strides": array.strides,
        }


def host_view(array: CuArray) -> np.ndarray:
    """A NumPy array over the same memory after a synchronise; a copy of memory that the CPU cannot reach."""
    if not array.size:
        return np.empty(array.shape, array.dtype)
    runtime = _runtime.get()
    if not array._memory.host_accessible:
        array = F.copy(array)
    runtime.lend(array._pointer + array._layout.low, array._layout.high - array._layout.low)
    runtime.synchronize()
    return np.asarray(_HostMemory(array)).view(array.dtype)


# The operators: each method's function, and what of it the method is.
OPERATORS: dict[str, tuple[Any, str]] = {}


def _bind_operators() -> None:
    """Give CuArray the operator methods that the rows of the table name, and those of `matmul`."""
    forms: dict[str, Callable[[Any], Any]] = {
        "unary": lambda function: lambda self: function(self),
        "forward": lambda function: (
            lambda self, other: function(self, other) if F.is_operand(other) else NotImplemented
        ),
        "reflected": lambda function: (
            lambda self, other: function(other, self) if F.is_operand(other) else NotImplemented
        ),
        "in_place": lambda function: (
            lambda self, other: function(self, other, out=self) if F.is_operand(other) else NotImplemented
        ),
    }
    comparisons = ("eq", "ne", "lt", "le", "gt", "ge")
    operators = [(name, row.dunder, row.ufunc.nin) for name, row in ELEMENTWISE.items() if row.dunder is not None]
    for name, dunder, nin in [*operators, ("matmul", "matmul", 2)]:
        own = {"": "forward" if nin == 2 else "unary"}
        if nin == 2 and dunder not in comparisons:
            own |= {"r": "reflected", "i": "in_place"}
        for prefix, form in own.items():
            method, function = f"__{prefix}{dunder}__", getattr(F, name)
            implementation = forms[form](function)
            implementation.__name__ = method
            implementation.__doc__ = f"See `cuarray.{name}`."
            setattr(CuArray, method, implementation)
            OPERATORS[method] = function, form


# The functions are written in terms of CuArray, so they can be imported only now.
from cuarray import _functions as F  # noqa: E402
from cuarray._interop import numpy_protocols  # noqa: E402

_bind_operators()
