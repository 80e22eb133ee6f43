"""What a process waits for before its first result: ``python -m benchmarks.first_call --json F``.

Every number is from fresh processes, which run one after another: the import; making the CUDA context (by cuda.core,
before cuarray does anything); the start of cuarray's runtime in it; two arrays from NumPy's; the first `a + b`, with
the wait for its result; the second; and the first of another dtype. Caches are

    empty     nothing was ever compiled on this machine
    programs  the native library is there, but no kernel: "cold"
    warm      all is on disk
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from benchmarks.runner import find_commit

_CODE = """
import json, os, sys, time
import numpy as np
begin = last = time.perf_counter()
times = {}
def took(step):
    global last
    now = time.perf_counter()
    times[step] = now - last
    last = now
import cuarray as ca
took("import")
on_gpu = sys.argv[1] == "cuda"
if on_gpu:
    from cuda.core import Device
    device = Device(0)
    device.set_current()
    device.sync()
    took("context")
from cuarray import _runtime
_runtime.get()
took("runtime")
x = np.arange(1000, dtype=np.float32)
last = time.perf_counter()
a, b = ca.asarray(x), ca.asarray(x)
took("arrays")
c = a + b
ca.cuda.synchronize()
took("first a + b")
d = a + b
ca.cuda.synchronize()
took("second a + b")
times["import to first a + b, less the context"] = time.perf_counter() - begin - times.get("context", 0)
assert (np.asarray(c) == x + x).all()
from cuarray._runtime import background
background.wait(60)
last = time.perf_counter()
x = x.astype(np.float64)
a, b = ca.asarray(x), ca.asarray(x)
last = time.perf_counter()
c = a + b
ca.cuda.synchronize()
took("first a + b of float64")
assert (np.asarray(c) == x + x).all()
times["cppyy was needed"] = "cppyy" in sys.modules
times["numba was needed"] = "numba" in sys.modules
print(json.dumps(times))
"""


def measure(backend: str, folder: Path, **environment: str) -> dict[str, Any]:
    """One fresh process with this folder as its cache."""
    settings = {"CUARRAY_BACKEND": backend, "CUARRAY_CACHE_DIR": str(folder), "CUARRAY_QUIET": "1", **environment}
    done = subprocess.run(
        [sys.executable, "-c", _CODE, backend], capture_output=True, text=True, env={**os.environ, **settings}
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return dict(json.loads(done.stdout))


def empty(folder: Path) -> None:
    """Nothing is on disk."""
    shutil.rmtree(folder, ignore_errors=True)


def without_programs(folder: Path) -> None:
    """No kernel is on disk."""
    shutil.rmtree(folder / "programs", ignore_errors=True)


def keep(folder: Path) -> None:
    """All is on disk that the process before left there."""


def backends() -> list[str]:
    """Those that there are here."""
    code = "from cuarray._runtime.cuda import device_count; print(device_count())"
    count = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    return ["cuda", "host"] if int(count) else ["host"]


def run(repeats: int, only: str | None) -> dict[str, Any]:
    """Seconds by backend, state of the cache and step: the least, the median and all of them."""
    results: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        for backend in [only] if only else backends():
            folder = Path(name) / backend
            measure(backend, folder)  # the files that all processes read are in memory from now on
            states = {"empty": empty, "programs": without_programs, "warm": keep}
            for state, prepare in states.items():
                rounds = []
                for _ in range(min(repeats, 3) if state == "empty" else repeats):
                    prepare(folder)
                    rounds.append(measure(backend, folder))
                results[f"{backend}, {state}"] = {
                    step: {
                        "least_s": min(one[step] for one in rounds),
                        "median_s": statistics.median(one[step] for one in rounds),
                        "all_s": [one[step] for one in rounds],
                    }
                    for step in rounds[0]
                }
    return results


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.first_call", description=__doc__.splitlines()[0])
    parser.add_argument("--json", type=Path, help="write what was measured to this file")
    parser.add_argument("--repeats", type=int, default=7, help="processes for each number")
    parser.add_argument("--backend", choices=("cuda", "host"), help="by default all that there are")
    options = parser.parse_args()
    results = {"commit": find_commit(), "results": run(options.repeats, options.backend)}
    print(report(results))
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def report(results: dict[str, Any]) -> str:
    """As Markdown."""
    found = results["results"]
    lines = [f"First calls, commit {str(results['commit'])[:12]}", ""]
    lines += [f"| ms, least (median) | {' | '.join(found)} |", f"|---|{'--:|' * len(found)}"]
    for step in dict.fromkeys(step for one in found.values() for step in one):
        cells = []
        for one in (own.get(step) for own in found.values()):
            if one is None:
                cells.append("")
            elif isinstance(one["all_s"][0], bool):
                cells.append("yes" if any(one["all_s"]) else "no")
            else:
                cells.append(f"{one['least_s'] * 1e3:.1f} ({one['median_s'] * 1e3:.1f})")
        lines.append(f"| {step} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
