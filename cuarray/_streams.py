"""Streams, events and graphs: the order of work on the device. On the host backend work is done at once, in order."""

from __future__ import annotations

import operator
import threading
import weakref
from typing import Any

from cuarray import _runtime
from cuarray._errors import CudaError
from cuarray._runtime.base import LEGACY_STREAM, PER_THREAD_STREAM, Capture


class _Entered(threading.local):
    """The streams that this thread has entered by `with`, each with the handle that was current before."""

    def __init__(self) -> None:
        self.streams: list[tuple[Stream, int]] = []


_entered = _Entered()


def stream_handle(stream: Any) -> int:
    """The CUstream of a stream of any library, as an int: a handle, or an object with ``__cuda_stream__`` (cuda.core,
    torch), or with ``cuda_stream``, ``ptr`` or ``handle`` (torch, CuPy, numba).

    TypeError for anything else.
    """
    protocol = getattr(stream, "__cuda_stream__", None)
    if protocol is not None:
        _version, handle = protocol() if callable(protocol) else protocol
        return int(handle)
    for attribute in ("cuda_stream", "ptr", "handle"):
        value = getattr(stream, attribute, None)
        if value is not None:
            stream = getattr(value, "value", value)  # ctypes' pointers
            break
    if hasattr(type(stream), "__index__"):
        return operator.index(stream)
    raise TypeError(
        "stream must be a Stream, an int, or another library's stream with __cuda_stream__, cuda_stream, ptr or "
        f"handle; not {type(stream).__name__}"
    )


