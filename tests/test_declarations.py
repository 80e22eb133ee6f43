"""Kernels are found in C++ sources whatever surrounds them."""

from __future__ import annotations

import pytest

from cuarray._kernel.declarations import find_kernels
from cuarray._kernel.deducers import deducer


def only(source: str):
    (declaration,) = find_kernels(source)
    return declaration


@pytest.mark.parametrize(
    ("source", "parameters"),
    [
        ("__global__ void f(float* x, int n) {}", [("float*", "x"), ("int", "n")]),
        ("__global__ void f(const float *__restrict__ x) {}", [("const float *__restrict__", "x")]),
        ("__global__ void f(float*, unsigned int) {}", [("float*", "argument_1"), ("unsigned int", "argument_2")]),
        ("__global__ void f(const S) {}", [("const S", "argument_1")]),
        ("__global__ void f(std::pair<int, float> p, ns::K k) {}", [("std::pair<int, float>", "p"), ("ns::K", "k")]),
        ("__global__ void f(int n = (3 > 2 ? 1 : 2)) {}", [("int", "n")]),
        ("__global__ void f(void) {}", []),
        ("__global__ void __launch_bounds__(256, 2) f(int n) {}", [("int", "n")]),
        ("static __global__ __launch_bounds__(N) void f(int n) {}", [("int", "n")]),
        ('extern "C" __global__ void f(int n) {}', [("int", "n")]),
        ('extern "C" { __global__ void f(int n) {} }', [("int", "n")]),
    ],
)  # fmt: skip
def test_parameters(source: str, parameters: list[tuple[str, str]]) -> None:
    declaration = only(source)
    assert declaration.name == "f"
    assert [(p.type, p.name) for p in declaration.parameters] == parameters


def test_template_headers_and_packs() -> None:
    declaration = only("template <class T, int N = (3 > 2), typename... R> __global__ void f(T* x, R... rest) {}")
    assert declaration.template_arguments == ("T", "N", "R...")
    assert [p.pack for p in declaration.parameters] == [False, True]
    assert "decltype(rest)..." in deducer(declaration)


def test_weak_parameters_are_not_deduced() -> None:
    declaration = only("template <class T> __global__ void f(T a, T* x) {}")
    assert "std::type_identity_t<T> a" in deducer(declaration, frozenset([0]))


def test_what_is_no_kernel() -> None:
    source = """
    // __global__ void comment(int n) {}
    /* __global__ void block(int n) {} */
    #define KERNEL __global__ void macro(int n) {}
    const char* text = "__global__ void text(int n) {}";
    __global__ void declared(int n);
    template <class T> __device__ T helper(T x) { return x; }
    struct S { void method(int n) {} };
    """
    assert find_kernels(source) == []


def test_namespaces_lines_and_comments() -> None:
    source = """namespace a::b {
struct S { int x; };
// Scales.
// In place.
__global__ void scale(float* x) { if (x) { x[0] *= 2; } }
namespace { namespace c { /* other */ __global__ void other() {} } }
}
__global__ void last() {}
"""
    scale, other, last = find_kernels(source)
    assert (scale.name, scale.namespaces, scale.line) == ("scale", ("a::b",), 5)
    assert scale.doc == "Scales.\nIn place."
    assert other.namespaces == ("a::b", "c")
    assert last.namespaces == ()
