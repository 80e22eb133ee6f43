"""How kernels are rewritten for the CPU: what is recognised, what is not, and that results stay the same."""

from __future__ import annotations

import functools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray._kernel import host_text
from cuarray._kernel.declarations import Declaration, read_pieces

STRIDE = "for (int i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += gridDim.x * blockDim.x)"
INDEX = "const int i = blockIdx.x * blockDim.x + threadIdx.x;"


def rewritten(text: str) -> tuple[str, list[Declaration]]:
    contents, scan, pieces = read_pieces(text)
    return host_text.rewrite(text, scan, pieces, contents, host_text.parts(scan, pieces, {}))


def kinds(text: str) -> list[tuple[int | None, bool]]:
    return [(kernel.mode, kernel.guarded) for kernel in rewritten(text)[1]]


def kernel(body: str, before: str = "", parameters: str = "int* x, int n") -> str:
    return f"{before}\n__global__ void k({parameters}) {{\n{body}\n}}\n"


PLAIN, FUSED, STRIDED = 0, host_text.FUSED, host_text.FUSED | host_text.STRIDED


@pytest.mark.parametrize(
    ("body", "mode", "guarded"),
    [
        (f"{INDEX} if (i < n) x[i] = i;", FUSED, True),
        (f"{INDEX} if (i >= n) return; x[i] = i;", FUSED, True),
        (f"{INDEX} if (i >= n) {{ return; }} x[i] = i;", FUSED, True),
        (f"{STRIDE} x[i] = i;", STRIDED, True),
        (
            f"const int s = gridDim.x * blockDim.x; {STRIDE.split(';')[0]}; i < n; i += s) {{ x[i] = i; }}",
            STRIDED,
            True,
        ),
        ("unsigned i = threadIdx.x + blockDim.x * blockIdx.x; if (i < n) x[i] = 1;", FUSED, True),
        ("long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x; if (i < n) x[i] = 1;", PLAIN, True),
        ("x[threadIdx.x] = blockIdx.x;", PLAIN, False),
        (f"{INDEX} if (i < n) x[i] = 1; else x[0] = 2;", FUSED, False),
        (f"{INDEX} if (x[i] > 0) return; x[i] = 1;", FUSED, False),  # reads memory
        (f"{INDEX} if (n <<= 1) return; x[i] = 1;", FUSED, False),  # writes
        (f"{INDEX} if (i % 2) return; x[i] = 1;", FUSED, False),  # changes from thread to thread
        (f"{INDEX} if (i < n) x[i] = threadIdx.x;", PLAIN, True),
        ("const int i = -(blockIdx.x * blockDim.x + threadIdx.x); if (i > -n) x[-i] = 1;", PLAIN, False),
        # What goes on from round to round, or leaves the loop, is left alone.
        (f"int s = 0; {STRIDE} {{ s += x[i]; x[i] = s; }}", FUSED, False),
        (f"{STRIDE} {{ if (x[i]) break; x[i] = 1; }}", FUSED, False),
        (f"{STRIDE} {{ if (x[i]) continue; x[i] = 1; }}", FUSED, False),
        (f"{STRIDE} {{ if (x[i]) return; x[i] = 1; }}", FUSED, False),
        (f"{STRIDE} {{ x[i] = 1; ++i; }}", FUSED, False),
        (f"{STRIDE} {{ x[i] = 1; n -= 1; }}", FUSED, False),
        (f"{STRIDE} x[i] = 1; x[0] = 2;", FUSED, False),
    ],
)
def test_recognises(body: str, mode: int, guarded: bool) -> None:
    assert kinds(kernel(body)) == [(mode, guarded)]


@pytest.mark.parametrize(
    ("body", "before"),
    [
        ("__syncthreads(); x[0] = 1;", ""),
        ("x[0] = __shfl_sync(~0u, n, 0);", ""),
        ("__shared__ int s[4]; x[0] = s[0];", ""),
        ("assert(n > 0);", "#include <cassert>"),
        ("while (atomicCAS(x, 0, 1)) {}", ""),
        ("__nanosleep(1);", ""),
        ("__trap();", ""),
        ("volatile int* y = x; while (*y == 0) {}", ""),
        ("cooperative_groups::this_thread_block().sync();", "#include <cooperative_groups.h>"),
        ("auto b = this_thread_block(); b.sync();", "using namespace cooperative_groups;"),
        ("x[0] = id();", "__device__ int id() { return threadIdx.x; }"),
        ("x[0] = f();", "__device__ int id() { return threadIdx.x; }\n__device__ int f() { return id(); }"),
        ("WAIT; x[0] = 1;", "#define WAIT __syncthreads()"),
        ("WAIT; x[0] = 1;", "#define SYNC(a) __sync##a()\n#define WAIT SYNC(threads)"),
        ("S s; x[0] = s.a;", "struct S { int a; __device__ S() : a(threadIdx.x) {} };"),
        ("x[0] = 1;", "#include <mine/own.cuh>"),
        ("auto f = []() { return threadIdx.x; }; x[0] = f();", ""),
        ("struct S { __device__ int f() { return threadIdx.x; } }; x[0] = S().f();", ""),
        ("x[0] = 1;", "__global__ void k(int* x, int n);"),
        ("goto end; end: x[0] = 1;", ""),
        ('asm("mov.u32 %0, %tid.x;" : "=r"(x[0]));', ""),
    ],
)
def test_leaves_alone(body: str, before: str) -> None:
    text = kernel(body, before)
    assert kinds(text) == [(None, False)]
    assert rewritten(text)[0] == text


