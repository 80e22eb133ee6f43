"""The script that times scans under other policies runs, and writes what it measured. No time is tested."""

from __future__ import annotations

from pathlib import Path

from tuning import small_times


def test_small_sizes(tmp_path: Path) -> None:
    content = small_times("tune_scans", tmp_path)
    rows = content["rows"]
    assert len([row for row in rows if row["library"] == "cuarray" and not row["parameters"]]) == 16
    assert all(row["us"] > 0 for row in rows)
    tried = {name for row in rows for name in row["parameters"]} - {"as"}
    assert tried == set(content["parameters"])
