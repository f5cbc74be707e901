"""Which seconds are streamed, and streaming them through a board: resumed when it is lost, with the
text in the progress bar."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from bench.hil.schema import Reset, Window
from compress import evaluate, tasks
from compress import graph as g
from compress.data.datasets import Dataset
from compress.files import sha256
from compress.report.progress import Bar
from compress.tasks.recorded import Recorded
from compress.tasks.stretches import least_samples
from host.boards import Board
from host.decode import StreamDecoder
from host.engines import run_of
from host.faults import Told
from host.protocol import Hello, Status
from host.resume import snapshots, to_end
from host.run import Run

log = logging.getLogger(__name__)

Array = npt.NDArray[np.generic]
SHOWN = 36  # characters of text beside the progress bar


@dataclass
class Streamed:
    """What came back per stretch, int16 words (frames, outputs) and counter values (frames,), and
    what the board says."""

    hello: Hello
    line: str
    words: list[npt.NDArray[np.int16]] = field(default_factory=list)
    counts: list[npt.NDArray[np.uint64]] = field(default_factory=list)
    runs: list[Run] = field(default_factory=list)
    resets: list[Reset] = field(default_factory=list)
    fault_before: str = ""
    status: Status | None = None

    @property
    def frames(self) -> int:
        return sum(len(w) for w in self.words)


def stretches(graph: g.Graph, dataset: Dataset, seconds: float) -> list[Recorded]:
    """Held-out recordings in order, from the beginning of each, until they give `seconds` (rounded
    up to whole steps) or end; of one with gaps each stretch between them."""
    found: list[Recorded] = []
    rate = float(graph.input.rate)
    # a stretch behind the first one is long enough for an output, so there may be some more seconds
    left = math.ceil(round(seconds * rate) / graph.samples_per_step)
    for path in dataset.heldout:
        if left <= 0:
            break
        samples = left * graph.samples_per_step
        seconds = max(samples, least_samples(graph) if found else 0) / rate
        parts = evaluate.read(graph, path, seconds, dataset.scored)
        found += parts
        left -= sum(len(part.samples) for part in parts) // graph.samples_per_step
    return found


def window(graph: g.Graph, part: Recorded) -> Window:
    """What was streamed of a recording."""
    return {
        "recording": part.path.name,
        "sha256": sha256(part.path),
        "start_s": part.begin_s,
        "stop_s": part.begin_s + part.seconds,
        "amount": 0 if part.target is None else tasks.of(graph).amount([part])[0],
    }


def stream(open_again: Callable[[], Board], graph: g.Graph, parts: list[Recorded]) -> Streamed:
    """All stretches through one board, each from the zero state. `open_again` connects, also after
    the board was lost."""
    board = open_again()
    try:
        streamed = Streamed(board.link.handshake(), board.line.name)
        told = board.link.told(streamed.hello)
        streamed.fault_before = told.text if told and streamed.hello.past.exception else ""
        total = sum(len(p.samples) for p in parts) // graph.samples_per_step * graph.chunk
        with Bar(
            total=total,
            desc=f"streaming to {board.name}",
            unit="frame",
            dynamic_ncols=True,
            mininterval=0.5,
        ) as bar:
            for part in parts:
                run = run_of(graph, part.signal, snapshots(total))
                board = _finish(graph, board, open_again, run, bar, streamed.resets)
                streamed.runs.append(run)
                streamed.words.append(run.outputs)
                streamed.counts.append(streamed.hello.in_counts(run.ticks))
        streamed.status = board.link.status()
        return streamed
    finally:
        board.close()


def _reset(frames: int, told: Told | None) -> Reset:
    told = told or Told("unknown", "the board was lost and does not say why")
    return {
        "frames": frames,
        "cause": told.cause,
        "text": told.text,
        "function": told.function,
        "file": told.file,
        "line": told.line,
        "pc": told.pc,
    }


def _finish(
    graph: g.Graph,
    board: Board,
    open_again: Callable[[], Board],
    run: Run,
    bar: Bar,
    resets: list[Reset],
) -> Board:
    """Run to its end; on the loss of the board connect again, note why, and resume. Returns the
    board it ended on."""
    text = tasks.of(graph).text
    decoder = None if text is None else StreamDecoder(text.alphabet)

    def show(index: int, outputs: npt.NDArray[np.int16], ticks: int) -> None:
        if decoder is not None and decoder.push(outputs):
            bar.set_postfix_str(decoder.text[-SHOWN:], refresh=False)
        bar.update()

    def note(frames: int, told: Told | None) -> None:
        resets.append(_reset(frames, told))

    return to_end(run, board, open_again, show, log.warning, note)
