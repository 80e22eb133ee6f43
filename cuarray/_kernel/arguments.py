"""Arguments of kernels: what a Python object is in C++, and how it becomes the bytes that a parameter is read from."""

from __future__ import annotations

import itertools
import re
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._array import CuArray
from cuarray._dtypes import BFLOAT16, CPP_NAMES, as_dtype, as_storage_dtype, is_struct, operand_type, struct_name
from cuarray._kernel import structs
from cuarray._kernel.structs import NUMBER_WORDS

_PYTHON_TYPES: dict[type, str] = {
    bool: "bool",
    int: "long",
    float: "double",
    complex: "ca::complex<double>",
}


class _Element(NamedTuple):
    """A C++ type that an element of a dtype may have."""

    cpp: str
    hint: str  # a pattern: a parameter that is declared with it wants this type
    scalar: bool = True  # whether one element is one value of it


def _element(cpp: str, *aliases: str, scalar: bool = True) -> _Element:
    return _Element(cpp, rf"(?<![\w:])(?:{'|'.join(map(re.escape, (cpp, *aliases)))})(?!\w)", scalar)


# The C++ types of a dtype's elements where there are several; the first is the library's own.
_ELEMENTS: dict[np.dtype, tuple[_Element, ...]] = {
    np.dtype(np.int64): (_element("long"), _element("long long", "int64_t")),
    np.dtype(np.uint64): (_element("unsigned long", "size_t"), _element("unsigned long long", "uint64_t")),
    np.dtype(np.float16): (
        _element("ca::float16"),
        _element("__half", "half"),
        _element("__half2", "half2", scalar=False),
    ),
    BFLOAT16: (
        _element("ca::bfloat16"),
        _element("__nv_bfloat16", "nv_bfloat16"),
        _element("__nv_bfloat162", "nv_bfloat162", scalar=False),
    ),
    np.dtype(np.complex64): (_element("ca::complex<float>"), _element("float2", "cuFloatComplex", "cuComplex")),
    np.dtype(np.complex128): (_element("ca::complex<double>"), _element("double2", "cuDoubleComplex")),
}


class StructKind(NamedTuple):
    """The kind of a structured scalar."""

    dtype: np.dtype
    cpp_name: str  # "" if it came from no C++ class


class ClassKind(NamedTuple):
    """The kind of an object that cppyy made."""

    cpp_name: str


class ArrayKind(NamedTuple):
    """The kind of an array; for one of numbers also written as a tuple of the first two."""

    dtype: np.dtype
    writeable: bool
    ndim: int = -1  # where it may matter
    cpp_name: str = ""  # NumPy's equality of dtypes does not look at it


class Argument(NamedTuple):
    """An argument as overload resolution sees it."""

    spellings: tuple[str, ...]  # the C++ types that the expression may have, the likeliest first
    weak: str  # the C++ type of one that takes the type which the other arguments give it, or ""
    pointer: bool  # an array or None
    dtype: np.dtype | None = None  # of a struct, or an array of structs
    cpp_name: str = ""  # of a cppyy object
    array: ArrayKind | None = None

    @property
    def cpp(self) -> str:
        """The type, for messages."""
        if self.spellings:
            return structs.readable(self.spellings[0]).removeprefix("::").replace("<::", "<")
        return f"a struct of {self.dtype}" if not self.pointer else f"an array of structs {self.dtype}"


_DTYPE_NAMES = frozenset(dtype.name for dtype in CPP_NAMES) - {"bool"}


def template_argument(value: Any) -> str:
    """A template argument as C++: a dtype or its name, a Python type, a C++ name or expression as str, or a constant.

    A str is a dtype's name if C++ has no such type of its own: "float32", but not "long".
    """
    if isinstance(value, str):
        if value not in _DTYPE_NAMES:
            return value
        value = np.dtype(value)
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, type) and value in _PYTHON_TYPES:
        return _PYTHON_TYPES[value]
    if isinstance(value, np.dtype) and (value == BFLOAT16 or struct_name(value)):
        return struct_name(value) or _ELEMENTS[BFLOAT16][0].cpp
    try:
        return CPP_NAMES[as_dtype(value)]
    except TypeError:
        name = getattr(value, "__cpp_name__", None)  # a class or enum of cppyy, or a StructType
        if isinstance(name, str):
            return name
        raise TypeError(
            f"template argument {value!r}: expected a dtype, a Python type, a C++ name as str, or an int"
        ) from None


