"""Runs functions with every array and all scratch memory between pages that nothing may touch: see test_fenced.py.

    python tests/fenced.py end|begin GROUP    # blocks end, or begin, at a page that must not be touched

A read or write beyond a block ends the process with a segmentation fault; what was going on is printed before. Fresh
memory is filled with a pattern, and results are compared with NumPy's: so reading what was never written is found, too.
"""

from __future__ import annotations

import ctypes
import itertools
import mmap
import sys
import warnings
from typing import Any

import numpy as np

import cuarray as ca
from cuarray import _plan, _runtime
from cuarray._runtime.memory import Memory, MemoryPool
from cuarray._tuning import Target

PAGE = mmap.PAGESIZE
_libc = ctypes.CDLL(None, use_errno=True)
_libc.mmap.restype = ctypes.c_void_p
_libc.mmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long)
_libc.munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
_libc.mprotect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)


def fence(at_end: bool) -> None:
    """From now on arrays have memory between two pages without access, and touch the later or the earlier one."""

    def allocate(self: MemoryPool, nbytes: int) -> Memory:
        pages = -(-max(nbytes, 1) // PAGE)
        base = _libc.mmap(None, (pages + 2) * PAGE, 0, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS, -1, 0)
        assert base not in (None, ctypes.c_void_p(-1).value)
        assert not _libc.mprotect(base + PAGE, pages * PAGE, mmap.PROT_READ | mmap.PROT_WRITE)
        ctypes.memset(base + PAGE, 0xA5, pages * PAGE)
        pointer = base + PAGE + (pages * PAGE - nbytes if at_end else 0)
        return Memory(pointer if nbytes else 0, nbytes, lambda *_: _libc.munmap(base, (pages + 2) * PAGE))

    MemoryPool.allocate = allocate  # type: ignore[method-assign]


# About the lengths of runs, tiles and chunks of the kernels.
SIZES = (0, 1, 2, 3, *(near + by for near in (8, 32, 64, 128, 192, 256, 512, 1024) for by in (-1, 0, 1)))
LARGE = (8191, 8193, 16384, 16385, 32767, 32769, 65535, 65537, 131073, 262145)

# Expressions of xp and n; x, f, h: float64, float32, float16, i: a permutation, j: int64 among which many are equal,
# u: uint8, b: bool, c: complex128, s: every second of 2 n, backwards, m: a matrix of n rows, w: one of n columns.
GROUPS: dict[str, list[str]] = {
    "indexing": [
        "x[i]",
        "s[i]",
        "u[i]",
        "c[i]",
        "h[i]",
        "m[i]",
        "w[:, i]",
        "m[i, i % 3]",
        "x[b]",
        "m[b]",
        "w[:, b]",
        "s[b]",
        "x[i[:, None] % max(n, 1), None] if n < 300 else x",
        "xp.take(x, i, mode='wrap')",
        "xp.take(u, i - 1, mode='clip') if n else u",
        "xp.nonzero(b)",
        "xp.flatnonzero(u)",
        "xp.argwhere(w > 4)",
        "xp.compress(b, m, axis=0)",
        "xp.extract(b, s)",
        "put(x, i, f)",
        "put(m, i, 7)",
        "put(u, j, u)",
        "put(w, (slice(None), j), 1)",
        "put(x, b, 5)",
        "put(s, b, 5)",
        "put(h, j, h)",
        "at(xp.add, x, j, f)",
        "at(xp.add, j.copy(), j, 2)",
        "at(xp.maximum, u, j, 9)",
        "at(xp.add, m, j, 1)",
        "at(xp.negative, x, j)",
        "xp.take_along_axis(w, xp.argsort(w, axis=1), 1)",
        "xp.take_along_axis(m, xp.argsort(m, axis=0), 0)",
        "xp.where(b, x, f)",
        "xp.choose(u % 2, [x, f])",
        "xp.unravel_index(i, (max(n, 1), 1))",
        "xp.ravel_multi_index((i, j), (max(n, 1), max(n, 1)))",
        "xp.repeat(x, u % 3)",
        "xp.repeat(m, 3, axis=0)",
        "xp.delete(x, i[::2])",
        "xp.insert(x, i[::2], 1)",
        "xp.roll(m, 5, 0)",
        "xp.pad(x, 3)",
        "xp.diag(x[:64])",
        "xp.tril(w)",
        "xp.select([b, x > 3], [x, f], 1)",
    ],
    "sorting": [
        *(f"xp.sort({own})" for own in "xfhujcsib"),
        *(f"xp.argsort({own}, kind='stable')" for own in "xfhujcsib"),
        "xp.sort(m, axis=0)",
        "xp.sort(w)",
        "xp.argsort(m, axis=0, kind='stable')",
        "xp.argsort(w, kind='stable')",
        "xp.sort(m)",
        "xp.argsort(m, kind='stable')",
        "xp.partition(x, n // 2)[n // 2] if n else x",
        "xp.lexsort((u, x))",
        "xp.searchsorted(xp.sort(x), f)",
        "xp.searchsorted(xp.sort(u), u, 'right')",
        "xp.searchsorted(x[:0], x)",
        "xp.unique(j)",
        "xp.unique(u, return_inverse=True, return_counts=True, return_index=True)",
        "xp.unique(m % 3, axis=0)",
        "xp.isin(j, u)",
        "xp.intersect1d(j, i)",
        "xp.setdiff1d(i, j)",
        "xp.union1d(u, u)",
        "xp.median(x) if n else x",
        "xp.quantile(m, [0.1, 0.9], axis=0) if n else x",
        "xp.nanmedian(f) if n else x",
        "xp.percentile(w, 30, axis=1) if n else x",
        "xp.bincount(u)",
        "xp.bincount(j, x)",
        "xp.bincount(j, minlength=5000)",
        "xp.histogram(x, 10)",
        "xp.histogram(f, 4097)",
        "xp.histogram(u, 3, weights=x)",
        "xp.histogram(x, [0, 1, 3, 700])",
        "xp.digitize(x, [1.0, 2.0, 5.0])",
        "xp.histogram2d(x, f, 3)",
    ],
    "scans": [
        *(f"xp.cumsum({own})" for own in "xfujsc"),
        "xp.cumsum(m, axis=0)",
        "xp.cumsum(w, axis=1)",
        "xp.cumsum(m, axis=1)",
        "xp.cumsum(w, axis=0)",
        "xp.cumprod(x[:20])",
        "xp.nancumsum(f)",
        "xp.maximum.accumulate(x)",
        "xp.subtract.accumulate(x)",
        "xp.logical_and.accumulate(b)",
        "xp.add.reduceat(x, xp.arange(0, n, 3)) if n else x",
        "xp.add.reduceat(m, xp.arange(0, n, 7), axis=0) if n else x",
        "xp.diff(x)",
        "xp.diff(m, 2, axis=0)",
        "xp.gradient(x) if n > 1 else x",
        "xp.trapezoid(x)",
        "xp.unwrap(x)",
        *(f"{own}.sum()" for own in "xfhujcsb"),
        "m.sum(0)",
        "m.sum(1)",
        "w.sum(0)",
        "w.sum(1)",
        "w.T.sum(0)",
        "m.max(0) if n else x",
        "w.max(1) if n else x",
        "xp.argmax(x) if n else x",
        "xp.argmin(m, axis=0) if n else x",
        "xp.var(x) if n else x",
        "xp.std(m, axis=0) if n else x",
        "xp.mean(w, axis=1) if n else x",
        "x.sum(where=b)",
        "b.all()",
        "m.any(1)",
        "xp.add.reduce(x, initial=1)",
        "xp.convolve(x, x[:7]) if n else x",
        "xp.convolve(x[:300], f[:300], 'same') if n else x",
        "xp.correlate(c, c[:3], 'full') if n else x",
        "xp.interp(x, xp.sort(f), f) if n else x",
        "xp.interp(x, [1.0], [2.0])",
        "xp.packbits(b)",
        "xp.unpackbits(u)",
        "xp.unpackbits(u, count=n)",
        "xp.packbits(m > 4, axis=0)",
        "x + f",
        "s * x",
        "c * s",
        "xp.sqrt(x)",
        "m @ xp.ones((3, 2))",
        "w @ x",
        "xp.dot(x, f)",
        "xp.outer(x[:65], f[:33])",
        "xp.concatenate([x, s, f])",
        "xp.stack([x, s])",
        "m.T.copy()",
        "x.astype('float16')",
        "h.astype('float32')",
        "xp.tile(x, 3)",
        "m[::-1].ravel()",
        "xp.kron(x[:9], f[:8])",
        "xp.einsum('ij,i->j', m, x)",
    ],
    # By the launches of a GPU with few processors.
    "joining": [
        *(f"xp.concatenate([{own}, {own}])" for own in "xfhujcsbmi"),
        "xp.concatenate([x, s, x[1:], x[:0]])",
        "xp.concatenate([u, u[1:], u[3:], u[:-1], u])",
        "xp.concatenate([h[1:]] * 70)",
        "xp.concatenate([x, f, h])",
        "xp.concatenate([w, w[:, 1:], w[:, ::-1]], axis=1)",
        "xp.concatenate([m, m[:, 1:], m[:, :1]], axis=1)",
        "xp.concatenate([m.T, w], axis=0)",
        "xp.concatenate([m, w.T], axis=1)",
        "xp.concatenate([x, s], out=xp.zeros(2 * n + 1)[1:])",
        "xp.concatenate([f, f], dtype='float16')",
        "xp.stack([x, s], axis=-1)",
        "xp.stack([u, u, u], axis=-1)",
        "xp.column_stack([m, x])",
    ],
    "random": [
        *(f"r.{name}(n)" for name in ("random", "standard_normal", "standard_exponential", "bytes")),
        "r.random(n, 'float32')",
        "r.standard_normal(n, 'float32')",
        "r.integers(0, 9, n)",
        "r.integers(0, 9, n, dtype='uint8')",
        "r.integers(0, 2**40, n)",
        "r.integers(0, [3, 9], (n, 2))",
        "r.normal(x, 1.0)",
        "r.uniform(s, 99.0)",
        "r.gamma(2.0, size=n)",
        "r.gamma(x + 1)",
        "r.beta(2, 3, n)",
        "r.binomial(50, 0.3, n)",
        "r.binomial(j + 1, 0.3)",
        "r.poisson(30.0, n)",
        "r.poisson(x)",
        "r.hypergeometric(20, 20, 10, n)",
        "r.multinomial(20, [0.2, 0.3, 0.5], n)",
        "r.dirichlet([1.0, 2.0], n)",
        "r.dirichlet([0.01, 0.02], n)",
        "r.multivariate_normal([0, 0], [[1, 0], [0, 1]], n)",
        "r.multivariate_hypergeometric([5, 5], 3, n)",
        "r.vonmises(0, 1, n)",
        "r.zipf(2.0, n)",
        "r.triangular(0, 1, 2, n)",
        "r.permutation(n)",
        "r.permutation(x)",
        "r.permutation(m)",
        "r.permuted(m, axis=1)",
        "r.permuted(m, axis=0)",
        "r.permuted(s) if n else x",
        "r.shuffle(x)",
        "r.choice(n, n // 2, replace=False)",
        "r.choice(n, n) if n else x",
        "r.choice(x, 3) if n else x",
        "r.choice(m, 2, axis=1)",
        "r.choice(n, 3, p=xp.full(n, 1 / n)) if n else x",
        "r.choice(n, 1, False, p=xp.full(n, 1 / n)) if n else x",
        "r.choice(n, 1, False) if n else x",
    ],
}


def names(xp: Any, n: int) -> dict[str, Any]:
    def put(x: Any, key: Any, value: Any) -> Any:
        x[key] = value
        return x

    def at(ufunc: Any, x: Any, *arguments: Any) -> Any:
        ufunc.at(x, *arguments)
        return x

    draw = np.random.default_rng(n)
    own: dict[str, Any] = {
        "x": draw.integers(0, 50, n) / 4,
        "f": draw.integers(0, 90, n).astype("float32"),
        "h": draw.integers(0, 50, n).astype("float16"),
        "i": draw.permutation(n),
        "j": draw.integers(0, max(1, n // 3), n),
        "u": draw.integers(0, max(1, min(n, 200)), n).astype("uint8"),
        "b": draw.integers(0, 2, n) > 0,
        "c": draw.integers(0, 9, n) + 1j,
        "m": draw.integers(0, 9, (n, 3)).astype(float),
        "w": draw.integers(0, 9, (2, n)).astype(float),
    }
    wide = np.repeat(own["x"], 2)[: max(2 * n - 1, 0)]
    own = {name: xp.array(value) for name, value in own.items()}
    own["s"] = xp.array(wide)[::-2]
    return {"xp": xp, "n": n, "put": put, "at": at, "r": xp.random.default_rng(1), **own}


def compare(actual: Any, expected: Any) -> None:
    if isinstance(expected, tuple | list):
        assert len(actual) == len(expected)
        for one, other in zip(actual, expected):
            compare(one, other)
    elif isinstance(expected, np.ndarray | np.generic | float | int):
        expected = np.asarray(expected)
        assert actual.shape == expected.shape
        np.testing.assert_allclose(np.asarray(actual).astype(complex), expected.astype(complex), rtol=2e-3)


def main() -> None:
    warnings.simplefilter("ignore")
    at_end, group = sys.argv[1] == "end", sys.argv[2]
    _runtime.get()
    fence(at_end)
    if group == "joining":
        target = Target(processors=2, block_threads=256, max_block_threads=1024, blocks_per_processor=2)
        join = _plan.join
        _plan.join = lambda _, parts: join(target, parts)
    large = [] if "--small" in sys.argv else LARGE
    for n, expression in itertools.product((*SIZES, *large), GROUPS[group]):
        print(f"{expression}  n = {n}", flush=True)
        if group == "random":
            eval(expression, names(ca, n))
            continue
        actual = eval(expression, names(ca, n))
        compare(actual, eval(expression, names(np, n)))


if __name__ == "__main__":
    main()
