"""Shapes and strides -> what to launch. No CUDA, no compiler: every plan can be computed and tested anywhere.

A plan names a kernel instance (a template and its arguments; never a shape) and gives the launch extents and the
64-bit words of the kernel's parameter that follow its head (see Head in kernels/elementwise.cuh).
"""

from cuarray._plan._common import Instance, Plan, TensorMap, collapse
from cuarray._plan._convolution import convolution
from cuarray._plan._elementwise import Operand, elementwise
from cuarray._plan._gather import (
    POINTERS,
    CompactPlan,
    Indexed,
    ScatterPlan,
    assign_update,
    atomic_update,
    binary_update,
    compact,
    gather,
    scatter,
    unary_update,
    unravel,
)
from cuarray._plan._interpolation import interpolation
from cuarray._plan._join import Join, Part, join
from cuarray._plan._matmul import Epilogue, MatmulPlan, Product, product
from cuarray._plan._matmul_choice import Choice, choices, has_choice, has_dot, matmul
from cuarray._plan._random import cumulation, feistel, random, random_rows, random_words, shuffle_keys
from cuarray._plan._reduction import ReducePlan, reduction
from cuarray._plan._scan import ScanPlan, reduce_at, scan
from cuarray._plan._searching import CountPlan, bin_numbers, count, search, segment_sums, sums_in_order
from cuarray._plan._sorting import SortPlan, select, sort

__all__ = [
    "Choice",
    "CompactPlan",
    "CountPlan",
    "Epilogue",
    "Indexed",
    "Instance",
    "Join",
    "MatmulPlan",
    "Operand",
    "POINTERS",
    "Part",
    "Plan",
    "Product",
    "ReducePlan",
    "ScanPlan",
    "ScatterPlan",
    "SortPlan",
    "TensorMap",
    "assign_update",
    "atomic_update",
    "bin_numbers",
    "binary_update",
    "choices",
    "collapse",
    "compact",
    "convolution",
    "count",
    "cumulation",
    "elementwise",
    "feistel",
    "gather",
    "has_choice",
    "has_dot",
    "interpolation",
    "join",
    "matmul",
    "product",
    "random",
    "random_rows",
    "random_words",
    "reduce_at",
    "reduction",
    "scan",
    "scatter",
    "search",
    "segment_sums",
    "select",
    "shuffle_keys",
    "sort",
    "sums_in_order",
    "unary_update",
    "unravel",
]
