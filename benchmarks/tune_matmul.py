"""Checks and times the kernels of matrix products: `python -m benchmarks.tune_matmul out.json --seconds 150`.

First every configuration of every family computes small and odd products (transposed operands, stacks, epilogues), and
is compared with float64. Of those that are wrong it is said where, and what the tensor cores saw instead. Then all that
neither failed nor hung are timed on large ones, in turn with torch.matmul where it can be imported: random data,
medians of batches between two events. All this happens in other processes: one that fails, or hangs, costs what it was
doing, and the rest goes on in a fresh one. On the host backend there is only the family "chosen", and wall-clock time.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import os
import queue
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

import cuarray as ca
from cuarray import _matmul_tuning, _plan, _runtime
from cuarray._dtypes import DTYPES
from cuarray._errors import CudaError
from cuarray._launch import Prepared
from cuarray._layout import Layout, layout
from cuarray._plan import Epilogue, Plan, Product
from cuarray._runtime import nvrtc
from cuarray._runtime.base import BUILTIN_OPTIONS

# ---- what is run


class Family(NamedTuple):
    """Kernels under one name: the module in cuarray/_plan with their `candidates` and `plan`."""

    module: str
    named: Callable[[Any], dict[str, Any]] = lambda module: {}  # configurations besides the candidates


def hopper_ladder(module: Any) -> dict[str, Any]:
    """From a simple kernel to the fastest one, a step each: the rungs of docs/matmul.md."""
    own = module.Configuration
    alone = {"cluster_m": 1, "cluster_n": 1}
    plain = {"order": "rows", "plain_stores": True, "persistent": False}
    return {
        "1 one consumer, 128x128": own(128, 128, 4, consumers=1, **alone, **plain),
        "2 two consumers, 128x256": own(**alone, **plain),
        "3 tiles in groups": own(**alone, plain_stores=True, persistent=False),
        "4 blocks that stay": own(**alone, plain_stores=True),
        "5 stores beside the next tile": own(**alone),
        "6 clusters share b": own(),
        "7 along a curve": own(order="curve"),
    }


def hopper_variants(module: Any) -> dict[str, Any]:
    """The ladder, and what else might be faster."""
    own = module.Configuration
    return hopper_ladder(module) | {
        "groups of 4": own(group=4),
        "groups of 16": own(group=16),
        "clusters share a": own(cluster_m=1, cluster_n=2),
        "clusters of 4": own(cluster_m=2, cluster_n=2),
        "256x128, clusters share a": own(256, 128, 4, 1, 2),
        "256x128, clusters share b": own(256, 128, 4, 2, 1),
        "three stages, four buffers": own(stages=3, buffers=4),
        "curve in squares of 4": own(order="curve", group=4),
    }


FAMILIES = {
    "hopper": Family("_matmul_hopper", hopper_variants),
    "mma": Family("_matmul_mma"),
    "simt": Family("_matmul_simt"),
    "simple": Family("_matmul_simple"),
    "chosen": Family(""),  # what the library itself would take
}
PRECISIONS = {"tf32": ("float32", "tf32"), "tf32x3": ("float32", "tf32x3")}  # more names of dtypes
# The largest error, ||out - float64|| / ||float64||, of a right result for random operands and k up to some thousands.
TOLERANCES = {"float16": 1e-3, "bfloat16": 5e-3, "tf32": 1e-3, "tf32x3": 3e-6, "float32": 3e-6, "float64": 1e-14}
TOLERANCES |= {"complex64": 3e-6, "complex128": 1e-14}


class Case(NamedTuple):
    """A product: extents, transposed operands, a stack, whether b is the same for all of it, and whether relu(.+c)."""

    m: int
    n: int
    k: int
    turned: str = ""  # any of "a", "b"
    stack: int = 0
    shared_b: bool = False
    epilogue: bool = False

    def __str__(self) -> str:
        words = [f"{self.m}x{self.n}x{self.k}", f"turned {self.turned}" if self.turned else ""]
        words += [f"stack {self.stack}{' of one b' if self.shared_b else ''}" if self.stack else ""]
        return " ".join(filter(None, [*words, "relu(.+c)" if self.epilogue else ""]))


FOR_ALL = (  # also for configurations that are no candidates
    Case(128, 256, 64),
    Case(256, 512, 512),
    Case(1000, 1032, 520),
    Case(2304, 2560, 264),  # several tiles a block
)
CHECKS = (
    *FOR_ALL,
    Case(128, 256, 64, "ab"),
    Case(256, 256, 128, "a"),
    Case(256, 256, 128, "b"),
    Case(304, 72, 1096, "ab"),
    Case(130, 77, 72, "b"),  # rows of out that are no multiple of 16 bytes
    Case(257, 131, 195),  # and of the operands, which hopper copies first
    Case(131, 257, 195, "ab"),
    Case(8, 8, 8),
    Case(200, 264, 136, "", 3),
    Case(200, 264, 136, "a", 3, True),
    Case(520, 776, 200, "", 0, False, True),
)
MOST_CANDIDATES = 4  # that are timed where others are, too
MOST_EXPECTED = 5  # of a family that are timed for a product that is no large square
MOST_LATER = 6  # configurations that are timed at sizes after the first

# ---- running one product


def find_dtype(name: str) -> tuple[np.dtype, str]:
    """The dtype, and the precision, of a name."""
    name, precision = PRECISIONS.get(name, (name, "ieee"))
    return next(dtype for dtype in DTYPES if dtype.name == name), precision


def describe(case: Case, name: str) -> Product:
    """The product of a case."""
    dtype, precision = find_dtype(name)

    def operand(rows: int, cols: int, turned: bool, stack: int) -> Layout:
        step = dtype.itemsize
        strides = (step, rows * step) if turned else (cols * step, step)
        if stack:
            return layout(dtype, (stack, rows, cols), (rows * cols * step, *strides))
        return layout(dtype, (rows, cols), strides)

    a = operand(case.m, case.k, "a" in case.turned, case.stack)
    b = operand(case.k, case.n, "b" in case.turned, 0 if case.shared_b else case.stack)
    batch = (case.stack,) if case.stack else ()
    one = int(np.float32(1).view(np.uint32)) if dtype.itemsize <= 4 else int(np.float64(1).view(np.uint64))
    epilogue = Epilogue("Relu", (one, 0), (one, 0), True) if case.epilogue else None
    c = layout(dtype, (1, case.n)) if case.epilogue else None
    return _plan.product(a, b, batch, dtype, c=c, epilogue=epilogue, precision=precision, aligned=True)


def configurations(family: str, of: Product, all_of_them: bool) -> dict[str, Any]:
    """What is to be tried for a product, by names; {} where the family does not serve it."""
    target = _runtime.get().target
    if family == "chosen":
        return {"chosen": None}
    try:
        module = importlib.import_module(f"cuarray._plan.{FAMILIES[family].module}")
    except ModuleNotFoundError:
        return {}
    found = {str(own): own for own in module.candidates(target, of)}
    if not found:
        return {}
    named = FAMILIES[family].named(module) if all_of_them else {}
    if named:
        found = dict(list(found.items())[:MOST_CANDIDATES])
    for label, own in named.items():
        first = next(iter(found.values()))
        own = own._replace(promote=first.promote, split=first.split)
        if fits(module, target, of, own):
            found.pop(str(own), None)
            found[label] = own
    return found


def expected(family: str, of: Product) -> dict[str, Any]:
    """The rows of `TILES` that should be the fastest for a product that is no large square, with their splits of k."""
    target = _runtime.get().target
    module = importlib.import_module(f"cuarray._plan.{FAMILIES[family].module}")
    if not hasattr(module.Configuration, "for_product"):
        return configurations(family, of, False)
    costs = {family: module.cost(target, of)}
    rows = [row for row in _matmul_tuning.choices(target, of, costs) if row[0] == family]
    found = [module.Configuration.for_product(of, values, splits) for _, values, splits in rows]
    return {str(own): own for own in [own for own in found if module.fits(target, of, own)][:MOST_EXPECTED]}


def fits(module: Any, target: Any, of: Product, own: Any) -> bool:
    """Whether a family can make a plan with this configuration."""
    try:
        module.plan(target, of, own)
    except ValueError:
        return False
    return True


def launches(family: str, of: Product, configuration: Any) -> tuple[tuple[Plan, ...], int]:
    """The launches of a product and their scratch memory."""
    target = _runtime.get().target
    if family == "chosen":
        made = _plan.matmul(target, of)
    else:
        made = importlib.import_module(f"cuarray._plan.{FAMILIES[family].module}").plan(target, of, configuration)
    return made.launches, made.scratch_bytes


class Runner:
    """A product, prepared: to be run on operands given by address."""

    def __init__(self, family: str, of: Product, configuration: Any) -> None:
        plans, nbytes = launches(family, of, configuration)
        self.prepared = [Prepared(own) for own in plans]
        self.scratch = _runtime.get().allocate_scratch(nbytes)

    def __call__(self, out: int, a: int, b: int, c: int = 0) -> None:
        for own in self.prepared:
            own.launch(out, a, b, c, self.scratch.pointer)


def bounded(configuration: Any) -> Any:
    """The configuration with an end to every wait, where it has such a thing."""
    return configuration._replace(bounded=True) if hasattr(configuration, "bounded") else configuration


def compile_all(plans: Iterable[Plan]) -> Iterator[str]:
    """Compile on all cores what is not on the disk; yields each name when it is done."""
    runtime = _runtime.get()
    if runtime.host_is_device:
        return
    wanted = {(own.instance.header, f"&{own.instance.name}") for own in plans}
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        jobs = {
            pool.submit(nvrtc.compile, _runtime.builtin_source(header), (name,), runtime.architecture): name
            for header, name in sorted(wanted)
        }
        for job in as_completed(jobs):  # what does not compile says so when it is run
            yield jobs[job]


# ---- checking


@functools.lru_cache(maxsize=4)
def operands_of(case: Case, name: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Random a, b and c, as the dtype holds them, in float64."""
    random = np.random.default_rng(0)
    stack = (case.stack,) if case.stack else ()
    shapes = (*stack, case.m, case.k), (*(() if case.shared_b else stack), case.k, case.n), (1, case.n)
    a, b, c = (random.standard_normal(shape) for shape in shapes)
    if find_dtype(name)[0].kind == "c":
        a, b, c = (x + 1j * random.standard_normal(x.shape) for x in (a, b, c))
    return a, b, c


