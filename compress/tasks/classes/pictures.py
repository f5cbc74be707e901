"""What a person looks at first in a run of a network of classes: what each was taken for."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compress.report.drawing import INK, STYLE, Picture, svg
from compress.tasks.recorded import Shown

_WRITTEN = 24  # classes up to which each cell says its share


def confusion(shown: Shown) -> Picture | None:
    """The whole run's confusion matrix in % of each row; None without labels."""
    if not shown.details:
        return None
    names, matrix = shown.details["classes"], np.array(shown.details["confusion"], np.float64)
    shares = 100.0 * matrix / np.maximum(matrix.sum(1, keepdims=True), 1.0)
    side = min(9.6, 2.4 + 0.42 * len(names))
    with matplotlib.rc_context(STYLE | {"font.size": 9 if len(names) <= _WRITTEN else 6}):
        figure = Figure(figsize=(side + 1.2, side), layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0.0, vmax=100.0)
        axes.set_xticks(range(len(names)), names, rotation=90)
        axes.set_yticks(range(len(names)), names)
        axes.set_xlabel("class that the board decided for")
        axes.set_ylabel("class of the label")
        axes.spines[:].set_visible(False)
        if len(names) <= _WRITTEN:
            _write(axes, shares)
    about = (
        f"Shares in % of the frames of each class, over the whole run ({shown.origin}):"
        f" {shown.details['frames']:,} labelled frames, balanced accuracy"
        f" {shown.details['balanced_accuracy']:.2f} %, the mean of the diagonal over the classes"
        " that came."
    )
    return Picture("What each class was taken for", svg(figure, "confusion"), about)


def _write(axes: Axes, shares: np.ndarray) -> None:
    """The share in each cell that has one."""
    for row, column in np.argwhere(shares >= 0.5):
        share = shares[row, column]
        colour = "white" if share > 55.0 else INK
        axes.text(column, row, f"{share:.0f}", ha="center", va="center", color=colour)
