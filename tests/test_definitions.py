"""What cudadef accepts, how sources see each other, and what Python sees of a kernel."""

from __future__ import annotations

import inspect
import os
import re
import subprocess
import sys
from types import SimpleNamespace

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from process import in_threads

import cuarray as ca
from cuarray._kernel.declarations import read
from cuarray._runtime import Source, cling, nvrtc

# ---- reading declarations


def test_what_a_source_declares() -> None:
    contents = read("""
    #define N 16
    #ifdef MAYBE
    #define M 3
    #endif
    struct P { float x; };
    struct __align__(16) Q { int a; } q0;
    enum class Color { red }; enum { LEFT, RIGHT = 4 };
    template <class T> struct S {}; template <> struct S<int> {};
    using f4 = float4; typedef struct { int a; } T2;
    constexpr int K = 4, L[] = {1, 2};
    __constant__ float coeff[N];
    __device__ int a = 1, b[3] = {1, 2, 3};
    extern __device__ int elsewhere;
    namespace ns { __device__ double x; struct I {}; __global__ void g() {} }
    template <class T> __device__ T f(T x) { return x; }
    __device__ P operator+(P a, P b) { return a; }
    auto square = [] __device__ (float x) { return x * x; };
    template <class T> __global__ void k(T* x, int n = 3, const char* s = "a,b") { if (1) {} }
    template __global__ void k<float>(float*, int, const char*);
    template <> __global__ void k<double>(double* x, int, const char*) {}
    """)
    assert contents.names == {
        *("P", "Q", "Color", "LEFT", "RIGHT", "S", "f4", "T2", "K", "L", "coeff", "f", "square"),
    }
    assert contents.namespaces == {"ns"}
    assert contents.types == ["P", "Q", "Color", "ns::I"]
    assert contents.macros == {"N": "    #define N 16"}
    assert [(v.name, v.namespaces, v.constant) for v in contents.variables] == [
        ("coeff", (), True),
        ("a", (), False),
        ("b", (), False),
        ("x", ("ns",), False),
    ]
    assert [(k.name, [p.default for p in k.parameters]) for k in contents.kernels] == [
        ("g", []),
        ("k", ["", "3", '"a,b"']),
    ]


# ---- default arguments, template arguments


def test_default_arguments() -> None:
    mod = ca.cudadef("""
    #define SCALE 2.5
    namespace deep { __device__ constexpr int twice(int x) { return 2 * x; }
    template <class T> struct Default { static constexpr T value = T(7); };
    template <class T> __global__ void f(T* out, T a = Default<T>::value, const int b = twice(4), double c = SCALE) {
      out[0] = a; out[1] = b; out[2] = c;
    } }""")
    out = ca.zeros(3)
    mod.f[1, 1](out)
    assert out.tolist() == [7, 8, 2.5]
    mod.f[1, 1](out, 1)
    assert out.tolist() == [1, 8, 2.5]
    mod.f[1, 1](out, 1, 2, 3)
    assert out.tolist() == [1, 2, 3]
    with pytest.raises(TypeError, match="takes 4 arguments, 0 were given"):
        mod.f[1, 1]()

    @numba.njit
    def run(out):
        mod.f[1, 1](out, 5)

    run(out)
    assert out.tolist() == [5, 8, 2.5]


def test_functors_templates_and_lambdas_as_template_arguments() -> None:
    mod = ca.cudadef(
        """
        struct Add { int by; template <class T> __device__ T operator()(T x) const { return x + T(3); } };
        template <class T> struct Twice { __device__ T operator()(T x) const { return x + x; } };
        auto square = [] __device__ (float x) { return x * x; };
        template <class F, class T> __global__ void map(T* x) { x[threadIdx.x] = F{}(x[threadIdx.x]); }
        template <template <class> class F, class T> __global__ void map2(T* x) {
          x[threadIdx.x] = F<T>{}(x[threadIdx.x]);
        }
        """,
        std="c++20",
    )
    x = ca.asarray(np.array([1, 2, 3], "float32"))
    mod.map["Add"][1, 3](x)
    assert x.tolist() == [4, 5, 6]
    mod.map2["Twice"][1, 3](x)
    assert x.tolist() == [8, 10, 12]
    mod.map["decltype(square)"][1, 3](x)
    assert x.tolist() == [64, 100, 144]


# ---- options


