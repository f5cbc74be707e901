"""The points for the console: one row each, grouped by network, at most 130 columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.pareto.points import Point

SHORT: dict[str, str] = {"macs_per_s": "M", "instructions_per_s": "I", "flash": "F", "ram": "R"}
COLUMNS: dict[str, Callable[[Point], str]] = {
    "network": lambda p: p.model,
    "precision": lambda p: p.precision,
    "decoder": lambda p: p.decoder,
    "CER %": lambda p: f"{p.cer:.2f}",
    "95 % interval": lambda p: "–" if p.cer_low is None else f"{p.cer_low:.2f} … {p.cer_high:.2f}",
    "MMAC/s": lambda p: f"{p.macs_per_s / 1e6:,.1f}",
    "M instr/s": lambda p: "–" if p.instructions_per_s is None else f"{p.instructions_per_s / 1e6:,.1f}",
    "flash KiB": lambda p: _kib(p.flash),
    "RAM KiB": lambda p: _kib(p.ram),
    "board": lambda p: p.board or "–",
    "front": lambda p: " ".join(SHORT[cost] for cost in p.fronts) or ("published" if p.published else ""),
}
LEFT = {"network", "precision", "decoder", "board", "front"}


def _kib(size: int | None) -> str:
    return "–" if size is None else f"{size / 1024:,.1f}"


def text(points: list[Point]) -> str:
    """Rows under their heads; a network's name stands once."""
    rows = [[cell(p) for cell in COLUMNS.values()] for p in points]
    widths = [max(len(r[i]) for r in [list(COLUMNS), *rows]) for i in range(len(COLUMNS))]
    lines = [_row(list(COLUMNS), widths)]
    for before, row in zip([[""], *rows], rows, strict=False):
        same = before[0] == row[0]
        lines += [] if same else [""]
        lines.append(_row(["" if same else row[0], *row[1:]], widths))
    return "\n".join(lines)


def _row(cells: list[str], widths: list[int]) -> str:
    aligned = [c.ljust(w) if name in LEFT else c.rjust(w) for c, w, name in zip(cells, widths, COLUMNS, strict=True)]
    return "  ".join(aligned).rstrip()


def notes(points: list[Point], lm: dict[str, Any]) -> list[str]:
    """What a reader of the table must know; `lm` is the character model of sweep.json."""
    lines = ["front: nothing else measured here costs as little and errs as little, by M MACs, I instructions, F flash, R RAM"]
    if any(p.simulated for p in points):
        lines.append("CER is from simulated recordings; published rows are real recordings of other people and on no front")
        if lm["shipped"] and any(p.lm for p in points):
            lines.append(
                "beam+lm is with the shipped character model, which knows nearly every word of the simulated prompts: it flatters"
            )
    boards = {p.board: p.board_is for p in points if p.board}
    lines += [f"{name}: {what}" for name, what in boards.items()]
    return lines
