"""From a PyTorch network to the float stream graph. A module that the graph has no operator for is an error with its path."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.checkpoint import Checkpoint
from compress.errors import GraphError
from compress.models.activations import Step
from compress.models.hybrid import (
    BANDS,
    ELECTRODES,
    SAMPLE_RATE,
    HybridNetwork,
    InputMeanPooling,
    MultiBandRotationInvariantMLP,
    RotationInvariantMLP,
    TemporalConvolution,
)
from compress.models.s4d import S4D, S4Model

Array = g.Array


def lower(checkpoint: Checkpoint) -> g.Graph:
    """The float graph of a network, BatchNorm folded, verified."""
    builder = _Builder(BANDS * ELECTRODES, Fraction(SAMPLE_RATE))
    _hybrid(builder, checkpoint.model)
    provenance = {"checkpoint": checkpoint.sha256}
    graph = g.Graph(checkpoint.name, builder.tensors, tuple(builder.ops), provenance)
    return g.verify(fold_batch_norms(g.verify(graph)))


class _Builder:
    """Appends operators; `here` is the name of the newest tensor."""

    def __init__(self, features: int, rate: Fraction) -> None:
        self.here = "samples"
        self.tensors = {self.here: g.Tensor(self.here, features, rate)}
        self.ops: list[g.Op] = []
        self._first_valid = {self.here: 0}

    @property
    def features(self) -> int:
        return self.tensors[self.here].features

    @property
    def first_valid(self) -> int:
        return self._first_valid[self.here]

    def add(self, op_type: type[g.Op], module: str, *others: str, **attributes: Any) -> str:
        source = self.tensors[self.here]
        name = module if module not in self.tensors else f"{module}.{op_type.__name__.lower()}"
        op = op_type((self.here, *others), name, module, **attributes)
        self.tensors[name] = g.Tensor(name, op.out_features(source.features), source.rate / op.stride)
        self.ops.append(op)
        self._first_valid[name] = op.first_valid(self.first_valid)
        self.here = name
        return name


def _numpy(tensor: torch.Tensor) -> Array:
    return tensor.detach().double().numpy() if not tensor.is_complex() else tensor.detach().to(torch.complex128).numpy()


def _hybrid(b: _Builder, model: HybridNetwork) -> None:
    pooling, mlp = model.model[1], model.model[2]
    assert isinstance(pooling, InputMeanPooling) and isinstance(mlp, MultiBandRotationInvariantMLP)
    if pooling.factor > 1:
        b.add(g.MeanPool, "model.1", factor=pooling.factor)
    _mlp(b, "model.2.mlps", cast(list[RotationInvariantMLP], list(mlp.mlps)))
    if isinstance(model.model_HF, TemporalConvolution):
        _temporal(b, "model.4", model.model_HF)
    elif isinstance(model.model_HF, S4Model):
        _s4(b, "model.4", model.model_HF)
    _align(b, "model.5", model.model_LF)
    _s4(b, "model.5", model.model_LF)
    _dense(b, "model.6", model.model[6])
    b.add(g.LogSoftmax, "model.7")


def _mlp(b: _Builder, path: str, mlps: list[RotationInvariantMLP]) -> None:
    """The MLP of each band over its electrodes, rotated by each offset: rows of one layer with permuted columns."""
    first = mlps[0]
    offsets = first.offsets
    if not first.linear_layers:
        _rotate(b, f"{path}.*", first)
    for i in range(len(first.linear_layers)):
        linears = [cast(nn.Linear, m.linear_layers[i]) for m in mlps]
        weight = np.stack([_numpy(linear.weight) for linear in linears])  # (bands, out, in)
        bias = np.stack([_bias(linear) for linear in linears])
        if i == 0:
            weight, bias = _rotated(weight, offsets), np.tile(bias, len(offsets))
        else:
            weight, bias = (np.repeat(values, len(offsets), axis=0) for values in (weight, bias))
        b.add(g.Conv, f"{path}.*.linear_layers.{i}", weight=weight[:, :, None, :], bias=bias)
        _norm(b, f"{path}.*.norms.{i}", [m.norms[i] for m in mlps], len(offsets))
        _activation(b, f"{path}.*.non_linearities.{i}", first.non_linearities[i])
    if len(offsets) > 1 and (first.linear_layers or first.pooling == "max"):
        over = g.MaxOver if first.pooling == "max" else g.MeanOver
        b.add(over, f"{path}.*.pooling", bands=len(mlps), copies=len(offsets))


def _rotated(weight: Array, offsets: tuple[int, ...]) -> Array:
    """(bands, out, in) -> (bands, offsets·out, in): rotating the electrodes is permuting the columns."""
    return np.concatenate([np.roll(weight, -offset, axis=-1) for offset in offsets], axis=1)


def _rotate(b: _Builder, path: str, mlp: RotationInvariantMLP) -> None:
    """An MLP without layers: the electrodes of each band rotated by every offset, or their mean in one matrix."""
    if mlp.offsets == (0,):
        return
    copies = _rotated(np.stack([np.eye(ELECTRODES)] * BANDS), mlp.offsets)
    if mlp.pooling == "mean":
        copies = copies.reshape(BANDS, -1, ELECTRODES, ELECTRODES).mean(1)
    b.add(g.Conv, f"{path}.offsets", weight=copies[:, :, None, :], bias=np.zeros(copies.shape[:2]))


def _norm(b: _Builder, path: str, norms: list[nn.Module], copies: int = 1) -> None:
    """The norm of each band, the same for each of its copies."""
    if isinstance(norms[0], nn.Identity):
        return
    if isinstance(norms[0], nn.LayerNorm):
        gain, bias = (np.stack([_numpy(getattr(n, k)) for n in norms]).repeat(copies, axis=0) for k in ("weight", "bias"))
        b.add(g.LayerNorm, path, gain=gain, bias=bias, epsilon=float(norms[0].eps))
        return
    if not isinstance(norms[0], nn.BatchNorm1d):
        raise GraphError(f"{path}: {type(norms[0]).__name__} has no operator in the stream graph")
    gains, biases = [], []
    for n in norms:
        gains.append(_numpy(n.weight) / np.sqrt(_numpy(n.running_var) + n.eps))  # type: ignore[arg-type]
        biases.append(_numpy(n.bias) - _numpy(n.running_mean) * gains[-1])  # type: ignore[arg-type]
    gain, bias = (np.stack(values).repeat(copies, axis=0).reshape(-1) for values in (gains, biases))
    b.add(g.BatchNorm, path, gain=gain, bias=bias)


def _activation(b: _Builder, path: str, module: nn.Module) -> None:
    if isinstance(module, nn.Identity):
        return
    kinds: dict[type[nn.Module], str] = {nn.ReLU: "relu", nn.GELU: "gelu", Step: "step"}
    if type(module) not in kinds:
        raise GraphError(f"{path}: {type(module).__name__} has no operator in the stream graph")
    b.add(g.Activation, path, kind=kinds[type(module)])


def _temporal(b: _Builder, path: str, model: TemporalConvolution) -> None:
    for i, layer in enumerate(model.layers):
        where = f"{path}.layers.{i}"
        if isinstance(layer, nn.Conv1d):
            _convolution(b, where, layer)
        elif isinstance(layer, nn.BatchNorm1d | nn.LayerNorm):
            _norm(b, where, [layer])
        else:
            _activation(b, where, layer)


def _convolution(b: _Builder, path: str, layer: nn.Conv1d) -> None:
    """Frames that meet their stride are one operator; any others a window that gathers them and a dense layer."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    weight = _numpy(layer.weight).transpose(0, 2, 1)[None]  # (1, out, kernel, in)
    if _window(b, f"{path}.window", kernel, stride):
        weight, stride = weight.reshape(1, weight.shape[1], 1, -1), 1
    b.add(g.Conv, path, weight=weight, bias=_bias(layer)[None], frames_per_output=stride)


