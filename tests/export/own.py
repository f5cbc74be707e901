"""Graphs as networks of one's own have them, for the tests of every export format: a causal
separable TCN with a GRU, a transformer encoder over windows, and every operator of streams and of
windows."""

from __future__ import annotations

import numpy as np

from compress import graph as g
from compress.frontend.builder import Builder
from tests.export.loops import RATE, finished, gru, matrix

KINDS = (
    "abs",
    "elu(1.0)",
    "gelu",
    "gelu_tanh",
    "hardsigmoid",
    "hardswish",
    "leaky_relu",
    "leaky_relu(0.2)",
    "mish",
    "relu",
    "sigmoid",
    "silu",
    "softplus(1.0, 20.0)",
    "softsign",
    "tanh",
)


def of(kind: str) -> g.Graph:
    """A function behind a matrix, and its values alone."""
    b, rng = Builder(4, RATE), np.random.default_rng(0)
    matrix(b, "before", 6, rng)
    b.add(g.Activation, "function", kind=kind)
    return finished(b)


def unfold(b: Builder, path: str, frames: int, stride: int, **more: int) -> None:
    b.add(g.Unfold1d, path, frames=frames, frames_per_output=stride, lag=0, **more)


def taps(b: Builder, path: str, frames: int, outputs: int, kernel: int, **more: int) -> None:
    b.add(g.WindowUnfold, path, frames=frames, outputs=outputs, kernel=kernel, **more)


# --- the two examples -----------------------------------------------------------------------------


