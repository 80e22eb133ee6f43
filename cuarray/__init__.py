"""cuarray: NumPy-like arrays on the GPU, and C++ template kernels of your own, from Python and numba."""

from cuarray._array import CuArray
from cuarray._functions import *
from cuarray._kernel.module import cudadef

__version__ = "0.1.0"
