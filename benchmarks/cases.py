"""What is measured: one row a case. The family before the slash says what a case is about."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import Any

import numba
import numpy as np
from numba import cuda  # the kernels' global

from benchmarks import products, startup
from benchmarks.case import BFLOAT16, FLOAT32, Arrays, Call, Case, Shape
from benchmarks.libraries import Kernel, Library

SMALL = 1000
LARGE, LARGE_CPU = 2**28, 10**6
THREADS = 256  # a block's, in kernel cases

FLOAT16, FLOAT64, INT32 = np.dtype("float16"), np.dtype("float64"), np.dtype("int32")
DTYPES = (
    *map(np.dtype, ("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64")),
    *(FLOAT16, BFLOAT16, FLOAT32, FLOAT64, np.dtype("complex64"), np.dtype("complex128")),
)


# ---- shapes, of the size


def _vectors(count: int) -> Callable[[int], tuple[Shape, ...]]:
    return lambda n: ((n,),) * count


def _matrices(count: int) -> Callable[[int], tuple[Shape, ...]]:
    return lambda n: ((math.isqrt(n), math.isqrt(n)),) * count


def _with_row(n: int) -> tuple[Shape, ...]:
    return (math.isqrt(n), math.isqrt(n)), (math.isqrt(n),)


def _with_column(n: int) -> tuple[Shape, ...]:
    return (math.isqrt(n), math.isqrt(n)), (math.isqrt(n), 1)


def _each(*shapes: Shape) -> int:
    return math.prod(shapes[0])


# ---- dispatch: 1000 elements, nearly all of it is the way from Python to the launch


def _loop_in_njit(library: Library, x: Any, y: Any) -> Call:
    if library.name != "cuarray":
        raise NotImplementedError("operations on arrays of the device in njit")

    @numba.njit
    def loop(x, y, count):
        for _ in range(count):
            out = x + y
        return out

    return Call(lambda x, y: loop(x, y, REPEATED))


def _graph(library: Library, x: Any, y: Any) -> Call:
    out, add = library.to_device(np.zeros(x.shape, FLOAT32)), library.namespace.add

    def work() -> None:
        for _ in range(REPEATED):
            add(x, y, out=out)

    launch = library.capture(work)

    def call(_x: Any, _y: Any) -> Any:
        launch()
        return out

    return Call(call)


def _add_in_place(xp: Any, x: Any, y: Any) -> Any:
    x += y
    return x


def _bare_launches(count: int) -> Callable[..., Call]:
    """A kernel of 32 threads, launched from compiled code with arguments that lie ready."""

    def make(_library: Library, *_arrays: Any) -> Call:
        from benchmarks import launch

        way = launch.bare_way()
        way.run(1)
        way.synchronize()
        np.testing.assert_array_equal(way.result(), np.add(*launch.inputs()))
        return Call(lambda *_arrays: way.run(count))

    return make


REPEATED = 100

DISPATCH: dict[str, tuple[Callable[..., Any], Callable[[int], tuple[Shape, ...]]]] = {
    "add": (lambda xp, a, b: a + b, _vectors(2)),
    "add_scalar": (lambda xp, a: a + 1, _vectors(1)),
    "negative": (lambda xp, a: -a, _vectors(1)),
    "less": (lambda xp, a, b: a < b, _vectors(2)),
    "sum": (lambda xp, a: a.sum(), _vectors(1)),
    "max": (lambda xp, a: a.max(), _vectors(1)),
    "sum_axis0": (lambda xp, a: a.sum(axis=0), lambda n: ((n // 10, 10),)),
    "slice": (lambda xp, a: a[1:], _vectors(1)),
    "transpose": (lambda xp, a: a.T, lambda n: ((n // 10, 10),)),
    "reshape": (lambda xp, a: a.reshape((-1, 10)), _vectors(1)),
    "add_strided": (lambda xp, a, b: a[::2] + b[::2], _vectors(2)),
    "add_row": (lambda xp, a, row: a + row, lambda n: ((n // 10, 10), (10,))),
    "exp": (lambda xp, a: xp.exp(a), _vectors(1)),
    "where": (lambda xp, a, b: xp.where(a < b, a, b), _vectors(2)),
    "astype": (lambda xp, a: xp.astype(a, xp.float64), _vectors(1)),
    "matmul": (lambda xp, a, b: a @ b, lambda n: ((32, 32), (32, 32))),
    "zeros": (lambda xp: xp.zeros(SMALL, dtype=xp.float32), lambda n: ()),
    "empty": (lambda xp: xp.empty(SMALL, dtype=xp.float32), lambda n: ()),
    "concatenate": (lambda xp, a, b: xp.concatenate((a, b)), _vectors(2)),
    "argmax": (lambda xp, a: a.argmax(), _vectors(1)),
    "cumsum": (lambda xp, a: a.cumsum(0), _vectors(1)),
    "copy": (lambda xp, a: xp.copy(a), _vectors(1)),
}


def _same_shape(_arrays: Arrays, result: np.ndarray) -> None:
    assert result.shape == (SMALL,) and result.dtype == FLOAT32, f"{result.dtype}, {result.shape}"


def _dispatch() -> Iterable[Case]:
    common: dict[str, Any] = {"size": SMALL, "cpu_size": SMALL, "wall": True, "rotate": False}
    for name, (body, shapes) in DISPATCH.items():
        yield Case(
            f"dispatch/{name}", body, shapes, **common,
            result=FLOAT64 if name == "astype" else None,
            verify=_same_shape if name == "empty" else _argmax_is_right(None) if name == "argmax" else None,
            accuracy=1000 if name in ("sum", "sum_axis0", "cumsum", "matmul") else 32,
        )  # fmt: skip
    yield Case("dispatch/add_in_place", _add_in_place, _vectors(2), **common, mutates=True)
    several: dict[str, Any] = common | {"body": lambda xp, a, b: a + b, "shapes": _vectors(2), "operations": REPEATED}
    yield Case("dispatch/njit_loop", **several, make=_loop_in_njit, bare=_bare_launches(REPEATED))
    yield Case("dispatch/graph", **several, make=_graph)


# ---- elementwise: limited by memory, or by the functions' arithmetic

OPERATIONS: dict[str, tuple[Callable[..., Any], str]] = {
    "add": (lambda xp, a, b: a + b, "unit"),
    "subtract": (lambda xp, a, b: a - b, "unit"),
    "multiply": (lambda xp, a, b: a * b, "unit"),
    "divide": (lambda xp, a, b: a / b, "unit"),
    "power": (lambda xp, a, b: a**b, "unit"),
    "maximum": (lambda xp, a, b: xp.maximum(a, b), "wide"),
    "minimum": (lambda xp, a, b: xp.minimum(a, b), "wide"),
    "hypot": (lambda xp, a, b: xp.hypot(a, b), "unit"),
    "arctan2": (lambda xp, a, b: xp.arctan2(a, b), "unit"),
    "less": (lambda xp, a, b: a < b, "wide"),
    "where": (lambda xp, a, b: xp.where(a < b, a, b), "wide"),
    "multiply_add": (lambda xp, a, b: 2.5 * a + b, "unit"),
    "add_scalar": (lambda xp, a: a + 1, "unit"),
    "scale": (lambda xp, a: 2.5 * a, "unit"),
    "negative": (lambda xp, a: -a, "wide"),
    "absolute": (lambda xp, a: xp.absolute(a), "wide"),
    "square": (lambda xp, a: a * a, "unit"),
    "cube": (lambda xp, a: a**3, "unit"),
    "reciprocal": (lambda xp, a: 1 / a, "unit"),
    "sqrt": (lambda xp, a: xp.sqrt(a), "unit"),
    "exp": (lambda xp, a: xp.exp(a), "unit"),
    "exp2": (lambda xp, a: xp.exp2(a), "unit"),
    "expm1": (lambda xp, a: xp.expm1(a), "unit"),
    "log": (lambda xp, a: xp.log(a), "unit"),
    "log2": (lambda xp, a: xp.log2(a), "unit"),
    "log10": (lambda xp, a: xp.log10(a), "unit"),
    "log1p": (lambda xp, a: xp.log1p(a), "unit"),
    "sin": (lambda xp, a: xp.sin(a), "wide"),
    "cos": (lambda xp, a: xp.cos(a), "wide"),
    "tan": (lambda xp, a: xp.tan(a), "unit"),
    "arcsin": (lambda xp, a: xp.arcsin(a), "unit"),
    "arctan": (lambda xp, a: xp.arctan(a), "wide"),
    "sinh": (lambda xp, a: xp.sinh(a), "unit"),
    "cosh": (lambda xp, a: xp.cosh(a), "unit"),
    "tanh": (lambda xp, a: xp.tanh(a), "wide"),
    "floor": (lambda xp, a: xp.floor(a), "wide"),
    "rint": (lambda xp, a: xp.rint(a), "wide"),
    "sign": (lambda xp, a: xp.sign(a), "wide"),
    "clip": (lambda xp, a: xp.clip(a, -1, 1), "wide"),
    "isfinite": (lambda xp, a: xp.isfinite(a), "wide"),
}
BINARY = 12  # the first ones have two operands
ON_GPU = ("divide", "exp", "sin", "tanh")  # the others are limited by memory there, as add is

CONVERSIONS = (
    "float32 float64", "float64 float32", "float32 float16", "float16 float32", "float32 bfloat16", "bfloat16 float32",
    "int32 float32", "float32 int32", "int32 int64", "int64 float64", "uint8 float32", "bool float32",
)  # fmt: skip


def _device_copy(library: Library, x: Any) -> Call:
    """The driver's copy from memory of the device to memory of the device."""
    from cuarray._cuda_calls import call as driver

    out = library.namespace.empty(x.shape, dtype=x.dtype)

    def call(x: Any) -> Any:
        driver("cuMemcpyAsync", out.pointer, x.pointer, x.nbytes, 0)
        return out

    return Call(call)


