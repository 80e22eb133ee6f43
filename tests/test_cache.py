"""Compiled programs on disk: what is read is what was written, whatever happens to the folder."""

from __future__ import annotations

import os
import re
import resource
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cuarray._runtime import Source, background, cache, nvrtc

KEY, OTHER = b"k" * 32, b"o" * 32
SOURCE = Source("cached", "template <class T> __global__ void f(T* x) { x[0] = 1; }")


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(cache, "_unwritten", {})
    monkeypatch.setattr(cache, "_trimmed", set())


@pytest.fixture
def compiled(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, ...]]:
    """The names that NVRTC compiles during the test."""
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")
    calls: list[tuple[str, ...]] = []
    own = nvrtc._compile

    def counted(wanted: nvrtc.Program, names: tuple[str, ...], cancel: int = 0) -> nvrtc.Binary:
        calls.append(tuple(names))
        return own(wanted, names, cancel)

    monkeypatch.setattr(nvrtc, "_compile", counted)
    return calls


@given(binary=st.binary(max_size=200), names=st.dictionaries(st.text(min_size=1), st.text()))
def test_what_was_written_is_read(binary: bytes, names: dict[str, str]) -> None:
    cache.put(KEY, binary, names)
    assert cache.get(KEY) == (binary, names)
    cache.put_family({KEY: names, OTHER: {"f": "g"}}, binary)
    assert cache.get(KEY) == (binary, names)
    assert cache.get(OTHER) == (binary, {"f": "g"})


def test_a_family_is_stored_once() -> None:
    binary = os.urandom(100_000)
    cache.put_family({KEY: {"f": "f"}, OTHER: {"g": "g"}}, binary)
    assert cache.contents().program_bytes < 102_000
    assert cache.contents().programs == 3


@given(data=st.data())
def test_a_damaged_file_is_none(data: st.DataObject) -> None:
    cache.put(KEY, b"binary" * 10, {"f<int>": "_Z1f"})
    path = cache._path(KEY)
    stored = path.read_bytes()
    place = data.draw(st.integers(0, len(stored) - 1))
    if data.draw(st.booleans()):
        damaged = stored[:place]
    else:
        damaged = stored[:place] + bytes([stored[place] ^ data.draw(st.integers(1, 255))]) + stored[place + 1 :]
    path.write_bytes(damaged)
    assert cache.get(KEY) is None
    assert not path.exists()  # and is written anew
    cache.put(KEY, b"again", {})
    assert cache.get(KEY) == (b"again", {})


def test_a_family_without_its_binary_is_none() -> None:
    cache.put_family({KEY: {"f": "f"}}, b"binary")
    (binary,) = (path for path in cache.folder().rglob("*") if path.is_file() and path != cache._path(KEY))
    binary.unlink()
    assert cache.get(KEY) is None


def test_a_full_disk_costs_only_time() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, hard))
    try:
        cache.put(KEY, b"binary" * 1000, {})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert [path for path in cache.folder().rglob("*") if path.is_file()] == []
    assert cache.get(KEY) == (b"binary" * 1000, {})  # for this process


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path / "file" / "below"))
    assert cache.get(KEY) is None
    cache.put(KEY, b"binary", {})
    assert cache.get(KEY) == (b"binary", {})
    assert cache.contents() == (0, 0, 0)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_read() -> None:
    cache.put(KEY, b"binary", {})
    path = cache._path(KEY)
    path.parent.chmod(0o500)
    path.chmod(0o400)
    try:
        assert cache.get(KEY) == (b"binary", {})
        cache.put(KEY, b"other", {})
        assert cache._path(KEY).read_bytes().endswith(b"binary")
    finally:
        path.parent.chmod(0o700)


def test_processes_that_write_at_once() -> None:
    """Every file that is read is one that somebody wrote, whole."""
    code = """
import sys
from cuarray._runtime import cache
letter = sys.argv[1].encode()
for turn in range(300):
    cache.put(b"k" * 32, letter * (1000 + turn), {"f": letter.decode()})
    binary, names = cache.get(b"k" * 32)
    assert set(binary) == set(names["f"].encode()), (binary[:10], names)
"""
    processes = [subprocess.Popen([sys.executable, "-c", code, letter]) for letter in "xyz"]
    assert [process.wait(200) for process in processes] == [0, 0, 0]
    assert not list(cache.folder().rglob("*.tmp"))


