"""How errors are written: with two decimals and their unit; those in a unit that nobody knows with
four digits; a dash for what was not measured."""

from __future__ import annotations

NONE = "–"


def figure(value: float | None, unit: str) -> str:
    """An error: "6.97 %"."""
    if value is None:
        return NONE
    return f"{value:.2f} {unit}" if unit else f"{value:.4g}"


def difference(value: float | None, unit: str) -> str:
    """A difference of errors, with its sign and without its unit."""
    if value is None:
        return NONE
    return f"{value:+.2f}" if unit else f"{value:+.4g}"


def between(first: float | None, second: float | None) -> float | None:
    """Second less first; None where one was not measured."""
    return None if first is None or second is None else second - first
