"""Each operator of networks of one's own by itself, behind what only moves values: what an export
format makes of it, and of every way in which its fields change what is written."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from compress import graph as g
from compress.frontend.builder import Builder
from tests.export.loops import RATE, finished, gru, lstm
from tests.export.own import KINDS, normed

FRAMES, WIDTH = 6, 12
Make = Callable[[Builder, np.random.Generator], None]


def some(b: Builder, source: str, begin: int, end: int) -> str:
    """Neighbouring features of a tensor."""
    b.here = source
    return b.add(g.Slice, f"from{begin}to{end}", begin=begin, end=end)


def pair(b: Builder, first: int = 8, second: int = 8) -> tuple[str, str]:
    """Features from the left of a frame, and from its right."""
    source = b.here
    return some(b, source, 0, first), some(b, source, WIDTH - second, WIDTH)


def depthwise(kernel: int, limit: float = np.inf) -> Make:
    def make(b: Builder, rng: np.random.Generator) -> None:
        channels = b.features // kernel
        weight, bias = rng.standard_normal((channels, kernel)), rng.uniform(-1, 1, channels)
        b.add(g.Depthwise, "depthwise", weight=weight, bias=bias)
        if np.isfinite(limit):
            b.add(g.Clamp, "clamped", lo=0.0, hi=limit)

    return make


def both(kind: type[g.FloatOp], **fields: float) -> Make:
    def make(b: Builder, rng: np.random.Generator) -> None:
        a, c = pair(b)
        b.here = a
        b.add(kind, "both", c)
        if fields:
            b.add(g.Clamp, "clamped", **fields)

    return make


def plain(operator: type[g.FloatOp], **fields: object) -> Make:
    return lambda b, rng: (b.add(operator, "operator", **fields), None)[1]


def scores(heads: int, shared: bool = True) -> Make:
    def make(b: Builder, rng: np.random.Generator) -> None:
        keys = FRAMES if shared else 2
        a, c = pair(b, 4, 4 if shared else 8)
        b.here, depth = a, 4 // heads
        shape = {"frames": keys, "heads": heads, "depth": depth, "shared": shared}
        b.add(g.AttentionScores, "scores", c, **shape, factor=0.3)

    return make


def context(heads: int, shared: bool = True) -> Make:
    def make(b: Builder, rng: np.random.Generator) -> None:
        keys = FRAMES if shared else 2
        a, c = pair(b, heads * keys, 4 if shared else 8)
        b.here = a
        b.add(g.Softmax, "weights", groups=heads)
        shape = {"frames": keys, "heads": heads, "depth": 4 // heads, "shared": shared}
        b.add(g.AttentionContext, "context", c, **shape)

    return make


def joined(b: Builder, rng: np.random.Generator) -> None:
    """A part with a scale of its own, twice."""
    a, c = pair(b, 4, 5)
    b.here = a
    b.add(g.Activation, "half", kind="sigmoid")
    half, b.here = b.here, c
    b.add(g.Concat, "joined", half, a, sizes=(5, 4, 4))


def taps(outputs: int, kernel: int, **fields: int) -> Make:
    def make(b: Builder, rng: np.random.Generator) -> None:
        fields_ = {"frames": FRAMES, "outputs": outputs, "kernel": kernel} | fields
        b.add(g.WindowUnfold, "taps", **fields_)

    return make


def looked_into(**fields: int) -> Make:
    """By a convolution, whose bands are groups."""

    def make(b: Builder, rng: np.random.Generator) -> None:
        taps(3, 4, step=2, before=2, **fields)(b, rng)
        bands = fields.get("bands", 1)
        weight = rng.standard_normal((bands, 3, 1, b.features // bands)) / 7
        b.add(g.Dense, "convolution", weight=weight, bias=rng.uniform(-1, 1, (bands, 3)))

    return make


def constant(b: Builder, rng: np.random.Generator) -> None:
    source = b.here
    b.add(g.Constant, "constant", values=rng.uniform(-1, 1, (FRAMES, 5)))
    b.add(g.Concat, "joined", source, sizes=(5, WIDTH))


def states(b: Builder, rng: np.random.Generator) -> None:
    """All that keeps something begins anew with every window."""
    gru(b, "gru", 4, rng)
    lstm(b, "lstm", 3, rng)
    b.add(g.Interpolate, "finer", factor=2)


IN_WINDOWS: dict[str, Make] = {
    "depthwise": depthwise(3),
    "depthwise, one of a frame": depthwise(1),
    "depthwise, clamped": depthwise(4, 1.5),
    "multiply": both(g.Multiply),
    "multiply, clamped": both(g.Multiply, lo=-0.5, hi=0.7),
    "subtract": both(g.Subtract),
    "subtract, clamped": both(g.Subtract, lo=0.0, hi=0.7),
    "clamp": plain(g.Clamp, lo=0.25, hi=1.0),
    "clamp from below": plain(g.Clamp, lo=-0.5, hi=np.inf),
    "concat": joined,
    "constant": constant,
    "gather": plain(g.Gather, index=np.array([3, 1, 2, 0, 11, 11, 5, 9, 8, 7], np.int32)),
    "gather, few runs": plain(g.Gather, index=np.array([8, 9, 10, 0, 1, 2], np.int32)),
    "softmax": plain(g.Softmax, groups=3),
    "softmax of all": plain(g.Softmax, groups=1),
    "rms norm": lambda b, rng: normed(b, "norm", g.RmsNorm, rng),
    "layer norm": lambda b, rng: normed(b, "norm", g.LayerNorm, rng),
    "scores": scores(2),
    "scores of one head": scores(1),
    "scores of a frame's own keys": scores(2, shared=False),
    "context": context(2),
    "context of one head": context(1),
    "context of a frame's own values": context(2, shared=False),
    "mean pool": plain(g.MeanPool, factor=3),
    "max pool": plain(g.MaxPool, factor=2),
    "reframe": plain(g.Reframe, frames=FRAMES, outputs=4),
    "taps": taps(6, 3, before=1),
    "taps of bands": taps(6, 3, before=1, bands=3),
    "taps with dilation": taps(4, 3, dilation=2, before=3),
    "taps with the edge": taps(6, 5, before=2, edge=True),
    "taps beyond the end": taps(4, 3, step=3),
    "taps inside": taps(2, 2, step=2, before=-1),
    "one frame": taps(1, 1, before=-4),
    "every other frame": taps(3, 1, step=2),
    "one frame many times": taps(6, 1, step=0, before=-5),
    "a convolution": looked_into(),
    "a convolution in groups": looked_into(bands=2),
    "states": states,
} | {kind: plain(g.Activation, kind=kind) for kind in KINDS}


def in_windows(name: str, hop: int = 4) -> g.Graph:
    """The operator over windows."""
    return over_windows(IN_WINDOWS[name], hop)


def over_windows(make: Make, hop: int = 4) -> g.Graph:
    """Operators over windows of six frames, whose results are one frame."""
    rng, b = np.random.default_rng(0), Builder(WIDTH, RATE)
    b.add(g.SlidingWindow, "window", frames=FRAMES, hop=hop)
    make(b, rng)
    windows_per_frame = b.rate * hop / RATE
    b.add(g.Reframe, "flat", frames=int(windows_per_frame), outputs=1)
    return finished(b)


# --- streams --------------------------------------------------------------------------------------

UNFOLDS: dict[str, dict[str, int]] = {
    "dilation": {"frames": 3, "frames_per_output": 1, "lag": 0, "dilation": 3},
    "dilation and stride": {"frames": 2, "frames_per_output": 3, "lag": 2, "dilation": 4},
    "dilation of bands": {"frames": 3, "frames_per_output": 2, "lag": 1, "dilation": 2, "bands": 4},
    "padding": {"frames": 4, "frames_per_output": 1, "lag": 0, "padding": 3},
    "a little padding": {"frames": 4, "frames_per_output": 2, "lag": 0, "padding": 1},
    "padding and dilation": {
        "frames": 3,
        "frames_per_output": 1,
        "lag": 0,
        "padding": 4,
        "dilation": 2,
        "bands": 3,
    },
}


def unfolded(name: str, convolved: bool) -> g.Graph:
    """Frames of a stream side by side, behind a window that begins later; `convolved`: a
    convolution looks into them."""
    rng, b = np.random.default_rng(0), Builder(WIDTH, RATE)
    b.add(g.Unfold1d, "later", frames=1, frames_per_output=1, lag=2)
    b.add(g.Unfold1d, "taps", **UNFOLDS[name])
    if convolved:
        weight = rng.standard_normal((1, 3, 1, b.features)) / 7
        b.add(g.Dense, "convolution", weight=weight, bias=np.zeros((1, 3)))
    return finished(b)
