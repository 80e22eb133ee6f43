"""CUDA C++ as kernels use it, unmodified, on both backends: warps, atomics, math, halves, cooperative groups.

Every source is also compiled for the GPU, so that nothing is accepted on the CPU alone.
"""

from __future__ import annotations

import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray._runtime import nvrtc

SOURCES: dict[str, str] = {}
_modules: dict[str, ca.Module] = {}


def source(name: str, text: str) -> Callable[[], ca.Module]:
    """Note a source for test_every_source_compiles_for_the_gpu; returns what defines it when first called."""
    SOURCES[name] = text

    def define() -> ca.Module:
        if name not in _modules:
            _modules[name] = ca.cudadef(text, name=name)
        return _modules[name]

    return define


def host(array: ca.CuArray) -> np.ndarray:
    return np.array(np.asarray(array))


# ---- warps

warps = source(
    "warps",
    r"""
template <class T> __global__ void shuffles(const T* x, T* out, int by, int width) {
  const unsigned all = 0xffffffffu;
  T v = x[threadIdx.x];
  out[threadIdx.x] = __shfl_sync(all, v, by, width);
  out[threadIdx.x + blockDim.x] = __shfl_up_sync(all, v, by, width);
  out[threadIdx.x + 2 * blockDim.x] = __shfl_down_sync(all, v, by, width);
  out[threadIdx.x + 3 * blockDim.x] = __shfl_xor_sync(all, v, by, width);
}
__global__ void votes(const int* x, unsigned* out) {
  int n = blockDim.x * blockDim.y, i = threadIdx.y * blockDim.x + threadIdx.x, all_same;
  unsigned lanes = n - i / 32 * 32 < 32 ? (1u << (n % 32)) - 1 : 0xffffffffu;
  out[i] = __ballot_sync(lanes, x[i] > 2);
  out[i + n] = __any_sync(lanes, x[i] > 2);
  out[i + 2 * n] = __all_sync(lanes, x[i] > 2);
  out[i + 3 * n] = __match_any_sync(lanes, x[i]);
  out[i + 4 * n] = __match_all_sync(lanes, x[i] / 8, &all_same);
  out[i + 5 * n] = all_same;
  out[i + 6 * n] = __reduce_add_sync(lanes, x[i]);
  out[i + 7 * n] = __reduce_max_sync(lanes, x[i]);
  out[i + 8 * n] = __reduce_min_sync(lanes, (unsigned)x[i]);
  out[i + 9 * n] = __reduce_xor_sync(lanes, (unsigned)x[i]);
}
// Both halves of the warp go their own ways, with as many rounds as they like.
__global__ void diverged(int* out) {
  int lane = threadIdx.x, sum = lane;
  if (lane < 16) {
    for (int d = 8; d > 0; d /= 2) sum += __shfl_xor_sync(0x0000ffffu, sum, d);
  } else if (lane < 24) {
    for (int round = 0; round < 5; ++round) sum = __shfl_sync(0x00ff0000u, sum, 16 + (lane + 1) % 8);
  } else {
    if (lane % 2) sum = __shfl_down_sync(0xaa000000u, sum, 2);
    else sum = -__popc(__activemask());
    __syncwarp(0xff000000u);
  }
  __syncwarp();
  out[lane] = sum;
}
// Threads leave early; the others do not wait for them.
__global__ void leaving(int* out) {
  if (threadIdx.x % 32 >= 20) return;
  __syncthreads();
  unsigned lanes = __activemask();
  for (int round = 0; round < 3; ++round) __syncwarp(lanes);
  out[threadIdx.x] = __popc(__ballot_sync(lanes, 1));
  __syncthreads();
  out[threadIdx.x] += __syncthreads_count(threadIdx.x % 2);
}
__global__ void block_votes(int* out) {
  int i = threadIdx.x;
  for (int round = 0; round < 4; ++round) {
    int count = __syncthreads_count(i < round), all = __syncthreads_and(i >= round), any = __syncthreads_or(i < round);
    out[round * blockDim.x + i] = count * 100 + all * 10 + any;
  }
}
// Results of earlier collectives, read late: a fast thread must not overwrite what a slow one has not read.
__global__ void consecutive(int* out) {
  int v = threadIdx.x;
  for (int round = 0; round < 50; ++round) {
    v = __shfl_sync(0xffffffffu, v, (threadIdx.x + 1) % 32) + (__ballot_sync(0xffffffffu, v & 1) & 1);
    if (round % 7 == 0) __syncthreads();
    if ((threadIdx.x + round) % 5 == 0) __nanosleep(20);
  }
  out[threadIdx.x] = v;
}
""",
)


def shuffled(x: np.ndarray, by: int, width: int) -> list[np.ndarray]:
    lane = np.arange(len(x))
    segment, place = lane & ~(width - 1), lane & (width - 1)
    up = np.where(place >= by, lane - by, lane)
    down = np.where(place + by < width, lane + by, lane)
    other = lane ^ by
    return [x[segment | (by & (width - 1))], x[up], x[down], x[np.where(other <= (segment | (width - 1)), other, lane)]]


@given(
    by=st.integers(0, 31),
    width=st.sampled_from([1, 2, 4, 8, 16, 32]),
    dtype=st.sampled_from(["int32", "uint32", "int64", "uint64", "float32", "float64"]),
    warp_count=st.integers(1, 3),
)
def test_shuffles(by: int, width: int, dtype: str, warp_count: int) -> None:
    x = np.random.default_rng(by).integers(0, 1000, 32 * warp_count).astype(dtype)
    out = ca.zeros((4, x.size), dtype)
    warps().shuffles[1, x.size](ca.asarray(x), out, by, width)
    expected = np.concatenate([shuffled(x[k : k + 32], by, width) for k in range(0, x.size, 32)], axis=1)
    np.testing.assert_array_equal(host(out), expected)


