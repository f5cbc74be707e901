"""Activation names of the published configurations."""

from __future__ import annotations

from torch import nn

from compress.errors import CheckpointError


def activation(name: str, where: str) -> nn.Module:
    """The module for a published name; `sparse_relu_X` only adds a training loss, so it is a ReLU at inference."""
    if name == "relu" or name.startswith("sparse_relu"):
        return nn.ReLU()
    if name == "gelu":
        return nn.GELU()
    if name == "none":
        return nn.Identity()
    raise CheckpointError(f"{where}: activation {name!r} is not supported; expected relu, gelu, sparse_relu_X or none")
