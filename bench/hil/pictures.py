"""The pictures of the report, as SVG text to be set into the page. Every picture of simulated
recordings says so."""

from __future__ import annotations

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from bench.hil.outcome import Outcome
from bench.hil.schema import Report
from bench.hil.text import recordings, used_regions
from compress import evaluate, tasks
from compress.report import figures
from compress.report.drawing import BLUE, FILLS, GREEN, INK, ORANGE, RED, SOFT, STYLE, Picture, svg
from compress.tasks.recorded import Shown


def draw(outcome: Outcome) -> list[Picture]:
    """All pictures that this run has the figures for."""
    report = outcome.report
    drawn = [
        evaluate.judge(outcome.graph, outcome.parts).picture(_shown(outcome)),
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


def _shown(outcome: Outcome) -> Shown:
    """The first stretch of the run, for the task's own picture."""
    latency = outcome.report["latency"]
    return Shown(
        graph=outcome.graph,
        part=outcome.parts[0],
        words=outcome.words[0],
        origin=recordings(outcome.report),
        step_s=latency["deadline_ms"] / 1000,
        frames_per_step=latency["frames_per_step"],
        details=outcome.report["details"],
    )


def _rates(report: Report) -> Picture | None:
    rows, unit = _rate_rows(report), report["metric"]["unit"]
    title = tasks.named(report["task"]).title
    if not rows:
        return None
    with matplotlib.rc_context(STYLE):
        figure, (axes,) = _figure(0.75 + 0.34 * len(rows))
        for y, (_, value, low, high, colour) in enumerate(rows):
            axes.barh(y, value, color=colour, height=0.62)
            if low is not None and high is not None:
                axes.plot([low, high], [y, y], color=INK, linewidth=1.2)
            axes.text(max(value, high or 0.0), y, f"  {figures.figure(value, unit)}", va="center")
        axes.set_yticks(range(len(rows)), [name for name, *_ in rows])
        axes.invert_yaxis()
        widest = max(max(value, high or 0.0) for _, value, _, high, _ in rows)
        axes.set_xlim(0, 1.18 * widest + (0.5 if unit else 0.0))
        axes.set_xlabel(f"{title[0].lower()}{title[1:]}{', ' * bool(unit)}{unit}")
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
    if held is not None and held["float"] is not None:
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