def test_macros_from_options() -> None:
    mod = ca.cudadef("__global__ void f(int* x) { x[0] = N; x[1] = FLAG; }", options=["-DN=41+1", "-D FLAG"])
    x = ca.zeros(2, "int32")
    mod.f[1, 1](x)
    assert x.tolist() == [42, 1]
    other = ca.cudadef("__global__ void f(int* x) { x[0] = N; x[1] = FLAG; }", options=["-DN=1", "-D FLAG"])
    other.f[1, 1](x)
    assert x.tolist() == [1, 1]
    with pytest.raises(TypeError, match="options must be strings like '-DN=4'"):
        ca.cudadef("__global__ void f() {}", options="-DN=4")
    with pytest.raises(ValueError, match="std must be"):
        ca.cudadef("__global__ void f() {}", std="c++11")


def test_macros_do_not_leak() -> None:
    first = ca.cudadef(
        "#define CA_TEST_SIZE 3\n#define REAL float\n__global__ void f(REAL* x) { x[0] = CA_TEST_SIZE; }"
    )
    with pytest.raises(ca.CompileError, match="CA_TEST_SIZE"):
        ca.cudadef("__global__ void f(int* x) { x[0] = CA_TEST_SIZE; }")
    second = ca.cudadef("#define REAL double\ntemplate <class T> __global__ void f(REAL* x, T y) { x[0] = y; }")
    x, y = ca.zeros(1, "float32"), ca.zeros(1)
    second.f[1, 1](y, 2)
    first.f[1, 1](x)
    assert (x.tolist(), y.tolist()) == ([3], [2])


# ---- files, other sources


def test_cudafile(tmp_path) -> None:
    (tmp_path / "twice.h").write_text("template <class T> __device__ T twice_of(T x) { return x + x; }\n")
    path = tmp_path / "kernels.cu"
    x = ca.ones(1, "int32")
    for factor in (1, 5):
        path.write_text(f'#include "twice.h"\n__global__ void f(int* x) {{ x[0] = twice_of({factor}); }}')
        mod = ca.cudafile(path)
        mod.f[1, 1](x)
        assert x.tolist() == [2 * factor]
    assert mod.name == "kernels.cu"
    path.write_text("__global__ void f(int* x) {\n x[0] = ; }")
    with pytest.raises(ca.CompileError, match=r"kernels\.cu:2"):
        ca.cudafile(path)


def test_sources_see_each_other() -> None:
    ca.cudadef("""
    struct CellPoint { float x, y; };
    namespace geometry { template <class T> __device__ T cross(T a, T b, T c, T d) { return a * d - b * c; } }
    constexpr int cell_offset = 100;
    """)
    ca.cudadef("__device__ float cell_area(CellPoint p) { return geometry::cross(p.x, p.y, p.y, p.x); }")
    mod = ca.cudadef("""
    namespace geometry { __device__ float own(float x) { return x + cell_offset; } }
    __global__ void f(float* x) {
      x[0] = geometry::own(cell_area(CellPoint{x[0], x[1]})) + geometry::cross(1, 0, 0, 1);
    }
    """)
    x = ca.asarray(np.array([3, 2], "float32"))
    mod.f[1, 1](x)
    assert x.tolist() == [9 - 4 + 100 + 1, 2]


def test_headers_are_definitions(tmp_path) -> None:
    header = tmp_path / "shape.h"
    (tmp_path / "base.h").write_text(
        "#ifndef BASE_H\n#define BASE_H\n#define SIDES 4\nstruct Base { int a; };\n#endif\n"
    )
    x = ca.zeros(2, "int32")
    for area in (3, 7):
        header.write_text(f"""#pragma once
        #include "base.h"
        #include <cstdint>
        namespace shapes {{ struct Shape : Base {{ __device__ int area() const {{ return {area} * a; }} }};
        template <class T> __global__ void from_header(T* x) {{ x[1] = SIDES + {area}; }} }}""")
        for source in ("first", "second"):
            mod = ca.cudadef(
                f"""#include "shape.h"
                #include "base.h"
                __global__ void f(int* x) {{  // {source}
                  shapes::Shape s; s.a = SIDES; x[0] = s.area();
                }}""",
                include_dirs=[tmp_path],
            )
            mod.f[1, 1](x)
            mod.from_header[1, 1](x)
            assert x.tolist() == [4 * area, 4 + area]
    (tmp_path / "loop.h").write_text('#include "loop.h"')
    with pytest.raises(ca.CompileError, match=r"loop\.h includes itself"):
        ca.cudadef('#include "loop.h"', include_dirs=[tmp_path])


