"""What a kernel can be given besides numbers and plain arrays: structs, arrays of them, views, 16-bit floats."""

from __future__ import annotations

import gc
import itertools
import os
import pickle
import subprocess
import sys
from pathlib import Path
from typing import Any

import ml_dtypes
import numba
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from strategies import LAYOUTS, Pair, pairs

import cuarray as ca
from cuarray._dtypes import BFLOAT16, CPP_NAMES, DTYPES
from cuarray._kernel import structs
from cuarray._runtime import Source, nvrtc
from cuarray._vector_types import VECTOR_TYPES

ARCHITECTURE = "sm_90a"
CPP = CPP_NAMES

SOURCE = r"""
struct Small { float x; double y; };
struct Other { float x; double y; };
struct Base { int base; };
struct Particle : Base {
  float pos[3];
  Small pair;
  signed char cells[2][3];
  bool alive;
  const char* name;
  ca::complex<float> z;
  static const int count = 3;
  __host__ __device__ void method() {}
};
struct Derived : Small { int more; __host__ __device__ operator int() const { return more; } };
union Either { int i; float f; };
struct Tagged { int tag; union { int i; float f; }; const float* rows[2]; };
struct Unnamed { struct { float a; } inner; };
class Hidden { int a; public: int b; };
struct Bits { int a : 3; int b : 5; };
struct Owner { int* p; __host__ __device__ ~Owner() {} };
namespace deep { template <class T, int N> struct Array { T values[N]; }; }

__global__ void sum(Small s, double* out) { out[0] = s.x + s.y; }
__global__ void sums(const Small* s, double* out, int n) { for (int i = 0; i < n; ++i) out[i] = s[i].x + s[i].y; }
__global__ void other(Other s, double* out) { out[0] = s.x * s.y; }
template <class T> __global__ void put(T value, T* out) { *out = value; }
template <class T> __global__ void copy(const T* x, T* y, long n) { for (long i = 0; i < n; ++i) y[i] = x[i]; }
__global__ void bits(Bits b, int* out) { out[0] = b.a + b.b; }
__global__ void owner(Owner o) {}
__global__ void number(int n, int* out) { out[0] = n; }
__global__ void complex(ca::complex<float> z, ca::complex<float>* out) { out[0] = z; }
__global__ void either(Either e, Tagged t, Tagged* out) { out[0] = t, out[0].i = e.i; }
__global__ void hidden(Hidden h, int* out) { out[0] = h.b; }
__global__ void address(const void* p, void* q) { *static_cast<const void**>(q) = p; }
__global__ void overloaded(Small s, double* out) { out[0] = 1; }
__global__ void overloaded(double s, double* out) { out[0] = 2; }
__global__ void overloaded(const Small* s, double* out) { out[0] = 3; }

__global__ void vectors(float4 a, float4* out, const float2* c, double2 z) {
  out[0] = a;
  out[1] = make_float4(c[0].x, c[0].y, float(z.x), float(z.y));
}
__global__ void mixed(long long* a, long* b, unsigned long long* c) { a[0] = 1, b[0] = 2, c[0] = 3; }
__global__ void brains(ca::bfloat16 a, const ca::bfloat16* x, ca::bfloat16* y, int n) {
  for (int i = 0; i < n; ++i) y[i] = ca::bfloat16(float(x[i]) * float(a));
}

template <class T> __device__ T pick(ca::view<const T, 1> x, long i) { return x[i]; }
template <class T, int N> __device__ T pick(ca::view<const T, N> x, long i) {
  const long inner = x.size() / x.extent(0);
  return pick<T>(i % 2 ? x[i / inner] : x.subview(i / inner), i % inner);
}
template <class T, int N> __global__ void gather(ca::view<const T, N> x, T* out) {
  const long step = gridDim.x * (long)blockDim.x;
  for (long i = blockIdx.x * (long)blockDim.x + threadIdx.x; i < x.size(); i += step) out[i] = pick<T>(x, i);
}
template <class T> __global__ void transpose(ca::view<const T, 2> x, ca::view<T, 2> y) {
  for (long i = 0; i < x.extent(0); ++i)
    for (long j = 0; j < x.extent(1); ++j) y(j, i) = x(i, j);
}
template <class T> __global__ void total(ca::span<const T> x, T* out) {
  T result = 0;
  for (T value : x) result += value;
  *out = result;
}
__global__ void doubled(ca::view<const float, 1> x, ca::span<float> y) {
  ca::view<const float, 1> same = x;
  ca::span<const float> read = y;
  if (read.size() == same.extent(0) && !read.empty() && read.data() == y.begin())
    for (long i = 0; i < x.size(); ++i) y[i] = 2 * x[i];
}
__global__ void field(ca::view<const Small, 2> x, double* out) { *out = x(1, 1).y; }
using Matrix = ca::view<float, 2>;
__global__ void named(Matrix x) { x(0, 1) = 5; }
__global__ void shape(ca::view<const int, 3> x, long* out) {
  for (int k = 0; k < x.ndim(); ++k) out[k] = x.extent(k), out[3 + k] = x.stride(k);
}
"""

SMALL = np.dtype([("x", "f4"), ("y", "f8")], align=True)


