"""What the documents at the root show is so: code runs and prints what they say, quotations and links are right."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
# A block of Python and, where it prints something, the block of text that follows it.
EXAMPLE = re.compile(r"^```python\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
# A block of lines that stand in a source file: "In `path`:".
QUOTATION = re.compile(r"In `([^`\n]+)`[^\n`]*:\n\n```\w+\n(.*?)^```\n", re.MULTILINE | re.DOTALL)


def test_readme(capsys: pytest.CaptureFixture[str]) -> None:
    """The blocks run in order, as in one session."""
    text = README.read_text()
    examples = list(EXAMPLE.finditer(text))
    assert len(examples) >= 4
    session: dict[str, Any] = {"__name__": "readme"}
    for example in examples:
        line = text.count("\n", 0, example.start()) + 2
        exec(compile("\n" * (line - 1) + example[1], str(README), "exec"), session)
        assert capsys.readouterr().out == (example[2] or ""), f"{README}:{line}"


def test_contributing_quotes_what_stands() -> None:
    quotations = QUOTATION.findall(CONTRIBUTING.read_text())
    assert len(quotations) >= 4
    for path, quoted in quotations:
        source = (ROOT / path).read_text()
        for line in filter(None, map(str.strip, quoted.splitlines())):
            assert line in source, f"{path} has no line {line!r}"


@pytest.mark.parametrize("page", ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"])
def test_links(page: str) -> None:
    prose = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.MULTILINE | re.DOTALL)
    for target in re.findall(r"\]\(([^)#\s]+)", prose):
        if "://" not in target:
            assert (ROOT / target).exists(), f"{page} links to {target}, which is not there"
