"""cudadef: C++ source becomes a module of kernels."""

from __future__ import annotations

import ctypes
import itertools
import json
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cuarray import _runtime
from cuarray._errors import CompileError
from cuarray._kernel.declarations import (
    Declaration,
    deducer,
    deducer_name,
    explainer,
    find_kernels,
    without_c_linkage,
)
from cuarray._kernel.kernel import Kernel
from cuarray._runtime import Source, cling

_INCLUDE_OR_BRANCH = re.compile(r"^[ \t]*#[ \t]*(?P<directive>include|else|elif|endif)\b[^\n]*", re.MULTILINE)
_counter = itertools.count(1)


class InstanceName(NamedTuple):
    """The name of a kernel instance: in full for the compilers, without the module's namespace for people."""

    full: str
    parameters: str  # its parameter types, as C++ spells them
    short: str


def cudadef(source: str, *, name: str | None = None, include_dirs: Sequence[str | os.PathLike[str]] = ()) -> Module:
    """Define CUDA C++ at run time; returns a `Module` whose attributes are the kernels.

    source: C++ with ``__global__`` functions or function templates, ``__device__`` functions, types, ``#include``s of
    your own headers. name: how messages call it. include_dirs: where its headers are. CompileError, with the
    compiler's message and your line, if it is not C++. A template is compiled when it is first launched.

    >>> import cuarray as ca
    >>> mod = ca.cudadef('''
    ... template <class T> __global__ void axpy(T a, const T* x, T* y, int n) {
    ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
    ...   if (i < n) y[i] += a * x[i];
    ... }
    ... ''')
    >>> x, y = ca.arange(4.0), ca.ones(4)
    >>> mod.axpy[1, 32](2, x, y, x.size)
    >>> y
    array([1., 3., 5., 7.])
    """
    if not isinstance(source, str):
        raise TypeError(f"source must be a str of C++, not {type(source).__name__}")
    return Module(source, name, tuple(os.fspath(d) for d in include_dirs))


