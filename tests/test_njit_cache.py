"""Numba's cache on disk, and how processes with njit functions begin and end."""

from __future__ import annotations

import os
import subprocess
import sys

CACHED = """
import warnings
import numba, numpy as np, cuarray as ca
mod = ca.cudadef("__global__ void f(double* x) { if (threadIdx.x == 0) x[0] += 1; }", name="cached")
f = mod.f

@numba.njit(cache=True)
def attributes(x): return x.size, x.host().sum(), x.ndim, x
@numba.njit(cache=True)
def by_global(x): f[1, 1](x)
@numba.njit(cache=True)
def by_module(x): mod.f.forall(1)(x)
@numba.njit(cache=True)
def by_caller(x): by_global(x)
@numba.njit(cache=True)
def by_argument(kernel, x): kernel[1, 1](x)
@numba.njit(cache=True)
def creates(n): return ca.zeros(n).size
@numba.njit(cache=True)
def calls(): ca.cuda.synchronize()
@numba.njit(cache=True)
def operates(x): return x + ca.exp(x).sum()
def closure():
    kernel = f
    @numba.njit(cache=True)
    def launch(x): kernel[1, 1](x)
    return launch

def refused(call):
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        try:
            call()
        except TypeError as error:
            return "njit(cache=True): its compiled code lives in this process only" in str(error)
    return any("Cannot cache compiled function" in str(warning.message) for warning in said)

print(refused(lambda: creates(3)), refused(calls), end=" ")
x = ca.zeros(3)
print(refused(lambda: by_global(x)), refused(lambda: by_module(x)), refused(lambda: by_argument(f, x)),
      refused(lambda: by_caller(x)), refused(lambda: closure()(x)), refused(lambda: operates(x)), end=" ")
size, total, _, same = attributes(x)
print(size, total, same is x, sum(attributes.stats.cache_hits.values()))
"""


def test_cache_on_disk(tmp_path) -> None:
    (tmp_path / "cached_module.py").write_text(CACHED)
    environment = {**os.environ, "NUMBA_CACHE_DIR": str(tmp_path / "cache")}
    for hits in (0, 1):
        result = subprocess.run(
            [sys.executable, "-c", "import cached_module"],
            capture_output=True,
            text=True,
            timeout=200,
            env=environment,
            cwd=tmp_path,
        )
        assert result.stdout.split() == ["True"] * 8 + ["3", "4.0", "True", str(hits)], result.stderr
        assert result.returncode == 0
    # What is on disk knows no address of a process that has ended.
    names = {path.name.split("-")[0] for path in (tmp_path / "cache").rglob("cached_module.*.nbc")}
    assert names == {"cached_module.attributes"}


def test_exit_with_arrays_of_njit_alive() -> None:
    code = """
import numba, cuarray as ca
@numba.njit
def make(n): return ca.zeros(n)
ca.kept = [make(1000), make(0), make(3).host()]
print(ca.kept[0].sum())
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (result.returncode, result.stdout.strip(), result.stderr) == (0, "0.0", "")


def test_njit_before_anything_else() -> None:
    code = """
import numba, cuarray as ca
@numba.njit
def make(n): return ca.zeros(n, ca.int8)
print(make(2))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200)
    assert (result.stdout.strip(), result.stderr) == ("[0 0]", "")
