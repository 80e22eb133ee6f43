"""The benchmark runs, checks what it measures and writes what reports read. How long it takes is not tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_a_family_of_cases(tmp_path: Path) -> None:
    file = tmp_path / "results.json"
    command = [sys.executable, "-m", "benchmarks", "run", "dispatch/", "kernel/", "--against", "numpy", "--json", file]
    result = subprocess.run(command, capture_output=True, text=True, timeout=200, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    rows = json.loads(file.read_text())["rows"]
    fields = {"case", "size", "dtype", "library", "median_s", "spread", "bytes", "flops"}
    assert all(fields <= set(row) and row["median_s"] > 0 for row in rows)
    assert {(row["case"], row["library"]) for row in rows} >= {
        ("dispatch/add", "cuarray"),
        ("dispatch/add", "numpy"),
        ("kernel/launch", "cuarray"),
    }
    report = subprocess.run(
        [sys.executable, "-m", "benchmarks", "report", file], capture_output=True, text=True, cwd=ROOT
    )
    assert "| dispatch/add | 1000 | float32 | cuarray |" in report.stdout, report.stderr
