"""The script that times sorting with other parameters runs, and writes what it measured. No time is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_small_sizes(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    options = ["--small", "--seconds", "0.001", "--budget", "400"]
    command = [sys.executable, "-m", "benchmarks.tune_sorting", str(file), *options]
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert "over" not in result.stdout
    content = json.loads(file.read_text())
    rows = [row for row in content["rows"] if row["library"] == "cuarray"]
    assert all(row["us"] > 0 for row in rows)
    functions = {row["function"] for row in rows}
    assert functions == {
        "sort", "argsort", "unique", "topk", "median", "sort (launches)", "argsort (launches)"
    }  # fmt: skip
    tried = {name for row in rows for name in row["parameters"]}
    assert tried <= set(content["parameters"])
    assert {"threads", "items", "resident", "reads", "ballots", "count_blocks"} <= tried