@given(st.sampled_from(range(4)))
def test_lines_stay_where_they_are(which: int) -> None:
    texts = [
        kernel(f"{INDEX}\n  if (i >=\n n) return;\n x[i] = 1;\n"),
        kernel(f"{STRIDE.replace(';', chr(10) + ';')}\n\n x[i]\n = i;\n"),
        kernel("\nx[threadIdx.x] = 1;", parameters="\nint* x,\nint n"),
        kernel(f"{INDEX}\n if (i < n &&\n i > 2) {{\n if (i\n == 3) x[i] = 1;\n else x[i] = 2;\n }}\n"),
    ]
    text, found = rewritten(texts[which])
    assert found[0].mode is not None
    lines, before = text.split("\n"), texts[which].split("\n")
    assert len(lines) == len(before)
    assert [number for number, line in enumerate(lines) if "x[i]" in line] == [
        number for number, line in enumerate(before) if "x[i]" in line
    ]


# ---- the same results

SOURCE = r"""
#define GLOBAL_X (blockIdx.x * blockDim.x + threadIdx.x)
namespace inner {
template <class T> __global__ void guarded(T* out, int n, int low, int high) {
  const int column = blockIdx.x * blockDim.x + threadIdx.x;
  const int row = blockIdx.y * blockDim.y + threadIdx.y;
  const unsigned plane = blockIdx.z * blockDim.z + threadIdx.z;
  if (column >= n || row >= high) return;
  const int width = gridDim.x * blockDim.x, height = gridDim.y * blockDim.y;
  T* at = out + (plane * height + row) * width;
  if (column == low || column == n - 1 || row == 0) {
    at[column] += T(1000 + row);
    return;
  }
  if (column > high) at[column] += T(column * 3 + plane);
  else at[column] += T(7);
}
}
__global__ void shifted(int* out, int n, int by, unsigned limit) {
  const int i = by + 1 + blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= 0 && i < n && i != by + 3) out[i] += i < limit ? 1 : 2;
}
__global__ void shifted_branch(int* out, int n, int by) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x - by;
  if (i < 0) return;
  if (n <= i) return;
  if (i < by) out[i] += 5;
  else out[i] -= 3;
}
template <class I> __global__ void strided(int* out, I n, int more = 4) {
  const I stride = gridDim.x * blockDim.x;
  for (long i = blockIdx.x * blockDim.x + threadIdx.x; i < n; i += stride) {
    int old = out[i];
    out[i] = 2 * old + more;
  }
}
__global__ void strided_inline(int* out, int n) {
  for (int i = threadIdx.x + blockIdx.x * blockDim.x; i < n; i += blockDim.x * gridDim.x)
    for (int k = 0; k < 3; ++k) out[i] += i * k;
}
__device__ int helper(int x) { return x * 5 + int(gridDim.x); }
__global__ void by_macro(int* out, int n) {
  const int i = GLOBAL_X;
  auto add = [&](int y) { return y + int(threadIdx.x); };
  if (i < n) out[i] = add(helper(i));
}
template <class... T> __global__ void pack(int* out, int n, T... values) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) out[i] = (0 + ... + int(values)) + i;
}
__global__ void overloaded(int* out, int n) { int i = GLOBAL_X; if (i < n) out[i] = 1; }
__global__ void overloaded(float* out, int n) { int i = GLOBAL_X; if (i < n) out[i] = 2; }
"""
# Refused for a function that nobody calls by name: every kernel stays as it is.
WAITING = "struct Waits { __device__ ~Waits() { __syncthreads(); } };\n"


