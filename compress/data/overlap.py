"""Whether two recordings hold the same samples, whatever their files are called and however they
are packed: the same stretch, cut out or whole."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Hashes = npt.NDArray[np.uint64]
ROWS = 64  # samples in a row that are the same by no chance
DISTINCT = 8  # of which so many differ: silence is the same everywhere
_APART = 4096  # samples between two places that are looked at, at least: a chunk of a file
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Stored(Protocol):
    """Samples on disk: read where they are needed."""

    def __len__(self) -> int: ...

    def samples(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Samples start…stop as a network takes them, (stop − start, features)."""
        ...


@dataclass(frozen=True)
class InMemory:
    """Samples (n, features) that were read whole."""

    array: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.array)

    def samples(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Samples start…stop."""
        return self.array[start:stop]


class Windows:
    """All stretches of some recordings, to look others up in."""

    def __init__(self, recordings: Iterable[Array]) -> None:
        """recordings: samples (n, features) each."""
        of = [hashes(samples) for samples in recordings]
        self._of = [np.sort(found) for found in of]
        self._in_order = of

    def find(self, other: Stored) -> tuple[int, int, int] | None:
        """(recording, its sample, sample of `other`) from which on both are the same; None where
        no stretch is found in both."""
        lengths = [len(of) for of in self._of if len(of)]
        if not lengths or len(other) < ROWS:
            return None
        apart = max(_APART, min(lengths) // 2)
        for start in [*range(0, len(other) - ROWS, apart), len(other) - ROWS]:
            rows = other.samples(start, start + ROWS)
            if len(np.unique(rows, axis=0)) < DISTINCT:
                continue
            wanted = hashes(rows)[0]
            for index, of in enumerate(self._of):
                at = int(np.searchsorted(of, wanted))
                if at < len(of) and of[at] == wanted:
                    return index, int(np.argmax(self._in_order[index] == wanted)), start
        return None


def hashes(samples: Array) -> Hashes:
    """One number for each stretch of ROWS samples, (n − ROWS + 1,), from samples (n, features) as
    float32."""
    if len(samples) < ROWS:
        return np.zeros(0, np.uint64)
    # 0 and −0 are the same
    words = (np.ascontiguousarray(samples, np.float32) + np.float32(0)).view(np.uint32)
    factors = np.cumprod(np.full(words.shape[1], _ODD, np.uint64), dtype=np.uint64)
    found: Hashes = np.zeros(len(words), np.uint64)
    for column, factor in zip(words.T, factors, strict=True):
        found += column.astype(np.uint64) * factor
    found = _mixed(found)
    size = 1
    while size < ROWS:
        found = _mixed(found[:-size] * _ODD + found[size:])
        size *= 2
    return found


def _mixed(values: Hashes) -> Hashes:
    values = (values ^ (values >> np.uint64(29))) * _ODD
    return np.asarray(values ^ (values >> np.uint64(32)))
