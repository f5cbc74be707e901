"""Small networks that between them call every kernel of firmware/nn, one of them without a table,
a state or an arena."""

from __future__ import annotations

import functools

import numpy as np

from compress import graph as g
from compress.frontend.builder import Builder
from compress.quantization.calibrate import observe
from compress.quantization.quantize import quantize
from tests.export import own
from tests.export.loops import RATE, finished, gru, lstm, matrix, signal_of

FRAMES = 8


def recurrent(seed: int = 0) -> g.Graph:
    """Loops of a stream at two rates: cells, a state space, gates, sums with an initial value."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    matrix(b, "project", 16, rng)
    b.add(g.Activation, "tanh", kind="tanh")
    own.unfold(b, "conv.taps", 3, 2)
    matrix(b, "conv", 16, rng)
    own.normed(b, "norm", g.LayerNorm, rng)
    matrix(b, "gates", 16, rng)
    b.add(g.Glu, "gate")
    lstm(b, "lstm", 6, rng)
    b.add(g.Interpolate, "finer", factor=2)
    gru(b, "gru", 6, rng)
    b.add(g.MaxPool, "pool", factor=2)
    shape = (b.features, 3)
    radius, turn = rng.uniform(0.5, 0.95, shape), rng.uniform(0, np.pi, shape)
    c = rng.standard_normal((*shape, 2)).view(np.complex128)[..., 0] * 0.2
    b.add(
        g.StateSpace, "states", a=radius * np.exp(1j * turn), c=c, d=rng.standard_normal(shape[0])
    )
    b.add(g.DelayedConcat, "join", previous=("place",), widths=(3,))
    matrix(b, "steps", 6, rng)
    b.add(g.Integrate, "place", position_steps=5, initial="origin")
    matrix(b, "turns", 2, rng)
    b.add(g.Integrate, "angle", initial="heading")
    return finished(b, origin=3, heading=2)


def joined(seed: int = 0) -> g.Graph:
    """What puts branches together, and log-probabilities."""
    rng, b = np.random.default_rng(seed), Builder(6, RATE)
    matrix(b, "wide", 24, rng)
    wide = b.here
    own.unfold(b, "filters.taps", 4, 1, padding=3)
    b.add(g.Depthwise, "filters", weight=rng.standard_normal((24, 4)), bias=np.zeros(24))
    b.add(g.Multiply, "product", wide)
    b.add(g.Subtract, "difference", wide)
    difference = b.here
    b.add(g.Gather, "order", index=np.array([3, 1, 1, 7, 0, 2, 5], np.int32))
    b.add(g.Clamp, "limits", lo=0.3, hi=1.0)
    b.add(g.Concat, "join", difference, sizes=(7, 24))
    own.normed(b, "norm", g.RmsNorm, rng)
    matrix(b, "out", 9, rng)
    b.add(g.LogSoftmax, "log_probs")
    return finished(b)


def windowed(seed: int = 0) -> g.Graph:
    """Attention and convolutions inside windows."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    b.add(g.SlidingWindow, "window", frames=FRAMES, hop=4)
    own.taps(b, "conv.taps", FRAMES, FRAMES, 5, before=2)
    matrix(b, "conv", 16, rng)
    source = b.here
    b.add(g.Constant, "places", values=rng.standard_normal((FRAMES, 16)))
    b.add(g.Add, "placed", source)
    own.attention(b, "attention", FRAMES, 2, rng)
    gru(b, "gru", 6, rng)
    b.add(g.MeanPool, "mean", factor=FRAMES)
    matrix(b, "out", 3, rng)
    return finished(b)


def picture(seed: int = 0) -> g.Graph:
    """A convolution over time and columns, and what is above zero of it; no state."""
    rng, b = np.random.default_rng(seed), Builder(8, RATE)
    sizes = {"frames": 4, "width": 4, "kernel_frames": 3, "kernel_columns": 3}
    b.add(g.Im2Col, "patches", **sizes)
    weight = rng.standard_normal((1, 5, 1, b.features // 4)) / 4
    b.add(g.Dense, "conv", weight=weight, bias=rng.uniform(-0.5, 0.5, (1, 5)), shared=4)
    b.add(g.Activation, "above", kind="step")
    return finished(b)


def bare(seed: int = 0) -> g.Graph:
    """One kernel between samples and outputs, and nothing beside it."""
    b = Builder(4, RATE)
    b.add(g.MaxPool, "pool", factor=4)
    return finished(b)


MADE = {
    "recurrent": (recurrent, "w8a16"),
    "joined": (joined, "w4a16"),
    "windowed": (windowed, "w8a8"),
    "picture": (picture, "w8a16"),
    "bare": (bare, "w8a16"),
}


@functools.cache
def integer(name: str) -> g.Graph:
    """One of them, in integers."""
    make, precision = MADE[name]
    graph = make()
    return quantize(graph, observe(graph, [signal_of(graph, 60, seed=2)]), precision)