def test_redefinition_counts_for_what_comes_after() -> None:
    def cell(value: int) -> None:
        ca.cudadef(f"__device__ int cell_value() {{ return {value}; }}")

    user = "__global__ void f(int* x) { x[0] = cell_value(); }"
    x = ca.zeros(1, "int32")
    cell(1)
    first = ca.cudadef(user)
    cell(2)
    second = ca.cudadef(user)
    for mod, value in ((first, 1), (second, 2), (first, 1)):
        mod.f[1, 1](x)
        assert x.tolist() == [value]
    cell(1)
    third = ca.cudadef(user)
    third.f[1, 1](x)
    assert x.tolist() == [1]


def test_include_of_a_source_by_its_name() -> None:
    ca.cudadef("struct Included { int a; }; __device__ int of(Included i) { return i.a; }", name="included.cuh")
    mod = ca.cudadef('#include "included.cuh"\n__global__ void f(int* x) { x[0] = of(Included{__LINE__}); }')
    x = ca.zeros(1, "int32")
    mod.f[1, 1](x)
    assert x.tolist() == [2]


# ---- variables

VARIABLES = """
__constant__ float coefficients[4];
__constant__ int offset = 7;
namespace state { __device__ int counter; __device__ double grid[2][3] = {{1, 2, 3}, {4, 5, 6}}; }
template <class T> __global__ void apply(T* x) {
  x[threadIdx.x] = T(coefficients[threadIdx.x] + offset);
  atomicAdd(&state::counter, 1);
}
__global__ void scale_grid(int by) { state::grid[threadIdx.y][threadIdx.x] *= by; atomicAdd(&state::counter, 100); }
"""


def test_variables() -> None:
    mod = ca.cudadef(VARIABLES, name="variables")
    mod.counter[...] = 0
    assert (mod.coefficients.shape, mod.coefficients.dtype) == ((4,), np.float32)
    assert mod.offset.item() == 7 and mod.grid.shape == (2, 3)
    x, y = ca.zeros(4), ca.zeros(4, "float32")
    mod.coefficients[...] = [1, 2, 3, 4]
    mod.apply[1, 4](x)
    assert x.tolist() == [8, 9, 10, 11]
    mod.coefficients[1:3] = 0.5
    mod.offset[...] = 0
    mod.apply[1, 4](y)  # another instance sees the same variables
    assert y.tolist() == [1, 0.5, 0.5, 4]
    assert mod.counter.item() == 8
    mod.scale_grid[1, (3, 2)](10)
    np.testing.assert_array_equal(mod.grid[...], [[10, 20, 30], [40, 50, 60]])
    mod.apply[1, 4](x)
    assert mod.counter.item() == 8 + 600 + 4
    assert np.asarray(mod.grid)[1, 2] == 60 == mod.grid[1, 2]
    assert "__constant__ variable offset" in repr(mod.offset)
    with pytest.raises(ValueError, match="broadcast"):
        mod.coefficients[...] = [1, 2]
    with pytest.raises(IndexError):
        mod.coefficients[9] = 1


def test_variables_from_njit() -> None:
    mod = ca.cudadef(VARIABLES + "// njit\n")
    apply = mod.apply

    @numba.njit
    def run(x):
        apply[1, 4](x)

    x, y = ca.zeros(4), ca.zeros(4, "int64")
    mod.coefficients[...] = 1
    run(x)
    mod.coefficients[...] = 2
    run(y)  # compiles the program anew; the first njit function must use that one, too
    run(x)
    assert (x.tolist(), y.tolist(), mod.counter.item()) == ([9] * 4, [9] * 4, 12)


def test_constants_of_another_source() -> None:
    first = ca.cudadef(
        "__constant__ int shared_constant = 1; __device__ int get_constant() { return shared_constant; }"
        "__global__ void f(int* x) { x[0] = get_constant(); }"
    )
    second = ca.cudadef("__global__ void f(int* x) { x[0] = get_constant() * 10; }")
    x = ca.zeros(1, "int32")
    for value in (1, 4, 5):
        first.shared_constant[...] = value
        for mod, factor in ((first, 1), (second, 10)):
            mod.f[1, 1](x)
            assert x.tolist() == [value * factor]
    ca.cudadef("__device__ int own_state; __device__ int get_state() { return own_state; }", name="stateful")
    with pytest.raises(ca.CompileError, match="get_state is declared in stateful, whose __device__ variables"):
        ca.cudadef("__global__ void f(int* x) { x[0] = get_state(); }")


# ---- launches

IOTA = """
// Counts.
__global__ void iota(int* x, int n) {
  int i = (blockIdx.y * gridDim.x + blockIdx.x) * blockDim.x * blockDim.y + threadIdx.y * blockDim.x + threadIdx.x;
  if (i < n) x[i] = i;
}
template <class T> __global__ void fill(T* x, T value) { x[threadIdx.x] = value; }
"""


