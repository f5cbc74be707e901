"""The HTML report: one file that needs nothing else, light, printable; its JSON twin holds every
figure."""

from __future__ import annotations

from html import escape
from pathlib import Path

from bench import markup
from bench.hil import pictures
from bench.hil.outcome import Outcome
from bench.hil.schema import Line, Report, Window
from bench.hil.text import over, percent, recordings, used_regions, value_of
from compress import tasks
from compress.files import write_text
from compress.graph import latency as stream_latency
from compress.reading.words import counted


def write_report(path: Path, outcome: Outcome) -> Path:
    """Write the page for a finished run, whole or not at all; returns its path."""
    write_text(path, html(outcome))
    return path


def html(outcome: Outcome) -> str:
    """The page. The same outcome gives the same page."""
    report = outcome.report
    body = "\n".join(
        (
            _head(report),
            _cards(report),
            *_figures(outcome),
            _users(report),
            _texts(report),
            _layers(report),
            _facts(report),
        )
    )
    return markup.document(f"{report['model']} on {report['board']}", body)


def _head(report: Report) -> str:
    valid = (
        '<span class="badge good">VALID</span>'
        if report["valid"]
        else '<span class="badge bad">INVALID</span>'
    )
    words, reference = f"{report['words']:,} output words", escape(report["reference"])
    exact = (
        f'<span class="badge good">BIT-EXACT</span> {words} from the board equal {reference}'
        if report["bit_exact"]
        else (
            f'<span class="badge bad">NOT BIT-EXACT</span> {report["mismatches"]:,} of {words}'
            f" differ from {reference}"
        )
    )
    why = "".join(f"<p><b>{escape(reason)}</b></p>" for reason in report["why_invalid"])
    note = (
        "<p><b>All errors of this run are from simulated recordings.</b></p>"
        if report["simulated"]
        else ""
    )
    return (
        f"<h1>{escape(report['model'])} <span class=soft>{escape(report['precision'])}</span> on"
        f" {escape(report['board'])}</h1><p class=soft>{escape(report['board_title'])};"
        f" {escape(report['board_status'])}</p><p>{valid}{exact}</p>{why}{note}"
    )


def _cards(report: Report) -> str:
    metric, latency = report["metric"], report["latency"]
    name, unit = metric["name"], metric["unit"]
    what = f"{report['seconds']:.1f} s, {over(report)}, {recordings(report)}"
    both = f"{value_of(metric['quantized'], unit)} · {value_of(metric['float'], unit)}"
    cards = [
        markup.card(f"{name} on the board", value_of(metric["board"], unit), what),
        markup.card(f"{name} of integers · float", both, "same seconds"),
    ]
    language = report["language"]
    if language is not None:
        rates = (
            f"integers {percent(language['metric']['quantized'])}, float"
            f" {percent(language['metric']['float'])}"
        )
        cards.append(
            markup.card(
                f"{name} on the board, with language model",
                percent(language["metric"]["board"]),
                f"same seconds; {rates}",
            )
        )
    held = report.get("heldout")
    if held is not None:
        small = (
            f"native C, {held['amount']:,} held-out {held['amount_is']}, {recordings(report)};"
            f" float {value_of(held['float'], unit)}"
        )
        cards.append(markup.card(f"{name} held out", value_of(held["native"], unit), small))
        with_model = held["language"]
        if with_model is not None:
            small = f"native C, same sessions; float {with_model['float']:.2f} %"
            cards.append(
                markup.card(
                    f"{name} held out, with language model", percent(with_model["native"]), small
                )
            )
    if latency["ms"] is not None:
        kind = "measured" if latency["counts"] == "cycles" else "modelled"
        small = f"{kind}, p50; p99 {latency['ms']['p99']:.2f}, max {latency['ms']['max']:.2f}"
        share = latency["ms"]["p50"] / latency["deadline_ms"]
        step = (
            "frame"
            if latency["frames_per_step"] == 1
            else f"step of {counted(latency['frames_per_step'], 'frame')}"
        )
        title = f"latency of a {step}, deadline {latency['deadline_ms']:.0f} ms"
        cards.append(markup.card(title, f"{latency['ms']['p50']:.2f} ms", small, share))
    for name, region in used_regions(report).items():
        share = region["bytes"] / region["size"]
        small = f"of {region['size'] / 1024:,.0f} KiB there are"
        cards.append(markup.card(name, f"{region['bytes'] / 1024:.1f} KiB", small, share))
    cards.append(
        markup.card("work", f"{report['macs_per_s'] / 1e6:.2f} M", "MACs per second of signal")
    )
    return f'<div class="cards">{"".join(cards)}</div>'


def _figures(outcome: Outcome) -> list[str]:
    return [markup.figure(picture) for picture in pictures.draw(outcome)]