def as_argument(value: Any, kernel: str, name: str, ranked: bool = False) -> tuple[Any, Any]:
    """The object that is passed for `value`, and its kind: what distinguishes it for the choice of an instance.

    Arrays of other libraries become CuArrays over the same memory. `ranked`: whether the number of dimensions matters,
    as it does where the parameter may be a view.
    """
    if type(value) is CuArray:
        return value, _array_kind(value, ranked)
    kind = operand_type(value)
    if kind is not None:
        if isinstance(value, np.void):
            assert isinstance(kind, np.dtype)
            return value, StructKind(kind, struct_name(kind))
        return value, kind
    if value is None:
        return 0, None
    if isinstance(value, np.ndarray):
        what = f"{kernel}: argument {name}"
        if value.ndim == 0 and is_struct(value.dtype):
            dtype = as_storage_dtype(value.dtype, what)
            return value[()], StructKind(dtype, struct_name(dtype))
        if not _runtime.get().host_is_device:
            raise TypeError(
                f"{what} is a NumPy array, which a kernel on the GPU cannot use; make it a CuArray with cuarray.asarray"
            )
        dtype = as_storage_dtype(value.dtype, what)
        if dtype != value.dtype:
            raise TypeError(f"{what} is a NumPy array of {value.dtype}, in the other byte order than the machine's")
        return value, ArrayKind(dtype, value.flags.writeable, value.ndim if ranked else -1, struct_name(dtype))
    if hasattr(value, "__cuda_array_interface__") or hasattr(value, "__dlpack__"):
        from cuarray._functions.creation import asarray

        array = asarray(value)
        return array, _array_kind(array, ranked)
    cpp_name = structs.object_class(value)
    if cpp_name:
        return value, ClassKind(cpp_name)
    hint = "; a struct is made by calling its type: module.Name(...)" if isinstance(value, tuple | dict) else ""
    raise TypeError(
        f"{kernel}: argument {name} must be an array or a scalar, not an object of type {type(value).__name__}{hint}"
    )


def _array_kind(array: CuArray, ranked: bool) -> Any:
    layout = array._layout
    if ranked or layout.struct is not None:
        return ArrayKind(layout.dtype, array._writeable, layout.ndim if ranked else -1, layout.struct or "")
    return layout.dtype, array._writeable


def describe_kind(kind: Any, declared: Sequence[str] = ()) -> Argument:
    """The C++ side of a kind that `as_argument` returned, for a parameter that is `declared` with these types."""
    if kind is None:
        return Argument(("std::nullptr_t",), "", True)
    if isinstance(kind, StructKind):
        weak = f"::ca::host::Structured<{kind.dtype.itemsize}>"
        known = structs.is_defined(kind.cpp_name)
        # A class of another module, but of the same layout, is found by the layout.
        return Argument((f"::{kind.cpp_name}",) if known else (), weak, False, kind.dtype)
    if isinstance(kind, ClassKind):
        return Argument((f"::{kind.cpp_name}",), "", False, None, kind.cpp_name)
    if isinstance(kind, tuple):
        return _describe_array(ArrayKind(*kind), declared)
    if isinstance(kind, np.dtype):
        return Argument(tuple(e.cpp for e in _elements(kind, declared) if e.scalar), "", False)
    return Argument((_PYTHON_TYPES[kind],), "::ca::host::Weak", False)


def _elements(dtype: np.dtype, declared: Sequence[str]) -> tuple[_Element, ...]:
    """The C++ types of an element, those first that the parameter is declared with."""
    found = _ELEMENTS.get(dtype)
    if found is None:
        return (_Element(CPP_NAMES[dtype], ""),)
    # "long" is found in "long long", too: the longest hint says more.
    wanted = [e for e in found if any(re.search(e.hint, text) for text in declared)]
    wanted.sort(key=lambda e: -len(e.cpp))
    return tuple(dict.fromkeys((*wanted, *found)))


def is_pointer(declared: str) -> bool:
    """Whether a parameter's type is written as a pointer."""
    return re.search(r"\*\s*(?:const\s*)?(?:__restrict(?:__)?)?\s*$", declared) is not None


