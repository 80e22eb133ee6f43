"""How long a process takes to begin: what is measured in processes of their own."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from cuarray._timing import spread

ROOT = Path(__file__).parent.parent
REPEATS = 5
CACHES = ("CUARRAY_CACHE_DIR", "CUPY_CACHE_DIR", "CUDA_CACHE_PATH", "NUMBA_CACHE_DIR")


class Startup(NamedTuple):
    """A part of a process's beginning."""

    name: str
    part: str
    cold: bool  # whether the folders for compiled kernels are empty

    @property
    def family(self) -> str:
        return self.name.split("/")[0]


CASES = (
    Startup("startup/import", "import", False),
    Startup("startup/device", "device", False),
    Startup("startup/first_add", "first_add", False),
    Startup("startup/first_add_cold", "first_add", True),
    Startup("startup/second_add", "second_add", False),
)

# What is imported, two arrays of a NumPy array on the device, and waiting: of the library, on a GPU and on the CPU.
PROGRAMS = {
    "cuarray": ("import cuarray", "cuarray.asarray(data)", "cuarray.cuda.synchronize()"),
    "numpy": ("import numpy", "data.copy()", "None"),
    "cupy": ("import cupy", "cupy.asarray(data)", "cupy.cuda.Device().synchronize()"),
    "torch": ("import torch", "torch.asarray(data, device=place)", "torch.cuda.synchronize() if on_gpu else None"),
    "jax": ("import jax.numpy", "jax.numpy.asarray(data)", "jax.block_until_ready(z)"),
}
PROGRAM = """
import json, sys
from time import perf_counter
on_gpu = sys.argv[1] == "True"
place = "cuda" if on_gpu else "cpu"
times = [perf_counter()]
{imports}
times.append(perf_counter())
import numpy
data = numpy.random.default_rng().random(1000, numpy.float32)
times[-1:] = [times[-1], perf_counter()]
x, y = {array}, {array}
z = x
{wait}
times.append(perf_counter())
for _ in range(2):
    z = x + y
    {wait}
    times.append(perf_counter())
assert abs(float(z[7]) - 2 * float(data[7])) < 1e-6
start, imported, drawn, device, first, second = times
print(json.dumps({{"import": imported - start, "device": device - drawn, "first_add": first - device,
                   "second_add": second - first}}))
"""


def _run(library: str, on_gpu: bool, cache: str) -> dict[str, float]:
    imports, array, wait = PROGRAMS[library]
    program = PROGRAM.format(imports=imports, array=array, wait=wait)
    environment = os.environ | dict.fromkeys(CACHES, cache) | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false"}
    environment["PYTHONPATH"] = os.pathsep.join(filter(None, [str(ROOT), environment.get("PYTHONPATH", "")]))
    command = [sys.executable, "-c", program, str(on_gpu)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode:
        raise RuntimeError(f"the process failed: {done.stderr.strip().splitlines()[-1:]}")
    return json.loads(done.stdout.splitlines()[-1])


class Processes:
    """Runs processes, each library's once for all parts."""

    def __init__(self, on_gpu: bool, repeats: int) -> None:
        self.on_gpu, self.repeats = on_gpu, repeats
        self._done: dict[tuple[str, bool], list[dict[str, float]] | Exception] = {}

    def measure(self, libraries: list[str], cold: bool) -> None:
        """Run the libraries' processes in turn, unless that was done."""
        wanted = [name for name in libraries if (name, cold) not in self._done]
        found: dict[str, list[dict[str, float]] | Exception] = {name: [] for name in wanted}
        with tempfile.TemporaryDirectory() as warm:
            for _ in range(self.repeats + (not cold)):
                for name, parts in found.items():
                    if isinstance(parts, list):
                        try:
                            with tempfile.TemporaryDirectory() as empty:
                                parts.append(_run(name, self.on_gpu, empty if cold else f"{warm}/{name}"))
                        except Exception as error:  # the other libraries go on
                            found[name] = error
        for name, parts in found.items():
            # The first process fills the cache.
            self._done[name, cold] = parts[1:] if isinstance(parts, list) and not cold else parts

    def row(self, case: Startup, library: str) -> dict[str, Any]:
        """A row of the results; raises why the library's process failed."""
        done = self._done[library, case.cold]
        if isinstance(done, Exception):
            raise done
        times = [parts[case.part] for parts in done]
        return {
            "case": case.name,
            "size": 1000,
            "dtype": "float32",
            "library": library,
            "median_s": statistics.median(times),
            "spread": spread(times),
            "minimum_s": min(times),
            "repeats": len(times),
            "calls": 1,
            "clock": "wall",
            "bytes": 0,
            "flops": 0,
        }
