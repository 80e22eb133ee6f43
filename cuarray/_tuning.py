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
    capability: tuple[int, int] = (0, 0)  # CUDA's compute capability; (0, 0): a CPU, or unknown
    shared_bytes: int = 48 << 10  # of shared memory that a block may have
    blas: bool = False  # products of floating and complex matrices can be left to the CPU's BLAS

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


# Functors that are 40 instructions (PTX) or longer for some dtype. For each of 16 items NVRTC would take up to seconds.
_LONG_FUNCTORS = frozenset({
    "FloorDivide", "Remainder", "Divmod", "Fmod", "Power", "FloatPower", "Gcd", "Lcm", "Reciprocal", "Ldexp",
    "Frexp", "Modf", "NextAfter", "Spacing", "Sqrt", "Cbrt", "Exp", "Exp2", "Expm1", "Log", "Log2", "Log10", "Log1p",
    "Hypot", "LogAddExp", "LogAddExp2", "Sin", "Cos", "Tan", "ArcSin", "ArcCos", "ArcTan", "ArcTan2", "Sinh", "Cosh",
    "Tanh", "ArcSinh", "ArcCosh", "ArcTanh", "Sinc", "BesselI0",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class ElementwisePolicy:
    """How elementwise operations are cut up for blocks of many threads: constants of their kernels, and grids."""

    # Eight such blocks fill a processor of every GPU since Volta; a small array still gets several blocks.
    threads: int = 256
    # Bytes of inputs that a thread reads before it writes. Little's law: 3.35 TB/s at 0.7 us are 18 KB in flight a
    # processor of an H100, 9 B a thread if 2048 are resident; a block that starts late or waits for its stores must
    # not be missed.
    bytes_in_flight: int = 64
    # Packs a thread at most, which bounds code and registers; of single items, whose addresses take registers.
    most_packs: int = 8
    most_items: int = 4
    # Blocks for each that can be resident; 0: a tile a block, which the hardware starts in order, so that DRAM pages
    # are used up. With a few waves the blocks live long and drift apart.
    waves: int = 0
    # Arrays of at most so many items a processor take less time than their launch: a thread does one item, as reading
    # and computing one after the other is all that takes time.
    single_items: int = 512
    # How caches are used, as kernels/packs.cuh numbers it. Results are often the next operation's inputs and fit into
    # the L2 cache (50 MB); so nothing is evicted early before a measurement says otherwise.
    loads: int = 0
    stores: int = 0
    # Functors whose code stands in a kernel once and not for each item that a thread does.
    rolled: frozenset[str] = _LONG_FUNCTORS
    # Items of a tile in shared memory by the bytes of one: rows of at least 32 B (a sector), up to 9 KB an input.
    tile_items: tuple[tuple[int, int], ...] = ((1, 2048), (2, 2048), (4, 2048), (8, 1024), (16, 512))

    # Whether a turned input is read in packs where it can be, and the bytes of it that a thread then reads at once.
    patches: bool = True
    patch_bytes: int = 64

    def patches_a_thread(self, itemsize: int) -> int:
        """Square patches that a thread reads of an input whose items have so many bytes."""
        side = min(4, 16 // itemsize)
        return max(1, self.patch_bytes // (side**2 * itemsize))

    def is_small(self, target: Target, size: int) -> bool:
        """Whether arrays are so small that a thread does one item."""
        return size <= self.single_items * target.processors

    def packs(self, input_bytes: int, single: bool) -> int:
        """Packs a thread reads of each input, if one of each are so many bytes."""
        wanted = self.bytes_in_flight // max(input_bytes, 1)
        most = self.most_items if single else self.most_packs
        return 1 << (max(1, min(wanted, most)).bit_length() - 1)

    def items_of_tile(self, itemsize: int) -> int:
        """Items of a tile of which the widest has so many bytes."""
        return next((items for size, items in self.tile_items if size >= itemsize), self.tile_items[-1][1])

    def blocks(self, target: Target, tiles: int) -> int:
        """Blocks of a grid over so many tiles."""
        resident = max(1, target.processors * target.blocks_per_processor * target.block_threads // self.threads)
        most = self.waves * resident if self.waves else MOST_BLOCKS
        return max(1, min(tiles, most))


MOST_BLOCKS = 2**31 - 1  # of a grid
ELEMENTWISE = ElementwisePolicy()


# Inputs that a launch of a concatenation has room for, powers of 2 from 8 on: the first number that is enough, else the
# largest, of those that fit into a kernel's parameter. The launch of a few should not have to copy 2 KiB.
JOIN_SLOTS = (8, 64, 32, 16)
# Whether inputs of which the result has rows in turn, (n, 2) from two of (n, 1), are also copied in turn. Else sectors
# of the result would be written once for each input, after they have left the L2 cache.
JOIN_TURNS = True


# Outputs side by side that a thread of a one-thread block reduces together, at most: their accumulators stay in the L1
# cache, and of each row so many lie side by side that the CPU foresees the next ones (strip_most in reduce_rows.cuh).
REDUCE_STRIP = 512
# Outputs side by side that a block of many threads reduces together: a warp's reads are then next to each other.
REDUCE_ACROSS = 32
# Outputs of a launch that may be cut into runs: each has a counter in scratch memory (kernels/reductions.cuh).
REDUCE_COUNTERS = 1024


@dataclass(frozen=True, slots=True)
class ReduceParameters:
    """What the policy of reductions weighs; benchmarks/tune_reductions.py tries other values.

    On a GPU a processor needs some 20 KiB on the way to keep up with its memory (3 TB/s times 0.8 us, over 132
    processors): 2048 threads with one load of 16 bytes each, or 512 with four.
    """

    # Blocks a processor: 256 threads with 4 loads are 16 KiB, so 4 are on the safe side; more cost combining.
    blocks: int = 4
    # Items that a thread should have before an output is cut: four packs of four, one round of a block.
    items: int = 16
    # Rows of at most so many items are done by lanes of a warp: a block would idle, and end with a tree and a barrier.
    lanes_most: int = 1024
    # A lane should have so many loads of a row: with one, as much time goes into shuffles as into loads.
    loads: int = 2
    # Up to so many outputs side by side are read as the input stands: a row is less than half of what a warp reads.
    flat_most: int = 64
    # Rows of a strip that a thread should have, before fewer threads are put below each other.
    rows: int = 8
    # Threads below each other in a strip, at most: more of them are narrower strips. Over the middle axis of
    # (256, 256, 256) 16 make 27.6 us of a sum, and 8 make 29.0; of a variance, whose accumulators of three numbers a
    # block combines in the end, 41.6 and 34.9.
    down: int = 16
    moments_down: int = 8
    # Strips: so many blocks are to be resident on a processor, whose threads add so many rows while as many are on
    # the way. Two blocks of 256 threads with 8 to 16 packs of 16 bytes are 64 to 128 KiB on the way, and leave each
    # thread the 128 registers that sums in float64 want. On an H100 four rows made 2446 GB/s of ten long rows' sum and
    # 2918 of (16384, 16384), where eight make 2730 and 2994; over the middle axis of (256, 256, 256) 2371 and 2311.
    column_resident: int = 2
    column_rows: int = 8
    # The same of strips whose threads have all rows, and so nothing to combine: they need half of the registers.
    few_resident: int = 4
    few_rows: int = 4
    # Strips of at most so many rows, if there are enough for all processors that are a block wide; 128 is a chain.
    few_most: int = 128
    # Strips are cut into runs up to so many blocks a processor in all, as long as a thread keeps so many rows: to
    # combine costs a block some microseconds. To have all processors busy, down to a quarter of these rows.
    column_blocks: int = 8
    column_least: int = 32
    # Rows of at most so many bytes that follow each other, and do not all begin at a multiple of 16 bytes, go through
    # shared memory; by so many blocks a processor, which read up to 24 KiB each while they do what they read before.
    short_most: int = 128
    short_blocks: int = 4


REDUCE = ReduceParameters()
REDUCE_THREADS = 256  # of a block, as kernels/reduce.cuh has it
_SHORT_TILE = 24576  # bytes that a block reads at once, as kernels/reduce_short.cuh has it
# On the CPU, shorter rows are done many at a time, an item of each after another: the columns of a row's own
# accumulators would mostly stand idle.
_SHORT_ROW = 32


@dataclass(frozen=True, slots=True)
class ReducePolicy:
    """How a reduction is cut up: `splits` runs an output, done by `blocks` blocks of `kernel`.

    `lanes`: threads an output, or side by side (see kernels/reduce.cuh); `whole`: a block an output.
    """

    kernel: str
    splits: int
    blocks: int
    lanes: int = 1
    whole: bool = False
    rows: int = 4  # of a strip that a thread reads at once
    resident: int = 2  # blocks of a strip on a processor
    few: bool = False  # whether a thread has all rows of its outputs

    @property
    def header(self) -> str:
        """The file that has the kernel."""
        return {
            "reduce_runs": "reduce_rows.cuh",
            "reduce_rows": "reduce_rows.cuh",
            "reduce_short": "reduce_short.cuh",
        }.get(self.kernel, "reduce.cuh")


def _power_below(n: int) -> int:
    return 1 << (max(n, 1).bit_length() - 1)


def _power_above(n: int) -> int:
    return 1 << (max(n, 1) - 1).bit_length()


def reduce_policy(
    target: Target,
    kept: int,
    reduced: int,
    inner_reduced: bool,
    in_order: bool = False,
    across: int = 1,
    pack: int = 1,
    flat: bool = False,
    row_bytes: int = 0,
    of_moments: bool = False,
    finds_place: bool = False,
) -> ReducePolicy:
    """The policy for `kept` outputs of `reduced` items each.

    `inner_reduced`: neighbours in memory share an output; otherwise runs of `across` of them belong to as many outputs.
    `in_order`: the items of an output must be combined one after the other. `pack`: items that one load reads.
    `flat`: all outputs stand side by side, and their rows follow each other without gaps or a mask. `row_bytes`: of an
    output's items, where these stand side by side, and those of the next output after them, without a mask; or 0.
    `of_moments`: accumulators are a mean, squares and a count. `finds_place`: they are a value and its place.
    """
    items = kept * reduced
    if target.one_thread_blocks:
        workers = 4 * target.processors
        by_rows = across >= 8 and reduced > 1 and (not inner_reduced or reduced < _SHORT_ROW)
        strip = max(64, min(REDUCE_STRIP, across // (2 * target.processors) // 64 * 64)) if by_rows else 1
        pieces = -(-kept // across) * -(-across // strip) if by_rows else kept
        splits = 1
        if not in_order and pieces < workers and items >= 2 * _HOST_CHUNK:
            splits = max(1, min(workers // max(pieces, 1), items // (_HOST_CHUNK * max(pieces, 1)), reduced))
        blocks = max(1, min(workers, pieces * splits, items // _HOST_CHUNK))
        return ReducePolicy("reduce_rows" if by_rows else "reduce_runs", splits, blocks, strip)
    threads = REDUCE_THREADS
    wanted = target.processors * REDUCE.blocks
    most = target.processors * target.blocks_per_processor * 4
    if in_order:
        return ReducePolicy("reduce", 1, max(1, min(-(-kept // threads), most)))
    if flat and 1 < kept <= REDUCE.flat_most and reduced > 1:
        splits = max(1, min(wanted, items // (threads * REDUCE.items), REDUCE_COUNTERS))
        return ReducePolicy("reduce_flat", splits, splits)
    if not inner_reduced and across > 1 and reduced > 1:
        if of_moments or finds_place:
            pack = min(pack, 4)  # as column_items in kernels/reduce.cuh has it
        stacks = max(1, -(-kept // across))
        strips = stacks * -(-across // (threads * pack))
        if reduced <= REDUCE.few_most and strips >= target.processors * REDUCE.few_resident:
            most_down = 1
        else:
            most_down = REDUCE.moments_down if of_moments else REDUCE.down
        down = _power_below(min(most_down, reduced // REDUCE.rows))
        lanes = min(threads // down, _power_above(-(-across // pack)))
        down = threads // lanes
        pieces = stacks * -(-across // (lanes * pack))
        splits = 1
        # Accumulators may be so large that packs have half as many items.
        if most_down > 1 and pieces <= REDUCE_COUNTERS // 2:
            least = down * REDUCE.column_least
            busy = -(-target.processors * REDUCE.column_resident // pieces)
            most_splits = max(reduced // least, min(busy, 4 * reduced // least), 1)
            splits = min(max(1, target.processors * REDUCE.column_blocks // pieces), most_splits, REDUCE_COUNTERS)
        blocks = max(1, min(pieces * splits, MOST_BLOCKS))
        few = down == splits == 1
        rows = REDUCE.few_rows if few else REDUCE.column_rows
        resident = REDUCE.few_resident if few else REDUCE.column_resident
        return ReducePolicy("reduce_columns", splits, blocks, lanes, rows=rows, resident=resident, few=few)
    if 0 < row_bytes <= REDUCE.short_most and row_bytes % 16 and kept > 1 and reduced > 1:
        lanes = _power_above(-(-row_bytes // 64))
        each = threads // lanes
        tiles = -(-kept // (each * (_SHORT_TILE // (each * row_bytes))))
        return ReducePolicy("reduce_short", 1, min(tiles, target.processors * REDUCE.short_blocks), lanes)
    if reduced <= 64 or (reduced <= REDUCE.lanes_most and kept >= wanted * threads // 32):
        lanes = min(32, _power_above(-(-reduced // (pack * REDUCE.loads))))
        return ReducePolicy("reduce", 1, max(1, min(-(-kept * lanes // (4 * threads)), most)), lanes)
    splits = 1
    if kept <= REDUCE_COUNTERS:
        splits = max(1, min(wanted // max(kept, 1), reduced // (threads * REDUCE.items), REDUCE_COUNTERS))
    return ReducePolicy("reduce", splits, max(1, min(kept * splits, most)), whole=True)


SCAN_STRIP = 64  # rows side by side that a thread of a one-thread block scans together: they stay in the L1 cache


@dataclass(frozen=True, slots=True)
class ScanParameters:
    """What the policy of scans weighs; benchmarks/tune_scans.py tries other values."""

    # Threads of a block that scans a tile, the packs of 16 bytes that each of them has of it, and the blocks that are
    # to be resident on a processor. A tile takes some 4 us: it is read, told, looked back from and written. A processor
    # of an H100 reads 11 KiB a microsecond while it writes as much, so four tiles of 16 KiB are half as much again as
    # it needs; and a thread has 64 registers then, which is what float64 takes.
    threads: int = 256
    packs: int = 4
    resident: int = 4
    # The same threads where blocks share rows, in half as many blocks: on an H100 half as many tiles that look back
    # took 0.97 of the time at 2^24 items of float32, 0.74 at 10^6, 0.93 at 2^24 of float64.
    shared_threads: int = 512
    # Rows of at most so many packs a lane are scanned by a warp each, if all warps get one.
    warp_packs: int = 16
    # Rows for each block that can be resident, from which on each block scans whole rows: with fewer, some would idle.
    rows: int = 3
    # Threads for each that can be resident, if a thread scans a row or a run of it: each reads eight items at once.
    # Twice as many took 2.1 times as long over the middle axis of (256, 256, 256) on an H100.
    columns: float = 0.5

    @property
    def shared_resident(self) -> int:
        """Blocks that are to be resident on a processor where blocks share rows."""
        return max(1, self.resident * self.threads // self.shared_threads)


SCAN = ScanParameters()
SCAN_THREADS = 256  # of a block of warps, as kernels/scan_tiles.cuh has it


@dataclass(frozen=True, slots=True)
class ScanPolicy:
    """How a scan is cut up: `splits` runs a row, each done by `lanes` threads of `blocks` blocks.

    `strip` rows that stand side by side are done together by a thread. The runs' totals are scanned by `middle_blocks`
    blocks. `chained`: the tiles of a row are done by different blocks, in one pass. `packs`: of a lane of several.
    """

    lanes: int
    splits: int
    blocks: int
    middle_blocks: int = 1
    strip: int = 1
    packs: int = 1
    chained: bool = False


def scan_policy(target: Target, outer: int, inner: int, length: int, in_order: bool, pack: int) -> ScanPolicy:
    """The policy for `outer` times `inner` rows of `length` items, `inner` of them side by side, `pack` in a pack."""
    rows = outer * inner
    if target.one_thread_blocks:
        workers = 4 * target.processors
        strip = SCAN_STRIP if inner >= 8 and length > 1 else 1
        pieces = outer * -(-inner // strip)
        splits = 1
        if not in_order and pieces < target.processors and rows * length >= 4 * _HOST_CHUNK:
            # Cut rows are read twice, so there are only as many runs as cores.
            splits = max(1, min(-(-target.processors // pieces), length // 2))
        blocks = max(1, min(workers, pieces * splits, rows * length // _HOST_CHUNK))
        return ScanPolicy(1, splits, blocks, max(1, min(workers, rows // _HOST_CHUNK)), strip)
    threads = target.block_threads
    most = target.processors * target.blocks_per_processor * 4
    if in_order or inner >= 32:
        # A thread a row: neighbouring threads read neighbouring rows. Cut rows are read twice, which costs half as much
        # again: only where there are not threads enough.
        wanted = int(SCAN.columns * most // 4 * threads)
        splits = 1 if in_order or 4 * rows >= wanted else max(1, min(wanted // rows, length // 64, 1024))
        middle = -(-rows * 32 // SCAN_THREADS)  # a warp a row
        return ScanPolicy(1, splits, max(1, min(-(-rows * splits // threads), most)), max(1, min(middle, most)))
    resident = target.processors * SCAN.resident
    tile = SCAN.shared_threads * SCAN.packs * pack
    if length <= 32 * pack:
        lanes = max(2, _power_above(-(-length // pack)))
        return ScanPolicy(lanes, 1, max(1, min(-(-rows * lanes // SCAN_THREADS), most)))
    if length <= 32 * pack * SCAN.warp_packs and rows * 32 >= resident * SCAN_THREADS:
        return ScanPolicy(32, 1, max(1, min(-(-rows * 32 // SCAN_THREADS), most)), packs=SCAN.packs)
    tiles = -(-length // tile)
    if tiles > 1 and rows < SCAN.rows * resident:
        # Blocks that stay: each takes a tile after another. More of them would only wait for those before them.
        blocks = max(1, min(rows * tiles, target.processors * SCAN.shared_resident))
        return ScanPolicy(SCAN.shared_threads, 1, blocks, packs=SCAN.packs, chained=True)
    return ScanPolicy(SCAN.threads, 1, max(1, min(rows, most)), packs=SCAN.packs)


def reduce_at_policy(target: Target, runs: int, items: int, in_order: bool) -> tuple[int, int]:
    """Threads a run and blocks, for `runs` reductions of `items` in all."""
    if target.one_thread_blocks:
        return 1, max(1, min(4 * target.processors, runs, items // _HOST_CHUNK))
    resident = target.processors * target.blocks_per_processor
    if in_order or items <= 64 * runs:
        return 1, max(1, min(-(-runs // target.block_threads), resident * 4))
    return target.block_threads, max(1, min(runs, resident * 4))


MATMUL_TILE = 16  # threads a side of a matmul_tiled block: 256 threads, the portable default
MATMUL_STRIP = 256  # columns that matmul_rows keeps in accumulators: 2 KiB of float64, well inside L1


MATMUL_ROWS_MOST = 100  # multiplications of a matrix up to which matmul_rows is faster than what prepares more
MATMUL_BLOCKED_BYTES = 1 << 20  # of a thread of matmul_blocked, for panels and sums: what an L2 cache holds


def matmul_rows_blocks(target: Target, rows: int, flops: int) -> int:
    """Blocks of matmul_rows: one until the product is worth a second core."""
    return max(1, min(4 * target.processors, rows, flops // (8 * _HOST_CHUNK)))


def matmul_blas_blocks(target: Target, batches: int, products: int) -> int:
    """Blocks of matmul_blas: one where a matrix is worth BLAS's own threads, else as many as are worth a core."""
    if products > batches * 2**17:
        return 1
    return max(1, min(4 * target.processors, batches, products // (8 * _HOST_CHUNK)))


def matmul_blocked_blocks(target: Target, items: int, products: int) -> int:
    """Blocks of matmul_blocked: one until the product is worth a second core, with at least a panel each."""
    return max(1, min(2 * target.processors, items // 256, products // (16 * _HOST_CHUNK)))


@dataclass(frozen=True, slots=True)
class SortParameters:
    """How blocks of many threads sort long rows (kernels/sort_passes.cuh); benchmarks/tune_sorting.py tries others."""

    threads: int = 256  # of a block that sorts tiles; a digit has so many values
    # Items of a thread, at most: with more of them the runs of equal digits, written side by side, are longer, but
    # fewer blocks hide that others wait. Those of more words are fewer: they stay in registers.
    items: int = 16
    resident: int = 3  # blocks a processor, which share its 65536 registers
    spare: int = 44  # registers of a thread that are not for its items
    reads: int = 8  # tiles back that a thread reads the counts of at once
    ballots: bool = True  # lanes with equal digits are found bit by bit, not by an instruction of their own
    # Counting digits: threads of a block, loads of each at once, blocks a processor, and items that a thread should
    # have, as a block begins and ends with all counters.
    count_threads: int = 512
    count_loads: int = 8
    count_blocks: int = 4
    count_items: int = 16
    # Of rows of at least so many elements, the best are selected if they are one in so many; else all are sorted.
    select_least: int = 1 << 15
    select_part: int = 16


SORT = SortParameters()
_SORT_SHARED = 44 << 10  # bytes for a tile; with tables for each digit a block may have 48 KiB
_SORT_TILE_THREADS = 256
_SORT_TILE = {1: 2048, 2: 2048, 4: 2048, 8: 2048, 16: 1024}


@dataclass(frozen=True, slots=True)
class RowSortPolicy:
    """How short rows are sorted: in shared memory, `tile` elements at a time, or by a thread each (`tile` is 0)."""

    blocks: int
    threads: int
    tile: int = 0


@dataclass(frozen=True, slots=True)
class ChunkSortPolicy:
    """How one-thread blocks sort long rows: `blocks` chunks a row; `partials` blocks look which digits vary."""

    blocks: int
    chunk: int
    partials: int


@dataclass(frozen=True, slots=True)
class PassSortPolicy:
    """How blocks of many threads sort long rows: tiles of `threads` times `items`; see SortParameters."""

    count_blocks: int  # of a row
    begin_blocks: int
    items: int
    tiles: int  # of a row


def sort_policy(
    target: Target, rows: int, n: int, itemsize: int, index_bytes: int = 0
) -> RowSortPolicy | ChunkSortPolicy | PassSortPolicy:
    """The policy for `rows` rows of `n` elements, with indices of so many bytes or without."""
    if target.one_thread_blocks:
        workers = 4 * target.processors
        if rows * n < 2 * _HOST_CHUNK or (rows >= 2 * target.processors and n < 2**31):
            # Sorting takes some ten times as long as a simple operation on each element.
            return RowSortPolicy(max(1, min(workers, rows, rows * n // (_HOST_CHUNK // 8))), 1)
        # A chunk a core: every further chunk costs a pass 256 counts.
        blocks = max(1, min(target.processors, n // _HOST_CHUNK))
        return ChunkSortPolicy(blocks, -(-n // blocks), max(1, min(workers, rows * n // _HOST_CHUNK)))
    tile = _SORT_TILE[itemsize]
    if n <= tile:
        extent = 1 << max(1, (n - 1).bit_length())
        most = target.processors * target.blocks_per_processor * 4
        return RowSortPolicy(max(1, min(-(-rows * extent // tile), most)), _SORT_TILE_THREADS, tile)
    words = -(-itemsize // 4) + max(1, index_bytes // 4)  # registers of an item: the element, and its rank or index
    registers = min(255, 65536 // (SORT.threads * SORT.resident)) // 8 * 8 - SORT.spare
    shared = _SORT_SHARED // (SORT.threads * (itemsize + index_bytes))
    items = max(1, min(SORT.items, registers // words, shared))
    while items > 4 and SORT.threads * (items // 2) >= n:
        items //= 2  # a row is a tile, of which less is empty
    tiles = -(-n // (SORT.threads * items))
    count_blocks = -(-target.processors * SORT.count_blocks // rows)
    return PassSortPolicy(
        max(1, min(count_blocks, n // (SORT.count_threads * SORT.count_items))),
        max(1, min(rows * tiles, target.processors * SORT.resident)),
        items,
        tiles,
    )


def select_blocks(target: Target, rows: int, n: int, k: int, itemsize: int) -> int:
    """Blocks a row that select its `k` first elements; 0: all are to be sorted."""
    if target.one_thread_blocks or itemsize > 8 or n < SORT.select_least or not 0 < k <= n // SORT.select_part:
        return 0
    return max(1, min(-(-target.processors * SORT.count_blocks // rows), n // (SORT.count_threads * SORT.count_items)))


@dataclass(frozen=True, slots=True)
class ChunkSelectPolicy:
    """How one-thread blocks select: `blocks` chunks a row, `grid` blocks in all, each with room for candidates."""

    blocks: int
    chunk: int
    grid: int
    room: int
    looks: int  # elements of a chunk that are looked at first, for a limit


# One-thread blocks sort rows of fewer elements, or fewer elements in all, as fast as they select. And they sort where
# more is wanted than one element in so many, by the bytes of an element: so that selecting is not slower for a row in
# which each element is better than all before it.
_SELECT_LEAST = 512
_SELECT_LEAST_IN_ALL = 4096
_SELECT_PART = {1: 256, 2: 128, 4: 96, 8: 16, 16: 16}
_SELECT_CHUNK = 16  # elements of a chunk for each that is wanted: the chunks' candidates are joined by one core
_SELECT_ROOM = 512  # candidates beyond twice as many as are wanted


def select_chunks(target: Target, rows: int, n: int, k: int, itemsize: int) -> ChunkSelectPolicy | None:
    """How one-thread blocks select the `k` first elements of each row; None: all are to be sorted."""
    if not target.one_thread_blocks or n < _SELECT_LEAST or rows * n < _SELECT_LEAST_IN_ALL:
        return None
    if not 0 < k <= n // _SELECT_PART[itemsize]:
        return None
    blocks = 1
    if rows < 2 * target.processors:  # else a row is one block's
        blocks = max(1, min(target.processors, n // (2 * _HOST_CHUNK), n // (_SELECT_CHUNK * k)))
    grid = rows * blocks if blocks > 1 else max(1, min(4 * target.processors, rows, rows * n // _HOST_CHUNK))
    room = 2 * k + _SELECT_ROOM
    chunk = -(-n // blocks)
    return ChunkSelectPolicy(blocks, chunk, grid, room, room if chunk >= 16 * room else 0)


def chunks(target: Target, n: int) -> tuple[int, int]:
    """Blocks that share `n` items, and how many each gets, for kernels whose blocks go through their own in order."""
    if target.one_thread_blocks:
        blocks = max(1, min(4 * target.processors, n // _HOST_CHUNK))
    else:
        blocks = max(1, min(target.processors * target.blocks_per_processor, -(-n // (8 * target.block_threads))))
    chunk = max(1, -(-n // blocks))
    return max(1, -(-n // chunk)), chunk


@dataclass(frozen=True, slots=True)
class CountPolicy:
    """How occurrences are counted: by block, `held` counts in shared memory, or all `together` by atomic additions."""

    blocks: int
    chunk: int
    held: int
    together: bool


_HELD_COUNTS = 4096  # 16 KiB of shared memory


def count_policy(target: Target, n: int, bins: int) -> CountPolicy:
    """The policy for `n` numbers below `bins`."""
    blocks, chunk = chunks(target, n)
    if target.one_thread_blocks:
        # A block's counts are set to 0 and added up: not more of them than there are numbers to count.
        blocks = max(1, min(blocks, target.processors, n // max(1, 4 * bins)))
        chunk = max(1, -(-n // blocks))
        return CountPolicy(max(1, -(-n // chunk)), chunk, 0, False)
    if bins <= _HELD_COUNTS and n // max(bins, 1) >= 4:
        blocks = max(1, min(blocks, n // max(1, 4 * bins)))
        chunk = max(1, -(-n // blocks))
        return CountPolicy(max(1, -(-n // chunk)), chunk, _HELD_COUNTS, False)
    return CountPolicy(elementwise_blocks(target, n), 0, 0, True)


def segment_policy(target: Target, n: int, bins: int) -> tuple[int, int]:
    """Threads a segment, and blocks, for sums of `bins` segments of `n` items in all."""
    if target.one_thread_blocks:
        return 1, max(1, min(4 * target.processors, bins, n // _HOST_CHUNK))
    resident = target.processors * target.blocks_per_processor
    if n // max(bins, 1) <= 32:
        return 1, max(1, min(-(-bins // target.block_threads), resident * 4))
    return target.block_threads, max(1, min(bins, resident * 4))


# What the GPU's libraries do for whole stacks of small matrices at once; larger ones fill the machine one by one.
BATCHED_LU_ROWS = 256
BATCHED_SVD_ROWS = 32  # the library's own limit
FFT_PLANS = 64  # kept by each thread
# An assignment by index arrays on the GPU finds the last of equal ones in a table with an int for each slot, unless
# that would be much larger than the index arrays themselves: then they are sorted.
SLOTS_LEAST = 1 << 22
SLOTS_A_TUPLE = 64


def ordered_blocks(target: Target, count: int, inner: int, slots: int) -> int:
    """Blocks of scatter_ordered, each of which looks at all `count` tuples and does its own: `inner` elements each.

    To find out whether a tuple is its own takes a block longer than to do one of a few elements (10 ns, 1-3 ns).
    """
    if inner < 8:
        return 1
    return max(1, min(target.processors, count * inner // _HOST_CHUNK, slots))


def compact_blocks(target: Target, size: int) -> int:
    """Blocks of a compaction, each with a contiguous run of the items."""
    if target.one_thread_blocks:
        return max(1, min(4 * target.processors, size // _HOST_CHUNK))
    return max(1, min(-(-size // (4 * target.block_threads)), target.processors * target.blocks_per_processor))


CONVOLUTION_STRIP = 256  # outputs that convolve_strips keeps in accumulators, as matmul_rows does


def convolution_strip_blocks(target: Target, outputs: int, taps: int) -> int:
    """Blocks of convolve_strips: one until the products are worth a second core."""
    strips = -(-outputs // CONVOLUTION_STRIP)
    return max(1, min(4 * target.processors, strips, outputs * taps // (4 * _HOST_CHUNK)))


# About what a core takes to wake, in the work on random numbers that it does meanwhile.
_RANDOM_CHUNK_NS = 50_000


def random_blocks(target: Target, items: int, nanoseconds: float) -> int:
    """Blocks of a kernel of random numbers over `items`, of which one takes so long on a CPU."""
    if target.one_thread_blocks:
        return max(1, min(4 * target.processors, int(items * nanoseconds) // _RANDOM_CHUNK_NS))
    wanted = -(-items // target.block_threads)
    return max(1, min(wanted, target.processors * target.blocks_per_processor * 4))


# Permutations of more numbers than this are computed by a bijection instead of sorted: part of the stream's definition.
SHUFFLE_SORTED = 1 << 14
CUMULATE_RUN = 512  # weights in a run of `cumulate`: part of the stream's definition, as sums depend on it
