"""What all pages are made of: one file that needs nothing else, light and printable; cards,
figures, facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from compress.report.drawing import Picture
from compress.tasks import groups

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def document(title: str, body: str, look: str = "") -> str:
    """A page. `title` is plain text, `body` HTML; `look`: a class of page.css for all of it."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta'
        f' charset="utf-8"><title>{escape(title)}</title><meta name="viewport"'
        f' content="width=device-width"><style>{STYLE}</style></head><body'
        f' class="{look}">\n{body}\n</body></html>\n'
    )


def card(name: str, value: str, small: str, share: float | None = None) -> str:
    """One large figure, with a bar where it is a share of something."""
    bar = (
        "" if share is None else f'<div class="bar"><i style="width:{min(share, 1):.0%}"></i></div>'
    )
    return (
        f'<div class="card"><small>{escape(name)}</small><b>{escape(value)}</b>'
        f"<small>{escape(small)}</small>{bar}</div>"
    )


def figure(picture: Picture) -> str:
    """A picture under its title."""
    drawn = f"<figure>{picture.svg}<figcaption>{escape(picture.caption)}</figcaption></figure>"
    return f"<h2>{escape(picture.title)}</h2>{drawn}"


def users(title: str, report: Mapping[str, Any], unit: str) -> str:
    """What a report says of users under a heading, where there are several."""
    if not report.get("over_users"):
        return ""
    heads, *rows = groups.table("user", report["users"], unit)
    lines = [_row("th", heads), *(_row("td", row) for row in rows)]
    mean = escape(groups.mean_line(report["over_users"], unit).strip())
    return f"<h2>{escape(title)}</h2><table>{''.join(lines)}</table><p>{mean}</p>"


def _row(tag: str, cells: Sequence[str]) -> str:
    """A row of figures behind a name."""
    name, *others = map(escape, cells)
    figures = "".join(f"<{tag} class=n>{cell}</{tag}>" for cell in others)
    return f"<tr><{tag}>{name}</{tag}>{figures}</tr>"


def facts(known: Mapping[str, object]) -> str:
    """What makes the figures of a page valid, and repeatable."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=mono>{escape(str(value))}</td></tr>"
        for name, value in known.items()
    )
    return f"<h2>What was measured, and with what</h2><table>{rows}</table>"
