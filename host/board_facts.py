"""What points at why a board computes something else: the replay, the pattern of the values, the
place and the board itself."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from compress import graph as g
from compress.reading.words import counted
from export.boards import load_board
from host import protocol as p
from host.boards import Board

Words = npt.NDArray[np.int16]
FULL_STACK = 0.9  # of a stack's bytes used: the next interrupt may not fit


@dataclass(frozen=True)
class Place:
    """A step and the operators, by index, whose outputs differ in it; what the first of them put
    out, by CRC-32."""

    step: int
    operators: list[int]
    crc: int


def of_replay(place: Place, repeated: bool, differing: int) -> list[str]:
    if repeated:
        return []
    again = f"on replay operator {place.operators[0]}"
    if not differing:
        return [
            f"{again} was right in this step: no constant and no kernel does that. Look at the"
            " supply, the clock and the flash's wait states, and at interrupts that write where"
            " they should not"
        ]
    return [
        f"{again} was wrong in another way: it leaves a part of its output as it was (is it called,"
        " and for all elements?), or reads what nobody wrote"
    ]


def pattern(expected: Words, found: Words, before: Words) -> list[str]:
    """What the pattern of the values says; the first that applies."""
    wrong = found != expected
    columns, rows = np.flatnonzero(wrong.any(0)), np.flatnonzero(wrong.any(1))
    features = expected.shape[1]
    distance = np.abs(found.astype(int) - expected).max()
    if not len(rows):
        return []
    if not found.any():
        return ["every value is zero: the kernel wrote nothing, or its table is empty"]
    if np.array_equal(found, before):
        return [
            "the values are those of the step before: the kernel was not called, or works on"
            " another buffer"
        ]
    if len(columns) == 1:
        of = f"in {len(rows)} of {len(expected)} frames" if len(expected) > 1 else "in this frame"
        return [
            f"only element {columns[0]} differs, {of}: its row of weights, its bias, multiplier or"
            " state"
        ]
    if columns[-1] == features - 1 and columns[0] >= features // 2:
        return [
            f"only the last {features - columns[0]} of {features} elements differ: what a kernel"
            " does after its blocks"
        ]
    if distance == 1:
        return ["no value is off by more than 1: a rounding"]
    if not wrong.all() and len(rows) == 1 and len(expected) > 1:
        return [f"only frame {rows[0]} of the {len(expected)} of this step differs"]
    return []


def of_place(graph: g.Graph, place: Place) -> list[str]:
    """What is known of the operator's surroundings."""
    index = place.operators[0]
    op = graph.ops[index]
    makers = {other.output: f"{i} {other.module}" for i, other in enumerate(graph.ops)}
    sources = [makers.get(name, "the samples") for name in op.inputs]
    facts = [
        f"what it reads was right when it was put out ({', '.join(sources)}), and so was everything"
        " before"
    ]
    if place.step and _keeps(graph, op):
        facts.append(
            f"it keeps a state and was right for {counted(place.step, 'step')}: what is in the"
            " state, or who else writes there?"
        )
    elif not place.step:
        facts.append(
            "wrong in the first step already, from a zero state: not the state, but the call, its"
            " kernel or its tables"
        )
    others, after = len(place.operators) - 1, len(graph.ops) - index - 1
    if others:
        facts.append(
            f"{others} of the {after} operators after it differ in this step too, as they must"
        )
    return facts


def _keeps(graph: g.Graph, op: g.Op) -> bool:
    """Whether an operator has a state or a history."""
    features = graph.source(op).features
    return bool(op.kept_values(features) or op.state_values(features))


def of_board(board: Board) -> list[str]:
    """What the board says of itself."""
    hello, status = board.link.hello, board.link.status()
    assert hello is not None, "compare() began with the handshake"
    whole = hello.crc_covers == p.COVERS_IMAGE
    facts = [
        f"the {'code and tables' if whole else 'tables'} in its memory have the CRC-32 they were"
        f" {'built' if whole else 'exported'} with ({hello.crc_found:08x})"
    ]
    flags = load_board(board.name).flags
    if hello.board != board.name:
        facts.append(f"it says it is {hello.board}, not {board.name}")
    elif not all(flag in hello.compiler for flag in flags):
        facts.append(
            f"it was built with other flags ({hello.compiler}) than it is built with here"
            f" ({' '.join(flags)})"
        )
    if hello.stack_bytes and status.stack_used > FULL_STACK * hello.stack_bytes:
        used = f"{status.stack_used} of its {hello.stack_bytes} bytes of stack were used"
        facts.append(f"{used}: a stack that is full writes over something else")
    return facts
