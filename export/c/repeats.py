"""Where a pass calls the same over and over, frame after frame of a loop or piece after piece of a
stretch: such calls become a loop in C.

Written out, they would be long to read and to store; and a compiler keeps the addresses that they
share in its frame, the more of them the longer the pass, so that nobody could say its stack.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby

from export.c.step import Call, Model

WRITTEN_OUT = 32  # calls of a pass that repeat: these are as good to read, and nothing is counted
_PLACE = re.compile(r"(.*?)(?: \+ (\d+))?")


@dataclass(frozen=True)
class Loop:
    """Calls that are made `turns` times; their arguments name `variable`. `behind`: of them those
    whose output a tap is handed when the loop is done."""

    variable: str
    turns: int
    calls: tuple[Call, ...]
    behind: tuple[Call, ...]


def folded(model: Model) -> Iterator[Call | Loop]:
    """All calls of a step in order, those that repeat as loops."""
    units = [tuple(unit) for _, unit in groupby(_numbered(model.calls), lambda found: found[0])]
    turns = [tuple(call for _, call in unit) for unit in units]
    at, runs = 0, list[tuple[tuple[Call, ...], ...]]()
    while at < len(turns):
        count = _repeated(turns, at)
        runs.append(tuple(turns[at : at + count]))
        at += count
    many = sum(len(run) * len(run[0]) for run in runs if len(run) > 1) > WRITTEN_OUT
    for run in runs:
        loop = _loop(run) if many and len(run) > 1 else None
        if loop:
            yield loop
        else:
            yield from (call for turn in run for call in turn)


def written(model: Model) -> list[Call]:
    """All calls as they stand in the C, those of a loop once."""
    return [
        call
        for part in folded(model)
        for call in (part.calls if isinstance(part, Loop) else (part,))
    ]


def _numbered(calls: Sequence[Call]) -> Iterator[tuple[int, Call]]:
    """Each call with the number of the turn that it is in: a frame, a piece, or itself alone."""
    number, before = 0, (-1, -1)
    for call in calls:
        number += call.turn is None or call.turn != before
        before = call.turn or before
        yield number, call


def _repeated(turns: Sequence[tuple[Call, ...]], at: int) -> int:
    """How many turns from here on call the same, at places that go on by the same steps."""
    first, end = _shape(turns[at]), at + 1
    while end < len(turns) and _shape(turns[end]) == first and _goes_on(turns, at, end):
        end += 1
    return end - at


def _shape(turn: Sequence[Call]) -> list[tuple[object, ...]]:
    """What does not change from turn to turn."""
    return [
        (c.operator, c.kernel, c.says, *(_place(word)[0] for word in c.arguments)) for c in turn
    ]


def _goes_on(turns: Sequence[tuple[Call, ...]], at: int, end: int) -> bool:
    steps = _steps(turns[at], turns[at + 1])
    return min(steps, default=0) >= 0 and _steps(turns[end - 1], turns[end]) == steps


def _steps(turn: Sequence[Call], following: Sequence[Call]) -> list[int]:
    """How far the places in a turn's arguments are from those of the turn before."""
    places = (
        pair
        for a, b in zip(turn, following, strict=True)
        for pair in zip(a.arguments, b.arguments, strict=True)
    )
    return [_place(b)[1] - _place(a)[1] for a, b in places]


def _place(word: str) -> tuple[str, int]:
    """An argument as a base and values from there on."""
    found = _PLACE.fullmatch(word)
    assert found
    return found[1], int(found[2] or 0)


def _loop(turns: Sequence[tuple[Call, ...]]) -> Loop | None:
    """The turns as one; None where their taps are neither of every turn nor of the last alone."""
    first, last = turns[0], turns[-1]
    variable = "piece" if all(call.tap for call in first[-1:]) else "frame"
    calls, behind = [], []
    for j, call in enumerate(first):
        arguments = _moving(call.arguments, turns[1][j].arguments, variable)
        taps = [turn[j].tap for turn in turns]
        tap = None
        if taps[0] and taps[1] and all(taps):
            (buffer, count), (following, _) = taps[0], taps[1]
            tap = _moving([buffer], [following], variable)[0], count
        elif any(taps[:-1]):
            return None
        elif taps[-1]:
            behind.append(last[j])
        calls.append(replace(call, arguments=arguments, tap=tap))
    return Loop(variable, len(turns), tuple(calls), tuple(behind))


def _moving(words: Sequence[str], following: Sequence[str], variable: str) -> tuple[str, ...]:
    """Arguments of any turn, from those of the first two."""
    found = []
    for word, then in zip(words, following, strict=True):
        step = _place(then)[1] - _place(word)[1]
        times = f"{step} * {variable}" if step > 1 else variable
        found.append(f"{word} + {times}" if step else word)
    return tuple(found)