def _cast(name: str) -> Callable[..., Any]:
    return lambda xp, a: xp.astype(a, getattr(xp, name))


def _elementwise() -> Iterable[Case]:
    add: dict[str, Any] = {"body": OPERATIONS["add"][0], "shapes": _vectors(2), "flops": _each, "periodic": True}
    yield Case(
        "elementwise/copy", lambda xp, a: xp.copy(a), _vectors(1), LARGE, LARGE_CPU, periodic=True, bare=_device_copy
    )
    for dtype in DTYPES:
        size = LARGE if dtype.itemsize <= 8 else LARGE // 2
        yield Case("elementwise/add", size=size, cpu_size=LARGE_CPU, dtype=dtype, **add)
    for power in range(10, 28, 2):
        yield Case("elementwise/add", size=2**power, cpu_size=2**power if power <= 24 else None, **add)
    for number, (name, (body, values)) in enumerate(OPERATIONS.items()):
        if name == "add":
            continue  # above
        for dtype in (FLOAT32, FLOAT64):
            size = LARGE if name in ON_GPU and dtype == FLOAT32 else None
            shapes = _vectors(2 if number < BINARY else 1)
            yield Case(
                f"elementwise/{name}", body, shapes, size, LARGE_CPU, dtype, values=values, periodic=True, flops=_each
            )
    layout: dict[str, Any] = {"size": LARGE, "cpu_size": 1000**2, "periodic": True, "flops": _each}
    half = layout | {"flops": lambda *shapes: _each(*shapes) // 2, "read": 0.5}
    yield Case("elementwise/strided_add", lambda xp, a, b: a[::2] + b[::2], _vectors(2), **half)
    yield Case("elementwise/row_add", lambda xp, a, row: a + row, _with_row, **layout)
    yield Case("elementwise/column_add", lambda xp, a, column: a + column, _with_column, **layout)
    yield Case("elementwise/transposed_add", lambda xp, a, b: a + b.T, _matrices(2), **layout)
    yield Case("elementwise/transposed_copy", lambda xp, a: xp.copy(a.T), _matrices(1), **layout)
    yield Case(
        "elementwise/where_mask", lambda xp, mask, a, b: xp.where(mask, a, b), _vectors(3), **layout,
        dtypes=(np.dtype(bool), FLOAT32, FLOAT32),
    )  # fmt: skip
    for pair in CONVERSIONS:
        first, then = (BFLOAT16 if name == "bfloat16" else np.dtype(name) for name in pair.split())
        name = f"elementwise/astype_{pair.split()[1]}"
        yield Case(name, _cast(pair.split()[1]), _vectors(1), **layout, dtype=first, result=then, values="wide")


# ---- reductions


def _argmax_is_right(axis: int | None) -> Callable[[Arrays, np.ndarray], None]:
    """Which of several equal maxima is found differs between libraries."""

    def verify(arrays: Arrays, result: np.ndarray) -> None:
        (x,) = arrays
        maxima = x.max(axis=axis)
        assert result.shape == maxima.shape and result.dtype.kind in "iu", f"{result.dtype}, {result.shape}"
        if axis is None:
            found = x.reshape(-1)[result]
        else:
            found = np.take_along_axis(x, np.expand_dims(result, axis).astype(np.int64), axis).squeeze(axis)
        np.testing.assert_array_equal(found, maxima)

    return verify


Axis = int | tuple[int, ...] | None

# Name, extents of the size, axis, size on a GPU, size on the CPU
REDUCED: tuple[tuple[str, Callable[[int], Shape], Axis, int, int], ...] = (
    ("1d", lambda n: (n,), None, 1000, 1000),
    ("1d", lambda n: (n,), None, 10**6, 10**6),
    ("1d", lambda n: (n,), None, LARGE, 2**24),
    ("square_all", lambda n: (math.isqrt(n),) * 2, None, LARGE, 2**22),
    ("square_axis0", lambda n: (math.isqrt(n),) * 2, 0, LARGE, 2**22),
    ("square_axis1", lambda n: (math.isqrt(n),) * 2, 1, LARGE, 2**22),
    ("wide_axis0", lambda n: (10, n // 10), 0, 10 * 2**24, 10 * 2**18),
    ("wide_axis1", lambda n: (10, n // 10), 1, 10 * 2**24, 10 * 2**18),
    ("tall_axis0", lambda n: (n // 10, 10), 0, 10 * 2**24, 10 * 2**18),
    ("tall_axis1", lambda n: (n // 10, 10), 1, 10 * 2**24, 10 * 2**18),
    ("cube_axis1", lambda n: (round(n ** (1 / 3)),) * 3, 1, 256**3, 160**3),
    ("cube_axis02", lambda n: (round(n ** (1 / 3)),) * 3, (0, 2), 256**3, 160**3),
)


def _reduce(name: str, axis: Axis) -> Callable[..., Any]:
    bodies: dict[str, Callable[..., Any]] = {
        "sum": lambda xp, a: xp.sum(a, axis=axis),
        "mean": lambda xp, a: xp.mean(a, axis=axis),
        "max": lambda xp, a: xp.max(a, axis=axis),
        "var": lambda xp, a: xp.var(a, axis=axis),
        "all": lambda xp, a: xp.all(a, axis=axis),
        "argmax": lambda xp, a: xp.argmax(a, axis=axis),
    }
    return bodies[name]


def _reduction() -> Iterable[Case]:
    for shape, extents, axis, size, cpu_size in REDUCED:
        for name in ("sum", "mean", "max", "var", "all", "argmax"):
            if name == "argmax" and isinstance(axis, tuple):
                continue  # NumPy has none
            accuracy = 2**14 if shape == "tall_axis0" else 2**9  # NumPy adds rows one by one
            yield Case(
                f"reduction/{name}_{shape}", _reduce(name, axis), lambda n, extents=extents: (extents(n),),
                size, cpu_size, flops=_each, accuracy=accuracy,
                verify=_argmax_is_right(axis) if name == "argmax" else None,
            )  # fmt: skip


# ---- scans, sorting and selection


def _argsort_is_right(arrays: Arrays, result: np.ndarray) -> None:
    (x,) = arrays
    np.testing.assert_array_equal(np.bincount(result, minlength=x.size), np.ones(x.size, int))  # a permutation
    np.testing.assert_array_equal(x[result], np.sort(x))


def _scan() -> Iterable[Case]:
    rows: tuple[tuple[str, Callable[..., Any], dict[str, Any]], ...] = (
        ("cumsum", lambda xp, a: xp.cumsum(a), {"accuracy": 2**16}),
        ("sort", lambda xp, a: xp.sort(a), {}),
        ("sort", lambda xp, a: xp.sort(a), {"dtype": INT32, "values": "few"}),
        ("argsort", lambda xp, a: xp.argsort(a), {"verify": _argsort_is_right}),
        ("unique", lambda xp, a: xp.unique(a), {"dtype": INT32, "values": "few"}),
        ("select", lambda xp, a: a[a > 0.5], {}),
        ("topk", lambda xp, a: xp.topk(a, 100), {}),
    )
    for size, cpu_size in ((2**24, None), (10**6, 10**6)):
        for name, body, more in rows:
            yield Case(f"scan/{name}", body, _vectors(1), size, cpu_size, **more)


# ---- transfer: between the device and NumPy


def _touched(host: np.ndarray) -> np.ndarray:
    """After an element of each page was read: only then is the memory really there."""
    host.reshape(-1)[::1024].sum()
    return host


def _to_numpy(library: Library, x: Any) -> Call:
    made: list[Any] = []

    def prepare() -> None:
        made[:] = [library.namespace.add(x, 1)]

    def call(_x: Any) -> np.ndarray:
        return _touched(library.to_numpy(made[0]))

    return Call(call, prepare)


def _from_numpy(library: Library, x: Any) -> Call:
    host = np.array(library.to_numpy(x))
    return Call(lambda _x: library.to_device(host))


def _take_back(library: Library, x: Any) -> Call:
    """The CPU changes what it was given of an array, then the device computes with it."""
    hosts: list[np.ndarray] = []

    def prepare() -> None:
        host = library.to_numpy(x)
        if not host.flags.writeable:
            raise NotImplementedError(f"{library.name}'s arrays are not written to")
        host.reshape(-1)[::1024] += 1
        hosts[:] = [host]

    def call(_x: Any) -> Any:
        library.take_back(x, hosts[0])
        return library.namespace.add(x, 1)

    return Call(call, prepare)


def _changed_plus_one(x: np.ndarray) -> np.ndarray:
    result = x + 1
    result[::1024] += 1
    return result


def _transfer() -> Iterable[Case]:
    plus_one: dict[str, Any] = {"body": lambda xp, a: a + 1, "shapes": _vectors(1), "wall": True, "rotate": False}
    same: dict[str, Any] = plus_one | {"body": lambda xp, a: a}
    large: dict[str, Any] = {"size": LARGE, "cpu_size": None, "periodic": True}
    small: dict[str, Any] = {"size": SMALL, "cpu_size": SMALL}
    once: dict[str, Any] = {"read": 0, "result": FLOAT32}  # bytes that cross between device and host
    yield Case("transfer/to_numpy", **plus_one, **large, **once, make=_to_numpy)
    yield Case("transfer/from_numpy", **same, **large, **once, make=_from_numpy)
    yield Case("transfer/take_back", **plus_one, **large, **once, make=_take_back,
               expected=_changed_plus_one, mutates=True)  # fmt: skip
    yield Case("transfer/to_numpy_small", **plus_one, **small, **once, make=_to_numpy)
    yield Case("transfer/from_numpy_small", **same, **small, **once, make=_from_numpy)
    yield Case("transfer/item", lambda xp, a: a[0].item(), _vectors(1), 1000, 1000, wall=True, rotate=False)


# ---- expressions, and kernels of one's own


def _gauss(xp: Any, a: Any, b: Any) -> Any:
    return xp.exp(-a * a) * b + xp.log(1 + a)


def _polynomial(xp: Any, a: Any, b: Any) -> Any:
    return ((a * b + 1) * a + 2) * b + 3


ONE = np.float32(1)  # an int would make it float64


def _gauss_kernel(a, b, out):
    i = cuda.grid(1)
    if i < out.size:
        out[i] = math.exp(-a[i] * a[i]) * b[i] + math.log(ONE + a[i])


def _add_kernel(x, y, out):
    i = cuda.grid(1)
    out[i] = x[i] + y[i]


GAUSS = Kernel(
    "gauss",
    """__global__ void gauss(const float* a, const float* b, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = expf(-a[i] * a[i]) * b[i] + logf(1 + a[i]);
}
""",
    _gauss_kernel,
    lambda a, b, _out: _gauss(np, a, b),
)
ADD = Kernel(
    "add_arrays",
    """__global__ void add_arrays(const float* x, const float* y, float* out) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  out[i] = x[i] + y[i];
}
""",
    _add_kernel,
    lambda x, y, _out: x + y,
)


def _launched(kernel: Kernel) -> Callable[..., Call]:
    """A thread an element; the size is a multiple of a block's."""

    def make(library: Library, x: Any, y: Any, out: Any) -> Call:
        launch = library.launcher(kernel, x.shape[0] // THREADS, THREADS)

        def call(x: Any, y: Any, out: Any) -> Any:
            launch(x, y, out)
            return out

        return Call(call)

    return make


def _launched_in_njit(library: Library, x: Any, y: Any, out: Any) -> Call:
    if library.name != "cuarray":
        raise NotImplementedError("launches from njit")
    kernel, blocks = library.namespace.cudadef(ADD.source, name="njit").add_arrays, x.shape[0] // THREADS

    @numba.njit
    def loop(x, y, out, count):
        for _ in range(count):
            kernel[blocks, THREADS](x, y, out)

    def call(x: Any, y: Any, out: Any) -> Any:
        loop(x, y, out, REPEATED)
        return out

    return Call(call)


def _no_body(xp: Any, *arrays: Any) -> Any:
    raise NotImplementedError("a kernel is launched here")


def _blocks(n: int) -> tuple[Shape, ...]:
    return ((-(-n // THREADS) * THREADS,),) * 3


def _fusion() -> Iterable[Case]:
    large: dict[str, Any] = {"size": 2**26, "cpu_size": LARGE_CPU, "periodic": True}
    yield Case("fusion/gauss", _gauss, _vectors(2), **large, flops=lambda *shapes: 7 * _each(*shapes))
    yield Case("fusion/polynomial", _polynomial, _vectors(2), **large, flops=lambda *shapes: 6 * _each(*shapes))
    yield Case(
        "fusion/gauss_kernel", _no_body, _blocks, **large, flops=lambda *shapes: 7 * _each(*shapes), read=2 / 3,
        make=_launched(GAUSS), expected=GAUSS.expected, mutates=True,
    )  # fmt: skip


def _kernel() -> Iterable[Case]:
    common: dict[str, Any] = {
        "body": _no_body, "shapes": _blocks, "size": 4 * THREADS, "cpu_size": 4 * THREADS, "expected": ADD.expected,
        "wall": True, "rotate": False, "mutates": True, "read": 2 / 3,
    }  # fmt: skip
    yield Case("kernel/launch", **common, make=_launched(ADD))
    yield Case(
        "kernel/launch_in_njit", **common, make=_launched_in_njit, operations=REPEATED, bare=_bare_launches(REPEATED)
    )


CASES: tuple[Case | startup.Startup, ...] = (
    *_dispatch(), *_elementwise(), *_reduction(), *_scan(), *_transfer(), *startup.CASES, *products.cases(), *_fusion(),
    *_kernel(),
)  # fmt: skip
FAMILIES = tuple(dict.fromkeys(case.family for case in CASES))


def select(prefixes: list[str]) -> list[Case | startup.Startup]:
    """The cases whose name begins with one of the prefixes; all if there are none. ValueError where none does."""
    for prefix in prefixes:
        if not any(case.name.startswith(prefix) for case in CASES):
            raise ValueError(f"no case begins with {prefix!r}; the families are {', '.join(FAMILIES)}")
    return [case for case in CASES if not prefixes or case.name.startswith(tuple(prefixes))]
