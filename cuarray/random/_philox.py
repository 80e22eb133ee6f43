"""The bit generator: a key, and a position that every call moves on."""

from __future__ import annotations

import operator
import threading
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.random import SeedSequence

_POSITIONS = 1 << 96
_JUMP = 1 << 64


class Place(NamedTuple):
    """Where a call's numbers begin, as the words that kernels take."""

    key: int
    position: int  # the lower 64 bits
    upper: int  # the upper 32


def signed(word: int) -> int:
    """An unsigned 64-bit word as the signed one with its bits, as launches take it."""
    return word - (1 << 64) if word >> 63 else word


class Philox4x32:
    """Philox4x32-10 (Salmon et al. 2011): random words that are a function of a key and a counter.

    The key of 64 bits comes from `seed`: None, an int, a sequence of ints or a `numpy.random.SeedSequence`; or from
    `key`, an int. The counter of 128 bits is a position of 96 and, in the lowest 32, the number of a draw at that
    position. `counter` is the first position. TypeError where both `seed` and `key` are given.

    >>> import cuarray as ca
    >>> ca.random.Philox4x32(1).state["state"]["counter"]
    array([0, 0, 0, 0], dtype=uint32)
    """

    def __init__(self, seed: Any = None, *, counter: int = 0, key: int | None = None) -> None:
        if seed is not None and key is not None:
            raise TypeError("seed and key exclude each other")
        self.lock = threading.Lock()
        self._seed_seq: Any = None
        if key is None:
            self._seed_seq = seed if isinstance(seed, np.random.bit_generator.ISeedSequence) else SeedSequence(seed)
            words = self._seed_seq.generate_state(2, np.uint32)
            key = int(words[0]) | int(words[1]) << 32
        if not 0 <= operator.index(key) < 1 << 64:
            raise ValueError(f"key must be a non-negative int below 2**64, not {key}")
        if not 0 <= operator.index(counter) < _POSITIONS:
            raise ValueError(f"counter must be a non-negative int below 2**96, not {counter}")
        self._key = int(key)
        self._position = int(counter)

    def take(self, count: int) -> Place:
        """The place of the next `count` positions, which belong to the caller alone. Threads may call it at once."""
        with self.lock:
            position = self._position
            self._position = (position + count) % _POSITIONS
        return Place(signed(self._key), signed(position % (1 << 64)), position >> 64)

    @property
    def seed_seq(self) -> Any:
        """The `numpy.random.SeedSequence` that the key came from; None where the key was given."""
        return self._seed_seq

    @property
    def state(self) -> dict[str, Any]:
        """Key and counter, as a dict that can be pickled, and set on another of these bit generators."""
        with self.lock:
            position = self._position
        words = [0, *(position >> shift & 0xFFFFFFFF for shift in (0, 32, 64))]
        key = [self._key & 0xFFFFFFFF, self._key >> 32]
        return {
            "bit_generator": type(self).__name__,
            "state": {"counter": np.array(words, np.uint32), "key": np.array(key, np.uint32)},
        }

    @state.setter
    def state(self, value: dict[str, Any]) -> None:
        if not isinstance(value, dict):
            raise TypeError(f"state must be a dict, not {type(value).__name__}")
        if value.get("bit_generator") != type(self).__name__:
            raise ValueError(f"state must be of a {type(self).__name__}, not of a {value.get('bit_generator')}")
        counter = _words(value["state"]["counter"], 4, "counter")
        if counter[0]:
            raise ValueError("state: the counter's first word numbers draws and must be 0")
        low, high = _words(value["state"]["key"], 2, "key")
        with self.lock:
            self._position = counter[1] | counter[2] << 32 | counter[3] << 64
            self._key = low | high << 32

    def advance(self, delta: int) -> Philox4x32:
        """Move `delta` positions on (or back), and return self. A position holds 128 bits of every draw."""
        with self.lock:
            self._position = (self._position + operator.index(delta)) % _POSITIONS
        return self

    def jumped(self, jumps: int = 1) -> Philox4x32:
        """A new bit generator `jumps` times 2**64 positions further on."""
        return self._copy().advance(operator.index(jumps) * _JUMP)

    def spawn(self, n_children: int) -> list[Philox4x32]:
        """New bit generators with keys of their own, by `SeedSequence.spawn`; TypeError where there is no seed."""
        if not isinstance(self._seed_seq, np.random.bit_generator.ISpawnableSeedSequence):
            raise TypeError("The underlying SeedSequence does not implement spawning.")
        return [type(self)(seed) for seed in self._seed_seq.spawn(n_children)]

    def _copy(self) -> Philox4x32:
        with self.lock:
            return _restored(type(self), self._seed_seq, self._key, self._position)

    def __reduce__(self) -> Any:
        with self.lock:
            return _restored, (type(self), self._seed_seq, self._key, self._position)

    def __copy__(self) -> Philox4x32:
        return self._copy()

    def __repr__(self) -> str:
        return f"<{type(self).__name__} at position {self._position}>"


def _restored(kind: type[Philox4x32], seed_seq: Any, key: int, position: int) -> Philox4x32:
    result = kind(key=key, counter=position)
    result._seed_seq = seed_seq
    return result


def _words(values: Sequence[Any], count: int, name: str) -> list[int]:
    words = [int(value) for value in values]
    if len(words) != count or not all(0 <= word < 1 << 32 for word in words):
        raise ValueError(f"state: {name} must be {count} words of 32 bits, not {values}")
    return words