@pytest.fixture(scope="module")
def mod() -> ca.Module:
    return ca.cudadef(SOURCE, name="arguments")


@pytest.fixture(scope="module")
def small(mod: ca.Module) -> structs.StructType:
    return structs.struct_type(f"{mod.namespace}::Small")


@pytest.fixture(scope="module")
def particle(mod: ca.Module) -> structs.StructType:
    return structs.struct_type(f"{mod.namespace}::Particle")


def compile_for_gpu(mod: ca.Module, names: list[str], asserts: str = "") -> None:
    pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
    source = mod._source._replace(text=mod._source.text + asserts)
    binary = nvrtc.compile(
        source, [f"&{mod.namespace}::{name.replace('@', f'{mod.namespace}::')}" for name in names], ARCHITECTURE
    )
    assert len(binary.symbols) == len(names)


def host_object(mod: ca.Module, name: str) -> Any:
    import cppyy

    return getattr(getattr(cppyy.gbl, mod.namespace), name)()


# ---- drawn structs

Description = list[tuple[str, Any, tuple[int, ...]]]  # name, dtype or description, shape


def descriptions(depth: int = 2) -> st.SearchStrategy[Description]:
    leaf: st.SearchStrategy[Any] = st.sampled_from(DTYPES)
    element = leaf | descriptions(depth - 1) if depth else leaf
    shape = st.just(()) | st.lists(st.integers(1, 3), min_size=1, max_size=2).map(tuple)
    fields = st.lists(st.tuples(element, shape), min_size=1, max_size=4)
    return fields.map(lambda parts: [(f"f{k}", *part) for k, part in enumerate(parts)])


