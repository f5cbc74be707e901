"""The report for the console: what a run showed, in a screen."""

from __future__ import annotations

from typing import Any

from bench.hil.schema import Language, Metric, Report, Spread
from compress import tasks
from compress.graph import latency as stream_latency
from compress.reading.words import counted
from compress.report.figures import between, difference, figure
from compress.tasks import groups

WIDTH = 22
SHOWN = 100  # characters of a text


def console_report(report: Report) -> str:
    """All figures that matter, each with its unit and with what it is (simulated, modelled,
    published)."""
    sections = (_head, _accuracy, _heldout, _equality, _time, _line, _memory, _text)
    lines = [line for section in sections for line in section(report)]
    return "\n".join(lines).rstrip("\n")


def row(name: str, value: str) -> str:
    return f"  {name:{WIDTH}} {value}"


def recordings(report: Report) -> str:
    """How figures from these recordings must be named."""
    return "simulated recordings" if report["simulated"] else "recordings"


def verdict(report: Report) -> str:
    """VALID or INVALID and why."""
    return "VALID" if report["valid"] else f"INVALID: {'; '.join(report['why_invalid'])}"


def used_regions(report: Report) -> dict[str, Any]:
    """Regions of the board's memory in which the image has something; none for a board without
    limits."""
    regions = (report["footprint"] or {"regions": {}})["regions"]
    return {name: region for name, region in regions.items() if region["bytes"]}


def value_of(value: float | None, unit: str = "%") -> str:
    """With its unit; a dash for what was not measured."""
    return figure(value, unit)


def percent(value: float | None) -> str:
    return value_of(value)


def over(report: Report) -> str:
    """What an error was taken over: "61 characters"."""
    return f"{report['amount']:,} {report['amount_is']}"


def _head(report: Report) -> list[str]:
    return [
        (
            f"{report['model']} {report['precision']} on {report['board']}"
            f" ({report['board_title']}; {report['board_status']})"
        ),
        row("run", verdict(report)),
        *([] if report["format"] == "c" else [row("format", report["format_title"])]),
        row("checkpoint", report["checkpoint"][:16]),
        row("graph", f"{report['graph'][:16]}, on the board {report['graph_on_board'][:16]}"),
        row("compiler", f"{report['compiler']}; {report['flags']}"),
    ]


def _accuracy(report: Report) -> list[str]:
    metric, unit = report["metric"], report["metric"]["unit"]
    task = tasks.named(report["task"])
    if metric["board"] is None and metric["float"] is None:
        names = ", ".join(dict.fromkeys(part["recording"] for part in report["recordings"]))
        return ["", f"{report['seconds']:.1f} s streamed, of {names}; nothing in it is scored"]
    lines = [
        "",
        (
            f"{task.headline} over the {report['seconds']:.1f} s streamed ({over(report)},"
            f" {recordings(report)})"
        ),
        row("float network", value_of(metric["float"], unit)),
        row("integers", value_of(metric["quantized"], unit)),
        row("board", value_of(metric["board"], unit) + _of_metric(metric)),
        *groups.users_text(report, unit),
        *_language(report["language"]),
    ]
    said = task.say(report["details"]) if report["details"] else []
    return lines + [row(name, value) for name, value in said]


def _language(language: Language | None) -> list[str]:
    if language is None:
        return []
    metric = language["metric"]
    return [
        row(
            "with language model",
            f"{percent(metric['board'])}{_interval(metric['low'], metric['high'])}",
        ),
        row(
            "",
            f"float {percent(metric['float'])}, integers {percent(metric['quantized'])};"
            f" {language['name']}",
        ),
        *([row("", language["caveat"])] if language["caveat"] else []),
    ]


def _interval(low: float | None, high: float | None, unit: str = "%") -> str:
    if low is None or high is None:
        return ""
    ends = (figure(end, unit).removesuffix(f" {unit}") for end in (low, high))
    return f"   95 % interval {' … '.join(ends)}"


def _of_metric(metric: Metric) -> str:
    return _interval(metric["low"], metric["high"], metric["unit"])


def _heldout(report: Report) -> list[str]:
    held, metric = report.get("heldout"), report["metric"]
    lines = []
    if held is not None:
        where = (
            f"{counted(held['sessions'], 'session')}, {held['seconds']:.0f} s, {recordings(report)}"
        )
        apart = between(held["float"], held["native"])
        lines = [
            "",
            f"{metric['name']} over {held['amount']:,} held-out {held['amount_is']} ({where})",
            row("float network", value_of(held["float"], metric["unit"])),
            row(
                "native integer C",
                f"{value_of(held['native'], metric['unit'])}"
                f"   difference {difference(apart, held['points'])} {held['points']}"
                + _interval(held["low"], held["high"], held["points"]),
            ),
            *groups.users_text(held, metric["unit"]),
            *(_heldout_language(held["language"]) if held["language"] else []),
        ]
    else:
        lines = _quantized(report)
    if report["published"]:
        lines.append(
            row(
                "published",
                f"{report['published']['value']:.2f} %   ({report['published']['source']}; not this"
                " data)",
            )
        )
    return lines


def _quantized(report: Report) -> list[str]:
    """What was known of whole held-out sessions before the run, and what trivial predictors do
    there."""
    known, trivial = report["quantize"]["metric"], report["quantize"]["trivial"]
    if not trivial:
        return []
    figures = ", ".join(
        f"{name.replace('_', ' ')} {figure(value, known['unit'])}"
        for name, value in trivial.items()
    )
    held = (
        f"float {value_of(known['float'], known['unit'])}, integers"
        f" {value_of(known['quantized'], known['unit'])}"
    )
    return [row("held-out sessions", held), row("trivial predictors", figures)]


