"""The page of a compressed network: what it lost, what it takes, and layer by layer what was chosen
and why."""

from __future__ import annotations

from html import escape
from typing import Any

from bench import markup
from bench.compression import pictures
from compress.compression import fit
from compress.report.figures import difference, figure
from compress.tasks import groups


def html(found: dict[str, Any]) -> str:
    """The page. The same report gives the same page."""
    scores = found["scores"]
    body = "\n".join(
        (
            _head(found),
            _cards(found),
            *map(markup.figure, pictures.draw(found)),
            markup.users(f"{scores['metric']} by user", scores, scores["unit"]),
            _table(found),
            _facts(found),
        )
    )
    return markup.document(f"{found['model']}, compressed", body)


def text(found: dict[str, Any]) -> str:
    """What a user reads on the console."""
    s, m = found["scores"], found["measured"]
    where = "simulated recordings" if found["simulated"] else "recordings"
    lines = [f"{found['model']} on {s['amount']:,} held-out {s['amount_is']} of {where}"]
    lines += [f"  {s['metric']} {name:22}{_error(value, s)}" for name, value in s["errors"].items()]
    lines.append(
        f"  integers minus float network: 95 % interval {_interval(s)} {s['points']}{_relative(s)}"
    )
    lines += groups.users_text(s, s["unit"])
    lines += [
        f"  trivial predictor {name.replace('_', ' ')}: {_error(value, s)}"
        for name, value in s["trivial"].items()
    ]
    if m["flash"] is not None:
        lines.append(f"  {m['board']}: {m['flash']:,} bytes of flash, {m['ram']:,} of RAM")
    if m["cycles_per_s"] is not None:
        share = m["cycles_per_s"] / m["clock_hz"]
        lines.append(
            f"  {m['cycles_per_s'] / 1e6:,.1f} million cycles a second, {share:.1%} of the clock,"
            " modelled"
        )
    lines += [f"  MISSED {line}" for line in found["missed"]]
    return "\n".join(lines)


def _error(value: float | None, s: dict[str, Any]) -> str:
    return figure(value, s["unit"])


def _apart(s: dict[str, Any]) -> str:
    """How far the integers are from the whole network."""
    return f"{_interval(s)} {s['points']} against float{_relative(s)}"


def _interval(s: dict[str, Any]) -> str:
    low, high = (difference(s["difference"][end], s["points"]) for end in ("low", "high"))
    return f"{low} … {high}"


def _relative(s: dict[str, Any]) -> str:
    first, *_, last = s["errors"].values()
    return f" ({last / first - 1:+.1%} of its error)" if first and last is not None else ""


def _head(found: dict[str, Any]) -> str:
    badge = '<span class="badge good">WITHIN BUDGET</span>'
    if found["missed"]:
        badge = f'<span class="badge bad">MISSED</span> {escape("; ".join(found["missed"]))}'
    note = "<p><b>All errors are from simulated recordings.</b></p>" if found["simulated"] else ""
    return (
        f"<h1>{escape(found['model'])}, compressed</h1><p"
        f" class=soft>{escape(fit.tuning(found))}</p><p>{badge}</p>{note}"
    )


def _cards(found: dict[str, Any]) -> str:
    s, m = found["scores"], found["measured"]
    cards = []
    for name, value in s["errors"].items():
        integers = "integers" in name
        cards.append(
            markup.card(f"{s['metric']}, {name}", _error(value, s), _apart(s) if integers else "")
        )
    cards += [
        markup.card(name.replace("_", " "), _error(value, s), "reads no signal")
        for name, value in s["trivial"].items()
    ]
    if m["flash"] is not None:
        flash = found["request"]["budget"]["flash"]
        cards.append(
            markup.card(
                "flash", f"{m['flash'] / 1000:,.0f} KB", f"of {flash:,} bytes", m["flash"] / flash
            )
        )
        cards.append(markup.card("RAM", f"{m['ram'] / 1000:,.0f} KB", m["board"]))
    if m["cycles_per_s"] is not None:
        share = m["cycles_per_s"] / m["clock_hz"]
        cards.append(
            markup.card(
                "of the clock", f"{share:.1%}", f"modelled, {m['clock_hz'] / 1e6:.0f} MHz", share
            )
        )
    return f'<div class="cards">{"".join(cards)}</div>'


def _table(found: dict[str, Any]) -> str:
    head = (
        "<tr><th>matrix<th class=n>inputs → rows<th>chosen<th class=n>bytes<th class=n>error<th"
        " class=n>harm</tr>"
    )
    rows = "".join(_row(row) for row in found["layers"])
    note = (
        "error: of the layer's own sums, relative; harm: mean squared change of the network's"
        " output expected before fine-tuning"
    )
    return f"<h2>Every matrix</h2><table>{head}{rows}</table><p class=soft>{note}</p>"


def _row(row: dict[str, Any]) -> str:
    form = row["forms"][row["chosen"]]
    return (
        f"<tr><td class=mono>{escape(row['module'])}<td class=n>{row['inputs']} →"
        f" {row['rows']}<td>{escape(form['title'])}<td class=n>{form['bytes']:,}<td"
        f" class=n>{form['error']:.3%}<td class=n>{form['harm']:.1e}</tr>"
    )


def _facts(found: dict[str, Any]) -> str:
    m, estimated = found["measured"], found["estimated"]
    return markup.facts(
        {
            "whole network": found["checkpoint"],
            "compressed network": found["compressed"],
            "calibration": ", ".join(found["calibration"]),
            "integers minus float network": (
                f"95 % interval {_interval(found['scores'])} {found['scores']['points']}, paired"
            ),
            "tables by rule, before and after": (
                f"{estimated['tables']['before']:,} and {estimated['tables']['after']:,} bytes"
            ),
            "tables of the linked image": "–" if m["tables"] is None else f"{m['tables']:,} bytes",
            "cycles by rule, before and after": " and ".join(
                f"{v / 1e6:,.0f} million a second" for v in estimated["cycles_per_s"].values()
            ),
            "cycles": m["method"],
            "multiply-accumulates a second": " → ".join(
                f"{v / 1e6:,.1f} million" for v in found["macs_per_s"].values()
            ),
            "seed": found["request"]["seed"],
        }
    )
