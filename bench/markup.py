"""What all pages are made of: one file that needs nothing else, light and printable; cards,
figures, facts."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Mapping, Sequence
from hashlib import sha256
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from compress.tasks import groups

if TYPE_CHECKING:
    from compress.report.drawing import Picture  # matplotlib is slow to import

STYLE = (Path(__file__).parent / "page.css").read_text(encoding="utf-8")


def document(title: str, body: str, look: str = "", scripts: Sequence[str] = ()) -> str:
    """A page. `title` is plain text, `body` HTML; `look`: a class of page.css for all of it;
    `scripts`: JavaScript that runs behind the body, and the only one that does. A page loads
    nothing from anywhere: the browser is told so, and which scripts are meant."""
    run = "".join(f"<script>{script}</script>" for script in scripts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{_policy(scripts)}">'
        f'<title>{escape(title)}</title><meta name="viewport"'
        ' content="width=device-width,initial-scale=1">'
        '<meta name="color-scheme" content="light dark">'
        f'<style>{STYLE}</style></head><body class="{look}">\n{body}\n{run}</body></html>\n'
    )


def _policy(scripts: Sequence[str]) -> str:
    """Nothing from outside; of scripts those with these digests, so that none that a name of a
    user's brings along is run."""
    digests = [f"'sha256-{b64encode(sha256(s.encode()).digest()).decode()}'" for s in scripts]
    allowed = " ".join(digests) or "'none'"
    own = "style-src 'unsafe-inline'; img-src data: blob:; font-src data:"
    return f"default-src 'none'; {own}; script-src {allowed}"


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
