"""CER against each cost, as SVG for the page and as one PNG. What was published on real recordings is grey and hollow."""

from __future__ import annotations

import io
from collections.abc import Iterable
from itertools import groupby

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure, FigureBase
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from bench.pareto.points import COSTS, Point
from bench.pictures import BLUE, GREEN, INK, ORANGE, SOFT, STYLE, Picture, svg

COLOURS = {"float": INK, "w8a16": BLUE, "w8a8": ORANGE, "w4a16": GREEN}
OTHER = "#8e5bb5"
MARKERS = {"greedy": "o", "beam": "s", "beam+lm": "^"}
APART = 1.045  # factor between points of one network that cost the same, so that all can be seen
TITLES = {
    "macs_per_s": "CER against work",
    "instructions_per_s": "CER against executed instructions",
    "flash": "CER against flash",
    "ram": "CER against RAM",
}
UNITS = {
    "macs_per_s": ("million MACs per second of signal", 1e6),
    "instructions_per_s": ("million executed instructions per second of signal", 1e6),
    "flash": ("KiB of flash, linked image", 1024.0),
    "ram": ("KiB of RAM, linked image, stack and line buffers included", 1024.0),
}

Stack = tuple[str, str, float, list[Point]]  # network, precision, where it is drawn, its points


def draw(points: list[Point]) -> list[Picture]:
    """One picture for each cost that any point measured here has."""
    return [_picture(points, cost) for cost in COSTS if _measured(points, cost)]