def stored(values: np.ndarray, dtype: np.dtype, turned: bool) -> tuple[ca.CuArray, np.ndarray]:
    """An array on the device that lies as a case wants it, and its values in float64."""
    lying = np.ascontiguousarray(np.swapaxes(values, -1, -2) if turned else values)
    array = ca.astype(ca.array(lying.astype(np.float32) if dtype.itemsize < 8 else lying), dtype)
    back = np.array(np.asarray(ca.astype(array, wide(dtype))))
    return array, np.swapaxes(back, -1, -2) if turned else back


def wide(dtype: np.dtype) -> type:
    """What exact results are computed in."""
    return np.complex128 if dtype.kind == "c" else np.float64


def compute(family: str, case: Case, name: str, configuration: Any, values: tuple[np.ndarray, ...]) -> Any:
    """The result, on memory that was NaN before, and what float64 says."""
    of, (dtype, _) = describe(case, name), find_dtype(name)
    a, b, c = values
    (a_array, a), (b_array, b) = stored(a, dtype, "a" in case.turned), stored(b, dtype, "b" in case.turned)
    c_array, c = stored(c, dtype, False)
    exact = a @ b
    if case.epilogue:
        exact = np.maximum(exact + c, 0)
    out = ca.astype(ca.full(exact.shape, np.nan if dtype.kind not in "iub" else 77), dtype)
    runner = Runner(family, of, bounded(configuration))
    runner(out._pointer, a_array._pointer, b_array._pointer, c_array._pointer)
    ca.cuda.synchronize()
    return np.array(np.asarray(ca.astype(out, wide(dtype)))), exact


