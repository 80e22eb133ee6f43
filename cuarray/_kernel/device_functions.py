"""`__device__` functions of a module as Python objects: what calls of them mean, for the compilers that call them.

C++ is asked for a call with arguments of given types; it answers with the result's type, or that there is no such call.
What is called from elsewhere is a function with C linkage around that call, as numba's calling convention wants it: the
result through a pointer, complex numbers as two numbers, a status (0) as what it returns.
"""

from __future__ import annotations

import ctypes
import hashlib
import itertools
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._dtypes import CPP_NAMES
from cuarray._errors import CompileError
from cuarray._kernel import structs
from cuarray._kernel.arguments import describe_kind, template_argument
from cuarray._kernel.declarations import Function
from cuarray._kernel.definitions import linked_code, mentioned
from cuarray._runtime import LinkedCode, cling

if TYPE_CHECKING:
    from cuarray._kernel.module import Module

_counter = itertools.count(1)
_MOST_WEAK = 6  # numbers in a call that can take another's type


_NAMESPACE_NAME = re.compile(r"\bcuarray_module_[0-9a-f]{16}\b")
# The kernels of the source are of no use in another program: unused functions are left out of it.
_NO_KERNELS = """#undef __global__
#undef __launch_bounds__
#undef __grid_constant__
#define __global__ static __device__
#define __launch_bounds__(...)
#define __grid_constant__
"""


def _long_long(cpp: str) -> str:
    """A pointer to long as one to long long: int64 is long here, and C++ has two types of that size."""
    return re.sub(r"long\*$", "long long*", cpp)


class Call(NamedTuple):
    """What a call with arguments of certain kinds means."""

    arguments: tuple[str, ...]  # C++ types
    result: np.dtype | None  # None for void
    is_pointer: bool  # to `result`