def _window(b: _Builder, path: str, frames: int, stride: int) -> bool:
    """Gather `frames` of the valid frames for each output, unless groups of `stride` frames are that already."""
    lag = -(b.first_valid + frames) % stride  # so that the first whole window ends with a group
    if frames == stride and lag == 0:
        return False
    b.add(g.Window, path, frames=frames, frames_per_output=stride, lag=lag)
    return True


def _align(b: _Builder, path: str, model: S4Model) -> None:
    """After a start-up, wait for the begin of a step: the states of all layers can then begin together."""
    lag = -b.first_valid % math.prod(model.pools + model.mid_pools)
    if lag:
        b.add(g.Window, f"{path}.alignment", frames=1, frames_per_output=1, lag=lag)


def _bias(layer: nn.Conv1d | nn.Linear) -> Array:
    return _numpy(layer.bias) if layer.bias is not None else np.zeros(layer.weight.shape[0])


def _dense(b: _Builder, path: str, layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv1d)
    weight = _numpy(layer.weight).reshape(layer.weight.shape[0], -1)[None, :, None, :]
    b.add(g.Conv, path, weight=weight, bias=_bias(layer)[None])


def _pool(b: _Builder, path: str, factor: int, mode: str) -> None:
    """Mean, largest or last of each `factor` frames."""
    if factor == 1:
        return
    if mode == "last":
        b.add(g.Window, path, frames=1, frames_per_output=factor, lag=0)
    else:
        b.add(g.MaxPool if mode == "max" else g.MeanPool, path, factor=factor)