def check(family: str, case: Case, name: str, configuration: Any) -> dict[str, Any]:
    """Whether a configuration computes a case: its error, and of a wrong one, what is wrong."""
    found, exact = compute(family, case, name, configuration, operands_of(case, name))
    error = float(np.linalg.norm(found - exact) / np.linalg.norm(exact))
    result: dict[str, Any] = {"error": error, "right": error < TOLERANCES.get(name, 1e-12)}
    if not result["right"]:
        result["pattern"] = pattern(found, exact)
        if case.stack == 0 and not case.epilogue and case.m * case.n <= 1 << 18 and exact.dtype.kind == "f":
            result["seen"] = what_was_seen(family, case, name, configuration)
    return result


def pattern(found: np.ndarray, exact: np.ndarray) -> dict[str, Any]:
    """Which blocks of 64 x 64 of the first matrix are wrong (. right, x wrong, n not written), and simple reasons."""
    found, exact = found.reshape(-1, *found.shape[-2:])[0], exact.reshape(-1, *exact.shape[-2:])[0]
    lines = []
    for row in range(0, min(found.shape[0], 1024), 64):
        line = ""
        for col in range(0, min(found.shape[1], 1024), 64):
            own, right = found[row : row + 64, col : col + 64], exact[row : row + 64, col : col + 64]
            wrong = np.linalg.norm(own - right) / max(float(np.linalg.norm(right)), 1e-300)
            line += "n" if np.isnan(own).any() else "." if wrong < 0.01 else "x"
        lines.append(line)
    report: dict[str, Any] = {"blocks": lines, "unwritten": float(np.isnan(found).mean())}
    clean = np.nan_to_num(found)
    scale = float(np.vdot(clean, exact) / max(float(np.vdot(exact, exact)), 1e-300))
    report["correlation"] = scale  # 0.5: half of k is missing
    if found.shape[0] == found.shape[1]:
        report["transposed"] = float(np.linalg.norm(clean.T - exact) / np.linalg.norm(exact))
    rows = {int(np.abs(exact - clean[i]).sum(-1).argmin()) for i in range(min(16, len(clean)))}
    report["rows like rows"] = sorted(rows)
    return report


