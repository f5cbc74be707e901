"""What a network takes and gives, seen from outside, and where its frames lie in time."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

import numpy as np
import numpy.typing as npt

from compress.graph import Array, Graph


@dataclass(frozen=True)
class Shape:
    """rate: samples per second; electrodes: values of a sample; outputs: values of a frame."""

    rate: Fraction
    electrodes: int
    outputs: int

    @classmethod
    def of(cls, graph: Graph) -> Shape:
        """That of a lowered network."""
        return cls(graph.input.rate, graph.input.features, graph.output.features)

    def __str__(self) -> str:
        electrodes, outputs = (
            f"{count} {word}{'s' * (count != 1)}"
            for count, word in ((self.electrodes, "electrode"), (self.outputs, "output"))
        )
        return f"{electrodes} at {float(self.rate):g} Hz, {outputs}"


def is_own(graph: Graph) -> bool:
    """Whether the network is one of the user's own, whose arrays have the layout of its forward."""
    return bool(graph.provenance.get("own"))


def samples_of(graph: Graph, array: Array) -> Array:
    """An input in forward's own layout (electrodes, samples) -> samples (n, electrodes); ValueError
    for another shape."""
    electrodes = graph.input.features
    if array.ndim != 2 or len(array) != electrodes:
        raise ValueError(
            f"expected numbers of shape ({electrodes} electrodes, samples), as forward takes them,"
            f" found {array.dtype} {array.shape}"
            + ("; transpose it" if array.ndim == 2 and array.shape[1] == electrodes else "")
        )
    return array.T


def label_samples(graph: Graph, frames: int, start: int = 0) -> npt.NDArray[np.int64]:
    """The sample whose label each frame start…frames of a stream has, in order: its newest less the
    look-ahead; −1 for the frames of a start-up."""
    per_frame = graph.input.rate / graph.output.rate
    ends = np.arange(start + 1, frames + 1, dtype=np.int64) * per_frame.numerator
    newest = -(-ends // per_frame.denominator) - 1  # rounded up, where a sample gives some frames
    found = newest - int(graph.provenance.get("lookahead", 0))
    found[: max(0, graph.start_up - start)] = -1
    return np.maximum(found, -1)
