"""States of any content, as the bytes of C and as what the integer interpreter keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from compress import graph as g
from compress.interpreter.integer import IntegerInterpreter
from export.c import memory

WORDS = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0x7FFF7FFF, 0x80008000)  # that sums trip over


@dataclass(frozen=True)
class Frames:
    """int16 frames of a tensor that an operator keeps: from byte `at` of the state on, `values` of
    them. `role`: "kept", "state", "initial", or "before" of a frame that a loop reads again."""

    op: g.Op
    role: str
    tensor: g.Tensor
    at: int
    values: int

    def ends(self) -> tuple[g.Array, g.Array]:
        """The lowest and the highest that each value may be."""
        parts = self.tensor.segments
        low = np.concatenate([np.full(part.features, part.lo) for part in parts])
        high = np.concatenate([np.full(part.features, part.hi) for part in parts])
        frames = self.values // self.tensor.features
        return np.tile(low, frames), np.tile(high, frames)


def any_state(graph: g.Graph, rng: np.random.Generator, *, held: bool, begun: bool) -> bytes:
    """Random words, or one word everywhere. `held`: frames are within the range of their tensor;
    `begun`: so are the counts of steps any words, else they are zero."""
    plan = memory.plan(graph)
    state = np.frombuffer(rng.bytes(plan.state_bytes), "<u4").copy()
    if rng.integers(2):
        state[:] = rng.choice(WORDS)
    for group in plan.groups:
        if group.counter is not None and not begun:
            state[group.counter // 4] = 0
    halves = state.view("<i2")
    for frames in _frames(graph) if held else ():
        part = slice(frames.at // 2, frames.at // 2 + frames.values)
        halves[part] = np.clip(halves[part], *frames.ends())
    return state.tobytes()


def begin_from(machine: IntegerInterpreter, state: bytes) -> None:
    """Go on where a state says. Its counts of steps are all zero, or all beyond their begin."""
    plan = memory.plan(machine.graph)
    words = np.frombuffer(state, "<i4").astype(np.int64)
    machine.reset()
    for op in machine.graph.ops:
        _recur(machine, op, words[plan.state_offsets.get(op.output, 0) // 4 :])
    halves = np.frombuffer(state, "<i2").astype(np.int64)
    for frames in _frames(machine.graph):
        _keep(machine, frames, halves[frames.at // 2 : frames.at // 2 + frames.values])
    for group in plan.groups:
        if group.counter is not None:
            machine.steps = max(machine.steps, min(words[group.counter // 4] % 2**32, group.begin))


def _recur(machine: IntegerInterpreter, op: g.Op, words: g.Array) -> None:
    """Recurrent state that is no frame of a tensor; `words`: from its place on."""
    known = machine.memories[op.output]
    n = known.target.features
    if isinstance(op, g.IntIntegrate):
        known.state |= {"total": words[None, :n], "frames": words[n : n + 1] % 2**32}
    elif isinstance(op, g.IntLstmCell):
        known.state["cell"] = words[None, :n]
    elif isinstance(op, g.IntGruCell):
        known.state["hidden"] = words[None, :n]
    elif isinstance(op, g.IntStateSpace):
        both = words[: op.a.size // 2].astype("<i4").view("<i2").astype(np.int64)
        known.state["x"] = both.reshape(1, *op.a.shape)


def _frames(graph: g.Graph) -> Iterator[Frames]:
    """All frames that a state keeps."""
    plan = memory.plan(graph)
    for op in graph.ops:
        source, place = graph.source(op), plan.state_offsets.get(op.output, 0)
        if isinstance(op, g.IntIntegrate):
            given = graph.initial[op.initial]
            yield Frames(op, "initial", given, plan.initial_offsets[op.initial], given.features)
        elif isinstance(op, g.IntDelayedConcat):
            yield from _read_again(graph, op, place)
        elif isinstance(op, g.IntUnfold1d) and op.recurrent:
            yield Frames(op, "state", source, place, op.state_values(source.features))
        elif op.output in plan.kept_offsets:
            values = op.kept_values(source.features)
            yield Frames(op, "kept", source, plan.kept_offsets[op.output], values)


def _read_again(graph: g.Graph, op: g.Op, place: int) -> Iterator[Frames]:
    """Frames of tensors that are made later; an integration says its own."""
    for name in op.previous_names:
        tensor = graph.tensors[name]
        if not isinstance(graph.ops[graph.maker[name]], g.IntIntegrate):
            yield Frames(op, "before", tensor, place, tensor.features)
        place += (2 * tensor.features + 3) // 4 * 4


def _keep(machine: IntegerInterpreter, frames: Frames, values: g.Array) -> None:
    known = machine.memories[frames.op.output]
    past = values.reshape(1, -1, frames.tensor.features)
    if frames.role == "initial":
        known.initial = {**known.initial, frames.tensor.name: past[:, 0]}
    elif frames.role == "before":
        machine.before[frames.tensor.name] = past
    else:
        (known.kept if frames.role == "kept" else known.state)["past"] = past