def what_was_seen(family: str, case: Case, name: str, configuration: Any) -> dict[str, Any]:
    """Products with a matrix of ones on the diagonal give the other operand, as the tensor cores saw it.

    Its elements are first their row, then their column (up to 256: exact in every dtype). Listed are those at the first
    nine rows and every eighth column: a piece of 16 bytes that stands elsewhere shows.
    """
    report: dict[str, Any] = {}
    c = np.zeros((1, case.n))
    for operand in "ab":
        shape = (case.m, case.k) if operand == "a" else (case.k, case.n)
        for what, values in (
            ("row", np.broadcast_to(np.arange(shape[0])[:, None] % 256, shape)),
            ("column", np.broadcast_to(np.arange(shape[1]) % 256, shape)),
        ):
            given = (values, np.eye(case.k, case.n), c) if operand == "a" else (np.eye(case.m, case.k), values, c)
            found, exact = compute(family, case, name, configuration, tuple(np.array(x, float) for x in given))
            if not np.array_equal(found, exact):
                listed = np.nan_to_num(found[:9, :64:8], nan=-1).astype(int).tolist()
                report[f"{operand}: its {what}s"] = listed
    return report


# ---- timing


class Clock:
    """Seconds of batches of calls: between two events on the GPU, else the wall clock's."""

    def __init__(self) -> None:
        self.on_gpu = not _runtime.get().host_is_device

    def batch(self, call: Callable[[], Any], calls: int) -> float:
        """Seconds a call."""
        if not self.on_gpu:
            start = time.perf_counter()
            for _ in range(calls):
                call()
            return (time.perf_counter() - start) / calls
        first, last = ca.cuda.Event(timing=True), ca.cuda.Event(timing=True)
        first.record()
        for _ in range(calls):
            call()
        last.record()
        last.synchronize()
        return float(ca.cuda.elapsed_time(first, last)) / 1e3 / calls


def tensors(case: Case, name: str) -> tuple[Any, Callable[[], Any] | None]:
    """Out and random a, b on the device, their addresses; and what computes their product by torch, or None."""
    dtype, _ = find_dtype(name)
    try:
        import torch

        if not torch.cuda.is_available() or _runtime.get().host_is_device:
            raise ImportError
    except ImportError:
        random = np.random.default_rng(0)
        arrays = [ca.astype(ca.array(random.standard_normal(s, np.float32)), dtype) for s in shapes_of(case)]
        out = ca.empty((case.m, case.n), dtype)
        return (out, *arrays, [x._pointer for x in (out, *arrays)]), None
    torch.backends.cuda.matmul.allow_tf32 = name.startswith("tf32") and name != "tf32x3"
    kind = getattr(torch, dtype.name)
    generator = torch.Generator("cuda").manual_seed(0)
    drawn = kind if dtype.kind == "c" else torch.float32
    both = [torch.randn(s, device="cuda", generator=generator, dtype=drawn).to(kind) for s in shapes_of(case)]
    out, result = torch.empty((case.m, case.n), dtype=kind, device="cuda"), torch.empty(0)
    result = torch.empty_like(out)
    torch.cuda.synchronize()
    return (out, *both, [x.data_ptr() for x in (out, *both)]), lambda: torch.matmul(*both, out=result)


