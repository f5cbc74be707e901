"""NeuroPose: two-dimensional convolutions over time and electrodes of one window at a time.

A frame of a tensor here is one row of time: (width, channels). A convolution is what it sees of the
window (`Patches`) and one dense layer for all places; pools over electrodes are those over the
copies of a band. Three savings change no value: taps of a kernel that see nothing but padding are
left out (behind the encoder the image is one column wide: half of the taps), a repetition is what
the next convolution sees and is never made, and the dense layer stands before the last one, with
the weights of equal columns added up.
"""

from __future__ import annotations

import math
from typing import cast

import numpy as np
from torch import nn

from compress import graph as g
from compress.errors import GraphError, WindowError
from compress.frontend.builder import Builder
from compress.frontend.factored import FactoredLinear
from compress.frontend.families.emg2pose.neuropose import (
    WINDOW,
    DecoderBlock,
    EncoderBlock,
    NeuroPose,
    ResidualBlock,
)
from compress.frontend.handlers import activation, bias_of, numpy

Array = g.Array


def neuropose(b: Builder, path: str, network: NeuroPose, window: int = WINDOW) -> None:
    """Encoder, residual blocks, decoder and dense layer, over windows of so many samples, which the
    pools must divide."""
    multiple = math.prod(
        _pool(block)[0] for block in network.network if isinstance(block, EncoderBlock)
    )
    if window < 1 or window % multiple:
        raise WindowError(
            f"{path}: expected a window of a multiple of {multiple} samples, found {window}"
        )
    image, blocks = _Image(b, window), list(network.network)
    repeat: nn.Upsample | None = None
    for i, block in enumerate(blocks):
        source, where = b.here, f"{path}.network.{i}"
        if not isinstance(block, EncoderBlock | ResidualBlock | DecoderBlock):
            raise GraphError(
                f"{where}: {type(block).__name__} has no operators in the stream graph"
            )
        layers = list(block.network)
        if isinstance(block, DecoderBlock) and i == len(blocks) - 1:
            repeat = cast(nn.Upsample, layers.pop())
        image.block(f"{where}.network", layers)
        if isinstance(block, ResidualBlock):
            b.add(g.Add, f"{where}.residual", source)
    image.dense(f"{path}.linear", network.linear, repeat)