class DeviceFunction:
    """A `__device__` function, function template or functor type of a module, for compiled Python functions.

    It can be called in functions that ``numba.cuda.jit`` or ``numba.njit`` compile; the arguments' types decide the
    overload, the template's instance and the result, as in C++. ``function["float", 3]`` gives template arguments.
    Numbers, bool and complex numbers are passed by value, arrays as pointers to their first elements, whatever their
    strides; the result is one of these, or void. A functor type is also a template argument: ``kernel[functor]``.

    >>> import cuarray as ca, numba
    >>> mod = ca.cudadef("template <class T> __device__ T twice(const T* x, int i) { return x[i] + x[i]; }")
    >>> twice = mod.twice
    >>> @numba.njit
    ... def f(x):
    ...     return twice(x, 1)
    >>> f(ca.asarray([1.0, 2.5]))
    5.0
    """

    def __init__(self, module: Module, function: Function, template_arguments: tuple[str, ...] = ()) -> None:
        self._module = module
        self._function = function
        self._template_arguments = template_arguments
        self._calls: dict[tuple[Any, ...], Call] = {}
        self._variants: dict[tuple[str, ...], DeviceFunction] = {}
        self.__name__ = self.__qualname__ = function.name

    def __repr__(self) -> str:
        kind = "functor" if self._function.is_type else "function"
        given = f"<{', '.join(self._template_arguments)}>" if self._template_arguments else ""
        return f"<device {kind} {self.__name__}{given} of {self._module.name}>"

    def __getitem__(self, key: Any) -> DeviceFunction:
        """The function with its first template arguments given: dtypes, Python types, C++ names, constants."""
        parts = key if isinstance(key, tuple) else (key,)
        given = self._template_arguments + tuple(template_argument(part) for part in parts)
        with cling.lock:
            if given not in self._variants:
                self._variants[given] = DeviceFunction(self._module, self._function, given)
            return self._variants[given]

    @property
    def dtype(self) -> np.dtype:
        """The NumPy dtype of a functor type with data members."""
        if not self._function.is_type:
            raise AttributeError(f"{self.__name__} is a function, not a type")
        return structs.struct_type(self.expression.removeprefix("::")).dtype

    def __call__(self, *arguments: Any, **members: Any) -> Any:
        """A value of a functor type, of its members; functions cannot be called from Python."""
        if self._function.is_type:
            return structs.struct_type(self.expression.removeprefix("::"))(*arguments, **members)
        raise TypeError(
            f"{self.__name__} is a device function: call it in C++, or in functions compiled with numba.cuda.jit "
            "or numba.njit; from Python, launch a kernel"
        )

    def __reduce__(self) -> Any:
        raise TypeError(
            f"device function {self.__name__} cannot be pickled, and a function that calls it cannot be compiled with "
            "cache=True: it is of this process only"
        )

    @property
    def expression(self) -> str:
        """What C++ calls it."""
        given = f"<{', '.join(self._template_arguments)}>" if self._template_arguments else ""
        name = "::".join((self._module.namespace, *self._function.namespaces, self._function.name))
        return f"::{name}{given}"

    @property
    def __cpp_name__(self) -> str:
        if not self._function.is_type:
            raise AttributeError(f"{self.__name__} is a function, not a type")
        return self.expression

    @property
    def _numba_type_(self) -> Any:
        from cuarray._interop.numba_calls import type_of

        return type_of(self)

    # ---- the question
    def call(self, kinds: tuple[Any, ...]) -> Call:
        """What a call with arguments of these kinds (see `arguments.describe_kind`) means; TypeError if nothing."""
        found = self._calls.get(kinds)
        if found is None:
            found = self._calls[kinds] = self._resolve(kinds)
        return found

    def _resolve(self, kinds: tuple[Any, ...]) -> Call:
        types = [describe_kind(kind).cpp for kind in kinds]
        for given in self._spellings(kinds, types):
            for asked in dict.fromkeys((given, tuple(map(_long_long, given)))):
                word = self._ask(asked)
                if word:
                    return self._as_call(asked, word)
        raise TypeError(f"{self.__name__} cannot be called with arguments of types ({', '.join(types)})")

    def _as_call(self, types: tuple[str, ...], word: str) -> Call:
        is_pointer = word.startswith("P")
        dtype = structs.NUMBER_WORDS.get(word.split(" ", 1)[1] if is_pointer else word)
        if dtype is None and word != "void":
            raise TypeError(f"{self.__name__}: its result is no number, pointer to numbers or void")
        return Call(types, dtype, is_pointer)

    def _spellings(self, kinds: tuple[Any, ...], types: list[str]) -> Iterator[tuple[str, ...]]:
        """The argument types as they are, then with as few as possible of numba's own numbers as another type.

        In f(x, 2.0) with a float32 x and T f(T, T), 2.0 is a float.
        """
        yield tuple(types)
        strong = [kind[0] if isinstance(kind, tuple) else kind for kind in kinds if not isinstance(kind, type)]
        others = dict.fromkeys([*(CPP_NAMES[dtype] for dtype in strong if dtype is not None), "int"])
        weak = [k for k, kind in enumerate(kinds) if isinstance(kind, type) and kind is not bool][:_MOST_WEAK]
        for count in range(1, len(weak) + 1):
            for chosen in itertools.combinations(weak, count):
                for other in others:
                    if other != "int" or all(kinds[k] is int for k in chosen):
                        yield tuple(other if k in chosen else cpp for k, cpp in enumerate(types))

    def _invoke(self, values: Sequence[str]) -> str:
        made = "{}" if self._function.is_type else ""
        return f"{self.expression}{made}({', '.join(values)})"

    def _ask(self, types: tuple[str, ...]) -> str:
        """The word for the result of a call (see kernels/host/reflect.hpp), "void", or "" where there is none."""
        number = next(_counter)
        values = [f"std::declval<A{k}>()" for k in range(len(types))]
        # In a template, an expression that is not C++ only makes the condition false; but one that depends on no
        # template parameter is looked at before.
        names = ", ".join(["class B", *(f"class A{k}" for k in range(len(types)))])
        call = self._invoke(values)
        text = (
            f"template <{names}> unsigned long ca_ask_{number}() {{\n"
            f"  if constexpr (requires {{ {call}; }}) return ::ca::host::reflect_result<decltype({call})>();\n"
            f"  else return 0;\n}}\n"
        )
        with cling.lock:
            if not types and self._fails(f"using ca_result_{number} = decltype({call});"):
                return ""
            address = cling.evaluate(
                f"ca_ask_{number}<{', '.join(['void', *types])}>()",
                f"function {self.__name__}",
                self._module._in_namespace(text),
                self._module.namespace,
            )
        return ctypes.string_at(address).decode() if address else ""

    def _fails(self, text: str) -> bool:
        try:
            self._module._define(text, self.__name__)
        except CompileError:
            return True
        return False

    # ---- the function around a call
    def _wrapper(self, call: Call, parameters: Sequence[str], values: Sequence[str], symbol: str) -> str:
        typed = [
            f"static_cast<{cpp}>({value})" if not cpp.endswith("*") else f"({cpp})({value})"
            for cpp, value in zip(call.arguments, values)
        ]
        invoked = self._invoke(typed)
        if call.result is None:
            body, result = f"{invoked}; *out = nullptr;", "void*"
        elif call.is_pointer:
            result = f"{CPP_NAMES[call.result]}*"
            body = f"*out = ({result})({invoked});"
        else:
            result = CPP_NAMES[call.result]
            body = f"*out = {invoked};"
        given = ", ".join([f"{result}* out", *parameters])
        return f'extern "C" __device__ int {symbol}({given}) {{ {body} return 0; }}\n'

    def host_address(self, call: Call, parameters: Sequence[str], values: Sequence[str]) -> int:
        """The address of the function around a call, compiled for the CPU."""
        symbol = f"ca_call_{next(_counter)}"
        wrapper = self._wrapper(call, parameters, values, symbol)
        definition = self._module._definition
        with cling.lock:
            for code in linked_code((*definition.needs, *mentioned(definition, wrapper))):
                code.compile_for_host()
            self._module._define(wrapper.replace('extern "C"', "static", 1), self.__name__)
            return cling.evaluate(f"&{self._module.namespace}::{symbol}", f"device function {self.__name__}")

    def device_code(
        self, call: Call, parameters: Sequence[str], values: Sequence[str], arch: str
    ) -> tuple[str, bytes, tuple[LinkedCode, ...]]:
        """The symbol of the function around a call, its LTO-IR, and what this must be linked with."""
        definition, source = self._module._definition, self._module._source
        if source.variables:
            raise TypeError(
                f"{self.__name__} of {self._module.name} cannot be called from numba.cuda.jit: its source has "
                "__device__ or __constant__ variables, of which the kernel would get a copy of its own"
            )
        text = self._wrapper(call, parameters, values, "SYMBOL")
        digest = hashlib.sha256(f"{self._module.namespace} {text}".encode()).hexdigest()[:16]
        symbol = f"ca_call_{self.__name__}_{digest}"
        also = mentioned(definition, text)
        text = "".join(needed.device_text for needed in also) + text.replace("SYMBOL", symbol, 1)
        # A kernel links many of these, each with the source's functions: they get a namespace for each.
        own, text = (_NAMESPACE_NAME.sub(rf"\g<0>_{digest}", part) for part in (source.text, text))
        code = _runtime.get().device_code(source._replace(text=_NO_KERNELS + own), "", text, "ltoir", arch)
        return symbol, code, linked_code((*definition.needs, *also))
