"""Twelve colours for a photograph: k-means three times over, and all three must agree.

1. NumPy, and 2. cuarray, running the very same function; 3. three C++ template kernels, defined below and launched
from a loop that numba compiled. The account is printed; the pictures go to examples/output/kmeans.png, or to the path
given as the first argument.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numba
import numpy as np
from matplotlib.cbook import get_sample_data
from matplotlib.figure import Figure
from PIL import Image

import cuarray as ca

COLOURS = 12
ITERATIONS = 10
REPEATS = 3  # the best of these is the warm time
THREADS = 256  # a block's, as in SOURCE
OUTPUT = Path(__file__).parent / "output" / "kmeans.png"


class Result(NamedTuple):
    """What k-means found: the colours, which of them each pixel gets, and the pixels in those colours."""

    centres: Any
    labels: Any
    painted: Any


def photograph() -> np.ndarray:
    """The portrait of Grace Hopper that comes with matplotlib, as rows of 8-bit red, green and blue."""
    with get_sample_data("grace_hopper.jpg") as file:
        return np.asarray(Image.open(file).convert("RGB"))


def first_centres(pixels: np.ndarray) -> np.ndarray:
    """Pixels of evenly spaced brightness: the same start every time, and for all three."""
    order = np.argsort(pixels.sum(axis=1), kind="stable")
    return pixels[order[np.linspace(0, len(order) - 1, COLOURS).astype(int)]]


# ---- 1 and 2: array code; `xp` is numpy or cuarray


def kmeans_arrays(xp: Any, pixels: Any, centres: Any) -> Result:
    """k-means on rows of pixels."""
    numbers = xp.arange(COLOURS)
    for iteration in range(ITERATIONS + 1):
        distances = xp.sum(xp.square(pixels[:, None, :] - centres), axis=2)
        labels = xp.argmin(distances, axis=1)
        belongs = labels[:, None] == numbers  # pixel x colour
        if iteration < ITERATIONS:
            sums = xp.sum(xp.where(belongs[:, :, None], pixels[:, None, :], 0), axis=0, dtype="float64")
            counts = xp.sum(belongs, axis=0)[:, None]
            # A colour that no pixel is nearest to stays where it was.
            centres = xp.where(counts > 0, sums / xp.maximum(counts, 1), centres).astype("float32")
    # cuarray has no index arrays yet, so instead of centres[labels]: one channel of one colour is left of each sum.
    painted = xp.sum(xp.where(belongs[:, :, None], centres, 0), axis=1)
    return Result(centres, labels, painted)


# ---- 3: kernels of one's own

SOURCE = r"""
constexpr int threads = 256;  // a block's, as THREADS

// Each pixel gets the number and the colour of the centre nearest to it. One thread a pixel.
template <class T>
__global__ void assign(const T* pixels, const T* centres, int* labels, T* painted, int n, int colours) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i >= n) return;
  const T red = pixels[3 * i], green = pixels[3 * i + 1], blue = pixels[3 * i + 2];
  int nearest = 0;
  T least = T(1e30);
  for (int c = 0; c < colours; ++c) {
    const T r = red - centres[3 * c], g = green - centres[3 * c + 1], b = blue - centres[3 * c + 2];
    const T distance = r * r + g * g + b * b;
    if (distance < least) {
      least = distance;
      nearest = c;
    }
  }
  labels[i] = nearest;
  for (int channel = 0; channel < 3; ++channel) painted[3 * i + channel] = centres[3 * nearest + channel];
}

// Each block sums its share of the pixels, tile by tile, into partial[block][colour][red, green, blue, count].
// The whole block loads a tile into shared memory; then thread (colour, channel) adds up what is its own: no atomics.
template <class T>
__global__ void partial_sums(const T* pixels, const int* labels, double* partial, int n, int colours) {
  __shared__ T tile[threads][4];
  __shared__ int owner[threads];
  const int t = threadIdx.x, colour = t / 4, channel = t % 4;
  double sum = 0;
  for (int first = blockIdx.x * threads; first < n; first += gridDim.x * threads) {
    const int i = first + t;
    owner[t] = i < n ? labels[i] : -1;
    for (int k = 0; k < 3; ++k) tile[t][k] = i < n ? pixels[3 * i + k] : T(0);
    tile[t][3] = T(1);
    __syncthreads();
    if (colour < colours)
      for (int k = 0; k < threads; ++k)
        if (owner[k] == colour) sum += tile[k][channel];
    __syncthreads();
  }
  if (colour < colours) partial[4 * (blockIdx.x * colours + colour) + channel] = sum;
}

