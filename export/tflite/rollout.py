"""What is computed frame by frame: frames beside those before, LSTM cells, and integrals.

Cells and sums need more than 16 bits. A cell is float32, as many bits as the graph's; an integral
is its int16 word and what is left below one step of it, again int16: both are whole numbers of
steps after every frame, so nothing drifts.
"""

from __future__ import annotations

import numpy as np

from compress import graph as g
from export.tflite.lowering import Lowering
from export.tflite.model import OP, Value
from export.tflite.reals import in_q15


def delayed_concat(b: Lowering, op: g.IntDelayedConcat) -> None:
    parts = [b.value(op.inputs[0]), *(b.newest(name) for name in op.previous)]
    b.put(op.output, b.join(parts, op.module, axis=3))


# --- LSTM -----------------------------------------------------------------------------------------


def lstm_cell(b: Lowering, op: g.IntLstmCell) -> None:
    """c = σ(f)·c + σ(i)·tanh(g) in float32, y = σ(o)·tanh(c) of 16-bit words, as the integers round
    them."""
    source, n = op.inputs[0], b.graph.target(op).features
    into, forget, new, out = np.arange(4 * n).reshape(4, n)
    gates = b.split(b.pick(source, [*into, *forget, *out]), f"{op.module}.gates")
    values = b.split(b.pick(source, new), f"{op.module}.value")
    rows = [_hidden(b, op, *row) for row in zip(gates, values, strict=True)]
    b.put(op.output, b.join(rows, op.module))


def _hidden(b: Lowering, op: g.IntLstmCell, gates: Value, value: Value) -> Value:
    """The hidden state of one frame."""
    module, shape = op.module, value.shape
    opened = in_q15(b, gates, op.sigmoid, f"{module}.open")
    into, forget, out = b.split(opened, f"{module}.open", axis=3, parts=3)

    def real(name: str) -> Value:
        return b.step.tensor(f"{module}.{name}", shape, np.float32)

    before = b.state(op, "cell", shape, 0.0)
    kept = b.multiply(b.real(forget, f"{module}.forget"), before, real("kept"))
    new = b.real(in_q15(b, value, op.tanh, f"{module}.new"), f"{module}.new")
    taken = b.multiply(b.real(into, f"{module}.into"), new, real("taken"))
    cell = b.add(kept, taken, real("newest"))
    b.keep(op, "cell", cell)
    # one table serves the values and the cell, so the cell is seen in the steps of the values
    shown = b.step.tensor(f"{module}.shown", shape, np.int16, value.scale)
    b.convert(OP.QUANTIZE, cell, shown)
    return b.multiply(out, in_q15(b, shown, op.tanh, f"{module}.tanh"), b.result(op))


# --- GRU ------------------------------------------------------------------------------------------


def gru_cell(b: Lowering, op: g.IntGruCell) -> None:
    """new = tanh(a + σ(r)·b) of a 16-bit word, h = new + σ(z)·(h − new) in float32."""
    gates, value, share = (b.value(name) for name in op.inputs)
    opened = in_q15(b, gates, op.sigmoid, f"{op.module}.open")
    halves = b.split(opened, f"{op.module}.open", axis=3, parts=2)
    pieces = [
        b.split(v, f"{op.module}.{k}")
        for v, k in zip((*halves, value, share), ("reset", "keep", "value", "share"), strict=True)
    ]
    b.put(
        op.output,
        b.join([_gru_hidden(b, op, *row) for row in zip(*pieces, strict=True)], op.module),
    )


