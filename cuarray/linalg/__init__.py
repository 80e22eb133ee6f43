"""Linear algebra, as numpy.linalg has it: decompositions, solutions, norms and products of matrices and their stacks.

Matrices are the last two axes of arrays; axes before them make stacks. Integers and bool are computed in float64;
float16 is a TypeError. On the GPU cuSOLVER and cuBLAS decompose (RuntimeError if they are not installed), and the
functions that need them wait for the device, to see whether it worked; on the CPU it is NumPy's LAPACK.
"""

from numpy.linalg import LinAlgError

from cuarray._functions.gemm import gemm
from cuarray._functions.manipulation import matrix_transpose
from cuarray._functions.products import matmul, tensordot, vecdot
from cuarray.linalg._decompositions import (
    EighResult,
    EigResult,
    QRResult,
    SVDResult,
    cholesky,
    eig,
    eigh,
    eigvals,
    eigvalsh,
    qr,
    svd,
    svdvals,
)
from cuarray.linalg._norms import cond, matrix_norm, matrix_rank, norm, vector_norm
from cuarray.linalg._powers import cross, diagonal, matrix_power, multi_dot, outer, trace
from cuarray.linalg._solutions import (
    SlogdetResult,
    det,
    inv,
    lstsq,
    pinv,
    slogdet,
    solve,
    tensorinv,
    tensorsolve,
)

__all__ = [
    "LinAlgError",
    "cholesky",
    "cond",
    "cross",
    "det",
    "diagonal",
    "eig",
    "eigh",
    "eigvals",
    "eigvalsh",
    "gemm",
    "inv",
    "lstsq",
    "matmul",
    "matrix_norm",
    "matrix_power",
    "matrix_rank",
    "matrix_transpose",
    "multi_dot",
    "norm",
    "outer",
    "pinv",
    "qr",
    "slogdet",
    "solve",
    "svd",
    "svdvals",
    "tensordot",
    "tensorinv",
    "tensorsolve",
    "trace",
    "vecdot",
    "vector_norm",
]