def test_the_least_recently_read_go_first(tmp_path: Path) -> None:
    for number in range(4):
        key = bytes([number]) * 32
        cache.put(key, bytes(1000), {})
        os.utime(cache._path(key), (number, number))
    cache.get(bytes([0]) * 32)  # now it was read last
    unfinished = cache.folder() / "programs" / "left.tmp"
    unfinished.write_text("by a process that was killed")
    os.utime(unfinished, (0, 0))
    cache.trim(cache.folder() / "programs", 2500)
    assert [cache.get(bytes([number]) * 32) is None for number in range(4)] == [False, True, True, False]
    assert not unfinished.exists()


def test_clear() -> None:
    cache.put(KEY, b"binary", {})
    assert cache.clear().programs == 1
    assert cache.contents() == (0, 0, 0) and cache.get(KEY) is None
    assert cache.clear().programs == 0


def test_a_program_is_compiled_once(compiled: list[tuple[str, ...]]) -> None:
    first = nvrtc.compile(SOURCE, ("f<float>", "f<int>"), "sm_80")
    assert cache.contents().program_bytes > len(first.code)
    assert nvrtc.compile(SOURCE, ("f<float>", "f<int>"), "sm_80") == first
    assert set(first.symbols) == {"f<float>", "f<int>"} and len(compiled) == 1


def test_what_changes_the_code_changes_the_key(
    compiled: list[tuple[str, ...]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def compile_it(arch: str = "sm_80", source: Source = SOURCE) -> None:
        nvrtc.compile(source, ("f<int>",), arch)

    compile_it()
    compile_it("sm_90")
    compile_it(source=SOURCE._replace(text=SOURCE.text + " "))
    compile_it(source=SOURCE._replace(contract=True))
    monkeypatch.setattr(nvrtc, "_headers_digest", lambda: b"another version of cuarray")
    compile_it()
    monkeypatch.setattr(nvrtc, "_version", lambda: "another NVRTC")
    compile_it()
    assert len(compiled) == 6


def test_a_family_is_found_by_each_of_its_names(compiled: list[tuple[str, ...]]) -> None:
    nvrtc.compile(SOURCE, ("f<int>",), "sm_80")
    nvrtc.compile_family(SOURCE, ["f<int>", "f<float>", "f<double>", "f<float>"], "sm_80")
    assert compiled == [("f<int>",), ("f<float>", "f<double>")]
    for name in ("f<float>", "f<double>"):
        binary = nvrtc.compile(SOURCE, (name,), "sm_80")
        assert list(binary.symbols) == [name] and binary.symbols[name].encode() in binary.code
    assert len(compiled) == 2


def test_a_family_is_compiled_in_the_background(compiled: list[tuple[str, ...]]) -> None:
    asked: list[int] = []

    def family() -> list[str]:
        asked.append(1)
        return ["f<float>", "f<char>"]

    for _ in range(2):
        nvrtc.compile(SOURCE, ("f<int>",), "sm_80", family=family)
        assert background.wait(60)
    assert compiled == [("f<int>",), ("f<float>", "f<char>")] and asked == [1]


def test_a_hit_needs_no_compiler(compiled: list[tuple[str, ...]]) -> None:
    """Loading NVRTC takes longer than all else of a first call."""
    nvrtc.compile(SOURCE, ("f<int>",), "sm_80")
    code = f"""
from cuarray._runtime import Source, nvrtc
nvrtc.compile(Source(*{tuple(SOURCE)!r}), ("f<int>",), "sm_80")
print(open("/proc/self/maps").read())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr
    packaged = len([name for name in nvrtc._PACKAGES if nvrtc._package_version(name)]) > 1
    assert bool(re.search(r"libnvrtc|libCling", result.stdout)) != packaged
