"""Kernels of one's own: C++ templates defined at run time, launched from Python and from numba."""
