"""Which layer executed what: the segments of a counted run, one per kernel call of the step, back
to the operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from bench.cycles.counting import Counts
from bench.cycles.instructions import Instruction, calls
from bench.profile.classes import classify
from compress.errors import TendonError
from export.c import emit
from export.c.repeats import written

Code = dict[int, Instruction]


@dataclass(frozen=True)
class Attribution:
    """Counts over all steps: per operator, of the end of a start-up, of what the step does after
    its last call, and of interrupts that fell into it. Together they are everything that was
    counted."""

    operators: list[list[Counts]]
    start_up: list[Counts]
    leaving: list[Counts]
    interrupts: list[Counts]


def attribute(
    code: Code, counts: Counts, model: emit.Model, interrupts: Collection[str]
) -> Attribution:
    """Segments to operators. `interrupts`: names of functions that belong to no layer, whichever
    call they interrupted.

    TendonError when the image does not call what the model's C calls, in that order.
    """
    _check_calls(code, model)
    parts = [_apart(code, segment, interrupts) for segment in counts.segments]
    segments, handlers = [part for part, _ in parts], [handler for _, handler in parts]
    of = [call.operator for call in written(model)]
    operators = [
        [segment for segment, owner in zip(segments, of, strict=False) if owner == i]
        for i in range(len(model.graph.ops))
    ]
    start_up = [segment for segment, owner in zip(segments, of, strict=False) if owner is None]
    return Attribution(operators, start_up, segments[len(of) :], handlers)


def _check_calls(code: Code, model: emit.Model) -> None:
    """The last call may be a jump: then it has no segment of its own and its instructions follow
    the last boundary."""
    expected = [call.kernel for call in written(model)]
    step = f"{model.identifier}_step"
    found = [call.callee for call in calls(code, step)]
    if found not in (expected, expected[:-1]):
        same = [a == b for a, b in zip(expected, found, strict=False)]
        first = same.index(False) if False in same else len(same)
        raise TendonError(
            f"{step} of the image: expected the {len(expected)} kernel calls of its C, found"
            f" {len(found)}, other from call {first} on; build the firmware again"
        )


def _apart(code: Code, segment: Counts, interrupts: Collection[str]) -> tuple[Counts, Counts]:
    """(the layer's own, what interrupted it). Misses and unaligned accesses stay with the layer."""
    handled = {address for address in segment.executed if code[address].function in interrupts}
    own, other = (
        {
            "executed": {a: n for a, n in segment.executed.items() if (a in handled) is inside},
            "jumps": {a: j for a, j in segment.jumps.items() if (a in handled) is inside},
        }
        for inside in (False, True)
    )
    return replace(segment, **own), Counts(segment.steps, **other)  # type: ignore[arg-type]


def split(code: Code, parts: Iterable[Counts]) -> Counter[str]:
    """Executed instructions by class (classes.py)."""
    found: Counter[str] = Counter()
    for part in parts:
        for address, count in part.executed.items():
            found[classify(code[address])] += count
    return found
