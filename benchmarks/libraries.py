"""The libraries that are compared, each behind the same few functions; a library that is not there is absent.

A function that a library lacks raises NotImplementedError, from its namespace or from its adapter.
"""

from __future__ import annotations

import functools
import importlib.metadata
import os
import warnings
from collections.abc import Callable
from types import ModuleType
from typing import Any, NamedTuple

import ml_dtypes
import numpy as np

BFLOAT16 = np.dtype(ml_dtypes.bfloat16)


class AbsentError(Exception):
    """The library is not installed, or cannot run here."""


class Kernel(NamedTuple):
    """A `__global__` function of pointers, the same as a Python function for numba-cuda, and what it writes."""

    name: str
    source: str
    python: Callable[..., None]  # its global `cuda` is numba's
    expected: Callable[..., np.ndarray]  # in NumPy, of the inputs


class Namespace:
    """A library's functions under NumPy's names: the module's own, but for those that are called otherwise there."""

    def __init__(self, library: str, module: Any, **own: Any) -> None:
        self.__dict__.update(own, _library=library, _module=module)

    def __getattr__(self, name: str) -> Any:
        try:
            found = getattr(self._module, name)
        except AttributeError:
            raise NotImplementedError(f"{self._library} has no {name}") from None
        setattr(self, name, found)  # the next look-up is as quick as a module's
        return found


def _by_method(x: Any, dtype: Any) -> Any:
    return x.astype(dtype)


