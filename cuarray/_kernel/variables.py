"""`__constant__` and `__device__` variables of a module, read and written from Python."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np

from cuarray import _runtime
from cuarray._kernel import structs
from cuarray._kernel.declarations import Variable as Declared
from cuarray._runtime import Source, cling


class Variable:
    """A variable of a module. Reading and writing wait for the kernels launched before.

    ``variable[...]`` is a copy of its value as a NumPy array or scalar, ``variable[...] = value`` sets it; both take
    NumPy's indices. Kernels see the value that was written before their launch.

    >>> import cuarray as ca
    >>> mod = ca.cudadef('''__constant__ float scale[2];
    ... __global__ void f(float* x) { x[threadIdx.x] *= scale[threadIdx.x]; }''')
    >>> mod.scale[...] = [2, 3]
    >>> x = ca.ones(2, "float32")
    >>> mod.f[1, 2](x)
    >>> x
    array([2., 3.], dtype=float32)
    """

    def __init__(
        self,
        module: str,
        name: str,
        constant: bool,
        dtype: np.dtype,
        shape: tuple[int, ...],
        source: Source,
        expression: str,
    ) -> None:
        self.name = name
        self.constant = constant
        self.dtype = dtype
        self.shape = shape
        self._module = module
        self._source = source
        self._expression = expression

    @property
    def ndim(self) -> int:
        """The number of dimensions: 0 for a variable that is no array."""
        return len(self.shape)

    @property
    def size(self) -> int:
        """The number of elements."""
        return int(np.prod(self.shape))

    @property
    def nbytes(self) -> int:
        """The bytes that it takes."""
        return self.size * self.dtype.itemsize

    @property
    def pointers(self) -> tuple[int, ...]:
        """Where it is on the device: one address for every compiled program that holds it."""
        return _runtime.get().variable(self._source, self._expression)

    def __repr__(self) -> str:
        kind = "__constant__" if self.constant else "__device__"
        return f"<{kind} variable {self.name} of {self._module}: {self.dtype}, shape {self.shape}>"

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        if copy is False:
            raise ValueError(f"{self.name} is copied from the device: copy=False is not possible")
        data = _runtime.get().read(self.pointers[0], self.nbytes)
        value = np.frombuffer(bytearray(data), self.dtype).reshape(self.shape)
        return value if dtype is None else value.astype(dtype)

    def __getitem__(self, key: Any) -> Any:
        return self.__array__()[key]

    def __setitem__(self, key: Any, value: Any) -> None:
        contents = self.__array__()
        contents[key] = value
        for pointer in self.pointers:
            _runtime.get().write(pointer, contents)

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError(f"{self.name} is no array")
        return self.shape[0]

    def item(self) -> Any:
        """Its value as a Python scalar, if it is one."""
        return self.__array__().item()


def make_variable(module: str, namespace: str, declared: Declared, source: Source) -> Variable:
    """The variable that `declared` means; its type is asked of C++."""
    path = f"{namespace}::{'::'.join((*declared.namespaces, declared.name))}"
    described = cling.evaluate(f"::ca::host::reflect_variable<decltype({path})>()", f"variable {declared.name}")
    extents, word = ctypes.string_at(described).decode().split("|")
    shape = tuple(int(extent) for extent in extents.split(",") if extent)
    cpp_name = structs.class_of_word(word)
    dtype = structs.struct_dtype(cpp_name) if cpp_name and word[0] == "S" else structs.NUMBER_WORDS.get(word)
    if dtype is None:
        raise TypeError(f"variable {declared.name} of {module} is of a type that NumPy has no dtype for ({word})")
    return Variable(module, declared.name, declared.constant, dtype, shape, source, f"&{path}")
