"""Runs of the scripts that time under other parameters. No time is tested."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent


def small_times(script: str, folder: Path) -> dict[str, Any]:
    """What `python -m benchmarks.SCRIPT --small` writes, after a report of a screen at most."""
    file = folder / "times.json"
    command = [sys.executable, "-m", f"benchmarks.{script}", file, "--small", "--seconds", "0.001", "--budget", "400"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=500, cwd=ROOT)
    assert result.returncode == 0, result.stderr
    assert len(result.stdout.splitlines()) <= 40
    content: dict[str, Any] = json.loads(file.read_text())
    return content
