"""C++ classes as NumPy dtypes: their layout by the interpreter's reflection, checks against it, and values."""

from __future__ import annotations

import ctypes
import functools
import itertools
import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from cuarray._dtypes import BFLOAT16, DTYPES, STRUCT_NAME_KEY, as_storage_dtype
from cuarray._errors import CompileError
from cuarray._runtime import cling

# The dtype of each word for a number (kernels/host/reflect.hpp).
NUMBER_WORDS: dict[str, np.dtype] = {
    **{f"{d.kind}{d.itemsize}": d for d in DTYPES if d != BFLOAT16},
    "bfloat16": BFLOAT16,
}

_ADDRESS = np.dtype(np.uint64)  # how a member that is a pointer appears in a dtype
_MODULE = re.compile(r"\bcuarray_module_[0-9a-f]{16}::")
_NAMEABLE = re.compile(r"[\w:<>, *&-]+")  # and not "unnamed type", or what is local to a function
_counter = itertools.count(1)


def readable(text: str) -> str:
    """C++ names as the user wrote them: without the namespaces that keep modules apart."""
    return _MODULE.sub("", text)


class Member(NamedTuple):
    """A data member of a class."""

    name: str
    offset: int
    shape: tuple[int, ...]  # of an array
    word: str  # of an element
    size: int  # in bytes, of all elements


class ClassLayout(NamedTuple):
    """Where the members of a class are, on the CPU; `opaque` says why they cannot be told, if so."""

    name: str
    size: int
    alignment: int
    trivially_copyable: bool
    members: tuple[Member, ...]
    opaque: str


def is_defined(cpp_name: str) -> bool:
    """Whether the interpreter knows a complete class of this name."""
    return bool(cpp_name) and _class_layout_or_none(cpp_name) is not None


def class_layout(cpp_name: str) -> ClassLayout:
    """The layout of a class; TypeError for a name that is no class."""
    found = _class_layout_or_none(cpp_name)
    if found is None:
        raise TypeError(f"{readable(cpp_name)} is not a C++ class that was defined")
    return found


_layouts: dict[str, ClassLayout] = {}


def _class_layout_or_none(cpp_name: str) -> ClassLayout | None:
    found = _layouts.get(cpp_name)
    if found is None:
        with cling.lock:
            cling.define_once("host/members.hpp", '#include "host/members.hpp"', "the reflection of classes")
            gbl = cling.interpreter().gbl
            # Asked first: a definition that names what does not exist would be an error.
            info = gbl.gInterpreter.ClassInfo_Factory(cpp_name)
            if not gbl.gInterpreter.ClassInfo_IsValid(info) or not gbl.gInterpreter.ClassInfo_Size(info) > 0:
                return None
            names = [line.split(" ", 1) for line in str(gbl.ca.host.member_names(cpp_name)).splitlines()]
            found = _layouts[cpp_name] = _measure(cpp_name, names)
    return found


def _measure(cpp_name: str, names: list[list[str]]) -> ClassLayout:
    """Ask C++ for offsets and types; a member that it does not let us name makes the class opaque."""
    number = next(_counter)
    public = [name for access, name in names if access == "public" and name]
    lines = "".join(
        f"  if constexpr (requires {{ &T::{name}; __builtin_offsetof(T, {name}); }})\n"
        f'    text += "\\n{name} " + std::to_string(__builtin_offsetof(T, {name})) + " "\n'
        f'         + std::to_string(sizeof(T::{name})) + " " + describe_member<decltype(T::{name})>();\n'
        for name in dict.fromkeys(public)
    )
    cling.define_headers()
    address = cling.evaluate(
        f"class_layout_{number}<::{cpp_name}>()",
        f"the layout of {readable(cpp_name)}",
        # Offsets in classes with bases are what every compiler here gives, if not what the standard promises.
        f'#pragma clang diagnostic push\n#pragma clang diagnostic ignored "-Winvalid-offsetof"\n'
        f"namespace ca::host {{\n"
        f"template <class T> unsigned long class_layout_{number}() {{\n"
        f"  static std::string text = std::to_string(sizeof(T)) + ' ' + std::to_string(alignof(T)) + ' '\n"
        f"                            + std::to_string(std::is_trivially_copyable_v<T>);\n{lines}"
        f"  return reinterpret_cast<unsigned long>(text.c_str());\n}}\n"
        "}\n#pragma clang diagnostic pop\n",
        "ca::host",
    )
    text = ctypes.string_at(address).decode()
    head, *rest = text.split("\n")
    size, alignment, trivial = map(int, head.split())
    members = []
    for line in rest:
        name, offset, nbytes, extents, word = line.split(" ", 4)
        shape = () if extents == "-" else tuple(map(int, extents.split(",")))
        members.append(Member(name, int(offset), shape, word, int(nbytes)))
    members.sort(key=lambda member: member.offset)
    told = {member.name for member in members}
    opaque = next(
        (f"its member {name or '(without a name)'} is not accessible" for _, name in names if name not in told), ""
    )
    if not names:
        opaque = "it has no data members"
    return ClassLayout(cpp_name, size, alignment, bool(trivial), tuple(members), opaque)


