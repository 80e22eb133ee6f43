"""Kernels: how a launch finds its instance."""

from __future__ import annotations

import inspect
import operator
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from cuarray import _runtime
from cuarray._kernel import arguments, debug, fast_launch, structs
from cuarray._kernel.arguments import Argument
from cuarray._kernel.declarations import Declaration
from cuarray._kernel.instance import Instance
from cuarray._kernel.launch import Launch, as_extents, as_launch
from cuarray._runtime import KernelAttributes, Occupancy

if TYPE_CHECKING:
    from cuarray._kernel.module import InstanceName, Module

_FORALL_THREADS = 256


class Kernel:
    """A `__global__` function or function template of a module.

    ``kernel[grid, block](arguments...)`` launches it, ``kernel[grid, block, stream, shared](arguments...)`` on a stream
    and with so many bytes of dynamic shared memory; ``kernel.forall(n)(arguments...)`` on at least n threads. Template
    arguments that are not deduced from the arguments are given first: ``kernel["float", 256][grid, block](...)``.

    ``kernel.__cuda_grid_dim__``, ``__cuda_block_dim__`` and ``__cuda_shared_mem__`` can be set;
    ``kernel(arguments...)`` then launches it so.
    """

    def __init__(
        self,
        module: Module,
        declarations: tuple[Declaration, ...],
        template_arguments: tuple[str, ...] = (),
        cluster: tuple[int, int, int] | None = None,
        cooperative: bool = False,
    ) -> None:
        self._module = module
        self._declarations = declarations
        self._template_arguments = template_arguments
        self._cluster = cluster
        self._cooperative = cooperative
        self._by_kinds: dict[tuple[Any, ...], Instance] = {}
        self._variants: dict[Any, Kernel] = {}
        self._lock = threading.RLock()
        self._calls: Callable[[Any], Any] = self._first_subscript
        # Where an array's number of dimensions matters: at parameters that may be views. The last covers a pack.
        wide = max((len(d.parameters) for d in declarations), default=0)
        self._ranked = tuple(not all(map(arguments.is_pointer, self.declared(k))) for k in range(wide))
        self.__name__ = self.__qualname__ = declarations[0].name
        self.__doc__ = "\n".join(f"{d}\n\n{d.doc}".rstrip() for d in declarations)
        self.__cuda_grid_dim__: Any = None
        self.__cuda_block_dim__: Any = None
        self.__cuda_shared_mem__: int = 0

    def __repr__(self) -> str:
        given = f"<{', '.join(self._template_arguments)}>" if self._template_arguments else ""
        return f"<kernel {self.__name__}{given} of {self._module.name}>"

    @property
    def __signature__(self) -> inspect.Signature:
        """The parameters of the first overload, with their C++ types as annotations."""
        parameters = []
        for p in self._declarations[0].parameters:
            kind = inspect.Parameter.VAR_POSITIONAL if p.pack else inspect.Parameter.POSITIONAL_ONLY
            default = p.default if p.default and not p.pack else inspect.Parameter.empty
            name = p.name if p.name.isidentifier() else f"{p.name}_"
            parameters.append(inspect.Parameter(name, kind, default=default, annotation=p.type))
        return inspect.Signature(parameters)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), "__cuda_grid_dim__", "__cuda_block_dim__", "__cuda_shared_mem__"]

    # ---- launching
    def __getitem__(self, key: Any) -> Any:
        """`kernel[grid, block(, stream(, shared))]` to launch, `kernel[template arguments...]` to instantiate."""
        return self._calls(key)

    def _first_subscript(self, key: Any) -> Any:
        # Not before somebody launches from Python: the first kernel of a process has C++ compiled for it.
        self._calls = fast_launch.make_calls(self._subscript, self._launch_failed)
        return self._calls(key)

    def _subscript(self, key: Any) -> Any:
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) >= 2 and isinstance(parts[0], int | np.integer | tuple | list):
            launch = as_launch(self.__name__, parts, self._cluster, self._cooperative)
            return fast_launch.make_launcher(
                self._calls, Launcher(self, launch), launch.grid, launch.block, launch.shared, launch.stream
            )
        return self.template(*parts)

    def _launch_failed(self, launcher: Launcher, name: str, result: int, *values: Any) -> None:
        fast_launch.launch_failed(_runtime.get(), launcher, name, result, *values)

    def __call__(self, *values: Any) -> None:
        """Launch with the defaults of `__cuda_grid_dim__`, `__cuda_block_dim__` and `__cuda_shared_mem__`."""
        self.default_launcher()(*values)

    def default_launcher(self) -> Launcher:
        """The launcher of the kernel's defaults; TypeError if it has none."""
        grid, block = self.__cuda_grid_dim__, self.__cuda_block_dim__
        if grid is None or block is None:
            raise TypeError(
                f"a kernel is launched on a grid of blocks: {self.__name__}[grid, block](...); "
                "or set its __cuda_grid_dim__ and __cuda_block_dim__"
            )
        return self[grid, block, None, self.__cuda_shared_mem__]

    def forall(self, n: int, block: int | None = None, stream: Any = None, shared: int = 0) -> Launcher:
        """The launcher for at least `n` threads in one dimension.

        block: threads a block; by default `__cuda_block_dim__` or 256. With n=0 there is one block: kernels check their
        bounds in any case.

        >>> import cuarray as ca
        >>> mod = ca.cudadef('''__global__ void iota(int* x, int n) {
        ...   int i = blockIdx.x * blockDim.x + threadIdx.x;
        ...   if (i < n) x[i] = i;
        ... }''')
        >>> x = ca.empty(5, "int32")
        >>> mod.iota.forall(x.size)(x, x.size)
        >>> x
        array([0, 1, 2, 3, 4], dtype=int32)
        """
        count = operator.index(n)
        if count < 0:
            raise ValueError(f"n must not be negative, but is {count}")
        x, y, z = as_extents(block, "block") if block else forall_block(self)
        return self[max(-(-count // (x * y * z)), 1), (x, y, z), stream, shared]

    def template(self, *template_arguments: Any) -> Kernel:
        """The kernel with its first template arguments given: dtypes, Python types, C++ names, constants."""
        if not any(d.template for d in self._declarations):
            raise TypeError(f"{self.__name__} is no template; launch it as {self.__name__}[grid, block](...)")
        given = self._template_arguments + tuple(arguments.template_argument(a) for a in template_arguments)
        return self._variant(given, self._cluster, self._cooperative)

    def with_options(self, *, cluster: Any = None, cooperative: bool = False) -> Kernel:
        """The kernel as it is launched with these options.

        cluster: an int or tuple; so many blocks are scheduled together (GPUs of compute capability 9.0 and more).
        cooperative: all blocks run at once, so that cooperative groups' `this_grid().sync()` works; LaunchError if
        they do not fit on the device.
        """
        extents = None if cluster is None else as_extents(cluster, "cluster")
        return self._variant(self._template_arguments, extents, bool(cooperative))

    def _variant(
        self, template_arguments: tuple[str, ...], cluster: tuple[int, int, int] | None, cooperative: bool
    ) -> Kernel:
        key = template_arguments, cluster, cooperative
        if key == (self._template_arguments, self._cluster, self._cooperative):
            return self
        with self._lock:
            if key not in self._variants:
                self._variants[key] = Kernel(self._module, self._declarations, template_arguments, cluster, cooperative)
            return self._variants[key]

    def __reduce__(self) -> Any:
        raise TypeError(
            f"kernel {self.__name__} cannot be pickled, and a function that launches it cannot be compiled with "
            "njit(cache=True): its compiled code lives in this process only"
        )

    @property
    def cluster(self) -> tuple[int, int, int] | None:
        """The cluster's extents of `with_options`."""
        return self._cluster

    @property
    def cooperative(self) -> bool:
        """Whether `with_options` asked for a cooperative launch."""
        return self._cooperative

    # ---- what the compiler made of it
    @property
    def instances(self) -> tuple[Instance, ...]:
        """The instances that were used so far."""
        with self._lock:
            return tuple({instance.name: instance for instance in self._by_kinds.values()}.values())

    def compile(self, *values: Any) -> Instance:
        """The instance that a launch with these arguments would use, compiled but not launched."""
        return self._argue(values)[0]

    def _only_instance(self, what: str) -> Instance:
        found = self.instances
        if not found and not self._module_templates():
            return self._plain_instance()
        if len(found) != 1:
            names = ", ".join(instance.name for instance in found) or "none"
            raise ValueError(
                f"{self.__name__}.{what} is of one instance, and it has {names}: "
                f"take it from {self.__name__}.compile(arguments...) or {self.__name__}.instances"
            )
        return found[0]

    def _module_templates(self) -> bool:
        return len(self._declarations) > 1 or bool(self._declarations[0].template)

    def _plain_instance(self) -> Instance:
        # A kernel without template and overloads is one instance; its parameters' types are those declared.
        types = [p.type for p in self._declarations[0].parameters]
        found = self._module.deduce(self._declarations, (), frozenset(), types)
        assert found is not None
        return self._make(*found, None)

    @property
    def attributes(self) -> KernelAttributes:
        """Registers, shared and local memory, most threads a block, of the kernel's only instance."""
        return self._only_instance("attributes").attributes

    def occupancy(self, block: Any, shared: int = 0) -> Occupancy:
        """How many blocks of this shape run at once on a multiprocessor; see `Instance.occupancy`."""
        return self._only_instance("occupancy").occupancy(block, shared)

    def ptx(self, arch: str | None = None) -> str:
        """The PTX of the kernel's only instance; see `Instance.ptx`."""
        return self._only_instance("ptx").ptx(arch)

    def sass(self, arch: str | None = None) -> str:
        """The machine code of the kernel's only instance; see `Instance.sass`."""
        return self._only_instance("sass").sass(arch)

    # ---- finding the instance
    def parameter_name(self, position: int) -> str:
        """How messages call an argument."""
        for declaration in self._declarations:
            if position < len(declaration.parameters):
                return declaration.parameters[position].name
        return str(position + 1)

    def declared(self, position: int) -> list[str]:
        """The types that the overloads declare the parameter at a position with."""
        found = []
        for declaration in self._declarations:
            parameters = declaration.parameters
            if position < len(parameters):
                found.append(parameters[position].type)
            elif parameters and parameters[-1].pack:
                found.append(parameters[-1].type)
        return found

    def is_ranked(self, position: int) -> bool:
        """Whether the number of dimensions of an array at this position matters."""
        return self._ranked[min(position, len(self._ranked) - 1)] if self._ranked else False

    def check_count(self, count: int) -> None:
        """TypeError unless some overload takes this many arguments."""
        if not any(d.takes(count) for d in self._declarations):
            wanted = " or ".join(str(len(d.parameters)) for d in self._declarations)
            raise TypeError(f"{self.__name__} takes {wanted} arguments, {count} were given: {self._signatures()}")

    def _signatures(self) -> str:
        return "; ".join(map(str, self._declarations))

    def _argue(self, values: tuple[Any, ...]) -> tuple[Instance, list[Any]]:
        passed, kinds = [], []
        for position, value in enumerate(values):
            argument, kind = arguments.as_argument(
                value, self.__name__, self.parameter_name(position), self.is_ranked(position)
            )
            passed.append(argument)
            kinds.append(kind)
        return self.instance(tuple(kinds)), passed

    def launch(self, launch: Launch, values: tuple[Any, ...]) -> None:
        """Launch with these arguments, whatever they are."""
        instance, passed = self._argue(values)
        checks = debug.current()
        if checks is not None and not debug.is_captured(launch):
            debug.launch(checks, self._module._definition, self.__name__, instance, launch, passed)
            return
        instance.launch(launch, passed)
        fast_launch.register(self._calls, values, instance, self._ranked)

    def instance(self, kinds: tuple[Any, ...]) -> Instance:
        """The instance that a call with arguments of these kinds means; compiled if it was not yet."""
        found = self._by_kinds.get(kinds)
        if found is None:
            with self._lock:
                found = self._by_kinds.get(kinds)
                if found is None:
                    found = self._resolve(
                        [arguments.describe_kind(kind, self.declared(k)) for k, kind in enumerate(kinds)]
                    )
                    self._by_kinds[kinds] = found
        return found

    def _resolve(self, given: list[Argument]) -> Instance:
        self.check_count(len(given))
        if len(self._declarations) == 1:
            self._check_shape(given)
        weak = frozenset(position for position, argument in enumerate(given) if argument.weak)
        nameless = frozenset(position for position in weak if not given[position].spellings)
        # Structs whose class is known: only if that does not fit, another class of the same layout.
        named = frozenset(k for k, argument in enumerate(given) if argument.dtype is not None and argument.spellings)
        # Python scalars first follow the arrays; where nothing else says what they are, they are long and double.
        for mask in dict.fromkeys((weak - named, weak, nameless)):
            for spelled in arguments.combinations(given, mask):
                found = self._module.deduce(self._declarations, self._template_arguments, mask, spelled)
                if found is not None:
                    return self._make(*found, given)
        said = structs.readable(
            self._module.explain(
                self._declarations, self._template_arguments, weak, [a.weak or a.spellings[0] for a in given]
            )
        )
        raise TypeError(
            f"{self.__name__}: no instance takes arguments of types ({', '.join(a.cpp for a in given)}). "
            f"It is declared as {self._signatures()}. The compiler says: {'; '.join(arguments.reasons(said))}"
        )

    def _make(self, name: InstanceName, words: list[str], given: list[Argument] | None) -> Instance:
        """The instance of this name; given: the arguments of the call, None for one with arguments as declared."""
        module, overloaded = self._module, len(self._declarations) > 1
        parameters = tuple(
            arguments.make_parameter(
                self.__name__, self.parameter_name(k), word, given[k] if given and k < len(given) else None
            )
            for k, word in enumerate(words)
        )
        defaults: list[bytes] = []
        if given is not None and len(given) < len(parameters):
            declaration = next(d for d in self._declarations if len(d.parameters) == len(parameters))
            for position in range(len(given), len(parameters)):
                defaults.append(module.default_bytes(declaration, position, name, parameters[position].size))
        # The GPU's compiler must lay these classes out as the CPU's does.
        classes = dict.fromkeys(p.cpp_name for p in parameters if p.cpp_name)
        name = name._replace(text=name.text + "".join(map(structs.layout_asserts, classes)))
        return Instance(
            name.short,
            module.load(name, overloaded),
            parameters,
            tuple(defaults),
            lambda kind, arch: module.code(name, overloaded, kind, arch),
            self._cluster,
            self._cooperative,
            module.expression(name, overloaded),
        )

    def _check_shape(self, given: list[Argument]) -> None:
        # The two mistakes that are made most, in words of Python.
        for argument, parameter in zip(given, self._declarations[0].parameters, strict=False):
            if parameter.is_pointer and not argument.pointer:
                raise TypeError(
                    f"{self.__name__}: argument {parameter.name} must be an array ({parameter.type}), "
                    f"not a scalar ({argument.cpp})"
                )
            if parameter.is_number and argument.pointer:
                raise TypeError(
                    f"{self.__name__}: argument {parameter.name} must be a scalar ({parameter.type}), "
                    f"not an array ({argument.cpp})"
                )
            arguments.check_view(f"{self.__name__}: argument {parameter.name}", parameter.type, argument)


def forall_block(kernel: Kernel) -> tuple[int, int, int]:
    """The block that `forall` takes where none is given."""
    return as_extents(kernel.__cuda_block_dim__ or _FORALL_THREADS, "block")


class Launcher:
    """A kernel with its launch configuration, waiting for its arguments."""

    __slots__ = ("kernel", "launch")

    def __init__(self, kernel: Kernel, launch: Launch) -> None:
        self.kernel = kernel
        self.launch = launch

    def __repr__(self) -> str:
        return f"<launch of {self.kernel!r} on grid {self.launch.grid}, block {self.launch.block}>"

    @property
    def __signature__(self) -> inspect.Signature:
        return self.kernel.__signature__

    def __call__(self, *values: Any) -> None:
        """Launch. The kernel is queued on the GPU; on the host it is done when the call returns."""
        self.kernel.launch(self.launch, values)
