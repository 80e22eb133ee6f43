"""A word to whoever waits for a compiler: once a process, when a compilation takes longer than a second."""

from __future__ import annotations

import contextlib
import logging
import os
import threading
import time
from collections.abc import Iterator

_SECONDS = 1.0

_log = logging.getLogger("cuarray")
_said = threading.Event()


@contextlib.contextmanager
def long_compile(what: str, kept: str = "later processes find it on disk") -> Iterator[None]:
    """Say so (a warning of the logger "cuarray", which by default goes to stderr) if what happens within takes long.

    CUARRAY_QUIET=1 silences it.
    """
    if _said.is_set() or os.environ.get("CUARRAY_QUIET", "0") not in ("", "0"):
        yield
        return

    def say() -> None:
        if not _said.is_set():
            _said.set()
            _log.warning("cuarray: compiling %s takes more than a second; %s", what, kept)

    began = time.perf_counter()
    timer = threading.Timer(_SECONDS, say)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
    if time.perf_counter() - began > _SECONDS:  # a compiler that holds the GIL lets no other thread speak
        say()
