"""What both forms have in common: the nodes of each operator, given its parameters as values, over (frames, features)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import numpy as np

from export.onnx_model.writer import Writer

ACTIVATIONS = {"relu": "Relu", "gelu": "Gelu", "sigmoid": "Sigmoid"}


class Kept(Protocol):
    """A state tensor in the form's own precision."""

    def read(self) -> str:
        """The value from before this step."""

    def keep(self, value: str) -> str:
        """The value as the next frame will see it."""

    def write(self) -> None:
        """Hand the last value kept to the next step."""


def mean_pool(w: Writer, x: str, factor: int, frames: int, features: int) -> str:
    """(frames, features) -> (frames / factor, features)."""
    groups = w.reshape(x, frames // factor, factor, features)
    return w.add("ReduceMean", groups, w.constant("axes", np.array([1])), keepdims=0)


def per_band(w: Writer, x: str, bands: int, width: int, layer: Callable[[int, str], str]) -> str:
    """Split the features (bands · width) into bands, one layer for each, and put the outputs side by side."""
    parts = w.split(x, bands, width, axis=1)
    return w.concat([layer(band, part) for band, part in enumerate(parts)], axis=1)


def windows(w: Writer, x: str, kernel: int, frames: int, width: int) -> str:
    """Frames side by side, kernel at a time: (frames, width) -> (frames / kernel, kernel · width)."""
    return w.reshape(x, frames // kernel, kernel * width) if kernel > 1 else x


def dense(w: Writer, x: str, weight: str, bias: str) -> str:
    """x (frames, in), weight (out, in), bias (out); a convolution whose stride is its kernel is this, over windows."""
    return w.add("Gemm", x, weight, bias, transB=1)


def layer_norm(w: Writer, x: str, gain: str, bias: str, epsilon: float) -> str:
    return w.add("LayerNormalization", x, gain, bias, axis=-1, epsilon=epsilon)


def activation(w: Writer, x: str, kind: str) -> str:
    return w.add(ACTIVATIONS[kind], x)


def recurrence(w: Writer, u: str, a: tuple[str, str], states: tuple[Kept, Kept], frames: int, channels: int) -> tuple[str, str]:
    """x' = a·x + u in real arithmetic for every frame of the step; returns all (frames, H, N) real and imaginary parts.

    u (frames, H); a and the states (1, H, N). The frames are unrolled: plain nodes run everywhere and faster than a Scan.
    """
    ar, ai = a
    re, im = states[0].read(), states[1].read()
    history: tuple[list[str], list[str]] = [], []
    for column in w.split(w.reshape(u, frames, channels, 1), frames, 1, axis=0):
        turned = w.add("Sub", w.add("Mul", ar, re), w.add("Mul", ai, im))
        other = w.add("Add", w.add("Mul", ar, im), w.add("Mul", ai, re))
        re, im = states[0].keep(w.add("Add", turned, column)), states[1].keep(other)
        history[0].append(re)
        history[1].append(im)
    for state in states:
        state.write()
    return w.concat(history[0], axis=0), w.concat(history[1], axis=0)


def read_out(w: Writer, x: tuple[str, str], u: str, c: tuple[str, str], d: str) -> str:
    """y = Σ Re(c·x) + d·u for all frames at once: x (frames, H, N), c (1, H, N), u (frames, H), d (H)."""
    products = w.add("Sub", w.add("Mul", c[0], x[0]), w.add("Mul", c[1], x[1]))
    total = w.add("ReduceSum", products, w.constant("axes", np.array([2])), keepdims=0)
    return w.add("Add", total, w.add("Mul", d, u))


def glu(w: Writer, half: str, gate: str) -> str:
    return w.add("Mul", half, gate)