class Stream:
    """A queue of work: what is queued on one stream runs in order, streams run beside each other.

    priority: lower numbers come first; `priority_range` has the limits (ValueError outside). non_blocking: whether the
    stream runs beside the default stream, too; without it, work on the default stream waits for what was queued on
    this one before, and the other way round.

    ``with stream:`` makes it this thread's current stream, on which all operations and launches are queued. An array
    that was made or written on one stream may be used on another after ``other.wait(stream)``. Its memory is given to
    another array only when all streams are done with what was queued on them before it was freed.

    >>> import cuarray as ca
    >>> stream = ca.cuda.Stream()
    >>> with stream:
    ...     x = ca.arange(4) * 2  # queued on stream
    >>> ca.cuda.current_stream().wait(stream)
    >>> x + 1
    array([1, 3, 5, 7])
    """

    __slots__ = ("__weakref__", "_finalizer", "_keep", "handle")

    handle: int  #: the CUstream as an int, for kernels' brackets and other libraries

    def __init__(self, *, priority: int = 0, non_blocking: bool = False) -> None:
        runtime = _runtime.get()
        least, greatest = runtime.stream_priorities
        if not greatest <= operator.index(priority) <= least:
            raise ValueError(f"priority must be between {greatest} (first) and {least} (last), not {priority}")
        native, handle = runtime.create_stream(priority, bool(non_blocking))
        self._bind(handle, native)

    def _bind(self, handle: int, keep: Any) -> None:
        self.handle = handle
        self._keep = keep
        if handle != LEGACY_STREAM:
            runtime = _runtime.get()
            runtime.use_stream(handle, keep)
            self._finalizer = weakref.finalize(self, runtime.leave_stream, handle)
            self._finalizer.atexit = False  # what is left then goes with the process

    @classmethod
    def from_handle(cls, handle: int, owner: Any = None) -> Stream:
        """Another library's stream, given by its CUstream: 0 and 1 are the default stream. It is not destroyed here;
        `owner` is kept alive, and must keep the stream alive.

        ValueError for 2, the per-thread default stream, which is another stream in every thread.

        >>> import cuarray as ca
        >>> ca.cuda.Stream.from_handle(1) == ca.cuda.default_stream
        True
        """
        handle = operator.index(handle) or LEGACY_STREAM
        if handle == PER_THREAD_STREAM:
            raise ValueError("handle must not be 2: the per-thread default stream cannot be used here")
        if handle < 0:
            raise ValueError(f"handle must not be negative, as {handle} is")
        stream = object.__new__(cls)
        stream._bind(handle, owner)
        return stream

    def __repr__(self) -> str:
        return f"<cuarray stream {'default' if self.handle == LEGACY_STREAM else hex(self.handle)}>"

    def __eq__(self, other: object) -> bool:
        return self.handle == other.handle if isinstance(other, Stream) else NotImplemented

    def __hash__(self) -> int:
        return hash(self.handle)

    def __cuda_stream__(self) -> tuple[int, int]:
        """The protocol by which libraries take each other's streams: its version and the CUstream."""
        return 0, self.handle

    def __reduce__(self) -> Any:
        raise TypeError("a stream cannot be pickled: it exists in this process only")

    @property
    def priority_range(self) -> tuple[int, int]:
        """The priorities that streams may have: the last and the first."""
        return _runtime.get().stream_priorities

    # ---- the current stream
    def __enter__(self) -> Stream:
        runtime = _runtime.get()
        _entered.streams.append((self, runtime.stream))
        runtime.stream = self.handle
        return self

    def __exit__(self, *_exception: Any) -> None:
        _stream, before = _entered.streams.pop()
        _runtime.get().stream = before

    # ---- waiting
    def synchronize(self) -> None:
        """Wait until all work on the stream is done; raises what went wrong in it, as a CudaError.

        >>> import cuarray as ca
        >>> stream = ca.cuda.Stream()
        >>> stream.synchronize()
        """
        _runtime.get().synchronize_stream(self._driver_handle)

    @property
    def is_done(self) -> bool:
        """Whether all work on the stream is done.

        >>> import cuarray as ca
        >>> ca.cuda.Stream().is_done
        True
        """
        return _runtime.get().query_stream(self._driver_handle)

    @property
    def _driver_handle(self) -> int:
        return 0 if self.handle == LEGACY_STREAM else self.handle

    def record(self, event: Event | None = None) -> Event:
        """Let `event`, or a new one with timing, stand for the work on the stream so far; returns the event.

        >>> import cuarray as ca
        >>> event = ca.cuda.default_stream.record()
        >>> event.synchronize()
        """
        return (Event() if event is None else event).record(self)

    def wait(self, other: Event | Stream | Any) -> None:
        """Order what is queued on this stream from now on after an event, or after the work so far on another stream,
        of any library. Does not wait on the CPU.

        >>> import cuarray as ca
        >>> first, second = ca.cuda.Stream(), ca.cuda.Stream()
        >>> with first:
        ...     x = ca.ones(3)
        >>> second.wait(first)
        >>> with second:
        ...     print(x + 1)
        [2. 2. 2.]
        """
        if not isinstance(other, Event):
            handle = stream_handle(other)
            if (handle or LEGACY_STREAM) == self.handle:
                return
            event = Event(timing=False)
            event._record(handle)
            other = event
        other._make_wait(self)

    def capture(self) -> Graph:
        """``with stream.capture() as graph:``, as `cuarray.cuda.graph`, with this stream current.

        >>> import cuarray as ca
        >>> x, stream = ca.ones(3), ca.cuda.Stream(non_blocking=True)
        >>> with stream.capture() as graph:
        ...     x += 1
        >>> graph.launch()
        >>> x
        array([2., 2., 2.])
        """
        return Graph(self)


