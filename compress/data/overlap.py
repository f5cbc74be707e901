"""Whether two recordings hold the same samples, whatever their files are called and however they
are packed: the same stretch, cut out or whole."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.generic]
Hashes = npt.NDArray[np.uint64]
ROWS = 64  # samples in a row that are the same by no chance
CHANGES = 8  # of which so many differ from the one before: silence is the same everywhere
_CHUNK, _BLOCK = 4096, 1 << 16  # samples of a chunk of a file; that are read at once
_ODD = np.uint64(0x9E3779B97F4A7C15)


class Stored(Protocol):
    """Samples on disk: read where they are needed."""

    def __len__(self) -> int: ...

    def samples(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Samples start…stop as a network takes them, (stop − start, features)."""
        ...


@dataclass(frozen=True)
class OfSamples:
    """Samples (n, features), of which parts may be read from disk."""

    array: npt.NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.array)

    def samples(self, start: int, stop: int) -> npt.NDArray[np.float32]:
        """Samples start…stop."""
        return np.asarray(self.array[start:stop])


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
        for start, rows in _looks(other, max(1, min(lengths) // 2)):
            if (rows[1:] != rows[:-1]).any(1).sum() < CHANGES:
                continue
            wanted = hashes(rows)[0]
            for index, of in enumerate(self._of):
                at = int(np.searchsorted(of, wanted))
                if at < len(of) and of[at] == wanted:
                    return index, int(np.argmax(self._in_order[index] == wanted)), start
        return None


def _looks(other: Stored, apart: int) -> Iterator[tuple[int, Array]]:
    """Places in a recording so many samples apart, its end among them, and ROWS samples there; of
    places that are near each other many are read at once."""
    size = _BLOCK if apart < _CHUNK else ROWS
    begin, block = 0, other.samples(0, min(size, len(other)))
    for start in [*range(0, len(other) - ROWS, apart), len(other) - ROWS]:
        if start < begin or start + ROWS > begin + len(block):
            begin, block = start, other.samples(start, min(start + size, len(other)))
        yield start, block[start - begin : start - begin + ROWS]


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
