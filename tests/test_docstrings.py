"""Every public function has an example in its docstring, and all examples of docstrings are right."""

from __future__ import annotations

import doctest
import importlib
import inspect
import pkgutil
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

import cuarray as ca
from cuarray import array_api

# Modules that stand for nothing by themselves: they are run, or need what is not always installed.
_NOT_IMPORTED = {"cuarray.__main__", "cuarray.cppyy_ext"}
MODULES = sorted(info.name for info in pkgutil.walk_packages(ca.__path__, "cuarray.") if info.name not in _NOT_IMPORTED)
NAMESPACES: dict[str, Any] = {
    "": ca,
    "fft.": ca.fft,
    "linalg.": ca.linalg,
    "array_api.": array_api,
    "array_api.linalg.": array_api.linalg,
    "random.": ca.random,
    "random.Generator.": ca.random.Generator,
    "lib.stride_tricks.": ca.lib.stride_tricks,
}


def _examples(module: ModuleType) -> list[doctest.DocTest]:
    return [test for test in doctest.DocTestFinder(exclude_empty=True).find(module) if test.examples]


@pytest.mark.parametrize("name", ["cuarray", *MODULES])
def test_examples_are_right(name: str) -> None:
    for test in _examples(importlib.import_module(name)):
        printed: list[str] = []
        if doctest.DocTestRunner(verbose=False).run(test, out=printed.append).failed:
            pytest.fail("".join(printed))


def _functions() -> Iterator[tuple[str, Any]]:
    for prefix, namespace in NAMESPACES.items():
        for name in getattr(namespace, "__all__", dir(namespace)):
            value = getattr(namespace, name)
            own = getattr(value, "__module__", "") or ""
            if not name.startswith("_") and inspect.isroutine(value) and own.startswith("cuarray"):
                yield prefix + name, value


def test_every_public_function_has_an_example() -> None:
    assert [name for name, function in _functions() if ">>>" not in (function.__doc__ or "")] == []
