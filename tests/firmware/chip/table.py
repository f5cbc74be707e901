"""What is written down of each chip, one entry a board: a board without one is told where to go."""

from __future__ import annotations

from typing import TypeVar

import pytest

Value = TypeVar("Value")


class Table(dict[str, Value]):
    """By the name of a board.

    Args:
        place: the file and the table in it, which a test names that asks for a board without an
            entry.
        entries: those there are.
    """

    def __init__(self, place: str, entries: dict[str, Value]):
        super().__init__(entries)
        self.place = place

    def __missing__(self, name: str) -> Value:
        pytest.fail(f"describe {name} in {self.place}", pytrace=False)