def cpp_and_dtype(description: Description, name: str) -> tuple[str, np.dtype, int]:
    """C++ definitions of a struct, the dtype it must have, and its alignment, by the rules that C++ compilers share."""
    nested, members, formats, offsets = "", "", [], []
    at, largest = 0, 1
    for field, kind, shape in description:
        if isinstance(kind, np.dtype):
            cpp, dtype, alignment = CPP[kind], kind, kind.itemsize
        else:
            cpp = f"{name}_{field}"
            text, dtype, alignment = cpp_and_dtype(kind, cpp)
            nested += text
        members += f"  {cpp} {field}{''.join(f'[{extent}]' for extent in shape)};\n"
        at = -(-at // alignment) * alignment
        offsets.append(at)
        formats.append((dtype, shape) if shape else dtype)
        at += int(np.prod(shape)) * dtype.itemsize
        largest = max(largest, alignment)
    fields = {"names": [f for f, *_ in description], "formats": formats, "offsets": offsets}
    dtype = np.dtype({**fields, "itemsize": -(-at // largest) * largest})
    return f"{nested}struct {name} {{\n{members}}};\n", dtype, largest


def leaves(array: np.ndarray) -> bytes:
    """The bytes of the fields, without those between them."""
    if array.dtype.names is None:
        return np.ascontiguousarray(array).tobytes()
    return b"".join(leaves(array[name]) for name in array.dtype.names)


@settings(max_examples=12)
@given(description=descriptions(), data=st.data())
def test_drawn_structs(description: Description, data: st.DataObject) -> None:
    """By value and in arrays, bit for bit, with the class's name and without; both compilers agree on the layout."""
    text, dtype, alignment = cpp_and_dtype(description, "S")
    mod = ca.cudadef(
        text + "template <class T> __global__ void put(T v, T* out) { *out = v; }\n"
        "__global__ void plain(const S* x, S* y, int n) { for (int i = 0; i < n; ++i) y[i] = x[i]; }\n"
        "__global__ void viewed(ca::view<const S, 1> x, ca::span<S> y) {\n"
        "  for (long i = 0; i < y.size(); ++i) y[i] = x[i];\n}\n"
    )
    kind = structs.struct_type(f"{mod.namespace}::S")
    assert kind.dtype == dtype
    assert structs.class_layout(kind.__cpp_name__).alignment == alignment
    raw = data.draw(st.binary(min_size=6 * dtype.itemsize, max_size=6 * dtype.itemsize))
    values = np.frombuffer(raw, dtype)
    named, nameless = ca.array(values, kind), ca.array(values)
    assert named.dtype.metadata and not nameless.dtype.metadata
    for source in (named, nameless):
        out = ca.zeros(6, source.dtype)
        mod.plain[1, 1](source, out, 6)
        assert leaves(np.asarray(out)) == leaves(values)
        out = ca.zeros(3, kind)
        mod.viewed[1, 1](source[::2], out)
        assert leaves(np.asarray(out)) == leaves(values[::2])
    for scalar in (values[1], values[1:2].reshape(()), values.view(kind.dtype)[1]):
        out = ca.zeros(2, kind)
        mod.put[1, 1](scalar, out)
        assert leaves(np.asarray(out)[:1]) == leaves(values[1:2])
    compile_for_gpu(mod, ["put<@S>", "plain", "viewed"], structs.layout_asserts(kind.__cpp_name__))


@given(description=descriptions(1), data=st.data())
def test_drawn_arrays_of_structs(description: Description, data: st.DataObject) -> None:
    """Copies, assignments and fields of arrays of any element size, in any layout, as NumPy has them."""
    dtype = np.dtype(cpp_and_dtype(description, "S")[1], align=data.draw(st.booleans()))
    shape = data.draw(st.lists(st.integers(1, 3), min_size=1, max_size=3).map(tuple))
    raw = data.draw(st.binary(min_size=dtype.itemsize, max_size=dtype.itemsize))
    values = np.frombuffer(raw * int(np.prod(shape)), dtype).reshape(shape).copy()
    x = ca.array(values)
    steps = tuple(slice(None, None, data.draw(st.sampled_from([1, 2, -1]))) for _ in shape)
    assert leaves(np.asarray(x.T[steps[::-1]].copy())) == leaves(values.T[steps[::-1]])
    assert leaves(np.asarray(x.reshape(-1))) == leaves(values.reshape(-1))
    assert leaves(np.asarray(x.astype(dtype))) == leaves(values)
    for name in dtype.names:
        own, shape_of_field = dtype[name].base, dtype[name].shape
        if own.kind != "c":  # NumPy's complex numbers need less alignment than C++'s
            assert x[name].shape == (*shape, *shape_of_field) and x[name].dtype == own
            assert leaves(np.asarray(x[name].copy())) == leaves(values[name])
    zero = ca.zeros_like(x)
    zero[steps] = x[steps]
    expected = np.zeros_like(values)
    expected[steps] = values[steps]
    assert leaves(np.asarray(zero)) == leaves(expected)
    zero[...] = values.reshape(-1)[0]  # a scalar
    assert leaves(np.asarray(zero)) == leaves(np.full(shape, values.reshape(-1)[0]))


# ---- structs as arguments


def test_struct_type(particle: structs.StructType) -> None:
    assert particle.dtype.names == ("base", "pos", "pair", "cells", "alive", "name", "z")
    assert particle.dtype["pair"] == SMALL and particle.dtype["cells"].shape == (2, 3)
    value = particle(1, (1, 2, 3), alive=True, z=2j)
    assert isinstance(value, np.record) and value.pos.tolist() == [1, 2, 3]
    assert value.alive and value.z == 2j and value.name == 0 and value.pair["y"] == 0
    assert repr(particle) == "<struct Particle>"
    assert np.dtype(particle) == particle.dtype


def test_structs_by_value(mod: ca.Module, small: structs.StructType) -> None:
    out = ca.zeros(1)
    made = host_object(mod, "Small")
    made.x, made.y = 1, 2
    swapped = np.array((1, 2), SMALL.newbyteorder("S"))
    for value in (
        small(1, 2),
        small(x=1, y=2),
        np.array((1, 2), SMALL),
        np.array((1, 2), SMALL)[()],
        made,
        swapped[()],
    ):
        out[0] = 0
        mod.sum[1, 1](value, out)
        assert out.tolist() == [3]
    # Another class with the same members is as good, as long as nothing has to be deduced from its name.
    mod.other[1, 1](small(3, 4), out)
    assert out.tolist() == [12]


def test_deduction_from_structs(mod: ca.Module, small: structs.StructType) -> None:
    array = ca.zeros(1, small)
    for value in (small(1, 2), np.array((1, 2), SMALL)):  # named, and with the array's type
        array[0] = 0
        mod.put[1, 1](value, array)
        assert array.tolist() == [(1, 2)]
    assert [i.name for i in mod.put.instances] == ["put<Small>"]
    two = ca.array([(1, 2), (3, 4)], small)
    copied = ca.empty(2, small)
    mod.copy[1, 1](two, copied, 2)
    assert copied.tolist() == [(1, 2), (3, 4)]
    explicit = ca.empty(2, SMALL)
    mod.copy[small][1, 1](ca.array(np.array([(5, 6), (7, 8)], SMALL)), explicit, 2)
    assert explicit.tolist() == [(5, 6), (7, 8)]


def test_overloads(mod: ca.Module, small: structs.StructType) -> None:
    out = ca.zeros(1)
    for value, number in [(small(1, 2), 1), (2.5, 2), (ca.zeros(1, small), 3), (host_object(mod, "Small"), 1)]:
        mod.overloaded[1, 1](value, out)
        assert out.tolist() == [number]


def test_members_of_every_kind(mod: ca.Module, particle: structs.StructType) -> None:
    value = particle(1, (1, 2, 3), (4, 5), np.arange(6).reshape(2, 3), True, 7, 8j)
    out = ca.zeros((), particle)
    mod.put[1, 1](value, out)
    assert leaves(np.asarray(out)) == leaves(np.asarray(value))
    np.testing.assert_array_equal(np.asarray(out["cells"]), np.arange(6).reshape(2, 3))
    assert out["pair"]["y"].item() == 5


def test_templates_of_structs(mod: ca.Module) -> None:
    kind = structs.struct_type(f"{mod.namespace}::deep::Array<float, 3>")
    out = ca.zeros(1, kind)
    mod.put[1, 1](kind((1, 2, 3)), out)
    assert out["values"].tolist() == [[1, 2, 3]]
    assert mod.put.instances[-1].name == "put<deep::Array<float, 3> >"


def test_classes_that_numpy_cannot_describe(mod: ca.Module) -> None:
    import cppyy

    cppyy.cppdef(f"namespace {mod.namespace} {{ inline Bits made_bits() {{ return {{2, 7}}; }} }}")
    made = getattr(cppyy.gbl, mod.namespace).made_bits()
    out = ca.zeros(1, "int32")
    mod.bits[1, 1](made, out)
    assert out.tolist() == [9]
    for name, member in [("Bits", "a"), ("Hidden", "a")]:
        with pytest.raises(TypeError, match=f"{name} has no dtype: its member {member} is not accessible"):
            structs.struct_type(f"{mod.namespace}::{name}")
    with pytest.raises(TypeError, match="its member inner is of a class without a name"):
        structs.struct_type(f"{mod.namespace}::Unnamed")
    with pytest.raises(TypeError, match="Hidden cannot be looked into"):
        mod.hidden[1, 1](np.zeros((), [("a", "i4"), ("b", "i4")]), out)
    with pytest.raises(TypeError, match="not trivially copyable"):
        mod.owner[1, 1](host_object(mod, "Owner"))
    with pytest.raises(TypeError, match="nothing is not a C\\+\\+ class"):
        structs.struct_type("nothing")


def test_unions(mod: ca.Module) -> None:
    either, tagged = (structs.struct_type(f"{mod.namespace}::{name}") for name in ("Either", "Tagged"))
    assert [tagged.dtype.fields[name][1] for name in ("tag", "i", "f", "rows")] == [0, 4, 4, 8]
    out = ca.zeros(1, tagged)
    mod.either[1, 1](either(f=1.5), tagged(7, rows=(1, 2)), out)
    assert out["tag"].item() == 7 and out["f"].item() == 1.5 and out["rows"].tolist() == [[1, 2]]


def test_objects_are_not_converted(mod: ca.Module) -> None:
    """C++ would: to a base class, by a conversion operator. The bytes of the object are not those of the result."""
    import cppyy

    derived, out = host_object(mod, "Derived"), ca.zeros(1)
    with pytest.raises(TypeError, match="argument s must be an object of Small, not of Derived"):
        mod.sum[1, 1](derived, out)
    with pytest.raises(TypeError, match="argument n must be an object of i4, not of Derived"):
        mod.number[1, 1](derived, ca.zeros(1, "int32"))
    z = ca.zeros(1, "complex64")
    mod.complex[1, 1](cppyy.gbl.ca.complex["float"](1, 2), z)
    assert z.item() == 1 + 2j
    pair = np.dtype([("a", "i4"), ("b", "i4")])
    for value, target in [(np.zeros((), pair), z), (1j, ca.zeros(1, pair))]:
        with pytest.raises(TypeError, match=r"is nothing that this parameter holds|must be a scalar"):
            mod.complex[1, 1](value, target)
    where = ca.zeros(1, "uint64")
    structured = ca.zeros(3, pair)
    mod.address[1, 1](structured[1:], where)  # void* takes anything
    assert where.item() == structured.pointer + 8


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ([("x", "f8"), ("y", "f4")], "field 'x' is float64, in C\\+\\+ float32"),
        ([("x", "f4"), ("z", "f8")], "Small has no member 'z'"),
        ([("y", "f8"), ("x", "f4")], "field 'x' is at byte 8, in C\\+\\+ at byte 0"),
        ([("x", "f4"), ("y", "f4", 2)], "field 'y' is at byte 4"),
        ({"names": ["x"], "formats": ["f4"], "itemsize": 16}, "field 'y' is missing"),
        ({"names": ["x", "y"], "formats": ["f4", ("f8", 1)], "offsets": [0, 8]}, "field 'y' has shape \\(1,\\)"),
        ({"names": ["x", "y"], "formats": [[("q", "f4")], "f8"], "offsets": [0, 8]}, "field 'x' is "),
    ],
)
def test_layouts_that_do_not_fit(mod: ca.Module, fields: Any, message: str) -> None:
    dtype = np.dtype(fields, align=True)
    if dtype.itemsize == 16:
        for call in (
            lambda: mod.sum[1, 1](np.zeros((), dtype), ca.zeros(1)),
            lambda: mod.sums[1, 1](ca.zeros(2, dtype), ca.zeros(2), 2),
        ):
            with pytest.raises(TypeError, match=message) as error:
                call()
            assert "np.dtype([('x', '<f4'), ('y', '<f8')], align=True)" in str(error.value)
    else:
        with pytest.raises(TypeError, match="no instance takes"):
            mod.sum[1, 1](np.zeros((), dtype), ca.zeros(1))


def test_what_is_no_struct(mod: ca.Module, small: structs.StructType) -> None:
    out = ca.zeros(1)
    with pytest.raises(TypeError, match="not an object of type tuple; a struct is made by calling its type"):
        mod.sum[1, 1]((1, 2), out)
    with pytest.raises(TypeError, match="not an object of type dict"):
        mod.sum[1, 1]({"x": 1}, out)
    with pytest.raises(TypeError, match="a number does not become Small"):
        mod.sum[1, 1](1.0, out)
    with pytest.raises(TypeError, match=r"arguments of types \(Small\*, double\*\)"):
        mod.sum[1, 1](ca.zeros(1, small), out)
    with pytest.raises(TypeError, match="from 'Other' to 'Small'"):
        mod.sum[1, 1](host_object(mod, "Other"), out)
    with pytest.raises(TypeError, match="argument out must be an array"):
        mod.sum[1, 1](small(1, 2), small(1, 2))
    with pytest.raises(TypeError, match="takes 2 values"):
        small(1, 2, 3)
    with pytest.raises(TypeError, match="no field 'z'; it has x, y"):
        small(z=1)
    with pytest.raises(TypeError, match="two values for field 'x'"):
        small(1, x=1)
    with pytest.raises(ValueError, match="field 'x'"):
        small("one")


def test_equal_dtypes_of_different_classes_stay_apart(mod: ca.Module, small: structs.StructType) -> None:
    other = structs.struct_type(f"{mod.namespace}::Other")
    assert small.dtype == other.dtype
    x, y = ca.zeros(3, small), ca.zeros(3, other)
    assert x[1:].dtype.metadata != y[1:].dtype.metadata
    kernel = mod.copy
    kernel[1, 1](x, x, 3)
    kernel[1, 1](y, y, 3)
    assert {"copy<Small>", "copy<Other>"} <= {i.name for i in kernel.instances}


def test_both_compilers_have_one_layout(
    mod: ca.Module, particle: structs.StructType, tmp_path: Path, monkeypatch
) -> None:
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    asserts = structs.layout_asserts(particle.__cpp_name__)
    assert "there its offset of pos is 4" in asserts and "Small has another layout" in asserts
    names = ["put<@Particle>", "sums", "vectors", "mixed", "brains", "gather<double, 4>", "gather<@Small, 2>"]
    names += ["transpose<ca::float16>", "total<long>", "doubled", "field", "named", "shape"]
    vectors = "".join(map(structs.layout_asserts, VECTOR_TYPES))
    compile_for_gpu(mod, names, asserts + vectors)
    with pytest.raises(ca.CompileError, match=r"Particle has another layout on the GPU.*its offset of pos is 8"):
        compile_for_gpu(mod, names, asserts.replace("pos)) == 4", "pos)) == 8").replace("pos is 4", "pos is 8"))


# ---- vector types and 16-bit floats


def test_vector_types_are_those_of_cuda() -> None:
    for name, kind in VECTOR_TYPES.items():
        assert getattr(ca, name) is kind and name in ca.__all__
        layout = structs.class_layout(name)
        assert structs.struct_dtype(name) == kind.dtype == np.dtype(kind)
        assert layout.size == kind.dtype.itemsize
    alignments = {
        "float2": 8,
        "float3": 4,
        "float4": 16,
        "double2": 16,
        "double4": 16,
        "char3": 1,
        "uchar4": 4,
        "int4": 16,
    }
    assert {name: structs.class_layout(name).alignment for name in alignments} == alignments


def test_vectors(mod: ca.Module) -> None:
    out = ca.zeros(2, ca.float4)
    mod.vectors[1, 1](ca.float4(1, 2, 3, w=4), out, ca.array([5 + 6j], "complex64"), np.complex128(7 + 8j))
    assert out.tolist() == [(1, 2, 3, 4), (5, 6, 7, 8)]
    mod.vectors[1, 1](ca.float4(1), out, ca.array([(5, 6)], ca.float2), ca.double2(7, 8))
    assert out.view("float32").reshape(2, 4).tolist() == [[1, 0, 0, 0], [5, 6, 7, 8]]
    with pytest.raises(ValueError, match="no multiple of 16, the alignment of float4"):
        mod.vectors[1, 1](
            ca.float4(1), ca.zeros(9, "float32")[1:].view(ca.float4), ca.zeros(1, ca.float2), ca.double2()
        )


def test_spellings_of_one_dtype_in_one_call(mod: ca.Module) -> None:
    a, b, c = ca.zeros(1, "int64"), ca.zeros(1, "int64"), ca.zeros(1, "uint64")
    mod.mixed[1, 1](a, b, c)
    assert (a.item(), b.item(), c.item()) == (1, 2, 3)


@given(values=st.lists(st.floats(width=32, allow_nan=False), min_size=1, max_size=8))
def test_bfloat16_arguments(mod: ca.Module, values: list[float]) -> None:
    x = np.array(values, ml_dtypes.bfloat16)
    y = ca.empty(len(values), ml_dtypes.bfloat16)
    for factor in (2, 2.0, ml_dtypes.bfloat16(2)):
        mod.brains[1, 1](factor, ca.array(x), y, len(values))
        with np.errstate(over="ignore"):
            np.testing.assert_array_equal(np.asarray(y), x * ml_dtypes.bfloat16(2))


HALVES = r"""
#include "halves.h"
__global__ void swap(const half* x, __half* y, half a) { y[0] = x[1], y[1] = x[0], y[2] = a; }
__global__ void pairs(const __half2* x, half2* y) { y[0] = x[1], y[1] = x[0]; }
__global__ void brains(const __nv_bfloat16* x, __nv_bfloat16* y, __nv_bfloat16 a) { y[0] = x[1], y[1] = a; }
template <class T> __global__ void first(const T* x, T* y) { y[0] = x[0]; }
"""


def test_cudas_16_bit_types(tmp_path: Path) -> None:
    """Under CUDA's names; what they are stands in headers of CUDA's, of which the sizes alone matter here."""
    structs_of_cuda = "struct __half { unsigned short x; };\nstruct __half2 { __half x, y; };\ntypedef __half half;\n"
    structs_of_cuda += "typedef __half2 half2;\nstruct __nv_bfloat16 { unsigned short x; };\n"
    if (Path(ca.__file__).parent / "kernels/host/include/cuda_fp16.h").exists():
        structs_of_cuda = "#include <cuda_fp16.h>\n#include <cuda_bf16.h>\n"
    (tmp_path / "halves.h").write_text(f"#pragma once\n{structs_of_cuda}")
    mod = ca.cudadef(HALVES, name="halves", include_dirs=[tmp_path])
    x, y = ca.array([1, 2, 3, 4], "float16"), ca.zeros(4, "float16")
    for scalar in (np.float16(5), 5.0, 5):
        mod.swap[1, 1](x, y, scalar)
        assert y.tolist() == [2, 1, 5, 0]
    mod.pairs[1, 1](x, y)
    assert y.tolist() == [3, 4, 1, 2]
    mod.first[1, 1](x, y)
    assert [i.name for i in mod.first.instances] == ["first<ca::float16>"]  # what is deduced is the library's own type
    mod.first["__half"][1, 1](x, y)
    assert y.tolist() == [1, 4, 1, 2]
    b, c = ca.array([1, 2], ml_dtypes.bfloat16), ca.zeros(2, ml_dtypes.bfloat16)
    mod.brains[1, 1](b, c, ml_dtypes.bfloat16(3))
    assert c.tolist() == [2, 3]


# ---- views and spans


@given(data=st.data(), rank=st.integers(1, 4))
def test_views_of_every_layout(mod: ca.Module, data: st.DataObject, rank: int) -> None:
    shape = st.lists(st.integers(1, 3), min_size=rank, max_size=rank).map(tuple)
    dtypes = st.sampled_from([np.dtype(name) for name in ("int8", "float64", "complex64")])
    x: Pair = data.draw(pairs(dtype=dtypes, shape=data.draw(shape), layouts=LAYOUTS))
    out = ca.empty(x.numpy.size, x.numpy.dtype)
    mod.gather[2, 3](x.cuarray, out)
    np.testing.assert_array_equal(np.asarray(out), x.numpy.reshape(-1))
    if rank == 2:
        turned = ca.zeros((x.numpy.shape[1], 2 * x.numpy.shape[0]), x.numpy.dtype)[:, ::2]
        mod.transpose[1, 1](x.cuarray, turned)
        np.testing.assert_array_equal(np.asarray(turned), x.numpy.T)


def test_extents_and_strides(mod: ca.Module) -> None:
    x, out = ca.zeros((4, 5, 6), "int32")[::2, :, ::-1], ca.zeros(6, "int64")
    mod.shape[1, 1](x, out)
    assert out.tolist() == [*x.shape, *x.strides]


def test_views_of_structs(mod: ca.Module, small: structs.StructType) -> None:
    values = np.array([[(1, 2), (3, 4)], [(5, 6), (7, 8)]], SMALL)
    out, picked = ca.zeros(1), ca.zeros(2, "float32")
    for dtype in (small.dtype, SMALL):
        x = ca.array(values, dtype)
        mod.field[1, 1](x.T, out)
        assert out.tolist() == [8]
        mod.doubled[1, 1](x["x"][:, 1], picked)  # a field: strides that are no multiple of the element
        assert picked.tolist() == [6, 14]
    elements = ca.zeros(4, small)
    mod.gather[1, 1](ca.array(values, small).T, elements)
    assert elements.tolist() == [(1, 2), (5, 6), (3, 4), (7, 8)]


def test_spans(mod: ca.Module) -> None:
    out = ca.zeros(1, "int64")
    mod.total[1, 1](ca.arange(10), out)
    assert out.item() == 45 and [i.name for i in mod.total.instances] == ["total<long>"]
    mod.total[1, 1](ca.broadcast_to(ca.arange(10), (10,)), out)  # read-only
    with pytest.raises(TypeError, match=r"argument x must be contiguous for a ca::span \(strides \(16,\)\)"):
        mod.total[1, 1](ca.arange(10)[::2], out)


def test_numpy_arrays_as_views(mod: ca.Module) -> None:
    if ca.cuda.is_available():
        with pytest.raises(TypeError, match="argument x is a NumPy array"):
            mod.named[1, 1](np.zeros((2, 2), "float32"))
        return
    x = np.zeros((4, 4), "float32")
    mod.named[1, 1](x[::2, ::2])
    assert x[0, 2] == 5
    with pytest.raises(TypeError):
        mod.named[1, 1](np.broadcast_to(np.float32(0), (2, 2)))


def test_view_under_another_name(mod: ca.Module) -> None:
    x = ca.zeros((2, 2), "float32")
    mod.named[1, 1](x.T)
    assert x.tolist() == [[0, 0], [5, 0]]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, x: m.doubled[1, 1](x, ca.zeros((2, 2), "float32")), "y must have 1 dimension .*, the array has 2"),
        (lambda m, x: m.doubled[1, 1](ca.zeros(2), x), "x must be an array of float32 .*, not of float64"),
        (lambda m, x: m.doubled[1, 1](x, ca.broadcast_to(x, (2,))), "y is written to .* array is read-only"),
        (lambda m, x: m.doubled[1, 1](1.0, x), "x must be an array .* not a scalar"),
        (lambda m, x: m.transpose[1, 1](x, x), "x must have 2 dimensions .*, the array has 1"),
        (lambda m, x: m.transpose[1, 1](ca.zeros((2, 2)), ca.zeros((2, 2), "f4")), "deduced conflicting types"),
        (lambda m, x: m.gather[1, 1](x[0], x), "x must have a dimension at least"),
        (lambda m, x: m.shape[1, 1](x, ca.zeros(6, "int64")), "x must have 3 dimensions"),
    ],
)
def test_bad_views(mod: ca.Module, call: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        call(mod, ca.zeros(2, "float32"))


def test_bounds_are_checked_on_request() -> None:
    """The checks compile for the GPU; without the macro there are none."""
    pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
    body = (
        '#include "view.cuh"\n__global__ void f(ca::view<float, 2> x, ca::span<int> y) { x(1, 2) = y[3]; x[0][1] = 0; }'
    )
    sizes = [
        len(nvrtc.compile(Source("bounds", f"{macro}\n{body}"), ["f"], ARCHITECTURE).code)
        for macro in ("#define CA_DEBUG_BOUNDS", "")
    ]
    assert sizes[0] > sizes[1]


def test_bounds_on_the_host() -> None:
    """In a process of its own, which ends there."""
    program = (
        "import cppyy; cppyy.cppdef('#define CA_DEBUG_BOUNDS')\n"
        "import cuarray as ca\n"
        "mod = ca.cudadef('__global__ void f(ca::view<int, 2> x, int i, int j) { x(i, j) = 1; }')\n"
        "x = ca.zeros((2, 3), 'int32'); mod.f[1, 1](x, 1, 2); print(x.sum(), flush=True); mod.f[1, 1](x, 1, 3)\n"
    )
    path = os.pathsep.join([str(Path(ca.__file__).parent.parent), *sys.path])
    environment = {**os.environ, "CUARRAY_BACKEND": "host", "PYTHONPATH": path}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, env=environment, check=False)
    assert done.stdout == "1\n" and done.returncode != 0
    assert "index 3 is out of bounds for axis 1 with extent 3" in done.stderr


