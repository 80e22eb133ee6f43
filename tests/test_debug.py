"""`cuarray.debug`: every kind of mistake is reported where it is made, and correct kernels are left in peace."""

from __future__ import annotations

import itertools
import os
import pickle
import shutil
import subprocess
import sys
import warnings
from collections.abc import Iterator

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray._kernel import debug
from cuarray._kernel.instrument import instrument


@pytest.fixture(autouse=True)
def _nothing_is_left_out(request: pytest.FixtureRequest) -> Iterator[None]:
    """Every source here is instrumented in full: a warning says that one was not."""
    if ca.cuda.is_available() and not request.node.get_closest_marker("gpu"):
        pytest.skip("kernels are checked on the host backend")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def caught(source: str, *values: object, grid: object = 1, block: object = 32, shared: int = 0) -> ca.DebugError:
    """The error of a source's only kernel, whose lines are numbered from 1."""
    name = "cell"
    (kernel,) = ca.cudadef(source.strip("\n"), name=name)
    with ca.debug(), pytest.raises(ca.DebugError) as error:
        kernel[grid, block, None, shared](*values)
    found = error.value
    assert found.kernel == kernel.__name__
    assert found.file == name
    line = source.strip("\n").splitlines()[found.line - 1].strip()
    assert str(found).endswith(f", in block {found.block}, thread {found.thread}, at {name}:{found.line}: {line}")
    assert str(found).startswith(f"{kernel.__name__}: ")
    return found


def place(error: ca.DebugError) -> tuple[str, tuple[int, int, int], tuple[int, int, int], int]:
    return error.kind, error.block, error.thread, error.line


# ---- bounds
INDEX = """
__global__ void scale(float* x, int shift) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  int unused = 0;
  x[i + shift] *= 2;
}
"""


@pytest.mark.parametrize("make", [ca.ones, np.ones])
def test_an_index_out_of_bounds(make: type) -> None:
    error = caught(INDEX, make(1000, "float32"), 0, grid=4, block=256)
    assert place(error) == ("bounds", (3, 0, 0), (232, 0, 0), 4)
    assert "out of bounds: x[1000] of 1000 elements, " in str(error)
    assert isinstance(error, ca.CudaError)
    assert error.other_thread is None
    assert error.other_line is None


@given(size=st.integers(1, 90), start=st.integers(0, 20), step=st.sampled_from([1, 2, -1]), shift=st.integers(-5, 5))
def test_exactly_the_elements_of_the_array_are_in_bounds(size: int, start: int, step: int, shift: int) -> None:
    """Of a view, the bytes from its first element in memory to its last, as a pointer's indices know no strides."""
    base = ca.ones(120, "float32")
    view = base[start : start + size : step] if step > 0 else base[start : start + size][::-1]
    mod = ca.cudadef(INDEX, name="drawn")
    low = 0 if step > 0 else 1 - len(view)
    high = (len(view) - 1) * step + 1 if step > 0 else 1
    bad = [i for i in range(32) if not low <= i + shift < high]
    with ca.debug():
        if bad:
            with pytest.raises(ca.DebugError) as error:
                mod.scale[1, 32](view, shift)
            assert error.value.thread == (bad[0], 0, 0)
            assert f"x[{bad[0] + shift}]" in str(error.value)
        else:
            mod.scale[1, 32](view, shift)


def test_the_thread_is_known_in_three_dimensions() -> None:
    source = """
__global__ void places(int* out) {
  int block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
  int thread = (threadIdx.z * blockDim.y + threadIdx.y) * blockDim.x + threadIdx.x;
  out[block * 24 + thread] = 1;
}
"""
    error = caught(source, ca.zeros(100, "int32"), grid=(2, 2, 2), block=(2, 3, 4))
    assert place(error) == ("bounds", (0, 0, 1), (0, 2, 0), 4)


