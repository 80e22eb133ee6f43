"""The C++ interpreter behind cppyy: where sources are parsed, reflected, and instantiated for the host."""

from __future__ import annotations

import ctypes
import functools
import inspect
import itertools
import os
import re
import threading
from pathlib import Path
from types import ModuleType

from cuarray._errors import CompileError

KERNELS = Path(__file__).resolve().parent.parent / "kernels"

# Cling reads these once, when cppyy is first imported. -march=native is what makes the host backend vectorise.
CLING_ARGUMENTS = "-O2 -march=native"

# One thread at a time: Cling is not re-entrant, and a definition must be seen whole.
lock = threading.RLock()


@functools.cache
def interpreter() -> ModuleType:
    """cppyy, with cuarray's headers on its include path."""
    with lock:
        os.environ.setdefault("EXTRA_CLING_ARGS", CLING_ARGUMENTS)
        import cppyy

        cppyy.add_include_path(str(KERNELS))
        return cppyy


_UNDEFINED = "it calls a function that is declared but not defined for the CPU; stderr has its name"


def define(code: str, what: str) -> None:
    """Have C++ code parsed and compiled; CompileError with the compiler's message where it is refused."""
    cppyy = interpreter()
    with lock:
        try:
            # Not by way of a wrapper: cuarray's own definitions are not the user's (see cppyy_ext).
            inspect.unwrap(cppyy.cppdef)(code)
        except SyntaxError as error:
            message = re.sub(r"^Failed to parse the given C\+\+ code\s*", "", str(error))
            if "Failed to materialize symbols" in message:
                message = _UNDEFINED
            raise CompileError(f"{what} does not compile:\n{message.strip()}") from None


_defined: set[str] = set()


def define_once(key: str, code: str, what: str) -> None:
    """`define`, unless the same key was defined before."""
    with lock:
        if key not in _defined:
            define(code, what)
            _defined.add(key)


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


def as_kernel_source(text: str) -> str:
    """`text` as host C++ that knows CUDA's words."""
    text = _EXTERN_SHARED.sub(r"\g<type>* const \g<name> = static_cast<\g<type>*>(::ca::host::dynamic_shared());", text)
    return f'#include "host/cuda_names_begin.hpp"\n{text}\n#include "host/cuda_names_end.hpp"\n'


# `extern __shared__ T name[];` has no equal in host C++: it becomes a pointer to the block's buffer.
_EXTERN_SHARED = re.compile(
    r"extern\s+__shared__\s+(?:(?:__align__|alignas)\s*\([^)]*\)\s*)?(?P<type>[^;\[\]=]+?)\s*(?P<name>\w+)\s*\[\s*\]\s*;"
)