def test_arrays_of_structs_in_njit(mod: ca.Module, small: structs.StructType) -> None:
    x, out = ca.array([(1, 2), (3, 4)], small), ca.zeros(2)

    @numba.njit
    def launch(x, out):
        mod.sums[1, 1](x, out, 2)

    launch(x, out)
    assert out.tolist() == [3, 7]
    with pytest.raises(numba.TypingError, match="field 'x' is float64"):
        launch(ca.zeros(2, [("x", "f8"), ("y", "f8")]), out)


# ---- arrays of structs, and of bfloat16


def test_arrays_of_structs(small: structs.StructType) -> None:
    x = ca.array([(1, 2), (3, 4), (5, 6)], small)
    assert x.dtype == SMALL and x.itemsize == 16 and x.shape == (3,)
    assert str(x) == "[(1., 2.) (3., 4.) (5., 6.)]" and repr(x) == repr(np.asarray(x))
    assert x[1].item() == (3, 4) and x.item(2) == (5, 6) and x.tolist() == [(1, 2), (3, 4), (5, 6)]
    x["x"] = 7
    x[0] = (8, 9)
    x[1:] = x[0]
    x[2] = small(1, 1)
    assert x.tolist() == [(8, 9), (8, 9), (1, 1)]
    assert x["y"].base is x and x["y"].strides == (16,)
    assert ca.ones(2, small).tolist() == [(1, 1), (1, 1)] and ca.full(2, (1, 2), small).tolist() == [(1, 2), (1, 2)]
    assert ca.array(np.asarray(x)).dtype.metadata == small.dtype.metadata  # NumPy keeps the name of the class
    assert ca.copy(x).dtype is x.dtype and ca.empty_like(x).dtype is x.dtype
    del x
    gc.collect()


