"""What a launch costs: ``python -m benchmarks.launch --json F``.

One kernel with three pointers, on a grid of one block of 32 threads, launched from Python and from njit, by cuarray,
CuPy and numba-cuda, and by nothing but the driver's entry point. The kernel does next to nothing, so the time is that
of the launch. A round is 1000 launches, fewer than the driver queues, and the clock stops before the wait for them; the
ways take turns.
"""

from __future__ import annotations

import argparse
import gc
import json
import platform
import statistics
import sys
import warnings
from collections.abc import Callable
from pathlib import Path
from time import perf_counter
from typing import Any, NamedTuple

import numba
import numpy as np
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from benchmarks.libraries import AbsentError, find_numba_cuda
from benchmarks.report import seconds
from benchmarks.runner import find_commit

GRID, BLOCK = 1, 32
LAUNCHES, ROUNDS = 1000, 50

SOURCE = """__global__ void add_arrays(const float* x, const float* y, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = x[i] + y[i];
}
"""
MIXED = """__global__ void scale(const float* x, float* out, int n, float a, double b) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = a * x[i] + float(b);
}
"""


class Way(NamedTuple):
    """A way to launch the kernel."""

    name: str
    run: Callable[[int], object]  # launches this often
    synchronize: Callable[[], object]
    result: Callable[[], np.ndarray] | None  # of the last launch; None where no kernel runs


def inputs() -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(GRID * BLOCK, dtype="float32")
    return x, x[::-1] * 2


# ---- cuarray


def cuarray_ways() -> list[Way]:
    import cuarray as ca

    mod = ca.cudadef(SOURCE, name="benchmark")
    x, y = map(ca.array, inputs())
    out, out_kept, out_njit = (ca.zeros(x.size, "float32") for _ in range(3))
    kept = mod.add_arrays[GRID, BLOCK]

    def from_python(count: int) -> None:
        for _ in range(count):
            mod.add_arrays[GRID, BLOCK](x, y, out)

    def from_python_kept(count: int) -> None:
        for _ in range(count):
            kept(x, y, out_kept)

    @numba.njit
    def loop(count, x, y, out):
        for _ in range(count):
            mod.add_arrays[GRID, BLOCK](x, y, out)

    wait = ca.cuda.synchronize
    return [
        Way("cuarray", from_python, wait, lambda: ca.asnumpy(out)),
        Way("cuarray, launcher kept", from_python_kept, wait, lambda: ca.asnumpy(out_kept)),
        Way("cuarray in njit", lambda count: loop(count, x, y, out_njit), wait, lambda: ca.asnumpy(out_njit)),
    ]


@intrinsic
def _launch(typingctx, launcher, function, params):
    """One call of a launcher, with arguments that lie ready."""
    from llvmlite import ir

    from cuarray._kernel import numba_calls

    signature = types.int32(types.int64, types.int64, types.int64)

    def codegen(context, builder, sig, arguments):
        extents = [ir.Constant(ir.IntType(32), value) for value in (GRID, 1, 1, BLOCK, 1, 1, 0)]
        pointers = builder.inttoptr(arguments[2], cgutils.voidptr_t.as_pointer())
        stream = ir.Constant(ir.IntType(64), 0)
        return numba_calls.emit_launch(builder, arguments[0], arguments[1], extents, stream, pointers)

    return signature, codegen


@numba.njit
def _launch_loop(count, launcher, function, params):
    failed = 0
    for _ in range(count):
        failed |= _launch(launcher, function, params)
    return failed


def bare_way() -> Way:
    """The launcher's entry point (cuLaunchKernel, or the host's), called from compiled code with prepared arguments."""
    import cuarray as ca
    from cuarray import _runtime

    mod = ca.cudadef(SOURCE, name="benchmark")
    x, y = map(ca.array, inputs())
    out = ca.zeros(x.size, "float32")
    mod.add_arrays[GRID, BLOCK](x, y, out)
    (instance,) = mod.add_arrays._by_kinds.values()
    launcher, function = _runtime.get().launcher, instance.function.handle
    slots = np.array([x.pointer, y.pointer, out.pointer], dtype=np.int64)
    params = slots.ctypes.data + 8 * np.arange(3, dtype=np.int64)

    def run(count: int) -> None:
        if failed := _launch_loop(count, launcher, function, params.ctypes.data):
            raise RuntimeError(f"the launcher returned {failed}")

    out[...] = 0
    return Way("entry point in njit", run, ca.cuda.synchronize, lambda: (slots, ca.asnumpy(out))[1])


