"""How far the cycle models were from published cycles when last compared: validation.json, written
by `validate`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

RESULTS = Path(__file__).parent / "validation.json"


def load() -> dict[str, Any]:
    """The last validation: date, compiler, rows."""
    content: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return content


def rows(core: str) -> list[dict[str, Any]]:
    """What the model of a core was held against."""
    return [row for row in load()["rows"] if row["core"] == core]


def errors(core: str) -> str:
    """In one line: what was compared, and how far the model was off, in percent of what was
    measured. Figures of other compilers than ours are left out: they tell more of the compiler."""
    found: dict[str, list[float]] = {}
    for row in rows(core):
        if row["comparable"]:
            found.setdefault(row["what"], []).append(row["error_percent"])
    return ", ".join(f"{what} {_span(percents)} %" for what, percents in found.items())


def _span(values: list[float]) -> str:
    low, high = min(values), max(values)
    return f"{low:+.1f}" if low == high else f"{low:+.1f} … {high:+.1f}"
