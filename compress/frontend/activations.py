"""Activation names of the published configurations."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from compress.errors import CheckpointError


class Step(nn.Module):
    """1 from zero on, else 0: what `binary_X` is at inference."""

    def forward(self, x: Tensor) -> Tensor:
        return (x >= 0).to(torch.get_default_dtype())


def activation(name: str, where: str) -> nn.Module:
    """The module for a published name.

    `sparse_relu_X`, `sparse_relu_tie_X` and `sparse_sugar_X` differ from a ReLU in training only (a
    loss, a surrogate gradient).
    """
    if name == "relu" or "sparse_relu" in name or "sparse_sugar" in name:
        return nn.ReLU()
    if name == "gelu":
        return nn.GELU()
    if "binary" in name:
        return Step()
    if name == "none":
        return nn.Identity()
    expected = "relu, gelu, sparse_relu_X, sparse_relu_tie_X, sparse_sugar_X, binary_X or none"
    raise CheckpointError(f"{where}: activation {name!r} is not supported; expected {expected}")
