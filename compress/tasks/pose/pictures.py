"""Predicted against true joint angles over time: what a person looks at first in a run of a pose
network."""

from __future__ import annotations

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.figure import Figure

from compress.data.recording_file import SAMPLE_RATE
from compress.report.drawing import BLUE, GREEN, SOFT, STYLE, Picture, svg
from compress.tasks.pose.kinematics import JOINTS
from compress.tasks.pose.task import first_sample
from compress.tasks.recorded import Shown

SHOWN_S = 20.0
SHOWN = (2, 5, 9, 13, 17)  # where a finger bends at its root: of the thumb MCP, of the others MCP
DRAWN_HZ = 50


def angles(shown: Shown) -> Picture | None:
    """One row for each finger: the angle recorded, and the board's, in degrees."""
    part, graph = shown.part, shown.graph
    begin = first_sample(graph)
    rate = float(graph.output.rate)
    words = shown.words[graph.start_up :][: round(SHOWN_S * rate)]
    frames = float(graph.output.scale or 1.0) * np.asarray(words)
    if not len(frames) or part.target is None:
        return None
    span = slice(begin, begin + round(SHOWN_S * SAMPLE_RATE))
    target = np.asarray(part.target.angles[span])[:: SAMPLE_RATE // DRAWN_HZ]
    valid = part.target.valid[span][:: SAMPLE_RATE // DRAWN_HZ]
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.15 * len(SHOWN) + 0.6), layout="constrained")
        rows = figure.subplots(len(SHOWN), 1, sharex=True, squeeze=False)[:, 0]
        for axes, joint in zip(rows, SHOWN, strict=True):
            times = (np.arange(len(target)) / DRAWN_HZ)[: round(SHOWN_S * DRAWN_HZ)]
            known = np.where(valid, np.degrees(target[:, joint]), np.nan)[: len(times)]
            axes.plot(times, known, color=GREEN, linewidth=1.4, label="recorded")
            axes.plot(*_line(frames[:, joint], rate), color=BLUE, linewidth=1.0, label="board")
            axes.set_ylabel(
                JOINTS[joint].replace("_", " ").title(), rotation=0, ha="right", va="center"
            )
            axes.grid(color=SOFT, alpha=0.25, linewidth=0.5)
        rows[0].legend(loc="upper right", ncols=2, frameon=False)
        rows[-1].set_xlabel("seconds behind the left context; angles in degrees")
    what = (
        f"Five of twenty joint angles of {part.path.name} ({shown.origin}), and what the board"
        " says they are."
    )
    return Picture("Predicted against recorded angles", svg(figure, "angles"), what)


def _line(
    values: npt.NDArray[np.floating], rate: float
) -> tuple[npt.NDArray[np.floating], npt.NDArray[np.floating]]:
    """Times and degrees of the network's frames, each in the middle of its share of the signal."""
    return (np.arange(len(values)) + 0.5) / rate, np.degrees(values)
