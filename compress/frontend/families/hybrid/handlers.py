"""What the hybrid networks have that the common vocabulary lacks: the MLP of each band over rotated
electrodes, and diagonal state spaces. The rest of a network is traced like any other."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.families.hybrid.model import (
    BANDS,
    ELECTRODES,
    HybridNetwork,
    MultiBandRotationInvariantMLP,
    RotationInvariantMLP,
)
from compress.frontend.families.hybrid.s4d import S4D
from compress.frontend.handlers import activation, bias_of, dense, norm, numpy
from compress.frontend.layers import Leaf

if TYPE_CHECKING:
    from compress.frontend.trace.writer import Writer

Array = g.Array


def hybrid(b: Builder, model: HybridNetwork) -> dict[str, Any]:
    """The traced network, (time, batch, band, electrode) to (frames, batch, 99); what provenance
    says of it, if it looks ahead."""
    from compress.frontend.trace import Form, trace

    def given(x: torch.Tensor) -> torch.Tensor:
        return x.reshape(len(x), 1, BANDS, ELECTRODES)

    form = Form(given, lambda y: y.permute(1, 2, 0))
    # its published forward is compared with the graph where it is tested
    found = trace(b, model, b.features, int(b.rate), form=form, checked=False)
    return {name: value for name, value in found.items() if value}


# --- the MLP of each band -------------------------------------------------------------------------


def _mlps(w: Writer, path: str, mlp: MultiBandRotationInvariantMLP, name: str) -> str:
    """The MLP of each band over its electrodes, rotated by each offset: rows of one layer with
    permuted columns."""
    b = w.b
    b.here = name
    _mlp(b, f"{path}.mlps", cast(list[RotationInvariantMLP], list(mlp.mlps)))
    w.note()
    return b.here


def _mlp(b: Builder, path: str, mlps: list[RotationInvariantMLP]) -> None:
    first = mlps[0]
    offsets = first.offsets
    if not first.linear_layers:
        _rotate(b, f"{path}.*", first)
    for i in range(len(first.linear_layers)):
        linears = [cast(nn.Linear, m.linear_layers[i]) for m in mlps]
        weight = np.stack([numpy(linear.weight) for linear in linears])  # (bands, out, in)
        bias = np.stack([bias_of(linear) for linear in linears])
        if i == 0:
            weight, bias = _rotated(weight, offsets), np.tile(bias, len(offsets))
        else:
            weight, bias = (np.repeat(values, len(offsets), axis=0) for values in (weight, bias))
        b.add(g.Dense, f"{path}.*.linear_layers.{i}", weight=weight[:, :, None, :], bias=bias)
        norm(b, f"{path}.*.norms.{i}", [m.norms[i] for m in mlps], len(offsets))
        activation(b, f"{path}.*.non_linearities.{i}", first.non_linearities[i])
    if len(offsets) > 1 and (first.linear_layers or first.pooling == "max"):
        over = g.GroupMax if first.pooling == "max" else g.GroupMean
        b.add(over, f"{path}.*.pooling", bands=len(mlps), copies=len(offsets))


def _rotated(weight: Array, offsets: tuple[int, ...]) -> Array:
    """(bands, out, in) -> (bands, offsets·out, in): rotating the electrodes is permuting the
    columns."""
    return np.concatenate([np.roll(weight, -offset, axis=-1) for offset in offsets], axis=1)


def _rotate(b: Builder, path: str, mlp: RotationInvariantMLP) -> None:
    """An MLP without layers: the electrodes of each band rotated by every offset, or their mean in
    one matrix."""
    if mlp.offsets == (0,):
        return
    copies = _rotated(np.stack([np.eye(ELECTRODES)] * BANDS), mlp.offsets)
    if mlp.pooling == "mean":
        copies = copies.reshape(BANDS, -1, ELECTRODES, ELECTRODES).mean(1)
    b.add(g.Dense, f"{path}.offsets", weight=copies[:, :, None, :], bias=np.zeros(copies.shape[:2]))


# --- state spaces ---------------------------------------------------------------------------------


def _s4d(w: Writer, path: str, layer: S4D, name: str) -> str:
    """One layer: state space, pool, activation, and a gated matrix."""
    b = w.b
    b.here = w.begun(name)
    a, c = (numpy(t) for t in layer.kernel.discrete())
    b.add(g.StateSpace, f"{path}.kernel", a=a, c=c, d=numpy(layer.D))
    if layer.pool > 1 and layer.pool_mode == "last":
        b.add(g.Unfold1d, f"{path}.mid_pool", frames=1, frames_per_output=layer.pool, lag=0)
    elif layer.pool > 1:
        kind = g.MaxPool if layer.pool_mode == "max" else g.MeanPool
        b.add(kind, f"{path}.mid_pool", factor=layer.pool)
    activation(b, f"{path}.activation", layer.activation)
    dense(b, f"{path}.output_linear.0", layer.output_linear[0])
    b.add(g.Glu, f"{path}.output_linear.1")
    w.note()
    return b.here


LEAVES = {MultiBandRotationInvariantMLP: Leaf(_mlps, time=0), S4D: Leaf(_s4d)}
