"""The points for the console: one row each, grouped by network, at most 130 columns."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from bench.pareto.points import Point
from bench.pareto.reports import Report
from compress.report.figures import figure

SHORT: dict[str, str] = {"macs_per_s": "M", "instructions_per_s": "I", "flash": "F", "ram": "R"}
NAMES: dict[str, Callable[[Point], str]] = {
    "network": lambda p: p.model,
    "precision": lambda p: p.precision,
}
FIGURES: dict[str, Callable[[Point], str]] = {
    "95 % interval": lambda p: "–" if p.low is None else f"{p.low:.2f} … {p.high:.2f}",
    "MMAC/s": lambda p: f"{p.macs_per_s / 1e6:,.1f}",
    "M instr/s": lambda p: (
        "–" if p.instructions_per_s is None else f"{p.instructions_per_s / 1e6:,.1f}"
    ),
    "flash KiB": lambda p: _kib(p.flash),
    "RAM KiB": lambda p: _kib(p.ram),
    "board": lambda p: p.board or "–",
    "front": lambda p: (
        " ".join(SHORT[cost] for cost in p.fronts) or ("published" if p.published else "")
    ),
}
LEFT = {"network", "precision", "decoder", "board", "front"}


def _kib(size: int | None) -> str:
    return "–" if size is None else f"{size / 1024:,.1f}"


def columns(report: Report) -> dict[str, Callable[[Point], str]]:
    """Head -> cell of a point."""
    decoder: dict[str, Callable[[Point], str]] = (
        {"decoder": lambda p: p.decoder} if report.decodes else {}
    )
    return (
        NAMES | decoder | {f"{report.metric} {report.unit}": lambda p: f"{p.error:.2f}"} | FIGURES
    )


def text(points: list[Point], report: Report) -> str:
    """Rows under their heads; a network's name stands once."""
    shown = columns(report)
    heads, rows = list(shown), [[cell(p) for cell in shown.values()] for p in points]
    widths = [max(len(r[i]) for r in [heads, *rows]) for i in range(len(heads))]
    lines = [_row(heads, heads, widths)]
    for before, row in zip([[""], *rows], rows, strict=False):
        same = before[0] == row[0]
        lines += [] if same else [""]
        lines.append(_row(["" if same else row[0], *row[1:]], heads, widths))
    return "\n".join(lines)


def _row(cells: list[str], heads: list[str], widths: list[int]) -> str:
    aligned = [
        c.ljust(w) if name in LEFT else c.rjust(w)
        for c, w, name in zip(cells, widths, heads, strict=True)
    ]
    return "  ".join(aligned).rstrip()


def notes(points: list[Point], report: Report, about: dict[str, Any]) -> list[str]:
    """What a reader of the table must know; `about` is sweep.json, whose character model may
    flatter."""
    lines = [
        "front: nothing else measured here costs as little and errs as little, by M MACs, I"
        " instructions, F flash, R RAM"
    ]
    if any(p.simulated for p in points):
        others = (
            "; published rows are real recordings of other people and on no front"
            if any(p.published for p in points)
            else ""
        )
        lines.append(f"{report.metric} is from simulated recordings{others}")
        if any(p.lm for p in points) and about["lm"]["shipped"]:
            lines.append(
                "beam+lm is with the shipped character model, which knows nearly every word of the"
                " simulated prompts: it flatters"
            )
    lines += [*report.notes, *_trivial(points, report), *_users(points, report)]
    boards = {p.board: p.board_is for p in points if p.board}
    lines += [f"{name}: {what}" for name, what in boards.items()]
    return lines


def _trivial(points: list[Point], report: Report) -> list[str]:
    """What predictors that read no sEMG get, once for all networks that are scored over the same
    samples."""
    models: dict[str, list[str]] = {}
    for p in points:
        found = [
            f"{what} {p.predictors[name]:.2f} {report.unit}"
            for name, what in report.predictors.items()
            if name in p.predictors
        ]
        if found and p.model not in models.setdefault(", ".join(found), []):
            models[", ".join(found)].append(p.model)
    return [
        f"without any sEMG, on the samples of {', '.join(names)}: {found}"
        for found, names in models.items()
    ]


def _users(points: list[Point], report: Report) -> list[str]:
    """The mean over users of every point, where recordings are of several."""
    found = []
    for p in points:
        if p.users_mean is not None:
            name = " ".join(filter(None, (p.model, p.precision, p.decoder)))
            mean = f"{figure(p.users_mean, report.unit)} ± {p.users_std:.2f}"
            each = ", ".join(f"{u['name']} {figure(u['error'], report.unit)}" for u in p.users)
            found.append(f"  {name}: {mean} ({each})")
    return ["mean over users ± standard deviation (each of them):", *found] if found else []
