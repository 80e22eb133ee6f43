"""Device code: NVRTC turns a source and the C++ names of kernel instances into a cubin. Needs no GPU."""

from __future__ import annotations

import ctypes
import functools
import hashlib
import importlib.metadata
import os
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cuarray._errors import CompileError
from cuarray._runtime import background, cache, link, native, notice
from cuarray._runtime.base import Source
from cuarray._runtime.cling import KERNELS
from cuarray._runtime.options import device_options

THREADS = os.cpu_count() or 1  # NVRTC compiles on several threads at the same time, and without the GIL


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


class Program(NamedTuple):
    """What NVRTC is to compile, besides the names of the instances, and the digest of all that it includes."""

    source: Source
    name: str
    code: str
    options: tuple[str, ...]
    target: str
    digest: bytes

    def key(self, names: Sequence[str]) -> bytes:
        """Where the code of these instances is kept on disk."""
        parts = (_version(), self.name, self.code, self.options, tuple(names), self.target)
        return hashlib.sha256(repr(parts).encode() + self.digest).digest()


def program(source: Source, arch: str, text: str = "", target: str = "cubin") -> Program:
    """The program of which instances of `source` are compiled; the arguments are those of `compile`."""
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
    return Program(source, _file_name(source.name), source.text + text, tuple(options), target, digest)


def compile(
    source: Source,
    names: Sequence[str],
    arch: str,
    text: str = "",
    target: str = "cubin",
    family: Callable[[], Sequence[str]] | None = None,
) -> Binary:
    """The code for these instances of `source`, from the disk if it was compiled before.

    text: C++ that these instances need after the source's. target: cubin, ptx or ltoir; in ltoir the functions that the
    source is linked with (`Source.link`) are missing. family: the names of instances that are likely to be wanted next;
    when these had to be compiled, those are compiled in the background.
    """
    if source.link and target != "ltoir":
        own = compile(source, names, arch, text, "ltoir")
        codes = [own.code, *(linked.ltoir(arch) for linked in source.link)]
        whole = program(source, arch, text, target)
        return Binary(link.link(whole.name, codes, arch, whole.options, target), own.symbols)
    wanted = program(source, arch, text, target)
    key = wanted.key(names)
    stored = cache.get(key)
    if stored is not None:
        return Binary(*stored)
    with notice.long_compile(source.name):
        binary = _compile(wanted, names)
    cache.put(key, *binary)
    if family is not None:
        stop = ctypes.addressof(background.stop_flag)
        background.submit(lambda: compile_family(source, family(), arch, stop))
    return binary


def compile_family(source: Source, names: Sequence[str], arch: str, cancel: int = 0) -> None:
    """Compile instances as one program, which costs little more than one of them, and keep them on disk for `compile`.

    Those that are there already are left out. cancel: the address of an int that stops NVRTC once it is not 0.
    """
    wanted = program(source, arch)
    missing = [name for name in dict.fromkeys(names) if cache.get(wanted.key((name,))) is None]
    if missing:
        code, symbols = _compile(wanted, missing, cancel)
        cache.put_family({wanted.key((name,)): {name: symbols[name]} for name in missing}, code)


def _bindings() -> Any:
    try:
        from cuda.bindings import nvrtc
    except ImportError as error:
        raise CompileError(f"cuda.bindings, which compiles for the GPU, does not import: {error}") from error
    return nvrtc


@functools.cache
def _version() -> str:
    """Of NVRTC, as its packages say: loading it takes 160 ms, which kernels that are on disk need not wait for."""
    versions = [f"{name} {version}" for name in _PACKAGES if (version := _package_version(name))]
    return ", ".join(versions) if len(versions) > 1 else _loaded_version()


_PACKAGES = (
    "cuda-bindings",
    "nvidia-cuda-nvrtc",
    "nvidia-cuda-nvrtc-cu12",
)  # bindings of one major version load that NVRTC


def _package_version(name: str) -> str:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return ""


@functools.cache
def _loaded_version() -> str:
    nvrtc = _bindings()
    try:
        _, major, minor = nvrtc.nvrtcVersion()
    except Exception as error:
        raise CompileError(
            "NVRTC, which compiles kernels for the GPU, is not installed: "
            f"pip install 'cuarray[cuda13]' (or cuda12, to match the driver). {error}"
        ) from None
    return f"NVRTC {major}.{minor}"


_GETTERS = {"cubin": "CUBIN", "ptx": "PTX", "ltoir": "LTOIR"}


def _compile(wanted: Program, names: Sequence[str], cancel: int = 0) -> Binary:
    nvrtc = _bindings()
    _loaded_version()  # or why there is none
    source = wanted.source

    def call(function: str, *arguments: Any) -> Any:
        result, *values = getattr(nvrtc, function)(*arguments)
        if int(result):
            _, text = nvrtc.nvrtcGetErrorString(result)
            raise CompileError(f"{source.name} does not compile for the GPU: {text.decode()} ({function})")
        return values[0] if values else None

    handle = call("nvrtcCreateProgram", wanted.code.encode(), wanted.name.encode(), 0, None, None)
    try:
        for expression in names:
            call("nvrtcAddNameExpression", handle, expression.encode())
        if cancel and hasattr(nvrtc, "nvrtcSetFlowCallback") and native.library().table:  # from CUDA 12.9 on
            call("nvrtcSetFlowCallback", handle, native.address("is_set"), cancel)
        encoded = [option.encode() for option in wanted.options]
        (result,) = nvrtc.nvrtcCompileProgram(handle, len(encoded), encoded)
        if int(result):
            log = bytearray(call("nvrtcGetProgramLogSize", handle))
            call("nvrtcGetProgramLog", handle, log)
            said = log.decode(errors="replace").strip("\0\n ") or nvrtc.nvrtcGetErrorString(result)[1].decode()
            raise CompileError(f"{source.name} does not compile for the GPU ({', '.join(names)}):\n{said}")
        symbols = {
            expression: call("nvrtcGetLoweredName", handle, expression.encode()).decode() for expression in names
        }
        getter = _GETTERS[wanted.target]
        binary = bytearray(call(f"nvrtcGet{getter}Size", handle))
        call(f"nvrtcGet{getter}", handle, binary)
    finally:
        nvrtc.nvrtcDestroyProgram(handle)
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