@given(n=st.integers(0, 3000), block=st.sampled_from([None, 1, 64, (8, 4), ca.dim3(16, 2)]))
def test_forall(n: int, block: object) -> None:
    mod = ca.cudadef(IOTA)
    x = ca.full(n, -1, "int32")
    mod.iota.forall(n, block)(x, n)
    np.testing.assert_array_equal(np.asarray(x), np.arange(n))


def test_dim3_and_defaults() -> None:
    assert ca.dim3(2) == (2, 1, 1) and ca.dim3(z=3).z == 3
    kernel = ca.cudadef(IOTA + "// defaults\n").iota
    x = ca.zeros(64, "int32")
    with pytest.raises(TypeError, match="a kernel is launched on a grid of blocks"):
        kernel(x, 64)
    kernel.__cuda_grid_dim__, kernel.__cuda_block_dim__ = ca.dim3(2, 2), (4, 4)
    kernel(x, 64)
    assert x.tolist() == list(range(64))
    kernel.__cuda_block_dim__ = 5000
    with pytest.raises(ca.LaunchError, match="block"):
        kernel(x, 64)
    with pytest.raises(ValueError, match="n must not be negative"):
        kernel.forall(-1)


def test_options_of_a_launch() -> None:
    kernel = ca.cudadef(IOTA).iota
    assert kernel.with_options() is kernel
    x = ca.zeros(64, "int32")
    kernel.with_options(cooperative=True)[4, 16](x, 64)
    assert x.tolist() == list(range(64))
    match = r"cluster\.x is 3; grid\.x, 4, must be a multiple" if ca.cuda.is_available() else "needs a GPU"
    with pytest.raises(ca.LaunchError, match=match):
        kernel.with_options(cluster=3)[4, 16]


@pytest.mark.gpu
def test_clusters() -> None:
    mod = ca.cudadef("""
    #include <cooperative_groups.h>
    __global__ void ranks(int* x) {
      if (threadIdx.x == 0) x[blockIdx.x] = cooperative_groups::this_cluster().block_rank();
    }
    __global__ void grid_sum(const int* x, int* partial, int* out) {
      atomicAdd(&partial[0], x[blockIdx.x]);
      cooperative_groups::this_grid().sync();
      out[blockIdx.x] = partial[0];
    }""")
    x, partial, out = ca.zeros(8, "int32"), ca.zeros(1, "int32"), ca.zeros(8, "int32")
    mod.ranks.with_options(cluster=4)[8, 32](x)
    assert x.tolist() == [0, 1, 2, 3] * 2
    mod.grid_sum.with_options(cooperative=True)[8, 1](x, partial, out)
    assert out.tolist() == [12] * 8


# ---- what Python sees of a kernel


def test_signature_documentation_and_completion() -> None:
    mod = ca.cudadef(IOTA, name="documented")
    assert str(inspect.signature(mod.iota)) == "(x: 'int*', n: 'int', /)"
    assert inspect.getdoc(mod.iota) == "void iota(int* x, int n)\n\nCounts."
    assert {"iota", "fill"} <= set(dir(mod))
    assert {"forall", "ptx", "__cuda_grid_dim__"} <= set(dir(mod.iota))
    assert [kernel.__name__ for kernel in mod] == ["iota", "fill"]


def test_instances_and_ptx() -> None:
    mod = ca.cudadef(IOTA + "// instances\n")
    assert ".entry" in mod.iota.ptx("sm_90") and ".target sm_90" in mod.iota.ptx("sm_90")
    assert "ld.param" in mod.iota.ptx()
    with pytest.raises(ValueError, match=r"fill.ptx is of one instance, and it has none"):
        mod.fill.ptx()
    x = ca.zeros(4, "float32")
    instance = mod.fill.compile(x, 1)
    assert x.tolist() == [0] * 4
    assert [i.name for i in mod.fill.instances] == ["fill<float>"] == [instance.name]
    assert "st.global" in instance.ptx("sm_90a")
    mod.fill.compile(ca.zeros(4), 1)
    with pytest.raises(ValueError, match="it has fill<float>, fill<double>"):
        mod.fill.attributes
    assert instance.attributes.max_threads == 1024
    if ca.cuda.is_available():
        assert instance.attributes.registers > 0
        full = instance.occupancy(256)
        assert full.blocks * 8 == full.warps <= full.max_warps and full.fraction == 1.0
    else:
        with pytest.raises(ca.NoDeviceError):
            instance.occupancy(256)


@pytest.mark.gpu
def test_sass_and_much_shared_memory() -> None:
    mod = ca.cudadef("__global__ void f(int* x) { extern __shared__ int s[]; s[40000] = 3; x[0] = s[40000]; }")
    x = ca.zeros(1, "int32")
    mod.f[1, 1, None, 170_000](x)
    assert x.tolist() == [3]
    assert "EXIT" in mod.f.sass()


