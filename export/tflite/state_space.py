"""The diagonal state space: batched products of 16 × 16 bits, frame after frame.

Weights and biases of a graph are written as they are; the coefficients of a state space alone are
quantized a second time, from 16 bits per channel to 16 bits per tensor.
"""

from __future__ import annotations

import numpy as np

from compress import graph as g
from export.tflite.builder import Q15
from export.tflite.lowering import Lowering
from export.tflite.model import Array, Value

LEAST = 2.0**-60  # scale of coefficients that are all zero


def state_space(b: Lowering, op: g.IntStateSpace) -> None:
    """Frame after frame: X' = A·X + G·u by two batched products and a sum, y = C·X' by one over all
    states of a channel."""
    u, y = b.value(op.inputs[0]), b.result(op)
    channels, states = op.a.shape[:2]
    a, gains, c, c_scale, gain_scale = coefficients(op)
    width = 2 * states
    constants = (
        b.step.constant(f"{op.module}.a", a.reshape(1, channels * states, 2, 2), Q15),
        b.step.constant(
            f"{op.module}.gain", gains.reshape(1, channels, width, 1), gain_scale * Q15 / u.scale
        ),
        b.step.constant(f"{op.module}.c", c.reshape(1, channels, 1, width), c_scale / Q15),
    )
    d = op.d * op.sum_scale / u.scale
    # of both terms of y: they may be large and cancel
    part = y.scale + float(np.abs(d).max()) * u.scale
    x, outputs = b.state(op, "state", (1, channels, 1, width), Q15), []
    for t, frame in enumerate(b.split(u, op.module)):
        x = _advance(
            b,
            x,
            b.reshape(frame, (1, channels, 1, 1), f"{op.module}.u{t}"),
            constants[0],
            constants[1],
            f"{op.module}.{t}",
        )
        sums = b.step.tensor(f"{op.module}.y{t}", (1, channels, 1, 1), np.int16, part)
        outputs.append(
            b.reshape(b.dot(x, constants[2], sums), (1, 1, 1, channels), f"{op.module}.row{t}")
        )
    b.keep(op, "state", x, settled=True)
    skip = b.step.tensor(f"{op.module}.skip", u.shape, np.int16, part)
    d_scale = max(float(np.abs(d).max()) / 32767, LEAST)
    d_every = np.broadcast_to(np.round(d / d_scale), u.shape).astype(np.int16)
    b.multiply(u, b.step.constant(f"{op.module}.d", d_every, d_scale), skip)
    b.add(b.join(outputs, op.module), skip, y, relu=b.relu(op))


def _advance(b: Lowering, x: Value, u: Value, a: Value, gain: Value, name: str) -> Value:
    """One frame of the recurrence; x (1, channels, 1, 2·states)."""
    pairs = (1, a.shape[1], 1, 2)
    turned = b.dot(
        b.reshape(x, pairs, f"{name}.pairs"),
        a,
        b.step.tensor(f"{name}.turned", pairs, np.int16, Q15),
    )
    driven = b.dot(u, gain, b.step.tensor(f"{name}.driven", x.shape, np.int16, Q15))
    return b.add(
        b.reshape(turned, x.shape, f"{name}.rows"),
        driven,
        b.step.tensor(f"{name}.state", x.shape, np.int16, Q15),
    )


def coefficients(op: g.IntStateSpace) -> tuple[Array, Array, Array, float, float]:
    """int16 constants of the state space, one scale per tensor: a (H, N, 2, 2), gain and c (H, N,
    2); then the scales of c, real per step of a state, and of gain.

    Gains of the input are rounded to steps of the largest one; what that changes in the size of a
    state, c takes back.
    """
    re, im = op.a[..., 0], op.a[..., 1]
    a = np.stack([np.stack([re, -im], -1), np.stack([im, re], -1)], -2).astype(np.int16)
    wanted = op.g / 32768.0
    gain_scale = float(wanted.max()) / 32767
    gain = np.maximum(np.floor(wanted / gain_scale + 1e-9), 1)
    larger = wanted / (gain * gain_scale)
    c = op.c * (op.sum_scale * larger)[:, None, None] * np.array([1.0, -1.0])
    c_scale = max(float(np.abs(c).max()) / 32767, LEAST)
    gains = np.stack([np.broadcast_to(gain[:, None], re.shape), np.zeros(re.shape)], -1)
    return a, gains.astype(np.int16), np.round(c / c_scale).astype(np.int16), c_scale, gain_scale
