"""Kernels of one's own, launched from Python, on whichever backend runs."""

from __future__ import annotations

import pickle
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process import in_threads

import cuarray as ca

SOURCE = r"""
// y += a * x
template <class T> __global__ void axpy(T a, const T* x, T* y, long n) {
  long i = blockIdx.x * (long)blockDim.x + threadIdx.x;
  if (i < n) y[i] += a * x[i];
}

// Sums of blocks, by a tree in shared memory.
template <int Threads, class T> __global__ void block_sum(const T* x, T* out, int n) {
  __shared__ T tree[Threads];
  int i = blockIdx.x * Threads + threadIdx.x;
  tree[threadIdx.x] = i < n ? x[i] : T(0);
  __syncthreads();
  for (int half = Threads / 2; half > 0; half /= 2) {
    if (threadIdx.x < half) tree[threadIdx.x] += tree[threadIdx.x + half];
    __syncthreads();
  }
  if (threadIdx.x == 0) out[blockIdx.x] = tree[0];
}

__global__ void reverse(float* x) {
  extern __shared__ float buffer[];
  buffer[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  x[threadIdx.x] = buffer[blockDim.x - 1 - threadIdx.x];
}

template <int Tile, class T> __global__ void tiled_matmul(const T* a, const T* b, T* out, int n) {
  __shared__ T left[Tile][Tile], right[Tile][Tile];
  int row = blockIdx.y * Tile + threadIdx.y, col = blockIdx.x * Tile + threadIdx.x;
  T sum = 0;
  for (int k = 0; k < n; k += Tile) {
    left[threadIdx.y][threadIdx.x] = row < n && k + threadIdx.x < n ? a[row * n + k + threadIdx.x] : T(0);
    right[threadIdx.y][threadIdx.x] = k + threadIdx.y < n && col < n ? b[(k + threadIdx.y) * n + col] : T(0);
    __syncthreads();
    for (int t = 0; t < Tile; ++t) sum += left[threadIdx.y][t] * right[t][threadIdx.x];
    __syncthreads();
  }
  if (row < n && col < n) out[row * n + col] = sum;
}

// Where in the grid each thread is, in three dimensions.
__global__ void places(int* out) {
  int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  int at = block * (blockDim.x * blockDim.y * blockDim.z) + thread;
  out[at] += at;
}

__global__ void histogram(const unsigned char* x, unsigned int* counts, int n) {
  __shared__ unsigned int local[256];
  for (int k = threadIdx.x; k < 256; k += blockDim.x) local[k] = 0;
  __syncthreads();
  for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x) atomicAdd(&local[x[i]], 1u);
  __syncthreads();
  for (int k = threadIdx.x; k < 256; k += blockDim.x) atomicAdd(&counts[k], local[k]);
}

__global__ void overloaded(float* x) { x[0] = 1; }
__global__ void overloaded(double* x) { x[0] = 2; }
__global__ void overloaded(double* x, double* y) { y[0] = 3; }

namespace deep {
struct Square { template <class T> __device__ T operator()(T v) const { return v * v; } };
template <class Op, class T> __global__ void map(T* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) x[i] = Op{}(x[i]);
}
}

template <class T> __global__ void fill(T value, void* out, int n) {
  for (int i = 0; i < n; ++i) static_cast<T*>(out)[i] = value;
}
__global__ void scalars(bool b, signed char i8, unsigned short u16, int i32, long long i64, float f32, double f64,
                        ca::complex<float> c64, ca::complex<double> c128, double* out) {
  double reals[] = {double(b), double(i8), double(u16), double(i32), double(i64), f32, f64};
  for (int k = 0; k < 7; ++k) out[k] = reals[k];
  out[7] = c64.re, out[8] = c64.im, out[9] = c128.re, out[10] = c128.im;
}
__global__ void halves(ca::float16* x) { x[threadIdx.x] = ca::float16(float(x[threadIdx.x]) * 2); }
template <class... T> __global__ void ones(int n, T*... arrays) {
  for (int i = 0; i < n; ++i) ((arrays[i] = T(1)), ...);
}
extern "C" __global__ void c_linkage(long long* x) { x[0] = 5; }
"""


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="test_kernels")


# ---- what kernels can do