BOUNDS = {
    "pointer": ("const float* row = x + 4 * 2;\n  y[0] = row[2];", 3, "row[2] is element 10 of 10 elements"),
    "far pointer": ("const float* row = x + 4000;\n  y[0] = row[2];", 3, "row[2] is element 4002 of 10 elements"),
    "dereferenced": ("y[0] = *(x + 10);", 2, "(x + 10)[0] is element 10 of 10 elements"),
    "incremented": ("const float* p = x;\n  while (true) y[0] = *p++;", 3, "(p++)[0] is element 10 of 10 elements"),
    "negative": ("y[0] = x[int(threadIdx.x) - 1];", 2, "x[-1] of 10 elements"),
    "local array": ("float a[3] = {1, 2, 3};\n  y[0] = a[threadIdx.x];", 3, "a[3] of 3 elements"),
    "shared array": ("__shared__ float a[2][3];\n  a[1][threadIdx.x] = 0;", 3, "a[1][3] of 3 elements"),
    "dynamic": ("extern __shared__ double d[];\n  d[threadIdx.x] = 0;", 3, "d[4] of 4 elements"),
    "atomic": ("atomicAdd(&y[threadIdx.x], 1);", 2, "y[3] of 3 elements"),
    "atomic of a sum": ("atomicAdd(y + threadIdx.x, 1);", 2, "(y + threadIdx.x)[0] is element 3 of 3 elements"),
    "null": ("y[0] = z[3];", 2, "z[3], where z is a null pointer"),
    "second line": ("y[0] = x[0] +\n    x[11];", 3, "x[11] of 10 elements"),
    "loop": ("for (int i = 0;; ++i)\n    if (i >= 0) y[i] = 1;", 3, "y[3] of 3 elements"),
    "lambda": ("auto f = [&](int i) {\n    return x[i];\n  };\n  y[0] = f(10);", 3, "x[10] of 10 elements"),
    "nowhere": ("float* p = (float*)4096;\n  y[0] = 1;\n  p[0] = 1;", 4, "no memory at address 0x1000"),
    "switch": ("switch (threadIdx.x) {\n    case 0: y[3] = 1; break;\n    default: y[0] = 1;\n  }", 3, "y[3] of 3"),
}  # fmt: skip


@pytest.mark.parametrize("name", BOUNDS)
def test_bounds_of(name: str) -> None:
    body, line, text = BOUNDS[name]
    error = caught(
        f"__global__ void f(const float* x, float* y, const float* z) {{\n  {body}\n}}",
        ca.ones(10, "float32"), ca.ones(3, "float32"), None, shared=32,
    )  # fmt: skip
    assert (error.kind, error.block, error.line) == ("bounds", (0, 0, 0), line)
    assert f"out of bounds: {text}" in str(error)


def test_device_functions_headers_and_members(tmp_path: object) -> None:
    (tmp_path / "part.cuh").write_text(  # type: ignore[operator]
        "template <class T> struct Reader {\n  const T* p;\n  __device__ T get(int i) const {\n"
        "    return p[i];\n  }\n};\n"
    )
    mod = ca.cudadef(
        '#include "part.cuh"\n'
        "__global__ void f(const int* x, int* y) {\n  Reader<int> r{x};\n  y[0] = r.get(threadIdx.x);\n}",
        name="user",
        include_dirs=[tmp_path],  # type: ignore[list-item]
    )
    with ca.debug(), pytest.raises(ca.DebugError) as error:
        mod.f[1, 8](ca.ones(5, "int32"), ca.ones(1, "int32"))
    assert place(error.value) == ("bounds", (0, 0, 0), (5, 0, 0), 4)
    assert error.value.file == "part.cuh"
    assert str(error.value).endswith("at part.cuh:4: return p[i];")


def test_views_and_spans() -> None:
    error = caught(
        "__global__ void f(ca::view<float, 2> v, ca::span<const float> s) {\n  v(1, threadIdx.x) = s[0];\n}",
        ca.ones((2, 5), "float32"), ca.ones(3, "float32"),
    )  # fmt: skip
    assert place(error) == ("bounds", (0, 0, 0), (5, 0, 0), 2)
    assert "index 5 for axis 1 with 5 elements" in str(error)
    error = caught(
        "__global__ void f(ca::view<float, 2> v, ca::span<const float> s) {\n\n  v(1, 0) = s[threadIdx.x];\n}",
        ca.ones((2, 5), "float32"), ca.ones(3, "float32"),
    )  # fmt: skip
    assert place(error) == ("bounds", (0, 0, 0), (3, 0, 0), 3)


# ---- barriers
@pytest.mark.parametrize(
    ("body", "thread", "line", "other", "other_line", "arrived"),
    [
        ("if (threadIdx.x >= 20)\n    return;\n  __syncthreads();", 0, 4, 20, 3, 20),
        ("if (threadIdx.x == 31)\n    __syncthreads();", 31, 3, 0, 2, 1),
        ("if (threadIdx.x % 2) {\n    __syncthreads();\n  } else {\n    __syncthreads();\n  }", 0, 5, 1, 3, 16),
        ("if (threadIdx.x < 16) __syncwarp();\n  else\n    __syncthreads();", 16, 4, 0, 2, 16),
    ],
)  # fmt: skip
def test_a_barrier_for_a_part_of_the_block(
    body: str, thread: int, line: int, other: int, other_line: int, arrived: int
) -> None:
    error = caught(f"__global__ void f(float* x) {{\n  {body}\n}}", ca.ones(4, "float32"))
    assert place(error) == ("barriers", (0, 0, 0), (thread, 0, 0), line)
    assert (error.other_thread, error.other_line) == ((other, 0, 0), other_line)
    assert f"reached by {arrived} of 32 threads" in str(error)


