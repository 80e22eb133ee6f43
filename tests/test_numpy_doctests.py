"""NumPy's own examples, in its own docstrings, give with cuarray what they give with NumPy; see numpy_doctests."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy_doctests import Run, functions, run, same_text

import cuarray as ca

DOCSTRINGS = functions()
DIFFER: dict[str, Any] = tomllib.loads((Path(__file__).parent / "numpy_doctests_differ.toml").read_text())
VERSION = DIFFER.pop("numpy")


@functools.cache
def result(name: str) -> Run:
    return run(name, DOCSTRINGS[name])


# What other libraries on a GPU may print otherwise: signs of vectors, and the last place of a power cut off to an int.
OPEN_ON_GPUS = {"linalg.eigh", "linalg.eig", "linalg.qr", "linalg.svd", "geomspace", "logspace"}


@pytest.mark.skipif(not np.__version__.startswith(VERSION), reason=f"the list is of NumPy {VERSION}'s examples")
@pytest.mark.parametrize("name", DOCSTRINGS)
def test_examples(name: str) -> None:
    """Every example agrees, except those that are listed; and those do differ."""
    if name in OPEN_ON_GPUS and ca.cuda.is_available():
        pytest.skip("what a GPU's libraries and functions leave open")
    known = DIFFER.get(name, {})
    outcomes = result(name).outcomes
    unknown = [one for one in outcomes if not one.agrees and one.first_line not in known]
    assert not unknown, "\n".join(
        f">>> {one.source.rstrip()}\nNumPy:\n{one.numpy}cuarray:\n{one.cuarray}" for one in unknown
    )
    differing = {one.first_line for one in outcomes if not one.agrees}
    assert set(known) <= differing, f"listed, but these agree: {sorted(set(known) - differing)}"


def test_listed_functions_exist() -> None:
    assert set(DIFFER) <= set(DOCSTRINGS)


@pytest.mark.slow
def test_share_that_agrees() -> None:
    outcomes = [one for name in DOCSTRINGS for one in result(name).outcomes]
    agreeing = sum(one.agrees for one in outcomes)
    assert len(outcomes) > 400, "the examples were not found"
    assert agreeing >= 0.95 * len(outcomes), f"{agreeing} of {len(outcomes)} examples agree"


@pytest.mark.parametrize(
    ("numpy", "cuarray", "same"),
    [
        ("array([1, 2])\n", "array([1,  2])\n", True),
        ("array(0.1)", "array(0.1000000001)", True),
        ("array(0.1)", "array(0.11)", False),
        ("array([1])", "array([1], dtype=int32)", False),
        ("array([1])", "array([1, 2])", False),
        ("[np.int64(3), np.True_]", "[array(3), array(True)]", True),
        ("array([nan, inf])", "array([nan, -inf])", False),
        ("ValueError", "TypeError", False),
        ("[1, 2]", "(1, 2)", False),
    ],
)
def test_comparison(numpy: str, cuarray: str, same: bool) -> None:
    assert same_text(numpy, cuarray) is same
