"""Python functions in C++ kernels (`ca.device`), and C++ device functions in functions that numba compiles."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numba import types

import cuarray as ca
from cuarray._kernel.declarations import read
from cuarray._runtime import link

finite = st.floats(-1e6, 1e6)
on_gpu = ca.cuda.is_available


def needs_linker() -> None:
    pytest.importorskip("numba.cuda")
    pytest.importorskip("cuda.bindings.nvjitlink")
    from numba.cuda.cudadrv import nvvm

    try:
        link._version()
        nvvm.NVVM()
    except (ca.CompileError, nvvm.NvvmSupportError) as error:
        pytest.skip(str(error))


def assert_inlined(ptx: str) -> None:
    assert ".entry" in ptx
    assert not re.search(r"\bcall(\.uni)?\b|\.func\b|\.extern\b", ptx), ptx


# ---- Python functions in kernels


@ca.device("float64(float64, int32)")
def horner(x, n):
    total = 0.0
    for k in range(n):
        total = total * x + k
    return total


@ca.device("complex128(complex128, float64)")
def turned(z, angle):
    return z * (np.cos(angle) + 1j * np.sin(angle))


@ca.device("float32(complex64)")
def norm(z):
    return z.real * z.real + z.imag * z.imag


@ca.device("boolean(boolean, boolean)")
def implies(a, b):
    return b or not a


@ca.device("int64(int64, uint8)")
def mixed(a, b):
    return a * 3 - b


@ca.device("void(CPointer(float64), int64)")
def clear_at(x, i):
    x[i] = -1.0


PYTHON = """
__global__ void use_horner(double* x, int n) { x[threadIdx.x] = horner(x[threadIdx.x], n); }
__global__ void use_turned(ca::complex<double>* z, double angle) { z[threadIdx.x] = turned(z[threadIdx.x], angle); }
__global__ void use_norm(float* x, const ca::complex<float>* z) { x[threadIdx.x] = norm(z[threadIdx.x]); }
__global__ void use_implies(bool* x, const bool* a, const bool* b) {
  int i = threadIdx.x; x[i] = implies(a[i], b[i]);
}
__global__ void use_mixed(long* x, unsigned char by) { x[threadIdx.x] = mixed(x[threadIdx.x], by); }
__global__ void use_clear(double* x) { clear_at(x, threadIdx.x); }
template <class F, class T> __global__ void apply(T* x, int n) { x[threadIdx.x] = F{}(x[threadIdx.x], n); }
"""


@given(values=st.lists(st.floats(-8, 8), min_size=1, max_size=8), n=st.integers(0, 6))
def test_numbers(values: list[float], n: int) -> None:
    mod = ca.cudadef(PYTHON)
    x = ca.asarray(np.array(values))
    mod.use_horner[1, x.size](x, n)
    expected = [horner.py_func(value, n) for value in values]
    np.testing.assert_allclose(np.asarray(x), expected, rtol=1e-12, atol=1e-9)


@given(a=st.integers(-(2**40), 2**40), b=st.integers(0, 255))
def test_integers(a: int, b: int) -> None:
    mod = ca.cudadef(PYTHON)
    x = ca.asarray(np.array([a]))
    mod.use_mixed[1, 1](x, b)
    assert x.tolist() == [a * 3 - b]


@given(z=st.complex_numbers(max_magnitude=1e6), angle=st.floats(-4, 4))
def test_complex_numbers(z: complex, angle: float) -> None:
    mod = ca.cudadef(PYTHON)
    x, y = ca.asarray(np.array([z])), ca.zeros(1, "float32")
    single = np.complex64(z)
    mod.use_norm[1, 1](y, ca.asarray(np.array([single])))
    np.testing.assert_allclose(np.asarray(y), [abs(complex(single)) ** 2], rtol=1e-5, atol=1e-30)
    mod.use_turned[1, 1](x, angle)
    np.testing.assert_allclose(np.asarray(x), [z * np.exp(1j * angle)], rtol=1e-10, atol=1e-9)


def test_bool_and_pointers() -> None:
    mod = ca.cudadef(PYTHON)
    a, b = np.array([False, False, True, True]), np.array([False, True, False, True])
    x = ca.zeros(4, "bool")
    mod.use_implies[1, 4](x, ca.asarray(a), ca.asarray(b))
    np.testing.assert_array_equal(np.asarray(x), ~a | b)
    y = ca.ones(3)
    mod.use_clear[1, 2](y)
    assert y.tolist() == [-1, -1, 1]


def test_as_a_template_argument() -> None:
    x = ca.asarray(np.array([1.0, 2.0]))
    mod = ca.cudadef(PYTHON)
    expected = [horner.py_func(value, 3) for value in (1.0, 2.0)]
    mod.apply[horner][1, 2](x, 3)
    assert x.tolist() == expected
    # A source that does not mention the function's name sees it by way of the type.
    other = ca.cudadef("template <class F> __global__ void apply(double* x) { x[0] = F{}(x[0], 3); }")
    x = ca.asarray(np.array([2.0]))
    other.apply[horner][1, 1](x)
    assert x.tolist() == expected[1:]
    mentioning = ca.cudadef("template <class F> __global__ void apply(double* x) { x[0] = F{}(horner(x[0], 2), 3); }")
    mentioning.apply["horner_t"][1, 1](x)
    assert x.tolist() == [horner.py_func(horner.py_func(expected[1], 2), 3)]


def test_template_arguments_of_other_sources_and_variables() -> None:
    template = "__device__ int n; template <class F> __global__ void f(double* x) { x[0] = F{}(x[0], 3); n = 5; }"
    x = ca.asarray(np.array([2.0]))
    with pytest.raises(TypeError, match=r"f: a template argument is of horner, which .* does not use, and programs"):
        ca.cudadef(template).f[horner][1, 1](x)
    mod = ca.cudadef(template + "using mentioned = horner_t;")
    mod.f[horner][1, 1](x)
    assert (x.item(), mod.n.item()) == (horner.py_func(2.0, 3), 5)


def test_redefinition_counts_for_what_comes_after() -> None:
    user = "__global__ void f(int* x) { x[0] = replaced(x[0]); }"
    modules = []
    for step in (1, 10):

        @ca.device("int32(int32)", name="replaced")
        def add(x):
            return x + step  # noqa: B023  (numba takes its value now)

        modules.append(ca.cudadef(user))
    for mod, expected in zip((*modules, modules[0]), (1, 10, 1)):
        x = ca.zeros(1, "int32")
        mod.f[1, 1](x)
        assert x.tolist() == [expected]


def test_the_same_definition_again() -> None:
    results = []
    for _ in range(2):
        ca.device(lambda x: 2 * x + 1, "float64(float64)", name="again")
        mod = ca.cudadef("""
        __device__ double call_again(double x) { return again(x); }
        __global__ void f(double* x) { *x = again(*x); }""")
        call_again = mod.call_again
        x = ca.asarray(np.array([3.0]))
        mod.f[1, 1](x)
        results += [x.item(), numba.njit(lambda x, call=call_again: call(x))(3.0)]
    assert results == [7, 7, 7, 7]


def test_the_decorated_function_is_a_function() -> None:
    assert horner(2.0, 3) == horner.py_func(2.0, 3)

    @numba.njit
    def caller(x):
        return horner(x, 3) + 1

    assert caller(2.0) == horner.py_func(2.0, 3) + 1

    @ca.device("float64(float64)")
    def outer_function(x):
        return 2 * horner(x, 3)

    if on_gpu():  # numba-cuda compiles functions within functions only where there is a GPU; on the CPU there is njit
        return
    mod = ca.cudadef("__global__ void f(double* x) { x[0] = outer_function(x[0]); }")
    x = ca.asarray(np.array([2.0]))
    mod.f[1, 1](x)
    assert x.item() == 2 * horner.py_func(2.0, 3)


def test_errors_of_python_functions() -> None:
    def wrong(x):
        return x.no_such_attribute

    with pytest.raises(TypeError, match=r"(?s)device function wrong, .*float32.* does not compile.*no_such_attribute"):
        ca.device(wrong, "float32(float32)")
    with pytest.raises(TypeError, match="the signature must give the result"):
        ca.device(wrong, (types.float32,))
    with pytest.raises(TypeError, match=r"argument or result of type array.*take a pointer"):
        ca.device(wrong, "float32(float32[:])")
    with pytest.raises(TypeError, match="none of numba's"):
        ca.device(wrong, "floaty(floaty)")
    with pytest.raises(TypeError, match="takes a Python function, not 3"):
        ca.device(3, "float32(float32)")
    with pytest.raises(TypeError, match="takes a signature"):
        ca.device(wrong)
    with pytest.raises(ValueError, match="must be a name in C"):
        ca.device(lambda x: x, "float32(float32)")


@pytest.mark.parametrize("arch", ["sm_80", "sm_90", "sm_90a", "sm_120"])
def test_python_functions_are_inlined_on_the_gpu(arch: str) -> None:
    needs_linker()
    mod = ca.cudadef(PYTHON)
    x, z = ca.ones(1), ca.ones(1, "complex64")
    instances = [
        mod.use_norm.compile(ca.ones(1, "float32"), z),
        mod.use_clear.compile(x),
        mod.apply[horner].compile(x, 2),
    ]
    for instance in instances:
        ptx = instance.ptx(arch)
        assert f".target {arch}" in ptx
        assert ".entry" in ptx and "ca_device_" not in ptx, "a function that is called has its symbol"
        assert instance._code("cubin", arch)[:4] == b"\x7fELF"


def test_options_reach_the_linker() -> None:
    needs_linker()

    @ca.device("float32(float32, float32, float32)")
    def product_and_sum(a, b, c):
        return a * b + c

    source = "__global__ void f(float* x) { x[0] = product_and_sum(x[0], x[1], x[2]) / x[3]; }"
    usual = ca.cudadef(source).f.ptx("sm_90")
    assert "fma.rn.f32" in usual and "div.rn.f32" in usual
    fast = ca.cudadef(source, options=["--use_fast_math"]).f.ptx("sm_90")
    assert "fma.rn.ftz.f32" in fast and "div.rn" not in fast
    apart = ca.cudadef(source, options=["--fmad=false"]).f.ptx("sm_90")
    assert "fma" not in apart and "mul" in apart


def test_variables_beside_linked_functions() -> None:
    """Variables keep their symbols through the linker."""
    needs_linker()
    mod = ca.cudadef("""
    __constant__ double factor = 2; __device__ int count;
    __global__ void f(double* x) { x[0] = horner(x[0], 3) * factor; atomicAdd(&count, 1); }""")
    from cuarray._runtime import nvrtc

    names = ("&" + f"{mod.namespace}::f", *mod._source.variables)
    binary = nvrtc.compile(mod._source, names, "sm_90a")
    assert set(binary.symbols) == set(names)
    assert all(symbol.encode() in binary.code for symbol in binary.symbols.values())
    x = ca.asarray(np.array([2.0]))
    mod.factor[...] = 10
    mod.f[1, 1](x)
    assert x.item() == 10 * horner.py_func(2.0, 3)
    assert mod.count.item() == 1


# ---- C++ functions in functions that numba compiles

CPP = """
template <class T> __device__ T bounded(T x, T low, T high) { return x < low ? low : x > high ? high : x; }
__device__ float twice(float x) { return 2 * x; }
__device__ int twice(int x) { return 20 * x; }
__device__ bool is_positive(double x) { return x > 0; }
__device__ ca::complex<float> by_i(ca::complex<float> z) { return z * ca::complex<float>(0, 1); }
namespace deep { template <class T> __device__ T element(const T* x, int i) { return x[i]; } }
template <class T> __device__ void put(T* x, int i, T value) { x[i] = value; }
__device__ void put_long(long long* x, int i) { x[i] = 1LL << 40; }
template <int N, class T> __device__ T times(T x) { return N * x; }
template <class... T> __device__ auto total(T... x) { return (x + ...); }
__device__ int with_default(int x = 7) { return x; }
struct Shift { int by = 5; template <class T> __device__ T operator()(T x) const { return x + by; } };
auto square = [] __device__ (float x) { return x * x; };
__device__ double with_python(double x) { return horner(x, 3); }
__global__ void kernel(float* x) { x[0] = twice(x[0]); }
struct Pair { float a, b; };
__device__ Pair pair_of(float x) { return {x, x}; }
"""


@pytest.fixture(scope="module")
def cpp() -> Any:
    return ca.cudadef(CPP, name="functions.cu")


def make_body(mod: Any) -> Callable:
    """A function of every kind of argument and result, for njit and numba.cuda.jit."""
    bounded, twice, is_positive, by_i, element, put = (
        *(mod.bounded, mod.twice, mod.is_positive, mod.by_i, mod.element, mod.put),
    )
    thrice, total, shift, square, with_python = mod.times[3], mod.total, mod.Shift, mod.square, mod.with_python
    put_long, of_float = mod.put_long, mod.bounded["float"]
    two = np.int32(2)

    def body(x, z, n):
        x[0] = bounded(x[0], 1.0, 2.0)
        x[1] = twice(x[1])
        x[2] = twice(two)
        x[3] = is_positive(x[3])
        x[4] = element(x, 5)
        put(x, 6, 6.5)
        x[7] = thrice(x[7])
        x[8] = shift(x[8])
        x[9] = square(x[9])
        x[10] = total(x[9], 2, 0.5)
        x[11] = of_float(two, 3, 4.0)
        x[12] = with_python(2.0)
        x[13] = mod.with_default() + mod.with_default(1)
        z[0] = by_i(z[0])
        put_long(n, 0)

    return body


def arguments() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return np.arange(14, dtype="float32") + 0.5, np.array([1 + 2j], "complex64"), np.zeros(1, "int64")


def check_body(x: np.ndarray, z: np.ndarray, n: np.ndarray) -> None:
    before = arguments()[0].astype(float)
    expected = [1, 3, 40, 1, 5.5, 5.5, 6.5, 22.5, 13.5, 9.5**2, 9.5**2 + 2.5, 3, horner.py_func(2.0, 3), 8]
    assert before[5] == 5.5
    np.testing.assert_array_equal(x, np.array(expected, "float32"))
    assert z[0] == (1 + 2j) * 1j
    assert n[0] == 1 << 40


def test_from_njit(cpp: Any) -> None:
    x, z, n = arguments()
    numba.njit(make_body(cpp))(x, z, n)
    check_body(x, z, n)


def test_cuarrays_from_njit(cpp: Any) -> None:
    element, put = cpp.element, cpp.put

    @numba.njit
    def run(x):
        put(x, 0, element(x, 2) + 1)

    x = ca.asarray(np.array([1.0, 2.0, 3.0]))
    ca.cuda.synchronize()
    run(x)
    assert x.tolist() == [4, 2, 3]


@given(x=finite, low=finite, high=finite)
def test_scalars_from_njit(x: float, low: float, high: float) -> None:
    mod = ca.cudadef(CPP, name="functions.cu")
    assert _bounded(mod)(x, low, high) == (low if x < low else high if x > high else x)


_compiled: dict[Any, Any] = {}


def _bounded(mod: Any) -> Callable:
    if not _compiled:
        bounded = mod.bounded
        _compiled[0] = numba.njit(lambda x, low, high: bounded(x, low, high))
    return _compiled[0]


def test_indices_keep_their_value(cpp: Any) -> None:
    """That a number follows an array's type does not make a float of an index."""
    put = cpp.put

    @numba.njit
    def run(x, i):
        put(x, i, 3)
        put(x, i - 2, 4.0)

    last = (1 << 24) + 3  # no float32
    x = np.zeros(last + 1, "float32")
    run(x, last)
    assert (x[last], x[last - 2], x.sum()) == (3, 4, 7)


