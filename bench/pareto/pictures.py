"""The error against each cost, as SVG for the page and as one PNG. What was published on real
recordings is grey and hollow."""

from __future__ import annotations

import io
from dataclasses import dataclass, replace

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter
from scipy.optimize import isotonic_regression

from bench.pareto.front import non_dominated
from bench.pareto.points import Point
from bench.pareto.reports import COSTS, Report
from compress.report.drawing import BLUE, GREEN, INK, ORANGE, RED, SOFT, STYLE, Picture, svg

PUBLISHED = "published"
COLOURS = {
    PUBLISHED: SOFT,
    "float": INK,
    "w8a16": BLUE,
    "w8a8": ORANGE,
    "w4a16": GREEN,
    "compressed": "#8e5bb5",
}
ORDER = list(COLOURS)
OTHER = RED
MARKERS = {
    "": ("o", 8.0),
    "greedy": ("o", 8.0),
    "beam": ("s", 5.0),
    "beam+lm": ("^", 8.0),
}  # shape, size: the first two nearly coincide
# of predictors that read no sEMG, in turn: dashes, and where the label stands, since their errors
# may be nearly the same
PREDICTORS = (((0, (6, 2)), (0.005, "left")), ((0, (2, 2)), (0.995, "right")))
# of an axis: points that cost nearly the same are drawn this far from each other, so that all can
# be seen
APART = 0.0135
SAME = 0.02  # relative difference of a cost below which precisions stand in their usual order
MARGIN = 1.35  # factor left and right of all points
TITLES = {
    "macs_per_s": "work",
    "instructions_per_s": "executed instructions",
    "flash": "flash",
    "ram": "RAM",
}
UNITS = {
    "macs_per_s": ("million MACs per second of signal", 1e6),
    "instructions_per_s": ("million executed instructions per second of signal", 1e6),
    "flash": ("KiB of flash, linked image", 1024.0),
    "ram": ("KiB of RAM, linked image, stack and line buffers included", 1024.0),
}


@dataclass(frozen=True)
class Stack:
    """Points that cost the same: one network at one precision (`kind`, or published), drawn over
    one place."""

    model: str
    kind: str
    x: float
    points: list[Point]


def draw(points: list[Point], report: Report) -> list[Picture]:
    """One picture for each cost that any point measured here has."""
    return [_picture(points, report, cost) for cost in COSTS if _measured(points, cost)]


def png(points: list[Point], report: Report) -> bytes:
    """All pictures on one sheet."""
    costs = [cost for cost in COSTS if _measured(points, cost)]
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        sheet = Figure(
            figsize=(17.0, 0.6 + 5.7 * ((len(costs) + 1) // 2)), layout="constrained", dpi=110
        )
        parts = np.ravel(
            sheet.subfigures(
                (len(costs) + 1) // 2, min(2, len(costs)), squeeze=False, wspace=0.03, hspace=0.03
            )
        )
        for part, cost in zip(parts, costs, strict=False):
            _chart(part, points, report, cost)
            part.suptitle(_title(report, cost), fontsize=12, fontweight="bold")
        _legend(sheet, points)
        sheet.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def places(points: list[Point], cost: str) -> list[float | None]:
    """Where each point stands on the axis of a cost, in its unit; None without that figure."""
    having = [p for p in points if getattr(p, cost) is not None]
    stacks = _stacks(having, cost, UNITS[cost][1]) if having else []
    found = {id(p): stack.x for stack in stacks for p in stack.points}
    return [found.get(id(p)) for p in points]


def _measured(points: list[Point], cost: str) -> list[Point]:
    return [p for p in points if not p.published and getattr(p, cost) is not None]


def _title(report: Report, cost: str) -> str:
    return f"{report.metric[0].upper()}{report.metric[1:]} against {TITLES[cost]}"


def _picture(points: list[Point], report: Report, cost: str) -> Picture:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 5.4), layout="constrained")
        _chart(figure, points, report, cost)
        _legend(figure, points)
        drawn = svg(figure, cost)
    return Picture(_title(report, cost), drawn, report.captions[cost])


def _recordings(points: list[Point]) -> str:
    return "simulated recordings" if any(p.simulated for p in points) else "recordings"


