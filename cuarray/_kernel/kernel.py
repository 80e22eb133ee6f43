"""Kernels and their launches from Python."""

from __future__ import annotations

import ctypes
import operator
import re
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from cuarray import _runtime
from cuarray._errors import LaunchError
from cuarray._kernel import arguments
from cuarray._kernel.arguments import Argument, Parameter
from cuarray._kernel.declarations import Declaration
from cuarray._runtime import glue

if TYPE_CHECKING:
    from cuarray._kernel.module import Module

# What the compiler notes of each overload that it did not take.
_CANDIDATE_NOTES = re.compile(r"note: candidate (?:template ignored: |function (?:template )?not viable: )(.*)")
_ERRORS = re.compile(r"error: (.*)")
_WEAK = "::ca::host::Weak"

_GRID_NAMES = ("x", "y", "z")


_RECORDS_LIMIT = 256  # launch configurations that an instance remembers


class Launch(NamedTuple):
    """What stands between the brackets: how many blocks, of how many threads, on which stream, shared bytes."""

    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    stream: int
    shared: int


def as_extents(value: Any, what: str) -> tuple[int, int, int]:
    """An int or up to three ints as grid or block extents."""
    parts = tuple(value) if isinstance(value, Sequence) else (value,)
    try:
        extents = tuple(operator.index(part) for part in parts)
    except TypeError:
        raise TypeError(f"{what} must be an int or a tuple of up to three ints, not {value!r}") from None
    if not 1 <= len(extents) <= 3:
        raise ValueError(f"{what} must have one to three extents, not {len(extents)}")
    return (*extents, 1, 1)[:3]  # type: ignore[return-value]


def check_launch(kernel: str, launch: Launch) -> None:
    """LaunchError, naming what is wrong, for a launch that no kernel could have on this device."""
    runtime = _runtime.get()
    for what, extents, limits in (
        ("grid", launch.grid, runtime.max_grid),
        ("block", launch.block, runtime.max_block),
    ):
        for axis, extent, limit in zip(_GRID_NAMES, extents, limits, strict=True):
            if not 1 <= extent <= limit:
                raise LaunchError(f"{kernel}: {what}.{axis} is {extent}; it must be between 1 and {limit}", 1)
    threads = launch.block[0] * launch.block[1] * launch.block[2]
    if threads > runtime.target.max_block_threads:
        raise LaunchError(
            f"{kernel}: block {launch.block} has {threads} threads; "
            f"the device allows {runtime.target.max_block_threads} threads a block",
            1,
        )
    if not 0 <= launch.shared <= runtime.max_shared_bytes:
        raise LaunchError(
            f"{kernel}: shared is {launch.shared} bytes; it must be between 0 and {runtime.max_shared_bytes}", 1
        )


