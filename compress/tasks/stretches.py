"""What a network takes of a recording with gaps: its segments one by one, each a stream."""

from __future__ import annotations

from collections.abc import Sequence

from compress.data.clock import Segment
from compress.graph import Graph
from compress.report.said import once


def taken(
    graph: Graph, segments: Sequence[Segment], seconds: float | None, one: bool
) -> list[Segment]:
    """Whole steps of each segment, until all of them together are the first `seconds`; of the
    longest segment alone for `one`. What is shorter than a step, or than what comes before a first
    pose, is left out, and that is said; where nothing else is there, the longest is left."""
    step, rate, found, short = graph.samples_per_step, float(graph.input.rate), [], []
    least = max(step, graph.left_context + 1) if graph.provenance.get("initial_pose") else step
    longest = max(segments, key=len)
    left = sum(map(len, segments)) if seconds is None else round(seconds * rate)
    for segment in [longest] if one else segments:
        whole = segment.first(min(left, len(segment)) // step * step)
        if len(whole) >= least:
            found.append(whole)
            left -= len(whole)
        elif len(segment) < least:
            short.append(segment)
    _say(longest, len(segments) if one else 1, short if found else [], least, rate)
    return found or [longest.first(min(left, len(longest)) // step * step)]


def _say(longest: Segment, of: int, short: Sequence[Segment], least: int, rate: float) -> None:
    if of > 1:
        once(
            f"{longest.path}: of {of} parts the longest is taken, {len(longest) / rate:.3f} s from"
            f" sample {longest.start} on"
        )
    if short:
        parts = "1 part is" if len(short) == 1 else f"{len(short)} parts are"
        once(
            f"{longest.path}: {parts} shorter than the {least} samples that a stream needs: left"
            f" out, {sum(map(len, short)) / rate:.3f} s in all"
        )
