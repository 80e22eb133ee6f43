"""Classic CUDA kernels, as they stand in examples/kernels, on whichever backend runs."""

from __future__ import annotations

import functools
import zlib
from pathlib import Path
from typing import Any

import classic_references as reference
import numpy as np
import pytest
from comparison import assert_close
from hypothesis import given
from hypothesis import strategies as st

import cuarray as ca
from cuarray._kernel.declarations import find_kernels
from cuarray._runtime import Source, nvrtc

KERNELS = Path(__file__).parent.parent / "examples" / "kernels"
FILES = sorted(KERNELS.glob("*.cu"))

# What of each file is compiled for the GPU, which needs none.
INSTANCES: dict[str, tuple[str, ...]] = {
    "bfs.cu": ("bfs_step",),
    "bilateral.cu": ("bilateral",),
    "bitonic_sort.cu": tuple(f"{k}<{t}>" for k in ("bitonic_exchange", "bitonic_tiles") for t in ("int", "float")),
    "black_scholes.cu": ("black_scholes<float>", "black_scholes<double>"),
    "block_reduction.cu": ("block_sum<32, float>", "block_sum<128, double>", "block_sum<256, int>"),
    "compaction.cu": (
        "count_kept<Positive, float>", "count_kept<Odd, int>", "scan_counts", "write_kept<Positive, float>",
        "write_kept<Odd, int>",
    ),
    "convolution.cu": ("convolve_rows<1>", "convolve_rows<5>", "convolve_columns<1>", "convolve_columns<5>"),
    "crc32.cu": ("make_table", "crc32"),
    "fft.cu": ("bit_reverse", "butterflies"),
    "floyd_warshall.cu": ("floyd_warshall_step<int>", "floyd_warshall_step<float>"),
    "functor_reduction.cu": ("reduce<Sum, float>", "reduce<Sum, double>", "reduce<Max, float>", "reduce<Xor, int>"),
    "histogram.cu": tuple(f"histogram_{k}<{t}>" for k in ("global", "shared") for t in ("unsigned char", "int")),
    "jacobi.cu": tuple(f"{k}<{t}>" for k in ("jacobi", "residual") for t in ("float", "double")),
    "kmeans.cu": tuple(f"{k}<{t}>" for k in ("assign", "accumulate", "move") for t in ("float", "double")),
    "life.cu": ("life",),
    "lu.cu": tuple(f"{k}<{t}>" for k in ("scale_column", "update_rest") for t in ("float", "double")),
    "mandelbrot.cu": ("mandelbrot<float>", "mandelbrot<double>"),
    "matmul.cu": ("matmul<8, float>", "matmul<16, double>", "matmul<16, int>"),
    "monte_carlo_pi.cu": ("count_hits",),
    "nbody.cu": ("accelerations",),
    "radix_pass.cu": ("count_digits", "scan_counts", "scatter"),
    "ray_sphere.cu": ("first_hits",),
    "saxpy.cu": ("saxpy",),
    "scan.cu": ("scan_blocks<32, long>", "scan_blocks<128, float>", "add_offsets<long>", "add_offsets<float>"),
    "spmv.cu": tuple(f"spmv_{k}<{t}>" for k in ("scalar", "warp") for t in ("float", "double")),
    "stencil.cu": ("heat_step<float>", "heat_step<double>"),
    "string_search.cu": ("find_all",),
    "tile_reduction.cu": ("row_sums<4, float>", "row_sums<16, int>", "row_sums<32, double>"),
    "transpose.cu": ("transpose<unsigned char>", "transpose<float>", "transpose<double>"),
    "vector_add.cu": ("vector_add<int>", "vector_add<float>", "vector_add<double>"),
    "warp_reduction.cu": tuple(f"{k}<{t}>" for k in ("warp_reduce", "warp_subtract_max") for t in ("int", "float")),
}  # fmt: skip

SEEDS = st.integers(0, 2**32 - 1)
FLOATS = st.sampled_from(["float32", "float64"])
NUMBERS = st.sampled_from(["int32", "float32", "float64"])


@functools.cache
def kernels(name: str) -> ca.Module:
    """The module of a file in examples/kernels."""
    path = KERNELS / f"{name}.cu"
    return ca.cudafile(path)


def as_vectors(x: np.ndarray) -> Any:
    """A float32 array as the kernels' float2*, float3* or float4*: the last axis is the components."""
    return ca.asarray(x).view(getattr(ca, f"float{x.shape[-1]}"))