def shapes_of(case: Case) -> list[tuple[int, int]]:
    """Of a and b."""
    return [(case.m, case.k), (case.k, case.n)]


def sampled_error(operands: Any) -> float:
    """The error of 64 rows of the result, from everywhere in it."""
    out, a, b, _ = operands
    rows = np.linspace(0, out.shape[0] - 1, 64).astype(int).tolist()
    if isinstance(out, ca.CuArray):
        host = [np.array(np.asarray(ca.astype(x, wide(x.dtype)))) for x in (out, a, b)]
        exact = host[1][rows] @ host[2]
        return float(np.linalg.norm(host[0][rows] - exact) / np.linalg.norm(exact))
    import torch

    kind = torch.complex128 if a.is_complex() else torch.float64
    exact = a[rows].to(kind) @ b.to(kind)
    return float((out[rows].to(kind) - exact).norm() / exact.norm())


def time_all(
    family: str, case: Case, name: str, job: dict[str, Any], only: set[str] | None
) -> Iterator[dict[str, Any]]:
    """Every configuration (of `only`), in turn with torch: what was found, announced before it is run."""
    of, clock, seconds = describe(case, name), Clock(), job["each"]
    failed = {key.split("|")[3] for key in job["failed"] if key.startswith(f"{family}|{name}|")}
    square = case.m == case.n == case.k >= 2048 or family == "chosen"
    found = {
        label: own
        for label, own in (configurations(family, of, case.m >= 2048) if square else expected(family, of)).items()
        if f"{family}|{name}|{case}|{label}" not in job["skip"] and label not in failed
        if only is None or label in only
    }
    if not found or time.time() > job["until"]:
        return
    for done in compile_all(plan for own in found.values() for plan in launches(family, of, own)[0]):
        yield {"note": done}
    operands, other = tensors(case, name)
    out, _a, _b, addresses = operands
    flops = 2.0 * case.m * case.n * case.k
    if other is not None:
        other()
    for label, own in found.items():
        if time.time() > job["until"]:
            return
        key = f"{family}|{name}|{case}|{label}"
        yield {"begin": key}
        out.fill_(math.nan) if other is not None else None
        runner = Runner(family, of, own)
        runner(*addresses)
        ca.cuda.synchronize()
        error = sampled_error(operands)
        once = clock.batch(lambda runner=runner: runner(*addresses), 1)
        calls = max(1, min(200, int(seconds / 12 / max(once, 1e-6))))
        times: dict[str, list[float]] = {"own": [], "torch": []}
        began = time.perf_counter()
        while len(times["own"]) < 3 or (time.perf_counter() - began < seconds and len(times["own"]) < 15):
            times["own"].append(clock.batch(lambda runner=runner: runner(*addresses), calls))
            if other is not None:
                times["torch"].append(clock.batch(other, calls))
        row: dict[str, Any] = {"family": family, "dtype": name, "case": str(case), "label": label}
        row |= {"configuration": str(own), "error": error, "right": error < TOLERANCES.get(name, 1e-12)}
        row |= {"tflops": flops / statistics.median(times["own"]) / 1e12, "seconds": times["own"], "calls": calls}
        if times["torch"]:
            row["torch"] = flops / statistics.median(times["torch"]) / 1e12
        yield {"key": key, **row}


# ---- the processes: a worker does what is not in `skip` and prints a line before and after each thing


def work(job: dict[str, Any]) -> None:
    """A worker."""

    def say(line: dict[str, Any]) -> None:
        print(json.dumps(line), flush=True)

    if job["ptxas"]:
        for header in ("matmul_mma.cuh", "matmul_mma_double.cuh"):
            BUILTIN_OPTIONS[header] = (f"--ptxas-options={job['ptxas']}",)
    for family in job["families"]:
        for name in job["dtypes"]:
            lines = check_all(family, name, job) if job["stage"] == "check" else time_sizes(family, name, job)
            for line in lines:
                say(line)
                if line.get("lost"):  # the context is, and with it the process
                    sys.exit(LOST)


