"""The part of the page that can be explored: points to point at, kinds to switch on and off, zoom.

The plot is drawn by Bokeh, whose script is set into the page; `explore.js` beside this file says
which points it shows. Both stand in the page as they are: what a user named is only ever data, in a
JSON block or escaped HTML.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from typing import Any

from bench.pareto import pictures, table
from bench.pareto.points import Point
from bench.pareto.reports import Report

SCRIPT = Path(__file__).parent / "explore.js"
HEIGHT = 460  # pixels
COSTS = {  # of points: on the switch
    "macs_per_s": "MACs",
    "instructions_per_s": "instructions",
    "flash": "flash",
    "ram": "RAM",
}
LAYERS = {"intervals": "95 % intervals", "front": "Pareto front of what is shown"}
# Bokeh's names of the shapes, and the same as signs
SHAPES = {"o": ("circle", "●"), "s": ("square", "■"), "^": ("triangle", "▲"), "D": ("diamond", "◆")}
BRIGHT = {  # colours on a dark page that stand out too little there as they are
    pictures.INK: "#e4e9ee",
    pictures.BLUE: "#5b9bd9",
    pictures.GREEN: "#3fae7a",
    pictures.RED: "#e8695f",
    "#8e5bb5": "#b48bd6",
}


@cache
def library() -> str:
    """The text of Bokeh's script, without its widgets, and of what runs here."""
    from bokeh.resources import Resources  # slow to import, and only needed here

    return str(Resources(mode="inline", components=["bokeh"]).js_raw[0])


def scripts() -> list[str]:
    """What a page with a plot runs, in this order."""
    return [library(), SCRIPT.read_text(encoding="utf-8")]


def weight() -> str:
    """What the library adds to a page, in words."""
    from bokeh import __version__

    size = len(library().encode()) / 1e6
    return f"Bokeh {__version__}, {size:.1f} MB of this page; nothing is loaded from a network"


def html(points: list[Point], report: Report) -> str:
    """The plot, its switches and its data; without JavaScript nothing of it is seen."""
    costs = [cost for cost in COSTS if any(getattr(p, cost) is not None for p in _measured(points))]
    if not costs:
        return ""
    data: dict[str, Any] = {"plot": _plot(report), "points": _rows(points, report)}
    data["costs"] = {cost: pictures.UNITS[cost][0] for cost in costs}  # what its axis says
    data |= {"axis": f"{report.metric} ({report.unit})", "names": _names(report)}
    return (
        '<section id="explore" hidden><h2>Explore</h2><p class=soft>Point at a mark for its'
        " figures; drag to move, Ctrl and wheel or the box to zoom, ⟲ to go back. Marks that cost"
        " nearly the same stand side by side.</p>"
        f'{_switches(points, costs)}<div id="plot"></div><p class=soft id="shown"'
        ' aria-live="polite"></p></section>'
        f'<script type="application/json" id="explored">{_inert(data)}</script>'
    )


def _inert(data: Any) -> str:
    """JSON that no browser takes for HTML, whatever names are in it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _measured(points: Iterable[Point]) -> list[Point]:
    return [p for p in points if not p.published]


def _kind(p: Point) -> str:
    return pictures.PUBLISHED if p.published else p.precision


def _colours(kind: str) -> list[str]:
    """On a light page, and on a dark one."""
    light = pictures.COLOURS.get(kind, pictures.OTHER)
    return [light, BRIGHT.get(light, light)]


def _shape(p: Point | str) -> tuple[str, str]:
    decoder = p if isinstance(p, str) else p.decoder
    return SHAPES[pictures.MARKERS.get(decoder, ("D", 7.0))[0]]


def _rows(points: list[Point], report: Report) -> list[dict[str, Any]]:
    """What the script knows of each point: figures to place it, and cells to show."""
    cells = {name: cell for name, cell in table.columns(report).items() if name != "front"}
    places = {cost: pictures.places(points, cost) for cost in COSTS}
    return [
        {
            "network": p.model,
            "kind": _kind(p),
            "decoder": p.decoder,
            "published": p.published,
            "error": p.error,
            "low": p.low,
            "high": p.high,
            "costs": {cost: getattr(p, cost) for cost in COSTS},
            "places": {cost: places[cost][i] for cost in COSTS},
            "colours": _colours(_kind(p)),
            "marker": _shape(p)[0],
            "cells": [cell(p) for cell in cells.values()] + [p.source],
        }
        for i, p in enumerate(points)
    ]


def _switches(points: list[Point], costs: list[str]) -> str:
    """Cost by cost, kind by kind: what the plot shows."""
    kinds = sorted(dict.fromkeys(map(_kind, points)), key=_order)
    decoders = [d for d in dict.fromkeys(p.decoder for p in _measured(points)) if d]
    networks = list(dict.fromkeys(p.model for p in points))
    marked = {kind: ("●", _colours(kind)) for kind in kinds}
    shaped = {decoder: (_shape(decoder)[1], None) for decoder in decoders}
    groups = [
        _group("cost", {cost: COSTS[cost] for cost in costs}, "radio", {}),
        _group("kind", {kind: kind for kind in kinds}, "checkbox", marked),
        _group("decoder", {name: name for name in decoders}, "checkbox", shaped),
        _group("network", {name: name for name in networks}, "checkbox", {}),
        _group("layer", LAYERS, "checkbox", {}),
    ]
    return f'<form id="switches">{"".join(groups)}</form>'


def _order(kind: str) -> int:
    return pictures.ORDER.index(kind) if kind in pictures.ORDER else len(pictures.ORDER)


def _group(
    name: str,
    values: Mapping[str, str],
    kind: str,
    marks: Mapping[str, tuple[str, list[str] | None]],
) -> str:
    """One line of switches; all are on, of the costs the first is."""
    lines = []
    for number, (value, title) in enumerate(values.items()):
        on = " checked" if kind == "checkbox" or number == 0 else ""
        sign, colours = marks.get(value, ("", None))
        style = f' style="--light:{colours[0]};--dark:{colours[1]}"' if colours else ""
        mark = f"<i{style}>{sign}</i>" if sign else ""
        lines.append(
            f'<label><input type="{kind}" name="{name}" value="{escape(value)}"{on}>{mark}'
            f"{escape(title)}</label>"
        )
    titles = {"kind": "precision", "layer": "also"}
    legend = f"<legend>{titles.get(name, name)}</legend>"
    return f"<fieldset>{legend}{''.join(lines)}</fieldset>" if lines else ""


def _plot(report: Report) -> dict[str, Any]:
    """Bokeh's description of an empty plot, the same in every process; `explore.js` fills it."""
    from bokeh.embed import json_item

    return _renumbered(json_item(_figure(len(_names(report)))))