@pytest.mark.parametrize(
    "operation",
    [
        lambda x: x + x,
        lambda x: x == x,
        lambda x: -x,
        lambda x: ca.sin(x),
        lambda x: x.sum(),
        lambda x: x.any(),
        lambda x: x.argmax(),
        lambda x: x @ x,
        lambda x: ca.where(x["x"] > 0, x, x) if x.dtype.names else ca.where(True, x, x),
        lambda x: ca.clip(x, x, x),
        lambda x: ca.zeros(3) + x,
        lambda x: x + 1,
        lambda x: np.add(x, x),
    ],
)
def test_no_arithmetic(operation: Any) -> None:
    with pytest.raises(TypeError, match="cuarray does not compute with them"):
        operation(ca.zeros(3, SMALL))


def test_casts_of_structs() -> None:
    x = ca.zeros(3, SMALL)
    assert x.astype(SMALL).dtype == SMALL
    for call in (lambda: x.astype("float32"), lambda: ca.zeros(3).astype(SMALL), lambda: ca.copyto(ca.zeros(3), x)):
        with pytest.raises(TypeError, match="structs are copied as they are"):
            call()
    with pytest.raises(TypeError, match=r"field 'inner.a' has dtype object"):
        ca.zeros(3, [("inner", [("a", "O")])])
    with pytest.raises(ValueError, match=r"field 'b'.*align=True"):
        ca.zeros(3, [("a", "i1"), ("b", "f8")])["b"]
    with pytest.raises(ValueError, match="no field of name q"):
        x["q"]


