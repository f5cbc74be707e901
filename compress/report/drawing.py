"""What all pictures are made of: colours, style, and SVG text to be set into a page."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import matplotlib
from matplotlib.figure import Figure

INK, SOFT, BLUE, ORANGE, GREEN, RED = (
    "#1d2733",
    "#8a97a5",
    "#2f6fb3",
    "#d97a1f",
    "#16794c",
    "#b42318",
)
FILLS = (
    "#2f6fb3",
    "#d97a1f",
    "#16794c",
    "#8e5bb5",
    "#c2486b",
    "#4aa3b8",
    "#a78a2c",
    "#7a8794",
    "#b9c3cd",
)
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.edgecolor": SOFT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "xtick.color": INK,
    "ytick.color": INK,
    "text.color": INK,
    "svg.fonttype": "path",
    "text.parse_math": False,  # a $ in a name is a dollar
}


@dataclass(frozen=True)
class Picture:
    """One picture with its title and what a reader should know."""

    title: str
    svg: str
    caption: str


def svg(figure: Figure, name: str) -> str:
    """SVG without an XML header, the same for the same picture."""
    content = io.StringIO()
    with matplotlib.rc_context(STYLE | {"svg.hashsalt": name}):
        figure.savefig(content, format="svg", metadata={"Date": None})
    text = content.getvalue()
    return (
        text[text.index("<svg") :]
        .replace('id="', f'id="{name}-')
        .replace("url(#", f"url(#{name}-")
        .replace('href="#', f'href="#{name}-')
    )
