"""CuArrays as arguments of C++ functions of cppyy, the buffer protocol, and cppyy.cudadef."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import cppyy
import numba
import numpy as np
import pytest
import strategies
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
import cuarray.cppyy_ext as cppyy_ext
from cuarray import _array, _runtime
from cuarray._dtypes import DTYPES
from cuarray._layout import layout

CPP = {
    **{name: name for name in ("bool", "float", "double")},
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long",
    "uint8": "unsigned char",
    "uint16": "unsigned short",
    "uint32": "unsigned int",
    "uint64": "unsigned long",
    "float16": "unsigned short",  # its bits
    "float32": "float",
    "float64": "double",
    "complex64": "std::complex<float>",
    "complex128": "std::complex<double>",
}
DEDUCED = [dtype for dtype in DTYPES if dtype.kind != "c" and dtype.name not in ("int8", "float16", "bfloat16")]

SOURCE = """
#include <complex>
#include <functional>
#include <initializer_list>
#include <span>
#include <string>
#include <vector>
namespace cuarray_test {
void scale(float* x, int n) { for (int i = 0; i < n; ++i) x[i] *= 2; }
void stale(float* x, int n) { for (int i = 0; i < n; ++i) x[i] *= 2; }
float first(const float* x) { return x ? x[0] : -1; }
float first_of_array(float x[]) { return x[0]; }
unsigned long address(void* p) { return (unsigned long)p; }
unsigned long const_address(const void* p) { return (unsigned long)p; }
template <class T> T sum(const T* x, long n) { T s{}; for (long i = 0; i < n; ++i) s += x[i]; return s; }
int overloaded(float*) { return 4; }
int overloaded(double*) { return 8; }
struct Holder {
  const float* p;
  explicit Holder(const float* q) : p(q) {}
  float add(const float* q) const { return p[0] + q[0]; }
};
std::function<float(const float*)> second() { return [](const float* p) { return p[1]; }; }
double span_sum(std::span<const float> s) { double r = 0; for (float v : s) r += v; return r; }
void span_scale(std::span<float> s) { for (float& v : s) v *= 2; }
void span_scale_ref(const std::span<double>& s) { for (double& v : s) v *= 2; }
long span_size_3(std::span<const float, 3> s) { return s.size(); }
double vector_sum(const std::vector<float>& v) { double r = 0; for (float x : v) r += x; return r; }
long string_size(std::string s) { return s.size(); }
long c_string(const char* s) { return s[0]; }
long mutable_c_string(char* s) { return s[0]; }
long pointers(float** p) { return p[0] != nullptr; }
"""
for _name, _cpp in CPP.items():
    SOURCE += f"unsigned long address_{_name}({_cpp}* p) {{ return (unsigned long)p; }}\n"
    SOURCE += f"unsigned long const_address_{_name}(const {_cpp}* p) {{ return (unsigned long)p; }}\n"
cppyy.cppdef(SOURCE + "}")
cpp: Any = cppyy.gbl.cuarray_test


def run(code: str) -> subprocess.CompletedProcess:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=200, env={**os.environ})


def read_only(array: ca.CuArray) -> ca.CuArray:
    return ca.broadcast_to(array, array.shape)


def test_a_pointer_parameter_gets_the_array_itself() -> None:
    x = ca.arange(1000, dtype="float32") + 1
    cpp.scale(x, x.size)
    np.testing.assert_array_equal(np.asarray(x), (np.arange(1000, dtype="float32") + 1) * 2)
    assert cpp.first(x) == cpp.first_of_array(x) == 2
    assert cpp.address(x) == cpp.const_address(x) == x.pointer
    for _ in range(20):  # each call waits for the kernel before it
        x += 1
        cpp.scale(x, x.size)
    expected = np.float32(2 * (np.arange(1000) + 1))
    for _ in range(20):
        expected = (expected + 1) * np.float32(2)
    np.testing.assert_array_equal(np.asarray(x), expected)


@given(strategies.dtypes(), strategies.shapes())
def test_every_dtype_has_its_pointer(dtype: np.dtype, shape: tuple) -> None:
    x = ca.ones(shape, dtype=dtype)
    for name in CPP:
        if name in ("float", "double"):
            continue
        for function in (getattr(cpp, f"address_{name}"), getattr(cpp, f"const_address_{name}")):
            if name == dtype.name or (name, dtype.name) in (("uint16", "float16"), ("float16", "uint16")):
                assert function(x) == (x.pointer if x.size else 0)
            elif (name, dtype.name) != ("int16", "float16"):  # bits, too
                with pytest.raises(TypeError, match=rf"array of dtype {dtype} is not a"):
                    function(x)


@given(st.data())
def test_templates_deduce_the_element_type(data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(DEDUCED))
    values = data.draw(strategies.numpy_arrays(dtype, strategies.shapes(), strategies.values(dtype, limit=3)))
    got = cpp.sum(ca.array(values), values.size)
    expected = values.any() if dtype.kind == "b" else values.sum(dtype=dtype)
    if dtype == "uint8":
        got = ord(got)  # cppyy returns unsigned char as a str
    assert got == pytest.approx(expected, rel=1e-5, abs=1e-5)


@pytest.mark.parametrize("name", ["int8", "float16", "complex64", "complex128"])
def test_other_template_arguments_are_never_guessed(name: str) -> None:
    code = f"""
import cppyy, cuarray as ca
cppyy.cppdef("#include <complex>\\ntemplate <class T> long size_of(const T* x) {{ return sizeof(T); }}")
x = ca.ones(3, dtype={name!r})
try:
    cppyy.gbl.size_of(x)
except TypeError:
    print(cppyy.gbl.size_of[{CPP[name]!r}](x))
"""
    result = run(code)
    assert result.stdout.strip() == str(np.dtype(name).itemsize), result.stderr


def test_overloads_methods_constructors_functions() -> None:
    x, y = ca.array([3, 4], dtype="float32"), ca.array([5, 6], dtype="float32")
    assert (cpp.overloaded(x), cpp.overloaded(x.astype("float64"))) == (4, 8)
    assert cpp.Holder(x).add(y) == 8
    assert cpp.second()(x) == 4
    with pytest.raises(TypeError):
        cpp.overloaded(x.astype("int32"))


@given(strategies.pairs(dtype=np.dtype("float32")))
def test_layouts_that_a_pointer_cannot_walk_are_refused(pair: strategies.Pair) -> None:
    x = pair.cuarray
    before = pair.numpy.copy()
    try:
        address = cpp.const_address_float32(x)
    except TypeError as error:
        assert not x.flags.c_contiguous and "not C-contiguous" in str(error) and "ascontiguousarray" in str(error)
    else:
        assert x.flags.c_contiguous and address == (x.pointer if x.size else 0)
    np.testing.assert_array_equal(np.asarray(x), before)


def test_read_only_arrays_go_to_const_only() -> None:
    x = read_only(ca.ones(4, dtype="float32"))
    assert not x.flags.writeable
    assert cpp.first(x) == 1 and cpp.sum(x, 4) == 4 and cpp.span_sum(x) == 4 and cpp.const_address(x) == x.pointer
    for call in (lambda: cpp.scale(x, 4), lambda: cpp.address(x)):
        with pytest.raises(TypeError, match="read-only"):
            call()
    with pytest.raises(TypeError):
        cpp.span_scale(x)
    assert float(x.sum()) == 4


def test_spans() -> None:
    x = ca.ones((2, 3), dtype="float32")
    cpp.span_scale(x)
    assert cpp.span_sum(x) == 12
    y = ca.ones(3)
    cpp.span_scale_ref(y)
    assert y.tolist() == [2, 2, 2]
    assert cpp.span_sum(x[0, :0]) == 0
    assert cpp.span_size_3(x[0]) == 3
    assert list(cppyy.gbl.std.span["float"](x)) == [2] * 6
    for wrong in (y, x.T, x[:, :2]):
        with pytest.raises(TypeError):
            cpp.span_sum(wrong)
    with pytest.raises(TypeError):
        cpp.span_size_3(x)
    with pytest.raises(TypeError, match="not C-contiguous"):
        cppyy.gbl.std.span["float"](x.T)


def test_arrays_without_elements_are_null() -> None:
    x = ca.empty((0, 3), dtype="float32")
    cpp.scale(x, 0)
    assert cpp.first(x) == -1 and cpp.address(x) == 0 and cpp.sum(x, 0) == 0


def test_other_parameters_never_crash() -> None:
    x = ca.arange(3, dtype="float32")
    assert cpp.vector_sum(x) == 3  # a copy
    for function in (cpp.string_size, cpp.c_string, cpp.mutable_c_string, cpp.pointers):
        with pytest.raises(TypeError):
            function(x)


def test_memory_out_of_the_cpus_reach_is_refused() -> None:
    kept = ca.ones(4, dtype="float32")
    memory = _runtime.ForeignMemory(kept.pointer, kept.nbytes, kept, False)
    x = _array.new(memory, kept.pointer, layout(np.dtype("float32"), (4,)))
    with pytest.raises(TypeError, match="CPU cannot reach"):
        cpp.scale(x, 4)
    with pytest.raises(TypeError):
        cpp.span_scale(x)
    with pytest.raises(BufferError, match="CPU cannot reach"):
        memoryview(x)
    np.testing.assert_array_equal(np.asarray(x), np.ones(4))  # by a copy
    assert float(kept.sum()) == 4


def test_numpy_arrays_are_passed_as_before() -> None:
    x = np.ones(3, np.float32)
    cpp.scale(x, 3)
    assert x.tolist() == [2, 2, 2] and cpp.sum(x, 3) == 6 and cpp.address(x) == x.ctypes.data
    assert cpp.first(cppyy.nullptr) == -1
    with pytest.raises(TypeError):
        cpp.scale(np.ones(3), 3)


def test_functions_called_before_there_was_an_array() -> None:
    code = """
import cppyy, numpy as np
cppyy.cppdef("#include <span>\\nvoid scale(float* x, int n) { for (int i = 0; i < n; ++i) x[i] *= 2; }"
             "float total(std::span<float> s) { float r = 0; for (float v : s) r += v; return r; }")
cppyy.gbl.scale(np.ones(3, np.float32), 3)
cppyy.gbl.std.span["float"]
import cuarray as ca
x = ca.ones((2, 3), dtype="float32")
cppyy.gbl.scale(x, 6)
cppyy.gbl.scale(x[0, 1], 1)
print(x.tolist(), cppyy.gbl.total(x))
for wrong in (x.T, ca.broadcast_to(x, x.shape), x.astype("float64"), x[:0], x.astype("complex64"), x[:, ::2]):
    try:
        cppyy.gbl.scale(wrong, 1)
    except TypeError:
        print("TypeError")
"""
    result = run(code)
    assert result.stdout.splitlines() == ["[[2.0, 4.0, 2.0], [2.0, 2.0, 2.0]] 14.0"] + ["TypeError"] * 6, result.stderr
    assert result.returncode == 0


@given(strategies.pairs())
def test_the_buffer_is_numpys(pair: strategies.Pair) -> None:
    x, view = pair.cuarray, memoryview(pair.cuarray)
    expected = memoryview(np.asarray(_array.host_view(x)))
    assert (view.format, view.shape, view.itemsize, view.readonly) == (
        expected.format,
        expected.shape,
        expected.itemsize,
        not x.flags.writeable and x.size > 0,
    )
    assert view.strides == expected.strides
    assert view.tobytes() == pair.numpy.tobytes()
    array = np.asarray(x)
    assert array.dtype == x.dtype and array.shape == x.shape
    np.testing.assert_array_equal(array, pair.numpy)
    copied = np.array(x)
    assert not np.shares_memory(copied, array)


def test_the_buffer_shares_memory_and_keeps_it() -> None:
    x = ca.zeros(1000)
    view = memoryview(x)
    pointer = x.pointer
    del x
    assert ca.empty(1000).pointer != pointer
    view[0] = 3.0
    assert np.frombuffer(view)[0] == 3 and bytes(view)[:8] == np.float64(3).tobytes()


def test_references_are_given_back() -> None:
    x = ca.ones(3, dtype="float32")
    before = sys.getrefcount(x)
    for _ in range(100):
        cpp.first(x)
        cpp.span_sum(x)
        memoryview(x).release()
        with pytest.raises(TypeError):
            cpp.overloaded(x.T.astype("int8"))
    assert sys.getrefcount(x) - before < 10


MATRIX_MUL = """
__global__ void MatrixMul(float* A, float* B, float* out) {
  int n = gridDim.x * blockDim.x;
  int row = blockIdx.y * blockDim.y + threadIdx.y, column = blockIdx.x * blockDim.x + threadIdx.x;
  float sum = 0;
  for (int k = 0; k < n; ++k) sum += A[row * n + k] * B[k * n + column];
  out[row * n + column] = SCALE * sum;
}
"""


def test_cudadef_from_njit() -> None:
    griddim, blockdim = (2, 2), (4, 4)
    values = np.arange(64, dtype=np.float32).reshape(8, 8)
    for scale in (1, 2):
        module = cppyy.cudadef(MATRIX_MUL.replace("SCALE", str(scale)))
        from cppyy.gbl import MatrixMul

        assert MatrixMul is module.MatrixMul is cppyy.gbl.MatrixMul

        @numba.njit
        def run_cuda_mul(A: Any, B: Any, out: Any) -> None:
            MatrixMul[griddim, blockdim](A, B, out)

        A, B, out = ca.array(values), ca.array(values.T.copy()), ca.zeros((8, 8), dtype="float32")
        run_cuda_mul(A, B, out)
        np.testing.assert_allclose(np.asarray(out), scale * (values @ values.T), rtol=1e-6)
        MatrixMul[griddim, blockdim](B, A, out)
        np.testing.assert_allclose(np.asarray(out), scale * (values.T @ values), rtol=1e-6)


def test_cudadef_in_namespaces() -> None:
    source = "namespace cuarray_ns { namespace inner { __global__ void put(int* x) { x[0] = %d; } } }"
    x = ca.zeros(1, dtype="int32")
    for value in (5, 6):
        cppyy.cudadef(source % value)
        cppyy.gbl.cuarray_ns.inner.put[1, 1](x)
        assert x.tolist() == [value]
    with pytest.raises(ca.CompileError):
        cppyy.cudadef("namespace cuarray_ns { namespace inner { __global__ void put(int* x) { x[0] = y; } } }")
    assert cppyy.gbl.cuarray_ns.inner.put.__name__ == "put"


def test_definitions_are_recorded() -> None:
    before = cppyy_ext.definitions()
    first, second = "struct cuarray_recorded { int a; };", "inline int cuarray_recorded_too() { return 3; }"
    assert cppyy.cppdef(first) is True
    with pytest.raises(SyntaxError):
        cppyy.cppdef("struct cuarray_refused { nothing a; };")
    cppyy.cudadef("__global__ void cuarray_unrecorded(int* x) {}")
    wrapped = cppyy.cppdef
    cppyy_ext._install()
    assert cppyy.cppdef is wrapped
    assert cppyy.cppdef(second) is True
    assert cppyy_ext.definitions() == [*before, first, second]
    assert cppyy.gbl.cuarray_recorded_too() == 3


def test_views_and_spans_of_the_library() -> None:
    cppyy.cppdef("""
    double ca_test_trace(ca::view<const double, 2> x) {
      double sum = 0;
      for (long i = 0; i < x.extent(0); ++i) sum += x(i, i);
      return sum;
    }
    void ca_test_fill(ca::span<int> x, int value) { for (int& element : x) element = value; }
    """)
    x = ca.asarray(np.arange(24.0).reshape(4, 6))
    assert cppyy.gbl.ca_test_trace(x[:3, ::2]) == np.trace(np.arange(24.0).reshape(4, 6)[:3, ::2])
    y = ca.zeros(5, "int32")
    cppyy.gbl.ca_test_fill(y[1:3], 7)
    assert y.tolist() == [0, 7, 7, 0, 0]
    for function, argument in ((cppyy.gbl.ca_test_trace, x[0]), (cppyy.gbl.ca_test_trace, y)):
        with pytest.raises(TypeError):
            function(argument)
    with pytest.raises(TypeError):
        cppyy.gbl.ca_test_fill(y[::2], 7)