def test_what_python_sees(cpp: Any) -> None:
    assert repr(cpp.twice) == "<device function twice of functions.cu>"
    assert repr(cpp.times[3, "float"]) == "<device function times<3, float> of functions.cu>"
    assert repr(cpp.Shift) == "<device functor Shift of functions.cu>"
    assert cpp.twice is cpp.twice and cpp.times[3] is cpp.times[3]
    assert {"twice", "Shift", "square", "kernel"} <= set(dir(cpp))
    with pytest.raises(TypeError, match=r"twice is a device function: call it in C\+\+, or"):
        cpp.twice(1)
    with pytest.raises(AttributeError, match="nothing"):
        cpp.nothing
    mod = ca.cudadef("template <class F> __global__ void map(float* x) { x[0] = F{}(x[0]); }")
    x = ca.ones(1, "float32")
    mod.map[cpp.Shift][1, 1](x)
    assert x.item() == 6


def test_what_is_a_device_function(cpp: Any) -> None:
    contents = read("""
    #include <cmath>
    __device__ __forceinline__ float f(float x) { return x; } __device__ double f(double);
    inline __host__ __device__ int both() { return 1; }
    float of_the_host() { return 1; }
    __global__ void kernel() {}
    namespace a { namespace b { template <class T> struct Call { __device__ T operator()(T x) const { return x; } }; } }
    struct OnHost { float operator()(float x) const { return x; } __device__ float other() const { return 1; } };
    struct Index { __device__ float operator[](int i) const { return operator()(i); } float operator()(int i) const; };
    """)
    found = [(function.name, function.namespaces, function.is_type) for function in contents.functions]
    assert found == [("f", (), False), ("both", (), False), ("Call", ("a", "b"), True)]
    assert [function.name for function in cpp.contents.functions if function.is_type] == ["Shift"]


