"""From what came back to the figures of the report: the same seconds through every engine,
compared, scored and timed."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.cycles.modelling import Modelled
from bench.hil import schema
from bench.hil.schema import Latency, Line, Metric, Spread, Text
from bench.hil.streaming import Streamed, window
from compress import evaluate
from compress.data.datasets import Dataset
from compress.graph import Graph
from compress.graph.kept import scaled
from compress.graph.samples import pieces, to_int16
from compress.interpreter.integer import IntegerInterpreter
from compress.tasks import distances, groups
from compress.tasks.recorded import Recorded
from compress.tasks.text import Text as Reading
from export.boards import Description
from host.engines import Artifacts

REFERENCE_FRAMES = 25
Frames = npt.NDArray[np.generic]


@dataclass(frozen=True)
class Engines:
    """Output frames of each recording: real values, the reference's int16 words, and the
    reference's ms per frame."""

    real: list[Frames]
    words: list[npt.NDArray[np.int16]]
    reference_ms: float
    scale: float
    period_ms: float  # of output frames


def other_engines(made: Artifacts, parts: list[Recorded]) -> Engines:
    """Float graph and integer reference over the streamed seconds, each recording from its
    beginning."""
    signals = [part.signal for part in parts]
    return Engines(
        evaluate.float_frames(made.real, signals),
        evaluate.integer_words(made.integer, signals),
        reference_ms(made, parts[0]),
        float(made.integer.output.scale or 1.0),
        1000.0 / float(made.integer.output.rate),
    )