class Instance:
    """One instance of a kernel, compiled for the device: `kernel.instances` lists them."""

    def __init__(self, name: str, function: int, parameters: tuple[Parameter, ...]) -> None:
        self.name = name
        self.function = function
        self.parameters = parameters
        offset = 0
        offsets = []
        for parameter in parameters:
            step = max(parameter.alignment, 8)
            offset = -(-offset // step) * step
            offsets.append(offset)
            offset += parameter.size
        self.offsets = tuple(offsets)
        self._records: dict[Launch, np.ndarray] = {}
        self.slot_words = -(-offset // 16) * 2 or 2
        self.slot_bytes = 8 * self.slot_words

    def __repr__(self) -> str:
        return f"<instance {self.name}>"

    def launch(self, launch: Launch, values: Sequence[Any]) -> None:
        """Launch with these arguments, already known to fit the parameters in number and kind."""
        runtime = _runtime.get()
        slots = bytearray(self.slot_bytes)
        for parameter, offset, value in zip(self.parameters, self.offsets, values, strict=True):
            data = parameter.pack(value)
            slots[offset : offset + len(data)] = data
        record = self._records.get(launch)
        if record is None:
            if len(self._records) >= _RECORDS_LIMIT:
                self._records.clear()
            record = glue.make_record(
                runtime.launcher, self.function, launch.grid, launch.block, launch.shared, self.offsets
            )
            self._records[launch] = record
        # The launch copies the arguments, so their buffer need only live until it returns.
        buffer = (ctypes.c_char * self.slot_bytes).from_buffer(slots)
        arguments_address = ctypes.addressof(buffer)
        record_address, stream = record.ctypes.data, launch.stream or runtime.stream
        result = glue.launch_user(record_address, stream, arguments_address)
        if result:
            runtime.launch_failed(
                result, self.name, lambda: glue.launch_user(record_address, stream, arguments_address)
            )


class Kernel:
    """A `__global__` function or function template of a module.

    ``kernel[grid, block](arguments...)`` launches it; template arguments that are not deduced from the arguments are
    given first: ``kernel["float", 256][grid, block](...)``.
    """

    def __init__(
        self, module: Module, declarations: tuple[Declaration, ...], template_arguments: tuple[str, ...] = ()
    ) -> None:
        self._module = module
        self._declarations = declarations
        self._template_arguments = template_arguments
        self._by_kinds: dict[tuple[Any, ...], Instance] = {}
        self._explicit: dict[tuple[str, ...], Kernel] = {}
        self._lock = threading.RLock()
        self.__name__ = declarations[0].name
        self.__doc__ = "\n".join(f"{d}\n\n{d.doc}".rstrip() for d in declarations)

    def __repr__(self) -> str:
        given = f"<{', '.join(self._template_arguments)}>" if self._template_arguments else ""
        return f"<kernel {self.__name__}{given} of {self._module.name}>"

    @property
    def instances(self) -> tuple[str, ...]:
        """The names of the instances that were used so far."""
        with self._lock:
            return tuple(dict.fromkeys(instance.name for instance in self._by_kinds.values()))

    def __getitem__(self, key: Any) -> Any:
        """`kernel[grid, block(, stream(, shared))]` to launch, `kernel[template arguments...]` to instantiate."""
        parts = key if isinstance(key, tuple) else (key,)
        if len(parts) >= 2 and isinstance(parts[0], int | np.integer | tuple | list):
            return Launcher(self, as_launch(self.__name__, parts))
        return self.template(*parts)

    def template(self, *template_arguments: Any) -> Kernel:
        """The kernel with its first template arguments given: dtypes, Python types, C++ names, constants."""
        if not any(d.template for d in self._declarations):
            raise TypeError(f"{self.__name__} is no template; launch it as {self.__name__}[grid, block](...)")
        given = self._template_arguments + tuple(arguments.template_argument(a) for a in template_arguments)
        with self._lock:
            if given not in self._explicit:
                self._explicit[given] = Kernel(self._module, self._declarations, given)
            return self._explicit[given]

    def __call__(self, *values: Any) -> None:
        raise TypeError(f"a kernel is launched on a grid of blocks: {self.__name__}[grid, block](...)")

    def __reduce__(self) -> Any:
        raise TypeError(
            f"kernel {self.__name__} cannot be pickled, and a function that launches it cannot be compiled with "
            "njit(cache=True): its compiled code lives in this process only"
        )

    # ---- instances
    def parameter_name(self, position: int) -> str:
        """How messages call an argument."""
        for declaration in self._declarations:
            if position < len(declaration.parameters):
                return declaration.parameters[position].name
        return str(position + 1)

    def check_count(self, count: int) -> None:
        """TypeError unless some overload takes this many arguments."""
        if not any(
            len(d.parameters) == count or (d.parameters and d.parameters[-1].pack and count >= len(d.parameters) - 1)
            for d in self._declarations
        ):
            wanted = " or ".join(str(len(d.parameters)) for d in self._declarations)
            raise TypeError(f"{self.__name__} takes {wanted} arguments, {count} were given: {self._signatures()}")

    def _signatures(self) -> str:
        return "; ".join(map(str, self._declarations))

    def instance(self, kinds: tuple[Any, ...]) -> Instance:
        """The instance that a call with arguments of these kinds means; compiled if it was not yet."""
        found = self._by_kinds.get(kinds)
        if found is None:
            with self._lock:
                found = self._by_kinds.get(kinds)
                if found is None:
                    found = self._resolve([arguments.describe_kind(kind) for kind in kinds])
                    self._by_kinds[kinds] = found
        return found

    def _resolve(self, given: list[Argument]) -> Instance:
        self.check_count(len(given))
        if len(self._declarations) == 1:
            self._check_shape(given)
        weak = frozenset(position for position, argument in enumerate(given) if argument.weak)
        types = [argument.cpp for argument in given]
        # Python scalars first follow the arrays; where nothing else says what they are, they are long and double.
        for mask in dict.fromkeys((weak, frozenset())):
            asked = [_WEAK if position in mask else cpp for position, cpp in enumerate(types)]
            for spelled in dict.fromkeys((tuple(asked), tuple(map(_long_long, asked)))):
                found = self._module.deduce(self._declarations, self._template_arguments, mask, spelled)
                if found is None:
                    continue
                name, words = found
                function = self._module.load(name, len(self._declarations) > 1)
                names = (self.parameter_name(position) for position in range(len(words)))
                parameters = tuple(
                    arguments.make_parameter(self.__name__, n, w) for n, w in zip(names, words, strict=True)
                )
                return Instance(name.short, function, parameters)
        said = self._module.explain(
            self._declarations, self._template_arguments, weak, [_WEAK if a.weak else a.cpp for a in given]
        )
        reasons = _CANDIDATE_NOTES.findall(said) or _ERRORS.findall(said)[:1]
        raise TypeError(
            f"{self.__name__}: no instance takes arguments of types ({', '.join(types)}). "
            f"It is declared as {self._signatures()}. The compiler says: {'; '.join(dict.fromkeys(reasons))}"
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


def _long_long(cpp: str) -> str:
    # int64 is long here; a kernel may as well have written long long, which is another type of the same size.
    return re.sub(r"long\*$", "long long*", cpp)


def as_launch(kernel: str, parts: Sequence[Any]) -> Launch:
    """The launch that is written `kernel[parts...]`, checked against the device."""
    if len(parts) > 4:
        raise TypeError(f"{kernel}[grid, block, stream, shared] takes at most four values, {len(parts)} were given")
    stream = 0
    if len(parts) > 2 and parts[2] is not None:
        stream = operator.index(getattr(parts[2], "handle", parts[2]))
    launch = Launch(
        as_extents(parts[0], "grid"),
        as_extents(parts[1], "block"),
        stream,
        operator.index(parts[3]) if len(parts) > 3 else 0,
    )
    check_launch(kernel, launch)
    return launch


class Launcher:
    """A kernel with its launch configuration, waiting for its arguments."""

    __slots__ = ("kernel", "launch")

    def __init__(self, kernel: Kernel, launch: Launch) -> None:
        self.kernel = kernel
        self.launch = launch

    def __repr__(self) -> str:
        return f"<launch of {self.kernel!r} on grid {self.launch.grid}, block {self.launch.block}>"

    def __call__(self, *values: Any) -> None:
        """Launch. The kernel is queued on the GPU; on the host it is done when the call returns."""
        kernel = self.kernel
        passed, kinds = [], []
        for position, value in enumerate(values):
            argument, kind = arguments.as_argument(value, kernel.__name__, kernel.parameter_name(position))
            passed.append(argument)
            kinds.append(kind)
        kernel.instance(tuple(kinds)).launch(self.launch, passed)
