"""Launch configurations: what stands between a kernel's brackets."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from typing import Any, NamedTuple

from cuarray import _runtime
from cuarray._errors import LaunchError


class _Extents(NamedTuple):
    x: int = 1
    y: int = 1
    z: int = 1


class Dim3Class(type):
    """The class of `dim3`, by which numba tells it from other named tuples."""


class dim3(_Extents, metaclass=Dim3Class):
    """Extents of a grid, a block or a cluster, like CUDA's dim3.

    >>> import cuarray as ca
    >>> ca.dim3(16, 16)
    dim3(x=16, y=16, z=1)
    """

    __slots__ = ()


class Launch(NamedTuple):
    """How a kernel is launched: blocks, threads a block, stream (0: the current one), dynamic shared bytes."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    stream: int = 0
    shared: int = 0
    cluster: tuple[int, int, int] | None = None  # blocks that are scheduled together and see each other's shared memory
    cooperative: bool = False  # all blocks at once, so that the grid can wait for itself


def as_extents(value: Any, what: str) -> tuple[int, int, int]:
    """An int or up to three ints as grid, block or cluster extents."""
    parts = tuple(value) if isinstance(value, Sequence) else (value,)
    try:
        extents = tuple(operator.index(part) for part in parts)
    except TypeError:
        raise TypeError(f"{what} must be an int or a tuple of up to three ints, not {value!r}") from None
    if not 1 <= len(extents) <= 3:
        raise ValueError(f"{what} must have one to three extents, not {len(extents)}")
    return (*extents, 1, 1)[:3]  # type: ignore[return-value]


def as_launch(
    kernel: str, parts: Sequence[Any], cluster: tuple[int, int, int] | None = None, cooperative: bool = False
) -> Launch:
    """The launch that is written `kernel[parts...]`, checked against the device."""
    if len(parts) > 4:
        raise TypeError(f"{kernel}[grid, block, stream, shared] takes at most four values, {len(parts)} were given")
    stream = 0
    if len(parts) > 2 and parts[2] is not None:
        stream = operator.index(getattr(parts[2], "handle", parts[2]))
    launch = Launch(
        as_extents(parts[0], "grid"),
        as_extents(parts[1], "block"),
        stream,
        operator.index(parts[3]) if len(parts) > 3 and parts[3] is not None else 0,
        cluster,
        cooperative,
    )
    check_launch(kernel, launch)
    return launch


def check_launch(kernel: str, launch: Launch) -> None:
    """LaunchError, naming what is wrong, for a launch that no kernel could have on this device."""
    runtime = _runtime.get()
    for what, extents, limits in (
        ("grid", launch.grid, runtime.max_grid),
        ("block", launch.block, runtime.max_block),
    ):
        for axis, extent, limit in zip(dim3._fields, extents, limits, strict=True):
            if not 1 <= extent <= limit:
                raise LaunchError(f"{kernel}: {what}.{axis} is {extent}; it must be between 1 and {limit}", 1)
    threads = launch.block[0] * launch.block[1] * launch.block[2]
    if threads > runtime.target.max_block_threads:
        raise LaunchError(
            f"{kernel}: block {launch.block} has {threads} threads; "
            f"the device allows {runtime.target.max_block_threads} threads a block",
            1,
        )
    if not 0 <= launch.shared <= runtime.max_shared_bytes:
        raise LaunchError(
            f"{kernel}: shared is {launch.shared} bytes; it must be between 0 and {runtime.max_shared_bytes}", 1
        )
    if launch.cluster not in (None, (1, 1, 1)) and not runtime.has_clusters:
        raise LaunchError(f"{kernel}: cluster is {launch.cluster}, which needs a GPU of compute capability 9.0", 1)
    if launch.cluster is not None:
        for axis, grid, cluster in zip(dim3._fields, launch.grid, launch.cluster, strict=True):
            if cluster < 1 or grid % cluster:
                raise LaunchError(
                    f"{kernel}: cluster.{axis} is {cluster}; grid.{axis}, {grid}, must be a multiple of it", 1
                )
