"""Hyper-parameters as a network takes them: each read with what is expected of it, so that one that
is missing, of another type or out of range is refused by its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from compress.errors import CheckpointError
from compress.frontend.stored.words import Unusable, shown

MOST_WIDTH, MOST_LAYERS, MOST_KERNEL = 1_000_000, 1_000, 100_000
_NEEDED = object()


class Settings:
    """A dict of hyper-parameters under the name that it has in messages."""

    def __init__(self, values: Any, where: str = "") -> None:
        self.where = where
        if not isinstance(values, Mapping):
            raise CheckpointError(f"{where}: expected a dict, found {shown(values)}")
        self.values = values

    def name(self, key: str) -> str:
        """The whole name of one."""
        return f"{self.where}.{key}" if self.where else key

    def refuse(self, key: str, expected: str) -> CheckpointError:
        """The error for a value that is something else."""
        found = "none" if key not in self.values else shown(self.values[key])
        mend = "; store its value instead" if isinstance(self.values.get(key), Unusable) else ""
        return CheckpointError(f"{self.name(key)}: expected {expected}, found {found}{mend}")

    def _get(self, key: str, default: Any, expected: str) -> Any:
        found = self.values.get(key, default)
        if found is _NEEDED or isinstance(found, Unusable):
            raise self.refuse(key, expected)
        return found

    def whole(
        self, key: str, least: int = 1, most: int = MOST_WIDTH, default: Any = _NEEDED
    ) -> int:
        """A whole number in a range."""
        expected = f"a whole number from {least} to {most:,}"
        found = whole(self._get(key, default, expected))
        if found is None or not least <= found <= most:
            raise self.refuse(key, expected)
        return found

    def wholes(
        self, key: str, least: int = 1, most: int = MOST_WIDTH, default: Any = _NEEDED
    ) -> list[int]:
        """A list of whole numbers in a range."""
        expected = f"a list of whole numbers from {least} to {most:,}"
        values = self._get(key, default, expected)
        found = [whole(v) for v in values] if isinstance(values, list | tuple) else [None]
        numbers = [n for n in found if n is not None and least <= n <= most]
        if len(numbers) != len(found) or len(found) > MOST_LAYERS:
            raise self.refuse(key, expected)
        return numbers

    def number(self, key: str, least: float, most: float, default: Any = _NEEDED) -> float:
        """A number in a range."""
        expected = f"a number from {least:g} to {most:g}"
        found = self._get(key, default, expected)
        plain = isinstance(found, int | float) and not isinstance(found, bool)
        if not plain or not least <= found <= most:  # NaN is in no range
            raise self.refuse(key, expected)
        return float(found)

    def flag(self, key: str, default: Any = _NEEDED) -> bool:
        """True or false."""
        found = self._get(key, default, "true or false")
        if not isinstance(found, bool) and not (type(found) is int and found in (0, 1)):
            raise self.refuse(key, "true or false")
        return bool(found)

    def text(self, key: str, default: Any = _NEEDED, choices: Sequence[str] = ()) -> str:
        """A text, one of the choices if there are any."""
        expected = " or ".join(choices) if choices else "a text"
        found = self._get(key, default, expected)
        if not isinstance(found, str) or (choices and found not in choices):
            raise self.refuse(key, expected)
        return found

    def part(self, key: str) -> Settings:
        """The dict under a key."""
        return Settings(self._get(key, _NEEDED, "a dict"), self.name(key))


def whole(value: Any) -> int | None:
    """A number without a fraction as int; None for anything else, true and false as well."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, float) and not (math.isfinite(value) and value == int(value)):
        return None
    return int(value)


def fix(said: Settings, only: Mapping[str, tuple[Any, str]]) -> None:
    """Refuse any other value than the one that is supported, with the reason; one that is not there
    is that one."""
    for key, (expected, why) in only.items():
        found = said.values.get(key, expected)
        if isinstance(found, Unusable) or found != expected:
            raise CheckpointError(
                f"{said.name(key)}: expected {expected!r}, found {shown(found)}, which is not"
                f" supported: {why}"
            )
