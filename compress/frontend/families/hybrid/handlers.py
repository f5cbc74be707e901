"""The hybrid networks for typing: pooling, an MLP per band, temporal convolution and state
spaces."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, cast

import numpy as np
from torch import nn

from compress import graph as g
from compress.frontend.builder import Builder
from compress.frontend.families.hybrid.model import (
    BANDS,
    ELECTRODES,
    HybridNetwork,
    InputMeanPooling,
    MultiBandRotationInvariantMLP,
    RotationInvariantMLP,
    TemporalConvolution,
)
from compress.frontend.families.hybrid.s4d import S4D, S4Model
from compress.frontend.handlers import activation, bias_of, convolution, dense, norm, numpy

if TYPE_CHECKING:
    from compress.frontend.trace.writer import Writer

Array = g.Array


def hybrid(b: Builder, model: HybridNetwork) -> None:
    pooling, mlp = model.model[1], model.model[2]
    assert isinstance(pooling, InputMeanPooling) and isinstance(mlp, MultiBandRotationInvariantMLP)
    if pooling.factor > 1:
        b.add(g.MeanPool, "model.1", factor=pooling.factor)
    _mlp(b, "model.2.mlps", cast(list[RotationInvariantMLP], list(mlp.mlps)))
    if isinstance(model.model_HF, TemporalConvolution):
        _temporal(b, "model.4", model.model_HF)
    elif isinstance(model.model_HF, S4Model):
        _s4(b, "model.4", model.model_HF)
    # The states of all layers begin together, with the begin of a step.
    b.align("model.5", math.prod(model.model_LF.pools + model.model_LF.mid_pools))
    _s4(b, "model.5", model.model_LF)
    dense(b, "model.6", model.model[6])
    b.add(g.LogSoftmax, "model.7")


def _mlp(b: Builder, path: str, mlps: list[RotationInvariantMLP]) -> None:
    """The MLP of each band over its electrodes, rotated by each offset: rows of one layer with
    permuted columns."""
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


def _temporal(b: Builder, path: str, model: TemporalConvolution) -> None:
    for i, layer in enumerate(model.layers):
        where = f"{path}.layers.{i}"
        if isinstance(layer, nn.Conv1d):
            convolution(b, where, layer)
        elif isinstance(layer, nn.BatchNorm1d | nn.LayerNorm):
            norm(b, where, [layer])
        else:
            activation(b, where, layer)


def _pool(b: Builder, path: str, factor: int, mode: str) -> None:
    """Mean, largest or last of each `factor` frames."""
    if factor == 1:
        return
    if mode == "last":
        b.add(g.Unfold1d, path, frames=1, frames_per_output=factor, lag=0)
    else:
        b.add(g.MaxPool if mode == "max" else g.MeanPool, path, factor=factor)


def _s4(b: Builder, path: str, model: S4Model) -> None:
    dense(b, f"{path}.encoder", model.encoder)
    for i, (layer, normalized, pool) in enumerate(
        zip(model.s4_layers, model.norms, model.pools, strict=True)
    ):
        where = f"{path}.s4_layers.{i}"
        assert isinstance(layer, S4D)
        source = b.here
        _pool(b, f"{where}.residual_pool", layer.pool, layer.pool_mode)
        residual = b.here
        b.here = source
        if model.prenorm:
            norm(b, f"{path}.norms.{i}", [normalized])
        _s4d(b, where, layer)
        b.add(g.Add, f"{where}.residual", residual)
        _pool(b, f"{where}.pool", pool, model.pool_mode)
        if not model.prenorm:
            norm(b, f"{path}.norms.{i}", [normalized])
    dense(b, f"{path}.decoder", model.decoder)
    activation(b, f"{path}.decoder_non_linearity", model.decoder_non_linearity)


def _s4d(b: Builder, where: str, layer: S4D) -> None:
    """One layer: state space, pool, activation, and a gated matrix."""
    a, c = (numpy(t) for t in layer.kernel.discrete())
    b.add(g.StateSpace, f"{where}.kernel", a=a, c=c, d=numpy(layer.D))
    _pool(b, f"{where}.mid_pool", layer.pool, layer.pool_mode)
    activation(b, f"{where}.activation", layer.activation)
    dense(b, f"{where}.output_linear.0", layer.output_linear[0])
    b.add(g.Glu, f"{where}.output_linear.1")


def _leaf(w: Writer, path: str, layer: S4D, name: str) -> str:
    """The same in a network of one's own."""
    w.b.here = w.begun(name)
    _s4d(w.b, path, layer)
    w.note()
    return w.b.here


LEAVES = {S4D: _leaf}
