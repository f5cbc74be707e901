"""The pictures of a profile: where the time goes layer by layer, and where the memory goes."""

from __future__ import annotations

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.profile.classes import CLASSES, TITLES
from bench.profile.schema import LayerRow, Report
from compress.report.drawing import BLUE, FILLS, GREEN, INK, ORANGE, RED, SOFT, STYLE, Picture, svg

COLOURS = dict(zip(CLASSES, (BLUE, FILLS[3], GREEN, ORANGE, "#b9c3cd"), strict=True))
ROW = 0.155  # inches


def draw(report: Report) -> list[Picture]:
    """Both pictures."""
    return [_time(report), _memory(report)]


def _axes(rows: int, columns: int) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.6, 1.0 + ROW * rows), layout="constrained")
    return figure, list(figure.subplots(1, columns, sharey=True, squeeze=False)[0])


def _label_layers(axes: Axes, layers: list[LayerRow]) -> None:
    axes.set_yticks(range(len(layers)), [f"{row['name']}  {row['c_id']}" for row in layers])
    axes.set_ylim(len(layers) - 0.4, -0.6)


def _time(report: Report) -> Picture:
    """A bar per layer, by class where instructions are counted, and the running sum of all
    shares."""
    layers, counted = report["layers"], report["counts"] == "instructions"
    with matplotlib.rc_context(STYLE | {"font.size": 7}):
        figure, (axes,) = _axes(len(layers), 1)
        if counted:
            _stack(axes, report)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=6,
                frameon=False,
                handlelength=1.0,
            )
        else:
            axes.barh(
                range(len(layers)),
                [(row["cycles"] or 0.0) / 1e3 for row in layers],
                color=BLUE,
                height=0.72,
            )
        _label_layers(axes, layers)
        axes.set_xlabel(f"thousand {'executed instructions' if counted else 'cycles'} a step")
        running = axes.twiny()
        running.plot([row["cumul"] for row in layers], range(len(layers)), color=RED, linewidth=1.1)
        running.set_xlim(0, 102)
        running.spines["bottom"].set_visible(False)
        running.spines["top"].set_visible(False)
        running.xaxis.set_label_position("bottom")
        running.xaxis.tick_bottom()
        running.spines["bottom"].set_position(("outward", 28))
        running.spines["bottom"].set_visible(True)
        running.tick_params(axis="x", colors=RED)
        running.set_xlabel("red line: share of this layer and all before it, %", color=RED)
    exact = (
        "Executed instructions, counted exactly"
        if counted
        else "Cycles, measured by the core's counter"
    )
    return Picture(
        "Where the time goes, layer by layer",
        svg(figure, "profile-time"),
        f"{exact}, in {report['steps']} steps on {report['board']}; in the order of execution.",
    )


def _stack(axes: Axes, report: Report) -> None:
    layers, steps = report["layers"], report["steps"]
    left = [0.0] * len(layers)
    for name in CLASSES:
        widths = [(row["split"] or {}).get(name, 0) / steps / 1e3 for row in layers]
        axes.barh(
            range(len(layers)),
            widths,
            left=left,
            color=COLOURS[name],
            height=0.72,
            label=TITLES[name],
        )
        left = [a + b for a, b in zip(left, widths, strict=True)]


def _memory(report: Report) -> Picture:
    """Tables in flash, the arena in use while a layer runs, and the state it keeps."""
    layers = report["layers"]
    with matplotlib.rc_context(STYLE | {"font.size": 7}):
        figure, (flash, ram) = _axes(len(layers), 2)
        flash.barh(
            range(len(layers)), [row["weights"] / 1024 for row in layers], color=BLUE, height=0.72
        )
        flash.set_xlabel("tables (ro), KiB of flash")
        live, own = ([row[key] / 1024 for row in layers] for key in ("live", "activations"))  # type: ignore[literal-required]
        state = [row["state"] / 1024 for row in layers]
        ram.barh(
            range(len(layers)), live, color="#dde3e9", height=0.72, label="arena in use meanwhile"
        )
        ram.barh(
            range(len(layers)), own, color=GREEN, height=0.72, label="activations (rw) of the layer"
        )
        ram.barh(range(len(layers)), state, left=live, color=ORANGE, height=0.72, label="its state")
        ram.axvline(
            report["memory"]["activations"] / 1024, color=SOFT, linewidth=1.0, linestyle="--"
        )
        ram.set_xlabel("KiB of RAM; dashed: the arena", color=INK)
        ram.legend(
            loc="lower left", bbox_to_anchor=(0.0, 1.0), ncols=3, frameon=False, handlelength=1.0
        )
        _label_layers(flash, layers)
    caption = (
        "Tables count where they are needed first; the arena is shared by all layers, state belongs"
        " to one."
    )
    return Picture("Where the memory goes, layer by layer", svg(figure, "profile-memory"), caption)
