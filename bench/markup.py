"""What all pages are made of: one file that needs nothing else, light and printable; cards,
figures, facts."""

from __future__ import annotations

from collections.abc import Mapping
from html import escape
from pathlib import Path

from compress.report.drawing import Picture

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


def facts(known: Mapping[str, object]) -> str:
    """What makes the figures of a page valid, and repeatable."""
    rows = "".join(
        f"<tr><td>{escape(name)}</td><td class=mono>{escape(str(value))}</td></tr>"
        for name, value in known.items()
    )
    return f"<h2>What was measured, and with what</h2><table>{rows}</table>"
