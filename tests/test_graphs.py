"""Graphs whose kernels follow each other closely: every one sees what those before it wrote."""

from __future__ import annotations

import re
from enum import IntEnum
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import cuarray as ca
from cuarray._runtime import builtin_source, overlap

KERNELS = Path(ca.__file__).parent / "kernels"

MODULE = """
__global__ void reverse(const double* x, double* out, long n) {
  const long step = long(gridDim.x) * blockDim.x;
  for (long i = blockIdx.x * long(blockDim.x) + threadIdx.x; i < n; i += step) out[i] = x[n - 1 - i];
}
"""
N = 300_000  # more than a device's processors do at once

# What changes one of the arrays: kernels of many and of few blocks, which read all of what was written before.
STEPS: dict[str, Any] = {
    "add": lambda x, y, mod: np.add(x, y, out=x),
    "reversed": lambda x, y, mod: x.__setitem__(..., y[::-1] - 0.5 * x),
    "transposed": lambda x, y, mod: x.reshape(600, 500).__setitem__(..., y.reshape(500, 600).T),
    "sum": lambda x, y, mod: x.__setitem__(slice(0, 7), y.sum() / 1000),
    "rows": lambda x, y, mod: x.__setitem__(slice(0, 500), y.reshape(600, 500).mean(0)),
    "cumsum": lambda x, y, mod: x.__setitem__(..., y.cumsum() / 1000),
    "sort": lambda x, y, mod: x.sort(),
    "gather": lambda x, y, mod: x.__setitem__(slice(0, 1000), y[ca.arange(999, -1, -1)]),
    "fill": lambda x, y, mod: x.fill(0.25),
    "copy": lambda x, y, mod: x.__setitem__(slice(10, None), y[:-10]),
    "own kernel": lambda x, y, mod: mod.reverse[300, 128](y, x, N),
}


@settings(max_examples=30)
@given(
    program=st.lists(st.tuples(st.sampled_from(sorted(STEPS)), st.permutations([0, 1, 2])), min_size=2, max_size=12),
    forked=st.booleans(),
)
def test_a_graph_does_what_its_operations_do(program: list[tuple[str, list[int]]], forked: bool) -> None:
    """Twice in a row; `forked`: every other step is on a stream of its own, which the others wait for."""
    mod = ca.cudadef(MODULE, name="test_graphs")
    rng = np.random.default_rng(0)
    start = [ca.array(rng.random(N)) for _ in range(3)]

    def run(arrays: list[Any]) -> None:
        for name, (to, source, _rest) in program:
            STEPS[name](arrays[to], arrays[source], mod)

    expected = [x.copy() for x in start]
    for _ in range(2):
        run(expected)
    found = [x.copy() for x in start]
    main, side = ca.cuda.Stream(non_blocking=True), ca.cuda.Stream(non_blocking=True)
    ca.cuda.synchronize()
    with main.capture() as graph:
        for k, (name, (to, source, _rest)) in enumerate(program):
            if forked and k % 2:
                side.wait(main)
                with side:
                    STEPS[name](found[to], found[source], mod)
                main.wait(side)
            else:
                STEPS[name](found[to], found[source], mod)
    for _ in range(2):
        graph.launch(main)
    main.synchronize()
    for ours, theirs in zip(found, expected):
        np.testing.assert_array_equal(np.asarray(ours), np.asarray(theirs))


def test_two_branches_that_meet() -> None:
    """Both read what was written before the fork, and what follows reads what both wrote."""
    x, y, z = (ca.full(N, float(k)) for k in range(3))
    total = ca.zeros(1)
    main, side = ca.cuda.Stream(non_blocking=True), ca.cuda.Stream(non_blocking=True)
    ca.cuda.synchronize()
    with main.capture() as graph:
        x += 1
        side.wait(main)
        with side:
            z[...] = x[::-1] + z
        y += x
        main.wait(side)
        total[...] = (y + z).sum()
    for _ in range(3):
        graph.launch(main)
    main.synchronize()
    # x is 1, 2, 3; y is 1 + 1 + 2 + 3, z is 2 + 1 + 2 + 3
    np.testing.assert_array_equal(np.asarray(total), [15.0 * N])


