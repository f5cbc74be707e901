"""NeuroPose: two-dimensional convolutions over time and electrodes of one window at a time.

A frame of a tensor here is one row of time: (width, channels). A convolution is what it sees of the window (`Patches`) and one
dense layer for all places; the pools over electrodes are those over copies of a band.
"""

from __future__ import annotations

from compress.errors import GraphError
from compress.lower.builder import Builder
from compress.models.neuropose import NeuroPose

WINDOW = 1920  # samples of one window: 0.96 s, six times what the pools and upsamplings divide into


def neuropose(b: Builder, path: str, network: NeuroPose) -> None:
    """Encoder, residual blocks, decoder and the dense layer; refuses what does not divide the window."""
    raise GraphError(f"{path}: {type(network).__name__} has no operators in the stream graph yet")
