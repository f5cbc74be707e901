"""The pictures of the report, as SVG text to be set into the page. Every picture of simulated
recordings says so."""

from __future__ import annotations

import matplotlib
import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.drawing import BLUE, FILLS, GREEN, INK, ORANGE, RED, SOFT, STYLE, Picture, svg
from bench.hil import pose_pictures
from bench.hil.outcome import Outcome
from bench.hil.schema import Latency, Report
from bench.hil.text import recordings, used_regions
from compress.tasks import Recorded
from compress.tasks.typing.session import SAMPLE_RATE
from host.decode import StreamDecoder

SHOWN_S = 7.0
ELECTRODES = (0, 5, 11, 16, 21, 27)  # three of each band
POINTS = 700  # minimum and maximum per drawn point: no peak is lost


Characters = list[tuple[float, str]]  # second of signal, character


def draw(outcome: Outcome) -> list[Picture]:
    """All pictures that this run has the figures for."""
    report = outcome.report
    first = _stretch(outcome) if report["task"] == "typing" else pose_pictures.angles(outcome)
    drawn = [
        first,
        _rates(report),
        _latency(report),
        _macs(report),
        _sqnr(report),
        _footprint(report),
    ]
    return [picture for picture in drawn if picture is not None]


def _figure(
    height: float, rows: int = 1, ratios: tuple[float, ...] = (1.0,)
) -> tuple[Figure, list[Axes]]:
    figure = Figure(figsize=(9.6, height), layout="constrained")
    axes = figure.subplots(rows, 1, squeeze=False, gridspec_kw={"height_ratios": ratios})
    return figure, list(axes[:, 0])


def _stretch(outcome: Outcome) -> Picture | None:
    part, words = outcome.parts[0], outcome.words[0]
    if not len(words):
        return None
    keys = part.target.keys
    begin = max(0.0, min((keys[0][0] if keys else 0.0) - 0.6, part.seconds - SHOWN_S))
    end = min(begin + SHOWN_S, part.seconds)
    with matplotlib.rc_context(STYLE):
        figure, (signal, typing) = _figure(4.4, 2, (3.4, 1.0))
        _electrodes(signal, part, begin, end)
        _characters(typing, (begin, end), keys, _read(words, outcome.report["latency"]))
        for axes in (signal, typing):
            axes.set_xlim(begin, end)
    what = (
        f"Six of 32 electrodes of {part.path.name} ({recordings(outcome.report)}), what was typed,"
        " and what the board read."
    )
    delay = (
        "The board's characters appear when they are read: after the key, by the network's own"
        " delay."
    )
    return Picture(
        "A stretch of the stream",
        svg(figure, "stretch"),
        f"{what} {delay}",
    )


