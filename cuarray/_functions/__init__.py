"""The functions of cuarray's main namespace, gathered for `cuarray` and for CuArray's methods."""

from typing import Any

import numpy as np

from cuarray._functions import elementwise as _elementwise
from cuarray._functions._advanced import get_item, set_item
from cuarray._functions._operation import assign, copy_into, is_operand
from cuarray._functions.creation import (
    array,
    asanyarray,
    asarray,
    ascontiguousarray,
    asfortranarray,
    asnumpy,
    astype,
    cast,
    copy,
    copyto,
    empty,
    empty_like,
    from_dlpack,
    frombuffer,
    fromiter,
    full,
    full_like,
    ones,
    ones_like,
    require,
    zeros,
    zeros_like,
)
from cuarray._functions.differences import diff, ediff1d, gradient, trapezoid
from cuarray._functions.elementwise import *
from cuarray._functions.elementwise import clip, conjugate, divmod, round
from cuarray._functions.flat import FlatIterator
from cuarray._functions.indexing import choose, compress, nonzero, put, take
from cuarray._functions.joining import (
    append,
    array_split,
    block,
    column_stack,
    concat,
    concatenate,
    dsplit,
    dstack,
    hsplit,
    hstack,
    split,
    stack,
    unstack,
    vsplit,
    vstack,
)
from cuarray._functions.linear_algebra import trace
from cuarray._functions.manipulation import (
    atleast_1d,
    atleast_2d,
    atleast_3d,
    broadcast_arrays,
    broadcast_shapes,
    broadcast_to,
    diagonal,
    expand_dims,
    flip,
    fliplr,
    flipud,
    matrix_transpose,
    moveaxis,
    permute_dims,
    ravel,
    reshape,
    rollaxis,
    rot90,
    squeeze,
    swapaxes,
    transpose,
)
from cuarray._functions.matrices import diag, diagflat, eye, identity, tri, tril, triu, vander
from cuarray._functions.nan_reductions import (
    nanargmax,
    nanargmin,
    nanmax,
    nanmean,
    nanmin,
    nanprod,
    nanstd,
    nansum,
    nanvar,
)
from cuarray._functions.products import dot, matmul, matvec, vecdot, vecmat
from cuarray._functions.ranges import arange, fromfunction, geomspace, linspace, logspace, meshgrid, mgrid, ogrid
from cuarray._functions.rearranging import delete, insert, repeat, resize, roll, tile, trim_zeros
from cuarray._functions.reductions import (
    all,
    amax,
    amin,
    any,
    argmax,
    argmin,
    count_nonzero,
    max,
    mean,
    min,
    prod,
    ptp,
    std,
    sum,
    var,
)
from cuarray._functions.scans import cumprod, cumsum, cumulative_prod, cumulative_sum, nancumprod, nancumsum
from cuarray._functions.sorting import argpartition, argsort, partition_in_place, searchsorted, sort_in_place
from cuarray._functions.statistics import average, corrcoef, cov

BY_NUMPY_UFUNC: dict[np.ufunc, Any] = {**_elementwise.BY_NUMPY_UFUNC, np.matmul: matmul, np.vecdot: vecdot}
if hasattr(np, "matvec"):  # since NumPy 2.2
    BY_NUMPY_UFUNC.update({np.matvec: matvec, np.vecmat: vecmat})
