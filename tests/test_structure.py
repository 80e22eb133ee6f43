"""What the source itself must keep to: one place knows the backend, one header the compiler, one row an operation."""

from __future__ import annotations

import functools
import re
from pathlib import Path

import pytest

import cuarray as ca
from cuarray import _functions
from cuarray._functions.elementwise import BY_NUMPY_UFUNC, FUNCTIONS
from cuarray._table import ELEMENTWISE, REDUCTIONS

PACKAGE = Path(ca.__file__).parent
KERNELS = PACKAGE / "kernels"
MODULES = sorted(PACKAGE.rglob("*.py"))
FUNCTORS = "".join(path.read_text() for path in KERNELS.glob("ops*.cuh"))
HEADERS = sorted(path for path in KERNELS.rglob("*") if path.suffix in (".cuh", ".hpp"))


def code(path: Path) -> str:
    """Without comments, and of Python without docstrings and messages: what is said is not what is done."""
    text = path.read_text()
    if path.suffix == ".py":
        text = re.sub(r'"""(?s:.*?)"""', "", text)
        return re.sub(r"#.*", "", re.sub(r'f?"[^"\n]*"', '""', text))
    return re.sub(r"/\*(?s:.*?)\*/|//.*", "", text)


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_the_runtime_knows_the_backend(path: Path) -> None:
    """No other module talks to CUDA, asks which backend was chosen, or names a backend's class."""
    if path.parent.name == "_runtime":
        return
    text = code(path)
    for pattern in (
        r"\bcuda\.(bindings|core)\b",
        r"^\s*(from|import) cuda\b",
        r"\b(CudaRuntime|HostRuntime)\b",
        r"_runtime(\.| import )(cuda|host|nvrtc)\b",
        r"environ",
    ):
        found = re.search(pattern, text, re.MULTILINE)
        assert not found, f"{path.name}: {found[0]!r} belongs in _runtime"


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_only_portable_tests_the_compiler(path: Path) -> None:
    if path.name == "portable.cuh" or path.parent.name == "host":
        return
    found = re.search(r"__CUDACC\w*|__CUDA_ARCH__|__CLING__|__clang__|_WIN32", code(path))
    assert not found, f"{path.name}: {found[0]!r} belongs in portable.cuh"


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: path.name)
def test_headers_have_a_guard_and_a_purpose(path: Path) -> None:
    text = path.read_text()
    assert text.startswith("//"), "a header begins by saying what it is for"
    if path.suffix == ".cuh":
        assert "#pragma once" in text


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_modules_say_what_they_are_for(path: Path) -> None:
    text = path.read_text()
    assert not text.strip() or text.startswith('"""')


@pytest.mark.parametrize("name", ELEMENTWISE)
def test_every_row_has_its_function_and_functor(name: str) -> None:
    row = ELEMENTWISE[name]
    function = getattr(ca, name)
    assert function is getattr(_functions, name) is FUNCTIONS[name]
    assert BY_NUMPY_UFUNC[row.ufunc] is function
    assert function.__name__ == name == row.ufunc.__name__
    assert function.nin == row.ufunc.nin
    assert function.__doc__.strip()
    assert f"{name} = " in (PACKAGE / "_functions" / "elementwise.py").read_text(), "an assignment that grep finds"
    struct = row.functor.rsplit("::", 1)[1]
    assert re.search(rf"\bstruct {struct}\b", FUNCTORS)
    if row.dunder:
        assert hasattr(ca.CuArray, f"__{row.dunder}__")


def test_no_row_stands_twice() -> None:
    # NumPy has two ufuncs for some functions (radians and deg2rad); never two rows for one ufunc.
    ufuncs = [row.ufunc for row in ELEMENTWISE.values()]
    assert len(set(ufuncs)) == len(ufuncs)
    dunders = [row.dunder for row in ELEMENTWISE.values() if row.dunder]
    assert len(set(dunders)) == len(dunders)


@pytest.mark.parametrize("name", REDUCTIONS)
def test_every_reduction_has_its_function_and_functor(name: str) -> None:
    function = getattr(ca, name)
    assert function is getattr(_functions, name)
    assert function.__doc__.strip()
    assert re.search(rf"\bstruct {REDUCTIONS[name].functor}\b", (KERNELS / "reductions.cuh").read_text())


def test_public_functions_are_documented() -> None:
    for name in dir(ca):
        value = getattr(ca, name)
        if not name.startswith("_") and callable(value) and getattr(value, "__module__", "").startswith("cuarray"):
            assert (value.__doc__ or "").strip(), name


def test_public_methods_are_documented() -> None:
    for name, value in vars(ca.CuArray).items():
        if not name.startswith("_") and callable(value):
            assert (value.__doc__ or "").strip(), name


_TESTS = "".join(path.read_text() for path in sorted(Path(__file__).parent.rglob("*.py")))
_VECTOR_TYPES = re.compile(r"(u?(char|short|int|long|longlong)|float|double)[1-4]")


@pytest.mark.parametrize("namespace", ["", "fft", "linalg", "random", "random.Generator", "lib.stride_tricks"])
def test_every_public_function_is_tested(namespace: str) -> None:
    """Called by its name or named in a list: as an attribute, a word of text, or a row of the table of functions."""
    owner = functools.reduce(getattr, filter(None, namespace.split(".")), ca)
    lacking = [
        name
        for name in getattr(owner, "__all__", dir(owner))
        if callable(getattr(owner, name))
        and not name.startswith("_")
        and getattr(getattr(owner, name), "__module__", "cuarray").startswith("cuarray")  # not NumPy's own
        and not isinstance(getattr(owner, name), type)
        and not _VECTOR_TYPES.fullmatch(name)
        and getattr(getattr(owner, name), "__name__", name) not in ELEMENTWISE
        and not re.search(rf"\.{name}\b\(|[\"' ]{name}[\"' ]", _TESTS)
    ]
    assert lacking == []
