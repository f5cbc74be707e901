"""The time-depth separable featurizer of emg2pose: 16 electrodes at 2 kHz -> 64 features at 25 Hz,
valid convolutions only.

Sources: facebookresearch/emg2pose for the key names and what each option does; Hannun et al.,
"Sequence-to-sequence speech recognition with time-depth separable convolutions" (2019) for the
blocks. All tensors are (batch, channel, time).
"""

from __future__ import annotations

import itertools
from collections import OrderedDict
from collections.abc import Sequence
from typing import cast

from torch import Tensor, nn

from compress.errors import CheckpointError


def _normalized(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """LayerNorm over the channels of each frame."""
    return norm(x.swapaxes(-1, -2)).swapaxes(-1, -2)


class Conv1dBlock(nn.Module):
    """Strided convolution, ReLU, then LayerNorm unless `norm_type` is none. (B, C, T) -> (B, C', (T
    − kernel) // stride + 1)."""

    in_channels: int
    out_channels: int
    kernel_size: int
    stride: int

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int,
        stride: int,
        norm_type: str = "layer",
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        if norm_type == "batch":
            raise CheckpointError(
                "Conv1dBlock.norm_type: 'batch' is not supported; the published block then"
                " normalizes time steps in place of channels and fails on any input whose length is"
                " not the number of channels; expected layer or none"
            )
        if norm_type not in ("layer", "none"):
            raise CheckpointError(
                f"Conv1dBlock.norm_type: expected layer or none, found {norm_type!r}"
            )
        self.in_channels, self.out_channels, self.kernel_size, self.stride = (
            in_channels,
            out_channels,
            kernel_size,
            stride,
        )
        self.conv = nn.Sequential(
            nn.Conv1d(in_channels, out_channels, kernel_size, stride),
            nn.ReLU(),
            nn.Dropout(dropout),
        )
        self.norm = nn.LayerNorm(out_channels) if norm_type == "layer" else None

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x if self.norm is None else _normalized(self.norm, x)


class TDSConv2dBlock(nn.Module):
    """Convolution over time that each of `width` groups of `channels` shares, ReLU, residual,
    LayerNorm.

    (B, channels · width, T) -> (B, channels · width, T − kernel_width + 1); the residual is the
    newest frames of the input.
    """

    def __init__(self, channels: int, width: int, kernel_width: int) -> None:
        super().__init__()
        if kernel_width % 2 == 0:
            raise CheckpointError(
                "TDSConv2dBlock.kernel_width: expected an odd number as published, found"
                f" {kernel_width}"
            )
        self.channels, self.width = channels, width
        self.conv2d = nn.Conv2d(channels, channels, (1, kernel_width))
        self.layer_norm = nn.LayerNorm(channels * width)

    def forward(self, inputs: Tensor) -> Tensor:
        batch, features, time = inputs.shape
        x = self.conv2d(inputs.reshape(batch, self.channels, self.width, time)).relu()
        x = x.reshape(batch, features, -1)
        return _normalized(self.layer_norm, x + inputs[..., -x.shape[-1] :])


class TDSFullyConnectedBlock(nn.Module):
    """Two linear layers with a ReLU between them, residual, LayerNorm; frame by frame. (B,
    features, T) -> the same."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.fc_block = nn.Sequential(
            nn.Linear(num_features, num_features), nn.ReLU(), nn.Linear(num_features, num_features)
        )
        self.layer_norm = nn.LayerNorm(num_features)

    def forward(self, inputs: Tensor) -> Tensor:
        x = inputs.swapaxes(-1, -2)
        return self.layer_norm(self.fc_block(x) + x).swapaxes(-1, -2)


class TDSConvEncoder(nn.Module):
    """For each entry of `block_channels` a convolution block and a fully connected block."""

    kernel_width: int
    num_blocks: int

    def __init__(
        self,
        num_features: int,
        block_channels: Sequence[int] = (24, 24, 24, 24),
        kernel_width: int = 32,
    ) -> None:
        super().__init__()
        if not block_channels:
            raise CheckpointError(
                "TDSConvEncoder.block_channels: expected one block or more, found none"
            )
        blocks: list[nn.Module] = []
        for channels in block_channels:
            if num_features % channels:
                raise CheckpointError(
                    f"TDSConvEncoder.block_channels: {channels} does not divide num_features"
                    f" {num_features}"
                )
            blocks += [
                TDSConv2dBlock(channels, num_features // channels, kernel_width),
                TDSFullyConnectedBlock(num_features),
            ]
        self.kernel_width, self.num_blocks = kernel_width, len(block_channels)
        self.tds_conv_blocks = nn.Sequential(*blocks)

    def forward(self, x: Tensor) -> Tensor:
        return self.tds_conv_blocks(x)


class TdsStage(nn.Module):
    """A strided Conv1dBlock, `num_blocks` pairs of separable blocks and, with `out_channels`, a
    linear projection."""

    in_channels: int
    out_channels: int

    def __init__(
        self,
        in_channels: int = 16,
        in_conv_kernel_width: int = 5,
        in_conv_stride: int = 1,
        num_blocks: int = 1,
        channels: int = 8,
        feature_width: int = 2,
        kernel_width: int = 1,
        out_channels: int | None = None,
    ) -> None:
        super().__init__()
        features = channels * feature_width
        if in_conv_kernel_width <= 0:
            raise CheckpointError(
                f"TdsStage.in_conv_kernel_width: expected 1 or more, found {in_conv_kernel_width},"
                " which is not supported: the published network cannot tell the left context of a"
                " stage that does not begin with a convolution"
            )
        self.in_channels, self.out_channels = (
            in_channels,
            features if out_channels is None else out_channels,
        )
        self.layers = nn.Sequential(
            OrderedDict(
                conv1dblock=Conv1dBlock(
                    in_channels, features, in_conv_kernel_width, in_conv_stride
                ),
                tds_block=TDSConvEncoder(features, [channels] * num_blocks, kernel_width),
            )
        )
        self.linear_layer = None if out_channels is None else nn.Linear(features, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers(x)
        return (
            x
            if self.linear_layer is None
            else self.linear_layer(x.swapaxes(-1, -2)).swapaxes(-1, -2)
        )

    @property
    def conv1dblock(self) -> Conv1dBlock:
        return cast(Conv1dBlock, self.layers[0])

    @property
    def tds_block(self) -> TDSConvEncoder:
        return cast(TDSConvEncoder, self.layers[1])


class TdsNetwork(nn.Module):
    """(B, 16, samples) -> (B, out_channels, frames) with frames = (samples − left_context − 1) //
    stride + 1.

    `left_context` samples come before the one that frame 0 belongs to: frame k has seen samples
    0…left_context + k · stride.
    """

    in_channels: int
    out_channels: int
    left_context: int
    stride: int
    right_context = 0

    def __init__(self, conv_blocks: Sequence[Conv1dBlock], tds_stages: Sequence[TdsStage]) -> None:
        super().__init__()
        blocks: list[Conv1dBlock | TdsStage] = [*conv_blocks, *tds_stages]
        if not blocks:
            raise CheckpointError("TdsNetwork: expected a block or a stage, found none")
        for i, (before, after) in enumerate(itertools.pairwise(blocks)):
            if before.out_channels != after.in_channels:
                raise CheckpointError(
                    f"TdsNetwork: block {i} gives {before.out_channels} channels, block {i + 1}"
                    f" takes {after.in_channels}"
                )
        self.layers = nn.Sequential(*blocks)
        self.in_channels, self.out_channels = blocks[0].in_channels, blocks[-1].out_channels
        self.left_context, self.stride = _context(conv_blocks, tds_stages)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


def _context(conv_blocks: Sequence[Conv1dBlock], tds_stages: Sequence[TdsStage]) -> tuple[int, int]:
    """Samples of left context, and samples per frame."""
    left, stride = 0, 1
    for conv in conv_blocks:
        left += (conv.kernel_size - 1) * stride
        stride *= conv.stride
    for stage in tds_stages:
        left += (stage.conv1dblock.kernel_size - 1) * stride
        stride *= stage.conv1dblock.stride
        left += stage.tds_block.num_blocks * (stage.tds_block.kernel_width - 1) * stride
    return left, stride
