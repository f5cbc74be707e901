"""Training with the weights that four bits leave: rounded in every forward, the gradient for those
behind them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from compress.compression.candidates import LIMITS
from compress.compression.rebuild import modules_of
from compress.quantization.rounding import CLIPPING


class FourBits(nn.Module):
    """weight (out, …) -> the same in steps of one scale a row, −7…7; the scales are those that fit
    the first weights best."""

    scale: Tensor

    def __init__(self, weight: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", best_scales(weight.detach().flatten(1)))

    def forward(self, weight: Tensor) -> Tensor:
        scale = self.scale.reshape(-1, *[1] * (weight.dim() - 1))
        rounded = (weight / scale).round().clamp(-LIMITS[4], LIMITS[4]) * scale
        return weight + (rounded - weight).detach()


def best_scales(weight: Tensor) -> Tensor:
    """(out, n) -> (out,): of the clippings that are tried, the one with the least squared error of
    each row."""
    widest = weight.abs().amax(1, keepdim=True).clamp(min=1e-12) / LIMITS[4]
    scales = torch.stack([widest * float(share) for share in CLIPPING])
    errors = torch.stack(
        [
            ((weight / s).round().clamp(-LIMITS[4], LIMITS[4]) * s - weight).square().sum(1)
            for s in scales
        ]
    )
    return scales[errors.argmin(0), torch.arange(len(weight)), 0]


@contextmanager
def four_bits(model: nn.Module, bits: Mapping[str, int]) -> Iterator[None]:
    """Within it the network computes with rounded weights in every matrix that `bits` gives
    four."""
    wrapped = [
        part for matrix, width in bits.items() if width == 4 for part in modules_of(model, matrix)
    ]
    for module, name in wrapped:
        parametrize.register_parametrization(module, name, FourBits(getattr(module, name)))
    try:
        yield
    finally:
        for module, name in wrapped:
            parametrize.remove_parametrizations(module, name, leave_parametrized=False)