@given(x=pairs(layouts=["contiguous", "transposed", "sliced"]), data=st.data())
def test_view_as_another_dtype(x: Pair, data: st.DataObject) -> None:
    """NumPy's rules, its errors included."""
    dtype = data.draw(st.sampled_from([*DTYPES, ca.float4.dtype, ca.int2.dtype]))
    try:
        expected = x.numpy.view(dtype)
    except ValueError as error:
        with pytest.raises(ValueError) as ours:
            x.cuarray.view(dtype)
        assert str(ours.value) == str(error)
        return
    try:
        seen = x.cuarray.view(dtype)
    except ValueError as error:  # elements that a GPU could not read
        assert "must be at multiples of" in str(error)
        step = expected.dtype.itemsize if not expected.dtype.names else expected.dtype.alignment
        assert any(value % step for value in (x.cuarray.pointer, *expected.strides))
        return
    assert seen.dtype == expected.dtype and seen.shape == expected.shape
    assert seen.strides == expected.strides or not expected.size
    assert np.asarray(seen).tobytes() == expected.tobytes()


def test_exchange_of_what_is_only_stored() -> None:
    brains = ca.full(3, 1.5, BFLOAT16)
    shared = ca.from_dlpack(brains)
    assert shared.dtype == BFLOAT16 and shared.pointer == brains.pointer
    with pytest.raises(BufferError):
        ca.from_dlpack(ca.zeros(3, SMALL))
    for array in (brains, ca.array([(1, 2), (3, 4)], SMALL)):
        again = pickle.loads(pickle.dumps(array))
        assert again.dtype == array.dtype and again.tolist() == array.tolist()