def _users(report: Report) -> str:
    """Errors of each user, of the seconds streamed and of whole held-out sessions."""
    name, unit = report["metric"]["name"], report["metric"]["unit"]
    held = report.get("heldout") or {}
    return markup.users(f"{name} by user, streamed seconds", report, unit) + markup.users(
        f"{name} by user, held out", held, unit
    )


def _texts(report: Report) -> str:
    reading = tasks.named(report["task"]).text
    if reading is None:
        return ""
    with_model = (
        report["language"]["text"]["board"] if report["language"] else [""] * len(report["text"])
    )
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=mono>{escape(content)}</td></tr>"
        for part, better in zip(report["text"], with_model, strict=True)
        for name, content in (
            (part["recording"], ""),
            (reading.written, part["target"]),
            ("float network read", part["float"]),
            ("integers read", part["quantized"]),
            ("board read", part["board"]),
            ("with language model", better),
        )
        if content or name == part["recording"]
    )
    return (
        f"<h2>{escape(reading.heading)}</h2><table>{rows}</table>"
        f"<p class=soft>{escape(reading.remark)}</p>"
    )


def _layers(report: Report) -> str:
    names = ("bits", "MACs/s", "SQNR dB", "clipped")
    head = (
        "<tr><th>layer</th><th>operator</th>"
        + "".join(f"<th class=n>{name}</th>" for name in names)
        + "</tr>"
    )
    rows = [head]
    for layer in report["layers"]:
        figures = (
            layer["bits"],
            f"{layer['macs_per_s']:,.0f}",
            f"{layer['sqnr_db']:.1f}",
            f"{layer['clipped']:.2%}",
        )
        cells = "".join(f"<td class=n>{figure}</td>" for figure in figures)
        rows.append(
            "<tr><td"
            f" class=mono>{escape(layer['module'])}</td><td>{escape(layer['op'])}</td>{cells}</tr>"
        )
    return f"<h2>Layers</h2><table>{''.join(rows)}</table>"


def _facts(report: Report) -> str:
    """What makes the measurement valid, and repeatable."""
    latency, stack = report["latency"], report["stack"]
    seconds = f"{report['seconds']:.3f} s of {report['seconds_requested']:g} s requested"
    facts = {
        "checkpoint SHA-256": report["checkpoint"],
        "graph SHA-256": report["graph"],
        "graph on the board": report["graph_on_board"],
        "format": report["format_title"],
        "arena used": f"{report['arena_used']:,} bytes",
        "compiler": f"{report['compiler']}; {report['flags']}",
        "recordings": "; ".join(_window(window) for window in report["recordings"]),
        "frames": f"{report['frames']} of {report['frames_expected']} expected, {seconds}",
        "latency in ms": latency["ms_is"],
        "Python reference": (
            f"{latency['reference_ms']:.2f} ms per frame on the host, for orientation"
        ),
        **_line(report["line"]),
        **_told(report),
        "stack": (
            f"{stack['used']:,} of {stack['size']:,} bytes used at most"
            if stack
            else "not known on this board"
        ),
    }
    if report["stream_latency"]:
        facts["latency of the network itself"] = stream_latency.text(report["stream_latency"])
    if report["language"]:
        facts["language model"] = "; ".join(
            filter(None, (report["language"][k] for k in ("name", "caveat", "settings")))
        )  # type: ignore[literal-required]
        facts["language model SHA-256"] = report["language"]["sha256"]
    if report["published"]:
        published = (
            f"{report['published']['value']} {report['metric']['unit']}"
            f" ({report['published']['source']})"
        )
        facts[f"published {report['metric']['name']}"] = f"{published}; other data than this run"
    return markup.facts(facts)


def _told(report: Report) -> dict[str, str]:
    """What the board says of its resets and of its memory."""
    found = {
        f"lost, {number}": f"after {counted(reset['frames'], 'frame')}; {reset['text']}"
        for number, reset in enumerate(report["resets"], 1)
    }
    if report["fault_before"]:
        found["before this run"] = report["fault_before"]
    if report["external_memory"]:
        found["external memory"] = report["external_memory"]
    return found


def _window(window: Window) -> str:
    return (
        f"{window['recording']} {window['start_s']:.3f}…{window['stop_s']:.3f} s, SHA-256"
        f" {window['sha256']}"
    )


def _line(line: Line) -> dict[str, str]:
    rate = line["at_baud_real_time_factor"]
    at_baud = f"; {line['baud']:,} baud would carry {rate:.2f} ×" if rate else ""
    sent = (
        f"{line['bytes_sent']:,} bytes sent, {line['bytes_received']:,} received in"
        f" {line['seconds']:.1f} s"
    )
    lost = (
        f"{line['overruns']} overruns, {line['bytes_dropped']} bytes dropped, {line['resumed']}"
        " times resumed"
    )
    return {
        "line": f"{line['kind']}: {sent} ({line['real_time_factor']:.2f} × real time{at_baud})",
        "line troubles": (
            f"{counted(line['frames_repeated'], 'frame')} repeated, {line['polls']} polls, {lost}"
        ),
    }
