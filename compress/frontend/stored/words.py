"""What a checkpoint holds, in the words of a message: short, in one line, and nothing that a
terminal obeys."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from compress.errors import printable
from compress.frontend.stored.values import Instance, Name, StoredTensor

LONGEST, SHOWN_KEYS = 64, 5  # characters of a value, keys in a line


class Unusable(str):
    """The text of a value that cannot be used, as it is stored, and why."""

    reason: str

    def __new__(cls, text: str, reason: str) -> Unusable:
        found = super().__new__(cls, text)
        found.reason = reason
        return found


def shown(value: Any) -> str:
    """A value in a message: short, in one line, nothing that a terminal obeys."""
    if isinstance(value, Unusable):
        return value.reason
    if isinstance(value, StoredTensor):
        return f"a tensor of shape {value.shape[:6]}"
    if isinstance(value, Instance):
        return f"an object of {printable(str(value.of))}"
    if isinstance(value, Name):
        return f"the class or function {printable(str(value))}"
    if isinstance(value, dict | list | tuple) and len(value) > 8:
        return f"a {type(value).__name__} of {len(value):,}"
    if isinstance(value, dict | list | tuple):
        flat = all(v is None or isinstance(v, str | int | float) for v in value)
        return short(value) if flat else f"a {type(value).__name__} of {len(value)}"
    if value is None or isinstance(value, str | bytes | int | float | complex):
        return short(value)
    return f"a {type(value).__name__}"


def short(value: Any) -> str:
    """A plain value as Python writes it, cut where it is long."""
    if isinstance(value, int) and abs(value) >= 10**LONGEST:
        return f"a whole number of {value.bit_length()} bits"
    value = value[: LONGEST + 1] if isinstance(value, str | bytes) else value
    text = printable(repr(value)).replace("\n", "\\n")
    return text if len(text) <= LONGEST + 2 else text[:LONGEST] + "…"


def names(keys: Iterable[Any], most: int = SHOWN_KEYS) -> str:
    """The first few keys in one line, and how many more there are."""
    known = list(keys)
    more = f" and {len(known) - most:,} more" if len(known) > most else ""
    return ", ".join(name(key) for key in known[:most]) + more


def name(key: Any) -> str:
    """One key as it is."""
    text = key if isinstance(key, str) else shown(key)
    return printable(text[:100]).replace("\n", "\\n").replace("\t", "\\t")