def _forms(kind: ArrayKind, declared: Sequence[str]) -> list[str]:
    """What an array may be passed as."""
    forms: list[str] = []
    for text in declared:
        if is_pointer(text):
            forms.append("pointer")
        elif re.search(r"\bview\s*<", text):
            forms.append("view")
        elif re.search(r"\bspan\s*<", text):
            forms.append("span")
        else:
            forms += ["pointer", "view", "span"]
    if not declared:
        forms = ["pointer"]
    possible = {"pointer": True, "view": kind.ndim >= 1, "span": kind.ndim == 1}
    return [form for form in ("pointer", "view", "span") if form in forms and possible[form]]


def _describe_array(kind: ArrayKind, declared: Sequence[str]) -> Argument:
    spell = {"pointer": "{}*", "view": f"::ca::view<{{}}, {kind.ndim}>", "span": "::ca::span<{}>"}
    weak = ""
    elements: tuple[str, ...]
    if is_struct(kind.dtype):
        constant = "false" if kind.writeable else "true"
        weak = f"::ca::host::StructuredArray<{kind.dtype.itemsize}, {constant}, {max(kind.ndim, 0)}>"
        elements = (f"::{kind.cpp_name}",) if structs.is_defined(kind.cpp_name) else ()
    else:
        elements = tuple(e.cpp for e in _elements(kind.dtype, declared))
    spellings: list[str] = []
    for form in _forms(kind, declared):
        for element in elements:
            # A pointer loses nothing by conversion to one to const; a template view<const T> is deduced from that only.
            qualified = [element] if kind.writeable else [f"const {element}"]
            if kind.writeable and form != "pointer":
                qualified.append(f"const {element}")
                if declared and all("const" in text for text in declared):
                    qualified.reverse()
            spellings += [spell[form].format(q) for q in qualified]
    if not spellings and not weak:
        # No form fits, an array without dimensions for a view say: asked as a pointer, so that the compiler explains.
        spellings = [f"{'' if kind.writeable else 'const '}{element}*" for element in elements]
    return Argument(tuple(spellings), weak, True, kind.dtype if is_struct(kind.dtype) else None, array=kind)


_VIEW = re.compile(
    r"\b(?P<form>view|span)\s*<\s*(?P<const>const\b)?\s*(?P<element>[^,>]+?)\s*(?:,\s*(?P<rank>[^>]+?)\s*)?>"
)
_NUMBER_NAMES = {
    **{name: dtype for dtype, name in CPP_NAMES.items()},
    **{element.cpp: dtype for dtype, elements in _ELEMENTS.items() for element in elements if element.scalar},
}


def check_view(what: str, declared: str, argument: Argument) -> None:
    """TypeError, in words of Python, for what cannot be the array of a parameter declared as a view or span."""
    found = _VIEW.search(declared)
    if not found or argument.cpp_name:
        return
    array = argument.array
    if array is None:
        raise TypeError(f"{what} must be an array ({declared}), not a scalar ({argument.cpp})")
    rank = 1 if found["form"] == "span" else int(found["rank"]) if (found["rank"] or "").isdigit() else 0
    if array.ndim >= 0 and (array.ndim != rank if rank else array.ndim == 0):
        dimensions = f"{rank} dimension{'s' * (rank != 1)}" if rank else "a dimension at least"
        raise TypeError(f"{what} must have {dimensions} ({declared}), the array has {array.ndim}")
    wanted = _NUMBER_NAMES.get(found["element"])
    if wanted is not None and wanted != array.dtype:
        raise TypeError(f"{what} must be an array of {wanted} ({declared}), not of {array.dtype}")
    if not found["const"] and wanted is not None and not array.writeable:
        raise TypeError(f"{what} is written to ({declared}), but the array is read-only")


def reasons(said: str) -> list[str]:
    """What the compiler notes of each overload that it did not take, without what speaks of probes only."""
    notes = _CANDIDATE_NOTES.findall(said) or _ERRORS.findall(said)[:1]
    kept = [note for note in notes if not _ABOUT_PROBES.search(note)]
    numbers = [f"a number does not become {name}" for name in _NO_NUMBER.findall(said)]
    return list(dict.fromkeys(numbers + kept or ["no conversion from an argument to its parameter's type"]))


_CANDIDATE_NOTES = re.compile(r"note: candidate (?:template ignored: |function (?:template )?not viable: )(.*)")
_ERRORS = re.compile(r"error: (.*)")
_ABOUT_PROBES = re.compile(r"type-parameter-\d|requirement 'std::is_arithmetic|adds_const")
_NO_NUMBER = re.compile(r"requirement 'std::is_arithmetic.*\[with T = (.*)\]")

