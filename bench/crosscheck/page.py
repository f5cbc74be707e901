"""The cross-check as a page: eight columns, and a picture of how far each engine is from
PyTorch."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench import markup
from bench.crosscheck.text import cells, headline, remark, rows
from compress.files import write_text
from compress.report.drawing import BLUE, GREEN, INK, SOFT, STYLE, svg

CAPTION = (
    "Left: power of PyTorch's outputs over the power of the difference from them. Right: the error"
    " on the same seconds with its 95 % bootstrap interval. Green: every word equals the integer"
    " reference."
)


def write(path: Path, report: dict[str, Any]) -> Path:
    """Write the page, whole or not at all; returns its path. The same report gives the same
    page."""
    write_text(path, html(report))
    return path


def html(report: dict[str, Any]) -> str:
    """The page of a finished cross-check."""
    title = f"{report['model']} {report['precision']}, cross-checked"
    note = (
        "<p><b>All error rates here are from simulated recordings.</b></p>"
        if report["simulated"]
        else ""
    )
    picture = f"<figure>{_picture(report)}<figcaption>{CAPTION}</figcaption></figure>"
    body = (
        f"<h1>{escape(title)}</h1><p class=soft>{escape(headline(report))}</p>{note}"
        f"<p>{_verdict(report)}</p>{_table(report)}"
        f"{''.join(f'<p class=soft>{escape(line)}</p>' for line in remark(report))}"
        f"<h2>How far from PyTorch, and what that costs</h2>{picture}"
        f"<h2>What was run</h2>{_facts(report)}"
    )
    return markup.document(title, body)


def _verdict(report: dict[str, Any]) -> str:
    exact = {c["engine"]: c["bit_exact"] for c in report["columns"]}
    if exact["native"] and exact["board"]:
        return '<span class="badge good">BIT-EXACT</span>integer reference = native C = board'
    differing = " and ".join(name for name in ("native", "board") if not exact[name])
    return (
        f'<span class="badge bad">NOT BIT-EXACT</span>{escape(differing)} differ from the integer'
        " reference"
    )


def _table(report: dict[str, Any]) -> str:
    columns = report["columns"]
    head = "".join(f"<th class=n>{escape(c['title'])}</th>" for c in columns)
    by_row = zip(rows(report), *(cells(report, c) for c in columns), strict=True)
    body = "".join(
        f"<tr><td>{escape(name)}</td>"
        f"{''.join(f'<td class=n>{escape(v)}</td>' for v in values)}</tr>"
        for name, *values in by_row
    )
    return f"<table><tr><th></th>{head}</tr>{body}</table>"


def _facts(report: dict[str, Any]) -> str:
    facts = {c["title"]: c["version"] for c in report["columns"]}
    facts |= {"checkpoint SHA-256": report["checkpoint"], "graph SHA-256": report["graph"]}
    facts |= {
        w["recording"]: f"{w['start_s']:.3f}…{w['stop_s']:.3f} s, SHA-256 {w['sha256']}"
        for w in report["recordings"]
    }
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=mono>{escape(value)}</td></tr>"
        for name, value in facts.items()
    )
    return f"<table>{rows}</table>"


def _picture(report: dict[str, Any]) -> str:
    columns = report["columns"]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.9 + 0.32 * len(columns)), layout="constrained")
        near, rate = figure.subplots(1, 2, sharey=True)
        _bars(near, columns, "sqnr_db", "output SQNR against PyTorch, dB")
        title, error = report["error"]["title"], report["error"]["key"]
        _bars(rate, columns, error, f"{title[0].lower()}{title[1:]}, {report['error']['unit']}")
        near.set_yticks(range(len(columns)), [c["title"] for c in columns])
        near.invert_yaxis()
    return svg(figure, "crosscheck")


def _bars(axes: Axes, columns: list[dict[str, Any]], key: str, unit: str) -> None:
    for y, column in enumerate(columns):
        value = column[key]
        if value is None:
            axes.text(0, y, "  –", va="center", color=SOFT)
            continue
        exact = column["bit_exact"] or column["engine"] == "integer"
        axes.barh(y, value, color=GREEN if exact else BLUE, height=0.62)
        end = value
        if key != "sqnr_db" and column["low"] is not None:
            axes.plot([column["low"], column["high"]], [y, y], color=INK, linewidth=1.2)
            end = column["high"]
        axes.text(
            max(value, end),
            y,
            f"  {value:.1f}" if key == "sqnr_db" else f"  {value:.2f}",
            va="center",
        )
    axes.set_xlabel(unit)
    axes.margins(x=0.18)
