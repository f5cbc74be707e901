"""A stretch of the stream: electrodes, what was typed, and what the board read of it."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from compress.report.drawing import BLUE, GREEN, ORANGE, STYLE, Picture, svg
from compress.tasks.recorded import Recorded, Shown
from compress.tasks.typing import scores
from compress.tasks.typing.session import SAMPLE_RATE

SHOWN_S = 7.0
ELECTRODES = (0, 5, 11, 16, 21, 27)  # three of each band
POINTS = 700  # minimum and maximum per drawn point: no peak is lost

Characters = list[tuple[float, str]]  # second of signal, character


def stretch(shown: Shown) -> Picture | None:
    """Some seconds from the first key on."""
    part = shown.part
    if not len(shown.words):
        return None
    keys = part.target.keys
    begin = max(0.0, min((keys[0][0] if keys else 0.0) - 0.6, part.seconds - SHOWN_S))
    end = min(begin + SHOWN_S, part.seconds)
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(9.6, 4.4), layout="constrained")
        signal, typing = figure.subplots(2, 1, gridspec_kw={"height_ratios": (3.4, 1.0)})
        _electrodes(signal, part, begin, end)
        _characters(typing, (begin, end), keys, _read(shown))
        for axes in (signal, typing):
            axes.set_xlim(begin, end)
    what = (
        f"Six of 32 electrodes of {part.path.name} ({shown.origin}), what was typed, and what the"
        " board read."
    )
    delay = (
        "The board's characters appear when they are read: after the key, by the network's own"
        " delay."
    )
    return Picture("A stretch of the stream", svg(figure, "stretch"), f"{what} {delay}")


def _read(shown: Shown) -> Characters:
    """When the board's characters appear: at the end of the step that computes their frame."""
    times, text = scores.greedy_frames(shown.words), scores.greedy(shown.words)
    return [
        ((int(time) // shown.frames_per_step + 1) * shown.step_s, character)
        for time, character in zip(times, text, strict=True)
    ]


def _electrodes(axes: Axes, part: Recorded, begin: float, end: float) -> None:
    first, last = round(begin * SAMPLE_RATE), round(end * SAMPLE_RATE)
    signal = part.samples[first:last][:, ELECTRODES]
    size = max(1, len(signal) // POINTS)
    blocks = signal[: len(signal) // size * size].reshape(-1, size, len(ELECTRODES))
    times = begin + (np.arange(len(blocks)) + 0.5) * size / SAMPLE_RATE
    spacing = 8.0 * float(np.median(signal.std(0))) + 1e-12
    for row in range(len(ELECTRODES)):
        offset = -row * spacing
        colour = BLUE if row < len(ELECTRODES) // 2 else ORANGE
        axes.fill_between(
            times,
            offset + blocks[..., row].min(1),
            offset + blocks[..., row].max(1),
            color=colour,
            linewidth=0.4,
        )
    axes.set_yticks(
        [-row * spacing for row in range(len(ELECTRODES))],
        [f"{'LR'[e // 16]}{e % 16}" for e in ELECTRODES],
    )
    axes.set_ylim(-(len(ELECTRODES) - 0.3) * spacing, 0.8 * spacing)
    axes.tick_params(labelbottom=False)


def _characters(
    axes: Axes, shown: tuple[float, float], typed: Characters, read: Characters
) -> None:
    for height, colour, characters in ((0.72, GREEN, typed), (0.22, BLUE, read)):
        for at, character in characters:
            if shown[0] <= at <= shown[1]:
                axes.text(
                    at,
                    height,
                    character.replace(" ", "␣"),
                    ha="center",
                    va="center",
                    fontsize=10,
                    color=colour,
                )
    axes.set_yticks([0.72, 0.22], ["typed", "board"])
    axes.set_ylim(0, 1)
    axes.set_xlabel("seconds of signal")