@functools.cache
def modules() -> tuple[ca.Module, ca.Module]:
    """The same kernels, rewritten and not."""
    fast, plain = ca.cudadef(SOURCE, name="rewritten"), ca.cudadef(WAITING + SOURCE, name="as written")
    assert all(kernel.mode is not None for kernel in fast.contents.kernels)
    assert all(kernel.mode is None for kernel in plain.contents.kernels)
    return fast, plain


GRIDS = st.tuples(st.integers(1, 5), st.integers(1, 3), st.integers(1, 2))
BLOCKS = st.tuples(st.sampled_from([1, 3, 32, 70]), st.integers(1, 4), st.integers(1, 3))


def both(name: str, grid: object, block: object, out: np.ndarray, *values: object) -> np.ndarray:
    """What is in `out` after a launch, the same of both modules."""
    results = []
    for module in modules():
        array = ca.asarray(out.copy())
        getattr(module, name)[grid, block](array, *values)
        results.append(np.array(np.asarray(array)))
    np.testing.assert_array_equal(results[0], results[1])
    return results[0]


@given(grid=GRIDS, block=BLOCKS, n=st.integers(-1, 400), low=st.integers(-1, 40), high=st.integers(-1, 40))
def test_guards_and_branches(grid: tuple[int, ...], block: tuple[int, ...], n: int, low: int, high: int) -> None:
    out = np.zeros(int(np.prod(grid) * np.prod(block)), "int64")
    both("guarded", grid, block, out, n, low, high)


@given(grid=st.integers(1, 6), block=st.sampled_from([1, 32, 100]), n=st.integers(0, 600), by=st.integers(-90, 90))
def test_shifted_indices(grid: int, block: int, n: int, by: int) -> None:
    out = np.zeros(1000, "int32")
    both("shifted", grid, block, out, n, by, 50)
    both("shifted_branch", grid, block, out, n, by)


@given(grid=st.integers(1, 70), block=st.sampled_from([1, 32, 100]), n=st.integers(0, 5000))
def test_grid_stride_loops(grid: int, block: int, n: int) -> None:
    out = np.arange(5000, dtype="int32")
    result = both("strided", grid, block, out, n)
    np.testing.assert_array_equal(result, np.where(out < n, 2 * out + 4, out))
    result = both("strided_inline", (grid, 1), (block, 1), out, n)
    np.testing.assert_array_equal(result, np.where(out < n, out + 3 * out, out))


@given(grid=st.integers(1, 9), block=st.sampled_from([1, 32, 100]), n=st.integers(0, 900))
def test_macros_lambdas_packs_and_overloads(grid: int, block: int, n: int) -> None:
    out = np.zeros(900, "int32")
    both("by_macro", grid, block, out, n)
    both("pack", grid, block, out, n, np.int32(1), np.float64(2.5), np.int8(3))
    both("overloaded", grid, block, out, n)
    both("overloaded", grid, block, out.astype("float32"), n)


def test_many_blocks_in_a_row() -> None:
    n = 100_003
    result = both("shifted", 1000, 128, np.zeros(n, "int32"), n, 0, 5000)
    i = np.arange(n)
    np.testing.assert_array_equal(result, np.where((i > 0) & (i != 3), np.where(i < 5000, 1, 2), 0))


def test_errors_show_the_source_as_it_was_written() -> None:
    with pytest.raises(ca.CompileError, match=r"wrong:4:\d+: error: use of undeclared identifier 'nowhere'") as caught:
        ca.cudadef(
            f"\n__global__ void k(int* x, int n) {{ {INDEX}\n  if (i < n)\n    x[i] = nowhere;\n}}", name="wrong"
        )
    assert "ca_here" not in str(caught.value)


def test_launched_from_njit() -> None:
    from numba import njit

    mod = modules()[0]
    strided = mod.strided_inline

    @njit
    def call(array: object, n: int) -> None:
        strided[2, 32](array, n)

    array = ca.asarray(np.arange(100, dtype="int32"))
    call(array, array.size)
    np.testing.assert_array_equal(np.asarray(array), 4 * np.arange(100))


def test_a_source_whose_rewritten_text_is_refused_can_be_defined_again(monkeypatch: pytest.MonkeyPatch) -> None:
    rewrite = host_text.rewrite

    def spoiled(*arguments):
        text, kernels = rewrite(*arguments)
        return f"{text} not_a_type spoiled;", kernels

    monkeypatch.setattr(host_text, "rewrite", spoiled)
    source = "template <class T> __global__ void refused(T* x, T a) { if (threadIdx.x < 4) x[threadIdx.x] = a; }"
    x = ca.zeros(4, "int32")
    for value in (np.int32(1), 2):  # the second asks C++ a question that was not asked before
        ca.cudadef(source).refused[1, 8](x, value)
        assert x.tolist() == [value] * 4
