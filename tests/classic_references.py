"""What the classic kernels compute, in plain NumPy and Python: for `test_classic_kernels.py` to compare with."""

from __future__ import annotations

import math
from collections import deque

import numpy as np


def heat_step(now: np.ndarray, rate: float) -> np.ndarray:
    """One explicit step of the heat equation; the border keeps its values."""
    result = now.copy()
    inner = now[1:-1, 1:-1]
    result[1:-1, 1:-1] = inner + rate * (now[:-2, 1:-1] + now[2:, 1:-1] + now[1:-1, :-2] + now[1:-1, 2:] - 4 * inner)
    return result


def jacobi(u: np.ndarray, f: np.ndarray, h2: float) -> np.ndarray:
    """One sweep of Jacobi's iteration for -laplace(u) = f."""
    result = u.copy()
    result[1:-1, 1:-1] = (u[:-2, 1:-1] + u[2:, 1:-1] + u[1:-1, :-2] + u[1:-1, 2:] + h2 * f[1:-1, 1:-1]) / 4
    return result


def poisson_matrix(rows: int, columns: int, h2: float) -> np.ndarray:
    """-laplace on the inner points of a grid, with zeros on the border, as a matrix."""

    def second_difference(n: int) -> np.ndarray:
        return 2 * np.eye(n) - np.eye(n, k=1) - np.eye(n, k=-1)

    rows, columns = rows - 2, columns - 2
    return (np.kron(second_difference(rows), np.eye(columns)) + np.kron(np.eye(rows), second_difference(columns))) / h2


def mandelbrot(points: np.ndarray, limit: int) -> np.ndarray:
    """After how many steps each point has left the disc of radius 2."""
    z, counts = np.zeros_like(points), np.zeros(points.shape, int)
    inside = np.ones(points.shape, bool)
    for _ in range(limit):
        inside &= np.abs(z) <= 2
        counts += inside
        z = np.where(inside, z * z + points, z)
    return counts


def life(now: np.ndarray) -> np.ndarray:
    """One generation on a torus."""
    neighbours = sum(
        np.roll(now.astype(int), (down, right), (0, 1)) for down in (-1, 0, 1) for right in (-1, 0, 1) if down or right
    )
    return ((neighbours == 3) | ((neighbours == 2) & (now == 1))).astype(now.dtype)


def accelerations(bodies: np.ndarray, softening2: float) -> np.ndarray:
    """What all bodies (x, y, z, mass) do to each."""
    difference = bodies[None, :, :3] - bodies[:, None, :3]
    distance2 = (difference**2).sum(2) + softening2
    return ((bodies[:, 3] * distance2**-1.5)[:, :, None] * difference).sum(1)


def black_scholes(
    spot: np.ndarray, strike: np.ndarray, years: np.ndarray, rate: float, volatility: float
) -> tuple[np.ndarray, np.ndarray]:
    """Prices of calls and puts."""
    erf = np.vectorize(math.erf, otypes=[float])
    deviation = volatility * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + volatility**2 / 2) * years) / deviation
    n1, n2 = ((1 + erf(d / math.sqrt(2))) / 2 for d in (d1, d1 - deviation))
    call = spot * n1 - strike * np.exp(-rate * years) * n2
    return call, call - spot + strike * np.exp(-rate * years)  # the parity of call and put


def philox(counters: np.ndarray, key: int) -> tuple[np.ndarray, np.ndarray]:
    """Philox 2x32 with ten rounds: two arrays of 32 random bits, as uint64, for each 64-bit counter."""
    mask, shift = np.uint64(0xFFFFFFFF), np.uint64(32)
    low, high = counters & mask, counters >> shift
    for _ in range(10):
        product = np.uint64(0xD256D193) * low
        low, high = (product >> shift) ^ np.uint64(key) ^ high, product & mask
        key = (key + 0x9E3779B9) % 2**32
    return low, high


def hits_in_quarter_disc(n: int, seed: int) -> int:
    """How many of the first n points of 2 x 31 bits are in it."""
    x, y = (bits >> np.uint64(1) for bits in philox(np.arange(n, dtype=np.uint64), seed))
    return int(np.count_nonzero(x * x + y * y < np.uint64(2**62)))


def csr(dense: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The starts of rows, the columns and the values of what is not 0."""
    rows, columns = np.nonzero(dense)
    starts = np.searchsorted(rows, np.arange(len(dense) + 1))
    return starts.astype("int32"), columns.astype("int32"), dense[rows, columns]


def distances_from(node: int, edges: np.ndarray) -> np.ndarray:
    """How many edges each node is away (-1: cannot be reached), from a matrix of which edges there are."""
    distance = np.full(len(edges), -1)
    distance[node] = 0
    queue = deque([node])
    while queue:
        at = queue.popleft()
        for to in np.flatnonzero(edges[at]):
            if distance[to] < 0:
                distance[to] = distance[at] + 1
                queue.append(to)
    return distance


def shortest_paths(lengths: np.ndarray) -> np.ndarray:
    """Between all pairs of nodes: with twice as many edges allowed each time."""
    paths = lengths.copy()
    np.fill_diagonal(paths, np.minimum(np.diagonal(paths), 0))
    for _ in range(max(1, len(paths).bit_length())):
        paths = np.min(paths[:, :, None] + paths[None, :, :], axis=1)
    return paths


def bilateral(image: np.ndarray, radius: int, place: float, value: float) -> np.ndarray:
    """The mean around each pixel, weighted by nearness in place and value; the border goes on beyond the image."""
    height, width = image.shape
    padded = np.pad(image, radius, mode="edge")
    total, weights = np.zeros_like(image), np.zeros_like(image)
    for dy in range(-radius, radius + 1):
        for dx in range(-radius, radius + 1):
            other = padded[radius + dy : radius + dy + height, radius + dx : radius + dx + width]
            weight = np.exp(-(dx * dx + dy * dy) * place - (other - image) ** 2 * value)
            total += weight * other
            weights += weight
    return total / weights


def sphere_distances(origins: np.ndarray, directions: np.ndarray, spheres: np.ndarray) -> np.ndarray:
    """distances[ray, sphere] > 0 at which they meet first, infinite where they do not."""
    result = np.full((len(origins), len(spheres)), np.inf)
    for i, (origin, direction) in enumerate(zip(origins, directions)):
        for k, (*centre, radius) in enumerate(spheres):
            away = origin - centre
            roots = np.roots([direction @ direction, 2 * direction @ away, away @ away - radius**2])
            met = roots.real[(roots.imag == 0) & (roots.real > 0)]
            if met.size:
                result[i, k] = met.min()
    return result


def find_all(text: bytes, pattern: bytes) -> list[int]:
    """The positions of all occurrences, overlapping ones too."""
    found, at = [], text.find(pattern)
    while at >= 0:
        found.append(at)
        at = text.find(pattern, at + 1)
    return found