class Module:
    """The kernels of one `cudadef`, as attributes."""

    def __init__(self, source: str, name: str | None, include_dirs: tuple[str, ...]) -> None:
        self.source = source
        source = without_c_linkage(source)
        self._declarations = find_kernels(source)
        # The namespace keeps modules apart, so that a source can be defined again with other contents. Its name is a
        # digest of the text: the same text is the same module, in this process and in the cache on disk.
        digest = Source("", source, include_dirs).digest
        self.namespace = f"cuarray_module_{digest}"
        self.name = name or f"cudadef_{digest[:6]}"
        opening = f"namespace {self.namespace} {{ using namespace ::ca::cuda_functions;"
        line = f"#line {{}} {json.dumps(self.name)}"

        def outside(match: re.Match[str]) -> str:
            # A header is not part of the module: its include stands between the end and a new beginning of the
            # namespace, where it was, so that an #if around it still holds. Lines are numbered anew after both.
            after = line.format(source.count("\n", 0, match.start()) + 2)
            if match["directive"] != "include":
                return f"{match.group()}\n{after}"
            return f"}}\n{match.group().strip()}\n{opening}\n{after}"

        body = _INCLUDE_OR_BRANCH.sub(outside, source) if "include" in source else source
        text = f'#include "complex.cuh"\n{opening}\n{line.format(1)}\n{body}\n}}\n'
        self._source = Source(self.name, text, include_dirs, self.namespace, contract=True)
        for directory in include_dirs:
            cling.interpreter().add_include_path(directory)
        cling.define_once(self._source.key, self._host_text(text), self.name)
        self._deducers: set[tuple[str, frozenset[int]]] = {(d.name, frozenset()) for d in self._declarations}
        names = dict.fromkeys(d.name for d in self._declarations)
        self._kernels = {
            kernel: Kernel(self, tuple(d for d in self._declarations if d.name == kernel)) for kernel in names
        }

    def _host_text(self, text: str) -> str:
        deducers = "".join(map(deducer, self._declarations))
        return cling.as_kernel_source(
            f'#include "host/reflect.hpp"\n{text}namespace {self.namespace} {{\n{deducers}}}\n'
        )

    def __repr__(self) -> str:
        return f"<module {self.name}: {', '.join(self._kernels) or 'no kernels'}>"

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self._kernels]

    def __iter__(self) -> Iterator[Kernel]:
        return iter(self._kernels.values())

    def __getattr__(self, name: str) -> Kernel:
        kernels = self.__dict__.get("_kernels", {})
        if name in kernels:
            return kernels[name]
        raise AttributeError(f"module {self.__dict__.get('name')!r} has no kernel {name!r}; it has {list(kernels)}")

    def deduce(
        self,
        declarations: tuple[Declaration, ...],
        template_arguments: tuple[str, ...],
        weak: frozenset[int],
        types: Sequence[str],
    ) -> tuple[InstanceName, list[str]] | None:
        """The instance that C++ takes for arguments of these types, and the words for its parameters; or None."""
        kernel = declarations[0].name
        with cling.lock:
            if (kernel, weak) not in self._deducers:
                text = "".join(deducer(d, weak) for d in declarations)
                self._define(text, kernel)
                self._deducers.add((kernel, weak))
            call = self._call(declarations[0], deducer_name(kernel, weak), template_arguments, len(types))
            # In a template, an expression that is not C++ only makes the condition false.
            number = next(_counter)
            names = ", ".join(f"class A{k}" for k in range(len(types))) or "class = void"
            self._define(
                f"template <{names}> unsigned long ca_probe_{number}() {{\n"
                f"  if constexpr (requires {{ {call}; }}) return ::ca::host::reflect<decltype({call})>();\n"
                f"  else return 0;\n}}\n"
                f"static const unsigned long ca_found_{number} = ca_probe_{number}<{', '.join(types)}>();\n",
                kernel,
            )
            address = cling.value(f"{self.namespace}::ca_found_{number}")
        if not address:
            return None
        text, *words = ctypes.string_at(address).decode().split("\n")
        return self._instance_name(declarations[0], text), words

    def explain(
        self,
        declarations: tuple[Declaration, ...],
        template_arguments: tuple[str, ...],
        weak: frozenset[int],
        types: Sequence[str],
    ) -> str:
        """What the compiler says of a call that fits no instance."""
        kernel = declarations[0].name
        name = f"ca_explain_{kernel}_{next(_counter)}"
        call = self._call(declarations[0], name, template_arguments, len(types))
        for position, cpp in enumerate(types):
            call = call.replace(f"<A{position}>", f"<{cpp}>", 1)
        try:
            self._define("".join(explainer(d, weak, name) for d in declarations), kernel)
            self._define(f"using {name}_type = decltype({call});", kernel)
        except CompileError as error:
            return str(error)
        return ""

    def _define(self, text: str, kernel: str) -> None:
        # Inside the module's namespace, so that template arguments can name what the source defines.
        cling.define(cling.as_kernel_source(f"namespace {self.namespace} {{\n{text}}}\n"), f"kernel {kernel}")

    def _call(self, declaration: Declaration, function: str, template_arguments: tuple[str, ...], count: int) -> str:
        scope = "::".join((self.namespace, *declaration.namespaces))
        given = f"<{', '.join(template_arguments)}>" if template_arguments else ""
        values = ", ".join(f"std::declval<A{position}>()" for position in range(count))
        return f"::{scope}::{function}{given}({values})"

    def _instance_name(self, declaration: Declaration, demangled: str) -> InstanceName:
        # Like ca::host::thunk<&(void NAME<...>(float, float*)), void (*)(float, float*)>*
        parameters = re.search(r"void \(\*\)\((.*)\)>\*$", demangled)
        spelled = parameters.group(1) if parameters else ""
        if not declaration.template:
            full = "::".join((self.namespace, *declaration.namespaces, declaration.name))
        else:
            inner = re.sub(r"^ca::host::thunk<\(?&\(?(?:void )?", "", demangled)
            depth = end = 0
            while depth or inner[end] not in "(,)":
                depth += (inner[end] == "<") - (inner[end] == ">")
                end += 1
            full = inner[:end].strip()
        return InstanceName(full, spelled, full.removeprefix(f"{self.namespace}::"))

    def load(self, name: InstanceName, overloaded: bool) -> int:
        """The handle of an instance, compiled for the device if it was not yet."""
        expression = f"static_cast<void (*)({name.parameters})>(&{name.full})" if overloaded else f"&{name.full}"
        return _runtime.get().load(self._source, expression)
