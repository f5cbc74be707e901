"""The profile as one HTML file that needs nothing else; its JSON twin holds every figure."""

from __future__ import annotations

from html import escape

from bench import markup
from bench.profile import pictures
from bench.profile.classes import CLASSES, TITLES
from bench.profile.schema import Cost, LayerRow, Report
from bench.profile.table import counted_in, each, share_of


def html(report: Report) -> str:
    """The page. The same report gives the same page."""
    parts = (
        _head(report),
        _cards(report),
        _findings(report),
        *_figures(report),
        _layers(report),
        _floors(report),
        _memory(report),
        _facts(report),
    )
    return markup.document(
        f"{report['model']} on {report['board']}, profile", "\n".join(parts), "wide"
    )


def _head(report: Report) -> str:
    good, name = report["bit_exact"], escape(report["model"])
    badge = (
        '<span class="badge'
        f' {"good" if good else "bad"}">{"BIT-EXACT" if good else "NOT BIT-EXACT"}</span>'
    )
    return (
        f"<h1>{name} <span class=soft>{escape(report['precision'])}</span> on"
        f" {escape(report['board'])}: profile</h1><p class=soft>{escape(report['board_title'])};"
        f" {escape(report['board_status'])}</p><p>{badge}{report['words']:,} output words of the"
        f" {report['steps']} profiled steps {'equal' if good else 'differ from'} the integer"
        " reference</p>"
    )


def _cards(report: Report) -> str:
    total, memory = report["total"], report["memory"]
    cards = [
        markup.card(
            "macc",
            f"{total['macc_per_s'] / 1e6:.2f} M",
            f"per second of signal; {total['macc']:,} a step",
        )
    ]
    if total["instructions_per_s"] is not None:
        small = (
            f"per second of signal; {total['instructions']:,.0f} a step, {total['per_macc']:.2f}"
            " per MAC"
        )
        cards.append(
            markup.card(
                "executed instructions", f"{total['instructions_per_s'] / 1e6:.2f} M", small
            )
        )
    if total["cycles"] is not None:
        kind = "modelled" if report["counts"] == "instructions" else "measured"
        cards.append(
            markup.card(
                "cycles/MACC",
                f"{total['cycles_per_macc']:.2f}",
                f"{kind}; {total['cycles']:,.0f} cycles a step",
            )
        )
        if total["dur_ms"] is not None and total["duty_percent"] is not None:
            small = (
                f"{kind}; a step has {1000 / report['steps_per_s']:.0f} ms, busy"
                f" {total['duty_percent']:.0f} %"
            )
            cards.append(
                markup.card(
                    "duration of a step",
                    f"{total['dur_ms']:.2f} ms",
                    small,
                    total["duty_percent"] / 100,
                )
            )
    cards.append(
        markup.card(
            "weights (ro)",
            _kib(memory["weights"]),
            f"of {_kib(memory['flash_total'])} flash in all",
        )
    )
    small = f"arena; state {_kib(memory['state'])}, RAM total {_kib(memory['ram_total'])}"
    cards.append(markup.card("activations (rw)", _kib(memory["activations"]), small))
    return f'<div class="cards">{"".join(cards)}</div>'


def _kib(size: int | None) -> str:
    return "–" if size is None else f"{size / 1024:.1f} KiB"


def _findings(report: Report) -> str:
    items = "".join(f"<li>{escape(finding)}</li>" for finding in report["findings"])
    return f"<h2>What dominates, and what would help</h2><ul>{items}</ul>"


def _figures(report: Report) -> list[str]:
    return [markup.figure(picture) for picture in pictures.draw(report)]


HEAD = (
    "c_id",
    "m_id",
    "name",
    "type",
    "in→out",
    "Hz",
    "macc",
    "instr.",
    "each",
    "cycles",
    "dur (ms)",
    "%",
    "cumul",
)
SHORT = {
    "load_store": "load",
    "unpack": "unpack",
    "mac": "mac",
    "requantize": "requ.",
    "rest": "rest",
}
LEFT = ("name", "type", "in→out")


def _layers(report: Report) -> str:
    classes = report["total"]["split"] is not None
    names = (*HEAD, *(SHORT[c] for c in CLASSES if classes), "weights", "activ.", "state")
    head = "".join(f"<th{'' if name in LEFT else ' class=n'}>{escape(name)}</th>" for name in names)
    rows = [_row(_layer_cells(row, classes)) for row in report["layers"]]
    rows += [_row(_cost_cells(row["name"], row, classes)) for row in report["others"]]
    rows.append(_row([f"<b>{cell}</b>" for cell in _total_cells(report, classes)]))
    rows += [_row(_cost_cells(row["name"], row, classes)) for row in report["outside"]]
    what = counted_in(report)
    classes_are = (
        "In % of the layer's instructions:"
        f" {', '.join(f'{SHORT[c]} = {TITLES[c]}' for c in CLASSES)}."
        if classes
        else ""
    )
    said = (
        f"Of one step. <i>each</i>: {what} per MAC, per value (v) where a layer has no MACs."
        f" {escape(classes_are)} Cycles and ms are {escape(report['cycles_are'])}. Bytes:"
        " <i>weights</i> (ro) in flash, a shared table where it is needed first;"
        " <i>activations</i> (rw) in the arena; state in RAM."
    )
    return (
        f"<h2>Every layer</h2><p class=soft>{said}</p><div"
        f" class=dense><table><tr>{head}</tr>{''.join(rows)}</table></div>"
    )


