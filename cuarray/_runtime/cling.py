"""The C++ interpreter behind cppyy: where sources are parsed, reflected, and instantiated for the host."""

from __future__ import annotations

import ctypes
import functools
import inspect
import itertools
import os
import re
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from cuarray._errors import CompileError
from cuarray._runtime import native
from cuarray._runtime.on_import import when_imported

KERNELS = Path(__file__).resolve().parent.parent / "kernels"

# Cling reads these once, when cppyy is first imported. -march=native is what makes the host backend vectorise.
CLING_ARGUMENTS = "-O2 -march=native"

# One thread at a time: Cling is not re-entrant, and a definition must be seen whole.
lock = threading.RLock()


_interpreter: ModuleType | None = None


def interpreter() -> ModuleType:
    """cppyy, with cuarray's headers on its include path."""
    return _interpreter or _start()


def _start() -> ModuleType:
    global _interpreter
    os.environ.setdefault("EXTRA_CLING_ARGS", CLING_ARGUMENTS)
    import cppyy  # not under our lock: another thread may be importing it, and then wait for us

    with lock:
        if _interpreter is None:
            cppyy.add_include_path(str(KERNELS))
            cppyy.add_include_path(str(KERNELS / "host" / "include"))  # headers with CUDA's names: cuda_fp16.h ...
            if native.library().table:
                inspect.unwrap(cppyy.cppdef)("#define CA_NATIVE_LOADED")
            _interpreter = cppyy
        return _interpreter


def when_started(callback: Callable[[ModuleType], None]) -> None:
    """Call back with cppyy once it is imported, by whomever: now, if it is."""
    when_imported("cppyy", lambda: callback(interpreter()))


_UNDEFINED = "it calls a function that is declared but not defined for the CPU; stderr has its name"


# A header that is read after a definition was refused may be in memory of which the preprocessor remembers something
# else (see host/cuda_names_begin.hpp). It then regards the header as read, though what it declares is taken back: only
# its text can be given once more.
_MISREAD = re.compile(r"error: (#(endif|else|elif) without #if|unterminated conditional directive)")
_INCLUDE = re.compile(r'^#include "([^"]+)"$', re.MULTILINE)
_ONCE = "#pragma once\n"
_read: set[Path] = set()  # headers of ours whose declarations are there


@functools.cache
def _text_of(header: Path) -> str:
    return header.read_text()


def _expand(text: str, folder: Path, read: set[Path]) -> str:
    """`text` with our headers in place of their #includes, but for those in `read`, to which the others are added.

    On the CPU all of them are included, whatever conditions there are. Those that are read each time stay as they are.
    """

    def contents(match: re.Match[str]) -> str:
        path = next((found for place in (folder, KERNELS) if (found := (place / match[1]).resolve()).exists()), None)
        if path is None or KERNELS not in path.parents:
            return match[0]
        if path in read:
            return ""
        own = _text_of(path)
        if _ONCE not in own:
            _expand(own, path.parent, read)
            return match[0]
        read.add(path)
        return f'#line 1 "{path}"\n{_expand(own.replace(_ONCE, ""), path.parent, read)}'

    return _INCLUDE.sub(contents, text)


def define(code: str, what: str) -> None:
    """Have C++ code parsed and compiled; CompileError with the compiler's message where it is refused."""
    # Not by way of a wrapper: cuarray's own definitions are not the user's (see cppyy_ext).
    cppdef = inspect.unwrap(interpreter().cppdef)
    with lock:
        try:
            try:
                cppdef(code)
            except SyntaxError as error:
                if not _MISREAD.search(str(error)):
                    raise
                cppdef(_expand(code, KERNELS, set(_read)))
            _expand(code, KERNELS, _read)
        except SyntaxError as error:
            message = re.sub(r"^Failed to parse the given C\+\+ code\s*", "", str(error))
            if "Failed to materialize symbols" in message:
                message = _UNDEFINED
            elif "JIT session error: Cannot allocate memory" in message:
                message += (
                    f"\nThe process has {count_mappings():,} memory mappings, of which every definition takes six or "
                    "more; Linux allows as many as `sysctl vm.max_map_count` says (65,530 unless root raises it)"
                )
            raise CompileError(f"{what} does not compile:\n{message.strip()}") from None


def count_mappings() -> int:
    """The mappings of this process's memory: each definition's code, constants and variables are some of them."""
    try:
        with open("/proc/self/maps") as file:
            return sum(1 for _ in file)
    except OSError:
        return 0


_defined: set[str] = set()


def define_once(key: str, code: str, what: str) -> bool:
    """`define`, unless the same key was defined before; whether it was not."""
    with lock:
        if key in _defined:
            return False
        define(code, what)
        _defined.add(key)
        return True


