"""docs/numpy-comparison.md tells of the names that there are."""

from __future__ import annotations

import importlib.util
import inspect
import re
import sys
import tomllib
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import cuarray as ca

ROOT = Path(__file__).resolve().parents[1]
TEXT = (ROOT / "docs" / "numpy-comparison.md").read_text()


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    specification = importlib.util.spec_from_file_location("compare_with_numpy", ROOT / "tools/compare_with_numpy.py")
    assert specification and specification.loader
    module = importlib.util.module_from_spec(specification)
    sys.modules[specification.name] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    return module


def test_every_public_name_is_told_of() -> None:
    told = set(re.findall(r"`([\w.]+)`", TEXT))
    assert set(ca.__all__) <= told, "run python tools/compare_with_numpy.py"


def test_the_table_is_up_to_date(tool: ModuleType) -> None:
    """Names and whether they are there; for the NumPy that the table was made with."""
    if f"those of NumPy {np.__version__.rsplit('.', 1)[0]}." not in TEXT:
        pytest.skip("made with another NumPy")
    rows = set(re.findall(r"^\| `([\w.]+)` \| (yes|–) \|", TEXT, re.MULTILINE))
    expected = {(row.name, "yes" if row.present else "–") for section in tool.sections() for row in section.rows}
    assert rows == expected, "run python tools/compare_with_numpy.py"


def test_remarks_are_about_names_of_numpy(tool: ModuleType) -> None:
    names = {row.name for section in tool.sections() for row in section.rows}
    data = tomllib.loads(tool.DATA.read_text())
    absent = [name for group in data["absent"].values() for name in group if "__" not in name]
    if np.__version__.startswith("2.4"):
        assert set(data["remarks"]) <= names
        assert set(absent) <= names, sorted(set(absent) - names)
    present = {row.name for section in tool.sections() for row in section.rows if row.present}
    assert not present & set(absent), "a reason why it is not there is given for what is there"


def test_parameters(tool: ModuleType) -> None:
    def theirs(a, axis=None, *, where=True, subok=True) -> None: ...
    def ours(x, axis=None) -> None: ...
    def open_ended(x, **options) -> None: ...

    assert tool.missing_parameters(theirs, ours) == ["where"]
    assert tool.missing_parameters(theirs, open_ended) == []
    assert tool.missing_parameters(len, ours) == []


# Differences of signatures that are meant: NumPy's arange and tensordot of linalg leave it open what a first argument
# is called; show_config shows cuarray's own configuration.
OTHER_PARAMETERS = {"arange", "linalg.tensordot", "show_config"}


def _functions_of_both() -> dict[str, tuple[Any, Any]]:
    both = {
        "": (np, ca),
        "ndarray.": (np.ndarray, ca.CuArray),
        "random.Generator.": (np.random.Generator, ca.random.Generator),
    }
    both |= {f"{name}.": (getattr(np, name), getattr(ca, name)) for name in ("linalg", "fft", "random")}
    found = {}
    for prefix, (theirs, ours) in both.items():
        for name in dir(theirs):
            pair = getattr(theirs, name), getattr(ours, name, None)
            if not name.startswith("_") and all(map(callable, pair)) and not isinstance(pair[0], type):
                found[prefix + name] = pair
    return found


FUNCTIONS = _functions_of_both()


def _parameters(function: Any) -> list[inspect.Parameter]:
    try:
        return list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):  # compiled, without a signature
        return []


@pytest.mark.parametrize("name", sorted(set(FUNCTIONS) - OTHER_PARAMETERS))
def test_parameters_are_called_and_stand_as_in_numpy(name: str) -> None:
    """Whatever may be given by position has NumPy's place, whatever by name NumPy's name, as far as cuarray has it."""
    theirs, ours = map(_parameters, FUNCTIONS[name])
    kinds = {parameter.kind for parameter in ours}
    if not theirs or inspect.Parameter.VAR_POSITIONAL in kinds:
        return
    by_place = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    wanted, present = ([p for p in side if p.kind in by_place] for side in (theirs, ours))
    assert len(wanted) <= len(present)
    for one, other in zip(present, wanted, strict=False):
        if other.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD:
            assert (one.name, one.kind) == (other.name, other.kind)
