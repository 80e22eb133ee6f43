"""The script that times concatenations under other parameters runs, and writes what it measured. No time is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_small_sizes(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    command = [sys.executable, "-m", "benchmarks.tune_joins", file, "--small", "--seconds", "0.001", "--budget", "400"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) <= 40
    content = json.loads(file.read_text())
    rows = content["rows"]
    assert len([row for row in rows if row["library"] == "cuarray" and not row["parameters"]]) == 14
    assert all(row["us"] > 0 for row in rows)
    tried = {name for row in rows for name in row["parameters"]} - {"as", "alone"}
    assert tried == set(content["parameters"])
