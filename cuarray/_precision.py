"""How exactly products of float32 matrices are computed."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from contextvars import ContextVar

from cuarray import _runtime

PRECISIONS = ("ieee", "tf32", "tf32x3")

# None, until `matmul_precision` says something: the process's default.
chosen: ContextVar[str | None] = ContextVar("cuarray's precision of products", default=None)

_default = "ieee"
_is_known = False
when_default_changes: list[Callable[[], None]] = []


def current() -> str:
    """The precision of products that are computed here and now."""
    return chosen.get() or get_default()


def get_default() -> str:
    """The precision where no `matmul_precision` says another."""
    global _default, _is_known
    if not _is_known:
        asked = _runtime.requested_precision()
        if asked:
            _default = _checked("CUARRAY_MATMUL_PRECISION", asked)
        _is_known = True
    return _default


def _checked(what: str, precision: str) -> str:
    if precision not in PRECISIONS:
        raise ValueError(f"{what}: precision must be one of {', '.join(map(repr, PRECISIONS))}, not {precision!r}")
    return PRECISIONS[PRECISIONS.index(precision)]


def matmul_precision(precision: str) -> AbstractContextManager[None]:
    """How exactly products of float32 matrices are computed in a ``with`` statement.

    precision: "ieee" (the default): products and sums of float32, each rounded as IEEE 754 says. "tf32": on GPUs that
    have tensor cores for it, factors are rounded to 11 significant bits, and products summed in float32; relative
    errors are about 1e-3, and it is several times as fast. "tf32x3": there, a factor is split into two such parts, of
    which three products are summed; errors are about those of float32, in about a third of the speed of "tf32".

    It counts in this thread, or asynchronous task, only, and for everything that multiplies matrices: `matmul`, `dot`,
    `einsum` and their like. Products of other dtypes and products on the CPU are computed as ever, "ieee".
    ValueError for another precision.

    >>> import cuarray as ca
    >>> x = ca.ones((2, 2), "float32")
    >>> with ca.matmul_precision("tf32"):
    ...     y = x @ x
    >>> ca.get_matmul_precision()
    'ieee'
    """
    return _within(_checked("matmul_precision", precision))


@contextlib.contextmanager
def _within(precision: str) -> Iterator[None]:
    token = chosen.set(precision)
    try:
        yield
    finally:
        chosen.reset(token)


def set_matmul_precision(precision: str) -> None:
    """Set what products of float32 are computed in wherever no `matmul_precision` says another; in all threads.

    At first it is what the environment variable CUARRAY_MATMUL_PRECISION says, or "ieee". ValueError for what is none
    of the precisions.

    >>> import cuarray as ca
    >>> ca.set_matmul_precision("ieee")
    """
    global _default, _is_known
    _default = _checked("set_matmul_precision", precision)
    _is_known = True
    for callback in when_default_changes:
        callback()


def get_matmul_precision() -> str:
    """The precision that products of float32 matrices are computed in here and now: see `matmul_precision`.

    >>> import cuarray as ca
    >>> with ca.matmul_precision("tf32x3"):
    ...     ca.get_matmul_precision()
    'tf32x3'
    """
    return current()
