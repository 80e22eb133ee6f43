"""From a plan to a launch: the compiled kernel and the record that the glue reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from cuarray import _runtime
from cuarray._plan import Plan
from cuarray._runtime import glue
from cuarray._runtime.base import Source
from cuarray._runtime.tensor_maps import TENSOR_MAP_WORDS


def source_of(plan: Plan) -> Source:
    """What the kernel of a plan is compiled from."""
    return _runtime.builtin_source(plan.instance.header, plan.instance.contract)


class Prepared:
    """A plan with its kernel loaded, to be launched any number of times."""

    __slots__ = ("address", "name", "record")

    def __init__(self, plan: Plan, family: Callable[[], Iterable[Plan]] | None = None) -> None:
        """`family`: plans that are likely to be wanted, too. They are asked for, and compiled, in the background."""
        runtime = _runtime.get()
        instance = plan.instance

        def names() -> list[str]:
            assert family is not None
            return [f"&{own.instance.name}" for own in family() if source_of(own) == source]

        source = source_of(plan)
        function = runtime.load(source, f"&{instance.name}", family=names if family else None)
        words, launcher, handle = plan.words, runtime.launcher, function.handle
        if plan.maps or plan.cluster > 1:
            addresses = []
            for own in plan.maps:
                if own is not None:
                    addresses.append((glue.HEAD_WORDS + len(words), own.word, own.offset))
                words += runtime.encode_tensor_map(own) if own else (0,) * TENSOR_MAP_WORDS
            cluster = (plan.cluster, 1, 1) if plan.cluster > 1 else None
            parameter_words = glue.HEAD_WORDS + len(words)
            launcher, handle = runtime.launcher_for(function, cluster, False, tuple(addresses), parameter_words)
        self.record = glue.make_record(launcher, handle, plan.grid, plan.block, plan.shared, words)
        self.address: int = self.record.ctypes.data
        self.name = plan.instance.name

    def launch(self, out: int, a: int = 0, b: int = 0, c: int = 0, a2: int = 0, b2: int = 0, c2: int = 0) -> None:
        """Launch with these words (pointers, or scalars' bits) at the head of the kernel's parameter."""
        _runtime.get().launch(self, out, a, b, c, a2, b2, c2)

    def launch_with_head(self, words: Sequence[int]) -> None:
        """The same, for a kernel whose parameter has another number of words at its head."""
        _runtime.get().launch_with_head(self, words)
