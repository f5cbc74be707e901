"""Stretches of a step that are computed piece by piece, so that what convolutions see of a whole
window never lies there at once.

A stretch begins with an operator that sees a whole window (`Entry.begins_pieces`) and goes on while
each operator alone reads what the one before makes, frame for frame or group for group. Its input
and its output are held whole, what lies between them one piece of the window at a time. The values
are the same: which frames go together decides nothing that is computed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from compress import graph as g
from export.c.ops import entry_of

PIECE_BYTES = (
    64 * 1024
)  # of the largest tensor between; more pieces are more calls, fewer are more memory


@dataclass(frozen=True)
class Stretch:
    """Operators `ops` of a graph, computed `pieces` times one after the other, each time over as
    many frames."""

    graph: g.Graph
    ops: range
    pieces: int

    @property
    def input(self) -> str:
        """The tensor that all pieces read."""
        return self.graph.ops[self.ops.start].inputs[0]

    @property
    def output(self) -> str:
        """The tensor that the pieces put together."""
        return self.graph.ops[self.ops.stop - 1].output

    @property
    def between(self) -> list[str]:
        """The tensors of which one piece is held at a time."""
        return [self.graph.ops[index].output for index in self.ops[:-1]]


def stretches(graph: g.Graph) -> list[Stretch]:
    """All stretches of an integer graph that are worth more than one piece, in the order of
    execution."""
    found = (
        _stretch(graph, index) for index, op in enumerate(graph.ops) if entry_of(op).begins_pieces
    )
    return [stretch for stretch in found if stretch.pieces > 1]


def frames_at_once(graph: g.Graph, op: g.Op) -> int:
    """Output frames of an operator that one call computes: one in a loop, those of a piece in a
    stretch, else those of a step."""
    index = graph.maker[op.output]
    pieces = next((s.pieces for s in stretches(graph) if index in s.ops), 1)
    return graph.frames_at_once(op) // pieces


def held_frames(graph: g.Graph) -> dict[str, int]:
    """Frames of every tensor that are held at a time."""
    pieces = {name: stretch.pieces for stretch in stretches(graph) for name in stretch.between}
    return {name: graph.frames_per_step(name) // pieces.get(name, 1) for name in graph.tensors}


def _stretch(graph: g.Graph, start: int) -> Stretch:
    """The longest that begins here, in as few pieces as keep to PIECE_BYTES, or in as many as its
    frames can be divided into."""
    end = start + 1
    while end < len(graph.ops) and entry_of(graph.ops[end]).by_frame and _alone(graph, end):
        end += 1
    whole = Stretch(graph, range(start, end), 1)
    frames = math.gcd(
        *(graph.frames_per_step(name) for name in (whole.input, *whole.between, whole.output))
    )
    largest = max(
        (2 * graph.frames_per_step(n) * graph.tensors[n].features for n in whole.between), default=0
    )
    fitting = (n for n in range(1, frames + 1) if frames % n == 0 and largest <= n * PIECE_BYTES)
    return Stretch(graph, whole.ops, next(fitting, frames) if largest else 1)


def _alone(graph: g.Graph, index: int) -> bool:
    """Whether this operator reads what the one before makes, and nobody else does."""
    made = graph.ops[index - 1].output
    return [i for i, op in enumerate(graph.ops) if made in op.inputs] == [index]
