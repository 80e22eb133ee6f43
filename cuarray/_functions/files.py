"""Arrays in files: NumPy's own formats, raw bytes, and text."""

from __future__ import annotations

import ast
import contextlib
import os
import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import numpy as np

from cuarray._array import CuArray
from cuarray._dtypes import BFLOAT16, as_storage_dtype, is_struct
from cuarray._functions.creation import array, asarray, asnumpy, empty


def _refuse_pickle(name: str, allow_pickle: bool) -> None:
    if allow_pickle:
        raise ValueError(f"{name}: allow_pickle=True: cuarray has no arrays of Python objects and unpickles no files")


def _to_save(name: str, arr: Any) -> np.ndarray:
    """The values as NumPy's format can name their dtype."""
    x = asarray(arr)
    if x.dtype == BFLOAT16:
        raise TypeError(f"{name}: NumPy's file format has no bfloat16: save x.view('uint16') and view it back")
    values = asnumpy(x)
    if is_struct(values.dtype):
        values = values.view(np.lib.format.drop_metadata(values.dtype))  # the C++ class cannot be saved
    return values


def save(file: Any, arr: Any, allow_pickle: bool = False) -> None:
    """Write an array to a file in NumPy's format, which `load` and `numpy.load` read; ".npy" is added to a name.

    `file`: a name, a path or an open binary file. Structs are saved with their fields but without the name of their
    C++ class; TypeError for bfloat16. Arrays are never pickled: ValueError if `allow_pickle`.

    >>> import io, cuarray as ca
    >>> file = io.BytesIO()
    >>> ca.save(file, ca.arange(3))
    >>> ca.load(io.BytesIO(file.getvalue()))
    array([0, 1, 2])
    """
    _refuse_pickle("save", allow_pickle)
    np.save(file, _to_save("save", arr), allow_pickle=False)


def _save_all(name: str, file: Any, args: tuple[Any, ...], kwds: dict[str, Any], compressed: bool) -> None:
    allow_pickle = kwds.pop("allow_pickle", False)
    _refuse_pickle(name, allow_pickle)
    write = np.savez_compressed if compressed else np.savez
    named = {key: _to_save(name, value) for key, value in kwds.items()}
    write(file, *(_to_save(name, value) for value in args), allow_pickle=False, **named)


def savez(file: Any, *args: Any, **kwds: Any) -> None:
    """Write several arrays to one file, a zip archive in NumPy's format: by keyword, or as arr_0, arr_1 ...

    >>> import io, cuarray as ca
    >>> file = io.BytesIO()
    >>> ca.savez(file, x=ca.arange(3))
    >>> ca.load(io.BytesIO(file.getvalue()))["x"]
    array([0, 1, 2])
    """
    _save_all("savez", file, args, kwds, False)


def savez_compressed(file: Any, *args: Any, **kwds: Any) -> None:
    """`savez`, compressed.

    >>> import io, cuarray as ca
    >>> file = io.BytesIO()
    >>> ca.savez_compressed(file, x=ca.arange(3))
    >>> ca.load(io.BytesIO(file.getvalue()))["x"]
    array([0, 1, 2])
    """
    _save_all("savez_compressed", file, args, kwds, True)


_ZIP_MAGICS = (b"PK\x03\x04", b"PK\x05\x06")


def load(
    file: Any,
    mmap_mode: None = None,
    allow_pickle: bool = False,
    fix_imports: bool = True,
    encoding: str = "ASCII",
    *,
    max_header_size: int = 10_000,
) -> Any:
    """The array in a file that `save` or `numpy.save` wrote, or a mapping of those in an archive (`NpzFile`).

    `file`: a name, a path or an open binary file that can seek. The values are read straight into the array's memory.
    ValueError if `allow_pickle` or `mmap_mode` is asked for (an array's memory is not a file's), and for files of
    Python objects. `fix_imports` and `encoding` are about pickles in NumPy, and have no meaning here.

    >>> import io, numpy as np, cuarray as ca
    >>> file = io.BytesIO()
    >>> np.save(file, np.arange(3))
    >>> ca.load(io.BytesIO(file.getvalue()))
    array([0, 1, 2])
    """
    _refuse_pickle("load", allow_pickle)
    if mmap_mode is not None:
        raise ValueError("load: mmap_mode must be None: an array's memory cannot be a file's")
    with contextlib.ExitStack() as stack:
        if hasattr(file, "read"):
            opened = file
        else:
            opened = stack.enter_context(open(os.fspath(file), "rb"))
        magic = opened.read(len(np.lib.format.MAGIC_PREFIX))
        if not magic:
            raise EOFError("load: no data left in the file")
        opened.seek(-min(len(magic), len(np.lib.format.MAGIC_PREFIX)), os.SEEK_CUR)
        if magic.startswith(_ZIP_MAGICS):
            archive = zipfile.ZipFile(opened)
            stack.pop_all()  # the archive is read later
            return NpzFile(archive, opened if opened is not file else None, max_header_size)
        if magic != np.lib.format.MAGIC_PREFIX:
            raise ValueError("load: the file is not in NumPy's format (or it is a pickle, which is not read)")
        return _read_array(opened, max_header_size)