// Each centre moves to the mean of its pixels; one that has none stays. Thread (centre, channel), one block.
template <class T>
__global__ void move_centres(const double* partial, T* centres, int blocks, int colours) {
  const int c = threadIdx.x / 3, channel = threadIdx.x % 3;
  double sum = 0, count = 0;
  for (int block = 0; block < blocks; ++block) {
    sum += partial[4 * (block * colours + c) + channel];
    count += partial[4 * (block * colours + c) + 3];
  }
  if (count > 0) centres[3 * c + channel] = T(sum / count);
}
"""

kernels = ca.cudadef(SOURCE, name="kmeans")


@numba.njit
def kmeans_loop(pixels, centres, labels, painted, partial, n, colours, blocks, iterations):
    """The whole of k-means; no Python runs between the launches."""
    grid = (n + THREADS - 1) // THREADS
    for _ in range(iterations):
        kernels.assign[grid, THREADS](pixels, centres, labels, painted, n, colours)
        kernels.partial_sums[blocks, THREADS](pixels, labels, partial, n, colours)
        kernels.move_centres[1, 3 * colours](partial, centres, blocks, colours)
    kernels.assign[grid, THREADS](pixels, centres, labels, painted, n, colours)


def kmeans_kernels(pixels: ca.CuArray, centres: ca.CuArray) -> Result:
    """k-means by the kernels above."""
    n, blocks = len(pixels), 64
    centres = centres.copy()
    labels, painted = ca.empty(n, "int32"), ca.empty_like(pixels)
    partial = ca.empty((blocks, COLOURS, 4))
    kmeans_loop(pixels, centres, labels, painted, partial, n, COLOURS, blocks, ITERATIONS)
    return Result(centres, labels, painted)


# ---- comparing, timing, showing


def timed(compute: Callable[[], Result]) -> tuple[Result, float, float]:
    """The result, the seconds of the first call, and those of the best of the calls after it."""
    seconds = []
    for _ in range(1 + REPEATS):
        ca.cuda.synchronize()
        start = time.perf_counter()
        result = compute()
        ca.cuda.synchronize()
        seconds.append(time.perf_counter() - start)
    return result, seconds[0], min(seconds[1:])


def compare(pixels: np.ndarray, reference: Result, result: Result) -> tuple[int, float]:
    """How many labels differ from the reference's, and by how much a centre at most.

    Compilers may round a distance differently, so a pixel between two centres can go to either: that, and no more,
    is allowed.
    """
    labels, centres = np.asarray(result.labels), np.asarray(result.centres)
    moved = float(np.abs(centres - reference.centres).max())
    assert moved < 0.05, f"a centre is {moved} away from NumPy's"
    other = np.flatnonzero(labels != reference.labels)
    own = np.linalg.norm(pixels[other] - centres[labels[other]], axis=1)
    nearest = np.linalg.norm(pixels[other] - centres[reference.labels[other]], axis=1)
    assert np.all(np.abs(own - nearest) < 0.2), "a pixel is not with its nearest centre"
    assert np.array_equal(np.asarray(result.painted), centres[labels]), "a pixel has not its centre's colour"
    return len(other), moved


def show(image: np.ndarray, results: dict[str, Result], path: Path) -> None:
    """The photograph and what was made of it, side by side, as a PNG."""
    figure = Figure(figsize=(7.2, 2.5), layout="constrained")
    axes = figure.subplots(1, 1 + len(results))
    pictures = {"the photograph": image}
    for title, result in results.items():
        painted = np.asarray(result.painted).reshape(image.shape)
        pictures[title] = np.rint(painted).astype(np.uint8)
    for axis, (title, picture) in zip(axes, pictures.items(), strict=True):
        axis.imshow(picture)
        axis.set_title(title, fontsize=9)
        axis.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=100, pil_kwargs={"optimize": True})


def main() -> None:
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else OUTPUT
    image = photograph()
    host_pixels = image.reshape(-1, 3).astype(np.float32)
    host_centres = first_centres(host_pixels)
    pixels, centres = ca.array(host_pixels), ca.array(host_centres)

    where = "on the GPU (cuda backend)" if ca.cuda.is_available() else "on the CPU (host backend)"
    height, width = image.shape[:2]
    print(f"cuarray {ca.__version__}; kernels run {where}, arrays are on device {str(pixels.device)!r}.")
    print(f"k-means: {width} x {height} pixels, {COLOURS} colours, {ITERATIONS} iterations, float32.\n")

    runs: dict[str, tuple[str, Callable[[], Result]]] = {
        "NumPy": ("array code, xp=numpy", lambda: kmeans_arrays(np, host_pixels, host_centres)),
        "cuarray": ("the same code, xp=cuarray", lambda: kmeans_arrays(ca, pixels, centres)),
        "own kernels": ("C++ kernels from a numba loop", lambda: kmeans_kernels(pixels, centres)),
    }
    results: dict[str, Result] = {}
    print(f"{'':13}{'':31}{'first call*':>12}{'warm**':>10}   against NumPy")
    for title, (what, compute) in runs.items():
        result, first, warm = timed(compute)
        verdict = "(the reference)"
        if results:
            differing, moved = compare(host_pixels, results["NumPy"], result)
            verdict = f"{differing} labels differ, centres within {moved:.1g}"
        results[title] = result
        print(f"{title:13}{what:31}{first:10.2f} s{warm:8.3f} s   {verdict}")
    print(
        "\n*  of cuarray: compiles the kernels (or reads them from the cache on disk) and the loop first"
        f"\n** the best of {REPEATS} more calls, each until its results are there"
    )

    show(image, results, path)
    print(f"\nThe pictures: {path}")


if __name__ == "__main__":
    main()