def test_errors_of_calls(cpp: Any) -> None:
    twice, pair_of, element, bounded = cpp.twice, cpp.pair_of, cpp.element, cpp.bounded
    for call, message in (
        (lambda x: twice(x, x), r"twice cannot be called with arguments of types \(double, double\)"),
        (lambda x: twice(), r"twice cannot be called with arguments of types \(\)"),
        (lambda x: element(x, 1), r"element cannot be called with arguments of types \(double, long\)"),
        (lambda x: pair_of(x), "pair_of: its result is no number"),
        (lambda x: twice("no"), "twice: argument 1 must be an array or a number"),
        (lambda x: bounded(x, low=x), "takes no keyword arguments"),
    ):
        with pytest.raises(numba.core.errors.TypingError, match=message):
            numba.njit(call)(1.0)


def test_inlined_in_numba_cuda_kernels(cpp: Any) -> None:
    """numba-cuda's code and ours become one kernel without calls; this needs no GPU."""
    needs_linker()
    from numba.cuda.compiler import compile_all

    signature = types.void(types.float32[::1], types.complex64[::1], types.int64[::1])
    codes, _ = compile_all(make_body(cpp), signature, device=False, abi="numba", cc=(9, 0), output="ltoir")
    pieces = [code if isinstance(code, bytes) else code.data for code in codes]
    for arch in ("sm_90", "sm_90a"):
        ptx = link.link("body", pieces, arch, (), "ptx").decode()
        assert_inlined(ptx)
        assert ptx.count(".entry") == 1, "the module's own kernels stay out"
        assert link.link("body", pieces, arch, (), "cubin")[:4] == b"\x7fELF"


