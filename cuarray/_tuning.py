"""Launch policies: how much work a block and a thread get, by kernel family and target.

A policy is a value chosen here and passed on as template arguments and launch extents, so they cannot disagree.
A `Target` describes where kernels run; nothing here asks which backend that is.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Target:
    """What the policies need to know of the machine that runs kernels."""

    processors: int  # streaming multiprocessors, or CPU cores
    block_threads: int  # threads a block of a built-in kernel has; 1 on the host
    max_block_threads: int
    blocks_per_processor: int  # resident blocks that fill a processor

    @property
    def one_thread_blocks(self) -> bool:
        """A block is one thread with a contiguous chunk of the work; there is nothing to share within a block."""
        return self.block_threads == 1


# Below this many items a second core costs more to wake than it saves (2-core x86: 13-38 us if it sleeps, and an item
# of a simple operation takes about 1 ns).
_HOST_CHUNK = 32768


def elementwise_blocks(target: Target, size: int) -> int:
    """Blocks of a grid-stride elementwise kernel over `size` items."""
    if target.one_thread_blocks:
        return max(1, min(4 * target.processors, size // _HOST_CHUNK))
    wanted = -(-size // target.block_threads)
    return max(1, min(wanted, target.processors * target.blocks_per_processor * 4))


@dataclass(frozen=True, slots=True)
class ReducePolicy:
    """How a reduction is cut up: `splits` runs an output, each done by `lanes` threads of `blocks` blocks."""

    lanes: int
    splits: int
    blocks: int
    final_lanes: int
    final_blocks: int


def reduce_policy(target: Target, kept: int, reduced: int, inner_reduced: bool) -> ReducePolicy:
    """The policy for `kept` outputs of `reduced` items each; `inner_reduced`: neighbours in memory share an output."""
    if target.one_thread_blocks:
        workers = 4 * target.processors
        splits = 1
        if kept < workers and kept * reduced >= 2 * _HOST_CHUNK:
            splits = max(1, min(workers // kept, reduced // _HOST_CHUNK))
        blocks = max(1, min(workers, kept * splits, kept * reduced // _HOST_CHUNK))
        return ReducePolicy(1, splits, blocks, 1, max(1, min(workers, kept // _HOST_CHUNK)))
    threads = target.block_threads
    resident = target.processors * target.blocks_per_processor
    if reduced <= 32 or (not inner_reduced and kept >= resident * threads):
        # A thread an output: enough outputs to fill the machine, or so little to reduce that a tree would idle.
        return ReducePolicy(1, 1, max(1, min(-(-kept // threads), resident * 4)), 1, 1)
    # A block an output, several if there are too few outputs; a lane should have at least 8 items.
    splits = max(1, min(2 * resident // max(kept, 1), reduced // (8 * threads), 1024))
    blocks = max(1, min(kept * splits, resident * 4))
    return ReducePolicy(threads, splits, blocks, threads, max(1, min(kept, resident * 4)))


MATMUL_TILE = 16  # threads a side of a matmul_tiled block: 256 threads, the portable default
MATMUL_STRIP = 256  # columns that matmul_rows keeps in accumulators: 2 KiB of float64, well inside L1


def matmul_rows_blocks(target: Target, rows: int, flops: int) -> int:
    """Blocks of matmul_rows: one until the product is worth a second core."""
    return max(1, min(4 * target.processors, rows, flops // (8 * _HOST_CHUNK)))
