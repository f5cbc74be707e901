"""The common vocabulary: how the layers that any network may have become operators.

`columns` and `rows` of a layer are the places, in PyTorch's order, of the features that it reads
and writes, where a network keeps them in another order; a permutation costs nothing here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from compress import graph as g
from compress.errors import GraphError
from compress.frontend.activations import Step
from compress.frontend.builder import Builder
from compress.frontend.factored import FactoredConv1d, FactoredLinear, FactoredLSTM

Array = g.Array
LEAK = 0.01  # PyTorch's default slope of a LeakyReLU, and the only one there is an operator for
GATES = ".gates"  # behind the path of an LSTM's layer: the name of its matrix
ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.ReLU: "relu",
    nn.LeakyReLU: "leaky_relu",
    nn.GELU: "gelu",
    Step: "step",
}


def refused(path: str, module: Any) -> GraphError:
    """The error for a module that has no operator."""
    return GraphError(f"{path}: {type(module).__name__} has no operator in the stream graph")


# --- values ---------------------------------------------------------------------------------------


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


def _all(count: int, places: Array | None) -> Array:
    return np.arange(count) if places is None else places


# --- dense layers and convolutions over time ------------------------------------------------------


def matrix(b: Builder, path: str, weight: Array, bias: Array | None = None) -> None:
    """A dense layer from weight (out, in) and bias (out,)."""
    bias = np.zeros(len(weight)) if bias is None else bias
    b.add(g.Dense, path, weight=weight[None, :, None], bias=bias[None])


def dense(
    b: Builder,
    path: str,
    layer: nn.Module,
    columns: Array | None = None,
    rows: Array | None = None,
    scale: float = 1.0,
) -> None:
    """A dense layer, a convolution of one frame, or the two factors of a dense layer; its output
    times `scale`."""
    if isinstance(layer, FactoredLinear):
        columns, rows = _all(layer.in_features, columns), _all(layer.out_features, rows)
        matrix(b, f"{path}.v", numpy(layer.v.weight)[:, columns])
        matrix(b, f"{path}.u", numpy(layer.u.weight)[rows] * scale, bias_of(layer)[rows] * scale)
        return
    assert isinstance(layer, nn.Linear | nn.Conv1d)
    weight = numpy(layer.weight).reshape(layer.weight.shape[0], -1)
    columns, rows = _all(weight.shape[1], columns), _all(len(weight), rows)
    matrix(b, path, weight[rows][:, columns] * scale, bias_of(layer)[rows] * scale)


def convolution(
    b: Builder,
    path: str,
    layer: nn.Conv1d | FactoredConv1d,
    columns: Array | None = None,
    rows: Array | None = None,
) -> None:
    """Frames that meet their stride are one operator; any others a window that gathers them and a
    dense layer. Of two factors the first is the convolution."""
    if isinstance(layer, nn.Conv1d) and not _plain(layer):
        raise GraphError(f"{path}: expected no padding, dilation or groups, found {layer}")
    kernel, stride = layer.kernel_size[0], layer.stride[0]
    columns, rows = _all(layer.in_channels, columns), _all(layer.out_channels, rows)
    first = layer.v if isinstance(layer, FactoredConv1d) else layer
    weight = numpy(first.weight)[:, columns].transpose(0, 2, 1)  # (out, kernel, in)
    if window(b, f"{path}.window", kernel, stride):
        weight, stride = weight.reshape(len(weight), 1, -1), 1
    if isinstance(layer, FactoredConv1d):
        zeros = np.zeros((1, len(weight)))
        b.add(g.Dense, f"{path}.v", weight=weight[None], bias=zeros, frames_per_output=stride)
        last = numpy(layer.u.weight).reshape(len(rows), -1)
        matrix(b, f"{path}.u", last[rows], bias_of(layer)[rows])
        return
    bias = bias_of(layer)[rows][None]
    b.add(g.Dense, path, weight=weight[rows][None], bias=bias, frames_per_output=stride)


def _plain(layer: nn.Conv1d) -> bool:
    return layer.padding == (0,) and layer.dilation == (1,) and layer.groups == 1


def window(b: Builder, path: str, frames: int, stride: int) -> bool:
    """Gather `frames` of the valid frames for each output, unless groups of `stride` frames are
    that already."""
    lag = -(b.first_valid + frames) % stride  # so that the first whole window ends with a group
    if frames == stride and lag == 0:
        return False
    b.add(g.Unfold1d, path, frames=frames, frames_per_output=stride, lag=lag)
    return True


# --- norms and activations ------------------------------------------------------------------------


def norm(
    b: Builder,
    path: str,
    norms: Sequence[nn.Module],
    copies: int = 1,
    order: Array | None = None,
) -> None:
    """The norm of each band, the same for each of its copies; `order`: places of the features."""
    first = norms[0]
    if isinstance(first, nn.Identity):
        return
    if not isinstance(first, nn.LayerNorm | nn.BatchNorm1d):
        raise refused(path, first)
    of_band = [_gain_and_bias(n) for n in norms]
    places = _all(len(of_band[0][0]), order)
    gain, bias = (
        np.stack([values[places] for values in kind]).repeat(copies, axis=0)
        for kind in zip(*of_band, strict=True)
    )
    if isinstance(first, nn.LayerNorm):
        b.add(g.LayerNorm, path, gain=gain, bias=bias, epsilon=float(first.eps))
    else:
        b.add(g.BatchNorm, path, gain=gain.reshape(-1), bias=bias.reshape(-1))
        b.note_norm(b.here, np.stack([numpy(n.weight) for n in norms]))  # type: ignore[arg-type]


def _gain_and_bias(layer: Any) -> tuple[Array, Array]:
    """(features,) each; of a BatchNorm what it does in evaluation."""
    gain, bias = numpy(layer.weight), numpy(layer.bias)
    if isinstance(layer, nn.LayerNorm):
        return gain, bias
    gain = gain / np.sqrt(numpy(layer.running_var) + layer.eps)
    return gain, bias - numpy(layer.running_mean) * gain


def activation(b: Builder, path: str, module: nn.Module) -> None:
    if isinstance(module, nn.Identity):
        return
    usual = {"negative_slope": LEAK, "approximate": "none"}
    changed = any(getattr(module, name, value) != value for name, value in usual.items())
    if type(module) not in ACTIVATIONS or changed:
        raise refused(path, module)
    b.add(g.Activation, path, kind=ACTIVATIONS[type(module)])


# --- recurrence -----------------------------------------------------------------------------------


def delayed(b: Builder, path: str, fed_back: Sequence[tuple[str, int]]) -> None:
    """The newest tensor beside the frames before of tensors that are made later: (name,
    features)."""
    names, widths = zip(*fed_back, strict=True)
    b.add(g.DelayedConcat, f"{path}.join", previous=names, widths=widths)


def lstm(
    b: Builder,
    path: str,
    module: nn.LSTM | FactoredLSTM,
    fed_back: Sequence[tuple[str, int]] = (),
) -> None:
    """Each layer one matrix over its input beside its own hidden state, and a cell; `fed_back` is
    beside the first one's input too (see `delayed`)."""
    if isinstance(module, nn.LSTM) and (module.bidirectional or module.proj_size):
        raise GraphError(f"{path}: expected one direction and no projection, found {module}")
    for layer in range(module.num_layers):
        where = f"{path}.l{layer}"
        delayed(b, where, [*(fed_back if layer == 0 else ()), (where, module.hidden_size)])
        _gates(b, f"{where}{GATES}", module, layer)
        b.add(g.LstmCell, where)


