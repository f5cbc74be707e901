"""Activation names of the published configurations."""

from __future__ import annotations

from torch import nn

from compress.errors import CheckpointError
from compress.frontend.activations import Step
from compress.frontend.stored.words import shown


def activation(name: str, where: str) -> nn.Module:
    """The module for a published name.

    `sparse_relu_X`, `sparse_relu_tie_X` and `sparse_sugar_X` differ from a ReLU in training only (a
    loss, a surrogate gradient); `binary_X` is a step at inference.
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
    raise CheckpointError(
        f"{where}: activation {shown(name)} is not supported; expected {expected}"
    )