def test_kernels_wait_in_their_first_line() -> None:
    """Headers whose kernels are said to wait for those before them, and what they say."""
    begins = re.compile(r"^(?!\s*//)[^\n]*__global__.*?\)\s*\{\s*(await_previous\(\);)?", re.MULTILINE | re.DOTALL)
    seen = 0
    for path in sorted(KERNELS.glob("*.cuh")):
        waits = [bool(match[1]) for match in begins.finditer(path.read_text())]
        if path.name == "reduce_rows.cuh":  # on the CPU only
            continue
        assert all(waits) if builtin_source(path.name).awaits else not any(waits), path.name
        seen += sum(waits)
    assert seen > 60


# ---- which edges are changed: in a graph of a driver that only remembers


class Kind(IntEnum):
    CU_GRAPH_NODE_TYPE_KERNEL = 0
    CU_GRAPH_NODE_TYPE_MEMCPY = 1


class Edge:
    def __init__(self) -> None:
        self.from_port = self.type = 0


class Driver:
    """The functions that are asked for, of the bindings for CUDA 12 or 13."""

    CUgraph = int
    CUgraphNodeType = Kind
    CUgraphEdgeData = Edge
    CUgraphDependencyType = SimpleNamespace(CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC=1)

    def __init__(self, nodes: list[int | None], edges: list[tuple[int, int]], suffix: str) -> None:
        self.nodes, self.edges = nodes, {ends: Edge() for ends in edges}
        if suffix:
            for name in ("cuGraphGetEdges", "cuGraphAddDependencies", "cuGraphRemoveDependencies"):
                setattr(self, name + suffix, None)
        self.suffix = suffix

    def call(self, name: str, *arguments: Any) -> Any:
        return getattr(self, "_" + name.removesuffix(self.suffix) if self.suffix else "_" + name)(*arguments)

    def _cuGraphGetEdges(self, graph: int, count: int) -> Any:
        assert graph == 99
        if not count:
            return None, None, None, len(self.edges)
        assert count == len(self.edges)
        return [a for a, _ in self.edges], [b for _, b in self.edges], list(self.edges.values()), count

    def _cuGraphNodeGetType(self, node: int) -> Kind:
        return Kind.CU_GRAPH_NODE_TYPE_MEMCPY if self.nodes[node] is None else Kind.CU_GRAPH_NODE_TYPE_KERNEL

    def _cuGraphKernelNodeGetParams(self, node: int) -> Any:
        return SimpleNamespace(func=self.nodes[node], kern=0)

    def _cuGraphRemoveDependencies(
        self, graph: int, first: list[int], second: list[int], data: Any, count: int
    ) -> None:
        assert graph == 99 and len(first) == len(second) == len(data) == count
        for ends, own in zip(zip(first, second), data):
            assert not own.type and not self.edges.pop(ends).type

    def _cuGraphAddDependencies(self, graph: int, first: list[int], second: list[int], data: Any, count: int) -> None:
        assert graph == 99 and len(first) == len(second) == len(data) == count
        for ends, own in zip(zip(first, second), data):
            assert ends not in self.edges
            self.edges[ends] = own


@pytest.mark.parametrize("suffix", ["", "_v2"])
def test_edges_to_kernels_that_wait(suffix: str) -> None:
    waits, other, copy = 7, 8, None
    nodes = [waits, waits, other, copy, waits, waits]
    edges = [(0, 1), (1, 2), (2, 3), (3, 4), (2, 4), (4, 5), (0, 5)]
    driver = Driver(nodes, edges, suffix)
    assert overlap.overlap_kernels(driver, driver.call, 99, {waits}) == 4
    assert set(driver.edges) == set(edges)
    changed = {ends for ends, edge in driver.edges.items() if (edge.from_port, edge.type) == (1, 1)}
    assert changed == {(0, 1), (2, 4), (4, 5), (0, 5)}
    assert overlap.overlap_kernels(driver, driver.call, 99, {waits}) == 0  # they are changed once


def test_graphs_without_edges() -> None:
    driver = Driver([7], [], "")
    assert overlap.overlap_kernels(driver, driver.call, 99, {7}) == 0


def test_which_devices_overlap() -> None:
    assert overlap.is_supported((9, 0), 12030) and overlap.is_supported((12, 0), 13000)
    assert not overlap.is_supported((8, 9), 13000) and not overlap.is_supported((9, 0), 12020)