def png(points: list[Point]) -> bytes:
    """All pictures on one sheet."""
    costs = [cost for cost in COSTS if _measured(points, cost)]
    content = io.BytesIO()
    with matplotlib.rc_context(STYLE):
        sheet = Figure(figsize=(17.0, 6.0 * ((len(costs) + 1) // 2)), layout="constrained", dpi=110)
        parts = np.ravel(sheet.subfigures((len(costs) + 1) // 2, min(2, len(costs)), squeeze=False, wspace=0.03, hspace=0.03))
        for part, cost in zip(parts, costs, strict=False):
            _chart(part, points, cost)
            part.suptitle(TITLES[cost], fontsize=12, fontweight="bold", x=0.02, ha="left")
        sheet.savefig(content, format="png", metadata={"Software": None})
    return content.getvalue()


def _measured(points: list[Point], cost: str) -> list[Point]:
    return [p for p in points if not p.published and getattr(p, cost) is not None]


def _picture(points: list[Point], cost: str) -> Picture:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 5.4), layout="constrained")
        _chart(figure, points, cost)
        drawn = svg(figure, cost)
    kind = "simulated recordings" if any(p.simulated for p in points) else "recordings"
    caption = (
        f"Filled: measured here on held-out {kind}; bars are 95 % intervals of a bootstrap over sessions, shared by all points: "
        "differences between points are surer than the bars. Thin lines join the decoders of one network; networks of one cost "
        "stand side by side. The dark line is the Pareto front of what was measured here. "
        "Hollow grey: published, from real recordings of other people; not comparable in height, and on no front."
    )
    return Picture(TITLES[cost], drawn, caption)


def _chart(figure: FigureBase, points: list[Point], cost: str) -> None:
    """The measured points, and the published ones beside them where nothing is published about this cost."""
    published = [p for p in points if p.published]
    placed = [p for p in published if getattr(p, cost) is not None]
    if published and not placed:
        axes, strip = figure.subplots(1, 2, sharey=True, gridspec_kw={"width_ratios": (1.0, 0.13)})
        _strip(strip, published)
    else:
        axes = figure.subplots()
    name, unit = UNITS[cost]
    stacks = _stacks(_measured(points, cost), cost, unit)
    axes.set_xscale("log")
    for stack in [*stacks, *_published_stacks(placed, cost, unit)]:
        _draw_stack(axes, stack)
    _front(axes, stacks, cost)
    _labels(axes, stacks)
    _scales(axes, [x for _, _, x, _ in [*stacks, *_published_stacks(placed, cost, unit)]], points)
    axes.set_xlabel(name)
    axes.set_ylabel("character error rate, %")
    _legend(figure, points)


def _stacks(points: Iterable[Point], cost: str, unit: float) -> list[Stack]:
    """The decoders of each network and precision; precisions that cost the same to a few percent are moved apart."""
    stacks = []
    for model, of_model in groupby(points, lambda p: p.model):
        own = [(k, list(v)) for k, v in groupby(of_model, lambda p: p.precision)]
        own.sort(key=lambda entry: getattr(entry[1][0], cost))
        cluster: list[tuple[str, float, list[Point]]] = []
        for precision, members in own:
            x = getattr(members[0], cost) / unit
            if cluster and x > cluster[-1][1] * APART:
                stacks += _apart(model, cluster)
                cluster = []
            cluster.append((precision, x, members))
        stacks += _apart(model, cluster)
    return stacks


def _apart(model: str, cluster: list[tuple[str, float, list[Point]]]) -> list[Stack]:
    order = sorted(cluster, key=lambda entry: list(COLOURS).index(entry[0]) if entry[0] in COLOURS else len(COLOURS))
    centre = float(np.exp(np.mean([np.log(x) for _, x, _ in order])))
    return [(model, p, centre * APART ** (i - (len(order) - 1) / 2), members) for i, (p, _, members) in enumerate(order)]


def _published_stacks(points: list[Point], cost: str, unit: float) -> list[Stack]:
    return [
        (m, "published", getattr(of[0], cost) / unit, of)
        for m, of in ((k, list(v)) for k, v in groupby(points, lambda p: p.model))
    ]


def _draw_stack(axes: Axes, stack: Stack) -> None:
    _, precision, x, members = stack
    published = precision == "published"
    colour = SOFT if published else COLOURS.get(precision, OTHER)
    axes.plot(
        [x] * len(members), [p.cer for p in members], color=colour, linewidth=0.8, alpha=0.6, linestyle=":" if published else "-"
    )
    for p in members:
        if p.cer_low is not None and p.cer_high is not None:
            axes.plot([x, x], [p.cer_low, p.cer_high], color=colour, linewidth=3.5, alpha=0.18, solid_capstyle="butt")
        fill = "white" if published else colour
        axes.plot(x, p.cer, MARKERS.get(p.decoder, "D"), color=colour, markerfacecolor=fill, markersize=6.5, zorder=3)


def _front(axes: Axes, stacks: list[Stack], cost: str) -> None:
    """A staircase from the cheapest to the best, and a ring around each of its points."""
    on = sorted((x, p.cer) for _, _, x, members in stacks for p in members if cost in p.fronts)
    axes.step([x for x, _ in on], [y for _, y in on], where="post", color=INK, linewidth=1.3, zorder=2)
    axes.plot([x for x, _ in on], [y for _, y in on], "o", color=INK, markerfacecolor="none", markersize=11.5, zorder=4)


def _labels(axes: Axes, stacks: list[Stack]) -> None:
    """Names over each group of one network, where they do not hide points."""
    groups: list[tuple[str, list[Stack]]] = []
    for stack in stacks:
        if groups and groups[-1][0] == stack[0] and stack[2] < groups[-1][1][-1][2] * 1.3:
            groups[-1][1].append(stack)
        else:
            groups.append((stack[0], [stack]))
    for model, members in groups:
        x = float(np.exp(np.mean([np.log(s[2]) for s in members])))
        top = max(p.cer_high or p.cer for s in members for p in s[3])
        axes.annotate(model, (x, top), (0, 6), textcoords="offset points", ha="center", fontsize=8.5, color=INK)


def _strip(axes: Axes, published: list[Point]) -> None:
    """Published rates on their own, where nothing says where they belong on the other axis."""
    models = list(dict.fromkeys(p.model for p in published))
    for x, model in enumerate(models):
        members = [p for p in published if p.model == model]
        _draw_stack(axes, (model, "published", float(x), members))
    axes.set_xlim(-0.6, len(models) - 0.4)
    axes.set_xticks(range(len(models)), models, rotation=90, fontsize=7, color=SOFT)
    axes.tick_params(left=False, labelleft=False)
    axes.spines["left"].set_linestyle(":")
    axes.set_title("published\n(cost unknown)", fontsize=7.5, color=SOFT)


def _scales(axes: Axes, places: list[float], points: list[Point]) -> None:
    low, high = min(places), max(places)
    axes.set_xlim(low / 1.35, high * 1.35)
    axes.set_ylim(0, 1.1 * max(p.cer_high or p.cer for p in points) + 0.5)
    ticks = [m * 10.0**e for e in range(-1, 6) for m in (1, 2, 3, 5, 7) if low / 1.35 <= m * 10.0**e <= high * 1.35]
    axes.set_xticks(ticks)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.minorticks_off()
    axes.grid(axis="both", color="#e6ebf0", linewidth=0.7)
    axes.set_axisbelow(True)


def _legend(figure: FigureBase, points: list[Point]) -> None:
    measured = [p for p in points if not p.published]
    handles = [_mark(COLOURS.get(n, OTHER), "s", n) for n in dict.fromkeys(p.precision for p in measured)]
    handles += [_mark(SOFT, MARKERS.get(n, "D"), n) for n in dict.fromkeys(p.decoder for p in measured)]
    handles.append(Line2D([], [], color=INK, marker="o", markerfacecolor="none", markersize=9, label="Pareto front"))
    if len(measured) < len(points):
        handles.append(
            Line2D([], [], color=SOFT, marker="o", markerfacecolor="white", linestyle=":", label="published, real data")
        )
    figure.legend(handles=handles, loc="outside upper right", ncols=len(handles), fontsize=8, frameon=False, handlelength=1.4)


def _mark(colour: str, marker: str, label: str) -> Line2D:
    return Line2D([], [], color=colour, marker=marker, linestyle="", markersize=6.5, label=label)
