"""`cuarray.device`, which imports numba when it is called: that takes half a second."""

from __future__ import annotations

from typing import Any


def device(pyfunc: Any = None, signature: Any = None, *, name: str | None = None) -> Any:
    """Make a Python function callable in C++ kernels under its name; returns numba's dispatcher of it.

    signature: numba's, with the result: "float32(float32, int32)". Numbers but float16, bool and pointers
    ("CPointer(float32)", in C++ ``float*``). name: what C++ calls it, by default its ``__name__``. Sources defined
    later see it; defining the name again replaces it for those that come after. Beside it is a functor type
    ``<name>_t``; ``kernel[the_function]`` gives that as a template argument. On the GPU numba-cuda compiles it and it
    is inlined into kernels; on the CPU kernels call what numba's cfunc made. The dispatcher can be called from Python,
    njit and numba.cuda.jit. An exception that it raises is ignored in a kernel (on the CPU it is printed). TypeError,
    naming the function, if numba does not compile it for this signature.

    >>> import cuarray as ca
    >>> @ca.device("float64(float64, int32)")
    ... def power_sum(x, n):
    ...     total = 0.0
    ...     for k in range(n):
    ...         total += x ** k
    ...     return total
    >>> mod = ca.cudadef("__global__ void f(double* x, int n) { x[threadIdx.x] = power_sum(x[threadIdx.x], n); }")
    >>> x = ca.asarray([1.0, 2.0])
    >>> mod.f[1, 2](x, 4)
    >>> x
    array([ 4., 15.])
    >>> power_sum(2.0, 4)
    15.0
    """
    from cuarray._interop import numba_cuda

    return numba_cuda.device(pyfunc, signature, name)