def test_rows_as_vectors() -> None:
    x = ca.arange(8, dtype="float32").reshape(2, 4)
    assert x.view(ca.float4).shape == (2, 1)
    assert x.reshape(-1).view(ca.float4).tolist() == [(0, 1, 2, 3), (4, 5, 6, 7)]
    assert x.view(ca.float4).view("float32").tolist() == x.tolist()


CASTS = [dtype for dtype in DTYPES if dtype.kind != "c"]


@given(x=pairs(dtype=st.sampled_from(CASTS)))
def test_casts_to_bfloat16(x: Pair) -> None:
    with np.errstate(all="ignore"):
        expected = x.numpy.astype(BFLOAT16)
    got = np.asarray(x.cuarray.astype(BFLOAT16))
    assert got.dtype == BFLOAT16
    np.testing.assert_array_equal(got.view("uint16"), expected.view("uint16"))


def test_casts_from_bfloat16() -> None:
    every = np.arange(1 << 16).astype("uint16").view(BFLOAT16)
    x = ca.array(every)
    for dtype in ("float64", "float32", "float16"):
        with np.errstate(all="ignore"):
            np.testing.assert_array_equal(np.asarray(x.astype(dtype)), every.astype(dtype))
    assert ca.array([1.5, 2], BFLOAT16).tolist() == [1.5, 2]
    strided = ca.full((2, 3), 1.5, "bfloat16")
    strided[:, ::2] = ml_dtypes.bfloat16(2)
    strided[0, 1] = 3
    assert strided.T.copy().tolist() == [[2, 2], [3, 1.5], [2, 2]] and strided[0, 1].item() == 3


