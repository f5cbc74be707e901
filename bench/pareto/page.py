"""The page: pictures, every point as a row, and what makes the figures valid; one file that needs nothing else."""

from __future__ import annotations

from html import escape
from typing import Any

from bench import markup
from bench.pareto import pictures
from bench.pareto.points import Point
from bench.pareto.table import COLUMNS, LEFT, notes


def html(points: list[Point], about: dict[str, Any]) -> str:
    """The page. The same points give the same page."""
    body = "\n".join((_head(points, about), _cards(points), *_figures(points), _table(points, about), _facts(points, about)))
    return markup.document("Error rate against cost", body)


def _measured(points: list[Point]) -> list[Point]:
    return [p for p in points if not p.published]


def _head(points: list[Point], about: dict[str, Any]) -> str:
    measured = _measured(points)
    models, characters = len({p.model for p in measured}), max((p.characters or 0 for p in measured), default=0)
    what = (
        f"{len(measured)} points of {models} network{'s' * (models != 1)}",
        f"{characters:,} held-out characters in {len(about['recordings'])} sessions",
    )
    badge = '<span class="badge good">COMPLETE</span>'
    if about["failures"]:
        failed = escape("; ".join(f"{name}: {error}" for name, error in about["failures"].items()))
        badge = f'<span class="badge bad">INCOMPLETE</span> {failed};'
    note = "<b>All error rates measured here are from simulated recordings.</b> " if about["simulated"] else ""
    missing = "".join(f"<p class=soft>left out: {escape(message)}</p>" for message in about["left_out"])
    return (
        f"<h1>Error rate against cost</h1><p class=soft>{', '.join(what)}</p>"
        f"<p>{badge} integers: reference = native C = emulated core over the same steps, word for word</p>"
        f"<p>{note}Published points are from real recordings of other people: drawn grey, never on a front.</p>{missing}"
    )


def _cards(points: list[Point]) -> str:
    """The ends of the front: the best that was read, and the cheapest that is on each front."""
    measured = [p for p in _measured(points) if p.flash is not None]
    if not measured:
        return ""
    best = min(measured, key=lambda p: p.cer)
    picks = [("lowest CER on a board", best)]
    for cost, name in (("macs_per_s", "least work"), ("flash", "least flash"), ("ram", "least RAM")):
        picks.append((name, min(measured, key=lambda p, cost=cost: (getattr(p, cost), p.cer))))  # type: ignore[misc]
    return f'<div class="cards">{"".join(_card(name, p) for name, p in picks)}</div>'


def _card(name: str, p: Point) -> str:
    small = f"{p.model} {p.precision}, {p.decoder}"
    cost = f"{p.macs_per_s / 1e6:.1f} MMAC/s, {(p.flash or 0) / 1024:.0f} KiB flash, {(p.ram or 0) / 1024:.0f} KiB RAM"
    return (
        f'<div class="card"><small>{escape(name)}</small><b>{p.cer:.2f} %</b><small>{escape(small)}</small>'
        f"<small>{escape(cost)}</small></div>"
    )


def _figures(points: list[Point]) -> list[str]:
    drawn = [markup.figure(picture) for picture in pictures.draw(points)]
    return [f"<p class=soft>{escape(pictures.HOW_TO_READ)}</p>", *drawn]


def _table(points: list[Point], about: dict[str, Any]) -> str:
    head = "".join(f"<th{'' if name in LEFT else ' class=n'}>{escape(name)}</th>" for name in COLUMNS)
    rows = "".join(
        "<tr" + (" class=soft" if p.published else "") + ">"
        + "".join(f"<td{'' if name in LEFT else ' class=n'}>{escape(cell(p))}</td>" for name, cell in COLUMNS.items())
        + "</tr>"
        for p in points
    )  # fmt: skip
    said = "".join(f"<p class=soft>{escape(line)}</p>" for line in notes(points, about["lm"]))
    return f"<h2>Every point</h2><table><tr>{head}</tr>{rows}</table>{said}"


def _facts(points: list[Point], about: dict[str, Any]) -> str:
    measured = _measured(points)
    facts = {
        "interval": "95 %, percentile bootstrap over sessions and runs of 25 characters within them, 2,000 resamples, one seed",
        "instructions": "executed, counted on QEMU's core of the board's kind from the objects of its image; exact, not cycles",
        "flash, RAM": "from the linked image on the smallest emulated board that holds it",
        "work": "one MAC per weight and output frame, six per complex state; a decoder's work on the host is in no cost",
        "recordings": "; ".join(f"{name} {digest}" for name, digest in about["recordings"].items()),
        "calibration": "; ".join(f"{name} {digest}" for name, digest in about["calibration"].items()),
        **{f"checkpoint {model}": digest for model, digest in about["checkpoints"].items()},
        **{f"graph {p.model} {p.precision}": p.graph for p in measured if p.graph},
        **{f"compiler {p.board}": p.compiler for p in measured if p.board and p.compiler},
        "character model": f"{about['lm']['name']} {about['lm']['sha256']}",
        "code": about["code"],
    }
    return markup.facts(facts)
