"""A decoder that is fed with its own outputs: frames joined with those before, LSTM cells, and the
integration of a pose.

Cells and sums need more than 16 bits. A cell is float32, as many bits as the graph's; a pose is its
int16 word and what is left below one step of it, again int16: both are whole numbers of steps after
every frame, so nothing drifts.
"""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.errors import GraphError
from compress.interpreter.float import ACTIVATIONS
from compress.ops.tables import fit_table
from compress.quantization.quantize import GATE_SCALE, TANH_SCALE
from export.tflite.lowering import Q15, Lowering, Pose
from export.tflite.model import OP, Value


def join(b: Lowering, op: g.IntDelayedConcat) -> None:
    parts = [b.values[op.inputs[0]]]
    for name, width in zip(op.previous, op.widths, strict=True):
        maker = next(o for o in b.graph.ops if o.output == name)
        parts.append(
            _pose(b, maker).word
            if isinstance(maker, g.IntIntegrate)
            else _previous(b, maker, width)
        )
    b.values[op.output] = b.join(parts, op.module, axis=3)


def _previous(b: Lowering, maker: g.Op, width: int) -> Value:
    """The frame before of what this operator makes."""
    name = maker.output
    if name not in b.before:
        shape, scale = (1, 1, 1, width), b.scale(name)
        b.before[name] = b.start.recurrent(
            f"{maker.module}.previous", shape, scale, lambda: b.before[name]
        )
    return b.before[name]


# --- LSTM -----------------------------------------------------------------------------------------


def lstm_cell(b: Lowering, op: g.IntLstmCell) -> None:
    """c = σ(f)·c + σ(i)·tanh(g) in float32, y = σ(o)·tanh(c) of 16-bit words, as the integers round
    them."""
    for table, kind, scale in ((op.sigmoid, "sigmoid", GATE_SCALE), (op.tanh, "tanh", TANH_SCALE)):
        if not np.array_equal(
            table,
            fit_table(ACTIVATIONS[kind], scale, Q15, 0 if kind == "sigmoid" else -32767, 32767),
        ):
            raise GraphError(
                f"{op.module}: an IntLstmCell whose table is not the {kind} has no TFLite form"
            )
    gates, values = (b.values[f"{op.inputs[0]}.{part}"] for part in ("gates", "value"))
    rows = zip(
        b.split(gates, f"{op.module}.gates"), b.split(values, f"{op.module}.value"), strict=True
    )
    b.values[op.output] = b.join([_hidden(b, op, *row) for row in rows], op.module)


def _hidden(b: Lowering, op: g.IntLstmCell, gates: Value, value: Value) -> Value:
    """The hidden state of one frame."""
    module, shape = op.module, value.shape
    into, forget, out = b.split(
        b.sigmoid(gates, f"{module}.open"), f"{module}.open", axis=3, parts=3
    )

    def real(name: str) -> Value:
        return b.step.tensor(f"{module}.{name}", shape, np.float32)

    if op.output not in b.cells:
        b.cells[op.output] = b.start.recurrent(
            f"{module}.cell", shape, 0.0, lambda: b.cells[op.output]
        )
    kept = b.multiply(b.real(forget, f"{module}.forget"), b.cells[op.output], real("kept"))
    new = b.real(b.sigmoid(value, f"{module}.new", OP.TANH), f"{module}.new")
    taken = b.multiply(b.real(into, f"{module}.into"), new, real("taken"))
    cell = b.cells[op.output] = b.add(kept, taken, real("newest"))
    shown = b.convert(
        OP.QUANTIZE, cell, b.step.tensor(f"{module}.shown", shape, np.int16, TANH_SCALE)
    )
    return b.multiply(out, b.sigmoid(shown, f"{module}.tanh", OP.TANH), b.result(op))


# --- integration ----------------------------------------------------------------------------------