def test_the_texts_for_the_gpu_compile() -> None:
    """On the host nothing else would notice what the GPU's compiler refuses."""
    ca.cudadef("#define DEPTH 2\nstruct Gpu { int a[DEPTH]; }; __constant__ int gpu_constant[DEPTH] = {3, 4};")
    mod = ca.cudadef("""
    auto negate = [] __device__ (float x) { return -x; };
    template <class F> __global__ void f(Gpu* x) { x->a[0] = F{}(1.0f) + gpu_constant[1]; }
    """, std="c++20")  # fmt: skip
    kernel = mod.f["decltype(negate)"]
    found = mod.deduce(kernel._declarations, kernel._template_arguments, frozenset(), [f"{mod.namespace}::Gpu*"])
    assert found is not None
    assert "ca_type_" in found[0].full
    source: Source = mod._source
    binary = nvrtc.compile(source, (f"&{found[0].full}", *source.variables), "sm_90a", found[0].text)
    assert len(binary.symbols) == 2


def test_threads_define_sources_that_see_each_other() -> None:
    def work(number: int) -> None:
        for value in range(3):
            ca.cudadef(f"__device__ int value_{number}() {{ return {value}; }}")
            mod = ca.cudadef(f"__global__ void f(int* x) {{ x[0] = value_{number}(); }}")
            x = ca.zeros(1, "int32")
            mod.f[1, 1](x)
            assert x.tolist() == [value]

    in_threads(4, work)


def test_too_many_mappings(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(code: str) -> None:
        raise SyntaxError("Failed to parse the given C++ code\ncling JIT session error: Cannot allocate memory\n")

    monkeypatch.setattr(cling, "interpreter", lambda: SimpleNamespace(cppdef=refuse))
    with pytest.raises(ca.CompileError, match=r"one too many does not compile:(.|\n)*vm\.max_map_count") as caught:
        cling.define("int x;", "one too many")
    mappings = int(re.search(r"has ([\d,]+) memory mappings", str(caught.value))[1].replace(",", ""))
    assert 100 < mappings < 100_000


AFTER_A_REFUSED_HEADER = """
import numpy as np
import cuarray as ca
from cuarray._runtime import cling
ca.ones(3) + 1
source = cling.as_kernel_source('#include "reduce.cuh"\\n#include "reduce_rows.cuh"\\n')
{refusal}
x = ca.ones((3, 4))
assert float(x.sum()) == 12 and x.max(axis=0).tolist() == [1] * 4 and float(x.std()) == 0
print("right")
"""
REFUSALS = {
    "an error after it": """
try:
    cling.define(source + "int wrong = nothing;", "wrong")
except ca.CompileError:
    pass
else:
    raise AssertionError
""",
    "a conditional that was misread": """
import inspect
from types import SimpleNamespace
given, real = [], cling.interpreter
def cppdef(code):
    first = "reduce" in code and not given
    given.append(code)
    return inspect.unwrap(real().cppdef)(code + "\\n#endif\\n" if first else code)
cling.interpreter = lambda: SimpleNamespace(cppdef=cppdef)
cling.define_once("a key", source, "headers")
assert len(given) == 2 and "#include \\"reduce.cuh\\"" in given[0] and "#include \\"reduce.cuh\\"" not in given[1]
cling.interpreter = real
""",
}


@pytest.mark.parametrize("refusal", REFUSALS)
def test_headers_that_were_included_where_the_definition_was_refused(refusal: str) -> None:
    """The preprocessor takes them for read; what they declare was taken back."""
    run_and_be_right(AFTER_A_REFUSED_HEADER.format(refusal=REFUSALS[refusal]))


def run_and_be_right(code: str) -> None:
    result = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"CUARRAY_BACKEND": "host"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.stdout == "right\n", result.stderr


ALL_HEADERS = """
import cuarray as ca
from cuarray._runtime import cling
ca.ones(3) + 1
for name in {names}:
    cling.define_once(name, cling.as_kernel_source(f'#include "{{name}}"\\n'), name)
print("right")
"""


@pytest.mark.parametrize("backwards", [False, True])
def test_all_headers_go_together(backwards: bool) -> None:
    """In any order; those that name Hopper's instructions the CPU's compiler does not read."""
    names = sorted((path.name for path in cling.KERNELS.glob("*.cuh")), reverse=backwards)
    run_and_be_right(ALL_HEADERS.format(names=[name for name in names if "hopper" not in name]))
