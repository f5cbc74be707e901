"""What a network takes of a recording with gaps: its segments one by one, each a stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compress.data.clock import Segment, cut
from compress.errors import RecordingError
from compress.graph import Graph
from compress.report.said import once


def least_samples(graph: Graph) -> int:
    """Samples that a stream of this network takes before its first output that means something."""
    least = (graph.start_up // graph.chunk + 1) * graph.samples_per_step
    return max(least, graph.left_context + 1) if graph.provenance.get("initial_pose") else least


def taken(
    graph: Graph,
    segments: Sequence[Segment],
    seconds: float | None,
    one: bool,
    whole: bool = True,
) -> list[Segment]:
    """Whole steps of each segment, of the first `seconds` of all of them together; only the longest
    segment, and its first `seconds`, for `one`. A segment too short for one output is left out, and
    that is said; RecordingError where all are. Not `whole`: all of each, however short."""
    step, rate, least = graph.samples_per_step, float(graph.input.rate), least_samples(graph)
    longest = max(segments, key=len)
    samples = None if seconds is None else round(seconds * rate)
    found = cut([longest] if one else segments, samples)
    if not whole:
        return found
    usable = [s for s in found if len(s) >= least]
    if not usable:
        raise RecordingError(too_short(graph, longest.path, max(map(len, found), default=0)))
    if one and len(segments) > 1:
        once(
            f"{longest.path}: of {len(segments)} parts the longest is taken,"
            f" {len(longest) / rate:.3f} s from sample {longest.start} on"
        )
    if len(usable) < len(found):
        left = sum(len(s) for s in found if len(s) < least)
        once(
            f"{longest.path}: {len(found) - len(usable)} parts are shorter than the {least} samples"
            f" that a stream needs: left out, {left / rate:.3f} s in all"
        )
    return [s.first(len(s) // step * step) for s in usable]


def too_short(graph: Graph, path: Path, found: int) -> str:
    """Why a signal of so many samples is refused."""
    least, rate = least_samples(graph), float(graph.input.rate)
    return (
        f"{path}: expected at least the {least} samples ({least / rate:g} s) that {graph.name}"
        f" takes for its first output, found {found}; give a longer signal"
    )