def _s4(b: _Builder, path: str, model: S4Model) -> None:
    _dense(b, f"{path}.encoder", model.encoder)
    for i, (layer, norm, pool) in enumerate(zip(model.s4_layers, model.norms, model.pools, strict=True)):
        where = f"{path}.s4_layers.{i}"
        assert isinstance(layer, S4D)
        source = b.here
        _pool(b, f"{where}.residual_pool", layer.pool, layer.pool_mode)
        residual = b.here
        b.here = source
        if model.prenorm:
            _norm(b, f"{path}.norms.{i}", [norm])
        a, c = (_numpy(t) for t in layer.kernel.discrete())
        b.add(g.StateSpace, f"{where}.kernel", a=a, c=c, d=_numpy(layer.D))
        _pool(b, f"{where}.mid_pool", layer.pool, layer.pool_mode)
        _activation(b, f"{where}.activation", layer.activation)
        _dense(b, f"{where}.output_linear.0", layer.output_linear[0])
        b.add(g.Glu, f"{where}.output_linear.1")
        b.add(g.Add, f"{where}.residual", residual)
        _pool(b, f"{where}.pool", pool, model.pool_mode)
        if not model.prenorm:
            _norm(b, f"{path}.norms.{i}", [norm])
    _dense(b, f"{path}.decoder", model.decoder)
    _activation(b, f"{path}.decoder_non_linearity", model.decoder_non_linearity)


def fold_batch_norms(graph: g.Graph) -> g.Graph:
    """Multiply each BatchNorm into the convolution in front of it."""
    ops: list[g.Op] = []
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if not isinstance(op, g.BatchNorm):
            ops.append(op)
            continue
        before = ops[-1]
        if not isinstance(before, g.Conv) or before.output != op.inputs[0]:
            raise GraphError(f"{op.module}: a BatchNorm can only be folded into a convolution right before it")
        gain = op.gain.reshape(before.bias.shape)
        bias = before.bias * gain + op.bias.reshape(before.bias.shape)
        weight = before.weight * gain[:, :, None, None]
        ops[-1] = g.Conv(before.inputs, op.output, before.module, weight, bias, before.frames_per_output)
        del tensors[before.output]
    return g.Graph(graph.name, tensors, tuple(ops), graph.provenance)