def _gru_hidden(
    b: Lowering, op: g.IntGruCell, reset: Value, keep: Value, value: Value, share: Value
) -> Value:
    """The hidden state of one frame."""
    module, shape = op.module, value.shape

    def real(name: str) -> Value:
        return b.step.tensor(f"{module}.{name}", shape, np.float32)

    reset, share = b.real(reset, f"{module}.reset"), b.real(share, f"{module}.share")
    less = b.multiply(reset, share, real("less"))
    total = b.add(b.real(value, f"{module}.value"), less, real("total"))
    seen = b.step.tensor(f"{module}.seen", shape, np.int16, value.scale)
    b.convert(OP.QUANTIZE, total, seen)
    new = b.real(in_q15(b, seen, op.tanh, f"{module}.new"), f"{module}.new")
    before = b.state(op, "hidden", shape, 0.0)
    way = b.multiply(
        b.real(keep, f"{module}.keep"), b.subtract(before, new, real("way")), real("kept")
    )
    hidden = b.add(new, way, real("hidden"))
    b.keep(op, "hidden", hidden)
    return b.convert(OP.QUANTIZE, hidden, b.result(op))


# --- integrals ------------------------------------------------------------------------------------


def integrate(b: Lowering, op: g.IntIntegrate) -> None:
    source, n = b.graph.source(op), b.graph.target(op).features
    every = np.arange(source.features)
    increments = b.split(b.pick(source.name, every[-n:]), f"{source.name}.increment")
    positions: list[Value] = []
    if op.position_steps:
        positions = b.split(b.pick(source.name, every[:n]), f"{source.name}.position")
    words = []
    for t, increment in enumerate(increments):
        early = _early(b, op, t if b.frame is None else b.frame, n) if positions else None
        _advance(b, op, increment, (positions[t], early) if early else None)
        words.append(b.newest(op.output))
    b.put(op.output, b.join(words, op.module))


def _early(b: Lowering, op: g.IntIntegrate, frame: int, width: int) -> Value | None:
    """1 where this frame of a step gives the position itself, else 0, float32; None where it never
    does."""
    # of a stream, in which it does
    steps = -(-(op.position_steps - frame) // b.graph.frames_per_step(op.output))
    if steps <= 0:
        return None
    begin = b.graph.begins[op.output]
    return b.real(b.start.before(begin + steps, width), f"{op.module}.early")


def _advance(
    b: Lowering, op: g.IntIntegrate, increment: Value, chosen: tuple[Value, Value] | None
) -> None:
    """One frame. Float32 holds these sums of steps so closely that rounding them gives the whole
    numbers they are. `chosen`: the position, and where it is taken."""
    module, shape, scale = op.module, increment.shape, b.graph.target(op).scale
    word, rest = b.newest(op.output), b.state(op, "rest", shape, increment.scale)

    def real(name: str) -> Value:
        return b.step.tensor(f"{module}.{name}", shape, np.float32)

    def everywhere(value: float) -> Value:
        return b.step.constant(f"{module}.constant", np.full(shape, value, np.float32))

    total = b.add(
        b.real(rest, f"{module}.rest"), b.real(increment, f"{module}.increment"), real("total")
    )
    words = b.multiply(total, everywhere(1 / scale), real("words"))
    whole = real("whole")
    b.step.op(OP.FLOOR, [b.add(words, everywhere(0.5), real("rounded"))], [whole])
    step = b.multiply(whole, everywhere(scale), real("step"))
    left = b.subtract(total, step, real("left"))
    moved = b.add(b.real(word, f"{module}.before"), step, real("moved"))
    if chosen:
        position, early = b.real(chosen[0], f"{module}.position"), chosen[1]
        way = b.multiply(early, b.subtract(position, moved, real("way")), real("jump"))
        moved = b.add(moved, way, real("chosen"))
        left = b.multiply(left, b.subtract(everywhere(1.0), early, real("late")), real("kept"))
    b.advance(
        op.output,
        b.convert(OP.QUANTIZE, moved, b.step.tensor(op.output, shape, np.int16, scale)),
    )
    newest = b.step.tensor(f"{module}.rest", shape, np.int16, rest.scale)
    b.keep(op, "rest", b.convert(OP.QUANTIZE, left, newest))