class Library:
    """NumPy, and what the others have in common with it."""

    name = "numpy"
    device = "cpu"
    in_order = False  # whether its work is in order with the default stream: events on that one measure it

    def __init__(self, on_gpu: bool) -> None:
        """`on_gpu`: whether cuarray is on a GPU; the others are put beside it where they can be."""
        self.version: str = np.__version__
        self.namespace = Namespace(
            self.name,
            np,
            astype=_by_method,
            bfloat16=BFLOAT16,
            topk=lambda x, k: np.sort(np.partition(x, -k)[-k:])[::-1],
        )

    def compile(self, body: Callable[..., Any], inputs: int) -> Callable[..., Any]:
        """The computation as a user of the library writes it, as a function of so many arrays."""
        return functools.partial(body, self.namespace)

    def to_device(self, x: np.ndarray) -> Any:
        """A copy of a NumPy array in memory of the library."""
        return x.copy()

    def another(self, x: Any) -> Any:
        """A copy of an array of the library's."""
        return x.copy()

    def to_numpy(self, x: Any) -> np.ndarray:
        """The values, as users get them; without a copy where the library can."""
        return np.asarray(x)

    def take_back(self, x: Any, host: np.ndarray) -> None:
        """Let `x` have the values of `host`, which came of `to_numpy(x)` and was changed since."""
        if not np.shares_memory(x, host):
            x[...] = host

    def synchronize(self) -> None:
        """Wait for all work given to the library so far."""

    def free(self) -> None:
        """Give back the memory that is kept for new arrays."""

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        """A function of the arrays that launches the kernel as users of the library do."""
        raise NotImplementedError(f"{self.name} has no kernels of one's own here")

    def with_precision(self, precision: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """`function`, with its products of float32 matrices computed in "tf32" or "tf32x3"; or more precisely."""
        return function

    def dense_relu(self) -> Callable[..., Any]:
        """relu(a @ b + c) as a user of the library writes it."""
        return lambda a, b, c: self.namespace.maximum(a @ b + c, 0)

    def capture(self, work: Callable[[], Any]) -> Callable[[], Any]:
        """A function that launches what `work` does as a graph."""
        raise NotImplementedError(f"{self.name} has no graphs here")


class CuArray(Library):
    name = "cuarray"

    def __init__(self, on_gpu: bool) -> None:
        import cuarray

        self.module, self.version = cuarray, cuarray.__version__
        self.namespace = Namespace(self.name, cuarray, astype=_by_method, topk=lambda x, k: cuarray.topk(x, k).values)
        self.device, self.in_order = ("gpu", True) if on_gpu else ("cpu", False)

    def to_device(self, x: np.ndarray) -> Any:
        return self.module.array(x)

    def take_back(self, x: Any, host: np.ndarray) -> None:
        pass  # it is the same memory

    def synchronize(self) -> None:
        self.module.cuda.synchronize()

    def free(self) -> None:
        self.module.cuda.trim()

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        function = getattr(self.module.cudadef(kernel.source, name=kernel.name), kernel.name)
        return lambda *arrays: function[grid, block](*arrays)

    def with_precision(self, precision: str, function: Callable[..., Any]) -> Callable[..., Any]:
        chosen = self.module.matmul_precision

        def call(*arrays: Any) -> Any:
            with chosen(precision):
                return function(*arrays)

        return call

    def dense_relu(self) -> Callable[..., Any]:
        gemm = self.module.linalg.gemm
        return lambda a, b, c: gemm(a, b, c, epilogue="relu")

    def capture(self, work: Callable[[], Any]) -> Callable[[], Any]:
        work()  # what is compiled and loaded is so before the capture
        with self.module.cuda.graph() as graph:
            work()
        return graph.launch


class CuPy(Library):
    name = "cupy"
    device = "gpu"
    in_order = True

    def __init__(self, on_gpu: bool) -> None:
        if not on_gpu:
            raise AbsentError("cuarray is on the CPU, and cupy is for GPUs only")
        try:
            import cupy

            cupy.cuda.runtime.getDeviceCount()
        except Exception as error:  # ImportError, or an error of CUDA of a type that only cupy knows
            raise AbsentError(str(error)) from error
        self.module, self.version = cupy, cupy.__version__
        self.namespace = Namespace(
            self.name, cupy, astype=_by_method, topk=lambda x, k: cupy.sort(cupy.partition(x, -k)[-k:])[::-1]
        )

    def to_device(self, x: np.ndarray) -> Any:
        try:
            return self.module.array(x)
        except (TypeError, ValueError) as error:
            if x.dtype == BFLOAT16:  # not in all versions
                raise NotImplementedError(str(error)) from error
            raise

    def to_numpy(self, x: Any) -> np.ndarray:
        return self.module.asnumpy(x)

    def take_back(self, x: Any, host: np.ndarray) -> None:
        x.set(host)

    def synchronize(self) -> None:
        self.module.cuda.Device().synchronize()

    def free(self) -> None:
        self.module.get_default_memory_pool().free_all_blocks()
        self.module.get_default_pinned_memory_pool().free_all_blocks()

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        function = self.module.RawKernel(f'extern "C" {kernel.source}', kernel.name)
        return lambda *arrays: function((grid,), (block,), arrays)

    def capture(self, work: Callable[[], Any]) -> Callable[[], Any]:
        stream = self.module.cuda.Stream(non_blocking=True)
        with stream:
            work()
            stream.synchronize()
            stream.begin_capture()
            work()
            graph = stream.end_capture()
        return graph.launch


class Torch(Library):
    name = "torch"

    def __init__(self, on_gpu: bool) -> None:
        try:
            import torch
        except ImportError as error:
            raise AbsentError(str(error)) from error
        if on_gpu and not torch.cuda.is_available():
            raise AbsentError("cuarray is on the GPU, and this torch has none")
        torch.set_float32_matmul_precision("highest")  # no TF32: the same precision for all
        self.module, self.version = torch, torch.__version__
        self.device, self.in_order = ("gpu", True) if on_gpu else ("cpu", False)
        self._place = torch.device("cuda" if on_gpu else "cpu")

        def over_all(function: Callable[..., Any], **always: Any) -> Callable[..., Any]:
            # Where there is no axis, some of torch's functions want no argument for it.
            def call(x: Any, axis: Any = None) -> Any:
                return function(x, **always) if axis is None else function(x, dim=axis, **always)

            return call

        self.namespace = Namespace(
            self.name,
            torch,
            astype=lambda x, dtype: x.to(dtype),
            copy=torch.clone,
            rint=torch.round,
            sum=over_all(torch.sum),
            max=over_all(torch.amax),
            mean=over_all(torch.mean),
            var=over_all(torch.var, correction=0),
            all=over_all(torch.all),
            argmax=over_all(torch.argmax),
            cumsum=lambda x: torch.cumsum(x, 0),
            sort=lambda x: torch.sort(x).values,
            topk=lambda x, k: torch.topk(x, k).values,
            empty=functools.partial(torch.empty, device=self._place),
            zeros=functools.partial(torch.zeros, device=self._place),
            asarray=functools.partial(torch.asarray, device=self._place),
        )

    def to_device(self, x: np.ndarray) -> Any:
        torch = self.module
        if x.dtype == BFLOAT16:
            return torch.tensor(x.view(np.int16), device=self._place).view(torch.bfloat16)
        return torch.tensor(x, device=self._place)

    def another(self, x: Any) -> Any:
        return x.clone()

    def to_numpy(self, x: Any) -> np.ndarray:
        if x.dtype == self.module.bfloat16:
            return x.contiguous().view(self.module.int16).cpu().numpy().view(BFLOAT16)
        return x.cpu().numpy()

    def take_back(self, x: Any, host: np.ndarray) -> None:
        x.copy_(self.module.from_numpy(host))

    def synchronize(self) -> None:
        if self.in_order:
            self.module.cuda.synchronize()

    def free(self) -> None:
        if self.in_order:
            self.module.cuda.empty_cache()

    def with_precision(self, precision: str, function: Callable[..., Any]) -> Callable[..., Any]:
        if precision != "tf32":
            return function
        settings = self.module.backends.cuda.matmul

        def call(*arrays: Any) -> Any:
            settings.allow_tf32 = True
            try:
                return function(*arrays)
            finally:
                settings.allow_tf32 = False

        return call

    def dense_relu(self) -> Callable[..., Any]:
        relu = self.module.relu
        return lambda a, b, c: relu(a @ b + c)

    def capture(self, work: Callable[[], Any]) -> Callable[[], Any]:
        if not self.in_order:
            return super().capture(work)
        cuda = self.module.cuda
        work()
        graph = cuda.CUDAGraph()
        with cuda.graph(graph):
            work()
        return graph.replay


class Jax(Library):
    """Every computation is one `jax.jit`, as JAX's users write; its streams are its own, so the wall clock measures."""

    name = "jax"

    def __init__(self, on_gpu: bool) -> None:
        os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # else it takes most of the GPU's memory
        try:
            import jax
        except ImportError as error:
            raise AbsentError(str(error)) from error
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_cpu_enable_async_dispatch", False)
        if on_gpu and jax.default_backend() != "gpu":
            raise AbsentError("cuarray is on the GPU, and this jax has none")
        self.module, self.version = jax, jax.__version__
        self.device = "gpu" if on_gpu else "cpu"
        self._place = jax.devices("gpu" if on_gpu else "cpu")[0]
        self._last: Any = None
        self.namespace = Namespace(self.name, jax.numpy, astype=_by_method, topk=lambda x, k: jax.lax.top_k(x, k)[0])

    def compile(self, body: Callable[..., Any], inputs: int) -> Callable[..., Any]:
        eager = functools.partial(body, self.namespace)
        jitted = self.module.jit(eager)
        chosen = None

        def call(*arrays: Any) -> Any:
            nonlocal chosen
            if chosen is None:
                try:
                    jitted(*arrays)
                    chosen = jitted
                except (TypeError, IndexError):  # results whose shape depends on values
                    chosen = eager
            self._last = result = chosen(*arrays)
            return result

        return call

    def to_device(self, x: np.ndarray) -> Any:
        self._last = self.module.numpy.array(x, device=self._place)
        return self._last

    def synchronize(self) -> None:
        if self._last is not None:
            self.module.block_until_ready(self._last)

    def free(self) -> None:
        self._last = None


class Numba(Library):
    """NumPy's expressions in `njit(parallel=True)`."""

    name = "numba"

    def __init__(self, on_gpu: bool) -> None:
        super().__init__(on_gpu)
        import numba

        self.module, self.version = numba, numba.__version__

    def compile(self, body: Callable[..., Any], inputs: int) -> Callable[..., Any]:
        numba = self.module
        inner = numba.njit(body, inline="always")
        # Written out, since numba's parallel loops are not for *arrays.
        bodies: dict[int, Callable[..., Any]] = {
            0: lambda: inner(np),
            1: lambda a: inner(np, a),
            2: lambda a, b: inner(np, a, b),
            3: lambda a, b, c: inner(np, a, b, c),
        }
        jitted = numba.njit(bodies[inputs], parallel=True)
        errors = numba.core.errors

        def first(*arrays: Any) -> Any:
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore", errors.NumbaPerformanceWarning)  # not all can be parallel
                    return jitted(*arrays)
            except (errors.NumbaError, AssertionError, AttributeError, TypeError) as error:
                why = (str(error).splitlines() or [type(error).__name__])[0]
                raise NotImplementedError(f"numba cannot do this: {why}") from error

        return _checked_once(first, jitted)


def find_numba_cuda() -> Any:
    """The module; AbsentError where it finds no GPU."""
    try:
        from numba import cuda

        available = cuda.is_available()
    except Exception as error:
        raise AbsentError(str(error)) from error
    if not available:
        raise AbsentError("numba-cuda finds no GPU")
    return cuda


class NumbaCuda(Library):
    """Kernels written in Python."""

    name = "numba-cuda"
    device = "gpu"
    in_order = True

    def __init__(self, on_gpu: bool) -> None:
        if not on_gpu:
            raise AbsentError("cuarray is on the CPU")
        self.module, self.version = find_numba_cuda(), importlib.metadata.version("numba-cuda")
        self.namespace = Namespace(self.name, ModuleType("no functions"))

    def compile(self, body: Callable[..., Any], inputs: int) -> Callable[..., Any]:
        raise NotImplementedError("numba-cuda has kernels only")

    def to_device(self, x: np.ndarray) -> Any:
        return self.module.to_device(x)

    def another(self, x: Any) -> Any:
        return self.module.to_device(x)

    def to_numpy(self, x: Any) -> np.ndarray:
        return x.copy_to_host()

    def synchronize(self) -> None:
        self.module.synchronize()

    def launcher(self, kernel: Kernel, grid: int, block: int) -> Callable[..., Any]:
        function = self.module.jit(kernel.python)
        return lambda *arrays: function[grid, block](*arrays)


class Expression:
    """Writes down what is computed, as text for numexpr."""

    def __init__(self, text: str) -> None:
        self.text = text


def _operator(name: str, sign: str) -> None:
    def write(left: Any, right: Any) -> Expression:
        return Expression(f"({_text(left)} {sign} {_text(right)})")

    setattr(Expression, f"__{name}__", write)
    setattr(Expression, f"__r{name}__", lambda right, left: write(left, right))


def _text(value: Any) -> str:
    if isinstance(value, Expression):
        return value.text
    if isinstance(value, (int, float)):
        return repr(value)
    raise NotImplementedError(f"numexpr cannot take a {type(value).__name__}")


for _name, _sign in {"add": "+", "sub": "-", "mul": "*", "truediv": "/", "pow": "**", "mod": "%"}.items():
    _operator(_name, _sign)
for _name, _sign in {"lt": "<", "gt": ">", "le": "<=", "ge": ">="}.items():
    _operator(_name, _sign)
Expression.__neg__ = lambda self: Expression(f"(-{self.text})")


class _Functions:
    """numexpr's functions, by NumPy's names."""

    OWN = "sqrt exp expm1 log log10 log1p sin cos tan arcsin arccos arctan arctan2 sinh cosh tanh floor ceil where"
    NAMES = {name: name for name in OWN.split()} | {"absolute": "abs"}
    SIGNS = {"add": "+", "subtract": "-", "multiply": "*", "divide": "/", "power": "**", "less": "<"}

    def __getattr__(self, name: str) -> Callable[..., Expression]:
        if name in self.SIGNS:
            return lambda a, b: Expression(f"({_text(a)} {self.SIGNS[name]} {_text(b)})")
        if name not in self.NAMES:
            raise NotImplementedError(f"numexpr has no {name}")
        return lambda *values: Expression(f"{self.NAMES[name]}({', '.join(map(_text, values))})")


class Numexpr(Library):
    """Expressions as text, made of the same bodies."""

    name = "numexpr"

    def __init__(self, on_gpu: bool) -> None:
        super().__init__(on_gpu)
        try:
            import numexpr
        except ImportError as error:
            raise AbsentError(str(error)) from error
        self.module, self.version = numexpr, numexpr.__version__

    def compile(self, body: Callable[..., Any], inputs: int) -> Callable[..., Any]:
        names = "abc"[:inputs]
        try:
            written = body(_Functions(), *map(Expression, names))
        except (AttributeError, TypeError) as error:  # methods and indices of an Expression
            raise NotImplementedError(f"numexpr cannot say this: {error}") from error
        text, evaluate = _text(written), self.module.evaluate

        def call(*arrays: Any) -> Any:
            return evaluate(text, dict(zip(names, arrays)), {})

        def first(*arrays: Any) -> Any:
            try:
                return call(*arrays)
            except (ValueError, NotImplementedError) as error:  # an unknown type
                raise NotImplementedError(f"numexpr cannot say this: {error}") from error

        return _checked_once(first, call)


class Bare(Library):
    """Nothing but the driver's calls: floors for those of the libraries. In cases that say how (`Case.bare`)."""

    name = "bare"

    def __init__(self, on_gpu: bool) -> None:
        self._cuarray = CuArray(on_gpu)
        self.namespace, self.version = self._cuarray.namespace, self._cuarray.version
        self.device, self.in_order = self._cuarray.device, self._cuarray.in_order
        self.to_device, self.to_numpy = self._cuarray.to_device, self._cuarray.to_numpy
        self.synchronize = self._cuarray.synchronize


def _checked_once(first: Callable[..., Any], then: Callable[..., Any]) -> Callable[..., Any]:
    """`first` in the first call, which looks for errors, and `then` in the others."""
    chosen = first

    def call(*arrays: Any) -> Any:
        nonlocal chosen
        result = chosen(*arrays)
        chosen = then
        return result

    return call


LIBRARIES = {library.name: library for library in (CuArray, Library, CuPy, Torch, Jax, Numba, Numexpr, NumbaCuda)}
