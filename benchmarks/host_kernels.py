"""Classic kernels on the host backend against the same loops compiled by numba for the CPU.

``CUARRAY_BACKEND=host python -m benchmarks.host_kernels --json results.json`` runs the kernels without barriers of
examples/kernels beside ``numba.njit(parallel=True)`` loops over the same items, with the same arithmetic and dtypes and
without fastmath; and a matrix product with barriers beside numba's CUDA simulator, which runs such kernels without a
GPU, too. Results are compared before anything is timed. Steps that work in place are repeated on what they left: such a
step reads as much each time, but may have less to write.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numba
import numpy as np
from numba import cuda, prange  # the simulator finds `cuda` only among a kernel's globals

from benchmarks import timing
from benchmarks.runner import find_commit

KERNELS = Path(__file__).parent.parent / "examples" / "kernels"
BLOCK = 256  # threads, where the items are one row
BLOCK_2D = (32, 8)
SIMULATED = 64  # rows and columns of the matrices for the CUDA simulator
TILE = 16

# Without the checks for division by zero that Python's error model wants, as C++ is without them.
parallel = numba.njit(parallel=True, error_model="numpy")
inlined = numba.njit(inline="always", error_model="numpy")

f32 = np.float32
Arrays = dict[str, np.ndarray]


# ---- the loops


@parallel
def vector_add(a, b, out):
    for i in prange(out.size):
        out[i] = a[i] + b[i]


@parallel
def saxpy(a, x, y):
    for i in prange(y.size):
        y[i] = a * x[i] + y[i]


@parallel
def heat_step(now, following, rate):
    rows, columns = now.shape
    for row in prange(rows):
        if row == 0 or row == rows - 1:
            following[row] = now[row]
        else:
            following[row, 0] = now[row, 0]
            for c in range(1, columns - 1):
                here = now[row, c]
                around = now[row - 1, c] + now[row + 1, c] + now[row, c - 1] + now[row, c + 1]
                following[row, c] = here + rate * (around - f32(4) * here)
            following[row, columns - 1] = now[row, columns - 1]


@parallel
def jacobi(u, f, following, h2):
    rows, columns = u.shape
    for row in prange(rows):
        if row == 0 or row == rows - 1:
            following[row] = u[row]
        else:
            following[row, 0] = u[row, 0]
            for c in range(1, columns - 1):
                around = u[row - 1, c] + u[row + 1, c] + u[row, c - 1] + u[row, c + 1]
                following[row, c] = f32(0.25) * (around + h2 * f[row, c])
            following[row, columns - 1] = u[row, columns - 1]


@parallel
def mandelbrot(counts, left, bottom, step, limit):
    height, width = counts.shape
    for row in prange(height):
        im = bottom + step * f32(row)
        for column in range(width):
            re = left + step * f32(column)
            x, y = f32(0), f32(0)
            count = 0
            while count < limit and x * x + y * y <= f32(4):
                following = x * x - y * y + re
                y = f32(2) * x * y + im
                x = following
                count += 1
            counts[row, column] = count


@parallel
def life(now, following):
    rows, columns = now.shape
    for row in prange(rows):
        above = now[row - 1 if row > 0 else rows - 1]
        here = now[row]
        below = now[row + 1 if row < rows - 1 else 0]
        for c in range(columns):
            left = c - 1 if c > 0 else columns - 1
            right = c + 1 if c < columns - 1 else 0
            neighbours = above[left] + above[c] + above[right] + here[left] + here[right]
            neighbours += below[left] + below[c] + below[right]
            following[row, c] = neighbours == 3 or (neighbours == 2 and here[c] != 0)


@inlined
def normal_cdf(x):
    return f32(0.5) * math.erfc(-x * f32(0.70710678))


@parallel
def black_scholes(spot, strike, years, call, put, rate, volatility):
    for i in prange(spot.size):
        s, k, t = spot[i], strike[i], years[i]
        deviation = volatility * math.sqrt(t)
        d1 = (math.log(s / k) + (rate + f32(0.5) * volatility * volatility) * t) / deviation
        d2 = d1 - deviation
        discounted = k * math.exp(-rate * t)
        call[i] = s * normal_cdf(d1) - discounted * normal_cdf(d2)
        put[i] = discounted * normal_cdf(-d2) - s * normal_cdf(-d1)


U32 = np.uint64(0xFFFFFFFF)
LOW_SHIFT, HIGH_SHIFT, SHIFT = np.uint64(1), np.uint64(33), np.uint64(32)
MULTIPLIER, KEY_STEP, RADIUS2 = np.uint64(0xD256D193), np.uint64(0x9E3779B9), np.uint64(2**62)


@parallel
def count_hits(n, seed):
    found = 0
    for i in prange(n):
        counter = np.uint64(i)
        low, high, key = counter & U32, counter >> SHIFT, np.uint64(seed)
        for _ in range(10):
            product = MULTIPLIER * low
            low = (product >> SHIFT) ^ key ^ high
            high = product & U32
            key = (key + KEY_STEP) & U32
        x, y = low >> LOW_SHIFT, high >> LOW_SHIFT
        found += x * x + y * y < RADIUS2
    return found


@parallel
def spmv(starts, columns, values, x, y):
    for row in prange(y.size):
        total = f32(0)
        for k in range(starts[row], starts[row + 1]):
            total += values[k] * x[columns[k]]
        y[row] = total


@parallel
def floyd_warshall_step(distances, k):
    n = len(distances)
    for i in prange(n):
        for j in range(n):
            around = distances[i, k] + distances[k, j]
            if around < distances[i, j]:
                distances[i, j] = around


@parallel
def bilateral(image, out, radius, place, value):
    height, width = image.shape
    for y in prange(height):
        for x in range(width):
            centre = image[y, x]
            total, weights = f32(0), f32(0)
            for dy in range(-radius, radius + 1):
                for dx in range(-radius, radius + 1):
                    column, row = min(max(x + dx, 0), width - 1), min(max(y + dy, 0), height - 1)
                    other = image[row, column]
                    difference = other - centre
                    weight = math.exp(-f32(dx * dx + dy * dy) * place - difference * difference * value)
                    total += weight * other
                    weights += weight
            out[y, x] = total / weights


@inlined
def dot(a, b):
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


@inlined
def intersect(origin, direction, centre, radius):
    away = (origin[0] - centre[0], origin[1] - centre[1], origin[2] - centre[2])
    a = dot(direction, direction)
    b = dot(direction, away)
    c = dot(away, away) - radius * radius
    discriminant = b * b - a * c
    result = f32(-1)
    if discriminant >= 0:
        root = math.sqrt(discriminant)
        near = (-b - root) / a
        result = near if near > 0 else (-b + root) / a
    return result


@parallel
def first_hits(origins, directions, spheres, numbers, distances):
    for i in prange(len(origins)):
        origin = (origins[i, 0], origins[i, 1], origins[i, 2])
        direction = (directions[i, 0], directions[i, 1], directions[i, 2])
        number, nearest = -1, f32(0)
        for k in range(len(spheres)):
            centre = (spheres[k, 0], spheres[k, 1], spheres[k, 2])
            distance = intersect(origin, direction, centre, spheres[k, 3])
            if distance > 0 and (number < 0 or distance < nearest):
                number, nearest = k, distance
        numbers[i] = number
        distances[i] = nearest


@parallel
def find_all(text, pattern, found):
    n, m = text.size, pattern.size
    for i in prange(n):
        matched = 0
        if i <= n - m:
            while matched < m and text[i + matched] == pattern[matched]:
                matched += 1
        found[i] = matched == m


@parallel
def crc32(data, starts, table, crcs):
    for i in prange(crcs.size):
        crc = np.uint32(0xFFFFFFFF)
        for k in range(starts[i], starts[i + 1]):
            crc = np.uint32(table[(crc ^ data[k]) & np.uint32(0xFF)] ^ (crc >> np.uint32(8)))
        crcs[i] = ~crc


@parallel
def bfs_step(starts, ends, distance, changed, level):
    for node in prange(distance.size):
        if distance[node] == level:
            for edge in range(starts[node], starts[node + 1]):
                to = ends[edge]
                if distance[to] == -1:
                    distance[to] = level + 1
                    changed[0] = 1


@parallel
def update_rest(a, k):
    n = len(a)
    for row in prange(k + 1, n):
        for column in range(k + 1, n):
            a[row, column] -= a[row, k] * a[k, column]


# ---- the cases


@dataclass(frozen=True)
class Case:
    """One kernel, and the loops that do the same; both write into the arrays, which each side has copies of."""

    name: str
    file: str
    inputs: Callable[[np.random.Generator], Arrays]
    kernel: Callable[[Any, Any, dict[str, Any]], None]  # of the library, the module and the arrays on the device
    loops: Callable[[Arrays], None]
    outputs: tuple[str, ...]
    tolerance: float = 1e-5  # relative to the largest element; integers must be equal
    differing: float = 0  # the part of elements that may differ, where one rounding decides


def blocks(n: int) -> int:
    return -(-n // BLOCK)


def blocks_2d(shape: tuple[int, ...]) -> tuple[int, int]:
    return -(-shape[1] // BLOCK_2D[0]), -(-shape[0] // BLOCK_2D[1])


def _random(rng: np.random.Generator, shape: Any, low: float = 0, high: float = 1) -> np.ndarray:
    return rng.uniform(low, high, shape).astype("float32")


def _vectors(rng: np.random.Generator) -> Arrays:
    a, b = _random(rng, (2, 2**23))
    return {"a": a, "b": b, "out": np.zeros_like(a)}


def _grids(rng: np.random.Generator) -> Arrays:
    u, f = _random(rng, (2, 2048, 2048))
    return {"u": u, "f": f, "out": np.zeros_like(u)}


def _cells(rng: np.random.Generator) -> Arrays:
    now = rng.integers(0, 2, (2048, 2048), "uint8")
    return {"now": now, "out": np.zeros_like(now)}


def _options(rng: np.random.Generator) -> Arrays:
    n = 2**19
    spot, strike, years = _random(rng, n, 5, 30), _random(rng, n, 1, 100), _random(rng, n, 0.25, 10)
    return {"spot": spot, "strike": strike, "years": years, "call": np.zeros_like(spot), "put": np.zeros_like(spot)}


def _sparse(rng: np.random.Generator) -> Arrays:
    rows = 200_000
    starts = np.concatenate([[0], np.cumsum(rng.integers(0, 33, rows))]).astype("int32")
    columns = rng.integers(0, rows, starts[-1]).astype("int32")
    values, x = _random(rng, starts[-1]), _random(rng, rows)
    return {"starts": starts, "columns": columns, "values": values, "x": x, "y": np.zeros(rows, "float32")}


def _lengths(rng: np.random.Generator) -> Arrays:
    return {"distances": rng.integers(1, 10_000, (2048, 2048)).astype("int32")}


def _image(rng: np.random.Generator) -> Arrays:
    image = _random(rng, (384, 512))
    return {"image": image, "out": np.zeros_like(image)}


def _scene(rng: np.random.Generator) -> Arrays:
    rays, spheres = 2**16, np.concatenate([_random(rng, (32, 3), -3, 3), _random(rng, (32, 1), 0.1, 0.5)], 1)
    origins, directions = _random(rng, (2, rays, 3), -1, 1)
    numbers, distances = np.zeros(rays, "int32"), np.zeros(rays, "float32")
    return {"origins": origins, "directions": directions, "spheres": spheres, "numbers": numbers,
            "distances": distances}  # fmt: skip


def _text(rng: np.random.Generator) -> Arrays:
    text = rng.integers(97, 101, 2**22, "uint8")
    return {"text": text, "pattern": text[1000:1008].copy(), "found": np.zeros_like(text)}


def _messages(rng: np.random.Generator) -> Arrays:
    count = 2**13
    starts = np.concatenate([[0], np.cumsum(rng.integers(0, 1024, count))]).astype("int32")
    table = np.arange(256, dtype="uint32")
    for _ in range(8):
        table = np.where(table & 1, table >> 1 ^ 0xEDB88320, table >> 1).astype("uint32")
    data = rng.integers(0, 256, starts[-1], "uint8")
    return {"data": data, "starts": starts, "table": table, "crcs": np.zeros(count, "uint32")}


def _graph(rng: np.random.Generator) -> Arrays:
    nodes, each = 2**19, 8
    starts = np.arange(0, nodes * each + 1, each, dtype="int32")
    ends = rng.integers(0, nodes, nodes * each).astype("int32")
    distance = np.where(rng.random(nodes) < 0.3, 5, -1).astype("int32")  # in the middle of a search
    return {"starts": starts, "ends": ends, "distance": distance, "changed": np.zeros(1, "int32")}


def _matrix(rng: np.random.Generator) -> Arrays:
    return {"a": _random(rng, (2048, 2048))}


def _count_pi(arrays: Arrays) -> None:
    arrays["hits"][0] += count_hits(2**21, 1234)


PICTURE = (f32(-2.2), f32(-1.2), f32(2.4 / 512))  # left, bottom, step
FILTER = (3, f32(0.125), f32(8))  # radius, place, value

CASES = (
    Case("vector_add", "vector_add", _vectors,
         lambda ca, m, x: m.vector_add[blocks(x["a"].size), BLOCK](x["a"], x["b"], x["out"], x["a"].size),
         lambda x: vector_add(x["a"], x["b"], x["out"]), ("out",)),
    Case("saxpy", "saxpy", _vectors,
         lambda ca, m, x: m.saxpy[64, BLOCK](x["a"].size, f32(0.5), x["a"], x["b"]),
         lambda x: saxpy(f32(0.5), x["a"], x["b"]), ("b",)),
    Case("stencil", "stencil", _grids,
         lambda ca, m, x: m.heat_step[blocks_2d(x["u"].shape), BLOCK_2D](x["u"], x["out"], *x["u"].shape, f32(0.125)),
         lambda x: heat_step(x["u"], x["out"], f32(0.125)), ("out",)),
    Case("jacobi", "jacobi", _grids,
         lambda ca, m, x: m.jacobi[blocks_2d(x["u"].shape), BLOCK_2D](
             x["u"], x["f"], x["out"], *x["u"].shape, f32(0.25)),
         lambda x: jacobi(x["u"], x["f"], x["out"], f32(0.25)), ("out",)),
    Case("mandelbrot", "mandelbrot", lambda rng: {"counts": np.zeros((512, 640), "int32")},
         lambda ca, m, x: m.mandelbrot["float"][blocks_2d(x["counts"].shape), BLOCK_2D](
             x["counts"], 640, 512, *PICTURE, 100),
         lambda x: mandelbrot(x["counts"], *PICTURE, 100), ("counts",), differing=1e-2),
    Case("life", "life", _cells,
         lambda ca, m, x: m.life[blocks_2d(x["now"].shape), BLOCK_2D](x["now"], x["out"], *x["now"].shape),
         lambda x: life(x["now"], x["out"]), ("out",)),
    Case("black_scholes", "black_scholes", _options,
         lambda ca, m, x: m.black_scholes[blocks(x["spot"].size), BLOCK](
             *x.values(), x["spot"].size, f32(0.02), f32(0.3)),
         lambda x: black_scholes(*x.values(), f32(0.02), f32(0.3)), ("call", "put")),
    Case("monte_carlo_pi", "monte_carlo_pi", lambda rng: {"hits": np.zeros(1, "uint64")},
         lambda ca, m, x: m.count_hits[64, BLOCK](x["hits"], 2**21, 1234), _count_pi, ("hits",)),
    Case("spmv", "spmv", _sparse,
         lambda ca, m, x: m.spmv_scalar[blocks(x["y"].size), BLOCK](*x.values(), x["y"].size),
         lambda x: spmv(*x.values()), ("y",)),
    Case("floyd_warshall_step", "floyd_warshall", _lengths,
         lambda ca, m, x: m.floyd_warshall_step[blocks_2d(x["distances"].shape), BLOCK_2D](x["distances"], 2048, 7),
         lambda x: floyd_warshall_step(x["distances"], 7), ("distances",)),
    Case("bilateral", "bilateral", _image,
         lambda ca, m, x: m.bilateral[blocks_2d(x["image"].shape), BLOCK_2D](x["image"], x["out"], 512, 384, *FILTER),
         lambda x: bilateral(x["image"], x["out"], *FILTER), ("out",)),
    Case("ray_sphere", "ray_sphere", _scene,
         lambda ca, m, x: m.first_hits[blocks(x["numbers"].size), BLOCK](
             x["origins"].view(ca.float3), x["directions"].view(ca.float3), x["spheres"].view(ca.float4),
             x["numbers"].size, len(x["spheres"]), x["numbers"], x["distances"]),
         lambda x: first_hits(*x.values()), ("numbers", "distances"), 1e-4, differing=1e-3),
    Case("string_search", "string_search", _text,
         lambda ca, m, x: m.find_all[blocks(x["text"].size), BLOCK](
             x["text"], x["text"].size, x["pattern"], x["pattern"].size, x["found"]),
         lambda x: find_all(*x.values()), ("found",)),
    Case("crc32", "crc32", _messages,
         lambda ca, m, x: m.crc32[blocks(x["crcs"].size), BLOCK](*x.values(), x["crcs"].size),
         lambda x: crc32(*x.values()), ("crcs",)),
    Case("bfs_step", "bfs", _graph,
         lambda ca, m, x: m.bfs_step[blocks(x["distance"].size), BLOCK](*x.values(), 5, x["distance"].size),
         lambda x: bfs_step(*x.values(), 5), ("distance", "changed")),
    Case("lu_step", "lu", _matrix,
         lambda ca, m, x: m.update_rest[blocks_2d((2048, 2048)), BLOCK_2D](x["a"], 2048, 0),
         lambda x: update_rest(x["a"], 0), ("a",)),
)  # fmt: skip


def check(case: Case, found: np.ndarray, expected: np.ndarray) -> None:
    """Raise an AssertionError unless the results of both are the same."""
    size = np.abs(expected.astype("float64")).max()
    tolerance = case.tolerance * size if expected.dtype.kind == "f" else 0
    bad = np.abs(found.astype("float64") - expected) > tolerance
    if bad.mean() > case.differing:
        raise AssertionError(f"{case.name}: {bad.mean():.2%} of the elements differ")


def run_case(case: Case) -> dict[str, Any]:
    """The times of a case on both sides."""
    import cuarray as ca

    path = KERNELS / f"{case.file}.cu"
    module = ca.cudadef(path.read_text(), name=path.name)
    host = case.inputs(np.random.default_rng(1))
    device = {name: ca.asarray(x) for name, x in host.items()}
    case.kernel(ca, module, device)
    case.loops(host)
    for name in case.outputs:
        check(case, np.asarray(device[name]), host[name])
    cuarray = timing.measure(lambda: case.kernel(ca, module, device), ca.cuda.synchronize)
    loops = timing.measure(lambda: case.loops(host), lambda: None)
    return {
        "case": case.name,
        "cuarray_s": cuarray.median,
        "cuarray_spread": cuarray.spread,
        "numba_s": loops.median,
        "numba_spread": loops.spread,
        "ratio": cuarray.median / loops.median,
    }


# ---- barriers, and numba's CUDA simulator


def simulate(folder: Path) -> None:
    """Run the matrix product in numba's CUDA simulator: reads inputs.npz, writes simulated.npz."""

    @cuda.jit
    def matmul(a, b, out, n):
        left = cuda.shared.array((TILE, TILE), np.float32)
        right = cuda.shared.array((TILE, TILE), np.float32)
        x, y = cuda.threadIdx.x, cuda.threadIdx.y
        row, column = cuda.blockIdx.y * TILE + y, cuda.blockIdx.x * TILE + x
        total = np.float32(0)
        for first in range(0, n, TILE):
            left[y, x] = a[row, first + x]
            right[y, x] = b[first + y, column]
            cuda.syncthreads()
            for t in range(TILE):
                total += left[y, t] * right[t, x]
            cuda.syncthreads()
        out[row, column] = total

    inputs = np.load(folder / "inputs.npz")
    a, b = inputs["a"], inputs["b"]
    out, n = np.zeros_like(a), len(a)
    seconds = []
    for _ in range(4):
        start = time.perf_counter()
        matmul[(n // TILE, n // TILE), (TILE, TILE)](a, b, out, n)
        seconds.append(time.perf_counter() - start)
    np.savez(folder / "simulated.npz", out=out, seconds=seconds[1:])


def run_barriers() -> dict[str, Any]:
    """The matrix product by tiles in shared memory, against the simulator at the same size."""
    import cuarray as ca

    n = SIMULATED
    a, b = _random(np.random.default_rng(1), (2, n, n))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "inputs.npz", a=a, b=b)
        command = [sys.executable, "-m", "benchmarks.host_kernels", "--simulate", name]
        subprocess.run(command, check=True, env=os.environ | {"NUMBA_ENABLE_CUDASIM": "1"})
        with np.load(folder / "simulated.npz") as simulated:
            expected, seconds = simulated["out"], simulated["seconds"]
    path = KERNELS / "matmul.cu"
    kernel = ca.cudadef(path.read_text(), name=path.name).matmul[TILE,]
    device_a, device_b, out = ca.asarray(a), ca.asarray(b), ca.zeros((n, n), "float32")

    def call() -> None:
        kernel[(n // TILE, n // TILE), (TILE, TILE)](device_a, device_b, out, n, n, n)

    call()
    np.testing.assert_allclose(np.asarray(out), expected, rtol=1e-5)
    measured = timing.measure(call, ca.cuda.synchronize)
    simulator = statistics.median(seconds.tolist())
    return {
        "case": f"matmul {n} x {n} with barriers",
        "cuarray_s": measured.median,
        "cuarray_spread": measured.spread,
        "simulator_s": simulator,
        "ratio": measured.median / simulator,
    }


# ---- the command


def report(results: dict[str, Any]) -> str:
    """The results as tables."""
    lines = [f"{'kernel':22}{'cuarray':>12}{'numba':>12}{'cuarray / numba':>18}"]
    for row in results["kernels"]:
        lines.append(
            f"{row['case']:22}{1e3 * row['cuarray_s']:9.3f} ms{1e3 * row['numba_s']:9.3f} ms{row['ratio']:18.2f}"
        )
    if results["kernels"]:
        lines.append(f"{'geometric mean':46}{results['geometric_mean']:18.2f}")
    for row in results["barriers"]:
        lines.append(
            f"\n{row['case']}: cuarray {1e3 * row['cuarray_s']:.3f} ms, "
            f"numba's CUDA simulator {1e3 * row['simulator_s']:.1f} ms ({1 / row['ratio']:.0f} times as long)"
        )
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.host_kernels", description=__doc__)
    parser.add_argument("cases", nargs="*", help="names of cases; all if there are none")
    parser.add_argument("--json", type=Path, help="where the results go")
    parser.add_argument("--simulate", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.simulate:
        simulate(arguments.simulate)
        return 0

    names = [case.name for case in CASES] + ["barriers"]
    for name in arguments.cases:
        if name not in names:
            parser.error(f"there is no case {name!r}; there are {', '.join(names)}")
    from cuarray import _runtime

    if _runtime.get().name != "host":
        parser.error("this is about the host backend: set CUARRAY_BACKEND=host")

    wanted = arguments.cases or names
    kernels, barriers, failed = [], [], []
    for name, run, rows in [
        *((case.name, lambda case=case: run_case(case), kernels) for case in CASES),
        ("barriers", run_barriers, barriers),
    ]:
        if name not in wanted:
            continue
        try:
            rows.append(run())
        except Exception as error:  # whatever it is, the other cases go on
            failed.append({"case": name, "error": f"{type(error).__name__}: {error}"})
            print(f"{name} FAILED: {failed[-1]['error']}", file=sys.stderr)
    results = {
        "commit": find_commit(),
        "machine": platform.processor() or platform.machine(),
        "threads": numba.get_num_threads(),
        "cores": len(os.sched_getaffinity(0)),
        "numba": numba.__version__,
        "kernels": kernels,
        "geometric_mean": math.exp(statistics.fmean(math.log(row["ratio"]) for row in kernels)) if kernels else None,
        "barriers": barriers,
        "failed": failed,
    }
    print(report(results))
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1) + "\n")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
