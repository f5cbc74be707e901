"""Windows of a stream, and frames moved within one."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from compress import graph as g
from export.tflite.linear import looked_into
from export.tflite.lowering import Lowering, Window
from export.tflite.model import Array, Value
from export.tflite.reals import moved


def sliding(b: Lowering, op: g.IntSlidingWindow) -> None:
    x = b.value(op.inputs[0])
    seen = b.with_past(op, op.history)
    first = op.history + x.shape[1] - op.frames
    b.put(op.output, b.slice(seen, first, first + op.frames, 1, op.output))


def reframe(b: Lowering, op: g.IntReframe) -> None:
    b.put(op.output, b.reshape(b.value(op.inputs[0]), b.frames(op.output), op.output))


def unfold(b: Lowering, op: g.IntWindowUnfold) -> None:
    """A convolution looks into the frames itself, anything else gets them side by side."""
    x, places = b.value(op.inputs[0]), op.places()
    plain = op.dilation == 1 and op.step and not op.edge
    looked = Window(x, (op.kernel, 1), (1, op.bands), op.step, op.bands)
    if op.kernel == 1 and _even(places[:, 0]):
        begin, end = int(places[0, 0]), int(places[-1, 0]) + 1
        b.put(op.output, b.slice(x, begin, end, max(op.step, 1), op.output))
    elif plain and looked_into(b, op.output, looked):
        b.windows[op.output] = replace(looked, x=_framed(b, op, x))
    else:
        b.put(op.output, _side_by_side(b, op, x))


def _even(places: Array) -> bool:
    """Frames of the window itself, each later than the one before."""
    return bool((places >= 0).all() and (np.diff(places) > 0).all())


def _framed(b: Lowering, op: g.IntWindowUnfold, x: Value) -> Value:
    """The frames from the first that is seen to the last, with zeros around the window."""
    end = (op.outputs - 1) * op.step + op.kernel - op.before
    within = b.slice(x, max(0, -op.before), min(op.frames, end), 1, f"{op.module}.within")

    def zeros(count: int) -> list[Value]:
        shape = (1, count, 1, x.shape[3])
        return [b.zeros(shape, x.scale)] if count > 0 else []

    return b.join([*zeros(op.before), within, *zeros(end - op.frames)], f"{op.module}.framed")


def _side_by_side(b: Lowering, op: g.IntWindowUnfold, x: Value) -> Value:
    """Parts of frames, gathered: of each band those of all frames together."""
    width = x.shape[3] // op.bands
    parts = b.reshape(x, (1, op.frames * op.bands, 1, width), f"{op.module}.parts")
    known = b.join([parts, b.zeros((1, 1, 1, width), x.scale)], f"{op.module}.known")
    place = np.where(op.places() < 0, op.frames, op.places())[:, None]
    index = place * op.bands + np.arange(op.bands)[None, :, None]
    index = np.minimum(index, op.frames * op.bands).reshape(-1)
    return b.reshape(moved(b, known, index, 1, op.output), b.frames(op.output), op.output)