def class_of_word(word: str) -> str:
    """The class that a word for a parameter, a pointee or a member names, or ""."""
    found = re.search(r"\bS\d+:\d+ (.*)", word)
    return found[1] if found else ""


@functools.cache
def struct_dtype(cpp_name: str) -> np.dtype:
    """The dtype of a class: every member at its place, and the class's name in the metadata."""
    layout = class_layout(cpp_name)
    if layout.opaque:
        raise TypeError(f"{readable(cpp_name)} has no dtype: {layout.opaque}")
    formats: list[Any] = []
    for member in layout.members:
        base = _member_dtype(cpp_name, member)
        formats.append((base, member.shape) if member.shape else base)
    fields = {
        "names": [member.name for member in layout.members],
        "formats": formats,
        "offsets": [member.offset for member in layout.members],
        "itemsize": layout.size,
    }
    try:
        dtype = np.dtype(fields, align=True)  # type: ignore[call-overload]
    except ValueError:  # members that are packed
        dtype = np.dtype(fields)  # type: ignore[call-overload]
    return as_storage_dtype(np.dtype(dtype, metadata={STRUCT_NAME_KEY: cpp_name}))


def _member_dtype(cpp_name: str, member: Member) -> np.dtype:
    inner = class_of_word(member.word) if member.word[0] == "S" else ""
    if inner:
        if not _NAMEABLE.fullmatch(inner):
            raise TypeError(f"{readable(cpp_name)} has no dtype: its member {member.name} is of a class without a name")
        return struct_dtype(inner)
    if member.word[0] == "P":
        return _ADDRESS
    if member.word not in NUMBER_WORDS:
        raise TypeError(f"{readable(cpp_name)} has no dtype: no dtype is like its member {member.name} ({member.word})")
    return NUMBER_WORDS[member.word]


# ---- dtypes that others made


def check_layout(cpp_name: str, dtype: np.dtype, what: str) -> None:
    """TypeError, naming the field, unless structs of `dtype` have their fields where the class has its members."""
    if dtype.metadata and dtype.metadata.get(STRUCT_NAME_KEY) == cpp_name:
        return
    layout = class_layout(cpp_name)
    problem = _difference(layout, dtype, "")
    if problem:
        fitting = ""
        if not layout.opaque:
            try:
                fitting = f" The dtype that fits is np.{struct_dtype(cpp_name)!r}"
            except TypeError as error:
                fitting = f" {error}"
        raise TypeError(f"{what}: this dtype is not laid out as {readable(cpp_name)}: {problem}.{fitting}")


def _difference(layout: ClassLayout, dtype: np.dtype, path: str) -> str:
    """What is wrong with the dtype, in words; "" if nothing."""
    name = readable(layout.name)
    if layout.opaque:
        return f"{name} cannot be looked into, for {layout.opaque}"
    if dtype.names is None:
        return f"field {path!r} is {dtype}, in C++ it is {name}"
    assert dtype.fields is not None
    members = {member.name: member for member in layout.members}
    for own in dtype.names:
        if own not in members:
            return f"{name} has no member {own!r}"
    for member in layout.members:
        where = f"{path}.{member.name}" if path else member.name
        if member.name not in dtype.fields:
            return f"field {where!r} is missing"
        full, offset = dtype.fields[member.name][:2]
        base, shape = full.subdtype or (full, ())
        if offset != member.offset:
            return f"field {where!r} is at byte {offset}, in C++ at byte {member.offset}"
        if shape != member.shape:
            return f"field {where!r} has shape {shape}, in C++ {member.shape}"
        inner = class_of_word(member.word) if member.word[0] == "S" else ""
        if inner:
            problem = _difference(class_layout(inner), base, where)
            if problem:
                return problem
            continue
        wanted = _ADDRESS if member.word[0] == "P" else NUMBER_WORDS.get(member.word)
        if base != wanted:
            return f"field {where!r} is {base}, in C++ {wanted or member.word}"
    if dtype.itemsize != layout.size:
        what = f"field {path!r}" if path else "a struct"
        return f"{what} has {dtype.itemsize} bytes, in C++ {layout.size}"
    return ""