def test_copies_of_every_size_compile_for_the_gpu() -> None:
    pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
    from cuarray import _plan
    from cuarray._layout import layout
    from cuarray._plan import Operand
    from cuarray._runtime import builtin_source
    from cuarray._tuning import Target

    target = Target(processors=132, block_threads=256, max_block_threads=1024, blocks_per_processor=8)
    names = set()
    opaque = [np.dtype([("a", "u1", size)]) for size in (1, 3)] + [SMALL, ca.float4.dtype, ca.short2.dtype]
    for dtype, turned in itertools.product(opaque, (False, True)):
        source = layout(dtype, (8, 8), (dtype.itemsize, 8 * dtype.itemsize) if turned else None)
        plan = _plan.elementwise(target, "ca::ops::Identity", layout(dtype, (8, 8)), dtype, [Operand(source, dtype)])
        names.add((plan.instance.header, f"&{plan.instance.name}"))
    for source_dtype, dtype in [*((BFLOAT16, d) for d in DTYPES), *((d, BFLOAT16) for d in DTYPES)]:
        operand = Operand(layout(source_dtype, (8,)), source_dtype)
        plan = _plan.elementwise(target, "ca::ops::Identity", layout(dtype, (8,)), source_dtype, [operand])
        names.add((plan.instance.header, f"&{plan.instance.name}"))
    for header in {header for header, _ in names}:
        own = {name for used, name in names if used == header}
        assert set(nvrtc.compile(builtin_source(header), sorted(own), ARCHITECTURE).symbols) == own
