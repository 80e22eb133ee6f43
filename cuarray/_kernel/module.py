"""cudadef: C++ source becomes a module of kernels, variables and types."""

from __future__ import annotations

import ctypes
import itertools
import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from cuarray import _runtime
from cuarray._errors import CompileError
from cuarray._kernel import definitions
from cuarray._kernel.declarations import Declaration
from cuarray._kernel.deducers import deducer, deducer_name, default_name, explainer
from cuarray._kernel.definitions import Definition
from cuarray._kernel.device_functions import DeviceFunction
from cuarray._kernel.kernel import Kernel
from cuarray._kernel.structs import struct_type
from cuarray._kernel.variables import Variable, make_variable
from cuarray._runtime import Function, Source, cling

_counter = itertools.count(1)
# Compilers name the types of lambdas in ways that no source can write.
_UNSPEAKABLE = re.compile(r"\{lambda|\$_\d|'lambda|\{unnamed|'unnamed")


class InstanceName(NamedTuple):
    """The name of a kernel instance: in full for the compilers, without the module's namespace for people."""

    full: str
    parameters: str  # its parameter types, as C++ spells them
    host_type: str  # of a pointer to it on the host, where it may have been rewritten: see host_text.py
    short: str
    text: str  # C++ that the device's compiler needs besides the module's
    also: tuple[Definition, ...] = ()  # definitions that it needs besides those that the module sees