# ---- races
@pytest.mark.parametrize(
    ("body", "thread", "line", "other", "other_line"),
    [
        ("__shared__ int s[32];\n  s[i] = i;\n  x[i] = s[i ^ 1];", 1, 4, 0, 5),
        ("__shared__ int s;\n  if (i == 3)\n    s = i;\n  x[i] = s;", 3, 5, 2, 6),
        ("__shared__ int s;\n  s = i;", 1, 4, 0, 4),
        ("extern __shared__ int s[];\n  s[i] = 1;\n  __syncthreads();\n  if (i < 16) s[i] += s[i + 15];", 15, 6, 0, 6),
        ("__shared__ int s[32];\n  int* p = s;\n  p[i] = 1;\n  __syncthreads();\n  x[i] = ++p[i / 2];", 1, 7, 0, 7),
    ],
)  # fmt: skip
def test_a_race(body: str, thread: int, line: int, other: int, other_line: int) -> None:
    source = f"__global__ void f(int* x) {{\n  int i = threadIdx.x;\n  {body}\n}}"
    error = caught(source, ca.ones(32, "int32"), shared=128)
    assert place(error) == ("races", (0, 0, 0), (thread, 0, 0), line)
    assert (error.other_thread, error.other_line) == ((other, 0, 0), other_line)


def test_no_race() -> None:
    mod = ca.cudadef("""
struct Pair { int a, b; };
__global__ void f(int* x) {
  __shared__ int flag, counts[4];
  __shared__ Pair pairs[32];
  __shared__ volatile int seen;
  int i = threadIdx.x;
  flag = 1;                                        // all write the same
  seen = i;
  if (i < 4) counts[i] = 0;
  (i % 2 ? pairs[i / 2].a : pairs[i / 2].b) = i;   // different members
  __syncthreads();
  atomicAdd(&counts[i % 4], 1);
  __syncthreads();
  x[i] = counts[i % 4] + flag;
  __syncwarp();
  pairs[i].a = i;
  __syncwarp();
  x[i] += pairs[i ^ 1].a - i;                      // within a warp
  if (i == 0) { __shared__ int alone; alone = 1; x[0] += alone - 1; }
}""")
    x = ca.zeros(32, "int32")
    with ca.debug():
        mod.f[3, 32](x)
    i = np.arange(32)
    np.testing.assert_array_equal(np.asarray(x), 9 + (i ^ 1) - i)