class Event:
    """A point in a stream's work, to wait for or to measure the time between two of them.

    timing: whether it takes the time. blocking: whether `synchronize` lets the CPU sleep instead of watching.

    >>> import cuarray as ca
    >>> start, end = ca.cuda.Event(), ca.cuda.Event()
    >>> start.record()
    <cuarray event, recorded>
    >>> x = ca.ones(1000) + 1
    >>> milliseconds = end.record() - start  # waits until both are reached
    >>> milliseconds > 0
    True
    """

    __slots__ = ("__weakref__", "_capture", "_native", "_recorded", "_stream")

    def __init__(self, *, timing: bool = True, blocking: bool = False) -> None:
        self._native = _runtime.get().create_event(bool(timing), bool(blocking))
        self._capture: Capture | None = None
        self._recorded = False
        self._stream = 0

    def __repr__(self) -> str:
        return f"<cuarray event, {'recorded' if self._recorded else 'not recorded'}>"

    def __reduce__(self) -> Any:
        raise TypeError("an event cannot be pickled: it exists in this process only")

    def record(self, stream: Stream | Any = None) -> Event:
        """Let the event stand for the work so far on `stream` (of any library; the current one); returns the event."""
        self._record(_runtime.get().stream if stream is None else stream_handle(stream))
        return self

    def _record(self, handle: int) -> None:
        runtime = _runtime.get()
        handle = 0 if handle == LEGACY_STREAM else handle
        runtime.record_event(self._native, handle)
        self._capture = runtime.captures.get(handle)
        self._recorded = True

    def _make_wait(self, waiting: Stream) -> None:
        if not self._recorded:
            return
        stream = waiting._driver_handle
        runtime = _runtime.get()
        capture = self._capture
        if capture is not None and not capture.active:
            _raise_captured()
        if stream in runtime.captures and runtime.captures[stream] is not capture:
            raise CudaError(
                "a stream that is being captured cannot wait for work outside of the graph: wait before the capture",
                905,
                "CUDA_ERROR_STREAM_CAPTURE_ISOLATION",
            )
        if capture is not None and not stream:
            raise CudaError(
                "the default stream cannot wait for a stream that is being captured",
                906,
                "CUDA_ERROR_STREAM_CAPTURE_IMPLICIT",
            )
        runtime.stream_wait(stream, self._native)
        if capture is not None:
            runtime.join_capture(capture, stream)
            capture.joined.append(waiting)

    def synchronize(self) -> None:
        """Wait until the event is reached; at once if it was never recorded."""
        self._check_real()
        _runtime.get().synchronize_event(self._native)

    @property
    def is_done(self) -> bool:
        """Whether the event is reached; true of one that was never recorded.

        >>> import cuarray as ca
        >>> ca.cuda.Event().is_done
        True
        """
        self._check_real()
        return _runtime.get().query_event(self._native)

    def __sub__(self, start: Event) -> float:
        """Milliseconds from `start` to this event, after waiting for both; CudaError if one was not recorded or takes
        no time."""
        if not isinstance(start, Event):
            return NotImplemented
        start.synchronize()
        self.synchronize()
        return _runtime.get().elapsed_time(start._native, self._native)

    def _check_real(self) -> None:
        if self._capture is not None:
            _raise_captured()


def _raise_captured() -> None:
    raise CudaError(
        "this event was recorded while a graph was captured: it orders the graph's work and is never reached itself",
        907,
        "CUDA_ERROR_CAPTURED_EVENT",
    )


def elapsed_time(start: Event, end: Event) -> float:
    """Milliseconds between two recorded events with timing, after waiting for both: ``end - start``.

    >>> import cuarray as ca
    >>> start, end = ca.cuda.Event().record(), ca.cuda.Event().record()
    >>> ca.cuda.elapsed_time(start, end) >= 0
    True
    """
    return end - start