def blocks(items: int, block: int) -> int:
    """How many blocks cover the items; a grid has at least one."""
    return max(1, -(-items // block))


def blocks_2d(rows: int, columns: int, block: tuple[int, int] = (32, 8)) -> tuple[int, int]:
    return blocks(columns, block[0]), blocks(rows, block[1])


def integers(rng: np.random.Generator, shape: Any, dtype: str, limit: int = 100) -> np.ndarray:
    """Whole numbers, so that sums are exact in every dtype and order."""
    return rng.integers(-limit, limit, shape).astype(dtype)


# ---- for both compilers


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_compiles_for_the_gpu(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it stands, with NVRTC: every kernel in the file."""
    pytest.importorskip("cuda.core", reason="cuda.core, which drives NVRTC, is not installed")
    pytest.importorskip("cuda.bindings.nvrtc", reason="NVRTC's bindings are not installed")
    monkeypatch.setenv("CUARRAY_CACHE_DIR", str(tmp_path))
    text = path.read_text()
    names = INSTANCES[path.name]
    assert {name.split("<")[0] for name in names} == {declaration.name for declaration in find_kernels(text)}
    binary = nvrtc.compile(Source(path.name, text, contract=True), [f"&{name}" for name in names], "sm_90a")
    assert len(set(binary.symbols.values())) == len(names)


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_says_what_it_does(path: Path) -> None:
    assert path.read_text().startswith("// ")
    assert all(kernel.__doc__ for kernel in kernels(path.stem))


# ---- maps


@given(n=st.integers(1, 3000), block=st.sampled_from([1, 32, 100, 256]), dtype=NUMBERS, seed=SEEDS)
def test_vector_add(n: int, block: int, dtype: str, seed: int) -> None:
    a, b = integers(np.random.default_rng(seed), (2, n), dtype)
    out = ca.empty(n, dtype)
    kernels("vector_add").vector_add[blocks(n, block), block](ca.asarray(a), ca.asarray(b), out, n)
    np.testing.assert_array_equal(np.asarray(out), a + b)


@given(n=st.integers(1, 3000), grid=st.integers(1, 5), block=st.sampled_from([32, 100]), seed=SEEDS)
def test_saxpy(n: int, grid: int, block: int, seed: int) -> None:
    x, y = np.random.default_rng(seed).random((2, n), "float32")
    device_y = ca.asarray(y)
    kernels("saxpy").saxpy[grid, block](n, 1.5, ca.asarray(x), device_y)
    np.testing.assert_allclose(np.asarray(device_y), y + np.float64(1.5) * x, rtol=2e-7)


@given(n=st.integers(1, 1000), dtype=FLOATS, seed=SEEDS)
def test_black_scholes(n: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    spot, strike, years = rng.uniform([[5.0], [5.0], [0.25]], [[100.0], [100.0], [10.0]], (3, n)).astype(dtype)
    call, put = ca.empty(n, dtype), ca.empty(n, dtype)
    given_ = [ca.asarray(x) for x in (spot, strike, years)]
    kernels("black_scholes").black_scholes[blocks(n, 64), 64](*given_, call, put, n, 0.02, 0.3)
    expected = reference.black_scholes(*(x.astype("float64") for x in (spot, strike, years)), 0.02, 0.3)
    # Prices are differences of amounts up to 100.
    tolerance = {"rtol": 0, "atol": 100 * 16 * np.finfo(dtype).eps}
    np.testing.assert_allclose(np.asarray(call), expected[0], **tolerance)
    np.testing.assert_allclose(np.asarray(put), expected[1], **tolerance)


@given(width=st.integers(1, 70), height=st.integers(1, 30), seed=SEEDS)
def test_mandelbrot(width: int, height: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    left, bottom, step, limit = rng.uniform(-2.2, 0.5), rng.uniform(-1.5, 0.5), rng.uniform(1e-3, 0.05), 60
    counts = ca.empty((height, width), "int32")
    kernels("mandelbrot").mandelbrot["double"][blocks_2d(height, width), (32, 8)](
        counts, width, height, left, bottom, step, limit
    )
    points = (left + step * np.arange(width)) + 1j * (bottom + step * np.arange(height))[:, None]
    # Near the set's border a rounding decides. So a count must be that of the point, or of one that is very near.
    near = [reference.mandelbrot(points + 1e-12 * np.exp(2j * np.pi * k / 8), limit) for k in range(8)]
    exact = reference.mandelbrot(points, limit)
    found = np.asarray(counts)
    assert np.all((found >= np.min([exact, *near], axis=0)) & (found <= np.max([exact, *near], axis=0)))


def test_mandelbrot_in_single_precision() -> None:
    counts = ca.empty((1, 4), "int32")
    kernels("mandelbrot").mandelbrot[1, (32, 8)](counts, 4, 1, np.float32(-1), np.float32(0), np.float32(1), 50)
    assert counts.tolist() == [[50, 50, 3, 2]]  # -1 and 0 never leave; 1: 0, 1, 2, 5; 2: 0, 2, 6


@given(n=st.integers(1, 20_000), grid=st.integers(1, 4), seed=SEEDS)
def test_monte_carlo_pi(n: int, grid: int, seed: int) -> None:
    hits = ca.zeros(1, "uint64")
    kernels("monte_carlo_pi").count_hits[grid, 64](hits, n, seed)
    assert hits.tolist() == [reference.hits_in_quarter_disc(n, seed)]


def test_monte_carlo_pi_is_pi() -> None:
    n = 2**20
    hits = ca.zeros(1, "uint64")
    kernels("monte_carlo_pi").count_hits[8, 128](hits, n, 12345)
    assert abs(4 * int(hits[0]) / n - np.pi) < 5 * np.sqrt(np.pi * (4 - np.pi) / n)  # five standard deviations


@st.composite
def hits(draw: st.DrawFn) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(draw(SEEDS))
    rays, count = draw(st.integers(1, 80)), draw(st.integers(0, 6))
    origins, directions = rng.uniform(-1, 1, (2, rays, 3)).astype("float32")
    spheres = np.concatenate([rng.uniform(-3, 3, (count, 3)), rng.uniform(0.2, 2, (count, 1))], 1).astype("float32")
    return origins, directions, spheres


@given(scene=hits())
def test_ray_sphere(scene: tuple[np.ndarray, np.ndarray, np.ndarray]) -> None:
    origins, directions, spheres = scene
    rays, count = len(origins), len(spheres)
    numbers, distances = ca.empty(rays, "int32"), ca.empty(rays, "float32")
    padded = np.concatenate([spheres, np.zeros((1, 4), "float32")])  # an array of no spheres has no address
    kernels("ray_sphere").first_hits[blocks(rays, 32), 32](
        as_vectors(origins), as_vectors(directions), as_vectors(padded), rays, count, numbers, distances
    )
    # Rays that only just touch a sphere, or begin on it, may miss it in single precision: another radius tells them.
    found, at = np.asarray(numbers), np.asarray(distances)
    wide = [x.astype("float64") for x in (origins, directions, spheres)]
    for i in range(rays):
        nearest = [
            np.min(reference.sphere_distances(wide[0][[i]], wide[1][[i]], wide[2] * [1, 1, 1, size]), initial=np.inf)
            for size in (1 - 1e-4, 1, 1 + 1e-4)
        ]
        if np.isinf(nearest).all():
            assert found[i] == -1 and at[i] == 0
        elif np.isfinite(nearest).all() and np.ptp(nearest) < 0.02 * nearest[1]:
            np.testing.assert_allclose(at[i], nearest[1], rtol=2e-3)
            one = reference.sphere_distances(wide[0][[i]], wide[1][[i]], wide[2][[found[i]]])
            np.testing.assert_allclose(one, nearest[1], rtol=2e-3)


@given(text=st.text("ab", max_size=300), pattern=st.text("ab", min_size=1, max_size=5))
def test_string_search(text: str, pattern: str) -> None:
    text = text + "ab"
    data, sought = (np.frombuffer(s.encode(), "uint8") for s in (text, pattern))
    found = ca.empty(len(data), "uint8")
    kernels("string_search").find_all[blocks(len(data), 64), 64](
        ca.asarray(data), len(data), ca.asarray(sought), len(sought), found
    )
    assert np.flatnonzero(np.asarray(found)).tolist() == reference.find_all(text.encode(), pattern.encode())


@given(messages=st.lists(st.binary(max_size=100), min_size=1, max_size=50))
def test_crc32(messages: list[bytes]) -> None:
    mod, count = kernels("crc32"), len(messages)
    starts = np.cumsum([0, *map(len, messages)]).astype("int32")
    data = np.frombuffer(b"".join(messages) + b"\0", "uint8")
    table, crcs = ca.empty(256, "uint32"), ca.empty(count, "uint32")
    mod.make_table[1, 256](table)
    mod.crc32[blocks(count, 32), 32](ca.asarray(data), ca.asarray(starts), table, crcs, count)
    assert crcs.tolist() == [zlib.crc32(message) for message in messages]


# ---- grids and images


@given(rows=st.integers(1, 50), columns=st.integers(1, 80), dtype=FLOATS, seed=SEEDS)
def test_stencil(rows: int, columns: int, dtype: str, seed: int) -> None:
    now = np.random.default_rng(seed).random((rows, columns)).astype(dtype)
    out = ca.empty((rows, columns), dtype)
    kernels("stencil").heat_step[blocks_2d(rows, columns), (32, 8)](ca.asarray(now), out, rows, columns, 0.125)
    expected = reference.heat_step(now.astype("float64"), 0.125)
    np.testing.assert_allclose(np.asarray(out), expected, rtol=0, atol=8 * np.finfo(dtype).eps)


@given(rows=st.integers(1, 40), columns=st.integers(1, 70), generations=st.integers(1, 4), seed=SEEDS)
def test_life(rows: int, columns: int, generations: int, seed: int) -> None:
    expected = np.random.default_rng(seed).integers(0, 2, (rows, columns), "uint8")
    now, following = ca.asarray(expected), ca.empty((rows, columns), "uint8")
    for _ in range(generations):
        kernels("life").life[blocks_2d(rows, columns), (32, 8)](now, following, rows, columns)
        now, following = following, now
        expected = reference.life(expected)
    np.testing.assert_array_equal(np.asarray(now), expected)


@given(rows=st.integers(1, 100), columns=st.integers(1, 100), dtype=st.sampled_from(["uint8", "float32", "float64"]))
def test_transpose(rows: int, columns: int, dtype: str) -> None:
    x = np.arange(rows * columns).reshape(rows, columns).astype(dtype)
    out = ca.empty((columns, rows), dtype)
    kernels("transpose").transpose[blocks_2d(rows, columns, (32, 32)), (32, 8)](ca.asarray(x), out, rows, columns)
    np.testing.assert_array_equal(np.asarray(out), x.T)


@given(rows=st.integers(1, 40), columns=st.integers(1, 150), radius=st.sampled_from([1, 5]), seed=SEEDS)
def test_convolution(rows: int, columns: int, radius: int, seed: int) -> None:
    mod, rng = kernels("convolution"), np.random.default_rng(seed)
    image, taps = rng.random((rows, columns), "float32"), np.zeros(33, "float32")
    taps[: 2 * radius + 1] = rng.uniform(-1, 1, 2 * radius + 1)
    mod.coefficients[...] = taps
    between, out = ca.empty((rows, columns), "float32"), ca.empty((rows, columns), "float32")
    mod.convolve_rows[radius,][(blocks(columns, 64), rows), 64](ca.asarray(image), between, rows, columns)
    mod.convolve_columns[radius,][blocks_2d(rows, columns), (32, 8)](between, out, rows, columns)

    def along(axis: int, x: np.ndarray) -> np.ndarray:
        wide = taps[: 2 * radius + 1].astype("float64")
        return np.apply_along_axis(lambda line: np.convolve(line, wide)[radius : radius + line.size], axis, x)

    expected = along(0, along(1, image.astype("float64")))
    np.testing.assert_allclose(np.asarray(out), expected, rtol=0, atol=1e-4)


@given(height=st.integers(1, 30), width=st.integers(1, 50), radius=st.integers(0, 4), seed=SEEDS)
def test_bilateral(height: int, width: int, radius: int, seed: int) -> None:
    image = np.random.default_rng(seed).random((height, width), "float32")
    out = ca.empty((height, width), "float32")
    kernels("bilateral").bilateral[blocks_2d(height, width), (32, 8)](
        ca.asarray(image), out, width, height, radius, 0.125, 8.0
    )
    expected = reference.bilateral(image.astype("float64"), radius, 0.125, 8.0)
    np.testing.assert_allclose(np.asarray(out), expected, rtol=1e-5)


@given(rows=st.integers(3, 30), columns=st.integers(3, 50), dtype=FLOATS, seed=SEEDS)
def test_jacobi(rows: int, columns: int, dtype: str, seed: int) -> None:
    mod, h2 = kernels("jacobi"), 0.25
    u, f = np.random.default_rng(seed).random((2, rows, columns)).astype(dtype)
    device_u, device_f = ca.asarray(u), ca.asarray(f)
    following, total = ca.empty((rows, columns), dtype), ca.zeros(1)
    mod.jacobi[blocks_2d(rows, columns), (32, 8)](device_u, device_f, following, rows, columns, h2)
    mod.residual[2, 128](device_u, device_f, total, rows, columns, h2)
    wide_u, wide_f = u.astype("float64"), f.astype("float64")
    expected = reference.jacobi(wide_u, wide_f, h2)
    np.testing.assert_allclose(np.asarray(following), expected, rtol=0, atol=8 * np.finfo(dtype).eps)
    # What a sweep changes is the residual, but for the factor h^2 / 4.
    residual = (expected - wide_u)[1:-1, 1:-1] * 4 / h2
    np.testing.assert_allclose(float(total[0]), (residual**2).sum(), rtol=1e3 * np.finfo(dtype).eps, atol=1e-9)


def test_jacobi_converges() -> None:
    mod, rows, columns, h2 = kernels("jacobi"), 12, 9, 0.01
    f = np.random.default_rng(7).random((rows, columns))
    u, following, device_f = ca.zeros((rows, columns)), ca.zeros((rows, columns)), ca.asarray(f)
    for _ in range(400):
        mod.jacobi[blocks_2d(rows, columns), (32, 8)](u, device_f, following, rows, columns, h2)
        u, following = following, u
    total = ca.zeros(1)
    mod.residual[1, 128](u, device_f, total, rows, columns, h2)
    solution = np.linalg.solve(reference.poisson_matrix(rows, columns, h2), f[1:-1, 1:-1].ravel())
    np.testing.assert_allclose(np.asarray(u)[1:-1, 1:-1].ravel(), solution, rtol=1e-8)
    assert float(total[0]) < 1e-15


# ---- reductions and scans


@given(n=st.integers(1, 5000), threads=st.sampled_from([32, 128, 256]), dtype=NUMBERS, seed=SEEDS)
def test_block_reduction(n: int, threads: int, dtype: str, seed: int) -> None:
    x = integers(np.random.default_rng(seed), n, dtype)
    grid = min(7, blocks(n, threads))
    sums, total = ca.empty(grid, dtype), ca.empty(1, dtype)
    kernel = kernels("block_reduction").block_sum[threads,]
    kernel[grid, threads](ca.asarray(x), sums, n)
    kernel[1, threads](sums, total, grid)
    assert total.tolist() == [x.sum()]


@given(
    n=st.integers(1, 5000), threads=st.sampled_from([32, 96, 256]), grid=st.integers(1, 4), dtype=NUMBERS, seed=SEEDS
)
def test_warp_reduction(n: int, threads: int, grid: int, dtype: str, seed: int) -> None:
    x = integers(np.random.default_rng(seed), n, dtype)
    total = ca.zeros(1, dtype)
    kernels("warp_reduction").warp_reduce[grid, threads](ca.asarray(x), total, n)
    assert total.tolist() == [x.sum()]


@given(
    rows=st.integers(1, 20), columns=st.integers(1, 100), threads=st.sampled_from([32, 64]), dtype=NUMBERS, seed=SEEDS
)
def test_warp_butterfly(rows: int, columns: int, threads: int, dtype: str, seed: int) -> None:
    x = integers(np.random.default_rng(seed), (rows, columns), dtype)
    out = ca.empty((rows, columns), dtype)
    kernels("warp_reduction").warp_subtract_max[blocks(32 * rows, threads), threads](ca.asarray(x), out, rows, columns)
    np.testing.assert_array_equal(np.asarray(out), x - x.max(1, keepdims=True))


def scan(x: ca.CuArray, threads: int) -> ca.CuArray:
    """Inclusive prefix sums of any length."""
    mod, n = kernels("scan"), x.size
    grid = blocks(n, threads)
    out, sums = ca.empty_like(x), ca.empty(grid, x.dtype)
    mod.scan_blocks[threads,][grid, threads](x, out, sums, n)
    if grid > 1:
        mod.add_offsets[grid, threads](out, scan(sums, threads), n)
    return out


@given(n=st.integers(1, 5000), threads=st.sampled_from([32, 128]), dtype=NUMBERS, seed=SEEDS)
def test_scan(n: int, threads: int, dtype: str, seed: int) -> None:
    x = integers(np.random.default_rng(seed), n, dtype)
    np.testing.assert_array_equal(np.asarray(scan(ca.asarray(x), threads)), np.cumsum(x, dtype=dtype))


@given(
    n=st.integers(1, 5000), bins=st.integers(1, 200), grid=st.integers(1, 4),
    kind=st.sampled_from(["global", "shared"]), dtype=st.sampled_from(["uint8", "int32"]), seed=SEEDS,
)  # fmt: skip
def test_histogram(n: int, bins: int, grid: int, kind: str, dtype: str, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 256, n).astype(dtype)
    counts = ca.zeros(bins, "uint32")
    kernel = getattr(kernels("histogram"), f"histogram_{kind}")
    kernel[grid, 64, None, 4 * bins](ca.asarray(values), counts, n, bins)
    np.testing.assert_array_equal(np.asarray(counts), np.bincount(values.astype(int) % bins, minlength=bins))


@given(
    n=st.integers(1, 3000), predicate=st.sampled_from(["Positive", "Odd"]),
    dtype=st.sampled_from(["int8", "int32", "float32"]), seed=SEEDS,
)  # fmt: skip
def test_compaction(n: int, predicate: str, dtype: str, seed: int) -> None:
    mod, threads = kernels("compaction"), 128
    if predicate == "Odd" and dtype == "float32":
        dtype = "int64"
    x = integers(np.random.default_rng(seed), n, dtype)
    grid = blocks(n, threads)
    device_x, out, counts = ca.asarray(x), ca.zeros(n, dtype), ca.empty(grid + 1, "int32")
    mod.count_kept[predicate][grid, threads](device_x, counts, n)
    mod.scan_counts[1, threads](counts, grid)
    mod.write_kept[predicate][grid, threads](device_x, counts, out, n)
    expected = x[x > 0] if predicate == "Positive" else x[x % 2 != 0]
    assert int(counts[grid]) == expected.size
    np.testing.assert_array_equal(np.asarray(out)[: expected.size], expected)


@given(
    n=st.integers(1, 3000), threads=st.sampled_from([1, 32, 128]), grid=st.integers(1, 4),
    operation=st.sampled_from(["Sum", "Max", "Xor"]), dtype=NUMBERS, seed=SEEDS,
)  # fmt: skip
def test_functor_reduction(n: int, threads: int, grid: int, operation: str, dtype: str, seed: int) -> None:
    if operation == "Xor" and dtype.startswith("float"):
        dtype = "uint64"
    x = integers(np.random.default_rng(seed), n, dtype)
    results, result = ca.empty(grid, dtype), ca.empty(1, dtype)
    kernel = kernels("functor_reduction").reduce[operation]
    kernel[grid, threads, None, threads * x.itemsize](ca.asarray(x), results, n)
    kernel[1, threads, None, threads * x.itemsize](results, result, grid)
    expected = {"Sum": np.add, "Max": np.maximum, "Xor": np.bitwise_xor}[operation].reduce(x)
    assert result.tolist() == [expected]


@given(
    rows=st.integers(1, 40), columns=st.integers(1, 100), tile=st.sampled_from([4, 16, 32]), dtype=NUMBERS, seed=SEEDS
)  # fmt: skip
def test_tile_reduction(rows: int, columns: int, tile: int, dtype: str, seed: int) -> None:
    x = integers(np.random.default_rng(seed), (rows, columns), dtype)
    sums = ca.empty(rows, dtype)
    kernels("tile_reduction").row_sums[tile,][blocks(tile * rows, 64), 64](ca.asarray(x), sums, rows, columns)
    np.testing.assert_array_equal(np.asarray(sums), x.sum(1))


# ---- sorting


@given(n=st.integers(1, 1500), dtype=st.sampled_from(["int32", "int64", "float32"]), seed=SEEDS)
def test_bitonic_sort(n: int, dtype: str, seed: int) -> None:
    mod, threads = kernels("bitonic_sort"), 64
    x = integers(np.random.default_rng(seed), n, dtype, 1000)
    length = max(2 * threads, 1 << (n - 1).bit_length())
    # Up to a power of two it is filled up with what goes to the end.
    padded = ca.asarray(np.concatenate([x, np.full(length - n, 2000, dtype)]))
    tiles = length // (2 * threads)
    mod.bitonic_tiles[tiles, threads](padded, 2, 2 * threads)
    size = 4 * threads
    while size <= length:
        distance = size // 2
        while distance >= 2 * threads:
            mod.bitonic_exchange[tiles, threads](padded, size, distance)
            distance //= 2
        mod.bitonic_tiles[tiles, threads](padded, size, size)
        size *= 2
    np.testing.assert_array_equal(np.asarray(padded)[:n], np.sort(x))


def radix_pass(keys: ca.CuArray, shift: int) -> ca.CuArray:
    mod, n, threads = kernels("radix_pass"), keys.size, 128
    grid = blocks(n, threads)
    counts, out = ca.empty((16, grid), "int32"), ca.empty_like(keys)
    mod.count_digits[grid, threads](keys, counts, n, shift)
    mod.scan_counts[1, 32](counts, 16 * grid)
    mod.scatter[grid, threads](keys, counts, out, n, shift)
    return out


@given(n=st.integers(1, 2000), shift=st.integers(0, 28), seed=SEEDS)
def test_radix_pass_is_stable(n: int, shift: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 2**32, n, "uint32")
    expected = x[np.argsort(x >> shift & 15, kind="stable")]
    np.testing.assert_array_equal(np.asarray(radix_pass(ca.asarray(x), shift)), expected)


@given(n=st.integers(1, 2000), bits=st.sampled_from([3, 32]), seed=SEEDS)
def test_radix_sort(n: int, bits: int, seed: int) -> None:
    x = np.random.default_rng(seed).integers(0, 2**bits, n, "uint32")
    keys = ca.asarray(x)
    for shift in range(0, 32, 4):
        keys = radix_pass(keys, shift)
    np.testing.assert_array_equal(np.asarray(keys), np.sort(x))


# ---- linear algebra


@given(
    m=st.integers(1, 40), n=st.integers(1, 40), k=st.integers(1, 40), tile=st.sampled_from([8, 16]), dtype=NUMBERS,
    seed=SEEDS,
)  # fmt: skip
def test_matmul(m: int, n: int, k: int, tile: int, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    a, b = integers(rng, (m, k), dtype), integers(rng, (k, n), dtype)
    out = ca.empty((m, n), dtype)
    kernels("matmul").matmul[tile,][blocks_2d(m, n, (tile, tile)), (tile, tile)](
        ca.asarray(a), ca.asarray(b), out, m, n, k
    )
    np.testing.assert_array_equal(np.asarray(out), a @ b)


@given(
    rows=st.integers(1, 70), columns=st.integers(1, 70), density=st.floats(0, 1),
    kind=st.sampled_from(["scalar", "warp"]), dtype=FLOATS, seed=SEEDS,
)  # fmt: skip
def test_spmv(rows: int, columns: int, density: float, kind: str, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = integers(rng, (rows, columns), dtype) * (rng.random((rows, columns)) < density)
    dense = dense.astype(dtype)
    dense[rows // 2, 0] = 1  # an array of no elements has no address
    x, y = integers(rng, columns, dtype), ca.empty(rows, dtype)
    threads = rows if kind == "scalar" else 32 * rows
    getattr(kernels("spmv"), f"spmv_{kind}")[blocks(threads, 64), 64](
        *(ca.asarray(part) for part in reference.csr(dense)), ca.asarray(x), y, rows
    )
    np.testing.assert_array_equal(np.asarray(y), dense @ x)


@given(n=st.integers(1, 24), dtype=FLOATS, seed=SEEDS)
def test_lu(n: int, dtype: str, seed: int) -> None:
    mod = kernels("lu")
    # Diagonally dominant, so that no pivots are needed.
    matrix = (np.random.default_rng(seed).uniform(-1, 1, (n, n)) + n * np.eye(n)).astype(dtype)
    factors = ca.asarray(matrix)
    for k in range(n - 1):
        mod.scale_column[blocks(n, 32), 32](factors, n, k)
        mod.update_rest[blocks_2d(n, n), (32, 8)](factors, n, k)
    found = np.asarray(factors).astype("float64")
    lower, upper = np.tril(found, -1) + np.eye(n), np.triu(found)
    np.testing.assert_allclose(lower @ upper, matrix, rtol=0, atol=4 * n * np.finfo(dtype).eps * n)
    right = np.arange(1.0, n + 1)
    solution = np.linalg.solve(upper, np.linalg.solve(lower, right))
    np.testing.assert_allclose(
        solution, np.linalg.solve(matrix.astype("float64"), right), rtol=0, atol=100 * n * np.finfo(dtype).eps
    )


@given(p=st.integers(0, 11), block=st.sampled_from([32, 100]), seed=SEEDS)
def test_fft(p: int, block: int, seed: int) -> None:
    mod, n = kernels("fft"), 1 << p
    x = np.random.default_rng(seed).uniform(-1, 1, (n, 2)).astype("float32")
    signal = x.astype("float64") @ [1, 1j]

    def transform(x: np.ndarray, sign: float) -> np.ndarray:
        out = ca.empty((n, 2), "float32")
        vectors = out.view(ca.float2)
        mod.bit_reverse[blocks(n, block), block](as_vectors(x), vectors, p)
        for stage in range(p):
            mod.butterflies[blocks(n // 2, block), block](vectors, n, 1 << stage, sign)
        return np.asarray(out)

    forward = transform(x, -1.0)
    scale = 1e-6 * (p + 1) * np.sqrt(n)
    np.testing.assert_allclose(forward.astype("float64") @ [1, 1j], np.fft.fft(signal), rtol=0, atol=scale)
    np.testing.assert_allclose(transform(forward, 1.0) / n, x, rtol=0, atol=2 * scale)


# ---- bodies, clusters, graphs


@given(n=st.integers(1, 150), block=st.sampled_from([32, 50]), seed=SEEDS)
def test_nbody(n: int, block: int, seed: int) -> None:
    bodies = np.random.default_rng(seed).uniform(0.1, 1, (n, 4)).astype("float32")
    out = ca.empty((n, 4), "float32")
    kernels("nbody").accelerations[blocks(n, block), block, None, 16 * block](
        as_vectors(bodies), out.view(ca.float4), n, 0.01
    )
    expected = reference.accelerations(bodies.astype("float64"), 0.01)
    # Pulls cancel: what counts is how large they are together.
    size = np.abs(reference.accelerations(bodies.astype("float64"), 0.01)).max(initial=1)
    found = np.asarray(out)
    np.testing.assert_allclose(found[:, :3], expected, rtol=1e-4, atol=1e-5 * size)
    np.testing.assert_array_equal(found[:, 3], 0)


@given(
    n=st.integers(1, 300), k=st.integers(1, 6), dimensions=st.integers(1, 4), dtype=FLOATS, seed=SEEDS
)  # fmt: skip
def test_kmeans(n: int, k: int, dimensions: int, dtype: str, seed: int) -> None:
    mod, rng = kernels("kmeans"), np.random.default_rng(seed)
    # Small whole numbers: distances and sums are exact, and there are ties, which the first centre wins.
    points, centres = integers(rng, (n, dimensions), dtype, 8), integers(rng, (k, dimensions), dtype, 8)
    device_points, device_centres = ca.asarray(points), ca.asarray(centres)
    labels, counts = ca.empty(n, "int32"), ca.zeros(k, "int32")
    sums = ca.zeros((k, dimensions), dtype)
    mod.assign[blocks(n, 64), 64](device_points, device_centres, labels, n, k, dimensions)
    mod.accumulate[blocks(n, 64), 64](device_points, labels, sums, counts, n, dimensions)
    mod.move[k, dimensions](sums, counts, device_centres)
    expected = ((points[:, None] - centres) ** 2).sum(2).argmin(1)
    np.testing.assert_array_equal(np.asarray(labels), expected)
    np.testing.assert_array_equal(np.asarray(counts), np.bincount(expected, minlength=k))
    moved = [points[expected == c].mean(0) if np.any(expected == c) else centres[c] for c in range(k)]
    assert_close(np.asarray(device_centres), np.array(moved, dtype), rtol=4 * np.finfo(dtype).eps)


@given(n=st.integers(1, 60), density=st.floats(0, 0.2), seed=SEEDS)
def test_bfs(n: int, density: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    edges = rng.random((n, n)) < density
    edges[0, 0] = True  # an array of no elements has no address
    starts, ends, _ = (ca.asarray(part) for part in reference.csr(edges))
    source = int(rng.integers(n))
    first = np.full(n, -1, "int32")
    first[source] = 0
    distance, changed, level = ca.asarray(first), ca.zeros(1, "int32"), 0
    while True:
        changed[0] = 0
        kernels("bfs").bfs_step[blocks(n, 32), 32](starts, ends, distance, changed, level, n)
        if not int(changed[0]):
            break
        level += 1
    expected = reference.distances_from(source, edges)
    np.testing.assert_array_equal(np.asarray(distance), expected)
    assert level == expected.max()


@given(n=st.integers(1, 30), density=st.floats(0, 0.5), dtype=NUMBERS, seed=SEEDS)
def test_floyd_warshall(n: int, density: float, dtype: str, seed: int) -> None:
    rng = np.random.default_rng(seed)
    none = 10_000  # longer than any path, and twice of it fits every dtype
    lengths = np.where(rng.random((n, n)) < density, rng.integers(1, 100, (n, n)), none)
    np.fill_diagonal(lengths, 0)
    distances = ca.asarray(lengths.astype(dtype))
    for k in range(n):
        kernels("floyd_warshall").floyd_warshall_step[blocks_2d(n, n), (32, 8)](distances, n, k)
    expected = np.minimum(reference.shortest_paths(lengths), none)
    np.testing.assert_array_equal(np.asarray(distances), expected)
