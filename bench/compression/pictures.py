"""What a layer's forms would cost and do, and which one was chosen."""

from __future__ import annotations

from typing import Any

import matplotlib
from matplotlib.figure import Figure

from compress.report.drawing import BLUE, GREEN, ORANGE, SOFT, STYLE, Picture, svg

FLOOR = 1e-12


def draw(found: dict[str, Any]) -> list[Picture]:
    """The picture of all layers that had a choice; none where no layer had one."""
    layers = [row for row in found["layers"] if len(row["forms"]) > 1]
    return [_choice(layers)] if layers else []


def _choice(layers: list[dict[str, Any]]) -> Picture:
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 0.34 * len(layers) + 1.3), layout="constrained")
        harms, sizes = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
        for place, row in enumerate(layers):
            chosen = row["forms"][row["chosen"]]
            for form in row["forms"]:
                colour = BLUE if form["rank"] is None else ORANGE
                filled = colour if form["bits"] == 4 else "white"
                harms.plot(
                    max(form["harm"], FLOOR),
                    place,
                    "o",
                    markersize=4,
                    color=colour,
                    markerfacecolor=filled,
                )
            harms.plot(
                max(chosen["harm"], FLOOR),
                place,
                "o",
                markersize=10,
                markerfacecolor="none",
                color=GREEN,
            )
            sizes.barh(place, row["forms"][0]["bytes"] / 1000, color=SOFT, alpha=0.35)
            sizes.barh(place, chosen["bytes"] / 1000, color=GREEN)
        harms.set_yticks(range(len(layers)), [_short(row["module"]) for row in layers], fontsize=7)
        harms.invert_yaxis()
        harms.set_xscale("log")
        harms.xaxis.set_major_formatter("{x:g}")
        harms.set_xlabel("expected mean squared change of the output")
        sizes.set_xlabel("KB: 8 bits (pale), chosen")
    caption = (
        "Left: every form of a layer; blue keeps the matrix, orange is two factors of it; hollow"
        " has 8 bits, filled 4; the ring is what was chosen. Sensitivity is measured on"
        " calibration, one layer at a time, before any fine-tuning."
    )
    return Picture(
        "What each layer would cost, and what was chosen", svg(figure, "choice"), caption
    )


def _short(module: str) -> str:
    """The last parts of a path."""
    return (
        module.removeprefix("model.")
        .replace("layers.", "")
        .replace("tds_block.tds_conv_blocks.", "tds.")
    )