def define_text(code: str, what: str, read: set[Path]) -> None:
    """`define` with our headers' text, but for those that are `read`: where they were taken for read and are not."""
    define(_expand(code, KERNELS, set(read)), what)


def headers_read() -> set[Path]:
    """The headers of ours that definitions have included."""
    return set(_read)


class _Published(ctypes.Structure):
    _fields_ = [("value", ctypes.c_ulong), ("ticket", ctypes.c_ulong)]


_published = _Published()
_counter = itertools.count(1)


def evaluate(expression: str, what: str, text: str = "", namespace: str = "") -> int:
    """Define C++ and return the value of an integer or pointer expression, as it is understood in `namespace`.

    An expression that the interpreter evaluates costs as much as a definition. So it is a part of one: an initialiser
    that leaves its value where Python finds it.
    """
    with lock:
        # The initialiser of a definition that comes after one that could not be linked is not run: once more, then.
        for before in (text, ""):
            ticket = next(_counter)
            place = f"reinterpret_cast<unsigned long*>({ctypes.addressof(_published)}UL)"
            define(
                f"{before}namespace {namespace} {{ static const int ca_published_{ticket} = "
                f"({place}[0] = (unsigned long)({expression}), {place}[1] = {ticket}, 0); }}\n",
                what,
            )
            if _published.ticket == ticket:
                return _published.value
        raise CompileError(f"{what} does not compile:\n{_UNDEFINED}")


def define_headers() -> None:
    """Define the headers that sources of kernels are written with."""
    text = '#include "host/reflect.hpp"\n#include "complex.cuh"\n#include "view.cuh"\n'
    define_once("the headers of kernels", as_kernel_source(text), "the headers of kernels")


# `__device__` is `inline` for Cling, which cannot stand here: after a lambda's brackets, in an explicit instantiation.
_NOT_INLINE = re.compile(r"(?P<before>\]|\btemplate)\s*(?:__host__\s*)?__device__(?:\s*__host__)?(?=\s*[({\w])")
# nvcc takes alignas after __shared__, too; in host C++ it comes first.
_SHARED_ALIGNAS = re.compile(r"(?P<shared>\b__shared__\s+)(?P<alignas>alignas\s*\((?:[^()]|\([^()]*\))*\)\s*)")


def as_kernel_source(text: str) -> str:
    """`text` as host C++ that knows CUDA's words."""
    text = _NOT_INLINE.sub(r"\g<before> ", text)
    text = _SHARED_ALIGNAS.sub(r"\g<alignas>\g<shared>", text)
    text = _INLINE_PTX.sub("CA_INLINE_PTX(", _EXTERN_SHARED.sub(_dynamic_shared, text))
    return f'#include "host/cuda_names_begin.hpp"\n{text}\n#include "host/cuda_names_end.hpp"\n'


# `extern __shared__ T name[];` has no equal in host C++: in a function it becomes a pointer to the block's buffer.
_ATTRIBUTE = r"(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?"
_EXTERN_SHARED = re.compile(
    rf"extern\s+{_ATTRIBUTE}__shared__\s+{_ATTRIBUTE}(?P<type>[^;\[\]=]+?)\s*(?P<name>\w+)\s*\[\s*\]\s*;"
)
# The CPU's assembler ends the process at an instruction of another machine: a kernel that needs one is refused instead.
_INLINE_PTX = re.compile(r"\b(?:asm|__asm__|__asm)\s*(?:(?:volatile|__volatile__)\s*)?\(")
_COMMENT_OR_LITERAL = re.compile(r"//[^\n]*|/\*.*?\*/|\"(?:\\.|[^\"\\\n])*\"|'(?:\\.|[^'\\\n])+'", re.DOTALL)
_SCOPE = re.compile(r"(?P<namespace>namespace\b[^;{}()]*)?\{|(?P<end>\})")


def _dynamic_shared(match: re.Match[str]) -> str:
    type_, name = match["type"], match["name"]
    if _in_function(match.string[: match.start()]):
        return f"{type_}* const {name} = static_cast<{type_}*>(::ca::host::dynamic_shared());"
    return f"static const ::ca::host::DynamicShared<{type_}> {name};"


def _in_function(before: str) -> bool:
    """Whether braces other than those of namespaces are open after this text."""
    scopes: list[bool] = []
    for brace in _SCOPE.finditer(_COMMENT_OR_LITERAL.sub(" ", before)):
        if not brace["end"]:
            scopes.append(brace["namespace"] is not None)
        elif scopes:
            scopes.pop()
    return not all(scopes)