def _read(words: npt.NDArray[np.int16], latency: Latency) -> Characters:
    """When the board's characters appear: at the end of the step that computes their frame."""
    decoder = StreamDecoder()
    decoder.extend(words)
    frames, step_s = latency["frames_per_step"], latency["deadline_ms"] / 1000
    return [
        ((time // frames + 1) * step_s, character)
        for time, character in zip(decoder.times, decoder.text, strict=True)
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


def _rates(report: Report) -> Picture | None:
    rows, unit = _rate_rows(report), report["metric"]["unit"]
    title = "Character error rate" if report["task"] == "typing" else "Angle error (mean absolute)"
    if not rows:
        return None
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(0.75 + 0.34 * len(rows))
        for y, (_, value, low, high, colour) in enumerate(rows):
            axes.barh(y, value, color=colour, height=0.62)
            if low is not None and high is not None:
                axes.plot([low, high], [y, y], color=INK, linewidth=1.2)
            axes.text(max(value, high or 0.0), y, f"  {value:.2f} {unit}", va="center")
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        axes.set_xlim(0, 1.18 * max(max(value, high or 0.0) for _, value, _, high, _ in rows) + 0.5)
        axes.set_xlabel(f"{title[0].lower()}{title[1:]}, {unit}")
    about = (
        f"Lines: 95 % bootstrap intervals. All but the published one are from {recordings(report)}."
    )
    published = (
        " The published one is from real recordings of other people and is not comparable."
        if report["published"]
        else ""
    )
    caveat = (
        f" The language model was {report['language']['caveat']}."
        if report["language"] and report["language"]["caveat"]
        else ""
    )
    return Picture(title, svg(figure, "rates"), about + published + caveat)


Row = tuple[str, float, float | None, float | None, str]


def _rate_rows(report: Report) -> list[Row]:
    """(label, value, low, high, colour); grey for what others measured elsewhere."""
    metric, held, kind = report["metric"], report.get("heldout"), recordings(report)
    rows: list[Row] = []
    names = (("float", "float"), ("quantized", "integers"), ("board", "board"))
    for key, name in names:
        value = metric[key]  # type: ignore[literal-required]
        if value is not None:
            low, high = (metric["low"], metric["high"]) if key == "board" else (None, None)
            rows.append(
                (f"{name}, streamed {report['seconds']:.0f} s ({kind})", value, low, high, BLUE)
            )
    with_model = report["language"]["metric"] if report["language"] else None
    if with_model is not None and with_model["board"] is not None:
        value, low, high = with_model["board"], with_model["low"], with_model["high"]
        rows.append(
            (
                f"board with language model, {report['seconds']:.0f} s ({kind})",
                value,
                low,
                high,
                ORANGE,
            )
        )
    if held is not None:
        amount = f"{held['amount']:,} held-out {held['amount_is']} ({kind})"
        rows.append((f"float, {amount}", held["float"], None, None, GREEN))
        interval = (held["float"] + held["low"], held["float"] + held["high"])
        rows.append((f"native C, {amount}", held["native"], *interval, GREEN))
        if held["language"]:
            rows.append(
                (
                    "the same, native C with language model",
                    held["language"]["native"],
                    None,
                    None,
                    ORANGE,
                )
            )
    for name, value in report["quantize"]["trivial"].items():
        rows.append(
            (f"{name.replace('_', ' ')}, held-out sessions ({kind})", value, None, None, SOFT)
        )
    if rows and report["published"]:
        rows.append(
            ("published, real recordings, 8 users", report["published"]["value"], None, None, SOFT)
        )
    return rows


def _latency(report: Report) -> Picture | None:
    latency = report["latency"]
    if latency["ms"] is None or not latency["per_frame"] or latency["cycles"] is None:
        return None
    values = np.array(latency["per_frame"]) * latency["ms"]["max"] / max(latency["per_frame"])
    last = 1.05 * max(latency["deadline_ms"], float(values.max()))
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(2.3)
        axes.hist(values, bins=140, range=(0.0, last), color=BLUE)
        axes.set_xlim(0, last)
        axes.axvline(latency["deadline_ms"], color=RED, linewidth=1.6)
        axes.text(
            latency["deadline_ms"],
            axes.get_ylim()[1] * 0.9,
            f"deadline {latency['deadline_ms']:.0f} ms ",
            ha="right",
            color=RED,
        )
        axes.set_xlabel(
            "ms per frame"
            if latency["frames_per_step"] == 1
            else "ms of the step that computed the frame"
        )
        axes.set_ylabel("frames")
    return Picture(
        "Latency of every frame against the deadline",
        svg(figure, "latency"),
        f"ms are {latency['ms_is']}.",
    )


def _macs(report: Report) -> Picture | None:
    layers = [layer for layer in report["layers"] if layer["macs_per_s"]]
    if not layers:
        return None
    caption = (
        f"{report['macs_per_s'] / 1e6:.2f} million MACs per second of signal; six per complex"
        " state."
    )
    figure = _bars(
        [(layer["module"], layer["macs_per_s"] / 1e6) for layer in layers],
        "million MACs per second of signal",
        BLUE,
    )
    return Picture("Where the work is", svg(figure, "macs"), caption)


def _sqnr(report: Report) -> Picture | None:
    layers = [(layer["module"], layer["sqnr_db"]) for layer in report["layers"]]
    if not layers:
        return None
    figure = _bars(layers, "signal to quantization noise, dB", GREEN)
    caption = (
        "Integers against the float network, layer by layer in order, on the calibration signal"
        f" ({recordings(report)})."
    )
    return Picture("Where precision goes", svg(figure, "sqnr"), caption)


def _bars(rows: list[tuple[str, float]], unit: str, colour: str) -> Figure:
    with matplotlib.rc_context(STYLE | {"font.size": 7}):
        figure, (axes,) = _figure(0.6 + 0.135 * len(rows))
        axes.barh(range(len(rows)), [value for _, value in rows], color=colour, height=0.7)
        axes.set_yticks(range(len(rows)), [name for name, _ in rows])
        axes.set_ylim(len(rows) - 0.4, -0.6)
        axes.set_xlabel(unit)
    return figure


def _footprint(report: Report) -> Picture | None:
    if report["footprint"] is None:
        return None
    regions = used_regions(report)
    with matplotlib.rc_context(STYLE):
        figure, all_axes = _figure(0.35 + 1.25 * len(regions), len(regions), (1.0,) * len(regions))
        for axes, (name, region) in zip(all_axes, regions.items(), strict=True):
            left = 0.0
            for colour, (purpose, size) in zip(FILLS, region["purposes"].items(), strict=False):
                axes.barh(
                    0, size / 1024, left=left, color=colour, height=0.6, label=f"{purpose} {size:,}"
                )
                left += size / 1024
            axes.axvline(region["size"] / 1024, color=RED, linewidth=1.6)
            axes.set_yticks([0], [name])
            axes.set_xlim(0, 1.06 * max(region["size"], region["bytes"]) / 1024)
            axes.legend(
                loc="lower left",
                bbox_to_anchor=(0.0, 1.0),
                ncols=8,
                fontsize=7,
                frameon=False,
                handlelength=1.0,
            )
        all_axes[-1].set_xlabel("KiB; the red line is the end of the board's memory")
    return Picture(
        "Memory, from the linked image",
        svg(figure, "memory"),
        "Bytes by purpose, from the ELF's symbols.",
    )
