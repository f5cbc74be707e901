"""What every layer cost on a board: executed instructions and modelled cycles where it is emulated,
measured ones on silicon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from bench import footprint
from bench.cycles import modelling
from bench.cycles.chips import Chip
from bench.cycles.counting import Counts
from bench.cycles.on_board import Counted
from bench.profile.attribution import attribute, split
from compress.errors import TendonError
from export.boards import Description
from export.c import emit
from host import tap
from host.link import Link
from host.protocol import WATCH_TICKS

START_UP = "start-up: the count of steps, states cleared"
LEAVING = "model_step after its last call"
CYCLES_ARE = {
    "cycles": (
        "measured: the core's own cycle counter, read before and after every layer, some 20 cycles"
        " of reading included"
    ),
    "instructions": "not known: this board counts executed instructions",
}
INTERRUPTS = "interrupts: samples arriving on the line"


@dataclass(frozen=True)
class Part:
    """Over all steps. `executed` and `split` (by class) are None where cycles are measured,
    `cycles` where none are modelled.

    `waits`: modelled cycles by what the core does in them: issue `instructions`, or wait for
    something.
    """

    executed: int | None
    split: dict[str, int] | None
    cycles: float | None
    waits: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Measured:
    """A run of `steps` steps: operators in order, what belongs to none of them, and what fell into
    a step from outside.

    `counted`: everything that was counted, which is the sum of all. `counts` and `cycles_are` as in
    schema.Report. `words`: the int16 answers (steps, outputs). `compiler`: as the board says it,
    flags included.
    """

    steps: int
    operators: list[Part]
    others: dict[str, Part]
    outside: dict[str, Part]
    counted: int
    counts: str
    cycles_are: str
    clock_hz: int
    words: npt.NDArray[np.int16]
    compiler: str


def emulated(
    run: Counted, model: emit.Model, image: Path, board: Description, chip: Chip | None
) -> Measured:
    """From the counts of an emulated run, one segment per kernel call; `chip`: whose cycles are
    modelled."""
    handlers = footprint.functions_of(image, ("application", "port"))
    found = attribute(run.code, run.counts, model, handlers)

    def part(counts: Sequence[Counts]) -> Part:
        classes = split(run.code, counts)
        waits: Counter[str] = Counter()
        if chip is not None:
            for segment in counts:
                waits.update(modelling.model(run.code, segment, chip).parts)
        return Part(
            sum(classes.values()),
            dict(classes),
            float(sum(waits.values())) if chip else None,
            dict(waits),
        )

    others = {START_UP: part(found.start_up), LEAVING: part(found.leaving)}
    method = (
        "not known: no chip whose cycles are modelled holds this image; the executed instructions"
        " are exact"
    )
    if chip is not None:
        method = modelling.model(run.code, run.counts, chip).method
    return Measured(
        run.counts.steps,
        [part(counts) for counts in found.operators],
        {name: other for name, other in others.items() if other.executed},
        {INTERRUPTS: part(found.interrupts)},
        run.counts.instructions,
        "instructions",
        method,
        chip.clock_hz if chip else board.clock_hz,
        run.words,
        run.hello.compiler,
    )


def on_board(link: Link, samples: npt.NDArray[np.int16]) -> Measured:
    """From the counter of a board whose image has a tap, read before and after every operator;
    `link` after its handshake.

    Time between operators belongs to the tap and is not counted. Errors: NoTapError, and those of
    Link.
    """
    hello = link.hello
    assert hello is not None, "handshake() comes first"
    if hello.counts not in CYCLES_ARE:
        raise TendonError(
            f"{hello.board}: expected a board that counts cycles or instructions, this one counts"
            f" {hello.counts}"
        )
    steps = list(tap.walk(link, samples, WATCH_TICKS))
    ticks = hello.in_counts(np.array([step.ticks for step in steps], np.uint32)).sum(0)
    counted = [int(t) for t in ticks]
    measures_cycles = hello.counts == "cycles"
    parts = [
        Part(None, None, float(n)) if measures_cycles else Part(n, None, None) for n in counted
    ]
    words = np.array([step.outputs for step in steps]).reshape(-1, hello.outputs)
    return Measured(
        len(steps),
        parts,
        {},
        {},
        sum(counted),
        hello.counts,
        CYCLES_ARE[hello.counts],
        hello.clock_hz,
        words,
        hello.compiler,
    )