def gru(b: Builder, path: str, module: nn.GRU) -> None:
    """Each layer as `gru_layer` has it."""
    if module.bidirectional:
        raise GraphError(f"{path}: expected one direction, found {module}")
    for layer in range(module.num_layers):
        gru_layer(b, f"{path}.l{layer}", *_parameters(module, layer))


Pair = Sequence[Array]  # of the input, of the hidden state


def lstm_layer(b: Builder, where: str, weights: Pair, biases: Pair) -> None:
    """One matrix for all gates over the input beside the hidden state, and a cell."""
    delayed(b, where, [(where, weights[1].shape[1])])
    matrix(b, f"{where}{GATES}", np.concatenate(weights, axis=1), biases[0] + biases[1])
    b.add(g.LstmCell, where)


def gru_layer(b: Builder, where: str, weights: Pair, biases: Pair) -> None:
    """Three matrices and a cell: gates r, z over the input beside the hidden state, the new value
    over each of them apart."""
    n, source, columns = weights[1].shape[1], b.here, b.features
    delayed(b, where, [(where, n)])
    joined = b.here
    (w_in, w_state), (b_in, b_state) = weights, biases
    both = np.concatenate([w_in[: 2 * n], w_state[: 2 * n]], axis=1)
    matrix(b, f"{where}{GATES}", both, b_in[: 2 * n] + b_state[: 2 * n])
    gates, b.here = b.here, source
    matrix(b, f"{where}.input", w_in[2 * n :], b_in[2 * n :])
    value, b.here = b.here, joined
    b.add(g.Slice, f"{where}.hidden", begin=columns, end=columns + n)
    matrix(b, f"{where}.state", w_state[2 * n :], b_state[2 * n :])
    share, b.here = b.here, gates
    b.add(g.GruCell, where, value, share)


def rnn_layer(b: Builder, where: str, weights: Pair, biases: Pair, kind: str) -> None:
    """One matrix over the input beside the hidden state, and a function: "tanh" or "relu"."""
    delayed(b, where, [(where, weights[1].shape[1])])
    matrix(b, f"{where}{GATES}", np.concatenate(weights, axis=1), biases[0] + biases[1])
    b.add(g.Activation, where, kind=kind)


def _parameters(module: nn.RNNBase, layer: int) -> tuple[list[Array], list[Array]]:
    """Weights and biases of one layer, each of its input and of its hidden state."""
    weights = [numpy(getattr(module, f"weight_{kind}_l{layer}")) for kind in ("ih", "hh")]
    if not module.bias:
        return weights, [np.zeros(len(w)) for w in weights]
    return weights, [numpy(getattr(module, f"bias_{kind}_l{layer}")) for kind in ("ih", "hh")]


def _gates(b: Builder, path: str, module: nn.LSTM | FactoredLSTM, layer: int) -> None:
    """All gates i, f, g, o of a layer: [W_ih, W_hh] and both biases."""
    if isinstance(module, FactoredLSTM):
        dense(b, path, module.get_submodule(f"l{layer}"))
        return
    weights, biases = _parameters(module, layer)
    matrix(b, path, np.concatenate(weights, axis=1), biases[0] + biases[1])
