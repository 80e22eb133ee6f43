"""Graphs whose kernels overlap: one begins while the last blocks of the one before it run.

From one kernel's end to the next one's first instruction a device takes about as long as a small kernel does. Most of
that is over before a kernel needs what came before it if the graph's edge says so (CUDA calls such an edge
programmatic: programmatic dependent launch) and if the kernel itself waits for the kernels before it. The built-in
kernels do so in their first line (`await_previous` in kernels/portable.cuh), and so the edges to them are changed when
a capture has ended. Edges to other kernels stay as they are, which then begin when all before them is done and seen.
"""

from __future__ import annotations

from collections.abc import Callable, Container
from typing import Any

_LEAST_CAPABILITY = (9, 0)
_LEAST_DRIVER = 12030  # CUDA 12.3: edges of graphs have data


def overlap_kernels(driver: Any, call: Callable[..., Any], graph: int, awaiting: Container[int]) -> int:
    """Make the edges of `graph` (a CUgraph) from kernels to those kernels programmatic that wait themselves.

    `driver`: cuda.bindings.driver; `call`: calls one of its functions by name and raises; `awaiting`: handles of the
    kernels that wait. Returns how many edges were changed.
    """

    def edges_function(name: str) -> str:
        return f"{name}_v2" if hasattr(driver, f"{name}_v2") else name  # so in the bindings for CUDA 12

    graph = driver.CUgraph(graph)
    *_none, count = call(edges_function("cuGraphGetEdges"), graph, 0)
    if not count:
        return 0
    before, after, data, count = call(edges_function("cuGraphGetEdges"), graph, count)
    kernels: dict[int, bool] = {}  # nodes: whether they wait; others than kernels are not there
    for node in {int(node): node for node in (*before, *after)}.values():
        if call("cuGraphNodeGetType", node) == driver.CUgraphNodeType.CU_GRAPH_NODE_TYPE_KERNEL:
            parameters = call("cuGraphKernelNodeGetParams", node)
            kernels[int(node)] = int(parameters.func) in awaiting or int(parameters.kern) in awaiting
    ends = [
        (first, second)
        for first, second, own in zip(before, after, data)
        if int(first) in kernels and kernels.get(int(second)) and not int(own.type)
    ]
    if not ends:
        return 0
    programmatic = driver.CUgraphEdgeData()
    programmatic.from_port = 1  # CU_GRAPH_KERNEL_NODE_PORT_PROGRAMMATIC: when all blocks have ended, or say so
    programmatic.type = int(driver.CUgraphDependencyType.CU_GRAPH_DEPENDENCY_TYPE_PROGRAMMATIC)
    plain = [driver.CUgraphEdgeData()] * len(ends)
    first, second = map(list, zip(*ends))
    call(edges_function("cuGraphRemoveDependencies"), graph, first, second, plain, len(ends))
    call(edges_function("cuGraphAddDependencies"), graph, first, second, [programmatic] * len(ends), len(ends))
    return len(ends)


def is_supported(capability: tuple[int, int], driver_version: int) -> bool:
    """Whether a device and its driver have programmatic edges."""
    return capability >= _LEAST_CAPABILITY and driver_version >= _LEAST_DRIVER
