"""What both forms have in common: the nodes of each operator, given its parameters as values, over
(frames, features)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from onnx import TensorProto

from compress import graph as g
from export.onnx.writer import Writer

Unfold = g.Unfold1d | g.IntUnfold1d
Im2Col = g.Im2Col | g.IntIm2Col
Tile = g.Tile | g.IntTile
WindowUnfold = g.WindowUnfold | g.IntWindowUnfold
FLOAT = TensorProto.FLOAT


class Kept(Protocol):
    """A state tensor in the form's own precision."""

    def read(self) -> str:
        """Its real value as the next frame sees it."""

    def keep(self, value: str) -> None:
        """Its value after a frame."""


def pool(w: Writer, x: str, how: str, factor: int, rows: int, shape: tuple[int, int]) -> str:
    """ReduceMean or ReduceMax over groups of `factor` that lie one after the other in memory,
    `rows` groups; returns `shape`."""
    frames, features = shape
    groups = w.reshape(x, rows, factor, frames * features // rows)
    reduced = w.add(how, groups, w.constant("axes", np.array([1])), keepdims=0)
    return reduced if rows == frames else w.reshape(reduced, frames, features)


def window(w: Writer, x: str, op: Unfold, frames: int, features: int) -> str:
    """x: `frames` frames behind those of earlier steps -> what each convolution sees, side by
    side."""
    first = op.history + op.frames_per_output - op.lag - op.span
    seen = first + np.arange(0, frames, op.frames_per_output)[:, None]
    seen = seen + np.arange(op.frames) * op.dilation
    gathered = w.add("Gather", x, w.constant("frames", seen.reshape(-1)), axis=0)
    return banded(w, gathered, (len(seen), op.frames, op.bands, features // op.bands))


def banded(w: Writer, x: str, shape: tuple[int, int, int, int]) -> str:
    """Frames of the windows one after the other, shape (windows, frames, bands, n), as
    (windows, bands·frames·n)."""
    count, frames, bands, n = shape
    if bands > 1:
        x = w.add("Transpose", w.reshape(x, *shape), perm=[0, 2, 1, 3])
    return w.reshape(x, count, frames * bands * n)


def frames_of_window(w: Writer, x: str, op: WindowUnfold, dtype: str, features: int) -> str:
    """(frames, features) of one window -> what a convolution over them sees, zeros outside."""
    border = w.constant("border", np.zeros((1, features), dtype))
    places = np.where(op.places() < 0, op.frames, op.places())
    known = w.add("Concat", x, border, axis=0)
    gathered = w.add("Gather", known, w.constant("places", places.reshape(-1)), axis=0)
    return banded(w, gathered, (op.outputs, op.kernel, op.bands, features // op.bands))


def patches(w: Writer, x: str, op: Im2Col, dtype: str, frames: int, features: int) -> str:
    """What a convolution sees around each place of a picture: rows of what it is repeated from, and
    one of zeros as border."""
    n, size = features // op.width, (op.frames * op.factor, op.width * op.copies)
    row, column = np.ogrid[: size[0], : size[1]]
    tap_row, tap_column = np.ogrid[: op.kernel_frames, : op.kernel_columns]
    row = row[:, :, None, None] + tap_row - (op.kernel_frames - 1) // 2
    column = column[:, :, None, None] + tap_column - (op.kernel_columns - 1) // 2
    inside = (row >= 0) & (row < size[0]) & (column >= 0) & (column < size[1])
    places = np.where(
        inside, row // op.factor * op.width + column // op.copies, op.frames * op.width
    )
    border, outputs = w.constant("border", np.zeros((1, n), dtype)), []
    for picture in w.split(x, frames // op.frames, op.frames, axis=0):
        known = w.add("Concat", w.reshape(picture, op.frames * op.width, n), border, axis=0)
        gathered = w.add("Gather", known, w.constant("places", places.reshape(-1)), axis=0)
        outputs.append(w.reshape(gathered, size[0], op.out_features(features)))
    return w.concat(outputs, axis=0)


def repeat(w: Writer, x: str, op: Tile, frames: int, features: int) -> str:
    """Each frame `factor` times, in it each column `copies` times."""
    n = features // op.width
    times = w.constant("times", np.array([frames, op.factor, op.width, op.copies, n]))
    many = w.add("Expand", w.reshape(x, frames, 1, op.width, 1, n), times)
    return w.reshape(many, frames * op.factor, op.out_features(features))


def interpolate(w: Writer, x: str, past: str, factor: int, frames: int, features: int) -> str:
    """x (frames, features) and the frame before it (1, features) -> (frames·factor, features), on
    the line to each frame."""
    before = (
        w.add("Concat", past, *w.split(x, frames, 1, axis=0)[:-1], axis=0) if frames > 1 else past
    )
    share = w.constant(
        "share", (np.arange(factor, dtype=np.float32) / factor).reshape(1, factor, 1)
    )
    way = w.reshape(w.add("Sub", x, before), frames, 1, features)
    points = w.add("Add", w.add("Mul", way, share), w.reshape(before, frames, 1, features))
    return w.reshape(points, frames * factor, features)


def grouped(w: Writer, x: str, groups: int, frames: int, features: int) -> str:
    """Groups of features that go through the same weights, as frames of a layer: (frames, features)
    -> (frames·groups, …)."""
    return w.reshape(x, frames * groups, features // groups) if groups > 1 else x


def ungrouped(w: Writer, x: str, groups: int, frames: int, features: int) -> str:
    """The same back: (frames·groups, …) -> (frames, features)."""
    return w.reshape(x, frames, features) if groups > 1 else x


def windows(w: Writer, x: str, kernel: int, frames: int, width: int) -> str:
    """Frames side by side, kernel at a time: (frames, width) -> (frames / kernel, kernel ·
    width)."""
    return w.reshape(x, frames // kernel, kernel * width) if kernel > 1 else x


def started(w: Writer, begins: Sequence[int]) -> dict[int, str]:
    """For each step with which a state begins: 0 in the steps before, 1 from it on, what the state
    is multiplied with at the end of a step. Counts the steps, as far as it must."""
    if not begins:
        return {}
    with w.inside("start_up"):
        steps = w.state("steps", (1,), "float32")
        until = {b: w.constant("until", np.full(1, b, np.float32)) for b in sorted(set(begins))}
        counted = w.add("Add", steps.before, w.constant("one", np.ones(1, np.float32)))
        w.add("Min", counted, until[max(begins)], output=steps.after)
        return {b: w.add("Cast", w.add("Greater", counted, u), to=FLOAT) for b, u in until.items()}


def recurrence(
    w: Writer, columns: Sequence[str], a: tuple[str, str], states: tuple[Kept, Kept]
) -> tuple[str, str]:
    """x' = a·x + u in real arithmetic for every frame of the step; returns all (frames, H, N) real
    and imaginary parts.

    u (1, H, 1), one for each frame; a and the states (1, H, N). The frames are unrolled: plain
    nodes run everywhere and faster than a Scan.
    """
    (ar, ai), (re, im) = a, states
    history: tuple[list[str], list[str]] = [], []
    for column in columns:
        turned = w.add("Sub", w.add("Mul", ar, re.read()), w.add("Mul", ai, im.read()))
        other = w.add("Add", w.add("Mul", ar, im.read()), w.add("Mul", ai, re.read()))
        re.keep(w.add("Add", turned, column))
        im.keep(other)
        history[0].append(re.read())
        history[1].append(im.read())
    return w.concat(history[0], axis=0), w.concat(history[1], axis=0)


def read_out(w: Writer, x: tuple[str, str], u: str, c: tuple[str, str], d: str) -> str:
    """y = Σ Re(c·x) + d·u for all frames at once: x (frames, H, N), c (1, H, N), u (frames, H), d
    (H)."""
    products = w.add("Sub", w.add("Mul", c[0], x[0]), w.add("Mul", c[1], x[1]))
    total = w.add("ReduceSum", products, w.constant("axes", np.array([2])), keepdims=0)
    return w.add("Add", total, w.add("Mul", d, u))