def _names(report: Report) -> list[str]:
    """What the cells of a point are called."""
    return [name for name in table.columns(report) if name != "front"] + ["source"]


def _tip(cells: int) -> str:
    """What is shown at a mark; names and cells are both data, which Bokeh takes for text."""
    rows = (f'<span style="opacity:.75">@name{i}</span><b>@cell{i}</b>' for i in range(cells))
    style = "display:grid;grid-template-columns:auto auto;gap:0 10px"
    return f'<div style="{style}">{"".join(rows)}</div>'


def _figure(cells: int) -> Any:
    from bokeh.models import (
        BasicTickFormatter,
        ColumnDataSource,
        FixedTicker,
        HoverTool,
        Range1d,
        WheelZoomTool,
    )
    from bokeh.plotting import figure

    plot: Any = figure(
        name="plot",
        height=HEIGHT,
        sizing_mode="stretch_width",
        x_axis_type="log",
        x_range=Range1d(start=1, end=10),
        y_range=Range1d(start=0, end=1),
        tools="pan,box_zoom,reset,save",
        active_drag="pan",
        toolbar_location="above",
        background_fill_color=None,
        border_fill_color=None,
        outline_line_color=None,
    )
    plot.toolbar.logo = None
    plot.xaxis.ticker = FixedTicker(ticks=[])
    plot.xaxis.formatter = BasicTickFormatter(use_scientific=False)
    wheel = WheelZoomTool(modifiers="ctrl")
    columns: list[str] = ["x", "error", "low", "high", "colour", "marker", "fill"]
    columns += [f"{what}{i}" for what in ("name", "cell") for i in range(cells)]
    points = ColumnDataSource(name="points", data={column: [] for column in columns})
    front = ColumnDataSource(name="front", data={"x": [], "error": [], "network": []})
    plot.segment(
        "x", "low", "x", "high", source=points, line_color="colour", line_width=4, line_alpha=0.22
    ).name = "intervals"
    lines: dict[str, Any] = {"line_width": 1.4, "source": front}
    plot.step("x", "error", mode="after", **lines).name = "steps"
    shown = plot.scatter("x", "error", marker="marker", size=10, source=points, line_color="colour")
    shown.glyph.fill_color = "fill"
    plot.scatter("x", "error", size=17, fill_color=None, **lines).name = "rings"
    plot.text(
        "x",
        "error",
        "network",
        source=front,
        text_font_size="11px",
        text_baseline="top",
        text_align="center",
        y_offset=11,
    ).name = "names"
    plot.add_tools(wheel, HoverTool(renderers=[shown], tooltips=_tip(cells)))
    plot.toolbar.active_scroll = wheel
    return plot


def _renumbered(item: Any) -> Any:
    """Bokeh counts its objects through a process; counted from 1 in here."""
    numbers: dict[str, str] = {}

    def walk(value: Any) -> Any:
        if isinstance(value, list):
            return [walk(part) for part in value]
        if not isinstance(value, dict):
            return value
        return {
            key: (
                numbers.setdefault(part, f"n{len(numbers) + 1}")
                if key in ("id", "root_id") and isinstance(part, str)
                else walk(part)
            )
            for key, part in value.items()
        }

    return walk(item)
