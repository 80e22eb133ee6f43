"""Work in the background, the word to those who wait, and callbacks on imports."""

from __future__ import annotations

import importlib
import logging
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from cuarray._runtime import background, notice, on_import


def run(code: str, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env={**os.environ, **environment}
    )


def test_work_is_done_in_order_on_another_thread() -> None:
    done: list[tuple[int, int]] = []
    for number in range(5):
        background.submit(lambda number=number: done.append((number, threading.get_ident())))
    assert background.wait(60)
    assert [number for number, _ in done] == [0, 1, 2, 3, 4]
    assert len({thread for _, thread in done} - {threading.get_ident()}) == 1


def test_what_fails_is_lost_unless_debugging(capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    for debug in ("0", "1"):
        monkeypatch.setenv("CUARRAY_DEBUG", debug)
        background.submit(lambda: 1 / 0)
        background.submit(lambda: done.append(1))
        assert background.wait(60)
        assert ("ZeroDivisionError" in capsys.readouterr().err) == (debug == "1")
    assert done == [1, 1]


def test_it_can_be_switched_off(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[int] = []
    monkeypatch.setenv("CUARRAY_BACKGROUND", "0")
    background.submit(lambda: done.append(1))
    assert background.wait(60) and done == []


def test_exit_and_fork() -> None:
    """The exit waits for no more than what runs, and drops the rest; a child has a thread of its own."""
    code = """
import os, time, threading, warnings
warnings.simplefilter("ignore")  # of a fork where there are threads
from cuarray._runtime import background
started = threading.Event()
def work():
    started.set()
    while not background.stop_flag.value: time.sleep(0.001)
    print("stopped")
background.submit(work)
background.submit(lambda: print("never"))
started.wait()
child = os.fork()
if child == 0:
    done = []
    background.submit(lambda: done.append(1))
    os._exit(0 if background.wait(60) and done == [1] else 1)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)
"""
    result = run(code)
    assert (result.stdout.split(), result.stderr) == (["0", "stopped"], "")


def test_a_compilation_is_stopped_at_exit() -> None:
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")
    if not hasattr(nvrtc, "nvrtcSetFlowCallback"):
        pytest.skip("this NVRTC cannot be stopped")
    import ctypes

    from cuarray import CompileError
    from cuarray._runtime import Source, native
    from cuarray._runtime.nvrtc import compile_family

    if not native.library().table:
        pytest.skip("the native library is not compiled here")
    new = f"// {time.time_ns()}"  # on no disk
    source = Source("stopped", f"template <class T> __global__ void f(T* x) {{ x[0] = 1; }} {new}")
    stop = ctypes.c_int(1)
    with pytest.raises(CompileError, match="CANCEL"):
        compile_family(source, ["f<int>"], "sm_80", ctypes.addressof(stop))


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(notice, "_SECONDS", 0.01)
    monkeypatch.setattr(notice, "_said", threading.Event())
    monkeypatch.delenv("CUARRAY_QUIET", raising=False)
    caplog.set_level(logging.WARNING, "cuarray")
    return caplog


def test_a_long_compilation_says_so_once(said: pytest.LogCaptureFixture) -> None:
    with notice.long_compile("a kernel"):
        deadline = time.monotonic() + 60
        while not said.records and time.monotonic() < deadline:  # said while it lasts
            time.sleep(0.001)
    with notice.long_compile("another"):
        time.sleep(0.03)
    (record,) = said.records
    assert "compiling a kernel takes more than a second" in record.getMessage()


def test_a_compilation_that_fails_is_not_hidden(said: pytest.LogCaptureFixture) -> None:
    with pytest.raises(ZeroDivisionError), notice.long_compile("a kernel"):
        raise ZeroDivisionError


def test_the_word_can_be_silenced(said: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUARRAY_QUIET", "1")
    with notice.long_compile("a kernel"):
        time.sleep(0.03)
    assert not said.records


def test_a_callback_on_import(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "imported_later.py").write_text("value = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    called: list[int] = []
    finders = list(sys.meta_path)
    on_import.when_imported("imported_later", lambda: called.append(sys.modules["imported_later"].value))
    assert called == []
    module = importlib.import_module("imported_later")
    assert called == [1] and sys.meta_path == finders
    assert type(module.__loader__).__name__ == type(module.__spec__.loader).__name__ == "SourceFileLoader"
    on_import.when_imported("imported_later", lambda: called.append(2))
    assert called == [1, 2]
    monkeypatch.delitem(sys.modules, "imported_later")


def test_import_brings_no_compiler_and_numba_brings_its_types() -> None:
    code = """
import sys, cuarray as ca
print([m for m in ('numba', 'scipy', 'llvmlite', 'cppyy', 'cuda.core', 'cuda.bindings') if m in sys.modules])
import numba
@numba.njit
def size(x): return x.size
print(size(ca.zeros(7)))
"""
    result = run(code)
    assert result.stdout.split("\n")[:2] == ["[]", "7"], result.stderr


def test_cppyy_that_is_imported_after_the_runtime_started_takes_arrays() -> None:
    code = """
import cuarray as ca
x = ca.empty(3)
import cppyy
cppyy.cppdef("double first(const double* x) { return x[0]; }")
x[...] = 5
print(cppyy.gbl.first(x))
"""
    result = run(code, CUARRAY_BACKEND="host")
    assert result.stdout.split() == ["5.0"], result.stderr


def test_a_compiler_that_links_its_own_cpp_library(tmp_path: Path) -> None:
    """What the native library brings along must not take the place of what Cling uses."""
    code = """
import cuarray as ca
from cuarray._runtime import native
x = ca.ones(3) + 1
assert native.library().table, native.library().failure
import cppyy
print(cppyy.gbl.std.string("still") == "still", float(x.sum()))
"""
    done = run(code, CXX="c++ -static-libstdc++ -include iostream", CUARRAY_CACHE_DIR=str(tmp_path))
    assert (done.stdout, done.returncode) == ("True 6.0\n", 0), done.stderr
