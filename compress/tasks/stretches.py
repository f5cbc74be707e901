"""What a network takes of a recording with gaps: its segments one by one, each a stream."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from compress.data.clock import Segment
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
    """Whole steps of each segment, until all of them together are the first `seconds`; of the
    longest segment alone for `one`. Each is long enough for one output, so the last may go on
    behind the `seconds`. A segment too short for one is left out, and that is said; RecordingError
    where all are. Not `whole`: all of each, however short."""
    step = graph.samples_per_step if whole else 1
    least = -(-least_samples(graph) // step) * step if whole else 1
    longest, rate = max(segments, key=len), float(graph.input.rate)
    left = asked = sum(map(len, segments)) if seconds is None else round(seconds * rate)
    found: list[Segment] = []
    short: list[Segment] = []
    for segment in [longest] if one else segments:
        if left < step:
            break
        wanted = max(left, least) if found else left
        part = segment.first(min(wanted, len(segment)) // step * step)
        if len(part) >= least:
            found.append(part)
            left -= len(part)
        elif len(segment) < least:
            short.append(segment)
    if not found and whole:
        raise RecordingError(too_short(graph, longest.path, min(asked, len(longest))))
    _say(longest, len(segments) if one else 1, short, least, rate)
    return found


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


def too_short(graph: Graph, path: Path, found: int) -> str:
    """Why a signal of so many samples is refused."""
    least, rate = least_samples(graph), float(graph.input.rate)
    return (
        f"{path}: expected at least the {least} samples ({least / rate:g} s) that {graph.name}"
        f" takes for its first output, found {found}; give a longer signal"
    )
