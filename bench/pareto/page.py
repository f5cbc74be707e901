"""The page: pictures, every point as a row, and what makes the figures valid; one file that needs
nothing else."""

from __future__ import annotations

from html import escape
from typing import Any

from bench import markup
from bench.pareto import explore, pictures
from bench.pareto.points import Point
from bench.pareto.reports import Report
from bench.pareto.table import LEFT, columns, notes
from compress.reading.words import counted


def html(points: list[Point], report: Report, about: dict[str, Any]) -> str:
    """The page. The same points give the same page."""
    explored = explore.html(points, report)
    top = _head(points, report, about), _cards(points, report), explored, *_figures(points, report)
    ends = _table(points, report, about), _facts(points, report, about), _left_out(about)
    scripts = explore.scripts() if explored else []
    return markup.document(_title(report), "\n".join((*top, *ends)), scripts=scripts)


def _title(report: Report) -> str:
    return f"{report.word.capitalize()} against cost"


def _measured(points: list[Point]) -> list[Point]:
    return [p for p in points if not p.published]


def _head(points: list[Point], report: Report, about: dict[str, Any]) -> str:
    measured = _measured(points)
    models, amount = (
        len({p.model for p in measured}),
        max((p.amount or 0 for p in measured), default=0),
    )
    what = (
        f"{len(measured)} points of {models} network{'s' * (models != 1)}",
        f"{amount:,} held-out {report.amount_is} in {counted(len(about['recordings']), 'session')}",
    )
    badge = '<span class="badge good">COMPLETE</span>'
    if about["failures"]:
        failed = escape("; ".join(f"{name}: {error}" for name, error in about["failures"].items()))
        badge = f'<span class="badge bad">INCOMPLETE</span> {failed};'
    note = (
        f"<b>All {report.word}s measured here are from simulated recordings.</b> "
        if about["simulated"]
        else ""
    )
    others = (
        "Published points are from real recordings of other people: drawn grey, never on a front."
    )
    return (
        f"<h1>{_title(report)}</h1><p class=soft>{', '.join(what)}</p><p>{badge} integers:"
        " reference = native C = emulated core over the same steps, word for"
        f" word</p><p>{note}{others if len(measured) < len(points) else ''}</p>"
    )


def _cards(points: list[Point], report: Report) -> str:
    """The ends of the front: the best that was read, and the cheapest that is on each front."""
    measured = [p for p in _measured(points) if p.flash is not None]
    if not measured:
        return ""
    best = min(measured, key=lambda p: p.error)
    picks = [(f"lowest {report.metric} on a board", best)]
    for cost, name in (
        ("macs_per_s", "least work"),
        ("flash", "least flash"),
        ("ram", "least RAM"),
    ):
        picks.append((name, min(measured, key=lambda p, cost=cost: (getattr(p, cost), p.error))))  # type: ignore[misc]
    return f'<div class="cards">{"".join(_card(name, p, report) for name, p in picks)}</div>'


def _card(name: str, p: Point, report: Report) -> str:
    small = ", ".join(filter(None, (f"{p.model} {p.precision}", p.decoder)))
    cost = (
        f"{p.macs_per_s / 1e6:.1f} MMAC/s, {(p.flash or 0) / 1024:.0f} KiB flash,"
        f" {(p.ram or 0) / 1024:.0f} KiB RAM"
    )
    return (
        f'<div class="card"><small>{escape(name)}</small><b>{p.error:.2f}'
        f" {report.unit}</b><small>{escape(small)}</small><small>{escape(cost)}</small></div>"
    )


def _figures(points: list[Point], report: Report) -> list[str]:
    drawn = [markup.figure(picture) for picture in pictures.draw(points, report)]
    return [f"<p class=soft>{escape(report.how_to_read)}</p>", *drawn]


def _table(points: list[Point], report: Report, about: dict[str, Any]) -> str:
    shown = columns(report)
    head = "".join(f"<th{'' if name in LEFT else ' class=n'}>{escape(name)}</th>" for name in shown)
    rows = "".join(
        "<tr"
        + (" class=soft" if p.published else "")
        + ">"
        + "".join(
            f"<td{'' if name in LEFT else ' class=n'}>{escape(cell(p))}</td>"
            for name, cell in shown.items()
        )
        + "</tr>"
        for p in points
    )
    said = "".join(f"<p class=soft>{escape(line)}</p>" for line in notes(points, report, about))
    return f"<h2>Every point</h2><table><tr>{head}</tr>{rows}</table>{said}"


def _left_out(about: dict[str, Any]) -> str:
    """What the sweep was asked for and could not show, with the reasons."""
    lines = "".join(f"<li>{escape(message)}</li>" for message in about["left_out"])
    return f"<h2>What was left out</h2><ul class=soft>{lines}</ul>" if lines else ""


def _facts(points: list[Point], report: Report, about: dict[str, Any]) -> str:
    measured = _measured(points)
    facts = {
        "interval": (
            f"95 %, percentile bootstrap over sessions and {report.runs} within them, 2,000"
            " resamples, one seed"
        ),
        "instructions": (
            "executed, counted on QEMU's core of the board's kind from the objects of its image;"
            " exact, not cycles"
        ),
        "flash, RAM": "from the linked image on the smallest emulated board that holds it",
        "work": report.work,
        "recordings": "; ".join(f"{name} {digest}" for name, digest in about["recordings"].items()),
        "calibration": "; ".join(
            f"{name} {digest}" for name, digest in about["calibration"].items()
        ),
        **{f"checkpoint {model}": digest for model, digest in about["checkpoints"].items()},
        **{f"graph {p.model} {p.precision}": p.graph for p in measured if p.graph},
        **{f"compiler {p.board}": p.compiler for p in measured if p.board and p.compiler},
        **(
            {"character model": f"{about['lm']['name']} {about['lm']['sha256']}"}
            if report.decodes
            else {}
        ),
        "code": about["code"],
        "plot": explore.weight(),
    }
    return markup.facts(facts)
