"""Shapes and strides -> what to launch. No CUDA, no compiler: every plan can be computed and tested anywhere.

A plan names a kernel instance (a template and its arguments; never a shape) and gives the launch extents and the
64-bit words of the kernel's parameter that follow its head (see Head in kernels/elementwise.cuh).
"""

from cuarray._plan._common import Instance, Plan, collapse
from cuarray._plan._convolution import convolution
from cuarray._plan._elementwise import Operand, elementwise
from cuarray._plan._gather import (
    POINTERS,
    CompactPlan,
    Indexed,
    RadixPlan,
    ScatterPlan,
    assign_update,
    atomic_update,
    binary_update,
    compact,
    copy_where,
    gather,
    scatter,
    unary_update,
    unravel,
)
from cuarray._plan._interpolation import interpolation
from cuarray._plan._matmul import matmul
from cuarray._plan._random import cumulation, feistel, merge_runs, pick, random, random_rows, random_words, sort_runs
from cuarray._plan._reduction import ReducePlan, reduction
from cuarray._plan._rows import rows
from cuarray._plan._scan import ScanPlan, reduce_at, scan
from cuarray._plan._searching import (
    CountPlan,
    SelectPlan,
    bin_numbers,
    count,
    gather_rows,
    running_sums,
    scatter_rows,
    search,
    segment_sums,
    select,
)
from cuarray._plan._sorting import SortPlan, sort

__all__ = [
    "CompactPlan",
    "CountPlan",
    "Indexed",
    "Instance",
    "Operand",
    "POINTERS",
    "Plan",
    "RadixPlan",
    "ReducePlan",
    "ScanPlan",
    "ScatterPlan",
    "SelectPlan",
    "SortPlan",
    "assign_update",
    "atomic_update",
    "bin_numbers",
    "binary_update",
    "collapse",
    "compact",
    "convolution",
    "copy_where",
    "count",
    "cumulation",
    "elementwise",
    "feistel",
    "gather",
    "gather_rows",
    "interpolation",
    "matmul",
    "merge_runs",
    "pick",
    "random",
    "random_rows",
    "random_words",
    "reduce_at",
    "reduction",
    "rows",
    "running_sums",
    "scan",
    "scatter",
    "scatter_rows",
    "search",
    "segment_sums",
    "select",
    "sort",
    "sort_runs",
    "unary_update",
    "unravel",
]
