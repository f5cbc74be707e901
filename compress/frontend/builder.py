"""What lowering any network needs: operators appended one after the other, and the layers that many
networks have."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.activations import Step

Array = g.Array
LEAK = 0.01  # PyTorch's default slope of a LeakyReLU, and the only one there is an operator for


class Builder:
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
    def rate(self) -> Fraction:
        return self.tensors[self.here].rate

    @property
    def first_valid(self) -> int:
        return self._first_valid[self.here]

    def add(self, op_type: type[g.Op], module: str, *others: str, **attributes: Any) -> str:
        """Append an operator on the newest tensor and `others`; returns the name of what it
        makes."""
        source = self.tensors[self.here]
        name = module if module not in self.tensors else f"{module}.{op_type.__name__.lower()}"
        op = op_type((self.here, *others), name, module, **attributes)
        self.tensors[name] = g.Tensor(
            name, op.out_features(source.features), source.rate / op.stride
        )
        self.ops.append(op)
        self._first_valid[name] = op.first_valid(self.first_valid)
        self.here = name
        return name


def numpy(tensor: torch.Tensor) -> Array:
    """Real values as float64, complex ones as complex128."""
    return (
        tensor.detach().double().numpy()
        if not tensor.is_complex()
        else tensor.detach().to(torch.complex128).numpy()
    )


def bias_of(layer: Any) -> Array:
    """The bias (out,) of a dense layer or convolution, zeros without one."""
    if layer.bias is not None:
        return numpy(layer.bias)
    return np.zeros(layer.out_features if hasattr(layer, "out_features") else layer.out_channels)


def norm(b: Builder, path: str, norms: list[nn.Module], copies: int = 1) -> None:
    """The norm of each band, the same for each of its copies."""
    if isinstance(norms[0], nn.Identity):
        return
    if isinstance(norms[0], nn.LayerNorm):
        gain, bias = (
            np.stack([numpy(getattr(n, k)) for n in norms]).repeat(copies, axis=0)
            for k in ("weight", "bias")
        )
        b.add(g.LayerNorm, path, gain=gain, bias=bias, epsilon=float(norms[0].eps))
        return
    if not isinstance(norms[0], nn.BatchNorm1d):
        raise GraphError(f"{path}: {type(norms[0]).__name__} has no operator in the stream graph")
    gains, biases = [], []
    for n in norms:
        gains.append(numpy(n.weight) / np.sqrt(numpy(n.running_var) + n.eps))  # type: ignore[arg-type]
        biases.append(numpy(n.bias) - numpy(n.running_mean) * gains[-1])  # type: ignore[arg-type]
    gain, bias = (np.stack(values).repeat(copies, axis=0).reshape(-1) for values in (gains, biases))
    b.add(g.BatchNorm, path, gain=gain, bias=bias)


def activation(b: Builder, path: str, module: nn.Module) -> None:
    if isinstance(module, nn.Identity):
        return
    kinds: dict[type[nn.Module], str] = {
        nn.ReLU: "relu",
        nn.LeakyReLU: "leaky_relu",
        nn.GELU: "gelu",
        Step: "step",
    }
    if type(module) not in kinds or getattr(module, "negative_slope", LEAK) != LEAK:
        raise GraphError(f"{path}: {type(module).__name__} has no operator in the stream graph")
    b.add(g.Activation, path, kind=kinds[type(module)])


def convolution(b: Builder, path: str, layer: nn.Conv1d) -> None:
    """Frames that meet their stride are one operator; any others a window that gathers them and a
    dense layer."""
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    weight = numpy(layer.weight).transpose(0, 2, 1)[None]  # (1, out, kernel, in)
    if window(b, f"{path}.window", kernel, stride):
        weight, stride = weight.reshape(1, weight.shape[1], 1, -1), 1
    b.add(g.Dense, path, weight=weight, bias=bias_of(layer)[None], frames_per_output=stride)


def window(b: Builder, path: str, frames: int, stride: int) -> bool:
    """Gather `frames` of the valid frames for each output, unless groups of `stride` frames are
    that already."""
    lag = -(b.first_valid + frames) % stride  # so that the first whole window ends with a group
    if frames == stride and lag == 0:
        return False
    b.add(g.Unfold1d, path, frames=frames, frames_per_output=stride, lag=lag)
    return True


def dense(b: Builder, path: str, layer: nn.Module) -> None:
    assert isinstance(layer, nn.Linear | nn.Conv1d)
    weight = numpy(layer.weight).reshape(layer.weight.shape[0], -1)[None, :, None, :]
    b.add(g.Dense, path, weight=weight, bias=bias_of(layer)[None])


def fold_batch_norms(graph: g.Graph) -> g.Graph:
    """Multiply each BatchNorm into the convolution in front of it."""
    ops: list[g.Op] = []
    tensors = dict(graph.tensors)
    for op in graph.ops:
        if not isinstance(op, g.BatchNorm):
            ops.append(op)
            continue
        before = ops[-1]
        if not isinstance(before, g.Dense) or before.output != op.inputs[0]:
            raise GraphError(
                f"{op.module}: a BatchNorm can only be folded into a convolution right before it"
            )
        gain = op.gain.reshape(before.bias.shape)
        bias = before.bias * gain + op.bias.reshape(before.bias.shape)
        weight = before.weight * gain[:, :, None, None]
        ops[-1] = dataclasses.replace(before, output=op.output, weight=weight, bias=bias)
        del tensors[before.output]
    return dataclasses.replace(graph, tensors=tensors, ops=tuple(ops))