def _read_header(file: IO[bytes], max_header_size: int) -> tuple[tuple[int, ...], bool, np.dtype]:
    version = np.lib.format.read_magic(file)
    if version == (1, 0):
        return np.lib.format.read_array_header_1_0(file, max_header_size)
    if version == (2, 0):
        return np.lib.format.read_array_header_2_0(file, max_header_size)
    if version != (3, 0):
        raise ValueError(f"load: version {version} of NumPy's format is not known")
    # As version 2, but in UTF-8.
    (length,) = struct.unpack("<I", file.read(4))
    if length > max_header_size:
        raise ValueError(f"load: the header has {length} bytes, more than max_header_size={max_header_size}")
    header = ast.literal_eval(file.read(length).decode())
    return tuple(header["shape"]), bool(header["fortran_order"]), np.lib.format.descr_to_dtype(header["descr"])


def _read_array(file: IO[bytes], max_header_size: int) -> CuArray:
    shape, fortran, dtype = _read_header(file, max_header_size)
    if dtype.hasobject:
        raise ValueError("load: the file holds Python objects, and allow_pickle is never allowed")
    stored = as_storage_dtype(dtype, "load")
    result = empty(shape, stored, "F" if fortran else "C")
    if not result.size:
        return result
    memory = asnumpy(result).ravel("K").view(np.uint8)
    place = memory if stored == dtype and memory.ctypes.data == result._pointer else np.empty(result.nbytes, np.uint8)
    view, done = memoryview(place.data), 0
    while done < result.nbytes:
        # Files of archives give pieces; some objects that act as files have no readinto.
        if hasattr(file, "readinto"):
            count = file.readinto(view[done:])
        else:
            piece = file.read(result.nbytes - done)
            count = len(piece)
            view[done : done + count] = piece
        if not count:
            raise ValueError(f"load: the file ends after {done} of {result.nbytes} bytes of values")
        done += count
    if place is memory:
        return result
    return array(place.view(dtype).reshape(shape, order="F" if fortran else "C"))


class NpzFile(Mapping):
    """The arrays in an archive, each read when it is asked for; close it, or use it in a `with` statement.

    >>> import io, cuarray as ca
    >>> file = io.BytesIO()
    >>> ca.savez(file, ca.arange(3), y=ca.ones(1))
    >>> position = file.seek(0)
    >>> with ca.load(file) as arrays:
    ...     sorted(arrays), arrays["arr_0"]
    (['arr_0', 'y'], array([0, 1, 2]))
    """

    def __init__(self, archive: zipfile.ZipFile, opened: Any, max_header_size: int) -> None:
        self._archive = archive
        self._opened = opened  # the file below the archive, if it is ours
        self._max_header_size = max_header_size
        self._members = {name.removesuffix(".npy"): name for name in archive.namelist()}

    @property
    def files(self) -> list[str]:
        """The arrays' names."""
        return list(self._members)

    def __getitem__(self, key: str) -> CuArray:
        name = self._members.get(key, key)
        if name not in self._members.values():
            raise KeyError(f"{key} is not a file in the archive; it has {', '.join(self._members)}")
        with self._archive.open(name) as file:
            return _read_array(file, self._max_header_size)

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def close(self) -> None:
        """Close the archive, and the file if `load` opened it."""
        self._archive.close()
        if self._opened is not None:
            self._opened.close()

    def __enter__(self) -> NpzFile:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __del__(self) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"NpzFile with keys: {', '.join(self._members)}"


# ---- bytes and text


def fromfile(file: Any, dtype: Any = float, count: int = -1, sep: str = "", offset: int = 0) -> CuArray:
    """A 1-d array of the values in a file of raw bytes, or, with a `sep` between them, of text; see `tofile`.

    >>> import os, tempfile, cuarray as ca
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     ca.arange(3).tofile(os.path.join(folder, "x"))
    ...     ca.fromfile(os.path.join(folder, "x"), "int64")
    array([0, 1, 2])
    """
    return array(np.fromfile(file, as_storage_dtype(dtype), count, sep, offset))


def loadtxt(fname: Any, dtype: Any = float, *args: Any, **kwargs: Any) -> Any:
    """The values in a file of text, a row a line; the arguments are those of `numpy.loadtxt`.

    >>> import io, cuarray as ca
    >>> ca.loadtxt(io.StringIO("1 2\\n3 4"))
    array([[1., 2.],
           [3., 4.]])
    """
    found = np.loadtxt(fname, dtype, *args, **kwargs)
    return [array(column) for column in found] if isinstance(found, list) else array(found)


def genfromtxt(fname: Any, dtype: Any = float, *args: Any, **kwargs: Any) -> CuArray:
    """The values in a file of text in which some may be missing; the arguments are those of `numpy.genfromtxt`.

    >>> import io, cuarray as ca
    >>> ca.genfromtxt(io.StringIO("1,,3"), delimiter=",")
    array([ 1., nan,  3.])
    """
    return array(np.genfromtxt(fname, dtype, *args, **kwargs))


def savetxt(fname: Any, X: Any, *args: Any, **kwargs: Any) -> None:
    """Write a 1-d or 2-d array to a file as text; the arguments are those of `numpy.savetxt`.

    >>> import sys, cuarray as ca
    >>> ca.savetxt(sys.stdout, ca.array([[1, 2], [3, 4]]), fmt="%d")
    1 2
    3 4
    """
    np.savetxt(fname, asnumpy(X), *args, **kwargs)