def integrate(b: Lowering, op: g.IntIntegrate) -> None:
    pose, source = _pose(b, op), op.inputs[0]
    parts = [f"{source}.velocity", f"{source}.position"] if op.position_steps else [source]
    frames = zip(*(b.split(b.values[part], part) for part in parts), strict=True)
    words = []
    for t, (velocity, *position) in enumerate(frames):
        early = (
            _early(b, op, t if b.frame is None else b.frame, velocity.shape[3])
            if position
            else None
        )
        _advance(b, op, pose, velocity, (position[0], early) if early else None)
        words.append(pose.word)
    b.values[op.output] = b.join(words, op.module)


def _pose(b: Lowering, op: g.IntIntegrate) -> Pose:
    """Before a step: what the step before left, the initial pose until the stream has started."""
    if op.output not in b.poses:
        joints, scale, module = b.graph.tensors[op.output].features, b.scale(op.output), op.module
        shape = (1, 1, 1, joints)

        def part(name: str) -> Value:
            return b.step.tensor(f"{module}.{name}", shape, np.int16, scale)

        initial = b.initial_pose(f"{module}.initial", shape, scale)
        rest = b.start.recurrent(
            f"{module}.rest", shape, scale / 2**op.fraction, lambda: b.poses[op.output].rest
        )
        state = b.file.read_state(f"{module}.word", shape, scale)
        b.carried.append((state, lambda: b.poses[op.output].word))
        kept = b.multiply(state.value, b.start.begun(joints), part("kept"))
        begin = b.multiply(initial, b.start.fresh(joints), part("begin"))
        b.poses[op.output] = Pose(b.add(kept, begin, part("before")), rest)
    return b.poses[op.output]


def _like(b: Lowering, x: Value, name: str) -> Value:
    return b.step.tensor(name, x.shape, x.dtype, x.scale)


def _early(b: Lowering, op: g.IntIntegrate, frame: int, joints: int) -> Value | None:
    """1 where this frame of a step gives the pose itself, else 0, float32; None where it never
    does."""
    steps = -(-(op.position_steps - frame) // b.graph.chunk)  # of a stream, in which it does
    if steps <= 0:
        return None
    return b.real(b.start.mask(-1, b.graph.start_up_steps + steps, joints), f"{op.module}.early")


def _advance(
    b: Lowering, op: g.IntIntegrate, pose: Pose, velocity: Value, chosen: tuple[Value, Value] | None
) -> None:
    """One frame. Float32 holds these sums of steps so closely that rounding them gives the whole
    numbers they are."""
    module, shape, scale = op.module, velocity.shape, b.scale(op.output)

    def real(name: str) -> Value:
        return b.step.tensor(f"{module}.{name}", shape, np.float32)

    def everywhere(value: float) -> Value:
        return b.step.constant(f"{module}.constant", np.full(shape, value, np.float32))

    total = b.add(
        b.real(pose.rest, f"{module}.rest"), b.real(velocity, f"{module}.velocity"), real("total")
    )
    words = b.multiply(total, everywhere(1 / scale), real("words"))
    whole = real("whole")
    b.step.op(OP.FLOOR, [b.add(words, everywhere(0.5), real("rounded"))], [whole])
    step = b.multiply(whole, everywhere(scale), real("step"))
    left = b.subtract(total, step, real("left"))
    moved = b.add(b.real(pose.word, f"{module}.before"), step, real("moved"))
    if chosen:
        position, early = b.real(chosen[0], f"{module}.position"), chosen[1]
        way = b.multiply(early, b.subtract(position, moved, real("way")), real("jump"))
        moved = b.add(moved, way, real("chosen"))
        left = b.multiply(left, b.subtract(everywhere(1.0), early, real("late")), real("kept"))
    pose.word = b.convert(OP.QUANTIZE, moved, b.step.tensor(op.output, shape, np.int16, scale))
    pose.rest = b.convert(OP.QUANTIZE, left, _like(b, pose.rest, f"{module}.rest"))
