"""Compiled kernels on disk: atomic, safe between processes, bounded (cuda.core's FileStreamProgramCache)."""

from __future__ import annotations

import functools
import json
import os
from pathlib import Path
from typing import Any

_LIMIT = 1 << 30  # bytes; the least recently read kernels go first


def folder() -> Path:
    """CUARRAY_CACHE_DIR, or cuarray's folder in the user's cache folder."""
    chosen = os.environ.get("CUARRAY_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cuarray"


def size() -> int:
    """Bytes that compiled kernels take on disk."""
    root = folder()
    return sum(path.stat().st_size for path in root.rglob("*") if path.is_file()) if root.exists() else 0


@functools.cache
def _store(root: Path) -> Any:
    from cuda.core.utils import FileStreamProgramCache

    return FileStreamProgramCache(root / "kernels", max_size_bytes=_LIMIT)


def _names_key(key: bytes) -> bytes:
    return key + b"-names"


def get(key: bytes) -> tuple[bytes, dict[str, str]] | None:
    """The binary stored under `key` and its symbols by C++ name; None if it, or a readable folder, is not there."""
    try:
        store = _store(folder())
        binary, names = store.get(key), store.get(_names_key(key))
    except OSError:
        return None
    if binary is None or names is None:
        return None
    return bytes(binary), json.loads(bytes(names))


def put(key: bytes, binary: bytes, names: dict[str, str]) -> None:
    """Store a binary. A folder that cannot be written only costs the next process its time."""
    try:
        store = _store(folder())
        store[_names_key(key)] = json.dumps(names).encode()
        store[key] = binary
    except OSError:
        pass
