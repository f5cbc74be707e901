"""How late a stream's frames are because of what the network waits for: samples that it looks
ahead, and the start-up before its first frame. Computing comes on top."""

from __future__ import annotations

from typing import Any

from compress.graph.graph import Graph


def of(graph: Graph) -> dict[str, Any] | None:
    """Look-ahead in samples, start-up in output frames, both also in ms; None of a network that
    says nothing of a look-ahead."""
    if "lookahead" not in graph.provenance:
        return None
    ahead = int(graph.provenance["lookahead"])
    return {
        "lookahead": ahead,
        "lookahead_ms": 1000.0 * ahead / float(graph.input.rate),
        "start_up": graph.start_up,
        "start_up_ms": 1000.0 * graph.start_up / float(graph.output.rate),
    }


def text(found: dict[str, Any]) -> str:
    """One line about it."""
    ahead = f"look-ahead {_counted(found['lookahead'], 'sample')} = {found['lookahead_ms']:.1f} ms"
    start_up = f"start-up {_counted(found['start_up'], 'frame')} = {found['start_up_ms']:.1f} ms"
    return f"{ahead}, by which outputs come later; {start_up}"


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"