def _row(cells: list[str]) -> str:
    left = {HEAD.index(name) for name in LEFT}
    return (
        "<tr>"
        + "".join(
            f"<td{'' if i in left else ' class=n'}>{cell}</td>" for i, cell in enumerate(cells)
        )
        + "</tr>"
    )


def _layer_cells(row: LayerRow, classes: bool) -> list[str]:
    shape = "→".join(f"{frames}×{features}" for frames, features in (row["input"], row["output"]))
    macc = f"{row['macc']:,}" if row["macc"] else ""
    first = [
        str(row["c_id"]),
        str(row["m_id"]),
        f"<span class=mono>{escape(row['name'])}</span>",
        row["type"],
        shape,
        f"{row['rate_hz']:.4g}",
        macc,
    ]
    memory = [f"{row[key]:,}" if row[key] else "" for key in ("weights", "activations", "state")]  # type: ignore[literal-required]
    time = [
        _number(row["instructions"], ",.0f"),
        each(row),
        *_spent(row),
        f"{row['percent']:.1f}",
        f"{row['cumul']:.1f}",
    ]
    return [*first, *time, *_split(row, classes), *memory]


def _cost_cells(name: str, cost: Cost, classes: bool) -> list[str]:
    time = [_number(cost["instructions"], ",.0f"), "", *_spent(cost), f"{cost['percent']:.1f}", ""]
    return ["", "", escape(name), "", "", "", "", *time, *_split(cost, classes), "", "", ""]


def _total_cells(report: Report, classes: bool) -> list[str]:
    total, memory = report["total"], report["memory"]
    cells = _cost_cells("total", total, classes)
    cells[HEAD.index("macc")] = f"{total['macc']:,}"
    cells[HEAD.index("each")] = _number(
        total["per_macc"] if total["per_macc"] is not None else total["cycles_per_macc"], ".2f"
    )
    return [
        *cells[:-3],
        f"{memory['weights']:,}",
        f"{memory['activations']:,}",
        f"{memory['state']:,}",
    ]


def _spent(cost: Cost) -> list[str]:
    return [_number(cost["cycles"], ",.0f"), _number(cost["dur_ms"], ".3f")]


def _split(cost: Cost, classes: bool) -> list[str]:
    return [_number(share_of(cost, name), ".0f") for name in CLASSES] if classes else []


def _number(value: float | None, form: str) -> str:
    return "–" if value is None else f"{value:{form}}"


def _floors(report: Report) -> str:
    """What the floors stand on, each said once."""
    known = {
        (row["type"], row["floor_is"]): row for row in reversed(report["layers"]) if row["floor"]
    }
    if not known or report["counts"] != "instructions":
        return ""
    rows = "".join(
        f"<tr><td>{escape(kind)}</td><td class=n>{(row['floor'] or 0) / row['units']:.2f} per"
        f" {row['unit']}</td><td>{escape(words)}</td></tr>"
        for (kind, words), row in sorted(known.items())
    )
    head = "<tr><th>type</th><th class=n>floor</th><th>inner loop</th></tr>"
    return f"<h2>What the floors stand on</h2><table>{head}{rows}</table>"


def _memory(report: Report) -> str:
    rows = "".join(
        f"<tr><td>{escape(region)}</td><td>{escape(purpose)}</td><td class=n>{size:,}</td>"
        f"<td class=n>{size / content['size']:.1%}</td></tr>"
        for region, content in report["memory"]["regions"].items()
        for purpose, size in content["purposes"].items()
        if size
    )
    if not rows:
        return ""
    head = (
        "<tr><th>region</th><th>purpose</th><th class=n>bytes</th><th class=n>of the"
        " region</th></tr>"
    )
    return f"<h2>Memory of the linked image</h2><table>{head}{rows}</table>"


def _facts(report: Report) -> str:
    """What makes the profile repeatable."""
    facts = {
        "checkpoint SHA-256": report["checkpoint"],
        "graph SHA-256": report["graph"],
        "compiler": f"{report['compiler']}; {report['flags']}",
        "recording": (
            f"{report['recording']}{' (simulated)' if report['simulated'] else ''}, its first"
            f" {report['steps']} steps"
        ),
        "cycles and ms": report["cycles_are"],
        "counted": (
            f"{report['counted']:,} {counted_in(report)}, in layers, beside them and in interrupts"
            " together"
        ),
    }
    return markup.facts(facts)
