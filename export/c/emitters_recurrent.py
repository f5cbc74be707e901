"""Operators with recurrent state as kernel calls, and what of a frame is kept for the next."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compress import graph as g
from export.c import names, pack
from export.c.step import Model


def state_space(model: Model, index: int, op: g.IntStateSpace) -> None:
    channels, states = op.shape
    coefficients, channel = pack.pack_s4d(op.a, op.c, op.g, op.d, op.mult)
    layer = model.describe(
        "s4d",
        index,
        coefficients=model.table_of(index, "coefficients", coefficients),
        channel=model.table_of(index, "channel", channel),
        channels=channels,
        states=states,
        frames=model.shape(op.output)[0],
        shift=op.shift,
        **model.limits(op),
    )
    model.call(index, layer, model.kept(op, "uint32_t", channels * states), *model.through(op))


def lstm_cell(model: Model, index: int, op: g.IntLstmCell) -> None:
    frames, features = model.shape(op.output)
    sigmoid = model.table("sigmoid", op.sigmoid.astype(np.int16))
    tanh = model.table("tanh", op.tanh.astype(np.int16))
    layer = model.describe(
        "lstm_cell", index, sigmoid=sigmoid, tanh=tanh, mult=op.mult, n=features, frames=frames
    )
    model.call(index, layer, model.kept(op, "int32_t", features), *model.through(op))


def gru_cell(model: Model, index: int, op: g.IntGruCell) -> None:
    frames, features = model.shape(op.output)
    sigmoid = model.table("sigmoid", op.sigmoid.astype(np.int16))
    tanh = model.table("tanh", op.tanh.astype(np.int16))
    layer = model.describe(
        "gru_cell",
        index,
        sigmoid=sigmoid,
        tanh=tanh,
        reset_mult=op.reset_mult,
        mult=op.mult,
        n=features,
        frames=frames,
    )
    places = (model.at(name) for name in (*op.inputs, op.output))
    model.call(index, layer, model.kept(op, "int32_t", features), *places)


def integrate(model: Model, index: int, op: g.IntIntegrate) -> None:
    layer = _sum(model, index, op)
    model.call(index, layer, *_standing(model, op), *model.through(op))


def integral(
    model: Model, index: int, op: g.IntIntegrate, y: str
) -> tuple[str, tuple[object, ...]]:
    """Kernel and arguments that write to `y` where the sum stands before the next frame."""
    return "nn_integral_s16", (_sum(model, index, op), *_standing(model, op), y)


def _sum(model: Model, index: int, op: g.IntIntegrate) -> str:
    frames, features = model.shape(op.output)
    return model.describe(
        "integrate",
        index,
        n=features,
        frames=frames,
        positions=op.position_steps,
        fraction=op.fraction,
    )


def integrate_kernels(graph: g.Graph, op: g.IntIntegrate, family: str) -> tuple[str, ...]:
    """What it calls; where its sum is read a frame later, that is a call too."""
    read = any(op.output in other.previous_names for other in graph.ops)
    return ("nn_integrate_s16", *(["nn_integral_s16"] if read else []))


def _standing(model: Model, op: g.IntIntegrate) -> tuple[str, str]:
    """Where it keeps what it began with, and its sum with the count of positions behind it."""
    plan, features = model.plan, model.graph.target(op).features
    initial = names.short_names([op.initial])[0]
    begin = model.keep(plan.initial_offsets[op.initial], "int16_t", features, f"{initial}_initial")
    return begin, model.kept(op, "int32_t", features + 1)


# --- loops ----------------------------------------------------------------------------------------


def delayed_concat(model: Model, index: int, op: g.IntDelayedConcat) -> None:
    """The frame, then of each tensor it names what is recalled: a frame that was kept, or what its
    maker says."""
    at = model.graph.source(op).features
    model.call(index, *model.through(op), at, last=not op.previous)
    for name, width, place in _named(model, op):
        made, last = model.graph.maker[name], name == op.previous[-1]
        maker, y = model.graph.ops[made], model.at(op.output, at)
        recall = model.entry(maker).recall
        if recall is None:
            model.call(index, _frame_before(model, name, width, place), y, width, last=last)
        else:
            kernel, arguments = recall(model, made, maker, y)
            model.call(index, *arguments, last=last, kernel=kernel)
        at += width


def keep(model: Model, made: int, loop: range) -> None:
    """Keep the frame that an operator has just made for every operator of its loop that names it,
    unless it can say later what is recalled of it."""
    maker = model.graph.ops[made]
    if model.entry(maker).recall is not None:
        return
    for index in loop:
        for name, width, place in _named(model, model.graph.ops[index]):
            if name == maker.output:
                before = _frame_before(model, name, width, place)
                model.call(index, model.at(name), before, width, last=False)


def _frame_before(model: Model, name: str, width: int, place: int) -> str:
    """Where the frame before of a tensor is kept."""
    return model.keep(place, "int16_t", width, f"{model.names[name]}_before")


def _named(model: Model, op: g.Op) -> Iterator[tuple[str, int, int]]:
    """Name, features and place in the state (bytes) of all whose frame before an operator reads."""
    if op.previous_names:
        place = model.plan.state_offsets[op.output]
        for name in op.previous_names:
            width = model.graph.tensors[name].features
            yield name, width, place
            place += (2 * width + 3) // 4 * 4