def cudadef(
    source: str,
    *,
    name: str | None = None,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    options: Sequence[str] = (),
    std: str = "c++17",
) -> Module:
    """Define CUDA C++ at run time; returns a `Module` whose attributes are the kernels, variables and types.

    source: C++ with ``__global__`` functions or function templates, ``__device__`` functions, ``__constant__`` and
    ``__device__`` variables, types, ``#include``s of headers. It sees the types, functions and constants of the sources
    defined before. name: how messages call it; ``#include "name"`` in a later source brings all of it. include_dirs:
    where its headers are. options: the GPU compiler's (``-DN=4``, ``--use_fast_math`` ...); macros reach the CPU's,
    too. std: the C++ standard for the GPU: c++17 or c++20; the CPU's is C++20. A template is compiled when it is first
    launched. CompileError, with the compiler's message and your line, if it is not C++.

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
    if std not in ("c++17", "c++20"):
        raise ValueError(f"std must be 'c++17' or 'c++20', not {std!r}")
    for option in options:
        if not (isinstance(option, str) and option.startswith("-")):
            raise TypeError(f"options must be strings like '-DN=4' or '--use_fast_math', not {option!r}")
    return Module(source, name, tuple(os.fspath(d) for d in include_dirs), tuple(options), std)


def cudafile(
    path: str | os.PathLike[str],
    *,
    include_dirs: Sequence[str | os.PathLike[str]] = (),
    options: Sequence[str] = (),
    std: str = "c++17",
) -> Module:
    """`cudadef` of a file's contents; its folder is the first of the include_dirs, its file name the module's name.

    A file that was changed is a new module when it is read again.

    >>> import os, tempfile, cuarray as ca
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = os.path.join(folder, "fill.cu")
    ...     _ = open(path, "w").write("__global__ void fill(int* x) { x[threadIdx.x] = 7; }")
    ...     module = ca.cudafile(path)
    >>> x = ca.zeros(3, "int32")
    >>> module.fill[1, 3](x)
    >>> x
    array([7, 7, 7], dtype=int32)
    """
    file = Path(path)
    return cudadef(
        file.read_text(), name=file.name, include_dirs=(file.parent, *include_dirs), options=options, std=std
    )


class Module:
    """The kernels, variables and types of one `cudadef`, as attributes."""

    def __init__(
        self, source: str, name: str | None, include_dirs: tuple[str, ...], options: tuple[str, ...], std: str
    ) -> None:
        self.source = source
        self._definition = definitions.define(source, name, include_dirs, options, std)
        self.name = self._definition.name
        self.namespace = self._definition.namespace
        self.contents = self._definition.contents
        assert self._definition.source is not None
        self._source: Source = self._definition.source
        declarations = self.contents.kernels
        self._deducers: set[tuple[str, frozenset[int]]] = {(d.name, frozenset()) for d in declarations}
        names = dict.fromkeys(d.name for d in declarations)
        self._kernels = {kernel: Kernel(self, tuple(d for d in declarations if d.name == kernel)) for kernel in names}
        self._variables: dict[str, Variable] = {}
        self._functions: dict[str, DeviceFunction] = {}
        # Attributes like any other are found much faster than by __getattr__. A kernel never hides one of Module's.
        self.__dict__.update({name: k for name, k in self._kernels.items() if name not in dir(Module) + [*vars(self)]})

    def __repr__(self) -> str:
        variables = [variable.name for variable in self.contents.variables]
        functions = list(dict.fromkeys(function.name for function in self.contents.functions if not function.is_type))
        kinds = (
            ("kernels", list(self._kernels)),
            ("device functions", functions),
            ("variables", variables),
            ("types", self.contents.types),
        )
        parts = [f"{kind} {', '.join(names)}" for kind, names in kinds if names]
        return f"<module {self.name}: {'; '.join(parts) or 'no kernels'}>"

    def __dir__(self) -> list[str]:
        variables = (variable.name for variable in self.contents.variables)
        types = (path.rsplit("::", 1)[-1] for path in self.contents.types)
        functions = (function.name for function in self.contents.functions)
        return sorted({*super().__dir__(), *self._kernels, *variables, *types, *functions})

    def __iter__(self) -> Iterator[Kernel]:
        return iter(self._kernels.values())

    def __getattr__(self, name: str) -> Any:
        kernels = self.__dict__.get("_kernels", {})
        if name in kernels:
            return kernels[name]
        if "contents" in self.__dict__:
            for declared in self.contents.variables:
                if declared.name == name:
                    if name not in self._variables:
                        self._variables[name] = make_variable(self.name, self.namespace, declared, self._source)
                    return self._variables[name]
            for function in self.contents.functions:
                if function.name == name:
                    return self._functions.setdefault(name, DeviceFunction(self, function))
            for path in self.contents.types:
                if path.rsplit("::", 1)[-1] == name:
                    return struct_type(f"{self.namespace}::{path}")
        raise AttributeError(f"module {self.__dict__.get('name')!r} has no kernel {name!r}; it has {list(kernels)}")

    @property
    def _numba_type_(self) -> Any:
        # Asked for by numba-cuda; njit's type is registered in numba_types.py.
        from cuarray._interop.numba_calls import module_type

        return module_type(self)

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
            address = cling.evaluate(
                f"ca_probe_{number}<{', '.join(types)}>()",
                f"kernel {kernel}",
                self._in_namespace(
                    f"template <{names}> unsigned long ca_probe_{number}() {{\n"
                    f"  if constexpr (requires {{ {call}; }}) return ::ca::host::reflect<decltype({call})>();\n"
                    f"  else return 0;\n}}\n"
                ),
                self.namespace,
            )
        if not address:
            return None
        text, *words = ctypes.string_at(address).decode().split("\n")
        return self._instance_name(declarations[0], text, template_arguments), words

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

    def default_bytes(self, declaration: Declaration, position: int, instance: InstanceName, size: int) -> bytes:
        """The value of a parameter's default argument in an instance, as the parameter's bytes."""
        scope = "::".join((self.namespace, *declaration.namespaces))
        arguments = instance.full[instance.full.index("<") :] if declaration.template else ""
        number = next(_counter)
        value = f"::{scope}::{default_name(declaration, position)}{arguments}()"
        address = cling.evaluate(
            f"&ca_value_{number}",
            f"kernel {declaration.name}",
            self._in_namespace(f"static const auto ca_value_{number} = {value};"),
            self.namespace,
        )
        return ctypes.string_at(address, size)

    def _define(self, text: str, kernel: str) -> None:
        cling.define(self._in_namespace(text), f"kernel {kernel}")

    def _in_namespace(self, text: str) -> str:
        # Inside the module's namespace, so that template arguments can name what the source defines; its macros, which
        # were taken back at its end, may stand in parameters' types.
        define, undefine = definitions.host_directives(self._definition)
        return cling.as_kernel_source(f"{define}namespace {self.namespace} {{\n{text}\n}}\n{undefine}")

    def _call(self, declaration: Declaration, function: str, template_arguments: tuple[str, ...], count: int) -> str:
        scope = "::".join((self.namespace, *declaration.namespaces))
        given = f"<{', '.join(template_arguments)}>" if template_arguments else ""
        values = ", ".join(f"std::declval<A{position}>()" for position in range(count))
        return f"::{scope}::{function}{given}({values})"

    def _instance_name(
        self, declaration: Declaration, demangled: str, template_arguments: tuple[str, ...]
    ) -> InstanceName:
        # Like ca::host::thunk<&(void NAME<...>(float, float*)), void (*)(float, float*)>*
        function = re.search(
            r"(?P<type>(?:void|ca::host::Passes) \(\*\)\((?:ca::host::Here<\d+>(?:, )?)?(?P<own>.*)\))>\*$", demangled
        )
        spelled, host_type = function.group("own", "type") if function else ("", "")
        text = ""
        if not declaration.template:
            full = "::".join((self.namespace, *declaration.namespaces, declaration.name))
        else:
            inner = re.sub(r"^ca::host::thunk<\(?&\(?(?:void |ca::host::Passes )?", "", demangled)
            full = inner[: _end_of_name(inner)].strip()
            if _UNSPEAKABLE.search(full):
                full, text = self._speakable(full, template_arguments)
        also = definitions.mentioned(self._definition, full + text)
        if also and (self._source.variables or any(other.contents.variables for other in also)):
            raise TypeError(
                f"{declaration.name}: a template argument is of {also[-1].name}, which {self.name} does not use, and "
                "programs cannot share their sources' variables: mention it in the kernel's source"
            )
        return InstanceName(full, spelled, host_type, definitions.NAMESPACE.sub("", full), text, also)

    def _speakable(self, full: str, template_arguments: tuple[str, ...]) -> tuple[str, str]:
        """`full` with the given spelling of arguments that have none, and the declarations that this spelling needs."""
        name, _, rest = full.partition("<")
        arguments = _split_arguments(rest[: rest.rindex(">")])
        text = ""
        for position, argument in enumerate(arguments):
            if _UNSPEAKABLE.search(argument):
                if position >= len(template_arguments):
                    raise TypeError(
                        f"{name}: template argument {position + 1} is the type of a lambda, which has no name: "
                        'give it as "decltype(the_lambda)" between the kernel\'s brackets'
                    )
                alias = f"ca_type_{next(_counter)}"
                declaration = f"using {alias} = {template_arguments[position]};"
                self._define(declaration, name)
                text += f"namespace {self.namespace} {{ {declaration} }}\n"
                arguments[position] = f"{self.namespace}::{alias}"
        return f"{name}<{', '.join(arguments)}>", text

    def load(self, name: InstanceName, overloaded: bool) -> Function:
        """An instance, compiled for the device if it was not yet."""
        runtime = _runtime.get()
        source, text = self._source_of(name)
        return runtime.load(source, self.expression(name, overloaded, runtime.host_is_device), text)

    def code(self, name: InstanceName, overloaded: bool, kind: str, arch: str | None) -> bytes:
        """PTX or machine code of an instance, for a GPU that need not be there."""
        source, text = self._source_of(name)
        return _runtime.get().device_code(source, self.expression(name, overloaded), text, kind, arch)

    def _source_of(self, name: InstanceName) -> tuple[Source, str]:
        if not name.also:
            return self._source, name.text
        link = definitions.linked_code((*self._definition.needs, *name.also))
        return self._source._replace(link=link), "".join(d.device_text for d in name.also) + name.text

    def expression(self, name: InstanceName, overloaded: bool, host: bool = False) -> str:
        """C++ for the address of an instance."""
        kind = name.host_type if host else f"void (*)({name.parameters})"
        return f"static_cast<{kind}>(&{name.full})" if overloaded else f"&{name.full}"


def _end_of_name(text: str) -> int:
    """Where a demangled function's name ends: before its parameters."""
    depth = end = 0
    while depth or text[end] not in "(,)":
        depth += (text[end] in "<{") - (text[end] in ">}")
        end += 1
    return end


def _split_arguments(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "<({") - (character in ">)}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]
