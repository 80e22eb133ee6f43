"""CUDA C++ through cppyy: `import cuarray.cppyy_ext` adds `cppyy.cudadef`, the companion of `cppyy.cppdef`.

>>> import cppyy
>>> import cuarray as ca
>>> import cuarray.cppyy_ext
>>> mod = cppyy.cudadef('''
... __global__ void twice(float* x, int n) {
...   int i = blockIdx.x * blockDim.x + threadIdx.x;
...   if (i < n) x[i] *= 2;
... }
... ''')
>>> x = ca.ones(3, dtype="float32")
>>> twice[1, 32](x, x.size)
>>> x
array([2., 2., 2.], dtype=float32)
>>> cppyy.gbl.twice is twice is mod.twice
True

Importing this starts cppyy, and records what is later defined with `cppyy.cppdef`: see `definitions`.
"""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

from cuarray import _runtime
from cuarray._kernel.kernel import Kernel
from cuarray._kernel.module import Module
from cuarray._kernel.module import cudadef as _cudadef

__all__ = ["cudadef", "definitions"]

_definitions: list[str] = []


def cudadef(source: str, **options: Any) -> Module:
    """Define CUDA C++ as `cuarray.cudadef` does, and make its kernels attributes of `cppyy.gbl`.

    options: those of `cuarray.cudadef`. A kernel in a namespace becomes an attribute of that namespace:
    `cppyy.gbl.ns.kernel`. Kernels outside namespaces also become globals of the calling module, unless it uses the name
    for something else. A later kernel of the same name replaces it, as it hides a C++ function of that name; names that
    were imported before keep what they were. Returns the module. CompileError where `source` is not CUDA C++; then
    nothing is replaced.
    """
    module = _cudadef(source, **options)
    caller = sys._getframe(1).f_globals
    for kernel in module:
        for namespaces in {declaration.namespaces for declaration in kernel._declarations}:
            setattr(_scope(namespaces), kernel.__name__, kernel)
            if not namespaces and isinstance(caller.get(kernel.__name__, kernel), Kernel):
                caller[kernel.__name__] = kernel
    return module


def definitions() -> list[str]:
    """The sources that `cppyy.cppdef` took since this module was imported, in order; refused ones are not among them.

    Calls through a name bound earlier (`from cppyy import cppdef` before the import) are not seen.
    """
    return list(_definitions)


def _scope(namespaces: tuple[str, ...]) -> Any:
    """cppyy's proxy of a namespace, which is made in C++ if it is not there: a module's own ones are inside it."""
    cppyy: Any = _runtime.interpreter()
    scope = cppyy.gbl
    for depth, part in enumerate("::".join(namespaces).split("::") if namespaces else ()):
        if not hasattr(scope, part):
            parts = "::".join(namespaces).split("::")[: depth + 1]
            _runtime.define(f"namespace {'::'.join(parts)} {{}}", f"namespace {part}")
        scope = getattr(scope, part)
    return scope


def _recorded(cppdef: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(cppdef)
    def recording(src: str) -> Any:
        result = cppdef(src)
        _definitions.append(src)
        return result

    recording.cuarray_records = True  # type: ignore[attr-defined]
    return recording


def _install() -> None:
    cppyy: Any = _runtime.interpreter()
    cppyy.cudadef = cudadef
    if not getattr(cppyy.cppdef, "cuarray_records", False):
        cppyy.cppdef = _recorded(cppyy.cppdef)


_install()