class _Image:
    """The newest tensor as a picture of each window, (frames, width, channels), and what can be
    appended to it."""

    def __init__(self, b: Builder, window: int) -> None:
        self.b, self.width = b, b.features
        self.enlarged = (1, 1)  # frames and columns of the picture for each of the tensor
        self._seconds = window / b.rate

    @property
    def frames(self) -> int:
        """Of the tensor, in one window."""
        return int(self._seconds * self.b.rate)

    @property
    def channels(self) -> int:
        return self.b.features // self.width

    def block(self, path: str, layers: list[nn.Module]) -> None:
        for i, layer in enumerate(layers):
            where = f"{path}.{i}"
            if isinstance(layer, nn.Conv2d):
                self.convolution(where, layer, *_gain_and_bias(layers[i + 1]))
                self.b.note_norm(where, numpy(layers[i + 1].weight))  # type: ignore[arg-type]
            elif isinstance(layer, nn.MaxPool2d):
                self.pool(where, layer)
            elif isinstance(layer, nn.Upsample):
                self.enlarged = _scales(where, layer)
            elif not isinstance(layer, nn.BatchNorm2d | nn.Dropout):
                activation(self.b, where, layer)

    def convolution(self, path: str, layer: nn.Conv2d, gain: Array, bias: Array) -> None:
        """`padding="same"`, without the taps that see only padding; gain and bias (out,) of the
        norm behind it folded in."""
        size, (factor, copies) = (self.frames, self.width), self.enlarged
        taps = [
            _seen(kernel, n * k)
            for kernel, n, k in zip(layer.kernel_size, size, self.enlarged, strict=True)
        ]
        weight = numpy(layer.weight)[:, :, taps[0], taps[1]].transpose(
            0, 2, 3, 1
        )  # (out, kernel frames, kernel columns, in)
        kernel = weight.shape[1:3]
        if (*kernel, factor, copies) != (1, 1, 1, 1):
            names = ("frames", "width", "kernel_frames", "kernel_columns", "factor", "copies")
            values = dict(zip(names, (*size, *kernel, factor, copies), strict=True))
            self.b.add(g.Im2Col, f"{path}.patches", **values)
        self.width, self.enlarged = self.width * copies, (1, 1)
        matrix = weight.reshape(len(weight), -1) * gain[:, None]
        bias = bias_of(layer) * gain + bias
        self.b.add(g.Dense, path, weight=matrix[None, :, None], bias=bias[None], shared=self.width)

    def pool(self, path: str, layer: nn.MaxPool2d) -> None:
        time, columns = cast(tuple[int, int], layer.kernel_size)
        if self.width % columns:
            raise GraphError(
                f"{path}: a pool of {columns} columns does not divide {self.width}; the graph has"
                " no part of a pool"
            )
        self.b.add(g.MaxPool, path, factor=time)
        if columns > 1:
            self.width //= columns
            self.b.add(g.GroupMax, f"{path}.electrodes", bands=self.width, copies=columns)

    def dense(
        self, path: str, layer: nn.Linear | FactoredLinear, repeat: nn.Upsample | None
    ) -> None:
        """Over the whole row of time, whose features are published as (channel, column); then the
        last repetition."""
        time, columns = _scales(path, repeat) if repeat is not None else (1, 1)
        expected = self.channels * self.width * columns
        if layer.in_features != expected:
            raise GraphError(
                f"{path}: expected {expected} features as the decoder makes them, found"
                f" {layer.in_features}"
            )
        first = layer.v if isinstance(layer, FactoredLinear) else layer
        weight = numpy(first.weight).reshape(-1, self.channels, self.width, columns).sum(-1)
        matrices = [weight.transpose(0, 2, 1).reshape(len(weight), -1)]
        if isinstance(layer, FactoredLinear):
            matrices.append(numpy(layer.u.weight))
        for i, matrix in enumerate(matrices):
            last = i == len(matrices) - 1
            bias = bias_of(layer) if last else np.zeros(len(matrix))
            self.b.add(
                g.Dense,
                path if last else f"{path}.v",
                weight=matrix[None, :, None],
                bias=bias[None],
            )
        if time > 1:
            self.b.add(g.Tile, f"{path}.upsample", factor=time, width=1, copies=1)


def _pool(block: EncoderBlock) -> tuple[int, int]:
    """Frames and columns of the pool that ends an encoder block."""
    return cast(tuple[int, int], block.network[-1].kernel_size)


def _gain_and_bias(layer: nn.Module) -> tuple[Array, Array]:
    """What a BatchNorm does to each channel in evaluation, (channels,) each."""
    assert (
        isinstance(layer, nn.BatchNorm2d)
        and layer.running_mean is not None
        and layer.running_var is not None
    )
    gain = numpy(layer.weight) / np.sqrt(numpy(layer.running_var) + layer.eps)
    return gain, numpy(layer.bias) - numpy(layer.running_mean) * gain


def _seen(kernel: int, size: int) -> slice:
    """The taps of a padded kernel that see any of `size` places; the larger half of the padding
    comes last."""
    before = (kernel - 1) // 2
    return slice(max(before - size + 1, 0), min(before + size, kernel))


def _scales(path: str, layer: nn.Upsample) -> tuple[int, int]:
    scales = cast(tuple[float, float], layer.scale_factor)
    if layer.mode != "nearest" or any(s < 1 or not math.isclose(s, round(s)) for s in scales):
        raise GraphError(
            f"{path}: expected nearest-neighbour upsampling by whole numbers, found {layer.mode} by"
            f" {scales}"
        )
    return round(scales[0]), round(scales[1])
