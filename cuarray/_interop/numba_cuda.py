"""Python functions in C++ kernels: numba compiles them, for the CPU to an address, for the GPU to code that is linked.

In C++ such a function is an inline function of its own namespace, like everything that is defined, which calls what
numba made. Numbers pass as numba's C ABI has them; complex numbers, for which compilers' ABIs differ, as two numbers
and as a result through a pointer, by way of a Python function of that signature.
"""

from __future__ import annotations

import hashlib
import itertools
import types as python_types
from collections.abc import Callable
from typing import Any

import numpy as np
from numba import cfunc, njit, types
from numba.core import sigutils
from numba.core.errors import NumbaError
from numba.np.numpy_support import as_dtype as numpy_dtype

from cuarray import _runtime
from cuarray._dtypes import CPP_NAMES
from cuarray._kernel import definitions
from cuarray._kernel.declarations import Contents, Function
from cuarray._kernel.definitions import Definition
from cuarray._runtime import LinkedCode, cling
from cuarray._runtime.link import compute_capability

_counter = itertools.count(1)
_made: dict[str, Definition] = {}  # by namespace; their LinkedCode keeps what numba made for the CPU alive


def device(pyfunc: Any, signature: Any, name: str | None) -> Any:
    """`cuarray.device`."""
    if signature is None or isinstance(pyfunc, str | tuple | types.Type) or _is_signature(pyfunc):
        given = pyfunc if signature is None else signature
        if not _is_signature(given):
            raise TypeError(f'device takes a signature like "float32(float32)": @ca.device(signature), not {given!r}')
        return lambda function: _define(function, given, name)
    return _define(pyfunc, signature, name)


def _is_signature(value: Any) -> bool:
    return value is not None and (isinstance(value, str) or sigutils.is_signature(value))


def _define(function: Any, signature: Any, name: str | None) -> Any:
    python = getattr(function, "py_func", function)  # numba's dispatchers of either kind
    if not isinstance(python, python_types.FunctionType):
        raise TypeError(f"device takes a Python function, not {function!r}")
    called = name or python.__name__
    if not called.isidentifier() or not called.isascii():
        raise ValueError(f"name must be a name in C++, not {called!r}; give another with name=")
    compiled = _Compiled(_with_its_values(python), called, *_types(called, signature))
    definition = compiled.define()
    dispatcher: Any = (
        function if hasattr(function, "py_func") and hasattr(function, "nopython_signatures") else njit(python)
    )
    # As a template argument; see arguments.template_argument.
    dispatcher.__cpp_name__ = f"{definition.namespace}::{called}_t"
    return dispatcher


def _with_its_values(function: Any) -> Any:
    """The function with the values that the names of enclosing functions have now: it is compiled later."""
    cells = tuple(python_types.CellType(cell.cell_contents) for cell in function.__closure__ or ())
    return python_types.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, cells or None
    )


def _types(name: str, signature: Any) -> tuple[tuple[Any, ...], Any]:
    try:
        arguments, result = sigutils.normalize_signature(signature)
    except Exception as error:
        raise TypeError(f"{name}: signature {signature!r} is none of numba's: {error}") from None
    if result is None:
        raise TypeError(f'{name}: the signature must give the result, too: "float32(float32)", not {signature!r}')
    return tuple(arguments), result


def _cpp(name: str, typ: types.Type) -> str:
    """The C++ type of a numba type."""
    if isinstance(typ, types.CPointer):
        return f"{_cpp(name, typ.dtype)}*"
    if isinstance(typ, types.NoneType):
        return "void"
    if isinstance(typ, types.Boolean | types.Number):
        cpp = CPP_NAMES.get(numpy_dtype(typ))
        if cpp is not None and typ != types.float16:
            return cpp
    hint = "; take a pointer, CPointer(dtype), for an array" if isinstance(typ, types.Array) else ""
    raise TypeError(f"{name}: a device function cannot have an argument or result of type {typ}{hint}")