def test_variables_are_not_shared_with_numba_cuda() -> None:
    needs_linker()
    from numba.cuda.compiler import compile_all

    mod = ca.cudadef("__constant__ float scale; __device__ float scaled(float x) { return scale * x; }")
    scaled = mod.scaled

    def body(x):
        x[0] = scaled(x[0])

    with pytest.raises(numba.core.errors.TypingError, match="would get a copy of its own"):
        compile_all(body, types.void(types.float32[::1]), device=False, abi="numba", cc=(9, 0), output="ltoir")


# ---- with numba-cuda on a GPU


@pytest.fixture
def cuda() -> Any:
    if not on_gpu():
        pytest.skip("CUARRAY_BACKEND=host keeps arrays off the GPU")
    return pytest.importorskip("numba.cuda")


@pytest.mark.gpu
def test_in_numba_cuda_kernels(cpp: Any, cuda: Any) -> None:
    x, z, n = (ca.asarray(array) for array in arguments())
    cuda.jit(make_body(cpp))[1, 1](x, z, n)
    check_body(np.asarray(x), np.asarray(z), np.asarray(n))


@pytest.mark.gpu
def test_python_functions_in_numba_cuda_kernels(cuda: Any) -> None:
    @cuda.jit
    def kernel(x, n):
        i = cuda.grid(1)
        if i < x.size:
            x[i] = horner(x[i], n)

    @ca.device("int32(int32)")
    def thread_number(x):
        return x + cuda.threadIdx.x

    values = np.linspace(-2, 2, 100)
    x = ca.asarray(values)
    kernel[4, 32](x, 4)
    np.testing.assert_allclose(np.asarray(x), [horner.py_func(value, 4) for value in values], rtol=1e-12, atol=1e-12)
    mod = ca.cudadef("__global__ void f(int* x) { x[threadIdx.x] = thread_number(100); }")
    y = ca.zeros(4, "int32")
    mod.f[1, 4](y)
    assert y.tolist() == [100, 101, 102, 103]


