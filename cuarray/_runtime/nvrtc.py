"""Device code: NVRTC turns a source and the C++ names of kernel instances into a cubin. Needs no GPU."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cuarray._errors import CompileError
from cuarray._runtime import cache, link
from cuarray._runtime.base import Source
from cuarray._runtime.cling import KERNELS
from cuarray._runtime.options import device_options


class Binary(NamedTuple):
    """Device code, and the symbol of each instance in it by its C++ name."""

    code: bytes
    symbols: dict[str, str]


def architecture(compute_capability: tuple[int, int]) -> str:
    """What NVRTC compiles for: from Hopper on with the architecture's own instructions (sm_90a)."""
    major, minor = compute_capability
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


@functools.cache
def _headers_digest() -> bytes:
    digest = hashlib.sha256()
    for path in sorted([*KERNELS.rglob("*.cuh"), *(KERNELS / "device").iterdir()]):
        digest.update(path.name.encode() + path.read_bytes())
    return digest.digest()


@functools.cache
def cuda_include_dirs() -> tuple[str, ...]:
    """Where CUDA's own headers are, if they are installed: for sources of users that include them."""
    from cuda import pathfinder

    found: list[str] = []
    for library in ("cudart", "cccl"):
        try:
            directory = pathfinder.find_nvidia_header_directory(library)
        except Exception:
            directory = None
        if directory and directory not in found:
            found.append(directory)
    return tuple(found)


def compile(source: Source, names: Sequence[str], arch: str, text: str = "", target: str = "cubin") -> Binary:
    """The code for these instances of `source`, from the disk if it was compiled before.

    text: C++ that these instances need after the source's. target: cubin, ptx or ltoir; in ltoir the functions that the
    source is linked with (`Source.link`) are missing.
    """
    include_dirs = [str(KERNELS), *source.include_dirs, str(KERNELS / "device")]
    digest = _headers_digest()
    if "#include <" in source.text or source.include_dirs:  # cuarray's own kernels need no header of CUDA's
        include_dirs += cuda_include_dirs()
    for directory in source.include_dirs:
        digest += _directory_digest(Path(directory))
    options = [
        f"--gpu-architecture={arch}",
        f"--std={source.std}",
        # Built-in kernels round where NumPy does, after every operation; where they want a fused one, they say fma().
        f"--fmad={'true' if source.contract else 'false'}",
        *(f"--include-path={directory}" for directory in include_dirs),
        *(["-dlto", "--relocatable-device-code=true"] if target == "ltoir" else []),
        # Plain C++ of the user's, methods of a class that the host has too, is for the GPU here.
        *(["--device-as-default-execution-space"] if source.contract else []),
        *device_options(source.options),
    ]
    name = _file_name(source.name)
    if source.link and target != "ltoir":
        own = compile(source, names, arch, text, "ltoir")
        codes = [own.code, *(linked.ltoir(arch) for linked in source.link)]
        return Binary(link.link(name, codes, arch, options, target), own.symbols)
    code = source.text + text
    parts = (_version(), name, code, tuple(options), tuple(names), target)
    key = hashlib.sha256(repr(parts).encode() + digest).digest()
    stored = cache.get(key)
    if stored is not None:
        return Binary(*stored)
    binary = _compile(source, name, code, options, names, target)
    cache.put(key, *binary)
    return binary


def _bindings() -> Any:
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise CompileError(f"cuda.bindings, which compiles for the GPU, does not import: {error}") from error
    return nvrtc


@functools.cache
def _version() -> tuple[int, int]:
    nvrtc = _bindings()
    try:
        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:
        raise CompileError(
            "NVRTC, which compiles kernels for the GPU, is not installed: "
            f"pip install 'cuarray[cuda13]' (or cuda12, to match the driver). {error}"
        ) from None
    return int(major), int(minor)


_GETTERS = {"cubin": "CUBIN", "ptx": "PTX", "ltoir": "LTOIR"}


def _compile(source: Source, name: str, code: str, options: Sequence[str], names: Sequence[str], target: str) -> Binary:
    nvrtc = _bindings()

    def call(function: str, *arguments: Any) -> Any:
        result, *values = getattr(nvrtc, function)(*arguments)
        if int(result):
            _, text = nvrtc.nvrtcGetErrorString(result)
            raise CompileError(f"{source.name} does not compile for the GPU: {text.decode()} ({function})")
        return values[0] if values else None

    program = call("nvrtcCreateProgram", code.encode(), name.encode(), 0, None, None)
    try:
        for expression in names:
            call("nvrtcAddNameExpression", program, expression.encode())
        encoded = [option.encode() for option in options]
        (result,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
        if int(result):
            log = bytearray(call("nvrtcGetProgramLogSize", program))
            call("nvrtcGetProgramLog", program, log)
            said = log.decode(errors="replace").strip("\0\n ") or nvrtc.nvrtcGetErrorString(result)[1].decode()
            raise CompileError(f"{source.name} does not compile for the GPU ({', '.join(names)}):\n{said}")
        symbols = {
            expression: call("nvrtcGetLoweredName", program, expression.encode()).decode() for expression in names
        }
        getter = _GETTERS[target]
        binary = bytearray(call(f"nvrtcGet{getter}Size", program))
        call(f"nvrtcGet{getter}", program, binary)
    finally:
        nvrtc.nvrtcDestroyProgram(program)
    return Binary(bytes(binary), symbols)


def _directory_digest(directory: Path) -> bytes:
    """Changes when a header of the user's does: names, sizes and times of the files beside it."""
    digest = hashlib.sha256()
    for path in sorted(directory.glob("*")):
        if path.is_file():
            stat = path.stat()
            digest.update(f"{path.name} {stat.st_size} {stat.st_mtime_ns}".encode())
    return digest.digest()


def _file_name(name: str) -> str:
    return re.sub(r"[^\w.:-]", "_", name)
