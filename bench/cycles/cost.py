"""Cycles as far as they are known: as modelled, and the least and most that the sources leave
open."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Cost:
    """Cycles of something: least <= cycles <= most."""

    cycles: int
    least: int
    most: int

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.cycles + other.cycles, self.least + other.least, self.most + other.most)

    def __mul__(self, times: int) -> Cost:
        return Cost(times * self.cycles, times * self.least, times * self.most)


NOTHING = Cost(0, 0, 0)


def exactly(cycles: int) -> Cost:
    """A cost that nothing leaves open."""
    return Cost(cycles, cycles, cycles)


def total(costs: Iterable[Cost]) -> Cost:
    return sum(costs, NOTHING)