def _chart(figure: FigureBase, points: list[Point], report: Report, cost: str) -> None:
    """The measured points, and the published ones beside them where nothing is published about this
    cost."""
    published = [p for p in points if p.published]
    placed = [p for p in published if getattr(p, cost) is not None]
    if published and not placed:
        axes, strip = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1.0, 0.13)})
        _strip(strip, published)
    else:
        axes = figure.subplots()
    name, unit = UNITS[cost]
    stacks = _stacks([*placed, *_measured(points, cost)], cost, unit)
    axes.set_xscale("log")
    for stack in stacks:
        _draw_stack(axes, stack)
    _fronts(axes, stacks, cost)
    _labels(axes, stacks)
    _scales(axes, [stack.x for stack in stacks], points)
    _predictors(axes, points, report)
    axes.set_xlabel(name)
    axes.set_ylabel(f"{report.axis} ({_recordings(points)})")


def _predictors(axes: Axes, points: list[Point], report: Report) -> None:
    """Lines across for what is reached without any sEMG: one for each network's samples, named
    once."""
    for index, (name, what) in enumerate(report.predictors.items()):
        dashes, (x, side) = PREDICTORS[index % len(PREDICTORS)]
        errors = sorted({p.predictors[name] for p in points if name in p.predictors})
        for error in errors:
            axes.axhline(error, color=SOFT, linewidth=1.0, linestyle=dashes, zorder=1)
        if errors:
            span = " … ".join(dict.fromkeys(f"{error:.1f}" for error in (errors[0], errors[-1])))
            axes.annotate(
                f"{what}: {span} {report.unit}",
                (x, errors[-1]),
                (0, 2),
                axes.get_yaxis_transform(),
                "offset points",
                ha=side,
                fontsize=7.5,
                color=SOFT,
                bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5, "alpha": 0.85},
            )


def _stacks(points: list[Point], cost: str, unit: float) -> list[Stack]:
    """The decoders of each network and precision, from the cheapest on; neighbours are moved apart
    as little as will show all."""
    members: dict[tuple[str, str], list[Point]] = {}
    for p in points:
        members.setdefault((p.model, PUBLISHED if p.published else p.precision), []).append(p)
    stacks = [
        Stack(model, kind, getattr(own[0], cost) / unit, own)
        for (model, kind), own in members.items()
    ]
    stacks.sort(
        key=lambda s: (
            round(np.log(s.x) / SAME),
            s.model,
            ORDER.index(s.kind) if s.kind in ORDER else len(ORDER),
        )
    )
    places = np.log([s.x for s in stacks])
    spaces = APART * (float(np.ptp(places)) + 2 * np.log(MARGIN)) * np.arange(len(stacks))
    moved = (
        isotonic_regression(places - spaces).x + spaces
    )  # the nearest places that are at least a space apart
    return [
        replace(stack, x=float(np.exp(place))) for stack, place in zip(stacks, moved, strict=True)
    ]


def _draw_stack(axes: Axes, stack: Stack) -> None:
    published = stack.kind == PUBLISHED
    colour = COLOURS.get(stack.kind, OTHER)
    xs, rates = [stack.x] * len(stack.points), [p.error for p in stack.points]
    axes.plot(
        xs, rates, color=colour, linewidth=0.8, alpha=0.6, linestyle=":" if published else "-"
    )
    for p in stack.points:
        if p.low is not None and p.high is not None:
            axes.plot(
                [stack.x] * 2,
                [p.low, p.high],
                color=colour,
                linewidth=3.2,
                alpha=0.17,
                solid_capstyle="butt",
            )
        edge, fill = (colour, "white") if published else ("white", colour)
        marker, size = MARKERS.get(p.decoder, ("D", 7.0))
        order = 5 if published else 3
        axes.plot(
            stack.x, p.error, marker, mec=edge, mfc=fill, mew=0.8, markersize=size, zorder=order
        )