def test_what_a_lock_protects_is_no_race() -> None:
    mod = ca.cudadef("""
constexpr __device__ int twice(int n) { int r = 0; for (int i = 0; i < n; ++i) r += 2; return r; }
__global__ void f(int* x) {
  __shared__ int lock, sum, sizes[twice(2)];
  if (threadIdx.x == 0) lock = sum = sizes[twice(1)] = 0;
  __syncthreads();
  while (atomicCAS(&lock, 0, 1) != 0) {}
  sum += threadIdx.x;
  __threadfence_block();
  atomicExch(&lock, 0);
  __syncthreads();
  x[threadIdx.x] = sum;
}""")
    x = ca.zeros(64, "int32")
    with ca.debug():
        mod.f[1, 64](x)
    assert np.asarray(x).tolist() == [64 * 63 // 2] * 64


@given(sizes=st.lists(st.integers(1, 3), min_size=2, max_size=4), data=st.data())
def test_pointers_of_unknown_origin_are_looked_up_by_address(sizes: list[int], data: st.DataObject) -> None:
    """In parts of one array, one after another: a pointer at the end of one may be meant for the next."""
    mod = ca.cudadef("""
struct Holder { int* p; };
__device__ int get(Holder h, int i) { return h.p[i]; }
template <class... T> __global__ void f(int* out, int at, int i, T*... parts) {
  int* p[] = {parts...};
  Holder h{p[0] + at};
  out[0] = get(h, i);
}""")
    ends = np.cumsum([0, *sizes])
    total = int(ends[-1])
    base = ca.arange(100, dtype="int32")
    parts = [base[50 + a : 50 + b] for a, b in itertools.pairwise(ends)]
    at = data.draw(st.integers(0, total))
    i = data.draw(st.integers(-at, total - 1 - at))
    holding = [(a, b) for a, b in itertools.pairwise(ends) if a <= at < b]
    before = [a for a, b in itertools.pairwise(ends) if b == at and a < b]
    out = ca.zeros(1, "int32")
    with ca.debug():
        if not holding or min([holding[0][0], *before]) <= at + i < holding[0][1]:
            mod.f[1, 1](out, at, i, *parts)
            assert out.item() == 50 + at + i
        else:
            with pytest.raises(ca.DebugError):
                mod.f[1, 1](out, at, i, *parts)


# ---- NaN
@pytest.mark.skipif(os.uname().machine != "x86_64", reason="only there do processors report it")
@pytest.mark.parametrize(
    ("expression", "first"),
    [("sqrtf(3 - v)", 4), ("v / v", 0), ("logf(1 - v)", 2), ("1 / (v - 5) - 1 / (v - 5)", 5)],
)
def test_a_nan_is_produced(expression: str, first: int) -> None:
    source = f"""
__device__ float g(float v) {{ return v; }}
__global__ void f(float* x) {{
  float v = g(threadIdx.x);
  x[threadIdx.x] = {expression};
}}
"""
    error = caught(source, ca.zeros(32, "float32"))
    assert place(error) == ("nan", (0, 0, 0), (first, 0, 0), 4)
    (kernel,) = ca.cudadef(source)
    with ca.debug(nan=False):
        kernel[1, 32](ca.zeros(32, "float32"))


def test_a_nan_that_was_there_is_none_that_is_produced() -> None:
    mod = ca.cudadef("""
__global__ void f(const float* x, float* y, int* n) {
  float v = x[threadIdx.x];
  y[0] = v + 1; y[1] = v < 2; y[2] = fmaxf(v, 1); y[3] = sinf(v) * sqrtf(v); y[4] = fminf(v, 2); y[5] = 1 / (v - v + 0);
  n[0] = (int)(v * 1e30f);
  n[1] = (unsigned)v;
}""")
    with ca.debug():
        mod.f[1, 1](ca.full(1, np.nan, "float32"), ca.zeros(6, "float32"), ca.zeros(2, "int32"))
        mod.f[1, 1](ca.full(1, 3e9, "float32"), ca.zeros(6, "float32"), ca.zeros(2, "int32"))


def test_integer_division_by_zero() -> None:
    error = caught("__global__ void f(int* x, int n) {\n  x[0] = 1;\n  x[1] = 3 / n;\n}", ca.zeros(2, "int32"), 0)
    assert place(error) == ("division", (0, 0, 0), (0, 0, 0), 3)


# ---- the mode
def test_the_mode_begins_and_ends() -> None:
    mod = ca.cudadef("__global__ void late(int* x, int n) { if (n >= 0) x[n] = 1; }", name="mode")
    x = ca.zeros(8, "int32")
    run = mod.late[1, 1]
    run(x, 3)  # now there is a pattern for it
    with ca.debug():
        run(x, 4)
        with pytest.raises(ca.DebugError):
            run(x, 8)
        with ca.debug(False):
            assert debug.current() is None
        with ca.debug(bounds=False):
            assert debug.current() == debug.Checks(bounds=False)
        assert debug.current() == debug.Checks()
    assert debug.current() is None
    run(x, 5)
    ca.debug(True)
    try:
        with pytest.raises(ca.DebugError) as error:
            run(x, 9)
    finally:
        ca.debug(False)
    assert debug.current() is None
    assert np.asarray(x).tolist() == [0, 0, 0, 1, 1, 1, 0, 0]
    again = pickle.loads(pickle.dumps(error.value))
    assert str(again) == str(error.value)
    assert again.line == error.value.line
    with pytest.raises(TypeError, match="enabled must be True or False"):
        ca.debug("yes")  # type: ignore[arg-type]


def test_checks_can_be_chosen() -> None:
    mod = ca.cudadef("""__global__ void f(int* x) {
  __shared__ int s;
  s = threadIdx.x;
  if (threadIdx.x < 16) return;
  __syncthreads();
  x[0] = 1;
}""")
    for races, barriers, kind in ((True, True, "races"), (False, True, "barriers"), (False, False, "")):
        with ca.debug(races=races, barriers=barriers):
            if kind:
                with pytest.raises(ca.DebugError) as error:
                    mod.f[1, 32](ca.zeros(1, "int32"))
                assert error.value.kind == kind
            else:
                mod.f[1, 32](ca.zeros(1, "int32"))


def test_variables_are_those_of_the_module() -> None:
    mod = ca.cudadef("""__constant__ float factor; __device__ int calls;
__global__ void f(float* x) { x[threadIdx.x] *= factor; atomicAdd(&calls, 1); }""")
    mod.factor[...] = 3
    x = ca.ones(4, "float32")
    mod.f[1, 4](x)
    with ca.debug():
        mod.f[1, 4](x)
    assert np.asarray(x).tolist() == [9, 9, 9, 9]
    assert mod.calls.item() == 8


def test_the_environment_begins_with_it() -> None:
    script = """
import cuarray as ca
mod = ca.cudadef("__global__ void f(int* x) { x[threadIdx.x] = 1; }")
try: mod.f[1, 32](ca.zeros(8, "int32"))
except ca.DebugError as error: print(error)
"""
    environment = {**os.environ, "CUARRAY_DEBUG": "1", "CUARRAY_BACKEND": "host"}
    done = subprocess.run([sys.executable, "-c", script], env=environment, capture_output=True, text=True)
    assert "x[8] of 8 elements, in block (0, 0, 0), thread (8, 0, 0)" in done.stdout, done.stderr


@pytest.mark.gpu
def test_on_the_gpu_the_mode_says_what_to_do() -> None:
    mod = ca.cudadef("__global__ void f(int* x) { x[0] = 1; }")
    x = ca.zeros(1, "int32")
    with ca.debug(), pytest.raises(ca.CudaError, match="CUARRAY_BACKEND=host"):
        mod.f[1, 1](x)
    mod.f[1, 1](x)
    assert x.item() == 1


# ---- the text
def test_a_source_that_cannot_be_rewritten_runs_all_the_same() -> None:
    """A bit-field has no address to note; what does without addresses is still checked."""
    mod = ca.cudadef("""struct Bits { unsigned low : 4, high : 4; };
__global__ void f(float* x, void* given, int n) {
  Bits* bits = (Bits*)given;
  x[0] *= 2;
  bits[0].low = 3;
  x[1] = 3 / n;
}""")
    x, bits = ca.ones(2, "float32"), ca.zeros(1, "int32")
    with ca.debug(), pytest.warns(RuntimeWarning, match=r"does not check all of f \(races, bounds of pointers"):
        mod.f[1, 1](x, bits, 1)
    assert np.asarray(x).tolist() == [2, 3]
    with ca.debug(), pytest.raises(ca.DebugError) as error:
        mod.f[1, 1](x, bits, 0)
    assert place(error.value) == ("division", (0, 0, 0), (0, 0, 0), 6)


def test_what_is_rewritten() -> None:
    text = "__global__ void f(float* x, int n) {\n  float a[4], *b = x;\n  if (n)\n    a[n] = -*b * 2;\n}\n"
    out = instrument(text)
    assert out.count("\n") == text.count("\n")
    assert 'subscript<-1>(a, "a")[n]) = ' in out
    assert 'pointee<0>(b, "b"))' in out
    assert "float a[4], *b = x;" in out
    plain = "#define N 3\nstruct S { int a[N]; };\nconstexpr int t[] = {1, 2};\n// x[i] = 1;\n"
    assert instrument(plain) == plain


# ---- gdb
@pytest.mark.skipif(shutil.which("gdb") is None, reason="gdb is not installed")
def test_gdb_stops_in_the_line_of_a_kernel(tmp_path: object) -> None:
    script = tmp_path / "script.py"  # type: ignore[operator]
    script.write_text('''
import cuarray as ca
mod = ca.cudadef("""__global__ void twice(float* x, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  float v = 2 * i;
  if (i < n)
    x[i] += v;
}
""", name="stops.cu")
with ca.debug():
    mod.twice[2, 4](ca.ones(8, "float32"), 8)
''')
    commands = (
        "set breakpoint pending on", "set confirm off", "break stops.cu:5 if i == 6", "run", "print i", "print v",
        "print ca::host::current()->threadIdx", "backtrace 1", "kill",
    )  # fmt: skip
    arguments = [part for command in commands for part in ("-ex", command)]
    done = subprocess.run(
        ["gdb", "--batch", *arguments, "--args", sys.executable, str(script)],
        env={**os.environ, "CLING_DEBUG": "1", "CUARRAY_BACKEND": "host"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    if "ptrace" in done.stderr:
        pytest.skip("processes may not be traced here")
    assert "$1 = 6" in done.stdout, done.stdout + done.stderr
    assert "$2 = 12" in done.stdout
    assert "$3 = {x = 2, y = 0, z = 0}" in done.stdout
    assert "::twice (x=" in done.stdout
    assert "at stops.cu:5" in done.stdout