@given(n=st.integers(0, 1000), block=st.sampled_from([1, 32, 100, 256]), data=st.data())
def test_axpy(mod: ca.Module, n: int, block: int, data: st.DataObject) -> None:
    dtype = data.draw(st.sampled_from(["int32", "int64", "float32", "float64", "uint8"]))
    rng = np.random.default_rng(n)
    x, y = (rng.integers(0, 100, n).astype(dtype) for _ in range(2))
    device_x, device_y = ca.asarray(x), ca.asarray(y)
    mod.axpy[max(1, -(-n // block)), block](3, device_x, device_y, n)
    np.testing.assert_array_equal(np.asarray(device_y), y + np.asarray(3, dtype) * x)


@given(n=st.integers(1, 5000))
def test_block_sum(mod: ca.Module, n: int) -> None:
    x = np.random.default_rng(n).integers(-1000, 1000, n)
    blocks = -(-n // 128)
    out = ca.empty(blocks, "int64")
    mod.block_sum[128,][blocks, 128](ca.asarray(x), out, n)
    np.testing.assert_array_equal(np.asarray(out), np.add.reduceat(x, np.arange(0, n, 128)))


@pytest.mark.parametrize("n", [1, 16, 50])
def test_tiled_matmul(mod: ca.Module, n: int) -> None:
    a, b = np.random.default_rng(n).integers(0, 10, (2, n, n)).astype("float32")
    out = ca.zeros((n, n), "float32")
    mod.tiled_matmul[16,][(-(-n // 16),) * 2, (16, 16)](ca.asarray(a), ca.asarray(b), out, n)
    np.testing.assert_array_equal(np.asarray(out), a @ b)


def test_dynamic_shared_memory(mod: ca.Module) -> None:
    x = ca.arange(200, dtype="float32")
    mod.reverse[1, 200, None, 800](x)
    np.testing.assert_array_equal(np.asarray(x), np.arange(200)[::-1])


@pytest.mark.parametrize(("grid", "block"), [(7, 5), ((2, 3), (4, 5)), ((2, 3, 4), (2, 3, 4)), ((3,), (2, 2))])
def test_every_thread_of_the_grid_runs_once(mod: ca.Module, grid: object, block: object) -> None:
    count = int(np.prod(grid) * np.prod(block))
    out = ca.zeros(count, "int32")
    mod.places[grid, block](out)
    np.testing.assert_array_equal(np.asarray(out), np.arange(count))


def test_atomics(mod: ca.Module) -> None:
    x = np.random.default_rng(0).integers(0, 256, 100_000).astype("uint8")
    counts = ca.zeros(256, "uint32")
    mod.histogram[20, 128](ca.asarray(x), counts, x.size)
    np.testing.assert_array_equal(np.asarray(counts), np.bincount(x, minlength=256))


def test_overloads(mod: ca.Module) -> None:
    single, double, other = ca.zeros(1, "float32"), ca.zeros(1), ca.zeros(1)
    mod.overloaded[1, 1](single)
    mod.overloaded[1, 1](double)
    mod.overloaded[1, 1](double, other)
    assert (float(single[0]), float(double[0]), float(other[0])) == (1, 2, 3)


def test_namespaces_and_functors(mod: ca.Module) -> None:
    x = ca.arange(10)
    mod.map["deep::Square"][1, 32](x, 10)
    np.testing.assert_array_equal(np.asarray(x), np.arange(10) ** 2)


def test_template_arguments_by_dtype_name_and_type(mod: ca.Module) -> None:
    for argument, name in [
        ("float", "fill<float>"),
        (np.float32, "fill<float>"),
        (np.dtype("int8"), "fill<signed char>"),
        ("float32", "fill<float>"),
        ("uint16", "fill<unsigned short>"),
        (int, "fill<long>"),
    ]:
        out = ca.zeros(4, "float64")
        kernel = mod.fill[argument]
        kernel[1, 1](1, out, 1)
        assert [instance.name for instance in kernel.instances] == [name]


def test_scalars_take_the_type_that_arrays_give(mod: ca.Module) -> None:
    kernel = mod.axpy
    kernel[1, 1](2, ca.ones(1, "float32"), ca.ones(1, "float32"), 1)
    kernel[1, 1](np.float64(2.5), ca.ones(1), ca.ones(1), np.int32(1))
    assert {"axpy<float>", "axpy<double>"} <= {instance.name for instance in kernel.instances}
    out = ca.zeros(2)
    mod.fill[1, 1](2.5, out, 2)  # nothing else says what T is: a Python float is a double
    assert out.tolist() == [2.5, 2.5]


def test_every_kind_of_scalar(mod: ca.Module) -> None:
    out = ca.zeros(11)
    mod.scalars[1, 1](True, -3, 60000, -5, 2**40, 1.5, 2.25, 1 + 2j, np.complex128(3 - 4j), out)
    assert out.tolist() == [1, -3, 60000, -5, 2**40, 1.5, 2.25, 1, 2, 3, -4]


def test_float16(mod: ca.Module) -> None:
    x = ca.arange(8, dtype="float16")
    mod.halves[1, 8](x)
    assert x.tolist() == [0, 2, 4, 6, 8, 10, 12, 14]


def test_variadic(mod: ca.Module) -> None:
    a, b = ca.zeros(3, "int8"), ca.zeros(3, "float64")
    mod.ones[1, 1](3, a, b)
    assert a.tolist() == b.tolist() == [1, 1, 1]


def test_c_linkage_and_long_long(mod: ca.Module) -> None:
    x = ca.zeros(1, "int64")
    mod.c_linkage[1, 1](x)
    assert x.tolist() == [5]


def test_views_are_passed_by_their_first_element(mod: ca.Module) -> None:
    x = ca.zeros(10, "float32")
    mod.axpy[1, 32](1, ca.ones(3, "float32"), x[4:], 3)
    assert x.tolist() == [0] * 4 + [1] * 3 + [0] * 3


def test_same_name_other_source() -> None:
    x = ca.zeros(1, "int32")
    for value in (1, 2, 1):
        mod = ca.cudadef(f"__global__ void set(int* x) {{ x[0] = {value}; }}", name="cell")
        mod.set[1, 1](x)
        assert x.tolist() == [value]


def test_the_same_source_twice_is_one_module() -> None:
    source = "__global__ void same(int* x) { x[0] += 1; }"
    x = ca.zeros(1, "int32")
    for name in (None, None, "named"):
        ca.cudadef(source, name=name).same[1, 1](x)
    assert x.tolist() == [3]


def test_includes_under_conditions() -> None:
    mod = ca.cudadef("""
    #ifdef NOT_DEFINED_ANYWHERE
    #include <not_there.h>
    #endif
    namespace inner { __global__ void f(int* x) { x[0] = __LINE__; } }
    """)
    x = ca.zeros(1, "int32")
    mod.f[1, 1](x)
    assert x.tolist() == [5]


def test_own_headers(tmp_path) -> None:
    (tmp_path / "own.h").write_text("template <class T> __device__ T twice(T x) { return x + x; }\n")
    mod = ca.cudadef('#include "own.h"\n__global__ void f(int* x) { x[0] = twice(x[0]); }', include_dirs=[tmp_path])
    x = ca.full(1, 21, "int32")
    mod.f[1, 1](x)
    assert x.tolist() == [42]


def test_documentation(mod: ca.Module) -> None:
    assert mod.axpy.__doc__ == "template <class T> void axpy(T a, const T* x, T* y, long n)\n\ny += a * x"
    assert "axpy" in dir(mod)
    assert repr(mod.axpy) == "<kernel axpy of test_kernels>"


WARPS = """
__global__ void warp_sums(const float* x, float* out) {
  float sum = x[blockIdx.x * 32 + threadIdx.x];
  for (int delta = 16; delta > 0; delta /= 2) sum += __shfl_down_sync(0xffffffff, sum, delta);
  if (threadIdx.x == 0) out[blockIdx.x] = sum;
}
"""


def test_what_warps_do_together() -> None:
    mod = ca.cudadef(WARPS, name="warps")
    x, out = ca.arange(128, dtype="float32"), ca.zeros(4, "float32")
    mod.warp_sums[4, 32](x, out)
    np.testing.assert_array_equal(np.asarray(out), np.arange(128).reshape(4, 32).sum(1))


def test_bit_functions_and_fast_math() -> None:
    mod = ca.cudadef("""
    __global__ void f(int* bits, float* values) {
      bits[0] = __popc(255u), bits[1] = __clz(1), bits[2] = __ffs(8), bits[3] = int(__brev(1u) >> 31);
      bits[4] = min(3, 4), bits[5] = max(3, 4);
      values[0] = __expf(1.0f), values[1] = rsqrtf(4.0f), values[2] = __fdividef(1.0f, 4.0f), values[3] = fmaf(2, 3, 4);
      sincosf(0.0f, &values[4], &values[5]);
    }""")
    bits, values = ca.zeros(6, "int32"), ca.zeros(6, "float32")
    mod.f[1, 1](bits, values)
    assert bits.tolist() == [8, 31, 4, 1, 3, 4]
    np.testing.assert_allclose(np.asarray(values), [np.e, 0.5, 0.25, 10, 0, 1], rtol=1e-5)


# ---- errors


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        (lambda x: (2, x, x), TypeError, "takes 4 arguments, 3 were given"),
        (lambda x: (2, x, 3.0, 4), TypeError, "argument y must be an array"),
        (lambda x: (2, "x", x, 4), TypeError, "argument x must be an array or a scalar, not an object of type str"),
        (lambda x: (2, x, ca.ones(4), 4), TypeError, "conflicting types for parameter 'T'"),
        (lambda x: (2, x, ca.broadcast_to(x, (2, 4)), 4), TypeError, "const"),
        (lambda x: (2, x, x, 1.5), TypeError, "argument n must be an integer"),
        (lambda x: (2, x, x, x), TypeError, "argument n must be a scalar"),
        (lambda x: (2, x, x, 2**63), OverflowError, "argument n: 9223372036854775808 does not fit int64"),
        (lambda x: (2j, x, x, 4), TypeError, "argument a must be real"),
    ],
)
def test_bad_arguments(mod: ca.Module, arguments, error: type[Exception], match: str) -> None:
    x = ca.ones(4, "float32")
    with pytest.raises(error, match=match):
        mod.axpy[1, 4](*arguments(x))
    mod.axpy[1, 4](2, x, x, 4)  # everything goes on
    assert x.tolist() == [3, 3, 3, 3]


@pytest.mark.parametrize(
    ("configuration", "error", "match"),
    [
        ((1, 5000), ca.LaunchError, "block"),
        ((1, (32, 64)), ca.LaunchError, "2048 threads"),
        ((0, 1), ca.LaunchError, "grid.x is 0"),
        (((1, 70000), 1), ca.LaunchError, "grid.y is 70000"),
        ((1, (1, 1, 1, 1)), ValueError, "block must have one to three extents"),
        (((1.5,), 1), TypeError, "grid must be an int or a tuple"),
        ((1, 1, 0, 10**9), ca.LaunchError, "shared is 1000000000 bytes"),
        ((1, 1, 0, 0, 0), TypeError, "at most four"),
    ],
)
def test_bad_launches(mod: ca.Module, configuration, error: type[Exception], match: str) -> None:
    with pytest.raises(error, match=match):
        mod.axpy[configuration]


def test_a_source_that_does_not_compile() -> None:
    with pytest.raises(ca.CompileError, match=r"mine:2:.*undeclared identifier 'missing'"):
        ca.cudadef("__global__ void f(int* x) {\n  *x = missing;\n}", name="mine")


def test_an_instance_that_does_not_compile() -> None:
    mod = ca.cudadef("template <class T> __global__ void f(T* x) {\n  x->nothing();\n}", name="mine")
    with pytest.raises(ca.CompileError, match=r"mine(:|\()2"):
        mod.f[1, 1](ca.zeros(1))
    x = ca.ones(3)
    assert float((x + x).sum()) == 6


REFUSED_FIRST = r"""
import numpy as np, pytest
import cuarray as ca

BODY = "x(0, 0) = s.a; q[0] = T(3); atomicAdd(&q[1], T(2)); y[0] = rsqrt(4.0) + __popc(7);"
KERNEL = "template <class T> __global__ void f(ca::view<T, 2> x, S s, ca::span<T> q, double* y, float2 v) { %s }"
pair = np.zeros((), [("a", "i4"), ("b", "f4")])
pair["a"] = 7


def launch(body):
    x, q, y = ca.zeros((1, 2)), ca.zeros(3), ca.zeros(1)
    source = "struct S { int a; float b; };" + KERNEL % body
    ca.cudadef(source).f[1, 1](x, pair[()], q, y, ca.float2(1, 2))
    return x.tolist(), q.tolist(), y.tolist()


for refused in ("x.nothing();", BODY + "s.nothing();", "q[0] = missing;"):
    with pytest.raises(ca.CompileError):
        launch(refused)
    assert launch(BODY + "/* " + refused[-20:] + " */") == ([[7, 0]], [3, 2, 0], [3.5])
"""


def test_what_a_refused_kernel_used_first_can_be_used() -> None:
    """In a process whose first kernel does not compile, the next ones do what they should."""
    done = subprocess.run([sys.executable, "-c", REFUSED_FIRST], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stdout + done.stderr


def test_misuse(mod: ca.Module) -> None:
    with pytest.raises(AttributeError, match="no kernel 'nothing'; it has"):
        _ = mod.nothing
    with pytest.raises(TypeError, match="a kernel is launched on a grid of blocks"):
        mod.axpy(1)
    with pytest.raises(TypeError, match="is no template"):
        mod.reverse["float"]
    with pytest.raises(TypeError, match="template argument"):
        mod.axpy[object()]
    with pytest.raises(TypeError, match="source must be a str"):
        ca.cudadef(b"")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(mod.axpy)


def test_threads_define_and_launch_at_once() -> None:
    def work(number: int) -> None:
        for value in range(5):
            mod = ca.cudadef(
                f"template <class T> __global__ void set(T* x) {{ x[threadIdx.x] = {number * 100 + value}; }}"
            )
            x = ca.zeros(16, ("int32", "float64")[value % 2])
            mod.set[1, 16](x)
            assert x.tolist() == [number * 100 + value] * 16

    in_threads(6, work)