def reference_ms(made: Artifacts, part: Recorded) -> float:
    """Median wall-clock milliseconds of the Python reference on this machine for one output frame,
    streamed."""
    machine, step = IntegerInterpreter(made.integer), made.integer.samples_per_step
    first = np.asarray(part.samples[: REFERENCE_FRAMES * step])
    samples, times = to_int16(made.integer, first), []
    for start in range(0, len(samples) // step * step, step):
        begin = time.perf_counter()
        machine.run(samples[None, start : start + step])
        times.append(time.perf_counter() - begin)
    return 1000.0 * float(np.median(times)) / made.integer.chunk


def run_report(
    graph: Graph,
    board: Description,
    dataset: Dataset,
    seconds: float,
    parts: list[Recorded],
    back: Streamed,
    other: Engines,
) -> dict[str, Any]:
    """Everything that came out of the run itself, but the latency."""
    hello, task = back.hello, evaluate.judge(graph, parts)
    on_board = [scaled(w, other.scale) for w in back.words]
    amount, amount_is = task.amount(parts)
    compiler, _, flags = hello.compiler.partition("; ")
    return {
        "version": schema.VERSION,
        "board": board.name,
        "board_title": board.title,
        "board_status": board.status,
        "emulated": hello.counts == "instructions",
        "graph_on_board": hello.model_hash,
        "compiler": compiler,
        "flags": flags,
        "generator": hello.generator,
        "recordings": [window(graph, p) for p in parts],
        "seconds": sum(p.seconds for p in parts),
        "seconds_requested": seconds,
        "frames": back.frames,
        "frames_expected": sum(len(w) for w in other.words),
        "outputs": other.words[0].shape[1],
        "task": task.name,
        "amount": amount,
        "amount_is": amount_is,
        "metric": metric(graph, parts, other, on_board),
        **users(graph, dataset, parts, other, on_board),
        "details": task.details(graph, on_board, parts),
        "line": line(board, parts, back),
        "resets": back.resets,
        "fault_before": back.fault_before,
        "external_memory": hello.memory,
        "stack": _stack(back),
        "arena_used": 0 if back.status is None else back.status.arena_used,
        "text": [] if task.text is None else transcripts(task.text, parts, other, on_board),
    }


def against_integers(other: Engines, back: Streamed) -> dict[str, float]:
    """How near the board's words are to the integer reference, whatever it must equal: arg-max
    agreement, SQNR (200: equal)."""
    frames = [min(len(a), len(b)) for a, b in zip(other.words, back.words, strict=True)]
    a, b = (
        [w[:n] for w, n in zip(words, frames, strict=True)] for words in (other.words, back.words)
    )
    return {"agreement": distances.agreement(a, b), "sqnr_db": distances.sqnr_of(a, b)}


def comparison(expected: Sequence[Frames], found: Sequence[Frames]) -> dict[str, Any]:
    """Words compared, how many differ, where the first one does; bit-exact only when every expected
    word came and is equal."""
    words, mismatches, first, missing = 0, 0, None, 0
    for part, (a, b) in enumerate(zip(expected, found, strict=True)):
        frames = min(len(a), len(b))
        missing += abs(len(a) - len(b))
        words, begin = words + frames * a.shape[1], 0
        for x, y in zip(pieces(a[:frames]), pieces(b[:frames]), strict=True):
            places = np.argwhere(x != y)
            mismatches += len(places)
            if len(places) and first is None:
                frame, element = (int(i) for i in places[0])
                first = (
                    f"recording {part}, frame {begin + frame}, word {element}: expected"
                    f" {x[frame, element]}, found {y[frame, element]}"
                )
            begin += len(x)
    return {
        "words": words,
        "mismatches": mismatches,
        "first_mismatch": first,
        "bit_exact": not mismatches and not missing,
    }


def metric(
    graph: Graph, parts: list[Recorded], other: Engines, on_board: Sequence[Frames]
) -> Metric:
    """The task's error of each engine over the same seconds; None when there is nothing in them to
    get right."""
    task = evaluate.judge(graph, parts)
    engines = _every_engine(other, on_board)
    errors = {name: task.error(graph, frames, parts) for name, frames in engines.items()}
    low, high = (None, None) if errors["board"] is None else task.interval(graph, on_board, parts)
    return {"name": task.metric, "unit": task.unit, **errors, "low": low, "high": high}  # type: ignore[typeddict-item]


def users(
    graph: Graph,
    dataset: Dataset,
    parts: list[Recorded],
    other: Engines,
    on_board: Sequence[Frames],
) -> dict[str, Any]:
    """The same errors of each user whose seconds were streamed, and over users."""
    task, engines = evaluate.judge(graph, parts), _every_engine(other, on_board)
    return groups.users(groups.scores(task, graph, engines, parts, dataset.user_of))


def _every_engine(other: Engines, on_board: Sequence[Frames]) -> dict[str, Sequence[Frames]]:
    quantized = [scaled(w, other.scale) for w in other.words]
    return {"float": other.real, "quantized": quantized, "board": on_board}


def transcripts(
    reading: Reading, parts: list[Recorded], other: Engines, on_board: Sequence[Frames]
) -> list[Text]:
    """The text of each recording and what each engine read."""
    return [
        {
            "recording": part.name,
            "target": reading.of(part.target),
            "float": reading.read(real),
            "quantized": reading.read(words),
            "board": reading.read(board),
        }
        for part, real, words, board in zip(parts, other.real, other.words, on_board, strict=True)
    ]


def latency(back: Streamed, other: Engines, modelled: Modelled | None) -> Latency:
    """Spread over all frames, of the step that computed each: in what the board counts, and in ms
    where a clock gives those."""
    hello, counted = back.hello, np.concatenate(back.counts).astype(np.float64)
    found: Latency = {
        "counts": hello.counts,
        "instructions": None,
        "cycles": None,
        "ms": None,
        "ms_is": "not known: this board counts nothing",
        "least_ms": None,
        "most_ms": None,
        "deadline_ms": hello.frames_per_step * other.period_ms,
        "frames_per_step": hello.frames_per_step,
        "added_ms": (hello.frames_per_step - 1) * other.period_ms,
        "reference_ms": other.reference_ms,
        "per_frame": [int(n) for n in counted] if hello.counts != "nothing" else [],
    }
    if hello.counts == "instructions":
        found["instructions"] = spread(counted)
        found["ms_is"] = (
            "not known: no chip whose cycles are modelled holds this image; the executed"
            " instructions are exact"
        )
        if modelled is not None:
            per_ms = modelled.clock_hz / 1000.0
            found["cycles"] = spread(modelled.of(1.0) * counted)
            found["ms"] = spread(modelled.of(1.0) * counted / per_ms)
            found["ms_is"] = modelled.method
            found["least_ms"], found["most_ms"] = (
                float(np.median(counted)) * bound / modelled.instructions / per_ms
                for bound in (modelled.least, modelled.most)
            )
    elif hello.counts == "cycles":
        found["cycles"], found["ms"] = spread(counted), spread(1000.0 * counted / hello.clock_hz)
        found["ms_is"] = "measured: the core's own cycle counter"
    return found


def spread(values: npt.NDArray[np.float64]) -> Spread:
    """Median, 99th percentile and maximum."""
    p50, p99 = (float(v) for v in np.percentile(values, [50, 99]))
    return {"p50": p50, "p99": p99, "max": float(values.max())}


def real_time_factor(found: Latency) -> float | None:
    """Seconds of signal per second of computing, at the median."""
    return None if found["ms"] is None else found["deadline_ms"] / found["ms"]["p50"]


def line(board: Description, parts: list[Recorded], back: Streamed) -> Line:
    """Bytes and seconds of the transfer, apart from computing, and how fast this line is against
    the signal."""
    assert back.status is not None
    traffic = [r.traffic for r in back.runs]
    signal, seconds, sent = (
        sum(p.seconds for p in parts),
        sum(t.seconds for t in traffic),
        sum(t.bytes_sent for t in traffic),
    )
    at_baud = board.baud / schema.LINE_BITS * signal / sent if board.baud and sent else None
    return {
        "kind": back.line,
        "baud": board.baud,
        "bytes_sent": sent,
        "bytes_received": sum(t.bytes_received for t in traffic),
        "sample_bytes": sum(t.sample_bytes for t in traffic),
        "seconds": seconds,
        "frames_repeated": sum(t.frames_repeated for t in traffic),
        "polls": sum(t.polls for t in traffic),
        "resumed": sum(r.resumed for r in back.runs),
        "overruns": back.status.overruns,
        "bytes_dropped": back.status.bytes_dropped,
        "real_time_factor": signal / seconds,
        "at_baud_real_time_factor": at_baud,
    }


def _stack(back: Streamed) -> schema.Stack | None:
    status = back.status
    if status is None or not status.stack_used:
        return None
    return {"used": status.stack_used, "size": status.stack_bytes}