# ---- the same layout on the GPU


def layout_asserts(cpp_name: str) -> str:
    """C++ that compiles only where the class, and those of its members, are laid out as on the CPU."""
    lines: list[str] = []
    for layout in _with_members(cpp_name, set()):
        name, full = readable(layout.name), f"::{layout.name}"
        checks = [("sizeof", f"sizeof({full})", layout.size), ("alignof", f"alignof({full})", layout.alignment)]
        if not layout.opaque:
            # NVRTC has no offsetof, but what its front end makes offsetof of.
            checks += [
                (f"offset of {m.name}", f"(unsigned long)__INTADDR__(&((({full}*)0)->{m.name}))", m.offset)
                for m in layout.members
            ]
        lines += [
            f'static_assert({expression} == {value}, "{name} has another layout on the GPU than on the CPU: '
            f'there its {what} is {value}");\n'
            for what, expression, value in checks
        ]
    return f'#line 1 "the layout of {readable(cpp_name)}"\n{"".join(lines)}' if lines else ""


def _with_members(cpp_name: str, seen: set[str]) -> Iterator[ClassLayout]:
    # A class without a name that a program can write is compared by those which hold it.
    if cpp_name in seen or not _NAMEABLE.fullmatch(cpp_name):
        return
    seen.add(cpp_name)
    layout = class_layout(cpp_name)
    yield layout
    for member in layout.members:
        inner = class_of_word(member.word) if member.word[0] == "S" else ""
        if inner:
            yield from _with_members(inner, seen)


# ---- classes in Python


class StructType:
    """A C++ class in Python: called with values for its members it makes a scalar, and it stands for its dtype.

    >>> import cuarray as ca
    >>> ca.float2(1, y=2).y
    np.float32(2.0)
    >>> ca.zeros(2, ca.float2)["x"]
    array([0., 0.], dtype=float32)
    """

    def __init__(self, cpp_name: str, dtype: np.dtype) -> None:
        self.__cpp_name__ = cpp_name
        self.__name__ = readable(cpp_name)
        metadata = {STRUCT_NAME_KEY: cpp_name}
        self.dtype = as_storage_dtype(np.dtype(dtype, metadata=metadata))
        # Scalars let their fields be read as attributes.
        self._record = as_storage_dtype(np.dtype((np.record, self.dtype)))
        self.__doc__ = f"The struct {self.__name__} as a dtype and constructor: {', '.join(self.dtype.names or ())}."

    def __repr__(self) -> str:
        return f"<struct {self.__name__}>"

    def __call__(self, *values: Any, **fields: Any) -> np.record:
        """A scalar with these values for its fields, in order or by name; fields without one are zero."""
        names = self.dtype.names or ()
        if len(values) > len(names):
            raise TypeError(
                f"{self.__name__}() takes {len(names)} values ({', '.join(names)}), {len(values)} were given"
            )
        for name in fields:
            if name not in names:
                raise TypeError(f"{self.__name__}() has no field {name!r}; it has {', '.join(names)}")
            if name in names[: len(values)]:
                raise TypeError(f"{self.__name__}() got two values for field {name!r}")
        result = np.zeros((), self._record)
        for name, value in (*zip(names, values, strict=False), *fields.items()):
            try:
                result[name] = value
            except (TypeError, ValueError, OverflowError) as error:
                raise type(error)(f"{self.__name__}(): field {name!r}: {error}") from None
        scalar: Any = result[()]
        return scalar


@functools.cache
def struct_type(cpp_name: str) -> StructType:
    """The class of this C++ name in Python; TypeError for one that NumPy cannot describe."""
    return StructType(cpp_name, struct_dtype(cpp_name))


def object_class(value: Any) -> str:
    """The C++ name of the class of an object that cppyy made, or ""."""
    kind = type(value)
    name = getattr(kind, "__cpp_name__", None)
    if not isinstance(name, str) or isinstance(value, StructType | type):
        return ""
    return name if any(base.__name__ == "CPPInstance" for base in kind.__mro__) else ""


def object_bytes(value: Any, size: int) -> bytes:
    """The bytes of an object that cppyy made."""
    return ctypes.string_at(cling.interpreter().addressof(value), size)


def same_class(first: str, second: str) -> bool:
    """Whether two spellings name one class."""
    if first.replace(" ", "") == second.replace(" ", ""):
        return True
    try:
        return bool(cling.evaluate(f"std::is_same_v<::{first}, ::{second}>", "a comparison of types"))
    except (CompileError, TypeError, ValueError):
        return False
