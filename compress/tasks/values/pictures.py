"""What a person looks at first in a run of a network of values: what was measured, and what the
board says."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.figure import Figure

from compress.report.drawing import BLUE, GREEN, SOFT, STYLE, Picture, svg
from compress.tasks.recorded import Shown
from compress.tasks.shape import label_samples

SHOWN_S = 20.0
ROWS = 6  # outputs that are drawn, the first ones
POINTS = 2000  # of a target's line


def traces(shown: Shown) -> Picture | None:
    """One row for each output, over the first seconds of the first recording; None without
    targets."""
    part, graph = shown.part, shown.graph
    samples = label_samples(graph, len(shown.words))
    samples = samples[: np.searchsorted(samples, SHOWN_S * part.rate, "right")]
    frames = graph.output.real(np.asarray(shown.words[: len(samples)]))[samples >= 0]
    if part.target is None or not len(frames):
        return None
    rows, outputs = min(ROWS, graph.output.features), range(graph.output.features)
    names = graph.provenance.get("classes") or [f"output {output}" for output in outputs]
    every = max(1, round(SHOWN_S * part.rate / POINTS))
    target = np.asarray(part.target[: round(SHOWN_S * part.rate)])[::every]
    at = samples[samples >= 0] / part.rate
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 1.3 * rows + 0.6), layout="constrained")
        all_axes = figure.subplots(rows, 1, sharex=True, squeeze=False)[:, 0]
        for output, axes in enumerate(all_axes):
            times = np.arange(len(target)) * every / part.rate
            axes.plot(times, target[:, output], color=GREEN, linewidth=1.4, label="measured")
            axes.plot(at, frames[:, output], color=BLUE, linewidth=1.0, label="board")
            axes.set_ylabel(names[output])
            axes.grid(color=SOFT, alpha=0.25, linewidth=0.5)
        all_axes[0].legend(loc="upper right", ncols=2, frameon=False)
        all_axes[-1].set_xlabel("seconds of the recording")
    of = f"{rows} of {graph.output.features} outputs" if rows < graph.output.features else "Outputs"
    about = (
        f"{of} over {part.path.name} ({shown.origin}), in the unit of the targets; each of the"
        " board's frames at the sample it is for."
    )
    return Picture("What was measured and what the board says", svg(figure, "traces"), about)