def _fronts(axes: Axes, stacks: list[Stack], cost: str) -> None:
    """A staircase from the cheapest to the best with a ring around each point, and a faint one for
    every decoder by itself."""
    everything = [(s.x, p) for s in stacks for p in s.points if not p.published]
    for decoder in dict.fromkeys(p.decoder for _, p in everything if p.decoder):
        own = [(x, p) for x, p in everything if p.decoder == decoder]
        on = non_dominated([(getattr(p, cost), p.error) for _, p in own])
        _staircase(
            axes,
            [(x, p.error) for (x, p), stands in zip(own, on, strict=True) if stands],
            SOFT,
            0.9,
            "--",
        )
    on_front = [(x, p.error) for x, p in everything if cost in p.fronts]
    _staircase(axes, on_front, INK, 1.3, "-")
    axes.plot(
        [x for x, _ in on_front],
        [y for _, y in on_front],
        "o",
        color=INK,
        markerfacecolor="none",
        markersize=12,
        zorder=4,
    )


def _staircase(
    axes: Axes, places: list[tuple[float, float]], colour: str, width: float, style: str
) -> None:
    ordered = sorted(places)
    axes.step(
        [x for x, _ in ordered],
        [y for _, y in ordered],
        style,
        where="post",
        color=colour,
        linewidth=width,
        zorder=2,
    )


def _labels(axes: Axes, stacks: list[Stack]) -> None:
    """Names over each group of one network, on a line as long as the group."""
    groups: list[list[Stack]] = []
    for stack in stacks:
        if groups and groups[-1][0].model == stack.model and stack.x < groups[-1][-1].x * 1.3:
            groups[-1].append(stack)
        else:
            groups.append([stack])
    for members in groups:
        first, last = members[0].x / 1.015, members[-1].x * 1.015
        top = 0.15 + max(p.high or p.error for s in members for p in s.points)
        axes.plot([first, last], [top, top], color=INK, linewidth=1.0)
        centre = ((first * last) ** 0.5, top)
        axes.annotate(
            members[0].model,
            centre,
            (0, 4),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
            color=INK,
        )


def _strip(axes: Axes, published: list[Point]) -> None:
    """Published rates on their own, where nothing says where they belong on the other axis."""
    models = list(dict.fromkeys(p.model for p in published))
    for x, model in enumerate(models):
        members = [p for p in published if p.model == model]
        _draw_stack(axes, Stack(model, PUBLISHED, float(x), members))
    axes.set_xlim(-0.6, len(models) - 0.4)
    axes.set_xticks(range(len(models)), models, rotation=90, fontsize=7, color=SOFT)
    axes.tick_params(left=False, labelleft=False)
    axes.spines["left"].set_linestyle(":")
    axes.set_title("published\n(cost unknown)", fontsize=7.5, color=SOFT)


def _scales(axes: Axes, places: list[float], points: list[Point]) -> None:
    low, high = min(places), max(places)
    axes.set_xlim(low / MARGIN, high * MARGIN)
    highest = [max(p.high or p.error, *p.predictors.values(), 0.0) for p in points]
    axes.set_ylim(0, 1.1 * max(highest) + 0.5)
    ticks = [
        m * 10.0**e
        for e in range(-1, 6)
        for m in (1, 2, 3, 5, 7)
        if low / MARGIN <= m * 10.0**e <= high * MARGIN
    ]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.grid(axis="both", color="#e6ebf0", linewidth=0.7)
    axes.set_axisbelow(True)


def _legend(figure: FigureBase, points: list[Point]) -> None:
    measured = [p for p in points if not p.published]
    handles = [
        _mark(COLOURS.get(n, OTHER), "s", n) for n in dict.fromkeys(p.precision for p in measured)
    ]
    decoders = list(dict.fromkeys(p.decoder for p in measured if p.decoder))
    handles += [_mark(SOFT, MARKERS.get(n, ("D", 7.0))[0], n) for n in decoders]
    handles.append(
        Line2D(
            [],
            [],
            color=INK,
            marker="o",
            markerfacecolor="none",
            markersize=9,
            label="Pareto front",
        )
    )
    if decoders:
        handles.append(Line2D([], [], color=SOFT, linestyle="--", label="of one decoder"))
    if len(measured) < len(points):
        handles.append(
            Line2D(
                [],
                [],
                color=SOFT,
                marker="o",
                markerfacecolor="white",
                linestyle=":",
                label="published, real data",
            )
        )
    figure.legend(
        handles=handles,
        loc="outside upper center",
        ncols=len(handles),
        fontsize=8,
        frameon=False,
        handlelength=1.4,
        columnspacing=1.2,
    )


def _mark(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=6.5, label=label)
