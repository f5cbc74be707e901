"""What a network takes of a recording with gaps: its segments one by one, each a stream."""

from __future__ import annotations

from collections.abc import Sequence

from compress.data.clock import Segment, cut
from compress.graph import Graph
from compress.report.said import once


def taken(
    graph: Graph, segments: Sequence[Segment], seconds: float | None, one: bool
) -> list[Segment]:
    """Whole steps of each segment, of the first `seconds` of all of them together; only the longest
    segment, and its first `seconds`, for `one`. What is shorter than a step, or than what comes
    before a first pose, is left out, and that is said; one segment is left whatever its length."""
    step, rate = graph.samples_per_step, float(graph.input.rate)
    longest = max(segments, key=len)
    samples = None if seconds is None else round(seconds * rate)
    found = cut([longest] if one else segments, samples)
    least = max(step, graph.left_context + 1) if graph.provenance.get("initial_pose") else step
    whole = [s.first(len(s) // step * step) for s in found]
    usable = [s for s in whole if len(s) >= least]
    if one and len(segments) > 1:
        once(
            f"{longest.path}: of {len(segments)} parts the longest is taken,"
            f" {len(longest) / rate:.3f} s from sample {longest.start} on"
        )
    if usable and len(usable) < len(whole):
        left = sum(len(s) for s in found if len(s) // step * step < least)
        once(
            f"{longest.path}: {len(whole) - len(usable)} parts are shorter than the {least} samples"
            f" that a stream needs: left out, {left / rate:.3f} s in all"
        )
    return usable or whole[:1]
