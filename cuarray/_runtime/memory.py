"""The memory pool (kernels/memory_pool.hpp) and the owners of what it hands out."""

from __future__ import annotations

import atexit
import functools
import os
from collections.abc import Callable

from cuarray._errors import OutOfMemoryError
from cuarray._runtime import native


class Memory:
    """A block of the pool, given back when the last array over it is gone."""

    __slots__ = ("__weakref__", "_release", "nbytes", "pointer")

    def __init__(self, pointer: int, nbytes: int, release: Callable[[int, int], None]) -> None:
        self.pointer = pointer
        self.nbytes = nbytes
        self._release = release

    def __del__(self) -> None:
        # Only what the object itself holds: at interpreter exit, module globals may be gone.
        if self.pointer:
            self._release(self.pointer, self.nbytes)

    host_accessible = True


class ForeignMemory:
    """Somebody else's memory, kept alive by a reference to its owner."""

    __slots__ = ("__weakref__", "host_accessible", "nbytes", "owner", "pointer")

    def __init__(self, pointer: int, nbytes: int, owner: object, host_accessible: bool) -> None:
        self.pointer = pointer
        self.nbytes = nbytes
        self.owner = owner
        self.host_accessible = host_accessible


def _checked(nbytes: int) -> int:
    # Native functions see the lowest 64 bits of a number.
    if nbytes >= 1 << 63:
        raise ValueError(f"array is too big: {nbytes:,} bytes are more than there are addresses")
    return nbytes


class MemoryPool:
    """Size-classed memory over a driver's allocate and release functions, given by their addresses."""

    def __init__(self, allocate: int, release: int, flags: int, limit: int) -> None:
        native_pool = native.functions("pool_")
        # For memory checkers, which see the driver's blocks only.
        pooled = os.environ.get("CUARRAY_MEMORY_POOL", "1") != "0"
        self._pool = int(native_pool.create(allocate, release, flags, limit, pooled))
        self._allocate = native_pool.allocate
        self._free = native_pool.free
        self._allocate_scratch = native_pool.allocate_scratch
        self._free_scratch = native_pool.free_scratch
        self._trim = native_pool.trim
        self._set_limit = native_pool.set_limit
        self._last_error = native_pool.last_error
        self._statistics = native_pool.statistics
        self._native, self.has_events = native_pool, False
        self._open = True
        atexit.register(self._close)
        # A child must not inherit the lock in a state that no thread of its own will change.
        lock, unlock = (
            functools.partial(native_pool.lock, self._pool),
            functools.partial(native_pool.unlock, self._pool),
        )
        os.register_at_fork(before=lock, after_in_parent=unlock, after_in_child=unlock)

    def _close(self) -> None:
        # Blocks freed after this, as the interpreter takes modules apart, go with the process.
        self._open = False

    def _release(self, pointer: int, nbytes: int) -> None:
        if self._open:
            self._free(self._pool, pointer, nbytes)

    def _release_scratch(self, pointer: int, nbytes: int) -> None:
        if self._open:
            self._free_scratch(self._pool, pointer, nbytes)

    @property
    def address(self) -> int:
        """The pool itself, for code compiled by numba."""
        return self._pool

    def allocate(self, nbytes: int) -> Memory:
        """A block of at least `nbytes`, aligned to 512 bytes; OutOfMemoryError (a MemoryError) if there is none."""
        if nbytes == 0:
            return Memory(0, 0, self._release)
        pointer = self._allocate(self._pool, _checked(nbytes))
        return Memory(self._taken(pointer, nbytes), nbytes, self._release)

    def allocate_scratch(self, nbytes: int) -> Memory:
        """A block as `allocate` gives, of which the first 4096 bytes are 0; whoever uses it leaves them so."""
        if nbytes == 0:
            return Memory(0, 0, self._release_scratch)
        pointer = self._allocate_scratch(self._pool, _checked(nbytes))
        return Memory(self._taken(pointer, nbytes), nbytes, self._release_scratch)

    def _taken(self, pointer: int, nbytes: int) -> int:
        if pointer:
            return pointer
        used, _reserved, _peak, limit, _count = self.statistics()
        raise OutOfMemoryError(
            f"out of memory: an array needs {nbytes:,} bytes; {used:,} of the pool's limit of {limit:,} are in use "
            "(cuarray.cuda.set_memory_limit changes the limit)",
            2,
            "CUDA_ERROR_OUT_OF_MEMORY",
        )

    def statistics(self) -> tuple[int, int, int, int, int]:
        """Bytes in use, bytes taken from the driver, the most bytes ever in use, the limit, and blocks in use."""
        import numpy as np

        out = np.zeros(5, np.uint64)
        self._statistics(self._pool, out.ctypes.data)
        return tuple(int(value) for value in out)  # type: ignore[return-value]

    def sizes(self) -> list[tuple[int, int, int]]:
        """For each size of blocks: its bytes, blocks in use, free blocks."""
        import numpy as np

        out = np.zeros((64, 3), np.uint64)
        while (count := int(self._native.sizes(self._pool, out.ctypes.data, len(out)))) > len(out):
            out = np.zeros((count, 3), np.uint64)
        return [(size, live, free) for size, live, free in out[:count].tolist()]

    def trim(self) -> int:
        """Give cached memory back to the driver; returns the number of bytes."""
        return int(self._trim(self._pool))

    def set_limit(self, limit: int) -> None:
        """The most bytes that the pool may take from the driver."""
        self._set_limit(self._pool, limit)

    # ---- streams and graphs
    def set_events(self, *functions: int) -> None:
        """The driver's functions that create, record, query, synchronise and destroy an event, by their addresses."""
        self._native.set_events(self._pool, *functions)
        self.has_events = True

    def set_fills(self, fill: int, synchronize: int, prefetch: int, device: int) -> None:
        """The driver's functions that set memory in order with a stream, wait for a stream, and bring new memory to a
        device (0: there is no need), by their addresses."""
        self._native.set_fills(self._pool, fill, synchronize, prefetch, device)

    def add_stream(self, stream: int, blocking: bool) -> None:
        """Work may be queued on this stream from now on; once for each who uses it."""
        if self.has_events:  # without events work is done at once, and no stream needs to be told from another
            self._native.add_stream(self._pool, stream, blocking)

    def remove_stream(self, stream: int) -> None:
        """The stream is about to be destroyed, as far as one of those who added it is concerned."""
        if self.has_events and self._open:
            self._native.remove_stream(self._pool, stream)

    def begin_capture(self) -> int:
        """A handle for what a graph will keep."""
        return int(self._native.begin_capture(self._pool))

    def join_capture(self, capture: int, stream: int) -> None:
        """What is allocated and freed with this stream current is kept for the graph from now on."""
        self._native.join_capture(self._pool, capture, stream)

    def leave_capture(self, stream: int) -> None:
        """This stream is no longer captured."""
        self._native.leave_capture(self._pool, stream)

    def release_capture(self, capture: int) -> None:
        """The graph is gone: what was kept for it may be used again."""
        if self._open:
            self._native.release_capture(self._pool, capture)

    @property
    def last_error(self) -> int:
        """The driver's result of the last allocation that it refused."""
        return int(self._last_error(self._pool))