def overhead_ways() -> list[Way]:
    """Launches by cuarray whose launcher returns at once: what Python and cuarray take of a launch."""
    import cuarray as ca
    from cuarray import _runtime
    from cuarray._runtime import cling

    cling.define_once(
        "benchmarks.launch",
        "namespace ca_benchmark { inline int launch(void*, unsigned, unsigned, unsigned, unsigned, unsigned, unsigned,"
        " unsigned, void*, void**, void**) noexcept { return 0; } }",
        "a launcher that does nothing",
    )
    nothing = cling.evaluate("&::ca_benchmark::launch", "a launcher that does nothing")
    mod = ca.cudadef(SOURCE + MIXED, name="overhead")
    x, y = map(ca.array, inputs())
    out = ca.zeros(x.size, "float32")
    kept = mod.add_arrays[GRID, BLOCK]
    kept(x, y, out)
    mod.scale[GRID, BLOCK](x, out, 32, 0.5, 2.0)
    for kernel in mod:
        for instance in kernel._by_kinds.values():
            assert instance.record[0] == _runtime.get().launcher
            instance.record[0] = nothing

    def three(count: int) -> None:
        for _ in range(count):
            mod.add_arrays[GRID, BLOCK](x, y, out)

    def three_kept(count: int) -> None:
        for _ in range(count):
            kept(x, y, out)

    def five(count: int) -> None:
        for _ in range(count):
            mod.scale[GRID, BLOCK](x, out, 32, 0.5, 2.0)

    return [
        Way("overhead, 3 arrays", three, ca.cuda.synchronize, None),
        Way("overhead, 3 arrays, launcher kept", three_kept, ca.cuda.synchronize, None),
        Way("overhead, 2 arrays and 3 scalars", five, ca.cuda.synchronize, None),
    ]


# ---- the others


def cupy_ways() -> list[Way]:
    try:
        import cupy

        cupy.cuda.runtime.getDeviceCount()
    except Exception as error:  # ImportError, or an error of CUDA of a type that only cupy knows
        raise AbsentError(str(error)) from error
    kernel = cupy.RawKernel(f'extern "C" {SOURCE}', "add_arrays")
    x, y = map(cupy.asarray, inputs())
    out = cupy.zeros_like(x)

    def run(count: int) -> None:
        for _ in range(count):
            kernel((GRID,), (BLOCK,), (x, y, out))

    return [Way("cupy.RawKernel", run, cupy.cuda.Device().synchronize, lambda: cupy.asnumpy(out))]