def separable(b: Builder, path: str, out: int, dilation: int, rng: np.random.Generator) -> None:
    """A causal convolution of each feature by itself, over three frames, and one across them."""
    reach = 2 * dilation
    unfold(b, f"{path}.taps", 3, 1, dilation=dilation, padding=reach)
    weight = rng.standard_normal((b.features // 3, 3)) / np.sqrt(3)
    b.add(g.Depthwise, f"{path}.depth", weight=weight, bias=rng.uniform(-0.2, 0.2, len(weight)))
    matrix(b, f"{path}.point", out, rng)
    b.add(g.Activation, f"{path}.relu", kind="relu")


def tcn_gru(seed: int = 0) -> g.Graph:
    """Separable convolutions with residuals, one of every four frames, a GRU, log-probabilities."""
    rng, b = np.random.default_rng(seed), Builder(6, RATE)
    matrix(b, "project", 8, rng)
    for index, dilation in enumerate((1, 2, 4)):
        source = b.here
        separable(b, f"block{index}", 8, dilation, rng)
        b.add(g.Add, f"block{index}.sum", source)
    b.add(g.MeanPool, "pool", factor=4)
    gru(b, "gru", 6, rng)
    matrix(b, "out", 5, rng)
    b.add(g.LogSoftmax, "log_probs")
    return finished(b)


def attention(b: Builder, path: str, frames: int, heads: int, rng: np.random.Generator) -> None:
    """Of the frames of a window with each other."""
    source, width = b.here, b.features
    made = {}
    for name in ("query", "key", "value"):
        b.here = source
        matrix(b, f"{path}.{name}", width, rng)
        made[name] = b.here
    shape = {"frames": frames, "heads": heads, "depth": width // heads, "shared": True}
    b.here, factor = made["query"], 1 / np.sqrt(width // heads)
    b.add(g.AttentionScores, f"{path}.scores", made["key"], **shape, factor=factor)
    b.add(g.Softmax, f"{path}.weights", groups=heads)
    b.add(g.AttentionContext, f"{path}.context", made["value"], **shape)
    matrix(b, f"{path}.out", width, rng)


def normed(b: Builder, path: str, kind: type[g.LayerNorm], rng: np.random.Generator) -> None:
    shape = (1, b.features)
    gain, bias = rng.uniform(0.5, 1.5, shape), rng.uniform(-0.3, 0.3, shape)
    b.add(kind, path, gain=gain, bias=bias, epsilon=1e-5)


def encoder(seed: int = 0, frames: int = 12, hop: int = 6) -> g.Graph:
    """A transformer encoder of one layer over windows, their mean, and classes."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    b.add(g.SlidingWindow, "window", frames=frames, hop=hop)
    matrix(b, "embed", 16, rng)
    embedded = b.here
    b.add(g.Constant, "position", values=rng.standard_normal((frames, 16)) * 0.5)
    b.add(g.Add, "placed", embedded)
    source = b.here
    attention(b, "attention", frames, 2, rng)
    b.add(g.Add, "attended", source)
    normed(b, "norm1", g.LayerNorm, rng)
    source = b.here
    matrix(b, "up", 32, rng)
    b.add(g.Activation, "gelu", kind="gelu")
    matrix(b, "down", 16, rng)
    b.add(g.Add, "transformed", source)
    normed(b, "norm2", g.LayerNorm, rng)
    b.add(g.MeanPool, "mean", factor=frames)
    matrix(b, "out", 5, rng)
    b.add(g.LogSoftmax, "log_probs")
    return finished(b)


# --- the rest of the vocabulary -------------------------------------------------------------------


def joins(seed: int = 0) -> g.Graph:
    """Two branches that are multiplied, subtracted, clamped and joined."""
    rng, b = np.random.default_rng(seed), Builder(5, RATE)
    matrix(b, "a", 6, rng)
    a = b.here
    b.here = "samples"
    matrix(b, "b", 6, rng)
    b.add(g.Clamp, "six", lo=0.0, hi=0.8)  # becomes part of the matrix
    six = b.here
    b.add(g.Multiply, "product", a)
    product, b.here = b.here, a
    b.add(g.Subtract, "difference", six)
    b.add(g.Clamp, "limits", lo=-0.5, hi=float("inf"))
    b.add(g.Gather, "order", index=np.array([5, 0, 0, 3, 4, 1, 2], np.int32))
    ordered = b.here
    b.add(g.Constant, "one", values=rng.uniform(-2.0, 2.0, (1, 4)))
    b.add(g.Concat, "joined", product, ordered, sizes=(4, 6, 7))
    normed(b, "norm", g.RmsNorm, rng)
    matrix(b, "out", 6, rng)
    b.add(g.Softmax, "probabilities", groups=2)
    return finished(b)


def last_frames(seed: int = 0) -> g.Graph:
    """Attention to the last five frames of a stream, every other frame."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    matrix(b, "query", 8, rng)
    query = b.here
    made = []
    for name in ("key", "value"):
        b.here = "samples"
        matrix(b, name, 8, rng)
        unfold(b, f"{name}.last", 5, 1, dilation=2)
        made.append(b.here)
    shape = {"frames": 5, "heads": 2, "depth": 4, "shared": False}
    b.here = query
    b.add(g.AttentionScores, "scores", made[0], **shape, factor=0.5)
    b.add(g.Softmax, "weights", groups=2)
    b.add(g.AttentionContext, "context", made[1], **shape)
    return finished(b)


def later_padding(seed: int = 0) -> g.Graph:
    """A padded convolution behind one that begins later, and a state space behind it."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    unfold(b, "first.taps", 6, 2)
    matrix(b, "first", 6, rng)
    unfold(b, "second.taps", 3, 1, bands=2, dilation=2, padding=3)
    matrix(b, "second", 4, rng)
    return finished(b)


def inside_windows(seed: int = 0, hop: int = 8) -> g.Graph:
    """Convolutions with padding on both sides, one with the edge as padding, and a GRU that begins
    anew with every window, whose last frame is taken."""
    rng, b = np.random.default_rng(seed), Builder(4, RATE)
    b.add(g.SlidingWindow, "window", frames=12, hop=hop)
    taps(b, "conv.taps", 12, 6, 5, step=2, dilation=1, before=2)
    matrix(b, "conv", 6, rng)
    taps(b, "depth.taps", 6, 6, 3, dilation=2, before=2, edge=True)
    weight = rng.standard_normal((6, 3)) / np.sqrt(3)
    b.add(g.Depthwise, "depth", weight=weight, bias=np.zeros(6))
    taps(b, "groups.taps", 6, 6, 3, before=1, bands=2)
    matrix(b, "groups", 6, rng)
    gru(b, "gru", 5, rng)
    b.add(g.Reframe, "longer", frames=6, outputs=10)
    b.add(g.Reframe, "flat", frames=10, outputs=2)
    taps(b, "last", 2, 1, 1, before=-1)
    matrix(b, "out", 3, rng)
    return finished(b)


STREAMS = (tcn_gru, joins, last_frames, later_padding)
WINDOWS = (encoder, inside_windows)