LOST = 3


def check_all(family: str, name: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All cases of a dtype."""
    skip = set(job["skip"])
    todo = []
    for case in CHECKS:
        if case.epilogue and find_dtype(name)[0].kind == "c":
            continue  # complex numbers have no relu
        for label, own in configurations(family, describe(case, name), case in FOR_ALL).items():
            if f"{family}|{name}|{case}|{label}" not in skip:
                todo.append((case, label, own))
    plans = [own for case, _, by in todo for own in launches(family, describe(case, name), bounded(by))[0]]
    for done in compile_all(plans):
        yield {"note": done}
    for case, label, own in todo:
        if time.time() > job["until"]:
            return
        key = f"{family}|{name}|{case}|{label}"
        yield {"begin": key}
        row: dict[str, Any] = {"key": key, "family": family, "dtype": name, "case": str(case), "label": label}
        try:
            row |= {"configuration": str(own), **check(family, case, name, own)}
        except Exception as error:
            row |= {"right": False, "failed": f"{type(error).__name__}: {error}", "lost": isinstance(error, CudaError)}
        yield row


def time_sizes(family: str, name: str, job: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """All sizes of a dtype; after the first one, only the fastest."""
    fastest: dict[str, float] = {}
    for extents in job["sizes"]:
        case = Case(*extents)
        only = set(sorted(fastest, key=fastest.__getitem__, reverse=True)[:MOST_LATER]) or None
        only = only if len(set(extents)) == 1 and extents[0] >= 2048 else None
        for line in time_all(family, case, name, job, only):
            yield line
            if "tflops" in line and only is None and len(set(extents)) == 1:
                fastest[line["label"]] = line["tflops"]


def supervise(job: dict[str, Any], limit: float) -> list[dict[str, Any]]:
    """Workers, one after the other, until all is done or its time is over; `limit` seconds without a line end one."""
    rows: list[dict[str, Any]] = []
    while time.time() < job["until"] + limit:
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.tune_matmul", "--worker", json.dumps(job)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=Path(__file__).resolve().parent.parent,
            env={**os.environ, "CUARRAY_QUIET": "1", "CUARRAY_BACKGROUND": "0"},
        )
        lines: queue.Queue[str | None] = queue.Queue()
        said: list[str] = []
        reader = threading.Thread(target=forward, args=(process.stdout, lines), daemon=True)
        errors = threading.Thread(target=lambda p=process, said=said: said.extend(p.stderr), daemon=True)
        reader.start()
        errors.start()
        doing, hung, heard = "", False, time.time()
        while True:
            try:
                text = lines.get(timeout=1)
            except queue.Empty:
                if process.poll() is not None:
                    break
                hung = time.time() - heard > limit
                if not hung:
                    continue
                process.kill()
                break
            heard = time.time()
            if text is None:
                break
            line = json.loads(text)
            if "note" in line:
                continue
            if "begin" in line:
                doing = line["begin"]
                continue
            doing = ""
            job["skip"].append(line["key"])
            rows.append(line)
            show(line)
        code = process.wait()
        errors.join(5)
        if code == 0 and not hung:
            return rows
        if code == LOST:
            skip_label(job, rows[-1])
            continue
        why = f"no answer for {limit} s" if hung else " ".join(("".join(said).strip().splitlines() or [str(code)])[-1:])
        if not doing:
            print(f"  a worker failed: {why}", flush=True)
            return rows
        row = dict(zip(("family", "dtype", "case", "label"), doing.split("|"), strict=True))
        rows.append({"key": doing, **row, "right": False, "failed": why})
        show(rows[-1])
        skip_label(job, rows[-1])
    return rows


def skip_label(job: dict[str, Any], row: dict[str, Any]) -> None:
    """A configuration has cost a process. It would do so again: what is left of it is left out."""
    job["skip"].append(row["key"])
    for case in CHECKS if job["stage"] == "check" else ():
        job["skip"].append(f"{row['family']}|{row['dtype']}|{case}|{row['label']}")


def forward(stream: Any, lines: queue.Queue[str | None]) -> None:
    """What a process prints, line by line, and None."""
    for line in stream:
        if line.startswith("{"):
            lines.put(line)
    lines.put(None)


def show(row: dict[str, Any]) -> None:
    """A line for what is worth one at once: failures, and times."""
    head = f"  {row['family']} {row['dtype']} {row['case']} {row['label']}:"
    if "failed" in row:
        print(f"{head} FAILED {row['failed'][:300]}", flush=True)
    elif not row["right"]:
        print(f"{head} WRONG by {row['error']:.1e}", flush=True)
        for name in ("pattern", "seen"):
            for what, value in row.get(name, {}).items():
                print(f"      {what}: {value}", flush=True)
    elif "tflops" in row:
        compared = f" = {row['tflops'] / row['torch']:.3f} of torch's {row['torch']:.1f}" if "torch" in row else ""
        print(f"{head} {row['tflops']:.1f} TFLOP/s{compared}, error {row['error']:.1e}", flush=True)


def summary(rows: list[dict[str, Any]]) -> None:
    """A table for each dtype, over the cases: TFLOP/s and the fraction of torch's."""
    timed = [row for row in rows if "tflops" in row]
    for name in dict.fromkeys(row["dtype"] for row in timed):
        own = [row for row in timed if row["dtype"] == name]
        cases = list(dict.fromkeys(row["case"] for row in own))
        print(f"\n{name:44}" + "".join(f"{case.split('x')[0]:>18}" for case in cases))
        for family, label in dict.fromkeys((row["family"], row["label"]) for row in own):
            line = f"{family} {label}"[:43].ljust(44)
            for case in cases:
                found = [r for r in own if (r["family"], r["label"], r["case"]) == (family, label, case)]
                text = f"{found[0]['tflops']:.0f}" if found else "-"
                if found and "torch" in found[0]:
                    text += f" ({found[0]['tflops'] / found[0]['torch']:.3f})"
                line += f"{text + ('' if not found or found[0]['right'] else '!'):>18}"
            print(line)


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tune_matmul", description=__doc__.split("\n")[0])
    parser.add_argument("json", nargs="?")
    parser.add_argument("--seconds", type=float, default=150, help="in all (default: %(default)s)")
    parser.add_argument("--families", default="hopper,mma,simt", help=f"of {','.join(FAMILIES)} (default: %(default)s)")
    parser.add_argument("--dtypes", default="bfloat16,float16,tf32,tf32x3", help="(default: %(default)s)")
    parser.add_argument("--sizes", default="8192,4096,16384", help="to time, N or MxNxK (default: %(default)s)")
    parser.add_argument("--ptxas", help="another level of ptxas for mma, as -O3")
    parser.add_argument("--each", type=float, default=0.4, help="seconds for one time (default: %(default)s)")
    parser.add_argument(
        "--hang", type=float, default=20, help="seconds after which a process hangs (default: %(default)s)"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        work(json.loads(options.worker))
        return
    if not options.json:
        parser.error("the following arguments are required: json")
    began = time.time()
    families, dtypes = options.families.split(","), options.dtypes.split(",")
    job: dict[str, Any] = {"families": families, "dtypes": dtypes, "each": options.each}
    job["sizes"] = [[int(n) for n in (size.split("x") * 3)[:3]] for size in options.sizes.split(",")]
    job["ptxas"] = options.ptxas
    until = began + 0.45 * options.seconds
    checked = supervise({**job, "stage": "check", "until": until, "skip": []}, options.hang)
    wrong = [row["key"] for row in checked if not row["right"]]
    print(f"{len(checked)} checks, {len(wrong)} wrong or failed, {time.time() - began:.0f} s")
    failed = [row["key"] for row in checked if "failed" in row]
    until = began + options.seconds - options.each
    timed = supervise({**job, "stage": "time", "until": until, "failed": failed, "skip": []}, options.hang)
    summary(timed)
    for row in checked:
        if not row["right"]:
            print(f"  not right: {row['key']}  {row.get('failed', row.get('error'))}"[:160])
    with open(options.json, "w") as file:
        json.dump({"seconds": time.time() - began, "checks": checked, "times": timed}, file, indent=1)


if __name__ == "__main__":
    main()