@given(block=st.tuples(st.integers(1, 12), st.integers(1, 12)), high=st.integers(1, 20), seed=st.integers(0, 100))
def test_votes_matches_and_reductions(block: tuple[int, int], high: int, seed: int) -> None:
    n = block[0] * block[1]
    x = np.random.default_rng(seed).integers(0, high, n, dtype="int32")
    out = ca.zeros((10, n), "uint32")
    warps().votes[1, block](ca.asarray(x), out)
    expected = np.zeros((10, n), "uint32")
    for first in range(0, n, 32):
        v = x[first : first + 32]
        bits = 1 << np.arange(len(v), dtype="int64")
        rows: list[object] = [bits[v > 2].sum(), (v > 2).any(), (v > 2).all()]
        rows += [(bits * (v[:, None] == v)).sum(1)]
        same = (v // 8 == v[0] // 8).all()
        rows += [bits.sum() * same, same, v.sum(), v.max(), v.min(), np.bitwise_xor.reduce(v)]
        for row, value in enumerate(rows):
            expected[row, first : first + 32] = value
    np.testing.assert_array_equal(host(out), expected)


def test_branches_of_a_warp() -> None:
    out = ca.zeros(32, "int32")
    warps().diverged[1, 32](out)
    lane = np.arange(32)
    expected = np.where(lane < 16, 120, 16 + (lane + 5) % 8)
    expected[24:] = [-4, 27, -4, 29, -4, 31, -4, 31]
    np.testing.assert_array_equal(host(out), expected)


@pytest.mark.parametrize("threads", [20, 32, 64, 200])
def test_exited_threads_do_not_count(threads: int) -> None:
    out = ca.zeros(threads, "int32")
    warps().leaving[1, threads](out)
    i = np.arange(threads)
    stays = i % 32 < 20
    in_warp = np.array([stays[k // 32 * 32 : k // 32 * 32 + 32].sum() for k in i])
    np.testing.assert_array_equal(host(out), np.where(stays, in_warp + (stays & (i % 2 == 1)).sum(), 0))


@pytest.mark.parametrize("threads", [1, 33, 256])
def test_votes_of_a_block(threads: int) -> None:
    out = ca.zeros((4, threads), "int32")
    warps().block_votes[2, threads](out)
    for r in range(4):
        np.testing.assert_array_equal(host(out)[r], min(r, threads) * 100 + (r == 0) * 10 + (r > 0))


def test_consecutive_collectives() -> None:
    out = ca.zeros(64, "int32")
    warps().consecutive[1, 64](out)
    v = np.arange(64)
    for _ in range(50):
        v = np.concatenate([np.roll(w, -1) + (w[0] & 1) for w in (v[:32], v[32:])])
    np.testing.assert_array_equal(host(out), v)


# ---- atomics

atomics = source(
    "atomics",
    r"""
template <class T> __global__ void add_up(T* out) { atomicAdd(out, T(1)); atomicAdd_block(out + 1, T(2)); }
template <class T> __global__ void integers(T* out) {
  T i = blockIdx.x * blockDim.x + threadIdx.x;
  atomicMin(&out[0], i), atomicMax(&out[1], i);
  atomicOr(&out[2], T(1) << (i % 20)), atomicAnd(&out[3], ~(T(1) << (i % 20)));
  atomicXor(&out[4], i), atomicExch(&out[5], T(7)), atomicMax_system(&out[6], i);
  T old = out[7], seen;
  do { seen = old; old = atomicCAS(&out[7], seen, seen + 2); } while (old != seen);
}
__global__ void wrapped(unsigned* out) {
  atomicInc(&out[0], 6), atomicDec(&out[1], 6), atomicSub(&out[2], 3u);
}
// A lock that the threads of a block hold one after another, and a message from one thread to another.
__global__ void locked(int* lock, int* out) {
  bool done = false;
  while (!done) {
    if (atomicCAS(lock, 0, 1) == 0) {
      __threadfence();
      *(volatile int*)out = *(volatile int*)out + 1;
      __threadfence();
      atomicExch(lock, 0);
      done = true;
    }
  }
}
__global__ void message(int* flag, int* out) {
  if (threadIdx.x == 0) {
    while (atomicAdd(flag, 0) == 0) __nanosleep(100);
    out[0] = 42;
  } else if (threadIdx.x == blockDim.x - 1) {
    atomicExch(flag, 1);
  }
}
""",
)


@pytest.mark.parametrize("dtype", ["int32", "uint32", "uint64", "float32", "float64"])
def test_atomic_add(dtype: str) -> None:
    out = ca.zeros(2, dtype)
    if dtype == "uint64":
        atomics().add_up["unsigned long long"][10, 100](out)
    else:
        atomics().add_up[10, 100](out)
    assert out.tolist() == [1000, 2000]


@pytest.mark.parametrize("name", ["int", "unsigned int", "unsigned long long"])
def test_atomics_on_integers(name: str) -> None:
    dtype = {"int": "int32", "unsigned int": "uint32", "unsigned long long": "uint64"}[name]
    out = ca.asarray(np.array([500, 0, 0, 2**20 - 1, 0, 0, 0, 0], dtype))
    atomics().integers[name][10, 100](out)
    every = int(np.bitwise_xor.reduce(np.arange(1000)))
    assert out.tolist() == [0, 999, 2**20 - 1, 0, every, 7, 999, 2000]


def test_atomics_that_wrap() -> None:
    out = ca.asarray(np.array([0, 0, 5000], "uint32"))
    atomics().wrapped[10, 100](out)
    assert out.tolist() == [1000 % 7, -1000 % 7, 2000]


def test_locks_and_messages() -> None:
    lock, out = ca.zeros(1, "int32"), ca.zeros(1, "int32")
    atomics().locked[4, 64](lock, out)
    assert out.tolist() == [256]
    atomics().message[1, 128](lock, out)
    assert out.tolist() == [42]


# ---- mathematics

UNARY = {
    "exp10": lambda x: 10.0**x, "rsqrt": lambda x: x**-0.5, "rcbrt": lambda x: 1 / np.cbrt(x),
    "sinpi": lambda x: np.sin(np.pi * x), "cospi": lambda x: np.cos(np.pi * x),
    "normcdf": lambda x: math.erfc(-x / math.sqrt(2)) / 2, "erf": math.erf, "erfc": math.erfc, "tgamma": math.gamma,
    "lgamma": math.lgamma, "erfcx": lambda x: math.exp(x * x) * math.erfc(x), "cbrt": np.cbrt, "expm1": np.expm1,
    "log2": np.log2, "asinh": np.arcsinh, "exp2": np.exp2,
    "j0": lambda x: math.fsum(math.cos(x * math.sin(t)) for t in (np.arange(200) + 0.5) * np.pi / 200) / 200,
    "cyl_bessel_i0": np.i0,
}  # fmt: skip
mathematics = source(
    "mathematics",
    "".join(
        f"__global__ void unary_{name}(const double* x, double* out, float* single, float* overloaded) {{\n"
        f"  int i = threadIdx.x; out[i] = {name}(x[i]); single[i] = {name}f((float)x[i]);"
        f" overloaded[i] = {name}((float)x[i]); }}\n"
        for name in UNARY
    )
    + r"""
#include <math_constants.h>
__global__ void inverse(const double* x, double* out) {
  int i = threadIdx.x;
  out[4 * i] = erf(erfinv(x[i])), out[4 * i + 1] = erfc(erfcinv(x[i])), out[4 * i + 2] = normcdf(normcdfinv(x[i]));
  out[4 * i + 3] = erfinvf((float)x[i]) / erfinv(x[i]);
}
__global__ void several(double* out, float* single) {
  sincospi(0.25, &out[0], &out[1]);
  out[2] = norm3d(2.0, 3.0, 6.0), out[3] = rhypot(3.0, 4.0), out[4] = fdim(5.0, 3.0), out[5] = remainder(5.0, 3.0);
  out[6] = copysign(3.0, -0.0), out[7] = fma(2.0, 3.0, 4.0), out[8] = CUDART_PI, out[9] = max(3.0, 4.0);
  out[10] = isnan(CUDART_NAN) && isinf(CUDART_INF) && !isfinite(CUDART_INF), out[11] = nextafter(1.0, 2.0);
  out[12] = norm4d(1.0, 1.0, 1.0, 1.0), out[13] = fmax(2.0, 1.0), out[14] = __dadd_ru(1.0, 1e-30);
  out[15] = __dmul_rn(3.0, 5.0);
  out[16] = __fma_rz(1.0, 1.0, -1e-30), out[17] = __ddiv_rd(1.0, 3.0) < __ddiv_ru(1.0, 3.0), out[18] = __dsqrt_rn(9.0);
  out[19] = __ll2double_rd(9007199254740993LL), out[20] = __ll2double_ru(9007199254740993LL);
  out[21] = rnorm3d(2.0, 3.0, 6.0);
  single[0] = __expf(1.0f), single[1] = __exp10f(2.0f), single[2] = __logf(2.0f), single[3] = __log2f(8.0f);
  single[4] = __log10f(1000.0f), single[5] = __sinf(1.0f), single[6] = __cosf(1.0f), single[7] = __tanf(1.0f);
  single[8] = __powf(2.0f, 3.0f), single[9] = __fdividef(1.0f, 4.0f), single[10] = __saturatef(1.5f);
  __sincosf(0.5f, &single[11], &single[12]);
  single[13] = __fadd_rn(1.0f, 2.0f), single[14] = __fmaf_rn(2.0f, 3.0f, 4.0f), single[15] = __frcp_rn(4.0f);
  single[16] = __fsqrt_rn(9.0f), single[17] = __frsqrt_rn(4.0f), single[18] = __fmul_rn(2.0f, 4.0f);
  single[19] = CUDART_INF_F;
  single[20] = __fadd_ru(1.0f, 1e-20f), single[21] = __fadd_rd(1.0f, -1e-20f), single[22] = __double2float_rd(0.1);
  single[23] = fminf(1.0f, 2.0f) + fmaxf(1.0f, 2.0f), single[24] = norm3df(2.0f, 3.0f, 6.0f);
}
__global__ void conversions(const float* x, int* out, unsigned* unsigned_out, long long* wide) {
  int i = threadIdx.x, n = blockDim.x;
  out[i] = __float2int_rn(x[i]), out[n + i] = __float2int_rz(x[i]), out[2 * n + i] = __float2int_ru(x[i]);
  out[3 * n + i] = __float2int_rd(x[i]), out[4 * n + i] = __float_as_int(x[i]);
  unsigned_out[i] = __float2uint_rz(x[i]), wide[i] = __float2ll_rn(x[i]), wide[n + i] = __double2ll_rd((double)x[i]);
  wide[2 * n + i] = __double_as_longlong((double)x[i]);
}
__global__ void bits(unsigned a, unsigned b, unsigned s, unsigned long long* out) {
  out[0] = __popc(a), out[1] = __clz((int)a), out[2] = __ffs((int)a), out[3] = __brev(a), out[4] = __umulhi(a, b);
  out[5] = (unsigned)__mulhi((int)a, (int)b), out[6] = __umul24(a, b), out[7] = (unsigned)__mul24((int)a, (int)b);
  out[8] = __byte_perm(a, b, s), out[9] = __funnelshift_l(a, b, s), out[10] = __funnelshift_r(a, b, s);
  out[11] = __sad((int)a, (int)b, s), out[12] = __usad(a, b, s), out[13] = (unsigned)__dp4a((int)a, (int)b, (int)s);
  out[14] = __dp4a(a, b, s), out[15] = (unsigned)__hadd((int)a, (int)b), out[16] = __uhadd(a, b);
  out[17] = __umul64hi(a * 0x100000001ull, b * 0x100000001ull), out[18] = __popcll(a * 0x100000001ull);
  out[19] = __funnelshift_lc(a, b, s % 40), out[20] = __urhadd(a, b), out[21] = min(a, b), out[22] = umax(a, b);
}
""",
)


@pytest.mark.parametrize("name", UNARY)
def test_functions_of_one_number(name: str) -> None:
    x = np.random.default_rng(1).uniform(0.1, 4, 50)
    x = x.astype("float32").astype("float64")
    out, single, overloaded = ca.zeros(50), ca.zeros(50, "float32"), ca.zeros(50, "float32")
    getattr(mathematics(), f"unary_{name}")[1, 50](ca.asarray(x), out, single, overloaded)
    expected = np.array([float(UNARY[name](v)) for v in x])
    np.testing.assert_allclose(host(out), expected, rtol=1e-13, atol=1e-14)
    np.testing.assert_allclose(host(single), expected, rtol=4e-6, atol=1e-6)
    np.testing.assert_array_equal(host(single), host(overloaded))


def test_inverse_functions() -> None:
    x = np.concatenate([np.linspace(0.001, 0.999, 60), [1e-5, 1 - 1e-7]])
    out = ca.zeros((x.size, 4))
    mathematics().inverse[1, x.size](ca.asarray(x), out)
    np.testing.assert_allclose(host(out)[:, :3], np.repeat(x[:, None], 3, 1), rtol=1e-13)
    np.testing.assert_allclose(host(out)[:60, 3], 1, rtol=1e-4)


def test_functions_of_several_numbers() -> None:
    out, single = ca.zeros(22), ca.zeros(25, "float32")
    mathematics().several[1, 1](out, single)
    r, up = math.sqrt(0.5), np.nextafter
    expected = [r, r, 7, 0.2, 2, -1, -3, 10, math.pi, 4, 1, up(1, 2), 2, 2, up(1, 2), 15, up(1, 0), 1, 3]
    expected += [2**53, 2**53 + 2, 1 / 7]
    np.testing.assert_allclose(host(out), expected, rtol=1e-15)
    rounded = [11, 14, 16, 17, 19, 20]  # where the last bit is what is asked for
    assert host(out)[rounded].tolist() == np.array(expected, "float64")[rounded].tolist()
    one = np.float32(1)
    expected = [math.e, 100, math.log(2), 3, 3, math.sin(1), math.cos(1), math.tan(1), 8, 0.25, 1, math.sin(0.5)]
    expected += [math.cos(0.5), 3, 10, 0.25, 3, 0.5, 8, np.inf]
    np.testing.assert_allclose(host(single)[:20], expected, rtol=1e-5)
    down = up(np.float32(0.1), np.float32(0))
    assert host(single)[20:23].tolist() == [up(one, np.float32(2)), up(one, np.float32(0)), down]
    np.testing.assert_allclose(host(single)[23:], [3, 7], rtol=1e-6)


def test_conversions() -> None:
    x = np.array([0.5, 1.5, -2.5, 2.7, -2.7, 1e20, -1e20, np.nan, np.inf, 3e9, -1], "float32")
    n = x.size
    out, unsigned, wide = ca.zeros((5, n), "int32"), ca.zeros(n, "uint32"), ca.zeros((3, n), "int64")
    mathematics().conversions[1, n](ca.asarray(x), out, unsigned, wide)

    def saturated(v: np.ndarray, low: int, high: int) -> list[int]:
        return [0 if a != a else low if a <= low else high if a >= high else int(a) for a in v]

    i32 = (-(2**31), 2**31 - 1)
    expected = [saturated(f(x), *i32) for f in (np.rint, np.trunc, np.ceil, np.floor)]
    np.testing.assert_array_equal(host(out), [*expected, x.view("int32")])
    assert unsigned.tolist() == saturated(np.trunc(x), 0, 2**32 - 1)
    finite = ~np.isnan(x)  # of NaN the 64-bit conversions give another number on the GPU
    i64 = (-(2**63), 2**63 - 1)
    np.testing.assert_array_equal(host(wide)[0][finite], saturated(np.rint(x[finite]), *i64))
    np.testing.assert_array_equal(host(wide)[1][finite], saturated(np.floor(x[finite]), *i64))
    np.testing.assert_array_equal(host(wide)[2][finite], x.astype("float64").view("int64")[finite])


@given(a=st.integers(0, 2**32 - 1), b=st.integers(0, 2**32 - 1), s=st.integers(0, 2**32 - 1))
def test_bits(a: int, b: int, s: int) -> None:
    out = ca.zeros(23, "uint64")
    u32 = np.uint32
    mathematics().bits[1, 1](u32(a), u32(b), u32(s), out)
    full, m = 2**32, 2**32 - 1

    def signed(v: int, n: int = 32) -> int:
        v %= 2**n
        return v - 2**n if v >> (n - 1) else v

    def bytes_(v: int) -> list[int]:
        return [v >> 8 * k & 255 for k in range(4)]

    every = bytes_(a) + bytes_(b)
    chosen = [every[s >> 4 * k & 7] for k in range(4)]
    both, k = b * full + a, s % 32
    lc = s % 40
    expected = [
        a.bit_count(), 32 - a.bit_length(), (a & -a).bit_length(), int(f"{a:032b}"[::-1], 2), a * b >> 32,
        (signed(a) * signed(b) >> 32) & m, (a % 2**24) * (b % 2**24) & m, signed(a, 24) * signed(b, 24) & m,
        sum(c << 8 * i for i, c in enumerate(chosen)), both << k >> 32 & m, both >> k & m,
        (abs(signed(a) - signed(b)) + s) & m, (abs(a - b) + s) & m,
        (sum(signed(p, 8) * signed(q, 8) for p, q in zip(bytes_(a), bytes_(b))) + s) & m,
        (sum(p * q for p, q in zip(bytes_(a), bytes_(b))) + s) & m, (signed(a) + signed(b) >> 1) & m, a + b >> 1,
        (a * 0x100000001) * (b * 0x100000001) >> 64, 2 * a.bit_count(), a if lc >= 32 else both << lc >> 32 & m,
        a + b + 1 >> 1, min(a, b), max(a, b),
    ]  # fmt: skip
    assert out.tolist() == expected


# ---- halves

HALVES = r"""
#include <cuda_fp16.h>
#include <cuda_bf16.h>
__device__ float to_float(__half x) { return __half2float(x); }
__device__ float to_float(__nv_bfloat16 x) { return __bfloat162float(x); }
template <class T> __global__ void arithmetic(const float* a, const float* b, const float* c, float* out, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  T x = a[i], y = b[i], z = c[i];
  out[i] = to_float(x), out[n + i] = to_float(x + y), out[2 * n + i] = to_float(__hsub(x, y));
  out[3 * n + i] = to_float(x * y), out[4 * n + i] = to_float(x / y), out[5 * n + i] = to_float(__hfma(x, y, z));
  out[6 * n + i] = x < y, out[7 * n + i] = __heq(x, y), out[8 * n + i] = to_float(__hmax(x, y));
  out[9 * n + i] = to_float(-x), out[10 * n + i] = __hisnan(x), out[11 * n + i] = x != y;
}
__global__ void from_double(const double* x, unsigned short* half_bits, unsigned short* bfloat_bits) {
  half_bits[threadIdx.x] = __half_as_ushort(__double2half(x[threadIdx.x]));
  bfloat_bits[threadIdx.x] = __bfloat16_as_ushort(__double2bfloat16(x[threadIdx.x]));
}
__global__ void directed(const float* x, float* out, int* whole) {
  int i = threadIdx.x, n = blockDim.x;
  out[i] = __half2float(__float2half_rz(x[i])), out[n + i] = __half2float(__float2half_ru(x[i]));
  out[2 * n + i] = __half2float(__float2half_rd(x[i]));
  out[3 * n + i] = __bfloat162float(__float2bfloat16_rz(x[i]));
  out[4 * n + i] = __bfloat162float(__float2bfloat16_ru(x[i]));
  out[5 * n + i] = __bfloat162float(__float2bfloat16_rd(x[i]));
  half h = __float2half(x[i]);
  whole[i] = __half2int_rn(h), whole[n + i] = __half2int_rz(h), whole[2 * n + i] = __half2int_ru(h);
  whole[3 * n + i] = __half2int_rd(h);
  whole[4 * n + i] = __bfloat16_as_ushort(__int2bfloat16_rn((int)(x[i] * 1000000.0f)));
}
__global__ void pairs(float* out, unsigned short* memory) {
  half2 v = __floats2half2_rn(1.5f, 2.5f), w = __half2half2(__float2half(2.0f));
  float2 f = __half22float2(__hadd2(__hmul2(v, w), v));
  out[0] = f.x, out[1] = f.y, out[2] = __half2float(__low2half(v)), out[3] = __high2float(v);
  out[4] = __half2float(hsqrt(__float2half(9.0f))), out[5] = __half2float(hexp(__float2half(0.0f)));
  __nv_bfloat162 b = __floats2bfloat162_rn(1.5f, 2.5f);
  float2 g = __bfloat1622float2(__hfma2(b, b, b));
  out[6] = g.x, out[7] = g.y, out[8] = __bfloat162float(hsqrt(__float2bfloat16(16.0f)));
  out[9] = __half2int_rn(__float2half(2.5f)), out[10] = __half2float(__int2half_rn(7));
  half* h = reinterpret_cast<half*>(memory);
  if (threadIdx.x == 0) h[0] = __float2half(0.0f), *reinterpret_cast<half2*>(h + 2) = __floats2half2_rn(0, 0);
  __syncthreads();
  atomicAdd(h, __float2half(0.5f));
  atomicAdd(reinterpret_cast<half2*>(h + 2), __floats2half2_rn(1, 2));
  half from_next = __shfl_down_sync(0xffffffffu, __float2half((float)threadIdx.x), 1);
  half2 from_last = __shfl_sync(0xffffffffu, __floats2half2_rn(threadIdx.x, 1), 31);
  if (threadIdx.x == 0) out[11] = __half2float(from_next), out[12] = __low2float(from_last);
}
"""
halves = source("halves", HALVES)


def rounded_to(name: str, x: np.ndarray) -> np.ndarray:
    import ml_dtypes

    return np.asarray(x).astype(ml_dtypes.bfloat16 if name == "__nv_bfloat16" else np.float16).astype("float32")


@pytest.mark.parametrize("name", ["__half", "__nv_bfloat16"])
@given(seed=st.integers(0, 10_000), scale=st.sampled_from([1e-6, 1e-3, 1.0, 100.0]))
def test_arithmetic_of_halves(name: str, seed: int, scale: float) -> None:
    n = 200
    a, b, c = (np.random.default_rng(seed).normal(0, scale, (3, n))).astype("float32")
    a[:4], b[:2] = [np.nan, np.inf, 1e30, -0.0], [1, 1]
    b[10:20] = a[10:20]
    out = ca.zeros((12, n), "float32")
    halves().arithmetic[name][4, 64](ca.asarray(a), ca.asarray(b), ca.asarray(c), out, n)
    with np.errstate(all="ignore"):
        x, y, z = (rounded_to(name, v) for v in (a, b, c))
        wide = [v.astype("longdouble") for v in (x, y, z)]  # the product is exact, and so nearly always the sum
        exact = (wide[0] * wide[1] + wide[2]).astype("float32")
        # Where this rounding ended halfway between two results, or next to it, both are let pass.
        fused, other = (rounded_to(name, np.nextafter(exact, np.float32(end))) for end in (-np.inf, np.inf))
        fused = np.where(host(out)[5] == other, other, fused)
        expected = [x, *(rounded_to(name, v) for v in (x + y, x - y, x * y, x / y)), fused, x < y, x == y]
        expected += [np.fmax(x, y), -x, np.isnan(x), x != y]
    for row, value in enumerate(expected):
        np.testing.assert_array_equal(host(out)[row], np.asarray(value, "float32"), err_msg=f"row {row}")


def test_halves_of_doubles_are_rounded_once() -> None:
    import ml_dtypes

    x = np.random.default_rng(3).normal(0, 10, 400)
    x[:100] = 1 + 2.0**-11 + np.random.default_rng(4).normal(0, 2.0**-40, 100)  # next to the middle of two halves
    x[100:200] = 1 + 2.0**-8 + np.random.default_rng(5).normal(0, 2.0**-40, 100)
    half, bfloat = ca.zeros(400, "uint16"), ca.zeros(400, "uint16")
    halves().from_double[1, 400](ca.asarray(x), half, bfloat)
    np.testing.assert_array_equal(host(half), x.astype("float16").view("uint16"))
    lower = np.floor(x * 2.0 ** -np.floor(np.log2(abs(x))) * 128) / 128  # of 8 significant bits
    exponent = 2.0 ** np.floor(np.log2(abs(x)))
    rest = x / exponent * 128 - lower * 128
    up = (rest > 0.5) | ((rest == 0.5) & (lower * 128 % 2 == 1))
    expected = ((lower * 128 + up) / 128 * exponent).astype("float32").astype(ml_dtypes.bfloat16).view("uint16")
    np.testing.assert_array_equal(host(bfloat), expected)


@given(seed=st.integers(0, 1000), scale=st.sampled_from([1e-7, 1e-3, 1.0, 100.0]))
def test_halves_rounded_to_one_side(seed: int, scale: float) -> None:
    import ml_dtypes

    n = 100
    x = np.random.default_rng(seed).normal(0, scale, n).astype("float32")
    x[:3] = [0, 1, -1]
    out, whole = ca.zeros((6, n), "float32"), ca.zeros((5, n), "int32")
    halves().directed[1, n](ca.asarray(x), out, whole)
    for first, dtype in ((0, np.dtype("float16")), (3, np.dtype(ml_dtypes.bfloat16))):
        near = x.astype(dtype)
        steps = near.astype("float32") - x
        low = np.where(steps > 0, np.nextafter(near, dtype.type(-np.inf)), near).astype("float32")
        high = np.where(steps < 0, np.nextafter(near, dtype.type(np.inf)), near).astype("float32")
        np.testing.assert_array_equal(host(out)[first], np.where(x < 0, high, low))
        np.testing.assert_array_equal(host(out)[first + 1], high)
        np.testing.assert_array_equal(host(out)[first + 2], low)
    half = x.astype("float16").astype("float64")
    expected = [np.rint(half), np.trunc(half), np.ceil(half), np.floor(half)]
    np.testing.assert_array_equal(host(whole)[:4], np.array(expected).astype("int32"))
    integers = (x * np.float32(1e6)).astype("int32")
    exact = integers.astype("float64")
    power = np.maximum(2.0 ** (np.floor(np.log2(np.maximum(np.abs(exact), 1))) - 7), 2.0**-7)
    expected = (np.rint(exact / power) * power).astype(ml_dtypes.bfloat16).view("uint16")
    np.testing.assert_array_equal(host(whole)[4], expected)


def test_pairs_of_halves() -> None:
    out, memory = ca.zeros(13, "float32"), ca.zeros(4, "uint16")
    halves().pairs[1, 32](out, memory)
    assert out.tolist() == [4.5, 7.5, 1.5, 2.5, 3, 1, 3.75, 8.75, 4, 2, 7, 1, 31]
    assert host(memory).view("float16")[[0, 2, 3]].tolist() == [16, 32, 64]


# ---- cooperative groups

groups = source(
    "groups",
    r"""
#include <cooperative_groups.h>
#include <cooperative_groups/reduce.h>
#include <cooperative_groups/scan.h>
#include <cooperative_groups/memcpy_async.h>
namespace cg = cooperative_groups;
template <int N> __global__ void tiles(const int* x, int* out) {
  cg::thread_block block = cg::this_thread_block();
  cg::thread_block_tile<N> tile = cg::tiled_partition<N>(block);
  int i = block.thread_rank(), n = block.size(), v = x[i];
  out[i] = tile.thread_rank(), out[n + i] = tile.meta_group_rank(), out[2 * n + i] = tile.meta_group_size();
  out[3 * n + i] = tile.shfl(v, N - 1), out[4 * n + i] = tile.shfl_xor(v, N / 2), out[5 * n + i] = tile.shfl_up(v, 1);
  out[6 * n + i] = tile.shfl_down(v, 1), out[7 * n + i] = tile.ballot(v > 5), out[8 * n + i] = tile.any(v > 5);
  out[9 * n + i] = tile.all(v > 5), out[10 * n + i] = cg::reduce(tile, v, cg::plus<int>());
  out[11 * n + i] = cg::reduce(tile, v, cg::greater<int>()), out[12 * n + i] = cg::inclusive_scan(tile, v);
  out[13 * n + i] = cg::exclusive_scan(tile, v, cg::plus<int>()), out[14 * n + i] = tile.match_any(v);
  out[15 * n + i] = cg::reduce(tile, v, [](int a, int b) { return a > b ? b : a; });
  tile.sync();
  cg::sync(block);
}
__global__ void partitions(const int* x, int* out) {
  auto block = cg::this_thread_block();
  int i = block.thread_rank(), n = block.num_threads();
  cg::thread_group part = cg::tiled_partition(block, 8);
  out[i] = part.size() * 100 + part.thread_rank();
  part.sync();
  if (x[i] % 2) {
    cg::coalesced_group active = cg::coalesced_threads();
    out[n + i] = active.size() * 100 + active.thread_rank();
    out[2 * n + i] = cg::reduce(active, x[i], cg::plus<int>()), out[3 * n + i] = active.shfl(x[i], 0);
  }
  auto warp = cg::tiled_partition<32>(block);
  auto same = cg::labeled_partition(warp, x[i] % 3);
  out[4 * n + i] = same.size() * 100 + same.thread_rank();
}
__global__ void grids(int* out) {
  cg::grid_group grid = cg::this_grid();
  out[grid.thread_rank()] = grid.size();
}
__global__ void grid_sync(int* out) {
  cg::grid_group grid = cg::this_grid();
  out[threadIdx.x] = threadIdx.x;
  grid.sync();
  if (threadIdx.x == 0) out[0] = out[blockDim.x - 1];
}
__global__ void copies(const int* x, int* out, int n) {
  extern __shared__ int buffer[];
  auto block = cg::this_thread_block();
  cg::memcpy_async(block, buffer, x, sizeof(int) * n);
  cg::wait(block);
  for (int i = block.thread_rank(); i < n; i += block.size()) out[i] = buffer[n - 1 - i];
  block.sync();
  auto warp = cg::tiled_partition<32>(block);
  cg::invoke_one(warp, [&] { atomicAdd(&out[0], 1000); });
}
""",
)


@pytest.mark.parametrize("n", [2, 4, 8, 16, 32])
def test_tiles(n: int) -> None:
    threads = 96
    x = np.random.default_rng(n).integers(0, 10, threads, dtype="int32")
    out = ca.zeros((16, threads), "int32")
    groups().tiles[n,][2, threads](ca.asarray(x), out)
    i = np.arange(threads)
    v = x.reshape(-1, n)
    bits = 1 << np.arange(n, dtype="int64")
    ballot = ((v > 5) * bits).sum(1)
    total = np.cumsum(v, 1)
    edges = np.arange(n)
    tiles = [
        v[:, [-1] * n], v[:, edges ^ (n // 2)], v[:, np.maximum(edges - 1, 0)], v[:, np.minimum(edges + 1, n - 1)],
        np.repeat(ballot, n), np.repeat(ballot != 0, n), np.repeat((v > 5).all(1), n), np.repeat(v.sum(1), n),
        np.repeat(v.max(1), n), total, total - v, (bits * (v[:, :, None] == v[:, None, :])).sum(2),
        np.repeat(v.min(1), n),
    ]  # fmt: skip
    expected = [i % n, i // n, np.full(threads, threads // n), *(np.ravel(t) for t in tiles)]
    got = host(out)
    for row, value in enumerate(expected):
        np.testing.assert_array_equal(got[row], value.astype("int64").astype("int32"), err_msg=f"row {row}")


def test_partitions() -> None:
    x = np.random.default_rng(0).integers(0, 100, 64, dtype="int32")
    out = ca.zeros((5, 64), "int32")
    groups().partitions[1, 64](ca.asarray(x), out)
    got = host(out)
    np.testing.assert_array_equal(got[0], 800 + np.arange(64) % 8)
    for first in (0, 32):
        v, lanes = x[first : first + 32], slice(first, first + 32)
        odd = v % 2 == 1
        rank = np.cumsum(odd) - 1
        np.testing.assert_array_equal(got[1, lanes], np.where(odd, odd.sum() * 100 + rank, 0))
        np.testing.assert_array_equal(got[2, lanes], np.where(odd, v[odd].sum(), 0))
        np.testing.assert_array_equal(got[3, lanes], np.where(odd, v[odd][0], 0))
        same = v[:, None] % 3 == v % 3
        np.testing.assert_array_equal(got[4, lanes], same.sum(1) * 100 + np.tril(same, -1).sum(1))


def test_grids_and_copies() -> None:
    out = ca.zeros(60, "int32")
    groups().grids[(2, 3), 10](out)
    assert out.tolist() == [60] * 60
    x, copied = np.arange(1, 101, dtype="int32"), ca.zeros(100, "int32")
    groups().copies[1, 64, None, 400](ca.asarray(x), copied, 100)
    expected = x[::-1].copy()
    expected[0] += 2000
    np.testing.assert_array_equal(host(copied), expected)


def test_a_grid_of_one_block_can_wait_for_itself() -> None:
    if ca.cuda.is_available():
        pytest.skip("on the GPU a grid is synchronized in cooperative launches only")
    out = ca.zeros(64, "int32")
    groups().grid_sync[1, 64](out)
    assert out.tolist() == [63, *range(1, 64)]
    with pytest.raises(ca.CudaError, match="COOPERATIVE_LAUNCH_TOO_LARGE"):
        groups().grid_sync[2, 64](out)


# ---- the language

language = source(
    "language",
    r"""
#include <cuComplex.h>
struct __align__(16) Pair { float a; int b; };
struct Box { int v; __device__ Box() {} __device__ void set(int x) { v = x; } };
__constant__ float coefficients[3] = {1, 2, 3};
__device__ int counter = 5;
__device__ __noinline__ int plus_one(int x) { return x + 1; }
template <class T> __device__ T through_shared(T x) {
  __shared__ T buffer[64];
  buffer[threadIdx.x] = x;
  __syncthreads();
  T result = buffer[blockDim.x - 1 - threadIdx.x];
  __syncthreads();
  return result;
}
extern __shared__ unsigned char raw[];
__global__ void __launch_bounds__(64) words(const float* __restrict__ x, float* __restrict__ out,
                                            const __grid_constant__ int n) {
  extern __shared__ __align__(16) Pair pairs[];
  __shared__ Box box;
  int i = threadIdx.x;
  pairs[i].a = x[i], pairs[i].b = i;
  if (i == 0) box.set(7);
  __syncthreads();
  Pair p = pairs[n - 1 - i];
  float sum = 0;
#pragma unroll
  for (int k = 0; k < 3; ++k) sum += coefficients[k];
  out[i] = p.a + p.b + sum + box.v + plus_one(counter) + through_shared(i) + through_shared(0.5f);
#ifdef __CUDA_ARCH__
  out[i] += 0;
#endif
}
__global__ void bytes(int* out) {
  int* whole = (int*)raw;
  whole[threadIdx.x] = threadIdx.x;
  __syncthreads();
  out[threadIdx.x] = whole[blockDim.x - 1 - threadIdx.x] + raw[4];
}
__global__ void vectors(float* out, double* wide) {
  float4 v = make_float4(1, 2, 3, 4);
  float2 w = make_float2(v.x, v.w);
  uchar4 c = make_uchar4(1, 2, 3, 255);
  int3 t = make_int3(1, 2, 3);
  double2 d = make_double2(0.5, 0.25);
  longlong2 l = make_longlong2(1, 2);
  short2 s = make_short2(3, 4);
  reinterpret_cast<float4*>(out)[1] = v;
  out[0] = w.x + w.y, out[1] = c.w, out[2] = t.z, out[3] = s.y + l.y;
  wide[0] = d.x + d.y, wide[1] = sizeof(float3) * 100 + alignof(float4);
  wide[2] = alignof(float2) * 100 + alignof(uchar4);
  wide[3] = alignof(double2) * 100 + sizeof(longlong4);
}
template <class T> __global__ void aligned(int* out) {
  __shared__ __align__(32) T first[3];
  __shared__ alignas(sizeof(T) * 16) T second[5];
  alignas(128) __shared__ T third;
  __shared__ T fourth[2] __align__(64);
  __align__(32) T own[2] = {T(1), T(2)};
  first[0] = second[0] = third = fourth[0] = own[1];
  __syncthreads();
  out[0] = int(first[0] + second[0] + third + fourth[0]);
  out[1] = int((size_t)first % 32 + (size_t)second % (16 * sizeof(T)) + (size_t)&third % 128 + (size_t)fourth % 64);
  out[2] = int((size_t)own % 32);
}
__global__ void loads(const int* x, int* out, long long* cycles) {
  long long start = clock64();
  out[0] = __ldg(x) + __ldcg(x + 1) + __ldcs(x + 2);
  __stcs(out + 1, 9);
  __threadfence_block(), __threadfence(), __threadfence_system();
  cycles[0] = clock64() - start >= 0;
}
__global__ void complex_numbers(const float* x, float* results, double* wide) {
  cuFloatComplex a = make_cuFloatComplex(x[0], x[1]), b = make_cuFloatComplex(x[2], x[3]);
  cuFloatComplex* out = reinterpret_cast<cuFloatComplex*>(results);
  out[0] = cuCaddf(a, b), out[1] = cuCsubf(a, b), out[2] = cuCmulf(a, b), out[3] = cuCdivf(a, b), out[4] = cuConjf(a);
  wide[0] = cuCabs(make_cuDoubleComplex(3e200, 4e200)), wide[1] = cuCimag(cuComplexFloatToDouble(a));
}
__global__ void trapped(int* x) { if (x[0] == 1) __trap(); x[1] = 5; }
__global__ void deadlocked(int* x) { if (threadIdx.x < 16) __syncwarp(); else __syncthreads(); x[0] = 1; }
__global__ void talks() { if (threadIdx.x == 3) printf("thread %d of %d\n", threadIdx.x, blockDim.x); }
""",
)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_alignment_of_shared_memory(dtype: str) -> None:
    out = ca.zeros(3, "int32")
    language().aligned[np.dtype(dtype)][1, 1](out)
    assert out.tolist() == [8, 0, 0]


def test_words() -> None:
    x, out = np.arange(64, dtype="float32"), ca.zeros(64, "float32")
    language().words[1, 64, None, 64 * 16](ca.asarray(x), out, 64)
    i = np.arange(64)
    np.testing.assert_array_equal(host(out), 2 * (63 - i) + 6 + 7 + 6 + (63 - i) + 0.5)


def test_shared_memory_of_a_namespace() -> None:
    out = ca.zeros(32, "int32")
    language().bytes[1, 32, None, 128](out)
    np.testing.assert_array_equal(host(out), np.arange(32)[::-1] + 1)


def test_vector_types() -> None:
    out, wide = ca.zeros(8, "float32"), ca.zeros(4)
    language().vectors[1, 1](out, wide)
    assert out.tolist() == [5, 255, 3, 6, 1, 2, 3, 4]
    assert wide.tolist() == [0.75, 1216, 804, 1632]


def test_complex_numbers() -> None:
    x, y = 3 - 4j, 0.5 + 2j
    out, wide = ca.zeros(10, "float32"), ca.zeros(2)
    language().complex_numbers[1, 1](ca.asarray(np.array([3, -4, 0.5, 2], "float32")), out, wide)
    expected = np.array([x + y, x - y, x * y, x / y, x.conjugate()], "complex64")
    np.testing.assert_allclose(host(out).view("complex64"), expected, rtol=1e-6)
    np.testing.assert_allclose(host(wide), [5e200, -4], rtol=1e-15)


def test_loads_and_clocks() -> None:
    out, cycles = ca.zeros(2, "int32"), ca.zeros(1, "int64")
    language().loads[1, 1](ca.arange(1, 4, dtype="int32"), out, cycles)
    assert out.tolist() == [6, 9]
    assert cycles.tolist() == [1]


@pytest.mark.parametrize("kernel", ["trapped", "deadlocked"])
def test_a_launch_that_fails_on_the_host_can_be_followed_by_others(kernel: str) -> None:
    if ca.cuda.is_available():
        pytest.skip("on the GPU the context is lost, or the kernel hangs")
    for _ in range(3):
        x = ca.ones(64, "int32")
        with pytest.raises(ca.CudaError, match="CUDA_ERROR_LAUNCH_FAILED") as caught:
            getattr(language(), kernel)[20, 64](x)
        assert caught.value.code == 719
        test_consecutive_collectives()


FAILING = """
#include <cassert>
__global__ void checked(int* x) { assert(x[threadIdx.x] == 0); }
"""


def test_asserts_and_output_in_a_process_of_their_own() -> None:
    script = f"""
import cuarray as ca
m = ca.cudadef({SOURCES["language"]!r}); m.talks[1, 8](); ca.cuda.synchronize()
m = ca.cudadef({FAILING!r}); x = ca.zeros(8, "int32"); m.checked[1, 8](x); ca.cuda.synchronize()
x[5] = 1
try:
    m.checked[1, 8](x); ca.cuda.synchronize()
except ca.CudaError as error:
    print(error.code, flush=True)
"""
    done = subprocess.run([sys.executable, "-c", script], env=dict(os.environ), capture_output=True, text=True)
    assert "thread 3 of 8" in done.stdout
    assert "710" in done.stdout, done.stderr
    assert "x[threadIdx.x] == 0" in done.stderr and "thread: [5,0,0]" in done.stderr


ptx = source(
    "ptx",
    r"""
__device__ unsigned lane() {
  unsigned result;
  asm volatile("mov.u32 %0, %%laneid;" : "=r"(result));
  return result;
}
__global__ void lanes(int* out) { out[threadIdx.x] = lane(); }
__global__ void without(int* out) { out[threadIdx.x] = 1; }
""",
)


def test_inline_ptx_is_refused_on_the_cpu_only_where_it_is_used() -> None:
    out = ca.zeros(64, "int32")
    ptx().without[1, 64](out)
    assert out.tolist() == [1] * 64
    if ca.cuda.is_available():
        ptx().lanes[1, 64](out)
        assert out.tolist() == [*range(32)] * 2
    else:
        with pytest.raises(ca.CompileError, match="not defined for the CPU"):
            ptx().lanes[1, 64](out)


ALL = (warps, atomics, mathematics, halves, groups, language, ptx)
INSTANCES = {
    "warps": [*(f"shuffles<{t}>" for t in ("int", "unsigned int", "long", "float", "double")), "votes", "diverged",
              "leaving", "block_votes", "consecutive"],
    "atomics": [*(f"add_up<{t}>" for t in ("int", "unsigned int", "unsigned long long", "float", "double")),
                *(f"integers<{t}>" for t in ("int", "unsigned int", "unsigned long long")), "wrapped", "locked",
                "message"],
    "mathematics": [*(f"unary_{name}" for name in UNARY), "inverse", "several", "conversions", "bits"],
    "halves": ["arithmetic<__half>", "arithmetic<__nv_bfloat16>", "from_double", "directed", "pairs"],
    "groups": [*(f"tiles<{n}>" for n in (2, 4, 8, 16, 32)), "partitions", "grids", "grid_sync", "copies"],
    "ptx": ["lanes", "without"],
    "language": ["words", "bytes", "vectors", *(f"aligned<{t}>" for t in ("float", "double", "short")), "loads",
                 "complex_numbers", "trapped", "deadlocked", "talks"],
}  # fmt: skip


@pytest.mark.parametrize("define", ALL, ids=["warps", "atomics", "mathematics", "halves", "groups", "language", "ptx"])
def test_every_source_compiles_for_the_gpu(
    define: Callable[[], ca.Module], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    module = define()
    names = [f"&{module.namespace}::{instance}" for instance in INSTANCES[module.name]]
    binary = nvrtc.compile(module._source, names, "sm_90a")
    assert set(binary.symbols) == set(names)
    kernels = {name.split("<")[0] for name in INSTANCES[module.name]}
    assert kernels == {kernel.__name__ for kernel in module}, "a kernel of the source is missing in INSTANCES"
