"""Wrong calls, from wrong_calls.txt: what NumPy refuses is refused with the same class of exception, and nothing dies.

What NumPy accepts has to be accepted, with its result. What differs on purpose is in wrong_calls_differ.toml.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from comparison import _public_class, assert_same, outcome

import cuarray as ca
from cuarray import _runtime

HERE = Path(__file__).parent
DIFFER: dict[str, list[str]] = tomllib.loads((HERE / "wrong_calls_differ.toml").read_text())
ON_GPU = "on a GPU, "  # how reasons begin that hold only there
KNOWN = {
    call
    for reason, calls in DIFFER.items()
    if not reason.startswith(ON_GPU) or not _runtime.get().host_is_device
    for call in calls
}


def calls(text: str) -> Iterator[tuple[str, str, list[str]]]:
    """Families, functions, and their calls."""
    found: dict[tuple[str, str], list[str]] = {}
    family, functions, arguments = "", [""], ""
    for line in [*text.splitlines(), "end"]:
        if line.startswith(" "):
            arguments += " " + line.strip()
            continue
        for function in functions if arguments else ():
            for part in (part.strip() for part in (arguments + " ").split(" ; ")):
                own = "" if part == "()" else part.removesuffix(" ;")
                found.setdefault((family, function), []).append(own if function == "=" else f"{function}({own})")
        arguments = ""
        if line.startswith("["):
            family = line.strip("[]")
        elif line and not line.startswith("#"):
            functions = line.split()
    for (family, function), own in found.items():
        yield family, function, own


CALLS = list(calls((HERE / "wrong_calls.txt").read_text()))


def names(xp: Any) -> dict[str, Any]:
    """What the calls may use; arrays of their own for each, since some would be written to."""
    read_only = xp.zeros((2, 3))
    read_only.flags.writeable = False
    return {
        "xp": xp,
        "x": xp.arange(6.0).reshape(2, 3),
        "sq": xp.asarray([[2.0, 1.0, 0.0], [1.0, 3.0, 1.0], [0.0, 1.0, 4.0]]),
        "v": xp.arange(4.0),
        "i": xp.arange(6).reshape(2, 3),
        "b": xp.asarray([True, False, True]),
        "c": xp.asarray([1 + 2j, 3 - 1j]),
        "z": xp.zeros((0,)),
        "e": xp.zeros((2, 0)),
        "s": xp.asarray(3.0),
        "ro": read_only,
        "out": xp.zeros((2, 3)),
        "iout": xp.zeros((2, 3), "int8"),
        "g": xp.random.default_rng(0),
        "HUGE": 2**62,
        "nan": float("nan"),
    }


def difference(call: str) -> str | None:
    """How cuarray's outcome differs from NumPy's; None if it does not."""
    expected, refused = outcome(lambda: eval(call, names(np)))
    actual, error = outcome(lambda: eval(call, names(ca)))
    if error is not None and not str(error):
        return f"{call}: {type(error).__name__} says nothing"
    if isinstance(error, TypeError) and "cuarray has no dtype" in str(error):
        return None  # text, None and objects of Python: there are no such arrays
    if refused is None:
        if error is not None:
            return f"{call}: NumPy accepts it, cuarray raises {error!r}"
        if isinstance(expected, np.ndarray | np.generic) and not any(own in call for own in ("g.", "random", "empty(")):
            try:
                assert_same(actual, expected)
            except AssertionError as wrong:
                return f"{call}: {wrong}"
        return None
    base: Any = _public_class(refused)
    if isinstance(refused, MemoryError):
        base = (MemoryError, ValueError)
    elif isinstance(refused, OverflowError):  # of a C int that an axis is kept in
        base = (OverflowError, np.exceptions.AxisError)
    if isinstance(error, base):
        return None
    return f"{call}: NumPy raises {refused!r}, cuarray {error!r} (gives {type(actual).__name__})"


@pytest.mark.parametrize(
    "own", [own for *_, own in CALLS], ids=[f"{family}-{function}" for family, function, _ in CALLS]
)
def test_outcomes(own: list[str]) -> None:
    found = {call: difference(call) for call in own}
    unknown = [text for call, text in found.items() if text and call not in KNOWN]
    assert not unknown, "\n".join(unknown)
    stale = [call for call, text in found.items() if not text and call in KNOWN]
    assert not stale, f"listed in wrong_calls_differ.toml, but these agree: {stale}"


def test_listed_calls_are_made() -> None:
    assert {call for *_, own in CALLS for call in own} >= KNOWN


def test_the_process_goes_on() -> None:
    """Whatever was refused, memory is whole and the next call works."""
    assert float(ca.sum(ca.ones(1000))) == 1000
