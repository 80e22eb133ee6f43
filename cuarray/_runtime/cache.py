"""Compiled kernels on disk: a file each, whole or not there, safe between processes, bounded.

A file begins with the digest of the rest of it, so that one which a full disk, a crash or anybody else has damaged is
as good as none. It is written beside its place and then renamed. Whatever goes wrong with the folder costs time, and
nothing else: what could not be written is kept for this process.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from cuarray._runtime import background

_LIMIT = 1 << 30  # bytes of kernels; the least recently read go first
_KEPT_IN_MEMORY = 1000  # programs, where nothing can be written
_STALE = 3600  # seconds after which nobody still writes a file
_ELSEWHERE = ""  # in place of a C++ name: its symbol is the key of the binary
_MAGIC = b"cuarray kernels 1\n"
_DIGEST_BYTES = hashlib.sha256().digest_size

_lock = threading.Lock()
_unwritten: dict[bytes, tuple[bytes, dict[str, str]]] = {}
_trimmed: set[Path] = set()


def folder() -> Path:
    """CUARRAY_CACHE_DIR, or cuarray's folder in the user's cache folder."""
    chosen = os.environ.get("CUARRAY_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "cuarray"


class Contents(NamedTuple):
    """What is on disk: compiled programs and their bytes, and the bytes of the native library."""

    programs: int
    program_bytes: int
    native_bytes: int


def contents() -> Contents:
    """What the cache has on disk."""
    sizes = [size for _, size, _ in _files(folder() / "programs")]
    return Contents(len(sizes), sum(sizes), sum(size for _, size, _ in _files(folder() / "native")))


def clear() -> Contents:
    """Delete all of it; returns what there was. OSError where that is not allowed."""
    before = contents()
    for part in ("programs", "native"):
        path = folder() / part
        if path.exists():
            shutil.rmtree(path)
    with _lock:
        _unwritten.clear()
    return before


def get(key: bytes) -> tuple[bytes, dict[str, str]] | None:
    """The binary stored under `key` and its symbols by C++ name; None if it is not there, whole and readable."""
    found = _read(key)
    if found is not None and not found[0] and _ELSEWHERE in found[1]:
        names = dict(found[1])
        binary = _read(bytes.fromhex(names.pop(_ELSEWHERE)))
        return None if binary is None else (binary[0], names)
    return found


def _read(key: bytes) -> tuple[bytes, dict[str, str]] | None:
    kept = _unwritten.get(key)
    if kept is not None:
        return kept
    path = _path(key)
    try:
        stored = path.read_bytes()
    except OSError:
        return None
    found = _unpack(stored)
    with contextlib.suppress(OSError):  # of a folder that cannot be written
        if found is None:
            path.unlink()
        else:
            os.utime(path)  # when it was read last
    return found


def put(key: bytes, binary: bytes, names: dict[str, str]) -> None:
    """Store a binary and its symbols."""
    _write(key, binary, names)


def put_family(keys: dict[bytes, dict[str, str]], binary: bytes) -> None:
    """Store one binary under several keys, each with symbols of its own."""
    own = hashlib.sha256(binary).digest()
    _write(own, binary, {})
    for key, names in keys.items():
        _write(key, b"", {**names, _ELSEWHERE: own.hex()})


def _write(key: bytes, binary: bytes, names: dict[str, str]) -> None:
    path = _path(key)
    temporary = ""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=path.parent, suffix=".tmp")
        with open(handle, "wb") as file:
            file.write(_pack(binary, names))
        os.replace(temporary, path)
    except OSError:
        if temporary:
            with contextlib.suppress(OSError):
                os.unlink(temporary)
        with _lock:
            if len(_unwritten) >= _KEPT_IN_MEMORY:
                _unwritten.clear()
            _unwritten[key] = binary, names
    else:
        _trim_later()


def _path(key: bytes) -> Path:
    name = key.hex()
    return folder() / "programs" / name[:2] / name[2:]


def _pack(binary: bytes, names: dict[str, str]) -> bytes:
    rest = json.dumps(names).encode() + b"\n" + binary
    return _MAGIC + hashlib.sha256(rest).digest() + rest


def _unpack(stored: bytes) -> tuple[bytes, dict[str, str]] | None:
    begin = len(_MAGIC) + _DIGEST_BYTES
    rest = stored[begin:]
    if not stored.startswith(_MAGIC) or stored[len(_MAGIC) : begin] != hashlib.sha256(rest).digest():
        return None
    names, _, binary = rest.partition(b"\n")
    return binary, json.loads(names)


def _files(root: Path) -> Iterator[tuple[float, int, Path]]:
    """When each file was read last, its size and its path; another process may delete them meanwhile."""
    for path in root.rglob("*"):
        with contextlib.suppress(OSError):
            if path.is_file():
                stat = path.stat()
                yield stat.st_mtime, stat.st_size, path


def _trim_later() -> None:
    """Delete what is least recently read, and what was never finished: once a process, after it first writes."""
    root = folder() / "programs"
    if root not in _trimmed:
        _trimmed.add(root)
        background.submit(lambda: trim(root, _LIMIT))


def trim(root: Path, limit: int) -> None:
    """Delete the files below `root` that were read longest ago, until it has at most `limit` bytes."""
    files = sorted(_files(root))
    total = sum(size for _, size, _ in files)
    for read, size, path in files:
        unfinished = path.suffix == ".tmp" and time.time() - read > _STALE
        if total <= limit and not unfinished:
            continue
        with contextlib.suppress(OSError):
            path.unlink()
            total -= size
