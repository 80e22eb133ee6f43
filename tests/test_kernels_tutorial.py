"""docs/kernels.md: its blocks of Python run in order, as in one session, and print what stands below them."""

from __future__ import annotations

import platform
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest

import cuarray as ca

PAGE = Path(__file__).parent.parent / "docs" / "kernels.md"
# A block of Python, where it can run, and what it prints if it prints something.
EXAMPLE = re.compile(r"^```python([^\n]*)\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
RUNS = {
    "gpu": ca.cuda.is_available(),
    "cpu": not ca.cuda.is_available(),
    "x86_64": platform.machine() == "x86_64",  # only these processors report NaNs
}


def test_the_tutorial(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    text = PAGE.read_text()
    examples = list(EXAMPLE.finditer(text))
    assert len(examples) == len(re.findall(r"^```python\b", text, re.MULTILINE)) >= 25
    session = ModuleType("tutorial")
    monkeypatch.setitem(sys.modules, session.__name__, session)
    for example in examples:
        if not all(RUNS[where] for where in example[1].split()):
            continue
        line = text.count("\n", 0, example.start()) + 2
        exec(compile("\n" * (line - 1) + example[2], str(PAGE), "exec"), session.__dict__)
        assert capsys.readouterr().out == (example[3] or ""), f"{PAGE}:{line}"


def test_its_links() -> None:
    prose = re.sub(r"^```.*?^```", "", PAGE.read_text(), flags=re.MULTILINE | re.DOTALL)
    headings = re.findall(r"^#+ (.*)", prose, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}
    for path, _, anchor in (link.partition("#") for link in re.findall(r"\]\(([^)\s]+)\)", prose)):
        if path:
            assert (PAGE.parent / path).exists(), f"{PAGE} links to {path}, which is not there"
        else:
            assert anchor in anchors, f"{PAGE} has no heading for #{anchor}"
