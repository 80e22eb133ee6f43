"""Work that nobody waits for, on a thread of its own: compiling what is likely to be wanted next.

The compilers that work here release the GIL. The thread's priority is that of the others: with a lower one it would be
kept waiting, on a busy machine, while it holds the GIL for a moment, and all others with it.

The thread is started with the first piece of work. It never outlives the process: at exit what is queued is dropped and
what runs is asked to stop (`stop_flag`). A forked child has none of the parent's work, and a thread of its own.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable

_PATIENCE = 0.5  # seconds that the exit waits for what cannot be stopped

stop_flag = ctypes.c_int(0)  # not 0: the process is about to end

_condition = threading.Condition()
_queue: deque[Callable[[], None]] = deque()
_thread: threading.Thread | None = None
_running = False


def submit(work: Callable[[], None]) -> None:
    """Have `work` done some time. What it raises is lost, unless CUARRAY_DEBUG is set: then stderr has it."""
    global _thread
    with _condition:
        if stop_flag.value or os.environ.get("CUARRAY_BACKGROUND", "1") == "0":
            return
        _queue.append(work)
        if _thread is None:
            _thread = threading.Thread(target=_run, name="cuarray background", daemon=True)
            _thread.start()
        _condition.notify_all()


def wait(timeout: float | None = None) -> bool:
    """Wait until nothing is queued or running; whether that is so."""
    with _condition:
        return _condition.wait_for(lambda: not _queue and not _running, timeout)


def _run() -> None:
    global _running
    while True:
        with _condition:
            _running = False
            _condition.notify_all()
            _condition.wait_for(lambda: bool(_queue))
            work = _queue.popleft()
            _running = True
        try:
            work()
        except Exception:
            if os.environ.get("CUARRAY_DEBUG", "0") not in ("", "0") and not stop_flag.value:
                print("cuarray: work in the background failed:", file=sys.stderr)
                traceback.print_exc()


def _stop() -> None:
    stop_flag.value = 1
    with _condition:
        _queue.clear()
    wait(_PATIENCE)


def _forget() -> None:
    """In the child of a fork: the thread is not there, and its lock may have been held."""
    global _condition, _thread, _running
    _condition = threading.Condition()
    _queue.clear()
    _thread, _running = None, False


atexit.register(_stop)
os.register_at_fork(after_in_child=_forget)