def numba_cuda_ways() -> list[Way]:
    cuda = find_numba_cuda()

    @cuda.jit
    def add_arrays(x, y, out):
        i = cuda.grid(1)
        out[i] = x[i] + y[i]

    x, y = (cuda.to_device(np.ascontiguousarray(value)) for value in inputs())
    out, out_kept = (cuda.to_device(np.zeros(GRID * BLOCK, "float32")) for _ in range(2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that one block does not fill a GPU is the point
        kept = add_arrays[GRID, BLOCK]
        kept(x, y, out_kept)

    def run(count: int) -> None:
        for _ in range(count):
            add_arrays[GRID, BLOCK](x, y, out)

    def run_kept(count: int) -> None:
        for _ in range(count):
            kept(x, y, out_kept)

    return [
        Way("numba-cuda", run, cuda.synchronize, out.copy_to_host),
        Way("numba-cuda, launcher kept", run_kept, cuda.synchronize, out_kept.copy_to_host),
    ]


# ---- measuring


def find_ways() -> tuple[list[Way], dict[str, str]]:
    """The ways that there are here, and why others are not."""
    import cuarray as ca

    ways, absent = [*cuarray_ways(), bare_way(), *overhead_ways()], {}
    for library, make in (("cupy", cupy_ways), ("numba-cuda", numba_cuda_ways)):
        try:
            if not ca.cuda.is_available():
                raise AbsentError("cuarray is on the CPU")
            ways += make()
        except AbsentError as error:
            absent[library] = str(error)
    return ways, absent


def measure(ways: list[Way], rounds: int) -> list[dict[str, Any]]:
    """A row a way, in seconds a launch; raises AssertionError where a kernel's result is wrong."""
    expected = np.add(*inputs())
    for way in ways:
        way.run(LAUNCHES)  # warm-up
        way.synchronize()
        if way.result is not None:
            np.testing.assert_array_equal(way.result(), expected, err_msg=way.name)
    queued: dict[str, list[float]] = {way.name: [] for way in ways}
    done: dict[str, list[float]] = {way.name: [] for way in ways}
    collecting = gc.isenabled()
    gc.disable()
    try:
        for number in range(rounds):
            first = number % len(ways)  # each way comes after each other one
            for way in ways[first:] + ways[:first]:
                way.synchronize()
                start = perf_counter()
                way.run(LAUNCHES)
                end = perf_counter()
                way.synchronize()
                queued[way.name].append((end - start) / LAUNCHES)
                done[way.name].append((perf_counter() - start) / LAUNCHES)
    finally:
        if collecting:
            gc.enable()
    return [
        {
            "way": way.name,
            "median_s": statistics.median(queued[way.name]),
            "minimum_s": min(queued[way.name]),
            "median_until_done_s": statistics.median(done[way.name]),
        }
        for way in ways
    ]


RATIOS = (
    ("cuarray", "cupy.RawKernel"),
    ("cuarray", "numba-cuda"),
    ("cuarray, launcher kept", "numba-cuda, launcher kept"),
    ("cuarray in njit", "entry point in njit"),
    ("cuarray", "entry point in njit"),
)


def ratios(rows: list[dict[str, Any]]) -> dict[str, float]:
    """Medians over medians."""
    medians = {row["way"]: row["median_s"] for row in rows}
    return {f"{a} / {b}": medians[a] / medians[b] for a, b in RATIOS if a in medians and b in medians}


def run(rounds: int) -> dict[str, Any]:
    """Everything that `--json` writes."""
    import cuarray as ca
    from cuarray import _runtime

    runtime = _runtime.get()
    ways, absent = find_ways()
    rows = measure(ways, rounds)
    versions = {"python": platform.python_version(), "cuarray": ca.__version__, "numba": numba.__version__}
    for module, library in (("cupy", "cupy"), ("numba_cuda", "numba-cuda")):
        if library not in absent:
            versions[library] = str(getattr(sys.modules.get(module), "__version__", "unknown"))
    return {
        "commit": find_commit(),
        "device": runtime.describe()[0]["name"],
        "backend": runtime.name,
        "versions": versions,
        "launches": LAUNCHES,
        "rounds": rounds,
        "absent": absent,
        "rows": rows,
        "ratios": ratios(rows),
    }


def report(results: dict[str, Any]) -> str:
    """As Markdown."""
    versions = ", ".join(f"{name} {version}" for name, version in results["versions"].items())
    commit = (results["commit"] or "unknown")[:12]
    lines = [
        f"{results['device']}, backend {results['backend']}, commit {commit}; {versions}",
        "",
        f"Seconds a launch, of {results['rounds']} rounds of {results['launches']} launches each.",
        "",
        "| launched by | median | minimum | median until done |",
        "|---|--:|--:|--:|",
    ]
    for row in results["rows"]:
        times = [seconds(row[field]) for field in ("median_s", "minimum_s", "median_until_done_s")]
        lines.append(f"| {row['way']} | {' | '.join(times)} |")
    lines += ["", "| ratio of medians | |", "|---|--:|"]
    lines += [f"| {name} | {value:.2f} |" for name, value in results["ratios"].items()]
    problems = [f"- {name} is absent: {why}" for name, why in results["absent"].items()]
    return "\n".join(lines + ([""] if problems else []) + problems)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.launch", description=__doc__)
    parser.add_argument("--json", type=Path, metavar="F", help="write the results there")
    parser.add_argument("--rounds", type=int, default=ROUNDS, help=f"of {LAUNCHES} launches each (default {ROUNDS})")
    options = parser.parse_args()
    results = run(options.rounds)
    if options.json:
        options.json.write_text(json.dumps(results, indent=1) + "\n")
    print(report(results))


if __name__ == "__main__":
    main()