_COMBINATIONS = 24  # that are asked for; each costs the compiler some milliseconds


def combinations(given: Sequence[Argument], weak: frozenset[int]) -> Iterator[tuple[str, ...]]:
    """The types that a call is tried with, the likeliest first; those in `weak` are asked as weak."""
    choices = [(a.weak,) if k in weak or not a.spellings else a.spellings for k, a in enumerate(given)]
    uniform = (
        tuple(choice[min(rank, len(choice) - 1)] for choice in choices)
        for rank in range(max(map(len, choices), default=1))
    )
    tried = itertools.chain(uniform, itertools.product(*choices))
    return iter(list(dict.fromkeys(itertools.islice(tried, _COMBINATIONS))))


# ---- parameters


class Parameter(NamedTuple):
    """A parameter of an instance: what it is, and how its bytes are made."""

    name: str
    word: str  # of kernels/host/reflect.hpp
    size: int
    alignment: int
    pack: Callable[[Any], bytes]

    @property
    def kind(self) -> str:
        """``number``, ``struct``, ``pointer``, ``view`` or ``span``."""
        return {"P": "pointer", "V": "view", "R": "span", "S": "struct"}.get(self.word[0], "number")

    @property
    def cpp_name(self) -> str:
        """The C++ class of a struct, or of the elements of a pointer, view or span; "" for numbers."""
        return structs.class_of_word(self.word)

    @property
    def dtype(self) -> np.dtype | None:
        """The dtype of the number or struct, or of the elements; None for ``void*``.

        TypeError for a class that has no dtype.
        """
        if self.cpp_name:
            return structs.struct_dtype(self.cpp_name)
        return NUMBER_WORDS.get(self.word.rsplit(" ", 1)[-1])

    @property
    def writeable(self) -> bool:
        """Whether the kernel may write to what a pointer, view or span leads to."""
        return self.word[1:].startswith("mutable")

    @property
    def ndim(self) -> int:
        """The dimensions of a view or span, 0 for others."""
        return int(self.word.split(" ")[1]) if self.kind == "view" else int(self.kind == "span")


def make_parameter(kernel: str, name: str, word: str, argument: Argument | None = None) -> Parameter:
    """How to make the bytes of a parameter that ca::host::describe called `word` from arguments like `argument`.

    TypeError where the argument is a struct, or an array of structs, with another layout than the parameter's.
    """
    what = f"{kernel}: argument {name}"
    cpp_name = structs.class_of_word(word)
    if argument is not None:
        _check_class(what, cpp_name, word, argument)
    found = re.match(r"S(\d+):(\d+)", word)
    if word[0] == "P":
        return Parameter(name, word, 8, 8, _pack_pointer(what, word))
    if word[0] in "VR":
        ndim = int(word.split(" ")[1]) if word[0] == "V" else 1
        size = 8 + 16 * ndim if word[0] == "V" else 16
        return Parameter(name, word, size, 8, _pack_view(what, word, size, ndim))
    if found:
        size, alignment = int(found[1]), int(found[2])
        return Parameter(name, word, size, alignment, _pack_struct(what, cpp_name, size))
    dtype = NUMBER_WORDS.get(word)
    if dtype is None:
        raise TypeError(f"{what} has a C++ type that nothing in Python is like ({word})")
    if argument is not None and argument.cpp_name:
        return Parameter(
            name, word, dtype.itemsize, dtype.itemsize, lambda value: structs.object_bytes(value, dtype.itemsize)
        )
    return Parameter(name, word, dtype.itemsize, dtype.itemsize, _pack_number(what, dtype))


def _check_class(what: str, cpp_name: str, word: str, argument: Argument) -> None:
    """TypeError where C++ would convert the argument: it is its bytes that are passed, not the result."""
    if argument.dtype is not None:
        if cpp_name and (argument.pointer or word[0] == "S"):
            structs.check_layout(cpp_name, argument.dtype, what)
        elif not argument.pointer or not word.endswith("void"):
            raise TypeError(f"{what} is {argument.cpp}, which is nothing that this parameter holds ({word})")
    if word[0] == "S" and not structs.class_layout(cpp_name).trivially_copyable:
        raise TypeError(f"{what}: {structs.readable(cpp_name)} is not trivially copyable: kernels take its bytes")
    if not argument.cpp_name:
        return
    if word[0] == "S":
        same = structs.same_class(argument.cpp_name, cpp_name)
    elif word[0] in "VR":
        same = argument.cpp_name.startswith("ca::view<" if word[0] == "V" else "ca::span<")
    else:
        elements = _ELEMENTS.get(NUMBER_WORDS.get(word, np.dtype(bool)), ())
        same = any(structs.same_class(argument.cpp_name, element.cpp) for element in elements)
    if not same:
        wanted = structs.readable(cpp_name) or word
        raise TypeError(f"{what} must be an object of {wanted}, not of {structs.readable(argument.cpp_name)}")


