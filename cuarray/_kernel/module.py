"""cudadef: C++ source becomes a module of kernels."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from cuarray import _runtime
from cuarray._kernel.declarations import Declaration, deducer, deducer_name, find_kernels
from cuarray._kernel.kernel import Kernel
from cuarray._runtime import Source, cling

_INCLUDE = re.compile(r"^[ \t]*#[ \t]*include\b[^\n]*", re.MULTILINE)
_counter = itertools.count(1)


class InstanceName(NamedTuple):
    """The name of a kernel instance: in full for the compilers, without the module's namespace for people."""

    full: str
    parameters: str  # its parameter types, as C++ spells them
    short: str


def cudadef(
    source: str, *, name: str | None = None, include_dirs: Sequence[str] = (), options: Sequence[str] = ()
) -> Module:
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
    return Module(source, name or f"cudadef_{next(_counter)}", tuple(map(os.fspath, include_dirs)), tuple(options))


class Module:
    """The kernels of one `cudadef`, as attributes."""

    def __init__(self, source: str, name: str, include_dirs: tuple[str, ...], options: tuple[str, ...]) -> None:
        self.name = name
        self.source = source
        self._declarations = find_kernels(source)
        # The namespace keeps modules apart, so that a source can be defined again with other contents. Its name is a
        # digest of the text: the same text is the same module, in this process and in the cache on disk.
        digest = Source(name, source, options, include_dirs).digest
        self.namespace = f"cuarray_module_{digest}"
        includes = "".join(match.group().strip() + "\n" for match in _INCLUDE.finditer(source))
        body = _INCLUDE.sub("", source)
        opening = f"namespace {self.namespace} {{ using namespace ::ca::cuda_functions;"
        text = f'#include "complex.cuh"\n{includes}{opening}\n#line 1 "{name}"\n{body}\n}}\n'
        self._source = Source(name, text, options, include_dirs)
        for directory in include_dirs:
            cling.interpreter().add_include_path(directory)
        cling.define_once(self._source.digest, self._host_text(text), name)
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
    ) -> tuple[InstanceName, list[str]]:
        """The instance that C++ takes for arguments of these types, and the words for its parameters."""
        kernel = declarations[0].name
        with cling.lock:
            if (kernel, weak) not in self._deducers:
                text = "".join(deducer(d, weak) for d in declarations)
                cling.define(cling.as_kernel_source(f"namespace {self.namespace} {{\n{text}}}\n"), f"kernel {kernel}")
                self._deducers.add((kernel, weak))
            scope = "::".join((self.namespace, *declarations[0].namespaces))
            given = f"<{', '.join(template_arguments)}>" if template_arguments else ""
            values = ", ".join(f"std::declval<{cpp}>()" for cpp in types)
            # Inside the module's namespace, so that template arguments can name what the source defines.
            number = next(_counter)
            cling.define(
                f"namespace {self.namespace} {{ static const unsigned long ca_found_{number} = ::ca::host::reflect<"
                f"decltype(::{scope}::{deducer_name(kernel, weak)}{given}({values}))>(); }}",
                f"kernel {kernel}",
            )
            address = cling.value(f"{self.namespace}::ca_found_{number}")
        text, *words = ctypes.string_at(address).decode().split("\n")
        return self._instance_name(text), words

    def _instance_name(self, demangled: str) -> InstanceName:
        # ca::host::thunk<&(void NAME<...>(float, float*)), void (*)(float, float*)>, or without "void " if NAME is
        # no template, or without parameters if it is extern "C"; then * for the pointer.
        demangled = demangled.rstrip("*")
        inner = re.sub(r"^ca::host::thunk<", "", demangled)
        inner = re.sub(r"^\(?&\(?(?:void )?", "", inner)
        depth = 0
        end = len(inner)
        for at, character in enumerate(inner):
            depth += (character == "<") - (character == ">")
            if depth == 0 and character in "(,)":
                end = at
                break
        full = inner[:end].strip().rstrip(">") if "<" not in inner[:end] else inner[:end].strip()
        parameters = re.search(r"void \(\*\)\((.*)\)>$", demangled)
        short = full.removeprefix(f"{self.namespace}::")
        return InstanceName(full, parameters.group(1) if parameters else "", short)

    def load(self, name: InstanceName, overloaded: bool) -> int:
        """The handle of an instance, compiled for the device if it was not yet."""
        expression = f"static_cast<void (*)({name.parameters})>(&{name.full})" if overloaded else f"&{name.full}"
        return _runtime.get().load(self._source, expression)
