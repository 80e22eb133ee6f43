"""What a long-lived process keeps: ``python -m benchmarks.endurance --json F``.

Three questions: how memory grows with definitions (each a new source and a new instance of its template, launched
once), that launches of one kernel keep nothing, and that threads which define and launch at the same time get right
results. Each in a process of its own.
"""

from __future__ import annotations

import argparse
import gc
import json
import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from typing import Any

import numpy as np

import cuarray as ca
from cuarray._runtime import cling

SOURCE = "template <class T> __global__ void set(T* x) {{ x[threadIdx.x] = T({value}) + T(threadIdx.x); }}"
SIZE = 16


def resident() -> int:
    """Bytes of this process in memory."""
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def define_and_launch(value: int, dtype: str) -> bool:
    """Define a source that was never defined before, launch its kernel, and say whether the result is right."""
    x = ca.empty(SIZE, dtype)
    ca.cudadef(SOURCE.format(value=value)).set[1, SIZE](x)
    return bool((np.asarray(x) == np.arange(value, value + SIZE).astype(dtype)).all())


def definitions(count: int) -> dict[str, Any]:
    """Memory and time of `count` definitions, in ten steps."""
    define_and_launch(-1, "float32")
    gc.collect()
    start, began = resident(), time.perf_counter()
    steps, wrong = [], 0
    for value in range(count):
        wrong += not define_and_launch(value, "float32")
        if (value + 1) % max(count // 10, 1) == 0:
            gc.collect()
            each = (resident() - start) / (value + 1)
            steps.append(
                {
                    "definitions": value + 1,
                    "bytes_each": each,
                    "arrays": ca.cuda.memory_info().used,
                    "mappings": cling.count_mappings(),
                }
            )
            print(f"{value + 1:>7} definitions: {each / 1024:6.1f} KiB each", flush=True)
    return {"count": count, "wrong": wrong, "seconds_each": (time.perf_counter() - began) / count, "steps": steps}


def launches(count: int) -> dict[str, Any]:
    """What `count` launches of one kernel leave behind."""
    kernel, x = ca.cudadef(SOURCE.format(value=0)).set, ca.empty(SIZE, "float32")
    for _ in range(10_000):
        kernel[1, SIZE](x)
    ca.cuda.synchronize()
    gc.collect()
    before, arrays, began = resident(), ca.cuda.memory_info().used, time.perf_counter()
    for _ in range(count):
        kernel[1, SIZE](x)
    ca.cuda.synchronize()
    seconds = time.perf_counter() - began
    gc.collect()
    grown = {"bytes": resident() - before, "array_bytes": ca.cuda.memory_info().used - arrays}
    print(f"{count} launches: {grown['bytes']} bytes, {grown['array_bytes']} bytes in arrays")
    return {"count": count, "seconds_each": seconds / count, **grown}


def threads(count: int, seconds: float) -> dict[str, Any]:
    """Threads that define and launch at once for a while: how often, and how many results were wrong."""
    done, wrong, errors = [0] * count, [0] * count, []
    end = time.perf_counter() + seconds

    def work(number: int) -> None:
        dtypes = ("int32", "float32", "float64")
        try:
            while time.perf_counter() < end:
                value = 1_000_000 * (number + 1) + done[number]
                wrong[number] += not define_and_launch(value, dtypes[done[number] % 3])
                done[number] += 1
        except BaseException as error:
            errors.append(repr(error))

    workers = [threading.Thread(target=work, args=(number,)) for number in range(count)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    print(f"{count} threads, {seconds} s: {sum(done)} definitions, {sum(wrong)} wrong, errors: {errors or 'none'}")
    return {"threads": count, "seconds": seconds, "definitions": sum(done), "wrong": sum(wrong), "errors": errors}


def report(results: dict[str, Any]) -> str:
    """As Markdown."""
    launched, threaded, defined = results["launches"], results["threads"], results["definitions"]
    last = defined["steps"][-1] if defined["steps"] else {"bytes_each": 0}
    rows = (
        (f"{launched['count']} launches: growth of the process, of arrays",
         f"{launched['bytes']} bytes, {launched['array_bytes']} bytes"),
        (f"{threaded['threads']} threads for {threaded['seconds']} s: definitions, wrong results, errors",
         f"{threaded['definitions']}, {threaded['wrong']}, {len(threaded['errors'])}"),
        (f"{defined['count']} definitions: wrong results", f"{defined['wrong']}"),
        ("memory of each", f"{last['bytes_each'] / 1024:.0f} KiB"),
        ("time of each", f"{defined['seconds_each'] * 1e3:.0f} ms"),
    )  # fmt: skip
    lines = [f"Endurance, backend {results['backend']}", "", "| what | |", "|---|--:|"]
    return "\n".join(lines + [f"| {what} | {found} |" for what, found in rows])


def main() -> None:
    """Run what was asked for, print and write the figures."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--definitions", type=int, default=10_000)
    parser.add_argument("--launches", type=int, default=1_000_000)
    parser.add_argument("--threads", type=int, default=8)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--json", help="write the figures to this file")
    options = parser.parse_args()
    results: dict[str, Any] = {"backend": "cuda" if ca.cuda.is_available() else "host"}
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn"), max_tasks_per_child=1) as pool:
        results["launches"] = pool.submit(launches, options.launches).result()
        results["threads"] = pool.submit(threads, options.threads, options.seconds).result()
        results["definitions"] = pool.submit(definitions, options.definitions).result()
    if options.json:
        with open(options.json, "w") as file:
            json.dump(results, file, indent=1)
            file.write("\n")


if __name__ == "__main__":
    main()
