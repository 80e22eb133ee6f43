"""What a bug report needs to say about this machine."""

from __future__ import annotations

import importlib.metadata
import platform
import sys

from cuarray import _runtime
from cuarray._runtime import cache, native

_LIBRARIES = (
    "numpy", "cppyy", "cppyy-cling", "numba", "numba-cuda", "llvmlite", "cuda-python", "cuda-bindings", "cuda-core",
    "ml_dtypes", "nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "cupy-cuda12x", "cupy-cuda13x", "torch", "jax",
)  # fmt: skip


def _bytes(count: object) -> str:
    assert isinstance(count, int)
    for unit in ("bytes", "KiB", "MiB"):
        if count < 1024:
            return f"{count:.4g} {unit}"
        count /= 1024
    return f"{count:.4g} GiB"


def _value(name: str, value: object) -> str:
    in_bytes = name.startswith(("memory", "shared memory", "L2")) and isinstance(value, int)
    return _bytes(value) if in_bytes else str(value)


def _version(library: str) -> str:
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        return ""


_COMPILERS = ("nvidia-cuda-nvrtc", "nvidia-cuda-nvrtc-cu12", "cuda-bindings", "cppyy-cling")


def compilers() -> str:
    """The versions that compiled programs depend on."""
    return ", ".join(f"{library} {version}" for library in _COMPILERS if (version := _version(library))) or "none"


def describe_cache(found: cache.Contents | None = None) -> str:
    """How much the cache on disk holds, in words."""
    found = found or cache.contents()
    return f"{found.programs} programs, {_bytes(found.program_bytes)}; native library {_bytes(found.native_bytes)}"


def config() -> str:
    """The description that `show_config` prints."""
    import cuarray

    runtime = _runtime.get()
    library = native.library()
    lines = [
        f"cuarray {cuarray.__version__}",
        f"Python {platform.python_version()} on {platform.platform()}",
        f"backend: {runtime.name} (asked for: {_runtime.requested_backend()})",
        f"cache: {cache.folder()} ({describe_cache()})",
        f"native library: {library.path or 'compiled by Cling in every process: ' + library.failure}",
        f"memory pool: limit {_bytes(runtime.pool.statistics()[3])}",
    ]
    for number, device in enumerate(runtime.describe()):
        lines.append(f"device {number}: {device['name']}")
        lines += [f"  {name}: {_value(name, value)}" for name, value in device.items() if name != "name"]
    lines.append("libraries:")
    lines += [f"  {library} {version}" for library in _LIBRARIES if (version := _version(library))]
    return "\n".join(lines)


def show_config() -> None:
    """Print version, backend, devices, cache and library versions: what a bug report needs.

    >>> import cuarray as ca
    >>> ca.show_config()  # doctest: +ELLIPSIS
    cuarray...
    """
    print(config(), file=sys.stdout)
