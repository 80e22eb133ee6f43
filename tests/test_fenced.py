"""No kernel touches memory beyond its arrays, at the sizes where blocks, tiles and runs end: see fenced.py."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from fenced import GROUPS

import cuarray as ca

HERE = Path(__file__).parent
pytestmark = pytest.mark.skipif(ca.cuda.is_available(), reason="only the host's memory can be fenced by pages")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, cwd=HERE, timeout=280)


@pytest.mark.slow
@pytest.mark.parametrize("side", ["end", "begin"])
@pytest.mark.parametrize("group", GROUPS)
def test_blocks_between_fences(group: str, side: str) -> None:
    done = run("fenced.py", side, group, "--small")
    assert done.returncode == 0, f"ended by {done.returncode} at {done.stdout[-200:]}\n{done.stderr[-2000:]}"


@pytest.mark.parametrize(("side", "index"), [("end", 3), ("begin", -1)])
def test_the_fence_is_noticed(side: str, index: int) -> None:
    code = f"""if True:
        import cuarray as ca, fenced
        fenced._runtime.get()
        fenced.fence({side == "end"})
        x, out = ca.ones(3), ca.ones(3)
        kernel = ca.cudadef("__global__ void peek(const double* x, double* out, int i) {{ *out = x[i]; }}").peek
        kernel[1, 1](x, out, 1)
        print("inside", flush=True)
        kernel[1, 1](x, out, {index})
        print("after", flush=True)
    """
    done = run("-c", code)
    assert done.stdout.startswith("inside\n") and "after" not in done.stdout
    assert done.returncode != 0, done.stderr[-1000:]