@pytest.mark.gpu
def test_functions_within_python_functions_on_a_gpu(cuda: Any) -> None:
    @ca.device("float64(float64)")
    def outer_on_gpu(x):
        return 2 * horner(x, 3)

    mod = ca.cudadef("__global__ void f(double* x) { x[0] = outer_on_gpu(x[0]); }")
    x = ca.asarray(np.array([2.0]))
    mod.f[1, 1](x)
    assert x.item() == 2 * horner.py_func(2.0, 3)


@pytest.mark.gpu
@pytest.mark.parametrize("dtype", ["bool", "int8", "int64", "uint16", "float32", "float64", "complex64"])
def test_numba_cuda_kernels_take_cuarrays(dtype: str, cuda: Any) -> None:
    @cuda.jit
    def transpose(out, x):
        i, j = cuda.grid(2)
        if i < x.shape[0] and j < x.shape[1]:
            out[j, i] = x[i, j]

    values = np.arange(24).reshape(4, 6).astype(dtype)
    x = ca.asarray(values)[::2, 1:]
    out = ca.zeros((5, 2), dtype)
    transpose[(1, 1), (8, 8)](out, x)
    np.testing.assert_array_equal(np.asarray(out), values[::2, 1:].T)


@pytest.mark.gpu
def test_numba_cuda_work_is_in_order(cuda: Any) -> None:
    @cuda.jit
    def add_one(x):
        i = cuda.grid(1)
        if i < x.size:
            x[i] += 1

    x = ca.zeros(1 << 20, "float32")
    for _ in range(20):
        add_one[1 << 12, 256](x)
        x += 1
        add_one[1 << 12, 256, cuda.legacy_default_stream()](x)
    assert float(x.min()) == float(x.max()) == 60


def test_the_type_that_numba_cuda_sees() -> None:
    pytest.importorskip("numba.cuda")
    from numba.cuda.typing.typeof import typeof

    x = ca.zeros((3, 4), "float32")
    assert typeof(x) == types.Array(types.float32, 2, "C")
    assert typeof(x.T) == types.Array(types.float32, 2, "F")
    assert typeof(x[:, ::2]) == types.Array(types.float32, 2, "A")
