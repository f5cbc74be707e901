"""Streams over a line that does harm, over boards that are reset: every word that the host accepts
is compared."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from bench.faults.lines import HarmfulLine
from compress.report.progress import Bar
from host.boards import ProcessBoard
from host.conversation import Timing
from host.errors import BoardLostError, LinkError
from host.link import Link
from host.run import Run

Words = npt.NDArray[np.int16]
QUICK = Timing(answer_s=0.005, silence_s=20.0, boot_s=20.0)
RESUMED = 50  # times that one stream is resumed at most


@dataclass(frozen=True)
class Subject:
    """What is tried: a board, several streams for it and what it must answer to each."""

    start: Callable[[], ProcessBoard]
    streams: list[tuple[Words, Words]]  # samples (steps · samples, inputs), words (frames, outputs)
    model_hash: str


@dataclass
class Tally:
    """What the host accepted. `wrong`: output frames that are not those of its stream; the others
    of `ended` are streams by how they ended."""

    accepted: int = 0
    wrong: int = 0
    resumed: int = 0
    ended: Counter[str] = field(default_factory=Counter)
    said: Counter[str] = field(default_factory=Counter)

    def as_dict(self) -> dict[str, Any]:
        return {
            "accepted": self.accepted,
            "wrong": self.wrong,
            "resumed": self.resumed,
            "ended": dict(self.ended),
            "said": dict(self.said),
        }


def frames(subject: Subject, count: int, seed: int = 0) -> dict[str, Any]:
    """Until so many frames were damaged, both ways together."""
    line, tally, turn = HarmfulLine(subject.start, seed), Tally(), 0
    try:
        with Bar(total=count, unit="frame", desc="damaging frames") as bar:
            while line.broken < count:
                _stream(subject, line, turn, tally, lambda frame: None)
                turn += 1
                bar.update(min(line.broken, count) - bar.n)
    finally:
        line.close()
    return {"damaged": line.broken, "faults": line.done, "streams": turn} | tally.as_dict()


def resets(subject: Subject, count: int, seed: int = 0) -> dict[str, Any]:
    """Until the board was reset so often, in turn unseen and unplugged, in the middle of a stream;
    frames of before come again after it, both ways."""
    line, tally, turn = HarmfulLine(subject.start, seed), Tally(), 0
    rng, made = random.Random(seed), Counter[str]()
    try:
        with Bar(total=count, unit="reset", desc="resetting") as bar:
            while made.total() < count:
                at = rng.randrange(len(subject.streams[0][1]))

                def act(frame: int, at: int = at) -> None:
                    if frame == at and made.total() < count:
                        unseen = made.total() % 2 == 0
                        made["unseen" if unseen else "unplugged"] += 1
                        (line.reset if unseen else line.unplug)()
                        bar.update()

                _stream(subject, line, turn, tally, act)
                turn += 1
    finally:
        line.close()
    return {"resets": dict(made), "faults": line.done, "streams": turn} | tally.as_dict()


def _stream(
    subject: Subject, line: HarmfulLine, turn: int, tally: Tally, act: Callable[[int], None]
) -> None:
    """One stream to its end, resumed as often as it takes; the next one is another's samples."""
    samples, words = subject.streams[turn % len(subject.streams)]

    def accept(frame: int, outputs: Words, ticks: int) -> None:
        tally.accepted += 1
        tally.wrong += not np.array_equal(outputs, words[frame])
        act(frame)

    run, go = Run(samples, snapshot_every=4 if turn % 2 else 0), Run.start
    for _ in range(RESUMED):
        link = Link(line, subject.model_hash, QUICK)
        try:
            link.handshake()
            go(run, link, accept)
            tally.ended["whole"] += 1
            return
        except BoardLostError as error:
            tally.said[_case(str(error))] += 1
            tally.resumed += 1
        except LinkError as error:  # said, and nothing was accepted that is not so
            tally.said[_case(str(error))] += 1
        go = Run.resume
    tally.ended["given up"] += 1


def _case(message: str) -> str:
    """What an error says, without its figures."""
    text = message.partition(": ")[2].partition(". ")[0].partition("\n")[0]
    return text.partition(": ")[0][:60]