class _Compiled:
    """A Python function of one signature, and what C++ calls it."""

    def __init__(self, python: Callable, name: str, arguments: tuple[Any, ...], result: Any) -> None:
        self.python = python
        self.name = name
        self.arguments = arguments
        self.result = result
        self.cpp_arguments = [_cpp(name, typ) for typ in arguments]
        self.cpp_result = _cpp(name, result)
        self.cell = np.zeros(1, np.uint64)  # the address of the CPU's function, when it is compiled
        self.compiled: Any = None
        self.has_complex = any(isinstance(typ, types.Complex) for typ in (*arguments, result))

    # ---- C++
    def define(self) -> Definition:
        """Compile it for this backend, and define it for the sources that come after."""
        with cling.lock:
            on_host = _runtime.get().host_is_device
            # Equal code has an equal name, so that the kernels that call it are found on disk by the next process.
            code = str(next(_counter)).encode() if on_host else self.ltoir("f", _runtime.get().architecture)
            what = f"{self.cpp_result} {self.name}({', '.join(self.cpp_arguments)}) "
            digest = hashlib.sha256(what.encode() + code).hexdigest()[:16]
            symbol = f"ca_device_{self.name}_{digest}"
            namespace = f"cuarray_module_{digest}"
            if namespace in _made:  # the same function once more
                definitions.register(_made[namespace], named=False)
                return _made[namespace]
            if on_host:
                self.compile_for_host()
            result, parameters = self.abi()
            declaration = f'extern "C" __device__ {result} {symbol}({", ".join(parameters)});\n'
            device_text = declaration + self.functions(namespace, f"::{symbol}")
            pointer = f"*reinterpret_cast<{result} (**)({', '.join(parameters)})>({self.cell.ctypes.data}ul)"
            host_text = f'#include "complex.cuh"\n{self.functions(namespace, f"({pointer})")}'
            cling.define_once(namespace, cling.as_kernel_source(host_text), f"device function {self.name}")
            names = {self.name, f"{self.name}_t"}
            contents = Contents(functions=[Function(self.name, (), False)], declared=names)
            linked = LinkedCode(symbol, lambda arch: self.ltoir(symbol, arch), self.compile_for_host)
            definition = _made[namespace] = Definition(
                self.name, namespace, device_text, contents, (), {}, link=(linked,)
            )
            definitions.register(definition, named=False)
            return definition

    def abi(self) -> tuple[str, list[str]]:
        """The C++ types of what numba compiles: its result and parameters."""
        parameters: list[str] = []
        for typ, cpp in zip(self.arguments, self.cpp_arguments):
            parameters += [_cpp(self.name, typ.underlying_float)] * 2 if isinstance(typ, types.Complex) else [cpp]
        if isinstance(self.result, types.Complex):
            return "void*", [*parameters, f"{_cpp(self.name, self.result.underlying_float)}*"]
        # numba returns None as a pointer.
        return "void*" if self.cpp_result == "void" else self.cpp_result, parameters

    def functions(self, namespace: str, callee: str) -> str:
        """C++: the function and the functor, which call `callee`."""
        names = [f"a{k}" for k in range(len(self.arguments))]
        parameters = ", ".join(f"{cpp} {name}" for cpp, name in zip(self.cpp_arguments, names))
        values: list[str] = []
        for typ, name in zip(self.arguments, names):
            values += [f"{name}.re", f"{name}.im"] if isinstance(typ, types.Complex) else [name]
        if isinstance(self.result, types.Complex):
            real = _cpp(self.name, self.result.underlying_float)
            call = f"{real} result[2]; {callee}({', '.join([*values, 'result'])}); return {{result[0], result[1]}};"
        else:
            keep = "return " if self.cpp_result != "void" else ""
            call = f"{keep}{callee}({', '.join(values)});"
        # One line: messages about what is wrong in a source do not come from here.
        return (
            f"namespace {namespace} {{ __device__ inline {self.cpp_result} {self.name}({parameters}) {{ {call} }} "
            f"struct {self.name}_t {{ __device__ {self.cpp_result} operator()({parameters}) const "
            f"{{ return {namespace}::{self.name}({', '.join(names)}); }} }}; }}\n"
        )

    # ---- numba
    def flat(self, function: Callable) -> tuple[Callable, Any]:
        """What numba compiles, and its signature: `function` itself unless complex numbers must be taken apart."""
        if not self.has_complex:
            return function, self.result(*self.arguments)
        parameters: list[str] = []
        values: list[str] = []
        flat_types: list[types.Type] = []
        for k, typ in enumerate(self.arguments):
            is_complex = isinstance(typ, types.Complex)
            own = [f"re{k}", f"im{k}"] if is_complex else [f"a{k}"]
            parameters += own
            values.append(f"complex({', '.join(own)})" if is_complex else own[0])
            flat_types += [typ.underlying_float] * 2 if is_complex else [typ]
        result, lines = self.result, [f"result = function({', '.join(values)})"]
        if isinstance(result, types.Complex):
            parameters.append("out")
            flat_types.append(types.CPointer(result.underlying_float))
            lines += ["out[0] = result.real", "out[1] = result.imag"]
            result = types.void
        else:
            lines.append("return result")
        scope: dict[str, Any] = {"function": function}
        exec("\n    ".join([f"def flat({', '.join(parameters)}):", *lines]), scope)
        return scope["flat"], result(*flat_types)

    def compile_for_host(self) -> None:
        """Compile it for the CPU, unless it was."""
        if self.compiled is not None:
            return
        function, signature = self.flat(njit(self.python) if self.has_complex else self.python)
        try:
            self.compiled = cfunc(signature)(function)
        except NumbaError as error:
            raise self.refused(error) from None
        self.cell[0] = self.compiled.address

    def ltoir(self, symbol: str, arch: str) -> bytes:
        """The GPU's code as NVVM's intermediate code, in which the function has this symbol; needs no GPU."""
        from numba import cuda

        inner = cuda.jit(device=True, inline="always")(self.python) if self.has_complex else self.python
        function, signature = self.flat(inner)
        major, minor, suffix = compute_capability(arch)
        try:
            code, _ = cuda.compile(
                function,
                signature,
                cc=(major, minor, suffix),
                device=True,
                abi="c",
                abi_info={"abi_name": symbol},
                output="ltoir",
            )
        except NumbaError as error:
            raise self.refused(error) from None
        return bytes(code)

    def refused(self, error: Exception) -> TypeError:
        signature = self.result(*self.arguments)
        return TypeError(f"device function {self.name}, {signature}, does not compile:\n{error}")
