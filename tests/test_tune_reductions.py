"""The script that times reductions under other policies runs, and writes what it measured. No time is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent


def test_small_sizes(tmp_path: Path) -> None:
    file = tmp_path / "times.json"
    command = [
        sys.executable,
        "-m",
        "benchmarks.tune_reductions",
        file,
        "--small",
        "--seconds",
        "0.001",
        "--budget",
        "400",
    ]
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    content = json.loads(file.read_text())
    rows = content["rows"]
    own = [
        row for row in rows if row["library"] == "cuarray" and not row["parameters"] and row["operation"] != "copy x.T"
    ]
    assert len(own) == 13 * 6 - 1  # argmax takes no two axes
    assert {row["operation"] for row in own} == {"sum", "max", "argmax", "mean", "var", "any"}
    assert all(row["us"] > 0 for row in rows)
    tried = {name for row in rows for name in row["parameters"] if row["operation"] != "copy x.T"}
    assert tried == set(content["parameters"])
    copies = [row for row in rows if row["operation"] == "copy x.T"]
    assert {name for row in copies for name in row["parameters"]} > {"patches", "patch_bytes"}