def _heldout_language(held: dict[str, Any]) -> list[str]:
    apart = f"difference {held['native'] - held['float']:+.2f} points"
    return [
        row(
            "with language model",
            f"float {percent(held['float'])}, native integer C {percent(held['native'])}",
        ),
        row("", f"{apart}{_interval(held['low'], held['high'])}"),
    ]


def _equality(report: Report) -> list[str]:
    words = f"{counted(report['words'], 'output word')} of {counted(report['frames'], 'frame')}"
    if report["format"] == "c":
        exact = (
            f"yes: {words} equal the reference"
            if report["bit_exact"]
            else f"NO: {report['mismatches']:,} of {words} differ"
        )
    else:
        exact = _as_reference(report, words)
    first = [row("first difference", report["first_mismatch"])] if report["first_mismatch"] else []
    return ["", row("bit-exact", exact), *first]


def _as_reference(report: Report, words: str) -> str:
    """For a format that is not meant to equal the integers: against what it must equal, and how
    near the integers it is."""
    near, reference = report["against_integers"], report["reference"]
    exact = (
        f"yes: {words} equal"
        if report["bit_exact"]
        else f"NO: {report['mismatches']:,} of {words} differ from"
    )
    return (
        f"{exact} {reference}; {near['sqnr_db']:.1f} dB and arg-max {near['agreement']:.2%} of the"
        " integer reference"
    )


def _time(report: Report) -> list[str]:
    latency = report["latency"]
    frames, added = (
        latency["frames_per_step"],
        f", which come up to {latency['added_ms']:.0f} ms later",
    )
    step = "frame" if frames == 1 else f"step of {frames} frames{added}"
    measured = latency["instructions"] is not None or latency["ms"] is not None
    deadline = f"deadline {latency['deadline_ms']:.0f} ms"
    computing = "computing only, without the line" if measured else "not measured on this board"
    lines = ["", f"Latency of one {step}, {deadline} ({computing})"]
    if latency["instructions"] is not None:
        lines.append(row("instructions", _spread(latency["instructions"], ",.0f")))
    if latency["ms"] is not None:
        lines.append(row("ms", f"{_spread(latency['ms'], '.2f')}"))
    if latency["least_ms"] is not None and latency["most_ms"] is not None:
        lines.append(
            row(
                "",
                f"between {latency['least_ms']:.2f} and {latency['most_ms']:.2f} ms by what the"
                " model leaves open",
            )
        )
    if measured:
        lines.append(row("ms are", latency["ms_is"]))
    if report["stream_latency"]:
        lines.append(row("network itself", stream_latency.text(report["stream_latency"])))
    if report["real_time_factor"] is not None:
        lines.append(row("real-time factor", f"{report['real_time_factor']:.1f} × computing alone"))
    lines.append(
        row(
            "Python reference",
            f"{latency['reference_ms']:.2f} ms per frame on this machine, for orientation",
        )
    )
    lines.append(row("work", f"{report['macs_per_s'] / 1e6:.2f} million MACs per second of signal"))
    return lines


def _spread(spread: Spread, form: str) -> str:
    return f"p50 {spread['p50']:{form}}   p99 {spread['p99']:{form}}   max {spread['max']:{form}}"


def _line(report: Report) -> list[str]:
    line = report["line"]
    rate = line["at_baud_real_time_factor"]
    at_baud = "" if rate is None else f"; {line['baud']:,} baud would carry {rate:.2f} ×"
    total = line["bytes_sent"] + line["bytes_received"]
    counts = {
        "repeated": "frames_repeated",
        "overruns": "overruns",
        "dropped": "bytes_dropped",
        "resumed": "resumed",
    }
    troubles = ", ".join(f"{line[key]} {name}" for name, key in counts.items())  # type: ignore[literal-required]
    return [
        row(
            "line",
            f"{total:,} bytes in {line['seconds']:.1f} s = {line['real_time_factor']:.2f} × real"
            f" time{at_baud}",
        ),
        row("", troubles),
        *_resets(report),
    ]


def _resets(report: Report) -> list[str]:
    """Why the board was lost, each time; and a fault of before the run that it still remembers."""
    rows = [row(f"lost after {counted(r['frames'], 'frame')}", r["text"]) for r in report["resets"]]
    before = report["fault_before"]
    return rows + ([row("before this run", before)] if before else [])


def _memory(report: Report) -> list[str]:
    lines = [""] if used_regions(report) else []
    for name, region in used_regions(report).items():
        largest = ", ".join(
            f"{purpose} {size:,}" for purpose, size in list(region["purposes"].items())[:4]
        )
        share = region["bytes"] / region["size"]
        lines.append(
            row(name, f"{region['bytes']:,} of {region['size']:,} bytes ({share:.0%}): {largest}")
        )
    if report["format"] != "c" and report["arena_used"]:
        lines.append(
            row(
                "arena",
                f"{report['arena_used']:,} bytes used by the interpreter, the state among them",
            )
        )
    if report["external_memory"]:
        lines.append(row("external memory", report["external_memory"]))
    if report["stack"] is not None:
        lines.append(
            row(
                "stack",
                f"{report['stack']['used']:,} of {report['stack']['size']:,} bytes used at most",
            )
        )
    return lines


def _short(text: str) -> str:
    return text if len(text) <= SHOWN else text[:SHOWN] + " …"


def _text(report: Report) -> list[str]:
    lines, reading = [""], tasks.named(report["task"]).text
    for part in report["text"][:1]:
        assert reading is not None, "only what is read as text has transcripts"
        lines += [
            row(reading.written, _short(part["target"])),
            row("board read", _short(part["board"])),
        ]
    if report["language"] is not None:
        lines += [
            row("with language model", _short(text))
            for text in report["language"]["text"]["board"][:1]
        ]
    return lines
