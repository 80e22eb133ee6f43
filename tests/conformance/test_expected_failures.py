"""The list of expected failures can be read, and is compared with the suite's results as it says."""

from __future__ import annotations

import pytest
from run import EXPECTED, Results, compare, read_expected, read_report


def test_the_list() -> None:
    expected = read_expected(EXPECTED.read_text())
    assert expected
    for test in expected:
        assert test.startswith("array_api_tests/") and "::test_" in test, test


@pytest.mark.parametrize("text", ["a::b", "a::b # one blank is not enough", "a::b  # ", "a  # x\na  # y"])
def test_lines_that_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="line"):
        read_expected(text)


def results(**outcomes: str) -> Results:
    return Results(outcomes={name.replace("__", "["): outcome for name, outcome in outcomes.items()})


def test_comparison() -> None:
    numpy = results(a="failed", b="passed", f="passed")
    ours = results(a="failed", b="failed", c="failed", d__1="failed", d__2="passed", e="passed", f="failed", g="passed")
    expected = {
        "a": "like NumPy: both",
        "b": "like NumPy: it is not",
        "d": "one of its parameters",
        "e": "passes",
        "f": "deliberate",
        "g": "sometimes",
        "not_run": "nothing is known of it",
    }
    found = compare(ours, expected, numpy)
    assert found.unexpected == ["c"]
    assert set(found.expected) == {"a", "b", "d[1", "f"}
    assert set(found.passes) == {"e"}
    assert set(found.not_numpy) == {"b"}
    assert not found.ok
    assert compare(results(a="failed"), {"a": "like NumPy: both"}, numpy).ok


def test_reports() -> None:
    report = {
        "collectors": [{"nodeid": "file.py", "outcome": "failed", "longrepr": "E   AssertionError: no finfo"}],
        "tests": [
            {"nodeid": "x", "outcome": "passed"},
            {"nodeid": "y", "outcome": "error", "setup": {"crash": {"message": "broken"}}},
            {"nodeid": "z", "outcome": "failed", "call": {"crash": {}, "longrepr": "E   TypeError: z\nE   You can"}},
        ],
    }
    read = read_report(report)
    assert read.failures == {"file.py", "y", "z"}
    assert read.messages == {"file.py": "AssertionError: no finfo", "y": "broken", "z": "TypeError: z"}
