"""NeuroPose as in emg2pose: encoder, residual blocks and decoder of 2-D convolutions over (time,
electrode); not causal.

Sources: facebookresearch/emg2pose for the key names; Liu et al., "NeuroPose: 3D hand pose tracking
using EMG wearables" (2021). Blocks take (batch, channel, time, electrode); their convolutions are
padded so that only pooling and upsampling change the size.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

WINDOW = 1920  # samples: 0.96 s, six times what the published pools divide into


def _convolution(
    in_channels: int, out_channels: int, kernel_size: Sequence[int], dropout_rate: float
) -> list[nn.Module]:
    kernel = (kernel_size[0], kernel_size[1])
    convolution = nn.Conv2d(in_channels, out_channels, kernel, padding="same")
    return [convolution, nn.BatchNorm2d(out_channels), nn.ReLU(), nn.Dropout(dropout_rate)]


class EncoderBlock(nn.Module):
    """Convolution, BatchNorm, ReLU, then the maximum of each `max_pool_size` (time, electrode)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        max_pool_size: Sequence[int],
        dropout_rate: float = 0.05,
    ) -> None:
        super().__init__()
        pool = (max_pool_size[0], max_pool_size[1])
        self.network = nn.Sequential(
            *_convolution(in_channels, out_channels, kernel_size, dropout_rate),
            nn.MaxPool2d(pool, stride=pool),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class ResidualBlock(nn.Module):
    """`num_convs` times convolution, BatchNorm and ReLU, added to the input."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        num_convs: int,
        dropout_rate: float = 0.05,
    ) -> None:
        super().__init__()
        modules = _convolution(in_channels, out_channels, kernel_size, dropout_rate)
        for _ in range(num_convs - 1):
            modules += _convolution(out_channels, out_channels, kernel_size, dropout_rate)
        self.network = nn.Sequential(*modules)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.network(x)


class DecoderBlock(nn.Module):
    """Convolution, BatchNorm, ReLU, then every value repeated `upsampling` times (time,
    electrode)."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Sequence[int],
        upsampling: Sequence[int],
        dropout_rate: float = 0.05,
    ) -> None:
        super().__init__()
        scale = (float(upsampling[0]), float(upsampling[1]))
        self.network = nn.Sequential(
            *_convolution(in_channels, out_channels, kernel_size, dropout_rate),
            nn.Upsample(scale_factor=scale, mode="nearest"),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.network(x)


class NeuroPose(nn.Module):
    """(B, 16, samples) -> (B, out_channels, steps); steps are the samples, down to a whole number
    of pooled frames."""

    left_context, right_context = 0, 0

    def __init__(
        self,
        encoder_blocks: Sequence[EncoderBlock],
        residual_blocks: Sequence[ResidualBlock],
        decoder_blocks: Sequence[DecoderBlock],
        linear_in_channels: int,
        out_channels: int = 22,
    ) -> None:
        super().__init__()
        self.network = nn.Sequential(*encoder_blocks, *residual_blocks, *decoder_blocks)
        self.linear = nn.Linear(linear_in_channels, out_channels)
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> Tensor:
        x = self.network(x[:, None].swapaxes(-1, -2))  # (B, C, time, electrode)
        x = x.swapaxes(-2, -3).flatten(-2)  # (B, time, C · electrode)
        return self.linear(x).swapaxes(-1, -2)
