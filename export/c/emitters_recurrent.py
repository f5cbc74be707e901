"""Operators with recurrent state as kernel calls, and what of a frame is kept for the next."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from compress import graph as g
from export.c import pack
from export.c.step import Model, halves_at, sums_at, words_at


def state_space(model: Model, index: int, op: g.IntStateSpace) -> None:
    channels, states = op.shape
    coefficients, channel = pack.pack_s4d(op.a, op.c, op.g, op.d, op.mult)
    first = model.table(f"op{index}_coefficients", coefficients)
    second = model.table(f"op{index}_channel", channel)
    model.describe(
        f"static const nn_s4d op{index} = {{.coefficients = {first}, .channel = {second}, .channels"
        f" = {channels}, .states = {states}, .frames = {model.shape(op.output)[0]}, .shift ="
        f" {op.shift}, {model.clamp(op)}}};"
    )
    state = words_at(model.plan.state_offsets[op.output])
    model.call(index, f"&op{index}, {state}, {model.through(op)}")


def lstm_cell(model: Model, index: int, op: g.IntLstmCell) -> None:
    frames, features = model.shape(op.output)
    sigmoid = model.table("sigmoid_table", op.sigmoid.astype(np.int16))
    tanh = model.table("tanh_table", op.tanh.astype(np.int16))
    model.describe(
        f"static const nn_lstm_cell op{index} = {{.sigmoid = {sigmoid}, .tanh = {tanh}, .mult ="
        f" {op.mult}, .n = {features}, .frames = {frames}}};"
    )
    cell = sums_at(model.plan.state_offsets[op.output])
    model.call(index, f"&op{index}, {cell}, {model.through(op)}")


def gru_cell(model: Model, index: int, op: g.IntGruCell) -> None:
    frames, features = model.shape(op.output)
    sigmoid = model.table("sigmoid_table", op.sigmoid.astype(np.int16))
    tanh = model.table("tanh_table", op.tanh.astype(np.int16))
    model.describe(
        f"static const nn_gru_cell op{index} = {{.sigmoid = {sigmoid}, .tanh = {tanh}, .reset_mult"
        f" = {op.reset_mult}, .mult = {op.mult}, .n = {features}, .frames = {frames}}};"
    )
    hidden = sums_at(model.plan.state_offsets[op.output])
    places = ", ".join(model.at(name) for name in (*op.inputs, op.output))
    model.call(index, f"&op{index}, {hidden}, {places}")


def integrate(model: Model, index: int, op: g.IntIntegrate) -> None:
    frames, features = model.shape(op.output)
    model.describe(
        f"static const nn_integrate op{index} = {{.n = {features}, .frames = {frames}, "
        f".positions = {op.position_steps}, .fraction = {op.fraction}}};"
    )
    model.call(index, f"&op{index}, {_standing(model, op)}, {model.through(op)}")


def integral(model: Model, index: int, op: g.IntIntegrate, y: str) -> tuple[str, str]:
    """Kernel and arguments that write to `y` where the sum stands before the next frame."""
    return "nn_integral_s16", f"&op{index}, {_standing(model, op)}, {y}"


def integrate_kernels(graph: g.Graph, op: g.IntIntegrate, family: str) -> tuple[str, ...]:
    """What it calls; where its sum is read a frame later, that is a call too."""
    read = any(op.output in other.previous_names for other in graph.ops)
    return ("nn_integrate_s16", *(["nn_integral_s16"] if read else []))


def _standing(model: Model, op: g.IntIntegrate) -> str:
    """Where it keeps what it began with, and its sum."""
    plan = model.plan
    return (
        f"{halves_at(plan.initial_offsets[op.initial])}, {sums_at(plan.state_offsets[op.output])}"
    )


# --- loops ----------------------------------------------------------------------------------------


def delayed_concat(model: Model, index: int, op: g.IntDelayedConcat) -> None:
    """The frame, then of each tensor it names what is recalled: a frame that was kept, or what its
    maker says."""
    at = model.graph.source(op).features
    model.call(index, f"{model.through(op)}, {at}", last=not op.previous)
    for name, width, place in _named(model, op):
        made, last = model.graph.maker[name], name == op.previous[-1]
        maker, y = model.graph.ops[made], model.at(op.output, at)
        recall = model.entry(maker).recall
        if recall is None:
            model.call(index, f"{halves_at(place)}, {y}, {width}", last)
        else:
            kernel, arguments = recall(model, made, maker, y)
            model.call(index, arguments, last, kernel)
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
                arguments = f"{model.at(name)}, {halves_at(place)}, {width}"
                model.call(index, arguments, last=False)


def _named(model: Model, op: g.Op) -> Iterator[tuple[str, int, int]]:
    """Name, features and place in the state (bytes) of all whose frame before an operator reads."""
    if op.previous_names:
        place = model.plan.state_offsets[op.output]
        for name in op.previous_names:
            width = model.graph.tensors[name].features
            yield name, width, place
            place += (2 * width + 3) // 4 * 4
