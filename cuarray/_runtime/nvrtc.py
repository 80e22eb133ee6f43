"""Device code: NVRTC turns a source and the C++ names of kernel instances into a cubin. Needs no GPU."""

from __future__ import annotations

import functools
import hashlib
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cuarray._errors import CompileError
from cuarray._runtime import cache
from cuarray._runtime.base import Source
from cuarray._runtime.cling import KERNELS


class Binary(NamedTuple):
    """A cubin, and the symbol of each instance in it by its C++ name."""

    cubin: bytes
    symbols: dict[str, str]


def architecture(compute_capability: tuple[int, int]) -> str:
    """What NVRTC compiles for: from Hopper on with the architecture's own instructions (sm_90a)."""
    major, minor = compute_capability
    return f"sm_{major}{minor}{'a' if major >= 9 else ''}"


@functools.cache
def _headers_digest() -> bytes:
    digest = hashlib.sha256()
    for path in sorted(KERNELS.rglob("*.cuh")):
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


def compile(source: Source, names: Sequence[str], arch: str) -> Binary:
    """The cubin for these instances of `source`, from the disk if it was compiled before."""
    try:
        from cuda.core import Program, ProgramOptions
        from cuda.core.utils import make_program_cache_key
    except ImportError as error:
        raise CompileError(f"cuda.core, which compiles for the GPU, does not import: {error}") from error

    include_dirs = [str(KERNELS), *source.include_dirs]
    digest = _headers_digest()
    if "#include <" in source.text:  # cuarray's own kernels need no header of CUDA's
        include_dirs += cuda_include_dirs()
    for directory in source.include_dirs:
        digest += _directory_digest(Path(directory))
    # Built-in kernels round where NumPy does, after every operation; where they want a fused one, they say fma().
    options = ProgramOptions(
        arch=arch, std="c++17", fma=source.contract, include_path=include_dirs, name=_file_name(source.name)
    )
    key = make_program_cache_key(
        code=source.text,
        code_type="c++",
        options=options,
        target_type="cubin",
        name_expressions=names,
        extra_digest=digest,
    )
    stored = cache.get(key)
    if stored is not None:
        return Binary(*stored)
    try:
        compiled = Program(source.text, "c++", options=options).compile("cubin", name_expressions=tuple(names))
    except Exception as error:
        raise CompileError(_message(source, names, error)) from None
    symbols = {_text(name): _text(symbol) for name, symbol in compiled.symbol_mapping.items()}
    binary = Binary(bytes(compiled.code), symbols)
    cache.put(key, *binary)
    return binary


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


def _text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name


def _message(source: Source, names: Sequence[str], error: Exception) -> str:
    text = str(error)
    if "libnvrtc" in text or "NVRTC library" in text or type(error).__name__ == "DynamicLibNotFoundError":
        return (
            "NVRTC, which compiles kernels for the GPU, is not installed: "
            f"pip install 'cuarray[cuda13]' (or cuda12, to match the driver). {text}"
        )
    log = text.split("compilation log:", 1)[-1].strip()
    return f"{source.name} does not compile for the GPU ({', '.join(names)}):\n{log}"