class Graph:
    """Work that was captured once and can be launched any number of times, with one call; made by `graph`.

    It works on the memory that was used when it was captured. Arrays made during the capture stay the graph's until it
    is gone: each launch writes them anew. Arrays from before must be kept by the user.
    """

    __slots__ = ("__weakref__", "_capture", "_finalizer", "_keep", "_native", "_stream")

    def __init__(self, stream: Stream) -> None:
        if stream.handle == LEGACY_STREAM:
            raise ValueError("stream must not be the default stream, which cannot be captured")
        self._stream: Stream | None = stream
        self._capture: Capture | None = None
        self._native: Any = None
        self._keep: list[Any] = []

    def __repr__(self) -> str:
        state = "ready" if self._native is not None else "being captured" if self._capture else "not captured"
        return f"<cuarray graph, {state}>"

    def __reduce__(self) -> Any:
        raise TypeError("a graph cannot be pickled: it exists in this process only")

    def __enter__(self) -> Graph:
        runtime = _runtime.get()
        stream = self._stream
        if stream is None:
            raise RuntimeError("a graph is captured once: make another with cuarray.cuda.graph()")
        if stream.handle in runtime.captures:
            raise RuntimeError("this stream is already being captured")
        self._capture = runtime.begin_capture(stream.handle)
        stream.__enter__()
        return self

    def __exit__(self, kind: Any, *_exception: Any) -> None:
        runtime = _runtime.get()
        stream, capture = self._stream, self._capture
        assert stream is not None and capture is not None
        stream.__exit__()
        self._stream = self._capture = None
        self._native = runtime.end_capture(capture, discard=kind is not None)
        if self._native is not None:
            self._keep = capture.keep
            self._finalizer = weakref.finalize(self, runtime.release_graph, self._native, capture.memory)
            self._finalizer.atexit = False

    def launch(self, stream: Stream | Any = None) -> None:
        """Queue the graph's work on `stream` (of any library), or on the current one. In a capture it becomes a part
        of that graph. RuntimeError if the graph was not captured.

        >>> import cuarray as ca
        >>> x = ca.zeros(3)
        >>> with ca.cuda.graph() as graph:
        ...     x += 1
        >>> for _ in range(5):
        ...     graph.launch()
        >>> x
        array([5., 5., 5.])
        """
        if self._native is None:
            raise RuntimeError("the graph was not captured: launch it after `with cuarray.cuda.graph() as graph: ...`")
        runtime = _runtime.get()
        handle = runtime.stream if stream is None else stream_handle(stream)
        outer = runtime.captures.get(handle)
        if outer is not None:
            outer.keep.append(self)
        runtime.launch_graph(self._native, handle)


def graph(stream: Stream | None = None) -> Graph:
    """Capture work: what the block queues is not run but becomes a `Graph`. It is done on a stream of its own, or on
    `stream` (not the default stream), which is current within the block.

    Reading values (``item``, ``float``, ``np.asarray``, printing), making arrays of host values and synchronising
    raise `CudaError` within. Streams that wait for the capturing one, and for which it waits again, are captured, too.

    >>> import cuarray as ca
    >>> x = ca.arange(3.0)
    >>> with ca.cuda.graph() as g:
    ...     y = x * x + 1
    >>> g.launch()
    >>> y
    array([1., 2., 5.])
    >>> x += 1
    >>> g.launch()
    >>> y
    array([ 2.,  5., 10.])
    """
    return Graph(Stream(non_blocking=True) if stream is None else stream)


def current_stream() -> Stream:
    """The stream on which this thread's work is queued.

    >>> import cuarray as ca
    >>> ca.cuda.current_stream()
    <cuarray stream default>
    >>> with ca.cuda.Stream() as stream:
    ...     ca.cuda.current_stream() is stream
    True
    """
    handle = _runtime.get().stream or LEGACY_STREAM
    if _entered.streams and _entered.streams[-1][0].handle == handle:
        return _entered.streams[-1][0]
    return Stream.from_handle(handle)


def as_stream(stream: Any) -> Stream:
    """A stream of any library as a `Stream`, without a copy: objects with ``__cuda_stream__`` (cuda.core, torch), with
    ``cuda_stream``, ``ptr`` or ``handle`` (torch, CuPy, numba), and ints. The object is kept alive.

    >>> import cuarray as ca
    >>> stream = ca.cuda.Stream()
    >>> ca.cuda.as_stream(stream) is stream
    True
    """
    return stream if isinstance(stream, Stream) else Stream.from_handle(stream_handle(stream), stream)


#: The legacy default stream, current in every thread at its start.
default_stream = Stream.from_handle(LEGACY_STREAM)