_pointer_bytes = struct.Struct("P").pack


def _pack_pointer(what: str, word: str) -> Callable[[Any], bytes]:
    # Elements of numbers are where arrays have them; a class may ask for more than its dtype does (float4).
    found = re.search(r"S\d+:(\d+) ", word)
    alignment = int(found[1]) if found else 1

    def pack(value: Any) -> bytes:
        if type(value) is CuArray:
            address = value._pointer
        elif isinstance(value, np.ndarray):
            address = value.ctypes.data
        else:
            return _pointer_bytes(value)
        if address % alignment:
            raise ValueError(
                f"{what}: the array begins at address {address:#x}, which is no multiple of {alignment}, "
                f"the alignment of {structs.readable(structs.class_of_word(word))}"
            )
        return _pointer_bytes(address)

    return pack


def _pack_view(what: str, word: str, size: int, ndim: int) -> Callable[[Any], bytes]:
    is_view = word[0] == "V"
    pack_words = struct.Struct(f"P{2 * ndim}q" if is_view else "Pq").pack
    pointer = _pack_pointer(what, word)

    def pack(value: Any) -> bytes:
        if type(value) is CuArray:
            address, layout_of = value._pointer, value._layout
            contiguous = layout_of.c_contiguous
        elif isinstance(value, np.ndarray):
            address, contiguous = value.ctypes.data, value.flags.c_contiguous
        else:
            return structs.object_bytes(value, size)
        pointer(value)  # checks the address
        if is_view:
            return pack_words(address, *value.shape, *value.strides)
        if not contiguous:
            raise TypeError(
                f"{what} must be contiguous for a ca::span (strides {value.strides}): "
                "make it so with cuarray.ascontiguousarray, or let the kernel take a ca::view"
            )
        return pack_words(address, value.shape[0])

    return pack


def _pack_number(what: str, dtype: np.dtype) -> Callable[[Any], bytes]:
    make = dtype.type
    wants_integer = dtype.kind in "iu"
    is_real = dtype.kind == "f" or dtype == BFLOAT16

    def pack(value: Any) -> bytes:
        if type(value) is CuArray or isinstance(value, np.ndarray):
            raise TypeError(f"{what} must be a scalar ({dtype}), not an array")
        if isinstance(value, np.void):
            raise TypeError(f"{what} must be a scalar ({dtype}), not a struct")
        if wants_integer and isinstance(value, float | complex | np.inexact):
            raise TypeError(f"{what} must be an integer ({dtype}), not {type(value).__name__}")
        if is_real and isinstance(value, complex | np.complexfloating):
            raise TypeError(f"{what} must be real ({dtype}), not complex")
        if wants_integer:
            value = int(value)
            limits = np.iinfo(dtype)
            if not limits.min <= value <= limits.max:
                raise OverflowError(f"{what}: {value} does not fit {dtype}")
        return make(value).tobytes()

    return pack


# Vector types that a NumPy number is passed as.
_NUMBER_CLASSES = {"float2": np.complex64, "double2": np.complex128}


def _pack_struct(what: str, cpp_name: str, size: int) -> Callable[[Any], bytes]:
    name = structs.readable(cpp_name)

    def pack(value: Any) -> bytes:
        if isinstance(value, np.void):
            dtype = as_storage_dtype(value.dtype)  # of the machine's byte order
            return value.tobytes() if dtype == value.dtype else value.astype(dtype).tobytes()
        if structs.object_class(value):
            return structs.object_bytes(value, size)
        if cpp_name in _NUMBER_CLASSES and isinstance(value, np.complexfloating):
            return _NUMBER_CLASSES[cpp_name](value).tobytes()
        raise TypeError(f"{what} must be a {name}: a structured scalar or a C++ object, not {type(value).__name__}")

    return pack
