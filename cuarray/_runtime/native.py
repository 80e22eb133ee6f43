"""The C++ that every process runs from its start: the memory pool, the current stream, launches on the CPU.

The system's compiler makes a shared library of kernels/native_library.cpp when it is first wanted, and it is kept
beside the compiled kernels. Cling would need a second for the same in each process, and a process that uses only
built-in kernels on a GPU needs no Cling at all. Where there is no compiler, or nowhere to keep the library, Cling
compiles it.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

from cuarray._runtime import cache, notice

_KERNELS = Path(__file__).resolve().parent.parent / "kernels"
_EXPORTED = _KERNELS / "native_library.map"
_OPTIONS = ("-std=c++20", "-O2", "-fPIC", "-shared", "-pthread", "-w")
_TIME_LIMIT = 120  # seconds for the compiler, after which Cling does it


class Library(NamedTuple):
    """The shared library: its table of functions (0: there is no library), its path, and why there is none."""

    table: int
    path: str
    failure: str


class _Method(ctypes.Structure):
    _fields_ = [
        ("name", ctypes.c_char_p),
        ("call", ctypes.c_void_p),
        ("flags", ctypes.c_int),
        ("doc", ctypes.c_char_p),
    ]


class _Export(ctypes.Structure):
    _fields_ = [("method", _Method), ("address", ctypes.c_void_p)]


@functools.cache
def library() -> Library:
    """The library, compiled if it is not there yet."""
    if platform.machine() != "x86_64":  # GCC knows no naked functions elsewhere, which fibers switch stacks by
        return Library(0, "", f"not for {platform.machine()}")
    compiler = shlex.split(os.environ.get("CXX", "") or "c++")
    if os.environ.get("CLING_DEBUG"):  # Cling's, for debuggers: they ask for ca::host::current()
        compiler.append("-g")
    executable = shutil.which(compiler[0])
    if executable is None:
        return Library(0, "", f"no C++ compiler ({compiler[0]})")
    path = cache.folder() / "native" / f"{_digest(executable, compiler[1:])}.so"
    try:
        if path.exists():
            try:
                return _load(path)
            except OSError:  # damaged
                path.unlink()
        with notice.long_compile("cuarray's native library"):
            _compile([executable, *compiler[1:]], path)
        return _load(path)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None)
        return Library(0, "", f"{type(error).__name__}: {said or error}")


def _digest(executable: str, options: list[str]) -> str:
    digest = hashlib.sha256()
    for path in sorted([*_KERNELS.glob("*.[hc]pp"), *(_KERNELS / "host").glob("*.hpp"), _EXPORTED]):
        digest.update(path.name.encode() + path.read_bytes())
    stat = os.stat(executable)
    digest.update(repr((executable, stat.st_size, stat.st_mtime_ns, options, _OPTIONS)).encode())
    return digest.hexdigest()[:32]


def _compile(command: list[str], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        made = Path(folder) / path.name
        source = _KERNELS / "native_library.cpp"
        subprocess.run(
            [*command, *_OPTIONS, f"-I{_KERNELS}", f"-Wl,--version-script={_EXPORTED}", str(source), "-o", str(made)],
            check=True,
            capture_output=True,
            text=True,
            timeout=_TIME_LIMIT,
        )
        os.replace(made, path)  # whole or not at all, whoever else compiles it at this moment


def _load(path: Path) -> Library:
    # Global: Cling's code calls the library's functions.
    handle = ctypes.CDLL(str(path), mode=os.RTLD_NOW | os.RTLD_GLOBAL)
    return Library(ctypes.addressof(_Export.in_dll(handle, "ca_exports")), str(path), "")


@functools.cache
def _exports() -> dict[str, _Export]:
    """The table of native_library.cpp by the functions' names below namespace ca."""
    table = library().table
    if not table:
        from cuarray._runtime import cling

        cling.define_once("native", '#include "native_library.cpp"', "the native library")
        table = cling.evaluate("&::ca_exports", "the native library")
    found: dict[str, _Export] = {}
    while (export := _Export.from_address(table)).method.name is not None:
        found[export.method.name.decode()] = export
        table += ctypes.sizeof(_Export)
    return found


def address(name: str) -> int:
    """The address of a function below namespace ca."""
    return int(_exports()[name].address)


def function(name: str) -> Callable[..., Any]:
    """A function below namespace ca, to be called with ints, which it returns, too."""
    make = ctypes.pythonapi.PyCFunction_NewEx
    make.restype, make.argtypes = ctypes.py_object, (ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
    made: Callable[..., Any] = make(ctypes.addressof(_exports()[name].method), None, None)
    return made


@functools.cache
def functions(prefix: str) -> SimpleNamespace:
    """The functions whose names begin with `prefix`, as attributes without it."""
    return SimpleNamespace(
        **{name.removeprefix(prefix): function(name) for name in _exports() if name.startswith(prefix)}
    )
